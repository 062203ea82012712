"""A tick: what a payment provider says of its balance becomes lines and fee vouchers, and both balances are compared.

    turn due ─► read ─► what follows (`domain.payouts`) ─► write what is missing ─► compare (`domain.clearing`) ─► due
                 │ kept first: pages and drill-downs need no call      what differs: by name, and an alarm │

Shopify Payments is read here; reports of other gateways come by a command and take the same way from "what follows" on.
Without the scope for payouts, or for a shop without Shopify Payments, nothing is done and nobody is alarmed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from ladenbuch import alarms, books, payouts, tenants
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.balance import Movement, Payout
from ladenbuch.domain.clearing import DayBalance, compare
from ladenbuch.domain.facts import Problem
from ladenbuch.domain.payouts import (
    Due,
    FeeVoucher,
    KnownPayout,
    LedgerLine,
    Terms,
    due,
    is_whole,
    terms_of,
)
from ladenbuch.domain.profile import closed_until, profile_at
from ladenbuch.errors import LadenbuchError, NeedsAttention, Rejected, Retryable
from ladenbuch.payouts import Turn
from ladenbuch.shopify.payouts import ShopPayments
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows import lockout
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.payout_facts import close_days, known
from ladenbuch.workflows.payout_steps import Desk, pay_voucher, write_line, write_voucher

log = logging.getLogger(__name__)

#: The gateway Shopify itself pays out.
SHOPIFY = "shopify_payments"
#: How far each reading of movements reaches back behind the last.
_OVERLAP = timedelta(days=4)
#: How far back payouts are read anew, because one may come back from the bank; and what follows is worked out anew.
_UNSETTLED = timedelta(days=45)
_CLAIM, _AGAIN, _TOMORROW = timedelta(minutes=30), timedelta(minutes=15), timedelta(days=1)
#: Compared with each look: today, and the days before it, because lines come late.
_DAYS = 3
#: What ends a look without anybody's fault; it is tried again the next day.
OFF = ("SHOPIFY-SCOPE", "NO-PAYMENTS", "PAYOUTS-OFF")
#: A provider that was read before and was not for so long is an alarm.
_SILENT = timedelta(days=2)
#: Looks in one firing of the tick.
MOST = 20


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look did: how many lines, vouchers and bookings are new, what keeps the rest, and the days compared."""

    written: int = 0
    problems: tuple[Problem, ...] = ()
    days: tuple[DayBalance, ...] = ()


def look_at_payouts(ctx: Context, every: float) -> int:
    """Look where it is due, the longest first; one tenant's trouble does not stop the others. How many were looked at.

    `every`: seconds between two looks.
    """
    now, looked = ctx.clock(), 0

    def read(tx: Transaction) -> tuple[list[str], list[Turn]]:
        return [one.id for one in tenants.all(tx) if one.state == "active"], payouts.turns_of(tx)

    active, turns = ctx.database.system("payouts").read(Store.BOOKS, read)
    known = {turn.tenant for turn in turns if turn.gateway == SHOPIFY}
    for tenant in active:
        if tenant not in known:
            _plan(ctx, tenant, now)
    for turn in [one for one in turns if one.due_at <= now and one.tenant in active][:MOST]:
        looked += _take(ctx, turn.tenant, turn.gateway, every)
    return looked


def _plan(ctx: Context, tenant: str, now: datetime) -> None:
    """The first look comes with the next firing, where the profile keeps payouts at all."""
    try:
        if terms_of(SHOPIFY, ctx.profiles(tenant)) is None:
            return
    except LadenbuchError:
        return
    ctx.door(tenant).run(Store.BOOKS, lambda tx: payouts.plan(tx, tenant, SHOPIFY, now))


