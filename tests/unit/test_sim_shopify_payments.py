"""Shopify Payments in the simulator, and the client that reads it (facts 2.6, S140, B14)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from ladenbuch.domain.balance import Movement
from ladenbuch.errors import Rejected
from ladenbuch.shopify.answer import Result, decode
from ladenbuch.shopify.cost import document
from ladenbuch.shopify.payouts import ShopPayments
from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.shopify import DEFAULT_SCOPES, PAYMENT_SCOPES, Shop, ShopifySimulator
from ladenbuch.simulators.shopify.payments import Payments

SHOP = "seifenladen.myshopify.com"
MONDAY = datetime(2026, 11, 2, 9, tzinfo=UTC)


def bag(cents: int) -> dict[str, Any]:
    return {"shopMoney": {"amount": f"{cents // 100}.{cents % 100:02d}", "currencyCode": "EUR"}}


def transaction(number: int, kind: str, cents: int, at: datetime, *, status: str = "SUCCESS", fee: int = 0) -> Any:
    fees = [{"amount": bag(fee)["shopMoney"]}] if fee else []
    gid = f"gid://shopify/OrderTransaction/{number}"
    return {"id": gid, "kind": kind, "status": status, "gateway": "shopify_payments", "amountSet": bag(cents),
            "processedAt": at.isoformat(), "fees": fees, "test": False}  # fmt: skip


def order(number: int, at: datetime, *transactions: Any, disputes: Any = ()) -> dict[str, Any]:
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": f"gid://shopify/Order/{number}", "name": f"#{number}", "createdAt": stamp, "processedAt": stamp,
            "updatedAt": stamp, "transactions": list(transactions), "disputes": list(disputes)}  # fmt: skip


def life(*shots: tuple[datetime, dict[str, Any]]) -> dict[str, Any]:
    events = [{"at": at.isoformat(), "topics": [], "snapshot": shot} for at, shot in shots]
    return {"order_id": shots[0][1]["id"], "name": shots[0][1]["name"], "shop": SHOP, "label": {}, "events": events}


class World:
    """A simulated shop, a clock moved by hand, and our client on it."""

    def __init__(self, *lives: Any, scopes: tuple[str, ...] = (*DEFAULT_SCOPES, *PAYMENT_SCOPES), **terms: Any) -> None:
        self.now = MONDAY
        self.sim = ShopifySimulator(lambda: self.now, client_secret="geheim", shops=[Shop(SHOP, scopes=scopes)])
        self.sim.payments(SHOP).set_terms(**terms)
        self.sim.load(lives)
        self._grant()
        self.client = ShopPayments(self.execute)

    def _grant(self) -> None:
        grant = {"grant_type": "client_credentials", "client_id": "ladenbuch-simulated-app", "client_secret": "geheim"}
        self.token = json.loads(self._post("admin/oauth/access_token", grant))["access_token"]

    def _post(self, path: str, body: object) -> bytes:
        headers = {"content-type": "application/json", "x-shopify-access-token": getattr(self, "token", "")}
        return self.sim.handle(SimRequest("POST", f"/{SHOP}/{path}", [], headers, json.dumps(body).encode())).body

    def execute(self, name: str, variables: Any) -> Result:
        raw = self._post("admin/api/2026-10/graphql.json", {"query": document(name), "variables": dict(variables)})
        data, errors, cost = decode(raw)
        return Result(data or {}, errors, cost)

    def to(self, at: datetime) -> World:
        while (due := self.sim.next_event_at()) is not None and due <= at:
            self.now = max(due, self.now)
            self.sim.advance(due)
        self.now = at
        self._grant()
        return self

    @property
    def payments(self) -> Payments:
        return self.sim.payments(SHOP)

    def movements(self) -> list[Movement]:
        return list(self.client.movements(MONDAY - timedelta(days=30)))


def busy() -> list[Any]:
    """Forty orders over four weeks, with refunds and two disputes."""
    lives = []
    for n in range(40):
        at = MONDAY + timedelta(hours=11 * n)
        sale = transaction(100 + n, "SALE", 5000 + 37 * n, at, fee=130 + n)
        shots = [(at, order(n + 1, at, sale))]
        if n % 5 == 0:
            later = at + timedelta(days=6)
            back = transaction(500 + n, "REFUND", 4000, later)
            shots.append((later, order(n + 1, later, sale, back)))
        if n in (7, 21):
            gid = f"gid://shopify/ShopifyPaymentsDispute/{900 + n}"
            for days, status in ((3, "NEEDS_RESPONSE"), (9, "WON" if n == 7 else "LOST")):
                when = at + timedelta(days=days)
                node = {"id": gid, "initiatedAs": "CHARGEBACK", "status": status}
                shots.append((when, order(n + 1, when, sale, disputes=[node])))
        lives.append(life(*shots))
    return lives


@pytest.mark.parametrize("terms", [{}, {"reserve_percent": 10, "reserve_days": 7}, {"fee_in_dispute": True}])
def test_b14_balance_and_payouts_follow_from_the_transactions_of_the_orders(terms: Any) -> None:
    """Every day: what Shopify says it owes is the sum of its movements, and each payout is the sum of its parts."""
    world = World(*busy(), **terms)
    world.payments.fates += ["paid", "failed", "paid", "bounced", "canceled"]
    for day in range(0, 48, 6):
        world.to(MONDAY + timedelta(days=day, hours=3))
        movements, balance = world.movements(), world.client.balance()
        assert dict(balance.owed) == {"EUR": sum(item.net for item in movements)}
        assert all(item.net == item.amount - item.fee for item in movements)
    payouts = list(world.client.payouts(MONDAY))
    assert len(payouts) > 12 and {item.status for item in payouts} == {"PAID", "FAILED", "CANCELED"}
    for payout in payouts:
        parts = list(world.client.movements_of(payout.id))
        assert sum(item.net for item in parts if item.type != "TRANSFER") == payout.net
        assert [item.net for item in parts if item.type == "TRANSFER"] == [-payout.net]
    kinds = [item.type for item in movements]
    assert kinds.count("CHARGE") == 40 and kinds.count("REFUND") == 8
    assert kinds.count("DISPUTE_WITHDRAWAL") == 2 and kinds.count("DISPUTE_REVERSAL") == 1
    assert kinds.count("TRANSFER_FAILURE") == 2 and kinds.count("TRANSFER_CANCEL") == 1
    returned = [item for item in payouts if item.status != "PAID"]
    sent = sum(item.net for item in payouts) - sum(item.net for item in returned)
    assert sum(cents for _, cents, _ in world.payments.bank_lines()) == sent
    assert sum(item.net for item in movements) + sent == sum(item.net for item in movements if not item.is_transfer)


def test_b14_a_charge_waits_and_what_was_taken_is_on_its_way_until_the_bank_has_it() -> None:
    """A charge of Monday leaves the balance on Wednesday and is in transit until the bank has it."""
    at = MONDAY
    world = World(life((at, order(1, at, transaction(1, "SALE", 10_000, at, fee=240)))))
    world.to(at + timedelta(days=1))
    assert (world.payments.balance_at(world.now), world.payments.in_transit_at(world.now)) == (9760, 0)
    world.to(datetime(2026, 11, 5, 7, tzinfo=UTC))
    [payout] = world.client.payouts(MONDAY)
    assert (payout.net, payout.status, payout.issued_at.date()) == (9760, "SCHEDULED", date(2026, 11, 5))
    assert (world.payments.balance_at(world.now), world.payments.in_transit_at(world.now)) == (0, 9760)
    world.to(datetime(2026, 11, 9, 13, tzinfo=UTC))
    assert [one.status for one in world.client.payouts(MONDAY)] == ["PAID"]
    assert world.payments.in_transit_at(world.now) == 0
    assert [cents for _, cents, _ in world.payments.bank_lines()] == [9760]


def test_b14_a_balance_below_zero_is_drawn_from_the_bank() -> None:
    """A refund after everything was paid out: a withdrawal, net below zero."""
    at = MONDAY
    sale, back = transaction(1, "SALE", 10_000, at, fee=240), transaction(2, "REFUND", 10_000, at + timedelta(days=9))
    later = at + timedelta(days=9)
    world = World(life((at, order(1, at, sale)), (later, order(1, later, sale, back))))
    world.to(at + timedelta(days=14))
    assert [item.net for item in world.client.payouts(MONDAY)] == [9760, -10_000]
    assert [cents for _, cents, _ in world.payments.bank_lines()] == [9760, -10_000]


def test_b14_without_the_scope_or_without_shopify_payments_the_client_says_so() -> None:
    with pytest.raises(Rejected) as refused:
        World(scopes=DEFAULT_SCOPES).client.balance()
    assert refused.value.code == "SHOPIFY-SCOPE"
    world = World()
    world.payments.active = False
    for verb in (world.client.balance, partial(next, world.client.payouts(MONDAY))):
        with pytest.raises(Rejected) as refused:
            verb()
        assert refused.value.code == "NO-PAYMENTS"
