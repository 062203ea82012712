"""The look-up against its stand-in over real HTTP: every verdict, bad weather, and the control API."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import uvicorn

from ladenbuch.domain.evidence import INVALID, UNAVAILABLE, VALID
from ladenbuch.simulators.http import SimRequest, asgi
from ladenbuch.simulators.vies import ERRORS, PATH, ViesSimulator
from ladenbuch.simulators.weather import Fault, Weather
from ladenbuch.vies import VatIds

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FRENCH, GERMAN, GREEK, NORTHERN_IRISH = "FR40303265045", "DE136695976", "GR094259216", "XI980780684"


@contextmanager
def served(app: Any) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def simulator() -> ViesSimulator:
    return ViesSimulator(lambda: NOW)


@pytest.fixture
def address(simulator: ViesSimulator) -> Iterator[str]:
    with served(asgi(simulator)) as url:
        yield url


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=2, trust_env=False) as client:
        yield client


def look_up(address: str, http: httpx2.Client, requester: str | None = None) -> VatIds:
    return VatIds(address + PATH, http, clock=lambda: datetime.now(UTC), requester=requester)


def test_every_verdict(simulator: ViesSimulator, address: str, http: httpx2.Client) -> None:
    vat_ids = look_up(address, http)
    french = vat_ids.check(FRENCH, NOW)
    assert (french.verdict, french.name, french.reference) == (VALID, "Simulated Trader 40303265045", None)
    german = vat_ids.check(GERMAN, NOW)
    assert (german.verdict, german.name) == (VALID, None), "Germany keeps names to itself"
    assert vat_ids.check(GREEK, NOW).verdict == VALID
    assert vat_ids.check(NORTHERN_IRISH, NOW).verdict == VALID
    simulator.unregister("EL094259216")
    assert vat_ids.check(GREEK, NOW).verdict == INVALID
    asked = len(simulator.questions)
    assert vat_ids.check("FR40303265046", NOW).verdict == INVALID
    assert len(simulator.questions) == asked, "malformed: nobody was asked"


@pytest.mark.parametrize("error", ERRORS)
def test_a_state_that_is_down_says_nothing_about_the_buyer(
    simulator: ViesSimulator, address: str, http: httpx2.Client, error: str
) -> None:
    simulator.unregister(FRENCH)
    simulator.down(error, "FR")
    vat_ids = look_up(address, http)
    down = vat_ids.check(FRENCH, NOW)
    assert (down.verdict, down.reference) == (UNAVAILABLE, error)
    assert vat_ids.check(GERMAN, NOW).verdict == VALID
    simulator.up()
    assert vat_ids.check(FRENCH, NOW).verdict == INVALID


def test_a_requester_gets_a_consultation_number(simulator: ViesSimulator, address: str, http: httpx2.Client) -> None:
    answers = [look_up(address, http, requester=GERMAN).check(FRENCH, NOW) for _ in range(2)]
    assert all(answer.reference and answer.reference.startswith("WAPI") for answer in answers)
    assert len({answer.reference for answer in answers}) == 2


def test_nobody_there_and_the_wrong_door(address: str, http: httpx2.Client) -> None:
    closed = VatIds("http://127.0.0.1:9/", http, clock=lambda: NOW).check(FRENCH, NOW)
    assert (closed.verdict, closed.reference) == (UNAVAILABLE, "ConnectError")
    lost = VatIds(address + "/elsewhere", http, clock=lambda: NOW).check(FRENCH, NOW)
    assert (lost.verdict, lost.reference) == (UNAVAILABLE, "HTTP 404")


class Always(Weather):
    """One fault, whatever is asked."""

    def __init__(self, fault: Fault) -> None:
        super().__init__("calm", 0)
        self.fault = fault

    def decide(self, request: Any) -> Fault:
        return self.fault


@pytest.mark.parametrize(
    "fault",
    [
        Fault("error_before", status=429),
        Fault("error_before", status=503),
        Fault("reset_before"),
        Fault("lost_reply"),
        Fault("latency", latency_seconds=1.0),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_bad_weather_is_unavailable(simulator: ViesSimulator, fault: Fault) -> None:
    simulator.unregister(FRENCH)
    with served(asgi(simulator, Always(fault))) as url, httpx2.Client(timeout=0.3, trust_env=False) as http:
        assert look_up(url, http).check(FRENCH, NOW).verdict == UNAVAILABLE


def test_in_a_storm_no_valid_id_is_ever_called_invalid(simulator: ViesSimulator) -> None:
    with served(asgi(simulator, Weather("storm", 5))) as url, httpx2.Client(timeout=2, trust_env=False) as http:
        verdicts = {look_up(url, http).check(FRENCH, NOW).verdict for _ in range(60)}
    assert verdicts == {VALID, UNAVAILABLE}


def test_the_control_api(address: str, http: httpx2.Client) -> None:
    def control(path: str, body: object) -> httpx2.Response:
        return http.post(f"{address}/_control/{path}", json=body)

    vat_ids = look_up(address, http)
    assert control("invalid", {"vat_ids": [FRENCH]}).status_code == 200
    assert vat_ids.check(FRENCH, NOW).verdict == INVALID
    assert control("down", {"error": "MS_UNAVAILABLE"}).status_code == 200
    assert vat_ids.check(GERMAN, NOW).verdict == UNAVAILABLE
    assert control("up", {}).status_code == 200
    assert vat_ids.check(GERMAN, NOW).verdict == VALID
    outcomes = [row["outcome"] for row in http.get(f"{address}/_control/questions").json()["questions"]]
    assert outcomes == ["invalid", "MS_UNAVAILABLE", "valid"]
    assert control("reset", {}).status_code == 200
    assert vat_ids.check(FRENCH, NOW).verdict == VALID
    for path, wrong in (("down", {"error": "x"}), ("down", {"error": "TIMEOUT", "states": ["US"]}), ("invalid", {})):
        assert control(path, wrong).status_code == 400
    assert control("else", {}).status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"countryCode": "US", "vatNumber": "1"}', b'{"countryCode": 5}'])
def test_the_stand_in_refuses_what_it_cannot_read(simulator: ViesSimulator, body: bytes) -> None:
    assert simulator.handle(SimRequest("POST", PATH, [], {}, body)).status == 400
    assert simulator.handle(SimRequest("GET", PATH, [], {}, body)).status == 405
