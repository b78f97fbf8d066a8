"""Rows hold the pieces as they were; pieces hold the sequences as they were."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from openlamda.corpus.packing import best_fit, pack, token_type
from openlamda.corpus.tokens import cuts
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Symbol


@given(st.lists(st.integers(1, 32), max_size=80))
def test_no_row_is_overfull_and_no_two_could_be_one(lengths):
    rows, starts = best_fit(lengths, 32)
    used: dict[int, int] = {}
    for row, start, length in zip(rows, starts, lengths, strict=True):
        assert start == used.get(row, 0)
        used[row] = start + length
    assert all(size <= 32 for size in used.values())
    assert sorted(used) == list(range(len(used)))
    assert sum(size <= 16 for size in used.values()) <= 1


def test_the_tightest_row_is_taken():
    assert best_fit([6, 8, 2, 4], 10) == ([0, 1, 1, 0], [0, 0, 8, 6])


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=10), min_size=1, max_size=30))
def test_packed_segments_are_the_pieces(pieces):
    packed = pack((np.array(piece) for piece in pieces), [len(p) for p in pieces], 10, token_type(400))
    assert packed.dtype == np.uint16 and token_type(70_000) == np.uint32
    found = []
    for tokens, segments in packed:
        numbers = [n for n in dict.fromkeys(segments.tolist()) if n]
        assert numbers == list(range(1, len(numbers) + 1))
        found += [tokens[segments == n].tolist() for n in numbers]
        assert not tokens[segments == 0].any()
    assert sorted(found) == sorted(pieces)


def test_documents_are_cut_anywhere(tokenizer):
    tokens = np.array(Grammar(tokenizer.encode).document("the river is long " * 30).tokens)
    places = cuts(tokens, 16)
    assert places[0] == 0 and places[-1] == len(tokens)
    assert all(size == 16 for size in np.diff(places)[:-1]) and 2 <= np.diff(places)[-1] <= 16


def test_dialogs_are_cut_before_turns(tokenizer):
    turns = tuple(Turn("agent" if n % 2 else "user", "the river is long " * (n % 3 + 1)) for n in range(12))
    tokens = np.array(Grammar(tokenizer.encode).dialog(Dialog(turns)).tokens)
    places = cuts(tokens, 30)
    assert all(tokens[place] in (Symbol.USER_TURN, Symbol.AGENT_TURN) for place in places[:-1])
    assert max(np.diff(places)) <= 30 and len(places) > 4
    long = np.array(Grammar(tokenizer.encode).dialog(Dialog((Turn("user", "the river is long " * 20),))).tokens)
    assert np.diff(cuts(long, 30))[0] == 30  # a turn that is too long has no better place


@given(st.lists(st.sampled_from([3, 4, 50]), min_size=1, max_size=60), st.integers(3, 12))
def test_no_piece_is_too_long_or_a_lone_token(tokens, limit):
    sizes = np.diff(cuts(np.array([5, *tokens, 1]), limit))
    assert sizes.sum() == len(tokens) + 2 and sizes.max() <= limit and sizes.min() >= 2
