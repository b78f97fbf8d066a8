"""An index by what the user writes for it: a folder, or an address on an OpenSearch server."""

from pathlib import Path

from openlamda.errors import UserError
from openlamda.tools.calls import Limits
from openlamda.tools.index import PassageIndex
from openlamda.tools.opensearch import OpenSearchIndex


def open_index(
    where: str, *, beside: Path = Path(), write: bool = False, timeout: float = Limits.timeout
) -> PassageIndex | OpenSearchIndex:
    """The index in a folder, relative to `beside`, or under an address, whose answers are due within `timeout` seconds.

    Raises UserError for an address that is not http:// or https://.
    """
    if where.startswith(("http://", "https://")):
        return OpenSearchIndex(where, write=write, timeout=timeout)
    if "://" in where:
        raise UserError(f"index {where!r}, expected a folder, or http:// or https://")
    return PassageIndex(beside / Path(where).expanduser(), write=write)
