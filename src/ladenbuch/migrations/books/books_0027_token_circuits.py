"""open circuits by sevdesk token, whichever shops use it"""

import sqlalchemy as sa
from alembic import op

revision = "books_0027"
down_revision = "books_0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_circuits",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("pause", sa.BigInteger(), nullable=False),
        sa.Column("probed_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_token_circuits")),
    )


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
