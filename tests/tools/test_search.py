import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openlamda.errors import UserError
from openlamda.tools.base import Toolset
from openlamda.tools.calculator import Calculator
from openlamda.tools.search import Fact, SearchIndex, read_facts
from openlamda.tools.toolset import default_toolset
from openlamda.tools.translator import Translator

NADAL = Fact("Rafael Nadal", "age", "35", "https://example.org/nadal", hints="old how")
FACTS = [
    NADAL,
    Fact("Mercury", "diameter", "4,879 km", "https://example.org/planet", hints="wide across"),
    Fact("Mercury", "symbol", "Hg", "https://example.org/element", hints="chemical"),
    Fact("The Tempest", "author", "William Shakespeare", "https://example.org/tempest", hints="who wrote"),
    Fact("Mount Ararat", "height", "5,137 metres", "https://example.org/ararat", hints="high tall"),
    Fact("Mount Elbrus", "height", "5,642 metres", "https://example.org/elbrus", hints="high tall"),
    Fact("Mount Elbrus", "country", "Russia", "https://example.org/elbrus", hints="where"),
]
index = SearchIndex(FACTS)


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("How old is Rafael Nadal?", "35"),
        ("Mercury chemical symbol", "Hg"),
        ("how wide Mercury", "4,879 km"),
        ("who wrote The Tempest", "William Shakespeare"),
        ("how high Mount Elbrus", "5,642 metres"),
        ("where Mount Elbrus", "Russia"),
    ],
)
def test_the_asked_fact_comes_first(query, value):
    assert index.search(query)[0].value == value


def test_a_fact_is_told_as_the_paper_tells_it():
    assert index("Rafael Nadal's age")[0].text == "Rafael Nadal / age / 35"


def test_nothing_is_found_where_no_entity_is_named():
    assert index("hello, how are you today") == []


@settings(deadline=None)
@given(st.text() | st.sampled_from(['"', "NEAR(", "names:x", "a* OR -b", "x" * 100_000]))
def test_any_query_gives_only_facts_of_the_index(query):
    assert set(index.search(query)) <= set(FACTS)


def test_tools_are_asked_in_order_and_their_results_joined():
    class Echo:
        name = "search"

        def __call__(self, query):
            return index("Rafael Nadal")

    results = Toolset([Calculator(), Translator(), Echo()])("135+7721")
    assert [result.text for result in results] == ["7856", "Rafael Nadal / age / 35"]


def test_the_same_query_again_gives_the_next_result():
    turn = Toolset([index]).turn()
    first, second = turn.next("Mount Elbrus"), turn.next(" mount  elbrus ")
    assert first and second and first != second
    assert turn.next("Mount Ararat height") == index("Mount Ararat height")[0]
    assert Toolset([index]).turn().next("Mount Elbrus") == first


def test_a_row_of_the_wrong_width_is_named(tmp_path):
    (tmp_path / "attributes.txt").write_text("height: high\n")
    (tmp_path / "hills.tsv").write_text("name\tpage\taliases\theight\nHill\t\t\t9 metres\nBad\t\n")
    with pytest.raises(UserError, match=r"hills.tsv:3: 2 columns, expected 4"):
        read_facts(tmp_path)


def test_hello_in_french_is_bonjour():
    assert [result.text for result in default_toolset()("hello in French")][:1] == ["Bonjour"]


def test_bundled_knowledge_is_whole():
    facts = read_facts()
    assert all(
        fact.url.startswith("https://en.wikipedia.org/wiki/") and fact.value.strip() == fact.value for fact in facts
    )
    assert len({(fact.entity, fact.attribute, fact.url) for fact in facts}) == len(facts)
