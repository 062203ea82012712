"""Everything that can be asked for one tenant, as `isolation_world` asks it. The name is module and function."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from isolation_world import (
    DUE,
    EXECUTOR,
    HELD,
    LATE,
    LOST,
    NOW,
    OPEN,
    PROFILE,
    RUN,
    VAT,
    A,
    Question,
    World,
    _hand,
    _question,
)  # fmt: skip
from ladenbuch import (
    alarms,
    audit,
    backfills,
    books,
    checkups,
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
from ladenbuch.breaker import Circuit
from ladenbuch.circuits import SharedCircuits
from ladenbuch.cli import demo
from ladenbuch.cli import replay as replaying
from ladenbuch.cli.dead_letters import _names as names_of_dead_letters
from ladenbuch.cli.replay import parked_with
from ladenbuch.cli.resolving import _gid as gid_in_books
from ladenbuch.cli.resolving import _names as names_of_questions
from ladenbuch.cli.story import story_of
from ladenbuch.db import Sealed, Store
from ladenbuch.domain.balance import Movement, Payout
from ladenbuch.domain.books import Booked, Hand, PostedLine
from ladenbuch.domain.clearing import DayBalance
from ladenbuch.domain.closed_days import Closed
from ladenbuch.domain.compared import Change
from ladenbuch.domain.connected import Finding
from ladenbuch.domain.entitlement import Entitlement
from ladenbuch.domain.evidence import VALID, VatIdAnswer
from ladenbuch.domain.facts import Problem
from ladenbuch.domain.feedback import mark_of
from ladenbuch.domain.money_back import Claim as MatchedClaim
from ladenbuch.domain.money_back import Matched
from ladenbuch.domain.month import ListedOrder
from ladenbuch.domain.payouts import FeeVoucher, KnownPayout, LedgerLine
from ladenbuch.domain.providers import Provider
from ladenbuch.domain.reconciling import Discrepancy, Report
from ladenbuch.errors import Rejected
from ladenbuch.sealed import SealedColumn
from ladenbuch.vault.data_keys import drop, load, make_first, rewrap, stamp
from ladenbuch.web.backlog import read_backlog
from ladenbuch.web.given_up import GivenUp
from ladenbuch.web.reads import SqlReads
from ladenbuch.workflows import (
    backfill,
    certify,
    digest,
    double_money,
    exporting,
    leaving,
    lifecycle,
    month_books,
    preview,
    profile_change,
    redaction,
    resolving,
    scopes,
)  # fmt: skip
from ladenbuch.workflows import privacy as privacy_work
from ladenbuch.workflows.context import profiles_in
from ladenbuch.workflows.rotation import COLUMNS, Rotation, before_data_keys

BOOKS, INBOX = Store.BOOKS, Store.INBOX
DAY = date(2026, 11, 1)
AGO, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
_SEALED = Sealed("k", b"x")
WORDS = digest.Words(lambda language, kind, facts: kind, lambda language, kind: kind, lambda language, code: code)
QUESTIONS: list[Question] = []


def _ask(store: Store | None, name: str, ask: Any, **more: bool) -> None:
    QUESTIONS.append(Question(name, ask, store, **more))


def nothing(found: object) -> None:
    """What is asked for a tenant that is nobody: the others' rows are there to be found, alone and together."""
    assert not found, found


def _of_inbox() -> None:
    def ask(name: str, call: Any, **more: bool) -> None:
        _ask(INBOX, f"inbox.{name}", call, **more)

    order = "order"
    ask("history", lambda w, tx, t: inbox.history(tx, t, w.ids[order]))
    ask("heard", lambda w, tx, t: inbox.heard(tx, t, "w0"))
    ask("told_since", lambda w, tx, t: inbox.told_since(tx, t, w.ids[order], AGO))
    ask("bodies", lambda w, tx, t: inbox.bodies(tx, t, w.ids[order], "orders/paid"))
    ask("newest_bodies", lambda w, tx, t: inbox.newest_bodies(tx, t, [w.ids[order], OPEN]))
    ask("heard_orders", lambda w, tx, t: inbox.heard_orders(tx, t))
    ask("erase", lambda w, tx, t: inbox.erase(tx, t, [w.ids[order]], ["w0"]))
    ask("erase_before", lambda w, tx, t: inbox.erase_before(tx, t, LATER))
    ask("erase_all", lambda w, tx, t: inbox.erase_all(tx, t))
    ask("record", lambda w, tx, t: [inbox.record(tx, _delivery(t, name), _SEALED) for name in ("w0", "new")])
    ask("record_all", lambda w, tx, t: inbox.record_all(tx, [_delivery(t, n).row(_SEALED) for n in ("w0", "new")]))
    ask("want", lambda w, tx, t: [inbox.want(tx, t, one, NOW) for one in (w.ids[order], HELD, DUE, OPEN, "new")])
    ask("want_all", lambda w, tx, t: inbox.want_all(tx, [(t, w.ids[order]), (t, OPEN), (t, "new")], AGO))
    for one in (OPEN, HELD, DUE):
        ask("claim", lambda w, tx, t, one=one: inbox.claim(tx, t, one, run_id="r", executor="e", now=NOW))
        ask("holder", lambda w, tx, t, one=one: inbox.holder(tx, t, one))
    ask("release_run", lambda w, tx, t: [inbox.release_run(tx, t, one, RUN, NOW) for one in (HELD, OPEN)])
    ask("settled", lambda w, tx, t: inbox.settled(tx, t, HELD, RUN, 1, NOW, "X"))
    ask("postpone", lambda w, tx, t: inbox.postpone(tx, t, HELD, RUN, LATER, "X", NOW))
    ask("resume", lambda w, tx, t: inbox.resume(tx, t, "STOPPED", NOW))
    ask("give_up", lambda w, tx, t: inbox.give_up(tx, t, HELD, RUN, "X"))
    ask("redrive", lambda w, tx, t: [inbox.redrive(tx, t, order, NOW, LATER) for order in (DUE, "new")])
    ask("drop", lambda w, tx, t: [inbox.give_up(tx, t, HELD, RUN, "X"), inbox.drop(tx, t, HELD, "Y")])
    ask("drop", lambda w, tx, t: inbox.drop(tx, t, LOST, "Y"))
    ask("marked_orders", lambda w, tx, t: inbox.marked_orders(tx, t, "", 100))
    ask("at_work", lambda w, tx, t: [inbox.at_work(tx, t), nothing(inbox.at_work(tx, "nobody"))])
    ask("cursor", lambda w, tx, t: inbox.cursor(tx, t, "orders"))
    ask("set_cursor", lambda w, tx, t: inbox.set_cursor(tx, t, "orders", "now"))
    for name in ("turn", "other"):
        ask("take_turn", lambda w, tx, t, n=name: inbox.take_turn(tx, t, n, LATER, timedelta(minutes=5)))
        ask("take_turn", lambda w, tx, t, n=name: inbox.take_turn(tx, t, n, LATER, timedelta(minutes=5), "p"))
        ask("note", lambda w, tx, t, n=name: inbox.note(tx, t, n, LATER))
        ask("noted", lambda w, tx, t, n=name: inbox.noted(tx, n, t))
    ask("told", lambda w, tx, t: sorted(inbox.told(tx, t, {OPEN: AGO, LATE: NOW - timedelta(minutes=9)}, timedelta(0))))
    ask("delays", lambda w, tx, t: inbox.delays(tx, t, NOW - timedelta(days=9)))
    ask("last_told", lambda w, tx, t: inbox.last_told(tx, t))
    ask("asleep", lambda w, tx, t: sorted(inbox.asleep(tx, t, [OPEN, HELD, DUE, LATE])))
    ask("due", lambda w, tx, t: [one for one in inbox.due(tx, LATER, 100) if one.tenant == t], system=True)


def _delivery(tenant: str, webhook_id: str) -> inbox.Delivery:
    return inbox.Delivery(tenant, webhook_id, "orders/paid", "s", NOW, b"", HELD)


