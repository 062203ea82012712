"""Who pays is worked for (facts 0.7, 2.13): over real stores, with the simulated Admin and Partner APIs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from acceptance.invoice_cases import mixed_rates
from house import SHOP, TENANT, House
from ladenbuch import alarms, audit, entitlements, inbox, tenants
from ladenbuch.cli import billing as cli
from ladenbuch.cli.app import app
from ladenbuch.db import Store, to_micros
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.inbox.marks import order_marks
from ladenbuch.settings import Settings
from ladenbuch.shopify.billing import Plan, Price
from ladenbuch.workflows import lifecycle
from ladenbuch.workflows.billing import REASON, Billing

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
APP = "gid://shopify/App/7"
ENV = {
    "LADENBUCH_PARTNER_URL": "http://shopify.test/partners.shopify.com",
    "LADENBUCH_PARTNER_TOKEN": "prtapi_simulated",
    "LADENBUCH_PARTNER_ORGANISATION": "1",
    "LADENBUCH_PARTNER_APP": "7",
    "LADENBUCH_BILLING_PLANS": "basic=0,pro",
}
DAY = timedelta(days=1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, START, env=ENV)
    came = sa.update(tenants.tenants).values(created_at=to_micros(START))  # `tenants add` has a real clock
    made.database.system("operator").run(Store.BOOKS, lambda tx: tx.execute(came))
    yield made
    made.close()


def billing(house: House) -> Billing:
    found = house.ladenbuch.billing
    assert found is not None
    return found


def standing(house: House) -> tuple[str, str]:
    """The tenant's state and the last verdict."""

    def read(tx: Any) -> tuple[str, str]:
        known = entitlements.get(tx, TENANT)
        return tenants.get(tx, TENANT).state, "" if known is None else known.verdict.kind

    return house.database.tenant(TENANT).read(Store.BOOKS, read)


def known(house: House) -> entitlements.Known:
    found = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: entitlements.get(tx, TENANT))
    assert found is not None
    return found


def said(house: House, event: str) -> list[str]:
    entries = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: list(audit.entries(tx, TENANT)))
    return [entry.sentence for entry in entries if entry.event == event]


def later(house: House, days: float) -> None:
    """Days pass, then one tick."""
    house.clock.advance_to(house.clock.now() + timedelta(days=days))
    billing(house).tick()


def hear(house: House, topic: str, body: dict[str, Any], webhook_id: str) -> str | None:
    now = house.clock.now()
    delivery = inbox.Delivery(
        TENANT, webhook_id, topic, SHOP, now, json.dumps(body).encode(), None, None, "2026-10", now, True
    )
    commit = inbox.GroupCommit(house.database, house.ladenbuch.vault, house.clock.now)
    try:
        assert commit.submit(delivery).result(5)
    finally:
        commit.close()
    house.engine.wake("dispatch")
    house.engine.drain()
    query = sa.select(order_marks.c.last_code).where(order_marks.c.order_id == inbox.mark_of(webhook_id))
    return house.database.tenant(TENANT).read(Store.INBOX, lambda tx: tx.execute(query).scalar_one())


def test_without_a_partner_client_billing_is_off_and_nothing_changes(tmp_path: Path) -> None:
    house = House(tmp_path, START)
    try:
        assert house.ladenbuch.billing is None
        assert hear(house, "app_subscriptions/update", {}, "w1") == "NOTHING-TO-DO"
        house.clock.advance_to(START + 400 * DAY)
        house.engine.drain()
        assert standing(house) == ("active", "")
    finally:
        house.close()


def test_half_a_client_and_a_nameless_plan_are_refused() -> None:
    for wrong in ({"LADENBUCH_PARTNER_TOKEN": "prtapi_x"}, {"LADENBUCH_BILLING_PLANS": "=5"}):
        with pytest.raises(UsageError) as caught:
            Settings.read(wrong)
        assert "prtapi_x" not in str(caught.value)


def test_trial_grace_suspension_and_everything_goes_on_after_payment(house: House) -> None:
    later(house, 1)
    assert standing(house) == ("active", "trial")
    later(house, 14)
    assert standing(house) == ("active", "grace")
    until = known(house).verdict.until
    assert until == house.clock.now() + 14 * DAY
    later(house, 13.9)
    assert standing(house) == ("active", "grace")
    later(house, 0.2)
    assert standing(house) == ("suspended", "not entitled")
    order = house.lived(mixed_rates)
    assert house.verdict(order) == ("never settled", None)
    house.shopify.sell(SHOP, APP, "pro")
    assert hear(house, "app_subscriptions/update", {"app_subscription": {"status": "ACTIVE"}}, "w1") == (
        "SUBSCRIPTION-READ"
    )
    assert standing(house) == ("active", "entitled")
    house.settle(order)
    assert house.verdict(order)[0] == "documented"
    assert known(house).verdict.plan == "pro"
    kinds = [sentence.split(":")[0] for sentence in said(house, "billing.entitlement")]
    assert kinds == ["trial", "grace", "not entitled", "entitled"]
    assert any(REASON in sentence for sentence in said(house, "tenant.suspended"))


