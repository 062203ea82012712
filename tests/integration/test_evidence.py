"""Answers about VAT ids: kept as proof, never changed, the latest one wins; and when a workflow asks again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from alembic import command

from builders import ERIKA, PROFILE, T0, agreement, order, sale
from ladenbuch import books, evidence, migrations
from ladenbuch.db import Database, Sealed, Store, Transaction, import_tables
from ladenbuch.domain.evidence import INVALID, UNAVAILABLE, VALID, VatIdAnswer
from ladenbuch.domain.order import Address, Company, Order
from ladenbuch.domain.rates import Rates, RateTable
from ladenbuch.domain.tax import decide_tax
from ladenbuch.errors import Rejected
from ladenbuch.migrations import walls
from ladenbuch.sealed import row_id
from ladenbuch.vault import KeyRing, Vault, generate_key
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.evidence import gather

VAULT = Vault(KeyRing.parse(generate_key()))
GOOD = "FR40303265045"
PARIS = Address("Jean", "Dupont", "Exemple SA", "Rue 1", None, "75001", "Paris", None, "FR")
DAY = timedelta(days=1)


def seal(row: str, plain: bytes) -> tuple[str, bytes]:
    sealed = VAULT.seal("t1", evidence.PURPOSE, row, plain)
    return sealed.key_id, sealed.ciphertext


def unseal(row: str, key_id: str, body: bytes) -> bytes:
    return VAULT.open("t1", evidence.PURPOSE, row, Sealed(key_id, body))


def keep(database: Database, *answers: VatIdAnswer, tenant: str = "t1") -> None:
    for answer in answers:
        database.tenant(tenant).run(Store.BOOKS, lambda tx, answer=answer: evidence.record(tx, tenant, answer, seal))


def latest(database: Database, *vat_ids: str, tenant: str = "t1") -> dict[str, VatIdAnswer]:
    return database.tenant(tenant).read(Store.BOOKS, lambda tx: evidence.latest(tx, tenant, vat_ids, unseal))


def history(database: Database, vat_id: str = GOOD) -> list[VatIdAnswer]:
    return database.tenant("t1").read(Store.BOOKS, lambda tx: evidence.history(tx, "t1", vat_id, unseal))


# -- the table ----------------------------------------------------------------------------------------------------


def test_an_answer_comes_back_as_it_was_given(database: Database) -> None:
    full = VatIdAnswer(GOOD, VALID, T0, "Exemple SA", "WAPIAAAAW1")
    bare = VatIdAnswer("DE136695976", INVALID, T0 + timedelta(microseconds=1))
    keep(database, full, bare)
    assert latest(database, GOOD, "DE136695976", "AT1", GOOD) == {GOOD: full, "DE136695976": bare}
    assert latest(database) == {}
    assert latest(database, GOOD, tenant="t2") == {}


def test_the_latest_answer_wins_and_all_are_kept(database: Database) -> None:
    answers = [
        VatIdAnswer(GOOD, UNAVAILABLE, T0, reference="MS_UNAVAILABLE"),
        VatIdAnswer(GOOD, VALID, T0, "Exemple SA"),
        VatIdAnswer(GOOD, INVALID, T0 + DAY),
    ]
    keep(database, answers[0], answers[1])
    assert latest(database, GOOD)[GOOD] == answers[1], "asked at the same instant: the one recorded last"
    keep(database, answers[2])
    assert latest(database, GOOD)[GOOD] == answers[2]
    late = VatIdAnswer(GOOD, UNAVAILABLE, T0 - DAY)
    keep(database, late)
    assert latest(database, GOOD)[GOOD] == answers[2], "by when it was asked, not by when it was written"
    assert history(database) == [late, *answers]


def test_names_are_sealed_and_rows_never_change(database: Database) -> None:
    keep(database, VatIdAnswer(GOOD, VALID, T0, "Erika Muster"))
    door = database.tenant("t1")
    row = door.read(Store.BOOKS, lambda tx: tx.execute(sa.select(evidence.vat_names)).one())
    assert b"Erika" not in bytes(row.name)
    with pytest.raises(Rejected):  # sealed for another tenant
        VAULT.open("t2", evidence.PURPOSE, row_id(GOOD, 0), Sealed(row.key_id, bytes(row.name)))
    for change in (sa.update(evidence.vat_checks).values(verdict=INVALID), sa.delete(evidence.vat_checks)):
        with pytest.raises(Rejected):
            door.run(Store.BOOKS, lambda tx, change=change: tx.execute(change))


def test_an_id_no_state_gives_is_refused(database: Database) -> None:
    with pytest.raises(ValueError):
        keep(database, VatIdAnswer("F" * 65, INVALID, T0))


def test_a_store_of_the_first_shape_gets_the_table(tmp_path: Path, postgresql: Any) -> None:
    """What installations of the first shape meet: the new table behind its walls, and their rows untouched."""
    url = postgresql.create()
    for opened in (Database.open(data_dir=tmp_path), Database.open(url=url)):
        metadata = import_tables(Store.BOOKS)

        def first_shape(tx: Transaction, metadata: sa.MetaData = metadata) -> None:
            if tx.dialect.name != "sqlite":
                walls.roles_and_schema(tx, "books")
            command.upgrade(migrations.config("books", tx, metadata), "books_0001")
            if tx.dialect.name == "sqlite":
                walls.sqlite_append_only(tx, ["audit_entries", "vat_checks"])  # the second is yet to come
            tx.execute(sa.insert(books.contacts).values(tenant="t1", customer_number="S1", sevdesk_id="7"))

        opened._transact(Store.BOOKS, {}, first_shape)
        opened.migrate()
        keep(opened, VatIdAnswer(GOOD, VALID, T0))
        assert list(latest(opened, GOOD)) == [GOOD]
        assert latest(opened, GOOD, tenant="t2") == {}
        door = opened.tenant("t1")
        assert door.read(Store.BOOKS, lambda tx: books.contact(tx, "t1", "S1")) == books.KnownContact("7")
        with pytest.raises(Rejected):
            door.run(Store.BOOKS, lambda tx: tx.execute(sa.delete(evidence.vat_checks)))
        opened.close()
    postgresql.drop(url)


def test_names_sealed_before_0010_get_their_own_table(
    tmp_path: Path, postgresql: Any, postgresql_database: Database
) -> None:
    """As an owner whom row-level security binds as well; an administrator has made the roles for another database."""
    postgresql.execute("CREATE ROLE ladenbuch_mover LOGIN CREATEROLE NOSUPERUSER")
    url = postgresql.create()
    postgresql.execute(f"ALTER DATABASE {sa.make_url(url).database} OWNER TO ladenbuch_mover")
    mover = sa.make_url(url).set(username="ladenbuch_mover").render_as_string(hide_password=False)
    metadata = import_tables(Store.BOOKS)
    old = {"vat_id": GOOD, "seq": 0, "asked_at": 0, "verdict": VALID, "key_id": "k1", "name": b"sealed"}
    row = sa.table("vat_checks", *(sa.column(name) for name in ("tenant", *old)))
    for opened in (Database.open(data_dir=tmp_path), Database.open(url=mover)):

        def before(tx: Transaction) -> None:
            if tx.dialect.name != "sqlite":
                for role in (walls.APP, walls.SYSTEM, walls.ERASER):
                    postgresql.execute(f"GRANT {role} TO ladenbuch_mover")
                walls.roles_and_schema(tx, "books")
            command.upgrade(migrations.config("books", tx, metadata), "books_0009")
            tx.execute(sa.insert(row).values(tenant="t1", **old))
            tx.execute(sa.insert(row).values(tenant="t1", **(old | {"seq": 1, "key_id": None, "name": None})))
            if tx.dialect.name != "sqlite":
                walls.row_security(tx, "books", ["audit_entries", "vat_checks"])

        opened._transact(Store.BOOKS, {}, before)
        opened.migrate()
        names = opened.tenant("t1").read(Store.BOOKS, lambda tx: tx.execute(sa.select(evidence.vat_names)).all())
        assert [tuple(name) for name in names] == [("t1", GOOD, 0, "k1", b"sealed")]
        kept = opened.tenant("t1").read(
            Store.BOOKS, lambda tx: evidence.history(tx, "t1", GOOD, lambda row, key_id, body: body)
        )
        assert [answer.name for answer in kept] == ["sealed", None]
        opened.close()
    postgresql.drop(url)
    postgresql.execute("DROP OWNED BY ladenbuch_mover")
    postgresql.execute("DROP ROLE ladenbuch_mover")


# -- gather -------------------------------------------------------------------------------------------------------


@dataclass
class Registry:
    """A look-up that answers with what it was told, and remembers being asked."""

    verdicts: list[str | Exception] = field(default_factory=list)
    asked: list[tuple[str, datetime]] = field(default_factory=list)

    def __call__(self, vat_id: str, now: datetime) -> VatIdAnswer:
        self.asked.append((vat_id, now))
        verdict = self.verdicts.pop(0) if self.verdicts else VALID
        if isinstance(verdict, Exception):
            raise verdict
        return VatIdAnswer(vat_id, verdict, now, "Exemple SA" if verdict == VALID else None)


RATES = RateTable(current={"FR": Rates.of("20", "10", "5.5")})


def context(database: Database | None, vat_ids: Callable[[str, datetime], VatIdAnswer] | None) -> Context:
    nothing = cast(Any, None)
    return Context(
        database=cast(Any, database), vault=VAULT, shopify=nothing, sevdesk=nothing, relays=nothing, clock=nothing,
        sleep=nothing, new_id=nothing, chance=nothing, executor="main", rates=RATES, vat_ids=vat_ids,
    )  # fmt: skip


def bought(vat_id: str | None = GOOD, to: Address = PARIS, **changes: object) -> Order:
    company = Company("gid://shopify/Company/1", "Exemple SA", tax_registration_id=vat_id)
    goods = agreement(1, T0, sale(1, 1190))
    return order(goods, company=company, shipping_address=to, billing_address=to, processed_at=T0, **changes)


def test_most_orders_touch_no_store_and_ask_nobody() -> None:
    registry = Registry()
    ctx = context(None, registry)  # without a database: any use of it would raise
    swiss = replace(PARIS, country="CH")
    belfast = replace(PARIS, country="GB", zip="EC1A 1BB")
    for one in (bought(None, ERIKA), bought(to=ERIKA), bought(to=swiss), bought(to=belfast)):
        found = gather(ctx, "t1", one, T0)
        assert (found.rates, found.vat_ids) == (RATES, {})
    assert registry.asked == []


def test_the_first_order_asks_and_the_second_relies_on_the_answer(database: Database) -> None:
    registry = Registry()
    ctx = context(database, registry)
    first = gather(ctx, "t1", bought(), T0)
    assert first.vat_ids == {GOOD: VatIdAnswer(GOOD, VALID, T0, "Exemple SA")}
    assert gather(ctx, "t1", bought(), T0 + 90 * DAY) == first, "settled again months later: the same proof"
    assert gather(ctx, "t1", bought(), T0).rates is RATES
    assert registry.asked == [(GOOD, T0)]
    gather(ctx, "t2", bought(), T0)
    assert len(registry.asked) == 2, "each tenant has its own proof"


def test_an_answer_too_old_for_the_order_is_asked_for_again(database: Database) -> None:
    registry = Registry([INVALID])
    ctx = context(database, registry)
    keep(database, VatIdAnswer(GOOD, VALID, T0 - 30 * DAY))
    assert gather(ctx, "t1", bought(), T0 + DAY).vat_ids[GOOD].verdict == VALID
    assert registry.asked == []
    later = replace(bought(), processed_at=T0 + timedelta(seconds=1))
    assert gather(ctx, "t1", later, T0 + DAY).vat_ids[GOOD].verdict == INVALID
    assert [answer.verdict for answer in history(database)] == [VALID, INVALID]
    younger = replace(ctx, timing=replace(ctx.timing, vat_answer_age=40 * 86400.0))
    keep(database, VatIdAnswer("ATU57194903", VALID, T0 - 35 * DAY))
    assert gather(younger, "t1", bought("ATU57194903"), T0).vat_ids["ATU57194903"].verdict == VALID
    assert len(registry.asked) == 1


def test_unavailable_is_asked_again_each_time_and_kept(database: Database) -> None:
    registry = Registry([UNAVAILABLE, UNAVAILABLE, VALID])
    ctx = context(database, registry)
    found = [gather(ctx, "t1", bought(), T0 + timedelta(minutes=at)).vat_ids[GOOD].verdict for at in range(4)]
    assert found == [UNAVAILABLE, UNAVAILABLE, VALID, VALID]
    assert [answer.verdict for answer in history(database)] == [UNAVAILABLE, UNAVAILABLE, VALID]


def test_a_look_up_that_breaks_is_unavailable_and_nothing_is_raised(database: Database) -> None:
    ctx = context(database, Registry([RuntimeError("closed"), OSError(), KeyError("x")]))
    for cause in ("RuntimeError", "OSError", "KeyError"):
        answer = gather(ctx, "t1", bought(), T0).vat_ids[GOOD]
        assert (answer.verdict, answer.reference) == (UNAVAILABLE, cause)
    assert len(history(database)) == 3


def test_without_a_look_up_nothing_is_available_and_nothing_is_kept(database: Database) -> None:
    assert gather(context(database, None), "t1", bought(), T0).vat_ids[GOOD].verdict == UNAVAILABLE
    assert history(database) == []
    keep(database, VatIdAnswer(GOOD, VALID, T0))
    assert gather(context(database, None), "t1", bought(), T0).vat_ids[GOOD].verdict == VALID, "what we know, we know"


def test_a_letter_in_the_field_for_the_id_is_no_trouble(database: Database) -> None:
    registry = Registry([INVALID, INVALID])
    letter = "PLEASE" * 1000
    for _ in range(2):
        assert gather(context(database, registry), "t1", bought(letter), T0).vat_ids[letter].verdict == INVALID
    assert history(database, letter) == []


@pytest.mark.parametrize(
    ("shipping", "billing", "ships", "asks"),
    [
        (PARIS, ERIKA, True, True),
        (ERIKA, PARIS, True, False),
        (ERIKA, PARIS, False, True),
        (None, PARIS, True, True),
        (PARIS, None, False, True),
        (replace(PARIS, country="GB", zip="BT1 1AA"), ERIKA, True, True),
        (replace(PARIS, country="ES", zip="35001"), ERIKA, True, False),
        (None, None, True, False),
    ],
)
def test_the_address_that_counts(
    database: Database, shipping: Address | None, billing: Address | None, ships: bool, asks: bool
) -> None:
    """Goods by where they go, services by where the buyer is (UStG §3a (2)); Northern Ireland for goods only."""
    one = bought()
    lines = tuple(replace(line, requires_shipping=ships) for line in one.lines)
    one = replace(one, lines=lines, shipping_address=shipping, billing_address=billing)
    assert bool(gather(context(database, Registry()), "t1", one, T0).vat_ids) is asks


def test_what_is_gathered_is_what_the_tax_decision_asks_for(database: Database) -> None:
    """No order of an EU business may end in VAT-ID-UNCHECKED once it was gathered for (3.3 no. 7)."""
    verdicts = {VALID: [], INVALID: ["VAT-ID-INVALID"], UNAVAILABLE: ["VAT-ID-UNAVAILABLE"]}
    for at, (verdict, codes) in enumerate(verdicts.items()):
        one = bought(f"FR{at}", shipping_lines=())
        found = gather(context(database, Registry([verdict])), "t1", one, T0)
        _, problems = decide_tax(one, one.agreements, PROFILE, T0, found)
        assert [problem.code for problem in problems] == codes


def test_the_default_context_asks_nobody() -> None:
    plain = Context.__dataclass_fields__
    assert plain["vat_ids"].default is None
    assert plain["rates"].default_factory is RateTable


def test_times_are_utc(database: Database) -> None:
    keep(database, VatIdAnswer(GOOD, VALID, T0))
    assert latest(database, GOOD)[GOOD].asked_at.tzinfo is UTC
