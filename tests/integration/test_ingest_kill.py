"""No acknowledged webhook is lost when the process is killed, on either database.

A real server in a process of its own takes webhooks from several connections and is killed with SIGKILL at a
random moment, three times. Everything it ever answered with 200 must then be a row, and its order wanted.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa

from ladenbuch.db import Database, Store
from ladenbuch.inbox.deliveries import events
from ladenbuch.inbox.marks import order_marks
from ladenbuch.shopify.webhooks import sign
from ladenbuch.vault import generate_key

SERVER = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
import uvicorn
from ladenbuch.db import Database
from ladenbuch.inbox import GroupCommit
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.web.ingest import Ingest, TenantRef

address, key, port = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if "data_dir" in address:
    address["data_dir"] = Path(address["data_dir"])
clock = lambda: datetime.now(UTC)
database = Database.open(**address)
commit = GroupCommit(database, Vault(KeyRing.parse(key), database), clock)
app = Ingest(commit, {"one.myshopify.com": TenantRef("t1", ("secret",))}.get, clock)
uvicorn.run(app, host="127.0.0.1", port=port, lifespan="off", log_level="warning")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(address: dict[str, Any], key: str, port: int) -> subprocess.Popen[bytes]:
    plain = {name: str(value) for name, value in address.items()}
    process = subprocess.Popen([sys.executable, "-c", SERVER, json.dumps(plain), key, str(port)])
    for _ in range(1200):
        assert process.poll() is None, "the server did not start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return process
    raise AssertionError("the server did not start")


def send_until_cut(port: int, thread: int, round_: int, acknowledged: list[tuple[str, int]]) -> None:
    """Post one webhook after the other on one connection, remembering each 200, until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    number = 0
    try:
        while True:
            number += 1
            webhook_id, order = f"w-{round_}-{thread}-{number}", round_ * 1_000_000 + thread * 10_000 + number
            body = json.dumps({"id": order, "note": "x" * 2000}).encode()
            headers = {
                "X-Shopify-Topic": "orders/create",
                "X-Shopify-Hmac-Sha256": sign(body, "secret"),
                "X-Shopify-Shop-Domain": "one.myshopify.com",
                "X-Shopify-API-Version": "2026-10",
                "X-Shopify-Webhook-Id": webhook_id,
            }
            connection.request("POST", "/webhooks", body, headers)
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            acknowledged.append((webhook_id, order))
    except (OSError, http.client.HTTPException):
        return


@pytest.mark.parametrize("seed", [1])
def test_kill_9_loses_no_acknowledged_webhook(address: dict[str, Any], seed: int) -> None:
    chance = random.Random(seed)
    key, acknowledged = generate_key(), []
    for round_ in range(3):
        port = free_port()
        process = serve(address, key, port)
        senders = [
            threading.Thread(target=send_until_cut, args=(port, thread, round_, acknowledged)) for thread in range(8)
        ]
        before = len(acknowledged)
        for sender in senders:
            sender.start()
        while len(acknowledged) < before + 50:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(chance.uniform(0.05, 0.4))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for sender in senders:
            sender.join(60)
    database = Database.open(**address)
    try:
        door = database.system("doctor")
        rows = door.read(
            Store.INBOX, lambda tx: dict(tx.execute(sa.select(events.c.webhook_id, events.c.order_id)).all())
        )
        marks = door.read(
            Store.INBOX, lambda tx: dict(tx.execute(sa.select(order_marks.c.order_id, order_marks.c.wanted)).all())
        )
    finally:
        database.close()
    assert len(acknowledged) >= 150
    assert {webhook_id for webhook_id, _ in acknowledged} <= set(rows)
    assert all(rows[webhook_id] == f"gid://shopify/Order/{order}" for webhook_id, order in acknowledged)
    # Event and mark share a transaction: none without the other, whatever the moment of the kill.
    assert set(rows.values()) == set(marks)
    assert set(marks.values()) == {1}
