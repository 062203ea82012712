"""Shops we keep books for: identity, state, dated accounting profiles, and the write stop.

    installing ──► active ◄──► suspended        a person has to act, or said so
         └───────────┴──────────┴──► uninstalled ──► redacted     and back to installing when the app is installed again

Safety for a first hour: a new tenant is draft-only and has a cut-off date, so that installing never invoices
history; `stop` ends all writing to sevdesk at once, for one tenant or for everybody, until `go`. A tenant that is
not active is stopped, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from ladenbuch.db import (
    Statement,
    Transaction,
    books_metadata,
    from_micros,
    insert_new,
    one_at_a_time,
    to_micros,
    upsert,
)
from ladenbuch.errors import Rejected

State = Literal["installing", "active", "suspended", "uninstalled", "redacted"]

tenants = sa.Table(
    "tenants",
    books_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("shop", sa.Text, nullable=False, unique=True),
    sa.Column("shop_gid", sa.Text),
    sa.Column("sevdesk_ref", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("draft_only", sa.Boolean, nullable=False),
    sa.Column("cut_off", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("state_since", sa.BigInteger),
    sa.Column("state_reason", sa.Text),
    sa.Column("installed_step", sa.Text),  # the last step of the installation that is done; NULL: none
    sa.Column("restored_at", sa.BigInteger),  # when these rows were last put back from a backup; NULL: never
    sa.Index("uq_tenants_shop_gid", "shop_gid", unique=True),
)
profile_versions = sa.Table(
    "profile_versions",
    books_metadata,
    sa.Column("tenant", sa.Text, sa.ForeignKey("tenants.tenant"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("effective_from", sa.BigInteger, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    info={"append_only": True},
)
write_stops = sa.Table(
    "write_stops",
    books_metadata,
    sa.Column("tenant", sa.Text, sa.ForeignKey("tenants.tenant"), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
)
# No tenant column: every door may read it, only a system door may write it.
write_stop_of_all = sa.Table(
    "write_stop_of_all",
    books_metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
)


# Built once: putting a statement together costs more than running it.
_T = sa.bindparam("t", type_=sa.Text)
_GET = Statement(sa.select(tenants).where(tenants.c.tenant == _T))
_ALL = Statement(sa.select(tenants).order_by(tenants.c.created_at, tenants.c.tenant))
_PROFILES = Statement(
    sa.select(profile_versions).where(profile_versions.c.tenant == _T).order_by(profile_versions.c.version)
)
_STOP_OF_ALL = Statement(sa.select(write_stop_of_all.c.reason))
# Asked before everything that is written: one statement instead of three.
_STOPPED = Statement(
    sa.union_all(
        sa.select(sa.literal_column("1").label("rank"), write_stop_of_all.c.reason),
        sa.select(sa.literal_column("2"), write_stops.c.reason).where(write_stops.c.tenant == _T),
        sa.select(sa.literal_column("3"), tenants.c.state).where(tenants.c.tenant == _T, tenants.c.state != "active"),
    ).order_by(sa.text("rank"))
)
_STATES = Statement(sa.select(tenants.c.state, sa.func.count().label("number")).group_by(tenants.c.state))


@dataclass(frozen=True)
class Tenant:
    """One shop and the sevdesk account its books are kept in.

    `cut_off`: nothing that happened before it is documented. `draft_only`: documents stay drafts and no
    letter goes out. `state_reason` is a sentence, `installed_step` the last step of the installation that is done,
    `restored_at` when its books were last put back from a backup.
    """

    id: str
    shop: str
    shop_gid: str | None
    sevdesk_ref: str | None
    state: State
    draft_only: bool
    cut_off: datetime
    created_at: datetime
    state_since: datetime
    state_reason: str | None = None
    installed_step: str | None = None
    restored_at: datetime | None = None


@dataclass(frozen=True)
class ProfileVersion:
    """An accounting profile from an instant on."""

    version: int
    effective_from: datetime
    text: str

    @property
    def profile(self) -> Mapping[str, Any]:
        """What the text (JSON) says."""
        said: dict[str, Any] = json.loads(self.text)
        return said


def add(
    tx: Transaction,
    *,
    id: str,
    shop: str,
    cut_off: datetime,
    now: datetime,
    shop_gid: str | None = None,
    sevdesk_ref: str | None = None,
    state: State = "active",
) -> Tenant:
    """Add a tenant, draft-only. `shop` is the myshopify domain, in lower case.

    Raises Rejected("TENANT-EXISTS") when the id or the shop is known already, Rejected("TENANT-INVALID").
    """
    if not id or not shop or shop != shop.strip().lower():
        raise Rejected("TENANT-INVALID", "a tenant needs an id, and its shop's domain in lower case")
    new = insert_new(
        tx,
        tenants,
        tenant=id,
        shop=shop,
        shop_gid=shop_gid,
        sevdesk_ref=sevdesk_ref,
        state=state,
        draft_only=True,
        cut_off=to_micros(cut_off),
        created_at=to_micros(now),
        state_since=to_micros(now),
    )
    if not new:
        raise Rejected("TENANT-EXISTS", f"the tenant {id} or its shop is known already")
    return get(tx, id)


def get(tx: Transaction, id: str) -> Tenant:
    """The tenant of that id. Raises Rejected("TENANT-UNKNOWN")."""
    row = _GET.first(tx, t=id)
    if row is None:
        raise _unknown(id)
    return _tenant(row)


def by_shop(tx: Transaction, shop: str) -> Tenant | None:
    """The tenant of a shop's domain, or None. Through a system door: nobody knows the tenant yet."""
    row = tx.execute(sa.select(tenants).where(tenants.c.shop == shop.lower())).first()
    return None if row is None else _tenant(row)


