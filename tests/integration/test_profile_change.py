"""The effect of a new profile version, worked out from stored orders, and the version stored (R10, B5; issue text R10).

Lives are written into the stores as the workflows write them; no shop and no sevdesk answers here.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import stocked
from ladenbuch import audit, books, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli import main
from ladenbuch.db import Database, Store
from ladenbuch.domain.evidence import Evidence
from ladenbuch.errors import NeedsAttention, Rejected
from ladenbuch.inbox.marks import order_marks
from ladenbuch.settings import Settings
from ladenbuch.simulators.lives import Life, generate
from ladenbuch.vat_rates import rate_table
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows import profile_change as changing
from migrated import migrated

END = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "k1:" + "A" * 43 + "="
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PROFILE: dict[str, Any] = {
    "shop_key": "s1",
    "oss_from": "2026-01-01",
    "gateways": {
        "shopify_payments": {"mode": "clearing+payouts", "account": "12"},
        "paypal": {"mode": "clearing+payouts", "account": "13"},
        "klarna": {"mode": "clearing+payouts", "account": "14"},
        "bank_deposit": "bank",
        "cash_on_delivery": "off",
        "invoice_on_delivery": "off",
    },
}
LIVES = 200


@cache
def lives() -> list[Life]:
    return generate(7, LIVES, shop="t1.myshopify.com", mix="wide", end=END, span=timedelta(days=40))


def house_on(database: Database) -> Ladenbuch:
    settings = Settings.read({"LADENBUCH_KEYS": KEY})
    return Ladenbuch(settings, database, Vault(KeyRing.parse(KEY), database), clock=lambda: END)


def stock(database: Database, some: list[Life]) -> Ladenbuch:
    house = house_on(database)
    stocked.open_shop(house, "t1", PROFILE, END - timedelta(days=90), EPOCH)
    stocked.settle(house, "t1", (life.final for life in some), END, Evidence(rate_table()))
    return house


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with every life in it; copied, never used."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    database = Database.open(data_dir=migrated(folder))
    stock(database, lives())
    database.close()
    return folder


@pytest.fixture
def house(filled: Path, tmp_path: Path) -> Iterator[Ladenbuch]:
    shutil.copytree(filled, tmp_path / "data")
    database = Database.open(data_dir=tmp_path / "data")
    yield house_on(database)
    database.close()


def effect(house: Ladenbuch, changes: dict[str, Any], start: datetime = END) -> tuple[Any, Any]:
    version = changing.new_version(house.context, "t1", PROFILE | changes, start)
    return version, changing.effect(house.context, "t1", version)


def rows(house: Ladenbuch) -> dict[str, list[Any]]:
    """Everything that could have been written."""
    tables = (
        books.intents,
        books.documents,
        books.orders,
        books.attention,
        tenants.profile_versions,
        audit.audit_entries,
    )

    def read(tx: Any) -> dict[str, list[Any]]:
        return {table.name: sorted(map(repr, tx.execute(sa.select(table)))) for table in tables}

    return house.database.tenant("t1").read(Store.BOOKS, read)  # type: ignore[no-any-return]


def test_R10_the_effect_of_a_profile_is_shown_before_it_is_saved(house: Ladenbuch) -> None:
    """R10: small business, dated back over everything: what is open changes, what is posted would only differ."""
    before = rows(house)
    version, change = effect(house, {"regime": "small_business"}, END - timedelta(days=400))
    told = change.as_json()
    documented, others = split(house)
    assert told["open"]["orders"] == others
    assert told["posted"]["orders"] == documented
    assert told["open"]["orders"] + told["posted"]["orders"] == LIVES
    assert [(item.name, item.before, item.after) for item in version.fields] == [
        ("regime", "regular", "small_business")
    ]
    assert told["open"]["parked"]["TAX-SMALL-BUSINESS"] > 3
    assert told["posted"]["changed"] > documented * 0.8
    assert told["posted"]["parked"]["TAX-SMALL-BUSINESS"] > documented * 0.8
    assert told["answered"]["changed"] == 0, "nothing is done about posted orders"
    assert rows(house) == before, "looking writes nothing"


def split(house: Ladenbuch) -> tuple[int, int]:
    """Orders with and without a document."""

    def count(tx: Any) -> tuple[int, int]:
        posted = set(tx.execute(sa.select(books.documents.c.order_id)).scalars())
        return len(posted), len(set(tx.execute(sa.select(books.orders.c.order_id)).scalars()) - posted)

    return house.database.tenant("t1").read(Store.BOOKS, count)  # type: ignore[no-any-return]


def test_R10_a_version_from_now_on_changes_nothing_that_has_its_tax_point(house: Ladenbuch) -> None:
    """P1: the tax point chooses the version; orders without one are counted as undecided."""
    _, change = effect(house, {"regime": "small_business"})
    assert (change.open.changed, change.answered.changed) == (0, 0)
    assert change.posted.changed > 0
    assert change.undated == sum(life.label.code in ("UNPAID", "UNSHIPPED") for life in lives())


def test_R10_a_question_is_answered_by_a_version_dated_back_to_its_tax_point(house: Ladenbuch) -> None:
    """Tips are asked about; the report says how far back the answer must be dated."""
    asked = {life.order_id for life in lives() if "tip" in life.label.situation}
    _, now = effect(house, {"tips": "taxed"})
    assert now.open.changed == 0 and now.earlier.changed > 0 and now.earliest is not None
    assert set(now.earlier.released) == {"TIP"}
    _, then = effect(house, {"tips": "taxed"}, now.earliest)
    assert then.open.released == now.earlier.released
    assert then.open.parked == {} and then.earlier.changed == 0
    assert asked == set(then.again)
    assert sum(row.after[0] for *_, row in then.rows()) > 0 == sum(row.before[0] for *_, row in then.rows())


def test_R10_documents_rules_and_sums_are_told_apart(house: Ladenbuch) -> None:
    """Without OSS the same sales are asked about; another name on the paper is wording and nothing else."""
    version, change = effect(house, {"shop_name": "Anders"}, END - timedelta(days=400))
    assert [item.name for item in version.fields] == ["shop_name"]
    assert set(change.posted.kinds) <= {"wording"} and set(change.open.kinds) <= {"wording"}
    _, change = effect(
        house, {"gateways": PROFILE["gateways"] | {"klarna": {"mode": "off"}}}, END - timedelta(days=400)
    )
    assert change.posted.changed > 0
    assert set(change.posted.kinds) == {"money"}


def test_R10_stored_as_a_new_version_with_its_line_in_the_audit_chain(database: Database) -> None:
    """On both databases."""
    house = stock(database, [life for life in lives() if "tip" in life.label.situation])
    version, change = effect(house, {"tips": "taxed"}, END - timedelta(days=400))
    assert changing.store(house.context, "t1", version, change) == 2
    assert changing.look_again(house.context, "t1", change) == change.open.changed > 0
    known = house.context.profiles("t1")
    assert [(item.version, item.tips) for item in known] == [(1, "unset"), (2, "taxed")]
    assert (known[1].go_live, known[1].draft_only) == (known[0].go_live, known[0].draft_only)

    def read(tx: Any) -> tuple[Any, Any]:
        return audit.entries(tx, "t1", "t1")[-1], audit.verify(tx, "t1")

    entry, broken = house.database.tenant("t1").read(Store.BOOKS, read)
    assert broken is None and entry.event == "tenant.profile"
    assert entry.detail["fields"] == {"tips": ["unset", "taxed"]}
    marks = house.database.tenant("t1").read(
        Store.INBOX, lambda tx: set(tx.execute(sa.select(order_marks.c.order_id)).scalars())
    )
    assert marks == set(change.again)
    with pytest.raises(NeedsAttention) as stale:
        changing.store(house.context, "t1", version, change)
    assert stale.value.code == "PROFILE-STALE"
    assert len(house.context.profiles("t1")) == 2


def test_the_key_documents_are_found_by_stays(house: Ladenbuch) -> None:
    """Facts 6.1: another shop_key would lose every document there is."""
    with pytest.raises(Rejected) as refused:
        changing.new_version(house.context, "t1", PROFILE | {"shop_key": "other"}, END)
    assert refused.value.code == "PROFILE" and "s1" in refused.value.message


def test_an_account_the_file_does_not_name_stays(house: Ladenbuch) -> None:
    gateways = PROFILE["gateways"] | {"paypal": "clearing+payouts", "klarna": "off"}
    version = changing.new_version(house.context, "t1", PROFILE | {"gateways": gateways}, END)
    assert version.kept == ("paypal",)
    assert version.profile.gateways["paypal"].account == "13"
    assert {item.name for item in version.fields} == {"gateways.klarna.mode", "gateways.klarna.account"}


def test_a_version_dated_later_takes_over_again(house: Ladenbuch) -> None:
    january = datetime(2026, 12, 31, 23, tzinfo=UTC)
    later = changing.new_version(house.context, "t1", PROFILE | {"regime": "small_business"}, january)
    changing.store(house.context, "t1", later, changing.effect(house.context, "t1", later))
    version = changing.new_version(house.context, "t1", PROFILE | {"letters": False}, END)
    assert (version.profile.version, version.replaces.version, version.until) == (3, 1, january)


# -- the command --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("profile")
    shutil.copytree(filled, place / "data")
    return place


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("LADENBUCH_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("LADENBUCH_KEYS", KEY)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: str, answer: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", StringIO(answer))
        monkeypatch.setattr(sys, "argv", ["ladenbuch", "tenants", "profile", "t1", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return call


def profile_file(folder: Path, **changes: Any) -> str:
    path = folder / "new.json"
    path.write_text(json.dumps(PROFILE | changes), encoding="utf-8")
    return str(path)


def test_the_command_prints_what_it_takes(run: Any, folder: Path) -> None:
    code, out, err = run()
    (folder / "new.json").write_text(out, encoding="utf-8")
    assert code == 0 and "version 1" in err and "in force" in err
    code, out, _ = run("--file", str(folder / "new.json"), "--yes")
    assert code == 0 and "nothing to store" in out


def test_the_command_previews_asks_and_stores(run: Any, folder: Path) -> None:
    file = profile_file(folder, regime="small_business")
    past = ("--effective-from", "2026-01-01")
    code, _, err = run("--file", file, *past, "--preview")
    assert code == 2 and "--back-dated" in err
    code, out, err = run("--file", file, *past, "--back-dated", "--preview")
    assert code == 1 and "TAX-SMALL-BUSINESS" in out and "small_business" in out
    assert "posted orders: " in out and "nothing is done about them" in out
    code, out, _ = run("--file", file, "--effective-from", "2027-01-01", "--preview", "--json")
    told = json.loads(out)
    assert (code, told["stored"], told["version"]) == (0, False, 2)
    assert told["effective_from"] == "2026-12-31T23:00:00+00:00", "a day begins in the accounting time zone"
    code, out, err = run("--file", file, "--effective-from", "2027-01-01", answer="n\n")
    assert code == 2 and "nothing was stored" in err
    code, out, err = run("--file", file, "--effective-from", "2027-01-01", "--json", answer="y\n")
    assert code == 0 and json.loads(out)["stored"] is True and "would differ" in err
    assert json.loads(run("--json")[1])["versions"][1]["version"] == 2
    assert json.loads(run("--json")[1])["version"] == 1, "the new one begins with the year"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--preview",), "OPTIONS"),
        (("--file", "nowhere.json"), "nowhere.json"),
        (("--file", "FILE", "--effective-from", "soon"), "EFFECTIVE-FROM"),
    ],
)
def test_what_is_typed_wrongly_exits_2(run: Any, folder: Path, options: tuple[str, ...], named: str) -> None:
    file = profile_file(folder, letters=False)
    code, out, err = run(*(file if item == "FILE" else item for item in options))
    assert (code, out) == (2, "") and named in err


def test_a_file_that_is_no_profile_is_refused(run: Any, folder: Path) -> None:
    code, out, err = run("--file", profile_file(folder, regime="none"), "--yes")
    assert code == 2 and out == "" and "regime" in err
