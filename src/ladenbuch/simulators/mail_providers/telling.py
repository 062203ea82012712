"""What the providers tell of letters afterwards: their webhooks, in their words, signed as each of them signs.

    teller = Teller(clock, seed)
    teller.keys                                  # what a receiver is configured with, by provider
    for told in teller.of("mailgun", letter, "bounced invalid"): post(told.path, told.body, told.headers)

A fate is what becomes of one letter: "delivered", "bounced soft|refused|invalid", "complained" (after a delivery),
"delayed" (and then delivered), "silent". Written from what they publish; shares no code with who reads it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TOPIC = "arn:aws:sns:eu-central-1:123456789012:letters"
CERTIFICATE = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
#: Status, and what the last server said.
_REFUSALS = {
    "soft": ("5.2.2", "552 5.2.2 mailbox full"),
    "refused": ("5.7.1", "550 5.7.1 message refused by policy"),
    "invalid": ("5.1.1", "550 5.1.1 no such user"),
}


@dataclass(frozen=True)
class Letter:
    """A letter as a provider knows it: its own name for it, the reference it was given, Message-ID and recipient."""

    id: str
    reference: str
    message_id: str
    to: str
    sender: str = "rechnung@example.org"


@dataclass(frozen=True)
class Request:
    """One request, to be posted below /mail/feedback; of "dsn" the body is a message for the bounce mailbox."""

    provider: str
    body: bytes
    headers: dict[str, str]


class Teller:
    """All four providers, and mail servers that send bounce messages."""

    def __init__(self, clock: Callable[[], datetime], seed: int = 7) -> None:
        self._clock = clock
        self._random = random.Random(f"telling/{seed}")
        self._ec = ec.generate_private_key(ec.SECP256R1())
        self._rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._ec.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.keys: dict[str, tuple[str, ...]] = {
            "sendgrid": (base64.b64encode(public).decode(),),
            "mailgun": ("simulated-signing-key",),
            "ses": (TOPIC,),
            "postmark": ("letters:simulated-password",),
        }

    def certificate(self, address: str) -> bytes:
        """What stands at Amazon's address. Raises KeyError for another one."""
        if address != CERTIFICATE:
            raise KeyError(address)
        now = self._clock()
        who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
        since, until = now - timedelta(days=30), now + timedelta(days=300)
        made = x509.CertificateBuilder(who, who, self._rsa.public_key(), 1, since, until)
        return made.sign(self._rsa, hashes.SHA256()).public_bytes(Encoding.PEM)

    def of(self, provider: str, letter: Letter, fate: str) -> Iterator[Request]:
        """Everything that is told of one letter, in the order in which it happens."""
        kind, _, bounce = fate.partition(" ")
        events = {
            "delivered": ["delivered"],
            "complained": ["delivered", "complained"],
            "delayed": ["delayed", "delivered"],
            "bounced": ["bounced"],
            "silent": [],
        }[kind]
        for event in events:
            made = getattr(self, f"_{provider}")(letter, event, bounce)
            if made is not None:
                yield made

    def _number(self, length: int = 16) -> str:
        return f"{self._random.getrandbits(4 * length):0{length}x}"

    # -- SendGrid ----------------------------------------------------------------------------------------------------

    def _sendgrid(self, letter: Letter, event: str, bounce: str) -> Request:
        name = {"delayed": "deferred", "bounced": "bounce", "complained": "spamreport"}.get(event, event)
        told: dict[str, Any] = {
            "email": letter.to,
            "timestamp": int(self._clock().timestamp()),
            "smtp-id": letter.message_id,
            "event": name,
            "category": ["letters"],
            "sg_event_id": self._number(),
            "sg_message_id": f"{letter.id}.recvd-1",
            "ladenbuch_letter": letter.reference,
        }
        if bounce:
            status, said = _REFUSALS[bounce]
            told |= {"status": status, "reason": said, "type": "blocked" if bounce == "refused" else "bounce"}
        opened = {**told, "event": "open", "sg_event_id": self._number(), "useragent": "Mozilla/5.0"}
        return self.sendgrid([told, opened] if event == "delivered" else [told])

    def sendgrid(self, events: list[dict[str, Any]]) -> Request:
        """A batch, signed."""
        body = json.dumps(events, separators=(",", ":")).encode() + b"\r\n"
        stamp = str(int(self._clock().timestamp()))
        signature = self._ec.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        headers = {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
            "Content-Type": "application/json",
        }
        return Request("sendgrid", body, headers)

    # -- Mailgun -----------------------------------------------------------------------------------------------------

    def _mailgun(self, letter: Letter, event: str, bounce: str) -> Request:
        at = self._clock().timestamp()
        told: dict[str, Any] = {
            "event": "failed" if event in ("bounced", "delayed") else event,
            "id": self._number(),
            "timestamp": at,
            "recipient": letter.to,
            "user-variables": {"ladenbuch_letter": letter.reference},
            "message": {"headers": {"message-id": letter.message_id.strip("<>"), "to": letter.to}},
            "delivery-status": {"code": 250, "message": "OK", "attempt-no": 1},
        }
        if event == "delayed":
            told |= {"severity": "temporary", "reason": "greylisted", "delivery-status": {"code": 450, "attempt-no": 1}}
        if event == "bounced":
            status, said = _REFUSALS[bounce]
            sort = "soft" if bounce == "soft" else "hard"
            why = {"code": int(said[:3]), "enhanced-code": status, "message": said[4:], "bounce-type": sort}
            told |= {"severity": "permanent", "reason": "bounce", "delivery-status": why}
        stamp, token = str(int(at)), self._number(50)
        mac = hmac.new(self.keys["mailgun"][0].encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
        signature = {"timestamp": stamp, "token": token, "signature": mac}
        body = json.dumps({"signature": signature, "event-data": told}).encode()
        return Request("mailgun", body, {"Content-Type": "application/json"})

    # -- Amazon SES through SNS --------------------------------------------------------------------------------------

    def _ses(self, letter: Letter, event: str, bounce: str) -> Request:
        at = self._iso()
        recipient = {"emailAddress": letter.to}
        said: dict[str, Any]
        if event == "bounced":
            status, words = _REFUSALS[bounce]
            whom = [{**recipient, "action": "failed", "status": status, "diagnosticCode": f"smtp; {words}"}]
            sort = ("Transient", "MailboxFull") if bounce == "soft" else ("Permanent", "General")
            said = {"bounceType": sort[0], "bounceSubType": sort[1], "bouncedRecipients": whom, "timestamp": at}
            name, said = "bounce", {**said, "feedbackId": self._number()}
        elif event == "complained":
            name = "complaint"
            said = {"complainedRecipients": [recipient], "complaintFeedbackType": "abuse", "timestamp": at,
                    "feedbackId": self._number()}  # fmt: skip
        elif event == "delayed":
            name = "deliveryDelay"
            said = {"delayType": "TransientCommunicationFailure", "delayedRecipients": [recipient], "timestamp": at}
        else:
            name, said = "delivery", {"recipients": [letter.to], "timestamp": at, "smtpResponse": "250 ok"}
        mail = {
            "timestamp": at,
            "source": letter.sender,
            "messageId": letter.id,
            "destination": [letter.to],
            "tags": {"ses:configuration-set": ["letters"], "ladenbuch_letter": [letter.reference]},
        }
        return self.sns(json.dumps({"eventType": name[0].upper() + name[1:], "mail": mail, name: said}))

    def sns(self, message: str, **more: str) -> Request:
        """A notification, signed with version 2."""
        told = {
            "Type": "Notification",
            "MessageId": self._number(32),
            "TopicArn": TOPIC,
            "Subject": "Amazon SES Email Event Notification",
            "Message": message,
            "Timestamp": self._iso(),
            **more,
        }
        signed = "".join(f"{name}\n{told[name]}\n" for name in sorted(told))
        signature = self._rsa.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        whole = {**told, "SignatureVersion": "2", "Signature": base64.b64encode(signature).decode()}
        body = json.dumps({**whole, "SigningCertURL": CERTIFICATE}, indent=2).encode()
        return Request("ses", body, {"Content-Type": "text/plain; charset=UTF-8"})

    def _iso(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%S.000Z")

    # -- Postmark ----------------------------------------------------------------------------------------------------

    def _postmark(self, letter: Letter, event: str, bounce: str) -> Request:
        at = self._clock().strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
        told: dict[str, Any] = {"MessageID": letter.id, "Metadata": {"ladenbuch_letter": letter.reference}}
        if event == "delivered":
            told |= {"RecordType": "Delivery", "Recipient": letter.to, "DeliveredAt": at, "Details": "250 ok"}
        else:
            kinds = {"soft": "SoftBounce", "refused": "Blocked", "invalid": "HardBounce"}
            kind = {"delayed": "Transient", "complained": "SpamComplaint"}.get(event) or kinds[bounce]
            record = "SpamComplaint" if event == "complained" else "Bounce"
            told |= {"RecordType": record, "Type": kind, "ID": self._random.getrandbits(40), "Email": letter.to,
                     "BouncedAt": at, "Description": "as it is called"}  # fmt: skip
        login = base64.b64encode(self.keys["postmark"][0].encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        return Request("postmark", json.dumps(told).encode(), headers)

    # -- the buyers' own servers -------------------------------------------------------------------------------------

    def _dsn(self, letter: Letter, event: str, bounce: str) -> Request | None:
        if event == "delivered":
            return None  # nobody writes a message for that
        date = self._clock().strftime("%a, %d %b %Y %H:%M:%S +0000")
        head = f"From: MAILER-DAEMON@mx.example.net\r\nTo: {letter.sender}\r\nDate: {date}\r\nMIME-Version: 1.0\r\n"
        head += f"Message-ID: <{self._number()}@mx.example.net>\r\n"
        original = f"From: {letter.sender}\r\nTo: {letter.to}\r\nMessage-ID: {letter.message_id}\r\n"
        if event == "complained":
            kind, inner = (
                "feedback-report",
                "message/feedback-report",
            )
            report = f"Feedback-Type: abuse\r\nVersion: 1\r\nOriginal-Rcpt-To: {letter.to}\r\n"
        else:
            kind, inner = "delivery-status", "message/delivery-status"
            status, said = ("4.4.1", "450 4.4.1 no answer") if event == "delayed" else _REFUSALS[bounce]
            action = "delayed" if event == "delayed" else "failed"
            report = f"Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; {letter.to}\r\n"
            report += f"Action: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {said}\r\n"
        body = (
            f'{head}Content-Type: multipart/report; report-type={kind}; boundary="b"\r\n\r\n'
            f"--b\r\nContent-Type: text/plain\r\n\r\nUndelivered.\r\n"
            f"--b\r\nContent-Type: {inner}\r\n\r\n{report}\r\n"
            f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{original}\r\n--b--\r\n"
        )
        return Request("dsn", body.encode(), {})
