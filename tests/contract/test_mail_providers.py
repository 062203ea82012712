"""S113, S140: SendGrid, Mailgun, Amazon SES and Postmark take our letters, each judged by a fake that is as strict as
what the provider publishes; and whatever they answer, we know what we know.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import httpx2
import pytest

from ladenbuch.errors import UsageError
from ladenbuch.mail.providers import Account
from ladenbuch.mail.providers.ses import signature
from ladenbuch.mail.sending import HEADER, REFERENCE
from ladenbuch.mail.transport import Accepted, Refused, Relays, TryLater, Uncertain
from ladenbuch.simulators.http import Route, SimTransport
from ladenbuch.simulators.mail_providers import Post, ProviderSimulator

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOST = "127.0.0.1:9025"
URLS = {
    "sendgrid": f"sendgrid://apikey:simulated-key@{HOST}/sendgrid",
    "mailgun": f"mailgun://example.org:simulated-key@{HOST}/mailgun",
    "ses": f"ses://AKIDSIMULATED:simulated-key@{HOST}/ses?region=eu-central-1&configuration_set=letters",
    "postmark": f"postmark://server:simulated-key@{HOST}/postmark?stream=outbound",
}
MESSAGE_ID = "<ladenbuch.0123456789abcdef0123456789abcdef@example.org>"


@pytest.fixture(params=sorted(URLS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def post() -> Post:
    return Post(lambda: NOON)


def relays(post: Post, *urls: str, clock: Callable[[], datetime] = lambda: NOON) -> Relays:
    http = httpx2.Client(transport=SimTransport([Route(f"http://{HOST}/", post)]))
    return Relays(urls, http=http, clock=clock, sleep=lambda seconds: None)


def letter(to: str = "anna@example.net", sender: str = "rechnung@example.org", picture: bool = False) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Müller & Söhne <{sender}>"
    message["To"] = f"Änne Öz <{to}>"
    message["Reply-To"] = "fragen@example.org"
    message["Subject"] = "Ihre Rechnung RE-1001 über 11,90 €"
    message["Message-ID"] = MESSAGE_ID
    message["Auto-Submitted"] = "auto-generated"
    message[HEADER] = "0123456789abcdef0123456789abcdef"
    message.set_content("Grüße aus dem Laden\n.\nzweite Zeile\n")
    message.add_alternative("<p>Grüße aus dem <b>Laden</b></p>", subtype="html")
    message.add_attachment(b"%PDF-1.7 \x00\xff", maintype="application", subtype="pdf", filename="RE-1001.pdf")
    return message


class Before:
    """How often it was called, and what the provider had then."""

    def __init__(self, one: ProviderSimulator, fails: bool = False) -> None:
        self.one, self.fails = one, fails
        self.had: list[int] = []

    def __call__(self) -> None:
        self.had.append(len(self.one.taken))
        if self.fails:
            raise RuntimeError("another run has this letter")


def send(post: Post, name: str, message: EmailMessage | None = None, **options: Any) -> tuple[Any, Before]:
    before = Before(post.all[name])
    message = message or letter()
    to = message["To"].addresses[0].addr_spec
    return relays(post, URLS[name]).send(message, message["From"].addresses[0].addr_spec, to, before, **options), before


def test_s113_a_provider_takes_the_letter_whole_and_knows_it_by_our_name(post: Post, name: str) -> None:
    outcome, before = send(post, name)
    assert isinstance(outcome, Accepted) and outcome.relay.startswith(name), outcome
    (taken,) = post.all[name].taken
    assert before.had == [0], "sending must be committed before the provider can have the letter"
    assert taken.arguments == {REFERENCE: "0123456789abcdef0123456789abcdef"}
    assert (taken.mail_from, taken.to) == ("rechnung@example.org", "anna@example.net")
    assert taken.subject == "Ihre Rechnung RE-1001 über 11,90 €"
    assert "Grüße aus dem Laden" in taken.text and "zweite Zeile" in taken.text
    assert taken.attachments == (("RE-1001.pdf", "application/pdf", 11),)
    assert outcome.reply.split()[0] in ("200", "202") and "@" not in outcome.reply
    # SES puts its own in place of ours, so a repeat there is recognised by the tag alone.
    assert (taken.message_id == MESSAGE_ID) == (name != "ses")


@pytest.mark.parametrize(("kind", "expected"), [("busy", TryLater), ("away", TryLater), ("error", Uncertain)])
def test_s113_no_is_later_and_a_failure_is_uncertain(post: Post, name: str, kind: Any, expected: type) -> None:
    post.all[name].fault(kind)
    outcome, _ = send(post, name)
    assert isinstance(outcome, expected), outcome
    assert post.all[name].taken == []
    if isinstance(outcome, TryLater):
        assert outcome.code == "LETTER-RELAY" and not outcome.stay
        assert outcome.after == (2.0 if (name, kind) == ("sendgrid", "busy") else None)


@pytest.mark.parametrize("kind", ["lost", "cut"])
def test_s113_a_lost_answer_is_uncertain_whether_it_was_taken_or_not(post: Post, name: str, kind: Any) -> None:
    post.all[name].fault(kind)
    outcome, before = send(post, name)
    assert isinstance(outcome, Uncertain), outcome
    assert len(post.all[name].taken) == (kind == "lost")
    assert before.had == [0]


def test_s113_no_connection_is_no_letter(name: str) -> None:
    def nobody(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    http = httpx2.Client(transport=httpx2.MockTransport(nobody))
    made = Relays([URLS[name]], http=http, clock=lambda: NOON)
    outcome = made.send(letter(), "rechnung@example.org", "anna@example.net", lambda: None)
    assert isinstance(outcome, TryLater) and outcome.code == "LETTER-RELAY"


def test_s113_a_wrong_key_and_a_foreign_sender_are_ours_to_repair_not_the_letters(post: Post, name: str) -> None:
    if name != "mailgun":  # which takes any sender
        outcome, _ = send(post, name, letter(sender="rechnung@elsewhere.test"))
        assert isinstance(outcome, Refused) and not outcome.permanent, outcome
    post.all[name].key = "another"
    outcome, _ = send(post, name)
    assert isinstance(outcome, Refused) and not outcome.permanent and outcome.code == "LETTER-RELAY", outcome
    assert post.all[name].taken == []


def test_s113_a_recipient_it_does_not_write_to_is_the_letters(post: Post, name: str) -> None:
    outcome, _ = send(post, name, letter(to="anna@nowhere"))
    assert isinstance(outcome, Refused) and outcome.permanent and outcome.code == "LETTER-REFUSED", outcome
    post.postmark.inactive.add("anna@example.net")
    outcome, _ = send(post, "postmark")
    assert isinstance(outcome, Refused) and outcome.permanent and "inactive" in outcome.reason


def test_s113_a_run_that_lost_the_letter_sends_nothing(post: Post, name: str) -> None:
    before = Before(post.all[name], fails=True)
    with pytest.raises(RuntimeError):
        relays(post, URLS[name]).send(letter(), "rechnung@example.org", "anna@example.net", before)
    assert post.all[name].taken == []


def test_s113_the_next_provider_takes_over_within_the_same_attempt(post: Post) -> None:
    """Failover: what the first says no to, the second takes; of what may be there nobody else is asked."""
    made = relays(post, URLS["postmark"], URLS["ses"])
    post.postmark.fault("away", 2)
    outcomes = [made.send(letter(), "rechnung@example.org", "anna@example.net", lambda: None) for _ in range(3)]
    assert [one.relay for one in outcomes] == ["ses eu-central-1"] * 3
    assert made.well() == {"postmark": False, "ses eu-central-1": True}, "left alone after two failures in a row"
    post.ses.fault("lost")
    outcome = made.send(letter(), "rechnung@example.org", "anna@example.net", lambda: None)
    assert isinstance(outcome, Uncertain)
    assert (len(post.ses.taken), len(post.postmark.taken)) == (4, 0)


def test_a_request_is_signed_as_amazon_publishes_it() -> None:
    """The worked example of Signature Version 4 in Amazon's documentation (IAM ListUsers)."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Host": "iam.amazonaws.com",
        "X-Amz-Date": "20150830T123600Z",
    }
    found = signature(
        "GET", "/", "Action=ListUsers&Version=2010-05-08", headers, b"", "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "iam",
    )  # fmt: skip
    assert found == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


