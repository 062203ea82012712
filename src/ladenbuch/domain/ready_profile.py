"""Does the profile say what must be said before the first invoice, and can its letters go out?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta

from ladenbuch.domain.connected import Finding, ShopRead, Tenancy
from ladenbuch.domain.mail_domain import domain_of
from ladenbuch.domain.profile import Profile, closed_until, profile_at
from ladenbuch.domain.threshold import NOTICE, EuSale, count, euros, overtaken

#: A cut-off this long before the tenant was added reaches into months that somebody else may have invoiced.
_FAR_BACK = timedelta(days=31)
_GIFT_CARD = "gift_card"


def of_profile(profiles: Sequence[Profile], shop: ShopRead | None, tenancy: Tenancy) -> Iterator[Finding]:
    """OSS and the EU threshold, vouchers, closed books, the cut-off."""
    profile = profile_at(profiles, tenancy.now)
    yield from oss(profile, tenancy.now)
    yield from eu_threshold(tenancy.eu_sales, profiles, tenancy.now)
    yield from _vouchers(profile, shop)
    yield _closed(profiles, profile, tenancy)
    yield _cut_off(profile, tenancy)


def oss(profile: Profile, now: datetime) -> Iterator[Finding]:
    """Whether sales to EU consumers are declared through OSS, and from when."""
    start, today = profile.oss_from, profile.local_date(now)
    if start is None:
        yield Finding(
            "ok",
            "OSS",
            "profile",
            "not in OSS: below 10,000 EUR a year EU consumers are taxed in Germany",
            "Kein OSS: Unter 10.000 EUR im Jahr werden EU-Verbraucher in Deutschland versteuert",
        )
    elif start <= today:
        yield Finding(
            "ok",
            "OSS",
            "profile",
            f"sales to EU consumers go through OSS since {start:%Y-%m-%d}",
            f"Verkäufe an EU-Verbraucher laufen seit {start:%d.%m.%Y} über den OSS",
        )
    else:
        yield Finding(
            "ok",
            "OSS",
            "profile",
            f"sales to EU consumers go through OSS from {start:%Y-%m-%d} on, by the day of the supply; Germany until"
            " then",
            f"Verkäufe an EU-Verbraucher laufen ab {start:%d.%m.%Y} über den OSS, nach dem Tag der Leistung; bis dahin"
            " Deutschland",
        )


def eu_threshold(sales: Iterable[EuSale], profiles: Sequence[Profile], now: datetime) -> Iterator[Finding]:
    """How much EU consumers bought, for a shop that has not been in OSS all the time; silent where they bought nothing.

    Also what only later turned out to lie above the threshold: settled after a sale that follows it (R8).
    """
    profile, sales = profile_at(profiles, now), list(sales)
    if profile.oss_from is not None and profile.oss_from <= date(now.year - 1, 1, 1):
        return
    late = [sale.key for sale in overtaken(sales, profiles)]
    if late:
        names = ", ".join(late[:5])
        yield Finding(
            "missing",
            "EU-OVERTAKEN",
            "profile",
            f"crossed by {names}, taxed in Germany before that was known; correct it in sevdesk",
            f"Die EU-Schwelle war mit {names} schon überschritten, versteuert wurde in Deutschland",
            "cancel these invoices and write them anew with the tax of the destination",
            "Diese Rechnungen stornieren und mit der Steuer des Bestimmungslands neu schreiben",
            names,
        )
    counter = count(sales, profile, now, 0)
    if profile.oss_from is not None and profile.oss_from <= profile.local_date(now):
        return
    if not (counter.this_year or counter.last_year):
        return
    if counter.exceeded is not None:
        year, net = counter.exceeded
        yield Finding(
            "missing",
            "EU-SALES",
            "profile",
            f"EU consumers bought for {euros(net, german=False)} EUR net in {year}, above the threshold",
            f"EU-Verbraucher kauften {year} für {euros(net, german=True)} EUR netto, das liegt über der Schwelle",
            "register for OSS and set `oss_from` in the profile",
            "Am OSS teilnehmen und `oss_from` im Profil setzen",
            str(year),
        )
        return
    english = f"{euros(counter.this_year, german=False)} of 10,000 EUR net to EU consumers in {counter.year}"
    german = f"{euros(counter.this_year, german=True)} von 10.000 EUR netto an EU-Verbraucher in {counter.year}"
    near = counter.this_year >= NOTICE
    unknown = [year for year in (counter.year - 1, counter.year) if _begins_before(profile, year)]
    if near:
        english, german = f"{english}: prepare the OSS registration", f"{german}: OSS-Registrierung vorbereiten"
    if unknown:
        english += f"; eu_sales in the profile does not say what was sold before go-live in {unknown[0]}"
        german += f"; eu_sales im Profil sagt nicht, was {unknown[0]} vor dem Start verkauft wurde"
    yield Finding("warn" if near or unknown else "ok", "EU-SALES", "profile", english, german)


def _begins_before(profile: Profile, year: int) -> bool:
    """Whether a year began before go-live, and the profile has no figure for it."""
    return profile.local_date(profile.go_live).year >= year and str(year) not in profile.eu_sales


def _vouchers(profile: Profile, shop: ShopRead | None) -> Iterator[Finding]:
    """What a gift card is must be decided before one is sold (bookkeeping 2.5; UStG §3 (13) to (15))."""
    paid_with = {name for order in (shop.ours(profile) if shop else ()) for name, _ in order.gateways}
    in_use = _GIFT_CARD in paid_with or _GIFT_CARD in profile.gateways
    liability = profile.gateways.get(_GIFT_CARD)
    if profile.vouchers == "unset":
        yield Finding(
            "missing" if in_use else "warn",
            "VOUCHERS",
            "profile",
            "the profile does not say what a gift card can buy" + (", and the shop sells them" if in_use else ""),
            "Das Profil sagt nicht, was ein Gutschein kaufen kann"
            + (", und der Laden verkauft welche" if in_use else ""),
            "set `vouchers`: `single_purpose` (one rate, taxed when sold) or `multi_purpose` (a debt when sold)",
            "`vouchers` setzen: `single_purpose` (ein Steuersatz, beim Verkauf versteuert) oder `multi_purpose` (beim"
            " Verkauf eine Schuld)",
        )
    elif profile.vouchers == "multi_purpose" and (liability is None or liability.mode != "liability"):
        yield Finding(
            "missing",
            "VOUCHERS",
            "profile",
            f"multi-purpose gift cards are a debt until they are redeemed, and `{_GIFT_CARD}` has no liability account",
            f"Mehrzweckgutscheine sind bis zur Einlösung eine Schuld, und `{_GIFT_CARD}` hat kein Konto dafür",
            f"name `{_GIFT_CARD}` with mode liability and the account's number under `gateways`",
            f"`{_GIFT_CARD}` mit dem Modus liability und der Kontonummer unter `gateways` aufnehmen",
        )
    else:
        yield Finding("ok", "VOUCHERS", "profile", f"gift cards: {profile.vouchers}", f"Gutscheine: {profile.vouchers}")


def _closed(profiles: Sequence[Profile], profile: Profile, tenancy: Tenancy) -> Finding:
    """Books that are closed take no document silently (R11)."""
    closed, today = closed_until(profiles), profile.local_date(tenancy.now)
    if closed is None:
        return Finding("ok", "BOOKS-CLOSED", "profile", "no books are closed", "Keine Bücher sind abgeschlossen")
    if closed >= today:
        return Finding(
            "missing",
            "BOOKS-CLOSED",
            "profile",
            f"the books are closed until {closed:%Y-%m-%d}: nothing can be written",
            f"Die Bücher sind bis {closed:%d.%m.%Y} abgeschlossen: Nichts kann geschrieben werden",
            "correct `books_closed_until` in the profile",
            "`books_closed_until` im Profil berichtigen",
        )
    if closed >= profile.local_date(tenancy.cut_off):
        waits = profile.closed_periods == "wait"
        return Finding(
            "warn",
            "BOOKS-CLOSED",
            "profile",
            f"the books are closed until {closed:%Y-%m-%d}, after the cut-off: orders of before"
            + (
                " are asked about (PERIOD-CLOSED)"
                if waits
                else " get documents dated today, and the return is corrected"
            ),
            f"Die Bücher sind bis {closed:%d.%m.%Y} abgeschlossen, nach dem Stichtag: Ältere Bestellungen"
            + (
                " werden nachgefragt (PERIOD-CLOSED)" if waits else " werden heute datiert, die Voranmeldung berichtigt"
            ),
            "move the cut-off behind that day, if somebody else has invoiced these orders",
            "Den Stichtag dahinter legen, falls diese Bestellungen schon anderswo berechnet sind",
        )
    return Finding(
        "ok",
        "BOOKS-CLOSED",
        "profile",
        f"the books are closed until {closed:%Y-%m-%d}, before the cut-off",
        f"Die Bücher sind bis {closed:%d.%m.%Y} abgeschlossen, vor dem Stichtag",
    )


def _cut_off(profile: Profile, tenancy: Tenancy) -> Finding:
    """Nothing before the cut-off is ours (R22); what lies far before the connection may be somebody else's already."""
    day = tenancy.cut_off.astimezone(profile.zone)
    if tenancy.cut_off > tenancy.now:
        return Finding(
            "warn",
            "CUT-OFF-DATE",
            "profile",
            f"until {day:%Y-%m-%d %H:%M} no order is documented",
            f"Bis {day:%d.%m.%Y %H:%M} bekommt keine Bestellung einen Beleg",
        )
    if tenancy.created_at - tenancy.cut_off > _FAR_BACK:
        days = (tenancy.created_at - tenancy.cut_off).days
        return Finding(
            "warn",
            "CUT-OFF-DATE",
            "profile",
            f"the cut-off {day:%Y-%m-%d} lies {days} days before the shop was connected: all orders since then are"
            " documented",
            f"Der Stichtag {day:%d.%m.%Y} liegt {days} Tage vor der Anbindung: Alle Bestellungen seither bekommen"
            " Belege",
            "make sure that no other app and nobody by hand has invoiced them",
            "Sicherstellen, dass keine andere App und niemand von Hand sie schon berechnet hat",
        )
    return Finding(
        "ok",
        "CUT-OFF-DATE",
        "profile",
        f"nothing before {day:%Y-%m-%d %H:%M} is documented",
        f"Vor {day:%d.%m.%Y %H:%M} bekommt nichts einen Beleg",
    )