def _take(ctx: Context, tenant: str, gateway: str, every: float) -> bool:
    """One turn; False when another process has it, or nothing could be looked at."""
    started, door = ctx.clock(), ctx.door(tenant)
    if not door.run(Store.BOOKS, lambda tx: payouts.claim(tx, tenant, gateway, started, started + _CLAIM)):
        return False
    code, again = "", timedelta(seconds=every)
    with bound(trace=f"payouts-{started:%Y%m%dT%H%M%S}", tenant=tenant):
        try:
            if door.read(Store.BOOKS, lambda tx: tenants.stopped(tx, tenant)) == lockout.REASON:
                raise Retryable("STOPPED", lockout.REASON, after=_AGAIN.total_seconds())
            made = look(ctx, tenant, gateway)
            log.info("payouts looked at", extra={"count": made.written, "found": len(made.problems)})
        except Rejected as error:
            code, again = error.code, _TOMORROW if error.code in OFF else _AGAIN
            level = logging.INFO if code in OFF else logging.WARNING
            log.log(level, "payouts not looked at", extra={"code": code})
        except LadenbuchError as error:
            after = error.after if isinstance(error, Retryable) and error.after is not None else None
            code, again = error.code, _AGAIN if after is None else timedelta(seconds=max(after, 1.0))
            log.warning("payouts postponed", extra={"code": code})
        except Exception:
            code, again = "FAILED", _AGAIN
            log.exception("payouts failed")
    ended = ctx.clock()

    def end(tx: Transaction) -> None:
        payouts.done(tx, tenant, gateway, ended + again, code, ended)
        if code == "PAYOUTS-OFF":  # nobody is to do anything about it any more
            payouts.say(tx, tenant, gateway, ())
            alarms.end_alarm(tx, tenant, "PAYOUTS-DIFFER", gateway, ended)
        elif code and code != "STOPPED":
            _tell_of_silence(tx, tenant, gateway, code, ended)

    door.run(Store.BOOKS, end)
    return not code


def _tell_of_silence(tx: Transaction, tenant: str, gateway: str, code: str, now: datetime) -> None:
    """A provider that was read before and is not any more (a scope taken back, say) must not look like one with nothing
    to tell: the account would only grow. One that was never read is nobody's alarm."""
    turn = payouts.turn(tx, tenant, gateway)
    if turn is None or turn.read_until is None or now - turn.read_until < _SILENT:
        return
    payouts.say(tx, tenant, gateway, [(code, f"nothing was read since {turn.read_until:%Y-%m-%d %H:%M} UTC")])
    facts: dict[str, str | int] = {"gateway": gateway, "count": 1, "amount": 0}
    alarms.raise_alarm(tx, tenant, "PAYOUTS-DIFFER", gateway, now, facts)


def look(ctx: Context, tenant: str, gateway: str = SHOPIFY, days: Sequence[date] | None = None) -> Looked:
    """Read, write what is missing, compare. Raises what the clients raise, and Rejected("PAYOUTS-OFF").

    `days` are compared; by default today and the two before it.
    """
    terms = terms_kept(ctx, tenant, gateway)
    now = ctx.clock()
    ctx.door(tenant).run(Store.BOOKS, lambda tx: payouts.plan(tx, tenant, gateway, now + _CLAIM))
    if gateway == SHOPIFY:
        with working_as(Priority.BACKFILL):
            read_balance(ctx, tenant, terms)
    today = terms.day_of(ctx.clock())
    before = ctx.door(tenant).read(Store.BOOKS, lambda tx: payouts.kept_days(tx, tenant, gateway, 1))
    written, problems = carry_out(ctx, tenant, terms)
    start = terms.day_of(terms.start)
    wanted = [today - timedelta(days=back) for back in range(_DAYS)] if days is None else days
    made = compare_days(ctx, tenant, terms, [day for day in sorted(wanted) if start <= day <= today])
    last = made[-1] if made else None
    if not before or before[0].day < today:
        close_days(ctx, tenant, terms)
    drafts = ctx.profiles(tenant)[0].draft_only  # nothing is to stand there, so nothing is missing
    _tell(ctx, tenant, gateway, problems, None if drafts else last, twice=_still(before, last), quiet=drafts)
    return Looked(written, tuple(problems), tuple(made))


def _still(before: Sequence[DayBalance], last: DayBalance | None) -> bool:
    """Whether the provider's own figure is off by as much as at the look before: one sighting proves nothing (R17)."""
    return bool(before) and last is not None and last.astray != 0 and before[0].astray == last.astray