def _of_books() -> None:
    def ask(name: str, call: Any) -> None:
        _ask(BOOKS, f"books.{name}", call)

    def seal(row: str, plain: bytes) -> tuple[str, bytes]:
        return "k", plain

    def of_order(w: World, tx: Any, t: str) -> Any:
        return books.load(tx, t, w.ids["order"], w.ctx.unseal(t, "pins"))

    ask("load", of_order)
    ask("applied", lambda w, tx, t: books.applied(tx, t, w.ids["orders"]))
    pins = "pins"
    ask("document", lambda w, tx, t: books.document(tx, t, w.ids["order"], w.ids["key"], w.ctx.unseal(t, pins)))
    ask("load", lambda w, tx, t: [books.load(tx, t, one, w.ctx.unseal(t, "pins")) for one in w.ids["orders"]])
    ask("questions", lambda w, tx, t: books.questions(tx, t))
    ask("questions", lambda w, tx, t: books.questions(tx, t, w.ids["order"], "TIP"))
    problem = Problem("TIP", "again", (), ("exclude the order",))
    ask("record_attention", lambda w, tx, t: books.record_attention(tx, t, w.ids["order"], [(problem, "h")], NOW))
    ask("drop_questions", lambda w, tx, t: books.drop_questions(tx, t))
    ask("forget_contact", lambda w, tx, t: books.forget_contact(tx, t, "K-1"))
    ask("forget_contacts", lambda w, tx, t: books.forget_contacts(tx, t))
    ask("forget_contact_steps", lambda w, tx, t: books.forget_contact_steps(tx, t, "K-1"))
    ask("drop_leases_of", lambda w, tx, t: books.drop_leases_of(tx, t))
    ask("orders_before", lambda w, tx, t: books.orders_before(tx, t, date(2026, 12, 1), 100))
    ask("drop_fences", lambda w, tx, t: books.drop_fences(tx, t))
    ask("unconfirmed", lambda w, tx, t: books.unconfirmed(tx, t))
    ask("unpromise", lambda w, tx, t: books.unpromise(tx, t, ["mail:1", "letter:1", "letter"]))
    ask("unfinished", lambda w, tx, t: books.unfinished(tx, t))
    ask("known_orders", lambda w, tx, t: books.known_orders(tx, t, "", 100))
    ask("last_entry", lambda w, tx, t: [books.last_entry(tx, t), nothing(books.last_entry(tx, "nobody"))])
    for name in ("documents", "intents", "questions"):
        erase = getattr(books, f"erase_in_{name}")
        ask(f"erase_in_{name}", lambda w, tx, t, e=erase: e(tx, t, w.ids["order"], "e", "-"))
        ask(f"erase_in_{name}", lambda w, tx, t, e=erase: e(tx, t, w.ids["order"], "\u2021", "-"))
    ask("invoiced_orders", lambda w, tx, t: books.invoiced_orders(tx, t, NOW - timedelta(days=400)))
    ask("resolve", lambda w, tx, t: books.resolve(tx, t, _question(w.ids["order"]), "else", "me", NOW))
    for number in ("K-1", "K-2"):
        ask("contact", lambda w, tx, t, n=number: books.contact(tx, t, n))
        ask("contact_known", lambda w, tx, t, n=number: books.contact_known(tx, t, n, books.KnownContact("1")))
    ask("contact_finished", lambda w, tx, t: books.contact_finished(tx, t, "K-1"))
    ask("contact_carries", lambda w, tx, t: books.contact_carries(tx, t, "K-1", "new"))
    for run in (RUN, "other"):
        ask("take_fence", lambda w, tx, t, r=run: books.take_fence(tx, t, w.ids["order"], 1, r))
        ask("check_fence", lambda w, tx, t, r=run: books.check_fence(tx, t, w.ids["order"], r))
    for name in ("contact:1", "contact:2", "contact:3"):
        ask("take_lease", lambda w, tx, t, n=name: books.take_lease(tx, t, n, RUN, NOW, LATER))
        ask("give_lease", lambda w, tx, t, n=name: books.give_lease(tx, t, n, RUN))
    for name in ("open:one", "new"):
        ask("intend", lambda w, tx, t, n=name: books.intend(
            tx, t, w.ids["order"], key=n, kind="k", run_id="r", reason="", now=NOW))  # fmt: skip
        ask("intent", lambda w, tx, t, n=name: books.intent(tx, t, n))
    ask("call_again", lambda w, tx, t: books.call_again(tx, t, "open:one", "r", LATER))
    seen = books.Intent("open:one", False, False, RUN, NOW, None)
    ask("take_over", lambda w, tx, t: books.take_over(tx, t, seen, "r", LATER))
    ask("refuse", lambda w, tx, t: books.refuse(tx, t, "open:one"))
    ask("done", lambda w, tx, t: books.done(tx, t, "open:one", NOW, "9"))
    ask("pin_document", lambda w, tx, t: books.pin_document(tx, t, OPEN, of_order(w, tx, t).documents[0], seal))
    ask("drafted", lambda w, tx, t: books.drafted(tx, t, w.ids["key"], "9", "c"))
    ask("finalised", lambda w, tx, t: books.finalised(tx, t, w.ids["key"], "RE", NOW))
    ask("taken_over", lambda w, tx, t: books.taken_over(tx, t, w.ids["key"]))
    ask("cancelled", lambda w, tx, t: books.cancelled(tx, t, w.ids["key"]))
    ask("record_hands", lambda w, tx, t: books.record_hands(
        tx, t, w.ids["order"], [_hand(w.ids["key"], "paid", "-")], [w.ids["key"]], NOW))  # fmt: skip
    line = PostedLine("new", "p", "12", 1, date(2026, 11, 1), True, "5")
    ask("line_written", lambda w, tx, t: books.line_written(tx, t, OPEN, line, "12", "5"))
    ask("orders_of_invoices", lambda w, tx, t: books.orders_of_invoices(
        tx, t, [of_order(w, tx, t).documents[0].sevdesk_id or "9"]))  # fmt: skip
    ask("orders_of_invoices", lambda w, tx, t: books.orders_of_invoices(tx, t, [w.ids["remote"], "9"]))
    ask("noted_candidates", lambda w, tx, t: books.noted_candidates(tx, t, w.ids["order"], "paid"))
    ask("paid_by_us", lambda w, tx, t: books.paid_by_us(tx, t, [w.ids["remote"], "5"]))
    ask("lines_on", lambda w, tx, t: books.lines_on(tx, t, "12"))
    ask("line_sums", lambda w, tx, t: books.line_sums(tx, t, "12", date(2099, 1, 1)))
    ask("numbers_of_orders", lambda w, tx, t: books.numbers_of_orders(tx, t, [w.ids["order"]]))
    ask("taken_lines", lambda w, tx, t: books.taken_lines(tx, t, [w.ids["line"], "5"]))
    booking = Booked("new", "p", "d", 1, True)
    ask("booked", lambda w, tx, t: books.booked(
        tx, t, OPEN, booking, account="1", transaction_id="1", booked_on=NOW.date(), paid_after=1, now=NOW,
    ))  # fmt: skip
    ask("moved", lambda w, tx, t: books.moved(tx, t, w.ids["key"], "RE-9", date(2026, 12, 1)))
    ask("content_of", lambda w, tx, t: books.content_of(tx, t, w.ids["key"]))
    ask("orders_named", lambda w, tx, t: books.orders_named(tx, t, ["#1", "#same", "n"]))
    since = NOW - timedelta(days=99)
    ask("uncovered_money", lambda w, tx, t: sorted(books.uncovered_money(tx, t, {837}, since).items()))
    ask("snapshots_of", lambda w, tx, t: books.snapshots_of(tx, t, [w.ids["order"], *w.ids["orders"]]))
    ask("fell", lambda w, tx, t: [books.fell(tx, t, key) for key in (w.ids["key"], "nobody's")])
    ask("money_facts", lambda w, tx, t: books.money_facts(tx, t, w.ids["order"], NOW - timedelta(days=400)))
    ask("looked_at", lambda w, tx, t: books.looked_at(tx, t, [w.ids["order"], *w.ids["orders"]]))
    beside = Hand("foreign", "beside:2", 1, "72", "RE-2", content="Invoice/72")
    again = Hand("doubled", "beside:1", 1, "71", "RE-1", content="Invoice/71")
    ask("record_beside", lambda w, tx, t: books.record_beside(tx, t, w.ids["order"], [beside, again], NOW))
    ask("forget_beside", lambda w, tx, t: books.forget_beside(tx, t, "doubled", "71"))
    ask("has_documents", lambda w, tx, t: [books.has_documents(tx, t), nothing(books.has_documents(tx, "nobody"))])
    ask("eu_sales", lambda w, tx, t: books.eu_sales(tx, t, NOW - timedelta(days=400)))
    ask("changed_since", lambda w, tx, t: books.changed_since(tx, t, NOW - timedelta(days=400)))
    ask("orders_by_hour", lambda w, tx, t: books.orders_by_hour(tx, t, NOW - timedelta(days=400), LATER))
    ask("seen", lambda w, tx, t: books.seen(tx, t, [w.ids["order"], *w.ids["orders"]]))
    ask("record_state", lambda w, tx, t: books.record_state(tx, t, _state(w.ids["order"]), seal, NOW))


