"""An invoice somebody else wrote, taken into our books: pinned with what it says, covering the facts it carries (R22).

Its number, dates, tax rule, rates and sums stay as they stand in sevdesk; nothing of them is decided again. What it
covers is the part of the sales ledger it equals to the cent per rate, so that a later refund finds the goods it is for,
and corrects this invoice. What it was paid with is others' (R14), and so is everything that moved before go-live.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ladenbuch.domain.actions import Action
from ladenbuch.domain.adoption import EVIDENCE, NOTHING, Choice, Verdict, chosen
from ladenbuch.domain.answers import WAIVE, adoptable
from ladenbuch.domain.books import Books, Cover, PostedDocument
from ladenbuch.domain.document import OSS_RULES, InvoiceDraft, Party, rate_text
from ladenbuch.domain.evidence import vat_id_of
from ladenbuch.domain.facts import Facts, Problem
from ladenbuch.domain.first import Basis, note_of
from ladenbuch.domain.foreign import Cut, ForeignDocument, sought_of
from ladenbuch.domain.matching import UNNAMED
from ladenbuch.domain.order import Order
from ladenbuch.domain.party import party_of
from ladenbuch.domain.positions import fold
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.reasons import because
from ladenbuch.domain.tax_cases import CASES
from ladenbuch.domain.territory import UNION, territory_of
from ladenbuch.errors import Rejected

#: What a person may say besides "adopt number ...".
ANOTHER_SALE = "it is another sale, invoice it"
_REST = ("leave it to the bookkeeper", "exclude the order")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Adoption:
    """What the foreign documents of an order lead to: one that is taken over, or a question, or nothing."""

    document: PostedDocument | None = None
    evidence: str = ""
    asked: Problem | None = None

    @property
    def action(self) -> Action:
        """Taking the document over; nothing is called."""
        assert self.document is not None
        covers = tuple(cover.fact_id for cover in self.document.covers)
        reason = because("adopt_invoice", number=self.document.number, evidence=self.evidence)
        return Action("adopt", self.document.key, reason, covers, document=self.document)


def adoption(basis: Basis, books: Books, profile: Profile) -> Adoption:
    """What to do about the foreign documents in the evidence, while the order has no invoice of ours."""
    foreign = basis.evidence.foreign
    if not foreign:
        return Adoption()
    taken = {(item.kind, item.sevdesk_id) for item in books.documents}
    foreign = tuple(item for item in foreign if (item.sort, item.id) not in taken)
    found = chosen(sought_of(basis.facts, profile.local_date), foreign)
    if books.invoice is not None:
        found = Choice(None, found.maybe if found.same is None else (found.same, *found.maybe))
    elif found.same is not None:
        document, verdict = found.same
        if _before_us(basis, profile) and verdict.cut is not None and settled_before(basis.facts, verdict.cut, profile):
            return Adoption()
        posted = _posted(basis, profile, document, verdict)
        if posted is not None:
            return Adoption(posted, verdict.evidence)
        found = Choice(None, (found.same, *found.maybe))  # it cannot be pinned: never invoiced beside it unasked
    return _asked(basis, books, profile, found.maybe)


def settled_before(facts: Facts, cut: Cut, profile: Profile) -> bool:
    """Whether an order from before go-live changed between its invoice and go-live: others have, or have not,
    corrected that, and it is not ours to say.
    """
    later = [item for item in facts.agreements if item.id not in cut.agreements]
    moved = [item.happened_at for item in later]
    moved += [item.at for item in facts.items if item.kind == "money" and item.amount < 0]
    return any(at < profile.go_live for at in moved)


def _before_us(basis: Basis, profile: Profile) -> bool:
    """Whether the tax of the order arose before go-live."""
    point = basis.facts.tax_point
    return point is not None and point.at < profile.go_live


def _asked(basis: Basis, books: Books, profile: Profile, maybe: Sequence[tuple[ForeignDocument, Verdict]]) -> Adoption:
    """The question which of them it is, unless a person has answered it."""
    if not maybe:
        return Adoption()
    first = books.invoice is None
    fitting = [(item, verdict) for item, verdict in maybe if first and verdict.cut is not None and _complete(item)]
    offers = tuple(dict.fromkeys(f"adopt number {item.number}" for item, _ in fitting))
    about = tuple(f"sevdesk:{item.reference}:{item.gross}" for item, _ in maybe)
    said = "; ".join(_sentence(item, verdict) for item, verdict in maybe[:_SHOWN])
    message = f"sevdesk holds what may be this order's invoice: {said}"
    problem = Problem("ADOPT", message, about, (*offers, ANOTHER_SALE, *_REST))
    choice = basis.answers.to(problem)
    number = None if choice is None else adoptable(choice)
    taken = next(((item, verdict) for item, verdict in fitting if item.number == number), None)
    if taken is not None:
        posted = _posted(basis, profile, *taken)
        if posted is not None:
            return Adoption(posted, "a person's choice")
    return Adoption() if basis.answers.kind(problem) == WAIVE else Adoption(asked=problem)


def _complete(document: ForeignDocument) -> bool:
    """Whether it can be an invoice in our books at all."""
    return document.type == "RE" and document.final and bool(document.number) and document.tax_rule is not None


def _sentence(document: ForeignDocument, verdict: Verdict) -> str:
    what = document.number or f"draft {document.id}"
    by = EVIDENCE[verdict.tier] if verdict.tier != NOTHING else "its amount and date"
    against = f", against it: {', '.join(verdict.against)}" if verdict.against else ""
    return f"{what} of {document.day.isoformat()} over {document.gross} minor units, by {by}{against}"


def _posted(basis: Basis, profile: Profile, document: ForeignDocument, verdict: Verdict) -> PostedDocument | None:
    facts, order, cut = basis.facts, basis.facts.order, verdict.cut
    assert cut is not None and document.tax_rule is not None
    mine = [item for item in facts.agreements if item.id in cut.agreements]
    folded, _ = fold(order, mine)
    if folded is None:
        return None
    delivered = min(document.delivery or document.day, document.day)
    until = document.delivery_until
    key = f"ado:{document.id}"
    try:
        draft = InvoiceDraft(
            key=key,
            note=document.note or document.number or note_of(order, profile),
            currency=document.currency,
            tax_rule=document.tax_rule,
            invoice_date=document.day,
            delivery_date=delivered,
            delivery_until=until if until is not None and delivered < until <= document.day else None,
            party=_party(order, profile, document),
            positions=folded.positions,
            claim=folded.claim,
            tax_text=document.tax_text or "Umsatzsteuer",
            delivery_country=_destination(order, document),
        )
    except Rejected:
        return None
    point = facts.tax_point.at if facts.tax_point is not None else cut.at
    return PostedDocument(
        key,
        "invoice",
        draft,
        tuple(Cover(item.id, sum(sale.total for sale in item.sales)) for item in mine),
        state="final",
        sevdesk_id=document.id,
        number=document.number,
        content=document.content or None,
        tax_point=point,
        tax=_tax(order, document, draft, cut, before=point < profile.go_live),
        profile_version=profile.version,
        made_by="adopted",
    )


def _case(order: Order, document: ForeignDocument) -> str:
    """The case of the tax decision its rule stands for: corrections need its sentence, the EU threshold its net."""
    if document.tax_rule != 1:
        return next((name for name, case in CASES.items() if case.rule == document.tax_rule), "adopted")
    place = territory_of(order.shipping_address or order.billing_address, goods=True)
    abroad = place is not None and place.status == UNION and vat_id_of(order) is None
    return "below_threshold" if abroad else "domestic"


def _tax(order: Order, document: ForeignDocument, draft: InvoiceDraft, cut: Cut, *, before: bool) -> dict[str, object]:
    """What the document says of its tax, as it is pinned: nothing is decided here. `before`: from before go-live."""
    nets = dict(document.nets)
    read = [(rate, gross, nets[rate]) for rate, gross in document.by_rate or () if rate in nets]
    return {
        "rule": draft.tax_rule,
        "case": _case(order, document),
        "rates": [rate_text(rate) for rate in draft.sums],
        "place": draft.delivery_country or draft.party.country,
        "inputs": {},
        "reason": f"Invoice {document.number} says so; it was written by others and is taken over as it stands.",
        "reason_de": f"So steht es in Rechnung {document.number}; andere haben sie geschrieben, sie gilt, wie sie ist.",
        "source": "R16, R22",
        "counterfactual": "Written by us, it would be decided anew.",
        "counterfactual_de": "Von uns geschrieben würde neu entschieden.",
        "override": {},
        "cut": cut.at.isoformat(),
        "paid_minor": document.paid,
        "sums": {rate_text(rate): [gross, net, gross - net] for rate, gross, net in read},
        "before_us": before,
    }


def _destination(order: Order, document: ForeignDocument) -> str | None:
    """Where the goods went, where the tax rule needs to know it (OSS: facts 3.2)."""
    shipped = order.shipping_address or order.billing_address
    return shipped.country if shipped is not None and document.tax_rule in OSS_RULES else None


def _party(order: Order, profile: Profile, document: ForeignDocument) -> Party:
    """The buyer as the document prints them; mailbox and language as the shop knows them."""
    known, _ = party_of(order, profile, document.gross)
    known = known or Party(f"{profile.shop_key}-o{order.number_id}", UNNAMED)
    printed = replace(known, country=document.country or known.country, collective=False)
    if not document.buyer:
        return printed
    return replace(
        printed,
        name=document.buyer,
        company=None,
        first_name=None,
        last_name=None,
        street=document.street or None,
        street2=None,
        zip=document.zip or None,
        city=document.city or None,
    )
