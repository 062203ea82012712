"""A tenant that is gone (S24, B9): what still arrives leaves no row, and after its years nothing of it is left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from compliance import (
    BOTH,
    CUSTOMER,
    KEY,
    MAIL,
    NEEDLES,
    SHOP,
    TENANT,
    Compliance,
    bought,
    number,
    opened,
    redact,
    shops,
)
from ladenbuch import alarms, books, erasure, inbox, outbox, tenants
from ladenbuch.cli.privacy import check_privacy
from ladenbuch.db import Sealed, Store, Transaction
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.telemetry import Metrics
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.web.ingest import Ingest
from ladenbuch.workflows import leaving, lifecycle
from ladenbuch.workflows import privacy as privacy_work
from ladenbuch.workflows.retention import retain
from ladenbuch.workflows.rotation import before_data_keys
from ladenbuch.workflows.run import Run
from ladenbuch.workflows.settle import _settle
from rotation_world import v1

APP = "the secret of the operator's app"
EVERY_TOPIC = ("orders/updated", "app/uninstalled", "shop/redact", "customers/redact", "customers/data_request")

V1 = (outbox.PAYLOADS, books.PINS, books.SNAPSHOTS)


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Compliance]:
    yield from shops(request, tmp_path)


def door_of_an_app(shop: Compliance, seconds: float = 0.0, vault: Vault | None = None) -> Metrics:
    """From now on the operator's app has a secret of its own, which verifies webhooks when the tenant's is gone."""
    shop.commit.close()
    shop.commit = inbox.GroupCommit(shop.database, vault or shop.ladenbuch.vault, shop.clock.now)
    metrics = Metrics()
    shop.ingest = Ingest(
        shop.commit,
        shop.ladenbuch.tenant_of,
        shop.clock.now,
        secrets=(APP,),
        tenant_seconds=seconds,
        metrics=metrics,
    )
    return metrics


def late(shop: Compliance, order_id: str, id: str, secret: str = APP) -> list[int]:
    customer = {"id": CUSTOMER, "email": MAIL}
    body = {"id": number(order_id), "shop_id": 1, "shop_domain": SHOP, "customer": customer, "data_request": {"id": 9}}
    return [shop.post(topic, body, secret=secret, id=f"{id}-{topic}") for topic in EVERY_TOPIC]


def leave(shop: Compliance) -> None:
    ctx = shop.ladenbuch.context
    lifecycle.uninstall(ctx, TENANT, by="Shopify")
    leaving.redact(ctx, TENANT, by="Shopify", why="shop/redact")


def erase(shop: Compliance) -> None:
    now = shop.clock.now()
    erasure.erase(shop.database, TENANT, SHOP, id="e1", actor="operator", now=now, last_hash="0")
    shop.ladenbuch.forget(TENANT)


def ask(shop: Compliance, number_: int = 4711) -> None:
    told = {"shop_id": 1, "shop_domain": SHOP, "orders_requested": [],
            "customer": {"id": CUSTOMER, "email": MAIL}, "data_request": {"id": number_}}  # fmt: skip
    assert shop.post("customers/data_request", told, id=f"tell-{number_}") == 200


# -- what still arrives ----------------------------------------------------------------------------------------------


@BOTH
def test_s24_a_late_webhook_for_a_tenant_that_is_gone_is_answered_and_leaves_nothing(shop: Compliance) -> None:
    """Redacted, then erased: every genuine topic gets its 200, no row of any table changes; a forged one is 401."""
    order = shop.lived(bought())
    metrics = door_of_an_app(shop)
    leave(shop)
    before = shop.everything()
    assert late(shop, order, "redacted") == [200] * len(EVERY_TOPIC)
    assert shop.everything() == before
    assert late(shop, order, "forged", "another secret") == [401] * len(EVERY_TOPIC)
    erase(shop)
    shop.ladenbuch.vault._known.clear()  # as after three seconds
    before = shop.everything()
    assert not {name for name in before if name.startswith("inbox.")} and erasure.residue(shop.database, TENANT) == {}
    assert late(shop, order, "erased") == [200] * len(EVERY_TOPIC)
    assert late(shop, order, "forged again", "another secret") == [401] * len(EVERY_TOPIC)
    assert shop.everything() == before
    assert 'webhooks_total{result="gone"} 10.0' in metrics.render().decode()


def test_s24_a_webhook_on_its_way_while_its_tenant_is_erased_is_answered_and_makes_no_key(shop: Compliance) -> None:
    """Whose shop it is was looked up before; the vault, asked for a key, says that there is none any more."""
    order = shop.lived(bought())
    door_of_an_app(shop, seconds=3600.0, vault=Vault(KeyRing.parse(KEY), shop.database))
    assert late(shop, order, "before", APP)[0] == 200
    shop.commit.close()
    erase(shop)
    kept = shop.ingest
    shop.commit = inbox.GroupCommit(shop.database, Vault(KeyRing.parse(KEY), shop.database), shop.clock.now)
    kept._keep = shop.commit.submit_async
    assert late(shop, order, "during") == [200] * len(EVERY_TOPIC)
    assert erasure.residue(shop.database, TENANT) == {}


def test_s24_what_a_process_that_did_not_know_yet_wrote_for_an_erased_tenant_goes_within_the_hour(
    shop: Compliance,
) -> None:
    """A process keeps keys for three seconds and a shop's tenant for five: a row it leaves is found and erased."""
    order = shop.lived(bought())
    door_of_an_app(shop, seconds=3600.0)
    ctx = shop.ladenbuch.context
    assert late(shop, order, "before")[0] == 200
    erase(shop)
    known = inbox.Delivery(TENANT, "w", "orders/updated", SHOP, shop.clock.now(), b"{}", order)

    def stray(tx: Transaction) -> None:
        inbox.record(tx, known, Sealed("d:gone", b"x"))
        inbox.want(tx, TENANT, order, shop.clock.now())

    shop.database.tenant(TENANT).run(Store.INBOX, stray)
    shop.work()
    assert erasure.residue(shop.database, TENANT) == {"inbox.events": 1, "inbox.order_marks": 1}, "a run adds nothing"
    assert retain(ctx)["strays"] == 1
    assert erasure.residue(shop.database, TENANT) == {} and retain(ctx)["strays"] == 0
    assert [one.actor for one in shop.database.system("prune").read(Store.BOOKS, erasure.erased)] == [
        "operator",
        "retention",
    ]


