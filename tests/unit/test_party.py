"""Who a document is for: names, address fallbacks, customer numbers, the shared debtor.

S99, S100, S143, B11 (contacts); UStG §14 (4) no. 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import ERIKA, PROFILE, T0, agreement, order, sale
from ladenbuch.domain.document import Party
from ladenbuch.domain.order import Address, Company, Customer, Order
from ladenbuch.domain.party import party_of
from ladenbuch.domain.profile import Profile
from ladenbuch.errors import Rejected

SMALL, LARGE = 1190, 900_00
NOWHERE = Address(country="DE")


def bought(**changes: Any) -> Order:
    base = order(agreement(1, T0, sale(1, SMALL, {"19": 190})), billing_address=ERIKA, shipping_address=None)
    return replace(base, **{"customer": None, "email": None, "company": None, **changes})


def buyer(profile: Profile = PROFILE, gross: int = LARGE, **changes: Any) -> Party:
    party, problems = party_of(bought(**changes), profile, gross)
    assert party is not None, problems
    return party


def customer(number: int = 7, **changes: Any) -> Customer:
    return Customer(f"gid://shopify/Customer/{number}", **changes)


# -- names --------------------------------------------------------------------------------------------------------


def test_s143_a_single_name_is_the_whole_name() -> None:
    for first, last in (("Madonna", None), (None, "Madonna"), (" ", "Madonna")):
        party = buyer(billing_address=replace(ERIKA, first_name=first, last_name=last))
        assert party.name == "Madonna"


def test_s143_umlauts_and_blanks_stay_and_fold() -> None:
    party = buyer(billing_address=replace(ERIKA, first_name="  Jürgen ", last_name="Schäfer\u00a0Größe\u200b"))
    assert (party.name, party.first_name, party.last_name) == ("Jürgen Schäfer Größe", "Jürgen", "Schäfer Größe")


@pytest.mark.parametrize("shown", ["erika@example.org", "+49 170 1234567", "0170/1234567", " "])
def test_s143_what_shopify_shows_instead_of_a_name_is_no_name(shown: str) -> None:
    """Without a name Shopify's display name is the e-mail or the telephone number; §14 (4) no. 1 wants a name."""
    nameless = replace(ERIKA, first_name=None, last_name=None)
    changes = {"billing_address": nameless, "customer": customer(display_name=shown)}
    party, problems = party_of(bought(**changes), PROFILE, LARGE)
    assert (party, [item.code for item in problems]) == (None, ["PARTY"])
    assert buyer(gross=SMALL, **changes).name == "Endkunde", "a small invoice may go without (UStDV §33)"
    assert buyer(billing_address=nameless, customer=customer(display_name="Erika M.")).name == "Erika M."


def test_s100_a_company_in_the_address_only_is_a_company() -> None:
    party = buyer(billing_address=replace(ERIKA, company="Möwe GmbH"))
    assert (party.company, party.name, party.last_name) == ("Möwe GmbH", "Möwe GmbH", "Muster")


# -- addresses ----------------------------------------------------------------------------------------------------


def test_s100_the_address_falls_back_to_where_it_was_sent() -> None:
    """Billing first; shipping where only that is complete; a company's own before both."""
    elsewhere = replace(ERIKA, address1="Am Mühlbach 1", city="München", zip="80331")
    assert buyer(shipping_address=elsewhere).city == "Hamburg"
    assert buyer(billing_address=NOWHERE, shipping_address=elsewhere).city == "München"
    assert buyer(billing_address=None, shipping_address=elsewhere).street == "Am Mühlbach 1"
    firm = Company("gid://shopify/Company/1", "Möwe GmbH", billing_address=elsewhere)
    assert (buyer(company=firm).city, buyer(company=firm).company) == ("München", "Möwe GmbH")
    assert buyer(gross=SMALL, billing_address=None).city is None
    assert party_of(bought(billing_address=None), PROFILE, LARGE)[0] is None


# -- customer numbers ---------------------------------------------------------------------------------------------


def number(**changes: Any) -> str:
    return buyer(**changes).customer_number


