"""Events for other tools: told once with the fact, signed, in order, tried again, switched off, replayed (S112)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bought import MUG, bought, returned
from house import TENANT, House
from ladenbuch import alarms, audit, events, tenants
from ladenbuch.db import Database, Store
from ladenbuch.domain import event_words as words
from ladenbuch.domain.receivers import address_of
from ladenbuch.errors import Rejected
from ladenbuch.receivers import Answer, Receivers
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import address
from ladenbuch.workflows import event_delivery as delivery
from ladenbuch.workflows import lifecycle, redaction, retention
from ladenbuch.workflows.context import Context

BOOKS = Store.BOOKS
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
URL = "https://hooks.example.org/catch/s3cret"


class Tool(Receivers):
    """A receiver of somebody else: verifies as the standard says, and answers what it is told to."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock=clock)
        self.now = clock
        self.got: list[tuple[str, str, dict[str, Any]]] = []
        self.heads: list[dict[str, str]] = []
        self.tried = 0
        self.answers: list[Answer | Exception] = []
        self.usual = Answer(204)

    def post(self, url: str, body: bytes, headers: Any) -> Answer:
        address_of(url)
        self.tried += 1
        answer = self.answers.pop(0) if self.answers else self.usual
        if isinstance(answer, Exception):
            raise answer
        if answer.took:
            self.heads.append(dict(headers))
            said = json.loads(body)
            self.got.append((headers["webhook-id"], said["type"], said))
        return answer

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.got]


GATEWAYS = {"shopify_payments": {"mode": "clearing+payouts"}}
Room = tuple[House, Context, Tool]


def opened_room(folder: Path, **profile: Any) -> House:
    return House(folder, NOW, {"gateways": GATEWAYS, "oss_from": "2026-01-01", **profile}, receivers=Tool)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    house = opened_room(tmp_path)
    assert isinstance(house.receivers, Tool)
    yield house, house.ladenbuch.context, house.receivers
    house.close()
    assert house.sevdesk.internal_errors == []


def named(ctx: Context, *kinds: str, number: int = 1, url: str = URL) -> tuple[str, str]:
    """A receiver, with its secret."""
    to, secret = delivery.add(ctx, TENANT, url, words.wanted(kinds), bytes([number]) * 32, f"ep{number}", by="test")
    return to.id, secret


def endpoint(ctx: Context, id: str) -> events.Endpoint:
    return ctx.door(TENANT).read(BOOKS, lambda tx: events.endpoint(tx, TENANT, id))


def found(ctx: Context, **which: Any) -> list[events.Delivery]:
    return ctx.door(TENANT).read(BOOKS, lambda tx: events.found(tx, TENANT, events.Which(**which), 1000))


def open_alarms(ctx: Context) -> list[str]:
    return [one.kind for one in ctx.door(TENANT).read(BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))]


