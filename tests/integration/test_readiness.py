"""The readiness doctor over real HTTP: every finding is produced from the simulators; a demo shop has none.

S39, S40, S41, S103; bookkeeping 2.4, 2.5, 4.1, 4.2, R11, R22; facts 1.1, 1.2, 1.9, 4.3, 4.5 (Shopify).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from ladenbuch import audit, tenants
from ladenbuch.cli.app import app
from ladenbuch.cli.demo import GATEWAYS, PROFILE, SHOP, TENANT
from ladenbuch.db import Store
from ladenbuch.domain.connected import AREAS, Finding
from ladenbuch.domain.readiness import missing
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.simulators.sevdesk.world import COMPANY_ID
from ladenbuch.simulators.shopify.world import DEFAULT_SCOPES, PAYMENT_SCOPES, READ_SCOPES
from ladenbuch.workflows.readiness import Mail, connect_sevdesk, let_go
from ladenbuch.workflows.senders import refuse_foreign
from ladenbuch.workflows.tokens import SEVDESK_TOKEN
from other_tool import write_invoice
from readiness_world import MAIL, Doors, Office, bad

DOCUMENTED = Path(__file__).parents[2] / "docs" / "reference" / "codes.md"


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    opened = Doors(tmp_path_factory.mktemp("stores"))
    yield opened
    opened.close()


@pytest.fixture
def open_office(doors: Doors, tmp_path: Path) -> Iterator[Callable[..., Office]]:
    opened: list[Office] = []

    def open_one(**how: Any) -> Office:
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        opened.append(Office(doors, folder, **how))
        return opened[-1]

    yield open_one
    for office in opened:
        office.close()


def only(found: list[Finding], code: str) -> Finding:
    """The finding of that code which is not ok; its words name what they are about, in both languages."""
    (finding,) = [item for item in found if item.code == code and item.level != "ok"]
    assert finding.english and finding.german and finding.english != finding.german
    assert finding.english[-1] != "." and finding.german[-1] != "."
    if finding.level == "missing":
        assert finding.do_english and finding.do_german
    documented = re.findall(r"^\| `([A-Z0-9-]+)` \|", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE)
    assert code in documented
    return finding


# -- nothing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "orders", "mix"), [(7, 12, "domestic"), (3, 0, "domestic"), (4, 25, "wide")])
def test_a_demo_provisioned_shop_has_no_finding(
    open_office: Callable[..., Office], seed: int, orders: int, mix: str
) -> None:
    office = open_office(seed=seed, orders=orders, mix=mix)
    found = office.examine()
    # The wide mix has a payment method nobody named, on purpose.
    assert {item.about for item in found if item.level != "ok"} <= ({"mollie"} if mix == "wide" else set())
    assert len(found) > 25 and {item.area for item in found} == set(AREAS)
    assert bad(office.try_connection()) == {}
    assert office.sevdesk.internal_errors == []
    assert not any(call.split()[0] != "GET" for call in _calls(office, before=_provisioning())), "harmless"


def _provisioning() -> set[str]:
    return {"POST /CheckAccount/Factory/fileImportAccount", "PUT /CheckAccount/{id}"}


def _calls(office: Office, before: set[str]) -> set[str]:
    return set(office.sevdesk.calls()["by_endpoint"]) - before


# -- the shop --------------------------------------------------------------------------------------------------------

SHOP_CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "SHOP-CURRENCY": ({"currency": "CHF"}, {}, "missing"),
    "SHOP-PRESENTMENT": ({"presentment": ("USD",)}, {}, "warn"),
    "SHOP-COUNTRY": ({"country": "AT"}, {}, "missing"),
    "SHOP-TIME-ZONE": ({"timezone": "America/New_York"}, {}, "warn"),
    "SHOP-PRICES": ({"taxes_included": False}, {}, "warn"),
    "SHOP-SHIPPING-TAX": ({"tax_shipping": False}, {}, "warn"),
    "SHOP-DEVELOPMENT": ({"development": True}, {}, "missing"),
    "SHOPIFY-SCOPE": ({"scopes": ("write_orders", "read_all_orders", *PAYMENT_SCOPES)}, {}, "missing"),
    "ORDERS-INVISIBLE": ({"scopes": ("write_orders", "read_customers", *PAYMENT_SCOPES)}, {}, "warn"),
    "MONEY-BACK-SCOPE": ({"scopes": (*READ_SCOPES, *PAYMENT_SCOPES)}, {}, "warn"),
    "PAYOUTS-SCOPE": ({"scopes": DEFAULT_SCOPES}, {}, "warn"),
}


@pytest.mark.parametrize("code", SHOP_CASES)
def test_what_the_shop_says(open_office: Callable[..., Office], code: str) -> None:
    shop, profile, level = SHOP_CASES[code]
    found = open_office(shop=shop, profile=profile).examine()
    assert only(found, code).level == level
    assert bad(found) == {code: level}


def test_scopes_nothing_is_done_with_are_not_asked_for(open_office: Callable[..., Office]) -> None:
    gateways = {**GATEWAYS, "shopify_payments": {"mode": "off"}}
    office = open_office(shop={"scopes": READ_SCOPES}, profile={"money_back": False, "gateways": gateways})
    assert bad(office.examine()) == {}


def test_S103_the_sixty_days_are_a_date_and_name_what_the_cut_off_loses(open_office: Callable[..., Office]) -> None:
    scopes = tuple(scope for scope in (*DEFAULT_SCOPES, *PAYMENT_SCOPES) if scope != "read_all_orders")
    office = open_office(shop={"scopes": scopes}, cut_off=timedelta(days=90))
    found = only(office.examine(), "ORDERS-INVISIBLE")
    since = datetime.now(UTC) - timedelta(days=60)
    assert found.english.startswith(f"older orders invisible since {since:%Y-%m-%d}")
    assert "from the cut-off" in found.english and f"unsichtbar seit {since:%d.%m.%Y}" in found.german
    nearer = only(open_office(shop={"scopes": scopes}).examine(), "ORDERS-INVISIBLE")
    assert "cut-off" not in nearer.english


def test_a_small_business_whose_shop_charges_vat_may_not_begin(open_office: Callable[..., Office]) -> None:
    """§14c: VAT that is shown is owed."""
    small = {"regime": "small_business", "oss_from": None}
    found = open_office(profile=small, small_business=True).examine()
    assert bad(found) == {"SHOP-TAX": "missing"} and "of the newest" in only(found, "SHOP-TAX").english


def test_a_regular_shop_that_charges_no_vat_is_told(open_office: Callable[..., Office]) -> None:
    office = open_office()
    orders = office.shopify._states[SHOP].orders
    for gid, snapshot in orders.items():
        orders[gid] = deepcopy(snapshot)  # a life's snapshots are shared
        orders[gid]["totalTaxSet"]["shopMoney"]["amount"] = "0.00"
    assert only(office.examine(), "SHOP-TAX").level == "warn"


@pytest.mark.parametrize(
    ("status", "code", "later"),
    [(402, "SHOPIFY-FROZEN", False), (423, "SHOPIFY-LOCKED", False), (503, "SHOPIFY-DOWN", True)],
)
def test_a_shop_that_does_not_answer_is_one_finding(
    open_office: Callable[..., Office], status: int, code: str, later: bool
) -> None:
    office = open_office()
    office.house.shopify(TENANT).shop_settings()  # the app has its token
    office.shopify.set_status(SHOP, status)
    found = office.examine()
    assert bad(found) == {code: "missing"} and only(found, code).later is later
    waits = [seconds for seconds in office.slept if seconds > 0.1]
    assert len(waits) == (4 if later else 0), "asked again while somebody may answer"
    assert not any(item.code.startswith("SHOP-") for item in found), "what hangs on it is left out"


def test_the_books_of_another_shop_are_noticed(open_office: Callable[..., Office]) -> None:
    office = open_office()
    office.examine()
    door = office.database.system("operator")
    door.run(Store.BOOKS, lambda tx: tenants.identify(tx, TENANT, shop_gid="gid://shopify/Shop/999"))
    assert bad(office.examine()) == {"SHOP-IDENTITY": "missing"}


# -- the sevdesk account ---------------------------------------------------------------------------------------------

ACCOUNT_CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("SEVDESK-BOOKKEEPING", {"version": "1.0"}, {}, "missing"),
    ("SEVDESK-REGIME", {"small_business": True}, {}, "missing"),
    ("SEVDESK-REGIME", {}, {"regime": "small_business", "oss_from": None}, "missing"),
    ("SEVDESK-TAX-RULES", {"rules_lacking": (1,)}, {}, "missing"),
    ("SEVDESK-TAX-RULES", {"rules_lacking": (18,)}, {}, "missing"),
    ("SEVDESK-TAX-RULES", {"rules_lacking": (19,)}, {}, "missing"),
    ("SEVDESK-TAX-RULES", {"rules_lacking": (5,)}, {"reverse_charge": True}, "missing"),
    ("SEVDESK-TAX-RULES", {"rules_lacking": (3,)}, {}, "warn"),
    ("SEVDESK-TAX-RULES", {"tax_rules_readable": False}, {}, "warn"),
    ("SELLER-DATA", {"seller_lacks": ("street",)}, {}, "missing"),
    ("SELLER-DATA", {"seller_lacks": ("name",)}, {}, "missing"),
    ("SELLER-DATA", {"seller_lacks": ("taxNumber", "vatNumber")}, {}, "missing"),
    ("SELLER-VAT-ID", {"seller_lacks": ("vatNumber",)}, {}, "missing"),
    ("SELLER-VAT-ID", {"seller_lacks": ("vatNumber",)}, {"oss_from": None}, "warn"),
    ("SELLER-E-INVOICE", {"seller_lacks": ("bankIban",)}, {"e_invoices": "business"}, "missing"),
    ("SEVDESK-LOOKUPS", {"users_active": False}, {}, "missing"),
    ("SEVDESK-NUMBERS", {"circles_lacking": ("CN",)}, {}, "missing"),
]


@pytest.mark.parametrize(("code", "switches", "profile", "level"), ACCOUNT_CASES)
def test_what_the_account_says(
    open_office: Callable[..., Office], code: str, switches: dict[str, Any], profile: dict[str, Any], level: str
) -> None:
    found = open_office(profile=profile, orders=0, **switches).examine()
    assert only(found, code).level == level
    others = set(bad(found)) - {code}
    assert others <= {"SEVDESK-TAX-RULES", "SEVDESK-REVENUE", "SELLER-VAT-ID"}, "no other area is blamed"
    if code not in ("SEVDESK-REGIME", "SELLER-DATA"):
        assert others == set()


def test_b11_invoices_of_others_since_the_cut_off_are_counted_before_the_shop_goes_live(
    open_office: Callable[..., Office],
) -> None:
    """Those of before are of no interest, nor are drafts."""
    office = open_office()
    today = office.now.date()
    for day, final in ((today, True), (today - timedelta(days=400), True), (today, False)):
        write_invoice(office.sevdesk, day, final=final)
    finding = only(office.examine(), "FOREIGN-DOCUMENTS")
    assert finding.level == "warn" and finding.english.startswith("1 invoices since the cut-off")


def test_what_sevdesk_does_not_tell_is_said_and_not_guessed(open_office: Callable[..., Office]) -> None:
    found = open_office(company_readable=False).examine()
    assert bad(found) == {"SEVDESK-REGIME": "warn", "SELLER-DATA": "warn"}
    assert only(found, "SELLER-DATA").do_german


def test_a_unit_a_country_a_category_a_payment_method_and_an_account_for_turnover(
    open_office: Callable[..., Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = open_office(profile={"e_invoices": "business"})
    things = office.sevdesk.world.things
    del things["Unity"][1], things["StaticCountry"][1], things["Category"][47]
    for identifier, row in list(things["PaymentMethod"].items()):
        if row.fields["electronicInvoiceId"] == "58":
            del things["PaymentMethod"][identifier]
    monkeypatch.setitem(
        __import__("ladenbuch.simulators.sevdesk.vouchers", fromlist=["_GUIDES"])._GUIDES, "forRevenue", ()
    )
    found = office.examine()
    assert bad(found) == {"SEVDESK-LOOKUPS": "missing", "SELLER-E-INVOICE": "missing", "SEVDESK-REVENUE": "warn"}
    assert only(found, "SEVDESK-LOOKUPS").about == "unit, country, categories"
    assert only(found, "SELLER-E-INVOICE").about == "paymentMethod"


def test_a_token_is_missing_misshapen_wrong_revoked_or_of_a_plan_without_the_api(
    open_office: Callable[..., Office],
) -> None:
    office = open_office()

    def stored(token: str) -> None:
        now = datetime.now(UTC)
        door = office.database.tenant(TENANT)
        door.run(Store.BOOKS, lambda tx: office.house.vault.put_secret(tx, TENANT, SEVDESK_TOKEN, token, now))
        office.house.forget(TENANT)

    stored("f" * 32)
    assert bad(office.examine()) == {"SEVDESK-TOKEN-WRONG": "missing"}, "it never worked"
    stored("Bearer " + "0" * 25)
    assert bad(office.try_connection()) == {"SEVDESK-TOKEN-FORM": "missing"}
    stored("0123456789abcdef0123456789abcdef")
    assert bad(office.examine()) == {}
    office.sevdesk.new_token("e" * 32)
    found = office.examine()
    assert bad(found) == {"SEVDESK-TOKEN-REVOKED": "missing"}
    assert "ladenbuch tenants sevdesk demo" in only(found, "SEVDESK-TOKEN-REVOKED").do_german
    assert not [seconds for seconds in office.slept if seconds > 0.1], "a refusal is no reason to ask again"
    other = open_office(api_in_plan=False, create_accounts=False)
    assert bad(other.try_connection()) == {"SEVDESK-FORBIDDEN": "missing"}
    other.add("second", "second.myshopify.com", token=None)
    assert "SEVDESK-TOKEN-MISSING" in bad(other.examine(tenant="second"))


def test_several_shops_in_one_account_are_recognised_and_named(open_office: Callable[..., Office]) -> None:
    """S39: one seller, several shops, one sevdesk account; one shop key each, one regime for all."""
    office = open_office(profile={"oss_from": None})
    office.examine()
    office.add("second", "second.myshopify.com", {"oss_from": None})
    assert not [item for item in office.examine() if item.code == "SEVDESK-SHARED"], "nobody has looked at it yet"
    office.examine(tenant="second")
    found = office.examine()
    (shared,) = [item for item in found if item.code == "SEVDESK-SHARED"]
    assert shared.level == "ok" and "second.myshopify.com" in shared.german and "Hanna Petersen" in shared.english
    assert bad(found) == {"SHARED-THRESHOLD": "warn"}
    office.add("third", "third.myshopify.com", {"shop_key": "DEMO", "regime": "small_business", "oss_from": None})
    office.examine(tenant="third")
    codes = bad(office.examine())
    assert codes == {"SHARED-THRESHOLD": "warn", "SHOP-KEY-TAKEN": "missing", "SHARED-REGIME": "missing"}
    assert only(office.examine(), "SHOP-KEY-TAKEN").about == "third"
    now = datetime.now(UTC)
    office.database.system("operator").run(
        Store.BOOKS, lambda tx: tenants.set_state(tx, "third", "uninstalled", now, "gone")
    )
    assert bad(office.examine()) == {"SHARED-THRESHOLD": "warn"}, "who left shares nothing"


# -- money -----------------------------------------------------------------------------------------------------------


def test_every_gateway_the_shop_uses_has_a_mode(open_office: Callable[..., Office]) -> None:
    few = {name: value for name, value in GATEWAYS.items() if name in ("gift_card",)}
    found = open_office(profile={"gateways": few}, orders=20).examine()
    unmapped = {item.about for item in found if item.code == "GATEWAY-UNMAPPED"}
    assert "shopify_payments" in unmapped and bad(found)["GATEWAY-UNMAPPED"] == "missing"
    none = open_office(profile={"gateways": {}, "vouchers": "single_purpose"}, orders=0).examine()
    assert only(none, "GATEWAY-UNMAPPED").about == ""
    assert bad(none) == {"GATEWAY-UNMAPPED": "missing"}


def test_gateways_nobody_could_look_up_are_said(open_office: Callable[..., Office]) -> None:
    found = open_office(shop={"scopes": ("read_customers", "read_all_orders", *PAYMENT_SCOPES)}).examine()
    assert bad(found) == {"SHOPIFY-SCOPE": "missing", "GATEWAYS-UNSEEN": "warn", "MONEY-BACK-SCOPE": "warn"}


@pytest.mark.parametrize(
    ("klarna", "says"),
    [
        ({"mode": "clearing+payouts"}, "names no account"),
        ({"mode": "clearing+payouts", "account": "999999"}, "is not in sevdesk"),
        ({"mode": "clearing+payouts", "account": "Geldtransit"}, "needs one that is online"),
        ({"mode": "clearing-simple", "account": "Klarna"}, "needs one that is offline"),
        ({"mode": "clearing+payouts", "account": "archived"}, "is archived"),
        ({"mode": "clearing+payouts", "account": "in CHF"}, "is kept in CHF"),
    ],
)
def test_every_mode_has_its_account(open_office: Callable[..., Office], klarna: dict[str, str], says: str) -> None:
    office = open_office()
    world = office.sevdesk.world
    name = klarna.get("account", "")
    if name and not name.isdigit():
        found = office.sevdesk.account_id({"archived": "Klarna", "in CHF": "Klarna"}.get(name, name))
        klarna = klarna | {"account": str(found)}
        world.accounts[found].auto_map = False
        if name == "archived":
            office.human("archive", account=found)
        if name == "in CHF":
            world.accounts[found].currency = "CHF"
    office.add("second", "second.myshopify.com", {"gateways": {"klarna": klarna}, "vouchers": "single_purpose"})
    (finding,) = [
        item for item in office.examine(tenant="second") if item.code == "GATEWAY-ACCOUNT" and item.level != "ok"
    ]
    assert finding.level == "missing" and says in finding.english and finding.about == "klarna"


def test_4_2_money_that_comes_twice_stops_the_start(open_office: Callable[..., Office]) -> None:
    """DOUBLE-FEED: PayPal connected in sevdesk and written by us; Vorkasse written by us and brought by the bank."""
    office = open_office()
    assert bad(office.examine()) == {}, "a bank feed alone is where payouts arrive"
    office.human("connect", name="Geschäftskonto P", bank_server="PAYPAL")
    found = only(office.examine(), "DOUBLE-FEED")
    assert (found.level, found.about) == ("missing", "paypal") and "Geschäftskonto P" in found.german
    twice = {**GATEWAYS, "bank_deposit": {"mode": "clearing+payouts"}}
    other = open_office(profile={"gateways": twice}, orders=0)
    assert only(other.examine(), "DOUBLE-FEED").about == "bank_deposit"
    bank = str(other.sevdesk.account_id("Bank"))
    other.sevdesk.world.accounts[int(bank)].auto_map = False
    direct = {**GATEWAYS, "klarna": {"mode": "clearing+payouts", "account": bank}}
    third = open_office(profile={"gateways": direct}, orders=0)
    assert only(third.examine(), "DOUBLE-FEED").about == "klarna"


def test_4_2_what_sevdesk_matches_on_its_own_is_said_of_their_accounts_too(open_office: Callable[..., Office]) -> None:
    """autoMapTransaction is off on ours, and warned about where it is on at theirs."""
    office = open_office()
    ours = [item for item in office.sevdesk.world.accounts.values() if item.name.endswith("nicht importieren)")]
    assert ours and not any(item.auto_map for item in ours)
    office.sevdesk.world.accounts[office.sevdesk.account_id("Bank")].auto_map = True
    found = only(office.examine(), "ACCOUNT-AUTO-MAP")
    assert (found.level, found.about) == ("warn", "Bank")
    office.human("archive", account=office.sevdesk.account_id("Bank"))
    assert bad(office.examine()) == {}


def test_4_2_a_version_that_is_not_in_force_yet_is_looked_at_too(open_office: Callable[..., Office]) -> None:
    """DOUBLE-FEED from next month on keeps from starting today: nobody will look then."""
    office = open_office()
    office.human("connect", name="Bank zwei", bank_server="FINAPI")
    twice = {**GATEWAYS, "bank_deposit": {"mode": "clearing+payouts"}}
    data = {**json.loads(json.dumps(PROFILE)), "shop_key": TENANT, "gateways": twice}
    start = office.now + timedelta(days=30)
    office.database.tenant(TENANT).run(Store.BOOKS, lambda tx: tenants.add_profile(tx, TENANT, data, start, office.now))
    assert only(office.examine(), "DOUBLE-FEED").about == "bank_deposit"


def test_a_feed_needs_somebody_who_feeds_it_and_no_assignment_of_its_own(open_office: Callable[..., Office]) -> None:
    office = open_office()
    paypal = str(office.sevdesk.account_id("PayPal"))
    fed = {**GATEWAYS, "paypal": {"mode": "feed", "account": paypal}}
    office.add("second", "second.myshopify.com", {"gateways": {"paypal": fed["paypal"]}, "vouchers": "single_purpose"})
    office.sevdesk.world.accounts[int(paypal)].auto_map = True
    codes = {item.code for item in office.examine(tenant="second") if item.level == "warn"}
    assert {"ACCOUNT-UNFED", "ACCOUNT-AUTO-MAP"} <= codes
    row = office.sevdesk.world.accounts[int(paypal)]
    row.auto_map, row.bank_server = False, "PAYPAL"
    assert not [item for item in office.examine(tenant="second") if item.code.startswith("ACCOUNT-")]


def test_an_account_an_interrupted_start_left_assigning_is_put_right(open_office: Callable[..., Office]) -> None:
    office = open_office(create_accounts=False, orders=0)
    title = "klarna demo (automatisch, nicht importieren)"
    office.house.sevdesk(TENANT).create_file_import_account(title)
    office.add("other", "other.myshopify.com", {"shop_key": "demo"}, create_accounts=True)
    accounts = {row.name: row for row in office.sevdesk.world.accounts.values()}
    assert not accounts[title].auto_map


# -- profile and letters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "instant", ["2026-11-23T12:00+00:00", "2026-11-23T23:30+00:00"], ids=["noon", "next-day-in-Berlin"]
)
def test_what_the_profile_must_say(open_office: Callable[..., Office], instant: str) -> None:
    """The days of the books are Berlin's."""
    now = datetime.fromisoformat(instant)
    today = now.astimezone(ZoneInfo("Europe/Berlin")).date()
    without = {name: value for name, value in GATEWAYS.items() if name != "gift_card"}
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"vouchers": "unset"}, {"VOUCHERS": "missing"}),
        ({"vouchers": "unset", "gateways": without}, {"VOUCHERS": "warn"}),
        ({"gateways": without}, {"VOUCHERS": "missing"}),
        ({"books_closed_until": today.isoformat()}, {"BOOKS-CLOSED": "missing"}),
        ({"books_closed_until": (today - timedelta(days=1)).isoformat()}, {"BOOKS-CLOSED": "warn"}),
        ({"books_closed_until": (today - timedelta(days=9)).isoformat()}, {}),
        ({"oss_from": (today + timedelta(days=30)).isoformat()}, {}),
        ({"shop_name": None}, {"LETTER-NAME": "warn"}),
        ({"closing_de": "Danke!"}, {"LETTER-CLOSING": "warn"}),
    ]
    office = open_office(orders=0, clock=lambda: now)
    for number, (profile, expected) in enumerate(cases):
        name = f"t{number}"
        gateways = {key: dict(value) for key, value in profile.get("gateways", GATEWAYS).items()}
        for place, gateway in enumerate(item for item in gateways.values() if "number" in item):
            gateway["number"] = f"{1800 + 10 * number + place}"  # every number once per sevdesk account
        office.add(name, f"{name}.myshopify.com", profile | {"gateways": gateways}, create_accounts=True)
        found = [item for item in office.examine(tenant=name) if item.area in ("profile", "letters")]
        assert bad(found) == expected, profile
        for code in expected:
            only(found, code)


