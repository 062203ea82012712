"""The three compliance topics from the door to the last backup (B9, S24, facts 3.7): real stores, virtual years."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from acceptance.invoice_cases import FRENCH_FIRM, MUG, buyer, firm, placed, sent
from compliance import (
    BOTH,
    CUSTOMER,
    MAIL,
    NAME,
    NEEDLES,
    SHOP,
    STREET,
    TENANT,
    Compliance,
    bought,
    heard,
    number,
    opened,
    redact,
    shops,
)
from house import life
from ladenbuch import books, inbox, outbox, tenants
from ladenbuch.db import Store
from ladenbuch.errors import Rejected
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.workflows import leaving, lifecycle, privacy
from ladenbuch.workflows.redaction import Buyer
from ladenbuch.workflows.retention import retain

OTHER = ("Erika Müller", "Hafenweg 3", "buyer.1002@example.org")
TOPICS = ("customers/data_request", "customers/redact", "shop/redact")


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Compliance]:
    yield from shops(request, tmp_path)


def by_another(order: ShopOrder) -> None:
    buyer(order)
    order.add(MUG, 1)
    placed(order)


def letters(shop: Compliance, order_id: str) -> list[str]:
    door = shop.database.tenant(TENANT)
    return [item.state for item in door.read(Store.BOOKS, lambda tx: outbox.of_order(tx, TENANT, order_id))]


def certificate(shop: Compliance, order_id: str) -> Any:
    query = sa.select(books.orders.c.certificate).where(books.orders.c.order_id == order_id)
    text = shop.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(query).scalar_one())
    return json.loads(text)


# -- the door --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", TOPICS)
def test_a_compliance_topic_with_a_bad_signature_is_401_and_leaves_no_trace(shop: Compliance, topic: str) -> None:
    """Shopify's review asks for exactly this (facts 3.7)."""
    told = {"shop_id": 1, "shop_domain": SHOP, "customer": {"id": 1, "email": MAIL}, "orders_to_redact": [1]}
    assert shop.post(topic, told, secret="another secret", id="forged") == 401
    assert (shop.told("forged"), shop.requests()) == (None, [])
    assert shop.post(topic, {}, id="empty") == 200  # genuine, and about nobody


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("named", ["other.myshopify.com", None])
def test_a_body_that_names_another_shop_is_kept_flagged_and_nothing_is_done(
    shop: Compliance, topic: str, named: str | None
) -> None:
    order = shop.lived(bought())
    if topic == "shop/redact":
        shop.database.tenant(TENANT).run(
            Store.BOOKS, lambda tx: tenants.set_state(tx, TENANT, "uninstalled", shop.clock.now())
        )
    before = shop.opened(*NEEDLES)
    told = {"shop_id": 1, "shop_domain": named, "customer": {"id": CUSTOMER, "email": MAIL}, "orders_to_redact": [number(order)]}  # fmt: skip  # noqa: E501
    assert shop.post(topic, told, id="strange") == 200
    assert shop.told("strange") == "PRIVACY-SHOP"
    assert [(one.kind, one.state) for one in shop.requests()] == [(topic, "refused")]
    assert shop.opened(*NEEDLES) == before | {"events.body"}
    assert "privacy.refused" in shop.events() and "privacy.erased" not in shop.events()
    assert MAIL not in json.dumps(shop.chain())


# -- customers/redact ------------------------------------------------------------------------------------------------


