"""Money: what stands on a gateway's account per transaction, and which documents it pays or settles (4.2, 2.5).

clearing+payouts, liability   a line of ours per transaction, `SHPTX <tx>`, that is linked; one that belongs to several
                              documents is written in parts, `SHPTX <tx>/1` and so on, whose sum is the transaction
clearing-simple               booked on an offline account, where sevdesk makes the line
feed                          the line a feed brought is found and linked, nothing is created
bank, off                     nothing is booked from Shopify

Which of these a transaction is in, its own instant says (`domain.modes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from ladenbuch.domain.actions import Action, finalise_key
from ladenbuch.domain.answers import Answers
from ladenbuch.domain.books import Booked, Books, PostedDocument, PostedLine, transaction_of
from ladenbuch.domain.chain import Returned
from ladenbuch.domain.document import CreditNoteDraft
from ladenbuch.domain.facts import Facts, Problem, moved, moved_at
from ladenbuch.domain.feed import FeedLine, Wanted, lines_of, look_again, still_open, wanted
from ladenbuch.domain.gift_cards import CARD, GATEWAY, NO_CARDS, GiftCards
from ladenbuch.domain.hands import paid_by_others
from ladenbuch.domain.modes import Modes
from ladenbuch.domain.order import Order, Payment
from ladenbuch.domain.profile import LINED_MODES, MATCHED_MODES, OFFLINE_MODE, Gateway, Profile
from ladenbuch.domain.reasons import Reason, because

_BY_HAND = ("book by hand", "exclude the order")
PAID_TWICE = "the invoice was paid in sevdesk by another line, and ours for the same money is not linked"
Share = tuple[str, int]  # which document, how much of the transaction (signed)


@dataclass(slots=True)
class Money:
    """Everything about money that is left to do, the questions about it, and what it waits for.

    `wanted` are the lines of feeds to look up, `held` the invoices whose payment a feed has not brought yet.
    """

    lines: list[Action] = field(default_factory=list)
    payments: list[Action] = field(default_factory=list)
    refunds: list[Action] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    covered: frozenset[str] = frozenset()  # payments that others have linked in sevdesk
    waiting: list[Problem] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    look_again: datetime | None = None

    def released(self, credits: Sequence[PostedDocument]) -> list[PostedDocument]:
        """The credit notes that may be written: one needs the payment of its invoice linked first (R5).

        The others wait with the money that settles them until the feed has brought that payment.
        """
        kept = {item.key for item in credits if item.state == "intended" and _origin(item) in self.held}
        late = {item.key for item in self.refunds if item.booking is not None and item.booking.document_key in kept}
        if late:
            ids = tuple(fact for item in self.refunds if item.key in late for fact in item.covers)
            self.refunds = [item for item in self.refunds if item.key not in late]
            self.lines = [item for item in self.lines if not (_brought(item) and set(item.covers) & set(ids))]
            what = "the money went back before the payment it corrects has come in sevdesk"
            self.waiting.append(Problem("FEED-WAITING", what, ids))
        return [item for item in credits if item.key not in kept]


def money(
    facts: Facts,
    books: Books,
    profile: Profile,
    documents: Sequence[PostedDocument] | None = None,
    returned: Sequence[Returned] = (),
    given_back: int = 0,
    cards: GiftCards = NO_CARDS,
    feeds: Sequence[FeedLine] = (),
    now: datetime | None = None,
    modes: Modes | None = None,
) -> Money:
    """Put every transaction on its account and link it, oldest first.

    `documents` are the invoices that stand (None: nothing is invoiced yet), `returned` what went back on which credit
    note. Never more is linked than an invoice carries; what is left over is OVERPAID, except what was given back
    meanwhile (`given_back`, minor units). `facts` are those of the order without the gift cards in `cards`. `feeds` are
    the free lines that were looked up, `now` (aware UTC) tells how long one has been waited for. `modes` says how each
    transaction is kept; without it `profile` counts for all of them.
    """
    modes = modes or Modes((), profile, books)
    desk = _Desk(books, profile, modes, now)
    made = desk.made
    shares, over, covered = _shares(facts, books, profile, modes, documents, given_back)
    made.covered = covered
    made.problems += _change_given(facts.order, modes)
    for item in returned:
        shares.setdefault(item.payment_id, []).append((item.document_key, -item.amount))
    moving = [item for item in cards.payments or facts.order.payments if moved(item) and item.kind != "CHANGE"]
    moving = [item for item in moving if moved_at(item) is not None]
    matched = desk.matched(moving, shares, feeds)
    for payment in moving:
        gateway = modes.gateway(payment)
        if gateway is None:
            made.problems.append(_unmapped(payment.gateway, payment.id))
            continue
        if payment.id in over:
            message = f"{over[payment.id]} minor units more were paid than the invoice carries"
            choices = ("refund the difference", "keep it as credit", "book by hand")
            made.problems.append(Problem("OVERPAID", message, (payment.id,), choices))
        if payment.id in covered:
            if gateway.mode in LINED_MODES:
                _paid_twice(made, books, facts, payment)
            continue
        if not cards.settled:
            continue
        card, mine = cards.parts.get(payment.id, 0), shares.get(payment.id, [])
        if gateway.mode in LINED_MODES:
            desk.post(payment, gateway, mine, card)
        elif card == moved(payment) and gateway.mode == "feed":
            desk.owe(payment, gateway, card)  # the feed's own line is the other side
        elif card and gateway.mode != "off":
            desk.ask_about_cards(payment)
        elif gateway.mode == OFFLINE_MODE:
            desk.book_offline(payment, gateway, mine)
        elif gateway.mode == "feed" and mine:
            desk.book_feed(payment, gateway, mine, matched.get(payment.id))
        if card and gateway.mode in LINED_MODES:
            desk.owe(payment, gateway, card)
    return made


def _brought(action: Action) -> bool:
    """Whether a line is there already, by a feed."""
    return action.kind == "money_line" and action.line is not None and action.line.sevdesk_id is not None


def _origin(credit: PostedDocument) -> str:
    return credit.draft.origin_key if isinstance(credit.draft, CreditNoteDraft) else ""


def _unmapped(name: str | None, *facts: str) -> Problem:
    message = f"nobody has decided how gateway {name!r} is booked"
    return Problem("GATEWAY-UNMAPPED", message, facts, ("clearing+payouts", "bank", "liability", "off"))


def _shares(
    facts: Facts,
    books: Books,
    profile: Profile,
    modes: Modes,
    documents: Sequence[PostedDocument] | None,
    given_back: int,
) -> tuple[dict[str, list[Share]], dict[str, int], frozenset[str]]:
    """What each payment pays, those booked before first; how much too much each one is; which others have linked."""
    live = [item for item in documents or () if item.state != "cancelled"]
    open_rest = {item.key: item.draft.gross for item in live}
    shares: dict[str, list[Share]] = {}
    for booking in sorted((item for item in books.bookings if item.done and item.amount > 0), key=lambda b: b.key):
        shares.setdefault(transaction_of(booking.payment_id), []).append((booking.document_key, booking.amount))
        open_rest[booking.document_key] = open_rest.get(booking.document_key, 0) - booking.amount
    theirs = paid_by_others(books)
    for document in live:
        open_rest[document.key] -= theirs.get(document.key, 0)
    covered = _covered(facts, modes, shares, sum(theirs.get(item.key, 0) for item in live))
    if any(item.of_others for item in live):
        covered |= _before_us(facts, profile, shares)
    over: dict[str, int] = {}
    ours = [(when, item.id, item) for item in facts.order.payments if moved(item) > 0 and (when := moved_at(item))]
    for _, _, payment in sorted(ours, key=lambda entry: entry[:2]) if documents is not None else []:
        if payment.id in covered:
            continue
        back = change_of(facts.order, payment)
        if back and not _by_design(modes, payment):
            continue  # a part of a line cannot be linked: it is asked about
        rest = payment.amount - back - sum(amount for _, amount in shares.get(payment.id, []))
        surplus = rest - sum(open_rest[item.key] for item in live)
        if surplus > given_back:
            over[payment.id] = surplus
            continue
        given_back -= max(0, surplus)
        for document in live:
            amount = min(rest, open_rest[document.key])
            if amount > 0:
                rest, open_rest[document.key] = rest - amount, open_rest[document.key] - amount
                shares.setdefault(payment.id, []).append((document.key, amount))
    return shares, over, covered


def _by_design(modes: Modes, payment: Payment) -> bool:
    """Whether the money of a payment comes to sevdesk without us."""
    gateway = modes.gateway(payment)
    return gateway is not None and gateway.mode in MATCHED_MODES


def change_of(order: Order, payment: Payment) -> int:
    """The change that was given back in cash on a payment, in minor units."""
    given = [item for item in order.payments if item.kind == "CHANGE" and moved(item)]
    return sum(item.amount for item in given if item.parent_id == payment.id)


def _change_given(order: Order, modes: Modes) -> list[Problem]:
    """CASH-ROUNDING where change came out of money that stands on an account of ours, or belongs to no payment.

    Where the money is booked by hand or by a bank's feed, the payment is simply smaller by it (facts 6).
    """
    known = {item.id for item in order.payments if moved(item) > 0}
    given = [item for item in order.payments if item.kind == "CHANGE" and moved(item)]
    asked = [item for item in given if item.parent_id not in known or not _by_design(modes, item)]
    ids = tuple(fact for item in asked for fact in (item.parent_id, item.id) if fact is not None)
    return [Problem("CASH-ROUNDING", "change was given in cash", ids, _BY_HAND)] if ids else []


def _covered(facts: Facts, modes: Modes, shares: dict[str, list[Share]], theirs: int) -> frozenset[str]:
    """The payments that somebody else has linked in sevdesk already (R14): those matched there by design first."""
    found = set()
    for payment in sorted(facts.order.payments, key=lambda item: (not _by_design(modes, item), item.id)):
        if moved(payment) > 0 and payment.id not in shares and 0 < payment.amount <= theirs:
            theirs -= payment.amount
            found.add(payment.id)
    return frozenset(found)


def _before_us(facts: Facts, profile: Profile, shares: dict[str, list[Share]]) -> frozenset[str]:
    """Money that moved before go-live, on an order whose invoice others wrote: they keep the books of it (R22)."""
    moved_before = [item for item in facts.items if item.kind == "money" and item.at < profile.go_live]
    return frozenset(item.id for item in moved_before if item.amount > 0 and item.id not in shares)


def _paid_twice(made: Money, books: Books, facts: Facts, payment: Payment) -> None:
    """Our line for money that somebody else has linked: it is too many, and only a person may say so (R14)."""
    mine = [item for item in books.lines if item.done and transaction_of(item.payment_id) == payment.id]
    if not mine:
        return
    problem = Problem("PAID-TWICE", PAID_TWICE, (payment.id,), ("delete our line", "keep both"))
    made.problems.append(problem)
    if Answers.of(books.resolutions, facts).to(problem) != "delete our line":
        return
    reason = because("delete_line")
    for line in mine:
        made.lines.append(Action("delete_line", f"gone:{line.key}", reason, (payment.id,), line=line))


class _Desk:
    """One order's money, transaction by transaction."""

    def __init__(self, books: Books, profile: Profile, modes: Modes, now: datetime | None) -> None:
        self.books, self.profile, self.modes, self.now = books, profile, modes, now
        self.made = Money()
        self.written = {item.payment_id: item for item in books.lines if item.done}
        self.booked = {item.key for item in books.bookings if item.done}
        self.paying = {item.payment_id for item in books.bookings if item.done}

    def post(self, payment: Payment, gateway: Gateway, shares: list[Share], card: int) -> None:
        """A transaction's lines on its account and their links; what is for gift cards (`card`) is last, unlinked."""
        lines = {part: item.amount for part, item in self.written.items() if part != f"{payment.id}/{CARD}"}
        amounts = [amount for _, amount in shares]
        if card:
            rest = moved(payment) - card - sum(amounts)
            amounts += [amount for amount in (rest, card) if amount]
        in_parts = len(amounts) > 1 or any(transaction_of(item) == payment.id != item for item in lines)
        torn = payment.id in lines and len(amounts) > 1
        moved_parts = card and any(lines.get(f"{payment.id}/{i}", a) != a for i, a in enumerate(amounts, 1))
        if (torn and any(transaction_of(key) == payment.id for key in self.paying)) or moved_parts:
            what = "one transaction belongs to several documents, and its line was written before that was known"
            self._split(payment, what)
            return
        after = self._cut_again(payment) if torn else ()
        for index, amount in enumerate(amounts if in_parts else [moved(payment)], 1):
            part, key = _part(payment, index, in_parts)
            if part not in lines:
                line = PostedLine(key, part, gateway.account, amount, self._day(payment))
                self._line(payment, line, _why(payment, gateway, amount), after)
            if index <= len(shares):
                self._link(payment, Booked(_pay(payment, index), part, *shares[index - 1]), (key,))

    def _cut_again(self, payment: Payment) -> tuple[str, ...]:
        """Our line was written in one piece before two documents needed it, and pays neither: it gives way to parts."""
        line = self.written[payment.id]
        key = f"gone:{line.key}"
        self.made.lines.append(Action("delete_line", key, because("cut_again"), (payment.id,), line=line))
        return (key,)

    def owe(self, payment: Payment, gateway: Gateway, card: int) -> None:
        """The other side of money for gift cards: what the shop owes their owners, on the account of the cards (2.5).

        The account stands at minus the cards nobody has redeemed. It is no transfer yet: sevdesk's own are unproven.
        """
        at = moved_at(payment)
        holder = self.modes.at(GATEWAY, at) if at is not None else None
        part, key = f"{payment.id}/{CARD}", f"line:{payment.id.rsplit('/', 1)[-1]}:{CARD}"
        if holder is None or holder.mode != "liability":
            self.made.problems.append(_unmapped(GATEWAY, payment.id))
        elif holder.account is not None and holder.account == gateway.account:
            message = "a gift card was paid from the account of the gift cards"
            self.made.problems.append(Problem("GIFT-CARD", message, (payment.id,), _BY_HAND))
        elif part not in self.written:
            reason = because("card_sold")
            if card < 0:
                reason = because("card_back")
            self._line(payment, PostedLine(key, part, holder.account, -card, self._day(payment)), reason)

    def ask_about_cards(self, payment: Payment) -> None:
        """Money for gift cards that stands on no line of ours: their debt has no counterpart."""
        message = f"a gift card was paid with {payment.gateway!r}, whose money is matched in sevdesk"
        self.made.problems.append(Problem("GIFT-CARD", message, (payment.id,), _BY_HAND))

    def book_offline(self, payment: Payment, gateway: Gateway, shares: list[Share]) -> None:
        """Booked on an offline account, where sevdesk makes the line itself; the sign of a refund there is unproven."""
        for index, (document, amount) in enumerate(shares, 1):
            part, _ = _part(payment, index, len(shares) > 1)
            booking = Booked(
                _pay(payment, index), part, document, amount, account=gateway.account, value_date=self._day(payment)
            )
            if amount < 0 and booking.key not in self.booked and not self.profile.offline_refunds:
                message = f"money went back through {payment.gateway!r}, whose account takes no line of ours"
                self.made.problems.append(Problem("OFFLINE-REFUND", message, (payment.id,), _BY_HAND))
                continue
            self._link(payment, booking, ())

    def matched(
        self, payments: Sequence[Payment], shares: Mapping[str, list[Share]], feeds: Sequence[FeedLine]
    ) -> dict[str, FeedLine]:
        """The line of each payment a feed brought, of those that are not known yet; and which lines to look up."""
        accounts: dict[str, str] = {}
        for payment in payments:
            gateway = self.modes.gateway(payment)
            known = payment.id in self.written or not shares.get(payment.id)
            if gateway is not None and gateway.mode == "feed" and gateway.account is not None and not known:
                accounts[payment.id] = gateway.account
        open_ones = [payment for payment in payments if payment.id in accounts]
        self.made.wanted = [wanted(payment, accounts[payment.id], self.profile) for payment in open_ones]
        return lines_of(open_ones, accounts, feeds, self.profile)

    def book_feed(self, payment: Payment, gateway: Gateway, shares: list[Share], found: FeedLine | None) -> None:
        """Link the line the feed brought, as soon as there is exactly one."""
        key = f"line:{payment.id.rsplit('/', 1)[-1]}"
        if gateway.account is None:
            message = f"nobody has named the account the feed of {payment.gateway!r} fills"
            self.made.problems.append(Problem("GATEWAY-ACCOUNT", message, (payment.id,), ("name the account",)))
        elif sum(amount for _, amount in shares) != moved(payment) or not (len(shares) == 1 or self._may_split()):
            self._split(payment, "one transaction belongs to several documents, and its line is in one piece")
        elif payment.id not in self.written and found is None:
            assert self.now is not None
            said = still_open(payment, self.now)
            (self.made.waiting if said.code == "FEED-WAITING" else self.made.problems).append(said)
            self.made.held |= {document for document, _ in shares}
            looks = [at for at in (self.made.look_again, look_again(payment, self.now)) if at is not None]
            self.made.look_again = min(looks, default=None)
        else:
            if found is not None and payment.id not in self.written:
                line = PostedLine(key, payment.id, found.account, found.amount, found.value_date, sevdesk_id=found.id)
                self._line(payment, line, because("line_feed", gateway=payment.gateway))
            for index, share in enumerate(shares, 1):
                self._link(payment, Booked(_pay(payment, index), payment.id, *share), (key,))

    def _may_split(self) -> bool:
        """Whether parts of an imported line may be booked on several documents, which is unproven (2.5)."""
        return self.profile.split_lines

    def _line(self, payment: Payment, line: PostedLine, reason: Reason, after: tuple[str, ...] = ()) -> None:
        self.made.lines.append(Action("money_line", line.key, reason, (payment.id,), after, line=line))

    def _link(self, payment: Payment, booking: Booked, after: tuple[str, ...]) -> None:
        """Book a part of a transaction on its document, once."""
        if booking.key in self.booked:
            return
        after = (*after, finalise_key(booking.document_key))
        if booking.amount > 0:
            reason = because("book_payment", gateway=payment.gateway)
            made = Action("book_payment", booking.key, reason, (payment.id,), after, booking=booking)
            self.made.payments.append(made)
        else:
            reason = because("book_refund", gateway=payment.gateway)
            made = Action("book_refund", booking.key, reason, (payment.id,), after, booking=booking)
            self.made.refunds.append(made)

    def _split(self, payment: Payment, what: str) -> None:
        by_hand = ("split and link it by hand in sevdesk", "exclude the order")
        self.made.problems.append(Problem("PAYMENT-SPLIT", what, (payment.id,), by_hand))

    def _day(self, payment: Payment) -> date:
        at = moved_at(payment)
        assert at is not None
        return self.profile.local_date(at)


def _part(payment: Payment, index: int, in_parts: bool) -> tuple[str, str]:
    """The id of a transaction or of its part, and the key of its line."""
    number = payment.id.rsplit("/", 1)[-1]
    return (f"{payment.id}/{index}", f"line:{number}:{index}") if in_parts else (payment.id, f"line:{number}")


def _pay(payment: Payment, index: int) -> str:
    return f"pay:{payment.id.rsplit('/', 1)[-1]}:{index}"


def _why(payment: Payment, gateway: Gateway, amount: int) -> Reason:
    """Why a line stands on its account."""
    if gateway.mode == "liability":
        return because("redeemed" if amount > 0 else "returned_as_credit", gateway=payment.gateway)
    return because("line_in" if amount > 0 else "line_out", gateway=payment.gateway)
