"""What the parts of the store share: the database, and how a secret is hashed,
how a row is made once."""

import hashlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from openlamda.store import tables as t
from openlamda.store.database import Database
from openlamda.store.records import NotFound

_INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class Part:
    """A part of the store on its database. Its methods may be called from many threads; each is one transaction."""

    def __init__(self, database: Database):
        self._database = database

    def _demand_user(self, connection: sa.Connection, user_id: str) -> None:
        """Raises NotFound where there is no such user; where there is, nobody deletes it during this transaction."""
        held = sa.select(t.users.c.id).where(t.users.c.id == user_id).with_for_update(read=True, key_share=True)
        if connection.execute(held).one_or_none() is None:
            raise NotFound("no such user")


def hashed(secret: str) -> str:
    """SHA-256 in hexadecimal: enough for secrets of 256 random bits, which nobody can guess through."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def unless_there(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> sa.Insert:
    """Inserts a row where no other process has, before or at this moment."""
    return _INSERTS[connection.dialect.name](table).values(row).on_conflict_do_nothing()
