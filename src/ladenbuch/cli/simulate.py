"""Serve the simulators on loopback; the world they show is seeded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ladenbuch.cli.ports import end_in_order, listen
from ladenbuch.errors import UsageError

#: The simulated day ends now, so that nothing in it lies in the future.
SPAN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class World:
    """What is simulated."""

    seed: int
    orders: int
    mix: str
    faults: str
    shop: str = "demo.myshopify.com"
    plan: str = "plus"
    secret: str = "simulated-secret"
    client_id: str = "simulated-app"
    to: str | None = None
    token: str | None = None
    latency: float = 0.0
    invalid: tuple[str, ...] = ()
    proxy: int | None = None
    ca: Path | None = None


def _wall() -> datetime:
    return datetime.now(UTC)


def run(world: World, ports: Mapping[str, int]) -> None:
    """Serve the named simulators until ctrl-c or SIGTERM; prints one line of JSON with their addresses."""
    end_in_order()
    with _authority_file(world.ca) as ca:
        asyncio.run(_serve(world, ports, ca))


@contextlib.contextmanager
def _authority_file(given: Path | None) -> Iterator[Path]:
    """Where the certificate of the proxy's authority goes: the file asked for, or one that is gone afterwards."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="ladenbuch-ca-") as folder:
        yield Path(folder) / "ca.pem"


async def _serve(world: World, ports: Mapping[str, int], ca: Path) -> None:
    import uvicorn

    from ladenbuch.simulators.http import asgi
    from ladenbuch.simulators.mail import MailSimulator
    from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN
    from ladenbuch.simulators.sevdesk import create_app as sevdesk_app
    from ladenbuch.simulators.weather import Weather

    mail: MailSimulator | None = None
    apps: dict[str, Any] = {}
    said: dict[str, Any] = {}
    if "shopify" in ports:
        apps["shopify"] = _shopify(world)
    if "sevdesk" in ports:
        token = world.token or DEFAULT_TOKEN
        weather = Weather(world.faults, world.seed + 1)
        apps["sevdesk"] = sevdesk_app(
            clock=_wall, token=token, seed=world.seed, weather=weather, latency_seconds=world.latency
        )
        said["sevdesk_token"] = token
    if "vies" in ports:
        from ladenbuch.simulators.vies import create_app as vies_app

        apps["vies"] = vies_app(clock=_wall, invalid=world.invalid, weather=Weather(world.faults, world.seed + 4))
    if "post" in ports:
        from ladenbuch.simulators.mail_providers import Post

        apps["post"] = asgi(Post(_wall), Weather(world.faults, world.seed + 5))
    if "mail" in ports:
        mail = MailSimulator(port=ports["mail"], weather=Weather(world.faults, world.seed + 2), clock=_wall)
        try:
            mail.start()
        except OSError as error:
            raise UsageError("PORT", f"cannot listen on port {ports['mail']}: {error.strerror or error}") from None
        said["mail"] = mail.port
        apps["inbox"] = asgi(mail)
    servers: dict[str, Any] = {}
    for name, app in apps.items():
        listener = listen("127.0.0.1", ports.get(name, 0))
        said[name] = listener.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="error", access_log=False, timeout_keep_alive=60, lifespan="on")
        )
        servers[name] = server.serve(sockets=[listener])
    tasks = [asyncio.create_task(serving) for serving in servers.values()]
    if "shopify" in ports:
        said |= {"shop": world.shop, "client_id": world.client_id}
    proxy: asyncio.Task[None] | None = None  # not one of `tasks`: it ends with them
    if world.proxy is not None:
        serving, said["proxy"] = _proxy(world.proxy, said["shopify"], ca)
        said["ca"] = str(ca.resolve())
        proxy = asyncio.create_task(serving)
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    try:
        await asyncio.gather(*tasks)
    finally:
        if proxy is not None:
            proxy.cancel()
        if mail is not None:
            mail.stop()


def _proxy(port: int, simulator_port: int, ca: Path) -> tuple[Coroutine[Any, Any, None], int]:
    """The CONNECT proxy to be awaited and the port it listens on; its authority's certificate is written to `ca`."""
    from ladenbuch.simulators.shopify.proxy import HOST, Authority, ConnectProxy

    authority = Authority(_wall())
    try:
        ca.write_bytes(authority.pem)
    except OSError as error:
        raise UsageError("CA", f"cannot write {ca}: {error.strerror or error}") from None
    listener = listen(HOST, port)
    return ConnectProxy(authority, simulator_port).serve(listener), listener.getsockname()[1]


def _shopify(world: World) -> Any:
    from ladenbuch.simulators.lives import generate
    from ladenbuch.simulators.shopify import Shop, ShopifySimulator, create_app
    from ladenbuch.simulators.weather import Weather

    shop = Shop(world.shop, plan=world.plan, client_id=world.client_id)
    simulator = ShopifySimulator(
        _wall,
        client_secret=world.secret,
        shops=[shop],
        weather=Weather(world.faults, world.seed),
        seed=world.seed,
        retry_scale=0.001,
    )
    if world.to:
        simulator.set_webhooks(world.to)
    if world.orders:
        simulator.load(generate(world.seed, world.orders, shop=world.shop, mix=world.mix, end=_wall(), span=SPAN))
    return create_app(simulator, weather=Weather(world.faults, world.seed + 3), clock=_wall)