def test_R22_the_cut_off_reaches_back_or_lies_ahead(open_office: Callable[..., Office]) -> None:
    assert bad(open_office(cut_off=timedelta(days=40)).examine()) == {"CUT-OFF-DATE": "warn"}
    ahead = only(open_office(cut_off=timedelta(days=-4)).examine(), "CUT-OFF-DATE")
    assert ahead.level == "warn" and "no order is documented" in ahead.english


def test_letters_need_a_relay_and_a_sender(open_office: Callable[..., Office]) -> None:
    office = open_office()
    assert bad(office.examine(Mail(0, MAIL.sender))) == {"MAIL-RELAY": "missing"}
    assert bad(office.examine(Mail(1, None))) == {"MAIL-SENDER": "missing"}
    assert bad(office.examine(Mail(1, None, here=True))) == {"MAIL-SENDER": "warn"}
    office.add("quiet", "quiet.myshopify.com", {"letters": False})
    assert not [
        item for item in office.examine(Mail(0, None), "quiet") if item.area == "letters" and item.level != "ok"
    ]


def test_nobody_sends_letters_in_the_name_of_another_seller_or_of_the_operator(
    open_office: Callable[..., Office],
) -> None:
    office = open_office(profile={"letters_from": "Seife <rechnung@seifenladen.example>"})
    assert bad(office.examine()) == {}, "the operator's domain is the shop's own while there is no other"
    office.add("tea", "tea.myshopify.com", {"letters_from": "Tea <post@tealeaf.example>"})
    system = office.house.database.system("operator")

    def missing_now(mail: Mail = MAIL) -> list[Finding]:
        return [item for item in office.examine(mail) if item.code == "SENDER-DOMAIN"]

    (found,) = missing_now()
    assert found.level == "missing" and "seifenladen.example" in found.english
    for stolen in (
        "x@Tealeaf.example",
        "T <x@mail.tealeaf.example>",
        "x@seifenladen.example",
        "x@shop.seifenladen.example",
    ):
        with pytest.raises(UsageError) as refused:
            office.add("thief", "thief.myshopify.com", {"letters_from": stolen})
        said = refused.value.message
        assert refused.value.code == "SENDER-DOMAIN" and "tea.myshopify" not in said and "Tea" not in said
    assert "thief" not in {one.id for one in system.read(Store.BOOKS, tenants.all)}
    assert (
        missing_now(Mail(1, "ops@house.example")) == [] == missing_now(replace(MAIL, shared=("seifenladen.example",)))
    )
    office.add("leaf", "leaf.myshopify.com", {"letters_from": "x@leaf.example"})
    system.run(Store.BOOKS, lambda tx: tenants.set_state(tx, "tea", "uninstalled", office.now))
    refuse_foreign(office.house.context, "leaf", "x@tealeaf.example", office.house.settings)  # who left holds nothing
    account = system.read(Store.BOOKS, lambda tx: tenants.get(tx, TENANT).sevdesk_ref)
    system.run(Store.BOOKS, lambda tx: tenants.identify(tx, "leaf", sevdesk_ref=account))
    assert missing_now() == [], "shops of one sevdesk account are one seller"


