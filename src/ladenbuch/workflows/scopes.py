"""What a shop lets us do: noted with every token, read again when Shopify says it changed, told as switches.

The truth is what the shop's installation says. A token's own list may leave out what a write scope implies, so both are
kept with everything implied, and only a real change is one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime

from ladenbuch import audit, grants, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import Retryable
from ladenbuch.shopify.oauth import with_implied
from ladenbuch.shopify.scopes import Switch, switched
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.hearing import Handler, News

log = logging.getLogger(__name__)


def note(tx: Transaction, tenant: str, shop: str, scopes: Iterable[str], now: datetime) -> bool:
    """Keep what the shop grants now; True, with an audit row, when that is not what it was."""
    known, found = grants.get(tx, tenant), with_implied(scopes)
    if known is None or known.scopes == found:
        return False
    grants.set_scopes(tx, tenant, found)
    new, gone = sorted(found - known.scopes), sorted(known.scopes - found)
    parts = [f"now also {', '.join(new)}"] * bool(new) + [f"no longer {', '.join(gone)}"] * bool(gone)
    before = {switch.capability for switch in switched(known.scopes) if switch.on}
    changed = [item.sentence for item in switched(found) if item.on is not (item.capability in before)]
    sentence = ". ".join([f"{shop} grants {' and '.join(parts)}", *(text[:1].upper() + text[1:] for text in changed)])
    audit.append(tx, tenant, now, actor="scopes", event="SCOPES_CHANGED", subject=shop, sentence=f"{sentence}.")
    return True


def reread(ctx: Context, tenant: str) -> bool:
    """Ask the shop's installation what it grants and note it; True when that changed.

    Raises what the Admin client raises; nothing is noted then.
    """
    listed = ctx.shopify(tenant).installation().get("accessScopes")
    if not isinstance(listed, list):
        raise Retryable("SHOPIFY-PARTIAL", "the installation did not say what it grants")
    found = [str(item.get("handle")) for item in listed if isinstance(item, Mapping)]
    now = ctx.clock()

    def write(tx: Transaction) -> bool:
        if grants.get(tx, tenant) is None:  # a token that was brought, and never asked for or renewed
            grants.put(tx, tenant, "permanent", (), now)
        return note(tx, tenant, tenants.get(tx, tenant).shop, found, now)

    return ctx.door(tenant).run(Store.BOOKS, write)


def switches(tx: Transaction, tenant: str) -> tuple[Switch, ...]:
    """Each capability of the connector in this shop, on or off with the sentence why; empty before the first token."""
    known = grants.get(tx, tenant)
    return () if known is None else switched(known.scopes)


def _scopes_changed(ctx: Context, news: News) -> str:
    """`app/scopes_update`: signed, perhaps old, and not in order with others; so only the installation is believed."""
    owner = ctx.door(news.tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, news.tenant))
    if owner.state in ("uninstalled", "redacted"):
        return "NOTHING-TO-DO"
    if not reread(ctx, news.tenant):
        return "NOTHING-TO-DO"
    ctx.subscribe(news.tenant)  # a topic may be heard now that was not before
    return "SCOPES-CHANGED"


#: What is done because of which topic.
HANDLERS: Mapping[str, Handler] = {"app/scopes_update": _scopes_changed}
