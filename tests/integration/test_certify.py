"""A month read from shop, books and sevdesk and certified; then one side is tampered with (B7, R13, R14, R17, S60).

The month is lived through the real connector in virtual time, every order read the long way. What a bookkeeper does and
what no endpoint does comes through the simulator's control API. Each tampering is undone before the next.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import stocked
from chaos.simulation import SHOP, START, Simulation
from ladenbuch import audit, books, inbox, outbox
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.db import Database, Store
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.month import Finding, PeriodCertificate, named
from ladenbuch.inbox.marks import order_marks
from ladenbuch.settings import Settings
from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.lives import generate
from ladenbuch.simulators.sevdesk import invoices
from ladenbuch.vat_rates import rate_table
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.certify import certificate_of
from ladenbuch.workflows.month_books import read_month, with_ids
from ladenbuch.workflows.preview import period_of

NOVEMBER = date(2026, 11, 1), date(2026, 12, 1)
GRACE = timedelta(minutes=15)


class Lived(Simulation):
    """A shop's hours that stay open, so that one can look at them afterwards."""

    def live(self, folder: Path) -> None:
        self._build(folder)
        self._live()
        self.death.rate = 0.0
        self._open()
        self.clock.sleep(3600.0)

    def certificate(self, grace: timedelta = GRACE) -> PeriodCertificate:
        ctx = self.house.context
        return certificate_of(ctx, "chaos", period_of(ctx, "chaos", *NOVEMBER), grace)

    def control(self, path: str, **body: Any) -> Any:
        request = SimRequest("POST", f"/_control/{path}", [], {}, json.dumps(body).encode())
        answer = self.sevdesk.handle(request)
        assert answer.status < 300, answer.body
        return json.loads(answer.body)["objects"] if b'"objects"' in answer.body else json.loads(answer.body)

    def documents(self, kind: str = "invoices") -> list[Any]:
        return list(self.sevdesk.state()[kind])


