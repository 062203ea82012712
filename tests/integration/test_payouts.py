"""Payouts of Shopify Payments in the books: lines, fee vouchers, and both balances day by day (B14, 4.1, 4.2, 5.23)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.testclient import TestClient

from house import PROFILE, SHOP, TENANT, House, home, lost, person, refused
from ladenbuch import alarms, payouts, tenants
from ladenbuch.cli import paying_out
from ladenbuch.db import Store
from ladenbuch.domain.clearing import DayBalance
from ladenbuch.errors import LadenbuchError, Retryable, UsageError
from ladenbuch.simulators.lives.corrections import chargeback, refund_full, refund_partial
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.stage import bought, paid_now, parcel, pick
from ladenbuch.simulators.shopify import DEFAULT_SCOPES, PAYMENT_SCOPES
from ladenbuch.web.pages import create_pages
from ladenbuch.web.paid_out import paid_out
from ladenbuch.web.reads import SqlReads
from ladenbuch.workflows.payout_parts import breakdown
from ladenbuch.workflows.payouts import SHOPIFY, Looked, look, look_at_payouts

MONDAY = datetime(2026, 11, 2, 8, tzinfo=UTC)
PROVIDER = {"name": "Shopify International Limited", "rule": 14, "account": "5923", "checked_by": "Kanzlei Nord"}
WITH_FEES = PROFILE | {"providers": {"shopify_payments": PROVIDER}}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = opened(tmp_path)
    yield made
    made.close()


def opened(folder: Path, profile: Any = WITH_FEES) -> House:
    made = House(folder, MONDAY, profile)
    made.shopify.set_scopes(SHOP, [*DEFAULT_SCOPES, *PAYMENT_SCOPES])
    return made


def days_later(house: House, days: int) -> None:
    house.clock.advance_to(house.clock.now() + timedelta(days=days))
    house.shopify.advance(house.clock.now())


def looked(house: House) -> Looked:
    return look(house.ladenbuch.context, TENANT)


def account(house: House) -> int:
    rows = house.ask("GET", "/CheckAccount")
    return int(next(row["id"] for row in rows if "shopify_payments" in row["name"]))


def lines(house: House, word: str = "") -> list[tuple[str, int]]:
    """What stands on the gateway's account: the first two words of the purpose, and cents."""
    here = account(house)
    mine = [row for row in house.state("transactions") if row["account_id"] == here and not row["deleted_at"]]
    found = [(" ".join(row["purpose"].split()[:2]), row["amount_cents"]) for row in mine]
    return [item for item in found if item[0].startswith(word)]


def truth(house: House, day: date) -> int:
    """What the simulated Shopify owes, keeps as reserve, and has on its way at the end of a day in Berlin."""
    at = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) - timedelta(hours=1, seconds=1)
    payments = house.shopify.payments(SHOP)
    return payments.balance_at(at) + payments.reserved_at(at) + payments.in_transit_at(at)


def at_home(script: Any) -> Any:
    """The same life of somebody who lives in Germany."""

    def told(order: ShopOrder) -> None:
        order.billing = order.delivery = home("Erika", "Muster", "Musterweg 1", "10115", "Berlin")
        order.customer = person("Erika", "Muster")
        script(order)

    return told


paid = at_home(bought)


