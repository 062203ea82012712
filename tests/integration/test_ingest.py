"""The ingest, called as a server calls it: our contract, duplicates, strangers, and ten thousand bad days."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from ladenbuch import inbox
from ladenbuch.db import Database, Store
from ladenbuch.errors import Retryable
from ladenbuch.inbox import BODY_PURPOSE, GroupCommit, mark_of
from ladenbuch.inbox.deliveries import events
from ladenbuch.inbox.marks import order_marks
from ladenbuch.shopify.webhooks import ACTED_ON, sign
from ladenbuch.telemetry import Metrics
from ladenbuch.vault import KeyRing, Vault, generate_key
from ladenbuch.web.ingest import Ingest, TenantRef

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
SHOP = "one.myshopify.com"
BODY = b'{"id": 820982911946154508, "name": "#1001"}'
Headers = list[tuple[bytes, bytes]]


class Bench:
    """An ingest over a real database, and the requests to it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.metrics = Metrics()
        self.vault = Vault(KeyRing.parse(generate_key()), database)
        self.now = NOW
        self.tenants: dict[str, TenantRef] = {
            SHOP: TenantRef("t1", ("own secret", "own old secret")),
            "two.myshopify.com": TenantRef("t2"),
        }
        self.looked_up: list[str] = []
        self.commit = GroupCommit(database, self.vault, lambda: self.now)
        self.app = Ingest(
            self.commit,
            self.tenant_of,
            lambda: self.now,
            secrets=("app secret", "app old secret"),
            api_version="2026-10",
            metrics=self.metrics,
            max_body=20_000,
        )

    def tenant_of(self, shop: str) -> TenantRef | None:
        self.looked_up.append(shop)
        return self.tenants.get(shop)

    async def request(
        self, headers: Headers, body: bytes | Sequence[bytes], method: str = "POST", path: str = "/webhooks"
    ) -> int | None:
        """The status, None when nothing was answered; the body may come in pieces."""
        pieces = [body] if isinstance(body, bytes) else list(body)
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
            for index, piece in enumerate(pieces)
        ]
        messages.append({"type": "http.disconnect"})
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        await self.app(scope, receive, send)
        if not sent:
            return None
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        length = dict(sent[0]["headers"])[b"content-length"]
        assert int(length) == len(sent[1]["body"])
        return int(sent[0]["status"])

    def post(self, *arguments: Any, **more: Any) -> int | None:
        return asyncio.run(self.request(*arguments, **more))

    def rows(self) -> list[sa.RowMapping]:
        query = sa.select(events)
        return self.database.system("doctor").read(Store.INBOX, lambda tx: list(tx.execute(query).mappings()))

    def marks(self) -> dict[tuple[str, str], int]:
        query = sa.select(order_marks.c.tenant, order_marks.c.order_id, order_marks.c.wanted)
        return self.database.system("doctor").read(
            Store.INBOX, lambda tx: {(row[0], row[1]): row[2] for row in tx.execute(query)}
        )

    def counted(self) -> dict[str, float]:
        found = {
            sample.labels["result"]: sample.value
            for metric in self.metrics.webhooks_total.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }
        return {result: value for result, value in found.items() if value}


@pytest.fixture
def bench(database: Database) -> Iterator[Bench]:
    made = Bench(database)
    yield made
    made.commit.close()


def signed(
    body: bytes = BODY,
    secret: str = "own secret",
    *,
    prefix: str = "x-shopify-",
    without: str = "",
    **changes: str,
) -> Headers:
    values = {
        "topic": "orders/create",
        "hmac-sha256": sign(body, secret),
        "shop-domain": SHOP,
        "api-version": "2026-10",
        "webhook-id": "w1",
        "event-id": "e1",
        "triggered-at": "2026-11-02T07:59:58.123456789Z",
    }
    values.update({name.replace("_", "-"): value for name, value in changes.items()})
    values.pop(without, None)
    return [(f"{prefix}{name}".encode(), value.encode("latin-1")) for name, value in values.items()]


