"""What bounds a run of `machines_world`: processors by who used them, budgets of sevdesk, outages of the database.

Measured from outside: `/proc`, and the calls that the simulator of sevdesk counts for each account.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Seconds from the trigger to the booking that 99 of 100 orders must keep (S66).
PROMISE_P99 = 300.0
#: A budget is used up where an account was called at this share of its rate, or more.
FULL = 0.9
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Meter:
    """Fed every second or two; what runs shorter than that between two looks is counted with `others`."""

    proc: Path = Path("/proc")
    by_process: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    windows: int = 0
    full: int = 0
    calls: int = 0
    _before: tuple[float, Mapping[str, int]] | None = None
    _begun: dict[tuple[str, str], int] = field(default_factory=dict)
    _began_at: float = 0.0
    seconds: float = 0.0

    def look(self, at: float, roles: Mapping[int, str], database: Iterable[int]) -> None:
        """The processors now: `roles` by process id; `database` are the postmasters, whose children count with them."""
        words = (self.proc / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
        self.last = dict(zip(names, map(int, words), strict=True))
        masters = set(database)
        fresh = not self.first
        for folder in self.proc.iterdir():
            if not folder.name.isdigit():
                continue
            try:
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            pid, parent, used = int(folder.name), int(stat[1]), int(stat[11]) + int(stat[12])
            role = "database" if pid in masters or parent in masters else roles.get(pid)
            if role is not None:
                key = folder.name, stat[19]  # with its start, for numbers are used again
                self.by_process[key] = role, used
                if fresh:
                    self._begun[key] = used
        if fresh:
            self.first, self._began_at = self.last, at
        self.seconds = at - self._began_at

    def called(self, at: float, totals: Mapping[str, int], rate: float) -> None:
        """Calls of each account of sevdesk so far, of which `rate` a second are allowed."""
        if self._before is not None:
            then, before = self._before
            for account, count in totals.items():
                made = count - before.get(account, 0)
                self.calls += made
                self.windows += 1
                self.full += made >= FULL * rate * (at - then)
        self._before = at, totals

    def figures(self, orders: int, accounts: int) -> dict[str, Any]:
        """`orders` were settled while it looked."""
        passed = {name: self.last[name] - self.first[name] for name in self.last}
        whole = max(1, sum(passed.values()))
        busy = whole - passed["idle"] - passed["iowait"]
        used: dict[str, int] = {"workers": 0, "web": 0, "database": 0, "simulators": 0}
        for key, (role, ticks) in self.by_process.items():
            used[role] += ticks - self._begun.get(key, 0)
        used["others"] = max(0, busy - sum(used.values()))
        share = {name: round(100 * ticks / whole) for name, ticks in used.items()}
        return {
            "processors": os.cpu_count(),
            "processors_busy_percent": round(100 * busy / whole),
            **{f"processors_for_{name}_percent": value for name, value in share.items()},
            "worker_cpu_s_per_order": round(used["workers"] / _TICK / max(1, orders), 2),
            "database_cpu_s_per_order": round(used["database"] / _TICK / max(1, orders), 2),
            "sevdesk_calls_per_s_and_account": round(self.calls / max(1.0, self.seconds) / accounts, 2),
            "sevdesk_budget_used_up_percent": round(100 * self.full / max(1, self.windows)),
        }


def reason(figures: Mapping[str, Any], rate: float) -> str | None:
    """Why the 99th of 100 orders took so long, in words; None if nothing that was measured says why."""
    budget, busy = figures["sevdesk_budget_used_up_percent"], figures["processors_busy_percent"]
    away, for_others = figures["database_away_percent"], figures["processors_for_others_percent"]
    sevdesk = (
        f"each account of sevdesk was called {figures['sevdesk_calls_per_s_and_account']} times a second of"
        f" {rate:g} allowed, and {budget} % of the time its budget was used up"
    )
    parts = ", ".join(
        f"{name} {figures[f'processors_for_{name}_percent']} %" for name in ("workers", "web", "database", "simulators")
    )
    processors = (
        f"{figures['processors']} processors were {busy} % busy ({parts}, others on this machine {for_others} %);"
        f" an order took {figures['worker_cpu_s_per_order']} s of them in the workers and"
        f" {figures['database_cpu_s_per_order']} s in the database; the database was away {away} % of the time"
    )
    if budget >= 50:
        bound, other = f"the budget of sevdesk: {sevdesk}", processors
    elif busy + away >= 85:
        bound, other = f"this machine: {processors}", sevdesk
    else:
        return None
    return (
        f"{figures['sustained_per_s']} orders a second were sustained where {figures['offered_per_s']:g} were offered."
        f" What bounds it is {bound}. Beside that, {other}."
    )
