"""Webhooks of a shop put in order by the Admin API, and what narrowed, filtered and XML deliveries turn into.

S16, S19, S79, S85, S91, S94, S95; facts 2.9, 3.2, 3.5, 7.3.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from house import SHOP, TENANT, House, home, life, person
from ladenbuch import audit as chain
from ladenbuch import inbox
from ladenbuch.bootstrap import TICKS
from ladenbuch.cli import app as command_line
from ladenbuch.cli import webhooks as commands
from ladenbuch.db import Store
from ladenbuch.errors import Ambiguous
from ladenbuch.inbox import GroupCommit
from ladenbuch.settings import Settings
from ladenbuch.shopify.answer import Result
from ladenbuch.shopify.app_config import App, emit
from ladenbuch.shopify.registering import ensure, listed
from ladenbuch.shopify.subscriptions import Subscription, wanted
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import GOODS
from ladenbuch.web.ingest import Ingest
from ladenbuch.workflows import subscriptions
from ladenbuch.workflows.subscriptions import Place

ADDRESS = "https://books.example/webhooks"
SCOPES = tuple(Settings.read({}).scopes)
PLACE = Place(ADDRESS, SCOPES)


class Wire:
    """The tenant's Admin client; writes down what is sent, and may lose an answer after Shopify has acted."""

    def __init__(self, house: House) -> None:
        self._execute = house.ladenbuch.shopify(TENANT).execute
        self.sent: list[str] = []
        self.lose: list[int] = []  # which mutations' answers are lost, counted from 1
        self.cut: list[int] = []  # which mutations never arrive

    def __call__(self, name: str, variables: Mapping[str, object]) -> Result:
        self.sent.append(name)
        if name != "webhook_list" and self.mutations in self.cut:
            raise Ambiguous("SHOPIFY-UNREACHABLE", "lost on the way")
        result = self._execute(name, variables)
        if name != "webhook_list" and self.mutations in self.lose:
            raise Ambiguous("SHOPIFY-UNREACHABLE", "lost on the way back")
        return result

    @property
    def mutations(self) -> int:
        return sum(name != "webhook_list" for name in self.sent)


def want(**changes: Any) -> tuple[Subscription, ...]:
    return wanted(changes.pop("address", ADDRESS), SCOPES, kind="shop", **changes)


def toml(*items: Subscription) -> str:
    return emit(App("Books", "x", "https://books.example", SCOPES, ("https://books.example/auth/callback",), items))


# -- ensure ------------------------------------------------------------------------------------------------------------


def test_s16_the_second_run_changes_nothing(house: House) -> None:
    wire = Wire(house)
    first = ensure(wire, want())
    assert (first.ok, first.mutations) == (True, len(want()))
    wire.sent.clear()
    second = ensure(wire, want())
    assert (second.ok, second.mutations, wire.sent) == (True, 0, ["webhook_list"])
    assert {item.topic for item in second.actual} == {item.topic for item in want()}
    assert not [item for item in second.actual if item.topic.startswith(("customers/", "shop/redact"))]


def test_s79_changed_fields_and_filters_are_updated_stale_ones_deleted(house: House) -> None:
    wire = Wire(house)
    ensure(wire, want())
    ids = {item.topic: item.id for item in listed(wire)}
    less = [item for item in want(orders_filter="source_name:web") if item.topic != "shop/update"]
    report = ensure(wire, less)
    assert report.ok
    assert Counter(line.split()[0] for line in report.done) == {"update": 6, "delete": 1}
    assert {item.topic: item.id for item in report.actual} == {k: v for k, v in ids.items() if k != "shop/update"}
    assert ensure(wire, want()).ok, "and a filter goes away again"
    assert all(item.filter is None for item in listed(wire))


def test_s79_a_changed_address_is_created_before_the_old_one_goes(house: House) -> None:
    wire = Wire(house)
    ensure(wire, want())
    wire.sent.clear()
    report = ensure(wire, want(address=ADDRESS + "/new"))
    assert report.ok
    assert wire.sent[1:-1] == ["webhook_create", "webhook_delete"] * len(want())
    assert {item.uri for item in report.actual} == {ADDRESS + "/new"}


@pytest.mark.parametrize("lost", [[1], [3, 4], [2, 26], list(range(2, 60, 3))])
@pytest.mark.parametrize("way", ["lose", "cut"])
def test_s79_a_lost_answer_makes_no_second_subscription_and_forgets_none(
    house: House, lost: list[int], way: str
) -> None:
    wire = Wire(house)
    setattr(wire, way, lost)
    report = ensure(wire, want())
    assert report.ok
    assert max(Counter(item.topic for item in listed(wire)).values()) == 1


