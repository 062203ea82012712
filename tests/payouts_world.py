"""Weeks of payouts while the weather is bad and the process dies: what stands in sevdesk in the end (B14, R7, S140).

`python tests/payouts_world.py --days 60 --orders 3 --seed 1` prints one JSON object; exit 1 when anything deviates.
Every look at payouts runs through the real connector in virtual time; answers of sevdesk get lost after what they
answer happened, calls are refused, and the process dies at a call. What is counted afterwards comes from the
simulators alone.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2

from house import PROFILE, SHOP, TENANT, House, home, life, person, refused
from ladenbuch import payouts
from ladenbuch.db import Store
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.lives.corrections import chargeback, refund_full, refund_partial
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.stage import bought
from ladenbuch.simulators.shopify import DEFAULT_SCOPES, PAYMENT_SCOPES
from ladenbuch.workflows.payouts import SHOPIFY, look_at_payouts

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
PROVIDER = {"name": "Shopify International Limited", "rule": 14, "account": "5923", "checked_by": "Kanzlei Nord"}
BERLIN = ZoneInfo("Europe/Berlin")
#: How often one looks.
EVERY = timedelta(hours=5)


class Died(BaseException):
    """The process was killed at a call."""


def script(rng: random.Random) -> Any:
    """One order of somebody in Germany: bought, sometimes refunded, sometimes disputed."""
    chosen = rng.choices(
        (
            bought,
            refund_partial,
            refund_full,
            lambda order: chargeback(order, ends="WON"),
            lambda order: chargeback(order, ends="LOST"),
        ),
        (70, 12, 10, 4, 4),
    )[0]

    def told(order: ShopOrder) -> None:
        order.billing = order.delivery = home("Erika", "Muster", "Musterweg 1", "10115", "Berlin")
        order.customer = person("Erika", "Muster")
        chosen(order)

    return told


class Weather:
    """What befalls calls to sevdesk while a look runs: lost after it happened, refused, or the end of the process."""

    def __init__(self, house: House, seed: int) -> None:
        self.rng, self.on, self.seen = random.Random(seed), False, Counter[str]()
        for method in ("GET", "POST", "PUT", "DELETE"):
            house.door.always(method, "/", self._passes)

    def _passes(self, request: SimRequest, go: Any) -> SimResponse:
        fate = self.rng.random() if self.on else 1.0
        if fate < 0.03:
            self.seen["lost after it happened"] += 1
            go(request)
            raise httpx2.RemoteProtocolError("simulated: connection cut after the commit")
        if fate < 0.05:
            self.seen["refused for now"] += 1
            answer: SimResponse = refused(503, "not now")(request, go)
            return answer
        if fate < 0.06:
            self.seen["killed before the call"] += 1
            raise Died
        if fate < 0.08:
            self.seen["killed after the call"] += 1
            go(request)
            raise Died
        return go(request)


def lived(days: int, orders: int, seed: int) -> dict[str, Any]:
    """The figures, and `deviations` by name: which there are."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), START, PROFILE | {"providers": {"shopify_payments": PROVIDER}, "fee_credits": True})
        house.shopify.set_scopes(SHOP, [*DEFAULT_SCOPES, *PAYMENT_SCOPES])
        account = house.shopify.payments(SHOP)
        account.set_terms(reserve_percent=5, reserve_days=14)
        account.fates += rng.choices(("paid", "failed", "bounced", "canceled"), (17, 1, 1, 1), k=2 * days)
        weather, looks, killed = Weather(house, seed), 0, 0
        lives = [
            life(3000 + number, START + timedelta(hours=24 * days * rng.random()), script(rng))
            for number in range(days * orders)
        ]
        house.shopify.load(lives)
        happens = sorted((event.at, one.order_id) for one in lives for event in one.events)
        last = max(happens[-1][0], START + timedelta(days=days))
        at = START
        while at < last:
            at += EVERY
            while happens and happens[0][0] <= at:
                moment, order_id = happens.pop(0)
                house.clock.advance_to(max(moment, house.clock.now()))
                house.shopify.advance(house.clock.now())
                house.settle(order_id)
            house.clock.advance_to(max(at, house.clock.now()))
            house.shopify.advance(house.clock.now())
            looks, weather.on = looks + 1, True
            try:
                look_at_payouts(house.ladenbuch.context, 3600.0)
            except Died:
                killed += 1
                house.restart()
            finally:
                weather.on = False
        for _ in range(30):  # the weather clears up, and what was begun is brought to its end
            house.clock.advance_to(house.clock.now() + timedelta(hours=1))
            look_at_payouts(house.ladenbuch.context, 3600.0)
        found = counted(house)
        house.close()
    return {
        "days": days, "orders": len(lives), "looks": looks, "killed": killed, "weather": dict(weather.seen), **found,
    }  # fmt: skip