def test_b14_a_payout_becomes_lines_and_a_paid_fee_voucher(house: House) -> None:
    """Charge, fees, payout: the account ends at 0, the fee voucher is under rule 14 and paid by its line."""
    order_id = house.lived(paid)
    looked(house)
    days_later(house, 1)
    [charge] = house.shopify.payments(SHOP).entries
    [today] = looked(house).days[-1:]
    assert (today.clearing, today.unpaid, today.status) == (charge.amount, charge.net, "NAMED")
    assert [(item.code, item.amount) for item in today.named] == [("fees-pending", charge.fee)]
    for _ in range(9):
        days_later(house, 1)
        last = looked(house)
    [payout] = house.shopify.payments(SHOP).payouts
    assert [cents for _, cents in lines(house, "SHPTX")] == [charge.amount]
    assert lines(house, "SHPFEE") == [(f"SHPFEE {payout.id}", -charge.fee)]
    assert lines(house, "SHPPO") == [(f"SHPPO {payout.id}", -charge.net)]
    assert (last.days[-1].clearing, last.days[-1].status, last.problems) == (0, "EQUAL", ())
    [voucher] = house.ask("GET", "/Voucher")
    assert (voucher["description"], voucher["supplierName"]) == (f"SHPFEE-{payout.id}", PROVIDER["name"])
    assert (voucher["taxRule"]["id"], voucher["status"], voucher["creditDebit"]) == ("14", "1000", "C")
    with_orders = house.database.tenant(TENANT).read(
        Store.BOOKS, lambda tx: breakdown(tx, TENANT, SHOPIFY, str(payout.id))
    )
    assert with_orders is not None and with_orders.residual == 0
    [part] = with_orders.parts
    assert (part.order_id, part.gross, part.fee) == (order_id, charge.amount, charge.fee)
    assert part.documents == tuple(row["number"] for row in house.invoices())


def test_b14_every_day_equal_or_named_through_refunds_disputes_reserve_and_payouts_that_fail(house: House) -> None:
    """Twelve days: sevdesk's balance is Shopify's own truth plus what is named, every single day."""
    payments = house.shopify.payments(SHOP)
    payments.set_terms(reserve_percent=10, reserve_days=5)
    payments.fates += ["bounced", "failed", "canceled"]
    rng = random.Random(7)
    scripts: list[Any] = [bought, refund_partial, refund_full]
    scripts.append(lambda order: chargeback(order, ends="WON"))
    scripts.append(lambda order: chargeback(order, ends="LOST"))
    seen: list[DayBalance] = []
    number = 2000
    for _ in range(12):
        days_later(house, 1)
        if rng.random() < 0.55:
            number += 1
            house.lived(at_home(rng.choice(scripts)), number)
        if len(seen) == 6:
            house.shopify.adjust(SHOP, -990, type="SHIPPING_LABEL", reason="label")
        made = looked(house)
        today = made.days[-1]
        assert today.unexplained == 0 and not today.findings and not today.astray
        assert today.clearing - sum(item.amount for item in today.named) == truth(house, today.day)
        seen.append(today)
    kinds = {key.split()[0] for key, _ in lines(house)}
    assert kinds == {"SHPTX", "SHPFEE", "SHPDSP", "SHPADJ", "SHPPO", "SHPPOB"}
    assert {item.code for day in seen for item in day.named} == {"fees-pending"}
    keys = [key for key, _ in lines(house)]
    assert len(keys) == len(set(keys))
    before = house.sevdesk.state()["transactions"]
    assert looked(house).written == 0
    assert house.sevdesk.state()["transactions"] == before


