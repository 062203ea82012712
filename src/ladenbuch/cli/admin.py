"""Tenants, stop and go, audit: what an operator does by hand."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import typer

from ladenbuch import audit, inbox, tenants
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.replay import parked_with, replay
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.connected import Finding, Language
from ladenbuch.domain.profile import LINED_MODES, OFFLINE_MODE, Profile
from ladenbuch.errors import Rejected
from ladenbuch.workflows.senders import refuse_foreign


def provision(
    house: Ladenbuch,
    shop: str,
    tenant: str,
    data: Mapping[str, Any],
    cut_off: datetime,
    secrets: Mapping[str, str],
    *,
    create_accounts: bool = False,
) -> dict[str, Any]:
    """Write a tenant, its secrets and the first version of its profile in one transaction."""
    now = utc_now()
    data = {"shop_key": tenant} | dict(data)
    Profile.from_json(data)  # refuse before anything is written
    refuse_foreign(house.context, tenant, data.get("letters_from"), house.settings)

    def write(tx: Transaction) -> None:
        tenants.add(tx, id=tenant, shop=shop, cut_off=cut_off, now=now)
        for name, value in secrets.items():
            house.vault.put_secret(tx, tenant, name, value, now)
        tenants.add_profile(tx, tenant, data, datetime(1970, 1, 1, tzinfo=UTC), now)
        sentence = f"Tenant {tenant} was added for {shop}, drafts only, nothing before {cut_off.isoformat()}."
        audit.append(tx, tenant, now, actor="operator", event="tenant.added", subject=tenant, sentence=sentence)

    house.database.system("operator").run(Store.BOOKS, write)
    created: dict[str, str] = {}
    if create_accounts:
        created = create_accounts_for(house, tenant, data)
    return {"tenant": tenant, "shop": shop, "draft_only": True, "accounts_created": created}


def create_accounts_for(house: Ladenbuch, tenant: str, data: Mapping[str, Any]) -> dict[str, str]:
    """The account of each gateway that needs one and has none yet, found by name before it is made.

    Lines are only taken by a file-import account, clearing-simple has an offline one (facts 2.10). Raises
    `Rejected("PROFILE")` for a liability without a number: which account of the chart it is, an adviser says (4.2).
    """
    profile = Profile.from_json(data)
    sevdesk = house.sevdesk(tenant)
    known = {account.name: account for account in sevdesk.check_accounts()}
    created: dict[str, str] = {}
    gateways = dict(profile.as_json()["gateways"])
    for name, gateway in profile.gateways.items():
        if gateway.mode not in (*LINED_MODES, OFFLINE_MODE) or gateway.account is not None:
            continue
        if gateway.mode == "liability" and gateway.number is None:
            raise Rejected("PROFILE", f"gateways.{name} needs the number of its account, or the account")
        title = f"{name} {profile.shop_key} (automatisch, nicht importieren)"
        account = known.get(title)
        if account is None:
            offline = gateway.mode == OFFLINE_MODE
            create = sevdesk.create_offline_account if offline else sevdesk.create_file_import_account
            account = create(title, number=gateway.number)
            created[name] = account.id
        if account.auto_map and gateway.mode != OFFLINE_MODE:  # also of one that an earlier try left behind
            sevdesk.stop_auto_mapping(account.id)
        gateways[name] = replace(gateway, account=account.id).as_json()
    changed = dict(data) | {"gateways": gateways}
    now = utc_now()
    start = datetime(1970, 1, 1, tzinfo=UTC)
    house.database.tenant(tenant).run(Store.BOOKS, lambda tx: tenants.add_profile(tx, tenant, changed, start, now))
    return created


def list_tenants(*, as_json: bool) -> int:
    """All tenants, one line each."""
    with opened() as house:
        known = house.database.system("operator").read(Store.BOOKS, tenants.all)
    if as_json:
        say_json(
            [
                {"tenant": t.id, "shop": t.shop, "state": t.state, "why": t.state_reason, "draft_only": t.draft_only}
                for t in known
            ]
        )
        return 0
    for item in known:
        why = f"; {item.state_reason}" if item.state_reason else ""
        typer.echo(f"{item.id:20} {item.shop:40} {item.state:12} {'drafts only' if item.draft_only else 'live'}{why}")
    return 0


def set_live(tenant: str, reason: str | None, language: Language, *, live: bool, as_json: bool) -> int:
    """Switch between live and drafts only; written to the audit chain. Exit 1 while something is missing.

    With a `reason` it goes live all the same.
    """
    from ladenbuch.cli.doctor import mail_of, show
    from ladenbuch.domain.readiness import missing
    from ladenbuch.workflows.readiness import examine, let_go

    with opened() as house:
        owner = chosen(house, tenant).id
        stands: list[Finding] = []
        again = 0
        if live:
            stands = missing(examine(house.context, owner, mail_of(house)))
        refused = bool(stands) and reason is None
        if live and not refused:
            let_go(house.context, owner, stands, by="operator", reason=reason)
            again = replay(house, owner, parked_with(house, owner, "DRAFT-ONLY"))
        elif not live:
            go_live(house, owner, live=False)
    if as_json:
        told = {"tenant": owner, "live": live and not refused, "missing": [item.as_json() for item in stands]}
        say_json({**told, "forced": reason if stands and not refused else None, "looked_at_again": again})
        return 1 if refused else 0
    if stands:
        show(stands, language, f"{owner}: missing before the first invoice")
    if refused:
        typer.echo(f"{owner} stays with drafts only; `--force --reason TEXT` lets it go all the same", err=True)
        return 1
    mode = f"live, forced: {reason}" if stands else "live" if live else "drafts only"
    typer.echo(f"{owner}: {mode}" + (f"; {again} drafts are looked at again" if again else ""))
    return 0


def go_live(house: Ladenbuch, tenant: str, *, live: bool = True) -> None:
    """Let a tenant finalise and send, or not, whatever is missing; `set_live` looks first."""
    now = utc_now()

    def write(tx: Transaction) -> None:
        tenants.set_draft_only(tx, tenant, not live)
        sentence = f"Tenant {tenant} {'may finalise and send' if live else 'makes drafts only'}."
        audit.append(tx, tenant, now, actor="operator", event="tenant.live", subject=tenant, sentence=sentence)

    house.database.tenant(tenant).run(Store.BOOKS, write)


def _tell_chains(house: Ladenbuch, target: str | None, event: str, sentence: str) -> None:
    """A line in the audit chain of each tenant it is about; after the stop itself, which waits for nothing."""
    now = utc_now()

    def write(tx: Transaction) -> None:
        for owner in [target] if target else [one.id for one in tenants.all(tx)]:
            audit.append(tx, owner, now, actor=_operator(), event=event, subject=owner, sentence=sentence)

    house.database.system("operator").run(Store.BOOKS, write)


def _operator() -> str:
    return f"operator {getpass.getuser()}"


def set_stop(tenant: str | None, reason: str) -> None:
    """Stop writing, globally or for one tenant."""
    with opened() as house:
        target = chosen(house, tenant).id if tenant else None
        house.database.system("operator").run(Store.BOOKS, lambda tx: tenants.stop(tx, target, reason, utc_now()))
        _tell_chains(house, target, "stop", f"Posting was stopped by hand: {reason}.")
    typer.echo(f"stopped {target or 'everything'}: {reason}")


def lift_stop(tenant: str | None) -> int:
    """Lift a stop; exit 1 when there was none."""
    with opened() as house:
        target = chosen(house, tenant).id if tenant else None
        system = house.database.system("operator")
        lifted = system.run(Store.BOOKS, lambda tx: tenants.go(tx, target))
        if lifted:
            _tell_chains(house, target, "go", "The stop of posting was lifted by hand.")
        system.run(Store.INBOX, lambda tx: inbox.resume(tx, target, "STOPPED", utc_now()))
    typer.echo(f"{target or 'everything'} may write again" if lifted else "nothing was stopped")
    return 0 if lifted else 1


def verify_audit(tenant: str | None, *, as_json: bool) -> int:
    """Check the chains; exit 1 when one is broken."""
    with opened() as house:
        system = house.database.system("audit verify")
        known = [chosen(house, tenant)] if tenant else system.read(Store.BOOKS, tenants.all)
        broken = system.read(Store.BOOKS, lambda tx: {item.id: audit.verify(tx, item.id) for item in known})
    bad = {name: index for name, index in broken.items() if index is not None}
    if as_json:
        say_json({"tenants": len(broken), "broken": bad})
    else:
        typer.echo(
            f"{len(broken) - len(bad)} of {len(broken)} chains are whole"
            + "".join(f"; {n} breaks at {i}" for n, i in bad.items())
        )
    return 1 if bad else 0
