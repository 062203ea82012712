"""A tenant's webhooks: what is wanted in its shop, whether it is there, and making it so.

A tenant that brings its own app (client credentials) has everything subscribed in its shop. The shops of the operator's
app get what the app's configuration file says; in the shop itself only what a merchant granted on top, so that nothing
comes twice (facts 3.5).
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from ladenbuch import audit, inbox, tenants
from ladenbuch.alarms import end_alarm, open_alarms, raise_alarm
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import LadenbuchError
from ladenbuch.settings import Settings
from ladenbuch.shopify import filters, registering
from ladenbuch.shopify.registering import Report
from ladenbuch.shopify.subscriptions import Actual, Change, Kind, Subscription, beyond, changes, left_out, wanted
from ladenbuch.shopify.version import API_VERSION
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.tokens import CLIENT_ID

log = logging.getLogger(__name__)

#: The alarms this module raises.
DIFFER, VERSION = "WEBHOOKS-DIFFER", "WEBHOOKS-VERSION"
#: Under which name the inbox remembers what was wanted and found to be there.
_STOOD = "webhooks.stood"
#: How old an answer about a shop's scopes may be; app/scopes_update tells of changes sooner.
_SCOPES_AGE = timedelta(hours=1)
#: An alarm about subscriptions ends after so long without a difference: what is deleted again and again is one alarm.
_CALM = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how webhooks are delivered to us. `address` is ours, `scopes` are those every install asks for.

    `kind` None: the tenant's own app says which. `orders_filter` holds for all topics about orders.
    """

    address: str
    scopes: tuple[str, ...]
    kind: Kind | None = None
    orders_filter: str | None = None
    api_version: str = API_VERSION


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in a shop. `missing_scopes`: scope -> topics we therefore do not hear of.

    `other_version`: the version deliveries have, where it is not the one expected; only the app's settings change it.
    """

    kind: Kind
    wanted: tuple[Subscription, ...]
    changes: tuple[Change, ...]
    missing_scopes: dict[str, list[str]]
    other_version: str | None

    @property
    def ok(self) -> bool:
        """Whether nothing has to be done."""
        return not self.changes and self.other_version is None


def place(settings: Settings, kind: Kind | None = None) -> Place | None:
    """What the settings say of it; None where nobody knows our address. Raises like `filters.parse`."""
    address = settings.webhooks_url or (f"{settings.app_url}/webhooks" if settings.app_url else None)
    if address is None:
        return None
    if settings.orders_filter:
        filters.parse(settings.orders_filter)
    version = settings.shopify_api_version or API_VERSION
    return Place(address, tuple(settings.scopes), kind, settings.orders_filter, version)


def kind_of(ctx: Context, tenant: str) -> Kind:
    """`shop` for a tenant that brings its own app, else `app`."""
    own = ctx.door(tenant).read(Store.BOOKS, lambda tx: ctx.vault.get_secret(tx, tenant, CLIENT_ID))
    return "app" if own is None else "shop"


def look(ctx: Context, tenant: str, place: Place) -> Look:
    """Compare a shop with what is wanted; nothing is changed. Raises what the Admin API raises."""
    kind, want, granted = _wanted(ctx, tenant, place)
    actual = registering.listed(ctx.shopify(tenant).execute)
    return Look(kind, want, changes(want, actual), left_out(granted), _other_version(actual, place))


def ensure(ctx: Context, tenant: str, place: Place) -> Report:
    """Make a shop's subscriptions the wanted ones; leaves a line in the audit chain when anything was changed.

    Raises what the Admin API raises; what Shopify refuses stands in the report.
    """
    _, want, _ = _wanted(ctx, tenant, place)
    report = registering.ensure(ctx.shopify(tenant).execute, want)
    if report.mutations:
        now = ctx.clock()
        sentence = f"Webhooks of {tenant} were put in order: {', '.join(report.done) or 'nothing was taken'}."
        refused = {change.topic: why for change, why in report.refused}

        def write(tx: Transaction) -> None:
            audit.append(
                tx,
                tenant,
                now,
                actor="subscriptions",
                event="webhooks.ensured",
                subject=tenant,
                sentence=sentence,
                detail={"address": place.address, "done": list(report.done), "refused": refused},
            )

        ctx.door(tenant).run(Store.BOOKS, write)
    return report


class Watch:
    """A tick: look at every active tenant's subscriptions, mend what is not as wanted, and raise the alarm.

    Shopify deletes those of a shop after eight failed deliveries in a row and says nothing (facts 3.2). What was missed
    meanwhile the poll finds. What a shop may be told of is asked once an hour, the list of its subscriptions each time.
    With `every`, a shop another process looked at less than half of it ago is left to that one.
    """

    def __init__(self, ctx: Context, place: Place, every: timedelta | None = None) -> None:
        self._ctx, self._place, self._every = ctx, place, every
        self._wanted: dict[str, tuple[datetime, tuple[Subscription, ...]]] = {}

    def __call__(self) -> int:
        """How many changes were taken. One tenant's trouble does not stop the others."""
        known = self._ctx.database.system("webhook").read(Store.BOOKS, tenants.all)
        jobs = [partial(self._one, owner.id) for owner in known if owner.state == "active"]
        return sum(self._ctx.spread(jobs))

    @working_as(Priority.BACKFILL)
    def _one(self, tenant: str) -> int:
        try:
            return self._mended(tenant) if self._ours(tenant) else 0
        except LadenbuchError as error:
            log.warning("webhooks could not be looked at", extra={"tenant": tenant, "code": error.code})
            return 0

    def _ours(self, tenant: str) -> bool:
        every, now = self._every, self._ctx.clock()
        if every is None:
            return True
        take, me = self._ctx.door(tenant).run, self._ctx.executor
        return take(Store.INBOX, lambda tx: inbox.take_turn(tx, tenant, "turn:webhooks", now, every / 2, me))

    def _mended(self, tenant: str) -> int:
        ctx, place, now = self._ctx, self._place, self._ctx.clock()
        actual = registering.listed(ctx.shopify(tenant).execute)
        want = self._want(tenant, now)
        _check_version(ctx, tenant, _other_version(actual, place), place.api_version)
        left = changes(want, actual)
        if left and self._stood(tenant, want):  # nobody but Shopify, or a hand in the shop, can have changed it
            topics = ", ".join(sorted({change.topic for change in left}))[:200]
            facts: dict[str, str | int] = {"count": len(left), "topics": topics}
            ctx.door(tenant).run(Store.BOOKS, lambda tx: raise_alarm(tx, tenant, DIFFER, "", now, facts))
        if not left:
            self._stands(tenant, want)
            return 0
        report = ensure(ctx, tenant, place)
        self._wanted.pop(tenant, None)
        if report.done:
            log.warning("webhooks were not as wanted: %s", ", ".join(report.done), extra={"tenant": tenant})
        for change, why in report.refused:
            log.warning("webhook %s was refused: %s", change.topic, why, extra={"tenant": tenant})
        return len(report.done)

    def _want(self, tenant: str, now: datetime) -> tuple[Subscription, ...]:
        kept = self._wanted.get(tenant)
        if kept is None or not timedelta(0) <= now - kept[0] < _SCOPES_AGE:
            kept = self._wanted[tenant] = (now, _wanted(self._ctx, tenant, self._place)[1])
        return kept[1]

    def _stood(self, tenant: str, want: tuple[Subscription, ...]) -> bool:
        """Whether exactly this was wanted and there at an earlier look."""
        read = self._ctx.door(tenant).read
        return read(Store.INBOX, lambda tx: inbox.cursor(tx, tenant, _STOOD)) == _digest(want)

    def _stands(self, tenant: str, want: tuple[Subscription, ...]) -> None:
        """Everything is as wanted: remember it; an alarm ends when that has lasted for a while."""
        door, now = self._ctx.door(tenant), self._ctx.clock()
        if not self._stood(tenant, want):
            door.run(Store.INBOX, lambda tx: inbox.set_cursor(tx, tenant, _STOOD, _digest(want)))
        if any(one.kind == DIFFER for one in door.read(Store.BOOKS, lambda tx: open_alarms(tx, tenant))):
            door.run(Store.BOOKS, lambda tx: end_alarm(tx, tenant, DIFFER, "", now, _CALM))


