"""Letters: promised once, claimed once, never two (E-mail: S67, LETTER-UNCERTAIN)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladenbuch import outbox
from ladenbuch.db import Database, Sealed, Store, Transaction

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ACCEPTED = {"message_id": "<1@x>", "relay": "mail.example.org", "reply": "250 ok for buyer@example.org"}


def promise(tx: Transaction, key: str = "k", tenant: str = "t1", now: datetime = NOW) -> bool:
    return outbox.promise(
        tx,
        tenant,
        key=key,
        kind="invoice",
        order_id="o1",
        document_id="d1",
        sealed_payload=Sealed("k1", b"secret"),
        now=now,
    )


def run(database: Database, fn: Any, tenant: str = "t1") -> Any:
    return database.tenant(tenant).run(Store.BOOKS, fn)


def state(database: Database, key: str = "k") -> str:
    return str(run(database, lambda tx: outbox.get(tx, "t1", key)).state)


def test_a_letter_is_promised_once_even_by_eight_threads(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(lambda _: run(database, promise), range(16)))
    assert sorted(new) == [False] * 15 + [True]
    assert run(database, lambda tx: promise(tx, tenant="t2"), "t2") is True, "keys are unique per tenant"


def test_a_letter_is_claimed_once_even_by_eight_threads(database: Database) -> None:
    run(database, promise)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda i: run(database, lambda tx: outbox.claim(tx, "t1", "k", f"r{i}", NOW)), range(16)))
    held = [letter for letter in got if letter]
    assert len(held) == 1
    assert held[0].attempts == 1
    assert held[0].sealed_payload == Sealed("k1", b"secret")


def test_the_way_of_a_letter_that_arrives(database: Database) -> None:
    def way(tx: Transaction) -> list[object]:
        promise(tx)
        held = outbox.claim(tx, "t1", "k", "r1", NOW)
        return [
            held and held.state,
            outbox.due(tx, NOW + MINUTE, 10),
            outbox.sending(tx, "t1", "k", "r1", NOW),
            outbox.sending(tx, "t1", "k", "r1", NOW),  # said anew for each relay
            outbox.sending(tx, "t1", "k", "r2", NOW),
            outbox.accepted(tx, "t1", "k", "r1", NOW + MINUTE, **ACCEPTED),
            outbox.retry(tx, "t1", "k", "r1", NOW, due_at=NOW, reason="too late"),
            outbox.failed(tx, "t1", "k", "r1", NOW, "too late"),
        ]

    assert run(database, way) == ["promised", [], True, True, False, True, False, False]
    letter = run(database, lambda tx: outbox.of_order(tx, "t1", "o1"))[0]
    assert (letter.state, letter.message_id, letter.relay) == ("accepted", "<1@x>", "mail.example.org")
    assert letter.reply == "250 ok for (address)", "no personal data in the clear"
    assert letter.changed_at == NOW + MINUTE


def test_a_refusal_for_now_comes_back_when_due(database: Database) -> None:
    def refused(tx: Transaction) -> None:
        promise(tx)
        outbox.claim(tx, "t1", "k", "r1", NOW)
        outbox.sending(tx, "t1", "k", "r1", NOW)
        assert outbox.retry(tx, "t1", "k", "r1", NOW, due_at=NOW + MINUTE, reason="450 try later")
        assert outbox.due(tx, NOW, 10) == []
        assert outbox.claim(tx, "t1", "k", "r2", NOW) is None, "not before it is due"
        assert [x.id for x in outbox.due(tx, NOW + MINUTE, 10)] == ["k"]
        again = outbox.claim(tx, "t1", "k", "r2", NOW + MINUTE)
        assert again is not None
        assert again.attempts == 2
        assert outbox.sending(tx, "t1", "k", "r1", NOW) is False, "the first run holds it no more"
        assert outbox.failed(tx, "t1", "k", "r2", NOW, "550 no such user")

    run(database, refused)
    assert state(database) == "failed"


def test_s67_a_second_process_puts_no_letter_in_doubt_that_is_just_being_sent(database: Database) -> None:
    """Two processes see the same letter due; the slower one comes while the first is sending it."""

    def sending(tx: Transaction) -> None:
        promise(tx)
        outbox.claim(tx, "t1", "k", "r1", NOW)
        outbox.sending(tx, "t1", "k", "r1", NOW)

    run(database, sending)
    assert run(database, lambda tx: outbox.claim(tx, "t1", "k", "r2", NOW)) is None
    assert run(database, lambda tx: outbox.retry(tx, "t1", "k", "r1", NOW, due_at=NOW, reason="451 later"))
    assert state(database) == "promised", "it was certainly not sent"


def test_a_letter_left_in_sending_is_uncertain_and_never_sent_again(database: Database) -> None:
    def lost(tx: Transaction) -> None:
        promise(tx)
        outbox.claim(tx, "t1", "k", "r1", NOW)
        outbox.sending(tx, "t1", "k", "r1", NOW)

    run(database, lost)
    assert run(database, lambda tx: outbox.claim(tx, "t1", "k", "r2", NOW + MINUTE)) is None
    assert state(database) == "sending", "who finds it there knows nothing: its run may be at it"
    database.system("reaper").run(Store.BOOKS, lambda tx: outbox.release_stale(tx, NOW + MINUTE, NOW + MINUTE))
    letter = run(database, lambda tx: outbox.get(tx, "t1", "k"))
    assert letter.state == "uncertain"
    assert "LETTER-UNCERTAIN" in letter.reason
    later = NOW + timedelta(days=9)
    assert run(database, lambda tx: outbox.due(tx, later, 10)) == []
    assert run(database, lambda tx: outbox.claim(tx, "t1", "k", "r3", later)) is None
    assert not run(database, lambda tx: outbox.retry(tx, "t1", "k", "r1", later, due_at=later, reason="x"))
    assert run(database, lambda tx: outbox.accepted(tx, "t1", "k", "r1", later, **ACCEPTED)), "the answer came"
    assert state(database) == "accepted"


def test_s67_a_person_says_that_a_doubtful_letter_arrived_or_sends_it_after_all(database: Database) -> None:
    def doubtful(tx: Transaction, key: str) -> None:
        promise(tx, key=key)
        outbox.claim(tx, "t1", key, f"r-{key}", NOW)
        outbox.sending(tx, "t1", key, f"r-{key}", NOW, message_id=f"<{key}@x>")
        outbox.uncertain(tx, "t1", key, f"r-{key}", NOW, "no answer", relay="postmark", ask_at=NOW + MINUTE)

    for key in ("came", "lost"):
        run(database, lambda tx, key=key: doubtful(tx, key))
    seen = database.system("deliver").read(Store.BOOKS, lambda tx: outbox.doubts(tx, NOW + MINUTE, 10))
    assert [(one.id, one.relay, one.message_id) for one in seen] == [
        ("came", "postmark", "<came@x>"), ("lost", "postmark", "<lost@x>")]  # fmt: skip
    assert run(database, lambda tx: outbox.ask_later(tx, "t1", "lost", NOW + 2 * MINUTE))
    assert len(database.system("deliver").read(Store.BOOKS, lambda tx: outbox.doubts(tx, NOW + MINUTE, 10))) == 1
    assert run(database, lambda tx: outbox.arrived(tx, "t1", "came", NOW + MINUTE, said="postmark has it"))
    assert run(database, lambda tx: outbox.send_after_all(tx, "t1", "lost", NOW + MINUTE, NOW + MINUTE))
    assert (state(database, "came"), state(database, "lost")) == ("accepted", "promised")
    assert [one.id for one in run(database, lambda tx: outbox.due(tx, NOW + MINUTE, 10))] == ["lost"]
    for again in (outbox.arrived, outbox.send_after_all):
        more = {"said": "x"} if again is outbox.arrived else {"due_at": NOW}
        assert not run(database, lambda tx, again=again, more=more: again(tx, "t1", "came", NOW, **more))
    assert not run(database, lambda tx: outbox.accepted(tx, "t1", "lost", "r-lost", NOW + MINUTE, **ACCEPTED)), (
        "the run that lost it holds it no more"
    )


def test_what_a_dead_executor_held_is_released_or_uncertain(database: Database) -> None:
    def held(tx: Transaction) -> None:
        for key, executor in (("unsent", "dead"), ("sent", "dead"), ("alive", "other")):
            promise(tx, key)
            outbox.claim(tx, "t1", key, f"r-{key}", NOW, executor)
        outbox.sending(tx, "t1", "sent", "r-sent", NOW)

    run(database, held)
    system = database.system("start")
    lost = system.run(Store.BOOKS, lambda tx: outbox.release_executor(tx, "dead", NOW + MINUTE))
    assert [(x.id, x.state) for x in lost] == [("sent", "uncertain")]
    assert [x.id for x in run(database, lambda tx: outbox.due(tx, NOW, 10))] == ["unsent"]
    assert system.run(Store.BOOKS, lambda tx: outbox.release_stale(tx, NOW, NOW + MINUTE)) == []
    system.run(Store.BOOKS, lambda tx: outbox.release_stale(tx, NOW + MINUTE, NOW + MINUTE))
    assert [x.id for x in run(database, lambda tx: outbox.due(tx, NOW, 10))] == ["alive", "unsent"]


def test_s43_due_letters_take_turns_between_tenants(database: Database) -> None:
    for number in range(5):
        run(database, lambda tx, n=number: promise(tx, f"a{n}", "busy", NOW + n * timedelta(seconds=1)), "busy")
    run(database, lambda tx: promise(tx, "b0", "quiet", NOW + 30 * timedelta(seconds=1)), "quiet")
    system = database.system("deliver")
    first = system.read(Store.BOOKS, lambda tx: outbox.due(tx, NOW + MINUTE, 3))
    assert [letter.id for letter in first] == ["a0", "b0", "a1"]
    others = system.read(Store.BOOKS, lambda tx: outbox.due(tx, NOW + MINUTE, 3, without={"busy"}))
    assert [letter.id for letter in others] == ["b0"]


def test_counts_name_every_state(database: Database) -> None:
    run(database, promise)
    counted = run(database, lambda tx: outbox.counts(tx, "t1"))
    assert counted == dict.fromkeys(outbox.STATES, 0) | {"promised": 1}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "sending", "accepted", "uncertain", "retry", "failed", "stale"]),
        st.sampled_from(["r1", "r2", "r3"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_order_of_steps_sends_after_an_unknown_outcome(sqlite_database: Database, steps: Any) -> None:
    """The only way back to a new sending is a certain refusal by the run that was sending."""

    def play(tx: Transaction) -> None:
        tx.execute(outbox.letters.delete())
        promise(tx)
        unknown = False
        for step, who in steps:
            before = outbox.get(tx, "t1", "k")
            assert before is not None
            if step == "claim":
                outbox.claim(tx, "t1", "k", who, NOW)
            elif step == "sending":
                if outbox.sending(tx, "t1", "k", who, NOW):
                    assert not unknown
                    assert before.run_id == who
            elif step == "accepted":
                outbox.accepted(tx, "t1", "k", who, NOW, **ACCEPTED)
            elif step == "retry":
                if outbox.retry(tx, "t1", "k", who, NOW, due_at=NOW, reason="r"):
                    assert before.run_id == who
            elif step == "stale":
                outbox.release_stale(tx, NOW + MINUTE, NOW)
            else:
                getattr(outbox, step)(tx, "t1", "k", who, NOW, "r")
            after = outbox.get(tx, "t1", "k")
            assert after is not None
            unknown = unknown or after.state == "uncertain"
            if before.state in ("accepted", "failed"):
                assert after.state == before.state

    sqlite_database.tenant("t1").run(Store.BOOKS, play)
