"""Contacts, their addresses and mailboxes: sevdesk's words, and the verbs.

A customer number is our key for a contact. sevdesk accepts doubles of all three, so each is looked for first;
its filters are not trusted, so what comes back is compared here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ladenbuch.domain.document import Party
from ladenbuch.domain.matching import Candidate, mailbox, plain_vat_id
from ladenbuch.sevdesk import finding, reading
from ladenbuch.sevdesk.paper import address_name, line, reference, street_of
from ladenbuch.sevdesk.reading import Json
from ladenbuch.sevdesk.room import Room, checked, written

#: sevdesk's categories of a supplier and a customer, of a billing address, and its key of a mailbox for invoices.
SUPPLIER_CATEGORY = 2
CUSTOMER_CATEGORY = 3
BILLING_CATEGORY = 47
INVOICING_KEY = 8
#: What the contact is called that all consumers of a shop share; its number tells shops apart.
COLLECTIVE_NAME = "Sammeldebitor"


@dataclass(frozen=True, slots=True)
class RemoteContact:
    """A contact as sevdesk holds it. An organisation has one name and never becomes a person, nor back."""

    id: str
    customer_number: str | None
    is_organisation: bool
    vat_id: str | None = field(repr=False)
    buyer_reference: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ContactAddress:
    """One address of a contact. `country_id` and `category_id` are sevdesk's (47: billing)."""

    id: str
    contact_id: str
    name: str | None = field(repr=False)
    street: str | None = field(repr=False)
    zip: str | None = field(repr=False)
    city: str | None = field(repr=False)
    country_id: str | None
    category_id: str | None


@dataclass(frozen=True, slots=True)
class CommunicationWay:
    """One way to reach a contact. `kind`: EMAIL, PHONE, WEB or MOBILE; `key_id` says what for (8: invoices)."""

    id: str
    contact_id: str
    kind: str
    value: str = field(repr=False)
    main: bool
    key_id: str | None


def contact_body(party: Party) -> dict[str, Any]:
    """The body of `POST /Contact`: an organisation where there is a company, else a person.

    sevdesk spells the first name `surename`; a `name` would make the contact an organisation for good. A single name
    is the family name. The debtor that consumers share bears no buyer's name.
    """
    body: dict[str, Any] = {
        "status": 1000,
        "category": reference(CUSTOMER_CATEGORY, "Category"),
        "customerNumber": party.customer_number,
    }
    if party.collective:
        return {**body, "name": COLLECTIVE_NAME}
    if party.vat_id:
        body["vatNumber"] = line(party.vat_id)
    if party.company and party.company.strip():
        return {**body, "name": line(party.company)}
    if not (party.first_name and party.last_name):
        return {**body, "surename": "", "familyname": line(party.name)}
    return {**body, "surename": line(party.first_name), "familyname": line(party.last_name)}


def address_body(contact_id: str, party: Party, country_id: str) -> dict[str, Any]:
    """The body of `POST /ContactAddress`: the party's lines as they are printed on documents."""
    return {
        "contact": reference(contact_id, "Contact"),
        "name": line(address_name(party)),
        "street": line(street_of(party)),
        "zip": line(party.zip),
        "city": line(party.city),
        "country": reference(country_id, "StaticCountry"),
        "category": reference(BILLING_CATEGORY, "Category"),
    }


def contact(row: Json) -> RemoteContact:
    """A contact object of any endpoint."""
    return RemoteContact(
        id=reading.identity(row.get("id"), "contact id"),
        customer_number=reading.text(row.get("customerNumber")),
        is_organisation=reading.text(row.get("name")) is not None,
        vat_id=reading.text(row.get("vatNumber")),
        buyer_reference=reading.text(row.get("buyerReference")),
    )


def candidate(row: Json, *emails: str) -> Candidate:
    """A contact of the merchant, as it is compared with a buyer; its addresses are not looked at."""
    person = " ".join(part for name in ("surename", "familyname") if (part := reading.text(row.get(name))))
    organisation = reading.text(row.get("name"))
    category = reading.identity_or_none(row.get("category"), "contact's category")
    return Candidate(
        id=reading.identity(row.get("id"), "contact id"),
        customer_number=reading.text(row.get("customerNumber")),
        is_organisation=organisation is not None,
        name=organisation or person,
        vat_id=reading.text(row.get("vatNumber")),
        emails=emails,
        is_supplier=category == str(SUPPLIER_CATEGORY),
    )