def by_shop_gid(tx: Transaction, shop_gid: str) -> Tenant | None:
    """The tenant Shopify calls by this id, or None; a shop that comes back keeps its id. Through a system door."""
    row = tx.execute(sa.select(tenants).where(tenants.c.shop_gid == shop_gid)).first()
    return None if row is None else _tenant(row)


def states(tx: Transaction) -> dict[str, int]:
    """How many tenants are in each state."""
    return {row.state: int(row.number) for row in _STATES.rows(tx)}


def all(tx: Transaction) -> list[Tenant]:
    """Every tenant the door can see, oldest first."""
    return [_tenant(row) for row in _ALL.rows(tx)]


def set_draft_only(tx: Transaction, id: str, draft_only: bool) -> None:
    """Whether documents stay drafts. Raises Rejected("TENANT-UNKNOWN")."""
    _change(tx, id, draft_only=draft_only)


def set_state(tx: Transaction, id: str, state: State, now: datetime, reason: str | None = None) -> None:
    """Move a tenant to another state, with the reason in a sentence. Raises Rejected("TENANT-UNKNOWN")."""
    _change(tx, id, state=state, state_since=to_micros(now), state_reason=reason)


def set_step(tx: Transaction, id: str, step: str | None) -> None:
    """The last step of the installation that is done. Raises Rejected("TENANT-UNKNOWN")."""
    _change(tx, id, installed_step=step)


def move_shop(tx: Transaction, id: str, shop: str) -> None:
    """The shop has another domain now. Raises Rejected("TENANT-UNKNOWN")."""
    _change(tx, id, shop=shop)


def remove_stub(tx: Transaction, id: str) -> None:
    """Take away a tenant whose installation turned out to be that of a shop we know; it has no books yet."""
    tx.execute(sa.delete(tenants).where(tenants.c.tenant == id, tenants.c.state == "installing"))


def set_cut_off(tx: Transaction, id: str, cut_off: datetime) -> None:
    """Move the date before which nothing is documented. Raises Rejected("TENANT-UNKNOWN")."""
    _change(tx, id, cut_off=to_micros(cut_off))


def identify(tx: Transaction, id: str, *, shop_gid: str | None = None, sevdesk_ref: str | None = None) -> None:
    """Note what the services call this tenant once they told us. Raises Rejected("TENANT-UNKNOWN")."""
    known = {"shop_gid": shop_gid, "sevdesk_ref": sevdesk_ref}
    _change(tx, id, **{name: value for name, value in known.items() if value is not None})


def add_profile(
    tx: Transaction, tenant: str, profile: Mapping[str, object], effective_from: datetime, now: datetime
) -> int:
    """Add a version of the tenant's profile; its number comes back, counting from 1. Old ones never change.

    Raises Rejected("TENANT-UNKNOWN").
    """
    get(tx, tenant)
    one_at_a_time(tx, f"profile {tenant}")
    mine = profile_versions.c.tenant == tenant
    last = tx.execute(sa.select(sa.func.max(profile_versions.c.version)).where(mine)).scalar_one()
    version = (last or 0) + 1
    tx.execute(
        sa.insert(profile_versions).values(
            tenant=tenant,
            version=version,
            effective_from=to_micros(effective_from),
            profile=json.dumps(profile, sort_keys=True, ensure_ascii=False),
            created_at=to_micros(now),
        )
    )
    return int(version)


