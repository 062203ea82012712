"""The address of an account with a mail provider: who, where, and with which key.

    sendgrid://apikey:KEY@api.sendgrid.com            or api.eu.sendgrid.com
    mailgun://DOMAIN:KEY@api.mailgun.net              or api.eu.mailgun.net
    ses://ACCESS-KEY-ID:SECRET@email.eu-central-1.amazonaws.com?configuration_set=letters
    postmark://server:TOKEN@api.postmarkapp.com?stream=outbound

TLS always, except towards this machine itself (a stand-in). What is special in an address (`/`, `+`, `,`) is written
as %2F, %2B, %2C.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import parse_qs, unquote, urlsplit

from ladenbuch.errors import UsageError
from ladenbuch.mail.smtp import is_loopback, rate_of

Name = Literal["sendgrid", "mailgun", "ses", "postmark"]
SCHEMES: tuple[Name, ...] = get_args(Name)

#: What may stand behind the question mark.
_OPTIONS: Mapping[str, frozenset[str]] = {
    "sendgrid": frozenset({"rate"}),
    "mailgun": frozenset({"rate"}),
    "ses": frozenset({"rate", "region", "configuration_set"}),
    "postmark": frozenset({"rate", "stream"}),
}
_REGION = re.compile(r"email(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.")


@dataclass(frozen=True)
class Account:
    """`base` has no trailing slash. `user` is Mailgun's domain and Amazon's access key id; `key` the secret."""

    provider: Name
    base: str
    host: str
    user: str
    key: str = field(repr=False)
    options: Mapping[str, str]
    rate: float | None

    @property
    def name(self) -> str:
        """Safe to log, and short enough for a sentence."""
        if self.provider == "mailgun":
            return f"mailgun {self.user}"
        return f"ses {self.region}" if self.provider == "ses" else self.provider

    @property
    def region(self) -> str:
        """Amazon's, from the address or as it was given."""
        found = _REGION.match(self.host)
        return self.options.get("region") or (found[1] if found else "")

    @classmethod
    def parse(cls, url: str) -> Account:
        """Raises `UsageError("SMTP-URL")`; the message never contains the address, because a key is in it."""
        try:
            parts = urlsplit(url.strip())
            port, host = parts.port, parts.hostname or ""
        except ValueError as error:
            raise UsageError("SMTP-URL", "LADENBUCH_SMTP_URLS: port must be 1 to 65535") from error
        scheme = next((name for name in SCHEMES if name == parts.scheme), None)
        if scheme is None:
            known = ", ".join(("smtp", "smtps", *SCHEMES))
            raise UsageError("SMTP-URL", f"LADENBUCH_SMTP_URLS: a relay's address begins with one of {known}")
        query = parse_qs(parts.query)
        strange = sorted(set(query) - _OPTIONS[scheme])
        if strange:
            raise UsageError("SMTP-URL", f"LADENBUCH_SMTP_URLS: {scheme} knows no option {strange[0]!r}")
        made = cls(
            provider=scheme,
            base=f"{'http' if is_loopback(host) else 'https'}://{host}{f':{port}' if port else ''}{parts.path}".rstrip(
                "/"
            ),
            host=f"{host}:{port}" if port else host,
            user=unquote(parts.username or ""),
            key=unquote(parts.password or ""),
            options={name: values[0] for name, values in query.items()},
            rate=rate_of(query),
        )
        if not host or not made.key or (scheme in ("mailgun", "ses") and not made.user):
            raise UsageError("SMTP-URL", f"LADENBUCH_SMTP_URLS: {scheme} needs {_NEEDS[scheme]}")
        if scheme == "ses" and not re.fullmatch(r"[a-z0-9-]{2,30}", made.region):
            raise UsageError("SMTP-URL", "LADENBUCH_SMTP_URLS: ses needs a region, in its host or as ?region=")
        return made


_NEEDS = {
    "sendgrid": "a host and a key: sendgrid://apikey:KEY@api.sendgrid.com",
    "mailgun": "a host, a domain and a key: mailgun://DOMAIN:KEY@api.eu.mailgun.net",
    "ses": "a host and an access key: ses://ID:SECRET@email.eu-central-1.amazonaws.com",
    "postmark": "a host and a server token: postmark://server:TOKEN@api.postmarkapp.com",
}