def test_s24_a_run_under_way_while_its_tenant_is_erased_leaves_nothing(shop: Compliance) -> None:
    """Its mark was claimed before: it takes no fence, asks nobody, and is not put off for another day."""
    order = shop.lived(bought())
    door, now = shop.database.tenant(TENANT), shop.clock.now()
    door.run(Store.INBOX, lambda tx: inbox.want(tx, TENANT, order, now))
    claim = door.run(Store.INBOX, lambda tx: inbox.claim(tx, TENANT, order, run_id="r", executor="e", now=now))
    assert claim is not None
    erase(shop)
    asked = len(shop.door.passed)
    assert _settle(Run(shop.ladenbuch.context, TENANT, order, "r"), claim) == "TENANT-REDACTED"
    assert erasure.residue(shop.database, TENANT) == {} and len(shop.door.passed) == asked


def test_an_order_wanted_of_a_redacted_tenant_is_settled_not_put_off_for_ever(shop: Compliance) -> None:
    """Nobody waits for it: it is neither outstanding in any gauge nor looked at again every month."""
    order = shop.lived(bought())
    leave(shop)
    now = shop.clock.now()
    shop.database.tenant(TENANT).run(Store.INBOX, lambda tx: inbox.want(tx, TENANT, order, now))
    shop.work()
    depth = shop.database.system("health").read(Store.INBOX, lambda tx: inbox.depth(tx, now))
    assert (depth.waiting, depth.running) == (0, 0)
    assert shop.database.system("health").read(Store.INBOX, inbox.next_due) is None


def test_webhooks_that_slipped_in_while_the_tenant_was_redacted_are_erased(shop: Compliance) -> None:
    order = shop.lived(bought())
    leave(shop)
    now = shop.clock.now()
    for topic, about in (("orders/updated", order), ("shop/update", None)):
        body = b'{"email": "%s"}' % MAIL.encode()
        delivery = inbox.Delivery(TENANT, topic, topic, SHOP, now, body, about, acted_on=True)
        assert shop.commit.submit(delivery).result(5)
    assert shop.opened(MAIL) == {"events.body", "documents.pins"}
    shop.work()
    assert retain(shop.ladenbuch.context)["late_news"] == 2
    assert shop.opened(MAIL) == {"documents.pins"}