@BOTH
def test_b9_after_a_redaction_no_store_no_backup_and_no_log_names_the_buyer(
    shop: Compliance, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mine, theirs, second = shop.lived(bought(), 1001), shop.lived(by_another, 1002), shop.lived(bought(), 1003)
    heard(shop, mine)
    kept = {one: (shop.ledger(one), certificate(shop, one), shop.verdict(one)) for one in (mine, theirs, second)}
    papers = [paper.text for paper in shop.papers(mine)]
    assert letters(shop, mine) == ["promised"]
    everywhere = {"events.body", "orders.snapshot", "letters.payload", "documents.pins"}
    assert shop.opened(*NEEDLES) == everywhere, "the search finds what there is"
    backup = shop.backup(tmp_path / "before")

    redact(shop, mine)  # Shopify lists one order; the other one is found by its customer

    assert shop.told("redact") == "REDACTED"
    assert shop.in_files(*NEEDLES) == {}
    assert shop.opened(*NEEDLES) == {"documents.pins"}, "the hold list alone"
    restored = shop.restored(backup, tmp_path / "restored")
    assert opened(restored, NEEDLES) == {"documents.pins"}
    restored.close()
    assert shop.opened(*OTHER) >= {"orders.snapshot", "letters.payload", "documents.pins"}, "nobody else was forgotten"
    assert [needle for needle in NEEDLES if needle in caplog.text] == []
    assert [needle for needle in NEEDLES if needle in json.dumps(shop.chain(), ensure_ascii=False)] == []
    assert letters(shop, mine) == ["failed"] and letters(shop, theirs) == ["promised"]
    assert sorted((one.subject, one.until) for one in shop.held()) == sorted(
        (one, date(2034, 12, 31)) for one in (mine, second)
    )
    # accounted for, and as it was: now, and after Shopify speaks of it again, with or without the buyer
    for order_id in (mine, theirs, second):
        shop.settle(order_id)
        assert (shop.ledger(order_id), certificate(shop, order_id), shop.verdict(order_id)) == kept[order_id]
    assert [paper.text for paper in shop.papers(mine)] == papers
    assert shop.opened(*NEEDLES) == {"documents.pins"}
    [request] = shop.requests()
    assert (request.state, request.orders) == ("done", 2)
    assert "2034-12-31" in request.note and "§ 147" in request.note and "sevdesk" in request.note


def test_b9_hold_entries_expire_by_themselves_in_the_eighth_year_and_not_before(shop: Compliance) -> None:
    """Virtual years: the last day is kept, the first day after it is not; the chain holds all the way."""
    order = shop.lived(bought())
    redact(shop, order)
    for year in range(2027, 2035):
        shop.clock.advance_to(datetime(year, 12, 31, 22, 30, tzinfo=UTC))  # 23:30 in Berlin
        retain(shop.ladenbuch.context)
        assert len(shop.held()) == 1, year
    ledger, before = shop.ledger(order), shop.opened(NAME)
    shop.clock.advance_to(datetime(2034, 12, 31, 23, 30, tzinfo=UTC))  # half past midnight
    assert retain(shop.ladenbuch.context)["holds"] == 1
    assert (before, shop.opened(*NEEDLES), shop.held()) == ({"documents.pins"}, set(), [])
    assert shop.in_files(*NEEDLES) == {}
    shop.settle(order)
    assert shop.ledger(order) == ledger and shop.questions(order) == []
    assert "privacy.released" in shop.events()


@BOTH
def test_b9_a_vat_id_and_what_was_asked_about_it_go_with_the_documents_it_decided(shop: Compliance) -> None:
    """Proof of a tax-free supply (§ 6a UStG) for its years; then not a character of it is left, append-only or not."""
    vat_id = "FR40303265045"

    def script(order: ShopOrder) -> None:
        firm(order, *FRENCH_FIRM, vat_id)
        order.add(MUG, 4, rates=())
        placed(order)
        sent(order)

    order = shop.lived(script)
    assert shop.verdict(order)[0] == "documented", (shop.questions(order), shop.verdict(order))
    redact(shop, order, id=f"{number(order)}", email="nobody@example.org")
    assert sorted(one.kind for one in shop.held()) == ["documents", "vat-id"]
    assert shop.in_files(vat_id).get(vat_id, 0) > 0 and vat_id not in json.dumps(shop.chain())
    shop.clock.advance_to(datetime(2035, 1, 1, 12, tzinfo=UTC))
    assert retain(shop.ladenbuch.context)["holds"] == 2
    assert (shop.in_files(vat_id), shop.opened(vat_id), shop.held()) == ({}, set(), [])
    ledger = shop.ledger(order)
    shop.settle(order)
    assert shop.ledger(order) == ledger and shop.questions(order) == []
    shop.database.truncate_logs()
    assert (shop.in_files(vat_id), shop.opened(vat_id)) == ({}, set()), "a look at the order brings nothing back"
    shop.chain()


def test_documents_nobody_asked_about_lose_their_buyer_after_the_same_years(shop: Compliance) -> None:
    """Storage limitation needs no request (Art. 5 (1) e GDPR)."""
    order = shop.lived(bought())
    shop.clock.advance_to(datetime(2034, 12, 30, tzinfo=UTC))
    assert retain(shop.ladenbuch.context)["documents"] == 0
    shop.clock.advance_to(datetime(2035, 1, 2, tzinfo=UTC))
    done = retain(shop.ladenbuch.context)
    assert (done["documents"], done["holds"]) == (1, 1)
    assert shop.opened(*NEEDLES) == set()
    shop.chain()
    assert shop.verdict(order)[0] == "documented"


def test_b9_a_buyer_known_by_mail_alone_is_forgotten_and_recognised_later(shop: Compliance) -> None:
    """Guests: the request names no order and no customer; an order that turns up later is theirs, a new one is not."""
    known = shop.lived(bought(guest=True), 1001)
    redact(shop, id="by-mail", email=MAIL.upper())
    assert shop.told("by-mail") == "REDACTED" and shop.requests()[0].orders == 1
    assert shop.opened(*NEEDLES) == {"documents.pins"}
    heard(shop, known, "late")  # Shopify repeats an old webhook: its body is erased with the settle it asks for
    assert shop.opened(*NEEDLES) == {"documents.pins"}
    shop.clock.advance_to(shop.clock.now() + timedelta(days=1))
    shop.lived(bought(guest=True), 1004)
    assert "orders.snapshot" in shop.opened(MAIL), "who buys again is a customer again"


def test_an_older_order_that_turns_up_after_the_request_is_documented_without_a_letter(shop: Compliance) -> None:
    first = shop.lived(bought(), 1001)
    told = life(1005, shop.clock.now() + timedelta(minutes=5), bought())
    shop.shopify.load([told])
    shop.clock.advance_to(told.events[-1].at + timedelta(minutes=1))
    redact(shop, first)  # nobody has told us of the second one yet
    shop.shopify.advance(shop.clock.now())
    shop.settle(told.order_id)
    assert shop.ledger(told.order_id) and shop.verdict(told.order_id)[0] == "documented"
    assert letters(shop, told.order_id) == []
    assert shop.opened(*NEEDLES) == {"documents.pins"}
    assert {one.subject for one in shop.held()} == {first, told.order_id}


def test_late_news_about_a_forgotten_buyer_is_erased_even_when_nothing_is_settled(shop: Compliance) -> None:
    order = shop.lived(bought())
    redact(shop, order)
    lifecycle.suspend(shop.ladenbuch.context, TENANT, "somebody looks into it", by="operator")
    heard(shop, order, "late")
    assert "events.body" in shop.opened(MAIL)
    assert retain(shop.ladenbuch.context)["late_news"] == 1
    assert shop.opened(*NEEDLES) == {"documents.pins"}


def test_a_refund_after_the_redaction_is_credited_to_the_pinned_buyer(shop: Compliance) -> None:
    """The law wants the correction as well as the invoice: it is written from the hold list."""

    def script(order: ShopOrder) -> None:
        bought()(order)
        sent(order)
        order.wait(3600, 3600)
        order.refund([(order.lines[0], 1)])
        order.emit("refunds/create", "orders/updated")

    told = life(1001, shop.clock.now() + timedelta(minutes=5), script)
    shop.shopify.load([told])
    *before, refund = told.events
    for event in before:
        shop.clock.advance_to(event.at)
        shop.shopify.advance(shop.clock.now())
        shop.settle(told.order_id)
    redact(shop, told.order_id)
    shop.clock.advance_to(refund.at)
    shop.shopify.advance(shop.clock.now())
    shop.settle(told.order_id)
    texts = [paper.text for paper in shop.papers(told.order_id)]
    assert len(texts) == 2 and all(NAME in text for text in texts)
    assert shop.opened(*NEEDLES) == {"documents.pins"}
    assert letters(shop, told.order_id) == ["failed"]


def test_the_same_request_again_does_nothing_more(shop: Compliance) -> None:
    order = shop.lived(bought())
    redact(shop, order)
    entries = len(shop.chain())
    redact(shop, order)
    assert len(shop.chain()) == entries
    redact(shop, order, id="asked-again")
    assert [one.state for one in shop.requests()] == ["done", "done"]
    assert shop.opened(*NEEDLES) == {"documents.pins"}


# -- customers/data_request ------------------------------------------------------------------------------------------


def test_a_data_request_is_answered_by_one_file_sealed_until_it_is_fetched(shop: Compliance) -> None:
    mine, theirs = shop.lived(bought(), 1001), shop.lived(by_another, 1002)
    heard(shop, mine)
    told = {"shop_id": 1, "shop_domain": SHOP, "orders_requested": [number(mine)],
            "customer": {"id": CUSTOMER, "email": MAIL, "phone": None}, "data_request": {"id": 4711}}  # fmt: skip
    assert shop.post("customers/data_request", told, id="tell") == 200
    assert shop.told("tell") == "PREPARED"
    [request] = shop.requests()
    assert (request.id, request.state, request.due_at - request.received_at) == ("4711", "open", timedelta(days=30))
    assert shop.in_files(*NEEDLES) == {}
    ctx = shop.ladenbuch.context
    answer = privacy.fetch(ctx, TENANT, "4711", by="operator")
    text = json.dumps(answer, ensure_ascii=False)
    assert all(needle in text for needle in NEEDLES) and mine in text and theirs not in text
    [order] = answer["orders"]
    assert order["documents"][0]["number"] and order["letters"][0]["to"] == MAIL and order["webhooks_received"]
    [told_of] = order["webhooks_received"]
    assert told_of["said"]["billing_address"]["address1"] == STREET
    assert sum(item["amount_minor"] for item in order["payments"]) == order["documents"][0]["gross_minor"]
    assert [one.state for one in shop.requests()] == ["answered"]
    assert shop.events()[-2:] == ["privacy.prepared", "privacy.answered"]
    shop.clock.advance_to(shop.clock.now() + timedelta(days=31))
    assert retain(ctx)["answers"] == 1
    assert "privacy_requests.answer" not in shop.opened(*NEEDLES)


def test_the_answer_holds_what_was_only_heard_of_an_order_that_was_never_settled(shop: Compliance) -> None:
    """All we hold is more than what we settled: a suspended tenant's webhooks name buyers, too."""
    lifecycle.suspend(shop.ladenbuch.context, TENANT, "somebody looks into it", by="operator")
    heard(shop, "gid://shopify/Order/77", "only-heard")
    lifecycle.resume(shop.ladenbuch.context, TENANT, by="operator")
    told = {"shop_id": 1, "shop_domain": SHOP, "orders_requested": [], "customer": {"id": CUSTOMER, "email": MAIL},
            "data_request": {"id": 4712}}  # fmt: skip
    assert shop.post("customers/data_request", told, id="tell") == 200
    text = json.dumps(privacy.fetch(shop.ladenbuch.context, TENANT, "4712", by="operator"), ensure_ascii=False)
    assert STREET in text


# -- shop/redact, and what is kept how long --------------------------------------------------------------------------


@BOTH
def test_s24_shop_redact_takes_all_but_what_the_law_keeps_and_the_shop_may_return(
    shop: Compliance, tmp_path: Path
) -> None:
    mine, theirs = shop.lived(bought(), 1001), shop.lived(by_another, 1002)
    heard(shop, mine)
    backup = shop.backup(tmp_path / "before")
    ledger = (shop.ledger(mine), shop.ledger(theirs))
    ctx = shop.ladenbuch.context
    told = {"shop_id": 1, "shop_domain": SHOP}
    assert shop.post("shop/redact", told, id="too-early") == 200
    assert shop.told("too-early") == "STILL-INSTALLED" and shop.requests()[0].state == "refused"
    lifecycle.uninstall(ctx, TENANT, by="Shopify")
    shop.clock.advance_to(shop.clock.now() + timedelta(hours=48))
    assert shop.post("shop/redact", told, id="gone") == 200
    assert shop.told("gone") == "REDACTED"

    def read(tx: Any) -> tuple[Any, ...]:
        from ladenbuch.vault import secrets

        return tenants.get(tx, TENANT).state, tx.execute(sa.select(secrets.c.name)).all()

    assert shop.database.tenant(TENANT).read(Store.BOOKS, read) == ("redacted", [])
    everybody = (*NEEDLES, *OTHER)
    assert shop.in_files(*everybody) == {}
    assert shop.opened(*everybody) == {"documents.pins"}
    restored = shop.restored(backup, tmp_path / "restored")
    assert opened(restored, everybody) == set(), "its data keys are gone: a backup shows nothing at all"
    restored.close()
    assert (shop.ledger(mine), shop.ledger(theirs)) == ledger
    assert len(shop.held()) == 2
    shop.chain()
    now = shop.clock.now()
    shop.database.tenant(TENANT).run(Store.BOOKS, lambda tx: tenants.set_state(tx, TENANT, "active", now))
    with pytest.raises(Rejected, match="the tenant is active"):
        leaving.redact(ctx, TENANT, by="x", why="y")


def test_s24_a_tenant_that_left_without_a_shop_redact_is_redacted_after_30_days(shop: Compliance) -> None:
    shop.lived(bought())
    ctx = shop.ladenbuch.context
    lifecycle.uninstall(ctx, TENANT, by="Shopify")
    shop.clock.advance_to(shop.clock.now() + timedelta(days=29))
    assert retain(ctx)["tenants"] == 0
    shop.clock.advance_to(shop.clock.now() + timedelta(days=1))
    assert retain(ctx)["tenants"] == 1
    assert shop.opened(*NEEDLES) == {"documents.pins"}
    assert shop.events().count("tenant.redacted") == 1


def test_what_was_heard_is_deleted_after_its_days_but_not_what_still_has_to_be_done(shop: Compliance) -> None:
    order = shop.lived(bought())
    heard(shop, order, "old")
    now = shop.clock.now()
    delivery = inbox.Delivery(TENANT, "undone", "shop/update", SHOP, now, b"{}", acted_on=True)
    assert shop.commit.submit(delivery).result(5)
    shop.clock.advance_to(now + timedelta(days=61))
    ctx = shop.ladenbuch.context
    assert retain(ctx)["inbox"] == 1
    assert shop.database.tenant(TENANT).read(Store.INBOX, lambda tx: inbox.heard(tx, TENANT, "undone")) is not None
    assert shop.events()[-1] == "retention.inbox"
    assert retain(replace(ctx, keeping=replace(ctx.keeping, inbox_days=1.0)))["inbox"] == 0


def test_a_buyer_is_recognised_by_customer_or_by_mail_in_any_writing() -> None:
    who = Buyer.of({"id": 7, "email": " A@Example.org "})
    assert who.bought({"order": {"customer": {"id": "gid://shopify/Customer/7"}}})
    assert who.bought({"email": "a@example.ORG"}) and who.bought({"customer": {"id": 7}})
    assert who.bought({"order": {"customer": {"defaultEmailAddress": {"emailAddress": "a@example.org"}}}})
    assert not who.bought({"order": {"customer": {"id": "gid://shopify/Customer/8"}, "email": "b@example.org"}})
    assert not Buyer.of(None).bought({"order": {"email": None, "customer": None}})
    assert Buyer.of({"id": True}).customer is None
