"""What each code says that has no words of its own in `codes`: one sentence in German and in English.

Where the message of a code is recognised (`codes._MESSAGES`), that is said; an English page says the message, a German
one what stands here. A test holds the list against docs/reference/codes.md.
"""

from __future__ import annotations

BY_CODE: dict[str, tuple[str, str]] = {
    # Decisions about an order: what is asked, where the message says no more.
    "CURRENCY": (
        "Laden oder Käufer rechnen nicht in Euro; gebucht wird nur Euro.",
        "Shop or buyer do not reckon in EUR; only EUR is posted.",
    ),
    "TAX-PLACE": (
        "Es steht nicht fest, zu welchem Steuergebiet die Anschrift gehört.",
        "It is not clear which VAT area the address belongs to.",
    ),
    "TAX-FOREIGN": (
        "Es wurde Steuer eines anderen Landes berechnet; keine Regel passt.",
        "Tax of another country was charged; no rule covers it.",
    ),
    "TAX-THRESHOLD": (
        "Die EU-Schwelle ist überschritten, und eine OSS-Registrierung ist nicht bekannt.",
        "The EU threshold is passed, and no OSS registration is known.",
    ),
    "TAX-KIND": ("Es ist nicht festgelegt, was das nicht Versandte ist.", "It is not known what is not shipped."),
    "TAX-CONFLICT": (
        "Es wurde Steuer berechnet, obwohl der Käufer eine gültige USt-IdNr. hat.",
        "Tax was charged although the buyer has a valid VAT id.",
    ),
    "TAX-SMALL-BUSINESS": ("Ein Kleinunternehmer hat Umsatzsteuer berechnet.", "A small business charged VAT."),
    "DOCUMENT-UNBOOKED": (
        "Ein Beleg trägt unseren Vermerk und fehlt in den Büchern.",
        "A document carries our note and is not in our books.",
    ),
    "DRAFT-LEFT": (
        "Neben einem gebuchten Beleg steht ein zweiter Entwurf von uns.",
        "A second draft of ours stands beside a posted document.",
    ),
    "LINE-OFF": (
        "Eine von uns verknüpfte Zahlung ist nicht mehr verknüpft; der Beleg ist anders bezahlt.",
        "A payment we linked is not linked any more; the document is paid by another one.",
    ),
    "LINE-LOST": (
        "Eine von uns verknüpfte Zahlung steht nicht mehr auf ihrem Konto.",
        "A payment we linked is not on its account any more.",
    ),
    "MONEY-TWICE": (
        "Dasselbe Geld steht auf einem Konto von uns und auf einem anderen, oder es sind zwei gleiche Zahlungen.",
        "The same money stands on an account of ours and on another one, or there are two equal payments.",
    ),
    "VAT-ID-MISSING": (
        "Einer Firma in der EU wurde keine Steuer berechnet, und ihre USt-IdNr. fehlt.",
        "A company in the EU was charged no tax and gave no VAT id.",
    ),
    "VAT-ID-INVALID": (
        "Es wurde keine Steuer berechnet, und die USt-IdNr. ist ungültig oder passt nicht.",
        "No tax was charged, and the VAT id is invalid or does not fit.",
    ),
    "TAX-RATE": (
        "Der berechnete Steuersatz galt an diesem Tag dort nicht.",
        "The rate that was charged was no rate there on that day.",
    ),
    "TAX-ZERO": (
        "Es wurde keine Steuer berechnet, und nichts erklärt es.",
        "No tax was charged, and nothing explains it.",
    ),
    "TAX-CHANNEL": (
        "Der Verkaufskanal schuldet diese Steuer, nicht der Laden.",
        "The sales channel owes this tax, not the shop.",
    ),
    "TAX-ESTIMATED": ("Shopify nennt die Steuern selbst nur geschätzt.", "Shopify itself calls the taxes an estimate."),
    "TAX-SHIPPING": ("Der Versand ist anders besteuert als die Waren.", "Shipping is taxed otherwise than the goods."),
    "TAX-SHIP-FROM": ("Die Ware wurde nicht aus Deutschland versandt.", "The goods were not shipped from Germany."),
    "TAX-BOUND": ("Die Steuer im Laden passt nicht zum Steuersatz.", "The shop's tax does not fit its rate."),
    "GIFT-CARD": (
        "Ein Gutschein ist beteiligt, und es ist nicht festgelegt, wie er zu versteuern ist.",
        "A gift card is involved, and it is not decided how it is taxed.",
    ),
    "TIP": ("Der Käufer hat Trinkgeld gegeben.", "The buyer gave a tip."),
    "DUTY": ("Es wurden Einfuhrabgaben berechnet.", "Import duties were charged."),
    "FEE": ("Es wurde eine Gebühr berechnet.", "A fee was charged."),
    "CASH-ROUNDING": (
        "Der Betrag wurde für Bargeld gerundet, oder es gab Wechselgeld.",
        "The total was rounded for cash, or change was given.",
    ),
    "GATEWAY-UNMAPPED": (
        "Für die Zahlungsart ist nicht festgelegt, wie sie gebucht wird.",
        "Nobody has decided how the payment method is booked.",
    ),
    "FEED-UNMATCHED": (
        "Auf dem Konto ist keine Zeile sicher diese Zahlung.",
        "No line of the account is surely this payment.",
    ),
    "OFFLINE-REFUND": (
        "Geld ging über eine Zahlungsart zurück, deren Konto das nicht sicher nimmt.",
        "Money went back through a method whose account is not known to take it.",
    ),
    "GATEWAY-ACCOUNT": (
        "Das Konto der Zahlungsart gibt es in sevdesk nicht.",
        "The account of the payment method does not exist in sevdesk.",
    ),
    "ORIGIN-UNKNOWN": (
        "Geld ging zurück, und die frühere Rechnung ist nicht bekannt.",
        "Money went back, and the earlier invoice is not known.",
    ),
    "PERIOD-CLOSED": ("Der Zeitraum ist abgeschlossen.", "The period is closed."),
    "TEST-PAYMENT": ("Eine echte Bestellung hat eine Testzahlung.", "A real order has a test payment."),
    "TRANSFER-PARTIAL": (
        "Per Überweisung kam weniger, als die Bestellung verlangt.",
        "Less came in by transfer than the order owes.",
    ),
    "TRANSFER-UNCLEAR": (
        "Eine Überweisung ist vielleicht für diese Bestellung.",
        "A transfer may be for this order.",
    ),
    "TRANSFER-GONE": (
        "Eine Überweisung, von der der Laden weiß, ist in sevdesk nicht mehr da.",
        "A transfer the shop was told of is gone in sevdesk.",
    ),
    "TRANSFER-BACK": (
        "Die Bank hat Geld zurücküberwiesen, und Shopify kennt keine Erstattung.",
        "Money went back by the bank, and Shopify knows no refund.",
    ),
    "OVERPAID": ("Es kam mehr Geld, als die Bestellung verlangt.", "More money came than the order claims."),
    "PARTIAL-PREPAYMENT": (
        "Ein Teil des Preises kam in einem früheren Monat an.",
        "A part of the price came in an earlier month.",
    ),
    "REFUND": (
        "Geld oder Ware ging zurück, und es gibt noch keinen Beleg.",
        "Money or goods went back, and there is no document yet.",
    ),
    "RETURN": ("Ware kam zurück, und es gibt noch keinen Beleg.", "Goods came back, and there is no document yet."),
    "EDIT": ("Die Bestellung wurde nach dem Steuerzeitpunkt geändert.", "The order was changed after its tax point."),
    "CANCELLED": (
        "Die Bestellung wurde storniert, nachdem Geld oder Ware bewegt war.",
        "The order was cancelled after money or goods had moved.",
    ),
    "DISPUTE": ("Der Käufer widerspricht der Zahlung bei seiner Bank.", "The buyer disputes the payment at the bank."),
    "E-INVOICE": ("Der E-Rechnung fehlen Angaben.", "The e-invoice lacks data."),
    "PAYMENT-NOT-LINKED": (
        "Die Zahlung der Rechnung ist in sevdesk nicht verknüpft.",
        "The invoice's payment is not linked in sevdesk.",
    ),
    "PAID-MEANWHILE": (
        "Die Rechnung, die storniert werden sollte, ist inzwischen bezahlt.",
        "The invoice that was to be cancelled has been paid meanwhile.",
    ),
    "ARITHMETIC-DRIFT": (
        "sevdesk hat andere Summen berechnet als wir. Das Schreiben ist angehalten.",
        "sevdesk computed other sums than we did. Writing is stopped.",
    ),
    "DUPLICATE": (
        "In sevdesk gibt es mehrere Rechnungen zu dieser Bestellung.",
        "There are several invoices for this order in sevdesk.",
    ),
    "CONTACT-AMBIGUOUS": (
        "In sevdesk gibt es mehrere Kontakte, die dieser Käufer sein können.",
        "Several contacts in sevdesk may be this buyer.",
    ),
    "CONTACT-VAT-ID": (
        "Der Kontakt in sevdesk trägt eine andere USt-IdNr. als der Beleg.",
        "The contact in sevdesk carries another VAT id than the document.",
    ),
    "LINE-DIFFERS": (
        "Unsere Buchungszeile hat in sevdesk einen anderen Betrag.",
        "Our money line has another amount in sevdesk.",
    ),
    "LINE-GONE": ("Unsere Buchungszeile wurde in sevdesk gelöscht.", "Our money line was deleted in sevdesk."),
    "PAYOUT-DIFFERS": (
        "Eine Auszahlung ist nicht die Summe ihrer Bewegungen.",
        "A payout is not the sum of its movements.",
    ),
    "PAYOUT-CURRENCY": (
        "Shopify zahlt in einer anderen Währung aus.",
        "Shopify pays out in another currency.",
    ),
    "FEE-TERMS": (
        "Niemand hat gesagt, wer die Gebühren berechnet und wie sie besteuert werden.",
        "Nobody has said who asks the fees and how they are taxed.",
    ),
    "FEE-ACCOUNT": (
        "sevdesk erlaubt Konto oder Steuerregel der Gebühren nicht.",
        "sevdesk does not allow the account or tax rule of the fees.",
    ),
    "FEE-CREDIT": (
        "Es wurden Gebühren erstattet: bitte von Hand buchen und mit der Zeile verknüpfen.",
        "Fees were given back: book them by hand and link the line.",
    ),
    "FEE-DRAFT": ("Der Gebührenbeleg ist noch ein Entwurf.", "The fee voucher is still a draft."),
    "FEE-VOUCHER-DIFFERS": (
        "Der Gebührenbeleg lautet in sevdesk anders.",
        "The fee voucher says something else in sevdesk.",
    ),
    "FEE-VOUCHER-GONE": (
        "Der Gebührenbeleg wurde in sevdesk gelöscht.",
        "The fee voucher was deleted in sevdesk.",
    ),
    "NO-PAYMENTS": ("Der Laden hat kein Shopify Payments.", "The shop has no Shopify Payments."),
    "REPORT": (
        "Ein Abrechnungsbericht ist nicht lesbar oder ergibt nicht die Zeile der Bank.",
        "A settlement report is not readable, or does not add up to the bank's line.",
    ),
    "PAYOUTS-OFF": ("Auszahlungen werden nicht geführt.", "No payouts are kept."),
    "PAID-ELSEWHERE": (
        "Unsere Buchungszeile ist mit einem anderen Beleg verknüpft.",
        "Our money line is linked to another document.",
    ),
    "VAT-ID-UNCHECKED": ("Die USt-IdNr. wurde noch nicht geprüft.", "The VAT id was not checked yet."),
    "VAT-ID-UNAVAILABLE": (
        "Die USt-IdNr. konnte gerade nicht geprüft werden. Es wird wieder gefragt.",
        "The VAT id could not be checked now. It is asked about again.",
    ),
    "INCOMPLETE": (
        "Die Bestellung konnte nicht vollständig gelesen werden. Sie wird noch einmal gelesen.",
        "The order could not be read completely. It is read again.",
    ),
    # Findings about a month.
    "ORDER-UNKNOWN": (
        "Der Laden hat eine Bestellung, die nie bearbeitet wurde.",
        "The shop has an order that was never settled.",
    ),
    "ORDER-CHANGED": (
        "Die Bestellung hat sich im Laden geändert und wurde seither nicht angesehen.",
        "The order changed in the shop and was not looked at since.",
    ),
    "ORDER-ASKED": ("Zu der Bestellung muss jemand entscheiden.", "A person must decide about the order."),
    "ORDER-UNPROVED": (
        "Die Belege der Bestellung sind nicht die ihres Nachweises, oder er geht nicht auf.",
        "The order's documents are not what its certificate counts, or it does not hold.",
    ),
    "TAX-MONTH": (
        "Der Beleg trägt einen späteren Monat als den seiner Steuer.",
        "The document is dated in a later month than its tax arose.",
    ),
    "OSS-CORRECTION": (
        "Eine Rechnungskorrektur betrifft ein früheres OSS-Quartal.",
        "A credit note corrects an earlier quarter of the one-stop shop.",
    ),
    "ORDER-UNLISTED": (
        "Unsere Bücher haben eine Bestellung, die der Laden nicht auflistet.",
        "Our books hold an order that the shop does not list.",
    ),
    "ORDERS-HIDDEN": (
        "Der Laden zeigt ältere Bestellungen nicht: Der App fehlt read_all_orders.",
        "The shop hides older orders: the app lacks read_all_orders.",
    ),
    "DOCUMENT-MISSING": (
        "Eine Bestellung gilt als belegt, und unsere Bücher haben keinen Beleg von ihr.",
        "An order is called documented, and our books hold no document of it.",
    ),
    "DOCUMENT-GONE": (
        "sevdesk kennt einen Beleg unserer Bücher nicht.",
        "sevdesk does not know a document our books hold.",
    ),
    "DOCUMENT-ALTERED": (
        "Ein Beleg steht in sevdesk anders da, als wir ihn geschrieben haben.",
        "A document stands in sevdesk otherwise than we wrote it.",
    ),
    "DOCUMENT-CANCELLED": (
        "Die Rechnung wurde in sevdesk von Hand storniert.",
        "The invoice was cancelled in sevdesk by hand.",
    ),
    "DOCUMENT-FINALISED": (
        "Unser Entwurf wurde von Hand festgeschrieben; unsere Bücher wissen es noch nicht.",
        "Our draft was finalised by hand, and our books do not know yet.",
    ),
    "DOCUMENT-DOUBLE": (
        "Zwei festgeschriebene Belege in sevdesk gehören zum selben Vorgang.",
        "Two finalised documents in sevdesk carry one note.",
    ),
    "DOCUMENT-STRANGER": (
        "Ein Beleg in sevdesk trägt unseren Vermerk und steht nicht in unseren Büchern.",
        "A document carries our note and is not in our books.",
    ),
    "FACT-DOUBLE": ("Zwei unserer Belege belegen denselben Vorgang.", "Two documents of ours account for one fact."),
    "PAID-BY-HAND": (
        "Auf dem Beleg ist in sevdesk mehr bezahlt, als wir verknüpft haben.",
        "More is paid on a document in sevdesk than we linked.",
    ),
    "PAYMENT-GONE": (
        "Auf dem Beleg ist in sevdesk weniger bezahlt, als wir verknüpft haben.",
        "Less is paid on a document in sevdesk than we linked.",
    ),
    "NUMBER-MISSING": ("Zwischen zwei Rechnungsnummern fehlt eine.", "A number is missing between two that exist."),
    # Letters.
    "LETTER-UNCERTAIN": (
        "Es ist ungewiss, ob der Brief angekommen ist. Er wird nicht von selbst noch einmal gesendet.",
        "Whether the letter arrived is uncertain. It is not sent again by itself.",
    ),
    "LETTER-ADDRESS": (
        "Die E-Mail-Adresse des Käufers fehlt oder ist nicht brauchbar.",
        "The buyer's e-mail address is missing or not usable.",
    ),
    "LETTER-KIND": (
        "Diese Fassung weiß nicht, wie ein Brief dieser Art geschrieben wird.",
        "This version does not know how to write a letter of this kind.",
    ),
    "LETTER-RELAY": (
        "Kein Mailserver ist erreichbar, oder er nimmt nichts von uns an.",
        "No relay can be reached, or it takes nothing from us.",
    ),
    "LETTER-DELAYED": (
        "Das Postfach nimmt gerade keinen Brief an. Er wird später gesendet.",
        "The mailbox takes no letter now. It is sent later.",
    ),
    "LETTER-REFUSED": (
        "Der Mailserver lehnt diesen Brief oder seinen Empfänger ab.",
        "The relay refuses this letter or its recipient.",
    ),
    "LETTER-SENDER": ("Der Absender ist nicht brauchbar.", "The sender is not usable."),
    "LETTER-BCC": (
        "Der Brief hatte einen verborgenen Empfänger und wurde nicht gesendet.",
        "The letter had a hidden recipient and was not sent.",
    ),
    "SMTP-URL": ("Es ist kein Mailserver eingestellt.", "No relay is set."),
    # Later by itself.
    "STALE-RUN": ("Ein neuerer Lauf hat übernommen.", "A newer run has taken over."),
    "LEASE-BUSY": ("Ein anderer Lauf ist gerade daran.", "Another run is at it."),
    "CONTACT-BUSY": (
        "Ein anderer Lauf arbeitet am Kontakt dieses Käufers.",
        "Another run is at work on this buyer's contact.",
    ),
    "ENGINE-DOWN": ("Gerade kann nichts gestartet werden.", "Nothing can be started at the moment."),
    "UNKNOWN-RUN": ("Ein Lauf einer anderen Version wurde gefunden.", "A run of another version was found."),
    "BUG": (
        "Etwas Unvorhergesehenes ist gescheitert; das Protokoll sagt, wo.",
        "Something failed that nobody foresaw; the log has where.",
    ),
    "DB-BUSY": ("Die Datenbank ist überlastet.", "The database is at its limits."),
    "DB-DOWN": ("Die Datenbank ist nicht erreichbar.", "The database cannot be reached."),
    "DB-UNWRITABLE": (
        "Die Festplatte ist voll oder schreibgeschützt. Nichts Halbes bleibt zurück.",
        "The disk is full or read-only. Nothing half-written remains.",
    ),
    "DB-CORRUPT": (
        "Die Datenbankdatei ist beschädigt: anhalten und die Sicherung zurückholen.",
        "The database file is damaged: stop, and restore the backup.",
    ),
    "DB-COMMIT": (
        "Die Verbindung zur Datenbank riss ab. Vor jeder Wiederholung wird nachgesehen.",
        "The connection to the database broke. It is looked at before anything is repeated.",
    ),
    "DB-FORBIDDEN": (
        "Eine Zeile gehört einem anderen Laden: ein Programmfehler.",
        "A row belongs to another shop: a programming error.",
    ),
    "DB-CONSTRAINT": ("Eine Zeile gibt es schon: ein Programmfehler.", "A row exists already: a programming error."),
    "VAULT-KEY": (
        "Der Schlüssel, mit dem etwas versiegelt wurde, fehlt.",
        "The key something was sealed with is missing.",
    ),
    "VAULT-FORGOTTEN": (
        "Die Daten wurden vergessen und lassen sich nicht mehr öffnen.",
        "The data were forgotten and cannot be opened any more.",
    ),
    "VAULT-OPEN": (
        "Etwas Versiegeltes lässt sich nicht öffnen: Es wurde verändert.",
        "Something sealed does not open: it was altered.",
    ),
    "TENANT-UNKNOWN": ("Der Laden hat noch kein Profil.", "The shop has no profile yet."),
    "PROFILE": ("Das Profil ist nicht brauchbar.", "The profile cannot be used."),
    # Shopify.
    "SHOPIFY-THROTTLED": (
        "Das Abrufkontingent des Ladens ist gerade aufgebraucht.",
        "The shop's cost budget is used up.",
    ),
    "SHOPIFY-BREAKER": (
        "Shopify hat mehrmals nicht geantwortet und wird eine Weile in Ruhe gelassen.",
        "Shopify failed several times and is left alone for a while.",
    ),
    "SHOPIFY-DOWN": ("Shopify meldet einen Serverfehler.", "Shopify answered with a server error."),
    "SHOPIFY-INTERNAL": ("Shopify meldet einen internen Fehler.", "Shopify reported an internal error."),
    "SHOPIFY-UNREACHABLE": ("Shopify ist nicht erreichbar.", "Shopify cannot be reached."),
    "SHOPIFY-UNREADABLE": ("Die Antwort von Shopify ist unlesbar.", "Shopify's answer is unreadable."),
    "SHOPIFY-PARTIAL": ("Die Antwort von Shopify ist unvollständig.", "Shopify's answer is incomplete."),
    "SHOPIFY-TOKEN": ("Der Zugang zum Laden fehlt oder wird abgelehnt.", "The shop's token is missing or refused."),
    "SHOPIFY-REFUSED": ("Shopify hat die Zahlung nicht angenommen.", "Shopify refused what it was told of a payment."),
    "SHOPIFY-SCOPE": ("Der App fehlt eine Berechtigung.", "The app lacks a permission."),
    "SHOPIFY-FORBIDDEN": ("Die App darf das in diesem Laden nicht.", "The app may not do this in this shop."),
    "SHOPIFY-FROZEN": (
        "Der Laden ist gesperrt: Shopifys Rechnung ist offen.",
        "The shop is frozen: Shopify's bill is open.",
    ),
    "SHOPIFY-LOCKED": ("Shopify hat den Laden geschlossen.", "Shopify locked the shop."),
    "SHOPIFY-GONE": (
        "Diesen Laden oder diese Version der Schnittstelle gibt es nicht.",
        "There is no such shop or API version.",
    ),
    "SHOPIFY-REDIRECTED": (
        "Der Laden ist umgezogen. Der Token wurde dorthin nicht gesendet.",
        "The shop moved. The token was not sent there.",
    ),
    "SHOPIFY-COST": (
        "Eine Abfrage wäre zu teuer: ein Programmfehler.",
        "A query would cost too much: a programming error.",
    ),
    "SHOPIFY-QUERY": (
        "Shopify lehnt eine Abfrage ab: ein Programmfehler.",
        "Shopify refused a query: a programming error.",
    ),
    "SHOPIFY-DOCUMENT": ("Eine Abfrage fehlt in der Installation.", "A query file is missing from the installation."),
    "SHOPIFY-HTTP": ("Shopify antwortet unerwartet.", "Shopify answered unexpectedly."),
    "BULK-BUSY": ("Im Laden laufen so viele Exporte, wie er erlaubt.", "The shop runs as many exports as it may."),
    "BULK-REFUSED": ("Shopify exportiert das Gewünschte nicht.", "Shopify does not export what was asked for."),
    "BULK-FAILED": ("Shopify hat einen Export abgebrochen.", "Shopify gave up an export."),
    "BULK-CUT": ("Die Datei eines Exports brach immer wieder ab.", "The file of an export kept breaking off."),
    "BULK-INCOMPLETE": (
        "Der Datei eines Exports fehlt etwas; nichts davon zählt.",
        "The file of an export is incomplete; nothing of it counts.",
    ),
    "BULK-EXPIRED": ("Die Datei eines Exports gibt es nicht mehr.", "The file of an export is not there any more."),
    "BULK-ADDRESS": (
        "Die Datei eines Exports lag an fremder Adresse und wurde nicht geöffnet.",
        "The file of an export was at a foreign address and was not opened.",
    ),
    "NOT-FOUND": (
        "Shopify zeigt diese Bestellung nicht. Das heißt nicht, dass sie gelöscht ist.",
        "Shopify shows no such order. It is not taken for deleted.",
    ),
    "ORDER-SHAPE": ("Was von Shopify kam, ist keine Bestellung.", "What came from Shopify is not an order."),
    "MONEY-FORMAT": ("Was ein Betrag sein sollte, ist keiner.", "What should be an amount is none."),
    "MONEY-PRECISION": (
        "Ein Betrag hat Bruchteile eines Cents; es wird nicht gerundet.",
        "An amount has a fraction of a cent; it is not rounded.",
    ),
    "MONEY-WEIGHTS": (
        "Ein Betrag sollte auf nichts verteilt werden: ein Programmfehler.",
        "An amount was to be split over nothing: a programming error.",
    ),
    "OAUTH-GRANT": (
        "Der Zugang zum Laden ist verbraucht, widerrufen oder abgelaufen.",
        "The grant was used, revoked or has expired.",
    ),
    "OAUTH-CLIENT": (
        "Client-ID oder Geheimnis der App stimmen nicht, oder sie ist nicht installiert.",
        "The app's client id or secret is wrong, or it is not installed.",
    ),
    "OAUTH-REFRESH": ("Der Token zum Erneuern des Zugangs fehlt.", "The refresh token is missing."),
    "OAUTH-SHOP-NOT-PERMITTED": (
        "Der Laden gehört nicht zur Organisation der App.",
        "The shop is not in the app's organisation.",
    ),
    "OAUTH-REFUSED": (
        "Shopify verweigert den Zugang aus unbekanntem Grund.",
        "Shopify refuses a token for a reason we do not know.",
    ),
    "OAUTH-DOWN": ("Shopifys Anmeldung meldet einen Serverfehler.", "Shopify's token endpoint is unwell."),
    "OAUTH-UNREADABLE": (
        "Die Antwort von Shopifys Anmeldung ist unlesbar.",
        "The answer of Shopify's token endpoint makes no sense.",
    ),
    "OAUTH-INCOMPLETE": (
        "Shopify sagt nicht, bis wann der Zugang gilt. Nichts wurde gespeichert.",
        "Shopify does not say when the token expires. Nothing was stored.",
    ),
    "OAUTH-ONLINE": (
        "Der Zugang einer Person taugt nicht für diese Arbeit.",
        "A person's token is not for the work of jobs.",
    ),
    "PARTNER-BUDGET": (
        "Unser eigenes Kontingent für Shopifys Partner-Schnittstelle ist aufgebraucht.",
        "Our own budget for Shopify's Partner API is used up.",
    ),
    "PARTNER-TOKEN": (
        "Der Token der Partner-Schnittstelle wird abgelehnt.",
        "The token of the Partner API is refused.",
    ),
    "PARTNER-FORBIDDEN": (
        "Der Zugang zur Partner-Schnittstelle darf keine Apps verwalten.",
        "The Partner API client may not manage apps.",
    ),
    "PARTNER-GONE": (
        "Diese Organisation oder Version gibt es in der Partner-Schnittstelle nicht.",
        "The Partner API knows no such organisation or version.",
    ),
    "PARTNER-THROTTLED": ("Shopifys Partner-Schnittstelle bittet zu warten.", "Shopify's Partner API asks to wait."),
    "PARTNER-DOWN": (
        "Shopifys Partner-Schnittstelle meldet einen Serverfehler.",
        "Shopify's Partner API answered with a server error.",
    ),
    "PARTNER-UNREACHABLE": (
        "Shopifys Partner-Schnittstelle ist nicht erreichbar.",
        "Shopify's Partner API cannot be reached.",
    ),
    "PARTNER-UNREADABLE": (
        "Die Antwort der Partner-Schnittstelle ist unlesbar.",
        "The Partner API's answer is unreadable.",
    ),
    "PARTNER-HTTP": ("Die Partner-Schnittstelle antwortet unerwartet.", "The Partner API answered unexpectedly."),
    "PARTNER-QUERY": ("Die Partner-Schnittstelle lehnt die Abfrage ab.", "The Partner API refused the query."),
    "BILLING-REFUSED": ("Shopify lehnt eine Berechnung ab.", "Shopify refused a charge."),
    "BILLING-NO-PLAN": (
        "Der Laden hat keinen Tarif, auf den Nutzung berechnet werden kann.",
        "The shop has no plan with usage to charge on.",
    ),
    "BILLING-UNREAD": (
        "Ob der Laden bezahlt, war nicht lesbar; was vorher galt, gilt weiter.",
        "Whether the shop pays could not be read; what held before goes on.",
    ),
    # sevdesk.
    "SEVDESK-TOKEN": (
        "sevdesk lehnt den Token ab, oder er fehlt. Das Schreiben ist angehalten.",
        "sevdesk refuses the token, or it is missing. Writing is stopped.",
    ),
    "SEVDESK-FORBIDDEN": (
        "sevdesk erlaubt den Aufruf nicht: Tarif oder Benutzer prüfen.",
        "sevdesk does not allow the call: look at plan and user.",
    ),
    "SEVDESK-BUSY": ("sevdesk bittet zu warten.", "sevdesk asks to wait."),
    "SEVDESK-BUDGET": (
        "Unser eigenes Kontingent für sevdesk ist gerade aufgebraucht.",
        "Our own budget for sevdesk is used up.",
    ),
    "SEVDESK-BREAKER": (
        "sevdesk hat mehrmals nicht geantwortet und wird eine Weile in Ruhe gelassen.",
        "sevdesk failed several times and is left alone for a while.",
    ),
    "SEVDESK-UNAVAILABLE": ("sevdesk meldet einen Serverfehler.", "sevdesk answered with a server error."),
    "SEVDESK-UNREACHABLE": ("sevdesk ist nicht erreichbar.", "sevdesk cannot be reached."),
    "SEVDESK-LATE": (
        "Der Lauf stand vor seinem Aufruf still; es wurde nichts gesendet.",
        "The run stood still before its call; nothing was sent.",
    ),
    "SEVDESK-LOST": (
        "Die Verbindung zu sevdesk riss vor der Antwort ab. Es wird nachgesehen.",
        "The connection broke before the answer. It is looked for.",
    ),
    "SEVDESK-BODY": (
        "Die Antwort von sevdesk ist unlesbar. Es wird nachgesehen.",
        "sevdesk's answer is unreadable. It is looked for.",
    ),
    "SEVDESK-UNCLEAR": ("sevdesk meldet einen unbekannten Fehler.", "sevdesk reports an error we do not know."),
    "SEVDESK-PDF": ("Das PDF ist in sevdesk noch nicht fertig.", "The PDF is not ready in sevdesk."),
    "SEVDESK-XML": (
        "Das XML der E-Rechnung ist in sevdesk noch nicht fertig.",
        "The XML of the e-invoice is not ready in sevdesk.",
    ),
    "SEVDESK-SHAPE": (
        "Einer Antwort von sevdesk fehlt das Entscheidende; geraten wird nicht.",
        "An answer of sevdesk lacks what identifies it; it is not guessed.",
    ),
    "SEVDESK-IMPLAUSIBLE": (
        "sevdesk hat eine Suche falsch beantwortet; darauf wird nichts angelegt.",
        "sevdesk answered a search wrongly; nothing is created on it.",
    ),
    "SEVDESK-DUPLICATE": ("Mehrere Buchungszeilen tragen denselben Schlüssel.", "Several lines carry the same key."),
    "SEVDESK-KEY": ("Eine Suche ohne Schlüssel: ein Programmfehler.", "A search without a key: a programming error."),
    "SEVDESK-ID": (
        "Etwas ist keine Kennung von sevdesk: ein Programmfehler.",
        "Something is no sevdesk id: a programming error.",
    ),
    "SEVDESK-NOTE": (
        "Der Vermerk bliebe in sevdesk nicht, wie er ist: das Ladenkürzel prüfen.",
        "The note would not survive as it is: check the shop key.",
    ),
    "SEVDESK-NUMBER": (
        "Die Nummer der Rechnungskorrektur fehlt oder ist inzwischen vergeben.",
        "The credit note's number is missing or was taken meanwhile.",
    ),
    "SEVDESK-SEQUENCE": (
        "Das Nummernformat der Rechnungskorrekturen hat unbekannte Teile.",
        "The number format of credit notes has parts we do not understand.",
    ),
    "SEVDESK-SIGN": (
        "Zurückgezahltes Geld hätte das falsche Vorzeichen: ein Programmfehler.",
        "Money given back had the wrong sign: a programming error.",
    ),
    "SEVDESK-REDIRECT": (
        "sevdesk verweist an eine andere Adresse. Der Token wurde dorthin nicht gesendet.",
        "sevdesk answered with a redirect. The token was not sent there.",
    ),
    "SEVDESK-REFERENCE": (
        "Ein Verweis ist unvollständig: ein Programmfehler.",
        "A reference is not complete: a programming error.",
    ),
    "SEVDESK-ENSHRINED": ("Der Beleg ist schon festgeschrieben.", "The document is already enshrined."),
    "SEVDESK-TAX-RATE": ("sevdesk nimmt den Steuersatz nicht an.", "sevdesk does not accept the rate."),
    "SEVDESK-TAX-RULE": ("sevdesk nimmt die Steuerregel nicht an.", "sevdesk does not accept the tax rule."),
    "SEVDESK-COUNTRY": ("sevdesk kennt dieses Land nicht oder mehrmals.", "sevdesk knows no such country, or several."),
    "SEVDESK-UNITY": ("In sevdesk fehlt die Einheit für Stück.", "sevdesk has no unit for pieces."),
    "SEVDESK-USER": (
        "In sevdesk gibt es keinen Benutzer, der Ansprechpartner sein kann.",
        "The account shows no user to name as contact person.",
    ),
    "SEVDESK-151": (
        "sevdesk kennt das Objekt nicht; meist hat es jemand gelöscht.",
        "sevdesk does not know the object; usually a person deleted it.",
    ),
    "SEVDESK-159": ("Das lässt sich in sevdesk nicht löschen.", "It cannot be deleted in sevdesk."),
    "SEVDESK-170": (
        "Zu der Rechnung gibt es schon eine Korrektur; sie lässt sich nicht stornieren.",
        "A credit note exists for the invoice, so it cannot be cancelled.",
    ),
    "SEVDESK-390": (
        "Eine teilweise bezahlte Rechnung lässt sich nicht stornieren.",
        "A partly paid invoice cannot be cancelled.",
    ),
    "SEVDESK-421": (
        "Die Rechnung ist schon storniert, und die Stornorechnung trägt unseren Vermerk nicht.",
        "The invoice is already cancelled, and its cancellation does not carry our note.",
    ),
    "SEVDESK-455": ("Die Korrekturen wären höher als die Rechnung.", "Credit notes would exceed the invoice."),
    "SEVDESK-456": (
        "Steuerregel oder Steuersatz der Korrektur passen nicht zur Rechnung.",
        "The credit note's tax rule or rate does not fit its invoice.",
    ),
    "SEVDESK-460": (
        "Die Lieferdaten von Korrektur und Rechnung passen nicht zusammen.",
        "The delivery dates of credit note and invoice do not go together.",
    ),
    "SEVDESK-750": ("Der Beleg ist in sevdesk schon bezahlt.", "The document is already paid in sevdesk."),
    "SEVDESK-751": ("Der Beleg ist in sevdesk schon bezahlt.", "The voucher is already paid in sevdesk."),
    "SEVDESK-830": ("Der E-Rechnung fehlen Pflichtangaben.", "Mandatory data of an e-invoice is missing."),
    "SEVDESK-PAYMENT-METHOD": (
        "In sevdesk fehlt die Zahlungsart für E-Rechnungen.",
        "The account has no payment method for e-invoices.",
    ),
    "SEVDESK-7100": (
        "Die Steuerregel ist für dieses Konto nicht erlaubt, oder die Summe ist negativ.",
        "The tax rule is not allowed for this account, or the total is negative.",
    ),
    "SEVDESK-90400": ("Der Beleg ist in sevdesk im falschen Stand.", "The document is in the wrong state in sevdesk."),
    "DRAFT-UNBALANCED": (
        "Positionen, Steuern und Forderung gehen nicht auf; es wurde nichts gesendet.",
        "Positions, taxes and claim do not add up; nothing was sent.",
    ),
    "DRAFT-POSITION": (
        "Eine Position hat keinen Namen oder einen negativen Betrag; es wurde nichts gesendet.",
        "A position has no name or a negative amount; nothing was sent.",
    ),
    "DRAFT-DATES": (
        "Die Lieferung läge nach dem Rechnungsdatum; es wurde nichts gesendet.",
        "The delivery would lie after the invoice date; nothing was sent.",
    ),
    "DRAFT-E-INVOICE": (
        "Der E-Rechnung fehlt etwas; es wurde nichts gesendet.",
        "The e-invoice lacks something; nothing was sent.",
    ),
    "DRAFT-EXCEEDS-ORIGIN": (
        "Die Korrektur wäre höher als ihre Rechnung; es wurde nichts gesendet.",
        "The correction would exceed its invoice; nothing was sent.",
    ),
    # Deliveries that are not about an order.
    "NOTHING-TO-DO": (
        "Daraus folgt nichts, oder es ist schon geschehen.",
        "Nothing is done because of it, or it was done before.",
    ),
    "SCOPES-CHANGED": ("Der Laden erlaubt der App anderes als vorher.", "The shop grants other scopes than before."),
    "SUBSCRIPTION-READ": (
        "Das Abonnement der App wurde neu gelesen.",
        "The shop's subscription of the app was read again.",
    ),
    "CAP-APPROACHING": ("Die Nutzung der App nähert sich ihrer Grenze.", "Usage of the app comes close to its cap."),
    "UNREADABLE": ("Die Nachricht ist echt, aber nicht lesbar.", "The message is genuine and cannot be read."),
    "WRONG-SHOP": (
        "Die Nachricht kam unter dem Namen eines anderen Ladens.",
        "The message came under another shop's name.",
    ),
    "STILL-INSTALLED": (
        "Die Nachricht sagt, die App sei deinstalliert; ihr Zugang gilt aber noch.",
        "The message says the app was uninstalled, and its token still works.",
    ),
    "UNINSTALLED": ("Die App wurde deinstalliert; die Bücher bleiben.", "The app was uninstalled; the books are kept."),
    "IDENTIFIED": ("Der Laden wurde noch einmal gefragt, wer er ist.", "The shop was asked again who it is."),
}
