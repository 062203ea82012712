"""The dashboard's reads over the real tables, on both databases (B15, S27, design section 3).

The rows are written by the modules that own them, so a change of theirs is a change here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ladenbuch import books, inbox, outbox, tenants
from ladenbuch.db import Database, Sealed, Store, Transaction, to_micros
from ladenbuch.domain.books import Booked, Books, PostedLine
from ladenbuch.domain.facts import Problem, facts_of
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import Gateway, Profile
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.simulators.lives import generate
from ladenbuch.web import codes
from ladenbuch.web.pages import PAGE_SIZE, MonthRow, create_pages
from ladenbuch.web.reads import SqlReads
from ladenbuch.web.words import WORDS, Language

NOW = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
PROFILE = {"gateways": {"shopify_payments": {"mode": "clearing+payouts", "account": "10013"}}}
TAX = {
    "rule": 1,
    "reason": "German VAT at 19 %, 7 %.",
    "reason_de": "deutsche Umsatzsteuer zu 19 %, 7 %.",
    "source": "§1 (1) no. 1, §12 UStG; sevdesk tax rule 1",
    "counterfactual": "Shipped to another EU country it would fall under the distance-selling rules (§3c UStG).",
    "counterfactual_de": "Beim Versand in ein anderes EU-Land gälten die Fernverkaufsregeln (§3c UStG).",
}
HOLDS: dict[str, Any] = {
    "holds": True, "gross_by_rate_minor": {}, "documents_equal_facts": True, "money_facts_minor": 0,
    "money_booked_minor": 0, "open_minor": 0, "open_causes": [], "coverage": [],
}  # fmt: skip


def gid(number: int) -> str:
    return f"gid://shopify/Order/{number}"


def seal(row: str, plain: bytes) -> tuple[str, bytes]:
    return "k1", plain


class House:
    """A database with shops whose orders are written row by row."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reads = SqlReads(database, lambda: NOW)

    def books(self, fn: Any) -> Any:
        return self.database.system("demo").run(Store.BOOKS, fn)

    def inbox(self, fn: Any) -> Any:
        return self.database.system("demo").run(Store.INBOX, fn)

    def shop(self, tenant: str = "t1") -> None:
        cut_off = NOW - timedelta(days=30)
        self.books(lambda tx: tenants.add(tx, id=tenant, shop=f"{tenant}.myshopify.com", cut_off=cut_off, now=NOW))
        self.books(lambda tx: tenants.add_profile(tx, tenant, PROFILE, cut_off, NOW))

    def order(
        self, number: int, verdict: str = "documented", code: str | None = None, tenant: str = "t1", **proof: Any
    ) -> str:
        state = books.OrderState(
            order_id=gid(number),
            name=f"#{number}",
            verdict=verdict,
            code=code,
            total=1190 + number,
            currency="EUR",
            processed_at=NOW - timedelta(hours=5000 - number),
            updated_at=NOW,
            certificate=HOLDS | {"verdict": verdict} | proof,
            snapshot=b"",
        )
        self.books(lambda tx: books.record_state(tx, tenant, state, seal, NOW))
        return gid(number)

    def ask(self, number: int, code: str, message: str, facts: tuple[str, ...] = (), tenant: str = "t1") -> None:
        items = [(Problem(code, message, facts, ("exclude the order",)), "asked:whole")]
        self.books(lambda tx: books.record_attention(tx, tenant, gid(number), items, NOW))

    def want(self, number: int, tenant: str = "t1", ago: float = 0) -> None:
        at = NOW - timedelta(seconds=ago)
        self.inbox(lambda tx: inbox.want(tx, tenant, gid(number), at))

    def hear(self, number: int, topic: str, ago: float, tenant: str = "t1") -> None:
        delivery = inbox.Delivery(
            tenant=tenant,
            webhook_id=f"{number}-{topic}-{ago}",
            topic=topic,
            shop="t1.myshopify.com",
            received_at=NOW - timedelta(seconds=ago),
            body=b"",
            order_id=gid(number),
        )
        self.inbox(lambda tx: inbox.record(tx, delivery, Sealed("k1", b"x")))

    def invoice(self, number: int, gross: int = 2380) -> None:
        """A finalised invoice, paid to the cent, with its letter accepted."""
        order, key, pay = gid(number), f"inv:{number}", f"gid://shopify/OrderTransaction/{number}"
        at = NOW - timedelta(seconds=50)

        def write(tx: Transaction) -> None:
            for name, kind in ((key, "invoice"), (f"line:{number}", "money_line")):
                values = {"order_id": order, "kind": kind, "run_id": "r", "called_at": to_micros(at), "calls": 1}
                done = to_micros(at + timedelta(seconds=1))
                tx.execute(
                    sa.insert(books.intents).values(tenant="t1", key=name, reason="because", done_at=done, **values)
                )
            tx.execute(
                sa.insert(books.documents).values(
                    tenant="t1", key=key, order_id=order, kind="invoice", state="final", sevdesk_id="77",
                    number="RE-1001", invoice_date="2026-11-22", gross=gross,
                    sums=json.dumps({"19": [gross, 2000, 380]}), tax=json.dumps(TAX), tax_point=to_micros(at),
                    profile_version=1, key_id="k1", pins=b"", made_by="us",
                    finalised_at=to_micros(at + timedelta(seconds=2)),
                )
            )  # fmt: skip
            cover = {"tenant": "t1", "fact_id": f"gid://shopify/OrderAgreement/{number}", "document_key": key}
            tx.execute(sa.insert(books.covers).values(order_id=order, amount=gross, **cover))
            line = PostedLine(f"line:{number}", pay, "10013", gross, date(2026, 11, 21), True, "5")
            books.line_written(tx, "t1", order, line, "10013", "5")
            books.booked(
                tx, "t1", order, Booked(f"pay:{number}:1", pay, key, gross, True), account="10013",
                transaction_id="5", booked_on=date(2026, 11, 21), paid_after=gross, now=at + timedelta(seconds=3),
            )  # fmt: skip
            sent = at + timedelta(seconds=4)
            letter = {"key": f"mail:{key}", "kind": "invoice", "order_id": order, "document_id": "77"}
            outbox.promise(tx, "t1", sealed_payload=Sealed("k1", b"x"), now=sent, **letter)  # type: ignore[arg-type]
            outbox.claim(tx, "t1", f"mail:{key}", "r", sent)
            outbox.sending(tx, "t1", f"mail:{key}", "r", sent)
            outbox.accepted(
                tx, "t1", f"mail:{key}", "r", sent, message_id="<m@shop>", relay="smtp.example:587", reply="250 ok"
            )

        self.books(write)


