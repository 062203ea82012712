"""One poisoned order among good ones, as a diary: the others go on, it ends, it is mended (S32-S37, S101, S109)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from acceptance.diary import SHOP, Diary, diary
from ladenbuch import alarms, deadletters, inbox, tenants
from ladenbuch.db import Store
from ladenbuch.deadletters import DeadLetter, Which
from ladenbuch.errors import UsageError
from ladenbuch.mail.transport import TryLater
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.workflows import redriving
from ladenbuch.workflows.hearing import News, hear

SOAP, BOOK = ("Seife", 1190, 190), ("Buch", 1070, 70)
UNKNOWN = json.dumps({"error": {"code": 999, "message": "something else"}}).encode()


class Poison:
    """sevdesk answers whatever writes an invoice of this order with an error nobody knows."""

    def __init__(self, day: Diary, name: str) -> None:
        self.tried = 0
        self.on = True
        through, poisoned = day.sevdesk.handle, name.encode()

        def handle(request: SimRequest) -> SimResponse:
            if self.on and "saveInvoice" in request.path and poisoned in request.body:
                self.tried += 1
                return SimResponse(400, {"content-type": "application/json"}, UNKNOWN)
            return through(request)

        day.sevdesk.handle = handle  # type: ignore[method-assign]


def listed(day: Diary, state: deadletters.State | None = "open") -> list[DeadLetter]:
    return list(redriving.matching(day.database, Which(state=state)))


def told(day: Diary, letter: DeadLetter) -> list[str]:
    """What the audit chain says about it, without the alarm's own lines."""
    texts = [text for text in day.story() if "given up" in text or redriving.id_of(letter) in text]
    return [text for text in texts if "alarm" not in text.lower()]


def hours(day: Diary, times: int, each: int = 2) -> None:
    for _ in range(times):
        day.at(f"{day.clock.now() + timedelta(hours=each):%Y-%m-%d %H:%M:%S}")


def due(day: Diary) -> bool:
    system = day.database.system("health")
    return system.read(Store.INBOX, inbox.next_due) is not None


def test_s35_s36_one_poisoned_order_ends_while_the_others_go_on_and_is_settled_once_when_it_is_mended() -> None:
    with diary("2027-03-01 10:00") as day:
        poison = Poison(day, "#502")
        good = [day.order(name).basket(SOAP).tell_order() for name in ("#501",)]
        bad = day.order("#502").basket(BOOK).tell_order()
        good.append(day.order("#503").basket(SOAP).tell_order())
        assert len(day.documents()) == 2, "the others are not held up"

        (trying,) = listed(day, "trying")
        assert (trying.code, trying.attempts, listed(day)) == ("SEVDESK-UNCLEAR", poison.tried, [])
        assert trying.detail["next"] is not None and trying.detail["failures"][-1]["trace"]

        hours(day, 2)
        (letter,) = listed(day)
        assert (redriving.id_of(letter), letter.code, letter.attempts) == (
            f"order:{bad.gid.rsplit('/', 1)[-1]}", "SEVDESK-UNCLEAR", 6,
        )  # fmt: skip
        assert poison.tried == 6 and len(letter.detail["failures"]) == 6, "one attempt and five more"
        assert told(day, letter) == ["Order given up after 6 attempts: SEVDESK-UNCLEAR."]
        (alarm,) = day.database.tenant("s1").read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, "s1"))
        assert (alarm.kind, alarm.facts) == ("GAVE-UP", {"count": 1})

        hours(day, 3, each=8)
        assert poison.tried == 6 and not due(day), "nothing tries it by itself"
        good.append(day.order("#504").basket(SOAP).tell_order())
        assert len(day.documents()) == 3

        day.look_again(bad)
        assert poison.tried == 7 and not due(day), "a new wish is one further attempt"
        assert [one.attempts for one in listed(day)] == [7]

        poison.on = False
        hours(day, 1)
        assert len(day.documents()) == 3, "mended, and nobody wants it yet"
        letters = redriving.matching(day.database, Which(code="SEVDESK-UNCLEAR"))
        shown = redriving.redrive(day.database, letters, actor="anna", now=day.clock.now(), preview=True)
        assert [step.why for step in shown] == [None] and listed(day) and not due(day), "a preview does nothing"
        redriving.redrive(day.database, letters, actor="anna", now=day.clock.now())
        day.work()
        assert (
            len(day.documents()) == 4
            and [day.verdict(order) for order in (*good, bad)] == ["documented, open 0.00"] * 4
        )
        assert [one.state for one in listed(day, None)] == ["settled"]
        assert told(day, letter)[-2:] == [
            f"{redriving.id_of(letter)} is tried again: SEVDESK-UNCLEAR.",
            "Order that had been given up is settled after it was redriven.",
        ]
        assert day.database.tenant("s1").read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, "s1")) == []


