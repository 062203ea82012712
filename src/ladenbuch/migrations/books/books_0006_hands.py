"""what others did in sevdesk to our documents"""

import sqlalchemy as sa
from alembic import op

revision = "books_0006"
down_revision = "books_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hands",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("document_key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sevdesk_id", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_key", "kind", "sevdesk_id", name=op.f("pk_hands")),
    )
    with op.batch_alter_table("hands", schema=None) as batch_op:
        batch_op.create_index("ix_hands_order", ["tenant", "order_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
