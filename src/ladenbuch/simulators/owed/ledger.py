"""The dated facts of an order: ledger entries, money, shipments, cancellation (R1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ladenbuch.simulators.owed.papers import Item, per_rate, shares, without_zeros
from ladenbuch.simulators.owed.reading import DIRECTION, Node, cents, instant, split, taxes_of

_LOOSE = ("ADJUSTMENT", "FEE")  # money without goods: follows the rates of what it came with (R4)


@dataclass(frozen=True)
class Money:
    """A successful movement, signed; `refund` is the gid of the refund it belongs to (its own where there is none).

    `card`: what of money that went back is for gift cards, negative.
    """

    gid: str
    at: datetime
    cents: int
    gateway: str
    manual: bool
    refund: str | None
    card: int = 0


@dataclass(eq=False)
class Entry:
    """One agreement with its net per item, signed. `loose`: an amount without any goods (amount-only refund)."""

    gid: str
    at: datetime
    refund: str | None
    items: Counter[Item] = field(default_factory=Counter)
    loose: int = 0

    @property
    def net(self) -> int:
        return sum(self.items.values()) + self.loose


@dataclass
class Facts:
    """The dated facts of one snapshot, each list in event time.

    `debts` are gift cards sold and taken back, and in no agreement; `unclear` are refunds of an order with cards that
    do not say what for.
    """

    order: str
    agreements: list[tuple[datetime, Node]]
    money: list[Money]
    shipments: list[datetime]
    cancelled: datetime | None
    unsettled: set[str]  # refunds with money still on its way
    debts: list[tuple[datetime, int]] = field(default_factory=list)
    unclear: set[str] = field(default_factory=set)

    @property
    def instants(self) -> list[datetime]:
        found = {at for at, _ in [*self.agreements, *self.debts]} | {m.at for m in self.money} | set(self.shipments)
        return sorted(found | ({self.cancelled} if self.cancelled else set()))


def facts_of(snapshot: Node, *, cards: bool) -> Facts:
    """Sort out what happened when; failed and pending money is not money. `cards`: gift cards are debts, no sales."""
    refunds = {t["id"]: r["id"] for r in snapshot.get("refunds") or [] for t in r["transactions"]}
    listed = snapshot.get("transactions") or []
    ledger = [(instant(a["happenedAt"]), a) for a in snapshot.get("agreements") or []]
    sent = [f for f in snapshot.get("fulfillments") or [] if f["status"] == "SUCCESS"]
    debts, back, unclear, plastic = [], dict[str, int](), set[str](), set[str]()
    if cards and any(_card(sale) for _, a in ledger for sale in a["sales"]):
        debts = [(at, cents(sale["totalAmount"])) for at, a in ledger for sale in a["sales"] if _card(sale)]
        back, unclear = _of_cards(snapshot)
        plastic = {s["lineItem"]["id"] for _, a in ledger for s in a["sales"] if _card(s)}
        ledger = [(at, {**a, "sales": [sale for sale in a["sales"] if not _card(sale)]}) for at, a in ledger]
        ledger = [(at, a) for at, a in ledger if a["sales"]]
    money = [
        Money(
            p["id"], instant(p["processedAt"]), DIRECTION[p["kind"]] * cents(p["amountSet"]), p["gateway"],
            bool(p.get("manualPaymentGateway")),
            refunds.get(p["id"], p["id"]) if DIRECTION[p["kind"]] < 0 else None,
            -back.get(p["id"], 0),
        )
        for p in listed
        if p["status"] == "SUCCESS" and p["kind"] in DIRECTION
    ]  # fmt: skip
    cancelled = snapshot.get("cancelledAt")
    return Facts(
        str(snapshot["id"]),
        sorted(ledger, key=lambda entry: (entry[0], _serial(entry[1]["id"]))),
        sorted(money, key=lambda entry: (entry.at, entry.cents < 0, _serial(entry.gid))),
        sorted(instant(f["createdAt"]) for f in sent if not _only(f, plastic)),
        None if cancelled is None else instant(cancelled),
        {refunds[p["id"]] for p in listed if p["status"] == "PENDING" and p["id"] in refunds},
        debts,
        unclear,
    )


def _card(sale: Node) -> bool:
    return bool(sale["lineType"] == "GIFT_CARD")


def _only(shipment: Node, lines: set[str]) -> bool:
    """A parcel of nothing but these lines."""
    packed = {part["lineItem"]["id"] for part in shipment.get("fulfillmentLineItems") or []}
    return bool(packed) and packed <= lines


def _of_cards(snapshot: Node) -> tuple[dict[str, int], set[str]]:
    """Of money that went back: how much of each transaction is for cards; and the refunds that do not say what for.

    A refund returns goods first, transaction by transaction; what is left is for the cards it took back.
    """
    parts: dict[str, int] = {}
    unclear: set[str] = set()
    agreements = snapshot.get("agreements") or []
    for refund in snapshot.get("refunds") or []:
        sold = [s for a in agreements if (a.get("refund") or {}).get("id") == refund["id"] for s in a["sales"]]
        named = {p["id"] for p in refund["transactions"]}
        listed = [p for p in snapshot["transactions"] if p["id"] in named and p["status"] in ("SUCCESS", "PENDING")]
        moved = sum(cents(p["amountSet"]) for p in listed)
        cards = -sum(cents(s["totalAmount"]) for s in sold if _card(s))
        goods = -sum(cents(s["totalAmount"]) for s in sold if not _card(s))
        loose = {str(s["lineType"]) in _LOOSE for s in sold}
        if moved and ((cards and (True in loose or moved != cards + goods)) or loose <= {True}):
            unclear.add(refund["id"])
            continue
        for payment in sorted(listed, key=lambda p: _serial(p["id"])) if cards else ():
            part = min(cents(payment["amountSet"]), goods)
            goods -= part
            parts[payment["id"]] = cents(payment["amountSet"]) - part
    return parts, unclear


def _serial(gid: str) -> tuple[int, str]:
    """Ids of equal instants in the order they were given out."""
    number = gid.rsplit("/", 1)[-1]
    return len(number), number


def goods_of(agreements: list[Node]) -> Counter[str]:
    """Gross of the goods per rate."""
    goods: Counter[str] = Counter()
    for sale in (sale for agreement in agreements for sale in agreement["sales"]):
        rates = list(taxes_of(sale))
        if sale["lineType"] == "PRODUCT" and len(rates) < 2:
            goods[rates[0] if rates else "0"] += cents(sale["totalAmount"])
    return goods


def entry_of(at: datetime, agreement: Node, goods: Mapping[str, int], tips: str | None) -> Entry:
    """Read an agreement: every sale at its rate, tips at the main rate of the goods, loose amounts spread (R4)."""
    refund = (agreement.get("refund") or {}).get("id")
    sold: Counter[Item] = Counter()
    loose = 0
    main = max(goods, key=lambda rate: (goods[rate], float(rate)), default="0")
    for sale in agreement["sales"]:
        total, taxes = cents(sale["totalAmount"]), taxes_of(sale)
        kind = str(sale["lineType"])
        item = str((sale.get("lineItem") or sale.get("shippingLine") or {}).get("id") or kind)
        if kind in _LOOSE:
            loose += total
        elif len(taxes) > 1:
            for rate, part in split(total, taxes, goods).items():
                sold[item, rate] += part
        else:
            rate = main if kind == "TIP" and tips == "main" else next(iter(taxes), "0")
            sold[item, rate] += total
    items = netted(sold)
    back = Counter({item: -part for item, part in items.items() if part < 0})
    if loose and back:  # a kept fee or a further amount belongs to what came back with it
        whole = sum(back.values())
        sign = 1 if loose > 0 else -1
        spread_out = shares(min(abs(loose), whole) if loose > 0 else -loose, back)
        items.update({item: sign * part for item, part in spread_out.items()})
        loose -= sign * sum(spread_out.values())
    elif loose > 0:  # a fee of its own
        items["FEE", main] += loose
        loose = 0
    return Entry(str(agreement["id"]), at, refund, without_zeros(items.items()), loose)


def netted(sold: Counter[Item]) -> Counter[Item]:
    """An exchange within one agreement: what came back and what went out at the same rate meet (bookkeeping 1.4)."""
    items = Counter(sold)
    for rate in per_rate(sold):
        out = [item for item in items if item[1] == rate and items[item] > 0]
        back = [item for item in items if item[1] == rate and items[item] < 0]
        for more in out:
            for less in back:
                met = min(items[more], -items[less])
                items[more] -= met
                items[less] += met
    return without_zeros(items.items())
