"""What the rooms of the client share: one caller, the look-ups, and how a write's answer is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar

from ladenbuch.domain.money import to_decimal
from ladenbuch.errors import Ambiguous, Rejected
from ladenbuch.sevdesk import reading
from ladenbuch.sevdesk.calls import Caller
from ladenbuch.sevdesk.lookups import Lookups
from ladenbuch.sevdesk.paper import reference
from ladenbuch.sevdesk.pdf import Pdf, unwrap_pdf

T = TypeVar("T")


class Room:
    """A part of the client: verbs about one kind of thing. `Sevdesk` is all rooms together."""

    def __init__(self, calls: Caller, lookups: Lookups) -> None:
        self._calls = calls
        self._lookups = lookups

    def _post_with_lookups(self, path: str, body: Callable[[], Mapping[str, Any]]) -> Any:
        """POST a body made of look-ups. When sevdesk knows one of its ids no more, they are read anew, once.

        It is sent again only when that changed the body: an unknown contact stays unknown. The refusal 151 proves
        that nothing was stored.
        """
        first = body()
        try:
            return self._calls.json("POST", path, path, body=first)
        except Rejected as error:
            if error.code != "SEVDESK-151":
                raise
            self._lookups.forget()
            second = body()
            if second == first:
                raise
            return self._calls.json("POST", path, path, body=second)

    def _delete(self, template: str, path: str) -> None:
        try:
            self._calls.json("DELETE", template, path)
        except Rejected as error:
            if error.code != "SEVDESK-151":
                raise

    def _send_by(self, kind: str, id_: str) -> Any:
        path, body = f"/{kind}/{checked(id_)}/sendBy", {"sendType": "VPDF", "sendDraft": False}
        return self._calls.json("PUT", f"/{kind}/{{id}}/sendBy", path, body=body)

    def mail_document(self, kind: str, id_: str, to: str, subject: str, text: str) -> None:
        """Have sevdesk mail a finalised Invoice or CreditNote with its PDF. `text` is HTML; `to` one plain address.

        A repeated call mails again (facts 6.1): look at the document's `send_type` before and after.
        """
        body = {"toEmail": to, "subject": subject, "text": text}
        path = f"/{kind}/{checked(id_)}/sendViaEmail"
        self._calls.json("POST", f"/{kind}/{{id}}/sendViaEmail", path, body=body)

    def _pdf(self, kind: str, id_: str, untitled: str) -> Pdf:
        query = [("download", "true"), ("preventSendBy", "true")]
        reply = self._calls.reply("GET", f"/{kind}/{{id}}/getPdf", f"/{kind}/{checked(id_)}/getPdf", query=query)
        return unwrap_pdf(*reply, untitled=untitled)

    def _book(self, kind: str, id_: str, amount: int, day: date, account_id: str, transaction_id: str | None) -> Any:
        body: dict[str, Any] = {
            "amount": to_decimal(amount),
            "date": reading.german(day),
            "type": "FULL_PAYMENT",  # sevdesk's normal booking, also for a part of the document
            "checkAccount": reference(checked(account_id), "CheckAccount"),
            "createFeed": False,  # true made sevdesk match an equal open amount of another invoice
        }
        if transaction_id is not None:
            body["checkAccountTransaction"] = reference(checked(transaction_id), "CheckAccountTransaction")
        path = f"/{kind}/{checked(id_)}/bookAmount"
        return self._calls.json("PUT", f"/{kind}/{{id}}/bookAmount", path, body=body)


def written(read: Callable[[], T]) -> T:
    """Read the answer to a write that was accepted; not understood means that its outcome is unknown."""
    try:
        return read()
    except Rejected as error:
        message = "sevdesk accepted the request, but its answer is not understood"
        raise Ambiguous("SEVDESK-SHAPE", message, detail={"because": error.message}) from None


def checked(value: str) -> str:
    """An id fit for a path: digits only, so that nothing read elsewhere can lead a request astray."""
    if not (value.isascii() and value.isdigit()):
        raise Rejected("SEVDESK-ID", "an id of sevdesk consists of digits")
    return value
