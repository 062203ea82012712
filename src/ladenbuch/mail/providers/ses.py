"""Amazon SES v2 SendEmail: the letter as it is, signed with Signature Version 4, answered by a MessageId.

SES replaces `Message-ID` and `Date` by its own. Its events carry the message's tags where the configuration set of the
address (`?configuration_set=`) publishes them.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from ladenbuch.mail.providers.account import Account
from ladenbuch.mail.providers.api import Answer, Way, as_json, field
from ladenbuch.mail.sending import REFERENCE, Parcel

_PATH = "/v2/email/outbound-emails"


def letter(account: Account, parcel: Parcel, now: datetime) -> httpx2.Request:
    """`POST /v2/email/outbound-emails`, raw."""
    body: dict[str, Any] = {
        "FromEmailAddress": parcel.message["From"].addresses[0].addr_spec,
        "Destination": {"ToAddresses": [parcel.recipient]},
        "Content": {"Raw": {"Data": b64encode(parcel.mime).decode()}},
    }
    if parcel.reference:
        body["EmailTags"] = [{"Name": REFERENCE, "Value": parcel.reference}]
    if "configuration_set" in account.options:
        body["ConfigurationSetName"] = account.options["configuration_set"]
    content, url = as_json(body), f"{account.base}{_PATH}"
    headers = {
        "Content-Type": "application/json",
        "Host": account.host,
        "X-Amz-Date": now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
    }
    headers["Authorization"] = signature(
        "POST", urlsplit(url).path, "", headers, content, account.user, account.key, account.region, "ses"
    )
    return httpx2.Request("POST", url, headers=headers, content=content)


def signature(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    key_id: str,
    secret: str,
    region: str,
    service: str,
) -> str:
    """The `Authorization` of AWS Signature Version 4 over these headers, `X-Amz-Date` among them.

    `path` and `query` are as they travel (percent-encoded, the query sorted).
    """
    lower = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    names = ";".join(sorted(lower))
    lines = "".join(f"{name}:{lower[name]}\n" for name in sorted(lower))
    request = "\n".join((method, path, query, lines, names, hashlib.sha256(body).hexdigest()))
    instant = lower["x-amz-date"]
    scope = f"{instant[:8]}/{region}/{service}/aws4_request"
    signed = "\n".join(("AWS4-HMAC-SHA256", instant, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (instant[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    found = hmac.digest(key, signed.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={found}"


def _receipt(answer: Answer) -> str:
    return field(answer.said, "MessageId")


def _signs(answer: Answer) -> Iterator[str]:
    """The name of the exception. One that blames the sender is not about the letter (a sandbox blames recipients)."""
    name = (answer.headers.get("x-amzn-errortype") or field(answer.said, "__type")).partition(":")[0]
    if name:
        if "not verified" in _words(answer).lower():
            yield "not verified"
        yield name.rpartition("#")[2]


def _words(answer: Answer) -> str:
    return field(answer.said, "message") or field(answer.said, "Message")


WAY = Way(letter, _receipt, _signs, _words)
