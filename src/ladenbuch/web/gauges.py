"""The gauges of /metrics, read from where the truth is at the moment somebody asks: stores, budgets, pools.

`active_connections` counts open connections: of the HTTP client's pool by the service at the other end, of the mail
transport while it talks, and of each store's pool. `busy` is in somebody's hands at this moment, `idle` is kept open.
`rate_limit_utilization` is the fullest bucket of a service's tenants: one shop that runs dry is what one wants to see.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

import sqlalchemy as sa

from ladenbuch import alarms, books, deadletters, entitlements, events, inbox, money_back, outbox, tenants
from ladenbuch.db import Database, Store, Transaction, from_micros
from ladenbuch.telemetry.calls import SERVICES, Pulse
from ladenbuch.telemetry.metrics import Readings
from ladenbuch.telemetry.work import Work
from ladenbuch.web.health import Health, Patient, Queue, failing_seconds, read_queue
from ladenbuch.workflows.delivering import rate_in
from ladenbuch.workflows.money_back import LOOKED

log = logging.getLogger(__name__)

_PATIENCE = 3.0
_COUNT_AGAIN = timedelta(minutes=5)
#: How far back transfers that are nobody's are counted, as `ladenbuch money-back list` does.
_TRANSFERS = timedelta(days=62)
_Values = Iterable[tuple[tuple[str, ...], float]]


class Lines(Protocol):
    """What is needed of `telemetry.calls.Calls`."""

    def pulse(self, service: str) -> Pulse: ...
    def busy(self, service: str) -> int: ...
    def connections(self) -> Mapping[tuple[str, str], int]: ...


class Gauges:
    """Call it for the readings. `budgets` gives the used share (0 to 1) of each tenant's bucket by service, `circuits`
    how many tenants' breakers are in each state, `telling` names the mail providers whose word reaches us."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        work: Work,
        calls: Lines,
        health: Health,
        budgets: Callable[[], Mapping[str, Iterable[float]]],
        *,
        circuits: Callable[[], Mapping[tuple[str, str], int]] = dict,
        in_thread: bool = True,
        telling: Collection[str] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._work = work
        self._calls = calls
        self._health = health
        self._budgets = budgets
        self._circuits = circuits
        self._begun = clock()
        self._telling = telling
        self._counted: tuple[datetime, _Values, Mapping[str, money_back.Standing]] | None = None
        self._stores = Patient(self._read_stores, in_thread)

    def __call__(self) -> Readings:
        """Everything that can be read; what cannot is left out and counted in `gauges_unreadable`."""
        found: dict[str, _Values] = {}
        unread = 0
        # First what can move while the rest is read; the stores' own connections before they are used to read.
        for source in (self._connections, self._buckets, self._ages, self._of_stores, self._parts):
            try:
                found |= source()
            except Exception as error:
                unread += 1
                log.warning("gauges could not be read: %s", getattr(error, "code", type(error).__name__))
        found["gauges_unreadable"] = [((), unread)]
        return found

    def _connections(self) -> dict[str, _Values]:
        open_ones = {**self._calls.connections(), ("mail", "busy"): self._calls.busy("mail")}
        for (store, state), count in self._database.connections().items():
            open_ones[store.value, state] = count
        pools = {"shopify", "sevdesk", "mail", *(store.value for store in Store), *(pool for pool, _ in open_ones)}
        states = ("busy", "idle")
        return {
            "active_connections": [
                ((pool, state), open_ones.get((pool, state), 0)) for pool in sorted(pools) for state in states
            ]
        }

    def _buckets(self) -> dict[str, _Values]:
        return {
            "rate_limit_utilization": [((name,), max(shares, default=0.0)) for name, shares in self._budgets().items()],
            "circuits": list(self._circuits().items()),
        }

    def _ages(self) -> dict[str, _Values]:
        now = self._clock()
        found: dict[str, _Values] = {
            "adapter_failing_seconds": [
                ((name,), failing_seconds(self._calls.pulse(name), now, float("inf"))) for name in SERVICES[:-1]
            ]
        }
        if self._health.role == "web":
            return found  # it has neither, and a figure that only grows would be an alarm
        found["dispatcher_heartbeat_seconds"] = [((), self._age(self._work.last_tick("dispatch") or self._begun, now))]
        poll = self._work.oldest_poll(self._begun)
        if poll is not None:
            found["last_successful_poll_seconds"] = [((), self._age(poll, now))]
        return found

    def _age(self, at: datetime, now: datetime) -> float:
        return max(0.0, (now - at).total_seconds())

    def _of_stores(self) -> dict[str, _Values]:
        answer = self._stores.ask(_PATIENCE)
        if answer is None:
            raise TimeoutError
        return answer

    def _read_stores(self) -> dict[str, _Values]:
        now = self._clock()
        queue: Queue = read_queue(self._database, now)
        asked, dead, alarmed, promised, capped = self._database.system("metrics").read(Store.BOOKS, _counts)
        return {
            "webhook_queue_depth": [(("waiting",), queue.waiting), (("running",), queue.running)],
            "oldest_unattempted_seconds": [((), queue.oldest_unattempted_seconds)],
            "letters": [((state,), count) for state, count in queue.letters.items()],
            "oldest_letter_seconds": [((), 0.0 if promised is None else self._age(promised, now))],
            "executors": [((state,), count) for state, count in queue.executors_by_state(now).items()],
            "needs_attention": asked,
            "dead_letters": dead,
            "alarms_open": alarmed,
            "usage_near_cap": [((), capped)],
            **self._of_events(now),
            **self._of_tenants(now),
        }

    def _of_events(self, now: datetime) -> dict[str, _Values]:
        standing = self._database.system("metrics").read(Store.BOOKS, events.standing)
        return {
            "events": [((state,), count) for state, count in standing.deliveries.items()],
            "oldest_event_seconds": [((), 0.0 if standing.oldest is None else self._age(standing.oldest, now))],
            "event_receivers": [((state,), count) for state, count in standing.receivers.items()],
        }

    def _of_tenants(self, now: datetime) -> dict[str, _Values]:
        """Every letter of 30 days and every transfer is looked at for this: not more often than every few minutes."""
        system = self._database.system("metrics")
        if self._counted is None or now - self._counted[0] > _COUNT_AGAIN:
            self._counted = now, *system.read(Store.BOOKS, lambda tx: (self._rates(tx), _transfers(tx, now)))
        transfers = self._counted[2]
        looked = system.read(Store.INBOX, lambda tx: inbox.noted(tx, LOOKED)) if transfers else {}
        kinds = ("awaited", "unclear", "nobodys")
        return {
            "letters_delivered_ratio": self._counted[1],
            "transfers": [((one, kind), getattr(of, kind)) for one, of in transfers.items() for kind in kinds],
            "last_bank_look_seconds": [
                ((one,), self._age(looked[one], now)) for one, of in transfers.items() if of.awaited and one in looked
            ],
        }

    def _rates(self, tx: Transaction) -> _Values:
        found: list[tuple[tuple[str, ...], float]] = []
        for owner in tenants.all(tx):
            rate = rate_in(tx, owner.id, self._clock(), self._telling)
            shares = (("promised", rate.rate), ("valid", rate.of_valid))
            found += [((owner.id, of), float(value)) for of, value in shares if value is not None]
        return found

    def _parts(self) -> dict[str, _Values]:
        return {"ready": [((part.name,), float(part.fine)) for part in self._health.look().parts]}


