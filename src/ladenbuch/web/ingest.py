"""Shopify's webhooks come in here: verified as raw bytes, on disk, then answered.

A bare ASGI callable without a framework, because this is the one hot path of the product: Shopify waits five
seconds at most, counts everything but 2xx as a failure, and sends a shop's busiest minute all at once.

    not POST 405 · no or bad body, headers 400 · too large 413 · not genuine or not our shop 401
    on disk, or heard before, or of a topic nobody knows 200 · could not be written 503, and Shopify repeats it
    genuine, of a shop whose tenant was redacted or erased: 200, and nothing of it is kept

The shop's domain is not covered by the signature. It only chooses whose secrets to try and whose order number
to look up with that shop's own token, so a delivery replayed under another shop's domain finds nothing; it is
counted here.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ladenbuch.errors import LadenbuchError, Rejected
from ladenbuch.inbox import Delivery, GroupCommit
from ladenbuch.shopify.webhooks import ACTED_ON, Event, Told
from ladenbuch.telemetry import INGEST_RESULTS, Metrics

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH = "/webhooks"
_LONGEST_NAME = 255  # of an id or topic; a longer one would not fit into an index
_REMEMBERED_BODIES = 65_536  # at least; at most twice as many
_MAC_PREFIX = 42  # without its last character, which can be written in several ways, and the padding
_REMEMBERED_SHOPS = 10_000
_COUNTED_AS = {
    "method": "bad_method",
    "empty": "bad_request",
    "unsigned": "bad_request",
    "forged": "forged",
    "incomplete": "bad_request",
}


@dataclass(frozen=True, slots=True)
class TenantRef:
    """Whose shop it is. `secrets`: the tenant's own client secrets, current and previous, where it has some.

    `gone`: the tenant was redacted or erased; what is genuine is answered, nothing of it is kept.
    """

    tenant: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    gone: bool = False


class Ingest:
    """ASGI application for POST /webhooks and below; any other path is a 404.

    `tenant_of` says whose shop a domain is, None for strangers; it may read a database, is called in a thread,
    and its answer is kept for `tenant_seconds`. `secrets` are the app's own, tried for every tenant after the
    tenant's. `api_version` is the version we expect; another one is accepted and counted.
    """

    def __init__(
        self,
        commit: GroupCommit,
        tenant_of: Callable[[str], TenantRef | None],
        clock: Callable[[], datetime],
        *,
        secrets: Sequence[str] = (),
        api_version: str | None = None,
        metrics: Metrics | None = None,
        max_body: int = 1_500_000,
        tenant_seconds: float = 5.0,
    ) -> None:
        self._keep = commit.submit_async
        self._tenant_of = tenant_of
        self._clock = clock
        self._secrets = tuple(secrets)
        self._api_version = api_version
        self._metrics = metrics if metrics is not None else Metrics()
        self._count = {name: self._metrics.webhooks_total.labels(name).inc for name in INGEST_RESULTS}
        self._max_body = max_body
        self._keep_tenant = timedelta(seconds=tenant_seconds)
        self._tenants: dict[str, tuple[datetime, TenantRef | None]] = {}
        self._bodies: dict[str, str] = {}
        self._older_bodies: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _other_protocol(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except Exception as error:
            # Never a 500: a delivery we cannot take now is one that Shopify brings again.
            log.error("a webhook could not be taken: %s", _named(error))
            self._count["unavailable"]()
            answer = _UNAVAILABLE
        if answer is not None:
            start, body = answer
            await send(start)
            await send(body)

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer | None:
        path: str = scope["path"]
        if path != PATH and not path.startswith(PATH + "/"):
            return _NOT_FOUND
        if scope["method"] != "POST":
            self._count["bad_method"]()
            return _METHOD
        headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        body = await self._read(headers, receive)
        if body is None:
            return None  # the client went away
        if len(body) > self._max_body:
            self._count["too_large"]()
            return _TOO_LARGE
        now = self._clock()
        told = Told.of(headers)
        known = self._tenants.get(told.shop or "")
        tenant = known[1] if known is not None and now < known[0] else await self._look_up(told.shop, now)
        found = self._judge(told, body, tenant, now)
        if isinstance(found, tuple):
            return found
        try:
            new = await self._keep(found)
        except Rejected as refusal:
            if refusal.code != "VAULT-FORGOTTEN":
                raise
            self._count["gone"]()  # the tenant was erased since we asked whose shop it is
            return _OK
        self._count["accepted" if new else "duplicate"]()
        return _OK

    async def _read(self, headers: Sequence[tuple[bytes, bytes]], receive: Receive) -> bytes | None:
        """The body as received; one byte too much is enough to stop reading. None when the client left."""
        for name, value in headers:
            if name == b"content-length" and value.isdigit() and int(value[:18]) > self._max_body:
                return b"x" * (self._max_body + 1)
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return body
        parts = [body]
        size = len(body)
        while size <= self._max_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if not message.get("more_body", False):
                break
        return b"".join(parts)

    def _judge(self, told: Told, body: bytes, tenant: TenantRef | None, now: datetime) -> Delivery | _Answer:
        secrets = self._secrets if tenant is None else tenant.secrets + self._secrets
        verdict = told.verdict(body, secrets)
        if not verdict.genuine:
            self._count[_COUNTED_AS[verdict.kind]]()
            return _answer(verdict.status, verdict.reason)
        event = told.event(body)
        if tenant is None:
            # Signed with the app's secret, for a shop that is not (or no longer) connected.
            self._count["unknown_shop"]()
            return _UNKNOWN_SHOP
        if tenant.gone:
            self._count["gone"]()
            return _OK
        if not _printable(event):
            self._count["bad_request"]()
            return _answer(400, "a header is too long or has control characters")
        self._observe(event, told.mac[:_MAC_PREFIX], tenant.tenant, now)
        return Delivery(
            tenant.tenant,
            event.webhook_id,
            event.topic,
            event.shop,
            now,
            event.body,
            event.order_id,
            event.event_id,
            event.api_version,
            event.triggered_at,
            event.topic in ACTED_ON,
        )

    async def _look_up(self, shop: str | None, now: datetime) -> TenantRef | None:
        if shop is None:
            return None
        found = await asyncio.get_running_loop().run_in_executor(None, self._tenant_of, shop)
        if len(self._tenants) >= _REMEMBERED_SHOPS:  # only strangers' invented names can be so many
            self._tenants.clear()
        self._tenants[shop] = (now + self._keep_tenant, found)
        return found

    def _observe(self, event: Event, key: str, tenant: str, now: datetime) -> None:
        if self._api_version is not None and event.api_version != self._api_version:
            self._metrics.webhook_version_mismatch_total.inc()
        for flag in event.flags:
            self._metrics.webhook_flagged_total.labels(flag).inc()
        if event.triggered_at is not None:
            self._metrics.webhook_delay_seconds.observe(max(0.0, (now - event.triggered_at).total_seconds()))
        # Bodies carry ids that are unique over all of Shopify, so two shops never send the same signature. The
        # webhook id is not compared: it is not signed, and a replayer would simply change it.
        first = self._bodies.get(key) or self._bodies.setdefault(key, self._older_bodies.get(key, tenant))
        if first != tenant:
            self._metrics.webhook_cross_tenant_replay_total.inc()
            log.warning("a genuine webhook body came again for another tenant (%s, %s)", first, tenant)
        if len(self._bodies) >= _REMEMBERED_BODIES:
            # A generation at a time: taking the oldest out of a large dict looks through all the gaps before it.
            self._older_bodies, self._bodies = self._bodies, {}


_Answer = tuple[Message, Message]


def _answer(status: int, text: str = "", *, close: bool = False) -> _Answer:
    body = text.encode("utf-8")
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"text/plain; charset=utf-8")]
    if status == 405:
        headers.append((b"allow", b"POST"))
    if close:
        headers.append((b"connection", b"close"))
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


_OK = _answer(200)
_METHOD = _answer(405, "only POST")
_NOT_FOUND = _answer(404, "webhooks are taken at /webhooks")
_UNKNOWN_SHOP = _answer(401, "this shop is not connected")
_UNAVAILABLE = _answer(503, "not stored, please repeat")
# The rest of the body is not read, so the connection cannot be used again.
_TOO_LARGE = _answer(413, "the body is too large", close=True)


def _printable(event: Event) -> bool:
    # One text instead of four checks; printable text has no control characters, and a space is printable.
    text = f"{event.webhook_id} {event.event_id or ''} {event.topic} {event.api_version}"
    return text.isprintable() and (
        len(text) <= _LONGEST_NAME
        or max(len(event.webhook_id), len(event.event_id or ""), len(event.topic), len(event.api_version))
        <= _LONGEST_NAME
    )


def _named(error: Exception) -> str:
    # Our own errors quote nothing; of a stranger's only the kind and the place are told.
    if isinstance(error, LadenbuchError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"


async def _other_protocol(scope: Scope, receive: Receive, send: Send) -> None:
    """Lets a server that asks for it run this callable alone; refuses WebSockets."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
