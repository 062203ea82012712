"""Who the document is for: name and address as UStG §14 (4) no. 1 wants them, pinned with the first document (P3)."""

from __future__ import annotations

import hashlib

from ladenbuch.domain.document import Party
from ladenbuch.domain.evidence import vat_id_of
from ladenbuch.domain.facts import Problem
from ladenbuch.domain.matching import UNNAMED, folded
from ladenbuch.domain.order import Address, Order
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.tax import TaxDecision
from ladenbuch.domain.texts import language_of, one_line

#: Up to this gross amount a domestic invoice may lack the buyer's address (UStDV §33).
SMALL_INVOICE_MINOR = 250_00


def party_of(
    order: Order, profile: Profile, gross: int, decision: TaxDecision | None = None
) -> tuple[Party | None, list[Problem]]:
    """The buyer as printed: billing address first, shipping address where it says more. `gross` in minor units.

    A company's own billing address comes before both. Without an address only a small domestic invoice may be written.
    First and last name are those of a company's contact person.
    Where the profile says so, consumers share one debtor; what is printed is each buyer's own all the same.
    """
    billing, shipping = order.billing_address, order.shipping_address
    location = order.company.billing_address if order.company is not None else None
    billing = location or billing
    complete = (item for item in (billing, shipping) if item is not None and _complete(item))
    address = next(complete, billing or shipping or Address())
    first, last = one_line(address.first_name), one_line(address.last_name)
    if not (address is location and (first or last)):  # a location's recipient is a person or a department of its own
        first = first or one_line(order.customer.first_name if order.customer else None)
        last = last or one_line(order.customer.last_name if order.customer else None)
    company = one_line(address.company) or one_line(order.company.name if order.company else None)
    display = _name(order.customer.display_name if order.customer else None)
    person = " ".join(part for part in (first, last) if part) or display
    name = company or person
    small = 0 < gross <= SMALL_INVOICE_MINOR and (decision is None or decision.case == "domestic")
    if not name and not small:
        return None, [_missing(order, "the buyer's name is unknown")]
    if not _complete(address) and not small:
        return None, [_missing(order, "the buyer's address is incomplete")]
    email = _mailbox(order.email) or _mailbox(order.customer.email if order.customer else None)
    locale = order.locale or (order.customer.locale if order.customer else None)
    vat_id = vat_id_of(order)
    collective = profile.debtor == "collective" and not company and not vat_id
    own = _customer_number(order, profile.shop_key, email, address, name)
    return (
        Party(
            customer_number=profile.collective_number if collective else own,
            name=name or UNNAMED,
            first_name=first,
            last_name=last,
            company=company,
            street=one_line(address.address1),
            street2=one_line(address.address2),
            zip=one_line(address.zip),
            city=one_line(address.city),
            country=address.country or "DE",
            email=email,
            locale=language_of(locale),
            vat_id=vat_id,
            collective=collective,
        ),
        [],
    )


def _complete(address: Address) -> bool:
    return bool(one_line(address.address1) and one_line(address.zip) and one_line(address.city))


def _name(text: str | None) -> str | None:
    """A display name that is one: without a name Shopify shows the e-mail or the telephone number instead."""
    name = one_line(text)
    return name if name and "@" not in name and any(char.isalpha() for char in name) else None


def _mailbox(text: str | None) -> str | None:
    """An address a letter can go to; what holds blanks or no @ is none."""
    address = one_line(text)
    return address if address and " " not in address and "@" in address[1:-1] else None


def _missing(order: Order, message: str) -> Problem:
    return Problem("PARTY", message, (order.id,), ("add the address in Shopify", "exclude the order"))


def _customer_number(order: Order, shop_key: str, email: str | None, address: Address, name: str | None) -> str:
    """Deterministic, so that two runs find the same contact: the company's location or the company itself, whoever of
    it orders; else customer id, else a hash of the mail, else of name and address, else the order.
    """
    if order.company is not None and (order.company.location_id or order.company.id):
        kind, owner = ("l", order.company.location_id) if order.company.location_id else ("c", order.company.id)
        return f"{shop_key}-{kind}{owner.rsplit('/', 1)[-1]}"
    if order.customer is not None:
        return f"{shop_key}-{order.customer.id.rsplit('/', 1)[-1]}"
    if email:
        return f"{shop_key}-g{_short(email.strip().lower())}"
    if name and _complete(address):
        lines = (name, address.address1, address.address2, address.zip, address.city, address.country)
        return f"{shop_key}-a{_short('|'.join(folded(item) for item in lines))}"
    return f"{shop_key}-o{order.number_id}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
