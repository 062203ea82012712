"""Relays in order of preference: which one a letter is given to, and when none is.

A relay is an SMTP server (`smtp`) or the HTTP interface of a provider (`providers`). The next one is asked only when
the one before certainly has nothing. One that fails is left alone for a while (`health`), so that the next takes over
at once; one that has a rate is given no more letters a second than that.

The front is synchronous: workers are threads.
"""

from __future__ import annotations

import logging
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from ladenbuch.bucket import Bucket, TooLong
from ladenbuch.errors import UsageError
from ladenbuch.mail.health import Health
from ladenbuch.mail.sending import (
    Accepted,
    Outcome,
    Parcel,
    Refused,
    Sender,
    TryLater,
    Uncertain,
    without_addresses,
)
from ladenbuch.mail.smtp import FINAL_TIMEOUT_SECONDS, Relay, SmtpSender
from ladenbuch.telemetry.calls import Track, untracked

if TYPE_CHECKING:
    import httpx2

__all__ = ["Accepted", "Inquiry", "Outcome", "Refused", "Relay", "Relays", "TryLater", "Uncertain", "without_addresses"]

log = logging.getLogger(__name__)

#: Seconds a letter waits for its turn at a relay before the next one is asked.
_PATIENCE = 1.0

#: What may stand between < and > on an envelope: one ASCII mailbox, nothing that could end it or add a
#: parameter.
_MARKED = re.compile(r"<ladenbuch\.([0-9a-f]{32})@[^<>\s]+>\Z")
_ENVELOPE = re.compile(r"[!-~]+@[!-~]+\Z")
_UNSAFE = frozenset('<>()[],;:\\"')


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What relays say of a letter nobody is sure of, and which one has it."""

    answer: Literal["has it", "has not", "cannot say"]
    relay: str = ""


class Relays:
    """Relays in order of preference, for threads.

    `timeout` (seconds) bounds each step before a relay could have the letter, `final_timeout` the wait for its answer.
    `hostname` is what we call ourselves in EHLO, `tls_context` replaces the system's certificate store (tests, private
    CAs) for SMTP, `http` speaks with providers. `track` counts each attempt. `turns` makes the bucket of a relay that
    has a rate, by its name and rate; without it each process keeps its own. `clock` and `sleep` are arguments.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeout: float = 10.0,
        final_timeout: float = FINAL_TIMEOUT_SECONDS,
        hostname: str = "localhost",
        tls_context: ssl.SSLContext | None = None,
        track: Track = untracked,
        http: httpx2.Client | None = None,
        turns: Callable[[str, float], Bucket] | None = None,
        clock: Callable[[], datetime] = _now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.senders: list[Sender] = []
        for url in urls:
            if urlsplit(url.strip()).scheme in ("smtp", "smtps"):
                relay = Relay.parse(url)
                self.senders.append(
                    SmtpSender(
                        relay,
                        timeout=timeout,
                        final_timeout=final_timeout,
                        hostname=hostname,
                        tls_context=tls_context,
                    )
                )
            else:
                from ladenbuch.mail.providers import provider

                self.senders.append(provider(url, http, clock, timeout=timeout, final_timeout=final_timeout))
        if not self.senders:
            raise UsageError("SMTP-URL", "LADENBUCH_SMTP_URLS is empty: no relay to hand letters to")
        _name_apart(self.senders)
        self._track = track
        self._sleep = sleep
        self._health = {sender.name: Health(clock) for sender in self.senders}
        make = turns or (lambda name, rate: Bucket(clock, max(1.0, rate), rate))
        self._turns = {one.name: make(one.name, one.rate) for one in self.senders if one.rate is not None}

    def send(
        self,
        message: EmailMessage,
        envelope_from: str,
        envelope_to: str,
        before_data: Callable[[], None],
        first: str | None = None,
    ) -> Outcome:
        """Hand the message to the first relay that takes it; `first` names one that is asked before the others.

        `before_data` is called before each moment that can become ambiguous: at most once per relay, and
        never when no relay got that far. If it raises, the connection is dropped, nothing was sent, and its
        exception passes through.
        """
        if not _usable(envelope_from):
            return Refused("envelope: the sender is not a plain address", False, code="LETTER-SENDER")
        if not _usable(envelope_to):
            return Refused("envelope: the recipient is not a plain address", True, code="LETTER-ADDRESS")
        parcel = Parcel(message, envelope_from, envelope_to)
        fallback: Outcome | None = None
        for sender in sorted(self.senders, key=lambda one: one.name != first):
            outcome = self._give(sender, parcel, before_data)
            if isinstance(outcome, Accepted | Uncertain):
                return outcome
            if isinstance(outcome, Refused) and outcome.permanent:
                return outcome
            if isinstance(outcome, TryLater) and outcome.stay:
                return outcome
            fallback = _better(fallback, outcome)
        assert fallback is not None
        return fallback

    def there(self) -> dict[str, bool]:
        """The relays in order, and whether each answers; asked without a letter."""
        return {sender.name: sender.there() for sender in self.senders}

    def well(self) -> dict[str, bool]:
        """The relays in order, and whether each is asked in its turn."""
        return {name: health.well for name, health in self._health.items()}

    def room(self, most: int) -> int:
        """How many letters to take up now, at most: while every relay rests none, and one to see who is back."""
        if any(health.well for health in self._health.values()):
            return most
        return 1 if any(health.resting == 0 for health in self._health.values()) else 0

    def ask(self, relay: str | None, message_id: str) -> Inquiry:
        """Whether a relay has the letter of this Message-ID; of no relay in particular: whether any has.

        A no may come too early: a provider's search knows a letter some moments after the provider does.
        """
        reference = _MARKED.match(message_id)
        asked = [one for one in self.senders if one.can_be_asked and relay in (None, one.name)]
        if reference is None or not asked:
            return Inquiry("cannot say")
        answers: list[bool | None] = []
        for sender in asked:
            with self._track("look up"):
                answers.append(sender.knows(reference[1], message_id))
            if answers[-1]:
                return Inquiry("has it", sender.name)
        return Inquiry("cannot say" if None in answers else "has not")

    def can_be_asked(self, relay: str | None) -> bool:
        """Whether `ask` can ever say more than that it cannot."""
        return any(one.can_be_asked and relay in (None, one.name) for one in self.senders)

    def _give(self, sender: Sender, parcel: Parcel, before_data: Callable[[], None]) -> Outcome:
        health = self._health[sender.name]
        was_well = health.well
        try:
            return self._given(sender, health, parcel, before_data)
        finally:
            if was_well and not health.well:
                log.warning("relay rests", extra={"relay": sender.name, "seconds": round(health.resting)})
            elif health.well and not was_well:
                log.info("relay is back", extra={"relay": sender.name})

    def _given(self, sender: Sender, health: Health, parcel: Parcel, before_data: Callable[[], None]) -> Outcome:
        turns = self._turns.get(sender.name)
        rest = health.rest()
        if rest > 0:
            return TryLater("connect: left alone, for it did not answer lately", sender.name, after=rest)
        if not health.well:
            with self._track("look up") as call:
                call.code = None if sender.there() else "CONNECT"
            if call.code is not None:
                health.absent()
                return TryLater("connect: it does not answer yet", sender.name, after=health.resting)
        outcome: Outcome | None = None
        try:
            if turns is not None:
                turns.settle(turns.take(1.0, self._sleep, _PATIENCE))
            with self._track("send") as call:
                outcome = replace(sender.attempt(parcel, before_data), relay=sender.name)
                call.code = _code(outcome)
        except TooLong as wait:
            return TryLater("connect: its rate is used up", sender.name, after=wait.after)
        finally:
            health.note(outcome)
        return outcome


