"""Many shops, each with its sevdesk account, one relay: the outside world of `machines_world` and `noisy_world`.

    python many_shops.py shopify '{"tenants": 20, "orders": 250, ...}'     Shopify, with all shops' orders waiting
    python many_shops.py others '{...}'                                     sevdesk, mail, VIES

Prints one line of JSON with the ports. The simulators are those of the demo; what is added here is who is who:
an account of sevdesk is told by its token, a letter's tenant by the name in front of its sender.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn

from ladenbuch.simulators.auditing.chain import LETTERS, Chains
from ladenbuch.simulators.auditing.ground import AuditReport
from ladenbuch.simulators.auditor import CLEARING
from ladenbuch.simulators.http import SimRequest, SimResponse, asgi, json_response
from ladenbuch.simulators.lives import generate
from ladenbuch.simulators.mail import MailSimulator, _shown
from ladenbuch.simulators.sevdesk import SevdeskSimulator
from ladenbuch.simulators.shopify import Shop, ShopifySimulator, create_app
from ladenbuch.simulators.vies import create_app as vies_app
from ladenbuch.simulators.weather import Weather

SECRET = "simulated-secret"
SPAN = timedelta(hours=24)


@dataclass(frozen=True)
class Shops:
    """`orders` per shop; `faults` is sevdesk's weather, `latency` in seconds is added to its answers and Shopify's."""

    tenants: int = 20
    orders: int = 250
    seed: int = 7
    mix: str = "domestic"
    faults: str = "calm"
    latency: float = 0.0

    @property
    def names(self) -> list[str]:
        return [f"t{number:02d}" for number in range(1, self.tenants + 1)]

    def argument(self) -> str:
        return json.dumps(asdict(self))


def domain(name: str) -> str:
    return f"{name}.myshopify.com"


def token(name: str) -> str:
    return (name.encode().hex() * 32)[:32]


def now() -> datetime:
    return datetime.now(UTC)


class Accounts:
    """One sevdesk account per tenant behind one address, told apart by their tokens."""

    def __init__(self, shops: Shops) -> None:
        # Each with an id of its own: shops whose accounts have the same one share one account's requests a second.
        self.by_token = {
            token(name): SevdeskSimulator(now, token(name), shops.seed, company_id=number)
            for number, name in enumerate(shops.names, 1)
        }
        self.nobody = SevdeskSimulator(now, "0" * 32, shops.seed)

    def handle(self, request: SimRequest) -> SimResponse:
        if request.path == "/_control/all":
            states = {who: account.state() for who, account in self.by_token.items()}
            return json_response({"states": states, "errors": self.errors()})
        if request.path == "/_control/calls":
            counts = {who: account.calls()["by_endpoint"] for who, account in self.by_token.items()}
            return json_response({who: sum(count.values()) for who, count in counts.items()})
        return self.by_token.get(request.headers.get("authorization", ""), self.nobody).handle(request)

    def errors(self) -> list[str]:
        return [error for account in self.by_token.values() for error in account.internal_errors]


class Relay:
    """The inbox with the sender's display name, which is the shop's."""

    def __init__(self, mail: MailSimulator) -> None:
        self.mail = mail

    def handle(self, request: SimRequest) -> SimResponse:
        return json_response({"messages": self.rows()})

    def rows(self) -> list[dict[str, Any]]:
        return [{**_shown(one), "shop": _display(one.message["From"])} for one in list(self.mail.messages)]


def _display(sender: Any) -> str:
    return str(sender.addresses[0].display_name)


async def serve(apps: dict[str, Any], said: dict[str, Any]) -> None:
    """Serve on free ports of loopback; one line says where."""
    serving: list[Coroutine[Any, Any, None]] = []
    for name, app in apps.items():
        config = uvicorn.Config(app, log_level="error", access_log=False, timeout_keep_alive=60, lifespan="on")
        listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        said[name] = listener.getsockname()[1]
        serving.append(uvicorn.Server(config).serve(sockets=[listener]))
    tasks = [asyncio.ensure_future(one) for one in serving]
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    await asyncio.gather(*tasks)


def shopify(shops: Shops) -> None:
    """Shopify with every order of every shop waiting to happen (control: play)."""
    simulator = ShopifySimulator(
        now,
        client_secret=SECRET,
        shops=[Shop(domain(name), plan="plus", client_id="simulated-app") for name in shops.names],
        seed=shops.seed,
        retry_scale=0.005,
    )
    end = now()
    for name in shops.names:
        lives = generate(shops.seed, shops.orders, shop=domain(name), mix=shops.mix, end=end, span=SPAN)
        simulator.load(lives)
    app = create_app(simulator, latency_seconds=shops.latency, clock=now)
    asyncio.run(serve({"shopify": app}, {"events": simulator.pending()}))


def others(shops: Shops) -> None:
    """sevdesk with one account per tenant, the relay, and VIES."""
    mail = MailSimulator(clock=now).start()
    apps = {
        "sevdesk": asgi(Accounts(shops), Weather(shops.faults, shops.seed + 1), shops.latency),
        "inbox": asgi(Relay(mail)),
        "vies": vies_app(clock=now),
    }
    asyncio.run(serve(apps, {"mail": mail.port}))


def audited(
    shops: Shops, truth: list[dict[str, Any]], states: dict[str, Any], letters: list[dict[str, Any]],
    uncertain: dict[str, list[str]],
) -> tuple[dict[str, AuditReport], list[float]]:  # fmt: skip
    """The auditor's report on each tenant, and all latencies from trigger to booking, sorted."""
    found: dict[str, AuditReport] = {}
    latencies: list[float] = []
    for name in shops.names:
        mine = [one for one in letters if one["shop"] == name]
        chains = Chains(states[token(name)], mine, name, CLEARING, (), uncertain.get(name, ()), letters=LETTERS)
        found[name] = chains.run([row for row in truth if row["shop"] == domain(name)])
        latencies += chains.latencies
    return found, sorted(latencies)


if __name__ == "__main__":
    {"shopify": shopify, "others": others}[sys.argv[1]](Shops(**json.loads(sys.argv[2])))
