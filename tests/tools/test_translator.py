"""One interface, every backend: the dictionary, a LibreTranslate server made up in this process, and real Apertium.

Apertium is a Debian package (apertium, apertium-eng-spa); where it is missing, its tests are skipped with that word.
"""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from openlamda.errors import UserError
from openlamda.tools.translation.apertium import Apertium
from openlamda.tools.translation.base import Backend
from openlamda.tools.translation.dictionary import Dictionary
from openlamda.tools.translation.libretranslate import LibreTranslate
from openlamda.tools.translator import Translator

SPANISH = {"house": "casa", "the house is red": "la casa es roja"}

DETECTED = {
    "casa": {"translatedText": "house", "detectedLanguage": {"confidence": 90.0, "language": "es"}},
    "Paris": {"translatedText": "Lutetia", "detectedLanguage": {"confidence": 20.0, "language": "eu"}},
}


class Handler(BaseHTTPRequestHandler):
    """What LibreTranslate documents: GET /languages, POST /translate."""

    def do_GET(self):
        languages = [{"code": "en", "name": "English", "targets": ["es", "en"]}]
        self.answer(200, [*languages, {"code": "es", "name": "Spanish", "targets": ["en", "tlh"]}])

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        if asked["q"] == "boom":
            self.answer(500, {"error": "broken"})
            return
        if asked["source"] == "auto":
            self.answer(200, DETECTED.get(asked["q"], {"translatedText": asked["q"]}))
            return
        table = SPANISH if asked["source"] == "en" else {there: here for here, there in SPANISH.items()}
        self.answer(200, {"translatedText": table.get(asked["q"], asked["q"])})

    def answer(self, status, value):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module", params=["dictionary", "libretranslate", "apertium"])
def backend(request, server) -> Iterator[Backend]:
    if request.param == "dictionary":
        yield Dictionary()
    elif request.param == "libretranslate":
        made = LibreTranslate(f"http://127.0.0.1:{server.server_address[1]}")
        yield made
        made.close()
    else:
        apertium = Apertium(timeout=60)  # on a machine that has other work, too
        if not {("en", "es"), ("es", "en")} <= set(apertium.pairs()):
            pytest.skip("apertium-eng-spa is not installed: apt-get install apertium apertium-eng-spa")
        yield apertium


def test_a_word_is_translated_both_ways(backend):
    assert {("en", "es"), ("es", "en")} <= set(backend.pairs())
    assert (backend.translate("house", "en", "es") or "").casefold() == "casa"
    assert (backend.translate("casa", "es", "en") or "").casefold() == "house"


def test_what_is_unknown_has_no_translation(backend):
    assert backend.translate("xyzzyq", "en", "es") is None


def test_text_is_data_for_every_backend(backend):
    for text in ("$(id); `id`", "[<a>]{}@#^$/\\ \0", "--help"):
        found = backend.translate(text, "en", "es")
        assert found is None or "uid" not in found


@pytest.mark.parametrize(
    "query",
    [
        "house in Spanish",
        "translate house to Spanish",
        "Translate 'house' from English into Spanish, please.",
        "How do you say house in Spanish?",
        "what is the Spanish word for house?",
        "the spanish for house",
        "house from English to Spanish",
    ],
)
def test_the_translator_reads_a_wish_on_every_backend(backend, query):
    assert [result.text.casefold() for result in Translator([backend])(query)] == ["casa"]


def test_the_other_direction(backend):
    translator = Translator([backend])
    assert [result.text.casefold() for result in translator("casa from Spanish to English")] == ["house"]
    assert [result.text.casefold() for result in translator("what does the Spanish word casa mean in English")] == [
        "house"
    ]


def test_a_sentence_where_the_backend_does_more_than_words(backend):
    found = [result.text for result in Translator([backend])("translate the house is red to Spanish")]
    assert [text.casefold() for text in found] == ([] if backend.name == "dictionary" else ["la casa es roja"])


@pytest.mark.parametrize(
    "query",
    [
        "hello in Klingon",
        "How old is Rafael Nadal?",
        "who wrote the first novel in Spanish",
        "which countries that lie in Asia have people who speak in Spanish",
        "in Spanish",
        "135+7721",
        "a" * 2000 + " in Spanish",
    ],
)
def test_what_is_no_wish_to_translate_has_no_answer(backend, query):
    assert Translator([backend])(query) == []


