"""Every way an SMTP conversation can end, against small servers that really listen (S67: at most once,
nothing lost).

The server's own list of stored messages is the truth each outcome is compared with: `Accepted` means it is in
there, `TryLater` and `Refused` mean it is not, and `Uncertain` is used exactly where a client cannot know.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from ladenbuch.errors import UsageError
from ladenbuch.mail.smtp import patience
from ladenbuch.mail.transport import Accepted, Refused, Relay, Relays, TryLater, Uncertain, without_addresses

Answer = str | None  # None: hang up without a word


class Server:
    """A hand-made SMTP server. `script` maps a stage to its answer; everything else is answered normally.

    Stages: greeting, EHLO, MAIL, RCPT, DATA, body (hang up after `cut_after` bytes), final (message
    complete). `store_before_cut`: the message counts as stored although the final answer never leaves.
    """

    def __init__(self, *, cut_after: int | None = None, store_before_cut: bool = False, **script: Answer) -> None:
        self.script = script
        self.cut_after = cut_after
        self.store_before_cut = store_before_cut
        self.stored: list[bytes] = []
        self.heard: list[str] = []
        self.connections = 0
        self.release = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.release.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rwb") as stream:
                try:
                    self._converse(connection, stream)
                except (OSError, ValueError):
                    continue

    def _answer(self, stream: object, stage: str, normal: str) -> bool:
        text = self.script.get(stage, normal)
        if text is None:
            return False
        if text == "silence":
            self.release.wait(20)
            return False
        stream.write(text.encode() + b"\r\n")  # type: ignore[attr-defined]
        stream.flush()  # type: ignore[attr-defined]
        return True

    def _converse(self, connection: socket.socket, stream: object) -> None:
        if not self._answer(stream, "greeting", "220 test"):
            return
        while line := stream.readline():  # type: ignore[attr-defined]
            word = line.decode().split(" ")[0].split(":")[0].strip().upper()
            self.heard.append(line.decode().strip())
            if word == "DATA":
                if not self._answer(stream, "DATA", "354 go on"):
                    return
                if not self.script.get("DATA", "354").startswith("354"):  # type: ignore[union-attr]
                    continue
                if not self._body(stream):
                    return
            elif word == "QUIT":
                self._answer(stream, "QUIT", "221 bye")
                return
            elif not self._answer(stream, word, "250 ok"):
                return

    def _body(self, stream: object) -> bool:
        if self.cut_after is not None:
            stream.read(self.cut_after)  # type: ignore[attr-defined]
            return False
        lines: list[bytes] = []
        while (line := stream.readline()) != b".\r\n":  # type: ignore[attr-defined]
            if not line:
                return False
            lines.append(line)
        final = self.script.get("final", "250 2.0.0 queued as 42")
        if (final or "").startswith("2") or self.store_before_cut:
            self.stored.append(b"".join(lines))
        return self._answer(stream, "final", "250 2.0.0 queued as 42")


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def start(**options: object) -> Server:
        running.append(Server(**options))  # type: ignore[arg-type]
        return running[-1]

    yield start
    for one in running:
        one.close()


def letter(body: str = "Guten Tag\n.eine Zeile mit Punkt\nGrüße\n", size: int = 0) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "laden@example.org"
    message["To"] = "anna@example.org"
    message["Subject"] = "Ihre Rechnung"
    message.set_content(body)
    if size:
        message.add_attachment(b"x" * size, maintype="application", subtype="pdf", filename="a.pdf")
    return message


class Before:
    """Counts the calls and remembers how much the server had stored at that moment."""

    def __init__(self, *servers: Server) -> None:
        self.calls = 0
        self.stored_then: list[int] = []
        self._servers = servers

    def __call__(self) -> None:
        self.calls += 1
        self.stored_then.append(sum(len(one.stored) for one in self._servers))


def send(*servers: Server, message: EmailMessage | None = None, **options: float) -> tuple[object, Before]:
    before = Before(*servers)
    relays = Relays([one.url for one in servers], timeout=options.pop("timeout", 5.0), **options)  # type: ignore[arg-type]
    outcome = relays.send(message or letter(), "laden@example.org", "anna@example.org", before)
    return outcome, before


def test_accepted_carries_the_relay_and_its_reply(server: Callable[..., Server]) -> None:
    one = server()
    outcome, before = send(one)
    assert outcome == Accepted(f"127.0.0.1:{one.port}", "250 2.0.0 queued as 42")
    assert len(one.stored) == 1
    assert before.calls == 1
    assert before.stored_then == [0], "sending must be committed before the server can have the letter"
    assert one.heard[-1] == "QUIT"


def test_the_letter_arrives_byte_for_byte_as_meant(server: Callable[..., Server]) -> None:
    one = server()
    send(one)
    undotted = b"".join(line[1:] if line.startswith(b"..") else line for line in one.stored[0].splitlines(True))
    received = message_from_bytes(undotted, policy=policy.default)
    assert received["Subject"] == "Ihre Rechnung"
    body = received.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == ["Guten Tag", ".eine Zeile mit Punkt", "Grüße"]
    assert max(one.stored[0]) < 128, "7 bit, so that no relay needs 8BITMIME"


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
def test_lost_before_the_end_of_data_is_never_uncertain(server: Callable[..., Server], stage: str) -> None:
    one = server(**{stage: None})
    outcome, before = send(one)
    assert isinstance(outcome, TryLater)
    assert (before.calls, one.stored) == (0, [])


@pytest.mark.parametrize("stage", ["greeting", "MAIL", "RCPT", "DATA"])
def test_a_temporary_refusal_before_the_body_is_later(server: Callable[..., Server], stage: str) -> None:
    one = server(**{stage: "451 4.3.0 come back"})
    outcome, before = send(one)
    assert isinstance(outcome, TryLater)
    assert "451" in outcome.reason
    assert before.calls == 0


def test_greylisting_after_the_body_is_later_not_uncertain(server: Callable[..., Server]) -> None:
    one = server(final="450 4.2.0 greylisted")
    outcome, before = send(one)
    assert isinstance(outcome, TryLater)
    assert (before.calls, one.stored) == (1, [])


def test_cut_in_the_middle_of_a_large_body_is_later(server: Callable[..., Server]) -> None:
    one = server(cut_after=50_000)
    outcome, before = send(one, message=letter(size=8_000_000))
    assert isinstance(outcome, TryLater)
    assert (before.calls, one.stored) == (0, [])


@pytest.mark.parametrize("stored", [True, False])
def test_cut_after_the_end_of_data_is_uncertain_whether_or_not_it_was_stored(
    server: Callable[..., Server], stored: bool
) -> None:
    one, two = server(final=None, store_before_cut=stored), server()
    outcome, before = send(one, two)
    assert isinstance(outcome, Uncertain)
    assert len(one.stored) == int(stored)
    assert two.connections == 0, "a second relay after an uncertain first one could make two letters"
    assert before.calls == 1


def test_no_answer_after_the_end_of_data_is_uncertain(server: Callable[..., Server]) -> None:
    one, two = server(final="silence"), server()
    outcome, _ = send(one, two, final_timeout=0.3)
    assert isinstance(outcome, Uncertain)
    assert "no answer in time" in outcome.reason
    assert two.connections == 0


@pytest.mark.parametrize("answer", ["hello?", "354 again", "999 what"])
def test_an_answer_that_means_nothing_after_the_end_of_data_is_uncertain(
    server: Callable[..., Server], answer: str
) -> None:
    outcome, _ = send(server(final=answer), server())
    assert isinstance(outcome, Uncertain)


def test_no_answer_before_the_end_of_data_is_later(server: Callable[..., Server]) -> None:
    outcome, before = send(server(RCPT="silence"), timeout=0.3)
    assert isinstance(outcome, TryLater)
    assert before.calls == 0


@pytest.mark.parametrize("stage", ["RCPT", "DATA", "final"])
def test_a_permanent_refusal_of_the_letter_asks_no_other_relay(server: Callable[..., Server], stage: str) -> None:
    one, two = server(**{stage: "550 5.1.1 <anna@example.org> unknown"}), server()
    outcome, _ = send(one, two)
    assert isinstance(outcome, Refused)
    assert outcome.permanent
    assert two.connections == 0
    assert "anna" not in outcome.reason, "no personal data in a reason"


@pytest.mark.parametrize(
    ("stage", "answer"),
    [("greeting", "554 not you"), ("MAIL", "553 sender"), ("RCPT", "554 5.7.1 relay denied")],
)
def test_a_relay_that_refuses_us_hands_over_to_the_next(server: Callable[..., Server], stage: str, answer: str) -> None:
    one, two = server(**{stage: answer}), server()
    outcome, before = send(one, two)
    assert isinstance(outcome, Accepted)
    assert outcome.relay.endswith(str(two.port))
    assert (len(one.stored), len(two.stored), before.calls) == (0, 1, 1)


def test_a_relay_that_refuses_us_and_nobody_else_is_not_permanent(server: Callable[..., Server]) -> None:
    outcome, _ = send(server(MAIL="553 sender"))
    assert isinstance(outcome, Refused)
    assert not outcome.permanent


@pytest.mark.parametrize("first", [{"greeting": None}, {"MAIL": "421 busy"}, {"cut_after": 10}])
def test_the_second_relay_takes_over_when_the_first_certainly_has_nothing(
    server: Callable[..., Server], first: dict[str, object]
) -> None:
    one, two = server(**first), server()
    outcome, _ = send(one, two, message=letter(size=8_000_000))
    assert isinstance(outcome, Accepted)
    assert (len(one.stored), len(two.stored)) == (0, 1)


def test_later_wins_over_a_refusal_of_us(server: Callable[..., Server]) -> None:
    outcome, _ = send(server(MAIL="553 sender"), server(MAIL="451 busy"))
    assert isinstance(outcome, TryLater)


def test_nobody_listens_is_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    before = Before()
    outcome = Relays([f"smtp://127.0.0.1:{port}"], timeout=2).send(letter(), "a@example.org", "b@example.org", before)
    assert isinstance(outcome, TryLater)
    assert before.calls == 0


def test_when_sending_cannot_be_committed_nothing_is_sent(server: Callable[..., Server]) -> None:
    one = server()

    def fenced() -> None:
        raise RuntimeError("another run took over")

    with pytest.raises(RuntimeError, match="took over"):
        Relays([one.url], timeout=5).send(letter(), "laden@example.org", "anna@example.org", fenced)
    assert send(server())[0], "the process is unharmed"
    assert one.stored == []
    assert "QUIT" not in one.heard


def test_a_hang_up_during_before_data_is_noticed_before_the_line_is_crossed(
    server: Callable[..., Server],
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    body_is_there, hung_up = threading.Event(), threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        stream = connection.makefile("rwb")
        stream.write(b"220 test\r\n")
        stream.flush()
        for line in stream:
            stream.write(b"354 go\r\n" if line.startswith(b"DATA") else b"250 ok\r\n")
            stream.flush()
            if line.startswith(b"DATA"):
                break
        body_is_there.wait(10)
        connection.shutdown(socket.SHUT_RDWR)
        stream.close()
        connection.close()
        hung_up.set()

    def slow_commit() -> None:
        body_is_there.set()
        assert hung_up.wait(10)

    threading.Thread(target=serve, daemon=True).start()
    relays = Relays([f"smtp://127.0.0.1:{listener.getsockname()[1]}"], timeout=5)
    outcome = relays.send(letter(), "a@example.org", "b@example.org", slow_commit)
    listener.close()
    assert hung_up.is_set()
    assert isinstance(outcome, TryLater)


def test_addresses_cannot_smuggle_commands(server: Callable[..., Server]) -> None:
    one = server()
    for hostile in (
        "anna@example.org>\r\nRCPT TO:<eve@example.org",
        "anna@example.org, eve@example.org",
        "Anna <eve@example.org>",
        "anna@example.org SIZE=1",
        "",
    ):
        for sender, recipient in ((hostile, "anna@example.org"), ("laden@example.org", hostile)):
            outcome = Relays([one.url], timeout=5).send(letter(), sender, recipient, Before(one))
            assert isinstance(outcome, Refused)
            assert outcome.permanent is (recipient == hostile), "a wrong sender is for the operator to mend"
    assert one.connections == 0


def test_a_password_is_not_sent_where_starttls_is_missing(server: Callable[..., Server]) -> None:
    one = server()
    relays = Relays([f"smtp://user:geheim@127.0.0.1:{one.port}?tls=required"], timeout=5)
    outcome = relays.send(letter(), "laden@example.org", "anna@example.org", Before(one))
    assert isinstance(outcome, Refused)
    assert not outcome.permanent
    assert not any("AUTH" in line or "geheim" in line for line in one.heard)


def test_relay_urls() -> None:
    assert Relay.parse("smtps://u:p%40ss@mail.example.org") == Relay("mail.example.org", 465, "implicit", "u", "p@ss")
    assert Relay.parse("smtp://mail.example.org") == Relay("mail.example.org", 587, "starttls")
    assert Relay.parse("smtp://mail:25?tls=none").tls == "none"
    assert Relay.parse("smtp://127.0.0.1:2525").tls == "none"
    assert "geheim" not in repr(Relay.parse("smtp://u:geheim@mail.example.org"))


@pytest.mark.parametrize("url", ["", "http://x", "smtp://", "smtp://u:geheim@h:port", "smtp://u:geheim@h?tls=maybe"])
def test_a_wrong_relay_url_names_the_setting_and_not_the_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Relays([url])
    assert caught.value.code == "SMTP-URL"
    assert "LADENBUCH_SMTP_URLS" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_reasons_are_one_line_without_addresses() -> None:
    assert without_addresses("550 <a.b@example.org>\r\n unknown") == "550 <…> unknown"


# -- order of preference, health, greylisting, rate -------------------------------------------------------------------


class Clock:
    """Stands still until it is moved; `sleep` moves it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def give(relays: Relays, **options: str) -> object:
    return relays.send(letter(), "laden@example.org", "anna@example.org", lambda: None, **options)


