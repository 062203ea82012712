"""Where events may go: one grammar of addresses, public IP addresses alone, looked up once and connected to (S112)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain.receivers import address_of, is_public
from ladenbuch.errors import Rejected
from ladenbuch.receivers import Receivers

PUBLIC = "93.184.215.14"
NOW = datetime(2026, 11, 23, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "host", "target"),
    [
        ("https://hooks.example.org", "hooks.example.org", "/"),
        ("https://Hooks.Example.org:443/a/B?c=%2F&d=e@f", "hooks.example.org", "/a/B?c=%2F&d=e@f"),
        ("https://xn--bcher-kva.example/haken", "xn--bcher-kva.example", "/haken"),
        ("https://a.1e.de/", "a.1e.de", "/"),
    ],
)
def test_s112_a_named_host_over_tls_is_taken(text: str, host: str, target: str) -> None:
    found = address_of(text)
    assert (found.scheme, found.host, found.port, found.target) == ("https", host, 443, target)
    assert found.named == host, "never with the path"


#: What must not be taken, by any of the ways around a check.
BAD = [
    # another scheme, or none
    "http://hooks.example.org/", "ftp://hooks.example.org/", "file:///etc/passwd", "gopher://a.example/",
    "//a.example/",
    "HTTPS//a.example", "https:/a.example/", "https:a.example", "javascript:alert(1)", "", "https://",
    # users, ports, fragments
    "https://user@a.example/", "https://user:pw@a.example/", "https://a.example@10.0.0.1/",
    "https://a.example%40b.example/",
    "https://a.example:80/", "https://a.example:8443/", "https://a.example:22/", "https://a.example:0443443/",
    "https://a.example:/", "https://a.example/#frag", "https://a.example#@10.0.0.1/",
    # IP addresses in every spelling
    "https://127.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://8.8.8.8/",
    "https://127.1/", "https://0x7f.0.0.1/", "https://0x7f000001/", "https://2130706433/", "https://017700000001/",
    "https://0177.0.0.1/", "https://1.2.3/", "https://a.b.0x1f/", "https://127.0.0.1./", "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:10.0.0.1]/", "https://[fe80::1%25eth0]/", "https://[2606:4700::1]/", "https://①②⑦.⓪.⓪.①/",
    # names of the inside
    "https://localhost/", "https://app.localhost/", "https://db/", "https://printer.local/", "https://x.internal/",
    "https://metadata.google.internal/computeMetadata/v1/", "https://a.b.arpa/", "https://x.onion/",
    # parsers that disagree
    "https://a.example\\@10.0.0.1/", "https://a.example\t/", "https://a.example /", "https://a.example/\r\nHost: b",
    "https://a.example/\n", " https://a.example/", "https://a.example/ä", "https://ä.example/", "https://a..example/",
    "https://-a.example/", "https://a-.example/", "https://.example/", "https://a_b.example/", "https://a.example./",
    "https://a.example/%zz", "https://a.example/<x>", "https://a.example?x=1", "https://a.example/\x00",
    "https://a。example/",
    "https://" + "a" * 64 + ".example/", "https://" + "a." * 127 + "example/", "https://a.example/" + "x" * 2000,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=lambda text: ascii(text)[:40])
@pytest.mark.parametrize("loopback", [False, True])
def test_s112_every_way_around_is_refused(text: str, loopback: bool) -> None:
    if loopback and text in ("https://127.0.0.1/", "https://localhost/", "https://[::1]/"):
        assert address_of(text, loopback=True).loopback
        return
    with pytest.raises(Rejected, match="not taken") as refused:
        address_of(text, loopback=loopback)
    assert refused.value.code == "RECEIVER-ADDRESS"


def test_s112_this_machine_is_named_under_the_development_switch_alone() -> None:
    for text in ("http://127.0.0.1:9000/x", "http://localhost:9000/", "http://[::1]:9000/x?y=1"):
        assert address_of(text, loopback=True).loopback
        with pytest.raises(Rejected):
            address_of(text)
    inside = ("http://127.0.0.2:9000/", "http://10.0.0.1/", "http://a.de/")
    for text in (*inside, "http://localhost:0/", "http://localhost:70000/"):
        with pytest.raises(Rejected):
            address_of(text, loopback=True)


@pytest.mark.parametrize(
    "ip",
    ["0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "169.254.169.254",
     "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
     "198.51.100.7",
     "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16",
     "::", "::1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:7f00:1", "::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
     "100::1",
     "2001::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001:db8::1", "2002:a00:1::1", "2002:7f00:1::", "3fff::1",
     "5f00::1",
     "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2606:4700:0:0:0:5efe:a00:1",
     "2606:4700::200:5efe:a00:1", "2606:4700::1%1", "", "a.example", "1.2.3", "0x7f000001", "2130706433", "010.0.0.1"],
)  # fmt: skip
def test_s112_what_is_not_the_public_internet(ip: str) -> None:
    assert not is_public(ip)


@pytest.mark.parametrize(
    "ip", [PUBLIC, "8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]
)
def test_s112_what_is(ip: str) -> None:
    assert is_public(ip)


@given(st.ip_addresses())
def test_s112_whatever_the_library_calls_special_is_not_public(ip: Any) -> None:
    special = (
        ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved or ip.is_unspecified
    )
    assert not (special and is_public(str(ip)))


@given(st.ip_addresses(v=4))
def test_s112_no_ipv6_form_of_an_ipv4_address_is_public(ip: ipaddress.IPv4Address) -> None:
    number, as_hex = int(ip), f"{int(ip) >> 16:x}:{int(ip) & 0xFFFF:x}"
    forms = [f"::ffff:{ip}", f"::{ip}", f"64:ff9b::{ip}", f"2002:{as_hex}::1", f"2606:4700::5efe:{as_hex}"]
    forms.append(str(ipaddress.IPv6Address((0x2001 << 112) | (number ^ 0xFFFFFFFF))))  # Teredo
    assert not any(map(is_public, forms))


# -- posting ---------------------------------------------------------------------------------------------------------


class Wire(httpcore2.NetworkBackend):
    """Answers without a network; remembers which IP addresses were connected to, and what was sent."""

    def __init__(self, *answers: bytes, dead: tuple[str, ...] = ()) -> None:
        self.answers = list(answers)
        self.dead = dead
        self.asked: list[tuple[str, int]] = []
        self.names: list[str | None] = []
        self.sent = bytearray()

    def connect_tcp(self, host: str, port: int, timeout: Any = None, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        assert timeout is not None and timeout <= 10
        self.asked.append((host, port))
        if host in self.dead:
            raise httpcore2.ConnectError("refused")
        return _Line(self, [self.answers.pop(0)] if self.answers else [])


class _Line(httpcore2.NetworkStream):
    def __init__(self, wire: Wire, rest: list[bytes]) -> None:
        self.wire, self.rest = wire, rest

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        return self.rest.pop(0) if self.rest else b""

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        self.wire.sent += buffer

    def close(self) -> None:
        pass

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: Any = None) -> Any:
        self.wire.names.append(server_hostname)
        return self


def said(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "content-length: 0", *headers, "", ""]).encode()


def test_s112_the_address_that_was_looked_at_is_connected_to_and_the_name_is_asked_once() -> None:
    """DNS rebinding: the second answer of the resolver would be the metadata of a cloud."""
    looks: list[str] = []

    def rebinds(host: str, port: int) -> list[str]:
        looks.append(host)
        return [PUBLIC] if len(looks) == 1 else ["169.254.169.254"]

    wire = Wire(said("204 No Content"))
    answer = Receivers(resolve=rebinds, backend=wire).post(
        "https://rebind.example.org/x?y=1", b"{}", {"webhook-id": "e"}
    )
    assert answer.took and looks == ["rebind.example.org"]
    assert wire.asked == [(PUBLIC, 443)] and wire.names == ["rebind.example.org"]
    head, _, body = bytes(wire.sent).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x?y=1 HTTP/1.1\r\nhost: rebind.example.org\r\n") and body == b"{}"


@pytest.mark.parametrize(
    "found", [["10.0.0.1"], [PUBLIC, "127.0.0.1"], ["::1", PUBLIC], ["fe80::1%2"], ["::ffff:1.1.1.1"]]
)
def test_s112_one_address_that_is_not_public_is_enough_to_refuse(found: list[str]) -> None:
    wire = Wire(said("200 OK"))
    answer = Receivers(resolve=lambda host, port: found, backend=wire).post("https://a.example.org/", b"{}", {})
    assert (answer.status, answer.code) == (None, "RECEIVER-ADDRESS")
    assert wire.asked == [] and not any(ip in answer.reason for ip in found)


def test_s112_loopback_needs_the_switch_also_when_a_public_name_leads_there() -> None:
    wire = Wire(said("200 OK"))
    open_ = Receivers(loopback=True, resolve=lambda host, port: ["127.0.0.1"], backend=wire)
    assert open_.post("https://sneaky.example.org/", b"{}", {}).code == "RECEIVER-ADDRESS"
    assert open_.post("http://localhost:9000/", b"{}", {}).took
    other = Receivers(loopback=True, resolve=lambda host, port: ["192.168.0.5"], backend=wire)
    assert other.post("http://localhost:9000/", b"{}", {}).code == "RECEIVER-ADDRESS"
    assert wire.asked == [("127.0.0.1", 9000)]


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"]
)
def test_s112_a_redirect_is_a_failure_and_not_followed(status: str) -> None:
    wire = Wire(said(status, "location: http://169.254.169.254/latest"), said("200 OK"))
    answer = Receivers(resolve=lambda host, port: [PUBLIC], backend=wire).post("https://a.example.org/", b"{}", {})
    assert not answer.took and answer.code == "RECEIVER-ANSWER" and "redirect" in answer.reason
    assert wire.asked == [(PUBLIC, 443)]


def test_s112_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://10.0.0.9:3128")
    wire = Wire(said("200 OK"))
    assert Receivers(resolve=lambda host, port: [PUBLIC], backend=wire).post("https://a.example.org/", b"{}", {}).took
    assert wire.asked == [(PUBLIC, 443)]


def test_the_next_of_several_addresses_is_tried() -> None:
    wire = Wire(said("200 OK"), dead=("2606:4700::1111",))
    made = Receivers(resolve=lambda host, port: ["2606:4700::1111", PUBLIC], backend=wire)
    assert made.post("https://a.example.org/", b"{}", {}).took
    assert wire.asked == [("2606:4700::1111", 443), (PUBLIC, 443)]


def test_an_attempt_ends_however_slowly_the_other_side_answers() -> None:
    seconds = iter(range(0, 1000, 3))
    slow = Wire(*[])
    slow.answers = []

    class Drip(_Line):
        def read(self, max_bytes: int, timeout: Any = None) -> bytes:
            assert timeout is not None and timeout <= 10
            return b"H"

    slow.connect_tcp = lambda *args, **more: Drip(slow, [])  # type: ignore[method-assign]
    made = Receivers(resolve=lambda host, port: [PUBLIC], backend=slow, count=lambda: next(seconds))
    answer = made.post("https://a.example.org/", b"{}", {})
    assert (answer.status, answer.code, answer.reason) == (None, "RECEIVER-UNREACHABLE", "it did not answer in time")


def test_a_look_up_that_never_ends_does_not_keep_us() -> None:
    forever = threading.Event()

    def hangs(host: str, port: int) -> list[str]:
        forever.wait(5)
        return [PUBLIC]

    answer = Receivers(resolve=hangs, backend=Wire(), seconds=0.05).post("https://a.example.org/", b"{}", {})
    forever.set()
    assert answer.code == "RECEIVER-UNREACHABLE"


def test_what_a_receiver_asks_us_to_wait_is_heard() -> None:
    def asked(header: str) -> timedelta | None:
        wire = Wire(said("503 Down", header))
        made = Receivers(resolve=lambda host, port: [PUBLIC], backend=wire, clock=lambda: NOW)
        return made.post("https://a.example.org/", b"{}", {}).after

    assert asked("retry-after: 120") == timedelta(seconds=120)
    assert asked("Retry-After: Mon, 23 Nov 2026 13:01:00 GMT") == timedelta(minutes=1)
    assert asked("Retry-After: Mon, 23 Nov 2020 13:01:00 GMT") == timedelta(0)
    assert asked("retry-after: soon") is None and asked("retry-after: -5") is None and asked("x: y") is None


def test_a_name_nobody_knows_and_a_cut_line_are_answers_not_errors() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    assert Receivers(resolve=unknown).post("https://a.example.org/", b"{}", {}).code == "RECEIVER-UNREACHABLE"
    assert (
        Receivers(resolve=lambda host, port: []).post("https://a.example.org/", b"{}", {}).code
        == "RECEIVER-UNREACHABLE"
    )
    cut = Receivers(resolve=lambda host, port: [PUBLIC], backend=Wire())
    assert cut.post("https://a.example.org/", b"{}", {}).code == "RECEIVER-UNREACHABLE"
    assert cut.post("https://a.example.org:22/", b"{}", {}).code == "RECEIVER-ADDRESS", "stored before it was refused"


# -- over a real socket ----------------------------------------------------------------------------------------------


class Detour(httpcore2.SyncBackend):
    """Connects to a server on this machine, whatever IP address is asked for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    def connect_tcp(self, host: str, port: int, *args: Any, **more: Any) -> httpcore2.NetworkStream:
        self.asked.append(host)
        return super().connect_tcp("127.0.0.1", self.port, *args, **more)


