"""Orders by when they were settled: how fast they go."""

from __future__ import annotations

from alembic import op

revision = "books_0019"
down_revision = "books_0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index("ix_orders_settled", ["tenant", "settled_at"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
