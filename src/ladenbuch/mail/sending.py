"""What a letter is to those who send it, and what became of an attempt: the same four values for every kind of relay.

    Accepted    the relay has it, and said so
    TryLater    it certainly has nothing; a repeat is safe, here or at another relay
    Refused     it certainly has nothing, and will not take it: the letter (`permanent`), or anything from us
    Uncertain   it had the whole letter and its answer never came; nobody repeats that unasked

`REFERENCE` is the name under which a relay's events quote the letter back to us.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from functools import cached_property
from io import BytesIO
from typing import Protocol, TypeAlias

from ladenbuch.domain import failures
from ladenbuch.errors import UsageError

#: The custom argument (SendGrid), variable (Mailgun), tag (SES) and metadata (Postmark) that carries the letter's own
#: header `HEADER`. Postmark takes names of at most 20 characters and values of at most 80.
REFERENCE = "ladenbuch_letter"
HEADER = "X-Ladenbuch-Letter"

UNREACHED = failures.row("smtp", "exception", "no connection, or cut before the end of data").code
NOT_LET_IN = failures.row("smtp", "exception", "no TLS, or no sign-in").code


@dataclass(frozen=True)
class Accepted:
    """The relay took responsibility. `reply` is its answer, addresses removed."""

    relay: str
    reply: str


@dataclass(frozen=True)
class TryLater:
    """Certainly not accepted, a repeat is safe: busy, no connection, or lost before it could be complete.

    `code` says whose it is (`domain.failures`), here and in the next. `after`: seconds somebody asked for. `stay`: it
    is about this mailbox at this relay (greylisting), so that asking another relay would only begin the wait anew.
    """

    reason: str
    relay: str = ""
    code: str = field(default=UNREACHED, compare=False)
    after: float | None = field(default=None, compare=False)
    stay: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Refused:
    """Certainly not accepted. `permanent`: the message or its recipient is refused, no relay will be asked again.

    Not permanent: the relay refuses *us* (sign-in, sender, policy, no TLS); an operator can repair it, then a
    repeat is safe.
    """

    reason: str
    permanent: bool
    relay: str = ""
    code: str = field(default=UNREACHED, compare=False)


@dataclass(frozen=True)
class Uncertain:
    """All of it was sent and no answer came. Never repeat unasked: the buyer may have the letter."""

    reason: str
    relay: str = ""


Outcome: TypeAlias = Accepted | TryLater | Refused | Uncertain


@dataclass(frozen=True)
class Parcel:
    """One letter, its envelope, and the same in the forms relays take. Raises UsageError("LETTER-BCC")."""

    message: EmailMessage
    sender: str = field(repr=False)
    recipient: str = field(repr=False)

    def __post_init__(self) -> None:
        if "Bcc" in self.message:
            raise UsageError("LETTER-BCC", "a letter has exactly one recipient")

    @property
    def reference(self) -> str:
        """What identifies the letter in the events of a relay; empty for one that nobody waits for."""
        return str(self.message.get(HEADER, ""))

    @cached_property
    def mime(self) -> bytes:
        """The message as it travels: 7 bit, CRLF."""
        buffer = BytesIO()
        BytesGenerator(buffer, policy=WIRE.clone(cte_type="7bit")).flatten(self.message)
        return buffer.getvalue()

    @cached_property
    def parts(self) -> Parts:
        """The message taken apart, for relays that put it together themselves."""
        return _apart(self.message)


@dataclass(frozen=True)
class Attached:
    """A file, or a picture the HTML refers to by `content_id`."""

    name: str
    kind: str
    content: bytes = field(repr=False)
    content_id: str | None = None


@dataclass(frozen=True)
class Parts:
    """A message taken apart. `headers` are those that no other field says."""

    text: str = field(repr=False)
    html: str = field(repr=False)
    attached: tuple[Attached, ...]
    headers: dict[str, str] = field(repr=False)


class Sender(Protocol):
    """One way a letter may leave. `name` is safe to log; `rate` is letters per second, None for as many as come."""

    name: str
    rate: float | None

    @property
    def can_be_asked(self) -> bool:
        """Whether it can say afterwards if it has a letter."""

    def knows(self, reference: str, message_id: str) -> bool | None:
        """Whether it has the letter; None: it does not say. A no may be too early."""

    def there(self) -> bool:
        """Whether it answers at all; asked without a letter."""

    def attempt(self, parcel: Parcel, before_data: Callable[[], None]) -> Outcome:
        """Try once. `before_data` is called right before the relay could have all of it; what it raises passes
        through, and then nothing was sent."""


#: Said by other means, or not ours to say.
_SAID_OTHERWISE = {"from", "to", "reply-to", "subject", "date", "mime-version"}


def _apart(message: EmailMessage) -> Parts:
    text = html = ""
    attached = []
    for part in message.walk():
        if part.is_multipart():
            continue
        kind, name = part.get_content_type(), part.get_filename()
        if name is None and kind == "text/plain" and not text:
            text = str(part.get_content())
        elif name is None and kind == "text/html" and not html:
            html = str(part.get_content())
        else:
            raw = part.get_payload(decode=True)
            content_id = part.get("Content-ID")
            inside = str(content_id).strip("<> ") if content_id and part.get_content_disposition() == "inline" else None
            attached.append(Attached(name or "attachment", kind, raw if isinstance(raw, bytes) else b"", inside))
    headers = {
        name: " ".join(str(value).split())
        for name, value in message.items()
        if name.lower() not in _SAID_OTHERWISE and not name.lower().startswith("content-")
    }
    return Parts(text, html, tuple(attached), headers)


def without_addresses(text: str) -> str:
    """A server's words, fit for logs and pages: one line, no e-mail address, at most 200 characters."""
    line = " ".join(text.split())
    return re.sub(r"[^\s<>]+@[^\s<>]+", "…", line.encode("ascii", "replace").decode())[:200]
