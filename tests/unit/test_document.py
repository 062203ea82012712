"""Documents that refuse to exist unless they balance; the golden sums (issue item 6)."""

from datetime import date
from decimal import Decimal

import pytest

from builders import golden
from ladenbuch.domain.document import InvoiceDraft, Party, Position, RateSum, sums_of
from ladenbuch.domain.money import to_minor
from ladenbuch.errors import Rejected

PARTY = Party("s1-71", "Erika Muster")
DAY = date(2026, 11, 22)


def draft(positions, claim, **more):
    fields = {"invoice_date": DAY, "delivery_date": DAY} | more
    return InvoiceDraft("inv:1:1", "#1 / s1:1", "EUR", 1, party=PARTY, positions=positions, claim=claim, **fields)


@pytest.mark.parametrize("case", golden(), ids=lambda case: case["id"])
def test_golden_sums(case):
    """All ten golden documents: gross, net and tax per rate as sevdesk computes them (bookkeeping 2.6)."""
    positions = []
    for item in case["positions"]:
        quantity, unit = int(item["quantity"]), to_minor(item["unit_gross"])
        positions.append(Position(item["name"], quantity, unit, quantity * unit, Decimal(item["tax_rate"])))
    sums = {f"{rate:f}": [total.gross, total.net, total.tax] for rate, total in sums_of(positions).items()}
    assert sums == case["expect"]


def test_one_cent_less_than_the_claim_is_no_invoice():
    position = Position("Tasse", 1, 1189, 1189, Decimal(19))
    with pytest.raises(Rejected) as refused:
        draft((position,), ((Decimal(19), 1190),))
    assert refused.value.code == "DRAFT-UNBALANCED"


def test_the_right_total_at_the_wrong_rate_is_no_invoice():
    position = Position("Tasse", 1, 1190, 1190, Decimal(7))
    with pytest.raises(Rejected):
        draft((position,), ((Decimal(19), 1190),))


def test_delivery_after_the_invoice_date_is_refused():
    position = Position("Tasse", 1, 1190, 1190, Decimal(19))
    with pytest.raises(Rejected) as refused:
        draft((position,), ((Decimal(19), 1190),), delivery_date=date(2026, 11, 23))
    assert refused.value.code == "DRAFT-DATES"


def test_position_must_multiply_out():
    with pytest.raises(Rejected):
        Position("Tasse", 3, 799, 2398, Decimal(19))


def test_indivisible_amount_becomes_one_piece_named_three():
    """G2b: 23.98 for 3 pieces."""
    position = Position.of("Seife", 3, 2398, Decimal(19))
    assert (position.name, position.quantity, position.unit_gross) == ("3 x Seife", 1, 2398)


def test_sums_that_do_not_add_up_do_not_exist():
    with pytest.raises(Rejected):
        RateSum(100, 84, 17)


def test_pins_survive_the_intent_row():
    made = draft((Position.of("Seife", 3, 2697, Decimal(19), text="SKU 1", covers=("s",)),), ((Decimal(19), 2697),))
    assert InvoiceDraft.from_json(made.as_json()) == made
