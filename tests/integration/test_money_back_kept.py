"""What is kept of transfers, and how long (P1, B13, R7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from ladenbuch import money_back
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.domain.money_back import Claim, Matched
from ladenbuch.money_back import SeenLine, Waiting

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def test_b13_what_no_order_rests_on_is_forgotten_and_the_rest_stays(database: Database) -> None:
    """Lines that were nobody's, and what is not said of one any more; not what the shop was told of, nor a question."""
    door, order = database.tenant("t"), "gid://shopify/Order/1"

    def saw(tx: Transaction, id_: str, verdict: str, *claims: Claim) -> None:
        line = SeenLine(id_, "9", 500, date(2026, 11, 20), verdict, verdict, NOW)
        money_back.saw(tx, "t", [(line, Matched(id_, verdict, claims))], NOW)  # type: ignore[arg-type]

    def fill(tx: Transaction) -> None:
        money_back.waits(tx, "t", Waiting(order, "#1", 0, 500), NOW)
        for number, verdict in enumerate(("none", "linked", "exact", "ambiguous", "back"), 1):
            sure = () if verdict in ("none", "linked") else (Claim(order, 500),)
            saw(tx, str(number), verdict, *sure)
        for id_ in ("6", "7", "8"):
            saw(tx, id_, "ambiguous", Claim(order, 500), Claim("other", 500))
        saw(tx, "6", "none")  # not said any more
        money_back.let_go(tx, "t", "7", order)
        saw(tx, "8", "exact", Claim("other", 500))
        money_back.wanted(tx, "t", [order, "other"], NOW)

    def kept(tx: Transaction) -> tuple[set[str], set[tuple[str, str]]]:
        lines, claims = money_back.lines.c, money_back.claims.c
        said = {(row.line_id, row.order_id) for row in tx.execute(sa.select(claims.line_id, claims.order_id))}
        return set(tx.execute(sa.select(lines.line_id)).scalars()), said

    door.run(Store.BOOKS, fill)
    assert door.run(Store.BOOKS, lambda tx: money_back.prune(tx, "t", NOW)) == 0
    gone = door.run(Store.BOOKS, lambda tx: money_back.prune(tx, "t", NOW + timedelta(seconds=1)))
    standing, said = door.read(Store.BOOKS, kept)
    assert standing == {"3", "4", "5", "7", "8"} and gone == 1 + 4 + 3
    assert said == {("3", order), ("4", order), ("5", order), ("7", "other"), ("8", "other")}
