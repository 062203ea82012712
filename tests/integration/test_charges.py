"""Manual pricing and the Partner API against the simulated Shopify (facts 2.12, 2.13 and 7.3 "Billing")."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import httpx2
import pytest

from ladenbuch.engine.inline import VirtualClock
from ladenbuch.errors import Ambiguous, LadenbuchError, Retryable
from ladenbuch.shopify import billing
from ladenbuch.shopify.admin import Admin
from ladenbuch.shopify.billing import Plan, Price
from ladenbuch.shopify.partner import Partner
from ladenbuch.simulators.http import Route, SimRequest, SimResponse, SimTransport
from ladenbuch.simulators.shopify import Shop, ShopifySimulator
from ladenbuch.workflows.pace import PARTNER_RATE, Pace

SHOP = "seifenladen.myshopify.com"
APP, SHOP_GID = "gid://shopify/App/7", "gid://shopify/Shop/7000001"
BACK = "https://books.example.org/"
PLAN = Plan("basic", Price(Decimal("19"), "EUR"), cap=Price(Decimal("100"), "EUR"), terms="0.05 per invoice")


@dataclass
class Wire:
    """To the shop; it can lose answers after the commit."""

    shops: ShopifySimulator
    lose: int = 0
    bodies: list[bytes] = field(default_factory=list)

    def handle(self, request: SimRequest) -> SimResponse:
        self.bodies.append(request.body)
        answer = self.shops.handle(request)
        if self.lose:
            self.lose -= 1
            raise httpx2.RemoteProtocolError("simulated: connection cut after the commit")
        return answer


class Stage:
    def __init__(self) -> None:
        self.clock = VirtualClock(datetime.fromisoformat("2026-11-02T08:00:00+00:00"))
        self.shops = ShopifySimulator(self.clock.now, client_secret="s" * 32, shops=[Shop(SHOP)])
        self.wire = Wire(self.shops)
        http = httpx2.Client(transport=SimTransport([Route("http://shopify.test/", self.wire)]))
        self.admin = Admin(
            SHOP, "http://shopify.test/{shop}", self._token, http, sleep=self.clock.sleep, clock=self.clock.now
        )
        pace = Pace(PARTNER_RATE, self.clock.now, self.clock.sleep, 1.0, service="partner")
        base = "http://shopify.test/partners.shopify.com"
        self.partner = Partner(base, "1", lambda: "prtapi_simulated", http, pace=pace)
        self.wrong = Partner(base, "1", lambda: "prtapi_of_nobody", http)

    def _token(self) -> str:
        body = b'{"client_id": "ladenbuch-simulated-app", "client_secret": "%s", "grant_type": "client_credentials"}'
        kind = {"content-type": "application/json"}
        path = f"/{SHOP}/admin/oauth/access_token"
        answer = self.shops.handle(SimRequest("POST", path, [], kind, body % (b"s" * 32)))
        return str(json.loads(answer.body)["access_token"])

    def active(self, plan: Plan = PLAN, *, test: bool = False) -> str:
        """A subscription the merchant agreed to; its gid."""
        asked = billing.subscribe(self.admin.execute, plan, BACK, test=test)
        self.shops.agree(SHOP, asked.id)
        return asked.id

    def bought(self, *plans: str, live_only: bool = True) -> billing.Bought | None:
        return billing.bought(self.admin.execute, frozenset(plans), live_only=live_only)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(LadenbuchError) as caught:
        call()
    return caught.value.code


def test_what_is_not_active_is_ignored(stage: Stage) -> None:
    """facts 7.3: non-active ignored; a charge counts only after the merchant agreed."""
    asked = billing.subscribe(stage.admin.execute, PLAN, BACK, test=False)
    assert asked.confirmation_url.startswith(f"https://{SHOP}/admin/charges/")
    assert stage.bought("basic") is None
    stage.shops.agree(SHOP, asked.id)
    found = stage.bought("basic")
    assert found is not None
    assert (found.id, found.subscription.plan, found.cap) == (asked.id, "basic", Decimal("100"))
    for status in ("FROZEN", "CANCELLED", "DECLINED", "EXPIRED"):
        stage.shops.set_charge(SHOP, asked.id, status)
        assert stage.bought("basic") is None, status


def test_a_test_purchase_is_no_live_one(stage: Stage) -> None:
    """facts 7.3: test vs live purchases."""
    stage.active(test=True)
    assert stage.bought("basic") is None
    found = stage.bought("basic", live_only=False)
    assert found is not None
    assert found.subscription.test


def test_purchases_are_read_page_by_page_until_the_plan_is_found(stage: Stage) -> None:
    """facts 7.3: pagination until plan found, and no further."""
    asked = billing.purchase(stage.admin.execute, "setup", Price(Decimal("5.50"), "EUR"), BACK, test=False)
    stage.shops.agree(SHOP, asked.id)
    known = stage.shops.charges(SHOP).purchases
    others = [known[0] | {"id": f"{asked.id}{number}", "name": f"other {number}"} for number in range(120)]
    known[:] = [*others[:60], known[0], *others[60:]]
    stage.wire.bodies.clear()
    found = stage.bought("setup")
    assert found is not None
    assert found.subscription.plan == "setup"
    assert len(stage.wire.bodies) == 2
    assert stage.bought("no such plan") is None
    assert len(stage.wire.bodies) == 2 + 3


def test_user_errors_are_raised(stage: Stage) -> None:
    """facts 7.3: userErrors raised, of every mutation."""
    execute, cheap = stage.admin.execute, Price(Decimal("1"), "EUR")
    assert code_of(lambda: billing.cancel(execute, "gid://shopify/AppSubscription/1")) == "BILLING-REFUSED"
    assert code_of(lambda: billing.subscribe(execute, Plan(" ", cheap), BACK, test=True)) == "BILLING-REFUSED"
    assert code_of(lambda: billing.purchase(execute, " ", cheap, BACK, test=True)) == "BILLING-REFUSED"
    line = "gid://shopify/AppSubscriptionLineItem/1"
    assert code_of(lambda: billing.charge_usage(execute, line, cheap, "x", "key")) == "BILLING-REFUSED"
    assert code_of(lambda: Plan("nothing").lines()) == "BILLING-PRICE"
    for amount in ("0", "-1", "0.001", "NaN"):
        assert code_of(lambda amount=amount: Price(Decimal(amount), "EUR")) == "BILLING-PRICE"  # type: ignore[misc]


@pytest.mark.parametrize(("of_plan", "override", "days"), [(14, None, 14), (14, 0, 0), (None, None, 0), (None, 7, 7)])
def test_an_override_of_the_trial_with_zero_days_is_sent(
    stage: Stage, of_plan: int | None, override: int | None, days: int
) -> None:
    """facts 7.3: trialDays override of 0."""
    plan = Plan("basic", Price(Decimal("19"), "EUR"), trial_days=of_plan)
    billing.subscribe(stage.admin.execute, plan, BACK, test=True, trial_days=override)
    assert stage.shops.charges(SHOP).subscriptions[-1]["trialDays"] == days
    assert (b'"trialDays":' in stage.wire.bodies[-1]) == ((of_plan, override) != (None, None))


def test_usage_is_charged_once_however_often_the_answer_is_lost(stage: Stage) -> None:
    """The key is made of tenant, period and thing, so a repeat after a lost answer finds the first charge."""
    stage.active()
    found = stage.bought("basic")
    assert found is not None
    assert found.usage_line is not None
    line, price = found.usage_line, Price(Decimal("12.35"), "EUR")

    def charge(period: str) -> str:
        key = billing.usage_key("seifenladen", period, "orders")
        return billing.charge_usage(stage.admin.execute, line, price, "247 orders", key)

    for _ in range(2):
        stage.wire.lose = 1
        with pytest.raises(Ambiguous):
            charge("2026-11")
    first = charge("2026-11")
    assert charge("2026-11") == first
    assert charge("2026-12") != first
    again = stage.bought("basic")
    assert again is not None
    assert again.used == Decimal("24.70")
    assert len(stage.shops.charges(SHOP).usage) == 2
    dear = Price(Decimal("90"), "EUR")
    over = billing.usage_key("seifenladen", "2027-01", "orders")
    assert code_of(lambda: billing.charge_usage(stage.admin.execute, line, dear, "x", over)) == "BILLING-REFUSED"


def test_keys_differ_by_tenant_period_and_thing_and_are_short_enough() -> None:
    keys = [billing.usage_key(t, p, w) for t in ("a", "b") for p in ("2026-11", "2026-12") for w in ("x", "y" * 300)]
    assert len(set(keys)) == 8
    assert max(map(len, keys)) <= 255


def test_a_cancelled_subscription_is_gone(stage: Stage) -> None:
    gid = stage.active()
    assert billing.cancel(stage.admin.execute, gid) == "CANCELLED"
    assert stage.bought() is None


# -- the Partner API -------------------------------------------------------------------------------------------------


def test_the_partner_api_tells_the_managed_subscription(stage: Stage) -> None:
    assert stage.partner.active_subscription(APP, SHOP_GID) is None
    stage.shops.sell(SHOP, APP, "pro", trialEndsAt="2026-11-16T08:00:00Z")
    said = stage.partner.active_subscription(APP, SHOP_GID)
    assert said is not None
    found = billing.managed(said)
    assert (found.plan, found.cancels) == ("pro", False)
    assert found.trial_ends_at == datetime.fromisoformat("2026-11-16T08:00:00+00:00")


def test_what_the_partner_api_refuses_or_garbles_is_no_answer(stage: Stage) -> None:
    assert code_of(lambda: stage.wrong.active_subscription(APP, SHOP_GID)) == "PARTNER-TOKEN"
    # the id trap of facts 2.13: another kind of gid is an error, never "no subscription"
    assert code_of(lambda: stage.partner.active_subscription("gid://partners/App/7", SHOP_GID)) == "PARTNER-QUERY"
    for status, code in ((503, "PARTNER-DOWN"), (403, "PARTNER-FORBIDDEN"), (400, "PARTNER-HTTP")):
        stage.shops.partners.down = status
        assert code_of(lambda: stage.partner.active_subscription(APP, SHOP_GID)) == code
    for garbled in ({}, {"items": None}, {"items": [{}], "trialEndsAt": "soon"}):
        with pytest.raises(Retryable):
            billing.managed(garbled)


def test_the_partner_api_is_asked_four_times_a_second_at_most(stage: Stage) -> None:
    started = stage.clock.now()
    for _ in range(12):
        stage.partner.active_subscription(APP, SHOP_GID)
    assert stage.shops.partners.throttled == 0
    assert (stage.clock.now() - started).total_seconds() >= 2.5
