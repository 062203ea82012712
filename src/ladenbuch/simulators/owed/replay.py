"""Replaying an order's dated facts in event time: which document each instant makes due (R2-R6, bookkeeping 1.4, 3.1).

The state after the tax point: what is documented (D), what the ledger claims without additions still pending (C), what
money was kept (M). Additions become supplementary invoices at their own tax point; reductions follow money. A second
reading of the rules, independent of the product and of the generator of lives.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from ladenbuch.simulators.owed.ledger import Entry, Facts, Money, entry_of, goods_of, netted
from ladenbuch.simulators.owed.papers import CLAIMING, Item, OwedBooking, Paper, per_rate, shares, without_zeros
from ladenbuch.simulators.owed.reading import berlin_day, cents, half_cent, number_of, taxes_of


@dataclass(eq=False)
class _Refund:
    """Money that went back under one refund; `over` of it only returned what was paid too much."""

    gid: str
    money: list[Money] = field(default_factory=list)
    over: int = 0

    @property
    def due(self) -> int:
        return sum(part.card - part.cents for part in self.money) - self.over


@dataclass(eq=False)
class _Coin:
    """Money that came in and is not yet on a document."""

    money: Money
    left: int


class Replay:
    """One order. `shipped_only`: the tax point is the first shipment (rules 2, 3, 17, 21). Call `run` once."""

    def __init__(self, facts: Facts, clearing: tuple[str, ...], tips: str | None, shipped_only: bool) -> None:
        self.facts, self.clearing, self.tips, self.shipped_only = facts, clearing, tips, shipped_only
        self.papers: list[Paper] = []
        self.questions: list[str] = []
        self.tax_point: datetime | None = None
        self.closed = False  # cancelled before the tax point: nothing, ever
        self.void = False  # cancelled after it
        self.claim = self.kept = 0  # of everything but gift cards
        self.debt = 0  # gift cards sold and not paid yet
        self.cards: Counter[str] = Counter()  # what of each transaction is for gift cards
        self.goods: Counter[str] = Counter()
        self.pending: list[Entry] = []
        self.falls: list[Entry] = []
        self.refunds: list[_Refund] = []  # not yet documented
        self.coins: list[_Coin] = []

    # the state ---------------------------------------------------------------------------------------------------

    @property
    def documented(self) -> int:
        return sum(paper.rest for paper in self.papers if paper.kind in CLAIMING)

    @property
    def floor(self) -> int:
        """The claim that documents must stand for now: pending additions are not yet theirs."""
        return 0 if self.void else self.claim - sum(entry.net for entry in self.pending)

    def run(self) -> None:
        """Hear every instant's facts, then decide what they make due."""
        for moment in self.facts.instants:
            if any(money.at == moment and money.refund in self.facts.unclear for money in self.facts.money):
                self._ask("GIFT-CARD")
                return
            fresh = [node for at, node in self.facts.agreements if at == moment]
            self.claim += sum(cents(s["totalAmount"]) for node in fresh for s in node["sales"])
            self.debt += sum(gross for at, gross in self.facts.debts if at == moment)
            if self.tax_point is None:
                self._hear_money(moment)
                self._first(moment)
            else:
                for node in fresh:
                    self._enter(entry_of(moment, node, self.goods, self.tips))
                if self.facts.cancelled == moment:
                    self.void, self.pending = True, []
                self._hear_money(moment)
                self._add(moment)
                self._credit(moment)
                self._fall(moment)
            self._pay_cards()
        self._finish()

    def _hear_money(self, moment: datetime) -> None:
        for money in (money for money in self.facts.money if money.at == moment):
            if money.cents > 0:
                self.coins.append(_Coin(money, money.cents))
            elif self.tax_point is not None:
                refund = next((one for one in self.refunds if one.gid == money.refund), None)
                if refund is None:
                    refund = _Refund(str(money.refund))
                    self.refunds.append(refund)
                refund.money.append(money)
                over = min(money.card - money.cents, max(0, self.kept - max(self.documented, self.floor)))
                refund.over += over
                self._give_back(over)
            else:
                self._give_back(money.card - money.cents)
            self.kept += money.cents - money.card
            self.debt -= money.card
            self.cards[money.gid] += money.card
        self._link()

    def _give_back(self, amount: int) -> None:
        """What is on no document goes back from the newest money."""
        for coin in reversed(self.coins):
            taken = min(coin.left, amount)
            coin.left -= taken
            amount -= taken

    def _link(self) -> None:
        """Money goes to open documents, oldest to oldest."""
        for coin in self.coins:
            for paper in self.papers:
                part = min(coin.left, paper.open)
                if part > 0:
                    ours = coin.money.gateway in self.clearing
                    paper.bookings.append(OwedBooking(number_of(coin.money.gid), part, coin.money.at, ours))
                    coin.left -= part

    # up to the tax point -----------------------------------------------------------------------------------------

    def _first(self, moment: datetime) -> None:
        if self.closed:
            return
        if self.facts.cancelled is not None and self.facts.cancelled <= moment:
            self.closed = True
            return
        shipped = any(at <= moment for at in self.facts.shipments)
        if not shipped and (self.shipped_only or not 0 < self.claim + self.debt <= self.kept):
            return
        self.tax_point = moment
        sold = [(at, node) for at, node in self.facts.agreements if at <= moment]
        self.goods = goods_of([node for _, node in sold])
        entries = [entry_of(at, node, self.goods, self.tips) for at, node in sold]
        items: Counter[Item] = Counter()
        for entry in entries:
            items.update(entry.items)
        loose = -sum(entry.loose for entry in entries)
        if loose > 0:
            items.subtract(shares(loose, items))
        items = netted(items)
        if not items:
            return
        paper = Paper("invoice", "inv", items, moment, [entry.gid for entry in entries])
        sales = [sale for _, node in sold for sale in node["sales"]]
        untaxed = any(sale["lineType"] == "TIP" for sale in sales)  # then the shop's tax says nothing about a rate
        for sale in [] if untaxed else sales:
            for rate, tax in taxes_of(sale).items():
                paper.tax_by_rate[rate] = paper.tax_by_rate.get(rate, 0) + tax
                # At an exact half cent the shop rounds the tax and sevdesk the net: each is half a cent off.
                times = 2 if half_cent(cents(sale["totalAmount"]), rate) else 1
                paper.roundings[rate] = paper.roundings.get(rate, 0) + times
        self.papers.append(paper)
        self._link()

    def _pay_cards(self) -> None:
        """Once it is known what is documented: what the goods leave of the money pays the gift cards, oldest first."""
        if self.tax_point is None and not 0 < self.claim + self.debt <= self.kept:
            return
        goods = self.claim - sum(b.cents for p in self.papers for b in p.bookings) if self.tax_point else self.claim
        for coin in self.coins:
            first = max(0, min(coin.left, goods))
            goods -= first
            part = max(0, min(coin.left - first, self.debt))
            coin.left -= part
            self.kept -= part
            self.debt -= part
            self.cards[coin.money.gid] += part

    # what comes later --------------------------------------------------------------------------------------------

    def _enter(self, entry: Entry) -> None:
        """Sort an agreement after the tax point: an addition, a fall, or both at different rates."""
        up = sum(part for part in entry.items.values() if part > 0)
        down = up - sum(entry.items.values()) - entry.loose
        if up and down:
            self._ask("EXCHANGE-RATES")
        elif up:
            self.pending.append(entry)
        elif down:
            fall = Entry(entry.gid, entry.at, entry.refund, Counter(), -entry.loose)
            fall.items.update({item: -part for item, part in entry.items.items()})
            self._unadd(fall)
            if fall.net:
                self.falls.append(fall)

    def _unadd(self, fall: Entry) -> None:
        """What was added and not yet invoiced is simply removed again."""
        for addition in reversed(self.pending):
            for item in fall.items:
                met = min(fall.items[item], addition.items[item])
                fall.items[item] -= met
                addition.items[item] -= met
            addition.items = without_zeros(addition.items.items())
        fall.items = without_zeros(fall.items.items())
        self.pending = [addition for addition in self.pending if addition.net]

    def _add(self, moment: datetime) -> None:
        """Supplementary invoices: money covers the claim, or something was shipped at or after the addition (R3)."""
        covered = self.kept >= self.claim
        shipped = max((at for at in self.facts.shipments if at <= moment), default=None)
        for entry in [] if self.void else self.pending.copy():
            if covered or (shipped is not None and shipped >= entry.at):
                self.pending.remove(entry)
                key = f"sup:{number_of(entry.gid)}"
                self.papers.append(Paper("supplementary", key, Counter(entry.items), moment, [entry.gid]))
        self._link()

    def _credit(self, moment: datetime) -> None:
        """One credit note per refund and origin invoice, over exactly the money returned (R4, R6)."""
        for refund in list(self.refunds):
            if refund.gid in self.facts.unsettled:
                continue
            if refund.due <= 0:
                self.refunds.remove(refund)
                continue
            if refund.due > self.documented - max(0, self.floor):
                continue
            used = self._released(refund)
            if used is None:
                continue
            self.refunds.remove(refund)
            corrected = self._attribute(used)
            moved = self._back_on(refund)
            for number, paper in enumerate((p for p in self.papers.copy() if p in corrected), 1):
                items = Counter({("", rate): part for rate, part in corrected[paper].items() if part})
                gids = [refund.gid, *(money.gid for money in refund.money)]
                note = Paper("credit_note", f"cn:{number_of(refund.gid)}:{number}", items, moment, gids, paper.key)
                note.bookings = _portion(moved, note.gross)
                self.papers.append(note)

    def _back_on(self, refund: _Refund) -> list[OwedBooking]:
        """The refund's money without what only returned an overpayment."""
        over, found = refund.over, []
        for money in refund.money:
            amount = -money.cents
            skipped = min(over, amount)
            over -= skipped
            if amount > skipped:
                ours = money.gateway in self.clearing
                found.append(OwedBooking(number_of(money.gid), skipped - amount, money.at, ours))
        return found

    def _released(self, refund: _Refund) -> list[tuple[Entry, int]] | None:
        """The falls this money releases: the refund's own, then the oldest free ones; None when they are short."""
        own = [fall for fall in self.falls if fall.refund == refund.gid]
        free = [fall for fall in self.falls if fall.refund is None]
        left, used = refund.due, []
        for fall in own + free:
            part = min(left, fall.net)
            if part > 0:
                used.append((fall, part))
                left -= part
        if left and self.void:  # everything is void, the ledger need not say so
            used.append((Entry(refund.gid, refund.money[-1].at, refund.gid, Counter(), left), left))
            left = 0
        return None if left else used

    def _attribute(self, used: list[tuple[Entry, int]]) -> dict[Paper, Counter[str]]:
        """Which document is corrected at which rate: the one that covers the item, else the newest first (R6)."""
        corrected: dict[Paper, Counter[str]] = {}
        newest = [paper for paper in reversed(self.papers) if paper.rest]

        def correct(paper: Paper, rates: Counter[str]) -> int:
            corrected.setdefault(paper, Counter()).update(rates)
            return sum(rates.values())

        for fall, amount in used:
            parts = shares(min(amount, sum(fall.items.values())), fall.items)
            for item, part in parts.items():
                fall.items[item] -= part
                for key in (item, None):
                    for paper in newest:
                        part -= correct(paper, Counter({item[1]: paper.take(item[1], part, key)}))
                amount -= parts[item] - part
            fall.loose -= min(fall.loose, amount)
            for paper in newest:
                amount -= correct(paper, paper.take_any(amount))
            fall.items = without_zeros(fall.items.items())
        self.falls = [fall for fall in self.falls if fall.net]
        return {paper: rates for paper, rates in corrected.items() if sum(rates.values())}

    def _fall(self, moment: datetime) -> None:
        """The unpaid part falls at once: cancellation and a new invoice where nothing is paid on it (R5)."""
        if self._unpaid() <= 0:
            return
        if self.void:
            for paper in [paper for paper in self.papers if paper.open > 0 and not paper.bookings]:
                self._cancel(paper, moment, Counter(paper.left), [f"{self.facts.order}#cancelled"])
            return
        for fall in self.falls.copy():
            target = self._unpaid_paper(fall)
            if target is not None:
                self.falls.remove(fall)
                gone = per_rate(fall.items) if fall.items else target.take_any(fall.loose)
                self._cancel(target, moment, gone, [fall.gid])

    def _unpaid(self) -> int:
        """How much is documented, no longer claimed, and was never paid."""
        waiting = sum(refund.due for refund in self.refunds)
        return self.documented - max(self.floor, min(self.documented, self.kept)) - waiting

    def _unpaid_paper(self, fall: Entry) -> Paper | None:
        """The document the fall belongs to, when nothing was paid on it and the whole fall fits."""
        rates = per_rate(fall.items)
        for exact in (True, False):
            for paper in reversed(self.papers):
                covers = all(paper.covered[item] >= part for item, part in fall.items.items())
                fits = all(paper.left[rate] >= part for rate, part in rates.items()) and paper.rest >= fall.net
                if paper.rest and fits and (covers or not exact):
                    return None if paper.bookings else paper
        return None

    def _cancel(self, paper: Paper, moment: datetime, gone: Counter[str], facts: list[str]) -> None:
        """Take a document back; what is left of it is invoiced anew."""
        rest = Counter(paper.covered)
        for rate, part in gone.items():
            same = Counter({item: cents for item, cents in rest.items() if item[1] == rate and cents > 0})
            rest.subtract(shares(min(part, sum(same.values())), same))
        paper.cancelled = True
        number = sum(one.kind == "cancellation" for one in self.papers) + 1
        self.papers.append(Paper("cancellation", f"sr:{number}", Counter(paper.items), moment, facts, paper.key))
        rest = without_zeros(rest.items())
        if rest:
            rests_on = [*paper.rests_on, *facts]
            self.papers.append(Paper(paper.kind, f"{paper.key}/{number + 1}", rest, moment, rests_on, paper.key))
        self._link()

    # the end -----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        if any(refund.due > 0 and refund.gid not in self.facts.unsettled for refund in self.refunds):
            self._ask("REFUND-NOT-IN-LEDGER")
        if self._unpaid() > 0:
            self._ask("OFFSET")
        if self.kept > max(self.documented, 0 if self.void else self.claim) and not self.closed:
            self._ask("OVERPAID")

    def _ask(self, code: str) -> None:
        if code not in self.questions:
            self.questions.append(code)

    def prepaid_over_a_month_end(self) -> bool:
        """Whether a month ended in Germany with a part of the price kept and the tax point still to come (3.1)."""
        until = self.tax_point or max(self.facts.instants)
        last = berlin_day(until)
        kept, month = 0, (0, 0)
        for money in self.facts.money:
            day = berlin_day(money.at)
            if money.at > until or (kept > 0 and (day.year, day.month) != month):
                break
            kept, month = kept + money.cents, (day.year, day.month)
        return kept > 0 and month != (last.year, last.month)


def _portion(moved: list[OwedBooking], amount: int) -> list[OwedBooking]:
    """The next `amount` cents of negative bookings; shortens `moved`."""
    found = []
    while amount and moved:
        first = moved.pop(0)
        part = min(amount, -first.cents)
        found.append(OwedBooking(first.transaction, -part, first.at, first.clearing))
        if part < -first.cents:
            moved.insert(0, OwedBooking(first.transaction, first.cents + part, first.at, first.clearing))
        amount -= part
    return found
