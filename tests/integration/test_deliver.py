"""A letter goes out once, whatever happens while its outcome is written down (S110, S115)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acceptance.invoice_cases import SOAP, buyer, placed
from house import TENANT, House
from integration.conftest import SELLER
from ladenbuch import audit, outbox
from ladenbuch.db import Store
from ladenbuch.errors import Ambiguous, LadenbuchError, Rejected, Retryable
from ladenbuch.mail.transport import Accepted
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.workflows import deliver
from ladenbuch.workflows.dispatch import sweep
from relay import Always


class Relay(Always):
    """Takes every letter."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def send(self, message: Any, envelope_from: str, envelope_to: str, before_data: Any, first: Any = None) -> Accepted:
        before_data()
        self.taken.append(message["Message-ID"])
        return Accepted("relay", "250 ok")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, datetime(2026, 11, 2, 8, tzinfo=UTC), {**SELLER, "letters": True})
    yield made
    made.close()


@pytest.mark.parametrize(
    ("failures", "state"),
    [
        ([Retryable("DB-DOWN")], "accepted"),
        ([Retryable("DB-BUSY"), Ambiguous("DB-COMMIT")], "accepted"),
        ([Retryable("DB-DOWN")] * 50, "uncertain"),
        ([Rejected("VAULT-KEY")] * 50, "uncertain"),
    ],
)
def test_s110_an_accepted_letter_is_never_promised_again(
    house: House, monkeypatch: pytest.MonkeyPatch, failures: list[LadenbuchError], state: str
) -> None:
    def script(order: ShopOrder) -> None:
        buyer(order)
        order.add(SOAP)
        placed(order)

    accept, left = outbox.accepted, list(failures)

    def failing(*args: Any, **kwargs: Any) -> bool:
        if left:
            raise left.pop()
        return accept(*args, **kwargs)

    monkeypatch.setattr(outbox, "accepted", failing)
    told = house.lived(script)
    relay = Relay()
    ctx = replace(house.ladenbuch.context, relays=relay)  # type: ignore[arg-type]
    for _ in range(6):
        deliver.deliver_all(ctx)
        house.clock.advance(float(timedelta(minutes=10).total_seconds()))
        sweep(ctx)
    letters = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: outbox.of_order(tx, TENANT, told))
    assert [letter.state for letter in letters] == [state]
    assert len(relay.taken) == 1


def test_s110_what_was_written_down_is_written_down_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit went through, and its answer was lost: the story says once that the letter went out."""

    def script(order: ShopOrder) -> None:
        buyer(order)
        order.add(SOAP)
        placed(order)

    told, relay = house.lived(script), Relay()

    def twice(ctx: Any, record: Any) -> None:
        record()
        record()

    monkeypatch.setattr(deliver, "_remember", twice)
    for _ in range(6):
        deliver.deliver_all(replace(house.ladenbuch.context, relays=relay))  # type: ignore[arg-type]
        house.clock.advance(600.0)
    assert len(relay.taken) == 1
    entries = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: audit.entries(tx, TENANT, told, 50))
    assert [one.event for one in entries].count("mailed") == 1
