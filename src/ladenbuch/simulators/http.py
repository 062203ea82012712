"""The seam between a simulator's core and the network: requests and responses as values, an ASGI front, and a
transport for one thread under virtual time.

A simulator is anything with ``handle(SimRequest) -> SimResponse`` that never blocks and never raises for
bad input. Both fronts apply a `Weather` for real: a dropped connection is a dropped connection for the
client. Paths with ``/_control/`` in them are never subject to weather.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

import httpx2

from ladenbuch.simulators.weather import CALM, Fault, Weather

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class SimRequest:
    """One request; header names in lower case, the path percent-decoded and without the query."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class SimResponse:
    """One response; the fronts add the content length. Status 0: what was asked happened, and its answer is lost.

    With `pieces` the body comes from there, `length` bytes of it; when they end sooner, the connection is cut.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    pieces: Callable[[], Iterator[bytes]] | None = None
    length: int = 0


LOST = SimResponse(0, {}, b"")


class Simulator(Protocol):
    """The synchronous core of a stand-in service: never blocks, never raises for bad input."""

    def handle(self, request: SimRequest) -> SimResponse: ...


def json_response(payload: object, status: int = 200, headers: dict[str, str] | None = None) -> SimResponse:
    """`payload` as JSON in UTF-8."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return SimResponse(status, {"content-type": "application/json", **(headers or {})}, body)


def is_control(path: str) -> bool:
    """Control paths bypass the weather: the puppeteer must not be rained on."""
    return "/_control/" in path


def refusal(fault: Fault) -> SimResponse:
    """What a gateway in front of the service answers when nothing was processed; 429 carries Retry-After."""
    headers = {"retry-after": "1.0"} if fault.status == 429 else {}
    return json_response({"errors": f"simulated {fault.status}"}, fault.status, headers)


# --- the ASGI front ---------------------------------------------------------------------------------------


def asgi(simulator: Simulator, weather: Weather | None = None, latency_seconds: float = 0.0) -> AsgiApp:
    """A bare ASGI application around `simulator`.

    `latency_seconds` is added to every answer. One lock stands around `handle`, so a core needs none of its
    own. Faults: ``reset_before`` and ``lost_reply`` abort the connection; ``late_commit`` aborts it too and
    calls `handle` `after_seconds` later, when the client has given up.
    """
    return _Front(simulator, weather, latency_seconds)


