"""A tenant's life between the click on "install" and the last row that is deleted.

    install ──► finish: identified ──► subscribed ──► configured ──► active
                                                          │ something is missing: installing, and says what
    suspend ◄──► resume        a person, or a token that nobody but the merchant can renew
    uninstall                  tokens gone at once, work stopped, webhooks still answered; reinstalled = the same tenant

Every step may be repeated: after a crash the same call goes on where it stopped. Shopify's id of the shop decides whose
installation it is, never the domain alone, because a merchant can change that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ladenbuch import alarms, audit, events, grants, inbox, suppressions, tenants, write_backs
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.hearing import Handler, News
from ladenbuch.workflows.redaction import MARKS
from ladenbuch.workflows.tokens import (
    CLIENT_ID,
    CLIENT_SECRET,
    PREVIOUS_CLIENT_SECRET,
    SEVDESK_TOKEN,
    alone_with_tokens,
)

log = logging.getLogger(__name__)

#: What stays in the vault after an uninstall: with these its last webhooks are verified. They go with the redaction.
_TO_VERIFY = (CLIENT_ID, CLIENT_SECRET, PREVIOUS_CLIENT_SECRET)
#: How long an uninstall waits for Shopify to confirm it before the signed webhook is believed alone.
_UNCONFIRMED = timedelta(seconds=30)
#: Answers to a token that say: this app is not installed (any more).
_NOT_INSTALLED = ("SHOPIFY-TOKEN", "SHOPIFY-RECONNECT", "SHOPIFY-GONE", "OAUTH-")
#: The codes under which orders of absent tenants wait.
_ABSENT = ("TENANT-INSTALLING", "TENANT-SUSPENDED", "TENANT-UNINSTALLED", "TENANT-REDACTED")


@dataclass(frozen=True, slots=True)
class ShopIdentity:
    """Who a shop is, from its own Admin API."""

    gid: str
    domain: str


def identity_of(settings: Mapping[str, Any]) -> ShopIdentity:
    """Id and domain out of the shop's settings. Raises Retryable("SHOPIFY-PARTIAL")."""
    gid, domain = settings.get("id"), settings.get("myshopifyDomain")
    if not isinstance(gid, str) or not isinstance(domain, str):
        raise Retryable("SHOPIFY-PARTIAL", "the shop did not say who it is")
    return ShopIdentity(gid, domain.lower())


# -- coming ----------------------------------------------------------------------------------------------------------


def install(
    ctx: Context, shop: ShopIdentity, keep: Callable[[Transaction, str], None], *, by: str = "the merchant"
) -> str:
    """The app was installed (again) in a shop; returns the tenant's id, which is the old one for a shop we know.

    `keep` writes the grant's tokens for the tenant id it is given, in the same transaction. A new tenant is draft-only
    and documents nothing from before this moment. What follows is `finish`'s, which may be called again at any time.
    """
    now = ctx.clock()

    def write(tx: Transaction) -> str:
        owner = tenants.by_shop_gid(tx, shop.gid) or tenants.by_shop(tx, shop.domain)
        if owner is None:
            id = _free_id(tx, shop.domain)
            owner = tenants.add(
                tx, id=id, shop=shop.domain, shop_gid=shop.gid, cut_off=now, now=now, state="installing"
            )
        elif owner.shop_gid not in (None, shop.gid):
            # The domain was given away: the old shop may come back under its own id, never under this domain.
            raise Rejected("TENANT-SHOP", f"{shop.domain} belongs to another shop's books; free its domain first")
        if owner.shop != shop.domain:
            tenants.move_shop(tx, owner.id, shop.domain)
        if owner.state != "active":
            tenants.set_state(tx, owner.id, "installing", now, "the app was installed")
        tenants.identify(tx, owner.id, shop_gid=shop.gid)
        tenants.set_step(tx, owner.id, "granted")
        keep(tx, owner.id)
        sentence = f"The app was installed in {shop.domain} by {by}."
        audit.append(tx, owner.id, now, actor=by, event="app.installed", subject=shop.domain, sentence=sentence)
        return owner.id

    tenant = ctx.database.system("lifecycle").run(Store.BOOKS, write)
    ctx.forget(tenant)
    return tenant


def _free_id(tx: Transaction, domain: str) -> str:
    """The shop's handle, or the handle with a number where another tenant has it."""
    handle = domain.split(".")[0]
    taken = {item.id for item in tenants.all(tx)}
    return next(name for name in (handle, *(f"{handle}-{n}" for n in range(2, 10_000))) if name not in taken)


