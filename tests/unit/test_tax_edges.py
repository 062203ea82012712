"""Orders, addresses and profiles that tempt a tax decision to guess: each was decided wrongly once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from builders import ERIKA, PROFILE, T0, agreement, mug, order, sale
from ladenbuch.domain.evidence import Evidence, VatIdAnswer
from ladenbuch.domain.order import Address, Company, Order
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.rates import RateTable
from ladenbuch.domain.supply import SERVICE, SERVICE_AT_PLACE
from ladenbuch.domain.tax import decide_tax
from ladenbuch.domain.territory import HOME, THIRD, UNION, UNPLACED, territory_of
from ladenbuch.vat_rates import rate_table

WIEN, PARIS = replace(ERIKA, country="AT", zip="1070"), replace(ERIKA, country="FR", zip="75001")
OSS = replace(PROFILE, oss_from=date(2020, 1, 1))
SMALL = replace(PROFILE, regime="small_business")


def sold(taxes: dict[str, int] | None, to: Address, ships: bool = True, **changes: object) -> Order:
    """One thing for 11.90 to an address."""
    made = order(agreement(1, T0, sale(1, 1190, taxes)), shipping_address=to, billing_address=to, **changes)
    return replace(made, lines=tuple(replace(line, requires_shipping=ships) for line in made.lines))


def outcome(made: Order, profile: Profile = PROFILE, when: datetime = T0, **verdicts: str) -> str:
    """`case @rates` per part, or the codes of the refusal."""
    answers = {name: VatIdAnswer(name, verdict, T0) for name, verdict in verdicts.items()}
    parts, problems = decide_tax(made, made.agreements, profile, when, Evidence(rate_table(), answers))
    if problems:
        return " ".join(sorted({item.code for item in problems}))
    told = [(part.decision.case, ", ".join(f"{rate:f}" for rate in part.decision.rates)) for part in parts]
    return "; ".join(f"{case} @{rates}" for case, rates in told)


def company(vat_id: str | None) -> Company:
    return Company("gid://shopify/Company/1", "Muster SARL", tax_registration_id=vat_id)


# -- territory ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "code", "status", "special"),
    [
        ("DE", "82380", HOME, None),  # Peißenberg in Bavaria begins like Büsingen's Swiss postal code
        ("DE", "82389", HOME, None),
        ("DE", "8238", THIRD, "Büsingen"),
        ("CH", "8238", THIRD, "Büsingen"),
        ("DK", "3900", THIRD, "Greenland"),
        ("DK", "3700", UNION, None),
        ("GR", "630 87", THIRD, "Mount Athos"),
        ("ES", "3500", UNION, UNPLACED),  # 03500 Benidorm without its zero, not 35xxx on Gran Canaria
        ("ES", None, UNION, UNPLACED),
        ("FR", "", UNION, UNPLACED),
        ("PT", "1000-205", UNION, None),
        ("PT", "9000", UNION, "Madeira"),
        ("NL", None, UNION, None),
        ("GB", None, THIRD, UNPLACED),
    ],
)
def test_a_postal_code_tells_the_area_or_nobody_guesses(
    country: str, code: str | None, status: str, special: str | None
) -> None:
    place = territory_of(Address(zip=code, country=country), goods=True)
    assert place is not None
    assert (place.status, place.special) == (status, special)


def test_an_address_that_may_lie_outside_the_vat_area_is_asked_about() -> None:
    assert outcome(sold({"21": 207}, replace(ERIKA, country="ES", zip=None)), OSS) == "TAX-PLACE"


# -- rates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("country", "rate"), [("AT", "19"), ("FR", "8.5"), ("GR", "17"), ("PT", "16"), ("PT", "22")])
def test_a_rate_of_islands_is_no_rate_of_the_country(country: str, rate: str) -> None:
    """A library lists them all; the Austrian 19 % would let German VAT pass as Austrian."""
    rates = rate_table().on(country, date(2026, 11, 20))
    assert rates is not None
    assert Decimal(rate) not in rates.lawful


def test_german_vat_on_a_parcel_to_austria_under_oss_is_refused() -> None:
    assert outcome(sold({"19": 190}, WIEN), OSS) == "TAX-RATE"
    assert outcome(sold({"20": 198}, WIEN), OSS) == "oss_goods @20"


def test_lithuania_and_austria_changed_in_2026() -> None:
    table = rate_table()

    def reduced(country: str, day: date) -> str:
        rates = table.on(country, day)
        assert rates is not None
        return " ".join(f"{rate:f}" for rate in sorted(rates.reduced))

    assert (reduced("LT", date(2025, 12, 31)), reduced("LT", date(2026, 1, 1))) == ("5 9", "5 12")
    assert (reduced("AT", date(2026, 6, 30)), reduced("AT", date(2026, 7, 1))) == ("10 13", "4.9 10 13")


def test_a_country_nobody_knows_stays_unknown() -> None:
    assert RateTable().on("AT", date(2026, 7, 1)) is None


# -- cases ----------------------------------------------------------------------------------------------------------


def test_a_service_at_its_place_knows_no_threshold() -> None:
    """§3a (3) UStG: taxed where it is used from the first euro; §3c (4) and §3a (5) do not help, nor does §19."""
    profile = replace(PROFILE, unshipped=SERVICE_AT_PLACE)
    assert outcome(sold({"19": 190}, PARIS, ships=False), profile) == "TAX-FOREIGN"
    assert outcome(sold(None, PARIS, ships=False), replace(profile, regime="small_business")) == "TAX-FOREIGN"
    oss = replace(profile, oss_from=OSS.oss_from)
    assert outcome(sold({"20": 198}, PARIS, ships=False), oss) == "oss_services @20"


def test_a_service_to_a_company_without_a_valid_id_is_supplied_at_home() -> None:
    """§3a (1) UStG: as to a consumer, and that is the seller's seat, with OSS or without."""
    made = sold({"19": 190}, PARIS, ships=False, company=company(None))
    for profile in (PROFILE, OSS):
        assert outcome(made, replace(profile, unshipped=SERVICE)) == "domestic @19"


