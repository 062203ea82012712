"""What codes, questions and choices of the business are called on the dashboard, in German and English.

The domain speaks English; a German page says the same in German, built from the code and the figures in the message.
What has no German here is shown as it was written: better foreign than silent.
"""

from __future__ import annotations

import re

from ladenbuch.domain.answers import adoptable
from ladenbuch.domain.territory import GERMAN
from ladenbuch.web.code_words import BY_CODE
from ladenbuch.web.figures import country, money
from ladenbuch.web.words import Language

_Text = tuple[str, str]

#: Codes of waiting, exclusion and "later by itself": one sentence each; and what stands in
#: German for the many technical messages of one code.
OF_ORDERS: dict[str, _Text] = {
    "UNPAID": (
        "Weder bezahlt noch versandt: Die Rechnung folgt mit Zahlung oder Versand.",
        "Neither paid nor shipped: the invoice follows payment or shipment.",
    ),
    "FEED-WAITING": (
        "Die Zeile der Zahlung ist in sevdesk noch nicht angekommen.",
        "The line of the payment has not come in sevdesk yet.",
    ),
    "TRANSFER-KEPT": (
        "Eine Überweisung ist da; der Laden erfährt davon noch nicht.",
        "A transfer came in; the shop is not told of it yet.",
    ),
    "SHOPIFY-RECONNECT": (
        "Der Laden muss neu verbunden werden: die App im Shopify-Admin öffnen.",
        "The shop must be connected again: open the app in its Shopify admin.",
    ),
    "UNSHIPPED": (
        "Die Rechnung folgt dem Versand.",
        "The invoice follows the shipment.",
    ),
    "EXCLUDED": ("Von einer Person ausgenommen.", "A person decided to leave it out."),
    "DRAFT-ONLY": (
        "Nur Entwürfe: Eine Person schließt den Entwurf in sevdesk ab.",
        "Drafts only: a person finalises the draft in sevdesk.",
    ),
    "TEST": ("Testbestellung: gehört nicht in die Bücher.", "A test order never reaches the books."),
    "POS": (
        "An der Kasse verkauft: Das Kassensystem führt diese Bücher.",
        "Sold at the till: the cash register keeps these books.",
    ),
    "GIFT-CARDS-ONLY": (
        "Nur Gutscheine verkauft: eine Schuld, kein Umsatz.",
        "Only gift cards were sold: a debt, no turnover.",
    ),
    "ZERO": ("Nichts berechnet: kein Beleg nötig.", "Nothing was charged: no document."),
    "BEFORE-GO-LIVE": (
        "Der Steuerzeitpunkt liegt vor dem Stichtag dieses Ladens.",
        "The tax point lies before the day this shop went live.",
    ),
    "CANCELLED-BEFORE": (
        "Storniert, bevor bezahlt oder versandt wurde: kein Beleg nötig.",
        "Cancelled before anything was paid or shipped: no document.",
    ),
    "PAYMENT-SPLIT": (
        "Eine Zahlung gehört zu mehreren Belegen; das kann sevdesk nicht sicher verknüpfen.",
        "One payment belongs to several documents, which sevdesk is not known to link.",
    ),
    "REFUND-PENDING": (
        "Es ist weniger geschuldet; die Rechnungskorrektur folgt, sobald das Geld zurückgeht.",
        "Less is owed; the credit note follows the money when it goes back.",
    ),
    "REFUND-NOT-IN-LEDGER": (
        "Geld ging zurück, aber Shopifys Verkaufsbuch verlangt es noch.",
        "Money went back, and Shopify's sales ledger still claims it.",
    ),
    "GRACE": (
        "Es kann noch etwas dazukommen: Die Rechnung wartet darauf.",
        "More may be added: the invoice waits for it.",
    ),
    "CLOCK-OFF": (
        "Unsere Uhr geht falsch; die Nummer wartet, bis sie stimmt.",
        "Our clock is off; the number waits until it is right.",
    ),
    "PAYMENT-UNLINKED": (
        "Geld ging zurück; die Rechnungskorrektur wartet, bis die Zahlung in sevdesk verknüpft ist.",
        "Money went back; the credit note waits until the payment is linked in sevdesk.",
    ),
    "DELETED": (
        "Die Bestellung wurde in Shopify gelöscht; ihre Belege bleiben.",
        "The order was deleted in Shopify; its documents stay.",
    ),
    "REFUND-FAILED": (
        "Die Erstattung ist gescheitert: Es ging kein Geld zurück, und es ist weniger geschuldet.",
        "The refund failed: no money went back, and less is owed.",
    ),
    "OFFSET": (
        "Ein Teil einer bezahlten Rechnung ist nicht mehr geschuldet oder wurde getauscht: Das wäre zu verrechnen.",
        "A part of a partly paid invoice is not owed any more, or a company exchanged goods: it would be set off.",
    ),
    "DOUBLE-REFUND": (
        "Das Geld ging zweimal zurück: durch eine Erstattung und durch eine verlorene Rückbuchung.",
        "The money went back twice: by a refund, and by a chargeback that is lost.",
    ),
    "PAID-TWICE": (
        "Die Rechnung ist in sevdesk schon durch eine andere Buchungszeile bezahlt; unsere steht unverknüpft daneben.",
        "The invoice was paid in sevdesk by another line, and ours for the same money is not linked.",
    ),
    "DRAFT-OLD": (
        "Seit mehr als zehn Tagen hat niemand den Entwurf abgeschlossen.",
        "Nobody has finalised the draft for more than ten days.",
    ),
    "DRAFT-EDITED": (
        "Der Entwurf wurde in sevdesk geändert.",
        "The draft was changed in sevdesk.",
    ),
    "DRAFT-GONE": ("Der Entwurf wurde in sevdesk gelöscht.", "The draft was deleted in sevdesk."),
    "RESTORE-DIFFERS": (
        "In sevdesk steht ein Beleg aus der Zeit vor der Wiederherstellung, der etwas anderes sagt.",
        "sevdesk holds a document from before the restore that says something else.",
    ),
    "RESTORE-LETTER": (
        "Nach der Wiederherstellung weiß niemand, ob der Brief schon verschickt war.",
        "After the restore nobody knows whether the letter was sent before.",
    ),
    "HAND-CANCELLED": (
        "Die Rechnung wurde in sevdesk von Hand storniert.",
        "The invoice was cancelled in sevdesk by hand.",
    ),
    "HAND-CHANGED": (
        "Der Beleg lautet in sevdesk anders, als wir ihn geschrieben haben.",
        "The document reads otherwise in sevdesk than we wrote it.",
    ),
    "HAND-GONE": (
        "Ein fertiger Beleg von uns steht nicht mehr in sevdesk.",
        "A final document of ours is not in sevdesk any more.",
    ),
    "HAND-DOUBLED": (
        "Neben unserem Beleg steht in sevdesk ein zweiter mit demselben Vermerk.",
        "A second document with the same note stands beside ours in sevdesk.",
    ),
    "HAND-FOREIGN": (
        "In sevdesk steht zu dieser Bestellung noch ein Beleg, der nicht von uns ist.",
        "There is another document for this order in sevdesk that is not ours.",
    ),
    "HAND-UNLINKED": (
        "Eine von uns verknüpfte Zahlung wurde in sevdesk wieder gelöst.",
        "A payment we linked was taken off again in sevdesk.",
    ),
    "ADOPT": (
        "In sevdesk steht eine Rechnung, die zu dieser Bestellung gehören kann; sicher ist es nicht.",
        "sevdesk holds an invoice that may be this order's; it is not certain.",
    ),
    "HAND-CREDITED": (
        "In sevdesk steht eine Rechnungskorrektur von Hand, zu der es keine Erstattung gibt.",
        "A credit note was written by hand in sevdesk, and no refund is like it.",
    ),
    "REFUND-EXCEEDS": (
        "Es ging mehr zurück, als die Belege noch tragen.",
        "More went back than the documents still carry.",
    ),
    "E-INVOICE-CORRECTION": (
        "Zu einer bezahlten E-Rechnung ging Geld zurück. Eine Rechnungskorrektur von sevdesk ist keine E-Rechnung.",
        "Money went back of a paid e-invoice, and a credit note of sevdesk is no e-invoice.",
    ),
    "E-INVOICE-XML": (
        "Die Rechnung sollte eine E-Rechnung sein, aber ihre XML-Datei fehlt in sevdesk oder passt nicht.",
        "The invoice should be an e-invoice, and its XML is missing in sevdesk or does not fit.",
    ),
    "EXCHANGE-RATES": (
        "Ein Umtausch hat Wert zwischen Steuersätzen verschoben.",
        "An exchange moved value between tax rates.",
    ),
    "DISPUTE-OPEN": (
        "Die Bank des Käufers hat noch nicht entschieden.",
        "The buyer's bank has not decided yet.",
    ),
    "TENANT-INSTALLING": ("Die Einrichtung ist noch nicht fertig.", "The installation is not finished."),
    "TENANT-SUSPENDED": ("Der Laden ist ausgesetzt.", "The shop is suspended."),
    "TENANT-UNINSTALLED": ("Die App ist nicht mehr installiert.", "The app is no longer installed."),
    "TENANT-REDACTED": ("Die Daten wurden gelöscht.", "The data were erased."),
    "STOPPED": ("Es gilt ein Schreibstopp.", "Writing is stopped."),
    "UNCONFIRMED": (
        "sevdesk hat einen Aufruf nicht bestätigt. Er wird gesucht, bevor etwas wiederholt wird.",
        "sevdesk did not confirm a call. It is looked for before anything is repeated.",
    ),
    "ORDER-INCOMPLETE": (
        "Shopify hat Teile der Bestellung ausgelassen.",
        "Shopify left out parts of the order.",
    ),
    "ORDER-MOVING": (
        "Die Bestellung änderte sich, während sie gelesen wurde.",
        "The order changed while it was read.",
    ),
    "LEDGER": (
        "Shopifys Verkaufsbuch fehlt oder widerspricht der Bestellung.",
        "Shopify's sales ledger is missing or contradicts the order.",
    ),
    "ENUM": (
        "Shopify sendet einen Wert, den diese Version nicht kennt.",
        "Shopify sent a value this version does not know.",
    ),
    "PARTY": ("Der Rechnung fehlt Name oder Anschrift des Käufers.", "The invoice lacks the buyer's name or address."),
    "FLAP": (
        "Eine bereits ausgeführte Buchung wird noch einmal verlangt. Nichts wird wiederholt.",
        "An action that was already applied is wanted again. Nothing is repeated.",
    ),
    "PROFILE-UNSUPPORTED": (
        "Das Profil verlangt etwas, das es noch nicht gibt.",
        "The profile asks for something that does not exist yet.",
    ),
    "INVISIBLE": (
        "Shopify zeigt diese Bestellung nicht (mehr).",
        "Shopify does not show this order (any more).",
    ),
}
#: Every code that is met on a page.
SENTENCES: dict[str, _Text] = BY_CODE | OF_ORDERS

