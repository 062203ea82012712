"""Whole lists of documents (S139): every one once, while they come and go, whatever sevdesk does with our filters."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import httpx2
import pytest

from ladenbuch.bucket import Priority, asked_as
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.sevdesk import listing
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.listing import listed

FIRST = datetime(2026, 10, 1, 9, tzinfo=UTC)


class Account:
    """A sevdesk of rows by id that pages as asked; `before` happens ahead of every page, `deaf` ignores days."""

    def __init__(self, count: int) -> None:
        self.rows = {id_: self.row(id_) for id_ in range(1, count + 1)}
        self.deaf, self.stuck, self.calls = False, False, 0
        self.before: Callable[[int], None] = lambda call: None
        self.newest_first, self.busy = False, set[int]()
        self.priorities: set[Priority] = set()
        http = httpx2.Client(transport=httpx2.MockTransport(self.answer))
        self.client = Sevdesk("http://s.test/api/v1", lambda: "t", http, clock=lambda: FIRST, sleep=lambda s: None)

    def row(self, id_: int) -> dict[str, object]:
        day = (FIRST + timedelta(days=id_ % 60)).isoformat()
        return {
            "id": str(id_), "invoiceType": "RE", "status": "200", "invoiceNumber": f"RE-{id_}", "invoiceDate": day,
            "customerInternalNote": f"#{id_} / key:{id_}", "sumGross": "11.9", "sumNet": "10", "sumTax": "1.9",
            "paidAmount": 11.9, "contact": {"id": "7", "objectName": "Contact"}, "update": day,
            "creditNoteDate": day, "refSrcInvoice": {"id": "5", "objectName": "Invoice"},
        }  # fmt: skip

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.priorities.add(asked_as())
        self.calls += 1
        if self.calls in self.busy:
            return httpx2.Response(503)
        self.before(self.calls)
        asked = dict(request.url.params.multi_items())
        rows = sorted(self.rows.values(), key=lambda row: int(str(row["id"])), reverse=self.newest_first)
        if not self.deaf and "startDate" in asked:
            rows = [row for row in rows if int(asked["startDate"]) <= self._second(row) <= int(asked["endDate"])]
        if not self.deaf and "updateAfter" in asked:
            rows = [row for row in rows if self._second(row, "update") >= int(asked["updateAfter"])]
        offset = 0 if self.stuck else int(asked["offset"])
        page = rows[offset : offset + int(asked["limit"])]
        return httpx2.Response(200, content=json.dumps({"objects": page}))

    def cheaply(self, request: httpx2.Request) -> httpx2.Response:
        """Rows made as they are asked for, all of one day."""
        offset, count = int(request.url.params["offset"]), len(self.rows)
        ids = range(offset + 1, min(offset + int(request.url.params["limit"]), count) + 1)
        rows = [{**self.row(60), "id": str(id_), "invoiceDate": FIRST.isoformat()} for id_ in ids]
        return httpx2.Response(200, content=json.dumps({"objects": rows}))

    @staticmethod
    def _second(row: dict[str, object], field: str = "invoiceDate") -> int:
        return int(datetime.fromisoformat(str(row[field])).timestamp())

    def listed(self, kind: listing.Kind = "Invoice", days: int = 70) -> list[str]:
        since = date(2026, 10, 1)
        return [one.id for one in listed(self.client, kind, since, since + timedelta(days=days))]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 10)
    monkeypatch.setattr(listing, "OVERLAP", 3)


def test_every_document_once_at_background_priority() -> None:
    """S139: both kinds, days cut to the window, behind everybody else's calls."""
    account = Account(137)
    assert sorted(map(int, account.listed())) == list(range(1, 138))
    within = [id_ for id_ in range(1, 138) if id_ % 60 < 20]
    assert sorted(map(int, account.listed(days=20))) == within
    assert account.priorities == {Priority.BACKFILL} and asked_as() is Priority.WEBHOOKS
    note = next(iter(listed(account.client, "CreditNote", date(2026, 10, 1), date(2026, 11, 1))))
    assert (note.kind, note.type, note.origin_id, note.gross, note.paid) == ("CreditNote", "CN", "5", 1190, 1190)
    assert note.reference == f"CreditNote/{note.id}" and note.final


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("change", [-40, -12, -4, -1, 1, 5, 30])
def test_documents_come_and_go_between_pages(change: int, newest_first: bool) -> None:
    """S139: documents removed or added ahead of the page being read hide none of those that stay, and double none."""
    account = Account(120)
    account.newest_first = newest_first
    gone: set[int] = set()

    def happen(call: int) -> None:
        if call not in (3, 5):
            return
        for _ in range(-change):
            ids = [int(str(row["id"])) for row in account.rows.values()]
            gone.add(max(ids) if newest_first else min(ids))
            del account.rows[max(ids) if newest_first else min(ids)]
        for _ in range(change):
            id_ = max(account.rows) + 1
            account.rows[id_] = account.row(id_)

    account.before = happen
    found = list(map(int, account.listed()))
    assert len(found) == len(set(found))
    assert set(range(1, 121)) - gone <= set(found)


def test_days_that_are_not_heard() -> None:
    """S139: sevdesk ignores the filter: everything is read once, cut here, and nothing is told twice."""
    account = Account(137)
    account.deaf = True
    assert sorted(map(int, account.listed())) == list(range(1, 138))
    assert account.calls <= 20
    within = [id_ for id_ in range(1, 138) if id_ % 60 < 20]
    assert sorted(map(int, account.listed(days=20))) == within


def test_an_offset_that_is_not_heard_proves_nothing() -> None:
    """S139: the same page for ever is refused, not taken for the whole list."""
    account = Account(30)
    account.stuck = True
    with pytest.raises(Rejected, match="SEVDESK-IMPLAUSIBLE"):
        account.listed()


def test_what_changed_lately() -> None:
    """S139: `updateAfter`, and the refusal when sevdesk shows more than that."""
    account = Account(100)
    since = FIRST + timedelta(days=50)
    found = {int(one.id) for one in account.client.changed("Invoice", since, lambda read: read())}
    assert found == {id_ for id_ in range(1, 101) if id_ % 60 >= 50}
    account.deaf = True
    with pytest.raises(Rejected, match="SEVDESK-IMPLAUSIBLE"):
        list(account.client.changed("Invoice", since, lambda read: read()))


def test_a_page_is_asked_for_again_not_the_list() -> None:
    """S139: patience is per page: what was told before stays told."""
    account, refused = Account(60), [0]
    account.busy = {3, 4, 5, 6, 8, 9}  # each in pairs: a read is repeated once at once

    def patience(read: listing.Read) -> list[listing.Json]:
        while True:
            try:
                return read()
            except Retryable:
                refused[0] += 1

    since = date(2026, 10, 1)
    found = [one.id for one in listed(account.client, "Invoice", since, since + timedelta(days=70), patience)]
    assert len(found) == len(set(found)) == 60
    assert refused == [3] and account.calls < 20
    account.busy = {account.calls + 2, account.calls + 3}
    with pytest.raises(Retryable):
        account.listed()


def test_memory_stays_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """S139: eight times the documents take no more than a page and the ids of a window."""
    monkeypatch.setattr(listing, "PAGE", 25)
    monkeypatch.setattr(Account, "answer", Account.cheaply)
    peaks = []
    for count in (100, 800):
        account = Account(count)
        tracemalloc.start()
        found = sum(1 for _ in listed(account.client, "Invoice", date(2026, 10, 1), date(2026, 10, 30)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found == count
    assert peaks[1] < peaks[0] + 150_000
