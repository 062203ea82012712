"""The auditor: compares what the shop really sold with what stands in sevdesk and what buyers received.

It reads the shop's truth, sevdesk's state and the mail inbox, and nothing of the product. What must exist it works out
itself (`owed`); the label of a life is only asked whether an order is an attention case, and is checked otherwise.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from ladenbuch.simulators.owed import Node, Owed, OwedPayment, berlin_day, instant, owed_by

CLEARING = ("shopify_payments", "klarna", "paypal")
_NUMBERS = re.compile(r"(?<!\d)\d{8,20}(?!\d)")
_WORD = re.compile(r"[\w-]+")
_SHPTX = re.compile(r"\bSHPTX[ -](\d+)(?!\d)")


@dataclass
class AuditReport:
    """What was found. Counts, money in cents, latencies in seconds (None when nothing was measured).

    `ok` is True when nothing deviates; `findings` names every deviation in a sentence that starts with the order.
    """

    orders: int = 0
    documented: int = 0
    invoices: int = 0
    credit_notes: int = 0
    payments_booked: int = 0
    letters_sent: int = 0
    letters_uncertain: int = 0
    duplicates: int = 0
    missing: int = 0
    cent_deviation: int = 0
    wrong_dates: int = 0
    strangers: int = 0
    waiting: int = 0
    excluded: int = 0
    needs_attention: int = 0
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON object, `ok` included."""
        return {**asdict(self), "ok": self.ok}


def audit(
    truth: Iterable[Node],
    sevdesk_state: Node,
    messages: Sequence[Node],
    *,
    note_prefix: str | Mapping[str, str] | None = None,
    clearing: Collection[str] = CLEARING,
    foreign: Collection[str | int] = (),
    uncertain_letters: Collection[str] = (),
) -> AuditReport:
    """Audit a finished run (every event of every life has happened).

    `truth`: `{"snapshot", "label", "fired_at", "shop"?}` per order; `fired_at` is one instant or instants by event
    index. `sevdesk_state`: what the sevdesk simulator's control API tells. `messages`: the mails buyers got, each with
    `to`, `subject` and file names of attachments. `note_prefix`: the shop key in front of `:<order id>` in a note, or
    one per shop domain. `foreign`: ids of documents a person made, which are nobody's. `uncertain_letters`: names of
    orders whose letter is known to be uncertain; their missing letter is counted apart.
    """
    return _Audit(sevdesk_state, messages, note_prefix, clearing, foreign, uncertain_letters).run(list(truth))


