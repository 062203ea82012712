"""The proof of one order: three identities and a coverage list (bookkeeping 1.5).

    (1) per tax rate: documents = covered facts      (2) money booked = money facts of our accounts
    (3) what is open has a listed cause              (4) every fact: covered | waiting | ignored | attention, and why

(1) folds the facts again as they are now, so that a ledger that changed under a document is noticed. (2) is per
transaction: each on one of our accounts is booked with its amount, or a question names it, or there is no document to
book it on yet. Made from facts, books and what is still planned; `projected` says that planned actions were counted as
done. It is a statement about our own numbers: the independent proof starts from raw Shopify and raw sevdesk data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from ladenbuch.domain.books import Books, PostedDocument, transaction_of
from ladenbuch.domain.document import rate_text
from ladenbuch.domain.facts import Fact, Facts, Problem
from ladenbuch.domain.gift_cards import CARD
from ladenbuch.domain.hands import BY_OTHERS, paid_by_others
from ladenbuch.domain.order import Sale
from ladenbuch.domain.plan import Plan
from ladenbuch.domain.positions import fold
from ladenbuch.domain.tax import taxed_as

#: Why something is open although it was paid: its money is not ours to link.
MATCHED_THERE = "money of gateways that are matched in sevdesk or booked by hand"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of one fact. `status`: covered, planned, waiting, ignored, attention."""

    fact: Fact
    status: str
    because: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """The proof of one order. `holds` is True when every identity is true and every fact is accounted for."""

    order_id: str
    verdict: str  # documented | waiting | excluded | attention | incomplete
    projected: bool
    gross_by_rate: dict[str, int]
    documents_equal_facts: bool
    money_facts: int
    money_booked: int
    open_minor: int
    open_causes: tuple[str, ...]
    coverage: tuple[Coverage, ...]
    money_explained: bool = False

    @property
    def holds(self) -> bool:
        """Every identity is true, every open cent has a cause, no fact is without a status."""
        return self.documents_equal_facts and self.money_explained and (self.open_minor == 0 or bool(self.open_causes))

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/plan.md."""
        return {
            "verdict": self.verdict,
            "holds": self.holds,
            "projected": self.projected,
            "gross_by_rate_minor": self.gross_by_rate,
            "documents_equal_facts": self.documents_equal_facts,
            "money_facts_minor": self.money_facts,
            "money_booked_minor": self.money_booked,
            "open_minor": self.open_minor,
            "open_causes": list(self.open_causes),
            "coverage": [
                {
                    "fact": item.fact.id,
                    "kind": item.fact.kind,
                    "at": item.fact.at.isoformat(),
                    "amount_minor": item.fact.amount,
                    "status": item.status,
                    "because": item.because,
                }
                for item in self.coverage
            ],
        }


def certificate(facts: Facts, books: Books, plan: Plan) -> Certificate:
    """Prove one order from its facts, its books and its plan; planned actions count as done (`projected`)."""
    rest = plan.cards.without(facts)
    planned = {item.document.key: item.document for item in plan.actions if item.document is not None}
    documents = [*books.documents, *(doc for key, doc in planned.items() if key not in _keys(books))]
    held = {item.document.key for item in plan.actions if item.not_before is not None and item.document is not None}
    cancelled = {item.document.key for item in plan.actions if item.kind == "cancel" and item.document is not None}
    live = [doc for doc in documents if doc.state != "cancelled" and doc.key not in cancelled]
    gross_by_rate: dict[str, int] = {}
    for document in live:
        for rate, total in document.draft.sums.items():
            key = rate_text(rate)
            gross_by_rate[key] = gross_by_rate.get(key, 0) + _sign(document) * total.gross
    documented = sum(_sign(document) * document.draft.gross for document in live)
    booked: dict[str, int] = {}
    done = [item for item in books.bookings if item.done]
    for booking in [*done, *(item.booking for item in plan.actions if item.booking is not None)]:
        transaction = transaction_of(booking.payment_id)
        booked[transaction] = booked.get(transaction, 0) + booking.amount
    ours = _on_our_accounts(facts, books, plan)
    ids = {item.id for item in ours}
    owed = _owed_for_cards(books, plan)
    live_keys = {document.key for document in live}
    by_others = sum(amount for key, amount in paid_by_others(books).items() if key in live_keys)
    open_minor = documented - sum(booked.values()) - by_others
    return Certificate(
        order_id=plan.order_id,
        verdict=_verdict(plan, [document for document in documents if document.key not in held]),
        projected=bool(plan.actions),
        gross_by_rate=gross_by_rate,
        documents_equal_facts=_documents_equal_facts(rest, live),
        money_facts=sum(fact.amount for fact in ours),
        money_booked=sum(booked.values()) + sum(owed.values()),
        open_minor=open_minor,
        open_causes=_causes(rest, plan, documented, open_minor, [item for item in rest.items if item.id in ids]),
        coverage=tuple(_coverage(facts, fact, books, plan, planned, booked, ids) for fact in facts.items),
        money_explained=_money_explained(rest, plan, bool(live), booked, [i for i in rest.items if i.id in ids])
        and _cards_explained(plan, owed, ids),
    )


def _sign(document: PostedDocument) -> int:
    return -1 if document.kind == "credit_note" else 1


def _documents_equal_facts(facts: Facts, live: list[PostedDocument]) -> bool:
    """(1): what a document carries per rate is the fold of the ledger entries it covers, each covered once."""
    credits = [item for item in live if item.kind == "credit_note"]
    live = [item for item in live if item.kind != "credit_note"]
    if any(sum(cover.amount for cover in item.covers) != -item.draft.gross for item in credits):
        return False
    covers = [cover for document in live for cover in document.covers]
    if len({cover.fact_id for cover in covers}) != len(covers):
        return False
    amounts = {fact.id: fact.amount for fact in facts.items if fact.kind == "agreement"}
    amounts |= {sale.id: sale.total for item in facts.agreements for sale in item.sales}
    if any(amounts.get(_fact(cover.fact_id)) != cover.amount for cover in covers):
        return False
    return all(_owed(facts, document) == _posted(document) for document in live)


def _fact(covered: str) -> str:
    """The id of a fact without the mark that tells it was covered before by an invoice that was cancelled."""
    return covered.partition("~")[0]


def _owed(facts: Facts, document: PostedDocument) -> dict[Decimal, int] | None:
    """The gross per rate of what a document covers, folded again as the ledger is now; None where it does not fold."""
    covered = {_fact(cover.fact_id) for cover in document.covers}
    said = {
        sale: tuple((Decimal(rate), tax) for rate, tax in taxes.items())
        for sale, taxes in dict(document.tax.get("override", {})).items()
    }
    mine = []
    for agreement in facts.agreements:
        whole = agreement.id in covered
        sales = tuple(
            taxed_as(sale, said[sale.id]) if sale.id in said else sale
            for sale in agreement.sales
            if whole or sale.id in covered
        )
        if sales:
            mine.append(replace(agreement, sales=sales))
    folded, _ = fold(facts.order, mine)
    if folded is None:
        return _exchanged([sale for item in mine for sale in item.sales])
    return {rate: gross for rate, gross in folded.claim if gross}


def _exchanged(sales: list[Sale]) -> dict[Decimal, int] | None:
    """The gross per rate of goods against goods: what was taken back was sold on an earlier document (1.4)."""
    if not any(sale.total < 0 for sale in sales):
        return None
    owed: dict[Decimal, int] = {}
    for sale in sales:
        rates = {tax.rate for tax in sale.taxes}
        if len(rates) != 1 and sale.total:
            return None
        for rate in rates:
            owed[rate] = owed.get(rate, 0) + sale.total
    return {rate: gross for rate, gross in owed.items() if gross}


def _posted(document: PostedDocument) -> dict[Decimal, int]:
    return {rate: total.gross for rate, total in document.draft.sums.items() if total.gross}


def _on_our_accounts(facts: Facts, books: Books, plan: Plan) -> list[Fact]:
    """Money facts of the gateways whose money stands on an account of ours, refunds included."""
    written = [*books.lines, *(item.line for item in plan.actions if item.line and item.kind == "money_line")]
    booked = [*books.bookings, *(item.booking for item in plan.actions if item.booking)]
    lines = {transaction_of(item.payment_id) for item in written} | {transaction_of(b.payment_id) for b in booked}
    gateways = {item.gateway for item in facts.order.payments if item.id in lines}
    theirs = {item.id for item in facts.order.payments if item.gateway in gateways}
    linked = {fact for fact, why in plan.noted if why == BY_OTHERS}
    return [fact for fact in facts.items if fact.kind == "money" and fact.id in theirs - linked]


def _money_explained(facts: Facts, plan: Plan, live: bool, booked: dict[str, int], ours: list[Fact]) -> bool:
    """(2): per transaction, so that one open question excuses only the money it names."""
    amounts = {fact.id: fact.amount for fact in facts.items if fact.kind == "money"}
    if any(amounts.get(payment) != amount for payment, amount in booked.items()):
        return False
    waiting = [item for item in plan.waiting if item.code == "FEED-WAITING"]
    asked = {fact for problem in (*plan.attention, *_decided(plan), *waiting) for fact in problem.facts}
    parked = not live and bool(plan.waiting or plan.attention or plan.exclusion or plan.later)
    open_facts = [fact for fact in ours if not (fact.id in booked or fact.id in asked or parked)]
    return sum(fact.amount for fact in open_facts) == 0  # what was paid too much and given back


def _owed_for_cards(books: Books, plan: Plan) -> dict[str, int]:
    """Per transaction, what of it stands against the account of the gift cards, done or planned (2.5)."""
    written = [*books.lines, *(item.line for item in plan.actions if item.line)]
    return {transaction_of(item.payment_id): -item.amount for item in written if item.payment_id.endswith(f"/{CARD}")}


def _cards_explained(plan: Plan, owed: dict[str, int], ours: set[str]) -> bool:
    """(2) of gift cards: each transaction's part for them is owed to their owners, or asked about."""
    asked = {fact for problem in (*plan.attention, *_decided(plan)) for fact in problem.facts}
    parts = {payment: part for payment, part in plan.cards.parts.items() if payment in ours and payment not in asked}
    return all(owed.get(payment) == part for payment, part in parts.items()) and owed.keys() <= plan.cards.parts.keys()


