"""What every search backend does alike. OpenSearch, SearXNG and Brave are stood in for by servers in this process."""

import threading

import pytest

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.base import Toolset
from openlamda.tools.index import PassageIndex
from openlamda.tools.opensearch import LOGIN, OpenSearchIndex
from openlamda.tools.passages import Passage, fact
from openlamda.tools.search import Fact, SearchIndex
from openlamda.tools.websearch import WebSearch, web_search

FACTS = [
    Fact("Rafael Nadal", "Age", "35", "https://example.org/nadal", hints="old how"),
    Fact("Mount Ararat", "height", "5,137 metres", "https://example.org/ararat", hints="high tall"),
    Fact("Mount Elbrus", "height", "5,642 metres", "https://example.org/elbrus", hints="high tall"),
    Fact("Mount Elbrus", "country", "Russia", "https://example.org/elbrus", hints="where"),
    Fact("The Tempest", "author", "William Shakespeare", "https://example.org/tempest", hints="who wrote"),
]
PASSAGES = [fact(f.entity, f.attribute, f.value, f.url, f.hints) for f in FACTS]
HOSTILE = [
    '"', "NEAR(", "words:*", "a* OR -b", "title:[a TO b]", '+-&&||!(){}[]^"~*?:\\/', "x" * 100_000, "\0",
    "\ud800 Nadal", "AND OR NOT", "Mount " * 5000,
    "<strong>", "'; DROP TABLE fact; --", "\u202e\u200b", "{\"match_all\": {}}",
]  # fmt: skip


@pytest.fixture(params=["facts", "embedded", "opensearch", "searxng", "brave"])
def backend(request, serve, fakes):
    if request.param == "facts":
        yield SearchIndex(FACTS)
        return
    if request.param == "searxng":
        opened = WebSearch(serve(fakes.searxng(PASSAGES)) + "/search", "searxng")
    elif request.param == "brave":
        opened = WebSearch(serve(fakes.brave(PASSAGES)) + "/res/v1/web/search", "brave", key="key")
    else:
        opened = request.getfixturevalue("stores")(request.param)
        opened.add("facts.jsonl", PASSAGES)
        opened.finish("facts.jsonl", "1")
        opened.commit()
    yield opened
    opened.close()


@pytest.fixture
def stores(tmp_path, serve, fakes):
    """Opens the store of a kind for writing: the same one each time."""
    address = serve(fakes.OpenSearch())

    def open_store(kind):
        if kind == "embedded":
            return PassageIndex(tmp_path / "index", write=True)
        return OpenSearchIndex(f"{address}/books", write=True)

    return open_store


@pytest.fixture(params=["embedded", "opensearch"])
def store(request, stores):
    opened = stores(request.param)
    yield opened
    opened.close()


def test_a_fact_is_told_as_the_paper_tells_it_with_its_source(backend):
    assert backend("How old is Rafael Nadal?")[0] == Result(
        "Rafael Nadal / Age / 35", "https://example.org/nadal", "Rafael Nadal"
    )


@pytest.mark.parametrize(
    ("query", "value"),
    [("Mount Elbrus height", "5,642 metres"), ("who wrote The Tempest", "William Shakespeare"), ("tempest", "William")],
)
def test_the_best_comes_first(backend, query, value):
    assert value in backend(query)[0].text


def test_results_are_few_and_each_once(backend):
    found = backend("Mount Elbrus height")
    assert 2 <= len(found) == len(set(found)) <= 5
    assert len(backend.search("Mount Elbrus height", 1)) == 1


@pytest.mark.parametrize("query", ["", "   ", "?!", "zyzzyva quux"])
def test_nothing_is_found_for_nothing(backend, query):
    assert backend(query) == []


@pytest.mark.parametrize("query", HOSTILE)
def test_any_query_is_only_words(backend, query):
    assert {result.text for result in backend(query)} <= {passage.text for passage in PASSAGES}


def test_asking_again_goes_down_the_ranks(backend):
    turn, found = Toolset([backend]).turn(), backend("Mount Elbrus height")
    assert [turn.next("Mount Elbrus height") for _ in found] == found
    assert turn.next("Mount Elbrus height") is None


