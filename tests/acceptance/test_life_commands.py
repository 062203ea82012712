"""`ladenbuch tenants configure|suspend|resume|uninstall|export|delete`, as an operator types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.connector import Connector, raise_curtain
from ladenbuch.cli.demo import TENANT


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connector]:
    made = raise_curtain(tmp_path_factory.mktemp("life"), orders=0, webhooks=False)
    yield made
    made.close()


def said(stage: Connector, *arguments: str, code: int = 0, stdin: str = "") -> str:
    done = stage.run("tenants", *arguments, stdin=stdin)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def state(stage: Connector) -> list[str]:
    return [item["state"] for item in json.loads(said(stage, "list", "--json"))]


def test_a_tenant_s_life_on_the_command_line(stage: Connector, tmp_path: Path) -> None:
    """S24, S39, S40: each command says what became of it; what cannot be done is refused and changes nothing."""
    assert state(stage) == ["active"]
    assert "suspended" in said(stage, "suspend", TENANT, "--reason", "holiday")
    assert state(stage) == ["suspended"]
    assert "active" in said(stage, "resume", TENANT)
    assert "TENANT-STATE" in said(stage, "delete", TENANT, "--without-export", "--yes", code=2)
    file = tmp_path / "export.zip"
    manifest = json.loads(said(stage, "export", TENANT, "--to", str(file), "--json"))
    assert manifest["tenant"] == TENANT
    assert "FILE" in said(stage, "export", TENANT, "--to", str(file), code=2)
    assert "its books are kept" in said(stage, "uninstall", TENANT, "--yes")
    assert "before" in said(stage, "uninstall", TENANT, "--yes", code=1)
    assert "TENANT-STATE" in said(stage, "resume", TENANT, code=2)
    assert "OPTIONS" in said(stage, "delete", TENANT, "--yes", code=2)
    (tmp_path / "no.zip").write_bytes(b"x")
    assert "FILE" in said(stage, "delete", TENANT, "--export", str(tmp_path / "no.zip"), "--yes", code=2)
    proof = json.loads(said(stage, "delete", TENANT, "--export", str(file), "--yes", "--json"))
    assert proof["residue"] == {} and proof["rows"]["books.tenants"] == 1
    assert state(stage) == []
    [kept] = json.loads(said(stage, "erased", "--json"))["erased"]
    assert (kept["tenant"], kept["rows"]) == (TENANT, proof["rows"]) and "rows, by" in said(stage, "erased")
