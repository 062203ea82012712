"""The composition root: builds the Ladenbuch object that web and cli are given. Nothing else knows how things fit.

The stores are opened at once; clients, workflows and the context are imported and made by what first uses them, so that
`ladenbuch stop` does not wait for an HTTP client, a query parser and a template engine it has no use for.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from ladenbuch import tenants
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.errors import Rejected, Retryable, UsageError
from ladenbuch.settings import Settings
from ladenbuch.vault import KeyRing, Vault

if TYPE_CHECKING:
    import httpx2

    from ladenbuch.engine.port import Engine
    from ladenbuch.engine.reaper import Reaper, Taken
    from ladenbuch.engine.ticker import Ticker
    from ladenbuch.grants import Kind
    from ladenbuch.mail.transport import Relays
    from ladenbuch.receivers import Receivers
    from ladenbuch.sevdesk.client import Sevdesk
    from ladenbuch.shopify.admin import Admin
    from ladenbuch.shopify.oauth import Token
    from ladenbuch.shopify.token_endpoint import App
    from ladenbuch.telemetry import Metrics
    from ladenbuch.telemetry.calls import Calls
    from ladenbuch.telemetry.clocks import Clocks
    from ladenbuch.telemetry.work import Work
    from ladenbuch.vies import VatIds
    from ladenbuch.web.health import Health
    from ladenbuch.web.ingest import TenantRef
    from ladenbuch.web.install import Door
    from ladenbuch.web.mail_feedback import Door as FeedbackDoor
    from ladenbuch.workflows.backfill import Mover
    from ladenbuch.workflows.billing import Billing
    from ladenbuch.workflows.context import Context
    from ladenbuch.workflows.limits import Limits
    from ladenbuch.workflows.tokens import Tokens

log = logging.getLogger(__name__)

#: Shops that are polled at the same time.
_SIDE_BY_SIDE = 8
#: How long a secret read from the vault is used before it is read again.
_SECRET_AGE = timedelta(seconds=5)
#: Seconds between two firings of each tick; `poll` is a setting. A wake makes them fire at once.
TICKS = {
    "dispatch": 0.25,
    "deliver": 0.5,
    "digest": 60.0,
    "sweep": 10.0,
    "reap": 2.0,
    "budgets": 0.5,
    "install": 20.0,
    "tokens": 3600.0,
    "webhooks": 60.0,
    "silence": 20.0,
    "clock": 15.0,
    "services": 15.0,
    "retention": 3600.0,
    "billing": 600.0,
    "checkup": 600.0,
    "backfill": 30.0,
    "reconcile": 30.0,
    "bank": 60.0,
    "payouts": 60.0,
    "delivery": 600.0,
    "events": 15.0,
    "write_back": 15.0,
    "overdue": 900.0,
}


_DAMAGED = (
    "The database is damaged, so nothing is started: what it says may be wrong. Keep the files as they are, and "
    "restore the newest backup (docs/how-to/back-up-and-restore.md); what was posted since is found again by itself."
)
#: For how many looks in a row a neighbour must have been silent before its work is taken over: 8 seconds.
_LOOKS = 4


def utc_now() -> datetime:
    """The only real clock of the product."""
    return datetime.now(UTC)


def app_of(settings: Settings) -> App | None:
    """The operator's Shopify app, None where every tenant brings its own."""
    from ladenbuch.shopify.token_endpoint import App

    if settings.shopify_client_id is None or settings.shopify_client_secret is None:
        return None
    secrets = (settings.shopify_client_secret, settings.shopify_client_secret_previous)
    return App(settings.shopify_client_id, tuple(one.get_secret_value() for one in secrets if one is not None))


def side_by_side(jobs: Sequence[Callable[[], int]]) -> list[int]:
    """Jobs in a few threads: one shop that does not answer keeps none of the others waiting."""
    from concurrent.futures import ThreadPoolExecutor

    if len(jobs) < 2:
        return [job() for job in jobs]
    with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(jobs)), "spread") as threads:
        return list(threads.map(lambda job: job(), jobs))


