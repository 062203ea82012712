"""Receipts: revenue and expense vouchers, the accounts they may name (facts 2.12)."""

from __future__ import annotations

from collections.abc import Mapping

from ladenbuch.simulators.http import SimResponse
from ladenbuch.simulators.sevdesk import tax
from ladenbuch.simulators.sevdesk.accounts import account
from ladenbuch.simulators.sevdesk.banking import transaction
from ladenbuch.simulators.sevdesk.call import Call, Routes, answer, wrapped
from ladenbuch.simulators.sevdesk.listing import Test, page
from ladenbuch.simulators.sevdesk.wire import (
    ApiError,
    Json,
    cents_number,
    cents_out,
    date_out,
    instant_out,
    parse_date,
    parse_decimal,
    parse_flag,
    parse_int,
    parse_ref,
    plain,
    ref,
    refuse,
    text_or_none,
    to_cents,
)
from ladenbuch.simulators.sevdesk.world import Thing, World

_RATES = {"0": "ZERO", "7": "SEVEN", "19": "NINETEEN"}
#: A tenant under section 19 UStG books its turnover on an account of its own.
_SMALL_BUSINESS = ((4185, "Erlöse als Kleinunternehmer §19 UStG", [11], ["ZERO"]),)
_GUIDES = {
    "forRevenue": (
        (4400, "Erlöse 19 % USt", [1], ["NINETEEN"]),
        (4300, "Erlöse 7 % USt", [1], ["SEVEN"]),
        (4338, "Nicht steuerbare Umsätze", [22], ["ZERO"]),
    ),
    "forExpense": (
        (6855, "Nebenkosten des Geldverkehrs", [9, 14], ["ZERO", "NINETEEN"]),
        (5923, "Sonstige Leistungen §13b UStG", [12, 13, 14], ["ZERO"]),
    ),
}


def save(call: Call) -> SimResponse:
    """POST /Voucher/Factory/saveVoucher: status 50 (draft) or 100 (open)."""
    world, body = call.world, call.body
    header, lines = body.get("voucher"), body.get("voucherPosSave")
    if not isinstance(header, dict) or not isinstance(lines, list):
        raise ApiError(400, "voucher and voucherPosSave are required")
    fields = _header(header)
    if not lines:
        refuse("at least one position is required")
    positions = [_position(line) for line in lines]
    _allowed(fields, positions)
    for name in ("net", "gross", "tax"):
        fields[name] = sum(position[name] for position in positions)
    fields["positions"] = positions
    thing = world.add("Voucher", fields, indexed=["description"])
    for position in positions:
        position["id"] = world.new_id()
    written = [_write_position(thing, position) for position in positions]
    return wrapped({"voucher": write_voucher(thing), "voucherPos": written, "filename": None}, 201)


def _header(header: Json) -> Json:
    if header.get("objectName") != "Voucher" or not parse_flag(header.get("mapAll")):
        refuse("Voucher: expected array with 'id' and 'objectName'")
    status, side = parse_int(header.get("status")), header.get("creditDebit")
    if status not in (50, 100):
        refuse("status must be 50 or 100")
    if side not in ("C", "D"):
        refuse("creditDebit must be C or D")
    if header.get("voucherType") not in ("VOU", "RV"):
        refuse("voucherType must be VOU or RV")
    if header.get("taxRule") is None:
        refuse("taxRule must not be null")
    rule = parse_ref(header["taxRule"], "TaxRule", "taxRule")
    revenue = {key for key, each in tax.RULES.items() if "VOU" in each.documents}
    if rule not in (revenue if side == "D" else tax.EXPENSE_RULES):
        refuse(f"tax rule {rule} is not allowed on a voucher")
    day = header.get("voucherDate")
    return {
        "status": status,
        "creditDebit": side,
        "taxRule": rule,
        "day": None if day in (None, "") else parse_date(day, "voucherDate"),
        "description": text_or_none(header.get("description")),
        "supplierName": text_or_none(header.get("supplierName")),
        "voucherType": header["voucherType"],
        "paid": 0,
        "pay_day": None,
    }


def _position(line: object) -> Json:
    if not isinstance(line, Mapping) or line.get("objectName") != "VoucherPos":
        refuse("VoucherPos: expected array with 'id' and 'objectName'")
    if not parse_flag(line.get("mapAll")):
        refuse("VoucherPos: expected array with 'id' and 'objectName'")
    number = parse_ref(line.get("accountDatev"), "AccountDatev", "accountDatev")
    rate = parse_decimal(line.get("taxRate"), "taxRate")
    net_mode = parse_flag(line.get("net"))
    amount = to_cents(line.get("sumNet" if net_mode else "sumGross"), "sumNet" if net_mode else "sumGross")
    share = rate / (100 if net_mode else 100 + rate)
    tax_cents = int((amount * share).quantize(rate.__class__(1), rounding="ROUND_HALF_UP"))
    net, gross = (amount, amount + tax_cents) if net_mode else (amount - tax_cents, amount)
    comment = text_or_none(line.get("comment"))
    return {"account": number, "rate": rate, "net": net, "gross": gross, "tax": tax_cents, "comment": comment}


def _allowed(fields: Json, positions: list[Json]) -> None:
    """Each position names an account by its id, which is not its number, with a rule and rate that fit it."""
    guides = _GUIDES["forRevenue" if fields["creditDebit"] == "D" else "forExpense"]
    for position in positions:
        rows = [row for row in guides if _datev(row[0]) == position["account"]]
        if not rows:
            refuse("accountDatev: unknown id")
        if fields["taxRule"] not in rows[0][2] or _RATES.get(str(position["rate"])) not in rows[0][3]:
            refuse("the tax rule or rate is not allowed for this account")


def _datev(number: int) -> int:
    return 3_000_000 + number


