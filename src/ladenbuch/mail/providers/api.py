"""One letter over HTTP, and the truth about it.

    connect                                       lost here: TryLater, the provider has nothing
    before_data()                                 the caller commits "sending"
    the request                                   from its first byte on: Uncertain, unless an answer arrives
    the answer                                    2xx Accepted · 429, 503 TryLater · 4xx Refused · other 5xx Uncertain

`before_data` comes before the connection, for a client library does both in one call. What an answer means stands in
`domain.failures`; here is only how each provider says it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from ladenbuch.domain import failures
from ladenbuch.domain.failures import Failure
from ladenbuch.mail.providers.account import Account
from ladenbuch.mail.sending import Accepted, Outcome, Parcel, Refused, TryLater, Uncertain, without_addresses

#: Nothing a provider says is longer.
_MOST_BYTES = 65_536
#: What asks for time, rather than for an operator.
_BUSY = (failures.row("mail", "status", 429), failures.row("mail", "code", "ThrottlingException"))


@dataclass(frozen=True)
class Answer:
    """What came back. `said` is the body read as JSON, or its text where it is none."""

    status: int
    headers: Mapping[str, str]
    said: Any


@dataclass(frozen=True)
class Way:
    """How a provider wants a letter, and how it answers.

    `letter` makes the request. `receipt` is its own name for what it took. `signs` are the `code`s of `failures` an
    answer shows, the most telling first; one of them outweighs the status. `words` are for people. `search` asks
    whether a letter (reference, Message-ID without brackets) was taken, where the provider can be asked, and `found`
    reads the answer: it believes only what names the letter.
    """

    letter: Callable[[Account, Parcel, datetime], httpx2.Request]
    receipt: Callable[[Answer], str]
    signs: Callable[[Answer], Iterable[int | str]]
    words: Callable[[Answer], str]
    search: Callable[[Account, str, str], httpx2.Request] | None = None
    found: Callable[[Answer, str, str], bool] = lambda answer, reference, message_id: False


class ApiSender:
    """A `Sender` by HTTP. `timeout` bounds the connection and each piece sent, `final_timeout` the answer."""

    def __init__(
        self,
        account: Account,
        way: Way,
        http: httpx2.Client,
        clock: Callable[[], datetime],
        *,
        timeout: float = 10.0,
        final_timeout: float = 60.0,
    ) -> None:
        self.account = account
        self.name = account.name
        self.rate = account.rate
        self._way = way
        self._http = http
        self._clock = clock
        limits = httpx2.Timeout(timeout, connect=min(timeout, 5.0), read=final_timeout)
        self._extensions = {"timeout": limits.as_dict()}
        self._soon = {"timeout": httpx2.Timeout(timeout, connect=min(timeout, 5.0)).as_dict()}

    def attempt(self, parcel: Parcel, before_data: Callable[[], None]) -> Outcome:
        """See `Sender`."""
        request = self._way.letter(self.account, parcel, self._clock())
        request.extensions = {**request.extensions, **self._extensions}
        before_data()
        try:
            answer = self._ask(request)
        except httpx2.HTTPError as error:
            failure = failures.by_exception("mail", error)
            if failure.verdict == "ask":
                how = "no answer in time" if isinstance(error, httpx2.TimeoutException) else "connection lost"
                return Uncertain(f"{how} after the letter was sent", self.name)
            return TryLater(f"connect: {type(error).__name__}", self.name, failure.code)
        return judged(self._way, answer, self.name, self._clock())

    def there(self) -> bool:
        """See `Sender`: any answer but a failure of theirs will do, also that there is nothing at this address."""
        request = httpx2.Request("GET", f"{self.account.base}/", extensions=self._soon)
        try:
            return self._ask(request).status < 500
        except httpx2.HTTPError:
            return False

    @property
    def can_be_asked(self) -> bool:
        """Whether the provider has a search that finds a letter by our own name for it."""
        return self._way.search is not None

    def knows(self, reference: str, message_id: str) -> bool | None:
        """Whether the provider took a letter; None where it cannot be asked or does not say. A no may be too early."""
        if self._way.search is None:
            return None
        bare = message_id.strip("<> ")
        request = self._way.search(self.account, reference, bare)
        request.extensions = {**request.extensions, **self._soon}
        try:
            answer = self._ask(request)
        except httpx2.HTTPError:
            return None
        return self._way.found(answer, reference, bare) if 200 <= answer.status < 300 else None

    def _ask(self, request: httpx2.Request) -> Answer:
        response = self._http.send(request, stream=True, follow_redirects=False)
        body = b""
        try:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    break
        except httpx2.HTTPError:
            body = b""  # the status arrived, and that is the answer
        finally:
            response.close()
        return Answer(response.status_code, response.headers, _read(body))


def judged(way: Way, answer: Answer, relay: str, now: datetime) -> Outcome:
    """What an answer means."""
    found = next((row for sign in way.signs(answer) if (row := failures.find("mail", "code", sign))), None)
    if found is None and 200 <= answer.status < 300:
        return Accepted(relay, without_addresses(f"{answer.status} {way.receipt(answer)}".strip()))
    failure: Failure = found or failures.find("mail", "status", answer.status) or failures.UNKNOWN
    reason = without_addresses(f"http: {answer.status} {way.words(answer)}")
    if failure.verdict == "ask":
        return Uncertain(reason, relay)
    if failure.verdict == "never":
        return Refused(reason, True, relay, failure.code)
    if failure in _BUSY:
        return TryLater(reason, relay, failure.code, after=_after(answer.headers, now))
    return Refused(reason, False, relay, failure.code)


def _after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds a provider asks for (RFC 9110 10.2.3); SendGrid says the instant instead."""
    said = headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(said)
    if said:
        try:
            return max(1.0, (parsedate_to_datetime(said) - now).total_seconds())
        except (ValueError, TypeError):
            return None
    reset = headers.get("x-ratelimit-reset", "").strip()
    return max(1.0, float(reset) - now.timestamp()) if reset.isdigit() else None


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def as_json(payload: object) -> bytes:
    """A request's body."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def field(said: object, name: str) -> str:
    """A text of an answer that may be of any shape; empty where it is not there."""
    value = said.get(name) if isinstance(said, dict) else None
    return value if isinstance(value, str) else ""
