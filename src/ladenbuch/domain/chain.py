"""The documents after the first: what an order owes to the books, replayed fact by fact (R3-R6, R8).

Never "the order as we look": each fact after the tax point is taken at its own instant, so that the same life gives
the same documents seen live, late or in one backfill. With C the claim, M the money kept and D what is documented:

    C > D   a supplementary invoice, when the addition's own tax point comes: paid for, or shipped
    C < D   reduce to max(C, min(D, M)): the unpaid part falls at once, the paid part when the money is back
            nothing was ever paid -> cancel and write anew; money went back -> a credit note per refund and invoice
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from ladenbuch.domain.answers import WAIVE
from ladenbuch.domain.books import Books, Cover, Hand, PostedDocument
from ladenbuch.domain.credit import Carrier, carrier_of, shares_of
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft, Position
from ladenbuch.domain.einvoice import correction_of
from ladenbuch.domain.evidence import vat_id_of
from ladenbuch.domain.facts import Problem, TaxPoint, moved, moved_at
from ladenbuch.domain.first import (
    Basis,
    Sheet,
    documents_of,
    head_text,
    in_closed_period,
    note_of,
    written_anyway,
)
from ladenbuch.domain.hands import credited_by_hand, fits, paid_by_others, strange_credit
from ladenbuch.domain.later import failed_refunds
from ladenbuch.domain.order import Agreement, Payment, Refund, Sale
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.tax_cases import lawful_note
from ladenbuch.errors import Rejected

#: What of an invoice's pinned tax says nothing about its corrections.
_OF_INVOICES = frozenset({"override", "closed", "cut", "sums", "paid_minor"})
_BY_HAND = ("correct it by hand in sevdesk", "leave the invoice as it is", "exclude the order")


@dataclass(frozen=True, slots=True)
class Cancel:
    """An invoice that is cancelled by sevdesk's own cancellation invoice (R5)."""

    key: str
    document_key: str
    covers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Returned:
    """Money of one refund transaction on one credit note, minor units, positive."""

    payment_id: str
    document_key: str
    amount: int


@dataclass(slots=True)
class Chain:
    """Everything an order owes, in the order in which it is posted, and what became of each later fact."""

    documents: list[PostedDocument] = field(default_factory=list)
    cancels: list[Cancel] = field(default_factory=list)
    returned: list[Returned] = field(default_factory=list)
    waiting: list[Problem] = field(default_factory=list)
    attention: list[Problem] = field(default_factory=list)
    noted: dict[str, str] = field(default_factory=dict)  # fact id -> why it needs no document
    replaces: dict[str, tuple[str, ...]] = field(default_factory=dict)  # document -> cancellations it must wait for
    overpaid_back: int = 0
    adopted: list[Hand] = field(default_factory=list)


@dataclass(slots=True)
class _Money:
    """A refund whose money went back: what of it no credit note carries yet."""

    key: str
    refund: Refund | None
    payments: list[tuple[str, int]]
    left: int


@dataclass(slots=True)
class _Addition:
    """What was sold after the tax point and is neither paid nor shipped yet."""

    agreement: Agreement
    also: list[Agreement] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(sale.total for item in (self.agreement, *self.also) for sale in item.sales)

    def sold(self, sales: Sequence[Sale]) -> bool:
        """Whether everything these entries take back was sold here."""
        mine = {sale.item_id for sale in self.agreement.sales if sale.total > 0}
        return all(sale.item_id in mine for sale in sales if sale.total < 0)


class _Stop(Exception):
    """A person must decide before anything that follows."""


def chain_of(
    basis: Basis,
    books: Books,
    profiles: Sequence[Profile],
    first: Sequence[PostedDocument],
    tax_point: TaxPoint | None,
) -> Chain:
    """Replay what happened after the first documents. Never raises for data; the clock only fills dates.

    `tax_point` is None where a document is pinned and the facts that led to it are gone: it was paid for.
    """
    return _Replay(basis, books, profiles, list(first), tax_point).run()


