"""The one place every call to the outside goes through: counted, timed, and named by a template.

    calls = Calls(metrics, clock, {"https://my.sevdesk.de/api/v1": "sevdesk", …})
    http = calls.watch(httpx2.Client(…))
    with calls.to("sevdesk", "GET /Invoice/{id}"):      # an adapter says what its call is
        http.get(…)

An adapter names its call with `to` and, where the answer says no inside a 200, leaves the `with` by an exception or
sets `code`. What passes the watched client without such a name is counted all the same, under a name made of its
address' template: nobody can forget it. Names and codes are short closed lists by construction; whatever would make
them longer is counted as "other".
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial

import httpx2

from ladenbuch.errors import LadenbuchError
from ladenbuch.telemetry.clocks import Clocks
from ladenbuch.telemetry.metrics import Metrics
from ladenbuch.telemetry.spans import failed, span

log = logging.getLogger(__name__)

#: The values of the label `service`.
SERVICES = ("shopify", "sevdesk", "mail", "vies", "partner", "other")
#: No service has more names or codes than this; what comes after them is "other".
_MOST_NAMES = 200
_MOST_CODES = 100
#: As many times as long as it may wait for one piece, an exchange may take as a whole.
_WHOLE = 3
#: Statuses with a meaning of their own; the rest is counted by its hundred.
_STATUSES = frozenset({400, 401, 402, 403, 404, 408, 409, 413, 422, 423, 429, 430, 500, 502, 503, 504})
#: What says that the service itself is unwell, rather than that it said no to one request.
_UNWELL = re.compile(r"CONNECT|TIMEOUT|CUT|POOL|UNREADABLE|HTTP-(5..|408|429)|THROTTLED|SMTP-4..|RELAY|UNCERTAIN")
_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,47}")
_DOCUMENT = re.compile(rb"(?:query|mutation)\s+([A-Za-z_][A-Za-z0-9_]{0,59})\s*[({@\\]")
#: What changes something, by its name: told in the log at its usual level, and what only reads below it.
_WRITES = re.compile(r"(POST|PUT|DELETE|PATCH) |send$")
_SHOP = r"[A-Za-z0-9.-]+\.myshopify\.com"
_VERSION = re.compile(r"v[0-9]{1,2}|20[0-9]{2}-[0-9]{2}")


@dataclass(slots=True)
class Call:
    """One call that is under way. `code` says why it failed, None while nothing speaks against it.

    `until`: when its exchange must be over, in seconds of the monotonic clock; None: whenever it is.
    """

    service: str
    operation: str
    code: str | None = None
    until: float | None = None


#: How an adapter of one service names its calls: `with track("GET /Contact"):`.
Track = Callable[[str], AbstractContextManager[Call]]


@contextmanager
def untracked(operation: str) -> Iterator[Call]:
    """A `Track` for those who watch nothing."""
    yield Call("other", operation)


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a service is, by the calls of this process. Instants are None before the first such call.

    `failing_since`: the first of `failures` calls in a row that the service did not answer; None: it answers.
    """

    answered_at: datetime | None = None
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    failures: int = 0
    code: str = ""


_under_way: ContextVar[Call | None] = ContextVar("ladenbuch_call", default=None)


def left(wished: float | None) -> float | None:
    """Seconds the exchange under way in this thread has left, for `bounded`. Raises httpcore2.ReadTimeout."""
    call = _under_way.get()
    if call is None or call.until is None:
        return wished
    rest = call.until - time.monotonic()
    if rest <= 0:
        import httpcore2

        raise httpcore2.ReadTimeout("the exchange took too long as a whole")
    return rest if wished is None else min(wished, rest)


