"""Tampering with what sevdesk lists, by hand and by chance: the stand-alone proof has to notice each.

A tampering by chance is one act: a single field, or what sevdesk would make of it. It returns whether it was possible.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

LISTS = ("Invoice", "InvoicePos", "CreditNote", "CreditNotePos", "CheckAccountTransaction")
Node = dict[str, Any]


class Books:
    """A copy of sevdesk's lists to tamper with, seen from one order."""

    def __init__(self, material: Node, order: Node) -> None:
        self.number = str(order["order"]["id"]).rsplit("/", 1)[-1]
        self.order = order
        self.lists = {name: list(material[name]["objects"]) for name in LISTS}
        own = {item["id"] for item in (*self.lists["Invoice"], *self.lists["CreditNote"]) if self.number in str(item)}
        for items in self.lists.values():  # only what belongs to the order is tampered with
            for index, item in enumerate(items):
                owner = item.get("invoice") or item.get("creditNote") or item
                if owner["id"] in own or self.number in str(item.get("paymtPurpose")):
                    items[index] = deepcopy(item)

    def documents(self) -> list[Node]:
        """All of the order's."""
        found = (*self.lists["Invoice"], *self.lists["CreditNote"])
        return [item for item in found if f":{self.number}" in str(item["customerInternalNote"])]

    def mine(self, kind: str = "Invoice", reversal: bool = False) -> list[Node]:
        """The order's standing invoices (or their cancellations), or its credit notes, first one first."""
        found = [item for item in self.lists[kind] if f":{self.number}" in str(item["customerInternalNote"])]
        gone = {item["origin"]["id"] for item in found if item.get("invoiceType") == "SR"}
        standing = [item for item in found if (item.get("invoiceType") == "SR") == reversal]
        return [item for item in standing if reversal or kind == "CreditNote" or item["id"] not in gone]

    def lines(self) -> list[Node]:
        named = f"order:{self.number}"
        found = [item for item in self.lists["CheckAccountTransaction"] if named in item["paymtPurpose"].split()]
        return [item for item in found if "/card " not in item["paymtPurpose"]]  # nobody says what a card is worth

    def elsewhere(self) -> bool:
        """Whether money of the order stands on no account of ours."""
        lines = " ".join(item["paymtPurpose"] for item in self.lines())
        moved = [tx for tx in self.order["transactions"] if tx["status"] == "SUCCESS" and tx["kind"] != "AUTHORIZATION"]
        return any(tx["id"].rsplit("/", 1)[-1] not in lines for tx in moved)

    def loose(self, item: Node) -> bool:
        """Whether the shop does not say, of an amount that stands on it, how much is at which rate."""
        key = item["customerInternalNote"].partition(":cn:")[2].partition(":")[0]
        ledger = self.order["agreements"]
        if key:
            ledger = [one for one in ledger if (one.get("refund") or {}).get("id", "").endswith(f"/{key}")]
        sales = [sale for one in ledger for sale in one["sales"]]
        return any(sale["lineType"] in ("ADJUSTMENT", "FEE", "TIP") or len(sale["taxes"]) > 1 for sale in sales)

    def positions(self, item: Node) -> list[Node]:
        kind = item["objectName"]
        owner = kind[0].lower() + kind[1:]
        return [one for one in self.lists[f"{kind}Pos"] if one[owner]["id"] == item["id"]]

    def add_up(self, item: Node) -> None:
        """Make a tampered document consistent again in itself, as sevdesk would compute and settle it."""
        sums = {"sumGross": Decimal(0), "sumNet": Decimal(0), "sumTax": Decimal(0)}
        for one in self.positions(item):
            gross = Decimal(one["price"]) * Decimal(one["quantity"])
            net = (gross * 100 / (100 + Decimal(one["taxRate"]))).quantize(Decimal("0.01"), ROUND_HALF_UP)
            for name, part in zip(sums, (gross, net, gross - net), strict=True):
                one[name], sums[name] = str(part), sums[name] + part
        paid_in_full = amount(item["paidAmount"]) == amount(item["sumGross"])
        item.update({name: str(part) for name, part in sums.items()})
        if paid_in_full:
            item["paidAmount"] = item["sumGross"]

    def copied(self, item: Node) -> Node:
        """A second document with the same positions and a number of its own."""
        kind = item["objectName"]
        owner, number = kind[0].lower() + kind[1:], f"{kind[0].lower() + kind[1:]}Number"
        twin = {**deepcopy(item), "id": "999001", number: "X-9999"}
        for index, one in enumerate(self.positions(item)):
            copy = {**deepcopy(one), "id": f"99910{index}", owner: {"id": twin["id"], "objectName": kind}}
            self.lists[f"{kind}Pos"].append(copy)
        self.lists[kind].append(twin)
        return twin


