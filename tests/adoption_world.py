"""A shop that comes from another tool: that tool's invoices in sevdesk in four styles, taken over, the rest invoiced.

    python tests/adoption_world.py --orders 1564 --foreign 1000 --seed 7      # one JSON object; 1,500 owe an invoice

The shop's lives are those of the chaos suite's ring 1, with its weather and its deaths. The other tool writes through
sevdesk's own door, what it wrote is known here and nowhere in our books, and the auditor counts each of its invoices as
the order's it was written for: an invoice of ours beside it is a double.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from chaos.simulation import GATEWAYS, SHOP, Crash, Simulation
from ladenbuch import books
from ladenbuch.db import Store
from ladenbuch.domain.takeover import counts
from ladenbuch.errors import LadenbuchError
from ladenbuch.simulators.auditor import AuditReport
from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.owed import OwedDocument, Seller, berlin_day, chain_of
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.workflows.adopting import Survey, survey, take_over
from ladenbuch.workflows.preview import Period, period_of

Node = dict[str, Any]
TENANT = "chaos"
#: How another tool marks what it writes: the order's name in a sentence, as invoice number, the shop's id in tag or
#: reference field, or not at all.
STYLES = ("name", "number", "id", "nothing")


@dataclass
class OtherTool:
    """A program that writes invoices into the same sevdesk account."""

    sevdesk: SevdeskSimulator
    written: dict[str, str] = field(default_factory=dict)  # id in sevdesk -> number of the order
    others: list[str] = field(default_factory=list)  # ids of what it wrote for sales of other channels
    styles: Counter[str] = field(default_factory=Counter)

    def invoice(self, snapshot: Node, owed: OwedDocument, style: str, *, paid: bool) -> None:
        """What it writes for an order: `owed` gross per rate, marked in a style; `paid` by a line of its own."""
        number = snapshot["id"].rsplit("/", 1)[-1]
        address = snapshot["billingAddress"] or snapshot["shippingAddress"] or {}
        person = f"{address.get('firstName') or ''} {address.get('lastName') or ''}".strip()
        day = berlin_day(owed.at).isoformat()
        contact = self._call("POST", "/Contact", {"surename": address.get("firstName") or "A", "familyname": "B",
                                                  "category": {"id": 3, "objectName": "Category"}})  # fmt: skip
        header: Node = {
            "objectName": "Invoice", "mapAll": True, "status": 100, "invoiceType": "RE", "invoiceDate": day,
            "deliveryDate": day, "contact": {"id": contact["id"], "objectName": "Contact"}, "currency": "EUR",
            "contactPerson": {"id": 5, "objectName": "SevUser"}, "taxText": "zzgl. USt", "taxRate": 0, "discount": 0,
            "addressCountry": {"id": 1, "objectName": "StaticCountry"}, "showNet": False,
            "taxRule": {"id": owed.rule, "objectName": "TaxRule"}, "addressName": address.get("company") or person,
            "addressStreet": address.get("address1") or "", "addressZip": address.get("zip") or "",
            "addressCity": address.get("city") or "",
        }  # fmt: skip
        if owed.rule in (18, 19, 20):
            header["deliveryAddressCountry"] = (snapshot["shippingAddress"] or address)["countryCodeV2"].lower()
        by_note = style == "id" and int(number) % 2
        header |= {"headText": f"Vielen Dank für Ihre Bestellung {snapshot['name']}."} if style == "name" else {}
        header |= {"invoiceNumber": f"SO-{snapshot['name'].lstrip('#')}"} if style == "number" else {}
        header |= {"customerInternalNote": f"shopify-order:{number}"} if by_note else {}
        positions = [
            {"objectName": "InvoicePos", "mapAll": True, "quantity": 1, "price": f"{cents / 100:.2f}", "name": "Waren",
             "unity": {"id": 1, "objectName": "Unity"}, "taxRate": rate}
            for rate, cents in owed.by_rate.items() if cents
        ]  # fmt: skip
        body = {"invoice": header, "invoicePosSave": positions, "invoicePosDelete": None}
        made = self._call("POST", "/Invoice/Factory/saveInvoice", body)["invoice"]
        self._call("PUT", f"/Invoice/{made['id']}/sendBy", {"sendType": "VPR", "sendDraft": False})
        if style == "id" and not by_note:
            tag = {"name": number, "object": {"id": made["id"], "objectName": "Invoice"}}
            self._call("POST", "/Tag/Factory/create", tag)
        if paid:
            self._pay(int(made["id"]), owed.gross, day)
        self.written[str(made["id"])] = number
        self.styles[style] += 1

    def other_sale(self, snapshot: Node, owed: OwedDocument, index: int) -> None:
        """A sale of another channel on the same day, over the same amount, to somebody else: nobody's order here."""
        stranger = {
            **(snapshot["billingAddress"] or {}),
            "firstName": "Kim",
            "lastName": f"Fremd{index}",
            "company": None,
            "address1": f"Anderswo {index}",
        }
        like: Node = {**snapshot, "billingAddress": stranger, "name": f"#9{index:05}", "id": f"x/{990_000_000 + index}"}
        self.invoice(like, owed, STYLES[index % len(STYLES)], paid=False)
        self.styles[STYLES[index % len(STYLES)]] -= 1
        identifier = next(reversed(self.written))
        del self.written[identifier]
        self.others.append(identifier)

    def _pay(self, invoice: int, cents: int, day: str) -> None:
        account = {"id": self.sevdesk.account_id("PayPal"), "objectName": "CheckAccount"}
        line = self._call("POST", "/CheckAccountTransaction", {
            "valueDate": day, "amount": f"{cents / 100:.2f}", "payeePayerName": "x", "paymtPurpose": f"OTHER {invoice}",
            "checkAccount": account, "status": 100})  # fmt: skip
        body = {"amount": f"{cents / 100:.2f}", "date": day, "type": "N", "checkAccount": account,
                "checkAccountTransaction": {"id": line["id"], "objectName": "CheckAccountTransaction"}}  # fmt: skip
        self._call("PUT", f"/Invoice/{invoice}/bookAmount", body)

    def _call(self, method: str, path: str, body: Node) -> Any:
        headers = {"authorization": DEFAULT_TOKEN, "content-type": "application/json"}
        request = SimRequest(method, f"/api/v1{path}", (), headers, json.dumps(body).encode())
        answer = self.sevdesk.handle(request)
        assert answer.status < 300, answer.body
        return json.loads(answer.body)["objects"]