def test_s24_a_shop_redact_that_is_interrupted_is_finished_and_no_request_stays_open(
    shop: Compliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The books are redacted, then the process dies: the delivery that asked for it still lies there."""
    shop.lived(bought())
    ask(shop)
    ctx = shop.ladenbuch.context
    lifecycle.uninstall(ctx, TENANT, by="Shopify")
    real = inbox.erase_all

    def dies(tx: Transaction, tenant: str) -> int:
        raise Retryable("DB-DOWN", "simulated")

    monkeypatch.setattr(inbox, "erase_all", dies)
    assert shop.post("shop/redact", {"shop_id": 1, "shop_domain": SHOP}, id="gone") == 200
    monkeypatch.setattr(inbox, "erase_all", real)
    shop.clock.advance_to(shop.clock.now() + timedelta(hours=1))
    shop.work()
    retain(ctx)
    state = shop.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tenants.standing(tx, TENANT))
    assert state == "redacted"
    assert {one.kind: one.state for one in shop.requests()} == {
        "customers/data_request": "lapsed",
        "shop/redact": "done",
    }
    assert "inbox.events" not in shop.everything()


# -- the years are over ----------------------------------------------------------------------------------------------


@BOTH
def test_b9_a_redacted_tenant_is_deleted_whole_when_its_last_hold_ends(shop: Compliance) -> None:
    """Not on the last day of the eighth year, but on the first after it; what is left is one row that says so."""
    order = shop.lived(bought())
    heard_of = [paper.state["number"] for paper in shop.papers(order)]
    leave(shop)
    ctx = shop.ladenbuch.context
    shop.clock.advance_to(datetime(2034, 12, 31, 22, 30, tzinfo=UTC))  # 23:30 in Berlin
    assert retain(ctx)["ended"] == 0 and len(shop.held()) == 1
    chain = shop.chain()
    shop.clock.advance_to(datetime(2034, 12, 31, 23, 30, tzinfo=UTC))
    done = retain(ctx)
    assert (done["holds"], done["ended"]) == (1, 1)
    assert erasure.residue(shop.database, TENANT) == {}
    assert shop.in_files(*NEEDLES, order, *heard_of) == {}
    [proof] = shop.database.system("prune").read(Store.BOOKS, erasure.erased)
    assert (proof.tenant, proof.shop, proof.actor, proof.at) == (TENANT, SHOP, "retention", shop.clock.now())
    assert proof.rows["books.audit_entries"] == len(chain) + 1 and proof.rows["books.documents"] == 1
    assert shop.everything().keys() == {"books.erasures"}
    assert retain(ctx)["ended"] == 0


def test_b9_what_was_booked_later_than_the_last_document_is_kept_for_its_own_years(shop: Compliance) -> None:
    shop.lived(bought())
    table = books.bookings
    shop.database.tenant(TENANT).run(
        Store.BOOKS, lambda tx: tx.execute(sa.update(table).values(booked_on="2027-01-04"))
    )
    leave(shop)
    ctx = shop.ladenbuch.context
    shop.clock.advance_to(datetime(2035, 1, 1, 12, tzinfo=UTC))
    done = retain(ctx)
    assert (done["holds"], done["ended"]) == (1, 0)
    shop.clock.advance_to(datetime(2036, 1, 1, 12, tzinfo=UTC))
    assert retain(ctx)["ended"] == 1 and erasure.residue(shop.database, TENANT) == {}


def test_a_redacted_tenant_without_documents_stays_a_month_for_a_shop_that_comes_back(shop: Compliance) -> None:
    leave(shop)
    ctx = shop.ladenbuch.context
    shop.clock.advance_to(shop.clock.now() + timedelta(days=29))
    assert retain(ctx)["ended"] == 0
    shop.clock.advance_to(shop.clock.now() + timedelta(days=1))
    assert retain(ctx)["ended"] == 1


# -- answers nobody fetches ------------------------------------------------------------------------------------------


def test_an_answer_nobody_fetches_alarms_ten_days_before_it_is_due_and_is_erased_two_months_after(
    shop: Compliance,
) -> None:
    """Art. 12 (3) GDPR: a month, which can be extended by two; then nobody needs it here any more."""
    ask(shop)
    ctx, began = shop.ladenbuch.context, shop.clock.now()

    def alarmed() -> list[str]:
        found = shop.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))
        return [one.sentence for one in found]

    shop.clock.advance_to(began + timedelta(days=19))
    retain(ctx)
    assert alarmed() == []
    shop.clock.advance_to(began + timedelta(days=21))
    retain(ctx)
    assert alarmed() == ["nobody fetched the answer to data request 4711, which is due on 2026-12-02"]
    shop.clock.advance_to(began + timedelta(days=89))
    assert retain(ctx)["answers"] == 0 and "privacy_requests.answer" in shop.opened(MAIL)
    shop.clock.advance_to(began + timedelta(days=91))
    assert retain(ctx)["answers"] == 1
    [request] = shop.requests()
    assert (request.state, request.answered) == ("lapsed", False) and "nobody fetched it" in request.note
    assert shop.events().count("retention.answer") == 1
    assert shop.opened(MAIL) == set()
    retain(ctx)
    assert alarmed() == []
    with pytest.raises(Rejected, match="no answer waits"):
        privacy_work.fetch(ctx, TENANT, "4711", by="operator")


def test_an_answer_that_is_fetched_ends_its_alarm(shop: Compliance) -> None:
    """While it waits, the doctor says until when."""
    ask(shop)
    told: list[tuple[bool, str]] = []
    check_privacy(shop.ladenbuch, TENANT, lambda name, ok, english, german: told.append((ok, english)))
    [(fine, sentence)] = told
    assert fine and "fetched: 1, the first" in sentence and "2026-12-02" in sentence
    ctx = shop.ladenbuch.context
    shop.clock.advance_to(shop.clock.now() + timedelta(days=25))
    retain(ctx)
    privacy_work.fetch(ctx, TENANT, "4711", by="operator")
    assert shop.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT)) == []


# -- what was sealed before tenants had keys -------------------------------------------------------------------------


def test_b9_a_redaction_reaches_the_rows_of_its_order_from_before_there_were_data_keys(shop: Compliance) -> None:
    """v1 rows hang on a root key, which cannot be forgotten for one buyer: they are sealed anew first."""
    mine, theirs = shop.lived(bought(), 1001), shop.lived(bought(guest=True), 1002)
    door, vault = shop.database.tenant(TENANT), shop.ladenbuch.vault
    for column in V1:
        for row in door.read(column.store, lambda tx, c=column: c.older(tx, TENANT, None, ())):  # type: ignore[misc]
            plain = vault.open(TENANT, column.purpose(row), column.row_id(row), column.sealed(row))
            old = v1(KEY, TENANT, column.purpose(row), plain)
            door.run(column.store, lambda tx, c=column, r=row, o=old: c.replace(tx, TENANT, r, o))  # type: ignore[misc]

    def left() -> dict[str, int]:
        found = {one.name: door.read(one.store, lambda tx, c=one: c.by_root(tx, TENANT)) for one in V1}  # type: ignore[misc]
        return {name: count for name, count in found.items() if count}

    assert before_data_keys(shop.database, TENANT) == sum(left().values()) == 6
    told: list[tuple[str, bool, str]] = []
    check_privacy(shop.ladenbuch, TENANT, lambda name, ok, english, german: told.append((name, ok, english)))
    [(name, fine, sentence)] = told
    assert (name, fine) == ("house: forgetting", False) and sentence.startswith("6 rows")
    assert left() == {"letters.payload": 2, "documents.pins": 2, "orders.snapshot": 2}
    redact(shop, mine, email="nobody@example.org")
    assert left() == {"letters.payload": 1, "documents.pins": 1, "orders.snapshot": 1}
    assert opened(shop.database, (MAIL,)) >= {"letters.payload"}, "the other order's"
    redact(shop, theirs, id="theirs")
    told.clear()
    check_privacy(shop.ladenbuch, TENANT, lambda name, ok, english, german: told.append((name, ok, english)))
    assert told == []
    assert left() == {} and shop.opened(*NEEDLES) == {"documents.pins"}
