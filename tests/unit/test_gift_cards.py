"""Gift cards and store credit: a liability, not turnover (bookkeeping 2.5, 4.2; 1.4; situations 5.21, 5.22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import PROFILE, T0, agreement, at, mug, order, payment, sale, shipped
from ladenbuch.domain.books import Books
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.order import Dispute, Refund
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import Gateway, Profile
from ladenbuch.errors import Rejected
from unit.test_plan_lives import apply

NOW = T0 + timedelta(days=2)
SHOP = replace(
    PROFILE,
    vouchers="multi_purpose",
    gateways={
        **PROFILE.gateways,
        "gift_card": Gateway("liability", "20"),
        "shopify_store_credit": Gateway("liability", "21"),
    },
)


def card(number, total, line="9", **more):
    return sale(number, total, line=line, kind="GIFT_CARD", **more)


def goods_and_card(when=T0):
    """A mug of 11.90 and a card of 25.00."""
    return agreement(1, when, sale(1, 1190, {"19": 190}, line="1"), card(2, 2500))


def back(number, when, *sales, refund="1"):
    return replace(agreement(number, when, *sales, reason="REFUND"), refund_id=f"gid://shopify/Refund/{refund}")


def refund(number, *payments):
    ids = tuple(f"gid://shopify/OrderTransaction/{item}" for item in payments)
    return Refund(f"gid://shopify/Refund/{number}", None, 0, transaction_ids=ids)


def planned(made, books=None, profile=SHOP, now=NOW):
    return plan(facts_of(made), books or Books(), [profile], now)


def proof(made, result, books=None):
    return certificate(facts_of(made), books or Books(), result)


def lines(result):
    """Account, purpose and amount of every line."""
    written = [item.line for item in result.actions if item.line]
    return [(item.account, "/".join(item.payment_id.split("/")[4:]), item.amount) for item in written]


def booked(result):
    """Transaction part, document and amount of every booking."""
    done = [item.booking for item in result.actions if item.booking]
    return [("/".join(item.payment_id.split("/")[4:]), item.document_key, item.amount) for item in done]


def documents(result):
    """Kind, key and gross of every document."""
    drafted = [item for item in result.actions if item.kind in ("invoice", "credit_note")]
    return [(item.kind, item.document.key, item.document.draft.gross) for item in drafted]


def codes(result):
    return {item.code for item in result.attention}


# -- redeemed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gateway", "account"), [("gift_card", "20"), ("shopify_store_credit", "21")])
def test_a_redeemed_card_is_a_payment_from_the_liability_account(gateway, account):
    """2.5, 4.2: revenue stays full; the account rises towards zero by what was redeemed."""
    made = order(mug(), payments=(payment(8, 500, at(1), gateway=gateway), payment(9, 690, at(1))))
    result = planned(made)
    assert documents(result) == [("invoice", "inv:5001:1", 1190)] and not result.attention
    assert lines(result) == [(account, "8", 500), ("12", "9", 690)]
    assert booked(result) == [("8", "inv:5001:1", 500), ("9", "inv:5001:1", 690)]
    assert proof(made, result).holds and proof(made, result).open_minor == 0


def test_5_22_a_refund_to_store_credit_is_a_credit_note_and_a_liability():
    """5.22: CN; the liability rises; no line on the gateway the buyer had paid with."""
    returned = back(2, at(50), sale(2, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN"))
    moved = payment(10, 1190, at(50), kind="REFUND", gateway="shopify_store_credit")
    made = order(mug(), returned, payments=(payment(9, 1190, at(1)), moved), refunds=(refund(1, 10),))
    result = planned(made)
    assert documents(result) == [("invoice", "inv:5001:1", 1190), ("credit_note", "cn:1:1", 1190)]
    assert lines(result) == [("12", "9", 1190), ("21", "10", -1190)] and not result.attention
    assert booked(result)[-1] == ("10", "cn:1:1", -1190) and proof(made, result).holds


def test_5_21_card_and_gift_card_refunded_as_shopify_split_it():
    """5.21: gift card 30, card 20, refund 40: one credit note over 40, Shopify's own split on both accounts."""
    sold = agreement(1, T0, sale(1, 4000, {"19": 639}, line="1"), sale(2, 1000, {"19": 160}, line="2"))
    returned = back(2, at(50), sale(3, -4000, {"19": -639}, line="1", quantity=-1, action="RETURN"))
    made = order(
        sold,
        returned,
        payments=(
            payment(8, 3000, at(1), gateway="gift_card"),
            payment(9, 2000, at(1)),
            payment(10, 2500, at(50), kind="REFUND", gateway="gift_card"),
            payment(11, 1500, at(50), kind="REFUND"),
        ),
        refunds=(refund(1, 10, 11),),
    )
    result = planned(made)
    assert documents(result) == [("invoice", "inv:5001:1", 5000), ("credit_note", "cn:1:1", 4000)]
    assert lines(result) == [("20", "8", 3000), ("12", "9", 2000), ("20", "10", -2500), ("12", "11", -1500)]
    assert booked(result)[2:] == [("10", "cn:1:1", -2500), ("11", "cn:1:1", -1500)]
    assert not result.attention and proof(made, result).holds