def test_b14_a_bank_line_is_taken_apart_on_the_command_line_and_on_the_page(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the bank's line to orders and their documents; both balances; exit codes 0 fine, 1 open."""

    @contextmanager
    def opened_house() -> Iterator[Any]:
        yield house.ladenbuch

    monkeypatch.setattr(paying_out, "opened", opened_house)
    house.lived(paid)
    days_later(house, 9)
    assert paying_out.look_now(None, SHOPIFY, as_json=True) == 0
    capsys.readouterr()
    [(day, cents, purpose)] = house.shopify.payments(SHOP).bank_lines()
    amount = f"{cents // 100}.{cents % 100:02d}"
    assert paying_out.show(None, SHOPIFY, None, amount, day.isoformat(), as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    [part] = said["parts"]
    assert said["residual"] == 0 and part["documents"] == [house.invoices()[0]["number"]]
    assert purpose.endswith(said["trace"])
    assert paying_out.show(None, SHOPIFY, said["trace"], None, None, as_json=False) == 0
    assert part["documents"][0] in capsys.readouterr().out
    assert paying_out.listed(None, SHOPIFY, "2026-11-01", "2026-12-01", as_json=False) == 0
    assert said["payout"] in capsys.readouterr().out
    assert paying_out.balance(None, SHOPIFY, "2026-11-02", "2026-11-12", as_json=True) == 0
    days = json.loads(capsys.readouterr().out)["days"]
    assert len(days) == 10 and all(one["unexplained"] == 0 for one in days)
    reads = SqlReads(house.database, house.clock.now)
    routes = create_pages(reads, house.clock.now, reads.tenants, payouts=paid_out(house.database))
    client = TestClient(Starlette(routes=routes), "http://127.0.0.1", client=("127.0.0.1", 1))
    for language, title in (("de", "Auszahlungen"), ("en", "Payouts")):
        page = client.get(f"/payouts?payout={said['payout']}", headers={"accept-language": language})
        assert page.status_code == 200 and title in page.text
        assert part["documents"][0] in page.text and "0,00" in page.text.replace("0.00", "0,00")


def test_b14_a_report_of_klarna_becomes_lines_and_a_fee_voucher(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fees of a gateway Shopify does not pay out: the account ends at 0; a report that does not add up is refused."""
    klarna = {"name": "Klarna Bank AB", "rule": 14, "account": "5923", "checked_by": "Kanzlei Nord"}
    house = opened(tmp_path, PROFILE | {"providers": {"klarna": klarna}})

    @contextmanager
    def opened_house() -> Iterator[Any]:
        yield house.ladenbuch

    def script(order: ShopOrder) -> None:
        order.billing = order.delivery = home("Erika", "Muster", "Musterweg 1", "10115", "Berlin")
        order.customer = person("Erika", "Muster")
        order.add(pick(order, 190), 2)
        parcel(order)
        order.place()
        order.pay("klarna")
        paid_now(order)

    monkeypatch.setattr(paying_out, "opened", opened_house)
    orders = [house.lived(script, number) for number in (1001, 1002)]
    rows = house.ask("GET", "/CheckAccount")
    here = int(next(row["id"] for row in rows if "klarna" in row["name"]))
    sold = [row["amount_cents"] for row in house.state("transactions") if row["account_id"] == here]
    assert len(sold) == 2
    days_later(house, 4)
    text = "type;amount;currency_code;payment_reference;merchant_reference1;capture_date;capture_id\n"
    for name, cents in zip(("#1001", "1002"), sold, strict=True):
        text += f"SALE;{cents / 100:.2f};EUR;K77A;{name};2026-11-02T10:00:00Z;c{name[-1]}\n"
    text += "FEE;-1.10;EUR;K77A;#1001;2026-11-02T10:00:00Z;c1\nCOMMISSION;-0.90;EUR;K77A;1002;;c2\n"
    file = tmp_path / "report.csv"
    file.write_text(text)
    net = (sum(sold) - 200) / 100
    with pytest.raises(UsageError, match="adds up"):
        paying_out.take_report(None, "klarna", file, f"{net + 0.01:.2f}", "2026-11-05", as_json=True)
    for _ in range(2):
        assert paying_out.take_report(None, "klarna", file, f"{net:.2f}", "2026-11-05", as_json=True) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["days"][-1]["clearing"], said["days"][-1]["status"]) == (0, "EQUAL")
    with pytest.raises(UsageError, match="as of 2026-11-05"):
        paying_out.take_report(None, "klarna", file, f"{net:.2f}", "2026-11-06", as_json=True)
    standing = [row for row in house.state("transactions") if row["account_id"] == here]
    assert len(standing) == 4 and sum(row["amount_cents"] for row in standing) == 0
    [voucher] = house.ask("GET", "/Voucher")
    assert (voucher["description"], voucher["sumGross"], voucher["status"]) == ("SHPFEE-K77A", "2", "1000")
    assert paying_out.show(None, "klarna", "K77A", None, None, as_json=True) == 0
    parts = json.loads(capsys.readouterr().out)["parts"]
    assert {part["order"] for part in parts} == set(orders) and all(part["documents"] for part in parts)
    house.close()


def test_5_23_dispute_withdrawn_and_lost_after_the_refund_was_also_given(house: House) -> None:
    """Lines only once each: charge, refund, what the provider took; a person hears DOUBLE-REFUND."""

    def script(order: ShopOrder) -> None:
        refund_full(order)
        order.wait(3600, 7200)
        node = {"id": f"gid://shopify/ShopifyPaymentsDispute/{order.new_id()}", "initiatedAs": "CHARGEBACK"}
        order.disputes = [{**node, "status": "NEEDS_RESPONSE"}]
        order.emit("disputes/create", "orders/updated")
        order.wait(86_400, 90_000)
        order.disputes = [{**node, "status": "LOST"}]
        order.emit("disputes/update", "orders/updated")

    order_id = house.lived(at_home(script))
    for _ in range(12):
        days_later(house, 1)
        made = looked(house)
    assert "DOUBLE-REFUND" in house.questions(order_id)
    payments = house.shopify.payments(SHOP)
    gross = next(entry.amount for entry in payments.entries if entry.type == "CHARGE")
    assert sorted(cents for _, cents in lines(house, "SHPTX")) == [-gross, gross]
    assert [cents for _, cents in lines(house, "SHPDSP")] == [-gross]
    assert made.days[-1].status == "EQUAL" and made.days[-1].clearing == truth(house, made.days[-1].day)
    assert len(house.state("credit_notes")) == 1  # the refund's; none for the dispute (1.4)


@pytest.mark.parametrize("where", ["/CheckAccountTransaction", "/Voucher/Factory/saveVoucher", "/bookAmount"])
def test_b14_an_answer_that_got_lost_writes_nothing_twice(house: House, where: str) -> None:
    """The call landed and nobody heard of it: the next look finds line, voucher and booking."""
    house.lived(paid)
    days_later(house, 9)
    house.door.once("PUT" if where == "/bookAmount" else "POST", where, lost)
    every = 3600.0
    for _ in range(4):
        look_at_payouts(house.ladenbuch.context, every)
        house.clock.advance_to(house.clock.now() + timedelta(minutes=20))
    keys = [key for key, _ in lines(house)]
    assert len(keys) == len(set(keys)) == 3
    [voucher] = house.ask("GET", "/Voucher")
    assert voucher["status"] == "1000"
    assert looked(house).days[-1].status == "EQUAL"


def test_b14_the_process_dies_between_call_and_record(house: House) -> None:
    """Whatever was written before it died is found by its key, never written again."""
    house.lived(paid)
    days_later(house, 9)
    for step in range(6):

        def dies(request: Any, go: Any) -> Any:
            go(request)
            raise KeyboardInterrupt

        house.door.once("PUT" if step % 2 else "POST", "", dies)
        with suppress(KeyboardInterrupt, LadenbuchError):
            looked(house)
        house.restart()
        house.door._planned.clear()
        house.clock.advance_to(house.clock.now() + timedelta(minutes=10))
    looked(house)
    keys = [key for key, _ in lines(house)]
    assert len(keys) == len(set(keys)) == 3 and len(house.ask("GET", "/Voucher")) == 1


def test_b14_fees_given_back_are_asked_about_once_until_their_line_is_linked(house: House) -> None:
    """No voucher with a position below zero is proved: one question, one alarm, through all the looks of two months;
    the line a person links in sevdesk is the answer."""
    house.shopify.payments(SHOP).set_terms(pending=0)
    house.lived(paid)
    house.shopify.adjust(SHOP, 60, type="CHARGEBACK_FEE_REFUND", reason="won")
    days_later(house, 9)

    def told() -> list[tuple[bool, int]]:
        known = house.database.tenant(TENANT).read(
            Store.BOOKS, lambda tx: tx.execute(sa.select(alarms.alarms.c.ended_at, alarms.alarms.c.times)).all()
        )
        return [(row.ended_at is None, row.times) for row in known]

    for days in (0, 0, 20, 0, 40, 0):
        days_later(house, days)
        assert [item.code for item in looked(house).problems] == ["FEE-CREDIT"] and told() == [(True, 1)]
    assert house.ask("GET", "/Voucher") == []
    [line] = [row for row in house.sevdesk.world.transactions.values() if row.purpose.startswith("SHPFEE")]
    line.status = 200
    for days in (0, 0, 1):
        days_later(house, days)
        assert looked(house).problems == () and told() == [(False, 1)]
    line.status = 100  # what was answered is not asked again
    assert looked(house).problems == ()


def test_b14_the_switch_writes_a_fee_voucher_with_a_position_below_zero(tmp_path: Path) -> None:
    house = opened(tmp_path, WITH_FEES | {"fee_credits": True})
    house.shopify.payments(SHOP).set_terms(pending=0)
    house.lived(paid)
    house.shopify.adjust(SHOP, 60, type="CHARGEBACK_FEE_REFUND", reason="won")
    days_later(house, 9)
    assert looked(house).problems == ()
    [charge] = [one for one in house.shopify.payments(SHOP).entries if one.type == "CHARGE"]
    [voucher] = house.ask("GET", "/Voucher")
    assert voucher["sumGross"] == f"{(charge.fee - 60) / 100:.2f}".rstrip("0") and voucher["status"] == "1000"
    house.close()


def test_b14_a_tenant_that_writes_drafts_only_has_no_alarm_about_payouts(house: House) -> None:
    """Nothing is to stand on the account; once it is live everything is written, and compared."""
    house.database.tenant(TENANT).run(Store.BOOKS, lambda tx: tenants.set_draft_only(tx, TENANT, True))
    house.lived(paid)
    days_later(house, 9)
    assert [item.code for item in looked(house).problems] == ["DRAFT-ONLY"]
    assert house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT)) == []


def test_b14_a_long_past_is_not_read_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Movements and lines that were over long ago are read by no look; something written late opens the past again."""
    from ladenbuch.workflows import payout_facts

    read: list[int] = []

    def counted(*args: Any) -> Any:
        found = reading(*args)
        read.append(len(found.movements) + sum(map(len, found.lines.values())))
        return found

    reading = payout_facts._read
    monkeypatch.setattr(payout_facts, "_read", counted)
    most: list[int] = []
    for _ in range(16):
        house.shopify.adjust(SHOP, 990, type="SHIPPING_LABEL", reason="label")
        days_later(house, 12)
        read.clear()
        last = looked(house).days[-1]
        assert last.unexplained == 0 and not last.findings
        most.append(max(read))
    assert most[-1] <= most[7] <= 36 and len(house.shopify.payments(SHOP).entries) == 32
    first = house.client.find_transactions(str(account(house)), "SHPADJ")[0]

    def late(tx: Any) -> None:
        made = payouts.LedgerLine("SHPADJ 9", "adjustment", str(account(house)), 7, MONDAY.date(), "x/9", "")
        payouts.line_written(tx, TENANT, SHOPIFY, made, first.id)

    house.database.tenant(TENANT).run(Store.BOOKS, late)
    assert [(item.code, item.amount) for item in looked(house).days[-1].findings] == [
        ("line-ahead", 7),
        ("lines-of-others", -7),
    ]
    assert max(read) > most[-1] + 20


def from_now_on(house: House, gateway: Any, at: datetime | None = None) -> None:
    """A later version of the profile keeps the gateway otherwise."""
    now = house.clock.now()

    def write(tx: Any) -> None:
        profile = dict(tenants.profiles(tx, TENANT)[-1].profile)
        profile["gateways"] = {**profile["gateways"], SHOPIFY: gateway}
        tenants.add_profile(tx, TENANT, profile, at or now, now)

    house.database.tenant(TENANT).run(Store.BOOKS, write)


@pytest.mark.parametrize("change", ["account", "dated back", "mode"])
def test_4_2_p1_a_later_version_changes_account_or_mode_and_nothing_of_before_goes_missing(
    house: House, change: str
) -> None:
    """Each line stays where it was written; what moved while the gateway was not kept is named, and no finding."""
    house.lived(paid)
    days_later(house, 1)
    looked(house)
    other = house.client.create_file_import_account("Shopify 2").id
    if change == "mode":
        from_now_on(house, {"mode": "off"})
    else:
        at = MONDAY - timedelta(days=1) if change == "dated back" else None
        from_now_on(house, {"mode": "clearing+payouts", "account": other}, at)
    days_later(house, 1)
    house.lived(paid, 2002)
    for _ in range(9):
        days_later(house, 1)
        today = looked(house).days[-1]
        assert today.unexplained == 0 and not today.findings and not today.astray
        assert {item.code for item in today.named} <= {"fees-pending", "elsewhere"}
    assert today.status == ("NAMED" if change == "mode" else "EQUAL")
    open_ones = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))
    assert open_ones == []


def test_b14_without_terms_the_line_stands_and_the_voucher_waits(tmp_path: Path) -> None:
    """Nothing is assumed about the tax of fees: the money is written, the paper is asked about."""
    house = opened(tmp_path, PROFILE)
    house.lived(paid)
    days_later(house, 9)
    made = looked(house)
    assert [item.code for item in made.problems] == ["FEE-TERMS"]
    assert len(lines(house, "SHPFEE")) == 1 and house.ask("GET", "/Voucher") == []
    open_ones = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))
    assert [item.kind for item in open_ones] == ["PAYOUTS-DIFFER"]
    house.close()


