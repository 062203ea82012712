"""SendGrid's Event Webhook, signed ("Signed Event Webhook Requests"): ECDSA on P-256 with SHA-256.

The signature, base64 of DER, is over the timestamp header and the body as it came, to the last byte; SendGrid ends the
body with CRLF. The account's page shows the public key as base64 of DER. One request carries many events.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ladenbuch.domain.feedback import Bounce, bounce_of
from ladenbuch.errors import UsageError
from ladenbuch.mail.feedback import (
    MARK,
    Told,
    as_json,
    forged,
    fresh,
    mapping,
    mark_in,
    of_seconds,
    status_in,
    text,
    unreadable,
)

NAME = "sendgrid"
SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
#: SendGrid repeats for 24 hours what was not answered with 2xx.
PAST = timedelta(hours=25)

#: Why SendGrid itself did not send, where that is about the address.
_DROPPED: Mapping[str, Bounce] = {"bounced address": "invalid", "invalid": "invalid"}
#: Its own classes of bounces, where they say more than the code.
_CLASSES: Mapping[str, Bounce] = {
    "invalid address": "invalid",
    "mailbox unavailable": "soft",
    "reputation": "refused",
    "content": "refused",
    "frequency or volume too high": "soft",
    "technical failure": "soft",
}


@lru_cache(maxsize=16)
def _key(public: str) -> ec.EllipticCurvePublicKey:
    made: object = None
    with contextlib.suppress(ValueError, binascii.Error):
        made = load_der_public_key(base64.b64decode("".join(public.split()), validate=True))
    if not isinstance(made, ec.EllipticCurvePublicKey) or not isinstance(made.curve, ec.SECP256R1):
        raise UsageError("SETTING", "LADENBUCH_FEEDBACK_SENDGRID: a key is not the base64 of a P-256 public key")
    return made


def verify(body: bytes, headers: Mapping[str, str], keys: Sequence[str], now: datetime) -> str:
    """What identifies this request (its signature), when one of the public keys signed it. `headers` in lower case."""
    signature, stamp = headers.get(SIGNATURE, ""), headers.get(TIMESTAMP, "")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise forged("it has no timestamp")
    try:
        signed = base64.b64decode(signature, validate=True)
    except (ValueError, binascii.Error):
        raise forged("its signature is no base64") from None
    if not any(_signed(_key(key), signed, stamp.encode() + body) for key in keys):
        raise forged("its signature does not hold")
    fresh(of_seconds(stamp), now, PAST)
    return f"{stamp} {signature}"


def _signed(key: ec.EllipticCurvePublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def read(body: bytes) -> list[Told]:
    """The events about letters; what is about opens, clicks and lists is left out."""
    found = as_json(body)
    if not isinstance(found, list):
        raise unreadable("SendGrid sends a list of events")
    return list(_events(found))


def _events(found: Sequence[object]) -> Iterator[Told]:
    for one in map(mapping, found):
        kind, id = text(one.get("event"), 40), text(one.get("sg_event_id"), 200)
        if not id or kind not in ("delivered", "bounce", "dropped", "deferred", "spamreport"):
            continue
        at, mark = of_seconds(one.get("timestamp")), mark_in(one.get(MARK), one.get("smtp-id"))
        common: dict[str, Any] = {"at": at, "mark": mark, "recipient": text(one.get("email"), 320)}
        common["reason"] = text(one.get("reason")) or text(one.get("response"))
        if kind == "delivered":
            yield Told(NAME, id, "delivered", **common)
        elif kind == "deferred":
            yield Told(NAME, id, "delayed", **common)
        elif kind == "spamreport":
            yield Told(NAME, id, "complained", **common)
        elif kind == "dropped":
            yield Told(NAME, id, "bounced", bounce=_DROPPED.get(common["reason"].lower(), "refused"), **common)
        else:
            status = status_in(one.get("status"), one.get("reason"))
            yield Told(NAME, id, "bounced", bounce=_bounce(one, status), status=status, **common)


def _bounce(one: Mapping[str, Any], status: str) -> Bounce:
    known = _CLASSES.get(text(one.get("bounce_classification"), 60).lower())
    if known is not None:
        return known
    return "refused" if text(one.get("type"), 20) == "blocked" else bounce_of(status)
