"""Which mode a transaction's money is kept in: that of its gateway at the transaction's own instant (bookkeeping 4.2).

A gateway may change its mode while orders are under way: PayPal is connected in sevdesk on 1 July, so its refund of
3 July comes by the feed, although the charge of 29 June stands on an account of ours. So not the order's profile is
asked but the version in force when the money moved. Two things stay as they are, whatever is decided later (R10): money
that stands on an account or is booked keeps its place, and a version stored after an order was posted does not reach
back before its tax point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ladenbuch.domain.books import Books, transaction_of
from ladenbuch.domain.facts import moved_at
from ladenbuch.domain.gift_cards import CARD
from ladenbuch.domain.order import Payment
from ladenbuch.domain.profile import LINED_MODES, OFFLINE_MODE, Gateway, Profile, profile_at


@dataclass(frozen=True, slots=True)
class Modes:
    """The versions of a profile as one order sees them.

    `chosen` is the version the order is decided under; it answers what the version of an instant leaves open.
    """

    versions: tuple[Profile, ...]
    chosen: Profile
    books: Books = field(default_factory=Books)

    @classmethod
    def of(cls, profiles: Sequence[Profile], chosen: Profile, books: Books) -> Modes:
        """Leave out the versions that were dated back over the order's first document after it was posted."""
        first = books.invoice
        pinned = next((item for item in profiles if first is not None and item.version == first.profile_version), None)
        if pinned is None or first is None or first.tax_point is None:
            return cls(tuple(profiles), chosen, books)
        since, until = (pinned.effective_from, pinned.version), first.tax_point
        kept = [p for p in profiles if p.effective_from > until or (p.effective_from, p.version) <= since]
        return cls(tuple(kept), chosen, books)

    def at(self, name: str | None, instant: datetime, *, manual: bool = False) -> Gateway | None:
        """How a gateway is booked at an instant; None when nobody has decided it."""
        if not self.versions:
            return self.chosen.gateway(name, manual=manual)
        there = profile_at(self.versions, instant)
        if there.settles(name, manual=manual):
            return there.gateway(name, manual=manual)
        return self.chosen.gateway(name, manual=manual) or there.gateway(name, manual=manual)

    def gateway(self, payment: Payment) -> Gateway | None:
        """How a transaction is booked: where it stands already, else by the version of its instant."""
        at = moved_at(payment)
        decided = self.chosen.gateway(payment.gateway, manual=payment.manual)
        if at is not None:
            decided = self.at(payment.gateway, at, manual=payment.manual)
        return self._kept(payment, decided)

    def _kept(self, payment: Payment, decided: Gateway | None) -> Gateway | None:
        mine = [item for item in self.books.lines if item.done and transaction_of(item.payment_id) == payment.id]
        mine = [item for item in mine if not item.payment_id.endswith(f"/{CARD}")]
        if mine:
            account = mine[0].account
            whole = mine[0].payment_id == payment.id
            fits = decided is not None and (
                decided.mode in LINED_MODES
                or (decided.mode == "feed" and whole)
                or (decided.mode == "bank" and account not in self._ours())  # the bank brought it, in parts perhaps
            )
            return Gateway(decided.mode if decided is not None and fits else LINED_MODES[0], account)
        booked = [item for item in self.books.bookings if item.done and transaction_of(item.payment_id) == payment.id]
        if booked and booked[0].account is not None:  # sevdesk made the line: there is none of ours
            return Gateway(OFFLINE_MODE, booked[0].account)
        return decided

    def _ours(self) -> set[str | None]:
        """The accounts that lines of ours stand on, by any version."""
        gateways = [one for profile in (*self.versions, self.chosen) for one in profile.gateways.values()]
        return {one.account for one in gateways if one.mode in LINED_MODES}
