"""The contact room: one contact per customer, complete, the merchant's own adopted on hard evidence and never changed.

B11 (contacts), S58, S99, S142, S143; facts 1.4, 2.2, 2.3, 4.3, 6.1, 6.3.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from builders import T0, agreement, order, sale
from chaos.simulation import Crash, MortalTransport
from contact_room import Sky, Stage, numbered
from ladenbuch import audit, books, tenants
from ladenbuch.db import Database, Store
from ladenbuch.domain.answers import question_hash
from ladenbuch.domain.document import Party
from ladenbuch.domain.facts import Problem, facts_of
from ladenbuch.domain.matching import CREATE_NEW
from ladenbuch.errors import Ambiguous, NeedsAttention, Rejected, Retryable
from ladenbuch.simulators.weather import Fault
from ladenbuch.workflows.resolving import resolve

ERIKA = Party(
    "s1-7",
    "Erika Müller",
    "Erika",
    "Müller",
    None,
    "Königstraße 3",
    "Hof",
    "20457",
    "Hamburg",
    email="erika@example.org",
)
HOME = ("Königstr. 3, Hof", "20457", "Hamburg")
FIRM = replace(ERIKA, customer_number="s1-8", company="Möwe SARL", vat_id="FR40303265045", country="FR", email="m@x.fr")
WHOLE = [
    "GET /Contact",
    "GET /CommunicationWay",
    "POST /Contact",
    "POST /ContactAddress",
    "POST /CommunicationWay",
]


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


def known(stage: Stage, number: str = "s1-7") -> books.KnownContact | None:
    return stage.ctx.door("t1").read(Store.BOOKS, lambda tx: books.contact(tx, "t1", number))


def asked_of(error: pytest.ExceptionInfo[NeedsAttention]) -> tuple[str, tuple[str, ...]]:
    return error.value.code, error.value.choices


# -- a new customer -----------------------------------------------------------------------------------------------


def test_s99_a_new_contact_is_complete_and_costs_five_requests_once(stage: Stage) -> None:
    """Facts 2.3: contact, address and mailbox are three calls; a returning customer costs none."""
    made = stage.once(ERIKA)
    assert stage.requests() == WHOLE
    (contact,) = stage.contacts()
    assert (contact["id"], contact["customerNumber"], contact["name"]) == (made, "s1-7", None)
    assert (contact["surename"], contact["familyname"]) == ("Erika", "Müller")
    (address,) = contact["addresses"]
    assert (address["street"], address["zip"], address["city"]) == ("Königstraße 3, Hof", "20457", "Hamburg")
    assert (address["category"]["id"], address["name"]) == ("47", "Erika Müller")
    assert contact["mailboxes"] == ["erika@example.org"]
    moved = replace(ERIKA, street="Am Mühlbach 1", city="Bremen", zip="28195", name="Erika Schäfer", email="e@new.org")
    assert stage.once(moved, "2") == made
    assert stage.requests() == []
    assert known(stage) == books.KnownContact(made)
    assert stage.told() == [f"Contact {made} was created, for customer number s1-7."]


@pytest.mark.parametrize(
    ("party", "name", "calls"),
    [
        (replace(ERIKA, email=None), ("Erika", "Müller"), 3),
        (Party("s1-9", "Madonna", "Madonna", email="m@example.org"), ("", "Madonna"), 4),
        (Party("s1-o5001", "Endkunde"), ("", "Endkunde"), 2),
        (replace(ERIKA, first_name="Łukasz", last_name="d'Angelo-Öztürk"), ("Łukasz", "d'Angelo-Öztürk"), 5),
        (replace(ERIKA, first_name="王", last_name="芳"), ("王", "芳"), 5),
    ],
)
def test_s143_umlauts_single_names_and_missing_parts(
    stage: Stage, party: Party, name: tuple[str, str], calls: int
) -> None:
    stage.once(party)
    assert len(stage.requests()) == calls
    (contact,) = stage.contacts()
    assert ((contact["surename"] or ""), contact["familyname"]) == name
    assert len(contact["addresses"]) == bool(party.street)
    assert len(contact["mailboxes"]) == bool(party.email)
    assert known(stage, party.customer_number) == books.KnownContact(contact["id"])


def test_s100_a_company_is_an_organisation_with_its_vat_id(stage: Stage) -> None:
    made = stage.once(FIRM, tax_rule=3)
    assert stage.requests() == ["GET /Contact", "GET /Contact", *WHOLE[1:]]  # the second: the organisations
    (contact,) = stage.contacts()
    assert (contact["name"], contact["vatNumber"], contact["familyname"]) == ("Möwe SARL", "FR40303265045", None)
    assert stage.once(FIRM, "2", tax_rule=3) == made
    assert stage.requests() == []


def test_what_sevdesk_will_not_have_does_not_hold_up_the_document(stage: Stage) -> None:
    stage.counter.refused = {"POST /CommunicationWay": 422, "POST /ContactAddress": 422}
    made = stage.once(ERIKA)
    assert known(stage) == books.KnownContact(made)
    assert any("refused the mailbox (SEVDESK-HTTP-422)" in line for line in stage.told())
    assert "erika" not in str(stage.told()).lower()
    assert stage.once(ERIKA, "2") == made
    assert len(stage.requests()) == 5


# -- nothing twice ------------------------------------------------------------------------------------------------


class Deaf(MortalTransport):
    """Calls whose caller dies at the n-th boundary."""

    dies_at = 10**9
    passed = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._boundary()
        response = super(MortalTransport, self).handle_request(request)
        self._boundary()
        return response

    def _boundary(self) -> None:
        self.passed += 1
        if self.passed == self.dies_at:
            raise Crash


@pytest.mark.parametrize("party", [ERIKA, FIRM], ids=["person", "company"])
def test_s58_a_crash_after_any_step_converges(database: Database, party: Party) -> None:
    """Before and after every call of contact, address and mailbox; the next run, of another order, ends it."""
    for dies_at in range(1, 20):
        number = f"s1-{dies_at}"
        one = replace(party, customer_number=number, email=f"{dies_at}@example.org")
        one = replace(one, vat_id=f"FR{dies_at}") if party.vat_id else one
        stage = Stage(database, transport=Deaf)
        transport: Any = stage.http._transport
        transport.dies_at = dies_at
        try:
            stage.once(one, f"a{dies_at}", tax_rule=3)
            assert dies_at > 2 * len(WHOLE)
            return
        except Crash:
            pass
        stage.meet(one, f"b{dies_at}", tax_rule=3)
        (contact,) = stage.contacts()
        assert (len(contact["addresses"]), contact["mailboxes"]) == (1, [one.email]), dies_at
        assert known(stage, number) == replace(known(stage, number), unfinished=False)  # type: ignore[type-var]
    raise AssertionError("it never came through")


@pytest.mark.parametrize("path", ["/Contact", "/ContactAddress", "/CommunicationWay"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault("lost_reply"),
        Fault("late_commit", after_seconds=3.9),
        Fault("error_before", status=500),
        Fault("error_before", status=429),
        Fault("reset_before"),
    ],
    ids=lambda fault: f"{fault.kind}{fault.status or ''}",
)
def test_6_3_an_unknown_outcome_is_looked_for_and_never_repeated(stage: Stage, path: str, fault: Fault) -> None:
    stage.sky.fates = [("POST", path, fault), ("POST", path, fault)]
    stage.meet(ERIKA)
    stage.clock.sleep(600)
    (contact,) = stage.contacts()
    assert (len(contact["addresses"]), contact["mailboxes"]) == (1, ["erika@example.org"])


def test_an_unknown_outcome_is_waited_for_in_one_piece_by_everybody(stage: Stage) -> None:
    """Not second by second: each attempt reads the whole order again."""
    stage.sky.fates = [("POST", "/ContactAddress", Fault("reset_before"))]
    with pytest.raises(Ambiguous):
        stage.once(ERIKA)
    for name in ("1", "2"):
        with pytest.raises(Retryable) as busy:
            stage.once(ERIKA, name)
        assert busy.value.code == "CONTACT-BUSY"
        assert busy.value.after == pytest.approx(40)
    stage.clock.sleep(40)
    stage.once(ERIKA)
    assert len(stage.contacts()[0]["addresses"]) == 1


def test_a_stop_holds_back_the_contact(stage: Stage) -> None:
    door = stage.ctx.door("t1")
    now = stage.clock.now()
    door.run(Store.BOOKS, lambda tx: tenants.add(tx, id="t1", shop="x.myshopify.com", cut_off=now, now=now))
    door.run(Store.BOOKS, lambda tx: tenants.stop(tx, "t1", "look", stage.clock.now()))
    with pytest.raises(Retryable) as stopped:
        stage.once(ERIKA)
    assert (stopped.value.code, stage.requests()) == ("STOPPED", [])


def race(stage: Stage, orders: list[Party], threads: int = 8) -> list[str]:
    """All orders at once; each run again until it works. The clock moves only when everybody waits for it."""
    todo, found, errors = list(enumerate(orders)), [""] * len(orders), []
    while todo:
        again: list[tuple[int, Party]] = []
        waits: list[float] = []
        barrier = threading.Barrier(min(threads, len(todo)))

        def work(
            share: list[tuple[int, Party]], again: Any = again, waits: Any = waits, barrier: Any = barrier
        ) -> None:
            barrier.wait(30)
            for at, party in share:
                try:
                    found[at] = stage.once(party, str(at))
                except Retryable as error:
                    again.append((at, party))
                    waits.append(error.after or 2.0)
                except BaseException as error:
                    errors.append(error)

        workers = [threading.Thread(target=work, args=(todo[at::threads],)) for at in range(barrier.parties)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert errors == []
        todo = again
        stage.clock.sleep(min(waits, default=0.0))
    return found


@pytest.mark.parametrize("weather", ["calm", "storm"])
def test_s99_many_orders_of_one_customer_at_once_make_one_contact(database: Database, weather: str) -> None:
    stage = Stage(database, Sky(weather, 5))
    found = race(stage, [replace(ERIKA, street=f"Weg {at}") for at in range(16)])
    stage.clock.sleep(600)
    (contact,) = stage.contacts()
    assert set(found) == {contact["id"]}
    assert (len(contact["addresses"]), contact["mailboxes"]) == (1, ["erika@example.org"])


def test_s99_a_refused_call_is_repeated_by_one_run_only(database: Database) -> None:
    """429 proves that nothing was stored: everybody may go on at once, and one does."""
    stage = Stage(database)
    busy = Fault("error_before", status=503)
    for _ in range(3):
        stage.sky.fates.append(("POST", "/Contact", busy))
    race(stage, [ERIKA] * 16)
    assert len(stage.contacts()) == 1


def test_s99_a_run_that_was_overtaken_writes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looked, stood still for longer than any claim lasts, and another run made the contact meanwhile."""
    look, slept = stage.sevdesk.contacts_with_email, []

    def slowly(email: str) -> Any:
        found = look(email)
        if not slept:
            slept.append(True)
            stage.clock.sleep(41)
            stage.once(ERIKA, "2")
        return found

    monkeypatch.setattr(stage.sevdesk, "contacts_with_email", slowly)
    with pytest.raises(Retryable) as busy:
        stage.once(ERIKA, "1")
    assert busy.value.code == "CONTACT-BUSY"
    assert stage.once(ERIKA, "1") == stage.contacts()[0]["id"]
    assert len(stage.contacts()) == 1


