"""Every exchange with a service ends: one that sends a byte now and then keeps no worker (S38).

A client's own timeouts are for one read; here all reads and writes of an exchange together end at one moment.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2
import httpx2

#: Seconds that are left, at most those wished for; None: no end. Raises httpcore2.ReadTimeout when none are left.
Left = Callable[[float | None], float | None]


class Limited(httpcore2.NetworkStream):
    """A stream that is read and written for as long as `left` says."""

    def __init__(self, inner: httpcore2.NetworkStream, left: Left) -> None:
        self._inner = inner
        self._left = left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return Limited(self._inner.start_tls(ssl_context, server_hostname, self._left(timeout)), self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Bounded(httpcore2.NetworkBackend):
    """Connects as `inner` does, to streams that are limited."""

    def __init__(self, inner: httpcore2.NetworkBackend, left: Left) -> None:
        self._inner = inner
        self._left = left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        return Limited(self._inner.connect_tcp(host, port, timeout, local_address, socket_options), self._left)


def bounded(client: httpx2.Client, left: Left) -> httpx2.Client:
    """The same client, limited."""
    transport = client._transport
    assert isinstance(transport, httpx2.HTTPTransport)
    pool = transport._pool
    assert isinstance(pool, httpcore2.ConnectionPool)
    pool._network_backend = Bounded(pool._network_backend, left)
    return client