def test_s67_a_greylisting_server_gets_its_time_and_no_other_relay_is_asked(server: Callable[..., Server]) -> None:
    grey, other = server(RCPT="451 4.7.1 Greylisted, please try again in 120 seconds"), server()
    outcome, before = send(grey, other)
    assert isinstance(outcome, TryLater) and outcome.stay and outcome.after == 120
    assert outcome.code == "LETTER-DELAYED" and before.calls == 0
    assert other.connections == 0, "there the wait would begin anew"
    relays = Relays([other.url, grey.url], timeout=5)
    del grey.script["RCPT"]
    assert isinstance(give(relays, first=outcome.relay), Accepted)
    assert (len(grey.stored), other.connections) == (1, 0), "asked where it was greylisted"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("Greylisted", 300), ("greylisting, wait 5 minutes", 300), ("Graylisted for 00:04:00", 300), ("60s", 60),
     ("come back in 9999 seconds", 900), ("try in 1 min", 60)],
)  # fmt: skip
def test_patience_is_what_the_server_says_within_reason(said: str, seconds: float) -> None:
    assert patience(said) == seconds


def test_s67_a_dead_relay_costs_two_letters_a_moment_and_the_rest_nothing(server: Callable[..., Server]) -> None:
    dead, alive, clock = server(greeting="421 4.3.2 shutting down"), server(), Clock()
    relays = Relays([dead.url, alive.url], timeout=5, clock=clock, sleep=clock.sleep)
    for _ in range(6):
        assert isinstance(give(relays), Accepted)
    assert (dead.connections, len(alive.stored)) == (2, 6), "left alone after two failures in a row"
    clock.sleep(5.1)
    assert isinstance(give(relays), Accepted)
    assert dead.connections == 3, "one letter tries it"
    clock.sleep(5.1)
    assert isinstance(give(relays), Accepted)
    assert dead.connections == 3, "it rests twice as long"
    del dead.script["greeting"]
    clock.sleep(6)
    for _ in range(3):
        assert isinstance(give(relays), Accepted)
    assert len(dead.stored) == 3, "back in its turn"