@pytest.fixture
def house(database: Database) -> Iterator[House]:
    made = House(database)
    made.shop()
    return made


def test_an_empty_house_has_no_numbers(house: House) -> None:
    numbers = house.reads.overview("t1")
    assert (numbers.orders_total, numbers.accounted_for, numbers.paid_minor, numbers.queue_depth) == (0, 0, 0, 0)
    assert numbers.last_event_age is None
    assert numbers.oldest_unattempted_age is None
    assert numbers.stops == ()
    assert house.reads.orders("t1", None, 1) == []
    assert house.reads.timeline("t1", gid(1)) is None


def test_wanted_orders_that_were_never_settled_count_as_open(house: House) -> None:
    """Total = documented + waiting + excluded + attention + open, and nothing is counted twice."""
    house.order(1)
    house.order(2, "waiting", "UNPAID")
    house.order(3, "excluded", "TEST")
    house.order(4, "attention", "REFUND")
    house.ask(4, "REFUND", "the order was refunded")
    house.want(5, ago=95)
    house.want(1)  # settled before, asked for again; and a run that died between books and inbox
    house.hear(5, "orders/create", 12)
    numbers = house.reads.overview("t1")
    assert (numbers.documented, numbers.waiting, numbers.excluded, numbers.attention) == (1, 1, 1, 1)
    assert (numbers.orders_total, numbers.accounted_for, numbers.queue_depth) == (5, 4, 2)
    assert numbers.last_event_age == pytest.approx(12)
    assert numbers.oldest_unattempted_age == pytest.approx(95)
    assert [row.state for row in house.reads.orders("t1", None, 1)] == [
        "open", "attention", "excluded", "waiting", "documented",
    ]  # fmt: skip
    opened = house.reads.orders("t1", "open", 1)
    assert [(row.order_id, row.total_minor) for row in opened] == [(gid(5), None)]


