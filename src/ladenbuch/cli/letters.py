"""`ladenbuch letters`: those nobody is sure of, and what a person says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.resolving import _who
from ladenbuch.outbox import Letter
from ladenbuch.workflows import doubting
from ladenbuch.workflows.doubting import Said


def show_doubtful(tenant: str | None, *, as_json: bool) -> int:
    """List them; exit 1 while there are any."""
    with opened() as house:
        found = doubting.doubtful(house.database, chosen(house, tenant).id if tenant else None)
    if as_json:
        say_json({"letters": [_json(one) for one in found]})
    else:
        for one in found:
            typer.echo(f"{one.id}")
            typer.echo(f"    {one.tenant}, {one.kind}, since {one.changed_at:%Y-%m-%dT%H:%M:%SZ}: {one.reason}")
            typer.echo(f"    relay {one.relay or 'unknown'}, Message-ID {one.message_id or 'unknown'}")
        typer.echo(f"{len(found)} in doubt" if found else "Nobody is in doubt about any letter.")
    return 1 if found else 0


def say_arrived(key: str, tenant: str | None, actor: str | None, *, as_json: bool) -> int:
    """It arrived, somebody says."""
    return _do(doubting.it_arrived, "said to have arrived", key, tenant, actor, as_json=as_json)


def send_again(key: str, tenant: str | None, actor: str | None, *, as_json: bool) -> int:
    """Send it after all."""
    return _do(doubting.send_after_all, "sent after all", key, tenant, actor, as_json=as_json)


def _do(verb: Callable[..., Said], done: str, key: str, tenant: str | None, actor: str | None, *, as_json: bool) -> int:
    with opened() as house:
        letter = doubting.named(house.database, key, chosen(house, tenant).id if tenant else None)
        said = verb(house.context, letter, _who(actor))
    if as_json:
        say_json(_json(letter) | {"done": said.why is None, "why": said.why})
    else:
        typer.echo(f"{letter.id}: {done if said.why is None else said.why}")
    return 0 if said.why is None else 1


def _json(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "tenant": letter.tenant,
        "kind": letter.kind,
        "order": letter.order_id,
        "since": letter.changed_at,
        "relay": letter.relay,
        "message_id": letter.message_id,
        "reason": letter.reason,
    }