def _state(order: str) -> books.OrderState:
    return books.OrderState(order, "#1", "waiting", None, 1, "EUR", NOW, NOW, {}, b"")


def _of_letters() -> None:
    def ask(name: str, call: Any, **more: bool) -> None:
        _ask(BOOKS, f"outbox.{name}", call, **more)

    for key in (*(f"mail:{number}" for number in range(7)), "new"):
        ask("claim", lambda w, tx, t, k=key: outbox.claim(tx, t, k, RUN, NOW, EXECUTOR))
        ask("get", lambda w, tx, t, k=key: outbox.get(tx, t, k))
        ask("locked", lambda w, tx, t, k=key: outbox.locked(tx, t, k))
        ask("sending", lambda w, tx, t, k=key: outbox.sending(tx, t, k, RUN, NOW))
        ask("accepted", lambda w, tx, t, k=key: outbox.accepted(
            tx, t, k, RUN, NOW, message_id="m", relay="r", reply="250"))  # fmt: skip
        ask("uncertain", lambda w, tx, t, k=key: outbox.uncertain(tx, t, k, RUN, NOW, "why"))
        ask("retry", lambda w, tx, t, k=key: outbox.retry(tx, t, k, RUN, NOW, due_at=LATER, reason="why"))
        ask("failed", lambda w, tx, t, k=key: outbox.failed(tx, t, k, RUN, NOW, "why"))
        ask("moot", lambda w, tx, t, k=key: outbox.moot(tx, t, k, RUN, NOW, "why"))
        ask("redrive", lambda w, tx, t, k=key: outbox.redrive(tx, t, k, NOW, LATER))
        ask("send_after_all", lambda w, tx, t, k=key: outbox.send_after_all(tx, t, k, NOW, LATER))
        ask("arrived", lambda w, tx, t, k=key: outbox.arrived(tx, t, k, NOW, said="yes"))
        ask("ask_later", lambda w, tx, t, k=key: outbox.ask_later(tx, t, k, LATER))
        ask("promise", lambda w, tx, t, k=key: outbox.promise(
            tx, t, key=k, kind="i", order_id=OPEN, document_id=None, sealed_payload=_SEALED, now=NOW))  # fmt: skip
    ask("withdraw", lambda w, tx, t: outbox.withdraw(tx, t, w.ids["order"], NOW, "why"))
    ask("take_back", lambda w, tx, t: outbox.take_back(tx, t))
    ask("erase_all", lambda w, tx, t: outbox.erase_all(tx, t))
    ask("of_order", lambda w, tx, t: outbox.of_order(tx, t, w.ids["order"]))
    ask("counts", lambda w, tx, t: outbox.counts(tx, t))
    ask("uncertain_ones", lambda w, tx, t: outbox.uncertain_ones(tx, t))
    ask("doubts", lambda w, tx, t: [one for one in outbox.doubts(tx, NOW, 100) if one.tenant == t], system=True)
    ask("due", lambda w, tx, t: [one for one in outbox.due(tx, NOW, 100) if one.tenant == t], system=True)
    for key in ("mail:0", "mail:1", "mail:2", "mail:4", "new"):
        ask("told", lambda w, tx, t, k=key: outbox.told(tx, t, k, NOW, what="bounced", bounce="soft", at=NOW))
        ask("suppressed", lambda w, tx, t, k=key: outbox.suppressed(
            tx, t, k, RUN, NOW, recipient="r1", why="soft", reason="why"))  # fmt: skip
    ask("of_recipient", lambda w, tx, t: outbox.of_recipient(tx, t, "r1"))
    ask("again", lambda w, tx, t: outbox.again(tx, t, "r1", NOW))
    ask("forget_recipients", lambda w, tx, t: outbox.forget_recipients(tx, t, w.ids["order"]))
    ask("tallies", lambda w, tx, t: outbox.tallies(tx, t, AGO, LATER))
    marks = [mark_of("mail:0"), mark_of("mail:2")]
    ask("named", lambda w, tx, t: [one for one in outbox.named(tx, marks) if one.tenant == t], system=True)

    def of_list(name: str, call: Any) -> None:
        _ask(BOOKS, f"suppressions.{name}", call)

    for who in ("r1", "r2", "new"):
        of_list("add", lambda w, tx, t, r=who: suppressions.add(tx, t, r, "operator", NOW, actor="me"))
        of_list("remove", lambda w, tx, t, r=who: suppressions.remove(tx, t, r))
        of_list("cause_of", lambda w, tx, t, r=who: suppressions.cause_of(tx, t, r))
    of_list("listed", lambda w, tx, t: suppressions.listed(tx, t))
    of_list("count", lambda w, tx, t: suppressions.count(tx, t))
    of_list("forget", lambda w, tx, t: suppressions.forget(tx, t))


def _of_events() -> None:
    def ask(name: str, call: Any, **more: bool) -> None:
        _ask(BOOKS, f"events.{name}", call, **more)

    quiet, which = (lambda failures: timedelta(minutes=failures)), events.Which
    for number, id in enumerate(("rcv1", "rcv2", "rcv3", "rcv4")):
        ask("add", lambda w, tx, t, n=number: events.add(tx, t, f"new{n}", "h", (), LATER))
        ask("endpoint", lambda w, tx, t, e=id: events.endpoint(tx, t, e))
        ask("remove", lambda w, tx, t, e=id: events.remove(tx, t, e))
        ask("rotated", lambda w, tx, t, e=id: events.rotated(tx, t, e, LATER))
        ask("switch_off", lambda w, tx, t, e=id: events.switch_off(tx, t, e, LATER, "why"))
        ask("switch_on", lambda w, tx, t, e=id: events.switch_on(tx, t, e, LATER))
        ask("took", lambda w, tx, t, e=id: events.took(tx, t, e, LATER))
        ask("failed", lambda w, tx, t, e=id: events.failed(tx, t, e, LATER, quiet))
        for event in ("evt0", "evt1", "evt3", "new"):
            ask("replay", lambda w, tx, t, e=id, v=event: events.replay(tx, t, events.endpoint(tx, t, e), v, LATER))
            ask("claim", lambda w, tx, t, e=id, v=event: events.claim(tx, t, e, v, RUN, NOW, LATER))
        ask("missed", lambda w, tx, t, e=id: events.missed(tx, t, events.endpoint(tx, t, e), which(), 9))
        ask("found", lambda w, tx, t, e=id: events.found(tx, t, which(e), 9))
    ask("endpoints", lambda w, tx, t: [events.endpoints(tx, t), nothing(events.endpoints(tx, "nobody"))])

    def held(tx: Any, t: str) -> events.Delivery:
        return next(one for one in events.found(tx, t, which("rcv1"), 9) if one.event == "evt0")

    ask("delivered", lambda w, tx, t: events.delivered(tx, held(tx, t), RUN, LATER, 200))
    ask("postpone", lambda w, tx, t: events.postpone(tx, held(tx, t), RUN, LATER, LATER, 500, "why"))
    ask("give_up", lambda w, tx, t: events.give_up(tx, held(tx, t), RUN, LATER, 500, "why"))
    for number, order in enumerate((OPEN, DUE)):
        ask("tell", lambda w, tx, t, n=number, o=order: events.tell(
            tx, t, f"new{n}", "invoice.created", o, NOW - timedelta(days=1), lambda at: f"{at}"))  # fmt: skip
    ask("tell", lambda w, tx, t: events.tell(tx, t, "evt0", "invoice.created", OPEN, LATER, lambda at: f"{at}"))
    ask("found", lambda w, tx, t: events.found(tx, t, which(order_id=w.ids["order"], since=AGO, until=LATER), 9))
    ask("counts", lambda w, tx, t: [events.counts(tx, t), nothing(events.counts(tx, "nobody"))])
    ask("erase", lambda w, tx, t: events.erase(tx, t, w.ids["order"]))
    ask("prune", lambda w, tx, t: events.prune(tx, t, LATER))
    ask("forget", lambda w, tx, t: events.forget(tx, t))
    ask("due", lambda w, tx, t: [one for one in events.due(tx, NOW, 100) if one[0] == t], system=True)


