"""VAT ids: the form first, then the service; and whatever goes wrong there is never called invalid (3.3 no. 7)."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain.evidence import INVALID, UNAVAILABLE, VALID, VatIdAnswer
from ladenbuch.errors import UsageError
from ladenbuch.telemetry.calls import Call
from ladenbuch.vies import MAX_BYTES, VatIds, canonical, understand

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL = "https://vies.test/check-vat-number"
GOOD = "FR40303265045"
Handler = Callable[[httpx2.Request], httpx2.Response]


def vat_ids(handler: Handler, **more: Any) -> VatIds:
    return VatIds(URL, httpx2.Client(transport=httpx2.MockTransport(handler)), clock=lambda: NOW, **more)


def saying(payload: object, status: int = 200) -> Handler:
    return lambda request: httpx2.Response(status, content=json.dumps(payload).encode())


def nobody(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError("nobody may be asked")


def failing(error: type[httpx2.HTTPError]) -> Handler:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise error("no")

    return handler


# -- the form -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vat_id", "why"),
    [
        ("", "not a VAT id of a member state"),
        ("123456789", "not a VAT id of a member state"),
        ("GB980780684", "not a VAT id of a member state"),
        ("CHE107787577IVA", "not a VAT id of a member state"),
        ("EU528003555", "not a VAT id of a member state"),
        ("FR40303265046", "a check digit is wrong"),
        ("FR4030326504", "the length is wrong"),
        ("FRCOMINGSOON", "the form is wrong"),
        ("FR" + "1" * 5000, "the length is wrong"),
        ("ATX57194903", "the form is wrong"),
    ],
)
def test_a_malformed_id_is_invalid_and_nobody_is_asked(vat_id: str, why: str) -> None:
    answer = vat_ids(nobody).check(vat_id, NOW)
    assert answer == VatIdAnswer(vat_id, INVALID, NOW, reference=f"malformed: {why}")


@pytest.mark.parametrize(
    ("vat_id", "asked"),
    [
        (GOOD, ("FR", "40303265045")),
        ("EL094259216", ("EL", "094259216")),
        ("GR094259216", ("EL", "094259216")),
        ("XI980780684", ("XI", "980780684")),
        ("BE697449992", ("BE", "0697449992")),
        ("DE136695976", ("DE", "136695976")),
    ],
)
def test_what_is_asked_has_the_form_the_service_wants(vat_id: str, asked: tuple[str, str]) -> None:
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"valid": True})

    answer = vat_ids(handler).check(vat_id, NOW)
    assert (answer.vat_id, answer.verdict, answer.asked_at) == (vat_id, VALID, NOW), "answered under the id as given"
    assert (seen[0].method, str(seen[0].url)) == ("POST", URL)
    assert json.loads(seen[0].content) == {"countryCode": asked[0], "vatNumber": asked[1]}


@given(st.text(max_size=20) | st.from_regex(r"[A-Z]{2}[A-Z0-9]{0,13}", fullmatch=True))
def test_no_text_at_all_raises_anything_else(text: str) -> None:
    try:
        state, number = canonical(text)
    except ValueError:
        return
    assert len(state) == 2 and number.isascii() and number.isalnum()


# -- the answer ---------------------------------------------------------------------------------------------------

ASKED = {"countryCode": "FR", "vatNumber": "40303265045"}


@pytest.mark.parametrize(
    ("payload", "verdict", "name", "reference"),
    [
        (ASKED | {"valid": True, "name": "SA  Exemple\nFils"}, VALID, "SA Exemple Fils", None),
        (ASKED | {"valid": True, "name": "---", "requestIdentifier": "WAPIAAAAW1"}, VALID, None, "WAPIAAAAW1"),
        (ASKED | {"valid": True, "userError": "VALID", "requestIdentifier": ""}, VALID, None, None),
        (ASKED | {"valid": False, "requestIdentifier": "WAPI2"}, INVALID, None, "WAPI2"),
        ({"valid": False, "userError": "INVALID"}, INVALID, None, "INVALID"),
        ({"valid": False, "userError": "INVALID_INPUT"}, INVALID, None, "INVALID_INPUT"),
    ],
)
def test_what_the_service_knows(payload: dict[str, Any], verdict: str, name: str | None, reference: str | None) -> None:
    answer = vat_ids(saying(payload)).check(GOOD, NOW)
    assert answer == VatIdAnswer(GOOD, verdict, NOW, name, reference)


def test_an_input_error_comes_with_status_400_too() -> None:
    wrapped = {"actionSucceed": False, "errorWrappers": [{"error": "INVALID_INPUT"}]}
    assert vat_ids(saying(wrapped, 400)).check(GOOD, NOW).verdict == INVALID
    assert vat_ids(saying({"valid": False}, 400)).check(GOOD, NOW).verdict == UNAVAILABLE


@pytest.mark.parametrize("error", ["MS_UNAVAILABLE", "MS_MAX_CONCURRENT_REQ", "GLOBAL_MAX_CONCURRENT_REQ", "TIMEOUT",
                                   "SERVICE_UNAVAILABLE", "IP_BLOCKED", "NEVER_SEEN"])  # fmt: skip
@pytest.mark.parametrize("wrapped", [True, False])
def test_down_is_never_invalid(error: str, wrapped: bool) -> None:
    """3.3 no. 7: also when the answer carries `valid: false`, as the service's answers then do."""
    payload: dict[str, Any] = {"valid": False, "userError": error}
    if wrapped:
        payload = {"actionSucceed": False, "errorWrappers": [{"error": error}]}
    answer = vat_ids(saying(payload)).check(GOOD, NOW)
    assert (answer.verdict, answer.reference) == (UNAVAILABLE, error)