def test_an_intent_is_taken_over_by_one_of_those_who_saw_it(stage: Stage) -> None:
    door, now = stage.ctx.door("t1"), stage.clock.now()
    row = {"key": "contact:x", "kind": "contact", "run_id": "a", "reason": "r", "now": now}
    seen = door.run(Store.BOOKS, lambda tx: books.intend(tx, "t1", "", **row))
    taken = [door.run(Store.BOOKS, lambda tx, who=who: books.take_over(tx, "t1", seen, who, now)) for who in "bcb"]
    assert [intent and intent.run_id for intent in taken] == ["b", None, None]
    assert taken[0] is not None
    again = door.run(Store.BOOKS, lambda tx: books.take_over(tx, "t1", taken[0], "b", stage.ctx.until(1)))
    assert again is not None
    assert door.run(Store.BOOKS, lambda tx: books.take_over(tx, "t1", taken[0], "b", now)) is None
    door.run(Store.BOOKS, lambda tx: books.done(tx, "t1", "contact:x", now))
    assert door.run(Store.BOOKS, lambda tx: books.take_over(tx, "t1", again, "c", now)) is None


def test_s99_a_guest_and_a_customer_with_one_mailbox_and_name_are_one_contact(database: Database) -> None:
    """Two customer numbers, at once: they take turns until the first has its mailbox."""
    stage = Stage(database, Sky("storm", 3))
    pairs = [
        replace(ERIKA, customer_number=f"s1-{kind}{at}", email=f"{at}@example.org")
        for at in range(8)
        for kind in ("g", "7")
    ]
    found = race(stage, pairs)
    assert len(stage.contacts()) == len(set(found)) == 8
    assert all(found[at] == found[at + 1] for at in range(0, 16, 2))