def test_a_single_purpose_card_that_pays_is_asked_about_before_anything_is_taxed_twice():
    """2.5, §3 (14) UStG: taxed at its sale, so an invoice over what it buys would tax it again."""
    made = order(mug(), payments=(payment(9, 1190, at(1), gateway="gift_card"),))
    result = planned(made, profile=replace(SHOP, vouchers="single_purpose"))
    assert codes(result) == {"GIFT-CARD"} and not documents(result)
    assert documents(planned(made)) and not planned(made).attention


# -- sold -------------------------------------------------------------------------------------------------------------


def test_a_multi_purpose_card_beside_goods_is_no_turnover():
    """2.5: the document is over the goods; the charge stands in parts; what the cards' owners are owed is a line."""
    made = order(goods_and_card(), payments=(payment(9, 3690, at(1)),))
    result = planned(made)
    assert documents(result) == [("invoice", "inv:5001:1", 1190)] and not result.attention
    assert lines(result) == [("12", "9/1", 1190), ("12", "9/2", 2500), ("20", "9/card", -2500)]
    assert booked(result) == [("9/1", "inv:5001:1", 1190)]
    found = proof(made, result)
    assert found.holds and found.open_minor == 0 and found.gross_by_rate == {"19": 1190}
    assert (found.money_facts, found.money_booked) == (3690, 3690)


def test_the_certificate_misses_a_debt_that_is_not_written():
    """1.5: the money for a card must be owed to somebody, to the cent."""
    made = order(goods_and_card(), payments=(payment(9, 3690, at(1)),))
    result = planned(made)
    short = replace(result, actions=tuple(item for item in result.actions if not item.key.endswith(":card")))
    assert proof(made, result).holds and not proof(made, short).holds


def test_a_part_of_the_price_pays_nothing_before_the_whole_is_there():
    """2.5, 3.1: the money is complete when it covers the card too; until then no line could be in the right parts."""
    part = order(goods_and_card(), payments=(payment(9, 1190, at(1)),))
    assert planned(part).tax_point is None and planned(part).actions == () and not planned(part).attention
    made = replace(part, payments=(*part.payments, payment(10, 2500, at(5))))
    assert planned(made).tax_point.at == at(5)
    assert lines(planned(made)) == [("12", "9", 1190), ("12", "10", 2500), ("20", "10/card", -2500)]
    assert booked(planned(made)) == [("9", "inv:5001:1", 1190)] and proof(made, planned(made)).holds


