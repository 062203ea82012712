"""Invoices and credit notes as values that refuse to exist unless they balance.

A draft carries everything sevdesk needs and everything a bookkeeper asks, predicted with sevdesk's own arithmetic
(net per position = round(gross / (1 + rate)), tax = gross - net, sums are plain sums of positions), so that what
comes back can be compared cent by cent before a number is taken. It takes no number and moves no money.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from ladenbuch.domain.money import net_of_gross
from ladenbuch.errors import Rejected

#: A document with more positions is refused until a live account has shown that sevdesk takes it.
MAX_POSITIONS = 500
#: sevdesk's tax rules for consumers in other member states (OSS).
OSS_RULES = frozenset({18, 19, 20})


@dataclass(frozen=True, slots=True)
class RateSum:
    """What one tax rate adds up to, in minor units. `gross = net + tax`, always."""

    gross: int
    net: int
    tax: int

    def __post_init__(self) -> None:
        if self.gross != self.net + self.tax:
            raise Rejected("DRAFT-UNBALANCED", "net and tax do not add up to gross")


@dataclass(frozen=True, slots=True)
class Position:
    """One line of a document. `gross = quantity * unit_gross` in minor units, `rate` in percent.

    `covers` names the ledger entries (sale ids) this position accounts for.
    """

    name: str
    quantity: int
    unit_gross: int
    gross: int
    rate: Decimal
    text: str | None = None
    covers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.quantity < 1 or self.quantity * self.unit_gross != self.gross:
            raise Rejected("DRAFT-UNBALANCED", "quantity times unit price is not the position's gross amount")
        if self.gross < 0 or self.rate < 0 or not self.name.strip():
            raise Rejected("DRAFT-POSITION", "a position needs a name and must not be negative")

    @classmethod
    def of(
        cls,
        name: str,
        quantity: int,
        gross: int,
        rate: Decimal,
        *,
        text: str | None = None,
        covers: tuple[str, ...] = (),
    ) -> Position:
        """The position for `quantity` pieces that cost `gross` together.

        Where the amount does not divide, quantity 1 and "3 x name" keep the cents exact (bookkeeping 2.2).
        """
        pieces = max(quantity, 1)
        if gross % pieces:
            return cls(f"{pieces} x {name}", 1, gross, gross, rate, text, covers)
        return cls(name, pieces, gross // pieces, gross, rate, text, covers)

    def in_whole_pieces(self, name: str, quantity: int) -> tuple[Position, ...]:
        """This position as quantity x price, which machines read: 2 x 7.99 and 1 x 8.00 instead of "3 x name" (2.2)."""
        price, dearer = divmod(self.gross, quantity)
        parts = ((quantity - dearer, price), (dearer, price + 1))
        return tuple(
            Position(name, pieces, each, pieces * each, self.rate, self.text, self.covers)
            for pieces, each in parts
            if pieces
        )

    @property
    def net(self) -> int:
        """Net amount as sevdesk computes it for a gross position."""
        return net_of_gross(self.gross, self.rate)

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/plan.md."""
        return {
            "name": self.name,
            "quantity": self.quantity,
            "unit_gross_minor": self.unit_gross,
            "gross_minor": self.gross,
            "tax_rate": rate_text(self.rate),
        }


def rate_text(rate: Decimal) -> str:
    """`Decimal("19.00")` -> `"19"`, `Decimal("5.50")` -> `"5.5"`."""
    text = f"{rate.normalize():f}"
    return "0" if text == "-0" else text


def sums_of(positions: Iterable[Position]) -> dict[Decimal, RateSum]:
    """Sums per tax rate, as sevdesk will return them; highest rate first."""
    totals: dict[Decimal, tuple[int, int]] = {}
    for position in positions:
        gross, net = totals.get(position.rate, (0, 0))
        totals[position.rate] = (gross + position.gross, net + position.net)
    return {
        rate: RateSum(gross, net, gross - net)
        for rate, (gross, net) in sorted(totals.items(), key=lambda item: -item[0])
    }