def test_s99_a_family_shares_a_mailbox_and_no_contact(stage: Stage) -> None:
    anna = replace(ERIKA, customer_number="s1-9", first_name="Anna", name="Anna Müller", street="Weg 1")
    assert stage.once(ERIKA) != stage.meet(anna, "2")


# -- the merchant's own contacts ----------------------------------------------------------------------------------


def test_b11_one_hit_is_adopted_and_never_changed(stage: Stage) -> None:
    by_name = stage.has("erika@example.org", surename="ERIKA", familyname="Mueller", customerNumber="K-1")
    before = stage.contacts()
    stage.requests()
    assert stage.once(ERIKA) == by_name
    assert stage.requests() == ["GET /Contact", "GET /CommunicationWay"]
    assert stage.contacts() == before
    assert known(stage) == books.KnownContact(by_name, "adopted")
    (line,) = stage.told()
    assert line == f"Contact {by_name} of the account is the buyer's (e-mail and name), for customer number s1-7."
    assert stage.once(ERIKA, "2") == by_name
    assert stage.requests() == []


@pytest.mark.parametrize("ignored", [False, True])
def test_b11_capitals_in_an_email_find_the_same_contact(database: Database, ignored: bool) -> None:
    """Whether sevdesk's filter tells them apart is not known; ours are kept in small letters."""
    stage = Stage(database, switches={"mailbox_case_ignored": ignored})
    theirs = stage.has("anna@example.org", surename="Anna", familyname="Müller")
    anna = replace(ERIKA, customer_number="s1-9", name="Anna Müller", first_name="Anna", email="Anna@Example.ORG")
    assert stage.once(anna) == theirs
    ours = stage.once(replace(ERIKA, email="Erika@Example.org"), "2")
    assert stage.contacts()[-1]["mailboxes"] == ["erika@example.org"]
    assert stage.once(replace(ERIKA, customer_number="s1-g7"), "3") == ours