def watch(ctx: Context, place: Place) -> int:
    """Look once at every active tenant's subscriptions and mend them; returns the changes that were taken."""
    return Watch(ctx, place)()


def _check_version(ctx: Context, tenant: str, other: str | None, wanted: str) -> None:
    door, now = ctx.door(tenant), ctx.clock()
    if other is not None:
        facts: dict[str, str | int] = {"found": other, "wanted": wanted}
        door.run(Store.BOOKS, lambda tx: raise_alarm(tx, tenant, VERSION, "", now, facts))
    elif any(one.kind == VERSION for one in door.read(Store.BOOKS, lambda tx: open_alarms(tx, tenant))):
        door.run(Store.BOOKS, lambda tx: end_alarm(tx, tenant, VERSION, "", now))


def _digest(want: tuple[Subscription, ...]) -> str:
    return hashlib.sha256("\n".join(sorted(map(repr, want))).encode()).hexdigest()[:32]


def in_file(place: Place) -> tuple[Subscription, ...]:
    """What the configuration file of the operator's app subscribes for every shop, the privacy topics included."""
    return wanted(place.address, place.scopes, kind="app", orders_filter=place.orders_filter)


def _wanted(ctx: Context, tenant: str, place: Place) -> tuple[Kind, tuple[Subscription, ...], list[str]]:
    kind = place.kind or kind_of(ctx, tenant)
    scopes = ctx.shopify(tenant).installation().get("accessScopes") or ()
    granted = [str(scope.get("handle")) for scope in scopes if isinstance(scope, dict)]
    want = wanted(place.address, granted, kind="shop", orders_filter=place.orders_filter)
    return kind, want if kind == "shop" else beyond(want, in_file(place)), granted


def _other_version(actual: tuple[Actual, ...], place: Place) -> str | None:
    others = sorted({item.api_version for item in actual if item.api_version not in (None, place.api_version)})
    return others[0] if others else None
