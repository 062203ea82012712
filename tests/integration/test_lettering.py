"""Which letters a buyer gets in the life of an order, and that none comes twice (S110, S115, S116, P2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from acceptance.invoice_cases import DAY, HOUR, MUG, SOAP, buyer, sent
from house import TENANT, House
from integration.conftest import SELLER
from ladenbuch import books, money_back, outbox, privacy
from ladenbuch.db import Store
from ladenbuch.domain.books import Hand
from ladenbuch.errors import Ambiguous, Rejected, UsageError
from ladenbuch.mail.transport import Accepted, TryLater
from ladenbuch.money_back import Waiting
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.workflows import deliver, lettering
from relay import Always

BRANDED = {
    "shop_name": "Teeladen Müller", "letters_from": "Teeladen <rechnung@teeladen.example>",
    "letters_reply_to": "hallo@teeladen.example", "letters_footer": "Teeladen Müller GmbH\nHRB 4711",
}  # fmt: skip
Script = Callable[[ShopOrder], None]


class Post(Always):
    """A house with a relay that takes everything, unless it is `away`; what it took, in order."""

    away = False

    def __init__(self, folder: Path, **profile: Any) -> None:
        told = {**SELLER, **BRANDED, "letters": True, **profile}
        self.house = House(folder, datetime(2026, 11, 2, 8, tzinfo=UTC), told)
        self.taken: list[tuple[str, EmailMessage]] = []
        object.__setattr__(self.house.ladenbuch.context, "relays", self)  # the tick of its letters has this context

    def send(
        self, message: EmailMessage, sender: str, to: str, before_data: Callable[[], None], first: str | None = None
    ) -> Accepted | TryLater:
        if self.away:
            return TryLater("connect: nobody there", "relay")
        assert sender == "rechnung@teeladen.example"
        before_data()
        self.taken.append((to, message))
        return Accepted("relay", "250 ok")

    @property
    def ctx(self) -> Any:
        return self.house.ladenbuch.context

    def deliver(self) -> list[str]:
        """Let everything go out; the subjects of what was new."""
        before = len(self.taken)
        while deliver.deliver_all(self.ctx):
            pass
        return [str(message["Subject"]) for _, message in self.taken[before:]]

    def lived(self, script: Script, number: int = 1001) -> list[str]:
        self.order_id = self.house.lived(script, number)
        self.deliver()
        return [str(message["Subject"]) for _, message in self.taken]

    def words(self, index: int = -1) -> str:
        body = self.taken[index][1].get_body(("plain",))
        assert body is not None
        return " ".join(str(body.get_content()).split())

    def files(self, index: int = -1) -> list[str]:
        return [str(part.get_filename()) for part in self.taken[index][1].iter_attachments()]

    def letters(self) -> list[outbox.Letter]:
        door = self.house.database.tenant(TENANT)
        return door.read(Store.BOOKS, lambda tx: outbox.of_order(tx, TENANT, self.order_id))

    def write(self, change: Callable[[Any], Any]) -> Any:
        return self.house.database.tenant(TENANT).run(Store.BOOKS, change)

    def states(self) -> list[str]:
        return [f"{letter.kind} {letter.state}" for letter in self.letters()]

    def later(self) -> list[str]:
        """The relay is back, and everything falls due; the subjects of what was new."""
        self.away = False
        self.house.clock.advance(86_400)
        return self.deliver()


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Callable[..., Post]]:
    made: list[Post] = []

    def make(**profile: Any) -> Post:
        made.append(Post(tmp_path, **profile))
        return made[-1]

    yield make
    for one in made:
        one.house.close()
        assert one.house.sevdesk.internal_errors == []


def shipped_unpaid(order: ShopOrder) -> None:
    buyer(order)
    order.add(SOAP)
    order.place()
    order.emit("orders/create")
    sent(order)


def paid_later(order: ShopOrder) -> None:
    shipped_unpaid(order)
    order.wait(DAY, DAY)
    order.pay("bank_deposit")
    order.emit("orders/paid")


def test_s116_an_invoice_sent_unpaid_is_followed_by_thanks_where_the_profile_wants_them(
    post: Callable[..., Post],
) -> None:
    shop = post(letters_also=["payment"], letters_account="DE02 1203 0000 0000 2020 51")
    assert shop.lived(paid_later) == [
        "Ihre Rechnung RE-1001 zur Bestellung #1001",
        "Ihre Zahlung zur Rechnung RE-1001 ist da",
    ]
    assert "noch offen" in shop.words(0) and "DE02 1203" in shop.words(0) and shop.files(0) == ["RE-1001.pdf"]
    assert "vollständig bezahlt" in shop.words(1) and "9,99 €" in shop.words(1) and not shop.files(1)
    sender = shop.taken[1][1]
    assert sender["From"] == "Teeladen <rechnung@teeladen.example>" and "<hallo@teeladen.example>" in sender["Reply-To"]
    assert "HRB 4711" in shop.words(1)


def test_thanks_and_notes_on_refunds_are_chosen_never_a_surprise(post: Callable[..., Post]) -> None:
    assert post().lived(paid_later) == ["Ihre Rechnung RE-1001 zur Bestellung #1001"]


def test_4_2_money_the_shop_knew_is_never_asked_for_whoever_books_it(post: Callable[..., Post]) -> None:
    """Mode bank: nothing of ours pays the invoice, and the buyer has paid all the same."""

    def prepaid(order: ShopOrder) -> None:
        buyer(order)
        order.add(SOAP)
        order.place()
        order.emit("orders/create")
        order.wait(DAY, DAY)
        order.pay("bank_deposit")
        order.emit("orders/paid")

    shop = post(letters_also=["payment"])
    assert shop.lived(prepaid) == ["Ihre Rechnung RE-1001 zur Bestellung #1001"]
    assert "bereits bezahlt" in shop.words() and "überweisen" not in shop.words()


def cancelled(order: ShopOrder) -> None:
    shipped_unpaid(order)
    order.wait(HOUR, HOUR)
    order.cancel()
    order.emit("orders/cancelled")


def test_r5_who_was_mailed_an_invoice_hears_that_it_is_cancelled(post: Callable[..., Post]) -> None:
    shop = post()
    subjects = shop.lived(cancelled)
    assert subjects == [
        "Ihre Rechnung RE-1001 zur Bestellung #1001", "Ihre Rechnung RE-1001 zur Bestellung #1001 ist storniert",
    ]  # fmt: skip
    number = shop.house.invoices("SR")[0]["number"]
    assert number in shop.words() and shop.files() == [f"{number}.pdf"]
    assert "Bitte zahlen Sie auf diese Rechnung nichts" in shop.words()


def test_r5_an_invoice_cancelled_before_its_letter_left_is_ended_without_a_word(post: Callable[..., Post]) -> None:
    """R5: relays were away; neither the invoice nor its cancellation goes out, and each says why."""
    shop = post()
    shop.away = True
    assert shop.lived(cancelled) == [] == shop.later()
    assert [(letter.kind, letter.state, letter.reason) for letter in shop.letters()] == [
        ("invoice", "moot", "its document was cancelled or is gone"),
        ("cancellation", "moot", "the invoice never left"),
    ]
    # What became of the invoice's letter decides, and while that is open its cancellation waits.
    table, (invoice, cancellation) = outbox.letters, shop.letters()

    def ends(state: str, doubted: int | None = None) -> str:
        def put(tx: Any) -> None:
            of = sa.update(table).where(table.c.tenant == TENANT)
            tx.execute(of.where(table.c.key == invoice.id).values(state=state, doubted_at=doubted))
            tx.execute(
                of.where(table.c.key == cancellation.id).values(state="promised", run_id=None, due_at=0, reply=None)
            )

        shop.write(put)
        shop.deliver()
        return shop.letters()[1].state

    assert [ends(state) for state in ("failed", "suppressed", "moot")] == ["moot"] * 3
    assert [ends(state) for state in ("accepted", "bounced", "uncertain")] == ["accepted"] * 3
    assert ends("sending") == "promised"
    assert ends("moot", doubted=1) == "accepted", "a person had it sent again, and it may have arrived before"


def test_s116_thanks_for_money_that_went_back_are_not_sent(post: Callable[..., Post]) -> None:
    def given_back(order: ShopOrder) -> None:
        paid_later(order)
        order.wait(DAY, DAY)
        order.refund([(line, line.current) for line in order.lines])
        order.emit("refunds/create")

    shop = post(letters_also=["payment"])
    shop.away = True
    shop.lived(given_back)
    shop.later()
    assert shop.states() == ["invoice accepted", "payment moot"]


def test_r3_a_refund_without_an_invoice_is_told_where_the_profile_wants_it(post: Callable[..., Post]) -> None:
    def given_back(order: ShopOrder) -> None:
        buyer(order, locale="en")
        order.add(MUG)
        order.place()
        order.pay("shopify_payments")
        order.emit("orders/create", "orders/paid")
        order.wait(HOUR, HOUR)
        order.refund([(line, line.current) for line in order.lines])
        order.cancel()
        order.emit("orders/cancelled", "refunds/create")

    shop = post(timing="fulfilment", letters_also=["refund"])
    subjects = shop.lived(given_back)
    assert subjects == ["Refund for your order #1001"], subjects
    assert "€12.95" in shop.words() and "Erika Müller" in shop.words()


def test_p2_running_a_day_again_writes_to_nobody_twice(post: Callable[..., Post]) -> None:
    shop = post(letters_also=["payment"], letters_bcc="archiv@teeladen.example")
    assert len(shop.lived(paid_later)) == 4
    for _ in range(3):
        shop.house.clock.advance(86_400)
        shop.house.settle(shop.order_id)
        assert shop.deliver() == []
    before = shop.letters()

    def again(tx: Any) -> list[bool]:
        return [
            lettering.promise(shop.ctx, tx, TENANT, "invoice", one.id, order_id=shop.order_id, payload={"to": "x"})
            for one in before
        ]

    assert shop.house.database.tenant(TENANT).run(Store.BOOKS, again) == [False] * 4
    assert shop.letters() == before and shop.deliver() == []


def test_the_archive_gets_its_own_copy_of_what_a_relay_took(post: Callable[..., Post]) -> None:
    shop = post(letters_bcc="archiv@teeladen.example")
    shop.lived(shipped_unpaid)
    (to, letter), (archive, copy) = shop.taken
    assert (to, archive) == ("buyer.1001@example.org", "archiv@teeladen.example")
    assert copy["X-Ladenbuch-Copy-Of"] == letter["X-Ladenbuch-Letter"] != copy["X-Ladenbuch-Letter"]
    assert copy["Message-ID"] != letter["Message-ID"] and copy["Bcc"] is None and letter["Bcc"] is None
    assert "Der Brief ging an buyer.1001@example.org" in shop.words() and "archiv" not in shop.words(0)
    assert shop.files(1) == shop.files(0) == ["RE-1001.pdf"]
    assert [letter.kind for letter in shop.letters()] == ["invoice", "copy"]


def test_a_copy_that_cannot_be_written_never_makes_the_letter_go_out_again(
    post: Callable[..., Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgotten(*args: Any, **kwargs: Any) -> bool:
        raise Rejected("VAULT-FORGOTTEN")

    shop = post(letters_bcc="archiv@teeladen.example")
    monkeypatch.setattr(lettering, "profiles_in", forgotten)
    shop.lived(shipped_unpaid)
    for _ in range(3):
        shop.house.clock.advance(86_400)
        shop.deliver()
    assert [to for to, _ in shop.taken] == ["buyer.1001@example.org"]
    assert [letter.state for letter in shop.letters()] == ["accepted"]


def test_5_15_a_forgotten_buyer_gets_no_letter(post: Callable[..., Post]) -> None:
    shop = post(letters_bcc="archiv@teeladen.example")
    order_id = shop.house.lived(shipped_unpaid)
    now = shop.house.clock.now()

    def forget(tx: Any) -> bool:
        privacy.redact(tx, TENANT, order_id, "r1", now)
        late = {"document": "inv:1", "level": 1, "open": 999, "days_overdue": 3}
        return lettering.promise(shop.ctx, tx, TENANT, "reminder", "rem:1", order_id=order_id, payload=late)

    assert shop.house.database.tenant(TENANT).run(Store.BOOKS, forget) is False


def test_reminders_are_about_the_invoice_or_about_the_order_that_has_none(post: Callable[..., Post]) -> None:
    shop = post()
    shop.lived(shipped_unpaid)
    key = shop.letters()[0].id.removeprefix("mail:")
    order = {"to": "b@example.org", "locale": "en", "name": "Ann", "order": "#1002", "amount": 500, "currency": "EUR"}
    late: dict[str, Any] = {"level": 2, "days_overdue": 14, "open": 499, "until": "2026-11-30"}
    waits = Waiting(shop.order_id, "#1001", 499, 999, document_key=key)

    def remind(tx: Any) -> None:
        for number, (payload, of) in enumerate(((late | {"document": key}, key), (late | order, None))):
            one = replace(waits, order_id=f"{shop.order_id}{number or ''}", document_key=of)
            money_back.waits(tx, TENANT, one, shop.house.clock.now())
            assert lettering.promise(
                shop.ctx, tx, TENANT, "reminder", f"rem:{number}", order_id=one.order_id, payload=payload
            )

    shop.write(remind)
    assert shop.deliver() == ["Mahnung zur Rechnung RE-1001", "Your order #1002 has not been paid yet"]
    assert "seit 14 Tagen" in shop.words(-2) and "4,99 €" in shop.words(-2) and shop.files(-2) == ["RE-1001.pdf"]
    assert "by 30 November 2026" in shop.words(-1) and "€4.99" in shop.words(-1) and not shop.files(-1)

    # P2: what was promised and waited meanwhile is looked at again.
    other = "what is open is another sum, or stands in another invoice"
    for why, now, hands, last in (
        ("nothing is open any more", replace(waits, owed=0), [], "2026-11-30"),
        ("somebody looks at what is open", replace(waits, paused="dispute"), [], "2026-11-30"),
        (other, replace(waits, owed=99), [], "2026-11-30"),
        (other, replace(waits, document_key=None), [], "2026-11-30"),
        ("the day it names is over", waits, [], "2026-11-01"),
        ("its document was cancelled or is gone", waits, [Hand("gone", key)], "2026-11-30"),
    ):
        name, payload = f"rem:{why}:{now}", late | {"document": key, "until": last}

        def change(tx: Any, now: Any = now, hands: Any = hands, name: str = name, payload: Any = payload) -> None:
            money_back.waits(tx, TENANT, now, shop.house.clock.now())
            books.record_hands(tx, TENANT, shop.order_id, hands, [key], shop.house.clock.now())
            lettering.promise(shop.ctx, tx, TENANT, "reminder", name, order_id=shop.order_id, payload=payload)

        shop.write(change)
        assert shop.deliver() == []
        (letter,) = [one for one in shop.letters() if one.id == name]
        assert (letter.state, letter.reason) == ("moot", why)


def test_5_15_what_one_relay_refused_no_other_gets_after_its_buyer_was_forgotten(
    post: Callable[..., Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row says `sending` while relays are asked one after the other; the buyer is forgotten in between."""
    shop = post()
    shop.away = True
    shop.lived(shipped_unpaid)
    shop.away = False
    seen: list[Any] = []

    def send(message: Any, sender: str, to: str, before_data: Callable[[], None], first: Any = None) -> Accepted:
        before_data()  # the first relay is asked, and says no
        seen.append(shop.letters()[0])
        shop.write(lambda tx: privacy.redact(tx, TENANT, shop.order_id, "r1", shop.house.clock.now()))
        before_data()
        seen.append("sent")
        return Accepted("other", "250 ok")

    monkeypatch.setattr(shop, "send", send)
    shop.later()
    (letter,), (before,) = shop.letters(), seen
    assert (before.state, before.recipient is None) == ("sending", False)
    assert (letter.state, letter.recipient, letter.run_id) == ("moot", None, None)
    assert letter.reason == "PRIVACY: the buyer's data was erased before it was sent"


