"""Bounce messages: delivery status notifications (RFC 3464 in RFC 6522), and complaints in ARF (RFC 5965).

Mail is signed by nobody: whoever can write to the bounce mailbox can write a bounce. So a bounce message counts only
for a letter of ours it names by its mark, sent to the very recipient it names (`workflows.feedback`), and it comes in
by a command of the operator's, not from the web.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import policy
from email.errors import MessageError
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

from ladenbuch.domain.feedback import Bounce, bounce_of
from ladenbuch.mail.feedback import Told, mark_in, status_in, unreadable

NAME = "dsn"
#: A bounce message holds its letter's headers, sometimes all of it.
LONGEST = 25_000_000

_ADDRESS = re.compile(r"(?:[a-z0-9-]+\s*;)?\s*<?([^<>\s;]+@[^<>\s;]+?)>?\s*\Z", re.IGNORECASE)


def read(raw: bytes, now: datetime) -> list[Told]:
    """What a message says of letters; [] for a message that is no report, such as a note of absence.

    Raises Rejected("FEEDBACK-SHAPE") for what is no message at all. `now` stands in for a missing date.
    """
    if len(raw) > LONGEST:
        raise unreadable("the message is too large")
    try:
        message = BytesParser(policy=policy.default).parsebytes(raw)
        report = str(message.get_param("report-type", "")).lower()
        if message.get_content_type() != "multipart/report" or report not in ("delivery-status", "feedback-report"):
            return []
        parts: list[Message] = [part for part in message.iter_parts() if isinstance(part, Message)]
        original = _original(parts)
        found = _statuses(message, parts, original, now) if report == "delivery-status" else None
        return list(found if found is not None else _complaint(message, parts, original, now))
    except (MessageError, ValueError, LookupError, AttributeError, TypeError, IndexError):
        raise unreadable("the message cannot be read") from None


def _original(parts: list[Message]) -> Message:
    """The headers of the letter it is about, as far as they were sent back."""
    for part in reversed(parts):
        kind = part.get_content_type()
        if kind == "message/rfc822":
            inner = part.get_payload()
            found = inner[0] if isinstance(inner, list) and inner else None
            if isinstance(found, Message):
                return found
        elif kind in ("text/rfc822-headers", "message/rfc822-headers"):
            content = part.get_payload(decode=True)
            return BytesParser(policy=policy.default).parsebytes(content if isinstance(content, bytes) else b"", True)
    return EmailMessage()


def _blocks(parts: list[Message], kind: str) -> list[Message]:
    for part in parts:
        if part.get_content_type() == kind:
            inner = part.get_payload()
            return [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []
    return []


def _statuses(message: Message, parts: list[Message], original: Message, now: datetime) -> Iterator[Told]:
    mark, at, id = _mark(original), _date(message, now), _id(message)
    for number, block in enumerate(_blocks(parts, "message/delivery-status")[1:]):
        recipient = _address(block.get("Original-Recipient")) or _address(block.get("Final-Recipient"))
        action = str(block.get("Action", "")).strip().lower()
        status = status_in(str(block.get("Status", "")), str(block.get("Diagnostic-Code", "")))
        said = " ".join(str(block.get("Diagnostic-Code", "")).split())[:500]
        name = f"{id} {number}"
        if action == "failed":
            bounce: Bounce = bounce_of(status)
            yield Told(NAME, name, "bounced", at, mark, recipient, bounce, status, said)
        elif action == "delayed":
            yield Told(NAME, name, "delayed", at, mark, recipient, None, status, said)
        elif action == "delivered":
            yield Told(NAME, name, "delivered", at, mark, recipient, None, status, said)


def _complaint(message: Message, parts: list[Message], original: Message, now: datetime) -> Iterator[Told]:
    report = _report(parts)
    kind = str(report.get("Feedback-Type", "")).strip().lower()
    if kind in ("abuse", "fraud", "virus"):
        # Many hide the complainant's address; the letter they send back names whom it was for.
        recipient = _address(report.get("Original-Rcpt-To")) or _address(original.get("To"))
        yield Told(NAME, _id(message), "complained", _date(message, now), _mark(original), recipient, reason=kind)


def _report(parts: list[Message]) -> Message:
    for part in parts:
        if part.get_content_type() == "message/feedback-report":
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                return inner[0]
            text = inner if isinstance(inner, str) else ""
            return BytesParser(policy=policy.default).parsebytes(text.encode("utf-8", "replace"), True)
    return EmailMessage()


def _mark(original: Message) -> str | None:
    return mark_in(str(original.get("X-Ladenbuch-Letter", "")), str(original.get("Message-ID", "")))


def _address(found: object) -> str:
    match = _ADDRESS.search(str(found or "").strip())
    return match[1] if match else ""


def _date(message: Message, now: datetime) -> datetime:
    try:
        at = parsedate_to_datetime(str(message.get("Date", "")))
    except (ValueError, TypeError):
        return now
    at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return min(at, now)


def _id(message: Message) -> str:
    """The same for the same message; its Message-ID, which a forger may choose, is not believed alone."""
    content = b"\n".join(
        part.as_bytes() for part in message.walk() if part.get_content_type() == "message/delivery-status"
    )
    named = f"{message.get('Message-ID', '')}\n{message.get('Date', '')}\n".encode("utf-8", "replace")
    return hashlib.sha256(named + content).hexdigest()[:32]