#: Messages of the domain: what they look like, and the sentence in both languages. `{place}` is a country's name,
#: `{sum}` an amount, other groups stay as they are.
_MESSAGES: tuple[tuple[str, str, str], ...] = (
    (
        r"no country of destination is known",
        "Es ist kein Zielland bekannt.",
        "No country of destination is known.",
    ),
    (
        r"the postal code does not tell which VAT area of (?P<place>[A-Z]{2}) it is in",
        "Die Postleitzahl sagt nicht, zu welchem Steuergebiet die Anschrift gehört: {place}.",
        "The postal code does not tell which VAT area the address belongs to: {place}.",
    ),
    (
        r"(?P<area>.+) has VAT rates of its own",
        "{area}: Dort gelten eigene Umsatzsteuersätze.",
        "{area} has VAT rates of its own.",
    ),
    (
        r"(?P<area>.+) lies outside the EU's VAT area, and tax was charged: no rule of ours covers it",
        "{area}: außerhalb des Mehrwertsteuergebiets der EU, und es wurde Steuer berechnet. Keine Steuerregel passt.",
        "{area} lies outside the EU's VAT area, and tax was charged: no tax rule covers it.",
    ),
    (
        r"the destination is (?P<place>[A-Z]{2}), and tax was charged: no rule of ours covers it",
        "Das Ziel ist ein Drittland ({place}), und es wurde Steuer berechnet. Keine Steuerregel passt.",
        "The destination is a third country ({place}), and tax was charged: no tax rule covers it.",
    ),
    (
        r"the destination is (?P<place>[A-Z]{2}): its VAT was charged without an OSS registration",
        "Das Ziel ist {place}: Dessen Umsatzsteuer wurde ohne OSS-Registrierung berechnet.",
        "The destination is {place}: its VAT was charged without an OSS registration.",
    ),
    (
        r"a service used in (?P<place>[A-Z]{2}) is taxed there from the first euro, without an OSS registration",
        "Eine dort genutzte Leistung ist ab dem ersten Euro dort zu versteuern ({place}); die OSS-Registrierung fehlt.",
        "A service used there ({place}) is taxed there from the first euro; there is no OSS registration.",
    ),
    (
        r"EU consumers bought for (?P<sum>\d+) minor units net in (?P<year>\d+), above the threshold: taxed at .*",
        "Verbraucher in der EU kauften {year} für {sum} netto, mehr als die Schwelle: im Zielland zu versteuern.",
        "EU consumers bought for {sum} net in {year}, above the threshold: taxed at the destination.",
    ),
    (
        r"the VAT rates of (?P<place>[A-Z]{2}) are not known",
        "Die Umsatzsteuersätze dieses Landes sind nicht bekannt: {place}.",
        "The VAT rates of this country are not known: {place}.",
    ),
    (
        r"it is not known whether what is not shipped is an electronic or another service",
        "Es ist nicht festgelegt, ob das nicht Versandte eine elektronische oder eine andere Leistung ist.",
        "It is not known whether what is not shipped is an electronic or another service.",
    ),
    (
        r"a small business charged VAT, which it would owe \(§14c UStG\)",
        "Ein Kleinunternehmer hat Umsatzsteuer berechnet und würde sie schulden (§ 14c UStG).",
        "A small business charged VAT, which it would owe (§ 14c UStG).",
    ),
    (
        r"tax was charged although the buyer has a valid VAT id",
        "Es wurde Steuer berechnet, obwohl der Käufer eine gültige USt-IdNr. hat.",
        "Tax was charged although the buyer has a valid VAT id.",
    ),
    (
        r"an EU company was charged no tax and gave no VAT id",
        "Einer Firma in der EU wurde keine Steuer berechnet, und sie hat keine USt-IdNr. angegeben.",
        "A company in the EU was charged no tax and gave no VAT id.",
    ),
    (
        r"no tax was charged, and the VAT id is invalid",
        "Es wurde keine Steuer berechnet, und die USt-IdNr. ist ungültig.",
        "No tax was charged, and the VAT id is invalid.",
    ),
    (
        r"no tax was charged, and the VAT id is not of another member state",
        "Es wurde keine Steuer berechnet, und die USt-IdNr. stammt nicht aus einem anderen Mitgliedstaat.",
        "No tax was charged, and the VAT id is not of another member state.",
    ),
    (
        r"the VAT id could not be checked yet; that is not invalid",
        "Die USt-IdNr. konnte noch nicht geprüft werden. Das heißt nicht, dass sie ungültig ist.",
        "The VAT id could not be checked yet; that does not mean it is invalid.",
    ),
    (
        r"(?P<rate>[\d.]+) % was not a rate of (?P<place>[A-Z]{2}) on that day",
        "{rate} % war an diesem Tag kein Steuersatz dieses Landes: {place}.",
        "{rate} % was not a rate of this country on that day: {place}.",
    ),
    (r"shipped from (?P<place>[A-Z]{2})", "Versandt aus: {place}.", "Shipped from: {place}."),
    (
        r"(?P<rate>[\d.]+) % was not a German rate on that day",
        "{rate} % war an diesem Tag kein deutscher Steuersatz.",
        "{rate} % was not a German rate on that day.",
    ),
    (
        r"no tax was charged and no reason is known",
        "Es wurde keine Steuer berechnet, und ein Grund ist nicht bekannt.",
        "No tax was charged, and no reason is known.",
    ),
    (
        r"the sales channel owes this tax, not the merchant|another party is merchant of record",
        "Der Verkaufskanal schuldet diese Steuer, nicht der Laden.",
        "The sales channel owes this tax, not the shop.",
    ),
    (
        r"Shopify only estimated the taxes",
        "Shopify nennt die Steuern selbst nur geschätzt.",
        "Shopify itself calls the taxes an estimate.",
    ),
    (
        r"shipping was taxed at a rate none of the goods has",
        "Der Versand ist mit einem Satz besteuert, den keine der Waren hat.",
        "Shipping was taxed at a rate none of the goods has.",
    ),
    (r"the total was rounded for cash", "Der Betrag wurde für Bargeld gerundet.", "The total was rounded for cash."),
    (r"change was given in cash", "Es wurde Wechselgeld herausgegeben.", "Change was given in cash."),
    (
        r"a tip that is passed to staff is not on the invoice",
        "Trinkgeld, das an die Mitarbeiter geht, steht nicht auf der Rechnung.",
        "A tip that is passed to staff is not on the invoice.",
    ),
    (r"a tip", "Der Käufer hat Trinkgeld gegeben.", "The buyer gave a tip."),
    (
        r"only gift cards were sold: a debt, no turnover; the tax comes with what they buy",
        "Nur Gutscheine verkauft: eine Schuld, kein Umsatz. Die Steuer entsteht mit dem, was sie bezahlen.",
        "Only gift cards were sold: a debt, no turnover. The tax comes with what they buy.",
    ),
    (
        r"a single-purpose gift card was redeemed: its tax was paid when it was sold",
        "Ein Einzweckgutschein wurde eingelöst: Seine Steuer wurde schon beim Verkauf fällig.",
        "A single-purpose gift card was redeemed: its tax was paid when it was sold.",
    ),
    (
        r"money went back of an order with a gift card, and it is not clear for what",
        "Von einer Bestellung mit Gutschein ging Geld zurück, und es ist nicht klar, wofür.",
        "Money went back of an order with a gift card, and it is not clear for what.",
    ),
    (
        r"goods and a gift card were exchanged for each other",
        "Ware und ein Gutschein wurden gegeneinander getauscht.",
        "Goods and a gift card were exchanged for each other.",
    ),
    (
        r"a gift card was paid with '(?P<what>.*)', whose money is matched in sevdesk",
        "Ein Gutschein wurde mit {what} bezahlt; dieses Geld wird in sevdesk zugeordnet.",
        "A gift card was paid with {what}, whose money is matched in sevdesk.",
    ),
    (
        r"a gift card was paid from the account of the gift cards",
        "Ein Gutschein wurde vom Konto der Gutscheine bezahlt.",
        "A gift card was paid from the account of the gift cards.",
    ),
    (r"a gift card was sold", "Es wurde ein Gutschein verkauft.", "A gift card was sold."),
    (r"import duties were charged", "Es wurden Einfuhrabgaben berechnet.", "Import duties were charged."),
    (
        r"an? (additional )?fee was charged without tax",
        "Es wurde eine Gebühr ohne Steuer berechnet.",
        "A fee was charged without tax.",
    ),
    (
        r"nobody has decided how gateway '(?P<what>.*)' is booked",
        "Für die Zahlungsart {what} ist nicht festgelegt, wie sie gebucht wird.",
        "Nobody has decided how the payment method {what} is booked.",
    ),
    (
        r"the money went back before the payment it corrects has come in sevdesk",
        "Das Geld ging zurück, bevor die zugehörige Zahlung in sevdesk ankam.",
        "The money went back before the payment it corrects has come in sevdesk.",
    ),
    (
        r"the line of (?P<what>.*) has not come in sevdesk yet",
        "Die Zeile der Zahlungsart {what} ist in sevdesk noch nicht angekommen.",
        "The line of {what} has not come in sevdesk yet.",
    ),
    (
        r"no line of (?P<what>.*) in sevdesk is surely this payment, (?P<days>\d+) days after it",
        "Keine Zeile der Zahlungsart {what} in sevdesk ist sicher diese Zahlung, {days} Tage danach.",
        "No line of {what} in sevdesk is surely this payment, {days} days after it.",
    ),
    (
        r"money went back through '(?P<what>.*)', whose account takes no line of ours",
        "Über {what} ging Geld zurück; auf dessen Konto lässt sich das nicht sicher buchen.",
        "Money went back through {what}, whose account takes no line of ours.",
    ),
    (
        r"nobody has named the account the feed of '(?P<what>.*)' fills",
        "Für {what} ist nicht festgelegt, welches Konto seine Umsätze bekommt.",
        "Nobody has named the account the feed of {what} fills.",
    ),
    (
        r"one transaction belongs to several documents, and its line is in one piece",
        "Eine Zahlung gehört zu mehreren Belegen, und ihre Zeile ist aus einem Stück.",
        "One payment belongs to several documents, and its line is in one piece.",
    ),
    (
        r"(?P<sum>\d+) minor units more were paid than the invoice carries",
        "Es kam {sum} mehr an, als die Rechnung noch trägt.",
        "{sum} more were paid than the invoice still carries.",
    ),
    (
        r"the order was refunded|money went back to the buyer",
        "Dem Käufer wurde Geld erstattet. Die Rechnung ist noch nicht korrigiert.",
        "Money went back to the buyer. The invoice is not corrected yet.",
    ),
    (
        r"goods were returned",
        "Es wurde eine Rücksendung vereinbart. Die Rechnung ist noch nicht korrigiert.",
        "Goods were returned. The invoice is not corrected yet.",
    ),
    (
        r"the order was edited after its tax point|more was ordered after the tax point",
        "Die Bestellung wurde nach dem Steuerzeitpunkt geändert. Die Rechnung zeigt noch den alten Stand.",
        "The order was changed after its tax point. The invoice still shows what it was.",
    ),
    (
        r"the order was cancelled after its tax point",
        "Die Bestellung wurde nach dem Steuerzeitpunkt storniert.",
        "The order was cancelled after its tax point.",
    ),
    (
        r"the order was cancelled, and money or goods have moved",
        "Die Bestellung wurde storniert, nachdem Geld oder Ware bewegt war.",
        "The order was cancelled, and money or goods have moved.",
    ),
    (
        r"a (chargeback|inquiry|\w+) is (lost|won|accepted|charge_refunded|needs_response|under_review|prevented)",
        "Der Käufer hat der Zahlung bei seiner Bank widersprochen. Allein das ändert keine Steuer.",
        "The buyer disputes the payment at the bank. That alone changes no tax.",
    ),
    (
        r"shop currency (?P<a>\w+), buyer paid in (?P<b>\w+): only EUR is posted",
        "Der Laden rechnet in {a}, der Käufer zahlte in {b}: Gebucht wird nur EUR.",
        "Shop currency {a}, buyer paid in {b}: only EUR is posted.",
    ),
    (
        r"a test transaction on a real order",
        "Eine echte Bestellung hat eine Testzahlung.",
        "A real order has a test payment.",
    ),
    (
        r"money came in and nothing is owed any more",
        "Es kam Geld an, und es ist nichts mehr geschuldet.",
        "Money came in, and nothing is owed any more.",
    ),
    (
        r"a part of the price, (?P<sum>\d+) minor units, came in before the end of (?P<month>[\d/]+)",
        "Ein Teil des Preises ({sum}) kam vor Ende {month} und gehört in dessen Umsatzsteuer.",
        "A part of the price ({sum}) came in before the end of {month} and is taxed there.",
    ),
    (
        r"a refund after go-live of an order invoiced before it",
        "Eine Erstattung nach dem Stichtag zu einer Bestellung, die vor ihm berechnet wurde.",
        "A refund after go-live of an order invoiced before it.",
    ),
    (
        r"the books are closed until .*",
        "Der Zeitraum ist abgeschlossen.",
        "The period is closed.",
    ),
    (
        r"tax at (?P<rate>[\d.]+) %: .*|the tax of a line is not (?P<rate2>[\d.]+) % of its price",
        "Die Steuer im Laden passt nicht zum Steuersatz.",
        "The shop's tax does not fit its rate.",
    ),
    (
        r"the e-invoice lacks: (?P<lacks>.+)",
        "Der E-Rechnung fehlt: {lacks}.",
        "The e-invoice lacks: {lacks}.",
    ),
    (
        r"the draft was changed in sevdesk.*",
        "Unser Entwurf wurde in sevdesk geändert. Er wird weder überschrieben noch verschickt.",
        "Our draft was changed in sevdesk. It is neither overwritten nor sent.",
    ),
    (
        r"the draft was deleted in sevdesk",
        "Unser Entwurf wurde in sevdesk gelöscht.",
        "Our draft was deleted in sevdesk.",
    ),
    (
        r"the invoice is already paid",
        "Die Rechnung ist in sevdesk bereits bezahlt.",
        "The invoice is already paid in sevdesk.",
    ),
    (
        r"several contacts in sevdesk may be this buyer",
        "In sevdesk gibt es mehrere Kontakte, die dieser Käufer sein können.",
        "Several contacts in sevdesk may be this buyer.",
    ),
    (
        r"the contact in sevdesk does not carry the document's VAT id",
        "Der Kontakt in sevdesk trägt nicht die USt-IdNr. des Belegs. Die Zusammenfassende Meldung liest sie dort.",
        "The contact in sevdesk does not carry the document's VAT id. The recapitulative statement reads it there.",
    ),
    (
        r"several finalised invoices carry this order's note",
        "In sevdesk gibt es mehrere Rechnungen zu dieser Bestellung.",
        "There are several invoices for this order in sevdesk.",
    ),
)
_COMPILED = tuple((re.compile(pattern), texts) for pattern, *texts in _MESSAGES)

