"""The EU threshold over several orders: counted from the books, held in the transaction that pins, told by doctor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
import sqlalchemy as sa
from alembic import command

from builders import ERIKA, PROFILE, T0, agreement, at, order, payment, sale, shipped
from ladenbuch import audit, books, migrations, tenants
from ladenbuch.db import Database, Store, Transaction, import_tables
from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.money import tax_in_gross
from ladenbuch.domain.order import Order
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.domain.rates import Rates, RateTable
from ladenbuch.domain.ready_profile import eu_threshold
from ladenbuch.domain.threshold import EuSale
from ladenbuch.errors import NeedsAttention
from ladenbuch.migrations import walls
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.simulators.http import Route, SimTransport
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.vault import KeyRing, Vault, generate_key
from ladenbuch.workflows.context import Context, profiles_in
from ladenbuch.workflows.evidence import gather, year_before
from ladenbuch.workflows.posting import carry_out
from ladenbuch.workflows.run import Run

NOW = T0 + timedelta(days=1)
PARIS = replace(ERIKA, country="FR", zip="75001")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
HALF = 595_000  # gross: 5,000.00 EUR net at 19 %


@dataclass
class House:
    """A tenant below the threshold, its stores, and a sevdesk."""

    database: Database
    ctx: Context

    def bought(self, number: int, gross: int = HALF, minutes: float = 0, to: object = PARIS) -> Order:
        """A paid and shipped order with German VAT, `minutes` after the first."""
        charged = {"19": tax_in_gross(gross, Decimal(19))}
        return order(
            agreement(number, at(minutes), sale(number, gross, charged)),
            id=f"gid://shopify/Order/{number}",
            name=f"#{number}",
            shipping_address=to,
            billing_address=to,
            processed_at=at(minutes),
            payments=(payment(number, gross, at(minutes + 1)),),
            fulfilments=(shipped(number, at(minutes + 2)),),
        )

    def planned(self, made: Order) -> Plan:
        evidence = gather(self.ctx, "t1", made, NOW)
        read = self.database.tenant("t1").read
        profiles = read(Store.BOOKS, lambda tx: profiles_in(tx, "t1"))
        known = read(Store.BOOKS, lambda tx: books.load(tx, "t1", made.id, self.ctx.unseal("t1", "pins")))
        return plan(facts_of(made), known, profiles, NOW, evidence)

    def post(self, made: Order, planned: Plan | None = None) -> None:
        """Carry out the invoice of a plan, draft only."""
        run = Run(self.ctx, "t1", made.id, f"run-{made.id}")
        self.database.tenant("t1").run(Store.BOOKS, lambda tx: books.take_fence(tx, "t1", made.id, 1, f"run-{made.id}"))
        for action in (planned or self.planned(made)).actions:
            if action.kind == "invoice":
                carry_out(run, action)

    def counts(self) -> list[EuSale]:
        return self.database.tenant("t1").read(Store.BOOKS, lambda tx: books.eu_sales(tx, "t1", T0 - timedelta(365)))

    def add(self, tenant: str, **changes: object) -> None:
        door = self.database.system("operator")
        door.run(Store.BOOKS, lambda tx: tenants.add(tx, id=tenant, shop=f"{tenant}.shop", cut_off=LONG_AGO, now=NOW))
        self.profile(tenant, **changes)

    def profile(self, tenant: str = "t1", **changes: object) -> None:
        """A new version, in force from the beginning."""
        values = PROFILE.as_json() | changes
        self.database.tenant(tenant).run(Store.BOOKS, lambda tx: tenants.add_profile(tx, tenant, values, LONG_AGO, NOW))


@pytest.fixture
def house(database: Database) -> Iterator[House]:
    simulator = SevdeskSimulator(clock=lambda: NOW)
    with httpx2.Client(transport=SimTransport([Route("http://sevdesk.test", simulator)])) as http:
        sevdesk = Sevdesk(
            "http://sevdesk.test/api/v1", lambda: DEFAULT_TOKEN, http, clock=lambda: NOW, sleep=lambda seconds: None
        )
        nothing = cast(Any, None)
        ctx = Context(
            database=database, vault=Vault(KeyRing.parse(generate_key()), database), shopify=nothing,
            sevdesk=lambda t: sevdesk, relays=nothing, clock=lambda: NOW, sleep=lambda seconds: None,
            new_id=nothing, chance=nothing, executor="main",
            rates=RateTable(current={"DE": Rates.of("19", "7"), "FR": Rates.of("20", "10", "5.5")}),
        )  # fmt: skip
        made = House(database, ctx)
        made.add("t1")
        yield made


def codes(planned: Plan) -> set[str]:
    return {item.code for item in planned.attention}


def test_f20_orders_add_up_until_one_would_pass(house: House) -> None:
    first, second, third = (house.bought(number, minutes=10 * number) for number in (1, 2, 3))
    house.post(first)
    (counted,) = house.counts()
    assert (counted.net, counted.order_id, counted.at, counted.at_home) == (500_000, first.id, at(11), True)
    assert codes(house.planned(first)) == set(), "its own document does not count against it"
    house.post(second)
    reason = next(item.reason for item in house.planned(house.bought(9, 119, minutes=5)).actions if "EU" in item.reason)
    assert "(1.00 of 10,000 EUR in 2026)" in reason, "what comes later does not count"
    asked = house.planned(third)
    assert "TAX-THRESHOLD" in codes(asked)
    assert not [item for item in asked.actions if item.kind == "invoice"]
    assert "TAX-THRESHOLD" not in codes(house.planned(house.bought(4, minutes=99, to=ERIKA)))


def test_two_orders_settled_at_once_do_not_both_slip_under_it(house: House) -> None:
    """Both are planned before either is pinned: the second finds out in the transaction that would pin it."""
    first, second, third = (house.bought(number, 400_000, minutes=10 * number) for number in (1, 2, 3))
    plans = [house.planned(one) for one in (first, second, third)]
    house.post(first, plans[0])
    house.post(second, plans[1])
    with pytest.raises(NeedsAttention) as asked:
        house.post(third, plans[2])
    assert (asked.value.code, asked.value.choices[0]) == ("TAX-THRESHOLD", "register for OSS and set oss_from")
    assert len(house.counts()) == 2
    known = house.database.tenant("t1").read(
        Store.BOOKS, lambda tx: books.load(tx, "t1", third.id, house.ctx.unseal("t1", "pins"))
    )
    assert known == Books(), "neither pinned nor intended"
    assert "TAX-THRESHOLD" in codes(house.planned(third))


def test_a_late_order_is_decided_as_in_time_and_what_it_overtakes_is_said(house: House) -> None:
    """R8, P2: the earlier sale is below the threshold; the later one, which passes it now, is pinned and reported."""
    early, late = house.bought(1, minutes=0), house.bought(2, 600_000, minutes=50)
    house.post(late)
    house.post(early)
    assert [item.order_id for item in house.counts()] == [early.id, late.id]
    heard = house.database.tenant("t1").read(Store.BOOKS, lambda tx: audit.entries(tx, "t1"))
    (said,) = [entry.sentence for entry in heard if entry.event == "threshold"]
    assert said == "With this sale, inv:2:2 passes the EU threshold, and is posted already."


def test_cancelled_documents_do_not_count(house: House) -> None:
    first = house.bought(1)
    house.post(first)
    house.database.tenant("t1").run(Store.BOOKS, lambda tx: books.cancelled(tx, "t1", "inv:1:1"))
    assert house.counts() == []


def test_german_orders_and_oss_shops_read_no_counter(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop that was in OSS before anything happened counts nothing; any version without it counts, to be sure."""
    asked: list[str] = []

    def spy(tx: Transaction, tenant: str, since: datetime) -> list[EuSale]:
        asked.append(tenant)
        return []

    monkeypatch.setattr(books, "eu_sales", spy)
    gather(house.ctx, "t1", house.bought(1, to=ERIKA), NOW)
    assert asked == []
    house.add("t2", oss_from="2026-11-18")
    gather(house.ctx, "t2", house.bought(1), NOW)
    assert asked == []
    paid_before = house.bought(1)
    paid_before = replace(paid_before, payments=(payment(1, HALF, at(days=-2)),))
    gather(house.ctx, "t2", paid_before, NOW)
    gather(house.ctx, "t1", house.bought(1), NOW)
    house.profile("t2", oss_from=None)
    gather(house.ctx, "t2", house.bought(1), NOW)
    assert asked == ["t2", "t1", "t2"]


