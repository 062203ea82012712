"""S67: letters on their way through relays that fail in every way: each arrives once, or is listed with a reason.

A slice of `make prove LINE=letters`, which sends 10,000.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from ladenbuch import audit, tenants
from ladenbuch.cli import letters as commands
from ladenbuch.cli.groups import letters as command_line
from ladenbuch.db import Store
from ladenbuch.workflows import deliver, doubting
from letters_world import START, Trouble, World, judge, spread_over, written_short

CALM = Trouble(0.0, 0.0, 0.0, dies_at=1e9)
HARSH = Trouble(transient=0.2, greylisted=0.1, lost=0.05, dies_at=10.0, dead_for=120.0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(relays: str, trouble: Trouble) -> World:
        made.append(World(tmp_path, 3, relays, trouble))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("relays", ["providers", "smtp"])
def test_s67_each_letter_is_accepted_once_or_listed_with_a_reason(world: Callable[..., World], relays: str) -> None:
    there = world(relays, HARSH)
    there.live(1500, spread_over(40, 60, 3))
    figures, findings = judge(there, least=0.95)  # a relay that dies cuts up to two letters
    assert findings == [], figures
    assert figures["taken twice"] == 0
    met = [name for fate in there.fates.values() for name in fate.count]
    assert {"lost", "busy"} <= set(met) if relays == "providers" else {"cut_after", "refuse"} <= set(met)
    if relays == "providers":
        assert figures["of these known to us as accepted"] == len({one.key for one in there.taken}), (
            "Mailgun and Postmark were asked"
        )


def test_s67_a_greylisted_letter_goes_back_to_the_same_relay_when_it_may(world: Callable[..., World]) -> None:
    there = world("smtp", Trouble(0.0, 1.0, 0.0, dies_at=1e9))
    key = there.promise(1)
    there.live(60)
    row = there.letters()[key]
    assert (row.state, row.relay, row.attempts) == ("promised", f"127.0.0.1:{there.smtp[0].port}", 1)
    assert there.taken == []
    there.live(400)
    (taken,) = there.taken
    assert (taken.relay, (taken.at - START).total_seconds()) == ("smtp/0", 300)
    assert there.smtp[1].greylist is not None and there.smtp[1].greylist.asked == 0


def test_s67_while_every_relay_rests_no_letter_gets_older(world: Callable[..., World]) -> None:
    there = world("smtp", CALM)
    for server in there.smtp:
        server.down = lambda now: (now - START).total_seconds() < 200
    keys = [there.promise(number) for number in range(1, 7)]
    there.live(190)
    rows = there.letters()
    assert {rows[key].state for key in keys} == {"promised"}
    assert sum(rows[key].attempts for key in keys) <= 14, "two who found out, and one for each look whether it is back"
    there.live(300)
    assert len(there.taken) == 6 and {row.state for row in there.letters().values()} == {"accepted"}


def test_s67_the_letter_of_a_stopped_shop_keeps_no_relay_from_being_tried(world: Callable[..., World]) -> None:
    there = world("smtp", CALM)
    for server in there.smtp:
        server.down = lambda now: (now - START).total_seconds() < 100
    stopped = there.promise(5)  # the first in line of the first tenant
    others = [there.promise(number) for number in (1, 2, 3)]
    there.live(5)
    there.database.tenant("t0").run(Store.BOOKS, lambda tx: tenants.stop(tx, "t0", "stocktaking", START))
    there.live(400)
    assert {there.letters()[key].state for key in others} == {"accepted"}
    assert there.letters()[stopped].state == "promised"


def test_s43_shops_that_are_stopped_keep_no_other_shop_waiting(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many stopped shops with an older letter as are taken up at once."""
    there = world("smtp", CALM)
    monkeypatch.setattr(deliver, "_BATCH", 2)
    old = [there.promise(number) for number in (5, 6)]  # of t0 and t1
    there.clock.advance(1)
    new = there.promise(7)
    for name, end in (("t0", "stop"), ("t1", "gone")):

        def silence(tx: Any, name: str = name, end: str = end) -> None:
            if end == "stop":
                tenants.stop(tx, name, "stocktaking", START)
            else:
                tenants.set_state(tx, name, "uninstalled", START, "gone")

        there.database.tenant(name).run(Store.BOOKS, silence)
    there.live(5)
    rows = there.letters()
    assert rows[new].state == "accepted"
    assert {rows[key].state for key in old} == {"promised"}


