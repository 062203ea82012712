"""What a missing scope switches off (S9, S129): a sentence, never a failure."""

from __future__ import annotations

import re

import pytest

from ladenbuch.settings import Settings
from ladenbuch.shopify.scopes import CAPABILITIES, Capability, switched
from ladenbuch.simulators.shopify.world import DEFAULT_SCOPES


def off(granted: str) -> dict[str, str]:
    return {item.capability.name: item.sentence for item in switched(granted.split(",")) if not item.on}


def test_s9_a_missing_scope_is_a_capability_that_is_off_and_the_others_stay_on() -> None:
    found = off("read_orders,read_customers,write_inventory")
    assert found["payouts"] == "payouts off: scope read_shopify_payments_payouts missing"
    assert found["inventory"] == "inventory off: scope read_locations missing"
    assert "orders" not in found and "buyers and VAT ids" not in found
    assert off("")["inventory"] == "inventory off: scopes read_locations, write_inventory missing"


def test_a_write_scope_is_enough_where_reading_is_needed() -> None:
    assert "orders" not in off("write_orders")
    assert "marking orders paid" in off("read_orders")


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda item: item.name)
def test_a_capability_goes_off_with_each_of_its_own_scopes_and_with_no_other(capability: Capability) -> None:
    everything = {scope for item in CAPABILITIES for scope in item.scopes}
    for scope in everything:
        found = {item.capability: item for item in switched(everything - {scope})}[capability]
        implied = scope.replace("read_", "write_", 1) in everything and scope.startswith("read_")
        assert found.on is (scope not in capability.scopes or implied)


def test_every_switch_is_said_in_both_languages() -> None:
    for item in switched([]):
        assert re.fullmatch(r"[a-zA-Z0-9 ]+ off: scopes? [a-z_, ]+ missing", item.sentence)
        assert " aus: Berechtigung " in item.german and item.german.split(" aus")[0] != item.capability.name
    for item in switched(scope for entry in CAPABILITIES for scope in entry.scopes):
        assert item.sentence.endswith(" on") and item.german.endswith(" an")


def test_s129_what_every_install_asks_for_is_enough_for_what_is_essential_and_no_write() -> None:
    """Least privilege: nothing that is not used, and the rare ones are optional."""
    wanted = Settings.read({}).scopes
    assert all(item.on for item in switched(wanted) if item.capability.essential)
    assert not any(scope.startswith("write_") for scope in wanted)
    assert set(wanted) <= set(DEFAULT_SCOPES)
