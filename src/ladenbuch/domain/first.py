"""The first documents of an order: the fold of its ledger up to the tax point, one per tax rule (R2, P1-P10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from ladenbuch.domain.books import Books, Cover, PostedDocument
from ladenbuch.domain.document import InvoiceDraft, Party, rate_text
from ladenbuch.domain.einvoice import EInvoice, e_invoice_of, given_reference, is_wanted
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import Facts, Problem, TaxPoint
from ladenbuch.domain.order import Agreement, Order
from ladenbuch.domain.party import party_of
from ladenbuch.domain.positions import Fold, fold
from ladenbuch.domain.prepayment import partial_prepayment
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.supply import supplied_when_paid
from ladenbuch.domain.tax import TaxDecision, TaxedPart, decide_tax, taxed_at_supply
from ladenbuch.domain.texts import advance_note, one_line
from ladenbuch.domain.threshold import AT_HOME
from ladenbuch.errors import Rejected


@dataclass(frozen=True, slots=True)
class Sheet:
    """Which ledger entries a document folds, and under which name. `suffix` ends its key's note, `mark` its covers.

    `point` is when and why their tax arose. A mark tells that an invoice that covered the same facts was cancelled.
    """

    kind: str  # invoice | supplementary
    key: str
    suffix: str
    agreements: tuple[Agreement, ...]
    point: TaxPoint
    mark: str = ""


def first_sheet(facts: Facts, tax_point: TaxPoint) -> Sheet:
    """The first document: the ledger up to the tax point (R2)."""
    agreements = facts.agreements_until(tax_point.at)
    last = agreements[-1].id.rsplit("/", 1)[-1] if agreements else "0"
    return Sheet("invoice", f"inv:{facts.order.number_id}:{last}", "", agreements, tax_point)


def documents_of(
    facts: Facts,
    sheet: Sheet,
    profile: Profile,
    now: datetime,
    evidence: Evidence,
    answers: frozenset[str] = frozenset(),
) -> tuple[list[PostedDocument], list[Problem]]:
    """The documents of a sheet, one per tax rule, goods first; or none and every reason why a person must decide.

    `answers` are choices a person took about this order's e-invoice.
    """
    parts, problems = decide_tax(facts.order, sheet.agreements, profile, sheet.point.at, evidence)
    if problems:
        return [], problems
    if not parts:
        return [], [Problem("LEDGER", "nothing was sold up to the tax point", (facts.order.id,))]
    documents: list[PostedDocument] = []
    for index, part in enumerate(parts):
        document, refused = _document(facts, sheet, profile, now, part, index, len(parts), answers)
        problems += refused
        documents += [] if document is None else [document]
    return ([], problems) if problems else (documents, [])


def first_documents(
    facts: Facts, books: Books, profile: Profile, tax_point: TaxPoint | None, now: datetime, evidence: Evidence
) -> tuple[list[PostedDocument], list[Problem]]:
    """What is pinned, and what the fold of the ledger up to the tax point still lacks. `now` is aware UTC.

    Returns the documents, goods first, or none and every reason why a person must decide.
    """
    first = books.invoice
    pinned = [] if first is None else [item for item in books.documents if _same_sheet(item.key, first.key)]
    problems = list(facts.problems)
    if pinned and (problems or tax_point is None or not _missing(facts, pinned, tax_point)):
        return pinned, problems
    assert tax_point is not None
    order = facts.order
    if order.cancelled_at is not None and order.cancelled_at <= tax_point.at:
        return pinned, problems  # nothing is invoiced after a cancellation; later_facts asks about it
    sheet = first_sheet(facts, tax_point)
    if not sheet.agreements and not problems:
        problems.append(Problem("LEDGER", "money or goods moved before anything was sold", (order.id,)))
    if not taxed_at_supply(order, sheet.agreements, profile):  # money for exempt supplies is not taxed on receipt
        problems += partial_prepayment(facts, profile, tax_point.at)
    if problems:
        return pinned, problems
    documents, problems = documents_of(facts, sheet, profile, now, evidence)
    known = {item.key for item in pinned}
    return pinned + [item for item in documents if item.key not in known], problems


def _same_sheet(key: str, first: str) -> bool:
    """Whether two keys belong to one sheet: the same order and agreement, whatever the rule."""
    return key.split(":")[:3] == first.split(":")[:3]


def _missing(facts: Facts, pinned: list[PostedDocument], tax_point: TaxPoint) -> bool:
    """Whether a part of the first fold has no document yet: the others were pinned before a crash."""
    covered = {cover.fact_id for item in pinned for cover in item.covers}
    return any(
        any(sale.id in covered for sale in item.sales) and any(sale.id not in covered for sale in item.sales)
        for item in facts.agreements_until(tax_point.at)
    )


def _document(
    facts: Facts,
    sheet: Sheet,
    profile: Profile,
    now: datetime,
    part: TaxedPart,
    index: int,
    parts: int,
    answers: frozenset[str],
) -> tuple[PostedDocument | None, list[Problem]]:
    """One invoice. The first part has the plain key and note; the others carry their rule in both (facts 3.2)."""
    order, decision, point = facts.order, part.decision, sheet.point
    folded, problems = fold(order, part.agreements)
    gross = 0 if folded is None else sum(amount for _, amount in folded.claim)
    party, who = party_of(order, profile, gross, decision)
    problems += who
    if problems or folded is None or party is None:
        return None, problems
    rule = f":{decision.rule}" if index else ""
    supplied = _supplied_at(facts, point)
    delivered = profile.local_date(supplied)
    issued = max(profile.local_date(now), delivered)
    closed = profile.books_closed_until
    if closed is not None and min(delivered, issued) <= closed:
        return None, [_period_closed(order, closed)]
    days = _time_to_pay(order, profile, issued)
    electronic = None
    if is_wanted(order, profile, decision.rule, party, answers):
        electronic, folded, lacking = _electronic(facts, profile, point, part, party, folded, days)
        if lacking:
            return None, lacking
        days = days or 0  # due at once where nothing is agreed (BGB §271)
    lawful = decision.note_de if party.locale == "de" else decision.note
    notes = [lawful]
    if not supplied_when_paid(order, part.agreements, profile):
        notes.append(advance_note(replace(point, at=supplied), profile, party.locale))
    try:
        draft = InvoiceDraft(
            key=sheet.key + rule,
            note=note_of(order, profile) + sheet.suffix + rule,
            currency=order.currency,
            tax_rule=decision.rule,
            invoice_date=issued,
            delivery_date=delivered,
            party=party,
            positions=folded.positions,
            claim=folded.claim,
            head_text=head_text(order, profile),
            foot_text=" ".join(text for text in notes if text),
            time_to_pay=days,
            delivery_country=_delivery_country(decision, party),
            e_invoice=electronic is not None,
            buyer_reference=electronic.buyer_reference if electronic else given_reference(order),
            payment_means=electronic.payment_means if electronic else None,
        )
    except Rejected as refusal:
        return None, [Problem(refusal.code, refusal.message, (order.id,), ("post by hand", "exclude the order"))]
    if parts == 1:
        covers = [Cover(item.id + sheet.mark, sum(sale.total for sale in item.sales)) for item in sheet.agreements]
    else:
        covers = [Cover(sale.id + sheet.mark, sale.total) for item in part.agreements for sale in item.sales]
    document = PostedDocument(
        draft.key,
        sheet.kind,
        draft,
        tuple(covers),
        tax_point=point.at,
        tax=tax_json(part),
        profile_version=profile.version,
    )
    return document, []


def _electronic(
    facts: Facts, profile: Profile, point: TaxPoint, part: TaxedPart, party: Party, folded: Fold, days: int | None
) -> tuple[EInvoice | None, Fold, list[Problem]]:
    """What an e-invoice adds to the document, and its positions in whole pieces, checked anew against R21 (2.2)."""
    order = facts.order
    whole, _ = fold(order, part.agreements, whole_pieces=True)
    due = order.terms is None or days is not None
    found, lacking = e_invoice_of(
        facts, profile, part.decision.rule, party, point.at, due=due, readable=whole is not None
    )
    return found, whole or folded, lacking


def note_of(order: Order, profile: Profile) -> str:
    """What every document of an order carries in its reference field, and what it is found by (facts 6.1)."""
    return f"{one_line(order.name) or order.number_id} / {profile.shop_key}:{order.number_id}"


def head_text(order: Order, profile: Profile) -> str:
    """The line above the positions: which order of when, and the buyer's own numbers where there are any."""
    name = one_line(order.name) or order.number_id
    text = f"Bestellung {name} vom {profile.local_date(order.processed_at):%d.%m.%Y}"
    theirs, reference = one_line(order.po_number), given_reference(order)
    text += f", Ihre Bestellnummer {theirs}" if theirs else ""
    return f"{text}, Ihr Zeichen {reference}" if reference and reference != theirs else text


