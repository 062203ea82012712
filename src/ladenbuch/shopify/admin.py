"""The Admin GraphQL client: cost-aware, keeps partial data, waits within bounds, and says who must act.

    GET nothing, POST everything:  {base_url}/admin/api/{version}/graphql.json  with  X-Shopify-Access-Token

What it raises: `Retryable` (throttled, 5xx, no answer, an answer nobody can read), `Ambiguous` instead of it for a
mutation whose outcome is unknown, `Rejected` (token, frozen shop, forbidden, gone, locked, a query Shopify refuses).
Texts of errors never carry a token or a payload.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import msgspec

from ladenbuch import __version__
from ladenbuch.breaker import Breaker
from ladenbuch.bucket import TooLong, Turn
from ladenbuch.domain import failures
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.shopify import reading, shapes
from ladenbuch.shopify.answer import NO_COST, Cost, Json, PathError, Result, decode
from ladenbuch.shopify.call_limit import HEADER, call_limit
from ladenbuch.shopify.cost import (
    MAX_QUERY_COST,
    CostGauge,
    document,
    estimate_cost,
    is_mutation,
    what_is_wrong,
)
from ladenbuch.shopify.files import open_file
from ladenbuch.shopify.reading import Fetched
from ladenbuch.shopify.version import API_VERSION
from ladenbuch.telemetry.calls import Track, untracked

__all__ = ["Admin", "Call", "Cost", "CostGauge", "Fetched", "PathError", "Result", "estimate_cost"]

USER_AGENT = f"ladenbuch/{__version__}"

#: A throttled call is repeated this often before the caller is asked to come back later.
_ROUNDS = failures.row("shopify", "code", "THROTTLED").at_once
#: Waits longer than this many seconds are the caller's business, not a sleeping thread's.
_LONGEST_WAIT = 10.0
#: Shopify ends a connection walk after 25,000 objects; a new walk starts before that.
_WALK_LIMIT = 24_500

#: How a query somebody typed is called in metrics.
_OWN = "own_query"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP exchange, for metrics: no payload, no token. `outcome` is "ok", "partial" or an error code."""

    document: str
    outcome: str
    seconds: float
    estimated: int
    cost: Cost = NO_COST


