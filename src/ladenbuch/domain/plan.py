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
from datetime import date, datetime

from ladenbuch.domain.actions import Action, Letter, Plan, finalise_key, without_letter_address
from ladenbuch.domain.adopted import Adoption, adoption
from ladenbuch.domain.answers import BY_HAND, EXCLUDE, WAIVE, Answers, effect_of, merged
from ladenbuch.domain.bookings import Money, money
from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.chain import Chain, chain_of
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.exclusion import exclusion_of, refunded_since
from ladenbuch.domain.facts import Facts, Problem, TaxPoint, moved
from ladenbuch.domain.first import Basis, closed_notices, first_documents
from ladenbuch.domain.gift_cards import GATEWAY, ONLY_CARDS, GiftCards, left_over, set_aside
from ladenbuch.domain.hands import (
    BY_OTHERS,
    beside_ours,
    credited_by_hand,
    drafts_by_hand,
    human_owned,
    strange_credit,
)
from ladenbuch.domain.later import beside_the_ledger, cancelled, changed_facts, later_facts, open_disputes, refund_money
from ladenbuch.domain.lettering import of_cancellation, of_document, of_payments, of_refunds, paid_at
from ladenbuch.domain.modes import Modes
from ladenbuch.domain.order import Order
from ladenbuch.domain.prepayment import partial_prepayment
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.reasons import because, euros
from ladenbuch.domain.tax import foreign_money, taxed_at_supply
from ladenbuch.domain.timing import Timed, month_end, timed
from ladenbuch.domain.transfers import with_transfers

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
    evidence = evidence or Evidence()
    made = _planned(facts, books, profiles, now, evidence)
    if any(item.code == "GIFT-CARD" for item in made.attention) and _multi_purpose(made, facts, books):
        profiles = [replace(profile, vouchers="multi_purpose") for profile in profiles]
        made = _planned(facts, books, profiles, now, evidence)
    made = _answered(made, Answers.of(books.resolutions, facts), books)
    return with_transfers(made, facts, books, profiles, now, evidence)


def _multi_purpose(made: Plan, facts: Facts, books: Books) -> bool:
    """Whether a person said that the gift cards in question can buy anything: then they are left out (2.5)."""
    answers = Answers.of(books.resolutions, facts)
    chosen = [answers.to(item) for item in made.attention if item.code == "GIFT-CARD"]
    return any(effect_of(choice).value == "multi_purpose" for choice in chosen if choice is not None)


def _planned(whole: Facts, books: Books, profiles: Sequence[Profile], now: datetime, evidence: Evidence) -> Plan:
    """The plan with all its questions, answered or not."""
    if not whole.complete:
        missing = ", ".join(whole.order.gaps[:3])
        return Plan(whole.order.id, later=f"parts of the order could not be read: {missing}")
    placed = _pinned(whole.order, books, profiles, profile_at(profiles, whole.order.processed_at))

    timing = timed(whole, placed, now)

    def again(of: Facts) -> TaxPoint | None:
        return timed(of, placed, now).point

    # from here on the order without its multi-purpose cards (2.5)
    facts, cards = set_aside(replace(whole, tax_point=timing.point), books, profiles, again)
    order = facts.order
    if taxed_at_supply(order, facts.agreements, placed):
        timing = Timed(facts.first_supply, at_supply=True)
        facts = replace(facts, tax_point=timing.point)
    tax_point = facts.tax_point
    dated = profile_at(profiles, tax_point.at if tax_point else order.processed_at)
    profile = _pinned(whole.order, books, profiles, dated)
    basis = Basis.of(facts, books, profiles, now, evidence)
    excluded = exclusion_of(replace(whole, tax_point=tax_point), books, profile)
    taking = adoption(basis, books, profile) if excluded is None or excluded.code == "BEFORE-GO-LIVE" else Adoption()
    if taking.document is not None:  # what follows from it is planned when it is in the books
        return Plan(order.id, (taking.action,), tax_point=tax_point, cards=cards)
    if excluded is not None:
        late = refunded_since(whole, profile.go_live) if excluded.code == "BEFORE-GO-LIVE" else ()
        asked = (taking.asked,) if late and taking.asked is not None else late
        return Plan(order.id, attention=asked, exclusion=None if late else excluded, tax_point=tax_point)
    if taking.asked is not None and books.invoice is None:  # its money may be booked there, too
        return Plan(order.id, attention=(taking.asked,), tax_point=tax_point, cards=cards)
    basis = replace(basis, asked=taking.asked)
    if tax_point is None and books.invoice is None:
        early = basis if cards.settled else replace(basis, facts=whole)
        return _before_tax_point(early, books, profiles, profile, timing, cards)
    if cards.only:
        return _only_cards(facts, books, profiles, profile, cards, tax_point)
    return _after_tax_point(basis, books, profiles, profile, cards)


