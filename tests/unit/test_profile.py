"""A profile file is refused with the field's name, whatever is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from ladenbuch.domain.profile import Profile
from ladenbuch.errors import Rejected


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"shop_key": 5}, "shop_key"),
        ({"shop_key": "a b"}, "shop_key"),
        ({"time_zone": 5}, "time_zone"),
        ({"time_zone": "Europe/Nowhere"}, "time_zone"),
        ({"currency": 5}, "currency"),
        ({"currency": "euro"}, "currency"),
        ({"country": None}, "country"),
        ({"shop_name": 5}, "shop_name"),
        ({"regime": []}, "regime"),
        ({"draft_only": "no"}, "draft_only"),
        ({"go_live": 5}, "go_live"),
        ({"books_closed_until": "soon"}, "books_closed_until"),
        ({"gateways": []}, "gateways"),
        ({"gateways": {"paypal": 5}}, "gateways.paypal"),
        ({"gateways": {"paypal": {"mode": "bank", "acount": "5"}}}, "acount"),
        ({"gatewys": {}}, "gatewys"),
        ({"eu_sales": []}, "eu_sales"),
        ({"eu_sales": {"25": 1}}, "eu_sales"),
        ({"eu_sales": {"20256": 1}}, "eu_sales"),
        ({"eu_sales": {"2025": -1}}, "eu_sales"),
        ({"eu_sales": {"2025": 3120.0}}, "eu_sales"),
        ({"eu_sales": {"2025": True}}, "eu_sales"),
        ({"eu_sales": {"2025": "312000"}}, "eu_sales"),
    ],
)
def test_a_wrong_field_is_named(data: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected, match=field) as refused:
        Profile.from_json(data)
    assert refused.value.code == "PROFILE"


def test_what_was_written_is_read_back() -> None:
    profile = Profile.from_json(
        {
            "shop_key": "laden",
            "gateways": {"paypal": {"mode": "clearing+payouts", "account": 7}},
            "eu_sales": {"2025": 312000},
        }
    )
    assert (profile.sold_before(2025), profile.sold_before(2026)) == (312_000, 0)
    assert profile.gateways["paypal"].account == "7"
    assert Profile.from_json(profile.as_json()) == profile
