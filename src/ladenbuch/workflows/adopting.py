"""The guided takeover: which documents of others in a period are whose, looked at first, then noted with their orders.

    sevdesk's documents of the period (a stream) -> those that are not ours
    the shop's orders of that time, each read once -> matched (domain.adoption), what may fit is read whole
    each order planned with them -> one line per document: adopt, ask, or why neither

Looking writes nothing. Carrying it out notes the documents with their orders, all in one transaction with its audit
row, and wants the orders: `settle` reads each document once more, takes it over or asks, and plans the rest. Done
twice, or killed in between and done again, it comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import islice

from ladenbuch import audit, books, tenants
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.adoption import Matching, Pair, match
from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import Facts, facts_of
from ladenbuch.domain.foreign import ForeignDocument, Sought, sought_of
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.takeover import ACTS, Line, counts
from ladenbuch.errors import Rejected
from ladenbuch.sevdesk.foreign import listed_foreign
from ladenbuch.sevdesk.listing import Kind, ListedDocument, listed
from ladenbuch.shopify.period import orders_processed
from ladenbuch.workflows.certify import patiently
from ladenbuch.workflows.context import Context, profiles_in
from ladenbuch.workflows.evidence import gather
from ladenbuch.workflows.foreign import CANDIDATE, noted, whole
from ladenbuch.workflows.preview import Period, hidden_until, want

#: How long before its invoice an order may have been placed, to be looked at with the documents of a period.
_ORDERS_BEFORE = timedelta(days=31)
_BATCH = 500
Step = Callable[[], None]


@dataclass(slots=True)
class Survey:
    """What a takeover of a period would do. `found` are the documents to be noted with each order it acts on.

    Before `hidden_until` Shopify may hide orders: a document that is no order's may be one of those.
    """

    lines: list[Line] = field(default_factory=list)
    found: dict[str, list[ForeignDocument]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    documents: int = 0
    ours: int = 0
    orders: int = 0
    hidden_until: datetime | None = None

    @property
    def asks(self) -> bool:
        """Whether a person is needed."""
        return any(line.outcome in ("ask", "doubled") for line in self.lines)


@dataclass(slots=True)
class _Seen:
    """The shop's orders as they were read, by gid."""

    facts: dict[str, Facts] = field(default_factory=dict)
    sought: dict[str, Sought] = field(default_factory=dict)


@working_as(Priority.BACKFILL)
def survey(ctx: Context, tenant: str, period: Period, step: Step = lambda: None) -> Survey:
    """Look at the documents and orders of a period; nothing is written. `step` is called per document and order.

    Raises what the clients raise, after a few tries: a list with gaps is none.
    """
    _must_be_active(ctx, tenant)
    profile = profile_at(ctx.profiles(tenant), ctx.clock())
    made = Survey(hidden_until=hidden_until(ctx, tenant, period))
    foreign = _foreign(ctx, tenant, profile, period, made, step)
    invoices = [item for item in foreign if item.sort == "invoice" and item.type != "SR"]
    seen = _orders(ctx, tenant, period, profile, step) if invoices else _Seen()
    made.orders = len(seen.facts)
    first = match(list(seen.sought.values()), invoices)
    matching = match(list(seen.sought.values()), _whole(ctx, tenant, first, invoices, step))
    _decide(ctx, tenant, seen, matching, made)
    known = {line.document for line in made.lines}
    reached = {item.id for item in invoices}
    for item in foreign:
        if item.reference not in known and (item.sort == "credit_note" or item.type == "SR"):
            follows = item.origin_id in reached
            why = "" if follows else "its invoice is not among those of the period"
            made.lines.append(Line.of(item, "follows" if follows else "none", why=why))
    made.lines += [Line.of(item, "none", why="no order is like it") for item in matching.unmatched]
    made.lines.sort(key=lambda line: (line.day, line.document, line.order or ""))
    return made


def _must_be_active(ctx: Context, tenant: str) -> None:
    standing = ctx.door(tenant).read(Store.BOOKS, lambda tx: tenants.standing(tx, tenant))
    if standing != "active":
        raise Rejected("TENANT-STATE", f"the tenant is {standing}: nothing is read or taken over for it")


