"""What transfers mean for an order: the shop is told, and the bank's line pays the invoice (4.1, 5.7, 5.31, 5.32).

With the default timing an unpaid order has no invoice, so nothing in sevdesk can be matched with the bank's line but
the order itself. The line is the fact; from it follow, in this order:

    the shop is told      what came in by transfer and Shopify does not know, once: `told:<order>:<amount so far>`
    the order settles     Shopify's payment is its tax point now, and the invoice follows
    the line is linked    to that invoice: nothing is booked on an account of ours

Documents that others paid in sevdesk are the second source of the first step. What Shopify knows already (somebody
marked the order paid, or we did) is told no more, so that our own webhook ends the round. What is less or more than
owed, even by one cent, is asked about. Amounts in minor units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from ladenbuch.domain.actions import Action, Plan, Told, finalise_key
from ladenbuch.domain.answers import Answers
from ladenbuch.domain.books import Booked, Books, PostedDocument, PostedLine, transaction_of
from ladenbuch.domain.evidence import Evidence, Transfer
from ladenbuch.domain.facts import Facts, Problem, moved, moved_at
from ladenbuch.domain.hands import human_owned, paid_by_others
from ladenbuch.domain.modes import Modes
from ladenbuch.domain.order import Order, Payment
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.reasons import because, euros

#: What a person says of a line that may be for the order.
OURS, NOT_OURS = "it is for this order", "it is not for this order"
#: What a person says where Shopify can be told of nothing but the whole.
AS_A_WHOLE = "mark it paid in Shopify all the same"
_SURPLUS = ("refund the difference", "keep it as credit", "book by hand")
_PENDING = frozenset({"PENDING", "AWAITING_RESPONSE"})


@dataclass(frozen=True, slots=True)
class Awaiting:
    """What an order waits for: how much by transfer, until when, and why nobody should be reminded of it."""

    owed: int
    total: int
    numbers: tuple[str, ...] = ()
    document_key: str | None = None
    due: date | None = None
    paused: str | None = None
    refused: tuple[str, ...] = ()  # lines a person said are not for it


def with_transfers(
    made: Plan, facts: Facts, books: Books, profiles: Sequence[Profile], now: datetime, evidence: Evidence
) -> Plan:
    """The plan with what transfers make of it. `now` (aware UTC) only says which profile is in force."""
    order = facts.order
    before = made.exclusion.code if made.exclusion is not None else None
    if made.later is not None or before not in (None, "CANCELLED-BEFORE") or order.test:
        return made
    desk = _Desk(facts, books, profiles, now, evidence)
    actions = desk.confirming()
    if not (desk.transfers or desk.others or actions):
        return made
    asked, answered, waiting = desk.unclear(), desk.answered, list[Problem]()
    if order.cancelled_at is not None and order.total_outstanding <= 0 < desk.missing and desk.sure:
        what = f"{desk.missing} minor units came in by transfer for an order that was cancelled"
        desk.ask(asked, Problem("OVERPAID", what, desk.about, _SURPLUS))
    elif desk.missing > 0:
        told, problems, still = desk.telling()
        actions += told
        waiting += still
        for problem in problems:
            desk.ask(asked, problem)
    for problem in desk.gone():
        desk.ask(asked, problem)
    links, problems, still = desk.linking(made)
    waiting += still
    for problem in problems:
        desk.ask(asked, problem)
    if not (asked or answered or waiting or actions or links):
        return made
    excluded = None if asked else made.exclusion
    waits = made.waiting if before is None or asked else ()
    return replace(
        made,
        actions=_placed((*actions, *made.actions), links),
        attention=(*made.attention, *asked),
        waiting=(*waits, *waiting),
        answered=(*made.answered, *answered),
        exclusion=excluded,
    )


def awaiting(
    facts: Facts,
    books: Books,
    profiles: Sequence[Profile],
    now: datetime,
    evidence: Evidence,
    *,
    excluded: bool = False,
) -> Awaiting:
    """What the order waits for now; `owed` is 0 where that is nothing, or nothing that comes by transfer, and where the
    order is not ours (`excluded`): nobody is told or reminded of its money by us (R22)."""
    order = facts.order
    desk = _Desk(facts, books, profiles, now, evidence)
    invoices = [item for item in books.documents if item.kind != "credit_note" and item.state == "final"]
    numbers = tuple(item.number for item in invoices if item.number)
    owed = 0
    if desk.may_be_told and not order.test and not excluded:
        owed = max(0, order.total_outstanding - max(0, desk.missing))
    first = invoices[0] if invoices else None
    return Awaiting(
        owed,
        order.current_total,
        numbers,
        None if first is None else first.key,
        _due(order, first, desk.profile) if owed else None,
        _paused(order, desk) if owed else None,
        desk.refused,
    )


def _due(order: Order, invoice: PostedDocument | None, profile: Profile) -> date | None:
    """The day the money is to be there by: as the terms say, as the invoice says, else the day of the invoice."""
    if order.terms is not None and order.terms.due_at is not None:
        return profile.local_date(order.terms.due_at)
    if invoice is None:
        return None if order.terms is not None else profile.local_date(order.processed_at)
    days = getattr(invoice.draft, "time_to_pay", None)
    return invoice.day + timedelta(days=days or 0)


def _paused(order: Order, desk: _Desk) -> str | None:
    if any(item.status in ("NEEDS_RESPONSE", "UNDER_REVIEW") for item in order.disputes):
        return "dispute"
    if human_owned(desk.books):  # cancelled or changed by hand: they know what is owed
        return "by hand"
    if order.foreign_money or order.currency != "EUR":
        return "currency"
    theirs = [item for item in desk.transfers if item.line_id not in desk.refused]
    if theirs or any(moved(item) > 0 for item in order.payments):
        return "partial"
    if (order.return_status or "NO_RETURN") != "NO_RETURN" or order.refunds:
        return "return"
    return None


class _Desk:
    """One order's transfers, held against what Shopify knows."""

    def __init__(
        self, facts: Facts, books: Books, profiles: Sequence[Profile], now: datetime, evidence: Evidence
    ) -> None:
        self.facts, self.books, self.order, self.now = facts, books, facts.order, now
        self.profile = profile_at(profiles, now)
        self.modes = Modes.of(profiles, profile_at(profiles, facts.order.processed_at), books)
        self.answers = Answers.of(books.resolutions, facts)
        self.answered: list[tuple[Problem, str]] = []
        self.transfers = evidence.transfers
        self.ours = {item.sevdesk_id for item in books.lines if item.done}
        self.others = sum(paid_by_others(books).values())
        chosen = [item for item in self.transfers if item.verdict == "ambiguous" and self._said(item) == OURS]
        unsure = ("ambiguous", "elsewhere")
        sure = [item for item in self.transfers if item.verdict not in unsure and item.amount > 0]
        self.chosen = chosen
        ambiguous = [item for item in self.transfers if item.verdict == "ambiguous"]
        self.refused = tuple(item.line_id for item in ambiguous if self._said(item) == NOT_OURS)
        self.sure = [item for item in (*sure, *chosen) if not item.gone and (item.free or item.line_id in self.ours)]

    # what is known on both sides ---------------------------------------------------------------------------------

    def by_transfer(self, payment: Payment) -> bool:
        """Whether a payment of the shop is money that comes by transfer."""
        gateway = self.modes.gateway(payment)
        return gateway.mode == "bank" if gateway is not None else payment.manual

    @property
    def known(self) -> int:
        """What Shopify knows that came in by transfer."""
        return sum(moved(item) for item in self.order.payments if moved(item) > 0 and self.by_transfer(item))

    @property
    def came(self) -> int:
        """What came in: lines that are this order's, and what others linked to its documents beyond other money."""
        booked = {transaction_of(item.payment_id) for item in self.books.bookings if item.done}
        elsewhere = sum(
            moved(item)
            for item in self.order.payments
            if moved(item) > 0 and item.id not in booked and not self.by_transfer(item)
        )
        return sum(item.amount for item in self.sure) + max(0, self.others - elsewhere)

    @property
    def missing(self) -> int:
        """What came in by transfer and Shopify does not know; negative where it knows more."""
        return self.came - self.known

    @property
    def about(self) -> tuple[str, ...]:
        """What a question about the money names."""
        return tuple(f"line:{item.line_id}" for item in self.sure) or (f"{self.order.id}#transfer",)

    @property
    def _of_order(self) -> tuple[str, ...]:
        """What a question about the order's side names: who said whose the line is has not answered it."""
        return tuple(dict.fromkeys((*self.about, f"{self.order.id}#transfer")))

    @property
    def may_be_told(self) -> bool:
        """Whether the shop may be told at all: something is open, and no other money is on its way for it."""
        order = self.order
        if order.cancelled_at is not None or order.total_outstanding <= 0:
            return False
        if order.financial_status in ("AUTHORIZED", "VOIDED", "EXPIRED"):
            return False
        pending = [item for item in order.payments if item.status in _PENDING]
        return not pending or any(self.by_transfer(item) for item in pending)

    # telling the shop ----------------------------------------------------------------------------------------------

    def telling(self) -> tuple[list[Action], list[Problem], list[Problem]]:
        """What the shop is told, what is asked about, what waits."""
        order, missing = self.order, self.missing
        if not self.may_be_told:
            return [], self._surplus(missing) if order.total_outstanding <= 0 else self._otherwise(missing), []
        open_ = order.total_outstanding
        if open_ != self.facts.claim - self.facts.money or order.foreign_money or order.currency != "EUR":
            what = f"a transfer came in, and Shopify says {open_} minor units are open while its ledger says otherwise"
            return [], [Problem("TRANSFER-UNCLEAR", what, self._of_order, ("look into it", "book by hand"))], []
        amount, problems = min(missing, open_), self._surplus(missing - open_) if missing > open_ else []
        if not self.profile.money_back:
            what = f"{amount} minor units came in by transfer; the profile leaves it to people to tell Shopify"
            return [], problems, [Problem("TRANSFER-KEPT", what, self.about)]
        if self.profile.draft_only:
            what = f"{amount} minor units came in by transfer; Shopify is told once the tenant is live"
            return [], problems, [Problem("TRANSFER-KEPT", what, self.about)]
        key = f"told:{order.number_id}:{self.known + amount}"
        if key in self.books.applied:
            what = "Shopify was told of a payment, and does not show it"
            return [], [Problem("FLAP", what, (key,), ("look into it",))], []
        told = Told(
            amount,
            open_,
            before=tuple(item.id for item in order.payments if moved(item) > 0),
            at=self._dated(full=amount == open_),
            lines=tuple(item.line_id for item in self.sure),
            chosen=tuple((item.line_id, item.amount) for item in self.chosen),
            method=self._method(),
        )
        reason = because("told", amount=amount, euro=euros(amount), order=order.name)
        return [Action("tell_paid", key, reason, self.about, told=told)], problems, []

    def _method(self) -> str:
        """What Shopify calls the way of payment the buyer chose, among those that come by transfer: under the name of
        another gateway (the deposit was paid by card) the payment would be taken for that gateway's money."""
        manual = [item.gateway for item in self.order.payments if item.manual and item.gateway]
        for name in filter(None, (*manual, *self.order.gateways)):
            gateway = self.modes.at(name, self.now, manual=True)
            if gateway is not None and gateway.mode == "bank":
                return name
        return "bank_deposit"

    def confirming(self) -> list[Action]:
        """What the shop was told and shows, where our own record of it is missing: its answer was lost."""
        number, found = self.order.number_id, []
        for key in sorted(self.books.pending):
            if not key.startswith(f"told:{number}:") or key in self.books.applied:
                continue
            amount = int(key.rpartition(":")[2])
            if amount <= self.known:
                reason = because("told", amount=amount, euro=euros(amount), order=self.order.name)
                told = Told(amount, self.order.total_outstanding, confirm=True)
                found.append(Action("tell_paid", key, reason, self.about, told=told))
        return found

    def _dated(self, *, full: bool) -> datetime | None:
        """The instant a payment is dated back to: where the bank's day lies in an earlier month, and for a part.

        Money is taxed with the month it came in (UStG §13 (1) no. 1a). The seconds are the line's own.
        """
        days = [item.day for item in self.sure if item.day is not None]
        if not days:
            return None
        day, today = max(days), self.profile.local_date(self.now)
        if full and (day.year, day.month) >= (today.year, today.month):
            return None
        own = timedelta(seconds=sum(int(item.line_id) for item in self.sure) % 1800)
        noon = datetime.combine(day, time(12), self.profile.zone).astimezone(self.now.tzinfo)
        at = max(noon, self.order.processed_at + timedelta(seconds=1)) + own
        return at if at <= self.now else None

    def _otherwise(self, missing: int) -> list[Problem]:
        """A transfer for an order whose money is to come another way: authorised, or pending with somebody else."""
        if not self.sure:
            return []
        what = f"{missing} minor units came in by transfer for an order that is to be paid otherwise"
        return [Problem("TRANSFER-UNCLEAR", what, self._of_order, ("look into it", "book by hand"))]

    def _surplus(self, over: int) -> list[Problem]:
        """More than was owed: listed, even one cent (5.31)."""
        if over <= 0 or not self.sure:
            return []
        what = f"{over} minor units more came in by transfer than was owed"
        return [Problem("OVERPAID", what, self.about, _SURPLUS)]

    # questions -----------------------------------------------------------------------------------------------------

    def unclear(self) -> list[Problem]:
        """Lines that may be for this order, or for another one."""
        asked: list[Problem] = []
        open_ones = [item for item in self.transfers if item.verdict == "ambiguous" and item.free and not item.gone]
        for item in open_ones:
            choice = self._said(item)
            if choice is None:
                asked.append(_unclear(item))
            else:
                self.answered.append((_unclear(item), choice))
        return asked

    def gone(self) -> list[Problem]:
        """Money Shopify was told of that is not in sevdesk any more; money that went back by the bank."""
        found: list[Problem] = []
        told = [int(key.rpartition(":")[2]) for key in self.books.applied if key.startswith("told:")]
        if told and self.came < min(max(told), self.known):
            what = "a transfer Shopify was told of is gone in sevdesk, or linked to something else"
            choices = ("link the payment in sevdesk", "leave it to the bookkeeper")
            found.append(Problem("TRANSFER-GONE", what, self.about, choices))
        astray = [item for item in self.transfers if item.verdict == "elsewhere" and not item.free and not item.gone]
        if astray and not self.others and self.order.total_outstanding > 0:
            what = "the transfer that names this order is linked to another document in sevdesk"
            about = tuple(f"line:{item.line_id}" for item in astray)
            choices = ("link the payment in sevdesk", "leave it to the bookkeeper")
            found.append(Problem("TRANSFER-GONE", what, about, choices))
        back = [item for item in self.transfers if item.verdict == "back" and not item.gone]
        known = -sum(moved(item) for item in self.order.payments if moved(item) < 0)
        if back and -sum(item.amount for item in back) > known:
            what = "money went back to the buyer by the bank, and Shopify knows no refund of it"
            about = tuple(f"line:{item.line_id}" for item in back)
            found.append(Problem("TRANSFER-BACK", what, about, ("refund it in Shopify", "book by hand")))
        return found

    def ask(self, asked: list[Problem], problem: Problem) -> None:
        """Ask, unless a person has answered; one question per code."""
        choice = self.answers.to(problem)
        if choice is not None and self.answers.kind(problem) in ("by_hand", "waive"):
            self.answered.append((problem, choice))
        elif all(item.code != problem.code or item.facts != problem.facts for item in asked):
            asked.append(problem)

    def _said(self, transfer: Transfer) -> str | None:
        return self.answers.to(_unclear(transfer))

    # linking the bank's line -----------------------------------------------------------------------------------------

    def linking(self, made: Plan) -> tuple[list[Action], list[Problem], list[Problem]]:
        """The bank's lines on the invoices they pay, and on the credit notes they settle."""
        planned = [item.line for item in made.actions if item.line is not None]
        taken = {item.sevdesk_id for item in (*self.books.lines, *planned)}
        lines = [item for item in (*self.sure, *self._back()) if item.free and item.line_id not in taken and item.whole]
        if self.profile.draft_only:
            return [], [], []
        by_others = {fact for fact, _ in made.noted}
        rests = self._rests(made)
        actions: list[Action] = []
        problems: list[Problem] = []
        for payment in sorted(self.order.payments, key=lambda one: one.id):
            if not moved(payment) or payment.id in by_others or not self.by_transfer(payment) or not moved_at(payment):
                continue
            left, begun = self._unlinked(payment, made)
            gap = left - sum(item.amount for item in begun)
            parts = _parts(gap, lines) if gap else []
            if not left or (gap and not parts):
                if left and any(item.amount == left and not item.whole and item.free for item in self.sure):
                    what = "one transfer pays several orders, and its line is in one piece"
                    problems.append(self._split(payment, what))
                continue
            key = next((key for key, rest in rests.items() if _fits(left, rest)), None)
            if key is None:
                if any(rest * left > 0 for rest in rests.values()):
                    what = "one transfer belongs to several documents, and its line is in one piece"
                    problems.append(self._split(payment, what))
                continue
            rests[key] -= left
            lines = [item for item in lines if item not in parts]
            standing = sum(transaction_of(item.payment_id) == payment.id for item in self.books.lines)
            actions += _linked(payment, begun, parts, key, standing)
        return actions, problems, []

    def _unlinked(self, payment: Payment, made: Plan) -> tuple[int, list[PostedLine]]:
        """What of a payment is not linked, and the lines that were taken for it and are not linked yet: a run may have
        died in between."""
        bookings = [item for item in self.books.bookings if item.done]
        bookings += [item.booking for item in made.actions if item.booking is not None]
        mine = [item for item in bookings if transaction_of(item.payment_id) == payment.id]
        linked = {item.payment_id for item in mine}
        begun = [item for item in self.books.lines if item.done and transaction_of(item.payment_id) == payment.id]
        left = moved(payment) - sum(item.amount for item in mine)
        return left, sorted((item for item in begun if item.payment_id not in linked), key=lambda item: item.payment_id)

    def _split(self, payment: Payment, what: str) -> Problem:
        return Problem(
            "PAYMENT-SPLIT", what, (payment.id,), ("split and link it by hand in sevdesk", "exclude the order")
        )

    def _back(self) -> list[Transfer]:
        return [item for item in self.transfers if item.verdict == "back" and not item.gone]

    def _rests(self, made: Plan) -> dict[str, int]:
        """What is open on each document, signed; those that are about to be written included."""
        documents = {item.key: item for item in self.books.documents}
        documents |= {
            item.document.key: item.document
            for item in made.actions
            if item.document is not None and item.kind in ("invoice", "credit_note")
        }
        cancelled = {item.document.key for item in made.actions if item.kind == "cancel" and item.document is not None}
        bookings = [item for item in self.books.bookings if item.done]
        bookings += [item.booking for item in made.actions if item.booking is not None]
        theirs = paid_by_others(self.books)
        rests: dict[str, int] = {}
        for key, document in documents.items():
            if document.state == "cancelled" or key in cancelled:
                continue
            sign = -1 if document.kind == "credit_note" else 1
            done = {item.key: item.amount for item in bookings if item.document_key == key}
            rests[key] = sign * document.draft.gross - sum(done.values()) - sign * theirs.get(key, 0)
        return rests


