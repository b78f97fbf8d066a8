"""What docs/tools.md shows is what the tools say."""

import re
from pathlib import Path

import pytest

from openlamda.tools.calculator import Calculator
from openlamda.tools.translation.dictionary import Dictionary
from openlamda.tools.translator import Translator

TEXT = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
ANSWERED = re.findall(r"^\| `(.+)` \| `(.+)` \|$", TEXT, re.MULTILINE)
UNANSWERED = re.findall(r"^\| `(.+)` \| [^`].*\|$", TEXT, re.MULTILINE)
tools = (Calculator(), Translator([Dictionary()]))


@pytest.mark.parametrize(("query", "answer"), ANSWERED)
def test_a_shown_answer_is_given(query, answer):
    assert [result.text for tool in tools for result in tool(query)] == [answer]


@pytest.mark.parametrize("query", UNANSWERED)
def test_what_is_said_to_have_no_answer_has_none(query):
    assert [result for tool in tools for result in tool(query)] == []


def test_the_tables_are_read():
    assert len(ANSWERED) > 25 and len(UNANSWERED) > 8
