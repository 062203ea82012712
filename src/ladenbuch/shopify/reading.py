"""One whole order: the head document, then the pages the head says exist, all of the same `updatedAt`.

An answer is an envelope `{"order", "transactions", "agreements", "refunds", "fulfillments", "gaps", "warnings"}` in
which every connection is a plain list. `gaps` are holes that forbid a decision (R19): error paths under money, taxes,
agreements, transactions, fulfilments, and pages that could not be read. `warnings` are holes a decision can live
without (the customer record, a postal line, payment terms): the part stays empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ladenbuch.domain.order import Order
from ladenbuch.errors import Retryable
from ladenbuch.shopify import orders, shapes
from ladenbuch.shopify.answer import Json, PathError, Result

Execute = Callable[[str, Mapping[str, object]], Result]

_PARTS = ("transactions", "agreements", "refunds", "fulfillments")
_READS = 3
#: More pages than this of one list is not an order any more.
_PAGES = 60

#: Below these fields of the order a hole does not block a decision.
_SOFT_FIELDS = {
    "customer",
    "email",
    "phone",
    "note",
    "paymentTerms",
    "discountApplications",
    "customerLocale",
    "poNumber",
}
#: Of an address only the place matters for a decision.
_PLACE = {"countryCodeV2", "zip"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was read. `order` is None when Shopify gave none: `reason` is then NOT-FOUND or ACCESS.

    A missing order is never "deleted" (R18): it may be older than what the app may see.
    """

    order: Order | None
    envelope: Json = field(repr=False)
    reason: str | None = None


class _Moved(Exception):
    """The order changed between two pages."""


def fetch_order(execute: Execute, order_gid: str) -> Fetched:
    """Read one order completely. Raises `Retryable("ORDER-MOVING")` when it kept changing while it was read,
    `Rejected("ORDER-SHAPE")` when it is not an order, and what `execute` raises."""
    for _ in range(_READS):
        try:
            return _Reading(execute, order_gid).read()
        except _Moved:
            continue
    raise Retryable("ORDER-MOVING", f"changed {_READS} times while it was read", after=5.0)


