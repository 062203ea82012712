"""Posts an event to a receiver somebody named, and to nothing else we could reach (SSRF).

One name is looked up once per attempt; every IP address it stands for must be public, and the connection goes to one of
these addresses, not to the name: what a second look-up would say (DNS rebinding) is never asked. TLS is checked
against the name. No redirect is followed, no proxy of the environment is used, nothing of an answer is read but its
status and `Retry-After`, and an attempt ends after `seconds` whatever the other side does.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore2

from ladenbuch import __version__
from ladenbuch.domain.event_words import took
from ladenbuch.domain.receivers import Address, address_of, is_loopback, is_public
from ladenbuch.errors import Rejected
from ladenbuch.telemetry.bounded import Limited
from ladenbuch.telemetry.calls import Track, untracked

USER_AGENT = f"ladenbuch/{__version__}"
#: Seconds for one attempt, from the look-up to the answer's head.
SECONDS = 10.0

#: A name's IP addresses, as text. Raises OSError.
Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt: `status`, or None and why not (`code`, `reason`); `after` is what it asked us to wait.

    `reason` says nothing of a path, a secret or an IP address.
    """

    status: int | None
    code: str = ""
    reason: str = ""
    after: timedelta | None = None

    @property
    def took(self) -> bool:
        """Whether the event arrived."""
        return took(self.status)


def resolved(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a name, as the machine's resolver gives them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Receivers:
    """The one way out to receivers. Threads may share it.

    `loopback` is the development switch; `tls` checks certificates, `resolve` looks names up, `backend` connects to an
    IP address, `count` gives seconds that only grow.
    """

    def __init__(
        self,
        *,
        loopback: bool = False,
        seconds: float = SECONDS,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolved,
        backend: httpcore2.NetworkBackend | None = None,
        count: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        track: Track = untracked,
    ) -> None:
        self.loopback = loopback
        self._seconds = seconds
        self._tls = tls
        self._resolve = resolve
        self._backend = backend or httpcore2.SyncBackend()
        self._count = count
        self._clock = clock
        self._track = track

    def address(self, text: str) -> Address:
        """Read an address as somebody gives it. Raises Rejected("RECEIVER-ADDRESS")."""
        return address_of(text, loopback=self.loopback)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one body; never raises for what a receiver, its name or its address may be."""
        try:
            address = self.address(url)
        except Rejected as refusal:
            return Answer(None, refusal.code, refusal.message)
        with self._track("POST event") as call:
            answer = self._post(address, body, headers)
            call.code = None if answer.took else answer.code
        return answer

    def _post(self, address: Address, body: bytes, headers: Mapping[str, str]) -> Answer:
        until = self._count() + self._seconds
        try:
            pinned = self._pinned(address, until)
        except Rejected as refusal:
            return Answer(None, refusal.code, refusal.message)
        shown = f"[{address.host}]" if ":" in address.host else address.host
        usual = address.port == (443 if address.scheme == "https" else 80)
        sent = {
            "host": shown if usual else f"{shown}:{address.port}",
            "user-agent": USER_AGENT,
            "accept": "*/*",
            "connection": "close",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **headers,
        }
        request = httpcore2.Request(
            "POST",
            httpcore2.URL(
                scheme=address.scheme.encode(), host=address.host.encode(), port=address.port,
                target=address.target.encode(),
            ),
            headers=[(name.encode(), value.encode()) for name, value in sent.items()],
            content=body,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)},
        )  # fmt: skip
        backend = _Pinned(self._backend, pinned, self._count, until)
        try:
            with httpcore2.ConnectionPool(
                ssl_context=self._context(), http2=False, max_connections=1, network_backend=backend
            ) as pool:
                response = pool.handle_request(request)
                status, after = response.status, self._asked(response.headers)
                response.close()  # nothing of the body is read
        except (httpcore2.TimeoutException, TimeoutError):
            return Answer(None, "RECEIVER-UNREACHABLE", "it did not answer in time")
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            return Answer(None, "RECEIVER-UNREACHABLE", _why(error))
        if took(status):
            return Answer(status)
        said = "it answered with a redirect, which is not followed" if 300 <= status < 400 else f"it answered {status}"
        return Answer(status, "RECEIVER-ANSWER", said, after)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = httpcore2.default_ssl_context()
        return self._tls

    def _pinned(self, address: Address, until: float) -> list[str]:
        """The IP addresses to connect to, each looked at. Raises Rejected."""
        try:
            found = _within(lambda: self._resolve(address.host, address.port), until - self._count())
        except (OSError, UnicodeError):
            raise Rejected("RECEIVER-UNREACHABLE", "its name cannot be looked up") from None
        if not found:
            raise Rejected("RECEIVER-UNREACHABLE", "its name stands for no IP address")
        fine = is_loopback if address.loopback else is_public
        if not all(fine(ip) for ip in found):
            raise Rejected("RECEIVER-ADDRESS", "its name stands for an IP address that is not public")
        return list(found)

    def _asked(self, headers: Iterable[tuple[bytes, bytes]]) -> timedelta | None:
        """`Retry-After`, in seconds or as a date."""
        text = next((value for name, value in headers if name.lower() == b"retry-after"), b"").decode("latin-1").strip()
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return timedelta(seconds=int(text))
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        return max(timedelta(0), when - self._clock())


class _Pinned(httpcore2.NetworkBackend):
    """Connects to IP addresses that were looked at, whatever name is asked for; within one deadline for all it does."""

    def __init__(
        self, inner: httpcore2.NetworkBackend, pinned: Sequence[str], count: Callable[[], float], until: float
    ) -> None:
        self._inner = inner
        self._pinned = pinned
        self._left = _left(count, until)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        last: Exception | None = None
        for number, ip in enumerate(self._pinned):
            # One that does not answer leaves something for the next.
            share = self._left(timeout) / (len(self._pinned) - number)
            try:
                stream = self._inner.connect_tcp(ip, port, share, local_address, socket_options)
            except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
                last = error
            else:
                return Limited(stream, self._left)
        assert last is not None
        raise last

    def connect_unix_socket(self, *args: Any, **more: Any) -> httpcore2.NetworkStream:
        raise httpcore2.ConnectError("not by a socket of this machine")


def _left(count: Callable[[], float], until: float) -> Callable[[float | None], float]:
    def left(wished: float | None) -> float:
        rest = until - count()
        if rest <= 0:
            raise httpcore2.ReadTimeout("the attempt is over")
        return rest if wished is None else min(wished, rest)

    return left


def _within(fn: Callable[[], Sequence[str]], seconds: float) -> Sequence[str]:
    """A look-up that may not end by itself: who waits longer goes on without it. Raises OSError."""
    found: list[Sequence[str]] = []
    failed: list[BaseException] = []

    def look() -> None:
        try:
            found.append(fn())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=look, name="look-up", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError("the look-up takes too long")
    return found[0]


def _why(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not valid for its name"
        if isinstance(cause, ssl.SSLError):
            return "no TLS with it"
        cause = cause.__cause__ or cause.__context__
    return "the connection failed or was cut"
