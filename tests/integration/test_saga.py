"""An operation of many calls ends complete, whichever of its calls fails, dies or is never answered (S58, S105).

contact, address, mailbox -> draft -> number -> money line -> payment -> refund's credit note -> its number -> its line
-> its payment. There is nothing to roll back: each step finds what it may have done before, so the way is forward.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from acceptance.invoice_cases import BOOK, DAY, MUG, buyer, placed, sent
from house import TENANT, Answer, House, refused
from integration.conftest import SELLER
from ladenbuch import books, deadletters
from ladenbuch.db import Store
from ladenbuch.errors import Retryable
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.workflows import redriving

START = datetime(2026, 11, 2, 8, tzinfo=UTC)


class Crash(BaseException):
    """The process is dead."""


def script(order: ShopOrder) -> None:
    """Bought, sent, and one of two sent back."""
    buyer(order)
    mug = order.add(MUG, 2)
    order.add(BOOK)
    order.ship_by("DHL Paket", 490, (190,))
    placed(order)
    sent(order)
    order.wait(DAY, DAY)
    order.refund([(mug, 1)])
    order.emit("refunds/create", "orders/updated")


def dies_after(request: SimRequest, go: Answer) -> SimResponse:
    go(request)
    raise Crash


def fails(request: SimRequest, go: Answer) -> SimResponse:
    return SimResponse(503, {}, b"")


def unanswered(request: SimRequest, go: Answer) -> SimResponse:
    go(request)
    raise httpx2.ReadTimeout("simulated: no answer")


class Told(House):
    """A house that hands its n-th write to `befalls`, and starts again when it dies of it."""

    def __init__(self, folder: Path, number: int, befalls: Callable[[SimRequest, Answer], SimResponse] | None) -> None:
        super().__init__(folder, START, SELLER)
        self.writes: list[str] = []
        self._through = self.door.handle

        def handle(request: SimRequest) -> SimResponse:
            if request.method == "GET":
                return self._through(request)
            self.writes.append(f"{request.method} {request.path}")
            if befalls is not None and len(self.writes) == number:
                return befalls(request, self._through)
            return self._through(request)

        self.door.handle = handle  # type: ignore[method-assign]

    def settle(self, order_id: str) -> None:
        try:
            super().settle(order_id)
        except Crash:
            self.restart()
            super().settle(order_id)

    def end(self) -> Any:
        """Everything that stands in sevdesk, without ids and instants."""
        state = self.sevdesk.state()
        papers = sorted(
            (row["kind"], row.get("type", ""), row["number"], row["gross_cents"], row["paid_cents"])
            for row in [*state["invoices"], *state["credit_notes"]]
        )
        lines = sorted((row["amount_cents"], str(row["status"])) for row in state["transactions"])
        people = [(row["customerNumber"], row["surename"], row["familyname"]) for row in state["contacts"]]
        places = [(row["street"], row["zip"], row["city"]) for row in self.ask("GET", "/ContactAddress")]
        ways = [(row["type"], row["value"]) for row in self.ask("GET", "/CommunicationWay")]
        return papers, lines, (people, places, ways)


def _lived(folder: Path, number: int = 0, befalls: Any = None) -> tuple[Any, list[str], Told]:
    folder.mkdir(exist_ok=True)
    house = Told(folder, number, befalls)
    house.lived(script)
    house.close()
    assert house.sevdesk.internal_errors == []
    return house.end(), house.writes, house


def test_s58_every_step_may_fail_die_or_stay_unanswered(tmp_path: Path) -> None:
    """For every write n and each way to fail at it: the end is the end of a day on which nothing failed."""
    whole, writes, _ = _lived(tmp_path / "calm")
    papers, _, buyers = whole
    assert [kind for kind, *_ in papers] == ["CreditNote", "Invoice"] and [len(rows) for rows in buyers] == [1, 1, 1]
    assert len(writes) >= 9
    for number in range(1, len(writes) + 1):
        for befalls in (dies_after, fails, unanswered):
            end, _, _ = _lived(tmp_path / f"{befalls.__name__}-{number}", number, befalls)
            assert end == whole, f"{befalls.__name__} at {writes[number - 1]} ({number})"


def test_s58_a_right_that_cannot_be_given_back_undoes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database fails right after the number was taken: the invoice is ours, not a person's."""
    give, failed = books.give_lease, []

    def failing(tx: Any, tenant: str, name: str, holder: str) -> None:
        if name == "finalise" and not failed:
            failed.append(name)
            raise Retryable("DB-DOWN")
        give(tx, tenant, name, holder)

    monkeypatch.setattr(books, "give_lease", failing)
    house = House(tmp_path, START, SELLER)
    house.lived(script)
    rows = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(sa.select(books.documents)).all())
    house.close()
    assert failed and [row.made_by for row in rows] == ["us", "us"]


def test_s58_a_step_that_keeps_failing_is_a_dead_letter_whose_log_names_it(tmp_path: Path) -> None:
    """The contact stands, its address is refused for good: nothing is invoiced; redriven, the day ends as any other."""
    house = House(tmp_path, START, SELLER)
    house.door.always("POST", "/ContactAddress", refused(400, "no"))
    order = house.lived(script)
    assert house.invoices() == [] and len(house.state("contacts")) == 1
    (letter,) = redriving.matching(house.database, deadletters.Which(state="open"))
    log = [failure["message"] for failure in letter.detail["failures"]]
    assert len(log) >= 6 and all("(POST /ContactAddress, 400)" in message for message in log)

    house.door._planned.clear()
    redriving.redrive(house.database, [letter], actor="a person", now=house.clock.now())
    house.settle(order)
    assert house.verdict(order) == ("documented", None)
    kinds = ("contacts", "invoices", "credit_notes")
    assert [len(house.state(kind)) for kind in kinds] == [1] * 3 and len(house.ask("GET", "/ContactAddress")) == 1
    assert redriving.matching(house.database, deadletters.Which(state="open")) == []
    house.close()