def _foreign(
    ctx: Context, tenant: str, profile: Profile, period: Period, made: Survey, step: Step
) -> list[ForeignDocument]:
    """The documents of the period that are not ours, with their tags; cancelled ones are marked."""
    sevdesk = ctx.sevdesk(tenant)
    rows: list[ListedDocument] = []
    cancelled: set[str | None] = set()
    kinds: tuple[Kind, ...] = ("Invoice", "CreditNote")
    for kind in kinds:
        for row in listed(sevdesk, kind, period.since, period.until, lambda read: patiently(ctx, read)):
            step()
            made.documents += 1
            if row.type == "SR":
                cancelled.add(row.origin_id)
            if f" / {profile.shop_key}:" in (row.note or ""):
                made.ours += 1
            else:
                rows.append(row)
    taken = _taken(ctx, tenant, [row.id for row in rows if row.kind == "Invoice"])
    tags = patiently(ctx, sevdesk.tags) if rows else {}
    found = []
    for row in rows:
        item = listed_foreign(row, tags.get(row.reference, ()), cancelled=row.id in cancelled and row.kind == "Invoice")
        if item is None:
            continue
        if row.kind == "Invoice" and row.id in taken:
            made.lines.append(Line.of(item, "adopted", (taken[row.id], "")))
            continue
        found.append(item)
    return found


def _taken(ctx: Context, tenant: str, ids: Sequence[str]) -> dict[str, str]:
    """Which of these invoices are in the books already, and with which order."""

    def read(tx: Transaction) -> dict[str, str]:
        found: dict[str, str] = {}
        for begin in range(0, len(ids), _BATCH):
            found |= books.orders_of_invoices(tx, tenant, ids[begin : begin + _BATCH])
        return found

    return ctx.door(tenant).read(Store.BOOKS, read) if ids else {}


def _orders(ctx: Context, tenant: str, period: Period, profile: Profile, step: Step) -> _Seen:
    """Every order that may have got one of the documents, read once."""
    shop, seen = ctx.shopify(tenant), _Seen()
    gids = patiently(
        ctx, lambda: list(orders_processed(shop.execute, period.start - _ORDERS_BEFORE, period.end + timedelta(days=1)))
    )
    for gid in gids:
        order = patiently(ctx, lambda gid=gid: shop.fetch_order(gid)).order  # type: ignore[misc]
        step()
        if order is None or order.gaps:
            continue
        facts = facts_of(order)
        seen.facts[gid] = facts
        seen.sought[gid] = sought_of(facts, profile.local_date)
    return seen


def _whole(
    ctx: Context, tenant: str, first: Matching, invoices: Iterable[ForeignDocument], step: Step
) -> list[ForeignDocument]:
    """The documents, those that may be some order's with their sums per rate and as they are now."""
    sevdesk = ctx.sevdesk(tenant)
    close = {pair.document.reference for pair in (*first.same, *first.maybe)}
    found = []
    for item in invoices:
        if item.reference not in close:
            found.append(item)
            continue
        read = patiently(ctx, lambda item=item: whole(sevdesk, item.id, item.tags))  # type: ignore[misc]
        step()
        if read is not None:
            found.append(replace(read, note=item.note, texts=item.texts, cancelled=item.cancelled or read.cancelled))
    return found


def _decide(ctx: Context, tenant: str, seen: _Seen, matching: Matching, made: Survey) -> None:
    """What becomes of each document that is or may be an order's: as the plan of that order says."""
    orders: dict[str, list[Pair]] = {}
    for pair in (*matching.same, *matching.maybe):
        orders.setdefault(pair.order_id, []).append(pair)
    for gid, pairs in sorted(orders.items()):
        facts = seen.facts[gid]
        documents = tuple(pair.document for pair in pairs)
        left, known = _planned(ctx, tenant, facts, documents)
        adopted = next((item.document for item in left.actions if item.kind == "adopt" and item.document), None)
        for pair in pairs:
            taken = adopted is not None and adopted.sevdesk_id == pair.document.id
            outcome, why = ("adopt", "") if taken else _outcome(left, known, pair, taken=adopted is not None)
            order = (gid, facts.order.name)
            made.lines.append(Line.of(pair.document, outcome, order, pair.verdict.evidence, why))
        if any(line.outcome in ACTS for line in made.lines[-len(pairs) :]):
            made.found[gid] = list(documents)
            made.names[gid] = facts.order.name


