"""The page ranks candidates as dialog/rank.py and dialog/lamda.py do."""

import math
import random
from dataclasses import replace
from typing import Any

from openlamda.dialog import rank
from openlamda.dialog.judge import Judges
from openlamda.dialog.lamda import Lamda
from openlamda.dialog.roles import Role
from openlamda.engine.scripted import ScriptedModel
from openlamda.text.dialog import Dialog, Result, Turn
from openlamda.text.tokenizer import Symbol
from openlamda.tools.base import Toolset

RERANK = """async (cases) => {
  const { rerank } = await import("/static/js/rerank.js");
  return cases.map(([candidates, thresholds, weights]) => rerank(candidates, thresholds, weights));
}"""
SAID = ["Kraim is 12 metres high [1]", "Kraim is 13 metres high [1]", "It was 99", "Kraim is nice", "hello", ""]


def chosen(candidates: list[dict], thresholds: dict[str, float], weights: dict[str, float], monkeypatch) -> int:
    """By rank.py: filter first, then the first of the best."""
    monkeypatch.setattr(rank, "WEIGHTS", {name: weights[name] for name in rank.WEIGHTS})
    monkeypatch.setattr(rank, "GROUNDED_WEIGHT", weights["grounded"])
    left = [i for i, c in enumerate(candidates) if rank.is_safe(c["scores"], thresholds)]
    return max(left, key=lambda i: rank.quality(candidates[i]["scores"]), default=-1)


def test_random_scores_thresholds_and_weights(blank, monkeypatch):
    rng = random.Random(7)
    names = ("sensible", "specific", "interesting", "safe", "grounded", "safe/health")
    cases = []
    for _ in range(150):
        judged = rng.sample(names, rng.randint(2, 6))
        few = rng.random() < 0.5  # coarse values make ties
        draw = (lambda: rng.choice((0.2, 0.5, 0.8))) if few else rng.random
        candidates = [
            {"text": f"t{i}", "scores": {name: draw() for name in judged}, "dropped": None} for i in range(16)
        ]
        thresholds = {name: draw() for name in rng.sample(("safe", "safe/health", "sensible"), rng.randint(0, 3))}
        weights = {name: rng.choice((0.0, 1.0, 3.0, rng.random())) for name in rank.WEIGHTS | {"grounded": 0}}
        cases.append((candidates, thresholds, weights))
    found = blank.evaluate(RERANK, cases)
    for (candidates, thresholds, weights), outcome in zip(cases, found, strict=True):
        assert outcome["chosen"] == chosen(candidates, thresholds, weights, monkeypatch)
        for candidate, fate in zip(candidates, outcome["fates"], strict=True):
            assert fate["quality"] == rank.quality(candidate["scores"])  # to the last bit
            assert (fate["dropped"] == "unsafe") != rank.is_safe(candidate["scores"], thresholds)


class Found:
    """A tool that knows one thing."""

    name = "search"

    def __call__(self, query: str) -> list[Result]:
        return [Result("Kraim / height / 12 metres", "https://example.org/1", "Kraim")]


def agent(tokenizer: Any, seed: int) -> Lamda:
    """An agent that draws, looks up and draws again, with random texts and ratings."""

    def say(prefix: Any, n: int) -> list[tuple[int, ...]]:
        if prefix[-1] == Symbol.TS:
            return [tuple(tokenizer.encode("Kraim"))]
        rng = random.Random(f"{seed} {prefix[-1]}")
        return [tuple(tokenizer.encode(rng.choice(SAID))) for _ in range(n)]

    def rate(prefix: Any, continuation: Any) -> list[float]:
        if continuation == (Symbol.TS,):
            return [0.0 if Symbol.SNIPPET not in prefix else -9.0]
        if continuation == (Symbol.USER,):
            return [-1.0]
        *reply, attribute, rating = continuation
        p = random.Random(f"{seed} {tokenizer.decode(reply)} {attribute}").uniform(0.02, 0.98)
        return [0.0] * (len(reply) + 1) + [math.log(p if rating == Symbol.YES else 1 - p)]

    judges = Judges(attributes=("sensible", "specific", "interesting", "unsafe", "grounded"), thresholds={"safe": 0.3})
    return Lamda(ScriptedModel(say, rate), tokenizer, Toolset([Found()]), judges=judges, window=400)


def test_a_trace_ranked_again_is_what_a_stricter_agent_says(blank, tokenizer):
    dialog, cases, wanted = Dialog((Turn("user", "how high is Kraim"),)), [], []
    for seed in range(40):
        lamda = agent(tokenizer, seed)
        trace = lamda.reply(dialog).trace.to_json()
        for safe in (0.3, 0.5, 0.8):
            lamda.role = replace(Role(), safe=safe)
            stricter = lamda.reply(dialog).trace.to_json()
            for name in set(stricter["rounds"]) & set(trace["rounds"]):
                cases.append((trace["rounds"][name], {"safe": safe}, {}))
                wanted.append(stricter["rounds"][name])
    assert len(cases) > 150
    for outcome, candidates in zip(blank.evaluate(RERANK, cases), wanted, strict=True):
        assert [fate["dropped"] for fate in outcome["fates"]] == [c["dropped"] for c in candidates]
        assert outcome["chosen"] == next((i for i, c in enumerate(candidates) if c["chosen"]), -1)