# -- what is remembered, and the gate --------------------------------------------------------------------------------


def test_another_account_is_noticed_and_not_taken_silently(open_office: Callable[..., Office]) -> None:
    office = open_office()
    office.examine()
    world = office.sevdesk.world
    company = world.things["SevClient"][COMPANY_ID]
    known = office.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tenants.get(tx, TENANT))
    assert (known.sevdesk_ref, known.shop_gid is not None) == (str(COMPANY_ID), True)
    assert company.kind == "SevClient"
    door = office.database.system("operator")
    door.run(Store.BOOKS, lambda tx: tenants.identify(tx, TENANT, sevdesk_ref="77"))
    assert bad(office.examine()) == {"SEVDESK-CHANGED": "missing"}
    client = office.house.sevdesk_with("0123456789abcdef0123456789abcdef")
    ctx = office.house.context
    connect_sevdesk(ctx, TENANT, "0123456789abcdef0123456789abcdef", client, by="operator")
    assert bad(office.examine()) == {}, "nothing was written in the other one yet"


def test_a_token_is_tried_before_it_is_kept(open_office: Callable[..., Office]) -> None:
    office = open_office(orders=0)
    old = open_office(version="1.0", create_accounts=False, orders=0)
    for token, code in (("nonsense", "SEVDESK-TOKEN-FORM"), ("f" * 32, "SEVDESK-TOKEN-WRONG")):
        with pytest.raises(Rejected) as caught:
            connect_sevdesk(old.house.context, TENANT, token, old.house.sevdesk_with(token), by="operator")
        assert caught.value.code == code and token not in str(caught.value)
    good = "0123456789abcdef0123456789abcdef"
    with pytest.raises(Rejected, match="SEVDESK-BOOKKEEPING"):
        connect_sevdesk(old.house.context, TENANT, good, old.house.sevdesk_with(good), by="operator")
    stored = old.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tenants.get(tx, TENANT).sevdesk_ref)
    assert stored is None, "nothing was kept of a refused one"
    office.close()