def _expects_webhooks(settings: Settings) -> bool:
    """Whether every change of an order is to be told: somebody knows our address, and no filter keeps any away."""
    return (settings.webhooks_url or settings.app_url) is not None and not settings.orders_filter


def _plan(text: str) -> tuple[str, str, str]:
    return text.partition("=")


class Ladenbuch:
    """Everything, put together. `open` it, use `context`, and `close` it; `serve_forever` belongs to the cli."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        vault: Vault,
        http: httpx2.Client | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        chance: Callable[[], float] = random.random,
        relays: Relays | None = None,
        receivers: Receivers | None = None,
        ticks: Mapping[str, float] | None = None,
        count: Callable[[], float] | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.vault = vault
        self.engine: Engine | None = None
        self.stand: Path | None = None  # where it is noted how far the books are, beside stores that are files
        self._reaper: Reaper | None = None
        self._given_http = http
        self._count = count
        self._ticks = dict(TICKS) | {"poll": settings.poll_seconds} | dict(ticks or {})
        self._clock = clock
        self._sleep = sleep
        self._new_id = new_id
        self._chance = chance
        self._relays = relays
        self._given_receivers = receivers
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._admins: dict[str, Admin] = {}
        self._sevdesks: dict[str, Sevdesk] = {}
        self._noticed: set[tuple[str, str]] = set()
        self._secrets: dict[tuple[str, str], tuple[datetime, str]] = {}

    @property
    def api_version(self) -> str:
        """The version of Shopify's API that is asked for and expected of webhooks."""
        from ladenbuch.shopify.version import API_VERSION

        return self.settings.shopify_api_version or API_VERSION

    @cached_property
    def metrics(self) -> Metrics:
        """The metrics of this process."""
        from ladenbuch.telemetry import Metrics

        return Metrics()

    @cached_property
    def worked(self) -> Work:
        """What this process did last."""
        from ladenbuch.telemetry.work import Work

        return Work(self.metrics)

    def health(self, role: str) -> Health:
        """What /readyz asks; from now on /metrics reads its gauges from where the truth is."""
        from ladenbuch.web.gauges import Gauges
        from ladenbuch.web.health import Health

        settings, clock, real = self.settings, self.now, self._clock is utc_now
        made = Health(
            self.database,
            clock,
            self.worked,
            self.calls,
            role=role,
            process=settings.executor_id,
            stall=settings.stall_seconds,
            circuits=self.limits.circuits,
            clock_off=self.clocks.off,
            budgets=self.budgets,
            in_thread=real,
        )
        self.metrics.read_gauges = Gauges(
            self.database,
            clock,
            self.worked,
            self.calls,
            made,
            self.budgets,
            circuits=self.limits.circuits,
            in_thread=real,
            telling=self.feedback_keys,
        )
        return made

    def budgets(self) -> dict[str, list[float]]:
        """The used share (0 to 1) of the budget of each tenant we have talked for, by service."""
        return self.limits.used()

    @cached_property
    def limits(self) -> Limits:
        """Budgets and breakers of this process, shared with others on PostgreSQL."""
        from ladenbuch.workflows.limits import Limits

        holder = f"{self.settings.executor_id}:{uuid.uuid4().hex}"
        rate = self.settings.sevdesk_rate
        return Limits(self.database, self.now, self._sleep, holder, sevdesk_rate=rate)

    @cached_property
    def calls(self) -> Calls:
        """Where every call to the outside is counted and timed."""
        from ladenbuch.telemetry.calls import Calls

        settings = self.settings
        addresses = {settings.shopify_url: "shopify", settings.sevdesk_url: "sevdesk", settings.partner_url: "partner"}
        if settings.vies_url:
            addresses[settings.vies_url] = "vies"
        return Calls(self.metrics, self.now, addresses, self.clocks)

    def now(self) -> datetime:
        """The time everything here goes by: our clock's, or everybody else's while ours is off."""
        return self.clocks.now()

    @cached_property
    def clocks(self) -> Clocks:
        """What the answers of others say about our clock."""
        from ladenbuch.telemetry.clocks import Clocks, steady

        real = self._clock is utc_now
        return Clocks(self._clock, self._count or (steady if real else lambda: self._clock().timestamp()))

    @cached_property
    def context(self) -> Context:
        """What workflows are given."""
        from ladenbuch.domain.retry import LADDERS
        from ladenbuch.domain.silence import Thresholds
        from ladenbuch.vat_rates import rate_table
        from ladenbuch.workflows.context import Context, Keeping, Timing, one_by_one

        settings = self.settings
        return Context(
            database=self.database,
            vault=self.vault,
            shopify=self.shopify,
            sevdesk=self.sevdesk,
            relays=self._relays or self._make_relays(),
            clock=self.now,
            sleep=self._sleep,
            new_id=self._new_id,
            chance=self._chance,
            executor=settings.executor_id,
            timing=Timing(
                client_timeout=settings.client_timeout_seconds,
                ambiguous_wait=settings.ambiguous_wait_seconds,
                ladders={
                    topic: replace(ladder, steps=tuple(settings.ladder_seconds)) for topic, ladder in LADDERS.items()
                },
                poll_overlap=settings.poll_overlap_seconds,
                poll_seconds=settings.poll_seconds,
            ),
            keeping=Keeping(settings.retention_years, settings.inbox_days),
            mail_from=settings.mail_from or "buchhaltung@example.com",
            telling=frozenset(self.feedback_keys),
            receivers=self.receivers,
            document_link=settings.sevdesk_link,
            wake=self._wake,
            forget=self.forget,
            work=self.worked,
            subscribe=self.subscribe,
            rates=rate_table(),
            hears=_expects_webhooks(settings),
            begun=self.now(),
            thresholds=Thresholds(untried=timedelta(seconds=settings.alarm_seconds)),
            spread=side_by_side if self._clock is utc_now else one_by_one,
            api_version=self.api_version,
            clock_off=self.clocks.off,
            vat_ids=(lambda vat_id, now: self._vat_ids.check(vat_id, now)) if settings.vies_url else None,
        )

    def _make_relays(self) -> Relays:
        from ladenbuch.mail.transport import Relays

        urls = [url.get_secret_value() for url in self.settings.smtp_urls] or ["smtp://127.0.0.1:25"]
        speaks_http = any(not url.startswith(("smtp://", "smtps://")) for url in urls)
        return Relays(
            urls,
            track=self.calls.of("mail"),
            http=self._http if speaks_http else None,
            turns=self.limits.relay,
            clock=self.now,
            sleep=self._sleep,
        )

    @cached_property
    def receivers(self) -> Receivers:
        """The one way out to the receivers of events."""
        from ladenbuch.receivers import Receivers

        switch, track = self.settings.events_loopback, self.calls.of("other")
        return self._given_receivers or Receivers(loopback=switch, clock=self.now, track=track)

    @cached_property
    def _vat_ids(self) -> VatIds:
        from ladenbuch.vies import VatIds

        requester, track = self.settings.vies_requester, self.calls.of("vies")
        return VatIds(self.settings.vies_url, self._http, clock=self.now, requester=requester, track=track)

    @cached_property
    def _http(self) -> httpx2.Client:
        if self._given_http is not None:
            return self.calls.watch(self._given_http)
        import httpx2

        from ladenbuch.telemetry.bounded import bounded
        from ladenbuch.telemetry.calls import left

        timeout = self.settings.client_timeout_seconds
        made = httpx2.Client(
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 5.0)),
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=64, max_keepalive_connections=32),
            trust_env=False,
        )
        return self.calls.watch(bounded(made, left))

    @classmethod
    def open(cls, settings: Settings, *, look: float | None = None) -> Ladenbuch:
        """Open the stores (migrated) and the vault. Raises UsageError for wrong settings, and UsageError("DB-CORRUPT")
        where the files are looked at for `look` seconds each and one is damaged."""
        settings.require("keys")
        assert settings.keys is not None
        url = settings.database_url.get_secret_value() if settings.database_url else None
        keys = KeyRing.parse(settings.keys.get_secret_value())
        database = Database.open(data_dir=None if url else Path(settings.data_dir), url=url)
        damaged = database.damaged(look) if look is not None else []
        if damaged:
            raise UsageError("DB-CORRUPT", f"{_DAMAGED} Found: {'; '.join(damaged[:3])}")
        database.migrate()
        house = cls(settings, database, Vault(keys, database))
        house.stand = None if url else Path(settings.data_dir) / "stand.json"
        return house

    def close(self) -> None:
        """End runs, then connections."""
        if self.engine is not None:
            self.engine.close()
            if self._reaper is not None and not self.engine.running():
                self._reaper.end()
        if "limits" in vars(self):
            self.limits.close()
        if "_http" in vars(self):  # made only when somebody called out
            self._http.close()
        self.database.close()

    # -- clients per tenant ----------------------------------------------------------------------------------------

    def shopify(self, tenant: str) -> Admin:
        """The Admin client of a tenant; its cost budget is shared by all threads."""
        with self._lock:
            known = self._admins.get(tenant)
        if known is not None:
            return known
        from ladenbuch.shopify.admin import Admin

        shop = self.database.tenant(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant)).shop
        made = Admin(
            shop,
            self.settings.shopify_url,
            lambda: self._shopify_token(tenant, shop),
            self._http,
            sleep=self._sleep,
            clock=self.now,
            chance=self._chance,
            budget=self.limits.shopify(shop),
            breaker=self.limits.shopify_breaker(tenant),
            track=self.calls.of("shopify"),
            refresh=lambda refused: self._shopify_token(tenant, shop, refused),
            on_notice=self._notice,
            version=self.api_version,
        )
        with self._lock:
            return self._admins.setdefault(tenant, made)

    def subscribe(self, tenant: str) -> None:
        """Register the tenant's webhooks, where the settings say where we are. What Shopify does not allow is logged:
        the poll finds every order without them."""
        from ladenbuch.workflows.subscriptions import ensure, place

        here = place(self.settings)
        if here is None:
            return
        try:
            report = ensure(self.context, tenant, here)
        except Rejected as error:
            if error.code not in ("SUBSCRIPTION", "SHOPIFY-SCOPE"):
                raise
            log.warning("webhooks of %s could not be registered: %s", tenant, error)
            return
        for change, why in report.refused:
            log.warning("webhooks of %s: %s was refused: %s", tenant, change.topic, why)

    def sevdesk(self, tenant: str) -> Sevdesk:
        """The sevdesk client of a tenant, paced."""
        with self._lock:
            known = self._sevdesks.get(tenant)
        if known is not None:
            return known
        from ladenbuch.sevdesk.client import Sevdesk
        from ladenbuch.workflows.tokens import SEVDESK_TOKEN

        pace = self.limits.sevdesk(self._sevdesk_account(tenant))

        def on_call(operation: str, status: int, seconds: float) -> None:
            if status == 429:
                pace.slow_down()

        made = Sevdesk(
            self.settings.sevdesk_url,
            lambda: self._secret(tenant, SEVDESK_TOKEN),
            self._http,
            clock=self.now,
            sleep=self._sleep,
            budget=pace,
            breaker=lambda token: self.limits.sevdesk_breaker(tenant, token),
            on_call=on_call,
            track=self.calls.of("sevdesk"),
        )
        with self._lock:
            return self._sevdesks.setdefault(tenant, made)

    def sevdesk_with(self, token: str) -> Sevdesk:
        """A client for a token that is only being tried."""
        from ladenbuch.sevdesk.client import Sevdesk

        return Sevdesk(
            self.settings.sevdesk_url,
            lambda: token,
            self._http,
            clock=self.now,
            sleep=self._sleep,
            track=self.calls.of("sevdesk"),
        )

    def _sevdesk_account(self, tenant: str) -> str:
        """What names the account: its own reference where it is known, else the token, as a hash."""
        from ladenbuch.budgets import key_of
        from ladenbuch.workflows.tokens import SEVDESK_TOKEN

        owner = self.database.tenant(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
        if owner.sevdesk_ref is not None:
            return f"account {owner.sevdesk_ref}"
        try:
            return key_of("sevdesk token", self._secret(tenant, SEVDESK_TOKEN))
        except Rejected:
            return f"tenant {tenant}"

    def tenant_of(self, shop: str) -> TenantRef | None:
        """Whose shop a domain is, with its client secrets (current and previous), for the ingest."""
        from ladenbuch import erasure
        from ladenbuch.web.ingest import TenantRef
        from ladenbuch.workflows.tokens import CLIENT_SECRET, PREVIOUS_CLIENT_SECRET

        def read(tx: Transaction) -> TenantRef | None:
            owner = tenants.by_shop(tx, shop)
            if owner is None:
                return TenantRef("", gone=True) if erasure.shop_gone(tx, shop) else None
            found = (self.vault.get_secret(tx, owner.id, name) for name in (CLIENT_SECRET, PREVIOUS_CLIENT_SECRET))
            values = tuple(secret.value for secret in found if secret is not None)
            return TenantRef(owner.id, values, gone=owner.state == "redacted")

        return self.database.system("webhook").read(Store.BOOKS, read)

    def _secret(self, tenant: str, name: str) -> str:
        now = self.now()
        kept = self._secrets.get((tenant, name))
        if kept is not None and now - kept[0] < _SECRET_AGE:
            return kept[1]
        door = self.database.tenant(tenant)
        secret = door.read(Store.BOOKS, lambda tx: self.vault.get_secret(tx, tenant, name))
        if secret is None:
            raise Rejected("SEVDESK-TOKEN", "no sevdesk token is stored for this tenant")
        self._secrets[tenant, name] = (now, secret.value)
        return secret.value

    @cached_property
    def billing(self) -> Billing | None:
        """Who has a subscription of the app; None unless the settings name a Partner API client."""
        from ladenbuch.domain.entitlement import Terms
        from ladenbuch.shopify.partner import Partner
        from ladenbuch.workflows.billing import Billing

        settings = self.settings
        token, organisation = settings.partner_token, settings.partner_organisation
        if token is None or organisation is None or settings.partner_app is None:
            return None
        plans = {name: int(number) if number else None for name, _, number in map(_plan, settings.billing_plans)}
        partner = Partner(
            settings.partner_url,
            organisation,
            token.get_secret_value,
            self._http,
            pace=self.limits.partner(organisation),
            track=self.calls.of("partner"),
        )
        terms = Terms(settings.billing_trial_days, settings.billing_grace_days, plans)
        return Billing(self.context, partner, f"gid://shopify/App/{settings.partner_app}", terms)

    @cached_property
    def tokens(self) -> Tokens:
        """The access tokens of all shops."""
        from ladenbuch.shopify.token_endpoint import TokenEndpoint
        from ladenbuch.workflows.granting import regained
        from ladenbuch.workflows.tokens import Tokens

        ctx, settings = self.context, self.settings
        endpoint = TokenEndpoint(settings.shopify_url, self._http, self.now, self.calls.of("shopify"))
        return Tokens(ctx, endpoint, app_of(settings), settings.app_url, lambda tenant: regained(ctx, tenant))

    def granted(self, shop: str, kind: Kind, token: Token) -> str:
        """A shop just let us in: its token is kept, its installation goes on; the id of its tenant. See `granting`."""
        from ladenbuch.workflows.granting import granted

        return granted(self.context, self.tokens, self._admin_with, shop, kind, token)

    @property
    def feedback_keys(self) -> dict[str, tuple[str, ...]]:
        """What verifies the word of each mail provider, of those that were given any: their words reach us."""
        settings = self.settings
        given = {
            "sendgrid": tuple(key.get_secret_value() for key in settings.feedback_sendgrid),
            "mailgun": tuple(key.get_secret_value() for key in settings.feedback_mailgun),
            "ses": settings.feedback_ses,
            "postmark": tuple(key.get_secret_value() for key in settings.feedback_postmark),
        }
        return {name: keys for name, keys in given.items() if keys}

    def feedback_door(self) -> FeedbackDoor:
        """What the routes for mail providers are given."""
        from functools import partial

        from ladenbuch.web.mail_feedback import Door as FeedbackDoor
        from ladenbuch.workflows import feedback

        ctx = self.context
        return FeedbackDoor(
            keys=self.feedback_keys,
            use=partial(feedback.use, ctx),
            take=partial(feedback.take, ctx),
            fetch=self._fetch,
            clock=self.now,
            metrics=self.metrics,
        )

    def _fetch(self, address: str) -> bytes:
        """What stands at an address of Amazon's. Raises Retryable("FEEDBACK-FETCH")."""
        import httpx2

        try:
            answer = self._http.get(address, follow_redirects=False)
        except httpx2.HTTPError as error:
            raise Retryable("FEEDBACK-FETCH", f"Amazon cannot be asked: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise Retryable("FEEDBACK-FETCH", f"Amazon answered {answer.status_code}")
        return answer.content

    def install_door(self, state: Callable[[], str] = lambda: token_hex(32)) -> Door | None:
        """What the routes of an installation are given; None where no address is set that Shopify could send to."""
        if self.settings.app_url is None:
            return None
        from ladenbuch import grants
        from ladenbuch.shopify.oauth import STATE_LIFE
        from ladenbuch.web.install import Door, Standing
        from ladenbuch.workflows import granting

        ctx = self.context

        def standing(shop: str) -> Standing:
            owner, grant, off = granting.known_shop(ctx, shop)
            if owner is None or grant is None:
                return Standing(None if owner is None else owner.id)
            return Standing(owner.id, grant.needs_reconnect is None, grant.scopes, off)

        def use_state(used: str) -> bool:
            now = self.now()
            until = now + timedelta(seconds=STATE_LIFE)
            write = self.database.system("lifecycle").run
            return write(Store.BOOKS, lambda tx: grants.use_state(tx, used, now, until))

        return Door(
            app_url=self.settings.app_url,
            endpoint=self.tokens.endpoint,
            app_for=self.tokens.app_for,
            standing=standing,
            granted=self.granted,
            person=lambda shop, token: granting.person(ctx, shop, token),
            use_state=use_state,
            clock=self.now,
            state=state,
            scopes=self.settings.scopes,
            optional_scopes=self.settings.optional_scopes,
        )

    def _admin_with(self, shop: str, token: Token) -> Admin:
        """A client for one look at a shop that may be nobody's yet."""
        from ladenbuch.shopify.admin import Admin

        return Admin(
            shop,
            self.settings.shopify_url,
            lambda: token.access_token,
            self._http,
            sleep=self._sleep,
            clock=self.now,
            track=self.calls.of("shopify"),
            on_notice=self._notice,
            version=self.api_version,
        )

    def _shopify_token(self, tenant: str, shop: str, refused: str | None = None) -> str:
        """The shop's access token; `refused` is one that was just answered with 401."""
        from ladenbuch.workflows.tokens import SHOPIFY_TOKEN

        now = self.now()
        kept = self._secrets.get((tenant, SHOPIFY_TOKEN))
        if kept is not None and kept[1] != refused and now - kept[0] < _SECRET_AGE:
            return kept[1]
        value = self.tokens.access_token(tenant, shop, refused=refused)
        self._secrets[tenant, SHOPIFY_TOKEN] = (now, value)
        return value

    def forget(self, tenant: str) -> None:
        """Drop what is remembered of a tenant's shop and secrets; the next use reads them again."""
        with self._lock:
            self._admins.pop(tenant, None)
            self._sevdesks.pop(tenant, None)
        if "limits" in vars(self):
            self.limits.forget(tenant)
        for kept in [kept for kept in self._secrets if kept[0] == tenant]:
            self._secrets.pop(kept, None)

    def _fallen(self) -> dict[str, str | None]:
        """By tenant we have talked to: the version that answered where it was not the one asked for, else None."""
        with self._lock:
            known = dict(self._admins)
        found = {tenant: admin.answered_by for tenant, admin in known.items() if admin.answered_by is not None}
        return {tenant: None if version == self.api_version else version for tenant, version in found.items()}

    def _notice(self, kind: str, text: str) -> None:
        """Shopify fell forward to another version, or names deprecated fields: said once per kind and text."""
        if (kind, text) not in self._noticed:
            self._noticed.add((kind, text))
            log.warning("shopify: %s: %s", kind, text)

    # -- work ------------------------------------------------------------------------------------------------------

    def work(self, engine: Engine, role: str = "worker") -> None:
        """Register everything that runs and launch the engine.

        Raises UsageError: ENGINE-LOCKED, or RESTORED for stores that were put back from a backup.
        """
        from ladenbuch.workflows.backfill import Mover
        from ladenbuch.workflows.dispatch import SETTLE, take_over
        from ladenbuch.workflows.restoring import refuse_copy

        refuse_copy(self.database, self.stand)
        # Made here, by one thread, before any run can ask for them.
        ctx, _, _, _, _ = self.context, self.tokens, self.limits, self._http, self._vat_ids
        # No more than half of a tenant's runs are a backfill's: the others are for what the shop tells now.
        mover = Mover(ctx, max(1, min(self.settings.workers, self.settings.tenant_workers) // 2))
        engine.register(SETTLE, self._run_of(mover))
        ticks = self._ticking(engine, mover, role)
        for name, fn in ticks.items():
            engine.every(name, self._ticks[name], self._once_ready(name, fn))
        self.engine = engine
        engine.launch()
        # Only the holder of the executor's lock may take over what its predecessor held; runs start after that.
        for name in take_over(ctx) - {ctx.executor}:
            engine.forget(name)
        self._ready.set()
        for name in ticks:
            engine.wake(name)

    def _run_of(self, mover: Mover) -> Callable[[str, str, str], str]:
        """What the engine runs for a mark: an order is settled, news of anything else are heard."""
        from ladenbuch.inbox import heard_in
        from ladenbuch.workflows.hearing import hear
        from ladenbuch.workflows.lifecycle import HANDLERS as OF_LIFE
        from ladenbuch.workflows.privacy import HANDLERS as OF_PRIVACY
        from ladenbuch.workflows.scopes import HANDLERS as OF_SCOPES
        from ladenbuch.workflows.settle import settle

        ctx, work = self.context, self.worked
        handlers = {**OF_LIFE, **OF_SCOPES, **OF_PRIVACY, **(self.billing.handlers() if self.billing else {})}

        def run(tenant: str, order_id: str, run_id: str) -> str:
            if not self._ready.is_set():
                return "STALE-RUN"  # recovered by the engine; its mark is about to be due again
            work.moved(self.now())
            if heard_in(order_id) is not None:
                code = hear(ctx, tenant, order_id, run_id, handlers)
            else:
                code = settle(ctx, tenant, order_id, run_id)
            work.ended(code, self.now())
            self._wake("dispatch")
            if mover.going:
                self._wake("backfill")
            return code

        return run

    def _ticking(self, engine: Engine, mover: Mover, role: str) -> dict[str, Callable[[], object]]:
        """What is done every so often, by the names of `TICKS`."""
        from ladenbuch.workflows.checkup import check_all
        from ladenbuch.workflows.clock import ClockWatch
        from ladenbuch.workflows.delivering import watch as watch_delivery
        from ladenbuch.workflows.dispatch import dispatch
        from ladenbuch.workflows.doubting import Delivery
        from ladenbuch.workflows.event_delivery import deliver_events
        from ladenbuch.workflows.lifecycle import finish_all
        from ladenbuch.workflows.money_back import look_all
        from ladenbuch.workflows.outage import OutageWatch
        from ladenbuch.workflows.overdue import remind_all
        from ladenbuch.workflows.poll import poll_all
        from ladenbuch.workflows.readiness import Mail
        from ladenbuch.workflows.reconcile_turns import reconcile_all
        from ladenbuch.workflows.retention import retain
        from ladenbuch.workflows.silence import look_around
        from ladenbuch.workflows.subscriptions import Watch, place
        from ladenbuch.workflows.write_back import write_back_all

        ctx, settings, billing = self.context, self.settings, self.billing
        reaper = self._reaper = self._reaper_of(engine, role)
        ticks: dict[str, Callable[[], object]] = {
            "dispatch": lambda: dispatch(ctx, engine, settings.workers, settings.tenant_workers),
            "deliver": Delivery(ctx),
            "digest": self._digest,
            "poll": lambda: poll_all(ctx, timedelta(seconds=self._ticks["poll"])),
            "overdue": lambda: remind_all(ctx),
            "bank": lambda: look_all(ctx, timedelta(seconds=self._ticks["bank"])),
            "silence": lambda: look_around(ctx, self._fallen),
            "clock": ClockWatch(ctx),
            "services": OutageWatch(ctx, self.calls.pulse, timedelta(seconds=settings.stall_seconds)),
            "sweep": lambda: self._sweep(reaper),
            "install": lambda: finish_all(ctx),
            "tokens": self.tokens.keep_alive,
            "retention": lambda: retain(ctx),
            "backfill": mover.tick,
            "checkup": lambda: check_all(ctx, Mail.of(settings)),
            "events": lambda: deliver_events(ctx),
            "write_back": lambda: write_back_all(ctx),
        }
        ticks["delivery"] = lambda: watch_delivery(ctx)
        if not self.database.is_sqlite:
            ticks["reap"] = reaper.tick
            ticks["budgets"] = self.limits.give_back_idle
        if billing is not None:
            ticks["billing"] = billing.tick
        every = settings.reconcile_seconds
        if every:
            ticks["reconcile"] = lambda: reconcile_all(ctx, every)
        if settings.payouts_seconds:
            from ladenbuch.workflows.payouts import look_at_payouts

            ticks["payouts"] = lambda: look_at_payouts(ctx, settings.payouts_seconds)
        here = place(settings)
        if here is not None:
            mended = self.metrics.webhook_subscriptions_mended_total.inc
            watch = Watch(ctx, here, timedelta(seconds=self._ticks["webhooks"]))
            ticks["webhooks"] = lambda: mended(watch())
        return ticks

    def _digest(self) -> int:
        from ladenbuch.web import alarm_words, codes
        from ladenbuch.workflows.digest import Operator, Words, digest_all

        words = Words(
            alarm_words.alarm_sentence, alarm_words.alarm_todo, lambda language, code: codes.sentence(language, code)
        )
        operator = Operator(self.settings.alerts_to or "", self.settings.alerts_language)
        return digest_all(self.context, words, operator)

    def _reaper_of(self, engine: Engine, role: str) -> Reaper:
        from ladenbuch import __version__
        from ladenbuch.engine.reaper import Reaper

        def taken(dead: Taken) -> None:
            self.limits.bury(dead.executor)
            self.metrics.took_over(dead.runs)

        monotonic = time.monotonic if self._clock is utc_now else lambda: self._clock().timestamp()
        return Reaper(
            self.database, engine, self.settings.executor_id, role, __version__, self.now,
            monotonic=monotonic,
            patience=_LOOKS * self._ticks["reap"], taken=taken,
        )  # fmt: skip

    def _sweep(self, reaper: Reaper) -> None:
        from ladenbuch.workflows.dispatch import sweep
        from ladenbuch.workflows.restoring import note_stand

        sweep(self.context)
        self.limits.tidy()
        if self.database.is_sqlite:  # elsewhere the reaper's tick does it
            reaper.give_up()
        if self.stand is not None:
            note_stand(self.database, self.stand)

    def announce(self) -> Ticker | None:
        """Say every few seconds that this process, which only serves pages and takes webhooks, lives; on PostgreSQL,
        where there are others. The caller stops it."""
        if self.database.is_sqlite:
            return None
        from ladenbuch import __version__, executors
        from ladenbuch.engine.ticker import Ticker

        name, door = f"web:{self.settings.executor_id}", self.database.system("reaper")

        def beat(tx: Transaction) -> None:
            if not executors.beat(tx, name, self.now()):
                executors.begin(tx, name, "web", __version__, self.now())

        made = Ticker("alive", self._ticks["reap"], lambda: door.run(Store.INBOX, beat))
        made.begin()
        return made

    def _once_ready(self, name: str, fn: Callable[[], object]) -> Callable[[], None]:
        def tick() -> None:
            if self._ready.is_set():
                fn()
                self.worked.ticked(name, self.now())

        return tick

    def _wake(self, name: str) -> None:
        if self.engine is not None:
            self.engine.wake(name)
