"""The embedded index: ranking, what is refused, several processes, and kills."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.index import PassageIndex
from openlamda.tools.layout import MARKER
from openlamda.tools.passages import Passage
from openlamda.tools.toolset import default_toolset

SCRIPT = Path(__file__).with_name("endless_index.py")


@pytest.fixture
def index(tmp_path):
    with PassageIndex(tmp_path / "index", write=True) as opened:
        yield opened


def found(index, passages, query):
    index.add("a", [Passage(text, title) for title, text in passages])
    index.commit()
    return [(passage.title, passage.text) for passage in index.search(query)]


def test_words_side_by_side_rank_before_words_apart(index):
    apart, beside = (
        ("", "The harbour master paints; gold dust and a rush of wind."),
        ("", "A gold rush in the harbour."),
    )
    assert found(index, [apart, beside], "gold rush") == [beside, apart]


def test_a_word_of_the_title_counts_more(index):
    text, title = ("Other", "harbour opening hours today"), ("Harbour", "opening hours today")
    assert found(index, [text, title], "harbour hours")[0] == title


def test_a_rare_word_counts_more_than_a_frequent_one(index):
    filler = [("", f"the town market number {number}") for number in range(50)]
    rare = ("", "a ferry")
    assert found(index, [*filler, rare], "the town ferry")[0] == rare


def test_case_accents_and_endings_do_not_matter(index):
    assert found(index, [("", "Ångström MEASURED wavelengths")], "angstrom measures wavelength")


def test_a_folder_that_is_no_index_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match=r"mine: has files that are no index"):
        PassageIndex(tmp_path / "mine", write=True)
    for missing in ("mine", "none"):
        with pytest.raises(UserError, match=r"no index there, expected one made by"):
            PassageIndex(tmp_path / missing)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        PassageIndex(tmp_path / "file", write=True)


@pytest.mark.parametrize("marker", ["{", "[]", '{"format": 99}'])
def test_another_format_is_named(tmp_path, marker):
    PassageIndex(tmp_path, write=True).close()
    (tmp_path / MARKER).write_text(marker)
    with pytest.raises(UserError, match="build the index anew"):
        PassageIndex(tmp_path)


def test_damage_is_named(tmp_path):
    PassageIndex(tmp_path, write=True).close()
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(UserError, match="expected an index"):
        PassageIndex(tmp_path)


def test_one_process_writes_and_others_see_what_it_commits(tmp_path):
    with PassageIndex(tmp_path / "index", write=True) as writer, PassageIndex(tmp_path / "index") as reader:
        with pytest.raises(UserError, match="being written"):
            PassageIndex(tmp_path / "index", write=True)
        writer.add("a", [Passage("harbour")])
        writer.commit()
        end = time.monotonic() + 10
        while not reader.search("harbour") and time.monotonic() < end:
            time.sleep(0.02)
        assert len(reader.search("harbour")) == 1


def test_what_was_not_committed_is_lost(tmp_path):
    with PassageIndex(tmp_path, write=True) as index:
        index.add("a", [Passage("harbour")])
    with PassageIndex(tmp_path, write=True) as index:
        assert index.search("harbour") == [] and len(index) == 0


def test_a_fact_that_answers_comes_before_the_users_passages_and_others_after(index):
    index.add("a", [Passage("Our Kilimanjaro project reports how high costs are.", "Kilimanjaro", "file:///a")])
    index.commit()
    toolset = default_toolset([index])
    own = Result("Our Kilimanjaro project reports how high costs are.", "file:///a", "Kilimanjaro")
    fact_first = toolset("how high is Mount Kilimanjaro?")
    assert fact_first[0].text.startswith("Mount Kilimanjaro / height") and own in fact_first
    own_first = toolset("how high are the costs of the Mount Kilimanjaro project?")
    assert own_first[0] == own and len(own_first) > 1


def test_all_searches_are_one_tool_and_one_that_is_down_costs_only_its_own_results(index):
    class Down:
        """A search that is not there."""

        name = "down"

        def search(self, query, limit=5):
            raise OSError("no network")

        def __call__(self, query):
            return self.search(query)

    index.add("a", [Passage("The harbour of Kilimanjaro.", "Harbour", "file:///a")])
    index.commit()
    toolset = default_toolset([Down(), index])
    assert [tool.name for tool in toolset.tools] == ["calculator", "translator", "search"]
    answer = toolset.ask("Kilimanjaro harbour")
    assert Result("The harbour of Kilimanjaro.", "file:///a", "Harbour") in answer.results
    assert any(result.text.startswith("Mount Kilimanjaro") for result in answer.results)
    assert answer.failure == "search: down: OSError: no network"
    assert answer.calls[-1].results == len(answer.results)


def test_a_write_that_fails_names_the_folder(tmp_path):
    index = PassageIndex(tmp_path / "index", write=True)
    (tmp_path / "index").rename(tmp_path / "away")  # at once: the index writes files of its own at any moment
    index.add("a", [Passage("harbour")])
    with pytest.raises(UserError, match="index: cannot be written"):
        index.commit()


@pytest.mark.slow
def test_twenty_kills_lose_nothing_that_was_committed(tmp_path):
    rng, committed, at_work = random.Random(0), 0, 0
    for _ in range(20):
        command = [sys.executable, str(SCRIPT), str(tmp_path / "index")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        time.sleep(rng.uniform(0, 1.5))
        at_work += process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        committed = max([committed, *map(int, process.communicate()[0].split())])
        with PassageIndex(tmp_path / "index") as index:
            there = len(index)
            assert there >= committed, "a commit was lost"
            assert there % 10 == 0, "half a commit is there"
            numbers = {f"n{number}" for number in rng.sample(range(committed), min(50, committed))}
            assert all(index.search(number, 1)[0].title == number for number in numbers)
        committed = there
    assert at_work == 20 and committed > 200
