"""The audit of whole chains: every invoice, supplementary invoice, credit note and cancellation an order owes.

What is owed comes from `owed.chain_of`. A document of sevdesk is recognised by the numbers in its note
(`:sup:<agreement>`, `:cn:<refund>:<n>`), a credit note also by its source, a cancellation by its origin.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from ladenbuch.simulators.auditing.ground import (
    SHPTX,
    Ground,
    Message,
    day_of,
    fired,
    is_invoice,
    linked,
    note_of,
    title,
)
from ladenbuch.simulators.owed import (
    Chain,
    Node,
    OwedDocument,
    OwedPayment,
    Seller,
    berlin_day,
    chain_of,
    instant,
    tax_inside,
)

#: Kinds of documents the buyer gets by mail.
LETTERS = ("invoice", "supplementary", "credit_note")
_CLAIMING = ("invoice", "supplementary")
#: The line on the account of the gift cards, which has the other sign.
_CARD = re.compile(r"\bSHPTX \d+/card\b")
_TAIL = re.compile(r":(sup|cn):(\d+)")


class Chains(Ground):
    """Compares the chain of every order with sevdesk.

    An attention case may lack documents; what it has must be right.
    """

    def __init__(
        self,
        state: Node,
        messages: Sequence[Node],
        note_prefix: str | Mapping[str, str] | None,
        clearing: Collection[str],
        foreign: Collection[str | int],
        uncertain: Collection[str],
        *,
        letters: Collection[str] = LETTERS,
    ) -> None:
        super().__init__(state, messages, note_prefix, foreign, uncertain)
        self.letters = set(letters)
        self.seller = Seller(clearing=tuple(clearing))

    def order(self, item: Node) -> None:
        label = item.get("label") or {}
        chain = chain_of(item["snapshot"], self.seller)
        self.report.orders += 1
        self._check_label(chain, label)
        if chain.outcome == "attention":
            self.report.needs_attention += 1
        else:
            setattr(self.report, chain.outcome, getattr(self.report, chain.outcome) + 1)
        must = chain.outcome == "documented"
        found = self._match(chain, must)
        self._lines_of(chain, linkable=bool(found))
        booked: list[datetime] = []
        for owed, document in found:
            self._count(owed)
            self.sums_of(chain.name, document, _with_tax(owed))
            self._days_of(chain, owed, document, found)
            booked += self._bookings_of(chain, owed, document, must)
            self._letter_of(chain, owed, document)
        self._latency(chain, found, booked, label, item.get("fired_at"))

    def _check_label(self, chain: Chain, label: Node) -> None:
        """The generator's word against the replay of the ledger."""
        if not label:
            return
        listed = [(one["kind"], one["gross"], one["by_rate"], one["rule"]) for one in label.get("documents") or ()]
        said = label.get("outcome"), listed
        found = chain.outcome, [(one.kind, one.gross, one.by_rate, one.rule) for one in chain.documents]
        if said != found:
            self.find(chain.name, f"the label says {said}, the shop's own ledger says {found}")
        first = chain.documents[0] if chain.documents else None
        repeated = label.get("invoice_gross"), dict(label.get("gross_by_rate") or {})
        if repeated != ((first.gross, first.by_rate) if first else (None, {})):
            self.find(chain.name, f"the label says {repeated} of the first document, the shop's own ledger otherwise")
        if chain.outcome == "documented":
            booked = [one.cents for document in chain.documents for one in document.bookings if one.clearing]
            moved = sum(one for one in booked if one > 0), -sum(one for one in booked if one < 0)
            if (label.get("paid_cents"), label.get("refunded_cents")) != moved:
                self.find(chain.name, f"the label says other money than {moved[0]} ct in and {moved[1]} ct back")
        owed = sum(payment.card for payment in chain.payments)
        if chain.outcome in ("documented", "excluded") and label.get("cards_cents", 0) != owed:
            self.find(chain.name, f"the label says other gift cards than {owed} ct")

    def _count(self, owed: OwedDocument) -> None:
        if owed.kind in _CLAIMING:
            self.report.invoices += 1
        elif owed.kind == "credit_note":
            self.report.credit_notes += 1
        else:
            self.report.cancellations += 1

    # which document is which -------------------------------------------------------------------------------------

    def _match(self, chain: Chain, must: bool) -> list[tuple[OwedDocument, Node]]:
        """Pair what is owed with what exists; the rest is missing, double or a stranger."""
        left = list(self.documents.get(chain.order, []))
        pairs: list[tuple[OwedDocument, Node]] = []
        by_key: dict[str, Node] = {}
        for owed in chain.documents:
            origin = by_key.get(owed.refers_to or "")
            same = [document for document in left if _could_be(owed, document, origin)]
            if not same:
                if must:
                    self.report.missing += 1
                    self.find(chain.name, f"no {_named(owed)} over {owed.gross} ct")
                continue
            same.sort(key=lambda document: _distance(owed, document, origin))
            document = same[0]
            left.remove(document)
            if int(document.get("status") or 0) < 200:
                if must:
                    self.report.missing += 1
                    self.find(chain.name, f"{title(document)} is still a draft")
                continue
            by_key[owed.key] = document
            pairs.append((owed, document))
            self._references(chain, owed, document, origin)
        for document in left:
            self._too_much(chain, document)
        return pairs

    def _references(self, chain: Chain, owed: OwedDocument, document: Node, origin: Node | None) -> None:
        """The reference to the document it corrects, the tax rule, and whether it still stands."""
        if owed.kind in ("credit_note", "cancellation") and origin is not None:
            named = document.get("source_id" if owed.kind == "credit_note" else "origin_id")
            if str(named) != str(origin["id"]):
                self.report.strangers += 1
                self.find(chain.name, f"{title(document)} corrects document {named} instead of {origin['id']}")
        if owed.kind in _CLAIMING and bool(document.get("cancelled")) != owed.cancelled:
            self.report.missing += 1
            if owed.cancelled:
                self.find(chain.name, f"{title(document)} still stands although the shop took it back")
            else:
                self.find(chain.name, f"{title(document)} was cancelled, which nothing in the shop asks for")
        rule = document.get("tax_rule")
        if rule is not None and str(rule) != str(owed.rule):
            self.report.strangers += 1
            self.find(chain.name, f"{title(document)} has tax rule {rule} instead of {owed.rule}")

    def _too_much(self, chain: Chain, document: Node) -> None:
        twin = any(_could_be(owed, document, None) for owed in chain.documents)
        if twin:
            self.report.duplicates += 1
            self.find(chain.name, f"{title(document)} is one document too many")
            return
        self.report.cent_deviation += abs(int(document["gross_cents"]))
        state = f"exists although the order is {chain.outcome}" if not chain.documents else "was not expected"
        self.find(chain.name, f"{title(document)} {state}")

    # days --------------------------------------------------------------------------------------------------------

    def _days_of(
        self, chain: Chain, owed: OwedDocument, document: Node, found: list[tuple[OwedDocument, Node]]
    ) -> None:
        delivered = day_of(document.get("delivery_date"))
        expected: set[date | None] = {*chain.delivery_days, berlin_day(owed.at)}
        if owed.kind in ("credit_note", "cancellation"):  # they repeat the dates of what they correct (460)
            expected = {day_of(d.get("delivery_date")) for o, d in found if o.key == owed.refers_to} or {delivered}
        elif owed.kind == "supplementary":
            expected |= {berlin_day(booking.at) for booking in owed.bookings}
        if delivered not in expected:
            self.report.wrong_dates += 1
            shown = ", ".join(sorted(str(day) for day in expected))
            self.find(chain.name, f"{title(document)} has the delivery date {delivered} instead of {shown}")
        issued = day_of(document.get("date"))
        written = berlin_day(instant(document.get("sent_at") or document["created_at"]))
        earliest = berlin_day(owed.at)
        if issued is None or issued < earliest or abs((issued - max(written, earliest)).days) > 1:
            self.report.wrong_dates += 1
            self.find(chain.name, f"{title(document)} is dated {issued}, written on {written}")

    # money -------------------------------------------------------------------------------------------------------

    def _lines_of(self, chain: Chain, *, linkable: bool) -> None:
        """Every movement stands once on its account (or in numbered parts that add up), or not at all."""
        for payment in chain.payments:
            self.used.add(payment.transaction)
            lines = self.lines.get(payment.transaction, [])
            owed = [line for line in lines if _CARD.search(str(line.get("purpose") or ""))]
            lines = [line for line in lines if line not in owed]
            self._debt_of(chain, payment, lines, owed)
            parts = Counter(str(line.get("purpose") or "").split(" order:")[0].strip() for line in lines)
            double = sum(count - 1 for count in parts.values())
            if double:
                self.report.duplicates += double
                self.find(chain.name, f"payment {payment.transaction} stands {len(lines)} times on an account")
            elif lines:
                self._sum_of(chain, payment, lines)
            for line in lines + owed:
                if day_of(line.get("value_date")) != payment.day:
                    self.report.wrong_dates += 1
                    said = line.get("value_date")
                    self.find(chain.name, f"payment {payment.transaction} is dated {said}, not {payment.day}")
                if linked(line) and not linkable:
                    self.find(chain.name, f"payment {payment.transaction} is linked although the order has no document")

    def _debt_of(self, chain: Chain, payment: OwedPayment, lines: list[Node], owed: list[Node]) -> None:
        """What of a movement is for gift cards stands against the account of what their owners are owed, once."""
        due = -payment.card if chain.outcome in ("documented", "excluded") or owed else 0
        whole = sum(int(line["amount_cents"]) for line in owed)
        if len(owed) > 1:
            self.report.duplicates += len(owed) - 1
            self.find(chain.name, f"the gift cards of payment {payment.transaction} stand {len(owed)} times")
        elif whole != due:
            self.report.cent_deviation += abs(whole - due)
            what = f"the gift cards of payment {payment.transaction}"
            self.find(chain.name, f"{what} stand with {whole} ct instead of {due}")
        if due and {line.get("account_id") for line in owed} & {line.get("account_id") for line in lines}:
            self.report.strangers += 1
            self.find(chain.name, f"the gift cards of payment {payment.transaction} stand on the account of its money")
        if chain.reason == "GIFT-CARDS-ONLY" and not lines:
            self.report.missing += 1
            self.find(chain.name, f"payment {payment.transaction} stands on no account")

    def _sum_of(self, chain: Chain, payment: OwedPayment, lines: list[Node]) -> None:
        whole = sum(int(line["amount_cents"]) for line in lines)
        if whole != payment.cents:
            self.report.cent_deviation += abs(whole - payment.cents)
            self.find(chain.name, f"payment {payment.transaction} stands with {whole} ct instead of {payment.cents}")

    def _bookings_of(self, chain: Chain, owed: OwedDocument, document: Node, must: bool) -> list[datetime]:
        """Per transaction the owed money, once; returns when each was booked."""
        due: Counter[str] = Counter()
        for booking in owed.bookings:
            if booking.clearing:
                due[booking.transaction] += booking.cents
        seen: dict[str, list[Node]] = {}
        for booking in document["bookings"]:
            line = self.line_by_id.get(str(booking["transaction_id"]))
            named = SHPTX.search(str((line or {}).get("purpose") or ""))
            seen.setdefault(named.group(1) if named else "", []).append(booking)
        if str(document["id"]) in self.others and "" in seen:  # paid by who wrote it: never by us as well
            paid = sum(int(booking["amount_cents"]) for booking in document["bookings"])
            if paid > owed.gross or len(seen) > 1:
                self.report.cent_deviation += max(0, paid - owed.gross)
                self.find(chain.name, f"{title(document)} was paid by others, and by us")
            return []
        booked = []
        for transaction, cents in due.items():
            mine = seen.pop(transaction, [])
            if not mine:
                if must:
                    self.report.missing += 1
                    what = f"payment {transaction} over {cents} ct is not booked on {title(document)}"
                    self.find(chain.name, what + self._where(transaction))
                continue
            self.report.payments_booked += 1
            whole = sum(int(booking["amount_cents"]) for booking in mine)
            if len(mine) > 1 and whole != cents:
                self.report.duplicates += len(mine) - 1
                self.find(chain.name, f"payment {transaction} is booked {len(mine)} times on {title(document)}")
            elif whole != cents:
                self.report.cent_deviation += abs(whole - cents)
                self.find(chain.name, f"payment {transaction} is booked with {whole} ct instead of {cents}")
            booked += [instant(booking["booked_at"]) for booking in mine]
        for transaction, others in seen.items():
            for other in others:
                self.report.cent_deviation += abs(int(other["amount_cents"]))
                what = f"payment {transaction}" if transaction else f"{other['amount_cents']} ct"
                self.find(chain.name, f"{what} is booked on {title(document)}, where it does not belong")
        return booked

    def _where(self, transaction: str) -> str:
        """What became of money that is not where it belongs."""
        lines = self.lines.get(transaction, [])
        others = [str(one["id"]) for line in lines for one in line.get("documents") or []]
        if not lines:
            return ", it stands on no account"
        return f", but on document {', '.join(others)}" if others else ""

    # letters -----------------------------------------------------------------------------------------------------

    def _letter_of(self, chain: Chain, owed: OwedDocument, document: Node) -> None:
        number = str(document.get("number") or "")
        mine = self.naming(number) if number else []
        self.read.update(id(message) for message in mine)
        if chain.email is None:
            if mine:
                self.find(chain.name, "a letter went out although the buyer left no e-mail address")
            return
        to_buyer = [message for message in mine if chain.email.casefold() in message.to]
        if len(to_buyer) < len(mine):
            self.find(chain.name, f"a letter with {title(document)} went to somebody else")
        ends = [message for message in to_buyer if message.ends(number)]
        right = [message for message in to_buyer if not message.ends(number)]
        self._once(chain, right, f"the letter with {title(document)}")
        self._once(chain, ends, f"the letter that {title(document)} is cancelled")
        if ends and not owed.cancelled:
            self.find(chain.name, f"a letter says that {title(document)} is cancelled, and it stands")
        if ends and (not right or mine.index(ends[0]) < mine.index(right[0])) and chain.name not in self.uncertain:
            self.find(
                chain.name, f"a letter says that {title(document)} is cancelled, which the buyer had not been sent"
            )
        if right and owed.cancelled and not ends and chain.outcome == "documented":
            self._no_letter(chain, f"no letter that {title(document)} is cancelled")
        if str(document["id"]) in self.others and not mine:
            return  # who wrote it also sent it
        if right or owed.kind not in self.letters or owed.cancelled or chain.outcome != "documented":
            return
        self._no_letter(chain, f"no letter with {title(document)}")

    def _once(self, chain: Chain, letters: Collection[Message], what: str) -> None:
        self.report.letters_sent += len(letters)
        if len(letters) > 1:
            self.report.duplicates += len(letters) - 1
            self.find(chain.name, f"{what} went out {len(letters)} times")

    def _no_letter(self, chain: Chain, what: str) -> None:
        if chain.name in self.uncertain:
            self.report.letters_uncertain += 1
        else:
            self.report.missing += 1
            self.find(chain.name, what)

    # the rest ----------------------------------------------------------------------------------------------------

    def _latency(
        self, chain: Chain, found: list[tuple[OwedDocument, Node]], booked: list[datetime], label: Node, fired_at: Any
    ) -> None:
        if chain.outcome != "documented" or len(found) < len(chain.documents):
            return
        moment = fired(fired_at, label.get("completes"))
        done = booked or [instant(document["sent_at"]) for _, document in found if document.get("sent_at")]
        if moment is not None and done:
            self.latencies.append(max(0.0, (max(done) - moment).total_seconds()))