def amount(value: object) -> Decimal:
    return Decimal(str(value))


def more(item: Node, name: str, cents: int = 1) -> None:
    item[name] = str(amount(item[name]) + Decimal(cents) / 100)


def moved(text: str, days: int) -> str:
    return (date.fromisoformat(text[:10]) + timedelta(days=days)).isoformat() + text[10:]


# by chance -----------------------------------------------------------------------------------------------------------

Chance = Callable[[random.Random, Books], bool]
CHANCES: dict[str, Chance] = {}


def by_chance(function: Chance) -> Chance:
    CHANCES[function.__name__.replace("_", " ")] = function
    return function


@by_chance
def a_cent_in_a_sum(rng: random.Random, books: Books) -> bool:
    more(rng.choice(books.documents()), rng.choice(("sumGross", "sumNet", "sumTax")), rng.choice((-1, 1)))
    return True


@by_chance
def a_cent_in_a_position(rng: random.Random, books: Books) -> bool:
    one = rng.choice(books.positions(rng.choice(books.documents())))
    more(one, rng.choice(("sumGross", "sumNet", "sumTax", "price")), rng.choice((-1, 1)))
    return True


@by_chance
def a_cent_that_adds_up(rng: random.Random, books: Books) -> bool:
    item = rng.choice(books.documents())
    single = [one for one in books.positions(item) if abs(amount(one["quantity"])) == 1]
    if single:
        more(rng.choice(single), "price", rng.choice((-1, 1)))
        books.add_up(item)
    return bool(single)


@by_chance
def a_cent_from_rate_to_rate(rng: random.Random, books: Books) -> bool:
    """Not where the shop does not say how much is at which rate: then it is known to about a cent only."""
    item = rng.choice(books.documents())
    single = [one for one in books.positions(item) if abs(amount(one["quantity"])) == 1]
    rates = {one["taxRate"]: one for one in single}
    if len(rates) < 2 or books.loose(item):
        return False
    first, second = rng.sample(sorted(rates), 2)
    more(rates[first], "price")
    more(rates[second], "price", -1)
    books.add_up(item)
    return True


@by_chance
def two_rates_swapped(rng: random.Random, books: Books) -> bool:
    """Of two positions that do not cost the same; of an amount alone, when they differ by more than its last cent."""
    item = rng.choice(books.documents())
    lines = books.positions(item)
    pairs = [(a, b) for a in lines for b in lines if a["taxRate"] < b["taxRate"]]
    least = Decimal("0.02") if books.loose(item) else Decimal(0)
    pairs = [(a, b) for a, b in pairs if abs(amount(a["sumGross"]) - amount(b["sumGross"])) > least]
    if not pairs:
        return False
    first, second = rng.choice(pairs)
    first["taxRate"], second["taxRate"] = second["taxRate"], first["taxRate"]
    books.add_up(item)
    return True


