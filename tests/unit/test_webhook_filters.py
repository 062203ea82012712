"""Filter expressions: ours against the simulator's, which shares no line with it (S94, facts 3.2)."""

from __future__ import annotations

import json
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from ladenbuch.errors import Rejected
from ladenbuch.shopify.filters import Term, parse
from ladenbuch.simulators.shopify.filtering import BadFilter, compile_filter, passes

ORDER: dict[str, Any] = {
    "id": 820982911946154508,
    "financial_status": "paid",
    "fulfillment_status": None,
    "total_price": "129.00",
    "test": False,
    "tags": "VIP, Größe",
    "note": "",
    "name": "#1001",
    "updated_at": "2026-11-22T10:00:00+01:00",
    "payment_gateway_names": ["paypal", "bank_deposit"],
    "discount_codes": [],
    "customer": {"id": 7, "email": "a@example.org", "tax_exempt": True},
    "line_items": [
        {"title": "Album One", "price": "9.00", "grams": 200, "properties": [{"name": "_gift"}, {"name": "colour"}]},
        {"title": "T-Shirt", "price": "120.00", "grams": 5, "properties": []},
    ],
    "rate": Decimal("0.19"),
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("financial_status:paid AND total_price:>100", True),  # the example of S94
        ("financial_status:paid AND total_price:>129.00", False),
        ("id:* AND financial_status:paid AND (total_price:<5 OR line_items.title:Album*) AND test:false", True),
        ("line_items.price:>=120.00", True),
        ("line_items.properties.name:_gift", True),
        ("line_items.title:album*", False),  # capitals count
        ("total_price:129", False),  # money is text: only its letters are equal
        ('total_price:"129.00"', True),
        ("line_items.grams:200.0", True),  # a number is equal by value
        ("rate:0.190", True),
        ("-fulfillment_status:*", True),
        ("NOT fulfillment_status:shipped", True),
        ("fulfillment_status:*", False),
        ("note:*", True),
        ("discount_codes:*", False),
        ("payment_gateway_names:bank_deposit", True),
        ("customer.tax_exempt:true", True),
        ("customer:*", True),
        ("customer:7", False),
        ("customer.email:a@example.org", True),
        ("name:#1001 financial_status:paid", True),
        ('tags:"VIP, Größe"', True),
        ("tags:VIP", False),
        (r"tags:VIP\,\ Größe", True),
        ("updated_at:>='2026-11-22T09:00:00Z'", True),
        ("updated_at:>'2026-11-22T09:00:00Z'", False),
        ("financial_status:>5", False),
        ("nothing.at.all:*", False),
        ("-(test:true OR financial_status:voided)", True),
        ("test:true OR (financial_status:paid AND -total_price:<100)", True),
    ],
)
def test_s94_what_shopify_documents_is_evaluated_by_both(expression: str, expected: bool) -> None:
    assert parse(expression).matches(ORDER) is expected
    assert passes(expression, ORDER) is expected


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("", "FILTER-SYNTAX"),
        ("paid", "FILTER-SYNTAX"),
        ("financial_status:paid and test:false", "FILTER-SYNTAX"),
        ("financial_status: paid", "FILTER-SYNTAX"),
        ("financial_status:", "FILTER-SYNTAX"),
        ("total_price>100", "FILTER-SYNTAX"),
        ("(test:true", "FILTER-SYNTAX"),
        ("test:true)", "FILTER-SYNTAX"),
        ("()", "FILTER-SYNTAX"),
        ("test:true AND", "FILTER-SYNTAX"),
        ("AND test:true", "FILTER-SYNTAX"),
        ("- test:true", "FILTER-SYNTAX"),
        ("NOT NOT test:true", "FILTER-SYNTAX"),
        ('name:"open', "FILTER-SYNTAX"),
        ("name:'a'b", "FILTER-SYNTAX"),
        ("created_at:2026-11-22T10:00:00Z", "FILTER-SYNTAX"),
        ("name:a\\", "FILTER-SYNTAX"),
        ("(" * 21 + "a:1" + ")" * 21, "FILTER-SYNTAX"),
        ("a:" + "1" * 2000, "FILTER-SYNTAX"),
        ("customer.:1", "FILTER-SYNTAX"),
        ("fulfillment_status:null", "FILTER-UNSUPPORTED"),
        ("name:*1001", "FILTER-UNSUPPORTED"),
        ("name:1*1", "FILTER-UNSUPPORTED"),
        ("total_price:[1 TO 5]", "FILTER-UNSUPPORTED"),
        ("total_price:!=5", "FILTER-UNSUPPORTED"),
        ("name:>abc", "FILTER-UNSUPPORTED"),
        ("updated_at:>'2026-11-22'", "FILTER-UNSUPPORTED"),
        ("updated_at:>'2026-11-22T10:00:00'", "FILTER-UNSUPPORTED"),
        ("updated_at:>'2026-13-22T10:00:00Z'", "FILTER-UNSUPPORTED"),
        ("name:a\u00a0b", "FILTER-UNSUPPORTED"),
        ("name:~a", "FILTER-UNSUPPORTED"),
        ("test:true OR test:false AND id:*", "FILTER-AMBIGUOUS"),
        ("test:true test:false OR id:*", "FILTER-AMBIGUOUS"),
    ],
)
def test_s94_what_is_unclear_is_refused_with_a_code_by_both(expression: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse(expression)
    assert refused.value.code == code
    with pytest.raises(BadFilter):
        compile_filter(expression)


def test_terms_are_listed_from_left_to_right() -> None:
    assert [".".join(term.path) for term in parse("a.b:1 AND -(c:2 OR d:*)").terms()] == ["a.b", "c", "d"]
    assert next(parse("a:'x'").terms()) == Term(("a",), ":", "x", "quoted")


# -- generated ---------------------------------------------------------------------------------------------------------

_PATHS = (
    "id",
    "s",
    "n",
    "f",
    "b",
    "none",
    "o.s",
    "o.deep.n",
    "list",
    "rows.s",
    "rows.n",
    "rows.more.b",
    "absent",
    "at",
)
_WORDS = ("a", "ab", "A", "true", "1", "1.0", "-3", "0.10", "äö", "x-1", "paid")
_INSTANTS = ("2026-11-22T10:00:00Z", "2026-11-22T11:00:00+01:00", "2026-11-22T10:00:00.5Z", "2025-01-01T00:00:00-05:00")
_VALUES = (None, True, False, 0, 1, -3, 7.5, 0.1, Decimal("0.10"), "0.10", "", *_WORDS, *_INSTANTS)


def _payload(rng: random.Random) -> dict[str, Any]:
    def one() -> Any:
        return rng.choice(_VALUES)

    rows = [
        {"s": one(), "n": one(), "more": [{"b": one()} for _ in range(rng.randrange(3))]}
        for _ in range(rng.randrange(3))
    ]
    whole = {"id": rng.randrange(2**60), "s": one(), "n": one(), "f": 0.1, "b": rng.random() < 0.5, "none": None}
    nested = {
        "o": {"s": one(), "deep": {"n": one()}},
        "list": [one(), [one()]],
        "rows": rows,
        "at": rng.choice(_INSTANTS),
    }
    return {**whole, **nested}


def _term(rng: random.Random) -> str:
    path, kind = rng.choice(_PATHS), rng.randrange(8)
    if kind == 0:
        return f"{path}:*"
    if kind == 1:
        return f"{path}:{rng.choice(_WORDS)}*"
    if kind in (2, 3):
        return f"{path}:{rng.choice(('<', '>', '<=', '>='))}{rng.choice(('0', '1.0', '-3', '0.1', '7.5'))}"
    if kind == 4:
        return f"{path}:{rng.choice(('<', '>', '<=', '>='))}'{rng.choice(_INSTANTS)}'"
    mark = rng.choice(("", "", "'", '"'))
    return f"{path}:{mark}{rng.choice(_WORDS)}{mark}"


def _expression(rng: random.Random, depth: int = 0) -> str:
    if depth > 3 or rng.random() < 0.35:
        part = _term(rng)
    else:
        word = rng.choice((" AND ", " OR ", " "))
        part = word.join(_expression(rng, depth + 1) for _ in range(rng.randrange(2, 4)))
        part = f"({part})" if depth else part
    if not depth and "(" not in part[:1]:
        return part
    return rng.choice(("", "", "-", "NOT ")) + part


def test_s94_two_evaluators_agree_on_a_thousand_generated_cases() -> None:
    """Both verdicts are common, so that agreement says something; payloads take the way through JSON as well."""
    rng, seen = random.Random(94), Counter[bool]()
    for _ in range(1000):
        text, payload = _expression(rng), _payload(rng)
        sent = json.loads(json.dumps(payload, default=str), parse_float=Decimal)
        ours, theirs = parse(text).matches(sent), passes(text, sent)
        assert ours is theirs, (text, sent)
        seen[ours] += 1
    assert min(seen.values()) > 250, seen


def test_s94_both_refuse_the_same_of_a_thousand_mangled_expressions() -> None:
    rng, seen = random.Random(95), Counter[bool]()
    for _ in range(1000):
        text = _expression(rng)
        for _ in range(rng.randrange(1, 3)):
            at, noise = (
                rng.randrange(len(text) + 1),
                rng.choice(("(", ")", " ", "-", ":", "*", "'", '"', "\\", " OR ", "AND", "<", "~", "x")),
            )
            text = text[:at] + noise + text[at + rng.randrange(2) :]
        try:
            parse(text)
            ours = True
        except Rejected:
            ours = False
        try:
            compile_filter(text)
            theirs = True
        except BadFilter:
            theirs = False
        assert ours is theirs, text
        seen[ours] += 1
    assert min(seen.values()) > 50, seen
