"""When a digest of what is wrong is due: soon after something new, never a flood, once a day while it lasts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta, tzinfo

#: How long something is collected before it is told: what ends by itself within that time is not worth a letter.
SETTLED = timedelta(minutes=10)
#: No two digests closer together, whatever happens.
APART = timedelta(hours=4)
#: When what still lasts is told again, by the reader's clock.
MORNING = time(7)
#: Between two tries of one digest: doubled each time, up to the longest.
PATIENCE, LONGEST = timedelta(minutes=10), timedelta(hours=1)
#: So often one digest may go out without an answer; then it counts as told.
UNANSWERED = 3


def pause(tries: int) -> timedelta:
    """How long a digest that was tried so often, at least once, is left alone."""
    return min(PATIENCE * (1 << min(tries - 1, 10)), LONGEST)


def due(open_since: Sequence[datetime], last: datetime | None, now: datetime, zone: tzinfo) -> bool:
    """Whether a digest is due. `open_since` is since when each thing that is open has been so, `last` when the last
    digest was made; all aware."""
    lasting = [since for since in open_since if now - since >= SETTLED]
    if not lasting:
        return False
    if last is None:
        return True
    if now - last < APART:
        return False
    if any(since > last for since in lasting):
        return True
    local = now.astimezone(zone)
    morning = datetime.combine(local.date(), MORNING, zone)
    return last < morning <= local
