"""`ladenbuch webhooks`: the app's configuration file, and the subscriptions made in a shop."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer

from ladenbuch import books, inbox
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.cli.files import say_json, writable
from ladenbuch.cli.house import chosen, opened
from ladenbuch.db import Store
from ladenbuch.errors import UsageError
from ladenbuch.settings import Settings
from ladenbuch.shopify import app_config
from ladenbuch.shopify.lint import lint
from ladenbuch.shopify.subscriptions import Change, Kind, Subscription, left_out, unlike
from ladenbuch.workflows import subscriptions
from ladenbuch.workflows.subscriptions import Place
from ladenbuch.workflows.tokens import CLIENT_ID

#: Where an installation comes back to (web/install.py).
_CALLBACK = "/auth/callback"


def write_toml(tenant: str | None, name: str, out: Path | None, kind: Kind | None, *, embedded: bool) -> int:
    """Print or keep the configuration file of the operator's app, or of a tenant's own."""
    settings = Settings.read()
    place = place_of(settings, kind)
    client_id, kind = settings.shopify_client_id, kind or "app"
    if tenant is not None:
        with opened(settings) as house:
            owner = chosen(house, tenant).id
            secret = house.database.tenant(owner).read(
                Store.BOOKS, lambda tx: house.vault.get_secret(tx, owner, CLIENT_ID)
            )
            kind = place.kind or subscriptions.kind_of(house.context, owner)
            client_id = secret.value if secret is not None else client_id
    if client_id is None:
        raise UsageError("SETTING", "no client id: set LADENBUCH_SHOPIFY_CLIENT_ID, or name a tenant that has its own")
    base = settings.app_url or place.address.removesuffix("/webhooks")
    found = subscriptions.in_file(place)
    if kind == "shop":  # subscribed by the Admin API; only the privacy topics cannot be
        found = tuple(item for item in found if item.compliance)
    text = app_config.emit(
        app_config.App(
            name,
            client_id,
            base,
            settings.scopes,
            (base + _CALLBACK,),
            found,
            settings.optional_scopes,
            embedded,
            not embedded,
            place.api_version,
        )
    )
    if out is None:
        sys.stdout.write(text)
    else:
        writable(out)
        out.write_text(text, encoding="utf-8")
    typer.echo(
        "Shopify warns of failing deliveries by mail alone: set the app's emergency developer address",
        err=True,
    )
    for scope, topics in left_out(settings.scopes).items():
        typer.echo(f"not in the file, because {scope} is not in LADENBUCH_SCOPES: {', '.join(topics)}", err=True)
    return 0


def ensure(tenant: str | None, kind: Kind | None, *, as_json: bool) -> int:
    """Make a shop's subscriptions the wanted ones; exit 1 when Shopify did not take something."""
    with opened() as house:
        owner = chosen(house, tenant).id
        report = subscriptions.ensure(house.context, owner, place_of(house.settings, kind))
    if as_json:
        refused = [{"topic": change.topic, "verb": change.verb, "why": why} for change, why in report.refused]
        told = {"tenant": owner, "mutations": report.mutations, "done": list(report.done), "refused": refused}
        say_json(told | {"subscriptions": len(report.actual), "ok": report.ok})
        return 0 if report.ok else 1
    for line in report.done:
        typer.echo(line)
    for change, why in report.refused:
        typer.echo(f"refused: {change.verb} {change.topic}: {why}")
    typer.echo(f"{owner}: {len(report.actual)} subscriptions, {report.mutations} changes sent")
    return 0 if report.ok else 1


def audit(tenant: str | None, kind: Kind | None, file: Path | None, *, repair: bool, as_json: bool) -> int:
    """Name every difference between what is wanted and what is there; exit 1 while there is one."""
    with opened() as house:
        owner = chosen(house, tenant).id
        place = place_of(house.settings, kind)
        in_file = () if file is None else _differences_of_file(house, owner, file, place)
        found = subscriptions.look(house.context, owner, place)
        left: Sequence[Change] = found.changes
        refused: dict[str, str] = {}
        if repair and left:
            report = subscriptions.ensure(house.context, owner, place)
            left, refused = report.left, {change.topic: why for change, why in report.refused}
    ok = not left and not in_file and found.other_version is None
    if as_json:
        told: dict[str, Any] = {"tenant": owner, "kind": found.kind, "ok": ok, "differences": _rows(found.changes)}
        told |= {"repaired": len(found.changes) - len(left) if repair else 0, "left": _rows(left), "refused": refused}
        told |= {"file": list(in_file), "missing_scopes": found.missing_scopes, "other_version": found.other_version}
        say_json(told)
        return 0 if ok else 1
    for change in found.changes:
        mended = repair and change not in left
        typer.echo(f"{'mended ' if mended else 'DIFFERS'} {change.sentence}")
    for topic, why in refused.items():
        typer.echo(f"REFUSED {topic}: {why}")
    for line in in_file:
        typer.echo(f"FILE    {line}")
    if found.other_version is not None:
        told_version = f"deliveries are made for version {found.other_version}, wanted is {place.api_version}"
        typer.echo(f"DIFFERS {told_version}: deploy the app's configuration (ladenbuch webhooks toml)")
    for scope, topics in found.missing_scopes.items():
        typer.echo(f"off     {', '.join(topics)}: {scope} was not granted")
    if ok:
        typer.echo(f"{owner}: as wanted ({len(found.wanted)} subscriptions in the shop, {found.kind})")
    return 0 if ok else 1


