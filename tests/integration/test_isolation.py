"""Two shops whose books look alike, on SQLite, where no row-level security hides what is missing (S41, S42, B16)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import isolation_world
from isolation_questions import QUESTIONS
from isolation_world import A, B, Court
from ladenbuch import (
    alarms,
    audit,
    backfills,
    books,
    checkups,
    deadletters,
    entitlements,
    events,
    evidence,
    grants,
    inbox,
    money_back,
    outbox,
    payouts,
    privacy,
    reconciliations,
    reminders,
    suppressions,
    tenants,
    write_backs,
)  # fmt: skip
from ladenbuch.db import Database, Store
from ladenbuch.errors import LadenbuchError

ROOT = Path(__file__).parents[2]
#: A few predicates of each kind; `make prove LINE=isolation` takes all of them.
SOME = ("outbox:_SEND", "audit:_rows", "web.reads:_about [documents]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("isolation")
    isolation_world.build(made)
    return made


@pytest.fixture(scope="module")
def court(folder: Path) -> Iterator[Court]:
    made = Court(folder)
    yield made
    made.close()


PARTS = sorted({question.name.partition(".")[0] for question in QUESTIONS})


@pytest.mark.parametrize("part", PARTS)
def test_s42_no_question_of_one_shop_is_answered_with_another_one_s_rows(court: Court, part: str) -> None:
    """S42, B16: the same answer, the same rows left, and not one row read or changed, whether the other is there."""
    found = [fault for one in QUESTIONS if one.name.partition(".")[0] == part for fault in court.faults(one)]
    assert found == []


def test_s42_every_table_has_rows_of_both_shops_under_the_same_keys(court: Court) -> None:
    """What would be found without a predicate is there to be found."""
    rows = court.worlds["both"].watched.all_rows()
    for store in Store:
        for table in isolation_world.tables(store):
            width = len(table.primary_key) if len(table.primary_key) > 1 else 0
            keys = [{row[1:width] for row in rows[store][table.name] if row[0] == tenant} for tenant in (A, B)]
            assert keys[0] & keys[1], table.name


#: Of all tenants, or of none: what they do is on the list of statements without a tenant (docs/reference).
OF_NOBODY = {
    "alarms": {"said"},
    "audit": {"broken_at", "lengths"},
    "backfills": set(),
    "books": {"drop_leases"},
    "checkups": {"times"},
    "deadletters": set(),
    "entitlements": {"all", "near_cap"},
    "events": {"standing"},
    "evidence": set(),
    "grants": {"all", "idle", "lost", "use_state"},
    "inbox": {
        "bring_forward",
        "claimants",
        "depth",
        "heard_in",
        "last_claim",
        "mark_of",
        "next_due",
        "oldest_untried",
        "prune",
        "release_executor",
        "release_stale",
        "runs_of",
    },
    "money_back": {"standing"},
    "reminders": set(),
    "outbox": {"release_executor", "release_stale"},
    "payouts": {"turns_of"},
    "privacy": {"subject_of"},
    "reconciliations": {"all_turns"},
    "suppressions": set(),
    "write_backs": set(),
    "tenants": {"add", "all", "by_shop", "by_shop_gid", "in_force", "silent", "states", "stops"},
}


OWNERS = (
    alarms, audit, backfills, books, checkups, deadletters, entitlements, events, evidence, grants, inbox,
    money_back, outbox, payouts, privacy, reconciliations, reminders, suppressions, tenants, write_backs,
)  # fmt: skip


@pytest.mark.parametrize("module", OWNERS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_s42_every_function_with_a_tenant_is_asked(module: Any) -> None:
    """S42: a new function of a module that owns tables needs a question."""
    name = module.__name__.rpartition(".")[2]
    own = {
        key for key, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and not key.startswith("_")
        and getattr(value, "__module__", "").startswith(module.__name__)
    }  # fmt: skip
    asked = {question.name.partition(".")[2] for question in QUESTIONS if question.name.startswith(f"{name}.")}
    assert own - asked == OF_NOBODY[name] - asked


def test_s41_nobody_is_nobody(court: Court) -> None:
    """S41: a tenant that is not there is a typed error, and the next question is answered as if nothing had been."""
    database: Database = court.worlds["both"].database
    for call in (lambda: database.tenant(""), lambda: database.tenant("tenant-c").read(
            Store.BOOKS, lambda tx: tenants.get(tx, "tenant-c"))):  # fmt: skip
        with pytest.raises(LadenbuchError) as refused:
            call()
        assert refused.value.code == "TENANT-UNKNOWN"
    assert [fault for one in QUESTIONS if one.name == "tenants.get" for fault in court.faults(one)] == []


def test_s42_without_its_predicate_a_query_is_noticed(folder: Path) -> None:
    """S42, line 3: a share of `make prove LINE=isolation`, which takes away every predicate in turn."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(ROOT / "tools" / "predicates.py"), "--prove", *SOME]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["survivors"] == [], found["survivors"]
    assert {one["query"] for one in found["listed"]} == set(SOME)
