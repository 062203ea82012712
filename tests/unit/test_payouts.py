"""What follows from a provider's balance, and both balances by the day: the pure part (B14, 4.2, R2, R7)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.domain.balance import Movement, Payout
from ladenbuch.domain.clearing import BookLine, compare
from ladenbuch.domain.closed_days import close
from ladenbuch.domain.payouts import KnownPayout, Terms, due, fees_of, terms_of
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.providers import Provider
from ladenbuch.domain.reports import klarna
from ladenbuch.errors import Rejected
from ladenbuch.shopify.payouts import _movement, _payout
from ladenbuch.simulators.shopify.payments import Payments, entry_node, payout_node

START = datetime(2026, 1, 5, 0, tzinfo=UTC)
PROVIDER = Provider("Shopify International Limited", 14, "5923", checked_by="Kanzlei")
TERMS = Terms("shopify_payments", START, lambda at: "9", lambda at: PROVIDER, lambda at: at.date())


def order(
    number: int, *payments: tuple[str, int, datetime], dispute: tuple[str, str] | None = None
) -> dict[str, object]:
    nodes = [
        {"id": f"gid://shopify/OrderTransaction/{number * 10 + place}", "kind": kind, "status": "SUCCESS",
         "gateway": "shopify_payments", "amountSet": {"shopMoney": {"amount": str(cents / 100)}},
         "processedAt": at.isoformat(), "fees": [{"amount": {"amount": str((cents // 50 + 30) / 100)}}], "test": False}
        for place, (kind, cents, at) in enumerate(payments)
    ]  # fmt: skip
    disputes = [] if dispute is None else [{"id": f"gid://shopify/ShopifyPaymentsDispute/{number}",
                                            "initiatedAs": dispute[0], "status": dispute[1]}]  # fmt: skip
    return {"id": f"gid://shopify/Order/{number}", "name": f"#{number}", "transactions": nodes, "disputes": disputes}


def lived(seed: int, days: int, before: int = 0) -> Payments:
    """Days of a shop, `before` of them before the account is kept."""
    rng = random.Random(seed)
    shop = Payments()
    shop.set_terms(pending=rng.choice((0, 24, 60)), reserve_percent=rng.choice((0, 0, 15)), reserve_days=6,
                   fee_in_dispute=rng.random() < 0.5)  # fmt: skip
    shop.fates += rng.choices(("paid", "failed", "bounced", "canceled"), (5, 1, 1, 1), k=30)
    now = START - timedelta(days=before)
    shop.advance(now)
    sold: list[tuple[int, int, datetime]] = []
    for number in range(days * 3):
        now += timedelta(hours=8)
        shop.advance(now)
        what = rng.random()
        if what < 0.6:
            cents = rng.randrange(100, 20_000)
            sold.append((number, cents, now))
            shop.saw(None, order(number, ("SALE", cents, now)), now)
        elif sold and what < 0.8:
            which, cents, at = rng.choice(sold)
            shop.saw(None, order(which, ("SALE", cents, at), ("REFUND", rng.randrange(1, cents + 1), now)), now)
        elif sold and what < 0.9:
            which, cents, at = rng.choice(sold)
            for status in ("NEEDS_RESPONSE", rng.choice(("WON", "LOST"))):
                shop.saw(None, order(which, ("SALE", cents, at), dispute=("CHARGEBACK", status)), now)
        else:
            kind = rng.choice(("ADJUSTMENT", "SHIPPING_LABEL", "BILLING_DEBIT", "NEVER_HEARD_OF"))
            shop.adjust(now, rng.randrange(-900, 900), type=kind, fee=rng.choice((0, 7)))
    return shop


def told(shop: Payments) -> tuple[list[Movement], list[KnownPayout]]:
    """What our client makes of it."""
    moved = [_movement(entry_node(entry, "EUR")) for entry in shop.entries]
    paid = [
        KnownPayout(_payout(payout_node(one, "EUR")), None if one.paid_at is None else one.paid_at.date())
        for one in shop.payouts
    ]
    return moved, paid


def books(moved: list[Movement], paid: list[KnownPayout]) -> list[BookLine]:
    """The lines of orders and ours, all written."""
    made = due(TERMS, paid, moved)
    lines = [BookLine(one.key, one.kind, one.about, one.amount, one.day) for one in made.lines]
    for item in moved:
        if item.type in ("CHARGE", "REFUND") and item.at >= START:
            assert item.order_transaction is not None
            lines.append(BookLine(f"line:{item.number}", "order", item.order_transaction, item.amount, item.at.date()))
    return lines


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from((0, 9)))
def test_b14_on_every_day_the_account_is_the_balance_and_what_is_named(seed: int, before: int) -> None:
    """Whatever happened: no cent without a name; with all lines written only fees to come and the opening differ."""
    shop = lived(seed, 24, before)
    moved, paid = told(shop)
    begun = [item for item in paid if not (item.payout.issued_at < START and _over_before(item, moved))]
    lines = books(moved, begun)
    opening = sum(item.net for item in moved if item.at < START)
    kept = sum(-item.amount for item in moved if item.at < START and item.type.startswith("RESERVED"))
    for back in range(0, 24 - before, 3):
        day = START.date() + timedelta(days=back)
        clearing = sum(line.amount for line in lines if line.day <= day)
        made = compare(TERMS, day, clearing=clearing, opening=opening, payouts=begun, movements=moved, lines=lines)
        assert made.unexplained == 0
        assert {item.code for item in made.named} <= {"fees-pending", "opening"}
        at = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) - timedelta(microseconds=1)
        truth = shop.balance_at(at) + shop.in_transit_at(at) + shop.reserved_at(at) - kept
        assert made.expected == truth
    gone = random.Random(seed).sample(lines, min(3, len(lines)))
    last = START.date() + timedelta(days=40)
    left = [line for line in lines if line not in gone]
    clearing = sum(line.amount for line in left) + 777
    made = compare(TERMS, last, clearing=clearing, opening=opening, payouts=begun, movements=moved, lines=left)
    assert made.unexplained == 0 and made.status == "OPEN"
    assert ("lines-of-others", 777) in [(item.code, item.amount) for item in made.named]


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from((0, 9)), st.integers(0, 4))
def test_b14_days_that_are_over_are_a_sum_and_every_comparison_is_the_same(seed: int, before: int, lost: int) -> None:
    """Whatever is closed when: what is left says to the cent, name by name, what everything says (4.2)."""
    moved, paid = told(lived(seed, 32, before))
    begun = [item for item in paid if not (item.payout.issued_at < START and _over_before(item, moved))]
    rng, lines = random.Random(seed), books(moved, begun)
    for line in rng.sample(lines, min(lost, len(lines))):
        lines.remove(line)
    opening = sum(item.net for item in moved if item.at < START)
    closed, facts = None, (list(begun), list(moved), list(lines))
    for closing in sorted(rng.sample(range(25), 2)):
        now = START.date() + timedelta(days=closing)
        closed = close(TERMS, now, closed, *facts, unbooked=())
        facts = (
            [item for item in begun if item.payout.issued_at >= closed.cut or item.id in closed.payouts],
            [item for item in moved if item.at >= closed.cut or item.id in closed.movements],
            [item for item in lines if item.day > closed.day or item.key in closed.keys],
        )
        for later in (1, 3, 9):
            day = now + timedelta(days=later)
            clearing = sum(line.amount for line in lines if line.day <= day) + 5
            said = {"clearing": clearing, "opening": opening}
            whole = compare(TERMS, day, payouts=begun, movements=moved, lines=lines, **said)
            over = closed.net, closed.reserved, closed.lines
            made = compare(TERMS, day, payouts=facts[0], movements=facts[1], lines=facts[2], over=over, **said)
            assert made == whole and made.unexplained == 0
        assert lost or closing < 15 or len(facts[1]) < len(moved)


def _over_before(item: KnownPayout, moved: list[Movement]) -> bool:
    if item.paid_on is not None and item.paid_on < START.date():
        return True
    return any(one.source_id == item.payout.number and one.type != "TRANSFER" and one.at < START for one in moved)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_r2_r7_same_facts_same_lines_in_any_order_and_none_is_ever_taken_back(seed: int) -> None:
    """Lines and vouchers are a function of the facts; what was due stays due as more happens, key by key."""
    shop = lived(seed, 18)
    moved, paid = told(shop)
    whole = due(TERMS, paid, moved)
    rng = random.Random(seed)
    shuffled = due(TERMS, rng.sample(paid, len(paid)), rng.sample(moved, len(moved)))
    assert shuffled == whole
    keys = [line.key for line in whole.lines]
    assert len(keys) == len(set(keys)) and len({line.about for line in whole.lines if line.kind == "dispute"}) == len(
        [line for line in whole.lines if line.kind == "dispute"]
    )
    early = lived(seed, 12)
    for line in due(TERMS, *reversed(told(early))).lines:
        assert line in whole.lines
    for voucher in whole.vouchers:
        [line] = [one for one in whole.lines if one.key == voucher.line]
        assert voucher.gross == -line.amount > 0


def test_b14_every_cent_of_fees_stands_on_one_voucher() -> None:
    """Fees of charges, of disputes inside or beside them: together what the provider kept of a whole payout."""
    for seed in range(8):
        moved, paid = told(lived(seed, 18))
        for payout in paid:
            parts = [item for item in moved if item.payout_id == payout.id and item.type != "TRANSFER"]
            asked = sum(item.fee for item in parts) - sum(item.amount for item in parts if "BACK_FEE" in item.type)
            assert sum(cents for _, cents in fees_of(TERMS, parts)) == asked


def test_b14_fees_that_stand_twice_are_no_fees_to_come() -> None:
    """A movement that changed its payout after its fee was written: two lines over one fee are a finding."""
    sale = Movement("gid://x/B/1", "CHARGE", START, 1000, 40, 960, "EUR", "gid://x/OrderTransaction/1", payout_id="p2")
    lines = [BookLine("line:1", "order", "gid://x/OrderTransaction/1", 1000, START.date())]
    lines += [BookLine(f"SHPFEE {one}", "fee", f"p{one}", -40, START.date()) for one in (1, 2)]
    day = START.date() + timedelta(days=5)
    made = compare(TERMS, day, clearing=920, opening=0, payouts=[], movements=[sale], lines=lines)
    assert made.unexplained == 0 and [(item.code, item.amount) for item in made.findings] == [("fee-line-differs", -40)]


def test_4_2_a_payout_that_is_not_the_sum_of_its_parts_gets_no_fee_line() -> None:
    sale = Movement("gid://x/B/1", "CHARGE", START, 1000, 40, 960, "EUR", payout_id="gid://x/P/5")
    payout = KnownPayout(Payout("gid://x/P/5", START + timedelta(days=1), "PAID", 961, "EUR"), date(2026, 1, 8))
    made = due(TERMS, [payout], [sale])
    assert [(line.key, line.amount) for line in made.lines] == [("SHPPO 5", -961)]
    assert [item.code for item in made.problems] == ["PAYOUT-DIFFERS"]
    whole = replace(payout, payout=replace(payout.payout, net=960))
    assert [line.key for line in due(TERMS, [whole], [sale]).lines] == ["SHPFEE 5", "SHPPO 5"]
    waiting = replace(whole, payout=replace(whole.payout, status="SCHEDULED"), paid_on=None)
    assert due(TERMS, [waiting], [sale]).lines == ()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"rule": 1}, "rule"),
        ({"rule": True}, "rule"),
        ({"rule": 14, "rate": "19"}, "rate"),
        ({"account": "Gebühren"}, "account"),
        ({"name": ""}, "name"),
        ({"tax": 1}, "unknown"),
    ],
)
def test_4_2_the_tax_of_fees_is_said_per_provider_and_nothing_is_assumed(wrong: dict[str, object], named: str) -> None:
    """4-eyes: rule, account and company come from the profile; what is not an expense rule is refused."""
    right = {"name": "PayPal Europe", "rule": 14, "account": "5923", "rate": "0"}
    profile = Profile.from_json({"providers": {"paypal": right}})
    assert Profile.from_json(profile.as_json()).providers == profile.providers
    with pytest.raises(Rejected, match=named):
        Profile.from_json({"providers": {"paypal": right | wrong}})


def test_p1_payouts_are_kept_from_the_version_on_that_says_so() -> None:
    """The first version with the mode and an account begins it, not before the go-live; without one there is none."""
    old = Profile.from_json({"gateways": {"shopify_payments": "off"}})
    new = replace(
        Profile.from_json({"gateways": {"shopify_payments": {"mode": "clearing+payouts", "account": "9"}}}, version=2),
        effective_from=START + timedelta(days=3), go_live=START,
    )  # fmt: skip
    assert terms_of("shopify_payments", [old]) is None
    terms = terms_of("shopify_payments", [old, new])
    assert terms is not None and terms.start == START + timedelta(days=3)
    assert terms.account_at(START) is None and terms.account_of(START) == "9"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names"),
        ("type,amount\nSALE,1.00\n", "names"),
        ("type,amount,payment_reference\n", "no lines"),
        ("type,amount,payment_reference\nSALE,1.00,A\nSALE,1.00,B\n", "exactly one"),
        ("type,amount,payment_reference\nSALE,1.00,../../x\n", "letters and digits"),
        ("type,amount,payment_reference\nSALE,1.005,A\n", "not an amount"),
        ("type,amount,payment_reference\nSALE,1e999,A\n", "not an amount"),
        ("type,amount,payment_reference\nSALE,0.99,A\n", "adds up"),
        ("type,amount,payment_reference,currency_code\nSALE,1.00,A,SEK\n", "SEK"),
        ("type,amount,payment_reference\nSALE,1.00\n", "cut off"),
    ],
)
def test_b14_a_report_that_is_none_or_does_not_add_up_is_refused_whole(text: str, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        klarna(text, 100, date(2026, 11, 5))


def test_b14_equal_lines_of_a_report_are_different_movements_and_a_second_reading_is_the_same() -> None:
    """Two sales of one amount are two; a type nobody heard of waits on the account; a summary above is passed over."""
    text = "payout_date,total\n2026-11-05,2.00\n\n" + "Type,Amount,Payment_Reference\n" + "SALE,1.00,A\n" * 2
    text += "HOLDBACK,-0.50,A\nSOMETHING_NEW,0.50,A\n"
    first, again = (klarna(text, 200, date(2026, 11, 5)) for _ in range(2))
    assert first == again and len({item.id for item in first.movements}) == 5
    assert [item.type for item in first.movements] == [
        "CHARGE", "CHARGE", "RESERVED_FUNDS", "SOMETHING_NEW", "TRANSFER"]  # fmt: skip