def profiles(tx: Transaction, tenant: str) -> list[ProfileVersion]:
    """All versions of the tenant's profile, in the order they were added."""
    return [
        ProfileVersion(row.version, from_micros(row.effective_from), row.profile)
        for row in _PROFILES.rows(tx, t=tenant)
    ]


def in_force(versions: Iterable[ProfileVersion], instant: datetime) -> ProfileVersion | None:
    """The version that holds at an instant: the latest effective one, of several the one added last."""
    past = [v for v in versions if v.effective_from <= instant]
    return max(past, key=lambda v: (v.effective_from, v.version), default=None)


def stop(tx: Transaction, tenant: str | None, reason: str, now: datetime) -> None:
    """Stop all writing to sevdesk for one tenant, or with None for everybody (system door), until `go`.

    Raises Rejected("TENANT-UNKNOWN").
    """
    if tenant is None:
        upsert(tx, write_stop_of_all, id=1, reason=reason, since=to_micros(now))
    else:
        get(tx, tenant)
        upsert(tx, write_stops, tenant=tenant, reason=reason, since=to_micros(now))


def go(tx: Transaction, tenant: str | None, *, reason: str | None = None) -> bool:
    """Lift the stop of one tenant, or with None the stop of everybody; False when there was none.

    The two are independent: lifting one leaves the other. With `reason` only a stop of a tenant for this reason.
    """
    if tenant is None:
        return tx.execute(sa.delete(write_stop_of_all)).rowcount > 0
    mine = write_stops.c.tenant == tenant
    if reason is not None:
        mine = sa.and_(mine, write_stops.c.reason == reason)
    return tx.execute(sa.delete(write_stops).where(mine)).rowcount > 0


def stopped(tx: Transaction, tenant: str | None) -> str | None:
    """Why nothing may be written for the tenant now (None: for anybody), or None when writing is allowed."""
    if tenant is None:
        return _STOP_OF_ALL.scalar(tx)
    found = _STOPPED.first(tx, t=tenant)
    if found is None:
        return None
    return f"the tenant is {found.reason}" if found.rank == 3 else str(found.reason)


def stops(tx: Transaction) -> dict[str, str]:
    """The reasons of the write stops in force, by tenant; the one of everybody is not among them."""
    return {row.tenant: str(row.reason) for row in tx.execute(sa.select(write_stops.c.tenant, write_stops.c.reason))}


def silent(tx: Transaction) -> set[str]:
    """The tenants for whom nothing may be written now, each for a reason of its own."""
    return {owner.id for owner in all(tx) if owner.state != "active"} | set(stops(tx))


def standing(tx: Transaction, tenant: str) -> State:
    """In which state the tenant is; `redacted` for one that is gone."""
    owner = _GET.first(tx, t=tenant)
    return "redacted" if owner is None else owner.state


def restored_at(tx: Transaction, tenant: str) -> datetime | None:
    """When the tenant's books were last put back from a backup; None: never, or nobody knows the tenant."""
    owner = _GET.first(tx, t=tenant)
    return None if owner is None or owner.restored_at is None else from_micros(owner.restored_at)


def restored(tx: Transaction, tenant: str, at: datetime) -> None:
    """The tenant's books were put back from a backup. Raises Rejected("TENANT-UNKNOWN")."""
    _change(tx, tenant, restored_at=to_micros(at))


def _change(tx: Transaction, id: str, **values: object) -> None:
    if not values:
        get(tx, id)
    elif tx.execute(sa.update(tenants).where(tenants.c.tenant == id).values(**values)).rowcount == 0:
        raise _unknown(id)


def _unknown(id: str) -> Rejected:
    return Rejected("TENANT-UNKNOWN", f"there is no tenant {id}")


def _tenant(row: Any) -> Tenant:
    return Tenant(
        id=row.tenant,
        shop=row.shop,
        shop_gid=row.shop_gid,
        sevdesk_ref=row.sevdesk_ref,
        state=row.state,
        draft_only=bool(row.draft_only),
        cut_off=from_micros(row.cut_off),
        created_at=from_micros(row.created_at),
        state_since=from_micros(row.created_at if row.state_since is None else row.state_since),
        state_reason=row.state_reason,
        installed_step=row.installed_step,
        restored_at=None if row.restored_at is None else from_micros(row.restored_at),
    )