@pytest.mark.parametrize(
    "handler",
    [
        *(saying(ASKED | {"valid": False}, status) for status in (201, 301, 302, 401, 403, 404, 429, 500, 502, 503)),
        *(failing(error) for error in (httpx2.ConnectError, httpx2.ReadTimeout, httpx2.RemoteProtocolError)),
        lambda request: httpx2.Response(200, content=b"<html>maintenance</html>"),
        lambda request: httpx2.Response(200, content=b""),
        lambda request: httpx2.Response(200, content=b"[" * 100_000),
        lambda request: httpx2.Response(200, content=b" " * (MAX_BYTES + 1)),
        *(saying(payload) for payload in ([], None, "valid", {}, {"valid": "false"}, {"valid": None}, {"valid": 0})),
        saying({"actionSucceed": False}),
        saying({"valid": False, "userError": "VALID"}),
        saying({"valid": False, "userError": "<script>"}),
        saying({"valid": False, "userError": 5}),
        saying({"valid": False, "errorWrappers": [{"error": None}], "actionSucceed": False}),
        saying({"valid": False, "countryCode": "DE"}),
        saying({"valid": True, "vatNumber": "00000000000"}),
    ],
)
def test_what_is_no_answer_is_unavailable(handler: Handler) -> None:
    answer = vat_ids(handler).check(GOOD, NOW)
    assert answer.verdict == UNAVAILABLE
    assert answer.reference
    assert len(answer.reference) < 70


@given(st.binary(max_size=60) | st.recursive(st.none() | st.booleans() | st.text(max_size=9), lambda inner: st.lists(
    inner, max_size=3) | st.dictionaries(st.sampled_from(["valid", "userError", "errorWrappers", "actionSucceed",
    "countryCode", "vatNumber", "name", "requestIdentifier", "error"]), inner, max_size=5)).map(
    lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_bytes_are_understood_and_only_a_clear_word_decides(body: bytes) -> None:
    verdict, _, _ = understand(200, body, "FR", "40303265045")
    if verdict == VALID:
        assert json.loads(body)["valid"] is True
    if verdict == INVALID:
        assert json.loads(body).get("valid") is not True


def test_redirects_are_not_followed() -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        return httpx2.Response(307, headers={"location": "https://elsewhere.test/"})

    assert vat_ids(handler).check(GOOD, NOW).reference == "HTTP 307"
    assert seen == [URL]


def test_the_sellers_own_id_goes_along_when_it_is_known() -> None:
    seen: list[Any] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return httpx2.Response(200, json={"valid": True, "requestIdentifier": "WAPI1"})

    assert vat_ids(handler, requester="DE136695976").check(GOOD, NOW).reference == "WAPI1"
    assert seen == [ASKED | {"requesterMemberStateCode": "DE", "requesterNumber": "136695976"}]
    with pytest.raises(UsageError) as caught:
        vat_ids(handler, requester="DE136695977")
    assert caught.value.code == "SETTING"
    assert "136695977" not in str(caught.value)


def test_a_look_up_that_is_switched_off_asks_nobody() -> None:
    off = VatIds("", httpx2.Client(transport=httpx2.MockTransport(nobody)), clock=lambda: NOW)
    assert off.check(GOOD, NOW).verdict == UNAVAILABLE
    assert off.check("FR1", NOW).verdict == INVALID, "the form is checked all the same"


def test_s53_every_question_is_one_call_with_a_name_that_is_nobodys() -> None:
    calls: list[str] = []

    @contextlib.contextmanager
    def track(operation: str) -> Iterator[Call]:
        calls.append(operation)
        yield Call("vies", operation)

    for handler in (saying({"valid": True}), saying({}, 503), failing(httpx2.ConnectError)):
        vat_ids(handler, track=track).check(GOOD, NOW)
    vat_ids(nobody, track=track).check("FR1", NOW)
    assert calls == ["check-vat-number"] * 3


def test_s7_neither_log_nor_repr_names_the_buyer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="ladenbuch")
    vat_ids(failing(httpx2.ConnectError)).check(GOOD, NOW)
    answer = vat_ids(saying({"valid": True, "name": "Erika Muster"})).check(GOOD, NOW)
    assert answer.name == "Erika Muster"
    told = " ".join(str(vars(record)) for record in caplog.records) + repr(answer)
    assert GOOD not in " ".join(str(vars(record)) for record in caplog.records)
    assert "Erika" not in told
