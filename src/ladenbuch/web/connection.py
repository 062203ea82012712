"""What the page "Connection" shows: how both sides are connected, what the daily look found, what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ladenbuch import alarms, checkups, entitlements, grants, tenants
from ladenbuch.checkups import Checkup
from ladenbuch.db import Database, Transaction
from ladenbuch.domain.compared import Change
from ladenbuch.domain.connected import AREAS, Area, Finding
from ladenbuch.entitlements import Known
from ladenbuch.grants import Grant
from ladenbuch.shopify.scopes import Switch, switched
from ladenbuch.web.shops import each_shop
from ladenbuch.workflows.lockout import SUBJECT
from ladenbuch.workflows.tokens import reconnect_link

#: How long what changed is shown beside what is.
_RECENT = timedelta(days=7)
#: Findings of the shop's door being shut, which the grant says already.
_SAID = frozenset({"SHOPIFY-RECONNECT"})


@dataclass(frozen=True)
class Connection:
    """One tenant. `shop_lost`: why the shop must be connected again; `refused`: sevdesk refuses the token.

    `links`: where an optional scope that a capability lacks is asked for, by the capability's name.
    """

    tenant: tenants.Tenant
    now: datetime
    grant: Grant | None = None
    stop: str | None = None
    refused: bool = False
    checkup: Checkup | None = None
    billing: Known | None = None
    reconnect: str = ""
    links: Mapping[str, str] | None = None

    @property
    def shop_lost(self) -> str | None:
        return None if self.grant is None else self.grant.needs_reconnect

    @property
    def off(self) -> tuple[Switch, ...]:
        """What the shop's scopes leave switched off."""
        return () if self.grant is None else tuple(item for item in switched(self.grant.scopes) if not item.on)

    @property
    def checked_at(self) -> datetime | None:
        return None if self.checkup is None else self.checkup.checked_at

    @property
    def trouble(self) -> str | None:
        return None if self.checkup is None else self.checkup.trouble

    def found(self, level: str) -> list[Finding]:
        """The findings of one level, in the order of their areas."""
        known = () if self.checkup is None else self.checkup.findings
        return [item for area in AREAS for item in known if (item.area, item.level) == (area, level)]

    @property
    def missing(self) -> list[Finding]:
        """What stands between the tenant and its invoices, but for what the shop's own notice says."""
        return [item for item in self.found("missing") if not (self.shop_lost and item.code in _SAID)]

    def fine(self) -> list[tuple[Area, list[Finding]]]:
        """What is as it should be, by area."""
        known = self.found("ok")
        return [(area, [item for item in known if item.area == area]) for area in AREAS if _any(known, area)]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What changed lately."""
        known = self.checkup
        if known is None or known.changed_at is None or self.now - known.changed_at > _RECENT:
            return ()
        return known.changes


Connections = Callable[[str | None], Sequence[Connection]]


def connections(
    database: Database, clock: Callable[[], datetime], app_url: str | None, optional_scopes: Sequence[str] = ()
) -> Connections:
    """Reads the connections of one tenant, or (None) of all; nothing is asked at Shopify or sevdesk."""

    def of(tx: Transaction, owner: tenants.Tenant) -> Connection:
        grant = grants.get(tx, owner.id)
        open_ones = {(one.kind, one.subject) for one in alarms.open_alarms(tx, owner.id)}
        own_app = grant is not None and grant.kind == "client_credentials"
        made = Connection(
            tenant=owner,
            now=clock(),
            grant=None if owner.state in ("uninstalled", "redacted") else grant,
            stop=tenants.stopped(tx, owner.id) if owner.state == "active" else None,
            refused=("TOKEN-REFUSED", SUBJECT) in open_ones,
            checkup=checkups.get(tx, owner.id),
            billing=entitlements.get(tx, owner.id),
            reconnect=reconnect_link(None if own_app else app_url, owner.shop),
        )
        if app_url is None or own_app:
            return made
        asked = {item.capability.name: [one for one in item.missing if one in optional_scopes] for item in made.off}
        links = {name: reconnect_link(app_url, owner.shop, ",".join(found)) for name, found in asked.items() if found}
        return Connection(**{**vars(made), "links": links})

    return lambda tenant: each_shop(database, tenant, of)


def _any(found: Sequence[Finding], area: Area) -> bool:
    return any(item.area == area for item in found)
