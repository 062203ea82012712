"""Tokens live: refreshed under a lease, persisted before use, found again after a lost answer (S50-S52, S133)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from granted import APP, OTHER, SECRET, SHOP, Stage, code_of
from ladenbuch import books, grants, tenants
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.grants import Grant, Kind
from ladenbuch.shopify.token_endpoint import App
from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.shopify import Shop
from ladenbuch.workflows import lifecycle
from ladenbuch.workflows.tokens import Tokens

T = "seifenladen"
HOUR = timedelta(hours=1)


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    return Stage(database)


def refreshes(stage: Stage) -> list[str]:
    return [asked["refresh_token"] for asked in stage.wire.asked if asked.get("grant_type") == "refresh_token"]


def test_s133_a_granted_pair_is_stored_with_its_grant_and_one_audit_row(stage: Stage) -> None:
    access = stage.install()
    assert stage.tokens.access_token(T, SHOP) == access
    assert (stage.secret(T, "shopify.refresh_token") or "").startswith("shprt_")
    grant = stage.grant(T)
    assert grant is not None
    assert (grant.kind, grant.needs_reconnect) == ("authorization_code", None)
    assert grant.expires_at == stage.clock.now() + HOUR
    assert grant.refresh_expires_at == stage.clock.now() + timedelta(days=90)
    assert "write_orders" in grant.scopes
    assert stage.said(T).count("ACCESS_TOKEN_STORED") == 1


@pytest.mark.parametrize("kind", ["authorization_code", "token_exchange", "client_credentials", "permanent"])
def test_a_grant_comes_back_as_it_was_stored(stage: Stage, kind: Kind) -> None:
    now = stage.clock.now()
    paired = kind in ("authorization_code", "token_exchange")
    expires = None if kind == "permanent" else now + HOUR
    until = now + timedelta(days=90) if paired else None
    put = Grant(T, kind, frozenset({"read_orders", "write_products"}), now, now, expires, until)

    def write(tx: Transaction) -> Grant | None:
        grants.put(tx, T, kind, put.scopes, now, expires_at=expires, refresh_expires_at=until)
        return grants.get(tx, T)

    assert stage.database.tenant(T).run(Store.BOOKS, write) == put
    later = now + HOUR

    def lose(tx: Transaction) -> list[object]:
        return [grants.lose(tx, T, "why", later), grants.lose(tx, T, "again", later), grants.get(tx, T)]

    lost = replace(put, needs_reconnect="why", lost_at=later)
    assert stage.database.tenant(T).run(Store.BOOKS, lose) == [True, False, lost]
    assert stage.database.system("keep alive").read(Store.BOOKS, lambda tx: grants.lost(tx, kind)) == [lost]


def test_s10_a_state_is_used_up_once_and_forgotten_when_its_cookie_is_too_old(stage: Stage) -> None:
    door, now = stage.database.system("lifecycle"), stage.clock.now()

    def use(state: str, at: datetime) -> bool:
        until = at + timedelta(minutes=10)
        return door.run(Store.BOOKS, lambda tx: grants.use_state(tx, state, at, until))

    assert [use("one", now), use("two", now), use("one", now), use("two", now + HOUR / 7)] == [True, True, False, False]
    assert use("one", now + HOUR)


def test_s51_a_token_is_refreshed_when_less_than_five_minutes_are_left(stage: Stage) -> None:
    first = stage.install()
    kept = stage.secret(T, "shopify.refresh_token")
    stage.clock.advance(54 * 60)
    assert stage.tokens.access_token(T, SHOP) == first
    stage.clock.advance(2 * 60)
    second = stage.tokens.access_token(T, SHOP)
    assert second != first and stage.works(second)
    assert stage.secret(T, "shopify.access_token") == second
    assert stage.secret(T, "shopify.refresh_token.previous") == kept
    assert stage.said(T).count("ACCESS_TOKEN_STORED") == 2


def test_s52_a_lost_refresh_answer_is_asked_for_again_with_the_same_refresh_token(stage: Stage) -> None:
    stage.install()
    stage.clock.advance(3600)
    answers = iter([True, True, False])
    stage.wire.lose = lambda request: next(answers)
    for _ in range(2):
        with pytest.raises(Retryable):
            stage.tokens.access_token(T, SHOP)
    token = stage.tokens.access_token(T, SHOP)
    assert stage.works(token)
    assert len(refreshes(stage)) == 3 and len(set(refreshes(stage))) == 1
    stage.wire.lose = lambda request: False
    for _ in range(30):
        stage.clock.advance(3600)
        assert stage.works(stage.tokens.access_token(T, SHOP))
    assert stage.said(T).count("RECONNECT_NEEDED") == 0


def test_while_a_refresh_fails_the_old_token_is_used_as_long_as_it_lasts(stage: Stage) -> None:
    first = stage.install()
    stage.clock.advance(57 * 60)
    stage.wire.lose = lambda request: True
    assert stage.tokens.access_token(T, SHOP) == first
    stage.clock.advance(2 * 60 + 31)
    assert code_of(lambda: stage.tokens.access_token(T, SHOP)) == "SHOPIFY-UNREACHABLE"


def test_a_successor_that_shopify_took_back_is_replaced_by_means_of_its_predecessor(stage: Stage) -> None:
    """Facts 4.4: the previous refresh token stays usable until its successor is first used; so it is kept."""
    stage.install()
    first = stage.secret(T, "shopify.refresh_token")
    assert first is not None
    stage.clock.advance(3600)
    stage.tokens.access_token(T, SHOP)
    stage.tokens.endpoint.refresh(APP, SHOP, first)  # somebody restored a backup, and the successor is superseded
    stage.clock.advance(3600)
    assert stage.works(stage.tokens.access_token(T, SHOP))
    assert refreshes(stage)[-1] == first
    assert stage.said(T).count("RECONNECT_NEEDED") == 0


def test_s52_an_invalid_grant_is_terminal_told_once_and_healed_by_connecting_again(stage: Stage) -> None:
    stage.install()
    stage.clock.advance(3600)
    stage.shops.revoke_tokens(SHOP)
    for _ in range(3):
        assert code_of(lambda: stage.tokens.access_token(T, SHOP)) == "SHOPIFY-RECONNECT"
    assert len(refreshes(stage)) == 1  # asked once, then never again
    grant = stage.grant(T)
    assert grant is not None and grant.needs_reconnect == "Shopify takes the refresh token no more"
    state, reason = stage.state(T)
    assert state == "suspended" and "reconnect?shop=" in (reason or "")
    assert stage.said(T)[-1] == "RECONNECT_NEEDED" and stage.said(T).count("RECONNECT_NEEDED") == 1
    token = stage.install()
    assert stage.tokens.access_token(T, SHOP) == token
    assert stage.state(T)[0] == "installing"  # as before: profile and sevdesk are still missing
    assert (stage.grant(T) or grant).needs_reconnect is None


def test_connecting_again_lifts_no_stop_of_somebody_else(stage: Stage) -> None:
    stage.install()
    door = stage.database.tenant(T)
    door.run(Store.BOOKS, lambda tx: tenants.stop(tx, T, "year-end closing", stage.clock.now()))
    stage.clock.advance(3600)
    stage.shops.revoke_tokens(SHOP)
    assert code_of(lambda: stage.tokens.access_token(T, SHOP)) == "SHOPIFY-RECONNECT"
    stage.install()
    assert door.read(Store.BOOKS, lambda tx: tenants.stopped(tx, T)) == "year-end closing"


def test_a_401_refreshes_once_however_many_were_refused(stage: Stage) -> None:
    refused = stage.install()
    assert stage.tokens.access_token(T, SHOP, refused=refused) != refused
    assert stage.tokens.access_token(T, SHOP, refused=refused) == stage.tokens.access_token(T, SHOP)
    assert len(refreshes(stage)) == 1


def test_a_wrong_client_secret_loses_no_tenant(stage: Stage) -> None:
    """One setting is wrong, not a thousand grants."""
    stage.install()
    stage.clock.advance(3600)
    wrong = Stage.process(stage, "wrong")
    wrong._app = App("app", ("another",))
    assert code_of(lambda: wrong.access_token(T, SHOP)) == "OAUTH-CLIENT"
    grant = stage.grant(T)
    assert grant is not None and grant.needs_reconnect is None
    wrong._app = App("app", ("another", SECRET))  # as while a secret rotates
    assert stage.works(wrong.access_token(T, SHOP))


def test_two_processes_refresh_once(stage: Stage) -> None:
    """The second finds the lease taken and, the old token being good, does not even wait."""
    first = stage.install()
    stage.clock.advance(56 * 60)
    other, seen = stage.process("two"), []

    def meanwhile(request: SimRequest) -> None:
        stage.wire.before = lambda request: None
        seen.append(other.access_token(T, SHOP))

    stage.wire.before = meanwhile
    second = stage.tokens.access_token(T, SHOP)
    assert seen == [first]
    assert second != first
    assert other.access_token(T, SHOP) == second
    assert len(refreshes(stage)) == 1


def test_whoever_stalls_beyond_the_lease_takes_the_token_of_who_was_quicker(stage: Stage) -> None:
    stage.install()
    stage.clock.advance(3600)
    other, seen = stage.process("two"), []

    def meanwhile(request: SimRequest) -> None:
        stage.wire.before = lambda request: None
        stage.clock.advance(61)
        seen.append(other.access_token(T, SHOP))

    stage.wire.before = meanwhile
    assert stage.tokens.access_token(T, SHOP) == seen[0]
    for _ in range(3):
        stage.clock.advance(3600)
        assert stage.works(stage.tokens.access_token(T, SHOP))
    assert stage.said(T).count("RECONNECT_NEEDED") == 0


def test_whoever_comes_too_late_looks_again_before_asking(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the first look and the lease, another process renewed the token."""
    stage.install()
    stage.clock.advance(3600)
    other, real, seen = stage.process("two"), books.take_lease, []

    def late(tx: Transaction, *given: Any) -> bool:
        return bool(seen or not given[2].startswith("one:")) and real(tx, *given)  # somebody has it, and then is done

    def meanwhile(seconds: float) -> None:
        seen.append(other.access_token(T, SHOP))

    monkeypatch.setattr(books, "take_lease", late)
    mine = stage.process("one", sleep=meanwhile)
    monkeypatch.setattr(mine, "_held", _blind_once(mine))
    assert mine.access_token(T, SHOP) == seen[-1]
    assert len(refreshes(stage)) == 1


