"""The first documents of an order: the fold of its ledger up to the tax point, one per tax rule (R2, P1-P10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from ladenbuch.domain.answers import WAIVE, Answers
from ladenbuch.domain.books import Books, Cover, PostedDocument
from ladenbuch.domain.document import InvoiceDraft, Party, rate_text
from ladenbuch.domain.einvoice import EInvoice, e_invoice_of, given_reference, is_wanted
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import Facts, Problem, TaxPoint
from ladenbuch.domain.order import Agreement, Order
from ladenbuch.domain.party import party_of
from ladenbuch.domain.positions import Fold, fold
from ladenbuch.domain.prepayment import partial_prepayment
from ladenbuch.domain.profile import Profile, closed_until
from ladenbuch.domain.supply import supplied_when_paid
from ladenbuch.domain.tax import TaxDecision, TaxedPart, decide_tax, taxed_at_supply
from ladenbuch.domain.texts import advance_note, one_line
from ladenbuch.domain.threshold import AT_HOME
from ladenbuch.errors import Rejected

_AGAIN = ("read the order again later", "exclude the order")


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


@dataclass(frozen=True, slots=True)
class Basis:
    """What every document of an order is decided on. `now` (aware UTC) only fills dates; `closed` is R11's day.

    `asked`: sevdesk holds what may be the order's invoice; no other is written until a person has said.
    """

    facts: Facts
    now: datetime
    evidence: Evidence
    answers: Answers
    closed: date | None = None
    asked: Problem | None = None

    @classmethod
    def of(cls, facts: Facts, books: Books, profiles: Sequence[Profile], now: datetime, evidence: Evidence) -> Basis:
        """From what `plan` is given."""
        return cls(facts, now, evidence, Answers.of(books.resolutions, facts), closed_until(profiles))


def first_sheet(facts: Facts, tax_point: TaxPoint) -> Sheet:
    """The first document: the ledger up to the tax point, or to the end of the grace behind it (R2)."""
    agreements = facts.agreements_until(tax_point.until)
    last = agreements[-1].id.rsplit("/", 1)[-1] if agreements else "0"
    return Sheet("invoice", f"inv:{facts.order.number_id}:{last}", "", agreements, tax_point)


def documents_of(basis: Basis, sheet: Sheet, profile: Profile) -> tuple[list[PostedDocument], list[Problem]]:
    """The documents of a sheet, one per tax rule, goods first; or none and every reason why a person must decide.

    What a person answered about this very sheet counts as if the profile said it.
    """
    if basis.asked is not None:
        return [], [basis.asked]
    decided: dict[str, str] = {}
    while True:
        documents, problems = _decided(basis, sheet, profile, decided)
        answered, taken = basis.answers.profile(profile, problems)
        if not taken:
            return documents, problems
        profile, decided = answered, decided | taken


def _decided(
    basis: Basis, sheet: Sheet, profile: Profile, decided: dict[str, str]
) -> tuple[list[PostedDocument], list[Problem]]:
    parts, problems = decide_tax(basis.facts.order, sheet.agreements, profile, sheet.point.at, basis.evidence)
    if problems:
        return [], problems
    if not parts:
        return [], [Problem("LEDGER", "nothing was sold up to the tax point", (basis.facts.order.id,), _AGAIN)]
    documents: list[PostedDocument] = []
    for index, part in enumerate(parts):
        document, refused = _document(basis, sheet, profile, part, index, len(parts), decided)
        problems += refused
        documents += [] if document is None else [document]
    return ([], problems) if problems else (documents, [])


def first_documents(
    basis: Basis, books: Books, profile: Profile, tax_point: TaxPoint | None
) -> tuple[list[PostedDocument], list[Problem]]:
    """What is pinned, and what the fold of the ledger up to the tax point still lacks.

    Returns the documents, goods first, or none and every reason why a person must decide.
    """
    facts = basis.facts
    first = books.invoice
    pinned = [] if first is None else [item for item in books.documents if _same_sheet(item.key, first.key)]
    problems = list(facts.problems)
    if pinned and (problems or tax_point is None or not _missing(facts, pinned, tax_point)):
        return pinned, problems
    assert tax_point is not None
    order = facts.order
    if order.cancelled_at is not None and order.cancelled_at <= tax_point.until:
        return pinned, problems  # nothing is invoiced after a cancellation; later_facts asks about it
    sheet = first_sheet(facts, tax_point)
    if not sheet.agreements and not problems:
        problems.append(Problem("LEDGER", "money or goods moved before anything was sold", (order.id,), _AGAIN))
    if not taxed_at_supply(order, sheet.agreements, profile):  # money for exempt supplies is not taxed on receipt
        problems += basis.answers.open(partial_prepayment(facts, profile, tax_point.at), WAIVE)
    if problems:
        return pinned, problems
    documents, problems = documents_of(basis, sheet, profile)
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
        for item in facts.agreements_until(tax_point.until)
    )


def _document(
    basis: Basis,
    sheet: Sheet,
    profile: Profile,
    part: TaxedPart,
    index: int,
    parts: int,
    decided: dict[str, str],
) -> tuple[PostedDocument | None, list[Problem]]:
    """One invoice. The first part has the plain key and note; the others carry their rule in both (facts 3.2)."""
    facts, order, decision, point = basis.facts, basis.facts.order, part.decision, sheet.point
    folded, problems = fold(order, part.agreements)
    gross = 0 if folded is None else sum(amount for _, amount in folded.claim)
    party, who = party_of(order, profile, gross, decision)
    problems += who
    if problems or folded is None or party is None:
        return None, problems
    rule = f":{decision.rule}" if index else ""
    supplied, supplied_until = _supplied_at(facts, sheet)
    delivered, delivered_until = profile.local_date(supplied), profile.local_date(supplied_until)
    issued = max(profile.local_date(basis.now), delivered_until)
    shut = in_closed_period(basis, profile, profile.local_date(point.at), order.id)
    if shut is not None and not written_anyway(basis, profile, shut):
        return None, [shut]
    days = _time_to_pay(order, profile, issued)
    electronic = None
    if is_wanted(order, profile, decision.rule, party):
        electronic, whole, lacking = _electronic(facts, profile, point, part, party, folded, days)
        lacking = basis.answers.open(lacking, WAIVE)
        if lacking:
            return None, lacking
        if electronic is not None:  # None: somebody said that an ordinary invoice will do
            folded, days = whole, days or 0  # due at once where nothing is agreed (BGB §271)
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
            delivery_until=delivered_until if delivered_until > delivered else None,
            party=party,
            positions=folded.positions,
            claim=folded.claim,
            head_text=head_text(order, profile),
            foot_text=" ".join(text for text in (*notes, _closing(profile, party)) if text),
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
    tax = tax_json(part)
    tax |= {"decided": decided} if decided else {}
    tax |= {"cut": point.until.isoformat()} if point.cut is not None else {}
    tax |= {"closed": str(basis.closed)} if shut is not None else {}
    document = PostedDocument(
        draft.key,
        sheet.kind,
        draft,
        tuple(covers),
        tax_point=point.at,
        tax=tax,
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


def _closing(profile: Profile, party: Party) -> str:
    """The merchant's own last line."""
    return one_line(profile.closing_de if party.locale == "de" else profile.closing_en) or ""


