"""The control API: what a test, a demo or an auditor reads and does behind the service's back.

GET  /_control/state    everything, sums in integer cents, wall-clock instants
GET  /_control/calls    requests per method and path template, statuses, what was ignored, the highest
parallelism POST /_control/reset    an empty tenant again POST /_control/human    what a bookkeeper does
in the user interface: {"do": ..., "id": ..., ...}
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from ladenbuch.simulators.sevdesk import documents, invoices
from ladenbuch.simulators.sevdesk.accounts import account, balance, open_account
from ladenbuch.simulators.sevdesk.arithmetic import position_sums
from ladenbuch.simulators.sevdesk.banking import add_transaction, book, map_later, unlink
from ladenbuch.simulators.sevdesk.contacts import write
from ladenbuch.simulators.sevdesk.wire import (
    ApiError,
    Json,
    parse_date,
    parse_decimal,
    parse_int,
    plain,
    refuse,
    text_or_none,
    to_cents,
)
from ladenbuch.simulators.sevdesk.world import Account, Document, Position, Transaction, World, keys


def state(world: World) -> Json:
    """The tenant's books as an auditor reads them: ids as integers, money as integer cents."""
    return {
        "invoices": [document_state(row) for row in world.documents["Invoice"].values()],
        "credit_notes": [document_state(row) for row in world.documents["CreditNote"].values()],
        "transactions": [transaction_state(row) for row in world.transactions.values()],
        "accounts": [_account_state(world, row) for row in world.accounts.values()],
        "contacts": [write(row) for row in world.things.get("Contact", {}).values()],
        "addresses": [write(row) for row in world.things.get("ContactAddress", {}).values()],
        "communication_ways": [write(row) for row in world.things.get("CommunicationWay", {}).values()],
        "mails": list(world.mails),
        "deleted": list(world.deleted),
    }


def document_state(row: Document) -> Json:
    """One invoice or credit note."""
    by_rate: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for position in row.positions:
        sums = by_rate[plain(position.tax_rate)]
        for place, amount in enumerate((position.sums.gross, position.sums.net, position.sums.tax)):
            sums[place] += amount
    return {
        "id": row.id,
        "kind": row.kind,
        "type": row.type,
        "status": row.status,
        "number": row.number,
        "note": row.note,
        "customerInternalNote": row.note,
        "contact_id": row.contact,
        "tax_rule": row.tax_rule,
        "currency": row.currency,
        "show_net": row.show_net,
        "date": row.day.isoformat(),
        "delivery_date": row.delivery.isoformat() if row.delivery else None,
        "delivery_date_until": row.delivery_until.isoformat() if row.delivery_until else None,
        "delivery_country": row.delivery_country,
        "fields": dict(row.fields),
        "e_invoice": row.e_invoice,
        "xml": row.xml,
        "gross_cents": row.sums.gross,
        "net_cents": row.sums.net,
        "tax_cents": row.sums.tax,
        "gross_by_rate": {rate: sums[0] for rate, sums in by_rate.items()},
        "net_by_rate": {rate: sums[1] for rate, sums in by_rate.items()},
        "tax_by_rate": {rate: sums[2] for rate, sums in by_rate.items()},
        "paid_cents": row.paid,
        "open_cents": row.open,
        "cancelled": row.cancelled,
        "origin_id": row.origin,
        "source_id": row.source,
        "positions": [_position_state(position) for position in row.positions],
        "bookings": [
            {
                "amount_cents": booking.amount,
                "date": booking.day.isoformat(),
                "transaction_id": booking.transaction,
                "account_id": booking.account,
                "booked_at": booking.booked_at.isoformat(),
            }
            for booking in row.bookings
        ],
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
        "sent_at": row.sent_at.isoformat() if row.sent_at else None,
        "send_type": row.send_type,
        "enshrined_at": row.enshrined_at.isoformat() if row.enshrined_at else None,
    }


def _position_state(position: Position) -> Json:
    return {
        "id": position.id,
        "name": position.name,
        "text": position.text,
        "quantity": plain(position.quantity),
        "price": plain(position.price),
        "tax_rate": plain(position.tax_rate),
        "gross_cents": position.sums.gross,
        "net_cents": position.sums.net,
        "tax_cents": position.sums.tax,
    }


def transaction_state(row: Transaction) -> Json:
    """One line of an account."""
    return {
        "id": row.id,
        "account_id": row.account,
        "status": row.status,
        "amount_cents": row.amount,
        "value_date": row.value_day.isoformat(),
        "entry_date": row.entry_day.isoformat(),
        "purpose": row.purpose,
        "payee": row.payee,
        "booked_cents": row.booked,
        "documents": [{"kind": kind, "id": identifier} for kind, identifier in row.documents],
        "created_at": row.created_at.isoformat(),
        "linked_at": row.linked_at.isoformat() if row.linked_at else None,
        "deleted_at": row.deleted_at.isoformat() if row.deleted_at else None,
    }


def _account_state(world: World, row: Account) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "type": row.type,
        "import_type": row.import_type,
        "accounting_number": row.accounting_number,
        "auto_map": row.auto_map,
        "balance_cents": balance(world, row.id, None),
    }