def of_letters(profile: Profile, tenancy: Tenancy) -> Iterator[Finding]:
    """Letters need a relay, a sender, and a name to sign with."""
    if not profile.letters:
        yield Finding("ok", "MAIL-SENDER", "letters", "buyers get no letters", "Käufer bekommen keine Briefe")
        return
    if not tenancy.relays:
        yield Finding(
            "missing",
            "MAIL-RELAY",
            "letters",
            "letters have nowhere to go: LADENBUCH_SMTP_URLS is empty",
            "Briefe kommen nirgends hin: LADENBUCH_SMTP_URLS ist leer",
            "name a mail relay, or set `letters` to false in the profile",
            "Einen Mailserver nennen oder `letters` im Profil auf false setzen",
        )
    if tenancy.foreign_sender:
        domain = domain_of(profile.letters_from)
        yield Finding(
            "missing",
            "SENDER-DOMAIN",
            "letters",
            f"letters come from {domain}, which belongs to somebody else in this installation",
            f"Briefe kommen von {domain}, und das gehört in dieser Installation jemand anderem",
            "name an address of a domain of this shop's own in `letters_from`, or none; the operator may share the "
            "domain: LADENBUCH_SHARED_SENDER_DOMAINS",
            "In `letters_from` eine Adresse einer eigenen Domain nennen, oder keine; der Betreiber kann die Domain "
            "teilen: LADENBUCH_SHARED_SENDER_DOMAINS",
            domain,
        )
    sender = profile.letters_from or tenancy.sender
    if not sender:
        yield Finding(
            "warn" if tenancy.relays_here else "missing",
            "MAIL-SENDER",
            "letters",
            "letters have no sender of yours: LADENBUCH_MAIL_FROM and `letters_from` are empty",
            "Briefe haben keinen eigenen Absender: LADENBUCH_MAIL_FROM und `letters_from` sind leer",
            "name the address buyers may answer to",
            "Die Adresse nennen, an die Käufer antworten können",
        )
    else:
        yield Finding("ok", "MAIL-SENDER", "letters", f"letters come from {sender}", f"Briefe kommen von {sender}")
    if not profile.shop_name.strip():
        yield Finding(
            "warn",
            "LETTER-NAME",
            "letters",
            f"letters are signed with the shop key {profile.shop_key!r}",
            f"Briefe sind mit dem Ladenkürzel {profile.shop_key!r} unterschrieben",
            "set `shop_name` in the profile",
            "`shop_name` im Profil setzen",
        )
    if profile.closing_de and not profile.closing_en:
        yield Finding(
            "warn",
            "LETTER-CLOSING",
            "letters",
            "your last line on documents exists in German only: English buyers miss it",
            "Ihre Schlusszeile gibt es nur auf Deutsch: Käufern mit englischen Belegen fehlt sie",
            "set `closing_en` in the profile",
            "`closing_en` im Profil setzen",
        )
