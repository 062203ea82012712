"""Which contact of the merchant is this buyer: hard evidence only, whatever the order of the candidates.

B11 (contacts), S99, S143; facts 2.2, 6.1.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain.answers import REDO, effect_of
from ladenbuch.domain.document import Party
from ladenbuch.domain.matching import CREATE_NEW, Adopt, Ask, Candidate, Create, Door, folded, match, to_look_at
from ladenbuch.web.codes import choice, sentence

ERIKA = Party(
    "s1-7",
    "Erika Müller",
    "Erika",
    "Müller",
    None,
    "Königstraße 3",
    None,
    "20457",
    "Hamburg",
    "DE",
    "erika@example.org",
)
FIRM = replace(ERIKA, company="Möwe GmbH", name="Möwe GmbH", vat_id="DE136695976")
HOME = Door("Königstr. 3", "20457", "HAMBURG")


def person(id_: str = "71", **changes: object) -> Candidate:
    return replace(Candidate(id_, "K-1", False, "Erika Müller", None, ("Erika@Example.org",)), **changes)  # type: ignore[arg-type]


def firm(id_: str = "81", **changes: object) -> Candidate:
    return replace(Candidate(id_, "K-2", True, "Möwe GmbH", "DE 136 695 976"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("party", "candidate", "evidence"),
    [
        (ERIKA, person(), "e-mail and name"),
        (ERIKA, person(name="erika MUELLER"), "e-mail and name"),
        (ERIKA, person(name="E. Müller", doors=(HOME,)), "e-mail and address"),
        (ERIKA, person(name="E. Müller"), None),  # nobody looked where she lives
        (ERIKA, person(name="E. Müller", doors=(replace(HOME, zip="20459"),)), None),
        (ERIKA, person(emails=(), doors=(HOME,)), None),  # a name and an address are shared by families
        (ERIKA, person(emails=("anna@example.org",)), None),
        (ERIKA, person(is_supplier=True), None),
        (ERIKA, firm(name="Erika Müller", emails=("erika@example.org",)), "e-mail and name"),
        (ERIKA, firm(emails=("erika@example.org",), doors=(HOME,)), None),  # her firm is another debtor
        (replace(ERIKA, email=None), person(), None),
        (FIRM, firm(), "VAT id"),
        (FIRM, firm(name="Möwe Verwaltung AG"), "VAT id"),
        (FIRM, firm(vat_id=None), None),
        (FIRM, firm(vat_id=None, emails=("erika@example.org",)), "e-mail and name"),
        (FIRM, firm(vat_id="DE111111125", emails=("erika@example.org",)), None),  # contradicts
        (FIRM, person(doors=(HOME,)), None),
        (FIRM, firm(is_supplier=True), None),
        (replace(FIRM, vat_id=None), firm(emails=("erika@example.org",)), "e-mail and name"),
    ],
)
def test_b11_only_hard_evidence_adopts(party: Party, candidate: Candidate, evidence: str | None) -> None:
    found = match(party, [candidate, person("9", emails=("somebody@example.org",), name="Somebody Else")])
    assert found == (Adopt(candidate, evidence) if evidence else Create())


def test_b11_without_a_name_nothing_is_equal_to_nothing() -> None:
    """No name, no address and no e-mail are not evidence, on neither side."""
    nobody = Party("s1-o1", "Endkunde", email="erika@example.org")
    blank = person(name="", doors=(Door(None, None, None), Door("", "", "")))
    assert match(nobody, [blank, person("72", name="Endkunde")]) == Create()
    assert match(replace(ERIKA, email="  "), [person(emails=("", " "))]) == Create()
    assert match(replace(ERIKA, name="...", first_name=None, last_name=None), [person(name="—")]) == Create()
    single = Party("s1-8", "Madonna", None, "Madonna", email="m@example.org")
    assert match(single, [person(name="MADONNA", emails=("m@example.org",))]) != Create()


def test_b11_of_several_only_a_person_can_choose_and_sees_no_personal_data() -> None:
    numbered_by_mail = person("102", customer_number="erika@example.org")
    found = match(ERIKA, [numbered_by_mail, person("71"), person("9", customer_number="Müller")])
    assert isinstance(found, Ask)
    assert found.choices == ("use contact 9", "use contact 71 (customer number K-1)", "use contact 102", CREATE_NEW)
    for offered in found.choices[:-1]:
        told = found.answered(offered)
        assert isinstance(told, Adopt)
        assert told.candidate.id == offered.split()[2]
    assert found.about == ("contact:9", "contact:71", "contact:102")
    assert {effect_of(offered).kind for offered in found.choices} == {REDO}, "recorded, so that the next run knows"
    assert found.answered(CREATE_NEW) == Create()
    assert [found.answered(other) for other in (None, "", "exclude", "use contact 7", "use contact 710")] == [None] * 5


def test_b11_the_question_is_asked_in_german_too() -> None:
    found = match(ERIKA, [person("71"), person("9", customer_number=None)])
    assert isinstance(found, Ask)
    assert [choice("de", item) for item in found.choices] == [
        "den Kontakt 9 verwenden",
        "den Kontakt 71 verwenden (Kundennummer K-1)",
        "einen neuen Kontakt anlegen",
    ]
    assert [choice("en", item) for item in found.choices] == list(found.choices)
    for message in (
        "several contacts in sevdesk may be this buyer",
        "the contact in sevdesk does not carry the document's VAT id",
    ):
        assert "Kontakt" in sentence("de", None, message)
        assert sentence("en", None, message).lower().startswith(message.lower())


def test_b11_a_vat_id_decides_before_an_email_does() -> None:
    """Purchasing and accounting of one firm stand as two contacts; one of them carries the VAT id."""
    same_mail = firm("82", vat_id=None, emails=("erika@example.org",))
    assert match(FIRM, [same_mail, firm("81")]) == Adopt(firm("81"), "VAT id")
    assert isinstance(match(FIRM, [same_mail, firm("81"), firm("83")]), Ask)


def test_addresses_are_fetched_only_where_they_can_decide() -> None:
    """Each look costs a request (facts 1.8)."""
    known, other = person("1"), person("2", name="E. Müller")
    away, firms = person("3", emails=("x@example.org",)), firm("4", emails=("erika@example.org",))
    supplier, seen = person("5", name="E", is_supplier=True), person("6", name="E", doors=())
    assert to_look_at(ERIKA, [known, other, away, firms, supplier, seen]) == [other]
    assert to_look_at(replace(ERIKA, zip=None), [other]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller-Groß", "MUELLER GROSS"),
        ("Jürgen Øst", "juergen oest"),
        ("Renée d'Angelo", "Renee DAngelo"),
        ("Zoë Wójcik", "zoe wojcik"),
        ("Łukasz", "lukasz"),
        ("Mu\u0308ller", "Müller"),
        ("Nguyễn", "NGUYEN"),
        ("Möwe  GmbH & Co. KG", "Moewe GmbH & Co KG"),
    ],
)
def test_s143_umlauts_and_accents_are_one_spelling(one: str, other: str) -> None:
    assert folded(one) == folded(other) != ""


def test_s143_other_scripts_keep_their_letters() -> None:
    assert folded("王 芳") == "王芳" != folded("王 丽")
    assert folded("Жанна") != folded("Анна") != ""
    assert folded(None) == folded(" -–. ") == ""


CANDIDATES = st.builds(
    Candidate,
    id=st.integers(1, 9).map(str),
    customer_number=st.sampled_from([None, "K-1", "x@y"]),
    is_organisation=st.booleans(),
    name=st.sampled_from(["", "Erika Müller", "erika mueller", "Möwe GmbH", "Otto"]),
    vat_id=st.sampled_from([None, "DE136695976", "de 136695976", "FR40303265045"]),
    emails=st.sampled_from([(), ("erika@example.org",), ("ERIKA@example.org", "b@example.org"), ("b@example.org",)]),
    doors=st.sampled_from([None, (), (HOME,), (Door("Weg 1", "1", "X"),)]),
    is_supplier=st.booleans(),
)
PARTIES = st.sampled_from(
    [ERIKA, FIRM, replace(FIRM, vat_id=None), replace(ERIKA, email=None), Party("s1-o", "Endkunde")]
)


@given(PARTIES, st.lists(CANDIDATES, max_size=6, unique_by=lambda item: item.id), st.randoms(use_true_random=False))
def test_b11_the_answer_does_not_depend_on_the_order_of_the_candidates(party, candidates, rng) -> None:
    shuffled = list(candidates)
    rng.shuffle(shuffled)
    found = match(party, candidates)
    assert match(party, shuffled) == found
    if isinstance(found, Create):
        assert all(match(party, [one]) == Create() for one in candidates)
    if isinstance(found, Adopt):
        assert not found.candidate.is_supplier
        assert party.vat_id or party.email
