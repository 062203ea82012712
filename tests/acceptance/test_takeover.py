"""Adopt, don't duplicate (B11, R13, R22), told as diaries: a shop whose invoices another tool has written so far."""

from __future__ import annotations

import csv
import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from acceptance.diary import Diary, diary
from acceptance.purchase import Purchase
from ladenbuch import tenants
from ladenbuch.cli import adopting as command
from ladenbuch.cli.story import story_of
from ladenbuch.db import Store
from ladenbuch.domain.takeover import Line, changed, counts, fingerprint
from ladenbuch.errors import NeedsAttention, Rejected, UsageError
from ladenbuch.workflows.adopting import Survey, survey, take_over
from ladenbuch.workflows.preview import Period, period_of
from ladenbuch.workflows.reconcile import reconcile

SOAP, BOOK = ("Seife", 1190, 190), ("Buch", 1070, 70)
THEIRS = (("Seife", 1190, "19"), ("Buch", 1070, "7"))
DAY = "2027-03-01"


def unheard(day: Diary, name: str = "#501", *goods: tuple[str, int, int]) -> Purchase:
    """An order the connector does not hear of yet."""
    day.down()
    return day.order(name).basket(*(goods or (SOAP, BOOK))).tell_order()


def looked_at(day: Diary, since: date = date(2027, 3, 1), until: date = date(2027, 3, 3)) -> tuple[Period, Survey]:
    """The dry run."""
    period = period_of(day.house.context, "s1", since, until)
    return period, survey(day.house.context, "s1", period)


def taken_over(day: Diary) -> Survey:
    """The takeover, and what then is settled."""
    period, found = looked_at(day)
    take_over(day.house.context, "s1", period, found, by="anna")
    day.up = True
    day.work()
    return found


