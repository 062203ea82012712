"""What the auditor stands on: sevdesk's documents and account lines, found by order, and the letters that went out."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from ladenbuch.simulators.owed import Node, instant

_NUMBERS = re.compile(r"(?<!\d)\d{8,20}(?!\d)")
_WORD = re.compile(r"[\w-]+")
SHPTX = re.compile(r"\bSHPTX[ -](\d+)(?!\d)")


@dataclass
class AuditReport:
    """What was found. Counts, money in cents, latencies in seconds (None when nothing was measured).

    `ok` is True when nothing deviates; `findings` names every deviation in a sentence that starts with the order.
    """

    orders: int = 0
    documented: int = 0
    invoices: int = 0
    credit_notes: int = 0
    cancellations: int = 0
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


class Sums(Protocol):
    """Gross per rate a document must have, and the shop's tax it is compared with."""

    @property
    def gross(self) -> int: ...
    @property
    def by_rate(self) -> dict[str, int]: ...
    @property
    def tax_by_rate(self) -> dict[str, int]: ...
    @property
    def roundings(self) -> dict[str, int]: ...


class Ground:
    """The state of sevdesk and the inbox, indexed; `run` asks `order` about each order and then counts strangers."""

    def __init__(
        self,
        state: Node,
        messages: Sequence[Node],
        note_prefix: str | Mapping[str, str] | None,
        foreign: Collection[str | int],
        uncertain: Collection[str],
    ) -> None:
        self.report = AuditReport()
        self.state = state
        self.messages = [Message(message) for message in messages]
        self.by_word: dict[str, list[Message]] = defaultdict(list)
        for message in self.messages:
            for word in message.words:
                self.by_word[word].append(message)
        self.note_prefix = note_prefix
        self.foreign = {str(identifier) for identifier in foreign}
        self.uncertain = set(uncertain)
        self.others: dict[str, str] = {}  # invoices another tool wrote -> the order each is of
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
            self.order(item)
        self.strangers()
        self.latencies.sort()
        self.report.latency_p50_s = rank(self.latencies, 50)
        self.report.latency_p99_s = rank(self.latencies, 99)
        return self.report

    def order(self, item: Node) -> None:
        """Audit one order of the truth."""
        raise NotImplementedError

    def _index_lines(self) -> None:
        for line in self.state.get("transactions") or []:
            self.line_by_id[str(line["id"])] = line
            named = SHPTX.search(str(line.get("purpose") or ""))
            if named is not None and not line.get("deleted_at"):
                self.lines[named.group(1)].append(line)

    def _index_documents(self, truth: list[Node]) -> None:
        orders = {str(item["snapshot"]["id"]).rsplit("/", 1)[-1]: item for item in truth}
        for document in [*(self.state.get("invoices") or []), *(self.state.get("credit_notes") or [])]:
            if str(document["id"]) in self.foreign:
                continue
            if str(document["id"]) in self.others:
                self.documents[self.others[str(document["id"])]].append(document)
                continue
            note = note_of(document)
            named = [number for number in _NUMBERS.findall(note) if number in orders]
            if len(named) == 1 and self._prefixed(note, named[0], orders[named[0]]):
                self.documents[named[0]].append(document)
                continue
            self.report.strangers += 1
            self.find(title(document), f"belongs to no order by its note {note!r}{_looks_like(document, truth)}")

    def _prefixed(self, note: str, order: str, item: Node) -> bool:
        prefix = self.note_prefix
        if isinstance(prefix, Mapping):
            prefix = prefix.get(str(item.get("shop")))
        return prefix is None or f"{prefix}:{order}" in note

    # money -------------------------------------------------------------------------------------------------------

    def sums_of(self, name: str, document: Node, due: Sums) -> None:
        """Gross per document and per rate to the cent; tax per rate within what rounding per position can do (R21)."""
        sign = -1 if document.get("type") == "SR" else 1  # a cancellation has negative positions
        by_rate: dict[str, int] = defaultdict(int)
        tax: dict[str, int] = defaultdict(int)
        positions: dict[str, int] = defaultdict(int)
        for position in document["positions"]:
            rate = plain(position["tax_rate"])
            by_rate[rate] += sign * int(position["gross_cents"])
            tax[rate] += sign * int(position["tax_cents"])
            positions[rate] += 1
        off = sum(abs(by_rate.get(r, 0) - due.by_rate.get(r, 0)) for r in by_rate.keys() | due.by_rate.keys())
        if off:
            self.report.cent_deviation += off
            shown = {rate: cents for rate, cents in by_rate.items() if cents}
            self.find(name, f"{title(document)} has {shown} ct per rate instead of {due.by_rate}")
        wrong = abs(sign * int(document["gross_cents"]) - due.gross)
        if wrong and wrong != off:
            self.report.cent_deviation += wrong
            self.find(name, f"{title(document)} is over {document['gross_cents']} ct instead of {due.gross}")
        for rate in due.tax_by_rate.keys() | tax.keys():
            difference = abs(tax.get(rate, 0) - due.tax_by_rate.get(rate, 0))
            bound = (max(positions.get(rate, 0), due.roundings.get(rate, 0)) + 1) // 2
            if difference > bound and not off:
                self.report.cent_deviation += difference - bound
                self.find(name, f"{title(document)}: tax at {rate} % is {difference} ct away from the shop's")

    def naming(self, number: str) -> list[Message]:
        """The messages that name an invoice number in subject or file name, not as part of a longer one."""
        if _WORD.fullmatch(number):
            return self.by_word.get(number, [])
        exact = re.compile(rf"(?<![\w-]){re.escape(number)}(?![\w-])")
        return [message for message in self.messages if exact.search(message.text)]

    def strangers(self) -> None:
        for transaction, lines in self.lines.items():
            if transaction not in self.used:
                self.report.strangers += len(lines)
                self.find(f"payment {transaction}", "stands on an account but no order of the shop owes it")
        for message in self.messages:
            if id(message) not in self.read:
                self.report.strangers += 1
                self.find("mail", f"a message {message.subject!r} belongs to no invoice")