def _blind_once(door: Tokens) -> Callable[..., Any]:
    """What `_held` says, but the second look still sees what the first saw: the renewal fell between look and lease."""
    real, looks = door._held, []

    def held(tenant: str, **more: Any) -> Any:
        looks.append(real(tenant, **more))
        return looks[0] if len(looks) == 2 and not more else looks[-1]

    return held


def test_a_refusal_that_came_too_late_loses_nobody(stage: Stage) -> None:
    """Our refresh token was used up by a process that was quicker, twice: that is no lost shop."""
    stage.install()
    stage.clock.advance(3600)
    other = stage.process("two")

    def meanwhile(request: SimRequest) -> None:
        stage.wire.before = lambda request: None
        for _ in range(2):
            stage.clock.advance(3600)
            other.access_token(T, SHOP)

    stage.wire.before = meanwhile
    assert code_of(lambda: stage.tokens.access_token(T, SHOP)) == "LEASE-BUSY"
    assert stage.works(stage.tokens.access_token(T, SHOP))
    assert "RECONNECT_NEEDED" not in stage.said(T) and stage.state(T)[0] == "installing"


def test_an_idle_shop_is_kept_alive_every_week(stage: Stage) -> None:
    """Facts 4.4: 90 days without a refresh and the merchant must agree again."""
    stage.install()
    stage.clock.advance(7 * 86_400)
    assert stage.tokens.keep_alive() == 0  # not before the week is over
    for _ in range(15):
        stage.clock.advance(7 * 86_400 + 1)
        assert stage.tokens.keep_alive() == 1
        assert stage.tokens.keep_alive() == 0
    assert len(refreshes(stage)) == 15
    assert stage.works(stage.tokens.access_token(T, SHOP))
    assert stage.grant(T) is not None and stage.state(T)[0] == "installing"