class Calls:
    """Counts and times the calls of one process. Thread-safe.

    `addresses` are the services' addresses as settings have them (`{shop}` for any shop); `clock` gives aware UTC;
    `clocks` hears the dates of answers.
    """

    def __init__(
        self,
        metrics: Metrics,
        clock: Callable[[], datetime],
        addresses: Mapping[str, str],
        clocks: Clocks | None = None,
    ) -> None:
        self._metrics = metrics
        self._clocks = clocks
        # Looked up once: names are a short closed list.
        self._begun = lru_cache(maxsize=1024)(metrics.api_calls_total.labels)
        self._lasted = lru_cache(maxsize=1024)(metrics.api_call_duration.labels)
        self._clock = clock
        # The longest first: where a stand-in serves everything under one host, its paths tell.
        self._addresses = [
            (re.compile(re.escape(address).replace(r"\{shop\}", _SHOP) + r"(?=[/?#]|$)"), service)
            for address, service in sorted(addresses.items(), key=lambda item: -len(item[0].replace("{shop}", "")))
        ]
        self._lock = threading.Lock()
        self._names: dict[str, set[str]] = {}
        self._codes: dict[str, set[str]] = {}
        self._pulses: dict[str, Pulse] = {}
        self._watched: list[Watched] = []
        self._busy: Counter[str] = Counter()

    @contextmanager
    def to(self, service: str, operation: str) -> Iterator[Call]:
        """Everything inside is one call to `service`. It failed when `code` was set or an exception comes out."""
        service = service if service in SERVICES else "other"
        call = Call(service, self._known(self._names, service, template(operation), _MOST_NAMES, "other"))
        token = _under_way.set(call)
        started = self._clock()
        self._begun(service, call.operation).inc()
        with self._lock:
            self._busy[service] += 1
        try:
            with span(f"{service} {call.operation}"):
                try:
                    yield call
                except Exception as error:
                    call.code = call.code or code_of(error)
                    raise
                finally:
                    if call.code is not None:
                        failed(call.code)
        finally:
            _under_way.reset(token)
            self._ended(call, started)

    def of(self, service: str) -> Track:
        """`to` for the adapter of one service."""
        return partial(self.to, service)

    def watch(self, client: httpx2.Client) -> httpx2.Client:
        """The same client, whose every exchange is now seen here. Watching again replaces the watcher."""
        inner = client._transport
        if isinstance(inner, Watched):
            inner = inner.inner
        watched = Watched(inner, self)
        client._transport = watched
        self._watched.append(watched)
        return client

    def pulse(self, service: str) -> Pulse:
        """How the service is."""
        with self._lock:
            return self._pulses.get(service, Pulse())

    def busy(self, service: str) -> int:
        """Calls to the service that are under way."""
        with self._lock:
            return self._busy[service]

    def connections(self) -> Mapping[tuple[str, str], int]:
        """Open connections of the watched clients, by (service, "busy" or "idle")."""
        found: Counter[tuple[str, str]] = Counter()
        for watched in self._watched:
            for origin, busy in watched.connections():
                found[self.service_of(origin), "busy" if busy else "idle"] += 1
        return found

    def service_of(self, url: str) -> str:
        """Whose address that is."""
        for address, service in self._addresses:
            if address.match(url):
                return service
        # A connection is known by its origin alone, which is where an address begins.
        for address, service in self._addresses:
            if address.pattern.startswith(re.escape(url.rstrip("/")) + "/"):
                return service
        return "other"

    # -- inside ----------------------------------------------------------------------------------------------------

    def _ended(self, call: Call, started: datetime) -> None:
        now = self._clock()
        seconds = max(0.0, (now - started).total_seconds())
        service, operation = call.service, call.operation
        status = "success" if call.code is None else "error"
        self._lasted(service, operation, status).observe(seconds)
        if call.code is not None:
            code = call.code if _CODE.fullmatch(call.code) else "OTHER"
            call.code = self._known(self._codes, service, code, _MOST_CODES, "OTHER")
            self._metrics.api_errors_total.labels(service, operation, call.code).inc()
        level = logging.INFO if call.code is not None or _WRITES.match(operation) else logging.DEBUG
        if log.isEnabledFor(level):
            told = {"service": service, "operation": operation, "ms": round(seconds * 1000)}
            log.log(level, "call", extra=told if call.code is None else {**told, "code": call.code})
        with self._lock:
            self._busy[service] -= 1
            self._pulses[service] = _beat(self._pulses.get(service, Pulse()), call.code, now)

    def _known(self, known: dict[str, set[str]], service: str, name: str, most: int, other: str) -> str:
        with self._lock:
            names = known.setdefault(service, set())
            if name not in names:
                if len(names) >= most:
                    return other
                names.add(name)
            return name

    def seen(self, request: httpx2.Request, send: Callable[[httpx2.Request], httpx2.Response]) -> httpx2.Response:
        """One exchange of a watched client, inside the call that named it or as a call of its own."""
        call = _under_way.get()
        if call is None:
            with self.to(self.service_of(str(request.url)), _by_address(request)) as call:
                return self._told(call, request, send)
        return self._told(call, request, send)

    def _told(
        self, call: Call, request: httpx2.Request, send: Callable[[httpx2.Request], httpx2.Response]
    ) -> httpx2.Response:
        patience = request.extensions.get("timeout", {}).get("read")
        call.until = None if patience is None else time.monotonic() + _WHOLE * patience
        call.code = None  # a call may be several exchanges (a redirect, a repetition): the last one counts
        sent = self._clocks.count() if self._clocks else 0.0
        try:
            response = send(request)
        except Exception as error:
            call.code = code_of(error)
            raise
        dates = response.headers.get_list("Date")
        if self._clocks and dates and "Age" not in response.headers:  # what somebody kept is dated long ago
            self._clocks.heard(call.service, sent, dates[0])
        if response.status_code >= 400:
            call.code = code_of_status(response.status_code)
        return response


