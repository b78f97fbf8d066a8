"""`openlamda store`."""

import contextlib
import json as jsonlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from openlamda.corpus.files import whole
from openlamda.dialog.trace import printable
from openlamda.errors import UserError
from openlamda.store import NotFound, StoreUnavailable, default_url, open_store

if TYPE_CHECKING:
    from openlamda.store.store import Store

ACTOR = "command line"  # in the audit log
Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]


@contextlib.contextmanager
def opened(url: str) -> "Iterator[Store]":
    """The store at `url`, or where it is by default; what it lacks or cannot do is the user's to know in one line."""
    try:
        with contextlib.closing(open_store(url or default_url())) as store:
            yield store
    except StoreUnavailable as error:
        raise UserError(f"{error}: is it running?") from None
    except NotFound as error:
        raise UserError(str(error)) from None


def export_user(user: str, *, output: Output = None, store: str = "", json: bool = False) -> None:
    """Print all that the store has of one user, as JSON: conversations, replies and how they came to be, votes, keys.

    Parameters
    ----------
    user
        The user's id, which the web page shows and `openlamda keys list` as well.
    output
        Write to this file.
    store
        A path, sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE; default: OPENLAMDA_STORE, else the file in
        your folder of data.
    json
        In one line.
    """
    with opened(store) as kept:
        found = kept.export_user(user, actor=ACTOR)
    _write([jsonlib.dumps(found, indent=None if json else 2)], output)


def delete_user(user: str, *, store: str = "", json: bool = False) -> None:
    """Delete all that the store has of one user. It cannot be undone; the audit log keeps that it was done.

    Parameters
    ----------
    user
        The user's id, which the web page shows and `openlamda keys list` as well.
    store
        As in `openlamda store export-user`.
    json
        Print one object with the counts.
    """
    with opened(store) as kept:
        counts = kept.delete_user(user, actor=ACTOR)
    _tell(counts, json)


def purge(*, days: int, store: str = "", json: bool = False) -> None:
    """Delete conversations in which nothing was said for so many days, and users who have nothing left.

    Parameters
    ----------
    days
        How long conversations are kept after what was said last.
    store
        As in `openlamda store export-user`.
    json
        Print one object with the counts.
    """
    if not 0 <= days <= 36_500:
        raise UserError(f"--days {days}, expected a number of days up to 36500")
    with opened(store) as kept:
        counts = kept.purge(datetime.now(UTC) - timedelta(days=days), actor=ACTOR)
    _tell(counts, json)


def feedback(*, output: Output = None, enough: bool = False, store: str = "", json: bool = False) -> None:
    """Print thumbs and their reasons as rows of a ratings file, for `openlamda ratings check --lenient`.

    Raters are named by pseudonyms that only this store can tell apart. Texts are as they were said: look at them
    before they go elsewhere.

    Example: openlamda store feedback -o ratings.jsonl && openlamda ratings check --lenient ratings.jsonl

    Parameters
    ----------
    output
        Write to this file.
    enough
        Only votes that as many raters gave as `openlamda ratings check` wants without --lenient.
    store
        As in `openlamda store export-user`.
    json
        Print one object: {"rows": [...]}.
    """
    with opened(store) as kept:
        rows = list(kept.ratings(enough=enough))
    _write_rows(rows, output, json)


def votes(*, output: Output = None, store: str = "", json: bool = False) -> None:
    """Print the votes between two systems, a line of JSON for each.

    Parameters
    ----------
    output
        Write to this file.
    store
        As in `openlamda store export-user`.
    json
        Print one object: {"rows": [...]}.
    """
    with opened(store) as kept:
        rows = [
            {"id": vote.id, "rater": kept.pseudonym(vote.user_id), "winner": vote.winner, "systems": vote.systems,
             "left": vote.left, "right": vote.right, "voted": vote.voted and vote.voted.isoformat()}
            for vote in kept.votes()
        ]  # fmt: skip
    _write_rows(rows, output, json)


def audit(*, limit: int = 100, store: str = "", json: bool = False) -> None:
    """Show the audit log, newest first: keys, exports, deletions, purges, refusals.

    Parameters
    ----------
    limit
        So many lines.
    store
        As in `openlamda store export-user`.
    json
        Print a list of objects.
    """
    if limit < 1:
        raise UserError(f"--limit {limit}, expected one line or more")
    with opened(store) as kept:
        lines = kept.audit_log(limit)
    if json:
        print(jsonlib.dumps([{**vars(line), "at": line.at.isoformat()} for line in lines]))
        return
    table = Table("at", "who", "did", "to", "details")
    for line in lines:
        details = ", ".join(f"{name} {value}" for name, value in line.details.items())
        table.add_row(f"{line.at:%Y-%m-%d %H:%M:%S}", *map(_plain, (line.actor, line.action, line.target, details)))
    Console().print(table)


def migrate(*, store: str = "", json: bool = False) -> None:
    """Make the store, or bring it to this version, as the server does when it starts.

    Parameters
    ----------
    store
        As in `openlamda store export-user`.
    json
        Print one object.
    """
    with opened(store) as kept:
        where, version = kept.where, kept.version()
    print(jsonlib.dumps({"store": where, "version": version}) if json else f"{where} is of version {version}")


def _plain(text: str) -> Text:
    return Text(printable(text))


def _write_rows(rows: list[dict], output: Path | None, json: bool) -> None:
    lines = [jsonlib.dumps(row) for row in rows]
    _write([jsonlib.dumps({"rows": rows})] if json else lines, output)


def _write(lines: Iterable[str], output: Path | None) -> None:
    if output is None:
        for line in lines:
            print(line)
        return
    with whole(output) as file:
        file.writelines(f"{line}\n".encode() for line in lines)


def _tell(counts: dict[str, int], json: bool) -> None:
    if json:
        print(jsonlib.dumps({"deleted": counts}))
        return
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    print(f"deleted: {told or 'nothing'}")
