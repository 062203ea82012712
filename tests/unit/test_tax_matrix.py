"""The tables of docs/explanation/tax-decision.md, row by row through the tax decision, and a sample through `plan`.

The page is the expectation: rules, rates, places, refusals and every word of the explanations. Its rates of the member
states are compared with the program's table as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from builders import ERIKA, PROFILE, T0, agreement, at, order, payment, sale, shipped
from ladenbuch.domain.books import Books
from ladenbuch.domain.evidence import Evidence, VatIdAnswer
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.gift_cards import set_aside
from ladenbuch.domain.money import allocate, tax_in_gross
from ladenbuch.domain.order import Company, Order, Sale
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import Gateway, Profile
from ladenbuch.domain.tax import TaxDecision, decide_tax
from ladenbuch.domain.tax_cases import CASES
from ladenbuch.domain.territory import MEMBER_STATES
from ladenbuch.vat_rates import rate_table
from ladenbuch.web.codes import choice, sentence

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "tax-decision.md"
TEXT = PAGE.read_text(encoding="utf-8")
Row = dict[str, str]


def _tables() -> list[tuple[str, list[Row]]]:
    """Every table of the page: the heading above it and its rows as header -> cell."""
    found: list[tuple[str, list[Row]]] = []
    heading, block = "", list[str]()
    for line in [*TEXT.splitlines(), ""]:
        if line.startswith("|"):
            block.append(line)
            continue
        if block:
            cells = [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in block]
            found.append((heading, [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]))
            block = []
        if line.startswith("#"):
            heading = line.lstrip("# ")
    return found


TABLES = _tables()
STATES = next(rows for heading, rows in TABLES if heading == "The member states")
CHANGES = next(rows for heading, rows in TABLES if heading == "When rates change")
THEMES = [(heading, row) for heading, rows in TABLES for row in rows if "sold" in row]
TEXTS = {
    (match[1], int(match[2])): {row["text"]: row for row in rows}
    for heading, rows in TABLES
    if (match := re.match(r"`(\w+)`: .* \(rule (\d+)\)", heading))
}
STANDARD = {row["state"]: row["standard"] for row in STATES}
#: English and German name of the special area an address lies in.
AREAS = {row["to"]: (row["area"], row["Gebiet"]) for _, row in THEMES if row.get("Gebiet", "–") != "–"}
AREAS["XI BT1 5GS"] = AREAS["GB BT1 5GS"]

CARDS = {"gift_card": Gateway("liability", "20")}
UNSHIPPED = {"electronic": "electronic", "service": "service", "service at place": "service_at_place"}
LINE_TYPES = {"shipping": "SHIPPING", "tip": "TIP", "voucher": "GIFT_CARD", "duty": "DUTY", "fee": "ADDITIONAL_FEE"}
SELLERS: dict[str, dict[str, Any]] = {
    "regular": {},
    "OSS": {"oss_from": date(2020, 1, 1)},
    "OSS from tomorrow": {"oss_from": T0.date() + timedelta(days=1)},
    "§19": {"regime": "small_business"},
    "§19 OSS": {"regime": "small_business", "oss_from": date(2020, 1, 1)},
    "§13b": {"reverse_charge": True},
    "single-purpose vouchers": {"vouchers": "single_purpose"},
    "single-purpose vouchers at 0": {"vouchers": "single_purpose", "voucher_rate": "0"},
    "single-purpose vouchers at 7": {"vouchers": "single_purpose", "voucher_rate": "7"},
    "multi-purpose vouchers": {"vouchers": "multi_purpose", "gateways": PROFILE.gateways | CARDS},
    "tips taxed": {"tips": "taxed"},
    "tips for staff": {"tips": "staff"},
    "shipping follows the goods": {"shipping_policy": "follow_goods"},
    "9982.35 sold": {"eu_sales": {"2026": 998235}},
    "9982.36 sold": {"eu_sales": {"2026": 998236}},
    "10000.00 sold last year": {"eu_sales": {"2025": 1000000}},
    "10000.01 sold last year": {"eu_sales": {"2025": 1000001}},
}
ORDERS: dict[str, dict[str, Any]] = {
    "–": {},
    "tax exempt": {"tax_exempt": True},
    "shipped from PL": {"fulfilments": (shipped(3, at(60), "PL"),)},
    "merchant of record": {"merchant_of_record": "gid://shopify/App/1"},
    "estimated": {"estimated_taxes": True},
    "cash rounding": {"cash_rounding": 1},
    "Swiss francs": {"presentment_currency": "CHF"},
    "no address": {"shipping_address": None, "billing_address": None},
    "channel-liable": {},
}


@dataclass(frozen=True, slots=True)
class Sold:
    """One row as the program sees it."""

    order: Order
    profile: Profile
    evidence: Evidence
    when: datetime = T0


def sold(row: Row, when: datetime = T0) -> Sold:
    """The order, the profile and what was looked up, from the words of a row."""
    things = [thing.strip() for thing in row["sold"].split("+")]
    taxes = [[rate.strip() for rate in charged.split("&")] for charged in row["charged"].split("+")]
    goods: dict[str, int] = {}
    sales: list[Sale] = []
    for number, (thing, rates) in enumerate(zip(things, taxes, strict=True), 1):
        total = 2400 - 300 * number
        for rate in rates if thing == "goods" else ():
            goods[rate] = goods.get(rate, 0) + total
        parts = allocate(total, [goods[rate] for rate in rates]) if len(rates) > 1 else [total]
        charged = {} if rates == ["none"] else {
            rate: tax_in_gross(part, Decimal(rate)) for rate, part in zip(rates, parts, strict=True)
        }  # fmt: skip
        one = sale(number, total, charged, kind=LINE_TYPES.get(thing, "PRODUCT"))
        if row.get("order") == "channel-liable":
            one = replace(one, taxes=tuple(replace(tax, channel_liable=True) for tax in one.taxes))
        sales.append(one)
    country, _, code = row["to"].partition(" ")
    address = replace(ERIKA, country=country, zip=code or None)
    verdict, _, vat_id = row["buyer"].partition(" ")
    company = None if verdict == "consumer" else Company("gid://shopify/Company/1", "Muster AG", None, None, address)
    changes = {"shipping_address": address, "billing_address": address, "company": company}
    if company is not None:
        changes["company"] = replace(company, tax_registration_id=vat_id or None)
    made = order(agreement(1, T0, *sales), **(changes | ORDERS[row.get("order", "–")]))
    kinds = dict(zip((item.item_id for item in sales), things, strict=True))
    made = replace(made, lines=tuple(replace(line, requires_shipping=kinds[line.id] == "goods") for line in made.lines))
    profile = replace(PROFILE, unshipped=next((UNSHIPPED[thing] for thing in things if thing in UNSHIPPED), "unset"))
    for word in row["seller"].split(","):
        profile = replace(profile, **SELLERS[word.strip()])
    known = {vat_id: VatIdAnswer(vat_id, verdict, T0)} if vat_id and verdict != "unchecked" else {}
    return Sold(made, profile, Evidence(rate_table(), known), when)


def told(made: Sold) -> tuple[str, list[TaxDecision]]:
    """The outcome in the words of the page."""
    facts, cards = set_aside(facts_of(made.order), Books(), [made.profile], lambda facts: facts.tax_point)
    if cards.only:
        return "GIFT-CARDS-ONLY", []
    parts, problems = decide_tax(made.order, facts.agreements, made.profile, made.when, made.evidence)
    assert bool(parts) != bool(problems)
    if problems:
        return ", ".join(sorted({item.code for item in problems})), []
    decisions = [part.decision for part in parts]
    return " + ".join(f"{one.rule} @{', '.join(map(_rate, one.rates))}" for one in decisions), decisions


def _rate(rate: Decimal) -> str:
    return f"{rate.normalize():f}"


def check_texts(row: Row, decision: TaxDecision, rates: str) -> tuple[str, ...]:
    """The explanation equals the page's template, filled with what the row says; the filled texts come back."""
    country, small = row["to"].split(" ")[0], row["seller"].startswith("§19")
    state = {"MC": "FR"}.get(country, "XI" if row["to"].startswith("GB BT") else country)
    english, german = AREAS.get(row["to"], (state, state))
    home = "0 % (§19 UStG)" if small else "19 % DE"
    standard = f"{STANDARD.get(state, '')} %"
    abroad = "OSS" in row["seller"] and decision.inputs[0] != ("kind", "service")
    words = {
        "rates": ", ".join(f"{rate} %" for rate in rates.split(", ")),
        "standard": standard,
        "vat_id": row["buyer"].partition(" ")[2],
        "home": home,
        "consumer": f"{standard} {state}" if abroad else home,
        "german": "19 % DE",
        "german_reduced": "7 %",
    }
    comma = {key: value if key == "vat_id" else value.replace(".", ",") for key, value in words.items()}
    before = re.search(r"([\d.]+) sold(?! last year)", row["seller"])
    net = sum(one.total - one.tax for item in sold(row).order.agreements for one in item.sales)
    euros = Decimal(before[1] if before else 0) + Decimal(net) / 100
    words |= {"counted": f"{euros:,.2f}", "year": "2026"}
    comma |= {"counted": f"{euros:,.2f}".translate(str.maketrans(",.", ".,")), "year": "2026"}
    page = TEXTS[(decision.case, decision.rule)]

    def filled(line: str) -> tuple[str, str]:
        if line not in page:
            return "", ""
        texts = (
            page[line]["English"].format(**words, place=english),
            page[line]["Deutsch"].format(**comma, place=german),
        )
        return texts[0][:1].upper() + texts[0][1:], texts[1][:1].upper() + texts[1][1:]

    assert (decision.reason, decision.reason_de) == filled("reason")
    assert (decision.counterfactual, decision.counterfactual_de) == filled("otherwise")
    assert (decision.note, decision.note_de) == filled("on the document")
    return (*filled("reason"), *filled("otherwise"))


