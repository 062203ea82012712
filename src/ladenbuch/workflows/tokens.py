"""One access token per shop, renewed under a lease: look, take the lease, look again, ask, persist before first use.

    tokens.access_token(tenant, shop)          what every call to a shop is made with
    tokens.store(tx, tenant, shop, kind, …)    a token that was just granted, inside the caller's transaction
    tokens.lose(tenant, shop, reason)          the shop must be connected again, by a person
    tokens.keep_alive()                        a tick: no refresh token dies of being unused

A refresh gives a new pair each time. The refresh token it was asked with stays usable until its successor is used, so a
lost answer is asked for again with the same one; it is also kept beside its successor, for a successor that Shopify
took back because somebody else asked at the same moment (facts 4.4). Only when both are refused is the shop lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ladenbuch import alarms, audit, books, grants, inbox, tenants
from ladenbuch.db import Store, Transaction, one_at_a_time
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.grants import Grant, Kind
from ladenbuch.shopify.oauth import Token, scope_set, with_implied
from ladenbuch.shopify.token_endpoint import App, TokenEndpoint
from ladenbuch.vault import Secret
from ladenbuch.workflows import scopes
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

#: Names of the secrets in the vault.
CLIENT_ID = "shopify.client_id"
CLIENT_SECRET = "shopify.client_secret"
PREVIOUS_CLIENT_SECRET = "shopify.client_secret.previous"
SHOPIFY_TOKEN = "shopify.access_token"
REFRESH_TOKEN = "shopify.refresh_token"
PREVIOUS_REFRESH_TOKEN = "shopify.refresh_token.previous"
SEVDESK_TOKEN = "sevdesk.token"

#: What the reason of a tenant that was suspended for want of a token begins with.
RECONNECT = "reconnect needed"

#: A token is renewed when less than this is left of it.
MARGIN = timedelta(minutes=5)
#: While somebody renews it, or where that fails for now, a token is still used as long as this is left of it.
_SPARE = timedelta(seconds=30)
_LEASE = timedelta(seconds=60)
#: A refresh token nobody used for so long is used, far from the 90 days after which it is dead.
_IDLE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class _Held:
    """What is stored for a tenant at one instant; what renews it only where it was asked for."""

    grant: Grant | None
    access: Secret | None
    refresh: Secret | None = None
    previous: Secret | None = None
    own: App | None = None

    def serves(self, now: datetime, refused: str | None, margin: timedelta) -> bool:
        """Whether the access token is not the refused one and has more than `margin` left."""
        access = self.access
        if access is None or access.value == refused:
            return False
        return access.expires_at is None or access.expires_at - now > margin

    @property
    def kind(self) -> Kind:
        """How a new token is come by; for what was stored before there were grants, by what there is."""
        if self.grant is not None:
            return self.grant.kind
        if self.refresh is not None:
            return "authorization_code"
        return "client_credentials" if self.own is not None else "permanent"


class Tokens:
    """The tokens of all shops. `app` is the operator's own, None where every tenant brings its own.

    `regained` is told of a tenant that got a token again without a person.
    """

    def __init__(
        self,
        ctx: Context,
        endpoint: TokenEndpoint,
        app: App | None = None,
        app_url: str | None = None,
        regained: Callable[[str], object] = lambda tenant: None,
    ) -> None:
        self._ctx = ctx
        self.endpoint = endpoint
        self._app = app
        self._app_url = app_url
        self._regained = regained

    # -- what every call is made with ------------------------------------------------------------------------------

    def access_token(self, tenant: str, shop: str, *, refused: str | None = None) -> str:
        """A token with at least five minutes left, or what is left while another process renews it.

        `refused` is a token Shopify has just said no to. Raises Rejected("SHOPIFY-RECONNECT") when only a person can
        get one again, Rejected("SHOPIFY-TOKEN") when there never was one, Retryable when Shopify or the lease is busy.
        """
        return self._token(tenant, shop, lambda held: held.serves(self._ctx.clock(), refused, MARGIN), refused)

    def migrate(self, tenant: str, shop: str) -> bool:
        """Exchange a token that never expires for an expiring pair; False when the tenant's does expire.

        Irreversible: Shopify takes the old token no more. Where the answer is lost, so is the pair, and the merchant
        connects again. Raises Rejected("SHOPIFY-TOKEN") without a token, "OAUTH-CLIENT" without an app.
        """

        def renew(held: _Held) -> str:
            app = held.own or self._app
            if held.access is None:
                raise Rejected("SHOPIFY-TOKEN", "no access token is stored for this tenant")
            if app is None:
                raise Rejected("OAUTH-CLIENT", "no client id and secret are stored to migrate the token with")
            token, now = self.endpoint.migrate(app, shop, held.access.value), self._ctx.clock()
            write = self._ctx.door(tenant).run
            write(Store.BOOKS, lambda tx: self.store(tx, tenant, shop, "authorization_code", token, now))
            return token.access_token

        held = self._held(tenant)
        if held.access is not None and held.access.expires_at is not None:
            return False
        self._token(tenant, shop, lambda now: now.access is not None and now.access.expires_at is not None, renew=renew)
        self._ctx.forget(tenant)
        return True

    def _token(
        self,
        tenant: str,
        shop: str,
        good: Callable[[_Held], bool],
        refused: str | None = None,
        renew: Callable[[_Held], str] | None = None,
    ) -> str:
        """The token that is stored, if it is `good`, else a new one by `renew`, else as its kind is renewed.

        Where that fails for now, what is left of the old one, except where `renew` was what the caller wanted.
        """
        ctx, door = self._ctx, self._ctx.door(tenant)
        holder = f"{ctx.executor}:{ctx.new_id()}"

        def take(tx: Transaction) -> bool:
            return books.take_lease(tx, tenant, "token", holder, ctx.clock(), ctx.clock() + _LEASE)

        for _ in range(100):
            held = self._held(tenant)
            if _served(held, good):
                return _value(held)
            if door.run(Store.BOOKS, take):
                break
            if renew is None and held.serves(ctx.clock(), refused, _SPARE):
                return _value(held)  # somebody is at it, and this one is still good
            ctx.sleep(0.05)
        else:
            raise Retryable("LEASE-BUSY", "another run is fetching the token", after=1.0)
        try:
            held = self._held(tenant, to_renew=True)
            if _served(held, good):
                return _value(held)
            return self._renew(tenant, shop, held) if renew is None else renew(held)
        except (Rejected, Retryable) as error:
            lasting = renew is None and error.code != "SHOPIFY-RECONNECT"
            if not (lasting and held.serves(ctx.clock(), refused, _SPARE)):
                raise
            log.warning("a token could not be renewed yet", extra={"tenant": tenant, "code": error.code})
            return _value(held)
        finally:
            door.run(Store.BOOKS, lambda tx: books.give_lease(tx, tenant, "token", holder))

    def _held(self, tenant: str, *, to_renew: bool = False) -> _Held:
        vault = self._ctx.vault

        def read(tx: Transaction) -> _Held:
            found = _Held(grants.get(tx, tenant), vault.get_secret(tx, tenant, SHOPIFY_TOKEN))
            if not to_renew:
                return found
            refresh, previous = (vault.get_secret(tx, tenant, name) for name in (REFRESH_TOKEN, PREVIOUS_REFRESH_TOKEN))
            return replace(found, refresh=refresh, previous=previous, own=self._own_app(tx, tenant))

        return self._ctx.door(tenant).read(Store.BOOKS, read)

    # -- renewal ---------------------------------------------------------------------------------------------------

    def _renew(self, tenant: str, shop: str, held: _Held) -> str:
        if held.kind == "client_credentials":
            return self._ask_by_credentials(tenant, shop, held)
        if held.refresh is not None:
            return self._refresh(tenant, shop, held)
        if held.access is None:
            raise Rejected("SHOPIFY-TOKEN", "no access token and no client credentials are stored for this tenant")
        if held.own is not None:
            return self._ask_by_credentials(tenant, shop, held)
        raise self.lose(tenant, shop, "Shopify refuses the access token", held)

    def _refresh(self, tenant: str, shop: str, held: _Held) -> str:
        app = held.own or self._app
        if app is None:
            raise Rejected("OAUTH-CLIENT", "no client id and secret are stored to refresh the token with")
        for secret in (held.refresh, held.previous):
            if secret is None:
                continue
            try:
                token = self.endpoint.refresh(app, shop, secret.value)
            except Rejected as refusal:
                if refusal.code != "OAUTH-GRANT":
                    raise
                continue
            return self._persist(tenant, shop, held, token, secret.value)
        raise self.lose(tenant, shop, "Shopify takes the refresh token no more", held)

    def _ask_by_credentials(self, tenant: str, shop: str, held: _Held) -> str:
        app = held.own or self._app
        if app is None:
            raise Rejected("OAUTH-CLIENT", "no client id and secret are stored to ask for a token with")
        try:
            token = self.endpoint.client_credentials(app, shop)
        except Rejected as refusal:
            if refusal.code == "OAUTH-SHOP-NOT-PERMITTED":
                raise self.lose(tenant, shop, refusal.message, held) from None
            raise
        known = held.grant
        if known is not None and known.kind == "client_credentials" and known.needs_reconnect is None:
            return self._persist(tenant, shop, held, token, None)
        now = self._ctx.clock()
        write = self._ctx.door(tenant).run
        write(Store.BOOKS, lambda tx: self.store(tx, tenant, shop, "client_credentials", token, now))
        return token.access_token

    def _persist(self, tenant: str, shop: str, held: _Held, token: Token, used: str | None) -> str:
        """Write what came, with its audit row, before anybody uses it; the pair of whoever was quicker is kept."""
        vault, now = self._ctx.vault, self._ctx.clock()

        def write(tx: Transaction) -> str:
            alone_with_tokens(tx, tenant)
            stored = vault.get_secret(tx, tenant, SHOPIFY_TOKEN)
            refresh = vault.get_secret(tx, tenant, REFRESH_TOKEN)
            if (_text(stored), _text(refresh)) != (_text(held.access), _text(held.refresh)):
                if stored is None:
                    raise Rejected("SHOPIFY-TOKEN", "the app was uninstalled while its token was renewed")
                return stored.value  # our lease ran out, and the shop has been given another token meanwhile
            vault.put_secret(tx, tenant, SHOPIFY_TOKEN, token.access_token, now, token.expires_at)
            if token.refresh_token is not None:
                vault.put_secret(tx, tenant, REFRESH_TOKEN, token.refresh_token, now, token.refresh_expires_at)
                if used is not None:
                    vault.put_secret(tx, tenant, PREVIOUS_REFRESH_TOKEN, used, now)
            grants.refreshed(tx, tenant, now, expires_at=token.expires_at, refresh_expires_at=token.refresh_expires_at)
            found_again(tx, tenant, now)
            if token.scope:
                scopes.note(tx, tenant, shop, scope_set(token.scope), now)
            _say(tx, tenant, shop, now, "ACCESS_TOKEN_STORED", f"A new access token for {shop} was stored.")
            return token.access_token

        return self._ctx.door(tenant).run(Store.BOOKS, write)

    # -- granted, lost, gone ---------------------------------------------------------------------------------------

    def store(self, tx: Transaction, tenant: str, shop: str, kind: Kind, token: Token, now: datetime) -> None:
        """Keep a token that was just granted, with its grant and its audit row. The tenant must exist.

        Raises Rejected("OAUTH-ONLINE") for a person's token: it tells who is acting, and is gone with their session.
        """
        if token.online:
            raise Rejected("OAUTH-ONLINE", "an online token is for attribution, never for jobs")
        alone_with_tokens(tx, tenant)
        vault = self._ctx.vault
        for name in (REFRESH_TOKEN, PREVIOUS_REFRESH_TOKEN):
            vault.delete_secret(tx, tenant, name)
        vault.put_secret(tx, tenant, SHOPIFY_TOKEN, token.access_token, now, token.expires_at)
        if token.refresh_token is not None:
            vault.put_secret(tx, tenant, REFRESH_TOKEN, token.refresh_token, now, token.refresh_expires_at)
        granted = with_implied(scope_set(token.scope))
        grants.put(
            tx,
            tenant,
            kind,
            granted,
            now,
            expires_at=token.expires_at,
            refresh_expires_at=token.refresh_expires_at,
        )
        found_again(tx, tenant, now)
        by = f"user:{token.granted_by}" if token.granted_by else "tokens"
        detail = {"kind": kind, "scopes": sorted(granted)} | ({"network": token.origin} if token.origin else {})
        sentence = f"{shop} granted access ({kind}); its access token was stored."
        audit.append(
            tx, tenant, now, actor=by, event="ACCESS_TOKEN_STORED", subject=shop, sentence=sentence, detail=detail
        )

    def due_again(self, tenant: str) -> None:
        """Make due what could not be read for want of a token; after `store`, in a transaction of the other store."""
        now = self._ctx.clock()

        def due(tx: Transaction) -> None:
            for code in ("SHOPIFY-RECONNECT", "SHOPIFY-TOKEN"):
                inbox.resume(tx, tenant, code, now)

        self._ctx.door(tenant).run(Store.INBOX, due)
        self._ctx.wake("dispatch")

    def lose(self, tenant: str, shop: str, reason: str, held: _Held | None = None) -> Rejected | Retryable:
        """Only a person can connect the shop again: mark it, suspend the tenant, say so once; what to raise comes back.

        With `held`, only if that is still what is stored: another process may have been luckier.
        """
        vault, now = self._ctx.vault, self._ctx.clock()
        where = f", or {reconnect_link(self._app_url, shop)}" if self._app_url else ""
        told = f"{RECONNECT}: {reason}. Open the app in the admin of {shop}{where}"

        def write(tx: Transaction) -> bool:
            alone_with_tokens(tx, tenant)
            if held is not None:
                stored = (_text(vault.get_secret(tx, tenant, name)) for name in (SHOPIFY_TOKEN, REFRESH_TOKEN))
                if tuple(stored) != (_text(held.access), _text(held.refresh)):
                    return False
            if grants.get(tx, tenant) is None:
                kind = "permanent" if held is None else held.kind
                grants.put(tx, tenant, kind, (), now)
            if grants.lose(tx, tenant, reason, now):
                alarms.raise_alarm(tx, tenant, "TOKEN-REFUSED", "shopify", now, {"service": "Shopify"})
                if tenants.standing(tx, tenant) in ("active", "installing"):
                    tenants.set_state(tx, tenant, "suspended", now, told)
                _say(tx, tenant, shop, now, "RECONNECT_NEEDED", f"{told}.")
            return True

        if self._ctx.door(tenant).run(Store.BOOKS, write):
            log.error("a shop must be connected again", extra={"tenant": tenant})
            return Rejected("SHOPIFY-RECONNECT", told)
        return Retryable("LEASE-BUSY", "another run has just fetched a token", after=1.0)

    # -- apps ------------------------------------------------------------------------------------------------------

    def _own_app(self, tx: Transaction, tenant: str) -> App | None:
        client_id, *secrets = (
            self._ctx.vault.get_secret(tx, tenant, name) for name in (CLIENT_ID, CLIENT_SECRET, PREVIOUS_CLIENT_SECRET)
        )
        if client_id is None or secrets[0] is None:
            return None
        return App(client_id.value, tuple(secret.value for secret in secrets if secret is not None))

    def app_of(self, tx: Transaction, tenant: str) -> App | None:
        """The app the tenant installed: its own, else the operator's; None when there is neither."""
        return self._own_app(tx, tenant) or self._app

    def app_for(self, shop: str) -> App | None:
        """The same by the domain of a shop, which need not be anybody's yet."""

        def read(tx: Transaction) -> App | None:
            owner = tenants.by_shop(tx, shop)
            return self._app if owner is None else self.app_of(tx, owner.id)

        return self._ctx.database.system("lifecycle").read(Store.BOOKS, read)

    # -- ticks -----------------------------------------------------------------------------------------------------

    def keep_alive(self) -> int:
        """Refresh what nobody used for a week, long before its 90 days are over; how many shops got a token.

        A shop of one's own organisation that was refused is asked for again: no person has to agree there.
        """
        before = self._ctx.clock() - _IDLE

        def read(tx: Transaction) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
            idle, lost = grants.idle(tx, before), grants.lost(tx, "client_credentials")
            return [_named(tx, item) for item in idle], [_named(tx, item) for item in lost]

        def young(held: _Held) -> bool:
            return held.grant is not None and held.grant.refreshed_at >= before and held.access is not None

        def once_more(tenant: str, shop: str) -> None:
            self._ask_by_credentials(tenant, shop, self._held(tenant, to_renew=True))
            self._regained(tenant)
            self.due_again(tenant)

        idle, lost = self._ctx.database.system("keep alive").read(Store.BOOKS, read)
        return sum(self._tried(*item, lambda t, s: self._token(t, s, young)) for item in idle) + sum(
            self._tried(*item, once_more) for item in lost
        )

    def _tried(self, tenant: str, shop: str, renew: Callable[[str, str], object]) -> bool:
        try:
            renew(tenant, shop)
        except (Rejected, Retryable) as error:  # said by `lose`, or tried again by the next tick
            log.warning("a token could not be kept alive", extra={"tenant": tenant, "code": error.code})
            return False
        return True


