"""S31, S34, S37, S38: one table says what each failure means; every row of it is provoked where it is looked up."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from ladenbuch import db
from ladenbuch.domain import failures
from ladenbuch.domain.failures import OTHER, TABLE, Failure
from ladenbuch.errors import Ambiguous, LadenbuchError, Rejected, Retryable
from ladenbuch.mail import smtp, transport
from ladenbuch.mail.providers.api import Answer, judged
from ladenbuch.sevdesk.calls import Caller
from ladenbuch.shopify.admin import Admin
from ladenbuch.shopify.oauth import parse_token_response
from ladenbuch.shopify.partner import Partner
from ladenbuch.shopify.token_endpoint import App, TokenEndpoint

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "ladenbuch"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)

#: Told to whoever asked, at the command line, the door for webhooks or a page, or by the alarm of a look: no run ends
#: with them.
_TOLD = """API-VERSION APP-CONFIG BILLING-PRICE FEE-ACCOUNT FEEDBACK-FETCH FEEDBACK-FORGED FEEDBACK-SHAPE
    FILTER-AMBIGUOUS FILTER-SYNTAX FILTER-UNSUPPORTED NO-PAYMENTS NOT-READY OAUTH-BOT OAUTH-CODE
    OAUTH-HMAC OAUTH-QUERY OAUTH-STATE OAUTH-TIMESTAMP OAUTH-UNKNOWN PAYOUTS-OFF REPORT SESSION-TOKEN
    SEVDESK-BOOKKEEPING SEVDESK-CHANGED WEBHOOK-HEADERS WEBHOOK-SHOP WEBHOOK-XML"""
TOLD = set(_TOLD.split())


# -- the table itself ------------------------------------------------------------------------------------------------


def test_s31_the_page_is_the_table() -> None:
    page = (ROOT / "docs" / "reference" / "failures.md").read_text(encoding="utf-8")
    assert page == failures.page(), "run: python -m ladenbuch.domain.failures > docs/reference/failures.md"


def test_s31_no_sign_stands_twice_and_a_code_is_one_class_of_one_fault() -> None:
    signs = [(row.service, row.sign, value) for row in TABLE for value in row.values]
    assert len(signs) == len(set(signs))
    kinds = defaultdict(set)
    for row in TABLE:
        kinds[row.code].add((row.verdict, row.fault))
    assert {code: kind for code, kind in kinds.items() if len(kind) > 1} == {}


def test_s37_every_code_of_the_table_says_what_to_do() -> None:
    page = (ROOT / "docs" / "reference" / "codes.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([A-Z0-9-]+)` \|", page, re.MULTILINE))
    numbered = re.compile(r"SEVDESK-(\d+|HTTP-)")  # the page has a paragraph for them
    assert {row.code for row in TABLE if row.code not in documented and not numbered.fullmatch(row.code)} == set()


def raised_in_source() -> set[str]:
    raised = re.compile(r"""\b(?:Retryable|Ambiguous|Rejected)\(\s*"([A-Z0-9-]+)",""")
    texts = (path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if "simulators" not in path.parts)
    return {code for text in texts for code in raised.findall(text)}


def test_s31_whatever_we_raise_is_in_the_table_or_is_told_to_whoever_asked() -> None:
    codes = {row.code for row in TABLE}
    page = (ROOT / "docs" / "reference" / "codes.md").read_text(encoding="utf-8")
    typed = set(re.findall(r"^\| `([A-Z0-9-]+)` \|", page.partition("\n## Set-up and commands")[2], re.MULTILINE))
    raised = raised_in_source()
    assert len(raised) > 60 and len(typed) > 20
    assert raised - codes - TOLD - typed == set(), "give it a row in domain/failures.py"
    assert TOLD & codes == set()


def test_s31_an_unknown_code_is_later_and_the_orders_own_so_that_it_comes_to_an_end() -> None:
    assert failures.known("NEVER-HEARD-OF") is failures.UNKNOWN
    assert (failures.UNKNOWN.verdict, failures.UNKNOWN.fault) == ("later", "order")
    assert failures.known("SEVDESK-HTTP-418").verdict == "ask"


# -- every row, provoked ---------------------------------------------------------------------------------------------


def rows(service: str) -> list[Any]:
    """Every row with each of its values; of a hundred statuses the first, the last and those that stand alone."""
    found = [(row, value) for row in TABLE if row.service == service for value in row.values
             if not (isinstance(value, int) and {value - 1, value + 1} <= set(row.values))]  # fmt: skip
    return [pytest.param(row, value, id=f"{row.sign}-{value}") for row, value in found]


def check(row: Failure, error: LadenbuchError, *, write: bool) -> None:
    code = row.code + "418" if row.code == "SEVDESK-HTTP-" else row.code
    if row.verdict != "later":
        kind: type[LadenbuchError] = Rejected
    else:
        kind = Ambiguous if write and row.lost else Retryable
    assert (type(error), error.code) == (kind, code)
    assert failures.known(error.code).fault == row.fault


def exception(name: str) -> httpx2.HTTPError:
    named: Any = {"TransportError": httpx2.ReadError, "HTTPError": httpx2.ReadTimeout}.get(name)
    return (named or getattr(httpx2, name))("no")


def client(answer: httpx2.Response | Exception) -> httpx2.Client:
    def handler(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx2.Client(transport=httpx2.MockTransport(handler))


def status_of(value: int | str) -> int:
    return 418 if value == OTHER else int(value)


def to_sevdesk(row: Failure, value: int | str, *, write: bool) -> httpx2.Response | Exception:
    if row.sign == "status":
        return httpx2.Response(status_of(value), content=b"{}")
    if row.sign == "exception":
        return exception(str(value))
    if value == "no JSON":
        return httpx2.Response(200, content=b"<html>")
    if value == "too long":
        return httpx2.Response(200, content=b"x" * 100)
    if row.sign == "answer":
        known = value != "any other error"
        return httpx2.Response(400 if known else 418, json={"error": {"code": 999, "message": "x"}})
    code = value if row.sign == "code" else None
    said = str(value).replace(",", " is ") if row.sign == "words" else "x"
    return httpx2.Response(422, json={"error": {"code": code, "message": said}})


@pytest.mark.parametrize(("row", "value"), rows("sevdesk"))
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_s31_sevdesk(row: Failure, value: int | str, write: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not write and row.code == "SEVDESK-UNCLEAR":
        return  # of a read, it is any other error
    monkeypatch.setattr("ladenbuch.sevdesk.calls.MAX_BYTES", 90)
    answer = to_sevdesk(row, value, write=write)
    if isinstance(answer, httpx2.Response) and value == "too long":
        answer = httpx2.Response(200, stream=Slow(b"x" * 100))
    caller = Caller("https://x.invalid", lambda: "t", client(answer), clock=lambda: NOW, sleep=lambda seconds: None)
    with pytest.raises(LadenbuchError) as caught:
        caller.json("POST" if write else "GET", "/Thing", "/Thing", body={"a": "b"} if write else None)
    check(row, caught.value, write=write)


class Slow(httpx2.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self) -> Any:
        yield self.body


def to_shopify(row: Failure, value: int | str) -> httpx2.Response | Exception:
    if row.sign == "status":
        return httpx2.Response(status_of(value))
    if row.sign == "exception":
        return exception(str(value))
    if row.sign == "code":
        error = {"message": "x", "extensions": {"code": "WHATEVER" if value == OTHER else value}}
        return httpx2.Response(200, json={"errors": [error]})
    if value == "holes":
        return httpx2.Response(200, json={"data": {"shop": None}, "errors": [{"message": "x", "path": ["shop"]}]})
    return httpx2.Response(200, content=b"{}" if value == "neither data nor errors" else b"<html>")


@pytest.mark.parametrize(("row", "value"), rows("shopify"))
@pytest.mark.parametrize("write", [False, True], ids=["query", "mutation"])
def test_s31_shopify(row: Failure, value: int | str, write: bool) -> None:
    if write and row.code in ("SHOPIFY-PARTIAL", "SHOPIFY-SCOPE"):
        return  # of a mutation the caller reads the holes
    http = client(to_shopify(row, value))
    admin = Admin("a.myshopify.com", "https://{shop}", lambda: "t", http, sleep=lambda seconds: None, clock=lambda: NOW)
    delete = partial(admin.execute, "webhook_delete", {"id": "gid://shopify/WebhookSubscription/1"})
    call = delete if write else admin.shop_settings
    with pytest.raises(LadenbuchError) as caught:
        call()
    check(row, caught.value, write=write)


@pytest.mark.parametrize(("row", "value"), rows("oauth"))
def test_s31_token_endpoint(row: Failure, value: int | str) -> None:
    with pytest.raises(LadenbuchError) as caught:
        ask_for_token(row, value)
    check(row, caught.value, write=False)


def ask_for_token(row: Failure, value: int | str) -> None:
    if row.sign == "exception":
        endpoint = TokenEndpoint("https://{shop}", client(exception(str(value))), lambda: NOW)
        endpoint.client_credentials(App("id", ("secret",)), "a.myshopify.com")
    elif row.sign == "status":
        parse_token_response(status_of(value), b"{}", NOW)
    elif row.sign == "code":
        body = json.dumps({"error": "whatever" if value == OTHER else value}).encode()
        parse_token_response(400, body, NOW)
    else:
        bodies = {"no JSON": b"<html>", "no token": b"{}", "no expiry": b'{"access_token": "t"}'}
        parse_token_response(200, bodies[str(value)], NOW)


@pytest.mark.parametrize(("row", "value"), rows("partner"))
def test_s31_partner(row: Failure, value: int | str) -> None:
    bodies = {"no JSON": b"<html>", "no data": b"{}", "errors": b'{"errors": [{"message": "x"}]}'}
    if row.sign == "exception":
        answer: httpx2.Response | Exception = exception(str(value))
    elif row.sign == "status":
        answer = httpx2.Response(status_of(value))
    else:
        answer = httpx2.Response(200, content=bodies[str(value)])
    partner = Partner("https://x.invalid", "1", lambda: "t", client(answer))
    with pytest.raises(LadenbuchError) as caught:
        partner.active_subscription("gid://shopify/App/1", "gid://shopify/Shop/1")
    check(row, caught.value, write=False)


class _Original(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("x")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(("row", "value"), rows("database"))
def test_s31_database(row: Failure, value: int | str) -> None:
    text, committing, error = str(value), value == "no answer to a commit", None
    if row.sign == "sqlite":
        kind = sqlite3.IntegrityError if text == "SQLITE_CONSTRAINT" else sqlite3.OperationalError
        error = kind("x")
        error.sqlite_errorname = f"{text}_EXTENDED"
    elif value == "no connection became free":
        error = sa.exc.TimeoutError()
    else:
        state = text.ljust(5, "0") if row.sign == "sqlstate" else None
        wrapper = sa.exc.IntegrityError if text == "23" else sa.exc.OperationalError
        error = wrapper("x", {}, _Original(state))
    known, _ = db._translated(error, False, committing)
    if row.at_once:
        assert isinstance(known, db._Conflict)  # the whole transaction again; DB-BUSY after the last
        return
    assert isinstance(known, LadenbuchError)
    check(row, known, write=True)


@pytest.mark.parametrize(("row", "value"), [one for one in rows("smtp") if one.values[0].sign == "reply"])
def test_s31_smtp_replies(row: Failure, value: int | str) -> None:
    stage, _, said = str(value).partition(" ")
    number = int((said or "4")[0] + "51") if len(said) != 3 else int(said)
    text = f"{said}1 x" if said.count(".") == 2 else "x"
    relay = transport.Relay.parse("smtp://relay.invalid")
    outcome = smtp._refusal(number, text, stage, relay)
    assert isinstance(outcome, transport.TryLater | transport.Refused)
    assert outcome.code == row.code
    assert (isinstance(outcome, transport.Refused) and outcome.permanent) == (row.verdict == "never")


@pytest.mark.parametrize(("row", "value"), rows("mail"))
def test_s31_mail_providers(row: Failure, value: int | str) -> None:
    from ladenbuch.mail.providers import mailgun, postmark, sendgrid, ses
    from ladenbuch.mail.transport import Refused, TryLater, Uncertain

    if row.sign == "exception":
        assert failures.by_exception("mail", exception(str(value))) is row
        return
    text = str(value)
    if row.sign == "status":
        way, answer = postmark.WAY, Answer(status_of(value), {}, {"Message": "x"})
    elif isinstance(value, int):
        way, answer = postmark.WAY, Answer(422, {}, {"ErrorCode": value, "Message": "x"})
    elif text in ("field to", "field message"):
        way, answer = mailgun.WAY, Answer(400, {}, {"message": f"'{text[6:]}' parameter is wrong"})
    elif text.startswith("field "):
        way, answer = sendgrid.WAY, Answer(400, {}, {"errors": [{"field": f"{text[6:]}.0", "message": "x"}]})
    elif text == "not verified":
        said = {"message": "Email address is not verified."}
        way, answer = ses.WAY, Answer(400, {"x-amzn-errortype": "MessageRejected:http://x"}, said)
    else:
        way, answer = ses.WAY, Answer(400, {}, {"__type": f"com.amazonaws#{text}", "message": "x"})
    outcome = judged(way, answer, "relay", NOW)
    if row.verdict == "ask":
        assert isinstance(outcome, Uncertain)
    else:
        assert isinstance(outcome, TryLater | Refused) and outcome.code == row.code
        assert (isinstance(outcome, Refused) and outcome.permanent) == (row.verdict == "never")


def test_s31_smtp_the_relay_is_nobodys_letter() -> None:
    """Without a connection, without TLS, without a sign-in: every letter waits, none of them is at fault."""
    for row in failures.SMTP:
        if row.sign == "exception":
            assert (row.verdict, row.fault) == ("later", "service")
    assert transport.TryLater("x").code == transport.Refused("x", False).code == "LETTER-RELAY"
