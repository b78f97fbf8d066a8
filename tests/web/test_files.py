"""The page's files: no markup out of strings, nothing inline, nothing from elsewhere, nothing missing."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "openlamda/serve/web"
FILES = sorted(path for path in WEB.rglob("*") if path.is_file())
WRITES_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|DOMParser|srcdoc"
    r"|\beval\(|new Function|setTimeout\([\"'`]|setHTML|javascript:"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_short_and_our_own(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 300
    assert not WRITES_MARKUP.search(text)
    elsewhere = set(re.findall(r"(?:src|href|from|import|url)[\s=(]*[\"'](https?:)?//[^\"']+", text))
    assert not elsewhere


def test_nothing_is_inline():
    page = (WEB / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", page))


def test_what_is_named_is_there():
    page = (WEB / "index.html").read_text(encoding="utf-8")
    named = {WEB / path for path in re.findall(r"/static/([\w./-]+)", page)}
    for module in (WEB / "js").glob("*.js"):
        named |= {
            module.parent / name for name in re.findall(r"from \"\./([\w.]+)\"", module.read_text(encoding="utf-8"))
        }
    assert all(path.is_file() for path in named)
    assert named >= set((WEB / "js").glob("*.js")) | set((WEB / "css").glob("*.css"))  # and nothing lies about unused
