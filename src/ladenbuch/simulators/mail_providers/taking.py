"""What the four providers have in common: faults, a rate, what was taken, and reading what arrives."""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any, Literal

from ladenbuch.simulators.http import LOST, SimRequest, SimResponse
from ladenbuch.simulators.mail import READING

FaultKind = Literal["busy", "away", "error", "lost", "cut"]
KINDS: tuple[FaultKind, ...] = ("busy", "away", "error", "lost", "cut")
ADDRESS = re.compile(r"[^@\s<>]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\Z")
NAMED = re.compile(r"(?:\"?[^<>\"]*\"? )?<?([^<>\s]+@[^<>\s]+?)>?\Z")
_REFERENCE = "ladenbuch_letter"


def wall() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Taken:
    """One letter a provider took responsibility for. `id` is the provider's name for it, `arguments` what its events
    will quote, `message_id` the header its reader will see."""

    provider: str
    id: str
    message_id: str
    mail_from: str
    to: str
    subject: str
    arguments: Mapping[str, str]
    attachments: tuple[tuple[str, str, int], ...]
    at: datetime
    text: str = field(default="", repr=False)

    @property
    def reference(self) -> str:
        """The letter's own name, as its sender gave it."""
        return self.arguments.get(_REFERENCE, "")


class ProviderSimulator:
    """What the four have in common. `rate`: letters per second, beyond which it is busy; `seen_after`: seconds until
    its own search knows a letter; `inactive`: mailboxes it does not write to."""

    name = ""

    def __init__(
        self,
        clock: Callable[[], datetime] = wall,
        *,
        key: str = "simulated-key",
        domains: tuple[str, ...] = ("example.invalid", "example.org", "example.com"),
        rate: float | None = None,
        seen_after: float = 0.0,
    ) -> None:
        self.key = key
        self.domains = domains
        self.taken: list[Taken] = []
        self.inactive: set[str] = set()
        self.refused = 0
        self.down: Callable[[datetime], bool] = lambda now: False
        self._clock = clock
        self._rate = rate
        self._seen_after = timedelta(seconds=seen_after)
        self._recent: deque[datetime] = deque()
        self._script: deque[FaultKind] = deque()
        self._next: Callable[[], FaultKind | None] = lambda: None

    def fault(self, kind: FaultKind, times: int = 1) -> None:
        """The next `times` letters meet this."""
        self._script.extend([kind] * times)

    def weather(self, fate: Callable[[], FaultKind | None]) -> None:
        """What each letter meets that no scripted fault is for."""
        self._next = fate

    def reset(self) -> None:
        """Nothing taken, no faults."""
        self.taken.clear()
        self._script.clear()
        self.refused = 0

    def handle(self, request: SimRequest) -> SimResponse:
        """One request."""
        if self.down(self._clock()):
            return LOST
        if request.method == "GET":
            return self._known(request, self.search(request))
        fate = self._script.popleft() if self._script else self._next()
        if fate == "cut":
            return LOST
        if fate in ("busy", "away", "error") or self._too_fast():
            self.refused += 1
            status = {"away": 503, "error": 500}.get(fate or "", 429)
            return self.trouble(status)
        answer = self.take(request)
        return LOST if fate == "lost" and answer.status < 300 else answer

    # -- of each ---------------------------------------------------------------------------------------------------

    def take(self, request: SimRequest) -> SimResponse:
        """Judge one letter and take it."""
        raise NotImplementedError

    def trouble(self, status: int) -> SimResponse:
        """How it says 429, 500 and 503."""
        raise NotImplementedError

    def search(self, request: SimRequest) -> Callable[[Taken], bool] | SimResponse:
        """Which letters somebody asks for, or why there is no answer."""
        raise NotImplementedError

    def found(self, letters: list[Taken]) -> SimResponse:
        """How it lists them, where it can be asked."""
        raise NotImplementedError

    # -- inside ----------------------------------------------------------------------------------------------------

    def _known(self, request: SimRequest, asked: Callable[[Taken], bool] | SimResponse) -> SimResponse:
        if isinstance(asked, SimResponse):
            return asked
        seen = self._clock() - self._seen_after
        return self.found([one for one in self.taken if one.at <= seen and asked(one)])

    def _too_fast(self) -> bool:
        if self._rate is None:
            return False
        now = self._clock()
        while self._recent and (now - self._recent[0]).total_seconds() >= 1.0:
            self._recent.popleft()
        if len(self._recent) >= self._rate:
            return True
        self._recent.append(now)
        return False

    def _ours(self, address: str) -> bool:
        return address.rpartition("@")[2].lower() in self.domains

    def _store(self, **what: Any) -> Taken:
        made = Taken(provider=self.name, at=self._clock(), **what)
        self.taken.append(made)
        return made


def as_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def decoded(text: object) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) and text else None
    except binascii.Error:
        return None


def message_of(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=READING)


def address_of(message: EmailMessage, header: str) -> str:
    found = message.get(header)
    return str(found.addresses[0].addr_spec) if found is not None and found.addresses else ""


def shown(message: EmailMessage, to: str) -> dict[str, Any]:
    body = message.get_body(preferencelist=("plain", "html"))
    return {
        "mail_from": address_of(message, "From"),
        "to": to,
        "subject": str(message.get("Subject", "")),
        "attachments": tuple(
            (part.get_filename() or "", part.get_content_type(), len(part.get_payload(decode=True) or b""))
            for part in message.iter_attachments()
        ),
        "text": "" if body is None else str(body.get_content()),
    }
