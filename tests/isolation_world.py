"""Two shops whose books look alike: the same ids everywhere, and every question asked of each of them (S42, B16).

    python tests/isolation_world.py [FOLDER]     # all questions; JSON on standard output

Both shops have the same orders, documents, letters, webhooks and secrets under the same ids and names; what the rows
say differs, and every row of the one bears its mark. Each question is asked three ways: in a database of both shops,
and in one of that shop alone. It must get the same answer and leave the same rows, the other shop's rows must be bit
for bit what they were, and no row of the other shop may even have been read. SQLite: no row-level security helps here.

Where both have the same row, one that is found says nothing about whose it is. So the same is asked for the one shop
once more, after most of what it has was taken from it (`LEFT`) and the other still has everything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from ladenbuch import (
    alarms,
    audit,
    backfills,
    books,
    checkups,
    circuits,
    deadletters,
    entitlements,
    erasure,
    events,
    evidence,
    grants,
    inbox,
    money_back,
    outbox,
    payouts,
    privacy,
    reconciliations,
    reminders,
    suppressions,
    tenants,
    write_backs,
)
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.db import Database, Store, Transaction, import_tables, upsert
from ladenbuch.domain.balance import Movement, Payout
from ladenbuch.domain.books import Hand
from ladenbuch.domain.clearing import DayBalance
from ladenbuch.domain.closed_days import Closed
from ladenbuch.domain.compared import Change
from ladenbuch.domain.connected import Finding
from ladenbuch.domain.entitlement import Entitlement
from ladenbuch.domain.evidence import VALID, Evidence, VatIdAnswer
from ladenbuch.domain.facts import Problem
from ladenbuch.domain.money_back import Claim as MatchedClaim
from ladenbuch.domain.money_back import Matched
from ladenbuch.domain.payouts import FeeVoucher, KnownPayout, LedgerLine
from ladenbuch.domain.providers import Provider
from ladenbuch.domain.reconciling import Discrepancy, Item, Report
from ladenbuch.errors import LadenbuchError
from ladenbuch.settings import Settings
from ladenbuch.vault import KeyRing, Vault

A, B = "tenant-a", "tenant-b"
MARK = {A: "\u2021a\u2021", B: "\u2021b\u2021"}
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "k1:" + "A" * 43 + "="
OLD, OTHER = "k0:" + "B" * 43 + "=", "k2:" + "C" * 43 + "="
RUN, EXECUTOR = "x:run", "x"
VAT = "FR40303265045"
PROFILE: dict[str, Any] = {
    "shop_key": "s1",
    "oss_from": "2026-01-01",
    "gateways": {
        "shopify_payments": {"mode": "clearing+payouts", "account": "12"},
        "paypal": {"mode": "clearing+payouts", "account": "13"},
        "klarna": {"mode": "clearing+payouts", "account": "14"},
        "bank_deposit": "bank",
        "cash_on_delivery": "off",
        "invoice_on_delivery": "off",
    },
}


def gid(number: int) -> str:
    return f"gid://shopify/Order/{number}"


OPEN, HELD, DUE, LATE, LOST = (gid(9_000_000 + number) for number in range(1, 6))


def tables(store: Store) -> list[sa.Table]:
    """The tables with rows of tenants."""
    return [table for table in import_tables(store).sorted_tables if "tenant" in table.c]


_SHOP = {"tenants", "profile_versions", "data_keys", "subject_keys", "secrets", "grants", "entitlements"}
#: What is left to the one shop where it is asked once more: nothing but itself; its orders; these and what became of
#: them; everything but these.
LEFT = {
    "bare": _SHOP,
    "ordered": _SHOP | {"orders", "contacts"},
    "quiet": _SHOP
    | {"orders", "documents", "bookings", "covers", "money_lines", "fences", "contacts", "event_endpoints"},
    "unread": {table.name for store in Store for table in tables(store)} - {"orders", "documents"},
}


# -- filling it -------------------------------------------------------------------------------------------------------


def build(folder: Path) -> None:
    """`folder`/both with the two shops, and a copy for each with only its own rows."""
    both = Database.open(data_dir=folder / "both")
    both.migrate()
    for tenant in (A, B):
        with _same_chance():
            _fill(both, tenant)
    for tenant in (A, B):
        _differ(both, tenant)
    both.truncate_logs()
    both.close()
    for tenant, other in ((A, B), (B, A)):
        shutil.copytree(folder / "both", folder / tenant)
        alone = Database.open(data_dir=folder / tenant)
        erasure.erase(alone, other, "", id="-", actor="test", now=NOW, last_hash="")
        alone.close()
    for where, (left, kept) in itertools.product(("both", A), LEFT.items()):
        shutil.copytree(folder / where, folder / f"{where}-{left}")
        less = Database.open(data_dir=folder / f"{where}-{left}")
        for store in Store:
            gone = [table.name for table in tables(store) if table.name not in kept]
            less.system("demo").run(store, partial(_take, tenant=A, gone=gone))
        less.truncate_logs()
        less.close()


def _take(tx: Transaction, tenant: str, gone: Sequence[str]) -> None:
    """Take a shop's rows out of some tables, also where rows may not be taken out."""
    triggers = tx.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
    tx.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    for name, _ in triggers:
        tx.exec_driver_sql(f"DROP TRIGGER {name}")
    for table in gone:
        tx.exec_driver_sql(f"DELETE FROM {table} WHERE tenant = '{tenant}'")
    for _, text in triggers:
        tx.exec_driver_sql(text)


