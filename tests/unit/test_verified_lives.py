"""The stand-alone proof agrees with every generated life that is posted, and notices every tampering with one in ten.

S148; bookkeeping 1.5. `make prove LINE=verifier` takes 100,000 lives.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import verified_lives
from desk import Desk
from ladenbuch.domain.actions import Action
from ladenbuch.domain.books import Books
from tampering import CHANCES
from tampering import Books as Listed
from unit.test_plan_lives import lives_of
from verified_lives import _around, post, prove, verify


def test_the_verifier_agrees_on_every_life_and_refuses_every_tampering() -> None:
    figures = verify(300, seed=7)
    assert figures.findings == []
    count = figures.counts
    assert min(count["late"], count["live"], count["cut"]) > 30
    assert min(count["waiting"], count["excluded"], count["attention"]) > 3 and count["documented"] > 200
    assert count["Invoice"] > 200 and count["CreditNote"] > 20
    assert figures.tampered == figures.refused > 100
    assert {name for name in CHANCES if count[f"tampered: {name}"]} >= set(CHANCES) - {"another origin"}


def test_a_verifier_that_sees_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_lives.tool.Proof, "must", lambda self, holds, sentence: None)
    figures = verify(100, seed=8)
    said = " ".join(figures.findings)
    assert figures.refused < figures.tampered
    assert "was not noticed" in said and "it holds, and a person has to decide" in said


def test_a_connector_that_dates_money_wrongly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proved is what sevdesk has, not what was planned."""
    write = Desk._line

    def late(desk: Any, books: Books, order: str, action: Action) -> Books:
        assert action.line is not None
        line = replace(action.line, value_date=action.line.value_date + timedelta(days=1))
        return write(desk, books, order, replace(action, line=line))

    monkeypatch.setattr(Desk, "_line", late)
    assert any("stands with" in finding for finding in verify(20, seed=9).findings)


def test_an_hour_that_comes_twice_and_rates_that_are_almost_equal() -> None:
    """Found by the long run: an order changed in the hour that October has twice, and rates swapped by a few cents.

    Of a fee without a rate, and of shipping under two rates, the facts say how much is at which rate, to the cent or
    to half a cent of its tax.
    """
    lives = lives_of("wide", 2000, 11)
    for name in ("#1841", "#1962"):
        place = next(number for number, life in enumerate(lives) if life.name == name)
        watched, lists = post(lives[place : place + 2], _Late(1))
        one = watched[0]
        order, material = one.envelope(), _around(one.life.order_id.rsplit("/", 1)[-1], lists)
        assert prove(order, material) == []
        if name == "#1841":
            for swapped in (False, True):
                books = Listed(material, order)
                first, second = books.positions(books.mine("CreditNote")[0])
                assert 0 < abs(Decimal(first["sumGross"]) - Decimal(second["sumGross"])) < Decimal("0.06")
                if swapped:
                    first["taxRate"], second["taxRate"] = second["taxRate"], first["taxRate"]
                    books.add_up(books.mine("CreditNote")[0])
                assert bool(prove(order, books.lists)) is swapped


class _Late(random.Random):
    """Every order is seen once, at the end of its life."""

    def choices(self, population: Any, *more: Any, **others: Any) -> Any:
        return ["late"]
