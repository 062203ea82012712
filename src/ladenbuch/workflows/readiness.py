"""A tenant's connection to its shop and its sevdesk account: tried, read, remembered; and the gate before it goes live.

Everything here only reads at Shopify and sevdesk. What is read is compared by `domain.readiness`, which decides. A side
that does not answer is asked a few times, and then it is a finding like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar
from urllib.parse import urlsplit

from ladenbuch import audit, books, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain import readiness as judged
from ladenbuch.domain.connected import AccountRead, Finding, Neighbour, PaymentAccount, ShopRead, Tenancy, Unread
from ladenbuch.domain.einvoice import TRANSFER
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.settings import Settings
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.company import is_no_endpoint, is_token
from ladenbuch.shopify.shop import recent_orders, shop_from
from ladenbuch.workflows.adopting import foreign_since
from ladenbuch.workflows.context import Context, profiles_in
from ladenbuch.workflows.evidence import year_before
from ladenbuch.workflows.lockout import let_in
from ladenbuch.workflows.senders import belongs_to_another
from ladenbuch.workflows.tokens import SEVDESK_TOKEN

T = TypeVar("T")

#: How often a question is asked that nobody answers, and for how long the pause between may last, in seconds.
_PATIENCE, _LONGEST = 5, 2.0
#: How many invoices since the cut-off are looked at before a tenant goes live.
_COUNTED = 1000
#: Tenants that keep no books any more share nothing.
_GONE = ("uninstalled", "redacted")


@dataclass(frozen=True, slots=True)
class Mail:
    """What the installation has to send letters with. `here`: all relays are on this machine; `shared`: domains more
    than one seller may send from."""

    relays: int
    sender: str | None
    here: bool = False
    shared: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Mail:
        """What the settings say."""
        hosts = [urlsplit(url.get_secret_value()).hostname for url in settings.smtp_urls]
        here = all(host in ("127.0.0.1", "::1", "localhost") for host in hosts)
        return cls(len(hosts), settings.mail_from, here, settings.shared_sender_domains)


# -- the doctor ------------------------------------------------------------------------------------------------------


def examine(ctx: Context, tenant: str, mail: Mail) -> list[Finding]:
    """Everything there is to say before the tenant's first invoice. Remembers which account and shop answered."""
    owner, shop, account, tenancy = _both(ctx, tenant)
    tenancy = replace(tenancy, relays=mail.relays, relays_here=mail.here, sender=mail.sender)
    now = tenancy.now
    try:
        known = ctx.profiles(tenant)
        profiles: Sequence[Profile] | Unread = known
        sales = ctx.door(tenant).read(Store.BOOKS, lambda tx: books.eu_sales(tx, tenant, year_before(now)))
        sender = profile_at(known, now).letters_from
        foreign = belongs_to_another(ctx, tenant, sender, mail.sender, mail.shared)
        tenancy = replace(tenancy, eu_sales=tuple(sales), foreign_sender=foreign)
        if owner.draft_only and isinstance(account, AccountRead) and not isinstance(profiles, Unread):
            tenancy = replace(tenancy, foreign=foreign_since(ctx, tenant, _first_day(profiles, owner), _COUNTED))
    except LadenbuchError as error:
        profiles = Unread(error.code, error.message)
    found = judged.readiness(shop, account, profiles, tenancy)
    _remember(ctx, owner, shop, account)
    return found


def _first_day(profiles: Sequence[Profile], owner: tenants.Tenant) -> date:
    """The day of the cut-off in the accounting time zone."""
    return profile_at(profiles, owner.cut_off).local_date(owner.cut_off)


def try_connection(ctx: Context, tenant: str) -> list[Finding]:
    """Whether both sides answer and may be used: a harmless read on each."""
    owner, shop, account, tenancy = _both(ctx, tenant)
    try:
        profiles: Sequence[Profile] = ctx.profiles(tenant)
    except LadenbuchError:
        profiles = ()
    found = judged.connection(shop, account, profiles, tenancy)
    _remember(ctx, owner, shop, account)
    return found


