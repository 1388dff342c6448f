"""A key for each owner, and the count of erasures."""

import sqlalchemy as sa
from alembic import op

revision = "v0001_keys"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "keys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("owner", sa.Uuid, nullable=False, unique=True),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    erasures = op.create_table("erasures", sa.Column("count", sa.BigInteger, nullable=False))
    op.bulk_insert(erasures, [{"count": 0}])
