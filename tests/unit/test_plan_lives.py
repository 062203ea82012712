"""Generated order lives through adapter, facts, plan and certificate, against what each life is labelled with.

R1, R2, R7, R9, R20, R21; S71, S76; bookkeeping 1.4, 3.1, 5. The generator knows nothing of the planner.
"""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from builders import PROFILE
from ladenbuch.domain.books import Books
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.document import rate_text
from ladenbuch.domain.evidence import VALID, Evidence, VatIdAnswer
from ladenbuch.domain.facts import Facts, facts_of
from ladenbuch.domain.plan import Action, Plan, plan
from ladenbuch.domain.profile import Gateway
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.simulators.lives import Life, generate
from ladenbuch.vat_rates import rate_table

END = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: How many wide lives are held against their labels; `make prove LINE=lives` takes 100,000.
LIVES = int(os.environ.get("LADENBUCH_LIVES", "2000"))
CLEARING = ("shopify_payments", "klarna", "paypal")
DEMO = replace(
    PROFILE,
    gateways={
        **{name: Gateway("clearing+payouts", str(number)) for number, name in enumerate(CLEARING, 12)},
        "bank_deposit": Gateway("bank"),
        "cash_on_delivery": Gateway("off"),
        "invoice_on_delivery": Gateway("off"),
        "gift_card": Gateway("liability", "20"),
        "shopify_store_credit": Gateway("liability", "21"),
    },
    vouchers="multi_purpose",
    oss_from=date(2026, 1, 1),
    tips="taxed",
    unshipped="electronic",
)


class _AllValid(dict[str, VatIdAnswer]):
    """Every VAT id is valid: the lives name only such."""

    def get(self, vat_id: str, default: Any = None) -> Any:
        return VatIdAnswer(vat_id, VALID, END)


EVIDENCE = Evidence(rate_table(), _AllValid())


def planned(facts: Facts, books: Books, now: datetime) -> Plan:
    return plan(facts, books, [DEMO], now, EVIDENCE)


def lives_of(mix: str, orders: int, seed: int = 7) -> list[Life]:
    return generate(seed, orders, shop="seifenladen.myshopify.com", mix=mix, end=END, span=timedelta(days=45))


def facts_at(snapshot: dict[str, Any]) -> Facts:
    return facts_of(order_from_envelope(snapshot))


def outcome(made: Plan) -> str:
    if made.later is not None:
        return "later"
    if made.exclusion is not None:
        return "excluded"
    if made.attention:
        return "attention"
    return "documented" if any(action.document for action in made.actions) else "waiting"


def first_document(made: Plan) -> tuple[int | None, dict[str, int]]:
    """Gross and gross per rate of the invoice that is planned."""
    draft = next((action.document.draft for action in made.actions if action.document), None)
    if draft is None:
        return None, {}
    return draft.gross, {rate_text(rate): total.gross for rate, total in draft.sums.items() if total.gross}


def chain(made: Plan) -> list[tuple[Any, ...]]:
    """Kind, gross, gross per rate and tax rule of every document that is planned; of a cancellation its gross alone."""
    found: list[tuple[Any, ...]] = []
    for action in made.actions:
        if action.kind in ("invoice", "credit_note") and action.document is not None:
            draft = action.document.draft
            by_rate = {rate_text(rate): total.gross for rate, total in draft.sums.items() if total.gross}
            found.append((action.document.kind, draft.gross, tuple(sorted(by_rate.items())), draft.tax_rule))
        elif action.kind == "cancel" and action.document is not None:
            found.append(("cancellation", action.document.draft.gross, (), 0))
    return sorted(found)


def wanted_chain(life: Life) -> list[tuple[Any, ...]]:
    """The same, as the life is labelled."""
    return sorted(
        (due.kind, due.gross, (), 0)
        if due.kind == "cancellation"
        else (due.kind, due.gross, tuple(sorted(due.by_rate.items())), due.rule)
        for due in life.label.documents
    )


