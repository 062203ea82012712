"""Prove orders from raw Shopify and raw sevdesk JSON alone (docs/explanation/certificate.md); exits 0, 1 or 2."""

import argparse
import json
import re
from collections import Counter, defaultdict
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

HEADS, LINE, NOTE = ("Invoice", "CreditNote"), "CheckAccountTransaction", "customerInternalNote"
FIELDS = {**dict.fromkeys(HEADS, NOTE), "InvoicePos": "invoice", "CreditNotePos": "creditNote", LINE: "paymtPurpose"}
NAMED = re.compile(r"(?:\bSHPTX[ -]|(?:^| / )[\w.-]+:)(\d+)(?:(?:/\d+)?(?![\d/:])|(?::\w+)*$)")
SUMS, MONEY = ("sumGross", "sumNet", "sumTax"), {"SALE": 1, "CAPTURE": 1, "REFUND": -1, "CHANGE": -1}
UNION = "None|AT|BE|BG|HR|CY|CZ|DK|EE|FI|FR|GR|HU|IE|IT|LV|LT|LU|MT|NL|PL|PT|RO|SK|SI|ES|SE|MC|XI|GBBT"
# The first that fits country and postal code (None: redacted): sevdesk's tax rules there, without tax and with it.
RULES = (("DE(?!27498|78266|8238)", "1 4 5 11", "1"), (UNION, "2 3 11 17 21", "1 18 19 20"), ("", "2 11 17", ""))
BERLIN = ZoneInfo("Europe/Berlin")
Node = dict[str, Any]
Rates = Counter[Decimal]
Listed = dict[tuple[str, str], dict[str, Node]]  # what sevdesk lists, by kind and what it belongs to, and by id


def cents(value: Any) -> int:
    amount = Decimal(str((value["shopMoney"]["amount"] if isinstance(value, dict) else value) or 0)) * 100
    return int(f"{amount.normalize():f}")  # ValueError where it is finer


def told(value: int | Rates) -> str:
    if isinstance(value, int):
        return f"{Decimal(value) / 100:.2f}"
    return ", ".join(f"{told(part)} at {rate} %" for rate, part in sorted(value.items()) if part) or "nothing"


def when(fact: Node) -> datetime:
    return datetime.fromisoformat(fact.get("happenedAt") or fact.get("processedAt") or fact["createdAt"])


def taxed(sale: Node) -> list[tuple[Decimal, int]]:
    return [(Decimal(str(one["taxLine"]["ratePercentage"])), cents(one["amount"])) for one in sale["taxes"]]


def number(gid: Any) -> str:
    return str(gid["id"] if isinstance(gid, dict) else gid or "").rsplit("/", 1)[-1]


def total(facts: list[Node]) -> int:
    moved = sum(MONEY.get(tx["kind"], 0) * cents(tx["amountSet"]) for tx in facts if tx.get("status") == "SUCCESS")
    return moved + sum(cents(sale["totalAmount"]) for fact in facts for sale in fact.get("sales", ()))


def listed(value: Any, found: Listed) -> Listed:
    if isinstance(value, dict) and (kind := value.get("objectName")) in FIELDS:
        named = NAMED.findall(str(of := value.get(FIELDS[kind]))) or [found["Pos", ""].get(f"{kind} {value['id']}", "")]
        found[kind, number(of) if isinstance(of, dict) else str(named[0])][str(value["id"])] = value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            listed(part, found)
    return found


class Document:  # an invoice, cancellation or credit note as sevdesk has it; `wrong` is what fails in itself
    def __init__(self, raw: Node, sevdesk: Listed) -> None:
        kind, self.sign = ("creditNote", -1) if raw["objectName"] == "CreditNote" else ("invoice", 1)
        self.kind = "cancellation" if raw.get("invoiceType") == "SR" else kind
        self.title = f"{self.kind} {raw.get(f'{kind}Number')} (id {raw['id']})"
        self.id, self.origin = str(raw["id"]), number(raw.get("refSrcInvoice") or raw.get("origin"))
        self.covers = tuple(f"{raw[NOTE]}::".rpartition(" / ")[2].split(":")[2:4])
        days = (raw[f"{kind}Date"], raw.get("deliveryDate") or "0001-01-01", raw["create"])
        self.day, self.delivered, self.made = (date.fromisoformat(at[:10]) for at in days)  # as they are in Germany
        self.gross, self.tax, self.paid = (cents(raw[name]) for name in ("sumGross", "sumTax", "paidAmount"))
        self.status, self.rule, self.wrong = f"{raw['status']} {raw['currency']}", number(raw["taxRule"]), list[str]()
        positions, self.adopted = sevdesk[f"{raw['objectName']}Pos", self.id].values(), not NAMED.search(str(raw[NOTE]))
        self.rates, self.count, self.due, self.lines = Rates(), len(positions), date.max, set[str]()
        for item in positions:
            rate, quantity, price = (Decimal(str(item[name])) for name in ("taxRate", "quantity", "price"))
            gross = cents(item[SUMS[0]]) if self.adopted else int((quantity * price * 100).quantize(1, ROUND_HALF_UP))
            net = int((Decimal(gross) * 100 / (100 + rate)).to_integral_value(ROUND_HALF_UP))  # as measured
            self.rates[rate] += gross
            if not self.adopted and [cents(item[name]) for name in SUMS] != [gross, net, gross - net]:
                self.wrong.append(f"{item['name']!r} has sums other than {told(gross)} at {rate} %")
        if any(cents(raw[name]) != sum(cents(item[name]) for item in positions) for name in SUMS):
            self.wrong.append(f"its sums say {told(self.gross)}, its positions {told(self.rates)}")


