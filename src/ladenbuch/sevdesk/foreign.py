"""sevdesk's invoices and credit notes as documents of others: what is compared with orders, and pinned of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ladenbuch.domain.foreign import ForeignDocument
from ladenbuch.sevdesk.documents import RemoteInvoice, content_hash
from ladenbuch.sevdesk.listing import ListedDocument
from ladenbuch.sevdesk.paper import Status
from ladenbuch.sevdesk.positions import RemotePosition, sums_per_rate

_TEXTS = ("headText", "footText", "address")


def listed_foreign(
    item: ListedDocument,
    tags: Iterable[str] = (),
    *,
    cancelled: bool = False,
    positions: Sequence[RemotePosition] | None = None,
) -> ForeignDocument | None:
    """A document as a list shows it; None for one without a day. `positions` only where they were read."""
    if item.day is None:
        return None
    return ForeignDocument(
        sort="credit_note" if item.kind == "CreditNote" else "invoice",
        id=item.id,
        type=item.type,
        number=item.number,
        final=item.final,
        day=item.day,
        currency=item.currency,
        gross=item.gross,
        tax_rule=item.tax_rule,
        by_rate=_by_rate(positions),
        paid=item.paid,
        cancelled=cancelled or _seems_cancelled(item.status, item.paid, item.gross),
        note=item.note or "",
        tags=frozenset(tags),
        contact_id=item.contact_id,
        origin_id=item.origin_id,
        **_printed(dict(item.printed), item.header),
    )


def read_foreign(
    invoice: RemoteInvoice, positions: Sequence[RemotePosition], country: str | None, tags: Iterable[str] = ()
) -> ForeignDocument | None:
    """An invoice that was read by its id, whole; None for one without a day."""
    if invoice.invoice_date is None:
        return None
    return ForeignDocument(
        sort="invoice",
        id=invoice.id,
        type=invoice.kind,
        number=invoice.number,
        final=invoice.is_finalised,
        day=invoice.invoice_date,
        currency=invoice.currency,
        gross=invoice.gross,
        tax_rule=invoice.tax_rule,
        by_rate=_by_rate(positions),
        nets=tuple((rate.normalize(), net) for rate, (_, net, _) in sorted(sums_per_rate(positions).items())),
        paid=invoice.paid,
        cancelled=_seems_cancelled(invoice.status, invoice.paid, invoice.gross),
        note=invoice.note or "",
        tags=frozenset(tags),
        country=country,
        contact_id=invoice.contact_id,
        origin_id=invoice.origin_id,
        delivery=invoice.delivery_date,
        delivery_until=invoice.delivery_until,
        content=content_hash(invoice, positions),
        **_printed(dict(invoice.printed), invoice.header),
    )


def _by_rate(positions: Sequence[RemotePosition] | None) -> tuple[tuple[Decimal, int], ...] | None:
    if positions is None:
        return None
    return tuple((rate.normalize(), gross) for rate, (gross, _, _) in sorted(sums_per_rate(positions).items()) if gross)


def _seems_cancelled(status: int, paid: int, gross: int) -> bool:
    """A cancelled invoice reads as paid, and nothing was paid on it (facts 2.6)."""
    return status >= Status.PAID and paid < gross


def _printed(texts: Mapping[str, str], header: str) -> dict[str, Any]:
    """Address and texts as printed; one line of a free address stands for a name that is not given."""
    free = [line.strip() for line in texts.get("address", "").splitlines() if line.strip()]
    return {
        "buyer": texts.get("addressName") or (free[0] if free else ""),
        "street": texts.get("addressStreet", ""),
        "zip": texts.get("addressZip", ""),
        "city": texts.get("addressCity", ""),
        "tax_text": texts.get("taxText", ""),
        "texts": "\n".join(part for part in (header, *(texts.get(name, "") for name in _TEXTS)) if part),
    }