def _after_tax_point(
    basis: Basis, books: Books, profiles: Sequence[Profile], profile: Profile, cards: GiftCards
) -> Plan:
    """The documents, what corrects them, and the money that pays them."""
    facts, order, tax_point = basis.facts, basis.facts.order, basis.facts.tax_point
    documents, problems = first_documents(basis, books, profile, tax_point)
    foreign = foreign_money(order, profile)
    attention = [item for item in problems if item.code not in HELD]
    attention += [item for item in foreign if item not in problems]
    waiting = [item for item in problems if item.code in HELD]
    chain = Chain(documents=documents)
    changed = changed_facts(facts, books)
    theirs = human_owned(books)  # from then on they write, and we only keep the money (R13)
    attention += changed + theirs + beside_ours(books)
    if documents and not problems and not changed and not theirs:
        chain = chain_of(basis, books, profiles, documents, tax_point)
        attention += chain.attention + beside_the_ledger(order) + closed_notices(chain.documents)
        attention += _strange_credits(books, chain)
        waiting += chain.waiting + open_disputes(order)
    elif not documents and not foreign:
        attention += later_facts(facts, tax_point)
    cancelled_keys = {item.document_key for item in chain.cancels}
    standing = [i for i in chain.documents if i.kind != "credit_note" and i.key not in cancelled_keys]
    made = Money()
    if not foreign:
        invoiced = standing if chain.documents and not theirs else None
        returned, feeds = chain.returned, basis.evidence.feeds
        modes = Modes.of(profiles, profile, books)
        made = money(facts, books, profile, invoiced, returned, chain.overpaid_back, cards, feeds, basis.now, modes)
    waits = basis.asked is not None and basis.asked in attention  # then money may be for what is not invoiced yet
    attention += [item for item in made.problems if not (waits and item.code == "OVERPAID")]
    actions, still = _posting(books, profiles, profile, chain, standing, made, basis, theirs=bool(theirs))
    waiting += still
    flap = [item for item in actions if item.key in books.applied]
    if flap:
        keys = tuple(item.key for item in flap)
        problem = Problem("FLAP", "a key that was already applied is wanted again (R7)", keys, ("look into it",))
        return Plan(order.id, attention=(problem,), tax_point=tax_point)
    stale: date | None = None
    if finalised_by_hand(profile):
        actions = [item for item in actions if item.kind == "invoice"]
        written = [item for item in books.documents if item.state == "draft"]
        more = any(item.kind != "invoice" for item in chain.documents) or bool(chain.cancels)
        asked, stale = drafts_by_hand(books, written, profile.local_date(basis.now), more)
        attention += asked
    releases = [item.not_before for item in actions if item.not_before is not None and item.not_before > basis.now]
    if releases:
        waiting.append(Problem("GRACE", "more may be added to the order: its invoice waits for it (3.1)", (order.id,)))
    releases += [made.look_again] if made.look_again is not None else []
    return Plan(
        order.id,
        tuple(actions),
        tuple(waiting),
        tuple(attention),
        tax_point=tax_point,
        noted=(*chain.noted.items(), *((item, BY_OTHERS) for item in sorted(made.covered))),
        cards=cards,
        look_again=min([*releases, *([] if stale is None else [profile.start_of(stale)])], default=None),
        wanted=tuple(made.wanted),
    )