def test_an_order_of_nothing_but_cards_has_lines_and_no_document():
    """2.5: excluded with its reason, in the certificate too."""
    made = order(agreement(1, T0, card(2, 2500)), payments=(payment(9, 2500, at(1)),))
    result = planned(made)
    assert result.exclusion.code == "GIFT-CARDS-ONLY" and "debt" in result.exclusion.message
    assert lines(result) == [("12", "9", 2500), ("20", "9/card", -2500)] and not documents(result)
    found = proof(made, result)
    assert found.holds and found.verdict == "excluded" and (found.money_facts, found.money_booked) == (2500, 2500)
    assert {item.status for item in found.coverage} == {"ignored", "planned"}
    books = Books()
    for action in result.actions:
        books = apply(books, action)
    done = planned(made, books)
    assert done.actions == () and proof(made, done, books).holds
    assert {item.status for item in proof(made, done, books).coverage} == {"ignored", "covered"}


def test_a_refunded_card_is_reversed_without_a_credit_note():
    """2.5: what went back leaves the gateway, and the debt falls."""
    returned = back(2, at(50), card(3, -2500, quantity=-1, action="RETURN"))
    moved = (payment(9, 2500, at(1)), payment(10, 2500, at(50), kind="REFUND"))
    made = order(agreement(1, T0, card(2, 2500)), returned, payments=moved, refunds=(refund(1, 10),))
    result = planned(made)
    assert lines(result)[2:] == [("12", "10", -2500), ("20", "10/card", 2500)] and result.exclusion
    assert sum(amount for account, _, amount in lines(result) if account == "20") == 0
    assert proof(made, result).holds and not documents(result)


