"""One call to sevdesk and what its failure means: table of S31, error codes (facts 1.7), transport traps (1.2, 1.3)."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from ladenbuch.deadline import leaving_before
from ladenbuch.domain import failures
from ladenbuch.errors import Ambiguous, LadenbuchError, Rejected, Retryable
from ladenbuch.sevdesk.calls import Caller, retry_after, scrub

MEANINGS = {code: row.text for row in failures.SEVDESK if row.sign == "code" for code in row.values}
TOKEN = "c0ffee00c0ffee00c0ffee00c0ffee00"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
READ, WRITE = "GET", "POST"


def caller(answer: Callable[[httpx2.Request], httpx2.Response] | httpx2.Response | Exception, **parts: Any) -> Caller:
    def handler(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else answer(request)

    http = parts.pop("http", None) or httpx2.Client(transport=httpx2.MockTransport(handler))
    parts.setdefault("token", lambda: TOKEN)
    parts.setdefault("sleep", lambda seconds: None)
    return Caller("https://sevdesk.invalid/api/v1/", http=http, clock=lambda: NOW, **parts)


def failure(method: str, answer: Any, **parts: Any) -> LadenbuchError:
    body = None if method == "GET" else {"name": "Erika Muster", "price": "11.90"}
    with pytest.raises(LadenbuchError) as caught:
        caller(answer, **parts).json(method, "/Thing/{id}", "/Thing/1", body=body)
    return caught.value


def problem(code: int | None, message: str = "x", status: int = 422) -> httpx2.Response:
    return httpx2.Response(status, json={"objects": None, "error": {"message": message, "code": code, "data": []}})


# -- S31: who must act ----------------------------------------------------------------------------

BEFORE = [httpx2.ConnectError("no"), httpx2.ConnectTimeout("no"), httpx2.PoolTimeout("no")]
AFTER = [
    httpx2.ReadTimeout("no"),
    httpx2.WriteTimeout("no"),
    httpx2.ReadError("no"),
    httpx2.WriteError("no"),
    httpx2.CloseError("no"),
    httpx2.RemoteProtocolError("no"),
]


@pytest.mark.parametrize("error", BEFORE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", [READ, WRITE, "PUT", "DELETE"])
def test_s31_nothing_was_sent(method: str, error: Exception) -> None:
    found = failure(method, error)
    assert type(found) is Retryable
    assert found.code == "SEVDESK-UNREACHABLE"


@pytest.mark.parametrize("error", AFTER, ids=lambda error: type(error).__name__)
def test_s31_a_broken_connection_is_ambiguous_for_writes_only(error: Exception) -> None:
    assert type(failure(READ, error)) is Retryable
    for method in (WRITE, "PUT", "DELETE"):
        assert type(failure(method, error)) is Ambiguous


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 520])
def test_s31_server_errors_are_ambiguous_for_writes_only(status: int) -> None:
    answer = httpx2.Response(status, text="<html>oops</html>", headers={"Retry-After": "7"})
    assert type(failure(READ, answer)) is Retryable
    found = failure(WRITE, httpx2.Response(status, text="", headers={"Retry-After": "7"}))
    assert type(found) is Ambiguous
    assert found.after == 7.0


def test_s31_a_500_with_a_known_code_is_no_proof_that_nothing_was_stored() -> None:
    assert type(failure(WRITE, problem(7100, status=500))) is Ambiguous


@pytest.mark.parametrize("method", [READ, WRITE])
def test_s31_429_was_not_processed_even_for_writes(method: str) -> None:
    found = failure(method, httpx2.Response(429, headers={"Retry-After": "30"}))
    assert type(found) is Retryable
    assert (found.code, found.after) == ("SEVDESK-BUSY", 30.0)


@pytest.mark.parametrize("late", [-0.001, 0.0, 300.0])
def test_s109_a_write_leaves_before_its_last_moment_or_not_at_all(late: float) -> None:
    """A run that stood still between its look and its call sends nothing; reads still pass."""
    sent: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.method)
        return httpx2.Response(200, json={"objects": []})

    calling = caller(answer)
    with leaving_before(NOW - timedelta(seconds=late)):
        calling.json("GET", "/Invoice", "/Invoice")
        if late < 0:
            calling.json("POST", "/Invoice", "/Invoice", body={})
        else:
            with pytest.raises(Retryable) as caught:
                calling.json("POST", "/Invoice", "/Invoice", body={})
            assert (caught.value.code, type(caught.value)) == ("SEVDESK-LATE", Retryable)
    calling.json("POST", "/Invoice", "/Invoice", body={})
    assert sent == ["GET", "POST", "POST"][: 3 if late < 0 else 2]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("method", [READ, WRITE])
def test_s31_a_refused_token(method: str, status: int) -> None:
    found = failure(method, httpx2.Response(status))
    assert type(found) is Rejected
    assert found.code == "SEVDESK-TOKEN"


@pytest.mark.parametrize("status", [404, 405, 409, 410, 413, 415, 422])
@pytest.mark.parametrize("method", [READ, WRITE])
def test_s31_s37_other_refusals_are_permanent(method: str, status: int) -> None:
    found = failure(method, problem(None, status=status))
    assert type(found) is Rejected
    assert found.code == f"SEVDESK-HTTP-{status}"


@pytest.mark.parametrize("status", [200, 400])
def test_s31_an_unknown_400_or_error_inside_200_is_ambiguous_for_writes(status: int) -> None:
    assert type(failure(WRITE, problem(4711, status=status))) is Ambiguous
    assert type(failure(READ, problem(4711, status=status))) is Rejected


@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b'{"objects": {"id":', b"\xff\xfe", b"[NaN]"])
def test_s31_a_success_that_is_not_json(body: bytes) -> None:
    assert type(failure(READ, httpx2.Response(200, content=body))) is Retryable
    assert type(failure(WRITE, httpx2.Response(201, content=body))) is Ambiguous


def test_a_cut_answer_is_ambiguous_for_writes() -> None:
    class Cut(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b'{"objects": '
            raise httpx2.RemoteProtocolError("peer closed")

    assert type(failure(WRITE, lambda request: httpx2.Response(200, stream=Cut()))) is Ambiguous
    assert type(failure(READ, lambda request: httpx2.Response(200, stream=Cut()))) is Retryable


# -- error table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(MEANINGS))
@pytest.mark.parametrize("status", [200, 400, 404, 409, 422])
def test_known_codes_are_named_whatever_status_they_come_with(code: int, status: int) -> None:
    """Facts 1.7: 390 comes inside HTTP 200, 151 sometimes with 400."""
    found = failure(WRITE, problem(code, status=status))
    assert type(found) is Rejected
    assert (found.code, found.message) == (f"SEVDESK-{code}", MEANINGS[code])


def test_a_code_may_be_a_string_or_sit_in_error_code() -> None:
    answer = {"objects": None, "error": {"message": "x", "code": None, "errorCode": "421"}}
    assert failure(WRITE, httpx2.Response(422, json=answer)).code == "SEVDESK-421"
    assert failure(WRITE, httpx2.Response(422, json={"error": "plain words"})).code == "SEVDESK-HTTP-422"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Invoice: expected array with 'id' and 'objectName'", "SEVDESK-REFERENCE"),
        ("Invalid tax rate", "SEVDESK-TAX-RATE"),
        ("taxRule must not be null", "SEVDESK-TAX-RULE"),
        ("Document already enshrined", "SEVDESK-ENSHRINED"),
    ],
)
def test_refusals_without_a_code_are_recognised_by_their_words(message: str, code: str) -> None:
    found = failure(WRITE, problem(None, message, 400))
    assert (type(found), found.code) == (Rejected, code)


def test_a_null_error_is_no_error() -> None:
    assert caller(httpx2.Response(200, json={"objects": [], "error": None})).json("GET", "/X", "/X") == {
        "objects": [],
        "error": None,
    }


# -- secrets and names stay where they belong ---------------------------------------------------------


def test_the_token_is_sent_raw_without_bearer_and_never_in_the_address() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"objects": []})

    caller(answer).json("POST", "/X", "/X", query=[("a[id]", "1 2")], body={"name": "Ä"})
    (request,) = seen
    assert request.headers["authorization"] == TOKEN
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("Ladenbuch/")
    assert request.headers["content-type"] == "application/json"
    assert str(request.url) == "https://sevdesk.invalid/api/v1/X?a%5Bid%5D=1+2"
    assert TOKEN not in str(request.url)
    assert request.content == '{"name":"Ä"}'.encode()


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ümlaut"])
def test_an_unusable_token_is_refused_before_anything_is_sent(token: str) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        pytest.fail("a request was sent")

    found = failure(READ, answer, token=lambda: token)
    assert found.code == "SEVDESK-TOKEN"
    assert not token or token not in str(found)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_token_never_follows_a_redirect(status: int) -> None:
    """Facts 1.3: even when the shared HTTP client is set to follow."""
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        return httpx2.Response(status, headers={"Location": "https://elsewhere.invalid/"})

    http = httpx2.Client(transport=httpx2.MockTransport(handler), follow_redirects=True)
    for method in (READ, WRITE):
        found = failure(method, None, http=http)
        assert (type(found), found.code) == (Rejected, "SEVDESK-REDIRECT")
    assert len(seen) == 2
    assert not [url for url in seen if "elsewhere" in url]


def test_a_session_cookie_of_one_tenant_does_not_travel_with_the_token_of_another() -> None:
    cookies: list[str | None] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        cookies.append(request.headers.get("cookie"))
        return httpx2.Response(200, json={}, headers={"Set-Cookie": "PHPSESSID=tenant-one; Path=/"})

    http = httpx2.Client(transport=httpx2.MockTransport(handler))
    for _ in range(2):
        caller(None, http=http).json("GET", "/X", "/X")  # type: ignore[arg-type]
    assert cookies == [None, None]


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.ReadError(f"failed with {TOKEN}"),
        problem(None, f"Erika Muster is wrong, says {TOKEN}"),
        problem(None, "Erika Muster", 400),
        httpx2.Response(500, text=TOKEN),
        httpx2.Response(401, text=TOKEN),
    ],
    ids=["transport", "422", "400", "500", "401"],
)
def test_no_secret_and_no_name_in_texts_of_exceptions(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = caller(answer)
    with caplog.at_level(logging.DEBUG, logger="ladenbuch"), pytest.raises(LadenbuchError) as caught:
        client.json("POST", "/Contact", "/Contact", body={"surename": "Erika Muster"})
    shown = "".join(traceback.format_exception(caught.value)) + repr(client) + repr(caught.value) + caplog.text
    assert TOKEN not in shown
    # the source lines of a traceback show this test, not its values
    assert "Muster is wrong" not in str(caught.value)
    assert "Erika" not in str(caught.value.detail.get("said", ""))


def test_sevdesks_words_are_kept_without_what_we_sent() -> None:
    sent = {"invoice": {"addressName": "Erika Muster"}, "list": [{"text": "Hafenweg 3"}], "x": "ab"}
    assert scrub("bad Erika Muster at Hafenweg 3 tab\x00\n" + "x" * 300, sent) == ("bad … at … tab " + "x" * 300)[:200]


# -- bodies and waiting -------------------------------------------------------------------------------


class Raw(httpx2.SyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b'{"objects":1}'),
        ({"Content-Encoding": "gzip"}, gzip.compress(b'{"objects":1}', mtime=0)),
        ({}, gzip.compress(b'{"objects":1}', mtime=0)),
        ({"Content-Encoding": "gzip"}, b'{"objects":1}'),
        ({"Content-Encoding": "br"}, b'{"objects":1}'),
    ],
)
def test_a_wrong_content_encoding_does_not_matter(headers: dict[str, str], body: bytes) -> None:
    """Facts 1.3: a live PDF answer had a Content-Encoding it did not use."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=headers, stream=Raw(body[:3], body[3:]))

    assert caller(answer).json("GET", "/X", "/X") == {"objects": 1}