def _of_write_backs() -> None:
    def ask(name: str, call: Any, **more: bool) -> None:
        _ask(BOOKS, f"write_backs.{name}", call, **more)

    def held(tx: Any, t: str) -> write_backs.WriteBack:
        found = write_backs.of_order(tx, t, OPEN)
        assert found is not None
        return found

    written = write_backs.Written({"invoice_number": ("1", "d")}, ("t",))
    for order in (OPEN, HELD, DUE):
        ask("want", lambda w, tx, t, o=order: write_backs.want(tx, t, o, LATER))
        ask("claim", lambda w, tx, t, o=order: write_backs.claim(tx, t, o, "r", NOW, LATER))
        ask("of_order", lambda w, tx, t, o=order: write_backs.of_order(tx, t, o))
        ask("erase", lambda w, tx, t, o=order: write_backs.erase(tx, t, o))
    ask("note", lambda w, tx, t: write_backs.note(tx, held(tx, t), RUN, LATER, written))
    ask("wait", lambda w, tx, t: write_backs.wait(tx, held(tx, t), RUN, LATER))
    ask("done", lambda w, tx, t: write_backs.done(tx, held(tx, t), RUN, LATER, "why"))
    ask("postpone", lambda w, tx, t: write_backs.postpone(tx, held(tx, t), RUN, LATER, LATER, "why"))
    ask("troubled", lambda w, tx, t: [write_backs.troubled(tx, t, 9), nothing(write_backs.troubled(tx, "nobody", 9))])
    ask("forget", lambda w, tx, t: write_backs.forget(tx, t))
    ask("due", lambda w, tx, t: [one for one in write_backs.due(tx, NOW, 100) if one[0] == t], system=True)


