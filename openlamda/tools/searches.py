"""An index by what the user writes for it: a folder, or an address on an OpenSearch server."""

from pathlib import Path

from openlamda.tools.index import PassageIndex
from openlamda.tools.opensearch import OpenSearchIndex


def open_index(where: str, *, write: bool = False) -> PassageIndex | OpenSearchIndex:
    """The index in a folder, or under an address that begins with http:// or https://."""
    if where.startswith(("http://", "https://")):
        return OpenSearchIndex(where, write=write)
    return PassageIndex(Path(where), write=write)
