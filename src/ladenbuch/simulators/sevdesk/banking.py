"""Transactions on payment accounts, and the booking of money on documents (facts 2.9, 2.10)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import NoReturn

from ladenbuch.simulators.http import SimResponse
from ladenbuch.simulators.sevdesk.accounts import account
from ladenbuch.simulators.sevdesk.call import Call, Routes, answer, wrapped
from ladenbuch.simulators.sevdesk.listing import Nested, Query, Test, page
from ladenbuch.simulators.sevdesk.wire import (
    ApiError,
    Json,
    cents_out,
    date_out,
    instant_out,
    local_day,
    midnight,
    not_found,
    parse_date,
    parse_int,
    parse_ref,
    ref,
    refuse,
    text_or_none,
    to_cents,
)
from ladenbuch.simulators.sevdesk.world import Account, Booking, Document, Transaction, World, keys

_SIMULATED_TYPES = ("FULL_PAYMENT", "N")
_OTHER_TYPES = ("CB", "O", "OF", "MTC")
AUTO_MAP_SECONDS = 2.0


# --- transactions ---


def transaction(world: World, identifier: int) -> Transaction:
    found = world.transactions.get(identifier)
    if found is None:
        not_found("CheckAccountTransaction")
    return found


def create_transaction(call: Call) -> SimResponse:
    """POST /CheckAccountTransaction: only on online accounts."""
    world, body = call.world, call.body
    for name in ("valueDate", "amount", "checkAccount", "status"):
        if body.get(name) in (None, ""):
            raise ApiError(400, f"{name} required")
    if "payeePayerName" not in body:
        raise ApiError(400, "payeePayerName required")
    owner = account(world, parse_ref(body["checkAccount"], "CheckAccount", "checkAccount"))
    if owner.type != "online":
        refuse("transactions can only be created on accounts of type online")
    status = parse_int(body["status"])
    if status not in (100, 200, 300, 400):
        refuse("status must be 100, 200, 300 or 400")
    entry = body.get("entryDate")
    line = add_transaction(
        world,
        owner,
        to_cents(body["amount"], "amount"),
        parse_date(body["valueDate"], "valueDate"),
        purpose=text_or_none(body.get("paymtPurpose")) or "",
        payee=text_or_none(body.get("payeePayerName")) or "",
        entry_day=parse_date(entry, "entryDate") if entry else None,
    )
    line.status = status
    line.fields = {name: text_or_none(body.get(name)) for name in ("payeePayerAcctNo", "payeePayerBankCode")}
    if owner.auto_map and status == 100:
        map_later(world, line)
    return wrapped(write_transaction(line), 201)


def add_transaction(
    world: World,
    owner: Account,
    amount: int,
    day: date,
    *,
    purpose: str = "",
    payee: str = "",
    entry_day: date | None = None,
) -> Transaction:
    """A line on an account, in cents."""
    now = world.now
    line = Transaction(world.new_id(), owner.id, amount, day, entry_day or local_day(now), purpose, payee, now, now)
    world.transactions[line.id] = line
    world.purposes.put(line.id, purpose)
    return line


def map_later(world: World, line: Transaction) -> None:
    """In a moment the service looks for an open invoice the line may pay."""
    world.later(AUTO_MAP_SECONDS, lambda: _map_by_itself(world, line))


def unlink(world: World, line: Transaction) -> None:
    """Take a line off the documents it is linked to: they are open again, and the line is free."""
    for kind, identifier in line.documents:
        document = world.documents[kind].get(identifier)
        if document is None:
            continue
        before = keys(document)
        document.bookings = [one for one in document.bookings if one.transaction != line.id]
        document.status = 750 if document.bookings else 200
        document.pay_day = None
        world.touch(document)
        world.reindex(document, before)
    line.documents, line.booked, line.status, line.linked_at = [], 0, 100, None
    world.touch(line)


def _map_by_itself(world: World, line: Transaction) -> None:
    """autoMapTransaction: an unlinked line meets the oldest invoice with exactly this open amount (facts
    5.1.19).
    """
    if line.status != 100 or line.deleted_at is not None:
        return
    for invoice in world.by("Invoice", "open", line.amount):
        book(world, invoice, line, line.amount, line.value_day)
        return


def write_transaction(row: Transaction) -> Json:
    return {
        "id": str(row.id),
        "objectName": "CheckAccountTransaction",
        "create": instant_out(row.created_at),
        "update": instant_out(row.updated_at),
        "valueDate": date_out(row.value_day),
        "entryDate": date_out(row.entry_day),
        "paymtPurpose": row.purpose,
        "amount": cents_out(row.amount),
        "payeePayerName": row.payee,
        "checkAccount": ref("CheckAccount", row.account),
        "status": str(row.status),
        "sourceTransaction": None,
        "targetTransaction": None,
        "enshrined": instant_out(row.enshrined_at),
        "deletedAt": instant_out(row.deleted_at),
        **row.fields,
    }


def _day_bound(text: str) -> int | None:
    """Transaction date filters take unix seconds and ISO days (facts 1.4)."""
    number = parse_int(text)
    if number is not None:
        return number
    try:
        return midnight(parse_date(text, "date"))
    except ApiError:
        return None


def _from(row: Transaction, text: str) -> bool:
    bound = _day_bound(text)
    return bound is not None and midnight(row.entry_day) >= bound


def _to(row: Transaction, text: str) -> bool:
    bound = _day_bound(text)
    return bound is not None and midnight(row.entry_day) <= bound


_FILTERS: dict[str, Test[Transaction]] = {
    "paymtPurpose": lambda row, text: text in row.purpose,  # substring: "shop:1" finds "shop:12" (facts 5.1.21)
    "payeePayerName": lambda row, text: text in row.payee,
    "startDate": _from,
    "endDate": _to,
    "isBooked": lambda row, text: row.status >= 200 if text in ("true", "1") else True,  # false is ignored
    "onlyCredit": lambda row, text: text not in ("true", "1") or row.amount > 0,
    "onlyDebit": lambda row, text: text not in ("true", "1") or row.amount < 0,
}


def list_transactions(call: Call) -> SimResponse:
    """GET /CheckAccountTransaction; deleted ones are left out of lists."""
    nested: dict[str, Nested[Transaction]] = {
        "checkAccount": Nested("CheckAccount", lambda row, value: row.account == value)
    }
    return answer(
        page(
            call.world,
            call.query,
            _candidates(call.world, call.query),
            write_transaction,
            lambda row: row.created_at,
            _FILTERS,
            nested,
        )
    )


def _candidates(world: World, query: Query) -> Iterable[Transaction]:
    rows: Iterable[Transaction] = world.transactions.values()
    if "paymtPurpose" in query.plain:
        rows = (world.transactions[found] for found in world.purposes.find(query.plain["paymtPurpose"]))
    return (row for row in rows if row.deleted_at is None)


def one_transaction(call: Call) -> SimResponse:
    """GET /CheckAccountTransaction/{id}: also deleted ones, with deletedAt."""
    return wrapped([write_transaction(transaction(call.world, call.id))])


def change_transaction(call: Call) -> SimResponse:
    """PUT /CheckAccountTransaction/{id}: purpose, payee, dates and amount while unlinked."""
    world, row, body = call.world, transaction(call.world, call.id), call.body
    if row.deleted_at is not None or row.enshrined_at is not None:
        refuse("the transaction cannot be changed")
    if row.status != 100 and ("amount" in body or "valueDate" in body):
        refuse("the transaction is linked")
    if "amount" in body:
        row.amount = to_cents(body["amount"], "amount")
    if "valueDate" in body:
        row.value_day = parse_date(body["valueDate"], "valueDate")
    if "paymtPurpose" in body:
        row.purpose = text_or_none(body["paymtPurpose"]) or ""
        world.purposes.put(row.id, row.purpose)
    if "payeePayerName" in body:
        row.payee = text_or_none(body["payeePayerName"]) or ""
    if "status" in body and parse_int(body["status"]) in (100, 300):
        if row.documents:
            refuse("the transaction is linked")
        row.status = parse_int(body["status"]) or 100
    world.touch(row)
    return wrapped(write_transaction(row))


def delete_transaction(call: Call) -> SimResponse:
    """DELETE /CheckAccountTransaction/{id}: only status 100; the row stays readable by id."""
    row = transaction(call.world, call.id)
    if row.status != 100 or row.enshrined_at is not None or row.deleted_at is not None:
        raise ApiError(409, "CheckAccountTransaction cannot be deleted", 159)
    row.deleted_at = call.world.now
    call.world.touch(row)
    return wrapped([None, None])


def enshrine_transaction(call: Call) -> SimResponse:
    """PUT /CheckAccountTransaction/{id}/enshrine."""
    row = transaction(call.world, call.id)
    if row.status == 100:
        refuse("only a linked transaction can be enshrined")
    row.enshrined_at = row.enshrined_at or call.world.now
    call.world.touch(row)
    return wrapped(write_transaction(row))


# --- booking ---


def book_amount(call: Call, kind: str) -> SimResponse:
    """PUT /{kind}/{id}/bookAmount (facts 2.9): answers a log record, `ammountPayed` spelt as the service
    does.
    """
    world, body = call.world, call.body
    document = world.document(kind, call.id)
    for name in ("amount", "date", "type", "checkAccount"):
        if body.get(name) in (None, ""):
            raise ApiError(400, f"{name} required")
    _check_type(body["type"])
    amount, day = to_cents(body["amount"], "amount"), parse_date(body["date"], "date")
    if document.status == 100:
        refuse("a draft cannot be paid")
    if document.status == 1000 or document.open <= 0:
        refuse("already paid", 750)
    owner = account(world, parse_ref(body["checkAccount"], "CheckAccount", "checkAccount"))
    given = body.get("checkAccountTransaction")
    if given is None and owner.type == "online":
        refuse("checkAccountTransaction is required for an account of type online")
    sign = -1 if kind == "CreditNote" else 1
    if given is None and kind == "CreditNote":
        # On an offline account a positive amount settles a credit note; the sign of anything else is
        # unproven.
        amount = -amount
    if amount * sign <= 0:
        refuse("the sign of the amount does not fit the document")
    if abs(amount) > document.open and not world.switches.overpayment:
        refuse("more than the open amount is unproven and refused")
    line = _line_for(world, document, owner, given, amount, day)
    before = document.status
    book(world, document, line, amount, line.value_day)
    return wrapped(_log(world, document, before, abs(amount), line))


def _check_type(kind: object) -> None:
    if kind in _SIMULATED_TYPES:
        return
    if kind == "CF":
        refuse("currency fluctuations can no longer be booked")
    if kind in _OTHER_TYPES:
        refuse("payment differences are not simulated")
    refuse("unknown booking type")


def _line_for(world: World, document: Document, owner: Account, given: object, amount: int, day: date) -> Transaction:
    if given is None:
        contact = None if document.contact is None else world.thing("Contact", document.contact)
        name = contact and (contact.fields.get("name") or contact.fields.get("familyname"))
        return add_transaction(world, owner, amount, day, payee=str(name or ""), entry_day=day)
    line = transaction(world, parse_ref(given, "CheckAccountTransaction", "checkAccountTransaction"))
    if line.deleted_at is not None:
        not_found("CheckAccountTransaction")
    if line.account != owner.id:
        refuse("the transaction belongs to another account")
    _check_line(world, line, amount)
    return line


def _check_line(world: World, line: Transaction, amount: int) -> None:
    rest = line.amount - line.booked
    if world.switches.split_transactions:
        if line.status == 300 or rest == 0:
            _linked()
        if rest * amount <= 0 or abs(amount) > abs(rest):
            refuse("the amount does not fit what is left of the transaction")
        return
    if line.status != 100:
        _linked()
    if amount != line.amount:
        refuse("booking a part of a transaction is unproven and refused")


def _linked() -> NoReturn:
    refuse("the transaction is already linked")


def book(world: World, document: Document, line: Transaction, amount: int, day: date) -> None:
    """Link a transaction to a document and move the document's status: 750 partly, 1000 fully paid."""
    before = keys(document)
    now = world.now
    document.bookings.append(Booking(amount, day, line.id, line.account, now))
    line.booked += amount
    line.documents.append((document.kind, document.id))
    line.status, line.linked_at = 200, now
    document.status = 1000 if document.open <= 0 else 750
    document.pay_day = day if document.status == 1000 else None
    world.touch(document)
    world.touch(line)
    world.reindex(document, before)


