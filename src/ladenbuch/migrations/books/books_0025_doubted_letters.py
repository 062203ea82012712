"""letters a person had sent again although they may have arrived"""

import sqlalchemy as sa
from alembic import op

revision = "books_0025"
down_revision = "books_0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("letters", sa.Column("doubted_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
