"""Nine days of every kind of gateway, each balance counted anew on each day, each day done twice (bookkeeping 4.2).

`make prove LINE=months` is the same over twelve months.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from ladenbuch.simulators.sevdesk.banking import add_transaction
from months_world import BERLIN, Months, cast, opened, told

#: Cards and a dispute, PayPal by the feed, Klarna given back, a transfer, gift cards, and a refund in two parts.
KINDS = ["chargeback_won", "sent_back_paypal", "captured_at_shipping", "vorkasse_paid", "gift_card_sold",
         "paid_with_gift_card", "refund_over_both", "refund_store_credit"]  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Months, dict[str, object]]]:
    lives = cast(3, KINDS)
    with opened(3, date(2026, 1, 10)) as months:
        months.live(lives)
        yield months, told(months, lives, 0.0)


def test_4_2_every_balance_of_every_day_is_as_counted(made: tuple[Months, dict[str, object]]) -> None:
    months, figures = made
    assert months.findings == [] and figures["days"] == 9
    assert figures["balances compared"] == 9 * 5 and figures["lines of payouts, fees and disputes"]
    moved = {line.account for line in months.house.sevdesk.world.transactions.values()}
    assert len(moved) >= 5, "the slice has money of every kind"


def test_doing_a_day_once_more_writes_nothing_and_promises_nothing(made: tuple[Months, dict[str, object]]) -> None:
    _, figures = made
    assert int(str(figures["orders settled once more"])) > 10
    assert figures["written by it"] == figures["letters promised by it"] == 0


def test_a_line_too_many_is_noticed(made: tuple[Months, dict[str, object]]) -> None:
    """The recount can fail: one line more, and the account is told with both figures."""
    months, _ = made
    world = months.house.sevdesk.world
    owner = next(row for row in world.accounts.values() if row.name.startswith("shopify_payments"))
    today = months.house.clock.now().astimezone(BERLIN).date()
    before = dict(months.balances(today))
    line = add_transaction(world, owner, 100, date(2026, 1, 2), purpose="SHPTX 1 order:1")
    stands, counted = months.balances(today)["shopify_payments"]
    assert before["shopify_payments"] == (counted, counted) and stands == counted + 100
    del world.transactions[line.id]
