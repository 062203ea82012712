"""Which contact in sevdesk a customer number has, and what of it is finished."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ladenbuch.books.columns import _T
from ladenbuch.db import Statement, Transaction, books_metadata, insert_new

contacts = sa.Table(
    "contacts",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("customer_number", sa.String(128), primary_key=True),
    sa.Column("sevdesk_id", sa.String(64), nullable=False),
    sa.Column("origin", sa.String(16), nullable=False, server_default="created"),
    sa.Column("unfinished", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("vat_mark", sa.String(32)),
)

_OF_CUSTOMER = sa.and_(contacts.c.tenant == _T, contacts.c.customer_number == sa.bindparam("n"))

_CONTACT = Statement(sa.select(contacts).where(_OF_CUSTOMER))

_FINISHED = Statement(sa.update(contacts).where(_OF_CUSTOMER).values(unfinished=False))

_VAT_MARK = Statement(sa.update(contacts).where(_OF_CUSTOMER).values(vat_mark=sa.bindparam("m")))


@dataclass(frozen=True, slots=True)
class KnownContact:
    """The contact of a customer number. `origin`: created by us, or adopted and then never written to by us (but for a
    missing VAT id). `unfinished`: its address or mailbox may be missing. `vat_mark` marks the VAT id it is known to
    carry.
    """

    sevdesk_id: str
    origin: str = "created"
    unfinished: bool = False
    vat_mark: str | None = None


def contact(tx: Transaction, tenant: str, customer_number: str) -> KnownContact | None:
    """The sevdesk contact of a customer number, or None."""
    row = _CONTACT.first(tx, t=tenant, n=customer_number)
    return None if row is None else KnownContact(row.sevdesk_id, row.origin, bool(row.unfinished), row.vat_mark)


def contact_known(tx: Transaction, tenant: str, customer_number: str, known: KnownContact) -> None:
    """Remember the contact; the first answer stays."""
    insert_new(
        tx,
        contacts,
        tenant=tenant,
        customer_number=customer_number,
        sevdesk_id=known.sevdesk_id,
        origin=known.origin,
        unfinished=known.unfinished,
        vat_mark=known.vat_mark,
    )


def contact_finished(tx: Transaction, tenant: str, customer_number: str) -> None:
    """The contact has its address and mailbox, or sevdesk will not have them."""
    _FINISHED.change(tx, t=tenant, n=customer_number)


def contact_carries(tx: Transaction, tenant: str, customer_number: str, vat_mark: str) -> None:
    """The contact carries the VAT id with this mark."""
    _VAT_MARK.change(tx, t=tenant, n=customer_number, m=vat_mark)


def forget_contact(tx: Transaction, tenant: str, customer_number: str) -> None:
    """The contact of a customer number is forgotten; sevdesk is asked should it be needed again."""
    tx.execute(sa.delete(contacts).where(contacts.c.tenant == tenant, contacts.c.customer_number == customer_number))


def forget_contacts(tx: Transaction, tenant: str) -> None:
    """A tenant leaves: sevdesk alone knows its contacts."""
    tx.execute(sa.delete(contacts).where(contacts.c.tenant == tenant))
