"""The dashboard's words in German and English: every text has one key and stands in both languages.

German first: the readers are merchants and their bookkeepers. Plural forms are two keys, `….one` and
`….many`.
"""

from __future__ import annotations

from typing import Literal

Language = Literal["de", "en"]

WORDS: dict[str, tuple[str, str]] = {
    "title.overview": ("Überblick", "Overview"),
    "title.orders": ("Bestellungen", "Orders"),
    "title.attention": ("Zu entscheiden", "To decide"),
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
    "state.attention.means": ("Sie wählen, wir buchen", "you choose, we post"),
    "state.open.means": ("noch nicht abgeschlossen", "not settled yet"),
    "money": ("Geld und Post", "Money and letters"),
    "money.paid": ("In sevdesk als bezahlt gebucht", "Booked as paid in sevdesk"),
    "letters.accepted": ("Briefe angenommen", "Letters accepted"),
    "letters.uncertain": ("Briefe ungewiss", "Letters uncertain"),
    "letters.failed": ("Briefe gescheitert", "Letters failed"),
    "running": ("Läuft es?", "Is it running?"),
    "running.event": ("Letzte Nachricht aus dem Laden", "Last message from the shop"),
    "running.never": ("noch keine", "none yet"),
    "running.ago": ("vor {age}", "{age} ago"),
    "running.queue": ("In der Warteschlange", "In the queue"),
    "running.empty": ("leer", "empty"),
    "running.oldest": ("Älteste wartet seit", "Oldest has waited for"),
    "stop": ("Schreibstopp", "Write stop"),
    "stop.means": (
        "Es wird nichts gebucht und nichts verschickt, bis jemand ihn aufhebt (ladenbuch go).",
        "Nothing is posted or mailed until somebody lifts it (ladenbuch go).",
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
    # one order
    "order.heading": ("Bestellung {name}", "Order {name}"),
    "order.back": ("Alle Bestellungen", "All orders"),
    "order.life": ("Verlauf", "Timeline"),
    "order.certificate": ("Nachweis", "Certificate"),
    "order.holds": ("Der Nachweis geht auf.", "The certificate holds."),
    "order.broken": ("Der Nachweis geht nicht auf.", "The certificate does not hold."),
    "order.waiting": ("Worauf gewartet wird", "What it waits for"),
    "order.decide": ("Ihre Entscheidung", "Your decision"),
    "order.choices": ("Sie können wählen:", "You can choose:"),
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
    "missing": ("Diese Seite oder Bestellung gibt es hier nicht.", "There is no such page or order here."),
    "unavailable": (
        "Die Bücher lassen sich gerade nicht lesen. Es geht nichts verloren; versuchen Sie es gleich noch einmal.",
        "The books cannot be read right now. Nothing is lost; try again in a moment.",
    ),
    "age.s": ("{n} s", "{n} s"),
    "age.min": ("{n} min", "{n} min"),
    "age.h": ("{n} h", "{n} h"),
    "age.d.one": ("1 Tag", "1 day"),
    "age.d.many": ("{n} Tagen", "{n} days"),
}


def say(language: Language, key: str, **values: object) -> str:
    """The text of `key` in `language`, placeholders filled. An unknown key raises KeyError: a test calls
    every page."""
    return WORDS[key][0 if language == "de" else 1].format(**values)