def test_b14_fees_nobody_confirmed_stay_a_draft_until_a_person_finalises_it(tmp_path: Path) -> None:
    """4-eyes: without `checked_by` the voucher is a draft; once it is open its line pays it."""
    house = opened(tmp_path, PROFILE | {"providers": {"shopify_payments": PROVIDER | {"checked_by": ""}}})
    house.lived(paid)
    days_later(house, 9)
    assert [item.code for item in looked(house).problems] == ["FEE-DRAFT"]
    [voucher] = house.sevdesk.world.things["Voucher"].values()
    assert voucher.fields["status"] == 50
    voucher.fields["status"] = 100
    assert looked(house).problems == ()
    assert voucher.fields["status"] == 1000
    house.close()


def test_b14_a_line_of_somebody_else_is_named(house: House) -> None:
    """A bookkeeper imports the gateway's CSV into the account: the difference has a name and an alarm."""
    house.lived(paid)
    looked(house)
    body = {"valueDate": "03.11.2026", "amount": "5.00", "status": 100, "payeePayerName": "Import",
            "checkAccount": {"id": account(house), "objectName": "CheckAccount"}, "paymtPurpose": "CSV"}  # fmt: skip
    house.ask("POST", "/CheckAccountTransaction", body)
    days_later(house, 1)
    today = looked(house).days[-1]
    assert today.status == "OPEN" and [(i.code, i.amount) for i in today.findings] == [("lines-of-others", 500)]