def test_no_answer_changes_nothing_however_long(house: House) -> None:
    """Unreadable is never "not entitled": the books go on, the last answer stays with its time."""
    house.shopify.sell(SHOP, APP, "pro")
    later(house, 1)
    answered = house.clock.now()
    house.shopify.sell(SHOP, APP, None)
    house.shopify.partners.down = 503
    for _ in range(40):
        later(house, 2)
        assert standing(house) == ("active", "entitled")
    assert (known(house).read_at, known(house).unread) == (answered, "PARTNER-DOWN")
    house.shopify.partners.down = None
    later(house, 1)
    assert standing(house) == ("active", "grace")  # from now on, not from when nobody could know
    assert known(house).unread is None
    house.shopify.set_status(SHOP, 423)
    later(house, 30)
    assert standing(house) == ("active", "grace")


def test_nobody_is_suspended_in_the_middle_of_an_order(house: House) -> None:
    later(house, 15)
    later(house, 13.5)
    door, now = house.database.tenant(TENANT), house.clock.now()

    def begin(tx: Any) -> None:
        inbox.want(tx, TENANT, "gid://shopify/Order/1", now)
        assert inbox.claim(tx, TENANT, "gid://shopify/Order/1", run_id="r", executor="other", now=now)

    door.run(Store.INBOX, begin)
    later(house, 1)
    assert standing(house) == ("active", "not entitled")
    door.run(Store.INBOX, lambda tx: inbox.settled(tx, TENANT, "gid://shopify/Order/1", "r", 1, now, "DOCUMENTED"))
    billing(house).tick()
    assert standing(house) == ("suspended", "not entitled")


def test_a_tenant_that_rests_for_another_reason_is_left_alone(house: House) -> None:
    lifecycle.suspend(house.ladenbuch.context, TENANT, "the merchant asked for it", by="operator")
    house.shopify.sell(SHOP, APP, "pro")
    assert hear(house, "app_subscriptions/update", {}, "w1") == "NOTHING-TO-DO"
    billing(house).look(TENANT)
    assert standing(house) == ("suspended", "entitled")


def test_orders_above_the_plan_are_told_and_stop_nothing(house: House) -> None:
    house.shopify.sell(SHOP, APP, "basic")
    house.lived(mixed_rates)
    verdict = billing(house).look(TENANT)
    assert (verdict.kind, verdict.over) == ("entitled", 1)
    assert standing(house)[0] == "active"


# -- charges by hand -------------------------------------------------------------------------------------------------

PLAN = Plan("pro", cap=Price(Decimal("100"), "EUR"), terms="0.05 per order")


def agreed(house: House) -> str:
    asked = billing(house).ask_plan(TENANT, PLAN, "https://books.example.org/", trial_days=0)
    house.shopify.agree(SHOP, asked.id)
    return asked.id


def test_a_plan_of_ours_entitles_until_it_is_cancelled(house: House) -> None:
    agreed(house)
    assert house.shopify.charges(SHOP).subscriptions[0]["test"] is False
    assert billing(house).look(TENANT).kind == "entitled"
    assert billing(house).cancel(TENANT) == "CANCELLED"
    assert billing(house).cancel(TENANT) is None
    assert billing(house).look(TENANT).kind == "trial"


def test_charges_in_a_development_store_are_tests_and_count_there(house: House) -> None:
    """facts 7.3: test vs live purchases."""
    state = house.shopify._states[SHOP]
    state.shop = replace(state.shop, development=True)
    agreed(house)
    assert house.shopify.charges(SHOP).subscriptions[0]["test"] is True
    assert billing(house).look(TENANT).kind == "entitled"
    state.shop = replace(state.shop, development=False)
    assert billing(house).look(TENANT).kind == "trial"


