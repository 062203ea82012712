"""Why each step is taken: the rule, its legal source, and what would be otherwise, in German and English.

What the tax of a document rests on is its `TaxDecision`; this is about the steps around it. Rules are those of the
bookkeeping rule set (R..., or the number of its section).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason of one step, in whole sentences. `rule` and `source` say where it comes from."""

    rule: str
    source: str
    en: str
    de: str
    otherwise: str
    otherwise_de: str

    def as_json(self) -> dict[str, Any]:
        """The fields an action shows beside its own."""
        return {
            "reason": self.en,
            "reason_de": self.de,
            "rule": self.rule,
            "source": self.source,
            "counterfactual": self.otherwise,
            "counterfactual_de": self.otherwise_de,
        }


_AT_ONCE = ("§14 (1), §13 (1) no. 1a UStG", "Neither paid nor shipped, the order would wait.")
_TABLE: Mapping[str, tuple[str, str, str, str, str, str]] = {
    # name: rule, source, English, German, otherwise in English, otherwise in German
    "invoice": (
        "R2", _AT_ONCE[0],
        "The tax arose on {day}; the ledger up to then is {amount} minor units. {said}",
        "Die Steuer entstand am {day_de}; das Verkaufsbuch bis dahin ergibt {euro} €. {said_de}",
        _AT_ONCE[1], "Weder bezahlt noch versandt würde die Bestellung warten.",
    ),
    "supplementary": (
        "R3", "§14 (1), §13 (1) no. 1a UStG",
        "{amount} minor units were added; their tax arose on {day}. {said}",
        "{euro} € kamen hinzu; ihre Steuer entstand am {day_de}. {said_de}",
        "Neither paid nor shipped, the addition would wait.", "Weder bezahlt noch versandt würde der Nachtrag warten.",
    ),
    "credit_note": (
        "R4", "§17 (1) UStG; BFH V R 34/09",
        "{amount} minor units went back on {day}: the tax falls with them. {said}",
        "{euro} € gingen am {day_de} zurück: Die Steuer sinkt mit ihnen. {said_de}",
        "While the money is not back, nothing would be corrected.",
        "Solange das Geld nicht zurück ist, würde nichts berichtigt.",
    ),
    "adopt": (
        "R13", "§17 (1) UStG",
        "Credit note {number} was written by hand over the same money: it is taken for ours.",
        "Die Rechnungskorrektur {number} wurde von Hand über dasselbe Geld geschrieben: Sie gilt als unsere.",
        "Had it other sums, a person would be asked.", "Hätte sie andere Summen, würde gefragt.",
    ),
    "adopt_invoice": (
        "R22", "§14c UStG",
        "Invoice {number} is this order's ({evidence}): it was written by others and is taken over as it stands.",
        "Die Rechnung {number} ist die dieser Bestellung: Andere haben sie geschrieben, sie gilt, wie sie ist.",
        "Were it not the same to the cent, a person would be asked, and nothing invoiced.",
        "Wäre sie nicht auf den Cent dieselbe, würde gefragt und nichts berechnet.",
    ),
    "finalise": (
        "R21", "§14 (4) no. 4 UStG",
        "The draft equals the {what} to the cent: it takes its number and may be sent.",
        "Der Entwurf stimmt auf den Cent mit {what_de} überein: Er bekommt seine Nummer und darf verschickt werden.",
        "With a cent of difference the draft would be deleted and posting stopped.",
        "Bei einem Cent Unterschied würde der Entwurf gelöscht und das Buchen angehalten.",
    ),
    "cancel": (
        "R5", "§17 (2) no. 3, §14c UStG",
        "Nothing was paid and less is owed: the invoice is cancelled.",
        "Nichts wurde bezahlt, und es ist weniger geschuldet: Die Rechnung wird storniert.",
        "Had anything been paid, it would be corrected by a credit note.",
        "Wäre etwas bezahlt worden, würde sie durch eine Rechnungskorrektur berichtigt.",
    ),
    "line_in": (
        "4.2", "§146 (1) AO",
        "{gateway} received the money: it stands on its clearing account until the payout.",
        "{gateway} hat das Geld: Es steht bis zur Auszahlung auf dem Verrechnungskonto.",
        "In mode bank or feed the line would come from sevdesk, and none be written.",
        "In den Arten bank und feed käme die Zeile aus sevdesk, und keine würde geschrieben.",
    ),
    "line_out": (
        "4.2", "§146 (1) AO",
        "{gateway} paid money back: it left the clearing account.",
        "{gateway} hat Geld zurückgezahlt: Es hat das Verrechnungskonto verlassen.",
        "While the refund is pending, no line would be written.",
        "Solange die Erstattung aussteht, würde keine Zeile geschrieben.",
    ),
    "line_feed": (
        "4.2", "§146 (1) AO",
        "The feed of {gateway} brought this payment: its line is used.",
        "Die Anbindung von {gateway} hat diese Zahlung gebracht: Ihre Zeile wird benutzt.",
        "Without exactly one such line the invoice would stay open and be listed.",
        "Ohne genau eine solche Zeile bliebe die Rechnung offen und würde aufgeführt.",
    ),
    "line_bank": (
        "4.2", "§146 (1) AO",
        "The bank's own line brought this payment: it is used, and nothing stands on an account of ours.",
        "Die Zeile der Bank hat diese Zahlung gebracht: Sie wird benutzt, auf keinem Konto von uns steht etwas.",
        "Without such a line the invoice would stay open and be listed.",
        "Ohne eine solche Zeile bliebe die Rechnung offen und würde aufgeführt.",
    ),
    "told": (
        "4.1", "§13 (1) no. 1a UStG",
        "{amount} minor units came in by transfer for {order}, and Shopify does not know it: it is told, once.",
        "{euro} € kamen per Überweisung für {order}, und Shopify weiß es nicht: Es erfährt es, einmal.",
        "Did Shopify know it already, nothing would be told.", "Wüsste Shopify es schon, würde nichts gemeldet.",
    ),
    "redeemed": (
        "2.5", "§3 (15) UStG",
        "The buyer paid with {gateway}: what the shop owes its customers falls by it.",
        "Bezahlt wurde mit {gateway}: Was der Laden seinen Kunden schuldet, sinkt.",
        "Paid with money, it would stand on a clearing account.",
        "Mit Geld bezahlt stünde es auf einem Verrechnungskonto.",
    ),
    "returned_as_credit": (
        "2.5", "§17 (1) UStG",
        "The buyer got {gateway} back instead of money: what the shop owes its customers rises by it.",
        "Statt Geld gab es {gateway} zurück: Was der Laden seinen Kunden schuldet, steigt.",
        "Paid back as money, it would leave the gateway's account.",
        "Als Geld zurückgezahlt verließe es das Konto der Zahlungsart.",
    ),
    "card_sold": (
        "2.5", "§3 (15) UStG",
        "A multi-purpose gift card was sold: what the shop owes its customers rises by it.",
        "Ein Mehrzweckgutschein wurde verkauft: Was der Laden seinen Kunden schuldet, steigt.",
        "A single-purpose card would be taxed now.", "Ein Einzweckgutschein würde jetzt versteuert.",
    ),
    "card_back": (
        "2.5", "§3 (15) UStG",
        "A gift card was taken back: what the shop owes its customers falls by it.",
        "Ein Gutschein wurde zurückgenommen: Was der Laden seinen Kunden schuldet, sinkt.",
        "A single-purpose card would need a correction.", "Ein Einzweckgutschein müsste berichtigt werden.",
    ),
    "delete_line": (
        "R14", "§146 (1) AO",
        "The invoice is paid by another line in sevdesk, and a person wants ours gone.",
        "Die Rechnung ist in sevdesk durch eine andere Zeile bezahlt, und eine Person will unsere nicht.",
        "Unasked, it would stay.", "Ungefragt bliebe sie stehen.",
    ),
    "cut_again": (
        "2.5", "§146 (1) AO",
        "One payment belongs to several documents: its line, linked to none, is written anew in parts.",
        "Eine Zahlung gehört zu mehreren Belegen: Ihre Zeile, noch keinem zugeordnet, wird in Teilen neu geschrieben.",
        "Linked to one of them it would stay, and a person be asked.",
        "Einem davon zugeordnet bliebe sie stehen, und es würde gefragt.",
    ),
    "book_payment": (
        "4.2", "§146 (1) AO; §20 UStG",
        "The money of {gateway} pays this invoice.", "Das Geld von {gateway} bezahlt diese Rechnung.",
        "Unlinked, the invoice would stay open.", "Unverknüpft bliebe die Rechnung offen.",
    ),
    "book_refund": (
        "R5", "§17 (1) UStG",
        "The money {gateway} paid back settles this credit note.",
        "Das Geld, das {gateway} zurückgezahlt hat, gleicht diese Rechnungskorrektur aus.",
        "Unlinked, the credit note would stay open.", "Unverknüpft bliebe die Rechnungskorrektur offen.",
    ),
    "xml": (
        "2.2", "§14 (1) UStG",
        "A business in Germany buys, so it is an e-invoice: its XML is read back and its hash kept.",
        "Ein Unternehmen in Deutschland kauft, also E-Rechnung: Ihr XML wird zurückgelesen und sein Hash aufbewahrt.",
        "To a consumer or abroad: an ordinary invoice. Without the XML: a question, and no letter.",
        "An Verbraucher oder ins Ausland: eine gewöhnliche Rechnung. Ohne das XML: eine Frage und kein Brief.",
    ),
    "letter": (
        "R20", "§14 (1) UStG",
        "The {paper} has its number: the buyer gets it once.",
        "{paper_de} hat ihre Nummer: Der Käufer bekommt sie einmal.",
        "Without an address nothing would be sent.", "Ohne Adresse würde nichts verschickt.",
    ),
    "letter_cancelled": (
        "R5", "§14 (1), §14c UStG",
        "The buyer was mailed the invoice, so they are told that it is cancelled.",
        "Der Käufer hat die Rechnung bekommen, also erfährt er, dass sie storniert ist.",
        "Had the invoice not been mailed, nobody would be written to.",
        "Wäre die Rechnung nicht verschickt worden, würde niemandem geschrieben.",
    ),
    "letter_paid": (
        "R20", "",
        "The invoice was sent unpaid and is paid in full now: the buyer is thanked once.",
        "Die Rechnung ging unbezahlt hinaus und ist jetzt ganz bezahlt: Der Käufer bekommt einmal Dank.",
        "Paid before the invoice had its number, the invoice itself says so.",
        "Vor der Rechnung bezahlt, sagt es die Rechnung selbst.",
    ),
    "letter_refund": (
        "R3", "",
        "Money went back and there is no document to correct: the buyer is told once.",
        "Geld ging zurück, und es gibt keinen Beleg zu berichtigen: Der Käufer erfährt es einmal.",
        "With an invoice its correction would say so.", "Mit einer Rechnung sagte es deren Korrektur.",
    ),
}  # fmt: skip


def euros(minor: int) -> str:
    """Minor units as a German sentence shows them: 207,30."""
    return f"{minor // 100},{minor % 100:02d}"


def because(name: str, **values: object) -> Reason:
    """The reason of a step by its name, its sentences filled in."""
    rule, source, en, de, otherwise, otherwise_de = _TABLE[name]
    return Reason(rule, source, en.format(**values).strip(), de.format(**values).strip(), otherwise, otherwise_de)
