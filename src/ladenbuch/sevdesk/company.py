"""Whose account a token opens: the company and its users, its number ranges, and what it may book as revenue.

Read to tell what is missing before a first invoice; nothing here writes. The company itself (`/SevClient`) is in no
published description, yet several public integrations read it: where it is not answered, the account is known by its id
alone, which every object names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import finding, reading
from ladenbuch.sevdesk.contacts import BILLING_CATEGORY, CUSTOMER_CATEGORY
from ladenbuch.sevdesk.room import Room

#: A token as sevdesk makes them (facts 1.2).
_TOKEN = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)
#: The company's own data, by the names under which the description demands them for e-invoices.
MASTER_DATA = (
    "name",
    "addressStreet",
    "addressZip",
    "addressCity",
    "taxNumber",
    "vatNumber",
    "bankIban",
    "bankBic",
    "contactEmail",
    "contactPhone",
)
#: Statuses that mean: sevdesk does not have the endpoint, or has it for nobody outside.
_NO_ENDPOINT = (400, 404, 405, 422)


@dataclass(frozen=True, slots=True)
class Company:
    """The account. `told` is its master data as far as sevdesk says anything: name of the field -> value or ''.

    `small_business` (UStG §19) is None where sevdesk does not say.
    """

    id: str
    name: str | None = None
    small_business: bool | None = None
    told: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """A user of the account."""

    id: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class NumberRange:
    """How documents of a kind are numbered: `RE-%NUMBER`, and which number comes next."""

    format: str
    next: str


@dataclass(frozen=True, slots=True)
class RevenueAccount:
    """An account turnover is booked on: its number, and the rates (ZERO, SEVEN, NINETEEN) each tax rule may have."""

    number: str
    name: str
    rates: Mapping[int, tuple[str, ...]]


def is_token(text: str) -> bool:
    """Whether a text has the form of an API token: 32 hexadecimal digits, nothing around them."""
    return _TOKEN.fullmatch(text) is not None


def is_no_endpoint(error: Rejected) -> bool:
    """Whether a refused question means that sevdesk does not have the endpoint, so that the answer is not known."""
    return error.detail.get("status") in _NO_ENDPOINT


class Companies(Room):
    """The account itself."""

    def company(self) -> Company:
        """Whose account this is. Only the id is known where sevdesk does not answer the question."""
        try:
            row = reading.one(self._calls.json("GET", (path := "/SevClient"), path), "company")
        except Rejected as error:
            if not is_no_endpoint(error):
                raise
            return Company(self._owner())
        told = {name: reading.text(row.get(name)) or "" for name in MASTER_DATA if name in row}
        small = row.get("smallSettlement")
        return Company(
            id=reading.identity(row.get("id"), "company id"),
            name=told.get("name") or None,
            small_business=None if small is None else reading.flag(small),
            told={name: value.strip() for name, value in told.items()},
        )

    def _owner(self) -> str:
        """The id of the account as its payment accounts and users name it."""
        for path in ("/CheckAccount", "/SevUser"):
            for row in finding.everything(self._calls, path):
                owner = reading.identity_or_none(row.get("sevClient"), "sevClient")
                if owner is not None:
                    return owner
        raise reading.shape("sevClient")

    def users(self) -> list[User]:
        """The users of the account, in the order of their ids."""
        found = [
            User(
                id=reading.identity(row.get("id"), "user id"),
                name=reading.text(row.get("fullname")) or reading.text(row.get("username")) or "",
                active=reading.text(row.get("status")) in (None, "100"),
            )
            for row in finding.everything(self._calls, "/SevUser")
        ]
        return sorted(found, key=lambda user: int(user.id))

    def number_range(self, kind: Literal["Invoice", "CreditNote"]) -> NumberRange | None:
        """How invoices (RE) or credit notes (CN) are numbered; None when no such range was set up."""
        path = "/SevSequence/Factory/getByType"
        query = [("objectType", kind), ("type", "RE" if kind == "Invoice" else "CN")]
        try:
            row = reading.one(self._calls.json("GET", path, path, query=query), "number range")
        except Rejected as error:
            if not is_no_endpoint(error):
                raise
            return None
        return NumberRange(reading.text(row.get("format")) or "", reading.text(row.get("nextSequence")) or "")

    def revenue_accounts(self) -> list[RevenueAccount]:
        """The accounts sevdesk offers for turnover, with the tax rules each of them takes."""
        path = "/ReceiptGuidance/forRevenue"
        found = []
        for row in reading.many(self._calls.json("GET", path, path), "receipt guidance"):
            rates = {
                reading.integer(rule.get("id"), "tax rule id"): tuple(str(rate) for rate in rule.get("taxRates") or ())
                for rule in reading.many(row.get("allowedTaxRules") or [], "allowed tax rules")
            }
            number, name = (reading.text(row.get(key)) or "" for key in ("accountNumber", "accountName"))
            found.append(RevenueAccount(number, name, rates))
        return found

    def has_categories(self) -> bool:
        """Whether the categories are there that contacts and their addresses get: customer and billing address."""
        for kind, wanted in (("Contact", CUSTOMER_CATEGORY), ("ContactAddress", BILLING_CATEGORY)):
            rows = finding.everything(self._calls, "/Category", [("objectType", kind)])
            if str(wanted) not in {reading.identity(row.get("id"), "category id") for row in rows}:
                return False
        return True