def test_usage_is_charged_once_per_period_and_its_cap_is_announced_once(house: House) -> None:
    with pytest.raises(Rejected) as caught:
        billing(house).charge(TENANT, "2026-11", "orders", Price(Decimal("1"), "EUR"), "x")
    assert caught.value.code == "BILLING-NO-PLAN"
    agreed(house)
    first = [billing(house).charge(TENANT, "2026-11", "orders", Price(Decimal("89.99"), "EUR"), "x") for _ in range(3)]
    assert len({one.id for one in first}) == 1 == len({one.key for one in first})
    topic = "app_subscriptions/approaching_capped_amount"
    assert [row for row in house.shopify.deliveries() if row["topic"] == topic] == []
    billing(house).charge(TENANT, "2026-12", "orders", Price(Decimal("0.01"), "EUR"), "x")
    body = {"app_subscription": {"balance_used": "90.00", "capped_amount": "100.00", "currency_code": "EUR"}}
    assert hear(house, topic, body, "w1") == "CAP-APPROACHING"
    assert said(house, "billing.cap") == ["90.00 EUR of at most 100.00 are charged for usage."]
    again = house.database.tenant(TENANT)
    near = entitlements.NearCap("90.00", "100.00", "EUR")
    assert known(house).near_cap == near and gauge(house) == 1.0
    (alarm,) = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))
    assert alarm.sentence == "90.00 of at most 100.00 EUR are charged for usage of the app"
    assert not again.run(Store.BOOKS, lambda tx: entitlements.cap_told(tx, TENANT, START, house.clock.now(), near))
    assert known(house).cap_told_at is not None
    billing(house).look(TENANT)
    assert known(house).near_cap == near, "it is read again, and it is still near"
    billing(house).cancel(TENANT)
    billing(house).look(TENANT)
    assert known(house).near_cap is None and gauge(house) == 0.0
    assert house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT)) == []


def gauge(house: House) -> float:
    """What /metrics says of caps that come close."""
    house.ladenbuch.health("all")
    lines = house.ladenbuch.metrics.render().decode().splitlines()
    return float(next(line for line in lines if line.startswith("usage_near_cap ")).split()[1])


# -- by command ------------------------------------------------------------------------------------------------------


def test_plan_usage_and_end_by_command_all_as_a_test(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """facts 2.12: asked, agreed, charged once however often, ended; no money moves with --test."""
    runner = CliRunner()
    monkeypatch.setattr(cli, "opened", lambda: nullcontext(house.ladenbuch))

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        done = runner.invoke(app, ["billing", *arguments, "--tenant", TENANT, "--json"])
        return done.exit_code, json.loads(done.stdout) if done.stdout else {}

    usage = ("charge", "--period", "2026-11", "--amount", "12.35", "--description", "247 orders", "--test")
    code, asked = run("ask", "--plan", "pro", "--price", "19", "--cap", "100", "--terms", "0.05 each", "--test")
    assert code == 0 and asked["test"] is True and asked["confirmation_url"].startswith("https://")
    (stored,) = house.shopify.charges(SHOP).subscriptions
    assert stored["test"] is True
    with pytest.raises(Rejected, match="no active plan"):  # nobody has agreed yet
        raise runner.invoke(app, ["billing", *usage, "--tenant", TENANT]).exception or AssertionError
    house.shopify.agree(SHOP, asked["charge"])
    records = [run(*usage)[1] for _ in range(3)]
    assert len({one["record"] for one in records}) == 1 and records[0]["idempotency_key"].endswith("/2026-11/orders")
    assert records[0]["test"] is True and "as a test" in said(house, "billing.charged")[0]
    code, found = run("status", "--look")
    assert code == 0 and found["shops"][0]["kind"] == "trial", "a test entitles nobody but a development store"
    assert run("cancel", "--yes") == (0, {"tenant": TENANT, "status": "CANCELLED"})
    assert run("cancel", "--yes") == (1, {"tenant": TENANT, "status": None})
    code, bought = run("ask", "--plan", "basic", "--price", "5", "--once")
    assert code == 0 and bought["test"] is False
    house.shopify.agree(SHOP, bought["charge"])
    assert run("status", "--look")[1]["shops"][0]["kind"] == "entitled"


@pytest.mark.parametrize(
    "wrong",
    [
        ("--plan", "pro"), ("--plan", "pro", "--cap", "5"), ("--plan", "pro", "--price", "abc"),
        ("--plan", "gold", "--price", "1"), ("--plan", "pro", "--once", "--cap", "1", "--terms", "x"),
    ],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_is_not_asked_for(
    house: House, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, ...]
) -> None:
    monkeypatch.setattr(cli, "opened", lambda: nullcontext(house.ladenbuch))
    done = CliRunner().invoke(app, ["billing", "ask", *wrong, "--tenant", TENANT])
    assert isinstance(done.exception, UsageError) and done.exception.code == "OPTIONS"
    assert house.shopify.charges(SHOP).subscriptions == []
