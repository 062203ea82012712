"""Payment accounts, the lines on them, and bookings: as sevdesk holds them, and the verbs. Amounts in cents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from ladenbuch.domain.money import to_decimal
from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import finding, reading
from ladenbuch.sevdesk.paper import line as one_line
from ladenbuch.sevdesk.paper import reference
from ladenbuch.sevdesk.reading import Json
from ladenbuch.sevdesk.room import Room, checked, written

#: How long after its value date a feed may enter a line.
_LATE_ENTRY = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class CheckAccount:
    """A payment account. `kind`: online (bank feed or file import, takes transactions), offline, register.

    `import_type` is CSV or MT940 for a file-import account, else None. `auto_map`: sevdesk
    matches on its own. `provider`: who brings its lines (FINAPI, PAYPAL), None when nobody does.
    """

    id: str
    name: str
    kind: str
    import_type: str | None
    currency: str
    active: bool
    auto_map: bool
    provider: str | None = None
    number: str | None = None

    @property
    def is_fed(self) -> bool:
        """Lines come by themselves: it is online, and not one of those that files are imported to."""
        return self.provider is not None or (self.kind == "online" and self.import_type is None)


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
    """sevdesk's record of a booking: the document's status before and after, and the amount in cents where it
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
        provider=reading.text(row.get("bankServer")),
        number=reading.text(row.get("accountingNumber")),
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


def booking(answer: Any) -> BookingLog:
    """The log record that `bookAmount` answers with."""
    log = reading.one(answer, "booking")
    before, after, paid = (log.get(name) for name in ("fromStatus", "toStatus", "ammountPayed"))
    return BookingLog(
        from_status=None if before is None else reading.integer(before, "fromStatus"),
        to_status=None if after is None else reading.integer(after, "toStatus"),
        amount=None if paid is None else reading.cents(paid, "ammountPayed"),
    )


def contains_words(haystack: Sequence[str], needle: Sequence[str]) -> bool:
    width = len(needle)
    return any(list(haystack[at : at + width]) == list(needle) for at in range(len(haystack) - width + 1))


def _entered(account_id: str, since: date) -> list[tuple[str, str]]:
    """Lines of an account by the day of entry, which is all sevdesk filters by (facts 1.4)."""
    return [
        ("checkAccount[id]", checked(account_id)),
        ("checkAccount[objectName]", "CheckAccount"),
        ("startDate", since.isoformat()),
    ]


def _numbered(number: str | None) -> dict[str, Any]:
    """The account's number as the description wants it written: an integer."""
    if number is None:
        return {}
    return {"accountingNumber": int(checked(number))}


