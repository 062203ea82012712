"""A tick: events that wait -> their receivers, at least once each, an order's in their order.

The receivers do not concern each other: each is served in its turn, side by side where there are threads, for a few
seconds at most. A receiver that fails is asked with one event at a time until it takes one; after half a day it is told
of, after five days (or at once, where it says that it is gone) it is switched off, and what comes is held for a replay.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from ladenbuch import alarms, audit, events, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain import event_words as words
from ladenbuch.domain.receivers import address_of
from ladenbuch.errors import LadenbuchError, Rejected
from ladenbuch.receivers import Answer
from ladenbuch.telemetry.spans import span
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

_BATCH = 400
#: How long one receiver is served in one turn, and how long a claim holds: longer than any attempt.
_TURN = timedelta(seconds=10)
_LEASE = timedelta(seconds=60)
OFF, FAIL = "EVENTS-OFF", "EVENTS-FAIL"


def url_name(endpoint: str) -> str:
    """Under which name the vault keeps a receiver's address."""
    return f"event.url:{endpoint}"


def secret_name(endpoint: str) -> str:
    """Under which name the vault keeps the secret that signs."""
    return f"event.secret:{endpoint}"


def previous_name(endpoint: str) -> str:
    """Under which name the vault keeps the one before, while it still signs, too."""
    return f"event.secret.previous:{endpoint}"


def deliver_events(ctx: Context) -> int:
    """Send what is due; how many events were taken. One receiver's trouble does not stop the others."""
    now = ctx.clock()
    door = ctx.database.system("events")
    lanes: dict[tuple[str, str], list[str]] = {}
    for tenant, endpoint, event in door.read(Store.BOOKS, partial(_due, now=now)):
        lanes.setdefault((tenant, endpoint), []).append(event)
    return sum(ctx.spread([partial(_serve, ctx, *whose, waiting) for whose, waiting in lanes.items()]))


def _due(tx: Transaction, now: datetime) -> list[tuple[str, str, str]]:
    """What is due, without what shops that may write nothing have to tell: that waits, and nobody behind it."""
    waiting = events.due(tx, now, _BATCH)
    if not any(tenants.stopped(tx, tenant) for tenant in {tenant for tenant, _, _ in waiting}):
        return waiting
    return [] if tenants.stopped(tx, None) is not None else events.due(tx, now, _BATCH, without=tenants.silent(tx))


def _serve(ctx: Context, tenant: str, endpoint: str, waiting: list[str]) -> int:
    """Send one receiver's events until one fails or its turn is over; how many were taken."""
    until, taken = ctx.clock() + _TURN, 0
    for event in waiting:
        if ctx.clock() >= until:
            break
        try:
            if not _deliver(ctx, tenant, endpoint, event):
                break
        except LadenbuchError as error:
            log.warning("an event was not sent", extra={"tenant": tenant, "endpoint": endpoint, "code": error.code})
            break
        except Exception:
            log.exception("an event could not be sent", extra={"tenant": tenant, "endpoint": endpoint})
            break
        taken += 1
    else:
        if taken:
            ctx.wake("events")  # what waited behind these
    return taken


def _deliver(ctx: Context, tenant: str, endpoint: str, event: str) -> bool:
    """One attempt; False: the receiver is left alone for this turn."""
    run_id = f"{ctx.executor}:{ctx.new_id()}"
    now = ctx.clock()

    def claim(tx: Transaction) -> tuple[events.Delivery, str, list[str]] | None:
        if tenants.stopped(tx, tenant) is not None:
            return None
        one = events.claim(tx, tenant, endpoint, event, run_id, now, now + _LEASE)
        if one is None:
            return None
        url = ctx.vault.get_secret(tx, tenant, url_name(endpoint))
        secrets = [ctx.vault.get_secret(tx, tenant, name(endpoint)) for name in (secret_name, previous_name)]
        live = [one.value for one in secrets if one is not None and (one.expires_at is None or one.expires_at > now)]
        return one, "" if url is None else url.value, live

    claimed = ctx.door(tenant).run(Store.BOOKS, claim)
    if claimed is None:
        return False
    one, url, secrets = claimed
    about = {"tenant": tenant, "order": one.order_id}
    with bound(trace=one.trace or run_id, event=event, **about), span("event", **about):
        answer = _attempt(ctx, one, url, secrets)
        ctx.door(tenant).run(Store.BOOKS, lambda tx: _note(ctx, tx, one, run_id, answer))
        log.info("event sent", extra={"endpoint": endpoint, "kind": one.kind, "status": answer.status or 0})
    return answer.took


