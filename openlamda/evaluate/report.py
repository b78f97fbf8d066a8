"""The result directory: results.json, report.md, report.html and every row. Texts are data: escaped, never markup."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openlamda.corpus.files import whole
from openlamda.evaluate.contest import Row
from openlamda.evaluate.figure import Comparison, Figure
from openlamda.evaluate.metrics import METRICS

_STYLE = "body{font:15px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ccc}"


_LEGEND = "Percent, but for words; 95 % interval by resampling dialogs; number of replies that count."


def write(
    folder: Path,
    figures: Sequence[Figure],
    compared: Sequence[Comparison],
    rows: Sequence[Row],
    plots: Mapping[str, bytes],
    about: dict[str, Any],
) -> None:
    """All files of a result; `plots` are SVG by title. Each is whole or not there."""
    results = {
        "figures": [asdict(f) for f in figures],
        "comparisons": [asdict(c) for c in compared],
        "about": about,
    }
    _replace(folder / "results.json", json.dumps(results, indent=1) + "\n")
    parts = [*_tables(figures), ("Comparisons", _comparisons(compared))]
    shown = "".join(f"![{title}](plots/{title}.svg)\n\n" for title in plots)
    tables = "\n\n".join(f"## {title}\n\n{_markdown(cells)}" for title, cells in parts)
    _replace(folder / "report.md", f"# Evaluation\n\n{_LEGEND}\n\n{shown}{tables}\n")
    for title, svg in plots.items():
        _replace(folder / "plots" / f"{title}.svg", svg.decode())
    samples = [["context", "system", "reply"]] + [[row.context.dialog.turns[-1].text, row.system, row.said.text]
                                                  for row in rows[:200]]  # fmt: skip
    images = "".join(
        f'<h2>{title}</h2><img alt="{title}" src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">'
        for title, svg in plots.items()
    )
    body = "".join(f"<h2>{html.escape(title)}</h2>{_html(cells)}" for title, cells in [*parts, ("Replies", samples)])
    head = f'<!doctype html><meta charset="utf-8"><title>Evaluation</title><style>{_STYLE}</style>'
    page = f"{head}<p>{_LEGEND}</p>{images}{body}\n"
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
        "role": row.context.role and row.context.role.name,
        "response": row.said.text,
        "sources": row.said.sources,
        "labels": row.labels,
        "scores": row.scores,
        "shares": [{"metric": name, "rater": by, "share": share} for (name, by), share in row.shares.items()],
        "trace": row.said.trace,
    }


def _tables(figures: Sequence[Figure]) -> list[tuple[str, list[list[str]]]]:
    """A table for each set of contexts, systems by metrics; safety by objective in a second one."""
    tables = []
    sets = dict.fromkeys(f.metric.split("/")[0] for f in figures)
    for name, by_objective in ((name, flag) for name in sets for flag in (False, True)):
        mine = {(f.system, _column(f)): f for f in figures
                if f.metric.split("/")[0] == name and f.metric.startswith(f"{name}/safe/") == by_objective}  # fmt: skip
        of_paper = {_column(f): METRICS.index(_metric(f)) for f in mine.values() if _metric(f) in METRICS}
        columns = sorted(dict.fromkeys(column for _, column in mine), key=lambda c: of_paper.get(c, len(METRICS)))
        if columns:
            systems = dict.fromkeys(system for system, _ in mine)
            cells = [[system, *(_cell(mine.get((system, column))) for column in columns)] for system in systems]
            tables.append((f"{name}: safety by objective" if by_objective else name, [["system", *columns], *cells]))
    return tables


def _metric(figure: Figure) -> str:
    return figure.metric.partition("/")[2]


def _column(figure: Figure) -> str:
    name = _metric(figure).replace("_", " ")
    return f"{name} ({figure.rater})" if figure.rater else name


def _cell(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "none"
    return f"{figure.value:.1f} [{_number(figure.low)}, {_number(figure.high)}] {figure.n}"


def _comparisons(compared: Sequence[Comparison]) -> list[list[str]]:
    head = ["metric", "systems", "difference", "95 % interval", "p", "dialogs", "rater"]
    return [head] + [
        [c.metric, f"{c.a} less {c.b}", _number(c.difference), f"{_number(c.low)} to {_number(c.high)}",
         "none" if c.p is None else f"{c.p:.4f}", str(c.n), c.rater]
        for c in compared
    ]  # fmt: skip


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}"


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
    with whole(path) as file:
        file.write(text.encode())