def address(row: Json) -> ContactAddress:
    """An address object."""
    return ContactAddress(
        id=reading.identity(row.get("id"), "address id"),
        contact_id=reading.identity(row.get("contact"), "address's contact"),
        name=reading.text(row.get("name")),
        street=reading.text(row.get("street")),
        zip=reading.text(row.get("zip")),
        city=reading.text(row.get("city")),
        country_id=reading.identity_or_none(row.get("country"), "address's country"),
        category_id=reading.identity_or_none(row.get("category"), "address's category"),
    )


def communication_way(row: Json) -> CommunicationWay:
    """A communication way."""
    return CommunicationWay(
        id=reading.identity(row.get("id"), "communication way id"),
        contact_id=reading.identity(row.get("contact"), "communication way's contact"),
        kind=reading.text(row.get("type")) or "",
        value=reading.text(row.get("value")) or "",
        main=reading.flag(row.get("main")),
        key_id=reading.identity_or_none(row.get("key"), "communication way's key"),
    )


def _alike(one: ContactAddress, body: Mapping[str, Any]) -> bool:
    """The same lines but for case and spaces, in the same country, for the same use."""
    ids = (one.country_id, one.category_id) == (str(body["country"]["id"]), str(body["category"]["id"]))
    lines = ((getattr(one, name), body[name]) for name in ("name", "street", "zip", "city"))
    return ids and all(_tidy(there) == _tidy(ours) for there, ours in lines)


def _tidy(value: str | None) -> str:
    return " ".join((value or "").split()).casefold()


