"""The CONNECT proxy of the Shopify simulator over real sockets: what it carries and refuses, whom it can certify."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest
import uvicorn
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from ladenbuch.simulators.shopify import Shop, ShopifySimulator, create_app
from ladenbuch.simulators.shopify.proxy import Authority, ConnectProxy, Refused, simulator_head, tunnel_host
from ladenbuch.simulators.weather import Fault, Weather

SHOP = "proxied.myshopify.com"
CREDENTIALS = {"client_id": "app", "client_secret": "secret", "grant_type": "client_credentials"}


class Ready:
    """A simulator and its proxy in a thread of their own; `port` is the proxy's, `context` trusts its authority."""

    def __init__(self, weather: Weather | None = None) -> None:
        self.authority = Authority(datetime.now(UTC))
        self.context = ssl.create_default_context(cadata=self.authority.pem.decode())
        self._loop = asyncio.new_event_loop()
        simulator = ShopifySimulator(
            lambda: datetime.now(UTC), client_secret="secret", shops=[Shop(SHOP, client_id="app")]
        )
        app = create_app(simulator, weather=weather)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        behind, front = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
        self.port = front.getsockname()[1]
        self._proxy = ConnectProxy(self.authority, behind.getsockname()[1])
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run(behind, front)))
        self._thread.start()

    async def _run(self, behind: socket.socket, front: socket.socket) -> None:
        proxy = asyncio.create_task(self._proxy.serve(front))
        await self._server.serve(sockets=[behind])
        proxy.cancel()
        await asyncio.gather(proxy, return_exceptions=True)

    def client(self) -> httpx2.Client:
        return httpx2.Client(
            proxy=f"http://127.0.0.1:{self.port}", verify=self.context, trust_env=False, timeout=10, http2=False
        )

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    world = Ready()
    yield world
    world.stop()


def raw(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_a_client_reaches_the_shop_under_its_own_name(ready: Ready) -> None:
    with ready.client() as client:
        granted = client.post(f"https://{SHOP}/admin/oauth/access_token", json=CREDENTIALS)
        assert granted.status_code == 200
        asked = client.post(
            f"https://{SHOP}/admin/api/2026-10/graphql.json",
            json={"query": "{ shop { myshopifyDomain } }"},
            headers={"X-Shopify-Access-Token": granted.json()["access_token"]},
        )
    assert asked.json()["data"] == {"shop": {"myshopifyDomain": SHOP}}


def test_a_large_body_arrives_whole(ready: Ready) -> None:
    """Bodies are many records of TLS long; a token of a megabyte is refused for what it says, not cut."""
    with ready.client() as client:
        answer = client.post(
            f"https://{SHOP}/admin/oauth/access_token",
            json={
                "client_id": "app",
                "client_secret": "secret",
                "grant_type": "refresh_token",
                "refresh_token": "x" * 10**6,
            },
        )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_shop_that_does_not_exist_is_404_and_the_control_api_is_out_of_reach(ready: Ready) -> None:
    with ready.client() as client:
        assert client.get("https://other.myshopify.com/admin/oauth/authorize").status_code == 404
        assert client.get(f"https://{SHOP}/_control/truth").status_code == 404
        assert client.get(f"https://{SHOP}/../_control/truth").status_code == 404


def test_many_at_once(ready: Ready) -> None:
    async def all_of_them() -> list[int]:
        proxy = f"http://127.0.0.1:{ready.port}"
        async with httpx2.AsyncClient(proxy=proxy, verify=ready.context, trust_env=False, timeout=20) as client:
            url = "https://{}.myshopify.com/admin/oauth/access_token"
            hosts = [SHOP.split(".")[0] if n % 2 else f"shop-{n}" for n in range(24)]
            answers = await asyncio.gather(*(client.post(url.format(host), json=CREDENTIALS) for host in hosts))
        return [answer.status_code for answer in answers]

    assert asyncio.run(all_of_them()) == [404, 200] * 12


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 403),
        (b"CONNECT x.myshopify.com.example.com:443 HTTP/1.1\r\n\r\n", 403),
        (b"CONNECT x.y.myshopify.com:443 HTTP/1.1\r\n\r\n", 403),
        (b"CONNECT user@x.myshopify.com:443 HTTP/1.1\r\n\r\n", 403),
        (b"CONNECT x.myshopify.com:80 HTTP/1.1\r\n\r\n", 403),
        (b"CONNECT x.myshopify.com HTTP/1.1\r\n\r\n", 403),
        (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n", 403),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", 403),
        (b"GET http://x.myshopify.com/ HTTP/1.1\r\nHost: x.myshopify.com\r\n\r\n", 405),
        (b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n", 405),
        (b"\x16\x03\x01\r\n\r\n", 405),
    ],
)
def test_it_is_no_open_proxy(ready: Ready, asked: bytes, status: int) -> None:
    assert raw(ready.port, asked).startswith(b"HTTP/1.1 %d " % status)


