"""The audit log: who did what to what, and when; never what was said.

Users and keys stand by their ids as actors and targets alone, so that those of a deleted user can be found.
"""

from typing import Any

import sqlalchemy as sa

from openlamda.store import tables as t
from openlamda.store.part import Part
from openlamda.store.records import Audited, utc_now


class Audit(Part):
    """A log that is only ever added to, but for the names of users who were deleted."""

    def audit(self, actor: str, action: str, target: str = "", details: dict[str, Any] | None = None) -> None:
        """Adds a line."""
        self._database.retry(lambda c: note(c, actor, action, target, details or {}))

    def audit_log(self, limit: int = 100) -> list[Audited]:
        """The last lines, newest first."""
        query = sa.select(t.audit).order_by(t.audit.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [
                Audited(row.at, row.actor, row.action, row.target, row.details) for row in connection.execute(query)
            ]


def note(connection: sa.Connection, actor: str, action: str, target: str, details: dict[str, Any]) -> None:
    """Adds a line as a part of the transaction that does what it tells."""
    row = {"at": utc_now(), "actor": actor, "action": action, "target": target, "details": details}
    connection.execute(sa.insert(t.audit).values(row))
