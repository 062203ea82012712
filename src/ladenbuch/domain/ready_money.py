"""Has every gateway its place, and comes no money twice? (bookkeeping 4.1, 4.2)"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from ladenbuch.domain.connected import AccountRead, Finding, PaymentAccount, ShopRead
from ladenbuch.domain.profile import LINED_MODES, OFFLINE_MODE, Gateway, Profile

#: Modes in which a payment is booked on an account that the profile must name.
_ON_ACCOUNT = (*LINED_MODES, OFFLINE_MODE, "feed")
#: Modes in which we make the line, or have it made: what a bank feed brings as well is there twice.
_OURS = (*LINED_MODES, OFFLINE_MODE)
#: Whose payouts are read by a scope of its own; those of others come as reports.
SHOPIFY_PAYMENTS, PAYOUTS_SCOPE = "shopify_payments", "read_shopify_payments_payouts"
#: Words of a gateway's name that say nothing about whose money it is.
_DULL = frozenset(
    {
        "payments",
        "payment",
        "express",
        "checkout",
        "cards",
        "card",
        "credit",
        "gift",
        "store",
        "gateway",
        "bank",
        "deposit",
        "cash",
        "delivery",
        "invoice",
        "manual",
        "money",
        "order",
        "transfer",
        "online",
        "direct",
        "standard",
    }
)
#: Gateways whose money comes by bank transfer, whatever a merchant's own name for them is.
_BY_TRANSFER = re.compile(r"bank|vorkasse|überweisung|ueberweisung|rechnung|invoice|money.?order|wire", re.IGNORECASE)


def of_both(
    shop: ShopRead | None, account: AccountRead | None, profile: Profile, later: Sequence[Profile] = ()
) -> Iterator[Finding]:
    """The gateways of profile and shop, against the payment accounts; what versions in force `later` change of them."""
    manual = _manual(shop, profile)
    if shop is not None:
        yield from _unmapped(shop, profile)
        yield from _scopes(shop, (profile, *later))
    if account is None:
        return
    known: set[tuple[str, Gateway]] = set()
    for version in (profile, *later):
        for name, gateway in _gateways(version):
            if (name, gateway) in known:
                continue
            known.add((name, gateway))
            by_transfer = name in manual or _BY_TRANSFER.search(name) is not None
            yield _double_feed(account, name, gateway, manual=by_transfer) or _account(account, name, gateway)
            yield from _settings(account, name, gateway)
    yield from _theirs(account, {gateway.account for _, gateway in known})


def _gateways(profile: Profile) -> Iterator[tuple[str, Gateway]]:
    yield from profile.gateways.items()
    if profile.default_gateway is not None:
        yield "default_gateway", profile.default_gateway


def _manual(shop: ShopRead | None, profile: Profile) -> set[str]:
    recent = shop.ours(profile) if shop is not None else ()
    return {name for order in recent for name, manual in order.gateways if manual}


def _unmapped(shop: ShopRead, profile: Profile) -> Iterator[Finding]:
    """Gateways the shop's newest orders were paid with, and nobody has decided on."""
    if shop.recent is None:
        yield Finding(
            "warn",
            "GATEWAYS-UNSEEN",
            "money",
            "the newest orders could not be read: nobody knows which gateways are used",
            "Die letzten Bestellungen waren nicht lesbar: Niemand weiß, welche Zahlarten benutzt werden",
            "compare the profile with the payment settings in Shopify",
            "Das Profil mit den Zahlungseinstellungen in Shopify vergleichen",
        )
    used = sorted({pair for order in shop.ours(profile) for pair in order.gateways if pair[0]})
    for name, manual in used:
        if profile.gateway(name, manual=manual) is None:
            yield Finding(
                "missing",
                "GATEWAY-UNMAPPED",
                "money",
                f"buyers pay with {name}, and the profile does not say how that money is kept",
                f"Käufer zahlen mit {name}, und das Profil sagt nicht, wie dieses Geld geführt wird",
                f"name `{name}` with a mode under `gateways` in the profile",
                f"`{name}` mit einem Modus unter `gateways` ins Profil aufnehmen",
                name,
            )
    if not used and not profile.gateways and profile.default_gateway is None:
        yield Finding(
            "missing",
            "GATEWAY-UNMAPPED",
            "money",
            "the profile names no gateway: every payment would be asked about",
            "Das Profil nennt keine Zahlart: Jede Zahlung würde nachgefragt",
            "name the shop's gateways under `gateways` in the profile",
            "Die Zahlarten des Ladens unter `gateways` ins Profil aufnehmen",
        )


