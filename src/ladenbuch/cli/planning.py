"""`ladenbuch plan --order FILE`: facts, books and a profile from files; no store, no network, nothing written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ladenbuch.cli.files import read_json, say_json
from ladenbuch.domain.answers import question_hash
from ladenbuch.domain.books import Booked, Books, Cover, PostedDocument, PostedLine
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft, rate_text
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import Facts, Problem, facts_of
from ladenbuch.domain.money import to_decimal
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.domain.profile import Gateway, Profile
from ladenbuch.errors import Rejected, UsageError

#: Without a profile file: a regular-taxed German shop, live, every automatic gateway on a clearing account.
DEFAULT_PROFILE = Profile(draft_only=False, default_gateway=Gateway("clearing+payouts"))


def plan_order(order: Path, profile: Path | None, books: Path | None, today: str | None, *, as_json: bool) -> int:
    """Print the plan for one order; exit 1 when a person is needed. Nothing is written."""
    from ladenbuch.shopify.orders import order_from_envelope
    from ladenbuch.vat_rates import rate_table

    facts = facts_of(order_from_envelope(read_json(order)))
    rules = DEFAULT_PROFILE
    if profile is not None:
        data = read_json(profile)
        rules = Profile.from_json({"draft_only": False} | data)
    known = books_from_json(read_json(books)) if books is not None else Books()
    now = _noon(today) if today else datetime.now(UTC)
    made = plan(facts, known, [rules], now, Evidence(rate_table()))
    if as_json:
        say_json(plan_json(facts, known, made))
    else:
        show(facts, made)
    return 1 if made.attention else 0


def plan_json(facts: Facts, books: Books, made: Plan) -> dict[str, Any]:
    """The shape of docs/reference/plan.md."""
    waiting = [_problem(item) for item in made.waiting]
    if made.later is not None:
        waiting.append(_problem(Problem("INCOMPLETE", made.later, (made.order_id,))))
    answered = [_problem(item) | {"choice": choice} for item, choice in made.answered]
    return {
        "order": made.order_id,
        "actions": [action.as_json() for action in made.actions],
        "waiting": waiting,
        "attention": [_problem(item) | {"hash": question_hash(item, facts)} for item in made.attention],
        "excluded": _problem(made.exclusion) if made.exclusion else None,
        "certificate": certificate(facts, books, made).as_json(),
    } | ({"answered": answered} if answered else {})


def _problem(item: Problem) -> dict[str, Any]:
    return {"code": item.code, "message": item.message, "facts": list(item.facts), "choices": list(item.choices)}


def books_from_json(data: dict[str, Any]) -> Books:
    """Books as documented in docs/reference/plan.md. Raises UsageError for anything else."""
    try:
        documents = tuple(
            PostedDocument(
                key=item["key"],
                kind=item.get("kind", "invoice"),
                draft=_draft(item),
                covers=tuple(Cover(cover["fact"], cover["amount_minor"]) for cover in item["covers"]),
                state=item.get("state", "final"),
                sevdesk_id=item.get("sevdesk_id"),
                number=item.get("number"),
                tax_point=datetime.fromisoformat(item["tax_point"]),
                tax=item.get("tax", {}),
            )
            for item in data.get("documents", ())
        )
        lines = tuple(
            PostedLine(
                item["key"], item["payment"], item.get("account"), item["amount_minor"],
                datetime.fromisoformat(item["value_date"]).date(), True, item.get("sevdesk_id"),
            )
            for item in data.get("money_lines", ())
        )  # fmt: skip
        bookings = tuple(
            Booked(item["key"], item["payment"], item["document"], item["amount_minor"], True)
            for item in data.get("bookings", ())
        )
        letters = frozenset(data.get("letters", ()))
        applied = frozenset(data.get("applied", ()))
        resolutions = tuple((item["code"], item["hash"], item["choice"]) for item in data.get("resolutions", ()))
    except KeyError as error:
        raise UsageError("BOOKS", f"the books file does not fit: {error} is missing") from None
    except (TypeError, ValueError, ArithmeticError, AttributeError, Rejected) as error:
        raise UsageError("BOOKS", f"the books file does not fit: {error}") from None
    return Books(documents, lines, bookings, letters, applied, resolutions)


def _draft(item: dict[str, Any]) -> InvoiceDraft | CreditNoteDraft:
    made = CreditNoteDraft if item.get("kind") == "credit_note" else InvoiceDraft
    return made.from_json(item["draft"])


def show(facts: Facts, made: Plan) -> None:
    """The plan as a table for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{facts.order.name}[/bold]  {made.order_id}")
    if made.later:
        console.print(f"later: {made.later}")
    if made.exclusion:
        console.print(f"excluded: {made.exclusion.code}: {made.exclusion.message}")
    table = Table("what", "key", "amount", "why")
    for action in made.actions:
        data = action.as_json()
        amount = data.get("gross_minor", data.get("amount_minor"))
        shown = to_decimal(amount) if isinstance(amount, int) else ""
        table.add_row(action.kind, action.key, shown, action.reason)
    if made.actions:
        console.print(table)
    for action in made.actions:
        if action.kind in ("invoice", "credit_note") and action.document is not None:
            for rate, total in action.document.draft.sums.items():
                gross, net, tax = (to_decimal(value) for value in (total.gross, total.net, total.tax))
                console.print(f"  {rate_text(rate)} %: gross {gross}, net {net}, tax {tax}")
    for item in made.waiting:
        console.print(f"waiting   {item.code}: {item.message}")
    for item in made.attention:
        console.print(f"[bold]attention {item.code}[/bold]: {item.message}; possible: {', '.join(item.choices)}")


def _noon(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(hour=12, tzinfo=UTC)
    except ValueError:
        raise UsageError("TODAY", "--today must be a date like 2026-11-22") from None