def _of_the_rest() -> None:
    def ask(name: str, call: Any) -> None:
        _ask(BOOKS, name, call)

    def append(w: World, tx: Any, t: str) -> int:
        return audit.append(tx, t, NOW, actor="a", event="e", subject="s", sentence="x")

    ask("audit.append", lambda w, tx, t: [append(w, tx, t), append(w, tx, t), audit.verify(tx, t)])
    ask("audit.append", lambda w, tx, t: append(w, tx, "new"))
    ask("audit.verify", lambda w, tx, t: audit.verify(tx, t))
    ask("audit.entries", lambda w, tx, t: [audit.entries(tx, t), audit.entries(tx, t, "s1", 2)])
    ask("audit.head", lambda w, tx, t: [audit.head(tx, t), nothing(int(audit.head(tx, "nobody"), 16))])
    ask("audit.export", lambda w, tx, t: audit.export(tx, t))

    ask("deadletters.get", lambda w, tx, t: [deadletters.get(tx, t, "order", "s"), deadletters.get(tx, t, "x", "s")])
    fail = {"kind": "order", "subject": "s", "code": "N", "message": "n", "attempts": 2, "now": NOW, "again": LATER}
    ask("deadletters.failed", lambda w, tx, t: deadletters.failed(tx, t, **fail))  # type: ignore[arg-type]
    ask("deadletters.failed", lambda w, tx, t: deadletters.failed(tx, t, **{**fail, "again": None}))  # type: ignore[arg-type]
    ask("deadletters.succeeded", lambda w, tx, t: [deadletters.succeeded(tx, t, "order", s) for s in ("s", "new")])
    ask("deadletters.find", lambda w, tx, t: deadletters.find(tx, deadletters.Which(t, "order", "C"), 5))
    ask("deadletters.count", lambda w, tx, t: deadletters.count(tx, deadletters.Which(t)))
    ask("deadletters.looked_at", lambda w, tx, t: deadletters.looked_at(tx, t, "order", ["s", "new"]))

    shown = lambda tx, t: deadletters.find(tx, deadletters.Which(t))  # noqa: E731
    ask("deadletters.close", lambda w, tx, t: [deadletters.close(tx, one, "dropped", "n") for one in shown(tx, t)])
    ask("deadletters.annotate", lambda w, tx, t: [deadletters.annotate(tx, one, "n") for one in shown(tx, t)])

    for subject in ("s", "t", "new"):
        for kind, facts in (("TOKEN-REFUSED", {"service": "-"}), ("QUEUE-OLD", {"minutes": 9})):
            ask("alarms.raise_alarm", lambda w, tx, t, s=subject, k=kind, f=facts: alarms.raise_alarm(
                tx, t, k, s, LATER, f))  # fmt: skip
            ask("alarms.end_alarm", lambda w, tx, t, s=subject, k=kind: alarms.end_alarm(tx, t, k, s, LATER))
    ask("alarms.open_alarms", lambda w, tx, t: alarms.open_alarms(tx, t))
    ask("alarms.ended_alarms", lambda w, tx, t: alarms.ended_alarms(tx, t, AGO))

    answer = VatIdAnswer(VAT, VALID, LATER, "New", "r")
    ask("evidence.record", lambda w, tx, t: evidence.record(tx, t, answer, lambda row, plain: ("k", plain)))
    ask("evidence.latest", lambda w, tx, t: evidence.latest(tx, t, [VAT], w.ctx.unseal(t, "vat")))
    ask("evidence.history", lambda w, tx, t: evidence.history(tx, t, VAT, w.ctx.unseal(t, "vat")))

    ask("evidence.forget_names", lambda w, tx, t: evidence.forget_names(tx, t, VAT))

    ask("entitlements.get", lambda w, tx, t: [entitlements.get(tx, t), nothing(entitlements.get(tx, "nobody"))])
    near = entitlements.NearCap("91", "100", "EUR")
    verdict = Entitlement("none", "n", None, None, 1, None)
    ask("entitlements.put", lambda w, tx, t: entitlements.put(tx, t, verdict, LATER))
    ask("entitlements.unread", lambda w, tx, t: entitlements.unread(tx, t, "C", LATER))
    ask("entitlements.cap_told", lambda w, tx, t: entitlements.cap_told(tx, t, LATER, LATER, near))
    ask("entitlements.cap_left", lambda w, tx, t: entitlements.cap_left(tx, t))

    def seen(w: World) -> Discrepancy:
        named = w.ids["order"], "n", "RE-n", w.ids["key"]
        return Discrepancy("deleted", "DOCUMENT-GONE", "n", "look", True, *named)

    ask("reconciliations.plan", lambda w, tx, t: [
        reconciliations.plan(tx, one, LATER, LATER, LATER) for one in (t, f"{t}-new")])  # fmt: skip
    ask("reconciliations.claim", lambda w, tx, t: [
        reconciliations.claim(tx, t, kind, LATER, LATER) for kind in ("rolling", "nightly")])  # fmt: skip
    ask("reconciliations.done", lambda w, tx, t: reconciliations.done(tx, t, "rolling", LATER, LATER))
    ask("reconciliations.known", lambda w, tx, t: reconciliations.known(tx, t))
    ask("reconciliations.see", lambda w, tx, t: reconciliations.see(tx, t, [seen(w)], LATER))
    ask("reconciliations.cured", lambda w, tx, t: reconciliations.cured(tx, t, seen(w).mark, LATER))
    ask("reconciliations.gone", lambda w, tx, t: reconciliations.gone(tx, t, seen(w).mark))
    ask("reconciliations.accept", lambda w, tx, t: reconciliations.accept(tx, t, seen(w).mark, "why"))
    ask("reconciliations.latest", lambda w, tx, t: reconciliations.latest(tx, t, "nightly"))
    ask("reconciliations.newest", lambda w, tx, t: reconciliations.newest(tx, t, 9))
    made = Report("", "nightly", LATER, LATER, None, None, 1, 1, ())
    ask("reconciliations.keep", lambda w, tx, t: [
        reconciliations.keep(tx, name, replace(made, tenant=t)) for name in ("same", "new")])  # fmt: skip
    ask("reconciliations.prune", lambda w, tx, t: reconciliations.prune(tx, t, LATER))
    ask("reconciliations.forget", lambda w, tx, t: reconciliations.forget(tx, t))

    waits = money_back.Waiting("o-new", "new", 1, 2)
    ask("money_back.waits", lambda w, tx, t: [
        money_back.waits(tx, t, replace(waits, order_id=one), LATER) for one in (w.ids["order"], "o-new")])  # fmt: skip
    ask("money_back.waiting", lambda w, tx, t: [money_back.waiting(tx, t), money_back.waiting(tx, t, owing=True)])
    ask("money_back.waiting_of", lambda w, tx, t: money_back.waiting_of(tx, t, w.ids["order"]))
    ask("money_back.newest_wait", lambda w, tx, t: money_back.newest_wait(tx, t))
    ask("money_back.look_again", lambda w, tx, t: [
        money_back.look_again(tx, t, [w.ids["order"], "o-new"], paid=paid) for paid in (False, True)])  # fmt: skip
    ask("money_back.seen", lambda w, tx, t: money_back.seen(tx, t, ["71", "72", "73"]))
    line = money_back.SeenLine("71", "9", 7, DAY, "new", "partial", LATER)
    ask("money_back.saw", lambda w, tx, t: money_back.saw(
        tx, t, [(line, Matched("71", "partial", (MatchedClaim(w.ids["order"], 7),))), (replace(line, id="72"), None)],
        LATER))  # fmt: skip
    ask("money_back.saw", lambda w, tx, t: money_back.saw(tx, t, [(replace(line, id="74"), None)], LATER))
    ask("money_back.missing", lambda w, tx, t: money_back.missing(tx, t, "9", DAY))
    ask("money_back.claims_of", lambda w, tx, t: money_back.claims_of(tx, t, w.ids["order"]))
    ask("money_back.listed", lambda w, tx, t: money_back.listed(tx, t, ["exact", "ambiguous"]))
    ask("money_back.unmatched", lambda w, tx, t: money_back.unmatched(tx, t, DAY))
    ask("money_back.unwanted", lambda w, tx, t: money_back.unwanted(tx, t))
    ask("money_back.wanted", lambda w, tx, t: money_back.wanted(tx, t, [w.ids["order"]], LATER))
    ask("money_back.take", lambda w, tx, t: [money_back.take(tx, t, "72", w.ids["order"], 7), money_back.take(
        tx, t, "72", f"{w.ids['order']}+", 7)])  # fmt: skip
    ask("money_back.take", lambda w, tx, t: [money_back.take(tx, t, one, f"{w.ids['order']}+", 7) for one in (
        "74", "78")])  # fmt: skip
    ask("money_back.let_go", lambda w, tx, t: money_back.let_go(tx, t, "72", w.ids["order"]))
    ask("money_back.prune", lambda w, tx, t: money_back.prune(tx, t, NOW))
    ask("money_back.forget", lambda w, tx, t: money_back.forget(tx, t))
    late = reminders.Reminded("o-new", 1, DAY, 1, 1)
    ask("reminders.remind", lambda w, tx, t: [
        reminders.remind(tx, t, replace(late, order_id=one), LATER) for one in (w.ids["order"], "o-new")])  # fmt: skip
    ask("reminders.reminded", lambda w, tx, t: reminders.reminded(tx, t, [w.ids["order"]]))
    ask("reminders.forget", lambda w, tx, t: reminders.forget(tx, t))
    movement = Movement("bt/1", "REFUND", LATER, 7, 0, 7, "EUR")
    ask("payouts.plan", lambda w, tx, t: [payouts.plan(tx, one, "g", LATER) for one in (t, f"{t}-new")])
    ask("payouts.turn", lambda w, tx, t: [payouts.turn(tx, t, "g"), nothing(payouts.turn(tx, t, "none"))])
    ask("payouts.claim", lambda w, tx, t: payouts.claim(tx, t, "g", LATER, LATER))
    ask("payouts.done", lambda w, tx, t: payouts.done(tx, t, "g", LATER, "C", LATER))
    ask("payouts.read_up_to", lambda w, tx, t: payouts.read_up_to(tx, t, "g", LATER, 77))
    ask("payouts.open_at", lambda w, tx, t: payouts.open_at(tx, t, "g", LATER, 77))
    ask("payouts.say", lambda w, tx, t: payouts.say(tx, t, "g", [("C", "why")]))
    ask("payouts.see_movements", lambda w, tx, t: payouts.see_movements(tx, t, "g", [movement]))
    known_payout = KnownPayout(Payout("po/1", LATER, "FAILED", 7, "EUR"), LATER.date())
    ask("payouts.see_payout", lambda w, tx, t: payouts.see_payout(tx, t, "g", known_payout, True))
    ask("payouts.known_payouts", lambda w, tx, t: payouts.known_payouts(tx, t, "g"))
    ask("payouts.not_whole", lambda w, tx, t: payouts.not_whole(tx, t, "g"))
    ask("payouts.known_movements", lambda w, tx, t: [
        payouts.known_movements(tx, t, "g", **how) for how in ({}, {"since": LATER, "of": ["po/1"]})])  # fmt: skip
    paid_out = LedgerLine("SHPPO 1", "payout", "9", 7, LATER.date(), "po/1", "")
    ask("payouts.line_written", lambda w, tx, t: [
        payouts.line_written(tx, t, "g", replace(paid_out, key=k), "new") for k in (paid_out.key, "2")])  # fmt: skip
    ask("payouts.written", lambda w, tx, t: payouts.written(tx, t, "g"))
    ask("payouts.lines_on", lambda w, tx, t: payouts.lines_on(tx, t, "9"))
    receipt = FeeVoucher("SHPFEE-1", "SHPFEE 1", "po/1", Provider("n", 14, "5923"), LATER.date(), (("fees", 7),))
    ask("payouts.voucher_written", lambda w, tx, t: [
        payouts.voucher_written(tx, t, "g", replace(receipt, key=key), "new", LATER.date())
        for key in (receipt.key, "SHPFEE-2")])  # fmt: skip
    ask("payouts.voucher_booked", lambda w, tx, t: payouts.voucher_booked(tx, t, "g", "SHPFEE-1", LATER))
    ask("payouts.fees_by_hand", lambda w, tx, t: [
        payouts.fees_by_hand(tx, t, "g", one, LATER.date(), LATER) for one in ("po/1", "po/9")])  # fmt: skip
    ask("payouts.closed", lambda w, tx, t: payouts.closed(tx, t, "g"))
    ask("payouts.close", lambda w, tx, t: payouts.close(tx, t, "g", Closed(LATER.date(), 7)))
    ask("payouts.movement_sums", lambda w, tx, t: payouts.movement_sums(tx, t, "g", LATER))
    ask("payouts.line_sums", lambda w, tx, t: payouts.line_sums(tx, t, "9", LATER.date()))
    ask("payouts.unbooked", lambda w, tx, t: sorted(payouts.unbooked(tx, t, "g")))
    ask("payouts.vouchers_of", lambda w, tx, t: payouts.vouchers_of(tx, t, "g"))
    compared = DayBalance("g", "EUR", NOW.date(), 7, 7, 0, 0, ())
    ask("payouts.keep_day", lambda w, tx, t: payouts.keep_day(tx, t, compared, LATER))
    ask("payouts.kept_days", lambda w, tx, t: payouts.kept_days(tx, t, "g"))
    ask("payouts.prune_days", lambda w, tx, t: payouts.prune_days(tx, t, LATER.date() + timedelta(days=1)))
    ask("payouts.gateways", lambda w, tx, t: payouts.gateways(tx, t))
    ask("payouts.forget", lambda w, tx, t: payouts.forget(tx, t))

    found = Finding("warn", "NEW", "taxes", "new", "neu")
    ask("checkups.get", lambda w, tx, t: [checkups.get(tx, t), nothing(checkups.get(tx, "nobody"))])
    ask("checkups.plan", lambda w, tx, t: [checkups.plan(tx, t, LATER), checkups.plan(tx, f"{t}-new", LATER)])
    ask("checkups.claim", lambda w, tx, t: checkups.claim(tx, t, NOW, LATER))
    ask("checkups.put", lambda w, tx, t: checkups.put(tx, t, [found], [Change(True, found)], LATER, LATER))
    ask("checkups.failed", lambda w, tx, t: checkups.failed(tx, t, "C", LATER))
    ask("checkups.forget", lambda w, tx, t: checkups.forget(tx, t))

    week, plan = timedelta(days=7), backfills.Planned("o-new", "new", NOW, NOW, 1, "e", "s", settle=True)

    def planned(w: World) -> list[str]:
        return [*_all(w), *(f"{w.ids['order']}{end}{number}" for end in "-+~" for number in (1, 2))]

    for b in ("b-new", "b-run", "b-none"):
        ask("backfills.get", lambda w, tx, t, b=b: [backfills.get(tx, t, b), nothing(backfills.get(tx, "nobody", b))])
        ask("backfills.move", lambda w, tx, t, b=b: backfills.move(tx, t, b, backfills.OPEN, "paused", LATER, "why"))
        ask("backfills.keep", lambda w, tx, t, b=b: backfills.keep(tx, t, b, 1, 9, [(plan, {"n": 1})], {}, LATER))
        ask("backfills.aim", lambda w, tx, t, b=b: backfills.aim(tx, t, b, {"to": 1}))
        ask("backfills.proven", lambda w, tx, t, b=b: backfills.proven(tx, t, b, {"to": 2}))
        ask("backfills.unproven", lambda w, tx, t, b=b: backfills.unproven(tx, t, b, 0, {"to": 3}))
        ask("backfills.take", lambda w, tx, t, b=b: backfills.take(tx, t, b, 5, LATER, week))
        ask("backfills.outstanding", lambda w, tx, t, b=b: backfills.outstanding(tx, t, b, 9))
        ask("backfills.states", lambda w, tx, t, b=b: backfills.states(tx, t, b))
        ask("backfills.ended_since", lambda w, tx, t, b=b: backfills.ended_since(tx, t, b, AGO))
        ask("backfills.page", lambda w, tx, t, b=b: backfills.page(tx, t, b, -1, 9))
        ask("backfills.wanted", lambda w, tx, t, b=b: backfills.wanted(tx, t, b, dict.fromkeys(planned(w), 7)))
        ask("backfills.rows_of", lambda w, tx, t, b=b: backfills.rows_of(tx, t, b, planned(w)))
        ask("backfills.leave", lambda w, tx, t, b=b: backfills.leave(tx, t, b, planned(w), "CHANGED", LATER))
        ask("backfills.ended", lambda w, tx, t, b=b: [
            backfills.ended(tx, t, b, one, "done", "C", LATER) for one in planned(w)])  # fmt: skip
    ask("backfills.get", lambda w, tx, t: backfills.get(tx, t))
    ask("backfills.running", lambda w, tx, t: backfills.running(tx, t))
    day = NOW.date()
    ask("backfills.begin", lambda w, tx, t: backfills.begin(
        tx, t, "b-next", day, day, cut_off=None, basis="b", cursor={}, now=LATER))  # fmt: skip
    ask("backfills.forget", lambda w, tx, t: backfills.forget(tx, t))

    kind = "authorization_code"
    ask("grants.get", lambda w, tx, t: grants.get(tx, t))
    ask("grants.put", lambda w, tx, t: grants.put(tx, t, kind, ["x"], NOW))
    ask("grants.refreshed", lambda w, tx, t: grants.refreshed(tx, t, NOW, expires_at=LATER, refresh_expires_at=LATER))
    ask("grants.set_scopes", lambda w, tx, t: grants.set_scopes(tx, t, ["y"]))
    ask("grants.lose", lambda w, tx, t: grants.lose(tx, t, "why", NOW))
    ask("grants.forget", lambda w, tx, t: grants.forget(tx, t))

    ask("tenants.get", lambda w, tx, t: [tenants.get(tx, t), tenants.get(tx, "nobody")])
    ask("tenants.get", lambda w, tx, t: tenants.get(tx, t))
    ask(
        "tenants.restored_at", lambda w, tx, t: [tenants.restored_at(tx, t), nothing(tenants.restored_at(tx, "nobody"))]
    )
    ask("tenants.restored", lambda w, tx, t: tenants.restored(tx, t, LATER))
    ask("tenants.standing", lambda w, tx, t: tenants.standing(tx, t))
    ask("tenants.set_draft_only", lambda w, tx, t: tenants.set_draft_only(tx, t, True))
    ask("tenants.set_state", lambda w, tx, t: tenants.set_state(tx, t, "suspended", NOW, "why"))
    ask("tenants.set_step", lambda w, tx, t: tenants.set_step(tx, t, "granted"))
    ask("tenants.move_shop", lambda w, tx, t: tenants.move_shop(tx, t, "new.myshopify.com"))
    ask("tenants.set_cut_off", lambda w, tx, t: tenants.set_cut_off(tx, t, LATER))
    ask("tenants.identify", lambda w, tx, t: tenants.identify(tx, t, sevdesk_ref="other"))
    ask("tenants.remove_stub", lambda w, tx, t: _stubs(tx))
    ask("tenants.add_profile", lambda w, tx, t: tenants.add_profile(tx, t, PROFILE, NOW, NOW))
    ask("tenants.profiles", lambda w, tx, t: tenants.profiles(tx, t))
    ask("tenants.stop", lambda w, tx, t: tenants.stop(tx, t, "again", NOW))
    ask("tenants.go", lambda w, tx, t: tenants.go(tx, t))
    ask("tenants.stopped", lambda w, tx, t: tenants.stopped(tx, t))
    ask(
        "tenants.stopped",
        lambda w, tx, t: [nothing(tenants.stopped(tx, "nobody")), tenants.go(tx, t), tenants.stopped(tx, t)],
    )
    ask("workflows.profiles_in", lambda w, tx, t: profiles_in(tx, t))
    ask("workflows.scopes", lambda w, tx, t: [scopes.switches(tx, t), scopes.note(tx, t, "s", ["read_products"], NOW)])


