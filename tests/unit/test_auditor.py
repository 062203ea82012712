"""The auditor finds and names every single deviation, and nothing where there is none (S148, R6, R7, R21)."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ladenbuch.simulators.auditor import AuditReport, audit
from ladenbuch.simulators.lives import Life, generate

END = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP = "seifenladen.myshopify.com"
CLEARING = ("shopify_payments", "klarna", "paypal")
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass
class Run:
    """What a run without any fault leaves behind; tests spoil one thing in it."""

    truth: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=lambda: {"invoices": [], "credit_notes": [], "transactions": []})
    messages: list[dict[str, Any]] = field(default_factory=list)

    def audit(self, **more: Any) -> AuditReport:
        return audit(self.truth, self.state, self.messages, **{"note_prefix": "s1", **more})

    def invoice(self, index: int = 0) -> dict[str, Any]:
        return self.state["invoices"][index]


def day(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(BERLIN).date().isoformat()


def cents(bag: dict[str, Any]) -> int:
    return round(float(bag["shopMoney"]["amount"]) * 100)


def money_in(order: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        t for t in order["transactions"]
        if t["status"] == "SUCCESS" and t["kind"] in ("SALE", "CAPTURE") and t["gateway"] in CLEARING
    ]  # fmt: skip


def paid_on(order: dict[str, Any], gross: int) -> list[str]:
    """The instant at which the money covered `gross`, if it ever did."""
    kept = 0
    for payment in sorted(order["transactions"], key=lambda t: t["processedAt"]):
        if payment["status"] == "SUCCESS" and payment["kind"] in ("SALE", "CAPTURE"):
            kept += cents(payment["amountSet"])
            if kept >= gross:
                return [payment["processedAt"]]
    return []


def post(run: Run, life: Life, done: datetime) -> None:
    """What a correct connector leaves in sevdesk and in the buyer's mailbox for a documented life."""
    order, label, number = life.final, life.label, len(run.state["invoices"]) + 1
    assert label.completes is not None
    rates = [
        (rate, gross, gross - round(gross / (1 + float(rate) / 100))) for rate, gross in label.gross_by_rate.items()
    ]
    shipped = [f["createdAt"] for f in order["fulfillments"]]
    delivered = min([*shipped, *paid_on(order, label.invoice_gross or 0)])
    bookings = []
    for payment in money_in(order):
        line = 9000 + len(run.state["transactions"])
        bookings.append({
            "amount_cents": cents(payment["amountSet"]), "date": day(payment["processedAt"]), "transaction_id": line,
            "account_id": 5, "booked_at": done.isoformat(),
        })  # fmt: skip
        run.state["transactions"].append({
            "id": line, "account_id": 5, "status": 400, "amount_cents": cents(payment["amountSet"]),
            "value_date": day(payment["processedAt"]), "deleted_at": None,
            "purpose": f"SHPTX {payment['id'].rsplit('/', 1)[-1]} order:{order['legacyResourceId']}",
            "documents": [{"kind": "Invoice", "id": number}],
        })  # fmt: skip
    run.state["invoices"].append({
        "id": number, "kind": "Invoice", "type": "RE", "status": 1000, "number": f"RE-{1000 + number}",
        "note": f"{life.name} / s1:{order['legacyResourceId']}", "date": day(done.isoformat()),
        "delivery_date": day(delivered), "gross_cents": label.invoice_gross, "cancelled": False,
        "created_at": done.isoformat(), "sent_at": done.isoformat(), "bookings": bookings,
        "fields": {"header": f"Rechnung zu {life.name}"},
        "positions": [{"tax_rate": r, "gross_cents": g, "net_cents": g - t, "tax_cents": t} for r, g, t in rates],
    })  # fmt: skip
    if order["email"]:
        run.messages.append({
            "to": [order["email"]], "subject": f"Ihre Rechnung RE-{1000 + number} zur Bestellung {life.name}",
            "attachments": [{"filename": f"RE-{1000 + number}.pdf"}],
        })  # fmt: skip


def perfect(lives: list[Life]) -> Run:
    run = Run()
    for life in lives:
        done = END + timedelta(seconds=30)
        fired = {str(index): END.isoformat() for index in range(len(life.events))}
        run.truth.append(
            {"shop": SHOP, "snapshot": life.final, "label": life.label.to_json(), "fired_at": fired, "name": life.name}
        )
        if life.label.outcome == "documented":
            post(run, life, done)
    return run


@pytest.fixture(scope="module")
def lives() -> list[Life]:
    return generate(3, 300, shop=SHOP, mix="domestic", end=END, span=timedelta(days=30))


@pytest.fixture(scope="module")
def correct(lives: list[Life]) -> Run:
    return perfect(lives)


@pytest.fixture
def small(lives: list[Life]) -> Run:
    """Three orders with two rates each, one payment and a letter."""
    chosen = [life for life in lives if life.label.situation == "card_paid_mixed" and life.final["email"]]
    return deepcopy(perfect(chosen[:3]))


