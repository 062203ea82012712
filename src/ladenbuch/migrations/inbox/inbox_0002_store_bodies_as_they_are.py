"""store bodies as they are: sealed bytes do not compress, and PostgreSQL need not try"""

from alembic import op

revision = "inbox_0002"
down_revision = "inbox_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.execute("ALTER TABLE events ALTER body SET STORAGE EXTERNAL")


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.execute("ALTER TABLE events ALTER body SET STORAGE EXTENDED")
