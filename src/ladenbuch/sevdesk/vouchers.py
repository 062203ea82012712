"""Expense receipts: the paper of fees that a provider takes for itself (facts 2.12).

    account_for(number, rule, rate)     which bookkeeping account a position may name, read per tenant
    find_vouchers(description)          what carries our key already
    create_voucher(...)                 one receipt; a draft waits for a person
    book_voucher(...)                   the line on the account pays it

sevdesk calls an expense `C`. Amounts in cents, gross.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ladenbuch.domain.money import to_decimal
from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import finding, reading
from ladenbuch.sevdesk.accounts import BookingLog, booking
from ladenbuch.sevdesk.paper import line as one_line
from ladenbuch.sevdesk.paper import reference
from ladenbuch.sevdesk.reading import Json
from ladenbuch.sevdesk.room import Room, checked, written

DRAFT, OPEN, PAID = 50, 100, 1000
_EXPENSE = "C"
#: How sevdesk's guidance names rates.
_RATES = {"0": "ZERO", "7": "SEVEN", "19": "NINETEEN"}


@dataclass(frozen=True, slots=True)
class RemoteVoucher:
    """A receipt as sevdesk holds it. `status` 50 draft, 100 open, 750 partly paid, 1000 paid."""

    id: str
    status: int
    description: str
    side: str
    tax_rule: int | None
    day: date | None
    gross: int
    net: int
    tax: int
    paid: int
    supplier: str = field(default="", repr=False)

    @property
    def is_expense(self) -> bool:
        """Whether it is money out."""
        return self.side == _EXPENSE


def remote_voucher(row: Json) -> RemoteVoucher:
    """One row of a voucher list."""
    rule = row.get("taxRule")
    return RemoteVoucher(
        id=reading.identity(row.get("id"), "voucher id"),
        status=reading.integer(row.get("status"), "voucher status"),
        description=reading.text(row.get("description")) or "",
        side=reading.text(row.get("creditDebit")) or "",
        tax_rule=None if rule is None else int(reading.identity(rule, "tax rule")),
        day=reading.day(row.get("voucherDate"), "voucherDate"),
        gross=reading.cents(row.get("sumGross"), "sumGross"),
        net=reading.cents(row.get("sumNet"), "sumNet"),
        tax=reading.cents(row.get("sumTax"), "sumTax"),
        paid=reading.cents(row.get("paidAmount") or 0, "paidAmount"),
        supplier=reading.text(row.get("supplierName")) or "",
    )


class Vouchers(Room):
    """Expense receipts."""

    def account_for(self, number: str, rule: int, rate: str) -> str:
        """The id of the bookkeeping account `number` for expenses under `rule` at `rate` percent.

        Raises `Rejected("FEE-ACCOUNT")` where this tenant has no such account, or may not use it so.
        """
        path = "/ReceiptGuidance/forExpense"
        rows = reading.many(self._calls.json("GET", path, path), "accounts of expenses")
        for row in rows:
            if reading.text(row.get("accountNumber")) == number and _allows(row, rule, rate):
                return reading.identity(row.get("accountDatevId"), "accountDatevId")
        said = f"account {number} does not exist for expenses under rule {rule} at {rate} %"
        raise Rejected("FEE-ACCOUNT", said, detail={"account": number, "rule": str(rule)})

    def find_vouchers(self, description: str) -> list[RemoteVoucher]:
        """The receipts whose description is exactly this, oldest first; sevdesk searches for parts of it."""
        query = [("descriptionLike", description)]
        found = []
        for row in finding.matching(self._calls, "/Voucher", query):
            one = remote_voucher(row)
            if description.casefold() not in one.description.casefold():
                raise finding.implausible("/Voucher")
            if one.description.strip() == description:
                found.append(one)
        return sorted(found, key=lambda one: int(one.id))

    def get_voucher(self, voucher_id: str) -> RemoteVoucher | None:
        """A receipt as it is now; None only when sevdesk says it does not know it."""
        path = f"/Voucher/{checked(voucher_id)}"
        row = finding.by_id(self._calls, "/Voucher/{id}", path, voucher_id)
        return None if row is None else remote_voucher(row)

    def create_voucher(
        self,
        *,
        description: str,
        supplier: str,
        day: date,
        rule: int,
        rate: str,
        account_id: str,
        positions: Sequence[tuple[str, int]],
        draft: bool,
    ) -> RemoteVoucher:
        """A new expense receipt, gross. Find first: nothing keeps sevdesk from two."""
        voucher = {
            "objectName": "Voucher",
            "mapAll": True,
            "voucherType": "VOU",
            "creditDebit": _EXPENSE,
            "status": DRAFT if draft else OPEN,
            "voucherDate": reading.german(day),
            "deliveryDate": reading.german(day),
            "description": reading.plain(description),
            "supplierName": one_line(supplier),
            "currency": "EUR",
            "taxRule": reference(str(rule), "TaxRule"),
        }
        listed = [
            {
                "objectName": "VoucherPos",
                "mapAll": True,
                "accountDatev": reference(checked(account_id), "AccountDatev"),
                "taxRate": int(rate),
                "net": False,
                "sumGross": to_decimal(cents),
                "comment": one_line(text),
            }
            for text, cents in positions
        ]
        body = {"voucher": voucher, "voucherPosSave": listed, "voucherPosDelete": None}
        path = "/Voucher/Factory/saveVoucher"
        answer = self._calls.json("POST", path, path, body=body)

        def saved() -> RemoteVoucher:
            found = reading.one(answer, "voucher")
            row = found.get("voucher", found)
            if not isinstance(row, Mapping):
                raise reading.shape("voucher")
            one = remote_voucher(dict(row))
            if one.description.strip() != description:
                raise reading.shape("voucher")
            return one

        return written(saved)

    def book_voucher(
        self, voucher_id: str, amount: int, day: date, account_id: str, transaction_id: str | None
    ) -> BookingLog:
        """Pay a receipt with a line; `amount` in cents, signed as the line is."""
        answer = self._book("Voucher", voucher_id, amount, day, account_id, transaction_id)
        return written(lambda: booking(answer))


def _allows(row: Mapping[str, Any], rule: int, rate: str) -> bool:
    """Whether a row of the guidance lists the rule with the rate; a rule without rates takes any."""
    rules = row.get("allowedTaxRules")
    for item in rules if isinstance(rules, list) else ():
        if isinstance(item, Mapping) and str(item.get("id")) == str(rule):
            rates = item.get("taxRates")
            return not isinstance(rates, list) or not rates or _RATES[rate] in rates
    return False