def test_figures_before_go_live_count_from_the_profile(house: House) -> None:
    house.profile(eu_sales={"2026": 500_001})
    assert "TAX-THRESHOLD" in codes(house.planned(house.bought(1)))
    house.profile(eu_sales={"2026": 500_000})
    assert "TAX-THRESHOLD" not in codes(house.planned(house.bought(1)))


def test_installations_of_the_shape_before_count_what_they_have(tmp_path: Path, postgresql: Any) -> None:
    url = postgresql.create()
    for opened in (Database.open(data_dir=tmp_path), Database.open(url=url)):
        metadata = import_tables(Store.BOOKS)

        def shape_before(tx: Transaction, metadata: sa.MetaData = metadata) -> None:
            if tx.dialect.name != "sqlite":
                walls.roles_and_schema(tx, "books")
            command.upgrade(migrations.config("books", tx, metadata), "books_0002")
            columns = [column.name for column in books.documents.columns if column.name != "eu_net"]
            table = sa.table("documents", *(sa.column(name) for name in columns))
            for index, (kind, case) in enumerate(
                [("invoice", "below_threshold"), ("credit_note", "oss_goods"), ("invoice", "domestic")]
            ):
                row = dict.fromkeys(columns) | {
                    "tenant": "t1", "key": f"k{index}", "order_id": f"o{index}", "kind": kind, "state": "final",
                    "invoice_date": "2026-11-20", "gross": 1190, "sums": json.dumps({"19": [1190, 1000, 190]}),
                    "tax": json.dumps({"case": case}), "tax_point": 1_795_000_000_000_000 + index,
                    "profile_version": 1, "key_id": "k", "pins": b"", "made_by": "us",
                }  # fmt: skip
                tx.execute(sa.insert(table).values(row))

        opened._transact(Store.BOOKS, {}, shape_before)
        opened.migrate()
        counted = opened.tenant("t1").read(
            Store.BOOKS, lambda tx: books.eu_sales(tx, "t1", datetime(2026, 1, 1, tzinfo=UTC))
        )
        assert [(one.order_id, one.net, one.at_home) for one in counted] == [("o0", 1000, True), ("o1", -1000, False)]
        for tenant, found in (("t1", ["o1"]), ("t2", [])):
            sales = opened.tenant(tenant).read(Store.BOOKS, partial(books.eu_sales, tenant=tenant, since=counted[1].at))
            assert [one.order_id for one in sales] == found
        opened.close()
    postgresql.drop(url)