#: What an e-invoice may lack.
_LACKS: dict[str, str] = {
    "the buyer's name": "der Name des Käufers",
    "the buyer's street": "die Straße des Käufers",
    "the buyer's postal code": "die Postleitzahl des Käufers",
    "the buyer's city": "der Ort des Käufers",
    "the buyer's e-mail address": "die E-Mail-Adresse des Käufers",
    "the buyer's VAT id": "die USt-IdNr. des Käufers",
    "a buyer reference (PO number)": "ein Zeichen des Käufers (Bestellnummer)",
    "payment terms with a due date": "ein Zahlungsziel",
    "the account's address": "die Anschrift des sevdesk-Kontos",
    "the account's IBAN": "die IBAN des sevdesk-Kontos",
    "the account's BIC": "die BIC des sevdesk-Kontos",
    "the account's e-mail address": "die E-Mail-Adresse des sevdesk-Kontos",
    "the account's telephone number": "die Telefonnummer des sevdesk-Kontos",
    "the account's tax number": "die Steuernummer des sevdesk-Kontos",
    "the account's VAT id": "die USt-IdNr. des sevdesk-Kontos",
    "the contact's buyer reference": "das Zeichen des Käufers am Kontakt",
    "the contact's e-mail address": "die E-Mail-Adresse am Kontakt",
    "a payment method of the account": "eine Zahlungsart in sevdesk",
    "something sevdesk does not name": "etwas, das sevdesk nicht nennt",
    "quantities whose prices agree with the tax to the cent": "Mengen, deren Preise zur Steuer auf den Cent passen",
}