def test_an_open_question_makes_an_order_one_to_decide_whatever_its_verdict(house: House) -> None:
    """R18: an order that Shopify no longer shows keeps its verdict and asks."""
    house.order(1)
    house.ask(1, "INVISIBLE", "the order cannot be read")
    numbers = house.reads.overview("t1")
    assert (numbers.documented, numbers.attention, numbers.accounted_for) == (0, 1, 1)
    assert [row.code for row in house.reads.orders("t1", "attention", 1)] == ["INVISIBLE"]
    assert house.reads.orders("t1", "documented", 1) == []


def test_B7_months_are_accounted_for_in_the_shops_calendar(house: House) -> None:
    """B7, 5.29: 23:30 UTC on 31 October is November in Berlin; what is asked or not proved is not accounted for."""
    for number in (4400, 4401, 4402, 4476, 4477, 4990):  # hours before now: 4477 is 31 October, 23:30 UTC
        house.order(number)
    house.order(4403, "waiting", "UNPAID")
    house.order(4404, "excluded", "TEST")
    house.order(4405, holds=False)
    house.order(4406)
    house.ask(4406, "TIP", "the order has a tip")
    house.order(4407, "attention", "PARTY")
    house.order(3500)
    house.shop("t2")
    house.order(4408, tenant="t2")
    october, november = date(2026, 10, 1), date(2026, 11, 1)
    assert house.reads.overview("t1").months == (MonthRow(october, 9, 6), MonthRow(november, 2, 2))
    assert house.reads.overview("t2").months == (MonthRow(october, 1, 1),)
    assert house.reads.overview(None).months == (MonthRow(october, 10, 7), MonthRow(november, 2, 2))


@pytest.mark.parametrize("tenant", ["t1", None])
def test_pages_hold_every_order_once_newest_first(house: House, tenant: str | None) -> None:
    house.shop("t2")
    numbers = range(1, 2 * PAGE_SIZE + 5)
    for number in numbers:
        owner = "t2" if tenant is None and number % 3 == 0 else "t1"
        house.order(number, tenant=owner)
    house.want(9001)
    house.want(9002, ago=5)
    seen = []
    for page in (1, 2, 3):
        rows = house.reads.orders(tenant, None, page)
        assert len(rows) == (PAGE_SIZE + 1 if page < 3 else 6)
        seen += rows[:PAGE_SIZE]
    assert [row.order_id for row in seen] == [gid(9001), gid(9002), *(gid(number) for number in reversed(numbers))]
    assert house.reads.orders(tenant, None, 4) == []


def test_a_shop_sees_only_itself(house: House) -> None:
    """S27: no tenant sees another."""
    house.shop("t2")
    house.order(1)
    house.order(2, tenant="t2")
    house.want(3, tenant="t2")
    house.books(lambda tx: tenants.stop(tx, "t2", "Umstellung", NOW))
    assert [row.order_id for row in house.reads.orders("t1", None, 1)] == [gid(1)]
    assert house.reads.timeline("t1", gid(2)) is None
    assert house.reads.overview("t1").stops == ()
    assert house.reads.overview("t1").orders_total == 1
    assert house.reads.overview("t2").stops == ("Umstellung",)
    assert house.reads.overview(None).orders_total == 3
    assert house.reads.overview(None).stops == ("Umstellung",)
    assert house.reads.timeline(None, gid(2)) is not None