def _strange_credits(books: Books, chain: Chain) -> list[Problem]:
    """Credit notes by hand that nothing in the shop explains (R13); what the chain asks about itself is merged."""
    origins = [item.key for item in chain.documents if item.kind != "credit_note"]
    found = [hand for key in origins for hand in credited_by_hand(books, key) if hand not in chain.adopted]
    return [strange_credit(hand) for hand in found]


def _only_cards(
    facts: Facts,
    books: Books,
    profiles: Sequence[Profile],
    profile: Profile,
    cards: GiftCards,
    tax_point: TaxPoint | None,
) -> Plan:
    """Nothing but multi-purpose gift cards was sold: their lines, and no document ever (2.5)."""
    order = facts.order
    attention = [*facts.problems, *foreign_money(order, profile)]
    modes = Modes.of(profiles, profile, books)
    made = Money() if attention else money(facts, books, profile, cards=cards, modes=modes)
    attention += made.problems + beside_the_ledger(order) + left_over(facts)
    said = () if finalised_by_hand(profile) else tuple(made.lines), tuple(open_disputes(order)), tuple(attention)
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
    basis: Basis, books: Books, profiles: Sequence[Profile], profile: Profile, when: Timed, cards: GiftCards
) -> Plan:
    """Nothing is taxed yet: wait. Money already received is written to its account at once (bookkeeping 4.2)."""
    facts, order = basis.facts, basis.facts.order
    attention = [item for item in facts.problems if item.code == "TEST-PAYMENT"]
    actions: list[Action] = []
    look_again = when.look_again
    paid = tuple(item.id for item in order.payments if moved(item))
    back = refund_money(order)
    if paid or back:
        attention = list(facts.problems) + back
        foreign = foreign_money(order, profile)
        if foreign:
            attention += foreign
        else:
            made = money(facts, books, profile, cards=cards, modes=Modes.of(profiles, profile, books))
            posted = [*made.lines, *of_refunds(books, profiles, order)]
            actions.extend(posted if not finalised_by_hand(profile) else ())
            attention += made.problems
        if order.cancelled_at is not None:
            attention.append(cancelled(order))
        elif facts.claim <= 0 < facts.money and not facts.problems:
            choices = ("refund the difference", "keep it as credit", "book by hand")
            attention.append(Problem("OVERPAID", "money came in and nothing is owed any more", paid, choices))
        elif not when.at_supply and not cards.only and look_again is None:
            early = partial_prepayment(facts, profile, basis.now)
            attention += early
            if paid and facts.money > 0 and not early:
                last = max(item.at for item in facts.items if item.kind == "money")
                look_again = month_end(last, profile)
    what = "authorised, not captured" if order.financial_status == "AUTHORIZED" else "not paid and not shipped"
    waiting = Problem("UNPAID", f"{what}: the invoice follows payment or shipment", (order.id,))
    if when.at_supply:
        what = "the exemption hangs on the shipment: the invoice follows it (3.1)"
        waiting = Problem("UNSHIPPED", what, (order.id,))
    elif when.look_again is not None:
        code, what = ("UNSHIPPED", "shipment") if facts.first_supply is None else ("UNPAID", "payment")
        waiting = Problem(code, f"the profile wants the {what} first; the month's end at the latest", (order.id,))
    return Plan(order.id, tuple(actions), (waiting,), tuple(attention), cards=cards, look_again=look_again)


def _answered(made: Plan, answers: Answers, books: Books) -> Plan:
    """The plan without the questions a person has answered (R16), each asked once per code."""
    asked = merged(made.attention)
    taken = [(item, choice) for item in asked if (choice := answers.to(item)) is not None]
    done = [(item, choice) for item, choice in taken if effect_of(choice).kind in (BY_HAND, EXCLUDE, WAIVE)]
    left = tuple(item for item in asked if item not in [item for item, _ in done])
    made = replace(made, attention=left, answered=tuple(done))
    if not done or left or books.documents or made.exclusion is not None:
        return made
    if any(item.document is not None for item in made.actions):
        return made
    _, choice = done[0]
    gone = Problem("EXCLUDED", f"a person decided: {choice}", (made.order_id,))
    return replace(made, waiting=(), exclusion=gone)


def finalised_by_hand(profile: Profile) -> bool:
    """Whether a person finalises the drafts in sevdesk: a tenant in draft-only mode, or the timing `manual`."""
    return profile.draft_only or profile.timing == "manual"


