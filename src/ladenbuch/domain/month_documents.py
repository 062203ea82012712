"""Documents of a month: ours against sevdesk's, one by one, then doubles, strangers and the sequence of numbers."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace

from ladenbuch.domain.month import PAID, Finding, Month, OurDocument, PeriodCertificate, TheirDocument, about

#: A gap longer than this is another numbering, not a hole.
_JUMP = 1000
_KINDS = {"credit_note": "CN", "cancellation": "SR"}


def documents(made: PeriodCertificate, month: Month) -> None:
    """Each document of ours against the one sevdesk holds by its id."""
    theirs = {item.id: item for item in month.theirs}
    cancelled = {item.origin: item for item in month.theirs if item.kind == "SR" and item.final and item.origin}
    for document in month.ours:
        if document.sevdesk_id is None:
            continue  # nothing was confirmed yet; its order waits for it
        held = theirs.get(document.sevdesk_id)
        if held is not None and month.young(held):
            made.young += 1
            continue
        finding = _judged(document, held, cancelled.get(document.sevdesk_id))
        made.compared += 1
        made.equal += finding is None
        made.findings += [] if finding is None else [finding]
        made.paid_there += finding is None and held is not None and abs(held.paid) > document.booked


def _judged(document: OurDocument, held: TheirDocument | None, reversal: TheirDocument | None) -> Finding | None:
    """What is wrong with a document, the worst first; None when it is as we left it, or as our books know it."""
    if held is None:
        return (
            None
            if document.owned
            else about("hole", "DOCUMENT-GONE", "our books hold it, and sevdesk does not", document)
        )
    if document.state == "draft":
        message = f"a person finalised it as {held.shown}, and our books do not know yet"
        return about("stranger", "DOCUMENT-FINALISED", message, document) if held.final else None
    if reversal is not None and document.state == "final":
        message = f"cancelled in sevdesk by {reversal.shown}"
        return None if document.owned else about("stranger", "DOCUMENT-CANCELLED", message, document)
    other = _altered(document, held)
    if other:
        said = ", ".join(f"{name} {there} instead of {here}" for name, here, there in other)
        said = "it as a draft again" if not held.final else said
        altered = about("stranger", "DOCUMENT-ALTERED", f"sevdesk has {said}", document)
        return replace(altered, fields=tuple(name for name, _, _ in other))
    return _payment(document, held) if document.state == "final" and document.kind != "cancellation" else None


def _altered(document: OurDocument, held: TheirDocument) -> list[tuple[str, object, object]]:
    """Number, note, date, tax rule and sums: what stays the same on a finalised document, to the cent (R21)."""
    if not held.final:
        return [("status", "final", "draft")]
    mirrored = document.kind == "cancellation"
    gross, net, tax = (sum(row[place] for row in document.sums) * (-1 if mirrored else 1) for place in (1, 2, 3))
    pairs: list[tuple[str, object, object]] = [
        ("kind", _KINDS.get(document.kind, "RE"), held.kind),
        ("number", document.number or held.number, held.number),
        ("note", held.note if document.adopted else document.note, held.note),
        ("date", held.day if mirrored or document.adopted else document.day, held.day),
        ("currency", document.currency, held.currency),
        ("tax rule", document.tax_rule, held.tax_rule or document.tax_rule),
        ("gross", gross, held.gross),
        ("net", held.net if document.adopted else net, held.net),
        ("tax", held.tax if document.adopted else tax, held.tax),
    ]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _payment(document: OurDocument, held: TheirDocument) -> Finding | None:
    """Paid by what we linked, unless its money is matched in sevdesk (R14)."""
    paid = abs(held.paid)
    if paid < document.booked:
        message = f"we linked {document.booked} minor units, and sevdesk says {paid} are paid"
        return about("stranger", "PAYMENT-GONE", message, document)
    if document.theirs:
        return None
    if paid > document.booked + document.others:
        message = f"sevdesk says {paid} minor units are paid, and we linked {document.booked}"
        return about("stranger", "PAID-BY-HAND", message, document)
    if held.status == PAID and paid < document.gross and not document.others:
        message = f"sevdesk calls it paid with {paid} of {document.gross} minor units"
        return about("stranger", "PAID-BY-HAND", message, document)
    return None


def doubles(made: PeriodCertificate, month: Month) -> frozenset[str]:
    """Two finalised documents with one note, and two of ours over one fact (R1). Ids of the surplus ones come back."""
    ours = {item.sevdesk_id: item for item in month.ours if item.sevdesk_id}
    cancelled = {item.origin for item in month.theirs if item.kind == "SR" and item.final}
    groups: dict[tuple[str, str], list[TheirDocument]] = {}
    for held in month.theirs:
        if held.final and held.kind != "SR" and held.id not in cancelled and month.order_number(held.note):
            groups.setdefault((held.kind, held.note or ""), []).append(held)
    surplus = set()
    for (_, note), group in groups.items():
        own = next((item for item in group if item.id in ours), group[0])
        for held in group:
            if held is own or held.id in ours or month.young(held):
                continue
            order_id, name = _order_of(month, held, ours.get(own.id))
            own_key = ours[own.id].key if own.id in ours else None
            message = f"{own.shown} and {held.shown} carry one note, {note!r}"
            made.findings.append(
                Finding("double", "DOCUMENT-DOUBLE", message, order_id, name, held.shown, own_key, held.id)
            )
            surplus.add(held.id)
    _covered_twice(made, month)
    return frozenset(surplus)


def _covered_twice(made: PeriodCertificate, month: Month) -> None:
    covered: dict[str, OurDocument] = {}
    for document in month.ours:
        if document.state == "cancelled" or document.kind == "cancellation":
            continue
        for fact in document.covers:  # a mark tells that an invoice that covered it was cancelled
            other = covered.setdefault(fact.partition("~")[0], document)
            if other.key != document.key:
                message = f"{other.shown} and {document.shown} account for one fact, {fact}"
                made.findings.append(about("double", "FACT-DOUBLE", message, document))


def strangers(made: PeriodCertificate, month: Month, surplus: frozenset[str]) -> None:
    """Finalised documents that carry our note and are not in our books; `surplus` are named as doubles already."""
    ours = {item.sevdesk_id for item in month.ours}
    undone = cancelled_there(month)
    for held in month.theirs:
        if not held.final or held.id in ours or held.id in surplus:
            continue
        if month.order_number(held.note) is None or held.id in undone:
            made.others += month.has(held.day)
        elif month.young(held):
            made.young += 1
        elif not (held.kind == "SR" and held.origin in ours):  # that one is told with the invoice it cancels
            order_id, name = _order_of(month, held, None)
            message = f"it carries our note {held.note!r}, and our books do not hold it"
            made.findings.append(
                Finding("stranger", "DOCUMENT-STRANGER", message, order_id, name, held.shown, None, held.id)
            )


def cancelled_there(month: Month) -> frozenset[str]:
    """Documents that are not ours and were cancelled, and what cancels them: together they say nothing."""
    ours = {item.sevdesk_id for item in month.ours}
    pairs = [(item.origin, item.id) for item in month.theirs if item.kind == "SR" and item.final and item.origin]
    return frozenset(id_ for pair in pairs if pair[0] not in ours for id_ in pair)


def _order_of(month: Month, held: TheirDocument, document: OurDocument | None) -> tuple[str | None, str | None]:
    """The order a document points at, as far as somebody knows it."""
    if document is not None:
        return document.order_id, document.order_name
    number = month.order_number(held.note)
    known = ((item.id, item.name) for group in (month.known, month.listed) for item in group)
    found = next((item for item in known if item[0].rsplit("/", 1)[-1] == number), None)
    if found is not None:
        return found
    return None, (held.note or "").partition(" / ")[0] or None


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers nobody has between two that are there. Invoices and credit notes are counted apart (`credit`)."""

    credit: bool
    before: str
    after: str
    missing: tuple[str, ...]


