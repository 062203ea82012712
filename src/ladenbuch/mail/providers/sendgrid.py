"""SendGrid's v3 Mail Send: a letter in pieces, answered by 202 and its `X-Message-Id`.

Its events quote `custom_args` beside their own fields. Opens and clicks are not tracked: an invoice goes out as it is.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from email.headerregistry import Address
from typing import Any

import httpx2

from ladenbuch.mail.providers.account import Account
from ladenbuch.mail.providers.api import Answer, Way, as_json
from ladenbuch.mail.sending import REFERENCE, Parcel


def letter(account: Account, parcel: Parcel, now: datetime) -> httpx2.Request:
    """`POST /v3/mail/send`."""
    message, parts = parcel.message, parcel.parts
    to = message["To"].addresses[0]
    body: dict[str, Any] = {
        "personalizations": [{"to": [_mailbox(to, parcel.recipient)]}],
        "from": _mailbox(message["From"].addresses[0]),
        "subject": str(message["Subject"]),
        "content": [
            {"type": kind, "value": text}
            for kind, text in (("text/plain", parts.text), ("text/html", parts.html))
            if text
        ],
        "headers": parts.headers,
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
        },
    }
    if message["Reply-To"]:
        body["reply_to"] = _mailbox(message["Reply-To"].addresses[0])
    if parcel.reference:
        body["custom_args"] = {REFERENCE: parcel.reference}
    if parts.attached:
        body["attachments"] = [
            {
                "content": b64encode(one.content).decode(),
                "type": one.kind,
                "filename": one.name,
                "disposition": "inline" if one.content_id else "attachment",
                **({"content_id": one.content_id} if one.content_id else {}),
            }
            for one in parts.attached
        ]
    headers = {"Authorization": f"Bearer {account.key}", "Content-Type": "application/json"}
    return httpx2.Request("POST", f"{account.base}/v3/mail/send", headers=headers, content=as_json(body))


def _mailbox(address: Address, spec: str | None = None) -> dict[str, str]:
    named = {"name": address.display_name} if address.display_name else {}
    return {"email": spec or address.addr_spec, **named}


def _receipt(answer: Answer) -> str:
    return answer.headers.get("x-message-id", "")


def _errors(answer: Answer) -> list[dict[str, Any]]:
    errors = answer.said.get("errors") if isinstance(answer.said, dict) else None
    return [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []


def _signs(answer: Answer) -> Iterator[str]:
    if answer.status == 400:
        for one in _errors(answer):
            yield f"field {str(one.get('field') or '').partition('.')[0]}"


def _words(answer: Answer) -> str:
    return "; ".join(str(one.get("message", "")) for one in _errors(answer))


WAY = Way(letter, _receipt, _signs, _words)
