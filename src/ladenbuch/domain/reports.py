"""Settlement reports of providers that Shopify does not pay out: CSV read into movements and one payout (B14). Pure.

Klarna writes one report per payout; its lines name the merchant's order in `merchant_reference1`. How amounts are
written is not proved for every variant of the file, so the bank's line decides: what was read must add up to it.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from ladenbuch.domain.balance import PROVIDER_FEE, Movement, Payout
from ladenbuch.domain.money import to_decimal, to_minor
from ladenbuch.domain.payouts import KnownPayout
from ladenbuch.errors import Rejected

#: Klarna's types of lines -> ours. What is not here waits on the account for its paper.
_TYPES: Mapping[str, str] = {
    "SALE": "CHARGE",
    "RETURN": "REFUND",
    "COMMISSION": PROVIDER_FEE,
    "FEE": PROVIDER_FEE,
    "FEE_REFUND": PROVIDER_FEE,
    "TAX": PROVIDER_FEE,
    "HOLDBACK": "RESERVED_FUNDS",
    "RELEASE": "RESERVED_FUNDS_REVERSAL",
    "REVERSAL": "DISPUTE_WITHDRAWAL",
    "REVERSAL_MERCHANT_PROTECTION": "DISPUTE_REVERSAL",
}
_NEEDED = ("type", "amount", "payment_reference")
_LARGEST = 50_000


@dataclass(frozen=True, slots=True)
class Report:
    """What a file says: a payout and its movements, the transfer included."""

    payout: KnownPayout
    movements: tuple[Movement, ...]


def klarna(text: str, amount: int, paid_on: date, currency: str = "EUR") -> Report:
    """Klarna's settlement report of one payout, of which `amount` cents reached the bank on `paid_on`.

    Raises `Rejected("REPORT")` for a file that is none, and for one that does not add up to the bank's line.
    """
    rows = _rows(text)
    references = {row["payment_reference"].strip() for row in rows}
    if len(references) != 1 or not (reference := references.pop()):
        raise Rejected("REPORT", "the file must hold exactly one payout (payment_reference)")
    if not reference.isascii() or not reference.isalnum() or len(reference) > 40:
        raise Rejected("REPORT", "payment_reference is letters and digits")
    issued = datetime.combine(paid_on, time(12), UTC)
    payout_id, seen, found = f"klarna/payout/{reference}", Counter[str](), list[Movement]()
    for row in rows:
        said = (row.get("currency_code") or row.get("currency") or currency).strip().upper()
        if said != currency:
            raise Rejected("REPORT", f"the report is in {said}, the books are in {currency}")
        kind, cents = row["type"].strip().upper(), _cents(row["amount"])
        at = _at(row.get("capture_date") or row.get("sale_date") or "", issued)
        name = (row.get("merchant_reference1") or row.get("merchant_reference_1") or "").strip()
        mark = "|".join((reference, kind, name, str(cents), at.isoformat(), row.get("capture_id") or ""))
        seen[mark] += 1
        number = hashlib.sha256(f"{mark}|{seen[mark]}".encode()).hexdigest()[:16]
        found.append(
            Movement(
                id=f"klarna/line/{number}", type=_TYPES.get(kind, kind), at=min(at, issued), amount=cents, fee=0,
                net=cents, currency=currency, order_name=name or None, payout_id=payout_id,
                reason=(row.get("detailed_type") or "").strip(),
            )
        )  # fmt: skip
    net = sum(item.net for item in found)
    if net != amount:
        said = f"the report adds up to {to_decimal(net)}, and {to_decimal(amount)} reached the bank"
        raise Rejected("REPORT", said)
    out = Movement(
        id=f"klarna/transfer/{reference}", type="TRANSFER", at=issued, amount=-net, fee=0, net=-net,
        currency=currency, payout_id=payout_id, source_id=reference,
    )  # fmt: skip
    return Report(KnownPayout(Payout(payout_id, issued, "PAID", net, currency, reference), paid_on), (*found, out))


def _rows(text: str) -> list[dict[str, str]]:
    """The lines below the header that names what is needed; a summary may stand above it."""
    lines = text.removeprefix("\ufeff").splitlines()
    for place, line in enumerate(lines[:50]):
        names = [name.strip().strip('"').lower() for name in line.replace(";", ",").split(",")]
        if all(name in names for name in _NEEDED):
            dialect = ";" if ";" in line else ","
            body = [f"{line}\n" for line in (dialect.join(names), *lines[place + 1 :])]
            rows = [dict(row) for row in csv.DictReader(body, delimiter=dialect) if row.get("type")]
            if not 0 < len(rows) <= _LARGEST:
                raise Rejected("REPORT", "the report has no lines, or too many")
            if any(None in row or any(row.get(name) is None for name in _NEEDED) for row in rows):
                raise Rejected("REPORT", "a line of the report is cut off")
            return rows
    raise Rejected("REPORT", f"no line of the file names {', '.join(_NEEDED)}")


def _cents(value: str) -> int:
    try:
        return to_minor(Decimal(value.strip().replace(",", ".")))
    except (InvalidOperation, Rejected):
        raise Rejected("REPORT", f"not an amount: {value[:20]!r}") from None


def _at(value: str, instead: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return instead
    return found.astimezone(UTC) if found.tzinfo else found.replace(hour=12, tzinfo=UTC)
