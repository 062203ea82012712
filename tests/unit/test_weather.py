"""The weather between client and service: seeded, deterministic, true to its profile's figures."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
import uvicorn

from ladenbuch.simulators.http import (
    AsgiApp,
    Route,
    SimRequest,
    SimResponse,
    SimTransport,
    asgi,
    is_control,
    json_response,
)
from ladenbuch.simulators.weather import Fault, Weather, is_write


def request(method: str = "POST", path: str = "/api/v1/Invoice", body: bytes = b"{}") -> SimRequest:
    return SimRequest(method, path, [], {}, body)


WRITE = request()
READ = request("GET")
GRAPHQL_QUERY = request(path="/shop/admin/api/2026-10/graphql.json", body=b'{"query":"query Q { shop { name } }"}')
GRAPHQL_MUTATION = request(
    path="/shop/admin/api/2026-10/graphql.json",
    body=b'{"query":"# a comment\\nfragment F on X { id }\\nmutation M { do { id } }"}',
)


class Scripted(Weather):
    """A weather that plays a given list of faults, then calm."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("calm", 0)
        self.script = list(faults)

    def decide(self, request: object) -> Fault:
        return self.script.pop(0) if self.script else Fault("none")


class Counting:
    """A simulator that counts what it committed."""

    def __init__(self) -> None:
        self.calls: list[SimRequest] = []

    def handle(self, request: SimRequest) -> SimResponse:
        self.calls.append(request)
        return json_response({"n": len(self.calls)}, 201)


def test_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown weather"):
        Weather("drizzle", 1)


def test_same_seed_same_decisions_other_seed_other_decisions() -> None:
    def run(seed: int) -> list[Fault]:
        weather = Weather("storm", seed)
        return [weather.decide(WRITE) for _ in range(500)]

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_decisions_depend_only_on_seed_and_number_of_calls() -> None:
    """A read in between shifts nothing: the n-th decision is the same whatever was asked before."""
    plain, mixed = Weather("storm", 3), Weather("storm", 3)
    expected = [plain.decide(WRITE) for _ in range(200)]
    for index in range(200):
        asked = WRITE if index % 3 else READ
        got = mixed.decide(asked)
        mixed.decide_delivery()
        mixed.decide_mail()
        if asked is WRITE:
            assert got == expected[index]
        else:
            assert got.latency_seconds == expected[index].latency_seconds


def test_calm_never_interferes() -> None:
    weather = Weather("calm", 1)
    assert {weather.decide(WRITE) for _ in range(100)} == {Fault("none")}
    assert {weather.decide_mail().kind for _ in range(100)} == {"none"}
    assert {weather.decide_delivery().delays for _ in range(100)} == {(0.0,)}


def test_rain_figures() -> None:
    weather = Weather("rain", 11)
    faults = [weather.decide(WRITE) for _ in range(20_000)]
    kinds = Counter(fault.kind for fault in faults)
    assert set(kinds) == {"latency", "error_before", "reset_before"}
    assert 0.04 < (kinds["error_before"] + kinds["reset_before"]) / 20_000 < 0.06
    assert {fault.status for fault in faults if fault.kind == "error_before"} == {429, 500, 502, 503}
    assert 0.028 < sum(fault.latency_seconds for fault in faults) / 20_000 < 0.032


def test_storm_figures_on_writes_and_none_of_them_on_reads() -> None:
    weather = Weather("storm", 5)
    faults = [weather.decide(WRITE) for _ in range(20_000)]
    kinds = Counter(fault.kind for fault in faults)
    assert 0.17 < kinds["lost_reply"] / 20_000 < 0.21
    assert 0.02 < kinds["late_commit"] / 20_000 < 0.04
    assert all(1.5 <= fault.after_seconds <= 4.0 for fault in faults if fault.kind == "late_commit")
    reads = {weather.decide(READ).kind for _ in range(5_000)}
    assert reads == {"latency", "error_before", "reset_before"}


def test_graphql_queries_and_token_grants_are_reads() -> None:
    assert is_write(WRITE)
    assert not is_write(READ)
    assert not is_write(GRAPHQL_QUERY)
    assert is_write(GRAPHQL_MUTATION)
    assert not is_write(request(path="/shop/admin/oauth/access_token"))
    assert not is_write(request(path="/s/admin/api/2026-10/graphql.json", body=b'{"query":"{ mutationLog { id } }"}'))
    assert not is_write(request(path="/s/admin/api/2026-10/graphql.json", body=b"\xff not json"))


