"""A sender's domain belongs to one seller of an installation: nobody's letters go out in the name of another.

Shops that keep their books in one sevdesk account are one seller. The operator's own domain (`LADENBUCH_MAIL_FROM`) is
a shop's, too, where there is no other seller. What else is shared the operator says
(`LADENBUCH_SHARED_SENDER_DOMAINS`). Whose a domain is, is told to nobody.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from ladenbuch import tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.mail_domain import domain_of, overlap
from ladenbuch.errors import UsageError
from ladenbuch.settings import Settings
from ladenbuch.workflows.context import Context

#: Tenants that send nothing any more.
_GONE = ("uninstalled", "redacted")


def refuse_foreign(ctx: Context, tenant: str, sender: object, settings: Settings) -> None:
    """Ask before a profile is stored. Raises UsageError("SENDER-DOMAIN") for a domain that is somebody else's."""
    own, shared = settings.mail_from, settings.shared_sender_domains
    if isinstance(sender, str) and belongs_to_another(ctx, tenant, sender, own, shared):
        message = (
            f"letters_from: {domain_of(sender)} belongs to somebody else here. Use a domain of this shop's own, or "
            "none; the operator may share it: LADENBUCH_SHARED_SENDER_DOMAINS"
        )
        raise UsageError("SENDER-DOMAIN", message)


def belongs_to_another(ctx: Context, tenant: str, sender: str, own: str | None, shared: Collection[str]) -> bool:
    """Whether another seller sends from the domain of `sender` (`letters_from`), or the operator does (`own`)."""
    domain = domain_of(sender)
    if not domain or any(f".{domain}".endswith(f".{domain_of(one)}") for one in shared):
        return False
    return ctx.database.system("readiness").read(Store.BOOKS, lambda tx: _taken(ctx, tx, tenant, domain, own or ""))


def _taken(ctx: Context, tx: Transaction, tenant: str, domain: str, own: str) -> bool:
    known = tenants.all(tx)
    account = next((one.sevdesk_ref for one in known if one.id == tenant), None)
    others = {
        one.id
        for one in known
        if one.id != tenant and one.state not in _GONE and (account is None or one.sevdesk_ref != account)
    }
    if others and own and overlap(domain, domain_of(own)):
        return True
    table, now = tenants.profile_versions.c, ctx.clock()
    query = sa.select(table.tenant).where(table.tenant.in_(others)).distinct()
    end = ".".join(domain.split(".")[-2:])
    if "xn--" not in end:  # what is not written in a script of its own stands there as it is
        query = query.where(sa.func.lower(table.profile).contains(end, autoescape=True))
    for other in tx.execute(query).scalars().all():
        versions = tenants.profiles(tx, other)
        current = tenants.in_force(versions, now)
        live = [one.profile for one in versions if one is current or one.effective_from > now]
        if any(overlap(domain, domain_of(str(one.get("letters_from") or ""))) for one in live):
            return True
    return False
