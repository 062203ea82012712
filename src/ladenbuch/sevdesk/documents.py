"""Our drafts in sevdesk's words, sevdesk's documents in ours, and the comparison of the two to the cent.

What is written here and nowhere else: numbers of tax rules, spellings of fields, and the quirks of a write
(`showNet` false so that prices are gross; a header `taxRate` of 0 that is unused yet must not be missing; no
`taxType`; decimal strings; days as dd.mm.yyyy; four trailing keys in a fixed order). Text of the shop is
plain text: it is escaped where sevdesk prints HTML and shortened where sevdesk's lines are short, never
dropped.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any

from ladenbuch.domain.document import InvoiceDraft, Party, Position, rate_text
from ladenbuch.domain.money import net_of_gross, round_half_away, to_decimal
from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import reading
from ladenbuch.sevdesk.reading import Json, plain


class TaxRule(IntEnum):
    """sevdesk-Update 2.0 tax rules for revenue documents; exactly one per document."""

    TAXABLE = 1  # steuerpflichtige Umsätze, 0/7/19 %
    EXPORT = 2  # Ausfuhren
    INTRA_COMMUNITY = 3  # innergemeinschaftliche Lieferungen
    EXEMPT = 4  # steuerfrei nach § 4 UStG
    REVERSE_CHARGE_DOMESTIC = 5  # § 13b UStG
    SMALL_BUSINESS = 11  # § 19 UStG
    NOT_TAXABLE = 17  # nicht im Inland steuerbar
    OSS_GOODS = 18
    OSS_ELECTRONIC = 19
    OSS_OTHER = 20
    REVERSE_CHARGE_EU = 21  # § 18b UStG


class InvoiceStatus(IntEnum):
    """States of an invoice. A cancelled invoice and its cancellation both read as paid."""

    DRAFT = 100
    OPEN = 200
    PARTLY_PAID = 750
    PAID = 1000


#: Longest name or address line we send (line lengths are undocumented); the full text goes into a free text
#: field.
LINE_LENGTH = 100
#: The sevdesk category of a billing customer.
CUSTOMER_CATEGORY = 3


@dataclass(frozen=True, slots=True)
class RemotePosition:
    """A position as sevdesk holds it. `price` is gross per piece (a human may have typed more than two
    places).
    """

    id: str
    number: int
    name: str = field(repr=False)
    text: str | None = field(repr=False)
    quantity: Decimal
    price: Decimal
    rate: Decimal
    gross: int
    net: int
    tax: int


@dataclass(frozen=True, slots=True)
class RemoteInvoice:
    """An invoice or cancellation as sevdesk holds it. Amounts in cents, days in Berlin, ids as digits.

    `kind` is RE (invoice) or SR (cancellation, `origin_id` names what it cancels); others exist for people.
    `status` see `InvoiceStatus`. `number` is None until finalised. `printed` are the texts a person could
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

    @property
    def is_draft(self) -> bool:
        """Not finalised: no number, no accounting effect, may be deleted."""
        return self.status == InvoiceStatus.DRAFT

    @property
    def is_finalised(self) -> bool:
        """Has its number and its place in the books."""
        return self.status >= InvoiceStatus.OPEN and self.number is not None


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as drafted. Safe to log: figures, days and counts, no names."""

    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, found {self.found}"


# -- writing ---------------------------------------------------------------------------------------


def line(value: str | None) -> str:
    """One line of text, at most `LINE_LENGTH` characters; what is cut ends in an ellipsis."""
    joined = " ".join(plain(value or "").split())
    return joined if len(joined) <= LINE_LENGTH else joined[: LINE_LENGTH - 1].rstrip() + "…"


def as_html(value: str) -> str:
    """Plain text for a field that sevdesk prints as HTML (headText, footText)."""
    return html.escape(plain(value).strip(), quote=False).replace("\n", "<br>")


def reference(id_: str | int, name: str) -> dict[str, Any]:
    """sevdesk's notation for "the object with this id"."""
    return {"id": int(id_), "objectName": name}


def address_name(party: Party) -> str:
    """The first line of the address: the company first, then the person (UStG §14 (4) no. 1)."""
    person = " ".join(party.name.split())
    company = " ".join((party.company or "").split())
    if not company or company == person:
        return company or person
    return f"{company}, {person}" if person else company


