"""Invented letters of every kind, to look at a tenant's branding and words before a buyer does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

from ladenbuch.errors import UsageError
from ladenbuch.mail.letters import Language, Letter

#: What can be looked at, in the order in which a buyer would meet them.
SAMPLES = (
    "invoice", "invoice-unpaid", "e-invoice", "payment", "correction", "cancellation", "refund",
    "reminder1", "reminder2", "reminder3", "prepayment1", "prepayment2", "prepayment3",
)  # fmt: skip
#: Invented files that go with a letter, so that it looks as it will.
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


def sample(name: str, language: Language, to: str, today: date) -> Letter:
    """An invented letter. Raises UsageError("LETTER-KIND") for a name that is not in `SAMPLES`."""
    if name not in SAMPLES:
        raise UsageError("LETTER-KIND", f"{name[:40]!r} is no letter: one of {', '.join(SAMPLES)}")
    buyer = {"de": ("de", "Anna Beispiel"), "en": ("en", "Alex Example")}[language]
    plain = Letter(
        key=f"preview:{name}:{language}", kind="invoice", to_email=to, to_name=buyer[1], locale=buyer[0],
        order="#1001", number="R1001", issued=today - timedelta(days=1), amount=12_900, open=12_900, paid=True,
    )  # fmt: skip
    owed = replace(plain, paid=False, due=today + timedelta(days=13))
    late = replace(
        owed, kind="reminder", issued=today - timedelta(days=30), due=today - timedelta(days=16), days=16,
        until=today + timedelta(days=7),
    )  # fmt: skip
    early = replace(late, number="", issued=None, due=None, days=0)
    made: Mapping[str, Letter] = {
        "invoice": plain,
        "invoice-unpaid": owed,
        "e-invoice": replace(owed, e_invoice=True, reference="Projekt 117"),
        "payment": replace(plain, kind="payment", on=today),
        "correction": replace(plain, kind="correction", number="K1002", corrects="R1001", amount=4_300),
        "cancellation": replace(plain, kind="cancellation", number="S1003", corrects="R1001"),
        "refund": replace(plain, kind="refund", number="", issued=None, on=today, amount=4_300),
        **{f"reminder{level}": replace(late, level=level) for level in (1, 2, 3)},
        "reminder2": replace(late, level=2, open=5_000),
        **{f"prepayment{level}": replace(early, level=level) for level in (1, 2, 3)},
    }
    return made[name]


def has_pdf(name: str) -> bool:
    """Whether the letter comes with a document."""
    return name not in ("payment", "refund") and not name.startswith("prepayment")
