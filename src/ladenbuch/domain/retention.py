"""How long what is kept, and by which law: the table behind erasing (bookkeeping law against the buyer's request).

A document, what it was decided on and how it was paid are booking documents: eight years, from the end of the calendar
year in which they were made (§ 147 (1) no. 4, (3), (4) AO and § 257 (1) no. 4, (4), (5) HGB since the Fourth
Bureaucracy Relief Act of 2024; invoices also § 14b (1) UStG). That the buyer wants to be forgotten does not shorten it
(Art. 17 (3) b GDPR). What no law keeps goes at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

#: Years a booking document is kept, from the end of its year.
YEARS = 8
#: The law that keeps a document and what belongs to it.
LAW = "§ 147 (1) no. 4, (3) AO, § 14b (1) UStG, § 257 (1) no. 4, (4) HGB"
#: Days within which a request is answered or carried out (facts 3.7).
DAYS = 30
#: Days by which the month may be extended (Art. 12 (3) GDPR): so long an answer nobody fetched is kept beyond it.
EXTENDED = 60
#: An answer that still waits so many days before it is due is somebody's to hurry about.
HURRY = 10
#: Why sevdesk's copy stays, in a sentence for the audit log and the answer to a buyer.
SEVDESK_STAYS = "The documents themselves stay in sevdesk, where the merchant must keep them"


def keep_until(issued: date, years: int = YEARS) -> date:
    """The last day on which a document of this date must be kept."""
    return date(issued.year + years, 12, 31)


def free_on(issued: date, years: int = YEARS) -> date:
    """The first day on which it may go."""
    return keep_until(issued, years) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table: what it is about, what happens to it on a buyer's request, when it goes, and why."""

    name: str
    on_request: str
    gone: str
    why: str


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "document",
            "kept, on the hold list",
            f"{YEARS} years from the end of the calendar year of the document",
            LAW,
        ),
        Rule("proof", "kept, on the hold list", "with the documents it decided", f"{LAW}; § 6a (1) no. 4 UStG"),
        Rule("order", "erased at once", "on request; else with the documents of the order", "Art. 17 (1) GDPR"),
        Rule("letter", "erased at once; what was not sent yet is not sent", "on request", "Art. 17 (1) GDPR"),
        Rule(
            "objection",
            "kept as a keyed hash, so that nobody is written to again",
            "with the tenant, or taken off the list by hand",
            "Art. 21 (3), 17 (3) e GDPR",
        ),
        Rule("delivery", "erased at once", "on request; else after LADENBUCH_INBOX_DAYS", "Art. 5 (1) e GDPR"),
        Rule(
            "event",
            "erased at once; what was not sent yet is not sent",
            "on request; else after 30 days",
            "Art. 17 (1) GDPR",
        ),
        Rule(
            "written",
            "erased at once; what stands in the shop stays there",
            "on request; else with the tenant",
            "Art. 17 (1) GDPR",
        ),
        Rule("contact", "erased at once", "on request; sevdesk has it", "Art. 17 (1) GDPR"),
        Rule(
            "request",
            "kept without the buyer's data",
            "the answer 30 days after it was fetched, or 60 days after it was due",
            "Art. 5 (2) GDPR",
        ),
        Rule("work", "nothing of a person in it", "with the tenant", "needed to work"),
        Rule("history", "nothing of a person in it", "with the tenant", "who did what, when and why: § 146 (4) AO"),
        Rule("tenant", "not the buyer's", "with the tenant, 48 hours after the app was uninstalled", "the contract"),
        Rule("secret", "not the buyer's", "when the app is uninstalled, at the latest with the tenant", "the contract"),
        Rule("key", "the buyer's part of it is forgotten", "with what it seals", "decision 0012"),
        Rule("machine", "nothing of a person in it", "when it is of no use any more", "needed to work"),
    )
}
