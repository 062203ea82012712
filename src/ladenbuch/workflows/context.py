"""What a workflow is given: stores, adapters per tenant, time and chance as arguments. Built by bootstrap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from ladenbuch import tenants
from ladenbuch.db import Database, Door, Store, Transaction
from ladenbuch.domain.evidence import VatIdAnswer
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.rates import RateTable
from ladenbuch.domain.retention import DAYS, YEARS
from ladenbuch.domain.retry import LADDERS, Ladder, Topic
from ladenbuch.domain.silence import Thresholds
from ladenbuch.errors import Retryable
from ladenbuch.mail.transport import Relays
from ladenbuch.receivers import Receivers
from ladenbuch.sealed import Seal, Unseal
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.shopify.admin import Admin
from ladenbuch.shopify.version import API_VERSION
from ladenbuch.telemetry.work import Work
from ladenbuch.vault import Sealed, Vault


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things wait, in seconds. `ambiguous_wait` runs from the moment a call may have left us.

    `vat_answer_age` is how long before an order the answer about its VAT id may have been given, `hands_off` how long
    a document we wrote is not looked at without need (R17), `match_patience` how long a refund waits for its invoice's
    payment to be linked in sevdesk before a person is asked (R5), looked at every `match_again`.
    """

    client_timeout: float = 10.0
    ambiguous_wait: float = 30.0
    ladders: Mapping[Topic, Ladder] = field(default_factory=lambda: LADDERS)
    claim_ttl: float = 300.0
    poll_overlap: float = 600.0
    poll_seconds: float = 60.0
    lease: float = 60.0
    vat_answer_age: float = 30 * 86400.0
    hands_off: float = 900.0
    match_patience: float = 7 * 86400.0
    match_again: float = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long what is kept (`domain.retention`): documents for `years`, what was heard for `inbox_days`, a tenant that
    left without a shop/redact for `absent_days`, an answer that was fetched for `answer_days`, events for other tools
    for `event_days`, what a reconciliation found for `report_days`.
    """

    years: int = YEARS
    inbox_days: float = 60.0
    absent_days: float = DAYS
    answer_days: float = DAYS
    event_days: float = 30.0
    report_days: float = 400.0


class Asked:
    """Which changes the polls of this process have asked a look for; a restart forgets it. Thread-safe."""

    #: As many orders of a tenant are remembered.
    _MOST = 5000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, datetime]] = {}

    def known(self, tenant: str, changes: Mapping[str, datetime]) -> list[str]:
        """Those of the orders that were asked for at the same change."""
        with self._lock:
            mine = self._known.get(tenant, {})
            return [gid for gid, updated_at in changes.items() if mine.get(gid) == updated_at]

    def remember(self, tenant: str, changes: Mapping[str, datetime]) -> None:
        """These were asked for; the oldest are forgotten."""
        with self._lock:
            mine = self._known.setdefault(tenant, {})
            for gid, updated_at in changes.items():
                mine.pop(gid, None)
                mine[gid] = updated_at
            for gid in list(mine)[: max(0, len(mine) - self._MOST)]:
                del mine[gid]


def one_by_one(jobs: Sequence[Callable[[], int]]) -> list[int]:
    """Each job in its turn, in this thread."""
    return [job() for job in jobs]


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a workflow may touch. `shopify` and `sevdesk` give the client of one tenant.

    `vat_ids` asks whether a VAT id is valid at an instant; None when nobody is asked, so that no answer is available.
    `forget` drops what is remembered of a tenant's clients and secrets, `subscribe` registers its webhooks. `hears`:
    webhooks of every change of an order are to be expected; `begun`: since when this process listens; `spread` runs
    jobs that do not concern each other, side by side where there are threads. `clock_off`: how far our clock is ahead
    of everybody's, where that is too far for numbers; `clock` goes by theirs then. `telling`: mail providers whose word
    about deliveries reaches us.
    """

    database: Database
    vault: Vault
    shopify: Callable[[str], Admin]
    sevdesk: Callable[[str], Sevdesk]
    relays: Relays
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    new_id: Callable[[], str]
    chance: Callable[[], float]
    executor: str
    timing: Timing = field(default_factory=Timing)
    keeping: Keeping = field(default_factory=Keeping)
    mail_from: str = "buchhaltung@example.com"
    telling: frozenset[str] = frozenset()
    receivers: Receivers = field(default_factory=Receivers)
    document_link: str = ""
    wake: Callable[[str], None] = lambda name: None
    observe: Callable[[str, float], None] = lambda name, value: None
    forget: Callable[[str], None] = lambda tenant: None
    subscribe: Callable[[str], None] = lambda tenant: None
    work: Work = field(default_factory=Work)
    rates: RateTable = field(default_factory=RateTable)
    vat_ids: Callable[[str, datetime], VatIdAnswer] | None = None
    hears: bool = False
    begun: datetime | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    asked: Asked = field(default_factory=Asked)
    spread: Callable[[Sequence[Callable[[], int]]], list[int]] = one_by_one
    api_version: str = API_VERSION
    clock_off: Callable[[], timedelta | None] = lambda: None

    def door(self, tenant: str) -> Door:
        """The only way to the tenant's rows."""
        return self.database.tenant(tenant)

    def seal(self, tenant: str, purpose: str, subject: str) -> Seal:
        """A function that seals the bytes of a row for this tenant, purpose and subject (`Vault.seal`)."""

        def seal(row: str, plaintext: bytes) -> tuple[str, bytes]:
            sealed = self.vault.seal(tenant, purpose, row, plaintext, subject)
            return sealed.key_id, sealed.ciphertext

        return seal

    def unseal(self, tenant: str, purpose: str) -> Unseal:
        """The reverse of `seal`; it knows the subject from the ciphertext."""
        return lambda row, key_id, ciphertext: self.vault.open(tenant, purpose, row, Sealed(key_id, ciphertext))

    def profiles(self, tenant: str) -> list[Profile]:
        """All versions of the tenant's accounting profile; draft-only and cut-off are the tenant's own switches."""
        return self.door(tenant).read(Store.BOOKS, lambda tx: profiles_in(tx, tenant))

    def until(self, seconds: float) -> datetime:
        """The instant `seconds` from now."""
        return self.clock() + timedelta(seconds=seconds)


def profiles_in(tx: Transaction, tenant: str) -> list[Profile]:
    """`Context.profiles` inside an open transaction of the books. Raises Retryable when there is none yet."""
    owner = tenants.get(tx, tenant)
    versions = tenants.profiles(tx, tenant)
    if not versions:
        raise Retryable("TENANT-UNKNOWN", "the tenant has no accounting profile yet")
    return [_profile(item, owner.cut_off, owner.draft_only) for item in versions]


@lru_cache(maxsize=256)
def _profile(item: tenants.ProfileVersion, cut_off: datetime, draft_only: bool) -> Profile:
    """A version with the tenant's own switches; read for every order, and the same for all of them."""
    own = {"go_live": cut_off.isoformat(), "draft_only": draft_only, "effective_from": item.effective_from.isoformat()}
    return Profile.from_json({**item.profile, **own}, version=item.version)
