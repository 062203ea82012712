"""`ladenbuch plan --json` prints what docs/reference/plan.md promises: its examples, run and compared exactly."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "reference" / "examples"
PAGE = EXAMPLES.parent / "plan.md"
#: Example -> exit code: 1 where a person is asked.
NAMES = {"paid-mixed-rates-discount": 0, "unpaid-vorkasse": 0, "refunded": 0, "export-taxed": 1}
TODAY = "2026-11-20"


def run_plan(*options: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "ladenbuch", "plan", *options, "--today", TODAY, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def expected(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.plan.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_example_gives_exactly_the_plan_beside_it(name: str) -> None:
    code, plan = run_plan("--order", str(EXAMPLES / f"{name}.order.json"))
    assert plan == expected(name)
    assert code == NAMES[name]


def test_the_examples_are_the_kinds_of_outcome() -> None:
    verdicts = [expected(name)["certificate"]["verdict"] for name in NAMES]
    assert verdicts == ["documented", "waiting", "documented", "attention"]


def test_the_page_names_every_field_the_examples_have() -> None:
    page = PAGE.read_text(encoding="utf-8")
    missing = {field for name in NAMES for field in fields(expected(name)) if not re.search(f'[`"]{field}[`"]', page)}
    assert missing == set()


def fields(value: Any) -> set[str]:
    """All keys in a JSON value, except those that are data: tax rates."""
    if isinstance(value, list):
        return {field for item in value for field in fields(item)}
    if not isinstance(value, dict):
        return set()
    here = {key for key in value if not key.replace(".", "").isdigit()}
    return here | {field for item in value.values() for field in fields(item)}


def test_money_that_went_back_is_on_a_credit_note() -> None:
    """R3, R4, 1.5 (4): every fact has a status and the right reason; what went back settles the credit note."""
    _, plan = run_plan("--order", str(EXAMPLES / "refunded.order.json"))
    kinds = [action["kind"] for action in plan["actions"]]
    assert kinds.index("book_payment") < kinds.index("credit_note") < kinds.index("book_refund")
    credit = next(action for action in plan["actions"] if action["kind"] == "credit_note")
    back = next(action for action in plan["actions"] if action["kind"] == "book_refund")
    assert back["amount_minor"] == -credit["gross_minor"]
    money = [item for item in plan["certificate"]["coverage"] if item["kind"] == "money"]
    assert {item["status"] for item in money} == {"planned"}
    assert plan["certificate"]["holds"] is True


def test_once_the_books_hold_everything_nothing_is_left_to_do() -> None:
    """R1: facts covered by the books file of plan.md lead to no action; R9: the day changes nothing."""
    books = EXAMPLES / "paid-mixed-rates-discount.books.json"
    order = EXAMPLES / "paid-mixed-rates-discount.order.json"
    code, plan = run_plan("--order", str(order), "--books", str(books))
    assert (code, plan["actions"], plan["waiting"], plan["attention"]) == (0, [], [], [])
    certificate = plan["certificate"]
    assert (certificate["verdict"], certificate["holds"], certificate["projected"]) == ("documented", True, False)
    assert {item["status"] for item in certificate["coverage"]} == {"covered"}


def test_a_draft_in_the_books_is_only_finalised_paid_and_mailed(tmp_path: Path) -> None:
    books = json.loads((EXAMPLES / "paid-mixed-rates-discount.books.json").read_text(encoding="utf-8"))
    books["documents"][0] |= {"state": "draft", "number": None}
    half = {"documents": books["documents"], "money_lines": books["money_lines"]}
    file = tmp_path / "books.json"
    file.write_text(json.dumps(half), encoding="utf-8")
    _, plan = run_plan("--order", str(EXAMPLES / "paid-mixed-rates-discount.order.json"), "--books", str(file))
    assert [item["kind"] for item in plan["actions"]] == ["finalise", "book_payment", "letter"]