# -- through sevdesk's own mail -----------------------------------------------------------------------------------


def test_sevdesk_mails_documents_where_the_profile_says_so_and_reads_back_as_mailed(post: Callable[..., Post]) -> None:
    shop = post(letters_by="sevdesk", letters_also=["payment"])
    assert shop.lived(paid_later) == ["Ihre Zahlung zur Rechnung RE-1001 ist da"], "what has no document is ours"
    (mail,) = shop.house.sevdesk.world.mails
    assert mail["to"] == "buyer.1001@example.org" and mail["subject"] == "Ihre Rechnung RE-1001 zur Bestellung #1001"
    assert "<p>" in mail["text"] and "noch offen" in mail["text"]
    first = shop.letters()[0]
    assert (first.state, first.relay) == ("accepted", "sevdesk")


@pytest.mark.parametrize(("arrived", "state", "mails"), [(True, "accepted", 1), (False, "uncertain", 0)])
def test_an_answer_of_sevdesk_that_was_lost_is_settled_by_reading_never_by_repeating(
    post: Callable[..., Post], monkeypatch: pytest.MonkeyPatch, arrived: bool, state: str, mails: int
) -> None:
    from ladenbuch.sevdesk.client import Sevdesk

    real = Sevdesk.mail_document

    def lost(self: Sevdesk, *args: str) -> None:
        if arrived:
            real(self, *args)
        raise Ambiguous("SEVDESK-LOST")

    monkeypatch.setattr(Sevdesk, "mail_document", lost)
    shop = post(letters_by="sevdesk")
    shop.lived(shipped_unpaid)
    for _ in range(3):
        shop.house.clock.advance(float(timedelta(hours=1).total_seconds()))
        shop.deliver()
    assert len(shop.house.sevdesk.world.mails) == mails
    assert [letter.state for letter in shop.letters()] == [state]


