"""Proof line 2, S113: what each provider publishes verifies; what was tampered with, or comes too late, is refused."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import published_feedback as published
from ladenbuch.domain.feedback import bounce_of, spares, strength, worn_out
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.mail.feedback import Told, dsn, mailgun, mark_in, of_iso, postmark, sendgrid, ses

MARK = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SNS = (published.SNS_V1, published.SNS_V2, published.SNS_CONFIRMATION, published.SNS_OLD_V1, published.SNS_OLD_V2)


def _refused(code: str, call: Callable[..., object], *args: Any) -> str:
    with pytest.raises(Rejected) as refusal:
        call(*args)
    assert refusal.value.code == code
    return refusal.value.message


# -- SendGrid -----------------------------------------------------------------------------------------------------


def _sendgrid(body: bytes = published.SENDGRID_BODY, at: datetime = published.SENDGRID_AT, **headers: str) -> object:
    given_ = {**published.SENDGRID_HEADERS, **{f"x-twilio-email-event-webhook-{k}": v for k, v in headers.items()}}
    return sendgrid.verify(body, given_, [published.SENDGRID_OTHER_KEY, published.SENDGRID_KEY], at)


def test_s113_sendgrids_published_example_verifies_with_one_of_two_keys() -> None:
    assert _sendgrid()
    (told,) = sendgrid.read(published.SENDGRID_BODY)
    assert (told.what, told.bounce, told.recipient, told.mark) == ("bounced", "invalid", "hello@world.com", None)


@settings(max_examples=40)
@given(st.integers(0, len(published.SENDGRID_BODY) - 1), st.integers(1, 255))
def test_s113_sendgrid_one_byte_changed_is_refused(place: int, by: int) -> None:
    body = bytearray(published.SENDGRID_BODY)
    body[place] ^= by
    _refused("FEEDBACK-FORGED", _sendgrid, bytes(body))


def test_s113_sendgrid_anything_else_of_it_changed_is_refused() -> None:
    others = [published.SENDGRID_OTHER_KEY]
    whole = published.SENDGRID_HEADERS
    _refused("FEEDBACK-FORGED", sendgrid.verify, published.SENDGRID_BODY, whole, others, published.SENDGRID_AT)
    _refused("FEEDBACK-FORGED", sendgrid.verify, published.SENDGRID_BODY, whole, [], published.SENDGRID_AT)
    _refused("FEEDBACK-FORGED", sendgrid.verify, published.SENDGRID_BODY, {}, others, published.SENDGRID_AT)
    _refused("FEEDBACK-FORGED", _sendgrid, published.SENDGRID_BODY.rstrip())  # the CRLF is signed, too
    for name, value in (("timestamp", "1600112503"), ("timestamp", "1600112502 "), ("signature", "AAAA"),
                        ("signature", "ä"), ("signature", ""), ("timestamp", "²")):  # fmt: skip
        with pytest.raises(Rejected):
            _sendgrid(**{name: value})


def test_s113_sendgrid_replayed_after_it_stopped_repeating_is_refused() -> None:
    _sendgrid(at=published.SENDGRID_AT + timedelta(hours=24))
    late = _refused("FEEDBACK-FORGED", lambda: _sendgrid(at=published.SENDGRID_AT + timedelta(hours=26)))
    early = _refused("FEEDBACK-FORGED", lambda: _sendgrid(at=published.SENDGRID_AT - timedelta(minutes=6)))
    assert "too long ago" in late and "future" in early


@pytest.mark.parametrize("key", ["", "AAAA", "not base64!", base64.b64encode(b"x" * 91).decode()])
def test_s113_sendgrid_a_key_that_is_none_is_a_wrong_setting(key: str) -> None:
    with pytest.raises(UsageError, match="LADENBUCH_FEEDBACK_SENDGRID"):
        sendgrid.verify(b"", published.SENDGRID_HEADERS, [key], published.SENDGRID_AT)


def test_s113_sendgrid_reads_what_is_about_letters_only() -> None:
    def event(kind: str, **more: object) -> dict[str, object]:
        return {"email": "b@x.de", "timestamp": 1513299569, "event": kind, "sg_event_id": kind + str(more), **more}

    body = json.dumps(
        [
            event("processed"), event("open"), event("click"), event("unsubscribe"),
            event("delivered", response="250 OK", ladenbuch_letter=MARK),
            event("deferred", response="400 try again later"),
            event("bounce", status="5.1.1", type="bounce", reason="550 5.1.1 unknown"),
            event("bounce", status="5.2.2", type="bounce", reason="552 5.2.2 full"),
            event("bounce", status="5.7.1", type="blocked", reason="554 5.7.1 spam"),
            event("bounce", status="5.0.0", bounce_classification="Invalid Address"),
            event("spamreport", **{"smtp-id": f"<ladenbuch.{MARK}@shop.de>"}),
            event("dropped", reason="Spam Content"),
            "nonsense", None, {"event": "delivered"},
        ]
    ).encode()  # fmt: skip
    found = [(one.what, one.bounce) for one in sendgrid.read(body)]
    assert found == [
        ("delivered", None), ("delayed", None), ("bounced", "invalid"), ("bounced", "soft"), ("bounced", "refused"),
        ("bounced", "invalid"), ("complained", None), ("bounced", "refused"),
    ]  # fmt: skip
    assert [one.mark for one in sendgrid.read(body)] == [MARK, None, None, None, None, None, MARK, None]


# -- Mailgun ------------------------------------------------------------------------------------------------------


def _mailgun(at: datetime = published.MAILGUN_AT, keys: tuple[str, ...] = (published.MAILGUN_KEY,), **more: Any) -> str:
    return mailgun.verify(json.dumps({"signature": {**published.MAILGUN_SIGNATURE, **more}}).encode(), keys, at)


def test_s113_mailguns_published_example_verifies() -> None:
    assert _mailgun() == published.MAILGUN_SIGNATURE["token"]
    assert _mailgun(timestamp=1403645220)  # a number in some accounts
    assert _mailgun(signature="0" * 64, **{"parent-signature": published.MAILGUN_SIGNATURE["signature"]})


@pytest.mark.parametrize(
    "more",
    [
        {"timestamp": "1403645221"},
        {"token": "owyldpe6nxhmrn78epljl6bj0orrki1u3d2v5e6cnlmmuox8jr"},
        {"signature": "9cfc5c41582e51246e73c88d34db3af0a3a2692a76fbab81492842f000256d34"},
        {"signature": ""}, {"signature": None}, {"signature": "ä"}, {"token": ""}, {"timestamp": ""}, {"token": ["x"]},
    ],
)  # fmt: skip
def test_s113_mailgun_tampered_is_refused(more: dict[str, Any]) -> None:
    _refused("FEEDBACK-FORGED", lambda: _mailgun(**more))


def test_s113_mailgun_of_another_key_or_replayed_late_is_refused() -> None:
    _refused("FEEDBACK-FORGED", lambda: _mailgun(keys=("key-other",)))
    _refused("FEEDBACK-FORGED", lambda: _mailgun(keys=()))
    _mailgun(published.MAILGUN_AT + timedelta(hours=8))
    assert "too long ago" in _refused("FEEDBACK-FORGED", lambda: _mailgun(published.MAILGUN_AT + timedelta(hours=10)))
    for body in (b"", b"[]", b"{}", b"\xff", b"[" * 5000, b'{"signature": 1}'):
        with pytest.raises(Rejected):
            mailgun.verify(body, [published.MAILGUN_KEY], published.MAILGUN_AT)


def _of_mailgun(kind: str, **more: Any) -> list[tuple[str, str | None]]:
    event = {
        "id": "hTWCTD81RtiDN", "event": kind, "timestamp": 1534108637.153125, "recipient": "b@x.de",
        "message": {"headers": {"message-id": f"ladenbuch.{MARK}@shop.de"}}, **more,
    }  # fmt: skip
    found = mailgun.read(json.dumps({"event-data": event}).encode())
    assert all(one.mark == MARK and one.recipient == "b@x.de" for one in found)
    return [(one.what, one.bounce) for one in found]


def test_s113_mailgun_reads_what_is_about_letters_only() -> None:
    assert _of_mailgun("delivered", **{"delivery-status": {"code": 250, "message": "OK"}}) == [("delivered", None)]
    assert _of_mailgun("opened") == _of_mailgun("accepted") == []
    assert _of_mailgun("complained") == [("complained", None)]
    later = _of_mailgun("failed", severity="temporary", **{"delivery-status": {"code": 450}})
    assert later == [("delayed", None)]
    gone = {"code": 550, "message": "5.1.1 The email account that you tried to reach does not exist."}
    assert _of_mailgun("failed", severity="permanent", reason="bounce", **{"delivery-status": gone}) == [
        ("bounced", "invalid")
    ]
    listed = _of_mailgun("failed", severity="permanent", reason="suppress-bounce")
    full = _of_mailgun("failed", severity="permanent", **{"delivery-status": {"code": 552, "enhanced-code": "5.2.2"}})
    bare = _of_mailgun("failed", severity="permanent", **{"delivery-status": {"code": 550, "message": "no"}})
    assert (listed, full, bare) == ([("bounced", "invalid")], [("bounced", "soft")], [("bounced", "refused")])


# -- Amazon SES ---------------------------------------------------------------------------------------------------


def _ses(message: Mapping[str, Any], at: datetime | None = None, topics: tuple[str, ...] | None = None) -> ses.Envelope:
    return ses.envelope(
        json.dumps(message).encode(),
        (message["TopicArn"],) if topics is None else topics,
        of_iso(message["Timestamp"]) if at is None else at,
        published.SNS_CERTIFICATES.__getitem__,
    )


@pytest.mark.parametrize("message", SNS)
def test_s113_amazons_own_messages_verify(message: dict[str, str]) -> None:
    made = _ses(message)
    assert (made.kind, made.message) == (message["Type"], message["Message"])
    assert made.confirm == message.get("SubscribeURL")


@settings(max_examples=60)
@given(st.sampled_from(SNS), st.data())
def test_s113_sns_any_signed_field_changed_is_refused(message: dict[str, str], data: st.DataObject) -> None:
    fields = [name for name in message if name not in ("SigningCertURL", "TopicArn", "Type")]
    name = data.draw(st.sampled_from(fields))
    place = data.draw(st.integers(0, len(message[name]) - 1))
    other = data.draw(st.sampled_from([sign for sign in "ab01Z=" if sign != message[name][place]]))
    changed = {**message, name: message[name][:place] + other + message[name][place + 1 :]}
    with pytest.raises(Rejected):
        _ses(changed, of_iso(message["Timestamp"]))


def test_s113_sns_a_field_added_taken_away_or_of_another_kind_is_refused() -> None:
    plain, told = published.SNS_V2, published.SNS_V1
    _refused("FEEDBACK-FORGED", _ses, {**plain, "Subject": "x"})
    _refused("FEEDBACK-FORGED", _ses, {name: value for name, value in told.items() if name != "Subject"})
    _refused("FEEDBACK-FORGED", _ses, {**plain, "SignatureVersion": "1"})
    _refused("FEEDBACK-FORGED", _ses, {**plain, "SignatureVersion": "3"})
    _refused("FEEDBACK-SHAPE", _ses, {**plain, "Type": "SubscriptionConfirmation"})
    _refused("FEEDBACK-SHAPE", _ses, {**plain, "Type": "Other"})
    _refused("FEEDBACK-SHAPE", _ses, {**plain, "Message": {"raw": 1}})
    _refused("FEEDBACK-FORGED", lambda: _ses(plain, topics=()))
    _refused("FEEDBACK-FORGED", lambda: _ses(plain, topics=(plain["TopicArn"] + "x",)))


@pytest.mark.parametrize(
    "address",
    [
        "http://sns.us-west-2.amazonaws.com/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://sns.us-west-2.amazonaws.com.evil.example/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://evil.example/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://sns.us-west-2.amazonaws.com@evil.example/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://x@sns.us-west-2.amazonaws.com/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://sns.us-west-2.amazonaws.com:8443/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://s3.us-west-2.amazonaws.com/bucket/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://sns.us-west-2.amazonaws.com/?x=/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://sns.us-west-2.amazonaws.com/evil.pem",
        "https://127.0.0.1/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
        "https://[::1/x.pem",
        "file:///etc/passwd",
        "",
    ],
)
def test_s113_sns_no_certificate_is_fetched_from_elsewhere(address: str) -> None:
    message = {**published.SNS_V2, "SigningCertURL": address}

    def never(asked: str) -> bytes:
        raise AssertionError(f"fetched {asked}")

    at = of_iso(message["Timestamp"])
    body = json.dumps(message).encode()
    _refused("FEEDBACK-FORGED", ses.envelope, body, [message["TopicArn"]], at, never)


def test_s113_sns_a_certificate_of_others_or_of_another_time_is_refused() -> None:
    message, at = published.SNS_V2, of_iso(published.SNS_V2["Timestamp"])
    body, topics = json.dumps(message).encode(), [message["TopicArn"]]
    old = published.SNS_CERTIFICATES[published.SNS_OLD_V1["SigningCertURL"]]
    assert "not valid now" in _refused("FEEDBACK-FORGED", ses.envelope, body, topics, at, lambda url: old)
    _refused("FEEDBACK-FORGED", ses.envelope, body, topics, at, lambda url: b"-----BEGIN CERTIFICATE-----\n")
    stranger = _certificate("sns.example.org", at)
    assert "made out" in _refused("FEEDBACK-FORGED", ses.envelope, body, topics, at, lambda url: stranger)


def _certificate(name: str, at: datetime) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(who, who, key.public_key(), 1, at - timedelta(days=1), at + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_s113_sns_replayed_after_it_stopped_repeating_is_refused() -> None:
    at = of_iso(published.SNS_V2["Timestamp"])
    _ses(published.SNS_V2, at + timedelta(minutes=59))
    assert "too long ago" in _refused("FEEDBACK-FORGED", _ses, published.SNS_V2, at + timedelta(hours=3))
    assert "future" in _refused("FEEDBACK-FORGED", _ses, published.SNS_V2, at - timedelta(minutes=10))


def _of_ses(kind: str, name: str, said: Mapping[str, Any], **mail: Any) -> list[Told]:
    whole = {"timestamp": "2026-11-23T11:59:00.012Z", "messageId": "EXAMPLE7c191be45", "destination": ["b@x.de"]}
    whole |= {"tags": {"ladenbuch_letter": [MARK]}, **mail}
    return ses.read(json.dumps({"eventType": kind, "mail": whole, name: said}))


def test_s113_ses_reads_each_recipient() -> None:
    at = {"timestamp": "2026-11-23T12:00:00.669Z"}
    (told,) = _of_ses("Delivery", "delivery", {**at, "recipients": ["b@x.de"], "smtpResponse": "250 ok"})
    assert (told.what, told.mark, told.recipient, told.at.second) == ("delivered", MARK, "b@x.de", 0)

    def bounce(kind: str, subtype: str, status: str) -> str | None:
        recipients = [{"emailAddress": "b@x.de", "status": status}]
        said = {**at, "bounceType": kind, "bounceSubType": subtype, "feedbackId": "f", "bouncedRecipients": recipients}
        (one,) = _of_ses("Bounce", "bounce", said)
        assert one.what == "bounced"
        return one.bounce

    assert bounce("Permanent", "General", "5.1.1") == bounce("Permanent", "NoEmail", "") == "invalid"
    assert bounce("Permanent", "General", "5.7.1") == bounce("Permanent", "General", "") == "refused"
    assert bounce("Transient", "General", "4.0.0") == bounce("Transient", "MailboxFull", "5.2.2") == "soft"
    assert bounce("Undetermined", "Undetermined", "") == "soft"
    people = [{"emailAddress": "b@x.de"}]
    (told,) = _of_ses("Complaint", "complaint", {**at, "complainedRecipients": people})
    assert told.what == "complained"
    assert (
        _of_ses("Complaint", "complaint", {"complaintFeedbackType": "not-spam", "complainedRecipients": people}) == []
    )
    listed = {"complaintSubType": "OnAccountSuppressionList", "complainedRecipients": people}
    (told,) = _of_ses("Complaint", "complaint", listed)
    assert (told.what, told.bounce) == ("bounced", "refused")
    (told,) = _of_ses("DeliveryDelay", "deliveryDelay", {**at, "delayedRecipients": people})
    assert told.what == "delayed"
    (told,) = _of_ses("Reject", "reject", {"reason": "Bad content"})
    assert (told.what, told.bounce) == ("bounced", "refused")
    assert _of_ses("Send", "send", {}) == _of_ses("Open", "open", {}) == []
    both = {**at, "recipients": ["b@x.de", "archive@shop.de"]}
    several = _of_ses("Delivery", "delivery", both, destination=["b@x.de", "archive@shop.de"])
    assert len({one.id for one in several}) == 2
    header = [{"name": "Message-ID", "value": f"<ladenbuch.{MARK}@shop.de>"}]
    (told,) = _of_ses("Delivery", "delivery", {**at, "recipients": ["b@x.de"]}, tags={}, headers=header)
    assert told.mark == MARK


# -- Postmark -----------------------------------------------------------------------------------------------------


def _basic(login: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def test_s113_postmark_basic_authentication_is_what_there_is() -> None:
    postmark.verify(_basic("post:geheim"), ["old:alt", "post:geheim"])
    wrong = (_basic("post:geheiM"), _basic("post:"), _basic(""), {}, {"authorization": "Basic !!"},
             {"authorization": "Bearer cG9zdDpnZWhlaW0="}, {"authorization": "Basic"})  # fmt: skip
    for headers in wrong:
        _refused("FEEDBACK-FORGED", postmark.verify, headers, ["post:geheim"])
    _refused("FEEDBACK-FORGED", postmark.verify, _basic("post:geheim"), [])
    _refused("FEEDBACK-FORGED", postmark.verify, _basic(""), [""])


def test_s113_postmark_reads_what_is_about_letters_only() -> None:
    def read(**more: Any) -> list[tuple[str, str | None]]:
        body = {"MessageID": "883953f4", "ID": 42, "Email": "b@x.de", "Metadata": {"ladenbuch_letter": MARK}, **more}
        found = postmark.read(json.dumps({"BouncedAt": "2014-08-01T13:28:10.2735393-04:00", **body}).encode())
        assert all(one.mark == MARK and one.recipient == "b@x.de" for one in found)
        return [(one.what, one.bounce) for one in found]

    delivered = read(RecordType="Delivery", Recipient="b@x.de", DeliveredAt="2014-08-01T13:28:10.2735393-04:00")
    assert delivered == [("delivered", None)]
    assert read(RecordType="Bounce", Type="HardBounce") == [("bounced", "invalid")]
    assert read(RecordType="Bounce", Type="SoftBounce") == [("bounced", "soft")]
    assert read(RecordType="Bounce", Type="Blocked") == [("bounced", "refused")]
    assert read(RecordType="Bounce", Type="Transient") == [("delayed", None)]
    assert read(RecordType="Bounce", Type="AutoResponder") == read(RecordType="Open") == []
    assert read(RecordType="SpamComplaint", Type="SpamComplaint") == [("complained", None)]
    _refused("FEEDBACK-SHAPE", postmark.read, b"{}")


# -- bounce messages ----------------------------------------------------------------------------------------------

BOUNCE = f"""\
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: buchhaltung@shop.de
Subject: Undelivered Mail Returned to Sender
Date: Mon, 23 Nov 2026 12:00:00 +0100
Message-ID: <20261123110000.4A7D468E@mx.example.net>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="--b"

