"""Amazon SES tells through Amazon SNS: an envelope signed with RSA, whose certificate stands at Amazon's own address.

Signed are the fields the documentation names ("Verifying the signatures of Amazon SNS messages"), each as name and
value on a line of its own, in order of their names; SHA-1 for SignatureVersion 1, SHA-256 for 2. The address of the
certificate stands in the message, so it is believed only where it is SNS's own in the topic's region, and the topic
only where it is one of ours: anybody may have a topic.

A subscription is confirmed by visiting SubscribeURL, which must be at the same host and name the same topic and token.
Raw delivery has no signature and is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from ladenbuch.domain.feedback import Bounce, bounce_of
from ladenbuch.mail.feedback import (
    MARK,
    Told,
    as_json,
    forged,
    fresh,
    mapping,
    mark_in,
    of_iso,
    status_in,
    text,
    unreadable,
)

NAME = "ses"
#: A subscription's policy repeats for an hour at most ("Amazon SNS message delivery retries", HTTP).
PAST = timedelta(hours=2)

Kind = Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
_SIGNED: Mapping[str, tuple[str, ...]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_TOPIC = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]{4,30}):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?\Z")
_HOST = re.compile(r"sns\.([a-z0-9-]{4,30})\.amazonaws\.com(?:\.cn)?\Z")
_PEM = re.compile(r"/SimpleNotificationService-[0-9a-f]{32}\.pem\Z")
_LONGEST_PEM = 20_000

#: What SES says of a bounce, where that says more than the status of the recipient.
_SUBTYPES: Mapping[str, Bounce] = {
    "NoEmail": "invalid",
    "Suppressed": "invalid",
    "OnAccountSuppressionList": "refused",
    "MailboxFull": "soft",
    "MessageTooLarge": "refused",
    "ContentRejected": "refused",
    "AttachmentRejected": "refused",
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A genuine message of a topic of ours. `confirm`: the address to visit, of a confirmation."""

    kind: Kind
    id: str
    topic: str
    at: datetime
    message: str = field(repr=False)
    confirm: str | None = field(default=None, repr=False)


def envelope(body: bytes, topics: Sequence[str], now: datetime, certificate: Callable[[str], bytes]) -> Envelope:
    """The message, when Amazon signed it for one of the topics. `certificate` fetches a PEM by its (believed) address.

    Raises what `certificate` raises, too.
    """
    told = mapping(as_json(body))
    kind, topic = text(told.get("Type"), 40), text(told.get("TopicArn"), 400)
    if kind not in _SIGNED or any(not isinstance(told.get(name), str) for name in _SIGNED[kind] if name != "Subject"):
        raise unreadable("this is no message of Amazon SNS, or delivered raw")
    if topic not in topics:
        raise forged("its topic is none of ours")
    host = _believed(text(told.get("SigningCertURL"), 400), topic)
    key = _key(certificate(text(told.get("SigningCertURL"), 400)), host, now)
    _check(told, kind, key)
    at = of_iso(told.get("Timestamp"))
    fresh(at, now, PAST)
    confirm = _confirmation(told, host, topic) if kind == "SubscriptionConfirmation" else None
    return Envelope(kind, told["MessageId"], topic, at, told["Message"], confirm)  # type: ignore[arg-type]


def string_to_sign(told: Mapping[str, Any], kind: str) -> str:
    """What is signed of a message of this kind."""
    return "".join(f"{name}\n{told[name]}\n" for name in _SIGNED[kind] if isinstance(told.get(name), str))


def _believed(address: str, topic: str) -> str:
    """The host of the certificate, when it is SNS's own in the topic's region."""
    try:
        found = urlsplit(address)
        port = found.port
    except ValueError:
        raise forged("the address of its certificate cannot be read") from None
    host, region = _HOST.match(found.hostname or ""), _TOPIC.match(topic)
    plain = found.scheme == "https" and port is None and found.username is None and not found.query
    if host is None or region is None or host[1] != region[1] or not plain or not _PEM.match(found.path):
        raise forged("its certificate is not at Amazon's")
    return host[0]