class Accounts(Room):
    """Payment accounts and the lines on them."""

    def check_accounts(self) -> list[CheckAccount]:
        """All payment accounts of the tenant, in the order of their ids."""
        found = [account(row) for row in finding.everything(self._calls, "/CheckAccount")]
        return sorted(found, key=lambda account: int(account.id))

    def create_file_import_account(self, name: str, *, number: str | None = None) -> CheckAccount:
        """A payment account that takes transactions by API. Look through `check_accounts()` first.

        `number` is its number in the chart of accounts, unique in the tenant; sevdesk chooses one without it.
        """
        body = {"name": name, "importType": "CSV"} | _numbered(number)
        answer = self._calls.json("POST", (path := "/CheckAccount/Factory/fileImportAccount"), path, body=body)
        return written(lambda: account(reading.one(answer, "payment account")))

    def create_offline_account(self, name: str, *, number: str | None = None) -> CheckAccount:
        """A clearing account on which sevdesk makes the lines when something is booked. Look through them all first."""
        body = {"name": name} | _numbered(number)
        answer = self._calls.json("POST", (path := "/CheckAccount/Factory/clearingAccount"), path, body=body)
        return written(lambda: account(reading.one(answer, "payment account")))

    def stop_auto_mapping(self, account_id: str) -> None:
        """Tell sevdesk not to match transactions of this account on its own (it may pick another invoice)."""
        path = f"/CheckAccount/{checked(account_id)}"
        self._calls.json("PUT", "/CheckAccount/{id}", path, body={"autoMapTransaction": "0"})

    def find_transaction(self, account_id: str, key: str) -> RemoteTransaction | None:
        """The line on this account that carries `key`; several: `Rejected("SEVDESK-DUPLICATE")`.

        Money must not be booked on a guess; `find_transactions` shows them all.
        """
        found = self.find_transactions(account_id, key)
        if len(found) > 1:
            ids = [line.id for line in found]
            raise Rejected("SEVDESK-DUPLICATE", "several lines carry the same key", detail={"ids": ids})
        return found[0] if found else None

    def find_transactions(self, account_id: str, key: str) -> list[RemoteTransaction]:
        """The lines on this account whose purpose contains `key` as whole words, oldest first, without deleted ones.

        sevdesk searches for substrings (`SHPTX 1` finds `SHPTX 12`), so words are compared here.
        """
        words = key.split()
        if not words:
            raise Rejected("SEVDESK-KEY", "an empty key would find everything")
        query = [
            ("checkAccount[id]", checked(account_id)),
            ("checkAccount[objectName]", "CheckAccount"),
            ("paymtPurpose", key),
        ]
        found = []
        for row in finding.matching(self._calls, "/CheckAccountTransaction", query):
            line = transaction(row)
            if line.account_id != account_id or key.casefold() not in line.purpose.casefold():
                raise finding.implausible("/CheckAccountTransaction")
            if not line.deleted and contains_words(line.purpose.split(), words):
                found.append(line)
        return sorted(found, key=lambda line: int(line.id))

    def free_lines(self, account_id: str, first: date, last: date) -> list[RemoteTransaction]:
        """Unlinked lines on an account with a value date from `first` to `last`, oldest first.

        sevdesk compares the day of entry, which may be later than the value date, so a month more is read.
        """
        query = [
            ("checkAccount[id]", checked(account_id)),
            ("checkAccount[objectName]", "CheckAccount"),
            ("startDate", first.isoformat()),
            ("endDate", (last + _LATE_ENTRY).isoformat()),
        ]
        found = []
        for row in finding.everything(self._calls, "/CheckAccountTransaction", query):
            line = transaction(row)
            if line.account_id != account_id:
                raise finding.implausible("/CheckAccountTransaction")
            dated = line.value_date is not None and first <= line.value_date <= last
            if dated and not line.deleted and not line.is_linked:
                found.append(line)
        return sorted(found, key=lambda line: int(line.id))

    def bank_lines(self, account_id: str, since: date) -> list[RemoteTransaction]:
        """Every line of an account entered on a day or later, linked or not, oldest first; without deleted ones."""
        found = []
        for row in finding.everything(self._calls, "/CheckAccountTransaction", _entered(account_id, since)):
            line = transaction(row)
            if line.account_id != account_id:
                raise finding.implausible("/CheckAccountTransaction")
            if not line.deleted:
                found.append(line)
        return sorted(found, key=lambda line: int(line.id))

    def count_lines(self, account_id: str, since: date) -> int | None:
        """How many lines of an account were entered on a day or later; None where sevdesk does not count."""
        query = [*_entered(account_id, since), ("limit", "1"), ("countAll", "true")]
        answer = self._calls.json("GET", (path := "/CheckAccountTransaction"), path, query=query)
        total = answer.get("total") if isinstance(answer, dict) else None
        return None if total is None else reading.integer(total, "total")

    def delete_transaction(self, transaction_id: str) -> None:
        """Delete an unlinked line (a double that a given-up call left behind); one that is gone is fine."""
        path = f"/CheckAccountTransaction/{checked(transaction_id)}"
        self._delete("/CheckAccountTransaction/{id}", path)

    def create_transaction(
        self, account_id: str, amount: int, value_date: date, payer: str, purpose: str
    ) -> RemoteTransaction:
        """A new line on a file-import account; `amount` in cents, negative for money out. Find first."""
        body = {
            "valueDate": reading.german(value_date),
            "amount": to_decimal(amount),
            "status": 100,
            "payeePayerName": one_line(payer) or "-",
            "paymtPurpose": reading.plain(purpose),
            "checkAccount": reference(checked(account_id), "CheckAccount"),
        }
        answer = self._calls.json("POST", (path := "/CheckAccountTransaction"), path, body=body)

        def created() -> RemoteTransaction:
            line = transaction(reading.one(answer, "transaction"), account_id=account_id)
            if (line.amount, line.account_id) != (amount, account_id):
                raise reading.shape("transaction")
            return line

        return written(created)

    def balance_at(self, account_id: str, day: date) -> int:
        """What stands on an account at the end of a day, in cents."""
        path = f"/CheckAccount/{checked(account_id)}/getBalanceAtDate"
        answer = self._calls.json("GET", "/CheckAccount/{id}/getBalanceAtDate", path, query=[("date", day.isoformat())])
        found = reading.unwrap(answer)
        return reading.cents(found, "balance")

    def get_transaction(self, transaction_id: str) -> RemoteTransaction | None:
        """A line as it is now, deleted ones too; None only when sevdesk says it does not know it."""
        path = f"/CheckAccountTransaction/{checked(transaction_id)}"
        row = finding.by_id(self._calls, "/CheckAccountTransaction/{id}", path, transaction_id)
        return transaction(row) if row is not None else None
