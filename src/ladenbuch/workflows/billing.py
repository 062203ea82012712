"""Billing, for operators who publish the app: who has a subscription, and what follows; charges made by hand.

Off unless the settings name a Partner API client. A shop without a subscription is worked for until its grace is over,
then suspended between two orders; it goes on by itself when it pays. What cannot be read changes nothing (facts 0.7).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ladenbuch import alarms, audit, books, entitlements, inbox, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.entitlement import Entitlement, Subscription, Terms, Unreadable, entitlement
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.shopify import billing as charges
from ladenbuch.shopify.billing import Asked, Bought, Plan, Price
from ladenbuch.shopify.partner import Partner
from ladenbuch.workflows import lifecycle
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.hearing import Handler, News

log = logging.getLogger(__name__)

#: Why a tenant rests that we suspended; with any other reason it is not ours to let it go on.
REASON = "the app's subscription is missing and the grace is over"
#: How old an answer may become, and how soon is asked again after none.
_DAILY, _AGAIN = timedelta(days=1), timedelta(hours=1)
_BY = "billing"


@dataclass(frozen=True, slots=True)
class Charged:
    """A usage record: its id and idempotency key; `test`: on a plan on which no money moves."""

    id: str
    key: str
    test: bool


@dataclass(frozen=True, slots=True)
class Billing:
    """`app` is the app's gid, `terms` what the operator grants."""

    ctx: Context
    partner: Partner
    app: str
    terms: Terms

    # -- entitlement -------------------------------------------------------------------------------------------------

    def tick(self) -> int:
        """Look at every shop whose answer is a day old or about to change; how many were looked at."""
        now, done = self.ctx.clock(), 0
        for owner in self.ctx.database.system("lifecycle").read(Store.BOOKS, tenants.all):
            known = self._known(owner.id)
            if _ours(owner) and (known is None or _due(known, owner, now)):
                self.look(owner.id)
                done += 1
        return done

    def look(self, tenant: str) -> Entitlement:
        """Ask what the shop has, keep the verdict, and do what follows; what could not be read is `unknown`."""
        ctx, known = self.ctx, self._known(tenant)
        owner = ctx.door(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
        read, development, bought = self._read(owner)
        since = read.cycle_starts_at if isinstance(read, Subscription) else None
        orders = 0 if since is None else ctx.door(tenant).read(Store.BOOKS, lambda tx: _invoiced(tx, tenant, since))
        now = ctx.clock()
        verdict = entitlement(
            read,
            now,
            self.terms,
            came=owner.created_at,
            missing_since=None if known is None else known.verdict.missing_since,
            development=development,
            orders=orders,
        )

        def write(tx: Transaction) -> None:
            if isinstance(read, Unreadable):
                entitlements.unread(tx, tenant, read.code, now)
                return
            entitlements.put(tx, tenant, verdict, now)
            if known is not None and known.near_cap is not None and _far(read, bought, known):
                entitlements.cap_left(tx, tenant)
                alarms.end_alarm(tx, tenant, "USAGE-NEAR-CAP", "", now)
            if known is None or known.verdict.kind != verdict.kind:
                _say(tx, tenant, now, "billing.entitlement", f"{verdict.kind}: {verdict.sentence}")

        ctx.door(tenant).run(Store.BOOKS, write)
        if isinstance(read, Unreadable):
            log.warning("a subscription could not be read", extra={"tenant": tenant, "code": read.code})
        else:
            self._follow(owner, verdict)
        return verdict

    def _read(self, owner: tenants.Tenant) -> tuple[Subscription | Unreadable | None, bool, Bought | None]:
        """What Shopify sells the shop, else what we charge it, also as that charge; and whether it is a development
        store, where asked."""
        try:
            admin = self.ctx.shopify(owner.id)
            gid = owner.shop_gid or str(admin.shop_settings()["id"])
            found = self.partner.active_subscription(self.app, gid)
            if found is not None:
                return charges.managed(found), False, None
            plans = frozenset(self.terms.plans)
            live = charges.bought(admin.execute, plans, live_only=True)
            if live is not None:
                return live.subscription, False, live
            tried = charges.bought(admin.execute, plans, live_only=False)
            if tried is None:
                return None, False, None
            return tried.subscription, self._development(owner.id), tried
        except LadenbuchError as error:
            return Unreadable(error.code), False, None

    def _development(self, tenant: str) -> bool:
        plan = self.ctx.shopify(tenant).shop_settings().get("plan")
        return isinstance(plan, Mapping) and plan.get("partnerDevelopment") is True

    def _follow(self, owner: tenants.Tenant, verdict: Entitlement) -> None:
        if verdict.kind == "not entitled" and owner.state == "active":
            # Never in the middle of an order: the next tick comes when none is under way.
            if self.ctx.door(owner.id).read(Store.INBOX, lambda tx: inbox.at_work(tx, owner.id)):
                log.info("a suspension waits for orders under way", extra={"tenant": owner.id})
                return
            lifecycle.suspend(self.ctx, owner.id, REASON, by=_BY)
        elif verdict.kind in ("entitled", "trial", "grace") and _rests(owner):
            lifecycle.resume(self.ctx, owner.id, by=_BY)

    def _known(self, tenant: str) -> entitlements.Known | None:
        return self.ctx.door(tenant).read(Store.BOOKS, lambda tx: entitlements.get(tx, tenant))

    # -- news --------------------------------------------------------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """What is done because of which topic."""
        return {
            "app_subscriptions/update": self._updated,
            "app_subscriptions/approaching_capped_amount": self._approaching,
        }

    def _updated(self, ctx: Context, news: News) -> str:
        """Signed, but perhaps old: only what is read now counts."""
        if not _ours(ctx.door(news.tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, news.tenant))):
            return "NOTHING-TO-DO"
        if self.look(news.tenant).kind == "unknown":
            raise Retryable("BILLING-UNREAD", "the subscription could not be read")
        return "SUBSCRIPTION-READ"

    def _approaching(self, ctx: Context, news: News) -> str:
        """Nine tenths of a usage plan's cap are charged: the operator is told once per message."""
        said = news.said.get("app_subscription")
        told = said if isinstance(said, Mapping) else {}
        used, cap, currency = (str(told.get(n, "?"))[:20] for n in ("balance_used", "capped_amount", "currency_code"))
        now, tenant = ctx.clock(), news.tenant

        def write(tx: Transaction) -> bool:
            near = entitlements.NearCap(used, cap, currency[:8])
            if not entitlements.cap_told(tx, tenant, news.happened_at, now, near):
                return False
            facts = {"used": used, "cap": cap, "currency": currency}
            alarms.raise_alarm(tx, tenant, "USAGE-NEAR-CAP", "", now, facts)
            _say(tx, tenant, now, "billing.cap", f"{used} {currency} of at most {cap} are charged for usage.")
            return True

        if not ctx.door(tenant).run(Store.BOOKS, write):
            return "NOTHING-TO-DO"
        log.warning("usage comes close to its cap", extra={"tenant": tenant, "code": "CAP-APPROACHING"})
        return "CAP-APPROACHING"

    # -- charges by hand ---------------------------------------------------------------------------------------------

    def ask_plan(
        self, tenant: str, plan: Plan, return_url: str, *, trial_days: int | None = None, test: bool = False
    ) -> Asked:
        """Ask the merchant to agree to a plan with manual pricing; in a development store always as a test."""
        test, execute = test or self._development(tenant), self.ctx.shopify(tenant).execute
        asked = charges.subscribe(execute, plan, return_url, test=test, trial_days=trial_days)
        self._tell(tenant, "billing.asked", f"The merchant was asked to agree to the plan {plan.name}.")
        return asked

    def ask_purchase(self, tenant: str, name: str, price: Price, return_url: str, *, test: bool = False) -> Asked:
        """Ask the merchant to agree to a one-time purchase; in a development store always as a test."""
        test, execute = test or self._development(tenant), self.ctx.shopify(tenant).execute
        asked = charges.purchase(execute, name, price, return_url, test=test)
        self._tell(tenant, "billing.asked", f"The merchant was asked to buy {name} once.")
        return asked

    def charge(
        self, tenant: str, period: str, what: str, price: Price, description: str, *, test: bool = False
    ) -> Charged:
        """Charge usage of a period once; the record, the same however often it is called. `test`: on a plan that is
        one, which only a development store's counts as without it.

        Raises Rejected("BILLING-NO-PLAN") without an active plan that has usage, and what `charges` raises.
        """
        execute = self.ctx.shopify(tenant).execute
        found = charges.bought(execute, frozenset(self.terms.plans), live_only=not (test or self._development(tenant)))
        if found is None or found.usage_line is None:
            raise Rejected("BILLING-NO-PLAN", "there is no active plan with usage in this shop")
        key = charges.usage_key(tenant, period, what)
        made = charges.charge_usage(execute, found.usage_line, price, description, key)
        how = " as a test" if found.subscription.test else ""
        sentence = f"{price.amount:.2f} {price.currency} were charged{how} for {what} of {period} ({made})."
        self._tell(tenant, "billing.charged", sentence)
        return Charged(made, key, found.subscription.test)

    def cancel(self, tenant: str, *, prorate: bool = False) -> str | None:
        """End the plan with manual pricing; its status afterwards, None when there is none."""
        execute = self.ctx.shopify(tenant).execute
        found = charges.bought(execute, frozenset(self.terms.plans), live_only=False)
        if found is None:
            return None
        status = charges.cancel(execute, found.id, prorate=prorate)
        self._tell(tenant, "billing.cancelled", f"The plan {found.subscription.plan} was cancelled.")
        return status

    def _tell(self, tenant: str, event: str, sentence: str) -> None:
        now = self.ctx.clock()
        self.ctx.door(tenant).run(Store.BOOKS, lambda tx: _say(tx, tenant, now, event, sentence))


