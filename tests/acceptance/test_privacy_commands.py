"""The privacy commands, typed: what is asked is listed, the answer is written once into a file of one's own."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compliance import KEY, SHOP, Compliance
from house import TENANT
from ladenbuch.cli.app import app


def test_a_request_is_listed_and_answered_into_a_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Compliance(tmp_path / "data")
    told = {"shop_id": 1, "shop_domain": SHOP, "customer": {"id": 7, "email": "a@example.org"},
            "orders_requested": [], "data_request": {"id": 4711}}  # fmt: skip
    assert shop.post("customers/data_request", told) == 200
    shop.close()
    monkeypatch.setenv("LADENBUCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LADENBUCH_KEYS", KEY)
    run, file = CliRunner(), tmp_path / "customer.json"
    listed = run.invoke(app, ["privacy", "requests", "--json"])
    [request] = json.loads(listed.stdout)["requests"]
    assert (listed.exit_code, request["id"], request["tenant"], request["state"]) == (1, "4711", TENANT, "open")
    answered = run.invoke(app, ["privacy", "answer", "4711", "--to", str(file)])
    assert answered.exit_code == 0, answered.output
    assert json.loads(file.read_text())["customer"]["email"] == "a@example.org"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = run.invoke(app, ["privacy", "answer", "4711", "--to", str(file)])
    assert again.exit_code != 0, "never over another file"
    assert run.invoke(app, ["privacy", "requests"]).exit_code == 0
    assert "nothing is held" in run.invoke(app, ["privacy", "holds"]).stdout


def test_s50_a_stop_by_hand_and_its_end_are_lines_of_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stopped posting, when and why, for one tenant or for all; a `go` that lifts nothing says nothing."""
    shop = Compliance(tmp_path / "data")
    monkeypatch.setenv("LADENBUCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LADENBUCH_KEYS", KEY)
    run = CliRunner()
    for words, code in (
        (["stop", "--tenant", TENANT, "--reason", "stocktaking"], 0),
        (["go", "--tenant", TENANT], 0),
        (["go", "--tenant", TENANT], 1),
        (["stop", "--reason", "sevdesk is being moved"], 0),
        (["go"], 0),
    ):
        assert run.invoke(app, words).exit_code == code, words
    told = [(entry["event"], entry["sentence"]) for entry in shop.chain() if entry["event"] in ("stop", "go")]
    assert [event for event, _ in told] == ["stop", "go", "stop", "go"]
    assert "stocktaking" in told[0][1] and "sevdesk is being moved" in told[2][1]
    assert all(entry["actor"].startswith("operator ") for entry in shop.chain() if entry["event"] == "stop")
    shop.close()