def reconnect_link(app_url: str | None, shop: str, optional: str | None = None) -> str:
    """Where a person connects a shop again, or grants an optional scope: our page, else the shop's list of its apps."""
    if app_url is None:
        return f"https://{shop}/admin/settings/apps"
    return f"{app_url}/reconnect?shop={shop}" + (f"&optional={optional}" if optional else "")


def found_again(tx: Transaction, tenant: str, now: datetime) -> None:
    """The shop's token is no cause for alarm (any more)."""
    alarms.end_alarm(tx, tenant, "TOKEN-REFUSED", "shopify", now)


def alone_with_tokens(tx: Transaction, tenant: str) -> None:
    """From here to the end of the transaction, nobody else writes or deletes the tenant's tokens."""
    one_at_a_time(tx, f"tokens of {tenant}")


def _named(tx: Transaction, grant: Grant) -> tuple[str, str]:
    return grant.tenant, tenants.get(tx, grant.tenant).shop


def _served(held: _Held, good: Callable[[_Held], bool]) -> bool:
    """Whether nothing has to be asked. Raises Rejected("SHOPIFY-RECONNECT") where asking is of no use."""
    if held.grant is not None and held.grant.needs_reconnect is not None:
        raise Rejected("SHOPIFY-RECONNECT", held.grant.needs_reconnect)
    return good(held)


def _value(held: _Held) -> str:
    assert held.access is not None
    return held.access.value


def _text(secret: Secret | None) -> str | None:
    return None if secret is None else secret.value


def _say(tx: Transaction, tenant: str, shop: str, now: datetime, event: str, sentence: str) -> None:
    audit.append(tx, tenant, now, actor="tokens", event=event, subject=shop, sentence=sentence)
