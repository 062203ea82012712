"""plan(facts, books, profiles, now) -> Plan: what is left to do for one order, each action with its reason.

Pure, total, deterministic. The same function without `apply` is the dry run, the explanation and the reconciliation.
Rules are those of the bookkeeping rule set and named where they act:

    R1  facts not yet covered -> actions              R2  the first document folds the ledger up to the tax point
    R7  one key, once, for ever                        R9  `now` releases actions and fills dates, nothing else
    R19 gaps mean later, not attention                 R20 parked parts do not block independent parts
    R21 to the cent, or not at all                     R22 before go-live is not ours

What this version does not decide becomes `Attention(code, facts, choices)`; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from ladenbuch.domain.books import Booked, Books, Cover, PostedDocument, PostedLine
from ladenbuch.domain.document import InvoiceDraft, rate_text
from ladenbuch.domain.exclusion import exclusion_of, refunded_since
from ladenbuch.domain.facts import Facts, Problem, TaxPoint, moved, moved_at
from ladenbuch.domain.later import cancelled, later_facts, refund_money
from ladenbuch.domain.order import Order, Payment
from ladenbuch.domain.party import party_of
from ladenbuch.domain.positions import fold
from ladenbuch.domain.prepayment import partial_prepayment
from ladenbuch.domain.profile import SUPPORTED_MODES, Profile, profile_at
from ladenbuch.domain.tax import TaxDecision, decide_tax, foreign_money
from ladenbuch.domain.texts import advance_note, one_line
from ladenbuch.errors import Rejected


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that is due: which document it carries, to whom, in which language."""

    document_key: str
    to: str = field(repr=False)
    locale: str = "de"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. `kind`: invoice, finalise, money_line, book_payment, letter. `after`: keys that come first."""

    kind: str
    key: str
    reason: str
    covers: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    not_before: datetime | None = None
    document: PostedDocument | None = None
    line: PostedLine | None = None
    booking: Booked | None = None
    letter: Letter | None = None

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/plan.md."""
        data: dict[str, Any] = {
            "kind": self.kind,
            "key": self.key,
            "covers": list(self.covers),
            "reason": self.reason,
        }
        if self.after:
            data["after"] = list(self.after)
        if self.not_before is not None:
            data["not_before"] = self.not_before.isoformat()
        if self.kind == "invoice" and self.document is not None:
            data |= _document_json(self.document.draft) | {"tax": dict(self.document.tax)}
        if self.line is not None:
            data |= {"amount_minor": self.line.amount, "account": self.line.account}
            data["value_date"] = self.line.value_date.isoformat()
        if self.booking is not None:
            data |= {"amount_minor": self.booking.amount, "document": self.booking.document_key}
        if self.letter is not None:
            data |= {"document": self.letter.document_key, "locale": self.letter.locale}
        return data


