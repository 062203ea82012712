"""Carries out plans at a simulated sevdesk, through the product's client and as its workflows do.

Engine, intents and database are left out. What sevdesk then holds is computed by the simulator alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx2

from ladenbuch.domain.actions import Action, Plan
from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.profile import Profile
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.simulators.http import Route, SimRequest, SimTransport
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator

LISTS = ("Invoice", "InvoicePos", "CreditNote", "CreditNotePos", "CheckAccountTransaction")


class Desk:
    """One tenant of sevdesk under a clock that its owner moves on (`now`, aware UTC). One buyer stands for all."""

    def __init__(self, profile: Profile, now: datetime) -> None:
        self.now = now
        self._simulator = SevdeskSimulator(lambda: self.now, DEFAULT_TOKEN)
        transport = SimTransport([Route("http://sevdesk.test/", self._simulator)])
        self._sevdesk = Sevdesk(
            "http://sevdesk.test/api/v1",
            lambda: DEFAULT_TOKEN,
            httpx2.Client(transport=transport),
            clock=lambda: now,  # countries and units are read once
            sleep=lambda seconds: None,
        )
        self._buyer = ""
        gateways = {
            name: replace(gateway, account=self._account(name)) if gateway.account else gateway
            for name, gateway in profile.gateways.items()
        }
        self.profile = replace(profile, gateways=gateways)

    def _account(self, name: str) -> str:
        account = self._sevdesk.create_file_import_account(name)
        self._sevdesk.stop_auto_mapping(account.id)
        return account.id

    def lists(self) -> dict[str, list[dict[str, Any]]]:
        """Everything the proof is made from, as the API lists it, page by page."""
        return {name: self._listed(name) for name in LISTS}

    def _listed(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            query = [("limit", "1000"), ("offset", str(len(found)))]
            request = SimRequest("GET", f"/api/v1/{name}", query, {"authorization": DEFAULT_TOKEN}, b"")
            page = json.loads(self._simulator.handle(request).body)["objects"]
            found += page
            if len(page) < 1000:
                return found

    def settle(self, books: Books, planned: Callable[[Books], Plan]) -> tuple[Books, Plan]:
        """Carry out what is due now; what is posted then, and the plan after it, which wants nothing more."""
        made = planned(books)
        for action in made.due(self.now):
            assert action.key not in books.applied and set(action.after) <= books.applied, action
            books = self._carry_out(books, made.order_id, action)
            books = replace(books, applied=books.applied | {action.key})
        left = planned(books)
        assert left.due(self.now) == ()
        return books, left

    def _carry_out(self, books: Books, order: str, action: Action) -> Books:
        if action.kind == "money_line":
            return self._line(books, order, action)
        steps = {
            "invoice": self._draft,
            "credit_note": self._draft,
            "finalise": self._finalise,
            "cancel": self._cancel,
            "book_payment": self._book,
            "book_refund": self._book,
            "letter": self._letter,
        }
        return steps[action.kind](books, action)

    def _draft(self, books: Books, action: Action) -> Books:
        document = action.document
        assert document is not None
        self._buyer = self._buyer or self._sevdesk.create_contact(document.draft.party)
        if document.kind == "credit_note":
            origin, number = _document(books, document.draft.origin_key), self._sevdesk.next_credit_note_number()
            saved = self._sevdesk.save_credit_note(document.draft, self._buyer, origin.sevdesk_id or "", number)
        else:
            saved = self._sevdesk.save_draft(document.draft, self._buyer)
        drafted = replace(document, state="draft", sevdesk_id=saved.id)
        return replace(books, documents=(*books.documents, drafted))

    def _finalise(self, books: Books, action: Action) -> Books:
        document = _document(books, action.document.key)  # type: ignore[union-attr]
        finalise = self._sevdesk.finalise
        if document.kind == "credit_note":
            finalise = self._sevdesk.finalise_credit_note  # type: ignore[assignment]
        return _changed(books, document, state="final", number=finalise(document.sevdesk_id or "").number)

    def _cancel(self, books: Books, action: Action) -> Books:
        document = _document(books, action.document.key)  # type: ignore[union-attr]
        self._sevdesk.cancel_invoice(document.sevdesk_id or "")
        return _changed(books, document, state="cancelled")

    def _line(self, books: Books, order: str, action: Action) -> Books:
        line = action.line
        assert line is not None and line.account is not None
        purpose = f"SHPTX {'/'.join(line.payment_id.split('/')[4:])} order:{order.rsplit('/', 1)[-1]}"
        made = self._sevdesk.create_transaction(line.account, line.amount, line.value_date, "Bestellung", purpose)
        return replace(books, lines=(*books.lines, replace(line, done=True, sevdesk_id=made.id)))

    def _book(self, books: Books, action: Action) -> Books:
        booking = action.booking
        assert booking is not None
        document = _document(books, booking.document_key)
        line = next(item for item in books.lines if item.payment_id == booking.payment_id)
        book = self._sevdesk.book if booking.amount > 0 else self._sevdesk.book_credit_note
        book(document.sevdesk_id or "", booking.amount, line.value_date, line.account or "", line.sevdesk_id)
        return replace(books, bookings=(*books.bookings, replace(booking, done=True)))

    def _letter(self, books: Books, action: Action) -> Books:
        return replace(books, letters=books.letters | {action.key})


def _document(books: Books, key: str) -> PostedDocument:
    return next(item for item in books.documents if item.key == key)


def _changed(books: Books, document: PostedDocument, **changes: Any) -> Books:
    documents = tuple(replace(item, **changes) if item is document else item for item in books.documents)
    return replace(books, documents=documents)