@contextmanager
def _same_chance() -> Iterator[None]:
    """The operating system's chance repeats itself, so that even the ids of keys are the same for both."""
    real, os.urandom = os.urandom, random.Random(7).randbytes  # type: ignore[assignment]
    try:
        yield
    finally:
        os.urandom = real  # type: ignore[assignment]


def house_on(database: Database, keys: str = KEY) -> Ladenbuch:
    """A connector under a clock that stands still."""
    settings = Settings.read({"LADENBUCH_KEYS": keys, "LADENBUCH_DATA_DIR": "unused"})
    return Ladenbuch(settings, database, Vault(KeyRing.parse(keys), database), clock=lambda: NOW)


def _fill(database: Database, tenant: str) -> None:
    import stocked
    from ladenbuch.simulators.lives import generate
    from ladenbuch.vat_rates import rate_table

    house = house_on(database)
    door, vault, ctx = database.tenant(tenant), house.vault, house.context
    stocked.open_shop(house, tenant, PROFILE, NOW - timedelta(days=90), datetime(1970, 1, 1, tzinfo=UTC))
    stocked._numbers = itertools.count(1)
    lives = generate(7, 12, shop="t1.myshopify.com", mix="wide", end=NOW, span=timedelta(days=40))
    stocked.settle(house, tenant, (life.final for life in lives), NOW, Evidence(rate_table()))
    ids = door.read(Store.BOOKS, lambda tx: _ids(tx, tenant))
    door.run(Store.BOOKS, lambda tx: _to_books(tx, tenant, ctx, ids))
    told = _told(tenant, ids)
    sealed = {one.webhook_id: one.sealed_by(vault) for one in told}  # a transaction of the inbox cannot look up keys
    door.run(Store.INBOX, lambda tx: _to_inbox(tx, tenant, ids, told, sealed))
    door.run(Store.BOOKS, lambda tx: vault.renew(tx, tenant))  # an older key and one that seals


def _ids(tx: Transaction, tenant: str) -> dict[str, Any]:
    """Names of what the lives left: a finalised invoice that is paid, its order, some more orders."""
    table, paid = books.documents.c, books.bookings.c
    booked = sa.select(paid.document_key).where(paid.tenant == tenant)
    query = sa.select(table.key, table.order_id, table.sevdesk_id).where(
        table.tenant == tenant, table.state == "final", table.kind == "invoice", table.key.in_(booked)
    )
    row = tx.execute(query.order_by(table.key)).first()
    assert row is not None, "no invoice was paid: choose other lives"
    orders = tx.execute(sa.select(books.orders.c.order_id).where(books.orders.c.tenant == tenant)).scalars()
    line = tx.execute(sa.select(books.money_lines.c.sevdesk_id).where(books.money_lines.c.tenant == tenant)).first()
    assert line is not None, "no money was booked: choose other lives"
    others = sorted(set(orders) - {row.order_id})
    return {"key": row.key, "order": row.order_id, "remote": row.sevdesk_id, "orders": others, "line": line[0]}


