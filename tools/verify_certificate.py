"""Prove orders from raw data alone: `python tools/verify_certificate.py --order FILE --sevdesk FILE-OR-FOLDER`.

The order is what `ladenbuch fetch ORDER --json` prints (or a list of them), sevdesk's side what its API lists: Invoice,
InvoicePos, CreditNote, CreditNotePos, CheckAccountTransaction, in any number of JSON files. `--gateways a,b` names
those whose money is booked from Shopify (default: all that are not manual), `--json` prints the whole proof. Exit 0:
everything holds, 1: sentences say what does not, 2: usage. What is proved, by which rules, and what cannot be seen from
here: docs/explanation/certificate.md. R3, R21: rules named there.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

KINDS = ("Invoice", "InvoicePos", "CreditNote", "CreditNotePos", "CheckAccountTransaction")
DIRECTION = {"SALE": 1, "CAPTURE": 1, "REFUND": -1, "CHANGE": -1}
NOTE, LINE = re.compile(r"(?:^| / )[\w-]+:(\d+)((?::\w+)*)$"), re.compile(r"\bSHPTX[ -](\d+)(/\d+)?(?![\d/])")
EU = re.compile("AT|BE|BG|HR|CY|CZ|DK|EE|FI|FR|GR|HU|IE|IT|LV|LT|LU|MT|NL|PL|PT|RO|SK|SI|ES|SE")
AT_SUPPLY = {"2", "3", "17", "21"}  # tax rules that hang on the goods' movement: their tax point is the shipment
OUTSIDE = ("27498", "78266")  # Helgoland and Büsingen: German, but not of its VAT territory
Node = dict[str, Any]
Rates = Counter[Decimal]


def cents(value: Any) -> int:
    """An amount (number, text, or Shopify's money bag) in cents; ValueError where it is finer."""
    amount = Decimal(str((value["shopMoney"]["amount"] if isinstance(value, dict) else value) or 0)) * 100
    if amount != amount.to_integral_value():
        raise ValueError(f"{value} is finer than a cent")
    return int(amount)


def half_up(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def day(value: Any) -> date:
    """The day in Germany of an instant, or of a date as sevdesk writes it; `date.min` where there is none."""
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value or "0001-01-01")
    return at.astimezone(ZoneInfo("Europe/Berlin")).date() if at.tzinfo else at.date()


def number(gid: Any) -> str:
    return str(gid["id"] if isinstance(gid, dict) else gid or "").rsplit("/", 1)[-1]


def percent(value: Any) -> Decimal:
    return Decimal(str(value)).normalize()


def nodes(value: Any) -> list[Node]:
    """A connection, however it is written."""
    if isinstance(value, dict):
        return list(value["nodes"]) if "nodes" in value else [edge["node"] for edge in value.get("edges", [])]
    return list(value or [])


def euro(amount: int) -> str:
    return f"{Decimal(amount) / 100:.2f}"


def shown(rates: Rates) -> str:
    return ", ".join(f"{euro(rates[rate])} at {rate:f} %" for rate in sorted(rates) if rates[rate]) or "0.00"


class Document:
    """An invoice, cancellation or credit note as sevdesk has it. Only of an order's own more than the head is read."""

    def __init__(self, raw: Node, positions: Iterable[Node]) -> None:
        self.raw, self.positions = raw, list(positions)
        self.id, self.reversal, self.status = str(raw["id"]), raw.get("invoiceType") == "SR", int(raw["status"])
        kind, self.credit = ("creditNote", True) if raw["objectName"] == "CreditNote" else ("invoice", False)
        self.title = f"{'cancellation' if self.reversal else kind} {raw.get(kind + 'Number')} (id {self.id})"
        origin = raw.get("refSrcInvoice") or raw.get("origin") or {}
        self.origin = number(origin) if origin.get("objectName") == "Invoice" else ""
        found = NOTE.search(str(raw.get("customerInternalNote") or ""))
        self.order, self.tail = (str(found[1]), str(found[2]).split(":")[1:]) if found else ("", [])
        self.covers = self.credit, self.reversal, self.tail, self.origin

    def measure(self) -> None:
        """Read dates and sums; `wrong` is what does not add up in itself."""
        raw = self.raw
        self.day = day(raw["creditNoteDate" if self.credit else "invoiceDate"])
        self.delivered = day(raw.get("deliveryDate"))
        self.gross, self.paid, self.rule = cents(raw["sumGross"]), cents(raw["paidAmount"]), number(raw["taxRule"])
        self.rates, self.tax, self.count, self.wrong, whole = Rates(), Rates(), Rates(), list[str](), [0, 0, 0]
        for item in self.positions:
            rate, quantity, price = (Decimal(str(item[name])) for name in ("taxRate", "quantity", "price"))
            gross = half_up(quantity * price * (100 - Decimal(str(item.get("discount") or 0))))
            net = half_up(Decimal(gross) * 100 / (100 + rate))  # as measured: per position, rounded half up
            said = [cents(item[name]) for name in ("sumGross", "sumNet", "sumTax")]
            if said != [gross, net, gross - net]:
                made = " / ".join(map(euro, said))
                self.wrong.append(f"{item['name']!r} has sums {made}, it costs {euro(gross)} at {rate:f} %")
            whole = [total + part for total, part in zip(whole, said, strict=True)]
            for rates, part in ((self.rates, said[0]), (self.tax, said[2]), (self.count, said[0] != 0)):
                rates[percent(rate)] += part
        if (sums := [cents(raw[name]) for name in ("sumGross", "sumNet", "sumTax")]) != whole:
            said_sums, made_sums = (" / ".join(map(euro, one)) for one in (sums, whole))
            self.wrong.append(f"its sums say {said_sums}, its positions {made_sums}")
        if raw["currency"] != "EUR" or str(raw["showNet"]) not in ("0", "False"):
            self.wrong.append("it is not in EUR at gross prices")


def objects(value: Any) -> Iterator[Node]:
    """Everything sevdesk listed, however it is wrapped."""
    if isinstance(value, dict) and value.get("objectName") in KINDS and "id" in value:
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from objects(part)


class Sevdesk:
    """The documents with their positions, and the account lines; an object on two pages counts once."""

    def __init__(self, material: Any) -> None:
        kept = {(str(item["objectName"]), str(item["id"])): item for item in objects(material)}
        positions: dict[tuple[str, str], list[Node]] = {key: [] for key in kept}
        for (kind, _), item in kept.items():
            if kind.endswith("Pos"):
                owner = item[kind[0].lower() + kind[1:-3]]
                positions.setdefault((kind[:-3], number(owner)), []).append(item)
        self.documents = [Document(item, positions[key]) for key, item in kept.items() if key[0] in KINDS[:3:2]]
        lines = [item for (kind, _), item in kept.items() if kind == KINDS[4] and not item.get("deletedAt")]
        self.lines = [(match, item) for item in lines if (match := LINE.search(str(item.get("paymtPurpose") or "")))]


class Move(NamedTuple):
    """Money that moved, signed; `refund` is the number of the refund it belongs to."""

    at: datetime
    id: str
    cents: int
    gateway: str
    manual: bool
    refund: str


class Order:
    """The dated facts of an order, as Shopify tells them."""

    def __init__(self, envelope: Node) -> None:
        envelope = envelope.get("data") or envelope
        self.raw: Node = envelope.get("order") or envelope
        parts = {**self.raw, **{name: part for name, part in envelope.items() if part is not None}}
        self.id, self.name, self.gaps = number(self.raw), str(self.raw["name"]), parts.get("gaps")
        self.agreements = sorted(nodes(parts["agreements"]), key=lambda item: (self.when(item), int(number(item))))
        refunds = {number(tx): number(one) for one in nodes(parts.get("refunds")) for tx in nodes(one["transactions"])}
        listed = nodes(parts["transactions"])
        self.moves = sorted(
            Move(
                datetime.fromisoformat(item.get("processedAt") or item["createdAt"]), number(item),
                DIRECTION[item["kind"]] * cents(item["amountSet"]), item["gateway"],
                bool(item.get("manualPaymentGateway")), refunds.get(number(item), number(item)),
            )
            for item in listed if item["status"] == "SUCCESS" and item["kind"] in DIRECTION and not item.get("test")
        )  # fmt: skip
        self.pending = {refunds.get(number(item)) for item in listed if item["status"] == "PENDING"}
        sent = [item for item in nodes(parts.get("fulfillments")) if item["status"] == "SUCCESS"]
        self.shipments = sorted(datetime.fromisoformat(item["createdAt"]) for item in sent)
        self.cancelled = datetime.fromisoformat(self.raw["cancelledAt"]) if self.raw.get("cancelledAt") else None
        self.kept, self.claim = sum(move.cents for move in self.moves), self.total(self.agreements)
        to = self.raw.get("shippingAddress") or self.raw.get("billingAddress") or {}
        self.country = "" if to.get("zip") in OUTSIDE else str(to.get("countryCodeV2"))
        self.untaxed = not any(nodes(sale["taxes"]) for sale in self.sales(self.agreements))

    def when(self, agreement: Node) -> datetime:
        return datetime.fromisoformat(agreement["happenedAt"])

    def sales(self, agreements: Iterable[Node]) -> list[Node]:
        return [sale for item in agreements for sale in nodes(item["sales"])]

    def total(self, agreements: Iterable[Node]) -> int:
        return sum(cents(sale["totalAmount"]) for sale in self.sales(agreements))

    def point(self, start: datetime | None, shipped_only: bool = False) -> tuple[datetime, date] | None:
        """When tax arises from `start` on (UStG §13: goods leave, or the money is complete), and the day to print."""
        moments = {*map(self.when, self.agreements), *(move.at for move in self.moves), *self.shipments}
        for at in sorted(moment for moment in moments if start is None or moment >= start):
            if at in self.shipments:
                return at, day(at)
            kept = sum(move.cents for move in self.moves if move.at <= at)
            if not shipped_only and 0 < self.total(item for item in self.agreements if self.when(item) <= at) <= kept:
                return at, day(max((move.at for move in self.moves if move.cents > 0 and move.at <= at), default=at))
        return None

    def taken_back(self, agreement: Node, until: datetime) -> list[Node]:
        """What only takes back again what an addition had added, before the addition's own tax point."""
        after = [item for item in self.agreements if self.when(agreement) < self.when(item) <= until]
        lines = {number(sale.get("lineItem")) for sale in self.sales([agreement])}
        less = [item for item in after if self.total([item]) < 0]
        return [item for item in less if {number(sale.get("lineItem")) for sale in self.sales([item])} <= lines]

    def rules(self, rates: Iterable[Decimal]) -> set[str]:
        """sevdesk's tax rules that a document with these rates may have where the goods go."""
        taxed = {rate for rate in rates if rate}
        german, abroad = {"1"} if taxed <= {Decimal(19), Decimal(7)} else set[str](), EU.fullmatch(self.country)
        if self.country == "DE":
            return german if taxed else {"1", "4", "5", "11"}
        if taxed:
            return {"18", "19", "20"} | german if abroad else set()
        return {"3", "11", "17", "21"} if abroad else {"2", "11", "17"}


class Proof:
    """The identities of one order. `failures` are sentences; `coverage` says of each fact what became of it."""

    def __init__(self, order: Order, sevdesk: Sevdesk, gateways: set[str] | None = None) -> None:
        self.order, self.failures, self.coverage = order, list[str](), dict[str, str]()
        self.gateways = {move.gateway for move in order.moves if not move.manual} if gateways is None else gateways
        self.must(not order.gaps, f"parts of the order could not be read: {order.gaps}")
        self.documents = [item for item in sevdesk.documents if item.order == order.id and item.status >= 200]
        for item in self.documents:
            item.measure()
        self.cancelled = {item.origin for item in self.documents if item.reversal}
        claims = [item for item in self.documents if not item.credit and not item.reversal]
        self.invoices = [item for item in claims if item.id not in self.cancelled]
        self.credits = [item for item in self.documents if item.credit]
        at_supply = order.untaxed and order.country != "DE"
        self.point = order.point(None, claims[0].rule in AT_SUPPLY if claims else at_supply)
        before = order.cancelled is not None and (self.point is None or order.cancelled <= self.point[0])
        self.void, quiet = order.cancelled is not None and not before, not order.moves
        out = {"a test order": order.raw.get("test"), "sold at the till": order.raw.get("sourceName") == "pos"}
        out |= {"nothing was charged": quiet and not order.claim, "cancelled before anything moved": quiet and before}
        self.excluded = next((reason for reason, found in out.items() if found), "")
        self.strangers(sevdesk.documents)
        for item in self.documents:
            self.document(item)
        reason = "" if self.point else "waiting: neither paid in full nor shipped"
        reason = f"ignored: {self.excluded}" if self.excluded else reason
        self.must(not (claims and reason), f"there is an invoice, and the order is {reason}")
        self.coverage |= dict.fromkeys((item["id"] for item in order.agreements), reason or "attention")
        self.waiting = 0 if reason or self.point is None else self.invoiced(*self.point)
        held = self.refunds() if claims else 0
        self.money(sevdesk)
        self.balance(held, bool(claims))

    def must(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.failures.append(sentence)

    def strangers(self, documents: list[Document]) -> None:
        """Documents that point at the order without naming it in their note, and drafts."""
        name = re.compile(rf"(?<![\w#]){re.escape(self.order.name)}(?!\w)|{self.order.id}")
        mine = {item.id for item in self.documents if not item.credit}
        for item in documents:
            text = f"{item.raw.get('customerInternalNote')} {item.raw.get('headText')}"
            points = item.origin in mine or (not item.order and name.search(text))
            if item.order == self.order.id:
                self.must(item.status >= 200, f"{item.title} is still a draft")
            else:
                self.must(not points, f"{item.title} is a stranger: its note does not name this order")

    def document(self, item: Document) -> None:
        """A document in itself, and against the invoice it corrects."""
        self.failures += [f"{item.title}: {sentence}" for sentence in item.wrong]
        settled = {200: item.paid == 0, 750: 0 < item.paid < item.gross, 1000: item.paid == item.gross}
        self.must(
            item.reversal or item.id in self.cancelled or settled.get(item.status, False),
            f"{item.title}: {euro(item.paid)} of {euro(item.gross)} are paid, its status is {item.status}",
        )
        gone = [one for one in self.documents if one.id in self.cancelled and not one.credit]
        standing = [one for one in self.documents if one not in gone and one.covers == item.covers]
        self.must(item not in standing[1:], f"{item.title} is double: {[one.title for one in standing]} cover the same")
        dates = f"{item.title} is dated {item.day}, its delivery {item.delivered}"
        bare = item.reversal and item.delivered == date.min  # sevdesk writes cancellations, not we
        self.must(bare or date.min < item.delivered <= item.day, dates)
        written = max(day(item.raw["create"]), item.delivered)
        self.must(
            abs((item.day - written).days) <= 1, f"{item.title} is dated {item.day}, and was written on {written}"
        )
        if not (item.credit or item.reversal):
            rules = self.order.rules(item.rates)
            says = f"{item.title} has tax rule {item.rule}, its place and rates allow {sorted(rules)}"
            self.must(item.rule in rules, says)
            return
        origin = next((one for one in self.documents if one.id == item.origin and not one.credit), None)
        if origin is None:
            self.failures.append(f"{item.title} corrects {item.origin or 'nothing'}, which is no invoice of this order")
            return
        for what, mine, theirs in (
            ("tax rule", item.rule, origin.rule),
            ("delivery", str(item.delivered), str(origin.delivered)),
        ):
            self.must(
                mine == theirs or (bare and what == "delivery"),
                f"{item.title} has {what} {mine}, {origin.title} has {theirs}",
            )
        taken = Rates()
        for other in (one for one in self.documents if one.origin == origin.id):
            taken.update({rate: abs(gross) for rate, gross in other.rates.items()})
        says = f"{origin.title} carries {shown(origin.rates)}, its corrections take {shown(taken)}"
        self.must(all(0 < taken[rate] <= origin.rates[rate] for rate in taken), says)
        self.must(not item.reversal or taken == origin.rates, f"{says} by cancelling")

    def equal(self, title: str, documents: list[Document], agreements: list[Node], sign: int = 1) -> None:
        """(1): the gross per rate is that of the ledger entries, and their tax but for rounding (R21)."""
        due, tax, roundings, made, made_tax, count = (Rates() for _ in range(6))
        loose, at = 0, set[Decimal]()  # what has no rate of its own: tips, fees, a price with several taxes
        for sale in self.order.sales(agreements):
            total, taxes = sign * cents(sale["totalAmount"]), nodes(sale["taxes"])
            rates = {percent(one["taxLine"]["ratePercentage"]): sign * cents(one["amount"]) for one in taxes}
            for rate, part in rates.items():
                tie = (2 * total * rate) % (100 + rate) == 0 != (total * rate) % (100 + rate)
                tax[rate], roundings[rate] = tax[rate] + part, roundings[rate] + (total != 0) + tie
                near = len(rates) > 1 or abs(part * (100 + rate) - total * rate) <= 100 + rate
                self.must(near, f"{title}: the shop's tax of {euro(part)} is not {rate:f} % of {euro(total)}")
            if len(rates) > 1 or (not rates and sale["lineType"] in ("TIP", "FEE", "ADJUSTMENT")):
                loose, at = loose + total, at | (rates.keys() or {Decimal(-1)})
            else:
                due[next(iter(rates), Decimal(0))] += total
        for document in documents:
            for rates_of, more in ((made, document.rates), (made_tax, document.tax), (count, document.count)):
                rates_of.update(more)
        rest = {rate: made[rate] - due[rate] for rate in {*made, *due} if made[rate] != due[rate]}
        fits = sum(rest.values()) == loose and (Decimal(-1) in at or rest.keys() <= at)
        extra = f" and {euro(loose)} to spread" if loose else ""
        self.must(fits, f"{title}: the documents carry {shown(made)}, the facts {shown(due)}{extra}")
        for rate in {*made_tax, *tax} if fits and Decimal(-1) not in at else ():
            near = 2 * abs(made_tax[rate] - tax[rate]) <= max(count[rate], roundings[rate]) + 1
            says = f"the tax at {rate:f} % is {euro(made_tax[rate])}, the shop's {euro(tax[rate])} (R21)"
            self.must(near, f"{title}: {says}")

    def invoiced(self, at: datetime, delivered: date) -> int:
        """The first invoice folds the ledger up to the tax point, each addition has its own. Returns what waits."""
        order, waiting = self.order, 0
        named = {item.tail[1]: item for item in self.invoices if item.tail[:1] == ["sup"]}
        first = [item for item in self.invoices if item not in named.values()]
        folded = [item for item in order.agreements if order.when(item) <= at]
        if self.cancelled:  # written anew over what was owed then: the fold that has its amount
            free = [item for item in order.agreements if number(item) not in named]
            folds = [free[:index] for index in range(len(folded), len(free) + 1)]
            folded = next((one for one in folds if order.total(one) == sum(item.gross for item in first)), folded)
        if first or not self.cancelled:
            self.equal("the first invoice" if first else "there is no invoice", first, folded)
        dues = [(item, at, delivered, folded) for item in first]
        for agreement in [item for item in order.agreements if item not in folded]:
            own, total = order.point(order.when(agreement)), order.total([agreement])
            document = named.pop(number(agreement), None)
            if document is not None and own is not None:
                whole = [agreement, *order.taken_back(agreement, own[0])]
                self.equal(document.title, [document], whole)
                dues.append((document, *own, whole))
            elif total > 0 and own is None and not self.void and not document:
                waiting += total
                self.coverage[agreement["id"]] = "waiting: added, and neither paid nor shipped"
            else:
                self.must(document is None, f"{agreement['id']} is invoiced, and neither paid nor shipped")
                self.coverage[agreement["id"]] = "covered by the balance" if total else "ignored: it changes no amount"
        self.failures += [f"{item.title} names an addition the order does not have" for item in named.values()]
        for item, moment, due, agreements in dues:
            self.coverage |= dict.fromkeys((one["id"] for one in agreements), f"covered by {item.title}")
            self.must(item.delivered == due, f"{item.title} says delivery on {item.delivered}, the facts say {due}")
            self.must(
                item.day >= day(moment), f"{item.title} is dated {item.day}, before its tax point on {day(moment)}"
            )
        return waiting

    def refunds(self) -> int:
        """Credit notes carry exactly the money that went back, at the rates of what came back. Returns what waits."""
        order, at = self.order, self.point[0] if self.point else None
        inside = missing = held = 0
        keys = {move.refund for move in order.moves if move.cents < 0}
        for key in sorted(keys):
            moves = [move for move in order.moves if move.cents < 0 and move.refund == key]
            ledger = [item for item in order.agreements if number(item.get("refund")) == key]
            notes = [item for item in self.credits if item.tail[:2] == ["cn", key]]
            back, carried = -sum(move.cents for move in moves), sum(item.gross for item in notes)
            if at and ledger and all(order.when(item) <= at for item in ledger):
                inside, status = inside + back, "ignored: before the tax point, the invoice is smaller by it"
            elif key in order.pending:
                held, status = held + back, "waiting: a part of its money is on its way"
            else:
                missing += back - carried
                status = (
                    f"covered by {', '.join(item.title for item in notes)}"
                    if notes
                    else "ignored: paid too much before"
                )
            self.coverage[f"refund {key}"] = status
            self.must(carried <= back, f"refund {key} gave back {euro(back)}, its credit notes carry {euro(carried)}")
            self.must(all(item.day >= day(moves[-1].at) for item in notes), f"a credit note is older than refund {key}")
            whole = not any(sale["lineType"] in ("ADJUSTMENT", "FEE") for sale in order.sales(ledger))
            if notes and whole and order.total(ledger) == -back == -carried:
                self.equal(f"refund {key}", notes, ledger, -1)
        for item in self.credits:
            named = item.tail[:1] == ["cn"] and item.tail[1] in keys
            self.must(named, f"{item.title} names no refund whose money went back")
        came = sum(move.cents for move in order.moves if move.cents > 0) - inside
        over = max(0, came - sum(item.gross for item in self.invoices))
        says = f"{euro(missing)} went back and stand on no credit note, {euro(over)} were paid too much"
        self.must(missing <= over, says)
        return held

    def money(self, sevdesk: Sevdesk) -> None:
        """(2): each movement stands on its account, whole or in parts, and what is linked is what is paid."""
        linked, elsewhere, self.loose = Counter[bool](), Counter[bool](), 0
        ids = {move.id for move in self.order.moves}
        for match, item in sevdesk.lines:
            named = f"order:{self.order.id}" in item["paymtPurpose"].split()
            says = f"line {match[0]} over {item['amount']} is no transaction of the order"
            self.must(match[1] in ids or not named, says)
        for move in self.order.moves:
            lines = [(match[2], item) for match, item in sevdesk.lines if match[1] == move.id]
            amounts, what = [cents(item["amount"]) for _, item in lines], f"transaction {move.id} of {euro(move.cents)}"
            if move.gateway not in self.gateways and not lines:
                elsewhere[move.cents > 0] += abs(move.cents)
                self.coverage[move.id] = f"ignored: money of {move.gateway} is not booked from Shopify"
                continue
            right = sum(amounts) == move.cents and all(part * move.cents > 0 for part in amounts)
            self.must(right or bool(self.excluded), f"{what} stands with {' + '.join(map(euro, amounts)) or 'nothing'}")
            self.must(len({part for part, _ in lines}) == len(lines), f"{what} stands {len(lines)} times on an account")
            days = {day(item["valueDate"]) for _, item in lines} - {day(move.at)}
            self.must(not days, f"{what} is dated {', '.join(map(str, days))} instead of {day(move.at)}")
            done = sum(cents(item["amount"]) for _, item in lines if str(item["status"]) in ("200", "400"))
            linked[move.cents > 0] += abs(done)
            self.loose += move.cents - done
            self.coverage[move.id] = "covered: linked" if done else "waiting: on its account, not linked"
        paid = {True: sum(item.paid for item in self.invoices), False: sum(item.paid for item in self.credits)}
        for incoming, amount in paid.items():
            what = "invoices" if incoming else "credit notes"
            says = f"{what} have {euro(amount)} paid, {euro(linked[incoming])} are linked"
            self.must(0 <= amount - linked[incoming] <= elsewhere[incoming], says)
        self.paid = paid[True] - paid[False]
        self.elsewhere = elsewhere[True] - elsewhere[False] - self.paid + linked[True] - linked[False]

    def balance(self, held: int, invoiced: bool) -> None:
        """(3): what is documented is claimed or still paid for (R3), and what is open has a cause."""
        kept, claim = self.order.kept, self.order.claim - self.waiting
        documented = sum(item.gross for item in self.invoices) - sum(item.gross for item in self.credits)
        claim, self.open = min(claim, kept) if self.void else claim, documented - self.paid
        says = f"documents stand for {euro(documented)}, {euro(claim)} are claimed, {euro(kept)} were paid"
        if invoiced:
            self.must(documented == max(claim, min(documented, kept + held)), says)
            self.must(kept <= max(documented, self.order.claim), f"too much was paid: {says}")
            says = f"{euro(self.open)} are open, {euro(self.loose)} of our money are not linked"
            self.must(self.open <= 0 or self.loose <= 0, says)
        causes = {
            "not paid yet": documented > kept,
            "money booked elsewhere": self.elsewhere,
            "money that is not linked yet": self.loose,
            "money that waits for its document": documented < kept,
        }
        self.causes = [cause for cause, found in causes.items() if found and self.open]
        self.must(not self.open or bool(self.causes), f"{euro(self.open)} are open without a cause")

    def as_json(self) -> Node:
        holds, titles = not self.failures, [item.title for item in self.documents]
        return {"order": self.order.name, "holds": holds, "failures": self.failures, "documents": titles,
                "open_minor": self.open, "open_causes": self.causes, "coverage": self.coverage}  # fmt: skip


def read(path: Path) -> Any:
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    found = [json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal) for file in files]
    return found if path.is_dir() else found[0]


def told(proof: Node) -> str:
    sentences = proof["failures"] or [f"holds ({', '.join(proof['documents']) or 'no document'})"]
    return "\n".join(f"{proof['order']}: {sentence}" for sentence in sentences)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Prove orders from raw Shopify and raw sevdesk JSON.")
    parser.add_argument("--order", type=Path, required=True)
    parser.add_argument("--sevdesk", type=Path, required=True)
    parser.add_argument("--gateways", type=lambda text: set(text.split(",")))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    try:
        orders, sevdesk = read(given.order), Sevdesk(read(given.sevdesk))
        listed = orders if isinstance(orders, list) else [orders]
        proofs = [Proof(Order(one), sevdesk, given.gateways).as_json() for one in listed]
    except (OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        print(f"not readable as raw orders and raw sevdesk objects: {problem!r}", file=sys.stderr)  # noqa: T201
        return 2
    text = json.dumps(proofs if isinstance(orders, list) else proofs[0], ensure_ascii=False, indent=1)
    print(text if given.json else "\n".join(map(told, proofs)))  # noqa: T201
    return 0 if all(proof["holds"] for proof in proofs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