def test_s67_a_relay_that_takes_letters_and_never_answers_makes_two_uncertain_and_no_more(
    server: Callable[..., Server],
) -> None:
    mute, alive = server(final=None, store_before_cut=True), server()
    relays = Relays([mute.url, alive.url], timeout=5)
    outcomes = [give(relays) for _ in range(5)]
    assert [type(one).__name__ for one in outcomes] == ["Uncertain", "Uncertain", "Accepted", "Accepted", "Accepted"]
    assert (len(mute.stored), len(alive.stored)) == (2, 3)


def test_s67_no_relay_is_given_more_a_second_than_its_rate(server: Callable[..., Server]) -> None:
    slow, next_, clock = server(), server(), Clock()
    relays = Relays([f"{slow.url}?rate=0.5", next_.url], timeout=5, clock=clock, sleep=clock.sleep)
    for _ in range(4):
        assert isinstance(give(relays), Accepted)
    assert (len(slow.stored), len(next_.stored)) == (1, 3), "who has no turn within a second goes on"
    alone = Relays([f"{slow.url}?rate=0.1"], timeout=5, clock=clock, sleep=clock.sleep)
    assert isinstance(give(alone), Accepted)
    outcome = give(alone)
    assert isinstance(outcome, TryLater) and outcome.after is not None and 8 < outcome.after <= 10


def test_s67_threads_share_the_relays_and_each_letter_goes_out_once(server: Callable[..., Server]) -> None:
    dead, alive = server(greeting="421 4.3.2 shutting down"), server()
    relays = Relays([dead.url, alive.url], timeout=5)

    def one(number: int) -> object:
        message = letter(f"Brief {number}\n")
        return relays.send(message, "laden@example.org", f"anna{number}@example.org", lambda: None)

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(one, range(40)))
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    told = [word.decode() for stored in alive.stored for word in stored.split(b"\r\n") if word.startswith(b"Brief ")]
    assert sorted(told) == sorted(f"Brief {number}" for number in range(40))
    assert dead.connections <= 9, "those who were on their way to it, and no more"