def terms_kept(ctx: Context, tenant: str, gateway: str) -> Terms:
    """How the gateway is kept, since the start that was pinned with the first look."""
    terms = terms_of(gateway, ctx.profiles(tenant))
    if terms is None:
        raise Rejected("PAYOUTS-OFF", f"the profile keeps no payouts of {gateway}")
    turn = ctx.door(tenant).read(Store.BOOKS, lambda tx: payouts.turn(tx, tenant, gateway))
    return terms if turn is None or turn.start is None else replace(terms, start=turn.start)


# -- reading ------------------------------------------------------------------------------------------------------


def read_balance(ctx: Context, tenant: str, terms: Terms) -> None:
    """Take over what Shopify says: its balance, new movements, payouts that are not settled, and their parts."""
    door, gateway, client = ctx.door(tenant), terms.gateway, ShopPayments(ctx.shopify(tenant).execute)
    now = ctx.clock()

    def known(tx: Transaction) -> tuple[Turn | None, list[KnownPayout], set[str]]:
        turn = payouts.turn(tx, tenant, gateway)
        return turn, payouts.known_payouts(tx, tenant, gateway), payouts.not_whole(tx, tenant, gateway)

    turn, before, open_ones = door.read(Store.BOOKS, known)
    since = terms.start if turn is None or turn.read_until is None else turn.read_until - _OVERLAP
    told: int | None = _owed(client, terms)
    moved = {item.id: item for item in client.movements(max(terms.start, since))}
    seen = _payouts(client, terms, before, since, now)
    parts: dict[str, list[Movement]] = {}
    as_it_was = {item.id: item.payout for item in before}
    for one in seen.values():
        if one.id in open_ones or _may_hold_more(as_it_was.get(one.id), one.payout):
            parts[one.id] = list(client.movements_of(one.id))
            moved |= {item.id: item for item in parts[one.id] if item.at >= terms.start or not item.is_transfer}

    if _owed(client, terms) != told:
        told = None  # something moved while we read
    if told is None and (turn is None or turn.start is None):
        raise Retryable("SHOPIFY-PARTIAL", "the balance moved while it was read", after=60.0)

    def write(tx: Transaction) -> None:
        payouts.see_movements(tx, tenant, gateway, moved.values())
        for one in seen.values():
            whole = is_whole(one.payout, parts[one.id]) if one.id in parts else one.id not in open_ones
            payouts.see_payout(tx, tenant, gateway, one, whole)
        payouts.read_up_to(tx, tenant, gateway, now, told)
        if told is not None and (turn is None or turn.start is None):
            mine = [item for item in moved.values() if item.currency == terms.currency]
            later = sum(item.net for item in mine if item.at >= terms.start)
            payouts.open_at(tx, tenant, gateway, terms.start, told - later)

    door.run(Store.BOOKS, write)


def _may_hold_more(before: Payout | None, now: Payout) -> bool:
    """Whether the parts of a payout may be others than at the last look: until it leaves it takes in more."""
    return before is None or "SCHEDULED" in (before.status, now.status) or before.net != now.net


def _owed(client: ShopPayments, terms: Terms) -> int:
    return dict(client.balance().owed).get(terms.currency, 0)


def _payouts(
    client: ShopPayments, terms: Terms, before: Sequence[KnownPayout], last: datetime, now: datetime
) -> dict[str, KnownPayout]:
    """The payouts that may have changed since `last`, each with the day the bank had it: when it is first seen paid."""
    unsettled = [item for item in before if item.paid_on is None and item.payout.status not in ("FAILED", "CANCELED")]
    recent = min(now - _UNSETTLED, last) if before else terms.start - timedelta(days=14)
    since = min([item.payout.issued_at for item in unsettled] + [max(recent, terms.start - timedelta(days=14))])
    paid_on = {item.id: item.paid_on for item in before}
    found: dict[str, KnownPayout] = {}
    for payout in client.payouts(since):
        day = paid_on.get(payout.id)
        if payout.id not in paid_on and _settled_before(payout, terms):
            continue
        if payout.status == "PAID" and day is None:
            day = terms.day_of(now if payout.id in paid_on else payout.issued_at)
        found[payout.id] = KnownPayout(payout, day)
    return found


def _settled_before(payout: Payout, terms: Terms) -> bool:
    """Whether nothing of a payout concerns the account: it was over before the start."""
    return payout.issued_at < terms.start and payout.status in ("PAID", "FAILED", "CANCELED")