def test_b11_an_address_is_looked_at_only_when_the_name_differs(stage: Stage) -> None:
    home = stage.has("erika@example.org", name2="x", familyname="M.", address=HOME)
    assert stage.once(ERIKA) == home
    assert stage.requests() == ["GET /Contact", "GET /CommunicationWay", "GET /ContactAddress"]


def test_b11_a_vat_id_finds_the_firm_under_any_name_and_number(stage: Stage) -> None:
    stage.has(name="Möwe SARL", customerNumber="K-1", vatNumber="FR1")
    firm = stage.has(name="Mouette", customerNumber="K-2", vatNumber="fr 40303265045")
    stage.has(name="Mouette (Lieferant)", customerNumber="L-2", vatNumber="FR40303265045", category=2)
    assert stage.once(FIRM, tax_rule=3) == firm
    assert len(stage.contacts()) == 3
    assert "PUT" not in str(stage.requests())


def test_b11_no_evidence_makes_a_new_contact(stage: Stage) -> None:
    stage.has("erika@example.org", familyname="Anna", address=("Weg 1", "1", "X"))
    stage.has("other@example.org", surename="Erika", familyname="Müller", address=HOME)
    assert stage.once(ERIKA) not in {row["id"] for row in stage.contacts()[:2]}
    assert numbered(stage.contacts())[2:] == ["s1-7"]