def _of_privacy() -> None:
    def ask(name: str, call: Any, **more: bool) -> None:
        _ask(BOOKS, name, call, **more)

    for name in ("request", "new"):
        ask("privacy.received", lambda w, tx, t, n=name: privacy.received(tx, t, n, "k", NOW, LATER))
        ask("privacy.answer_of", lambda w, tx, t, n=name: privacy.answer_of(tx, t, n))
    ask("privacy.close", lambda w, tx, t: privacy.close(tx, t, "request", "done", NOW, "n", orders=1, answer=_SEALED))
    ask("privacy.drop_answer", lambda w, tx, t: privacy.drop_answer(tx, t, "request"))
    ask("privacy.drop_answers", lambda w, tx, t: privacy.drop_answers(tx, t))
    ask("privacy.requests", lambda w, tx, t: privacy.requests(tx, t))
    ask("privacy.redact", lambda w, tx, t: [privacy.redact(tx, t, one, "r", NOW) for one in (OPEN, HELD)])
    ask("privacy.redacted", lambda w, tx, t: [privacy.redacted(tx, t, one) for one in (OPEN, HELD)])
    ask("privacy.documented", lambda w, tx, t: [privacy.documented(tx, t, one) for one in (OPEN, HELD)])
    ask("privacy.redacted_orders", lambda w, tx, t: privacy.redacted_orders(tx, t))
    ask("privacy.forget_buyer", lambda w, tx, t: privacy.forget_buyer(tx, t, "request", LATER))
    ask("privacy.any_buyer", lambda w, tx, t: [privacy.any_buyer(tx, t), nothing(privacy.any_buyer(tx, "nobody"))])
    ask("privacy.forgotten_since", lambda w, tx, t: privacy.forgotten_since(tx, t, ["request"]))
    for year in (2029, 2031):
        ask("privacy.hold", lambda w, tx, t, y=year: privacy.hold(
            tx, t, "documents", w.ids["order"], date(y, 1, 1), "why", NOW))  # fmt: skip
    for order in (lambda w: w.ids["order"], lambda w: OPEN):
        ask("privacy.documented", lambda w, tx, t, o=order: [
            privacy.documented(tx, t, o(w)), nothing(privacy.documented(tx, "nobody", o(w)))])  # fmt: skip
    ask("privacy.on_hold", lambda w, tx, t: privacy.on_hold(tx, t))
    ask(
        "privacy.over",
        lambda w, tx, t: [one for one in privacy.over(tx, date(2040, 1, 1), 99) if one.tenant == t],
        system=True,
    )
    ask("privacy.release", lambda w, tx, t: [privacy.release(tx, one, NOW) for one in privacy.on_hold(tx, t)])
    ask("redaction.snapshot_of", lambda w, tx, t: redaction.snapshot_of(w.ctx, tx, t, w.ids["order"]))
    ask("redaction.empty", lambda w, tx, t: [
        redaction.empty(w.fresh_ctx, tx, t, one, "why", NOW, redaction.Erased()) for one in _all(w)])  # fmt: skip
    ask("redaction.release", lambda w, tx, t: [
        redaction.release(w.fresh_ctx, one, NOW, tx) for one in privacy.on_hold(tx, t)])  # fmt: skip
    _ask(None, "redaction.snapshots", lambda w, tx, t: list(redaction.snapshots(w.ctx, t)))
    _ask(None, "redaction.snapshots", lambda w, tx, t: list(redaction.snapshots(w.ctx, t, w.ids["orders"][:2])))
    _ask(None, "redaction.heard_of", lambda w, tx, t: [redaction.heard_of(w.ctx, t, one) for one in w.ids["orders"]])
    _ask(None, "workflows.privacy.order", lambda w, tx, t: [
        privacy_work._order(w.ctx, t, one, None) for one in w.ids["orders"]])  # fmt: skip
    _ask(None, "workflows.privacy.decisions", lambda w, tx, t: privacy_work._order(w.ctx, t, w.ids["order"], None))
    _ask(
        None, "workflows.privacy.fetch", lambda w, tx, t: privacy_work.fetch(w.ctx, t, "request", by="me"), writes=True
    )
    _ask(None, "redaction.erase", lambda w, tx, t: redaction.erase(
        w.ctx, t, [w.ids["order"]], "why", by="me"), writes=True)  # fmt: skip
    _ask(None, "leaving.redact", lambda w, tx, t: _left(w, t), writes=True)
    for call in ("look", "close", "probe", "open"):
        _ask(None, f"circuits.{call}", lambda w, tx, t, c=call: _circuit(w, t, c), writes=True)


