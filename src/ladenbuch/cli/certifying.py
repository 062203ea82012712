"""`ladenbuch certificate --month … | --day …`: every order accounted for, every document where it should be."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ladenbuch import tenants
from ladenbuch.cli.files import say_json, writable, write_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.period import days_of
from ladenbuch.cli.progress import say
from ladenbuch.domain.document import rate_text
from ladenbuch.domain.money import to_decimal
from ladenbuch.domain.month import SORTS, PeriodCertificate, Row, named
from ladenbuch.domain.period import SIGNS
from ladenbuch.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ladenbuch.workflows.preview import Period

#: What a file says it is.
KIND, VERSION = "period-certificate", 1
#: Orders named per code in the terminal.
_NAMED = 10
_TITLES = {"invoices": "invoices", "credit_notes": "credit notes", "cancellations": "cancelled invoices"}
_HEADINGS = {"hole": "holes", "double": "doubles", "stranger": "strangers", "question": "questions"}


def certificate(
    tenant: str | None, month: str | None, day: str | None, out: Path | None, grace: float, *, as_json: bool
) -> int:
    """Certify one month or day; exit 1 when anything is found. Nothing is written but `out`.

    `grace`: minutes after a change before it is judged.
    """
    from ladenbuch.workflows.certify import certificate_of
    from ladenbuch.workflows.preview import period_of

    if (month is None) == (day is None):
        raise UsageError("OPTIONS", "give --month or --day")
    since, until = _days(month) if month is not None else _one(day or "")
    if out is not None:
        writable(out)
    with opened() as house:
        owner = chosen(house, tenant)
        period = period_of(house.context, owner.id, since, until)
        made = certificate_of(house.context, owner.id, period, timedelta(minutes=grace), telling())
        data = _told(owner, period, made, house.context.clock().isoformat())
    if out is not None:
        write_json(out, data)
        say(f"the certificate is in {out}")
    if as_json:
        say_json(data)
    else:
        _show(owner.id, period, made)
    return 1 if made.findings else 0


def _days(month: str) -> tuple[date, date]:
    if not re.fullmatch(r"\d{4}-\d{2}", month, re.ASCII):
        raise UsageError("MONTH", "--month must be a month like 2026-10")
    try:
        since = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise UsageError("MONTH", "--month must be a month like 2026-10") from None
    if not 1970 < since.year < 9000:
        raise UsageError("MONTH", "--month is none a shop was open in")
    return since, (since + timedelta(days=32)).replace(day=1)


def _one(day: str) -> tuple[date, date]:
    since, _ = days_of(day, "8999-12-31")
    return since, since + timedelta(days=1)


def telling() -> Callable[[str], None]:
    """Say what is being read: one line per part, and one now and then for what is read one by one."""
    seen: Counter[str] = Counter()

    def told(what: str) -> None:
        head = "one by one" if what.endswith("by its id") or what.startswith("number ") else what
        seen[head] += 1
        if seen[head] in (1, 50) or seen[head] % 500 == 0:
            say(f"reading {what}" + (f" ({seen[head]})" if head == "one by one" else ""))

    return told


# -- one object ---------------------------------------------------------------------------------------------------


def _told(owner: tenants.Tenant, period: Period, made: PeriodCertificate, made_at: str) -> dict[str, Any]:
    """The shape documented in docs/reference/certificate.md."""
    counts = made.counts
    data = {
        "kind": KIND,
        "version": VERSION,
        "tenant": owner.id,
        "shop": owner.shop,
        "since": period.since.isoformat(),
        "until": period.until.isoformat(),
        "time_zone": period.time_zone,
        "running": made.running,
        "verdict": made.verdict,
        "counts": {
            "orders": len(made.orders),
            "accounted": made.accounted,
            **{name: counts[name] for name in ("documented", "waiting", "excluded", "asked", "missing", "young")},
        },
        "documents": {
            "ours": made.ours,
            "compared": made.compared,
            "equal": made.equal,
            "others": made.others,
            "paid_there": made.paid_there,
        },
        "sums": {sort: [_row(key[1:], row) for key, row in _rows(made, sort)] for sort in SIGNS},
        "turnover": [_row(key, row) for key, row in _turnover(made)],
        "findings": [
            {
                "sort": item.sort,
                "code": item.code,
                "order": item.order_id,
                "name": item.order_name,
                "document": item.document,
                "message": item.message,
            }
            for item in made.findings
        ],
        "notices": [
            {"code": item.code, "order": item.order_id, "document": item.document, "message": item.message}
            for item in made.notices
        ],
        "waiting": _codes(made, "waiting"),
        "excluded": _codes(made, "excluded"),
        "orders": [
            {"order": item.order_id, "name": item.name, "status": item.status, "code": item.code}
            for item in sorted(made.orders, key=lambda item: item.order_id)
        ],
    }
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return data | {"made_at": made_at, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _codes(made: PeriodCertificate, status: str) -> dict[str, int]:
    return dict(sorted(Counter(item.code or "" for item in made.orders if item.status == status).items()))


_Key = tuple[str, int, Decimal]


def _place(key: _Key) -> _Key:
    return key[0], key[1], -key[2]


def _rows(made: PeriodCertificate, sort: str) -> list[tuple[tuple[str, str, int, Decimal], Row]]:
    found = [(key, row) for key, row in made.sums.items() if key[0] == sort]
    return sorted(found, key=lambda item: _place(item[0][1:]))


def _turnover(made: PeriodCertificate) -> list[tuple[_Key, Row]]:
    return sorted(made.turnover.items(), key=lambda item: _place(item[0]))


def _row(key: _Key, row: Row) -> dict[str, Any]:
    currency, rule, rate = key
    return {
        "currency": currency,
        "tax_rule": rule,
        "tax_rate": rate_text(rate),
        "documents": row.documents,
        "gross_minor": row.gross,
        "net_minor": row.net,
        "tax_minor": row.tax,
    }


# -- for people ---------------------------------------------------------------------------------------------------


def _show(tenant: str, period: Period, made: PeriodCertificate) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    counts, orders = made.counts, len(made.orders)
    running = ", not over yet" if made.running else ""
    one_day = period.until - period.since == timedelta(days=1)
    named = f"{period.since:%d %B %Y}" if one_day else f"{period.since:%B %Y}"
    console.print(f"[bold]{tenant}[/bold]  {named}{running}, {period.time_zone}")
    colour = "green" if not made.findings and made.accounted == orders else "red"
    console.print(f"[bold {colour}]{made.accounted:,} of {orders:,} orders of {named} accounted for, to the cent[/]")
    parts = [
        f"{counts['documented']:,} documented",
        f"{counts['waiting']:,} wait",
        f"{counts['excluded']:,} are excluded",
    ]
    if counts["asked"]:
        parts.append(f"{counts['asked']:,} need a person")
    if counts["missing"]:
        parts.append(f"{counts['missing']:,} were never settled")
    if made.young:
        parts.append(f"{made.young:,} things changed too lately to be judged")
    console.print("  " + ", ".join(parts))
    console.print(f"  {made.equal:,} of {made.compared:,} documents of ours are the same in sevdesk", end="; ")
    console.print(f"{made.ours:,} are dated in the month, {made.others:,} others there are not this shop's")
    if made.paid_there:
        console.print(f"  {made.paid_there:,} of them were paid in sevdesk, as their payment methods have it")
    _sums(console, made)
    for status, title in (("waiting", "waiting"), ("excluded", "excluded")):
        _by_code(console, made, status, title)
    _findings(console, made)
    if made.notices:
        console.print("[bold]belongs to another return[/bold]")
    for item in made.notices:
        console.print(f"  {item.code:16} {item.order_name or ''} {item.document or ''}: {item.message}")


def _sums(console: Console, made: PeriodCertificate) -> None:
    from rich.table import Table

    table = Table("documents", "rule", "rate", "count", "gross", "net", "VAT")
    for column in table.columns[3:]:
        column.justify = "right"
    for sort, title in _TITLES.items():
        for key, row in _rows(made, sort):
            _line(table, title, key[1:], row)
    if not table.row_count:
        return
    table.add_section()
    for turnover, row in _turnover(made):
        _line(table, "[bold]turnover[/bold]", turnover, row)
    console.print(table)


def _line(table: Table, title: str, key: _Key, row: Row) -> None:
    currency, rule, rate = key
    amounts = (f"{to_decimal(value)} {currency}" for value in (row.gross, row.net, row.tax))
    table.add_row(title, str(rule), f"{rate_text(rate)} %", str(row.documents), *amounts)


def _by_code(console: Console, made: PeriodCertificate, status: str, title: str) -> None:
    from rich.markup import escape

    from ladenbuch.web.codes import sentence

    by_code: dict[str, list[str]] = {}
    for item in named(made.orders, status):
        by_code.setdefault(item.code or "", []).append(item.name)
    for code, names in by_code.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        console.print(f"{title:9} {code}: {len(names)}  {escape(sentence('en', code))}")
        console.print(f"{'':9} [dim]{escape(', '.join(names[:_NAMED]))}{more}[/dim]")


def _findings(console: Console, made: PeriodCertificate) -> None:
    from rich.markup import escape
    from rich.table import Table

    for sort in SORTS:
        found = [item for item in made.findings if item.sort == sort]
        if not found:
            continue
        table = Table(
            "code", "order", "document", "what", title=f"{_HEADINGS[sort]}: {len(found)}", title_justify="left"
        )
        for item in found:
            texts = (item.order_name or "", item.document or "", item.message)
            table.add_row(item.code, *(escape(text) for text in texts))
        console.print(table)
