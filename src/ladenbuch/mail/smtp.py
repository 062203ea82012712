"""One conversation with an SMTP server, and the truth about it.

SMTP has exactly one ambiguous moment: the client has sent the line that ends the message (`.`) and the
server's answer never arrives (RFC 5321 4.1.1.4, 6.1). The message may be queued or not, and nobody can ask.
So the attempt is cut at that line:

    connect · STARTTLS · AUTH · MAIL · RCPT · DATA · body   lost here: TryLater, the server has no message
    before_data()                                           the caller commits "sending"
    CRLF . CRLF                                             from here on: Uncertain, unless a reply arrives
    final reply                                             2xx Accepted · 4xx TryLater · 5xx Refused

The body is handed over completely *before* `before_data`, only the end line after it: a connection cut in the
middle of a large attachment is therefore never ambiguous.

Each attempt runs aiosmtplib in an event loop of its own, for workers are threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from aiosmtplib.protocol import PERIOD_REGEX, SMTPProtocol, normalize_message_line_endings

from ladenbuch.domain import failures
from ladenbuch.errors import UsageError
from ladenbuch.mail.sending import (
    NOT_LET_IN,
    Accepted,
    Outcome,
    Parcel,
    Refused,
    TryLater,
    Uncertain,
    without_addresses,
)

#: RFC 5321 4.5.3.2.6 asks for ten minutes: giving up early is what makes letters uncertain. Two is a
#: compromise with worker threads; a relay on the same continent answers in seconds.
FINAL_TIMEOUT_SECONDS = 120.0

#: A body may take longer than one step: at least this rate is expected of a relay.
_SLOWEST_BYTES_PER_SECOND = 50_000

#: Seconds for a connection: who does not answer sooner is not there, and the next relay is.
CONNECT_SECONDS = 5.0
#: Seconds a greylisting server wants to be left alone where it does not say (RFC 6647 2.2 and usual software).
GREYLISTED_SECONDS = 300.0
#: No such server is waited for longer than that, whatever it says.
_LONGEST_SECONDS = 900.0
_GREYLISTED = re.compile(r"gr[ea]y-?list", re.IGNORECASE)
_SAID = re.compile(r"(\d{1,5}) ?(s\b|sec|min|m\b)", re.IGNORECASE)

_DELAYED = failures.row("smtp", "reply", "recipient 450").code

_NOT_REACHED = (
    aiosmtplib.SMTPServerDisconnected,
    aiosmtplib.SMTPTimeoutError,
    aiosmtplib.SMTPConnectError,
)


@dataclass(frozen=True)
class Relay:
    """One SMTP server. `name` is host:port and safe to log; the password is not shown."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    username: str | None = None
    password: str | None = None
    rate: float | None = None

    def __repr__(self) -> str:
        return f"Relay({self.name}, tls={self.tls})"

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Relay:
        """`smtp://user:password@host:587` or `smtps://host`; `?tls=none` allows plain text to a host that is
        not this one, `?rate=5` so many letters a second.

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
        query = parse_qs(parts.query)
        wish = query.get("tls", [""])[0]
        if wish not in ("", "none", "required"):
            raise UsageError("SMTP-URL", "LADENBUCH_SMTP_URLS: ?tls= must be none or required")
        tls: Literal["implicit", "starttls", "none"] = "starttls"
        if parts.scheme == "smtps":
            tls = "implicit"
        elif wish == "none" or (wish == "" and is_loopback(parts.hostname)):
            tls = "none"
        return cls(
            host=parts.hostname,
            port=port or {"implicit": 465, "starttls": 587, "none": 25}[tls],
            tls=tls,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            rate=rate_of(query),
        )


class SmtpSender:
    """A `Sender` by SMTP. `timeout` (seconds) bounds each step before the end of data, `final_timeout` the wait for the
    answer after it; `hostname` is what we call ourselves, `tls_context` replaces the system's certificate store.
    """

    def __init__(
        self,
        relay: Relay,
        *,
        timeout: float = 10.0,
        final_timeout: float = FINAL_TIMEOUT_SECONDS,
        hostname: str = "localhost",
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self.relay = relay
        self.name = relay.name
        self.rate = relay.rate
        self._timeout = timeout
        self._final_timeout = final_timeout
        self._hostname = hostname
        self._tls_context = tls_context

    can_be_asked = False

    def there(self) -> bool:
        """See `Sender`: as far as the sign-in."""
        return asyncio.run(self._greeted())

    async def _greeted(self) -> bool:
        client = self._client()
        try:
            await client.connect(timeout=min(self._timeout, CONNECT_SECONDS))
        except (aiosmtplib.SMTPException, OSError, ValueError):
            return False
        finally:
            await _hang_up(client, polite=True)
        return True

    def _client(self) -> aiosmtplib.SMTP:
        relay = self.relay
        return aiosmtplib.SMTP(
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

    def knows(self, reference: str, message_id: str) -> bool | None:
        """SMTP has no question for that."""
        return None

    def attempt(self, parcel: Parcel, before_data: Callable[[], None]) -> Outcome:
        """See `Sender`."""
        wire = PERIOD_REGEX.sub(b"..", normalize_message_line_endings(parcel.mime))
        return asyncio.run(self._attempt(self.relay, wire, parcel.sender, parcel.recipient, before_data))

    async def _attempt(
        self, relay: Relay, wire: bytes, sender: str, recipient: str, before_data: Callable[[], None]
    ) -> Outcome:
        client = self._client()
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
            await client.connect(timeout=min(self._timeout, CONNECT_SECONDS))
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
            return Refused(f"{stage}: {without_addresses(str(error))}", False, relay.name, NOT_LET_IN)
        except ssl.SSLError as error:
            return Refused(f"{stage}: TLS: {error.reason or 'handshake failed'}", False, relay.name, NOT_LET_IN)
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


def _refusal(code: int, text: str, stage: str, relay: Relay) -> Outcome:
    """A definite negative answer as a value: about the relay, or about the letter and its recipient (`failures`)."""
    reason = without_addresses(f"{stage}: {code} {text}")
    said = text if re.match(r"[245]\.\d{1,3}\.\d", text) else str(code)
    failure = failures.by_prefix("smtp", "reply", f"{stage} {said}") or failures.row("smtp", "reply", "connect")
    if not 500 <= code < 600:
        if stage in ("recipient", "message") and _GREYLISTED.search(text):
            return TryLater(reason, relay.name, _DELAYED, after=patience(text), stay=True)
        return TryLater(reason, relay.name, failure.code, stay=failure.code == _DELAYED)
    return Refused(reason, failure.verdict == "never", relay.name, failure.code)


async def _hang_up(client: aiosmtplib.SMTP, *, polite: bool) -> None:
    """End the conversation; the farewell never changes the outcome."""
    transport = client.transport
    if polite and client.is_connected:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await client.quit(timeout=1.0)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
    client.close()


def patience(text: str) -> float:
    """For how many seconds a greylisting server wants to be left alone: what it says, at most a quarter of an hour."""
    said = _SAID.search(text)
    if said is None:
        return GREYLISTED_SECONDS
    return min(_LONGEST_SECONDS, max(1.0, int(said[1]) * (60.0 if said[2].lower().startswith("m") else 1.0)))


def rate_of(query: Mapping[str, Sequence[str]]) -> float | None:
    """`?rate=14`: letters per second, None where nothing is said. Raises UsageError("SMTP-URL")."""
    text = query.get("rate", [""])[0]
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text, re.ASCII) or float(text) <= 0:
        raise UsageError("SMTP-URL", "LADENBUCH_SMTP_URLS: ?rate= is a number of letters per second, such as 5")
    return float(text)


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
