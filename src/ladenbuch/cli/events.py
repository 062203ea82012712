"""`ladenbuch events`: who hears of what, what became of each event, and what is written back to the shop."""

from __future__ import annotations

import os
import sys
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import typer

from ladenbuch import events as outgoing
from ladenbuch import privacy, write_backs
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.cli.dead_letters import _age
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.resolving import _gid, _who
from ladenbuch.db import Store, Transaction
from ladenbuch.domain import event_words as words
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.workflows import event_delivery as delivery

#: How many are listed by name; the count says how many there are.
_LISTED = 200
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are meant, as typed."""

    receiver: str | None = None
    state: outgoing.State | None = None
    kind: str | None = None
    order: str | None = None
    newer_than: str | None = None
    older_than: str | None = None
    events: tuple[str, ...] = ()
    everything: bool = False

    @property
    def says(self) -> bool:
        """Whether anything but a receiver is said."""
        return any((self.state, self.kind, self.order, self.newer_than, self.older_than, self.events))


def names(*, as_json: bool) -> None:
    """The events there are."""
    if as_json:
        say_json({"events": dict(words.EVENTS)})
        return
    for name, when in words.EVENTS.items():
        typer.echo(f"{name:20} {when}")


def receivers(tenant: str | None, *, as_json: bool) -> int:
    """List receivers; exit 1 while one fails or is off."""
    with opened() as house:
        owner = chosen(house, tenant).id
        door = house.database.tenant(owner)
        known = door.read(Store.BOOKS, lambda tx: outgoing.endpoints(tx, owner))
        numbers = door.read(Store.BOOKS, lambda tx: outgoing.counts(tx, owner))
    if as_json:
        say_json(
            {"tenant": owner, "receivers": [_receiver(one) | {"events": numbers.get(one.id, {})} for one in known]}
        )
    else:
        for one in known:
            waits = ", ".join(f"{number} {state}" for state, number in numbers.get(one.id, {}).items() if number)
            typer.echo(f"{one.id}  {one.host}  {', '.join(one.kinds) or 'every event'}")
            typer.echo(f"    {_standing(one)}{f'; {waits}' if waits else ''}")
        typer.echo(f"{len(known)} receivers")
    return 1 if any(one.off_at is not None or one.failing_since is not None for one in known) else 0


def add(url: str, tell: list[str], tenant: str | None, actor: str | None, *, as_json: bool) -> None:
    """Name a receiver; its secret is printed this once."""
    try:
        kinds = words.wanted(tell)
    except Rejected as refusal:
        raise UsageError(refusal.code, refusal.message) from None
    text = sys.stdin.readline().strip() if url == "-" else url
    with opened() as house:
        owner = chosen(house, tenant).id
        raw, id, ctx = os.urandom(words.SECRET_BYTES), f"rcv_{uuid.uuid4().hex[:12]}", house.context
        try:
            made, secret = delivery.add(ctx, owner, text, kinds, raw, id, by=_who(actor))
        except Rejected as refusal:
            if refusal.code != "RECEIVER-ADDRESS":
                raise
            raise UsageError(refusal.code, refusal.message) from None
    _tell_secret(made.id, made.host, secret, as_json=as_json)


def rotate(id: str, tenant: str | None, actor: str | None, *, at_once: bool, as_json: bool) -> None:
    """A new secret, printed this once."""
    with opened() as house:
        owner, ctx = chosen(house, tenant).id, house.context
        raw = os.urandom(words.SECRET_BYTES)
        secret = delivery.rotate(ctx, owner, id, raw, by=_who(actor), at_once=at_once)
        host = house.database.tenant(owner).read(Store.BOOKS, lambda tx: outgoing.endpoint(tx, owner, id)).host
    _tell_secret(id, host, secret, as_json=as_json)


def remove(id: str, tenant: str | None, actor: str | None, *, as_json: bool) -> None:
    """Forget a receiver."""
    with opened() as house:
        waited = delivery.remove(house.context, chosen(house, tenant).id, id, by=_who(actor))
    if as_json:
        say_json({"id": id, "removed": True, "waited": waited})
    else:
        typer.echo(f"{id} removed; {waited} events still waited for it")


def switch(id: str, tenant: str | None, actor: str | None, *, on: bool, as_json: bool) -> int:
    """Switch a receiver on or off; exit 1 when it was so."""
    with opened() as house:
        owner = chosen(house, tenant).id
        changed = delivery.switch(house.context, owner, id, on=on, by=_who(actor))
        numbers = house.database.tenant(owner).read(Store.BOOKS, lambda tx: outgoing.counts(tx, owner))
    held = numbers.get(id, {}).get("held", 0)
    if as_json:
        say_json({"id": id, "on": on, "changed": changed, "held": held})
    else:
        more = f"; {held} events are held: ladenbuch events replay {id} --state held" if on and held else ""
        typer.echo(f"{id} {'is' if changed else 'was'} switched {'on' if on else 'off'}{more}")
    return 0 if changed else 1


def try_(id: str, tenant: str | None, *, as_json: bool) -> int:
    """Send a ping; exit 1 when it was not taken."""
    with opened() as house:
        answer = delivery.ping(house.context, chosen(house, tenant).id, id)
    if as_json:
        say_json({"id": id, "took": answer.took, "status": answer.status, "code": answer.code, "reason": answer.reason})
    else:
        typer.echo(f"{id} took it ({answer.status})" if answer.took else f"{answer.code}: {answer.reason}")
    return 0 if answer.took else 1


def show_all(which: Filter, tenant: str | None, *, as_json: bool) -> int:
    """List what was told to whom; exit 1 while anything was given up or is held."""
    with opened() as house:
        owner = chosen(house, tenant).id
        meant = _which(house, owner, which)
        door = house.database.tenant(owner)
        found = door.read(Store.BOOKS, lambda tx: outgoing.found(tx, owner, meant, _MOST))
    if as_json:
        say_json({"tenant": owner, "events": [_delivery(one) for one in found]})
    else:
        for one in found[-_LISTED:]:
            why = f"  {one.reason}" if one.reason else ""
            typer.echo(f"{one.at:%Y-%m-%dT%H:%M:%S}  {one.event}  {one.kind:18} {one.endpoint}  {one.state}{why}")
        if len(found) > _LISTED:
            typer.echo(f"… and {len(found) - _LISTED} before them")
        typer.echo(f"{len(found)} events")
    return 1 if any(one.state in ("given_up", "held") for one in found) else 0


def send_again(id: str, which: Filter, tenant: str | None, actor: str | None, *, preview: bool, as_json: bool) -> int:
    """Send events once more; exit 1 when there was none."""
    if which.says == which.everything:
        raise UsageError(
            "OPTIONS", "name ids, or choose by --state, --kind, --order, --newer-than, --older-than, or --all"
        )
    with opened() as house:
        owner = chosen(house, tenant).id
        meant = _which(house, owner, which)
        done = delivery.replay(house.context, owner, id, meant, by=_who(actor), preview=preview, limit=_MOST)
    what = "would be sent again" if preview else "sent again"
    if as_json:
        say_json({"receiver": id, "what": what, "events": done})
    else:
        for event in done[:_LISTED]:
            typer.echo(event)
        typer.echo(f"{len(done)} events {what}")
    return 0 if done else 1


def written(order: str | None, tenant: str | None, *, again: bool, as_json: bool) -> int:
    """What could not be written back, or what is written to one order; exit 1 when anything could not."""
    if again and order is None:
        raise UsageError("OPTIONS", "--again needs --order")
    with opened() as house:
        owner = chosen(house, tenant).id
        door = house.database.tenant(owner)
        if order is None:
            found = door.read(Store.BOOKS, lambda tx: write_backs.troubled(tx, owner, _MOST))
        else:
            gid, now = _gid(house, owner, order), utc_now()

            def look(tx: Transaction) -> write_backs.WriteBack | None:
                if again and not privacy.redacted(tx, owner, gid):
                    write_backs.want(tx, owner, gid, now)
                return write_backs.of_order(tx, owner, gid)

            one = door.run(Store.BOOKS, look) if again else door.read(Store.BOOKS, look)
            found = [] if one is None else [one]
    if as_json:
        say_json({"tenant": owner, "orders": [_written(one) for one in found]})
    else:
        for one in found:
            said = {key: value for key, (value, _) in one.written.metafields.items()}
            waits = "  waits" if one.wanted > one.done else ""
            typer.echo(f"{one.order_id}{waits}  {one.reason or ''}".rstrip())
            for key, value in said.items():
                typer.echo(f"    {key}: {value}")
            if one.written.tags:
                typer.echo(f"    tags: {', '.join(one.written.tags)}")
        typer.echo(f"{len(found)} orders")
    return 1 if any(one.reason for one in found) else 0


def _which(house: Ladenbuch, tenant: str, typed: Filter) -> outgoing.Which:
    now = utc_now()
    if typed.kind is not None and typed.kind not in words.EVENTS:
        raise UsageError("EVENT-NAME", f"there is no event {typed.kind!r}; there are {', '.join(words.EVENTS)}")
    return outgoing.Which(
        typed.receiver,
        None if typed.order is None else _gid(house, tenant, typed.order),
        typed.state,
        typed.kind,
        None if typed.newer_than is None else now - _age("--newer-than", typed.newer_than),
        None if typed.older_than is None else now - _age("--older-than", typed.older_than),
        typed.events,
    )


def _tell_secret(id: str, host: str, secret: str, *, as_json: bool) -> None:
    if as_json:
        say_json({"id": id, "host": host, "secret": secret})
        return
    typer.echo(f"{id}  {host}")
    typer.echo(f"secret (shown this once): {secret}")


def _standing(one: outgoing.Endpoint) -> str:
    if one.off_at is not None:
        return f"off since {one.off_at:%Y-%m-%d %H:%M} UTC: {one.off_why}"
    if one.failing_since is not None:
        return f"fails since {one.failing_since:%Y-%m-%d %H:%M} UTC, {one.failures} times in a row"
    return "on" if one.took_at is None else f"on; took the last one at {one.took_at:%Y-%m-%d %H:%M:%S} UTC"


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _receiver(one: outgoing.Endpoint) -> dict[str, Any]:
    return {
        "id": one.id,
        "host": one.host,
        "tell": list(one.kinds) or list(words.EVENTS),
        "on": one.off_at is None,
        "off_why": one.off_why,
        "created_at": _instant(one.created_at),
        "rotated_at": _instant(one.rotated_at),
        "took_at": _instant(one.took_at),
        "failing_since": _instant(one.failing_since),
        "failures": one.failures,
    }


def _delivery(one: outgoing.Delivery) -> dict[str, Any]:
    return {
        "event": one.event,
        "kind": one.kind,
        "order": one.order_id or None,
        "at": _instant(one.at),
        "receiver": one.endpoint,
        "state": one.state,
        "attempts": one.attempts,
        "replays": one.replays,
        "status": one.status,
        "reason": one.reason,
        "next": _instant(one.due_at) if one.state == "waiting" else None,
    }


def _written(one: write_backs.WriteBack) -> dict[str, Any]:
    return {
        "order": one.order_id,
        "waits": one.wanted > one.done,
        "reason": one.reason,
        "metafields": {key: value for key, (value, _) in one.written.metafields.items()},
        "tags": list(one.written.tags),
    }
