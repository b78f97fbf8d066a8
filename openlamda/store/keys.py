"""API keys: who may ask what, and how much of it. Limits are counted in the database, for all replicas together."""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from openlamda.errors import UserError
from openlamda.store import tables as t
from openlamda.store.audit import note
from openlamda.store.part import Part, hashed, unless_there
from openlamda.store.records import SCOPES, Allowed, Key, KeyLimits, new_id, utc_now

PREFIX = "olk_"


class Keys(Part):
    """API keys and their limits."""

    def new_key(
        self,
        user_id: str,
        name: str,
        scopes: frozenset[str],
        limits: KeyLimits,
        expires: datetime | None = None,
        actor: str = "",
    ) -> tuple[Key, str]:
        """A new key and its secret, which cannot be had again; the audit log has a line of it.

        Raises UserError for a scope or a limit that is none, NotFound where there is no such user.
        """
        check(scopes, limits)
        secret = PREFIX + secrets.token_urlsafe(32)
        key = Key(new_id("key"), user_id, t.holdable(name), scopes, limits, utc_now(), expires)
        row = {"id": key.id, "user_id": user_id, "name": name, "secret_hash": hashed(secret), "scopes": sorted(scopes)}
        row |= {**vars(limits), "created": key.created, "expires": expires}

        def insert(connection: sa.Connection) -> None:
            self._demand_user(connection, user_id)
            connection.execute(sa.insert(t.keys).values(row))
            note(connection, actor or user_id, "new_key", key.id, {"scopes": sorted(scopes), **vars(limits)})

        self._database.retry(insert)
        return key, secret

    def key_of(self, secret: str, now: datetime | None = None) -> Key | None:
        """The key of a secret; None for one that is none, was revoked or has expired.

        The index finds by hash, which tells a forger nothing of the secret; equal hashes are compared in constant time.
        """
        digest = hashed(secret)
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.keys).where(t.keys.c.secret_hash == digest)).one_or_none()
        if row is None or not hmac.compare_digest(row.secret_hash, digest):
            return None
        return _valid(row, now)

    def key(self, key_id: str, now: datetime | None = None) -> Key | None:
        """The key of this id; None where there is none, or it was revoked or has expired."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.keys).where(t.keys.c.id == key_id)).one_or_none()
        return _valid(row, now)

    def keys(self, user_id: str | None = None) -> list[Key]:
        """All keys, or one user's, oldest first, revoked ones as well."""
        query = sa.select(t.keys).order_by(t.keys.c.created, t.keys.c.id)
        if user_id is not None:
            query = query.where(t.keys.c.user_id == user_id)
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(query)]

    def revoke_key(self, key_id: str, actor: str = "") -> bool:
        """Whether there was such a key that could still open something; from now on it opens nothing."""
        change = sa.update(t.keys).where(t.keys.c.id == key_id, t.keys.c.revoked.is_(None)).values(revoked=utc_now())

        def revoke(connection: sa.Connection) -> bool:
            changed = connection.execute(change).rowcount > 0
            if changed:
                note(connection, actor, "revoke_key", key_id, {})
            return changed

        return self._database.retry(revoke)

    def allowed(self, key_id: str, limits: KeyLimits, now: datetime | None = None) -> Allowed:
        """Whether a request may run, which is counted then.

        Requests are a bucket of `requests_per_minute` that fills steadily. Tokens are counted by `spend` once they were
        used: requests that run at the same moment may overdraw the day (in UTC) by what they use.
        """
        if not limits.requests_per_minute and not limits.tokens_per_day:
            return Allowed(True)
        moment = now or utc_now()
        return self._database.retry(lambda c: _admit(c, key_id, limits, moment))

    def spend(self, key_id: str, tokens: int, now: datetime | None = None) -> None:
        """Counts tokens that a request used."""
        day = _day(now or utc_now())

        def add(connection: sa.Connection) -> None:
            meter = _meter(connection, key_id)
            _set(connection, key_id, day=day, tokens=tokens + (meter.tokens if meter.day == day else 0))

        if tokens:
            self._database.retry(add)

    def spent(self, key_id: str, now: datetime | None = None) -> int:
        """The tokens of this day (UTC) so far."""
        query = sa.select(t.meters.c.tokens).where(t.meters.c.who == key_id, t.meters.c.day == _day(now or utc_now()))
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none() or 0


def check(scopes: frozenset[str], limits: KeyLimits) -> None:
    """Raises UserError for a scope or a limit that is none."""
    if unknown := sorted(scopes - set(SCOPES)):
        raise UserError(f"scope {unknown[0]!r}, expected one of {', '.join(SCOPES)}")
    if not scopes:
        raise UserError(f"no scope, expected one or more of {', '.join(SCOPES)}")
    if not 0 <= limits.requests_per_minute < 2**31 or not 0 <= limits.tokens_per_day < 2**62:
        raise UserError("a limit is below zero or beyond counting, expected 0 (no limit) or more")


def _admit(connection: sa.Connection, who: str, limits: KeyLimits, now: datetime) -> Allowed:
    meter, day, at = _meter(connection, who), _day(now), now.timestamp()
    spent = meter.tokens if meter.day == day else 0
    if limits.tokens_per_day and spent >= limits.tokens_per_day:
        midnight = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
        return Allowed(False, (midnight - now).total_seconds(), "tokens")
    changes: dict[str, Any] = {"day": day, "tokens": spent}
    if size := limits.requests_per_minute:
        at = max(at, meter.at or at)  # another replica's clock may be ahead: time never runs back
        filled = size if meter.level is None else min(size, meter.level + (at - meter.at) * size / 60)
        if filled < 1 - 1e-9:
            return Allowed(False, (1 - filled) * 60 / size, "requests")
        changes |= {"level": filled - 1, "at": at}
    _set(connection, who, **changes)
    return Allowed(True)


def _meter(connection: sa.Connection, who: str) -> Any:
    """The row of `who`, made if it is not there, that nobody else reads or writes before this transaction ends."""
    locked = sa.select(t.meters).where(t.meters.c.who == who).with_for_update()
    row = connection.execute(locked).one_or_none()
    if row is None:
        connection.execute(unless_there(connection, t.meters, {"who": who, "tokens": 0}))
        row = connection.execute(locked).one()
    return row


def _set(connection: sa.Connection, who: str, **changes: Any) -> None:
    connection.execute(sa.update(t.meters).where(t.meters.c.who == who).values(changes))


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()


def _valid(row: Any, now: datetime | None) -> Key | None:
    """The key of a row, if it still opens something."""
    key = _key(row) if row is not None else None
    return key if key and not key.revoked and not (key.expires and key.expires <= (now or utc_now())) else None


def _key(row: Any) -> Key:
    limits = KeyLimits(row.requests_per_minute, row.tokens_per_day)
    return Key(row.id, row.user_id, row.name, frozenset(row.scopes), limits, row.created, row.expires, row.revoked)
