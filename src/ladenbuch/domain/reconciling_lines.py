"""Money lines our books linked to documents, held against the lines on sevdesk's accounts. Pure.

A document may read as paid by what we linked although our line was taken off it and another put in its place: then the
money stands on the account twice, or the wrong payment pays the document (R14). Only the lines themselves tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ladenbuch.domain.reconciling import CASES, Discrepancy

#: sevdesk's status of a line from which on it is linked.
LINKED = 200


@dataclass(frozen=True, slots=True)
class OurLine:
    """A line our books linked to a document; `id` and `account` are sevdesk's."""

    id: str
    account: str
    order_id: str
    order_name: str
    document: str | None
    key: str


def lines_off(
    ours: Iterable[OurLine], statuses: Mapping[str, int | None], excused: Collection[str]
) -> list[Discrepancy]:
    """Lines that are not linked any more, or not there. `statuses`: id -> sevdesk's status, None where it is gone.

    Lines of documents in `excused` (their keys) are told with the document.
    """
    found = []
    for line in ours:
        status = statuses.get(line.id)
        if line.key in excused or (status is not None and status >= LINKED):
            continue
        code = "LINE-LOST" if status is None else "LINE-OFF"
        case = CASES[code]
        message = "the payment we linked is gone" if status is None else "another payment stands in the place of ours"
        named = line.order_id, line.order_name, line.document, line.key, f"CheckAccountTransaction/{line.id}"
        found.append(Discrepancy(case.sort, code, message, case.cure, case.human, *named))
    return found
