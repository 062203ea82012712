"""how urgent a mark is: what the shop tells now goes before a backfill"""

import sqlalchemy as sa
from alembic import op

revision = "inbox_0005"
down_revision = "inbox_0004"
branch_labels = None
depends_on = None

_FREE = sa.text("run_id IS NULL AND due_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("order_marks", sa.Column("priority", sa.Integer(), nullable=False, server_default="1"))
    op.drop_index("ix_order_marks_free", table_name="order_marks")
    op.create_index(
        "ix_order_marks_free",
        "order_marks",
        ["tenant", "priority", "due_at"],
        sqlite_where=_FREE,
        postgresql_where=_FREE,
    )


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