def _to_books(tx: Transaction, tenant: str, ctx: Any, ids: dict[str, Any]) -> None:
    key, order, mark, vault = ids["key"], ids["order"], MARK[tenant], ctx.vault
    more = 1 if tenant == A else 2  # so that the highest number of both is not one's own
    for number in range(more):
        tenants.add_profile(tx, tenant, PROFILE, NOW + timedelta(days=number), NOW)
        answer = VatIdAnswer(VAT, VALID, NOW, f"{mark} SA", mark)
        evidence.record(tx, tenant, answer, ctx.seal(tenant, "vat", "v"))
    tenants.identify(tx, tenant, shop_gid=f"gid://shopify/Shop/{tenant}", sevdesk_ref="acc")
    tenants.stop(tx, tenant, f"stopped {mark}", NOW)
    for name in ("shopify.token", "sevdesk.token", "shopify.client_secret"):
        vault.put_secret(tx, tenant, name, f"{name} {mark}", NOW)
    since = NOW - timedelta(days=9)
    grants.put(tx, tenant, "authorization_code", ["read_orders", mark], since, refresh_expires_at=NOW)
    every = sorted((order, *ids["orders"]))
    dead = (("order", "s"), ("letter", "s"), ("order", "t"), ("order", every[0]), ("order", every[-1]))
    for kind, subject in dead:
        deadletters.failed(
            tx, tenant, kind=kind, subject=subject, code="C", message=mark, attempts=1, now=NOW, again=None
        )
    for number in range(5 + more):
        audit.append(tx, tenant, NOW, actor="a", event="e", subject=f"s{number % 2}", sentence=mark)
    then = NOW - timedelta(minutes=9)
    for number in range(7):
        sealed = vault.seal(tenant, "letter", f"mail:{number}", json.dumps({"to": mark}).encode(), order)
        outbox.promise(
            tx, tenant, key=f"mail:{number}", kind="invoice", order_id=order, document_id=None, sealed_payload=sealed,
            now=then,
        )  # fmt: skip
    for number, run in ((1, RUN), (2, RUN), (3, "y:run")):
        outbox.claim(tx, tenant, f"mail:{number}", run, then, run[0])
    outbox.sending(tx, tenant, "mail:2", RUN, then, recipient="r1")
    outbox.claim(tx, tenant, "mail:5", RUN, then, "x")
    outbox.suppressed(tx, tenant, "mail:5", RUN, then, recipient="r1", why="invalid", reason=mark)
    suppressions.add(tx, tenant, "r1", "invalid", NOW, actor="feedback", letter="mail:2", note=mark)
    suppressions.add(tx, tenant, "r2", "complaint" if tenant == A else "soft", NOW, actor="feedback")
    outbox.sending(tx, tenant, "mail:3", "y:run", then)
    outbox.claim(tx, tenant, "mail:4", RUN, then, "x")
    outbox.sending(tx, tenant, "mail:4", RUN, then)
    outbox.uncertain(tx, tenant, "mail:4", RUN, then, mark)
    if tenant == B:
        sealed = vault.seal(tenant, "letter", "digest:1", b"{}")
        outbox.promise(
            tx, tenant, key="digest:1", kind="digest", order_id="", document_id=None, sealed_payload=sealed, now=then
        )
    outbox.claim(tx, tenant, "mail:6", RUN, then, "x")
    outbox.failed(tx, tenant, "mail:6", RUN, then, mark)
    books.take_fence(tx, tenant, order, 1, RUN)
    books.take_lease(tx, tenant, "contact:1", RUN, NOW, NOW + timedelta(minutes=1))
    books.take_lease(tx, tenant, "contact:2", "y:run", then, then)
    books.contact_known(tx, tenant, "K-1", books.KnownContact(f"77{mark}", "created", True, "mark"))
    books.record_hands(tx, tenant, order, [_hand(key, kind, mark) for kind in ("paid", "cancelled")], [key], NOW)
    for name in ("open:one", "open:two", f"sr:{key}"):
        kind = "cancel" if name.startswith("sr:") else "contact"
        books.intend(tx, tenant, order, key=name, kind=kind, run_id=RUN, reason=mark, now=NOW)
    books.done(tx, tenant, f"sr:{key}", NOW - timedelta(days=1), "sr-77")
    books.intend(tx, tenant, order, key="mail:1", kind="letter", run_id=RUN, reason=mark, now=NOW)
    items = [(Problem(code, mark, (), ("exclude the order",)), "h") for code in ("TIP", "REFUND")]
    for one in (order, OPEN, f"{OPEN}-{tenant[-1]}"):
        books.record_attention(tx, tenant, one, items, NOW)
    books.resolve(tx, tenant, _question(order), mark, "me", NOW)
    books.intend(tx, tenant, order, key="contact:K-1:address", kind="contact", run_id=RUN, reason=mark, now=NOW)
    books.done(tx, tenant, "contact:K-1:address", NOW)
    for name in ("request", "other"):
        privacy.received(tx, tenant, name, "customers/data_request", NOW, NOW + timedelta(days=30 + more))
        sealed = vault.seal(tenant, privacy.PURPOSE, name, zlib.compress(b"{}"), privacy.subject_of(name))
        privacy.close(tx, tenant, name, "open", NOW, mark, answer=sealed)
        privacy.forget_buyer(tx, tenant, name, NOW + timedelta(days=more))
    privacy.redact(tx, tenant, OPEN, mark, NOW)
    privacy.hold(tx, tenant, "documents", order, date(2030, 1, more), mark, NOW)
    privacy.hold(tx, tenant, "vat-id", VAT, date(2030, 1, more), mark, NOW)
    entitlements.put(tx, tenant, Entitlement("entitled", mark, None, mark), NOW)
    moved = sa.update(books.orders).where(books.orders.c.tenant == tenant, books.orders.c.order_id == order)
    tx.execute(moved.values(updated_at=books.orders.c.updated_at + more))  # a moment later for the one than the other
    for subject in ("s", "t"):
        alarms.raise_alarm(tx, tenant, "TOKEN-REFUSED", subject, NOW, {"service": mark})
    alarms.end_alarm(tx, tenant, "TOKEN-REFUSED", "t", NOW)
    entitlements.cap_told(tx, tenant, NOW - timedelta(days=1), NOW, entitlements.NearCap("90", "100", "EUR"))
    found = Finding("warn", "SHOP-TAX", "taxes", mark, mark)
    checkups.put(tx, tenant, [found], [Change(True, found)], NOW, NOW - timedelta(minutes=more))
    for name, state in (("b-run", "running"), ("b-new", "planning")):  # one that is planned anew ends what was planned
        day = date(2026, more, 1)
        backfills.begin(tx, tenant, name, day, day, cut_off=NOW, basis=mark, cursor={"at": mark}, now=NOW)
        planned = [
            backfills.Planned(f"{one}{more if n else ''}", mark, NOW, NOW, more, mark, mark, settle=n != 2)
            for n, one in enumerate((order, f"{order}-", f"{order}+", f"{order}~"))
        ]
        backfills.keep(tx, tenant, name, 0, 0, [(one, {mark: more}) for one in planned], {"at": mark}, NOW)
        if state == "running":
            backfills.move(tx, tenant, name, ("planning",), "running", NOW, mark)
            backfills.take(tx, tenant, name, 2, NOW, timedelta(seconds=30))
            backfills.wanted(tx, tenant, name, {order: more})
            backfills.ended(tx, tenant, name, f"{order}-{more}", "done", mark, NOW)
    waits = money_back.Waiting(order, mark, 1000 * more, 2000, (f"RE-{mark}",), key, date(2026, 11, more))
    money_back.waits(tx, tenant, waits, NOW - timedelta(minutes=more))
    money_back.waits(tx, tenant, replace(waits, order_id=f"{order}-", owed=0), NOW - timedelta(days=200))
    for id_, verdict in (("71", "exact"), ("72", "ambiguous"), ("73", "none")):
        line = money_back.SeenLine(id_, "9", 100 * more, date(2026, 11, 20), mark, verdict, NOW)
        claims = () if verdict == "none" else (MatchedClaim(order, 10 * more, (mark,)), MatchedClaim(f"{order}+", more))
        money_back.saw(tx, tenant, [(line, Matched(id_, cast(Any, verdict), claims))], NOW - timedelta(days=200))
    for verdict, claims in (("ambiguous", (MatchedClaim(f"{order}?", more),)), ("none", ())):  # not said any more
        line = money_back.SeenLine("74", "9", 100 * more, date(2026, 11, 20), verdict, verdict, NOW)
        money_back.saw(tx, tenant, [(line, Matched("74", cast(Any, verdict), claims))], NOW - timedelta(days=200))
    money_back.wanted(tx, tenant, [f"{order}?"], NOW - timedelta(days=200))
    # Lines that are for other orders, or said to be for none, or chosen, in the one shop and not in the other.
    odd: list[tuple[str, str, tuple[MatchedClaim, ...]]] = [
        ("75", "partial", (MatchedClaim(f"{order}+", 1),)), ("76", "none", ()),
        ("78", "ambiguous", (MatchedClaim(f"{order}+", 1),)),
    ] if tenant == A else [
        ("75", "ambiguous", (MatchedClaim(order, 2),)), ("76", "partial", (MatchedClaim(order, 2),)),
        ("78", "ambiguous", (MatchedClaim(order, 2),)),
    ]  # fmt: skip
    for id_, verdict, claims in odd:
        line = money_back.SeenLine(id_, "9", 100 * more, date(2026, 11, 20), mark, verdict, NOW)
        money_back.saw(tx, tenant, [(line, Matched(id_, cast(Any, verdict), claims))], NOW - timedelta(days=200))
    if tenant == B:
        money_back.take(tx, tenant, "78", order, 2)
    reminders.remind(tx, tenant, reminders.Reminded(order, 1, date(2026, 11, more), more, more), NOW)
    seen = Discrepancy("deleted", "DOCUMENT-GONE", mark, "look", True, order, mark, f"RE-{mark}", key)
    reconciliations.plan(tx, tenant, NOW, NOW - timedelta(minutes=more), NOW - timedelta(hours=more))
    reconciliations.see(tx, tenant, [seen], NOW)
    made = Report(tenant, "nightly", NOW, NOW, None, None, more, more, (Item(seen, "asked", NOW),))
    reconciliations.keep(tx, "same", made)
    moved = Movement("bt/1", "CHARGE", NOW, more, 1, more - 1, "EUR", "tx/1", order, mark, "po/1", "1", mark)
    payouts.plan(tx, tenant, "g", NOW - timedelta(minutes=more))
    payouts.see_movements(tx, tenant, "g", [moved])
    payouts.see_payout(tx, tenant, "g", KnownPayout(Payout("po/1", NOW, "PAID", more, "EUR", mark)), False)
    payouts.line_written(tx, tenant, "g", LedgerLine("SHPPO 1", "payout", "9", more, NOW.date(), "po/1", mark), mark)
    payouts.line_written(tx, tenant, "g", LedgerLine("SHPFEE 2", "fee", "9", 1, NOW.date(), f"po/{mark}", mark), mark)
    payouts.line_written(tx, tenant, "g", LedgerLine("SHPFEE 3", "fee", "9", 1, NOW.date(), "po/1", mark), mark)
    fees = FeeVoucher("SHPFEE-1", "SHPFEE 1", "po/1", Provider(mark, 14, "5923"), NOW.date(), (("fees", more),))
    payouts.voucher_written(tx, tenant, "g", fees, mark, NOW.date())
    if tenant == B:
        payouts.voucher_booked(tx, tenant, "g", "SHPFEE-1", NOW)
    payouts.close(tx, tenant, "g", Closed(NOW.date(), more))
    payouts.keep_day(tx, tenant, DayBalance("g", "EUR", NOW.date(), more, more, 0, 0, ()), NOW)
    books.record_beside(tx, tenant, order, [Hand("doubled", "beside:1", more, "71", mark, content="Invoice/71")], NOW)
    _of_events(tx, tenant, order, mark, then)
    until = 1_000_000 * more
    upsert(
        tx, circuits.circuits, tenant=tenant, service="shopify", kind="k", until=until, pause=more, probed_until=None
    )


