"""S38: DNS, connect, TLS, reset mid-body, slow-loris, truncated JSON: what each is on a wire, and nothing is lost."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from fault_world import FAULTS, OFTEN, history
from ladenbuch.errors import Ambiguous, Retryable
from ladenbuch.sevdesk.calls import Caller
from ladenbuch.telemetry.bounded import bounded
from ladenbuch.telemetry.calls import Calls, left
from ladenbuch.telemetry.metrics import Metrics

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n"


def _reset(peer: socket.socket) -> None:
    peer.sendall(_HEAD + b'\r\n{"objects": [')
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _drip(first: bytes) -> Callable[[socket.socket], None]:
    def speak(peer: socket.socket) -> None:
        peer.sendall(first)
        for _ in range(200):
            peer.sendall(b"x")
            time.sleep(0.02)

    return speak


def _truncated(peer: socket.socket) -> None:
    peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"objects": [{')


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """A server that reads a request and answers in its own way."""
    listeners: list[socket.socket] = []

    def start(answer: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer, suppress(OSError):
                        said = peer.recv(65536)
                        while said.startswith(b"POST") and not said.endswith(b"{}"):  # its body comes by itself
                            said += peer.recv(65536) or b"{}"
                        answer(peer)

        threading.Thread(target=run, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _ask(url: str, method: str) -> tuple[Retryable, type[Exception] | None]:
    """What a call of ours to sevdesk raises, by a client as the product makes it, and what that client raised."""
    raised: list[type[Exception]] = []
    watch = Calls(Metrics(), lambda: datetime.now(UTC), {"sevdesk": url})
    client = watch.watch(bounded(httpx2.Client(timeout=0.2, trust_env=False), left))
    send = client.send

    def sent(*args: Any, **more: Any) -> httpx2.Response:
        try:
            answer = send(*args, **more)
            answer.read()
        except httpx2.TransportError as error:
            raised.append(type(error))
            raise
        return answer

    client.send = sent  # type: ignore[method-assign]
    caller = Caller(
        url, lambda: "0" * 32, client, clock=lambda: datetime.now(UTC), sleep=time.sleep, track=watch.of("sevdesk")
    )
    with client, pytest.raises(Retryable) as caught:
        caller.json(method, "/Invoice", "/Invoice", body={} if method == "POST" else None)
    return caught.value, raised[0] if raised else None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_s38_each_fault_on_a_wire_is_what_the_matrix_says(
    serve: Callable[[Callable[[socket.socket], None]], int], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Not done is `Retryable`; what may have been done is `Ambiguous` for a write. A byte now and then ends, too."""
    resolve = socket.getaddrinfo

    def nobody(host: Any, *args: Any, **more: Any) -> Any:
        if host == "nobody.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = closed.getsockname()[1]
    wire = {
        "DNS": ["http://nobody.example"],
        "connect": [f"http://127.0.0.1:{nowhere}"],
        "TLS": [f"https://127.0.0.1:{serve(_drip(b'HTTP/1.1 400 no'))}"],
        "reset mid-body": [f"http://127.0.0.1:{serve(_reset)}"],
        "slow-loris": [f"http://127.0.0.1:{serve(_drip(first))}" for first in (b"HTTP/1.1 200 O", _HEAD + b"\r\n")],
        "truncated JSON": [f"http://127.0.0.1:{serve(_truncated)}"],
    }
    for name, done, expected in FAULTS:
        for url in wire[name]:
            error, raised = _ask(url, method)
            assert isinstance(error, Ambiguous) == (done and method == "POST"), (name, error)
            assert raised == expected or (name == "connect" and raised is httpx2.ConnectError), (name, raised)


@pytest.fixture
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("_quiet")
def test_s38_every_fault_on_every_side_and_no_event_is_lost() -> None:
    """In small; `make prove LINE=faults` takes more than 1,000 events."""
    lived = history(11, 6, OFTEN)
    assert lived.report is not None
    assert lived.report.findings == []
    assert len(lived.events) > 20 and lived.report.documented > 4
