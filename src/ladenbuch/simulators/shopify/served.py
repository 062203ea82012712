"""The Shopify simulator behind a port: the ASGI app, the task that delivers webhooks, the player of lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import httpx2

from ladenbuch.simulators.http import AsgiApp, Receive, Send, asgi
from ladenbuch.simulators.shopify.simulator import ShopifySimulator
from ladenbuch.simulators.shopify.webhooks import Delivery
from ladenbuch.simulators.weather import Weather

Post = Callable[[Delivery], Awaitable[int | None]]

TIMEOUT_SECONDS = 5.0  # facts 3.2: connect 1 s, the whole request 5 s
CONNECT_SECONDS = 1.0
IDLE_SECONDS = 0.02
AT_ONCE = 64


def _wall() -> datetime:
    return datetime.now(UTC)


def http_post(client: httpx2.AsyncClient) -> Post:
    """Post with `client`; the coroutine returns the status, or None when no answer came in time."""

    async def post(delivery: Delivery) -> int | None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await client.post(delivery.uri, content=delivery.body, headers=delivery.headers)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError):
            return None
        return answer.status_code

    return post


async def deliver_forever(simulator: ShopifySimulator, post: Post, *, clock: Callable[[], datetime] = _wall) -> None:
    """Post what is due and report what came of it, until cancelled; at most 64 deliveries at a time.

    `clock` must be the simulator's. A `post` that raises counts as no answer.
    """
    slots = asyncio.Semaphore(AT_ONCE)
    running: set[asyncio.Task[None]] = set()

    async def one(delivery: Delivery) -> None:
        try:
            status = await post(delivery)
        except Exception:
            status = None
        finally:
            slots.release()
        simulator.report(delivery.id, status, clock())

    try:
        while True:
            for delivery in simulator.due_deliveries(clock()):
                await slots.acquire()
                task = asyncio.create_task(one(delivery))
                running.add(task)
                task.add_done_callback(running.discard)
            simulator.work()
            await asyncio.sleep(IDLE_SECONDS)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def play(
    simulator: ShopifySimulator, seconds: float, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Let all loaded events happen, in order, compressed into `seconds` real seconds.

    Distances between events keep their proportions; `updatedAt` becomes the real instant, so that polling
    works.
    """
    first, last = simulator.next_event_at(), simulator.last_event_at()
    if first is None or last is None:
        return
    span = max((last - first).total_seconds(), 0.001)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while (upcoming := simulator.next_event_at()) is not None:
        wait = began + (upcoming - first).total_seconds() / span * seconds - loop.time()
        if wait > 0:
            await sleep(wait)
        simulator.step(stamp=True)


def create_app(
    simulator: ShopifySimulator,
    *,
    weather: Weather | None = None,
    latency_seconds: float = 0.0,
    clock: Callable[[], datetime] = _wall,
    post: Post | None = None,
) -> AsgiApp:
    """The ASGI application of `simulator`; on lifespan it starts delivering webhooks with `post` (default:
    HTTP).

    `weather` acts on requests; the weather of webhooks is the simulator's own. Needs a server with lifespan.
    """
    front = asgi(simulator, weather, latency_seconds)
    tasks: set[asyncio.Task[None]] = set()

    def keep(task: asyncio.Task[None]) -> None:
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    simulator.on_play = lambda seconds: keep(asyncio.get_running_loop().create_task(play(simulator, seconds)))

    async def lifespan(receive: Receive, send: Send) -> None:
        limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        patience = httpx2.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS)
        async with httpx2.AsyncClient(timeout=patience, limits=limits, trust_env=False) as client:
            while (await receive())["type"] == "lifespan.startup":
                sender = post or http_post(client)
                keep(asyncio.create_task(deliver_forever(simulator, sender, clock=clock)))
                await send({"type": "lifespan.startup.complete"})
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        else:
            await front(scope, receive, send)

    return app