def check(row: Row) -> list[tuple[str, ...]]:
    """One row of a theme: outcome, place, case and texts."""
    outcome, decisions = told(sold(row))
    assert outcome == row["expected"]
    if not decisions:
        assert (row["place"], row["case"]) == ("–", "–")
        return []
    assert " + ".join(one.place for one in decisions) == row["place"]
    assert " + ".join(one.case for one in decisions) == row["case"]
    rates = [part.split("@")[1] for part in row["expected"].split(" + ")]
    return [check_texts(row, one, of) for one, of in zip(decisions, rates, strict=True)]


def state_rows(state: Row) -> list[Row]:
    """The cells of a member state as rows like those of the themes."""
    rows = []
    for who, seller in (("OSS", "OSS"), ("below", "regular"), ("valid", "regular"), ("invalid", "OSS")):
        for what in ("standard", "reduced", "digital"):
            expected = state[f"{who} {what}"]
            if expected == "–":
                continue
            home = state["state"] == "DE"
            rate = {"reduced": state["reduced"].split(",")[0]}.get(what, state["standard"])
            german = "7" if what == "reduced" else "19"
            charged = rate if who == "OSS" or home else german if who == "below" else "none"
            vat_id = {"GR": "EL"}.get(state["state"], state["state"]) + "123456789"
            sold_as = "electronic" if what == "digital" else "goods"
            case = _case_of(expected, home, who)
            abroad = "GB" if case == "service_abroad" else state["state"]
            place = "–" if case == "–" else "DE" if case in ("domestic", "below_threshold") else abroad
            rows.append(
                {
                    "to": state["sent to"], "sold": sold_as, "charged": charged, "seller": seller,
                    "buyer": "consumer" if who in ("OSS", "below") else f"{who} {vat_id}",
                    "expected": expected, "place": place, "case": case,
                }
            )  # fmt: skip
    return rows


