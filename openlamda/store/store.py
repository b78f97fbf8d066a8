"""The store: all parts on one database. Thread-safe; each process opens its own on the same database."""

import sqlalchemy as sa

from openlamda.store.audit import Audit
from openlamda.store.belongings import Belongings
from openlamda.store.conversations import Conversations
from openlamda.store.keys import Keys
from openlamda.store.opinions import Opinions
from openlamda.store.ratings import RatingRows
from openlamda.store.users import Users


class Store(Users, Keys, Conversations, Opinions, RatingRows, Audit, Belongings):
    """What `open_store` gives. Every method raises StoreUnavailable where the database does not answer, and works
    again once it does.
    """

    @property
    def where(self) -> str:
        """What people are told of where it is: never a password."""
        return self._database.shown

    def version(self) -> str:
        """The version of its tables: the name of the newest migration."""
        with self._database.read() as connection:
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()

    def ping(self) -> None:
        """Returns where the database answers; raises StoreUnavailable where it does not."""
        with self._database.read() as connection:
            connection.execute(sa.select(1))

    def close(self) -> None:
        """Ends all connections."""
        self._database.close()
