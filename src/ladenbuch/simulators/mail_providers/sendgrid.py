"""SendGrid as it takes letters: v3 Mail Send."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from ladenbuch.simulators.http import SimRequest, SimResponse, json_response
from ladenbuch.simulators.mail_providers.taking import (
    ADDRESS,
    ProviderSimulator,
    as_object,
    decoded,
)

_SENDGRID = {
    "personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments", "template_id",
    "headers", "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings",
    "tracking_settings",
}  # fmt: skip
_SENDGRID_RESERVED = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
    "subject", "reply-to", "cc", "bcc",
}  # fmt: skip


class SendGridSimulator(ProviderSimulator):
    """`POST /v3/mail/send`."""

    name = "sendgrid"

    def take(self, request: SimRequest) -> SimResponse:
        """202 and X-Message-Id, or the errors as SendGrid lists them."""
        if request.path != "/v3/mail/send" or request.method != "POST":
            return _sendgrid_errors(404, ("not found", None))
        if request.headers.get("authorization") != f"Bearer {self.key}":
            text = "The provided authorization grant is invalid, expired, or revoked"
            return _sendgrid_errors(401, (text, None))
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _sendgrid_errors(415, ("Content-Type should be application/json.", None))
        if len(request.body) > 30 * 1024 * 1024:
            return _sendgrid_errors(413, ("The request is too large", None))
        body = as_object(request.body)
        if body is None:
            return _sendgrid_errors(400, ("Bad Request", None))
        wrong = self._wrong(body)
        if wrong is not None:
            return wrong
        to = body["personalizations"][0]["to"][0]["email"]
        headers = {name.lower(): value for name, value in body.get("headers", {}).items()}
        number = f"{hashlib.sha256(f'{len(self.taken)}'.encode()).hexdigest()[:22]}"
        texts = {one["type"]: one["value"] for one in body["content"]}
        made = self._store(
            id=number,
            message_id=headers.get("message-id", f"<{number}@geopod-ismtpd-1>"),
            mail_from=body["from"]["email"],
            to=to,
            subject=body["subject"],
            arguments=body.get("custom_args", {}),
            attachments=tuple(
                (one["filename"], one.get("type", ""), len(base64.b64decode(one["content"])))
                for one in body.get("attachments", [])
            ),
            text=texts.get("text/plain", ""),
        )
        return SimResponse(202, {"x-message-id": made.id, "content-length": "0"}, b"")

    def _wrong(self, body: dict[str, Any]) -> SimResponse | None:
        strange = sorted(set(body) - _SENDGRID)
        people = body.get("personalizations")
        if strange:
            return _sendgrid_errors(400, ("Additional property is not allowed", strange[0]))
        if not isinstance(people, list) or not people or not people[0].get("to"):
            return _sendgrid_errors(
                400, ("The to array is required for all personalization objects", "personalizations")
            )
        if not ADDRESS.match(str(people[0]["to"][0].get("email", ""))):
            return _sendgrid_errors(400, ("Does not contain a valid address.", "personalizations.0.to.0.email"))
        sender = str((body.get("from") or {}).get("email", ""))
        if not ADDRESS.match(sender):
            return _sendgrid_errors(400, ("The from email does not contain a valid address.", "from.email"))
        if not self._ours(sender):
            text = "The from address does not match a verified Sender Identity."
            return _sendgrid_errors(403, (text, "from"))
        return _sendgrid_content(body)

    def trouble(self, status: int) -> SimResponse:
        """429 names the instant from which there is room again."""
        headers = {}
        if status == 429:
            headers["x-ratelimit-reset"] = str(int(self._clock().timestamp()) + 2)
        answer = _sendgrid_errors(status, ({429: "too many requests"}.get(status, "internal error"), None))
        return SimResponse(status, answer.headers | headers, answer.body)

    def search(self, request: SimRequest) -> SimResponse:
        """The activity feed is sold apart, and this account has not bought it."""
        return _sendgrid_errors(403, ("access forbidden", None))


def _sendgrid_content(body: dict[str, Any]) -> SimResponse | None:
    kinds = [one.get("type") for one in body.get("content", [])]
    if not kinds or any(not one.get("value") for one in body["content"]):
        return _sendgrid_errors(
            400, ("The content value must be a string at least one character in length.", "content.0.value")
        )
    if kinds != sorted(kinds, key=["text/plain", "text/html"].index):
        text = "If present, text/plain and text/html may only be provided in this order"
        return _sendgrid_errors(400, (text, "content"))
    if not body.get("subject"):
        return _sendgrid_errors(400, ("The subject is required.", "subject"))
    for name, value in body.get("headers", {}).items():
        if name.lower() in _SENDGRID_RESERVED:
            return _sendgrid_errors(400, ("The headers may not contain a reserved key.", f"headers.{name}"))
        if not isinstance(value, str):
            return _sendgrid_errors(400, ("The value must be a string.", f"headers.{name}"))
    arguments = body.get("custom_args", {})
    if any(not isinstance(value, str) for value in arguments.values()) or len(json.dumps(arguments)) > 10_000:
        return _sendgrid_errors(400, ("The custom_args are wrong.", "custom_args"))
    for number, one in enumerate(body.get("attachments", [])):
        if not one.get("filename") or decoded(one.get("content")) is None:
            text = "The attachment content must be base64 encoded."
            return _sendgrid_errors(400, (text, f"attachments.{number}.content"))
    return None


def _sendgrid_errors(status: int, *errors: tuple[str, str | None]) -> SimResponse:
    rows = [{"message": message, "field": where, "help": None} for message, where in errors]
    return json_response({"errors": rows}, status)
