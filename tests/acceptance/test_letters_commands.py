"""S67: what an operator types about letters that arrived or not, and about addresses that get none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ladenbuch import outbox, tenants
from ladenbuch.cli.app import app
from ladenbuch.db import Database, Store
from ladenbuch.domain.feedback import address_mark, mark_of
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.suppressing import suppressions
from migrated import migrated
from unit.test_mail_feedback import BOUNCE, MARK

KEY = "k1:" + "A" * 43 + "="
NOW = datetime.now(UTC)


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Types a command with something on standard input; (exit code, what it said)."""
    database = Database.open(data_dir=migrated(tmp_path))
    database.migrate()
    vault = Vault(KeyRing.parse(KEY), database)

    def fill(tx: Any) -> None:
        tenants.add(tx, id="t1", shop="t1.myshopify.com", cut_off=NOW, now=NOW)
        vault.put_secret(tx, "t1", suppressions.SECRET, "secret", NOW)
        sealed = vault.seal("t1", "letter", "l1", b"{}", "o1")
        what = {"key": "l1", "kind": "invoice", "order_id": "o1", "document_id": None, "sealed_payload": sealed}
        outbox.promise(tx, "t1", **what, now=NOW)
        outbox.claim(tx, "t1", "l1", "run", NOW)
        outbox.sending(tx, "t1", "l1", "run", NOW, recipient=address_mark("secret", "b.mueller@x.de"))
        outbox.accepted(tx, "t1", "l1", "run", NOW, message_id="<1@x>", relay="mail:25", reply="250")

    database.system("operator").run(Store.BOOKS, fill)
    database.close()
    monkeypatch.setenv("LADENBUCH_KEYS", KEY)
    monkeypatch.setenv("LADENBUCH_DATA_DIR", str(tmp_path))

    def run(command: str, given: str = "") -> tuple[int, Any]:
        done = CliRunner().invoke(app, [*command.split(), "--json"], input=given)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return -1, getattr(done.exception, "code", done.exception)
        return done.exit_code, json.loads(done.output)

    return run


def test_s67_a_bounce_is_taken_from_the_mailbox_and_the_address_listed(typed: Any) -> None:
    bounce = BOUNCE.replace(MARK, mark_of("l1"))
    assert typed("letters bounce", "Subject: hello\n\nI am away.\n") == (1, pytest.approx({"told": 0} | _none()))
    assert typed("letters bounce", BOUNCE)[1]["unknown"] == 1
    assert typed("letters bounce", bounce)[1]["changed"] == 1
    assert typed("letters bounce", bounce) == (0, {"told": 1, **_none(), "known": 1})
    code, found = typed("suppressions list --address --tenant t1", "B.Mueller@X.de\n")
    assert code == 0 and [one["cause"] for one in found["suppressions"]] == ["invalid"]
    assert "mueller" not in json.dumps(found).lower()
    code, rates = typed("letters rate")
    (one,) = rates["tenants"]
    assert (code, one["rate_percent"], one["valid_rate_percent"], one["bounced"], one["invalid"]) == (
        0,
        "0.00",
        None,
        1,
        1,
    )


def _none() -> dict[str, int]:
    return dict.fromkeys(("changed", "known", "delayed", "unknown", "other", "gone"), 0)


def test_s67_a_person_puts_an_address_on_the_list_and_takes_it_off(typed: Any) -> None:
    assert typed("suppressions list --address", "a@x.de") == (1, {"suppressions": []})
    assert typed("suppressions add --note asked", "a@x.de\n") == (0, {"added": True})
    assert typed("suppressions add --note asked", "A@x.de") == (1, {"added": False})
    assert typed("suppressions list")[1]["suppressions"][0]["cause"] == "operator"
    assert typed("suppressions remove --note wanted --send", "a@x.de") == (0, {"removed": True, "letters": 0})
    assert typed("suppressions remove --note wanted", "a@x.de")[0] == 1
    assert typed("suppressions add --note x", "no address") == (-1, "ADDRESS")
    assert typed("audit verify")[0] == 0