def _better(one: Outcome | None, other: Outcome) -> Outcome:
    """What to say when no relay took it: waiting helps as soon as one is merely unwell, and until the first is back."""
    if one is None or (isinstance(one, Refused) and isinstance(other, TryLater)):
        return other
    if isinstance(one, TryLater) and isinstance(other, TryLater):
        if one.after is None or other.after is None:
            return one if one.after is None else other
        return one if one.after <= other.after else other
    return one


def _name_apart(senders: Sequence[Sender]) -> None:
    """Two relays of one name become `postmark` and `postmark#2`."""
    seen: Counter[str] = Counter()
    for sender in senders:
        seen[sender.name] += 1
        if seen[sender.name] > 1:
            sender.name = f"{sender.name}#{seen[sender.name]}"


def _code(outcome: Outcome) -> str | None:
    """Why an attempt failed, for the count: the relay's own code where it gave one; None: accepted."""
    if isinstance(outcome, Accepted):
        return None
    if isinstance(outcome, Uncertain):
        return "UNCERTAIN"
    if isinstance(outcome, Refused) and not outcome.permanent:
        return "RELAY"  # it refuses us, and every letter
    said = re.search(r": ([45][0-9]{2}) ", outcome.reason)
    if said:
        return f"HTTP-{said[1]}" if outcome.reason.startswith("http: ") else f"SMTP-{said[1]}"
    if isinstance(outcome, Refused):
        return "REFUSED"
    if re.search(r"time[d ]*out", outcome.reason, re.IGNORECASE):
        return "TIMEOUT"
    return "CONNECT" if outcome.reason.startswith("connect:") else "CUT"


def _usable(address: str) -> bool:
    return _ENVELOPE.match(address) is not None and not _UNSAFE & set(address)
