"""what became of letters after a relay took them, and addresses that get none"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "books_0021"
down_revision = "books_0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("letters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("mark", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("recipient", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("bounce", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("told_at", sa.BigInteger(), nullable=True))
        batch_op.create_index(batch_op.f("ix_letters_mark"), ["mark"], unique=False)
        batch_op.create_index(batch_op.f("ix_letters_tenant_recipient"), ["tenant", "recipient"], unique=False)
    op.create_table(
        "suppressions",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("letter", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "recipient", name=op.f("pk_suppressions")),
    )
    op.create_table(
        "used_signatures",
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("body", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "digest", name=op.f("pk_used_signatures")),
    )
    with op.batch_alter_table("used_signatures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_used_signatures_at"), ["at"], unique=False)
    _mark_what_there_is()


def _mark_what_there_is() -> None:
    """Letters of before are named outside by what stands in their Message-ID."""
    letters = sa.table("letters", sa.column("tenant"), sa.column("key"), sa.column("mark"))
    tx = op.get_bind()
    if tx.dialect.name != "sqlite":
        op.execute("ALTER TABLE letters NO FORCE ROW LEVEL SECURITY")  # until the walls are put up again
    keys = tx.execute(sa.select(letters.c.key).distinct()).scalars().all()
    change = sa.update(letters).where(letters.c.key == sa.bindparam("k")).values(mark=sa.bindparam("m"))
    marks = [{"k": key, "m": hashlib.sha256(key.encode()).hexdigest()[:32]} for key in keys]
    for start in range(0, len(marks), 1000):
        tx.execute(change, marks[start : start + 1000])


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