# -- writing ------------------------------------------------------------------------------------------------------


def what_follows(ctx: Context, tenant: str, terms: Terms) -> Due:
    """The lines and vouchers there should be, of all that is not over."""
    found = ctx.door(tenant).read(Store.BOOKS, lambda tx: known(tx, tenant, terms))
    return due(terms, found.payouts, found.movements)


def carry_out(ctx: Context, tenant: str, terms: Terms) -> tuple[int, list[Problem]]:
    """Write what should stand in sevdesk and does not; how much that was, and what keeps the rest.

    What one step cannot do stops no other; Retryable stops the look, which comes again.
    """
    wanted = what_follows(ctx, tenant, terms)
    problems = list(wanted.problems)
    if ctx.profiles(tenant)[0].draft_only:
        problems.append(Problem("DRAFT-ONLY", "the tenant writes drafts only: no line of a payout is written", (), ()))
        return 0, problems
    desk = Desk(ctx, tenant, "", f"{ctx.executor}:payouts:{ctx.new_id()}", gateway=terms.gateway)
    count = 0
    try:
        for line in _missing_lines(ctx, tenant, terms, wanted.lines):
            count += _tried(lambda line=line: write_line(desk, line), line.about, problems)  # type: ignore[misc]
        count += _vouchers(desk, terms, wanted, problems)
        problems[:] = [item for item in problems if item.code != "FEE-CREDIT" or not _by_hand(desk, wanted, item)]
    finally:
        if count or wanted.lines:
            desk.let_go()
    return count, problems


def _missing_lines(ctx: Context, tenant: str, terms: Terms, lines: Sequence[LedgerLine]) -> list[LedgerLine]:
    known = ctx.door(tenant).read(Store.BOOKS, lambda tx: payouts.written(tx, tenant, terms.gateway))
    return [line for line in lines if line.key not in known]


def _vouchers(desk: Desk, terms: Terms, wanted: Due, problems: list[Problem]) -> int:
    ctx, tenant, count = desk.ctx, desk.tenant, 0

    def read(tx: Transaction) -> tuple[dict[str, payouts.WrittenVoucher], dict[str, str]]:
        return payouts.vouchers_of(tx, tenant, terms.gateway), payouts.written(tx, tenant, terms.gateway)

    door = ctx.door(tenant)
    known, standing = door.read(Store.BOOKS, read)
    lines = {line.key: line for line in wanted.lines}
    for item in wanted.vouchers:
        if item.key not in known:
            day = _voucher_day(ctx, tenant, terms, item, problems)
            if day is None:
                continue
            done = _tried(lambda item=item, day=day: write_voucher(desk, item, day), item.payout_id, problems)  # type: ignore[misc]
            count += done
            known, standing = door.read(Store.BOOKS, read)
        written = known.get(item.key)
        if written is None or written.booked or item.line not in standing:
            continue
        held, line = standing[item.line], lines[item.line]
        step: Callable[[], None] = lambda: pay_voucher(desk, item, written.sevdesk_id, line, held)  # noqa: B023, E731
        count += _tried(step, item.payout_id, problems)
    return count


def _by_hand(desk: Desk, wanted: Due, asked: Problem) -> bool:
    """Whether a person booked fees we write no voucher over: their line is linked. Then it is asked no more."""
    ctx, tenant, gateway, (payout_id,) = desk.ctx, desk.tenant, desk.gateway, asked.facts

    def read(tx: Transaction) -> tuple[set[str], dict[str, str]]:
        return payouts.unbooked(tx, tenant, gateway), payouts.written(tx, tenant, gateway, payout_id)

    open_ones, standing = ctx.door(tenant).read(Store.BOOKS, read)
    line = next((one for one in wanted.lines if one.kind == "fee" and one.about == payout_id), None)
    if line is None or line.key not in standing:
        return False
    if payout_id not in open_ones:
        return True
    found = desk.sevdesk.get_transaction(standing[line.key])
    if found is None or found.deleted or not found.is_linked:
        return False

    def write(tx: Transaction) -> None:
        payouts.fees_by_hand(tx, tenant, gateway, payout_id, line.day, ctx.clock())
        desk.say(tx, "payout.booked", f"{line.key} was linked by hand: no voucher of ours is written over it.")

    desk.record(write)
    return True


