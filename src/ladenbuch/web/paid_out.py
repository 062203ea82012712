"""What the page "Payouts" shows: both balances day by day, what differs by name, and payouts down to their orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ladenbuch import payouts, tenants
from ladenbuch.db import Database, Transaction
from ladenbuch.domain.clearing import DayBalance, Named
from ladenbuch.domain.payouts import KnownPayout
from ladenbuch.payouts import Turn
from ladenbuch.web.shops import each_shop
from ladenbuch.web.words import Language
from ladenbuch.workflows.payout_parts import Breakdown, breakdown

#: How many days and payouts the page shows.
_DAYS, _PAYOUTS = 14, 60

#: Parts of a difference, by name.
NAMES: Mapping[str, tuple[str, str]] = {
    "fees-pending": ("Gebühren, die noch in keiner Auszahlung stehen", "fees that are in no payout yet"),
    "opening": ("Guthaben, als das Konto begann", "what was owed when the account began"),
    "elsewhere": ("was nach dem Profil nicht auf dem Konto steht", "what by the profile does not stand on the account"),
    "order-line-missing": ("Zahlung ohne Zeile ihrer Bestellung", "a payment without the line of its order"),
    "order-line-ahead": ("Zeile, deren Zahlung der Anbieter nicht nennt", "a line whose payment the provider lacks"),
    "order-line-differs": ("Zeile mit anderem Betrag als die Zahlung", "a line of another amount than the payment"),
    "line-missing": ("Bewegung ohne Zeile", "a movement without a line"),
    "fee-line-differs": ("Gebührenzeile über einen anderen Betrag", "a line over other fees"),
    "line-ahead": ("Zeile ohne Bewegung", "a line without a movement"),
    "payout-line-missing": ("Auszahlung ohne Zeile", "a payout without a line"),
    "payout-unknown": ("Auszahlung, die niemand kennt", "a payout nobody knows"),
    "lines-of-others": ("Zeilen anderer auf dem Konto", "lines of others on the account"),
}
#: How a compared day stands.
STATES: Mapping[str, tuple[str, str]] = {
    "EQUAL": ("gleich", "equal"),
    "NAMED": ("erklärt", "explained"),
    "OPEN": ("zu klären", "to clear up"),
}


def name_of(language: Language, item: Named) -> str:
    """Why a part of a difference is there."""
    return NAMES[item.code][0 if language == "de" else 1]


def state_of(language: Language, day: DayBalance) -> str:
    """How a compared day stands."""
    return STATES[day.status][0 if language == "de" else 1]


@dataclass(frozen=True)
class PaidOut:
    """One gateway of one shop: the last look, the days it compared, the payouts, and the one that was chosen."""

    tenant: tenants.Tenant
    turn: Turn
    days: Sequence[DayBalance]
    listed: Sequence[KnownPayout]
    chosen: Breakdown | None


PaidOuts = Callable[[str | None, str | None], Sequence[PaidOut]]


def paid_out(database: Database) -> PaidOuts:
    """Reads the payouts of one tenant, or (None) of all, and takes one apart by its number; nothing is fetched here."""

    def reader(number: str | None) -> Callable[[Transaction, tenants.Tenant], list[PaidOut]]:
        def of(tx: Transaction, owner: tenants.Tenant) -> list[PaidOut]:
            found = []
            for gateway in payouts.gateways(tx, owner.id):
                turn = payouts.turn(tx, owner.id, gateway)
                assert turn is not None
                listed = payouts.known_payouts(tx, owner.id, gateway)[: -_PAYOUTS - 1 : -1]
                chosen = None if number is None else breakdown(tx, owner.id, gateway, number)
                found.append(PaidOut(owner, turn, payouts.kept_days(tx, owner.id, gateway, _DAYS), listed, chosen))
            return found

        return of

    def read(tenant: str | None, number: str | None) -> list[PaidOut]:
        return [item for some in each_shop(database, tenant, reader(number)) for item in some]

    return read
