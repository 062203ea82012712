"""The events other tools may hear of: their names, what they say, how they are signed, when they are sent again. Pure.

    {"type": "invoice.created", "timestamp": "2026-11-23T13:05:00.000000Z", "data": {…}}

An event tells one fact of the books, once: its id is made of the fact's own key, so that whatever is sent again (a lost
answer, a replay, a restored backup) carries the id it had. It names order, document and amounts, and nobody: who needs
the buyer asks Shopify for the order, with rights of their own. Signed as Standard Webhooks says (HMAC-SHA256 over
`id.timestamp.body`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ladenbuch.domain.books import Booked, PostedDocument
from ladenbuch.errors import Rejected

#: Every event there is, and when it comes. docs/reference/events.md tells them; a test holds the two together.
EVENTS: Mapping[str, str] = {
    "invoice.created": "an invoice has its number",
    "invoice.corrected": "a credit note that corrects an invoice has its number",
    "invoice.cancelled": "an invoice was cancelled",
    "payment.booked": "money pays an invoice",
    "refund.booked": "money that went back is booked on a correction",
    "order.attention": "a person is asked about an order",
}
#: What a receiver gets when somebody tries it.
PING = "ping"

#: Seconds between attempts of one event, after which it is given up: about three days (Standard Webhooks).
STEPS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: A step moves by up to this many hundredths.
JITTER = 10
#: While a receiver fails, it is asked with one event at a time, so many seconds apart.
QUIET = (5, 30, 120, 600)
#: A receiver that took nothing for so long is told of (first) and switched off (then).
TOLD_AFTER = timedelta(hours=12)
OFF_AFTER = timedelta(days=5)
#: How long the secret that was replaced signs beside the new one.
OVERLAP = timedelta(hours=24)
#: Longest wait a receiver may ask for by `Retry-After`.
LONGEST_WAIT = timedelta(hours=24)
LONGEST_QUIET = timedelta(hours=1)
#: Bytes of a new secret.
SECRET_BYTES = 32
_PREFIX = "whsec_"


# -- what is said ----------------------------------------------------------------------------------------------------


def body_of(kind: str, at: datetime, data: Mapping[str, Any]) -> str:
    """The body as it is signed and sent, byte for byte, whenever it is."""
    said = {"type": kind, "timestamp": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z", "data": dict(data)}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def about_order(shop: str, order_id: str, name: str) -> dict[str, Any]:
    """The part every event about an order begins with."""
    return {"shop": shop, "order": {"id": order_id, "name": name}}


def about_document(document: PostedDocument, number: str, link: str | None) -> dict[str, Any]:
    """A document: its number and date, what it is over, where it is found in sevdesk (by who may log in there)."""
    draft = document.draft
    return {
        "number": number,
        "kind": document.kind,
        "date": document.day.isoformat(),
        "gross": money(draft.gross, draft.currency),
        "sevdesk_id": document.sevdesk_id,
        "link": link,
    }


def about_booking(booking: Booked, document: PostedDocument) -> dict[str, Any]:
    """Money on a document; the amount has no sign, the event's name says which way it went."""
    return {
        "transaction": booking.payment_id,
        "amount": money(abs(booking.amount), document.draft.currency),
        "document": document.number,
    }


def money(minor: int, currency: str) -> dict[str, str]:
    """An amount of minor units, as Shopify writes it."""
    sign, whole, part = "-" if minor < 0 else "", abs(minor) // 100, abs(minor) % 100
    return {"amount": f"{sign}{whole}.{part:02d}", "currency": currency}


def webhook_id(tenant: str, key: str) -> str:
    """The id of the event about a fact: the same for ever, and another one for every fact."""
    return "evt_" + hashlib.sha256(f"{tenant}\0{key}".encode()).hexdigest()[:40]


def wanted(names: Sequence[str]) -> tuple[str, ...]:
    """What a receiver wants to hear of, in our order; nothing named means everything, also what comes to be told later.

    Raises Rejected("EVENT-NAME").
    """
    unknown = sorted(set(names) - set(EVENTS))
    if unknown:
        raise Rejected("EVENT-NAME", f"there is no event {unknown[0]!r}; there are {', '.join(EVENTS)}")
    return tuple(name for name in EVENTS if name in names)


# -- how it is signed ------------------------------------------------------------------------------------------------


def secret_text(raw: bytes) -> str:
    """A secret as a receiver's library takes it."""
    return _PREFIX + b64encode(raw).decode()


def signature(secret: str, id: str, sent: datetime, body: bytes) -> str:
    """One signature of Standard Webhooks, `v1,…`. Raises ValueError for what is no secret."""
    if not re.fullmatch(r"whsec_[A-Za-z0-9+/]+={0,2}", secret):
        raise ValueError("a secret begins with whsec_")
    key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    text = f"{id}.{seconds(sent)}.".encode() + body
    return "v1," + b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def headers(secrets: Sequence[str], id: str, sent: datetime, body: bytes) -> dict[str, str]:
    """What goes with a body: id, instant, and a signature by each secret that is in force."""
    return {
        "webhook-id": id,
        "webhook-timestamp": str(seconds(sent)),
        "webhook-signature": " ".join(signature(secret, id, sent, body) for secret in secrets),
    }


def seconds(instant: datetime) -> int:
    """Whole seconds since 1970."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


# -- when it is sent again -------------------------------------------------------------------------------------------


def again(attempts: int, now: datetime, *, after: timedelta | None = None, jitter: int = 0) -> datetime | None:
    """When an event is tried next, after so many attempts; None: it is given up.

    `after` is what the receiver asked for: not earlier than that. `jitter` is in [-100, 100] and moves a step.
    """
    if attempts > len(STEPS):
        return None
    step = timedelta(seconds=STEPS[attempts - 1])
    step += step * max(-100, min(100, jitter)) * JITTER // 10_000
    return now + max(step, min(after or step, LONGEST_WAIT))


def quiet(failures: int, after: timedelta | None = None) -> timedelta:
    """How long a receiver is left alone after so many failures in a row, whatever waits for it; `after` is what it
    asked for, heard up to an hour."""
    return max(timedelta(seconds=QUIET[min(failures, len(QUIET)) - 1]), min(after or timedelta(0), LONGEST_QUIET))


def took(status: int | None) -> bool:
    """Whether an answer says that the event arrived."""
    return status is not None and 200 <= status < 300


def gone(status: int | None) -> bool:
    """Whether a receiver says that it wants nothing any more."""
    return status == 410