class Contacts(Room):
    """Contacts, addresses, mailboxes."""

    def find_contact(self, customer_number: str) -> str | None:
        """Id of the contact with exactly this customer number; of several (sevdesk allows it) the oldest."""
        query = [("customerNumber", customer_number), ("depth", "1")]  # without depth persons are hidden
        rows = finding.exactly(
            self._calls,
            "/Contact",
            query,
            lambda row: reading.text(row.get("customerNumber")),
            customer_number,
        )
        return min((reading.identity(row.get("id"), "contact id") for row in rows), key=int, default=None)

    def contacts_with_email(self, email: str) -> list[Candidate]:
        """The contacts one of whose mailboxes is this one, whatever its capitals; suppliers are among them.

        One request, two for an address with capitals: `/Contact` has no filter for it, `/CommunicationWay` has (facts
        1.4, 2.2). Whether that filter tells capitals apart is not known, so small letters are asked for as well.
        """
        given = reading.plain(email).strip()
        if not mailbox(given):
            return []
        found: dict[str, Candidate] = {}
        for wanted in dict.fromkeys((given, given.lower())):
            query = [("type", "EMAIL"), ("value", wanted), ("embed", "contact")]
            for row in finding.matching(self._calls, "/CommunicationWay", query):
                value = reading.text(row.get("value")) or ""
                if reading.text(row.get("type")) != "EMAIL" or mailbox(value) != mailbox(given):
                    raise finding.implausible("/CommunicationWay")
                owner = self._embedded(row.get("contact"))
                if owner is not None:
                    one = candidate(owner, value)
                    found[one.id] = one
        return list(found.values())

    def _embedded(self, owner: Any) -> Json | None:
        """The contact inside a row; read by its id where only that is there. None for none, or one that is gone."""
        id_ = reading.identity_or_none(owner, "communication way's contact")
        if id_ is None:
            return None
        if isinstance(owner, Mapping) and set(owner) - {"id", "objectName"}:
            return owner
        return finding.by_id(self._calls, "/Contact/{id}", f"/Contact/{checked(id_)}", id_)

    def organisations_with_vat_id(self, vat_id: str) -> list[Candidate]:
        """The organisations with this VAT id, however it is written.

        sevdesk has no filter for it, so all organisations are read, a thousand at a time (persons are left out where
        `depth` is): to be asked for new business customers only.
        """
        wanted = plain_vat_id(vat_id)
        if not wanted:
            return []
        rows = finding.everything(self._calls, "/Contact")
        return [candidate(row) for row in rows if plain_vat_id(reading.text(row.get("vatNumber"))) == wanted]

    def get_contact(self, contact_id: str) -> RemoteContact | None:
        """The contact as it is now; None only when sevdesk says it does not know it."""
        row = finding.by_id(self._calls, "/Contact/{id}", f"/Contact/{checked(contact_id)}", contact_id)
        return contact(row) if row is not None else None

    def create_contact(self, party: Party) -> str:
        """Id of a new contact with the party's customer number, name and VAT id. The invoice has its own address."""
        answer = self._calls.json("POST", "/Contact", "/Contact", body=contact_body(party))

        def created() -> str:
            found = contact(reading.one(answer, "contact"))
            if found.customer_number not in (None, party.customer_number):
                raise reading.shape("customer number")
            return found.id

        return written(created)

    def set_vat_number(self, contact_id: str, vat_id: str) -> None:
        """Write the buyer's VAT id to a contact that is there: sevdesk's recapitulative statement reads it there.

        Overwrites; look at `get_contact(...).vat_id` first. Repeating it changes nothing.
        """
        path = f"/Contact/{checked(contact_id)}"
        self._calls.json("PUT", "/Contact/{id}", path, body={"vatNumber": line(vat_id)})

    def set_buyer_reference(self, contact_id: str, reference: str) -> None:
        """Write the reference that e-invoices to this contact quote (EN 16931 BT-10): sevdesk takes it from there.

        Overwrites; look at `get_contact(...).buyer_reference` first. Repeating it changes nothing.
        """
        path = f"/Contact/{checked(contact_id)}"
        self._calls.json("PUT", "/Contact/{id}", path, body={"buyerReference": line(reference)})

    def contact_addresses(self, contact_id: str) -> list[ContactAddress]:
        """All addresses of a contact, oldest first."""
        found = [address(row) for row in self._of_contact("/ContactAddress", contact_id)]
        return sorted(found, key=lambda one: int(one.id))

    def add_address(self, contact_id: str, party: Party) -> ContactAddress:
        """The party's address at the contact as billing address: the one that is there, else a new one.

        Documents do not need it, e-invoices and people do. After `Ambiguous` simply ask again: it looks first.
        """

        wanted = address_body(checked(contact_id), party, self._lookups.country_id(party.country))
        for one in self.contact_addresses(contact_id):
            if _alike(one, wanted):
                return one
        return self.create_address(contact_id, party)

    def create_address(self, contact_id: str, party: Party) -> ContactAddress:
        """The party's address as a new billing address of a contact that is known to have none."""

        def body() -> dict[str, Any]:
            return address_body(checked(contact_id), party, self._lookups.country_id(party.country))

        answer = self._post_with_lookups("/ContactAddress", body)
        return written(lambda: address({"contact": contact_id, **reading.one(answer, "address")}))

    def communication_ways(self, contact_id: str) -> list[CommunicationWay]:
        """All ways to reach a contact, oldest first. Filtered here: sevdesk's combined filters find nothing."""
        found = [communication_way(row) for row in self._of_contact("/CommunicationWay", contact_id)]
        return sorted(found, key=lambda one: int(one.id))

    def add_email(self, contact_id: str, email: str) -> CommunicationWay:
        """The mailbox at the contact: the one that is there (case does not matter), else a new one for invoices.

        The first mailbox becomes the main one. After `Ambiguous` simply ask again: it looks first.
        """
        boxes = [way for way in self.communication_ways(contact_id) if way.kind == "EMAIL"]
        for way in boxes:
            if _tidy(way.value) == _tidy(email):
                return way
        return self.create_email(contact_id, email, main=not any(way.main for way in boxes))

    def create_email(self, contact_id: str, email: str, *, main: bool = True) -> CommunicationWay:
        """A new mailbox for invoices at a contact that is known not to have it, in small letters: so it is found."""
        body = {
            "contact": reference(checked(contact_id), "Contact"),
            "type": "EMAIL",
            "value": reading.plain(email).strip().lower(),
            "key": reference(INVOICING_KEY, "CommunicationWayKey"),
            "main": main,
        }
        answer = self._calls.json("POST", "/CommunicationWay", "/CommunicationWay", body=body)
        return written(lambda: communication_way({"contact": contact_id, **reading.one(answer, "communication way")}))

    def _of_contact(self, path: str, contact_id: str) -> list[Json]:
        """Rows of this contact; a row of another proves that the filter was ignored."""
        query = [("contact[id]", checked(contact_id)), ("contact[objectName]", "Contact")]
        rows = list(finding.matching(self._calls, path, query))
        if any(reading.identity_or_none(row.get("contact"), "contact") != contact_id for row in rows):
            raise finding.implausible(path)
        return rows