def seed() -> int:
    """A seed of four reads orders the long way; the first that has some orders of every outcome."""
    span = timedelta(minutes=10)
    for number in range(4, 400, 4):
        lives = generate(number, 60, shop=SHOP, mix="wide", end=START + span, span=span)
        if {item.label.outcome for item in lives} == {"documented", "waiting", "excluded", "attention"}:
            return number
    raise AssertionError("no such seed")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Sixty orders of every kind, in calm weather."""
    made = Lived(seed=seed(), orders=60, faults="calm", crash_rate=0.0, mix="wide", begins=START)
    made.live(tmp_path_factory.mktemp("month"))
    yield made
    made.database.close()


@pytest.fixture
def world(life: Lived) -> Iterator[Lived]:
    """The month, put back as it was afterwards."""
    kept = copy.deepcopy(life.sevdesk.world.__dict__, {id(life.sevdesk.world.clock): life.sevdesk.world.clock})
    yield life
    life.sevdesk.world.__dict__.update(kept)


def own(world: Lived, kind: str = "invoices", fits: Callable[[Any], bool] = lambda row: True) -> Any:
    """A finalised document of ours that was paid by us."""
    return next(
        row for row in world.documents(kind)
        if "c1:" in (row["note"] or "") and row["type"] in ("RE", "CN") and row["number"] and fits(row)
    )  # fmt: skip


def paid(row: Any) -> bool:
    return bool(row["bookings"])


def one(found: PeriodCertificate, clean: PeriodCertificate) -> Finding:
    """The one finding that was not there before."""
    fresh = [item for item in found.findings if item not in clean.findings]
    assert len(fresh) == 1, fresh
    return fresh[0]


@pytest.fixture(scope="module")
def clean(life: Lived) -> PeriodCertificate:
    return life.certificate()


def test_B7_a_lived_month_is_accounted_for_to_the_cent(life: Lived, clean: PeriodCertificate) -> None:
    """B7: nothing but questions a person must answer; documents equal sevdesk's; sums equal sevdesk's, by rate."""
    truth = life.shopify.truth()["orders"]
    labels = {row["order_id"]: row["label"] for row in truth}
    assert {item.sort for item in clean.findings} == {"question"}
    assert {item.code for item in clean.findings} == {"ORDER-ASKED"}
    assert {item.order_id for item in clean.findings} == {
        gid for gid, said in labels.items() if said["outcome"] == "attention"
    }
    by_status = {
        status: {item.order_id for item in named(clean.orders, status)}
        for status in ("documented", "waiting", "excluded")
    }
    for status, ids in by_status.items():
        assert ids == {gid for gid, said in labels.items() if said["outcome"] == status}, status
    assert clean.accounted == len(truth) - len(clean.findings) > 30
    assert clean.compared == clean.equal > 30 and clean.running
    for kind, types, sort in (("invoices", ("RE",), "invoices"), ("invoices", ("SR",), "cancellations"),
                              ("credit_notes", ("CN",), "credit_notes")):  # fmt: skip
        held: dict[tuple[int, str], int] = {}
        for row in life.documents(kind):
            for rate, gross in row["gross_by_rate"].items() if row["type"] in types and row["number"] else ():
                key = int(row["tax_rule"]), str(rate)
                held[key] = held.get(key, 0) + abs(gross)
        ours = {(rule, f"{rate}"): row.gross for (what, _, rule, rate), row in clean.sums.items() if what == sort}
        assert ours == held, sort


def test_B7_looking_writes_nothing_anywhere(life: Lived, clean: PeriodCertificate) -> None:
    tables = (books.intents, books.documents, books.orders, books.attention, audit.audit_entries, outbox.letters)

    def rows() -> list[str]:
        door = life.database.tenant("chaos")
        kept = door.read(Store.BOOKS, lambda tx: [repr(tx.execute(sa.select(table)).all()) for table in tables])
        marks = door.read(Store.INBOX, lambda tx: repr(tx.execute(sa.select(order_marks)).all()))
        return [*kept, marks]

    before, calls = rows(), writes(life)
    assert life.certificate().findings == clean.findings
    assert rows() == before and writes(life) == calls


def writes(life: Lived) -> int:
    counted = life.sevdesk.calls()["by_endpoint"]
    return sum(count for name, count in counted.items() if name.split()[0] in ("POST", "PUT", "DELETE"))


def test_a_document_that_vanished(world: Lived, clean: PeriodCertificate) -> None:
    row = own(world)
    world.control("tamper", do="remove", id=row["id"])
    found = one(world.certificate(), clean)
    assert (found.code, found.document) == ("DOCUMENT-GONE", row["number"])
    assert found.order_name is not None and row["note"].startswith(found.order_name)


def test_a_document_that_was_doubled(world: Lived, clean: PeriodCertificate) -> None:
    for kind, name in (("Invoice", "invoices"), ("CreditNote", "credit_notes")):
        row = own(world, name)
        twin = world.control("tamper", do="copy", kind=kind, id=row["id"])
        assert clean.findings == world.certificate().findings, "R17: it appeared a moment ago"
        world.clock.sleep(1000.0)
        found = one(world.certificate(), clean)
        assert (found.code, found.document) == ("DOCUMENT-DOUBLE", twin["number"])
        assert row["number"] in found.message and row["note"].startswith(str(found.order_name))
        world.control("tamper", do="remove", kind=kind, id=twin["id"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"price": "0.01"}, "gross 1 instead of"),
        ({"tax_rule": 11}, "tax rule 11 instead of"),
        ({"number": "RE-9"}, "number RE-9 instead of"),
        ({"note": "Sonstiges"}, "note Sonstiges instead of"),
        ({"currency": "CHF"}, "currency CHF instead of EUR"),
        ({"status": 100}, "a draft again"),
        ({"date": "2026-12-24"}, "date 2026-12-24 instead of"),
        ({"date": "2026-11-29"}, "date 2026-11-29 instead of"),
    ],
)
def test_S60_a_document_that_was_altered(
    world: Lived, clean: PeriodCertificate, change: dict[str, Any], said: str
) -> None:
    """Also one whose date left the month: it is read by its id."""
    row = own(world, fits=lambda row: paid(row) and len(row["positions"]) == 1)
    world.control("tamper", do="write", id=row["id"], **change)
    world.clock.sleep(1000.0)
    found = one(world.certificate(), clean)
    assert (found.code, found.document) == ("DOCUMENT-ALTERED", row["number"]) and said in found.message


def test_R13_an_invoice_cancelled_by_hand(world: Lived, clean: PeriodCertificate) -> None:
    row = own(world, fits=lambda row: row["status"] == 200 and not row["cancelled"])
    reversal = world.control("human", do="cancel", id=row["id"])
    world.clock.sleep(1000.0)
    found = one(world.certificate(), clean)
    assert (found.code, found.document) == ("DOCUMENT-CANCELLED", row["number"]) and reversal["number"] in found.message


def test_R13_an_invoice_cancelled_by_hand_in_another_month(world: Lived, clean: PeriodCertificate) -> None:
    """The cancellation lies outside the month; the invoice reads as paid, and nothing was paid on it."""
    row = own(world, fits=lambda row: row["status"] == 200 and not row["cancelled"])
    reversal = world.control("human", do="cancel", id=row["id"])
    world.control("tamper", do="write", id=reversal["id"], date="2026-12-03")
    world.clock.sleep(1000.0)
    found = one(world.certificate(), clean)
    assert (found.code, found.document) == ("DOCUMENT-CANCELLED", row["number"])


def test_R14_paid_by_hand_where_we_would_link_it(world: Lived, clean: PeriodCertificate) -> None:
    """A credit note whose money we gave back is settled once more by hand; and a link of ours is taken off."""
    row = own(world, fits=paid)
    account = world.sevdesk.state()["accounts"][0]["id"]
    world.control("tamper", do="unlink", id=row["id"])
    world.clock.sleep(1000.0)
    found = one(world.certificate(), clean)
    assert (found.code, found.document) == ("PAYMENT-GONE", row["number"])
    world.control("human", do="book", id=row["id"], account=account)
    world.clock.sleep(1000.0)
    assert world.certificate().findings == clean.findings, "the same amount is paid again: sevdesk wins on links"


def test_R14_a_transfer_matched_in_sevdesk_is_no_finding(world: Lived, clean: PeriodCertificate) -> None:
    """Mode bank: the bank line is matched there, which is how it should be."""
    row = own(world, fits=lambda row: row["status"] == 200 and not row["cancelled"])
    world.control("human", do="book", id=row["id"], account=world.sevdesk.state()["accounts"][0]["id"])
    world.clock.sleep(1000.0)
    found = world.certificate()
    assert found.findings == clean.findings
    assert found.paid_there == clean.paid_there + 1


def test_a_document_with_our_note_that_nobody_posted(world: Lived, clean: PeriodCertificate) -> None:
    row = own(world, fits=paid)
    twin = world.control("tamper", do="copy", id=row["id"])
    world.control("tamper", do="write", id=twin["id"], note=row["note"] + ":von Hand")
    world.clock.sleep(1000.0)
    found = one(world.certificate(), clean)
    assert (found.code, found.document) == ("DOCUMENT-STRANGER", twin["number"])
    assert row["note"].startswith(str(found.order_name))


def test_5_30_a_document_of_another_shop_is_nobodys_business(world: Lived, clean: PeriodCertificate) -> None:
    row = own(world, fits=paid)
    twin = world.control("tamper", do="copy", id=row["id"])
    world.control("tamper", do="write", id=twin["id"], note=row["note"].replace("c1:", "c2:"))
    world.clock.sleep(1000.0)
    found = world.certificate()
    assert found.findings == clean.findings and found.others == clean.others + 1


def test_a_number_that_nobody_has(world: Lived, clean: PeriodCertificate) -> None:
    """A person's document takes the next number and vanishes: only the sequence tells. Elsewhere in time is no hole."""
    row = own(world, fits=paid)
    numbers = []
    for _ in range(3):
        twin = world.control("tamper", do="copy", id=row["id"])
        world.control("tamper", do="write", id=twin["id"], note="von Hand")
        numbers.append((twin["id"], twin["number"]))
    world.control("tamper", do="remove", id=numbers[1][0])
    world.clock.sleep(1000.0)
    found = one(world.certificate(), clean)
    assert (found.code, found.document) == ("NUMBER-MISSING", numbers[1][1])
    twin = world.control("tamper", do="copy", id=row["id"])
    world.control("tamper", do="write", id=twin["id"], note="von Hand", date="2026-12-01", number=numbers[1][1])
    assert world.certificate().findings == clean.findings


