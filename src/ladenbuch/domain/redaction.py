"""What is left of an order, and of a document, when its buyer's data has to go: amounts, dates, places, no person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What stands where a name stood.
ERASED = "(erased)"
#: Of an address only the state and its region stay: they decide the tax and are nobody's.
_PLACE = ("countryCodeV2", "provinceCode")
#: Wherever these fields stand in what Shopify says, they are about a person.
_ADDRESS = ("company", "companyName", "recipient", "address1", "address2", "zip", "city")
_NAMES = ("firstName", "lastName", "displayName")
_OF_A_PERSON = {*_NAMES, *_ADDRESS, "email", "emailAddress", "phone", "note", "taxId", "taxRegistrationId", "poNumber"}
_GONE: Mapping[str, object] = {"customer": None, "purchasingEntity": None, "customAttributes": []}
_KEPT_OF_A_PARTY = ("country", "locale", "collective")


def without_buyer(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """An order as it was fetched (`shopify.reading`), without its buyer; in the shape it had.

    Repeatable. The order's own name (#1001), its goods, amounts, taxes and dates stay.
    """
    kept: dict[str, Any] = {key: _blank(value) for key, value in envelope.items()}
    order = kept.get("order")
    if isinstance(order, dict):
        order.update({key: value for key, value in _GONE.items() if key in order})
        for key in ("billingAddress", "shippingAddress"):
            if isinstance(order.get(key), Mapping):
                order[key] = {name: order[key].get(name) if name in _PLACE else None for name in order[key]}
    return kept


def _blank(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: None if key in _OF_A_PERSON else _blank(item) for key, item in value.items()}
    return [_blank(item) for item in value] if isinstance(value, list) else value


def without_party(pins: Mapping[str, Any]) -> dict[str, Any]:
    """A document as it was pinned (`InvoiceDraft.as_json`), without the person it was for; it reads back as one.

    For the day on which nobody must keep the name any more. Amounts, positions, dates, rule and key stay.
    """
    party = {key: value if key in _KEPT_OF_A_PARTY else None for key, value in pins["party"].items()}
    party |= {"name": ERASED, "customer_number": ERASED}
    kept = dict(pins) | {"party": party, "head_text": "", "foot_text": ""}
    if pins.get("buyer_reference"):
        kept["buyer_reference"] = ERASED
    return kept
