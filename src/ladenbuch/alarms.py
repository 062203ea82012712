"""What a person should hear of at once: one row per tenant, kind and subject, open until its cause is gone.

An alarm is raised by whoever sees the cause and ended by the same one, when it sees that the cause is gone; raising an
open one only notes that it is still so. Each beginning and each end is a line of the log and of the audit chain; what
belongs to no tenant (`HOUSE`: a full disk, a clock that is off) stands in the log alone, and is raised through a system
door. The words people read are in `web.alarm_words`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ladenbuch import audit
from ladenbuch.db import Transaction, books_metadata, from_micros, insert_new, to_micros

log = logging.getLogger(__name__)

#: The tenant of what concerns the whole installation.
HOUSE = ""
#: Every kind there is, with what it says to the log and the audit chain; a new kind is a new line here, in
#: `web.alarm_words` and in docs/reference/codes.md. `{…}` are facts.
KINDS: Mapping[str, str] = {
    "WEBHOOKS-DIFFER": "{count} webhook subscriptions of the shop were not as wanted: {topics}",
    "WEBHOOKS-SILENT": "the poll found {count} changes of orders that no webhook told of",
    "WEBHOOKS-VERSION": "webhooks are made for version {found} of the API; wanted is {wanted}",
    "VERSION-FELL": "Shopify answers version {found} of the API; asked was {wanted}",
    "POLL-STALE": "the shop has not been polled successfully for {minutes} minutes",
    "QUEUE-OLD": "an order has waited {minutes} minutes for its first try",
    "ORDERS-FEW": "{count} orders came in {hours} hours; at least {least} were to be expected",
    "BULK-COUNT": "Shopify counted {expected} objects in a bulk result and {read} were read",
    "GAVE-UP": "{count} orders, letters or deliveries were given up after their last attempt",
    "LETTERS-LOST": "{arrived} of {judged} letters of 30 days arrived: {rate} %, without invalid addresses {valid} %",
    "BOOKS-DIFFER": "{count} differences between shop, books and sevdesk need a person",
    "PAYOUTS-DIFFER": "{count} things about payouts of {gateway} need a person; {amount} minor units are concerned",
    "TOKEN-REFUSED": "{service} refuses the token of this tenant",
    "CONNECTION-LACKS": "something is missing now that was there before: {code}",
    "USAGE-NEAR-CAP": "{used} of at most {cap} {currency} are charged for usage of the app",
    "SERVICE-DOWN": "{service} has answered none of our calls since {since}",
    "CLOCK-OFF": "the clock of {process} is off by {seconds} s, by the dates of Shopify's and sevdesk's answers",
    "EVENTS-FAIL": "the receiver {host} has taken no event since {since} UTC ({endpoint})",
    "EVENTS-OFF": "the receiver {host} was switched off: it gets no events any more ({endpoint})",
    "WRITE-BACK-OFF": "the shop lets us write nothing to its orders: {code}",
    "DIGEST-LOST": "nobody reads the digest of what needs a person: its address takes no letters ({why})",
    "DIGEST-SENT": "a digest of {count} alarms is on its way to the operator",
    "PRIVACY-DUE": "nobody fetched the answer to data request {request}, which is due on {until}",
}

alarms = sa.Table(
    "alarms",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("last_seen", sa.BigInteger, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("ended_at", sa.BigInteger),  # NULL: open
    sa.Column("times", sa.Integer, nullable=False),
    sa.Index(None, "ended_at", "tenant"),
)
_c = alarms.c
_OLDEST_FIRST = (_c.since, _c.tenant, _c.kind, _c.subject)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `since`: when it was raised; `last_seen`: when its cause was last seen; `ended_at` None: it is open.

    `facts` fill its sentence; `times` counts how often it was raised after it had ended.
    """

    tenant: str
    kind: str
    subject: str
    since: datetime
    last_seen: datetime
    facts: Mapping[str, str | int]
    ended_at: datetime | None
    times: int

    @property
    def sentence(self) -> str:
        """In English, for log, audit chain and command line."""
        return said(self.kind, self.facts)