def test_an_order_looked_at_in_the_second_of_its_change_is_looked_at_again(house: House) -> None:
    """Shopify's instants are whole seconds: another change of the same second must not pass for the one we saw."""
    for number, later in ((1, 0.4), (2, 1.9), (3, 2.0), (4, 60.0)):
        house.order(number)
        order, looked = gid(number), NOW + timedelta(seconds=later)
        moved = sa.update(books.orders).where(books.orders.c.order_id == order).values(settled_at=to_micros(looked))
        house.books(lambda tx, moved=moved: tx.execute(moved))
    known = house.books(lambda tx: books.seen(tx, "t1", [gid(number) for number in range(1, 6)]))
    assert known == {gid(3): NOW, gid(4): NOW}


def test_the_timeline_tells_corrections_in_their_own_words(house: House) -> None:
    """A credit note, its money, its letter and a cancellation are not told as if they were invoices and payments."""
    house.order(1, gross_by_rate_minor={"19": 0}, money_facts_minor=0, money_booked_minor=0)
    house.invoice(1)
    order, at, back = gid(1), to_micros(NOW), "gid://shopify/OrderTransaction/9"

    def correct(tx: Transaction) -> None:
        for key, kind in (("cn:9:1", "credit_note"), ("sr:inv:1", "cancel")):
            values = {"order_id": order, "kind": kind, "run_id": "r", "called_at": at, "calls": 1, "reason": "because"}
            tx.execute(sa.insert(books.intents).values(tenant="t1", key=key, done_at=at, **values))
        tx.execute(
            sa.insert(books.documents).values(
                tenant="t1", key="cn:9:1", order_id=order, kind="credit_note", state="final", sevdesk_id="78",
                number="GU-1001", invoice_date="2026-11-22", gross=2380, sums=json.dumps({"19": [2380, 2000, 380]}),
                tax=json.dumps(TAX), tax_point=at, profile_version=1, key_id="k1", pins=b"", made_by="us",
                finalised_at=at,
            )
        )  # fmt: skip
        cover = {"tenant": "t1", "fact_id": "gid://shopify/Refund/9#1", "document_key": "cn:9:1"}
        tx.execute(sa.insert(books.covers).values(order_id=order, amount=-2380, **cover))
        books.line_written(
            tx, "t1", order, PostedLine("line:9", back, "10013", -2380, date(2026, 11, 22)), "10013", "6"
        )
        books.booked(
            tx, "t1", order, Booked("pay:9:1", back, "cn:9:1", -2380), account="10013", transaction_id="6",
            booked_on=date(2026, 11, 22), paid_after=2380, now=NOW,
        )  # fmt: skip
        letter = {"key": "mail:cn:9:1", "kind": "correction", "order_id": order, "document_id": "78"}
        outbox.promise(tx, "t1", sealed_payload=Sealed("k1", b"x"), now=NOW, **letter)  # type: ignore[arg-type]
        books.cancelled(tx, "t1", "inv:1")

    house.books(correct)
    life = house.reads.timeline("t1", order, "en")
    assert life is not None
    told = [entry.sentence for entry in life.entries]
    assert any(sentence.startswith("Credit note GU-1001 over") for sentence in told)
    assert any("went back to the buyer" in sentence for sentence in told)
    assert any("refunded through" in sentence and "credit note GU-1001" in sentence for sentence in told)
    assert "The letter with the credit note is promised and goes out next." in told
    assert "Invoice RE-1001 was cancelled." in told