def counted(house: House) -> dict[str, Any]:
    """What stands in sevdesk against what the simulated Shopify knows; our books are asked for the kept days only."""
    shop = house.shopify.payments(SHOP)
    rows = house.ask("GET", "/CheckAccount")
    here = int(next(row["id"] for row in rows if "shopify_payments" in row["name"]))
    standing = [row for row in house.state("transactions") if row["account_id"] == here and not row["deleted_at"]]
    keys = Counter(" ".join(row["purpose"].split()[:2]) for row in standing)
    vouchers = Counter(row["description"] for row in house.ask("GET", "/Voucher"))
    fees = {f"SHPFEE-{one.id}": asked(shop, one) for one in shop.payouts if one.status != "SCHEDULED"}
    owed = {key: cents for key, cents in fees.items() if cents > 0}
    paid = {row["description"]: (row["sumGross"], row["status"]) for row in house.ask("GET", "/Voucher")}
    wanted = {key: (f"{cents / 100:.2f}".rstrip("0").rstrip("."), "1000") for key, cents in owed.items()}
    days = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: payouts.kept_days(tx, TENANT, SHOPIFY, 9999))
    today = house.clock.now().astimezone(BERLIN).date()
    deviations = {
        "doubled_lines": [key for key, count in keys.items() if count > 1],
        "doubled_vouchers": [key for key, count in vouchers.items() if count > 1],
        "vouchers": [key for key, said in wanted.items() if paid.get(key) != said],
        "vouchers_of_nothing": [key for key in vouchers if key not in owed],
        "last_day": [] if sum(row["amount_cents"] for row in standing) - pending(shop, fees) == truth(shop, today)
        else [str(today)],
        "days_without_a_name": [str(day.day) for day in days if day.unexplained],
        "days_open": [str(day.day) for day in days if day.findings],
    }  # fmt: skip
    return {
        "payouts": len(shop.payouts), "fates": dict(Counter(one.fate for one in shop.payouts)),
        "lines": dict(Counter(row["purpose"].split()[0] for row in standing)), "vouchers": len(vouchers),
        "days_compared": len(days), "deviations": {name: some for name, some in deviations.items() if some},
    }  # fmt: skip


def truth(shop: Any, day: date) -> int:
    """What Shopify owes, keeps back and has on its way at the end of a day in Berlin."""
    at = datetime.combine(day + timedelta(days=1), time(), BERLIN).astimezone(UTC) - timedelta(seconds=1)
    return int(shop.balance_at(at) + shop.reserved_at(at) + shop.in_transit_at(at))


def asked(shop: Any, payout: Any = None) -> int:
    """Cents of fees Shopify kept, of one payout or at all."""
    mine = [entry for entry in shop.entries if payout is None or entry.payout is payout]
    return int(sum(entry.fee - (entry.amount if "BACK_FEE" in entry.type else 0) for entry in mine))


def pending(shop: Any, fees: dict[str, int]) -> int:
    """Fees kept that belong to no payout which has left."""
    return asked(shop) - sum(fees.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--orders", type=int, default=3, help="a day, on average")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    made = lived(chosen.days, chosen.orders, chosen.seed)
    made["findings"] = [f"{name}: {', '.join(some)}" for name, some in made.pop("deviations").items()]
    sys.stdout.write(json.dumps(made) + "\n")
    return 1 if made["findings"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