def verified(head: dict[str, str], body: bytes, secret: str) -> bool:
    """As a receiver's own library does it, from the standard and nothing of ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    given = [one.partition(",")[2] for one in head["webhook-signature"].split(" ") if one.startswith("v1,")]
    return any(hmac.compare_digest(one, wanted) for one in given)


# -- telling -----------------------------------------------------------------------------------------------------------


def test_s112_a_life_is_told_in_its_order_once_and_without_anybody(room: Room) -> None:
    house, ctx, tool = room
    _, secret = named(ctx)
    order = house.lived(returned)
    assert tool.kinds == ["invoice.created", "payment.booked", "invoice.corrected", "refund.booked"]
    invoice, correction = house.ledger(order)[1][1], house.ledger(order)[0][1]
    said = {kind: body["data"] for _, kind, body in tool.got}
    assert {one["order"]["id"] for one in said.values()} == {order}
    assert {one["order"]["name"] for one in said.values()} == {"#1001"}
    numbers = {said["invoice.created"]["document"]["number"], said["invoice.corrected"]["document"]["number"]}
    assert numbers == {invoice, correction}
    assert said["invoice.corrected"]["corrects"]["number"] == said["invoice.created"]["document"]["number"]
    assert said["payment.booked"]["booking"]["amount"] == said["invoice.created"]["document"]["gross"]
    assert said["invoice.created"]["document"]["link"].endswith(said["invoice.created"]["document"]["sevdesk_id"])
    stamps = [body["timestamp"] for _, _, body in tool.got]
    assert stamps == sorted(stamps) and len(set(stamps)) == 4
    everything = json.dumps([body for _, _, body in tool.got]).lower()
    assert not any(word in everything for word in ("erika", "muster", "@", "straße", "street", "phone", "zip"))
    for _ in range(2):  # B13: re-running tells nothing twice
        house.clock.advance(3600)
        house.settle(order)
    assert len(tool.got) == 4 and len({id for id, _, _ in tool.got}) == 4
    body = words.body_of("invoice.created", found(ctx)[0].at, tool.got[0][2]["data"]).encode()
    assert verified(tool.heads[0], body, secret)


def test_s112_nothing_is_noted_while_nobody_wants_to_hear_it(room: Room) -> None:
    house, ctx, tool = room
    house.lived(bought)
    id, _ = named(ctx, "invoice.corrected")
    house.lived(bought, 1002)
    assert tool.got == [] and found(ctx) == []
    assert delivery.replay(ctx, TENANT, id, events.Which(), by="test", preview=True) == []


def test_s112_a_question_to_a_person_is_told_by_its_code_alone(room: Room) -> None:
    house, ctx, tool = room
    named(ctx, "order.attention")

    def unclear(order: ShopOrder) -> None:
        order.billing = order.delivery = {**address(order.rng), "firstName": "Erika", "lastName": "Muster"}
        order.add(MUG, 1)
        order.place()
        order.pay("klarna")
        order.emit("orders/create", "orders/paid")

    order = house.lived(unclear)
    assert house.questions(order) == [tool.got[0][2]["data"]["code"]]
    house.settle(order)
    assert len(tool.got) == 1 and set(tool.got[0][2]["data"]) == {"shop", "order", "code"}


def test_s112_money_that_a_person_booked_is_told_once(tmp_path: Path) -> None:
    house = House(tmp_path, NOW, {"gateways": {"bank_deposit": "bank"}, "oss_from": "2026-01-01"}, receivers=Tool)
    ctx, tool = house.ladenbuch.context, house.receivers
    assert isinstance(tool, Tool)
    named(ctx, "payment.booked")

    def sent_first(order: ShopOrder) -> None:
        order.billing = order.delivery = {**address(order.rng), "firstName": "Erika", "lastName": "Muster"}
        order.add(MUG, 2)
        order.place()
        order.pay("bank_deposit", status="PENDING")
        order.ship()
        order.emit("orders/create", "orders/fulfilled")

    order = house.lived(sent_first)
    ((_, number),) = house.ledger(order)
    invoice = house.invoices()[0]
    bank = next(row["id"] for row in house.state("accounts") if row["name"] == "Bank")
    for _ in range(2):
        house.person({"do": "book", "id": invoice["id"], "account": bank, "amount": "10.00"})
        for _ in range(2):
            house.clock.advance(3600)
            house.settle(order)
    said = [body["data"]["booking"] for _, _, body in tool.got]
    assert said == [{"transaction": None, "amount": words.money(1000, "EUR"), "document": number}] * 2
    assert len({id for id, _, _ in tool.got}) == 2
    house.close()


def test_s112_an_event_is_there_exactly_if_its_fact_is(room: Room) -> None:
    """Written in the transaction of the fact: rolled back with it, and no second one with its key."""
    _, ctx, _ = room
    named(ctx)
    door = ctx.door(TENANT)

    def tell(tx: Any, key: str) -> int:
        id = words.webhook_id(TENANT, key)
        return events.tell(tx, TENANT, id, "invoice.created", "gid://o/1", ctx.clock(), lambda at: f"{at:%f}")

    def broken(tx: Any) -> None:
        assert tell(tx, "a") == 1
        raise ValueError

    with pytest.raises(ValueError):
        door.run(BOOKS, broken)
    assert found(ctx) == []
    assert [door.run(BOOKS, lambda tx: tell(tx, "a")) for _ in range(3)] == [1, 0, 0]
    assert door.run(BOOKS, lambda tx: tell(tx, "b")) == 1
    first, second = found(ctx)
    assert second.at - first.at == timedelta(microseconds=1), "two events of an order never bear one instant"


# -- delivering --------------------------------------------------------------------------------------------------------


def test_s112_what_a_receiver_did_not_take_comes_again_with_the_same_id_and_before_what_follows(room: Room) -> None:
    house, ctx, tool = room
    id, _ = named(ctx)
    tool.answers = [Answer(500, "RECEIVER-ANSWER", "it answered 500")]
    house.lived(bought)
    assert tool.got == [] and tool.tried == 1
    assert [(one.kind, one.state, one.attempts) for one in found(ctx)] == [
        ("invoice.created", "waiting", 1), ("payment.booked", "waiting", 0),
    ]  # fmt: skip
    assert delivery.deliver_events(ctx) == 0, "left alone for a moment"
    house.clock.advance(6)
    assert delivery.deliver_events(ctx) == 1 and delivery.deliver_events(ctx) == 1
    assert tool.kinds == ["invoice.created", "payment.booked"]
    assert endpoint(ctx, id).failing_since is None and open_alarms(ctx) == []


def test_s112_an_answer_that_was_lost_leads_to_the_same_event_again(room: Room) -> None:
    """At least once: the process dies after the receiver took it, and before that is written down."""
    house, ctx, tool = room
    named(ctx, "invoice.created")
    real, lost = delivery._note, []

    def dies(*args: Any) -> None:
        lost.append(args)
        raise RuntimeError("killed")

    delivery._note = dies
    try:
        house.lived(bought)
    finally:
        delivery._note = real
    assert len(tool.got) == 1 and len(lost) == 1
    assert delivery.deliver_events(ctx) == 0, "its claim holds for a minute"
    house.clock.advance(61)
    assert delivery.deliver_events(ctx) == 1
    assert len({id for id, _, _ in tool.got}) == 1 and len(tool.got) == 2
    assert tool.got[0][2] == tool.got[1][2], "the same bytes"


def test_s112_one_poisoned_event_is_given_up_and_holds_up_its_own_order_alone(room: Room) -> None:
    house, ctx, tool = room
    id, _ = named(ctx, "invoice.created", "payment.booked")
    first = house.lived(bought)
    tool.got.clear()
    poisoned: list[str] = []
    usual = tool.post

    def picky(url: str, body: bytes, headers: Any) -> Answer:
        order = json.loads(body)["data"]["order"]["id"]
        if order == poisoned[0] and json.loads(body)["type"] == "invoice.created":
            tool.tried += 1
            return Answer(422, "RECEIVER-ANSWER", "it answered 422")
        return usual(url, body, headers)

    tool.post = picky  # type: ignore[method-assign]
    poisoned.append("gid://shopify/Order/5100004104193")
    assert house.lived(bought, 1002) == poisoned[0] != first
    other = house.lived(bought, 1003)
    for _ in range(60):
        house.clock.advance(7200)
        delivery.deliver_events(ctx)
    told = [(kind, body["data"]["order"]["id"]) for _, kind, body in tool.got]
    assert told == [("invoice.created", other), ("payment.booked", other), ("payment.booked", poisoned[0])]
    given_up = found(ctx, state="given_up")
    assert [(one.kind, one.attempts, one.status) for one in given_up] == [("invoice.created", 10, 422)]
    assert endpoint(ctx, id).off_at is None


def test_s112_a_receiver_that_takes_nothing_for_days_is_told_of_and_then_switched_off(room: Room) -> None:
    house, ctx, tool = room
    id, _ = named(ctx)
    tool.usual = Answer(None, "RECEIVER-UNREACHABLE", "it did not answer in time")
    house.lived(bought)
    began, seen = house.clock.now(), set[str]()
    while house.clock.now() - began < timedelta(days=8):
        house.clock.advance(7200)
        delivery.deliver_events(ctx)
        if (now := house.clock.now() - began) < timedelta(days=6) and now.total_seconds() % 172_800 < 7200:
            house.lived(bought, 1100 + now.days)
        if (kinds := open_alarms(ctx)) and kinds[-1] not in seen:
            seen.add(kinds[-1])
            assert now >= (words.TOLD_AFTER if kinds == ["EVENTS-FAIL"] else words.OFF_AFTER)
    to = endpoint(ctx, id)
    assert seen == {"EVENTS-FAIL", "EVENTS-OFF"} and open_alarms(ctx) == ["EVENTS-OFF"]
    assert to.off_at is not None and words.OFF_AFTER <= to.off_at - began < words.OFF_AFTER + timedelta(days=1)
    assert {one.state for one in found(ctx)} == {"held", "given_up"}
    tried = tool.tried
    house.lived(bought, 1200)
    house.clock.advance(86_400)
    delivery.deliver_events(ctx)
    assert tool.tried == tried, "nobody asks it any more"
    with pytest.raises(Rejected, match="switched off"):
        delivery.replay(ctx, TENANT, id, events.Which(), by="test", preview=True)
    # It is back: what it missed is sent when somebody says so, oldest first, each order's story in its order.
    tool.usual = Answer(200)
    assert delivery.switch(ctx, TENANT, id, on=True, by="test") and open_alarms(ctx) == []
    delivery.deliver_events(ctx)
    assert tool.got == []
    meant = delivery.replay(ctx, TENANT, id, events.Which(), by="test", preview=True)
    assert delivery.deliver_events(ctx) == 0 and len(meant) == len(found(ctx)), "a preview sends nothing"
    assert delivery.replay(ctx, TENANT, id, events.Which(), by="test", preview=False) == meant
    while delivery.deliver_events(ctx):
        pass
    assert sorted(id for id, _, _ in tool.got) == sorted(set(meant)) and len(set(meant)) == len(meant)
    stories = [(body["data"]["order"]["id"], kind) for _, kind, body in tool.got]
    for order in {order for order, _ in stories}:
        assert [kind for one, kind in stories if one == order] == ["invoice.created", "payment.booked"]


def test_s112_a_receiver_that_says_that_it_is_gone_is_switched_off_at_once(room: Room) -> None:
    house, ctx, tool = room
    id, _ = named(ctx)
    tool.answers = [Answer(410, "RECEIVER-ANSWER", "it answered 410")]
    house.lived(bought)
    assert endpoint(ctx, id).off_at is not None and open_alarms(ctx) == ["EVENTS-OFF"]
    assert delivery.remove(ctx, TENANT, id, by="test") == 0 and open_alarms(ctx) == [] and found(ctx) == []


def test_s112_what_waits_and_which_receivers_fail_are_figures(room: Room) -> None:
    house, ctx, tool = room
    id, _ = named(ctx)
    tool.usual = Answer(503, "RECEIVER-ANSWER", "it answered 503")
    house.lived(bought)
    house.clock.advance(90)
    house.ladenbuch.health("all")

    def figures() -> dict[str, float]:
        said = house.ladenbuch.metrics.render().decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in said if line.startswith(("events{", "event_re", "oldest_event"))]
        return {name: float(value) for name, value in pairs if float(value)}

    found_ = figures()
    assert 90 <= found_.pop("oldest_event_seconds") < 100
    assert found_ == {'events{state="waiting"}': 2, 'event_receivers{state="failing"}': 1}
    delivery.switch(ctx, TENANT, id, on=False, by="test")
    assert figures() == {'events{state="held"}': 2, 'event_receivers{state="off"}': 1}
    delivery.switch(ctx, TENANT, id, on=True, by="test")
    tool.usual = Answer(204)
    delivery.replay(ctx, TENANT, id, events.Which(), by="test", preview=False)
    house.clock.advance(1)
    assert figures()["oldest_event_seconds"] == 1, "what is sent once more waits since then"
    while delivery.deliver_events(ctx):
        pass
    assert figures() == {'event_receivers{state="fine"}': 1}


def test_s112_one_receivers_trouble_is_not_the_others(room: Room) -> None:
    house, ctx, tool = room
    named(ctx, number=1)
    named(ctx, number=2, url="https://other.example.org/")
    usual = tool.post

    def half(url: str, body: bytes, headers: Any) -> Answer:
        if "other" not in url:
            raise RuntimeError("nobody foresaw this")
        return usual(url, body, headers)

    tool.post = half  # type: ignore[method-assign]
    house.lived(bought)
    while delivery.deliver_events(ctx):
        pass
    assert tool.kinds == ["invoice.created", "payment.booked"]
    assert {(one.endpoint, one.state) for one in found(ctx)} == {("ep1", "waiting"), ("ep2", "delivered")}


def test_s112_receivers_of_shops_that_are_stopped_keep_no_other_waiting(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many receivers of a shop at rest as are looked at at once."""
    house, ctx, tool = room
    monkeypatch.setattr(delivery, "_BATCH", 2)
    system = ctx.database.system("operator")
    system.run(BOOKS, lambda tx: tenants.add(tx, id="aaa", shop="a.myshopify.com", cut_off=NOW, now=NOW))

    def tell(tx: Any) -> None:
        for name in ("e1", "e2", "e3"):
            events.add(tx, "aaa", name, "a.example", (), NOW)
        events.tell(tx, "aaa", "evt_a", "ping", "", NOW, lambda at: "{}")
        tenants.set_state(tx, "aaa", "suspended", NOW, "a test")

    system.run(BOOKS, tell)
    named(ctx, "invoice.created")
    house.lived(bought)
    assert tool.kinds == ["invoice.created"]


