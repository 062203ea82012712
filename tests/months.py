"""Accounting months made record by record, as shop, books and sevdesk would each hold them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ladenbuch.domain.month import KnownOrder, ListedOrder, Month, OurDocument, TheirDocument

SINCE, UNTIL = date(2026, 10, 1), date(2026, 11, 1)
NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
START = datetime(2026, 9, 30, 22, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
RATES = (Decimal(19), Decimal(7))


def gid(number: int) -> str:
    return f"gid://shopify/Order/{number}"


@dataclass
class Desk:
    """The three lists while they are made, with the account's running numbers."""

    rng: random.Random
    listed: list[ListedOrder] = field(default_factory=list)
    known: list[KnownOrder] = field(default_factory=list)
    ours: list[OurDocument] = field(default_factory=list)
    theirs: list[TheirDocument] = field(default_factory=list)
    invoices: int = 1000
    credit_notes: int = 500
    ids: int = 70000

    def month(self, **changes: Any) -> Month:
        values: dict[str, Any] = {
            "since": SINCE, "until": UNTIL, "today": NOW.date(), "judged_until": NOW - timedelta(minutes=15),
            "go_live": datetime(2026, 1, 1, tzinfo=UTC), "shop_keys": frozenset({"s1"}), "listed": tuple(self.listed),
            "known": tuple(self.known), "ours": tuple(self.ours), "theirs": tuple(self.theirs),
            "before": frozenset({(False, "RE-1000"), (True, "GU-500")}),
        }  # fmt: skip
        return Month(**(values | changes))

    def order(self, number: int, situation: str) -> None:
        at = START + timedelta(minutes=self.rng.randrange(60 * 24 * 31 - 60))
        listed = ListedOrder(gid(5000 + number), f"#{number}", at, at + timedelta(hours=1))
        known = KnownOrder(listed.id, listed.name, "documented", None, at, listed.updated_at, True, {})
        if situation in ("waiting", "excluded"):
            code = {"waiting": "UNPAID", "excluded": "TEST"}[situation]
            known = replace(known, verdict=situation, code=code)
        else:
            known = replace(known, gross_by_rate=self.papers(known, situation))
        self.listed.append(listed)
        self.known.append(known)

    def papers(self, order: KnownOrder, situation: str) -> dict[str, int]:
        sums = self.sums()
        first = self.paper(order, "invoice", "", sums, booked=0 if situation in ("cancelled", "matched") else None)
        total = {str(rate): gross for rate, gross, _, _ in sums}
        if situation == "credited":
            back = tuple((rate, gross // 2, net // 2, gross // 2 - net // 2) for rate, gross, net, _ in sums)
            self.paper(order, "credit_note", ":cn:1:1", back)
            total = {str(rate): gross - gross // 2 for rate, gross, _, _ in sums}
        if situation == "supplemented":
            more = self.sums()
            self.paper(order, "supplementary", ":sup:9", more)
            for rate, gross, _, _ in more:
                total[str(rate)] = total.get(str(rate), 0) + gross
        if situation == "matched":  # by transfer: somebody matches it in sevdesk
            self.ours[-1] = replace(self.ours[-1], theirs=True)
            self.theirs[-1] = replace(self.theirs[-1], paid=first.gross, status=1000)
        if situation == "cancelled":
            total = self.cancelled(order, first)
        return total

    def cancelled(self, order: KnownOrder, first: OurDocument) -> dict[str, int]:
        """An unpaid invoice with its cancellation, and the smaller one written anew."""
        self.ours[-1] = replace(first, state="cancelled")
        self.theirs[-1] = replace(self.theirs[-1], status=1000, paid=0)
        self.invoices, self.ids = self.invoices + 1, self.ids + 1
        reversal = replace(
            self.theirs[-1], id=str(self.ids), kind="SR", number=f"RE-{self.invoices}", origin=first.sevdesk_id,
            gross=-self.theirs[-1].gross, net=-self.theirs[-1].net, tax=-self.theirs[-1].tax,
        )  # fmt: skip
        self.theirs.append(reversal)
        self.ours.append(
            replace(first, key=f"sr:{first.key}", kind="cancellation", sevdesk_id=reversal.id, number=None, covers=())
        )
        sums = self.sums()
        self.paper(order, "invoice", ":2", sums, booked=0, mark="~1")
        return {str(rate): gross for rate, gross, _, _ in sums}

    def sums(self) -> tuple[tuple[Decimal, int, int, int], ...]:
        made = []
        for rate in self.rng.sample(RATES, self.rng.choice((1, 2))):
            gross = self.rng.randrange(200, 20000)
            net = round(gross * 100 / (100 + int(rate)))
            made.append((rate, gross, net, gross - net))
        return tuple(made)

    def paper(
        self, order: KnownOrder, kind: str, suffix: str, sums: Any, booked: int | None = None, mark: str = ""
    ) -> OurDocument:
        credit = kind == "credit_note"
        self.ids += 1
        if credit:
            self.credit_notes += 1
        else:
            self.invoices += 1
        number = f"GU-{self.credit_notes}" if credit else f"RE-{self.invoices}"
        digits = order.id.rsplit("/", 1)[-1]
        gross, net, tax = (sum(row[place] for row in sums) for place in (1, 2, 3))
        paid = gross if booked is None else booked
        fact = f"{kind}/{digits}{suffix}" if suffix and kind != "invoice" else f"agreement/{digits}{mark}"
        day = SINCE + timedelta(days=self.rng.randrange(31))
        ours = OurDocument(
            key=f"{kind}:{digits}{suffix}", order_id=order.id, order_name=order.name, kind=kind, state="final",
            sevdesk_id=str(self.ids), number=number, note=f"{order.name} / s1:{digits}{suffix}", day=day,
            currency="EUR", tax_rule=1, sums=sums, covers=(fact,), booked=paid,
        )  # fmt: skip
        self.ours.append(ours)
        self.theirs.append(
            TheirDocument(
                id=str(self.ids), kind="CN" if credit else "RE", status=1000 if paid == gross else 200, number=number,
                note=ours.note, day=day, currency="EUR", tax_rule=1, gross=gross, net=net, tax=tax, paid=paid,
                changed_at=LONG_AGO,
            )
        )  # fmt: skip
        return ours

    def foreign(self) -> None:
        """A document a person wrote, in the same sequence of numbers."""
        self.invoices, self.ids = self.invoices + 1, self.ids + 1
        self.theirs.append(
            TheirDocument(
                str(self.ids), "RE", 200, f"RE-{self.invoices}", "Auftrag 7", SINCE, "EUR", 1, 119, 100, 19, 0,
                changed_at=LONG_AGO,
            )
        )  # fmt: skip


SITUATIONS = ("paid", "paid", "paid", "credited", "supplemented", "matched", "cancelled", "waiting", "excluded")


def desk(seed: int, orders: int = 12) -> Desk:
    made = Desk(random.Random(seed))
    for number in range(1001, 1001 + orders):
        made.order(number, made.rng.choice(SITUATIONS))
        if made.rng.random() < 0.3:
            made.foreign()
    for situation in SITUATIONS:  # each at least once, and nobody's document at the ends of the numbers
        orders += 1
        made.order(1001 + orders, situation)
    made.foreign()
    made.order(2000, "paid")
    for rows in (made.listed, made.known, made.ours, made.theirs):
        made.rng.shuffle(rows)  # type: ignore[arg-type]
    return made
