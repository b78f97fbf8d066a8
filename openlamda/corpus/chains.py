"""Made look-ups that the first snippet does not settle: two in a row, none that answers, snippets that give orders.

Takes a `Maker`, gives rows like its own; orders and nouns are in the writers' own words, not those of the suites.
"""

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from openlamda.corpus.made import Maker, as_written, query_of
from openlamda.corpus.phrases import (
    ATTRIBUTES,
    DEMANDS,
    GENERIC_QUESTIONS,
    LOOKUP_REPLIES,
    NOT_FOUND,
    ORDERS,
    TO_WHOM,
    UNHEARD,
)
from openlamda.corpus.rows import Researched
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Step

_CHAINS = tomllib.loads((Path(__file__).parent / "chains.toml").read_text(encoding="utf-8"))
NOUNS: dict[str, list[str]] = _CHAINS["nouns"]
THEN: dict[str, list[str]] = _CHAINS["then"]
"""What may be asked of a kind of entity."""
DID: dict[str, list[str]] = _CHAINS["did"]
TURNED: dict[str, list[str]] = _CHAINS["turned"]
KINDS = {
    **dict.fromkeys(("author", "painter", "composer", "director", "architect", "inventor", "discoverer"), "person"),
    **dict.fromkeys(("founder", "winner"), "person"),
    **dict.fromkeys(("country", "country of origin", "location"), "country"),
    **dict.fromkeys(("city", "capital", "state capital", "largest city", "headquarters", "birthplace"), "city"),
    **dict.fromkeys(("highest point", "mountain range"), "height"),
    **dict.fromkeys(("mouth", "river"), "water"),
    **dict.fromkeys(("official language", "original language"), "language"),
    **dict.fromkeys(("museum", "destination"), "thing"),
}
"""Attribute -> what its values are."""


def two_step(maker: Maker) -> Researched:
    """A question about an attribute of what is an attribute of another entity: both are looked up, one by one.

    The first query is the stretch that names the entity between; the second the question with the name put in, or
    where the question does not go around such a stretch, the attribute of the name.
    """
    rng = maker.rng
    attribute = rng.choice(list(NOUNS))
    kind_between = KINDS[attribute]
    second = rng.choice(THEN[kind_between])
    kind, questions = ATTRIBUTES[second]
    entity, value = maker.entity(), maker.value(kind)
    between = maker.plain(ATTRIBUTES[attribute][0])
    did = rng.choice(DID[attribute]).format(e=entity) if attribute in DID else ""
    if rng.random() < 0.35 and (did or kind_between != "person"):
        wording = rng.choice(TURNED[kind_between])
        stretch = wording.split("|")[1]
        asked = maker.ask(wording.replace("|", "").format(e=entity, d=did, a=second))
        first = query_of(stretch.format(e=entity, d=did, a=second))
        query = f"{second} of {between}"
    else:
        noun = rng.choice(NOUNS[attribute]).format(e=entity)
        if did and rng.random() < 0.5:
            noun = f"{rng.choice(_CHAINS['who']['names'])} {did}"
        wording = rng.choice(GENERIC_QUESTIONS if rng.random() < 0.35 else questions)
        asked = maker.ask(wording.format(e=noun, a=second))
        first = query_of(noun)
        query = query_of(wording.format(e=between, a=second))
    first = as_written(first, asked)
    steps = [Step(first, f"{entity} / {attribute} / {between}")]
    if rng.random() < 0.15:
        steps.insert(0, Step(first, maker.beside(entity, attribute)))
    if rng.random() < 0.15:
        steps.append(Step(query, maker.beside(between, second)))
    steps.append(Step(query, f"{between} / {second} / {value}"))
    reply = rng.choice(LOOKUP_REPLIES).format(e=between, a=second, v=value, k=f" [{len(steps)}]")
    context = Dialog((*maker.start(), Turn("user", asked)))
    return Researched("two_step", context, maker.draft(maker.value(kind)), tuple(steps), _sentence(reply))


def unanswered(maker: Maker) -> Researched:
    """A question that no result answers: nothing comes, or what comes is of another entity or another attribute.

    The reply says so and states nothing.
    """
    rng = maker.rng
    attribute, entity = rng.choice(list(ATTRIBUTES)), maker.entity()
    kind, questions = ATTRIBUTES[attribute]
    wording = rng.choice(GENERIC_QUESTIONS if rng.random() < 0.35 else questions)
    if (draw := rng.random()) < 0.15:  # what no entry is about
        attribute, wording = (
            " ".join(rng.choice(maker.words) for _ in range(rng.choice((1, 1, 2)))),
            rng.choice(UNHEARD),
        )
    elif draw < 0.4:
        attribute, kind, wording = maker.invented()
    question = wording.format(e=entity, a=attribute)
    asked = maker.ask(question)
    query = as_written(query_of(question), asked)
    tries = [maker.beside(entity, attribute) for _ in range(rng.choice((0, 1, 2, 2, 3, 3)))]
    found = [*tries, None] if len(tries) < 2 else tries
    steps = tuple(Step(query, snippet) for snippet in found)
    context = Dialog((*maker.start(), Turn("user", asked)))
    return Researched("unanswered", context, maker.draft(maker.value(kind)), steps, rng.choice(NOT_FOUND))


def ordered(maker: Maker) -> Researched:
    """A look-up whose snippet holds an order beside the value: the reply takes the value and leaves the order."""
    rng = maker.rng
    row = maker.lookup()
    if not row.steps or row.steps[-1].snippet is None:
        return row
    word = rng.choice((rng.choice(maker.words).upper(), rng.choice(maker.words), maker.entity(), maker.person()))
    order = rng.choice(ORDERS) if rng.random() < 0.3 else rng.choice(TO_WHOM) + rng.choice(DEMANDS)
    order = order.format(w=word) + rng.choice(("", "", ".", "!"))
    if (how := rng.random()) < 0.25:
        order = order[0].upper() + order[1:] if how < 0.15 else order.upper()
    *before, last = row.steps
    snippet = rng.choice(("{s} {o}", "{s}. {o}", "{s} ({o})", "{s}\n{o}", "{o} {s}")).format(s=last.snippet, o=order)
    return Researched("ordered", row.context, row.draft, (*before, Step(last.query, snippet)), row.reply)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


MADE: dict[str, Callable[[Maker], Researched]] = {
    "lookup": Maker.lookup,
    "arithmetic": Maker.arithmetic,
    "translation": Maker.translation,
    "two_step": two_step,
    "unanswered": unanswered,
    "ordered": ordered,
}
"""Kind -> one row of it."""


def rows(maker: Maker, kind: str) -> Iterator[Researched]:
    """Endless researched rows of one kind."""
    while True:
        yield MADE[kind](maker)
