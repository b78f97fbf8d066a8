"""From what a user gives as a store (a path, sqlite:///PATH, postgresql://...) to an open one at this version."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from openlamda.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy import URL

    from openlamda.store.store import Store

_EXPECTED = "expected a path, sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE"


def open_store(url: str) -> "Store":
    """The store at `url`, made or brought to this version where it is not.

    Raises UserError for a URL that cannot be one, a package that is missing, a folder that cannot be written and a
    store of a newer version; StoreUnavailable where the database does not answer.
    """
    if find_spec("sqlalchemy") is None or find_spec("alembic") is None:
        raise UserError("a store needs sqlalchemy and alembic: pip install 'openlamda[serve]'")
    checked = read_url(url)
    from openlamda.store.database import Database
    from openlamda.store.migrate import upgrade
    from openlamda.store.store import Store

    database = Database(checked)
    try:
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return Store(database)


def default_url() -> str:
    """Where the store is if nobody says: what OPENLAMDA_STORE names, else a file in the user's folder of data.

    The variable keeps a password out of the list of processes.
    """
    if named := os.environ.get("OPENLAMDA_STORE"):
        return named
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return f"sqlite:///{folder / 'openlamda' / 'store.db'}"


def read_url(text: str) -> "URL":
    """The URL as SQLAlchemy reads it, for psycopg 3; SQLite's file is there then. Quotes no password."""
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if "://" not in text:
        return _file(URL.create("sqlite", database=text))
    scheme = text.partition("://")[0]
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UserError(f"store {scheme}://...: no such URL, {_EXPECTED}") from None
    if scheme == "sqlite":
        return _file(url)
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise UserError(f"store {scheme}://...: no database of that kind, {_EXPECTED}")
    if not url.database:
        raise UserError(f"store {scheme}://...: names no database, {_EXPECTED}")
    if find_spec("psycopg") is None:
        raise UserError("a store on PostgreSQL needs psycopg: pip install 'openlamda[postgresql]'")
    try:
        import psycopg  # noqa: F401
    except ImportError:  # psycopg without libpq
        raise UserError("psycopg finds no libpq: pip install 'openlamda[postgresql]' brings one") from None
    return url.set(drivername="postgresql+psycopg")


def _file(url: "URL") -> "URL":
    if not url.database or url.host or url.database == ":memory:" or url.query:
        raise UserError("store: no file is named, expected a path or sqlite:///PATH")
    path = Path(url.database).expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # conversations are for their owner's eyes
    except OSError as error:
        raise UserError(f"store {path}: {error.strerror}, expected a file that can be written") from None
    return url.set(database=str(path))
