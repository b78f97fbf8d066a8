"""What is kept of prefixes and of late answers, against plain lists and dicts."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from openlamda.engine.prefixes import BLOCK, Prefixes
from openlamda.engine.recent import Recent

texts = st.tuples(st.lists(st.integers(0, 1), max_size=5), st.integers(0, BLOCK - 1)).map(
    lambda blocks: tuple(block for block in blocks[0] for _ in range(BLOCK)) + (7,) * blocks[1]
)  # few kinds of blocks, so that texts often begin alike, and then no whole one
uses = st.lists(st.tuples(texts, st.none() | st.integers(0, 5)), max_size=40)


def whole(tokens):
    """The beginnings that end with a block."""
    return [tokens[:end] for end in range(BLOCK, len(tokens) + 1, BLOCK)]


class Plain:
    """Beginnings in a list, the longest unused first."""

    def __init__(self, most):
        self.most, self.kept = most, {}

    def find(self, tokens):
        known = [beginning for beginning in whole(tokens) if beginning in self.kept]
        for beginning in reversed(known):
            self.kept[beginning] = self.kept.pop(beginning)
        return [self.kept[beginning] for beginning in known]

    def add(self, tokens, blocks):
        new = whole(tokens)[len(whole(tokens)) - len(blocks) :]
        before = whole(tokens)[: len(whole(tokens)) - len(blocks)]
        if all(beginning in self.kept for beginning in before):
            for beginning, block in zip(new, blocks, strict=True):
                self.kept.setdefault(beginning, block)
            self.find(tokens)
            while len(self.kept) > self.most:
                del self.kept[next(iter(self.kept))]


@settings(deadline=None)
@given(st.integers(1, 9), uses)
def test_what_is_found_is_what_a_dict_of_beginnings_keeps(most, uses):
    """Texts with how many of their blocks are added, or None: they are only looked up."""
    prefixes, plain = Prefixes(most), Plain(most)
    for number, (tokens, added) in enumerate(uses):
        if added is None:
            assert prefixes.find(tokens) == plain.find(tokens)
        else:
            blocks = [(number, place) for place in range(min(added, len(whole(tokens))))]
            prefixes.add(tokens, blocks)
            plain.add(tokens, blocks)
        assert len(prefixes) == len(plain.kept) <= most
        for beginning in plain.kept:  # no block is dropped before what follows it
            assert all(before in plain.kept for before in whole(beginning))
    for tokens, _ in uses:
        assert prefixes.find(tokens) == plain.find(tokens)


@settings(deadline=None)
@given(st.integers(1, 9), uses)
def test_reading_what_is_not_known_finds_the_same_as_reading_all(most, uses):
    """As threads use it: find, read the rest, add. Texts with which of those under way is added then, or None."""
    prefixes, under_way = Prefixes(most), []
    for tokens, ready in uses:
        found = prefixes.find(tokens)
        assert found == whole(tokens)[: len(found)]
        under_way.append((tokens, whole(tokens)[len(found) :]))
        if ready is not None:
            prefixes.add(*under_way.pop(ready % len(under_way)))
        assert len(prefixes) <= most


def test_a_text_longer_than_all_that_is_kept_leaves_its_beginning():
    prefixes, tokens = Prefixes(3), tuple(range(5 * BLOCK))
    prefixes.add(tokens, whole(tokens))
    assert prefixes.find(tokens) == whole(tokens)[:3]
    assert prefixes.find(tokens[: 2 * BLOCK - 1]) == whole(tokens)[:1]
    assert prefixes.find(tokens[1:]) == []


def test_what_follows_dropped_blocks_is_not_kept():
    prefixes = Prefixes(2)
    first, second = (0,) * 3 * BLOCK, (1,) * 2 * BLOCK
    prefixes.add(first[: 2 * BLOCK], whole(first)[:2])
    prefixes.add(second, whole(second))  # drops those of the first while its third one is read
    prefixes.add(first, whole(first)[2:])
    assert prefixes.find(first) == [] and prefixes.find(second) == whole(second)


sizes = st.none() | st.integers(0, 5)


@settings(deadline=None)
@given(st.integers(0, 12), st.lists(st.tuples(st.integers(0, 3), sizes), max_size=40))
@example(5, [(0, 2), (1, 2), (0, None), (2, 2)])
def test_late_values_take_no_more_bytes_than_allowed(most, uses):
    """Keys with the size of a value to keep, or None: only got."""
    recent, plain = Recent(most), {}
    for number, (key, size) in enumerate(uses):
        if size is None:
            value, _ = plain.get(key, (None, 0))
            assert recent.get(key) == value
            if key in plain:
                plain[key] = plain.pop(key)
            continue
        recent.keep(key, number, size)
        plain.pop(key, None)
        plain[key] = (number, size)
        while sum(size for _, size in plain.values()) > most and len(plain) > 1:
            del plain[next(iter(plain))]
        assert sum(size for kept, (_, size) in plain.items() if kept != key) <= most
        assert list(recent) == list(plain)
    for key in range(4):
        assert recent.get(key) == plain.get(key, (None, 0))[0]
