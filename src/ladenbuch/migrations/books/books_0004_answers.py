"""what a question was asked about, so that an answer is bound to it"""

import sqlalchemy as sa
from alembic import op

revision = "books_0004"
down_revision = "books_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("attention", schema=None) as batch_op:
        batch_op.add_column(sa.Column("facts_hash", sa.String(length=64), nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