def save_invoice_body(
    draft: InvoiceDraft,
    contact_id: str | int,
    contact_person_id: str | int,
    country_id: str | int,
    unity_id: str | int,
) -> dict[str, Any]:
    """The body of `POST /Invoice/Factory/saveInvoice` that makes `draft` a sevdesk draft (no number, status
    100).

    Raises `Rejected("SEVDESK-NOTE")` when the note would not survive as it is: it is the key we find it by.
    """
    if plain(draft.note) != draft.note or draft.note.strip() != draft.note or not draft.note:
        raise Rejected("SEVDESK-NOTE", "the note must be printable and without spaces at its ends")
    if draft.tax_rule not in tuple(TaxRule):
        raise Rejected("SEVDESK-TAX-RULE", "sevdesk has no such tax rule for invoices")
    party = draft.party
    street = ", ".join(part for part in (party.street, party.street2) if part and part.strip())
    address = {"addressName": address_name(party), "addressStreet": street, "addressCity": party.city or ""}
    cut = [" ".join(value.split()) for value in address.values() if line(value) != " ".join(plain(value).split())]
    head = "\n".join([*([draft.head_text] if draft.head_text else []), *cut])
    invoice: dict[str, Any] = {
        "objectName": "Invoice",
        "mapAll": True,
        "invoiceNumber": None,
        "contact": reference(contact_id, "Contact"),
        "contactPerson": reference(contact_person_id, "SevUser"),
        "invoiceDate": reading.german(draft.invoice_date),
        "deliveryDate": reading.german(draft.delivery_date),
        "status": InvoiceStatus.DRAFT.value,
        "invoiceType": "RE",
        "currency": draft.currency,
        "taxRule": {"id": str(int(draft.tax_rule)), "objectName": "TaxRule"},
        "taxRate": 0,
        "taxText": line(draft.tax_text),
        "discount": 0,
        "showNet": False,
        **{name: line(value) for name, value in address.items()},
        "addressZip": line(party.zip),
        "addressCountry": reference(country_id, "StaticCountry"),
        "customerInternalNote": draft.note,
        "header": line(draft.header),
        "headText": as_html(head),
        "footText": as_html(draft.foot_text),
    }
    if draft.delivery_until and draft.delivery_until != draft.delivery_date:
        invoice["deliveryDateUntil"] = reading.midnight(draft.delivery_until)
    if draft.time_to_pay is not None:
        invoice["timeToPay"] = draft.time_to_pay
    return {
        "invoice": invoice,
        "invoicePosSave": [
            _position_body(number, position, unity_id) for number, position in enumerate(draft.positions)
        ],
        "invoicePosDelete": None,
        "discountSave": None,
        "discountDelete": None,
        "takeDefaultAddress": False,
    }


def _position_body(number: int, position: Position, unity_id: str | int) -> dict[str, Any]:
    name = line(position.name)
    full = " ".join(plain(position.name).split())
    texts = [full] if full != name else []
    if position.text and plain(position.text).strip():
        texts.append(plain(position.text).strip())
    return {
        "objectName": "InvoicePos",
        "mapAll": True,
        "quantity": str(position.quantity),
        "price": to_decimal(position.unit_gross),
        "name": name,
        "text": "\n".join(texts),
        "taxRate": rate_text(position.rate),
        "unity": reference(unity_id, "Unity"),
        "positionNumber": number,
    }


def contact_body(party: Party) -> dict[str, Any]:
    """The body of `POST /Contact`: an organisation where there is a company, else a person.

    sevdesk spells the first name `surename`; a `name` would make the contact an organisation for good.
    """
    body: dict[str, Any] = {
        "status": 1000,
        "category": reference(CUSTOMER_CATEGORY, "Category"),
        "customerNumber": party.customer_number,
    }
    if party.company and party.company.strip():
        return {**body, "name": line(party.company)}
    return {
        **body,
        "surename": line(party.first_name),
        "familyname": line(party.last_name) or line(party.name),
    }


# -- reading ---------------------------------------------------------------------------------------

#: Texts a person can change on a document. The header is left out: sevdesk adds the number to it when
#: finalising.
_PRINTED = (
    "addressName",
    "addressStreet",
    "addressZip",
    "addressCity",
    "address",
    "headText",
    "footText",
    "taxText",
    "timeToPay",
)


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
        enshrined=data.get("enshrined") not in (None, "", "0", 0, False),
        sent_at=reading.instant(data.get("sendDate"), "sendDate"),
        send_type=reading.text(data.get("sendType")),
        updated_at=reading.instant(data.get("update"), "update"),
        printed=tuple((name, reading.text(data.get(name)) or "") for name in _PRINTED),
    )


def remote_position(data: Json, index: int) -> RemotePosition:
    """A position object. Sums that sevdesk does not return are computed as it computes them (gross per
    position).
    """
    quantity = reading.decimal(data.get("quantity"), "position quantity")
    price = reading.decimal(_first(data, "price", "priceGross"), "position price")
    rate = reading.decimal(data.get("taxRate"), "position taxRate")
    given = {name: _first(data, f"sum{name}", f"sum{name}Accounting") for name in ("Gross", "Net", "Tax")}
    if any(value is None for value in given.values()):
        gross = round_half_away(quantity * price * 100)
        net = net_of_gross(gross, rate)
        tax = gross - net
    else:
        gross, net, tax = (reading.cents(value, f"position sum{name}") for name, value in given.items())
    number = data.get("positionNumber")
    return RemotePosition(
        id=reading.identity(data.get("id"), "position id"),
        number=index if number in (None, "") else reading.integer(number, "positionNumber"),
        name=reading.text(data.get("name")) or "",
        text=reading.text(data.get("text")),
        quantity=quantity,
        price=price,
        rate=rate,
        gross=gross,
        net=net,
        tax=tax,
    )