def test_the_timeline_tells_the_life_from_data(house: House) -> None:
    """Heard, decided with its reason, posted, paid, mailed; and the certificate with both sides."""
    house.order(1, gross_by_rate_minor={"19": 2380}, money_facts_minor=2380, money_booked_minor=2380)
    for topic, ago in (("orders/create", 60), ("orders/paid", 59.5), ("orders/fulfilled", -3600)):
        house.hear(1, topic, ago)
    house.invoice(1)
    life = house.reads.timeline("t1", gid(1), "de")
    assert life is not None
    assert (life.order_name, life.state, life.total_minor) == ("#1", "documented", 1191)
    assert [entry.kind for entry in life.entries] == ["heard", "decided", "posted", "paid", "mailed", "heard"]
    heard, decided, posted, paid, mailed, later = life.entries
    assert heard.sentence == "Der Laden meldet: bestellt, bezahlt."
    assert later.sentence == "Der Laden meldet: versandt."
    assert decided.sentence == TAX["reason_de"]
    assert "§ 1 Abs. 1 Nr. 1" in decided.detail["Grundlage"]
    assert "Fernverkauf" in decided.detail["Anders wäre es"]
    assert "RE-1001" in posted.sentence
    assert "23,80" in posted.sentence
    assert "20,00" in posted.detail["Zu 19 %"]
    assert "3,80" in posted.detail["Zu 19 %"]
    assert "Shopify Payments" in paid.sentence
    assert "RE-1001" in paid.sentence
    assert paid.detail["Wertstellung"] == "21. Nov. 2026"
    assert mailed.detail == {"Postausgang": "smtp.example:587", "Antwort": "250 ok"}
    assert life.certificate is not None
    assert life.certificate.holds
    assert [(line.left, line.right) for line in life.certificate.lines] == [(2380, 2380), (2380, 2380), (0, 0)]
    english = house.reads.timeline("t1", gid(1), "en")
    assert english is not None
    assert english.entries[1].sentence == TAX["reason"]
    assert "1 (1) no. 1" in english.entries[1].detail["Basis"]
    assert house.reads.orders("t1", "documented", 1)[0].invoice_number == "RE-1001"
    assert house.reads.overview("t1").paid_minor == 2380
    assert house.reads.overview("t1").letters_accepted == 1


def test_a_certificate_that_does_not_hold_shows_both_sides(house: House) -> None:
    proof = {"gross_by_rate_minor": {"19": 2380}, "money_facts_minor": 2380, "money_booked_minor": 2000}
    house.order(1, holds=False, open_minor=380, open_causes=["not paid yet"], **proof)
    house.invoice(1)
    life = house.reads.timeline("t1", gid(1))
    assert life is not None
    assert life.certificate is not None
    assert not life.certificate.holds
    money, rest = life.certificate.lines[1:]
    assert (money.left, money.right, money.holds) == (2000, 2380, False)
    assert (rest.left, rest.right, rest.holds) == (380, "noch nicht bezahlt", True)


def test_a_question_says_what_is_known_and_what_is_possible(house: House) -> None:
    fact = {"fact": "gid://shopify/OrderTransaction/9", "kind": "money", "at": NOW.isoformat(), "amount_minor": -1800}
    house.order(1, "attention", "OVERPAID", coverage=[fact])
    house.ask(1, "OVERPAID", "1850 minor units more were paid than the invoice carries", (fact["fact"],))  # type: ignore[arg-type]
    life = house.reads.timeline("t1", gid(1))
    assert life is not None
    assert life.state == "attention"
    (item,) = life.attention
    assert "18,50" in item.message
    assert item.choices == ("die Bestellung ausnehmen",)
    assert [value.replace("\xa0", " ") for value in item.facts.values()] == ["-18,00 €"]
    assert house.reads.orders("t1", None, 1)[0].reason == item.message


