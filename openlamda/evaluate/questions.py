"""Questions with one right answer: arithmetic, the bundled knowledge, and the same knowledge with false values."""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from openlamda.dialog.lamda import Lamda, Reply
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn
from openlamda.tools.search import Fact


def swapped(facts: Sequence[Fact], seed: int = 0) -> list[Fact]:
    """The facts, each with the value of another entity's same attribute wherever there is a different one."""
    by_attribute: dict[str, list[int]] = defaultdict(list)
    for number, fact in enumerate(facts):
        by_attribute[fact.attribute].append(number)
    rng, result = random.Random(seed), list(facts)
    for numbers in by_attribute.values():
        for number in numbers:
            others = sorted({facts[n].value for n in numbers} - {facts[number].value})
            if others:
                result[number] = replace(facts[number], value=rng.choice(others))
    return result


def holds_number(text: str, number: str) -> bool:
    """Whether `number` stands in the text, with or without thousands commas."""
    found = (n.replace(",", "") for n in re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?", text))
    return number in {*(found := list(found)), *(n.lstrip("-") for n in found)}


def query_found(row: dict[str, Any], reply: Reply) -> bool:
    """Whether some query brought what answers the question: the right number, or the entry of the wanted fact."""
    results = [asked.result for asked in reply.trace.research if asked.result is not None]
    if "answer" in row:
        return any(holds_number(result.text, row["answer"]) for result in results)
    return any(result.text.startswith(f"{row['entity']} / {row['attribute']} / ") for result in results)


def ask_arithmetic(rows: Sequence[dict[str, Any]], lamda: Lamda) -> Iterator[tuple[dict[str, Any], Reply, bool]]:
    """Each row with the reply and whether it holds the right number."""
    for seed, row in enumerate(rows):
        reply = lamda.reply(Dialog((Turn("user", row["question"]),)), seed=seed)
        yield row, reply, holds_number(reply.text, row["answer"])


def ask_knowledge(
    rows: Sequence[dict[str, Any]], facts: Sequence[Fact], lamda: Lamda
) -> Iterator[tuple[dict[str, Any], Reply, bool]]:
    """Each row with the reply and whether it holds the value that `facts` give and cites that entry."""
    known = {(fact.entity, fact.attribute): fact for fact in facts}
    for seed, row in enumerate(rows):
        fact = known.get((row["entity"], row["attribute"]))
        if fact is None:
            raise UserError(f"question {row['question']!r}: no fact {row['entity']} / {row['attribute']}")
        reply = lamda.reply(Dialog((Turn("user", row["question"]),)), seed=seed)
        said = re.sub(r"\W+", " ", reply.text.casefold())
        value = re.sub(r"\W+", " ", fact.value.casefold()).strip()
        right = f" {value} " in f" {said} "
        yield row, reply, right and any(source.url == fact.url for source in reply.sources)
