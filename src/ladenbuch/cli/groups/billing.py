"""Subscriptions of the app: what can be typed."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ladenbuch.cli.options import Json, TenantOption, Yes

group = typer.Typer(help="Subscriptions of the app, for operators who publish it.")


@group.command("status")
def billing_status(
    look: Annotated[bool, typer.Option("--look", help="Ask Shopify now, for the shop named.")] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """What is known of the shops' subscriptions; exit 1 when a shop is not entitled."""
    from ladenbuch.cli.billing import status

    raise typer.Exit(status(tenant, look=look, as_json=as_json))


@group.command("ask")
def billing_ask(
    plan: Annotated[str, typer.Option(help="Its name, as in LADENBUCH_BILLING_PLANS.")],
    price: Annotated[str | None, typer.Option(help="Per interval, or once: e.g. 19.00.")] = None,
    interval: Annotated[Literal["EVERY_30_DAYS", "ANNUAL"], typer.Option(help="How often.")] = "EVERY_30_DAYS",
    cap: Annotated[str | None, typer.Option(help="Usage is charged up to this amount per interval.")] = None,
    terms: Annotated[str, typer.Option(help="What usage costs, as the merchant reads it.")] = "",
    once: Annotated[bool, typer.Option("--once", help="A purchase made once instead of a plan.")] = False,
    currency: Annotated[str, typer.Option(help="Of price and cap.")] = "EUR",
    trial_days: Annotated[int | None, typer.Option(min=0, max=1000, help="Days before the first charge.")] = None,
    return_url: Annotated[str | None, typer.Option(help="Where the merchant goes afterwards.")] = None,
    test: Annotated[bool, typer.Option("--test", help="No money moves; always so in a development store.")] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Ask the merchant to agree to a plan with manual pricing: prints the address at which they do."""
    from ladenbuch.cli.billing import ask

    raise typer.Exit(
        ask(
            tenant,
            plan,
            price=price,
            once=once,
            interval=interval,
            cap=cap,
            terms=terms,
            currency=currency,
            trial_days=trial_days,
            return_url=return_url,
            test=test,
            as_json=as_json,
        )
    )


@group.command("cancel")
def billing_cancel(
    prorate: Annotated[bool, typer.Option("--prorate", help="Give back what of the interval is left.")] = False,
    yes: Yes = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """End a plan with manual pricing now; exit 1 when there is none."""
    from ladenbuch.cli.billing import cancel

    raise typer.Exit(cancel(tenant, prorate=prorate, yes=yes, as_json=as_json))


@group.command("charge")
def billing_charge(
    period: Annotated[str, typer.Option(help="What is charged for, e.g. 2026-11; charged once.")],
    amount: Annotated[str, typer.Option(help="In the main unit of the currency, e.g. 12.35.")],
    description: Annotated[str, typer.Option(help="What the merchant reads.")],
    what: Annotated[str, typer.Option(help="Keeps several charges of one period apart.")] = "orders",
    currency: Annotated[str, typer.Option(help="As the plan's cap.")] = "EUR",
    test: Annotated[bool, typer.Option("--test", help="On a plan that is a test.")] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Charge usage on a plan with manual pricing; the same period and thing a second time charges nothing."""
    from ladenbuch.cli.billing import charge

    raise typer.Exit(charge(tenant, period, what, amount, currency, description, test=test, as_json=as_json))
