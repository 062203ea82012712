"""Documents that refuse to exist unless they balance; the golden sums (issue item 6)."""

from datetime import date
from decimal import Decimal

import pytest

from builders import golden
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft, Party, Position, RateSum, sums_of
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


def test_an_intent_row_from_before_there_were_other_countries_is_still_read():
    position = Position("Tasse", 1, 1190, 1190, Decimal(19))
    made = draft((position,), ((Decimal(19), 1190),))
    row = made.as_json()
    del row["delivery_country"], row["party"]["vat_id"]
    assert InvoiceDraft.from_json(row) == made


def credit_note(positions, **more):
    gross = sum(position.gross for position in positions)
    fields = {"credit_note_date": DAY, "delivery_date": DAY, "money_returned": gross} | more
    fields.setdefault("origin_remaining", ((Decimal(19), 2697), (Decimal(7), 999)))
    return CreditNoteDraft(
        "cn:9:1", "s1:refund:9", "EUR", 1, "inv:1:1", party=PARTY, positions=tuple(positions), **fields
    )


SOAP = Position("Seife", 1, 899, 899, Decimal(19), covers=("s9",))


def test_r4_a_credit_note_covers_exactly_the_money_returned():
    assert credit_note([SOAP]).sums[Decimal(19)] == RateSum(899, 755, 144)  # G5
    for positions, money in (([SOAP], 898), ([], 0)):
        with pytest.raises(Rejected) as refused:
            credit_note(positions, money_returned=money)
        assert refused.value.code == "DRAFT-UNBALANCED"


def test_r6_a_credit_note_takes_no_more_than_its_invoice_carries_at_each_rate():
    for left in (((Decimal(19), 898), (Decimal(7), 5000)), ((Decimal(7), 5000),)):
        with pytest.raises(Rejected) as refused:
            credit_note([SOAP], origin_remaining=left)
        assert refused.value.code == "DRAFT-EXCEEDS-ORIGIN"


@pytest.mark.parametrize("days", [{"delivery_date": date(2026, 11, 23)}, {"delivery_until": date(2026, 11, 21)}])
def test_a_credit_notes_delivery_lies_before_it(days):
    with pytest.raises(Rejected) as refused:
        credit_note([SOAP], **days)
    assert refused.value.code == "DRAFT-DATES"


def test_a_credit_note_survives_the_intent_row():
    more = {"delivery_date": date(2026, 11, 20), "delivery_until": DAY, "delivery_country": "FR", "foot_text": "x"}
    made = credit_note([SOAP, Position("Buch", 1, 999, 999, Decimal(7), "SKU 2")], **more)
    assert CreditNoteDraft.from_json(made.as_json()) == made