def mismatch(life: Life) -> list[str]:
    """Everything in which the plan for the finished life is not what its label says."""
    facts, label = facts_at(life.final), life.label
    made = planned(facts, Books(), END)
    codes = {problem.code for problem in made.attention}
    proof = certificate(facts, Books(), made)
    wanted = {
        "outcome": (label.outcome, outcome(made)),
        "documents": (wanted_chain(life), chain(made)),
        "holds": (True, proof.holds),
        "verdict": (label.outcome, proof.verdict),
    }
    if label.outcome == "excluded":
        wanted["code"] = (label.code, made.exclusion and made.exclusion.code)  # type: ignore[assignment]
    if label.outcome in ("documented", "excluded"):
        owed = [item.line.amount for item in made.actions if item.line and item.line.payment_id.endswith("/card")]
        wanted["cards"] = (-label.cards_cents, sum(owed))  # type: ignore[assignment]
    if label.outcome == "documented":
        booked = [action.booking.amount for action in made.actions if action.booking]
        wanted["booked"] = (label.paid_cents, sum(amount for amount in booked if amount > 0))  # type: ignore[assignment]
        wanted["refunded"] = (-label.refunded_cents, sum(a for a in booked if a < 0))  # type: ignore[assignment]
    if label.outcome == "waiting":
        wanted["code"] = ({label.code}, {problem.code for problem in made.waiting})  # type: ignore[assignment]
    found = [f"{name}: {want} is not {got}" for name, (want, got) in wanted.items() if want != got]
    if label.outcome == "attention":
        if label.code not in codes:
            found.append(f"{label.code} not among {sorted(codes)}")
        if codes - {label.code}:
            found.append(f"asked for nothing: {sorted(codes - {label.code})}")
    return [f"{life.name} {label.situation}: {text}" for text in found]


