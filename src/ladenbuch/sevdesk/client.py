"""sevdesk in a dozen business verbs over a hundred endpoints.

Every verb is one step a bookkeeper would name. A verb that creates does only that: whoever calls it has
looked with the matching `find_...` first and has written its intent down, because sevdesk has no idempotency
keys. Every find compares what came back with what was asked for, byte by byte: sevdesk ignores filters it
does not know and then returns everything, so a row that does not fit proves that the filter was not applied,
and the find refuses with `Rejected("SEVDESK-IMPLAUSIBLE")` instead of saying "not there".

All verbs raise `Retryable`, `Ambiguous` (writes only) and `Rejected` as `calls.py` says. Ids are strings of
digits, amounts integers in cents, days are calendar days in Berlin.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import httpx2

from ladenbuch.domain.document import InvoiceDraft, Party
from ladenbuch.domain.money import to_decimal
from ladenbuch.errors import Ambiguous, Rejected
from ladenbuch.sevdesk import accounts, documents, finding, reading
from ladenbuch.sevdesk.accounts import BookingLog, CheckAccount, RemoteTransaction
from ladenbuch.sevdesk.calls import Breaker, Caller
from ladenbuch.sevdesk.documents import RemoteInvoice, RemotePosition
from ladenbuch.sevdesk.pdf import Pdf, unwrap_pdf

T = TypeVar("T")

#: How long a look-up (countries, units, users) is believed.
LOOKUP_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class TaxRuleInfo:
    """A tax rule this account may use."""

    id: int
    code: str | None
    name: str | None


class Sevdesk:
    """One tenant's sevdesk account. Thread-safe: several worker threads may share one object.

    `token` is asked for before every call and its answer never kept. `budget` and `breaker` may delay or
    refuse a call by raising `Retryable`; `on_call(template, status, seconds)` hears of every call, status 0
    meaning no answer.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        http: httpx2.Client,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        budget: Callable[[], None] | None = None,
        breaker: Breaker | None = None,
        on_call: Callable[[str, int, float], None] | None = None,
    ) -> None:
        self._calls = Caller(
            base_url,
            token,
            http,
            clock=clock,
            sleep=sleep,
            budget=budget,
            breaker=breaker,
            on_call=on_call,
        )
        self._clock = clock
        self._lookups: dict[str, tuple[datetime, Any]] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Sevdesk({self._calls!r})"

    # -- the account -------------------------------------------------------------------------------

    def bookkeeping_version(self) -> str:
        """`"2.0"` or `"1.0"`; only 2.0 knows tax rules."""
        path = "/Tools/bookkeepingSystemVersion"
        found = reading.one(self._calls.json("GET", path, path), "bookkeeping version")
        return reading.text(found.get("version")) or ""

    def tax_rules(self) -> list[TaxRuleInfo]:
        """The tax rules this account may use (an undocumented list; read for the onboarding check)."""
        return [
            TaxRuleInfo(
                id=int(reading.identity(row.get("id"), "tax rule id")),
                code=reading.text(row.get("code")),
                name=reading.text(row.get("name")),
            )
            for row in finding.everything(self._calls, "/TaxRule")
        ]

    def check_accounts(self) -> list[CheckAccount]:
        """All payment accounts of the tenant, in the order of their ids."""
        found = [accounts.account(row) for row in finding.everything(self._calls, "/CheckAccount")]
        return sorted(found, key=lambda account: int(account.id))

    def create_file_import_account(self, name: str) -> CheckAccount:
        """A payment account that takes transactions by API. Look through `check_accounts()` first."""
        body = {"name": name, "importType": "CSV"}
        answer = self._calls.json("POST", (path := "/CheckAccount/Factory/fileImportAccount"), path, body=body)
        return _written(lambda: accounts.account(reading.one(answer, "payment account")))

    def stop_auto_mapping(self, account_id: str) -> None:
        """Tell sevdesk not to match transactions of this account on its own (it may pick another invoice)."""
        path = f"/CheckAccount/{_id(account_id)}"
        self._calls.json("PUT", "/CheckAccount/{id}", path, body={"autoMapTransaction": "0"})

    # -- look-ups, believed for 24 hours -----------------------------------------------------------

    def contact_person(self) -> str:
        """Id of the user who stands on documents: the first active one."""
        return self._lookup("contact_person", self._first_user)

    def _first_user(self) -> str:
        users = finding.everything(self._calls, "/SevUser")
        if not users:
            raise Rejected("SEVDESK-USER", "the account shows no user to name as contact person")
        active = [row for row in users if reading.text(row.get("status")) in (None, "100")]
        return reading.identity((active or users)[0].get("id"), "user id")

    def country_id(self, iso: str) -> str:
        """Id of a country by its ISO 3166-1 alpha-2 code; unknown: `Rejected("SEVDESK-COUNTRY")`.

        GB is three rows (England, Great Britain, United Kingdom); the United Kingdom is meant.
        """
        rows = self._lookup("countries", lambda: finding.everything(self._calls, "/StaticCountry"))
        found = [row for row in rows if (reading.text(row.get("code")) or "").lower() == iso.lower()]
        if iso.lower() == "gb":
            found = [row for row in found if reading.text(row.get("nameEn")) == "United Kingdom"]
        if len(found) != 1:
            raise Rejected("SEVDESK-COUNTRY", f"sevdesk has {len(found)} countries for this code", detail={"iso": iso})
        return reading.identity(found[0].get("id"), "country id")

    def unity_id(self) -> str:
        """Id of the unit "piece" (Stk, UNECE C62)."""
        return self._lookup("unity", self._piece)

    def _piece(self) -> str:
        for row in finding.everything(self._calls, "/Unity"):
            if "Stk" in (row.get("name"), row.get("translationCode")) or "C62" in map(str, row.values()):
                return reading.identity(row.get("id"), "unit id")
        raise Rejected("SEVDESK-UNITY", "sevdesk has no unit for pieces")

    def forget_lookups(self) -> None:
        """Read look-ups anew: for when sevdesk says it does not know an id we took from them."""
        with self._lock:
            self._lookups.clear()

    def _lookup(self, name: str, load: Callable[[], T]) -> T:
        with self._lock:
            kept = self._lookups.get(name)
        if kept and timedelta(0) <= self._clock() - kept[0] < LOOKUP_AGE:
            value: T = kept[1]
            return value
        value = load()
        with self._lock:
            self._lookups[name] = (self._clock(), value)
        return value

    # -- contacts ----------------------------------------------------------------------------------

    def find_contact(self, customer_number: str) -> str | None:
        """Id of the contact with exactly this customer number; of several (sevdesk allows it) the oldest."""
        query = [("customerNumber", customer_number), ("depth", "1")]  # without depth persons are hidden
        rows = finding.exactly(
            self._calls,
            "/Contact",
            query,
            lambda row: reading.text(row.get("customerNumber")),
            customer_number,
        )
        return min((reading.identity(row.get("id"), "contact id") for row in rows), key=int, default=None)

    def create_contact(self, party: Party) -> str:
        """Id of a new contact with the party's customer number and name. The invoice has its own address."""
        answer = self._calls.json("POST", "/Contact", "/Contact", body=documents.contact_body(party))

        def created() -> str:
            row = reading.one(answer, "contact")
            if reading.text(row.get("customerNumber")) not in (None, party.customer_number):
                raise reading.shape("customer number")
            return reading.identity(row.get("id"), "contact id")

        return _written(created)

    # -- invoices ----------------------------------------------------------------------------------

    def find_invoices(self, note: str) -> list[RemoteInvoice]:
        """All invoices with exactly this `customerInternalNote`, oldest first, without positions.

        A cancellation carries its invoice's note: look at `kind`.
        """
        query = [("customerInternalNote", note)]
        rows = finding.exactly(
            self._calls, "/Invoice", query, lambda row: reading.text(row.get("customerInternalNote")), note
        )
        return sorted((documents.remote_invoice(row) for row in rows), key=lambda invoice: int(invoice.id))

    def save_draft(self, draft: InvoiceDraft, contact_id: str) -> RemoteInvoice:
        """Create the draft in sevdesk: no number, no accounting effect; returned with its positions.

        Look for the draft's note first. Compare with `documents.compare` before finalising.
        """
        body = documents.save_invoice_body(
            draft, contact_id, self.contact_person(), self.country_id(draft.party.country), self.unity_id()
        )
        answer = self._calls.json("POST", (path := "/Invoice/Factory/saveInvoice"), path, body=body)

        def saved() -> RemoteInvoice:
            both = reading.one(answer, "saved invoice")
            return documents.with_positions(
                documents.remote_invoice(reading.one(both.get("invoice"), "saved invoice")),
                documents.remote_positions(reading.many(both.get("invoicePos"), "saved positions")),
            )

        return _written(saved)

    def get_invoice(self, invoice_id: str) -> RemoteInvoice | None:
        """The invoice as it is now, without positions; None only when sevdesk says it does not know it."""
        row = finding.by_id(self._calls, "/Invoice/{id}", f"/Invoice/{_id(invoice_id)}", invoice_id)
        return documents.remote_invoice(row) if row is not None else None

    def invoice_positions(self, invoice_id: str) -> tuple[RemotePosition, ...]:
        """All positions of an invoice, in the order they are printed."""
        path = f"/Invoice/{_id(invoice_id)}/getPositions"
        return documents.remote_positions(finding.everything(self._calls, path, template="/Invoice/{id}/getPositions"))

    def delete_draft(self, invoice_id: str) -> None:
        """Delete a draft; one that is gone is fine. `Rejected("SEVDESK-159")`: it is no draft any more."""
        self._delete("/Invoice/{id}", f"/Invoice/{_id(invoice_id)}")

    def _delete(self, template: str, path: str) -> None:
        try:
            self._calls.json("DELETE", template, path)
        except Rejected as error:
            if error.code != "SEVDESK-151":
                raise

    def finalise(self, invoice_id: str) -> RemoteInvoice:
        """Give the draft its number and its place in the books. Nothing is mailed. There is no way back.

        sevdesk calls it "sent as downloaded PDF" (`sendBy` VPDF). Numbers follow the order of these calls.
        """
        path = f"/Invoice/{_id(invoice_id)}/sendBy"
        body = {"sendType": "VPDF", "sendDraft": False}
        answer = self._calls.json("PUT", "/Invoice/{id}/sendBy", path, body=body)
        return _written(lambda: _same(documents.remote_invoice(reading.one(answer, "invoice")), invoice_id))

    def invoice_pdf(self, invoice_id: str) -> Pdf:
        """The document as PDF. `preventSendBy` is always sent: without it, reading a draft finalises it."""
        path = f"/Invoice/{_id(invoice_id)}/getPdf"
        query = [("download", "true"), ("preventSendBy", "true")]
        return unwrap_pdf(*self._calls.reply("GET", "/Invoice/{id}/getPdf", path, query=query))

    def find_cancellation(self, invoice_id: str) -> RemoteInvoice | None:
        """The cancellation (SR) whose origin is this invoice, or None. Found through the note both carry."""
        invoice = self.get_invoice(invoice_id)
        if invoice is None or invoice.note is None:
            return None
        found = [one for one in self.find_invoices(invoice.note) if one.kind == "SR" and one.origin_id == invoice.id]
        return found[0] if found else None

    def cancel(self, invoice_id: str) -> RemoteInvoice:
        """Cancel an open, unpaid invoice; returns the cancellation (SR): its own number, negative sums.

        `Rejected`: SEVDESK-390 partly paid, SEVDESK-421 already cancelled, SEVDESK-170 a credit note exists.
        """
        path = f"/Invoice/{_id(invoice_id)}/cancelInvoice"
        answer = self._calls.json("POST", "/Invoice/{id}/cancelInvoice", path)

        def cancelled() -> RemoteInvoice:
            found = documents.remote_invoice(reading.one(answer, "cancellation"))
            if found.kind != "SR" or found.origin_id not in (None, invoice_id):
                raise reading.shape("cancellation")
            return found

        return _written(cancelled)

    # -- money -------------------------------------------------------------------------------------

    def find_transaction(self, account_id: str, key: str) -> RemoteTransaction | None:
        """The line on this account that carries `key`; several: `Rejected("SEVDESK-DUPLICATE")`.

        Money must not be booked on a guess; `find_transactions` shows them all.
        """
        found = self.find_transactions(account_id, key)
        if len(found) > 1:
            ids = [line.id for line in found]
            raise Rejected("SEVDESK-DUPLICATE", "several lines carry the same key", detail={"ids": ids})
        return found[0] if found else None

    def find_transactions(self, account_id: str, key: str) -> list[RemoteTransaction]:
        """The lines on this account whose purpose contains `key` as whole words, oldest first, without deleted ones.

        sevdesk searches for substrings (`SHPTX 1` finds `SHPTX 12`), so words are compared here.
        """
        words = key.split()
        if not words:
            raise Rejected("SEVDESK-KEY", "an empty key would find everything")
        query = [
            ("checkAccount[id]", _id(account_id)),
            ("checkAccount[objectName]", "CheckAccount"),
            ("paymtPurpose", key),
        ]
        found = []
        for row in finding.matching(self._calls, "/CheckAccountTransaction", query):
            line = accounts.transaction(row)
            if line.account_id != account_id or key.casefold() not in line.purpose.casefold():
                raise finding.implausible("/CheckAccountTransaction")
            if not line.deleted and accounts.contains_words(line.purpose.split(), words):
                found.append(line)
        return sorted(found, key=lambda line: int(line.id))

    def delete_transaction(self, transaction_id: str) -> None:
        """Delete an unlinked line (a double that a given-up call left behind); one that is gone is fine."""
        path = f"/CheckAccountTransaction/{_id(transaction_id)}"
        self._delete("/CheckAccountTransaction/{id}", path)

    def create_transaction(
        self, account_id: str, amount: int, value_date: date, payer: str, purpose: str
    ) -> RemoteTransaction:
        """A new line on a file-import account; `amount` in cents, negative for money out. Find first."""
        body = {
            "valueDate": reading.german(value_date),
            "amount": to_decimal(amount),
            "status": 100,
            "payeePayerName": documents.line(payer) or "-",
            "paymtPurpose": reading.plain(purpose),
            "checkAccount": documents.reference(_id(account_id), "CheckAccount"),
        }
        answer = self._calls.json("POST", (path := "/CheckAccountTransaction"), path, body=body)

        def created() -> RemoteTransaction:
            line = accounts.transaction(reading.one(answer, "transaction"), account_id=account_id)
            if (line.amount, line.account_id) != (amount, account_id):
                raise reading.shape("transaction")
            return line

        return _written(created)

    def get_transaction(self, transaction_id: str) -> RemoteTransaction | None:
        """A line as it is now, deleted ones too; None only when sevdesk says it does not know it."""
        path = f"/CheckAccountTransaction/{_id(transaction_id)}"
        row = finding.by_id(self._calls, "/CheckAccountTransaction/{id}", path, transaction_id)
        return accounts.transaction(row) if row is not None else None

    def book(self, invoice_id: str, amount: int, day: date, account_id: str, transaction_id: str | None) -> BookingLog:
        """Book `amount` cents on an invoice and link the transaction. `Rejected("SEVDESK-750")`: it is paid.

        Without a transaction only offline accounts work (sevdesk then makes the line itself).
        """
        body: dict[str, Any] = {
            "amount": to_decimal(amount),
            "date": reading.german(day),
            "type": "FULL_PAYMENT",  # sevdesk's normal booking, also for a part of the invoice
            "checkAccount": documents.reference(_id(account_id), "CheckAccount"),
            "createFeed": False,  # true made sevdesk match an equal open amount of another invoice
        }
        if transaction_id is not None:
            body["checkAccountTransaction"] = documents.reference(_id(transaction_id), "CheckAccountTransaction")
        path = f"/Invoice/{_id(invoice_id)}/bookAmount"
        answer = self._calls.json("PUT", "/Invoice/{id}/bookAmount", path, body=body)

        def booked() -> BookingLog:
            log = reading.one(answer, "booking")
            before, after, paid = (log.get(name) for name in ("fromStatus", "toStatus", "ammountPayed"))
            return BookingLog(
                from_status=None if before is None else reading.integer(before, "fromStatus"),
                to_status=None if after is None else reading.integer(after, "toStatus"),
                amount=None if paid is None else reading.cents(paid, "ammountPayed"),
            )

        return _written(booked)


def _written(read: Callable[[], T]) -> T:
    """Read the answer to a write that was accepted; not understood means that its outcome is unknown."""
    try:
        return read()
    except Rejected as error:
        message = "sevdesk accepted the request, but its answer is not understood"
        raise Ambiguous("SEVDESK-SHAPE", message, detail={"because": error.message}) from None


def _same(invoice: RemoteInvoice, invoice_id: str) -> RemoteInvoice:
    if invoice.id != invoice_id:
        raise reading.shape("invoice id")
    return invoice


def _id(value: str) -> str:
    """An id fit for a path: digits only, so that nothing read elsewhere can lead a request astray."""
    if not (value.isascii() and value.isdigit()):
        raise Rejected("SEVDESK-ID", "an id of sevdesk consists of digits")
    return value