def test_s132_client_credentials_need_no_dance(database: Database) -> None:
    """A tenant brings its own app: a token of a day, asked for when needed, no refresh token, no consent."""
    stage = Stage(database, app=None, shops=(Shop(SHOP, client_id="own"),))
    stage.add(T, SHOP)
    assert code_of(lambda: stage.tokens.access_token(T, SHOP)) == "SHOPIFY-TOKEN"
    stage.put(T, shopify_client_id="own", shopify_client_secret=SECRET)
    token = stage.tokens.access_token(T, SHOP)
    grant = stage.grant(T)
    assert stage.works(token) and grant is not None
    assert (grant.kind, grant.refresh_expires_at) == ("client_credentials", None)
    stage.clock.advance(86_399 - 299)
    assert stage.tokens.access_token(T, SHOP) != token
    assert stage.said(T) == ["ACCESS_TOKEN_STORED"] * 2


def test_a_shop_outside_the_organisation_is_told_and_asked_again_by_itself(database: Database) -> None:
    own = App("app", (SECRET,))
    stage = Stage(database, app=own)
    stage.add(T, SHOP)
    stage.put(T, shopify_client_id="app", shopify_client_secret=SECRET)
    assert code_of(lambda: stage.tokens.access_token(T, SHOP)) == "SHOPIFY-RECONNECT"
    assert stage.state(T)[0] == "suspended"
    assert stage.tokens.keep_alive() == 0
    state = stage.shops._states[SHOP]
    state.shop = Shop(SHOP, client_id="app")
    assert stage.tokens.keep_alive() == 1
    assert stage.works(stage.tokens.access_token(T, SHOP))
    assert stage.state(T)[0] == "installing"  # resumed; profile and sevdesk are still missing


