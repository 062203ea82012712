"""Mailgun's webhooks: HMAC-SHA256 of timestamp and token under the account's webhook signing key ("Securing Webhooks").

The signature stands in the body and does not cover what is told beside it. What Mailgun asks for in return is that a
token is honoured once: whoever calls remembers it together with the body it came with (`feedback.claim`), so that a
captured signature carries no other words.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ladenbuch.domain.feedback import Bounce, bounce_of
from ladenbuch.mail.feedback import MARK, Told, as_json, forged, fresh, mapping, mark_in, of_seconds, status_in, text

NAME = "mailgun"
#: Mailgun repeats for eight hours what was answered with neither 200 nor 406.
PAST = timedelta(hours=9)

#: Why Mailgun itself did not send.
_SUPPRESSED: Mapping[str, Bounce] = {"suppress-bounce": "invalid", "old": "soft"}


def verify(body: bytes, keys: Sequence[str], now: datetime) -> str:
    """What identifies this request (its token), when one of the signing keys signed it."""
    told = mapping(mapping(as_json(body)).get("signature"))
    stamp, token = text(told.get("timestamp"), 40), text(told.get("token"), 200)
    # The event of a subaccount is signed by its own key and by the primary account's.
    signatures = [text(told.get(name), 200).encode() for name in ("signature", "parent-signature")]
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12 or not token:
        raise forged("it has no signature")
    held = False
    for key in keys:
        wanted = hmac.new(key.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest().encode()
        for signature in signatures:
            held |= hmac.compare_digest(wanted, signature)
    if not held:
        raise forged("its signature does not hold")
    fresh(of_seconds(stamp), now, PAST)
    return token


def read(body: bytes) -> list[Told]:
    """The event, when it is about a letter's way."""
    one = mapping(mapping(as_json(body)).get("event-data"))
    kind, id = text(one.get("event"), 40), text(one.get("id"), 200)
    if not id or kind not in ("delivered", "failed", "rejected", "complained"):
        return []
    status = mapping(one.get("delivery-status"))
    headers = mapping(mapping(one.get("message")).get("headers"))
    said: dict[str, Any] = {
        "at": of_seconds(one.get("timestamp")),
        "mark": mark_in(mapping(one.get("user-variables")).get(MARK), headers.get("message-id")),
        "recipient": text(one.get("recipient"), 320),
        "reason": text(status.get("description")) or text(status.get("message")) or text(one.get("reason")),
    }
    if kind in ("delivered", "complained"):
        return [Told(NAME, id, "delivered" if kind == "delivered" else "complained", **said)]
    if kind == "failed" and text(one.get("severity"), 20) == "temporary":
        return [Told(NAME, id, "delayed", **said)]
    code = status_in(status.get("enhanced-code"), status.get("message"), status.get("code"))
    if kind == "rejected":
        return [Told(NAME, id, "bounced", bounce="refused", status=code, **said)]
    known = _SUPPRESSED.get(text(one.get("reason"), 40))
    if known is None and text(status.get("bounce-type"), 20) == "soft":
        known = "soft"
    return [Told(NAME, id, "bounced", bounce=known or bounce_of(code), status=code, **said)]