def test_goods_and_card_refunded_together():
    """R4, 2.5: the credit note is over the goods; the rest of the refund reverses the card."""
    returned = back(
        2,
        at(50),
        sale(3, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN"),
        card(4, -2500, quantity=-1, action="RETURN"),
    )
    moved = (payment(9, 3690, at(1)), payment(10, 3690, at(50), kind="REFUND"))
    made = order(goods_and_card(), returned, payments=moved, refunds=(refund(1, 10),))
    result = planned(made)
    assert documents(result)[1:] == [("credit_note", "cn:1:1", 1190)] and not result.attention
    assert lines(result)[3:] == [("12", "10/1", -1190), ("12", "10/2", -2500), ("20", "10/card", 2500)]
    assert booked(result)[-1] == ("10/1", "cn:1:1", -1190) and proof(made, result).holds


def test_a_refund_that_does_not_say_what_for_is_asked_about():
    """2.5: an amount alone, or less than was taken back, of an order with a card."""
    paid = payment(9, 3690, at(1))
    for sales, amount in (
        ((sale(3, -500, kind="ADJUSTMENT", action="RETURN", quantity=None),), 500),
        ((card(3, -2500, quantity=-1, action="RETURN"),), 2000),
    ):
        moved = (paid, payment(10, amount, at(50), kind="REFUND"))
        made = order(goods_and_card(), back(2, at(50), *sales), payments=moved, refunds=(refund(1, 10),))
        result = planned(made)
        assert codes(result) == {"GIFT-CARD"} and documents(result) == [("invoice", "inv:5001:1", 1190)]
        assert proof(made, result).verdict == "attention" and proof(made, result).holds


def test_a_card_that_is_sent_is_no_shipment_of_goods():
    """3.1: Shopify fulfils a gift card by itself; nothing was supplied by it."""
    sent = replace(shipped(3, at(2)), items=(("gid://shopify/LineItem/9", 1),))
    made = order(goods_and_card(), payments=(payment(9, 1190, at(1)),), fulfilments=(sent,))
    assert planned(made).tax_point is None
    goods = replace(shipped(4, at(7)), items=(("gid://shopify/LineItem/1", 1),))
    both = replace(made, fulfilments=(sent, goods))
    assert planned(both).tax_point.at == at(7) and documents(planned(both)) == [("invoice", "inv:5001:1", 1190)]


def test_a_card_sold_abroad_does_not_wait_for_a_shipment():
    """3.1: untaxed, but no export: an order of cards alone is settled by its money."""
    made = order(agreement(1, T0, card(2, 2500)), payments=(payment(9, 2500, at(1)),))
    home = replace(made.billing_address, country="CH", zip="8001")
    result = planned(replace(made, billing_address=home, shipping_address=None))
    assert result.exclusion.code == "GIFT-CARDS-ONLY" and len(lines(result)) == 2


def test_money_of_a_card_over_a_bank_is_asked_about_and_by_hand_is_not():
    """4.2: bank is matched in sevdesk, so the debt has no counterpart of ours; off is the merchant's own."""
    bank = order(goods_and_card(), payments=(payment(9, 3690, at(1), gateway="bank_deposit", manual=True),))
    assert codes(planned(bank)) == {"GIFT-CARD"} and documents(planned(bank)) and not lines(planned(bank))
    cod = order(goods_and_card(), payments=(payment(9, 3690, at(1), gateway="cash_on_delivery"),))
    assert not planned(cod).attention and not lines(planned(cod)) and proof(cod, planned(cod)).holds


def test_2_5_a_card_sold_over_a_connected_account_is_owed_and_the_feeds_line_is_the_other_side():
    """2.5, 4.2, mode feed: nothing is created on the connected account; what is owed stands on the cards' own."""
    fed = replace(SHOP, gateways={**SHOP.gateways, "paypal": Gateway("feed", "31")})
    made = order(agreement(1, T0, card(2, 2500)), payments=(payment(9, 2500, at(1), gateway="paypal"),))
    result = planned(made, profile=fed)
    assert lines(result) == [("20", "9/card", -2500)] and result.exclusion.code == "GIFT-CARDS-ONLY"
    assert not result.attention and not result.wanted and proof(made, result).holds
    mixed = order(goods_and_card(), payments=(payment(9, 3690, at(1), gateway="paypal"),))
    assert codes(planned(mixed, profile=fed)) == {"GIFT-CARD"}, "one line in one piece pays goods and cards"


def test_without_an_account_for_cards_only_the_debt_is_asked_about():
    """4.2, R20: the invoice and the gateway's own lines do not depend on it."""
    made = order(goods_and_card(), payments=(payment(9, 3690, at(1)),))
    result = planned(made, profile=replace(SHOP, gateways=PROFILE.gateways))
    assert codes(result) == {"GATEWAY-UNMAPPED"} and documents(result)
    assert lines(result) == [("12", "9/1", 1190), ("12", "9/2", 2500)]


def test_unset_vouchers_are_refused():
    """2.4, 2.5: nobody said what the cards can buy."""
    made = order(goods_and_card(), payments=(payment(9, 3690, at(1)),))
    result = planned(made, profile=replace(SHOP, vouchers="unset"))
    assert codes(result) == {"GIFT-CARD"} and not documents(result)


@pytest.mark.parametrize("cards", [False, True])
def test_r10_a_changed_policy_changes_nothing_that_was_posted(cards):
    """R10: what was documented as turnover stays so, what was set aside stays aside."""
    sold = agreement(1, T0, card(2, 2500)) if cards else goods_and_card()
    made = order(sold, payments=(payment(9, 2500 if cards else 3690, at(1)),))
    for first, then in (("multi_purpose", "single_purpose"), ("single_purpose", "multi_purpose")):
        books = Books()
        for action in planned(made, profile=replace(SHOP, vouchers=first)).actions:
            books = apply(books, action)
        for policy in (first, then):
            again = planned(made, books, replace(SHOP, vouchers=policy))
            assert again.actions == () and again.attention == ()
            assert proof(made, again, books).holds


def test_goods_exchanged_for_a_card_are_asked_about():
    """1.4: no money moved, and value went from taxed goods to a debt."""
    swap = agreement(
        2,
        at(50),
        sale(3, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN"),
        card(4, 1190),
        reason="ORDER_EDIT",
    )
    made = order(mug(), swap, payments=(payment(9, 1190, at(1)),), edited=True)
    assert codes(planned(made)) == {"GIFT-CARD"} and documents(planned(made)) == [("invoice", "inv:5001:1", 1190)]


def test_a_disputed_card_order_is_told_like_any_other():
    """1.4: a chargeback changes no document, and there is none."""
    lost = (Dispute("gid://shopify/Dispute/1", "CHARGEBACK", "LOST"),)
    made = order(agreement(1, T0, card(2, 2500)), payments=(payment(9, 2500, at(1)),), disputes=lost)
    result = planned(made)
    assert codes(result) == {"DISPUTE"} and result.exclusion is None and len(lines(result)) == 2


def test_more_money_than_cards_were_sold_for():
    made = order(agreement(1, T0, card(2, 2500)), payments=(payment(9, 2500, at(1)), payment(10, 2500, at(2))))
    result = planned(made)
    assert codes(result) == {"OVERPAID"}
    assert lines(result) == [("12", "9", 2500), ("20", "9/card", -2500), ("12", "10", 2500)]


def test_a_card_sold_before_go_live_and_refunded_after_is_asked_about():
    """R22: its debt stands in books that are not ours."""
    returned = back(2, at(50), card(3, -2500, quantity=-1, action="RETURN"))
    moved = (payment(9, 2500, at(1)), payment(10, 2500, at(50), kind="REFUND"))
    made = order(agreement(1, T0, card(2, 2500)), returned, payments=moved, refunds=(refund(1, 10),))
    assert codes(planned(made, profile=replace(SHOP, go_live=at(20)))) == {"ORIGIN-UNKNOWN"}


# -- the profile ------------------------------------------------------------------------------------------------------


def test_the_number_of_an_account_survives_the_profile_file():
    data = {"gateways": {"gift_card": {"mode": "liability", "account": "20", "number": "1723"}, "paypal": "off"}}
    profile = Profile.from_json(data)
    assert profile.gateways["gift_card"] == Gateway("liability", "20", "1723")
    assert profile.as_json()["gateways"] == {**data["gateways"], "paypal": {"mode": "off", "account": None}}
    with pytest.raises(Rejected, match="unknown field"):
        Profile.from_json({"gateways": {"gift_card": {"mode": "liability", "konto": "20"}}})


def test_a_card_that_is_not_paid_whole_yet_waits_like_any_order():
    """2.5: whose the money is, is known when all is there; until then the order is looked at as a whole."""
    part = order(agreement(1, T0, card(2, 2500)), payments=(payment(1, 1000, at(50)), payment(2, 1190, at(1))))
    made = planned(part)
    assert [item.code for item in made.waiting] == ["UNPAID"]
    assert made.attention == () and made.actions == ()


def test_what_is_left_beside_a_paid_card_is_asked_about():
    """The card is paid, and the goods were taken off again: the money beside the card is nobody's."""
    taken = sale(5, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN")
    lowered = agreement(2, at(100), taken, reason="ORDER_EDIT")
    made = planned(
        order(goods_and_card(), lowered, payments=(payment(1, 3690, at(50)),), edited=True),
        profile=replace(SHOP, timing="fulfilment"),
    )
    assert [item.code for item in made.attention] == ["OVERPAID"]


def test_a_card_that_was_sent_leaves_the_calendar_to_the_goods():
    """Under `payment` the goods wait for the money until their month ends, also when a card was sent first."""
    both = order(
        goods_and_card(),
        fulfilments=(
            replace(shipped(3, at(60)), items=(("gid://shopify/LineItem/9", 1),)),
            replace(shipped(4, at(90)), items=(("gid://shopify/LineItem/1", 1),)),
        ),
    )
    made = planned(both, profile=replace(SHOP, timing="payment"))
    assert [item.code for item in made.waiting] == ["UNPAID"] and made.look_again is not None
    after = planned(both, profile=replace(SHOP, timing="payment"), now=made.look_again + timedelta(seconds=1))
    assert [item.kind for item in after.actions][:1] == ["invoice"]
