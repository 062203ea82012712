"""A circuit breaker per shop (Shopify) or token (sevdesk): who fails again and again is left alone, then asked once.

Failing calls are not only in vain: sevdesk may block a token that makes many of them (facts 1.8). Three kinds are
counted, each for itself, and any healthy answer forgets them all: `refused` (the token, or the shop), `down` (5xx),
`silent` (no answer). A refused token is asked less often than a service that is down.

    closed     calls pass; after as many failures of one kind in a row as `LIMITS` says: open
    open       calls are refused with Retryable(after) until the pause is over
    half open  the first call after the pause goes through, of all processes exactly one; the others are refused
               success: closed; failure: open again, for twice as long
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from ladenbuch.errors import Retryable

#: Failures of one kind in a row that open the circuit.
LIMITS = {"refused": 3, "down": 6, "silent": 6}
#: Statuses by which most services say that they do not know a token, or do not let it in.
REFUSALS = (401, 403)
#: Seconds until the first probe by kind; doubled after each failed one, up to `LONGEST`: a service that is
#: down for hours is asked once a minute, so that its orders wait no longer than that for its return.
PAUSES = {"refused": 30.0, "down": 5.0, "silent": 5.0}
LONGEST = {"refused": 600.0, "down": 60.0, "silent": 60.0}
#: What a refused call is called.
CODES = {"shopify": "SHOPIFY-BREAKER", "sevdesk": "SEVDESK-BREAKER"}
#: Seconds a probe may take before another call may be the probe: longer than any time-out of a call.
PROBE = 60.0
#: Seconds after which those who are not the probe ask again.
_MEANWHILE = 2.0


@dataclass(frozen=True, slots=True)
class Circuit:
    """An open circuit: why, until when nobody calls, how long the pause was, and until when somebody probes."""

    kind: str
    until: datetime
    pause: float
    probed_until: datetime | None = None


class Circuits(Protocol):
    """Where open circuits are kept: in memory, or in a table that several processes read."""

    @property
    def known(self) -> Circuit | None:
        """What `look` said last."""

    def look(self) -> Circuit | None:
        """The open circuit, None when it is closed; may ask a database now and then."""

    def open(self, circuit: Circuit) -> None:
        """Open it, or keep it open."""

    def probe(self, now: datetime, until: datetime) -> bool:
        """Become the one probe of a circuit whose pause is over; False when somebody else is it."""

    def close(self) -> None:
        """Close it."""


class InMemory:
    """The circuits of one process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._circuit: Circuit | None = None

    @property
    def known(self) -> Circuit | None:
        """See `Circuits`."""
        return self._circuit

    def look(self) -> Circuit | None:
        """See `Circuits`."""
        return self._circuit

    def open(self, circuit: Circuit) -> None:
        """See `Circuits`."""
        with self._lock:
            self._circuit = circuit

    def probe(self, now: datetime, until: datetime) -> bool:
        """See `Circuits`."""
        with self._lock:
            known = self._circuit
            if known is None or known.until > now or (known.probed_until is not None and known.probed_until > now):
                return False
            self._circuit = replace(known, probed_until=until)
            return True

    def close(self) -> None:
        """See `Circuits`."""
        with self._lock:
            self._circuit = None


class Breaker:
    """Thread-safe. `before` and `after` are called around each call, by the same thread.

    `service` (shopify, sevdesk) names the code of a refused call; `refusals` are the statuses that mean that the
    token or the shop is not let in.
    """

    def __init__(
        self,
        service: str,
        clock: Callable[[], datetime],
        circuits: Circuits | None = None,
        *,
        refusals: Collection[int] = REFUSALS,
    ) -> None:
        self._service = service
        self._clock = clock
        self._circuits = circuits or InMemory()
        self._refusals = frozenset(refusals)
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        self._probing = threading.local()

    @property
    def known_state(self) -> str:
        """closed, open or half_open, as far as this process knows without asking."""
        circuit = self._circuits.known
        if circuit is None:
            return "closed"
        return "open" if circuit.until > self._clock() else "half_open"

    def reset(self) -> None:
        """Close the circuit and forget what failed."""
        with self._lock:
            self._failures.clear()
        self._circuits.close()

    def before(self) -> None:
        """Ask for permission to call. Raises `Retryable` (`CODES`) while the circuit is open."""
        self._probing.now = False
        circuit = self._circuits.look()
        if circuit is None:
            return
        now = self._clock()
        wait = (circuit.until - now).total_seconds()
        if wait <= 0:
            if self._circuits.probe(now, now + timedelta(seconds=PROBE)):
                self._probing.now = True
                return
            if self._circuits.look() is None:  # closed by somebody meanwhile
                return
            wait = _MEANWHILE
        why = {"refused": "refuses us", "down": "is down", "silent": "does not answer"}[circuit.kind]
        message = f"{self._service} {why}; it is left alone until it is asked again"
        raise Retryable(CODES[self._service], message, after=wait, detail={"kind": circuit.kind})

    def after(self, status: int | None) -> None:
        """Report how the call ended: its HTTP status, 0 without an answer, None when nothing was sent after all."""
        probe, self._probing.now = getattr(self._probing, "now", False), False
        circuit = self._circuits.look()
        if status is None:
            if probe and circuit is not None:
                self._circuits.open(replace(circuit, probed_until=None))
            return
        kind = self._kind(status)
        if kind is None:
            with self._lock:
                self._failures.clear()
            if probe:
                self._circuits.close()
            return
        if probe:
            pause = min(LONGEST[kind], 2 * circuit.pause if circuit is not None else PAUSES[kind])
            self._open(kind, pause)
            return
        with self._lock:
            self._failures[kind] += 1
            enough = self._failures[kind] >= LIMITS[kind]
        if enough and circuit is None:
            self._open(kind, PAUSES[kind])

    def _open(self, kind: str, pause: float) -> None:
        with self._lock:
            self._failures.clear()
        self._circuits.open(Circuit(kind, self._clock() + timedelta(seconds=pause), pause))

    def _kind(self, status: int) -> str | None:
        if status == 0:
            return "silent"
        if status >= 500 or status == 408:
            return "down"
        return "refused" if status in self._refusals else None
