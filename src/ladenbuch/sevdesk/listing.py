"""All documents of an account, streamed: what reconciliation and takeover read years of without holding them.

sevdesk promises no order, and objects come and go while pages are read. So pages overlap: when no row of the page
before shows at the head of the next, rows ahead of it are gone, and one page is read again. Every id is told once per
window of days. A row that was added or moved behind us is the next listing's: nothing is called missing because a list
does not show it (R17).

Memory is one page of rows and the ids of one window. Calls stand in line behind everybody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from ladenbuch.bucket import Priority, working_as
from ladenbuch.sevdesk import documents, finding, reading
from ladenbuch.sevdesk.accounts import RemoteTransaction, transaction
from ladenbuch.sevdesk.credit_notes import RemoteCreditNote, remote_credit_note
from ladenbuch.sevdesk.documents import RemoteInvoice
from ladenbuch.sevdesk.paper import Status
from ladenbuch.sevdesk.reading import Json
from ladenbuch.sevdesk.room import Room, checked

Kind = Literal["Invoice", "CreditNote"]

#: Rows per page; rows of it the next page begins with; days per window; the most pages of one window.
PAGE, OVERLAP, WINDOW, MOST = finding.LIST_PAGE, 20, timedelta(days=31), 5000
#: Full pages in a row that show nothing new: then the offset is not heard.
_STUCK = 3
_DAYS: Mapping[str, str] = {"Invoice": "invoiceDate", "CreditNote": "creditNoteDate"}

#: Reads one page; whoever lists says how often it is tried again while sevdesk is busy.
Read = Callable[[], list[Json]]
Patience = Callable[[Read], list[Json]]


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """An invoice, cancellation or credit note as a list shows it. Amounts in cents, `day` in Berlin, ids as digits.

    `type` is RE, SR (cancels `origin_id`), CN or another of sevdesk's; `status` see `Status`. `origin_id` of a credit
    note is the invoice it corrects. `printed` are texts and address as printed, `updated_at` aware.
    """

    kind: Kind
    id: str
    type: str
    status: int
    number: str | None
    note: str | None
    day: date | None
    currency: str
    tax_rule: int | None
    gross: int
    net: int
    tax: int
    paid: int
    contact_id: str | None = None
    origin_id: str | None = None
    updated_at: datetime | None = None
    header: str = field(default="", repr=False)
    printed: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def reference(self) -> str:
        """Tells an invoice from a credit note with the same id: `Invoice/71`."""
        return f"{self.kind}/{self.id}"

    @property
    def final(self) -> bool:
        """Has its number and its place in the books."""
        return self.status > Status.DRAFT


def listed(
    client: Listings, kind: Kind, since: date, until: date, patience: Patience = lambda read: read()
) -> Iterator[ListedDocument]:
    """Every document of one kind dated in the days [since, until), drafts too, in no particular order.

    Where sevdesk ignores the days, everything there is is read once and cut here. Raises `Retryable` as the client
    does, `Rejected("SEVDESK-IMPLAUSIBLE")` when paging is ignored: a list with a gap proves nothing.
    """
    return client.listed(kind, since, until, patience)


class Listings(Room):
    """Whole lists of documents."""

    def listed(self, kind: Kind, since: date, until: date, patience: Patience) -> Iterator[ListedDocument]:
        """See the function of this name."""
        start = since
        while start < until:
            end = min(start + WINDOW, until)
            query = [("startDate", str(reading.midnight(start))), ("endDate", str(reading.midnight(end) - 1))]
            for row in self._stream(f"/{kind}", query, patience):
                day = reading.day(row.get(_DAYS[kind]), _DAYS[kind])
                if day is None:
                    continue
                if not start <= day < end:
                    end = until  # the days are not heard: this pass shows all there is, for all windows to come
                if start <= day < end:
                    yield listed_document(kind, row)
            start = end

    def changed(self, kind: Kind, since: datetime, patience: Patience) -> Iterator[ListedDocument]:
        """Every document of one kind changed at or after an instant, whatever its date.

        Raises `Rejected("SEVDESK-IMPLAUSIBLE")` when sevdesk shows one that did not: then it would show all.
        """
        for row in self._stream(f"/{kind}", [("updateAfter", str(int(since.timestamp())))], patience):
            changed_at = reading.instant(row.get("update"), "update")
            if changed_at is None or changed_at < since.replace(microsecond=0):
                raise finding.implausible(f"/{kind}")
            yield listed_document(kind, row)

    def lines(self, account_id: str, since: date, until: date, patience: Patience) -> Iterator[RemoteTransaction]:
        """Every line of a payment account entered on the days [since, until), linked or not, without deleted ones.

        sevdesk compares the day of entry (facts 1.4). Raises `Rejected("SEVDESK-IMPLAUSIBLE")` for a line of another
        account.
        """
        query = [
            ("checkAccount[id]", checked(account_id)),
            ("checkAccount[objectName]", "CheckAccount"),
            ("startDate", since.isoformat()),
            ("endDate", (until - timedelta(days=1)).isoformat()),
        ]
        for row in self._stream("/CheckAccountTransaction", query, patience):
            line = transaction(row)
            if line.account_id != account_id:
                raise finding.implausible("/CheckAccountTransaction")
            if not line.deleted:
                yield line

    def tags(self, patience: Patience = lambda read: read()) -> dict[str, frozenset[str]]:
        """Names of the tags on each document: `Invoice/71` -> names. Lists are read whole (facts 2.13)."""
        names = {
            reading.identity(row.get("id"), "tag"): reading.text(row.get("name")) or ""
            for row in self._stream("/Tag", [], patience)
        }
        found: dict[str, frozenset[str]] = {}
        for row in self._stream("/TagRelation", [], patience):
            tag, about = reading.identity_or_none(row.get("tag"), "tag"), row.get("object")
            if tag in names and isinstance(about, dict) and about.get("objectName") in _DAYS:
                reference = f"{about['objectName']}/{reading.identity(about, 'tagged object')}"
                found[reference] = found.get(reference, frozenset()) | {names[tag]}
        return found

    def tagged(self, name: str) -> frozenset[str]:
        """The documents that carry a tag of exactly this name: `Invoice/71`."""
        found: set[str] = set()
        rows = finding.exactly(self._calls, "/Tag", [("name", name)], lambda row: reading.text(row.get("name")), name)
        for tag in (reading.identity(row.get("id"), "tag") for row in rows):
            query = [("tag[id]", tag), ("tag[objectName]", "Tag")]
            for row in finding.matching(self._calls, "/TagRelation", query):
                if reading.identity_or_none(row.get("tag"), "tag") != tag:
                    raise finding.implausible("/TagRelation")
                about = row.get("object")
                if isinstance(about, dict) and about.get("objectName") in _DAYS:
                    found.add(f"{about['objectName']}/{reading.identity(about, 'tagged object')}")
        return frozenset(found)

    def _stream(self, path: str, query: list[tuple[str, str]], patience: Patience) -> Iterator[Json]:
        """Rows of all pages, each id once."""
        seen: set[int] = set()
        offset = stuck = 0
        for _ in range(MOST):
            rows = self._page(path, [*query, ("limit", str(PAGE)), ("offset", str(offset))], patience)
            ids = [int(reading.identity(row.get("id"), "id")) for row in rows]
            if offset and not seen.intersection(ids[:OVERLAP]):
                offset = max(0, offset - PAGE)  # rows ahead of this page are gone, and others moved up into it
                continue
            known = len(seen)
            for id_, row in zip(ids, rows, strict=True):
                if id_ not in seen:
                    seen.add(id_)
                    yield row
            if len(rows) < PAGE:
                return
            stuck = stuck + 1 if len(seen) == known else 0
            if stuck >= _STUCK:
                break
            offset += PAGE - OVERLAP
        raise finding.implausible(path)

    def _page(self, path: str, query: list[tuple[str, str]], patience: Patience) -> list[Json]:
        def read() -> list[Json]:
            with working_as(Priority.BACKFILL):
                return reading.many(self._calls.json("GET", path, path, query=query), "list")

        return patience(read)


def listed_document(kind: Kind, row: Json) -> ListedDocument:
    """One row of a list."""
    if kind == "Invoice":
        return invoice_as_listed(documents.remote_invoice(row))
    return note_as_listed(remote_credit_note(row))


def invoice_as_listed(one: RemoteInvoice) -> ListedDocument:
    """An invoice or cancellation that was read by its id, as a list shows it."""
    return _listed("Invoice", one, one.invoice_date, one.origin_id)


def note_as_listed(one: RemoteCreditNote) -> ListedDocument:
    """A credit note that was read by its id, as a list shows it."""
    return _listed("CreditNote", one, one.credit_note_date, one.invoice_id)


def _listed(kind: Kind, one: RemoteInvoice | RemoteCreditNote, day: date | None, origin: str | None) -> ListedDocument:
    return ListedDocument(
        kind=kind,
        id=one.id,
        type=one.kind,
        status=one.status,
        number=one.number,
        note=one.note,
        day=day,
        currency=one.currency,
        tax_rule=one.tax_rule,
        gross=one.gross,
        net=one.net,
        tax=one.tax,
        paid=one.paid,
        contact_id=one.contact_id,
        origin_id=origin,
        updated_at=one.updated_at,
        header=one.header if isinstance(one, RemoteInvoice) else "",
        printed=one.printed,
    )
