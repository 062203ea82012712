"""The audit of first documents: one invoice per order, its money, its letter."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ladenbuch.simulators.auditing.ground import SHPTX, Ground, day_of, fired, is_invoice, title
from ladenbuch.simulators.owed import Node, Owed, berlin_day, instant, owed_by


class FirstDocuments(Ground):
    # one order ---------------------------------------------------------------------------------------------------

    def order(self, item: Node) -> None:
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
        invoices = [d for d in documents if is_invoice(d) and not d.get("cancelled")]
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
            if not is_invoice(document):
                self.report.credit_notes += 1
                self.report.cent_deviation += abs(int(document["gross_cents"]))
                self.find(owed.name, f"{title(document)} was not expected")
            elif document.get("cancelled"):
                self.find(owed.name, f"{title(document)} was cancelled, which nothing in the shop asks for")

    def _nothing_expected(self, owed: Owed, outcome: str, invoices: list[Node]) -> None:
        for invoice in invoices:
            self.report.cent_deviation += abs(int(invoice["gross_cents"]))
            self.find(owed.name, f"{title(invoice)} exists although the order is {outcome}")
        self._lines_only(owed)

    def _lines_only(self, owed: Owed) -> None:
        """Money already received may stand on its account; once, and not linked to anything."""
        for payment in owed.payments:
            self.line(owed, payment, None)

    def _documented(self, owed: Owed, invoices: list[Node], label: Node, fired_at: Any) -> None:
        if len(invoices) > 1:
            self.report.duplicates += len(invoices) - 1
            self.find(owed.name, f"{len(invoices)} live invoices: {', '.join(map(title, invoices))}")
        final = [invoice for invoice in invoices if int(invoice.get("status") or 0) >= 200]
        if not final:
            self.report.missing += 1
            self.find(owed.name, "no invoice" if not invoices else f"{title(invoices[0])} is still a draft")
            self._lines_only(owed)
            return
        invoice = final[0]
        self.report.invoices += len(final)
        self.sums_of(owed.name, invoice, owed)
        self._days_of(owed, invoice)
        booked = self._payments_of(owed, invoice, later_money=label.get("outcome") != "attention")
        self._letter_of(owed, invoice)
        self._latency(owed, invoice, booked, label, fired_at)

    def _days_of(self, owed: Owed, invoice: Node) -> None:
        assert owed.tax_point is not None
        delivered = day_of(invoice.get("delivery_date"))
        if delivered not in owed.delivery_days:
            self.report.wrong_dates += 1
            expected = ", ".join(sorted(day.isoformat() for day in owed.delivery_days))
            self.find(owed.name, f"{title(invoice)} has the delivery date {delivered} instead of {expected}")
        issued = day_of(invoice.get("date"))
        written = berlin_day(instant(invoice.get("sent_at") or invoice["created_at"]))
        earliest = berlin_day(owed.tax_point)
        if issued is None or issued < earliest or abs((issued - max(written, earliest)).days) > 1:
            self.report.wrong_dates += 1
            self.find(owed.name, f"{title(invoice)} is dated {issued}, written on {written}")

    def _payments_of(self, owed: Owed, invoice: Node, *, later_money: bool) -> list[datetime]:
        """Check the bookings against the payments; returns when each was booked.

        Without `later_money`, money after the tax point may wait for the document a person decides about (the second
        charge of an edited or overpaid order does not fit on the first one).
        """
        left = list(invoice["bookings"])
        booked = []
        for payment in owed.payments:
            line = self.line(owed, payment, invoice)
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
        named = SHPTX.search(str((line or {}).get("purpose") or ""))
        if named is not None and named.group(1) in {p.transaction for p in owed.payments}:
            self.report.duplicates += 1
            self.find(owed.name, f"payment {named.group(1)} is booked twice")
            return
        self.report.cent_deviation += abs(int(booking["amount_cents"]))
        self.find(owed.name, f"{booking['amount_cents']} ct are booked that this order did not pay")

    def _letter_of(self, owed: Owed, invoice: Node) -> None:
        number = str(invoice.get("number") or "")
        mine = self.naming(number) if number else []
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

    def _latency(self, owed: Owed, invoice: Node, booked: list[datetime], label: Node, fired_at: Any) -> None:
        moment = fired(fired_at, label.get("completes"))
        done = max(booked) if owed.payments and booked else None
        if not owed.payments and invoice.get("sent_at"):
            done = instant(invoice["sent_at"])
        if moment is not None and done is not None:
            self.latencies.append(max(0.0, (done - moment).total_seconds()))