def test_a_number_that_nobody_has_between_two_months(world: Lived, clean: PeriodCertificate) -> None:
    """Our last document of October has number RE-998, the first of November RE-1002: two of three are nobody's."""
    row = min((row for row in world.documents() if row["number"]), key=lambda row: int(row["number"][3:]))
    assert row["number"] == "RE-1001"
    world.control("tamper", do="write", id=row["id"], date="2026-10-30", number="RE-998")
    table, door = books.documents, world.database.tenant("chaos")
    was = {"invoice_date": row["date"], "number": "RE-1001"}

    def write(**values: str) -> None:
        change = sa.update(table).where(table.c.sevdesk_id == str(row["id"]), table.c.kind != "credit_note")
        door.run(Store.BOOKS, lambda tx: tx.execute(change.values(**values)))

    write(invoice_date="2026-10-30", number="RE-998")
    twin = world.control("tamper", do="copy", id=row["id"])
    world.control("tamper", do="write", id=twin["id"], date="2026-10-31", number="RE-1000", note="von Hand")
    world.clock.sleep(1000.0)
    try:
        fresh = [item for item in world.certificate().findings if item not in clean.findings]
    finally:
        write(**was)
    assert [(item.code, item.document) for item in fresh] == [
        ("NUMBER-MISSING", "RE-1001"),
        ("NUMBER-MISSING", "RE-999"),
    ]