def test_s79_a_line_that_stays_dead_is_left_alone_soon(house: House) -> None:
    wire = Wire(house)
    wire.cut = list(range(5, 1000))
    report = ensure(wire, want())
    assert (report.ok, len(report.actual), wire.mutations) == (False, 4, 8)
    wire.cut = []
    assert ensure(wire, want()).ok


def test_s79_user_errors_are_reported_and_the_rest_is_done(house: House) -> None:
    """A topic whose scope is missing is refused by Shopify with a user error; nothing else suffers."""
    wire = Wire(house)
    report = ensure(wire, [*want(), Subscription("disputes/create", ADDRESS)])
    assert [(change.topic, why) for change, why in report.refused] == [
        ("disputes/create", "topic: You do not have access to this topic.")
    ]
    assert (report.ok, len(report.actual)) == (False, len(want()))


def test_s79_a_name_somebody_stale_holds_is_free_in_the_second_round(house: House) -> None:
    wire = Wire(house)
    (paid,) = (item for item in want() if item.topic == "orders/paid")
    ensure(wire, [Subscription("carts/create", ADDRESS, name=paid.name)])
    report = ensure(wire, [paid])
    assert report.ok
    assert [item.topic for item in report.actual] == ["orders/paid"]


def test_a_list_of_several_pages_is_read_to_its_end(house: House) -> None:
    wire = Wire(house)
    many = [Subscription("orders/paid", f"https://books.example/{number}") for number in range(120)]
    for item in many:
        house.ladenbuch.shopify(TENANT).execute("webhook_create", {"topic": item.enum, "subscription": item.to_input()})
    assert len(listed(wire)) == 120
    assert wire.sent == ["webhook_list"] * 2


# -- a tenant's shop ---------------------------------------------------------------------------------------------------


def test_s91_a_subscription_shopify_deleted_is_named_and_made_again(house: House) -> None:
    """Facts 3.2: after eight failures in a row it is gone, without a word; the file's ones stay."""
    ctx = house.ladenbuch.context
    assert subscriptions.ensure(ctx, TENANT, PLACE).ok
    assert subscriptions.look(ctx, TENANT, PLACE).ok
    house.shopify.load([bought(1001, house)])
    house.clock.advance_to(house.clock.now() + timedelta(hours=1))
    house.shopify.advance(house.clock.now())
    for _ in range(20):
        for delivery in house.shopify.due_deliveries(house.clock.now()):
            house.shopify.report(delivery.id, 503, house.clock.now())
        house.clock.advance_to(house.clock.now() + timedelta(hours=1))
    found = subscriptions.look(ctx, TENANT, PLACE)
    assert {(change.verb, change.topic) for change in found.changes} >= {("create", "orders/paid")}
    assert not found.ok
    assert subscriptions.ensure(ctx, TENANT, PLACE).ok
    assert subscriptions.look(ctx, TENANT, PLACE).ok
    door = house.database.tenant(TENANT)
    said = [entry.event for entry in door.read(Store.BOOKS, lambda tx: chain.entries(tx, TENANT))]
    assert said.count("webhooks.ensured") == 2
    assert door.read(Store.BOOKS, lambda tx: chain.verify(tx, TENANT)) is None


def test_s91_a_running_connector_mends_what_shopify_deleted_within_ten_minutes(house: House, caplog: Any) -> None:
    """The tick does it, tells it, and counts it; a tenant whose shop does not answer stops no other."""
    ctx = house.ladenbuch.context
    assert subscriptions.watch(ctx, PLACE) == len(want())
    assert subscriptions.watch(ctx, PLACE) == 0
    house.shopify.delete_subscriptions(SHOP)
    assert subscriptions.watch(ctx, PLACE) == len(want())
    assert "webhooks were not as wanted: create orders/create" in caplog.text
    house.shopify.set_status(SHOP, 423)
    assert subscriptions.watch(ctx, PLACE) == 0
    assert TICKS["webhooks"] <= 600