def _case_of(expected: str, home: bool, who: str) -> str:
    by_rule = {"3": "intra_community", "21": "service_to_business", "18": "oss_goods", "19": "oss_electronic"}
    by_rule |= {"17": "service_abroad", "1": "domestic" if home else "below_threshold"}
    return by_rule[expected.split(" ")[0]] if "@" in expected else "–"


EU_ROWS = [row for state in STATES for row in state_rows(state)]


def name(row: Row) -> str:
    return (
        f"{row.get('situation') or row.get('area') or ''} {row['to']}: {row['sold']} @{row['charged']} {row['buyer']}"
    )


@pytest.mark.parametrize("state", STATES, ids=lambda row: row["state"])
def test_every_member_state(state: Row) -> None:
    rows = state_rows(state)
    assert len(rows) in (9, 12) and (len(rows) == 12 or state["reduced"] == "–" or state["state"] == "DK")
    for row in rows:
        check(row)


@pytest.mark.parametrize("row", [row for _, row in THEMES], ids=name)
def test_every_row(row: Row) -> None:
    check(row)


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: f"{row['state']} {row['changed on']} {row['new rate']}")
def test_the_day_before_and_the_day_of_a_change(row: Row) -> None:
    day = datetime.combine(date.fromisoformat(row["changed on"]), datetime.min.time(), UTC) + timedelta(hours=11)
    to = next(state["sent to"] for state in STATES if state["state"] == row["state"])
    for age in ("old", "new"):
        words = {"to": to, "sold": "goods", "charged": row[f"{age} rate"], "seller": "OSS", "buyer": "consumer"}
        for column, when in (("the day before", day - timedelta(days=1)), ("that day", day)):
            outcome, decisions = told(sold(words, when))
            assert outcome == row[f"{age}, {column}"]
            for decision in decisions:
                check_texts(words, decision, row[f"{age} rate"])
        midnight = day - timedelta(hours=11 + (2 if 4 <= day.month <= 10 else 1))  # in Berlin
        for column, when in (("the day before", midnight - timedelta(seconds=1)), ("that day", midnight)):
            assert told(sold(words, when))[0] == row[f"{age}, {column}"]