def _attempt(ctx: Context, one: events.Delivery, url: str, secrets: list[str]) -> Answer:
    if not url or not secrets:
        return Answer(None, "EVENT-ENDPOINT", "its address or its secret is not there any more")
    body = one.body.encode()
    return ctx.receivers.post(url, body, words.headers(secrets, one.event, ctx.clock(), body))


def _note(ctx: Context, tx: Transaction, one: events.Delivery, run_id: str, answer: Answer) -> None:
    """Write down what a receiver said, and what follows for it."""
    now, tenant, endpoint = ctx.clock(), one.tenant, one.endpoint
    if answer.took:
        assert answer.status is not None
        if events.delivered(tx, one, run_id, now, answer.status):
            events.took(tx, tenant, endpoint, now)
            alarms.end_alarm(tx, tenant, FAIL, endpoint, now)
        return
    reason = f"{answer.code}: {answer.reason}"
    jitter = round(200 * ctx.chance()) - 100
    at = words.again(one.attempts, now, after=answer.after, jitter=jitter)
    if at is None:
        events.give_up(tx, one, run_id, now, answer.status, reason)
    else:
        events.postpone(tx, one, run_id, now, at, answer.status, reason)
    to = events.failed(tx, tenant, endpoint, now, lambda failures: words.quiet(failures, answer.after))
    if to is not None and to.off_at is None:
        _judge(tx, to, answer, now)


def _judge(tx: Transaction, to: events.Endpoint, answer: Answer, now: datetime) -> None:
    since = to.failing_since or now
    if words.gone(answer.status):
        switch_off(tx, to, now, "it answered 410: it wants nothing any more")
    elif now - since >= words.OFF_AFTER:
        switch_off(tx, to, now, f"it took nothing since {since:%Y-%m-%d %H:%M} UTC; last: {answer.reason}")
    elif now - since >= words.TOLD_AFTER:
        facts = {"host": to.host, "endpoint": to.id, "since": f"{since:%Y-%m-%d %H:%M}"}
        alarms.raise_alarm(tx, to.tenant, FAIL, to.id, now, facts)


def switch_off(tx: Transaction, to: events.Endpoint, now: datetime, why: str) -> None:
    """Send a receiver nothing more until a person switches it on again, and tell people."""
    if not events.switch_off(tx, to.tenant, to.id, now, why):
        return
    alarms.end_alarm(tx, to.tenant, FAIL, to.id, now)
    alarms.raise_alarm(tx, to.tenant, OFF, to.id, now, {"host": to.host, "endpoint": to.id})
    sentence = f"The receiver {to.id} ({to.host}) was switched off: {why}."
    audit.append(tx, to.tenant, now, actor="events", event="events.off", subject=to.id, sentence=sentence)


# -- what people do ----------------------------------------------------------------------------------------------------


def add(
    ctx: Context, tenant: str, url: str, kinds: tuple[str, ...], raw: bytes, id: str, *, by: str
) -> tuple[events.Endpoint, str]:
    """Name a receiver; the secret comes back this once. Raises Rejected("RECEIVER-ADDRESS")."""
    address = address_of(url, loopback=ctx.receivers.loopback)
    secret, now = words.secret_text(raw), ctx.clock()

    def write(tx: Transaction) -> events.Endpoint:
        if tenants.standing(tx, tenant) in ("uninstalled", "redacted"):
            raise Rejected("TENANT-STATE", "the app is not installed")
        events.add(tx, tenant, id, address.named, kinds, now)
        ctx.vault.put_secret(tx, tenant, url_name(id), url, now)
        ctx.vault.put_secret(tx, tenant, secret_name(id), secret, now)
        sentence = f"The receiver {id} ({address.named}) hears of {', '.join(kinds) or 'every event'}."
        audit.append(tx, tenant, now, actor=by, event="events.receiver", subject=id, sentence=sentence)
        return events.endpoint(tx, tenant, id)

    return ctx.door(tenant).run(Store.BOOKS, write), secret


def remove(ctx: Context, tenant: str, id: str, *, by: str) -> int:
    """A receiver hears nothing any more; how many events still waited for it. Raises Rejected("EVENT-ENDPOINT")."""
    now = ctx.clock()

    def write(tx: Transaction) -> int:
        host, waited = events.endpoint(tx, tenant, id).host, events.remove(tx, tenant, id)
        for name in (url_name(id), secret_name(id), previous_name(id)):
            ctx.vault.delete_secret(tx, tenant, name)
        for kind in (OFF, FAIL):
            alarms.end_alarm(tx, tenant, kind, id, now)
        sentence = f"The receiver {id} ({host}) was removed; {waited} events still waited for it."
        audit.append(tx, tenant, now, actor=by, event="events.receiver", subject=id, sentence=sentence)
        return waited

    return ctx.door(tenant).run(Store.BOOKS, write)