def _unclear(item: Transfer) -> Problem:
    others = f", or for one of {item.others} other orders" if item.others else ""
    day = f" of {item.day.isoformat()}" if item.day is not None else ""
    what = f"a transfer of {item.amount} minor units{day} may be for this order{others}"
    return Problem("TRANSFER-UNCLEAR", what, (f"line:{item.line_id}",), (OURS, NOT_OURS))


def _parts(amount: int, lines: Sequence[Transfer]) -> list[Transfer]:
    """The line of an amount, or all that are left where they are exactly it."""
    for item in lines:
        if item.amount == amount:
            return [item]
    same = [item for item in lines if item.amount * amount > 0]
    return same if sum(item.amount for item in same) == amount else []


def _fits(amount: int, rest: int) -> bool:
    return rest * amount > 0 and abs(amount) <= abs(rest)


def _linked(
    payment: Payment, begun: Sequence[PostedLine], parts: Sequence[Transfer], key: str, standing: int
) -> list[Action]:
    """A payment's lines on a document: nothing is written on an account, the bank brought them. `begun` were taken for
    it before, `standing` is how many were."""
    actions: list[Action] = []
    number = payment.id.rsplit("/", 1)[-1]
    at = moved_at(payment)
    assert at is not None
    for item in begun:
        index = item.payment_id.removeprefix(f"{payment.id}/") if item.payment_id != payment.id else "1"
        actions.append(_booking(payment, Booked(f"pay:{number}:{index}", item.payment_id, key, item.amount), ()))
    whole = not standing and len(parts) == 1
    for place, one in enumerate(parts, standing + 1):
        part = payment.id if whole else f"{payment.id}/{place}"
        name = f"line:{number}" if whole else f"line:{number}:{place}"
        line = PostedLine(name, part, one.account, one.amount, one.day or at.date(), sevdesk_id=one.line_id)
        actions.append(Action("money_line", name, because("line_bank"), (payment.id,), line=line))
        actions.append(_booking(payment, Booked(f"pay:{number}:{place}", part, key, one.amount), (name,)))
    return actions


def _booking(payment: Payment, booking: Booked, after: tuple[str, ...]) -> Action:
    kind = "book_payment" if booking.amount > 0 else "book_refund"
    reason = because(kind, gateway=payment.gateway)
    after = (*after, finalise_key(booking.document_key))
    return Action(kind, booking.key, reason, (payment.id,), after, booking=booking)


def _placed(actions: Sequence[Action], links: Sequence[Action]) -> tuple[Action, ...]:
    """A payment before what corrects its invoice (R5) and before the letter; a refund behind its credit note."""
    late = [item for item in links if item.kind == "book_refund"]
    names = {after for item in late for after in item.after}
    late += [item for item in links if item.key in names]
    first = [item for item in links if item not in late]
    kinds = ("credit_note", "xml", "letter")
    at = next((index for index, item in enumerate(actions) if item.kind in kinds), len(actions))
    tail = list(actions[at:])
    behind = next((index for index, item in enumerate(tail) if item.kind in ("xml", "letter")), len(tail))
    late.sort(key=lambda item: item.kind != "money_line")
    return (*actions[:at], *first, *tail[:behind], *late, *tail[behind:])
