"""`ladenbuch tenants configure|suspend|resume|uninstall|export|delete`: a tenant's life, as an operator steers it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from ladenbuch import audit, erasure, tenants
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.cli.adding import given_secrets
from ladenbuch.cli.admin import create_accounts_for
from ladenbuch.cli.files import read_json, say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.profile import Profile
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.workflows import lifecycle
from ladenbuch.workflows.exporting import check
from ladenbuch.workflows.exporting import export as write_export
from ladenbuch.workflows.senders import refuse_foreign


def configure(tenant: str, profile: Path | None, *, create_accounts: bool, as_json: bool) -> int:
    """Bring what an installation is missing, then finish it; exit 1 while something still is."""
    data = read_json(profile) if profile else None
    with opened() as house:
        owner = chosen(house, tenant)
        _write(house, owner, data, given_secrets())
        if create_accounts:
            create_accounts_for(house, owner.id, _profile_of(house, owner.id))
        with _possible():
            missing = lifecycle.finish(house.context, owner.id)
        state = _state(house, owner.id)
    if as_json:
        say_json({"tenant": owner.id, "state": state, "missing": missing})
    else:
        typer.echo(f"{owner.id}: {state}" + (f"; still missing: {', '.join(missing)}" if missing else ""))
    return 1 if missing else 0


def _write(house: Ladenbuch, owner: tenants.Tenant, data: Mapping[str, Any] | None, secrets: Mapping[str, str]) -> None:
    """The first profile and the secrets, in one transaction."""
    now = utc_now()
    if data is not None:
        data = {"shop_key": owner.id} | dict(data)
        Profile.from_json(data)  # refuse before anything is written
        refuse_foreign(house.context, owner.id, data.get("letters_from"), house.settings)

    def write(tx: Transaction) -> None:
        for name, value in secrets.items():
            house.vault.put_secret(tx, owner.id, name, value, now)
        if data is not None:
            if tenants.profiles(tx, owner.id):
                raise UsageError("PROFILE", "there is a profile; change it with `ladenbuch tenants profile`")
            tenants.add_profile(tx, owner.id, data, datetime(1970, 1, 1, tzinfo=UTC), now)
        brought = [*(["the accounting profile"] if data is not None else []), *sorted(secrets)]
        if brought:
            sentence = f"{', '.join(brought)}: brought for {owner.id}."
            audit.append(
                tx, owner.id, now, actor=_operator(), event="tenant.configured", subject=owner.id, sentence=sentence
            )

    house.database.tenant(owner.id).run(Store.BOOKS, write)
    house.forget(owner.id)


def _profile_of(house: Ladenbuch, tenant: str) -> Mapping[str, Any]:
    versions = house.database.tenant(tenant).read(Store.BOOKS, lambda tx: tenants.profiles(tx, tenant))
    if not versions:
        raise UsageError("PROFILE", "give --profile: accounts are made for the gateways it names")
    return versions[-1].profile


def suspend(tenant: str, reason: str) -> int:
    """Nothing is read or written for the tenant from now on; its webhooks wait."""
    with opened() as house:
        owner = chosen(house, tenant).id
        with _possible():
            lifecycle.suspend(house.context, owner, reason, by=_operator())
    typer.echo(f"{owner}: suspended; `ladenbuch tenants resume {owner}` lets it go on")
    return 0


def resume(tenant: str) -> int:
    """Let it work again; exit 1 while something is missing."""
    with opened() as house:
        owner = chosen(house, tenant).id
        with _possible():
            missing = lifecycle.resume(house.context, owner, by=_operator())
        state = _state(house, owner)
    typer.echo(f"{owner}: {state}" + (f"; still missing: {', '.join(missing)}" if missing else ""))
    return 1 if missing else 0


def uninstall(tenant: str, *, yes: bool) -> int:
    """Forget a shop's tokens and stop its work; the books stay. Exit 1 when that was so already."""
    with opened() as house:
        owner = chosen(house, tenant)
        if not yes and not typer.confirm(f"Delete the tokens of {owner.shop} and stop its work?"):
            raise UsageError("CONFIRM", "nothing was changed")
        went = lifecycle.uninstall(house.context, owner.id, by=_operator())
    typer.echo(f"{owner.id}: " + ("uninstalled, its books are kept" if went else "was uninstalled before"))
    return 0 if went else 1


def export(tenant: str, path: Path, *, as_json: bool) -> int:
    """Write everything we hold of a tenant into one file."""
    with opened() as house:
        owner = chosen(house, tenant)
        manifest = write_export(house.context, owner.id, path, by=_operator())
    if as_json:
        say_json(manifest)
    else:
        rows = sum(item["rows"] for item in manifest["files"].values())
        typer.echo(
            f"{owner.id}: {rows} rows of {len(manifest['files'])} tables written to {path}; secrets are left out"
        )
    return 0


def delete(tenant: str, *, export: Path | None, without_export: bool, yes: bool, as_json: bool) -> int:
    """Erase a tenant from both stores and prove it; only one whose app is gone, and only after an export."""
    if export is None and not without_export:
        raise UsageError("OPTIONS", "name the --export that was made, or say --without-export")
    with opened() as house:
        owner = chosen(house, tenant)
        if owner.state not in ("uninstalled", "redacted", "installing"):
            raise UsageError("TENANT-STATE", f"the tenant is {owner.state}: uninstall it first")
        if export is not None and check(export)["tenant"] != owner.id:
            raise UsageError("FILE", f"{export} is the export of another tenant")
        if not yes and typer.prompt(f"This erases all books of {owner.shop}. Type the tenant's id") != owner.id:
            raise UsageError("CONFIRM", "nothing was erased")
        head = house.database.tenant(owner.id).read(Store.BOOKS, lambda tx: audit.head(tx, owner.id))
        proof = erasure.erase(
            house.database,
            owner.id,
            owner.shop,
            id=house.context.new_id(),
            actor=_operator(),
            now=utc_now(),
            last_hash=head,
        )
        left = erasure.residue(house.database, owner.id)
    if as_json:
        say_json({"tenant": owner.id, "rows": dict(proof.rows), "residue": left, "last_hash": proof.last_hash})
    else:
        total = sum(proof.rows.values())
        typer.echo(f"{owner.id}: {total} rows of {len(proof.rows)} tables erased, {sum(left.values())} left")
    return 1 if left else 0


def list_erased(*, as_json: bool) -> None:
    """What the operator can show of tenants and VAT ids that were erased; the rows themselves are gone."""
    with opened() as house:
        found = house.database.system("operator").read(Store.BOOKS, erasure.erased)
    if as_json:
        say_json({"erased": [asdict(one) | {"at": one.at.isoformat(), "rows": dict(one.rows)} for one in found]})
        return
    for one in found:
        total = sum(one.rows.values())
        typer.echo(f"{one.at:%Y-%m-%d %H:%M} UTC  {one.tenant:20} {one.shop}  {total} rows, by {one.actor}")
        typer.echo(f"    {', '.join(f'{name} {number}' for name, number in sorted(one.rows.items()))}")
    if not found:
        typer.echo("nobody was erased")


@contextmanager
def _possible() -> Iterator[None]:
    """What the tenant's state does not allow is a wrong command here, not a refusal of somebody else's."""
    try:
        yield
    except Rejected as refusal:
        if refusal.code != "TENANT-STATE":
            raise
        raise UsageError(refusal.code, refusal.message) from None


def _state(house: Ladenbuch, tenant: str) -> str:
    return house.database.tenant(tenant).read(Store.BOOKS, lambda tx: tenants.standing(tx, tenant))


def _operator() -> str:
    return f"operator {getpass.getuser()}"