def test_what_the_app_file_brings_is_a_double_in_the_shop(house: House) -> None:
    """Facts 3.5: a topic of both kinds is delivered twice; the shop's own one goes."""
    ctx, app = house.ladenbuch.context, replace(PLACE, kind="app")
    subscriptions.ensure(ctx, TENANT, PLACE)
    found = subscriptions.look(ctx, TENANT, app)
    assert {change.verb for change in found.changes} == {"delete"}
    house.shopify.set_scopes(SHOP, [*SCOPES, "read_shopify_payments_disputes"])
    assert subscriptions.ensure(ctx, TENANT, app).ok
    assert {item["topic"] for item in house.shopify.subscriptions(SHOP)} == {"DISPUTES_CREATE", "DISPUTES_UPDATE"}
    house.shopify.deploy(toml(*subscriptions.in_file(app)))
    house.shopify.load([bought(1001, house)])
    house.clock.advance_to(house.clock.now() + timedelta(hours=1))
    house.shopify.advance(house.clock.now())
    heard = Counter(d.headers["X-Shopify-Event-Id"] + d.topic for d in house.shopify.due_deliveries(house.clock.now()))
    assert heard and set(heard.values()) == {1}


def test_the_install_step_registers_and_does_not_fail_where_shopify_refuses(house: House) -> None:
    house.ladenbuch.subscribe(TENANT)
    assert house.shopify.subscriptions(SHOP) == [], "nobody knows our address"
    house.ladenbuch.settings = house.ladenbuch.settings.model_copy(update={"webhooks_url": ADDRESS})
    house.ladenbuch.subscribe(TENANT)
    assert len(house.shopify.subscriptions(SHOP)) == len(want())
    house.ladenbuch.settings = house.ladenbuch.settings.model_copy(update={"webhooks_url": "http://public.example"})
    house.ladenbuch.subscribe(TENANT)


def test_s129_a_scope_granted_later_brings_its_topics(house: House) -> None:
    """Shopify tells by app/scopes_update; the shop's installation is asked, then its subscriptions are put in order."""
    house.ladenbuch.settings = house.ladenbuch.settings.model_copy(update={"webhooks_url": ADDRESS})
    house.ladenbuch.subscribe(TENANT)
    assert not any(item["topic"].startswith("DISPUTES") for item in house.shopify.subscriptions(SHOP))
    house.shopify.set_scopes(SHOP, [*SCOPES, "read_shopify_payments_disputes"])
    with ears(house) as (ingest, settle):
        for delivery in house.shopify.due_deliveries(house.clock.now()):
            assert asyncio.run(post(ingest, delivery)) == 200
        settle()
    assert {"DISPUTES_CREATE", "DISPUTES_UPDATE"} <= {item["topic"] for item in house.shopify.subscriptions(SHOP)}


# -- the commands ------------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(house: House, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Types a command; (exit code, its JSON or its lines) comes back."""
    settings = house.ladenbuch.settings.model_copy(update={"webhooks_url": ADDRESS})
    house.ladenbuch.settings = settings

    @contextmanager
    def opened(_: Settings | None = None) -> Iterator[Any]:
        yield house.ladenbuch

    monkeypatch.setattr(commands, "opened", opened)
    monkeypatch.setattr(Settings, "read", classmethod(lambda cls, env=None: settings))

    def run(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(command_line.app, ["webhooks", *words])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout) if "--json" in words else done.stdout

    return run


def test_webhooks_ensure_and_audit_as_a_person_types_them(house: House, typed: Any) -> None:
    code, told = typed("audit", "--json")
    assert (code, told["ok"], {item["verb"] for item in told["differences"]}) == (1, False, {"create"})
    code, told = typed("ensure", "--tenant", TENANT, "--json")
    assert (code, told["ok"], told["mutations"]) == (0, True, len(want()))
    assert typed("ensure", "--json")[1]["mutations"] == 0
    assert typed("audit")[0] == 0
    house.shopify.delete_subscriptions(SHOP)
    code, said = typed("audit")
    assert code == 1 and "DIFFERS orders/paid: not subscribed" in said
    code, said = typed("audit", "--repair")
    assert code == 0 and "mended  orders/paid" in said
    code, told = typed("audit", "--json", "--repair")
    assert (code, told["repaired"], told["missing_scopes"]) == (
        0,
        0,
        {"read_shopify_payments_disputes": ["disputes/create", "disputes/update"]},
    )