@pytest.mark.parametrize(
    "marks",
    [
        {"headText": "Vielen Dank für Ihre Bestellung #501."},
        {"invoiceNumber": "SO-501"},
        {"tag": "5010000"},
        {"tag": "501"},
        {},
    ],
    ids=["name in a sentence", "number", "tag with the id", "tag with the name", "nothing"],
)
def test_b11_an_invoice_of_the_previous_app_is_taken_over_and_not_written_again(marks: dict[str, Any]) -> None:
    """Four styles; number, dates and rule stay. A later refund corrects it, and our money pays nothing twice."""
    with diary(f"{DAY} 10:00") as day:
        order = unheard(day)
        if "5010000" in marks.values():
            marks = marks | {"tag": order.gid.rsplit("/", 1)[-1]}
        day.bookkeeper.invoices_for_the_previous_app(DAY, "", *THEIRS, **marks)
        before = day.writes()
        _, dry = looked_at(day)
        assert counts(dry.lines)["adopt"] == 1 and day.writes() == before
        taken_over(day)
        number = day.sevdesk.state()["invoices"][0]["number"]
        written = f"{number} invoice 01.03.2027, supply 01.03.2027, rule 1: 11.90 @ 19 % + 10.70 @ 7 %; paid"
        assert day.documents() == [written] and day.asked() == [] and day.letters() == []
        assert day.money() == [f"01.03.2027 PayPal +22.60 on {number}"]
        assert day.verdict(order) == "documented, open 0.00"
        day.at("2027-03-05 10:00")
        order.tell_refund(("Seife", 1))
        credit = (
            f"GU-1001 credit note on {number} 05.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        )
        assert day.documents() == [written, credit] and day.asked() == []
        assert any("written by others" in sentence for sentence in day.story())
        told = story_of(day.house, "s1", order.gid, "de")
        assert told is not None
        sentences = " ".join(entry["sentence"] for entry in told["entries"])
        gross = "22,60\N{NO-BREAK SPACE}€"
        assert f"Rechnung {number} über {gross}, von anderen geschrieben, wurde übernommen." in sentences
        assert "kann zu dieser Bestellung gehören" not in sentences


def test_b11_an_open_invoice_of_the_previous_app_is_paid_by_our_money_line() -> None:
    """Only the gaps are filled: it wrote no payment, so ours is linked."""
    with diary(f"{DAY} 10:00") as day:
        order = unheard(day)
        day.bookkeeper.invoices_for_the_previous_app(DAY, "#501", *THEIRS, paid=False)
        taken_over(day)
        assert day.money() == ["01.03.2027 shopify_payments +22.60 on RE-1001"]
        assert len(day.documents()) == 1 and day.verdict(order) == "documented, open 0.00"
        day.at(f"{DAY} 12:00")
        report = reconcile(day.house.context, "s1", date(2027, 3, 1), date(2027, 3, 2))
        assert (report.documents, report.items) == (1, ())  # in the books like one of ours


def test_b11_an_invoice_written_at_the_order_is_taken_over_before_anything_is_paid() -> None:
    """Prepayment: nothing is taxed yet, and the other tool has invoiced. The money that comes pays that invoice."""
    with diary(f"{DAY} 10:00") as day:
        day.down()
        order = day.order().basket(SOAP, BOOK).tell("orders/create")
        day.bookkeeper.invoices_for_the_previous_app(DAY, "#501", *THEIRS, paid=False)
        taken_over(day)
        assert [item.made_by for item in day.known(order).documents] == ["adopted"]
        day.at("2027-03-04 10:00")
        order.tell_payment("shopify_payments")
        assert len(day.documents()) == 1 and day.asked() == []
        assert day.money() == ["04.03.2027 shopify_payments +22.60 on RE-1001"]


def test_b11_nothing_is_taken_over_for_a_shop_that_left() -> None:
    with diary(f"{DAY} 10:00") as day:
        unheard(day)
        system = day.database.system("operator")
        system.run(Store.BOOKS, lambda tx: tenants.set_state(tx, "s1", "suspended", day.clock.now()))
        with pytest.raises(Rejected, match="TENANT-STATE"):
            looked_at(day)
        system.run(Store.BOOKS, lambda tx: tenants.set_state(tx, "s1", "active", day.clock.now()))
        day.up = True
        day.work()


def test_b11_what_is_not_proved_is_asked_about_and_nothing_is_invoiced_until_somebody_says() -> None:
    """Its amount is another: it cannot be taken over; "it is another sale" lets ours be written, once."""
    with diary(f"{DAY} 10:00") as day:
        order = unheard(day)
        day.bookkeeper.invoices_for_the_previous_app(DAY, "#501", ("Seife", 1190, "19"), ("Buch", 1000, "7"))
        found = taken_over(day)
        assert counts(found.lines)["ask"] == 1 and found.asks
        assert day.asked() == ["ADOPT"] and len(day.documents()) == 1
        assert len(day.money()) == 1  # nor is money of ours written: it may be booked there, too
        assert day.choices("ADOPT") == [
            "it is another sale, invoice it",
            "leave it to the bookkeeper",
            "exclude the order",
        ]
        assert "RE-1001 of 2027-03-01 over 2190" in day.about("ADOPT")
        told = story_of(day.house, "s1", order.gid, "en")
        assert told is not None and "Invoice RE-1001 over €21.90 stands in sevdesk; it may be" in str(told["entries"])
        day.answer(order, "ADOPT", "it is another sale")
        assert [row.split(" ")[0] for row in day.documents()] == ["RE-1001", "RE-1002"] and day.asked() == []


def test_b11_of_two_that_fit_a_person_names_one_and_the_other_stays_nobodys() -> None:
    with diary(f"{DAY} 10:00") as day:
        order = unheard(day)
        for _ in range(2):
            day.bookkeeper.invoices_for_the_previous_app(DAY, "#501", *THEIRS)
        taken_over(day)
        assert day.asked() == ["ADOPT"]
        assert day.choices("ADOPT")[:2] == ["adopt number RE-1001", "adopt number RE-1002"]
        day.answer(order, "ADOPT", "adopt number RE-1002")
        known = day.known(order)
        assert [(item.number, item.made_by) for item in known.documents] == [("RE-1002", "adopted")]
        assert len(day.documents()) == 2 and day.asked() == []


def test_b11_two_like_orders_of_one_buyer_get_no_invoice_of_unclear_origin() -> None:
    """Same buyer, amount and day, one document without a reference: either may be meant."""
    with diary(f"{DAY} 10:00") as day:
        orders = [unheard(day, name) for name in ("#501", "#502")]
        day.bookkeeper.invoices_for_the_previous_app(DAY, "", *THEIRS)
        taken_over(day)
        assert day.asked() == ["ADOPT", "ADOPT"] and len(day.documents()) == 1
        day.answer(orders[0], "ADOPT", "adopt number RE-1001")
        day.answer(orders[1], "ADOPT", "it is another sale, invoice it")
        assert len(day.documents()) == 2 and day.asked() == []
        assert [len(day.known(order).documents) for order in orders] == [1, 1]


def test_r13_the_credit_note_of_the_previous_app_is_taken_over_with_its_invoice() -> None:
    """It refunded and corrected before we came: neither is written a second time."""
    with diary(f"{DAY} 10:00") as day:
        order = unheard(day)
        day.bookkeeper.invoices_for_the_previous_app(DAY, "#501", *THEIRS)
        day.at("2027-03-02 10:00")
        order.tell_refund(("Seife", 1))
        day.bookkeeper.writes_credit_note("RE-1001", ("Erstattung", 1190, "19"))
        found = taken_over(day)
        assert counts(found.lines) == {**dict.fromkeys(counts([]), 0), "adopt": 1, "follows": 1}
        assert [row.split(" ")[0] for row in day.documents()] == ["RE-1001", "GU-1001"] and day.asked() == []


def test_b11_a_takeover_that_died_before_the_orders_were_wanted_is_found_when_they_are() -> None:
    """The notes are there: whoever settles the order next takes the document over. Done twice, nothing more happens."""
    with diary(f"{DAY} 10:00") as day:
        order = unheard(day)
        day.bookkeeper.invoices_for_the_previous_app(DAY, "#501", *THEIRS)
        period, found = looked_at(day)
        context = day.house.context
        with pytest.raises(SystemExit):
            take_over(
                replace(context, wake=lambda name: (_ for _ in ()).throw(SystemExit())), "s1", period, found, by="x"
            )
        day.back()
        assert len(day.documents()) == 1 and day.verdict(order) == "documented, open 0.00"
        rows = day.documents() + day.money()
        _, again = looked_at(day)
        assert counts(again.lines)["adopted"] == 1 and again.found == {}
        assert take_over(context, "s1", period, again, by="x") == {} and day.documents() + day.money() == rows


def test_b11_what_already_has_an_invoice_of_ours_is_named_as_a_double_and_left_alone() -> None:
    with diary(f"{DAY} 10:00") as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.bookkeeper.invoices_for_the_previous_app(DAY, "#501", *THEIRS)
        found = taken_over(day)
        assert [(line.outcome, line.number, line.why) for line in found.lines] == [
            ("doubled", "RE-1002", "its order has the invoice RE-1001 already")
        ]
        assert len(day.known(order).documents) == 1


def test_b11_an_order_from_before_go_live_is_taken_over_unless_it_changed_since() -> None:
    """R22: what others have, or have not, corrected before we came is not ours to say."""
    with diary(f"{DAY} 10:00") as day:
        day.down()
        quiet = day.order("#501").dated("2027-02-20 10:00").basket(SOAP, BOOK).tell_order()
        changed_since = day.order("#502").dated("2027-02-20 10:00").basket(SOAP, BOOK).tell_order()
        changed_since.dated("2027-02-22 10:00").refund([(changed_since.line("Seife"), 1)])
        changed_since.tell("orders/updated")
        for name in ("#501", "#502"):
            day.bookkeeper.invoices_for_the_previous_app("2027-02-20", name, *THEIRS)
        period, found = looked_at(day, date(2027, 2, 1), date(2027, 3, 1))
        assert [(line.name, line.outcome, line.why) for line in found.lines] == [
            ("#501", "adopt", ""), ("#502", "left out", "BEFORE-GO-LIVE"),
        ]  # fmt: skip
        take_over(day.house.context, "s1", period, found, by="anna")
        day.back()
        assert len(day.documents()) == 2 and day.asked() == []
        assert [row for row in day.money() if "shopify_payments" in row] == []
        assert day.verdict(quiet) == "documented, open 0.00"


def test_b11_the_command_shows_keeps_refuses_what_is_stale_and_takes_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `apply` refuses a stale plan: what came, went or reads otherwise is named, and nothing is noted."""
    kept, table = tmp_path / "t.json", tmp_path / "t.csv"

    def adopt(**how: Any) -> tuple[int, Any]:
        period = {} if "plan_file" in how else {"since": "2027-03-01", "until": "2027-03-03"}
        given: dict[str, Any] = {
            **dict.fromkeys(("since", "until", "plan_file", "out", "csv_file")),
            "apply": False, "yes": True, "wait": False, "timeout": 0.0, "as_json": True, **period, **how,
        }  # fmt: skip
        code = command.adopt_period("s1", **given)
        said = capsys.readouterr()
        return code, json.loads(said.out) if given["as_json"] else said.out + said.err

    with diary(f"{DAY} 10:00") as day:
        monkeypatch.setattr(command, "opened", lambda: nullcontext(day.house))
        unheard(day)
        day.bookkeeper.invoices_for_the_previous_app(DAY, "#501", *THEIRS)
        code, said = adopt(out=kept, csv_file=table)
        assert code == 0 and said["counts"]["adopt"] == 1 and said["gross_minor"]["adopt"] == 2260
        assert json.loads(kept.read_text()) == said
        rows = list(csv.DictReader(table.read_text("utf-8-sig").splitlines(), delimiter=";"))
        assert [(row["number"], row["outcome"], row["name"]) for row in rows] == [("RE-1001", "adopt", "#501")]
        second = unheard(day, "#502")
        day.bookkeeper.invoices_for_the_previous_app(DAY, "#502", ("Seife", 1190, "19"), ("Buch", 1071, "7"))
        with pytest.raises(NeedsAttention, match=r"PLAN-STALE.*RE-1002 came"):
            adopt(plan_file=kept, apply=True)
        assert json.loads(capsys.readouterr().out)["wanted"] == [] and day.known(second).hands == ()
        code, said = adopt(as_json=False, out=kept)
        assert code == 1 and "RE-1002" in said and "may be an order's invoice" in said and "--apply" in said
        code, said = adopt(plan_file=kept, apply=True, wait=True)
        assert (code, len(said["wanted"]), said["remaining"], said["not_taken"]) == (1, 2, 2, [_first(day)])
        day.up = True
        day.work()
        assert day.asked() == ["ADOPT"] and len(day.documents()) == 2
        code, said = adopt(apply=True, wait=True)
        assert (code, said["counts"]["adopted"], said["counts"]["ask"], said["taken_over"]) == (1, 1, 1, 0)
        day.work()
        day.answer(second, "ADOPT", "leave it to the bookkeeper")
        for how in (
            {"plan_file": tmp_path / "none.json"},
            {"wait": True},
            {"since": None},
            {"out": tmp_path / "no" / "x"},
        ):
            with pytest.raises(UsageError):
                adopt(**how)
        kept.write_text('{"kind": "takeover", "version": 1, "lines": [{}]}')
        with pytest.raises(UsageError, match="PLAN-FILE"):
            adopt(plan_file=kept)


def _first(day: Diary) -> str:
    return f"Invoice/{min(item['id'] for item in day.sevdesk.state()['invoices'])}"


def test_b11_what_changed_since_a_takeover_was_kept_is_told_by_its_number() -> None:
    line = Line("Invoice/7", "RE-7", date(2027, 3, 1), 1190, "EUR", "adopt", "gid://shopify/Order/1", "#1")
    other = replace(line, document="Invoice/8", number=None, order="gid://shopify/Order/2")
    kept = [item.as_json() for item in (line, other)]
    assert changed(kept, [line, other]) == [] and fingerprint([line, other]) == fingerprint([other, line])
    assert changed(kept, [line]) == ["Invoice/8 is not to be taken over any more"]
    assert changed(kept, [replace(line, outcome="ask"), other]) == ["RE-7 reads otherwise"]
    assert changed(kept, [line, other, replace(line, document="Invoice/9", number="RE-9")]) == ["RE-9 came"]
    told = replace(line, outcome="none")
    assert changed(kept, [line, other, told]) == [] and fingerprint([line, told]) == fingerprint([line])


@pytest.mark.parametrize("style", ["tag", "number", "nothing", "another sum"])
def test_5_13_a_refund_looks_for_the_invoice_of_its_order_although_nobody_took_it_over(style: str) -> None:
    """R22: by tag or number it is certain; without a reference a person names it; other sums are never taken."""
    with diary(f"{DAY} 10:00") as day:
        marks = {"tag": {"tag": "501"}, "number": {"invoiceNumber": "SO-501"}}.get(style, {})
        goods = THEIRS if style != "another sum" else (("Seife", 1190, "19"), ("Buch", 999, "7"))
        note = "#501" if style == "another sum" else ""
        day.bookkeeper.invoices_for_the_previous_app("2027-02-10", note, *goods, **marks)
        day.bookkeeper.invoices_for_the_previous_app("2027-02-10", "#502", *THEIRS, addressName="Max Meier")
        order = day.order().dated("2027-02-10 10:00").basket(SOAP, BOOK).tell_order()
        assert day.verdict(order) == "excluded BEFORE-GO-LIVE, open 0.00"
        day.at("2027-03-05 10:00")
        order.tell_refund(("Seife", 1))
        if style in ("nothing", "another sum"):
            assert day.asked() == ["ADOPT"] and len(day.documents()) == 2
            adoptable = style == "nothing"
            assert day.choices("ADOPT")[0].startswith("adopt number RE-") == adoptable
            day.answer(order, "ADOPT", "adopt number" if adoptable else "leave it to the bookkeeper")
        assert day.asked() == []
        credit = [row.partition(",")[0] for row in day.documents() if "credit note" in row]
        taken = next(item["number"] for item in day.sevdesk.state()["invoices"])
        wanted = [] if style == "another sum" else [f"GU-1001 credit note on {taken} 05.03.2027"]
        assert credit == wanted


def test_b11_a_shop_that_makes_drafts_only_takes_over_before_it_goes_live() -> None:
    """Nothing is written by it, and no draft either."""
    with diary(f"{DAY} 10:00", live=False) as day:
        order = unheard(day)
        day.bookkeeper.invoices_for_the_previous_app(DAY, "#501", *THEIRS)
        taken_over(day)
        assert len(day.documents()) == 1 and day.asked() == []
        assert [item.made_by for item in day.known(order).documents] == ["adopted"]