def test_s112_what_a_receiver_missed_is_found_behind_what_it_never_wanted(room: Room) -> None:
    house, ctx, _ = room
    named(ctx)
    house.lived(bought)
    late, _ = named(ctx, "payment.booked", number=2, url="https://other.example.org/")
    (meant,) = delivery.replay(ctx, TENANT, late, events.Which(), by="test", preview=True, limit=1)
    assert [one.kind for one in found(ctx, events=(meant,))] == ["payment.booked"]


def test_s112_a_stop_and_a_tenant_at_rest_hold_events_back(room: Room) -> None:
    house, ctx, tool = room
    named(ctx)
    tool.answers = [Answer(503, "RECEIVER-ANSWER", "it answered 503", timedelta(seconds=30))]
    house.lived(bought)
    lifecycle.suspend(ctx, TENANT, "a test", by="test")
    house.clock.advance(60)
    assert delivery.deliver_events(ctx) == 0 and tool.tried == 1
    lifecycle.resume(ctx, TENANT, by="test")
    while delivery.deliver_events(ctx):
        pass
    assert len(tool.got) == 2


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_s112_secrets_are_sealed_shown_once_and_rotated_with_an_overlap(room: Room, tmp_path: Path) -> None:
    house, ctx, tool = room
    id, old = named(ctx, "invoice.created")
    new = delivery.rotate(ctx, TENANT, id, bytes(range(32)), by="test")

    def sent(number: int) -> tuple[bool, bool]:
        order = house.lived(bought, number)
        (one,) = found(ctx, order_id=order)
        return tuple(verified(tool.heads[-1], one.body.encode(), secret) for secret in (old, new))  # type: ignore[return-value]

    assert sent(1002) == (True, True)
    house.clock.advance(86_400)
    assert sent(1003) == (False, True), "a day later the old one is void"
    retention.retain(ctx)
    names = ctx.door(TENANT).read(BOOKS, lambda tx: ctx.vault.secret_names(tx, TENANT))
    assert delivery.previous_name(id) not in names and delivery.secret_name(id) in names
    stolen = delivery.rotate(ctx, TENANT, id, bytes(32), by="test", at_once=True)
    house.lived(bought, 1004)
    body = found(ctx)[-1].body.encode()
    assert verified(tool.heads[-1], body, stolen) and not verified(tool.heads[-1], body, new)
    told = ctx.door(TENANT).read(BOOKS, lambda tx: audit.entries(tx, TENANT, id, 50))
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()) + repr(told).encode()
    assert not any(text.encode() in everything for text in (old, new, stolen, "s3cret", "/catch/"))