def test_s35_s109_a_new_wish_settles_what_was_given_up_by_itself() -> None:
    with diary("2027-03-01 10:00") as day:
        poison = Poison(day, "#501")
        order = day.order("#501").basket(SOAP).tell_order()
        hours(day, 2)
        (letter,) = listed(day)
        poison.on = False
        day.look_again(order)
        assert day.verdict(order) == "documented, open 0.00"
        assert [one.state for one in listed(day, None)] == ["settled"]
        assert told(day, letter)[-1] == "Order that had been given up is settled by itself."


FAULTS: tuple[Any, ...] = (
    503, 429, b'{"objects": [', httpx2.ConnectError("dns"), httpx2.ConnectError("TLS"), httpx2.ReadError("reset"),
    httpx2.ReadTimeout("slow"), 401,
)  # fmt: skip


def test_s35_s37_s38_an_outage_of_a_day_gives_nothing_up_and_a_refused_token_neither() -> None:
    """Down, throttled, cut, not to be reached, the token refused: whose fault it is decides, not how long it lasts."""
    with diary("2027-03-01 10:00") as day:
        through, calls = day.sevdesk.handle, [0]
        for number, fault in enumerate(FAULTS, 501):

            def down(request: SimRequest, fault: Any = fault) -> SimResponse:
                calls[0] += 1
                if isinstance(fault, Exception):
                    raise fault
                return SimResponse(200, {}, fault) if isinstance(fault, bytes) else SimResponse(fault, {}, b"")

            day.sevdesk.handle = down  # type: ignore[method-assign]
            before = calls[0]
            order = day.order(f"#{number}").basket(SOAP).tell_order()
            hours(day, 3, each=8)
            assert calls[0] > before and listed(day, None) == []
            day.sevdesk.handle = through  # type: ignore[method-assign]
            if fault == 401:
                assert calls[0] - before <= 3, "a refused token is not tried again and again"
                day.database.tenant("s1").run(Store.BOOKS, lambda tx: tenants.go(tx, "s1"))
                day.look_again(order)
            hours(day, 1)
            assert day.verdict(order) == "documented, open 0.00"


def test_s36_a_dropped_one_stays_so_with_its_reason_and_a_new_change_is_looked_at_all_the_same() -> None:
    with diary("2027-03-01 10:00") as day:
        poison = Poison(day, "#501")
        order = day.order("#501").basket(SOAP).tell_order()
        hours(day, 2)
        (letter,) = listed(day)
        noted = redriving.annotate(day.database, letter, "asked sevdesk", actor="anna", now=day.clock.now())
        assert noted.why is None
        (letter,) = listed(day)
        with pytest.raises(UsageError):
            redriving.drop(day.database, [letter], actor="anna", reason="  ", now=day.clock.now())
        (done,) = redriving.drop(day.database, [letter], actor="anna", reason="a test order", now=day.clock.now())
        assert done.why is None
        (dropped,) = listed(day, None)
        assert (dropped.state, dropped.note) == ("dropped", "a test order")
        assert told(day, letter)[-2:] == [
            f"Remark on {redriving.id_of(letter)}: asked sevdesk",
            f"{redriving.id_of(letter)} was dropped: a test order",
        ]
        (again,) = redriving.redrive(day.database, [dropped], actor="anna", now=day.clock.now())
        assert again.why == "it is dropped, not given up"
        poison.on = False
        day.look_again(order)
        assert day.verdict(order) == "documented, open 0.00"


