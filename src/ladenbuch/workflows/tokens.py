"""One access token per shop, fetched under a lock: look, lock, look again, ask, persist before use.

Here the client-credentials grant of a tenant that brings its own app (24 hours, no refresh token). The other grants
are requested by the app platform and end in the same place: the vault.
"""

from __future__ import annotations

import json
from datetime import timedelta

import httpx2

from ladenbuch import audit, books
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import oauth
from ladenbuch.vault import Secret
from ladenbuch.workflows.context import Context

#: Names of the secrets in the vault.
CLIENT_ID = "shopify.client_id"
CLIENT_SECRET = "shopify.client_secret"
PREVIOUS_CLIENT_SECRET = "shopify.client_secret.previous"
SHOPIFY_TOKEN = "shopify.access_token"
SEVDESK_TOKEN = "sevdesk.token"

_MARGIN = timedelta(minutes=5)
_LEASE = timedelta(seconds=30)


def access_token(
    ctx: Context, http: httpx2.Client, base_url: str, tenant: str, shop: str, *, refused: str | None = None
) -> str:
    """A token that is valid for at least five more minutes; `refused` is one Shopify has just said no to.

    Raises Rejected("SHOPIFY-TOKEN") when there is nothing to get one with, Retryable when Shopify or the lock is busy.
    """
    token = _kept(ctx, tenant, refused)
    if token is not None:
        return token.value
    holder = f"{ctx.executor}:{ctx.new_id()}"
    door = ctx.door(tenant)

    def take(tx: Transaction) -> bool:
        return books.take_lease(tx, tenant, "token", holder, ctx.clock(), ctx.clock() + _LEASE)

    for _ in range(100):
        if door.run(Store.BOOKS, take):
            break
        ctx.sleep(0.05)
        token = _kept(ctx, tenant, refused)
        if token is not None:
            return token.value
    else:
        raise Retryable("LEASE-BUSY", "another run is fetching the token", after=1.0)
    try:
        token = _kept(ctx, tenant, refused)
        return token.value if token is not None else _fetch(ctx, http, base_url, tenant, shop)
    finally:
        door.run(Store.BOOKS, lambda tx: books.give_lease(tx, tenant, "token", holder))


def _kept(ctx: Context, tenant: str, refused: str | None) -> Secret | None:
    found = ctx.door(tenant).read(Store.BOOKS, lambda tx: ctx.vault.get_secret(tx, tenant, SHOPIFY_TOKEN))
    if (
        found is None
        or found.value == refused
        or (found.expires_at is not None and found.expires_at - ctx.clock() < _MARGIN)
    ):
        return None
    return found


def _fetch(ctx: Context, http: httpx2.Client, base_url: str, tenant: str, shop: str) -> str:
    """Ask Shopify for a token with the tenant's client credentials and persist it with its audit row."""
    door = ctx.door(tenant)

    def credentials(tx: Transaction) -> tuple[Secret | None, Secret | None]:
        return ctx.vault.get_secret(tx, tenant, CLIENT_ID), ctx.vault.get_secret(tx, tenant, CLIENT_SECRET)

    client_id, client_secret = door.read(Store.BOOKS, credentials)
    if client_id is None or client_secret is None:
        raise Rejected("SHOPIFY-TOKEN", "no access token and no client credentials are stored for this tenant")
    url = f"{base_url.replace('{shop}', shop).rstrip('/')}/admin/oauth/access_token"
    body = oauth.client_credentials_body(client_id.value, client_secret.value)
    try:
        response = http.post(url, content=json.dumps(body), headers={"Content-Type": "application/json"})
    except httpx2.TransportError as error:
        raise Retryable("SHOPIFY-UNREACHABLE", type(error).__name__) from None
    now = ctx.clock()
    token = oauth.parse_token_response(response.status_code, response.content, now)
    value = token.access_token

    def persist(tx: Transaction) -> None:
        ctx.vault.put_secret(tx, tenant, SHOPIFY_TOKEN, value, now, token.expires_at)
        sentence = f"A new access token for {shop} was stored."
        audit.append(tx, tenant, now, actor="tokens", event="ACCESS_TOKEN_STORED", subject=shop, sentence=sentence)

    door.run(Store.BOOKS, persist)
    return value