# --- what people do in the user interface ---


def human(world: World, body: Json) -> Json:
    """One action of a bookkeeper; answers the object as it is afterwards.

    {"do": "edit", "id", "header"?, "foot_text"?, "address_name"?, "price"?}  a draft's texts, the first unit price
    {"do": "delete", "id"}   a draft     {"do": "send", "id"}   finalise a draft by hand
    {"do": "cancel", "id"}   an open invoice gets its SR
    {"do": "book", "id", "account", "amount"?}   pays by hand (default: the open amount), on any account
    {"do": "transaction", "account", "amount", "purpose"?, "payee"?, "value_date"?, "entry_date"?, "map"?}   a line
        arrives by the bank feed; the days default to today, `map`: sevdesk matches by itself as the account does
    {"do": "unlink", "id"}   takes a line off the documents it was linked to
    {"do": "rewrite", "id", "purpose"?, "payee"?}   the bank corrects the words of a line
    {"do": "delete_transaction", "id"}   an unlinked line
    {"do": "connect", "name", "bank_server"?}   a bank or PayPal brings its lines from now on (default FINAPI)
    {"do": "archive", "account"}   an account is put aside
    `kind` is Invoice unless said otherwise.
    """
    action, kind = text_or_none(body.get("do")), text_or_none(body.get("kind")) or "Invoice"
    if action == "transaction":
        owner = account(world, parse_int(body.get("account")) or 0)
        amount = to_cents(body.get("amount"), "amount")
        purpose, payee = (text_or_none(body.get(name)) or "" for name in ("purpose", "payee"))
        today = documents.berlin_today(world)
        valued = parse_date(body["value_date"], "value_date") if body.get("value_date") else today
        entered = parse_date(body["entry_date"], "entry_date") if body.get("entry_date") else today
        line = add_transaction(world, owner, amount, valued, purpose=purpose, payee=payee, entry_day=entered)
        if body.get("map") and owner.auto_map:
            map_later(world, line)
        return transaction_state(line)
    if action == "connect":
        server = text_or_none(body.get("bank_server")) or "FINAPI"
        opened = open_account(world, text_or_none(body.get("name")) or server, "online", bank_server=server)
        opened.auto_map = True
        return _account_state(world, opened)
    if action == "archive":
        aside = account(world, parse_int(body.get("account")) or 0)
        aside.status = 0
        return _account_state(world, aside)
    identifier = parse_int(body.get("id")) or 0
    if action == "delete_transaction":
        found = world.transactions.get(identifier)
        if found is None or found.status != 100:
            refuse("only an unlinked transaction can be deleted")
        found.deleted_at = world.now
        return transaction_state(found)
    if action in ("unlink", "rewrite"):
        return _on_line(world, world.transactions.get(identifier), action, body)
    if kind not in world.documents:
        raise ApiError(400, "kind must be Invoice or CreditNote")
    return _on_document(world, world.document(kind, identifier), action, body)


def _on_line(world: World, line: Transaction | None, action: str, body: Json) -> Json:
    if line is None or line.deleted_at is not None:
        raise ApiError(404, "no such transaction", 151)
    if action == "unlink":
        unlink(world, line)
    for name in ("purpose", "payee") if action == "rewrite" else ():
        if name in body:
            setattr(line, name, text_or_none(body[name]) or "")
    world.purposes.put(line.id, line.purpose)
    world.touch(line)
    return transaction_state(line)


def _on_document(world: World, document: Document, action: str | None, body: Json) -> Json:
    if action == "edit":
        _edit(world, document, body)
    elif action == "delete":
        if document.status != 100:
            refuse("only a draft can be deleted", 159, 409)
        documents.remove(world, document, "human")
    elif action == "send":
        documents.finalise(world, document, "VPDF")
    elif action == "cancel":
        if document.kind != "Invoice" or document.status != 200:
            refuse("only an open invoice can be cancelled")
        return document_state(invoices.make_cancellation(world, document))
    elif action == "book":
        owner = account(world, parse_int(body.get("account")) or 0)
        amount = to_cents(body["amount"], "amount") if "amount" in body else document.open
        if document.status not in (200, 750) or amount <= 0:
            refuse("nothing to pay")
        sign = -1 if document.kind == "CreditNote" else 1
        line = add_transaction(world, owner, sign * amount, documents.berlin_today(world), payee="von Hand")
        book(world, document, line, sign * amount, line.value_day)
    else:
        raise ApiError(400, "unknown action")
    return document_state(document)


def _edit(world: World, document: Document, body: Json) -> None:
    if document.status != 100:
        refuse("only a draft can be edited", 90400)
    before = keys(document)
    for name, field in (("header", "header"), ("foot_text", "footText"), ("address_name", "addressName")):
        if name in body:
            document.fields[field] = text_or_none(body[name])
    if "price" in body and document.positions:
        first = replace(document.positions[0], price=parse_decimal(body["price"], "price"))
        first.sums = position_sums(
            first.quantity, first.price, first.tax_rate, first.discount or Decimal(0), show_net=document.show_net
        )
        document.positions[0] = first
        document.sum_up()
    world.touch(document)
    world.reindex(document, before)
