"""A shop lets us in: its token is kept with its tenant, and the installation goes on from there.

granted ──► who is the shop, by its own word ──► lifecycle.install (tenant and token, one transaction) ──► finish
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ladenbuch import tenants
from ladenbuch.db import Store
from ladenbuch.errors import LadenbuchError, Rejected
from ladenbuch.grants import Kind
from ladenbuch.shopify.admin import Admin
from ladenbuch.shopify.oauth import Token
from ladenbuch.workflows import lifecycle
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


def regained(ctx: Context, tenant: str) -> None:
    """A token came again without a person: the tenant works again, if that was all that kept it from it."""
    owner = ctx.door(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
    if owner.state == "suspended" and (owner.state_reason or "").startswith(RECONNECT):
        lifecycle.resume(ctx, tenant, by="tokens")
