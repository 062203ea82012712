"""The mail simulator speaks real SMTP: accepted is stored, refused and cut before are not, cut after is, unsaid."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.mail import MailSimulator
from ladenbuch.simulators.weather import Weather

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def relay() -> Iterator[MailSimulator]:
    with MailSimulator(clock=lambda: NOON) as running:
        yield running


def letter(subject: str = "Ihre Rechnung RE-1001") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "laden@example.invalid"
    message["To"] = "erika@example.invalid"
    message["Subject"] = subject
    message["Message-ID"] = "<letter-1@example.invalid>"
    message.set_content("Anbei Ihre Rechnung über 11,90 EUR.\n")
    message.add_attachment(b"%PDF-1.4 test", maintype="application", subtype="pdf", filename="RE-1001.pdf")
    return message


def send(relay: MailSimulator, message: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=10) as client:
        client.send_message(message)


def control(relay: MailSimulator, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, object]]:
    answer = relay.handle(SimRequest(method, path, [], {}, body))
    return answer.status, json.loads(answer.body)


def test_accepted_letter_is_in_the_inbox_with_its_envelope_and_attachment(relay: MailSimulator) -> None:
    send(relay, letter())
    (received,) = relay.messages
    assert received.mail_from == "laden@example.invalid"
    assert received.rcpt_tos == ("erika@example.invalid",)
    assert received.accepted_at == NOON
    assert received.message["Subject"] == "Ihre Rechnung RE-1001"
    (attachment,) = received.message.iter_attachments()
    assert attachment.get_content() == b"%PDF-1.4 test"


def test_temporary_refusal_stores_nothing_and_the_next_try_is_accepted(relay: MailSimulator) -> None:
    relay.fault("refuse")
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        send(relay, letter())
    assert 400 <= refusal.value.smtp_code < 500
    assert relay.messages == []
    send(relay, letter())
    assert len(relay.messages) == 1


def test_cut_before_the_final_250_stores_nothing(relay: MailSimulator) -> None:
    relay.fault("cut_before")
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(relay, letter())
    assert relay.messages == []


def test_accept_then_cut_stores_the_letter_but_the_sender_cannot_know(relay: MailSimulator) -> None:
    """What a connector must call LETTER-UNCERTAIN and never send again."""
    relay.fault("cut_after")
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(relay, letter())
    assert len(relay.messages) == 1


def test_login_is_required_when_one_is_configured() -> None:
    with MailSimulator(username="shop", password="right") as relay:
        with pytest.raises(smtplib.SMTPException):
            send(relay, letter())
        with (
            smtplib.SMTP("127.0.0.1", relay.port, timeout=10) as client,
            pytest.raises(smtplib.SMTPAuthenticationError),
        ):
            client.login("shop", "wrong")
        with smtplib.SMTP("127.0.0.1", relay.port, timeout=10) as client:
            client.login("shop", "right")
            client.send_message(letter())
        assert [received.user for received in relay.messages] == ["shop"]


def test_any_login_is_welcome_without_a_configured_one(relay: MailSimulator) -> None:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=10) as client:
        client.login("anybody", "anything")
        client.send_message(letter())
    assert [received.user for received in relay.messages] == ["anybody"]


def test_storm_accepts_exactly_what_the_senders_were_told(relay: MailSimulator) -> None:
    """Storm never accepts and cuts: the number of 250s equals the number of letters in the inbox."""
    with MailSimulator(weather=Weather("storm", 4)) as stormy:
        told = failed = 0
        for number in range(120):
            try:
                send(stormy, letter(f"Nr. {number}"))
                told += 1
            except (smtplib.SMTPException, ConnectionError):
                failed += 1
        assert told == len(stormy.messages)
        assert failed == stormy.refusals + stormy.connections_cut
        assert stormy.refusals > 0
        assert stormy.connections_cut > 0


def test_port_is_free_again_after_stop() -> None:
    first = MailSimulator().start()
    port = first.port
    first.stop()
    first.stop()
    with MailSimulator(port=port) as second:
        send(second, letter())
        assert len(second.messages) == 1


def test_a_taken_port_is_an_error_not_a_silent_thread(relay: MailSimulator) -> None:
    with pytest.raises(OSError, match=r"(?i)address already in use"):
        MailSimulator(port=relay.port).start()


def test_control_front_shows_messages_and_scripts_faults(relay: MailSimulator) -> None:
    assert control(relay, "POST", "/_control/fault", b'{"kind": "refuse"}') == (200, {"scripted": 1})
    with pytest.raises(smtplib.SMTPDataError):
        send(relay, letter())
    send(relay, letter())
    status, shown = control(relay, "GET", "/_control/messages")
    assert status == 200
    assert shown["refusals"] == 1
    assert shown["messages"] == [
        {
            "from": "laden@example.invalid",
            "to": ["erika@example.invalid"],
            "subject": "Ihre Rechnung RE-1001",
            "message_id": "<letter-1@example.invalid>",
            "accepted_at": NOON.isoformat(),
            "text": "Anbei Ihre Rechnung über 11,90 EUR.\n",
            "attachments": [{"filename": "RE-1001.pdf", "content_type": "application/pdf", "bytes": 13}],
        }
    ]
    for bad in (b"", b"[]", b'{"kind": "eat"}', b'{"kind": "refuse", "times": 0}'):
        assert control(relay, "POST", "/_control/fault", bad)[0] == 400
    assert control(relay, "GET", "/else")[0] == 404
    control(relay, "POST", "/_control/reset")
    assert relay.messages == []
