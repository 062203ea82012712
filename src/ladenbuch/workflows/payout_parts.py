"""A bank line, taken apart: the payout it is, and the orders, fees and disputes that payout holds (B14)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ladenbuch import books, payouts
from ladenbuch.db import Transaction
from ladenbuch.domain.balance import Movement
from ladenbuch.domain.payouts import KnownPayout, parts_of

#: How long a transfer may be on its way to the bank.
_ON_ITS_WAY = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Part:
    """What a payout holds of one order, or of something that is no order's (`order_id` None): amounts in cents."""

    order_id: str | None
    order_name: str
    types: tuple[str, ...]
    gross: int
    fee: int
    net: int
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A payout down to its orders. `residual` is what its parts do not explain; `lines` are the keys that stand."""

    known: KnownPayout
    parts: tuple[Part, ...]
    lines: tuple[str, ...]
    voucher: str | None

    @property
    def residual(self) -> int:
        """0 when every cent of the payout belongs to a part."""
        return self.known.payout.net - sum(part.net for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """For `--json`; amounts in minor units."""
        return {
            **payout_json(self.known), "residual": self.residual, "lines": list(self.lines), "voucher": self.voucher,
            "parts": [
                {"order": part.order_id, "name": part.order_name, "types": list(part.types), "gross": part.gross,
                 "fee": part.fee, "net": part.net, "documents": list(part.documents)}
                for part in self.parts
            ],
        }  # fmt: skip


def payout_json(known: KnownPayout) -> dict[str, Any]:
    """A payout by itself."""
    one = known.payout
    return {
        "payout": one.number, "issued_at": one.issued_at.isoformat(), "status": one.status, "net": one.net,
        "currency": one.currency, "trace": one.trace,
        "paid_on": None if known.paid_on is None else known.paid_on.isoformat(),
    }  # fmt: skip


def of_bank_line(tx: Transaction, tenant: str, gateway: str, amount: int, day: date) -> list[KnownPayout]:
    """The payouts a line of the bank may be: of its amount, and issued up to ten days before its day."""
    return [
        item
        for item in payouts.known_payouts(tx, tenant, gateway)
        if item.payout.net == amount and timedelta(0) <= day - item.payout.issued_at.date() <= _ON_ITS_WAY
    ]


def breakdown(tx: Transaction, tenant: str, gateway: str, payout_id: str) -> Breakdown | None:
    """A payout by its id or number, None where nobody has heard of it."""
    known = next(
        (
            item
            for item in payouts.known_payouts(tx, tenant, gateway)
            if payout_id in (item.id, item.payout.number, item.payout.trace)
        ),
        None,
    )
    if known is None:
        return None
    listed = payouts.known_movements(tx, tenant, gateway, of=[known.id])
    grouped: dict[str | None, list[Movement]] = {}
    for item in parts_of(listed).get(known.id, []):
        grouped.setdefault(item.order_id, []).append(item)
    numbers = books.numbers_of_orders(tx, tenant, [one for one in grouped if one is not None])
    parts = tuple(
        Part(
            order_id,
            next((item.order_name for item in some if item.order_name), "") if order_id else "",
            tuple(dict.fromkeys(item.type for item in some)),
            sum(item.amount for item in some),
            sum(item.fee for item in some),
            sum(item.net for item in some),
            numbers.get(order_id or "", ()),
        )
        for order_id, some in grouped.items()
    )
    written = payouts.written(tx, tenant, gateway, known.id)
    keys = tuple(key for key in written if key.split()[-1] == known.payout.number)
    voucher = payouts.vouchers_of(tx, tenant, gateway).get(f"SHPFEE-{known.payout.number}")
    return Breakdown(
        known, tuple(sorted(parts, key=_in_order)), keys, None if voucher is None else voucher.sevdesk_id or None
    )


def _in_order(part: Part) -> tuple[bool, str, str]:
    return part.order_id is None, part.order_name, ",".join(part.types)
