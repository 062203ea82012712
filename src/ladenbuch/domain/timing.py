"""When the first document of an order is due: the tax point under the profile's timing, and the cut of its ledger.

    tax_point   the earlier of money complete and first shipment (bookkeeping 3.1); `manual`: the same, done by hand
    fulfilment  the first shipment; what is paid and not shipped when the month of the money ends is invoiced in advance
    payment     money complete; what was shipped and not paid when the month of the shipment ends is invoiced then
    creation    the order itself, as an invoice before the supply

The timing is that of the profile in force when the order was placed (P1). A grace moves the cut, not the tax point:
what is added within it (upsells after the purchase) is folded into the first document, which waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from ladenbuch.domain.facts import Facts, TaxPoint, money_complete
from ladenbuch.domain.profile import Profile


@dataclass(frozen=True, slots=True)
class Timed:
    """The tax point, or None; and the instant (aware UTC) from which the calendar alone may change the answer.

    `at_supply`: the exemption hangs on the shipment, whatever the timing says.
    """

    point: TaxPoint | None
    look_again: datetime | None = None
    at_supply: bool = False


def timed(facts: Facts, profile: Profile, now: datetime) -> Timed:
    """The tax point of an order under the timing of `profile`. `now` only tells whether a month has ended (R9)."""
    paid, shipped = money_complete(facts.items), facts.first_supply
    if profile.timing == "creation":
        found = _created(facts)
        return Timed(_graced(found, profile))
    if profile.timing in ("fulfilment", "payment"):
        wanted, other = (shipped, paid) if profile.timing == "fulfilment" else (paid, shipped)
        if other is None:
            return Timed(_graced(wanted, profile))
        end = month_end(other.at, profile)
        if wanted is not None and wanted.at <= end:
            return Timed(_graced(wanted, profile))
        if now < end:
            return Timed(None, end)
        return Timed(_graced(replace(other, at=end), profile))
    both = [point for point in (shipped, paid) if point is not None]
    return Timed(_graced(min(both, key=lambda point: point.at, default=None), profile))


def month_end(instant: datetime, profile: Profile) -> datetime:
    """The last microsecond of the instant's month in the accounting time zone, as aware UTC."""
    day = profile.local_date(instant).replace(day=28) + timedelta(days=4)
    first = datetime.combine(day.replace(day=1), time(), profile.zone)
    return first.astimezone(instant.tzinfo) - timedelta(microseconds=1)


def _created(facts: Facts) -> TaxPoint | None:
    first = next((item for item in facts.agreements if item.sales), None)
    return None if first is None else TaxPoint(first.happened_at, "creation", first.id)


def _graced(point: TaxPoint | None, profile: Profile) -> TaxPoint | None:
    if point is None or not profile.grace_seconds:
        return point
    return replace(point, cut=point.at + timedelta(seconds=profile.grace_seconds))