def _scopes(shop: ShopRead, versions: Sequence[Profile]) -> Iterator[Finding]:
    """What the profile wants done, and the app was not granted the scope for."""
    if any(one.money_back for one in versions) and not shop.granted("write_orders"):
        yield Finding(
            "warn",
            "MONEY-BACK-SCOPE",
            "money",
            "no order can be marked as paid when its transfer comes: the app lacks write_orders",
            "Keine Bestellung wird als bezahlt markiert, wenn ihre Überweisung kommt: Der App fehlt write_orders",
            "add write_orders to LADENBUCH_OPTIONAL_SCOPES and let the merchant accept it, or set `money_back` to false"
            " in the profile",
            "write_orders in LADENBUCH_OPTIONAL_SCOPES aufnehmen und vom Händler bestätigen lassen, oder `money_back`"
            " im Profil auf false setzen",
            "write_orders",
        )
    gateways = {name: one.mode for version in versions for name, one in version.gateways.items()}
    if gateways.get(SHOPIFY_PAYMENTS) == "clearing+payouts" and not shop.granted(PAYOUTS_SCOPE):
        yield Finding(
            "warn",
            "PAYOUTS-SCOPE",
            "money",
            f"{SHOPIFY_PAYMENTS}: fees and payouts are not booked, and the account only grows: the app lacks"
            f" {PAYOUTS_SCOPE}",
            f"{SHOPIFY_PAYMENTS}: Gebühren und Auszahlungen werden nicht gebucht, das Konto wächst nur: Der App fehlt"
            f" {PAYOUTS_SCOPE}",
            f"add {PAYOUTS_SCOPE} to LADENBUCH_OPTIONAL_SCOPES and let the merchant accept it, or choose another mode",
            f"{PAYOUTS_SCOPE} in LADENBUCH_OPTIONAL_SCOPES aufnehmen und vom Händler bestätigen lassen, oder einen"
            " anderen Modus wählen",
            SHOPIFY_PAYMENTS,
        )


def _account(account: AccountRead, name: str, gateway: Gateway) -> Finding:
    """The account of one gateway: there, in use, of the right kind and currency."""
    mode = gateway.mode
    if mode not in _ON_ACCOUNT:
        return Finding(
            "ok",
            "GATEWAY-ACCOUNT",
            "money",
            f"{name}: {mode}, needs no account",
            f"{name}: {mode}, braucht kein Konto",
            about=name,
        )
    found = account.account(gateway.account)
    wanted = "offline" if mode == OFFLINE_MODE else "online"
    if gateway.account is None or found is None:
        which = f"account {gateway.account} is not in sevdesk" if gateway.account else "the profile names no account"
        welches = (
            f"Konto {gateway.account} gibt es in sevdesk nicht" if gateway.account else "Das Profil nennt kein Konto"
        )
        problem = which, welches
    elif not found.active:
        problem = f"account {found.id} is archived", f"Konto {found.id} ist archiviert"
    elif found.kind != wanted:
        problem = (
            f"account {found.id} is {found.kind}, mode {mode} needs one that is {wanted}",
            f"Konto {found.id} ist {found.kind}, der Modus {mode} braucht ein Konto der Art {wanted}",
        )
    elif found.currency != "EUR":
        problem = (
            f"account {found.id} is kept in {found.currency}",
            f"Konto {found.id} wird in {found.currency} geführt",
        )
    else:
        return Finding(
            "ok",
            "GATEWAY-ACCOUNT",
            "money",
            f"{name}: {mode} on {found.name!r} ({found.id})",
            f"{name}: {mode} auf {found.name!r} ({found.id})",
            about=name,
        )
    return Finding(
        "missing",
        "GATEWAY-ACCOUNT",
        "money",
        f"{name}: {problem[0]}",
        f"{name}: {problem[1]}",
        "name an account in the profile, or let `tenants add --create-accounts` make one",
        "Ein Konto im Profil nennen oder mit `tenants add --create-accounts` anlegen lassen",
        name,
    )


