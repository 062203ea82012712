"""SMTP relays in order of preference, and the truth about every attempt.

SMTP has exactly one ambiguous moment: the client has sent the line that ends the message (`.`) and the
server's answer never arrives (RFC 5321 4.1.1.4, 6.1). The message may be queued or not, and nobody can ask.
So the attempt is cut at that line:

    connect · STARTTLS · AUTH · MAIL · RCPT · DATA · body   lost here: TryLater, the server has no message
    before_data()                                           the caller commits "sending"
    CRLF . CRLF                                             from here on: Uncertain, unless a reply arrives
    final reply                                             2xx Accepted · 4xx TryLater · 5xx Refused

The body is handed over completely *before* `before_data`, only the end line after it: a connection cut in the
middle of a large attachment is therefore never ambiguous. The second relay is asked only when the first
certainly has nothing.

The front is synchronous (workers are threads); each call runs aiosmtplib in an event loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from io import BytesIO
from ipaddress import ip_address
from typing import Literal, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from aiosmtplib.protocol import PERIOD_REGEX, SMTPProtocol, normalize_message_line_endings

from ladenbuch.domain import failures
from ladenbuch.errors import UsageError
from ladenbuch.telemetry.calls import Track, untracked

#: RFC 5321 4.5.3.2.6 asks for ten minutes: giving up early is what makes letters uncertain. Two is a
#: compromise with worker threads; a relay on the same continent answers in seconds.
FINAL_TIMEOUT_SECONDS = 120.0

#: A body may take longer than one step: at least this rate is expected of a relay.
_SLOWEST_BYTES_PER_SECOND = 50_000


_UNREACHED = failures.row("smtp", "exception", "no connection, or cut before the end of data").code
_NOT_LET_IN = failures.row("smtp", "exception", "no TLS, or no sign-in").code


@dataclass(frozen=True)
class Accepted:
    """The relay took responsibility (2xx after the end of data). `reply` is its answer, addresses removed."""

    relay: str
    reply: str


@dataclass(frozen=True)
class TryLater:
    """Certainly not accepted, a repeat is safe: 4xx, no connection, or lost before the end of data.

    `code` says whose it is (`domain.failures`), here and in the next.
    """

    reason: str
    relay: str = ""
    code: str = field(default=_UNREACHED, compare=False)


@dataclass(frozen=True)
class Refused:
    """Certainly not accepted. `permanent`: the message or its recipient is refused, no relay will be asked
    again.

    Not permanent: the relay refuses *us* (sign-in, sender, policy, no TLS); an operator can repair it, then a
    repeat is safe.
    """

    reason: str
    permanent: bool
    relay: str = ""
    code: str = field(default=_UNREACHED, compare=False)


@dataclass(frozen=True)
class Uncertain:
    """The end of data was sent and no answer came. Never repeat unasked: the buyer may have the letter."""

    reason: str
    relay: str = ""


#: What may stand between < and > on an envelope: one ASCII mailbox, nothing that could end it or add a
#: parameter.
_ENVELOPE = re.compile(r"[!-~]+@[!-~]+\Z")
_UNSAFE = frozenset('<>()[],;:\\"')

_NOT_REACHED = (
    aiosmtplib.SMTPServerDisconnected,
    aiosmtplib.SMTPTimeoutError,
    aiosmtplib.SMTPConnectError,
)

Outcome: TypeAlias = Accepted | TryLater | Refused | Uncertain


@dataclass(frozen=True)
class Relay:
    """One SMTP server. `name` is host:port and safe to log; the password is not shown."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Relay({self.name}, tls={self.tls})"

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Relay:
        """`smtp://user:password@host:587` or `smtps://host`; `?tls=none` allows plain text to a host that is
        not this one.

        smtps: TLS from the first byte. smtp: STARTTLS is required, except towards this machine itself.
        Raises `UsageError("SMTP-URL")`; the message never contains the URL, because a password may be in it.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError as error:
            raise UsageError("SMTP-URL", "LADENBUCH_SMTP_URLS: port must be 1 to 65535") from error
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise UsageError("SMTP-URL", "LADENBUCH_SMTP_URLS: expected smtp://user:password@host:587")
        wish = parse_qs(parts.query).get("tls", [""])[0]
        if wish not in ("", "none", "required"):
            raise UsageError("SMTP-URL", "LADENBUCH_SMTP_URLS: ?tls= must be none or required")
        tls: Literal["implicit", "starttls", "none"] = "starttls"
        if parts.scheme == "smtps":
            tls = "implicit"
        elif wish == "none" or (wish == "" and _is_loopback(parts.hostname)):
            tls = "none"
        return cls(
            host=parts.hostname,
            port=port or {"implicit": 465, "starttls": 587, "none": 25}[tls],
            tls=tls,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


class Relays:
    """Relays in order of preference, for threads.

    `timeout` (seconds) bounds each step before the end of data, `final_timeout` the wait for the answer after
    it. `hostname` is what we call ourselves in EHLO. `tls_context` replaces the system's certificate store
    (tests, private CAs). `track` counts each attempt.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeout: float = 10.0,
        final_timeout: float = FINAL_TIMEOUT_SECONDS,
        hostname: str = "localhost",
        tls_context: ssl.SSLContext | None = None,
        track: Track = untracked,
    ) -> None:
        self.relays = tuple(Relay.parse(url) for url in urls)
        if not self.relays:
            raise UsageError("SMTP-URL", "LADENBUCH_SMTP_URLS is empty: no relay to hand letters to")
        self._timeout = timeout
        self._final_timeout = final_timeout
        self._hostname = hostname
        self._tls_context = tls_context
        self._track = track

    def send(
        self, message: EmailMessage, envelope_from: str, envelope_to: str, before_data: Callable[[], None]
    ) -> Outcome:
        """Hand the message to the first relay that takes it.

        `before_data` is called before each moment that can become ambiguous: at most once per relay, and
        never when no relay got that far. If it raises, the connection is dropped, nothing was sent, and its
        exception passes through.
        """
        if not _usable(envelope_from):
            return Refused("envelope: the sender is not a plain address", False, code="LETTER-SENDER")
        if not _usable(envelope_to):
            return Refused("envelope: the recipient is not a plain address", True, code="LETTER-ADDRESS")
        wire = _wire(message)
        fallback: Outcome | None = None
        for relay in self.relays:
            with self._track("send") as call:
                outcome = asyncio.run(self._attempt(relay, wire, envelope_from, envelope_to, before_data))
                call.code = _code(outcome)
            if isinstance(outcome, Accepted | Uncertain):
                return outcome
            if isinstance(outcome, Refused) and outcome.permanent:
                return outcome
            if fallback is None or (isinstance(fallback, Refused) and isinstance(outcome, TryLater)):
                fallback = outcome  # waiting helps as soon as one relay is merely unwell
        assert fallback is not None
        return fallback

    async def _attempt(
        self, relay: Relay, wire: bytes, sender: str, recipient: str, before_data: Callable[[], None]
    ) -> Outcome:
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.username,
            password=relay.password,
            use_tls=relay.tls == "implicit",
            start_tls=relay.tls == "starttls",
            tls_context=self._tls_context,
            local_hostname=self._hostname,
            timeout=self._timeout,
        )
        outcome: Outcome | None = None
        try:
            outcome = await self._up_to_body(client, relay, wire, sender, recipient)
            if outcome is None:
                before_data()
                outcome = await self._cross(client, relay)
            return outcome
        finally:
            # QUIT only where the server awaits a command: inside an open DATA it would be a line of the
            # letter
            await _hang_up(client, polite=isinstance(outcome, Accepted | Refused))

    async def _up_to_body(
        self, client: aiosmtplib.SMTP, relay: Relay, wire: bytes, sender: str, recipient: str
    ) -> Outcome | None:
        """Everything before the end of data; None when the server has the body and the connection stands."""
        stage = "connect"
        try:
            await client.connect()
            stage = "sender"
            await client.mail(sender)
            stage = "recipient"
            await client.rcpt(recipient)
            stage = "message"
            protocol = client.protocol
            if protocol is None:
                return TryLater("connection lost", relay.name)
            reply = await protocol.execute_command(b"DATA", timeout=self._timeout)
            if reply.code != 354:
                return _refusal(reply.code, reply.message, stage, relay)
            await self._write(protocol, wire)
        except aiosmtplib.SMTPResponseException as error:
            return _refusal(error.code, error.message, stage, relay)
        except _NOT_REACHED as error:
            return TryLater(f"{stage}: {without_addresses(str(error))}", relay.name)
        except aiosmtplib.SMTPException as error:  # STARTTLS or AUTH not offered: waiting does not help
            return Refused(f"{stage}: {without_addresses(str(error))}", False, relay.name, _NOT_LET_IN)
        except ssl.SSLError as error:
            return Refused(f"{stage}: TLS: {error.reason or 'handshake failed'}", False, relay.name, _NOT_LET_IN)
        except ValueError:  # an address or host name that cannot stand in a command line
            code = "LETTER-ADDRESS" if stage == "recipient" else "LETTER-RELAY"
            return Refused(f"{stage}: not a usable address", failures.known(code).verdict == "never", relay.name, code)
        except (OSError, TimeoutError) as error:
            return TryLater(f"{stage}: {type(error).__name__}", relay.name)
        return None

    async def _write(self, protocol: SMTPProtocol, wire: bytes) -> None:
        """Hand the body to the operating system, so that none of it waits in our buffers at the decisive
        line.

        (Under TLS up to 64 KiB may remain in the transport; a loss there is reported as uncertain, the safe
        side.)
        """
        transport = protocol.transport
        if not isinstance(transport, asyncio.WriteTransport):
            raise aiosmtplib.SMTPServerDisconnected("connection lost")
        protocol.write(wire)
        deadline = asyncio.get_running_loop().time() + max(self._timeout, len(wire) / _SLOWEST_BYTES_PER_SECOND)
        while transport.get_write_buffer_size() > 0 and not transport.is_closing():
            if asyncio.get_running_loop().time() > deadline:
                raise aiosmtplib.SMTPTimeoutError("the relay reads too slowly")
            await asyncio.sleep(0.002)
        if transport.is_closing():
            raise aiosmtplib.SMTPServerDisconnected("connection lost")

    async def _cross(self, client: aiosmtplib.SMTP, relay: Relay) -> Outcome:
        """Send the end of data and wait for the one answer that counts."""
        for _ in range(3):  # let a hang-up that arrived meanwhile be noticed before the line is crossed
            await asyncio.sleep(0)
        protocol = client.protocol
        if protocol is None or not protocol.is_connected:
            return TryLater("connection lost before the end of the message was sent", relay.name)
        try:
            protocol.write(b".\r\n")
            reply = await protocol.read_response(timeout=self._final_timeout)
        except aiosmtplib.SMTPResponseException:
            return Uncertain("unreadable answer after the end of the message", relay.name)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            how = "no answer in time" if isinstance(error, TimeoutError) else "connection lost"
            return Uncertain(f"{how} after the end of the message", relay.name)
        if 200 <= reply.code < 300:
            return Accepted(relay.name, without_addresses(f"{reply.code} {reply.message}"))
        if 400 <= reply.code < 600:
            return _refusal(reply.code, reply.message, "message", relay)
        return Uncertain(f"answer {reply.code} after the end of the message", relay.name)