def _of_events(tx: Transaction, tenant: str, order: str, mark: str, then: datetime) -> None:
    """Receivers, one of them off and one that fails; events that wait, are under way and were taken; a write-back."""
    for id, kinds in (("rcv1", ()), ("rcv2", ("invoice.created",)), ("rcv3", ())):
        events.add(tx, tenant, id, mark, kinds, then)
    for number, one in enumerate((order, order, OPEN, HELD)):
        at = then - timedelta(minutes=number if tenant == A else 2 * number)
        events.tell(tx, tenant, f"evt{number}", "invoice.created", one, at, lambda at: mark)
    for event in ("evt0", "evt2"):
        held = events.claim(tx, tenant, "rcv1", event, RUN, then, then + timedelta(minutes=1))
        assert held is not None
    events.delivered(tx, held, RUN, then, 200)
    events.failed(tx, tenant, "rcv2", then, lambda failures: timedelta(minutes=failures))
    events.switch_off(tx, tenant, "rcv3", then, mark)
    events.add(tx, tenant, "rcv4", mark, (), then)  # it missed what was told before
    events.tell(tx, tenant, "evt4", "payment.booked", "", then, lambda at: mark)
    if tenant == A:  # nobody waits for it any more; of the other one somebody does, and nothing was missed
        for id in ("rcv1", "rcv4"):
            held = events.claim(tx, tenant, id, "evt4", RUN, then, then + timedelta(minutes=1))
            assert held is not None and events.delivered(tx, held, RUN, then, 200)
    else:
        events.replay(tx, tenant, events.endpoint(tx, tenant, "rcv4"), "evt0", then)
    for one in (order, OPEN, HELD):
        write_backs.want(tx, tenant, one, then)
    run = write_backs.claim(tx, tenant, OPEN, RUN, then, then + timedelta(minutes=1))
    assert run is not None
    write_backs.note(tx, run, RUN, then, write_backs.Written({"invoice_number": (mark, "d")}, (mark,)))
    run = write_backs.claim(tx, tenant, HELD, RUN, then, then + timedelta(minutes=1))
    assert run is not None
    write_backs.done(tx, run, RUN, then, mark)