@pytest.mark.parametrize(
    ("mix", "orders", "seed"),
    [("domestic", 3000, 7), *(("wide", 2000, 7 + number) for number in range(max(1, LIVES // 2000)))],
)
def test_every_life_ends_as_labelled(mix: str, orders: int, seed: int) -> None:
    """Outcome, document per rate, money booked, letters, codes: to the cent, nothing asked without need."""
    lives = lives_of(mix, orders, seed)
    assert [text for life in lives for text in mismatch(life)] == []
    seen = Counter(life.label.outcome for life in lives)
    assert min(seen["documented"], seen["waiting"], seen["excluded"]) > 10
    assert (seen["attention"] > 100) == (mix == "wide")


def test_on_the_way_nothing_is_asked_and_no_other_document_is_wanted() -> None:
    """Domestic orders after each event: never a question; once everything due has come in, the labelled document."""
    for life in lives_of("domestic", 1500, seed=5):
        for index, event in enumerate(life.events):
            made = planned(facts_at(event.snapshot), Books(), event.at)
            gross, by_rate = first_document(made)
            assert made.attention == () and made.later is None, (life.label.situation, index)
            if gross is not None or (life.label.completes is not None and index >= life.label.completes):
                assert (gross, by_rate) == (life.label.invoice_gross, life.label.gross_by_rate)


# -- schedules -------------------------------------------------------------------------------------------------


def apply(books: Books, action: Action) -> Books:
    """Books after the action was carried out and confirmed; raises on a key that is used twice (R7)."""
    assert action.key not in books.applied, f"key used twice: {action.key}"
    assert set(action.after) <= books.applied, f"{action.key} before {action.after}"
    books = replace(books, applied=books.applied | {action.key})
    if action.kind == "money_line":
        return replace(books, lines=(*books.lines, replace(action.line, done=True, sevdesk_id="1")))
    if action.kind == "delete_line":
        assert not any(item.payment_id == action.line.payment_id for item in books.bookings)
        return replace(books, lines=tuple(item for item in books.lines if item.key != action.line.key))
    if action.kind in ("invoice", "credit_note"):
        assert action.document is not None
        return replace(books, documents=(*books.documents, replace(action.document, state="draft")))
    if action.kind in ("finalise", "cancel"):
        assert action.document is not None
        state = "final" if action.kind == "finalise" else "cancelled"
        after = tuple(
            replace(item, state=state, number="RE-1") if item.key == action.document.key else item
            for item in books.documents
        )
        assert after != books.documents
        return replace(books, documents=after)
    if action.kind in ("book_payment", "book_refund"):
        return replace(books, bookings=(*books.bookings, replace(action.booking, done=True)))
    assert action.kind == "letter"
    return replace(books, letters=books.letters | {action.key})


def settle(books: Books, facts: Facts, now: datetime) -> tuple[Books, list[Action]]:
    """Plan and carry out once; the plan after it must be empty."""
    actions = planned(facts, books, now).due(now)
    for action in actions:
        books = apply(books, action)
    assert planned(facts, books, now).due(now) == ()
    return books, list(actions)


def posted(books: Books) -> dict[str, Any]:
    """What the order left behind, without the posting day."""
    return {
        "documents": [
            (item.key, item.kind, item.state, item.draft.positions, item.draft.delivery_date, item.draft.foot_text,
             item.draft.party, item.draft.note, item.covers, item.tax_point, item.tax)
            for item in sorted(books.documents, key=lambda item: item.key)
        ],
        "lines": {(item.key, item.amount, item.account, item.value_date) for item in books.lines},
        "bookings": {(item.key, item.document_key, item.amount) for item in books.bookings},
        # The letter of an invoice that was cancelled later goes out live (and then the one about that) and is
        # pointless late.
        "letters": {key for key in books.letters if not _cancelled(books, key)},
        "keys": {key for key in books.applied if not _cancelled(books, key)},
    }  # fmt: skip


def _cancelled(books: Books, key: str) -> bool:
    gone = {item.key for item in books.documents if item.state == "cancelled"}
    return key.startswith("mail:") and key.removeprefix("mail:").removesuffix(":cancelled") in gone


def test_live_late_and_skipping_schedules_post_the_same() -> None:
    """R2, R7, S76: planned after every event, only at the end, or at any choice of events: one and the same result."""
    for life in [*lives_of("domestic", 700, seed=11), *lives_of("wide", max(900, LIVES // 5), seed=12)]:
        if len(life.events) > 7:
            continue  # 2 ** 7 schedules each are enough
        seen = [(event.at, facts_at(event.snapshot)) for event in life.events]
        at_once, _ = settle(Books(), seen[-1][1], END)
        schedules = [[*some, len(seen) - 1] for n in range(len(seen)) for some in _choices(len(seen) - 1, n)]
        for schedule in schedules:
            books = Books()
            for index in schedule:
                books, _ = settle(books, seen[index][1], seen[index][0] + timedelta(seconds=90))
            assert posted(books) == posted(at_once), (life.label.situation, schedule)
        assert planned(seen[-1][1], at_once, END).actions == ()


def _choices(events: int, count: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations(range(events), count))


def test_the_order_in_which_facts_are_listed_does_not_matter() -> None:
    """S76: whatever order Shopify lists agreements, transactions and fulfilments in."""
    rng = random.Random(5)
    for life in lives_of("wide", 300, seed=3):
        whole = facts_at(life.final)
        made = planned(whole, Books(), END)
        mixed = {name: rng.sample(life.final[name], len(life.final[name])) for name in (
            "agreements", "transactions", "fulfillments", "refunds", "disputes",
        )}  # fmt: skip
        other = planned(facts_at({**life.final, **mixed}), Books(), END)
        assert {item.key: item.as_json() for item in made.actions} == {i.key: i.as_json() for i in other.actions}
        assert {item.code for item in made.attention} == {item.code for item in other.attention}
        assert made.tax_point == other.tax_point


def test_no_more_actions_than_facts() -> None:
    """R7: each kind of action takes each fact once; documents cover all of the ledger up to the tax point."""
    for life in lives_of("domestic", 400, seed=13):
        facts = facts_at(life.final)
        books, actions = settle(Books(), facts, END)
        per_kind = Counter((item.kind, fact) for item in actions for fact in item.covers)
        assert all(count == 1 for count in per_kind.values())
        known = {fact.id for fact in facts.items}
        assert {fact for item in actions for fact in item.covers} <= known
        sizes = Counter(item.kind for item in actions)
        money = sum(fact.kind == "money" for fact in facts.items)
        assert sizes["money_line"] <= money
        assert sizes["book_payment"] <= money
        assert max(sizes["invoice"], sizes["finalise"], sizes["letter"]) <= 1
        if books.documents and facts.tax_point is not None:
            cut = facts.agreements_until(facts.tax_point.at)
            assert [cover.fact_id for cover in books.documents[0].covers] == [item.id for item in cut]


def test_the_calendar_only_fills_the_posting_day() -> None:
    """R9: for 400 days the plan of a fixed order and fixed books is the same but for the day of issue."""
    lives = {life.label.situation: life for life in lives_of("wide", 500, seed=17)}
    for life in list(lives.values())[::6]:
        facts = facts_at(life.final)
        intended = Books(documents=tuple(
            item.document
            for item in planned(facts, Books(), END).actions
            if item.kind in ("invoice", "credit_note") and item.document is not None
        ))  # fmt: skip
        settled, _ = settle(Books(), facts, END)
        for books, pinned in ((Books(), False), (intended, bool(intended.documents)), (settled, True)):
            shown = {_shown(planned(facts, books, END + timedelta(days=d)), pinned) for d in range(401)}
            assert len(shown) == 1, life.label.situation


def _shown(made: Plan, pinned: bool) -> str:
    actions = [item.as_json() for item in made.actions]
    for item in actions:
        if not pinned:
            item.pop("invoice_date", None)
        item.pop("not_before", None)
    return repr((actions, made.waiting, made.attention, made.exclusion, made.later, made.tax_point))