def _transfers(tx: Transaction, now: datetime) -> dict[str, money_back.Standing]:
    """How the transfers of each shop stand that looks for them."""
    found = {}
    for tenant, standing in money_back.standing(tx, (now - _TRANSFERS).date()).items():
        version = tenants.in_force(tenants.profiles(tx, tenant), now)
        if version is not None and version.profile.get("money_back", True) is not False:
            found[tenant] = standing
    return found


def _counts(tx: Transaction) -> tuple[_Values, _Values, _Values, datetime | None, int]:
    asked, dead, letters = books.attention, deadletters.dead_letters, outbox.letters
    oldest = tx.execute(sa.select(sa.func.min(letters.c.promised_at)).where(letters.c.state == "promised")).scalar()
    by_code = sa.select(asked.c.code, sa.func.count()).group_by(asked.c.code).order_by(asked.c.code)
    by_kind = sa.select(dead.c.kind, sa.func.count()).where(dead.c.state == "open").group_by(dead.c.kind)
    open_ones = Counter(one.kind for one in alarms.open_alarms(tx))
    given_up = {(kind,): 0 for kind in (*deadletters.KINDS, "other")}  # few labels, whatever stands in the table
    for kind, count in tx.execute(by_kind.order_by(dead.c.kind)):
        given_up[(kind if kind in deadletters.KINDS else "other",)] += int(count)
    return (
        [((code,), int(count)) for code, count in tx.execute(by_code)],
        list(given_up.items()),
        [((kind,), count) for kind, count in sorted(open_ones.items())],
        None if oldest is None else from_micros(oldest),
        entitlements.near_cap(tx),
    )
