"""Is a document that somebody else wrote the invoice of this order? Adopted, asked about, or left alone (R22, B11).

    tier        what names the order                              same, if
    1  id       the shop's id of the order in note, tag or text   sums per rate to the cent, date, buyer not another
    2  name     its name, as a whole word                         the same
    3  number   the invoice number ends in the order's number     sums, a near date, and the same buyer
    4  nothing                                                    the same, and nothing else fits

Only hard evidence adopts; sums that do not fit the order's ledger never do. What may be the order's invoice and is not
proved is `maybe`: a person chooses, and until then nothing is invoiced. Numbers alone prove little: sevdesk's own run
into those of orders. The outcome does not depend on the order in which orders and documents come.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from ladenbuch.domain.foreign import (
    Cut,
    ForeignDocument,
    Sought,
    Told,
    buyer_agrees,
    number_of,
    plain_name,
    told_by,
)

ID, NAME, NUMBER, NOTHING = 1, 2, 3, 4
#: What names the order, for people.
EVIDENCE = {ID: "the shop's id of the order", NAME: "the order's name", NUMBER: "the order's number", NOTHING: ""}
#: A document that names its order may come late; one that does not must be near.
_EARLY, _LATE, _NEAR_EARLY, _NEAR_LATE = (timedelta(days=days) for days in (7, 180, 1, 14))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one document is to one order. `kind`: same | maybe | no; `against` says what speaks against `same`."""

    kind: str
    tier: int = NOTHING
    cut: Cut | None = None
    against: tuple[str, ...] = ()

    @property
    def evidence(self) -> str:
        """What speaks for it, in words without names."""
        found = [EVIDENCE[self.tier]] if EVIDENCE[self.tier] else []
        found += ["the same amounts per tax rate"] if self.cut is not None else []
        found += [] if "date" in self.against else ["its date"]
        found += ["its buyer"] if self.tier in (NUMBER, NOTHING) and "buyer" not in self.against else []
        return ", ".join(found)


_NO = Verdict("no")


def judge(sought: Sought, document: ForeignDocument, told: Told | None = None) -> Verdict:
    """What a document is to an order, seen by themselves. A document without any reference is `same` only as long as
    nothing else fits: `match` and `chosen` see to that. Never raises.
    """
    if document.sort != "invoice" or document.type == "SR" or document.cancelled:
        return _NO
    told = told_by(document) if told is None else told
    tier, cut, buyer = _tier(sought, document, told), _cut(sought, document), buyer_agrees(sought, document)
    near = sought.first - _NEAR_EARLY <= document.day <= sought.last + _NEAR_LATE
    wide = sought.first - _EARLY <= document.day <= sought.last + _LATE
    named = tier <= NAME
    fits = {"sums": cut is not None, "date": wide if named else near, "buyer": buyer is not False if named else buyer}
    against = [name for name, fit in fits.items() if not fit]
    if tier == NAME and "date" in against and len(against) > 1:
        return _NO  # two shops, or two years, have orders of the same name
    if tier == NUMBER and (not wide or buyer is False or (buyer is None and against != ["buyer"])):
        return _NO
    if tier == NOTHING and (cut is None or not near or buyer is False or (told.claims and not buyer)):
        return _NO
    against += [] if document.type == "RE" else ["its kind"]
    against += [] if document.final and document.number else ["it is a draft"]
    against += [] if document.tax_rule is not None else ["its tax rule"]
    against += ["another order's name"] if tier == NOTHING and told.claims else []
    return Verdict("maybe" if against else "same", tier, cut, tuple(against))


def _tier(sought: Sought, document: ForeignDocument, told: Told) -> int:
    if sought.number_id in told.ids:
        return ID
    name = plain_name(sought.name)
    letters = any(char.isalpha() for char in name)
    if name in told.names or (letters and plain_name(document.number or "") == name):
        return NAME
    if told.claims:
        return NOTHING
    number = number_of(document.number)
    return NUMBER if number is not None and number == number_of(sought.name) else NOTHING


def _cut(sought: Sought, document: ForeignDocument) -> Cut | None:
    """The part of the ledger a document carries to the cent, per rate where its positions are read.

    Of several that add up alike, the last that lay before the document.
    """
    if document.currency != sought.currency:
        return None
    rates = document.rates
    same = [cut for cut in sought.cuts if cut.gross == document.gross and (rates is None or dict(cut.by_rate) == rates)]
    before = [cut for cut in same if cut.day <= document.day]
    return before[-1] if before else same[0] if same else None


# -- one order ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """Of the documents that may be an order's: the one that is, or those a person must choose from."""

    same: tuple[ForeignDocument, Verdict] | None = None
    maybe: tuple[tuple[ForeignDocument, Verdict], ...] = ()


def chosen(sought: Sought, documents: Iterable[ForeignDocument]) -> Choice:
    """Which of these documents is the order's invoice; two that name it and fit are asked about, never both taken.

    A document with `rivals` fits other orders as well, so a person must say whose it is.
    """
    found = sorted({item.reference: item for item in documents}.values(), key=lambda item: (item.sort, int(item.id)))
    judged = [(item, verdict) for item in found if (verdict := judge(sought, item)).kind != "no"]
    named = [pair for pair in judged if pair[1].tier <= NAME]
    for tiers in ((ID, NAME), (NUMBER,), (NOTHING,)):
        mine = [pair for pair in judged if pair[1].tier in tiers and pair[1].kind == "same"]
        if len(mine) == 1 and not mine[0][0].rivals and (tiers == (ID, NAME) or not named):
            return Choice(mine[0], tuple(pair for pair in named if pair is not mine[0]))
        if mine:
            break
    return Choice(None, tuple((item, _shared(verdict) if item.rivals else verdict) for item, verdict in judged))