def _all(w: World) -> list[str]:
    return [w.ids["order"], *w.ids["orders"]]


def _left(w: World, tenant: str) -> Any:
    """S88: one of them goes, is redacted, and what is kept of the other still opens."""
    w.database.tenant(tenant).run(BOOKS, lambda tx: tenants.set_state(tx, tenant, "uninstalled", NOW))
    return leaving.redact(w.ctx, tenant, by="me", why="why")


def _circuit(w: World, tenant: str, call: str) -> Any:
    made = SharedCircuits.of_tenant(w.database, tenant, "shopify", lambda: NOW)
    if call == "probe":
        return [made.probe(NOW, LATER), made.look()]
    if call == "open":
        return made.open(Circuit("k", LATER, 5.0, None))
    return getattr(made, call)()


def _stubs(tx: Any) -> None:
    for one in ("c", "d"):
        tenants.add(tx, id=one, shop=f"{one}.myshopify.com", cut_off=NOW, now=NOW, state="installing")
    tenants.remove_stub(tx, "c")
    assert tenants.standing(tx, "d") == "installing"


def _of_the_vault() -> None:
    def ask(name: str, call: Any) -> None:
        _ask(BOOKS, f"vault.{name}", call)

    other = {A: "tenant-b", "tenant-b": A}
    ask("get_secret", lambda w, tx, t: w.vault.get_secret(tx, t, "shopify.token").value)  # type: ignore[union-attr]
    ask("get_secret", lambda w, tx, t: w.vault.get_secret(tx, t, "none"))
    ask("secret_names", lambda w, tx, t: w.vault.secret_names(tx, t))
    ask("put_secret", lambda w, tx, t: w.vault.put_secret(tx, t, "shopify.token", "new", NOW))
    ask("put_secret", lambda w, tx, t: w.vault.put_secret(tx, t, "new", "new", NOW))
    ask("delete_secret", lambda w, tx, t: w.vault.delete_secret(tx, t, "shopify.token"))
    ask("delete_secrets", lambda w, tx, t: w.vault.delete_secrets(tx, t, keep=["sevdesk.token"]))
    ask("older", lambda w, tx, t: len(w.vault.older(tx, t)))
    ask("renew", lambda w, tx, t: len(w.vault.renew(tx, t)))
    ask("rewrap", lambda w, tx, t: rewrap(tx, t, w.other_ring))
    ask("retire", lambda w, tx, t: [w.vault.retire(tx, t), len(w.vault.older(tx, t))])
    ask("forget_subject", lambda w, tx, t: w.vault.forget_subject(tx, t, w.ids["order"], OPEN))
    ask("forget_tenant", lambda w, tx, t: w.vault.forget_tenant(tx, t))
    ask("seal", lambda w, tx, t: _sealed_for(w, t, other[t]))
    ask("newest", lambda w, tx, t: w.vault.newest(t) is None)
    ask("drop", lambda w, tx, t: drop(tx, t, stamp(tx, t)[0][0]))
    ask("make_first", lambda w, tx, t: make_first(tx, t, w.ring))
    ask("load", lambda w, tx, t: sorted(load(tx, t, w.ring).lost))


def _sealed_for(w: World, tenant: str, other: str) -> Any:
    """S44: what is sealed for one tenant opens for no other, even under a key of the same id."""
    sealed = w.vault.seal(tenant, "p", "row", b"plain", "subject")
    try:
        with w.watched.unwatched():
            return w.vault.open(other, "p", "row", sealed)
    except Rejected as refused:
        if refused.code not in ("VAULT-OPEN", "VAULT-FORGOTTEN"):
            raise
    return w.vault.open(tenant, "p", "row", sealed).decode()


def _of_sealed_columns() -> None:
    for column in COLUMNS:

        def count(w: World, tx: Any, t: str, column: SealedColumn = column) -> Any:
            return [column.count(tx, t, None), column.count(tx, t, "k")]

        def older(w: World, tx: Any, t: str, column: SealedColumn = column) -> Any:
            rows = column.older(tx, t, "k", ())
            keys = [column.key(row) for row in rows]
            return [keys, [column.key(row) for row in column.older(tx, t, None, keys[0])]]

        def read(w: World, tx: Any, t: str, column: SealedColumn = column) -> Any:
            rows = w.database.tenant(t).read(column.store, lambda tx: column.older(tx, t, None, ()))
            opens = w.house.vault.open
            return [opens(t, column.purpose(row), column.row_id(row), column.sealed(row)) and 1 for row in rows]

        def replace(w: World, tx: Any, t: str, column: SealedColumn = column) -> Any:
            # Nobody else's ciphertext is the same; here it is, so that only the tenant tells the rows apart.
            name = f"{column.table.name}"
            key_of = " AND ".join(f"{one.name} = ?" for one in column.table.primary_key if one.name != "tenant")
            row = column.older(tx, t, None, ())[0]
            tx.exec_driver_sql("SAVEPOINT same")
            tx.exec_driver_sql(
                f"UPDATE {name} SET {column.column} = ? WHERE {key_of}",
                (column.sealed(row).ciphertext, *column.key(row)),
            )
            changed = column.replace(tx, t, row, _SEALED)
            query = f"SELECT tenant FROM {name} WHERE key_id = 'k' AND {key_of}"
            with w.watched.unwatched():
                assert tx.exec_driver_sql(query, column.key(row)).scalars().all() == [t]
            tx.exec_driver_sql("ROLLBACK TO same")
            return changed

        for name, call in (("count", count), ("older", older), ("replace", replace)):
            _ask(column.store, f"sealed.{name} {column.name}", call)
        _ask(None, f"sealed.open {column.name}", read)


def _of_pages() -> None:
    def ask(name: str, call: Any) -> None:
        _ask(None, f"web.reads.{name}", call)

    def reads(w: World) -> SqlReads:
        return SqlReads(w.database, lambda: NOW)

    ask("overview", lambda w, tx, t: reads(w).overview(t))
    for state in (None, "documented", "waiting", "excluded", "attention", "open"):
        for page in (1, 2):
            ask("orders", lambda w, tx, t, s=state, p=page: reads(w).orders(t, s, p))
    ask("timeline", lambda w, tx, t: [reads(w).timeline(t, one) for one in (w.ids["order"], *w.ids["orders"])])
    ask("timeline", lambda w, tx, t: [reads(w).timeline(t, one) for one in (OPEN, HELD, "nothing")])

    def given_up(w: World) -> GivenUp:
        return GivenUp(w.database)

    ask("given_up", lambda w, tx, t: [given_up(w).counts(t), given_up(w).rows(t, "open", 0, 9)])
    ask(
        "given_up",
        lambda w, tx, t: [given_up(w).one(t, one) for one in ("order:s", "order:s1", "letter:s", "event:no")],
    )


