"""`ladenbuch doctor` and `ladenbuch tenants test`: what is missing before the first invoice may run, in plain words."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import typer

from ladenbuch import tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.alarming import alarms_of
from ladenbuch.cli.files import say_json
from ladenbuch.cli.granting import check_scopes
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.privacy import check_privacy
from ladenbuch.db import Store
from ladenbuch.domain import mail_domain
from ladenbuch.domain.connected import Area, Finding, Language
from ladenbuch.domain.mail_domain import Lookup
from ladenbuch.errors import LadenbuchError, UsageError
from ladenbuch.web.alarm_words import alarm_sentence
from ladenbuch.web.backlog import backlog_sentence, read_backlog
from ladenbuch.web.connection import connections
from ladenbuch.workflows import checkup
from ladenbuch.workflows.readiness import Mail, try_connection
from ladenbuch.workflows.readiness import examine as examined

_LEVELS = {"ok": ("ok", "ok"), "warn": ("WARN", "ACHTUNG"), "missing": ("MISSING", "FEHLT")}
_STYLES = {"ok": "green", "warn": "yellow", "missing": "bold red"}
_AREAS: dict[Area, tuple[str, str]] = {
    "shopify": ("Shopify", "Shopify"),
    "sevdesk": ("sevdesk", "sevdesk"),
    "taxes": ("Taxes", "Steuern"),
    "seller": ("Seller and documents", "Unternehmer und Belege"),
    "money": ("Money", "Geld"),
    "profile": ("Profile", "Profil"),
    "letters": ("Letters", "Briefe"),
}


def examine(tenant: str | None, language: Language, *, as_json: bool) -> int:
    """Run all checks; exit 0 when nothing is missing, 1 when something is."""
    checks: list[dict[str, Any]] = []
    found: dict[str, list[Finding]] = {}

    def check(name: str, ok: bool, english: str, german: str) -> None:
        checks.append({"check": name, "ok": ok, "sentence": english, "sentence_de": german})

    resolver = _resolver()
    with opened() as house:
        damaged = house.database.damaged()
        if damaged:
            what = "; ".join(damaged[:3])
            check("database", False, f"damaged: {what}; restore a backup", f"beschädigt: {what}; Sicherung einspielen")
        else:
            check("database", True, "the database is sound", "Die Datenbank ist unversehrt")
        check("settings", True, "the settings are complete", "Die Einstellungen sind vollständig")
        if not house.settings.smtp_urls:
            empty = "LADENBUCH_SMTP_URLS is empty: letters have nowhere to go"
            check("mail", False, empty, "LADENBUCH_SMTP_URLS ist leer: Briefe kommen nirgends hin")
        else:
            for name, there in house.context.relays.there().items():
                english, german = ("answers", "antwortet") if there else ("does not answer", "antwortet nicht")
                check(f"relay {name}", there, f"the mail relay {english}", f"Der Mailserver {german}")
        known = house.database.system("doctor").read(Store.BOOKS, tenants.all)
        if known:
            check("tenants", True, f"{len(known)} tenants", f"{len(known)} Mandanten")
        else:
            check("tenants", False, "no tenant yet: ladenbuch tenants add", "Noch kein Mandant: ladenbuch tenants add")
        try:
            chosen_ones = [chosen(house, tenant)] if tenant else known
        except UsageError as error:
            check("tenant", False, error.message, error.message)
            chosen_ones = []
        asked = [owner.id for owner in chosen_ones] if tenant else [None]  # nothing where nobody has this name
        for one in [one for whose in asked for one in alarms_of(house, whose)[0]]:
            words = (alarm_sentence(side, one.kind, one.facts) for side in ("en", "de"))
            check(f"{one.tenant or 'installation'}: {one.kind}", False, *words)
        whole = tenant is None or not chosen_ones
        _backlog(house, None if whole else chosen_ones[0].id, check)
        for owner in chosen_ones:
            _switches(house, owner, check)
            found[owner.id] = examined(house.context, owner.id, mail_of(house))
            if owner.state == "active":
                checkup.keep(house.context, owner.id, found[owner.id])
            found[owner.id] = [*found[owner.id], *of_sender(house, owner.id, resolver)]
            _connection(house, owner, check)
            check_scopes(house, owner.id, check)
            check_privacy(house, owner.id, check)
        off = house.clocks.off()  # known now: both sides were asked
        if off is not None:
            wrong = f"{off.total_seconds():+.0f} s"
            english = f"this machine's clock is off by {wrong} against Shopify's and sevdesk's: numbers wait"
            german = f"Die Uhr dieses Rechners geht um {wrong} falsch gegenüber Shopify und sevdesk: Nummern warten"
            check("clock", False, english, german)
    told = [*checks, *(_told(name, item) for name, items in found.items() for item in items)]
    bad = [item for item in told if not item["ok"]]
    if as_json:
        say_json({"ok": not bad, "checks": told})
        return 1 if bad else 0
    for item in checks:
        level = _LEVELS["ok" if item["ok"] else "missing"][language == "de"]
        _say(level, item["check"], item["sentence_de" if language == "de" else "sentence"])
    for name, items in found.items():
        show(items, language, name)
    return 1 if bad else 0


def _say(level: str, name: str, sentence: str) -> None:
    """One check in a hundred columns; a long sentence goes on below itself."""
    first, *more = textwrap.wrap(sentence, 67) or [""]
    typer.echo(f"{level:8}{name:24} {first}")
    for line in more:
        typer.echo(f"{'':33}{line}")


def try_both(tenant: str, language: Language, *, as_json: bool) -> int:
    """Read a little on both sides. 0: both may be used, 1: a person has to act, 3: a side gave no answer."""
    with opened() as house:
        owner = chosen(house, tenant)
        found = try_connection(house.context, owner.id)
    bad = [item for item in found if item.level == "missing"]
    code = 0 if not bad else 3 if all(item.later for item in bad) else 1
    if as_json:
        sides = {side: not any(item.area == side for item in bad) for side in ("shopify", "sevdesk")}
        say_json({"tenant": owner.id, "ok": not bad, **sides, "findings": [item.as_json() for item in found]})
    else:
        show(found, language, owner.id)
    return code


def mail_of(house: Ladenbuch) -> Mail:
    """What the installation has to send letters with."""
    return Mail.of(house.settings)


def _resolver() -> Lookup:
    from ladenbuch.mail.dns_lookup import Resolver

    return Resolver()


def of_sender(house: Ladenbuch, tenant: str, look_up: Lookup) -> list[Finding]:
    """What DNS says of the sender's domain; nothing where no letters are wanted, or no relay beyond this machine."""
    mail = mail_of(house)
    try:
        profile = house.context.profiles(tenant)[-1]
    except (LadenbuchError, IndexError):
        return []
    sender = profile.letters_from or mail.sender
    if not profile.letters or not mail.relays or mail.here or not sender:
        return []
    domain = mail_domain.domain_of(sender)
    schemes = {url.get_secret_value().partition("://")[0] for url in house.settings.smtp_urls}
    usual = [name for scheme in sorted(schemes) for name in mail_domain.SELECTORS.get(scheme, ())]
    return mail_domain.findings(domain, house.settings.dkim_selectors or usual, look_up)