def test_a_list_whose_filter_is_ignored_says_the_same(
    world: Lived, clean: PeriodCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts 1.4: sevdesk ignores what it does not know; the whole list is then cut here, and nothing is missed."""
    row = own(world, fits=paid)
    old = world.control("tamper", do="copy", id=row["id"])
    world.control("tamper", do="write", id=old["id"], date="2026-10-31", note="von Hand", number="ALT-1")
    for name in ("startDate", "endDate"):
        monkeypatch.delitem(invoices._FILTERS, name)
    for name in ("from_day", "to_day"):
        monkeypatch.setattr(invoices, name, lambda row, text: True)
    found = world.certificate()
    assert (found.findings, found.others, found.sums) == (clean.findings, clean.others, clean.sums)


# -- the shop's side and the books --------------------------------------------------------------------------------


def test_S60_an_order_nobody_told_us_of(life: Lived, clean: PeriodCertificate) -> None:
    """Its settled row is lost: the shop lists it, its documents are strangers no more than before."""
    order = named(clean.orders, "waiting")[0]
    table, door = books.orders, life.database.tenant("chaos")
    row = door.read(
        Store.BOOKS, lambda tx: tx.execute(sa.select(table).where(table.c.order_id == order.order_id)).one()
    )
    door.run(Store.BOOKS, lambda tx: tx.execute(sa.delete(table).where(table.c.order_id == order.order_id)))
    try:
        found = one(life.certificate(), clean)
    finally:
        door.run(Store.BOOKS, lambda tx: tx.execute(sa.insert(table).values(**row._mapping)))
    assert (found.code, found.order_id, found.sort) == ("ORDER-UNKNOWN", order.order_id, "hole")
    assert life.certificate().findings == clean.findings


def test_an_order_that_changed_and_was_not_looked_at(life: Lived, clean: PeriodCertificate) -> None:
    order = named(clean.orders, "documented")[0]
    table, door = books.orders, life.database.tenant("chaos")

    def shift(micros: int) -> None:
        change = sa.update(table).where(table.c.order_id == order.order_id)
        door.run(Store.BOOKS, lambda tx: tx.execute(change.values(updated_at=table.c.updated_at + micros)))

    shift(-5_000_000)
    try:
        found = one(life.certificate(), clean)
    finally:
        shift(5_000_000)
    assert (found.code, found.order_id) == ("ORDER-CHANGED", order.order_id)


def test_an_order_the_shop_does_not_list(life: Lived, clean: PeriodCertificate) -> None:
    orders = life.shopify._states["chaos.myshopify.com"].orders
    gid = named(clean.orders, "documented")[1].order_id
    gone = orders.pop(gid)
    try:
        found = one(life.certificate(), clean)
    finally:
        orders[gid] = gone
    assert (found.code, found.order_id) == ("ORDER-UNLISTED", gid)


def test_the_month_begins_where_the_accounting_calendar_says(life: Lived) -> None:
    ctx = life.house.context
    period = period_of(ctx, "chaos", *NOVEMBER)
    assert period.start.isoformat() == "2026-10-31T23:00:00+00:00" and period.start < START
    empty = certificate_of(ctx, "chaos", period_of(ctx, "chaos", date(2026, 9, 1), date(2026, 10, 1)), GRACE)
    assert (empty.verdict, empty.orders, empty.sums) == ("complete", [], {})


# -- what a person did and our books learn ------------------------------------------------------------------------


def settle(life: Lived, order_id: str | None) -> None:
    """Look at one order again, as if Shopify had told us of it."""
    assert order_id is not None
    now = life.clock.now()
    life.database.tenant("chaos").run(Store.INBOX, lambda tx: inbox.want(tx, "chaos", order_id, now))
    life.house.work(life.engine)
    life.engine.run_until(life.clock.now() + timedelta(minutes=5))


def test_R13_a_cancellation_our_books_know_is_a_question_of_its_order(life: Lived) -> None:
    """R13: named once, as what a person must decide; the turnover is less by it. The last of this file: it stays so."""
    before = life.certificate()
    row = own(life, fits=lambda row: row["status"] == 200 and not row["cancelled"])
    life.control("human", do="cancel", id=row["id"])
    life.clock.sleep(1000.0)
    found = one(life.certificate(), before)
    assert found.code == "DOCUMENT-CANCELLED"
    settle(life, found.order_id)
    life.clock.sleep(1000.0)
    after = life.certificate()
    known = one(after, before)
    assert (known.code, known.order_id) == ("ORDER-ASKED", found.order_id) and "HAND-CANCELLED" in known.message
    turnover = [sum(item.gross for item in made.turnover.values()) for made in (before, after)]
    assert turnover[0] - turnover[1] == row["gross_cents"]
    assert after.compared == after.equal == before.compared + 1


def test_the_books_of_a_month_read_the_same_on_both_databases(database: Database) -> None:
    """What is read is what was written: every order, every document with its sums, covers and links."""
    settings = Settings.read({"LADENBUCH_KEYS": "k1:" + "A" * 43 + "="})
    house = Ladenbuch(settings, database, Vault(KeyRing.parse("k1:" + "A" * 43 + "="), database), clock=lambda: START)
    accounts = {
        name: {"mode": "clearing+payouts", "account": "12"} for name in ("shopify_payments", "klarna", "paypal")
    }
    profile = {"shop_key": "s1", "gateways": accounts | {"bank_deposit": "bank"}}
    stocked.open_shop(house, "t1", profile, START - timedelta(days=40), START - timedelta(days=40))
    lives = generate(5, 60, shop="t1.myshopify.com", mix="wide", end=START, span=timedelta(days=1))
    stocked.settle(house, "t1", (item.final for item in lives), START, Evidence(rate_table()))
    kept = read_month(house.context, "t1", period_of(house.context, "t1", *NOVEMBER), [])
    assert {item.id for item in kept.known} == {item.order_id for item in lives}
    documents = [item for item in kept.documents.values() if item.kind != "cancellation"]
    cancelled = [item for item in documents if item.state == "cancelled"]
    assert len(kept.documents) - len(documents) == len(cancelled)
    for order in kept.known:
        total: dict[str, int] = {}
        for item in documents:
            if item.order_id == order.id and item.state != "cancelled":
                for rate, gross, net, tax in item.sums:
                    assert gross == net + tax
                    sign = -1 if item.kind == "credit_note" else 1
                    total[f"{rate}"] = total.get(f"{rate}", 0) + sign * gross
        assert {rate: gross for rate, gross in total.items() if gross} == {
            rate: gross for rate, gross in order.gross_by_rate.items() if gross
        }
    paid = [item for item in documents if item.state == "final" and item.booked]
    assert paid and all(item.booked <= item.gross and item.covers and item.note for item in paid)
    far = read_month(house.context, "t1", period_of(house.context, "t1", date(2026, 1, 1), date(2026, 2, 1)), [])
    assert (far.known, far.documents) == ([], {})
    wanted = {str(item.sevdesk_id) for item in paid if item.kind == "invoice"}
    found = with_ids(house.context, "t1", far, wanted, period_of(house.context, "t1", *NOVEMBER))
    assert {item.sevdesk_id for item in found if item.kind == "invoice"} >= wanted