def test_s67_a_digest_is_rather_sent_twice_than_not_at_all(world: Callable[..., World]) -> None:
    there = world("smtp", CALM)
    there.smtp[0].fault("cut_after")
    key = there.promise(1, "digest")
    there.live(120)
    assert there.letters()[key].state == "accepted"
    assert [one.key for one in there.taken] == [key, key]


# -- doubts ----------------------------------------------------------------------------------------------------------


def story(there: World, tenant: str, order: str) -> list[str]:
    told = there.database.tenant(tenant).read(Store.BOOKS, lambda tx: audit.entries(tx, tenant, order, 20))
    return [f"{one.actor}: {one.sentence}" for one in told]


def test_s67_a_provider_that_can_be_asked_ends_the_doubt(world: Callable[..., World]) -> None:
    there = world("providers", CALM)
    there.post.mailgun.fault("lost")
    key = there.promise(1)
    with written_short():
        assert deliver.deliver_all(there.ctx) == 0
        assert doubting.ask_relays(there.ctx) == 0, "not at once"
        there.clock.advance(31)
        assert doubting.ask_relays(there.ctx) == 1
    assert there.letters()[key].state == "accepted" and len(there.taken) == 1
    assert any("says that it had accepted" in line for line in story(there, "t1", "gid://shopify/Order/1"))


def test_s67_a_provider_that_never_got_it_leaves_the_doubt_to_a_person(world: Callable[..., World]) -> None:
    there = world("providers", CALM)
    there.post.mailgun.fault("cut")
    key = there.promise(1)
    there.live(4 * 3600)
    row = there.letters()[key]
    assert row.state == "uncertain" and there.taken == [], "a no may come too early: it is not sent again"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any]]:
    def run(there: World, *words: str) -> tuple[int, Any]:
        @contextmanager
        def opened() -> Iterator[Any]:
            yield SimpleNamespace(database=there.database, context=there.ctx)

        monkeypatch.setattr(commands, "opened", opened)
        done = CliRunner().invoke(command_line.group, [*words, "--json"])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return 2, str(done.exception)
        return done.exit_code, json.loads(done.stdout)

    return run


def test_s67_a_person_ends_a_doubt_with_one_command(world: Callable[..., World], typed: Any) -> None:
    there = world("smtp", CALM)
    there.smtp[0].fault("cut_after", 2)
    came, again = there.promise(1), there.promise(2)
    there.live(20)
    code, told = typed(there, "doubtful")
    assert code == 1 and sorted(one["id"] for one in told["letters"]) == sorted([came, again])
    assert all(one["message_id"].startswith("<ladenbuch.") and one["relay"] for one in told["letters"])
    assert typed(there, "arrived", came, "--as", "anna")[0] == 0
    assert typed(there, "send", again, "--as", "anna")[0] == 0
    assert typed(there, "send", again, "--as", "anna")[0] == 2, "nobody is in doubt about it any more"
    assert typed(there, "doubtful")[0] == 0
    there.live(120)
    assert {row.state for row in there.letters().values()} == {"accepted"}
    assert sorted(one.key for one in there.taken) == sorted([came, again, again])
    messages = [str(one.message["Message-ID"]) for server in there.smtp for one in server.messages]
    assert len(set(messages)) == 2, "a repeat is recognisable"
    assert any(line.startswith("anna: anna says") for line in story(there, "t1", "gid://shopify/Order/1"))
    assert any("may arrive twice" in line for line in story(there, "t2", "gid://shopify/Order/2"))