def report(tenant: str | None, days: int, *, as_json: bool) -> int:
    """What came in the last days, how late, and which changes nothing told of; exit 1 when none was told."""
    with opened() as house:
        owner, since = chosen(house, tenant).id, utc_now() - timedelta(days=days)
        door = house.database.tenant(owner)
        changed = door.read(Store.BOOKS, lambda tx: books.changed_since(tx, owner, since))
        late, told = door.read(
            Store.INBOX,
            lambda tx: (inbox.delays(tx, owner, since), inbox.told(tx, owner, changed, timedelta(seconds=2))),
        )
    topics = [
        {"topic": topic, "deliveries": len(all_), "p50_s": _share(all_, 0.5), "p99_s": _share(all_, 0.99)}
        for topic, all_ in late.items()
    ]
    percent = round(100 * len(told) / len(changed), 1) if changed else None
    figures = {
        "tenant": owner,
        "days": days,
        "orders_changed": len(changed),
        "told": len(told),
        "told_percent": percent,
    }
    if as_json:
        say_json({**figures, "topics": topics})
        return 1 if changed and not told else 0
    for row in topics:
        typer.echo(f"{row['topic']:32} {row['deliveries']:>8}   50 % {row['p50_s']:>8} s   99 % {row['p99_s']:>8} s")
    said = "no order changed" if percent is None else f"a webhook told of {len(told)} of {len(changed)} ({percent} %)"
    typer.echo(f"{owner}, {days} days: last changes of orders: {said}")
    return 1 if changed and not told else 0


def _share(ordered: Sequence[float], share: float) -> float:
    """The value at a share of an ordered list, in seconds with two places."""
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


def lint_file(file: Path, *, as_json: bool) -> int:
    """Everything wrong with a configuration file; exit 1 when it has an error."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("FILE", f"{file}: {getattr(error, 'strerror', None) or type(error).__name__}") from None
    found = lint(text)
    bad = [item for item in found if item.severity == "error"]
    if as_json:
        say_json({"file": str(file), "ok": not bad, "findings": [item._asdict() for item in found]})
        return 1 if bad else 0
    for item in found:
        typer.echo(f"{item.severity:6} {item.rule:14} {item.place}: {item.sentence}")
    typer.echo(f"{file}: {len(bad)} errors, {len(found) - len(bad)} notices")
    return 1 if bad else 0


def place_of(settings: Settings, kind: Kind | None) -> Place:
    """Where webhooks are delivered to, by the settings. Raises UsageError("SETTING") when they do not say."""
    found = subscriptions.place(settings, kind)
    if found is None:
        raise UsageError("SETTING", "not set: LADENBUCH_WEBHOOKS_URL (or LADENBUCH_APP_URL): nobody knows our address")
    return found


def _differences_of_file(house: Ladenbuch, owner: str, file: Path, place: Place) -> tuple[str, ...]:
    """What a deployed configuration file says otherwise."""
    try:
        app = app_config.parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("FILE", f"{file}: {getattr(error, 'strerror', None) or type(error).__name__}") from None
    want: Sequence[Subscription] = subscriptions.in_file(place)
    if (place.kind or subscriptions.kind_of(house.context, owner)) == "shop":
        want = [item for item in want if item.compliance]
    return unlike(want, app.subscriptions)


def _rows(changes_: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {
            "verb": change.verb,
            "topic": change.topic,
            "fields": list(change.fields),
            "sentence": change.sentence,
            "wanted": None if change.wanted is None else asdict(change.wanted),
            "actual": None if change.actual is None else change.actual._asdict(),
        }
        for change in changes_
    ]
