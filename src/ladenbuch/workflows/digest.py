"""The digest of what needs a person: to each merchant who named an address, and to the operator.

A merchant's is a letter of the outbox like any other, about alarms, open questions and letters nobody is sure of; its
key names the digest before it, so that two processes, or a day that runs again, make one. The operator's is about the
alarms of all shops and of the installation. It belongs to no tenant and is handed to a relay at once; the alarm
`DIGEST-SENT`, raised before and ended after, says that somebody does it, and that it is done. Where that process dies
in between it is sent again: rather two than none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ladenbuch import books, outbox, tenants
from ladenbuch.alarms import HOUSE, Alarm, end_alarm, ended_alarms, open_alarms, raise_alarm
from ladenbuch.db import Store, Transaction, from_micros, to_micros
from ladenbuch.domain.digesting import due
from ladenbuch.domain.profile import profile_at
from ladenbuch.errors import LadenbuchError
from ladenbuch.mail.digests import Digest, Item, write_digest
from ladenbuch.mail.letters import Brand, Language
from ladenbuch.mail.sending import Accepted
from ladenbuch.workflows import lettering
from ladenbuch.workflows.context import Context, profiles_in

log = logging.getLogger(__name__)

KIND = "DIGEST-SENT"
#: How long a digest to the operator may be under way before another process sends it.
_PATIENCE = timedelta(minutes=10)
_MEMORY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Words:
    """What alarms and codes say, in a language: the sentence of an alarm, what to do about it, what a code means."""

    alarm: Callable[[Language, str, Mapping[str, str | int]], str]
    todo: Callable[[Language, str], str]
    code: Callable[[Language, str], str]


@dataclass(frozen=True, slots=True)
class Operator:
    """Whom the operator's digest goes to; nobody where `to` is empty."""

    to: str
    language: Language = "de"


def digest_all(ctx: Context, words: Words, operator: Operator) -> int:
    """A tick: make the digests that are due; how many. One tenant's trouble does not stop the others."""
    known = ctx.database.system("digest").read(Store.BOOKS, tenants.all)
    made = 0
    for tenant in known:
        if tenant.state != "active":
            continue
        try:
            made += ctx.door(tenant.id).run(Store.BOOKS, lambda tx, t=tenant: _of_shop(ctx, tx, t, words))  # type: ignore[misc]
        except LadenbuchError as error:
            log.warning("a digest could not be made", extra={"tenant": tenant.id, "code": error.code})
    if made:
        ctx.wake("deliver")
    return made + (_of_house(ctx, words, operator) if operator.to else 0)


def _of_shop(ctx: Context, tx: Transaction, tenant: tenants.Tenant, words: Words) -> bool:
    """Promise a merchant's digest where one is due."""
    now = ctx.clock()
    profile = profile_at(profiles_in(tx, tenant.id), now)
    if not profile.alerts_to:
        return False
    language: Language = "en" if profile.alerts_language == "en" else "de"
    zone = ZoneInfo(profile.time_zone)
    found = [(one.since, _alarm_item(words, language, one, zone)) for one in open_alarms(tx, tenant.id)]
    found += _questions(tx, tenant.id, words, language, zone)
    found += _doubts(tx, tenant.id, words, language, zone)
    last = _last(tx, tenant.id)
    if not due([since for since, _ in found], last, now, zone):
        return False
    items = [asdict(item) for _, item in sorted(found, key=lambda one: one[0])]
    payload = {"to": profile.alerts_to, "language": language, "about": tenant.shop, "items": items}
    # By its key a letter is known outside: two shops' must not be one.
    key = f"digest:{tenant.id}:{0 if last is None else to_micros(last)}"
    return lettering.promise(ctx, tx, tenant.id, "digest", key, order_id="", payload=payload)


def _alarm_item(words: Words, language: Language, one: Alarm, zone: ZoneInfo, shop: str = "") -> Item:
    title = words.alarm(language, one.kind, one.facts)
    return Item(
        f"{shop}: {title}" if shop else title, words.todo(language, one.kind), _since(one.since, language, zone)
    )


