"""Whose money is it? Lines of a bank account against orders that wait (P1, B13, bookkeeping 4.1, 5.31)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.domain.money_back import Awaited, BankLine, Desk, Matched, is_sender
from ladenbuch.domain.references import Names, called_otherwise, name_of

ORDERS = (
    Awaited("1", "#1001", 2990, 2990),
    Awaited("2", "#1002", 1990, 1990),
    Awaited("3", "#1003", 0, 4990),
    Awaited("4", "SL-1044", 2990, 2990, ("RE-2041",)),
    Awaited("5", "#1005", 990, 990),
    Awaited("6", "#1006", 990, 990),
)
PEOPLE = {
    "1": ("Erika Müller",),
    "2": ("Max Beispiel",),
    "3": ("Otto Alt",),
    "4": ("Anna Zwei", "Zwei & Söhne GmbH"),
    "5": ("Ida Doppelt",),
    "6": ("Ida Doppelt",),
}


def matched(text: str, amount: int, payer: str = "", orders: tuple[Awaited, ...] = ORDERS) -> Matched:
    desk, line = Desk(orders), BankLine("9", "7", amount, None, text, payer)
    return desk.match(line, {one: PEOPLE[one] for one in desk.candidates(line)})


WRITTEN = (
    "#1001",
    "1001",
    "Bestellung 1001",
    "Bestellung Nr. 1001 vom 23.11.2026",
    "Best.-Nr:1001",
    "BESTELLNUMMER 1001 ERIKA",
    "Bestellung1001",
    "Order #1001",
    "order no. 1001",
    "Auftrag: 1001, danke!",
    "Nr 1001",
    "# 1001",
    "SVWZ+Bestellung 1001 EREF+NOTPROVIDED",
    "EREF+1001 KREF+77120 SVWZ+Seife IBAN: DE02120300000000202051 DATUM 23.11.2026",
    "1001 29,90 EUR",
    "Bestellnummer 10\n01",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_b13_an_order_is_found_however_it_is_written(text: str) -> None:
    made = matched(text, 2990)
    assert (made.verdict, [one.order_id for one in made.claims]) == ("exact", ["1"])
    assert "amount" in made.claims[0].evidence


@pytest.mark.parametrize(
    "text",
    [
        "Rechnung vom 10.01.2026", "DE10 0110 0110 0110 0110 01", "Kundennr. 1001", "110010", "10,01 EUR", "2026-10-01",
        "MREF+1001", "Vertrag 1001",
    ],
)  # fmt: skip
def test_b13_numbers_of_something_else_name_no_order(text: str) -> None:
    assert matched(text, 2990).verdict == "none"


@pytest.mark.parametrize(
    "text", ["RE-2041", "Rechnung 2041", "Re.Nr. 2041", "Rg 2041 v. 1.11.", "SL-1044", "sl 1044", "SL1044"]
)
def test_b13_prefixes_and_invoice_numbers(text: str) -> None:
    assert [one.order_id for one in matched(text, 2990).claims] == ["4"]


CASES = (
    # purpose, amount, payer, verdict, orders
    ("#1001", 2000, "", "partial", ["1"]),
    ("#1001", 2989, "", "partial", ["1"]),  # bookkeeping 5.31: one cent is not rounded away
    ("#1001", 2991, "", "over", ["1"]),
    ("1001", 2000, "ERIKA MUELLER", "partial", ["1"]),
    ("1001", 2000, "Jemand Anders", "ambiguous", ["1"]),  # a bare number may be of something else
    ("#1002", 2990, "Müller, Erika", "ambiguous", ["2", "1"]),  # wrong reference
    ("Bestellung 9999", 2990, "Erika Müller", "ambiguous", ["1"]),
    ("Seife, danke", 2990, "Müller Erika", "exact", ["1"]),
    ("B1001", 2990, "Müller, Erika", "exact", ["1"]),
    ("Müller 10 01", 2990, "Erika Müller", "exact", ["1"]),
    ("B1002", 1990, "", "exact", ["2"]),  # nobody else owes this
    ("B1001", 2990, "", "none", []),
    ("Seife, danke", 2990, "Jemand Anders", "none", []),  # an amount alone says nothing
    ("Seife", 990, "Ida Doppelt", "ambiguous", ["5", "6"]),
    ("#1005", 990, "Ida Doppelt", "exact", ["5"]),
    ("#1003", 4990, "", "again", ["3"]),
    ("1003", 4990, "", "again", ["3"]),
    ("1003", 77, "Vermieter", "none", []),
    ("#1001 und 1002", 4980, "", "several", ["1", "2"]),
    ("Order #1001 + #1002", 4980, "", "several", ["1", "2"]),
    ("1001, 1002", 4980, "", "ambiguous", ["1", "2"]),
    ("#1001 und #1002", 4000, "", "ambiguous", ["1", "2"]),
    ("Erstattung #1001", -2990, "", "back", ["1"]),
    ("1001", -2990, "", "none", []),
    ("Miete", 95000, "", "none", []),
    ("", 1990, "Beispiel u. Frau Max", "exact", ["2"]),
)


@pytest.mark.parametrize(("text", "amount", "payer", "verdict", "orders"), CASES)
def test_b13_what_a_line_is(text: str, amount: int, payer: str, verdict: str, orders: list[str]) -> None:
    made = matched(text, amount, payer)
    assert (made.verdict, [one.order_id for one in made.claims]) == (verdict, orders)


def test_b13_the_same_transfer_twice_finds_the_order_paid() -> None:
    desk = Desk(ORDERS)
    first, second = (desk.match(BankLine(one, "7", 2990, None, "#1001"), {}) for one in ("8", "9"))
    assert (first.verdict, second.verdict) == ("exact", "again")


def test_b13_two_parts_make_a_whole() -> None:
    desk = Desk(ORDERS)
    made = [desk.match(BankLine(str(i), "7", cents, None, "#1001"), {}).verdict for i, cents in enumerate((1000, 1990))]
    assert made == ["partial", "exact"]


def test_a_reference_that_leads_nowhere() -> None:
    assert called_otherwise("Bestellung 1010, Kundennr 55", {"1001"}) == ["1010"]
    assert called_otherwise("1010 Seifen") == []


@pytest.mark.parametrize(
    ("payer", "person", "same"),
    [
        ("MUSTER, ERIKA", "Erika Muster", True),
        ("Erika u. Max Muster", "Max Muster", True),
        ("DR. ERIKA MUSTER", "Erika Anna Muster", True),
        ("SOEHNE UND ZWEI GMBH", "Zwei & Söhne GmbH", True),
        ("Muster", "Erika Muster", False),
        ("Erika Meier", "Erika Muster", False),
        ("", "Erika Muster", False),
        ("Zwei", "Zwei", False),
        ("Zwei GmbH", "Zwei GmbH", True),
    ],
)
def test_who_sent_it(payer: str, person: str, same: bool) -> None:
    assert is_sender(payer, person) is same


_STYLES = (
    "#{0}",
    "{0}",
    "Bestellung {0}",
    "Best.Nr. {0} Danke",
    "Order #{0}",
    "SVWZ+Nr.{0} EREF+NOTPROVIDED",
    "Auftrag {0} / Meier",
)


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.integers(1000, 99999), min_size=2, max_size=25),
    st.lists(st.integers(100, 90000), min_size=25, max_size=25),
    st.sampled_from(_STYLES),
    st.data(),
)
def test_b13_an_order_named_with_its_amount_is_that_order_and_no_other(
    numbers: set[int], amounts: list[int], style: str, data: st.DataObject
) -> None:
    orders = [Awaited(str(n), f"#{n}", cents, cents) for n, cents in zip(sorted(numbers), amounts, strict=False)]
    one = data.draw(st.sampled_from(orders))
    other = data.draw(st.sampled_from([item for item in orders if item is not one]))
    made = Desk(orders).match(BankLine("9", "7", one.owed, None, style.format(one.name[1:])), {})
    assert (made.verdict, [claim.order_id for claim in made.claims]) == ("exact", [one.order_id])
    wrong = Desk(orders).match(BankLine("9", "7", one.owed, None, style.format(other.name[1:])), {})
    if other.owed != one.owed:  # money is never put on an order it was not named for
        assert all(claim.order_id == other.order_id for claim in wrong.claims)
        assert wrong.verdict in ("partial", "over", "ambiguous")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.integers(-5000, 5000))
def test_any_text_can_be_read(text: str, amount: int) -> None:
    made = matched(text, amount, text)
    assert sum(claim.amount for claim in made.claims) == amount or made.verdict in ("ambiguous", "none")


def test_a_name_without_a_number_is_looked_for_by_nobody() -> None:
    assert name_of("1", "abc") is None
    assert Names([]).named("#1001") == []