def examined(house: House, tenant: str = "t1") -> dict[str, tuple[bool, str]]:
    """What doctor says about the threshold."""
    now = house.ctx.clock()
    profiles, sales = house.database.tenant(tenant).read(
        Store.BOOKS, lambda tx: (profiles_in(tx, tenant), books.eu_sales(tx, tenant, year_before(now)))
    )
    names = {"EU-SALES": "EU sales", "EU-OVERTAKEN": "EU threshold"}
    found = eu_threshold(sales, profiles, now)
    return {names[item.code]: (item.level != "missing", item.english) for item in found}


def test_doctor_tells_the_counter_and_warns_from_four_fifths_on(house: House) -> None:
    assert examined(house) == {}, "who sells nothing to EU consumers hears nothing"
    house.post(house.bought(1))
    assert examined(house) == {"EU sales": (True, "5,000.00 of 10,000 EUR net to EU consumers in 2026")}
    house.post(house.bought(2, 357_000, minutes=5))
    told = "8,000.00 of 10,000 EUR net to EU consumers in 2026: prepare the OSS registration"
    assert examined(house) == {"EU sales": (True, told)}
    house.profile(eu_sales={"2026": 200_000})
    assert examined(house)["EU sales"][0], "exactly 10,000.00 EUR"
    house.profile(eu_sales={"2026": 200_001})
    told = "EU consumers bought for 10,000.01 EUR net in 2026, above the threshold"
    said = examined(house)
    assert not said["EU sales"][0] and said["EU sales"][1].startswith(told)
    assert said["EU threshold"][1].startswith("crossed by inv:2:2, taxed in Germany")
    house.add("t2", oss_from="2020-01-01")
    assert examined(house, "t2") == {}


def test_doctor_asks_for_what_was_sold_before_go_live(house: House) -> None:
    house.post(house.bought(1))
    cut_off = datetime(2026, 3, 1, tzinfo=UTC)
    house.database.tenant("t1").run(Store.BOOKS, lambda tx: tenants.set_cut_off(tx, "t1", cut_off))
    assert "does not say what was sold before go-live in 2025" in examined(house)["EU sales"][1]
    house.profile(eu_sales={"2025": 0})
    assert "before go-live in 2026" in examined(house)["EU sales"][1]
    house.profile(eu_sales={"2025": 0, "2026": 0})
    assert "go-live" not in examined(house)["EU sales"][1]


def test_doctor_names_what_a_late_order_overtook(house: House) -> None:
    house.post(house.bought(2, 600_000, minutes=50))
    house.post(house.bought(1))
    ok, sentence = examined(house)["EU threshold"]
    assert not ok and sentence.startswith("crossed by inv:2:2, ")