def _both(ctx: Context, tenant: str) -> tuple[tenants.Tenant, ShopRead | Unread, AccountRead | Unread, Tenancy]:
    owner = ctx.door(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
    shop = read_shop(ctx, tenant)
    account = read_account(ctx, owner)
    neighbours = () if isinstance(account, Unread) else _neighbours(ctx, tenant, account.id)
    tenancy = Tenancy(
        tenant=tenant,
        shop=owner.shop,
        now=ctx.clock(),
        cut_off=owner.cut_off,
        created_at=owner.created_at,
        shop_gid=owner.shop_gid,
        sevdesk_ref=owner.sevdesk_ref,
        neighbours=neighbours,
    )
    return owner, shop, account, tenancy


# -- reading ---------------------------------------------------------------------------------------------------------


def _patiently(ctx: Context, ask: Callable[[], T]) -> T:
    """Ask again while the other side only says "later"; raises its last word."""
    for attempt in range(1, _PATIENCE):
        try:
            return ask()
        except Retryable as error:
            ctx.sleep(min(_LONGEST, error.after if error.after is not None else 0.2 * attempt))
    return ask()


def read_shop(ctx: Context, tenant: str) -> ShopRead | Unread:
    """Settings, scopes and newest orders of the tenant's shop, or why not."""
    try:
        admin = ctx.shopify(tenant)
        settings, installation = _patiently(ctx, admin.shop_settings), _patiently(ctx, admin.installation)
        recent = _patiently(ctx, lambda: admin.execute("recent_orders", {}))
        return shop_from(settings, installation, recent_orders(recent))
    except LadenbuchError as error:
        return Unread(error.code, error.message, later=isinstance(error, Retryable))


def read_account(ctx: Context, owner: tenants.Tenant) -> AccountRead | Unread:
    """The tenant's sevdesk account, or why not: a refused token is told from one that was never right."""
    tenant = owner.id
    token = ctx.door(tenant).read(Store.BOOKS, lambda tx: ctx.vault.get_secret(tx, tenant, SEVDESK_TOKEN))
    if token is None:
        return Unread("SEVDESK-TOKEN-MISSING")
    try:
        return account_of(ctx, ctx.sevdesk(tenant))
    except LadenbuchError as error:
        code = refusal(error, token.value, worked=owner.sevdesk_ref is not None)
        return Unread(code, error.message, later=isinstance(error, Retryable))


def refusal(error: LadenbuchError, token: str, *, worked: bool) -> str:
    """The code of a failed question, for a token more exact than "refused": never one, wrong, revoked, or of a plan
    without the API (facts 1.1, 1.2).

    The form is looked at only when sevdesk refuses: a stand-in may take other tokens.
    """
    if error.code != "SEVDESK-TOKEN":
        return error.code
    if error.detail.get("status") == 403:
        return "SEVDESK-FORBIDDEN"
    if not is_token(token):
        return "SEVDESK-TOKEN-FORM"
    return "SEVDESK-TOKEN-REVOKED" if worked else "SEVDESK-TOKEN-WRONG"


def account_of(ctx: Context, sevdesk: Sevdesk) -> AccountRead:
    """What an account says of itself. Raises what the client raises."""
    sevdesk.forget_lookups()
    company = _patiently(ctx, sevdesk.company)
    ranges = {kind: _patiently(ctx, lambda kind=kind: sevdesk.number_range(kind)) for kind in ("Invoice", "CreditNote")}  # type: ignore[misc]
    rules = _if_there(ctx, sevdesk.tax_rules)
    revenue = _if_there(ctx, sevdesk.revenue_accounts)
    return AccountRead(
        id=company.id,
        name=company.name or "",
        version=_patiently(ctx, sevdesk.bookkeeping_version),
        small_business=company.small_business,
        told=company.told,
        rules=None if rules is None else frozenset(rule.id for rule in rules),
        revenue=None
        if revenue is None
        else frozenset((rule, rate) for row in revenue for rule, rates in row.rates.items() for rate in rates),
        accounts=tuple(
            PaymentAccount(
                id=item.id,
                name=item.name,
                kind=item.kind,
                currency=item.currency,
                active=item.active,
                auto_map=item.auto_map,
                fed=item.is_fed,
                provider=item.provider or "",
            )
            for item in _patiently(ctx, sevdesk.check_accounts)
        ),
        ranges={kind: found.format for kind, found in ranges.items() if found is not None},
        lacking=frozenset(_lacking(ctx, sevdesk)),
        payment_means=_has(ctx, lambda: sevdesk.payment_method_id(TRANSFER), "SEVDESK-PAYMENT-METHOD"),
    )


def _if_there(ctx: Context, ask: Callable[[], T]) -> T | None:
    """The answer of an endpoint that may not exist."""
    try:
        return _patiently(ctx, ask)
    except Rejected as error:
        if not is_no_endpoint(error):
            raise
        return None


def _has(ctx: Context, ask: Callable[[], object], refused: str) -> bool:
    try:
        return _patiently(ctx, ask) is not None
    except Rejected as error:
        if error.code != refused:
            raise
        return False


def _lacking(ctx: Context, sevdesk: Sevdesk) -> list[str]:
    """What every document refers to, and the account does not have."""
    users = _patiently(ctx, sevdesk.users)
    there = {
        "user": any(user.active for user in users),
        "unit": _has(ctx, sevdesk.unity_id, "SEVDESK-UNITY"),
        "country": _has(ctx, lambda: sevdesk.country_id("DE"), "SEVDESK-COUNTRY"),
        "categories": _patiently(ctx, sevdesk.has_categories),
    }
    return [name for name, found in there.items() if not found]


def _neighbours(ctx: Context, tenant: str, account: str) -> tuple[Neighbour, ...]:
    """The other tenants whose books are kept in the same sevdesk account."""

    def read(tx: Transaction) -> tuple[Neighbour, ...]:
        found = []
        for other in tenants.all(tx):
            if other.id == tenant or other.sevdesk_ref != account or other.state in _GONE:
                continue
            try:
                profile = profile_at(profiles_in(tx, other.id), ctx.clock())
            except LadenbuchError:
                continue  # a tenant that is being installed has none yet
            found.append(Neighbour(other.id, other.shop, profile.shop_key, profile.regime, profile.oss_from))
        return tuple(found)

    return ctx.database.system("readiness").read(Store.BOOKS, read)


# -- remembering -----------------------------------------------------------------------------------------------------


def _remember(ctx: Context, owner: tenants.Tenant, shop: ShopRead | Unread, account: AccountRead | Unread) -> None:
    """Note the shop's id and the account's id the first time they answer; what is known is never overwritten here."""
    now = ctx.clock()

    def write(tx: Transaction) -> None:
        known = tenants.get(tx, owner.id)
        if known.sevdesk_ref is None and isinstance(account, AccountRead):
            tenants.identify(tx, owner.id, sevdesk_ref=account.id)
            sentence = f"The books of {owner.shop} are kept in sevdesk account {account.id}."
            audit.append(
                tx, owner.id, now, actor="readiness", event="sevdesk.identified", subject=account.id, sentence=sentence
            )
        told = shop.gid if isinstance(shop, ShopRead) and shop.domain == owner.shop else None
        if known.shop_gid is None and told is not None and tenants.by_shop_gid(tx, told) is None:
            tenants.identify(tx, owner.id, shop_gid=told)

    if owner.sevdesk_ref is None or owner.shop_gid is None:
        ctx.database.system("readiness").run(Store.BOOKS, write)


def connect_sevdesk(ctx: Context, tenant: str, token: str, sevdesk: Sevdesk, *, by: str) -> AccountRead:
    """Try a token with a client of its own, and keep it. Nothing is stored when it is refused.

    Raises Rejected: SEVDESK-TOKEN-FORM, -WRONG, SEVDESK-FORBIDDEN; SEVDESK-BOOKKEEPING for version 1.0 (facts 1.9);
    SEVDESK-CHANGED when the books already have documents in another account. And what the client raises.
    """
    try:
        account = account_of(ctx, sevdesk)
    except LadenbuchError as error:
        code = refusal(error, token, worked=False)
        if code == error.code:
            raise
        raise Rejected(code, judged.why_refused(code), detail=error.detail) from None
    if account.version != "2.0":
        message = f"the account has bookkeeping version {account.version}; have sevdesk move it to 2.0 first"
        raise Rejected("SEVDESK-BOOKKEEPING", message)
    now = ctx.clock()

    def write(tx: Transaction) -> None:
        owner = tenants.get(tx, tenant)
        if owner.sevdesk_ref not in (None, account.id) and books.has_documents(tx, tenant):
            message = f"the token opens account {account.id}, and the books were written in {owner.sevdesk_ref}"
            raise Rejected("SEVDESK-CHANGED", message)
        ctx.vault.put_secret(tx, tenant, SEVDESK_TOKEN, token, now)
        tenants.identify(tx, tenant, sevdesk_ref=account.id)
        sentence = f"A token of sevdesk account {account.id} was stored for {owner.shop}."
        audit.append(tx, tenant, now, actor=by, event="sevdesk.connected", subject=account.id, sentence=sentence)

    ctx.door(tenant).run(Store.BOOKS, write)
    ctx.forget(tenant)
    let_in(ctx, tenant, by=by)
    return account


# -- the gate --------------------------------------------------------------------------------------------------------


def let_go(ctx: Context, tenant: str, found: Sequence[Finding], *, by: str, reason: str | None = None) -> None:
    """Let a tenant finalise and send. Raises Rejected("NOT-READY") while something is missing and nobody says why not.

    With a `reason` it goes all the same; what was missing, and the reason, stand in the audit log.
    """
    missing = sorted({finding.code for finding in judged.missing(found)})
    if missing and not reason:
        raise Rejected("NOT-READY", f"missing before the first invoice: {', '.join(missing)}")
    now = ctx.clock()

    def write(tx: Transaction) -> None:
        tenants.set_draft_only(tx, tenant, False)
        sentence = f"Tenant {tenant} may finalise and send."
        event = "tenant.live"
        if missing:
            sentence += f" It was forced although {', '.join(missing)} stood: {reason}"
            event = "tenant.forced"
        audit.append(tx, tenant, now, actor=by, event=event, subject=tenant, sentence=sentence)

    ctx.door(tenant).run(Store.BOOKS, write)
