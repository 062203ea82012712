"""`ladenbuch payouts`: what was paid out, of which orders it is made, and whether both balances agree."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ladenbuch import payouts, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.period import days_of
from ladenbuch.cli.progress import say
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.money import to_decimal, to_minor
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.workflows.payout_parts import Breakdown, breakdown, of_bank_line, payout_json

if TYPE_CHECKING:
    from ladenbuch.domain.clearing import DayBalance
    from ladenbuch.domain.payouts import KnownPayout

#: The longest period that is compared day by day with one command.
_LONGEST = 400


def listed(tenant: str | None, gateway: str, since: str | None, until: str | None, *, as_json: bool) -> int:
    """Print the payouts of a period, or all."""
    period = _period(since, until)
    with opened() as house:
        owner = chosen(house, tenant)
        known = house.database.tenant(owner.id).read(
            Store.BOOKS, lambda tx: payouts.known_payouts(tx, owner.id, gateway)
        )
    if period is not None:
        known = [item for item in known if period[0] <= item.payout.issued_at.date() < period[1]]
    if as_json:
        say_json({"tenant": owner.id, "gateway": gateway, "payouts": [payout_json(item) for item in known]})
        return 0
    for item in known:
        one = item.payout
        paid = "" if item.paid_on is None else f"at the bank {item.paid_on}"
        print(f"{one.number}  {one.issued_at:%Y-%m-%d}  {to_decimal(one.net):>12} {one.currency}  {one.status}  {paid}")  # noqa: T201
    if not known:
        say("no payouts are known")
    return 0


def show(
    tenant: str | None, gateway: str, payout: str | None, amount: str | None, day: str | None, *, as_json: bool
) -> int:
    """Print one payout down to its orders; exit 1 where its parts are not all of it."""
    if (payout is None) == (amount is None) or (amount is None) != (day is None):
        raise UsageError("OPTIONS", "name a payout, or --amount and --day of the bank's line")
    with opened() as house:
        owner = chosen(house, tenant)
        number = payout if payout is not None else _of_line(house, owner, gateway, amount or "", day or "")
        found = house.database.tenant(owner.id).read(Store.BOOKS, lambda tx: breakdown(tx, owner.id, gateway, number))
    if found is None:
        raise UsageError("OPTIONS", f"no payout {number!r} of {gateway} is known; `ladenbuch payouts list` names them")
    if as_json:
        say_json({"tenant": owner.id, "gateway": gateway, **found.as_json()})
    else:
        _show(found)
    return 0 if found.residual == 0 else 1


def _of_line(house: Ladenbuch, owner: tenants.Tenant, gateway: str, amount: str, day: str) -> str:
    """The number of the payout a bank line is. Raises UsageError where it is none, or may be several."""
    cents, on = _line_of(amount, day)

    def read(tx: Transaction) -> list[KnownPayout]:
        return of_bank_line(tx, owner.id, gateway, cents, on)

    found = house.database.tenant(owner.id).read(Store.BOOKS, read)
    if len(found) != 1:
        names = ", ".join(item.payout.number for item in found) or "none"
        raise UsageError("OPTIONS", f"payouts of this amount that may have arrived that day: {names}")
    return found[0].payout.number


def _line_of(amount: str, day: str) -> tuple[int, date]:
    try:
        return to_minor(amount), date.fromisoformat(day)
    except (Rejected, ValueError):
        raise UsageError("OPTIONS", "an amount is like 1204.17, a day like 2026-11-21") from None


def balance(tenant: str | None, gateway: str, since: str | None, until: str | None, *, as_json: bool) -> int:
    """Print compared days; exit 1 when one is open."""
    from ladenbuch.workflows.payouts import compare_days, terms_kept

    period = _period(since, until)
    with opened() as house:
        owner = chosen(house, tenant)
        if period is None:
            days = house.database.tenant(owner.id).read(
                Store.BOOKS, lambda tx: payouts.kept_days(tx, owner.id, gateway, 31)
            )[::-1]
        else:
            _may(owner)
            first, last = period
            if (last - first).days > _LONGEST:
                raise UsageError("PERIOD", f"at most {_LONGEST} days are compared at a time")
            terms = terms_kept(house.context, owner.id, gateway)
            today = terms.day_of(house.context.clock())
            wanted = [first + timedelta(days=back) for back in range((last - first).days)]
            wanted = [day for day in wanted if terms.day_of(terms.start) <= day <= today]
            days = compare_days(house.context, owner.id, terms, wanted)
    if as_json:
        said = [day.as_json() for day in days]
        say_json({"tenant": owner.id, "gateway": gateway, "open": _open(days), "days": said})
    else:
        _show_days(days)
    return 1 if _open(days) else 0


def take_report(tenant: str | None, gateway: str, file: Path, amount: str, paid_on: str, *, as_json: bool) -> int:
    """Take over a settlement report, and look; exit 1 when something needs a person."""
    from ladenbuch.domain.reports import klarna
    from ladenbuch.workflows.payout_reports import take_over

    cents, day = _line_of(amount, paid_on)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise UsageError("FILE", f"{file}: {type(error).__name__}") from None
    try:
        report = klarna(text, cents, day)
    except Rejected as error:
        raise UsageError("FILE", f"{file}: {error.message}") from None
    with opened() as house:
        owner = chosen(house, tenant)
        _may(owner)
        try:
            found = take_over(house.context, owner.id, gateway, report)
        except Rejected as error:
            if error.code != "REPORT":
                raise
            raise UsageError("FILE", f"{file}: {error.message}") from None
    say(f"{len(report.movements) - 1} lines, {found} of them with the line of their order")
    return look_now(owner.id, gateway, as_json=as_json)


def look_now(tenant: str | None, gateway: str, *, as_json: bool) -> int:
    """Look at the provider now; exit 1 when something needs a person."""
    from ladenbuch.workflows.payouts import look

    with opened() as house:
        owner = chosen(house, tenant)
        _may(owner)
        made = look(house.context, owner.id, gateway)
    problems = [{"code": item.code, "message": item.message, "choices": list(item.choices)} for item in made.problems]
    if as_json:
        days = [day.as_json() for day in made.days]
        say_json({"tenant": owner.id, "written": made.written, "problems": problems, "days": days})
    else:
        say(f"{made.written} lines, vouchers and bookings are new")
        for item in made.problems:
            say(f"{item.code}: {item.message}")
        _show_days(made.days)
    return 1 if problems or _open(made.days[-1:]) else 0


def _may(owner: tenants.Tenant) -> None:
    if owner.state in ("uninstalled", "redacted"):
        raise UsageError("TENANT", f"{owner.id} is {owner.state}: nothing of it is read any more")


def _period(since: str | None, until: str | None) -> tuple[date, date] | None:
    if (since is None) != (until is None):
        raise UsageError("OPTIONS", "give --since and --until, or neither")
    return None if since is None else days_of(since, until)


def _open(days: Sequence[DayBalance]) -> int:
    return sum(day.status == "OPEN" for day in days)


def _show_days(days: Sequence[DayBalance]) -> None:
    from rich.console import Console
    from rich.markup import escape

    from ladenbuch.web.paid_out import name_of, state_of

    console = Console(highlight=False)
    for day in days:
        colour = {"OPEN": "red"}.get(day.status, "green")
        console.print(
            f"{day.day}  account {to_decimal(day.clearing):>12}  owed {to_decimal(day.unpaid):>12}  kept back "
            f"{to_decimal(day.reserved):>10}  on its way {to_decimal(day.in_transit):>12}  {day.currency}  "
            f"[{colour}]{state_of('en', day)}[/]"
        )
        for item in day.named:
            console.print(f"            {to_decimal(item.amount):>12}  {name_of('en', item)}  {escape(item.about)}")
        if day.astray:
            console.print(
                f"            {to_decimal(day.astray):>12}  the provider's own figure is more than its movements"
            )


def _show(found: Breakdown) -> None:
    from rich.console import Console
    from rich.markup import escape

    one, console = found.known.payout, Console(highlight=False)
    console.print(
        f"[bold]{one.number}[/bold]  issued {one.issued_at:%Y-%m-%d}  {to_decimal(one.net)} {one.currency}  "
        f"{one.status}  {escape(one.trace)}"
    )
    for part in found.parts:
        what = part.order_name or part.order_id or ", ".join(part.types)
        console.print(
            f"  {to_decimal(part.net):>12}  {escape(what)}  {to_decimal(part.gross)} less {to_decimal(part.fee)} fees  "
            f"{', '.join(part.documents)}"
        )
    console.print(f"  {to_decimal(found.residual):>12}  left over")
    console.print(f"  lines: {', '.join(found.lines) or 'none yet'}; fee voucher in sevdesk: {found.voucher or 'none'}")