def finish(ctx: Context, tenant: str) -> list[str]:
    """Do what an installation still needs, step by step; returns what a person has to bring, nothing when active.

    Raises what a step raises; the steps before it stay done.
    """
    owner = ctx.door(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
    if owner.state not in ("installing", "active"):
        raise Rejected("TENANT-STATE", f"the tenant is {owner.state}; resume it, or install the app again")
    names = [name for name, _ in STEPS]
    done = names.index(owner.installed_step) + 1 if owner.installed_step in names else 0
    for name, step in STEPS[done:]:
        step(ctx, tenant)
        ctx.door(tenant).run(Store.BOOKS, lambda tx, name=name: tenants.set_step(tx, tenant, name))  # type: ignore[misc]
    missing = _missing(ctx, tenant)
    if missing:
        _stay(ctx, tenant, missing)
    elif owner.state != "active":
        _activate(ctx, tenant, "Everything is there: the tenant is active.")
    return missing


def finish_all(ctx: Context) -> int:
    """A tick: go on with installations that stopped between two steps; how many are whole now."""
    last, done = STEPS[-1][0], 0
    for owner in ctx.database.system("lifecycle").read(Store.BOOKS, tenants.all):
        if owner.state != "installing" or owner.installed_step == last:
            continue
        try:
            finish(ctx, owner.id)
            done += 1
        except LadenbuchError as error:
            log.warning("an installation waits", extra={"tenant": owner.id, "code": error.code})
    return done


def _identify(ctx: Context, tenant: str) -> None:
    """Who the shop is, by its own word; its domain may have changed."""
    shop = identity_of(ctx.shopify(tenant).shop_settings())

    def write(tx: Transaction) -> None:
        known = tenants.by_shop_gid(tx, shop.gid)
        if known is not None and known.id != tenant:
            raise Rejected("TENANT-EXISTS", f"this shop's books are kept as {known.id}")
        mine = tenants.get(tx, tenant)
        if mine.shop_gid not in (None, shop.gid):
            raise Rejected("TENANT-SHOP", "the token belongs to another shop")
        tenants.identify(tx, tenant, shop_gid=shop.gid)
        if mine.shop != shop.domain:
            tenants.move_shop(tx, tenant, shop.domain)

    ctx.database.system("lifecycle").run(Store.BOOKS, write)
    ctx.forget(tenant)


def _subscribe(ctx: Context, tenant: str) -> None:
    """Webhooks as they are wanted; nothing where the app's own configuration registers them."""
    ctx.subscribe(tenant)


def _load(ctx: Context, tenant: str) -> None:
    """The tenant's settings can be read; a profile that cannot is better found now than at the first order."""
    if ctx.door(tenant).read(Store.BOOKS, lambda tx: bool(tenants.profiles(tx, tenant))):
        ctx.profiles(tenant)


STEPS: tuple[tuple[str, Callable[[Context, str], None]], ...] = (
    ("granted", lambda ctx, tenant: None),
    ("identified", _identify),
    ("subscribed", _subscribe),
    ("configured", _load),
)


def _missing(ctx: Context, tenant: str) -> list[str]:
    def look(tx: Transaction) -> list[str]:
        wanted = {
            "an accounting profile": bool(tenants.profiles(tx, tenant)),
            "a sevdesk token": ctx.vault.get_secret(tx, tenant, SEVDESK_TOKEN) is not None,
        }
        return [name for name, there in wanted.items() if not there]

    return ctx.door(tenant).read(Store.BOOKS, look)


def _stay(ctx: Context, tenant: str, missing: list[str]) -> None:
    now, reason = ctx.clock(), f"still missing: {', '.join(missing)}"
    ctx.door(tenant).run(Store.BOOKS, lambda tx: tenants.set_state(tx, tenant, "installing", now, reason))


def _activate(ctx: Context, tenant: str, sentence: str, by: str = "lifecycle") -> None:
    """The tenant works again; what waited for it is due at once, and the poll finds what nobody told us meanwhile."""
    now = ctx.clock()

    def write(tx: Transaction) -> None:
        tenants.set_state(tx, tenant, "active", now)
        audit.append(tx, tenant, now, actor=by, event="tenant.active", subject=tenant, sentence=sentence)

    door = ctx.door(tenant)
    door.run(Store.BOOKS, write)
    for code in (*_ABSENT, "STOPPED"):
        door.run(Store.INBOX, lambda tx, code=code: inbox.resume(tx, tenant, code, now))  # type: ignore[misc]
    ctx.wake("poll")
    ctx.wake("dispatch")


# -- resting ---------------------------------------------------------------------------------------------------------


def suspend(ctx: Context, tenant: str, reason: str, *, by: str) -> None:
    """Nothing is read or written for the tenant until `resume`; webhooks are kept, and wait.

    Raises Rejected("TENANT-STATE") for a tenant that is gone.
    """
    now = ctx.clock()

    def write(tx: Transaction) -> None:
        if tenants.get(tx, tenant).state in ("uninstalled", "redacted"):
            raise Rejected("TENANT-STATE", "the app is not installed")
        tenants.set_state(tx, tenant, "suspended", now, reason)
        sentence = f"Tenant {tenant} was suspended: {reason}."
        audit.append(tx, tenant, now, actor=by, event="tenant.suspended", subject=tenant, sentence=sentence)

    ctx.door(tenant).run(Store.BOOKS, write)


def resume(ctx: Context, tenant: str, *, by: str) -> list[str]:
    """Let a suspended tenant work again, if nothing is missing; what is, is returned. Repeatable.

    Raises Rejected("TENANT-STATE") when the app is not installed: then only the merchant can bring it back.
    """
    owner = ctx.door(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
    if owner.state in ("uninstalled", "redacted"):
        raise Rejected("TENANT-STATE", "the app is not installed; the merchant installs it again")
    if owner.state == "active":
        return []
    missing = _missing(ctx, tenant)
    if missing:
        _stay(ctx, tenant, missing)
    else:
        _activate(ctx, tenant, f"Tenant {tenant} works again.", by)
    return missing


# -- going -----------------------------------------------------------------------------------------------------------


def uninstall(ctx: Context, tenant: str, *, by: str) -> bool:
    """The app is gone from the shop: no token stays, no work goes on; False when that was so already.

    The books stay, because the law wants them kept; the merchant's shop/redact, 48 hours later, takes what it may.
    """
    now = ctx.clock()

    def write(tx: Transaction) -> bool:
        owner = tenants.get(tx, tenant)
        if owner.state in ("uninstalled", "redacted"):
            return False
        tenants.set_state(tx, tenant, "uninstalled", now, f"the app was uninstalled by {by}")
        tenants.set_step(tx, tenant, None)
        alone_with_tokens(tx, tenant)  # a refresh that is under way finds them gone, and keeps nothing
        gone = ctx.vault.delete_secrets(tx, tenant, keep=(*_TO_VERIFY, MARKS, suppressions.SECRET))
        grants.forget(tx, tenant)
        events.forget(tx, tenant)
        write_backs.forget(tx, tenant)
        for one in alarms.open_alarms(tx, tenant):  # nobody is to do anything about a tenant that left
            alarms.end_alarm(tx, tenant, one.kind, one.subject, now)
        sentence = f"The app was uninstalled from {owner.shop}; {gone} secrets were deleted, the books are kept."
        audit.append(tx, tenant, now, actor=by, event="app.uninstalled", subject=owner.shop, sentence=sentence)
        return True

    went = ctx.door(tenant).run(Store.BOOKS, write)
    ctx.forget(tenant)
    return went


def _uninstalled(ctx: Context, news: News) -> str:
    """`app/uninstalled`: signed, but not for a shop, and perhaps hours old. The shop's own token knows best."""
    owner = ctx.door(news.tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, news.tenant))
    if owner.state in ("uninstalled", "redacted"):
        return "NOTHING-TO-DO"
    named = news.said.get("myshopify_domain")
    if isinstance(named, str) and named.lower() != owner.shop:
        log.warning("app/uninstalled of another shop", extra={"tenant": news.tenant})
        return "WRONG-SHOP"
    if _still_installed(ctx, news):
        return "STILL-INSTALLED"
    uninstall(ctx, news.tenant, by="Shopify")
    return "UNINSTALLED"


def _still_installed(ctx: Context, news: News) -> bool:
    try:
        ctx.shopify(news.tenant).installation()
    except Rejected as refusal:
        if refusal.code.startswith(_NOT_INSTALLED):
            return False
        log.warning("an uninstall cannot be confirmed", extra={"tenant": news.tenant, "code": refusal.code})
        return False
    except Retryable:
        if ctx.clock() - news.happened_at > _UNCONFIRMED:
            return False  # a merchant who comes back is a click away, a token that stays is not
        raise
    return True


def _shop_updated(ctx: Context, news: News) -> str:
    if ctx.door(news.tenant).read(Store.BOOKS, lambda tx: tenants.standing(tx, news.tenant)) != "active":
        return "NOTHING-TO-DO"
    _identify(ctx, news.tenant)
    return "IDENTIFIED"


#: What is done because of which topic.
HANDLERS: Mapping[str, Handler] = {
    "app/uninstalled": _uninstalled,
    "shop/update": _shop_updated,
}