def test_without_a_source_a_server_is_asked_for_english_and_then_for_the_language_it_tells(server):
    remote = LibreTranslate(f"http://127.0.0.1:{server.server_address[1]}")
    for query, found, sources in [
        ("house in Spanish", ["casa"], ["en"]),
        ("casa in English", ["house"], ["auto"]),
        ("Paris in Spanish", [], ["en", "auto"]),
    ]:
        began = len(server.asked)
        assert [result.text for result in Translator([remote])(query)] == found
        assert [asked["source"] for asked in server.asked[began:]] == sources
    remote.close()


def test_without_a_source_few_languages_are_asked_the_common_ones_first():
    class Many:
        name = "many"

        def __init__(self):
            self.asked = []

        def pairs(self):
            return [(source, "en") for source in ("af", "eo", "eu", "is", "fr", "mk", "es")]

        def translate(self, text, source, target):
            self.asked.append(source)
            return {"es": "house", "mk": "home"}.get(source)

    many = Many()
    assert [result.text for result in Translator([many])("casa in English")] == ["house"]
    assert many.asked == ["es", "fr", "af"]
    assert [result.text for result in Translator([many])("casa from Macedonian to English")] == ["home"]


def test_the_dictionary_is_asked_in_all_its_languages():
    for word, language in [("maison", "French"), ("gatto", "Italian"), ("Hund", "German"), ("perro", "Spanish")]:
        stated = Translator([Dictionary()])(f"{word} from {language} to English")
        assert stated and Translator([Dictionary()])(f"{word} in English") == stated


def test_without_a_backend_there_is_no_answer():
    assert Translator([])("hello in French") == []


def test_the_words_of_the_paper_come_first():
    assert [result.text for result in Translator()("hello in French")] == ["Bonjour"]


def test_a_broken_backend_is_passed_over_and_told_where_none_knows(server):
    class Broken:
        name = "broken"

        def pairs(self):
            return [("en", "es")]

        def translate(self, text, source, target):
            raise UserError("broken: away")

    assert [result.text for result in Translator([Broken(), Dictionary()])("house in Spanish")] == ["casa"]
    with pytest.raises(UserError, match="away"):
        Translator([Broken(), Dictionary()])("xyzzyq in Spanish")


def test_a_configured_server_is_asked_with_its_key_and_none_by_default(server, monkeypatch):
    monkeypatch.delenv("OPENLAMDA_TRANSLATE_URL", raising=False)
    assert "libretranslate" not in [backend.name for backend in Translator().backends]
    monkeypatch.setenv("OPENLAMDA_TRANSLATE_URL", f"http://127.0.0.1:{server.server_address[1]}/")
    monkeypatch.setenv("OPENLAMDA_TRANSLATE_KEY", "k")
    remote = Translator().backends[-1]
    assert remote.translate("house", "en", "es") == "casa"
    assert server.asked[-1]["api_key"] == "k"
    with pytest.raises(UserError, match="500"):
        remote.translate("boom", "en", "es")


def command(tmp_path, text):
    path = tmp_path / "apertium"
    path.write_text(f"#!/bin/sh\n[ \"$1\" = -l ] && echo '  eng-spa' && echo eng-spa_x && exit\n{text}\n")
    path.chmod(0o755)
    return Apertium(str(path), timeout=0.5)


def test_a_command_that_hangs_is_ended_with_all_its_children(tmp_path):
    apertium = command(tmp_path, "sleep 60 | sleep 60")
    began = time.monotonic()
    with pytest.raises(UserError, match="no answer within"):
        apertium.translate("house", "en", "es")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("La casa", "La casa"),
        ("La *hause", None),
        ("La #casa", None),
        ("*Ana vive en *Lima", "Ana vive en Lima"),
        ("The House", None),  # given back
    ],
)
def test_marks_of_apertium_for_unknown_words_are_no_translation(tmp_path, printed, expected):
    assert command(tmp_path, f"cat >/dev/null; echo '{printed}'").translate("the house", "en", "es") == expected


def test_too_long_an_answer_and_a_failure_are_errors(tmp_path):
    with pytest.raises(UserError, match="bytes"):
        command(tmp_path, "cat >/dev/null; head -c 100000 /dev/zero").translate("house", "en", "es")
    with pytest.raises(UserError, match="exit code 3"):
        command(tmp_path, "cat >/dev/null; exit 3").translate("house", "en", "es")


def test_without_the_command_there_are_no_pairs():
    missing = Apertium("no-such-command-here")
    assert not missing.is_installed and not missing.pairs() and missing.translate("house", "en", "es") is None
