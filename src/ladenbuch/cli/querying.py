"""A query of the operator's own, and what each field of it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.shopify.answer import Result
from ladenbuch.shopify.cost import estimate_cost, what_is_wrong


def query_shop(file: Path, tenant: str | None, variables: str | None, *, debug_cost: bool, as_json: bool) -> int:
    """Send the query in `file`, and show the answer or its cost. Exit 1 when the answer has errors."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("FILE", f"{file}: {getattr(error, 'strerror', None) or type(error).__name__}") from None
    wrong = what_is_wrong(text)
    if wrong is not None:
        raise UsageError("FILE", f"{file}: {wrong}")
    given = _variables(variables)
    predicted = estimate_cost(text, given)
    with opened() as house:
        owner = chosen(house, tenant)
        try:
            result = house.shopify(owner.id).ask(text, given, debug_cost=debug_cost)
        except Rejected as error:
            if error.code in ("SHOPIFY-QUERY", "SHOPIFY-COST"):
                raise UsageError("FILE", f"{file}: {error.message}") from None
            raise
    if as_json:
        say_json(_told(result, predicted, data=not debug_cost))
    elif debug_cost:
        _show(result, predicted)
    else:
        typer.echo(json.dumps(result.data, ensure_ascii=False, indent=1, default=str))
    for hole in result.errors:
        typer.echo(f"{hole.code} {hole.dotted}: {hole.message}", err=True)
    return 1 if result.errors else 0


def _variables(text: str | None) -> dict[str, Any]:
    try:
        given = json.loads(text) if text else {}
    except ValueError as error:
        raise UsageError("OPTIONS", f"--variables is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise UsageError("OPTIONS", "--variables must be a JSON object")
    return given


def _told(result: Result, predicted: int, *, data: bool) -> dict[str, Any]:
    cost = result.cost
    told: dict[str, Any] = {"data": result.data} if data else {}
    return told | {
        "predicted": predicted,
        "requested": cost.requested,
        "actual": cost.actual,
        "bucket": {"maximum": cost.maximum, "available": cost.available, "restore_rate": cost.restore_rate},
        "fields": [
            {"path": list(item.path), "own": item.own, "children": item.children, "total": item.total}
            for item in cost.fields
        ],
        "errors": [{"code": error.code, "path": list(error.path)} for error in result.errors],
    }


def _show(result: Result, predicted: int) -> None:
    cost = result.cost
    typer.echo(f"{'total':>7} {'own':>6} {'below':>6}  field")
    for item in cost.fields:
        indent = "  " * (len(item.path) - 1)
        typer.echo(f"{item.total:7} {item.own:6} {item.children:6}  {indent}{item.path[-1]}")
    typer.echo(f"requested {cost.requested}, predicted {predicted}, actual {cost.actual}")
    if cost.available is not None and cost.maximum is not None and cost.restore_rate is not None:
        typer.echo(f"bucket {cost.available:.0f} of {cost.maximum:.0f}, {cost.restore_rate:.0f} per second")
