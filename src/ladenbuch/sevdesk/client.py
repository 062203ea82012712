"""sevdesk in business verbs over a hundred endpoints.

Every verb is one step a bookkeeper would name. A verb that creates does only that: whoever calls it has
looked with the matching `find_...` first and has written its intent down, because sevdesk has no idempotency
keys. (`add_address` and `add_email` look for themselves: their doubles are harmless.) Every find compares what
came back with what was asked for, byte by byte: sevdesk ignores filters it does not know and then returns
everything, so a row that does not fit proves that the filter was not applied, and the find refuses with
`Rejected("SEVDESK-IMPLAUSIBLE")` instead of saying "not there".

All verbs raise `Retryable`, `Ambiguous` (writes only) and `Rejected` as `calls.py` says. Ids are strings of
digits, amounts integers in cents, days are calendar days in Berlin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import httpx2

from ladenbuch.sevdesk import reading
from ladenbuch.sevdesk.accounts import Accounts
from ladenbuch.sevdesk.calls import Breaker, Caller
from ladenbuch.sevdesk.company import Companies
from ladenbuch.sevdesk.contacts import Contacts
from ladenbuch.sevdesk.credit_notes import CreditNotes
from ladenbuch.sevdesk.invoices import Invoices
from ladenbuch.sevdesk.listing import Listings
from ladenbuch.sevdesk.lookups import Lookups
from ladenbuch.sevdesk.vouchers import Vouchers
from ladenbuch.telemetry.calls import Track, untracked


@dataclass(frozen=True, slots=True)
class TaxRuleInfo:
    """A tax rule this account may use."""

    id: int
    code: str | None
    name: str | None


class Sevdesk(Contacts, Invoices, CreditNotes, Accounts, Vouchers, Companies, Listings):
    """One tenant's sevdesk account. Thread-safe: several worker threads may share one object.

    `token` is asked for before every call and its answer never kept. `budget` and the `breaker` of the token may
    delay or refuse a call by raising `Retryable`; `on_call(template, status, seconds)` hears of every call, status 0
    meaning no answer, and `track` counts it.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        http: httpx2.Client,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        budget: Callable[[], None] | None = None,
        breaker: Callable[[str], Breaker] | None = None,
        on_call: Callable[[str, int, float], None] | None = None,
        track: Track = untracked,
    ) -> None:
        calls = Caller(
            base_url,
            token,
            http,
            clock=clock,
            sleep=sleep,
            budget=budget,
            breaker=breaker,
            on_call=on_call,
            track=track,
        )
        super().__init__(calls, Lookups(calls, clock))

    def __repr__(self) -> str:
        return f"Sevdesk({self._calls!r})"

    def bookkeeping_version(self) -> str:
        """`"2.0"` or `"1.0"`; only 2.0 knows tax rules."""
        path = "/Tools/bookkeepingSystemVersion"
        found = reading.one(self._calls.json("GET", path, path), "bookkeeping version")
        return reading.text(found.get("version")) or ""

    def tax_rules(self) -> list[TaxRuleInfo]:
        """The tax rules this account may use (an undocumented list). Believed for 24 hours."""
        return [
            TaxRuleInfo(
                id=int(reading.identity(row.get("id"), "tax rule id")),
                code=reading.text(row.get("code")),
                name=reading.text(row.get("name")),
            )
            for row in self._lookups.tax_rules()
        ]

    def contact_person(self) -> str:
        """Id of the user who stands on documents: the first active one. Believed for 24 hours."""
        return self._lookups.contact_person()

    def country_id(self, iso: str) -> str:
        """Id of a country by its ISO 3166-1 alpha-2 code. Believed for 24 hours; see `Lookups.country_id`."""
        return self._lookups.country_id(iso)

    def country_code(self, country_id: str) -> str | None:
        """The ISO code of a country by its id, or None. Believed for 24 hours."""
        return self._lookups.country_code(country_id)

    def unity_id(self) -> str:
        """Id of the unit "piece" (Stk, UNECE C62). Believed for 24 hours."""
        return self._lookups.unity_id()

    def payment_method_id(self, means: str) -> str:
        """Id of the payment method with a code of UNTDID 4461. Believed for 24 hours."""
        return self._lookups.payment_method_id(means)

    def forget_lookups(self) -> None:
        """Read look-ups anew; writes do so themselves when sevdesk does not know an id they sent."""
        self._lookups.forget()
