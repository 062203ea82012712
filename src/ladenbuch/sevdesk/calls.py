"""One call to sevdesk: sent once, answered with JSON, or failed in the language of who must act.

What each status, code and exception means is data: `domain.failures` (docs/reference/failures.md). A write without a
trustworthy answer is never repeated here: whoever called must find first. The token is put into the header of one
request and nowhere else; texts of exceptions carry codes and our own words only.
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx2

from ladenbuch import __version__
from ladenbuch.deadline import too_late
from ladenbuch.domain import failures
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.sevdesk import reading
from ladenbuch.telemetry.calls import Track, untracked

#: sevdesk's support asks for a constant "product and version" string.
USER_AGENT = f"Ladenbuch/{__version__} (Shopify connector)"
#: Longest answer we read, decompressed. A PDF of an invoice is far below.
MAX_BYTES = 32 * 1024 * 1024
#: A 429 that asks for no more than this many seconds is waited for here, twice at most; longer waits are the
#: caller's.
PATIENCE_SECONDS = 2.0
PATIENCE_TIMES = failures.row("sevdesk", "status", 429).at_once
#: A read that failed like this is repeated so often, so many seconds later, when the failure came as quickly as above:
#: an order takes a dozen reads, and one that stumbles had better not begin with all of them anew.
AGAIN_PAUSE = 0.5
_AGAIN = {row.code: row.at_once for row in failures.SEVDESK if row.at_once and row.lost}
_UNKNOWN = "an error we do not know, to a write answered 200, 201 or 400"

#: How fields are called that an e-invoice may lack, with or without the object they belong to (830).
_FIELD = re.compile(r"(?:[A-Za-z]{1,20}\.)?(?:[a-z]{2,20}[A-Z][A-Za-z]{0,30}|email|contact)", re.ASCII)


class Breaker(Protocol):
    """A circuit breaker shared by all calls with one token. `before` raises `Retryable` while it is open."""

    def before(self) -> None:
        """Ask for permission to call."""

    def after(self, status: int | None) -> None:
        """Report the HTTP status, 0 without an answer, None when nothing was sent after all."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over the wire, decompressed, not yet understood."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Caller:
    """Sends requests for one tenant. Thread-safe: it holds no state between calls."""

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        http: httpx2.Client,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        budget: Callable[[], None] | None = None,
        breaker: Callable[[str], Breaker] | None = None,
        on_call: Callable[[str, int, float], None] | None = None,
        track: Track = untracked,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._http = http
        self._clock = clock
        self._sleep = sleep
        self._budget = budget
        self._breaker = breaker
        self._on_call = on_call
        self._track = track

    def __repr__(self) -> str:
        return f"Caller({self._base_url!r})"

    def json(
        self,
        method: str,
        template: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """The JSON of a successful answer, numbers as int or Decimal. An empty 2xx body is None.

        `template` names the call in metrics and errors (`/Invoice/{id}`): it carries no ids.
        """
        return self._exchange(method, template, path, query, body, binary=False)[1]

    def reply(
        self, method: str, template: str, path: str, *, query: Sequence[tuple[str, str]] = ()
    ) -> tuple[Reply, Any]:
        """A successful answer as bytes, and its JSON where it is JSON (None where it is not)."""
        return self._exchange(method, template, path, query, None, binary=True)

    def _exchange(
        self,
        method: str,
        template: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Mapping[str, Any] | None,
        *,
        binary: bool,
    ) -> tuple[Reply, Any]:
        call = f"{method} {template}"
        patience, again = PATIENCE_TIMES, dict(_AGAIN) if method == "GET" else {}
        while True:
            began = self._clock()
            try:
                request, breaker = self._allowed(method, path, query, body)
                began = self._clock()
                with self._track(call):
                    reply = self._send(call, request, breaker)
                    write = method != "GET"
                    return reply, understand(call, reply, write=write, binary=binary, sent=body, now=self._clock())
            except Retryable as error:
                if error.after is not None and error.after > PATIENCE_SECONDS:
                    raise
                if error.code == "SEVDESK-BUSY" and error.after is not None and patience:
                    patience -= 1
                    self._sleep(error.after)
                elif again.get(error.code) and (self._clock() - began).total_seconds() <= PATIENCE_SECONDS:
                    again[error.code] -= 1
                    self._sleep(error.after or AGAIN_PAUSE)
                else:
                    raise

    def _allowed(
        self, method: str, path: str, query: Sequence[tuple[str, str]], body: Mapping[str, Any] | None
    ) -> tuple[httpx2.Request, Breaker | None]:
        """The request, when budget and breaker let it pass; waiting for them is no part of the call."""
        token = self._token()
        request = self._request(token, method, path, query, body)
        breaker = self._breaker(token) if self._breaker else None
        if breaker:
            breaker.before()
        try:
            if self._budget:
                self._budget()
            if method != "GET" and too_late(self._clock()):
                raise Retryable("SEVDESK-LATE", "the run stood still before its call; nothing was sent")
        except BaseException:
            if breaker:
                breaker.after(None)
            raise
        return request, breaker

    def _send(self, call: str, request: httpx2.Request, breaker: Breaker | None) -> Reply:
        started, status = self._clock(), 0
        write = request.method != "GET"
        try:
            response = self._http.send(request, auth=None, follow_redirects=False, stream=True)
            try:
                reply = Reply(response.status_code, response.headers, _read(response))
            finally:
                response.close()
            status = reply.status
            return reply
        except httpx2.HTTPError as error:
            raise _transport(call, error, write=write) from None
        except _TooLong:
            raise _answer(call, "too long", write=write) from None
        finally:
            if breaker:
                breaker.after(status)
            if self._on_call:
                self._on_call(call, status, (self._clock() - started).total_seconds())

    def _request(
        self, token: str, method: str, path: str, query: Sequence[tuple[str, str]], body: Mapping[str, Any] | None
    ) -> httpx2.Request:
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Rejected("SEVDESK-TOKEN", "no usable token is stored for this account; connect it again")
        headers = {
            "Authorization": token,  # raw: no scheme word, or sevdesk answers 401
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": USER_AGENT,
        }
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        # Not the client's `build_request`: tenants may share the client, and a session cookie of one must not travel
        # with another's token. It also reads every address twice.
        url = httpx2.URL(self._base_url + path, params=list(query)) if query else httpx2.URL(self._base_url + path)
        return httpx2.Request(method, url, content=content, headers=headers)


class _TooLong(Exception):
    pass


def _read(response: httpx2.Response) -> bytes:
    """The body as bytes, whatever Content-Encoding claims: PDF answers were seen to claim it wrongly."""
    if response.is_stream_consumed:  # a transport that hands over a finished answer
        return response.content
    raw = bytearray()
    for chunk in response.iter_raw():
        raw += chunk
        if len(raw) > MAX_BYTES:
            raise _TooLong
    if raw[:2] != b"\x1f\x8b":
        return bytes(raw)
    unzip = zlib.decompressobj(wbits=31)
    try:
        whole = unzip.decompress(bytes(raw), MAX_BYTES)
    except zlib.error:
        return bytes(raw)
    if unzip.unconsumed_tail:
        raise _TooLong
    return whole


def _transport(call: str, error: httpx2.HTTPError, *, write: bool) -> LadenbuchError:
    detail = {"call": call, "cause": type(error).__name__}
    return failures.by_exception("sevdesk", error).error(write=write, detail=detail)


def _answer(call: str, named: str, *, write: bool, **detail: object) -> LadenbuchError:
    return failures.row("sevdesk", "answer", named).error(write=write, detail={"call": call, **detail})


def understand(
    call: str,
    reply: Reply,
    *,
    write: bool,
    binary: bool = False,
    sent: Mapping[str, Any] | None = None,
    now: datetime,
) -> Any:
    """The JSON of a success, None for an empty or binary body; else raises as the table above says."""
    status = reply.status
    after = retry_after(reply.headers.get("retry-after"), now)
    failure = failures.find("sevdesk", "status", status)
    if failure is not None:
        text = f"sevdesk answered {status}" if not failure.text else None
        raise failure.error(text, write=write, after=after, detail={"call": call, "status": status})
    try:
        parsed = reading.parse(reply.body) if reply.body.strip() else None
    except (ValueError, RecursionError):
        if status >= 400:
            parsed = None
        elif binary:
            return None
        else:
            raise _answer(call, "no JSON", write=write, status=status) from None
    problem = parsed.get("error") if isinstance(parsed, Mapping) else None
    if status >= 400 or problem:
        raise _refusal(call, status, problem, write=write, sent=sent)
    return parsed


def _refusal(call: str, status: int, problem: Any, *, write: bool, sent: Mapping[str, Any] | None) -> LadenbuchError:
    fields: Mapping[str, Any] = problem if isinstance(problem, Mapping) else {"message": problem}
    code = _number(fields.get("code"))
    code = code if code is not None else _number(fields.get("errorCode"))
    said = str(fields.get("message") or "")
    detail: dict[str, object] = {
        "call": call,
        "status": status,
        "remote_code": code,
        "said": scrub(said, sent),
    }
    if ids := list(_named_in(fields.get("data"))):
        detail["ids"] = ids
    if code == 830:
        detail["missing"] = list(dict.fromkeys(_missing_in(fields.get("data"))))
    failure = failures.find("sevdesk", "code", code) if code is not None else None
    failure = failure or failures.by_words("sevdesk", said)
    if failure is None and status in (200, 201, 400) and write:
        failure = failures.row("sevdesk", "answer", _UNKNOWN)
    if failure is not None:
        return failure.error(write=write, detail=detail)
    refused = failures.row("sevdesk", "answer", "any other error")
    return Rejected(f"{refused.code}{status}", refused.text, detail=detail)


def _named_in(data: Any) -> Iterator[str]:
    """Ids of the objects an error names: of the credit note that is in the way (170)."""
    for item in data if isinstance(data, list) else [data]:
        with contextlib.suppress(Rejected):
            if isinstance(item, Mapping):
                yield reading.identity(item, "id")


def _missing_in(data: Any) -> Iterator[str]:
    """The field names an e-invoice error lists, however they are nested (the shape is not documented)."""
    if isinstance(data, str):
        yield from (word for word in data.replace(",", " ").split() if _FIELD.fullmatch(word))
    for item in data.values() if isinstance(data, Mapping) else data if isinstance(data, list) else ():
        yield from _missing_in(item)


def _number(value: Any) -> int | None:
    with contextlib.suppress(ValueError, TypeError):
        return None if isinstance(value, bool) else int(value)
    return None


def scrub(said: str, sent: Mapping[str, Any] | None) -> str:
    """sevdesk's own words, shortened, without the strings we sent: they may echo names and addresses."""
    words = reading.plain(said)[:2000]
    for leaf in sorted(_leaves(sent), key=len, reverse=True):
        if len(leaf) >= 4:
            words = words.replace(leaf, "…")
    return " ".join(words.split())[:200]


def _leaves(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return {leaf for item in items for leaf in _leaves(item)}


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header (number or HTTP date), 0 to 3600; None when absent or unreadable."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        seconds = ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds()
    if seconds != seconds:
        return None
    return min(max(seconds, 0.0), 3600.0)
