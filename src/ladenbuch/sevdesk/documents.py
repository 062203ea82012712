"""Invoices: our drafts in sevdesk's words, sevdesk's invoices in ours, and the comparison of the two to the cent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from ladenbuch.domain.document import InvoiceDraft
from ladenbuch.sevdesk import paper, reading
from ladenbuch.sevdesk.paper import Status
from ladenbuch.sevdesk.positions import Difference, Differences, RemotePosition, fingerprint, position_bodies, shown
from ladenbuch.sevdesk.reading import Json


@dataclass(frozen=True, slots=True)
class RemoteInvoice:
    """An invoice or cancellation as sevdesk holds it. Amounts in cents, days in Berlin, ids as digits.

    `kind` is RE (invoice) or SR (cancellation, `origin_id` names what it cancels); others exist for people.
    `status` see `Status`. `number` is None until finalised. `printed` are the texts a person could
    change. `positions` is filled by `save_draft` only; None means: not read, ask for them.
    """

    id: str
    kind: str
    status: int
    number: str | None
    note: str | None
    currency: str
    tax_rule: int | None
    show_net: bool
    invoice_date: date | None
    delivery_date: date | None
    delivery_until: date | None
    gross: int
    net: int
    tax: int
    paid: int
    contact_id: str | None
    origin_id: str | None
    enshrined: bool
    sent_at: datetime | None = None
    send_type: str | None = None
    updated_at: datetime | None = None
    printed: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    positions: tuple[RemotePosition, ...] | None = None
    payment_method_id: str | None = None
    header: str = field(default="", repr=False)
    country_id: str | None = None

    @property
    def is_draft(self) -> bool:
        """Not finalised: no number, no accounting effect, may be deleted."""
        return self.status == Status.DRAFT

    @property
    def is_finalised(self) -> bool:
        """Has its number and its place in the books."""
        return self.status >= Status.OPEN and self.number is not None


def save_invoice_body(
    draft: InvoiceDraft,
    contact_id: str | int,
    contact_person_id: str | int,
    country_id: str | int,
    unity_id: str | int,
    payment_method_id: str | int | None = None,
) -> dict[str, Any]:
    """The body of `POST /Invoice/Factory/saveInvoice` that makes `draft` a sevdesk draft (no number, status
    100). An e-invoice must have a payment method; an ordinary one is sent without.

    Raises `Rejected("SEVDESK-NOTE")` when the note would not survive as it is: it is the key we find it by.
    """
    invoice: dict[str, Any] = {
        "objectName": "Invoice",
        "invoiceNumber": None,
        "invoiceDate": reading.german(draft.invoice_date),
        "invoiceType": "RE",
        "discount": 0,
        **paper.header_body(draft, contact_id, contact_person_id, country_id),
    }
    if draft.time_to_pay is not None:
        invoice["timeToPay"] = draft.time_to_pay
    if draft.e_invoice:
        assert payment_method_id is not None
        invoice |= {"propertyIsEInvoice": True, "paymentMethod": paper.reference(payment_method_id, "PaymentMethod")}
    return {  # the last four in this order, and all of them: so the documentation asks
        "invoice": invoice,
        "invoicePosSave": position_bodies("InvoicePos", draft.positions, unity_id),
        "invoicePosDelete": None,
        "discountSave": None,
        "discountDelete": None,
        "takeDefaultAddress": False,
    }


def remote_invoice(data: Json) -> RemoteInvoice:
    """An invoice object of any endpoint. Raises `Rejected("SEVDESK-SHAPE")` when what identifies it is
    missing.
    """
    rule = reading.identity_or_none(data.get("taxRule"), "taxRule")
    return RemoteInvoice(
        id=reading.identity(data.get("id"), "invoice id"),
        kind=reading.text(data.get("invoiceType")) or "RE",
        status=reading.integer(data.get("status"), "invoice status"),
        number=reading.text(data.get("invoiceNumber")),
        note=reading.text(data.get("customerInternalNote")),
        currency=reading.text(data.get("currency")) or "EUR",
        tax_rule=int(rule) if rule else None,
        show_net=reading.flag(data.get("showNet")),
        invoice_date=reading.day(data.get("invoiceDate"), "invoiceDate"),
        delivery_date=reading.day(data.get("deliveryDate"), "deliveryDate"),
        delivery_until=reading.day(data.get("deliveryDateUntil"), "deliveryDateUntil"),
        gross=reading.cents(data.get("sumGross"), "sumGross"),
        net=reading.cents(data.get("sumNet"), "sumNet"),
        tax=reading.cents(data.get("sumTax"), "sumTax"),
        paid=reading.cents(data.get("paidAmount"), "paidAmount"),
        contact_id=reading.identity_or_none(data.get("contact"), "contact"),
        origin_id=reading.identity_or_none(data.get("origin"), "origin"),
        enshrined=paper.is_enshrined(data),
        sent_at=reading.instant(data.get("sendDate"), "sendDate"),
        send_type=reading.text(data.get("sendType")),
        updated_at=reading.instant(data.get("update"), "update"),
        printed=paper.printed(data),
        payment_method_id=reading.identity_or_none(data.get("paymentMethod"), "paymentMethod"),
        header=reading.text(data.get("header")) or "",
        country_id=reading.identity_or_none(data.get("addressCountry"), "addressCountry"),
    )


def with_positions(invoice: RemoteInvoice, positions: tuple[RemotePosition, ...]) -> RemoteInvoice:
    """The same invoice, carrying its positions."""
    return replace(invoice, positions=positions)


def compare(draft: InvoiceDraft, remote: RemoteInvoice, remote_positions: Sequence[RemotePosition]) -> list[Difference]:
    """What differs between what we predicted and what sevdesk holds, 0 cent tolerated (R21). Empty: equal.

    Compared: kind, currency, tax rule, note, gross prices, days, sums of the document, sums per rate, number
    of positions, and quantity, price, gross and rate of each position. Names and texts are not compared, nor
    is the country of delivery, which sevdesk does not return. Nor does it say whether the draft is an e-invoice: that
    it has a payment method is seen here, the rest by its XML once it is final (`invoice_xml`).
    """
    differences, predicted = Differences(), draft.sums
    differences.check("kind", "RE", remote.kind)
    differences.check("currency", draft.currency, remote.currency)
    differences.check("tax_rule", draft.tax_rule, remote.tax_rule)
    differences.note(draft.note, remote.note)
    differences.check("show_net", False, remote.show_net)
    differences.check("invoice_date", draft.invoice_date, remote.invoice_date)
    differences.check("delivery_date", draft.delivery_date, remote.delivery_date)
    differences.check(
        "delivery_until",
        draft.delivery_until or draft.delivery_date,
        remote.delivery_until or remote.delivery_date,
    )
    if draft.e_invoice:
        differences.check("has_payment_method", True, remote.payment_method_id is not None)
    differences.sums(predicted, remote.gross, remote.net, remote.tax)
    differences.rates(predicted, remote_positions)
    differences.positions(draft.positions, remote_positions)
    return differences.found


def content_hash(remote: RemoteInvoice, positions: Sequence[RemotePosition]) -> str:
    """A fingerprint of everything a person could change on the document (R12, R15), SHA-256 in hex.

    The same before and after finalising and paying: number, status, header, sending, payment and bookkeeping
    marks are left out. Take it from what sevdesk returned, not from what was sent: sevdesk may tidy texts.
    """
    head = [
        remote.kind,
        remote.note,
        remote.currency,
        remote.tax_rule,
        remote.show_net,
        *(shown(day) for day in (remote.invoice_date, remote.delivery_date, remote.delivery_until)),
        remote.contact_id,
        [remote.gross, remote.net, remote.tax],
        [list(pair) for pair in remote.printed],
    ]
    return fingerprint(head, positions)