def said(kind: str, facts: Mapping[str, str | int]) -> str:
    """The English sentence of a kind with these facts. Raises ValueError for a kind nobody listed, or a missing
    fact."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of alarm (alarms.KINDS)")
    try:
        return KINDS[kind].format_map(facts)
    except KeyError as missing:
        raise ValueError(f"the alarm {kind} needs the fact {missing}") from None


def raise_alarm(
    tx: Transaction,
    tenant: str,
    kind: str,
    subject: str,
    now: datetime,
    facts: Mapping[str, str | int] | None = None,
) -> bool:
    """There is a cause for alarm; True when it was not known yet. `subject` is what it is about, "" for the tenant.

    `facts` are figures, codes and ids without personal data. Raises ValueError like `said`.
    """
    facts = dict(facts or {})
    sentence = said(kind, facts)
    text, at = json.dumps(facts, sort_keys=True, ensure_ascii=False), to_micros(now)
    first = {"since": at, "last_seen": at, "facts": text, "ended_at": None, "times": 1}
    new = insert_new(tx, alarms, tenant=tenant, kind=kind, subject=subject, **first)
    if not new:
        mine = sa.update(alarms).where(_mine(tenant, kind, subject))
        again = {"since": at, "last_seen": at, "facts": text, "ended_at": None, "times": _c.times + 1}
        new = tx.execute(mine.where(_c.ended_at.is_not(None)).values(again)).rowcount == 1
    if not new:
        mine = sa.update(alarms).where(_mine(tenant, kind, subject), _c.ended_at.is_(None), _c.last_seen <= at)
        tx.execute(mine.values(last_seen=at, facts=text))
        return False
    log.warning("alarm: %s", sentence, extra=_named(tenant, kind, subject))
    _note(tx, tenant, kind, subject, now, "alarm.raised", f"Alarm: {sentence}.", facts)
    return True


def end_alarm(
    tx: Transaction, tenant: str, kind: str, subject: str, now: datetime, calm: timedelta = timedelta(0)
) -> bool:
    """Its cause is gone; False when no such alarm was open, or its cause was seen within `calm` before `now`."""
    calmed = _c.last_seen <= to_micros(now - calm)
    open_one = sa.update(alarms).where(_mine(tenant, kind, subject), _c.ended_at.is_(None), calmed)
    if tx.execute(open_one.values(ended_at=to_micros(now))).rowcount != 1:
        return False
    row = tx.execute(sa.select(_c.since, _c.facts).where(_mine(tenant, kind, subject))).one()
    minutes = max(0, (to_micros(now) - row.since) // 60_000_000)
    sentence = said(kind, json.loads(row.facts))
    log.warning("alarm ended after %s min: %s", minutes, sentence, extra=_named(tenant, kind, subject))
    _note(tx, tenant, kind, subject, now, "alarm.ended", f"The alarm ended after {minutes} min: {sentence}.", {})
    return True


def open_alarms(tx: Transaction, tenant: str | None = None) -> list[Alarm]:
    """What is open, oldest first; of all tenants the door sees, and of the installation, when None is given."""
    query = sa.select(alarms).where(_c.ended_at.is_(None))
    if tenant is not None:
        query = query.where(_c.tenant == tenant)
    return [_alarm(row) for row in tx.execute(query.order_by(*_OLDEST_FIRST))]


def ended_alarms(tx: Transaction, tenant: str | None, since: datetime) -> list[Alarm]:
    """What ended since an instant and is not open again, oldest first; otherwise like `open_alarms`."""
    query = sa.select(alarms).where(_c.ended_at >= to_micros(since))
    if tenant is not None:
        query = query.where(_c.tenant == tenant)
    return [_alarm(row) for row in tx.execute(query.order_by(*_OLDEST_FIRST))]


def _mine(tenant: str, kind: str, subject: str) -> sa.ColumnElement[bool]:
    return (_c.tenant == tenant) & (_c.kind == kind) & (_c.subject == subject)


def _named(tenant: str, kind: str, subject: str) -> dict[str, str]:
    return {"tenant": tenant, "code": kind, "subject": subject}


def _note(
    tx: Transaction,
    tenant: str,
    kind: str,
    subject: str,
    now: datetime,
    event: str,
    sentence: str,
    facts: Mapping[str, str | int],
) -> None:
    if tenant == HOUSE:
        return  # no chain without a tenant; the log has it
    detail = {"kind": kind, **facts}
    audit.append(
        tx,
        tenant,
        now,
        actor="alarms",
        event=event,
        subject=subject or tenant,
        sentence=sentence,
        detail=detail,
    )


def _alarm(row: Any) -> Alarm:
    return Alarm(
        tenant=row.tenant,
        kind=row.kind,
        subject=row.subject,
        since=from_micros(row.since),
        last_seen=from_micros(row.last_seen),
        facts=json.loads(row.facts),
        ended_at=None if row.ended_at is None else from_micros(row.ended_at),
        times=row.times,
    )