def _posting(
    books: Books,
    profiles: Sequence[Profile],
    profile: Profile,
    chain: Chain,
    standing: list[PostedDocument],
    made: Money,
    basis: Basis,
    *,
    theirs: bool,
) -> tuple[list[Action], list[Problem]]:
    """Money on its accounts, documents in the order of the chain, then what pays them, then what corrects them: a
    credit note needs the payment linked first (R5)."""
    credits = made.released([item for item in chain.documents if item.kind == "credit_note"])
    actions = list(made.lines)
    waiting = list(made.waiting)
    if theirs:
        return actions, waiting
    now, order = basis.now, basis.facts.order
    cancels = {item.document_key: item for item in chain.cancels}
    letters: list[Action] = []
    for document in (item for item in chain.documents if item.kind != "credit_note"):
        done, still = _document_actions(document, profile, now, chain.replaces.get(document.key, ()))
        actions += done
        waiting += still
        cancel = cancels.get(document.key)
        if cancel is not None and cancel.key not in books.applied:
            after = (finalise_key(document.key),)
            actions.append(Action("cancel", cancel.key, because("cancel"), cancel.covers, after, document=document))
        if cancel is not None:
            letters += of_cancellation(document, cancel.key, books, profile, order)
    actions += made.payments
    for document in credits:
        assert isinstance(document.draft, CreditNoteDraft)
        if document.made_by == "adopted":
            actions += _adoption(document, books)
            continue
        origin = document.draft.origin_key
        paid = [item.key for item in made.payments if item.booking and item.booking.document_key == origin]
        done, still = _document_actions(document, profile, now, (finalise_key(origin), *paid))
        actions += done
        waiting += still
    actions += made.refunds
    paid_in_full = paid_at(standing, basis.facts.items)
    for document in (*standing, *credits):
        proof = _proof(document, books)
        keys, when = tuple(item.key for item in proof), paid_in_full.get(document.key)
        actions += [*proof, *of_document(document, books, profile, order, keys, when)]
    return [*actions, *letters, *of_payments(standing, books, profiles, order, paid_in_full)], waiting


def _adoption(document: PostedDocument, books: Books) -> list[Action]:
    """A credit note written by hand is taken for ours: nothing is called, its refund can be linked to it (R13)."""
    if document.key in books.applied:
        return []
    covers = tuple(cover.fact_id for cover in document.covers)
    reason = because("adopt", number=document.number)
    return [Action("adopt", document.key, reason, covers, document=document)]


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
        said, said_de = (str(document.tax.get(name, "")) for name in ("reason", "reason_de"))
        gross = document.draft.gross
        shown = {"day": local.isoformat(), "day_de": f"{local:%d.%m.%Y}", "amount": gross, "euro": euros(gross)}
        reason = because(document.kind, **shown, said=said, said_de=said_de)
        release = datetime.fromisoformat(document.tax["cut"]) if "cut" in document.tax else document.tax_point
        held = release if release > now else None
        kind = "credit_note" if credit else "invoice"
        actions.append(Action(kind, document.key, reason, covers, after, not_before=held, document=document))
    if document.state in ("final", "cancelled"):
        return actions, []
    if finalised_by_hand(profile):
        return actions, [Problem("DRAFT-ONLY", "a person finalises the draft in sevdesk", (document.key,))]
    what, what_de = ("money that went back", "dem Geld, das zurückging,") if credit else ("order", "der Bestellung")
    reason = because("finalise", what=what, what_de=what_de)
    key = finalise_key(document.key)
    actions.append(Action("finalise", key, reason, covers, (document.key,), document=document))
    return actions, []


def _proof(document: PostedDocument, books: Books) -> list[Action]:
    """An e-invoice is proved by its XML before anybody gets it: sevdesk returns no other sign of it (facts 2.5)."""
    key = f"xml:{document.key}"
    electronic = isinstance(document.draft, InvoiceDraft) and document.draft.e_invoice
    if not electronic or key in books.applied:
        return []
    reason = because("xml")
    return [Action("xml", key, reason, (), (finalise_key(document.key),), document=document)]
