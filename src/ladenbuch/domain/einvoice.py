"""E-invoices to German businesses: who gets one, what it still lacks, and how it may be corrected.

Everything is checked before anything is posted (sevdesk would refuse with 830 afterwards: facts 2.5, 4.4). What only
the sevdesk account knows, the seller's address, bank and tax number, sevdesk itself checks when the draft is saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ladenbuch.domain.document import OSS_RULES, CreditNoteDraft, InvoiceDraft, Party
from ladenbuch.domain.evidence import vat_id_of
from ladenbuch.domain.facts import Facts, Problem, moved, moved_at
from ladenbuch.domain.matching import UNNAMED
from ladenbuch.domain.order import Order, Payment
from ladenbuch.domain.profile import LIABILITY_GATEWAYS, Profile
from ladenbuch.domain.texts import one_line

#: How an invoice is paid, in the codes an e-invoice speaks (UNTDID 4461).
TRANSFER, ONLINE, CASH, CLEARING = "58", "68", "10", "97"
#: What a person can choose where something is missing, and where an e-invoice would need a correction.
ORDINARY = "send an ordinary invoice"
BY_CREDIT_NOTE = "send the credit note as an ordinary document"
_LACKING = ("add it in Shopify", ORDINARY, "exclude the order")
_CORRECTION = ("cancel it and write a new e-invoice by hand", BY_CREDIT_NOTE)
_CASH_GATEWAYS = ("cash", "cash_on_delivery")
#: sevdesk's rules under which the buyer owes the tax: the buyer's VAT id belongs on the invoice.
_BUYER_OWES = (3, 5, 21)
#: What shops call the field in which a buyer writes a reference, without blanks and punctuation.
_ATTRIBUTES = frozenset({"leitwegid", "buyerreference", "kundenreferenz", "ihrereferenz", "ihrzeichen"})


@dataclass(frozen=True, slots=True)
class EInvoice:
    """What an e-invoice carries beside the invoice; pinned with it. `payment_means` is a code of UNTDID 4461."""

    buyer_reference: str
    payment_means: str


def is_wanted(order: Order, profile: Profile, rule: int, party: Party) -> bool:
    """Whether a document under a tax rule is to be an e-invoice: a business in Germany buys, and the profile says so.

    A business is a company account of the shop or a German VAT id; a company name typed into an address is neither.
    OSS rules are for consumers abroad, and sevdesk has no e-invoice for them.
    """
    business = order.company is not None or (vat_id_of(order) or "").startswith("DE")
    at_home = party.country == "DE" and rule not in OSS_RULES
    return profile.e_invoices == "business" and business and at_home


def e_invoice_of(
    facts: Facts, profile: Profile, rule: int, party: Party, tax_point: datetime, *, due: bool, readable: bool
) -> tuple[EInvoice | None, list[Problem]]:
    """What the e-invoice carries, or the one question that names everything it lacks.

    `due`: it is known when the invoice is to be paid; `readable`: every position is a quantity times a price in cents.
    """
    order = facts.order
    reference = buyer_reference(order, party)
    lacks = [
        *([] if party.name != UNNAMED else ["the buyer's name"]),
        *(what for what, value in _address(party) if not value),
        *([] if party.email else ["the buyer's e-mail address"]),
        *([] if reference else ["a buyer reference (PO number)"]),
        *(["the buyer's VAT id"] if rule in _BUYER_OWES and not party.vat_id else []),
        *([] if due else ["payment terms with a due date"]),
        *([] if readable else ["quantities whose prices agree with the tax to the cent"]),
    ]
    if lacks or reference is None:
        message = f"the e-invoice lacks: {', '.join(lacks)}"
        return None, [Problem("E-INVOICE", message, (order.id,), _LACKING)]
    return EInvoice(reference, payment_means(facts, profile, tax_point)), []


def _address(party: Party) -> Iterable[tuple[str, str | None]]:
    yield "the buyer's street", party.street
    yield "the buyer's postal code", party.zip
    yield "the buyer's city", party.city


def given_reference(order: Order) -> str | None:
    """The reference the buyer asked for: a routing id or own reference written at the checkout, else the PO number."""
    told = [value for name, value in order.custom_attributes if _plain(name) in _ATTRIBUTES]
    return next((found for text in (*told, order.po_number) if (found := one_line(text))), None)


def buyer_reference(order: Order, party: Party) -> str | None:
    """What the e-invoice quotes (EN 16931 BT-10): the buyer's reference, the company's own number, else the e-mail."""
    company = order.company.external_id if order.company is not None else None
    return given_reference(order) or one_line(company) or party.email


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isalnum()).lower()


def payment_means(facts: Facts, profile: Profile, tax_point: datetime) -> str:
    """How the invoice is or will be paid, by what had come in when its tax arose: the same seen live or late (R2).

    By transfer while a part is open; else by the way most of the money took.
    """
    owed = sum(item.amount for item in facts.items if item.kind == "agreement" and item.at <= tax_point)
    came: dict[str, int] = {}
    for payment in facts.order.payments:
        when = moved_at(payment)
        if when is not None and when <= tax_point and moved(payment) > 0:
            means = _means(payment, profile)
            came[means] = came.get(means, 0) + moved(payment)
    if not came or sum(came.values()) < owed:
        return TRANSFER
    return max(sorted(came), key=lambda means: came[means])


def _means(payment: Payment, profile: Profile) -> str:
    if payment.gateway in LIABILITY_GATEWAYS:
        return CLEARING
    if payment.gateway in _CASH_GATEWAYS:
        return CASH
    mode = profile.gateway(payment.gateway, manual=payment.manual)
    return TRANSFER if payment.manual or (mode is not None and mode.mode == "bank") else ONLINE


def correction_of(drafts: Iterable[InvoiceDraft | CreditNoteDraft], facts: tuple[str, ...]) -> Problem | None:
    """The question instead of a credit note on an e-invoice: sevdesk's has no XML, so it would be none (3.3 no. 9).

    None where no e-invoice is among `drafts`.
    """
    electronic = any(isinstance(draft, InvoiceDraft) and draft.e_invoice for draft in drafts)
    if not electronic:
        return None
    message = "money went back of a paid e-invoice, and a credit note would be no e-invoice"
    return Problem("E-INVOICE-CORRECTION", message, facts, _CORRECTION)