def _write_position(thing: Thing, position: Json) -> Json:
    return {
        "id": str(position["id"]),
        "objectName": "VoucherPos",
        "voucher": ref("Voucher", thing.id),
        "accountDatev": ref("AccountDatev", position["account"]),
        "taxRate": plain(position["rate"]),
        "sumNet": cents_out(position["net"]),
        "sumTax": cents_out(position["tax"]),
        "sumGross": cents_out(position["gross"]),
        "comment": position["comment"],
    }


def write_voucher(thing: Thing) -> Json:
    fields = thing.fields
    return {
        "id": str(thing.id),
        "objectName": "Voucher",
        "create": instant_out(thing.created_at),
        "update": instant_out(thing.updated_at),
        "status": str(fields["status"]),
        "creditDebit": fields["creditDebit"],
        "voucherType": fields["voucherType"],
        "voucherDate": date_out(fields["day"]),
        "description": fields["description"],
        "supplierName": fields["supplierName"],
        "taxRule": ref("TaxRule", fields["taxRule"]),
        "sumNet": cents_out(fields["net"]),
        "sumTax": cents_out(fields["tax"]),
        "sumGross": cents_out(fields["gross"]),
        "paidAmount": cents_number(fields["paid"]),
        "payDate": date_out(fields["pay_day"]),
    }


_FILTERS: dict[str, Test[Thing]] = {
    "descriptionLike": lambda row, text: text in (row.fields["description"] or ""),
    "creditDebit": lambda row, text: row.fields["creditDebit"] == text,
    "status": lambda row, text: str(row.fields["status"]) == text,
}


def listed(call: Call) -> SimResponse:
    """GET /Voucher."""
    rows = call.world.things.get("Voucher", {}).values()
    return answer(page(call.world, call.query, rows, write_voucher, lambda row: row.created_at, _FILTERS))


def one(call: Call) -> SimResponse:
    """GET /Voucher/{id}: a one-element list."""
    return wrapped([write_voucher(call.world.thing("Voucher", call.id))])


def book_amount(call: Call) -> SimResponse:
    """PUT /Voucher/{id}/bookAmount: 751 when paid; too much is capped, not refused (facts 2.9)."""
    world, body = call.world, call.body
    thing = world.thing("Voucher", call.id)
    fields = thing.fields
    if fields["status"] == 50:
        refuse("a draft cannot be paid")
    if fields["paid"] >= fields["gross"]:
        refuse("already paid", 751)
    for name in ("amount", "date", "type", "checkAccount"):
        if body.get(name) in (None, ""):
            raise ApiError(400, f"{name} required")
    amount, day = abs(to_cents(body["amount"], "amount")), parse_date(body["date"], "date")
    owner = account(world, parse_ref(body["checkAccount"], "CheckAccount", "checkAccount"))
    if owner.type == "online":
        given = body.get("checkAccountTransaction")
        if given is None:
            refuse("checkAccountTransaction is required for an account of type online")
        line = transaction(world, parse_ref(given, "CheckAccountTransaction", "checkAccountTransaction"))
        if line.status != 100 or line.deleted_at is not None or line.account != owner.id:
            refuse("the transaction is already linked or belongs to another account")
        line.status, line.linked_at, line.booked = 200, world.now, line.amount
        line.documents.append(("Voucher", thing.id))
        day = line.value_day
    before = fields["status"]
    amount = min(amount, fields["gross"] - fields["paid"])
    fields["paid"] += amount
    fields["status"] = 1000 if fields["paid"] >= fields["gross"] else 750
    fields["pay_day"] = day if fields["status"] == 1000 else None
    world.touch(thing)
    log: Json = {"id": str(world.new_id()), "objectName": "VoucherLog", "voucher": ref("Voucher", thing.id)}
    log |= {"fromStatus": str(before), "toStatus": str(fields["status"]), "ammountPayed": cents_out(amount)}
    return wrapped({**log, "bookingDate": date_out(day)})


def upload(call: Call) -> SimResponse:
    """POST /Voucher/Factory/uploadTempFile (multipart, field `file`) -> a file name for saveVoucher."""
    if b'name="file"' not in call.request.body:
        raise ApiError(400, "file required")
    return wrapped({"filename": f"{call.world.new_uuid().replace('-', '')}.pdf", "pages": 1}, 201)


def _guides(world: World, side: str) -> tuple[tuple[int, str, list[int], list[str]], ...]:
    small = side == "forRevenue" and world.switches.small_business
    return _SMALL_BUSINESS if small else _GUIDES[side]


def _guide(world: World, *sides: str) -> SimResponse:
    rows = [
        {
            "accountDatevId": _datev(number),
            "accountNumber": str(number),
            "accountName": name,
            "allowedTaxRules": [{"id": rule, "name": str(rule), "taxRates": rates} for rule in rules],
            "allowedReceiptTypes": ["REVENUE" if side == "forRevenue" else "EXPENSE"],
        }
        for side in sides
        for number, name, rules, rates in _guides(world, side)
    ]
    return wrapped(rows)


ROUTES: Routes = {
    ("POST", "/Voucher/Factory/saveVoucher"): save,
    ("POST", "/Voucher/Factory/uploadTempFile"): upload,
    ("GET", "/Voucher"): listed,
    ("GET", "/Voucher/{id}"): one,
    ("PUT", "/Voucher/{id}/bookAmount"): book_amount,
    ("GET", "/ReceiptGuidance/forRevenue"): lambda call: _guide(call.world, "forRevenue"),
    ("GET", "/ReceiptGuidance/forExpense"): lambda call: _guide(call.world, "forExpense"),
    ("GET", "/ReceiptGuidance/forAllAccounts"): lambda call: _guide(call.world, "forRevenue", "forExpense"),
}
