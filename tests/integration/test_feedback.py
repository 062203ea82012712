"""What providers tell becomes the state of letters, in any order and twice; and who gets none (S67, S113)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr
from starlette.testclient import TestClient

import published_feedback as published
from acceptance.invoice_cases import SOAP, buyer, placed
from house import TENANT, House
from integration.conftest import SELLER
from ladenbuch import alarms, audit, outbox, suppressions, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli import doctor
from ladenbuch.cli.serve import make_app
from ladenbuch.db import Database, Store
from ladenbuch.domain import mail_domain
from ladenbuch.domain.feedback import mark_of, strength
from ladenbuch.engine.inline import VirtualClock
from ladenbuch.errors import Retryable
from ladenbuch.mail import dns_lookup
from ladenbuch.mail.feedback import Told
from ladenbuch.mail.transport import Accepted, Refused
from ladenbuch.settings import Settings
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows import deliver, delivering, feedback, redaction, suppressing

KEY = "k1:" + "A" * 43 + "="
BOOKS = Store.BOOKS
MAILGUN, POSTMARK = "a-signing-key-of-mailgun", "post:a-password-of-postmark"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
TO = "B.Müller@x.de"


class Desk:
    """A connector that was given keys of all providers, two shops with the same letters, and a web front."""

    def __init__(
        self, database: Database, start: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC), **settings: str
    ) -> None:
        self.database, self.clock = database, VirtualClock(start)
        given = {
            "LADENBUCH_KEYS": KEY,
            "LADENBUCH_FEEDBACK_SENDGRID": PUBLIC,
            "LADENBUCH_FEEDBACK_MAILGUN": MAILGUN,
            "LADENBUCH_FEEDBACK_SES": published.SNS_V2["TopicArn"],
            "LADENBUCH_FEEDBACK_POSTMARK": POSTMARK,
            **settings,
        }
        ids = itertools.count(1)
        self.house = Ladenbuch(
            Settings.read({name: value for name, value in given.items() if value}),
            database,
            Vault(KeyRing.parse(KEY), database),
            clock=self.clock.now,
            new_id=lambda: f"id{next(ids)}",
        )
        self.ctx = self.house.context
        self.web = TestClient(make_app(self.house, "web"), raise_server_exceptions=False)
        for name in ("t1", "t2"):
            database.system("operator").run(BOOKS, lambda tx, name=name: self._open(tx, name))  # type: ignore[misc]

    def _open(self, tx: Any, name: str) -> None:
        tenants.add(tx, id=name, shop=f"{name}.myshopify.com", cut_off=self.clock.now(), now=self.clock.now())

    def letter(
        self, key: str, state: str = "accepted", *, tenant: str = "t1", to: str = TO, relay: str = "r:25"
    ) -> str:
        """A letter that came so far; its mark."""
        now, door = self.clock.now(), self.database.tenant(tenant)

        def write(tx: Any) -> None:
            sealed = self.house.vault.seal(tenant, "letter", key, json.dumps({"to": to}).encode(), "o1")
            outbox.promise(
                tx, tenant, key=key, kind="invoice", order_id="o1", document_id=None, sealed_payload=sealed, now=now
            )
            if state == "promised":
                return
            outbox.claim(tx, tenant, key, "run", now, "x")
            if state == "held":
                return
            recipient = suppressing.recipient_of(self.ctx, tx, tenant, to)
            outbox.sending(tx, tenant, key, "run", now, recipient=recipient)
            if state == "uncertain":
                outbox.uncertain(tx, tenant, key, "run", now, "lost")
            elif state == "again":
                outbox.retry(tx, tenant, key, "run", now, due_at=now, reason="451 later")
            elif state == "accepted":
                outbox.accepted(tx, tenant, key, "run", now, message_id="<1@x>", relay=relay, reply="250 ok")

        door.run(BOOKS, write)
        return mark_of(key)

    def state(self, key: str, tenant: str = "t1") -> tuple[str, str | None]:
        letter = self.database.tenant(tenant).read(BOOKS, lambda tx: outbox.get(tx, tenant, key))
        assert letter is not None
        return letter.state, letter.bounce

    def told(self, mark: str, what: str, bounce: str | None = None, to: str = TO, **more: Any) -> Told:
        more = {"provider": "sendgrid", "id": f"{mark} {what} {bounce}", "at": self.clock.now(), **more}
        return Told(what=what, bounce=bounce, mark=mark, recipient=to, **more)  # type: ignore[arg-type]

    def take(self, *told: Told) -> dict[str, int]:
        return dict(feedback.take(self.ctx, told))

    def listed(self, tenant: str = "t1") -> list[str]:
        found = self.database.tenant(tenant).read(BOOKS, lambda tx: suppressions.listed(tx, tenant))
        return [one.cause for one in found]

    # -- as providers speak ------------------------------------------------------------------------------------------

    def sendgrid(self, *events: dict[str, Any], at: datetime | None = None) -> Any:
        body = json.dumps(events).encode() + b"\r\n"
        stamp = str(int((at or self.clock.now()).timestamp()))
        signature = PRIVATE.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return body, {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
        }

    def mailgun(self, event: dict[str, Any], token: str = "t" * 50, at: datetime | None = None) -> bytes:
        stamp = str(int((at or self.clock.now()).timestamp()))
        mac = hmac.new(MAILGUN.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
        signature = {"timestamp": stamp, "token": token, "signature": mac}
        return json.dumps({"signature": signature, "event-data": event}).encode()

    def event(self, mark: str, kind: str = "delivered", **more: Any) -> dict[str, Any]:
        at = self.clock.now().timestamp()
        return {"email": TO, "timestamp": int(at), "event": kind, "sg_event_id": f"{mark}{kind}",
                "ladenbuch_letter": mark, **more}  # fmt: skip

    def mailgun_event(self, mark: str, kind: str = "delivered") -> dict[str, Any]:
        at = self.clock.now().timestamp()
        return {
            "id": "e1",
            "event": kind,
            "timestamp": at,
            "recipient": TO,
            "user-variables": {"ladenbuch_letter": mark},
        }


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Desk]:
    from migrated import migrated

    opened = Database.open(data_dir=migrated(tmp_path))
    opened.migrate()
    yield Desk(opened)
    opened.close()


# -- states -------------------------------------------------------------------------------------------------------


def test_s67_the_strongest_word_holds_whatever_the_order_and_however_often(desk: Desk) -> None:
    words = [("delivered", None), ("bounced", "soft"), ("bounced", "refused"), ("bounced", "invalid"),
             ("complained", None), ("delayed", None)]  # fmt: skip
    chance = random.Random(7)
    for number in range(6):
        mark = desk.letter(f"l{number}", to=f"b{number}@x.de")
        heard = chance.sample(words, chance.randint(1, len(words)))
        told = [desk.told(mark, *word, to=f"b{number}@x.de") for word in heard for _ in range(chance.randint(1, 3))]
        chance.shuffle(told)
        for one in told:
            desk.take(one)
        strongest = max(heard, key=lambda word: strength(*word))
        assert desk.state(f"l{number}") == (("accepted", None) if strength(*strongest) == 0 else strongest), heard


def test_s67_each_word_is_counted_once_by_what_it_changed(desk: Desk) -> None:
    mark = desk.letter("l1")
    assert desk.take(desk.told(mark, "delayed"), desk.told("f" * 32, "delivered"), desk.told(mark, "delivered")) == {
        "delayed": 1, "unknown": 1, "changed": 1}  # fmt: skip
    assert desk.take(desk.told(mark, "delivered"), desk.told(mark, "bounced", "soft")) == {"known": 2}
    assert desk.take(desk.told(mark, "delivered", to="archive@shop.de")) == {"other": 1}
    assert desk.take(replace(desk.told(mark, "complained"), mark=None)) == {"unknown": 1}
    assert desk.take(desk.told(mark, "complained", to="b.müller@X.DE")) == {"changed": 1}  # the same address
    assert desk.state("l1") == ("complained", None)


def test_s67_a_word_that_comes_before_the_answer_was_written_down_is_kept(desk: Desk) -> None:
    now = desk.clock.now()
    for key, state in (("sending", "sending"), ("uncertain", "uncertain"), ("waits", "again")):
        recipient = desk.letter(key, state)
        assert desk.take(desk.told(recipient, "delivered")) == {"changed": 1}, state
        assert desk.state(key) == ("delivered", None)
    door = desk.database.tenant("t1")
    took = {"message_id": "<1@x>", "relay": "sendgrid", "reply": "202"}
    assert door.run(BOOKS, lambda tx: outbox.accepted(tx, "t1", "sending", "run", now, **took))
    letter = door.read(BOOKS, lambda tx: outbox.get(tx, "t1", "sending"))
    assert letter is not None and (letter.state, letter.relay) == ("delivered", "sendgrid")
    assert door.read(BOOKS, lambda tx: outbox.due(tx, now + timedelta(days=1), 9)) == []  # nothing is sent twice


def test_s67_a_word_about_a_letter_a_run_is_about_to_send_is_told_again(desk: Desk) -> None:
    mark = desk.letter("l1", "held")
    with pytest.raises(Retryable):
        desk.take(desk.told(mark, "delivered"))
    assert desk.state("l1") == ("promised", None)


def test_s41_the_same_letter_of_two_shops_is_told_apart_by_its_recipient(desk: Desk) -> None:
    mark = desk.letter("l1", tenant="t1", to="a@x.de")
    assert desk.letter("l1", tenant="t2", to="b@x.de") == mark
    assert desk.take(desk.told(mark, "bounced", "invalid", to="b@x.de")) == {"changed": 1, "other": 1}
    assert (desk.state("l1", "t1"), desk.state("l1", "t2")) == (("accepted", None), ("bounced", "invalid"))
    assert (desk.listed("t1"), desk.listed("t2")) == ([], ["invalid"])


def test_s41_what_is_told_of_one_shop_s_letter_says_nothing_of_another_s_that_nobody_sent(desk: Desk) -> None:
    mark = desk.letter("l1", tenant="t1", to="a@x.de")
    assert desk.letter("l1", "promised", tenant="t2", to="b@x.de") == mark
    assert desk.take(desk.told(mark, "bounced", "invalid", to="a@x.de")) == {"changed": 1, "known": 1}
    assert desk.state("l1", "t2") == ("promised", None)
    assert desk.listed("t2") == []


def test_s67_a_word_that_ends_a_doubt_is_in_the_order_s_story(desk: Desk) -> None:
    mark = desk.letter("l1", "uncertain")
    desk.take(desk.told(mark, "delivered"), desk.told(mark, "delivered"))
    told = desk.database.tenant("t1").read(BOOKS, lambda tx: audit.entries(tx, "t1", "o1", 9))
    assert [one.event for one in told] == ["mailed.arrived"]


def test_s113_a_bounce_message_counts_for_its_very_recipient_only(files: Desk) -> None:
    mark = files.letter("l1")
    by_mail = {"provider": "dsn"}
    assert files.take(files.told(mark, "bounced", "invalid", to="somebody@else.de", **by_mail)) == {"other": 1}
    assert files.take(files.told(mark, "complained", to="", **by_mail)) == {"other": 1}
    assert files.take(files.told(mark, "bounced", "invalid", **by_mail)) == {"changed": 1}


def test_s67_a_shop_that_left_hears_nothing_any_more(files: Desk) -> None:
    mark, now = files.letter("l1"), files.clock.now()
    files.database.tenant("t1").run(BOOKS, lambda tx: tenants.set_state(tx, "t1", "uninstalled", now, "gone"))
    assert files.take(files.told(mark, "bounced", "invalid")) == {"gone": 1}
    assert files.state("l1") == ("accepted", None) and files.listed() == []


# -- who gets none ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "bounce", "cause"), [
    ("complained", None, "complaint"), ("bounced", "invalid", "invalid"), ("bounced", "refused", None),
    ("bounced", "soft", None), ("delivered", None, None)])  # fmt: skip
def test_s67_a_complaint_or_a_bounce_for_good_spares_the_address(
    files: Desk, what: str, bounce: str | None, cause: str | None
) -> None:
    mark = files.letter("l1")
    files.take(files.told(mark, what, bounce))
    address = suppressing.look_up(files.ctx, "t1", "B.MÜLLER@x.de")
    assert address.cause == cause and files.listed() == ([cause] if cause else [])
    assert suppressing.look_up(files.ctx, "t2", TO).cause is None  # every shop has its own list
    assert TO not in repr(address) and "ller" not in address.recipient


def test_s67_three_soft_bounces_in_a_row_spare_it_and_a_delivery_between_does_not(files: Desk) -> None:
    for number, word in enumerate((("bounced", "soft"), ("bounced", "soft"), ("delivered", None),
                                   ("bounced", "soft"), ("bounced", "soft"), ("bounced", "soft"))):  # fmt: skip
        assert files.listed() == []
        files.clock.advance(60)
        files.take(files.told(files.letter(f"l{number}"), *word))
    assert files.listed() == ["soft"]


class Relay:
    """Takes every letter, or refuses its recipient."""

    def __init__(self, refusal: str = "") -> None:
        self.taken: list[str] = []
        self.refusal = refusal

    def room(self, most: int) -> int:
        return most

    def send(self, message: Any, envelope_from: str, envelope_to: str, before_data: Any, *_: Any) -> Any:
        if self.refusal:
            return Refused(self.refusal, True, "relay:25", "LETTER-REFUSED")
        before_data()
        self.taken.append(envelope_to)
        return Accepted("relay:25", "250 ok")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, datetime(2026, 11, 2, 8, tzinfo=UTC), {**SELLER, "letters": True})
    yield made
    made.close()


def _order(order: ShopOrder, to: str | None = None) -> None:
    buyer(order)
    order.email = to or order.email
    order.add(SOAP)
    placed(order)


def _deliver(house: House, ctx: Any) -> None:
    for _ in range(3):  # the house itself has tried before, without any relay
        house.clock.advance(600.0)
        deliver.deliver_all(ctx)


def _letters(house: House, order: str) -> list[outbox.Letter]:
    return house.database.tenant(TENANT).read(BOOKS, lambda tx: outbox.of_order(tx, TENANT, order))


def test_s67_who_complained_gets_no_second_letter_until_a_person_says_so(house: House) -> None:
    relay = Relay()
    ctx = replace(house.ladenbuch.context, relays=relay)  # type: ignore[arg-type]
    first = house.lived(_order)
    _deliver(house, ctx)
    (letter,) = _letters(house, first)
    (to,) = relay.taken
    now = ctx.clock()
    told = Told("sendgrid", "e1", "complained", now, mark_of(letter.id), to)
    assert dict(feedback.take(ctx, [told])) == {"changed": 1}
    second = house.lived(lambda order: _order(order, to), 1002)
    _deliver(house, ctx)
    (spared,) = _letters(house, second)
    assert (spared.state, spared.bounce, relay.taken) == ("suppressed", "complaint", [to])
    story = house.database.tenant(TENANT).read(BOOKS, lambda tx: audit.entries(tx, TENANT, second, 50))
    assert any("complained" in entry.sentence for entry in story)
    assert suppressing.take_off(ctx, TENANT, to, by="anna", note="she wants them", send=True) == (True, 1)
    _deliver(house, ctx)
    assert (_letters(house, second)[0].state, len(relay.taken)) == ("accepted", 2)
    assert suppressing.take_off(ctx, TENANT, to, by="anna", note="again", send=True) == (False, 0)


def test_s67_a_recipient_refused_at_once_is_spared_too(house: House) -> None:
    ctx = replace(house.ladenbuch.context, relays=Relay("recipient: 550 5.1.1 no such user"))  # type: ignore[arg-type]
    first = house.lived(_order)
    _deliver(house, ctx)
    assert _letters(house, first)[0].state == "failed"
    listed = house.database.tenant(TENANT).read(BOOKS, lambda tx: suppressions.listed(tx, TENANT))
    assert [one.cause for one in listed] == ["invalid"]


def test_b9_a_buyer_who_is_forgotten_leaves_no_hash_at_the_letters(house: House) -> None:
    ctx = replace(house.ladenbuch.context, relays=Relay())  # type: ignore[arg-type]
    first = house.lived(_order)
    _deliver(house, ctx)
    assert _letters(house, first)[0].recipient is not None
    redaction.erase(ctx, TENANT, [first], "r1", by="test")
    assert _letters(house, first)[0].recipient is None


# -- at the door --------------------------------------------------------------------------------------------------


def test_s113_sendgrid_is_heard_and_its_replay_changes_nothing(files: Desk) -> None:
    mark = files.letter("l1", relay="sendgrid")
    body, headers = files.sendgrid(files.event(mark))
    assert files.web.post("/mail/feedback/sendgrid", content=body, headers=headers).status_code == 200
    assert files.state("l1") == ("delivered", None)
    assert files.web.post("/mail/feedback/sendgrid", content=body, headers=headers).status_code == 200
    files.clock.advance(26 * 3600)
    assert files.web.post("/mail/feedback/sendgrid", content=body, headers=headers).status_code == 401
    shown = files.house.metrics.render().decode()
    assert 'mail_feedback_total{provider="sendgrid",result="taken"} 1.0' in shown
    assert 'mail_feedback_total{provider="sendgrid",result="repeated"} 1.0' in shown
    assert 'mail_feedback_total{provider="sendgrid",result="forged"} 1.0' in shown
    assert 'mail_feedback_events_total{provider="sendgrid",result="known"} 1.0' in shown


def test_s113_a_replay_does_not_undo_what_a_person_did(files: Desk) -> None:
    """Somebody recorded a genuine complaint: played again, it does not put the address back on the list."""
    mark = files.letter("l1")
    body, headers = files.sendgrid(files.event(mark, "spamreport"))
    files.web.post("/mail/feedback/sendgrid", content=body, headers=headers)
    assert files.listed() == ["complaint"]
    suppressing.take_off(files.ctx, "t1", TO, by="anna", note="asked for", send=False)
    assert files.web.post("/mail/feedback/sendgrid", content=body, headers=headers).status_code == 200
    assert files.listed() == []


def test_s113_a_signature_of_mailgun_carries_no_other_words(files: Desk) -> None:
    mark, other = files.letter("l1"), files.letter("l2", to="c@x.de")
    genuine = files.mailgun(files.mailgun_event(mark))
    assert files.web.post("/mail/feedback/mailgun", content=genuine).status_code == 200
    told = json.loads(genuine)
    told["event-data"] = {**files.mailgun_event(other, "complained"), "recipient": "c@x.de"}
    for body in (json.dumps(told), genuine.replace(b"delivered", b"complained")):
        answer = files.web.post("/mail/feedback/mailgun", content=body)
        assert answer.status_code == 401 and "used for something else" in answer.text
    assert (files.state("l1"), files.state("l2"), files.listed()) == (("delivered", None), ("accepted", None), [])
    assert files.web.post("/mail/feedback/mailgun", content=genuine).status_code == 200
    assert feedback.prune(files.ctx) == 0
    files.clock.advance(10 * 3600)
    assert files.web.post("/mail/feedback/mailgun", content=genuine).status_code == 401
    files.clock.advance(48 * 3600)
    assert feedback.prune(files.ctx) == 1


def test_s113_tampered_with_unsigned_and_too_much_is_refused_and_keeps_nothing(files: Desk) -> None:
    mark = files.letter("l1")
    body, headers = files.sendgrid(files.event(mark, "spamreport"))
    post = files.web.post
    assert (
        post("/mail/feedback/sendgrid", content=body.replace(b"spamreport", b"delivered "), headers=headers).status_code
        == 401
    )
    assert post("/mail/feedback/sendgrid", content=body).status_code == 401
    assert post("/mail/feedback/sendgrid", content=b"x" * 1_000_001, headers=headers).status_code == 413
    junk, signed = b"[not json", {}
    stamp = str(int(files.clock.now().timestamp()))
    signature = PRIVATE.sign(stamp.encode() + junk, ec.ECDSA(hashes.SHA256()))
    signed = {"X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
              "X-Twilio-Email-Event-Webhook-Timestamp": stamp}  # fmt: skip
    assert post("/mail/feedback/sendgrid", content=junk, headers=signed).status_code == 400
    assert post("/mail/feedback/mailgun", content=files.mailgun({}).replace(b"ttt", b"tts")).status_code == 401
    assert post("/mail/feedback/postmark", json={"RecordType": "Bounce"}).status_code == 401
    assert post("/mail/feedback/ses", json=published.SNS_V2 | {"Message": "{}"}).status_code in (401, 503)
    assert files.web.get("/mail/feedback/sendgrid").status_code == 405
    assert post("/mail/feedback/elsewhere", content=b"").status_code == 404
    assert files.state("l1") == ("accepted", None) and files.listed() == []


def test_s113_postmark_needs_its_password(files: Desk) -> None:
    mark = files.letter("l1")
    told = {"RecordType": "SpamComplaint", "MessageID": "m1", "ID": 1, "Email": TO, "BouncedAt": "2026-11-23T12:00:00Z",
            "Metadata": {"ladenbuch_letter": mark}}  # fmt: skip
    assert files.web.post("/mail/feedback/postmark", json=told, auth=("post", "wrong")).status_code == 401
    assert files.state("l1") == ("accepted", None)
    name, _, password = POSTMARK.partition(":")
    assert files.web.post("/mail/feedback/postmark", json=told, auth=(name, password)).status_code == 200
    assert (files.state("l1"), files.listed()) == (("complained", None), ["complaint"])


def test_s113_amazon_is_believed_with_its_own_certificate_and_subscribed_to_once_it_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from migrated import migrated

    fetched: list[str] = []

    def fetch(self: Ladenbuch, address: str) -> bytes:
        fetched.append(address)
        return published.SNS_CERTIFICATES.get(address, b"confirmed")

    monkeypatch.setattr(Ladenbuch, "_fetch", fetch)
    database = Database.open(data_dir=migrated(tmp_path))
    desk = Desk(database, datetime(2026, 3, 6, 19, 32, tzinfo=UTC))
    first, post = published.SNS_CONFIRMATION, desk.web.post
    assert post("/mail/feedback/ses", content=json.dumps(first)).status_code == 200
    assert fetched == [first["SigningCertURL"], first["SubscribeURL"]]
    assert post("/mail/feedback/ses", json=first | {"SubscribeURL": "https://evil.example/"}).status_code == 401
    assert post("/mail/feedback/ses", json=published.SNS_OLD_V2).status_code == 401  # somebody else's topic
    desk.clock.advance(1800)
    assert post("/mail/feedback/ses", json=published.SNS_V2).status_code == 400  # genuine, and not of Amazon SES
    assert fetched == [first["SigningCertURL"], first["SubscribeURL"]]  # the certificate is remembered
    database.close()


def test_s113_a_provider_without_a_key_has_no_door(tmp_path: Path) -> None:
    from migrated import migrated

    database = Database.open(data_dir=migrated(tmp_path))
    desk = Desk(database, LADENBUCH_FEEDBACK_MAILGUN="", LADENBUCH_FEEDBACK_SES="")
    assert desk.web.post("/mail/feedback/mailgun", content=b"{}").status_code == 404
    assert desk.web.post("/mail/feedback/postmark", content=b"{}").status_code == 401
    assert desk.ctx.telling == {"sendgrid", "postmark"}
    database.close()


def test_s113_what_cannot_be_written_is_asked_for_again(files: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = files.letter("l1")
    body, headers = files.sendgrid(files.event(mark))

    def down(*args: Any, **more: Any) -> Any:
        raise Retryable("DB-DOWN")

    with monkeypatch.context() as broken:
        broken.setattr(outbox, "told", down)
        assert files.web.post("/mail/feedback/sendgrid", content=body, headers=headers).status_code == 503
    assert files.web.post("/mail/feedback/sendgrid", content=body, headers=headers).status_code == 200
    assert files.state("l1") == ("delivered", None)


# -- the sender's domain ---------------------------------------------------------------------------------------------


class NameServer(threading.Thread):
    """Answers TXT and MX of one domain on loopback; of `down.test` nobody ever hears."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.records = {
            ("shop.test.", "MX"): "10 mail.shop.test.",
            ("shop.test.", "TXT"): '"v=spf1 ip4:192.0.2.1 " "-all"',
            ("_dmarc.shop.test.", "TXT"): '"v=DMARC1; p=none"',
        }

    def run(self) -> None:
        while True:
            raw, peer = self.socket.recvfrom(4096)
            asked = dns.message.from_wire(raw)
            (question,) = asked.question
            name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
            if name.endswith("down.test."):
                continue
            answer = dns.message.make_response(asked)
            if (name, kind) in self.records:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, self.records[name, kind]))
            elif not any(name == known for known, _ in self.records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            self.socket.sendto(answer.to_wire(), peer)


def test_s67_the_doctor_looks_the_sender_up_in_dns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = NameServer()
    server.start()
    asked = dns.resolver.Resolver(configure=False)
    asked.nameservers, asked.port = ["127.0.0.1"], server.port
    monkeypatch.setattr(dns_lookup, "PATIENCE", 0.3)
    env = {"LADENBUCH_SMTP_URLS": "sendgrid://apikey:k@api.sendgrid.com", "LADENBUCH_MAIL_FROM": "Shop <a@shop.test>"}
    made = House(tmp_path, datetime(2026, 11, 2, 8, tzinfo=UTC), {**SELLER, "letters": True}, env)
    try:
        found = doctor.of_sender(made.ladenbuch, TENANT, dns_lookup.Resolver(asked))
        told = {one.code: (one.level, one.english) for one in found}
        assert told["MAIL-SPF"] == ("ok", "SPF of shop.test: -all"), "one record in two strings"
        assert told["MAIL-DKIM"][0] == "warn" and "under s1, s2" in told["MAIL-DKIM"][1]
        assert told["MAIL-DMARC"][0] == "ok"
        assert [one.code for one in mail_domain.findings("nobody.test", (), dns_lookup.Resolver(asked))] == [
            "MAIL-DOMAIN"
        ]
        assert [one.code for one in mail_domain.findings("down.test", (), dns_lookup.Resolver(asked))] == ["MAIL-DNS"]
        here = made.ladenbuch.settings.model_copy(update={"smtp_urls": (SecretStr("smtp://127.0.0.1:25"),)})
        made.ladenbuch.settings = here
        assert doctor.of_sender(made.ladenbuch, TENANT, dns_lookup.Resolver(asked)) == [], "nobody beyond reads it"
    finally:
        made.close()
        server.socket.close()


# -- the rate -----------------------------------------------------------------------------------------------------


def _page(desk: Desk, language: str) -> str:
    web = TestClient(make_app(desk.house, "web"), base_url="http://127.0.0.1", client=("127.0.0.1", 50_000))
    answer = web.get("/delivery?shop=t1", headers={"accept-language": language})
    assert answer.status_code == 200
    return answer.text.replace("\u00a0", " ").replace("\u202f", " ")


def test_s67_the_alarm_is_raised_under_99_percent_and_ends_by_itself(files: Desk) -> None:
    def letters(named: str, count: int, what: str, bounce: str | None = None) -> None:
        told = []
        for number in range(count):
            to = f"{named}{number}@x.de"
            told.append(files.told(files.letter(f"{named}{number}", to=to), what, bounce, to=to))
        files.take(*told)

    letters("a", 18, "delivered")
    letters("b", 1, "bounced", "invalid")
    assert delivering.watch(files.ctx) == 0, "too few to say"
    letters("c", 1, "bounced", "refused")
    assert delivering.watch(files.ctx) == 1
    door = files.database.tenant("t1")
    (alarm,) = door.read(BOOKS, lambda tx: alarms.open_alarms(tx, "t1"))
    told = {"rate": "90.00", "valid": "94.73", "arrived": 18, "judged": 20}
    assert (alarm.kind, alarm.facts) == ("LETTERS-LOST", told)
    shown = _page(files, "de")
    assert "90,00 %" in shown and "94,73 %" in shown and "Einer davon ging an eine ungültige Adresse." in shown
    assert "gibt es nicht" in shown and "Zurückgekommen" in shown and "x.de" not in shown
    assert "Arrived, of all promised" in _page(files, "en") and "90.00%" in _page(files, "en")
    files.house.health("all")
    gauges = files.house.metrics.render().decode()
    assert 'letters_delivered_ratio{of="promised",tenant="t1"} 0.9' in gauges
    assert 'letters_delivered_ratio{of="valid",tenant="t1"} 0.9473' in gauges
    files.clock.advance(31 * 86_400)
    letters("d", 20, "delivered")
    assert delivering.watch(files.ctx) == 0
    assert door.read(BOOKS, lambda tx: alarms.open_alarms(tx, "t1")) == []
