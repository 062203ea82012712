"""One order told in the reader's language: from rows to sentences. Pure; `reads` brings the rows.

    heard     what the shop told us            decided   the tax decision, with reason, source and counterfactual
    posted    the document with its sums       paid      money on its account, linked to the document
    mailed    the letter and where it stands

Sentences are built from data; the audit chain's sentences are the log for the auditor, not for this page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from ladenbuch.db import from_micros
from ladenbuch.domain.gift_cards import CARD
from ladenbuch.web import codes, figures
from ladenbuch.web.pages import (
    AttentionItem,
    CertificateCard,
    CertificateLine,
    Entry,
    State,
    Timeline,
)
from ladenbuch.web.words import WORDS, Language, say

#: Webhooks of one event in the shop come as a bundle: what is heard within this time is one entry.
_BUNDLE = timedelta(minutes=2)

Row = Any


#: Letters with a name of their own in the story.
_LETTERS = frozenset({"correction", "cancellation", "payment", "refund", "reminder"})


@dataclass(frozen=True)
class Life:
    """The rows about one order. `order` is None while it was never settled, `mark` when nobody ever asked for it."""

    name: str
    state: State
    order: Row | None
    mark: Row | None
    heard: Sequence[Mapping[str, Any]] = ()
    documents: Sequence[Row] = ()
    money_lines: Sequence[Row] = ()
    bookings: Sequence[Row] = ()
    intents: Sequence[Row] = ()
    letters: Sequence[Row] = ()
    attention: Sequence[Row] = ()
    resolutions: Sequence[Row] = ()
    hands: Sequence[Row] = ()
    covered: int = 0
    gateways: Mapping[str, str] = field(default_factory=dict)


def tell(life: Life, language: Language) -> Timeline:
    """The timeline of one order."""
    teller = _Teller(life, language)
    return Timeline(
        order_name=life.name,
        state=life.state,
        total_minor=None if life.order is None else life.order.total,
        currency=teller.currency,
        entries=tuple(teller.entries()),
        certificate=teller.certificate(),
        waiting=tuple(teller.waiting()),
        attention=tuple(teller.attention()),
    )


class _Teller:
    def __init__(self, life: Life, language: Language) -> None:
        self._life = life
        self._language = language
        self.currency = "EUR" if life.order is None else str(life.order.currency)
        self._proof: dict[str, Any] = {} if life.order is None else json.loads(life.order.certificate)
        self._intents = {row.key: row for row in life.intents}

    def _t(self, key: str, **values: object) -> str:
        return say(self._language, key, **values)

    def _money(self, minor: int) -> str:
        return figures.money(self._language, minor, self.currency)

    def _at(self, micros: int) -> str:
        return figures.moment(self._language, from_micros(micros), "d. MMM y, HH:mm")

    # -- what happened -------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        told = [*self._decided(), *self._answered(), *self._paid(), *self._by_hand(), *self._mailed()]
        heard = self._heard(sorted(entry.at for entry in told))
        return sorted([*heard, *told], key=lambda entry: entry.at)

    def _heard(self, others: Sequence[datetime]) -> Iterable[Entry]:
        """Webhooks, bundled; an order found without any says so."""
        order = self._life.order
        placed = {} if order is None else {self._t("tell.placed"): self._at(order.processed_at)}
        bundles: list[list[Mapping[str, Any]]] = []
        for row in self._life.heard:
            first = bundles[-1][0]["received_at"] if bundles else None
            if first is not None and from_micros(row["received_at"]) - from_micros(first) < _BUNDLE:
                bundles[-1].append(row)
            else:
                bundles.append([row])
        found = []
        for bundle in bundles:
            topics = list(dict.fromkeys(self._topic(str(row["topic"])) for row in bundle))
            at = from_micros(bundle[0]["received_at"])
            found.append(Entry(at, "heard", self._t("tell.heard", what=", ".join(topics))))
        if not found and others:
            found.append(Entry(others[0], "heard", self._t("tell.found")))
        return [replace(entry, detail=placed) if number == 0 else entry for number, entry in enumerate(found)]

    def _topic(self, topic: str) -> str:
        key = f"topic.{topic}"
        return self._t(key) if key in WORDS else topic

    def _decided(self) -> Iterable[Entry]:
        for document in self._life.documents:
            tax = json.loads(document.tax)
            german = "_de" if self._language == "de" else ""
            reason = tax.get(f"reason{german}")
            otherwise = tax.get(f"counterfactual{german}") or tax.get("counterfactual", "")
            detail = {
                self._t("tell.source"): codes.source(self._language, str(tax.get("source", ""))),
                self._t("tell.point"): self._at(document.tax_point),
                self._t("tell.otherwise"): str(otherwise),
            }
            intent = self._intents.get(document.key)
            if document.kind == "credit_note":
                reason = self._t("tell.credited", gross=self._money(document.gross))
                detail[self._t("tell.source")] = codes.source(self._language, "§17 (1) UStG")
                detail.pop(self._t("tell.otherwise"))
            if intent is not None:
                shown = {label: value for label, value in detail.items() if value}
                yield Entry(from_micros(intent.called_at), "decided", reason or tax.get("reason", ""), shown)
            yield from self._posted(document, intent)

    def _answered(self) -> Iterable[Entry]:
        """What a person decided about a question."""
        for row in self._life.resolutions:
            values = {"who": row.actor, "choice": codes.choice(self._language, row.choice)}
            about = codes.sentence(self._language, row.code) or row.code
            detail = {self._t("tell.question"): f"{row.code}: {about}" if about != row.code else row.code}
            yield Entry(from_micros(row.at), "decided", self._t("tell.answered", **values), detail)

    def _by_hand(self) -> Iterable[Entry]:
        """What others did in sevdesk to the documents."""
        numbers = {row.key: row.number or "–" for row in self._life.documents}
        for row in self._life.hands:
            seen = json.loads(row.seen)
            values = {
                "number": numbers.get(row.document_key, "–"),
                "theirs": seen["number"] or row.sevdesk_id,
                "money": self._money(seen["amount"]),
            }
            kind: Literal["paid", "posted"] = "paid" if row.kind == "paid" else "posted"
            yield Entry(from_micros(row.seen_at), kind, self._t(f"tell.hand.{row.kind}", **values))

    def _posted(self, document: Row, intent: Row | None) -> Iterable[Entry]:
        gross = self._money(document.gross)
        detail = {}
        for rate, (brutto, net, tax) in json.loads(document.sums).items():
            label = self._t("tell.rate", rate=rate.replace(".", ",") if self._language == "de" else rate)
            sums = {"gross": self._money(brutto), "net": self._money(net), "tax": self._money(tax)}
            detail[label] = self._t("tell.sums", **sums)
        detail[self._t("tell.date")] = figures.day(self._language, document.invoice_date)
        if document.finalised_at is not None:
            kind = ".credit_note" if document.kind == "credit_note" else ""
            kind = ".adopted" if document.key.startswith("ado:") else kind
            sentence = self._t(f"tell.posted{kind}", number=document.number, gross=gross)
            yield Entry(from_micros(document.finalised_at), "posted", sentence, detail)
        elif document.state == "draft" and intent is not None and intent.done_at is not None:
            yield Entry(from_micros(intent.done_at), "posted", self._t("tell.draft", gross=gross), detail)
        cancelled = self._intents.get(f"sr:{document.key}")
        if document.state == "cancelled" and cancelled is not None and cancelled.done_at is not None:
            sentence = self._t("tell.cancelled", number=document.number)
            yield Entry(from_micros(cancelled.done_at), "posted", sentence)

    def _paid(self) -> Iterable[Entry]:
        booked = {row.payment_id for row in self._life.bookings}
        numbers = {row.key: row for row in self._life.documents}
        for row in self._life.bookings:
            document = numbers.get(row.document_key)
            values = {"money": self._money(abs(row.amount)), "gateway": self._gateway(row.account)}
            number = document.number if document is not None and document.number else "–"
            sentence = self._t("tell.paid" if row.amount > 0 else "tell.refunded", number=number, **values)
            detail = {self._t("tell.value"): figures.day(self._language, row.booked_on)}
            if document is not None and row.paid_after is not None:
                rest = document.gross - abs(row.paid_after)
                detail[self._t("tell.rest")] = self._money(rest) if rest else self._t("tell.settled")
            yield Entry(from_micros(row.booked_at), "paid", sentence, detail)
        for row in self._life.money_lines:
            intent = self._intents.get(row.key)
            if row.payment_id in booked or intent is None:
                continue
            values = {"money": self._money(abs(row.amount)), "gateway": self._gateway(row.account)}
            detail = {self._t("tell.value"): figures.day(self._language, row.value_date)}
            at = from_micros(intent.done_at or intent.called_at)
            what = "tell.line" if row.amount > 0 else "tell.line.back"
            if row.payment_id.endswith(f"/{CARD}"):
                what = "tell.card" if row.amount < 0 else "tell.card.back"
            yield Entry(at, "paid", self._t(what, **values), detail)

    def _gateway(self, account: str) -> str:
        return self._life.gateways.get(account, account)

    def _mailed(self) -> Iterable[Entry]:
        for row in self._life.letters:
            if row.kind == "copy":
                continue  # the archive's is no news about the order
            detail = {}
            if row.state in ("accepted", "delivered"):
                detail = {self._t("tell.relay"): row.relay or "", self._t("tell.reply"): row.reply or ""}
            elif row.state in ("bounced", "complained"):
                detail = {self._t("tell.relay"): row.relay or "", self._t("tell.why"): row.reason or ""}
            elif row.state in ("uncertain", "failed", "suppressed", "moot"):
                detail = {self._t("tell.why"): row.reason or "", "Message-ID": row.message_id or ""}
            shown = {label: value for label, value in detail.items() if value}
            what = self._t(f"tell.letter.{row.kind if row.kind in _LETTERS else 'invoice'}")
            doubt = row.key if row.state == "uncertain" else ""
            sentence = self._t(f"tell.letter.{row.state}", what=what)
            yield Entry(from_micros(row.changed_at), "mailed", sentence, shown, doubt)

    # -- the proof, and what is open -----------------------------------------------------------------------------

    def certificate(self) -> CertificateCard | None:
        """The proof as written at the last settle; nothing to prove while there is neither document nor money."""
        if not self._proof or not (self._life.documents or self._proof["money_booked_minor"]):
            return None
        documented = sum(self._proof["gross_by_rate_minor"].values())
        money, booked = self._proof["money_facts_minor"], self._proof["money_booked_minor"]
        rest = self._proof["open_minor"]
        causes = ", ".join(dict.fromkeys(codes.cause(self._language, one) for one in self._proof["open_causes"]))
        covers, equal = self._life.covered, bool(self._proof["documents_equal_facts"])
        lines = [
            CertificateLine(self._t("proof.documents"), documented, covers, equal and documented == covers),
            CertificateLine(self._t("proof.money"), booked, money, booked == money),
        ]
        if rest:
            lines.append(CertificateLine(self._t("proof.open"), rest, causes or self._t("proof.nocause"), bool(causes)))
        else:
            lines.append(CertificateLine(self._t("proof.open"), 0, 0, True))
        return CertificateCard(bool(self._proof["holds"]), tuple(lines))

    def waiting(self) -> Iterable[str]:
        order, mark = self._life.order, self._life.mark
        if order is not None and order.code is not None and not self._life.attention:
            yield codes.sentence(self._language, order.code) or order.code
        if mark is None:
            return
        if mark.run_id is not None:
            yield self._t("tell.running")
        elif mark.due_at is not None and mark.attempts:
            why = codes.sentence(self._language, mark.last_code) or mark.last_code
            yield self._t("tell.again", when=figures.moment(self._language, from_micros(mark.due_at)), why=why)
        elif mark.due_at is not None and mark.wanted == mark.settled:
            when = figures.moment(self._language, from_micros(mark.due_at))
            yield self._t("tell.calendar", when=when)
        elif mark.due_at is not None:
            yield self._t("tell.next")
        elif order is None and mark.last_code:
            yield codes.sentence(self._language, mark.last_code) or mark.last_code

    def attention(self) -> Iterable[AttentionItem]:
        known = {item["fact"]: item for item in self._proof.get("coverage", ())}
        for row in self._life.attention:
            facts = {}
            for fact in json.loads(row.facts):
                item = known.get(fact)
                if item is not None and item["amount_minor"]:
                    at = figures.moment(self._language, datetime.fromisoformat(item["at"]), "d. MMM y, HH:mm")
                    facts[f"{self._t('fact.' + item['kind'])}, {at}"] = self._money(item["amount_minor"])
            choices = tuple(codes.choice(self._language, one) for one in json.loads(row.choices))
            yield AttentionItem(row.code, codes.sentence(self._language, row.code, row.message), facts, choices)
