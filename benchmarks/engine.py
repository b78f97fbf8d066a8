"""The engine beside `transformers` and llama.cpp's server, and what a reply, a dialog and a crowd cost, in one run.

    pip install -e '.[evaluate]' torch transformers gguf && python benchmarks/engine.py --llama-server PATH -o DIR

The first part draws 16 continuations of 64 tokens after a prompt of 512 that was not seen before, in float32, with
models of one size (4 layers, 9.4 million weights): openlamda's, a Llama of `transformers`, and the same in llama.cpp,
whose server has 16 slots. Each is a process of its own and they run in turns. What is not installed is left out. The
second part is of the model that ships, by the clock around `Lamda.reply`. DIR gets results.json, a table and a plot.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import contestants

PARTS = ("decoding", "judging", "research", "dialogs", "crowd", "starting")
PROMPT, CANDIDATES, NEW = 512, 16, 64
OPENINGS = ("Do you like {}?", "Tell me something about {}.", "I have been thinking of {} all day.", "Why {}?")
SUBJECTS = ("rain", "old maps", "running", "the sea", "chess", "bread", "my garden", "trains", "birds", "winter")
TURNS = ("I like walking in the rain.", "What do you think of old maps?", "My garden is full of birds.")


@dataclass
class Result:
    """One line of the table."""

    name: str
    value: float
    unit: str
    note: str = ""


def decoding(arguments: argparse.Namespace) -> list[Result]:
    """Tokens a second of each contestant, and what share of the machine's products ours is."""
    processes = {}
    for name in contestants.available(arguments.llama_server):
        command = [sys.executable, contestants.__file__, name, str(arguments.llama_server)]
        processes[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    try:
        for number in range(-2, arguments.rounds):  # the first two compile and warm up
            for name, process in processes.items():
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(f"{number}\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    raise SystemExit(f"{name} ended: {process.wait()}")
                if number >= 0:
                    seconds[name].append(float(line))
    finally:
        for process in processes.values():
            process.communicate()  # the end of its input is its end
    product = seconds.pop("product")
    tokens = CANDIDATES * NEW
    ours = seconds["openlamda"]
    results = [Result(f"draw: {name}", tokens / median(times), "tokens/s") for name, times in seconds.items()]
    for name in seconds.keys() - {"openlamda"}:
        ratios = [theirs / own for theirs, own in zip(seconds[name], ours, strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        results.append(Result(f"draw: openlamda over {name}", median(ratios), "x", spread))
    rate = contestants.PRODUCT_FLOPS / median(product)
    flops = contestants.flops(PROMPT, CANDIDATES, NEW)
    share = flops / median(ours) / rate
    results.append(Result("draw: share of the matrix product's rate", share, "", f"{rate / 1e9:.0f} GFLOP/s"))
    return results


def timed(call: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    """Seconds, and the result."""
    began = time.perf_counter()
    result = call(*arguments, **options)
    return time.perf_counter() - began, result


def written(value: float) -> str:
    """Four digits, or all before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def judging(lamda: Any, rounds: int) -> list[Result]:
    """What rating 16 candidates on five attributes costs beside drawing them."""
    from openlamda.engine.base import Sampling
    from openlamda.text.dialog import Dialog, Turn
    from openlamda.text.grammar import ATTRIBUTES, UNSPOKEN
    from openlamda.text.tokenizer import Symbol

    questions = [lamda.grammar.question(name).tokens for name in ATTRIBUTES]
    results = []
    for name, stop in (("64 tokens each", ()), ("as long as they are", (1,))):
        sampling = Sampling(max_tokens=NEW, stop=stop, banned=UNSPOKEN)
        shares = []
        for number in range(-3, rounds):
            asked = OPENINGS[number % 4].format(SUBJECTS[number % 10])
            prompt = lamda.grammar.generate(Dialog((Turn("user", f"Hello, number {number}. {asked}"),))).tokens
            draw, drawn = timed(lamda.model.sample, prompt, CANDIDATES, sampling, number)
            replies = list(dict.fromkeys(candidate.tokens for candidate in drawn))
            rate, _ = timed(lamda.model.rate, prompt, replies, questions, Symbol.YES, Symbol.NO)
            if number >= 0:
                shares.append(rate / draw)
        results.append(Result(f"judging 16 x 5 over drawing, {name}", 100 * median(shares), "%"))
    return results


def research(lamda: Any, rounds: int) -> list[Result]:
    """A whole reply with one look-up over drawing the 16 candidates out of which it is chosen."""
    from openlamda.text.dialog import Dialog
    from openlamda.tools.search import read_facts

    names = [fact.entity for fact in read_facts() if fact.attribute == "capital"]
    plain, drafts, whole = [], [], []
    for number in range(-6, rounds):
        dialog = Dialog().say("user", f"What is the capital of {names[number % len(names)]}?")
        taken, reply = timed(lamda.reply, dialog, seed=number + 6)
        if number >= 0 and len(reply.trace.research) == 1:
            plain.append(reply.trace.timings["final: sample"])
            drafts.append(reply.trace.timings["draft: sample"])
            whole.append(taken)
    return [
        Result("a reply with one look-up over drawing its candidates", median(whole) / median(plain), "x"),
        Result("drawing its candidates", 1000 * median(plain), "ms"),
        Result("drawing the drafts before the look-up", 1000 * median(drafts), "ms"),
        Result("a reply with one look-up", 1000 * median(whole), "ms", f"median of {len(whole)}"),
    ]


def dialogs(lamda: Any, rounds: int) -> list[Result]:
    """The time of turn 20 over that of turn 2 of a dialog whose turns are given. They take turns, as the machine's
    speed changes, and each time the same text follows a number that makes it new.
    """
    from openlamda.text.dialog import Dialog

    ratios = []
    for number in range(-1, rounds):
        dialog, before = Dialog(), {}
        for turn in range(1, 21):
            before[turn] = dialog
            dialog = dialog.say("user", f"{number}: {TURNS[1]}")
            if turn < 20:
                lamda.reply(dialog)
            dialog = dialog.say("agent", TURNS[2])
        seconds: dict[int, list[float]] = {2: [], 20: []}
        for seed in range(7):
            for turn, times in seconds.items():
                new = before[turn].say("user", f"{number}, {seed}: {TURNS[1]}")
                times.append(timed(lamda.reply, new, seed=seed)[0])
        if number >= 0:
            ratios.append(median(seconds[20]) / median(seconds[2]))
    return [Result("turn 20 over turn 2", median(ratios), "x", f"{min(ratios):.2f} to {max(ratios):.2f}")]


def crowd(lamda: Any, chats: int) -> list[Result]:
    """Many chats at once over one after the other; a quarter of them are broken off, and nothing else is lost."""
    from openlamda.engine.base import Cancelled, Limits
    from openlamda.text.dialog import Dialog

    def chat(number: int, limits: Limits | None = None) -> list[float]:
        agent = lamda.over(lamda.model.within(limits)) if limits else lamda
        dialog, seconds = Dialog(), []
        for turn in range(3):
            dialog = dialog.say("user", OPENINGS[(number + turn) % 4].format(SUBJECTS[(number + 3 * turn) % 10]))
            taken, reply = timed(agent.reply, dialog, seed=number)
            seconds.append(taken)
            dialog = dialog.say("agent", reply.text)
        return seconds

    def at_once(numbers: Sequence[int], limits: dict[int, Limits]) -> tuple[float, dict[int, Any]]:
        found: dict[int, Any] = {}

        def run(number: int) -> None:
            try:
                found[number] = chat(number, limits.get(number))
            except Cancelled as error:
                found[number] = error

        threads = [threading.Thread(target=run, args=(number,)) for number in numbers]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for cancelled in limits.values():
            time.sleep(0.1)
            cancelled.cancelled.set()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began, found

    at_once(range(chats), {})
    alone, _ = timed(lambda: [chat(number) for number in range(1000, 1000 + chats)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    together, found = at_once(range(1000, 1000 + chats), {})
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    waits = sorted(seconds for chat in found.values() for seconds in chat)
    broken = {number: Limits(cancelled=threading.Event()) for number in range(2000, 2000 + chats // 4)}
    _, found = at_once(range(2000, 2000 + chats), broken)
    lost = sum(not isinstance(found.get(number), list) for number in range(2000 + chats // 4, 2000 + chats))
    return [
        Result("one chat after the other", 3 * chats / alone, "replies/s"),
        Result(f"{chats} chats at once", 3 * chats / together, "replies/s", f"{alone / together:.2f}x"),
        Result("time to reply in a crowd, median", 1000 * median(waits), "ms"),
        Result("time to reply in a crowd, p99", 1000 * waits[int(0.99 * len(waits))], "ms"),
        Result("memory that the crowd adds", (after - before) / 1024, "MiB", f"{after / 1024:.0f} MiB in all"),
        Result(f"replies lost when {len(broken)} leave half way", lost, "", f"{len(found)} chats ended"),
    ]


def starting() -> list[Result]:
    """From the start of Python to the first reply, with compiled code of earlier starts and without."""
    command = [sys.executable, "-m", "openlamda", "chat", "--once", "What is the capital of France?"]
    results = []
    with tempfile.TemporaryDirectory() as home:
        for name in ("without compiled code", "with compiled code"):
            began = time.perf_counter()
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, env=os.environ | {"XDG_CACHE_HOME": home}
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                results.append(Result(f"start to first reply, {name}", time.perf_counter() - began, "s"))
    return results


def plot(results: list[Result], path: Path) -> None:
    """Tokens a second as bars."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    bars = [(r.name.removeprefix("draw: "), r.value) for r in results if r.unit == "tokens/s"]
    figure, panel = pyplot.subplots(figsize=(6, 0.6 + 0.5 * len(bars)))
    panel.barh([name for name, _ in bars][::-1], [value for _, value in bars][::-1])
    panel.set_xlabel(f"tokens/s: {CANDIDATES} x {NEW} tokens after a prompt of {PROMPT}")
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model directory; default: the one that ships")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--chats", type=int, default=32)
    parser.add_argument("--llama-server", type=Path, default=Path("llama-server"))
    names = ["decoding", "judging", "research", "dialogs", "crowd", "starting"]
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    from openlamda.loading import load

    results: list[Result] = []
    if "decoding" in arguments.only:
        results += decoding(arguments)
    lamda = load(arguments.model)
    parts: dict[str, Callable[[], list[Result]]] = {
        "judging": lambda: judging(lamda, 3 * arguments.rounds),
        "research": lambda: research(lamda, 3 * arguments.rounds),
        "dialogs": lambda: dialogs(lamda, min(3, arguments.rounds)),
        "crowd": lambda: crowd(lamda, arguments.chats),
        "starting": starting,
    }
    for name, part in parts.items():
        if name in arguments.only:
            results += part()
    table = "\n".join(f"| {r.name} | {written(r.value)} {r.unit} | {r.note} |" for r in results)
    print(f"| | | |\n|---|---:|---|\n{table}")
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "results.json").write_text(json.dumps([vars(result) for result in results], indent=2))
        (arguments.output / "table.md").write_text(f"| | | |\n|---|---:|---|\n{table}\n")
        plot(results, arguments.output / "tokens.svg")


if __name__ == "__main__":
    main()