def test_the_gate_is_shut_while_something_is_missing_and_forcing_it_is_written_down(
    open_office: Callable[..., Office],
) -> None:
    office = open_office(shop={"development": True}, circles_lacking=("CN",))
    ctx = office.house.context
    found = office.examine()
    with pytest.raises(Rejected, match="NOT-READY") as caught:
        let_go(ctx, TENANT, found, by="operator")
    assert "SEVDESK-NUMBERS, SHOP-DEVELOPMENT" in caught.value.message

    def owner() -> tenants.Tenant:
        return office.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tenants.get(tx, TENANT))

    assert owner().draft_only, "drafts are always possible"
    let_go(ctx, TENANT, found, by="anna", reason="trial account")
    assert not owner().draft_only
    entries = office.database.tenant(TENANT).read(Store.BOOKS, lambda tx: audit.entries(tx, TENANT))
    last = entries[-1]
    assert (last.actor, last.event) == ("anna", "tenant.forced")
    assert "SEVDESK-NUMBERS, SHOP-DEVELOPMENT" in last.sentence and last.sentence.endswith("trial account")
    ready = open_office()
    let_go(ready.house.context, TENANT, ready.examine(), by="operator")
    assert missing(ready.examine()) == []


# -- the commands ----------------------------------------------------------------------------------------------------