def _wire(message: EmailMessage) -> bytes:
    """The message as SMTP bytes: 7 bit, CRLF, leading dots doubled (RFC 5321 4.5.2), without the end line."""
    if "Bcc" in message:
        raise UsageError("LETTER-BCC", "a letter has exactly one recipient")
    buffer = BytesIO()
    BytesGenerator(buffer, policy=WIRE.clone(cte_type="7bit")).flatten(message)
    return PERIOD_REGEX.sub(b"..", normalize_message_line_endings(buffer.getvalue()))


def _refusal(code: int, text: str, stage: str, relay: Relay) -> Outcome:
    """A definite negative answer as a value: about the relay, or about the letter and its recipient (`failures`)."""
    reason = without_addresses(f"{stage}: {code} {text}")
    said = text if re.match(r"[245]\.\d{1,3}\.\d", text) else str(code)
    failure = failures.by_prefix("smtp", "reply", f"{stage} {said}") or failures.row("smtp", "reply", "connect")
    if not 500 <= code < 600:
        return TryLater(reason, relay.name, failure.code)
    return Refused(reason, failure.verdict == "never", relay.name, failure.code)


def _code(outcome: Outcome) -> str | None:
    """Why an attempt failed, for the count: the relay's own code where it gave one; None: accepted."""
    if isinstance(outcome, Accepted):
        return None
    if isinstance(outcome, Uncertain):
        return "UNCERTAIN"
    if isinstance(outcome, Refused) and not outcome.permanent:
        return "RELAY"  # it refuses us, and every letter
    said = re.search(r": ([45][0-9]{2}) ", outcome.reason)
    if said:
        return f"SMTP-{said[1]}"
    if isinstance(outcome, Refused):
        return "REFUSED"
    if re.search(r"time[d ]*out", outcome.reason, re.IGNORECASE):
        return "TIMEOUT"
    return "CONNECT" if outcome.reason.startswith("connect:") else "CUT"


async def _hang_up(client: aiosmtplib.SMTP, *, polite: bool) -> None:
    """End the conversation; the farewell never changes the outcome."""
    transport = client.transport
    if polite and client.is_connected:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await client.quit(timeout=1.0)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
    client.close()


def without_addresses(text: str) -> str:
    """A server's words, fit for logs and pages: one line, no e-mail address, at most 200 characters."""
    line = " ".join(text.split())
    return re.sub(r"[^\s<>]+@[^\s<>]+", "…", line.encode("ascii", "replace").decode())[:200]


def _usable(address: str) -> bool:
    return _ENVELOPE.match(address) is not None and not _UNSAFE & set(address)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
