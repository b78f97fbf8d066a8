"""What people think of replies: thumbs with reasons, and votes between two systems."""

from typing import Any

import sqlalchemy as sa

from openlamda.errors import UserError
from openlamda.store import tables as t
from openlamda.store.part import Part
from openlamda.store.records import (
    REASONS,
    THUMBS,
    WINNERS,
    Arena,
    Feedback,
    NotFound,
    Thumb,
    Winner,
    new_id,
    utc_now,
)


class Opinions(Part):
    """Feedback and arena votes."""

    def add_feedback(
        self, user_id: str, reply_id: str, thumb: Thumb, reasons: tuple[str, ...] = (), note: str = ""
    ) -> Feedback:
        """What a user thinks of a reply of theirs; said again, it takes the place of what was said before.

        Raises UserError for a thumb or a reason that is none, NotFound for another user's reply.
        """
        if thumb not in THUMBS:
            raise UserError(f"thumb {thumb!r}, expected one of {', '.join(THUMBS)}")
        for reason in reasons:
            if reason not in REASONS:
                raise UserError(f"reason {reason!r}, expected one of {', '.join(REASONS)}")
        given = Feedback(reply_id, thumb, tuple(sorted(set(reasons))), t.holdable(note), utc_now())
        row = {**vars(given), "reasons": list(given.reasons), "user_id": user_id}

        def replace(connection: sa.Connection) -> None:
            f, r = t.feedback.c, t.replies.c
            mine = sa.select(r.id).where(r.id == reply_id, r.user_id == user_id).with_for_update()
            if connection.execute(mine).one_or_none() is None:
                raise NotFound("no such reply")
            connection.execute(sa.delete(t.feedback).where(f.user_id == user_id, f.reply_id == reply_id))
            connection.execute(sa.insert(t.feedback).values(row))

        self._database.retry(replace)
        return given

    def remove_feedback(self, user_id: str, reply_id: str) -> bool:
        """Whether there was any; it is taken back."""
        f = t.feedback.c
        delete = sa.delete(t.feedback).where(f.user_id == user_id, f.reply_id == reply_id)
        return self._database.retry(lambda c: c.execute(delete).rowcount) > 0

    def new_arena(self, user_id: str, left: str, right: str, systems: dict[str, str]) -> Arena:
        """Two replies to vote on; `systems` says which made "left" and which "right", for after the vote.

        Kept in the database, so that any replica can take the vote. Raises NotFound for replies of others.
        """
        made = Arena(new_id("arena"), user_id, left, right, systems, utc_now())
        row = {"id": made.id, "user_id": user_id, "left_reply": left, "right_reply": right}
        row |= {"systems": systems, "created": made.created}
        r = t.replies.c
        mine = sa.select(r.id).where(r.id.in_((left, right)), r.user_id == user_id)
        mine = mine.with_for_update(read=True, key_share=True)

        def insert(connection: sa.Connection) -> None:
            if len(connection.execute(mine).all()) != len({left, right}):
                raise NotFound("no such reply")
            connection.execute(sa.insert(t.arenas).values(row))

        self._database.retry(insert)
        return made

    def add_vote(self, user_id: str, arena_id: str, winner: Winner) -> Arena:
        """The vote, and with it which system was which. The first vote stands: who knows the systems votes no more.

        Raises UserError for a winner that is none, NotFound for an arena that is not there or another user's.
        """
        if winner not in WINNERS:
            raise UserError(f"winner {winner!r}, expected one of {', '.join(WINNERS)}")
        mine = (t.arenas.c.id == arena_id, t.arenas.c.user_id == user_id)

        def vote(connection: sa.Connection) -> Arena:
            row = connection.execute(sa.select(t.arenas).where(*mine).with_for_update()).one_or_none()
            if row is None:
                raise NotFound("no such arena")
            if row.winner is None:
                connection.execute(sa.update(t.arenas).where(*mine).values(winner=winner, voted=utc_now()))
                row = connection.execute(sa.select(t.arenas).where(*mine)).one()
            return _arena(row)

        return self._database.retry(vote)

    def votes(self) -> list[Arena]:
        """All arenas that were voted on, oldest first."""
        query = sa.select(t.arenas).where(t.arenas.c.winner.is_not(None)).order_by(t.arenas.c.voted, t.arenas.c.id)
        with self._database.read() as connection:
            return [_arena(row) for row in connection.execute(query)]


def _arena(row: Any) -> Arena:
    return Arena(row.id, row.user_id, row.left_reply, row.right_reply, row.systems, row.created, row.winner, row.voted)
