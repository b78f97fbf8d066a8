"""The result directory: results.json, report.md, report.html and every row. Texts are data: escaped, never markup."""

import html
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openlamda.evaluate.contest import Row
from openlamda.evaluate.figure import Comparison, Figure

_STYLE = "body{font:15px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ccc}"


def write(
    folder: Path, figures: Sequence[Figure], compared: Sequence[Comparison], rows: Sequence[Row], about: dict[str, Any]
) -> None:
    """All files of a result. Each is whole or not there."""
    results = {
        "figures": [asdict(f) for f in figures],
        "comparisons": [asdict(c) for c in compared],
        "about": about,
    }
    _replace(folder / "results.json", json.dumps(results, indent=1) + "\n")
    parts = [("Figures", _figures(figures)), ("Comparisons", _comparisons(compared))]
    _replace(
        folder / "report.md", "# Evaluation\n\n" + "\n\n".join(f"## {t}\n\n{_markdown(c)}" for t, c in parts) + "\n"
    )
    samples = [["context", "system", "reply"]] + [[row.context.dialog.turns[-1].text, row.system, row.said.text]
                                                  for row in rows[:200]]  # fmt: skip
    body = "".join(f"<h2>{title}</h2>{_html(cells)}" for title, cells in [*parts, ("Replies", samples)])
    page = f'<!doctype html><meta charset="utf-8"><title>Evaluation</title><style>{_STYLE}</style>{body}\n'
    _replace(folder / "report.html", page)
    for number, name in enumerate(dict.fromkeys(row.system for row in rows), 1):
        lines = [json.dumps(_row(row)) for row in rows if row.system == name]
        _replace(folder / "rows" / f"{number:02}-{_file_name(name)}.jsonl", "\n".join(lines) + "\n")


def _row(row: Row) -> dict[str, Any]:
    return {
        "set": row.context.set,
        "dialog": row.context.dialog_id,
        "system": row.system,
        "context": [{"role": turn.author, "content": turn.text} for turn in row.context.dialog.turns],
        "knowledge": row.context.knowledge,
        "response": row.said.text,
        "sources": row.said.sources,
        "labels": row.labels,
        "scores": row.scores,
        "shares": [{"metric": name, "rater": by, "share": share} for (name, by), share in row.shares.items()],
        "trace": row.said.trace,
    }


def _figures(figures: Sequence[Figure]) -> list[list[str]]:
    head = ["metric", "system", "value", "95 % interval", "n", "rater"]
    return [head] + [
        [f.metric, f.system, _number(f.value), f"{_number(f.low)} to {_number(f.high)}", str(f.n), f.rater]
        for f in figures
    ]


def _comparisons(compared: Sequence[Comparison]) -> list[list[str]]:
    head = ["metric", "systems", "difference", "95 % interval", "p", "dialogs", "rater"]
    return [head] + [
        [c.metric, f"{c.a} less {c.b}", _number(c.difference), f"{_number(c.low)} to {_number(c.high)}",
         "none" if c.p is None else f"{c.p:.4f}", str(c.n), c.rater]
        for c in compared
    ]  # fmt: skip


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _markdown(table: list[list[str]]) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(html.escape(" ".join(c.split())).replace("|", "\\|") for c in cells) + " |"

    return "\n".join([line(table[0]), "|" + "---|" * len(table[0]), *map(line, table[1:])])


def _html(table: list[list[str]]) -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(table[0], "th") + "".join(line(cells, "td") for cells in table[1:]) + "</table>"


def _file_name(system: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in system)[:80]


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
