"""Is this VAT id valid? Its form is checked here, its registration by the Commission's VIES.

    answer = VatIds(url, http, clock=clock).check("FR40303265045", now)      # valid | invalid | unavailable

In: a VAT id as the buyer gave it, without blanks and punctuation. Out: a `VatIdAnswer` with the question, the verdict,
the instant of asking, the registered name where the state tells it, and in `reference` what proves or explains the
verdict: VIES' consultation number, or why it is not valid or not known.

    what happened                                         verdict
    the form or a check digit is wrong; no member state   invalid, nothing is asked
    VIES says valid                                       valid
    VIES says not valid, INVALID, INVALID_INPUT           invalid
    a member state is down or busy, a time limit          unavailable
    no connection, cut, 4xx, 5xx, a redirect              unavailable
    an answer we do not understand, or to another id      unavailable

Nothing is raised for an answer. Down is never invalid: an id that was not looked up says nothing about the buyer.

Sources: UStG §6a (1) no. 4, §18e; Article 31 of Regulation (EU) 904/2010; the REST service described at
https://ec.europa.eu/taxation_customs/vies/#/technical-information, whose answers carry `valid` or an error, the latter
as `userError` or as `{"actionSucceed": false, "errorWrappers": [{"error": …}]}`. Forms and check digits: python-stdnum.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx2

from ladenbuch import __version__
from ladenbuch.domain.evidence import INVALID, UNAVAILABLE, VALID, VatIdAnswer
from ladenbuch.errors import UsageError
from ladenbuch.telemetry.calls import Track, untracked

log = logging.getLogger(__name__)

USER_AGENT = f"Ladenbuch/{__version__} (Shopify connector)"
#: Longest answer we read. A real one is below one kilobyte.
MAX_BYTES = 64 * 1024
#: VIES' errors that are about the id itself. Every other one, known or not, means that nobody looked.
_SAYS_INVALID = frozenset({"INVALID", "INVALID_INPUT"})
_ERROR = re.compile(r"[A-Z][A-Z0-9_-]{1,63}")
#: A consultation number: letters and digits today; anything longer or stranger is not kept.
_REFERENCE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_STATUSES_WITH_AN_ANSWER = (200, 400)


class VatIds:
    """The look-up. Thread-safe; it holds no state between questions.

    `url` is the address of the service, empty for a look-up that is switched off. With the seller's own VAT id
    (`requester`) VIES gives a consultation number, the stronger proof; UsageError("SETTING") when it is malformed.
    `track` is told of every call.
    """

    def __init__(
        self,
        url: str,
        http: httpx2.Client,
        *,
        clock: Callable[[], datetime],
        requester: str | None = None,
        track: Track = untracked,
    ) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._track = track
        try:
            self._requester = canonical(requester) if requester else None
        except ValueError as error:
            raise UsageError("SETTING", f"LADENBUCH_VIES_REQUESTER: {error}") from None

    def __repr__(self) -> str:
        return f"VatIds({self._url!r})"

    def check(self, vat_id: str, now: datetime) -> VatIdAnswer:
        """What is known about a VAT id at `now` (aware UTC). Never raises for what the other side does."""
        try:
            state, number = canonical(vat_id)
        except ValueError as error:
            return VatIdAnswer(vat_id, INVALID, now, reference=f"malformed: {error}")
        if not self._url:
            return VatIdAnswer(vat_id, UNAVAILABLE, now, reference="the look-up is switched off")
        try:
            status, body = self._ask(state, number)
        except (httpx2.HTTPError, httpx2.InvalidURL, _TooLong) as error:
            return _unavailable(vat_id, now, type(error).__name__.lstrip("_"))
        if status not in _STATUSES_WITH_AN_ANSWER:
            return _unavailable(vat_id, now, f"HTTP {status}")
        verdict, name, reference = understand(status, body, state, number)
        if verdict == UNAVAILABLE:
            return _unavailable(vat_id, now, reference or "unreadable")
        return VatIdAnswer(vat_id, verdict, now, name=name, reference=reference)

    def _ask(self, state: str, number: str) -> tuple[int, bytes]:
        question = {"countryCode": state, "vatNumber": number}
        if self._requester is not None:
            question |= {"requesterMemberStateCode": self._requester[0], "requesterNumber": self._requester[1]}
        request = self._http.build_request(
            "POST",
            self._url,
            content=json.dumps(question, separators=(",", ":")).encode(),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # so that the limit below is the limit
                "User-Agent": USER_AGENT,
            },
        )
        # The HTTP client is shared: no session cookie of anybody travels along.
        if "cookie" in request.headers:
            del request.headers["cookie"]
        with self._track("check-vat-number"):
            response = self._http.send(request, auth=None, follow_redirects=False, stream=True)
            try:
                return response.status_code, _read(response)
            finally:
                response.close()


def canonical(vat_id: str) -> tuple[str, str]:
    """Prefix and number as VIES wants them (Greece is EL). Raises ValueError, whose text says what is wrong and never
    repeats the id."""
    from stdnum.eu import vat  # it loads one module per country; nobody else needs to wait for that
    from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError

    # EU and IM stand for one-stop-shop registrations, which identify no business buyer.
    if vat_id[:2].upper() in ("EU", "IM"):
        raise ValueError("not a VAT id of a member state")
    try:
        whole = str(vat.validate(vat_id))
    except InvalidChecksum:
        raise ValueError("a check digit is wrong") from None
    except InvalidLength:
        raise ValueError("the length is wrong") from None
    except ValidationError:
        known = vat_id[:2].lower() in vat.MEMBER_STATES | {"el"}
        raise ValueError("the form is wrong" if known else "not a VAT id of a member state") from None
    if not (whole.isascii() and whole.isalnum()):
        raise ValueError("the form is wrong")
    return ("EL" if whole[:2] == "GR" else whole[:2]), whole[2:]


def understand(status: int, body: bytes, state: str, number: str) -> tuple[str, str | None, str | None]:
    """Verdict, registered name and reference of an answer to the question about `state` and `number`."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return UNAVAILABLE, None, "unreadable answer"
    if not isinstance(parsed, Mapping):
        return UNAVAILABLE, None, "unreadable answer"
    error = _error(parsed)
    reference = _matching(_REFERENCE, parsed.get("requestIdentifier"))
    if error in _SAYS_INVALID and parsed.get("valid") is not True:
        return INVALID, None, reference or error
    if error not in (None, "VALID") or status != 200:
        return UNAVAILABLE, None, error or f"HTTP {status}"
    if _plain(parsed.get("countryCode", state)) != state or _plain(parsed.get("vatNumber", number)) != number:
        return UNAVAILABLE, None, "an answer to another question"
    valid = parsed.get("valid")
    if valid is True:
        return VALID, _name(parsed.get("name")), reference
    if valid is False and error is None:
        return INVALID, None, reference
    return UNAVAILABLE, None, "unreadable answer"


