"""Who asks fees for payments, and how they are taxed: per provider, from the profile, checked by a second person (4.2).

A provider abroad leaves the tax to the merchant (§13b UStG): expense rules 12 to 14, no tax on the paper. One in
Germany, or a service free of tax, is rule 9. Which it is depends on the company that writes the invoice, so nothing
here is a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ladenbuch.errors import Rejected

#: Expense rules a fee may have, with the rates each takes (facts 3.1).
RULES: Mapping[int, tuple[str, ...]] = {
    9: ("0", "7", "19"),
    10: ("0", "7", "19"),
    12: ("0",),
    13: ("0",),
    14: ("0",),
}


@dataclass(frozen=True, slots=True)
class Provider:
    """The company that asks fees for a gateway.

    `rule` is sevdesk's expense rule, `rate` percent of tax in the fee, `account` the number of the expense account in
    the chart of accounts; `checked_by` names who confirmed it: without, fee vouchers stay drafts for a person.
    """

    name: str
    rule: int
    account: str
    rate: str = "0"
    checked_by: str = ""

    def as_json(self) -> dict[str, Any]:
        """What a profile file says of it."""
        return asdict(self)


def provider_of(name: str, value: object) -> Provider:
    """Read a provider of a profile file. Raises `Rejected("PROFILE")` that says what is wrong."""
    if not isinstance(value, Mapping):
        raise Rejected("PROFILE", f"{name} must be an object with name, rule and account")
    unknown = sorted(str(key) for key in value if key not in Provider.__dataclass_fields__)
    if unknown:
        raise Rejected("PROFILE", f"{name} has an unknown field {unknown[0]!r}")
    texts = {key: str(value.get(key) or "").strip() for key in ("name", "account", "checked_by")}
    rate = str(value.get("rate", "0"))
    rule = value.get("rule")
    if not texts["name"] or not texts["name"].isprintable() or len(texts["name"]) > 100:
        raise Rejected("PROFILE", f"{name}.name must be the company that writes the invoices")
    if isinstance(rule, bool) or not isinstance(rule, int) or rule not in RULES:
        raise Rejected("PROFILE", f"{name}.rule must be one of {', '.join(map(str, RULES))}")
    if rate not in RULES[rule]:
        raise Rejected("PROFILE", f"{name}.rate must be one of {', '.join(RULES[rule])} under rule {rule}")
    if not (texts["account"].isascii() and texts["account"].isdigit() and len(texts["account"]) <= 9):
        raise Rejected("PROFILE", f"{name}.account must be a number of the chart of accounts like 6855")
    return Provider(texts["name"], rule, texts["account"], rate, texts["checked_by"])
