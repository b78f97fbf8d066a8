"""Brings a database to the version of this program, once, whoever else opens it at the same moment."""

import re
import sqlite3
import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import exc

from openlamda.errors import UserError
from openlamda.store.database import Database, unavailable

_LOCK = 7_201_137  # the advisory lock on PostgreSQL that stands for these migrations
_one_at_a_time = threading.Lock()  # alembic's context belongs to the process
_REFUSALS = re.compile(r"FATAL:\s+(.*(?:authentication failed|does not exist|no pg_hba\.conf entry).*)")


def upgrade(database: Database) -> str:
    """Runs the migrations that lack, under a lock, in one transaction; gives the version, the newest one's name.

    Raises UserError for a database that is newer than this program, that is none, or that refuses this user.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head() or ""
    _reach(database)
    with database.read() as connection:
        if _version(connection, script, database.shown) == head:
            return head
    with _one_at_a_time, database.write() as connection:  # on SQLite the lock is this transaction's own
        if not database.is_sqlite:
            connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))  # an index on many rows takes its time
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if _version(connection, script, database.shown) != head:
            config.attributes["connection"] = connection
            command.upgrade(config, head)
    return head


def _reach(database: Database) -> None:
    """Raises UserError for what will not mend itself: a wrong password, no such database, a file of another kind."""
    try:
        database.engine.connect().close()
    except exc.OperationalError as error:
        if refused := _REFUSALS.search(str(error.orig)):
            raise UserError(f"{database.shown}: {refused[1].strip()}") from None
        raise unavailable(database.shown, error) from None
    except (exc.DatabaseError, sqlite3.DatabaseError) as error:
        if "not a database" in str(error):
            raise UserError(f"{database.shown}: the file is no SQLite database") from None


def _version(connection: sa.Connection, script: ScriptDirectory, shown: str) -> str | None:
    version = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if version is not None and version not in known:
        raise UserError(
            f"{shown} is of version {version}, made by a newer openlamda than this, which knows "
            f"{', '.join(sorted(known))}: update openlamda"
        )
    return version
