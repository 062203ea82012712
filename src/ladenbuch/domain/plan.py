"""plan(facts, books, profiles, now) -> Plan: what is left to do for one order, each action with its reason.

Pure, total, deterministic. The same function without `apply` is the dry run, the explanation and the reconciliation.
Rules are those of the bookkeeping rule set and named where they act:

    R1  facts not yet covered -> actions              R2  the first document folds the ledger up to the tax point
    R7  one key, once, for ever                        R9  `now` releases actions and fills dates, nothing else
    R19 gaps mean later, not attention                 R20 parked parts do not block independent parts
    R21 to the cent, or not at all                     R22 before go-live is not ours
    R10 what is posted stays under the profile it was posted under

What this version does not decide becomes `Attention(code, facts, choices)`; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ladenbuch.domain.actions import Action, Letter, Plan, finalise_key, without_letter_address
from ladenbuch.domain.bookings import Money, money
from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.chain import Chain, chain_of
from ladenbuch.domain.document import CreditNoteDraft
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.exclusion import exclusion_of, refunded_since
from ladenbuch.domain.facts import Facts, Problem, TaxPoint, moved
from ladenbuch.domain.first import first_documents
from ladenbuch.domain.gift_cards import GATEWAY, ONLY_CARDS, GiftCards, left_over, set_aside
from ladenbuch.domain.later import beside_the_ledger, cancelled, changed_facts, later_facts, open_disputes, refund_money
from ladenbuch.domain.order import Order
from ladenbuch.domain.prepayment import partial_prepayment
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.tax import foreign_money, taxed_at_supply

__all__ = ["HELD", "Action", "Letter", "Plan", "finalise_key", "plan", "without_letter_address"]

#: Questions that answer themselves in time: nothing is decided, and nobody is asked yet (3.3 no. 7).
HELD = frozenset({"VAT-ID-UNCHECKED", "VAT-ID-UNAVAILABLE"})


def plan(
    facts: Facts, books: Books, profiles: Sequence[Profile], now: datetime, evidence: Evidence | None = None
) -> Plan:
    """Compare facts with books and say what is left to do (R1). Never raises for data; never looks at a clock.

    `profiles` are all versions of the tenant's accounting profile; the tax point chooses (P1). `now` is aware UTC.
    `evidence` is what was looked up outside the order: without it only German rates are known, and no VAT id.
    """
    whole, evidence = facts, evidence or Evidence()
    facts, cards = set_aside(whole, books, profiles)  # from here on the order without its multi-purpose cards (2.5)
    order = facts.order
    ordered_under = _pinned(whole.order, books, profiles, profile_at(profiles, order.processed_at))
    at_supply = taxed_at_supply(order, facts.agreements, ordered_under)
    if at_supply:
        facts = replace(facts, tax_point=facts.first_supply)
    if not facts.complete:
        return Plan(order.id, later=f"parts of the order could not be read: {', '.join(order.gaps[:3])}")
    tax_point = facts.tax_point
    dated = profile_at(profiles, tax_point.at if tax_point else order.processed_at)
    profile = _pinned(whole.order, books, profiles, dated)
    excluded = exclusion_of(replace(whole, tax_point=tax_point), books, profile)
    if excluded is not None:
        late = refunded_since(whole, profile.go_live) if excluded.code == "BEFORE-GO-LIVE" else ()
        return Plan(order.id, attention=late, exclusion=None if late else excluded, tax_point=tax_point)
    if tax_point is None and books.invoice is None:
        return _before_tax_point(facts if cards.settled else whole, books, profile, now, at_supply, cards)
    if cards.only:
        return _only_cards(facts, books, profile, cards, tax_point)
    documents, problems = first_documents(facts, books, profile, tax_point, now, evidence)
    foreign = foreign_money(order, profile)
    attention = [item for item in problems if item.code not in HELD]
    attention += [item for item in foreign if item not in problems]
    waiting = [item for item in problems if item.code in HELD]
    chain = Chain(documents=documents)
    changed = changed_facts(facts, books)
    attention += changed
    if documents and not problems and not changed:
        point = tax_point or TaxPoint(documents[0].tax_point or order.processed_at, "money", order.id)
        chain = chain_of(facts, books, profiles, documents, point, now, evidence)
        attention += chain.attention + beside_the_ledger(order)
        waiting += chain.waiting + open_disputes(order)
    elif not documents:
        attention += later_facts(facts, tax_point)
    cancelled_keys = {item.document_key for item in chain.cancels}
    standing = [i for i in chain.documents if i.kind != "credit_note" and i.key not in cancelled_keys]
    made = Money()
    if not foreign:
        invoiced = standing if chain.documents else None
        made = money(facts, books, profile, invoiced, chain.returned, chain.overpaid_back, cards)
    attention += made.problems
    actions, still = _posting(books, profile, chain, standing, made, now)
    waiting += still
    flap = [item for item in actions if item.key in books.applied]
    if flap:
        keys = tuple(item.key for item in flap)
        problem = Problem("FLAP", "a key that was already applied is wanted again (R7)", keys, ("look into it",))
        return Plan(order.id, attention=(problem,), tax_point=tax_point)
    if profile.draft_only:
        actions = [item for item in actions if item.kind == "invoice"]
    noted = tuple(chain.noted.items())
    said = tuple(actions), tuple(waiting), tuple(attention)
    return Plan(order.id, *said, tax_point=tax_point, noted=noted, cards=cards)


def _only_cards(facts: Facts, books: Books, profile: Profile, cards: GiftCards, tax_point: TaxPoint | None) -> Plan:
    """Nothing but multi-purpose gift cards was sold: their lines, and no document ever (2.5)."""
    order = facts.order
    attention = [*facts.problems, *foreign_money(order, profile)]
    made = Money() if attention else money(facts, books, profile, cards=cards)
    attention += made.problems + beside_the_ledger(order) + left_over(facts)
    said = () if profile.draft_only else tuple(made.lines), tuple(open_disputes(order)), tuple(attention)
    excluded = None if attention else Problem("GIFT-CARDS-ONLY", ONLY_CARDS, (order.id,))
    return Plan(order.id, *said, exclusion=excluded, tax_point=tax_point, cards=cards)


def _pinned(order: Order, books: Books, profiles: Sequence[Profile], dated: Profile) -> Profile:
    """The version an order was posted under, whatever was dated before it since (P1, R10); else `dated`.

    What that version left open about a gateway may still be answered: by the version dated to the tax point.
    """
    first = books.invoice
    pinned = None if first is None else next((item for item in profiles if item.version == first.profile_version), None)
    if pinned is None or pinned is dated:
        return dated
    gateways = dict(pinned.gateways)
    used = {(payment.gateway, payment.manual) for payment in order.payments} | {(GATEWAY, False)}
    for name, manual in used:
        answer = dated.gateway(name, manual=manual)
        if answer is not None and name and not pinned.settles(name, manual=manual):
            gateways[name] = answer
    return replace(pinned, gateways=gateways)


def _before_tax_point(
    facts: Facts, books: Books, profile: Profile, now: datetime, at_supply: bool, cards: GiftCards
) -> Plan:
    """Nothing is taxed yet: wait. Money already received is written to its account at once (bookkeeping 4.2)."""
    order = facts.order
    attention = [item for item in facts.problems if item.code == "TEST-PAYMENT"]
    actions: list[Action] = []
    paid = tuple(item.id for item in order.payments if moved(item))
    back = refund_money(order)
    if paid or back:
        attention = list(facts.problems) + back
        foreign = foreign_money(order, profile)
        if foreign:
            attention += foreign
        else:
            made = money(facts, books, profile, cards=cards)
            actions += made.lines if not profile.draft_only else ()
            attention += made.problems
        if order.cancelled_at is not None:
            attention.append(cancelled(order))
        elif facts.claim <= 0 < facts.money and not facts.problems:
            choices = ("refund the difference", "keep it as credit", "book by hand")
            attention.append(Problem("OVERPAID", "money came in and nothing is owed any more", paid, choices))
        elif not at_supply and not cards.only:
            attention += partial_prepayment(facts, profile, now)
    what = "authorised, not captured" if order.financial_status == "AUTHORIZED" else "not paid and not shipped"
    waiting = Problem("UNPAID", f"{what}: the invoice follows payment or shipment", (order.id,))
    if at_supply:
        what = "the exemption hangs on the shipment: the invoice follows it (3.1)"
        waiting = Problem("UNSHIPPED", what, (order.id,))
    return Plan(order.id, tuple(actions), (waiting,), tuple(attention), cards=cards)


def _posting(
    books: Books, profile: Profile, chain: Chain, standing: list[PostedDocument], made: Money, now: datetime
) -> tuple[list[Action], list[Problem]]:
    """Money on its accounts, documents in the order of the chain, then what pays them, then what corrects them: a
    credit note needs the payment linked first (R5)."""
    actions = list(made.lines)
    waiting: list[Problem] = []
    cancels = {item.document_key: item for item in chain.cancels}
    for document in (item for item in chain.documents if item.kind != "credit_note"):
        done, still = _document_actions(document, profile, now)
        actions += done
        waiting += still
        cancel = cancels.get(document.key)
        if cancel is not None and cancel.key not in books.applied:
            after = (finalise_key(document.key),)
            actions.append(Action("cancel", cancel.key, cancel.reason, cancel.covers, after, document=document))
    actions += made.payments
    for document in (item for item in chain.documents if item.kind == "credit_note"):
        assert isinstance(document.draft, CreditNoteDraft)
        origin = document.draft.origin_key
        paid = [item.key for item in made.payments if item.booking and item.booking.document_key == origin]
        done, still = _document_actions(document, profile, now, (finalise_key(origin), *paid))
        actions += done
        waiting += still
    actions += made.refunds
    for document in (*standing, *(item for item in chain.documents if item.kind == "credit_note")):
        actions += _letter(document, books, profile)
    return actions, waiting


def _document_actions(
    document: PostedDocument, profile: Profile, now: datetime, after: tuple[str, ...] = ()
) -> tuple[list[Action], list[Problem]]:
    """Draft, then finalise; a draft-only tenant finalises by hand."""
    covers = tuple(cover.fact_id for cover in document.covers)
    actions: list[Action] = []
    credit = document.kind == "credit_note"
    if document.state == "intended":
        assert document.tax_point is not None
        local = profile.local_date(document.tax_point)
        said = str(document.tax.get("reason", ""))
        reason = (
            f"The tax arose on {local.isoformat()}; the ledger up to then is {document.draft.gross} minor units. {said}"
        )
        if credit:
            reason = (
                f"{document.draft.gross} minor units went back on {local.isoformat()}: the tax falls with them. {said}"
            )
        elif document.kind == "supplementary":
            reason = f"{document.draft.gross} minor units were added; their tax arose on {local.isoformat()}. {said}"
        held = document.tax_point if document.tax_point > now else None
        kind = "credit_note" if credit else "invoice"
        actions.append(Action(kind, document.key, reason, covers, after, not_before=held, document=document))
    if document.state in ("final", "cancelled"):
        return actions, []
    if profile.draft_only:
        return actions, [Problem("DRAFT-ONLY", "a person finalises the draft in sevdesk", (document.key,))]
    what = "money that went back" if credit else "order"
    reason = f"The draft equals the {what} to the cent: it takes its number and may be sent."
    key = finalise_key(document.key)
    actions.append(Action("finalise", key, reason, covers, (document.key,), document=document))
    return actions, []


def _letter(document: PostedDocument, books: Books, profile: Profile) -> list[Action]:
    """One letter per document, when the buyer has an address for it."""
    key = f"mail:{document.key}"
    to = document.draft.party.email
    if not profile.letters or not to or key in books.letters or document.state == "cancelled":
        return []
    letter = Letter(document.key, to, document.draft.party.locale)
    reason = "The invoice has its number: the buyer gets it once."
    if document.kind == "credit_note":
        reason = "The credit note has its number: the buyer gets it once."
    return [Action("letter", key, reason, (), (finalise_key(document.key),), letter=letter)]
