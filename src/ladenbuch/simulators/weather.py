"""What can happen between a client and a service: latency, refusals, cut connections, answers lost after
the commit.

A `Weather` is a seeded sequence of faults. Every call draws the same number of random numbers whatever it
decides, so the n-th decision depends only on the profile, the seed and n; the request only selects between
the read and the write reading of that decision. Three independent sequences exist: requests, webhook
deliveries, letters.

Profiles:

- ``calm``  — nothing ever goes wrong.
- ``rain``  — latency (mean 30 ms); 5 % of requests are refused (429, 500, 502, 503) or cut before they are
  processed; 5 % of webhook deliveries are delayed or doubled; 5 % of letters meet a temporary 4xx.
- ``storm`` — rain, and of all writes 20 % are committed but their answer is lost, 3 % are committed 1.5–4 s
  after the client gave up; every webhook comes three times, reordered, 10 % never; letters also meet
  connections cut before the final 250 (not accepted).
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from typing import Literal, Protocol

PROFILES = ("calm", "rain", "storm")

FaultKind = Literal["none", "latency", "error_before", "reset_before", "lost_reply", "late_commit"]
MailFaultKind = Literal["none", "refuse", "cut_before", "cut_after"]

_REFUSALS = (429, 500, 502, 503)
_MUTATION = re.compile(r"(^|\})\s*mutation\b")
_COMMENT = re.compile(r"#[^\n]*")


class RequestLike(Protocol):
    """The part of a request the weather looks at; `http.SimRequest` has it."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True)
class Fault:
    """What happens to one request. Seconds are real or virtual, as the transport decides.

    `latency_seconds` passes before anything else, whatever the kind. `after_seconds` is the delay of a late
    commit; for the kind ``latency`` it repeats the latency. `status` is the refusal of ``error_before``,
    else 0.
    """

    kind: FaultKind
    status: int = 0
    after_seconds: float = 0.0
    latency_seconds: float = 0.0


@dataclass(frozen=True)
class DeliveryFault:
    """What happens to one webhook delivery: one entry per copy that arrives, its delay in seconds; empty =
    lost.
    """

    delays: tuple[float, ...] = (0.0,)

    @property
    def dropped(self) -> bool:
        return not self.delays


@dataclass(frozen=True)
class MailFault:
    """What happens to one letter.

    ``refuse``: a temporary 4xx, nothing stored. ``cut_before``: the connection is cut before the final 250,
    nothing stored. ``cut_after``: stored, then cut without the 250 (never part of a profile; tests ask for
    it).
    """

    kind: MailFaultKind = "none"


CALM = Fault("none")


def is_write(request: RequestLike) -> bool:
    """True for POST/PUT/PATCH/DELETE, except token grants and GraphQL documents without a mutation."""
    if request.method.upper() not in {"POST", "PUT", "PATCH", "DELETE"}:
        return False
    if request.path.endswith("/oauth/access_token"):
        return False
    if request.path.endswith("graphql.json"):
        return _has_mutation(request.body)
    return True


def _has_mutation(body: bytes) -> bool:
    try:
        payload = json.loads(body)
    except ValueError:
        return False
    document = payload.get("query") if isinstance(payload, dict) else None
    if not isinstance(document, str):
        return False
    return _MUTATION.search(_COMMENT.sub("", document)) is not None


@dataclass
class Weather:
    """A seeded sequence of faults of one profile; raises ValueError for an unknown profile."""

    profile: str
    seed: int
    _requests: random.Random = field(init=False, repr=False)
    _deliveries: random.Random = field(init=False, repr=False)
    _letters: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(f"unknown weather {self.profile!r}: one of {', '.join(PROFILES)}")
        # Seeding with a string is stable over processes and Python versions (hash randomisation does not
        # enter).
        self._requests = random.Random(f"requests/{self.profile}/{self.seed}")
        self._deliveries = random.Random(f"deliveries/{self.profile}/{self.seed}")
        self._letters = random.Random(f"letters/{self.profile}/{self.seed}")

    def decide(self, request: RequestLike) -> Fault:
        """The fault of the next request."""
        draw = self._requests.random
        trouble, which, delay, commit, late = draw(), draw(), draw(), draw(), draw()
        if self.profile == "calm":
            return CALM
        latency = _latency(delay)
        if trouble < 0.05:
            choice = int(which * (len(_REFUSALS) + 1))
            if choice >= len(_REFUSALS):
                return Fault("reset_before", latency_seconds=latency)
            return Fault("error_before", status=_REFUSALS[choice], latency_seconds=latency)
        if self.profile == "storm" and is_write(request):
            if commit < 0.20:
                return Fault("lost_reply", latency_seconds=latency)
            if commit < 0.23:
                return Fault("late_commit", after_seconds=round(1.5 + 2.5 * late, 3), latency_seconds=latency)
        return Fault("latency", after_seconds=latency, latency_seconds=latency)

    def decide_delivery(self) -> DeliveryFault:
        """The fate of the next webhook delivery: how many copies arrive, each after how many seconds."""
        draw = self._deliveries.random
        fate, first, second, third = draw(), draw(), draw(), draw()
        if self.profile == "calm":
            return DeliveryFault()
        if self.profile == "rain":
            if fate < 0.025:
                return DeliveryFault((round(3 * first, 3),))
            if fate < 0.05:
                return DeliveryFault((0.0, round(3 * first, 3)))
            return DeliveryFault()
        if fate < 0.10:
            return DeliveryFault(())
        return DeliveryFault(tuple(round(3 * share, 3) for share in (first, second, third)))

    def decide_mail(self) -> MailFault:
        """The fate of the next letter."""
        fate = self._letters.random()
        if self.profile == "calm":
            return MailFault()
        if fate < 0.05:
            return MailFault("refuse")
        if self.profile == "storm" and fate < 0.10:
            return MailFault("cut_before")
        return MailFault()


def _latency(share: float) -> float:
    """Seconds, mean 30 ms, never more than 60 ms: uniform, so that a long run has no outlier that looks like
    a hang.
    """
    return round(0.060 * share, 4)
