"""Seeded lives of orders in an honest little shop: `generate` makes them, `Life` carries what happens and what is due.

The shop computes in integer cents with its own rules and knows nothing of the product it tests. No input or output.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ladenbuch.simulators.lives.d2c import D2C, WHOLE
from ladenbuch.simulators.lives.domestic import DOMESTIC
from ladenbuch.simulators.lives.model import Due, Event, Label, Life
from ladenbuch.simulators.lives.order import CLEARING, LIABILITIES, ShopOrder
from ladenbuch.simulators.lives.snapshot import snapshot
from ladenbuch.simulators.lives.stage import Added, People, Situation
from ladenbuch.simulators.lives.wide import WIDE

__all__ = ["MIXES", "Due", "Event", "Label", "Life", "generate", "situations"]

MIXES = ("domestic", "wide", "d2c")
#: From this many orders on, every situation of the mix is present.
EVERY_SITUATION_FROM = 200
#: Events of one life are at least a second apart; this many seconds are kept free for that at the end of the span.
_SLACK = 60
_IDS_PER_ORDER = 4096


def generate(seed: int, orders: int, *, shop: str, mix: str = "domestic", end: datetime, span: timedelta) -> list[Life]:
    """Lives of `orders` orders of `shop`, in order of creation, every event within [end - span, end].

    The same arguments give the same lives. Waiting times shrink where the span is too short for them. `mix` domestic
    holds German consumer orders without any attention case; wide is three fifths of that plus everything else; d2c is
    a normal German shop, its situations in the shares they have there (each of them from ten thousand orders on). The
    labels are those of a regular-taxed seller registered for OSS who taxes tips with the goods, whose gift cards are
    multi-purpose, and who keeps an account for what cards and store credit are worth.
    Raises ValueError for an unknown mix, a naive `end` or a span under ten minutes.
    """
    if mix not in MIXES:
        raise ValueError(f"unknown mix {mix!r}; there are {', '.join(MIXES)}")
    if end.tzinfo is None or span < timedelta(minutes=10) or orders < 0:
        raise ValueError("end must be timezone-aware, span at least ten minutes, orders not negative")
    rng = random.Random(f"{seed}/{shop}/{mix}")
    base = 5_000_000_000_000 + zlib.crc32(f"{seed}/{shop}/{mix}".encode()) % 4000 * 1_000_000_000
    last, width = int(end.timestamp()), int(span.total_seconds())
    plan = []
    for situation in _cast(rng, orders, mix):
        pace = min(1.0, (width - _SLACK) * 0.8 / situation.longest)
        latest = width - _SLACK - int(situation.longest * pace)
        plan.append((last - width + rng.randint(0, latest), situation, pace))
    plan.sort(key=lambda entry: entry[0])
    people = People(rng, base // 2)
    return [
        _live(seed, shop, mix, base, index, start, situation, pace, people)
        for index, (start, situation, pace) in enumerate(plan)
    ]


def situations(mix: str = "domestic") -> tuple[str, ...]:
    """The names of a mix's situations."""
    tables = {"domestic": DOMESTIC, "wide": DOMESTIC + WIDE, "d2c": D2C}
    return tuple(situation.name for situation in tables[mix])


def _cast(rng: random.Random, orders: int, mix: str) -> list[Situation]:
    """Which situation each order is: by weight, each at least once in a large enough number, the rest plain card."""
    if mix == "d2c":
        cast = _share(rng, orders, D2C, orders >= WHOLE)
    elif mix == "domestic":
        cast = _share(rng, orders, DOMESTIC, orders >= EVERY_SITUATION_FROM)
    else:
        home = orders * 3 // 5
        cast = _share(rng, home, DOMESTIC, orders >= EVERY_SITUATION_FROM)
        cast += _share(rng, orders - home, WIDE, orders >= EVERY_SITUATION_FROM)
    rng.shuffle(cast)
    return cast


def _share(rng: random.Random, orders: int, table: tuple[Situation, ...], every: bool) -> list[Situation]:
    weights = [situation.weight for situation in table]
    if not every:
        return rng.choices(table, weights, k=orders)
    whole = sum(weights)
    cast = [s for s in table[1:] for _ in range(max(1, orders * s.weight // whole))]
    return cast[:orders] + [table[0]] * (orders - len(cast))


def _live(
    seed: int, shop: str, mix: str, base: int, index: int, start: int, situation: Situation, pace: float,
    people: People,
) -> Life:  # fmt: skip
    rng = random.Random(f"{seed}/{shop}/{mix}/{index}")
    order = ShopOrder(rng, base + index * _IDS_PER_ORDER, 1001 + index, start, pace)
    order.snapshot = snapshot
    people.buy(order)
    added = situation.script(order)
    if order.paid_over_months() and not order.shipped_only:
        situation = replace(situation, outcome="attention", code="PARTIAL-PREPAYMENT", invoiced=False)
    label = _label(order, situation, _chain(order, situation, added or []))
    events = tuple(Event(datetime.fromtimestamp(e.second, UTC), e.topics, e.snapshot) for e in order.events)
    return Life(f"gid://shopify/Order/{order.id}", f"#{order.number}", shop, events, label)


def _chain(order: ShopOrder, situation: Situation, added: Added) -> tuple[Due, ...]:
    """Every document of this life, oldest first; none where it waits, is excluded or must be asked about before."""
    stopped = situation.outcome == "attention" and not situation.invoiced
    if order.tax_point is None or stopped or situation.outcome in ("waiting", "excluded"):
        return ()
    whole = bool(added) and added[0].kind == "invoice"  # the script told the first document itself
    first = [] if whole else [Due("invoice", *order.first_document(), order.rule)]
    return (*first, *added)


def _label(order: ShopOrder, situation: Situation, documents: tuple[Due, ...]) -> Label:
    first = documents[0] if documents else None
    charges = [node for node in order.payments if _clears(node)]
    refunds = [node for node in order.payments if _clears(node, "REFUND")] if len(documents) > 1 else []
    if situation.outcome == "attention":  # money after the tax point belongs to what a person decides
        charges = [node for node in charges if node["_second"] <= (order.tax_point or 0)]
    settled = situation.outcome in ("documented", "excluded") and order.tax_point is not None
    completes = None
    if first is not None:
        moment = max([order.tax_point or 0, *(node["_second"] for node in charges)])
        completes = next(index for index, event in enumerate(order.events) if event.second >= moment)
        if len(documents) > 1:
            completes = len(order.events) - 1
    return Label(
        situation=situation.name, outcome=situation.outcome, code=situation.code,
        invoice_gross=None if first is None else first.gross, gross_by_rate={} if first is None else first.by_rate,
        paid_cents=0 if first is None else sum(node["_cents"] for node in charges) - order.cards(1),
        letters=1 if first is not None and order.email else 0, completes=completes, documents=documents,
        refunded_cents=sum(node["_cents"] for node in refunds) - (order.cards(-1) if refunds else 0),
        cards_cents=order.cards(1) - order.cards(-1) if settled else 0,
    )  # fmt: skip


def _clears(payment: dict[str, Any], *kinds: str) -> bool:
    """Money that came in (or of these kinds) on an account of ours."""
    kept = payment["status"] == "SUCCESS" and payment["kind"] in (kinds or ("SALE", "CAPTURE"))
    return bool(kept and payment["gateway"] in CLEARING + LIABILITIES)