def test_a_genuine_webhook_is_on_disk_and_its_order_wanted(bench: Bench) -> None:
    assert bench.post(signed(), BODY) == 200
    (row,) = bench.rows()
    assert (row["tenant"], row["webhook_id"], row["topic"], row["event_id"]) == ("t1", "w1", "orders/create", "e1")
    sealed: Any = SimpleNamespace(key_id=row["key_id"], ciphertext=bytes(row["body"]))
    assert bench.vault.open("t1", BODY_PURPOSE, "w1", sealed) == BODY
    assert bench.marks() == {("t1", "gid://shopify/Order/820982911946154508"): 1}
    assert bench.counted() == {"accepted": 1}


@pytest.mark.parametrize("secret", ["own secret", "own old secret", "app secret", "app old secret"])
def test_current_and_previous_secrets_of_tenant_and_app_are_accepted(bench: Bench, secret: str) -> None:
    """S27: during a rotation deliveries signed with the old secret still come."""
    assert bench.post(signed(secret=secret), BODY) == 200


def test_both_header_families_are_understood(bench: Bench) -> None:
    assert bench.post(signed(prefix="shopify-"), BODY) == 200
    assert len(bench.rows()) == 1


def test_the_contract(bench: Bench) -> None:
    """S27 and facts 3.3/3.4: 405, 400, 401, 413 as the contract says, each counted, and no row for any of them."""
    flipped = bytes([BODY[0] ^ 1]) + BODY[1:]
    reencoded = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
    assert bench.post(signed(), BODY, method="GET") == 405
    assert bench.post(signed(), BODY, method="PUT") == 405
    assert bench.post(signed(b""), b"") == 400
    assert bench.post(signed(without="hmac-sha256"), BODY) == 400
    for wrong in (flipped, reencoded, BODY + b" "):
        assert bench.post(signed(), wrong) == 401
    assert bench.post(signed(secret="guessed"), BODY) == 401
    for mac in ("", "x", "=", "é" * 10, sign(BODY, "own secret")[:-1], "A" * 43 + "="):
        assert bench.post(signed(hmac_sha256=mac), BODY) == (401 if mac else 400)
    for name in ("topic", "api-version", "webhook-id"):
        assert bench.post(signed(without=name), BODY) == 400
    assert bench.post(signed(without="shop-domain", secret="app secret"), BODY) == 400
    assert bench.post(signed(webhook_id="w" * 256), BODY) == 400
    assert bench.post(signed(webhook_id="w\x00"), BODY) == 400
    assert bench.post(signed(), BODY, path="/elsewhere") == 404
    assert bench.rows() == []
    assert bench.marks() == {}
    assert bench.post(signed(), BODY, path="/webhooks/orders") == 200
    counted = bench.counted()
    assert (counted["bad_method"], counted["accepted"]) == (2, 1)
    assert set(counted) == {"bad_method", "bad_request", "forged", "accepted"}


def test_too_large_is_refused_by_its_announcement_and_by_its_size(bench: Bench) -> None:
    big = b"x" * 20_001
    announced = [*signed(big), (b"content-length", b"20001")]
    assert bench.post(announced, big) == 413
    assert bench.post(signed(big), [b"x" * 9_000] * 4) == 413
    exact = b'{"id": 1, "x": "' + b"x" * (20_000 - 18) + b'"}'
    assert len(exact) == 20_000
    assert bench.post([*signed(exact), (b"content-length", b"20000")], [exact[:7], exact[7:]]) == 200
    assert bench.counted() == {"too_large": 2, "accepted": 1}


def test_a_client_that_leaves_gets_no_answer_and_leaves_no_row(bench: Bench) -> None:
    async def leave() -> list[Any]:
        sent: list[Any] = []
        messages = [{"type": "http.request", "body": BODY[:5], "more_body": True}, {"type": "http.disconnect"}]

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        await bench.app({"type": "http", "method": "POST", "path": "/webhooks", "headers": signed()}, receive, send)
        return sent

    assert asyncio.run(leave()) == []
    assert bench.rows() == []


def test_a_stranger_and_a_spoofed_domain_are_401_and_write_nothing(bench: Bench) -> None:
    """S82: an unknown shop, whoever signed; and a known shop's domain with another app's signature."""
    assert bench.post(signed(secret="app secret", shop_domain="three.myshopify.com"), BODY) == 401
    assert bench.post(signed(secret="theirs", shop_domain="three.myshopify.com"), BODY) == 401
    assert bench.post(signed(secret="own secret", shop_domain="two.myshopify.com"), BODY) == 401
    for spoof in ("evil.example", "one.myshopify.com.evil.example", "one.myshopify.com/", "évil.myshopify.com"):
        assert bench.post(signed(secret="app secret", shop_domain=spoof), BODY) == 400
    assert bench.rows() == []
    assert bench.counted() == {"unknown_shop": 1, "forged": 2, "bad_request": 4}


