"""One request as the endpoint functions see it, and the wrappers their answers come in (facts 1.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.sevdesk.listing import Query
from ladenbuch.simulators.sevdesk.wire import ApiError, Json, parse_body
from ladenbuch.simulators.sevdesk.world import World

_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Call:
    """A request for one endpoint: the world it changes, the id in its path (0 when there is none)."""

    world: World
    request: SimRequest
    id: int

    @property
    def query(self) -> Query:
        return Query.of(self.request.query)

    @property
    def body(self) -> Json:
        """The body as an object; refuses anything else with 400."""
        return parse_body(self.request.body, self.request.headers.get("content-type", ""))


Handler = Callable[[Call], SimResponse]
Routes = dict[tuple[str, str], Handler]


def answer(payload: object, status: int = 200) -> SimResponse:
    """`payload` as it is."""
    return SimResponse(status, {"content-type": "application/json; charset=utf-8"}, _encoder.encode(payload))


def wrapped(objects: object, status: int = 200) -> SimResponse:
    """{"objects": ...}: an object, a one-element list or a scalar, as the endpoint is known to answer."""
    return answer({"objects": objects}, status)


def failure(error: ApiError, uuid: str) -> SimResponse:
    """The error envelope; some failures come with HTTP 200 (code 390)."""
    body = {
        "message": error.message,
        "code": error.code,
        "data": error.data,
        "responseCode": error.status,
        "errorCode": None if error.code is None else str(error.code),
        "exceptionUUID": uuid,
    }
    return answer({"objects": None, "error": body}, error.status)