def _questions(
    tx: Transaction, tenant: str, words: Words, language: Language, zone: ZoneInfo
) -> list[tuple[datetime, Item]]:
    """Open questions about orders, one item per code. `since` is when the newest of them came up."""
    asked = books.attention.c
    columns = (asked.code, sa.func.count().label("number"), sa.func.max(asked.since).label("since"))
    rows = tx.execute(sa.select(*columns).where(asked.tenant == tenant).group_by(asked.code).order_by(asked.code))
    orders = ("Bestellung", "Bestellungen") if language == "de" else ("order", "orders")
    found = []
    for row in rows:
        said = words.code(language, row.code) or row.code
        title = f"{row.number} {orders[row.number != 1]}: {said}"
        at = from_micros(row.since)
        todo = "Auf der Seite „Zu entscheiden“ antworten." if language == "de" else 'Answer on the page "To decide".'
        found.append((at, Item(title, todo, _since(at, language, zone))))
    return found


def _doubts(
    tx: Transaction, tenant: str, words: Words, language: Language, zone: ZoneInfo
) -> list[tuple[datetime, Item]]:
    """Letters nobody is sure of."""
    mine = outbox.letters.c
    unsure = (mine.tenant == tenant, mine.state == "uncertain")
    row = tx.execute(
        sa.select(sa.func.count().label("number"), sa.func.max(mine.changed_at).label("at")).where(*unsure)
    ).one()
    if not row.number:
        return []
    at, letters = from_micros(row.at), ("Briefe", "letters") if row.number != 1 else ("Brief", "letter")
    title = f"{row.number} {letters[language == 'en']}: {words.code(language, 'LETTER-UNCERTAIN')}"
    return [(at, Item(title, "ladenbuch letters doubtful", _since(at, language, zone)))]


def _last(tx: Transaction, tenant: str) -> datetime | None:
    mine = outbox.letters.c
    at = tx.execute(
        sa.select(sa.func.max(mine.promised_at)).where(mine.tenant == tenant, mine.kind == "digest")
    ).scalar()
    return None if at is None else from_micros(at)


def _since(at: datetime, language: Language, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"seit {local:%d.%m.%Y, %H:%M}" if language == "de" else f"since {local:%d %b %Y, %H:%M}"


# -- the operator's ---------------------------------------------------------------------------------------------------


def _of_house(ctx: Context, words: Words, operator: Operator) -> int:
    """Send the operator's digest where one is due; 1 when a relay took it."""
    now, zone = ctx.clock(), ZoneInfo("Europe/Berlin")

    def claim(tx: Transaction) -> list[Item] | None:
        standing = open_alarms(tx)
        mine = next((one for one in standing if one.kind == KIND), None)
        if mine is not None and now - mine.last_seen < _PATIENCE:
            return None  # somebody is at it
        told = [one for one in standing if one.kind != KIND]
        if mine is not None and not told:
            end_alarm(tx, HOUSE, KIND, "", now)
            return None
        before = [one.since for one in ended_alarms(tx, HOUSE, now - _MEMORY) if one.kind == KIND]
        last = max(before, default=None)
        if mine is None and not due([one.since for one in told], last, now, zone):
            return None
        shops = {one.id: one.shop for one in tenants.all(tx)}
        raise_alarm(tx, HOUSE, KIND, "", now, {"count": len(told)})
        return [_alarm_item(words, operator.language, one, zone, shops.get(one.tenant, "")) for one in told]

    system = ctx.database.system("digest")
    items = system.run(Store.BOOKS, claim)
    if not items:
        return 0
    made = Digest(f"digest:house:{to_micros(now)}", operator.to, operator.language, "", items)
    message = write_digest(made, Brand("Ladenbuch", ctx.mail_from), now)
    sender, to = message["From"].addresses[0].addr_spec, message["To"].addresses[0].addr_spec
    outcome = ctx.relays.send(message, sender, to, lambda: None)
    if not isinstance(outcome, Accepted):
        log.warning("the operator's digest was not accepted", extra={"outcome": type(outcome).__name__})
        return 0
    system.run(Store.BOOKS, lambda tx: end_alarm(tx, HOUSE, KIND, "", ctx.clock()))
    return 1
