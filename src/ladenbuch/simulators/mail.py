"""A real SMTP relay on the loopback interface with an inbox that can be read.

It speaks SMTP (aiosmtpd) in a thread of its own; what it accepted is in `messages`. Weather and scripted faults
decide the fate of each letter: a temporary refusal, a cut before the final 250 (not stored), or a cut after
storing (the sender cannot know; never part of a profile, tests ask for it). `down` makes it hang up on whoever
calls, `greylist` has strangers come back later. `handle` is a small HTTP-free front for a control API:

    GET  /_control/messages   what was accepted: envelope, subject, Message-ID, attachments, instant
    POST /_control/fault      {"kind": "refuse"|"cut_before"|"cut_after", "times"?: 1}  for the next letters
    POST /_control/reset      an empty inbox, no scripted faults
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from functools import lru_cache
from typing import Any, Literal, cast

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from ladenbuch.simulators.http import SimRequest, SimResponse, json_response
from ladenbuch.simulators.weather import MailFault, MailFaultKind, Weather

Outcome = Literal["accepted", "refused", "cut_before", "cut_after"]
HOST = "127.0.0.1"
_KINDS = ("refuse", "cut_before", "cut_after")


class _Headers(HeaderRegistry):
    """The library's headers, of which it would make a class each, and read anew each time one is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._class = lru_cache(maxsize=256)(super().__getitem__)
        self._read = lru_cache(maxsize=4096)(super().__call__)

    def __getitem__(self, name: str) -> Any:
        return self._class(name)

    def __call__(self, name: str, value: Any) -> Any:
        return self._read(name, value)


#: For reading letters.
READING = email.policy.default.clone(header_factory=_Headers())


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Received:
    """One letter this relay took responsibility for; `answered`: it lived to say so."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    message: EmailMessage
    accepted_at: datetime
    user: str | None = None
    answered: bool = True


class Greylist:
    """Strangers (sender and recipient together) are asked to come back `seconds` later; those `who` names, else all."""

    def __init__(self, seconds: float, who: Callable[[str], bool] = lambda recipient: True) -> None:
        self._seconds, self._who = seconds, who
        self._seen: dict[tuple[str, str], datetime] = {}
        self.asked = 0

    def wait(self, mail_from: str, recipient: str, now: datetime) -> float:
        """Seconds it has to wait still; 0.0: it is welcome."""
        if not self._who(recipient):
            return 0.0
        first = self._seen.setdefault((mail_from, recipient), now)
        left = max(0.0, self._seconds - (now - first).total_seconds())
        self.asked += left > 0
        return left


class MailSimulator:
    """An SMTP server with an inbox; also usable without a socket through `deliver`.

    `port` 0 takes a free one (read `port` after `start`). `weather` decides the fate of letters, `fault` overrides
    it for the next ones. With `username` and `password` set, AUTH is required; without, any login is welcome.
    """

    def __init__(
        self,
        port: int = 0,
        weather: Weather | None = None,
        clock: Callable[[], datetime] = _now,
        *,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.port = port
        self.messages: list[Received] = []
        self.refusals = 0
        self.connections_cut = 0
        self.down: Callable[[datetime], bool] = lambda now: False
        self.greylist: Greylist | None = None
        self._weather, self._clock = weather, clock
        self._login = None if username is None else (username, password or "")
        self._script: deque[MailFault] = deque()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._sessions: weakref.WeakSet[SMTP] = weakref.WeakSet()

    # --- the core ---

    def fault(self, kind: MailFaultKind, times: int = 1) -> None:
        """The next `times` letters meet this fault instead of the weather."""
        with self._lock:
            self._script.extend([MailFault(kind)] * times)

    def deliver(
        self, mail_from: str, rcpt_tos: list[str], content: bytes | EmailMessage, *, user: str | None = None
    ) -> Outcome:
        """Decide the fate of one letter and store it if it is accepted. Thread-safe, does no I/O."""
        with self._lock:
            fault = self._next_fault()
            if fault.kind == "refuse":
                self.refusals += 1
                return "refused"
            if fault.kind == "cut_before":
                self.connections_cut += 1
                return "cut_before"
            parsed = content if isinstance(content, EmailMessage) else email.message_from_bytes(content, policy=READING)
            answered = fault.kind != "cut_after"
            self.messages.append(Received(mail_from, tuple(rcpt_tos), parsed, self._clock(), user, answered))
            if fault.kind == "cut_after":
                self.connections_cut += 1
                return "cut_after"
            return "accepted"

    def _next_fault(self) -> MailFault:
        if self._script:
            return self._script.popleft()
        return MailFault() if self._weather is None else self._weather.decide_mail()

    def reset(self) -> None:
        """An empty inbox, no scripted faults."""
        with self._lock:
            self.messages.clear()
            self._script.clear()
            self.refusals = self.connections_cut = 0

    # --- the SMTP front ---

    def start(self) -> MailSimulator:
        """Listen on the loopback interface; returns when connections are accepted. Raises OSError if it cannot."""
        started: threading.Event = threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            loop = asyncio.new_event_loop()
            self._loop = loop
            try:
                server = loop.run_until_complete(loop.create_server(self._protocol, HOST, self.port))
            except OSError as error:
                failed.append(error)
                started.set()
                loop.close()
                return
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            loop.run_forever()
            loop.run_until_complete(self._wind_down(server))
            loop.close()

        self._thread = threading.Thread(target=run, name="mail-simulator", daemon=True)
        self._thread.start()
        started.wait()
        if failed:
            self._thread = self._loop = None
            raise failed[0]
        return self

    def stop(self) -> None:
        """Stop listening and cut what is open; calling it twice is fine."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop = self._thread = None

    def __enter__(self) -> MailSimulator:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def _wind_down(self, server: asyncio.Server) -> None:
        server.close()
        for session in list(self._sessions):
            if session.transport is not None:
                cast(asyncio.Transport, session.transport).abort()
        tasks = asyncio.all_tasks() - {cast("asyncio.Task[Any]", asyncio.current_task())}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _protocol(self) -> asyncio.Protocol:
        if self.down(self._clock()):
            return _Closed()
        session = SMTP(
            _Handler(self),
            enable_SMTPUTF8=True,
            hostname="relay.example.invalid",
            ident="Ladenbuch mail simulator",
            auth_required=False,  # enforced in the handler: aiosmtpd warns when AUTH is required without TLS
            auth_require_tls=False,
            authenticator=self._authenticate,
            loop=self._loop,
        )
        self._sessions.add(session)
        return session

    def _authenticate(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: object) -> AuthResult:
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        given = (data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "replace"))
        if self._login is not None and given != self._login:
            return AuthResult(success=False, handled=False)
        session.simulator_user = given[0]
        return AuthResult(success=True)

    # --- the control front ---

    def handle(self, request: SimRequest) -> SimResponse:
        """The control API; never raises for bad input."""
        action = (request.method, request.path)
        if action == ("GET", "/_control/messages"):
            with self._lock:
                return json_response(
                    {
                        "messages": [_shown(received) for received in self.messages],
                        "refusals": self.refusals,
                        "connections_cut": self.connections_cut,
                    }
                )
        if action == ("POST", "/_control/reset"):
            self.reset()
            return json_response({"reset": True})
        if action == ("POST", "/_control/fault"):
            return self._scripted(request.body)
        return json_response({"error": "GET /_control/messages, POST /_control/fault, POST /_control/reset"}, 404)

    def _scripted(self, body: bytes) -> SimResponse:
        try:
            wish = json.loads(body)
        except ValueError:
            wish = None
        kind = wish.get("kind") if isinstance(wish, dict) else None
        times = wish.get("times", 1) if isinstance(wish, dict) else 1
        if kind not in _KINDS or type(times) is not int or not 1 <= times <= 1000:
            return json_response({"error": f"kind must be one of {', '.join(_KINDS)}; times 1 to 1000"}, 400)
        self.fault(cast(MailFaultKind, kind), times)
        return json_response({"scripted": times})