def test_the_page_knows_the_rates_of_every_member_state() -> None:
    """Two sources that know nothing of each other: this page and the library."""
    assert [row["state"] for row in STATES] == [*sorted(MEMBER_STATES), "XI"]
    for row in STATES:
        known = rate_table().on(row["state"], T0.date())
        assert known is not None
        reduced = {Decimal(rate) for rate in row["reduced"].split(", ") if rate != "–"}
        assert (row["state"], known.standard, set(known.reduced)) == (row["state"], Decimal(row["standard"]), reduced)


def test_every_case_is_on_the_page_with_its_source_and_an_example_of_a_row() -> None:
    assert {(case, row.rule) for case, row in CASES.items()} == set(TEXTS)
    rows = [row for _, row in THEMES] + EU_ROWS
    finland = {"to": "FI 00100", "sold": "goods", "charged": "13.5", "seller": "OSS", "buyer": "consumer"}
    rows.append(finland | {"expected": "18 @13.5", "place": "FI", "case": "oss_goods"})
    shown = {texts for row in rows for texts in check(row)}
    for (case, _), page in TEXTS.items():
        reason, otherwise = page["example: reason"], page["example: otherwise"]
        texts = (reason["English"], reason["Deutsch"], otherwise["English"], otherwise["Deutsch"])
        assert texts in shown, case
        section = TEXT.split(f"### `{case}`")[1]
        assert section.splitlines()[2] == CASES[case].source


def test_every_rule_and_every_refusal_of_a_decision_has_a_row() -> None:
    source = "".join(
        (Path(__file__).parents[2] / "src" / "ladenbuch" / "domain" / f"{module}.py").read_text(encoding="utf-8")
        for module in ("tax", "supply", "charged")
    )
    codes = set(re.findall(r'"((?:TAX|VAT-ID)-[A-Z-]+)"', source))
    expected = {code for _, row in THEMES for code in row["expected"].split(", ") if "@" not in code}
    assert codes - {"TAX-BOUND"} <= expected
    assert {case for _, row in THEMES for case in row["case"].split(" + ")} - {"–"} == set(CASES)


def test_every_refusal_of_the_page_is_asked_in_german() -> None:
    for row in [row for _, row in THEMES] + EU_ROWS:
        made = sold(row)
        _, problems = decide_tax(made.order, made.order.agreements, made.profile, made.when, made.evidence)
        for problem in problems:
            assert sentence("de", problem.code, problem.message) != problem.message, problem
            assert sentence("en", problem.code, problem.message).endswith("."), problem
            assert all(choice("de", one) != one for one in problem.choices), problem


SAMPLE = [row for _, row in THEMES if "@" in row["expected"]] + [row for row in EU_ROWS[::7] if "@" in row["expected"]]


@pytest.mark.parametrize("row", SAMPLE, ids=name)
def test_a_sample_through_the_plan(row: Row) -> None:
    """The documents carry the rule, the rates and the explanation that was decided."""
    made = sold(row)
    paid = payment(9, sum(one.total for item in made.order.agreements for one in item.sales), at(60))
    whole = replace(made.order, payments=(paid,), fulfilments=(shipped(3, at(60)),))
    result = plan(facts_of(whole), Books(), [made.profile], T0 + timedelta(days=2), made.evidence)
    assert {item.code for item in result.attention} <= {"PAYMENT-SPLIT"}  # about the money, not about the tax
    documents = [action.document for action in result.actions if action.kind == "invoice" and action.document]
    written = [f"{one.draft.tax_rule} @{', '.join(_rate(rate) for rate, _ in one.draft.claim)}" for one in documents]
    assert " + ".join(written) == row["expected"]
    _, decisions = told(made)
    for document, decision in zip(documents, decisions, strict=True):
        assert document.tax["reason_de"] == decision.reason_de
        assert document.tax["counterfactual_de"] == decision.counterfactual_de
