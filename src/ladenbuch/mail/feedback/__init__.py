"""What relays tell of letters they took: verified as each publishes it, then read into one shape. Pure.

    sendgrid   Event Webhook: ECDSA P-256 over timestamp and body
    mailgun    HMAC-SHA256 over timestamp and token; the body is not signed, so a token counts once
    ses        Amazon SNS: RSA over the named fields, with a certificate of Amazon's own host; subscriptions confirmed
    postmark   no signature exists: HTTP Basic over TLS
    dsn        bounce messages (RFC 3464) and complaints (RFC 5965), for relays that speak SMTP alone

`verify` raises Rejected("FEEDBACK-FORGED") for what is not the provider's, or too old to be taken again, and
Rejected("FEEDBACK-SHAPE") for what cannot be read. A letter is found by its mark: a field of ours that every provider
gives back, or the Message-ID.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ladenbuch.domain.feedback import Bounce, What
from ladenbuch.errors import Rejected

#: The name under which a provider is given a letter's mark, and gives it back.
MARK = "ladenbuch_letter"
#: How far a provider's clock may be ahead of ours.
AHEAD = timedelta(minutes=5)
_MARK = re.compile(r"[0-9a-f]{32}\Z")
_ENHANCED = re.compile(r"(?<![\w.])[245]\.\d{1,3}\.\d{1,3}(?![\w.])")
_REPLY = re.compile(r"(?<![\w.])[245]\d\d(?![\w.])")
_OURS = re.compile(r"<?ladenbuch\.([0-9a-f]{32})@[^<>\s]+>?\Z")


@dataclass(frozen=True, slots=True)
class Told:
    """One thing said about one recipient of one letter.

    `id` is the same whenever the same thing is said again. `mark` finds the letter; None: it is none of ours. `status`
    is the enhanced status code or the reply code, where one was told; `reason` may quote an address.
    """

    provider: str
    id: str
    what: What
    at: datetime
    mark: str | None
    recipient: str = field(repr=False)
    bounce: Bounce | None = None
    status: str = ""
    reason: str = field(default="", repr=False)


def mark_in(*found: object) -> str | None:
    """The mark of a letter of ours: as such, or in a Message-ID (with or without its brackets)."""
    for one in found:
        if isinstance(one, str):
            text = one.strip()
            if _MARK.match(text):
                return text
            ours = _OURS.match(text)
            if ours is not None:
                return ours[1]
    return None


def status_in(*found: object) -> str:
    """The first enhanced status code (RFC 3463) in what was told, else the first reply code, else an empty string."""
    texts = [text(one) for one in found]
    for pattern in (_ENHANCED, _REPLY):
        for one in texts:
            code = pattern.search(one)
            if code is not None:
                return code[0]
    return ""


def forged(why: str) -> Rejected:
    """It is not the provider's, or no longer to be taken."""
    return Rejected("FEEDBACK-FORGED", why)


def unreadable(why: str) -> Rejected:
    """It is not of the shape the provider publishes."""
    return Rejected("FEEDBACK-SHAPE", why)


def fresh(at: datetime, now: datetime, past: timedelta) -> None:
    """Refuse what was signed longer ago than a provider goes on repeating, or in the future."""
    if at > now + AHEAD:
        raise forged("it was signed in the future")
    if at < now - past:
        raise forged("it was signed too long ago")


def as_json(body: bytes | str) -> Any:
    """The JSON of a body. Raises Rejected("FEEDBACK-SHAPE")."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise unreadable("the body is not JSON") from None


def mapping(found: object) -> Mapping[str, Any]:
    """The object, or an empty one for whatever else stands there."""
    return found if isinstance(found, Mapping) else {}


def text(found: object, longest: int = 500) -> str:
    """The text or number, cut; an empty string for whatever else stands there."""
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    return str(found)[:longest]


def of_seconds(found: object) -> datetime:
    """The instant of Unix seconds. Raises Rejected("FEEDBACK-SHAPE")."""
    try:
        return datetime.fromtimestamp(float(text(found, 30)), UTC)
    except (ValueError, OverflowError, OSError):
        raise unreadable("a time is missing") from None


def of_iso(found: object) -> datetime:
    """The instant of an ISO 8601 text, UTC where it names no zone. Raises Rejected("FEEDBACK-SHAPE")."""
    try:
        # Seven decimals are one too many for Python; nobody needs them.
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text(found, 40)))
    except ValueError:
        raise unreadable("a time is missing") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
