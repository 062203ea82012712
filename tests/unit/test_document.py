"""Documents that refuse to exist unless they balance; the golden sums (issue item 6)."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from builders import golden
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft, Party, Position, RateSum, rate_text, sums_of
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


def refused_as(make):
    """Code and message of a refusal."""
    with pytest.raises(Rejected) as refused:
        make()
    return refused.value.code, refused.value.message


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


# -- every refusal, at its edge -----------------------------------------------------------------------------------

UNBALANCED, WRONG, DATES = "DRAFT-UNBALANCED", "DRAFT-POSITION", "DRAFT-DATES"
TASSE = Position("Tasse", 1, 1190, 1190, Decimal(19))
CLAIM = ((Decimal(19), 1190),)


def test_what_a_position_must_be():
    product = (UNBALANCED, "quantity times unit price is not the position's gross amount")
    line = (WRONG, "a position needs a name and must not be negative")
    assert refused_as(lambda: Position("Tasse", 2, 1190, 1190, Decimal(19))) == product
    assert refused_as(lambda: Position("Tasse", 0, 0, 0, Decimal(19))) == product
    assert refused_as(lambda: Position("Tasse", 1, -1, -1, Decimal(19))) == line
    assert refused_as(lambda: Position("Tasse", 1, 1, 1, Decimal("-0.1"))) == line
    assert refused_as(lambda: Position(" ", 1, 1, 1, Decimal(19))) == line
    assert Position("Tasse", 1, 0, 0, Decimal(0)).net == 0
    assert refused_as(lambda: RateSum(100, 84, 17)) == (UNBALANCED, "net and tax do not add up to gross")


def test_a_position_over_so_many_pieces():
    for quantity, gross, made in (
        (1, 1190, ("Tasse", 1, 1190)), (0, 1190, ("Tasse", 1, 1190)), (3, 2697, ("Tasse", 3, 899)),
        (3, 2698, ("3 x Tasse", 1, 2698)), (2, 1, ("2 x Tasse", 1, 1)), (2, 2, ("Tasse", 2, 1)),
    ):  # fmt: skip
        one = Position.of("Tasse", quantity, gross, Decimal(19), text="blau", covers=("s1",))
        assert (one.name, one.quantity, one.unit_gross, one.gross) == (*made, gross)
        assert (one.rate, one.text, one.covers) == (Decimal(19), "blau", ("s1",))
        assert type(one.unit_gross) is int
    assert Position.of("Tasse", 1, 1, Decimal(7)) == Position("Tasse", 1, 1, 1, Decimal(7), None, ())


def test_whole_pieces_for_machines():
    """2.2: 23.98 for three is 2 x 7.99 and 1 x 8.00."""
    one = Position.of("Seife", 3, 2398, Decimal(19), text="SKU", covers=("s1",))
    cheap, dear = one.in_whole_pieces("Seife", 3)
    assert cheap == Position("Seife", 2, 799, 1598, Decimal(19), "SKU", ("s1",))
    assert dear == Position("Seife", 1, 800, 800, Decimal(19), "SKU", ("s1",))
    assert Position.of("Seife", 2, 1598, Decimal(19)).in_whole_pieces("Seife", 2) == (
        Position("Seife", 2, 799, 1598, Decimal(19)),
    )


def test_rates_as_text():
    shown = {"19": "19", "19.00": "19", "5.50": "5.5", "0": "0", "-0": "0", "0.00": "0", "100": "100", "2.1": "2.1"}
    assert {text: rate_text(Decimal(text)) for text in shown} == shown


def test_sums_add_positions_of_one_rate_and_stand_highest_rate_first():
    """Net per position, then added: three times 8.99 is not once 26.97 (2.3)."""
    soap = [Position("Seife", 1, 899, 899, Decimal(19))] * 3
    book = Position("Buch", 1, 999, 999, Decimal(7))
    assert list(sums_of([book, *soap]).items()) == [
        (Decimal(19), RateSum(2697, 2265, 432)),
        (Decimal(7), RateSum(999, 934, 65)),
    ]


def test_what_an_invoice_must_be():
    assert refused_as(lambda: draft((), CLAIM)) == (WRONG, "a document has 1 to 500 positions")
    cup = Position("Tasse", 1, 1, 1, Decimal(19))
    assert draft((cup,) * 500, ((Decimal(19), 500),)).gross == 500
    assert refused_as(lambda: draft((cup,) * 501, ((Decimal(19), 501),)))[0] == WRONG
    claim = (UNBALANCED, "positions do not equal the claim per tax rate")
    assert refused_as(lambda: draft((TASSE,), ((Decimal(19), 1189),))) == claim
    assert refused_as(lambda: draft((TASSE,), ((Decimal(7), 1190),))) == claim
    free = Position("Zugabe", 1, 0, 0, Decimal(7))
    assert draft((TASSE, free), (*CLAIM, (Decimal(5), 0))).gross == 1190
    assert refused_as(lambda: draft((free,), ())) == (UNBALANCED, "an invoice over nothing is not an invoice")
    assert draft((cup,), ((Decimal(19), 1),)).gross == 1


LATE, EARLY = date(2026, 11, 23), date(2026, 11, 21)


@pytest.mark.parametrize(
    ("begins", "ends", "fits"),
    [(DAY, None, True), (EARLY, None, True), (LATE, None, False), (EARLY, DAY, True), (DAY, DAY, True),
     (EARLY, LATE, False), (DAY, EARLY, False), (EARLY, EARLY, True)],
)  # fmt: skip
def test_no_delivery_after_the_day_of_issue_nor_ending_before_it_begins(begins, ends, fits):
    for make, what in ((lambda **days: draft((TASSE,), CLAIM, **days), "the invoice date"),
                       (lambda **days: credit_note([SOAP], **days), "the credit note's date")):  # fmt: skip
        if fits:
            assert make(delivery_date=begins, delivery_until=ends).issued_on == DAY
        else:
            said = refused_as(lambda make=make: make(delivery_date=begins, delivery_until=ends))
            assert said == (DATES, f"the delivery must not lie after {what}")


def test_what_an_e_invoice_must_be():
    whole = {"e_invoice": True, "buyer_reference": "04011000-12345-67", "payment_means": "58", "time_to_pay": 0}
    assert draft((TASSE,), CLAIM, **whole).e_invoice
    said = ("DRAFT-E-INVOICE", "an e-invoice lacks its reference, payment or due date, or is under OSS")
    for name, value in (
        ("buyer_reference", None),
        ("buyer_reference", ""),
        ("payment_means", None),
        ("time_to_pay", None),
    ):
        assert refused_as(lambda name=name, value=value: draft((TASSE,), CLAIM, **(whole | {name: value}))) == said
        assert not draft((TASSE,), CLAIM, **(whole | {name: value, "e_invoice": False})).e_invoice
    for rule in (18, 19, 20):
        made = replace(draft((TASSE,), CLAIM), tax_rule=rule)
        assert refused_as(lambda made=made: replace(made, **whole)) == said
    for rule in (1, 17, 21):
        assert replace(draft((TASSE,), CLAIM), tax_rule=rule, **whole).tax_rule == rule


def test_what_a_credit_note_must_be():
    money = (UNBALANCED, "a credit note covers exactly the money returned")
    assert refused_as(lambda: credit_note([SOAP], money_returned=898)) == money
    assert refused_as(lambda: credit_note([], money_returned=0)) == money
    free = Position("Zugabe", 1, 0, 0, Decimal(7))
    assert refused_as(lambda: credit_note([free], money_returned=0)) == money
    cent = Position("Seife", 1, 1, 1, Decimal(19))
    assert credit_note([cent]).gross == 1
    left = ((Decimal(19), 500),)
    assert credit_note([cent] * 500, origin_remaining=left).gross == 500, (
        "all of it, in as many positions as there may be"
    )
    assert refused_as(lambda: credit_note([cent] * 501)) == (WRONG, "a document has 1 to 500 positions")
    origin = ("DRAFT-EXCEEDS-ORIGIN", "more than the invoice carries at this rate")
    assert refused_as(lambda: credit_note([cent] * 500, origin_remaining=((Decimal(19), 499),))) == origin
    assert refused_as(lambda: credit_note([Position("Buch", 1, 1, 1, Decimal(7))], origin_remaining=left)) == origin


# -- how they are written down ------------------------------------------------------------------------------------


def test_what_is_not_said_has_its_default():
    party = {
        "customer_number": "s1-71", "name": "Erika Muster", "first_name": None, "last_name": None, "company": None,
        "street": None, "street2": None, "zip": None, "city": None, "country": "DE", "email": None, "locale": "de",
        "vat_id": None, "collective": False,
    }  # fmt: skip
    position = {
        "name": "Tasse", "quantity": 1, "unit_gross_minor": 1190, "gross_minor": 1190, "tax_rate": "19", "text": None,
        "covers": [],
    }  # fmt: skip
    assert PARTY.as_json() == party
    assert draft((TASSE,), CLAIM).as_json() == {
        "key": "inv:1:1", "note": "#1 / s1:1", "currency": "EUR", "tax_rule": 1, "invoice_date": "2026-11-22",
        "delivery_date": "2026-11-22", "delivery_until": None, "party": party, "positions": [position],
        "claim": [["19", 1190]], "header": "Rechnung", "head_text": "", "foot_text": "", "tax_text": "Umsatzsteuer",
        "time_to_pay": None, "delivery_country": None, "e_invoice": False, "buyer_reference": None,
        "payment_means": None,
    }  # fmt: skip
    made = credit_note([TASSE])
    assert made.as_json() == {
        "key": "cn:9:1", "note": "s1:refund:9", "currency": "EUR", "tax_rule": 1, "origin_key": "inv:1:1",
        "credit_note_date": "2026-11-22", "delivery_date": "2026-11-22", "delivery_until": None,
        "delivery_country": None, "party": party, "positions": [position], "money_returned_minor": 1190,
        "origin_remaining": [["19", 2697], ["7", 999]], "header": "Rechnungskorrektur", "head_text": "",
        "foot_text": "", "tax_text": "Umsatzsteuer",
    }  # fmt: skip
    assert CreditNoteDraft.from_json(made.as_json()) == made


def test_everything_that_is_said_is_read_back():
    book = Position.of("Buch", 3, 999, Decimal("5.5"), text="SKU 2", covers=("s1", "s2"))
    party = Party(
        "s1-72", "Erika Muster", "Erika", "Muster", "Muster GmbH", "Hafenweg 3", "Hof", "20457", "Hamburg", "FR",
        "erika@example.com", "fr", "FR12345678901", True,
    )  # fmt: skip
    invoice = InvoiceDraft(
        "inv:2:2", "#2 / s1:2", "CHF", 3, DAY, EARLY, party, (book,), ((Decimal("5.5"), 999),), "Kopf", "oben", "unten",
        "Steuer", DAY, 14, "AT", True, "ref", "58",
    )  # fmt: skip
    row = invoice.as_json()
    assert InvoiceDraft.from_json(row) == invoice
    assert (row["delivery_date"], row["delivery_until"], row["claim"]) == ("2026-11-21", "2026-11-22", [["5.5", 999]])
    assert row["positions"][0]["covers"] == ["s1", "s2"]
    note = CreditNoteDraft(
        "cn:2:1", "n", "CHF", 3, "inv:2:2", DAY, EARLY, party, (book,), 999, ((Decimal("5.5"), 999),), "Kopf", "oben",
        "unten", "Steuer", DAY, "AT",
    )  # fmt: skip
    assert CreditNoteDraft.from_json(note.as_json()) == note


def test_rows_from_before_there_were_e_invoices_are_still_read():
    made = draft((TASSE,), CLAIM)
    row = made.as_json()
    for name in ("delivery_country", "e_invoice", "buyer_reference", "payment_means"):
        del row[name]
    assert InvoiceDraft.from_json(row) == made