def _rests(owner: tenants.Tenant) -> bool:
    return owner.state == "suspended" and owner.state_reason == REASON


def _ours(owner: tenants.Tenant) -> bool:
    return owner.state == "active" or _rests(owner)


def _far(read: Subscription | None, bought: Bought | None, known: entitlements.Known) -> bool:
    """Whether usage that was near its cap is not any more: by its figures, else because another cycle began since."""
    if bought is not None and bought.used is not None and bought.cap is not None:
        return bought.used * 10 < bought.cap * 9
    if read is None or known.cap_told_at is None:
        return True
    return read.cycle_starts_at is not None and read.cycle_starts_at > known.cap_told_at


def _due(known: entitlements.Known, owner: tenants.Tenant, now: datetime) -> bool:
    if known.verdict.kind == "not entitled" and owner.state == "active" and known.unread is None:
        return True  # the suspension waits
    over = known.verdict.until is not None and known.verdict.until <= now
    return now - known.looked_at >= (_AGAIN if over or known.unread else _DAILY)


def _invoiced(tx: Transaction, tenant: str, since: datetime) -> int:
    return books.invoiced_orders(tx, tenant, since)


def _say(tx: Transaction, tenant: str, now: datetime, event: str, sentence: str) -> None:
    audit.append(tx, tenant, now, actor=_BY, event=event, subject=tenant, sentence=sentence)
