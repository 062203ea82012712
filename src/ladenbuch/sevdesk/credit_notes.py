"""Credit notes ("Rechnungskorrektur"): what takes back a part of an invoice that was paid (R4-R6).

Prices and sums are positive: what the buyer gets back. sevdesk insists on the invoice's tax rule and rates (456),
on its delivery days (460) and on its total (455). The number is ours to bring: it is read from the sequence, which
moves on only when a credit note is finalised, so two drafts read the same one. Who saves and finalises credit notes
holds the tenant's number lease from `next_credit_note_number` to `finalise_credit_note`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from ladenbuch.domain.document import CreditNoteDraft
from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import accounts, finding, paper, reading
from ladenbuch.sevdesk.accounts import BookingLog
from ladenbuch.sevdesk.paper import Status
from ladenbuch.sevdesk.pdf import Pdf
from ladenbuch.sevdesk.positions import (
    Difference,
    Differences,
    RemotePosition,
    fingerprint,
    position_bodies,
    remote_positions,
    shown,
)
from ladenbuch.sevdesk.reading import Json
from ladenbuch.sevdesk.room import Room, checked, written

#: A reduction of revenue that refers to an invoice; sevdesk's other categories are expenses paid to partners.
BOOKING_CATEGORY = "UNDERACHIEVEMENT"

_SAVE = "/CreditNote/Factory/saveCreditNote"


@dataclass(frozen=True, slots=True)
class RemoteCreditNote:
    """A credit note as sevdesk holds it. Amounts in cents and positive, days in Berlin, ids as digits.

    `status` see `Status`. A draft has its number already. `invoice_id` is the invoice it corrects, where sevdesk
    returns it. `positions` is filled by `save_credit_note` only; None means: not read, ask for them.
    """

    id: str
    kind: str
    status: int
    number: str | None
    note: str | None
    currency: str
    tax_rule: int | None
    show_net: bool
    credit_note_date: date | None
    delivery_date: date | None
    delivery_until: date | None
    gross: int
    net: int
    tax: int
    paid: int
    contact_id: str | None
    invoice_id: str | None
    booking_category: str | None
    enshrined: bool
    sent_at: datetime | None = None
    send_type: str | None = None
    updated_at: datetime | None = None
    printed: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    positions: tuple[RemotePosition, ...] | None = None

    @property
    def is_draft(self) -> bool:
        """Not finalised: no accounting effect, may be deleted."""
        return self.status == Status.DRAFT

    @property
    def is_finalised(self) -> bool:
        """Has its place in the books; its number is taken."""
        return self.status >= Status.OPEN and self.number is not None


def save_credit_note_body(
    draft: CreditNoteDraft,
    contact_id: str | int,
    contact_person_id: str | int,
    country_id: str | int,
    unity_id: str | int,
    *,
    invoice_id: str | int,
    number: str,
) -> dict[str, Any]:
    """The body of `POST /CreditNote/Factory/saveCreditNote` that makes `draft` a sevdesk draft.

    Raises `Rejected("SEVDESK-NOTE")` as for invoices, `Rejected("SEVDESK-NUMBER")` without a number.
    """
    if not number.strip():
        raise Rejected("SEVDESK-NUMBER", "a credit note needs its number before it is saved")
    return {
        "creditNote": {
            "objectName": "CreditNote",
            "creditNoteNumber": number,
            "creditNoteType": "CN",
            "creditNoteDate": reading.german(draft.credit_note_date),
            "bookingCategory": BOOKING_CATEGORY,
            "refSrcInvoice": paper.reference(invoice_id, "Invoice"),
            **paper.header_body(draft, contact_id, contact_person_id, country_id),
        },
        "creditNotePosSave": position_bodies("CreditNotePos", draft.positions, unity_id),
        "creditNotePosDelete": None,
        "discountSave": None,
        "discountDelete": None,
    }


def remote_credit_note(data: Json) -> RemoteCreditNote:
    """A credit note object of any endpoint. `Rejected("SEVDESK-SHAPE")` when what identifies it is missing."""
    rule = reading.identity_or_none(data.get("taxRule"), "taxRule")
    source = reading.identity_or_none(data.get("refSrcInvoice"), "refSrcInvoice")
    return RemoteCreditNote(
        id=reading.identity(data.get("id"), "credit note id"),
        kind=reading.text(data.get("creditNoteType")) or "CN",
        status=reading.integer(data.get("status"), "credit note status"),
        number=reading.text(data.get("creditNoteNumber")),
        note=reading.text(data.get("customerInternalNote")),
        currency=reading.text(data.get("currency")) or "EUR",
        tax_rule=int(rule) if rule else None,
        show_net=reading.flag(data.get("showNet")),
        credit_note_date=reading.day(data.get("creditNoteDate"), "creditNoteDate"),
        delivery_date=reading.day(data.get("deliveryDate"), "deliveryDate"),
        delivery_until=reading.day(data.get("deliveryDateUntil"), "deliveryDateUntil"),
        gross=reading.cents(data.get("sumGross"), "sumGross"),
        net=reading.cents(data.get("sumNet"), "sumNet"),
        tax=reading.cents(data.get("sumTax"), "sumTax"),
        paid=reading.cents(data.get("paidAmount"), "paidAmount"),
        contact_id=reading.identity_or_none(data.get("contact"), "contact"),
        invoice_id=source or reading.identity_or_none(data.get("origin"), "origin"),
        booking_category=reading.text(data.get("bookingCategory")),
        enshrined=paper.is_enshrined(data),
        sent_at=reading.instant(data.get("sendDate"), "sendDate"),
        send_type=reading.text(data.get("sendType")),
        updated_at=reading.instant(data.get("update"), "update"),
        printed=paper.printed(data),
    )


def compare_credit_note(
    draft: CreditNoteDraft,
    remote: RemoteCreditNote,
    positions: Sequence[RemotePosition],
    *,
    invoice_id: str | None = None,
    number: str | None = None,
) -> list[Difference]:
    """What differs between what we predicted and what sevdesk holds, 0 cent tolerated (R21). Empty: equal.

    Compared as for invoices, and the number and the corrected invoice where they are given (the latter only where
    sevdesk returns it, as the booking category: both are undocumented in answers).
    """
    differences, predicted = Differences(), draft.sums
    differences.check("kind", "CN", remote.kind)
    differences.check("currency", draft.currency, remote.currency)
    differences.check("tax_rule", draft.tax_rule, remote.tax_rule)
    differences.note(draft.note, remote.note)
    differences.check("show_net", False, remote.show_net)
    differences.check("credit_note_date", draft.credit_note_date, remote.credit_note_date)
    differences.check("delivery_date", draft.delivery_date, remote.delivery_date)
    differences.check(
        "delivery_until",
        draft.delivery_until or draft.delivery_date,
        remote.delivery_until or remote.delivery_date,
    )
    differences.check("booking_category", BOOKING_CATEGORY, remote.booking_category or BOOKING_CATEGORY)
    if invoice_id is not None:
        differences.check("invoice", invoice_id, remote.invoice_id or invoice_id)
    if number is not None:
        differences.check("number", number, remote.number)
    differences.sums(predicted, remote.gross, remote.net, remote.tax)
    differences.rates(predicted, positions)
    differences.positions(draft.positions, positions)
    return differences.found


def credit_note_hash(remote: RemoteCreditNote, positions: Sequence[RemotePosition]) -> str:
    """A fingerprint of everything a person could change on the credit note (R12, R15), SHA-256 in hex.

    The same before and after finalising and booking, as `documents.content_hash`; the number is left out: it may
    have to be read anew.
    """
    head = [
        remote.kind,
        remote.note,
        remote.currency,
        remote.tax_rule,
        remote.show_net,
        *(shown(day) for day in (remote.credit_note_date, remote.delivery_date, remote.delivery_until)),
        remote.contact_id,
        remote.invoice_id,
        remote.booking_category,
        [remote.gross, remote.net, remote.tax],
        [list(pair) for pair in remote.printed],
    ]
    return fingerprint(head, positions)


class CreditNotes(Room):
    """Credit notes."""

    def find_credit_notes(self, note: str, contact_id: str) -> list[RemoteCreditNote]:
        """All credit notes with exactly this `customerInternalNote`, oldest first, without positions.

        sevdesk does not document this filter for credit notes. Where a row shows that it was ignored, the credit
        notes of the contact are read and compared here; `Rejected("SEVDESK-IMPLAUSIBLE")` when that filter was
        ignored too, or when there are more than a find reads.
        """
        query = [("customerInternalNote", note)]
        try:
            rows = finding.exactly(self._calls, "/CreditNote", query, _note, note)
        except Rejected as error:
            if error.code != "SEVDESK-IMPLAUSIBLE":
                raise
            rows = [row for row in self._rows_of(contact_id) if _note(row) == note]
        return _oldest_first(rows)

    def credit_notes_numbered(self, number: str) -> list[RemoteCreditNote]:
        """All credit notes with exactly this number, whatever their date; two drafts may share one."""
        query = [("creditNoteNumber", number)]
        rows = finding.exactly(
            self._calls, "/CreditNote", query, lambda row: reading.text(row.get("creditNoteNumber")), number
        )
        return [remote_credit_note(row) for row in rows]

    def credit_notes_of(self, invoice_id: str, contact_id: str) -> list[RemoteCreditNote]:
        """All credit notes for this invoice, whoever made them (R13), oldest first; by the contact both name.

        A credit note whose invoice sevdesk does not return is left out: it proves nothing either way.
        """
        found = _oldest_first(self._rows_of(contact_id))
        return [one for one in found if one.invoice_id == checked(invoice_id)]

    def _rows_of(self, contact_id: str) -> list[Json]:
        query = [("contact[id]", checked(contact_id)), ("contact[objectName]", "Contact")]
        rows = list(finding.matching(self._calls, "/CreditNote", query))
        if any(reading.identity_or_none(row.get("contact"), "contact") != contact_id for row in rows):
            raise finding.implausible("/CreditNote")
        return rows

    def next_credit_note_number(self) -> str:
        """The number the next credit note gets. Reading it reserves nothing: hold the tenant's number lease.

        Asked of sevdesk, or put together from its sequence where that endpoint does not answer. A sequence with
        other parts than the running number is not understood: `Rejected("SEVDESK-SEQUENCE")`.
        """
        path = "/CreditNote/Factory/getNextCreditNoteNumber"
        try:
            number = reading.text(reading.unwrap(self._calls.json("GET", path, path)))
        except Rejected as error:
            if error.code == "SEVDESK-TOKEN":
                raise
            number = None
        return number or self._number_from_sequence()

    def _number_from_sequence(self) -> str:
        path, query = "/SevSequence/Factory/getByType", [("objectType", "CreditNote"), ("type", "CN")]
        row = reading.one(self._calls.json("GET", path, path, query=query), "sequence")
        shape = reading.text(row.get("format")) or ""
        upcoming = reading.integer(row.get("nextSequence"), "nextSequence")
        number = shape.replace("%NUMBER", str(upcoming))
        if shape.count("%NUMBER") != 1 or "%" in number:
            raise Rejected("SEVDESK-SEQUENCE", "the number format of credit notes is not understood")
        return number

    def save_credit_note(
        self, draft: CreditNoteDraft, contact_id: str, invoice_id: str, number: str
    ) -> RemoteCreditNote:
        """Create the draft in sevdesk: no accounting effect, the number not yet taken; returned with its positions.

        Look for the draft's note first. Compare with `compare_credit_note` before finalising. `Rejected`:
        SEVDESK-455 more than the invoice, SEVDESK-456 a rate or rule the invoice has not, SEVDESK-460 delivery
        days, SEVDESK-421 the invoice is cancelled, SEVDESK-NUMBER the number is taken.
        """
        look = self._lookups
        answer = self._post_with_lookups(
            _SAVE,
            lambda: save_credit_note_body(
                draft,
                contact_id,
                look.contact_person(),
                look.country_id(draft.party.country),
                look.unity_id(),
                invoice_id=checked(invoice_id),
                number=number,
            ),
        )

        def saved() -> RemoteCreditNote:
            both = reading.one(answer, "saved credit note")
            found = remote_credit_note(reading.one(both.get("creditNote"), "saved credit note"))
            lines = reading.many(both.get("creditNotePos"), "saved positions")
            return replace(found, positions=remote_positions(lines))

        return written(saved)

    def get_credit_note(self, credit_note_id: str) -> RemoteCreditNote | None:
        """The credit note as it is now, without positions; None only when sevdesk says it does not know it."""
        path = f"/CreditNote/{checked(credit_note_id)}"
        row = finding.by_id(self._calls, "/CreditNote/{id}", path, credit_note_id)
        return remote_credit_note(row) if row is not None else None

    def credit_note_positions(self, credit_note_id: str) -> tuple[RemotePosition, ...]:
        """All positions of a credit note, in the order they are printed; each must name its credit note."""
        query = [("creditNote[id]", checked(credit_note_id)), ("creditNote[objectName]", "CreditNote")]
        rows = finding.everything(self._calls, "/CreditNotePos", query)
        if any(reading.identity_or_none(row.get("creditNote"), "creditNote") != credit_note_id for row in rows):
            raise finding.implausible("/CreditNotePos")
        return remote_positions(rows)

    def delete_credit_note_draft(self, credit_note_id: str) -> None:
        """Delete a draft; one that is gone is fine. `Rejected("SEVDESK-159")`: it is no draft any more."""
        self._delete("/CreditNote/{id}", f"/CreditNote/{checked(credit_note_id)}")

    def finalise_credit_note(self, credit_note_id: str) -> RemoteCreditNote:
        """Take the draft's number and its place in the books. Nothing is mailed. There is no way back.

        `Rejected("SEVDESK-NUMBER")`: another credit note took the number; delete the draft, save it with the next.
        """
        answer = self._send_by("CreditNote", credit_note_id)

        def finalised() -> RemoteCreditNote:
            found = remote_credit_note(reading.one(answer, "credit note"))
            if found.id != credit_note_id:
                raise reading.shape("credit note id")
            return found

        return written(finalised)

    def credit_note_pdf(self, credit_note_id: str) -> Pdf:
        """The document as PDF. `preventSendBy` is always sent: without it, reading a draft finalises it."""
        return self._pdf("CreditNote", credit_note_id, "Rechnungskorrektur")

    def book_credit_note(
        self, credit_note_id: str, amount: int, day: date, account_id: str, transaction_id: str | None
    ) -> BookingLog:
        """Book money given back: `amount` in cents is negative, as the transaction it links.

        Without a transaction only offline accounts work, and sevdesk there takes the amount without its sign (seen
        once, unproven). `Rejected`: SEVDESK-750 it is settled, SEVDESK-SIGN the amount is not negative.
        """
        if amount >= 0:
            raise Rejected("SEVDESK-SIGN", "money given back is negative")
        sent = amount if transaction_id is not None else -amount
        answer = self._book("CreditNote", credit_note_id, sent, day, account_id, transaction_id)
        return written(lambda: accounts.booking(answer))


def _note(row: Json) -> str | None:
    return reading.text(row.get("customerInternalNote"))


def _oldest_first(rows: Sequence[Json]) -> list[RemoteCreditNote]:
    return sorted((remote_credit_note(row) for row in rows), key=lambda one: int(one.id))