def test_a_german_business_abroad_is_no_consumer_abroad() -> None:
    """A valid German id: no distance sale (§3c (1)), no exemption (§6a (1) no. 2 a); German VAT, or a question."""
    made = sold({"19": 190}, PARIS, company=company("DE136695976"))
    assert outcome(made, OSS, DE136695976="valid") == "domestic @19"
    foreign = sold({"20": 198}, PARIS, company=company("DE136695976"))
    assert outcome(foreign, OSS, DE136695976="valid") == "TAX-RATE"
    assert outcome(foreign, OSS, DE136695976="invalid") == "oss_goods @20"
    untaxed = sold(None, PARIS, company=company("DE136695976"))
    assert outcome(untaxed, OSS, DE136695976="valid") == "VAT-ID-INVALID"


def test_an_id_of_no_member_state_exempts_nothing() -> None:
    made = sold(None, PARIS, company=company("CHE123456789"))
    assert outcome(made, CHE123456789="valid") == "VAT-ID-INVALID"
    north = sold(None, PARIS, company=company("XI123456789"))
    assert outcome(north, XI123456789="valid") == "intra_community @0"
    service = sold(None, PARIS, ships=False, company=company("XI123456789"))
    assert outcome(service, replace(PROFILE, unshipped="electronic"), XI123456789="valid") == "VAT-ID-INVALID"


def test_a_small_business_needs_no_vat_id_for_goods() -> None:
    """§19 (1) UStG: no intra-Community supply, so the id proves nothing, unless OSS asks who the buyer is."""
    made = sold(None, PARIS, company=company("FR12345678901"))
    assert outcome(made, SMALL) == "small_business @0"
    assert outcome(sold(None, PARIS, company=company(None)), SMALL) == "small_business @0"
    oss = replace(SMALL, oss_from=OSS.oss_from)
    assert outcome(made, oss) == "VAT-ID-UNCHECKED"
    assert outcome(made, oss, FR12345678901="valid") == "small_business @0"
    assert outcome(sold({"19": 190}, PARIS), SMALL) == "TAX-SMALL-BUSINESS"


def test_a_rate_of_nought_to_a_consumer_abroad_needs_a_reason() -> None:
    """0 % is a rate for solar panels at home since 2023 (§12 (3) UStG), and nothing else."""
    assert outcome(sold({"0": 0}, PARIS)) == "TAX-ZERO"
    assert outcome(sold({"0": 0}, PARIS), OSS) == "TAX-ZERO"
    assert outcome(sold({"0": 0}, ERIKA)) == "domestic @0"
    assert outcome(sold({"0": 0}, ERIKA), when=datetime(2022, 12, 31, 12, tzinfo=UTC)) == "TAX-ZERO"


def test_a_voucher_is_taxed_at_a_rate_of_its_day() -> None:
    made = order(agreement(1, T0, sale(1, 2500, kind="GIFT_CARD")))
    profile = replace(PROFILE, vouchers="single_purpose")
    assert outcome(made, profile) == "domestic @19"
    assert outcome(made, profile, when=datetime(2020, 12, 31, 12, tzinfo=UTC)) == "TAX-RATE"


def test_what_was_sold_and_taken_back_leaves_no_rate() -> None:
    back = agreement(2, T0, sale(3, -700, {"19": -112}, line="2", quantity=-1, action="RETURN"), reason="RETURN")
    made = order(agreement(1, T0, sale(1, 1190, {"20": 198}), sale(2, 700, {"19": 112})), back, shipping_address=WIEN)
    assert outcome(made, OSS) == "oss_goods @20"


def test_texts_know_the_day_the_language_and_the_regime() -> None:
    """The German standard rate of 2020, the comma of a German number, German names, a seller without VAT."""
    table = Evidence(rate_table(), {"FI12345678": VatIdAnswer("FI12345678", "valid", T0)})
    when = datetime(2020, 12, 31, 12, tzinfo=UTC)
    made = sold({"25.5": 242}, replace(ERIKA, country="FI", zip="00100"))
    decision = decide_tax(made, made.agreements, OSS, T0, table)[0][0].decision
    assert "25.5 % of the destination" in decision.reason and "25,5 % des Bestimmungslandes" in decision.reason_de
    made = sold(None, replace(ERIKA, country="ES", zip="35001"))
    decision = decide_tax(made, made.agreements, PROFILE, when, table)[0][0].decision
    assert decision.counterfactual.startswith("16 % DE") and "Kanarische Inseln" in decision.reason_de
    made = sold(None, replace(ERIKA, country="FI", zip="00100"), ships=False, company=company("FI12345678"))
    decision = decide_tax(made, made.agreements, replace(SMALL, unshipped="electronic"), T0, table)[0][0].decision
    assert (decision.rule, decision.counterfactual) == (21, "0 % (§19 UStG) if the VAT id were invalid.")


def test_home_stays_home() -> None:
    assert outcome(order(mug())) == "domestic @19"
