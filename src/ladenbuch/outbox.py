"""Letters: promised in the transaction that makes them due, sent once, never two.

    promised ──claim──> promised (held by a run) ──sending──> sending ──> accepted ──> delivered | bounced | complained
        ^                     │                                  │  ├───> failed      refused for good
        └─────── retry ───────┴──────── retry (refused for now) ─┘  └───> uncertain   nobody knows
                              ├──> suppressed   its address gets no letters (`suppressions`)
                              └──> moot         its cause ended before it went (`workflows.mooting`)

`sending` is committed before the last moment at which the relay may take the letter. A row in `sending` whose run is
dead or has held it for too long is uncertain (LETTER-UNCERTAIN): it may have gone out, so it is never sent again by
itself. Meeting it there says nothing: two processes look at the same letters, and one of them is just sending it. A
person says that it arrived or sends it after all; where its relay can be asked, `due_at` is when.
What relays tell later (`told`) comes twice, late and in any order, also before we wrote down that they took the letter,
or of one that is uncertain; the strongest word holds (`domain.feedback.strength`).
Every step is a compare-and-set on the run that holds the letter; False tells a run that it holds it no more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa

from ladenbuch.db import Sealed, Statement, Store, Transaction, books_metadata, from_micros, insert_new, to_micros
from ladenbuch.domain.feedback import Bounce, What, mark_of, strength
from ladenbuch.errors import Retryable
from ladenbuch.sealed import SealedColumn
from ladenbuch.telemetry.trace import current

State = Literal[
    "promised", "sending", "accepted", "delivered", "bounced", "complained", "uncertain", "failed", "suppressed", "moot"
]
STATES: tuple[State, ...] = get_args(State)
#: A relay has it, whatever it told since.
TAKEN: tuple[State, ...] = ("accepted", "delivered", "bounced", "complained")

letters = sa.Table(
    "letters",
    books_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text, nullable=False),
    sa.Column("document_id", sa.Text),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("executor", sa.Text),
    sa.Column("claimed_at", sa.BigInteger),
    sa.Column("promised_at", sa.BigInteger, nullable=False),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
    sa.Column("message_id", sa.Text),
    sa.Column("relay", sa.Text),
    sa.Column("reply", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("trace", sa.Text),  # of the run that promised it
    sa.Column("mark", sa.Text),  # how it is named outside; NULL where an older process promised it meanwhile
    sa.Column("recipient", sa.Text),  # the keyed hash of its address, since a relay was first asked
    sa.Column("bounce", sa.Text),  # soft, refused, invalid; of a suppressed one, why its address is on the list
    sa.Column("told_at", sa.BigInteger),  # when that happened of which a relay told
    sa.Column("doubted_at", sa.BigInteger),  # when a person had it sent again although it may have arrived
    sa.Index(None, "state", "due_at"),
    sa.Index(None, "tenant", "order_id"),
    sa.Index(None, "mark"),
    sa.Index(None, "tenant", "recipient"),
)
#: To whom a letter goes: the buyer's, so it goes when the order is forgotten.
PAYLOADS = SealedColumn(
    Store.BOOKS, letters, "payload", lambda row: "letter", lambda row: str(row.order_id), uses=("order_id",)
)
_c = letters.c
_ABANDONED = "LETTER-UNCERTAIN: the run that was sending it ended without an answer"
_FREE = {"run_id": None, "executor": None, "claimed_at": None}


def _step(expected: sa.ColumnElement[bool], **values: object) -> Statement:
    """A compare-and-set on one letter; it takes the run as `r` where `expected` asks for it."""
    mine = (_c.tenant == sa.bindparam("t")) & (_c.key == sa.bindparam("k"))
    return Statement(sa.update(letters).where(mine, expected).values(changed_at=sa.bindparam("now"), **values))


def _due(without: Collection[str] = ()) -> sa.Select[Any]:
    waiting = (_c.state == "promised") & _c.run_id.is_(None) & (_c.due_at <= sa.bindparam("now"))
    if without:
        waiting &= _c.tenant.not_in(sorted(without))
    turn = sa.func.row_number().over(partition_by=_c.tenant, order_by=(_c.due_at, _c.key)).label("turn")
    fair = sa.select(letters, turn).where(waiting).subquery()
    query = sa.select(fair).order_by(fair.c.turn, fair.c.due_at, fair.c.tenant)
    return query.limit(sa.bindparam("n", type_=sa.Integer))


def _release(whose: sa.ColumnElement[bool]) -> tuple[Statement, Statement]:
    held = _c.run_id.is_not(None) & whose
    at = sa.bindparam("now", type_=sa.BigInteger)
    lost = sa.update(letters).where(held, _c.state == "sending").values(state="uncertain", reason=_ABANDONED)
    free = sa.update(letters).where(held, _c.state == "promised").values(changed_at=at, **_FREE)
    return Statement(free), Statement(lost.values(changed_at=at).returning(letters))


# Built once: putting a statement together costs more than running it.
_DUE = Statement(_due())
_MINE = _c.run_id == sa.bindparam("r")
_SENDING = (_c.state == "sending") & _MINE
_HELD = sa.or_(_c.state == "promised", _c.state == "sending") & _MINE
_REASON = sa.bindparam("reason_", type_=sa.Text)
_CLAIM = _step(
    (_c.state == "promised") & _c.run_id.is_(None) & (_c.due_at <= sa.bindparam("now")),
    attempts=_c.attempts + 1,
    run_id=sa.bindparam("r"),
    executor=sa.bindparam("e"),
    claimed_at=sa.bindparam("now"),
)
_SEND = _step(
    _HELD,
    state="sending",
    message_id=sa.bindparam("id", type_=sa.Text),
    recipient=sa.bindparam("to", type_=sa.Text),
)
_UNANSWERED = sa.or_(_c.state == "sending", _c.state == "uncertain")
_TOLD = sa.or_(_c.state == "delivered", _c.state == "bounced", _c.state == "complained")
_ACCEPT = _step(
    sa.or_(_UNANSWERED, _TOLD) & _MINE,
    # A relay may tell of it before we have written down that it took it.
    state=sa.case((_UNANSWERED, "accepted"), else_=_c.state),
    message_id=sa.bindparam("id"),
    relay=sa.bindparam("by"),
    reply=sa.bindparam("said"),
    reason=None,
)
_BY = sa.bindparam("by", type_=sa.Text)
_UNSURE = _step(_SENDING, state="uncertain", reason=_REASON, relay=_BY, due_at=sa.bindparam("due"))
_RETRY = _step(_HELD, state="promised", due_at=sa.bindparam("due"), reason=_REASON, relay=_BY, **_FREE)
_FAIL = _step(_HELD, state="failed", reason=_REASON)
_MOOT = _step(_HELD, state="moot", reason=_REASON, **_FREE)
_DOUBTFUL = _c.state == "uncertain"
_SEND_AFTER_ALL = _step(
    _DOUBTFUL, state="promised", due_at=sa.bindparam("due"), relay=None, doubted_at=sa.bindparam("now"), **_FREE
)
_ARRIVED = _step(_DOUBTFUL, state="accepted", reason=None, reply=sa.bindparam("said"))
_ASK_LATER = Statement(
    sa.update(letters)
    .where(_c.tenant == sa.bindparam("t"), _c.key == sa.bindparam("k"), _DOUBTFUL)
    .values(due_at=sa.bindparam("due"))
)
_DOUBTS = Statement(
    sa.select(letters)
    .where(_DOUBTFUL, _c.due_at <= sa.bindparam("now"))
    .order_by(_c.due_at, _c.tenant, _c.key)
    .limit(sa.bindparam("n", type_=sa.Integer))
)
_SUPPRESS = _step(
    (_c.state == "promised") & _MINE,
    state="suppressed",
    recipient=sa.bindparam("to", type_=sa.Text),
    bounce=sa.bindparam("why", type_=sa.Text),
    reason=_REASON,
    **_FREE,
)
_STRENGTH = sa.case(
    (_c.state == "complained", strength("complained")),
    (_c.state == "delivered", strength("delivered")),
    ((_c.state == "bounced") & (_c.bounce == "soft"), strength("bounced", "soft")),
    ((_c.state == "bounced") & (_c.bounce == "invalid"), strength("bounced", "invalid")),
    (_c.state == "bounced", strength("bounced", "refused")),
    else_=0,
)
# A promised letter that a run holds is about to be sent: whoever calls looks again. Of one that no relay was ever asked
# to take, none can tell anything: what is told is another shop's.
_WAITING = (_c.state == "promised") & _c.run_id.is_(None) & _c.recipient.is_not(None)
_OUTSIDE = sa.or_(_UNANSWERED, _TOLD, _c.state == "accepted", _c.state == "failed", _c.state == "moot", _WAITING)
_TELL = _step(
    _OUTSIDE & (sa.bindparam("strength_", type_=sa.Integer) > _STRENGTH),
    state=sa.bindparam("what", type_=sa.Text),
    bounce=sa.bindparam("bounce_", type_=sa.Text),
    told_at=sa.bindparam("at", type_=sa.BigInteger),
    reason=_REASON,
)
_REDRIVE = _step(_c.state == "failed", state="promised", due_at=sa.bindparam("due"), **_FREE)
_RELEASE_EXECUTOR = _release(_c.executor == sa.bindparam("e"))
_RELEASE_STALE = _release(_c.claimed_at < sa.bindparam("before"))
_GET = Statement(sa.select(letters).where(_c.tenant == sa.bindparam("t"), _c.key == sa.bindparam("k")))
_LOCKED = Statement(
    sa.select(letters).where(_c.tenant == sa.bindparam("t"), _c.key == sa.bindparam("k")).with_for_update()
)
_COUNTS = Statement(sa.select(_c.state, sa.func.count().label("number")).group_by(_c.state))


@dataclass(frozen=True)
class Letter:
    """One letter and how far it came. `id` is its key: unique per tenant, for ever."""

    tenant: str
    id: str
    kind: str
    order_id: str
    document_id: str | None
    sealed_payload: Sealed
    state: State
    due_at: datetime
    attempts: int
    run_id: str | None
    promised_at: datetime
    changed_at: datetime
    message_id: str | None
    relay: str | None
    reply: str | None
    reason: str | None
    trace: str | None = None
    recipient: str | None = None
    bounce: str | None = None
    told_at: datetime | None = None
    doubted_at: datetime | None = None

    @property
    def may_have_gone(self) -> bool:
        """Whether its reader has it, or may have it."""
        return self.state in (*TAKEN, "uncertain") or self.doubted_at is not None


@dataclass(frozen=True, slots=True)
class Named:
    """A letter as somebody outside named it: whose it is, and to whom it went (keyed hash; None: not known)."""

    tenant: str
    id: str
    mark: str
    order_id: str
    recipient: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """So many letters that came equally far. `old`: long enough ago to be judged; `relay`: who took them."""

    state: State
    bounce: str | None
    relay: str | None
    reason: str | None
    old: bool
    number: int


def promise(
    tx: Transaction,
    tenant: str,
    *,
    key: str,
    kind: str,
    order_id: str,
    document_id: str | None,
    sealed_payload: Sealed,
    now: datetime,
) -> bool:
    """Promise a letter, due now; False when one with this key was promised before (nothing changes then)."""
    return insert_new(
        tx,
        letters,
        tenant=tenant,
        key=key,
        kind=kind,
        order_id=order_id,
        document_id=document_id,
        key_id=sealed_payload.key_id,
        payload=sealed_payload.ciphertext,
        state="promised",
        due_at=to_micros(now),
        attempts=0,
        promised_at=to_micros(now),
        changed_at=to_micros(now),
        trace=current(),
        mark=mark_of(key),
    )


def due(tx: Transaction, now: datetime, limit: int, without: Collection[str] = ()) -> list[Letter]:
    """Letters to send now that no run holds, but for those of the tenants in `without`: the oldest of each tenant, then
    the second of each, …"""
    values = {"now": to_micros(now), "n": limit}
    return [_letter(row) for row in (tx.execute(_due(without), values) if without else _DUE.rows(tx, **values))]


def claim(
    tx: Transaction, tenant: str, letter_id: str, run_id: str, now: datetime, executor: str = ""
) -> Letter | None:
    """Take a due letter for a run, counting an attempt; None when another run has it or it is not due."""
    which = {"t": tenant, "k": letter_id, "r": run_id, "now": to_micros(now)}
    return get(tx, tenant, letter_id) if _CLAIM.change(tx, **which, e=executor) else None


def sending(
    tx: Transaction,
    tenant: str,
    letter_id: str,
    run_id: str,
    now: datetime,
    message_id: str | None = None,
    recipient: str | None = None,
) -> bool:
    """From here on the letter may go out, under this Message-ID. Commit this before the relay can accept; only on True
    go on. Said anew for each relay. `recipient`: the keyed hash of its address."""
    which = {"t": tenant, "k": letter_id, "r": run_id, "now": to_micros(now)}
    return _SEND.change(tx, **which, id=message_id, to=recipient) == 1


def accepted(
    tx: Transaction,
    tenant: str,
    letter_id: str,
    run_id: str,
    now: datetime,
    *,
    message_id: str,
    relay: str,
    reply: str,
) -> bool:
    """A relay took the letter. Also resolves `uncertain` when the same run learns the answer after all."""
    answer = {"id": message_id, "by": relay, "said": _without_addresses(reply)}
    return _ACCEPT.change(tx, t=tenant, k=letter_id, r=run_id, now=to_micros(now), **answer) == 1


def uncertain(
    tx: Transaction,
    tenant: str,
    letter_id: str,
    run_id: str,
    now: datetime,
    reason: str,
    *,
    relay: str | None = None,
    ask_at: datetime | None = None,
) -> bool:
    """The connection broke after the last ambiguous moment: a person decides, nobody sends again. `ask_at`: when to ask
    `relay` whether it has it."""
    which = {"t": tenant, "k": letter_id, "r": run_id, "now": to_micros(now)}
    due = to_micros(ask_at or now)
    return _UNSURE.change(tx, **which, reason_=_without_addresses(reason), by=relay, due=due) == 1


def retry(
    tx: Transaction,
    tenant: str,
    letter_id: str,
    run_id: str,
    now: datetime,
    *,
    due_at: datetime,
    reason: str,
    relay: str | None = None,
) -> bool:
    """Certainly not sent: promised again, due at `due_at`, to be given to `relay` first. Never call it when the outcome
    is unknown."""
    which = {"t": tenant, "k": letter_id, "r": run_id, "now": to_micros(now)}
    return _RETRY.change(tx, **which, due=to_micros(due_at), reason_=_without_addresses(reason), by=relay) == 1


def failed(tx: Transaction, tenant: str, letter_id: str, run_id: str, now: datetime, reason: str) -> bool:
    """Refused for good."""
    which = {"t": tenant, "k": letter_id, "r": run_id, "now": to_micros(now)}
    return _FAIL.change(tx, **which, reason_=_without_addresses(reason)) == 1


def moot(tx: Transaction, tenant: str, letter_id: str, run_id: str, now: datetime, reason: str) -> bool:
    """Its cause ended, and certainly nobody has it: it is never sent."""
    which = {"t": tenant, "k": letter_id, "r": run_id, "now": to_micros(now)}
    return _MOOT.change(tx, **which, reason_=reason) == 1


def send_after_all(tx: Transaction, tenant: str, letter_id: str, now: datetime, due_at: datetime) -> bool:
    """An uncertain letter is promised anew, whether it arrived or not; False when it is not uncertain any more."""
    return _SEND_AFTER_ALL.change(tx, t=tenant, k=letter_id, now=to_micros(now), due=to_micros(due_at)) == 1


def arrived(tx: Transaction, tenant: str, letter_id: str, now: datetime, *, said: str) -> bool:
    """An uncertain letter was accepted after all, as `said` tells; False when it is not uncertain any more."""
    return _ARRIVED.change(tx, t=tenant, k=letter_id, now=to_micros(now), said=_without_addresses(said)) == 1


def doubts(tx: Transaction, now: datetime, limit: int) -> list[Letter]:
    """Uncertain letters whose relay is to be asked now, of every tenant the door shows."""
    return [_letter(row) for row in _DOUBTS.rows(tx, now=to_micros(now), n=limit)]


def uncertain_ones(tx: Transaction, tenant: str) -> list[Letter]:
    """The letters of a tenant that nobody is sure of, the oldest doubt first."""
    mine = sa.select(letters).where(_c.tenant == tenant, _DOUBTFUL).order_by(_c.changed_at, _c.key)
    return [_letter(row) for row in tx.execute(mine)]


def ask_later(tx: Transaction, tenant: str, letter_id: str, due_at: datetime) -> bool:
    """The relay of an uncertain letter is to be asked again at `due_at`."""
    return _ASK_LATER.change(tx, t=tenant, k=letter_id, due=to_micros(due_at)) == 1


def suppressed(
    tx: Transaction, tenant: str, letter_id: str, run_id: str, now: datetime, *, recipient: str, why: str, reason: str
) -> bool:
    """Not sent: its address gets no letters, because of `why` (`domain.feedback.Cause`)."""
    which = {"t": tenant, "k": letter_id, "r": run_id, "now": to_micros(now)}
    return _SUPPRESS.change(tx, **which, to=recipient, why=why, reason_=reason) == 1


def named(tx: Transaction, marks: Iterable[str]) -> list[Named]:
    """The letters of these marks, of every tenant the door shows."""
    columns = (_c.tenant, _c.key, _c.mark, _c.order_id, _c.recipient)
    rows = tx.execute(sa.select(*columns).where(_c.mark.in_(sorted(set(marks)))).order_by(_c.tenant, _c.key))
    return [Named(row.tenant, row.key, row.mark, row.order_id, row.recipient) for row in rows]


def told(
    tx: Transaction,
    tenant: str,
    letter_id: str,
    now: datetime,
    *,
    what: What,
    bounce: Bounce | None = None,
    at: datetime,
    reason: str | None = None,
) -> bool:
    """A relay tells what became of a letter; False when it is known already, weaker than what is known, or not ours.

    Raises Retryable("STALE-RUN") while a run holds the letter and has not handed it over: tell it again.
    """
    which = {"t": tenant, "k": letter_id, "now": to_micros(now), "what": what, "bounce_": bounce, "at": to_micros(at)}
    said = None if reason is None else _without_addresses(reason)
    if _TELL.change(tx, **which, strength_=strength(what, bounce), reason_=said) == 1:
        return True
    row = _GET.first(tx, t=tenant, k=letter_id)
    if row is not None and row.state == "promised" and row.run_id is not None:
        raise Retryable("STALE-RUN", "a run is about to send this letter")
    return False


def of_recipient(tx: Transaction, tenant: str, recipient: str, limit: int = 10) -> list[tuple[str, str | None]]:
    """State and bounce of the letters to one address (its keyed hash), the newest first."""
    mine = (_c.tenant == tenant) & (_c.recipient == recipient)
    query = sa.select(_c.state, _c.bounce).where(mine).order_by(_c.promised_at.desc(), _c.key).limit(limit)
    return [(row.state, row.bounce) for row in tx.execute(query)]


def again(tx: Transaction, tenant: str, recipient: str, now: datetime) -> int:
    """An address gets letters again: those that were suppressed are promised anew, due now; how many."""
    mine = (_c.tenant == tenant) & (_c.recipient == recipient) & (_c.state == "suppressed")
    values = {"state": "promised", "due_at": to_micros(now), "changed_at": to_micros(now), "attempts": 0}
    done = tx.execute(sa.update(letters).where(mine).values(**values, reason=None, bounce=None, **_FREE))
    return int(done.rowcount)


def forget_recipients(tx: Transaction, tenant: str, order_id: str) -> None:
    """An order is forgotten: to whom its letters went is not even known as a hash any more."""
    mine = (_c.tenant == tenant) & (_c.order_id == order_id) & _c.recipient.is_not(None)
    tx.execute(sa.update(letters).where(mine).values(recipient=None))


def tallies(tx: Transaction, tenant: str, since: datetime, judged: datetime) -> list[Tally]:
    """The letters promised since an instant, counted by how far they came.

    Old are those that were taken before `judged`, or promised where no relay has them.
    """
    failed_why = sa.case((_c.state == "failed", _c.reason), else_=None).label("why")
    begun = sa.case((_c.state == "accepted", _c.changed_at), else_=_c.promised_at)
    old = sa.case((begun < to_micros(judged), 1), else_=0).label("old")
    kinds = (_c.state, _c.bounce, _c.relay, failed_why, old)
    query = sa.select(*kinds, sa.func.count().label("number"))
    buyers = _c.kind.not_in(("copy", "digest"))  # those to the merchant are no letters anybody waits for
    query = query.where(_c.tenant == tenant, _c.promised_at >= to_micros(since), buyers).group_by(*kinds)
    rows = tx.execute(query).all()
    return [Tally(row.state, row.bounce, row.relay, row.why, bool(row.old), int(row.number)) for row in rows]


def redrive(tx: Transaction, tenant: str, letter_id: str, now: datetime, due_at: datetime) -> bool:
    """A person wants a letter sent that was refused for good; False when it is not in that state any more."""
    return _REDRIVE.change(tx, t=tenant, k=letter_id, now=to_micros(now), due=to_micros(due_at)) == 1


def withdraw(tx: Transaction, tenant: str, order_id: str, now: datetime, reason: str) -> int:
    """What was promised for an order and not begun is not sent any more; how many letters that were."""
    waiting = (_c.tenant == tenant) & (_c.order_id == order_id) & (_c.state == "promised")
    values = {"state": "failed", "reason": reason, "changed_at": to_micros(now), **_FREE}
    return int(tx.execute(sa.update(letters).where(waiting).values(values)).rowcount)


def take_back(tx: Transaction, tenant: str) -> dict[str, str]:
    """After a backup was put back: letters it held as promised, which may have gone out since, are promises no more.

    Key and order of each; whoever calls forgets their intents, so that a person is asked.
    """
    open_ = (_c.tenant == tenant) & _c.state.in_(("promised", "sending"))
    rows = tx.execute(sa.delete(letters).where(open_).returning(_c.key, _c.order_id)).all()
    return {row.key: row.order_id for row in rows}


def erase_all(tx: Transaction, tenant: str) -> int:
    """A tenant leaves: its letters are deleted. That one was promised stays known by its intent."""
    return int(tx.execute(sa.delete(letters).where(_c.tenant == tenant)).rowcount)


def release_executor(tx: Transaction, executor: str, now: datetime) -> list[Letter]:
    """At start: what this executor's dead predecessor held. Promised letters are free again; those in
    `sending` become uncertain and come back."""
    free, lost = _RELEASE_EXECUTOR
    free.change(tx, e=executor, now=to_micros(now))
    return [_letter(row) for row in lost.rows(tx, e=executor, now=to_micros(now))]


def release_stale(tx: Transaction, older_than: datetime, now: datetime) -> list[Letter]:
    """The same for letters claimed before `older_than`, by whomever."""
    free, lost = _RELEASE_STALE
    free.change(tx, before=to_micros(older_than), now=to_micros(now))
    return [_letter(row) for row in lost.rows(tx, before=to_micros(older_than), now=to_micros(now))]


def get(tx: Transaction, tenant: str, letter_id: str) -> Letter | None:
    """One letter, or None."""
    row = _GET.first(tx, t=tenant, k=letter_id)
    return None if row is None else _letter(row)


def locked(tx: Transaction, tenant: str, letter_id: str) -> Letter | None:
    """The same, and nobody changes it until this transaction ends."""
    row = _LOCKED.first(tx, t=tenant, k=letter_id)
    return None if row is None else _letter(row)


def of_order(tx: Transaction, tenant: str, order_id: str) -> list[Letter]:
    """The letters about one order, in the order they were promised."""
    mine = sa.select(letters).where(_c.tenant == tenant, _c.order_id == order_id)
    return [_letter(row) for row in tx.execute(mine.order_by(_c.promised_at, _c.key))]


def counts(tx: Transaction, tenant: str | None = None) -> Mapping[State, int]:
    """How many letters are in each state, zeros included; of all tenants the door sees when None is given."""
    if tenant is None:
        rows = _COUNTS.rows(tx)
    else:
        query = sa.select(_c.state, sa.func.count().label("number")).group_by(_c.state)
        rows = tx.execute(query.where(_c.tenant == tenant)).all()
    found = {row.state: row.number for row in rows}
    return {state: found.get(state, 0) for state in STATES}


def _without_addresses(text: str) -> str:
    # Relays like to quote the recipient; this table is not the place for it.
    return re.sub(r"[^\s<>\"']+@[^\s<>\"']+", "(address)", text)[:500]


def _letter(row: Any) -> Letter:
    return Letter(
        tenant=row.tenant,
        id=row.key,
        kind=row.kind,
        order_id=row.order_id,
        document_id=row.document_id,
        sealed_payload=Sealed(row.key_id, row.payload),
        state=row.state,
        due_at=from_micros(row.due_at),
        attempts=row.attempts,
        run_id=row.run_id,
        promised_at=from_micros(row.promised_at),
        changed_at=from_micros(row.changed_at),
        message_id=row.message_id,
        relay=row.relay,
        reply=row.reply,
        reason=row.reason,
        trace=row.trace,
        recipient=row.recipient,
        bounce=row.bounce,
        told_at=None if row.told_at is None else from_micros(row.told_at),
        doubted_at=None if row.doubted_at is None else from_micros(row.doubted_at),
    )
