"""Mailgun as it takes letters: messages.mime, and its events."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable

from ladenbuch.simulators.http import SimRequest, SimResponse, json_response
from ladenbuch.simulators.mail_providers.taking import (
    ADDRESS,
    NAMED,
    ProviderSimulator,
    Taken,
    message_of,
    shown,
)

_MAILGUN = re.compile(r"(to|message|template|t:[a-z]+|o:[a-z-]+|v:[A-Za-z0-9_-]+|h:[A-Za-z0-9-]+)\Z")


class MailgunSimulator(ProviderSimulator):
    """`POST /v3/<domain>/messages.mime`; `GET /v3/<domain>/events`."""

    name = "mailgun"

    def take(self, request: SimRequest) -> SimResponse:
        """200 and the letter's own Message-ID."""
        refused = self._not_let_in(request, r"/v3/([^/]+)/messages\.mime\Z")
        if refused is not None:
            return refused
        form = _form(request)
        if form is None:
            return json_response({"message": "the request is no form"}, 400)
        strange = sorted(name for name in form if not _MAILGUN.match(name))
        if strange:
            return json_response({"message": f"unknown parameter {strange[0]}"}, 400)
        to, raw = form.get("to", b"").decode("utf-8", "replace"), form.get("message")
        named = NAMED.match(to)
        if named is None or not ADDRESS.match(named[1]):
            return json_response({"message": "'to' parameter is not a valid address. please check documentation"}, 400)
        if not raw:
            return json_response({"message": "'message' parameter is missing"}, 400)
        if len(raw) > 25 * 1024 * 1024:
            return json_response({"message": "Message is too large"}, 413)
        message = message_of(raw)
        identity = str(message.get("Message-ID") or f"<{uuid.uuid4().hex}@{self.domains[0]}>")
        variables = {name[2:]: value.decode() for name, value in form.items() if name.startswith("v:")}
        self._store(id=identity.strip("<>"), message_id=identity, arguments=variables, **shown(message, named[1]))
        return json_response({"id": identity, "message": "Queued. Thank you."})

    def _not_let_in(self, request: SimRequest, path: str) -> SimResponse | None:
        expected = "Basic " + base64.b64encode(f"api:{self.key}".encode()).decode()
        if request.headers.get("authorization") != expected:
            return SimResponse(401, {"content-type": "text/html"}, b"Forbidden")
        found = re.match(path, request.path)
        if found is None:
            return SimResponse(404, {"content-type": "text/html"}, b"404 page not found")
        if found[1] not in self.domains:
            return json_response({"message": f"Domain not found: {found[1]}"}, 404)
        return None

    def trouble(self, status: int) -> SimResponse:
        """A sentence."""
        return json_response({"message": {429: "Too many requests"}.get(status, "Internal Server Error")}, status)

    def search(self, request: SimRequest) -> Callable[[Taken], bool] | SimResponse:
        """By the Message-ID, without its brackets."""
        refused = self._not_let_in(request, r"/v3/([^/]+)/events\Z")
        if refused is not None:
            return refused
        asked = dict(request.query)
        if set(asked) - {"message-id", "event", "limit", "begin", "end", "ascending"}:
            return json_response({"message": "unknown filter"}, 400)
        return lambda one: one.id == asked.get("message-id")

    def found(self, letters: list[Taken]) -> SimResponse:
        """An event for each."""
        items = [{"event": "accepted", "id": one.id[:22], "timestamp": one.at.timestamp(), "recipient": one.to,
                  "user-variables": dict(one.arguments),
                  "message": {"headers": {"message-id": one.id, "subject": one.subject}}}
                 for one in letters]  # fmt: skip
        return json_response({"items": items, "paging": {}})


def _form(request: SimRequest) -> dict[str, bytes] | None:
    """The fields of a form (RFC 7578), each by its name; the boundary stands nowhere inside a field."""
    edge = re.fullmatch(r"multipart/form-data; *boundary=\"?([^\";]+)\"?", request.headers.get("content-type", ""))
    if edge is None:
        return None
    form: dict[str, bytes] = {}
    for piece in (b"\r\n" + request.body).split(b"\r\n--" + edge[1].encode())[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'(?i)content-disposition: *form-data;[^\r]*?\bname="([^"]*)"', head)
        if name is None:
            return None
        form[name[1].decode()] = content
    return form
