"""An order of a diary's shop: verbs that change it and let the shop show the change."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ladenbuch.simulators.lives.order import Line, ShopOrder
from ladenbuch.simulators.lives.people import Product
from ladenbuch.simulators.lives.snapshot import snapshot

if TYPE_CHECKING:
    from acceptance.diary import Diary

BERLIN = ZoneInfo("Europe/Berlin")
HAMBURG = ("Hafenweg 3", "20457", "Hamburg", "DE")


def instant(text: str) -> datetime:
    """German wall-clock time, "2027-01-31 14:05"."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


class Purchase(ShopOrder):
    """An order of the shop. Its verbs change it; `tell` lets the shop show the change and the connector hear of it."""

    def __init__(self, diary: Diary, shop: str, number: int, to: Sequence[str]) -> None:
        first = 5_000_000 + 10_000 * (len(diary.orders) + 1)
        super().__init__(random.Random(number), first, number, int(diary.clock.now().timestamp()), 1.0)
        self.diary, self.shop, self.snapshot = diary, shop, snapshot
        street, code, city, country = to
        home = {
            "firstName": "Erika", "lastName": "Muster", "name": "Erika Muster", "company": None, "address1": street,
            "address2": None, "zip": code, "city": city, "province": None, "provinceCode": None,
            "countryCodeV2": country, "phone": None,
        }  # fmt: skip
        self.billing = self.delivery = home
        self.email = "erika@example.org"
        self.customer = {
            "id": "gid://shopify/Customer/71", "legacyResourceId": "71", "displayName": "Erika Muster",
            "firstName": "Erika", "lastName": "Muster", "locale": "de", "taxExempt": False, "taxExemptions": [],
            "email": self.email, "defaultEmailAddress": {"emailAddress": self.email}, "taxSettings": {"taxId": None},
        }  # fmt: skip

    @property
    def gid(self) -> str:
        return f"gid://shopify/Order/{self.id}"

    def basket(self, *goods: tuple[Any, ...], shipping: int = 0, rate: int = 190) -> Purchase:
        """Order (title, gross cents, rate per mille, pieces = 1) each, with `shipping` at `rate`; nothing is paid."""
        for title, price, per_mille, *pieces in goods:
            rates = (per_mille,) if per_mille else ()
            product = Product(title, title[:4].upper(), price, per_mille, number=len(self.lines) + 1)
            self.add(product, *pieces, rates=rates)
        if shipping:
            self.ship_by("DHL Paket", shipping, (rate,) if rate else ())
        self.place()
        return self

    def line(self, title: str) -> Line:
        """The line of an article."""
        return next(line for line in self.lines if line.product.title == title)

    def dated(self, when: str) -> Purchase:
        """What is entered next carries an earlier date: an import, a payment recorded late."""
        self.now = int(instant(when).timestamp())
        if not self.agreements:
            self.created = self.now
        return self

    def tell(self, *topics: str) -> Purchase:
        """The order looks like this now; the webhooks go out; the connector does what it does."""
        self.now = int(self.diary.clock.now().timestamp())
        self.emit(*topics)
        last = self.events[-1]
        self.diary.happened(self, last.topics, last.snapshot)
        return self

    def tell_order(self, gateway: str | None = "shopify_payments", cents: int | None = None, **more: Any) -> Purchase:
        """It is placed, by default paid at checkout; `kind` AUTHORIZATION or `status` PENDING: promised only."""
        if gateway is not None:
            self.pay(gateway, cents, **more)
        return self.tell("orders/create", "order_transactions/create", *(() if more else ("orders/paid",)))

    def tell_payment(self, gateway: str, cents: int | None = None, **more: Any) -> Purchase:
        """Money came in for it later."""
        promised = next((one for one in self.payments if one["kind"] == "AUTHORIZATION"), None)
        self.pay(gateway, cents, parent=promised, **more)
        return self.tell("order_transactions/create", "orders/updated")

    def tell_shipment(self) -> Purchase:
        """Everything goes out."""
        self.ship()
        return self.tell("fulfillments/create", "orders/fulfilled", "orders/updated")

    def tell_refund(self, *lines: tuple[str, int], split: dict[str, int] | None = None, **more: Any) -> Purchase:
        """(title, pieces) come back, with `shipping`, `adjust` (an amount only), `fee`; `split`: money by gateway."""
        first, *rest = (split or {"": 0}).items()
        if split:
            more |= {"gateway": first[0], "cents": first[1]}
        self.refund([(self.line(title), pieces) for title, pieces in lines], **more)
        if split:  # the shop's own split of one refund over what was paid with
            moved = [self.pay(name, cents, kind="REFUND", parent=self.paid_by(name)) for name, cents in rest]
            node = self.refunds[-1]
            node["transactions"] = [*node["transactions"], *moved]
            node["totalRefundedSet"] = self.bag(sum(split.values()))
        return self.tell("refunds/create", "order_transactions/create", "orders/updated")

    def tell_edit(
        self, *more: tuple[Any, ...], less: Sequence[tuple[str, int]] = (), paid: str | None = None
    ) -> Purchase:
        """Goods are added as in `basket`, and `less` pieces of others kept; `paid`: charged in the same instant."""
        fresh = [
            (Product(title, title[:4].upper(), price, rate, number=90 + index), *(pieces or [1]))
            for index, (title, price, rate, *pieces) in enumerate(more)
        ]
        self.edit(more=fresh, shrink=[(self.line(title), pieces) for title, pieces in less])
        if paid is not None:
            self.pay(paid)
        return self.tell("orders/edited", "orders/updated")

    def tell_cancellation(self) -> Purchase:
        """The order is cancelled."""
        self.cancel("CUSTOMER")
        return self.tell("orders/cancelled", "orders/updated")
