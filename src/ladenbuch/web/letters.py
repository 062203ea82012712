"""The page "Letters": each letter as a buyer would get it, and a test of it to the merchant's own address.

The letter stands in a frame of its own that runs nothing, loads nothing and is shown by this page alone. A test goes
only to addresses the profile names, and only when asked from this page. So does what a person says of a letter nobody
is sure of (`LETTER-UNCERTAIN`): it is listed here and on the page of its order, with one button for each answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from anyio import from_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ladenbuch import outbox
from ladenbuch.db import Store
from ladenbuch.domain import letter_policy
from ladenbuch.errors import LadenbuchError, Rejected
from ladenbuch.mail.letters import Language
from ladenbuch.mail.previews import SAMPLES
from ladenbuch.mail.sending import Accepted, Uncertain
from ladenbuch.workflows import doubting
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.sampling import own_addresses, preview, send_sample

#: For the letter itself: styles of its own, and nothing else.
FRAMED = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
        "sandbox"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Bytes of a form.
_LARGEST = 4096
#: Who says so in the audit log: nobody signs in to the pages.
_ACTOR = "dashboard"


@dataclass(frozen=True)
class Shown:
    """One letter: its head, and the files that would go with it. `problem` is a code where it cannot be written."""

    sender: str = ""
    reply_to: str = ""
    subject: str = ""
    files: tuple[str, ...] = ()
    text: str = ""
    html: str = ""
    problem: str = ""


class Letters(Protocol):
    """What the page needs; methods may block (they run in a thread)."""

    def shown(self, tenant: str, name: str, language: Language) -> Shown: ...

    def addresses(self, tenant: str) -> Sequence[str]: ...

    def test(self, tenant: str, name: str, language: Language, to: str) -> str:
        """Send one: `accepted`, `uncertain` or `refused`."""

    def doubtful(self, tenant: str) -> Sequence[outbox.Letter]:
        """The letters of a shop that wait for a person's word, the oldest doubt first."""

    def settle(self, tenant: str, key: str, since: str, what: str) -> tuple[str, str] | None:
        """A person's word, `arrived` or `send`, about the doubt that began at `since` (ISO): the order, and that or why
        nothing was done: `settled` before, `forgotten`, `stopped`. None where the shop has no such letter."""


class HouseLetters:
    """The letters of a house."""

    def __init__(self, context: Callable[[], Context]) -> None:
        self._context = context

    def shown(self, tenant: str, name: str, language: Language) -> Shown:
        try:
            message = preview(self._context(), tenant, name, language)
        except Rejected as error:
            return Shown(problem=error.code)
        plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
        return Shown(
            sender=str(message["From"]),
            reply_to=str(message["Reply-To"] or ""),
            subject=str(message["Subject"]),
            files=tuple(str(part.get_filename()) for part in message.iter_attachments()),
            text="" if plain is None else str(plain.get_content()),
            html="" if html is None else str(html.get_content()),
        )

    def addresses(self, tenant: str) -> Sequence[str]:
        return own_addresses(self._context(), tenant)

    def test(self, tenant: str, name: str, language: Language, to: str) -> str:
        try:
            outcome = send_sample(self._context(), tenant, name, language, to)
        except LadenbuchError:
            return "refused"
        if isinstance(outcome, Accepted):
            return "accepted"
        return "uncertain" if isinstance(outcome, Uncertain) else "refused"

    def doubtful(self, tenant: str) -> Sequence[outbox.Letter]:
        found = doubting.doubtful(self._context().database, tenant)
        return [letter for letter in found if letter_policy.unsure(letter.kind) == "ask"]

    def settle(self, tenant: str, key: str, since: str, what: str) -> tuple[str, str] | None:
        ctx = self._context()
        letter = ctx.door(tenant).read(Store.BOOKS, lambda tx: outbox.get(tx, tenant, key))
        if letter is None:
            return None
        if letter.changed_at.isoformat() != since:
            return letter.order_id, "settled"  # a second click must not answer the next doubt
        say = doubting.send_after_all if what == "send" else doubting.it_arrived
        why = say(ctx, letter, _ACTOR).why
        if why is None:
            ctx.wake("deliver")
            return letter.order_id, what
        return letter.order_id, {doubting.SETTLED: "settled", doubting.FORGOTTEN: "forgotten"}.get(why, "stopped")


def asked_for(values: object) -> tuple[str, Language]:
    """Which letter in which language; the first in German where none is named, or none that exists."""
    get = getattr(values, "get", lambda key: None)
    name, language = get("letter"), get("language")
    return name if name in SAMPLES else SAMPLES[0], "en" if language == "en" else "de"


def framed(html: str) -> Response:
    """The letter alone, for the frame."""
    return HTMLResponse(html, headers=FRAMED)


def posted(request: Request) -> dict[str, str]:
    """The fields of a small form, in a thread of the pages; empty where it is no such form."""
    size = request.headers.get("content-length", "")
    if not size.isascii() or not size.isdigit() or int(size) > _LARGEST:
        return {}
    return dict(parse_qsl(from_thread.run(request.body).decode("ascii", "replace")))


def from_this_page(request: Request) -> bool:
    """Whether a form of ours sent it: no other site's can say so. Browsers that tell nothing are not believed.

    Our pages send no referrer, so that the origin of their forms reads `null`.
    """
    origin, site = request.headers.get("origin", "null"), request.headers.get("sec-fetch-site")
    ours = urlsplit(origin).netloc == request.headers.get("host", "")
    return ours if site is None else site == "same-origin" and (ours or origin == "null")