@by_chance
def a_date_moved(rng: random.Random, books: Books) -> bool:
    """The issue, the delivery, the money; an issue one day early is what sevdesk's answer after midnight looks like."""
    item = rng.choice((*books.documents(), *books.lines()))
    kind = item["objectName"]
    issued = {"Invoice": "invoiceDate", "CreditNote": "creditNoteDate", "CheckAccountTransaction": "valueDate"}[kind]
    name = rng.choice([name for name in (issued, "deliveryDate") if item.get(name)])
    days = rng.choice((*range(-40, 0), *range(1, 41)))
    item[name] = moved(item[name], -2 if days == -1 and name in ("invoiceDate", "creditNoteDate") else days)
    return True


@by_chance
def another_origin(rng: random.Random, books: Books) -> bool:
    """Nothing, an invoice nobody has, one of another order, or another one of this order that sold something else."""
    corrections = [item for item in books.documents() if item["objectName"] == "CreditNote" or item["origin"]]
    if not corrections:
        return False
    item = rng.choice(corrections)
    own = [] if books.loose(item) else [one["id"] for one in books.mine() if one["id"] != item["origin"]["id"]]
    others = [one["id"] for one in books.lists["Invoice"] if one not in books.documents()]
    found = rng.choice([None, "1", *others[:3], *own])
    item["origin"] = None if found is None else {"id": found, "objectName": "Invoice"}
    if item["objectName"] == "CreditNote":
        item["refSrcInvoice"] = item["origin"]
    return True


@by_chance
def a_double(rng: random.Random, books: Books) -> bool:
    """A document or a money line a second time; a credit note perhaps as if it were for another invoice."""
    item = rng.choice((*books.documents(), *books.lines()))
    if item["objectName"] == "CheckAccountTransaction":
        books.lists["CheckAccountTransaction"].append({**item, "id": "999003", "status": rng.choice(("100", "200"))})
        return True
    twin = books.copied(item)
    if ":cn:" in twin["customerInternalNote"] and rng.random() < 0.5:
        twin["customerInternalNote"] = twin["customerInternalNote"].rpartition(":")[0] + ":2"
    return True


@by_chance
def something_lost(rng: random.Random, books: Books) -> bool:
    item = rng.choice((*books.documents(), *books.lines()))
    books.lists[item["objectName"]].remove(item)
    return True


@by_chance
def another_booking(rng: random.Random, books: Books) -> bool:
    """A cent more or less is paid or stands on the account, or the link is gone; nobody else books this order."""
    lines, paid = books.lines(), [item for item in books.documents() if amount(item["paidAmount"])]
    if not lines or not paid or books.elsewhere():
        return False
    linked = [item for item in lines if item["status"] == "200"]
    what = rng.choice(("paid", "line", "link") if linked else ("paid", "line"))
    if what == "paid":
        more(rng.choice(paid), "paidAmount", rng.choice((-1, 1)))
    elif what == "line":
        more(rng.choice(lines), "amount", rng.choice((-1, 1)))
    else:
        rng.choice(linked)["status"] = "100"
    return True


@by_chance
def another_order(rng: random.Random, books: Books) -> bool:
    """A document's note names another order, or none."""
    item = rng.choice(books.documents())
    note = item["customerInternalNote"].replace(books.number, "5000000000001")
    item["customerInternalNote"] = rng.choice((None, note))
    return True


@by_chance
def another_rule(rng: random.Random, books: Books) -> bool:
    """A rule that taxed sales, or untaxed ones, cannot have; a credit note cannot have any but its invoice's."""
    item = rng.choice(books.documents())
    wrong = ("2", "3", "4", "5", "11", "17", "21") if amount(item["sumTax"]) else ("18", "19", "20")
    item["taxRule"] = {"id": rng.choice(wrong), "objectName": "TaxRule"}
    return True


@by_chance
def no_document_yet(rng: random.Random, books: Books) -> bool:
    """A draft, or francs."""
    rng.choice(books.documents()).update(rng.choice(({"status": "100"}, {"currency": "CHF"})))
    return True
