"""The digest of what needs a person: to each merchant who named an address, and to the operator.

A merchant's is a letter of the outbox like any other, about alarms, open questions and letters nobody is sure of; its
key names the digest before it, so that two processes, or a day that runs again, make one. One that came back, or could
not be sent, told nobody anything: the alarm `DIGEST-LOST` says so to the operator, and what it was about is told again.

The operator's is about the alarms of all shops and of the installation. It belongs to no tenant and is handed to a
relay at once; the alarm `DIGEST-SENT`, raised before and ended after, says that somebody does it, and that it is done.
Where that process dies in between, or the answer is lost, it is sent again, a few times: rather two than none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ladenbuch import books, outbox, suppressions, tenants
from ladenbuch.alarms import HOUSE, Alarm, end_alarm, ended_alarms, open_alarms, raise_alarm
from ladenbuch.db import Store, Transaction, from_micros, to_micros
from ladenbuch.domain.digesting import APART, UNANSWERED, due, pause
from ladenbuch.domain.profile import profile_at
from ladenbuch.errors import LadenbuchError
from ladenbuch.mail.digests import Digest, Item, write_digest
from ladenbuch.mail.letters import Brand, Language
from ladenbuch.mail.sending import Accepted, Uncertain
from ladenbuch.workflows import lettering, suppressing
from ladenbuch.workflows.context import Context, profiles_in

log = logging.getLogger(__name__)

KIND, LOST = "DIGEST-SENT", "DIGEST-LOST"
#: Nobody read a digest that ended so.
_UNREAD = ("suppressed", "bounced", "failed")
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


@dataclass(frozen=True, slots=True)
class _Try:
    """One try of the operator's digest begun at `since`. `unsure`: tries before it that nobody answered."""

    items: list[Item]
    since: datetime
    tries: int
    unsure: int


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
        end_alarm(tx, tenant.id, LOST, "", now)
        return False
    language: Language = "en" if profile.alerts_language == "en" else "de"
    zone = ZoneInfo(profile.time_zone)
    newest, told = _made(tx, tenant.id)
    reader = suppressing.recipient_of(ctx, tx, tenant.id, profile.alerts_to)
    spared = suppressions.cause_of(tx, tenant.id, reader)
    lost = spared or _lost(newest, reader)
    if lost:
        raise_alarm(tx, tenant.id, LOST, "", now, {"why": lost})
    else:
        end_alarm(tx, tenant.id, LOST, "", now)
    if spared or (lost and newest is not None and now - from_micros(newest.promised_at) < APART):
        return False
    standing = [one for one in open_alarms(tx, tenant.id) if one.kind != LOST]
    found = [(one.since, _alarm_item(words, language, one, zone)) for one in standing]
    found += _questions(tx, tenant.id, words, language, zone)
    found += _doubts(tx, tenant.id, words, language, zone)
    if not due([since for since, _ in found], told, now, zone):
        return False
    items = [asdict(item) for _, item in sorted(found, key=lambda one: one[0])]
    payload = {"to": profile.alerts_to, "language": language, "about": tenant.shop, "items": items}
    # By its key a letter is known outside: two shops' must not be one.
    key = f"digest:{tenant.id}:{0 if newest is None else newest.promised_at}"
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


def _made(tx: Transaction, tenant: str) -> tuple[Any, datetime | None]:
    """The newest digest, and when the newest was made of those that somebody may have read."""
    mine = outbox.letters.c
    digests = sa.select(mine.promised_at, mine.state, mine.bounce, mine.recipient)
    digests = digests.where(mine.tenant == tenant, mine.kind == "digest").order_by(mine.promised_at.desc()).limit(1)
    told = tx.execute(digests.where(mine.state.not_in(_UNREAD))).first()
    return tx.execute(digests).first(), None if told is None else from_micros(told.promised_at)


def _lost(newest: Any, reader: str) -> str | None:
    """Why the newest digest did not reach its reader; None where it did, went to another address, or may be sent."""
    if newest is None or newest.state not in ("bounced", "failed") or newest.recipient not in (None, reader):
        return None
    return newest.bounce or str(newest.state)


def _since(at: datetime, language: Language, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"seit {local:%d.%m.%Y, %H:%M}" if language == "de" else f"since {local:%d %b %Y, %H:%M}"


# -- the operator's ---------------------------------------------------------------------------------------------------


def _of_house(ctx: Context, words: Words, operator: Operator) -> int:
    """Send the operator's digest where one is due; 1 when a relay took it."""
    now, zone = ctx.clock(), ZoneInfo("Europe/Berlin")
    system = ctx.database.system("digest")

    def note(tx: Transaction, count: int, tries: int, unsure: int) -> None:
        raise_alarm(tx, HOUSE, KIND, "", ctx.clock(), {"count": count, "tries": tries, "unsure": unsure})

    def claim(tx: Transaction) -> _Try | None:
        standing = open_alarms(tx)
        mine = next((one for one in standing if one.kind == KIND), None)
        tries, unsure = (0, 0) if mine is None else (int(mine.facts.get(name, 1)) for name in ("tries", "unsure"))
        if mine is not None and now - mine.last_seen < pause(tries):
            return None  # somebody is at it
        told = [one for one in standing if one.kind != KIND]
        if mine is not None and (not told or unsure >= UNANSWERED):
            end_alarm(tx, HOUSE, KIND, "", now)
            return None
        before = [one.since for one in ended_alarms(tx, HOUSE, now - _MEMORY) if one.kind == KIND]
        last = max(before, default=None)
        if mine is None and not due([one.since for one in told], last, now, zone):
            return None
        shops = {one.id: one.shop for one in tenants.all(tx)}
        note(tx, len(told), tries + 1, unsure)
        items = [_alarm_item(words, operator.language, one, zone, shops.get(one.tenant, "")) for one in told]
        return _Try(items, now if mine is None else mine.since, tries + 1, unsure)

    begun = system.run(Store.BOOKS, claim)
    if begun is None:
        return 0
    # However often it is sent: it is one letter.
    made = Digest(f"digest:house:{to_micros(begun.since)}", operator.to, operator.language, "", begun.items)
    message = write_digest(made, Brand("Ladenbuch", ctx.mail_from), now)
    sender, to = message["From"].addresses[0].addr_spec, message["To"].addresses[0].addr_spec
    count, tries = len(begun.items), begun.tries

    def before_data() -> None:
        system.run(Store.BOOKS, lambda tx: note(tx, count, tries, begun.unsure + 1))

    outcome = ctx.relays.send(message, sender, to, before_data)
    if isinstance(outcome, Accepted):
        system.run(Store.BOOKS, lambda tx: end_alarm(tx, HOUSE, KIND, "", ctx.clock()))
        return 1
    log.warning("the operator's digest was not accepted", extra={"outcome": type(outcome).__name__})
    if not isinstance(outcome, Uncertain):
        system.run(Store.BOOKS, lambda tx: note(tx, count, tries, begun.unsure))
    return 0