def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ladenbuch.sevdesk.calls.MAX_BYTES", 1000)
    plain = lambda request: httpx2.Response(200, stream=Raw(b"[", b" " * 2000))  # noqa: E731
    bomb = lambda request: httpx2.Response(200, stream=Raw(gzip.compress(b" " * 2000, mtime=0)))  # noqa: E731
    for answer in (plain, bomb):
        assert failure(READ, answer).code == "SEVDESK-BODY"
        assert type(failure(WRITE, answer)) is Ambiguous


def test_an_empty_success_is_none() -> None:
    assert caller(httpx2.Response(204)).json("DELETE", "/X/{id}", "/X/1") is None


def test_a_short_429_is_waited_for_and_repeated_also_for_writes() -> None:
    answers = iter([429, 429, 200])
    waited: list[float] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(next(answers), json={"objects": 1}, headers={"Retry-After": "1.0"})

    assert caller(answer, sleep=waited.append).json("POST", "/X", "/X", body={}) == {"objects": 1}
    assert waited == [1.0, 1.0]


def test_a_429_is_not_waited_for_for_ever() -> None:
    calls: list[int] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls.append(1)
        return httpx2.Response(429, headers={"Retry-After": "1"})

    assert failure(WRITE, answer).code == "SEVDESK-BUSY"
    assert len(calls) == 3


