"""The chain of documents an order owes, replayed from dated facts (bookkeeping R2-R6, 1.4, 2.6, 3.1, 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ladenbuch.simulators.lives import generate
from ladenbuch.simulators.owed import Chain, Seller, chain_of

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
END = datetime(2026, 11, 22, 12, tzinfo=UTC)


def bag(cents: int) -> dict[str, Any]:
    return {"shopMoney": {"amount": f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"}}


def hour(number: float) -> str:
    return (START + timedelta(hours=number)).isoformat()


@dataclass
class Shop:
    """An order told fact by fact; hours since its creation. Sales are (line, rate or None, cents)."""

    order: dict[str, Any] = field(default_factory=lambda: {
        "id": "gid://shopify/Order/1", "name": "#1", "shippingAddress": {"countryCodeV2": "DE", "zip": "10115"},
        "agreements": [], "transactions": [], "refunds": [], "fulfillments": [], "email": "a@example.org",
    })  # fmt: skip

    def agree(self, at: float, *sales: tuple[str, int | float | None, int], refund: int | None = None) -> Shop:
        number = len(self.order["agreements"]) + 1
        self.order["agreements"].append({
            "id": f"gid://shopify/Agreement/{number}", "happenedAt": hour(at),
            "refund": None if refund is None else {"id": f"gid://shopify/Refund/{refund}"},
            "sales": [self._sale(*sale) for sale in sales],
        })  # fmt: skip
        return self

    def _sale(self, line: str, rate: float | None, cents: int) -> dict[str, Any]:
        kind = line if line in ("ADJUSTMENT", "FEE", "TIP", "SHIPPING") else "PRODUCT"
        tax = {"taxLine": {"ratePercentage": rate}, "amount": bag(0)}
        return {"lineType": kind, "totalAmount": bag(cents), "taxes": [] if rate is None else [tax],
                "lineItem": {"id": line} if kind in ("PRODUCT", "TIP") else None}  # fmt: skip

    def pay(self, at: float, cents: int, status: str = "SUCCESS", gateway: str = "shopify_payments") -> Shop:
        return self._move(at, cents, "SALE", status, gateway)

    def _move(self, at: float, cents: int, kind: str, status: str, gateway: str) -> Shop:
        number = 100 + len(self.order["transactions"])
        self.order["transactions"].append({
            "id": f"gid://shopify/OrderTransaction/{number}", "kind": kind, "status": status, "gateway": gateway,
            "processedAt": hour(at), "amountSet": bag(cents), "manualPaymentGateway": gateway == "bank_deposit",
        })  # fmt: skip
        return self

    def refund(self, at: float, cents: int, number: int, status: str = "SUCCESS") -> Shop:
        self._move(at, cents, "REFUND", status, "shopify_payments")
        node = {"id": f"gid://shopify/Refund/{number}", "transactions": [{"id": self.order["transactions"][-1]["id"]}]}
        self.order["refunds"].append(node)
        return self

    def ship(self, at: float) -> Shop:
        self.order["fulfillments"].append({"status": "SUCCESS", "createdAt": hour(at)})
        return self

    def cancel(self, at: float) -> Shop:
        self.order["cancelledAt"] = hour(at)
        return self

    def chain(self, **seller: Any) -> Chain:
        return chain_of(self.order, Seller(**seller))


def told(chain: Chain) -> list[tuple[str, dict[str, int]]]:
    return [(paper.key, paper.by_rate) for paper in chain.documents]


def booked(chain: Chain) -> dict[str, list[int]]:
    return {paper.key: [booking.cents for booking in paper.bookings] for paper in chain.documents}


def mixed() -> Shop:
    """G1: two mugs and shipping at 19 %, books at 7 %; paid."""
    return Shop().agree(0, ("mug", 19, 2590), ("book", 7, 2997), ("ship", 19, 490)).pay(0, 6077)


def test_amount_only_refund_is_spread_over_what_is_left() -> None:
    """G6 and, after one mug was credited, G6b."""
    shop = mixed().agree(5, ("ADJUSTMENT", None, -1000), refund=1).refund(5, 1000, 1)
    chain = shop.chain()
    assert told(chain)[1] == ("cn:1:1", {"19": 507, "7": 493})
    assert booked(chain) == {"inv": [6077], "cn:1:1": [-1000]}
    assert chain.documents[1].refers_to == "inv"
    shop = mixed().agree(5, ("mug", 19, -1295), refund=1).refund(5, 1295, 1)
    chain = shop.agree(9, ("ADJUSTMENT", None, -1000), refund=2).refund(9, 1000, 2).chain()
    assert told(chain)[1:] == [("cn:1:1", {"19": 1295}), ("cn:2:1", {"19": 373, "7": 627})]


def test_amount_beyond_one_rate_goes_to_the_other() -> None:
    """5.5: capped per rate."""
    shop = Shop().agree(0, ("a", 19, 1000), ("b", 7, 9000)).pay(0, 10000)
    shop.agree(2, ("a", 19, -990), refund=1).refund(2, 990, 1)
    chain = shop.agree(5, ("ADJUSTMENT", None, -9005), refund=2).refund(5, 9005, 2).chain()
    assert told(chain)[2] == ("cn:2:1", {"19": 10, "7": 8995})
    assert chain.questions == ()


def test_a_kept_fee_is_spread_over_the_rates_that_came_back() -> None:
    """G8, R4: the credit note is over the money returned."""
    shop = Shop().agree(0, ("soap", 19, 2697)).pay(0, 2697)
    chain = shop.agree(5, ("soap", 19, -899), ("FEE", None, 200), refund=1).refund(5, 699, 1).chain()
    assert told(chain)[1] == ("cn:1:1", {"19": 699})


def test_nothing_falls_before_the_money() -> None:
    """R3: pending and failed refunds make no credit note; the transaction that succeeds does, at its instant."""
    for status, asked in (("PENDING", ()), ("FAILURE", ("REFUND-FAILED",))):
        shop = mixed().agree(5, ("mug", 19, -1295), refund=1).refund(5, 1295, 1, status)
        assert (told(shop.chain())[1:], shop.chain().questions) == ([], asked)
    late = mixed().agree(5, ("mug", 19, -1295), refund=1).refund(100, 1295, 1).chain().documents[1]
    assert (late.kind, late.at) == ("credit_note", START + timedelta(hours=100))


def test_a_return_in_one_month_is_credited_with_the_refund_in_the_next() -> None:
    """5.4: the fall is in the return, the money in the refund: the rates come from the return."""
    shop = mixed().agree(5, ("book", 7, -999))
    assert len(shop.chain().documents) == 1
    chain = shop.agree(800, refund=1).refund(800, 999, 1).chain()
    assert told(chain)[1] == ("cn:1:1", {"7": 999})


def test_two_equal_refunds_on_one_day_are_two_credit_notes() -> None:
    """5.6."""
    shop = mixed()
    for number in (1, 2):
        shop.agree(5 + number, ("book", 7, -999), refund=number).refund(5 + number, 999, number)
    assert told(shop.chain())[1:] == [("cn:1:1", {"7": 999}), ("cn:2:1", {"7": 999})]
    assert booked(shop.chain())["cn:2:1"] == [-999]


def test_money_that_the_ledger_does_not_know_is_asked_about() -> None:
    """2.1 (c)."""
    assert mixed().refund(5, 500, 1).chain().questions == ("REFUND-NOT-IN-LEDGER",)
    over = mixed().pay(3, 500)
    assert over.chain().questions == ("OVERPAID",)
    assert over.refund(5, 500, 1).chain().questions == ()
    assert len(over.chain().documents) == 1


def test_additions_have_their_own_tax_point() -> None:
    """R3, 3.1: money that covers the claim, or a shipment at or after the addition."""
    shop = mixed().agree(5, ("extra", 19, 1500))
    assert len(shop.chain().documents) == 1
    paid = mixed().agree(5, ("extra", 19, 1500)).pay(9, 1500).chain()
    assert told(paid)[1] == ("sup:2", {"19": 1500})
    assert paid.documents[1].at == START + timedelta(hours=9)
    assert booked(paid) == {"inv": [6077], "sup:2": [1500]}
    sent = shop.ship(20).chain()
    assert (sent.documents[1].at, booked(sent)["sup:2"]) == (START + timedelta(hours=20), [])
    early = mixed().ship(2).agree(5, ("extra", 19, 1500)).chain()
    assert len(early.documents) == 1


def test_an_addition_taken_away_again_was_never_one() -> None:
    shop = mixed().agree(5, ("extra", 19, 1500)).agree(6, ("extra", 19, -1500)).ship(9)
    assert told(shop.chain()) == [("inv", {"19": 3080, "7": 2997})]
    two = mixed().agree(5, ("x", 19, 300)).agree(6, ("y", 7, 200)).agree(7, ("x", 19, -100)).ship(9).chain()
    assert told(two)[1:] == [("sup:2", {"19": 200}), ("sup:3", {"7": 200})]


def test_an_exchange_for_the_same_price_is_no_document() -> None:
    """1.4; at different rates a person decides."""
    same = mixed().agree(5, ("mug", 19, -1295), ("cup", 19, 1295))
    assert (len(same.chain().documents), same.chain().questions) == (1, ())
    back = same.agree(9, ("cup", 19, -1295), refund=1).refund(9, 1295, 1).chain()
    assert told(back)[1] == ("cn:1:1", {"19": 1295})
    dearer = mixed().agree(5, ("mug", 19, -1295), ("pot", 19, 1500)).pay(6, 205).chain()
    assert told(dearer)[1] == ("sup:2", {"19": 205})
    assert mixed().agree(5, ("mug", 19, -999), ("book", 7, 999)).chain().questions == ("EXCHANGE-RATES",)


def test_a_full_refund_over_two_invoices_is_two_credit_notes() -> None:
    """5.19, R6: each line at the document that covers it, the money line in two parts."""
    shop = mixed().agree(5, ("extra", 19, 1500)).pay(5, 1500)
    gone = (("mug", 19, -2590), ("book", 7, -2997), ("ship", 19, -490), ("extra", 19, -1500))
    chain = shop.agree(30, *gone, refund=7).refund(30, 7577, 7).chain()
    assert told(chain)[2:] == [("cn:7:1", {"19": 3080, "7": 2997}), ("cn:7:2", {"19": 1500})]
    assert [paper.refers_to for paper in chain.documents[2:]] == ["inv", "sup:2"]
    assert booked(chain)["cn:7:1"] + booked(chain)["cn:7:2"] == [-6077, -1500]


def test_an_amount_goes_to_the_newest_invoice_first() -> None:
    """R6."""
    shop = mixed().agree(5, ("extra", 19, 1500)).pay(5, 1500)
    chain = shop.agree(30, ("ADJUSTMENT", None, -2500), refund=7).refund(30, 2500, 7).chain()
    assert told(chain)[2:] == [("cn:7:1", {"19": 507, "7": 493}), ("cn:7:2", {"19": 1500})]


def test_unpaid_and_smaller_is_cancelled_and_written_anew() -> None:
    """R5; void is only cancelled; a part that was paid needs an offset."""
    cod = Shop().agree(0, ("a", 19, 1000), ("b", 7, 500)).ship(4)
    chain = cod.agree(9, ("b", 7, -500)).chain()
    assert told(chain) == [("inv", {"19": 1000, "7": 500}), ("sr:1", {"19": 1000, "7": 500}), ("inv/2", {"19": 1000})]
    assert [paper.cancelled for paper in chain.documents] == [True, False, False]
    assert [paper.key for paper in chain.live] == ["inv/2"]
    assert booked(cod.pay(20, 1000).chain())["inv/2"] == [1000]
    void = Shop().agree(0, ("a", 19, 1000)).ship(4).cancel(9).chain()
    assert [paper.kind for paper in void.documents] == ["invoice", "cancellation"]
    part = Shop().agree(0, ("a", 19, 1000), ("b", 7, 500)).ship(4).pay(5, 300).agree(9, ("b", 7, -500)).chain()
    assert (len(part.documents), part.questions) == (1, ("OFFSET",))


def test_cancelling_follows_the_tax_point_and_the_money() -> None:
    """1.4: before it nothing ever; after it, paid: at the refund."""
    before = Shop().agree(0, ("a", 19, 1000)).pay(0, 400).cancel(3).refund(4, 400, 1).chain()
    assert (before.outcome, before.documents) == ("excluded", [])
    shop = Shop().agree(0, ("a", 19, 1000)).pay(0, 1000).cancel(3)
    assert (len(shop.chain().documents), shop.chain().questions) == (1, ())
    paid = shop.agree(4, ("a", 19, -1000), refund=1).refund(4, 1000, 1).chain()
    assert told(paid)[1] == ("cn:1:1", {"19": 1000})


def test_a_part_paid_order_that_shrinks_to_what_was_paid() -> None:
    """Fold up to the tax point: the edit completes the money, one document."""
    shop = Shop().agree(0, ("a", 19, 1000), ("b", 7, 500)).pay(1, 1000).agree(9, ("b", 7, -500))
    assert told(shop.chain()) == [("inv", {"19": 1000})]
    assert shop.chain().tax_point == START + timedelta(hours=9)


def at(country: str, *sales: tuple[str, int | None, int], zip_code: str = "1") -> Shop:
    shop = Shop().agree(0, *sales).pay(0, sum(cents for _, _, cents in sales))
    shop.order["shippingAddress"] = {"countryCodeV2": country, "zip": zip_code}
    return shop


def test_the_rule_follows_the_place() -> None:
    assert at("FR", ("a", 20, 999)).chain().documents[0].rule == 18
    assert at("FR", ("a", 19, 999)).chain().questions == ("TAX-RATE",)
    assert at("FR", ("a", 19, 999)).chain(oss=False).documents[0].rule == 1
    assert at("FR", ("a", None, 999)).chain().questions == ("TAX-ZERO",)
    assert at("CH", ("a", 19, 999)).chain().questions == ("TAX-FOREIGN",)
    assert at("DE", ("a", 19, 999), zip_code="27498").chain().questions == ("TAX-FOREIGN",)
    for shop, rule in (
        (at("CH", ("a", None, 999)), 2), (at("DE", ("a", None, 999), zip_code="78266"), 2),
        (at("FR", ("a", None, 999)), 3),
    ):  # fmt: skip
        shop.order["customer"] = {"taxSettings": {"taxId": "FR40303265045"}}
        assert (shop.chain().outcome, shop.chain().reason) == ("waiting", "UNSHIPPED")
        shop.ship(40)
        assert (shop.chain().documents[0].rule, shop.chain().documents[0].at) == (rule, START + timedelta(hours=40))
        assert booked(shop.chain())["inv"] == [shop.chain().documents[0].gross]


def test_a_tip_follows_the_goods_or_is_asked_about() -> None:
    """2.5."""
    shop = Shop().agree(0, ("a", 7, 900), ("b", 19, 1000), ("TIP", None, 300)).pay(0, 2200)
    assert told(shop.chain()) == [("inv", {"19": 1300, "7": 900})]
    assert shop.chain(tips=None).questions == ("TIP",)


def test_a_part_over_a_month_end_is_asked_about() -> None:
    """3.1; money that is complete in time is not."""
    over = Shop().agree(0, ("a", 19, 1000)).pay(1, 300).pay(24 * 30, 700).chain()
    assert (over.questions, over.documents) == (("PARTIAL-PREPAYMENT",), [])
    assert Shop().agree(0, ("a", 19, 1000)).pay(1, 300).pay(9, 700).ship(24 * 30).chain().questions == ()


@pytest.mark.parametrize(("mix", "orders"), [("domestic", 600), ("wide", 900)])
def test_a_later_look_only_makes_the_chain_longer(mix: str, orders: int) -> None:
    """R1, R2: every event's chain is the beginning of the final one, and the books close on the money kept."""
    for life in generate(5, orders, shop="s.example", mix=mix, end=END, span=timedelta(days=30)):
        final = chain_of(life.final)
        for event in life.events:
            seen = chain_of(event.snapshot)
            if not {*seen.questions, *final.questions} - {"GATEWAY-UNMAPPED", "DISPUTE", "OVERPAID"}:
                assert told(seen) == told(final)[: len(seen.documents)], life.label.situation
        sign = {"invoice": 1, "supplementary": 1, "credit_note": -1, "cancellation": -1}
        standing = sum(sign[paper.kind] * paper.gross for paper in final.documents)
        linked = sum(booking.cents for paper in final.documents for booking in paper.bookings)
        if final.documents and final.outcome == "documented":
            assert 0 <= linked <= standing
            assert sum(payment.cents - payment.card for payment in final.payments) <= linked
