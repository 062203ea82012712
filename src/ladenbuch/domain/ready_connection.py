"""Do both sides answer, are they the ones the books know, and may the app see what it needs?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from ladenbuch.domain.connected import AccountRead, Area, Finding, ShopRead, Tenancy, Unread
from ladenbuch.domain.profile import Profile

#: Without these no order can be read, or no buyer named (facts 4.5).
NEEDED_SCOPES = ("read_orders", "read_customers")
ALL_ORDERS = "read_all_orders"
#: How far back an app sees orders without that scope (S103).
VISIBLE = timedelta(days=60)

_RECONNECT = (
    "copy the API token of an administrator in sevdesk (settings, users) and run `ladenbuch tenants sevdesk {tenant}`",
    "API-Token eines Administrators in sevdesk kopieren und `ladenbuch tenants sevdesk {tenant}` aufrufen",
)
_REINSTALL = ("install the app in the shop again", "Die App im Laden neu installieren")
_LATER = ("try again in a few minutes", "In einigen Minuten noch einmal versuchen")

#: code -> what happened, and what to do, each in English and German.
_FAILURES: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "SEVDESK-TOKEN-MISSING": (("no sevdesk token is stored", "Es ist kein sevdesk-Token hinterlegt"), _RECONNECT),
    "SEVDESK-TOKEN-FORM": (
        (
            "what is stored as sevdesk token is none: a token has 32 digits and letters a to f, and nothing else",
            "Was als sevdesk-Token hinterlegt ist, ist keiner: Er hat 32 Ziffern und Buchstaben a bis f, sonst nichts",
        ),
        _RECONNECT,
    ),
    "SEVDESK-TOKEN-WRONG": (
        ("sevdesk does not know the token", "sevdesk kennt den Token nicht"),
        _RECONNECT,
    ),
    "SEVDESK-TOKEN-REVOKED": (
        (
            "sevdesk refuses a token that worked before: a new one was made, or its user was deleted",
            "sevdesk lehnt einen Token ab, der schon galt: Es gibt einen neuen, oder sein Benutzer wurde gelöscht",
        ),
        _RECONNECT,
    ),
    "SEVDESK-FORBIDDEN": (
        (
            "sevdesk refuses the call (403): the plan may not include the API, or the user is no administrator",
            "sevdesk lehnt den Aufruf ab (403): Der Tarif hat womöglich keine API, oder der Benutzer ist kein Admin",
        ),
        ("look at plan and user in sevdesk", "Tarif und Benutzer in sevdesk prüfen"),
    ),
    "SHOPIFY-TOKEN": (
        (
            "Shopify refuses the app's token, or there is none: the app was uninstalled, or its secret was changed",
            "Shopify lehnt den Token der App ab, oder es gibt keinen: App deinstalliert oder Geheimnis geändert",
        ),
        _REINSTALL,
    ),
    "SHOPIFY-RECONNECT": (
        (
            "Shopify takes the app's tokens no more: the shop must be connected again",
            "Shopify nimmt die Token der App nicht mehr an: Der Laden muss neu verbunden werden",
        ),
        ("open the app in the shop's admin", "Die App im Shopify-Admin des Ladens öffnen"),
    ),
    "OAUTH-CLIENT": (
        (
            "Shopify does not take the app's client id and secret, or the app is not installed in this shop",
            "Shopify nimmt Client-ID und Geheimnis der App nicht an, oder die App ist im Laden nicht installiert",
        ),
        ("compare both with the app's settings, and install the app", "Beide vergleichen und die App installieren"),
    ),
    "SHOPIFY-FROZEN": (
        ("the shop is frozen: Shopify's bill was not paid", "Der Laden ist gesperrt: Shopifys Rechnung ist offen"),
        ("pay Shopify's bill in the admin", "Shopifys Rechnung im Adminbereich bezahlen"),
    ),
    "SHOPIFY-FORBIDDEN": (
        ("the app may do nothing in this shop (403)", "Die App darf in diesem Laden nichts (403)"),
        _REINSTALL,
    ),
    "SHOPIFY-GONE": (
        ("there is no such shop", "Diesen Laden gibt es nicht"),
        ("look at the shop's myshopify.com address", "Die myshopify.com-Adresse des Ladens prüfen"),
    ),
    "SHOPIFY-LOCKED": (
        ("the shop is locked (423)", "Der Laden ist geschlossen (423)"),
        ("ask Shopify's support", "Shopifys Support fragen"),
    ),
}


def why(code: str) -> str:
    """What happened, in English, by the code of a failure."""
    known = _FAILURES.get(code)
    return known[0][0] if known is not None else code


def unread(side: Unread, area: Area, tenancy: Tenancy) -> Finding:
    """The finding of a side that did not answer."""
    name = "Shopify" if area == "shopify" else "sevdesk"
    known = _FAILURES.get(side.code)
    if known is not None:
        (english, german), (do_english, do_german) = known
    elif side.later:
        english, german = f"{name} does not answer ({side.code})", f"{name} antwortet nicht ({side.code})"
        do_english, do_german = _LATER
    else:
        english = f"{name} refuses: {side.message or side.code}"
        german = f"{name} lehnt ab ({side.code})"
        do_english = f"look up {side.code} in docs/reference/codes.md"
        do_german = f"{side.code} in docs/reference/codes.md nachschlagen"
    words = {"tenant": tenancy.tenant}
    todo = do_english.format(**words), do_german.format(**words)
    return Finding("missing", side.code, area, english, german, *todo, later=side.later)


def of_shop(shop: ShopRead, tenancy: Tenancy) -> Iterator[Finding]:
    """Is it the shop the books are of, and does the app see its orders?"""
    plan = f", {shop.plan}" if shop.plan else ""
    yield Finding(
        "ok",
        "SHOPIFY",
        "shopify",
        f"{shop.name} answers ({shop.domain}{plan})",
        f"{shop.name} antwortet ({shop.domain}{plan})",
    )
    other = tenancy.shop_gid is not None and tenancy.shop_gid != shop.gid
    if shop.domain != tenancy.shop or other:
        yield Finding(
            "missing",
            "SHOP-IDENTITY",
            "shopify",
            f"the token opens {shop.domain}, and the books are those of {tenancy.shop}",
            f"Der Token öffnet {shop.domain}, die Bücher gehören zu {tenancy.shop}",
            "connect the right shop, or add the other one as a tenant of its own",
            "Den richtigen Laden verbinden oder den anderen als eigenen Mandanten anlegen",
        )
    lacking = [scope for scope in NEEDED_SCOPES if not shop.granted(scope)]
    if lacking:
        names = ", ".join(lacking)
        yield Finding(
            "missing",
            "SHOPIFY-SCOPE",
            "shopify",
            f"the app was not granted {names}: without it no order can be read, or no buyer named",
            f"Der App fehlt die Berechtigung {names}: Ohne sie ist keine Bestellung lesbar oder kein Käufer benannt",
            "add the scope to the app and let the merchant accept it",
            "Die Berechtigung in der App ergänzen und vom Händler bestätigen lassen",
            names,
        )
    else:
        yield Finding(
            "ok",
            "SHOPIFY-SCOPE",
            "shopify",
            "the app was granted what it needs",
            "Die App hat die nötigen Berechtigungen",
        )
    yield _sixty_days(shop, tenancy)


def _sixty_days(shop: ShopRead, tenancy: Tenancy) -> Finding:
    """S103: without read_all_orders an order disappears from the app's sight after 60 days."""
    if shop.granted(ALL_ORDERS):
        return Finding(
            "ok",
            "ORDERS-INVISIBLE",
            "shopify",
            "orders of any age are visible",
            "Bestellungen jeden Alters sind sichtbar",
        )
    since = tenancy.now - VISIBLE
    english = f"older orders invisible since {since:%Y-%m-%d}: the app lacks {ALL_ORDERS}"
    german = f"Ältere Bestellungen sind unsichtbar seit {since:%d.%m.%Y}: Der App fehlt {ALL_ORDERS}"
    if tenancy.cut_off < since:
        english += f"; what was bought from the cut-off {tenancy.cut_off:%Y-%m-%d} until then cannot be documented"
        german += f"; was seit dem Stichtag {tenancy.cut_off:%d.%m.%Y} bis dahin gekauft wurde, bleibt ohne Beleg"
    return Finding(
        "warn",
        "ORDERS-INVISIBLE",
        "shopify",
        english,
        german,
        f"apply for {ALL_ORDERS} in Shopify's app settings; a refund of an older order is asked about",
        f"{ALL_ORDERS} in Shopifys App-Einstellungen beantragen; Erstattungen älterer Bestellungen werden nachgefragt",
    )