def test_b14_without_the_scope_nothing_happens_and_nobody_is_alarmed(tmp_path: Path) -> None:
    house = House(tmp_path, MONDAY, WITH_FEES)
    house.lived(paid)
    look_at_payouts(house.ladenbuch.context, 3600.0)
    assert look_at_payouts(house.ladenbuch.context, 3600.0) == 0
    turn = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: payouts.turn(tx, TENANT, SHOPIFY))
    assert turn is not None and turn.code == "SHOPIFY-SCOPE"
    assert house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT)) == []
    house.close()


def test_b14_after_two_months_of_a_stop_every_line_is_written_still(house: House) -> None:
    """R8: late facts are handled as of now, with their own days; nothing is too old to be written."""
    house.lived(at_home(lambda order: chargeback(order, ends="LOST")))
    now = house.clock.now()
    house.database.system("operator").run(Store.BOOKS, lambda tx: tenants.stop(tx, TENANT, "holidays", now))
    with pytest.raises(Retryable, match="STOPPED"):
        looked(house)
    for _ in range(3):
        days_later(house, 25)
        with suppress(Retryable):
            looked(house)
    assert lines(house, "SHPDSP") == lines(house, "SHPPO") == []
    house.go()
    made = looked(house)
    assert {key.split()[0] for key, _ in lines(house)} >= {"SHPTX", "SHPDSP", "SHPFEE", "SHPPO"}
    assert made.days[-1].status == "EQUAL" and made.days[-1].clearing == truth(house, made.days[-1].day)


