"""A reply as Markdown: footnotes with links, and no markup that a source brought. A CommonMark parser is the judge."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from openlamda.dialog.markdown import link, literal, markdown
from openlamda.text.dialog import Source

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def tokens(text):
    """The kinds of everything in `text`, as a CommonMark parser sees it."""
    return [inner.type for token in PARSER.parse(text) for inner in (token, *(token.children or []))]


def source(**parts):
    return Source(**({"k": 1, "title": "Kraim", "url": "https://example.org/kraim", "text": "Kraim is 12"} | parts))


def test_marks_become_footnotes_with_title_link_time_and_quote():
    said = markdown(
        "Kraim is 12 metres high. [1]",
        [source(fetched="2026-01-02T03:04:05+00:00", quote="Kraim / height / 12", support="supported")],
    )
    assert said == (
        "Kraim is 12 metres high. [^1]\n\n"
        "[^1]: Source: [Kraim](<https://example.org/kraim>), read 2026-01-02: “Kraim / height / 12”"
    )


def test_what_a_source_does_not_support_is_said():
    assert markdown("It is 13. [1]", [source(support="not in the source")]).endswith("(does not have all that is said)")


def test_a_reply_without_sources_is_its_text():
    assert markdown("Hello, *you*.", []) == "Hello, *you*."


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,<b>", "vbscript:x", "file:///etc/passwd", "//e.org",
     "notes.md", "", "https://", "https://user:secret@e.org", "https://[", "https://e.org:x/", " javascript:x"],
)  # fmt: skip
def test_what_is_no_web_page_is_no_link(url):
    assert link(url) is None
    assert "link_open" not in tokens(markdown("See [1]", [source(url=url)]))


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://e.org/a_(b)?c=d&e=f#g", "https://e.org/a_%28b%29?c=d&amp;e=f#g"),
        ("https://e.org/a>b <i>\\`|", "https://e.org/a%3Eb%20%3Ci%3E%5C%60%7C"),
        ("https://e.org/%C3%A9é", "https://e.org/%C3%A9%C3%A9"),
        ("http://[::1]:80/", "http://[::1]:80/"),
    ],
)
def test_an_address_cannot_end_its_link(url, safe):
    assert link(url) == safe


HOSTILE = [
    "http://evil.example", "see www.evil.example/x", "WWW.evil.example", "me@evil.example", "`[x](http://e.org)",
    "~~~\nx", "a ` b\n`[x](y)` c", "| `a | [x](y)` |\n|---|---|", "`a\\b[0] & <c>`",
    "](javascript:alert(1))", "<img src=x onerror=alert(1)>", "![x](https://e.org/x.png)", "a\n\n# Title\n\n- b", "`x`",
    "**x** _y_ ~~z~~", "</script><script>", "&lt;b&gt; &#106;avascript:", "[^1]: x", "| a | b |\n|---|---|",
    "\\[x\\](y)", "<javascript:alert(1)>", "[x]: https://e.org", "\u2028- x", "```\ncode", "> quote", "1. one",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_no_title_or_quote_forms_markup(text):
    note = markdown("See [1]", [source(title=text, quote=text)]).split("\n\n", 1)[1]
    assert "\n" not in note
    kinds = tokens(note.removeprefix("[^1]: "))
    assert kinds == ["paragraph_open", "inline", "text", "link_open", "text", "link_close", "text", "paragraph_close"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_reply_forms_a_link_an_image_html_or_code(text):
    kinds = {"link_open", "image", "html_inline", "html_block", "code_inline", "fence"}
    assert not kinds & set(tokens(markdown(text, [])))
    assert not re.search(r"https?://|www\.", markdown(text, []), re.IGNORECASE)  # which GitHub makes links


def test_a_reply_with_code_shows_it_as_it_is():
    assert unescape(PARSER.render(markdown("Say `a\\b[0] & <c>`.", []))) == "<p>Say `a\\b[0] & <c>`.</p>\n"


@given(st.text(max_size=60) | st.text(alphabet="[]()<>!&;#*_`~\\|:-\n x1", max_size=60))
def test_literal_text_is_only_text(text):
    kinds = tokens("x " + literal(text))
    assert kinds == ["paragraph_open", "inline", "text", "paragraph_close"]
    shown = PARSER.render("x " + literal(text)).removeprefix("<p>").removesuffix("</p>\n")
    assert unescape(shown).split() == ["x", *"".join(c if c.isprintable() else " " for c in text).split()]