def test_a_correct_run_passes(correct: Run, lives: list[Life]) -> None:
    """No false alarm over every situation of the German mix, tax within R21 included."""
    report = correct.audit()
    assert report.findings == []
    assert report.ok
    documented = [life for life in lives if life.label.outcome == "documented"]
    assert (report.orders, report.documented, report.invoices) == (300, len(documented), len(documented))
    assert report.payments_booked == sum(len(money_in(life.final)) for life in documented)
    assert report.letters_sent == sum(life.label.letters for life in lives)
    assert report.waiting == sum(life.label.outcome == "waiting" for life in lives)
    assert report.excluded == sum(life.label.outcome == "excluded" for life in lives)
    assert report.orders == report.documented + report.waiting + report.excluded
    assert (report.latency_p50_s, report.latency_p99_s) == (30.0, 30.0)


def test_the_report_is_json(correct: Run) -> None:
    data = json.loads(json.dumps(correct.audit().to_json()))
    assert data["ok"] is True
    assert {"duplicates", "missing", "cent_deviation", "strangers", "latency_p50_s", "findings"} <= set(data)


Spoil = Callable[[Run], Any]


def clone(run: Run, **changes: Any) -> None:
    run.state["invoices"].append({**deepcopy(run.invoice()), "id": 77, "number": "RE-1077", "bookings": [], **changes})


def swap_rates(run: Run) -> None:
    first, second = run.invoice()["positions"][:2]
    first["tax_rate"], second["tax_rate"] = second["tax_rate"], first["tax_rate"]


def cent_off(run: Run) -> None:
    run.invoice()["positions"][0]["gross_cents"] += 1
    run.invoice()["gross_cents"] += 1


def line_twice(run: Run) -> None:
    run.state["transactions"].append({**run.state["transactions"][0], "id": 77, "status": 100, "documents": []})


def paid_twice(run: Run) -> None:
    line_twice(run)
    run.invoice()["bookings"].append({**run.invoice()["bookings"][0], "transaction_id": 77})


def wrong_invoice(run: Run) -> None:
    booking = run.invoice(0)["bookings"].pop()
    run.invoice(1)["bookings"].append(booking)
    run.state["transactions"][0]["documents"] = [{"kind": "Invoice", "id": run.invoice(1)["id"]}]


def late(run: Run) -> None:
    run.invoice()["delivery_date"] = "2026-12-24"


def back_dated(run: Run) -> None:
    run.invoice()["date"] = "2026-09-01"


def tax_off(run: Run) -> None:
    run.invoice()["positions"][0]["tax_cents"] += 9


MUTATIONS: list[tuple[str, Spoil, str, int, str]] = [
    ("missing invoice", lambda r: r.state["invoices"].pop(0), "missing", 1, "no invoice"),
    ("draft only", lambda r: r.invoice().update(status=100), "missing", 1, "still a draft"),
    ("double invoice", clone, "duplicates", 1, "one document too many"),
    ("one cent off", cent_off, "cent_deviation", 1, "ct per rate"),
    ("rates swapped", swap_rates, "cent_deviation", -1, "ct per rate"),
    ("tax beyond the bound", tax_off, "cent_deviation", -1, "away from the shop's"),
    ("account line twice", line_twice, "duplicates", 1, "stands 2 times"),
    ("payment twice", paid_twice, "duplicates", 2, "is booked 2 times"),
    ("payment missing", lambda r: r.invoice()["bookings"].clear(), "missing", 1, "is not booked"),
    ("payment on no account", lambda r: (r.invoice()["bookings"].clear(), r.state["transactions"].pop(0)), "missing", 1,
     "on no account"),
    ("payment on the wrong invoice", wrong_invoice, "missing", 1, "but on document"),
    ("payment a cent short", lambda r: r.invoice()["bookings"][0].update(amount_cents=r.invoice()["gross_cents"] - 1),
     "cent_deviation", 1, "is booked with"),
    ("payment dated wrong", lambda r: r.state["transactions"][0].update(value_date="2026-01-01"), "wrong_dates", 1,
     "is dated"),
    ("letter missing", lambda r: r.messages.pop(0), "missing", 1, "no letter"),
    ("letter twice", lambda r: r.messages.append(deepcopy(r.messages[0])), "duplicates", 1, "went out 2 times"),
    ("letter to somebody else", lambda r: r.messages[0].update(to="falsch@example.org"), "missing", 1, "somebody else"),
    ("stray letter", lambda r: r.messages.append({"to": "x@example.org", "subject": "RE-9", "attachments": []}),
     "strangers", 1, "belongs to no invoice"),
    ("stranger", lambda r: clone(r, note="von Hand"), "strangers", 1, "belongs to no order"),
    ("other shop's key", lambda r: r.invoice().update(note=r.invoice()["note"].replace("s1:", "s2:")), "strangers", -1,
     "belongs to no order"),
    ("order id inside a longer number", lambda r: r.invoice().update(note=r.invoice()["note"] + "9"), "strangers", -1,
     "belongs to no order"),
    ("stray account line", lambda r: r.state["transactions"].append(
        {"id": 78, "purpose": "SHPTX 4711 ", "amount_cents": 1, "status": 100}), "strangers", 1, "no order of the"),
    ("wrong delivery date", late, "wrong_dates", 1, "delivery date"),
    ("wrong invoice date", back_dated, "wrong_dates", 1, "is dated"),
    ("unexpected credit note", lambda r: r.state["credit_notes"].append(
        {**deepcopy(r.invoice()), "id": 79, "kind": "CreditNote", "type": "CN"}), "cent_deviation", -1, "not expected"),
    ("cancelled invoice", lambda r: r.invoice().update(cancelled=True), "missing", 1, "was cancelled"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "counter", "count", "words"), [m[1:] for m in MUTATIONS], ids=[m[0] for m in MUTATIONS]
)
def test_each_single_deviation_is_found_and_named(
    small: Run, spoil: Spoil, counter: str, count: int, words: str
) -> None:
    assert small.audit().ok, "the run is correct before it is spoiled"
    spoil(small)
    report = small.audit()
    assert not report.ok
    found = getattr(report, counter)
    assert found == count if count >= 0 else found > 0
    assert any(words in finding for finding in report.findings), report.findings
    touched = {"missing", "duplicates", "cent_deviation", "wrong_dates", "strangers"}
    assert sum(getattr(report, name) for name in touched) >= 1