class Admin:
    """One shop's Admin API. Threads may share an `Admin`; the `budget` is per app and shop and shared by all of them.

    `base_url` may contain `{shop}`. `token` gives the current access token; `refresh` is called once after a 401 with
    the refused token and gives a new one. `track` counts each exchange, `on_call` hears what it cost,
    `on_notice(kind, text)` about `version-fell-forward` and `deprecated`. `sleep`, `clock` and `chance` (0..1, for
    jitter) are the only sources of time and chance.
    """

    def __init__(
        self,
        shop: str,
        base_url: str,
        token: Callable[[], str],
        http: httpx2.Client,
        *,
        sleep: Callable[[float], None],
        clock: Callable[[], datetime],
        budget: CostGauge | None = None,
        breaker: Breaker | None = None,
        on_call: Callable[[Call], None] | None = None,
        track: Track = untracked,
        version: str = API_VERSION,
        refresh: Callable[[str], str] | None = None,
        on_notice: Callable[[str, str], None] | None = None,
        chance: Callable[[], float] = random.random,
        read_call_limit: bool = False,
    ) -> None:
        self.shop = shop
        self.version = version
        self.budget = budget or CostGauge(clock)
        self._breaker = breaker or Breaker("shopify", clock)
        self._url = httpx2.URL(f"{base_url.replace('{shop}', shop).rstrip('/')}/admin/api/{version}/graphql.json")
        self._token = token
        self._refresh = refresh
        self._http = http
        self._sleep = sleep
        self._clock = clock
        self._on_call = on_call or (lambda call: None)
        self._track = track
        self._on_notice = on_notice or (lambda kind, text: None)
        self._chance = chance
        self._read_call_limit = read_call_limit
        self._ahead = timedelta(0)
        #: The API version of the last answer; None before it.
        self.answered_by: str | None = None

    # -- verbs ---------------------------------------------------------------------------------------------------

    def fetch_order(self, order_gid: str) -> Fetched:
        """The whole order as it is now. See `reading.fetch_order`."""
        return reading.fetch_order(self.execute, order_gid)

    def updated_at(self, order_gid: str) -> datetime | None:
        """When the order changed last; None when Shopify gives none. One point."""
        order = self._complete("order_updated_at", {"id": order_gid}).data.get("order")
        return shapes.instant(order.get("updatedAt"), "order.updatedAt") if isinstance(order, dict) else None

    def in_shop_time(self, at: datetime) -> datetime:
        """An instant of our clock by the shop's, by the date of its last answer: at most a moment too early, never too
        late. As it is before the first answer."""
        return at - self._ahead

    def orders_updated(self, since: datetime, until: datetime) -> Iterator[tuple[str, datetime]]:
        """(gid, updated_at) of orders changed in [since, until), oldest change first. Aware UTC instants.

        Bounds are widened to whole seconds. An order that changes during the walk may come twice.
        """
        lower, upper = since.replace(microsecond=0), until
        if until.microsecond:
            upper = until.replace(microsecond=0) + timedelta(seconds=1)
        while True:
            seen, last = 0, lower
            for gid, updated_at in self._updated_walk(lower, upper):
                seen, last = seen + 1, updated_at
                yield gid, updated_at
                if seen >= _WALK_LIMIT and last.replace(microsecond=0) > lower:
                    break
            else:
                return
            lower = last.replace(microsecond=0)

    def find_order(self, name: str) -> str | None:
        """The gid of the order with exactly this name (`#1001`), the newest when a name was used twice."""
        quoted = name.replace("\\", "\\\\").replace("'", "\\'")
        result = self._complete("order_by_name", {"query": f"status:any AND name:'{quoted}'"})
        found = [
            (shapes.instant(node.get("processedAt"), "orders.processedAt"), shapes.text(node.get("id"), "orders.id"))
            for node in shapes.nodes(_at(result.data, "orders"), "orders")
            if node.get("name") == name
        ]
        return max(found)[1] if found else None

    def shop_settings(self) -> Json:
        """The shop's settings (`shop { … }`)."""
        return _at(self._complete("shop_settings", {}).data, "shop")

    def installation(self) -> Json:
        """The app's installation in this shop, with the scopes that were granted."""
        return _at(self._complete("installation", {}).data, "currentAppInstallation")

    def open_file(self, url: str, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """A file Shopify laid out for us, from a byte on. See `files.open_file`."""
        return open_file(self._http, self._url, url, start, self._track)

    def _updated_walk(self, lower: datetime, upper: datetime) -> Iterator[tuple[str, datetime]]:
        query = f"status:any AND updated_at:>='{_stamp(lower)}' AND updated_at:<'{_stamp(upper)}'"
        after: str | None = None
        while True:
            result = self._complete("orders_updated", {"query": query, "after": after})
            page = _at(result.data, "orders")
            for node in shapes.nodes(page, "orders"):
                yield (
                    shapes.text(node.get("id"), "orders.id"),
                    shapes.instant(node.get("updatedAt"), "orders.updatedAt"),
                )
            after = shapes.next_cursor(page)
            if after is None:
                return

    def _complete(self, name: str, variables: Mapping[str, object]) -> Result:
        """Execute and refuse holes: for documents whose every field is needed."""
        result = self.execute(name, variables)
        if result.has_code("ACCESS_DENIED"):
            raise Rejected("SHOPIFY-SCOPE", f"a scope for {name} is missing", detail={"document": name})
        if result.errors:
            raise Retryable("SHOPIFY-PARTIAL", f"{name} came back incomplete", detail={"document": name})
        return result

    # -- one document --------------------------------------------------------------------------------------------

    def execute(self, document_name: str, variables: Mapping[str, object]) -> Result:
        """Send `queries/<document_name>.graphql`; the answer may be partial (see `Result.errors`).

        Waits through `sleep` while points are short (bounded), repeats a throttled call twice, refreshes the token
        once. Raises `Retryable("SHOPIFY-THROTTLED", after=…)` when the wait would be too long.
        """
        return self._run(_ask(document_name, document(document_name), variables))

    def ask(self, text: str, variables: Mapping[str, object], *, debug_cost: bool = False) -> Result:
        """Send a query of somebody's own; with `debug_cost`, `Result.cost.fields` says what each field costs.

        Raises what `execute` does, and `Rejected("SHOPIFY-QUERY")` for a mutation and for what is no GraphQL.
        """
        wrong = what_is_wrong(text)
        if wrong is not None:
            raise Rejected("SHOPIFY-QUERY", f"this is not a complete query: {wrong}")
        asked = _ask(_OWN, text, variables, debug_cost=debug_cost)
        if asked.write:
            raise Rejected("SHOPIFY-QUERY", "this is a mutation; only queries are sent")
        return self._run(asked)

    def _run(self, asked: _Asked) -> Result:
        if asked.cost > MAX_QUERY_COST:
            message = f"{asked.name} would cost {asked.cost} points of {MAX_QUERY_COST}"
            raise Rejected("SHOPIFY-COST", message, detail={"cost": asked.cost})
        token, refreshed = self._token(), False
        for round_left in range(_ROUNDS, -1, -1):
            response = self._exchange(asked, token)
            if response.status_code == 401 and self._refresh is not None and not refreshed:
                token, refreshed = self._refresh(token), True
                response = self._exchange(asked, token)
            wait = self._throttled(response, asked.cost)
            if wait is None:
                return self._understood(asked, response)
            self._pause(wait + self._chance() * 0.5, may_sleep=round_left > 0)
        raise AssertionError("unreachable")

    def _exchange(self, asked: _Asked, token: str) -> _Response:
        """One HTTP exchange under a reservation; the gauge and the listeners learn from it."""
        turn = self._reserve(asked.cost)
        started, told, outcome, status = self._clock(), None, "SHOPIFY-UNREACHABLE", 0
        try:
            with self._track(asked.name) as call:
                response = self._send(asked, token)
                told, outcome, status = response.cost, response.outcome, response.status_code
                if outcome != "ok" and response.result is not None:
                    call.code = outcome.upper()
            return response
        finally:
            self.budget.answered(turn, told, refused=outcome == "THROTTLED")
            self._breaker.after(status)
            seconds = (self._clock() - started).total_seconds()
            self._on_call(Call(asked.name, outcome, seconds, asked.cost, told or NO_COST))

    def _send(self, asked: _Asked, token: str) -> _Response:
        headers = {
            "X-Shopify-Access-Token": token,  # never Authorization: Bearer
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
        }
        if asked.debug_cost:
            headers["Shopify-GraphQL-Cost-Debug"] = "1"
        try:
            # Not the client's `post`: it reads the address anew each time, and adds cookies of other shops.
            request = httpx2.Request("POST", self._url, content=asked.body, headers=headers)
            answer = self._http.send(request, follow_redirects=False)
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            failure = failures.by_exception("shopify", error)
            raise self._error(failure, asked, text=f"{failure.text} ({type(error).__name__})") from None
        self._compare_clocks(answer.headers)
        limit = call_limit(answer.headers.get(HEADER)) if self._read_call_limit else None
        if limit is not None:
            self._on_notice("call-limit", f"{limit.used}/{limit.size}")
        if answer.status_code != 200:
            return _Response(answer.status_code, answer.headers.get("Retry-After"))
        try:
            data, errors, cost = decode(answer.content)
        except ValueError:
            raise self._error(failures.row("shopify", "answer", "no JSON"), asked) from None
        result = Result(data or {}, errors, cost, **self._notices(answer.headers))
        return _Response(200, None, result, has_data=data is not None, cost=cost)

    def _compare_clocks(self, headers: httpx2.Headers) -> None:
        """How far our clock is ahead of the shop's, at most: what its answer is dated is no later than now."""
        dated = headers.get_list("Date")
        if dated:
            with suppress(ValueError):
                self._ahead = self._clock() - parsedate_to_datetime(dated[0]).astimezone(UTC)

    def _notices(self, headers: httpx2.Headers) -> dict[str, Any]:
        answered = headers.get("X-Shopify-API-Version")
        deprecated = headers.get("X-Shopify-API-Deprecated-Reason")
        fell = answered is not None and answered != self.version
        self.answered_by = answered
        if fell:
            self._on_notice("version-fell-forward", f"asked for {self.version}, answered by {answered}"[:200])
        if deprecated:
            self._on_notice("deprecated", deprecated[:200])
        return {"version": answered, "version_fell_forward": fell, "deprecated": deprecated}

    def _reserve(self, cost: int) -> Turn:
        self._breaker.before()
        try:
            return self.budget.take(cost, self._sleep, _LONGEST_WAIT)
        except BaseException as error:
            self._breaker.after(None)
            if not isinstance(error, TooLong):
                raise
            wait = error
            raise Retryable("SHOPIFY-THROTTLED", f"{self.shop} is out of points", after=wait.after) from None

    def _throttled(self, response: _Response, cost: int) -> float | None:
        """Seconds to wait when the answer was a refusal for speed, else None."""
        if response.status_code == 429:
            return max(1.0, _seconds(response.retry_after) or 1.0)
        if response.result is not None and response.result.has_code("THROTTLED"):
            return self.budget.throttled_for(response.cost.requested or cost)
        return None

    def _pause(self, seconds: float, *, may_sleep: bool) -> None:
        if not may_sleep or seconds > _LONGEST_WAIT:
            raise Retryable("SHOPIFY-THROTTLED", f"{self.shop} is out of points", after=seconds)
        self._sleep(seconds)

    def _understood(self, asked: _Asked, response: _Response) -> Result:
        status, result = response.status_code, response.result
        if result is None:
            failure = failures.find("shopify", "status", status) or failures.UNKNOWN
            raise self._error(failure, asked, status=status, after=_seconds(response.retry_after))
        if response.has_data or result.has_code("ACCESS_DENIED"):
            return result
        if not result.errors:
            raise self._error(failures.row("shopify", "answer", "neither data nor errors"), asked)
        other = failures.row("shopify", "code", failures.OTHER)
        named = {error.code: failures.find("shopify", "code", error.code) or other for error in result.errors}
        for known in named.values():
            if known is not other:
                raise self._error(known, asked)
        # Of a query somebody typed, Shopify's own words help; of ours, they are not kept.
        said = result.errors[0].message if asked.name == _OWN else ", ".join(sorted(named))[:100]
        raise self._error(other, asked, text=f"{asked.name} was refused: {said}")

    def _error(
        self,
        failure: failures.Failure,
        asked: _Asked,
        *,
        text: str | None = None,
        status: int | None = None,
        after: float | None = None,
    ) -> LadenbuchError:
        """What the table says, to be raised. Where it is waited for, the shop is named."""
        said = text or failure.text or f"answered {status}"
        if failure.verdict == "later":
            said = f"{self.shop}: {said}"
        detail = {"status": status} if status is not None else {"document": asked.name}
        return failure.error(said, write=asked.write, after=after, detail=detail)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One document, ready to be sent: its predicted cost, and whether it writes."""

    name: str
    body: bytes
    cost: int
    write: bool
    debug_cost: bool = False


def _ask(name: str, text: str, variables: Mapping[str, object], *, debug_cost: bool = False) -> _Asked:
    body = msgspec.json.encode({"query": text, "variables": dict(variables)})
    return _Asked(name, body, estimate_cost(text, variables), is_mutation(text), debug_cost)


@dataclass(frozen=True, slots=True)
class _Response:
    status_code: int
    retry_after: str | None
    result: Result | None = None
    has_data: bool = False
    cost: Cost = NO_COST

    @property
    def outcome(self) -> str:
        if self.result is None:
            return f"HTTP-{self.status_code}"
        if not self.result.errors:
            return "ok"
        return "partial" if self.has_data else self.result.errors[0].code


def _at(data: Json, key: str) -> Json:
    value = data.get(key)
    if not isinstance(value, dict):
        raise Retryable("SHOPIFY-PARTIAL", f"{key} came back empty")
    return value


def _seconds(header: str | None) -> float | None:
    """`Retry-After` in seconds, possibly decimal; None when absent or not a number."""
    try:
        value = float(header) if header else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 86_400 else None


def _stamp(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
