"""Do the shop's tax settings, the regime of the sevdesk account and the profile say the same?"""

from __future__ import annotations

from collections.abc import Iterator

from ladenbuch.domain.connected import AccountRead, Finding, ShopRead
from ladenbuch.domain.profile import Profile

#: Tax rules of sevdesk by what they are for (facts 3.1).
_RULES = {
    1: ("taxable turnover", "steuerpflichtige Umsätze"),
    2: ("exports", "Ausfuhren"),
    3: ("supplies to businesses in the EU", "innergemeinschaftliche Lieferungen"),
    5: ("reverse charge in Germany (§13b)", "Steuerschuld des Empfängers im Inland (§13b)"),
    11: ("turnover of small businesses (§19)", "Umsätze von Kleinunternehmern (§19)"),
    17: ("services not taxable in Germany", "im Inland nicht steuerbare Leistungen"),
    18: ("OSS goods", "OSS-Waren"),
    19: ("OSS electronic services", "elektronische OSS-Leistungen"),
    20: ("other OSS services", "sonstige OSS-Leistungen"),
    21: ("services to businesses in the EU (§18b)", "Leistungen an Unternehmen in der EU (§18b)"),
}
#: As many untaxed orders in a row are no chance.
_ENOUGH = 3


def of_shop(shop: ShopRead, profile: Profile) -> Iterator[Finding]:
    """Shopify's settings against the profile."""
    yield from _place(shop, profile)
    yield from _prices(shop, profile)
    yield from _charged(shop, profile)
    if shop.development:
        yield Finding(
            "missing",
            "SHOP-DEVELOPMENT",
            "taxes",
            "this is a development store: nobody buys in it, and its orders would stand in real books",
            "Das ist ein Entwicklungsladen: Niemand kauft darin, und seine Bestellungen stünden in echten Büchern",
            "connect it to a trial account of sevdesk and let it go with --force, or move the shop to a paid plan",
            "Mit einem sevdesk-Testkonto verbinden und mit --force freigeben oder den Laden auf einen bezahlten Tarif"
            " umstellen",
            shop.plan,
        )


def _place(shop: ShopRead, profile: Profile) -> Iterator[Finding]:
    if shop.currency == profile.currency == "EUR":
        yield Finding("ok", "SHOP-CURRENCY", "taxes", "the shop sells in EUR", "Der Laden verkauft in EUR")
    else:
        yield Finding(
            "missing",
            "SHOP-CURRENCY",
            "taxes",
            f"the shop sells in {shop.currency}, the profile says {profile.currency}; only EUR can be documented",
            f"Der Laden verkauft in {shop.currency}, das Profil sagt {profile.currency}; belegt werden kann nur EUR",
            "change the shop's currency before its first order, or keep its books by hand",
            "Die Währung des Ladens vor der ersten Bestellung ändern oder ihn von Hand buchen",
            shop.currency,
        )
    others = sorted(set(shop.presentment) - {shop.currency, profile.currency})
    if others:
        names = ", ".join(others)
        yield Finding(
            "warn",
            "SHOP-PRESENTMENT",
            "taxes",
            f"buyers may also pay in {names}: each such order is asked about (CURRENCY)",
            f"Käufer dürfen auch in {names} zahlen: Jede solche Bestellung wird nachgefragt (CURRENCY)",
            "switch off the other currencies in the shop's markets",
            "Die anderen Währungen in den Märkten abschalten",
            names,
        )
    if shop.country == profile.country == "DE":
        yield Finding("ok", "SHOP-COUNTRY", "taxes", "the shop is in Germany", "Der Laden sitzt in Deutschland")
    else:
        yield Finding(
            "missing",
            "SHOP-COUNTRY",
            "taxes",
            f"the shop is in {shop.country or '?'}, the profile says {profile.country}; only sellers in Germany are"
            " decided",
            f"Der Laden sitzt in {shop.country or '?'}, das Profil sagt {profile.country}; entschieden wird nur für"
            " Händler in Deutschland",
            "correct the shop's address in Shopify",
            "Die Adresse des Ladens in Shopify berichtigen",
            shop.country,
        )
    if shop.time_zone != profile.time_zone:
        yield Finding(
            "warn",
            "SHOP-TIME-ZONE",
            "taxes",
            f"Shopify dates its reports in {shop.time_zone}, the books are dated in {profile.time_zone}: around"
            " midnight"
            " they name different days",
            f"Shopify datiert seine Berichte in {shop.time_zone}, die Bücher in {profile.time_zone}: Um Mitternacht"
            " nennen sie verschiedene Tage",
            f"set the shop's time zone to {profile.time_zone}",
            f"Die Zeitzone des Ladens auf {profile.time_zone} stellen",
            shop.time_zone,
        )
    else:
        yield Finding(
            "ok", "SHOP-TIME-ZONE", "taxes", f"both date in {shop.time_zone}", f"Beide datieren in {shop.time_zone}"
        )


