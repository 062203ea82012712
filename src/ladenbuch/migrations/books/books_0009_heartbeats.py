"""a row per process that proves the store can be written"""

import sqlalchemy as sa
from alembic import op

revision = "books_0009"
down_revision = "books_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("beaten_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("process", name=op.f("pk_heartbeats")),
    )


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