class Proof:  # of an order: `failures` are sentences, `coverage` what became of each fact, `open` what is not paid
    def __init__(self, envelope: Node, sevdesk: Listed, gateways: set[str] | None = None) -> None:
        self.raw = raw = {**(envelope.get("order") or {}), **envelope}
        self.id, self.order, self.entries = number(raw), str(raw["name"]), sorted(raw["agreements"], key=when)
        self.moves = sorted((tx for tx in raw["transactions"] if total([tx]) and not tx.get("test")), key=when)
        self.refund = {number(tx): number(one) for one in raw.get("refunds") or () for tx in one["transactions"]}
        self.shipped = {when(item) for item in raw.get("fulfillments") or () if item["status"] == "SUCCESS"}
        self.documents = [Document(one, sevdesk) for kind in HEADS for one in sevdesk[kind, self.id].values()]
        self.failures = [f"{item.title}: {sentence}" for item in self.documents for sentence in item.wrong]
        self.invoices = {item.id: item for item in self.documents if item.kind == "invoice"}
        self.taken = {item.gross for item in self.documents if item.adopted}  # from another tool, as they stand
        self.gone = {item.origin for item in self.documents if item.kind == "cancellation"}
        to = raw.get("shippingAddress") or raw.get("billingAddress") or {}
        place = f"{to.get('countryCodeV2')}{to.get('zip')}".replace(" ", "")
        free, taxed = next((free.split(), taxed.split()) for pattern, free, taxed in RULES if re.match(pattern, place))
        untaxed = "1" not in free and not any(sale["taxes"] for entry in self.entries for sale in entry["sales"])
        point = self.tax_point(None, untaxed and "11" not in {item.rule for item in self.documents})
        reason = "" if point and not raw.get("gaps") else "waiting: unpaid and unshipped, or not read whole"
        reason = "ignored: test or till" if raw.get("test") or raw.get("sourceName") == "pos" else reason
        self.coverage = dict.fromkeys((fact["id"] for fact in self.entries + self.moves), reason or "covered")
        self.must(not (reason and self.invoices), f"there is an invoice, and the order is {reason}")
        if point and not reason:
            self.covered(*point)
        for item in (one for one in self.documents if not one.adopted):
            self.document(item, taxed if any(item.rates) else free)
        name = re.compile(rf"(?<![\w#]){re.escape(self.order)}(?!\w)|(?<!\d){self.id}(?!\d)")
        mine = {self.id, *(number(move) for move in self.moves)}
        for kind, owner in sevdesk:
            for one in sevdesk[kind, owner].values() if owner not in mine and not kind.endswith("Pos") else ():
                named = bool(owner) == (kind == LINE) and name.search(f"{one.get(FIELDS[kind])} {one.get('headText')}")
                points = named or number(one.get("refSrcInvoice") or one.get("origin")) in self.invoices
                self.must(not points, f"{kind} {one['id']} is a stranger: its note does not name this order")
        self.open = {} if "ignored" in reason else self.balance(sevdesk, set() if self.taken else gateways)

    def must(self, holds: object, sentence: str) -> None:
        if not holds:
            self.failures.append(sentence)

    def tax_point(self, start: datetime | None, at_supply: bool = False) -> tuple[datetime, date] | None:
        """When tax arises from `start` on (UStG §13: goods leave, or the money is complete), and the day to print."""
        for at in sorted(self.shipped | {when(fact) for fact in self.entries + self.moves}):
            claim, kept = (total([one for one in facts if when(one) <= at]) for facts in (self.entries, self.moves))
            if at >= (start or at) and (at in self.shipped or (not at_supply and 0 < claim <= kept)):
                came = [when(move) for move in self.moves if total([move]) > 0 and when(move) <= at]
                return at, (at if at in self.shipped or not came else came[-1]).astimezone(BERLIN).date()
        return None

    def covered(self, at: datetime, due: date) -> None:  # one invoice up to the tax point, one for each addition
        folded, every = [entry for entry in self.entries if when(entry) <= at], self.entries
        folded = next((every[:n] for n in range(len(every) + 1) if total(every[:n]) in self.taken), folded)
        self.equal([item for item in self.documents if item.covers[0] not in ("sup", "cn")], folded, due, not self.gone)
        for entry in self.entries[len(folded) :]:
            own, key = self.tax_point(when(entry)), ("sup", number(entry))
            self.equal([item for item in self.documents if item.covers == key], [entry], own and own[1])
            if not own and total([entry]) > 0:
                self.coverage[entry["id"]] = "waiting: neither paid nor shipped"

    def equal(self, items: list[Document], entries: list[Node], due: date | None = None, whole: bool = False) -> None:
        """(1): the gross per rate is that of the ledger entries, if the whole is (what is more is seen elsewhere)."""
        title, off, about, loose = " and ".join(i.title for i in items) or "there is no invoice", Rates(), Rates(), 0
        tax, count = sum(item.sign * item.tax for item in items), sum(item.count for item in items)
        sales = [sale for one in entries for sale in one["sales"] if sale["taxes"] or sale["lineType"] != "GIFT_CARD"]
        for item in items:
            item.due, item.lines = due or item.due, {number(sale.get("lineItem")) for sale in sales} - {""}
            off.update({rate: item.sign * part for rate, part in item.rates.items()})
        more = sum(off.values()) - sum(cents(sale["totalAmount"]) for sale in sales)
        for sale in sales:
            gross, taxes = cents(sale["totalAmount"]), taxed(sale)
            tax, count = tax - sum(part for _, part in taxes), count + len(taxes)
            if not taxes and sale["lineType"] in ("TIP", "FEE", "ADJUSTMENT"):
                loose, count = loose + gross, count + 2 * abs(gross)  # it has no rate of its own
            elif len(taxes) < 2:
                off[taxes[0][0] if taxes else Decimal(0)] -= gross
            for rate, part in taxes if len(taxes) > 1 else ():  # as its taxes say, which are known to half a cent
                off[rate] -= round(part * (100 + rate) / (rate or 100))
                about[rate] += int(50 / rate) + 3 if rate else abs(gross)
        near = all(part * loose > 0 or abs(part) <= about[rate] for rate, part in off.items() if part)
        says = f"{title}: {told(off)} off the facts, {told(loose)} at any rate, tax {told(tax)} off the shop's"
        self.must((near and 2 * abs(tax) <= count and not more) or (more and not whole), says)

    def debt(self, entries: list[Node]) -> int:
        sales = [sale for one in entries for sale in one["sales"] if not sale["taxes"]]  # no turnover (2.5)
        return sum(cents(sale["totalAmount"]) for sale in sales if sale["lineType"] == "GIFT_CARD")

    def document(self, item: Document, rules: list[str]) -> None:  # in itself, and against the invoice it corrects
        must, title, final = self.must, item.title, ("200 EUR", "750 EUR", "1000 EUR")
        must(item.status in final, f"{title} is still a draft, or not in euros: {item.status}")
        entries = [one for one in self.entries if one.get("refund") and number(one["refund"]) == item.covers[1]]
        notes = [one for one in self.documents if one.covers == item.covers]
        if item.kind == "creditNote":  # over the money that went back, at the rates of what came back (R4)
            moves = [tx for tx in self.moves if item.covers == ("cn", self.refund.get(number(tx), number(tx)))]
            went, carried = self.debt(entries) - total(moves), sum(one.gross for one in notes)
            must(carried == went, f"{title}: {told(went)} went back, its credit notes carry {told(carried)}")
            late = [tx for tx in moves if when(tx).astimezone(BERLIN).date() > item.day]
            must(not late, f"{title} of {item.day} is older than its refund")
            self.equal(notes, entries)
        if item.kind != "invoice":
            source = self.invoices.get(item.origin, item)
            must(source != item, f"{title} corrects {item.origin or 'nothing'}, which is no invoice of this order")
            taken = [one.rates for one in self.documents if one.origin == source.id and int(one.id) < int(item.id)]
            left = Rates({rate: part - sum(abs(one[rate]) for one in taken) for rate, part in source.rates.items()})
            fits = all(0 < abs(part) <= left[rate] for rate, part in item.rates.items())
            sold = [(one["lineType"], taxed(one), one["totalAmount"]) for fact in entries for one in fact["sales"]]
            back = {rate: -sum(cents(part) for _, tax, part in sold if tax and tax[0][0] == rate) for rate in left}
            odd = any(not tax and kind in ("ADJUSTMENT", "FEE") for kind, tax, _ in sold)
            if fits and odd and len(notes) == 1 and all(len(tax) < 2 for _, tax, _ in sold):  # pro rata (P11)
                base, whole = (back, sum(back.values())) if any(back.values()) else (left, left.total())
                fits = all(abs(part * item.gross - item.rates[rate] * whole) <= whole for rate, part in base.items())
            must(fits, f"{title}: its corrections take {told(item.rates)}, {source.title} carries {told(left)}")
            must(not item.lines or item.lines & source.lines, f"{title}: {source.title} did not sell what came back")
            item.due, rules = source.delivered if source.delivered > date.min else source.day, [source.rule]
        must(item.delivered == item.due, f"{title} says delivery on {item.delivered}, the facts {item.due}")
        fresh = 0 <= (max(item.made, item.delivered) - item.day).days <= 1 and item.delivered <= item.day
        must(fresh, f"{title} is dated {item.day}, was written on {item.made}, for a delivery on {item.delivered}")
        must(item.rule in rules, f"{title} has tax rule {item.rule}, its place and rates allow {' or '.join(rules)}")

    def balance(self, sevdesk: Listed, gateways: set[str] | None) -> dict[str, int]:  # (2) money, (3) R3; what is open
        covered = [one for one in self.entries if self.coverage[one["id"]] == "covered"]
        claim, cards = total(covered), self.debt(covered)
        elsewhere, loose, kept = 0, -cards, total(self.moves) - cards
        for tx in self.moves:
            lines, amount, at = sevdesk[LINE, number(tx)].values(), total([tx]), str(when(tx).astimezone(BERLIN).date())
            if not lines and (tx.get("manualPaymentGateway") if gateways is None else tx["gateway"] not in gateways):
                elsewhere, self.coverage[tx["id"]] = elsewhere + abs(amount), "ignored: not booked from Shopify"
                continue
            stands = [(told(cents(one["amount"])), one["valueDate"][:10]) for one in lines]
            right = {on for _, on in stands} == {at} and sum(cents(one["amount"]) for one in lines) == amount
            self.must(right, f"transaction {number(tx)} of {told(amount)} on {at} stands with {stands or 'nothing'}")
            loose += amount - sum(cents(item["amount"]) for item in lines if str(item["status"]) in ("200", "400"))
        self.equal(self.documents, covered)
        made, paid = (sum(one.sign * getattr(one, name) for one in self.documents) for name in ("gross", "paid"))
        due = min(claim - cards, kept) if self.raw.get("cancelledAt") else claim - cards
        right = made == max(due, min(made, kept)) and kept <= max(made, total(self.entries) - self.debt(self.entries))
        self.must(right, f"documents stand for {told(made)}, {told(due)} are claimed, {told(kept)} were paid")
        self.must(abs(kept - loose - paid) <= elsewhere, f"{told(paid)} are paid, {told(kept - loose)} are linked")
        self.must(made <= paid or loose <= 0, f"{told(made - paid)} are open, {told(loose)} of our money not linked")
        return {"not paid yet": made - kept, "not linked yet": loose, "booked elsewhere": kept - loose - paid}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--order", type=Path, required=True)
    parser.add_argument("--sevdesk", type=Path, required=True)
    parser.add_argument("--gateways", type=lambda text: set(text.split(",")))
    parser.add_argument("--adopted", type=lambda text: {("Pos", ""): json.loads(text)}, default={})
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    try:
        files = sorted(given.sevdesk.rglob("*.json")) if given.sevdesk.is_dir() else [given.sevdesk]
        sevdesk = listed([json.loads(one.read_text("utf-8")) for one in files], defaultdict(dict, given.adopted))
        orders = json.loads(given.order.read_text("utf-8"), object_hook=lambda node: node.get("nodes", node))
        proofs = [Proof(one, sevdesk, given.gateways) for one in (orders if isinstance(orders, list) else [orders])]
    except (OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        parser.error(f"not readable as raw orders and raw sevdesk objects: {problem!r}")
    for one in proofs:
        whole = {name: getattr(one, name) for name in ("order", "failures", "open", "coverage")}
        says = one.failures or [f"holds ({', '.join(item.title for item in one.documents) or 'no document'})"]
        print(json.dumps(whole) if given.json else "\n".join(f"{one.order}: {line}" for line in says))  # noqa: T201
    return int(any(one.failures for one in proofs))


if __name__ == "__main__":
    raise SystemExit(main())