class _Audit:
    def __init__(
        self,
        state: Node,
        messages: Sequence[Node],
        note_prefix: str | Mapping[str, str] | None,
        clearing: Collection[str],
        foreign: Collection[str | int],
        uncertain: Collection[str],
    ) -> None:
        self.report = AuditReport()
        self.state = state
        self.messages = [_Message(message) for message in messages]
        self.by_word: dict[str, list[_Message]] = defaultdict(list)
        for message in self.messages:
            for word in message.words:
                self.by_word[word].append(message)
        self.note_prefix = note_prefix
        self.clearing = clearing
        self.foreign = {str(identifier) for identifier in foreign}
        self.uncertain = set(uncertain)
        self.lines: dict[str, list[Node]] = defaultdict(list)  # Shopify transaction -> live account lines
        self.line_by_id: dict[str, Node] = {}
        self.documents: dict[str, list[Node]] = defaultdict(list)
        self.latencies: list[float] = []
        self.used: set[str] = set()  # Shopify transactions that belong to an order
        self.read: set[int] = set()  # messages that belong to an invoice

    def find(self, name: str, sentence: str) -> None:
        self.report.findings.append(f"{name}: {sentence}")

    def run(self, truth: list[Node]) -> AuditReport:
        self._index_lines()
        self._index_documents(truth)
        for item in truth:
            self._order(item)
        self._strangers()
        self.latencies.sort()
        self.report.latency_p50_s = _rank(self.latencies, 50)
        self.report.latency_p99_s = _rank(self.latencies, 99)
        return self.report

    def _index_lines(self) -> None:
        for line in self.state.get("transactions") or []:
            self.line_by_id[str(line["id"])] = line
            named = _SHPTX.search(str(line.get("purpose") or ""))
            if named is not None and not line.get("deleted_at"):
                self.lines[named.group(1)].append(line)

    def _index_documents(self, truth: list[Node]) -> None:
        orders = {str(item["snapshot"]["id"]).rsplit("/", 1)[-1]: item for item in truth}
        for document in [*(self.state.get("invoices") or []), *(self.state.get("credit_notes") or [])]:
            if str(document["id"]) in self.foreign:
                continue
            note = _note(document)
            named = [number for number in _NUMBERS.findall(note) if number in orders]
            if len(named) == 1 and self._prefixed(note, named[0], orders[named[0]]):
                self.documents[named[0]].append(document)
                continue
            self.report.strangers += 1
            self.find(_title(document), f"belongs to no order by its note {note!r}{_looks_like(document, truth)}")

    def _prefixed(self, note: str, order: str, item: Node) -> bool:
        prefix = self.note_prefix
        if isinstance(prefix, Mapping):
            prefix = prefix.get(str(item.get("shop")))
        return prefix is None or f"{prefix}:{order}" in note

    # one order ---------------------------------------------------------------------------------------------------

    def _order(self, item: Node) -> None:
        label = item.get("label") or {}
        owed = owed_by(item["snapshot"], self.clearing)
        self.report.orders += 1
        outcome = label.get("outcome", owed.outcome)
        if outcome == "attention":
            self.report.needs_attention += 1
        else:
            self._check_label(owed, label)
            outcome = owed.outcome
        documents = self.documents.get(owed.order, [])
        invoices = [d for d in documents if _is_invoice(d) and not d.get("cancelled")]
        self._other_documents(owed, documents)
        allowed = outcome == "documented" or (outcome == "attention" and label.get("invoice_gross") is not None)
        if not allowed:
            if outcome in ("waiting", "excluded"):
                setattr(self.report, outcome, getattr(self.report, outcome) + 1)
            self._nothing_expected(owed, outcome, invoices)
            return
        if outcome == "documented":
            self.report.documented += 1
        elif not invoices:
            self._lines_only(owed)
            return
        self._documented(owed, invoices, label, item.get("fired_at"))

    def _check_label(self, owed: Owed, label: Node) -> None:
        if not label:
            return
        said = (label.get("outcome"), label.get("invoice_gross"), dict(label.get("gross_by_rate") or {}))
        found = owed.outcome, (owed.gross if owed.outcome == "documented" else None), owed.by_rate
        if said != found:
            self.find(owed.name, f"the label says {said}, the shop's own ledger says {found}")
        if owed.outcome == "documented" and label.get("paid_cents") != sum(p.cents for p in owed.payments):
            self.find(owed.name, f"the label expects {label.get('paid_cents')} ct paid, the shop received otherwise")

    def _other_documents(self, owed: Owed, documents: list[Node]) -> None:
        for document in documents:
            if not _is_invoice(document):
                self.report.credit_notes += 1
                self.report.cent_deviation += abs(int(document["gross_cents"]))
                self.find(owed.name, f"{_title(document)} was not expected")
            elif document.get("cancelled"):
                self.find(owed.name, f"{_title(document)} was cancelled, which nothing in the shop asks for")

    def _nothing_expected(self, owed: Owed, outcome: str, invoices: list[Node]) -> None:
        for invoice in invoices:
            self.report.cent_deviation += abs(int(invoice["gross_cents"]))
            self.find(owed.name, f"{_title(invoice)} exists although the order is {outcome}")
        self._lines_only(owed)

    def _lines_only(self, owed: Owed) -> None:
        """Money already received may stand on its account; once, and not linked to anything."""
        for payment in owed.payments:
            self._line(owed, payment, None)

    def _documented(self, owed: Owed, invoices: list[Node], label: Node, fired_at: Any) -> None:
        if len(invoices) > 1:
            self.report.duplicates += len(invoices) - 1
            self.find(owed.name, f"{len(invoices)} live invoices: {', '.join(map(_title, invoices))}")
        final = [invoice for invoice in invoices if int(invoice.get("status") or 0) >= 200]
        if not final:
            self.report.missing += 1
            self.find(owed.name, "no invoice" if not invoices else f"{_title(invoices[0])} is still a draft")
            self._lines_only(owed)
            return
        invoice = final[0]
        self.report.invoices += len(final)
        self._money_of(owed, invoice)
        self._days_of(owed, invoice)
        booked = self._payments_of(owed, invoice, later_money=label.get("outcome") != "attention")
        self._letter_of(owed, invoice)
        self._latency(owed, invoice, booked, label, fired_at)

    def _money_of(self, owed: Owed, invoice: Node) -> None:
        """Gross per document and per rate to the cent; tax per rate within what rounding per position can do (R21)."""
        by_rate: dict[str, int] = defaultdict(int)
        tax: dict[str, int] = defaultdict(int)
        positions: dict[str, int] = defaultdict(int)
        for position in invoice["positions"]:
            rate = _plain(position["tax_rate"])
            by_rate[rate] += int(position["gross_cents"])
            tax[rate] += int(position["tax_cents"])
            positions[rate] += 1
        off = sum(abs(by_rate.get(r, 0) - owed.by_rate.get(r, 0)) for r in by_rate.keys() | owed.by_rate.keys())
        if off:
            self.report.cent_deviation += off
            shown = {rate: cents for rate, cents in by_rate.items() if cents}
            self.find(owed.name, f"{_title(invoice)} has {shown} ct per rate instead of {owed.by_rate}")
        wrong = abs(int(invoice["gross_cents"]) - owed.gross)
        if wrong and wrong != off:
            self.report.cent_deviation += wrong
            self.find(owed.name, f"{_title(invoice)} is over {invoice['gross_cents']} ct instead of {owed.gross}")
        for rate in owed.tax_by_rate.keys() | tax.keys():
            difference = abs(tax.get(rate, 0) - owed.tax_by_rate.get(rate, 0))
            bound = (max(positions.get(rate, 0), owed.roundings.get(rate, 0)) + 1) // 2
            if difference > bound and not off:
                self.report.cent_deviation += difference - bound
                self.find(owed.name, f"{_title(invoice)}: tax at {rate} % is {difference} ct away from the shop's")

    def _days_of(self, owed: Owed, invoice: Node) -> None:
        assert owed.tax_point is not None
        delivered = _day(invoice.get("delivery_date"))
        if delivered not in owed.delivery_days:
            self.report.wrong_dates += 1
            expected = ", ".join(sorted(day.isoformat() for day in owed.delivery_days))
            self.find(owed.name, f"{_title(invoice)} has the delivery date {delivered} instead of {expected}")
        issued = _day(invoice.get("date"))
        written = berlin_day(instant(invoice.get("sent_at") or invoice["created_at"]))
        earliest = berlin_day(owed.tax_point)
        if issued is None or issued < earliest or abs((issued - max(written, earliest)).days) > 1:
            self.report.wrong_dates += 1
            self.find(owed.name, f"{_title(invoice)} is dated {issued}, written on {written}")

    # money -------------------------------------------------------------------------------------------------------

    def _line(self, owed: Owed, payment: OwedPayment, invoice: Node | None) -> Node | None:
        """The one account line of a payment; None when there is none."""
        self.used.add(payment.transaction)
        lines = self.lines.get(payment.transaction, [])
        if len(lines) > 1:
            self.report.duplicates += len(lines) - 1
            self.find(owed.name, f"payment {payment.transaction} stands {len(lines)} times on an account")
        if not lines:
            return None
        line = next((one for one in lines if _linked(one)), lines[0])
        if int(line["amount_cents"]) != payment.cents:
            self.report.cent_deviation += abs(int(line["amount_cents"]) - payment.cents)
            self.find(owed.name, f"payment {payment.transaction} stands with {line['amount_cents']} ct")
        if _day(line.get("value_date")) != payment.day:
            self.report.wrong_dates += 1
            self.find(owed.name, f"payment {payment.transaction} is dated {line.get('value_date')}, not {payment.day}")
        if invoice is None and _linked(line):
            self.find(owed.name, f"payment {payment.transaction} is linked although the order has no document")
        return line

    def _payments_of(self, owed: Owed, invoice: Node, *, later_money: bool) -> list[datetime]:
        """Check the bookings against the payments; returns when each was booked.

        Without `later_money`, money after the tax point may wait for the document a person decides about (the second
        charge of an edited or overpaid order does not fit on the first one).
        """
        left = list(invoice["bookings"])
        booked = []
        for payment in owed.payments:
            line = self._line(owed, payment, invoice)
            mine = [b for b in left if line is not None and str(b["transaction_id"]) == str(line["id"])]
            if not mine and not later_money and owed.tax_point is not None and payment.at > owed.tax_point:
                continue
            if not mine:
                self.report.missing += 1
                self.find(
                    owed.name, f"payment {payment.transaction} over {payment.cents} ct is {self._where(line, invoice)}"
                )
                continue
            left = [b for b in left if b not in mine]
            self.report.payments_booked += 1
            if len(mine) > 1:
                self.report.duplicates += len(mine) - 1
                self.find(owed.name, f"payment {payment.transaction} is booked {len(mine)} times")
            off = abs(int(mine[0]["amount_cents"]) - payment.cents)
            if off:
                self.report.cent_deviation += off
                self.find(owed.name, f"payment {payment.transaction} is booked with {mine[0]['amount_cents']} ct")
            booked.append(instant(mine[0]["booked_at"]))
        for booking in left:
            self._odd_booking(owed, booking)
        return booked

    def _where(self, line: Node | None, invoice: Node) -> str:
        if line is None:
            return "on no account"
        others = [d["id"] for d in line.get("documents") or [] if str(d["id"]) != str(invoice["id"])]
        return f"booked on the wrong invoice {others[0]}" if others else "not booked"

    def _odd_booking(self, owed: Owed, booking: Node) -> None:
        """A booking no payment of this order explains: a second time the same money, or somebody else's."""
        line = self.line_by_id.get(str(booking["transaction_id"]))
        named = _SHPTX.search(str((line or {}).get("purpose") or ""))
        if named is not None and named.group(1) in {p.transaction for p in owed.payments}:
            self.report.duplicates += 1
            self.find(owed.name, f"payment {named.group(1)} is booked twice")
            return
        self.report.cent_deviation += abs(int(booking["amount_cents"]))
        self.find(owed.name, f"{booking['amount_cents']} ct are booked that this order did not pay")

    # letters -----------------------------------------------------------------------------------------------------

    def _letter_of(self, owed: Owed, invoice: Node) -> None:
        number = str(invoice.get("number") or "")
        mine = self._naming(number) if number else []
        self.read.update(id(message) for message in mine)
        if owed.email is None:
            if mine:
                self.find(owed.name, "a letter went out although the buyer left no e-mail address")
            return
        right = [message for message in mine if owed.email.casefold() in message.to]
        self.report.letters_sent += len(right)
        if len(right) > 1:
            self.report.duplicates += len(right) - 1
            self.find(owed.name, f"the letter with invoice {number} went out {len(right)} times")
        if len(right) < len(mine):
            self.find(owed.name, f"a letter with invoice {number} went to somebody else")
        if not right and owed.name in self.uncertain:
            self.report.letters_uncertain += 1
        elif not right:
            self.report.missing += 1
            self.find(owed.name, f"no letter with invoice {number}")

    def _naming(self, number: str) -> list[_Message]:
        """The messages that name an invoice number in subject or file name, not as part of a longer one."""
        if _WORD.fullmatch(number):
            return self.by_word.get(number, [])
        exact = re.compile(rf"(?<![\w-]){re.escape(number)}(?![\w-])")
        return [message for message in self.messages if exact.search(message.text)]

    # the rest ----------------------------------------------------------------------------------------------------

    def _latency(self, owed: Owed, invoice: Node, booked: list[datetime], label: Node, fired_at: Any) -> None:
        fired = _fired(fired_at, label.get("completes"))
        done = max(booked) if owed.payments and booked else None
        if not owed.payments and invoice.get("sent_at"):
            done = instant(invoice["sent_at"])
        if fired is not None and done is not None:
            self.latencies.append(max(0.0, (done - fired).total_seconds()))

    def _strangers(self) -> None:
        for transaction, lines in self.lines.items():
            if transaction not in self.used:
                self.report.strangers += len(lines)
                self.find(f"payment {transaction}", "stands on an account but no order of the shop owes it")
        for message in self.messages:
            if id(message) not in self.read:
                self.report.strangers += 1
                self.find("mail", f"a message {message.subject!r} belongs to no invoice")