def test_b11_two_hits_are_asked_about_and_the_answer_is_taken(stage: Stage) -> None:
    one = stage.has("erika@example.org", surename="Erika", familyname="Müller", customerNumber="K-1")
    two = stage.has("erika@example.org", surename="Erika", familyname="Müller", customerNumber="erika@example.org")
    choices = (f"use contact {one} (customer number K-1)", f"use contact {two}", CREATE_NEW)
    for name in ("1", "2"):
        with pytest.raises(NeedsAttention) as ask:
            stage.once(ERIKA, name)
        assert asked_of(ask) == ("CONTACT-AMBIGUOUS", choices)
    for wrong in ("use contact 1", "exclude the order", ""):
        with pytest.raises(NeedsAttention):
            stage.once(ERIKA, chosen=wrong)
    assert stage.once(ERIKA, chosen=choices[1]) == two
    assert stage.once(ERIKA, "2") == two, "an answer for one order is the customer's"
    assert len(stage.contacts()) == 2
    assert stage.told() == [
        f"Contact {two} of the account is the buyer's (a person's choice), for customer number s1-7."
    ]
    other = replace(ERIKA, customer_number="s2-7")
    made = stage.once(other, "3", chosen=CREATE_NEW)
    assert made not in (one, two)
    assert len(stage.contacts()) == 3


def test_b11_the_answer_of_an_order_is_found_again_and_bound_to_the_contacts_in_question(stage: Stage) -> None:
    """R16, as settle records questions and people answer them; a third contact is another question."""
    one, two = (stage.has("erika@example.org", surename="Erika", familyname="Müller") for _ in range(2))
    door, now = stage.ctx.door("t1"), stage.clock.now()

    def asked() -> NeedsAttention:
        with pytest.raises(NeedsAttention) as ask:
            stage.once(ERIKA)
        return ask.value

    def answer(ask: NeedsAttention, words: str) -> bool:
        problem = Problem(ask.code, ask.message, ask.about, ask.choices)
        mark = question_hash(problem, facts_of(order(agreement(1, T0, sale(1, 1190)))))
        door.run(Store.BOOKS, lambda tx: books.record_attention(tx, "t1", "1", [(problem, mark)], now))
        (question,) = door.read(Store.BOOKS, lambda tx: books.questions(tx, "t1", "1"))
        return resolve(door, "t1", question, words, actor="anna", now=now).recorded

    assert answer(asked(), f"use contact {two}")
    third = stage.has("erika@example.org", surename="Erika", familyname="Müller")
    ask = asked()
    assert ask.about == (f"contact:{one}", f"contact:{two}", f"contact:{third}")
    stage.ask("DELETE", f"/Contact/{third}")
    assert stage.once(ERIKA) == two
    assert answer(NeedsAttention("CONTACT-AMBIGUOUS", "m", choices=ask.choices, about=ask.about), CREATE_NEW)


def test_b11_a_question_holds_up_nobody_else(stage: Stage) -> None:
    """Nothing was sent and no turn is kept: the same person under another number is asked about at once as well."""
    for _ in range(2):
        stage.has("erika@example.org", surename="Erika", familyname="Müller")
    for number in ("s1-7", "s1-g7"):
        with pytest.raises(NeedsAttention):
            stage.once(replace(ERIKA, customer_number=number), number)
    assert stage.once(replace(ERIKA, name="Anna", first_name=None, last_name="Anna", customer_number="s1-9"), "9")


