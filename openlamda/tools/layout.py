"""How an index lies in its folder: a marker with the format, and tantivy's files with these fields.

A change of fields or words needs another FORMAT, so that an old index is named and not misread.
"""

from pathlib import Path
from typing import Any

import msgspec

from openlamda.errors import UserError

FORMAT = 1
MARKER = "openlamda-index.json"


def check(folder: Path, write: bool) -> None:
    """Raises UserError unless `folder` is an index, or is to be one and is empty or not there."""
    marker = folder / MARKER
    if marker.is_file():
        try:
            found = msgspec.json.decode(marker.read_bytes())
        except msgspec.DecodeError:
            found = None
        number = found.get("format") if isinstance(found, dict) else None
        if number != FORMAT:
            raise UserError(f"{marker}: format {number!r}, expected {FORMAT}: build the index anew")
        return
    if not write:
        raise UserError(f"{folder}: no index there, expected one made by `openlamda index PATH -o {folder}`")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(not path.name.startswith(f".{MARKER}") for path in folder.iterdir()):
            raise UserError(f"{folder}: has files that are no index, expected an empty or new folder")
        temporary = folder / f".{MARKER}.tmp"
        temporary.write_bytes(msgspec.json.encode({"format": FORMAT}))
        temporary.replace(marker)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}, expected a folder that can be written") from None


def schema(tantivy: Any) -> Any:
    """Words are indexed and not stored; what is shown is stored as one value and not indexed."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("words", tokenizer_name="words")
    builder.add_text_field("title", tokenizer_name="words", index_option="freq")
    builder.add_bytes_field("passage", stored=True)
    builder.add_integer_field("number", indexed=True, fast=True)
    builder.add_text_field("source", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("kind", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("stamp", stored=True, tokenizer_name="raw", index_option="basic")
    return builder.build()


def analyzer(tantivy: Any) -> Any:
    """Words as they are looked up: without case and accents, as English stems."""
    filters = tantivy.Filter
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for part in (filters.lowercase(), filters.ascii_fold(), filters.remove_long(60), filters.stemmer("english")):
        builder = builder.filter(part)
    return builder.build()