def _of_work() -> None:
    def ask(name: str, call: Any, **more: bool) -> None:
        _ask(None, name, call, **more)

    def period(w: World, t: str) -> preview.Period:
        return preview.period_of(w.ctx, t, date(2026, 11, 1), date(2026, 11, 23))

    def month(w: World, t: str) -> Any:
        listed = [ListedOrder(one, "#", NOW, NOW) for one in (*w.ids["orders"], w.ids["order"])]
        return month_books.read_month(w.ctx, t, period(w, t), listed)

    def with_ids(w: World, t: str) -> Any:
        days = preview.period_of(w.ctx, t, date(2020, 1, 1), date(2020, 2, 1))
        kept = month_books.read_month(w.ctx, t, days, ())
        found = month_books.with_ids(w.ctx, t, kept, [f"Invoice/{w.ids['remote']}", "Invoice/sr-77"], days)
        return sorted(found, key=lambda item: item.key)

    def orders_read(w: World, t: str) -> Any:
        kept = month_books.Kept()
        month_books.read_orders(w.ctx, t, w.ids["orders"], kept)
        return sorted(kept.known, key=lambda one: one.id), sorted(kept.documents)

    def version(w: World, t: str) -> Any:
        return profile_change.new_version(w.ctx, t, PROFILE, NOW)

    wanted = {OPEN: 9, HELD: 1, DUE: 1}
    ask("month_books.read_month", lambda w, tx, t: month(w, t))
    ask("month_books.with_ids", lambda w, tx, t: with_ids(w, t))
    ask("month_books.last_before", lambda w, tx, t: month_books.last_before(w.ctx, t, date(2026, 12, 1)))
    ask("month_books.matched", lambda w, tx, t: [
        month_books._matched(w.ctx, t, w.ctx.profiles(t), one) for one in (*w.ids["orders"], "none")])  # fmt: skip
    ask("month_books.linked_lines", lambda w, tx, t: month_books.linked_lines(w.ctx, t, period(w, t), LATER))
    ask("double_money.ours", lambda w, tx, t: double_money._ours(w.ctx, t, period(w, t), _Every()))
    ask("double_money.unlinked", lambda w, tx, t: _unlinked(w, t, period(w, t)), writes=True)
    ask("double_money.expected", lambda w, tx, t: sorted(double_money._expected(w.ctx, t, set(range(5000))).items()))
    ask("month_books.known_hands", lambda w, tx, t: month_books.known_hands(w.ctx, t))
    ask("month_books.read_orders", lambda w, tx, t: orders_read(w, t))
    ask("certify.unsettled", lambda w, tx, t: certify.unsettled(w.ctx, t, [OPEN, HELD, DUE, w.ids["order"]]))
    _ask(INBOX, "backfill.marks", lambda w, tx, t: backfill._marks(tx, t, [OPEN, HELD, LATE, LOST]))
    _ask(BOOKS, "digest.made", lambda w, tx, t: digest._made(tx, t))
    for call in (digest._questions, digest._doubts):
        _ask(BOOKS, f"digest.{call.__name__[1:]}", lambda w, tx, t, c=call: c(
            tx, t, WORDS, "en", ZoneInfo("Europe/Berlin")))  # fmt: skip
    ask("web.backlog", lambda w, tx, t: read_backlog(w.database.system("health"), t, NOW), system=True)
    ask("preview.progress", lambda w, tx, t: preview.progress(w.ctx, t, wanted))
    ask("preview.period_of", lambda w, tx, t: period(w, t))
    ask("profile_change.stored_orders", lambda w, tx, t: profile_change.stored_orders(w.ctx, t))
    ask("profile_change.never_read", lambda w, tx, t: profile_change.never_read(w.ctx, t))
    ask("profile_change.effect", lambda w, tx, t: profile_change.effect(w.ctx, t, version(w, t)))
    ask("profile_change.versions", lambda w, tx, t: profile_change.versions(w.ctx, t))
    ask("profile_change.documented", lambda w, tx, t: [
        profile_change._documented(w.ctx, t), nothing(profile_change._documented(w.ctx, "nobody"))])  # fmt: skip
    ask("exporting.export", lambda w, tx, t: _exported(w, t), writes=True)
    ask("erasure.residue", lambda w, tx, t: erasure.residue(w.database, t))
    ask("erasure.erase_vat_checks", lambda w, tx, t: erasure.erase_vat_checks(
        w.database, t, "s", VAT, id="v", actor="me", now=NOW, last_hash=""), writes=True)  # fmt: skip
    _ask(BOOKS, "erasure.gone", _gone)
    ask("rotation.before_data_keys", lambda w, tx, t: before_data_keys(w.database, t))
    ask("cli.parked_with", lambda w, tx, t: [parked_with(w.house, t, code) for code in ("TIP", "REFUND", "UNPAID")])
    ask("cli.dead_letters", lambda w, tx, t: sorted(names_of_dead_letters(w.house, _dead(w, t)).items()))
    ask("cli.names", lambda w, tx, t: names_of_questions(w.house, t))
    ask("cli.gid", lambda w, tx, t: [gid_in_books(w.house, t, one) for one in w.ids["orders"]])
    ask("cli.gid", lambda w, tx, t: gid_in_books(w.house, t, "#same"))
    ask("cli.demo", lambda w, tx, t: _demonstrated(w, t))
    ask("cli.story", lambda w, tx, t: [story_of(w.house, t, one) for one in (w.ids["order"], *w.ids["orders"])])
    ask("erasure.erase", lambda w, tx, t: _erased(w, t), writes=True)
    ask("cli.replay", lambda w, tx, t: _replayed(w, t), writes=True)
    ask("rotation.run", lambda w, tx, t: _rotated(w, t), writes=True)
    ask("lifecycle.suspend", lambda w, tx, t: lifecycle.suspend(w.ctx, t, "why", by="me"), writes=True)
    ask("lifecycle.resume", lambda w, tx, t: [
        lifecycle.suspend(w.ctx, t, "why", by="me"), lifecycle.resume(w.ctx, t, by="me")], writes=True)  # fmt: skip
    ask("resolving.resolve", lambda w, tx, t: resolving.resolve(
        w.database.tenant(t), t, _question(OPEN), "exclude", actor="me", now=NOW), writes=True)  # fmt: skip
    ask("profile_change.store", lambda w, tx, t: profile_change.store(
        w.ctx, t, version(w, t), profile_change.effect(w.ctx, t, version(w, t))), writes=True)  # fmt: skip


def _dead(w: World, tenant: str) -> Any:
    return w.database.tenant(tenant).read(BOOKS, lambda tx: deadletters.find(tx, deadletters.Which(tenant)))


def _unlinked(w: World, tenant: str, period: preview.Period) -> Any:
    """Lines of a tenant whose links are gone: those of another tenant to lines of the same ids are not theirs."""
    gone = sa.delete(books.bookings).where(books.bookings.c.tenant == tenant)
    w.database.tenant(tenant).run(Store.BOOKS, lambda tx: tx.execute(gone).rowcount)
    return double_money._ours(w.ctx, tenant, period, _Every())


class _Every:
    """Every account."""

    def __contains__(self, account: object) -> bool:
        return True


def _replayed(w: World, tenant: str) -> Any:
    with patch.object(replaying, "utc_now", lambda: NOW):
        return replaying.replay(w.house, tenant, [w.ids["order"]])


def _demonstrated(w: World, tenant: str) -> Any:
    house = SimpleNamespace(database=w.database, close=lambda: None)
    stage: Any = SimpleNamespace(state=lambda: {"letters": {"uncertain": 1}})
    with patch.object(demo, "TENANT", tenant), patch.object(demo, "_open", lambda stage: house):
        return [demo._attention(stage), demo._uncertain(stage)]


def _exported(w: World, tenant: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.zip"
        return {name: about["rows"] for name, about in exporting.export(w.ctx, tenant, path, by="me")["files"].items()}


def _gone(w: World, tx: Any, tenant: str) -> Any:
    for name in ("nobody", tenant):
        proof = {"shop": "s", "at": 0, "actor": "me", "rows": "{}", "last_hash": ""}
        tx.execute(erasure.erasures.insert().values(id=f"gone {name}", erased=name, **proof))
    found = [erasure.gone(tx, "nobody"), erasure.gone(tx, tenant)]
    assert found == [True, False]
    return found


def _erased(w: World, tenant: str) -> Any:
    gone = erasure.erase(w.database, tenant, "s", id="e", actor="me", now=NOW, last_hash="").rows
    return [gone, erasure.residue(w.database, tenant)]


def _rotated(w: World, tenant: str) -> Any:
    done = Rotation(w.database, w.house.vault, w.ctx.clock, lambda seconds: None, tenant, renew=True).run()
    return [done.tenants, done.data_keys, done.renewed, done.retired, done.rows, done.forgotten, done.unreadable]


for _part in (
    _of_inbox,
    _of_books,
    _of_letters,
    _of_events,
    _of_write_backs,
    _of_the_rest,
    _of_privacy,
    _of_the_vault,
    _of_sealed_columns,
    _of_pages,
    _of_work,
):
    _part()
