"""`ladenbuch events`, typed: a receiver is named, tried over a real socket, switched, and its secret is shown once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from compliance import KEY, Compliance
from house import TENANT
from ladenbuch import events
from ladenbuch.cli.app import app
from ladenbuch.db import Store
from ladenbuch.domain import event_words as words
from ladenbuch.errors import LadenbuchError

Server = tuple[str, list[tuple[dict[str, str], bytes]]]


@pytest.fixture
def server() -> Iterator[Server]:
    """A receiver on this machine; it answers 204, and keeps what it got."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(
                ({k.lower(): v for k, v in self.headers.items()}, self.rfile.read(int(self.headers["content-length"])))
            )
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/hook?key=s3cret", got
    http.shutdown()
    http.server_close()


def test_s112_a_receiver_is_named_tried_switched_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    shop, (url, got) = Compliance(tmp_path / "data"), server
    monkeypatch.setenv("LADENBUCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LADENBUCH_KEYS", KEY)
    runner = CliRunner()

    def run(*typed: str, input: str | None = None, code: int = 0) -> Any:
        done = runner.invoke(app, ["events", *typed, "--json"], input=input)
        if code == 2:  # `main` says so by its exit code
            assert isinstance(done.exception, LadenbuchError), (typed, done.output)
            return None
        assert done.exit_code == code, (typed, done.output, done.exception)
        return json.loads(done.stdout)

    run("add", input=f"{url}\n", code=2)  # this machine, without the switch
    run("add", "https://hooks.example.org/x", "--tell", "invoice.paid", code=2)
    monkeypatch.setenv("LADENBUCH_EVENTS_LOOPBACK", "true")
    made = run("add", "--tell", "invoice.created", input=f"{url}\n")
    assert made["secret"].startswith("whsec_") and "s3cret" not in json.dumps(made)
    listed = run("receivers")
    assert made["secret"] not in json.dumps(listed) and "s3cret" not in json.dumps(listed)
    assert [(one["id"], one["tell"], one["on"]) for one in listed["receivers"]] == [
        (made["id"], ["invoice.created"], True)
    ]

    assert run("try", made["id"])["took"]
    head, body = got[-1]
    assert json.loads(body)["type"] == "ping" and head["content-type"] == "application/json"
    at = head["webhook-timestamp"]
    signed = words.headers([made["secret"]], head["webhook-id"], words.datetime.fromtimestamp(int(at), words.UTC), body)
    assert head["webhook-signature"] == signed["webhook-signature"]

    door, now = shop.database.tenant(TENANT), shop.clock.now()
    door.run(Store.BOOKS, lambda tx: events.tell(tx, TENANT, "evt_1", "invoice.created", "", now, lambda at: "{}"))
    assert [one["state"] for one in run("list")["events"]] == ["waiting"]
    run("replay", made["id"], code=2)
    assert run("replay", made["id"], "--all", "--preview")["events"] == ["evt_1"]
    assert run("off", made["id"])["changed"] and not run("off", made["id"], code=1)["changed"]
    assert [one["state"] for one in run("list", code=1)["events"]] == ["held"]
    run("replay", made["id"], "--all", code=2)  # it is switched off
    assert run("on", made["id"])["held"] == 1
    assert run("replay", made["id"], "--state", "held")["events"] == ["evt_1"]
    assert run("rotate", made["id"])["secret"] != made["secret"]
    assert run("remove", made["id"])["waited"] == 1 and run("receivers")["receivers"] == []
    assert run("written")["orders"] == []
    run("written", "--again", code=2)
    shop.close()
