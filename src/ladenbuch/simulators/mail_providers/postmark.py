"""Postmark as it takes letters: /email, and its search."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from typing import Any

from ladenbuch.simulators.http import SimRequest, SimResponse, json_response
from ladenbuch.simulators.mail_providers.taking import (
    ADDRESS,
    NAMED,
    ProviderSimulator,
    Taken,
    as_object,
    decoded,
)

_POSTMARK = {
    "From", "To", "Cc", "Bcc", "Subject", "Tag", "HtmlBody", "TextBody", "ReplyTo", "Headers", "TrackOpens",
    "TrackLinks", "Metadata", "Attachments", "MessageStream",
}  # fmt: skip


class PostmarkSimulator(ProviderSimulator):
    """`POST /email`; `GET /messages/outbound`. Mailboxes in `inactive` bounced or complained before."""

    name = "postmark"
    streams: tuple[str, ...] = ("outbound",)

    def take(self, request: SimRequest) -> SimResponse:
        """200 with ErrorCode 0, or 422 with another one."""
        if (request.method, request.path) != ("POST", "/email"):
            return json_response({"ErrorCode": 404, "Message": "not found"}, 404)
        if request.headers.get("x-postmark-server-token") != self.key:
            text = "Request does not contain a valid Server token."
            return json_response({"ErrorCode": 10, "Message": text}, 401)
        if len(request.body) > 10 * 1024 * 1024:
            return json_response({"ErrorCode": 0, "Message": "too large"}, 413)
        body = as_object(request.body)
        if body is None:
            return _postmark(402, "Received invalid JSON input.")
        strange = sorted(set(body) - _POSTMARK)
        if strange:
            return _postmark(403, f"Invalid request field(s): {strange[0]}")
        wrong = self._wrong(body)
        if wrong is not None:
            return wrong
        to, sender = (NAMED.match(body[name])[1] for name in ("To", "From"))  # type: ignore[index]
        headers = {one["Name"].lower(): one["Value"] for one in body.get("Headers", [])}
        number = str(uuid.uuid4())
        keeps = headers.get("x-pm-keepid", "").lower() == "true" and "message-id" in headers
        self._store(
            id=number,
            message_id=headers["message-id"] if keeps else f"<{number}@mtasv.net>",
            mail_from=sender,
            to=to,
            subject=body.get("Subject", ""),
            arguments=body.get("Metadata", {}),
            attachments=tuple(
                (one["Name"], one["ContentType"], len(base64.b64decode(one["Content"])))
                for one in body.get("Attachments", [])
            ),
            text=body.get("TextBody", ""),
        )
        at = self._clock().isoformat()
        return json_response({"To": to, "SubmittedAt": at, "MessageID": number, "ErrorCode": 0, "Message": "OK"})

    def _wrong(self, body: dict[str, Any]) -> SimResponse | None:
        sender, to = NAMED.match(str(body.get("From", ""))), NAMED.match(str(body.get("To", "")))
        if sender is None or not ADDRESS.match(sender[1]):
            return _postmark(300, "Invalid 'From' address.")
        if to is None or not ADDRESS.match(to[1]):
            return _postmark(300, "Invalid 'To' address.")
        if not self._ours(sender[1]):
            return _postmark(400, "The 'From' address you supplied is not a Sender Signature on your account.")
        if to[1] in self.inactive:
            return _postmark(406, "You tried to send to recipient(s) that have been marked as inactive.")
        if not body.get("TextBody") and not body.get("HtmlBody"):
            return _postmark(300, "Provide either email TextBody or HtmlBody or both.")
        metadata = body.get("Metadata", {})
        if len(metadata) > 10 or any(len(name) > 20 or len(str(value)) > 80 for name, value in metadata.items()):
            return _postmark(300, "Metadata is too long.")
        if body.get("MessageStream", "outbound") not in self.streams:
            return _postmark(1235, "The 'MessageStream' provided does not exist on this server.")
        for one in body.get("Attachments", []):
            if set(one) - {"Name", "Content", "ContentType", "ContentID"} or decoded(one.get("Content")) is None:
                return _postmark(403, "Invalid request field(s): Attachments")
            if one["Name"].lower().endswith((".exe", ".bat", ".vbs")):
                return _postmark(411, "Forbidden attachment type")
        return None

    def trouble(self, status: int) -> SimResponse:
        """As Postmark says it."""
        text = {429: "Rate limit exceeded", 503: "Service is unavailable"}.get(status, "Internal Server Error")
        return json_response({"ErrorCode": {429: 429, 503: 100}.get(status, 0), "Message": text}, status)

    def search(self, request: SimRequest) -> Callable[[Taken], bool] | SimResponse:
        """By metadata: `metadata_name=value`."""
        if request.headers.get("x-postmark-server-token") != self.key:
            return json_response({"ErrorCode": 10, "Message": "no token"}, 401)
        asked = dict(request.query)
        if request.path != "/messages/outbound" or not {"count", "offset"} <= set(asked):
            return _postmark(600, "count and offset are required")
        wanted = {name[9:]: value for name, value in asked.items() if name.startswith("metadata_")}
        return lambda one: all(one.arguments.get(name) == value for name, value in wanted.items())

    def found(self, letters: list[Taken]) -> SimResponse:
        """The newest first."""
        rows = [{"MessageID": one.id, "ReceivedAt": one.at.isoformat(), "Status": "Sent", "Subject": one.subject,
                 "Metadata": dict(one.arguments), "Recipients": [one.to]} for one in reversed(letters)]  # fmt: skip
        return json_response({"TotalCount": len(rows), "Messages": rows})


def _postmark(code: int, message: str) -> SimResponse:
    return json_response({"ErrorCode": code, "Message": message}, 422)
