"""A stand-in for VIES, the Commission's look-up of VAT ids: a registry by rule, and days on which a state is down.

Every well-addressed id is valid unless it was listed as invalid. Which ids are well-formed is not looked at: the real
service leaves that to the states, too. What it answers (https://ec.europa.eu/taxation_customs/vies/#/technical-information):

    POST /taxation_customs/vies/rest-api/check-vat-number  {"countryCode", "vatNumber",
                                                            "requesterMemberStateCode"?, "requesterNumber"?}
        valid or not         200 {"countryCode", "vatNumber", "requestDate", "valid", "requestIdentifier",
                                  "name", "address"}
        a state is down      200 {"actionSucceed": false, "errorWrappers": [{"error": "MS_UNAVAILABLE"}]}
        no such state        400 {"actionSucceed": false, "errorWrappers": [{"error": "INVALID_INPUT"}]}

Germany and Spain keep names to themselves ("---"). A consultation number (`requestIdentifier`) is given to a requester
with a VAT id only. The weather of `http.asgi` adds refusals, cut connections and answers that never come.

    GET  /_control/questions                                      what was asked, in order, and what was answered
    POST /_control/invalid    {"vat_ids": ["FR40303265045"]}      these are not registered
    POST /_control/down       {"error": "MS_UNAVAILABLE", "states"?: ["FR"]}   an error for these states, or for all
    POST /_control/up         all states answer again
    POST /_control/reset      everything registered, everybody up, nothing asked
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from ladenbuch.simulators.http import AsgiApp, SimRequest, SimResponse, asgi, json_response
from ladenbuch.simulators.weather import Weather

PATH = "/taxation_customs/vies/rest-api/check-vat-number"
#: Prefixes of VAT ids: Greece is EL, and Northern Ireland takes part for goods.
STATES = frozenset(
    "AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK XI".split()  # noqa: SIM905
)
NAMELESS = frozenset({"DE", "ES"})
ERRORS = (
    "MS_UNAVAILABLE",
    "MS_MAX_CONCURRENT_REQ",
    "GLOBAL_MAX_CONCURRENT_REQ",
    "SERVICE_UNAVAILABLE",
    "TIMEOUT",
    "SERVER_BUSY",
    "IP_BLOCKED",
)


def _now() -> datetime:
    return datetime.now(UTC)


class ViesSimulator:
    """The registry in memory; `invalid` are the ids it does not know. Not thread-safe: `asgi` holds a lock."""

    def __init__(self, clock: Callable[[], datetime] = _now, *, invalid: Iterable[str] = ()) -> None:
        self._clock = clock
        self._always_invalid = frozenset(vat_id.upper() for vat_id in invalid)
        self.reset()

    def reset(self) -> None:
        """Everything registered but what the simulator was made with, everybody up, nothing asked."""
        self.questions: list[dict[str, Any]] = []
        self._invalid = set(self._always_invalid)
        self._down: dict[str, str] = {}

    def unregister(self, *vat_ids: str) -> None:
        """These ids are not valid from now on."""
        self._invalid |= {vat_id.upper() for vat_id in vat_ids}

    def down(self, error: str = "MS_UNAVAILABLE", *states: str) -> None:
        """These states, or all of them, answer with an error from now on."""
        self._down |= dict.fromkeys(states or STATES, error)

    def up(self) -> None:
        """All states answer again."""
        self._down.clear()

    # --- requests ---

    def handle(self, request: SimRequest) -> SimResponse:
        """Answer one request; never raises for bad input."""
        if request.path.startswith("/_control/"):
            return self._control(request)
        if request.path != PATH:
            return json_response({"error": "not found"}, 404)
        if request.method != "POST":
            return json_response({"error": "method not allowed"}, 405)
        return self._check(_object(request.body))

    def _check(self, asked: dict[str, Any] | None) -> SimResponse:
        state, number = (_text(asked, field).upper() for field in ("countryCode", "vatNumber"))
        if state not in STATES or not number:
            return self._answered(asked, _failed("INVALID_INPUT", 400), "INVALID_INPUT")
        requester = _text(asked, "requesterMemberStateCode").upper()
        if requester and (requester not in STATES or not _text(asked, "requesterNumber")):
            return self._answered(asked, _failed("INVALID_REQUESTER_INFO", 400), "INVALID_REQUESTER_INFO")
        if state in self._down:
            return self._answered(asked, _failed(self._down[state], 200), self._down[state])
        valid = state + number not in self._invalid
        told = valid and state not in NAMELESS
        answer = {
            "countryCode": state,
            "vatNumber": number,
            "requestDate": self._clock().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "valid": valid,
            "requestIdentifier": f"WAPIAAAA{len(self.questions):08d}" if requester else "",
            "name": f"Simulated Trader {number}" if told else "---",
            "address": f"Rue Simulée 1\n{state}" if told else "---",
        }
        return self._answered(asked, json_response(answer), "valid" if valid else "invalid")

    def _answered(self, asked: dict[str, Any] | None, response: SimResponse, outcome: str) -> SimResponse:
        self.questions.append({"asked": asked, "outcome": outcome})
        return response

    def _control(self, request: SimRequest) -> SimResponse:
        action = (request.method, request.path.removeprefix("/_control/"))
        wish = _object(request.body) or {}
        if action == ("GET", "questions"):
            return json_response({"questions": self.questions})
        if action == ("POST", "invalid"):
            vat_ids = wish.get("vat_ids")
            if not isinstance(vat_ids, list) or not all(isinstance(vat_id, str) for vat_id in vat_ids):
                return json_response({"error": "vat_ids must be a list of VAT ids"}, 400)
            self.unregister(*vat_ids)
            return json_response({"invalid": sorted(self._invalid)})
        if action == ("POST", "down"):
            states = wish.get("states", [])
            if wish.get("error") not in ERRORS or not isinstance(states, list) or not STATES.issuperset(states):
                return json_response({"error": f"error: one of {', '.join(ERRORS)}; states: a list of prefixes"}, 400)
            self.down(str(wish["error"]), *states)
            return json_response({"down": self._down})
        if action == ("POST", "up"):
            self.up()
            return json_response({"down": {}})
        if action == ("POST", "reset"):
            self.reset()
            return json_response({"reset": True})
        return json_response({"error": "control: GET questions, POST invalid, POST down, POST up, POST reset"}, 404)


def _failed(error: str, status: int) -> SimResponse:
    return json_response({"actionSucceed": False, "errorWrappers": [{"error": error}]}, status)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _text(asked: dict[str, Any] | None, field: str) -> str:
    value = (asked or {}).get(field)
    return value if isinstance(value, str) else ""


def create_app(
    *,
    clock: Callable[[], datetime] = _now,
    invalid: Iterable[str] = (),
    weather: Weather | None = None,
    latency_seconds: float = 0.0,
) -> AsgiApp:
    """The ASGI application of the look-up."""
    return asgi(ViesSimulator(clock, invalid=invalid), weather, latency_seconds)