def _prices(shop: ShopRead, profile: Profile) -> Iterator[Finding]:
    """What a seller who charges VAT shows and taxes; a small business charges none (§19)."""
    if profile.regime != "regular":
        return
    if shop.taxes_included:
        yield Finding("ok", "SHOP-PRICES", "taxes", "prices include VAT", "Die Preise enthalten die Umsatzsteuer")
    else:
        yield Finding(
            "warn",
            "SHOP-PRICES",
            "taxes",
            "prices are shown without VAT, which comes on top at checkout: consumers must be told the whole price"
            " (PAngV)",
            "Die Preise stehen ohne Umsatzsteuer da, sie kommt an der Kasse dazu: Verbrauchern ist der Gesamtpreis zu"
            " nennen (PAngV)",
            "set `all prices include tax` in Shopify's tax settings, unless the shop sells to businesses only",
            "`Alle Preise enthalten Steuern` in Shopifys Steuereinstellungen setzen, außer bei reinem B2B",
        )
    if shop.tax_shipping:
        yield Finding("ok", "SHOP-SHIPPING-TAX", "taxes", "shipping is taxed", "Der Versand wird besteuert")
    else:
        yield Finding(
            "warn",
            "SHOP-SHIPPING-TAX",
            "taxes",
            "Shopify is told not to tax shipping; in Germany it is taxed like the goods, and an order whose shipping"
            " carries no tax is asked about",
            "Shopify soll den Versand nicht besteuern; in Deutschland folgt er den Waren, und eine Bestellung mit"
            " unversteuertem Versand wird nachgefragt",
            "set `charge tax on shipping rates` in Shopify's tax settings",
            "`Steuern auf Versandtarife erheben` in Shopifys Steuereinstellungen setzen",
        )


def _charged(shop: ShopRead, profile: Profile) -> Iterator[Finding]:
    """What the newest orders really carry, against the regime."""
    sold = [order for order in shop.ours(profile) if order.gross > 0]
    taxed = sum(order.tax > 0 for order in sold)
    small = profile.regime == "small_business"
    if small and taxed:
        yield Finding(
            "missing",
            "SHOP-TAX",
            "taxes",
            f"{taxed} of the newest {len(sold)} orders carry VAT, and the profile says small business (§19): VAT that"
            " is"
            " shown is owed (§14c)",
            f"{taxed} der letzten {len(sold)} Bestellungen tragen Umsatzsteuer, das Profil sagt Kleinunternehmer (§19):"
            " Ausgewiesene Steuer ist geschuldet (§14c)",
            "switch off the collection of VAT in Shopify's tax settings, or correct `regime`",
            "Die Erhebung der Umsatzsteuer in Shopify abschalten oder `regime` berichtigen",
        )
    elif not small and len(sold) >= _ENOUGH and not taxed:
        yield Finding(
            "warn",
            "SHOP-TAX",
            "taxes",
            f"none of the newest {len(sold)} orders carries VAT, and the profile says regular taxation",
            f"Keine der letzten {len(sold)} Bestellungen trägt Umsatzsteuer, das Profil sagt Regelbesteuerung",
            "switch on the collection of VAT in Shopify's tax settings, or correct `regime`",
            "Die Erhebung der Umsatzsteuer in Shopify einschalten oder `regime` berichtigen",
        )
    elif sold:
        yield Finding(
            "ok",
            "SHOP-TAX",
            "taxes",
            f"{taxed} of the newest {len(sold)} orders carry VAT",
            f"{taxed} der letzten {len(sold)} Bestellungen tragen Umsatzsteuer",
        )


def of_account(account: AccountRead, profile: Profile) -> Iterator[Finding]:
    """The regime of the sevdesk account against the profile."""
    yield _regime(account, profile)
    yield from _rules(account, profile)
    yield from _revenue(account, profile)
    soll = profile.taxation == "soll"
    yield Finding(
        "ok",
        "SEVDESK-TAXATION",
        "taxes",
        f"the profile says {'Soll: by invoices' if soll else 'Ist: by payments (§20)'}; sevdesk does not tell its own"
        " setting, compare it there",
        f"Das Profil sagt {'Sollversteuerung' if soll else 'Istversteuerung (§20)'}; sevdesk verrät seine Einstellung"
        " nicht, bitte dort vergleichen",
        about=profile.taxation,
    )