----b
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

----b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Mon, 23 Nov 2026 11:59:58 +0100

Final-Recipient: rfc822; b.mueller@x.de
Original-Recipient: rfc822;B.Mueller@x.de
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.x.de
Diagnostic-Code: smtp; 550 5.1.1 <b.mueller@x.de>: Recipient address rejected:
    User unknown

----b
Content-Type: text/rfc822-headers

From: Shop <buchhaltung@shop.de>
To: B.Mueller@x.de
Message-ID: <ladenbuch.{MARK}@shop.de>
Subject: Ihre Rechnung

----b--
"""

COMPLAINT = f"""\
From: <abusedesk@example.com>
Date: Mon, 23 Nov 2026 12:00:00 +0100
Subject: FW: Ihre Rechnung
To: <abuse@shop.de>
Message-ID: <c1@example.com>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1"

--part1
Content-Type: text/plain

This is an email abuse report.

--part1
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1

--part1
Content-Type: message/rfc822

From: Shop <buchhaltung@shop.de>
To: <b@x.de>
X-Ladenbuch-Letter: {MARK}
Subject: Ihre Rechnung

Guten Tag
--part1--
"""


def test_s113_a_bounce_message_names_letter_recipient_and_why() -> None:
    (told,) = dsn.read(BOUNCE.replace("\n", "\r\n").encode(), NOW)
    assert (told.what, told.bounce, told.status, told.mark) == ("bounced", "invalid", "5.1.1", MARK)
    assert (told.recipient, told.at) == ("B.Mueller@x.de", datetime(2026, 11, 23, 11, tzinfo=UTC))
    assert dsn.read(BOUNCE.encode(), NOW)[0].id == told.id
    assert dsn.read(BOUNCE.replace("5.1.1", "5.7.1").encode(), NOW)[0].id != told.id


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("Status: 5.1.1", "Status: 5.2.2", [("bounced", "soft")]),
        ("Status: 5.1.1", "Status: 5.7.26", [("bounced", "refused")]),
        ("Status: 5.1.1", "Status: 4.4.7", [("bounced", "soft")]),  # failed after days of trying
        ("Action: failed", "Action: delayed", [("delayed", None)]),
        ("Action: failed", "Action: delivered", [("delivered", None)]),
        ("Action: failed", "Action: relayed", []),
        ("Status: 5.1.1\n", "", [("bounced", "invalid")]),  # the diagnostic code has it
        ("report-type=delivery-status", "report-type=disposition-notification", []),
        ("multipart/report", "multipart/mixed", []),
        ("message/delivery-status", "text/plain", []),
    ],
)
def test_s113_what_a_bounce_message_says(before: str, after: str, found: list[tuple[str, str | None]]) -> None:
    assert before in BOUNCE
    told = dsn.read(BOUNCE.replace(before, after).encode(), NOW)
    assert [(one.what, one.bounce) for one in told] == found


def test_s113_a_complaint_message_names_the_letter_and_whom_it_was_for() -> None:
    (told,) = dsn.read(COMPLAINT.encode(), NOW)
    assert (told.what, told.mark, told.recipient) == ("complained", MARK, "b@x.de")
    assert dsn.read(COMPLAINT.replace("Feedback-Type: abuse", "Feedback-Type: not-spam").encode(), NOW) == []


@settings(max_examples=60)
@given(st.binary(max_size=300), st.integers(0, len(BOUNCE)), st.integers(0, 80))
def test_s113_whatever_stands_in_the_mailbox_is_read_or_refused(junk: bytes, place: int, gone: int) -> None:
    raw = BOUNCE.encode()
    for message in (junk, raw[:place] + junk + raw[place + gone :]):
        found = []
        with contextlib.suppress(Rejected):
            found = dsn.read(message, NOW)
        assert all(one.mark is None or len(one.mark) == 32 for one in found)


# -- which word holds ---------------------------------------------------------------------------------------------

_WORDS = [("delivered", None), ("bounced", "soft"), ("bounced", "refused"), ("bounced", "invalid"),
          ("complained", None), ("delayed", None)]  # fmt: skip


def test_s67_words_have_one_order_and_a_delay_is_none() -> None:
    assert [strength(*word) for word in _WORDS] == [2, 1, 3, 4, 5, 0]
    assert [spares(*word) for word in _WORDS] == [None, None, None, "invalid", "complaint", None]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "bounce"),
    [
        ("5.1.1", "invalid"), ("5.1.10", "invalid"), ("5.4.4", "invalid"), ("5.1.11", "refused"), ("5.2.2", "soft"),
        ("5.7.1", "refused"), ("4.2.2", "soft"), ("550", "refused"), ("450", "soft"), ("", "soft"), ("x", "soft"),
    ],
)  # fmt: skip
def test_s67_a_status_says_whose_fault_it_is(status: str, bounce: str) -> None:
    assert bounce_of(status) == bounce


def test_s67_three_soft_bounces_in_a_row_spare_an_address() -> None:
    soft, refused, arrived = ("bounced", "soft"), ("bounced", "refused"), ("delivered", None)
    assert worn_out([soft, soft, soft, arrived])
    assert worn_out([soft, ("accepted", None), soft, refused, soft])
    assert not worn_out([soft, soft, arrived, soft]) and not worn_out([soft, soft]) and not worn_out([refused] * 9)


@pytest.mark.parametrize(
    ("found", "mark"),
    [
        (MARK, MARK), (f" {MARK} ", MARK), (f"<ladenbuch.{MARK}@shop.de>", MARK), (f"ladenbuch.{MARK}@shop.de", MARK),
        (f"<x.{MARK}@shop.de>", None), (MARK[:-1], None), (MARK.upper(), None), (None, None), (["x"], None),
        (f"<ladenbuch.{MARK}@shop.de> x", None),
    ],
)  # fmt: skip
def test_s67_only_our_own_marks_are_marks(found: object, mark: str | None) -> None:
    assert mark_in(found) == mark