def test_the_tenant_is_looked_up_once_in_a_while_and_a_new_shop_is_seen_soon(bench: Bench) -> None:
    headers = signed(secret="app secret", shop_domain="three.myshopify.com")
    assert bench.post(headers, BODY) == 401
    bench.tenants["three.myshopify.com"] = TenantRef("t3")
    assert bench.post(headers, BODY) == 401
    assert bench.looked_up == ["three.myshopify.com"]
    bench.now += timedelta(seconds=6)
    assert bench.post(headers, BODY) == 200
    bench.tenants.clear()
    bench.now += timedelta(seconds=6)
    assert bench.post(headers, BODY) == 401  # uninstalled


def test_a_topic_nobody_knows_and_an_unreadable_body_are_kept_and_answered_200(bench: Bench) -> None:
    """S80: stored, answered 200, flagged, not crashed; a 404 or 500 would only burn Shopify's retries."""
    assert bench.post(signed(topic="metaobjects/create", webhook_id="a"), BODY) == 200
    assert bench.post(signed(b"<xml/>", webhook_id="b"), b"<xml/>") == 200
    assert bench.post(signed(b"[1, 2]", webhook_id="c", triggered_at="yesterday"), b"[1, 2]") == 200
    assert len(bench.rows()) == 3
    assert bench.marks() == {}
    flagged = bench.metrics.webhook_flagged_total
    assert {flag: flagged.labels(flag)._value.get() for flag in ("unknown-topic", "malformed", "triggered-at")} == {
        "unknown-topic": 1,
        "malformed": 2,
        "triggered-at": 1,
    }


def test_s85_the_delay_is_measured_from_the_time_of_the_event(bench: Bench) -> None:
    """`X-Shopify-Triggered-At`, nine digits of it; a clock that runs ahead measures nothing negative."""
    assert bench.post(signed(triggered_at="2026-11-02T07:59:30.123456789Z"), BODY) == 200
    assert bench.post(signed(triggered_at="2026-11-02T08:00:30Z", webhook_id="w2"), BODY) == 200
    assert bench.metrics.webhook_delay_seconds._sum.get() == pytest.approx(29.876544, abs=1e-6)
    assert bench.rows()[0]["triggered_at"] is not None


def test_s18_a_delivery_in_xml_is_kept_as_the_json_it_would_have_been(bench: Bench) -> None:
    """Signed as XML, stored as JSON: whoever opens the inbox later knows one format."""
    body = b'<?xml version="1.0"?><order><id type="integer">7</id><note nil="true"/></order>'
    assert bench.post(signed(body), body) == 200
    assert list(bench.marks()) == [("t1", "gid://shopify/Order/7")]
    (row,) = bench.rows()
    sealed: Any = SimpleNamespace(key_id=row["key_id"], ciphertext=bytes(row["body"]))
    assert bench.vault.open("t1", BODY_PURPOSE, row["webhook_id"], sealed) == b'{"id":7,"note":null}'


def test_another_api_version_is_kept_and_counted(bench: Bench) -> None:
    """S83: the alarm for a version that fell forward."""
    assert bench.post(signed(api_version="2027-01"), BODY) == 200
    assert bench.rows()[0]["api_version"] == "2027-01"
    assert bench.metrics.webhook_version_mismatch_total._value.get() == 1


def test_a_replay_under_another_shops_domain_is_counted(bench: Bench) -> None:
    """The domain is not signed (facts 3.3). The replay may want a look: that shop's token finds no such order."""
    assert bench.post(signed(secret="app secret"), BODY) == 200
    assert bench.metrics.webhook_cross_tenant_replay_total._value.get() == 0
    assert bench.post(signed(secret="app secret", shop_domain="two.myshopify.com"), BODY) == 200
    replayed = signed(secret="app secret", shop_domain="two.myshopify.com", webhook_id="altered")
    assert bench.post(replayed, BODY) == 200
    assert bench.metrics.webhook_cross_tenant_replay_total._value.get() == 2
    assert {tenant for tenant, _ in bench.marks()} == {"t1", "t2"}