def test_what_is_still_to_come_is_said(house: House) -> None:
    """An order that waits, one that is tried again, one nobody has looked at yet."""
    house.order(1, "waiting", "UNPAID")
    house.want(2)
    waiting, untried = house.reads.timeline("t1", gid(1)), house.reads.timeline("t1", gid(2))
    assert waiting is not None
    assert waiting.waiting == (codes.SENTENCES["UNPAID"][0],)
    assert untried is not None
    assert (untried.state, untried.order_name, untried.total_minor) == ("open", "2", None)
    assert untried.waiting == (WORDS["tell.next"][0],)
    house.inbox(lambda tx: inbox.claim(tx, "t1", gid(2), run_id="r", executor="e", now=NOW))
    running = house.reads.timeline("t1", gid(2))
    assert running is not None
    assert running.waiting == (WORDS["tell.running"][0],)
    again = NOW + timedelta(seconds=30)
    house.inbox(lambda tx: inbox.postpone(tx, "t1", gid(2), "r", again, "UNCONFIRMED", NOW))
    later = house.reads.timeline("t1", gid(2), "en")
    assert later is not None
    assert "looked for before anything is repeated" in later.waiting[0]
    assert house.reads.orders("t1", "open", 1)[0].code == "UNCONFIRMED"


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_page_renders_over_the_real_tables(house: House, language: Language) -> None:
    house.order(1, gross_by_rate_minor={"19": 2380}, money_facts_minor=2380, money_booked_minor=2380)
    house.invoice(1)
    house.order(2, "attention", "TAX-PLACE")
    house.ask(2, "TAX-FOREIGN", "the destination is AT: its VAT was charged without an OSS registration")
    house.want(3)
    app = Starlette(routes=create_pages(house.reads, lambda: NOW, house.reads.tenants))
    client = TestClient(
        app, base_url="http://127.0.0.1", client=("127.0.0.1", 5), headers={"accept-language": language}
    )
    for path in ("/", "/orders", "/orders?state=open", "/attention", "/orders/1", "/orders/2", "/orders/3"):
        assert client.get(path).status_code == 200, path
    country = "Österreich" if language == "de" else "Austria"
    assert country in client.get("/attention").text
    assert country in client.get("/orders/2").text
    assert client.get("/orders/4").status_code == 404


def test_german_pages_have_german_for_every_question_of_the_domain() -> None:
    """A new message of the planner must get its German sentence: the shop's whole range is planned, none is left."""
    gateways = {name: Gateway("clearing+payouts", "1") for name in ("shopify_payments", "klarna", "paypal")}
    profile = replace(Profile(), draft_only=False, gateways=gateways | {"bank_deposit": Gateway("bank")})
    missing = set()
    for life in generate(11, 400, shop="t.myshopify.com", mix="wide", end=NOW, span=timedelta(days=30)):
        made = plan(facts_of(order_from_envelope(life.events[-1].snapshot)), Books(), [profile], NOW)
        asked = [*made.attention, *made.waiting, *([made.exclusion] if made.exclusion else [])]
        for problem in asked:
            if problem.code not in codes.OF_ORDERS and not codes.recognised(problem.message):
                missing.add((problem.code, problem.message))
            missing |= {(problem.code, one) for one in problem.choices if codes.choice("de", one) == one}
        for action in made.actions:
            if action.document is not None:
                tax = action.document.tax
                untold = not tax["counterfactual_de"] or tax["counterfactual_de"] == tax["counterfactual"]
                missing |= {("counterfactual", str(tax["case"]))} if untold else set()
    allowed = {"clearing+payouts", "bank", "off"}
    assert {one for one in missing if one[1] not in allowed} == set()


def test_lists_walk_an_index_and_sort_nothing(sqlite_database: Database, tmp_path: Path) -> None:
    """A page of a shop with many orders reads a page of rows: the plan names the index and scans nothing."""
    house = House(sqlite_database)
    house.shop()

    def fill(tx: Transaction) -> None:
        rows = [
            {
                "tenant": "t1", "order_id": gid(number), "name": f"#{number}", "verdict": "documented", "code": None,
                "total": 1, "currency": "EUR", "processed_at": number, "updated_at": 1, "settled_at": 1,
                "certificate": "{}", "key_id": "k", "snapshot": b"",
            }
            for number in range(2000)
        ]  # fmt: skip
        tx.execute(sa.insert(books.orders), rows)

    house.books(fill)
    connection = sqlite3.connect(tmp_path / "data" / "books.db")
    for where, index in (("", "ix_orders_at"), (" AND verdict = 'documented'", "ix_orders_verdict")):
        query = f"SELECT name FROM orders WHERE tenant = 't1'{where} ORDER BY processed_at DESC, order_id DESC LIMIT 51"
        steps = " ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert index in steps
        assert "SCAN orders" not in steps
    connection.close()
