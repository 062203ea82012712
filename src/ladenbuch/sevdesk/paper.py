"""What every document we write shares: its header in sevdesk's words, and text that survives the trip.

What is written here and nowhere else: numbers of tax rules, spellings of fields, and the quirks of a write
(`showNet` false so that prices are gross; a header `taxRate` of 0 that is unused yet must not be missing; no
`taxType`; decimal strings; days as dd.mm.yyyy). Text of the shop is plain text: it is escaped where sevdesk
prints HTML and shortened where sevdesk's lines are short, never dropped.
"""

from __future__ import annotations

import html
from enum import IntEnum
from typing import Any

from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft, Party
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


class Status(IntEnum):
    """States of an invoice or credit note. A cancelled invoice and its cancellation both read as paid."""

    DRAFT = 100
    OPEN = 200
    PARTLY_PAID = 750
    PAID = 1000


#: Longest name or address line we send (line lengths are undocumented); the full text goes into a free text
#: field.
LINE_LENGTH = 100


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
    """The first line of the address: the company first, then its contact person (UStG §14 (4) no. 1)."""
    name, company = " ".join(party.name.split()), " ".join((party.company or "").split())
    person = " ".join(f"{party.first_name or ''} {party.last_name or ''}".split()) or name
    if not company or company == person:
        return company or name
    return f"{company}, {person}"


def street_of(party: Party) -> str:
    """Both street lines as one."""
    return ", ".join(part for part in (party.street, party.street2) if part and part.strip())


def header_body(
    draft: InvoiceDraft | CreditNoteDraft,
    contact_id: str | int,
    contact_person_id: str | int,
    country_id: str | int,
) -> dict[str, Any]:
    """The fields that invoices and credit notes are sent with alike.

    Raises `Rejected("SEVDESK-NOTE")` when the note would not survive as it is: it is the key we find the
    document by.
    """
    if plain(draft.note) != draft.note or draft.note.strip() != draft.note or not draft.note:
        raise Rejected("SEVDESK-NOTE", "the note must be printable and without spaces at its ends")
    if draft.tax_rule not in tuple(TaxRule):
        raise Rejected("SEVDESK-TAX-RULE", "sevdesk has no such tax rule for invoices")
    party = draft.party
    address = {
        "addressName": address_name(party),
        "addressStreet": street_of(party),
        "addressCity": party.city or "",
    }
    cut = [" ".join(value.split()) for value in address.values() if line(value) != " ".join(plain(value).split())]
    head = "\n".join([*([draft.head_text] if draft.head_text else []), *cut])
    body: dict[str, Any] = {
        "mapAll": True,
        "contact": reference(contact_id, "Contact"),
        "contactPerson": reference(contact_person_id, "SevUser"),
        "deliveryDate": reading.german(draft.delivery_date),
        "status": Status.DRAFT.value,
        "currency": draft.currency,
        "taxRule": {"id": str(int(draft.tax_rule)), "objectName": "TaxRule"},
        "taxRate": 0,
        "taxText": line(draft.tax_text),
        "showNet": False,
        **{name: line(value) for name, value in address.items()},
        "addressZip": line(party.zip),
        "addressCountry": reference(country_id, "StaticCountry"),
        "customerInternalNote": draft.note,
        "header": line(draft.header),
        "headText": as_html(head),
        "footText": as_html(_with_vat_id(draft)),
    }
    if draft.delivery_until and draft.delivery_until != draft.delivery_date:
        body["deliveryDateUntil"] = reading.midnight(draft.delivery_until)
    if draft.delivery_country:
        body["deliveryAddressCountry"] = draft.delivery_country.lower()  # decides OSS; not echoed when read
    return body


def _with_vat_id(draft: InvoiceDraft | CreditNoteDraft) -> str:
    """The foot text, and the buyer's VAT id where no text of ours names it yet (UStG §14a (3))."""
    vat_id = draft.party.vat_id
    if not vat_id or vat_id in draft.foot_text or vat_id in draft.head_text:
        return draft.foot_text
    caption = "USt-IdNr. des Kunden" if draft.party.locale.startswith("de") else "Customer's VAT ID"
    return "\n".join(part for part in (draft.foot_text.rstrip(), f"{caption}: {vat_id}") if part)


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


def printed(data: Json) -> tuple[tuple[str, str], ...]:
    """The texts a person could change on a document, by field."""
    return tuple((name, reading.text(data.get(name)) or "") for name in _PRINTED)


def is_enshrined(data: Json) -> bool:
    """Whether the document can never be reset (festgeschrieben)."""
    return data.get("enshrined") not in (None, "", "0", 0, False)
