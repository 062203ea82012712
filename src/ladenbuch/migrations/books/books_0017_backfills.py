"""years of orders that are taken over"""

import sqlalchemy as sa
from alembic import op

revision = "books_0017"
down_revision = "books_0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backfills",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", sa.String(length=10), nullable=False),
        sa.Column("until", sa.String(length=10), nullable=False),
        sa.Column("cut_off", sa.BigInteger(), nullable=True),
        sa.Column("basis", sa.String(length=64), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("totals", sa.Text(), nullable=False),
        sa.Column("pending", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("planned_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("resumed_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_backfills")),
    )
    op.create_table(
        "backfill_orders",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("backfill", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.String(length=96), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("processed_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("expected", sa.String(length=64), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("wanted", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "backfill", "order_id", name=op.f("pk_backfill_orders")),
    )
    with op.batch_alter_table("backfill_orders", schema=None) as batch_op:
        batch_op.create_index("ix_backfill_orders_next", ["tenant", "backfill", "state", "place"], unique=False)
        batch_op.create_index("ix_backfill_orders_place", ["tenant", "backfill", "place"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