def test_storm_delivers_webhooks_three_times_or_never() -> None:
    weather = Weather("storm", 2)
    fates = [weather.decide_delivery() for _ in range(5_000)]
    assert {len(fate.delays) for fate in fates} == {0, 3}
    assert 0.08 < sum(fate.dropped for fate in fates) / 5_000 < 0.12
    assert all(0 <= delay <= 3 for fate in fates for delay in fate.delays)


def test_mail_is_never_accepted_and_cut_by_a_profile() -> None:
    """Storm cuts connections only before the final 250 (the letter is then provably not accepted)."""
    weather = Weather("storm", 2)
    kinds = Counter(weather.decide_mail().kind for _ in range(5_000))
    assert set(kinds) == {"none", "refuse", "cut_before"}


def test_control_paths_are_recognised() -> None:
    assert is_control("/_control/state")
    assert is_control("/shop.example/_control/advance")
    assert not is_control("/api/v1/Invoice")


# --- the transport for virtual time -----------------------------------------------------------------------


def virtual(simulator: Counting, *faults: Fault) -> tuple[httpx2.Client, list[float], list[tuple[float, object]]]:
    slept: list[float] = []
    later: list[tuple[float, object]] = []
    transport = SimTransport(
        [Route("http://sim", simulator, Scripted(*faults), strip="/base")],
        sleep=slept.append,
        schedule=lambda after, fn: later.append((after, fn)),
    )
    return httpx2.Client(transport=transport), slept, later


def test_virtual_faults_become_transport_errors() -> None:
    simulator = Counting()
    client, slept, later = virtual(
        simulator,
        Fault("reset_before"),
        Fault("lost_reply", latency_seconds=0.25),
        Fault("error_before", status=429),
        Fault("late_commit", after_seconds=2.0),
    )
    with pytest.raises(httpx2.RemoteProtocolError):
        client.post("http://sim/base/x?a=1&a=2&b[c]=", content=b"{}")
    assert simulator.calls == []
    with pytest.raises(httpx2.RemoteProtocolError):
        client.post("http://sim/base/x?a=1&a=2&b[c]=", content=b"{}")
    assert slept == [0.25]
    assert [(call.path, call.query) for call in simulator.calls] == [("/x", [("a", "1"), ("a", "2"), ("b[c]", "")])]
    refused = client.post("http://sim/base/x")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1.0")
    with pytest.raises(httpx2.ReadTimeout):
        client.post("http://sim/base/x")
    assert len(simulator.calls) == 1
    ((after, commit),) = later
    assert after == 2.0
    assert callable(commit)
    commit()
    assert len(simulator.calls) == 2
    assert client.get("http://sim/base/y").json() == {"n": 3}
    with pytest.raises(httpx2.ConnectError):
        client.get("http://elsewhere/")


# --- the ASGI front, over real sockets --------------------------------------------------------------------


@contextmanager
def served(app: AsgiApp) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def test_a_real_client_sees_real_transport_errors() -> None:
    simulator = Counting()
    weather = Scripted(
        Fault("reset_before"),
        Fault("lost_reply"),
        Fault("error_before", status=503),
        Fault("late_commit", after_seconds=0.2),
    )
    with served(asgi(simulator, weather)) as url, httpx2.Client() as client:
        with pytest.raises(httpx2.TransportError):
            client.post(f"{url}/x", content=b"1")
        assert simulator.calls == []
        with pytest.raises(httpx2.TransportError):
            client.post(f"{url}/x", content=b"2")
        assert [call.body for call in simulator.calls] == [b"2"]
        assert client.post(f"{url}/x").status_code == 503
        with pytest.raises(httpx2.TransportError):
            client.post(f"{url}/x", content=b"4")
        assert len(simulator.calls) == 1  # the client has given up; nothing is committed yet
        for _ in range(500):
            if len(simulator.calls) == 2:
                break
            time.sleep(0.01)
        assert simulator.calls[1].body == b"4"
        answer = client.get(f"{url}/a%20b?k=v&k=w")
        assert answer.json() == {"n": 3}
        assert (simulator.calls[2].path, simulator.calls[2].query) == ("/a b", [("k", "v"), ("k", "w")])


def test_control_paths_see_no_weather() -> None:
    simulator = Counting()
    weather = Scripted(Fault("reset_before"))
    with served(asgi(simulator, weather)) as url, httpx2.Client() as client:
        assert client.get(f"{url}/_control/state").status_code == 201
        assert len(weather.script) == 1