class _Front:
    def __init__(self, simulator: Simulator, weather: Weather | None, latency_seconds: float) -> None:
        self._simulator = simulator
        self._weather = weather
        self._latency = latency_seconds
        self._lock = threading.Lock()
        self._late: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        # A core that wants to know how many requests are held at once has this method.
        self._observe: Callable[[int], None] | None = getattr(simulator, "observe_parallel", None)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        request = await _read(scope, receive)
        control = is_control(request.path)
        fault = CALM if control or self._weather is None else self._weather.decide(request)
        if control:
            await self._apply(request, fault, receive, send)
            return
        self._in_flight += 1
        try:
            if self._observe is not None:
                self._observe(self._in_flight)
            pause = self._latency + fault.latency_seconds
            if pause > 0:
                await asyncio.sleep(pause)
            await self._apply(request, fault, receive, send)
        finally:
            self._in_flight -= 1

    async def _apply(self, request: SimRequest, fault: Fault, receive: Receive, send: Send) -> None:
        if fault.kind == "error_before":
            await _write(refusal(fault), send)
        elif fault.kind == "reset_before":
            await _drop(receive, send)
        elif fault.kind == "lost_reply":
            self._handle(request)
            await _drop(receive, send)
        elif fault.kind == "late_commit":
            task = asyncio.create_task(self._commit_late(request, fault.after_seconds))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            await _drop(receive, send)
        else:
            response = self._handle(request)
            if response.status == LOST.status:
                await _drop(receive, send)
            elif response.pieces is not None:
                await _stream(response, receive, send)
            else:
                await _write(response, send)

    async def _commit_late(self, request: SimRequest, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        self._handle(request)

    def _handle(self, request: SimRequest) -> SimResponse:
        with self._lock:
            return self._simulator.handle(request)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _read(scope: MutableMapping[str, Any], receive: Receive) -> SimRequest:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return SimRequest(scope["method"].upper(), scope["path"], query, headers, bytes(body))


async def _write(response: SimResponse, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _stream(response: SimResponse, receive: Receive, send: Send) -> None:
    assert response.pieces is not None
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    headers.append((b"content-length", str(response.length).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    left = response.length
    for piece in response.pieces():
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    if left:
        await _drop(receive, send)
    else:
        await send({"type": "http.response.body", "body": b""})


async def _drop(receive: Receive, send: Send) -> None:
    """Cut the connection without a byte of an answer.

    ASGI has no event for that; uvicorn would turn a silent return into a 500. Its `send` is bound to the
    object that holds the transport, so the transport is aborted directly. Under another server a response
    that ends before its announced length has the same effect for the client: a protocol error instead of an
    answer.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        headers = [(b"content-length", b"1000000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        return
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


# --- one thread, virtual time -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Route:
    """Requests whose URL starts with `prefix` (scheme, host, port, path as far as wanted) go to `simulator`.

    `strip` is a path prefix removed before the simulator sees the path.
    """

    prefix: str
    simulator: Simulator
    weather: Weather | None = None
    strip: str = ""


class SimTransport(httpx2.BaseTransport):
    """An httpx2 transport that hands requests to simulators in the same thread.

    `sleep(seconds)` is called for latency; `schedule(after_seconds, fn)` runs a late commit. Faults become
    what a real transport raises: `RemoteProtocolError` for a cut connection, `ReadTimeout` for an answer
    that never comes, `ConnectError` for a URL no route covers.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        sleep: Callable[[float], None] = lambda seconds: None,
        schedule: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        self._routes = sorted(routes, key=lambda route: len(route.prefix), reverse=True)
        self._sleep = sleep
        self._schedule = schedule if schedule is not None else _at_once

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer `request`, or raise what the weather of its route wants."""
        url = str(request.url)
        route = next((r for r in self._routes if url.startswith(r.prefix)), None)
        if route is None:
            raise httpx2.ConnectError("no simulator at this address", request=request)
        sim = _from_httpx(request, route.strip)
        fault = CALM if route.weather is None or is_control(sim.path) else route.weather.decide(sim)
        if fault.latency_seconds > 0:
            self._sleep(fault.latency_seconds)
        if fault.kind == "error_before":
            return _to_httpx(refusal(fault), request)
        if fault.kind == "reset_before":
            raise httpx2.RemoteProtocolError("simulated: connection cut before processing", request=request)
        if fault.kind == "lost_reply":
            route.simulator.handle(sim)
            raise httpx2.RemoteProtocolError("simulated: connection cut after the commit", request=request)
        if fault.kind == "late_commit":
            self._schedule(fault.after_seconds, _late(route.simulator, sim))
            raise httpx2.ReadTimeout("simulated: no answer in time", request=request)
        response = route.simulator.handle(sim)
        if response.status == LOST.status:
            raise httpx2.RemoteProtocolError("simulated: connection cut after the commit", request=request)
        return _to_httpx(response, request)


def _late(simulator: Simulator, request: SimRequest) -> Callable[[], None]:
    def commit() -> None:
        simulator.handle(request)

    return commit


def _at_once(after_seconds: float, fn: Callable[[], None]) -> None:
    fn()


def _from_httpx(request: httpx2.Request, strip: str) -> SimRequest:
    path = unquote(request.url.path)
    if strip and path.startswith(strip):
        path = path[len(strip) :] or "/"
    query = parse_qsl(request.url.query.decode("latin-1"), keep_blank_values=True)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers.raw}
    return SimRequest(request.method.upper(), path, query, headers, request.read())


def _to_httpx(response: SimResponse, request: httpx2.Request) -> httpx2.Response:
    if response.pieces is not None:
        headers = {**response.headers, "content-length": str(response.length)}
        return httpx2.Response(response.status, headers=headers, content=_body(response, request), request=request)
    return httpx2.Response(response.status, headers=response.headers, content=response.body, request=request)


def _body(response: SimResponse, request: httpx2.Request) -> Iterator[bytes]:
    assert response.pieces is not None
    left = response.length
    for piece in response.pieces():
        left -= len(piece)
        yield piece
    if left:
        raise httpx2.RemoteProtocolError("simulated: connection cut in the middle of a body", request=request)