@pytest.mark.parametrize("status", [500, 503, 400])
def test_an_ambiguous_write_is_sent_exactly_once(status: int) -> None:
    calls: list[int] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls.append(1)
        return httpx2.Response(status, headers={"Retry-After": "0"})

    assert type(failure(WRITE, answer)) is Ambiguous
    assert calls == [1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.0", 1.0),
        ("30", 30.0),
        ("-5", 0.0),
        ("99999", 3600.0),
        ("Sun, 22 Nov 2026 12:00:10 GMT", 10.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, expected: float | None) -> None:
    assert retry_after(value, NOW) == expected


# -- what is given from above -------------------------------------------------------------------------


def test_budget_breaker_and_observer_are_asked_and_told() -> None:
    told: list[object] = []

    class Recorder:
        def before(self) -> None:
            told.append("before")

        def after(self, status: int | None) -> None:
            told.append(status)

    recorder = Recorder()

    def of_token(token: str) -> Recorder:
        assert token == TOKEN
        return recorder

    hung = httpx2.ReadTimeout("x")
    answers: Iterator[httpx2.Response | Exception] = iter(
        [httpx2.Response(200, json={}), problem(151, status=404), httpx2.Response(500), hung, hung]
    )

    def answer(request: httpx2.Request) -> httpx2.Response:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    client = caller(
        answer,
        breaker=of_token,
        budget=lambda: told.append("budget"),
        on_call=lambda template, status, seconds: told.append((template, status)),
    )
    for _ in range(3):
        try:
            client.json("GET", "/Invoice/{id}", "/Invoice/1")
        except LadenbuchError:
            told.append("failed")
    call = "GET /Invoice/{id}"
    assert told == [
        *("before", "budget", 200, (call, 200)),
        *("before", "budget", 404, (call, 404), "failed"),
        *("before", "budget", 500, (call, 500)),
        *("before", "budget", 0, (call, 0)),
        *("before", "budget", 0, (call, 0), "failed"),
    ]


def test_an_exhausted_budget_and_an_open_breaker_send_nothing() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        pytest.fail("a request was sent")

    def spent() -> None:
        raise Retryable("SEVDESK-BUDGET", after=3)

    class Open:
        def before(self) -> None:
            raise Retryable("SEVDESK-PAUSED", after=30)

        def after(self, status: int | None) -> None:
            pytest.fail("nothing was called")

    told: list[int | None] = []
    closed = type("Closed", (), {"before": lambda self: None, "after": lambda self, status: told.append(status)})
    assert failure(WRITE, answer, budget=spent, breaker=lambda token: closed()).code == "SEVDESK-BUDGET"
    assert told == [None], "so that a probe that was not sent is another's"
    assert failure(WRITE, answer, breaker=lambda token: Open()).code == "SEVDESK-PAUSED"


@pytest.mark.parametrize("first", [httpx2.Response(503), httpx2.Response(500), httpx2.ReadError("cut")])
def test_s31_a_read_that_stumbles_is_repeated_once(first: Any) -> None:
    answers: list[Any] = [first, httpx2.Response(200, json={"objects": 1})]
    waited: list[float] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    assert caller(answer, sleep=waited.append).json("GET", "/X", "/X") == {"objects": 1}
    assert waited == [0.5]
    answers += [first, first, first]
    assert failure(READ, answer).code in ("SEVDESK-UNAVAILABLE", "SEVDESK-LOST")
    assert len(answers) == 1, "once, not again and again"
    answers[:] = [first, first]
    assert isinstance(failure(WRITE, answer), Ambiguous)
    assert len(answers) == 1, "a write never"


def test_s31_a_read_that_hung_is_not_repeated() -> None:
    clock = iter(NOW + timedelta(seconds=seconds) for seconds in (0, 0, 0, 30, 30, 30, 30))
    asked: list[object] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        raise httpx2.ReadTimeout("no")

    slow = caller(answer)
    slow._clock = lambda: next(clock)
    with pytest.raises(Retryable):
        slow.json("GET", "/X", "/X")
    assert len(asked) == 1


def test_the_clients_timeouts_apply() -> None:
    seen: list[Any] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.extensions["timeout"])
        return httpx2.Response(200, json={})

    http = httpx2.Client(transport=httpx2.MockTransport(handler), timeout=7)
    caller(None, http=http).json("GET", "/X", "/X")  # type: ignore[arg-type]
    assert seen == [{"connect": 7, "read": 7, "write": 7, "pool": 7}]
    assert json.dumps(seen)
