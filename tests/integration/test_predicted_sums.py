"""Predicted sums against what sevdesk's arithmetic makes of the posted body, over generated German consumer orders.

R21, S148, E3; bookkeeping 2.2, 2.3. Two independent calculations meet here: the shop's ledger (the generator's integer
cents) and the simulator's sums of the body we would send. A planted rounding error must not survive the comparison.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from builders import PROFILE
from ladenbuch.domain import document as drafts
from ladenbuch.domain import positions as folding
from ladenbuch.domain.books import Books
from ladenbuch.domain.document import InvoiceDraft, rate_text
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.plan import plan
from ladenbuch.sevdesk import documents as wire
from ladenbuch.sevdesk import positions as remote
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.lives import Life, generate
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator

END = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Desk:
    """A simulated tenant with one contact that takes drafts."""

    def __init__(self) -> None:
        self.sim = SevdeskSimulator(lambda: END)
        self.unity = self.first("/Unity")
        self.person = self.first("/SevUser")
        self.country = self.first("/StaticCountry", [("code", "de")])
        contact = {"surename": "Erika", "familyname": "Muster", "category": {"id": 3, "objectName": "Category"}}
        self.contact = str(self.ask("POST", "/Contact", contact)["id"])

    def ask(self, method: str, path: str, body: object = None, query: list[tuple[str, str]] | None = None) -> Any:
        headers = {"authorization": DEFAULT_TOKEN, "content-type": "application/json"}
        encoded = b"" if body is None else json.dumps(body).encode()
        response = self.sim.handle(SimRequest(method, f"/api/v1{path}", query or [], headers, encoded))
        assert response.status in (200, 201), response.body
        return json.loads(response.body, parse_float=Decimal)["objects"]

    def first(self, path: str, query: list[tuple[str, str]] | None = None) -> str:
        return str(self.ask("GET", path, query=query)[0]["id"])

    def save(self, draft: InvoiceDraft) -> tuple[wire.RemoteInvoice, tuple[remote.RemotePosition, ...]]:
        body = wire.save_invoice_body(draft, self.contact, self.person, self.country, self.unity)
        saved = self.ask("POST", "/Invoice/Factory/saveInvoice", body)
        return wire.remote_invoice(saved["invoice"]), remote.remote_positions(saved["invoicePos"])


def cents(bag: dict[str, Any]) -> int:
    return int(Decimal(bag["shopMoney"]["amount"]) * 100)


def deviations(desk: Desk, life: Life) -> list[str]:
    """What differs between ledger, prediction and sevdesk for one documented order."""
    made = plan(facts_of(order_from_envelope(life.final)), Books(), [PROFILE], END)
    draft = next((action.document.draft for action in made.actions if action.document), None)
    if draft is None:
        return [f"no document: {[item.code for item in made.attention]}"]
    invoice, positions = desk.save(draft)
    found = [str(item) for item in wire.compare(draft, invoice, positions)]
    sold = [sale for agreement in life.final["agreements"] for sale in agreement["sales"]]
    ledger = sum(cents(sale["totalAmount"]) for sale in sold)
    if not ledger == life.label.invoice_gross == draft.gross == invoice.gross:
        found.append(f"the ledger says {ledger}, sevdesk {invoice.gross}")
    tax: Counter[str] = Counter()
    for sale in sold:
        for entry in sale["taxes"]:
            tax[rate_text(Decimal(str(entry["taxLine"]["ratePercentage"])))] += cents(entry["amount"])
    for rate, (gross, _, ours) in remote.sums_per_rate(positions).items():
        lines = sum(1 for position in positions if position.rate == rate)
        entries = sum(1 for sale in sold for _ in sale["taxes"])
        if gross != life.label.gross_by_rate.get(rate_text(rate), 0):
            found.append(f"{gross} at {rate} % is not what was sold")
        if 2 * abs(tax[rate_text(rate)] - ours) > max(lines, entries) + 1:
            found.append(f"tax at {rate} %: {tax[rate_text(rate)]} and {ours}")
    return found


def documented(orders: int, seed: int) -> list[Life]:
    lives = generate(seed, orders, shop="seifenladen.myshopify.com", end=END, span=timedelta(days=30))
    return [life for life in lives if life.label.outcome == "documented"]


def prove(orders: int, seed: int) -> None:
    desk = Desk()
    lives = documented(orders, seed)
    assert len(lives) > orders * 9 // 10
    assert [(life.name, life.label.situation, found) for life in lives if (found := deviations(desk, life))] == []
    assert desk.sim.internal_errors == []


@pytest.mark.parametrize("quarter", range(4))
def test_predicted_sums_of_ten_thousand_orders(quarter: int) -> None:
    """10,000 domestic orders, 0 cent: per document, per rate, per position. In quarters, for whoever has cores."""
    prove(2_500, seed=2026 + quarter)


def _down(gross: int, rate: Decimal) -> int:
    return int((Decimal(gross) * 100 / (100 + rate)).quantize(Decimal(1), rounding=ROUND_DOWN))


def _by_tax(gross: int, taxes: dict[Decimal, int], weights: dict[Decimal, int]) -> dict[Decimal, int]:
    """The forbidden way: gross of each part = tax / rate (bookkeeping 2.2: wrong in 83 % of the cases)."""
    return {
        rate: int((Decimal(tax) * (100 + rate) / rate).quantize(Decimal(1), rounding=ROUND_HALF_UP))
        for rate, tax in taxes.items()
    }


def _one_more(minor: int, currency: str = "EUR") -> str:
    return f"{(minor + 1) // 100}.{(minor + 1) % 100:02d}"


@pytest.mark.parametrize(
    ("where", "name", "wrong", "situation", "least"),
    [
        (drafts, "net_of_gross", _down, None, 0.5),
        (folding, "split_by_rate", _by_tax, "split_shipping_tax", 0.5),
        (remote, "to_decimal", _one_more, None, 1.0),
    ],
)
def test_a_planted_error_does_not_survive(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, wrong: Any, situation: str | None, least: float
) -> None:
    """Net rounded down, shipping split by tax / rate, a price one cent up: each makes the comparison fail."""
    lives = [life for life in documented(400, seed=3) if situation in (None, life.label.situation)]
    desk = Desk()
    assert not any(deviations(desk, life) for life in lives)
    monkeypatch.setattr(where, name, wrong)
    caught = sum(bool(deviations(desk, life)) for life in lives)
    assert caught >= max(1, least * len(lives))