def test_a_permanent_token_is_used_until_it_is_refused(stage: Stage) -> None:
    stage.add(T, SHOP)
    stage.put(T, shopify_access_token="shpat_old")
    assert stage.tokens.access_token(T, SHOP) == "shpat_old"
    assert code_of(lambda: stage.tokens.access_token(T, SHOP, refused="shpat_old")) == "SHOPIFY-RECONNECT"
    assert code_of(lambda: stage.tokens.access_token(T, SHOP)) == "SHOPIFY-RECONNECT"


def test_an_old_token_is_migrated_once_and_lives_on_as_a_pair(stage: Stage) -> None:
    """Facts 4.4: irreversible, `expiring=1`; afterwards it is refreshed like any other."""
    stage.add(T, SHOP)
    old = stage.permanent()
    stage.put(T, shopify_access_token=old)
    assert stage.tokens.migrate(T, SHOP)
    assert (stage.wire.asked[-1]["subject_token"], stage.wire.asked[-1]["expiring"]) == (old, "1")
    assert not stage.works(old)
    assert not stage.tokens.migrate(T, SHOP)
    stage.clock.advance(3600)
    assert stage.works(stage.tokens.access_token(T, SHOP))
    assert stage.said(T).count("ACCESS_TOKEN_STORED") == 2


def test_a_migration_that_is_refused_or_lost_changes_nothing_here(stage: Stage) -> None:
    stage.add(T, SHOP)
    assert code_of(lambda: stage.tokens.migrate(T, SHOP)) == "SHOPIFY-TOKEN"
    stage.put(T, shopify_access_token="shpat_unknown")
    assert code_of(lambda: stage.tokens.migrate(T, SHOP)) == "OAUTH-SESSION"
    old = stage.permanent()
    stage.put(T, shopify_access_token=old)
    stage.shops.lose_grants(1)
    assert code_of(lambda: stage.tokens.migrate(T, SHOP)) == "SHOPIFY-UNREACHABLE"
    assert stage.tokens.access_token(T, SHOP) == old  # what Shopify thinks of it shows with the next call
    assert code_of(lambda: stage.tokens.access_token(T, SHOP, refused=old)) == "SHOPIFY-RECONNECT"
    assert stage.works(stage.install())