def of_account(account: AccountRead, profile: Profile | None, tenancy: Tenancy) -> Iterator[Finding]:
    """Which sevdesk account is it, is it the one the books know, who else uses it, and is it of the right version?"""
    name = f"{account.name} (account {account.id})" if account.name else f"account {account.id}"
    nennt = f"{account.name} (Konto {account.id})" if account.name else f"Konto {account.id}"
    yield Finding("ok", "SEVDESK", "sevdesk", f"the token opens {name}", f"Der Token öffnet {nennt}")
    if tenancy.sevdesk_ref is not None and tenancy.sevdesk_ref != account.id:
        yield Finding(
            "missing",
            "SEVDESK-CHANGED",
            "sevdesk",
            f"the token opens {name}, and the books were written in account {tenancy.sevdesk_ref}: their documents and"
            " payment accounts are not in this one",
            f"Der Token öffnet {nennt}, die Bücher stehen in Konto {tenancy.sevdesk_ref}: Deren Belege und"
            " Zahlungskonten"
            " gibt es hier nicht",
            f"store a token of account {tenancy.sevdesk_ref}",
            f"Einen Token von Konto {tenancy.sevdesk_ref} hinterlegen",
        )
    yield _version(account)
    yield from _neighbours(name, nennt, profile, tenancy)