def _document_json(draft: InvoiceDraft) -> dict[str, Any]:
    return {
        "note": draft.note,
        "currency": draft.currency,
        "gross_minor": draft.gross,
        "tax_rule": draft.tax_rule,
        "invoice_date": draft.invoice_date.isoformat(),
        "delivery_date": draft.delivery_date.isoformat(),
        "positions": [position.as_json() for position in draft.positions],
        "sums": {
            rate_text(rate): {"gross_minor": total.gross, "net_minor": total.net, "tax_minor": total.tax}
            for rate, total in draft.sums.items()
        },
        "foot_text": draft.foot_text,
    }


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left to do. `later` names why nothing may be decided yet; `exclusion` why the order is not ours."""

    order_id: str
    actions: tuple[Action, ...] = ()
    waiting: tuple[Problem, ...] = ()
    attention: tuple[Problem, ...] = ()
    exclusion: Problem | None = None
    later: str | None = None
    tax_point: TaxPoint | None = None

    def due(self, now: datetime) -> tuple[Action, ...]:
        """Actions that may be carried out at `now`."""
        return tuple(item for item in self.actions if item.not_before is None or item.not_before <= now)


def plan(facts: Facts, books: Books, profiles: Sequence[Profile], now: datetime) -> Plan:
    """Compare facts with books and say what is left to do (R1). Never raises for data; never looks at a clock.

    `profiles` are all versions of the tenant's accounting profile; the tax point chooses (P1). `now` is aware UTC.
    """
    order = facts.order
    if not facts.complete:
        return Plan(order.id, later=f"parts of the order could not be read: {', '.join(order.gaps[:3])}")
    tax_point = facts.tax_point
    profile = profile_at(profiles, tax_point.at if tax_point else order.processed_at)
    excluded = exclusion_of(facts, books, profile)
    if excluded is not None:
        late = refunded_since(facts, profile.go_live) if excluded.code == "BEFORE-GO-LIVE" else ()
        return Plan(order.id, attention=late, exclusion=None if late else excluded, tax_point=tax_point)
    if tax_point is None and books.invoice is None:
        return _before_tax_point(facts, books, profile, now)
    document, problems = _first_document(facts, books, profile, tax_point, now)
    foreign = foreign_money(order, profile)
    attention = list(problems)
    attention += [item for item in foreign if item not in problems]
    attention += later_facts(facts, document, tax_point)
    actions: list[Action] = []
    waiting: list[Problem] = []
    if not foreign:
        lines, line_problems = _money_lines(facts, books, profile)
        actions += lines
        attention += line_problems
    if document is not None:
        done, still = _document_actions(document, books, profile, now)
        actions += done
        waiting += still
        if not foreign:
            booked, over = _bookings(facts, books, profile, document)
            actions += booked
            attention += over
        actions += _letter(document, books, profile)
    flap = [item for item in actions if item.key in books.applied]
    if flap:
        keys = tuple(item.key for item in flap)
        problem = Problem("FLAP", "a key that was already applied is wanted again (R7)", keys, ("look into it",))
        return Plan(order.id, attention=(problem,), tax_point=tax_point)
    if profile.draft_only:
        actions = [item for item in actions if item.kind == "invoice"]
    return Plan(order.id, tuple(actions), tuple(waiting), tuple(attention), tax_point=tax_point)


def _before_tax_point(facts: Facts, books: Books, profile: Profile, now: datetime) -> Plan:
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
            lines, problems = _money_lines(facts, books, profile)
            actions += lines if not profile.draft_only else ()
            attention += problems
        if order.cancelled_at is not None:
            attention.append(cancelled(order))
        elif facts.claim <= 0 < facts.money and not facts.problems:
            choices = ("refund the difference", "keep it as credit", "book by hand")
            attention.append(Problem("OVERPAID", "money came in and nothing is owed any more", paid, choices))
        else:
            attention += partial_prepayment(facts, profile, now)
    what = "authorised, not captured" if order.financial_status == "AUTHORIZED" else "not paid and not shipped"
    waiting = Problem("UNPAID", f"{what}: the invoice follows payment or shipment", (order.id,))
    return Plan(order.id, tuple(actions), (waiting,), tuple(attention))


def _first_document(
    facts: Facts, books: Books, profile: Profile, tax_point: TaxPoint | None, now: datetime
) -> tuple[PostedDocument | None, list[Problem]]:
    """The invoice: what is pinned, or the fold of the ledger up to the tax point (R2)."""
    pinned = books.invoice
    if pinned is not None:
        return pinned, list(facts.problems)
    assert tax_point is not None
    order = facts.order
    problems = list(facts.problems)
    if order.cancelled_at is not None and order.cancelled_at <= tax_point.at:
        return None, problems  # nothing is invoiced after a cancellation; later_facts asks about it
    agreements = facts.agreements_until(tax_point.at)
    if not agreements and not problems:
        problems.append(Problem("LEDGER", "money or goods moved before anything was sold", (order.id,)))
    problems += partial_prepayment(facts, profile, tax_point.at)
    if problems:
        return None, problems
    decision, refusals = decide_tax(order, agreements, profile, tax_point.at)
    folded, doubts = fold(order, agreements)
    party, who = party_of(order, profile.shop_key, 0 if folded is None else sum(g for _, g in folded.claim))
    problems = refusals + (doubts if not refusals else []) + who
    if problems or decision is None or folded is None or party is None:
        return None, problems
    last = agreements[-1].id.rsplit("/", 1)[-1]
    key = f"inv:{order.number_id}:{last}"
    name = one_line(order.name) or order.number_id
    supplied = _supplied_at(facts, tax_point)
    delivered = profile.local_date(supplied)
    issued = max(profile.local_date(now), delivered)
    closed = profile.books_closed_until
    if closed is not None and min(delivered, issued) <= closed:
        return None, [_period_closed(order, closed)]
    try:
        draft = InvoiceDraft(
            key=key,
            note=f"{name} / {profile.shop_key}:{order.number_id}",
            currency=order.currency,
            tax_rule=decision.rule,
            invoice_date=issued,
            delivery_date=delivered,
            party=party,
            positions=folded.positions,
            claim=folded.claim,
            head_text=f"Bestellung {name} vom {profile.local_date(order.processed_at):%d.%m.%Y}",
            foot_text=advance_note(replace(tax_point, at=supplied), profile, party.locale),
            time_to_pay=None,
        )
    except Rejected as refusal:
        return None, [Problem(refusal.code, refusal.message, (order.id,), ("post by hand", "exclude the order"))]
    covers = tuple(Cover(item.id, sum(sale.total for sale in item.sales)) for item in agreements)
    version, tax = profile.version, _tax_json(decision)
    return PostedDocument(key, "invoice", draft, covers, tax_point=tax_point.at, tax=tax, profile_version=version), []


def _period_closed(order: Order, closed: date) -> Problem:
    message = f"the books are closed until {closed.isoformat()} (R11)"
    return Problem("PERIOD-CLOSED", message, (order.id,), ("open the period", "post by hand"))


def _supplied_at(facts: Facts, point: TaxPoint) -> datetime:
    """What the document says about time (3.2): the shipment, or the receipt of the money that came before it.

    The last money up to the tax point: where an edit or the order itself completed the payment, it came earlier.
    """
    received = [item.at for item in facts.items if item.kind == "money" and item.amount > 0 and item.at <= point.at]
    return max(received, default=point.at) if point.trigger == "money" else point.at


def _tax_json(decision: TaxDecision) -> dict[str, Any]:
    return {
        "rule": decision.rule,
        "rates": [rate_text(rate) for rate in decision.rates],
        "place": decision.place,
        "reason": decision.reason,
        "reason_de": decision.reason_de,
        "source": decision.source,
        "counterfactual": decision.counterfactual,
    }


def _document_actions(
    document: PostedDocument, books: Books, profile: Profile, now: datetime
) -> tuple[list[Action], list[Problem]]:
    """Draft, then finalise; a draft-only tenant finalises by hand."""
    covers = tuple(cover.fact_id for cover in document.covers)
    actions: list[Action] = []
    if document.state == "intended":
        assert document.tax_point is not None
        local = profile.local_date(document.tax_point)
        reason = (
            f"The tax arose on {local.isoformat()}; the ledger up to then is {document.draft.gross} minor units. "
            + str(document.tax.get("reason", ""))
        )
        held = document.tax_point if document.tax_point > now else None
        actions.append(Action("invoice", document.key, reason, covers, not_before=held, document=document))
    if document.state in ("final", "cancelled"):
        return actions, []
    if profile.draft_only:
        return actions, [Problem("DRAFT-ONLY", "a person finalises the draft in sevdesk", (document.key,))]
    reason = "The draft equals the order to the cent: it takes its number and may be sent."
    key = finalise_key(document.key)
    actions.append(Action("finalise", key, reason, covers, (document.key,), document=document))
    return actions, []


def finalise_key(document_key: str) -> str:
    """The key under which a document is finalised, once."""
    return f"fin:{document_key}"


def _money_lines(facts: Facts, books: Books, profile: Profile) -> tuple[list[Action], list[Problem]]:
    """One line on the gateway's account per SUCCESS transaction, where the mode is clearing with payouts (4.2)."""
    known = {line.payment_id for line in books.lines if line.done}
    actions: list[Action] = []
    problems: list[Problem] = []
    for payment in facts.order.payments:
        if moved(payment) <= 0 or moved_at(payment) is None:
            continue
        gateway = profile.gateway(payment.gateway, manual=payment.manual)
        if gateway is None:
            message = f"nobody has decided how gateway {payment.gateway!r} is booked"
            choices = ("clearing+payouts", "bank", "liability", "off")
            problems.append(Problem("GATEWAY-UNMAPPED", message, (payment.id,), choices))
        elif gateway.mode not in SUPPORTED_MODES:
            message = f"mode {gateway.mode!r} of gateway {payment.gateway!r} is not carried out yet"
            problems.append(Problem("GATEWAY-MODE", message, (payment.id,), SUPPORTED_MODES))
        elif gateway.mode == "clearing+payouts" and payment.id not in known:
            line = PostedLine(_line_key(payment), payment.id, gateway.account, moved(payment), _day(payment, profile))
            reason = f"{payment.gateway} received the money: it stands on its clearing account until the payout."
            actions.append(Action("money_line", line.key, reason, (payment.id,), line=line))
    return actions, problems


