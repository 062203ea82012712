"""What is missing before the first invoice may run: both sides as read, the profile and the tenant, compared. Pure.

In: what was read of the shop and of the sevdesk account, all versions of the profile, and the tenant. Out: findings, in
a fixed order. `missing` keeps a tenant from going live; drafts are always possible. What could not be read is one
finding, and everything that hangs on it is left out instead of guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ladenbuch.domain import ready_connection, ready_money, ready_profile, ready_seller, ready_taxes
from ladenbuch.domain.connected import AREAS, AccountRead, Finding, ShopRead, Tenancy, Unread
from ladenbuch.domain.profile import Profile, profile_at


def connection(
    shop: ShopRead | Unread, account: AccountRead | Unread, profiles: Sequence[Profile], tenancy: Tenancy
) -> list[Finding]:
    """Whether both sides answer, are the right ones, and may be used: what a connection test tells."""
    profile = profile_at(profiles, tenancy.now) if profiles else None
    found: list[Finding] = []
    if isinstance(shop, Unread):
        found.append(ready_connection.unread(shop, "shopify", tenancy))
    else:
        found += ready_connection.of_shop(shop, tenancy)
    if isinstance(account, Unread):
        found.append(ready_connection.unread(account, "sevdesk", tenancy))
    else:
        found += ready_connection.of_account(account, profile, tenancy)
    return found


def readiness(
    shop: ShopRead | Unread,
    account: AccountRead | Unread,
    profiles: Sequence[Profile] | Unread,
    tenancy: Tenancy,
) -> list[Finding]:
    """Everything to be said before the first invoice, by area. `profiles` are all versions, or why there are none."""
    versions: Sequence[Profile] = () if isinstance(profiles, Unread) else profiles
    found = connection(shop, account, versions, tenancy)
    if isinstance(profiles, Unread) or not versions:
        code = profiles.code if isinstance(profiles, Unread) else "PROFILE"
        why = profiles.message if isinstance(profiles, Unread) else "the tenant has no accounting profile"
        found.append(
            Finding(
                "missing",
                code,
                "profile",
                f"the profile cannot be used: {why}",
                f"Das Profil ist nicht brauchbar: {why}",
                "correct it: `ladenbuch tenants profile`",
                "Berichtigen: `ladenbuch tenants profile`",
            )
        )
        return _in_order(found)
    profile = profile_at(versions, tenancy.now)
    the_shop = None if isinstance(shop, Unread) else shop
    the_account = None if isinstance(account, Unread) else account
    if the_shop is not None:
        found += ready_taxes.of_shop(the_shop, profile)
    if the_account is not None:
        found += ready_taxes.of_account(the_account, profile)
        found += ready_seller.of_account(the_account, profile)
        found += ready_connection.of_others(tenancy)
    later = [item for item in versions if item.effective_from > tenancy.now]
    found += ready_money.of_both(the_shop, the_account, profile, later)
    found += ready_profile.of_profile(versions, the_shop, tenancy)
    found += ready_profile.of_letters(profile, tenancy)
    return _in_order(found)


def missing(findings: Iterable[Finding]) -> list[Finding]:
    """What stands between a tenant and its first invoice."""
    return [finding for finding in findings if finding.level == "missing"]


def _in_order(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: AREAS.index(finding.area))


def why_refused(code: str) -> str:
    """The English sentence of a refusal by its code, for an error message."""
    return ready_connection.why(code)
