"""Payment accounts, the lines on them, and bookings, as sevdesk holds them. Amounts in cents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from ladenbuch.sevdesk import reading
from ladenbuch.sevdesk.reading import Json


@dataclass(frozen=True, slots=True)
class CheckAccount:
    """A payment account. `kind`: online (bank feed or file import, takes transactions), offline, register.

    `import_type` is CSV or MT940 for a file-import account, else None. `auto_map`: sevdesk
    matches on its own.
    """

    id: str
    name: str
    kind: str
    import_type: str | None
    currency: str
    active: bool
    auto_map: bool


@dataclass(frozen=True, slots=True)
class RemoteTransaction:
    """A line on a payment account. `amount` in cents, signed. `status`: 100 created, 200 linked, 300 private,
    400 booked.
    """

    id: str
    account_id: str
    amount: int
    status: int
    value_date: date | None
    purpose: str
    payer: str | None = field(repr=False, default=None)
    deleted: bool = False

    @property
    def is_linked(self) -> bool:
        """Assigned to a document, a transfer, or put aside by a person."""
        return self.status >= 200


@dataclass(frozen=True, slots=True)
class BookingLog:
    """sevdesk's record of a booking: the invoice's status before and after, and the amount in cents where it
    says so.
    """

    from_status: int | None
    to_status: int | None
    amount: int | None


def account(row: Json) -> CheckAccount:
    status = reading.text(row.get("status"))
    mapping = row.get("autoMapTransactions", row.get("autoMapTransaction"))
    return CheckAccount(
        id=reading.identity(row.get("id"), "account id"),
        name=reading.text(row.get("name")) or "",
        kind=reading.text(row.get("type")) or "",
        import_type=reading.text(row.get("importType")),
        currency=reading.text(row.get("currency")) or "EUR",
        active=status != "0",
        auto_map=True if mapping is None else reading.flag(mapping),
    )


def transaction(row: Json, *, account_id: str | None = None) -> RemoteTransaction:
    account = row.get("checkAccount") or account_id
    return RemoteTransaction(
        id=reading.identity(row.get("id"), "transaction id"),
        account_id=reading.identity(account, "transaction's account"),
        amount=reading.cents(row.get("amount"), "transaction amount"),
        status=reading.integer(row.get("status"), "transaction status"),
        value_date=reading.day(row.get("valueDate"), "valueDate"),
        purpose=reading.text(row.get("paymtPurpose")) or "",
        payer=reading.text(row.get("payeePayerName")),
        deleted=row.get("deletedAt") not in (None, "", "0"),
    )


def contains_words(haystack: Sequence[str], needle: Sequence[str]) -> bool:
    width = len(needle)
    return any(list(haystack[at : at + width]) == list(needle) for at in range(len(haystack) - width + 1))
