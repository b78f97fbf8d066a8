"""Users and the sessions of their browsers. Of a session's token the store has a hash alone."""

import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa

from openlamda.store import tables as t
from openlamda.store.part import Part, hashed, unless_there
from openlamda.store.records import Session, User, new_id, utc_now

NOBODY = "user_nobody"


class Users(Part):
    """Who talks."""

    def new_user(self, name: str = "") -> User:
        """A new user."""
        user = User(new_id("user"), t.holdable(name), utc_now())
        self._database.retry(lambda c: c.execute(sa.insert(t.users).values(vars(user))))
        return user

    def user(self, user_id: str) -> User | None:
        """The user of this id, None where there is none."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.users).where(t.users.c.id == user_id)).one_or_none()
        return User(row.id, row.name, row.created) if row else None

    def nobody(self) -> str:
        """The id of the user that calls without a key are kept under: one for all servers on this store."""
        if self.user(NOBODY) is None:
            row = {"id": NOBODY, "name": "calls without a key", "created": utc_now()}
            self._database.retry(lambda c: c.execute(unless_there(c, t.users, row)))
        return NOBODY

    def new_session(self, user_id: str, lasts: timedelta, key_id: str | None = None) -> str:
        """The token of a new session, which cannot be had again; `key_id`: of the key that it begins with. Raises
        NotFound where there is no such user.
        """
        token = secrets.token_urlsafe(32)
        now = utc_now()
        row = {
            "token_hash": hashed(token),
            "user_id": user_id,
            "key_id": key_id,
            "created": now,
            "expires": now + lasts,
        }

        def insert(connection: sa.Connection) -> None:
            self._demand_user(connection, user_id)
            connection.execute(sa.insert(t.sessions).values(row))

        self._database.retry(insert)
        return token

    def session(self, token: str, now: datetime | None = None) -> Session | None:
        """The session of a token; None for one that is none, has ended or is too old."""
        query = (
            sa.select(t.users, t.sessions.c.key_id)
            .join(t.sessions)
            .where(t.sessions.c.token_hash == hashed(token), t.sessions.c.expires > (now or utc_now()))
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return Session(User(row.id, row.name, row.created), row.key_id) if row else None