def _backlog(house: Ladenbuch, owner: str | None, check: Callable[[str, bool, str, str], None]) -> None:
    """What waits, why, and until when."""
    now = house.context.clock()
    found = read_backlog(house.database.system("doctor"), owner, now)
    if found.worth_saying(now):
        check("waiting", not found.blocked, *(backlog_sentence(side, found, now) for side in ("en", "de")))


def _switches(house: Ladenbuch, tenant: tenants.Tenant, check: Callable[[str, bool, str, str], None]) -> None:
    name = tenant.id
    mode, art = ("drafts only", "nur Entwürfe") if tenant.draft_only else ("live", "live")
    since = f"{tenant.cut_off:%Y-%m-%d %H:%M} UTC"
    check(f"{name}: mode", True, f"{mode}, nothing before {since}", f"{art}, nichts vor {since}")
    reason = house.database.tenant(name).read(Store.BOOKS, lambda tx: tenants.stopped(tx, name))
    if reason is None:
        check(f"{name}: writing", True, "allowed", "erlaubt")
    else:
        stopped = f"stopped: {reason}; ladenbuch go", f"angehalten: {reason}; ladenbuch go"
        check(f"{name}: writing", False, *stopped)


def _connection(house: Ladenbuch, owner: tenants.Tenant, check: Callable[[str, bool, str, str], None]) -> None:
    """Whether the shop is lost, and what changed lately since the day before."""
    (one,) = connections(house.database, house.context.clock, house.settings.app_url)(owner.id)
    if one.shop_lost:
        name = f"{owner.id}: reconnect"
        why = "Shopify takes the app's tokens no more", "Shopify nimmt die Token der App nicht mehr an"
        check(name, False, f"{why[0]}: {one.reconnect}", f"{why[1]}: {one.reconnect}")
    if one.changes and one.checkup is not None and one.checkup.changed_at is not None:
        day = f"{one.checkup.changed_at:%Y-%m-%d}"
        said = [f"{'+' if item.came else '-'} {item.finding.code}" for item in one.changes]
        check(f"{owner.id}: changed", True, f"{day}: {', '.join(said)}", f"{day}: {', '.join(said)}")


def _told(tenant: str, finding: Finding) -> dict[str, Any]:
    return {
        "check": f"{tenant}: {finding.area}",
        "ok": finding.level != "missing",
        "tenant": tenant,
        **finding.as_json(),
    }


def show(findings: Sequence[Finding], language: Language, title: str) -> None:
    """Findings as a table: what is to be done stands below what was found. Fits 100 columns."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    german = language == "de"
    console = Console(highlight=False)
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    area = None
    for finding in findings:
        if area is not None and finding.area != area:
            table.add_section()
        if finding.area != area:
            area = finding.area
            table.add_row("", "", Text(_AREAS[area][german], style="bold"))
        words = Text(finding.sentence(language))
        if finding.todo(language):
            words.append(f"\n→ {finding.todo(language)}", style="cyan")
        table.add_row(Text(_LEVELS[finding.level][german], style=_STYLES[finding.level]), finding.code, words)
    console.print(table)
    missing, warned = (sum(item.level == level for item in findings) for level in ("missing", "warn"))
    if german:
        console.print(f"{missing} fehlen, {warned} zu beachten, {len(findings)} geprüft", markup=False)
    else:
        console.print(f"{missing} missing, {warned} to note, {len(findings)} looked at", markup=False)