@dataclass
class Takeover(Simulation):
    """The shop's hours pass unheard; another tool writes `foreign` invoices; then they are taken over and we go on."""

    foreign: int = 60
    other_sales: int = 0
    deaths_of_the_takeover: int = 0
    dry: Survey | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def _live(self) -> None:
        self.clock.advance_to(self.start + self.span)
        self.shopify.advance(self.clock.now())
        self.tool = OtherTool(self.sevdesk)
        self._other_tool()
        self.clock.advance(3600)
        before = self._writes()
        begun = time.monotonic()
        self.dry = self._patiently(lambda: survey(self.house.context, TENANT, self._period()))
        self.seconds["dry run"] = time.monotonic() - begun
        assert self._writes() == before, "looking wrote something"
        begun = time.monotonic()
        self.death.rate = self.crash_rate
        while True:  # killed as often as it takes: done again, it comes to the same
            try:
                take_over(self.house.context, TENANT, self._period(), self.dry, by="anna")
                break
            except (Crash, LadenbuchError):
                self.deaths_of_the_takeover += 1
                self.death.dead = False
                self._open()
        super()._live()
        self.seconds["taking over and invoicing the rest"] = time.monotonic() - begun

    def _period(self) -> Period:
        day = self.start.date()
        return period_of(self.house.context, TENANT, day - timedelta(days=2), day + timedelta(days=3))

    def _patiently(self, fn: Any) -> Any:
        for _ in range(50):
            try:
                return fn()
            except LadenbuchError:
                self.clock.advance(30)
        raise AssertionError("it never came through")

    def _other_tool(self) -> None:
        """It writes what the first document of an order must say, for orders that are documented without a person."""
        rng = random.Random(f"other tool {self.seed}")
        orders = self.shopify._states[SHOP].orders
        clearing = tuple(name for name, how in GATEWAYS.items() if how["mode"] in ("clearing+payouts", "liability"))
        seller = Seller(clearing=clearing)
        left = sorted(orders)
        rng.shuffle(left)
        for gid in left:
            if len(self.tool.written) == self.foreign:
                return
            chain = chain_of(orders[gid], seller)
            first = chain.documents[0] if chain.documents else None
            if chain.outcome != "documented" or first is None or first.kind != "invoice" or first.cancelled:
                continue
            one = sum(document.kind == "invoice" for document in chain.documents) == 1
            if one and not any(payment.card for payment in chain.payments):
                style = STYLES[len(self.tool.written) % len(STYLES)]
                whole = all(booking.clearing for booking in first.bookings) and first.bookings
                self.tool.invoice(orders[gid], first, style, paid=bool(whole) and len(self.tool.written) % 8 < 4)
                if len(self.tool.others) < self.other_sales:
                    self.tool.other_sale(orders[gid], first, len(self.tool.others))

    def _writes(self) -> int:
        calls = self.sevdesk.calls()["by_endpoint"]
        return sum(count for name, count in calls.items() if name.split()[0] in ("POST", "PUT", "DELETE"))

    def _by_others(self) -> dict[str, str]:
        return self.tool.written

    def _nobodys(self) -> list[str]:
        return self.tool.others

    def told(self) -> Node:
        """The figures of the proof."""
        assert self.report is not None and self.dry is not None
        door = self.database.tenant(TENANT)

        def read(tx: Any) -> Any:
            rows, questions = books.documents.c, books.attention.c
            mine = sa.select(rows.key, rows.sevdesk_id, rows.order_id).where(rows.tenant == TENANT)
            open_ones = sa.select(questions.order_id).where(questions.tenant == TENANT, questions.code == "ADOPT")
            documents, asked = tx.execute(mine).all(), tx.execute(open_ones).all()
            return documents, asked

        documents, asked = door.read(Store.BOOKS, read)
        taken = {row.sevdesk_id: row.order_id.rsplit("/", 1)[-1] for row in documents if row.key.startswith("ado:")}
        created = {row.order_id for row in documents if row.key.startswith("inv:")}
        return {
            "orders": self.report.orders,
            "foreign": len(self.tool.written),
            "styles": dict(self.tool.styles),
            "sales of other channels": len(self.tool.others),
            "dry_run": counts(self.dry.lines),
            "adopted": len(taken),
            "adopted_wrongly": sum(self.tool.written.get(one) != order for one, order in taken.items()),
            "created": len(created),
            "asked": len({row.order_id for row in asked}),
            "duplicates": self.report.duplicates,
            "missing": self.report.missing,
            "cent_deviation": self.report.cent_deviation,
            "findings": self.report.findings[:20],
            "deaths": self.death.count,
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }


def lived(seed: int, orders: int, foreign: int, **more: Any) -> Node:
    """One takeover, from beginning to audit; its figures."""
    logging.disable(logging.CRITICAL)
    try:
        world = _Told(seed, orders, foreign=foreign, **more)
        world.run()
        return world.figures
    finally:
        logging.disable(logging.NOTSET)


@dataclass
class _Told(Takeover):
    """The figures are read before the stores are closed."""

    figures: Node = field(default_factory=dict)

    def _audit(self) -> AuditReport:
        self.report = super()._audit()
        self.figures = self.told()
        return self.report


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, value in (("orders", 1564), ("foreign", 1000), ("seed", 7)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--faults", default="calm")
    chosen = parser.parse_args()
    more = {"faults": chosen.faults, "mix": "domestic", "other_sales": chosen.foreign // 10}
    figures = lived(chosen.seed, chosen.orders, chosen.foreign, **more)
    print(json.dumps(figures, ensure_ascii=False))
    sound = not (figures["findings"] or figures["duplicates"] or figures["missing"] or figures["adopted_wrongly"])
    held = sound and figures["adopted"] >= chosen.foreign * 0.99 and figures["asked"] <= chosen.foreign * 0.01
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
