"""The cases of the tax decision as a table: sevdesk's rule, the legal source, and what is said about it.

Texts are templates over `{rates}` (as charged), `{place}` (ISO country or the name of a special area), `{standard}`
(its standard rate), `{vat_id}`, `{consumer}` (the rate and place of the same sale to a consumer), `{home}` (the same
sale at home: the German standard rate of that day, or none for a small business), `{german}` and `{german_reduced}`,
`{counted}` (what EU consumers bought so far in `{year}`, in euros net, this sale included).
`note` is what the document must say (UStG §14 (4) no. 8, §14a (1), (3), (5); §34a UStDV).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Case:
    """One row. `rule` is sevdesk's tax rule (facts 3.1); `zero`: nothing is charged on it."""

    rule: int
    zero: bool
    source: str
    en: str
    de: str
    otherwise_en: str
    otherwise_de: str
    note_en: str = ""
    note_de: str = ""


#: Exemptions that hang on the movement or the place: their tax point is the supply, never a payment (bookkeeping 3.1).
SUPPLY_ONLY = frozenset({"export", "intra_community", "service_to_business", "service_abroad"})

CASES: Mapping[str, Case] = MappingProxyType(
    {
        "domestic": Case(
            1,
            False,
            "§1 (1) no. 1, §3 (6), §12 UStG; sevdesk tax rule 1",
            "Supplied in Germany by a regular-taxed German business: German VAT at {rates}.",
            "Lieferung in Deutschland, Regelbesteuerung: deutsche Umsatzsteuer zu {rates}.",
            "Shipped to a consumer in another EU country it would fall under the distance-selling rules (§3c UStG).",
            "Beim Versand an Verbraucher in einem anderen EU-Land gälten die Fernverkaufsregeln (§3c UStG).",
        ),
        "small_business": Case(
            11,
            True,
            "§19 (1) UStG, §34a UStDV; sevdesk tax rule 11",
            "The seller is a small business: no VAT is charged on supplies taxable in Germany.",
            "Kleinunternehmer: auf in Deutschland steuerbare Umsätze wird keine Umsatzsteuer berechnet.",
            "Regular taxation would charge {german} ({german_reduced} for goods of the reduced rate).",
            "Bei Regelbesteuerung fielen {german} an ({german_reduced} bei ermäßigt besteuerten Waren).",
            "Exempt under the German small business scheme (§19 UStG).",
            "Steuerbefreiung für Kleinunternehmer (§ 19 UStG).",
        ),
        "reverse_charge": Case(
            5,
            True,
            "§13b (2), (5), §14a (5) UStG; sevdesk tax rule 5",
            "A domestic supply for which the business buyer {vat_id} owes the tax.",
            "Inlandsumsatz, für den der Unternehmer {vat_id} als Empfänger die Steuer schuldet.",
            "{home} if the buyer were not a business.",
            "{home}, wenn der Käufer kein Unternehmer wäre.",
            "Reverse charge: the recipient owes the tax.",
            "Steuerschuldnerschaft des Leistungsempfängers.",
        ),
        "below_threshold": Case(
            1,
            False,
            "§3c (4), §3a (5) sentence 3 UStG; sevdesk tax rule 1",
            "Sold to a consumer in {place} below the EU threshold ({counted} of 10,000 EUR in {year}): "
            "German VAT at {rates}.",
            "Verkauf an Verbraucher in {place} unterhalb der EU-Schwelle ({counted} von 10.000 EUR in {year}): "
            "deutsche Umsatzsteuer zu {rates}.",
            "{standard} {place} with an OSS registration or above the threshold ({counted} of 10,000 EUR in {year}).",
            "{standard} {place} mit OSS-Registrierung oder oberhalb der Schwelle ({counted} von 10.000 EUR in {year}).",
        ),
        "small_business_abroad": Case(
            11,
            True,
            "§19 (1), §3c (4), §3a (5) sentence 3 UStG; sevdesk tax rule 11",
            "Sold to a consumer in {place} by a small business below the EU threshold ({counted} of 10,000 EUR in "
            "{year}): no VAT is charged.",
            "Verkauf eines Kleinunternehmers an Verbraucher in {place} unterhalb der EU-Schwelle ({counted} von "
            "10.000 EUR in {year}): Es wird keine Umsatzsteuer berechnet.",
            "{standard} {place} with an OSS registration or above the threshold ({counted} of 10,000 EUR in {year}).",
            "{standard} {place} mit OSS-Registrierung oder oberhalb der Schwelle ({counted} von 10.000 EUR in {year}).",
            "Exempt under the German small business scheme (§19 UStG).",
            "Steuerbefreiung für Kleinunternehmer (§ 19 UStG).",
        ),
        "oss_goods": Case(
            18,
            False,
            "§3c (1), §18j UStG; sevdesk tax rule 18",
            "Distance sale to a consumer in {place}, declared through OSS: {rates} of the destination.",
            "Fernverkauf an Verbraucher in {place}, über OSS erklärt: {rates} des Bestimmungslandes.",
            "{home} below the threshold and without an OSS registration.",
            "{home} unterhalb der Schwelle ohne OSS-Registrierung.",
        ),
        "oss_electronic": Case(
            19,
            False,
            "§3a (5), §18j UStG; sevdesk tax rule 19",
            "Electronic service to a consumer in {place}, declared through OSS: {rates} of the destination.",
            "Elektronische Leistung an Verbraucher in {place}, über OSS erklärt: {rates} des Bestimmungslandes.",
            "{home} below the threshold and without an OSS registration.",
            "{home} unterhalb der Schwelle ohne OSS-Registrierung.",
        ),
        "oss_services": Case(
            20,
            False,
            "§3a (3), §18j UStG; sevdesk tax rule 20",
            "Service used by a consumer in {place}, declared through OSS: {rates} of that country.",
            "In {place} genutzte Leistung an Verbraucher, über OSS erklärt: {rates} dieses Landes.",
            "{home} if the service were supplied at the seller's seat (§3a (1) UStG).",
            "{home}, wenn die Leistung am Sitz des Verkäufers erbracht würde (§3a Abs. 1 UStG).",
        ),
        "intra_community": Case(
            3,
            True,
            "§4 no. 1b, §6a, §14a (3) UStG; sevdesk tax rule 3",
            "Goods to the business {vat_id} in {place}: exempt intra-Community supply.",
            "Ware an den Unternehmer {vat_id} in {place}: steuerfreie innergemeinschaftliche Lieferung.",
            "{consumer} if the VAT id were invalid.",
            "{consumer}, wenn die USt-IdNr. ungültig wäre.",
            "Exempt intra-Community supply. VAT id of the recipient: {vat_id}.",
            "Steuerfreie innergemeinschaftliche Lieferung. USt-IdNr. des Empfängers: {vat_id}.",
        ),
        "service_to_business": Case(
            21,
            True,
            "§3a (2), §13b (1), §14a (1) UStG; sevdesk tax rule 21",
            "Service to the business {vat_id} in {place}: the recipient owes the tax there.",
            "Leistung an den Unternehmer {vat_id} in {place}: Der Empfänger schuldet dort die Steuer.",
            "{consumer} if the VAT id were invalid.",
            "{consumer}, wenn die USt-IdNr. ungültig wäre.",
            "Reverse charge: the recipient owes the tax. VAT id of the recipient: {vat_id}.",
            "Steuerschuldnerschaft des Leistungsempfängers. USt-IdNr. des Empfängers: {vat_id}.",
        ),
        "export": Case(
            2,
            True,
            "§4 no. 1a, §6 UStG; sevdesk tax rule 2",
            "Goods to {place}, outside the EU's VAT area: exempt export.",
            "Ware mit dem Ziel {place}, außerhalb des EU-Steuergebiets: steuerfreie Ausfuhr.",
            "{home} if the goods stayed in Germany.",
            "{home}, wenn die Ware in Deutschland bliebe.",
            "Exempt export delivery.",
            "Steuerfreie Ausfuhrlieferung.",
        ),
        "service_abroad": Case(
            17,
            True,
            "§3a (2), (4), (5) UStG; sevdesk tax rule 17",
            "Service to a buyer in {place}: not taxable in Germany.",
            "Leistung, Sitz des Käufers {place}: in Deutschland nicht steuerbar.",
            "{home} if the buyer lived in Germany.",
            "{home}, wenn der Käufer in Deutschland wohnte.",
            "Not taxable in Germany.",
            "Nicht im Inland steuerbare Leistung.",
        ),
    }
)


def lawful_note(case: str, vat_id: str, *, german: bool) -> str:
    """The sentence the law wants on every document of a case, corrections included; '' where it wants none."""
    row = CASES.get(case)
    return "" if row is None else (row.note_de if german else row.note_en).format(vat_id=vat_id)
