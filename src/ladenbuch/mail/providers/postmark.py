"""Postmark's /email: a letter in pieces, answered by its MessageID.

`X-PM-KeepID` keeps our Message-ID, so that a repeat is recognisable. Its webhooks quote `Metadata`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx2

from ladenbuch.mail.providers.account import Account
from ladenbuch.mail.providers.api import Answer, Way, as_json, field
from ladenbuch.mail.sending import REFERENCE, Parcel


def letter(account: Account, parcel: Parcel, now: datetime) -> httpx2.Request:
    """`POST /email`."""
    message, parts = parcel.message, parcel.parts
    headers = parts.headers | {"X-PM-KeepID": "true"}
    body: dict[str, Any] = {
        "From": str(message["From"].addresses[0]),
        "To": str(message["To"].addresses[0]),
        "Subject": str(message["Subject"]),
        "TextBody": parts.text,
        "HtmlBody": parts.html,
        "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
        "TrackOpens": False,
        "TrackLinks": "None",
        "MessageStream": account.options.get("stream", "outbound"),
        "Attachments": [
            {
                "Name": one.name,
                "Content": b64encode(one.content).decode(),
                "ContentType": one.kind,
                **({"ContentID": f"cid:{one.content_id}"} if one.content_id else {}),
            }
            for one in parts.attached
        ],
    }
    if message["Reply-To"]:
        body["ReplyTo"] = str(message["Reply-To"].addresses[0])
    if parcel.reference:
        body["Metadata"] = {REFERENCE: parcel.reference}
    known = _known(account) | {"Content-Type": "application/json"}
    return httpx2.Request("POST", f"{account.base}/email", headers=known, content=as_json(body))


def _known(account: Account) -> dict[str, str]:
    return {"X-Postmark-Server-Token": account.key, "Accept": "application/json"}


def _search(account: Account, reference: str, message_id: str) -> httpx2.Request:
    """`GET /messages/outbound`, by metadata."""
    asked = {"count": "1", "offset": "0", f"metadata_{REFERENCE}": reference}
    return httpx2.Request("GET", f"{account.base}/messages/outbound", headers=_known(account), params=asked)


def _found(answer: Answer, reference: str, message_id: str) -> bool:
    rows: Any = answer.said.get("Messages") if isinstance(answer.said, dict) else None
    for one in rows if isinstance(rows, list) else []:
        metadata = one.get("Metadata") if isinstance(one, dict) else None
        if isinstance(metadata, dict) and metadata.get(REFERENCE) == reference:
            return True
    return False


def _receipt(answer: Answer) -> str:
    return field(answer.said, "MessageID")


def _signs(answer: Answer) -> Iterator[int]:
    code = answer.said.get("ErrorCode") if isinstance(answer.said, dict) else None
    if isinstance(code, int) and code:
        yield code


def _words(answer: Answer) -> str:
    return field(answer.said, "Message")


WAY = Way(letter, _receipt, _signs, _words, _search, _found)