def _key(pem: bytes, host: str, now: datetime) -> rsa.RSAPublicKey:
    """The key of a certificate that is valid now and made out to SNS."""
    try:
        found = x509.load_pem_x509_certificate(pem[:_LONGEST_PEM])
        names = [str(one.value) for one in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        key = found.public_key()
    except ValueError:
        raise forged("its certificate cannot be read") from None
    region = host.split(".")[1]
    ours = {"sns.amazonaws.com", f"sns-signing.{region}.amazonaws.com", f"sns-{region}.amazonaws.com"}
    ours |= {f"sns-{region}.amazonaws.com.cn"} if host.endswith(".cn") else {"sns-us-gov-west-1.amazonaws.com"}
    if not ours.intersection(names) or not isinstance(key, rsa.RSAPublicKey):
        raise forged("its certificate is not made out to Amazon SNS")
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        raise forged("its certificate is not valid now")
    return key


def _check(told: Mapping[str, Any], kind: str, key: rsa.RSAPublicKey) -> None:
    version = {"1": hashes.SHA1, "2": hashes.SHA256}.get(text(told.get("SignatureVersion"), 4))
    if version is None:
        raise forged("its signature is of an unknown version")
    try:
        signature = base64.b64decode(text(told.get("Signature"), 2000), validate=True)
        # PKCS #1 v1.5 and SHA-1 are Amazon's choice for version 1; a topic can be set to version 2.
        key.verify(signature, string_to_sign(told, kind).encode(), padding.PKCS1v15(), version())
    except (ValueError, binascii.Error, InvalidSignature):
        raise forged("its signature does not hold") from None


def _confirmation(told: Mapping[str, Any], host: str, topic: str) -> str:
    """The address to visit, when it does nothing but confirm this topic's subscription."""
    address: str = told["SubscribeURL"]
    try:
        found = urlsplit(address)
        port = found.port
    except ValueError:
        raise forged("the address to confirm at cannot be read") from None
    asked = parse_qs(found.query, keep_blank_values=True)
    wanted = {"Action": ["ConfirmSubscription"], "TopicArn": [topic], "Token": [told["Token"]]}
    where = (found.scheme, found.hostname, port, found.username, found.path)
    if where != ("https", host, None, None, "/") or asked != wanted:
        raise forged("the address to confirm at is not Amazon's")
    return address


def read(message: str) -> list[Told]:
    """The events of a notification's message, one per recipient."""
    one = mapping(as_json(message))
    kind = text(one.get("eventType"), 40) or text(one.get("notificationType"), 40)
    return list(_events(one, kind))


def _events(one: Mapping[str, Any], kind: str) -> Iterator[Told]:
    mail = mapping(one.get("mail"))
    tags, common = mapping(mail.get("tags")), mapping(mail.get("commonHeaders"))
    values = tags.get(MARK)
    headers = mail.get("headers")
    own = [mapping(item).get("value") for item in headers] if isinstance(headers, list) else []
    mark = mark_in(*(values if isinstance(values, list) else []), common.get("messageId"), *own)
    id, sent = text(mail.get("messageId"), 200), _addresses(mail.get("destination"))
    if not id:
        raise unreadable("SES names the message")

    def told(what: Any, said: Mapping[str, Any], recipient: str, **more: Any) -> Told:
        key = f"{id} {kind} {text(said.get('feedbackId'), 100)} {sent.index(recipient) if recipient in sent else ''}"
        at = of_iso(said.get("timestamp") or mail.get("timestamp"))
        return Told(NAME, key, what, at, mark, recipient, **more)

    if kind == "Delivery":
        said = mapping(one.get("delivery"))
        for recipient in _addresses(said.get("recipients")):
            yield told("delivered", said, recipient, reason=text(said.get("smtpResponse")))
    elif kind == "Bounce":
        yield from _bounces(mapping(one.get("bounce")), told)
    elif kind == "Complaint":
        said = mapping(one.get("complaint"))
        # They are on Amazon's list since an earlier complaint: this letter never went out.
        unsent = text(said.get("complaintSubType"), 40) == "OnAccountSuppressionList"
        for one_of in _recipients(said.get("complainedRecipients")):
            if text(said.get("complaintFeedbackType"), 40) == "not-spam":
                continue
            address, reason = text(one_of.get("emailAddress"), 320), text(said.get("complaintFeedbackType"), 40)
            more: dict[str, Any] = {"bounce": "refused"} if unsent else {}
            yield told("bounced" if unsent else "complained", said, address, reason=reason, **more)
    elif kind == "DeliveryDelay":
        said = mapping(one.get("deliveryDelay"))
        for one_of in _recipients(said.get("delayedRecipients")):
            yield told("delayed", said, text(one_of.get("emailAddress"), 320), reason=text(said.get("delayType")))
    elif kind in ("Reject", "Rendering Failure"):
        said = mapping(one.get("reject") or one.get("failure"))
        for recipient in sent:
            reason = text(said.get("reason") or said.get("errorMessage"))
            yield told("bounced", said, recipient, bounce="refused", reason=reason)


def _bounces(said: Mapping[str, Any], told: Callable[..., Told]) -> Iterator[Told]:
    kind, subtype = text(said.get("bounceType"), 40), text(said.get("bounceSubType"), 40)
    for recipient in _recipients(said.get("bouncedRecipients")):
        status = status_in(recipient.get("status"), recipient.get("diagnosticCode"))
        bounce = _SUBTYPES.get(subtype) or (bounce_of(status) if kind == "Permanent" else "soft")
        if kind == "Permanent" and bounce == "soft" and subtype not in _SUBTYPES:
            bounce = "refused"  # Amazon says for good, and the recipient's server told no code
        address, reason = text(recipient.get("emailAddress"), 320), text(recipient.get("diagnosticCode"))
        yield told("bounced", said, address, bounce=bounce, status=status, reason=reason or f"{kind} {subtype}")


def _recipients(found: object) -> list[Mapping[str, Any]]:
    return [mapping(one) for one in found] if isinstance(found, list) else []


def _addresses(found: object) -> list[str]:
    return [text(one, 320) for one in found if isinstance(one, str)] if isinstance(found, list) else []
