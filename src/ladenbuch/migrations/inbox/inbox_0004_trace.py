"""why a mark was wanted, for the log"""

import sqlalchemy as sa
from alembic import op

revision = "inbox_0004"
down_revision = "inbox_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_marks", sa.Column("trace", sa.Text(), nullable=True))
    op.add_column("order_marks", sa.Column("run_trace", sa.Text(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
