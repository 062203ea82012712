"""SendGrid, Mailgun, Amazon SES and Postmark as they take letters, written from what they publish.

Each checks what the real one checks (key, sender, fields it does not know, sizes) and answers in its words. What it
took is in `taken`; scripted faults and a rate decide the rest. `Post` is all four under one address:

    /sendgrid/…  /mailgun/…  /ses/…  /postmark/…
    GET  /_control/taken             what was taken: by whom, reference, envelope, instant
    POST /_control/fault             {"provider", "kind": "busy"|"away"|"error"|"lost"|"cut", "times"?: 1}
    POST /_control/reset             nothing taken, no faults

`busy` is a 429, `away` a 503, `error` a 500 after which nobody knows; `lost`: taken, and the answer never arrives;
`cut`: the connection is cut before anything was read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from ladenbuch.simulators.http import SimRequest, SimResponse, json_response
from ladenbuch.simulators.mail_providers.mailgun import MailgunSimulator
from ladenbuch.simulators.mail_providers.postmark import PostmarkSimulator
from ladenbuch.simulators.mail_providers.sendgrid import SendGridSimulator
from ladenbuch.simulators.mail_providers.ses import SesSimulator
from ladenbuch.simulators.mail_providers.taking import KINDS, FaultKind, ProviderSimulator, Taken, as_object, wall

__all__ = [
    "KINDS", "FaultKind", "MailgunSimulator", "Post", "PostmarkSimulator", "ProviderSimulator", "SendGridSimulator",
    "SesSimulator", "Taken",
]  # fmt: skip


class Post:
    """The four under one address, each below its name, and a control front."""

    def __init__(self, clock: Callable[[], datetime] = wall) -> None:
        self.sendgrid = SendGridSimulator(clock)
        self.mailgun = MailgunSimulator(clock)
        self.ses = SesSimulator(clock)
        self.ses.prefix = "/ses"
        self.postmark = PostmarkSimulator(clock)
        self.all: dict[str, ProviderSimulator] = {
            one.name: one for one in (self.sendgrid, self.mailgun, self.ses, self.postmark)
        }

    def handle(self, request: SimRequest) -> SimResponse:
        """One request, by the first segment of its path."""
        name, _, rest = request.path.lstrip("/").partition("/")
        if name == "_control":
            return self._control(request.method, rest, request.body)
        if name not in self.all:
            return json_response({"error": f"one of {', '.join(self.all)}"}, 404)
        inner = SimRequest(request.method, f"/{rest}", request.query, request.headers, request.body)
        return self.all[name].handle(inner)

    def _control(self, method: str, action: str, body: bytes) -> SimResponse:
        if (method, action) == ("GET", "taken"):
            rows = [_row(one) for each in self.all.values() for one in each.taken]
            return json_response({"taken": rows, "refused": {name: one.refused for name, one in self.all.items()}})
        if (method, action) == ("POST", "reset"):
            for each in self.all.values():
                each.reset()
            return json_response({"reset": True})
        wish = as_object(body) or {}
        kind, times, name = wish.get("kind"), wish.get("times", 1), wish.get("provider")
        if (method, action) != ("POST", "fault") or kind not in KINDS or name not in self.all or type(times) is not int:
            return json_response({"error": "GET taken, POST fault {provider, kind, times?}, POST reset"}, 400)
        self.all[name].fault(cast(FaultKind, kind), times)
        return json_response({"scripted": times})


def _row(one: Taken) -> dict[str, Any]:
    return {
        "provider": one.provider,
        "id": one.id,
        "message_id": one.message_id,
        "from": one.mail_from,
        "to": one.to,
        "subject": one.subject,
        "reference": one.reference,
        "attachments": [{"name": name, "type": kind, "bytes": size} for name, kind, size in one.attachments],
        "at": one.at.isoformat(),
    }