def _first(data: Json, *names: str) -> Any:
    return next((data[name] for name in names if data.get(name) not in (None, "")), None)


def with_positions(invoice: RemoteInvoice, positions: tuple[RemotePosition, ...]) -> RemoteInvoice:
    """The same invoice, carrying its positions."""
    return replace(invoice, positions=positions)


def remote_positions(items: Iterable[Json]) -> tuple[RemotePosition, ...]:
    """Positions in the order they are printed."""
    found = [remote_position(item, index) for index, item in enumerate(items)]
    return tuple(sorted(found, key=lambda position: position.number))


# -- comparing -------------------------------------------------------------------------------------


def compare(draft: InvoiceDraft, remote: RemoteInvoice, remote_positions: Sequence[RemotePosition]) -> list[Difference]:
    """What differs between what we predicted and what sevdesk holds, 0 cent tolerated (R21). Empty: equal.

    Compared: kind, currency, tax rule, note, gross prices, days, sums of the document, sums per rate, number
    of positions, and quantity, price, gross and rate of each position. Names and texts are not compared.
    """
    found: list[Difference] = []

    def check(name: str, expected: object, actual: object) -> None:
        if expected != actual:
            found.append(Difference(name, _shown(expected), _shown(actual)))

    predicted = draft.sums
    check("kind", "RE", remote.kind)
    check("currency", draft.currency, remote.currency)
    check("tax_rule", draft.tax_rule, remote.tax_rule)
    if remote.note != draft.note:
        found.append(Difference("note", "our key", "none" if remote.note is None else "another text"))
    check("show_net", False, remote.show_net)
    check("invoice_date", draft.invoice_date, remote.invoice_date)
    check("delivery_date", draft.delivery_date, remote.delivery_date)
    check(
        "delivery_until",
        draft.delivery_until or draft.delivery_date,
        remote.delivery_until or remote.delivery_date,
    )
    check("gross", sum(total.gross for total in predicted.values()), remote.gross)
    check("net", sum(total.net for total in predicted.values()), remote.net)
    check("tax", sum(total.tax for total in predicted.values()), remote.tax)
    found.extend(_compare_rates(draft, remote_positions))
    check("positions", len(draft.positions), len(remote_positions))
    for index, (position, there) in enumerate(zip(draft.positions, remote_positions, strict=False)):
        check(f"position[{index}].quantity", Decimal(position.quantity), there.quantity)
        check(f"position[{index}].price", Decimal(to_decimal(position.unit_gross)), there.price)
        check(f"position[{index}].gross", position.gross, there.gross)
        check(f"position[{index}].rate", position.rate, there.rate)
    return found


def _compare_rates(draft: InvoiceDraft, positions: Sequence[RemotePosition]) -> list[Difference]:
    found: list[Difference] = []
    predicted = {rate: (total.gross, total.net, total.tax) for rate, total in draft.sums.items()}
    returned = sums_per_rate(positions)
    for rate in sorted({*predicted, *returned}, reverse=True):
        expected, actual = predicted.get(rate, (0, 0, 0)), returned.get(rate, (0, 0, 0))
        for name, ours, theirs in zip(("gross", "net", "tax"), expected, actual, strict=True):
            if ours != theirs:
                found.append(Difference(f"{name}[{rate_text(rate)}]", str(ours), str(theirs)))
    return found


def sums_per_rate(positions: Iterable[RemotePosition]) -> dict[Decimal, tuple[int, int, int]]:
    """(gross, net, tax) in cents per tax rate, as plain sums of the positions."""
    sums: dict[Decimal, tuple[int, int, int]] = {}
    for position in positions:
        gross, net, tax = sums.get(position.rate, (0, 0, 0))
        sums[position.rate] = (gross + position.gross, net + position.net, tax + position.tax)
    return sums


def _shown(value: object) -> str:
    if isinstance(value, Decimal):
        return rate_text(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def content_hash(remote: RemoteInvoice, positions: Sequence[RemotePosition]) -> str:
    """A fingerprint of everything a person could change on the document (R12, R15), SHA-256 in hex.

    The same before and after finalising and paying: number, status, header, sending, payment and bookkeeping
    marks are left out. Take it from what sevdesk returned, not from what was sent: sevdesk may tidy texts.
    """
    content = [
        remote.kind,
        remote.note,
        remote.currency,
        remote.tax_rule,
        remote.show_net,
        *(_shown(day) for day in (remote.invoice_date, remote.delivery_date, remote.delivery_until)),
        remote.contact_id,
        [remote.gross, remote.net, remote.tax],
        [list(pair) for pair in remote.printed],
        [
            [
                item.name,
                item.text,
                rate_text(item.quantity),
                rate_text(item.price),
                rate_text(item.rate),
                item.gross,
            ]
            for item in positions
        ],
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
