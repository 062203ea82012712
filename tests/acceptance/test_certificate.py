"""`ladenbuch certificate`: a month certified by the command a person types, then somebody touches sevdesk (B7)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from acceptance.connector import Connector, free_port, ladenbuch, raise_curtain, wait_for
from ladenbuch.cli.demo import PROFILE, SHOP, TENANT
from ladenbuch.cli.simulate import SPAN
from ladenbuch.simulators.lives import generate
from ladenbuch.vault import generate_key

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "certificate.md"
#: Situations about which nobody is asked; some wait, some are excluded, some are corrected.
CAST = (
    "card_paid", "card_paid_mixed", "vorkasse_open", "vorkasse_paid", "test_order", "refund_partial", "refund_full",
    "edit_up_shipped", "edit_down_unpaid", "oss_at",
)  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> dict[str, str]:
    """One tenant whose shop does not answer."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    env = {
        "LADENBUCH_DATA_DIR": str(tmp_path / "data"),
        "LADENBUCH_KEYS": generate_key(),
        "LADENBUCH_SHOPIFY_URL": nowhere + "/{shop}",
        "LADENBUCH_SEVDESK_URL": nowhere + "/api/v1",
        "LADENBUCH_CLIENT_TIMEOUT_SECONDS": "1",
    }
    (tmp_path / "profile.json").write_text(json.dumps(PROFILE), encoding="utf-8")
    secrets = {"sevdesk_token": "s" * 32, "shopify_client_id": "app", "shopify_client_secret": "secret"}
    add = ("tenants", "add", "--shop", SHOP, "--profile", str(tmp_path / "profile.json"))
    assert ladenbuch(*add, env=env, stdin=json.dumps(secrets)).returncode == 0
    return env


def test_wrong_options_exit_2_and_an_absent_shop_3(house: dict[str, str], tmp_path: Path) -> None:
    wrong: dict[tuple[str, ...], str] = {
        ("--month", "2026-13"): "MONTH",
        ("--month", "Oktober"): "MONTH",
        ("--month", "0001-01"): "MONTH",
        ("--month", "2026-10", "--tenant", "nobody"): TENANT,
        ("--month", "2026-10", "--out", str(tmp_path / "no" / "x.json")): "FILE",
    }
    for options, named in wrong.items():
        done = ladenbuch("certificate", *options, env=house)
        assert (done.returncode, done.stdout) == (2, ""), options
        assert named in done.stderr.strip().splitlines()[-1]
    done = ladenbuch("certificate", "--month", "2026-10", "--json", env=house)
    assert (done.returncode, done.stdout) == (3, "")
    assert "SHOPIFY" in done.stderr or "OAUTH" in done.stderr


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connector]:
    made = raise_curtain(tmp_path_factory.mktemp("certificate"), orders=0)
    made.start()
    lives = generate(3, 250, shop=SHOP, mix="wide", end=datetime.now(UTC), span=SPAN)
    cast = [next(item for item in lives if item.label.situation == name) for name in CAST]
    told = json.dumps([dataclasses.asdict(item) for item in cast], default=datetime.isoformat)
    made.control("shopify", "lives", json.loads(told))
    made.control("shopify", "advance", {"until": datetime.now(UTC).isoformat(), "stamp": True})
    wait_for("everything to be settled", lambda: made.idle() and len(made.control("sevdesk", "state")["invoices"]) > 6)
    yield made
    made.close()


def month() -> str:
    """All of it happens within the hour; whoever runs this at midnight of a new month certifies the right one."""
    return f"{datetime.now(ZoneInfo('Europe/Berlin')):%Y-%m}"


def certified(stage: Connector, *options: str) -> tuple[int, dict[str, Any]]:
    done = stage.run("certificate", "--month", month(), "--grace", "0", "--json", *options)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_B7_a_month_is_certified_and_whoever_touches_sevdesk_is_found_out(stage: Connector, tmp_path: Path) -> None:
    """Plan of the journey: clean; a copy by hand; an invoice gone; the transfer of an open one; all put right again."""
    before, file = stage.writes(), tmp_path / "certificate.json"
    code, clean = certified(stage, "--out", str(file))
    assert json.loads(file.read_text(encoding="utf-8")) == clean
    assert stage.writes() == before, "it reads"
    assert (code, clean["findings"], clean["verdict"]) == (0, [], "waiting")
    counts = clean["counts"]
    assert (
        counts["orders"] == counts["accounted"] == sum(counts[name] for name in ("documented", "waiting", "excluded"))
    )
    assert clean["documents"]["compared"] == clean["documents"]["equal"] >= 8
    assert "UNPAID" in clean["waiting"] and "TEST" in clean["excluded"]
    again = certified(stage)[1]
    assert again["sha256"] == clean["sha256"] and again["made_at"] > clean["made_at"]

    shown = stage.run("certificate", "--month", month(), "--grace", "0")
    total = counts["orders"]
    told = f"{total} of {total} orders of {date.fromisoformat(f'{month()}-01'):%B %Y} accounted for, to the cent"
    assert shown.returncode == 0 and told in shown.stdout
    assert "turnover" in shown.stdout

    books = stage.control("sevdesk", "state")["invoices"]
    first = next(row for row in books if row["type"] == "RE" and row["bookings"])
    twin = stage.control("sevdesk", "tamper", {"do": "copy", "id": first["id"]})
    code, found = certified(stage)
    assert (code, [item["code"] for item in found["findings"]]) == (1, ["DOCUMENT-DOUBLE"])
    assert found["findings"][0]["document"] == twin["number"] and found["findings"][0]["sort"] == "double"
    stage.control("sevdesk", "tamper", {"do": "remove", "id": first["id"]})
    code, found = certified(stage)
    assert {item["code"] for item in found["findings"]} == {"DOCUMENT-GONE", "DOCUMENT-STRANGER"}
    assert {item["name"] for item in found["findings"]} == {first["note"].partition(" / ")[0]}
    assert found["counts"]["accounted"] == total - 1
    shown = stage.run("certificate", "--month", month(), "--grace", "0")
    assert shown.returncode == 1 and "holes: 1" in shown.stdout and first["number"] in shown.stdout


def test_the_page_describes_every_field(stage: Connector) -> None:
    page = PAGE.read_text(encoding="utf-8")
    _, data = certified(stage)
    for name in (*data, *data["counts"], *data["documents"], *data["findings"][0], *data["orders"][0]):
        assert f"`{name}`" in page, name
