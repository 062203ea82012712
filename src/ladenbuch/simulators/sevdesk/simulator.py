"""Routing, authentication, counting: the outside of the sevdesk simulator."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

from ladenbuch.simulators.http import AsgiApp, SimRequest, SimResponse, asgi
from ladenbuch.simulators.sevdesk import accounts, banking, contacts, control, credit_notes, invoices, lookups, vouchers
from ladenbuch.simulators.sevdesk.call import Call, Routes, answer, failure
from ladenbuch.simulators.sevdesk.tampering import tamper
from ladenbuch.simulators.sevdesk.wire import ApiError, Json, parse_body
from ladenbuch.simulators.sevdesk.world import DEFAULT_TOKEN, Switches, World
from ladenbuch.simulators.weather import Weather

BASE = "/api/v1"
_NUMBER = re.compile(r"/(\d{1,18})(?=/|$)")
_VERSIONS = ("default", "1.0", "2.0")
_ROUTES: Routes = {
    **lookups.ROUTES,
    **contacts.ROUTES,
    **invoices.ROUTES,
    **credit_notes.ROUTES,
    **accounts.ROUTES,
    **banking.ROUTES,
    **vouchers.ROUTES,
}


def _now() -> datetime:
    return datetime.now(UTC)


class SevdeskSimulator:
    """One sevdesk tenant in memory.

    `clock` gives aware UTC instants; `token` is the raw API token; `seed` only shapes ids of errors; every
    keyword of `Switches` (tenant settings and unproven behaviours) can be given. Not thread-safe: one
    caller at a time (`asgi` holds a lock).
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = _now,
        token: str = DEFAULT_TOKEN,
        seed: int = 0,
        **switches: object,
    ) -> None:
        self._clock, self._token, self._seed = clock, token, seed
        self._switches = Switches(**switches)  # type: ignore[arg-type]
        self.reset()

    def reset(self) -> None:
        """An empty tenant: the lookups and accounts of a fresh one, nothing else."""
        self.world = World(self._clock, self._seed, self._switches)
        lookups.seed(self.world)
        self._calls: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._parallel = 0
        self.internal_errors: list[str] = []

    # --- for auditors in the same process ---

    def state(self) -> Json:
        """What GET /_control/state answers, as Python values."""
        self.world.catch_up()
        return {**control.state(self.world), "calls": self.calls()}

    dump = state

    def calls(self) -> Json:
        """Counts per method and path template, per HTTP status, per error code; ignored fields and filters."""
        return {
            "by_endpoint": dict(self._calls),
            "by_status": dict(self._statuses),
            "by_code": dict(self._codes),
            "ignored": dict(self.world.ignored),
            "max_parallel": self._parallel,
            "internal_errors": len(self.internal_errors),
        }

    def observe_parallel(self, in_flight: int) -> None:
        """The front tells how many requests it holds at once."""
        self._parallel = max(self._parallel, in_flight)

    def new_token(self, token: str) -> None:
        """Somebody pressed "generate new": the token so far opens nothing any more (facts 1.2)."""
        self._token = token

    def account_id(self, name: str) -> int:
        """The id of the first account whose name starts with `name`; raises KeyError."""
        for row in self.world.accounts.values():
            if row.name.startswith(name):
                return row.id
        raise KeyError(name)

    # --- requests ---

    def handle(self, request: SimRequest) -> SimResponse:
        """Answer one request. Never raises: what is wrong with a request becomes an error envelope."""
        self.world.catch_up()
        if request.path.startswith("/_control/"):
            return self._guarded(request, self._control)
        response = self._guarded(request, self._api)
        self._statuses[str(response.status)] += 1
        date = format_datetime(self.world.now.astimezone(UTC), usegmt=True)
        return replace(response, headers={**response.headers, "date": date})

    def _guarded(self, request: SimRequest, answerer: Callable[[SimRequest], SimResponse]) -> SimResponse:
        try:
            return answerer(request)
        except ApiError as error:
            if error.code is not None:
                self._codes[str(error.code)] += 1
            return failure(error, self.world.new_uuid())
        except Exception as error:  # a fault of the simulator, kept where tests look for it
            self.internal_errors.append(f"{request.method} {request.path}: {error!r}")
            return failure(ApiError(500, "internal error"), self.world.new_uuid())

    def _api(self, request: SimRequest) -> SimResponse:
        if request.headers.get("authorization") != self._token:
            self._calls[f"{request.method} (unauthorised)"] += 1
            return SimResponse(401, {}, b"")
        if not self._switches.api_in_plan:
            raise ApiError(403, "forbidden")
        if not request.path.startswith(f"{BASE}/"):
            raise ApiError(404, "not found")
        path = request.path[len(BASE) :].rstrip("/")
        found = _NUMBER.search(path)
        template = _NUMBER.sub("/{id}", path)
        handler = _ROUTES.get((request.method, template))
        if handler is None:
            self._calls["(unknown endpoint)"] += 1
            raise ApiError(404, "the requested endpoint does not exist")
        self._calls[f"{request.method} {template}"] += 1
        _check_version(request.headers.get("x-version"), template)
        return handler(Call(self.world, request, int(found[1]) if found else 0))

    def _control(self, request: SimRequest) -> SimResponse:
        action = (request.method, request.path.removeprefix("/_control/"))
        if action == ("GET", "state"):
            return answer(self.state())
        if action == ("GET", "calls"):
            return answer(self.calls())
        if action == ("POST", "reset"):
            self.reset()
            return answer({"reset": True})
        if action == ("POST", "human"):
            return answer(control.human(self.world, parse_body(request.body, "")))
        if action == ("POST", "token"):
            self.new_token(str(parse_body(request.body, "")["token"]))
            return answer({"token": True})
        if action == ("POST", "tamper"):
            return answer(control.document_state(tamper(self.world, parse_body(request.body, ""))))
        raise ApiError(404, "control: GET state, GET calls, POST reset, POST human, POST token, POST tamper")


def _check_version(version: str | None, template: str) -> None:
    """X-Version (facts 1.3): reads take 1.0 and 2.0; factories and the version endpoint know only the
    default.
    """
    if version is None or version == "default":
        return
    if version not in _VERSIONS:
        raise ApiError(400, f"unknown version, valid are {', '.join(_VERSIONS)}")
    if "/Factory/save" in template or template.startswith("/Tools/"):
        raise ApiError(400, f"version {version} is not available for this endpoint, valid is default")


def create_app(
    *,
    clock: Callable[[], datetime] = _now,
    token: str = DEFAULT_TOKEN,
    seed: int = 0,
    weather: Weather | None = None,
    latency_seconds: float = 0.0,
    **switches: object,
) -> AsgiApp:
    """The ASGI application of one simulated tenant; `switches` as for `SevdeskSimulator`."""
    return asgi(SevdeskSimulator(clock, token, seed, **switches), weather, latency_seconds)
