"""Every statement names its tenant or is on a reviewed list; the tool that says so sees what it must (S42, B16)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import predicates  # noqa: E402


@pytest.mark.parametrize("kind", ["doors", "statements", "texts"])
def test_s42_what_names_no_tenant_was_reviewed(kind: str) -> None:
    """S42: nothing without a tenant that nobody looked at, and no reason for what is no longer there."""
    assert predicates.found()[kind] == set(predicates.reviewed()[kind])
    assert all(len(why) > 7 for why in predicates.reviewed()[kind].values())


def test_the_page_is_the_list() -> None:
    written = (ROOT / "docs" / "reference" / "tenants-apart.md").read_text(encoding="utf-8")
    assert written == predicates.page(), "python tools/predicates.py --page > docs/reference/tenants-apart.md"


EXAMPLE = """
import sqlalchemy as sa
from ladenbuch.db import Statement
_c = letters.c
_MINE = sa.and_(_c.tenant == _T, _c.key == _K)
_GET = Statement(sa.select(letters).where(_MINE))
_DROP = Statement(sa.delete(letters).where(_MINE))
_ALL = Statement(sa.select(letters))

def _of(query, table, tenant):
    return query.where(table.c.tenant == tenant)

def count(tx, tenant):
    mine = letters.c.tenant == tenant
    tx.execute(sa.delete(letters).where(mine, _c.state == "a"))
    query = sa.select(letters)
    if tenant is not None:
        query = query.where(mine)
    return tx.execute(query)

def bare(tx, tenant, row):
    assert row.tenant == tenant
    tx.exec_driver_sql("UPDATE letters SET state = 'x'")
    return tx.execute(sa.select(letters)), tx.execute(_of(sa.select(orders), orders, tenant))
"""


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> predicates.Module:
    monkeypatch.setattr(predicates, "SOURCE", tmp_path / "ladenbuch")
    path = tmp_path / "ladenbuch" / "example.py"
    path.parent.mkdir()
    path.write_text(EXAMPLE)
    return predicates.Module(path)


def test_the_tool_finds_statements_without_a_tenant(example: predicates.Module) -> None:
    """S42: a comparison in Python is no predicate, and another statement's predicate is not this one's."""
    assert sorted(where for where, _ in example.bare()) == ["_ALL", "bare"]
    assert set(example.texts()) == {"bare"}
    found = list(example.queries({"ladenbuch.example:11": ["orders"]}))
    assert sorted(query.name for query in found) == [
        "example:_DROP", "example:_GET", "example:bare [orders]", "example:count", "example:count",
    ]  # fmt: skip


def test_the_tool_takes_a_shared_predicate_from_one_query_alone(example: predicates.Module) -> None:
    """S42: "any one query": the others keep theirs."""
    found = {query.name: query.source for query in example.queries({})}
    get, drop = (found[f"example:{name}"] for name in ("_GET", "_DROP"))
    assert "select(letters).where(_MINE_without" in get and "delete(letters).where(_MINE))" in get
    assert "delete(letters).where(_MINE_without" in drop and "select(letters).where(_MINE))" in drop
    for source in found.values():
        assert "without_tenant()" in source
        compile(source, "example", "exec")
