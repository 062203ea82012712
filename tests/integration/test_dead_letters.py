"""S33, S36: what gave up, as an operator lists, redrives and drops it, on either database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from typer.testing import CliRunner

from ladenbuch import alarms, audit, deadletters, inbox, outbox, tenants
from ladenbuch.cli import app as command_line
from ladenbuch.cli import dead_letters as commands
from ladenbuch.db import Database, Sealed, Store, Transaction
from ladenbuch.deadletters import Which
from ladenbuch.web.gauges import _counts
from ladenbuch.web.given_up import GivenUp
from ladenbuch.web.pages import create_pages
from ladenbuch.web.reads import SqlReads
from ladenbuch.workflows import redriving
from ladenbuch.workflows.failing import tell

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
GID = "gid://shopify/Order/"


def books(database: Database, fn: Callable[[Transaction], Any], tenant: str = "t1") -> Any:
    return database.tenant(tenant).run(Store.BOOKS, fn)


@pytest.fixture
def shop(sqlite_database: Database) -> Database:
    return two_shops(sqlite_database)


@pytest.fixture
def either(database: Database) -> Database:
    """The same on either database."""
    return two_shops(database)


def two_shops(database: Database) -> Database:
    """Two tenants: three orders, a letter and a delivery of one gave up, an order of the other."""
    for tenant in ("t1", "t2"):

        def make(tx: Transaction, tenant: str = tenant) -> None:
            tenants.add(tx, id=tenant, shop=f"{tenant}.myshopify.com", cut_off=NOW, now=NOW)
            tenants.set_state(tx, tenant, "active", NOW)

        database.system("operator").run(Store.BOOKS, make)
    gave_up(database, "t1", "order", f"{GID}1", "BUG", NOW - timedelta(days=3))
    gave_up(database, "t1", "order", f"{GID}2", "SEVDESK-UNCLEAR", NOW - timedelta(hours=2))
    gave_up(database, "t1", "order", f"{GID}3", "BUG", NOW - timedelta(minutes=5))
    gave_up(database, "t1", "event", "w-1", "BUG", NOW - timedelta(hours=5))
    gave_up(database, "t2", "order", f"{GID}9", "BUG", NOW - timedelta(hours=1))
    promise(database, "letter/RE-1", NOW - timedelta(hours=7))
    return database


def gave_up(database: Database, tenant: str, kind: str, subject: str, code: str, at: datetime) -> None:
    """As a run leaves it: the mark is due no more, the row is open."""
    mark = inbox.mark_of(subject) if kind == "event" else subject

    def in_inbox(tx: Transaction) -> None:
        inbox.want(tx, tenant, mark, at)
        assert inbox.claim(tx, tenant, mark, run_id="r", executor="e", now=at) is not None
        assert inbox.give_up(tx, tenant, mark, "r", code)

    def note(tx: Transaction) -> None:
        for number in (5, 6):
            again = None if number == 6 else at
            deadletters.failed(
                tx, tenant, kind=kind, subject=subject, code=code, message="why", attempts=number, now=at,
                again=again, looked=at, trace="t-1",
            )  # fmt: skip
        tell(tx, tenant, at)

    database.tenant(tenant).run(Store.INBOX, in_inbox)
    books(database, note, tenant)


def promise(database: Database, key: str, at: datetime) -> None:
    def fail(tx: Transaction) -> None:
        sealed = Sealed("k", b"x")
        outbox.promise(
            tx, "t1", key=key, kind="invoice", order_id=f"{GID}1", document_id=None, sealed_payload=sealed, now=at
        )
        assert outbox.claim(tx, "t1", key, "r", at, "e") is not None
        assert outbox.failed(tx, "t1", key, "r", at, reason="full")
        deadletters.failed(
            tx, "t1", kind="letter", subject=key, code="LETTER-DELAYED", message="m", attempts=12, now=at, again=None
        )

    books(database, fail)


def due(database: Database, tenant: str = "t1") -> dict[str, datetime]:
    table = inbox.marks.order_marks  # type: ignore[attr-defined]
    rows = database.tenant(tenant).read(
        Store.INBOX, lambda tx: tx.execute(table.select().where(table.c.due_at.is_not(None))).all()
    )
    return {row.order_id: datetime.fromtimestamp(row.due_at / 1_000_000, UTC) for row in rows if row.tenant == tenant}


@pytest.fixture
def typed(shop: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any]]:
    return typing_in(shop, monkeypatch)


def typing_in(shop: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any]]:
    """Types a command; (exit code, its JSON or its lines) comes back."""

    @contextmanager
    def opened() -> Iterator[Any]:
        yield SimpleNamespace(database=shop)

    monkeypatch.setattr(commands, "opened", opened)
    monkeypatch.setattr(commands, "utc_now", lambda: NOW)

    def run(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(command_line.dead_letters.group, words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return 2, str(done.exception)
        return done.exit_code, json.loads(done.stdout) if "--json" in words else done.output

    return run


def ids(told: Any) -> list[str]:
    return [item["id"] for item in told.get("dead_letters") or told["items"]]


def test_s36_listed_newest_first_and_by_what_they_have_in_common(typed: Any) -> None:
    code, told = typed("list", "--json")
    assert (code, ids(told)) == (1, ["order:3", "order:9", "order:2", "event:w-1", "letter:letter/RE-1", "order:1"])
    first = told["dead_letters"][0]
    assert {name: first[name] for name in ("tenant", "code", "message", "attempts", "state", "class", "next")} == {
        "tenant": "t1", "code": "BUG", "message": "why", "attempts": 6, "state": "open", "class": "later", "next": None,
    }  # fmt: skip
    assert [item["trace"] for item in first["failures"]] == ["t-1", "t-1"]
    for words, expected in (
        (("--tenant", "t2"), ["order:9"]),
        (("--kind", "event"), ["event:w-1"]),
        (("--code", "sevdesk-unclear"), ["order:2"]),
        (("--older-than", "1d"), ["order:1"]),
        (("--newer-than", "90m"), ["order:3", "order:9"]),
        (("--code", "BUG", "--tenant", "t1", "--older-than", "4h"), ["event:w-1", "order:1"]),
    ):
        assert ids(typed("list", *words, "--json")[1]) == expected
    assert typed("list", "--state", "dropped")[0] == 0
    assert typed("list", "--older-than", "soon")[0] == 2


def test_s33_s36_one_is_shown_with_its_last_failures_and_what_was_done(typed: Any) -> None:
    assert typed("annotate", "order:2", "--note", "asked sevdesk", "--as", "anna")[0] == 0
    code, said = typed("show", "order:2")
    assert code == 0
    for text in ("SEVDESK-UNCLEAR", "trace t-1", "asked sevdesk", "anna", "codes.md"):
        assert text in said
    assert typed("show", "order:2", "--json")[1]["note"] == "asked sevdesk"
    for wrong in ("order:77", "2", "receipt:2", "order:"):
        assert typed("show", wrong)[0] == 2


def test_s35_what_is_open_is_counted_by_kind_under_few_labels(shop: Database) -> None:
    books(
        shop,
        lambda tx: deadletters.failed(
            tx, "t1", kind="x-1", subject="s", code="C", message="m", attempts=1, now=NOW, again=None
        ),
    )
    dead = shop.system("metrics").read(Store.BOOKS, _counts)[1]
    assert dict(dead) == {("order",): 4, ("letter",): 1, ("event",): 1, ("other",): 1}


def test_s36_a_preview_shows_and_does_nothing(typed: Any, shop: Database) -> None:
    code, told = typed("redrive", "--code", "BUG", "--rate", "2", "--preview", "--json")
    assert (code, ids(told)) == (0, ["order:1", "event:w-1", "order:9", "order:3"])
    waits = [datetime.fromisoformat(item["at"]) - NOW for item in told["items"]]
    assert waits == [timedelta(seconds=30 * number) for number in range(4)]
    assert due(shop) == due(shop, "t2") == {}
    assert len(typed("list", "--json")[1]["dead_letters"]) == 6
    assert typed("drop", "--all", "--reason", "x", "--preview")[0] == 0
    assert len(typed("list", "--json")[1]["dead_letters"]) == 6


def test_s36_redriven_ones_are_due_at_the_rate_with_fresh_patience_and_a_line_each(
    either: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, typed = either, typing_in(either, monkeypatch)
    code, told = typed("redrive", "--tenant", "t1", "--all", "--rate", "60", "--as", "anna", "--json")
    assert code == 0 and [item["done"] for item in told["items"]] == [True] * 5
    assert due(shop) == {
        f"{GID}1": NOW, "event:w-1": NOW + timedelta(seconds=2), f"{GID}2": NOW + timedelta(seconds=3),
        f"{GID}3": NOW + timedelta(seconds=4),
    }  # fmt: skip
    letter = books(shop, lambda tx: outbox.get(tx, "t1", "letter/RE-1"))
    assert (letter.state, letter.due_at) == ("promised", NOW + timedelta(seconds=1))
    for one in books(shop, lambda tx: deadletters.find(tx, Which("t1", state=None))):
        assert (one.state, one.counted) == ("redriven", 0)
    told = books(shop, lambda tx: audit.entries(tx, "t1"))
    assert [entry.actor for entry in told if entry.event == "gave-up.redriven"] == ["anna"] * 5
    assert books(shop, lambda tx: alarms.open_alarms(tx, "t1")) == []
    assert typed("redrive", "order:1")[0] == 1, "it is redriven already"
    assert typed("list", "--tenant", "t1")[0] == 0


def test_s36_dropping_wants_a_reason_and_keeps_it(typed: Any, shop: Database) -> None:
    assert typed("drop", "order:1")[0] == 2
    assert typed("drop", "order:1", "--reason", " ")[0] == 2
    code, told = typed("drop", "order:1", "event:w-1", "--reason", "a test order", "--as", "anna", "--json")
    assert (code, ids(told)) == (0, ["order:1", "event:w-1"])
    assert {one["note"] for one in typed("list", "--state", "dropped", "--json")[1]["dead_letters"]} == {"a test order"}
    entry = books(shop, lambda tx: audit.entries(tx, "t1", f"{GID}1"))[-1]
    assert (entry.actor, entry.sentence) == ("anna", "order:1 was dropped: a test order")
    assert shop.tenant("t1").run(Store.INBOX, lambda tx: inbox.erase_before(tx, "t1", NOW)) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("redrive",), ("redrive", "order:1", "--code", "BUG"), ("redrive", "order:1", "--all"),
        ("redrive", "--tenant", "t1"),
    ],
)  # fmt: skip
def test_s36_nobody_redrives_everything_by_accident(typed: Any, shop: Database, words: tuple[str, ...]) -> None:
    assert typed(*words)[0] == 2 and due(shop) == {}


def test_s40_nothing_is_tried_again_for_a_tenant_that_left(typed: Any, shop: Database) -> None:
    books(shop, lambda tx: tenants.set_state(tx, "t1", "uninstalled", NOW))
    code, told = typed("redrive", "--all", "--json")
    assert code == 1 and due(shop) == {} and list(due(shop, "t2")) == [f"{GID}9"]
    assert {item.get("why") for item in told["items"]} == {"its tenant is uninstalled", None}


def test_s36_what_changed_since_it_was_shown_is_left_alone(either: Database) -> None:
    shop = either
    (letter,) = redriving.matching(shop, Which("t1", "letter"))
    books(shop, lambda tx: deadletters.close(tx, letter, "dropped", "somebody was quicker"))
    (done,) = redriving.drop(shop, [letter], actor="b", reason="late", now=NOW)
    assert done.why == "it changed meanwhile; look again"
    (kept,) = redriving.matching(shop, Which("t1", "letter", state=None))
    assert kept.note == "somebody was quicker"


def test_what_keeps_failing_keeps_its_last_ten_failures_and_its_note(database: Database) -> None:
    for number in range(1, 14):

        def fail(tx: Transaction, number: int = number) -> None:
            deadletters.failed(
                tx, "t1", kind="order", subject="s", code=f"C{number}", message="m", attempts=number,
                now=NOW + timedelta(minutes=number), again=NOW + timedelta(hours=1),
            )  # fmt: skip
            if number == 1:
                known = deadletters.get(tx, "t1", "order", "s")
                assert known is not None and deadletters.annotate(tx, known, "mine")

        books(database, fail)
    known = books(database, lambda tx: deadletters.get(tx, "t1", "order", "s"))
    assert [item["code"] for item in known.detail["failures"]] == [f"C{number}" for number in range(4, 14)]
    assert (known.state, known.note, known.counted) == ("trying", "mine", 13)
    assert books(database, lambda tx: deadletters.succeeded(tx, "t1", "order", "s")) == "trying"
    assert books(database, lambda tx: deadletters.succeeded(tx, "t1", "order", "s")) is None
    assert books(database, lambda tx: deadletters.get(tx, "t1", "order", "s")).counted == 0


# -- the page ----------------------------------------------------------------------------------------------------------


def page(database: Database, path: str, language: str = "de", status: int = 200) -> str:
    reads = SqlReads(database, lambda: NOW)
    routes = create_pages(reads, lambda: NOW, reads.tenants, None, None, GivenUp(database))
    client = TestClient(Starlette(routes=routes), base_url="http://127.0.0.1", client=("127.0.0.1", 50000))
    answer = client.get(path, headers={"accept-language": language})
    assert answer.status_code == status, answer.text
    return answer.text.replace("&nbsp;", " ").replace("\xa0", " ").replace("&#39;", "'")


def test_s33_s36_the_page_lists_what_gave_up_and_says_what_to_type(shop: Database) -> None:
    every = page(shop, "/given-up")
    assert every.count("6 Versuche") == 5 and "12 Versuche" in every and "t2.myshopify.com" in every
    assert "order:1" not in page(shop, "/given-up?shop=t2") and "order:9" in page(shop, "/given-up?shop=t2")
    one = page(shop, "/given-up?id=order:2&shop=t1", "en")
    for text in ("given up", "SEVDESK-UNCLEAR", "t-1", "ladenbuch dead-letters redrive order:2 --tenant t1",
                 "ladenbuch dead-letters drop order:2 --tenant t1 --reason"):  # fmt: skip
        assert text in one
    (letter,) = redriving.matching(shop, Which("t1", "order", "SEVDESK-UNCLEAR"))
    redriving.drop(shop, [letter], actor="anna", reason="a <b>test</b> order", now=NOW)
    told = page(shop, "/given-up?id=order:2&shop=t1", "en")
    assert "anna: order:2 was dropped: a &lt;b&gt;test&lt;/b&gt; order" in told and "redrive order:2" not in told
    assert "order:2" not in page(shop, "/given-up") and "order:2" in page(shop, "/given-up?state=dropped")
    page(shop, "/given-up?id=order:77", status=404)
    page(shop, "/given-up?id=order:1&shop=t2", status=404)


def test_s35_an_order_given_up_before_it_was_ever_settled_stays_in_the_count_and_the_alarm_leads_there(
    either: Database,
) -> None:
    shop = either
    reads = SqlReads(shop, lambda: NOW)
    assert reads.overview("t1").orders_total == 3 and reads.overview("t1").accounted_for == 0
    assert reads.overview(None).orders_total == 4
    assert [row.order_id for row in reads.orders("t1", "open", 1)] == [f"{GID}3", f"{GID}2", f"{GID}1"]
    overview = page(shop, "/?shop=t1")
    assert 'href="/given-up?shop=t1"' in overview and "Aufgegeben nach dem letzten Versuch" in overview
    redriving.redrive(shop, redriving.matching(shop, Which("t1")), actor="anna", now=NOW)
    assert reads.overview("t1").orders_total == 3, "due again, and still one each"
    assert "Aufgegeben" not in page(shop, "/?shop=t1")
