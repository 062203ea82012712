"""What needs a person is told in one letter, not in a flood, to the merchant and to the operator (P2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from house import TENANT, House
from integration.conftest import SELLER
from ladenbuch import outbox
from ladenbuch.alarms import HOUSE, end_alarm, open_alarms, raise_alarm
from ladenbuch.db import Store
from ladenbuch.domain.digesting import APART, SETTLED, due
from ladenbuch.mail.sending import Accepted, Refused, TryLater, Uncertain
from ladenbuch.web import alarm_words, codes
from ladenbuch.workflows import deliver, suppressing
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.digest import Operator, Words, digest_all
from relay import Always

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
WORDS = Words(alarm_words.alarm_sentence, alarm_words.alarm_todo, lambda language, code: codes.sentence(language, code))
NOBODY = Operator("")


class Relay(Always):
    """Takes every letter, or says that it cannot now."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, str]] = []
        self.named: list[str] = []
        self.busy = self.silent = self.refuses = False

    def send(self, message: Any, sender: str, to: str, before_data: Any, first: Any = None) -> Any:
        before_data()
        if self.busy:
            return TryLater("connect: busy", "relay")
        if self.refuses:
            return Refused("recipient 550 5.7.1 not for us", permanent=True, relay="relay", code="LETTER-REFUSED")
        body = " ".join(str(message.get_body(("plain",)).get_content()).split())
        self.named.append(str(message["Message-ID"]))
        self.taken.append((to, str(message["Subject"]), body))
        return Uncertain("no answer", "relay") if self.silent else Accepted("relay", "250 ok")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, START, {**SELLER, "letters": True, "alerts_to": "chefin@teeladen.example"})
    yield made
    made.close()


def talking(house: House, relay: Relay) -> Context:
    return replace(house.ladenbuch.context, relays=relay, wake=lambda name: None)  # type: ignore[arg-type]


def tick(house: House, relay: Relay, operator: Operator = NOBODY) -> int:
    ctx = talking(house, relay)
    made = digest_all(ctx, WORDS, operator)
    deliver.deliver_all(ctx)
    return made


def alarm(house: House, kind: str, tenant: str = TENANT, **facts: str | int) -> None:
    now, door = house.clock.now(), house.database.system("operator")
    door.run(Store.BOOKS, lambda tx: raise_alarm(tx, tenant, kind, "", now, facts))


def calm(house: House, kind: str) -> None:
    now, door = house.clock.now(), house.database.system("operator")
    door.run(Store.BOOKS, lambda tx: end_alarm(tx, TENANT, kind, "", now))


def test_p2_a_merchant_hears_of_many_things_in_one_letter_and_of_none_twice(house: House) -> None:
    relay = Relay()
    alarm(house, "TOKEN-REFUSED", service="sevdesk")
    assert tick(house, relay) == 0, "it may end by itself"
    house.clock.advance(900)
    alarm(house, "POLL-STALE", minutes=12)
    assert [tick(house, relay) for _ in range(3)] == [1, 0, 0]
    (letter,) = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: outbox.of_order(tx, TENANT, ""))
    assert letter.id == f"digest:{TENANT}:0", "two shops' first digests are two letters outside, too"
    ((to, subject, body),) = relay.taken
    assert to == "chefin@teeladen.example" and subject == "2 Dinge brauchen einen Menschen: house.myshopify.com"
    assert "sevdesk weist den Zugang" in body and "Seit 12 Minuten" in body and "seit 02.11.2026, 09:00" in body
    for _ in range(12):
        house.clock.advance(900)
        assert tick(house, relay) == 0, "nothing new"
    alarm(house, "QUEUE-OLD", minutes=20)
    house.clock.advance(3600 + 900)
    assert tick(house, relay) == 1, "something new, and four hours are over"
    house.clock.advance(86_400)
    assert [tick(house, relay), tick(house, relay)] == [1, 0], "once each morning while it lasts"
    for kind in ("TOKEN-REFUSED", "POLL-STALE", "QUEUE-OLD"):
        calm(house, kind)
    house.clock.advance(86_400)
    assert tick(house, relay) == 0 and len(relay.taken) == 3


def test_the_operator_hears_of_all_shops_and_of_the_installation_rather_twice_than_never(house: House) -> None:
    relay, operator = Relay(), Operator("ops@example.org", "en")
    alarm(house, "TOKEN-REFUSED", service="sevdesk")
    alarm(house, "SERVICE-DOWN", HOUSE, service="sevdesk", since="08:00 UTC")
    house.clock.advance(900)
    relay.busy = True
    assert tick(house, relay, operator) == 1, "the merchant's is promised"
    assert tick(house, relay, operator) == 0 and relay.taken == []
    relay.busy = False
    assert tick(house, relay, operator) == 0, "the one under way is given ten minutes"
    house.clock.advance(601)
    assert tick(house, relay, operator) == 1
    (told,) = [one for one in relay.taken if one[0] == "ops@example.org"]
    assert told[1] == "2 things need a person" and "house.myshopify.com: sevdesk refuses" in told[2]
    standing = house.database.system("operator").read(Store.BOOKS, open_alarms)
    assert "DIGEST-SENT" not in {one.kind for one in standing}
    assert tick(house, relay, operator) == 0


