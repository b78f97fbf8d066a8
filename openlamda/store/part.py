"""What the parts of the store share: the database, and how a secret is hashed."""

import hashlib

import sqlalchemy as sa

from openlamda.store import tables as t
from openlamda.store.database import Database
from openlamda.store.records import NotFound


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
