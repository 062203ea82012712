"""the daily look at connections, and how near usage is to its cap"""

import sqlalchemy as sa
from alembic import op

revision = "books_0016"
down_revision = "books_0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checkups",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.Column("changes", sa.Text(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_checkups")),
    )
    with op.batch_alter_table("entitlements", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cap_used", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("cap_of", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("cap_currency", sa.String(length=8), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
