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
    """A successful movement, signed; `refund` is the gid of the refund it belongs to (its own where there is none)."""

    gid: str
    at: datetime
    cents: int
    gateway: str
    manual: bool
    refund: str | None


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
    """The dated facts of one snapshot, each list in event time."""

    order: str
    agreements: list[tuple[datetime, Node]]
    money: list[Money]
    shipments: list[datetime]
    cancelled: datetime | None
    unsettled: set[str]  # refunds with money still on its way

    @property
    def instants(self) -> list[datetime]:
        found = {at for at, _ in self.agreements} | {m.at for m in self.money} | set(self.shipments)
        return sorted(found | ({self.cancelled} if self.cancelled else set()))


def facts_of(snapshot: Node) -> Facts:
    """Sort out what happened when; failed and pending money is not money."""
    refunds = {t["id"]: r["id"] for r in snapshot.get("refunds") or [] for t in r["transactions"]}
    listed = snapshot.get("transactions") or []
    money = [
        Money(
            p["id"], instant(p["processedAt"]), DIRECTION[p["kind"]] * cents(p["amountSet"]), p["gateway"],
            bool(p.get("manualPaymentGateway")),
            refunds.get(p["id"], p["id"]) if DIRECTION[p["kind"]] < 0 else None,
        )
        for p in listed
        if p["status"] == "SUCCESS" and p["kind"] in DIRECTION
    ]  # fmt: skip
    ledger = [(instant(a["happenedAt"]), a) for a in snapshot.get("agreements") or []]
    cancelled = snapshot.get("cancelledAt")
    return Facts(
        str(snapshot["id"]),
        sorted(ledger, key=lambda entry: (entry[0], _serial(entry[1]["id"]))),
        sorted(money, key=lambda entry: (entry.at, entry.cents < 0, _serial(entry.gid))),
        sorted(instant(f["createdAt"]) for f in snapshot.get("fulfillments") or [] if f["status"] == "SUCCESS"),
        None if cancelled is None else instant(cancelled),
        {refunds[p["id"]] for p in listed if p["status"] == "PENDING" and p["id"] in refunds},
    )


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
