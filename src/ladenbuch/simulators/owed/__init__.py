"""What one order of a shop owes to the books, worked out from its snapshot alone.

Deliberately a second, separate reading of the rules: the auditor must not share an error with the product or with the
generator of lives. `chain_of` tells the whole chain: invoices, supplementary invoices, credit notes and cancellations,
each with the facts it rests on and the money booked on it.

reading -> papers -> ledger (dated facts) -> replay (event time) -> chain; places decides the tax rule.
"""

from __future__ import annotations

from ladenbuch.simulators.owed.chain import chain_of
from ladenbuch.simulators.owed.papers import Chain, OwedBooking, OwedDocument, OwedPayment, Seller
from ladenbuch.simulators.owed.reading import Node, berlin_day, cents, instant, tax_inside

__all__ = [
    "Chain", "Node", "OwedBooking", "OwedDocument", "OwedPayment", "Seller", "berlin_day", "cents", "chain_of",
    "instant", "tax_inside",
]  # fmt: skip
