"""An answer on its way: kept with its audit row, bound to what was asked, and the order wanted again (R16)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ladenbuch import audit, books, inbox
from ladenbuch.db import Database, Store
from ladenbuch.domain.facts import Problem
from ladenbuch.errors import UsageError
from ladenbuch.workflows.resolving import choice_of, resolve

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ORDER = "gid://shopify/Order/7"
TIP = Problem("TIP", "a tip", ("gid://shopify/Sale/2",), ("taxed at the main rate of the goods", "passed to staff"))


def asked(database: Database, mark: str = "a:b") -> books.Question:
    door = database.tenant("t1")
    door.run(Store.BOOKS, lambda tx: books.record_attention(tx, "t1", ORDER, [(TIP, mark)], NOW))
    return door.read(Store.BOOKS, lambda tx: books.questions(tx, "t1", ORDER))[0]


def kept(database: Database) -> tuple[tuple[str, str, str], ...]:
    door = database.tenant("t1")
    return door.read(Store.BOOKS, lambda tx: books.load(tx, "t1", ORDER, lambda key, text: text)).resolutions


def test_r16_an_answer_is_kept_told_and_the_order_wanted(database: Database) -> None:
    question = asked(database)
    taken = resolve(database.tenant("t1"), "t1", question, "taxed", actor="anna", now=NOW)
    assert taken.recorded and kept(database) == (("TIP", "a:b", "taxed at the main rate of the goods"),)
    door = database.tenant("t1")
    told = door.read(Store.BOOKS, lambda tx: list(audit.entries(tx, "t1")))
    assert [(entry.actor, entry.event) for entry in told] == [("anna", "resolved")]
    assert [one.order_id for one in door.read(Store.INBOX, lambda tx: inbox.due(tx, NOW, 10))] == [ORDER]


def test_r16_another_answer_to_the_same_question_replaces_it(database: Database) -> None:
    question = asked(database)
    for choice in ("1", "passed to staff"):
        resolve(database.tenant("t1"), "t1", question, choice, actor="anna", now=NOW)
    assert kept(database) == (("TIP", "a:b", "passed to staff"),)


def test_r16_an_answer_to_what_is_no_longer_asked_is_refused_and_leaves_nothing(database: Database) -> None:
    question = asked(database)
    asked(database, "c:d")
    with pytest.raises(UsageError) as refused:
        resolve(database.tenant("t1"), "t1", question, "1", actor="anna", now=NOW)
    assert refused.value.code == "QUESTION" and kept(database) == ()
    assert database.tenant("t1").read(Store.INBOX, lambda tx: inbox.due(tx, NOW, 10)) == []


def test_what_is_done_elsewhere_is_looked_at_again_and_not_recorded(database: Database) -> None:
    door = database.tenant("t1")
    party = Problem("PARTY", "no address", (ORDER,), ("add the address in Shopify", "exclude the order"))
    door.run(Store.BOOKS, lambda tx: books.record_attention(tx, "t1", ORDER, [(party, "x:y")], NOW))
    question = door.read(Store.BOOKS, lambda tx: books.questions(tx, "t1", code="PARTY"))[0]
    assert not resolve(door, "t1", question, "add", actor="anna", now=NOW).recorded
    assert kept(database) == () and len(door.read(Store.INBOX, lambda tx: inbox.due(tx, NOW, 10))) == 1


@pytest.mark.parametrize("words", ["", "9", "e x", "l" * 300])
def test_words_that_are_no_choice_list_what_there_is(database: Database, words: str) -> None:
    with pytest.raises(UsageError, match="passed to staff"):
        choice_of(asked(database), words)


def test_every_question_may_be_left_to_a_person(database: Database) -> None:
    assert choice_of(asked(database), "leave it") == "leave it to the bookkeeper"
    assert choice_of(asked(database), "EXCLUDE the order") == "exclude the order"


def test_r9_an_order_that_waits_for_a_day_is_no_outstanding_work(database: Database) -> None:
    door = database.tenant("t1")
    day = NOW + timedelta(days=9)

    def through(look_again: datetime | None, now: datetime) -> None:
        door.run(Store.INBOX, lambda tx: inbox.claim(tx, "t1", ORDER, run_id="r", executor="e", now=now))
        door.run(Store.INBOX, lambda tx: inbox.settled(tx, "t1", ORDER, "r", 1, now, "UNPAID", look_again))

    depth: Callable[[datetime], int] = lambda at: door.read(Store.INBOX, lambda tx: inbox.depth(tx, at)).waiting  # noqa: E731
    door.run(Store.INBOX, lambda tx: inbox.want(tx, "t1", ORDER, NOW))
    through(day, NOW)
    assert depth(NOW) == 0 and door.read(Store.INBOX, lambda tx: inbox.due(tx, NOW, 5)) == []
    assert depth(day) == 1 and len(door.read(Store.INBOX, lambda tx: inbox.due(tx, day, 5))) == 1
    through(None, day)
    assert depth(day + timedelta(days=99)) == 0