def test_b14_a_refusal_of_sevdesk_stops_no_other_step(house: House) -> None:
    house.lived(paid)
    days_later(house, 9)
    house.door.once("POST", "/Voucher/Factory/saveVoucher", refused(422, "not today"))
    made = looked(house)
    assert [item.code for item in made.problems] == ["SEVDESK-HTTP-422"] and len(lines(house)) == 3
    assert looked(house).problems == ()


def test_b14_a_scheduled_payout_that_takes_in_more_before_it_leaves_is_read_again(house: House) -> None:
    """Its parts are those it left with, also a charge that was read long before and in no payout then."""
    payments = house.shopify.payments(SHOP)
    payments.set_terms(pending=240)
    house.lived(paid, 1001)
    house.lived(paid, 1002)
    looked(house)
    for _ in range(24 * 20):
        house.clock.advance_to(house.clock.now() + timedelta(hours=1))
        payments.advance(house.clock.now())
        if payments.payouts:
            break
    [payout] = payments.payouts
    first = next(entry for entry in payments.entries if entry.type == "CHARGE")
    transfer = next(entry for entry in payments.entries if entry.type == "TRANSFER")
    assert payout.status == "SCHEDULED" and first.payout is payout
    first.payout, payout.net, transfer.amount = None, payout.net - first.net, transfer.amount + first.net
    assert looked(house).problems == ()
    first.payout, payout.net, transfer.amount = payout, payout.net + first.net, transfer.amount - first.net
    days_later(house, 5)
    made = looked(house)
    assert payout.status == "PAID" and made.problems == ()
    assert (made.days[-1].clearing, made.days[-1].status) == (0, "EQUAL")


