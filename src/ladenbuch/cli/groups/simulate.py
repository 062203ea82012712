"""Stand-ins on loopback: what can be typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ladenbuch.cli.options import Faults, Mix

group = typer.Typer(help="Stand-ins for Shopify, sevdesk, VIES and a mail relay, on loopback.", no_args_is_help=True)


Port = Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")]


Seed = Annotated[int, typer.Option(help="The same seed gives the same world.")]


@group.command("shopify")
def simulate_shopify(
    port: Port = 9001,
    seed: Seed = 7,
    orders: Annotated[int, typer.Option(help="Orders loaded; play them with the control API.")] = 0,
    secret: Annotated[str, typer.Option(help="Client secret of the simulated app.")] = "simulated-secret",
    client_id: Annotated[str, typer.Option(help="Client id of the simulated app.")] = "simulated-app",
    webhooks_to: Annotated[str | None, typer.Option(help="Address webhooks are delivered to.")] = None,
    shop: Annotated[str, typer.Option(help="Domain of the simulated shop.")] = "demo.myshopify.com",
    plan: Annotated[Literal["standard", "advanced", "plus", "enterprise"], typer.Option(help="Rate plan.")] = "plus",
    mix: Mix = "domestic",
    faults: Faults = "calm",
    proxy: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of an HTTPS proxy for clients that know only the shop's host."),
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Where the certificate of the proxy's authority is written.")] = None,
) -> None:
    """A stand-in for Shopify: Admin GraphQL, grants, webhooks; control API under /_control."""
    from ladenbuch.cli.simulate import World, run

    world = World(
        seed,
        orders,
        mix,
        faults,
        shop=shop,
        plan=plan,
        secret=secret,
        client_id=client_id,
        to=webhooks_to,
        proxy=proxy,
        ca=ca,
    )
    run(world, {"shopify": port})


@group.command("sevdesk")
def simulate_sevdesk(
    port: Port = 9002,
    seed: Seed = 7,
    secret: Annotated[str | None, typer.Option(help="The API token it accepts.")] = None,
    latency: Annotated[float, typer.Option(help="Milliseconds added to every answer.")] = 0.0,
    faults: Faults = "calm",
) -> None:
    """A stand-in for sevdesk: documents, accounts, transactions; control API under /_control."""
    from ladenbuch.cli.simulate import World, run

    run(World(seed, 0, "domestic", faults, token=secret, latency=latency / 1000), {"sevdesk": port})


@group.command("mail")
def simulate_mail(
    port: Port = 9003,
    seed: Seed = 7,
    control_port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port of the readable inbox.")] = 9004,
    faults: Faults = "calm",
) -> None:
    """A stand-in for a mail relay: real SMTP, and an inbox to read under /_control/messages."""
    from ladenbuch.cli.simulate import World, run

    run(World(seed, 0, "domestic", faults), {"mail": port, "inbox": control_port})


@group.command("post")
def simulate_post(port: Port = 9006, seed: Seed = 7, faults: Faults = "calm") -> None:
    """Stand-ins for SendGrid, Mailgun, Amazon SES and Postmark, each below its name; what they took under /_control."""
    from ladenbuch.cli.simulate import World, run

    run(World(seed, 0, "domestic", faults), {"post": port})


@group.command("vies")
def simulate_vies(
    port: Port = 9005,
    seed: Seed = 7,
    invalid: Annotated[list[str] | None, typer.Option(help="A VAT id that is not valid; may be repeated.")] = None,
    faults: Faults = "calm",
) -> None:
    """A stand-in for the look-up of VAT ids: valid unless listed; control API under /_control."""
    from ladenbuch.cli.simulate import World, run

    run(World(seed, 0, "domestic", faults, invalid=tuple(invalid or ())), {"vies": port})


@group.command("all", hidden=True)
def simulate_all(
    seed: Seed = 7,
    orders: int = 200,
    mix: Mix = "domestic",
    faults: Faults = "calm",
    latency: float = 20.0,
) -> None:
    """All stand-ins in one process on free ports; the ports are printed as one line of JSON."""
    from ladenbuch.cli.simulate import World, run

    world = World(seed, orders, mix, faults, latency=latency / 1000)
    run(world, {"shopify": 0, "sevdesk": 0, "vies": 0, "mail": 0, "inbox": 0})
