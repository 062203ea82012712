"""Years of orders taken over: what was planned adds up, how far it is, when it will be done. Pure.

Totals are counts and sums in minor units under names whose parts are separated by `|`, so that what was counted of one
part of the period is added to the rest, kept, and read again without a loss:

    orders, settle, acting, later, idle          of orders
    whole|<why>                                  read one by one, because the export lacks something
    waiting|<code>  attention|<code>  excluded|<code>  unreadable|<code>
    action|<kind>|count, …|amount
    sum|<month>|<sort>|<currency>|<rule>|<rate>|documents, …|gross, …|net, …|tax
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ladenbuch.domain.document import rate_text
from ladenbuch.domain.preview import KINDS, OrderPreview

#: Kinds of documents and the sign they have in turnover.
SORTS = {"invoices": 1, "credit_notes": -1, "cancellations": -1}
_FIGURES = ("documents", "gross", "net", "tax")
_CODES = ("waiting", "attention", "excluded", "unreadable")
#: Rewritten under a key of its own: no other document than was planned.
_ANEW = "anew:"

Totals = Counter[str]


def needs_settling(item: OrderPreview) -> bool:
    """Whether an order of the period is to be settled: everyone is accounted for, but for those before the cut-off."""
    return item.excluded != "BEFORE-GO-LIVE" or bool(item.attention)


def count(totals: Totals, item: OrderPreview, whole: str | None) -> None:
    """Add one order; `whole` says why it was read by itself, None when the export held all of it."""
    totals["orders"] += 1
    totals["settle"] += needs_settling(item)
    totals["acting"] += item.acts
    totals["later"] += bool(item.steps) and not item.acts
    said = item.steps or item.waiting or item.attention or item.excluded or item.unreadable
    totals["idle"] += not said
    if whole is not None:
        totals[f"whole|{whole}"] += 1
    for name, codes in zip(_CODES, (item.waiting, item.attention, [item.excluded], [item.unreadable]), strict=True):
        for code in codes:
            totals[f"{name}|{code}"] += code is not None
    for step in item.steps:
        if step.due:
            totals[f"action|{step.kind}|count"] += 1
            totals[f"action|{step.kind}|amount"] += step.amount or 0
    for paper in item.papers:
        for rate, total in paper.sums:
            name = f"sum|{paper.taxed_on:%Y-%m}|{paper.sort}|{paper.currency}|{paper.tax_rule}|{rate_text(rate)}"
            for figure, amount in zip(_FIGURES, (1, total.gross, total.net, total.tax), strict=True):
                totals[f"{name}|{figure}"] += amount


def as_json(totals: Mapping[str, int]) -> dict[str, Any]:
    """The shape documented in docs/how-to/take-over-years-of-orders.md."""
    found: dict[str, Any] = {
        "orders": totals.get("orders", 0),
        "to_settle": totals.get("settle", 0),
        "with_actions": totals.get("acting", 0),
        "not_yet_due": totals.get("later", 0),
        "nothing_to_do": totals.get("idle", 0),
        "read_one_by_one": _below(totals, "whole"),
        "actions": {},
        "months": [],
    }
    kinds = {name.split("|")[1] for name in totals if name.startswith("action|")}
    for kind in sorted(kinds, key=lambda one: (KINDS.index(one) if one in KINDS else len(KINDS), one)):
        number, amount = totals[f"action|{kind}|count"], totals[f"action|{kind}|amount"]
        found["actions"][kind] = {"count": number, "amount_minor": amount}
    rows = {tuple(name.split("|")[1:-1]) for name in totals if name.startswith("sum|")}
    for month, sort, currency, rule, rate in sorted(rows, key=_place):
        name = "|".join(("sum", month, sort, currency, rule, rate))
        documents, gross, net, tax = (totals[f"{name}|{figure}"] for figure in _FIGURES)
        found["months"].append(
            {
                "month": month,
                "kind": sort,
                "currency": currency,
                "tax_rule": int(rule),
                "tax_rate": rate,
                "documents": documents,
                "gross_minor": gross,
                "net_minor": net,
                "tax_minor": tax,
            }
        )
    return found | {name: _below(totals, name) for name in _CODES}


def _place(row: tuple[str, ...]) -> tuple[str, int, str, int, Decimal]:
    month, sort, currency, rule, rate = row
    return month, list(SORTS).index(sort), currency, int(rule), -Decimal(rate)


def _below(totals: Mapping[str, int], name: str) -> dict[str, int]:
    return {key.split("|")[1]: totals[key] for key in sorted(totals) if key.startswith(f"{name}|") and totals[key]}


# -- what came of it ----------------------------------------------------------------------------------------------


def keys_hash(applied: Collection[str]) -> str:
    """One text for a set of keys: what is applied when everything planned was done, and nothing else."""
    kept = sorted(key for key in applied if not key.startswith(_ANEW))
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def expected(item: OrderPreview) -> str:
    """`keys_hash` of an order after exactly its plan was carried out."""
    return keys_hash(item.applied | item.due_keys)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast orders are done: `done` of them in `seconds`."""

    done: int
    seconds: float

    def end(self, left: int, now: datetime) -> datetime | None:
        """When `left` more will be done at this pace; None when nothing says so, `now` when nothing is left."""
        if left <= 0:
            return now
        if self.done <= 0 or self.seconds <= 0:
            return None
        return now + timedelta(seconds=self.seconds) * left // self.done

    @property
    def per_minute(self) -> int:
        """Orders in a minute, rounded down."""
        return int(self.done * 60 // self.seconds) if self.seconds > 0 else 0


def markdown(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The sums of `as_json` as lines of a Markdown table."""
    lines = ["| month | documents | rule | rate | count | gross | net | VAT |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        amounts = (f"{Decimal(row[name]).scaleb(-2):.2f}" for name in ("gross_minor", "net_minor", "tax_minor"))
        cells = (row["month"], row["kind"].replace("_", " "), row["tax_rule"], f"{row['tax_rate']} %", row["documents"])
        lines.append("| " + " | ".join(map(str, (*cells, *amounts))) + " |")
    return lines
