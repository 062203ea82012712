"""shares of the other side's buckets, and open circuits"""

import sqlalchemy as sa
from alembic import op

revision = "books_0012"
down_revision = "books_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("maximum", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.BigInteger(), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("flow", sa.BigInteger(), nullable=False),
        sa.Column("debt", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_budgets")),
    )
    op.create_table(
        "budget_shares",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=96), nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("flow", sa.BigInteger(), nullable=False),
        sa.Column("wish", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "holder", name=op.f("pk_budget_shares")),
    )
    op.create_table(
        "circuits",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("pause", sa.BigInteger(), nullable=False),
        sa.Column("probed_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "service", name=op.f("pk_circuits")),
    )


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
