"""Files that wait for a confirmation."""

import sqlalchemy as sa
from alembic import op

revision = "v0001_staged_imports"
down_revision = None


def upgrade() -> None:
    """Make the first table."""
    op.create_table(
        "staged_imports",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("course", sa.Uuid, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