def _hand(key: str, kind: str, mark: str) -> Hand:
    return Hand(kind, key, 119, f"h-{kind}", mark)


def _question(order: str, code: str = "TIP") -> books.Question:
    return books.Question(order, code, "", ("exclude the order",), "h", NOW)


def _told(tenant: str, ids: dict[str, Any]) -> list[inbox.Delivery]:
    """What was heard of the tenant's orders; the last is told of the one tenant later than of the other, which has
    tried it and is done."""
    of_orders = [
        inbox.Delivery(
            tenant=tenant, webhook_id=f"w{number}", topic="orders/paid", shop=MARK[tenant],
            received_at=NOW - timedelta(minutes=30 - number), body=MARK[tenant].encode(), order_id=order,
        )
        for number, order in enumerate([HELD, DUE, OPEN, ids["order"], *ids["orders"][:3]])
    ]  # fmt: skip
    asks = inbox.Delivery(
        tenant=tenant, webhook_id="asks", topic="app/uninstalled", shop=MARK[tenant], received_at=NOW, body=b"",
        acted_on=True,
    )  # fmt: skip
    late = inbox.Delivery(
        tenant=tenant, webhook_id="late", topic="orders/edited", shop=MARK[tenant], body=b"", order_id=LATE,
        received_at=NOW - timedelta(minutes=10 if tenant == A else 5),
        triggered_at=NOW - timedelta(minutes=11 if tenant == A else 8),
    )  # fmt: skip
    return [*of_orders, asks, late]