def _error(parsed: Mapping[str, Any]) -> str | None:
    """The error an answer names, in either of the two shapes; UNKNOWN for one we cannot read."""
    wrappers = parsed.get("errorWrappers")
    first = wrappers[0] if isinstance(wrappers, list) and wrappers else None
    said = first.get("error") if isinstance(first, Mapping) else parsed.get("userError")
    if said in (None, "") and parsed.get("actionSucceed") is not False:
        return None
    return _matching(_ERROR, said) or "UNKNOWN"


def _name(said: object) -> str | None:
    """The registered name in one line; states that keep it to themselves send dashes."""
    plain = " ".join(said.split()) if isinstance(said, str) else ""
    return plain[:500] if plain.strip("-") else None


def _plain(said: object) -> str:
    return "".join(char for char in str(said).upper() if char.isalnum())


def _matching(pattern: re.Pattern[str], said: object) -> str | None:
    return said if isinstance(said, str) and pattern.fullmatch(said) else None


def _unavailable(vat_id: str, now: datetime, why: str) -> VatIdAnswer:
    log.warning("a VAT id could not be looked up", extra={"why": why})
    return VatIdAnswer(vat_id, UNAVAILABLE, now, reference=why)


class _TooLong(Exception):
    pass


def _read(response: httpx2.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_BYTES:
            raise _TooLong
    return bytes(body)