def test_b14_payouts_of_a_time_in_which_nobody_could_read_are_read_after_it(house: House) -> None:
    """Silence for seventy days, after payouts were known: those issued at its beginning are not lost."""
    house.lived(paid, 1001)
    days_later(house, 9)
    looked(house)
    house.lived(paid, 1002)
    days_later(house, 70)
    last = looked(house).days[-1]
    assert len(lines(house, "SHPPO")) == len(house.shopify.payments(SHOP).payouts) == 2
    assert (last.clearing, last.status) == (0, "EQUAL")


def test_b14_a_provider_that_falls_silent_after_it_was_read_is_an_alarm_until_it_is_read_again(house: House) -> None:
    """The scope is taken back: the account would only grow, and the page would say that all is well."""

    def heard() -> list[str]:
        found = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))
        return [item.kind for item in found]

    looked(house)
    house.shopify.set_scopes(SHOP, DEFAULT_SCOPES)
    days_later(house, 1)
    assert look_at_payouts(house.ladenbuch.context, 3600.0) == 0 and heard() == []
    days_later(house, 2)
    assert look_at_payouts(house.ladenbuch.context, 3600.0) == 0 and heard() == ["PAYOUTS-DIFFER"]
    turn = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: payouts.turn(tx, TENANT, SHOPIFY))
    assert turn is not None and [code for code, _ in turn.problems] == ["SHOPIFY-SCOPE"]
    house.shopify.set_scopes(SHOP, [*DEFAULT_SCOPES, *PAYMENT_SCOPES])
    days_later(house, 2)
    assert look_at_payouts(house.ladenbuch.context, 3600.0) == 1 and heard() == []