def _regime(account: AccountRead, profile: Profile) -> Finding:
    small = profile.regime == "small_business"
    if account.small_business is None:
        return Finding(
            "warn",
            "SEVDESK-REGIME",
            "taxes",
            "sevdesk does not say whether the account is one of a small business (§19)",
            "sevdesk sagt nicht, ob das Konto das eines Kleinunternehmers ist (§19)",
            f"look in sevdesk's settings: the profile says {profile.regime}",
            f"In den Einstellungen von sevdesk nachsehen: Das Profil sagt {profile.regime}",
        )
    if account.small_business == small:
        return Finding(
            "ok",
            "SEVDESK-REGIME",
            "taxes",
            f"sevdesk and the profile agree: {profile.regime}",
            f"sevdesk und Profil sagen dasselbe: {_german(small)}",
        )
    theirs = "small_business" if account.small_business else "regular"
    return Finding(
        "missing",
        "SEVDESK-REGIME",
        "taxes",
        f"sevdesk says {theirs}, the profile says {profile.regime}: sevdesk would refuse the invoices, or they would be"
        " wrong",
        f"sevdesk sagt {_german(not small)}, das Profil sagt {_german(small)}: sevdesk würde die Rechnungen ablehnen,"
        " oder sie wären falsch",
        "correct the tax setting in sevdesk or `regime` in the profile; the tax office knows which one is true",
        "Die Einstellung in sevdesk oder `regime` im Profil berichtigen; was stimmt, weiß das Finanzamt",
        theirs,
    )


def _german(small: bool) -> str:
    return "Kleinunternehmer" if small else "Regelbesteuerung"


def needed_rules(profile: Profile) -> set[int]:
    """The tax rules without which a shop of this profile cannot document its ordinary orders."""
    needed = {11 if profile.regime == "small_business" else 1}
    if profile.oss_from is not None:
        needed |= {18} | {"electronic": {19}, "service": {20}}.get(profile.unshipped, set())
    return needed | ({5} if profile.reverse_charge else set())


def _rules(account: AccountRead, profile: Profile) -> Iterator[Finding]:
    if account.rules is None:
        yield Finding(
            "warn",
            "SEVDESK-TAX-RULES",
            "taxes",
            "sevdesk does not tell which tax rules the account may use",
            "sevdesk sagt nicht, welche Steuerregeln das Konto benutzen darf",
            "look at the first draft before anything is finalised",
            "Den ersten Entwurf ansehen, bevor etwas festgeschrieben wird",
        )
        return
    needed = needed_rules(profile)
    wished = {2, 3} if profile.regime == "regular" else set()
    wished |= {17, 21} if profile.unshipped != "unset" and profile.regime == "regular" else set()
    for level, rules in (("missing", needed), ("warn", wished)):
        lacking = sorted(rules - account.rules)
        if not lacking:
            continue
        english, german = (", ".join(f"{rule} ({_RULES[rule][word]})" for rule in lacking) for word in (0, 1))
        which = "such orders are asked about" if level == "warn" else "its orders cannot be documented"
        welche = "solche Bestellungen werden nachgefragt" if level == "warn" else "Bestellungen sind nicht belegbar"
        yield Finding(
            "warn" if level == "warn" else "missing",
            "SEVDESK-TAX-RULES",
            "taxes",
            f"the account has no tax rule {english}: {which}",
            f"Dem Konto fehlt die Steuerregel {german}: {welche}",
            "look at the tax settings of the account, or ask sevdesk's support",
            "Die Steuereinstellungen des Kontos prüfen oder den sevdesk-Support fragen",
            ", ".join(map(str, lacking)),
        )
    if needed <= account.rules:
        names = ", ".join(map(str, sorted(needed)))
        yield Finding(
            "ok",
            "SEVDESK-TAX-RULES",
            "taxes",
            f"the tax rules the profile needs are there: {names}",
            f"Die nötigen Steuerregeln sind da: {names}",
        )


def _revenue(account: AccountRead, profile: Profile) -> Iterator[Finding]:
    """Whether sevdesk has an account for what the shop sells (its receipt guidance)."""
    if account.revenue is None:
        return
    wanted = {(11, "ZERO")} if profile.regime == "small_business" else {(1, "NINETEEN"), (1, "SEVEN")}
    lacking = sorted(wanted - account.revenue)
    if lacking:
        names = ", ".join({"NINETEEN": "19 %", "SEVEN": "7 %", "ZERO": "0 %"}[rate] for _, rate in lacking)
        yield Finding(
            "warn",
            "SEVDESK-REVENUE",
            "taxes",
            f"sevdesk offers no revenue account for turnover at {names}",
            f"sevdesk bietet kein Erlöskonto für Umsätze zu {names} an",
            "look at the chart of accounts with your tax adviser",
            "Den Kontenrahmen mit dem Steuerberater prüfen",
            names,
        )
    else:
        yield Finding(
            "ok",
            "SEVDESK-REVENUE",
            "taxes",
            "there are revenue accounts for what the shop sells",
            "Für die Umsätze des Ladens gibt es Erlöskonten",
        )
