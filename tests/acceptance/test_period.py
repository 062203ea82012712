"""A period planned, and exactly that carried out, by the commands a person types; judged by sevdesk and the auditor.

The connector of these tests hears nothing by itself: no webhooks, and a poll once an hour. What reaches sevdesk came
through `ladenbuch apply`.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acceptance.connector import Connector, free_port, ladenbuch, raise_curtain, wait_for
from ladenbuch.cli.demo import PROFILE, SHOP, TENANT, audited
from ladenbuch.cli.simulate import SPAN
from ladenbuch.simulators.lives import Life, generate
from ladenbuch.vault import generate_key

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
#: One order of each; what it owes is on its label.
CAST = (
    "card_paid", "card_paid_mixed", "vorkasse_open", "vorkasse_paid", "test_order", "refund_partial", "edit_up_shipped",
    "edit_down_unpaid", "oss_at", "tip", "unknown_gateway", "eu_business",
)  # fmt: skip
#: Refunded between plan and apply.
LATE = "refund_full"


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


# -- what is typed wrongly ----------------------------------------------------------------------------------------


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


def test_wrong_options_exit_2_with_one_line(house: dict[str, str], tmp_path: Path) -> None:
    november = ("--since", "2026-11-01", "--until", "2026-12-01")
    file = tmp_path / "plan.json"
    wrong: dict[tuple[str, ...], str] = {
        ("plan",): "OPTIONS",
        ("plan", "--since", "2026-11-01"): "OPTIONS",
        ("plan", "--order", "x.json", *november): "OPTIONS",
        ("plan", "--today", "2026-11-01", *november): "OPTIONS",
        ("plan", "--since", "01.11.2026", "--until", "2026-12-01"): "--since",
        ("plan", "--since", "2026-11-01", "--until", "2026-11-31"): "--until",
        ("plan", "--since", "2026-11-01", "--until", "2026-11-01"): "PERIOD",
        ("plan", "--since", "0001-01-01", "--until", "2026-11-01"): "PERIOD",
        ("plan", "--tenant", "nobody", *november): TENANT,
        ("plan", *november, "--out", str(tmp_path / "no" / "plan.json")): "FILE",
        ("apply",): "OPTIONS",
        ("apply", "--plan", str(file), *november): "OPTIONS",
        ("apply", "--since", "2026-11-01"): "PERIOD",
        ("apply", "--plan", str(tmp_path / "nowhere.json")): "nowhere.json",
    }
    for arguments, named in wrong.items():
        done = ladenbuch(*arguments, env=house)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert named in one_line(done), arguments


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[1]",
        '{"kind": "period-plan", "version": 2}',
        '{"kind": "period-plan", "version": 1, "tenant": "demo"}',
        '{"kind": "period-plan", "version": 1, "tenant": "demo", "orders": [{}]}',
        '{"kind": "period-plan", "version": 1, "tenant": "demo", "orders": 5}',
        '{"kind": "period-plan", "version": 1, "tenant": "another", "orders": []}',
    ],
)
def test_what_is_no_plan_file_exits_2(content: str, house: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(content, encoding="utf-8")
    done = ladenbuch("apply", "--plan", str(file), env=house)
    assert (done.returncode, done.stdout) == (2, "")
    assert "plan.json" in one_line(done)


def test_a_shop_that_does_not_answer_exits_3(house: dict[str, str]) -> None:
    done = ladenbuch("plan", "--since", "2026-11-01", "--until", "2026-12-01", "--json", env=house)
    assert (done.returncode, done.stdout) == (3, "")
    assert "SHOPIFY" in one_line(done) or "OAUTH" in one_line(done)


def test_the_page_describes_both_commands() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "ladenbuch plan --since" in page
    assert "ladenbuch apply" in page


# -- with a shop --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connector]:
    quiet = {"LADENBUCH_POLL_SECONDS": "3600"}
    made = raise_curtain(tmp_path_factory.mktemp("period"), orders=0, webhooks=False, settings=quiet)
    made.lives = generate(3, 250, shop=SHOP, mix="wide", end=datetime.now(UTC), span=SPAN)
    yield made
    made.close()


def life(stage: Connector, situation: str) -> Life:
    return next(item for item in stage.lives if item.label.situation == situation)


def let_happen(stage: Connector, *lives: Life) -> None:
    told = json.dumps([dataclasses.asdict(item) for item in lives], default=datetime.isoformat)
    stage.control("shopify", "lives", json.loads(told))
    stage.control("shopify", "advance", {"until": datetime.now(UTC).isoformat(), "stamp": True})


def period() -> tuple[str, ...]:
    today = datetime.now(UTC).date()
    return ("--since", str(today - timedelta(days=3)), "--until", str(today + timedelta(days=2)))


def planned_sums(plan: Mapping[str, Any], sort: str) -> dict[tuple[int, str], list[int]]:
    return {
        (row["tax_rule"], row["tax_rate"]): [row["gross_minor"], row["net_minor"], row["tax_minor"]]
        for row in plan["sums"][sort]
    }


def sums_in_sevdesk(stage: Connector, kind: str, *types: str) -> dict[tuple[int, str], list[int]]:
    found: dict[tuple[int, str], list[int]] = {}
    for row in stage.control("sevdesk", "state")[kind]:
        if row["type"] not in types:
            continue
        assert row["number"], "a document without a number is not posted"
        for rate, gross in row["gross_by_rate"].items():
            sums = found.setdefault((int(row["tax_rule"]), str(rate)), [0, 0, 0])
            for place, amount in enumerate((gross, row["net_by_rate"][rate], row["tax_by_rate"][rate])):
                sums[place] += abs(amount)
    return found


def test_what_is_planned_is_what_sevdesk_holds_after_apply(stage: Connector, tmp_path: Path) -> None:
    """Plan, apply with a refund in between (refused, nothing posted), plan again, apply: to the cent, nothing else."""
    stage.start()
    cast = [life(stage, name) for name in CAST]
    late = life(stage, LATE)
    let_happen(stage, *cast, dataclasses.replace(late, events=late.events[:-1]))
    file = tmp_path / "plan.json"
    before = stage.writes()

    done = stage.run("plan", *period(), "--out", str(file), "--json")
    assert done.returncode == 1, "somebody is asked about a gateway"
    plan = json.loads(done.stdout)
    assert json.loads(file.read_text(encoding="utf-8")) == plan
    assert file.stat().st_mode & 0o777 == 0o600
    assert plan["counts"]["orders"] == len(CAST) + 1
    assert (plan["attention"], plan["excluded"]) == ({"GATEWAY-UNMAPPED": 1}, {"TEST": 1})
    assert plan["waiting"] == {"UNPAID": 1, "VAT-ID-UNAVAILABLE": 1}
    assert stage.writes() == before, "a plan writes nothing"
    told = stage.run("plan", *period())
    assert "the first documents" in told.stdout

    # A refund between plan and apply: the plan is stale, and nothing at all is posted.
    let_happen(stage, dataclasses.replace(late, events=late.events[-1:]))
    refused = stage.run("apply", "--plan", str(file), "--json")
    assert refused.returncode == 1
    assert "PLAN-STALE" in one_line(refused)
    assert late.name in refused.stderr
    report = json.loads(refused.stdout)
    assert [item["name"] for item in report["stale"]] == [late.name]
    assert "new: credit_note" in report["stale"][0]["why"]
    assert (report["wanted"], stage.writes()) == ([], before)
    assert stage.state()["waiting"] == stage.state()["running"] == 0

    # Nobody said yes: nothing either.
    unsaid = stage.run("apply", *period())
    assert unsaid.returncode == 2
    assert "CONFIRM" in unsaid.stderr
    assert stage.run("apply", *period(), stdin="n\n").returncode == 2
    assert stage.writes() == before

    assert stage.run("plan", *period(), "--out", str(file), "--json").returncode == 1
    plan = json.loads(file.read_text(encoding="utf-8"))
    applied = stage.run("apply", "--plan", str(file), "--wait", "--json")
    report = json.loads(applied.stdout)
    assert report["changed"] == []
    assert applied.returncode == 0, applied.stderr
    assert report["remaining"] == 0
    assert report["settled"] == report["as_planned"] == plan["counts"]["with_actions"] == len(report["wanted"])
    assert planned_sums(plan, "invoices") == sums_in_sevdesk(stage, "invoices", "RE")
    assert planned_sums(plan, "cancellations") == sums_in_sevdesk(stage, "invoices", "SR")
    assert planned_sums(plan, "credit_notes") == sums_in_sevdesk(stage, "credit_notes", "CN", "GU", None)
    owed = Counter(due.kind for item in (*cast, late) for due in item.label.documents)
    assert owed["credit_note"] == plan["actions"]["credit_note"]["count"] > 1

    # The plan is used up: everything in it was carried out.
    again = stage.run("apply", "--plan", str(file))
    assert again.returncode == 1
    assert "PLAN-STALE" in one_line(again)
    after = stage.writes()
    nothing = stage.run("apply", *period(), "--yes", "--json")
    assert (nothing.returncode, json.loads(nothing.stdout)["wanted"]) == (0, [])
    assert stage.writes() == after

    # The order whose VAT id nobody had asked about was left alone: the settle asks, and the auditor misses nothing.
    assert life(stage, "eu_business").order_id not in report["wanted"]
    assert stage.run("replay", life(stage, "eu_business").name).returncode == 0
    wait_for("everything to be settled", stage.idle)
    assert audited(stage)["findings"] == []


def test_without_a_connector_the_orders_stay_wanted(stage: Connector) -> None:
    """`apply` starts no engine: it says that nobody is there, and a later `serve` does the work."""
    assert stage.connector is not None
    stage.connector.terminate()
    stage.connector.wait(timeout=30)
    fresh = life(stage, "free_shipping")
    let_happen(stage, fresh)
    before = stage.writes()
    done = stage.run("apply", *period(), "--yes", "--wait", "--timeout", "1", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["remaining"], report["wanted"]) == (1, 1, [fresh.order_id])
    assert "ladenbuch serve" in done.stderr
    assert stage.writes() == before
    stage.start()
    wait_for("the order to be settled", stage.idle)
    assert audited(stage)["findings"] == []


def test_a_plan_says_which_orders_it_may_not_have_seen(stage: Connector) -> None:
    """Without `read_all_orders` Shopify hides what is older than 60 days: the list is then no whole one."""
    today = datetime.now(UTC).date()
    long = ("plan", "--since", str(today - timedelta(days=100)), "--until", str(today - timedelta(days=1)), "--json")
    assert json.loads(stage.run(*long).stdout)["hidden_until"] is None
    stage.control("shopify", "scopes", {"shop": SHOP, "scopes": ["read_orders", "read_customers"]})
    hidden = datetime.fromisoformat(json.loads(stage.run(*long).stdout)["hidden_until"])
    assert abs(hidden - (datetime.now(UTC) - timedelta(days=60))) < timedelta(minutes=5)
