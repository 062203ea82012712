"""`ladenbuch billing`: what is known of the shops' subscriptions of the app; plans, purchases and usage by hand."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import typer

from ladenbuch import entitlements
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.db import Store
from ladenbuch.errors import UsageError
from ladenbuch.shopify.billing import Interval, Plan, Price
from ladenbuch.workflows.billing import Billing


def status(tenant: str | None, *, look: bool, as_json: bool) -> int:
    """The last verdicts, with `look` read anew; exit 1 when a shop is not entitled."""
    with opened() as house:
        only = chosen(house, tenant).id if tenant else None
        if look:
            _on(house).look(chosen(house, tenant).id)
        known = house.database.system("operator").read(Store.BOOKS, entitlements.all)
        on = house.billing is not None
    found = [_told(item) for item in known if only in (None, item.tenant)]
    if as_json:
        say_json({"on": on, "shops": found})
    else:
        if not on:
            typer.echo("billing is off: no Partner API client is set")
        for item in found:
            _show(item)
    return 1 if any(item["kind"] == "not entitled" for item in found) else 0


def _show(item: dict[str, Any]) -> None:
    typer.echo(f"{item['tenant']:20} {item['kind']:14} {item['sentence']}")
    if item["unread"]:
        typer.echo(f"{'':20} {item['unread']}: the answer is of {item['read_at'] or 'never'}")
    near = item["near_cap"]
    if near:
        typer.echo(f"{'':20} usage comes close to its cap: {near['used']} of {near['cap']} {near['currency']}")
    elif item["cap_told_at"]:
        typer.echo(f"{'':20} usage came close to its cap on {item['cap_told_at']}")


def _told(known: entitlements.Known) -> dict[str, Any]:
    verdict, near = known.verdict, known.near_cap
    instants = {"until": verdict.until, "read_at": known.read_at, "cap_told_at": known.cap_told_at}
    return {
        "tenant": known.tenant,
        "kind": verdict.kind,
        "sentence": verdict.sentence,
        "plan": verdict.plan,
        "orders_over": verdict.over,
        "unread": known.unread,
        "near_cap": None if near is None else {"used": near.used, "cap": near.cap, "currency": near.currency},
        **{name: None if at is None else at.isoformat() for name, at in instants.items()},
    }


def ask(
    tenant: str | None,
    plan: str,
    *,
    price: str | None,
    once: bool,
    interval: Interval,
    cap: str | None,
    terms: str,
    currency: str,
    trial_days: int | None,
    return_url: str | None,
    test: bool,
    as_json: bool,
) -> int:
    """Ask the merchant to agree to a plan, or to a purchase made once; prints where they do."""
    if once and (price is None or cap is not None or trial_days is not None):
        raise UsageError("OPTIONS", "--once takes a --price, and neither --cap nor --trial-days")
    if not once and price is None and cap is None:
        raise UsageError("OPTIONS", "give a --price, a --cap for usage, or both")
    if cap is not None and not terms:
        raise UsageError("OPTIONS", "--cap needs --terms: what the merchant agrees to pay for")
    paid, most = (
        None if text is None else _price(text, currency, name) for text, name in ((price, "--price"), (cap, "--cap"))
    )
    with opened() as house:
        billing, owner = _on(house), chosen(house, tenant)
        counted = billing.terms.plans
        if counted and plan not in counted:
            raise UsageError(
                "OPTIONS", f"{plan} would count for nothing: LADENBUCH_BILLING_PLANS has {', '.join(counted)}"
            )
        back = return_url or house.settings.app_url or f"https://{owner.shop}/admin"
        if once:
            assert paid is not None
            asked = billing.ask_purchase(owner.id, plan, paid, back, test=test)
        else:
            wanted = Plan(plan, paid, interval, most, terms)
            asked = billing.ask_plan(owner.id, wanted, back, trial_days=trial_days, test=test)
    if as_json:
        told = {"tenant": owner.id, "plan": plan, "charge": asked.id, "test": asked.test}
        say_json(told | {"confirmation_url": asked.confirmation_url})
    else:
        typer.echo(asked.confirmation_url)
        typer.echo(f"{owner.id}: nothing is charged before the merchant agreed there{_as_test(asked.test)}", err=True)
    return 0


def cancel(tenant: str | None, *, prorate: bool, yes: bool, as_json: bool) -> int:
    """End the plan with manual pricing; exit 1 when there is none."""
    with opened() as house:
        billing, owner = _on(house), chosen(house, tenant)
        if not yes and not typer.confirm(f"End the plan of {owner.shop} now?"):
            raise UsageError("CONFIRM", "nothing was changed")
        state = billing.cancel(owner.id, prorate=prorate)
    if as_json:
        say_json({"tenant": owner.id, "status": state})
    else:
        typer.echo(f"{owner.id}: " + ("there is no plan to end" if state is None else f"the plan is {state.lower()}"))
    return 0 if state is not None else 1


def charge(
    tenant: str | None,
    period: str,
    what: str,
    amount: str,
    currency: str,
    description: str,
    *,
    test: bool,
    as_json: bool,
) -> int:
    """Charge usage of a period; a second time nothing is charged."""
    price = _price(amount, currency, "--amount")
    with opened() as house:
        billing, owner = _on(house), chosen(house, tenant)
        made = billing.charge(owner.id, period, what, price, description, test=test)
    if as_json:
        told = {"tenant": owner.id, "record": made.id, "idempotency_key": made.key, "test": made.test}
        say_json(told | {"amount": f"{price.amount:.2f}", "currency": price.currency})
    else:
        said = f"{price.amount:.2f} {price.currency} for {what} of {period}{_as_test(made.test)}"
        typer.echo(f"{owner.id}: {said}: {made.id} (idempotency key {made.key})")
    return 0


def _on(house: Ladenbuch) -> Billing:
    if house.billing is None:
        raise UsageError("SETTING", "not set: LADENBUCH_PARTNER_TOKEN")
    return house.billing


def _price(text: str, currency: str, option: str) -> Price:
    try:
        return Price(Decimal(text), currency)
    except InvalidOperation:
        raise UsageError("OPTIONS", f"{option} is a number such as 12.35") from None


def _as_test(test: bool) -> str:
    return ", as a test: no money moves" if test else ""