def test_p2_a_digest_without_an_answer_goes_out_three_times_at_most_and_further_and_further_apart(house: House) -> None:
    relay, operator = Relay(), Operator("ops@example.org", "en")
    alarm(house, "SERVICE-DOWN", HOUSE, service="sevdesk", since="08:00 UTC")
    house.clock.advance(900)
    relay.silent = True
    sent = []
    for minute in range(0, 180, 5):
        tick(house, relay, operator)
        sent += [minute] * (len(relay.taken) - len(sent))
        house.clock.advance(300)
    assert sent == [0, 10, 30], "rather two than none, but no flood"
    assert len(set(relay.named)) == 1, "a reader, or his mail server, sees that it is the same"
    house.clock.advance(86_400)
    relay.silent = False
    assert tick(house, relay, operator) == 1 and len(relay.taken) == 4, "it counted as told: the next is tomorrow's"


def test_p2_a_relay_that_certainly_took_nothing_is_asked_until_it_takes_the_digest(house: House) -> None:
    relay, operator = Relay(), Operator("ops@example.org", "en")
    alarm(house, "SERVICE-DOWN", HOUSE, service="sevdesk", since="08:00 UTC")
    house.clock.advance(900)
    relay.busy = True
    for _ in range(24):
        tick(house, relay, operator)
        house.clock.advance(3600)
    relay.busy = False
    assert tick(house, relay, operator) == 1 and len(relay.taken) == 1


def lost(house: House) -> list[tuple[str, str | int]]:
    standing = house.database.system("operator").read(Store.BOOKS, lambda tx: open_alarms(tx, TENANT))
    return [(one.kind, one.facts["why"]) for one in standing if one.kind == "DIGEST-LOST"]


def test_p2_an_address_that_takes_no_letters_is_an_alarm_and_what_was_to_be_told_is_told_later(house: House) -> None:
    relay = Relay()
    suppressing.put(house.ladenbuch.context, TENANT, "Chefin@teeladen.example", by="feedback", note="bounced")
    alarm(house, "TOKEN-REFUSED", service="sevdesk")
    house.clock.advance(900)
    assert tick(house, relay, Operator("ops@example.org", "en")) == 1
    assert lost(house) == [("DIGEST-LOST", "operator")]
    ((to, _, body),) = relay.taken
    assert to == "ops@example.org" and "Nobody reads what needs a person here" in body, "the operator hears of it"
    assert house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: outbox.of_order(tx, TENANT, "")) == []
    suppressing.take_off(
        house.ladenbuch.context, TENANT, "chefin@teeladen.example", by="ops", note="mended", send=False
    )
    assert tick(house, relay) == 1 and lost(house) == []
    assert "sevdesk weist den Zugang" in relay.taken[-1][2], "it was never counted as told"


@pytest.mark.parametrize("how", ["bounced", "suppressed", "failed"])
def test_p2_a_digest_nobody_read_is_no_digest(house: House, how: str) -> None:
    relay = Relay()
    alarm(house, "TOKEN-REFUSED", service="sevdesk")
    house.clock.advance(900)
    relay.refuses = how == "failed"
    made = digest_all(talking(house, relay), WORDS, NOBODY)
    if how == "suppressed":  # the list got it after the digest was promised
        suppressing.put(house.ladenbuch.context, TENANT, "chefin@teeladen.example", by="feedback", note="complained")
    deliver.deliver_all(talking(house, relay))
    if how == "suppressed":
        suppressing.take_off(
            house.ladenbuch.context, TENANT, "chefin@teeladen.example", by="ops", note="mended", send=False
        )
    door, now = house.database.tenant(TENANT), house.clock.now()
    (letter,) = door.read(Store.BOOKS, lambda tx: outbox.of_order(tx, TENANT, ""))
    if how == "bounced":
        told = {"what": "bounced", "bounce": "refused", "at": now, "reason": "5.7.1"}
        assert door.run(Store.BOOKS, lambda tx: outbox.told(tx, TENANT, letter.id, now, **told))
    relay.refuses = False
    again = [tick(house, relay) for _ in range(2)]
    assert made == 1
    if how == "suppressed":
        assert again == [1, 0], "nobody got anything yet"
    else:
        assert again == [0, 0] and lost(house) == [("DIGEST-LOST", {"bounced": "refused"}.get(how, how))]
        house.clock.advance(4 * 3600)
        assert tick(house, relay) == 1, "told again, without anything new"
        assert tick(house, relay) == 0 and lost(house) == []
    assert "sevdesk weist den Zugang" in relay.taken[-1][2]


@given(
    st.lists(st.integers(0, 3 * 1440), max_size=6),
    st.lists(st.integers(1, 120), min_size=1, max_size=60),
)
def test_no_two_digests_are_closer_than_agreed_and_nothing_new_is_left_untold(
    begun: list[int], steps: list[int]
) -> None:
    now, last, made = START, None, list[datetime]()
    opened = [START + timedelta(minutes=minute) for minute in begun]
    for step in steps:
        now += timedelta(minutes=step)
        there = [since for since in opened if since <= now]
        if due(there, last, now, BERLIN):
            made.append(now)
            last = now
        elif last is None or now - last >= APART:
            assert all(now - since < SETTLED or (last is not None and since <= last) for since in there)
    assert all(later - earlier >= APART for earlier, later in pairwise(made))
    assert not due([], last, now, BERLIN)
