"""first shape"""

from alembic import context, op

revision = "books_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    context.config.attributes["metadata"].create_all(op.get_bind())


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