def _dns(name: str, kind: str) -> list[str]:
    """The sender's domain is in order."""
    texts = {"_dmarc": "v=DMARC1; p=reject", "s1": f"v=DKIM1; p={'A' * 392}"}
    return [texts.get(name.partition(".")[0], "v=spf1 mx -all")]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """A command as it is typed, in 100 columns; its exit code and what it says."""

    def run(office: Office, *arguments: str, stdin: str = "") -> tuple[int, str]:
        for name in [name for name in os.environ if name.startswith("LADENBUCH_")]:
            monkeypatch.delenv(name)
        for name, value in office.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr("ladenbuch.mail.smtp.SmtpSender.there", lambda self: True)  # the relay is elsewhere
        monkeypatch.setenv("LADENBUCH_DKIM_SELECTORS", "s1")
        monkeypatch.setattr("ladenbuch.cli.doctor._resolver", lambda: _dns)
        done = CliRunner().invoke(app, list(arguments), input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout

    return run


def test_the_commands_say_it_in_a_hundred_columns_and_by_exit_codes(
    open_office: Callable[..., Office], typed: Callable[..., tuple[int, str]]
) -> None:
    office = open_office(shop={"tax_shipping": False})
    code, said = typed(office, "tenants", "test", TENANT, "--json")
    told = json.loads(said)
    assert (code, told["ok"], told["shopify"], told["sevdesk"]) == (0, True, True, True)
    code, said = typed(office, "doctor", "--language", "de")
    assert code == 0 and max(map(len, said.splitlines())) <= 100
    assert "ACHTUNG" in said and "Steuern auf Versandtarife erheben" in said and "0 fehlen, 1 zu beachten" in said

    office.sevdesk.new_token("e" * 32)
    assert typed(office, "tenants", "test", TENANT, "--json")[0] == 1, "a person has to act"
    code, said = typed(office, "tenants", "live", TENANT)
    assert code == 1 and "MISSING" in said and "SEVDESK-TOKEN-REVOKED" in said
    new = json.dumps({"sevdesk_token": "e" * 32})
    assert typed(office, "tenants", "sevdesk", TENANT, stdin=new)[0] == 0
    code, said = typed(office, "tenants", "live", TENANT, "--json")
    assert (code, json.loads(said)["live"], json.loads(said)["forced"]) == (0, True, None)
    assert "drafts only" in typed(office, "tenants", "live", TENANT, "--off")[1]

    office.human("connect", name="PayPal", bank_server="PAYPAL")
    code, said = typed(office, "tenants", "live", TENANT, "--json")
    assert code == 1 and [item["code"] for item in json.loads(said)["missing"]] == ["DOUBLE-FEED"]
    code, said = typed(office, "tenants", "live", TENANT, "--force", "--reason", "closed on Friday")
    assert code == 0 and "live, forced: closed on Friday" in said

    office.env["LADENBUCH_SHOPIFY_URL"] = office.env["LADENBUCH_SEVDESK_URL"] = "http://127.0.0.1:9"
    code, said = typed(office, "tenants", "test", TENANT)
    assert code == 3, "nobody answered: try again"
