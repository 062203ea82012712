"""The certificate of an accounting month: every order accounted for, every document where it should be. Pure.

Three lists are held against each other (`domain.month`); what does not agree is named:

    holes       an order or a document that should be there and is not, a number nobody has
    doubles     two finalised documents of one order and part, or two over one fact
    strangers   a document with our note that is not ours, or ours as somebody else left it
    questions   an order a person must decide about, or that was not looked at since it changed

An order belongs to the month it was processed in, a document to the month of its date. What changed a few minutes ago
is not judged: nothing is called wrong on one sighting (R17).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date

from ladenbuch.domain.document import rate_text
from ladenbuch.domain.month import (
    SORTS,
    Accounted,
    Finding,
    KnownOrder,
    ListedOrder,
    Month,
    OurDocument,
    PeriodCertificate,
    Row,
    about,
)
from ladenbuch.domain.month_documents import documents, doubles, numbers, strangers

#: Sort of document in sums -> its sign in the turnover.
SIGNS = {"invoices": 1, "credit_notes": -1, "cancellations": -1}
_SORTS = {"credit_note": "credit_notes", "cancellation": "cancellations"}


def certify(month: Month) -> PeriodCertificate:
    """Hold the three lists against each other. Never raises for data, never looks at a clock."""
    made = PeriodCertificate(month.since, month.until, month.today < month.until)
    _orders(made, month)
    documents(made, month)
    strangers(made, month, doubles(made, month))
    numbers(made, month)
    _add_up(made, month)
    made.notices += _other_returns(month)
    made.findings.sort(key=_place)
    return made


def compare(month: Month, order_ids: Collection[str] = ()) -> PeriodCertificate:
    """Only some documents, and of the orders only these: no list is whole, so none says what is missing in another."""
    made = PeriodCertificate(month.since, month.until, running=True)
    documents(made, month)
    strangers(made, month, doubles(made, month))
    papers: dict[str, list[OurDocument]] = {}
    for document in month.ours:
        papers.setdefault(document.order_id, []).append(document)
    for mine in month.known:
        if mine.id in order_ids:
            made.orders.append(_accounted(made, month, None, mine, papers.get(mine.id, [])))
    return made


#: Tax rules declared quarterly through the one-stop shop (facts 3.2).
_QUARTERLY = (18, 19, 20)


def _other_returns(month: Month) -> list[Finding]:
    """Documents of the month whose tax belongs to another month (3.2), and corrections of an earlier quarter (5.17)."""
    found = []
    for document in month.ours:
        if document.state != "final" or not month.has(document.day) or document.taxed_on is None:
            continue
        taxed, supplied = document.taxed_on, document.supplied_on or document.taxed_on
        if (taxed.year, taxed.month) != (document.day.year, document.day.month):
            message = f"dated {document.day.isoformat()}, and its tax belongs to {taxed:%m/%Y}"
            found.append(about("question", "TAX-MONTH", message, document))
        if document.tax_rule in _QUARTERLY and document.kind == "credit_note" and _quarter(supplied) != _quarter(taxed):
            quarter = f"{_quarter(supplied)[1]}/{supplied.year}"
            message = f"corrects a supply declared for quarter {quarter}: it belongs to the correction of that return"
            found.append(about("question", "OSS-CORRECTION", message, document))
    return sorted(found, key=lambda item: (item.code, item.document or ""))


def _quarter(day: date) -> tuple[int, int]:
    return day.year, (day.month + 2) // 3


def _place(item: Finding) -> tuple[int, str, str, str]:
    return SORTS.index(item.sort), item.code, item.order_name or "", item.document or ""


# -- orders -------------------------------------------------------------------------------------------------------


def _orders(made: PeriodCertificate, month: Month) -> None:
    """Each order the shop lists, and each the books hold of that month, once."""
    known = {item.id: item for item in month.known}
    papers: dict[str, list[OurDocument]] = {}
    for document in month.ours:
        papers.setdefault(document.order_id, []).append(document)
    for order in month.listed:
        mine = known.pop(order.id, None)
        if mine is None:
            made.orders.append(_unknown(made, month, order))
        else:
            made.orders.append(_accounted(made, month, order, mine, papers.get(order.id, [])))
    hidden = month.hidden_until
    if hidden is not None:
        message = f"the shop hides orders before {hidden.date()}: the scope read_all_orders is missing"
        made.findings.append(Finding("question", "ORDERS-HIDDEN", message))
    for mine in known.values():
        if mine.processed_at > month.judged_until or (hidden is not None and mine.processed_at < hidden):
            made.orders.append(_accounted(made, month, None, mine, papers.get(mine.id, [])))
            continue
        made.orders.append(Accounted(mine.id, mine.name, "asked", "ORDER-UNLISTED"))
        message = "our books hold the order, and the shop does not list it"
        made.findings.append(Finding("stranger", "ORDER-UNLISTED", message, mine.id, mine.name))


def _unknown(made: PeriodCertificate, month: Month, order: ListedOrder) -> Accounted:
    """An order nobody settled: a hole, unless nothing happened to it since the tenant went live (R22)."""
    last = max(order.processed_at, order.updated_at)
    if last < month.go_live:
        return Accounted(order.id, order.name, "excluded", "BEFORE-GO-LIVE")
    if last > month.judged_until:
        made.young += 1
        return Accounted(order.id, order.name, "young")
    message = "the shop has the order, and it was never settled"
    made.findings.append(Finding("hole", "ORDER-UNKNOWN", message, order.id, order.name))
    return Accounted(order.id, order.name, "missing", "ORDER-UNKNOWN")


def _accounted(
    made: PeriodCertificate, month: Month, order: ListedOrder | None, mine: KnownOrder, papers: list[OurDocument]
) -> Accounted:
    """What became of an order both sides know, with what speaks against it."""

    def found(sort: str, code: str, message: str) -> None:
        made.findings.append(Finding(sort, code, message, mine.id, mine.name))

    if order is not None and order.updated_at > mine.updated_at:
        if order.updated_at > month.judged_until:
            made.young += 1
            return Accounted(mine.id, mine.name, "young")
        when = order.updated_at.isoformat()
        found("question", "ORDER-CHANGED", f"changed in the shop at {when}, and not looked at since")
    asked = mine.asked or ((mine.code or mine.verdict,) if mine.verdict in ("attention", "incomplete") else ())
    if asked:
        found("question", "ORDER-ASKED", f"a person must decide: {', '.join(asked)}")
        return Accounted(mine.id, mine.name, "asked", asked[0])
    live = [item for item in papers if item.state != "cancelled" and item.kind != "cancellation"]
    against = _unproved(mine, live)
    if against is not None:
        found(*against)
    if mine.verdict == "excluded":
        return Accounted(mine.id, mine.name, "excluded", mine.code)
    unfinished = any(item.state != "final" for item in live)
    if mine.verdict == "documented" and not unfinished and not mine.projected:
        return Accounted(mine.id, mine.name, "documented", mine.code)
    return Accounted(mine.id, mine.name, "waiting", mine.code or ("DRAFT-ONLY" if unfinished else None))


def _unproved(mine: KnownOrder, live: list[OurDocument]) -> tuple[str, str, str] | None:
    """Why what the books say of an order is no proof: sort, code, sentence. The sums must be the same to the cent."""
    per_rate = _per_rate(live)
    said = {rate: gross for rate, gross in mine.gross_by_rate.items() if gross}
    if mine.projected:
        return None if mine.code else ("question", "ORDER-UNPROVED", "something is planned for it and was not done")
    if per_rate != said and not live:
        return "hole", "DOCUMENT-MISSING", f"its certificate counts {_amounts(said)}, our books hold no document of it"
    if per_rate != said:
        message = f"its documents carry {_amounts(per_rate)}, its certificate says {_amounts(said)}"
        return "question", "ORDER-UNPROVED", message
    if not mine.holds:
        return "question", "ORDER-UNPROVED", "its certificate does not hold: documents, money or open rest"
    if mine.verdict != "documented" and mine.code is None:
        return "question", "ORDER-UNPROVED", f"it is called {mine.verdict}, without a reason"
    return None


def _per_rate(papers: Iterable[OurDocument]) -> dict[str, int]:
    total: dict[str, int] = {}
    for document in papers:
        sign = -1 if document.kind == "credit_note" else 1
        for rate, gross, _, _ in document.sums:
            total[rate_text(rate)] = total.get(rate_text(rate), 0) + sign * gross
    return {rate: gross for rate, gross in total.items() if gross}


def _amounts(per_rate: Mapping[str, int]) -> str:
    return ", ".join(f"{gross} at {rate} %" for rate, gross in sorted(per_rate.items())) or "nothing"


# -- sums ---------------------------------------------------------------------------------------------------------


def _add_up(made: PeriodCertificate, month: Month) -> None:
    """What our finalised documents of the month add up to, per tax rule and rate: the turnover that is declared."""
    theirs = {item.id: item for item in month.theirs}
    for document in month.ours:
        held = theirs.get(document.sevdesk_id or "")
        # sevdesk dates its cancellations, and people what they write; on all others the dates are compared
        by_others = document.kind == "cancellation" or document.adopted
        day = held.day if held is not None and by_others else document.day
        if document.state not in ("final", "cancelled") or not month.has(day):
            continue
        made.ours += 1
        sort = _SORTS.get(document.kind, "invoices")
        for rate, gross, net, tax in document.sums:
            key = (document.currency, document.tax_rule, rate)
            made.sums.setdefault((sort, *key), Row()).add(gross, net, tax)
            made.turnover.setdefault(key, Row()).add(gross, net, tax, SIGNS[sort])