def test_what_is_not_finished_is_cut(ready: Ready) -> None:
    assert raw(ready.port, b"CONNECT x.myshopify.com:443 HTTP/1.1\r\n") == b""
    assert raw(ready.port, b"x" * 100_000) == b""


def test_the_host_inside_is_the_host_of_the_tunnel(ready: Ready) -> None:
    """Whoever asked for one shop cannot speak to another through it."""
    with ready.client() as client:
        answer = client.get(f"https://{SHOP}/admin/oauth/authorize", headers={"Host": "other.myshopify.com"})
    assert answer.status_code == 421


def test_who_does_not_trust_the_authority_gets_nowhere(ready: Ready) -> None:
    strangers = httpx2.Client(
        proxy=f"http://127.0.0.1:{ready.port}", verify=ssl.create_default_context(), trust_env=False, timeout=10
    )
    with strangers, pytest.raises(httpx2.ConnectError, match="certificate"):
        strangers.get(f"https://{SHOP}/")


def test_the_authority_can_certify_nothing_but_shops(ready: Ready) -> None:
    """Its certificate says so (critical name constraints), and a verifier believes it."""
    names = x509.load_pem_x509_certificate(ready.authority.pem).extensions.get_extension_for_oid(
        ExtensionOID.NAME_CONSTRAINTS
    )
    assert names.critical
    left, right = socket.socketpair()
    context = ready.authority.context("www.example.com")  # what the proxy itself never asks for

    def end_tls() -> None:
        with contextlib.suppress(OSError):
            context.wrap_socket(right, server_side=True)

    server = threading.Thread(target=end_tls)
    server.start()
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        ready.context.wrap_socket(left, server_hostname="www.example.com")
    left.close()
    server.join(10)
    right.close()


def test_an_answer_that_is_lost_behind_is_lost_in_front() -> None:
    """Weather reaches the client as weather: the token was issued, the answer was not seen."""
    lossy = Weather("calm", 1)
    lossy.decide = lambda request: Fault("lost_reply")  # type: ignore[method-assign]
    world = Ready(lossy)
    try:
        with world.client() as client, pytest.raises(httpx2.RemoteProtocolError):
            client.post(f"https://{SHOP}/admin/oauth/access_token", json=CREDENTIALS)
    finally:
        world.stop()


def test_the_head_the_simulator_gets() -> None:
    head = b"POST /admin/x?a=/b HTTP/1.1\r\nHost: Proxied.myshopify.com:443\r\nConnection: keep-alive\r\nX-A: 1\r\n\r\n"
    assert simulator_head(head, SHOP) == (
        b"POST /proxied.myshopify.com/admin/x?a=/b HTTP/1.1\r\nhost: Proxied.myshopify.com:443\r\nx-a: 1\r\n"
        b"connection: close\r\n\r\n"
    )
    assert tunnel_host(b"CONNECT Partners.Shopify.com:443 HTTP/1.1\r\n\r\n") == "partners.shopify.com"
    for twice in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nhost: proxied.myshopify.com\r\nhost: b\r\n\r\n"):
        with pytest.raises(Refused):
            simulator_head(twice, SHOP)