def test_b11_a_chosen_contact_that_is_gone_is_asked_about_again(stage: Stage) -> None:
    ids = [stage.has("erika@example.org", surename="Erika", familyname="Müller") for _ in range(3)]
    with pytest.raises(NeedsAttention) as ask:
        stage.once(ERIKA)
    stage.ask("DELETE", f"/Contact/{ids[0]}")
    with pytest.raises(NeedsAttention) as again:
        stage.once(ERIKA, chosen=ask.value.choices[0])
    assert again.value.choices == (*ask.value.choices[1:3], CREATE_NEW)


def test_1_4_a_filter_that_is_ignored_adopts_nobody(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts 5.1.1: the most expensive bug would be the first contact of the account."""
    stage.has("erika@example.org", surename="Erika", familyname="Müller")
    stage.has("anna@example.org", surename="Anna", familyname="Alt")
    from ladenbuch.sevdesk import finding

    whole = finding.matching
    monkeypatch.setattr(finding, "matching", lambda calls, path, query: whole(calls, path, []))
    with pytest.raises(Rejected) as refused:
        stage.once(replace(ERIKA, customer_number="s1-99"))
    assert refused.value.code == "SEVDESK-IMPLAUSIBLE"
    assert len(stage.contacts()) == 2


# -- the VAT id ---------------------------------------------------------------------------------------------------

EUROPE = replace(ERIKA, customer_number="s1-8", vat_id="FR40303265045")


@pytest.mark.parametrize("whose", ["created", "adopted"])
@pytest.mark.parametrize("rule", [3, 21])
def test_4_3_a_missing_vat_id_is_added_where_the_statement_reads_it(stage: Stage, whose: str, rule: int) -> None:
    """Once, and only for documents the recapitulative statement reports (rules 3 and 21)."""
    if whose == "adopted":
        stage.has("erika@example.org", surename="Erika", familyname="Müller", customerNumber="K-1")
    contact = stage.once(replace(EUROPE, vat_id=None))
    stage.once(EUROPE, "2", tax_rule=1)
    assert stage.contacts()[0]["vatNumber"] is None
    stage.requests()
    assert stage.once(EUROPE, "3", tax_rule=rule) == contact
    assert stage.requests() == [f"GET /Contact/{contact}", f"PUT /Contact/{contact}"]
    (row,) = stage.contacts()
    assert (row["vatNumber"], row["familyname"], row["customerNumber"]) == (
        "FR40303265045",
        "Müller",
        "K-1" if whose == "adopted" else "s1-8",
    )
    stage.once(EUROPE, "4", tax_rule=rule)
    assert stage.requests() == []


def test_4_3_another_vat_id_is_never_overwritten(stage: Stage) -> None:
    contact = stage.has("erika@example.org", surename="Erika", familyname="Müller")
    stage.once(replace(EUROPE, vat_id=None))
    stage.ask("PUT", f"/Contact/{contact}", {"vatNumber": "FR1"})
    stage.once(EUROPE, "2", tax_rule=2)
    for _ in range(2):
        with pytest.raises(NeedsAttention) as ask:
            stage.once(EUROPE, "2", tax_rule=3)
        assert asked_of(ask) == ("CONTACT-VAT-ID", ("correct the contact in sevdesk", "exclude the order"))
    assert stage.contacts()[0]["vatNumber"] == "FR1"
    stage.ask("PUT", f"/Contact/{contact}", {"vatNumber": "FR 40303265045"})
    assert stage.once(EUROPE, "2", tax_rule=3) == contact


def test_4_3_a_vat_id_a_person_took_away_is_not_added_again(stage: Stage) -> None:
    """R7: one key, once. The mark is forgotten only when another VAT id came between."""
    contact = stage.once(replace(EUROPE, vat_id=None))
    stage.once(EUROPE, "2", tax_rule=3)
    door = stage.ctx.door("t1")
    door.run(Store.BOOKS, lambda tx: books.contact_carries(tx, "t1", "s1-8", "another"))
    stage.ask("PUT", f"/Contact/{contact}", {"vatNumber": ""})
    with pytest.raises(NeedsAttention):
        stage.once(EUROPE, "3", tax_rule=3)


@pytest.mark.parametrize("fault", [Fault("lost_reply"), Fault("late_commit", after_seconds=3), Fault("reset_before")])
def test_6_3_a_vat_id_of_unknown_outcome_is_read_again(stage: Stage, fault: Fault) -> None:
    contact = stage.once(replace(EUROPE, vat_id=None))
    stage.sky.fates = [("PUT", f"/Contact/{contact}", fault)]
    with pytest.raises(Ambiguous):
        stage.once(EUROPE, "2", tax_rule=3)
    stage.meet(EUROPE, "2", tax_rule=3)
    assert stage.contacts()[0]["vatNumber"] == "FR40303265045"


# -- the shared debtor --------------------------------------------------------------------------------------------


def test_b11_consumers_share_one_contact_without_anybodys_data(stage: Stage) -> None:
    """Facts 2.2: three to four calls less for every new customer."""
    shared = [
        replace(ERIKA, customer_number="s1-sammel", collective=True, name=f"N{at}", email=f"{at}@example.org")
        for at in range(4)
    ]
    found = {stage.once(party, str(at)) for at, party in enumerate(shared)}
    (contact,) = stage.contacts()
    assert found == {contact["id"]}
    assert (contact["name"], contact["customerNumber"]) == ("Sammeldebitor", "s1-sammel")
    assert (contact["addresses"], contact["mailboxes"]) == ([], [])
    assert stage.requests() == ["GET /Contact", "POST /Contact"]


def test_b11_the_merchants_own_collective_debtor_is_used_as_it_is(stage: Stage) -> None:
    theirs = stage.has(name="Diverse Onlineshop", customerNumber="10000")
    before = stage.contacts()
    assert stage.once(replace(ERIKA, customer_number="10000", collective=True), tax_rule=1) == theirs
    assert stage.contacts() == before
    assert known(stage, "10000") == books.KnownContact(theirs, "adopted")


def test_b11_many_consumers_at_once_make_one_shared_contact(database: Database) -> None:
    stage = Stage(database, Sky("storm", 9))
    race(stage, [replace(ERIKA, customer_number="s1-sammel", collective=True, email=f"{at}@x.de") for at in range(24)])
    stage.clock.sleep(600)
    assert len(stage.contacts()) == 1


# -- what is kept -------------------------------------------------------------------------------------------------


def test_the_books_and_the_log_name_nobody(stage: Stage) -> None:
    for _ in range(2):
        stage.has("anna@example.org", surename="Anna", familyname="Müller")
    stage.once(ERIKA)
    stage.once(FIRM, "2", tax_rule=3)
    with pytest.raises(NeedsAttention) as ask:
        stage.once(replace(ERIKA, customer_number="s1-9", first_name="Anna", name="A", email="anna@example.org"), "3")
    door = stage.ctx.door("t1")
    tables = (books.contacts, books.intents, books.leases)
    rows = [
        str(row) for table in tables for row in door.read(Store.BOOKS, lambda tx, t=table: tx.execute(t.select()).all())
    ]
    told = " ".join([*rows, *stage.told(), str(ask.value), *ask.value.choices]).lower()
    assert not any(word in told for word in ("erika", "müller", "möwe", "example", "königstr", "fr403", "anna"))
    assert door.read(Store.BOOKS, lambda tx: audit.verify(tx, "t1")) is None


def test_a_contact_of_the_first_shape_is_known_and_left_alone(stage: Stage) -> None:
    """Rows written before contacts were completed: nothing is added behind the merchant's back."""
    contact = stage.has(name="Alt", customerNumber="s1-7")
    door = stage.ctx.door("t1")
    row = {"tenant": "t1", "customer_number": "s1-7", "sevdesk_id": contact}
    door.run(Store.BOOKS, lambda tx: tx.execute(books.contacts.insert().values(**row)))
    assert stage.once(ERIKA) == contact
    assert stage.requests() == []
