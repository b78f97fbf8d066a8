"""Plots: the same bytes for the same figures, a line for each series, and texts that stay texts."""

from xml.etree import ElementTree

import pytest

from openlamda.corpus.calibration import Bin, Calibrated, Platt, Threshold
from openlamda.evaluate import plots
from openlamda.evaluate.figure import Figure

HOSTILE = "<script>alert(1)</script> $x^2 & $"
SVG = "{http://www.w3.org/2000/svg}"


def figures():
    found = [Figure("set/sensible", "bot", 30.0, 25.0, 35.0, 9), Figure("set/words", "bot", 3.0, 3.0, 3.0, 9)]
    for system, value in (("pt small", 40.0), ("pt large", 60.0), ("ours small", 50.0), ("ours large", 70.0)):
        found.append(Figure("set/sensible", system, value, value - 5, value + 5, 9, "automatic"))
        found.append(Figure("set/grounded", system, None, None, None, 0, "automatic"))
    return found


SERIES = {"pt small": "PT", "pt large": "PT", "ours small": HOSTILE, "ours large": HOSTILE}
SIZES = {"pt small": 1_000, "pt large": 10_000, "ours small": 1_000, "ours large": 10_000}


def comments(svg: bytes) -> list[str]:
    """Texts that are drawn; Matplotlib names each before its outlines."""
    tree = ElementTree.fromstring(svg, ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True)))
    return [(node.text or "").strip() for node in tree.iter() if node.tag is ElementTree.Comment]


def test_a_panel_for_each_metric_with_values_and_a_line_for_each_series():
    svg = plots.by_size(figures(), SERIES, SIZES)
    assert svg is not None and svg == plots.by_size(figures(), SERIES, SIZES)
    said = comments(svg)
    assert said.count("set/sensible") == 1
    assert not {"set/grounded", "set/words"} & set(said)  # nothing to show; not a percentage
    assert said.count("PT") == 1 and said.count("bot") == 1 and "weights" in said


def test_names_are_drawn_not_run():
    svg = plots.by_size(figures(), SERIES, SIZES)
    assert svg is not None
    tags = {node.tag for node in ElementTree.fromstring(svg).iter()}
    assert f"{SVG}path" in tags and f"{SVG}script" not in tags and b"<script" not in svg


@pytest.mark.parametrize("found", [[], [Figure("set/words", "bot", 3.0, 3.0, 3.0, 9)]])
def test_nothing_to_show_is_no_plot(found):
    assert plots.by_size(found, {}, {}) is None
    assert plots.reliability({"bot": {}}) is None


def test_reliability_says_each_judges_error():
    judge = Calibrated(Platt(), Threshold(0.5, 0.7, 0.8), 0.0321, (Bin(0.2, 0.1, 5), Bin(0.7, 0.8, 5)), 10, 5)
    svg = plots.reliability({"one": {"unsafe": judge, "sensible": judge}, "two": {"unsafe": judge}})
    assert svg is not None
    said = comments(svg)
    assert said.count("unsafe") == 1 and said.count("one (0.032)") == 2 and said.count("two (0.032)") == 1
