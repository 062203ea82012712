"""The daily look at each tenant's connection: what changed is said, a refused token stops writing (S39, S52, S96)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acceptance.invoice_cases import mixed_rates
from house import SHOP, TENANT, House
from ladenbuch import alarms, audit, checkups, tenants
from ladenbuch.cli import doctor
from ladenbuch.cli.admin import provision
from ladenbuch.db import Store
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN
from ladenbuch.workflows import checkup, lifecycle, lockout
from ladenbuch.workflows.readiness import Mail, connect_sevdesk
from ladenbuch.workflows.silence import look_around
from ladenbuch.workflows.tokens import SEVDESK_TOKEN

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
MAIL = Mail(1, "rechnung@seifenladen.example")
DAY = timedelta(days=1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, START)
    yield made
    made.close()


def known(house: House, tenant: str = TENANT) -> checkups.Checkup:
    found = house.database.tenant(tenant).read(Store.BOOKS, lambda tx: checkups.get(tx, tenant))
    assert found is not None
    return found


def said(house: House, *events: str, tenant: str = TENANT) -> list[str]:
    entries = house.database.tenant(tenant).read(Store.BOOKS, lambda tx: list(audit.entries(tx, tenant)))
    return [entry.sentence for entry in entries if entry.event in events]


def stopped(house: House) -> str | None:
    return house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tenants.stopped(tx, TENANT))


def open_alarms(house: House) -> list[tuple[str, str]]:
    found = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))
    return [(one.kind, one.subject) for one in found]


def later(house: House, passed: timedelta = DAY + timedelta(hours=1)) -> int:
    """Time passes, then the tick fires once."""
    house.clock.advance_to(house.clock.now() + passed)
    return checkup.check_all(house.ladenbuch.context, MAIL)


def test_every_active_tenant_is_looked_at_once_a_day(house: House) -> None:
    assert later(house, timedelta(0)) == 0, "planned within the hour, not at the start"
    assert later(house, timedelta(hours=1)) == 1 and later(house, timedelta(hours=1)) == 0
    first = known(house)
    assert first.checked_at == house.clock.now() - timedelta(hours=1) and first.trouble is None
    assert {"SHOPIFY", "SEVDESK"} <= {item.code for item in first.findings}
    assert said(house, "READINESS_CHANGED") == [], "there is no yesterday yet"
    for _ in range(5):
        assert later(house) == 1
    assert said(house, "READINESS_CHANGED") == []
    house.database.tenant(TENANT).run(
        Store.BOOKS, lambda tx: tenants.set_state(tx, TENANT, "suspended", house.clock.now(), "rests")
    )
    assert later(house, 3 * DAY) == 0, "who is not active is not asked"


def test_what_changed_since_yesterday_is_one_line(house: House) -> None:
    later(house, timedelta(hours=1))
    later(house, timedelta(hours=1))
    house.sevdesk.world.switches = replace(house.sevdesk.world.switches, version="1.0")
    later(house)
    (line,) = said(house, "READINESS_CHANGED")
    assert "new: SEVDESK-BOOKKEEPING" in line and "bookkeeping version 1.0" in line
    assert [item.finding.code for item in known(house).changes] == ["SEVDESK-BOOKKEEPING"]
    assert open_alarms(house) == [("CONNECTION-LACKS", "SEVDESK-BOOKKEEPING")]
    later(house)
    assert len(said(house, "READINESS_CHANGED")) == 1, "said once"
    house.sevdesk.world.switches = replace(house.sevdesk.world.switches, version="2.0")
    del house.sevdesk.world.things["TaxRule"][1]
    later(house)
    line = said(house, "READINESS_CHANGED")[-1]
    assert "new: SEVDESK-TAX-RULES" in line and "gone: SEVDESK-BOOKKEEPING" in line
    assert open_alarms(house) == [("CONNECTION-LACKS", "SEVDESK-TAX-RULES")]
    granted = house.shopify._states[SHOP].scopes
    house.shopify.set_scopes(SHOP, sorted(granted - {"read_returns"}))  # and no webhook comes
    later(house)
    (line,) = said(house, "SCOPES_CHANGED")[-1:]
    assert "no longer read_returns" in line and "Returns off" in line


def test_s52_a_token_that_is_refused_stops_writing_and_a_new_one_lets_it_go_on(house: House) -> None:
    later(house, timedelta(hours=1))
    later(house, timedelta(hours=1))
    house.sevdesk.new_token("e" * 32)
    later(house)
    assert stopped(house) == lockout.REASON, "no order had to fail first"
    assert said(house, "stop") == [f"Posting stopped: {lockout.REASON}."]
    assert [item.finding.code for item in known(house).changes] == ["SEVDESK-TOKEN-REVOKED"]
    assert open_alarms(house) == [("TOKEN-REFUSED", "sevdesk")]
    waiting = house.lived(mixed_rates, 1001)
    assert house.verdict(waiting)[0] != "documented"
    ctx, sevdesk = house.ladenbuch.context, house.ladenbuch.sevdesk_with("e" * 32)
    connect_sevdesk(ctx, TENANT, "e" * 32, sevdesk, by="operator")
    assert stopped(house) is None and len(said(house, "go")) == 1 and open_alarms(house) == []
    house.engine.drain()
    assert house.verdict(waiting)[0] == "documented", "made due at once, by nobody's hand"
    later(house)
    assert "gone: SEVDESK-TOKEN-REVOKED" in said(house, "READINESS_CHANGED")[-1]


def test_s52_a_token_that_works_again_by_itself_ends_our_stop_and_nobody_elses(house: House) -> None:
    """As after a plan without the API was paid again: nothing is stored, and the daily look notices."""
    later(house, timedelta(hours=1))
    ctx, door = house.ladenbuch.context, house.database.tenant(TENANT)
    lockout.lock_out(ctx, TENANT, by="settle", subject="o")
    assert not lockout.lock_out(ctx, TENANT, by="settle", subject="o"), "said once"
    later(house)
    assert stopped(house) is None
    door.run(Store.BOOKS, lambda tx: tenants.stop(tx, TENANT, "the year is closed", house.clock.now()))
    later(house)
    assert stopped(house) == "the year is closed"
    house.sevdesk.new_token("e" * 32)
    later(house)
    assert stopped(house) == "the year is closed"
    look_around(ctx)
    assert open_alarms(house) == [("TOKEN-REFUSED", "sevdesk")], "the alarm does not hang on our stop"


def test_s52_a_stop_of_everybody_does_not_hide_a_refused_token(house: House) -> None:
    ctx, system = house.ladenbuch.context, house.database.system("operator")
    system.run(Store.BOOKS, lambda tx: tenants.stop(tx, None, "moving house", house.clock.now()))
    lockout.lock_out(ctx, TENANT, by="settle", subject="o")
    look_around(ctx)
    assert open_alarms(house) == [("TOKEN-REFUSED", "sevdesk")]
    system.run(Store.BOOKS, lambda tx: tenants.go(tx, None))
    assert stopped(house) == lockout.REASON


def test_s52_a_lost_shop_is_an_alarm_until_it_is_found_or_leaves(house: House) -> None:
    state = house.shopify._states[SHOP]
    state.shop = replace(state.shop, own_organisation=False)
    house.shopify.revoke_tokens(SHOP)
    later(house, timedelta(0))
    later(house, DAY)
    assert open_alarms(house) == [("TOKEN-REFUSED", "shopify")]
    state.shop = replace(state.shop, own_organisation=True)
    house.ladenbuch.tokens.keep_alive()
    assert open_alarms(house) == []
    lockout.lock_out(house.ladenbuch.context, TENANT, by="settle", subject="o")
    lifecycle.uninstall(house.ladenbuch.context, TENANT, by="Shopify")
    assert open_alarms(house) == []


def test_one_tenants_trouble_stops_nobody_and_silence_is_no_change(house: House) -> None:
    secrets = {SEVDESK_TOKEN: DEFAULT_TOKEN}
    profile: dict[str, Any] = {"shop_key": "nobody", "gateways": {}, "letters": False}
    provision(house.ladenbuch, "nobody.myshopify.com", "aaa", profile, START, secrets)
    later(house, timedelta(0))
    real = house.ladenbuch.context.sevdesk

    def breaks(tenant: str) -> Any:
        if tenant == "aaa":
            raise ZeroDivisionError
        return real(tenant)

    ctx = replace(house.ladenbuch.context, sevdesk=breaks)
    house.clock.advance_to(house.clock.now() + timedelta(hours=1))
    assert checkup.check_all(ctx, MAIL) == 1
    assert known(house).checked_at is not None and known(house, "aaa").trouble == "BUG"
    before = known(house)
    house.shopify.set_status(SHOP, 503)
    later(house)
    after = known(house)
    assert after.findings == before.findings and after.checked_at == before.checked_at
    assert after.trouble == "OAUTH-DOWN" and after.due_at - house.clock.now() == timedelta(hours=1)
    house.shopify.set_status(SHOP, None)
    later(house, timedelta(hours=1))
    assert known(house).trouble is None and known(house).checked_at == house.clock.now()
    assert all("SHOPIFY" not in line for line in said(house, "READINESS_CHANGED"))


def test_who_dies_at_a_look_leaves_it_to_the_next(house: House) -> None:
    later(house, timedelta(0))
    house.clock.advance_to(house.clock.now() + timedelta(hours=1))
    real, calls = house.ladenbuch.context.shopify, []

    def dies(tenant: str) -> Any:
        calls.append(tenant)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkup.check_all(replace(house.ladenbuch.context, shopify=dies), MAIL)
    assert calls and known(house).checked_at is None
    other = replace(house.ladenbuch.context, shopify=real)
    assert checkup.check_all(other, MAIL) == 0, "somebody is at it, as far as anybody knows"
    house.clock.advance_to(house.clock.now() + timedelta(minutes=15))
    assert checkup.check_all(other, MAIL) == 1 and known(house).checked_at == house.clock.now()


def test_s52_the_doctor_names_a_lost_shop_and_what_changed(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The doctor's look counts as the day's: what it finds is kept and compared, a lost shop stands with its link."""
    monkeypatch.setattr(doctor, "opened", lambda: nullcontext(house.ladenbuch))

    def examined() -> dict[str, dict[str, Any]]:
        doctor.examine(None, "en", as_json=True)
        return {one["check"]: one for one in json.loads(capsys.readouterr().out)["checks"]}

    assert f"{TENANT}: changed" not in examined()
    house.sevdesk.world.switches = replace(house.sevdesk.world.switches, version="1.0")
    house.clock.advance_to(house.clock.now() + timedelta(hours=1))
    changed = examined()[f"{TENANT}: changed"]
    assert changed["ok"] and "+ SEVDESK-BOOKKEEPING" in changed["sentence"]
    assert known(house).due_at - house.clock.now() >= timedelta(hours=23), "nobody looks again today"
    house.ladenbuch.tokens.lose(TENANT, SHOP, "Shopify takes the refresh token no more")
    found = examined()
    lost = found[f"{TENANT}: reconnect"]
    assert not lost["ok"] and SHOP in lost["sentence"] and "nicht mehr" in lost["sentence_de"]
    assert not found[f"{TENANT}: TOKEN-REFUSED"]["ok"]


def test_4_2_automatic_assignment_is_switched_off_again_on_accounts_of_ours_alone(house: House) -> None:
    """Somebody switched it on. On the bank's account it is the merchant's to decide, for a stopped shop nobody's."""
    accounts = house.sevdesk.world.accounts
    ours = next(row for row in accounts.values() if row.name.startswith("klarna s1"))
    bank = accounts[house.sevdesk.account_id("Bank")]
    ours.auto_map = bank.auto_map = True
    system = house.database.system("operator")
    system.run(Store.BOOKS, lambda tx: tenants.stop(tx, TENANT, "holiday", house.clock.now()))
    later(house)
    assert ours.auto_map
    house.go()
    later(house)
    assert (ours.auto_map, bank.auto_map) == (False, True)
    assert len(said(house, "account.auto_map")) == 1
    assert [item.about for item in known(house).findings if item.code == "ACCOUNT-AUTO-MAP"] == ["Bank"]
