"""A tenant's webhooks: what is wanted in its shop, whether it is there, and making it so.

A tenant that brings its own app (client credentials) has everything subscribed in its shop. The shops of the operator's
app get what the app's configuration file says; in the shop itself only what a merchant granted on top, so that nothing
comes twice (facts 3.5).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ladenbuch import audit, tenants
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


@working_as(Priority.BACKFILL)
def watch(ctx: Context, place: Place) -> int:
    """Look at every active tenant's subscriptions and mend what is not as wanted; returns the changes that were taken.

    Shopify deletes those of a shop after eight failed deliveries in a row and says nothing (facts 3.2). What was missed
    meanwhile the poll finds. One tenant's trouble does not stop the others.
    """
    mended = 0
    known = ctx.database.system("webhook").read(Store.BOOKS, tenants.all)
    for tenant in (one.id for one in known if one.state == "active"):
        try:
            report = ensure(ctx, tenant, place)
        except LadenbuchError as error:
            log.warning("webhooks could not be looked at", extra={"tenant": tenant, "code": error.code})
            continue
        if report.done:
            log.warning("webhooks were not as wanted: %s", ", ".join(report.done), extra={"tenant": tenant})
        for change, why in report.refused:
            log.warning("webhook %s was refused: %s", change.topic, why, extra={"tenant": tenant})
        mended += len(report.done)
    return mended


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
