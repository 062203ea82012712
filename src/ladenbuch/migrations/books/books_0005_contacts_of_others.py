"""whose a contact is, whether it is finished, and the VAT id it carries"""

import sqlalchemy as sa
from alembic import op

revision = "books_0005"
down_revision = "books_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("origin", sa.String(length=16), nullable=False, server_default="created"))
        batch_op.add_column(sa.Column("unfinished", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("vat_mark", sa.String(length=32), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