def _decided(plan: Plan) -> list[Problem]:
    """Questions a person has answered: what they name is accounted for."""
    return [problem for problem, _ in plan.answered]


def _keys(books: Books) -> set[str]:
    return {document.key for document in books.documents}


def _status(noted: str, books: Books) -> str:
    """Of a later fact: the document it led to is there or planned, or it needs none."""
    if not noted.startswith(("cn:", "sr:")):
        return "ignored"
    return "covered" if noted in books.applied else "planned"


def _verdict(plan: Plan, documents: list[PostedDocument]) -> str:
    """`documents` are those that are there or may be written now: not what a grace still holds."""
    if plan.later:
        return "incomplete"
    if plan.exclusion:
        return "excluded"
    if plan.attention:
        return "attention"
    return "documented" if documents else "waiting"


def _causes(facts: Facts, plan: Plan, documented: int, open_minor: int, ours: list[Fact]) -> tuple[str, ...]:
    """(3): open = documents less all money, plus money booked elsewhere, plus money of ours that waits."""
    if open_minor == 0:
        return ()
    causes = [f"attention {item.code}" for item in plan.attention]
    causes += [f"a person decided about {item.code}" for item in _decided(plan)]
    if facts.money != sum(fact.amount for fact in ours):
        causes.append(MATCHED_THERE)
    if facts.money < documented:
        back = any(fact.kind == "money" and fact.amount < 0 for fact in facts.items)
        causes.append("money went back to the buyer" if back else "not paid yet")
    causes += [item.code for item in plan.waiting]
    return tuple(causes)