def _line_key(payment: Payment) -> str:
    return f"line:{payment.id.rsplit('/', 1)[-1]}"


def _day(payment: Payment, profile: Profile) -> date:
    at = moved_at(payment)
    assert at is not None
    return profile.local_date(at)


def _bookings(
    facts: Facts, books: Books, profile: Profile, document: PostedDocument
) -> tuple[list[Action], list[Problem]]:
    """Link each transaction to the invoice, oldest first, never more than the invoice still carries."""
    if document.state == "cancelled":
        return [], []
    open_rest = document.draft.gross - sum(
        item.amount for item in books.bookings if item.document_key == document.key and item.done
    )
    done = {item.payment_id for item in books.bookings if item.done}
    actions: list[Action] = []
    problems: list[Problem] = []
    ours = [(when, item.id, item) for item in facts.order.payments if moved(item) > 0 and (when := moved_at(item))]
    for _, _, payment in sorted(ours, key=lambda entry: entry[:2]):
        gateway = profile.gateway(payment.gateway, manual=payment.manual)
        if gateway is None or gateway.mode not in SUPPORTED_MODES or payment.id in done:
            continue
        if payment.amount > open_rest:
            message = f"{payment.amount - open_rest} minor units more were paid than the invoice carries"
            choices = ("refund the difference", "keep it as credit", "book by hand")
            problems.append(Problem("OVERPAID", message, (payment.id,), choices))
            continue
        open_rest -= payment.amount
        if gateway.mode != "clearing+payouts":
            continue
        booking = Booked(f"pay:{payment.id.rsplit('/', 1)[-1]}:1", payment.id, document.key, payment.amount)
        reason = f"The money of {payment.gateway} pays this invoice."
        after = (_line_key(payment), finalise_key(document.key))
        actions.append(Action("book_payment", booking.key, reason, (payment.id,), after, booking=booking))
    return actions, problems


def _letter(document: PostedDocument, books: Books, profile: Profile) -> list[Action]:
    """One invoice letter, when the buyer has an address for it."""
    key = f"mail:{document.key}"
    to = document.draft.party.email
    if not profile.letters or not to or key in books.letters or document.state == "cancelled":
        return []
    letter = Letter(document.key, to, document.draft.party.locale)
    reason = "The invoice has its number: the buyer gets it once."
    return [Action("letter", key, reason, (), (finalise_key(document.key),), letter=letter)]


def without_letter_address(item: Action) -> Action:
    """The action as it may be logged: no personal data."""
    return replace(item, letter=replace(item.letter, to="")) if item.letter else item