def _shared(verdict: Verdict) -> Verdict:
    """The verdict on a document that fits other orders as well."""
    return replace(verdict, kind="maybe", against=(*verdict.against, "other orders"))


# -- all orders and all documents of a time -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pair:
    """A document and an order it is, or may be, the invoice of."""

    document: ForeignDocument
    order_id: str
    verdict: Verdict


@dataclass(slots=True)
class Matching:
    """What becomes of each document: `same` (each document and each order once), `maybe`, or neither."""

    same: list[Pair] = field(default_factory=list)
    maybe: list[Pair] = field(default_factory=list)
    unmatched: list[ForeignDocument] = field(default_factory=list)

    def of_order(self, order_id: str) -> list[ForeignDocument]:
        """The documents that are or may be an order's, each with the number of its rivals."""
        return [pair.document for pair in (*self.same, *self.maybe) if pair.order_id == order_id]


def match(orders: Sequence[Sought], documents: Iterable[ForeignDocument]) -> Matching:
    """Which document is whose invoice, over all orders and documents of a time.

    Stronger evidence goes first: an order that has its document, and a document that has its order, are out of the
    question for weaker evidence. What then fits more than one is `maybe` for each.
    """
    index = _Index(orders)
    every = {item.reference: item for item in documents}
    found: dict[str, list[Pair]] = {}
    for reference, document in every.items():
        told = told_by(document)
        judged = [(sought, judge(sought, document, told)) for sought in index.candidates(document, told)]
        pairs = [Pair(document, sought.order_id, verdict) for sought, verdict in judged if verdict.kind != "no"]
        found[reference] = _strongest(pairs)
    return _settled(found, every)


def _strongest(pairs: list[Pair]) -> list[Pair]:
    """The orders a document may be of: where it is proved to be one's by name, no weaker evidence makes it another's;
    where it names one and does not fit, nothing weaker proves anything.
    """
    named = [pair for pair in pairs if pair.verdict.tier <= NAME]
    if any(pair.verdict.kind == "same" for pair in named):
        return named
    return [pair if pair in named or not named else replace(pair, verdict=_misnamed(pair.verdict)) for pair in pairs]


def _misnamed(verdict: Verdict) -> Verdict:
    return replace(verdict, kind="maybe", against=(*verdict.against, "another order's name"))


def _settled(found: dict[str, list[Pair]], documents: dict[str, ForeignDocument]) -> Matching:
    """The pairs tier by tier: first what is certain, then what is left of the rest."""
    made = Matching()
    taken: set[str] = set()
    orders = set[str]()
    doubtful = {pair.order_id for pairs in found.values() for pair in pairs if pair.verdict.tier <= NAME}
    for tiers in ((ID, NAME), (NUMBER,), (NOTHING,)):
        same = [pair for pairs in found.values() for pair in pairs if pair.verdict.kind == "same"]
        same = [pair for pair in same if pair.verdict.tier in tiers and pair.document.reference not in taken]
        same = [pair for pair in same if pair.order_id not in (orders if tiers == (ID, NAME) else orders | doubtful)]
        of_document = Counter(pair.document.reference for pair in same)
        of_order = Counter(pair.order_id for pair in same)
        made.same += [pair for pair in same if of_document[pair.document.reference] == of_order[pair.order_id] == 1]
        taken |= set(of_document)  # what is in question keeps both sides from weaker evidence
        orders |= set(of_order)
    adopted = {pair.order_id for pair in made.same}
    certain = {pair.document.reference for pair in made.same}
    for pairs in (pairs for reference, pairs in found.items() if reference not in certain):
        left = [pair for pair in pairs if pair.verdict.tier <= NAME or pair.order_id not in adopted]
        rivals = len(left) - 1
        made.maybe += [replace(pair, document=replace(pair.document, rivals=rivals)) for pair in left]
    known = {pair.document.reference for pair in (*made.same, *made.maybe)}
    made.unmatched = [item for reference, item in documents.items() if reference not in known]
    for listed in (made.same, made.maybe):
        listed.sort(key=lambda pair: (pair.order_id, pair.document.sort, int(pair.document.id)))
    made.unmatched.sort(key=lambda item: (item.sort, int(item.id)))
    return made


class _Index:
    """Orders by everything a document can be found by, so that each is compared with few."""

    def __init__(self, orders: Sequence[Sought]) -> None:
        self.by_id = {item.number_id: item for item in orders}
        self.by_name: dict[str, list[Sought]] = defaultdict(list)
        self.by_number: dict[str, list[Sought]] = defaultdict(list)
        self.by_gross: dict[int, list[Sought]] = defaultdict(list)
        for item in orders:
            self.by_name[plain_name(item.name)].append(item)
            number = number_of(item.name)
            if number is not None:
                self.by_number[number].append(item)
            for gross in {cut.gross for cut in item.cuts}:
                self.by_gross[gross].append(item)

    def candidates(self, document: ForeignDocument, told: Told) -> list[Sought]:
        """The orders a document could be about, each once."""
        found = [self.by_id[name] for name in told.ids if name in self.by_id]
        for name in (*told.names, plain_name(document.number or "")):
            found += self.by_name.get(name, [])
        found += self.by_number.get(number_of(document.number) or "", [])
        found += [item for item in self.by_gross.get(document.gross, []) if _in_reach(item, document.day)]
        return list({item.order_id: item for item in found}.values())


def _in_reach(sought: Sought, day: date) -> bool:
    return sought.first - _NEAR_EARLY <= day <= sought.last + _NEAR_LATE
