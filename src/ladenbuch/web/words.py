"""The dashboard's words in German and English: every text has one key and stands in both languages.

German first: the readers are merchants and their bookkeepers. Plural forms are two keys, `….one` and
`….many`.
"""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["de", "en"]

WORDS: dict[str, tuple[str, str]] = {
    "title.overview": ("Überblick", "Overview"),
    "title.orders": ("Bestellungen", "Orders"),
    "title.attention": ("Zu entscheiden", "To decide"),
    "title.running": ("Betrieb", "Running"),
    "title.given_up": ("Aufgegeben", "Given up"),
    "title.connection": ("Verbindung", "Connection"),
    "title.reconciliation": ("Abgleich", "Reconciliation"),
    "title.missing": ("Nicht gefunden", "Not found"),
    "title.unavailable": ("Gerade nicht lesbar", "Not readable right now"),
    "nav": ("Hauptnavigation", "Main navigation"),
    "skip": ("Zum Inhalt", "Skip to content"),
    "shop": ("Laden", "Shop"),
    "shop.all": ("Alle Läden", "All shops"),
    "shop.show": ("Anzeigen", "Show"),
    # the one sentence
    "say.none": (
        "Noch keine Bestellung. Die erste erscheint hier von selbst.",
        "No order yet. The first one appears here by itself.",
    ),
    "say.all.one": (
        "Die eine Bestellung ist nachgewiesen, auf den Cent.",
        "The one order is accounted for, to the cent.",
    ),
    "say.all.many": (
        "{n} von {n} Bestellungen sind nachgewiesen, auf den Cent.",
        "{n} of {n} orders are accounted for, to the cent.",
    ),
    "say.some": (
        "{done} von {n} Bestellungen sind nachgewiesen, auf den Cent.",
        "{done} of {n} orders are accounted for, to the cent.",
    ),
    "say.attention.one": ("Eine Bestellung braucht Ihre Entscheidung.", "One order needs your decision."),
    "say.attention.many": ("{n} Bestellungen brauchen Ihre Entscheidung.", "{n} orders need your decision."),
    "say.progress.one": ("Eine ist gerade in Arbeit.", "One is being worked on."),
    "say.progress.many": ("{n} sind gerade in Arbeit.", "{n} are being worked on."),
    "say.nothing": ("Es gibt nichts für Sie zu tun.", "There is nothing for you to do."),
    "all.attention": ("Alle {n} ansehen", "See all {n}"),
    # the reconciliation
    "reconciled.means": (
        "Verglichen wird alle paar Minuten, was sich geändert hat, und jede Nacht alles.",
        "What changed is compared every few minutes, and everything every night.",
    ),
    "reconciled.never": ("Noch nicht abgeglichen.", "Not reconciled yet."),
    "reconciled.good": ("Laden, Bücher und sevdesk stimmen überein.", "Shop, books and sevdesk agree."),
    "reconciled.left.one": ("Eine Abweichung ist offen.", "One difference is open."),
    "reconciled.left.many": ("{n} Abweichungen sind offen.", "{n} differences are open."),
    "reconciled.whole": (
        "Vollständig abgeglichen am {when}: {orders} Bestellungen, {documents} Belege.",
        "Compared as a whole on {when}: {orders} orders, {documents} documents.",
    ),
    "reconciled.changes": ("Zuletzt nach Änderungen gesehen am {when}.", "Last look at changes on {when}."),
    "reconciled.more": ("und {n} weitere", "and {n} more"),
    # the balance
    "balance": ("Wo jede Bestellung steht", "Where every order stands"),
    "balance.sum": ("Bestellungen insgesamt", "Orders in total"),
    "balance.progress": ("In Arbeit", "In progress"),
    "count": ("Anzahl", "Count"),
    "state": ("Stand", "State"),
    "state.documented": ("Belegt", "Documented"),
    "state.waiting": ("Wartet", "Waiting"),
    "state.excluded": ("Ausgenommen", "Excluded"),
    "state.attention": ("Zu entscheiden", "To decide"),
    "state.open": ("In Arbeit", "In progress"),
    "state.documented.means": ("Rechnung in sevdesk, geprüft", "invoice in sevdesk, checked"),
    "state.waiting.means": ("auf Geld oder Versand", "for money or shipment"),
    "state.excluded.means": ("kein Beleg nötig, mit Grund", "no document needed, with a reason"),
    "state.attention.means": ("braucht eine Person", "needs a person"),
    "state.open.means": ("noch nicht abgeschlossen", "not settled yet"),
    "money": ("Geld und Post", "Money and letters"),
    "money.paid": ("In sevdesk als bezahlt gebucht", "Booked as paid in sevdesk"),
    "letters.accepted": ("Briefe angenommen", "Letters accepted"),
    "letters.uncertain": ("Briefe ungewiss", "Letters uncertain"),
    "letters.failed": ("Briefe gescheitert", "Letters failed"),
    "months": ("Monat für Monat", "Month by month"),
    "month.all": (
        "{done} von {n} Bestellungen im {month} sind nachgewiesen, auf den Cent.",
        "{done} of {n} orders of {month} are accounted for, to the cent.",
    ),
    "month.some": (
        "{done} von {n} Bestellungen im {month} sind nachgewiesen.",
        "{done} of {n} orders of {month} are accounted for.",
    ),
    "months.how": (
        "Nach unseren Büchern. Laden und sevdesk fragt der Nachweis des Monats: ladenbuch certificate --month {month}",
        "By our books. The certificate of a month asks the shop and sevdesk: ladenbuch certificate --month {month}",
    ),
    "running": ("Läuft es?", "Is it running?"),
    "running.event": ("Letzte Nachricht aus dem Laden", "Last message from the shop"),
    "running.look": ("Zuletzt im Laden nachgesehen", "Last look into the shop"),
    "running.never": ("noch keine", "none yet"),
    "running.ago": ("vor {age}", "{age} ago"),
    "running.queue": ("In der Warteschlange", "In the queue"),
    "running.empty": ("leer", "empty"),
    "running.oldest": ("Älteste wartet seit", "Oldest has waited for"),
    "takeover": ("Übernahme vom {since} bis vor {until}", "Taking over {since} until before {until}"),
    "takeover.done": ("{n} von {all}", "{n} of {all}"),
    "takeover.end": ("fertig gegen {when}", "done about {when}"),
    "alarms": ("Das sollten Sie wissen", "What you should know"),
    "alarms.since": ("seit {when}", "since {when}"),
    "stop": ("Schreibstopp", "Write stop"),
    "stop.means": (
        "Es wird nichts gebucht und nichts verschickt, bis jemand ihn aufhebt (ladenbuch go).",
        "Nothing is posted or mailed until somebody lifts it (ladenbuch go).",
    ),
    # how a shop is connected
    "connection.nobody": ("Noch kein Laden ist verbunden.", "No shop is connected yet."),
    "connection.good": (
        "Beide Seiten sind verbunden, nichts fehlt.",
        "Both sides are connected, nothing is missing.",
    ),
    "connection.reconnect": ("Der Laden muss neu verbunden werden.", "The shop must be connected again."),
    "connection.sevdesk": ("sevdesk nimmt den Token nicht mehr an.", "sevdesk takes the token no more."),
    "connection.gone": ("Die App ist nicht mehr installiert.", "The app is no longer installed."),
    "connection.new": ("Hier wurde noch nicht nachgesehen.", "Nobody has looked here yet."),
    "connection.lacks.one": ("Etwas fehlt noch.", "One thing is missing."),
    "connection.lacks.many": ("{n} Dinge fehlen noch.", "{n} things are missing."),
    "connection.lost": (
        "Shopify lehnt die Token der App ab. Nichts ist verloren: Was wartet, läuft danach von selbst weiter.",
        "Shopify takes the app's tokens no more. Nothing is lost: what waits goes on by itself afterwards.",
    ),
    "connection.again": ("Neu verbinden", "Connect again"),
    "connection.refused": (
        "Bis ein gültiger hinterlegt ist, wird nichts gebucht. Was wartet, läuft danach von selbst weiter.",
        "Nothing is posted until a valid one is stored. What waits goes on by itself afterwards.",
    ),
    "connection.checked": ("Zuletzt nachgesehen am {when}.", "Last looked at on {when}."),
    "connection.unchecked": (
        "Das geschieht einmal am Tag von selbst, und sofort mit ladenbuch doctor.",
        "That happens once a day by itself, and at once with ladenbuch doctor.",
    ),
    "connection.trouble": ("Seither gab es keine Antwort:", "There was no answer since:"),
    "connection.missing.draft": ("Fehlt vor der ersten Rechnung", "Missing before the first invoice"),
    "connection.missing.live": ("Was fehlt", "What is missing"),
    "connection.changed": ("Geändert am {when}", "Changed on {when}"),
    "connection.came": ("Neu:", "New:"),
    "connection.went": ("Nicht mehr:", "No more:"),
    "connection.noted": ("Zu beachten", "To note"),
    "connection.fine": ("{n} Dinge sind, wie sie sein sollen", "{n} things are as they should be"),
    "connection.state": ("Stand", "State"),
    "connection.grant": ("Zugang", "Access"),
    "connection.granted": ("Erteilt am", "Granted on"),
    "connection.token": ("Token", "Token"),
    "connection.token.lost": ("wird abgelehnt", "refused"),
    "connection.token.refused": ("wird abgelehnt", "refused"),
    "connection.token.taken": ("wird angenommen", "taken"),
    "connection.token.until": ("gilt bis {when}, wird von selbst erneuert", "valid until {when}, renewed by itself"),
    "connection.token.ever": ("läuft nicht ab", "does not expire"),
    "connection.scopes": ("Berechtigungen", "Scopes"),
    "connection.off": ("Ausgeschaltet", "Switched off"),
    "connection.allow": ("Erlauben", "Allow"),
    "connection.account": ("Konto", "Account"),
    "connection.account.none": ("noch nicht bekannt", "not known yet"),
    "connection.mode": ("Belege", "Documents"),
    "mode.draft": ("nur Entwürfe", "drafts only"),
    "mode.live": ("werden festgeschrieben", "are finalised"),
    "connection.writing": ("Schreiben", "Writing"),
    "connection.writing.stopped": ("angehalten", "stopped"),
    "connection.writing.allowed": ("erlaubt", "allowed"),
    "connection.writing.rests": ("ruht", "rests"),
    "connection.cutoff": ("Nichts vor dem", "Nothing before"),
    "tenant.installing": ("wird eingerichtet", "being installed"),
    "tenant.active": ("aktiv", "active"),
    "tenant.suspended": ("ausgesetzt", "suspended"),
    "tenant.uninstalled": ("deinstalliert", "uninstalled"),
    "tenant.redacted": ("gelöscht", "erased"),
    "grant.authorization_code": ("vom Händler erteilt (OAuth)", "granted by the merchant (OAuth)"),
    "grant.token_exchange": ("im Shopify-Admin erteilt (Token-Tausch)", "granted inside the admin (token exchange)"),
    "grant.client_credentials": (
        "eigene App (Client Credentials)",
        "the shop's own app (client credentials)",
    ),
    "grant.permanent": ("fester Token", "a fixed token"),
    "grant.none": ("keiner", "none"),
    "area.shopify": ("Shopify", "Shopify"),
    "area.sevdesk": ("sevdesk", "sevdesk"),
    "area.taxes": ("Steuern", "Taxes"),
    "area.seller": ("Unternehmer und Belege", "Seller and documents"),
    "area.money": ("Geld", "Money"),
    "area.profile": ("Profil", "Profile"),
    "area.letters": ("Briefe", "Letters"),
    "billing": ("Abonnement der App", "Subscription of the app"),
    "billing.plan": ("Tarif", "Plan"),
    "billing.until": ("Bis", "Until"),
    "billing.cap": ("Nutzung", "Usage"),
    "billing.near": (
        "{used} von höchstens {cap} berechnet",
        "{used} of at most {cap} charged",
    ),
    "billing.entitled": ("bezahlt", "paid"),
    "billing.trial": ("Testzeit", "trial"),
    "billing.grace": ("fehlt, Schonfrist läuft", "missing, in its grace period"),
    "billing.not-entitled": ("fehlt", "missing"),
    "billing.unknown": ("noch nicht bekannt", "not known yet"),
    # how the process is
    "running.fine": ("Alles läuft.", "Everything is running."),
    "running.stalls": ("Etwas steht still.", "Something stalls."),
    "running.all": (
        "Datenbank, Verteiler, Warteschlange und alle Dienste antworten.",
        "Database, dispatcher, queue and all services answer.",
    ),
    "calls": ("Aufrufe nach außen", "Calls to the outside"),
    "calls.service": ("Dienst", "Service"),
    "calls.count": ("Aufrufe", "Calls"),
    "calls.failed": ("Fehler", "Failed"),
    "calls.half": ("50 %", "50 %"),
    "calls.since": (
        "Seit dem Start dieses Prozesses; die Hälfte, 95 und 99 % der Aufrufe waren schneller als angegeben.",
        "Since this process began; half, 95 and 99 % of the calls were quicker than shown.",
    ),
    "service.shopify": ("Shopify", "Shopify"),
    "service.sevdesk": ("sevdesk", "sevdesk"),
    "service.mail": ("Mail", "Mail"),
    "service.vies": ("VIES", "VIES"),
    "service.partner": ("Shopify Partner", "Shopify Partner"),
    "service.other": ("Andere", "Others"),
    "store.inbox": ("Eingang (Datenbank)", "Inbox (database)"),
    "store.books": ("Bücher (Datenbank)", "Books (database)"),
    "times": ("Wie lange es dauert", "How long it takes"),
    "times.delay": ("Vom Ereignis im Laden bis zur Nachricht", "From the event in the shop to its message"),
    "times.settled": ("Von der Nachricht bis zur Buchung", "From the message to its being booked"),
    "queue": ("Warteschlange", "Queue"),
    "queue.waiting": ("Warten", "Waiting"),
    "processes": ("Prozesse", "Processes"),
    "processes.alive": ("lebt", "alive"),
    "processes.taken": (
        "zuletzt übernommen von {by}, {n} Läufe insgesamt",
        "last taken over by {by}, {n} runs in all",
    ),
    "queue.running": ("In Arbeit", "Running"),
    "queue.oldest": ("Älteste ohne Versuch", "Oldest without a try"),
    "queue.heartbeat": ("Verteiler sah nach Arbeit", "Dispatcher looked for work"),
    "queue.polled": ("Letzte gelungene Abfrage", "Last successful poll"),
    "queue.asked": ("Offene Fragen", "Open questions"),
    "queue.dead": ("Aufgegeben", "Given up"),
    "hooks": ("Nachrichten aus Läden", "Messages from shops"),
    "hooks.accepted": ("angenommen", "accepted"),
    "hooks.duplicate": ("schon bekannt", "heard before"),
    "hooks.bad_method": ("falsche Methode", "wrong method"),
    "hooks.bad_request": ("unvollständig", "incomplete"),
    "hooks.too_large": ("zu groß", "too large"),
    "hooks.forged": ("nicht echt", "not genuine"),
    "hooks.unknown_shop": ("fremder Laden", "unknown shop"),
    "hooks.unavailable": ("nicht speicherbar", "could not be stored"),
    "lines": ("Verbindungen", "Connections"),
    "lines.busy": ("belegt", "busy"),
    "lines.idle": ("frei", "idle"),
    "lines.used": ("Kontingent zu {share} genutzt", "{share} of the budget used"),
    # what stalls
    "stall.slow": (
        "Die Datenbank hat innerhalb von {n} s nicht geantwortet.",
        "The database has not answered within {n} s.",
    ),
    "stall.unwritable": ("{store} lässt sich nicht beschreiben: {why}.", "{store} cannot be written: {why}."),
    "stall.unread": ("Die Warteschlange lässt sich nicht lesen: {why}.", "The queue cannot be read: {why}."),
    "stall.dispatcher": (
        "Der Verteiler hat seit {n} s nicht nach Arbeit gesehen.",
        "The dispatcher has not looked for work for {n} s.",
    ),
    "stall.engine": (
        "Seit {n} s lässt sich kein Lauf starten ({code}).",
        "No run could be started for {n} s ({code}).",
    ),
    # how much waits, and until when
    "backlog.one": ("Eine Bestellung wartet", "1 order waiting"),
    "backlog.many": ("{n} Bestellungen warten", "{n} orders waiting"),
    "backlog.database": (
        "Die Datenbank lässt sich nicht beschreiben: Vorher geht nichts weiter, verloren geht nichts.",
        "The database cannot be written: nothing goes on before it can, and nothing is lost.",
    ),
    "backlog.stopped": ("angehalten ({why})", "stopped ({why})"),
    "backlog.shopify-down": ("Shopify antwortet nicht seit {since}", "Shopify down since {since}"),
    "backlog.sevdesk-down": ("sevdesk antwortet nicht seit {since}", "sevdesk down since {since}"),
    "backlog.shopify-budget": ("Shopify-Kontingent", "Shopify budget"),
    "backlog.sevdesk-rate": ("sevdesk-Takt", "sevdesk rate"),
    "backlog.back": ("nicht bevor es wieder da ist", "not before it is back"),
    "backlog.go": ("nicht bevor jemand weitermachen lässt", "not before somebody lets it go on"),
    "backlog.unknown": ("zuletzt wurde nichts fertig", "nothing was settled lately"),
    "backlog.until": ("fertig gegen {when}", "done about {when}"),
    "stall.clock.ahead": (
        "Unsere Uhr geht {n} s vor, verglichen mit Shopify und sevdesk: Nummern warten, bis sie stimmt.",
        "Our clock is {n} s ahead of Shopify's and sevdesk's: numbers wait until it is right.",
    ),
    "stall.clock.behind": (
        "Unsere Uhr geht {n} s nach, verglichen mit Shopify und sevdesk: Nummern warten, bis sie stimmt.",
        "Our clock is {n} s behind Shopify's and sevdesk's: numbers wait until it is right.",
    ),
    "stall.queue": (
        "Die älteste Bestellung wartet seit {n} s auf ihren ersten Versuch, und seit {still} s bewegt sich nichts.",
        "The oldest order has waited {n} s for its first try, and nothing has moved for {still} s.",
    ),
    "stall.breaker": (
        "{name} wird in Ruhe gelassen: Alle {tenants} Verbindungen sind nach Fehlern unterbrochen.",
        "{name} is left alone: the breakers of all {tenants} connections are open after failures.",
    ),
    "stall.service": (
        "{name} hat {calls} Aufrufe hintereinander seit {n} s nicht beantwortet (zuletzt {code}).",
        "{name} has answered none of {calls} calls in a row for {n} s (last: {code}).",
    ),
    "asof": ("Stand {when}", "As of {when}"),
    # lists
    "tabs": ("Nach Stand filtern", "Filter by state"),
    "tab.all": ("Alle", "All"),
    "column.order": ("Bestellung", "Order"),
    "column.date": ("Datum", "Date"),
    "column.amount": ("Betrag", "Amount"),
    "column.invoice": ("Rechnung", "Invoice"),
    "column.reason": ("Grund", "Reason"),
    "empty.orders": ("Keine Bestellung mit diesem Stand.", "No order in this state."),
    "empty.attention": (
        "Nichts zu entscheiden. Jede Bestellung ist gebucht, wartet auf Geld oder ist mit Grund ausgenommen.",
        "Nothing to decide. Every order is posted, waits for money, or is excluded with a reason.",
    ),
    "page.next": ("Weiter", "Next"),
    "page.previous": ("Zurück", "Previous"),
    "page.which": ("Seite {n}", "Page {n}"),
    # what gave up
    "given.means": (
        (
            "Was nach dem letzten Versuch nicht gelungen ist. Alles andere läuft weiter; was alle gleich trifft (ein "
            "Dienst fällt aus, ein Token gilt nicht mehr), steht nie hier."
        ),
        (
            "What did not work out until its last attempt. Everything else goes on; what hits all alike (a service "
            "that is down, a refused token) never stands here."
        ),
    ),
    "given.open": ("aufgegeben", "given up"),
    "given.trying": ("wird noch versucht", "still tried"),
    "given.redriven": ("neu angestoßen", "redriven"),
    "given.settled": ("erledigt", "settled"),
    "given.dropped": ("verworfen", "dropped"),
    "given.attempts": ("{n} Versuche", "{n} attempts"),
    "given.next": ("Nächster Versuch: {when}", "Next attempt: {when}"),
    "given.none.open": ("Nichts ist aufgegeben.", "Nothing is given up."),
    "given.none.other": ("Hier steht nichts.", "Nothing stands here."),
    "given.many": (
        "Mehrere auf einmal, nach Laden, Art, Code oder Alter; --rate begrenzt, wie viele in der Minute:",
        "Several at once, by shop, kind, code or age; --rate caps how many a minute:",
    ),
    "given.back": ("Alles Aufgegebene", "All that gave up"),
    "given.mend": ("Was zu tun ist", "What to do"),
    "given.hopeless": (
        "Ein neuer Versuch allein hilft nicht: Erst muss die Ursache behoben sein.",
        "Trying again alone does not help: the cause must be mended first.",
    ),
    "given.cause": (
        "Von selbst wird es nicht mehr versucht; eine neue Änderung im Laden ist noch ein Versuch.",
        "Nothing tries it again by itself; a new change in the shop is one further attempt.",
    ),
    "given.redrive": (
        "Ist die Ursache behoben, stößt dies es neu an, mit allen Versuchen:",
        "Once the cause is mended, this tries it again, with all its attempts:",
    ),
    "given.drop": (
        "Soll es nicht geschehen, verwirft dies es; der Grund steht im Protokoll:",
        "If it is not to be done, this drops it; the reason stands in the audit log:",
    ),
    "given.note": ("Bemerkung", "Remark"),
    "given.order": ("Zur Bestellung", "To the order"),
    "given.failures": ("Die letzten Fehler", "The last failures"),
    "given.trace": ("Spur", "trace"),
    "given.done": ("Was dazu geschah", "What was done about it"),
    # one order
    "order.heading": ("Bestellung {name}", "Order {name}"),
    "order.back": ("Alle Bestellungen", "All orders"),
    "order.life": ("Verlauf", "Timeline"),
    "order.certificate": ("Nachweis", "Certificate"),
    "order.holds": ("Der Nachweis geht auf.", "The certificate holds."),
    "order.broken": ("Der Nachweis geht nicht auf.", "The certificate does not hold."),
    "order.waiting": ("Worauf gewartet wird", "What it waits for"),
    "order.decide": ("Ihre Entscheidung", "Your decision"),
    "order.choices": ("Möglich ist:", "What is possible:"),
    "order.how": (
        (
            "Die Wahl selbst nimmt diese Version noch nicht entgegen. Ändern Sie im Laden, im Profil oder in sevdesk, "
            "was nötig ist; danach wird von selbst neu entschieden."
        ),
        (
            "This version does not take the choice itself yet. Change what is needed in the shop, the profile or "
            "sevdesk; it is then decided anew by itself."
        ),
    ),
    "order.facts": ("Was dazu bekannt ist", "What is known"),
    "order.code": (
        "Was der Code bedeutet, steht in docs/reference/codes.md.",
        "docs/reference/codes.md explains the code.",
    ),
    "order.empty": ("Noch ist nichts geschehen.", "Nothing has happened yet."),
    "kind.heard": ("Gehört", "Heard"),
    "kind.decided": ("Entschieden", "Decided"),
    "kind.posted": ("Gebucht", "Posted"),
    "kind.paid": ("Bezahlt", "Paid"),
    "kind.mailed": ("Verschickt", "Mailed"),
    # the life of one order
    "tell.heard": ("Der Laden meldet: {what}.", "The shop reports: {what}."),
    "tell.found": (
        "Ohne Nachricht aus dem Laden gefunden, bei der regelmäßigen Abfrage.",
        "Found without a message from the shop, by the regular poll.",
    ),
    "tell.placed": ("Bestellt", "Ordered"),
    "topic.orders/create": ("bestellt", "ordered"),
    "topic.orders/paid": ("bezahlt", "paid"),
    "topic.orders/updated": ("geändert", "updated"),
    "topic.orders/edited": ("bearbeitet", "edited"),
    "topic.orders/cancelled": ("storniert", "cancelled"),
    "topic.orders/fulfilled": ("versandt", "shipped"),
    "topic.orders/partially_fulfilled": ("teilweise versandt", "partly shipped"),
    "topic.order_transactions/create": ("Zahlungsvorgang", "payment transaction"),
    "topic.refunds/create": ("Erstattung", "refund"),
    "topic.fulfillments/create": ("Lieferung", "shipment"),
    "topic.fulfillments/update": ("Lieferung geändert", "shipment updated"),
    "topic.disputes/create": ("Zahlung bestritten", "payment disputed"),
    "topic.disputes/update": ("Streit um die Zahlung geändert", "dispute updated"),
    "topic.returns/request": ("Rücksendung gewünscht", "return requested"),
    "topic.returns/approve": ("Rücksendung vereinbart", "return agreed"),
    "tell.source": ("Grundlage", "Basis"),
    "tell.point": ("Steuerzeitpunkt", "Tax point"),
    "tell.otherwise": ("Anders wäre es", "Otherwise"),
    "tell.posted": ("Rechnung {number} über {gross} ausgestellt.", "Invoice {number} over {gross} issued."),
    "tell.posted.adopted": (
        "Rechnung {number} über {gross}, von anderen geschrieben, wurde übernommen.",
        "Invoice {number} over {gross}, written by others, was taken over.",
    ),
    "tell.posted.credit_note": (
        "Rechnungskorrektur {number} über {gross} ausgestellt.",
        "Credit note {number} over {gross} issued.",
    ),
    "tell.question": ("Frage", "Question"),
    "tell.answered": ("{who} hat entschieden: {choice}.", "{who} decided: {choice}."),
    "tell.hand.paid": (
        "In sevdesk hat jemand {money} mit Rechnung {number} verknüpft.",
        "Somebody linked {money} to invoice {number} in sevdesk.",
    ),
    "tell.hand.credited": (
        "In sevdesk hat jemand zu Rechnung {number} die Rechnungskorrektur {theirs} über {money} geschrieben.",
        "Somebody wrote credit note {theirs} over {money} on invoice {number} in sevdesk.",
    ),
    "tell.hand.candidate": (
        "In sevdesk steht Rechnung {theirs} über {money}; sie kann zu dieser Bestellung gehören.",
        "Invoice {theirs} over {money} stands in sevdesk; it may be this order's.",
    ),
    "tell.hand.cancelled": (
        "In sevdesk hat jemand Rechnung {number} durch {theirs} storniert.",
        "Somebody cancelled invoice {number} by {theirs} in sevdesk.",
    ),
    "tell.hand.doubled": (
        "In sevdesk steht neben unserem Beleg ein zweiter: {theirs}.",
        "A second document stands beside ours in sevdesk: {theirs}.",
    ),
    "tell.hand.foreign": (
        "In sevdesk steht zu dieser Bestellung ein fremder Beleg: {theirs}.",
        "A document that is not ours stands in sevdesk for this order: {theirs}.",
    ),
    "tell.hand.unlinked": (
        "In sevdesk hat jemand {money} von Beleg {number} gelöst.",
        "Somebody took {money} off document {number} in sevdesk.",
    ),
    "tell.hand.changed": (
        "In sevdesk lautet Beleg {number} jetzt anders.",
        "Document {number} reads otherwise in sevdesk now.",
    ),
    "tell.hand.edited": ("In sevdesk hat jemand den Entwurf geändert.", "Somebody edited the draft in sevdesk."),
    "tell.hand.gone": ("In sevdesk hat jemand den Beleg gelöscht.", "Somebody deleted the document in sevdesk."),
    "tell.cancelled": ("Rechnung {number} wurde storniert.", "Invoice {number} was cancelled."),
    "tell.draft": ("Ein Entwurf über {gross} steht in sevdesk.", "A draft over {gross} stands in sevdesk."),
    "tell.rate": ("Zu {rate} %", "At {rate} %"),
    "tell.sums": ("{gross} = {net} netto + {tax} USt", "{gross} = {net} net + {tax} VAT"),
    "tell.date": ("Rechnungsdatum", "Invoice date"),
    "tell.paid": (
        "{money} über {gateway} eingegangen und der Rechnung {number} zugeordnet.",
        "{money} received through {gateway} and linked to invoice {number}.",
    ),
    "tell.refunded": (
        "{money} über {gateway} erstattet und der Rechnungskorrektur {number} zugeordnet.",
        "{money} refunded through {gateway} and linked to credit note {number}.",
    ),
    "tell.line.back": (
        "{money} über {gateway} erstattet; das Geld hat sein Verrechnungskonto verlassen.",
        "{money} refunded through {gateway}; the money has left its clearing account.",
    ),
    "tell.line": (
        "{money} über {gateway} eingegangen; das Geld steht auf seinem Verrechnungskonto.",
        "{money} received through {gateway}; the money stands on its clearing account.",
    ),
    "tell.card": (
        "Gutscheine über {money} verkauft: Das schuldet der Laden, bis sie eingelöst sind.",
        "Gift cards over {money} sold: the shop owes that until they are redeemed.",
    ),
    "tell.card.back": (
        "Gutscheine über {money} zurückgenommen: Der Laden schuldet sie nicht mehr.",
        "Gift cards over {money} taken back: the shop no longer owes them.",
    ),
    "tell.value": ("Wertstellung", "Value date"),
    "tell.rest": ("Danach noch offen", "Still open afterwards"),
    "tell.settled": ("nichts, vollständig bezahlt", "nothing, paid in full"),
    "tell.relay": ("Postausgang", "Relay"),
    "tell.reply": ("Antwort", "Reply"),
    "tell.why": ("Grund", "Reason"),
    "tell.letter.invoice": ("der Rechnung", "the invoice"),
    "tell.letter.correction": ("der Rechnungskorrektur", "the credit note"),
    "tell.credited": (
        "{gross} gingen an den Käufer zurück: Die Steuer mindert sich um ihren Anteil, zu den Sätzen der Rechnung.",
        "{gross} went back to the buyer: the tax falls by its share, at the rates of the invoice.",
    ),
    "tell.letter.promised": (
        "Der Brief mit {what} ist vorgemerkt und geht als Nächstes hinaus.",
        "The letter with {what} is promised and goes out next.",
    ),
    "tell.letter.sending": (
        "Der Brief mit {what} wird verschickt.",
        "The letter with {what} is being sent.",
    ),
    "tell.letter.accepted": (
        "Der Brief mit {what} wurde vom Postausgang angenommen.",
        "The letter with {what} was accepted by the mail relay.",
    ),
    "tell.letter.delivered": ("Der Brief mit {what} wurde zugestellt.", "The letter with {what} was delivered."),
    "tell.letter.bounced": (
        "Der Brief mit {what} kam zurück: Er hat den Käufer nicht erreicht.",
        "The letter with {what} came back: it did not reach the buyer.",
    ),
    "tell.letter.complained": (
        "Der Käufer hat den Brief mit {what} als Spam gemeldet.",
        "The buyer reported the letter with {what} as spam.",
    ),
    "tell.letter.suppressed": (
        "Der Brief mit {what} wurde nicht verschickt: Diese Adresse bekommt keine Briefe.",
        "The letter with {what} was not sent: this address gets no letters.",
    ),
    "tell.letter.uncertain": (
        "Ob der Brief hinausging, ist ungewiss. Er wird nicht von selbst noch einmal verschickt.",
        "Nobody knows whether the letter went out. It is not sent again by itself.",
    ),
    "tell.letter.arrived": ("Er ist angekommen", "It arrived"),
    "tell.letter.send": (
        "Doch noch einmal senden (er kommt dann vielleicht doppelt an)",
        "Send it after all (it may arrive twice)",
    ),
    "tell.letter.failed": ("Der Brief wurde endgültig abgelehnt.", "The letter was refused for good."),
    "tell.running": ("Wird gerade bearbeitet.", "Is being worked on."),
    "tell.calendar": ("Wird am {when} wieder angesehen.", "Looked at again on {when}."),
    "tell.next": ("Ist als Nächstes an der Reihe.", "Is next in line."),
    "tell.again": ("Nächster Versuch {when}: {why}", "Next attempt {when}: {why}"),
    "proof.documents": ("Belege = belegte Verkäufe", "Documents = documented sales"),
    "proof.money": ("Gebucht = eingenommen", "Booked = received"),
    "proof.open": ("Noch offen", "Still open"),
    "proof.nocause": ("ohne Grund", "without a cause"),
    "fact.agreement": ("Vereinbarung", "Agreement"),
    "fact.money": ("Zahlung", "Payment"),
    "fact.fulfilment": ("Versand", "Shipment"),
    "missing": ("Diese Seite oder Bestellung gibt es hier nicht.", "There is no such page or order here."),
    "unavailable": (
        "Die Bücher lassen sich gerade nicht lesen. Es geht nichts verloren; versuchen Sie es gleich noch einmal.",
        "The books cannot be read right now. Nothing is lost; try again in a moment.",
    ),
    "age.ms": ("{n} ms", "{n} ms"),
    "age.s": ("{n} s", "{n} s"),
    "age.min": ("{n} min", "{n} min"),
    "age.h": ("{n} h", "{n} h"),
    "age.d.one": ("1 Tag", "1 day"),
    "age.d.many": ("{n} Tagen", "{n} days"),
}


def language_of(accept: str) -> Language:
    """German or English by Accept-Language quality (RFC 9110 12.5.4); German when neither is named."""
    best: tuple[float, Language] = (0.0, "de")
    for part in accept.split(","):
        match = re.match(r"\s*(de|en)(?:-[\w-]+)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*\Z", part, re.IGNORECASE)
        if match:
            quality = float(match[2]) if match[2] else 1.0
            if quality > best[0]:
                best = (quality, "en" if match[1].lower() == "en" else "de")
    return best[1]


def say(language: Language, key: str, **values: object) -> str:
    """The text of `key` in `language`, placeholders filled. An unknown key raises KeyError: a test calls
    every page."""
    return WORDS[key][0 if language == "de" else 1].format(**values)