class _Reading:
    """One attempt: everything in it must carry the same `updatedAt`."""

    def __init__(self, execute: Execute, gid: str) -> None:
        self.execute = execute
        self.gid = gid
        self.updated_at: object = None
        self.gaps: list[str] = []
        self.warnings: list[str] = []

    def read(self) -> Fetched:
        result = self.execute("order_head", {"id": self.gid})
        head = result.data.get("order")
        if not isinstance(head, dict):
            return self._absent(result)
        self._judge(result.errors)
        self.updated_at = head.get("updatedAt")
        order = dict(head)
        for name, document in (
            ("lineItems", "order_lines"),
            ("shippingLines", "order_shipping_lines"),
            ("discountApplications", "order_discounts"),
        ):
            order[name] = self._connection(order.get(name), name, document)
        parts = {
            "transactions": self._transactions(order),
            "agreements": self._agreements(order.get("agreements")),
            "refunds": self._refunds(order.get("refunds")),
            "fulfillments": self._fulfilments(order.get("fulfillments")),
        }
        for name in _PARTS:
            order.pop(name, None)
        envelope: Json = {"order": order, **parts, "gaps": self.gaps, "warnings": self.warnings}
        return Fetched(orders.order_from_envelope(envelope), envelope)

    def _absent(self, result: Result) -> Fetched:
        if not result.errors:
            return Fetched(None, {"order": None, "reason": "NOT-FOUND"}, "NOT-FOUND")
        if result.has_code("ACCESS_DENIED"):
            paths = sorted({error.dotted for error in result.errors})
            return Fetched(None, {"order": None, "reason": "ACCESS", "warnings": paths}, "ACCESS")
        raise Retryable("SHOPIFY-PARTIAL", "the order came back empty with errors")

    # -- lists ---------------------------------------------------------------------------------------------------

    def _connection(self, value: object, name: str, document: str) -> list[Any] | None:
        """All nodes of a connection of the order, or None when it came back null."""
        if not isinstance(value, dict):
            if name not in _SOFT_FIELDS:
                self._hole(name)
            return None
        found = list(shapes.nodes(value, name, keep_holes=True))
        for page in self._order_pages(document, name, {"id": self.gid}, shapes.next_cursor(value)):
            found.extend(shapes.nodes(page, name, keep_holes=True))
        return found

    def _order_pages(
        self, document: str, name: str, variables: Mapping[str, object], after: str | None
    ) -> Iterator[Json]:
        for _ in range(_PAGES):
            if after is None:
                return
            order = self._ask(document, {**variables, "after": after}).get("order")
            page = order.get(name) if isinstance(order, dict) else None
            if not isinstance(page, dict):
                self._hole(f"{name}.page")
                return
            yield page
            after = shapes.next_cursor(page)
        self._hole(f"{name}.pages")

    def _transactions(self, order: Json) -> object:
        found = order.get("transactions")
        count = order.pop("transactionsCount", None)
        expected = count.get("count") if isinstance(count, dict) else None
        if isinstance(found, list) and isinstance(expected, int) and expected > len(found):
            self._hole("transactions.page")
        return found

    def _agreements(self, value: object) -> list[Any] | None:
        if not isinstance(value, dict):
            self._hole("agreements")
            return None
        found: list[Any] = []
        before: object = None
        pages = [
            value,
            *self._order_pages("order_agreements", "agreements", {"id": self.gid}, shapes.next_cursor(value)),
        ]
        for page in pages:
            for edge in shapes.edges(page, "agreements"):
                node = edge.get("node")
                found.append(self._with_sales(node, before) if isinstance(node, dict) else None)
                before = edge.get("cursor")
        return found

    def _with_sales(self, agreement: Json, before: object) -> Json:
        """The agreement with all its sales as a list. `before` is the cursor of its predecessor."""
        sales = agreement.get("sales")
        if not isinstance(sales, dict):
            self._hole("agreements.sales")
            return agreement
        found = list(shapes.nodes(sales, "agreements.sales", keep_holes=True))
        after = shapes.next_cursor(sales)
        for _ in range(_PAGES):
            if after is None:
                return {**agreement, "sales": found}
            order = self._ask("agreement_sales", {"id": self.gid, "before": before, "after": after}).get("order")
            same = shapes.nodes(order.get("agreements") if isinstance(order, dict) else None, "agreements")
            if not same or same[0].get("id") != agreement.get("id") or not isinstance(same[0].get("sales"), dict):
                break
            found.extend(shapes.nodes(same[0]["sales"], "agreements.sales", keep_holes=True))
            after = shapes.next_cursor(same[0]["sales"])
        self._hole("agreements.sales.page")
        return {**agreement, "sales": found}

    def _refunds(self, value: object) -> object:
        if not isinstance(value, list):
            return value
        if len(value) >= 100:
            self._hole("refunds.page")
        return [self._refund(item) if isinstance(item, dict) else item for item in value]

    def _refund(self, head: Json) -> Json:
        lines: list[Any] = []
        detail: Json = {}
        after: str | None = None
        for _ in range(_PAGES):
            refund = self._ask("refund_detail", {"id": head.get("id"), "after": after}).get("refund")
            if not isinstance(refund, dict):
                break
            detail = detail or refund
            page = refund.get("refundLineItems")
            lines.extend(shapes.nodes(page, "refunds.refundLineItems", keep_holes=True))
            after = shapes.next_cursor(page)
            if after is None:
                merged = {key: item for key, item in detail.items() if key != "order"}
                return {**head, **merged, "refundLineItems": lines}
        self._hole("refunds.detail")
        return head

    def _fulfilments(self, value: object) -> object:
        if not isinstance(value, list):
            return value
        if len(value) >= 100:
            self._hole("fulfillments.page")
        return [self._fulfilment(item) if isinstance(item, dict) else item for item in value]

    def _fulfilment(self, head: Json) -> Json:
        items = head.get("fulfillmentLineItems")
        found = list(shapes.nodes(items, "fulfillments.fulfillmentLineItems", keep_holes=True))
        after = shapes.next_cursor(items)
        for _ in range(_PAGES):
            if after is None:
                return {**head, "fulfillmentLineItems": found}
            page = self._ask("fulfillment_lines", {"id": head.get("id"), "after": after}).get("fulfillment")
            items = page.get("fulfillmentLineItems") if isinstance(page, dict) else None
            if not isinstance(items, dict):
                break
            found.extend(shapes.nodes(items, "fulfillments.fulfillmentLineItems", keep_holes=True))
            after = shapes.next_cursor(items)
        self._hole("fulfillments.fulfillmentLineItems.page")
        return {**head, "fulfillmentLineItems": found}

    # -- completeness --------------------------------------------------------------------------------------------

    def _ask(self, document: str, variables: Mapping[str, object]) -> Json:
        """One follow-up page; the order it belongs to must not have changed since the head was read."""
        result = self.execute(document, variables)
        self._judge(result.errors)
        for root in result.data.values():
            if not isinstance(root, dict):
                continue
            order = root if "updatedAt" in root else root.get("order")
            if isinstance(order, dict) and order.get("updatedAt") != self.updated_at:
                raise _Moved
        return result.data

    def _judge(self, errors: tuple[PathError, ...]) -> None:
        for error in errors:
            path = error.dotted or error.code
            where = self.warnings if is_soft(error) else self.gaps
            if path not in where:
                where.append(path)

    def _hole(self, path: str) -> None:
        if path not in self.gaps:
            self.gaps.append(path)


def is_soft(error: PathError) -> bool:
    """Whether a decision can be made without the part this error left empty."""
    path = [step for step in error.path if isinstance(step, str)]
    if len(path) < 2:
        return False
    if path[1] in _SOFT_FIELDS or path[-1] == "note":
        return True
    if error.code != "ACCESS_DENIED":
        return False
    if path[1] in {"billingAddress", "shippingAddress"}:
        return len(path) > 2 and path[2] not in _PLACE
    # An id without its scope (read_returns, read_shopify_payments_disputes) moves no money.
    return "return" in path or path[1] == "disputes"