def test_threads_get_the_same(backend):
    expected, found = backend("Mount Elbrus height"), []
    threads = [threading.Thread(target=lambda: found.append(backend("Mount Elbrus height"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


def test_what_is_written_is_seen_after_a_commit(store):
    store.add("a.txt", [Passage("The harbour closes at nine.", "Harbour")])
    assert store.search("harbour") == []
    store.finish("a.txt", "stamp 1")
    store.commit()
    assert [passage.text for passage in store.search("harbour")] == ["The harbour closes at nine."]
    assert dict(store.stamps()) == {"a.txt": "stamp 1"} and len(store) == 1


def test_a_source_is_replaced_and_others_stay(store):
    for name, texts in (("a.txt", ["one harbour", "two harbours"]), ("b.txt", ["three harbours"])):
        store.add(name, [Passage(text) for text in texts])
        store.finish(name, "1")
    store.commit()
    store.remove("a.txt")
    store.add("a.txt", [Passage("four harbours")])
    store.finish("a.txt", "2")
    store.commit()
    assert {passage.text for passage in store.search("harbour")} == {"four harbours", "three harbours"}
    assert dict(store.stamps()) == {"a.txt": "2", "b.txt": "1"} and len(store) == 2


def test_a_removed_source_is_gone(store):
    store.add("a.txt", [Passage("one harbour")])
    store.finish("a.txt", "1")
    store.commit()
    store.remove("a.txt")
    store.commit()
    assert store.search("harbour") == [] and not store.stamps() and len(store) == 0


def test_hints_are_searched_and_not_shown(store):
    store.add("a.jsonl", [Passage("Rafael Nadal / Age / 35", hints="old")])
    store.commit()
    assert [result.text for result in store("old")] == ["Rafael Nadal / Age / 35"]


def test_a_passage_comes_back_as_it_was_written(store):
    written = Passage(
        "Ångström — “units”\n\tx < y & z 😀", "Title / ü", "https://example.org/a?b=c&d", "2026-01-31", "hint"
    )
    store.add("a/ü b.txt", [written])
    store.commit()
    assert store.search("angstrom units") in ([written], [])  # whether accents count is the server's affair
    assert store.search("units") == [written]


def test_many_sources_are_all_noted(store):
    names = [f"{number:04}.txt" for number in range(1500)]
    for name in names:
        store.finish(name, "1")
    store.commit()
    assert sorted(store.stamps()) == names


def test_a_server_that_is_down_costs_only_its_own_results(serve):
    def broken(*_):
        return 503, {"error": "overloaded"}

    down = OpenSearchIndex(serve(broken) + "/books")
    answer = Toolset([SearchIndex(FACTS), down]).ask("Mount Elbrus height")
    assert answer.results and answer.failure and "HTTP 503" in answer.failure
    down.close()


@pytest.mark.parametrize(
    "said", [b"<html>", b"[1]", b'{"hits": 3}', b'{"hits": {"hits": [{"_source": {"a": 1}}]}}', b""]
)
def test_an_answer_of_another_shape_is_named(serve, said):
    index = OpenSearchIndex(serve(lambda *_: (200, said)) + "/books")
    with pytest.raises(UserError, match=r"books: .*expected"):
        index.search("harbour")
    for shape in ("searxng", "brave"):
        web = WebSearch(serve(lambda *_: (200, said)) + "/search", shape)
        with pytest.raises(UserError, match=r"search: .*expected"):
            web.search("harbour")
        web.close()
    index.close()


@pytest.mark.parametrize(
    "said",
    [
        {}, {"hits": 3, "count": "x", "errors": 3}, {"hits": {"hits": [3]}, "count": -1, "errors": True, "items": 3},
        {"hits": {"hits": [{"_source": {"source": 3}}]}, "count": None, "errors": True, "items": [3]},
        {"hits": {"hits": [{"_source": {"source": "a", "stamp": "b"}}] * 1000}, "errors": True, "items": [{"a": 3}]},
        {"hits": {"hits": [{"_source": {"source": "a", "stamp": "b"}, "sort": ["a"]}] * 1000}, "errors": True},
        {"hits": {"hits": [{"_source": {"source": "a", "stamp": "b"}, "sort": 3}] * 1000}, "errors": "yes"},
    ],
)  # fmt: skip
def test_an_odd_answer_is_named_and_none_is_asked_for_ever(serve, said):
    index = OpenSearchIndex(serve(lambda *_: (200, said)) + "/books")
    for ask in (index.stamps, lambda: len(index)):
        with pytest.raises(UserError, match=r"books: .*expected"):
            ask()
    index.add("a.txt", [Passage("harbour")])
    if said:  # a server need not say that there were no errors
        with pytest.raises(UserError, match=r"books: .*expected"):
            index.commit()
    index.close()


def test_a_document_that_is_not_taken_is_an_error(stores):
    with stores("opensearch") as store:
        store.add("a.txt", [Passage("poison")])
        with pytest.raises(UserError, match="mapper_parsing_exception"):
            store.commit()


def test_a_login_goes_to_the_server(serve, fakes, monkeypatch):
    monkeypatch.setenv(LOGIN, "admin:secret")
    server = fakes.OpenSearch()
    OpenSearchIndex(serve(server) + "/books", write=True).close()
    assert server.logins == {"Basic YWRtaW46c2VjcmV0"}


@pytest.mark.parametrize(
    "url", ["http://localhost:9200", "http://localhost:9200/", "http://localhost/A b", "http:///x"]
)
def test_an_address_without_an_index_is_refused(url):
    with pytest.raises(UserError, match="expected http"):
        OpenSearchIndex(url)


def test_pages_of_the_web_are_plain_text_with_an_address(serve):
    rows = [
        {"url": "javascript:alert(1)", "title": "x", "content": "harbour"},
        {
            "url": "https://example.org/1",
            "title": "<b>Har</b>bour &amp; sea",
            "content": "A <b>harbour</b>\n at &lt;5&lt;script&gt;",
        },
        {"url": "https://example.org/2", "title": "empty", "content": ""},
        {"url": "https://example.org/a b", "title": "odd", "content": "harbour"},
        {"url": "https://example.org/3", "title": None, "content": "harbour " * 5000},
        "row",
    ]
    web = WebSearch(serve(lambda *_: (200, {"results": rows})) + "/search", "searxng")
    found = web.search("harbour")
    assert found[0] == Passage("A harbour at <5", "Harbour & sea", "https://example.org/1")
    assert [page.url for page in found] == ["https://example.org/1", "https://example.org/3"]
    assert all(len(result.text) <= 450 for result in web("harbour"))
    web.close()


@pytest.mark.parametrize("configured", ["https://example.org", "google=https://example.org", "searxng=example.org", ""])
def test_a_web_search_is_configured_in_full(configured):
    with pytest.raises(UserError, match="expected"):
        web_search(configured)