class _Taxed:
    """What is owed, with the tax it is compared with."""

    def __init__(self, owed: OwedDocument, taxes: dict[str, int]) -> None:
        self.gross, self.by_rate, self.tax_by_rate, self.roundings = owed.gross, owed.by_rate, taxes, owed.roundings


def _with_tax(owed: OwedDocument) -> _Taxed:
    """The shop's tax of a first document; of every other the tax inside its gross per rate."""
    inside = {rate: tax_inside(cents, rate) for rate, cents in owed.by_rate.items()}
    return _Taxed(owed, owed.tax_by_rate or inside)


def _tail(document: Node) -> tuple[str, str]:
    """What the note says it is: ("sup", agreement), ("cn", refund), or nothing for a first invoice."""
    found = _TAIL.search(note_of(document))
    return (found.group(1), found.group(2)) if found else ("", "")


def _could_be(owed: OwedDocument, document: Node, origin: Node | None) -> bool:
    """Whether a document of sevdesk is meant to be this one, whatever its amount."""
    number = owed.key.split("/")[0].split(":")[1] if ":" in owed.key else ""
    if owed.kind == "credit_note":
        return document.get("kind") == "CreditNote" and _tail(document) == ("cn", number)
    if owed.kind == "cancellation":
        mine = origin is None or str(document.get("origin_id")) == str(origin["id"])
        return document.get("type") == "SR" and mine
    return is_invoice(document) and _tail(document) == (("sup", number) if owed.kind == "supplementary" else ("", ""))


def _distance(owed: OwedDocument, document: Node, origin: Node | None) -> tuple[bool, bool, bool, int]:
    """How badly a document fits: the best one of several is taken."""
    other = owed.kind in _CLAIMING and bool(document.get("cancelled")) != owed.cancelled
    astray = owed.kind == "credit_note" and origin is not None and str(document.get("source_id")) != str(origin["id"])
    off = abs(abs(int(document["gross_cents"])) - owed.gross)
    return other, int(document.get("status") or 0) < 200, astray, off


def _named(owed: OwedDocument) -> str:
    return owed.kind.replace("_", " ")
