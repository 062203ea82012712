"""when a tenant's books were put back from a backup"""

import sqlalchemy as sa
from alembic import op

revision = "books_0020"
down_revision = "books_0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tenants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("restored_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