def test_s131_an_online_token_is_never_stored(stage: Stage) -> None:
    stage.add(T, SHOP)
    code = stage.agreed(**{"grant_options[]": "per-user"})["code"]
    assert code_of(lambda: stage.tokens.endpoint.redeem(APP, SHOP, code)) == "OAUTH-INCOMPLETE"
    session = stage.redeemed()
    person = type(session)(**{name: getattr(session, name) for name in session.__slots__} | {"user_id": "42"})
    assert code_of(lambda: stage.granted(SHOP, "authorization_code", person)) == "OAUTH-ONLINE"
    door, now = stage.database.tenant(T), stage.clock.now()
    with pytest.raises(Rejected, match="OAUTH-ONLINE"):
        door.run(Store.BOOKS, lambda tx: stage.tokens.store(tx, T, SHOP, "token_exchange", person, now))
    assert stage.secret(T, "shopify.access_token") is None


def test_s24_uninstalling_takes_tokens_and_grant(stage: Stage) -> None:
    stage.install()
    stage.clock.advance(3600)
    stage.tokens.access_token(T, SHOP)
    lifecycle.uninstall(stage.context, T, by="Shopify")
    names = ("shopify.access_token", "shopify.refresh_token", "shopify.refresh_token.previous")
    assert [stage.secret(T, name) for name in names] == [None] * 3
    assert stage.grant(T) is None
    stage.install()
    assert stage.works(stage.tokens.access_token(T, SHOP))


def test_s24_a_refresh_that_is_under_way_brings_no_token_back(stage: Stage) -> None:
    stage.install()
    stage.clock.advance(3600)

    def meanwhile(request: SimRequest) -> None:
        stage.wire.before = lambda request: None
        lifecycle.uninstall(stage.context, T, by="Shopify")

    stage.wire.before = meanwhile
    assert code_of(lambda: stage.tokens.access_token(T, SHOP)) == "SHOPIFY-TOKEN"
    assert stage.secret(T, "shopify.access_token") is None and stage.secret(T, "shopify.refresh_token") is None
    assert stage.grant(T) is None and stage.state(T)[0] == "uninstalled"


def test_tokens_of_two_shops_are_strangers(stage: Stage) -> None:
    one = stage.install()
    two = stage.install("kerzenladen", OTHER)
    assert (stage.works(one, SHOP), stage.works(two, OTHER)) == (True, True)
    assert (stage.works(one, OTHER), stage.works(two, SHOP)) == (False, False)
    stage.shops.revoke_tokens(SHOP)
    stage.clock.advance(3600)
    assert code_of(lambda: stage.tokens.access_token(T, SHOP)) == "SHOPIFY-RECONNECT"
    assert stage.works(stage.tokens.access_token("kerzenladen", OTHER), OTHER)


@pytest.mark.parametrize(
    "shop", ["evil.example.com", "x.myshopify.com/admin", "", "X.myshopify.com", "a@b.myshopify.com"]
)
def test_an_invalid_shop_raises_before_any_http(stage: Stage, shop: str) -> None:
    """Facts 7.3: token exchange, refresh, client credentials, migrate."""
    endpoint = stage.tokens.endpoint
    calls = (
        lambda: endpoint.redeem(APP, shop, "c"),
        lambda: endpoint.exchange(APP, shop, "jwt"),
        lambda: endpoint.online(APP, shop, "jwt"),
        lambda: endpoint.refresh(APP, shop, "shprt_1"),
        lambda: endpoint.client_credentials(APP, shop),
        lambda: endpoint.migrate(APP, shop, "shpat_1"),
    )
    for call in calls:
        with pytest.raises(Rejected) as caught:
            call()
        assert caught.value.code == "OAUTH-SHOP"
    assert stage.wire.asked == []