def _to_inbox(
    tx: Transaction, tenant: str, ids: dict[str, Any], told: list[inbox.Delivery], sealed: dict[str, Any]
) -> None:
    settled = ids["order"]
    for delivery in told:
        inbox.record(tx, delivery, sealed[delivery.webhook_id])
        if delivery.order_id is not None and delivery.order_id != LATE:
            inbox.want(tx, tenant, delivery.order_id, delivery.received_at)
    inbox.want(tx, tenant, inbox.mark_of("asks"), NOW)
    if tenant == A:  # done for the one, and still to be done for the other
        inbox.claim(tx, tenant, inbox.mark_of("asks"), run_id="z", executor="z", now=NOW)
        inbox.settled(tx, tenant, inbox.mark_of("asks"), "z", 1, NOW, "DONE")
    for order in (HELD, settled):
        inbox.claim(tx, tenant, order, run_id=RUN, executor=EXECUTOR, now=NOW)
    inbox.settled(tx, tenant, settled, RUN, 1, NOW, "TIP", NOW + timedelta(days=1))
    inbox.claim(tx, tenant, DUE, run_id="z", executor="z", now=NOW)
    inbox.postpone(tx, tenant, DUE, "z", NOW + timedelta(hours=1), "STOPPED", NOW)
    inbox.want(tx, tenant, LOST, NOW)
    inbox.claim(tx, tenant, LOST, run_id=RUN, executor=EXECUTOR, now=NOW)
    inbox.give_up(tx, tenant, LOST, RUN, "X")
    inbox.set_cursor(tx, tenant, "orders", MARK[tenant])
    inbox.want(tx, tenant, LATE, NOW)
    if tenant == A:
        inbox.claim(tx, tenant, LATE, run_id="late", executor="z", now=NOW)
        inbox.settled(tx, tenant, LATE, "late", 1, NOW, "DONE")
    inbox.note(tx, tenant, "turn", NOW - timedelta(hours=1 if tenant == A else 2))


def _differ(database: Database, tenant: str) -> None:
    """Rows that would say the same of both shops say something else."""
    mark, more = MARK[tenant], 1 if tenant == A else 2
    first = "min" if tenant == A else "max"
    final = f"(SELECT {first}(order_id) FROM documents WHERE state = 'final')"
    one = f"(SELECT {first}(order_id) FROM orders)"
    changes = {
        Store.BOOKS: (
            f"UPDATE bookings SET amount = amount + {more}",
            f"UPDATE covers SET amount = amount + {more}",
            f"UPDATE money_lines SET amount = amount + {more}",
            f"UPDATE documents SET gross = gross + {more}, eu_net = eu_net + {more}",
            f"UPDATE documents SET number = number || '{mark}', hash_seen = '{mark}'",
            f"UPDATE orders SET total = total + {more}, currency = '{'EUR' if tenant == A else 'CHF'}'",
            f"UPDATE documents SET finalised_at = 1 WHERE order_id = {final}",
            f"UPDATE intents SET reason = '{mark}'",
            f"UPDATE letters SET trace = '{mark}'",
            f"UPDATE attention SET since = since + {more}",
            # One name, two orders: whose it is, is all that tells them apart.
            f"UPDATE orders SET name = '#same', processed_at = {more}, code = 'UNPAID' WHERE order_id = {one}",
            f"UPDATE documents SET eu_net = 100 + {more} WHERE order_id = {final}",
            f"UPDATE tenants SET state = '{'active' if tenant == A else 'suspended'}'",
        ),
        Store.INBOX: (f"UPDATE order_marks SET trace = '{mark}', run_trace = '{mark}'",),
    }

    def write(tx: Transaction, texts: tuple[str, ...]) -> None:
        for text in texts:
            tx.exec_driver_sql(f"{text} {'AND' if ' WHERE ' in text else 'WHERE'} tenant = '{tenant}'")

    for store, texts in changes.items():
        database.tenant(tenant).run(store, partial(write, texts=texts))


# -- asking -----------------------------------------------------------------------------------------------------------