def test_a_replay_is_recognised_for_at_least_as_many_bodies_as_promised(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ladenbuch.web.ingest._REMEMBERED_BODIES", 3)
    bodies = [b'{"id": %d}' % number for number in range(1, 6)]
    for body in bodies:
        assert bench.post(signed(body, "app secret", webhook_id=body.hex()), body) == 200
    for body in bodies[-3:]:
        replayed = signed(body, "app secret", shop_domain="two.myshopify.com", webhook_id=body.hex())
        assert bench.post(replayed, body) == 200
    assert bench.metrics.webhook_cross_tenant_replay_total._value.get() == 3


def test_a_thousand_times_the_same_id_in_parallel_has_one_effect(bench: Bench) -> None:
    """S84."""

    async def storm() -> list[int | None]:
        return await asyncio.gather(*(bench.request(signed(), BODY) for _ in range(1000)))

    assert asyncio.run(storm()) == [200] * 1000
    assert len(bench.rows()) == 1
    assert list(bench.marks().values()) == [1]
    assert bench.counted() == {"accepted": 1, "duplicate": 999}


def test_two_subscriptions_of_one_event_are_one_order_to_look_at(bench: Bench) -> None:
    """S86: two webhook ids with one event id mark the same order; the marks coalesce."""
    assert bench.post(signed(webhook_id="a"), BODY) == 200
    assert bench.post(signed(webhook_id="b", topic="orders/paid"), BODY) == 200
    assert len(bench.rows()) == 2
    assert len(bench.marks()) == 1
    due = bench.database.system("dispatch").read(Store.INBOX, lambda tx: inbox.due(tx, NOW, 10))
    assert len(due) == 1


@pytest.mark.parametrize("failure", [Retryable("DB-UNWRITABLE", "disk full"), RuntimeError("anything")])
def test_what_cannot_be_written_is_503_and_comes_again(
    bench: Bench, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def run(self, *_: Any) -> Any:
            raise failure

    with monkeypatch.context() as patched:
        patched.setattr(bench.commit, "_door", Broken())
        assert bench.post(signed(), BODY) == 503
    assert bench.rows() == []
    assert bench.post(signed(), BODY) == 200
    assert bench.counted() == {"unavailable": 1, "accepted": 1}


def test_a_tenant_look_up_that_fails_is_503(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_shop: str) -> None:
        raise Retryable("DB-DOWN", "")

    monkeypatch.setattr(bench.app, "_tenant_of", broken)
    assert bench.post(signed(), BODY) == 503


def test_a_full_queue_is_503(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ladenbuch.inbox.group_commit._WAITING", 0)
    assert bench.post(signed(), BODY) == 503


def test_the_errors_log_names_no_body(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def quote(_delivery: Any) -> Any:
        raise ValueError("erika@example.org")

    monkeypatch.setattr(bench.app, "_keep", quote)
    assert bench.post(signed(), BODY) == 503
    assert "ValueError" in caplog.text
    assert "erika" not in caplog.text


def test_a_server_may_run_the_callable_alone(bench: Bench) -> None:
    async def live() -> list[str]:
        sent: list[str] = []
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await bench.app({"type": "lifespan"}, receive, send)
        return sent

    assert asyncio.run(live()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# --- ten thousand bad days ---


def test_ten_thousand_random_requests_never_yield_a_500_or_a_half_written_row(bench: Bench) -> None:
    """S27: whatever comes, the answer is one of the contract's; each row is whole; each 200 has its row."""
    chance = random.Random(27)
    sent = [_random_request(chance, number) for number in range(10_000)]

    async def storm() -> list[int | None]:
        answers: list[int | None] = []
        for begin in range(0, len(sent), 250):
            some: list[Awaitable[int | None]] = [
                bench.request(headers, body, method) for headers, body, method, _ in sent[begin : begin + 250]
            ]
            answers += await asyncio.gather(*some)
        return answers

    answers = asyncio.run(storm())
    assert set(answers) == {200, 400, 401, 405, 413}
    acknowledged = {
        key: b"".join(body) for (_, body, _, key), answer in zip(sent, answers, strict=True) if answer == 200
    }
    written = {(row["tenant"], row["webhook_id"]): row for row in bench.rows()}
    assert set(written) == set(acknowledged)
    assert len(written) > 500
    for (tenant, webhook_id), row in written.items():
        sealed: Any = SimpleNamespace(key_id=row["key_id"], ciphertext=bytes(row["body"]))
        assert bench.vault.open(tenant, BODY_PURPOSE, webhook_id, sealed) == acknowledged[(tenant, webhook_id)]
    orders = {(row["tenant"], row["order_id"]) for row in written.values() if row["order_id"] is not None}
    acted_on = {(row["tenant"], mark_of(row["webhook_id"])) for row in written.values() if row["topic"] in ACTED_ON}
    assert acted_on
    assert set(bench.marks()) == orders | acted_on
    counted = bench.counted()
    assert sum(counted.values()) == 10_000
    assert counted["accepted"] == len(written)
    assert Counter(answers)[200] == counted["accepted"] + counted.get("duplicate", 0)


_BODIES: tuple[Callable[[random.Random], bytes], ...] = (
    lambda chance: json.dumps(
        {"id": chance.choice([1, 2**40, 2**63, 2**70, -1, 0, None, "1", 1.5, True, [], {}])}
    ).encode(),
    lambda chance: json.dumps({"id": chance.randrange(1, 2000), "name": "ä\u0000\U0001f600"}).encode(),
    lambda chance: json.dumps({"order_id": chance.randrange(1, 2000), "order_edit": {"order_id": 7}}).encode(),
    lambda chance: chance.randbytes(chance.randrange(0, 300)),
    lambda chance: b'{"id":' * chance.randrange(1, 3000),
    lambda chance: b"[" * chance.randrange(1, 5000),
    lambda chance: b'{"id": 5, "id": 6' + chance.randbytes(3) + b"}",
    lambda chance: b"\xff\xfe" + b'{"id": 1}',
    lambda chance: b"x" * chance.randrange(19_900, 20_100),
    lambda chance: b"",
)
_TEXTS = ("", " ", "\x00", "\r\n", "é", "w" * 300, "' OR 1=1 --", "../..", "\x7f", "%s", "null", "٣", "\x85\xa0")
_TOPICS = ("orders/create", "orders/edited", "refunds/create", "returns/request", "ORDERS/PAID", "shop/redact", "x/y")


def _random_request(chance: random.Random, number: int) -> tuple[Headers, list[bytes], str, tuple[str, str]]:
    body = chance.choice(_BODIES)(chance)
    tenant, shop = chance.choice([("t1", SHOP), ("t2", "two.myshopify.com"), ("t1", SHOP.upper())])
    values: dict[str, str] = {
        "topic": chance.choice(_TOPICS),
        "hmac-sha256": sign(body, "app secret"),
        "shop-domain": shop,
        "api-version": "2026-10",
        "webhook-id": f"w{number}",
        "event-id": chance.choice(("e1", *_TEXTS)),
        "triggered-at": chance.choice(("2026-11-02T07:59:58Z", "0001-01-01T00:00:00Z", "9" * 40, *_TEXTS)),
    }
    if chance.random() < 0.4:
        name = chance.choice(["topic", "hmac-sha256", "shop-domain", "api-version"])
        if chance.random() < 0.3:
            del values[name]
        else:
            values[name] = chance.choice((*_TEXTS, chance.randbytes(20).decode("latin-1")))
    prefix = chance.choice(("x-shopify-", "shopify-"))
    headers = [((prefix + name).encode(), value.encode("utf-8")) for name, value in values.items()]
    headers += [(chance.randbytes(5), chance.randbytes(9)) for _ in range(chance.randrange(3))]
    if chance.random() < 0.2:
        headers.append((b"content-length", chance.choice((b"7", b"-1", b"abc", b"99999999", b"\xb2", b"9" * 5000))))
    chance.shuffle(headers)
    cut = chance.randrange(len(body) + 1)
    pieces = [body] if chance.random() < 0.5 else [body[:cut], body[cut:]]
    method = "POST" if chance.random() < 0.95 else chance.choice(("GET", "post", "OPTIONS", ""))
    return headers, pieces, method, (tenant, f"w{number}")