def rotate(ctx: Context, tenant: str, id: str, raw: bytes, *, by: str, at_once: bool = False) -> str:
    """A new secret for a receiver, shown this once; the old one signs beside it for a day, unless `at_once`.

    Raises Rejected("EVENT-ENDPOINT").
    """
    secret, now = words.secret_text(raw), ctx.clock()

    def write(tx: Transaction) -> None:
        host = events.endpoint(tx, tenant, id).host
        old = ctx.vault.get_secret(tx, tenant, secret_name(id))
        if old is not None and not at_once:
            ctx.vault.put_secret(tx, tenant, previous_name(id), old.value, now, now + words.OVERLAP)
        else:
            ctx.vault.delete_secret(tx, tenant, previous_name(id))
        ctx.vault.put_secret(tx, tenant, secret_name(id), secret, now)
        events.rotated(tx, tenant, id, now)
        until = "the old one is void" if at_once else "the old one signs beside it for a day"
        sentence = f"The receiver {id} ({host}) has a new secret; {until}."
        audit.append(tx, tenant, now, actor=by, event="events.rotated", subject=id, sentence=sentence)

    ctx.door(tenant).run(Store.BOOKS, write)
    return secret


def switch(ctx: Context, tenant: str, id: str, *, on: bool, by: str) -> bool:
    """A person switches a receiver on or off; False when it was so. Raises Rejected("EVENT-ENDPOINT")."""
    now = ctx.clock()

    def write(tx: Transaction) -> bool:
        to = events.endpoint(tx, tenant, id)
        if on:
            changed = events.switch_on(tx, tenant, id, now)
            alarms.end_alarm(tx, tenant, OFF, id, now)
        else:
            changed = events.switch_off(tx, tenant, id, now, f"by {by}")
            alarms.end_alarm(tx, tenant, FAIL, id, now)
        if changed:
            sentence = f"The receiver {id} ({to.host}) was switched {'on' if on else 'off'}."
            audit.append(tx, tenant, now, actor=by, event="events.on" if on else "events.off", subject=id,
                         sentence=sentence)  # fmt: skip
        return changed

    return ctx.door(tenant).run(Store.BOOKS, write)


def ping(ctx: Context, tenant: str, id: str) -> Answer:
    """Try a receiver now, with an event that tells nothing and is kept nowhere. Raises Rejected("EVENT-ENDPOINT")."""
    now = ctx.clock()

    def read(tx: Transaction) -> tuple[str, str, str]:
        events.endpoint(tx, tenant, id)
        url, secret = (ctx.vault.get_secret(tx, tenant, name(id)) for name in (url_name, secret_name))
        shop = tenants.get(tx, tenant).shop
        return "" if url is None else url.value, "" if secret is None else secret.value, shop

    url, secret, shop = ctx.door(tenant).read(Store.BOOKS, read)
    body = words.body_of(words.PING, now, {"shop": shop}).encode()
    if not url or not secret:
        return Answer(None, "EVENT-ENDPOINT", "its address or its secret is not there any more")
    return ctx.receivers.post(url, body, words.headers([secret], words.webhook_id(tenant, ctx.new_id()), now, body))


def replay(
    ctx: Context, tenant: str, id: str, which: events.Which, *, by: str, preview: bool, limit: int = 10_000
) -> list[str]:
    """Send a receiver once more what is meant, oldest first, and what it missed before it was named; which events.

    With `preview` nothing is sent. Raises Rejected("EVENT-ENDPOINT"), also for one that is switched off.
    """
    now = ctx.clock()
    meant = events.Which(id, which.order_id, which.state, which.kind, which.since, which.until, which.events)

    def write(tx: Transaction) -> list[str]:
        to = events.endpoint(tx, tenant, id)
        if to.off_at is not None:
            raise Rejected("EVENT-ENDPOINT", f"the receiver {id} is switched off: switch it on first")
        ids = [one.event for one in events.found(tx, tenant, meant, limit)]
        if which.state is None:
            ids = [*events.missed(tx, tenant, to, which, limit), *ids]
        if preview:
            return ids
        sent = [event for event in ids if events.replay(tx, tenant, to, event, now)]
        sentence = f"{len(sent)} events are sent to the receiver {id} ({to.host}) once more."
        audit.append(tx, tenant, now, actor=by, event="events.replayed", subject=id, sentence=sentence)
        return sent

    door = ctx.door(tenant)
    done = door.read(Store.BOOKS, write) if preview else door.run(Store.BOOKS, write)
    if not preview:
        ctx.wake("events")
    return done
