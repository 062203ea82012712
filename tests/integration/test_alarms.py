"""Alarms on both databases: raised once, ended once, told everywhere a person looks (B11, S91)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from house import TENANT, House
from ladenbuch import alarms, audit, tenants
from ladenbuch.db import Database, Store
from ladenbuch.web.alarm_words import ALARMS, alarm_sentence
from ladenbuch.web.pages import create_pages
from ladenbuch.web.reads import SqlReads

NOW = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
FACTS = {"count": 3, "topics": "orders/create"}


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def books(database: Database, fn: Any, tenant: str | None = "t1") -> Any:
    door = database.system("demo") if tenant is None else database.tenant(tenant)
    return door.run(Store.BOOKS, fn)


def test_an_open_alarm_is_raised_once_and_ends_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """B11: repeating is no second alarm; audit chain and log have each beginning and each end, once."""

    def step(minute: float, what: str) -> bool:
        if what == "raise":
            facts = {**FACTS, "count": 3 + int(minute)}
            return books(database, lambda tx: alarms.raise_alarm(tx, "t1", "WEBHOOKS-DIFFER", "", at(minute), facts))
        return books(database, lambda tx: alarms.end_alarm(tx, "t1", "WEBHOOKS-DIFFER", "", at(minute)))

    told = [step(*one) for one in ((0, "end"), (1, "raise"), (2, "raise"), (3, "end"), (4, "end"), (9, "raise"))]
    assert told == [False, True, False, True, False, True]
    (found,) = books(database, lambda tx: alarms.open_alarms(tx, "t1"))
    assert (found.since, found.times, found.facts["count"]) == (at(9), 2, 12)
    chain = books(database, lambda tx: audit.entries(tx, "t1"))
    assert [one.event for one in chain] == ["alarm.raised", "alarm.ended", "alarm.raised"]
    assert "ended after 2 min" in chain[1].sentence and audit.verify is not None
    lines = [record for record in caplog.records if record.name == "ladenbuch.alarms"]
    assert [record.__dict__["code"] for record in lines] == ["WEBHOOKS-DIFFER"] * 3
    assert books(database, lambda tx: alarms.ended_alarms(tx, "t1", at(-9))) == []


def test_of_another_shop_and_of_the_house(database: Database) -> None:
    """What belongs to no tenant stands in no chain, and no shop sees it or another's."""
    books(database, lambda tx: alarms.raise_alarm(tx, "t1", "QUEUE-OLD", "", NOW, {"minutes": 9}))
    books(database, lambda tx: alarms.raise_alarm(tx, "t2", "QUEUE-OLD", "", NOW, {"minutes": 9}), "t2")
    books(database, lambda tx: alarms.raise_alarm(tx, alarms.HOUSE, "QUEUE-OLD", "", NOW, {"minutes": 9}), None)
    seen = books(database, lambda tx: [one.tenant for one in alarms.open_alarms(tx)], None)
    assert seen == ["", "t1", "t2"]
    assert [one.tenant for one in books(database, lambda tx: alarms.open_alarms(tx, "t1"))] == ["t1"]
    assert books(database, lambda tx: audit.entries(tx, ""), None) == []
    assert books(database, lambda tx: alarms.end_alarm(tx, alarms.HOUSE, "QUEUE-OLD", "", NOW), None)


def test_an_alarm_says_what_it_must_or_is_refused(database: Database) -> None:
    for kind, facts in (("NOISE-OF-ALL-KINDS", {}), ("QUEUE-OLD", {})):
        with pytest.raises(ValueError, match=r"alarms\.KINDS|needs the fact"):
            books(database, lambda tx, k=kind, f=facts: alarms.raise_alarm(tx, "t1", k, "", NOW, f))


def test_every_kind_has_words_in_both_languages_and_a_line_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "codes.md").read_text("utf-8")
    documented = re.findall(r"^\| `([A-Z-]+)` \|", page.split("\n## Alarms\n")[1].split("\n## ")[0], re.MULTILINE)
    assert set(alarms.KINDS) == set(ALARMS) == set(documented)
    for kind, words in ALARMS.items():
        needed = set(re.findall(r"{(\w+)}", alarms.KINDS[kind]))
        assert set(re.findall(r"{(\w+)}", words.german)) == set(re.findall(r"{(\w+)}", words.english)) == needed
        assert words.german != words.english and words.todo_german != words.todo_english, kind


def test_s91_the_dashboard_says_it_in_the_readers_language(database: Database) -> None:
    for shop in ("t1", "t2"):
        domain = f"{shop}.myshopify.com"
        books(database, lambda tx, s=shop, d=domain: tenants.add(tx, id=s, shop=d, cut_off=NOW, now=NOW), None)
    books(database, lambda tx: alarms.raise_alarm(tx, "t1", "WEBHOOKS-DIFFER", "", NOW, FACTS))
    reads = SqlReads(database, lambda: NOW)
    app = Starlette(routes=create_pages(reads, lambda: NOW, reads.tenants))
    client = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000))
    for language, words in (("de", "waren nicht wie gewünscht"), ("en", "were not as wanted: orders/create")):
        page = client.get("/", headers={"accept-language": language}).text
        assert words in page and "t1.myshopify.com: " in page
        assert "WEBHOOKS-DIFFER" not in client.get("/?shop=t2", headers={"accept-language": language}).text
    assert alarm_sentence("de", "QUEUE-OLD", {}).count("?") == 1


def test_metrics_and_doctor_and_the_command_count_what_is_open(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from contextlib import nullcontext

    from ladenbuch.cli import alarming

    monkeypatch.setattr(alarming, "opened", lambda: nullcontext(house.ladenbuch))
    assert alarming.list_alarms(None, None, "en", as_json=True) == 0
    books(house.database, lambda tx: alarms.raise_alarm(tx, TENANT, "WEBHOOKS-DIFFER", "", NOW, FACTS), None)
    capsys.readouterr()
    assert alarming.list_alarms(TENANT, 3, "de", as_json=True) == 1
    (told,) = json.loads(capsys.readouterr().out)["open"]
    assert told["kind"] == "WEBHOOKS-DIFFER" and told["sentence"].startswith("3 Webhook-Abonnements")
    house.ladenbuch.health("all")
    assert 'alarms_open{kind="WEBHOOKS-DIFFER"} 1.0' in house.ladenbuch.metrics.render().decode()
