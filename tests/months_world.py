"""Twelve months of a shop with every kind of gateway: what stands on every account on every day, counted anew.

`python tests/months_world.py --months 12 --orders 40` prints one JSON object with figures and `findings`; exit 1 when
there are findings. Card payments are paid out by Shopify Payments with fees and disputes, PayPal is connected in
sevdesk, Klarna is cleared simply until September and explicitly from October on, transfers come by the bank, gift cards
and store credit are a debt. A bookkeeper links transfers and moves Klarna's payouts. Every order is lived through the
real connector in virtual time; the recount (`recount.py`) shares nothing with it. At the end of every day every balance
is compared, and everything of the day is done once more: nothing may be written or promised by that.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from house import SHOP, TENANT, House
from ladenbuch import tenants
from ladenbuch.db import Store
from ladenbuch.errors import Retryable
from ladenbuch.simulators.lives import Life
from ladenbuch.simulators.lives.corrections import CORRECTIONS
from ladenbuch.simulators.lives.d2c import OWN
from ladenbuch.simulators.lives.domestic import DOMESTIC
from ladenbuch.simulators.lives.model import Event, Label
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.snapshot import snapshot
from ladenbuch.simulators.lives.stage import People, Situation
from ladenbuch.simulators.lives.wide import WIDE
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.simulators.sevdesk.banking import add_transaction
from ladenbuch.simulators.shopify import DEFAULT_SCOPES, PAYMENT_SCOPES
from ladenbuch.workflows.double_money import twice
from ladenbuch.workflows.money_back import look
from ladenbuch.workflows.payouts import look as look_at_payouts
from ladenbuch.workflows.preview import period_of
from recount import BERLIN, Move, Paid, Recount, moves_of

#: The shop's first hour; `--since` names another month.
START = datetime(2026, 1, 1, 8, tzinfo=UTC)
#: From this day on Klarna's payments have lines of their own, on another account.
EXPLICIT = date(2026, 10, 1)
#: How often a month has them, per thousand; what is left are plain orders paid by card.
CAST = {
    "captured_at_shipping": 90, "pending_then_paid": 120, "two_gateways": 30, "instalments": 15,
    "captured_in_parts": 25, "edit_up_after_invoice": 30, "upsell": 15,
    "refund_partial": 50, "refund_full": 40, "refund_over_both": 20,
    "refund_same_day": 15, "refund_shipping": 15, "refunded_days_later": 20, "chargeback_open": 10,
    "chargeback_won": 20, "chargeback_lost": 20, "sent_back_klarna": 60, "sent_back_paypal": 60, "goodwill": 15,
    "vorkasse_paid": 90, "vorkasse_open": 10, "sent_back_vorkasse": 30, "gift_card_sold": 40, "gift_card_returned": 15,
    "gift_card_with_goods": 25, "paid_with_gift_card": 50, "refund_over_two_ways": 20, "refund_store_credit": 30,
    "paid_with_store_credit": 20,
}  # fmt: skip
_TABLE = {item.name: item for item in (*DOMESTIC, *CORRECTIONS, *WIDE, *OWN)}
PAYPAL = str(SevdeskSimulator(lambda: START, DEFAULT_TOKEN).account_id("PayPal"))
GATEWAYS = {
    "shopify_payments": {"mode": "clearing+payouts"},
    "klarna": {"mode": "clearing-simple"},
    "paypal": {"mode": "feed", "account": PAYPAL},
    "bank_deposit": {"mode": "bank"},
    "gift_card": {"mode": "liability", "number": "1723"},
    "shopify_store_credit": {"mode": "liability", "number": "1724"},
}
SHOPIFY = {"name": "Shopify International Limited", "rule": 14, "account": "5923", "checked_by": "Kanzlei Nord"}
PROFILE = {
    "gateways": GATEWAYS,
    "providers": {"shopify_payments": SHOPIFY},
    "vouchers": "multi_purpose",
    "offline_refunds": True,
    "fee_credits": True,
    "letters": True,
}
_WRITES = ("POST", "PUT", "DELETE")


@dataclass
class Months:
    """The shop, the people and providers around it, and what was found. Times of the heap are aware UTC."""

    house: House
    last: date  # the first day that is not lived any more
    rng: random.Random
    count: Recount = field(default_factory=Recount)
    figures: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)
    _heap: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _number: Iterator[int] = field(default_factory=itertools.count)
    _today: set[str] = field(default_factory=set)  # orders something happened to
    _seen: set[str] = field(default_factory=set)  # transactions the providers know of
    _accounts: dict[str, int] = field(default_factory=dict)
    _brought: dict[int, Move] = field(default_factory=dict)  # lines of PayPal's feed
    _banked: int = 0  # lines of Shopify's payouts the bank has shown
    _lines: list[tuple[int, Move]] = field(default_factory=list)  # the bank's, not linked yet

    # -- who does what ------------------------------------------------------------------------------------------------

    def at(self, when: datetime, do: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._number), do))

    def live(self, lives: list[Life]) -> None:
        """Let the months pass."""
        self.house.shopify.load(lives)
        for life in lives:
            for event in life.events:
                self.at(event.at, lambda life=life, event=event: self._happens(life, event))
        day = START.astimezone(BERLIN).date()
        while day < self.last:
            end = datetime(day.year, day.month, day.day, 23, 55, tzinfo=BERLIN).astimezone(UTC)
            self.at(end, lambda day=day: self._day_ends(day))
            morning = end - timedelta(hours=15)
            self.at(morning, lambda day=day: self._bookkeeper(day))
            day += timedelta(days=1)
        self._accounts = {row.name.split(" s1")[0]: row.id for row in self.house.sevdesk.world.accounts.values()}
        self.at(datetime(2026, 9, 25, 9, tzinfo=UTC), self._klarna_explicitly)
        until = datetime.combine(self.last, datetime.min.time(), BERLIN).astimezone(UTC)
        while self._heap and self._heap[0][0] < until:
            when, _, do = heapq.heappop(self._heap)
            if when > self.house.clock.now():
                self.house.clock.advance_to(when)
            do()
        self._once_more_all()

    def _happens(self, life: Life, event: Event) -> None:
        self.house.shopify.advance(self.house.clock.now())
        self.count.saw(event.snapshot)
        self._today.add(life.order_id)
        self.house.settle(life.order_id)
        for move in moves_of(event.snapshot):
            if move.number not in self._seen:
                self._seen.add(move.number)
                self._providers(life, move)

    def _providers(self, life: Life, move: Move) -> None:
        """What a payment sets going outside of the shop: PayPal's feed brings it, a transfer reaches the bank."""
        now = self.house.clock.now()
        if move.gateway == "paypal":
            wait = timedelta(hours=self.rng.randint(1, 40))
            self.at(now + wait, lambda: self._feed(move))
        elif move.gateway == "bank_deposit":  # somebody marked it paid first, or the bank was faster (5.7)
            wait = timedelta(days=self.rng.choice((0, 0, 2)), hours=1)
            self.at(now + wait, lambda: self._transfer(life, move))

    def _feed(self, move: Move) -> None:
        """The connection brings the payment with its provider's id (mostly), and a fee line beside it."""
        text = move.provider if self.rng.random() < 0.85 else "Zahlung"
        self._brought[self._add("PayPal", move.cents, move.day, f"PayPal {text}")] = move
        if move.cents > 0:
            self._add("PayPal", -(move.cents * 249 // 10_000 + 35), move.day, "Gebühr")

    def _transfer(self, life: Life, move: Move) -> None:
        day = self.house.clock.now().astimezone(BERLIN).date()
        self._lines.append((self._add("Bank", move.cents, day, f"Bestellung {life.name}"), move))
        self._look_at_the_bank()

    def _look_at_the_bank(self) -> None:
        """The tick that matches transfers; what it links is no work of the bookkeeper any more."""
        self._patiently(lambda: look(self.house.ladenbuch.context, TENANT))
        self.house.settle_due()
        left = [entry for entry in self._lines if not self.house.sevdesk.world.transactions[entry[0]].documents]
        self.figures["transfers linked by the connector"] += len(self._lines) - len(left)
        self._lines = left

    def _add(self, account: str, cents: int, day: date, text: str, status: int = 100) -> int:
        world = self.house.sevdesk.world
        owner = next(row for row in world.accounts.values() if row.name.startswith(account))
        line = add_transaction(world, owner, cents, day, purpose=text, payee="")
        line.status = status
        return line.id

    def _bookkeeper(self, day: date) -> None:
        """Every morning: transfers nobody linked are linked. On Mondays Klarna pays out, and she moves it."""
        self._look_at_the_bank()
        for entry in list(self._lines):
            line, move = entry
            kind = "Invoice" if move.cents > 0 else "CreditNote"
            papers = [paper for paper in self._papers(kind, move.order) if 100 < paper.status < 1000]
            if papers and papers[0].open >= abs(move.cents):
                bank = next(row.id for row in self.house.sevdesk.world.accounts.values() if row.name == "Bank")
                body = {"amount": f"{move.cents / 100:.2f}", "date": f"{day:%d.%m.%Y}", "type": "FULL_PAYMENT"}
                body |= {"checkAccount": {"id": bank, "objectName": "CheckAccount"}}
                body |= {"checkAccountTransaction": {"id": line, "objectName": "CheckAccountTransaction"}}
                self.house.ask("PUT", f"/{kind}/{papers[0].id}/bookAmount", body)
                self._lines.remove(entry)
                self.figures["transfers linked by hand"] += 1
                order = f"gid://shopify/Order/{move.order}"
                self._today.add(order)
                self.house.settle(order)
        if day.weekday() == 0:
            self._klarna_pays(day)

    def _klarna_pays(self, day: date) -> None:
        """Klarna pays out all it owes; the bookkeeper moves it off the account, its fee apart."""
        spans = [(date.min, EXPLICIT, "klarna s1"), (EXPLICIT, date.max, "klarna explicit s1")]
        for since, until, account in spans:
            if since <= day < until or (until <= day and until == EXPLICIT):
                invoiced = self._invoiced()
                owed = self.count.owed("klarna", since, until)
                owed -= self.count.not_invoiced("klarna", invoiced, since, until)
                if owed > 0:
                    fee = owed * 3 // 100
                    booked = max(since, min(day, until - timedelta(days=1)))
                    self._add(account, fee - owed, day, "Umbuchung Klarna", 400)
                    self._add(account, -fee, day, "Gebühren Klarna", 400)
                    self.count.paid_out.append(("klarna", owed, booked))
                    self.figures["payouts of Klarna"] += 1

    def _klarna_explicitly(self) -> None:
        """The new version of the profile is stored a week before it is in force."""
        made = self.house.client.create_file_import_account("klarna explicit s1 (automatisch, nicht importieren)")
        self.house.client.stop_auto_mapping(made.id)
        now, start = self.house.clock.now(), datetime(2026, 10, 1, tzinfo=BERLIN).astimezone(UTC)
        door = self.house.database.tenant(TENANT)
        data = dict(door.read(Store.BOOKS, lambda tx: tenants.profiles(tx, TENANT)[-1].profile))
        explicit = {"mode": "clearing+payouts", "account": made.id}
        data["gateways"] = {**data["gateways"], "klarna": explicit}
        door.run(Store.BOOKS, lambda tx: tenants.add_profile(tx, TENANT, data, start, now))

    # -- what is compared ---------------------------------------------------------------------------------------------

    def _day_ends(self, day: date) -> None:
        self.house.settle_due()
        self._shopify_pays()
        for move in list(self._brought.values()):  # what the feed brought meanwhile is looked for before it is compared
            if (day - move.day).days < 5:
                self.house.settle(f"gid://shopify/Order/{move.order}")
        balances = self.balances(day)
        for name, (stands, wanted) in balances.items():
            self.figures["balances compared"] += 1
            if stands != wanted:
                self.findings.append(f"{day}: {name} stands at {stands}, and {wanted} were counted")
        self.ends = {name: f"{stands / 100:.2f}" for name, (stands, _) in balances.items()}
        self._feed_is_right(day)
        self.figures["days"] += 1
        if (day + timedelta(days=1)).day == 1:
            self._same_money(day)
        self._once_more(day, sorted(self._today))
        self._today.clear()

    def _shopify_pays(self) -> None:
        """The tick of payouts; what reached the bank shows there."""
        self.house.shopify.advance(self.house.clock.now())
        made = self._patiently(lambda: look_at_payouts(self.house.ladenbuch.context, TENANT))
        asked = {item.code for item in made.problems}
        self.figures["evenings with a fee given back, asked about"] += "FEE-CREDIT" in asked
        now = self.house.clock.now()
        self.findings += [f"{now:%Y-%m-%d}: payouts: {code}" for code in sorted(asked - {"FEE-CREDIT"})]
        lines = self.house.shopify.payments(SHOP).bank_lines()
        for when, cents, text in lines[self._banked :]:
            self._add("Bank", cents, when, text)
        self._banked = len(lines)

    def _patiently(self, tick: Callable[[], Any]) -> Any:
        """A tick comes again when the shop has no points left."""
        while True:
            try:
                return tick()
            except Retryable as wait:
                self.house.clock.advance_to(self.house.clock.now() + timedelta(seconds=wait.after or 1.0))

    def _same_money(self, day: date) -> None:
        """At a month's end: is the same money on two accounts? Once a quarter somebody brings it there."""
        since, until = day.replace(day=1), day + timedelta(days=1)
        planted = self._plant(since) if day.month % 3 == 0 else None
        period = period_of(self.house.ladenbuch.context, TENANT, since, until)
        told = [item.held for item in self._patiently(lambda: twice(self.house.ladenbuch.context, TENANT, period))]
        self.figures["looks for the same money"] += 1
        self.figures["the same money planted"] += planted is not None
        others = [held for held in told if held != f"CheckAccountTransaction/{planted}"]
        self.figures["free lines of an equal amount told, too"] += len(others)
        free = [
            not self.house.sevdesk.world.transactions[int((held or "/0").split("/")[1])].documents for held in others
        ]
        if len(told) - len(others) != (planted is not None) or not all(free):
            self.findings.append(f"{day}: planted {planted}, told {told}")
        if planted:
            self.house.person({"do": "delete_transaction", "id": planted})

    def _plant(self, since: date) -> int:
        """Somebody imports a card payment of the month to the bank's account, too."""
        world = self.house.sevdesk.world
        rows = [line for line in world.transactions.values() if line.purpose.startswith("SHPTX") and line.amount > 0]
        lines = [line for line in rows if line.value_day >= since and line.documents and line.deleted_at is None]
        line = self.rng.choice(lines)
        return self._add("Bank", line.amount, line.value_day + timedelta(days=1), line.purpose.partition("order:")[2])

    def balances(self, day: date) -> dict[str, tuple[int, int]]:
        """Per account: what sevdesk holds with a value date up to today, and what was counted."""
        world, found = self.house.sevdesk.world, {}
        held: Counter[str] = Counter()
        for line in world.transactions.values():
            if line.deleted_at is None and line.value_day <= day:
                held[world.accounts[line.account].name.split(" (automatisch")[0]] += line.amount
        invoiced = self._invoiced()
        paid = Paid.of(self.house.shopify.payments(SHOP).truth(), self.house.clock.now())
        found["shopify_payments"] = held["shopify_payments s1"], paid.clearing
        found["gift_card"] = held["gift_card s1"], -self.count.spendable("gift_card")
        credit = self.count.spendable("shopify_store_credit")
        found["shopify_store_credit"] = held["shopify_store_credit s1"], -credit
        for name, account, since, until in (
            ("klarna (simple)", "klarna s1", date.min, EXPLICIT),
            ("klarna (explicit)", "klarna explicit s1", EXPLICIT, date.max),
        ):
            owed = self.count.owed("klarna", since, until)
            if until == EXPLICIT:  # without an invoice there is nothing sevdesk could make a line on
                owed -= self.count.not_invoiced("klarna", invoiced, since, until)
            found[name] = held[account], owed
        return found

    def _feed_is_right(self, day: date) -> None:
        """A line the feed brought pays a document of its own order, or its order lists it; fee lines are left alone."""
        world = self.house.sevdesk.world
        for id_, move in list(self._brought.items()):
            line = world.transactions[id_]
            if line.documents:
                papers = [world.document(kind, paper) for kind, paper in line.documents]
                if any(f":{move.order}" not in str(paper.note) for paper in papers):
                    self.findings.append(f"{day}: a line of PayPal pays a document of another order than {move.order}")
                del self._brought[id_]
                self.figures["lines of PayPal linked"] += 1

    def _once_more(self, day: date, orders: list[str]) -> None:
        """Everything of a day is told and done again: nothing is written and nothing promised by it."""
        letters = self.house.promised()
        self.house.door.passed.clear()
        for order in orders:
            self.house.settle(order)
            self.figures["orders settled once more"] += 1
        self._patiently(lambda: look(self.house.ladenbuch.context, TENANT, deep=True))
        self._patiently(lambda: look_at_payouts(self.house.ladenbuch.context, TENANT))
        self.house.settle_due()
        written = [f"{one.method} {one.path}" for one in self.house.door.passed if one.method in _WRITES]
        self.house.door.passed.clear()
        self.figures["written by it"] += len(written)
        self.findings += [f"{day}: done once more, and it wrote {one}" for one in written]
        more = self.house.promised() - letters
        self.figures["letters promised by it"] += more
        if more:
            self.findings.append(f"{day}: done once more, and {more} letters were promised")

    def _once_more_all(self) -> None:
        """At the end every order of every day."""
        self._once_more(self.house.clock.now().date(), sorted(self.count.orders))

    # -- sevdesk, from its own side -----------------------------------------------------------------------------------

    def _papers(self, kind: str, order: str) -> list[Any]:
        """Documents that name an order in their reference, oldest first."""
        rows = self.house.sevdesk.world.documents[kind].values()
        return [row for row in rows if f":{order}" in str(row.note)]

    def _invoiced(self) -> set[str]:
        rows = self.house.sevdesk.world.documents["Invoice"].values()
        notes = [str(row.note) for row in rows if row.status > 100]
        return {note.split(":")[1] for note in notes if ":" in note}


def month_after(months: int) -> date:
    """The first day after that many months."""
    index = START.year * 12 + START.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def lives_of(seed: int, months: int, orders: int) -> list[Life]:
    """`orders` lives a month: every situation of the cast in its share, begun early enough to end within the months."""
    rng, made = random.Random(seed), list[Life]()
    people = People(rng, 2_400_000_000_000)
    plain = _TABLE["card_paid"]
    names = [name for name, weight in CAST.items() for _ in range(weight)]
    for month in range(months):
        first = datetime.combine(month_after(month), START.timetz())
        last = datetime.combine(month_after(month + 1), START.timetz())
        for index in range(orders):
            name = rng.choice(names) if rng.random() < sum(CAST.values()) / 1000 else plain.name
            if month == 0 and index < len(CAST) and orders >= len(CAST):
                name = list(CAST)[index]  # the first month has each of them
            at = first + (last - first) * rng.random()
            made.append(_lived(_TABLE[name], len(made), at.replace(microsecond=0), people, seed))
    return sorted(made, key=lambda life: life.events[0].at)


def cast(seed: int, names: list[str]) -> list[Life]:
    """These situations, two a day from the first day on."""
    people = People(random.Random(seed), 2_400_000_000_000)
    begins = [START + timedelta(hours=11 * index) for index in range(len(names))]
    return [_lived(_TABLE[name], index, begins[index], people, seed) for index, name in enumerate(names)]


def _lived(situation: Situation, index: int, start: datetime, people: People, seed: int) -> Life:
    number = 1001 + index
    order = ShopOrder(random.Random(f"{seed}/{index}"), 5_200_000_000_000 + number * 4096, number,
                      int(start.timestamp()), 1.0)  # fmt: skip
    order.snapshot = snapshot
    people.buy(order)
    situation.script(order)
    events = tuple(Event(datetime.fromtimestamp(one.second, UTC), one.topics, one.snapshot) for one in order.events)
    label = Label(situation.name, "", None, None, {}, 0, 0)
    return Life(f"gid://shopify/Order/{order.id}", f"#{number}", SHOP, events, label)


@contextmanager
def opened(seed: int, last: date) -> Iterator[Months]:
    """The shop on its first day; it is lived until the day before `last`."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), START, PROFILE, {"LADENBUCH_PAYOUTS_SECONDS": "0"})  # its tick is told when to come
        try:
            house.shopify.set_scopes(SHOP, [*DEFAULT_SCOPES, *PAYMENT_SCOPES])
            payments = house.shopify.payments(SHOP)
            payments.set_terms(reserve_percent=5, reserve_days=20)
            payments.fates += ["paid", "failed", "paid", "bounced", "paid", "paid", "canceled"]
            paypal = house.sevdesk.world.accounts[int(PAYPAL)]
            paypal.bank_server, paypal.import_type, paypal.auto_map = "PAYPAL", None, False
            yield Months(house, last, random.Random(seed))
            assert house.sevdesk.internal_errors == []
        finally:
            house.close()
            logging.disable(logging.NOTSET)


def told(made: Months, lives: list[Life], seconds: float) -> dict[str, Any]:
    """The figures, as the page shows them."""
    world = made.house.sevdesk.world
    figures: dict[str, Any] = {"orders": len(lives)}
    figures["documents"] = sum(row.status > 100 for rows in world.documents.values() for row in rows.values())
    figures["lines of payouts, fees and disputes"] = sum(
        line.purpose.startswith(("SHPPO", "SHPFEE", "SHPDSP", "SHPADJ")) for line in world.transactions.values()
    )
    figures["lines on accounts"] = sum(line.deleted_at is None for line in world.transactions.values())
    figures["letters promised"] = made.house.promised()
    figures |= dict(made.figures)
    figures |= {f"{name} in the end": value for name, value in made.ends.items()}
    figures["seconds"] = round(seconds)
    figures["findings"] = made.findings
    return figures


def main(arguments: list[str]) -> int:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--orders", type=int, default=40, help="a month")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--since", type=date.fromisoformat, default=START.date(), help="the first day")
    said = parser.parse_args(arguments)
    globals()["START"] = datetime.combine(said.since, START.timetz())
    begun = time.monotonic()
    lives = lives_of(said.seed, said.months, said.orders)
    with opened(said.seed, month_after(said.months)) as made:
        made.live(lives)
        figures = told(made, lives, time.monotonic() - begun)
    sys.stdout.write(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    return 1 if made.findings else 0


__all__ = ("Months", "cast", "lives_of", "month_after", "opened", "told")
if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