def _double_feed(account: AccountRead, name: str, gateway: Gateway, *, manual: bool) -> Finding | None:
    """Whether a feed brings the same money a second time."""
    if gateway.mode not in _OURS:
        return None
    own = account.account(gateway.account)
    feeds = [item for item in account.accounts if item.fed and item.active]
    words = [word for word in re.split(r"[^0-9a-zäöüß]+", name.lower()) if len(word) > 3 and word not in _DULL]
    if own is not None and own in feeds:
        why = (f"{own.name!r} is filled by a connection of sevdesk", f"{own.name!r} füllt eine Anbindung von sevdesk")
        feed = own
    elif same := [item for item in feeds if _names(item, words)]:
        feed = same[0]
        why = (
            f"sevdesk also fetches this money to {feed.name!r}",
            f"sevdesk holt dieses Geld auch auf {feed.name!r} ab",
        )
    elif manual and gateway.mode != "liability" and feeds:
        feed = feeds[0]
        why = (
            f"this money comes by bank transfer, which {feed.name!r} brings as well",
            f"Dieses Geld kommt per Überweisung, die auch {feed.name!r} bringt",
        )
    else:
        return None
    return Finding(
        "missing",
        "DOUBLE-FEED",
        "money",
        f"{name}: {why[0]}, and mode {gateway.mode} writes it once more",
        f"{name}: {why[1]}, und der Modus {gateway.mode} schreibt es noch einmal",
        f"use mode feed with account {feed.id}"
        + (" or mode bank" if manual else "")
        + ", or end the connection in sevdesk",
        f"Modus feed mit Konto {feed.id}"
        + (" oder Modus bank" if manual else "")
        + " wählen oder die Anbindung in sevdesk"
        " beenden",
        name,
    )


def _theirs(account: AccountRead, ours: Collection[str | None]) -> Iterator[Finding]:
    """Accounts no gateway names, whose lines sevdesk matches on its own: a payout or a transfer may pay any invoice
    of that amount. What it matched is taken as payment (R14), so it is only said."""
    for item in account.accounts:
        if item.fed and item.active and item.auto_map and item.id not in ours:
            yield Finding(
                "warn",
                "ACCOUNT-AUTO-MAP",
                "money",
                f"sevdesk matches the lines of {item.name!r} on its own and may pick another invoice of that amount",
                f"sevdesk ordnet die Zeilen von {item.name!r} selbst zu und trifft womöglich eine andere Rechnung mit"
                " diesem Betrag",
                "switch off automatic assignment for this account in sevdesk, or look over what it assigned",
                "Die automatische Zuordnung für dieses Konto in sevdesk abschalten oder nachsehen, was sie zuordnet",
                item.name,
            )


def _names(account: PaymentAccount, words: list[str]) -> bool:
    text = f"{account.name} {account.provider}".lower()
    return any(word in text for word in words)


def _settings(account: AccountRead, name: str, gateway: Gateway) -> Iterator[Finding]:
    """Settings of the account that may get in the way."""
    found = account.account(gateway.account) if gateway.mode in _ON_ACCOUNT else None
    if found is None:
        return
    if found.auto_map and gateway.mode != OFFLINE_MODE:
        yield Finding(
            "warn",
            "ACCOUNT-AUTO-MAP",
            "money",
            f"{name}: sevdesk matches the lines of {found.name!r} on its own and may pick another invoice of that"
            " amount",
            f"{name}: sevdesk ordnet die Zeilen von {found.name!r} selbst zu und trifft womöglich eine andere Rechnung"
            " mit"
            " diesem Betrag",
            "switch off automatic assignment for this account in sevdesk",
            "Die automatische Zuordnung für dieses Konto in sevdesk abschalten",
            name,
        )
    if gateway.mode == "feed" and not found.fed:
        yield Finding(
            "warn",
            "ACCOUNT-UNFED",
            "money",
            f"{name}: mode feed waits for lines on {found.name!r}, and nothing brings any there but an import by hand",
            f"{name}: Der Modus feed wartet auf Zeilen auf {found.name!r}, dorthin bringt aber nur ein Import von Hand"
            " welche",
            "connect the gateway in sevdesk, or choose mode clearing+payouts",
            "Die Zahlart in sevdesk anbinden oder den Modus clearing+payouts wählen",
            name,
        )
