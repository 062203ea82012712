"""The three compliance topics, and what is made of them (facts 3.7).

    customers/data_request   one file for the merchant, sealed until it is fetched, due in 30 days
    customers/redact         the buyer is forgotten (`workflows.redaction`); the law's part goes on the hold list
    shop/redact              48 hours after an uninstall: the tenant itself (`workflows.leaving`)

The body, which is signed, says which shop is meant; the header, which is not, only whose secrets to try. Where the two
differ the delivery is kept, listed as refused, and nothing is done.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from ladenbuch import alarms, audit, books, evidence, inbox, outbox, privacy, tenants
from ladenbuch.db import Sealed, Store, Transaction, from_micros
from ladenbuch.domain.retention import DAYS, LAW, SEVDESK_STAYS
from ladenbuch.errors import Rejected
from ladenbuch.workflows import leaving, redaction
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.hearing import Handler, News
from ladenbuch.workflows.lifecycle import HANDLERS as OF_LIFE
from ladenbuch.workflows.redaction import Buyer

log = logging.getLogger(__name__)

#: What a handler says when nothing was done because the body names another shop.
MISMATCH = "PRIVACY-SHOP"
_STILL = "STILL-INSTALLED"


def _meant(handle: Callable[[Context, News, str], str]) -> Handler:
    """Note the request, and refuse one that is not about this tenant's shop."""

    def handler(ctx: Context, news: News) -> str:
        request = _id(news)
        due = news.happened_at + timedelta(days=DAYS)

        def begin(tx: Transaction) -> tuple[bool, privacy.State]:
            owner = tenants.get(tx, news.tenant)
            privacy.received(tx, news.tenant, request, news.topic, news.happened_at, due)
            known = next(one for one in privacy.requests(tx, news.tenant) if one.id == request)
            return _is_of(news, owner), known.state

        of_this_shop, state = ctx.door(news.tenant).run(Store.BOOKS, begin)
        if state != "open":
            if state != "refused":  # Shopify repeats what it did not hear our answer to: it names the buyer again
                _forget_delivery(ctx, news)
            return "NOTHING-TO-DO"
        if not of_this_shop:
            log.warning("a privacy request names another shop", extra={"tenant": news.tenant, "topic": news.topic})
            sentence = f"{news.topic}: the signed body names another shop than the delivery; nothing was done."
            _close(ctx, news, request, "refused", sentence)
            return MISMATCH
        return handle(ctx, news, request)

    return handler


def _is_of(news: News, owner: tenants.Tenant) -> bool:
    """Body, header and tenant agree: the domain, or Shopify's id for a shop that has another domain by now."""
    named, id = news.said.get("shop_domain"), news.said.get("shop_id")
    if not isinstance(named, str) or named.lower() != news.shop.lower():
        return False
    gid = f"gid://shopify/Shop/{id}"
    return named.lower() == owner.shop if owner.shop_gid is None or id is None else gid == owner.shop_gid


def _id(news: News) -> str:
    """A data request has a number the merchant knows; the others go by their delivery."""
    told = news.said.get("data_request")
    number = told.get("id") if isinstance(told, Mapping) else None
    return str(number) if isinstance(number, int) else news.webhook_id


def _close(
    ctx: Context,
    news: News,
    request: str,
    state: privacy.State,
    sentence: str,
    *,
    orders: int | None = None,
    answer: Sealed | None = None,
) -> None:
    """Write down what became of a request; the delivery that brought it, which names the buyer, is forgotten."""
    now = ctx.clock()

    def write(tx: Transaction) -> None:
        privacy.close(tx, news.tenant, request, state, now, sentence, orders=orders, answer=answer)
        event = f"privacy.{'prepared' if answer is not None else state}"
        audit.append(tx, news.tenant, now, actor="Shopify", event=event, subject=request, sentence=sentence)

    ctx.door(news.tenant).run(Store.BOOKS, write)
    if state != "refused":
        _forget_delivery(ctx, news)


def _forget_delivery(ctx: Context, news: News) -> None:
    door = ctx.door(news.tenant)
    door.run(Store.BOOKS, lambda tx: ctx.vault.forget_subject(tx, news.tenant, news.webhook_id))
    door.run(Store.INBOX, lambda tx: inbox.erase(tx, news.tenant, (), [news.webhook_id]))


def _gids(numbers: object) -> list[str]:
    found = numbers if isinstance(numbers, list) else []
    return [f"gid://shopify/Order/{one}" for one in found if isinstance(one, int) and one > 0]


# -- customers/redact ------------------------------------------------------------------------------------------------


def _redact(ctx: Context, news: News, request: str) -> str:
    buyer = Buyer.of(news.said.get("customer"))
    orders = sorted({*_gids(news.said.get("orders_to_redact")), *redaction.orders_of(ctx, news.tenant, buyer)})
    done = redaction.erase(ctx, news.tenant, orders, request, by="Shopify", buyer=buyer)
    _close(ctx, news, request, "done", done.sentence(), orders=done.orders)
    return "REDACTED"


# -- shop/redact -----------------------------------------------------------------------------------------------------


def _redact_shop(ctx: Context, news: News, request: str) -> str:
    owner = ctx.door(news.tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, news.tenant))
    if owner.state not in ("uninstalled", "redacted") and OF_LIFE["app/uninstalled"](ctx, news) == _STILL:
        _close(ctx, news, request, "refused", "shop/redact: the app is installed in the shop; nothing was done.")
        return _STILL
    said = leaving.redact(ctx, news.tenant, by="Shopify", why="shop/redact")
    _close(ctx, news, request, "done", said)
    return "REDACTED"