CHOICES: dict[str, str] = {
    "add it in Shopify": "in Shopify ergänzen",
    "cancel the surplus credit note in sevdesk": "die überzählige Rechnungskorrektur in sevdesk löschen",
    "look at its effect again": "die Wirkung noch einmal ansehen",
    "claim it back from the provider": "beim Zahlungsdienst zurückfordern",
    "change the profile": "das Profil ändern",
    "correct it by a credit note in sevdesk": "in sevdesk durch eine Rechnungskorrektur berichtigen",
    "correct it by hand": "von Hand berichtigen",
    "finalise or delete the draft in sevdesk": "den Entwurf in sevdesk abschließen oder löschen",
    "leave it to the bookkeeper": "der Buchhaltung überlassen",
    "it is for this order": "sie ist für diese Bestellung",
    "it is not for this order": "sie ist nicht für diese Bestellung",
    "mark it paid in Shopify all the same": "in Shopify trotzdem als bezahlt markieren",
    "wait for the rest": "auf den Rest warten",
    "refund it in Shopify": "in Shopify erstatten",
    "link the payment in sevdesk": "die Zahlung in sevdesk verknüpfen",
    "name the earlier invoice": "die frühere Rechnung nennen",
    "plan again": "neu planen",
    "split and link it by hand in sevdesk": "in sevdesk von Hand aufteilen und verknüpfen",
    "the return was corrected": "die Voranmeldung ist berichtigt",
    "write it dated today": "mit heutigem Datum schreiben",
    "add it in sevdesk": "in sevdesk ergänzen",
    "add the address in Shopify": "die Adresse in Shopify ergänzen",
    "as charged": "so wie berechnet",
    "book by hand": "von Hand buchen",
    "cancel it and write a new e-invoice by hand": "stornieren und von Hand eine neue E-Rechnung schreiben",
    "cancel the invoice by hand": "die Rechnung von Hand stornieren",
    "cancel the surplus invoice in sevdesk": "die überzählige Rechnung in sevdesk stornieren",
    "correct it by hand in sevdesk": "in sevdesk von Hand korrigieren",
    "correct the cause, then go": "die Ursache beheben, dann ladenbuch go",
    "correct the contact in sevdesk": "den Kontakt in sevdesk berichtigen",
    "correct the shop": "die Steuereinstellung im Laden berichtigen",
    "create a new contact": "einen neuen Kontakt anlegen",
    "credit by hand": "die Korrektur von Hand schreiben",
    "decide by hand": "von Hand entscheiden",
    "decide the tax rule by hand": "die Steuerregel von Hand entscheiden",
    "delete our line": "unsere Buchungszeile löschen",
    "electronic": "elektronische Leistung",
    "exclude": "ausnehmen",
    "exclude the order": "die Bestellung ausnehmen",
    "follow the goods": "den Waren folgen",
    "fraud": "Betrug",
    "goodwill": "Kulanz",
    "keep both": "beide behalten",
    "keep it as credit": "als Guthaben behalten",
    "keep the documents": "die Belege behalten",
    "leave the invoice as it is": "die Rechnung lassen, wie sie ist",
    "liability": "Verbindlichkeit",
    "link it by hand in sevdesk": "in sevdesk von Hand verknüpfen",
    "look into it": "nachsehen",
    "look into it in sevdesk": "in sevdesk nachsehen",
    "look it up in Shopify": "in Shopify nachsehen",
    "multi-purpose: liability": "Mehrzweckgutschein: Verbindlichkeit",
    "name the account": "das Konto benennen",
    "name the reason": "den Grund nennen",
    "open the period": "den Zeitraum wieder öffnen",
    "passed to staff": "an die Mitarbeiter weitergegeben",
    "post by hand": "von Hand buchen",
    "read the order again later": "die Bestellung später noch einmal lesen",
    "it was sent": "er wurde verschickt",
    "it is another sale, invoice it": "es ist ein anderer Verkauf, berechnen",
    "recreate": "neu anlegen",
    "register for OSS and set oss_from": "für OSS registrieren und oss_from setzen",
    "refund the difference": "die Differenz zurückzahlen",
    "reset one of them in sevdesk": "eine davon in sevdesk zurücksetzen",
    "restore ours": "unseren Entwurf wiederherstellen",
    "send it by hand": "von Hand senden",
    "send the letter": "den Brief senden",
    "send an ordinary invoice": "eine gewöhnliche Rechnung senden",
    "send the credit note as an ordinary document": "die Rechnungskorrektur als gewöhnlichen Beleg senden",
    "service": "andere Leistung",
    "service at the place of use": "Leistung am Ort der Nutzung",
    "single-purpose: taxed now": "Einzweckgutschein: jetzt versteuern",
    "take theirs": "den geänderten Entwurf übernehmen",
    "taxed at the main rate of the goods": "zum Hauptsatz der Waren versteuern",
    "try again": "noch einmal versuchen",
    "uncollectible": "uneinbringlich",
    "update the connector": "den Konnektor aktualisieren",
    "use the supported value": "den unterstützten Wert verwenden",
    "wait for the bank": "auf die Bank warten",
    "leave it in one invoice": "in einer Rechnung lassen",
    "write an advance invoice for the part by hand": "eine Anzahlungsrechnung für den Teil von Hand schreiben",
    "bank": "bank: über das Bankkonto",
    "off": "off: nicht aus Shopify buchen",
    "clearing+payouts": "clearing+payouts: über ein Verrechnungskonto",
}

