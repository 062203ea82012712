"""days of a gateway's account that are over, and the lines of an account by day"""

import sqlalchemy as sa
from alembic import op

revision = "books_0026"
down_revision = "books_0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("payout_turns", schema=None) as batch_op:
        batch_op.add_column(sa.Column("closed", sa.Text(), nullable=True))
    with op.batch_alter_table("money_lines", schema=None) as batch_op:
        batch_op.create_index("ix_money_lines_account", ["tenant", "account", "value_date"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