def _coverage(
    facts: Facts,
    fact: Fact,
    books: Books,
    plan: Plan,
    planned: dict[str, PostedDocument],
    booked: dict[str, int],
    line_ids: set[str],
) -> Coverage:
    """The status of one fact, with its reason."""
    ids = {fact.id, *(sale.id for item in facts.agreements if item.id == fact.id for sale in item.sales)}
    for document in books.documents:
        if any(_fact(cover.fact_id) in ids for cover in document.covers):
            return Coverage(fact, "covered", document.key)
    for key, document in planned.items():
        if any(_fact(cover.fact_id) in ids for cover in document.covers):
            return Coverage(fact, "planned", key)
    if ids <= plan.cards.sales | {fact.id} and len(ids) > 1:
        return Coverage(fact, "ignored", "a multi-purpose gift card is a debt: no document is for it (2.5)")
    if fact.kind == "money" and fact.amount == plan.cards.parts.get(fact.id) and fact.id in line_ids:
        key = f"line:{fact.id.rsplit('/', 1)[-1]}:{CARD}"
        return Coverage(fact, "covered" if key in books.applied else "planned", key)
    if any(fact.id in item.facts for item in plan.waiting if item.code == "FEED-WAITING"):
        return Coverage(fact, "waiting", "FEED-WAITING")
    noted = dict(plan.noted).get(fact.id)
    if noted is not None:
        return Coverage(fact, _status(noted, books), noted)
    if fact.kind == "money" and fact.id in booked:
        done = any(transaction_of(item.payment_id) == fact.id and item.done for item in books.bookings)
        return Coverage(fact, "covered" if done else "planned", f"pay:{fact.id.rsplit('/', 1)[-1]}:1")
    for problem in plan.attention:
        if fact.id in problem.facts:
            return Coverage(fact, "attention", problem.code)
    for problem, choice in plan.answered:
        if fact.id in problem.facts:
            return Coverage(fact, "ignored", f"{problem.code}: a person decided: {choice}")
    if plan.exclusion is not None:
        return Coverage(fact, "ignored", plan.exclusion.code)
    if plan.later is not None:
        return Coverage(fact, "waiting", plan.later)
    if fact.kind == "fulfilment":
        return Coverage(fact, "ignored", "a shipment moves no money; the first one may set the tax point")
    if fact.kind == "money" and fact.amount < 0 and plan.attention:
        return Coverage(fact, "attention", plan.attention[0].code)  # money that went back is what is asked about
    if fact.kind == "money" and fact.id in line_ids:
        return Coverage(fact, "waiting", "on its account until there is an invoice")
    if fact.kind == "money":
        return Coverage(fact, "ignored", "this gateway is not booked from Shopify")
    if plan.attention:
        return Coverage(fact, "attention", plan.attention[0].code)
    if plan.answered:
        problem, choice = plan.answered[0]
        return Coverage(fact, "ignored", f"{problem.code}: a person decided: {choice}")
    return Coverage(fact, "waiting", plan.waiting[0].code if plan.waiting else "its document")