class _Message:
    """A mail as far as the audit needs it."""

    def __init__(self, message: Node) -> None:
        to = message.get("to") or message.get("recipients") or ()
        self.to = " ".join([to] if isinstance(to, str) else [str(one) for one in to]).casefold()
        self.subject = str(message.get("subject") or "")
        files = [*(message.get("attachments") or ()), *(message.get("filenames") or ())]
        names = [str(f.get("filename") or "") if isinstance(f, Mapping) else str(f) for f in files]
        self.text = "\n".join([self.subject, *names])
        self.words = set(_WORD.findall(self.text))


def _note(document: Node) -> str:
    return str(document.get("note") or document.get("customerInternalNote") or "")


def _is_invoice(document: Node) -> bool:
    """An invoice of its own; reversals (SR) and credit notes are not."""
    return bool(document.get("kind", "Invoice") == "Invoice" and document.get("type", "RE") != "SR")


def _title(document: Node) -> str:
    kind = "invoice" if _is_invoice(document) else "correction"
    return f"{kind} {document.get('number') or 'without number'} (id {document['id']})"


def _linked(line: Node) -> bool:
    return bool(line.get("documents") or int(line.get("status") or 100) in (200, 400))


def _looks_like(document: Node, truth: list[Node]) -> str:
    """A hint at the order a document without a usable note may have been meant for."""
    text = json.dumps(document.get("fields") or {}, ensure_ascii=False, default=str)
    names = [
        str(i["snapshot"]["name"]) for i in truth if re.search(re.escape(str(i["snapshot"]["name"])) + r"\b", text)
    ]
    return f"; it looks like {names[0]}" if len(names) == 1 else ""


def _plain(rate: object) -> str:
    text = str(rate)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _day(value: object) -> date | None:
    return date.fromisoformat(str(value)[:10]) if value else None


def _fired(fired_at: Any, index: int | None) -> datetime | None:
    """The instant the completing event happened, from one instant or from instants by event index."""
    if isinstance(fired_at, Mapping):
        by_index = {int(key): value for key, value in fired_at.items()}
        if not by_index:
            return None
        fired_at = by_index.get(-1 if index is None else index, by_index[max(by_index)])
    if isinstance(fired_at, str):
        return instant(fired_at)
    return fired_at if isinstance(fired_at, datetime) else None


def _rank(values: list[float], percent: int) -> float | None:
    """The nearest-rank percentile of sorted values."""
    if not values:
        return None
    return values[max(0, -(-len(values) * percent // 100) - 1)]
