"""Is a contact that already stands in the merchant's sevdesk account this buyer? Hard evidence only.

    evidence                          why it is enough
    the same VAT id                   it names one business, whatever it is called
    the same e-mail and name          nobody else answers to both
    the same e-mail and address       the name is written in many ways, the door is one

A name alone, an address alone and an e-mail alone are none: families share them. What contradicts (another VAT id, a
supplier) is never this buyer. One hit is adopted and never overwritten; of several only a person can choose.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from ladenbuch.domain.document import Party

#: How a buyer without any name is printed; as evidence it is no name.
UNNAMED = "Endkunde"
#: What a person may answer besides "use contact ...".
CREATE_NEW = "create a new contact"

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "æ": "ae", "œ": "oe", "ł": "l", "ı": "i"})
_USE = re.compile(r"use contact (\d+)\b")
#: A customer number fit to be shown: some merchants number their customers by e-mail or by name.
_SHOWN = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9._/-]{0,29}")


@dataclass(frozen=True, slots=True)
class Door:
    """Where somebody lives, as far as it is compared."""

    street: str | None = field(default=None, repr=False)
    zip: str | None = field(default=None, repr=False)
    city: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact of the merchant. `doors` is None while nobody has looked at its addresses."""

    id: str
    customer_number: str | None
    is_organisation: bool
    name: str = field(repr=False)
    vat_id: str | None = field(default=None, repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    doors: tuple[Door, ...] | None = field(default=None, repr=False)
    is_supplier: bool = False


@dataclass(frozen=True, slots=True)
class Adopt:
    """Exactly one contact is the buyer's; `evidence` says by what, without naming anybody."""

    candidate: Candidate
    evidence: str


@dataclass(frozen=True, slots=True)
class Create:
    """No contact is the buyer's."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Several are, and only a person can say which."""

    candidates: tuple[Candidate, ...]

    @property
    def choices(self) -> tuple[str, ...]:
        """What a person may answer: ids and customer numbers, no personal data."""
        return (*(_use(item) for item in self.candidates), CREATE_NEW)

    @property
    def about(self) -> tuple[str, ...]:
        """What an answer is bound to: it counts while the same contacts are in question."""
        return tuple(f"contact:{item.id}" for item in self.candidates)

    def answered(self, chosen: str | None) -> Adopt | Create | None:
        """What the chosen text means; None when nothing was chosen or it names none of these contacts."""
        if chosen == CREATE_NEW:
            return Create()
        named = _USE.match(chosen or "")
        found = next((item for item in self.candidates if named is not None and item.id == named[1]), None)
        return Adopt(found, "a person's choice") if found is not None else None


def match(party: Party, candidates: Iterable[Candidate]) -> Adopt | Create | Ask:
    """Which of these contacts is the buyer. A VAT id decides before an e-mail does: it names one business.

    The result does not depend on the order of the candidates.
    """
    found = {item.id: (item, evidence) for item in candidates if (evidence := _evidence(party, item)) is not None}
    strong = {id_: hit for id_, hit in found.items() if hit[1] == "VAT id"}
    hits = [hit for _, hit in sorted((strong or found).items(), key=lambda item: (len(item[0]), item[0]))]
    if not hits:
        return Create()
    if len(hits) == 1:
        return Adopt(*hits[0])
    return Ask(tuple(item for item, _ in hits))


def to_look_at(party: Party, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates whose addresses could still make them the buyer, and were not looked at."""
    return [
        item
        for item in candidates
        if item.doors is None
        and _evidence(party, item) is None
        and not _contradicts(party, item)
        and _same_kind(party, item)
        and _same_mailbox(party, item)
        and _door_of(party) is not None
    ]


def _evidence(party: Party, candidate: Candidate) -> str | None:
    if _contradicts(party, candidate):
        return None
    if party.vat_id and candidate.vat_id:  # no contradiction: they are equal
        return "VAT id"
    if not _same_mailbox(party, candidate):
        return None
    if (name := _name_of(party)) and name == folded(candidate.name):
        return "e-mail and name"
    return "e-mail and address" if _same_kind(party, candidate) and _same_door(party, candidate) else None


def _contradicts(party: Party, candidate: Candidate) -> bool:
    if candidate.is_supplier:
        return True  # what is owed to somebody and by somebody are two accounts
    return bool(party.vat_id and candidate.vat_id and plain_vat_id(party.vat_id) != plain_vat_id(candidate.vat_id))


def _same_kind(party: Party, candidate: Candidate) -> bool:
    """A company at the address of the person who owns it is another debtor than that person."""
    return bool(party.company) == candidate.is_organisation


def _same_mailbox(party: Party, candidate: Candidate) -> bool:
    wanted = mailbox(party.email)
    return bool(wanted) and wanted in {mailbox(item) for item in candidate.emails}


def _same_door(party: Party, candidate: Candidate) -> bool:
    ours = _door_of(party)
    theirs = ((_street(door.street), folded(door.zip), folded(door.city)) for door in candidate.doors or ())
    return ours is not None and ours in theirs


def _name_of(party: Party) -> str:
    if party.company:
        return folded(party.company)
    name = " ".join(part for part in (party.first_name, party.last_name) if part) or party.name
    return "" if name == UNNAMED else folded(name)


def _door_of(party: Party) -> tuple[str, str, str] | None:
    lines = (party.street, party.street2)
    found = (_street(", ".join(part for part in lines if part)), folded(party.zip), folded(party.city))
    return found if all(found) else None


def _street(text: str | None) -> str:
    return folded(text).replace("strasse", "str")


def _use(candidate: Candidate) -> str:
    number = candidate.customer_number or ""
    return f"use contact {candidate.id}" + (f" (customer number {number})" if _SHOWN.fullmatch(number) else "")


def names_a_contact(choice: str) -> bool:
    """Whether a choice says which contact to use."""
    return _USE.match(choice) is not None


def folded(text: str | None) -> str:
    """Text as it is compared: letters and digits only, small, umlauts and ß written out, other accents gone.

    `Müller-Groß`, `MUELLER GROSS` and `Müller Gross` are one; without letters and digits it is ''.
    """
    small = unicodedata.normalize("NFKC", text or "").casefold().translate(_UMLAUTS)
    return "".join(char for char in unicodedata.normalize("NFKD", small) if char.isalnum())


def mailbox(email: str | None) -> str:
    """An e-mail address as it is compared: capitals make no difference in practice."""
    return unicodedata.normalize("NFC", email or "").strip().casefold()


def plain_vat_id(text: str | None) -> str:
    """A VAT id as it is compared: capitals without blanks and punctuation."""
    return "".join(char for char in text or "" if char.isalnum()).upper()
