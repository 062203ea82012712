"""The auditor of whole chains: silent over a correct run, and every single deviation named (R4-R7, R21, 5.19)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ladenbuch.simulators.auditor import AuditReport, audit
from ladenbuch.simulators.lives import Life, generate
from ladenbuch.simulators.owed import OwedDocument, chain_of, tax_inside

END = datetime(2026, 11, 22, 12, tzinfo=UTC)
DONE = END + timedelta(seconds=30)
SHOP = "seifenladen.myshopify.com"
BERLIN = ZoneInfo("Europe/Berlin")


class Run:
    """What a run without any fault leaves behind; tests spoil one thing in it."""

    def __init__(self) -> None:
        self.truth: list[dict[str, Any]] = []
        self.state: dict[str, list[dict[str, Any]]] = {"invoices": [], "credit_notes": [], "transactions": []}
        self.messages: list[dict[str, Any]] = []
        self.next = 1

    def audit(self, **more: Any) -> AuditReport:
        return audit(self.truth, self.state, self.messages, **{"note_prefix": "s1", **more})

    def tell(self, life: Life) -> None:
        """Add a life with everything it owes."""
        fired = {str(index): END.isoformat() for index in range(len(life.events))}
        label = life.label.to_json()
        self.truth.append({"shop": SHOP, "snapshot": life.final, "label": label, "fired_at": fired, "name": life.name})
        chain = chain_of(life.final)
        parts = [(b.transaction, b.cents) for d in chain.documents for b in d.bookings if b.clearing]
        for payment in chain.payments:
            mine = [cents for transaction, cents in parts if transaction == payment.transaction]
            mine = [*mine, payment.card] if payment.card else mine or [payment.cents]
            if payment.card:
                self.line(f"{payment.transaction}/card", -payment.card, payment.day.isoformat(), chain.order, 6)
            for number, cents in enumerate(mine, 1):
                part = f"/{number}" if len(mine) > 1 else ""
                self.line(payment.transaction + part, cents, payment.day.isoformat(), chain.order)
        made: dict[str, dict[str, Any]] = {}
        for owed in chain.documents:
            made[owed.key] = self.post(owed, chain.order, life, made)

    def line(self, key: str, cents: int, day: str, order: str, account: int = 5) -> None:
        self.next += 1
        self.state["transactions"].append({
            "id": self.next, "account_id": account, "status": 100, "amount_cents": cents, "value_date": day,
            "deleted_at": None, "purpose": f"SHPTX {key} order:{order}", "documents": [],
        })  # fmt: skip

    def post(self, owed: OwedDocument, order: str, life: Life, made: dict[str, dict[str, Any]]) -> dict[str, Any]:
        self.next += 1
        sign = -1 if owed.kind == "cancellation" else 1
        origin = made.get(owed.refers_to or "", {})
        tail = f":{owed.key.split('/')[0]}" if owed.key[:2] in ("su", "cn") else ""
        paid = sum(booking.cents for booking in owed.bookings)
        at = owed.at.astimezone(BERLIN).date().isoformat()
        document = {
            "id": self.next, "kind": "CreditNote" if owed.kind == "credit_note" else "Invoice",
            "type": {"credit_note": "CN", "cancellation": "SR"}.get(owed.kind, "RE"), "tax_rule": str(owed.rule),
            "status": 1000 if owed.cancelled or sign < 0 or abs(paid) == owed.gross else 200,
            "number": f"RE-{1000 + self.next}", "note": f"{life.name} / s1:{order}{tail}",
            "cancelled": owed.cancelled or owed.kind == "cancellation", "date": DONE.date().isoformat(),
            "delivery_date": origin.get("delivery_date") or at,
            "gross_cents": sign * owed.gross, "source_id": origin.get("id") if owed.kind == "credit_note" else None,
            "origin_id": origin.get("id") if sign < 0 else None, "created_at": DONE.isoformat(),
            "sent_at": DONE.isoformat(), "bookings": [], "fields": {},
            "positions": [
                {"tax_rate": r, "gross_cents": sign * g, "tax_cents": sign * tax_inside(g, r)}
                for r, g in owed.by_rate.items()
            ],
        }  # fmt: skip
        for booking in owed.bookings:
            if not booking.clearing:
                continue
            line = next(
                one for one in self.state["transactions"]
                if one["status"] == 100 and one["amount_cents"] == booking.cents
                and one["purpose"].startswith(f"SHPTX {booking.transaction}")
            )  # fmt: skip
            line.update(status=200, documents=[{"kind": document["kind"], "id": document["id"]}])
            document["bookings"].append({
                "amount_cents": booking.cents, "transaction_id": line["id"], "booked_at": DONE.isoformat(),
            })  # fmt: skip
        self.state["credit_notes" if owed.kind == "credit_note" else "invoices"].append(document)
        if life.final["email"] and owed.kind != "cancellation":
            self.messages.append({
                "to": [life.final["email"]], "subject": f"Bestellung {life.name}",
                "attachments": [{"filename": f"{document['number']}.pdf"}],
            })  # fmt: skip
        if life.final["email"] and owed.cancelled and owed.kind != "cancellation":
            self.messages.append({
                "to": [life.final["email"]], "subject": f"Ihre Rechnung {document['number']} ist storniert",
                "attachments": [],
            })  # fmt: skip
        return document


@pytest.fixture(scope="module")
def lives() -> list[Life]:
    return generate(3, 900, shop=SHOP, mix="wide", end=END, span=timedelta(days=30))


@pytest.fixture(scope="module")
def correct(lives: list[Life]) -> Run:
    run = Run()
    for life in lives:
        run.tell(life)
    return run


def told_of_the_end(run: Run) -> dict[str, Any]:
    return next(one for one in run.messages if one["subject"].endswith("ist storniert"))


def only(lives: list[Life], situation: str) -> Run:
    run = Run()
    run.tell(next(one for one in lives if one.label.situation == situation and one.final["email"]))
    return deepcopy(run)


def test_a_correct_run_passes(correct: Run, lives: list[Life]) -> None:
    """No false alarm over every situation of the wide mix."""
    report = correct.audit()
    assert report.findings == []
    kinds = [due.kind for life in lives for due in life.label.documents]
    assert report.credit_notes == kinds.count("credit_note") > 50
    assert report.cancellations == kinds.count("cancellation") > 5
    assert report.invoices == kinds.count("invoice") + kinds.count("supplementary")
    assert report.needs_attention == sum(life.label.outcome == "attention" for life in lives)
    assert report.orders == report.documented + report.waiting + report.excluded + report.needs_attention
    assert report.latency_p99_s == 30.0


Spoil = Callable[[Run], Any]


def note(run: Run, index: int = 0) -> dict[str, Any]:
    return run.state["credit_notes"][index]


def copied(run: Run, listed: str, index: int = 0, **changes: Any) -> None:
    original = run.state[listed][index]
    run.state[listed].append({**deepcopy(original), "id": 7777, "number": "RE-7777", "bookings": [], **changes})


def cent_off(document: dict[str, Any]) -> None:
    document["gross_cents"] -= 1
    document["positions"][0]["gross_cents"] -= 1


def other_rate(run: Run) -> None:
    note(run)["positions"][0]["tax_rate"] = "19" if note(run)["positions"][0]["tax_rate"] == "7" else "7"


def double_line(run: Run) -> None:
    run.state["transactions"].append({**run.state["transactions"][-1], "id": 7778, "status": 100, "documents": []})


def drop_cancellation(run: Run) -> None:
    run.state["invoices"] = [one for one in run.state["invoices"] if one["type"] != "SR"]


def card_line(run: Run, index: int = 0) -> dict[str, Any]:
    return [line for line in run.state["transactions"] if "/card " in line["purpose"]][index]


MUTATIONS: list[tuple[str, str, Spoil, str, str]] = [
    ("credit note missing", "refund_partial", lambda r: r.state["credit_notes"].clear(), "missing", "no credit note"),
    ("credit note draft", "refund_partial", lambda r: note(r).update(status=100), "missing", "still a draft"),
    ("credit note twice", "refund_partial", lambda r: copied(r, "credit_notes"), "duplicates", "too many"),
    ("one of two missing", "refund_same_day", lambda r: r.state["credit_notes"].pop(), "missing", "no credit note"),
    ("credit note a cent off", "refund_partial", lambda r: cent_off(note(r)), "cent_deviation", "ct per rate"),
    ("credit note at another rate", "refund_partial", other_rate, "cent_deviation", "ct per rate"),
    ("credit note on another invoice", "refund_over_both", lambda r: note(r).update(source_id=99), "strangers",
     "corrects document 99"),
    ("credit note not booked", "refund_partial", lambda r: note(r)["bookings"].clear(), "missing", "is not booked"),
    ("refund booked positive", "refund_partial",
     lambda r: note(r)["bookings"][0].update(amount_cents=note(r)["gross_cents"]), "cent_deviation", "is booked with"),
    ("refund line twice", "refund_partial", double_line, "duplicates", "2 times on an account"),
    ("refund line of another day", "refund_partial",
     lambda r: r.state["transactions"][-1].update(value_date="2026-01-01"), "wrong_dates", "is dated"),
    ("refund split wrongly", "refund_over_both",
     lambda r: r.state["transactions"][-1].update(amount_cents=-1), "cent_deviation", "stands with"),
    ("credit note nobody asked for", "return_no_refund",
     lambda r: copied(r, "invoices", kind="CreditNote", note=r.state["invoices"][0]["note"] + ":cn:123456789:1"),
     "cent_deviation", "was not expected"),
    ("supplementary missing", "edit_up_after_invoice", lambda r: r.state["invoices"].pop(), "missing",
     "no supplementary"),
    ("supplementary as a second first", "edit_up_after_invoice",
     lambda r: r.state["invoices"][1].update(note=r.state["invoices"][0]["note"]), "missing", "no supplementary"),
    ("supplementary twice", "edit_up_after_invoice", lambda r: copied(r, "invoices", 1), "duplicates", "too many"),
    ("money on the wrong invoice", "edit_up_after_invoice",
     lambda r: r.state["invoices"][0]["bookings"].extend(r.state["invoices"][1]["bookings"]), "cent_deviation",
     "where it does not belong"),
    ("cancellation missing", "cancel_unpaid_shipped", drop_cancellation, "missing", "no cancellation"),
    ("not cancelled", "cancel_unpaid_shipped", lambda r: r.state["invoices"][0].update(cancelled=False), "missing",
     "still stands"),
    ("new invoice missing", "edit_down_unpaid", lambda r: r.state["invoices"].pop(), "missing", "no invoice"),
    ("new invoice over the old sum", "edit_down_unpaid", lambda r: cent_off(r.state["invoices"][2]), "cent_deviation",
     "ct per rate"),
    ("cancelled without reason", "refund_partial", lambda r: r.state["invoices"][0].update(cancelled=True), "missing",
     "nothing in the shop asks for"),
    ("wrong tax rule", "oss_fr", lambda r: r.state["invoices"][0].update(tax_rule="1"), "strangers", "instead of 18"),
    ("export before it left", "export_not_shipped",
     lambda r: r.state["invoices"].append({
         "id": 7, "kind": "Invoice", "type": "RE", "status": 200, "number": "RE-7", "gross_cents": 1190,
         "note": "s1:" + r.truth[0]["snapshot"]["legacyResourceId"], "positions": [], "bookings": [],
     }), "cent_deviation", "exists although the order is waiting"),
    ("letter with the supplementary missing", "edit_up_after_invoice", lambda r: r.messages.pop(), "missing",
     "no letter with"),
    ("not told that it is cancelled", "cancel_unpaid_shipped", lambda r: r.messages.remove(told_of_the_end(r)),
     "missing", "no letter that"),
    ("told twice that it is cancelled", "cancel_unpaid_shipped", lambda r: r.messages.append(told_of_the_end(r)),
     "duplicates", "is cancelled went out 2 times"),
    ("told of the end of what was never sent", "cancel_unpaid_shipped",
     lambda r: r.messages.remove(next(one for one in r.messages if one is not told_of_the_end(r))),
     "findings", "which the buyer had not been sent"),
    ("told of the end before it was sent", "cancel_unpaid_shipped", lambda r: r.messages.reverse(),
     "findings", "which the buyer had not been sent"),
    ("told that a standing one is cancelled", "refund_partial",
     lambda r: r.messages.append(r.messages[0] | {"subject": f"{r.state['invoices'][0]['number']} ist storniert"}),
     "findings", "and it stands"),
    ("delivery date of its own", "refund_partial", lambda r: note(r).update(delivery_date="2026-01-01"), "wrong_dates",
     "delivery date"),
    ("gift card owed to nobody", "gift_card_sold", lambda r: card_line(r).update(deleted_at="2026-11-22"),
     "cent_deviation", "the gift cards of payment"),
    ("gift card owed twice", "gift_card_sold",
     lambda r: r.state["transactions"].append({**card_line(r), "id": 7778}), "duplicates", "stand 2 times"),
    ("gift card a cent off", "gift_card_with_goods",
     lambda r: card_line(r).update(amount_cents=card_line(r)["amount_cents"] + 1), "cent_deviation", "stand with"),
    ("gift card on the account of its money", "gift_card_with_goods", lambda r: card_line(r).update(account_id=5),
     "strangers", "on the account of its money"),
    ("gift card on the invoice", "gift_card_with_goods", lambda r: r.state["invoices"][0].update(
        gross_cents=r.state["invoices"][0]["gross_cents"] + 5000), "cent_deviation", "is over"),
    ("gift card debt of another day", "gift_card_sold", lambda r: card_line(r).update(value_date="2026-01-01"),
     "wrong_dates", "is dated"),
    ("money of gift cards nowhere", "gift_card_sold", lambda r: r.state["transactions"].pop(), "missing",
     "stands on no account"),
    ("gift card not taken back", "gift_card_returned", lambda r: r.state["transactions"].remove(card_line(r, -1)),
     "cent_deviation", "instead of"),
    ("gift card as turnover", "gift_card_sold",
     lambda r: r.state["invoices"].append({
         "id": 7, "kind": "Invoice", "type": "RE", "status": 200, "number": "RE-7", "gross_cents": 5000,
         "note": "s1:" + r.truth[0]["snapshot"]["legacyResourceId"], "positions": [], "bookings": [],
     }), "cent_deviation", "exists although the order is excluded"),
    ("wrong label of gift cards", "gift_card_sold", lambda r: r.truth[0]["label"].update(cards_cents=1), "findings",
     "other gift cards than"),
    ("wrong label", "refund_partial", lambda r: r.truth[0]["label"]["documents"][1].update(gross=1), "findings",
     "the label says"),
    ("wrong label of the first document", "refund_partial",
     lambda r: r.truth[0]["label"].update(invoice_gross=1), "findings", "of the first document"),
    ("wrong label of the money in", "refund_partial", lambda r: r.truth[0]["label"].update(paid_cents=1), "findings",
     "other money than"),
    ("wrong label of the money back", "refund_partial", lambda r: r.truth[0]["label"].update(refunded_cents=1),
     "findings", "other money than"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("situation", "spoil", "counter", "words"), [m[1:] for m in MUTATIONS], ids=[m[0] for m in MUTATIONS]
)
def test_each_single_deviation_is_found_and_named(
    lives: list[Life], situation: str, spoil: Spoil, counter: str, words: str
) -> None:
    run = only(lives, situation)
    assert run.audit().findings == [], "the run is correct before it is spoiled"
    spoil(run)
    report = run.audit()
    assert getattr(report, counter)
    assert any(words in finding for finding in report.findings), report.findings


def test_attention_may_lack_documents_but_not_have_wrong_ones(lives: list[Life]) -> None:
    run = only(lives, "unknown_gateway")
    invoices = run.state["invoices"].copy()
    run.state["invoices"].clear()
    letters = [run.messages.pop()]
    assert run.audit().findings == []
    run.state["invoices"], run.messages = invoices, letters
    cent_off(run.state["invoices"][0])
    assert run.audit().cent_deviation == 1


def test_which_letters_are_owed_is_an_argument(lives: list[Life]) -> None:
    """Each document the buyer gets by mail has its letter; fewer kinds are owed where the argument says so."""
    run = only(lives, "refund_partial")
    run.messages.pop()
    report = run.audit()
    assert report.missing == 1
    assert any("no letter with" in finding for finding in report.findings)
    assert run.audit(letters=("invoice", "supplementary")).ok
    run.messages.pop()
    assert run.audit(letters=()).ok
    assert run.audit().missing == 2
