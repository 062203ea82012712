"""Which letters an order owes, decided from dated facts alone (S116, R1, R9, P2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from builders import PROFILE, T0, at, mug, order, payment, shipped
from ladenbuch.domain.actions import Action
from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import Fact, facts_of
from ladenbuch.domain.lettering import of_payments, of_refunds, paid_at
from ladenbuch.domain.order import Order
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import Profile
from ladenbuch.vat_rates import rate_table

NOW = T0 + timedelta(days=30)
PLAIN = replace(PROFILE, letters_also=())
BOTH = replace(PROFILE, letters_also=("payment", "refund"))


def letters(made: Order, books: Books, *profiles: Profile) -> list[Action]:
    found = plan(facts_of(made), books, list(profiles), NOW, Evidence(rate_table()))
    return [action for action in found.actions if action.kind == "letter"]


def billed(*, mailed: bool = True) -> tuple[Order, Books]:
    """A mug that was shipped and invoiced on the first day, and paid by card on the tenth."""
    made = order(mug(), fulfilments=(shipped(3, at(60)),))
    first = next(action for action in plan(facts_of(made), Books(), [PLAIN], NOW, Evidence(rate_table())).actions)
    assert first.document is not None
    final = replace(first.document, state="final", number="RE-1", sevdesk_id="1", written_at=at(120))
    keys = {first.key, f"fin:{first.key}", *([f"mail:{first.key}"] if mailed else [])}
    posted = Books((final,), letters=frozenset({f"mail:{first.key}"} if mailed else ()), applied=frozenset(keys))
    return replace(made, payments=(payment(9, 1190, at(days=10)),)), posted


def test_s116_the_version_of_the_day_of_the_payment_chooses_so_that_nobody_is_written_to_about_last_month() -> None:
    made, posted = billed()
    assert [one.letter.kind for one in letters(made, posted, BOTH) if one.letter] == ["payment"]
    assert letters(made, posted, PLAIN) == []
    later = replace(BOTH, version=2, effective_from=at(days=11))
    assert letters(made, posted, PLAIN, later) == [], "chosen a day after the payment"
    before = replace(BOTH, version=2, effective_from=at(days=9))
    (thanks,) = letters(made, posted, PLAIN, before)
    assert thanks.letter is not None and (thanks.letter.at, thanks.letter.amount) == (at(days=10), 1190)
    again = replace(posted, letters=posted.letters | {thanks.key}, applied=posted.applied | {thanks.key})
    assert letters(made, again, PLAIN, before) == [], "once (P2)"


def test_thanks_go_only_to_whom_the_invoice_was_mailed_unpaid() -> None:
    made, unmailed = billed(mailed=False)
    assert [one.letter.kind for one in letters(made, unmailed, BOTH) if one.letter] == ["invoice"]
    _, posted = billed()
    known = replace(made, payments=(payment(9, 1190, at(100)),))
    assert letters(known, posted, BOTH) == [], "paid before the invoice had its number: it says so itself"
    part = replace(made, payments=(payment(9, 1189, at(days=10)),))
    assert letters(part, posted, BOTH) == [], "a cent is missing (5.31)"


def test_the_invoice_s_letter_knows_the_money_the_shop_knew() -> None:
    made = order(mug(), payments=(payment(9, 1190, at(1)),))
    (letter,) = letters(made, Books(), PLAIN)
    assert letter.letter is not None and letter.letter.at == at(1)
    (owed,) = letters(order(mug(), fulfilments=(shipped(3, at(60)),)), Books(), PLAIN)
    assert owed.letter is not None and owed.letter.at is None


def test_r3_a_refund_is_told_only_where_no_document_tells_it() -> None:
    back = order(mug(), payments=(payment(9, 1190, at(1)), payment(10, 1190, at(5), kind="REFUND")))
    (told,) = of_refunds(Books(), [BOTH], back)
    assert told.letter is not None and (told.letter.amount, told.key) == (1190, "mail:refund:10")
    assert "Musterfrau" not in repr(told) and told.letter.to not in repr(told), "nobody's data in a log"
    assert of_refunds(Books(), [PLAIN], back) == []
    assert of_refunds(billed()[1], [BOTH], back) == [], "its correction says so"
    assert of_refunds(Books(letters=frozenset({told.key})), [BOTH], back) == []
    assert of_refunds(Books(), [BOTH], replace(back, email=None, customer=None)) == []
    assert of_refunds(Books(), [replace(BOTH, go_live=at(days=1))], back) == [], "before go-live is not ours (R22)"


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(-900, 1500)), max_size=8), st.integers(1, 3))
def test_r1_when_an_invoice_was_paid_does_not_hang_on_when_we_look(moves: list[tuple[int, int]], count: int) -> None:
    _, posted = billed()
    documents = [replace(posted.documents[0], key=f"inv:{number}") for number in range(count)]
    money = [Fact(f"t{index}", "money", at(days=day), amount) for index, (day, amount) in enumerate(moves)]
    known: dict[str, object] = {}
    for last in range(52):
        found = paid_at(documents, [item for item in money if item.at <= at(days=last)])
        assert known.items() <= found.items(), "what was paid stays paid, at the same instant"
        known = dict(found)
    paid = sum(amount for _, amount in moves if amount > 0)
    assert len(known) * 1190 <= paid
    assert list(known) == [item.key for item in documents][: len(known)], "the oldest first"


def test_a_document_of_others_is_nobody_s_to_thank_for() -> None:
    made, posted = billed()
    theirs: PostedDocument = replace(posted.documents[0], made_by="adopted")
    assert of_payments([theirs], posted, [BOTH], made, {theirs.key: at(days=10)}) == []
