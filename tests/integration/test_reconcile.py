"""Forty lived orders, sevdesk tampered with, looked at three times (S60, S139, B7, R13-R17); and whose turn it is.

`make prove LINE=reconcile` is the same over ten thousand.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ladenbuch import alarms, audit, books, reconciliations, tenants
from ladenbuch.cli import certifying, reconciling
from ladenbuch.db import Store
from ladenbuch.domain.reconciling import Report
from ladenbuch.errors import UsageError
from ladenbuch.web.pages import create_pages
from ladenbuch.web.reads import SqlReads
from ladenbuch.web.reconciled import reconciled
from ladenbuch.workflows import lockout
from ladenbuch.workflows.reconcile_turns import open_period, reconcile_all
from reconcile_world import PERIOD, TENANT, Tampering, World, differences, named, tamper

EACH = {
    "deleted": 1,
    "altered": 5,
    "foreign": 2,
    "doubled": 1,
    "cancelled": 1,
    "paid": 1,
    "leftover": 1,
    "elsewhere": 1,
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.lived(40, 1) as made:
        yield made


@pytest.fixture(scope="module")
def told(world: World) -> tuple[Tampering, list[Report]]:
    """What was done, and the four looks: before it, and three after it with `--fix`, a quarter of an hour apart."""
    looks = [world.reconcile()]
    done = tamper(world, EACH)
    world.passes(1200.0)
    for turn in range(3):
        writes = world.writes()
        looks.append(world.reconcile())
        assert turn or world.writes() == writes, "R17: nothing is mended on one sighting"
        world.passes(960.0)
    return done, looks


def test_s60_exactly_what_was_done_is_named(told: tuple[Tampering, list[Report]]) -> None:
    done, (before, first, second, third) = told
    assert (before.status, before.found) == ("CONSISTENT", 0) and before.documents > 20
    assert differences("first", named(first), done.all) == [] and first.fixed == 0
    assert differences("second", named(second), done.all) == []
    assert (first.status, second.status, third.status) == ("UNRESOLVED",) * 3
    mended = {one for one in done.all if one[0] in ("paid", "leftover")} | {("altered", one) for one in done.taken}
    assert named(second, "fixed") == mended and second.fixed == len(mended)
    assert named(third) == named(third, "asked", "open") == done.human, "what is left is a person's"
    assert {sort for sort, _ in named(third, "open")} == {"elsewhere"}, "all others are asked at their orders"


def test_s139_reports_are_kept_and_an_alarm_says_what_a_person_must_do(
    world: World, told: tuple[Tampering, list[Report]]
) -> None:
    """S139: the last run is visible; `{tenant, time, found, fixed, status}`."""
    done, looks = told

    def read(tx: object) -> tuple[list[Report], list[alarms.Alarm]]:
        return reconciliations.newest(tx, TENANT, 9), alarms.open_alarms(tx, TENANT)  # type: ignore[arg-type]

    kept, open_ones = world.database.tenant(TENANT).read(Store.BOOKS, read)
    assert kept[0] == looks[-1] and kept[0].kind == "demand"
    (alarm,) = [one for one in open_ones if one.kind == "BOOKS-DIFFER"]
    assert alarm.facts == {"count": len(done.human)}
    data = json.loads(json.dumps(kept[0].as_json()))
    assert {name: data[name] for name in ("tenant", "status", "found", "fixed")} == {
        "tenant": TENANT, "status": "UNRESOLVED", "found": len(done.human), "fixed": 0,
    }  # fmt: skip
    assert all("von Hand" not in item["message"] and "Sonstiges" not in item["message"] for item in data["items"])


def test_s60_the_command_and_the_page_name_each(
    world: World,
    told: tuple[Tampering, list[Report]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """S60: exit 1 while something is left, 2 for what cannot be meant; the page in the reader's language."""
    monkeypatch.setattr(reconciling, "opened", lambda: nullcontext(world.house))
    period = (f"{PERIOD[0]}", f"{PERIOD[1]}")

    def look(*days: str | None, as_json: bool) -> str:
        assert reconciling.reconcile(TENANT, *days, fix=False, wait=0.0, as_json=as_json) == 1
        return capsys.readouterr().out

    data = json.loads(look(*period, as_json=True))
    left = [item for item in data["items"] if item["state"] in ("asked", "open")]
    assert {(item["sort"], item["document"]) for item in left} == told[0].human
    shown = look(None, None, as_json=False)
    assert "UNRESOLVED" in shown and all(item["document"] in shown for item in left)
    assert "Deleted documents" in shown and "is not in sevdesk any more" in shown
    for refused in (("2026-11-01", None), ("2026-11-02", "2026-11-01"), ("gestern", "2026-11-01")):
        with pytest.raises(UsageError):
            reconciling.reconcile(TENANT, *refused, fix=False, wait=0.0, as_json=True)
    with pytest.raises(UsageError, match="MARK"):
        reconciling.accept(TENANT, "deleted:nothing", "why")
    reads = SqlReads(world.database, world.clock.now)
    pages = create_pages(reads, world.clock.now, reads.tenants, reconciliations=reconciled(world.database))
    client = TestClient(Starlette(routes=pages), base_url="http://127.0.0.1", client=("127.0.0.1", 50000))
    for language, words in (("de", "steht nicht mehr in sevdesk"), ("en", "is not in sevdesk any more")):
        page = client.get("/reconciliation", headers={"accept-language": language}).text
        assert words in page and all(str(item["document"]) in page for item in left)
        assert "von Hand<" not in page and "/reconciliation" in client.get("/").text


