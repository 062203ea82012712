"""Mail providers tell here what became of letters: POST /mail/feedback/sendgrid, /mailgun, /ses, /postmark.

    no key set for this provider 404 · too large 413 · not genuine, too late, or a used signature with other words 401
    cannot be read 400 · written, or nothing new 200 · could not be written 503, and the provider repeats it

The body is verified as the bytes that came, read, and let go: what is kept is the state of the letters. Exact repeats
are answered 200, because that is how a provider learns that its first try arrived; they change nothing.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.mail.feedback import Told, mailgun, postmark, sendgrid, ses
from ladenbuch.telemetry import Metrics

log = logging.getLogger(__name__)

PATH = "/mail/feedback"
PROVIDERS = (sendgrid.NAME, mailgun.NAME, ses.NAME, postmark.NAME)
#: SendGrid's batches have 768 KB at most, a message of SNS 256 KB.
LARGEST = 1_000_000
_CERTIFICATES = 16

#: How one request ends, by the label `result` of `mail_feedback_total`; what it told is counted by its own results.
ENDS = ("taken", "repeated", "forged", "unreadable", "too_large", "unavailable")


@dataclass(frozen=True)
class Door:
    """What the routes are given. `keys` by provider: public keys, signing keys, topics, logins; none: no route.

    `use` says whether a signature is new, and raises Rejected("FEEDBACK-FORGED") when it came with other words before;
    `take` writes down what was told, and says how much of it ended how; `fetch` gets an address of Amazon's that was
    believed. Both raise Retryable.
    """

    keys: Mapping[str, Sequence[str]] = field(repr=False)
    use: Callable[[str, str, bytes], bool]
    take: Callable[[Sequence[Told]], Mapping[Any, int]]
    fetch: Callable[[str], bytes]
    clock: Callable[[], datetime]
    metrics: Metrics


def create_feedback(door: Door) -> list[Route]:
    """The routes of the providers that have keys."""
    desk = _Desk(door)
    made = []
    for provider in PROVIDERS:
        if door.keys.get(provider):

            async def answer(request: Request, provider: str = provider) -> Response:
                return await desk.answer(provider, request)

            made.append(Route(f"{PATH}/{provider}", answer, methods=["POST"]))
    return made


class _Desk:
    def __init__(self, door: Door) -> None:
        self._door = door
        self._certificates: dict[str, bytes] = {}
        self._lock = threading.Lock()

    async def answer(self, provider: str, request: Request) -> Response:
        body = await _read(request)
        if body is None:
            return self._end(provider, "too_large", 413, "the body is too large", {"connection": "close"})
        headers = {name.lower(): value for name, value in request.headers.items()}
        return await run_in_threadpool(self._judged, provider, body, headers)

    def _judged(self, provider: str, body: bytes, headers: Mapping[str, str]) -> Response:
        try:
            new, told = self._taken(provider, body, headers)
        except Rejected as refusal:
            forged = refusal.code == "FEEDBACK-FORGED"
            log.warning("feedback refused: %s", refusal.message, extra={"code": refusal.code, "provider": provider})
            end, status = ("forged", 401) if forged else ("unreadable", 400)
            return self._end(provider, end, status, refusal.message)
        except Retryable as error:
            log.warning("feedback not taken yet", extra={"code": error.code, "provider": provider})
            return self._end(provider, "unavailable", 503, "not taken, please repeat")
        except LadenbuchError as error:
            log.error("feedback not taken", extra={"code": error.code, "provider": provider})
            return self._end(provider, "unavailable", 503, "not taken, please repeat")
        for result, number in told.items():
            self._door.metrics.mail_feedback_events_total.labels(provider, result).inc(number)
        return self._end(provider, "taken" if new else "repeated", 200, "")

    def _taken(self, provider: str, body: bytes, headers: Mapping[str, str]) -> tuple[bool, Counter[str]]:
        keys, now = self._door.keys[provider], self._door.clock()
        if provider == ses.NAME:
            return self._of_amazon(body, keys, now)
        signature = None
        if provider == sendgrid.NAME:
            signature = sendgrid.verify(body, headers, keys, now)
        elif provider == mailgun.NAME:
            signature = mailgun.verify(body, keys, now)
        else:
            postmark.verify(headers, keys)
        reading = {sendgrid.NAME: sendgrid.read, mailgun.NAME: mailgun.read, postmark.NAME: postmark.read}
        told = reading[provider](body)
        new = signature is None or self._door.use(provider, signature, body)
        return new, Counter(self._door.take(told))

    def _of_amazon(self, body: bytes, topics: Sequence[str], now: datetime) -> tuple[bool, Counter[str]]:
        made = ses.envelope(body, topics, now, self._certificate)
        told = ses.read(made.message) if made.kind == "Notification" else []
        new = self._door.use(ses.NAME, f"{made.topic} {made.id}", body)
        if made.confirm is not None:
            self._door.fetch(made.confirm)
            log.warning("subscribed to what Amazon SES tells", extra={"topic": made.topic})
        elif made.kind == "UnsubscribeConfirmation":
            log.warning("Amazon SES tells nothing any more: somebody unsubscribed us", extra={"topic": made.topic})
        return new, Counter(self._door.take(told))

    def _certificate(self, address: str) -> bytes:
        known = self._certificates.get(address)
        if known is None:
            known = self._door.fetch(address)
            with self._lock:
                if len(self._certificates) >= _CERTIFICATES:
                    self._certificates.clear()
                self._certificates[address] = known
        return known

    def _end(
        self, provider: str, end: str, status: int, text: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        self._door.metrics.mail_feedback_total.labels(provider, end).inc()
        return PlainTextResponse(text, status, {"cache-control": "no-store", **(headers or {})})


async def _read(request: Request) -> bytes | None:
    """The body as it came; None for one that is too large, of which no more than that is read."""
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told[:18]) > LARGEST:
        return None
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            return None
        parts.append(part)
    return b"".join(parts)