_ENDS = ("ist storniert", "is cancelled")


class Message:
    """A mail as far as the audit needs it."""

    def __init__(self, message: Node) -> None:
        to = message.get("to") or message.get("recipients") or ()
        self.to = " ".join([to] if isinstance(to, str) else [str(one) for one in to]).casefold()
        self.subject = str(message.get("subject") or "")
        files = [*(message.get("attachments") or ()), *(message.get("filenames") or ())]
        names = [str(f.get("filename") or "") if isinstance(f, Mapping) else str(f) for f in files]
        self.text = "\n".join([self.subject, *names])
        self.words = set(_WORD.findall(self.text))

    def ends(self, number: str) -> bool:
        """Whether it says that the invoice of this number is cancelled; what it brings is the cancellation."""
        return self.subject.endswith(_ENDS) and number in _WORD.findall(self.subject)


def note_of(document: Node) -> str:
    return str(document.get("note") or document.get("customerInternalNote") or "")


def is_invoice(document: Node) -> bool:
    """An invoice of its own; reversals (SR) and credit notes are not."""
    return bool(document.get("kind", "Invoice") == "Invoice" and document.get("type", "RE") != "SR")


def title(document: Node) -> str:
    kind = "invoice" if is_invoice(document) else "correction"
    return f"{kind} {document.get('number') or 'without number'} (id {document['id']})"


def linked(line: Node) -> bool:
    return bool(line.get("documents") or int(line.get("status") or 100) in (200, 400))


def _looks_like(document: Node, truth: list[Node]) -> str:
    """A hint at the order a document without a usable note may have been meant for."""
    text = json.dumps(document.get("fields") or {}, ensure_ascii=False, default=str)
    names = [
        str(i["snapshot"]["name"]) for i in truth if re.search(re.escape(str(i["snapshot"]["name"])) + r"\b", text)
    ]
    return f"; it looks like {names[0]}" if len(names) == 1 else ""


def plain(rate: object) -> str:
    text = str(rate)
    return text.rstrip("0").rstrip(".") if "." in text else text


def day_of(value: object) -> date | None:
    return date.fromisoformat(str(value)[:10]) if value else None


def fired(fired_at: Any, index: int | None) -> datetime | None:
    """The instant the completing event happened, from one instant or from instants by event index."""
    if isinstance(fired_at, Mapping):
        by_index = {int(key): value for key, value in fired_at.items()}
        if not by_index:
            return None
        fired_at = by_index.get(-1 if index is None else index, by_index[max(by_index)])
    if isinstance(fired_at, str):
        return instant(fired_at)
    return fired_at if isinstance(fired_at, datetime) else None


def rank(values: list[float], percent: int) -> float | None:
    """The nearest-rank percentile of sorted values."""
    if not values:
        return None
    return values[max(0, -(-len(values) * percent // 100) - 1)]
