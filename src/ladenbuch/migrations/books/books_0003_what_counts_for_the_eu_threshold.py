"""what counts for the EU threshold"""

import json

import sqlalchemy as sa
from alembic import op

revision = "books_0003"
down_revision = "books_0002"
branch_labels = None
depends_on = None

_CASES = ("below_threshold", "oss_goods", "oss_electronic")


def upgrade() -> None:
    op.add_column("documents", sa.Column("eu_net", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_documents_eu",
        "documents",
        ["tenant", "tax_point"],
        unique=False,
        sqlite_where=sa.text("eu_net IS NOT NULL"),
        postgresql_where=sa.text("eu_net IS NOT NULL"),
    )
    documents = sa.table("documents", *(sa.column(name) for name in ("tenant", "key", "kind", "tax", "sums", "eu_net")))
    tx = op.get_bind()
    about = sa.or_(*(documents.c.tax.contains(f'"{case}"') for case in _CASES))
    columns = (documents.c.tenant, documents.c.key, documents.c.kind, documents.c.tax, documents.c.sums)
    for row in tx.execute(sa.select(*columns).where(about)).all():
        if json.loads(row.tax).get("case") not in _CASES:
            continue
        net = sum(net for _, net, _ in json.loads(row.sums).values())
        mine = sa.and_(documents.c.tenant == row.tenant, documents.c.key == row.key)
        tx.execute(sa.update(documents).where(mine).values(eu_net=-net if row.kind == "credit_note" else net))


def downgrade() -> None:
    raise NotImplementedError("books are never taken back; restore a backup instead")