_CAUSES: dict[str, _Text] = {
    "money of gateways that are matched in sevdesk or booked by hand": (
        "dieses Geld wird in sevdesk zugeordnet",
        "this money is matched in sevdesk",
    ),
    "not paid yet": ("noch nicht bezahlt", "not paid yet"),
}


def recognised(message: str) -> bool:
    """Whether the message says more than its code, in both languages."""
    return any(pattern.fullmatch(message) for pattern, _ in _COMPILED)


def sentence(language: Language, code: str | None, message: str = "") -> str:
    """What a code with its message says; the message itself where nothing better is known."""
    for pattern, texts in _COMPILED:
        found = pattern.fullmatch(message)
        if found is not None:
            return texts[0 if language == "de" else 1].format(**_named(language, found.groupdict()))
    if code in SENTENCES and (language == "de" or not message):
        return SENTENCES[code][0 if language == "de" else 1]
    return message


def _named(language: Language, groups: dict[str, str]) -> dict[str, str]:
    values = dict(groups)
    if "place" in values:
        values["place"] = country(language, values["place"])
    if "area" in values and language == "de":
        values["area"] = GERMAN.get(values["area"], values["area"])
    if "lacks" in values and language == "de":
        values["lacks"] = ", ".join(_LACKS.get(each, each) for each in values["lacks"].split(", "))
    if "sum" in values:
        values["sum"] = money(language, int(values["sum"]))
    if "rate" in values and language == "de":
        values["rate"] = values["rate"].replace(".", ",")
    return values


_CONTACT = re.compile(r"use contact (?P<id>\d+)(?: \(customer number (?P<number>.+)\))?")


def choice(language: Language, text: str) -> str:
    """A choice as it is offered."""
    if language != "de":
        return text
    contact = _CONTACT.fullmatch(text)
    if contact is not None:
        number = f" (Kundennummer {contact['number']})" if contact["number"] else ""
        return f"den Kontakt {contact['id']} verwenden{number}"
    invoice = adoptable(text)
    return CHOICES.get(text, text) if invoice is None else f"die Rechnung {invoice} übernehmen"


def cause(language: Language, text: str) -> str:
    """Why something is still open: a sentence of the certificate, or a code."""
    if text in _CAUSES:
        return _CAUSES[text][0 if language == "de" else 1]
    return sentence(language, text) or text.removeprefix("attention ")


def source(language: Language, text: str) -> str:
    """The legal source of a decision, quoted the way the language quotes laws."""
    text = re.sub(r"§(?=\d)", "§ ", text)
    if language == "de":
        text = re.sub(r"(§ \d+\w?) \((\d+)\)", r"\1 Abs. \2", text)
        text = text.replace(" no. ", " Nr. ").replace("sevdesk tax rule", "sevdesk-Steuerregel")
    return text
