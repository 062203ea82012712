"""A share of the 100,000 attempts on another shop's rows; `make prove LINE=isolation` makes all (S11, S42, B16)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import isolation_fuzz
from isolation_fuzz import COMMANDS, NOT_TRIED, Fuzz, every_command
from isolation_world import MARK, B
from ladenbuch import books
from ladenbuch.db import Database, Store

#: PostgreSQL has a second wall; here it is only seen that nothing is different there.
ATTEMPTS = {True: 2_000, False: 250}


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_s42_nothing_of_another_shop_is_reached_by_any_route_or_command(database: Database) -> None:
    """S42, S11: 0 foreign rows in answers, headers, errors and the log; 0 rows of the other shop changed."""
    found = isolation_fuzz.run(database, ATTEMPTS[database.is_sqlite], commands=0.06)
    assert found["findings"] == []
    assert found["attempts"] == ATTEMPTS[database.is_sqlite]


@pytest.fixture
def fuzz(sqlite_database: Database) -> Iterator[Fuzz]:
    return Fuzz(sqlite_database, 1)


def test_s42_every_route_is_tried(fuzz: Fuzz) -> None:
    """A new route needs an attempt; one that answers operators alone, a reason."""
    routes = set(fuzz.routes())
    assert routes == set(isolation_fuzz._TRIES)
    assert set(isolation_fuzz.OPERATORS) < routes


def test_s42_every_command_is_tried_or_said_not_to_be() -> None:
    assert every_command() == COMMANDS.keys() | NOT_TRIED.keys()
    assert not COMMANDS.keys() & NOT_TRIED.keys()


def test_what_the_attempts_would_notice(fuzz: Fuzz, tmp_path: Path) -> None:
    """A mark in an answer, a command for the wrong tenant, a changed row: each is found."""
    ask = [("host", "localhost"), ("user-agent", "x")]
    status, shown = asyncio.run(fuzz.send("GET", f"/orders?shop={B}", ask, b"", "127.0.0.1"))
    assert status == 200
    fuzz.judge("page", shown + MARK[B], status)
    with fuzz._as_operator() as runner:
        fuzz._run(runner, "questions", ["--tenant", B, "--json"])
    fuzz.database.tenant(B).run(
        Store.BOOKS, lambda tx: books.finalised(tx, B, fuzz.ids["key"], "RE", fuzz.house._clock())
    )
    fuzz.unchanged("now")
    assert len(fuzz.found) == 3, fuzz.found