def test_webhooks_toml_and_lint_as_a_person_types_them(house: House, typed: Any, tmp_path: Path) -> None:
    file = tmp_path / "shopify.app.toml"
    assert typed("toml", "--tenant", TENANT, "--kind", "app", "--out", str(file))[0] == 0
    code, told = typed("lint", str(file), "--json")
    assert (code, told["findings"]) == (0, [])
    typed("ensure", "--kind", "app")
    assert typed("audit", "--kind", "app", "--file", str(file))[0] == 0
    assert house.shopify.deploy(file.read_text()) == len(subscriptions.in_file(PLACE))
    file.write_text(
        re.sub(r"include_fields.*\n", "", file.read_text(), count=1).replace('["shop/update"]', '["carts/create"]')
    )
    code, told = typed("audit", "--kind", "app", "--file", str(file), "--json")
    assert code == 1
    assert {line.split(":")[0] for line in told["file"]} == {"orders/create", "shop/update", "carts/create"}
    file.write_text(file.read_text().replace("orders/updated", "orders/update"))
    code, said = typed("lint", str(file))
    assert code == 1 and "old-topic" in said


def test_a_tenants_own_app_gets_a_file_with_the_privacy_topics_alone(typed: Any) -> None:
    code, text = typed("toml", "--tenant", TENANT)
    assert code == 0
    assert "compliance_topics" in text and not re.search(r"^topics", text, re.MULTILINE)
    assert f'client_id = "{TENANT}"' in text


# -- what deliveries turn into -----------------------------------------------------------------------------------------


MUG = GOODS[190][0]


def bought(number: int, house: House) -> Any:
    def script(order: ShopOrder) -> None:
        order.billing = order.delivery = home("Erika", "Muster", "Hafenweg 3", "20457", "Hamburg")
        order.customer = person("Erika", "Muster")
        mugs = order.add(MUG, 2)
        order.place()
        order.pay("shopify_payments")
        order.emit("orders/create", "orders/updated", "orders/paid", "order_transactions/create")
        order.wait(3600, 3600)
        order.refund([(mugs, 1)])
        order.emit("refunds/create", "orders/updated", "order_transactions/create")

    return life(number, house.clock.now() + timedelta(minutes=5), script)


@contextmanager
def ears(house: House) -> Iterator[tuple[Ingest, Callable[[], None]]]:
    """The ingest of a house, and a function that settles what is wanted."""
    clock = house.clock
    commit = GroupCommit(house.database, house.ladenbuch.vault, clock.now)

    def settle() -> None:
        while True:
            house.engine.wake("dispatch")
            house.engine.drain()
            due = house.database.system("health").read(Store.INBOX, inbox.next_due)
            if due is None or due > clock.now() + timedelta(minutes=30):
                return
            clock.advance_to(due)

    yield Ingest(commit, house.ladenbuch.tenant_of, clock.now, api_version="2026-10"), settle
    commit.close()


def by_webhooks_alone(house: House, *lives: Any) -> list[str]:
    """Deliver what the shop sends to the ingest and settle what is wanted; the bodies that were sent come back."""
    bodies: list[str] = []
    house.shopify.load(lives)
    with ears(house) as (ingest, settle):
        for at in sorted({event.at for one in lives for event in one.events}):
            house.clock.advance_to(at)
            house.shopify.advance(house.clock.now())
            for delivery in house.shopify.due_deliveries(house.clock.now()):
                bodies.append(delivery.body.decode())
                house.shopify.report(delivery.id, asyncio.run(post(ingest, delivery)), house.clock.now())
            settle()
    return bodies


async def post(ingest: Ingest, delivery: Any) -> int:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": delivery.body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in delivery.headers.items()]
    await ingest({"type": "http", "method": "POST", "path": "/webhooks", "headers": headers}, receive, send)
    return int(sent[0]["status"])


def papers(house: House, order_id: str) -> list[Any]:
    return [(paper.state["kind"], paper.state["status"], paper.lines) for paper in house.papers(order_id)]


