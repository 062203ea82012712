"""Mailgun's messages.mime: the letter as it is, answered by its id, which is the letter's own Message-ID.

Its events quote `v:` fields as `user-variables`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx2

from ladenbuch.mail.providers.account import Account
from ladenbuch.mail.providers.api import Answer, Way, field
from ladenbuch.mail.sending import REFERENCE, Parcel


def letter(account: Account, parcel: Parcel, now: datetime) -> httpx2.Request:
    """`POST /v3/<domain>/messages.mime`, as a form with the letter as a file."""
    fields = {"to": parcel.recipient, "o:tracking": "no"}
    if parcel.reference:
        fields[f"v:{REFERENCE}"] = parcel.reference
    return httpx2.Request(
        "POST",
        f"{account.base}/v3/{quote(account.user, safe='')}/messages.mime",
        headers=_known(account),
        data=fields,
        files={"message": ("letter.eml", parcel.mime, "message/rfc822")},
    )


def _known(account: Account) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'api:{account.key}'.encode()).decode()}"}


def _search(account: Account, reference: str, message_id: str) -> httpx2.Request:
    """`GET /v3/<domain>/events`; the key must be one that may read them, a sending key is not."""
    url = f"{account.base}/v3/{quote(account.user, safe='')}/events"
    asked = {"message-id": message_id, "event": "accepted", "limit": "1"}
    return httpx2.Request("GET", url, headers=_known(account), params=asked)


def _found(answer: Answer, reference: str, message_id: str) -> bool:
    items: Any = answer.said.get("items") if isinstance(answer.said, dict) else None
    for one in items if isinstance(items, list) else []:
        try:
            if one["message"]["headers"]["message-id"] == message_id:
                return True
        except (KeyError, TypeError):
            continue
    return False


def _receipt(answer: Answer) -> str:
    return field(answer.said, "id").strip("<>").partition("@")[0]


def _signs(answer: Answer) -> Iterator[str]:
    """A 400 names the field it complains about; one about the letter itself is not ours to repeat."""
    said = field(answer.said, "message").lower()
    if answer.status == 400:
        for name in ("to", "message"):
            if said.startswith((f"'{name}' parameter", f"{name} parameter")):
                yield f"field {name}"


def _words(answer: Answer) -> str:
    return field(answer.said, "message") or (answer.said if isinstance(answer.said, str) else "")


WAY = Way(letter, _receipt, _signs, _words, _search, _found)
