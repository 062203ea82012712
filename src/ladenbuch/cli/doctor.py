"""`ladenbuch doctor`: what is missing before the first invoice may run, in plain words."""

from __future__ import annotations

from typing import Any

import typer

from ladenbuch import books, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.db import Store
from ladenbuch.domain.profile import LINED_MODES, OFFLINE_MODE, Profile, profile_at
from ladenbuch.domain.threshold import NOTICE, count, euros, overtaken
from ladenbuch.errors import LadenbuchError, UsageError
from ladenbuch.workflows.evidence import year_before


def examine(tenant: str | None, *, as_json: bool) -> int:
    """Run all checks; exit 0 when everything is well, 1 when something is missing."""
    findings: list[dict[str, Any]] = []

    def check(name: str, ok: bool, sentence: str) -> None:
        findings.append({"check": name, "ok": ok, "sentence": sentence})

    with opened() as house:
        check("settings", True, "the settings are complete")
        if not house.settings.smtp_urls:
            check("mail", False, "LADENBUCH_SMTP_URLS is empty: letters have nowhere to go")
        known = house.database.system("doctor").read(Store.BOOKS, tenants.all)
        check("tenants", bool(known), f"{len(known)} tenants" if known else "no tenant yet: ladenbuch tenants add")
        try:
            chosen_ones = [chosen(house, tenant)] if tenant else known
        except UsageError as error:
            check("tenant", False, error.message)
            chosen_ones = []
        for owner in chosen_ones:
            _tenant(house, owner, check)
    bad = [item for item in findings if not item["ok"]]
    if as_json:
        say_json({"ok": not bad, "checks": findings})
    else:
        for item in findings:
            typer.echo(f"{'ok     ' if item['ok'] else 'MISSING'} {item['check']:24} {item['sentence']}")
    return 1 if bad else 0


def _tenant(house: Ladenbuch, tenant: tenants.Tenant, check: Any) -> None:
    name = tenant.id
    mode = "drafts only" if tenant.draft_only else "live"
    check(f"{name}: mode", True, f"{mode}, nothing before {tenant.cut_off:%Y-%m-%d %H:%M} UTC")
    reason = house.database.tenant(name).read(Store.BOOKS, lambda tx: tenants.stopped(tx, name))
    check(f"{name}: writing", reason is None, "allowed" if reason is None else f"stopped: {reason}; ladenbuch go")
    try:
        profiles = house.context.profiles(name)
        check(f"{name}: profile", True, f"{len(profiles)} version(s), shop key {profiles[-1].shop_key}")
    except LadenbuchError as error:
        check(f"{name}: profile", False, str(error))
        return
    _eu_threshold(house, name, profiles, check)
    try:
        shop = house.shopify(name).shop_settings()
        ok = shop.get("currencyCode") == profiles[-1].currency
        check(f"{name}: shopify", ok, f"shop {shop.get('name')!r}, currency {shop.get('currencyCode')}")
    except LadenbuchError as error:
        check(f"{name}: shopify", False, str(error))
    try:
        sevdesk = house.sevdesk(name)
        version = sevdesk.bookkeeping_version()
        check(f"{name}: sevdesk", version == "2.0", f"bookkeeping version {version} (2.0 is needed)")
        rules = {rule.id for rule in sevdesk.tax_rules()}
        check(f"{name}: tax rule 1", 1 in rules, "taxable revenue may be posted" if 1 in rules else "rule 1 is missing")
        accounts = {account.id: account for account in sevdesk.check_accounts()}
        for gateway, how in profiles[-1].gateways.items():
            if how.mode in (*LINED_MODES, OFFLINE_MODE, "feed"):
                wanted = "offline" if how.mode == OFFLINE_MODE else "online"
                account = accounts.get(how.account or "")
                fits = account is not None and account.kind == wanted
                text = f"account {how.account}" if fits else "no such account: tenants add --create-accounts"
                if account is not None and not fits:
                    text = f"account {how.account} is {account.kind}, mode {how.mode} needs one that is {wanted}"
                check(f"{name}: {gateway}", fits, text)
    except LadenbuchError as error:
        check(f"{name}: sevdesk", False, str(error))


def _eu_threshold(house: Ladenbuch, name: str, profiles: list[Profile], check: Any) -> None:
    """How much EU consumers bought, for a shop that has not been in OSS all the time; silent where they bought nothing.

    Also what only later turned out to lie above the threshold: settled after a sale that follows it (R8).
    """
    now = house.context.clock()
    profile = profile_at(profiles, now)
    if profile.oss_from is not None and profile.oss_from <= year_before(now).date():
        return
    sales = house.database.tenant(name).read(Store.BOOKS, lambda tx: books.eu_sales(tx, name, year_before(now)))
    late = [sale.key for sale in overtaken(sales, profiles)]
    if late:
        sentence = f"crossed by {', '.join(late[:5])}, taxed in Germany before that was known; correct it in sevdesk"
        check(f"{name}: EU threshold", False, sentence)
    counter = count(sales, profile, now, 0)
    if profile.oss_from is not None and profile.oss_from <= profile.local_date(now):
        return
    if not (counter.this_year or counter.last_year):
        return
    sentence = f"{euros(counter.this_year, german=False)} of 10,000 EUR net to EU consumers in {counter.year}"
    if counter.exceeded is not None:
        year, net = counter.exceeded
        told = f"EU consumers bought for {euros(net, german=False)} EUR net in {year}, above the threshold"
        sentence = f"{told}: register for OSS and set oss_from in the profile"
    elif counter.this_year >= NOTICE:
        sentence += ": prepare the OSS registration"
    unknown = [year for year in (counter.year - 1, counter.year) if _begins_before(profile, year)]
    if unknown and counter.exceeded is None:
        sentence += f"; eu_sales in the profile does not say what was sold before go-live in {unknown[0]}"
    check(f"{name}: EU sales", counter.exceeded is None, sentence)


def _begins_before(profile: Profile, year: int) -> bool:
    """Whether a year began before go-live, and the profile has no figure for it."""
    return profile.local_date(profile.go_live).year >= year and str(year) not in profile.eu_sales
