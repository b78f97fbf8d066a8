"""Plots of results as SVG: metrics over model sizes as in the paper's figures, and judges' reliability.

Takes figures and calibrations, gives bytes; texts in them are drawn, never markup.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from openlamda.corpus.calibration import Calibrated
from openlamda.evaluate.figure import Figure
from openlamda.evaluate.metrics import METRICS

COLUMNS = 3


def by_size(figures: Sequence[Figure], series: Mapping[str, str], sizes: Mapping[str, int]) -> bytes | None:
    """A panel for each metric: a line for each series over the number of weights, with 95 % intervals; systems without
    weights are level lines. None where no metric of METRICS has a value.
    """
    drawn = [f for f in figures if f.value is not None and f.metric.rpartition("/")[2] in METRICS]
    names = sorted({f.metric for f in drawn}, key=lambda n: (n.rpartition("/")[0], METRICS.index(n.rpartition("/")[2])))
    if not names:
        return None
    figure, panels = _panels(len(names))
    lines = list(dict.fromkeys(series.get(f.system) or f.system for f in drawn))
    color = {line: f"C{number % 10}" for number, line in enumerate(lines)}
    for panel, name in zip(panels, names, strict=False):
        for line in lines:
            points = [f for f in drawn if f.metric == name and (series.get(f.system) or f.system) == line]
            sized = sorted(((sizes[f.system], f) for f in points if f.system in sizes), key=lambda pair: pair[0])
            for f in points:
                if f.system not in sizes:
                    panel.axhline(f.value, color=color[line], linestyle="--", linewidth=1, label=_plain(line))
            if sized:
                value, below, above = zip(*(_whiskers(f) for _, f in sized), strict=True)
                panel.errorbar(
                    [size for size, _ in sized], value, (below, above), color=color[line], marker="o", markersize=4,
                    capsize=2, linewidth=1.5, label=_plain(line),
                )  # fmt: skip
                panel.set_xscale("log")
        panel.set_title(_plain(name), fontsize=10)
        panel.set_ylabel("%", fontsize=8)
        panel.set_xlabel("weights", fontsize=8)
    legends = [zip(*panel.get_legend_handles_labels(), strict=True) for panel in panels]
    handles = {label: handle for legend in legends for handle, label in legend}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return _svg(figure)


def _whiskers(figure: Figure) -> tuple[float, float, float]:
    """The value, and how far its interval goes below and above it."""
    assert figure.value is not None and figure.low is not None and figure.high is not None
    return figure.value, max(0.0, figure.value - figure.low), max(0.0, figure.high - figure.value)


def reliability(calibrations: Mapping[str, Mapping[str, Calibrated]]) -> bytes | None:
    """A panel for each attribute: of each system's judge, the share of true labels over the P that it gave. None
    without calibrated judges.
    """
    names = list(dict.fromkeys(name for judges in calibrations.values() for name in judges))
    if not names:
        return None
    figure, panels = _panels(len(names))
    for panel, name in zip(panels, names, strict=False):
        panel.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for number, (system, judges) in enumerate(calibrations.items()):
            if name in judges:
                bins = judges[name].reliability
                label = f"{_plain(system)} ({judges[name].expected_calibration_error:.3f})"
                panel.plot([b.predicted for b in bins], [b.true for b in bins], marker="o", markersize=3, linewidth=1,
                           color=f"C{number % 10}", label=label)  # fmt: skip
        panel.set_title(_plain(name), fontsize=10)
        panel.set_xlabel("P", fontsize=8)
        panel.set_ylabel("share of yes", fontsize=8)
        panel.legend(fontsize=6, frameon=False)
    return _svg(figure)


def _panels(count: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure as Canvas

    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    canvas = Canvas(figsize=(3.6 * columns, 2.9 * rows + 0.6), layout="constrained")
    panels = list(canvas.subplots(rows, columns, squeeze=False).flat)
    for panel in panels[count:]:
        panel.set_axis_off()
    for panel in panels[:count]:
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    return canvas, panels[:count]


def _plain(text: str) -> str:
    """As it is: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def _svg(canvas: Any) -> bytes:
    """The same bytes for the same figure: no date, no random ids."""
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "openlamda", "svg.fonttype": "path"}):
        canvas.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
