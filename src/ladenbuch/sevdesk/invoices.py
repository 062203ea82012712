"""Invoices and their cancellations as verbs: find, save, finalise, cancel, book."""

from __future__ import annotations

from datetime import date

from ladenbuch.domain.document import InvoiceDraft
from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import accounts, documents, finding, reading
from ladenbuch.sevdesk.accounts import BookingLog
from ladenbuch.sevdesk.documents import RemoteInvoice
from ladenbuch.sevdesk.einvoice import InvoiceXml, unwrap_xml
from ladenbuch.sevdesk.pdf import Pdf
from ladenbuch.sevdesk.positions import RemotePosition, remote_positions
from ladenbuch.sevdesk.room import Room, checked, written

_SAVE = "/Invoice/Factory/saveInvoice"


class Invoices(Room):
    """Invoices (RE) and cancellations (SR)."""

    def find_invoices(self, note: str) -> list[RemoteInvoice]:
        """All invoices with exactly this `customerInternalNote`, oldest first, without positions.

        A cancellation carries its invoice's note: look at `kind`.
        """
        query = [("customerInternalNote", note)]
        rows = finding.exactly(
            self._calls, "/Invoice", query, lambda row: reading.text(row.get("customerInternalNote")), note
        )
        return sorted((documents.remote_invoice(row) for row in rows), key=lambda invoice: int(invoice.id))

    def invoices_numbered(self, number: str) -> list[RemoteInvoice]:
        """All invoices and cancellations with exactly this number, whatever their date."""
        rows = finding.exactly(
            self._calls,
            "/Invoice",
            [("invoiceNumber", number)],
            lambda row: reading.text(row.get("invoiceNumber")),
            number,
        )
        return [documents.remote_invoice(row) for row in rows]

    def save_draft(self, draft: InvoiceDraft, contact_id: str) -> RemoteInvoice:
        """Create the draft in sevdesk: no number, no accounting effect; returned with its positions.

        Look for the draft's note first. Compare with `documents.compare` before finalising. Of an e-invoice the
        contact has its mailbox and reference already; what else is missing is named in `detail["missing"]` of
        `Rejected("SEVDESK-830")`.
        """
        look = self._lookups
        answer = self._post_with_lookups(
            _SAVE,
            lambda: documents.save_invoice_body(
                draft,
                contact_id,
                look.contact_person(),
                look.country_id(draft.party.country),
                look.unity_id(),
                look.payment_method_id(draft.payment_means) if draft.e_invoice and draft.payment_means else None,
            ),
        )

        def saved() -> RemoteInvoice:
            both = reading.one(answer, "saved invoice")
            return documents.with_positions(
                documents.remote_invoice(reading.one(both.get("invoice"), "saved invoice")),
                remote_positions(reading.many(both.get("invoicePos"), "saved positions")),
            )

        return written(saved)

    def get_invoice(self, invoice_id: str) -> RemoteInvoice | None:
        """The invoice as it is now, without positions; None only when sevdesk says it does not know it."""
        row = finding.by_id(self._calls, "/Invoice/{id}", f"/Invoice/{checked(invoice_id)}", invoice_id)
        return documents.remote_invoice(row) if row is not None else None

    def invoice_positions(self, invoice_id: str) -> tuple[RemotePosition, ...]:
        """All positions of an invoice, in the order they are printed."""
        path = f"/Invoice/{checked(invoice_id)}/getPositions"
        return remote_positions(finding.everything(self._calls, path, template="/Invoice/{id}/getPositions"))

    def delete_draft(self, invoice_id: str) -> None:
        """Delete a draft; one that is gone is fine. `Rejected("SEVDESK-159")`: it is no draft any more."""
        self._delete("/Invoice/{id}", f"/Invoice/{checked(invoice_id)}")

    def finalise(self, invoice_id: str) -> RemoteInvoice:
        """Give the draft its number and its place in the books. Nothing is mailed. There is no way back.

        sevdesk calls it "sent as downloaded PDF" (`sendBy` VPDF). Numbers follow the order of these calls.
        """
        answer = self._send_by("Invoice", invoice_id)

        def finalised() -> RemoteInvoice:
            found = documents.remote_invoice(reading.one(answer, "invoice"))
            if found.id != invoice_id:
                raise reading.shape("invoice id")
            return found

        return written(finalised)

    def invoice_pdf(self, invoice_id: str) -> Pdf:
        """The document as PDF. `preventSendBy` is always sent: without it, reading a draft finalises it."""
        return self._pdf("Invoice", invoice_id, "Rechnung")

    def invoice_xml(self, invoice_id: str) -> InvoiceXml:
        """The XML of a finalised e-invoice: the proof that it is one, since sevdesk does not return the mark.

        `Rejected`: sevdesk has none (an ordinary invoice, or a draft). `Retryable`: it is not there yet.
        """
        path = f"/Invoice/{checked(invoice_id)}/getXml"
        return unwrap_xml(*self._calls.reply("GET", "/Invoice/{id}/getXml", path))

    def find_cancellation(self, note: str, origin_id: str) -> RemoteInvoice | None:
        """The cancellation (SR) whose origin is this invoice, or None. `note` is the invoice's: both carry it."""
        found = (one for one in self.find_invoices(note) if one.kind == "SR" and one.origin_id == origin_id)
        return next(found, None)

    def cancel_invoice(self, invoice_id: str) -> RemoteInvoice:
        """Cancel an open, unpaid invoice; returns the cancellation (SR): its own number, negative sums.

        Cancelled already (421): the cancellation that is there is returned, whoever made it, where it can be
        found by the invoice's note. `Rejected`: SEVDESK-390 partly paid, SEVDESK-750 paid, SEVDESK-170 a credit
        note exists (its id in `detail["ids"]`) - correct it by a credit note; SEVDESK-421 cancelled by a document
        that is not found.
        """
        path = f"/Invoice/{checked(invoice_id)}/cancelInvoice"
        try:
            answer = self._calls.json("POST", "/Invoice/{id}/cancelInvoice", path)
        except Rejected as error:
            there = self._cancelled_before(invoice_id) if error.code == "SEVDESK-421" else None
            if there is None:
                raise
            return there

        def cancelled() -> RemoteInvoice:
            found = documents.remote_invoice(reading.one(answer, "cancellation"))
            if found.kind != "SR" or found.origin_id not in (None, invoice_id):
                raise reading.shape("cancellation")
            return found

        return written(cancelled)

    def _cancelled_before(self, invoice_id: str) -> RemoteInvoice | None:
        invoice = self.get_invoice(invoice_id)
        return self.find_cancellation(invoice.note, invoice_id) if invoice and invoice.note else None

    def book(self, invoice_id: str, amount: int, day: date, account_id: str, transaction_id: str | None) -> BookingLog:
        """Book `amount` cents on an invoice and link the transaction. `Rejected("SEVDESK-750")`: it is paid.

        Without a transaction only offline accounts work (sevdesk then makes the line itself).
        """
        answer = self._book("Invoice", invoice_id, amount, day, account_id, transaction_id)
        return written(lambda: accounts.booking(answer))
