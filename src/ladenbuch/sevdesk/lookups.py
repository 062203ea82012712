"""Ids that a tenant's account gives to things every document refers to: read once, believed for 24 hours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import finding, reading
from ladenbuch.sevdesk.calls import Caller

T = TypeVar("T")

#: How long a look-up (countries, units, users) is believed.
LOOKUP_AGE = timedelta(hours=24)

#: Codes in use for a country that are not its ISO code: Northern Ireland and Greece in VAT ids, and a habit.
_OTHER_CODES = {"XI": "GB", "EL": "GR", "UK": "GB"}


class Lookups:
    """One tenant's look-ups. Thread-safe."""

    def __init__(self, calls: Caller, clock: Callable[[], datetime]) -> None:
        self._calls = calls
        self._clock = clock
        self._kept: dict[str, tuple[datetime, Any]] = {}
        self._lock = threading.Lock()
        self.asked = self.read = 0  # how often something was wanted, and how often sevdesk had to be asked

    def contact_person(self) -> str:
        """Id of the user who stands on documents: the first active one."""
        return self._once("contact_person", self._first_user)

    def _first_user(self) -> str:
        users = finding.everything(self._calls, "/SevUser")
        if not users:
            raise Rejected("SEVDESK-USER", "the account shows no user to name as contact person")
        active = [row for row in users if reading.text(row.get("status")) in (None, "100")]
        return reading.identity((active or users)[0].get("id"), "user id")

    def country_id(self, iso: str) -> str:
        """Id of a country by its ISO 3166-1 alpha-2 code (XI counts as GB, EL as GR).

        Unknown or not unique: `Rejected("SEVDESK-COUNTRY")`. GB is three rows (England, Great Britain, United
        Kingdom); the United Kingdom is meant.
        """
        wanted = _OTHER_CODES.get(iso.upper(), iso).lower()
        rows = self._once("countries", lambda: finding.everything(self._calls, "/StaticCountry"))
        found = [row for row in rows if (reading.text(row.get("code")) or "").lower() == wanted]
        if wanted == "gb" and len(found) > 1:
            found = [row for row in found if reading.text(row.get("nameEn")) == "United Kingdom"]
        if len(found) != 1:
            raise Rejected("SEVDESK-COUNTRY", f"sevdesk has {len(found)} countries for this code", detail={"iso": iso})
        return reading.identity(found[0].get("id"), "country id")

    def country_code(self, country_id: str) -> str | None:
        """The ISO code of a country by its id, upper case; None for an id the account does not know."""
        rows = self._once("countries", lambda: finding.everything(self._calls, "/StaticCountry"))
        found = (row for row in rows if reading.identity_or_none(row.get("id"), "country id") == country_id)
        row = next(found, None)
        return None if row is None else (reading.text(row.get("code")) or "").upper() or None

    def unity_id(self) -> str:
        """Id of the unit "piece" (Stk, UNECE C62)."""
        return self._once("unity", self._piece)

    def _piece(self) -> str:
        for row in finding.everything(self._calls, "/Unity"):
            if "Stk" in (row.get("name"), row.get("translationCode")) or "C62" in map(str, row.values()):
                return reading.identity(row.get("id"), "unit id")
        raise Rejected("SEVDESK-UNITY", "sevdesk has no unit for pieces")

    def payment_method_id(self, means: str) -> str:
        """Id of the account's payment method with a code of UNTDID 4461 (58: transfer); the oldest of several.

        None has it: `Rejected("SEVDESK-PAYMENT-METHOD")`.
        """
        rows = self._once("payment_methods", lambda: finding.everything(self._calls, "/PaymentMethod"))
        found = [
            reading.identity(row.get("id"), "payment method id")
            for row in rows
            if reading.text(row.get("electronicInvoiceId")) == means
        ]
        if not found:
            what = "the account has no payment method of this kind"
            raise Rejected("SEVDESK-PAYMENT-METHOD", what, detail={"means": means})
        return min(found, key=int)

    def tax_rules(self) -> list[Mapping[str, Any]]:
        """The rows of `/TaxRule`: what this account may use."""
        return self._once("tax_rules", lambda: list(finding.everything(self._calls, "/TaxRule")))

    def forget(self) -> None:
        """Read everything anew when it is next asked for."""
        with self._lock:
            self._kept.clear()

    def _once(self, name: str, load: Callable[[], T]) -> T:
        with self._lock:
            self.asked += 1
            kept = self._kept.get(name)
        if kept and timedelta(0) <= self._clock() - kept[0] < LOOKUP_AGE:
            value: T = kept[1]
            return value
        value = load()
        with self._lock:
            self.read += 1
            self._kept[name] = (self._clock(), value)
        return value