class _Replay:
    def __init__(
        self,
        basis: Basis,
        books: Books,
        profiles: Sequence[Profile],
        first: list[PostedDocument],
        tax_point: TaxPoint | None,
    ) -> None:
        facts = basis.facts
        tax_point = tax_point or TaxPoint(facts.order.processed_at, "money", facts.order.id)
        self.basis, self.facts, self.order, self.profiles = basis, facts, facts.order, profiles
        cut = first[0].tax.get("cut")
        pinned = first[0].tax_point or tax_point.at
        self.point = replace(tax_point, at=pinned, cut=datetime.fromisoformat(cut) if cut else None)
        self.profile = next((p for p in profiles if p.version == first[0].profile_version), profiles[0])
        self.books = books
        self.pinned = {item.key: item for item in books.documents}
        self.sales = [sale for item in facts.agreements for sale in item.sales]
        self.chain = Chain(documents=first)
        self.carriers = [carrier_of(item, self.sales) for item in first]
        self.additions: list[_Addition] = []
        self.refunds: list[_Money] = []
        self.away = 0  # money that went back and no credit note carries yet
        self.fallen: list[Sale] = []
        covered = {cover.fact_id for item in first for cover in item.covers}
        self.later = [
            item
            for item in facts.agreements
            if item.id not in covered and not (item.sales and all(sale.id in covered for sale in item.sales))
        ]
        self.claimed = sum(item.draft.gross for item in first)

    def run(self) -> Chain:
        try:
            for payment in self.order.payments:
                when = moved_at(payment)
                if moved(payment) < 0 and payment.kind == "REFUND" and when is not None and when <= self.point.until:
                    self._went_back(payment)
            for instant in self._instants():
                self._step(instant)
            self._rest()
        except _Stop:
            pass
        return self.chain

    def _instants(self) -> list[datetime]:
        start = self.point.until
        moments = {max(item.happened_at, start) for item in self.later}
        moments |= {item.at for item in self.facts.items if item.at > start and item.kind != "dispute"}
        return sorted(moments)

    def _step(self, at: datetime) -> None:
        """Everything of one instant, then what it makes of the documents."""
        for agreement in self.later:
            if max(agreement.happened_at, self.point.until) == at:
                self._agreed(agreement)
        for payment in self.order.payments:
            if moved(payment) < 0 and payment.kind == "REFUND" and moved_at(payment) == at and at > self.point.until:
                self._went_back(payment)
        kept = sum(item.amount for item in self.facts.items if item.kind == "money" and item.at <= at)
        if kept < 0:
            self._ask("REFUND-NOT-IN-LEDGER", "more money went back than ever came in")
        shipped = any(item.kind == "fulfilment" and item.at == at for item in self.facts.items)
        self._release(at, kept, shipped)
        self._reduce(at, kept)

    # -- what was agreed ------------------------------------------------------------------------------------------

    def _agreed(self, agreement: Agreement) -> None:
        self._clear(agreement.id)
        net = sum(sale.total for sale in agreement.sales)
        takes = [sale for sale in agreement.sales if sale.total < 0]
        gives = [sale for sale in agreement.sales if sale.total > 0]
        host = next((item for item in reversed(self.additions) if takes and item.sold(takes)), None)
        fees = [sale for sale in gives if takes and sale.line_type == "FEE"]  # kept of what came back (R4, 3.3 no. 10)
        if host is not None and not gives:
            host.also.append(agreement)
            self.claimed += net
            return
        if takes and len(gives) > len(fees) and agreement.reason != "REFUND":
            exchanged = self._exchanged(agreement, net)
            if exchanged is None:
                return
            agreement = exchanged
            takes = [sale for sale in agreement.sales if sale.total < 0]
        self.claimed += net
        if net > 0 and not takes:
            self.additions.append(_Addition(agreement))
        elif takes:
            self.fallen += takes
        elif not net:
            self.chain.noted[agreement.id] = "it changed no amount"

    def _exchanged(self, agreement: Agreement, net: int) -> Agreement | None:
        """Goods against goods: nothing where the gross per rate is equal, else the difference at its one rate (1.4)."""
        by_rate: dict[frozenset[Decimal], int] = {}
        for sale in agreement.sales:
            rates = frozenset(tax.rate for tax in sale.taxes)
            by_rate[rates] = by_rate.get(rates, 0) + sale.total
        moved_rates = {rates: total for rates, total in by_rate.items() if total}
        if self.order.company is not None or vat_id_of(self.order) is not None:
            message = "a company exchanged goods: credit note and new invoice, set off against each other (1.4)"
            self._ask("OFFSET", message, agreement.id)
        if not moved_rates:
            self.chain.noted[agreement.id] = "equal value at every rate: no document"
            return None
        if len(moved_rates) > 1 or any(len(rates) != 1 for rates in moved_rates):
            message = "an exchange moved value between tax rates"
            self._ask("EXCHANGE-RATES", message, agreement.id)
        rates = next(iter(moved_rates))
        mine = [sale for sale in agreement.sales if frozenset(tax.rate for tax in sale.taxes) == rates]
        shown = next((sale for sale in mine if (sale.total > 0) == (net > 0)), mine[0])
        taxes = tuple(replace(tax, amount=sum(t.amount for s in mine for t in s.taxes)) for tax in shown.taxes[:1])
        quantity = 1 if net > 0 else -1
        one = replace(shown, total=net, tax=sum(tax.amount for tax in taxes), taxes=taxes, quantity=quantity)
        return replace(agreement, sales=(one,))

    def _went_back(self, payment: Payment) -> None:
        """Money of a refund left; the credit note is over all of it, so it waits for the last of several (R4)."""
        refund = next((item for item in self.order.refunds if payment.id in item.transaction_ids), None)
        agreed = [item for item in self.facts.agreements if refund is not None and item.refund_id == refund.id]
        if agreed and all(item not in self.later for item in agreed):
            self.chain.noted[payment.id] = "its refund lies before the tax point: the invoice is smaller by it"
            return
        self._clear(payment.id)
        self.away += payment.amount
        ids = refund.transaction_ids if refund is not None else (payment.id,)
        together = [item for item in self.order.payments if item.id in ids and item.kind == "REFUND"]
        moved_out = sorted((moved_at(p) or self.point.at, p.id, p.amount) for p in together if moved(p) < 0)
        if any(item.status == "PENDING" for item in together) or payment.id != moved_out[-1][1]:
            return
        key = (refund.id if refund else payment.id).rsplit("/", 1)[-1]
        parts = [(identity, amount) for _, identity, amount in moved_out]
        self.refunds.append(_Money(key, refund, parts, sum(amount for _, amount in parts)))

    # -- what it makes of the documents ---------------------------------------------------------------------------

    def _release(self, at: datetime, kept: int, shipped: bool) -> None:
        """Additions whose own tax point has come."""
        for addition in list(self.additions):
            if addition.total <= 0:
                self.additions.remove(addition)
                self.chain.noted[addition.agreement.id] = "added and taken back before it was paid or shipped"
                continue
            if not shipped and kept < self.claimed:
                continue
            trigger = "fulfilment" if shipped else "money"
            point = TaxPoint(at, trigger, addition.agreement.id)
            number = addition.agreement.id.rsplit("/", 1)[-1]
            sales = (addition.agreement, *addition.also)
            sheet = Sheet("supplementary", f"sup:{number}", f":sup:{number}", sales, point)
            self._write(sheet, profile_at(self.profiles, at))
            self.additions.remove(addition)

    def _write(self, sheet: Sheet, profile: Profile) -> None:
        pinned = [item for key, item in self.pinned.items() if key == sheet.key or key.startswith(sheet.key + ":")]
        gone = {item.document.key for item in self.carriers if item.cancelled}
        standing = (item for item in self.chain.documents if item.key not in gone)
        basis = replace(self.basis, evidence=self.basis.evidence.beside(standing, self.order.id))
        documents, problems = (pinned, []) if pinned else documents_of(basis, sheet, profile)
        if problems:
            self.chain.attention += problems
            raise _Stop
        self.chain.documents += documents
        self.carriers += [carrier_of(item, self.sales) for item in documents]

    def _reduce(self, at: datetime, kept: int) -> None:
        pending = sum(item.total for item in self.additions)
        documented = sum(item.gross for item in self.carriers)
        claim = self.claimed - pending
        if self.order.cancelled_at is not None and self.order.cancelled_at <= at:
            claim = min(claim, kept)
        cut = documented - max(claim, min(documented, kept)) if claim < documented else 0
        for money in self.refunds:
            if 0 < money.left <= cut:  # more money than the ledger fell by: the ledger may follow (R4)
                cut -= money.left
                self._credit(money, money.left)
        if cut <= 0 or self.away > 0:
            return
        paid = any(item.kind == "money" and item.amount > 0 and item.at <= at for item in self.facts.items)
        theirs = paid_by_others(self.books)
        if paid or any(theirs.get(item.document.key) for item in self.carriers):  # a bank match came first (R5)
            message = f"{cut} minor units of a partly paid invoice are not owed any more and were never paid"
            self._ask("OFFSET", message, self.carriers[-1].document.key)
        self._cancel(claim, at)

    def _cancel(self, claim: int, at: datetime) -> None:
        """Nothing was ever paid: every invoice is cancelled, and what is still owed is written anew (R5)."""
        done = [item for item in self.carriers if not item.cancelled]
        for carrier in done:
            carrier.cancelled = True
            key = carrier.document.key
            facts = tuple(cover.fact_id for cover in carrier.document.covers)
            self.chain.cancels.append(Cancel(f"sr:{key}", key, facts))
            for agreement in self.later:
                if agreement.happened_at <= at and any(sale in self.fallen for sale in agreement.sales):
                    self.chain.noted[agreement.id] = f"sr:{key}"
        waiting = {item.id for addition in self.additions for item in (addition.agreement, *addition.also)}
        self.fallen = []
        if claim <= 0:
            return
        agreements = tuple(i for i in self.facts.agreements if i.happened_at <= at and i.id not in waiting)
        number = len(self.chain.cancels)
        last = agreements[-1].id.rsplit("/", 1)[-1]
        key = f"inv:{self.order.number_id}:{last}"
        sheet = Sheet("invoice", key, f":{number + 1}", agreements, self.point, mark=f"~{number}")
        known = len(self.chain.documents)
        self._write(sheet, self.profile)
        gone = tuple(item.key for item in self.chain.cancels)
        self.chain.replaces |= {item.key: gone for item in self.chain.documents[known:]}

    def _credit(self, money: _Money, amount: int) -> None:
        """A credit note per invoice over money that went back (R4, R6)."""
        returned = self._sales_of(money)
        shares = shares_of(self.order, self.carriers, returned, amount)
        if shares is None:
            message = "the refund does not fit what the invoices still carry per tax rate"
            self._ask("REFUND-EXCEEDS", message, *(payment for payment, _ in money.payments))
            raise _Stop
        fresh = [item.carrier for item in shares if f"cn:{money.key}:{item.carrier + 1}" not in self.pinned]
        drafts = [self.carriers[index].document.draft for index in fresh]
        question = correction_of(drafts, tuple(payment for payment, _ in money.payments))
        if question is not None and self.basis.answers.kind(question) != WAIVE:
            self.chain.attention.append(question)
            raise _Stop
        for share in shares:
            carrier = self.carriers[share.carrier]
            key = f"cn:{money.key}:{share.carrier + 1}"
            document = self.pinned.get(key)
            if document is None:
                written = self._credit_note(money, key, carrier, share.carrier, share.positions)
                document = self._by_hand(written, carrier)
            self.chain.documents.append(document)
            for position in document.draft.positions:
                carrier.remaining[position.rate] -= position.gross
            carrier.credited += document.draft.gross
            self._booked_back(money, document)
            for agreement in self.later:
                if any(sale.id == taken.id for sale in agreement.sales for taken in returned):
                    self.chain.noted[agreement.id] = key
        used = {sale.id for sale in returned}
        self.fallen = [sale for sale in self.fallen if sale.id not in used]

    def _sales_of(self, money: _Money) -> list[Sale]:
        """The ledger entries of a refund: its own, else its return's, else whatever fell and is not credited yet."""
        refund = money.refund
        if refund is None:
            return list(self.fallen)
        own = [s for a in self.facts.agreements if a.refund_id == refund.id for s in a.sales]
        if any(sale.total < 0 and sale.line_type not in ("ADJUSTMENT", "FEE") for sale in own):
            return [next((f for f in self.fallen if f.id == sale.id), sale) for sale in own]
        if any(sale.line_type == "ADJUSTMENT" for sale in own):
            return own
        back = {a.id for a in self.facts.agreements if refund.return_id and a.return_id == refund.return_id}
        ids = {s.id for a in self.facts.agreements if a.id in back for s in a.sales}
        return [sale for sale in self.fallen if sale.id in ids] or list(self.fallen)

    def _credit_note(
        self, money: _Money, key: str, carrier: Carrier, index: int, positions: tuple[Position, ...]
    ) -> PostedDocument:
        origin = carrier.document.draft
        assert isinstance(origin, InvoiceDraft)
        at = max(moved_at(p) or self.point.at for p in self.order.payments if p.id == money.payments[-1][0])
        fact = money.refund.id if money.refund else money.payments[0][0]
        shut = in_closed_period(self.basis, self.profile, self.profile.local_date(at), fact)
        if shut is not None and not written_anyway(self.basis, self.profile, shut):
            self.chain.attention.append(shut)
            raise _Stop
        issued = max(self.profile.local_date(self.basis.now), origin.delivery_until or origin.delivery_date)
        try:
            draft = CreditNoteDraft(
                key=key,
                note=f"{note_of(self.order, self.profile)}:cn:{money.key}:{index + 1}",
                currency=origin.currency,
                tax_rule=origin.tax_rule,
                origin_key=carrier.document.key,
                credit_note_date=issued,
                delivery_date=origin.delivery_date,
                delivery_until=origin.delivery_until,
                party=origin.party,
                positions=positions,
                money_returned=sum(item.gross for item in positions),
                origin_remaining=tuple(carrier.remaining.items()),
                head_text=head_text(self.order, self.profile),
                foot_text=lawful_note(
                    str(carrier.document.tax.get("case", "")),
                    origin.party.vat_id or "",
                    german=origin.party.locale == "de",
                ),
                tax_text=origin.tax_text,
                delivery_country=origin.delivery_country,
            )
        except Rejected as refusal:
            self.chain.attention.append(Problem(refusal.code, refusal.message, (self.order.id,), _BY_HAND))
            raise _Stop from None
        tax = {name: value for name, value in carrier.document.tax.items() if name not in _OF_INVOICES}
        return PostedDocument(
            key,
            "credit_note",
            draft,
            (Cover(f"{fact}#{index + 1}", -draft.gross),),
            tax_point=at,
            tax=tax | ({"closed": str(self.basis.closed)} if shut is not None else {}),
            profile_version=carrier.document.profile_version,
        )

    def _by_hand(self, document: PostedDocument, carrier: Carrier) -> PostedDocument:
        """The credit note a person wrote before us, if it says the same; ours where there is none (R13)."""
        hands = [item for item in credited_by_hand(self.books, carrier.document.key) if item not in self.chain.adopted]
        same = [item for item in hands if fits(item, {rate: s.gross for rate, s in document.draft.sums.items()})]
        if same:
            self.chain.adopted.append(same[0])
            seen = replace(document, state="final", sevdesk_id=same[0].sevdesk_id, number=same[0].number)
            return replace(seen, made_by="adopted")
        if hands:
            self.chain.attention.append(strange_credit(hands[0]))
            raise _Stop
        return document

    def _booked_back(self, money: _Money, document: PostedDocument) -> None:
        """Which refund transactions pay this credit note, oldest first."""
        rest = document.draft.gross
        money.left -= rest
        self.away -= rest
        for index, (payment, free) in enumerate(money.payments):
            part = min(rest, free)
            if part > 0:
                self.chain.returned.append(Returned(payment, document.key, part))
                money.payments[index] = (payment, free - part)
                rest -= part

    # -- what is left ---------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        chain, order = self.chain, self.order
        kept = self.facts.money
        if kept < 0:
            self._ask("REFUND-NOT-IN-LEDGER", "more money went back than ever came in")
        documented = sum(item.gross for item in self.carriers)
        for addition in self.additions:
            what = "an addition is neither paid nor shipped: its invoice follows"
            chain.waiting.append(Problem("UNPAID", what, (addition.agreement.id,)))
        claim = self.claimed - sum(item.total for item in self.additions)
        left = [money for money in self.refunds if money.left > 0]
        if left and kept < min(documented, claim):
            ids = tuple(payment for money in left for payment, free in money.payments if free)
            self._tell("REFUND-NOT-IN-LEDGER", "money went back, and the ledger still claims it", *ids)
        chain.overpaid_back = sum(money.left for money in left)
        for money in left:
            for payment, free in money.payments:
                if free and payment not in chain.noted:
                    chain.noted[payment] = "it gave back what was paid too much"
        pending = [p.id for p in order.payments if p.kind == "REFUND" and p.status == "PENDING"]
        failed = failed_refunds(order)
        if failed and not pending and claim < documented:
            self._tell("REFUND-FAILED", "the refund failed: no money went back, and less is owed", *failed)
        untouched = order.cancelled_at is not None and claim == documented and kept > 0 and not self.refunds
        if pending or claim < documented or untouched:
            message = "less is owed; the credit note follows the money when it goes back (R3)"
            chain.waiting.append(Problem("REFUND-PENDING", message, tuple(pending) or (order.id,)))
        known = {item.key for item in chain.documents}
        lost = tuple(key for key in self.pinned if key not in known)
        if lost:
            self._tell("LEDGER", "the facts no longer lead to a document that was written", *lost)

    def _clear(self, fact: str) -> None:
        """Stop where it is not known what a fact is for."""
        asked = [item for item in self.facts.unclear if fact in item.facts]
        self.chain.attention += asked
        if asked:
            raise _Stop

    def _tell(self, code: str, message: str, *facts: str) -> None:
        self.chain.attention.append(Problem(code, message, facts or (self.order.id,), _BY_HAND))

    def _ask(self, code: str, message: str, *facts: str) -> None:
        self._tell(code, message, *facts)
        raise _Stop