def test_s19_s95_narrowed_filtered_and_xml_deliveries_end_in_the_same_documents(tmp_path: Path) -> None:
    """The processor fetches what is missing: the body only says which order."""
    results: dict[str, list[Any]] = {}
    for way in ("full", "file", "shop", "xml"):
        house = House(tmp_path / way, datetime(2026, 11, 2, 8, tzinfo=UTC))
        if way == "full":
            house.shopify.set_webhooks(ADDRESS)
        elif way == "file":
            house.shopify.deploy(toml(*subscriptions.in_file(replace(PLACE, orders_filter="test:false"))))
        else:
            items = want() if way == "shop" else [replace(item, format="XML", include_fields=()) for item in want()]
            assert ensure(Wire(house), items).ok
        told = bought(1001, house)
        bodies = by_webhooks_alone(house, told)
        results[way] = papers(house, told.order_id)
        assert len(results[way]) == 2, (way, house.verdict(told.order_id))
        orders = [body for body in bodies if '"financial_status"' in body or "<financial-status>" in body]
        assert bool(orders) and all(
            ("line_items" in body or "line-items" in body) is (way in ("full", "xml")) for body in orders
        )
        assert all(body.startswith("<?xml") is (way == "xml") for body in bodies)
        house.close()
    assert results["file"] == results["shop"] == results["xml"] == results["full"]


def test_s85_old_deliveries_after_new_ones_never_overwrite(tmp_path: Path) -> None:
    """All that was ever sent, told backwards and twice, hours late: the same documents."""
    results = []
    for order in (1, -1):
        house = House(tmp_path / str(order), datetime(2026, 11, 2, 8, tzinfo=UTC))
        house.shopify.set_webhooks(ADDRESS)
        told = bought(1001, house)
        house.shopify.load([told])
        house.clock.advance_to(told.events[-1].at)
        house.shopify.advance(house.clock.now())
        sent = house.shopify.due_deliveries(house.clock.now())
        with ears(house) as (ingest, settle):
            for delivery in [*sent, *sent][::order]:
                assert asyncio.run(post(ingest, delivery)) == 200
                settle()
        results.append(papers(house, told.order_id))
        house.close()
    assert results[0] == results[1]
    assert len(results[0]) == 2


def test_s94_a_filter_keeps_deliveries_back_and_only_those(house: House) -> None:
    house.shopify.deploy(toml(Subscription("orders/paid", ADDRESS, "total_price:>100 AND financial_status:paid")))
    told = bought(1001, house)
    assert by_webhooks_alone(house, told) == []
    house.shopify.deploy(toml(Subscription("orders/paid", ADDRESS, "total_price:>10 AND financial_status:paid")))
    assert len(by_webhooks_alone(house, bought(1002, house))) == 1


@pytest.mark.parametrize(("fields", "heard"), [(("id",), 1), (("id", "updated_at"), 3)])
def test_without_updated_at_changes_are_merged_away(house: House, fields: tuple[str, ...], heard: int) -> None:
    """Facts 3.2: equal payloads in quick succession are one delivery."""
    house.shopify.deploy(toml(Subscription("orders/updated", ADDRESS, include_fields=fields)))
    told = bought(1001, house)
    house.shopify.load([told])
    house.clock.advance_to(told.events[0].at)
    house.shopify.advance(house.clock.now())
    house.shopify.due_deliveries(house.clock.now())
    house.clock.advance_to(house.clock.now() + timedelta(minutes=1))
    for _ in range(3):
        house.shopify.touch(told.order_id)
        house.clock.advance_to(house.clock.now() + timedelta(seconds=1))
    assert len(house.shopify.due_deliveries(house.clock.now())) == heard


def test_privacy_topics_come_by_the_file_whole_and_as_json(house: House) -> None:
    house.shopify.deploy(toml(*subscriptions.in_file(PLACE)))
    told = {"shop_id": 1, "shop_domain": SHOP, "customer": {"id": 7, "email": "a@example.org"}}
    house.shopify.send(SHOP, "customers/redact", told)
    (delivery,) = house.shopify.due_deliveries(house.clock.now())
    assert (json.loads(delivery.body), delivery.uri) == (told, ADDRESS)


def test_the_simulator_refuses_the_files_shopifys_command_line_refuses(house: House) -> None:
    good = toml(*subscriptions.in_file(PLACE))
    for bad in (
        good.replace("2026-10", "latest"),
        good.replace('"customers/redact"', '"customers/erase"'),
        good.replace(ADDRESS, "http://books.example"),
        good + '[[webhooks.subscriptions]]\nuri = "/webhooks"\n',
        good + f'[[webhooks.subscriptions]]\ntopics = ["orders/paid"]\nuri = "{ADDRESS}/"\n',
        good + f'[[webhooks.subscriptions]]\ntopics = ["carts/create"]\nuri = "{ADDRESS}"\nfilter = "x"\n',
    ):
        with pytest.raises(ValueError):
            house.shopify.deploy(bad)
    assert house.shopify.deploy(good) == len(subscriptions.in_file(PLACE))
