"""The circuit of a sevdesk token is that of all who use it, in one process and in several (S101, S92)."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from ladenbuch.breaker import LIMITS
from ladenbuch.circuits import LOOK, token_circuits
from ladenbuch.db import Database, Store
from ladenbuch.errors import Retryable
from ladenbuch.workflows.limits import Limits
from leaky import Time


def _limits(database: Database, time: Time, holder: str = "p") -> Limits:
    return Limits(database, time, time.sleep, holder, sevdesk_rate=10)


def _refused(limits: Limits, tenant: str, token: str) -> bool:
    """Whether a call of the tenant with the token is refused here, without having been sent."""
    breaker = limits.sevdesk_breaker(tenant, token)
    try:
        breaker.before()
    except Retryable as refused:
        return refused.code == "SEVDESK-BREAKER"
    breaker.after(None)
    return False


def _fail(limits: Limits, tenant: str, token: str, times: int, status: int = 401) -> None:
    for _ in range(times):
        breaker = limits.sevdesk_breaker(tenant, token)
        breaker.before()
        breaker.after(status)


def test_s101_the_circuit_is_the_tokens_whichever_shops_use_it(database: Database) -> None:
    """It is the token that sevdesk blocks: three failures in all, not three of each shop."""
    time = Time()
    limits = _limits(database, time)
    _fail(limits, "one", "shared", LIMITS["refused"] - 1)
    assert not _refused(limits, "two", "shared")
    _fail(limits, "two", "shared", 1)
    assert _refused(limits, "one", "shared") and _refused(limits, "two", "shared")
    assert not _refused(limits, "three", "another")
    assert not _refused(limits, "one", "anew"), "who connects with another token need not wait"
    if not database.is_sqlite:  # every other process knows
        time.run(LOOK)
        assert _refused(_limits(database, time, "q"), "four", "shared")


def test_s101_who_connects_the_same_token_again_need_not_wait(database: Database) -> None:
    time = Time()
    limits = _limits(database, time)
    _fail(limits, "one", "shared", LIMITS["refused"])
    assert _refused(limits, "two", "shared")
    limits.forget("one")
    assert not _refused(limits, "two", "shared") and not _refused(limits, "one", "shared")


def test_a_token_nobody_uses_any_more_says_nothing_about_a_connection(database: Database) -> None:
    time = Time()
    limits = _limits(database, time)
    _fail(limits, "one", "old", LIMITS["refused"])
    limits.sevdesk_breaker("two", "old")
    limits.sevdesk_breaker("one", "new").before()
    assert limits.circuits() == {("sevdesk", "open"): 1, ("sevdesk", "closed"): 1}, "the other shop still has it"
    limits.sevdesk_breaker("two", "new")
    assert limits.circuits() == {("sevdesk", "closed"): 1}


@pytest.mark.postgres
def test_circuits_of_tokens_nobody_uses_are_forgotten(postgresql_database: Database) -> None:
    time = Time()
    limits = _limits(postgresql_database, time)
    _fail(limits, "one", "gone", LIMITS["refused"])
    rows = sa.select(sa.func.count()).select_from(token_circuits)

    def count() -> int:
        return int(postgresql_database.system("doctor").read(Store.BOOKS, lambda tx: tx.execute(rows).scalar_one()))

    limits.tidy()
    assert count() == 1
    time.run(2 * 3600)
    limits.tidy()
    assert count() == 0
