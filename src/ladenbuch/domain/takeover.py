"""What a takeover would do with the documents others wrote in a period: a line for each, counts, a fingerprint. Pure.

    adopt      it is an order's invoice, and would be taken over as it stands
    ask        it may be: a person chooses, and the order is not invoiced until then
    adopted    it was taken over before
    doubled    it is the invoice of an order that has one of ours already
    left out   its order is not ours (a test, a till, before go-live and changed since)
    follows    it corrects or cancels a document of others, and is taken over with it when a refund needs it
    none       no order of the shop is like it

Lines name no buyer.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from ladenbuch.domain.foreign import ForeignDocument

OUTCOMES = ("adopt", "ask", "adopted", "doubled", "left out", "follows", "none")
#: What a takeover acts on; the rest is told.
ACTS = ("adopt", "ask")


@dataclass(frozen=True, slots=True)
class Line:
    """One document and what becomes of it. `gross` in minor units; `evidence` and `why` in words, without names."""

    document: str
    number: str | None
    day: date
    gross: int
    currency: str
    outcome: str
    order: str | None = None
    name: str | None = None
    evidence: str = ""
    why: str = ""

    @classmethod
    def of(
        cls,
        document: ForeignDocument,
        outcome: str,
        order: tuple[str, str] | None = None,
        evidence: str = "",
        why: str = "",
    ) -> Line:
        """The line of a document; `order` is gid and name."""
        gid, name = order or (None, None)
        what = (document.reference, document.number, document.day, document.gross, document.currency)
        return cls(*what, outcome, gid, name, evidence, why)

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/takeover.md."""
        data = asdict(self) | {"day": self.day.isoformat()}
        data["gross_minor"] = data.pop("gross")
        return data

    @property
    def promise(self) -> tuple[str, str | None, int, str | None, str]:
        """What must still hold when it is carried out."""
        return (self.document, self.number, self.gross, self.order, self.outcome)


def counts(lines: Iterable[Line]) -> dict[str, int]:
    """Documents per outcome, all outcomes named; one that may be several orders' counts once."""
    found = Counter({(line.outcome, line.document) for line in lines})
    by_outcome = Counter(outcome for outcome, _ in found)
    return {outcome: by_outcome[outcome] for outcome in OUTCOMES}


def sums(lines: Iterable[Line]) -> dict[str, int]:
    """Gross per outcome, minor units, each document once."""
    amounts = {(line.outcome, line.document): line.gross for line in lines}
    return {outcome: sum(v for (name, _), v in amounts.items() if name == outcome) for outcome in OUTCOMES}


def fingerprint(lines: Iterable[Line]) -> str:
    """The hash of what a takeover would do; the same whenever nothing happened to documents, orders or books."""
    acts = sorted(line.promise for line in lines if line.outcome in ACTS)
    return hashlib.sha256(json.dumps(acts, separators=(",", ":")).encode()).hexdigest()


def changed(kept: Sequence[Mapping[str, Any]], lines: Sequence[Line]) -> list[str]:
    """What of a kept takeover is no longer so, in sentences; empty while it is. `kept` as `Line.as_json` wrote it."""
    before = {(item["document"], item["order"]): item for item in kept if item["outcome"] in ACTS}
    after = {(line.document, line.order): line for line in lines if line.outcome in ACTS}
    said = [f"{_called(line.number, line.document)} came" for key, line in after.items() if key not in before]
    for key, item in before.items():
        line = after.get(key)
        called = _called(item["number"], item["document"])
        if line is None:
            said.append(f"{called} is not to be taken over any more")
        elif (item["outcome"], item["gross_minor"], item["number"]) != (line.outcome, line.gross, line.number):
            said.append(f"{called} reads otherwise")
    return sorted(said)


def _called(number: str | None, reference: str) -> str:
    return number or reference