def of_others(tenancy: Tenancy) -> Iterator[Finding]:
    """B11: invoices that another tool or a person wrote in the time that is ours now would be written once more."""
    if not tenancy.foreign:
        return
    since = tenancy.cut_off
    begin = f"ladenbuch adopt --tenant {tenancy.tenant} --since {since:%Y-%m-%d}"
    yield Finding(
        "warn",
        "FOREIGN-DOCUMENTS",
        "sevdesk",
        f"{tenancy.foreign} invoices since the cut-off {since:%Y-%m-%d} were not written by us",
        f"{tenancy.foreign} Rechnungen seit dem Stichtag {since:%d.%m.%Y} sind nicht von uns",
        f"see whose they are, and take them over: `{begin} --until …`",
        f"Nachsehen, zu wem sie gehören, und übernehmen: `{begin} --until …`",
    )


def _version(account: AccountRead) -> Finding:
    """Tax rules are known to bookkeeping system 2.0 alone (facts 1.9)."""
    version = account.version or "?"
    if version == "2.0":
        return Finding("ok", "SEVDESK-BOOKKEEPING", "sevdesk", "bookkeeping version 2.0", "Buchhaltungssystem 2.0")
    return Finding(
        "missing",
        "SEVDESK-BOOKKEEPING",
        "sevdesk",
        f"the account still has bookkeeping version {version}, which knows no tax rules; 2.0 is needed",
        f"Das Konto hat noch das Buchhaltungssystem {version}, das keine Steuerregeln kennt; nötig ist 2.0",
        "have sevdesk's support move the account to sevdesk-Update 2.0, then run this again",
        "Das Konto vom sevdesk-Support auf sevdesk-Update 2.0 umstellen lassen, dann noch einmal prüfen",
        version,
    )


def _neighbours(name: str, nennt: str, profile: Profile | None, tenancy: Tenancy) -> Iterator[Finding]:
    """Several shops may keep their books in one account, as one seller, each under its own key."""
    others = tenancy.neighbours
    if not others:
        return
    shops = ", ".join(other.shop for other in others)
    yield Finding(
        "ok",
        "SEVDESK-SHARED",
        "sevdesk",
        f"{name} also has the books of {shops}",
        f"{nennt} führt auch die Bücher von {shops}",
        about=shops,
    )
    for other in others if profile is not None else ():
        assert profile is not None
        if other.shop_key.casefold() == profile.shop_key.casefold():
            yield Finding(
                "missing",
                "SHOP-KEY-TAKEN",
                "sevdesk",
                f"{other.shop} uses the shop key {other.shop_key!r} in the same account: their orders could not be told"
                " apart",
                f"{other.shop} benutzt im selben Konto das Ladenkürzel {other.shop_key!r}: Die Bestellungen wären nicht"
                " zu unterscheiden",
                "give this shop a `shop_key` of its own in the profile",
                "Diesem Laden im Profil ein eigenes `shop_key` geben",
                other.tenant,
            )
        if (other.regime, other.oss_from) != (profile.regime, profile.oss_from):
            yield Finding(
                "missing",
                "SHARED-REGIME",
                "sevdesk",
                f"{other.shop} belongs to the same seller, and its profile says otherwise:"
                f" {_says(other.regime, other.oss_from)},"
                f" here {_says(profile.regime, profile.oss_from)}",
                f"{other.shop} gehört demselben Unternehmer, ihr Profil sagt aber anderes:"
                f" {_says(other.regime, other.oss_from)},"
                f" hier {_says(profile.regime, profile.oss_from)}",
                "small business and OSS hold for a seller, not for a shop: make the profiles agree",
                "Kleinunternehmer und OSS gelten je Unternehmer, nicht je Laden: Die Profile angleichen",
                other.tenant,
            )
    if profile is not None and profile.oss_from is None:
        yield Finding(
            "warn",
            "SHARED-THRESHOLD",
            "sevdesk",
            f"the EU threshold of 10,000 EUR counts what a seller sells: what {shops} sell to EU consumers is not in"
            " this shop's counter",
            f"Die EU-Schwelle von 10.000 EUR zählt je Unternehmer: Was {shops} an Verbraucher in der EU verkaufen,"
            " fehlt"
            " im Zähler dieses Ladens",
            "add their sales as `eu_sales` in the profile, or register for OSS",
            "Deren Verkäufe als `eu_sales` im Profil eintragen oder am OSS teilnehmen",
            shops,
        )


def _says(regime: str, oss_from: date | None) -> str:
    return f"{regime}, OSS {oss_from.isoformat() if oss_from else '–'}"
