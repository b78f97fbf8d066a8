"""What judging sixteen candidates on five attributes costs beside drawing them, by the clock around the engine's calls.

python benchmarks/judging.py [--model DIR] [--rounds 50]

`drafts`: candidates of a dialog, rated where they were drawn. `final`: candidates drawn after a look-up, whose prompt
no judge reads: they are read again, once without and once with the snippet. Medians, compiled and warm.
"""

import argparse
import statistics
import time
from pathlib import Path

from openlamda.engine.base import Sampling
from openlamda.loading import load
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import ATTRIBUTES, UNSPOKEN, Step
from openlamda.text.tokenizer import Symbol

OPENINGS = ("Do you like {}?", "Tell me something about {}.", "I have been thinking of {} all day.", "Why {}?")
SUBJECTS = ("rain", "old maps", "running", "the sea", "chess", "bread", "my garden", "trains", "birds", "winter")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=50)
    args = parser.parse_args()
    lamda = load(args.model)
    grammar, model = lamda.grammar, lamda.model
    sampling = Sampling(max_tokens=64, banned=UNSPOKEN)
    questions = {name: grammar.question(name).tokens for name in ATTRIBUTES}
    alone = [tokens for name, tokens in questions.items() if name != "grounded"]
    seconds: dict[str, list[float]] = {}

    def timed(name, call, *arguments):
        began = time.perf_counter()
        result = call(*arguments)
        seconds.setdefault(name, []).append(time.perf_counter() - began)
        return result

    for number in range(-3, args.rounds):  # the first three compile
        if number == 0:
            seconds.clear()
        subject = SUBJECTS[number % len(SUBJECTS)]
        asked = OPENINGS[number // len(SUBJECTS) % len(OPENINGS)].format(subject)
        context = Dialog((Turn("user", f"Hello, number {number}."), Turn("agent", "Hello!"), Turn("user", asked)))
        prompt = grammar.generate(context).tokens
        drawn = timed("drafts: draw", model.sample, prompt, 16, sampling, number)
        replies = [candidate.tokens for candidate in drawn]
        timed("drafts: judge", model.rate, prompt, replies, [*questions.values()], Symbol.YES, Symbol.NO)

        snippet = f"{subject} / Kind / {subject} of number {number}"
        prompt = grammar.research(context, "I am not sure.", [Step(subject, snippet)], answer=True).tokens
        drawn = timed("final: draw", model.sample, prompt, 16, sampling, number)
        replies = list(dict.fromkeys(candidate.tokens for candidate in drawn))

        def judge_final(context=context, replies=replies, snippet=snippet):
            model.rate(grammar.judge(context).tokens, replies, alone, Symbol.YES, Symbol.NO)
            read = grammar.judge(context, snippets=[snippet]).tokens
            model.rate(read, replies, [questions["grounded"]], Symbol.YES, Symbol.NO)

        timed("final: judge", judge_final)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for name in ("drafts", "final"):
        draw, judge = median[f"{name}: draw"], median[f"{name}: judge"]
        print(f"{name:7} draw {1000 * draw:6.1f} ms   judge {1000 * judge:6.1f} ms   {judge / draw:.1%}")


if __name__ == "__main__":
    main()
