"""why a letter was promised, for the log"""

import sqlalchemy as sa
from alembic import op

revision = "books_0011"
down_revision = "books_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("letters", sa.Column("trace", sa.Text(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