def _time_to_pay(order: Order, profile: Profile, issued: date) -> int | None:
    """Days until the payment terms fall due, counted from the invoice; None without terms, or where they do not say.

    Due on fulfilment or on receipt is due with the invoice: it is written when the goods have left.
    """
    if order.terms is None:
        return None
    if order.terms.due_at is not None:
        return max(0, (profile.local_date(order.terms.due_at) - issued).days)
    return 0 if order.terms.kind in ("FULFILLMENT", "RECEIPT") else order.terms.due_in_days


def _delivery_country(decision: TaxDecision, party: Party) -> str | None:
    """The country of destination where the buyer's address does not already say it (OSS: facts 3.2)."""
    abroad = decision.case.startswith("oss_") or decision.place != party.country
    place = "GB" if decision.place == "XI" else decision.place
    return place if abroad and decision.case not in AT_HOME | {"small_business"} else None


def _period_closed(order: Order, closed: date) -> Problem:
    message = f"the books are closed until {closed.isoformat()} (R11)"
    return Problem("PERIOD-CLOSED", message, (order.id,), ("open the period", "post by hand"))


def _supplied_at(facts: Facts, point: TaxPoint) -> datetime:
    """What the document says about time (3.2): the shipment, or the receipt of the money that came before it.

    The last money up to the tax point: where an edit or the order itself completed the payment, it came earlier.
    """
    received = [item.at for item in facts.items if item.kind == "money" and item.amount > 0 and item.at <= point.at]
    return max(received, default=point.at) if point.trigger == "money" else point.at


def tax_json(part: TaxedPart) -> dict[str, Any]:
    """The decision as it is pinned (P2); `override` names entries taxed otherwise than Shopify charged."""
    decision = part.decision
    return {
        "rule": decision.rule,
        "case": decision.case,
        "rates": [rate_text(rate) for rate in decision.rates],
        "place": decision.place,
        "inputs": dict(decision.inputs),
        "reason": decision.reason,
        "reason_de": decision.reason_de,
        "source": decision.source,
        "counterfactual": decision.counterfactual,
        "counterfactual_de": decision.counterfactual_de,
        "override": {sale: {rate_text(rate): tax for rate, tax in taxes} for sale, taxes in part.override},
    }