class Watched(httpx2.BaseTransport):
    """A transport that lets `Calls` see what passes."""

    def __init__(self, inner: httpx2.BaseTransport, calls: Calls) -> None:
        self.inner = inner
        self._calls = calls

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._calls.seen(request, self.inner.handle_request)

    def close(self) -> None:
        self.inner.close()

    def connections(self) -> Iterator[tuple[str, bool]]:
        """(origin, busy) of each open connection; nothing for a transport without a pool."""
        for connection in getattr(getattr(self.inner, "_pool", None), "connections", ()):
            if connection.is_connected() and not connection.is_closed():
                origin = connection._origin
                usual = origin.port in (None, {b"http": 80, b"https": 443}.get(origin.scheme))
                port = "" if usual else f":{origin.port}"
                yield f"{origin.scheme.decode()}://{origin.host.decode()}{port}", not connection.is_idle()


def _beat(pulse: Pulse, code: str | None, now: datetime) -> Pulse:
    if code is None or not _UNWELL.fullmatch(code):
        return Pulse(answered_at=now)
    return replace(
        pulse, failing_since=pulse.failing_since or now, failed_at=now, failures=pulse.failures + 1, code=code
    )


def code_of(error: Exception) -> str:
    """The short name of what went wrong; our own errors have theirs."""
    if isinstance(error, LadenbuchError):
        return error.code
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return "CONNECT"
    if isinstance(error, httpx2.PoolTimeout):
        return "POOL"
    if isinstance(error, httpx2.TimeoutException):
        return "TIMEOUT"
    if isinstance(error, httpx2.TransportError):
        return "CUT"
    if isinstance(error, httpx2.DecodingError):
        return "UNREADABLE"
    return "OTHER"


def code_of_status(status: int) -> str:
    """`HTTP-429`, or the hundred of a status that means nothing to us: `HTTP-4XX`."""
    return f"HTTP-{status}" if status in _STATUSES else f"HTTP-{status // 100}XX"


@lru_cache(maxsize=4096)
def template(operation: str) -> str:
    """The name without what only one call has: a path segment with a digit in it becomes `{id}`, a query goes.

    What still does not look like a name is "other".
    """
    words = []
    for word in operation.split("?", 1)[0].split(" "):
        parts = [_segment(part) for part in word.split("/")] if "/" in word else [word]
        words.append("/".join(parts))
    name = " ".join(words)
    return name if re.fullmatch(r"[A-Za-z0-9_./{} :-]{1,100}", name) else "other"


def _segment(part: str) -> str:
    if part.startswith("{") or _VERSION.fullmatch(part):
        return part
    return "{id}" if any(char.isdigit() for char in part) else part


def _by_address(request: httpx2.Request) -> str:
    """What an unnamed exchange is: the document of a GraphQL request, else method and template."""
    path = request.url.path
    if path.endswith("/graphql.json"):
        try:
            found = _DOCUMENT.search(request.content[:4096])
        except httpx2.RequestNotRead:
            found = None
        return found[1].decode() if found else "graphql"
    known = path.find("/admin/")
    return f"{request.method} {path[known:] if known >= 0 else path}"