def test_b7_a_day_is_certified_as_a_month_is(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """B7: all orders were placed on one day; the day's certificate counts them all, the next day's none."""
    monkeypatch.setattr(certifying, "opened", lambda: nullcontext(world.house))
    counts = []
    for month, day in (("2026-11", None), (None, "2026-11-02"), (None, "2026-11-03")):
        certifying.certificate(TENANT, month, day, None, 15.0, as_json=True)
        made = json.loads(capsys.readouterr().out)
        counts.append((made["since"], made["until"], made["counts"]["orders"]))
    assert counts == [
        ("2026-11-01", "2026-12-01", 40),
        ("2026-11-02", "2026-11-03", 40),
        ("2026-11-03", "2026-11-04", 0),
    ]
    certifying.certificate(TENANT, None, "2026-11-02", None, 15.0, as_json=False)
    assert "of 40 orders of 02 November 2026 accounted for, to the cent" in capsys.readouterr().out
    for both in ((None, None), ("2026-11", "2026-11-02"), (None, "gestern")):
        with pytest.raises(UsageError):
            certifying.certificate(TENANT, *both, None, 15.0, as_json=True)


def test_r16_an_answer_and_what_is_put_right_end_it(world: World, told: tuple[Tampering, list[Report]]) -> None:
    """A person answers one question, cancels one double, accepts the rest: the last look is consistent."""
    from ladenbuch.workflows.resolving import resolve

    door = world.database.tenant(TENANT)
    item = next(one for one in told[1][-1].items if one.discrepancy.sort == "deleted")
    asked = door.read(Store.BOOKS, lambda tx: books.questions(tx, TENANT, item.discrepancy.order_id, "HAND-GONE"))
    resolve(door, TENANT, asked[0], "leave it to the bookkeeper", actor="anna", now=world.clock.now())
    double = next(one.discrepancy for one in told[1][-1].items if one.discrepancy.sort == "doubled")
    world.control("human", do="cancel", id=int((double.held or "").partition("/")[2]))
    world.passes(1200.0)
    left = world.reconcile()
    done = {("deleted", item.discrepancy.document), ("doubled", double.document)}
    still = named(left) - named(left, "fixed")
    holes = {one for one in still if one[0] == "hole"}  # drafts took numbers that were tampered away
    assert still - holes == named(told[1][-1]) - done and named(left, "fixed") == done
    world.passes(300.0)
    gone = door.read(Store.BOOKS, lambda tx: books.questions(tx, TENANT, double.order_id, "HAND-DOUBLED"))
    assert gone == [], "and its question is gone"
    for one in left.items:
        door.run(
            Store.BOOKS, lambda tx, mark=one.discrepancy.mark: reconciliations.accept(tx, TENANT, mark, "so be it")
        )  # type: ignore[misc]
    last = world.reconcile()
    assert (last.status, last.found) == ("CONSISTENT", 0)
    assert not [one for one in door.read(Store.BOOKS, alarms.open_alarms) if one.kind == "BOOKS-DIFFER"]


def untouched(world: World, done: Tampering) -> Any:
    """A paid invoice of ours nobody did anything to, whose note no other document carries."""
    rows = world.sevdesk.state()["invoices"]
    notes = Counter((one["note"] or "").partition(" / ")[0] for one in rows)
    touched = {number for numbers in done.named.values() for number in numbers}
    return next(
        one for one in rows
        if one["bookings"] and "c1:" in (one["note"] or "") and one["number"] not in touched
        and notes[one["note"].partition(" / ")[0]] == 1 and one["open_cents"] == 0
    )  # fmt: skip


def test_s139_every_few_minutes_what_changed_and_every_night_everything(
    world: World, told: tuple[Tampering, list[Report]]
) -> None:
    """S139: schedule per tenant; who may not be written for is not mended, who is locked out is not asked."""
    ctx, door = world.context, world.database.tenant(TENANT)
    assert reconcile_all(ctx, 300.0) == 0, "planned, not begun"
    world.passes(301.0)
    assert reconcile_all(ctx, 300.0) == 1 and reconcile_all(ctx, 300.0) == 0
    account = min(row["id"] for row in world.sevdesk.state()["accounts"])
    row = untouched(world, told[0])
    world.control("tamper", do="unlink", id=row["id"])
    world.control("human", do="book", id=row["id"], account=account, amount=f"{row['gross_cents'] // 100 + 1}.99")
    seen = []
    for _ in range(9):
        world.passes(301.0)
        assert reconcile_all(ctx, 300.0) == 1
        found = door.read(Store.BOOKS, lambda tx: reconciliations.latest(tx, TENANT, "rolling"))
        assert found is not None
        seen.append({one.state for one in found[1].items if one.discrepancy.document == row["number"]})
    assert seen[-1] == set() and {"fixed"} in seen and {"seen"} in seen
    world.passes(86_400.0)
    lists = world.lists()
    assert reconcile_all(ctx, 300.0) == 2 and world.lists() > lists
    night = door.read(Store.BOOKS, lambda tx: reconciliations.latest(tx, TENANT, "nightly"))
    assert night is not None and (night[1].since, night[1].until) == open_period(ctx, TENANT)
    door.run(Store.BOOKS, lambda tx: tenants.stop(tx, TENANT, lockout.REASON, world.clock.now()))
    world.passes(301.0)
    calls = sum(world.sevdesk.calls()["by_endpoint"].values())
    assert reconcile_all(ctx, 300.0) == 0 and sum(world.sevdesk.calls()["by_endpoint"].values()) == calls
    door.run(Store.BOOKS, lambda tx: tenants.go(tx, TENANT))
    entries = door.read(Store.BOOKS, lambda tx: list(audit.entries(tx, TENANT)))
    assert any(one.event == "reconcile" for one in entries)


def test_r12_what_was_left_behind_is_deleted_only_if_it_is_ours_still(
    world: World, told: tuple[Tampering, list[Report]]
) -> None:
    """R12: a draft a person began to edit stays, whatever its note says."""
    row = untouched(world, told[0])
    twin = world.control("tamper", do="copy", id=row["id"])
    world.control("tamper", do="write", id=twin["id"], status=100, number=None)
    world.control("human", do="edit", id=twin["id"], foot_text="neu")
    for _ in range(3):
        world.passes(1200.0)
        made = world.reconcile()
    assert ("leftover", f"Invoice/{twin['id']}") in named(made, "confirmed", "stuck")
    assert twin["id"] in {one["id"] for one in world.sevdesk.state()["invoices"]}
    ctx = replace(world.context, clock=lambda: world.clock.now() + timedelta(days=500))
    from ladenbuch.workflows.retention import retain

    assert retain(ctx)["reports"] > 0