def _log(world: World, document: Document, before: int, amount: int, line: Transaction) -> Json:
    now: datetime = world.now
    name = document.kind[0].lower() + document.kind[1:]
    return {
        "id": str(world.new_id()),
        "objectName": f"{document.kind}Log",
        "create": instant_out(now),
        name: ref(document.kind, document.id),
        "fromStatus": str(before),
        "toStatus": str(document.status),
        "ammountPayed": cents_out(amount),
        "bookingDate": date_out(line.value_day),
        "checkAccountTransaction": ref("CheckAccountTransaction", line.id),
        "amountLeft": cents_out(document.open),
    }


ROUTES: Routes = {
    ("GET", "/CheckAccountTransaction"): list_transactions,
    ("POST", "/CheckAccountTransaction"): create_transaction,
    ("GET", "/CheckAccountTransaction/{id}"): one_transaction,
    ("PUT", "/CheckAccountTransaction/{id}"): change_transaction,
    ("DELETE", "/CheckAccountTransaction/{id}"): delete_transaction,
    ("PUT", "/CheckAccountTransaction/{id}/enshrine"): enshrine_transaction,
    ("PUT", "/Invoice/{id}/bookAmount"): lambda call: book_amount(call, "Invoice"),
    ("PUT", "/CreditNote/{id}/bookAmount"): lambda call: book_amount(call, "CreditNote"),
}
