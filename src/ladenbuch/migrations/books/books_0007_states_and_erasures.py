"""the states of a tenant, and who was erased"""

import sqlalchemy as sa
from alembic import op

revision = "books_0007"
down_revision = "books_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tenants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("state_since", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("state_reason", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("installed_step", sa.Text(), nullable=True))
        batch_op.create_index("uq_tenants_shop_gid", ["shop_gid"], unique=True)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY")  # until the walls are put up again
    op.execute("UPDATE tenants SET state = 'suspended' WHERE state = 'paused'")
    op.create_table(
        "erasures",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("erased", sa.Text(), nullable=False),
        sa.Column("shop", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("last_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