# -- customers/data_request ------------------------------------------------------------------------------------------


def _tell(ctx: Context, news: News, request: str) -> str:
    customer = news.said.get("customer")
    buyer = Buyer.of(customer)
    orders = sorted({*_gids(news.said.get("orders_requested")), *redaction.orders_of(ctx, news.tenant, buyer)})
    answer = _answer(ctx, news, request, orders)
    plain = json.dumps(answer, ensure_ascii=False, default=str).encode()
    sealed = redaction.seal_answer(ctx, news.tenant, request, zlib.compress(plain))
    sentence = f"The data of {len(orders)} orders was put together; it waits to be fetched."
    _close(ctx, news, request, "open", sentence, orders=len(orders), answer=sealed)
    return "PREPARED"


def _answer(ctx: Context, news: News, request: str, orders: Sequence[str]) -> dict[str, Any]:
    """Everything we hold of a buyer, for a person to read."""
    held = dict(redaction.snapshots(ctx, news.tenant, orders))
    return {
        "what_this_is": "Everything the connector between the shop and its books holds about this customer.",
        "was_das_ist": "Alles, was die Verbindung zwischen Shop und Buchhaltung über diese Person gespeichert hat.",
        "request": request,
        "shop": news.shop,
        "prepared_at": ctx.clock().isoformat(),
        "customer": news.said.get("customer"),
        "orders": [_order(ctx, news.tenant, order_id, held.get(order_id)) for order_id in orders],
        "why_documents_are_kept": f"{LAW}. {SEVDESK_STAYS}.",
    }


def _order(ctx: Context, tenant: str, order_id: str, seen: Mapping[str, Any] | None) -> dict[str, Any]:
    def read(tx: Transaction) -> dict[str, Any]:
        known = books.load(tx, tenant, order_id, ctx.unseal(tenant, "pins"))
        vat_ids = {item.draft.party.vat_id for item in known.documents if item.draft.party.vat_id}
        unseal = ctx.unseal(tenant, evidence.PURPOSE)
        return {
            "documents": [
                {
                    "kind": item.kind,
                    "number": item.number,
                    "state": item.state,
                    "date": item.draft.issued_on.isoformat(),
                    "gross_minor": item.draft.gross,
                    "currency": item.draft.currency,
                    "for": item.draft.party.as_json(),
                }
                for item in known.documents
            ],
            "letters": [_letter(ctx, tenant, item) for item in outbox.of_order(tx, tenant, order_id)],
            "vat_id_checks": [
                {"vat_id": item.vat_id, "at": item.asked_at, "verdict": item.verdict, "name": item.name}
                for vat_id in sorted(vat_ids)
                for item in evidence.history(tx, tenant, vat_id, unseal)
            ],
            "payments": [
                {
                    "payment": item.payment_id,
                    "amount_minor": item.amount,
                    "date": None if item.value_date is None else item.value_date.isoformat(),
                    "on": item.document_key,
                }
                for item in known.bookings
            ],
            "decisions": list(tx.execute(_DECISIONS, {"t": tenant, "o": order_id}).scalars()),
        }

    heard = ctx.door(tenant).read(Store.INBOX, lambda tx: inbox.history(tx, tenant, order_id))
    said = redaction.heard_of(ctx, tenant, order_id)
    told = [
        {"topic": row["topic"], "received_at": from_micros(row["received_at"]), "said": said.get(row["webhook_id"])}
        for row in heard
    ]
    return {
        "order": order_id,
        "as_the_shop_said": seen,
        **ctx.door(tenant).read(Store.BOOKS, read),
        "webhooks_received": told,
    }


_DECISIONS = sa.select(books.resolutions.c.choice).where(
    books.resolutions.c.tenant == sa.bindparam("t"), books.resolutions.c.order_id == sa.bindparam("o")
)


def _letter(ctx: Context, tenant: str, letter: outbox.Letter) -> dict[str, Any]:
    try:
        to = json.loads(ctx.vault.open(tenant, "letter", letter.id, letter.sealed_payload)).get("to")
    except Rejected as refusal:
        if refusal.code != "VAULT-FORGOTTEN":
            raise
        to = None
    return {"kind": letter.kind, "to": to, "state": letter.state, "promised_at": letter.promised_at}


def fetch(ctx: Context, tenant: str, request: str, *, by: str, done: bool = True) -> dict[str, Any]:
    """The answer to a data request, in the clear; noted as answered. Raises Rejected("PRIVACY-REQUEST")."""
    sealed = ctx.door(tenant).read(Store.BOOKS, lambda tx: privacy.answer_of(tx, tenant, request))
    if sealed is None:
        raise Rejected("PRIVACY-REQUEST", f"no answer waits for the request {request}")
    answer: dict[str, Any] = json.loads(zlib.decompress(ctx.vault.open(tenant, privacy.PURPOSE, request, sealed)))
    if done:
        now, sentence = ctx.clock(), f"The answer to data request {request} was fetched."

        def write(tx: Transaction) -> None:
            privacy.close(tx, tenant, request, "answered", now, sentence)
            audit.append(tx, tenant, now, actor=by, event="privacy.answered", subject=request, sentence=sentence)
            alarms.end_alarm(tx, tenant, "PRIVACY-DUE", request, now)

        ctx.door(tenant).run(Store.BOOKS, write)
    return answer


#: What is done because of which topic.
HANDLERS: Mapping[str, Handler] = {
    "customers/data_request": _meant(_tell),
    "customers/redact": _meant(_redact),
    "shop/redact": _meant(_redact_shop),
}
