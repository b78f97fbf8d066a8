"""A session knows the key that it began with, whose limits and end are its own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column."""
    op.add_column("sessions", sa.Column("key_id", sa.String(length=64), nullable=True))