def gaps(month: Month) -> list[Gap]:
    """Holes in the sequences of the month's documents, all of the account: they share them.

    From our last one before the month to the last in it. A reader looks for these numbers elsewhere before it calls
    them missing.
    """
    held = {item.id: item for item in month.theirs}
    pairs = [(item, held.get(item.sevdesk_id or "")) for item in month.ours if item.number is not None]
    # a number that was altered is told with its document: it opens no hole, and neither of the two is missing
    altered = {item.id for document, item in pairs if item is not None and item.number != document.number}
    final = [item for item in month.theirs if item.final]
    spoken = {(item.kind == "CN", item.number) for item in final}
    spoken |= {(document.kind == "credit_note", document.number) for document, _ in pairs}
    known = {(item.kind == "CN", item.number) for item in final if month.has(item.day) and item.id not in altered}
    known |= {(one.kind == "credit_note", one.number) for one, item in pairs if month.has(one.day) and item is None}
    known |= set(month.before)
    circles: dict[tuple[bool, str], dict[int, str]] = {}
    for credit, number in known:
        match = re.fullmatch(r"(.*?)(\d{1,15})", number or "")
        if match is not None:
            circles.setdefault((credit, match[1]), {})[int(match[2])] = match[2]
    found = []
    for (credit, prefix), circle in sorted(circles.items()):
        for here, there in itertools.pairwise(sorted(circle)):
            if 1 < there - here <= _JUMP:
                between = (f"{prefix}{number:0{len(circle[here])}d}" for number in range(here + 1, there))
                missing = tuple(number for number in between if (credit, number) not in spoken)
                found.append(Gap(credit, prefix + circle[here], prefix + circle[there], missing))
    return [gap for gap in found if gap.missing]


def numbers(made: PeriodCertificate, month: Month) -> None:
    """Holes in the sequence of numbers, each run of them once."""
    for gap in gaps(month):
        left = [number for number in gap.missing if (gap.credit, number) not in month.elsewhere]
        # neighbours have the same distance between value and place
        runs = itertools.groupby(enumerate(left), key=lambda item: _value(item[1]) - item[0])
        for run in ([number for _, number in run] for _, run in runs):
            shown = run[0] if len(run) == 1 else f"{run[0]} … {run[-1]}"
            what = "a number" if len(run) == 1 else f"{len(run)} numbers"
            message = f"{what} between {gap.before} and {gap.after} that no document has"
            made.findings.append(Finding("hole", "NUMBER-MISSING", message, document=shown))


def _value(number: str) -> int:
    found = re.search(r"\d+$", number)
    return int(found[0]) if found is not None else 0