def _authority() -> tuple[Any, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    return key, _certificate("Test CA", key.public_key(), key, "Test CA", ca=True)


def _certificate(name: str, public: Any, key: Any, issuer: str, *, ca: bool = False) -> Any:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    made = made if ca else made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return made.sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    ("host", "reason"), [("hooks.example.org", ""), ("other.example.org", "its certificate is not valid for its name")]
)
def test_s112_tls_is_checked_against_the_name_although_an_address_is_connected_to(
    tmp_path: Path, host: str, reason: str
) -> None:
    authority, root = _authority()
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _certificate("hooks.example.org", key.public_key(), authority, "Test CA")
    pem = serialization.Encoding.PEM
    raw = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(pem) + raw)
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_verify_locations(cadata=root.public_bytes(pem).decode())
    theirs.load_cert_chain(tmp_path / "leaf.pem")
    heard: list[bytes] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            raw_line, _ = listening.accept()
            with raw_line, theirs.wrap_socket(raw_line, server_side=True) as line:
                got = b""
                while not got.endswith(b"{}"):  # head and body may come apart
                    got += line.recv(65536) or b"{}"
                heard.append(got)
                line.sendall(said("202 Accepted"))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        wire = Detour(listening.getsockname()[1])
        made = Receivers(resolve=lambda host, port: [PUBLIC], backend=wire, tls=ours)
        answer = made.post(f"https://{host}/x", b"{}", {"webhook-id": "evt_1"})
        thread.join(5)
    assert wire.asked == [PUBLIC]
    assert (answer.took, answer.reason) == (not reason, reason)
    assert bool(heard) == (not reason), "nothing is said to who cannot show who they are"
