"""A reply as Markdown: its marks become footnotes with links, and nothing that it or a source says can form markup.

Takes a text and its sources. A page's title and address were written by others: they are escaped, and an address is a
link only where it is a web page's.
"""

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import quote, urlsplit

from openlamda.dialog.support import MARK
from openlamda.text.dialog import Source

_PUNCTUATION = re.compile(r"([!$()*.:@\[\\\]^_`{|}~])")  # what means something within a line
_LINKING = re.compile(r"([\[\]\\@`~]|:(?=//)|(?<=www)\.)", re.IGNORECASE)  # bare addresses are links for GitHub


def markdown(text: str, sources: Sequence[Source]) -> str:
    """The reply with a footnote for each source.

    The reply's own emphasis and lists stay; links, addresses, images, HTML and code in it are only text.
    """
    cited, said, end = {source.k for source in sources}, "", 0
    for mark in MARK.finditer(text):
        if int(mark[1]) in cited:
            said += f"{_unlinked(text[end : mark.start(1) - 1])}[^{int(mark[1])}]"
            end = mark.end()
    return "\n".join([said + _unlinked(text[end:]), *([""] if sources else []), *map(_footnote, sources)])


def _footnote(source: Source) -> str:
    title = literal(source.title or source.url)
    url = link(source.url)
    # with the word first, a reader that knows no footnotes takes none of it for the address of a link named ^1
    said = ["Source: ", f"[{title}](<{url}>)" if url else title]
    if source.fetched:
        said.append(f", read {literal(source.fetched[:10])}")
    if source.quote:
        said.append(f": “{literal(source.quote)}”")
    if source.support == "not in the source":
        said.append(" (does not have all that is said)")
    return f"[^{source.k}]: {''.join(said)}"


def _unlinked(text: str) -> str:
    """`text` in which nothing is a link, HTML or code (in which these escapes would be seen)."""
    return _LINKING.sub(r"\\\1", escape(text, quote=False))


def literal(text: str) -> str:
    """`text` on one line, none of whose characters means anything in Markdown or HTML."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _PUNCTUATION.sub(r"\\\1", escape(line, quote=False))


def link(url: str) -> str | None:
    """A web page's address, in characters that cannot end a link; None for others: `javascript:`, `data:`, a file."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else quote(parts.hostname, safe="")
    address = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    for sign, part in (("", parts.path), ("?", parts.query), ("#", parts.fragment)):
        address += sign + quote(part, safe="/%~:@!$*+,;=-._?&") if part else ""
    return address.replace("&", "&amp;")
