"""All budgets and breakers of one process, made when they are first asked for.

On one process they live in memory; with PostgreSQL the buckets and the circuits are those of all processes
(`budgets`, `circuits`). Shops that keep their books in one sevdesk account share its rate. A circuit of Shopify is a
tenant's; one of sevdesk is a token's, whichever shops use it: it is the token that sevdesk blocks.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from ladenbuch.breaker import REFUSALS, Breaker
from ladenbuch.bucket import Bucket
from ladenbuch.budgets import SharedBudget, bury, key_of, prune
from ladenbuch.circuits import SharedCircuits
from ladenbuch.circuits import prune as prune_circuits
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.errors import LadenbuchError
from ladenbuch.shopify.cost import CostGauge
from ladenbuch.workflows.pace import PARTNER_RATE, Pace

log = logging.getLogger(__name__)

B = TypeVar("B", bound=Bucket)

#: What Shopify answers when token or shop are not let in: expired, frozen, forbidden, locked.
SHOPIFY_REFUSALS = (401, 402, 403, 423)
#: Letters a relay takes at once, whatever its rate.
_AT_ONCE = 8.0
#: A bucket nobody asked for is full again long before; its row is forgotten after that.
_FORGOTTEN = timedelta(hours=1)


class Limits:
    """Thread-safe. `holder` is the name of this process among those that share buckets: new at every start."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        holder: str,
        *,
        sevdesk_rate: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sleep = sleep
        self._holder = holder
        self._sevdesk_rate = sevdesk_rate
        self._lock = threading.Lock()
        self._gauges: dict[str, CostGauge] = {}
        self._paces: dict[tuple[str, str], Pace] = {}
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._tokens: dict[str, tuple[str, str]] = {}  # the breaker of the token a tenant used last
        self._shared: list[tuple[SharedBudget, Bucket]] = []

    def shopify(self, shop: str) -> CostGauge:
        """The points of our app in a shop."""
        with self._lock:
            if shop not in self._gauges:
                sharing = self._sharing("shopify", shop)
                self._gauges[shop] = self._noted(sharing, CostGauge(self._clock, sharing=sharing))
            return self._gauges[shop]

    def sevdesk(self, account: str) -> Pace:
        """The requests of a sevdesk account, whoever's books are kept in it."""
        return self._pace("sevdesk", account, self._sevdesk_rate)

    def partner(self, client_id: str) -> Pace:
        """The requests of a client of Shopify's Partner API: never more than four arrive in a second."""
        return self._pace("partner", client_id, PARTNER_RATE, burst=1.0)

    def relay(self, name: str, rate: float) -> Bucket:
        """The letters a second a mail relay is given, by all processes; a few at once, so that each has one."""
        return self._pace("mail", name, rate, burst=max(_AT_ONCE, rate)).bucket

    def shopify_breaker(self, tenant: str) -> Breaker:
        """The circuit breaker of a tenant's calls to Shopify."""
        made = partial(SharedCircuits.of_tenant, self._database, tenant, "shopify", self._clock)
        with self._lock:
            return self._breaker(("shopify", tenant), made, SHOPIFY_REFUSALS)

    def sevdesk_breaker(self, tenant: str, token: str) -> Breaker:
        """The circuit breaker of all calls with a sevdesk token, this time of a tenant that uses it."""
        key = ("sevdesk", key_of("sevdesk token", token))
        made = partial(SharedCircuits.of_token, self._database, key[1], self._clock)
        with self._lock:
            before = self._tokens.get(tenant, key)
            self._tokens[tenant] = key
            if before != key and before not in self._tokens.values():
                self._breakers.pop(before, None)  # nobody's token any more: it says nothing about a connection
            return self._breaker(key, made, REFUSALS)

    def forget(self, tenant: str) -> None:
        """The tenant connects anew, or leaves: what failed before counts no longer."""
        with self._lock:
            keys = [("shopify", tenant), self._tokens.pop(tenant, ("sevdesk", ""))]
            mine = [self._breakers.pop(key) for key in keys if key in self._breakers]
        for breaker in mine:
            with contextlib.suppress(LadenbuchError):
                breaker.reset()

    def used(self) -> dict[str, list[float]]:
        """The used share (0 to 1) of each bucket this process takes from, by service."""
        with self._lock:
            found = {"shopify": [gauge.used() for gauge in self._gauges.values()], "sevdesk": []}
            for (service, _), pace in self._paces.items():
                found.setdefault(service, []).append(pace.used())
            return found

    def circuits(self) -> Counter[tuple[str, str]]:
        """How many circuits are closed, open or half_open, by service and state, as far as we know."""
        with self._lock:
            known = list(self._breakers.items())
        return Counter((service, breaker.known_state) for (service, _), breaker in known)

    def give_back_idle(self) -> None:
        """Give back what this process does not use at the moment: another one may want it."""
        with self._lock:
            shared = list(self._shared)
        for sharing, bucket in shared:
            sharing.give_back_if_idle(bucket)

    def bury(self, executor: str) -> None:
        """A process is dead: what it held is for the others."""
        now = self._clock()
        with contextlib.suppress(LadenbuchError):  # without us it comes back a little later
            self._database.system("reaper").run(Store.BOOKS, lambda tx: bury(tx, executor, now))

    def tidy(self) -> None:
        """Forget the buckets nobody has, and the circuits of tokens nobody uses any more."""
        if not self._database.is_sqlite:
            before = self._clock() - _FORGOTTEN

            def forget(tx: Transaction) -> None:
                prune(tx, before)
                prune_circuits(tx, before)

            self._database.system("reaper").run(Store.BOOKS, forget)

    def close(self) -> None:
        """The process ends: what it holds is free at once."""
        with self._lock:
            shared, self._shared = self._shared, []
        for sharing, bucket in shared:
            try:
                sharing.give_back(bucket)
            except LadenbuchError as error:
                log.warning("a share could not be given back: %s", error.code)  # it comes back by itself

    def _breaker(
        self, key: tuple[str, str], circuits: Callable[[], SharedCircuits], refusals: Collection[int]
    ) -> Breaker:
        if key not in self._breakers:
            shared = None if self._database.is_sqlite else circuits()
            self._breakers[key] = Breaker(key[0], self._clock, shared, refusals=refusals)
        return self._breakers[key]

    def _pace(self, service: str, account: str, rate: float, burst: float | None = None) -> Pace:
        with self._lock:
            key = (service, account)
            if key not in self._paces:
                sharing = self._sharing(service, account, fixed=True)
                made = Pace(rate, self._clock, self._sleep, burst, service=service, sharing=sharing)
                self._noted(sharing, made.bucket)
                self._paces[key] = made
            return self._paces[key]

    def _sharing(self, service: str, account: str, *, fixed: bool = False) -> SharedBudget | None:
        if self._database.is_sqlite:
            return None
        return SharedBudget(self._database, key_of(service, account), self._holder, self._clock, fixed=fixed)

    def _noted(self, sharing: SharedBudget | None, bucket: B) -> B:
        if sharing is not None:
            self._shared.append((sharing, bucket))
        return bucket
