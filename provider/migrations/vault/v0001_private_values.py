"""Private values, each sealed under its owner's key."""

import sqlalchemy as sa
from alembic import op

revision = "v0001_private_values"
down_revision = None


def upgrade() -> None:
    """Make the first table."""
    op.create_table(
        "private_values",
        sa.Column("commitment", sa.String(43), primary_key=True),
        sa.Column("owner", sa.Uuid, nullable=False, index=True),
        sa.Column("key", sa.Uuid, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