def test_s112_trying_a_receiver_tells_it_nothing(room: Room) -> None:
    _, ctx, tool = room
    id, _ = named(ctx)
    assert delivery.ping(ctx, TENANT, id).took and tool.kinds == ["ping"]
    assert set(tool.got[0][2]["data"]) == {"shop"} and found(ctx) == []
    with pytest.raises(Rejected, match="no receiver"):
        delivery.ping(ctx, TENANT, "ep9")


# -- forgetting --------------------------------------------------------------------------------------------------------


def test_s112_a_forgotten_buyers_order_is_told_to_nobody(room: Room) -> None:
    house, ctx, tool = room
    id, _ = named(ctx)
    tool.usual = Answer(503, "RECEIVER-ANSWER", "it answered 503")
    order = house.lived(bought)
    assert len(found(ctx)) == 2
    redaction.erase(ctx, TENANT, [order], "request 1", by="test")
    assert found(ctx) == []
    tool.usual = Answer(200)
    house.clock.advance(86_400)
    house.settle(order)
    delivery.deliver_events(ctx)
    assert delivery.replay(ctx, TENANT, id, events.Which(), by="test", preview=False) == [] and tool.got == []


def test_s112_what_was_told_long_ago_is_forgotten_and_what_waits_is_not(room: Room) -> None:
    house, ctx, tool = room
    named(ctx, "invoice.created")
    house.lived(bought)
    tool.usual = Answer(503, "RECEIVER-ANSWER", "it answered 503")
    house.lived(bought, 1002)
    house.clock.advance(31 * 86_400)
    assert retention.retain(ctx)["events"] == 1
    assert [one.state for one in found(ctx)] == ["waiting"]


