"""Payment accounts: online ones take API transactions, offline ones do not (facts 2.10)."""

from __future__ import annotations

from datetime import date

from ladenbuch.simulators.http import SimResponse
from ladenbuch.simulators.sevdesk.call import Call, Routes, answer, wrapped
from ladenbuch.simulators.sevdesk.listing import Test, page
from ladenbuch.simulators.sevdesk.wire import (
    ApiError,
    Json,
    cents_out,
    flag_out,
    instant_out,
    not_found,
    parse_date,
    parse_flag,
    ref,
    refuse,
    text_or_none,
)
from ladenbuch.simulators.sevdesk.world import Account, World


def account(world: World, identifier: int) -> Account:
    found = world.accounts.get(identifier)
    if found is None:
        not_found("CheckAccount")
    return found


def open_account(
    world: World,
    name: str,
    kind: str,
    *,
    import_type: str | None = None,
    number: str | None = None,
    bank_server: str | None = None,
) -> Account:
    """A new account; accounting numbers are unique per tenant. `bank_server`: who brings its lines."""
    if number is not None and any(other.accounting_number == number for other in world.accounts.values()):
        refuse("accountingNumber is already in use")
    now = world.now
    opened = Account(world.new_id(), name, kind, import_type, number, now, now, bank_server=bank_server)
    world.accounts[opened.id] = opened
    return opened


def create_clearing(call: Call) -> SimResponse:
    """POST /CheckAccount/Factory/clearingAccount {name, accountingNumber?}: offline."""
    name = _name(call.body)
    number = text_or_none(call.body.get("accountingNumber"))
    return wrapped(write_account(call.world, open_account(call.world, name, "offline", number=number)), 201)


def create_file_import(call: Call) -> SimResponse:
    """POST /CheckAccount/Factory/fileImportAccount {name, importType, ...}: online, accepts API transactions."""
    body = call.body
    name = _name(body)
    kind = body.get("importType")
    if kind not in ("CSV", "MT940"):
        raise ApiError(400, "importType must be CSV or MT940")
    number = text_or_none(body.get("accountingNumber"))
    opened = open_account(call.world, name, "online", import_type=str(kind), number=number)
    opened.iban = text_or_none(body.get("iban"))
    opened.auto_map = True  # the tenant's default; a connector turns it off on its own accounts (facts 2.10)
    return wrapped(write_account(call.world, opened), 201)


def _name(body: Json) -> str:
    name = text_or_none(body.get("name"))
    if not name:
        raise ApiError(400, "name required")
    return name


def write_account(world: World, row: Account) -> Json:
    return {
        "id": str(row.id),
        "objectName": "CheckAccount",
        "create": instant_out(row.created_at),
        "update": instant_out(row.updated_at),
        "sevClient": ref("SevClient", world.switches.company_id),
        "name": row.name,
        "type": row.type,
        "importType": row.import_type,
        "iban": row.iban,
        "currency": row.currency,
        "defaultAccount": flag_out(row.default),
        "status": str(row.status),
        "bankServer": row.bank_server,
        "autoMapTransaction": flag_out(row.auto_map),
        "autoSyncTransactions": flag_out(row.bank_server is not None),
        "accountingNumber": row.accounting_number,
        "balance": cents_out(balance(world, row.id, None)),
    }


def balance(world: World, identifier: int, until: date | None) -> int:
    """Cents on an account at the end of a day in Berlin; deleted transactions do not count."""
    return sum(
        line.amount
        for line in world.transactions.values()
        if line.account == identifier and line.deleted_at is None and (until is None or line.value_day <= until)
    )


def list_accounts(call: Call) -> SimResponse:
    """GET /CheckAccount."""
    filters: dict[str, Test[Account]] = {}
    rows = call.world.accounts.values()
    return answer(
        page(
            call.world,
            call.query,
            rows,
            lambda row: write_account(call.world, row),
            lambda row: row.created_at,
            filters,
        )
    )


def one_account(call: Call) -> SimResponse:
    """GET /CheckAccount/{id}: a one-element list."""
    return wrapped([write_account(call.world, account(call.world, call.id))])


def change_account(call: Call) -> SimResponse:
    """PUT /CheckAccount/{id}: name, accountingNumber, autoMapTransaction (the plural spelling is ignored)."""
    row, body = account(call.world, call.id), call.body
    for name in body:
        if name not in ("name", "accountingNumber", "autoMapTransaction", "iban", "status", "id", "objectName"):
            call.world.ignored[f"CheckAccount.{name}"] += 1
    if "name" in body:
        row.name = _name(body)
    if "accountingNumber" in body:
        row.accounting_number = text_or_none(body["accountingNumber"])
    if "autoMapTransaction" in body:
        row.auto_map = parse_flag(body["autoMapTransaction"])
    call.world.touch(row)
    return wrapped(write_account(call.world, row))


def balance_at(call: Call) -> SimResponse:
    """GET /CheckAccount/{id}/getBalanceAtDate?date=YYYY-MM-DD."""
    row = account(call.world, call.id)
    text = call.query.plain.get("date")
    if text is None:
        raise ApiError(400, "date required")
    return wrapped(cents_out(balance(call.world, row.id, parse_date(text, "date"))))


ROUTES: Routes = {
    ("GET", "/CheckAccount"): list_accounts,
    ("POST", "/CheckAccount/Factory/clearingAccount"): create_clearing,
    ("POST", "/CheckAccount/Factory/fileImportAccount"): create_file_import,
    ("GET", "/CheckAccount/{id}"): one_account,
    ("PUT", "/CheckAccount/{id}"): change_account,
    ("GET", "/CheckAccount/{id}/getBalanceAtDate"): balance_at,
}
