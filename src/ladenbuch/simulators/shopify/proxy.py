"""HTTPS for clients that know no other address than ``https://{shop}.myshopify.com``.

Shopify's own libraries cannot be told another host. They can be told a proxy: this one listens on loopback, answers
``CONNECT {shop}.myshopify.com:443`` (and ``partners.shopify.com``), ends TLS with a certificate issued on the spot by
an authority that lives as long as the process, and hands the request to the simulator with the host name as the first
segment of its path. Anything else is refused: it opens connections to the simulator and to nothing else.

The authority's key never leaves memory, and its certificate is constrained to these names, so that whoever trusts it
trusts it for nothing more. A tunnel carries one request; the answer says ``Connection: close``.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "127.0.0.1"
PARTNERS = "partners.shopify.com"
PATIENCE_SECONDS = 10.0
LIFE = timedelta(days=30)
_SHOP = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.myshopify\.com", re.ASCII)
_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1")
_CONTEXTS = 64
_HEAD_BYTES = 65_536
# What concerns one hop only; the tunnel's own is written anew.
_HOP = (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"upgrade", b"te")


class Refused(Exception):
    """A request this proxy does not carry: HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Authority:
    """A certificate authority for shops' host names, valid from `now` for 30 days; its key exists in memory only."""

    def __init__(self, now: datetime) -> None:
        self._from, self._until = now - timedelta(hours=1), now + LIFE
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ladenbuch simulated Shopify")])
        names = x509.NameConstraints([x509.DNSName("myshopify.com"), x509.DNSName(PARTNERS)], None)
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(names, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()

    @property
    def pem(self) -> bytes:
        """The certificate a client must trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def context(self, host: str) -> ssl.SSLContext:
        """What a server named `host` ends TLS with; issued once per host."""
        known = self._contexts.pop(host, None)
        self._contexts[host] = context = known or self._issue(host)
        if len(self._contexts) > _CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    def _issue(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            self._builder(x509.Name([]), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
            .add_extension(issuer_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        with tempfile.NamedTemporaryFile() as chain:  # the ssl module reads keys from files only
            chain.write(private + certificate.public_bytes(serialization.Encoding.PEM))
            chain.flush()
            context.load_cert_chain(chain.name)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(self._from).not_valid_after(self._until)
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class ConnectProxy:
    """The proxy in front of the simulator that listens on loopback at `simulator_port`."""

    def __init__(self, authority: Authority, simulator_port: int) -> None:
        self._authority = authority
        self._port = simulator_port

    async def serve(self, listener: socket.socket) -> None:
        """Answer on `listener` until cancelled."""
        async with await asyncio.start_server(self._client, sock=listener, limit=_HEAD_BYTES) as server:
            await server.serve_forever()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except Refused as refusal:
            with contextlib.suppress(OSError):
                await _refuse(writer, refusal)
        except (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
            writer.transport.abort()  # cut, as the other side was: no answer at all is a kind of weather
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            host = tunnel_host(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.start_tls(self._authority.context(host))
            head = simulator_head(await reader.readuntil(b"\r\n\r\n"), host)
        async with _connection(self._port) as (answers, asks):
            asks.write(head)
            up = asyncio.create_task(_copy(reader, asks))
            try:
                if not await _copy(answers, writer):
                    raise EOFError
            finally:
                up.cancel()
                await asyncio.gather(up, return_exceptions=True)


def tunnel_host(head: bytes) -> str:
    """The host a CONNECT asks for, in lower case; raises Refused for another method, host or port."""
    line = _LINE.fullmatch(head.split(b"\r\n", 1)[0])
    if line is None or line[1] != b"CONNECT":
        raise Refused(405, "This proxy answers CONNECT only.")
    host, _, port = line[2].decode("latin-1").lower().partition(":")
    if port != "443" or not (_SHOP.fullmatch(host) or host == PARTNERS):
        raise Refused(403, "This proxy leads to simulated shops only.")
    return host


def simulator_head(head: bytes, host: str) -> bytes:
    """The head of a request to `host` as the simulator wants it; raises Refused if it is meant for another host."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None or not line[2].startswith(b"/"):
        raise Refused(400, "Not a request of HTTP/1.1 for a path.")
    fields = [(name.strip().lower(), value.strip()) for name, _, value in (field.partition(b":") for field in lines)]
    hosts = [value.decode("latin-1").lower().removesuffix(":443") for name, value in fields if name == b"host"]
    if hosts != [host]:
        raise Refused(421, "The request is for another host than the tunnel.")
    kept = b"".join(b"%s: %s\r\n" % (name, value) for name, value in fields if name not in _HOP)
    return b"%s /%s%s HTTP/1.1\r\n%sconnection: close\r\n\r\n" % (line[1], host.encode(), line[2], kept)


@contextlib.asynccontextmanager
async def _connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> int:
    """Pass bytes on until the source ends; returns how many."""
    passed = 0
    while chunk := await source.read(_HEAD_BYTES):
        target.write(chunk)
        await target.drain()
        passed += len(chunk)
    return passed


async def _refuse(writer: asyncio.StreamWriter, refusal: Refused) -> None:
    body = f"{refusal}\n".encode()
    head = f"HTTP/1.1 {refusal.status} Refused\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n"
    writer.write(head.encode() + b"connection: close\r\n\r\n" + body)
    await writer.drain()
