"""orders that wait for a transfer, lines of bank accounts, what they are for, and reminders"""

import sqlalchemy as sa
from alembic import op

revision = "books_0022"
down_revision = "books_0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "awaited",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("order_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("owed", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.Column("document_key", sa.String(200), nullable=True),
        sa.Column("due", sa.String(10), nullable=True),
        sa.Column("paused", sa.String(32), nullable=True),
        sa.Column("look", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "order_id", name=op.f("pk_awaited")),
    )
    op.create_table(
        "bank_lines",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("line_id", sa.String(64), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.String(10), nullable=True),
        sa.Column("mark", sa.String(64), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "line_id", name=op.f("pk_bank_lines")),
    )
    op.create_table(
        "bank_claims",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("line_id", sa.String(64), nullable=False),
        sa.Column("order_id", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("wanted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "line_id", "order_id", name=op.f("pk_bank_claims")),
    )
    with op.batch_alter_table("bank_claims", schema=None) as batch_op:
        batch_op.create_index("ix_bank_claims_order", ["tenant", "order_id"], unique=False)
    op.create_table(
        "reminders",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("order_id", sa.String(64), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("reminded_on", sa.String(10), nullable=False),
        sa.Column("days_overdue", sa.Integer(), nullable=False),
        sa.Column("owed", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "order_id", "level", name=op.f("pk_reminders")),
    )


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
