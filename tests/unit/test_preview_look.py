"""Reading one order of a period: what is wrong with it alone is listed, what is wrong with the shop ends it."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from builders import T0
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.workflows.preview import Followed, Outcome, follow, look

GID = "gid://shopify/Order/1"


class Shop:
    """Raises these errors one after the other, the last one for ever."""

    def __init__(self, *errors: LadenbuchError) -> None:
        self.errors = list(errors)
        self.reads = 0

    def fetch_order(self, gid: str) -> Any:
        self.reads += 1
        if not self.errors:
            return SimpleNamespace(order=None, reason="NOT-FOUND")
        raise self.errors.pop(0) if len(self.errors) > 1 else self.errors[0]


def context(shop: Shop) -> tuple[Any, list[float]]:
    slept: list[float] = []
    return SimpleNamespace(shopify=lambda tenant: shop, sleep=slept.append, clock=lambda: T0), slept


@pytest.mark.parametrize("code", ["ORDER-SHAPE", "MONEY-PRECISION"])
def test_an_order_that_makes_no_sense_is_listed(code: str) -> None:
    shop = Shop(Rejected(code, "order.lines"))
    found = look(context(shop)[0], "t", GID, "#1")
    assert (found.unreadable, found.name, shop.reads, found.acts) == (code, "#1", 1, False)


def test_an_order_that_keeps_moving_is_listed_after_some_tries() -> None:
    shop = Shop(Retryable("ORDER-MOVING", "changed", after=5.0))
    ctx, slept = context(shop)
    assert look(ctx, "t", GID).unreadable == "ORDER-MOVING"
    assert (shop.reads, slept) == (4, [5.0, 5.0, 5.0])


def test_an_order_shopify_does_not_show_is_listed_and_never_taken_for_deleted() -> None:
    """R18."""
    found = look(context(Shop())[0], "t", GID)
    assert (found.unreadable, found.order_id) == ("NOT-FOUND", GID)


@pytest.mark.parametrize(
    ("error", "reads"),
    [(Rejected("SHOPIFY-TOKEN", "no"), 1), (Retryable("SHOPIFY-DOWN", "no"), 4)],
)
def test_a_shop_in_trouble_ends_the_reading(error: LadenbuchError, reads: int) -> None:
    shop = Shop(error)
    ctx, slept = context(shop)
    with pytest.raises(type(error)):
        look(ctx, "t", GID)
    assert (shop.reads, sum(slept)) == (reads, 7.0 if reads > 1 else 0)


def test_no_wait_is_longer_than_half_a_minute() -> None:
    ctx, slept = context(Shop(Retryable("SHOPIFY-THROTTLED", "no points", after=600.0)))
    with pytest.raises(Retryable):
        look(ctx, "t", GID)
    assert max(slept) == 30.0


def test_following_ends_with_the_patience_or_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now, answers = [T0], [Followed({}, {"a": ""}), Followed({}, {"a": "STOPPED"}), Followed({"a": "SETTLED"}, {})]
    monkeypatch.setattr("ladenbuch.workflows.preview.progress", lambda *_: answers[min(len(heard), len(answers) - 1)])
    heard: list[Followed] = []
    ctx: Any = SimpleNamespace(
        clock=lambda: now[0],
        until=lambda seconds: now[0] + timedelta(seconds=seconds),
        sleep=lambda seconds: now.__setitem__(0, now[0] + timedelta(seconds=seconds)),
    )
    assert follow(ctx, "t", {"a": 1}, 60.0, heard.append).settled == {"a": "SETTLED"}
    assert [dict(item.codes) for item in heard] == [{}, {"STOPPED": 1}, {}]
    answers, heard = [Followed({}, {"a": "STOPPED"})], []
    assert follow(ctx, "t", {"a": 1}, 1.0, heard.append).remaining == {"a": "STOPPED"}


def test_an_outcome_is_as_planned_only_when_nothing_differs() -> None:
    assert Outcome(GID, "#1", "SETTLED").as_planned
    for other in ({"missing": ("k",)}, {"extra": ("k",)}, {"content": True}):
        assert not Outcome(GID, "#1", "SETTLED", **other).as_planned  # type: ignore[arg-type]