# -- looked at before a buyer does --------------------------------------------------------------------------------


def test_a_letter_is_looked_at_and_sent_to_oneself_by_command(
    post: Callable[..., Post], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ladenbuch.cli import sampling

    shop = post()
    monkeypatch.setattr(sampling, "opened", lambda: nullcontext(shop.house.ladenbuch))
    assert sampling.show(None, None, "de", "text", as_json=False) == 0
    assert "reminder3" in capsys.readouterr().out
    assert sampling.show("reminder3", None, "en", "text", as_json=False) == 0
    told = capsys.readouterr().out
    assert "Final reminder for invoice R1001" in told and "+ R1001.pdf" in told and "Teeladen Müller" in told
    assert sampling.show("invoice", None, "de", "eml", as_json=False) == 0
    assert "Content-Type: multipart/mixed" in capsys.readouterr().out
    assert shop.taken == [], "nothing is sent by looking"
    assert sampling.send("invoice", "me@example.org", None, "de", as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] is True
    ((to, message),) = shop.taken
    assert to == "me@example.org" and message["Subject"].startswith("Test: ")
    for wrong in (("gutschrift", "me@example.org"), ("invoice", "me@example.org\r\nBcc: eve@example.net")):
        with pytest.raises(UsageError):
            sampling.send(*wrong, None, "de", as_json=False)
