"""What a missing scope switches off: a table, so that a merchant reads a sentence and not a failure (facts 4.5).

for switch in switched(grant.scopes):
    switch.sentence        # "payouts off: scope read_shopify_payments_payouts missing"
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ladenbuch.shopify.oauth import missing_scopes


@dataclass(frozen=True, slots=True)
class Capability:
    """Something the connector does with a shop. Without an `essential` one there is nothing it can do."""

    name: str
    scopes: tuple[str, ...]
    german: str
    essential: bool = False


CAPABILITIES: tuple[Capability, ...] = (
    Capability("orders", ("read_orders",), "Bestellungen", essential=True),
    Capability("buyers and VAT ids", ("read_customers",), "Käufer und USt-IdNr.", essential=True),
    Capability("orders older than 60 days", ("read_all_orders",), "Bestellungen älter als 60 Tage"),
    Capability("payment terms", ("read_payment_terms",), "Zahlungsziele"),
    Capability("products on lines", ("read_products",), "Produkte der Positionen"),
    Capability("returns", ("read_returns",), "Rücksendungen"),
    Capability("news of shipments", ("read_fulfillments",), "Nachrichten über Versand"),
    Capability("payouts", ("read_shopify_payments_payouts",), "Auszahlungen"),
    Capability("disputes", ("read_shopify_payments_disputes",), "Rückbuchungen"),
    Capability("gift card balances", ("read_gift_cards",), "Guthaben von Gutscheinen"),
    Capability("store credit balances", ("read_store_credit_accounts",), "Guthaben von Kunden"),
    Capability("marking orders paid", ("write_orders",), "Bestellungen als bezahlt markieren"),
    Capability("inventory", ("write_inventory", "read_locations"), "Bestand"),
)


@dataclass(frozen=True, slots=True)
class Switch:
    """A capability in one shop: on, or off for want of the scopes in `missing`."""

    capability: Capability
    missing: tuple[str, ...]

    @property
    def on(self) -> bool:
        """Whether the shop grants what the capability needs."""
        return not self.missing

    @property
    def sentence(self) -> str:
        """What a person reads, in English."""
        if self.on:
            return f"{self.capability.name} on"
        return f"{self.capability.name} off: {_scopes(self.missing, 'scope', 'scopes')} missing"

    @property
    def german(self) -> str:
        """What a person reads, in German."""
        if self.on:
            return f"{self.capability.german} an"
        return f"{self.capability.german} aus: Berechtigung {', '.join(self.missing)} fehlt"


def switched(granted: Iterable[str]) -> tuple[Switch, ...]:
    """Each capability with what it lacks, in the order of the table."""
    have = list(granted)
    return tuple(Switch(item, tuple(missing_scopes(have, item.scopes))) for item in CAPABILITIES)


def _scopes(names: tuple[str, ...], one: str, many: str) -> str:
    return f"{one if len(names) == 1 else many} {', '.join(names)}"