def test_s112_a_tenant_that_leaves_has_no_receivers(room: Room) -> None:
    house, ctx, tool = room
    named(ctx)
    tool.usual = Answer(503, "RECEIVER-ANSWER", "it answered 503")
    house.lived(bought)
    lifecycle.uninstall(ctx, TENANT, by="test")
    assert ctx.door(TENANT).read(BOOKS, lambda tx: events.endpoints(tx, TENANT)) == [] and found(ctx) == []
    with pytest.raises(Rejected, match="not installed"):
        named(ctx, number=2)


def test_s112_of_two_workers_one_sends(database: Database) -> None:
    """On both databases: a claim is one run's, and a later event of the order waits for the earlier one."""
    door, now = database.tenant("t1"), NOW
    door.run(BOOKS, lambda tx: events.add(tx, "t1", "ep", "a.example", (), now))
    for number, order in enumerate(["o1", "o1", "o2", ""]):
        door.run(
            BOOKS,
            lambda tx, n=number, o=order: events.tell(tx, "t1", f"e{n}", "ping", o, now, lambda at: "{}"),  # type: ignore[misc]
        )
    system = database.system("events")
    assert {event for _, _, event in system.read(BOOKS, lambda tx: events.due(tx, now, 9))} == {"e0", "e2", "e3"}

    def claim(event: str, run: str, at: datetime = now) -> events.Delivery | None:
        until = at + timedelta(seconds=60)
        return door.run(BOOKS, lambda tx: events.claim(tx, "t1", "ep", event, run, at, until))

    mine = claim("e0", "r1")
    assert mine is not None and mine.attempts == 1 and claim("e0", "r2") is None
    assert {event for _, _, event in system.read(BOOKS, lambda tx: events.due(tx, now, 9))} == {"e2", "e3"}
    later = now + timedelta(seconds=61)
    again = claim("e0", "r2", later)
    assert again is not None and again.attempts == 2
    assert not door.run(BOOKS, lambda tx: events.delivered(tx, mine, "r1", later, 200)), "the first one is too late"
    assert door.run(BOOKS, lambda tx: events.delivered(tx, again, "r2", later, 200))
    assert {event for _, _, event in system.read(BOOKS, lambda tx: events.due(tx, later, 9))} == {"e1", "e2", "e3"}
    failing = door.run(BOOKS, lambda tx: events.failed(tx, "t1", "ep", later, words.quiet))
    assert failing is not None and failing.failures == 1
    after = later + timedelta(seconds=6)
    assert len(system.read(BOOKS, lambda tx: events.due(tx, later, 9))) == 0
    assert len(system.read(BOOKS, lambda tx: events.due(tx, after, 9))) == 1, "one tries whether it is back"
