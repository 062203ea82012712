"""Which tax rule allows which rates on which document (facts 3.1, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ladenbuch.simulators.sevdesk.wire import refuse

_ZERO = frozenset({Decimal(0)})
_GERMAN = frozenset({Decimal(0), Decimal(7), Decimal(19)})
_ADVANCE = frozenset({"RE", "AR", "TR", "ER", "WKR", "CN", "VOU"})
_PLAIN = frozenset({"RE", "WKR", "CN", "VOU"})
_OSS = frozenset({"RE", "CN"})

EU = frozenset(
    {"at", "be", "bg", "cy", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hr", "hu", "ie", "it", "lt"}
    | {"lu", "lv", "mt", "nl", "pl", "pt", "ro", "se", "si", "sk"}
)


@dataclass(frozen=True)
class Rule:
    """A revenue rule: its code, the rates of its positions (None = the destination's), the documents it may
    be on.
    """

    id: int
    code: str
    name: str
    rates: frozenset[Decimal] | None
    documents: frozenset[str]


RULES = {
    rule.id: rule
    for rule in (
        Rule(1, "USTPFL_UMS_EINN", "Umsatzsteuerpflichtige Umsätze", _GERMAN, _ADVANCE),
        Rule(2, "AUSFUHREN", "Ausfuhren", _ZERO, _PLAIN),
        Rule(3, "INNERGEM_LIEF", "Innergemeinschaftliche Lieferungen", _GERMAN, _PLAIN),
        Rule(4, "STFREIE_UMS_P4", "Steuerfreie Umsätze §4 UStG", _ZERO, _PLAIN),
        Rule(5, "REV_CHARGE_13B_1", "Reverse Charge gem. §13b UStG", _ZERO, _PLAIN),
        Rule(11, "STFREIE_UMS_P19", "Steuer nicht erhoben nach §19 UStG", _ZERO, _ADVANCE),
        Rule(17, "NICHT_IM_INLAND", "Nicht im Inland steuerbare Leistung", _ZERO, _PLAIN),
        Rule(18, "OSS_GOODS", "One Stop Shop (Waren)", None, _OSS),
        Rule(19, "OSS_ELECTRONIC", "One Stop Shop (elektronische Dienstleistung)", None, _OSS),
        Rule(20, "OSS_OTHER", "One Stop Shop (sonstige Dienstleistung)", None, _OSS),
        Rule(21, "REV_CHARGE_18B", "Reverse Charge gem. §18b UStG", _ZERO, frozenset({"RE", "WKR", "CN"})),
        Rule(22, "NICHT_STEUERBAR", "Nicht steuerbare Umsätze", _ZERO, frozenset({"VOU"})),
    )
}
EXPENSE_RULES = {8, 9, 10, 12, 13, 14, 16}
OSS_RULES = {18, 19, 20}


def check(rule_id: int, document: str, rates: list[Decimal], destination: str | None) -> None:
    """Refuse (422) a rule this document may not have, or a rate the rule does not allow.

    `destination` is the lower-case country the goods go to; the OSS rules need one in the EU outside Germany.
    """
    rule = RULES.get(rule_id)
    if rule is None or document not in rule.documents:
        refuse(f"tax rule {rule_id} is not allowed on {document}")
    if rule.rates is None:
        if destination is None or destination == "de" or destination not in EU:
            refuse(f"tax rule {rule_id} needs a destination in another EU country")
        # Whether a wrong rate of the right country is refused is unproven; a rate no country has is refused
        # here.
        wrong = [rate for rate in rates if not 0 <= rate <= 27]
    else:
        wrong = [rate for rate in rates if rate not in rule.rates]
    if wrong:
        refuse(f"invalid tax rate {wrong[0]} for tax rule {rule_id}")
