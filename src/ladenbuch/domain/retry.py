"""When what failed is tried again, and when it is given up: the policy as a value. Nothing that decides also sleeps.

Only what is the order's (the letter's, the delivery's) own failure is counted (`domain.failures`). After as many of
them as its ladder allows it is given up: a dead letter, which only a new wish or a person tries again. What fails for
everybody alike is waited for without an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from ladenbuch.domain.failures import Failure
from ladenbuch.errors import Rejected

Topic = Literal["order", "letter", "event"]
TOPICS: tuple[Topic, ...] = ("order", "letter", "event")

#: Seconds between attempts; the last step repeats.
LADDER = (2.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)
#: A step moves by up to this share, so that many orders do not come back in one instant.
JITTER = 0.2
#: A service that is down is asked again at least this often, in seconds, however long it has been: its breaker keeps
#: the calls away from it meanwhile, and what waits goes on soon after it is back.
OUTAGE = 600.0
#: How often a waiting time somebody named is taken as it is, before the ladder decides.
PATIENCE = 10
#: The first step of what no repetition can help, where it is not given up: a person has to do something first.
_HOPELESS = 2


@dataclass(frozen=True, slots=True)
class Ladder:
    """`steps`: seconds between attempts, the last one repeats. `attempts`: own failures after which it is given up."""

    steps: tuple[float, ...] = LADDER
    attempts: int = 6

    def as_json(self) -> dict[str, Any]:
        """What `ladder_of` reads."""
        return {"seconds": list(self.steps), "attempts": self.attempts}


#: A mailbox that is full today may be emptied tomorrow: letters are tried for half a day.
LADDERS: Mapping[Topic, Ladder] = {"order": Ladder(), "event": Ladder(), "letter": Ladder(attempts=12)}


@dataclass(frozen=True, slots=True)
class Next:
    """The next attempt (UTC), or None: given up. `failures` are the own ones so far; `why` is the code."""

    at: datetime | None
    failures: int
    why: str


def next_attempt(
    failure: Failure,
    now: datetime,
    *,
    attempts: int,
    failures: int = 0,
    ladder: Ladder = LADDERS["order"],
    after: float | None = None,
    jitter: float = 0.0,
    why: str = "",
) -> Next:
    """What follows a failed attempt.

    `attempts` and `failures` are those before it: all since something last went well, and the own ones among them.
    `after` is what the other side asked for, in seconds: never earlier than that. `jitter` in [-1, 1] moves a step by
    up to 20 %; the caller draws it. `why` is the code, where it says more than the row's own.
    """
    own = failure.fault == "order"
    failures += own
    why = why or failure.code
    if own and (failures >= ladder.attempts or (failure.verdict == "never" and not failure.anew)):
        return Next(None, failures, why)
    if after is not None and attempts < PATIENCE:
        return Next(now + timedelta(seconds=after), failures, why)
    rung = failures - 1 if own else attempts if failure.verdict == "later" else max(attempts, _HOPELESS)
    step = ladder.steps[min(max(rung, 0), len(ladder.steps) - 1)]
    if failure.fault == "service":
        step = min(step, OUTAGE)
    seconds = step * (1 + JITTER * max(-1.0, min(1.0, jitter)))
    return Next(now + timedelta(seconds=seconds if after is None else max(seconds, after)), failures, why)


def ladder_of(topic: str, value: object) -> Ladder:
    """A tenant's own ladder: `{"seconds": [2, 10, 60], "attempts": 4}`, either may be left out.

    Raises Rejected("PROFILE") that names what is wrong.
    """
    name = f"retry.{topic}"
    if topic not in LADDERS:
        raise Rejected("PROFILE", f"retry knows {', '.join(TOPICS)}, not {topic!r}")
    if not isinstance(value, Mapping) or set(value) - {"seconds", "attempts"}:
        raise Rejected("PROFILE", f"{name} is an object with seconds and attempts")
    usual = LADDERS[topic]  # type: ignore[index]
    steps = value.get("seconds", usual.steps)
    if not isinstance(steps, list | tuple) or not 1 <= len(steps) <= 20 or not all(map(_a_step, steps)):
        raise Rejected("PROFILE", f"{name}.seconds must be 1 to 20 numbers of seconds up to one day")
    attempts = value.get("attempts", usual.attempts)
    if type(attempts) is not int or not 1 <= attempts <= 100:
        raise Rejected("PROFILE", f"{name}.attempts must be a number from 1 to 100")
    return Ladder(tuple(steps), attempts)


def _a_step(value: object) -> bool:
    return type(value) in (int, float) and 0 < value <= 86_400  # type: ignore[operator]
