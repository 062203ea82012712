"""Whose account a token opens (client × simulator): S39, S124; facts 1.2, 1.9, 2.1, 2.12, 4.3."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from ladenbuch.errors import Rejected
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.company import MASTER_DATA, is_token
from ladenbuch.simulators.http import Route, SimTransport
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def account(**switches: object) -> tuple[SevdeskSimulator, Sevdesk]:
    simulator = SevdeskSimulator(lambda: NOW, **switches)
    http = httpx2.Client(transport=SimTransport([Route("http://sevdesk.test/", simulator)]))
    base = "http://sevdesk.test/api/v1"
    return simulator, Sevdesk(base, lambda: DEFAULT_TOKEN, http, clock=lambda: NOW, sleep=lambda seconds: None)


def test_the_company_is_named_with_its_master_data() -> None:
    _, client = account(small_business=True, seller_lacks=("vatNumber", "street"))
    found = client.company()
    assert (found.name, found.small_business) == ("Seifenladen Nord e. K., Inh. Hanna Petersen", True)
    assert set(found.told) == set(MASTER_DATA)
    assert {name for name, value in found.told.items() if not value} == {"vatNumber", "addressStreet"}
    assert "Petersen" not in repr(found.told.keys()) and "41/234" not in repr(found), "no tax number in a log line"


def test_without_the_undocumented_endpoint_the_account_is_known_by_its_id() -> None:
    _, known = account()
    _, silent = account(company_readable=False)
    assert silent.company().id == known.company().id
    assert (silent.company().small_business, dict(silent.company().told)) == (None, {})


def test_what_every_document_needs_is_read() -> None:
    _, client = account()
    assert [(user.id, user.active) for user in client.users()] == [("5", True)]
    assert client.has_categories()
    invoices = client.number_range("Invoice")
    assert invoices is not None and (invoices.format, invoices.next) == ("RE-%NUMBER", "1001")
    rates = {rule: rate for row in client.revenue_accounts() for rule, rate in row.rates.items()}
    assert rates[22] == ("ZERO",) and 11 not in rates
    small = account(small_business=True)[1].revenue_accounts()
    assert [dict(row.rates) for row in small] == [{11: ("ZERO",)}]
    _, lacking = account(circles_lacking=("CN",), users_active=False, rules_lacking=(18,))
    assert lacking.number_range("CreditNote") is None and lacking.number_range("Invoice") is not None
    assert not any(user.active for user in lacking.users())
    assert 18 not in {rule.id for rule in lacking.tax_rules()}


def test_an_account_says_who_brings_its_lines() -> None:
    simulator, client = account()
    accounts = {row.name.split(" ")[0]: row for row in client.check_accounts()}
    assert accounts["Bank"].is_fed and accounts["Bank"].provider == "FINAPI"
    assert not accounts["PayPal"].is_fed and not accounts["Geldtransit"].is_fed
    assert accounts["Geldtransit"].number == "1360"
    assert simulator.internal_errors == []


@pytest.mark.parametrize(
    ("refusal", "status"), [({"api_in_plan": False}, 403), ({}, 401)], ids=["a plan without the API", "a revoked token"]
)
def test_a_refused_token_says_with_which_status(refusal: dict[str, Any], status: int) -> None:
    simulator, client = account(**refusal)
    if status == 401:
        simulator.new_token("f" * 32)
    with pytest.raises(Rejected) as caught:
        client.company()
    assert (caught.value.code, caught.value.detail["status"]) == ("SEVDESK-TOKEN", status)


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, " " + "0" * 32, "g" * 32, "Bearer " + "0" * 25, "０" * 32])
def test_what_is_no_token_is_known_before_it_is_sent(text: str) -> None:
    assert is_token(DEFAULT_TOKEN) and is_token("ABCDEF0123456789abcdef0123456789")
    assert not is_token(text)