def in_closed_period(basis: Basis, profile: Profile, day: date, *facts: str) -> Problem | None:
    """PERIOD-CLOSED when the VAT of a document would belong to books that are closed (R11)."""
    if basis.closed is None or min(day, profile.local_date(basis.now)) > basis.closed:
        return None
    message = f"the books are closed until {basis.closed.isoformat()} (R11)"
    return Problem("PERIOD-CLOSED", message, facts, ("open the period", "write it dated today", "post by hand"))


def written_anyway(basis: Basis, profile: Profile, shut: Problem) -> bool:
    """Whether a document of a closed period is written, dated today: by profile, or because a person said so."""
    return profile.closed_periods == "today" or basis.answers.kind(shut) == WAIVE


def closed_notices(documents: Iterable[PostedDocument]) -> list[Problem]:
    """What was written into a closed period: its return must be corrected (§153 AO), and somebody must know (R11)."""
    late = [item for item in documents if "closed" in item.tax]
    if not late:
        return []
    message = f"written for a period closed until {late[0].tax['closed']}: its VAT return must be corrected"
    return [Problem("PERIOD-CLOSED", message, tuple(item.key for item in late), ("the return was corrected",))]


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


def _supplied_at(facts: Facts, sheet: Sheet) -> tuple[datetime, datetime]:
    """What the document says about time (3.2): the shipments, or the receipt of the money that came before them.

    First and last instant. The last money up to the tax point counts: where an edit or the order itself completed the
    payment, it came earlier.
    """
    point = sheet.point
    if point.trigger == "money":
        received = [item.at for item in facts.items if item.kind == "money" and item.amount > 0 and item.at <= point.at]
        return (max(received, default=point.at),) * 2
    sent = [item.at for item in facts.items if item.kind == "fulfilment" and item.at <= point.at]
    if sheet.kind != "invoice" or not sent or point.trigger == "creation":
        return point.at, point.at
    return sent[0], sent[-1]


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