def _planned(ctx: Context, tenant: str, facts: Facts, documents: tuple[ForeignDocument, ...]) -> tuple[Plan, Books]:
    # Without anybody to ask, `gather` takes the stored answers and writes nothing.
    evidence = gather(replace(ctx, vat_ids=None), tenant, facts.order, ctx.clock())
    unseal = ctx.unseal(tenant, "pins")
    known, profiles = ctx.door(tenant).read(
        Store.BOOKS, lambda tx: (books.load(tx, tenant, facts.order.id, unseal), profiles_in(tx, tenant))
    )
    return plan(facts, known, profiles, ctx.clock(), replace(evidence, foreign=documents)), known


def _outcome(left: Plan, known: Books, pair: Pair, *, taken: bool) -> tuple[str, str]:
    """What becomes of a document that is not taken over, and why."""
    against = ", ".join(pair.verdict.against)
    if taken:
        return "none", "another document is the invoice of its order"
    if any(item.code == "ADOPT" for item in left.attention):
        return "ask", f"against it: {against}" if against else "more than one fits"
    if known.invoice is not None:
        same = pair.verdict.kind == "same"
        number = known.invoice.number or known.invoice.key
        return "doubled" if same else "none", f"its order has the invoice {number} already"
    if left.exclusion is not None:
        return "left out", left.exclusion.code
    return "none", f"against it: {against}" if against else "its order cannot be planned"


# -- carrying it out ----------------------------------------------------------------------------------------------


def take_over(ctx: Context, tenant: str, period: Period, found: Survey, *, by: str) -> dict[str, int]:
    """Note the documents with their orders, and want these: gid -> the number that says so in its mark.

    Repeatable: the same notes, and orders that are settled have nothing to do.
    """
    _must_be_active(ctx, tenant)
    now = ctx.clock()
    told = counts(found.lines)

    def note(tx: Transaction) -> None:
        for gid, documents in sorted(found.found.items()):
            hands = [noted(gid, found.names[gid], item) for item in documents]
            before = books.noted_candidates(tx, tenant, gid, CANDIDATE)
            books.record_hands(tx, tenant, gid, hands, [*before, *(hand.document_key for hand in hands)], now)
        sentence = (
            f"Documents of others from {period.since} until before {period.until} were noted with their orders: "
            f"{told['adopt']} to be taken over, {told['ask']} to be asked about."
        )
        audit.append(tx, tenant, now, actor=by, event="takeover", subject=tenant, sentence=sentence)

    if not found.found:
        return {}
    ctx.door(tenant).run(Store.BOOKS, note)
    return want(ctx, tenant, list(found.found))


def taken_now(ctx: Context, tenant: str, found: Survey) -> dict[str, str]:
    """Which of the documents to be taken over are in the books by now: `Invoice/71` -> gid of the order."""
    ids = {line.document.partition("/")[2]: line.document for line in found.lines if line.outcome == "adopt"}
    taken = _taken(ctx, tenant, list(ids))
    return {ids[one]: order for one, order in taken.items()}


@working_as(Priority.BACKFILL)
def foreign_since(ctx: Context, tenant: str, since: date, most: int, until: date | None = None) -> int:
    """How many invoices of others are dated in [since, until), of at most `most` that are looked at; without `until`,
    up to today.
    """
    profile = profile_at(ctx.profiles(tenant), ctx.clock())
    end = until or profile.local_date(ctx.clock()) + timedelta(days=1)
    rows = islice(listed(ctx.sevdesk(tenant), "Invoice", since, end, lambda read: patiently(ctx, read)), most)
    strange = [row for row in rows if row.type == "RE" and row.final]
    ids = [row.id for row in strange if f" / {profile.shop_key}:" not in (row.note or "")]
    return len(ids) - len(_taken(ctx, tenant, ids))