class Watched:
    """A database that notices rows of other tenants as they are read, before anything could sort them out."""

    def __init__(self, folder: Path) -> None:
        self.database = Database.open(data_dir=folder)
        self.foreign: list[str] = []
        self.of: str | None = None
        for engine in self.database._engines.values():
            sa.event.listen(engine, "connect", self._connected)

    def _connected(self, connection: Any, _record: object) -> None:
        connection.row_factory = self._row
        connection.execute("PRAGMA synchronous=OFF")  # nothing here has to outlive a power cut

    def _row(self, cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.of is not None:
            other = B if self.of == A else A
            for column, value in zip(cursor.description, row, strict=True):
                if isinstance(value, str) and (value == other or MARK[other] in value):
                    self.foreign.append(column[0])
        return row

    @contextmanager
    def as_seen_by(self, tenant: str) -> Iterator[None]:
        """Rows of another tenant are noted."""
        self.foreign, self.of = [], tenant
        try:
            yield
        finally:
            self.of = None

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """The question looks for itself whether it did something to another tenant."""
        of, self.of = self.of, None
        try:
            yield
        finally:
            self.of = of

    def rows(self, tx: Transaction, store: Store) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every tenant."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        for table in tables(store):
            keys = ", ".join(column.name for column in table.primary_key)
            rows = tx.connection.dbapi_connection.execute(f"SELECT * FROM {table.name} ORDER BY {keys}")  # type: ignore[union-attr]
            found[table.name] = rows.fetchall()
        return found

    def all_rows(self) -> dict[Store, dict[str, list[tuple[Any, ...]]]]:
        """The same of both stores, from outside."""
        door = self.database.system("demo")
        return {store: door.read(store, partial(self.rows, store=store)) for store in Store}


Rows = dict[str, list[tuple[Any, ...]]]


def of(rows: Rows, tenant: str) -> Rows:
    """One tenant's rows."""
    return {name: [row for row in some if row[0] == tenant] for name, some in rows.items()}


def changed(rows: Rows, before: Rows) -> Rows:
    """The tables that changed, without ciphertext and the ids of keys, which chance decides."""
    return {
        name: sorted((tuple(map(_without_chance, row)) for row in some), key=repr)
        for name, some in rows.items()
        if some != before[name]
    }


def _without_chance(value: Any) -> Any:
    return "..." if isinstance(value, bytes) or str(value).startswith("d:") else value


def plain(value: Any) -> Any:
    """An answer as something that can be compared: no bytes, no objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, sa.RowMapping | dict):
        return {_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_text, map(plain, value)))
    if isinstance(value, list | tuple) or type(value).__name__ == "Row":
        return [plain(item) for item in value]
    if isinstance(value, bytes | str):
        return _without_chance(value)
    return value if value is None or isinstance(value, int | float) else _text(value)


def _text(value: Any) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", str(value))


class World:
    """One database, and what the questions are asked with."""

    def __init__(self, folder: Path, ids: dict[str, Any], keys: str = KEY) -> None:
        self.watched = Watched(folder)
        self.database = self.watched.database
        self.ids = ids
        self.broken: list[str] = []
        self.house = house_on(self.database, keys)
        self.ctx = self.house.context

    ring, other_ring = KeyRing.parse(KEY), KeyRing.parse(f"{OTHER},{KEY}")

    @property
    def vault(self) -> Vault:
        """One that remembers nothing."""
        return Vault(KeyRing.parse(KEY), self.database)

    @property
    def fresh_ctx(self) -> Any:
        """A context whose vault remembers nothing."""
        return dataclasses.replace(self.ctx, vault=self.vault)

    def answer(self, tenant: str, ask: Callable[[], Any], *, system: bool) -> Any:
        """What a question gives, foreign rows noted; an error by its code."""
        with contextlib.nullcontext() if system else self.watched.as_seen_by(tenant):
            try:
                found = ask()
                return plain(list(found) if isinstance(found, Iterator) else found)
            except LadenbuchError as error:
                return f"{error.code}: {error}"
            except Exception as error:
                self.broken.append(f"{type(error).__name__}: {error}")
                return None

    def in_transaction(self, question: Question, tenant: str) -> tuple[Any, dict[Store, Any]]:
        """The answer and the rows after it, all taken back."""
        store = question.store
        assert store is not None
        kept: list[Any] = []

        def run(tx: Transaction) -> None:
            tx.exec_driver_sql("SAVEPOINT question")
            changes = tx.connection.dbapi_connection.total_changes  # type: ignore[union-attr]
            kept.append(self.answer(tenant, lambda: question.ask(self, tx, tenant), system=question.system))
            changed = tx.connection.dbapi_connection.total_changes > changes  # type: ignore[union-attr]
            kept.append({store: self.watched.rows(tx, store)} if changed else {})
            tx.exec_driver_sql("ROLLBACK TO question")

        door = self.database.system("demo") if question.system else self.database.tenant(tenant)
        door.run(store, run)
        return kept[0], kept[1]


@dataclasses.dataclass(frozen=True)
class Question:
    """One call for one tenant. `store`: in a transaction there, taken back; None: with doors of its own.

    `writes`: it needs a copy of the database. `system`: asked of all tenants; only what concerns the one is compared.
    """

    name: str
    ask: Callable[[World, Any, str], Any]
    store: Store | None = None
    writes: bool = False
    system: bool = False


class Court:
    """Asks questions and judges the answers. `folder` is `build`'s."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = tempfile.TemporaryDirectory()  # others may be asking, too
        own = Path(self._own.name)
        names = ("both", A, B, *(f"{where}-{left}" for where in ("both", A) for left in LEFT))
        for name in names:
            shutil.copytree(folder / name, own / name)
        both = Database.open(data_dir=own / "both")
        self.ids = both.tenant(A).read(Store.BOOKS, lambda tx: _ids(tx, A))
        both.close()
        self.worlds = {name: World(own / name, self.ids) for name in names}
        rows = {name: world.watched.all_rows() for name, world in self.worlds.items()}
        self.before = {
            (name, tenant, store): of(some, tenant)
            for name, stores in rows.items()
            for store, some in stores.items()
            for tenant in (A, B)
        }

    def close(self) -> None:
        """Give the connections back."""
        for world in self.worlds.values():
            world.database.close()
        self._own.cleanup()

    def faults(self, question: Question) -> list[str]:
        """What is wrong with the answers of one question; nothing when the two shops are apart."""
        worlds = [(A, ""), (B, ""), *((A, f"-{left}") for left in LEFT)]
        return [fault for tenant, less in worlds for fault in self._judged(question, tenant, less)]

    def _judged(self, question: Question, tenant: str, less: str) -> Iterator[str]:
        other = B if tenant == A else A
        alone, own, broken, _, _ = self._asked(question, tenant, f"{tenant}{less}")
        answer, rows, more_broken, foreign, strangers = self._asked(question, tenant, f"both{less}", other)
        name = f"{question.name} for {tenant}{less}"
        if not less:
            yield from (f"{name} failed: {error}" for error in (*broken, *more_broken))
        elif broken != more_broken:  # a question may fail for want of what was taken, but not otherwise with the other
            yield f"{name} fails otherwise where {other} is too: {broken} {more_broken}"
        if foreign:
            yield f"{name} read rows of {other}: {', '.join(sorted(set(foreign)))}"
        if answer != alone:
            yield f"{name} answers otherwise where {other} is too"
        if MARK[other] in str(answer) and not question.system:
            yield f"{name} gives away what is {other}'s"
        if {store: some for store, some in rows.items() if some} != {
            store: some for store, some in own.items() if some
        }:
            yield f"{name} leaves other rows of its own where {other} is too"
        if any(strangers.values()):
            yield f"{name} changed rows of {other}"

    def _asked(
        self, question: Question, tenant: str, where: str, other: str = ""
    ) -> tuple[Any, Any, list[str], list[str], Any]:
        world = self.worlds[where]
        if question.store is not None:
            answer, after = world.in_transaction(question, tenant)
        elif question.writes:
            with tempfile.TemporaryDirectory() as kept:
                shutil.copytree(self.folder / where, Path(kept) / "data")
                world = World(Path(kept) / "data", self.ids, keys=f"{OTHER},{KEY}")
                answer = world.answer(tenant, lambda: question.ask(world, None, tenant), system=question.system)
                after = world.watched.all_rows()
                world.database.close()
        else:
            answer = world.answer(tenant, lambda: question.ask(world, None, tenant), system=question.system)
            after = {}
        own, strangers = (
            {store: changed(of(rows, one), self.before[where, one, store]) for store, rows in after.items() if one}
            for one in (tenant, other)
        )
        broken, world.broken = world.broken, []
        return answer, own, broken, world.watched.foreign, strangers


def judge(
    folder: Path, *, first: bool = False, about: str = "", enough: Callable[[], bool] = lambda: False
) -> list[str]:
    """Ask everything, what begins with `about` before all else; with `first`, only until something is wrong.

    After what begins with `about`, `enough` is asked whether that was all.
    """
    from isolation_questions import QUESTIONS

    court = Court(folder)
    try:
        found: list[str] = []
        for question in sorted(QUESTIONS, key=lambda one: not one.name.startswith(about)):
            if not question.name.startswith(about) and enough():
                break
            found += court.faults(question)
            if found and first:
                break
        return found
    finally:
        court.close()


def main(arguments: list[str]) -> int:
    """Build the world and ask everything."""
    from isolation_questions import QUESTIONS

    with tempfile.TemporaryDirectory() as made:
        folder = Path(arguments[0]) if arguments else Path(made)
        if not (folder / "both").exists():
            build(folder)
        found = judge(folder)
    sys.stdout.write(json.dumps({"questions": len(QUESTIONS), "findings": found}) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.modules["isolation_world"] = sys.modules["__main__"]
    raise SystemExit(main(sys.argv[1:]))
