"""A shop lets us in: its token is kept with its tenant, and the installation goes on from there.

granted ──► who is the shop, by its own word ──► lifecycle.install (tenant and token, one transaction) ──► finish
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ladenbuch import audit, grants, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import LadenbuchError, Rejected
from ladenbuch.grants import Grant, Kind
from ladenbuch.shopify.admin import Admin
from ladenbuch.shopify.oauth import Token
from ladenbuch.workflows import lifecycle, scopes
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.tokens import RECONNECT, Tokens

log = logging.getLogger(__name__)


def granted(
    ctx: Context, tokens: Tokens, admin: Callable[[str, Token], Admin], shop: str, kind: Kind, token: Token
) -> str:
    """Keep a token that was just granted; the id of the shop's tenant, a new one for a shop nobody knows.

    `admin` gives a client that uses this token. Raises Rejected("OAUTH-ONLINE") for a person's token, and what asking
    the shop who it is raises; nothing is stored then.
    """
    if token.online:
        raise Rejected("OAUTH-ONLINE", "an online token is for attribution, never for jobs")
    identity = lifecycle.identity_of(admin(shop, token).shop_settings())
    by = f"user:{token.granted_by}" if token.granted_by else "the merchant"
    tenant = lifecycle.install(
        ctx,
        identity,
        lambda tx, tenant: tokens.store(tx, tenant, identity.domain, kind, token, ctx.clock()),
        by=by,
    )
    try:
        lifecycle.finish(ctx, tenant)
    except LadenbuchError as error:  # the token is kept; `tenants finish` goes on where this stopped
        log.warning("an installation is not finished", extra={"tenant": tenant, "code": error.code})
    tokens.due_again(tenant)
    return tenant


def known_shop(ctx: Context, shop: str) -> tuple[tenants.Tenant | None, Grant | None, tuple[str, ...]]:
    """What is known of a shop by its domain: tenant, grant while the app is installed, what its scopes leave off."""

    def read(tx: Transaction) -> tuple[tenants.Tenant | None, Grant | None, tuple[str, ...]]:
        owner = tenants.by_shop(tx, shop)
        if owner is None:
            return None, None, ()
        gone = owner.state in ("uninstalled", "redacted")
        off = tuple(item.sentence for item in scopes.switches(tx, owner.id) if not item.on)
        return owner, None if gone else grants.get(tx, owner.id), off

    return ctx.database.system("lifecycle").read(Store.BOOKS, read)


def person(ctx: Context, shop: str, token: Token) -> None:
    """Note who of the shop it was, by their online token, which is used for nothing else and kept nowhere.

    Raises Rejected("OAUTH-ONLINE") for a token that is nobody's, Rejected("TENANT-UNKNOWN").
    """
    owner, _, _ = known_shop(ctx, shop)
    if owner is None:
        raise Rejected("TENANT-UNKNOWN", f"there is no tenant for {shop}")
    if not token.online:
        raise Rejected("OAUTH-ONLINE", "the token says nothing about a person")
    by, now, sentence = f"user:{token.user_id}", ctx.clock(), f"User {token.user_id} of {shop} said who they are."

    def write(tx: Transaction) -> None:
        audit.append(tx, owner.id, now, actor=by, event="PERSON_KNOWN", subject=shop, sentence=sentence)

    ctx.door(owner.id).run(Store.BOOKS, write)


def regained(ctx: Context, tenant: str) -> None:
    """A token came again without a person: the tenant works again, if that was all that kept it from it."""
    owner = ctx.door(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
    if owner.state == "suspended" and (owner.state_reason or "").startswith(RECONNECT):
        lifecycle.resume(ctx, tenant, by="tokens")
