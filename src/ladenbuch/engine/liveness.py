"""Who is dead, seen from one living process: free lock and no beat, for long enough, without comparing two clocks.

A free lock alone is no proof: when the database restarts, everybody's lock is gone for a moment. So a name is dead
only after its lock was free and its beat the same at every look for `patience` seconds of the looker's own time, during
which the looker itself could reach the database. A process that is merely slow, or stopped, keeps its connection and
with it its lock: it is never dead.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

#: Seconds a name must be silent, its lock free, before its work is taken over: well below the 30 that are promised.
PATIENCE = 8.0


class Watch:
    """Remembers since when each name was seen unchanged. `monotonic` gives seconds that never jump."""

    def __init__(self, monotonic: Callable[[], float], patience: float = PATIENCE) -> None:
        self._monotonic = monotonic
        self._patience = patience
        self._since: dict[Hashable, tuple[object, float]] = {}

    def look(self, seen: Mapping[str, object]) -> list[str]:
        """`seen`: what is suspect at this moment, and a sign that changes when it lives. Who has been so for long
        enough comes back, and is forgotten here."""
        now = self._monotonic()
        self._since = {
            name: self._since[name] if self._since.get(name, (None, 0.0))[0] == sign and name in self._since
            else (sign, now)
            for name, sign in seen.items()
        }  # fmt: skip
        dead = [name for name in seen if now - self._since[name][1] >= self._patience]
        for name in dead:
            del self._since[name]
        return dead

    def forget(self) -> None:
        """Nothing could be seen: who was silent until now may have spoken meanwhile."""
        self._since.clear()