@pytest.mark.parametrize(
    "url",
    [
        "sendgrid://apikey:secret@",
        "sendgrid://api.sendgrid.com",
        "mailgun://:secret@api.mailgun.net",
        "ses://ID:secret@email.example.org",
        "ses://ID:secret@email.eu-central-1.amazonaws.com?rate=fast",
        "postmark://server:secret@api.postmarkapp.com?strem=outbound",
        "postmark://server:secret@api.postmarkapp.com:99999",
        "mandrill://x:secret@example.org",
    ],
)
def test_a_wrong_account_names_the_setting_and_never_the_key(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Relays([url])
    assert caught.value.code == "SMTP-URL" and "LADENBUCH_SMTP_URLS" in caught.value.message
    assert "secret" not in str(caught.value)


def test_an_account_is_spoken_to_over_tls_and_named_without_its_key() -> None:
    account = Account.parse("ses://AKIA:a%2Fb%2B%2Cc@email.eu-west-1.amazonaws.com?rate=14")
    assert (account.base, account.key, account.rate) == ("https://email.eu-west-1.amazonaws.com", "a/b+,c", 14.0)
    assert account.name == "ses eu-west-1" and "a/b" not in repr(account)
    assert Account.parse("postmark://s:t@127.0.0.1:1/p").base == "http://127.0.0.1:1/p", "a stand-in"


def test_s113_who_can_be_asked_says_whether_it_has_a_letter_nobody_is_sure_of(post: Post, name: str) -> None:
    post.all[name].fault("lost")
    outcome, _ = send(post, name)
    assert isinstance(outcome, Uncertain)
    made = relays(post, URLS[name])
    said = made.ask(outcome.relay, MESSAGE_ID)
    if name in ("mailgun", "postmark"):
        assert (said.answer, said.relay) == ("has it", outcome.relay)
        assert made.ask(None, MESSAGE_ID).answer == "has it", "whoever it was"
        other = MESSAGE_ID.replace("0123", "ffff")
        assert made.ask(outcome.relay, other).answer == "has not"
        post.all[name].key = "another"
        assert made.ask(outcome.relay, MESSAGE_ID).answer == "cannot say"
    else:
        assert said.answer == "cannot say"
    assert made.ask(None, "<somebody@elsewhere>").answer == "cannot say"


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("postmark", {"TotalCount": 1, "Messages": [{"MessageID": "x", "Metadata": {REFERENCE: "f" * 32}}]}),
        ("postmark", {"Messages": [{"MessageID": "x"}, "?"]}),
        ("mailgun", {"items": [{"message": {"headers": {"message-id": "somebody@else"}}}, {}, None]}),
        ("mailgun", []),
    ],
)
def test_a_search_that_answers_about_another_letter_is_not_believed(name: str, others: object) -> None:
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json=others)))
    made = Relays([URLS[name]], http=http, clock=lambda: NOON)
    assert made.ask(None, MESSAGE_ID).answer == "has not"
