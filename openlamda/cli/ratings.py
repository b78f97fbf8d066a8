"""`openlamda ratings`."""

import json as jsonlib
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from openlamda.corpus import objectives as objectives_file
from openlamda.corpus import ratings
from openlamda.dialog.trace import printable


def check(*files: Path, objectives: Path | None = None, lenient: bool = False, json: bool = False) -> None:
    """Read ratings files as training does, and show what is in them: labels, raters, how often raters agree.

    Faulty rows (an unknown attribute, 2 raters where 5 are needed, a vote that is no vote, a rater who votes twice)
    end it with exit code 2 and the rows' numbers.

    Parameters
    ----------
    files
        JSON Lines, a row {"context": [turns], "response": "...", "votes": [{"rater": "r1", "sensible": "yes", ...}]}.
        Safety votes stand under "objectives": {"rater": "r1", "objectives": {"slurs": "no", ...}}.
    objectives
        A TOML file of a team's own safety objectives, in place of those that ship.
    lenient
        Leave faulty rows and votes out, and count them.
    json
        Print one JSON object.
    """
    rules = objectives_file.read(objectives) if objectives else objectives_file.read()
    read = ratings.read(list(files), rules, lenient=lenient)
    labels: dict[str, Counter[bool]] = {}
    for row in read.rows:
        for name, label in ratings.labels(row, rules).items():
            labels.setdefault(name, Counter())[label] += 1
    agreement = {name: _agreement(read.rows, name) for name in labels if "/" not in name and name != "unsafe"}
    raters = {ballot.rater for row in read.rows for ballot in row.ballots}
    if json:
        each = {name: {"yes": n[True], "no": n[False], "agreement": agreement.get(name)} for name, n in labels.items()}
        whole = {"rows": len(read.rows), "raters": len(raters), "labels": each, "dropped": dict(read.dropped)}
        print(jsonlib.dumps(whole))
        return
    table = Table("attribute", "rows", "yes", "two raters agree")
    for name, count in sorted(labels.items()):
        total, same = sum(count.values()), agreement.get(name)
        shown = "" if same is None else f"{same:.0%}"
        table.add_row(printable(name), str(total), f"{count[True] / total:.0%}", shown)
    console = Console()
    console.print(f"{len(read.rows)} replies, {len(raters)} raters")
    console.print(table)
    for reason, count in read.dropped.most_common():
        console.print(f"left out: {count} with {reason}", markup=False)


def _agreement(rows: tuple[ratings.Rated, ...], name: str) -> float | None:
    """The share of pairs of raters of one reply who gave the same vote, cascaded."""
    same = pairs = 0
    for row in rows:
        counts = Counter(ballot[name] for ballot in ratings.counted(row) if name in ballot)
        n = sum(counts.values())
        pairs += n * (n - 1)
        same += sum(count * (count - 1) for count in counts.values())
    return same / pairs if pairs else None
