"""Postmark's webhooks. Postmark signs nothing: it offers HTTP Basic in the webhook's address, over TLS.

Name and password are compared in constant time. What was told before is known by its id and does nothing a second
time; there is no time of signing that could be too old.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from ladenbuch.domain.feedback import Bounce
from ladenbuch.mail.feedback import MARK, Told, as_json, forged, mapping, mark_in, of_iso, text, unreadable

NAME = "postmark"

#: Types of bounces (Postmark's bounce API); those that are none, such as a note of absence, are in neither list.
_BOUNCES: Mapping[str, Bounce] = {
    "HardBounce": "invalid",
    "BadEmailAddress": "invalid",
    "ManuallyDeactivated": "refused",
    "SoftBounce": "soft",
    "DnsError": "soft",
    "Undeliverable": "soft",
    "Blocked": "refused",
    "SpamNotification": "refused",
    "VirusNotification": "refused",
    "DMARCPolicy": "refused",
    "SMTPApiError": "refused",
    "TemplateRenderingFailed": "refused",
    "InboundError": "refused",
    "Unconfirmed": "refused",
    "Unknown": "soft",
}


def verify(headers: Mapping[str, str], logins: Sequence[str]) -> None:
    """Raise unless the request carries one of the logins (`name:password`). `headers` in lower case."""
    scheme, _, coded = headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(coded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (ValueError, binascii.Error):
        given = b""
    held = False
    for login in logins:
        held |= hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(login.encode()).digest())
    if not held or not given:
        raise forged("name or password is wrong")


def read(body: bytes) -> list[Told]:
    """The event, when it is about a letter's way."""
    one = mapping(as_json(body))
    kind, message = text(one.get("RecordType"), 40), text(one.get("MessageID"), 100)
    if not kind:
        raise unreadable("Postmark names a record type")
    said: dict[str, Any] = {"mark": mark_in(mapping(one.get("Metadata")).get(MARK), one.get("Message-ID"))}
    if kind == "Delivery":
        recipient, at = text(one.get("Recipient"), 320), of_iso(one.get("DeliveredAt"))
        said |= {"at": at, "recipient": recipient, "reason": text(one.get("Details"))}
        return [Told(NAME, f"{message} delivered {_short(recipient)}", "delivered", **said)]
    if kind not in ("Bounce", "SpamComplaint"):
        return []
    said |= {"at": of_iso(one.get("BouncedAt")), "recipient": text(one.get("Email"), 320)}
    said["reason"] = text(one.get("Description")) or text(one.get("Name"))
    type_, id = text(one.get("Type"), 40), f"{message} {text(one.get('ID'), 40)}"
    if kind == "SpamComplaint" or type_ == "SpamComplaint":
        return [Told(NAME, id, "complained", **said)]
    if type_ == "Transient":
        return [Told(NAME, id, "delayed", **said)]
    bounce = _BOUNCES.get(type_)
    return [] if bounce is None else [Told(NAME, id, "bounced", bounce=bounce, **said)]


def _short(recipient: str) -> str:
    # A message has several recipients where the merchant wants copies; their addresses are kept nowhere.
    return hashlib.sha256(recipient.lower().encode()).hexdigest()[:12]