def test_s36_a_rate_spreads_them_and_what_cannot_be_tried_says_why() -> None:
    with diary("2027-03-01 10:00") as day:
        now = day.clock.now()

        def give_up(tx: Any) -> None:
            for number in range(30):
                gid = f"gid://shopify/Order/{900 + number}"
                deadletters.failed(
                    tx, "s1", kind="order", subject=gid, code="BUG", message="x", attempts=6, now=now, again=None
                )

        day.database.tenant("s1").run(Store.BOOKS, give_up)
        steps = redriving.redrive(day.database, listed(day), actor="anna", now=now, rate=10)
        waits = [(step.at - now).total_seconds() for step in steps if step.at is not None]
        assert waits == [6.0 * number for number in range(30)], "ten a minute"
        assert [one.state for one in listed(day, None)] == ["redriven"] * 30
        first = day.database.system("health").read(Store.INBOX, inbox.next_due)
        assert first == now


def test_s35_a_mailbox_that_never_takes_a_letter_ends_and_is_sent_once_when_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with diary("2027-03-01 10:00") as day:
        tried: list[str] = []
        relay = day.house.context.relays
        through, full = relay.send, TryLater("recipient: 452 4.2.2 full", "sim", "LETTER-DELAYED")

        def send(message: Any, sender: str, to: str, before_data: Callable[[], None], first: Any = None) -> Any:
            tried.append(to)
            return full if len(tried) <= 12 else through(message, sender, to, before_data)

        monkeypatch.setattr(relay, "send", send)
        day.order("#501").basket(SOAP).tell_order()
        hours(day, 12)
        (letter,) = listed(day)
        assert (letter.kind, letter.code, letter.attempts, len(tried)) == ("letter", "LETTER-DELAYED", 12, 12)
        assert day.letters() == []
        (done,) = redriving.redrive(day.database, [letter], actor="anna", now=day.clock.now())
        assert done.why is None
        day.work()
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert [one.state for one in listed(day, None)] == ["settled"]


def test_s38_a_relay_that_is_down_for_a_day_gives_no_letter_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with diary("2027-03-01 10:00") as day:
        relay = day.house.context.relays
        through = relay.send
        monkeypatch.setattr(relay, "send", lambda *args: TryLater("connect: refused", "sim"))
        day.order("#501").basket(SOAP).tell_order()
        hours(day, 4, each=6)
        assert listed(day, None) == []
        monkeypatch.setattr(relay, "send", through)
        hours(day, 1)
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]


def test_s35_a_delivery_nobody_can_handle_ends_too() -> None:
    with diary("2027-03-01 10:00") as day:
        ctx, door, runs = day.house.context, day.database.tenant("s1"), [0]
        body = b'{"id": 1}'
        kept = inbox.Delivery("s1", "w-1", "app/uninstalled", SHOP, day.clock.now(), body, None)
        door.run(Store.INBOX, lambda tx: inbox.record(tx, kept, kept.sealed_by(day.house.vault)))
        door.run(Store.INBOX, lambda tx: inbox.want(tx, "s1", inbox.mark_of("w-1"), day.clock.now()))

        def run(handler: Callable[[Any, News], str]) -> str:
            at = door.read(Store.INBOX, inbox.next_due)
            assert at is not None
            day.clock.advance_to(at)
            runs[0] += 1
            name, mark = f"main:{runs[0]}", inbox.mark_of("w-1")
            door.run(
                Store.INBOX, lambda tx: inbox.claim(tx, "s1", mark, run_id=name, executor="main", now=day.clock.now())
            )
            return hear(ctx, "s1", mark, name, {"app/uninstalled": handler})

        def broken(ctx: Any, news: News) -> str:
            raise KeyError("erika@example.org")

        for _ in range(6):
            assert run(broken) == "BUG"
        assert not due(day)
        (letter,) = listed(day)
        assert redriving.id_of(letter) == "event:w-1" and "KeyError in test_poisoned.py" in letter.message
        assert "erika" not in json.dumps(letter.detail), "an exception's own text may quote a person"
        redriving.redrive(day.database, [letter], actor="anna", now=day.clock.now())
        assert run(lambda ctx, news: "DONE") == "DONE"
        assert not due(day) and [one.state for one in listed(day, None)] == ["settled"]
