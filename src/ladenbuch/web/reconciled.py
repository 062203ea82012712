"""What the page "Reconciliation" shows: the last looks at shop, books and sevdesk, and what they found, in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ladenbuch import reconciliations, tenants
from ladenbuch.db import Database, Transaction
from ladenbuch.domain.reconciling import Discrepancy, Item, Report
from ladenbuch.web.shops import each_shop
from ladenbuch.web.words import Language

_Pair = tuple[str, str]

#: Sorts of differences: what stands above them.
TITLES: Mapping[str, _Pair] = {
    "deleted": ("Gelöschte Belege", "Deleted documents"),
    "altered": ("Geänderte Belege", "Altered documents"),
    "finalised": ("Von Hand abgeschlossene Entwürfe", "Drafts finalised by hand"),
    "cancelled": ("Von Hand storniert", "Cancelled by hand"),
    "unlinked": ("Gelöste Zahlungen", "Payments taken off"),
    "elsewhere": ("Anders bezahlt", "Paid otherwise"),
    "twice": ("Dasselbe Geld auf zwei Konten", "The same money on two accounts"),
    "paid": ("Von Hand bezahlt", "Paid by hand"),
    "doubled": ("Doppelte Belege", "Doubled documents"),
    "foreign": ("Fremde Belege", "Foreign documents"),
    "unbooked": ("Belege, die unsere Bücher nicht kennen", "Documents our books do not know"),
    "leftover": ("Liegengebliebene Entwürfe", "Drafts left behind"),
    "hole": ("Fehlende Nummern", "Missing numbers"),
    "missing": ("Fehlende Belege", "Missing documents"),
    "unproved": ("Bestellungen ohne Nachweis", "Orders without proof"),
    "unlisted": ("Bestellungen, die der Laden nicht zeigt", "Orders the shop does not list"),
}
#: What is the matter, by code.
SENTENCES: Mapping[str, _Pair] = {
    "DOCUMENT-GONE": ("steht nicht mehr in sevdesk", "is not in sevdesk any more"),
    "DOCUMENT-ALTERED": ("lautet in sevdesk anders", "reads otherwise in sevdesk"),
    "DOCUMENT-FINALISED": ("wurde in sevdesk von Hand abgeschlossen", "was finalised in sevdesk by hand"),
    "DOCUMENT-CANCELLED": ("wurde in sevdesk von Hand storniert", "was cancelled in sevdesk by hand"),
    "PAYMENT-GONE": ("eine von uns verknüpfte Zahlung wurde gelöst", "a payment we linked was taken off"),
    "LINE-OFF": (
        "eine andere Zahlung steht an der Stelle unserer, die frei daneben liegt",
        "another payment stands in the place of ours, which lies unlinked beside it",
    ),
    "LINE-LOST": ("unsere Zahlung dazu steht nicht mehr auf dem Konto", "the payment we linked is not on the account"),
    "MONEY-TWICE": (
        "derselbe Betrag steht innerhalb von zwei Tagen auf unserem Konto und noch einmal daneben",
        "the same amount stands on our account and once more beside it, within two days",
    ),
    "PAID-BY-HAND": ("wurde in sevdesk von Hand bezahlt", "was paid in sevdesk by hand"),
    "DOCUMENT-DOUBLE": ("steht mit demselben Vermerk neben unserem Beleg", "stands beside our document, with its note"),
    "FACT-DOUBLE": ("belegt etwas, das schon belegt ist", "documents what is documented already"),
    "DOCUMENT-STRANGER": (
        "nennt eine Bestellung von uns, ist aber nicht von uns",
        "names an order of ours and is not ours",
    ),
    "DOCUMENT-UNBOOKED": ("trägt unseren Vermerk und fehlt in den Büchern", "carries our note and is not in our books"),
    "DRAFT-LEFT": ("ist ein zweiter Entwurf neben unserem Beleg", "is a second draft beside our document"),
    "NUMBER-MISSING": ("hat kein Beleg", "is the number of no document"),
    "DOCUMENT-MISSING": (
        "gilt als belegt, und die Bücher halten keinen Beleg",
        "counts as documented, without a document",
    ),
    "ORDER-UNKNOWN": ("wurde noch nie bearbeitet", "was never settled"),
    "ORDER-CHANGED": ("änderte sich und wurde seither nicht angesehen", "changed and was not looked at since"),
    "ORDER-UNPROVED": ("der Nachweis der Bestellung stimmt nicht", "its proof does not hold"),
    "ORDER-UNLISTED": ("der Laden zeigt die Bestellung nicht mehr", "the shop does not list the order any more"),
}
#: Where it stands.
STATES: Mapping[str, _Pair] = {
    "seen": ("einmal gesehen, wird noch einmal geprüft", "seen once, to be looked at again"),
    "confirmed": ("zweimal gesehen, wird behoben", "seen twice, to be mended"),
    "mending": ("wird behoben", "being mended"),
    "fixed": ("behoben", "mended"),
    "asked": ("zu entscheiden, bei der Bestellung", "to decide, at the order"),
    "open": ("in sevdesk klären", "to clear up in sevdesk"),
    "stuck": ("ließ sich nicht beheben: bitte ansehen", "could not be mended: please look"),
    "accepted": ("bleibt so", "stays as it is"),
}
_FIELDS: Mapping[str, str] = {
    "kind": "Art", "number": "Nummer", "note": "Vermerk", "date": "Datum", "currency": "Währung",
    "tax rule": "Steuerregel", "gross": "Brutto", "net": "Netto", "tax": "Steuer",
}  # fmt: skip


def _of(pair: _Pair, language: Language) -> str:
    return pair[0 if language == "de" else 1]


def title_of(language: Language, sort: str) -> str:
    """What stands above differences of a sort."""
    return _of(TITLES[sort], language)


def sentence_of(language: Language, one: Discrepancy) -> str:
    """What is the matter; of an altered document also which fields."""
    said = _of(SENTENCES[one.code], language)
    fields = re.findall(r"another ([a-z ]+?)(?:,|$)", one.message) if one.code == "DOCUMENT-ALTERED" else []
    names = [_FIELDS[name] if language == "de" else name for name in fields if name in _FIELDS]
    return f"{said}: {', '.join(names)}" if names else said


def standing_of(language: Language, item: Item) -> str:
    """How far it is."""
    return _of(STATES[item.state], language)


@dataclass(frozen=True)
class Reconciled:
    """One shop: the last look over a whole period and the last at what changed, where there were any."""

    tenant: tenants.Tenant
    whole: Report | None
    changes: Report | None

    @property
    def last(self) -> Report | None:
        """The newest of both."""
        known = [one for one in (self.whole, self.changes) if one is not None]
        return max(known, key=lambda one: one.ended_at, default=None)

    @property
    def groups(self) -> list[tuple[str, list[Item]]]:
        """What the newest look tells, by sort."""
        items = [] if self.last is None else [item for item in self.last.items if item.state != "accepted"]
        return [(sort, list(some)) for sort, some in groupby(items, key=lambda item: item.discrepancy.sort)]

    @property
    def left(self) -> int:
        """Differences that are not mended."""
        return 0 if self.last is None else self.last.found - self.last.fixed


Reconciliations = Callable[[str | None], Sequence[Reconciled]]


def reconciled(database: Database) -> Reconciliations:
    """Reads the last reports of one tenant, or (None) of all; nothing is compared here."""

    def of(tx: Transaction, owner: tenants.Tenant) -> Reconciled:
        known = [reconciliations.latest(tx, owner.id, kind) for kind in ("nightly", "demand", "rolling")]
        whole = max((one[1] for one in known[:2] if one is not None), key=lambda one: one.ended_at, default=None)
        return Reconciled(owner, whole, None if known[2] is None else known[2][1])

    return lambda tenant: each_shop(database, tenant, of)