@pytest.mark.parametrize("situation", ["vorkasse_open", "test_order", "zero_total", "cancelled_unpaid"])
def test_an_invoice_nobody_owes_is_found(lives: list[Life], situation: str) -> None:
    """Waiting and excluded orders must have no document."""
    life = next(one for one in lives if one.label.situation == situation)
    run = deepcopy(perfect([life]))
    assert run.audit().ok
    run.state["invoices"].append({
        "id": 1, "kind": "Invoice", "type": "RE", "status": 200, "number": "RE-1", "gross_cents": 1190,
        "note": f"s1:{life.final['legacyResourceId']}", "positions": [], "bookings": [], "cancelled": False,
    })  # fmt: skip
    report = run.audit()
    assert report.cent_deviation == 1190
    assert any("exists although" in finding for finding in report.findings)


def test_a_wrong_label_is_found(small: Run) -> None:
    """The auditor does not take the generator's word: it folds the ledger itself."""
    small.truth[0]["label"]["invoice_gross"] += 1
    assert any("the label says" in finding for finding in small.audit().findings)


def wide_life(situation: str) -> Life:
    wide = generate(3, 200, shop=SHOP, mix="wide", end=END, span=timedelta(days=30))
    return next(one for one in wide if one.label.situation == situation and one.final["email"])


def test_attention_may_have_its_first_document_but_only_the_right_one() -> None:
    life = wide_life("chargeback_lost")
    run = deepcopy(perfect([life]))
    report = run.audit()
    assert report.ok
    assert (report.needs_attention, report.documented) == (1, 0)
    posted = deepcopy(run)
    post(posted, life, END)
    assert posted.audit().findings == []
    cent_off(posted)
    assert posted.audit().cent_deviation == 1
    refused = wide_life("wrong_rate")
    run = deepcopy(perfect([refused]))
    run.state["invoices"].append({**deepcopy(posted.invoice()), "note": f"s1:{refused.final['legacyResourceId']}"})
    assert any("order is attention" in finding for finding in run.audit().findings)


def test_documents_a_person_made_may_be_named(small: Run) -> None:
    clone(small, note="von Hand")
    assert small.audit(foreign=[77]).ok


def test_an_uncertain_letter_is_counted_apart(small: Run) -> None:
    """A letter whose fate nobody knows is never sent again: named uncertain, it is not missing."""
    small.messages.pop(0)
    report = small.audit(uncertain_letters=[small.truth[0]["name"]])
    assert report.ok
    assert (report.letters_uncertain, report.letters_sent) == (1, 2)


def test_latency_counts_from_the_completing_event(lives: list[Life]) -> None:
    life = next(one for one in lives if one.label.situation == "instalments")
    run = deepcopy(perfect([life]))
    assert life.label.completes == 1
    run.truth[0]["fired_at"] = {
        "0": (END - timedelta(days=2)).isoformat(),
        "1": (END + timedelta(seconds=10)).isoformat(),
    }
    assert run.audit().latency_p50_s == 20.0
    run.truth[0]["fired_at"] = (END + timedelta(seconds=25)).isoformat()
    assert run.audit().latency_p99_s == 5.0


def test_a_second_charge_of_an_attention_case_waits_unlinked() -> None:
    """R3: money paid twice is owed back; on the first document there is no room for it."""
    life = wide_life("overpaid")
    run = perfect([life])
    post(run, life, END)
    second = run.state["transactions"][1]
    report = deepcopy(run).audit()
    assert report.cent_deviation == second["amount_cents"]
    assert any("where it does not belong" in finding for finding in report.findings)
    run.invoice()["bookings"].pop()
    second.update(status=100, documents=[])
    assert run.audit().findings == []
    assert life.label.paid_cents == life.label.invoice_gross