@dataclass(frozen=True, slots=True)
class Party:
    """Who the document is for, as printed (UStG §14 (4) no. 1). Pinned: a later redaction never changes it.

    `vat_id` is the buyer's, with its country prefix, where the tax decision rests on it (UStG §14a (3)).
    `collective`: the customer number is that of the debtor all consumers of the shop share; the lines are the buyer's.
    """

    customer_number: str
    name: str
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    street: str | None = None
    street2: str | None = None
    zip: str | None = None
    city: str | None = None
    country: str = "DE"
    email: str | None = None
    locale: str = "de"
    vat_id: str | None = None
    collective: bool = False

    def as_json(self) -> dict[str, Any]:
        """Lossless, for the intent row; `Party(**...)` reads it back."""
        return {name: getattr(self, name) for name in Party.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class InvoiceDraft:
    """An invoice that may be posted. `key` is used once, for ever (R7); `note` is how we find it again.

    `claim` is what the covered ledger entries add up to per rate: the positions must equal it to the cent, and the
    delivery date must not lie after the invoice date, else `Rejected("DRAFT-UNBALANCED" | "DRAFT-DATES")`.
    `delivery_country` (ISO, upper case) is where the goods go when that is not the buyer's country.
    An e-invoice also names the buyer's reference, the means of payment (UNTDID 4461) and when it is due, else
    `Rejected("DRAFT-E-INVOICE")`. `time_to_pay` is in days from the invoice date.
    """

    key: str
    note: str
    currency: str
    tax_rule: int
    invoice_date: date
    delivery_date: date
    party: Party
    positions: tuple[Position, ...]
    claim: tuple[tuple[Decimal, int], ...]
    header: str = "Rechnung"
    head_text: str = ""
    foot_text: str = ""
    tax_text: str = "Umsatzsteuer"
    delivery_until: date | None = None
    time_to_pay: int | None = None
    delivery_country: str | None = None
    e_invoice: bool = False
    buyer_reference: str | None = None
    payment_means: str | None = None

    def __post_init__(self) -> None:
        if not self.positions or len(self.positions) > MAX_POSITIONS:
            raise Rejected("DRAFT-POSITION", f"a document has 1 to {MAX_POSITIONS} positions")
        posted = {rate: total.gross for rate, total in self.sums.items() if total.gross}
        if posted != {rate: gross for rate, gross in self.claim if gross}:
            raise Rejected("DRAFT-UNBALANCED", "positions do not equal the claim per tax rate")
        if self.gross <= 0:
            raise Rejected("DRAFT-UNBALANCED", "an invoice over nothing is not an invoice")
        last = self.delivery_until or self.delivery_date
        if last > self.invoice_date or last < self.delivery_date:
            raise Rejected("DRAFT-DATES", "the delivery must not lie after the invoice date")
        complete = bool(self.buyer_reference and self.payment_means and self.time_to_pay is not None)
        if self.e_invoice and (not complete or self.tax_rule in OSS_RULES):
            raise Rejected("DRAFT-E-INVOICE", "an e-invoice lacks its reference, payment or due date, or is under OSS")

    @property
    def issued_on(self) -> date:
        """The day of issue (UStG §14 (4) no. 3)."""
        return self.invoice_date

    @property
    def sums(self) -> dict[Decimal, RateSum]:
        """Predicted sums per rate."""
        return sums_of(self.positions)

    @property
    def gross(self) -> int:
        """Predicted gross total in minor units."""
        return sum(position.gross for position in self.positions)

    def as_json(self) -> dict[str, Any]:
        """Lossless, for the intent row; `from_json` reads it back."""
        return {
            "key": self.key,
            "note": self.note,
            "currency": self.currency,
            "tax_rule": self.tax_rule,
            "invoice_date": self.invoice_date.isoformat(),
            "delivery_date": self.delivery_date.isoformat(),
            "delivery_until": self.delivery_until.isoformat() if self.delivery_until else None,
            "party": self.party.as_json(),
            "positions": _written(self.positions),
            "claim": [[rate_text(rate), gross] for rate, gross in self.claim],
            "header": self.header,
            "head_text": self.head_text,
            "foot_text": self.foot_text,
            "tax_text": self.tax_text,
            "time_to_pay": self.time_to_pay,
            "delivery_country": self.delivery_country,
            "e_invoice": self.e_invoice,
            "buyer_reference": self.buyer_reference,
            "payment_means": self.payment_means,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InvoiceDraft:
        """Read back what `as_json` wrote; the same checks apply."""
        until = data["delivery_until"]
        return cls(
            key=data["key"],
            note=data["note"],
            currency=data["currency"],
            tax_rule=data["tax_rule"],
            invoice_date=date.fromisoformat(data["invoice_date"]),
            delivery_date=date.fromisoformat(data["delivery_date"]),
            delivery_until=date.fromisoformat(until) if until else None,
            party=Party(**data["party"]),
            positions=_read(data["positions"]),
            claim=tuple((Decimal(rate), gross) for rate, gross in data["claim"]),
            header=data["header"],
            head_text=data["head_text"],
            foot_text=data["foot_text"],
            tax_text=data["tax_text"],
            time_to_pay=data["time_to_pay"],
            delivery_country=data.get("delivery_country"),
            e_invoice=data.get("e_invoice", False),
            buyer_reference=data.get("buyer_reference"),
            payment_means=data.get("payment_means"),
        )


@dataclass(frozen=True, slots=True)
class CreditNoteDraft:
    """A reduction of one invoice (R4, R6): the same rates, not more than what the invoice still carries per rate.

    Amounts are positive: what the buyer gets back. `origin_remaining` is the origin's gross per rate less what earlier
    credit notes took; a draft that takes more is `Rejected("DRAFT-EXCEEDS-ORIGIN")`. Tax rule, delivery days and
    delivery country are the invoice's (sevdesk 456, 460).
    """

    key: str
    note: str
    currency: str
    tax_rule: int
    origin_key: str
    credit_note_date: date
    delivery_date: date
    party: Party
    positions: tuple[Position, ...]
    money_returned: int
    origin_remaining: tuple[tuple[Decimal, int], ...]
    header: str = "Rechnungskorrektur"
    head_text: str = ""
    foot_text: str = ""
    tax_text: str = "Umsatzsteuer"
    delivery_until: date | None = None
    delivery_country: str | None = None

    def __post_init__(self) -> None:
        if len(self.positions) > MAX_POSITIONS:
            raise Rejected("DRAFT-POSITION", f"a document has 1 to {MAX_POSITIONS} positions")
        if not self.positions or self.gross != self.money_returned or self.gross <= 0:
            raise Rejected("DRAFT-UNBALANCED", "a credit note covers exactly the money returned")
        remaining = dict(self.origin_remaining)
        for rate, total in self.sums.items():
            if total.gross > remaining.get(rate, 0):
                raise Rejected("DRAFT-EXCEEDS-ORIGIN", "more than the invoice carries at this rate")
        last = self.delivery_until or self.delivery_date
        if last > self.credit_note_date or last < self.delivery_date:
            raise Rejected("DRAFT-DATES", "the delivery must not lie after the credit note's date")

    @property
    def issued_on(self) -> date:
        """The day of issue (UStG §14 (4) no. 3)."""
        return self.credit_note_date

    @property
    def sums(self) -> dict[Decimal, RateSum]:
        """Predicted sums per rate."""
        return sums_of(self.positions)

    @property
    def gross(self) -> int:
        """Predicted gross total in minor units."""
        return sum(position.gross for position in self.positions)

    def as_json(self) -> dict[str, Any]:
        """Lossless, for the intent row; `from_json` reads it back."""
        return {
            "key": self.key,
            "note": self.note,
            "currency": self.currency,
            "tax_rule": self.tax_rule,
            "origin_key": self.origin_key,
            "credit_note_date": self.credit_note_date.isoformat(),
            "delivery_date": self.delivery_date.isoformat(),
            "delivery_until": self.delivery_until.isoformat() if self.delivery_until else None,
            "delivery_country": self.delivery_country,
            "party": self.party.as_json(),
            "positions": _written(self.positions),
            "money_returned_minor": self.money_returned,
            "origin_remaining": [[rate_text(rate), gross] for rate, gross in self.origin_remaining],
            "header": self.header,
            "head_text": self.head_text,
            "foot_text": self.foot_text,
            "tax_text": self.tax_text,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CreditNoteDraft:
        """Read back what `as_json` wrote; the same checks apply."""
        until = data["delivery_until"]
        return cls(
            key=data["key"],
            note=data["note"],
            currency=data["currency"],
            tax_rule=data["tax_rule"],
            origin_key=data["origin_key"],
            credit_note_date=date.fromisoformat(data["credit_note_date"]),
            delivery_date=date.fromisoformat(data["delivery_date"]),
            delivery_until=date.fromisoformat(until) if until else None,
            delivery_country=data["delivery_country"],
            party=Party(**data["party"]),
            positions=_read(data["positions"]),
            money_returned=data["money_returned_minor"],
            origin_remaining=tuple((Decimal(rate), gross) for rate, gross in data["origin_remaining"]),
            header=data["header"],
            head_text=data["head_text"],
            foot_text=data["foot_text"],
            tax_text=data["tax_text"],
        )


def _written(positions: Iterable[Position]) -> list[dict[str, Any]]:
    return [{**position.as_json(), "text": position.text, "covers": list(position.covers)} for position in positions]


def _read(items: Iterable[Mapping[str, Any]]) -> tuple[Position, ...]:
    return tuple(
        Position(
            name=item["name"],
            quantity=item["quantity"],
            unit_gross=item["unit_gross_minor"],
            gross=item["gross_minor"],
            rate=Decimal(item["tax_rate"]),
            text=item["text"],
            covers=tuple(item["covers"]),
        )
        for item in items
    )
