"""What alarms say to people, in German and English: what is the matter, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ladenbuch.web.words import Language


class Words(NamedTuple):
    """A kind of alarm; `{…}` are its facts."""

    german: str
    english: str
    todo_german: str
    todo_english: str


#: One entry for each of `alarms.KINDS`.
ALARMS: Mapping[str, Words] = {
    "WEBHOOKS-DIFFER": Words(
        "{count} Webhook-Abonnements des Ladens waren nicht wie gewünscht: {topics}",
        "{count} webhook subscriptions of the shop were not as wanted: {topics}",
        "Sie werden von selbst wieder eingerichtet, und das Nachsehen im Laden findet jede Bestellung auch ohne sie. "
        "Bleibt der Alarm oder kommt er wieder: prüfen, ob Shopify diese Adresse erreicht.",
        "They are put back by themselves, and the poll finds every order without them. If it stays or comes back: "
        "check that Shopify reaches our address.",
    ),
    "WEBHOOKS-SILENT": Words(
        "Im Laden wurden {count} Änderungen gefunden, die kein Webhook gemeldet hat.",
        "The poll found {count} changes in the shop that no webhook told of.",
        "Es fehlt nichts: Die Bestellungen sind in Arbeit. Die Adresse für Webhooks und den Proxy davor prüfen.",
        "Nothing is missing: the orders are being settled. Check the address for webhooks and the proxy before it.",
    ),
    "WEBHOOKS-VERSION": Words(
        "Webhooks kommen in der API-Version {found}, erwartet wird {wanted}.",
        "Webhooks come in version {found} of the API; wanted is {wanted}.",
        "Die Konfiguration der App neu ausrollen (ladenbuch webhooks toml).",
        "Deploy the app's configuration (ladenbuch webhooks toml).",
    ),
    "VERSION-FELL": Words(
        "Shopify antwortet in der API-Version {found}, gefragt war {wanted}.",
        "Shopify answers version {found} of the API; asked was {wanted}.",
        "Ladenbuch aktualisieren: Shopify hat die gefragte Version abgeschaltet.",
        "Update Ladenbuch: Shopify has switched the version that was asked for off.",
    ),
    "BOOKS-DIFFER": Words(
        "{count} Abweichungen zwischen Laden, Büchern und sevdesk kann nur ein Mensch klären.",
        "{count} differences between shop, books and sevdesk need a person.",
        "Auf der Seite Abgleich (oder mit ladenbuch reconcile) steht jede beim Namen. Was geklärt ist, verschwindet "
        "beim nächsten Abgleich; was so bleiben darf: ladenbuch reconcile --accept.",
        "The page Reconciliation (or ladenbuch reconcile) names each. What is cleared up is gone with the next look; "
        "what may stay as it is: ladenbuch reconcile --accept.",
    ),
    "PAYOUTS-DIFFER": Words(
        "{count} Punkte bei Auszahlungen von {gateway} kann nur ein Mensch klären; es geht um {amount} Cent.",
        "{count} things about payouts of {gateway} need a person; {amount} cents are concerned.",
        "Auf der Seite Auszahlungen (oder mit ladenbuch payouts balance) steht jeder beim Namen.",
        "The page Payouts (or ladenbuch payouts balance) names each.",
    ),
    "POLL-STALE": Words(
        "Seit {minutes} Minuten konnte im Laden nicht nachgesehen werden.",
        "The shop has not been polled successfully for {minutes} minutes.",
        "Zugang und Rechte prüfen: ladenbuch doctor. Danach wird alles von selbst nachgeholt.",
        "Check token and scopes: ladenbuch doctor. Everything is caught up with by itself afterwards.",
    ),
    "QUEUE-OLD": Words(
        "Eine Bestellung wartet seit {minutes} Minuten auf den ersten Versuch.",
        "An order has waited {minutes} minutes for its first try.",
        "Auf der Seite Betrieb nachsehen, was steht; mehr Arbeiter, wenn nur viel zu tun ist.",
        "The page Running says what stalls; more workers when there is simply much to do.",
    ),
    "ORDERS-FEW": Words(
        "In {hours} Stunden kamen {count} Bestellungen; mindestens {least} waren zu erwarten.",
        "{count} orders came in {hours} hours; at least {least} were to be expected.",
        "Im Laden nachsehen, ob verkauft wird; ist dort mehr, ladenbuch doctor.",
        "Look into the shop whether it sells; if there is more, ladenbuch doctor.",
    ),
    "BULK-COUNT": Words(
        "Shopify zählte {expected} Objekte in einem Massenabruf, gelesen wurden {read}.",
        "Shopify counted {expected} objects in a bulk result and {read} were read.",
        "Den Abruf wiederholen; auf einen unvollständigen wird nichts gebucht.",
        "Run it again; nothing is posted on an incomplete one.",
    ),
    "GAVE-UP": Words(
        "Aufgegeben nach dem letzten Versuch: {count} (Bestellungen, Briefe oder Meldungen).",
        "Given up after the last attempt: {count} (orders, letters or deliveries).",
        "Nachsehen, woran es lag (ladenbuch dead-letters list), die Ursache beheben und neu anstoßen oder mit Grund "
        "verwerfen.",
        "Look why (ladenbuch dead-letters list), mend the cause, and redrive them or drop them with a reason.",
    ),
    "LETTERS-LOST": Words(
        "Von {judged} Briefen in 30 Tagen kamen {arrived} an: {rate}\u00a0%, ohne ungültige Adressen {valid}\u00a0%.",
        "{arrived} of {judged} letters of 30 days arrived: {rate}\u00a0%, without invalid addresses {valid}\u00a0%.",
        "Auf der Seite Zustellung nachsehen, woran es liegt; ladenbuch doctor prüft SPF, DKIM und DMARC des Absenders.",
        "The page Delivery says why; ladenbuch doctor looks at SPF, DKIM and DMARC of the sender.",
    ),
    "TOKEN-REFUSED": Words(
        "{service} weist den Zugang dieses Ladens ab.",
        "{service} refuses the token of this shop.",
        "Neu verbinden: Shopify über die App im Admin, sevdesk mit ladenbuch tenants sevdesk.",
        "Connect again: Shopify by the app in its admin, sevdesk with ladenbuch tenants sevdesk.",
    ),
    "CONNECTION-LACKS": Words(
        "Der Verbindung fehlt etwas, das vorher da war: {code}.",
        "The connection lacks something that was there before: {code}.",
        "Die Seite Verbindung sagt, was fehlt und was zu tun ist.",
        "The page Connection says what is missing and what to do.",
    ),
    "USAGE-NEAR-CAP": Words(
        "Für die Nutzung der App sind {used} von höchstens {cap} {currency} berechnet.",
        "{used} of at most {cap} {currency} are charged for usage of the app.",
        "Den Händler eine höhere Grenze bestätigen lassen (ladenbuch billing ask); darüber berechnet Shopify nichts.",
        "Have the merchant agree to a higher cap (ladenbuch billing ask); above it Shopify charges nothing.",
    ),
    "DIGEST-LOST": Words(
        "Niemand liest, was hier einen Menschen braucht: Die Adresse dafür nimmt keine Briefe an ({why}).",
        "Nobody reads what needs a person here: the address for it takes no letters ({why}).",
        "Im Profil eine Adresse angeben, die es gibt (alerts_to); steht sie zu Unrecht auf der Sperrliste: ladenbuch "
        "suppressions remove. Was offen ist, wird dann von selbst noch einmal gesagt.",
        "Name an address in the profile that exists (alerts_to); if it is on the suppression list by mistake: "
        "ladenbuch suppressions remove. What is open is then told again by itself.",
    ),
    "DIGEST-SENT": Words(
        "Ein Brief über {count} Alarme geht gerade an den Betreiber.",
        "A digest of {count} alarms is on its way to the operator.",
        "Nichts: Er endet, sobald ein Mailserver den Brief angenommen hat.",
        "Nothing: it ends as soon as a relay took the letter.",
    ),
    "SERVICE-DOWN": Words(
        "{service} hat seit {since} keinen Aufruf beantwortet.",
        "{service} has answered none of our calls since {since}.",
        "Abwarten, oder auf der Statusseite nachsehen. Es geht nichts verloren: Was wartet, wird von selbst "
        "nachgeholt, mit den richtigen Tagen.",
        "Wait, or look at its status page. Nothing is lost: what waits is caught up with by itself, with the right "
        "dates.",
    ),
    "CLOCK-OFF": Words(
        "Die Uhr von {process} geht falsch, um {seconds} s gegenüber Shopify und sevdesk: Nummern warten.",
        "The clock of {process} is off by {seconds} s against Shopify's and sevdesk's: numbers wait.",
        "Die Uhr des Rechners stellen (chronyc tracking, timedatectl). Entwürfe entstehen weiter; sobald sie stimmt, "
        "werden die Nummern von selbst vergeben.",
        "Set the machine's clock (chronyc tracking, timedatectl). Drafts go on; once it is right, numbers are given by "
        "themselves.",
    ),
    "EVENTS-FAIL": Words(
        "Der Empfänger {host} nimmt seit {since} UTC keine Ereignisse an ({endpoint}).",
        "The receiver {host} has taken no event since {since} UTC ({endpoint}).",
        "Es fehlt nichts: Sie werden weiter versucht, fünf Tage lang. Den Empfänger prüfen: ladenbuch events list.",
        "Nothing is lost: they are tried for five days. Look at the receiver: ladenbuch events list.",
    ),
    "EVENTS-OFF": Words(
        "Der Empfänger {host} wurde abgeschaltet und bekommt keine Ereignisse mehr ({endpoint}).",
        "The receiver {host} was switched off and gets no events any more ({endpoint}).",
        "Empfänger in Ordnung bringen, dann ladenbuch events on und, was fehlt, ladenbuch events replay.",
        "Mend the receiver, then ladenbuch events on, and ladenbuch events replay for what it missed.",
    ),
    "WRITE-BACK-OFF": Words(
        "Der Laden erlaubt uns nicht, Rechnungsnummern in die Bestellungen zu schreiben: {code}",
        "The shop does not let us write invoice numbers to its orders: {code}",
        "Der App das Recht write_orders geben, oder write_back im Profil auf off stellen.",
        "Grant the app write_orders, or set write_back to off in the profile.",
    ),
    "PRIVACY-DUE": Words(
        "Die Auskunft zur Anfrage {request} hat noch niemand abgeholt; sie ist bis {until} zu geben.",
        "Nobody has fetched the answer to data request {request}; it is due on {until}.",
        "ladenbuch privacy answer, und dem Händler geben: Er antwortet seinem Kunden. 60 Tage nach der Frist wird sie "
        "gelöscht.",
        "ladenbuch privacy answer, and give it to the merchant, who answers the customer. 60 days after it was due it "
        "is deleted.",
    ),
}


class _Facts(dict[str, str | int]):
    def __missing__(self, key: str) -> str:
        return "?"


def alarm_sentence(language: Language, kind: str, facts: Mapping[str, str | int]) -> str:
    """What is the matter; the kind itself where nobody wrote words for it."""
    words = ALARMS.get(kind)
    text = kind if words is None else words.german if language == "de" else words.english
    return text.format_map(_Facts(facts))


def alarm_todo(language: Language, kind: str) -> str:
    """What to do about it."""
    words = ALARMS.get(kind)
    return "" if words is None else words.todo_german if language == "de" else words.todo_english
