"""How a relay is, by what became of the letters this process gave it.

    well      asked in its turn
    resting   after `_LIMIT` failures in a row, or when it asked for it: left alone, so that letters do not wait for it
    probed    the rest is over: it is asked whether it is there, then one letter tries it; the others still pass it by

A relay that takes letters and never answers would make each of them uncertain; so an answer that never came counts as
a failure, after which a relay rests longer. Kept per process: each finds out by itself, within two letters.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ladenbuch.mail.sending import Accepted, Outcome, Refused, TryLater, Uncertain

#: Failures in a row after which a relay rests; the first rest, doubled after each failed probe, and the longest: longer
#: where letters were lost in doubt, for each one more is a person's work.
_LIMIT = 2
_REST, _LONGEST, _LONGEST_IN_DOUBT = 5.0, 60.0, 600.0
#: A relay that says how long (Retry-After) is believed up to this.
_BELIEVED = 300.0
#: Seconds a probe may take before another letter may be the probe; and after which others look again.
_PROBE, _MEANWHILE = 150.0, 2.0


class Health:
    """Thread-safe. `rest` is asked before a letter is given to the relay, `note` told what became of it."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._resting = 0.0  # how long the last rest was; 0: well
        self._longest = _LONGEST
        self._until: datetime | None = None
        self._probed_until: datetime | None = None

    @property
    def well(self) -> bool:
        """Whether letters go to it in its turn."""
        return self._until is None

    @property
    def resting(self) -> float:
        """Seconds of rest that are left; 0.0: none, or a probe may be made."""
        until = self._until
        return 0.0 if until is None else max(0.0, (until - self._clock()).total_seconds())

    def rest(self) -> float:
        """0.0: give it the letter. Else the seconds after which to ask again."""
        with self._lock:
            if self._until is None:
                return 0.0
            now = self._clock()
            if now < self._until:
                return (self._until - now).total_seconds()
            if self._probed_until is not None and now < self._probed_until:
                return _MEANWHILE
            self._probed_until = now + timedelta(seconds=_PROBE)
            return 0.0

    def absent(self) -> None:
        """The probe found nobody."""
        with self._lock:
            self._probed_until = None
            self._rest_again()

    def note(self, outcome: Outcome | None) -> None:
        """What became of the letter; None: it was not given to the relay after all."""
        with self._lock:
            probe, self._probed_until = self._probed_until is not None, None
            if outcome is None:
                return
            if _answers(outcome):
                self._failures, self._resting, self._until, self._longest = 0, 0.0, None, _LONGEST
                return
            if isinstance(outcome, Uncertain):
                self._longest = _LONGEST_IN_DOUBT
            asked = outcome.after if isinstance(outcome, TryLater) else None
            self._failures += 1
            if asked is not None:
                self._leave_alone(min(asked, _BELIEVED))
            elif probe or self._failures >= _LIMIT:
                self._rest_again()

    def _rest_again(self) -> None:
        self._resting = min(self._longest, 2 * self._resting or _REST)
        self._leave_alone(self._resting)

    def _leave_alone(self, seconds: float) -> None:
        until = self._clock() + timedelta(seconds=seconds)
        self._until = until if self._until is None else max(self._until, until)


def _answers(outcome: Outcome) -> bool:
    """Whether the relay is well: it took the letter, or spoke about this letter or this mailbox alone."""
    if isinstance(outcome, Accepted):
        return True
    if isinstance(outcome, Refused):
        return outcome.permanent
    return isinstance(outcome, TryLater) and outcome.stay
