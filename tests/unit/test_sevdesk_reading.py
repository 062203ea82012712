"""Tolerant reading: every spelling seen of one value gives that value, and nothing else passes (facts 1.5, 1.6)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import reading


def test_json_numbers_never_become_float() -> None:
    found = reading.parse(b'{"a": 11.90, "b": 3, "c": [0.1]}')
    assert found == {"a": Decimal("11.90"), "b": 3, "c": [Decimal("0.1")]}
    assert isinstance(found["a"], Decimal)


@pytest.mark.parametrize("body", [b"NaN", b"Infinity", b"<html>", b"", b"\xff\xfe", b'{"a":'])
def test_what_is_not_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        reading.parse(body)


@pytest.mark.parametrize("body", [{"id": "1"}, {"objects": {"id": "1"}}, {"objects": [{"id": "1"}]}, [{"id": "1"}]])
def test_a_single_object_bare_wrapped_or_in_a_list_of_one(body: object) -> None:
    assert reading.one(body, "thing") == {"id": "1"}


@pytest.mark.parametrize("body", [{"objects": []}, {"objects": None}, {"objects": [{}, {}]}, "x", None, 5])
def test_a_single_object_is_not_guessed(body: object) -> None:
    with pytest.raises(Rejected) as caught:
        reading.one(body, "thing")
    assert caught.value.code == "SEVDESK-SHAPE"


def test_lists() -> None:
    assert reading.many({"objects": [{"id": 1}], "total": "1"}, "list") == [{"id": 1}]
    assert reading.many({"objects": None}, "list") == []
    for wrong in ({"objects": {"id": 1}}, {"objects": ["x"]}, None, "x"):
        with pytest.raises(Rejected):
            reading.many(wrong, "list")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("11.90", 1190), ("11.9", 1190), (Decimal("11.90"), 1190), (11, 1100), ("-58.31", -5831), (None, 0), ("0", 0)],
)
def test_amounts_in_any_spelling(value: object, expected: int) -> None:
    assert reading.cents(value, "sum") == expected


@pytest.mark.parametrize("value", ["11.905", "eleven", "NaN", [], {}, "1e30"])
def test_amounts_are_never_rounded_or_guessed(value: object) -> None:
    with pytest.raises(Rejected) as caught:
        reading.cents(value, "sum")
    assert caught.value.code == "SEVDESK-SHAPE"
    assert "eleven" not in str(caught.value)


@pytest.mark.parametrize(("value", "expected"), [(True, 1), ("1", 1), (1, 1), (Decimal("1.0"), 1), ("3.000", 3)])
def test_a_quantity_of_one_may_come_back_as_true(value: object, expected: int) -> None:
    assert reading.decimal(value, "quantity") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", False), ("1", True), (0, False), (1, True), (True, True), (None, False), ("false", False), ("", False)],
)
def test_flags(value: object, expected: bool) -> None:
    assert reading.flag(value) is expected


@pytest.mark.parametrize("value", ["2026-11-22T00:00:00+01:00", "22.11.2026", "1795302000", 1795302000, "2026-11-22"])
def test_days_are_berlin_days_in_any_notation(value: object) -> None:
    assert reading.day(value, "day") == date(2026, 11, 22)


def test_days_late_in_the_evening_utc_belong_to_the_next_berlin_day() -> None:
    assert reading.day("2026-12-31T23:30:00+00:00", "day") == date(2027, 1, 1)
    assert reading.day("2026-07-31T22:30:00Z", "day") == date(2026, 8, 1)
    assert reading.day(None, "day") is None
    assert reading.day("0000-00-00", "day") is None


@pytest.mark.parametrize("value", ["22.13.2026", "soon", "99999999999999999999", True])
def test_days_are_not_guessed(value: object) -> None:
    with pytest.raises(Rejected):
        reading.day(value, "day")


def test_days_out() -> None:
    assert reading.german(date(2026, 3, 5)) == "05.03.2026"
    assert reading.midnight(date(2026, 11, 22)) == 1795302000
    summer = datetime.fromtimestamp(reading.midnight(date(2026, 7, 1)), UTC)
    assert summer == datetime(2026, 6, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize("value", ["71", 71, {"id": "71", "objectName": "Contact"}])
def test_ids_are_digits(value: object) -> None:
    assert reading.identity(value, "id") == "71"
    assert reading.identity_or_none(value, "id") == "71"


@pytest.mark.parametrize("value", [None, "", "x1", "-1", True, {"id": None}, "٣", "7/../8", 1.0])
def test_ids_are_nothing_else(value: object) -> None:
    with pytest.raises(Rejected):
        reading.identity(value, "id")


@pytest.mark.parametrize("value", [None, "", 0, "0", {"id": None}, {}])
def test_no_reference(value: object) -> None:
    assert reading.identity_or_none(value, "id") is None


def test_plain_text_has_no_control_characters_and_no_broken_emoji() -> None:
    assert reading.plain("a\x00b\x1b[31m\nc\td\ud83d") == "ab[31m\nc\td?"
    reading.plain("\udc00").encode()