def _voucher_day(ctx: Context, tenant: str, terms: Terms, item: FeeVoucher, problems: list[Problem]) -> date | None:
    """The day of a fee voucher: that of its payout, or of today where the books are closed over it (R11)."""
    profiles = ctx.profiles(tenant)
    closed, now = closed_until(profiles), ctx.clock()
    if closed is None or item.day > closed:
        return item.day
    if profile_at(profiles, now).closed_periods == "today":
        return terms.day_of(now)
    message = f"the books are closed until {closed}, and {item.key} belongs to {item.day}"
    problems.append(Problem("PERIOD-CLOSED", message, (item.payout_id,), ("open the period", "date it today")))
    return None


def _tried(step: Callable[[], None], about: str, problems: list[Problem]) -> int:
    """1 when a step was done; what a person must decide, or sevdesk refuses, is noted."""
    try:
        step()
    except NeedsAttention as ask:
        problems.append(Problem(ask.code, ask.message, (about,), ask.choices))
        return 0
    except Rejected as refusal:
        if refusal.code == "SEVDESK-TOKEN":
            raise
        problems.append(Problem(refusal.code, refusal.message, (about,), ("look into it in sevdesk",)))
        return 0
    return 1


# -- comparing ----------------------------------------------------------------------------------------------------


def compare_days(ctx: Context, tenant: str, terms: Terms, wanted: Sequence[date]) -> list[DayBalance]:
    """The account against the provider's balance at the end of some days; kept, the newest last."""
    door, now = ctx.door(tenant), ctx.clock()
    if not wanted:
        return []
    found = door.read(Store.BOOKS, lambda tx: known(tx, tenant, terms, min(wanted)))
    turn, today = found.turn, terms.day_of(now)
    made = []
    for day in wanted:
        made.append(
            compare(
                terms,
                day,
                clearing=_standing(ctx, tenant, terms, day),
                opening=turn.opening or 0 if turn is not None else 0,
                payouts=found.payouts,
                movements=found.movements,
                lines=[line for some in found.lines.values() for line in some],
                told=turn.told if turn is not None and day == today else None,
                over=found.over,
            )
        )

    def keep(tx: Transaction) -> None:
        for one in made:
            payouts.keep_day(tx, tenant, one, now)

    door.run(Store.BOOKS, keep)
    return made


def _standing(ctx: Context, tenant: str, terms: Terms, day: date) -> int:
    """What stands in sevdesk for a gateway: on every account it was kept on up to a day, and on those a version named
    that another one dated over, our own lines: they keep their place."""
    accounts = terms.accounts(day)

    def read(tx: Transaction) -> int:
        over = [one for one in terms.named if one not in accounts]
        mine = [payouts.line_sums(tx, tenant, one, day)[1] + books.line_sums(tx, tenant, one, day)[1] for one in over]
        return sum(mine)

    there = ctx.sevdesk(tenant)
    return sum(there.balance_at(one, day) for one in accounts) + ctx.door(tenant).read(Store.BOOKS, read)


def _tell(
    ctx: Context,
    tenant: str,
    gateway: str,
    problems: Sequence[Problem],
    last: DayBalance | None,
    *,
    twice: bool,
    quiet: bool,
) -> None:
    """Keep what the look could not do, and raise or end the alarm about what a person must look at (`quiet`: end)."""
    now = ctx.clock()
    found = [] if last is None else list(last.findings)
    amount = sum(abs(item.amount) for item in found)
    count = len(problems) + len(found) + int(twice) + int(last is not None and last.unexplained != 0)

    def write(tx: Transaction) -> None:
        payouts.say(tx, tenant, gateway, [(item.code, item.message) for item in problems])
        if count and not quiet:
            facts: dict[str, str | int] = {"gateway": gateway, "count": count, "amount": amount}
            alarms.raise_alarm(tx, tenant, "PAYOUTS-DIFFER", gateway, now, facts)
        else:
            alarms.end_alarm(tx, tenant, "PAYOUTS-DIFFER", gateway, now)

    ctx.door(tenant).run(Store.BOOKS, write)