def test_s99_customer_numbers_are_the_same_for_the_same_buyer_and_never_for_two() -> None:
    """Customer id, else the mail, else name and address, else the order."""
    assert number(customer=customer(70012), email="a@example.org") == "s1-70012"
    assert number(customer=customer(70012)) == "s1-70012"
    guest = number(email="Erika@Example.org ")
    assert guest == number(email="erika@example.org", billing_address=replace(ERIKA, first_name="E.", city="Bonn"))
    assert guest.startswith("s1-g")
    assert guest != number(email="anna@example.org")
    nobody = number()
    assert nobody.startswith("s1-a")
    assert nobody == number(billing_address=replace(ERIKA, first_name="ERIKA", address1="hafenweg  3"))
    assert nobody != number(billing_address=replace(ERIKA, first_name="Anna"))
    assert nobody != number(billing_address=replace(ERIKA, zip="20459"))
    assert number(gross=SMALL, billing_address=NOWHERE) == "s1-o5001"
    assert number(email="no mailbox", billing_address=ERIKA) == nobody


def test_s99_a_company_account_is_one_debtor_whoever_of_it_orders() -> None:
    """A location may have a VAT id of its own, and sevdesk keeps one per contact; its clerks are no debtors."""
    firm = Company("gid://shopify/Company/1", "Möwe GmbH", "gid://shopify/CompanyLocation/4")
    clerks = [
        number(company=firm, customer=customer(7)),
        number(company=firm, email="a@example.org"),
        number(company=firm),
    ]
    assert set(clerks) == {"s1-l4"}
    assert number(company=replace(firm, location_id="gid://shopify/CompanyLocation/5")) == "s1-l5"
    assert number(company=replace(firm, location_id=None)) == "s1-c1"
    assert number(customer=customer(7)) == "s1-7", "what a clerk buys privately is another debtor's"


def test_s99_two_shops_of_one_account_never_share_a_number() -> None:
    """5.30: #1001 exists in both."""
    second = replace(PROFILE, shop_key="s2")
    for changes in ({"customer": customer(7)}, {"email": "a@example.org"}, {}):
        assert number(**changes) != number(profile=second, **changes)


def test_s99_the_number_says_nothing_about_the_buyer() -> None:
    for changes in ({"email": "erika@example.org"}, {}):
        assert not any(word in number(**changes).lower() for word in ("erika", "muster", "example", "hamburg"))


# -- the shared debtor --------------------------------------------------------------------------------------------

SHARED = replace(PROFILE, debtor="collective")


def test_b11_consumers_share_a_debtor_and_the_document_still_names_each() -> None:
    """Facts 2.2; the buyer's name and address stay on the document (UStG §14 (4) no. 1)."""
    one = buyer(SHARED, customer=customer(7))
    two = buyer(SHARED, email="a@example.org", billing_address=replace(ERIKA, first_name="Anna"))
    assert (one.customer_number, one.collective) == (two.customer_number, two.collective) == ("s1-sammel", True)
    assert (one.name, two.name, two.street) == ("Erika Muster", "Anna Muster", "Hafenweg 3")
    assert buyer(replace(SHARED, debtor_number="10000")).customer_number == "10000"
    assert Party(**one.as_json()) == one
    assert "collective" in one.as_json()


def test_b11_businesses_always_have_their_own() -> None:
    in_address = {"billing_address": replace(ERIKA, company="Möwe GmbH"), "customer": customer(7)}
    by_vat_id = {"custom_attributes": (("VAT ID", "FR40303265045"),), "customer": customer(8)}
    buying = {"company": Company("gid://shopify/Company/1", "Möwe GmbH"), "customer": customer(9)}
    for changes, wanted in ((in_address, "s1-7"), (by_vat_id, "s1-8"), (buying, "s1-c1")):
        party = buyer(SHARED, **changes)
        assert (party.customer_number, party.collective) == (wanted, False)


def test_a_debtor_of_an_older_pin_is_the_buyers_own() -> None:
    """P3: parties pinned before the option existed."""
    older = {name: value for name, value in buyer().as_json().items() if name != "collective"}
    assert Party(**older).collective is False


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"debtor": "all"}, "debtor"),
        ({"debtor_number": 5}, "debtor_number"),
        ({"debtor_number": " 1"}, "debtor_number"),
    ],
)
def test_a_wrong_debtor_is_named(data: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected, match=field):
        Profile.from_json(data)