class _Closed(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


class _Handler:
    """aiosmtpd's hooks: names and return values are its contract."""

    def __init__(self, simulator: MailSimulator) -> None:
        self._simulator = simulator

    async def handle_MAIL(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self._simulator._login is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if "@" not in address:
            return "501 5.1.3 not an address"
        greylist, now = self._simulator.greylist, self._simulator._clock()
        wait = 0.0 if greylist is None else greylist.wait(envelope.mail_from, address, now)
        if wait > 0:
            return f"451 4.7.1 Greylisted, please try again in {math.ceil(wait)} seconds"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        user = getattr(session, "simulator_user", None)
        outcome = self._simulator.deliver(envelope.mail_from, envelope.rcpt_tos, envelope.content, user=user)
        if outcome == "refused":
            return "451 4.3.0 simulated: try again later"
        if outcome == "accepted":
            return f"250 2.0.0 OK queued as {len(self._simulator.messages)}"
        if server.transport is not None:
            cast(asyncio.Transport, server.transport).abort()
        await asyncio.Event().wait()  # the lost connection cancels this task: no reply is ever written
        return ""  # not reached


def _shown(received: Received) -> dict[str, object]:
    message = received.message
    body = message.get_body(preferencelist=("plain", "html"))
    return {
        "from": received.mail_from,
        "to": list(received.rcpt_tos),
        "subject": str(message.get("Subject", "")),
        "message_id": str(message.get("Message-ID", "")),
        "accepted_at": received.accepted_at.isoformat(),
        "text": "" if body is None else str(body.get_content()).replace("\r\n", "\n"),
        "attachments": [
            {
                "filename": part.get_filename(),
                "content_type": part.get_content_type(),
                "bytes": len(part.get_payload(decode=True) or b""),
            }
            for part in message.iter_attachments()
        ],
    }
