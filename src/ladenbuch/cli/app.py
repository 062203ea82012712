"""What can be typed. Each command is a few lines; the work is in the modules it names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    name="ladenbuch",
    help="Turns paid Shopify orders into correct sevdesk invoices: once, to the cent, with the reason written down.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Encryption keys.", no_args_is_help=True)
tenants = typer.Typer(help="Shops and the sevdesk accounts their books are kept in.", no_args_is_help=True)
simulate = typer.Typer(help="Stand-ins for Shopify, sevdesk, VIES and a mail relay, on loopback.", no_args_is_help=True)
audit = typer.Typer(help="The audit chain.", no_args_is_help=True)
grants = typer.Typer(help="How shops let us in: kinds, scopes, expiries.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(grants, name="grants")
app.add_typer(tenants, name="tenants")
app.add_typer(simulate, name="simulate")
app.add_typer(audit, name="audit")
webhooks = typer.Typer(help="What Shopify tells us of: the app's configuration file, and a shop's subscriptions.")
app.add_typer(webhooks, name="webhooks", no_args_is_help=True)
dead_letters = typer.Typer(help="What gave up after its last attempt: why, and what becomes of it.")
app.add_typer(dead_letters, name="dead-letters", no_args_is_help=True)
privacy = typer.Typer(help="What buyers and merchants asked us to tell or to forget, and what is kept how long.")
app.add_typer(privacy, name="privacy", no_args_is_help=True)
billing = typer.Typer(help="Subscriptions of the app, for operators who publish it.")
app.add_typer(billing, name="billing", no_args_is_help=True)
backfill = typer.Typer(help="Years of orders: planned from an export, then taken over behind live traffic.")
app.add_typer(backfill, name="backfill", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Faults = Annotated[Literal["calm", "rain", "storm"], typer.Option(help="Weather: how unreliable everything is.")]
Mix = Annotated[Literal["domestic", "wide"], typer.Option(help="domestic: every order can be decided.")]
LanguageOption = Annotated[Literal["de", "en"], typer.Option("--language", help="The language of the sentences.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Tenant id; needed when there are several.")]


def _version(show: bool) -> None:
    if show:
        from ladenbuch import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Settings are read from the environment (LADENBUCH_…); secrets never from arguments."""


@app.command()
def serve(
    role: Annotated[
        Literal["all", "web", "worker"] | None, typer.Option(help="Default: LADENBUCH_ROLE, or all.")
    ] = None,
) -> None:
    """Run the connector: webhooks, workers and dashboard in one process."""
    from ladenbuch.cli.serve import serve_forever

    serve_forever(role)


@app.command()
def demo(
    orders: Annotated[int, typer.Option(min=1, max=100_000, help="Orders of the simulated day.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed gives the same day.")] = 7,
    faults: Faults = "calm",
    mix: Mix = "domestic",
    as_json: Json = False,
    keep: Annotated[bool, typer.Option("--serve", help="Keep the dashboard up afterwards (ctrl-c ends it).")] = False,
    kill: Annotated[int, typer.Option(min=0, help="Kill the connector this many times at random moments.")] = 0,
    play: Annotated[float | None, typer.Option(help="Seconds the shop's day is squeezed into.")] = None,
    poll: Annotated[bool, typer.Option("--poll", help="Without any webhook, at the poll's own pace.")] = False,
) -> None:
    """Watch a simulated shop's day turn into books; exit 1 on any deviation the auditor finds."""
    from ladenbuch.cli.demo import run_demo

    raise typer.Exit(run_demo(orders, seed, faults, mix, as_json=as_json, keep=keep, kills=kill, play=play, poll=poll))


Since = Annotated[str | None, typer.Option(help="First day of the period (YYYY-MM-DD).")]
Until = Annotated[str | None, typer.Option(help="First day after the period (YYYY-MM-DD).")]


@app.command()
def plan(
    order: Annotated[
        Path | None, typer.Option(help="One order, offline: a file as `ladenbuch fetch ORDER --json` prints it.")
    ] = None,
    profile: Annotated[Path | None, typer.Option(help="An accounting profile (JSON), with --order.")] = None,
    books: Annotated[
        Path | None, typer.Option(help="What is already posted (JSON, docs/reference/plan.md), with --order.")
    ] = None,
    today: Annotated[str | None, typer.Option(help="Plan as of this date (YYYY-MM-DD), with --order.")] = None,
    tenant: TenantOption = None,
    since: Since = None,
    until: Until = None,
    out: Annotated[Path | None, typer.Option(help="Keep the period's plan here, for `apply --plan`.")] = None,
    as_json: Json = False,
) -> None:
    """What would be posted, for one order or for a period; nothing is written. Exit 1 when it needs a person."""
    from ladenbuch.errors import UsageError

    if order is not None:
        if tenant or since or until or out:
            raise UsageError("OPTIONS", "--order plans a file; --tenant, --since, --until and --out plan a period")
        from ladenbuch.cli.planning import plan_order

        raise typer.Exit(plan_order(order, profile, books, today, as_json=as_json))
    if profile or books or today or not (since and until):
        raise UsageError("OPTIONS", "give --order FILE, or --since and --until of a period")
    from ladenbuch.cli.period import plan_period

    raise typer.Exit(plan_period(tenant, since, until, out, as_json=as_json))


@app.command()
def apply(
    plan_file: Annotated[Path | None, typer.Option("--plan", help="A plan `ladenbuch plan --out` has kept.")] = None,
    tenant: TenantOption = None,
    since: Since = None,
    until: Until = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow until everything is settled.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds --wait follows at most.")] = 600.0,
    as_json: Json = False,
) -> None:
    """Carry out the plan of a period, exactly that or nothing: a stale plan is refused. A running `serve` posts it."""
    from ladenbuch.cli.period import apply_period

    raise typer.Exit(
        apply_period(tenant, plan_file, since, until, yes=yes, wait=wait, timeout=timeout, as_json=as_json)
    )


BackfillId = Annotated[str | None, typer.Option("--backfill", help="Its id; default: the newest.")]


@backfill.command("plan")
def backfill_plan(
    since: Since = None,
    until: Until = None,
    move_cut_off: Annotated[
        bool, typer.Option("--move-cut-off", help="Plan what lies before the cut-off too; starting moves it.")
    ] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Plan a period of any length from an export; nothing is posted. Goes on after a kill. Exit 1: needs a person."""
    from ladenbuch.cli.backfilling import plan

    raise typer.Exit(plan(tenant, since, until, move_cut_off=move_cut_off, as_json=as_json))


@backfill.command("start")
def backfill_start(
    without_changed: Annotated[
        bool, typer.Option("--without-changed", help="Leave orders that changed since to live traffic.")
    ] = False,
    beside_others: Annotated[
        bool, typer.Option("--beside-others", help="Although others wrote invoices in that time: they are other sales.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    backfill_id: BackfillId = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Begin to take over what was planned; a stale plan is refused (exit 1). A running `serve` settles the orders."""
    from ladenbuch.cli.backfilling import start

    kept = {"without_changed": without_changed, "beside_others": beside_others}
    raise typer.Exit(start(tenant, backfill_id, **kept, yes=yes, as_json=as_json))


@backfill.command("status")
def backfill_status(backfill_id: BackfillId = None, tenant: TenantOption = None, as_json: Json = False) -> None:
    """How far it is and when it will be done. Exit 1 when it stopped by itself or orders are stuck."""
    from ladenbuch.cli.backfilling import status

    raise typer.Exit(status(tenant, backfill_id, as_json=as_json))


@backfill.command("pause")
def backfill_pause(backfill_id: BackfillId = None, tenant: TenantOption = None, as_json: Json = False) -> None:
    """Begin with no further order; those under way end."""
    from ladenbuch.cli.backfilling import move

    raise typer.Exit(move(tenant, backfill_id, "pause", as_json=as_json))


@backfill.command("resume")
def backfill_resume(backfill_id: BackfillId = None, tenant: TenantOption = None, as_json: Json = False) -> None:
    """Go on after a pause; refused when the profile changed meanwhile (exit 1)."""
    from ladenbuch.cli.backfilling import move

    raise typer.Exit(move(tenant, backfill_id, "resume", as_json=as_json))


@backfill.command("cancel")
def backfill_cancel(backfill_id: BackfillId = None, tenant: TenantOption = None, as_json: Json = False) -> None:
    """Begin with no further order, for good; what was posted stays."""
    from ladenbuch.cli.backfilling import move

    raise typer.Exit(move(tenant, backfill_id, "cancel", as_json=as_json))


@backfill.command("report")
def backfill_report(
    form: Annotated[
        Literal["json", "csv", "markdown"], typer.Option("--format", help="CSV lists every order.")
    ] = "json",
    out: Annotated[Path | None, typer.Option(help="Into this file instead of standard output.")] = None,
    backfill_id: BackfillId = None,
    tenant: TenantOption = None,
) -> None:
    """Everything about it: sums per month and rate, what came of each order. Exit 1 as `status`."""
    from ladenbuch.cli.backfilling import report

    raise typer.Exit(report(tenant, backfill_id, form, out))


@app.command()
def adopt(
    tenant: TenantOption = None,
    since: Since = None,
    until: Until = None,
    plan_file: Annotated[Path | None, typer.Option("--plan", help="A takeover that --out has kept.")] = None,
    out: Annotated[Path | None, typer.Option(help="Keep what was found here, for --plan.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Every document as a line of a table.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Take over; without it nothing is written.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow until everything is settled.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds --wait follows at most.")] = 600.0,
    as_json: Json = False,
) -> None:
    """Whose are the documents another tool or a person wrote in sevdesk? A dry run, then taken over with --apply."""
    from ladenbuch.cli.adopting import adopt_period

    raise typer.Exit(
        adopt_period(
            tenant,
            since,
            until,
            plan_file,
            out,
            csv_file,
            apply=apply,
            yes=yes,
            wait=wait,
            timeout=timeout,
            as_json=as_json,
        )
    )


@app.command()
def fetch(order: str, tenant: TenantOption = None, as_json: Json = False) -> None:
    """Read one order (gid, number or name) from Shopify as it is now."""
    from ladenbuch.cli.orders import fetch_order

    raise typer.Exit(fetch_order(order, tenant, as_json=as_json))


@app.command()
def gql(
    file: Annotated[Path, typer.Argument(help="A GraphQL query.")],
    variables: Annotated[str | None, typer.Option(help="Its variables, as a JSON object.")] = None,
    debug_cost: Annotated[bool, typer.Option("--debug-cost", help="Show what each field costs instead.")] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Send a query (never a mutation) to the shop and print the answer, or what each of its fields costs."""
    from ladenbuch.cli.querying import query_shop

    raise typer.Exit(query_shop(file, tenant, variables, debug_cost=debug_cost, as_json=as_json))


@app.command()
def explain(
    order: str,
    language: Annotated[Literal["de", "en"], typer.Option(help="The language of the sentences.")] = "en",
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """The whole life of one order, in sentences."""
    from ladenbuch.cli.orders import explain_order

    raise typer.Exit(explain_order(order, tenant, language, as_json=as_json))


@app.command()
def questions(
    code: Annotated[str | None, typer.Option(help="Only questions with this code.")] = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """What a person must decide, with the choices. Exit 1 while there is something."""
    from ladenbuch.cli.resolving import list_questions

    raise typer.Exit(list_questions(tenant, code, as_json=as_json))


@app.command()
def resolve(
    order: Annotated[str, typer.Argument(help="The order: gid, number or name; `all` for every order that asks it.")],
    code: Annotated[str, typer.Argument(help="The question's code, such as TIP.")],
    choice: Annotated[str, typer.Argument(help="A choice: its number, its wording, or how it begins.")],
    actor: Annotated[str | None, typer.Option("--as", help="Who decides; default: the user of this machine.")] = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Answer a question about an order. Kept for exactly these facts, in the audit log; a running `serve` goes on."""
    from ladenbuch.cli.resolving import resolve_question

    raise typer.Exit(resolve_question(order, code, choice, tenant, actor, as_json=as_json))


@app.command()
def replay(
    orders: Annotated[list[str] | None, typer.Argument(help="Orders: gid, number or name.")] = None,
    code: Annotated[str | None, typer.Option(help="All orders that ended with this code.")] = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Settle orders again, as if Shopify had just told us of them; a running `serve` does it."""
    from ladenbuch.cli.replay import replay_orders

    raise typer.Exit(replay_orders(orders or [], code, tenant, as_json=as_json))


@app.command()
def doctor(tenant: TenantOption = None, language: LanguageOption = "en", as_json: Json = False) -> None:
    """Compare shop, sevdesk and profile; say what is missing before the first invoice. Exit 1 when something is."""
    from ladenbuch.cli.doctor import examine

    raise typer.Exit(examine(tenant, language, as_json=as_json))


@app.command()
def alarms(
    tenant: TenantOption = None,
    ended: Annotated[int | None, typer.Option(min=1, help="Also those that ended in the last DAYS.")] = None,
    language: LanguageOption = "en",
    as_json: Json = False,
) -> None:
    """What a person should hear of at once, since when, and what to do. Exit 1 when an alarm is open."""
    from ladenbuch.cli.alarming import list_alarms

    raise typer.Exit(list_alarms(tenant, ended, language, as_json=as_json))


@app.command()
def backup(
    into: Annotated[Path, typer.Argument(metavar="DIR", help="Folder the backups are kept in; made when missing.")],
    keys_dir: Annotated[
        Path | None, typer.Option("--keys", help="Where the copies of the keys go. Default: DIR/keys.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy both stores while the connector runs, and prove the copy. On PostgreSQL: says what to run, exit 2."""
    from ladenbuch.cli.backing_up import back_up_now

    raise typer.Exit(back_up_now(into, keys_dir, as_json=as_json))


@app.command()
def restored(
    keys_file: Annotated[
        Path | None, typer.Option("--keys", help="The newest copy of the keys; `backup` keeps them apart.")
    ] = None,
    taken_at: Annotated[
        str | None, typer.Option("--taken-at", help="When the copy was made, where `ladenbuch backup` did not make it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """A backup was put back: hold what may go out twice, find what was done since. Exit 1 when a person is needed."""
    from ladenbuch.cli.backing_up import say_restored

    raise typer.Exit(say_restored(keys_file, taken_at, as_json=as_json))


@app.command()
def stop(
    reason: Annotated[str, typer.Option(help="Why; shown wherever something waits for it.")] = "by the operator",
    tenant: TenantOption = None,
) -> None:
    """Stop all writing to sevdesk and all letters, globally or for one tenant, until `go`."""
    from ladenbuch.cli.admin import set_stop

    set_stop(tenant, reason)


@app.command()
def go(tenant: TenantOption = None) -> None:
    """Lift a stop."""
    from ladenbuch.cli.admin import lift_stop

    raise typer.Exit(lift_stop(tenant))


@keys.command("generate")
def keys_generate() -> None:
    """Print a new key for LADENBUCH_KEYS."""
    from ladenbuch.vault import generate_key

    typer.echo(generate_key())


@keys.command("rotate")
def keys_rotate(
    data_keys: Annotated[
        bool, typer.Option("--data-keys", help="New data keys as well: every row is sealed anew, the old ones dropped.")
    ] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Bring everything under the first key of LADENBUCH_KEYS while writers go on; repeat it after a kill."""
    from ladenbuch.cli.rotating import rotate_keys

    raise typer.Exit(rotate_keys(tenant, data_keys=data_keys, as_json=as_json))


@billing.command("status")
def billing_status(
    look: Annotated[bool, typer.Option("--look", help="Ask Shopify now, for the shop named.")] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """What is known of the shops' subscriptions; exit 1 when a shop is not entitled."""
    from ladenbuch.cli.billing import status

    raise typer.Exit(status(tenant, look=look, as_json=as_json))


@billing.command("ask")
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


@billing.command("cancel")
def billing_cancel(
    prorate: Annotated[bool, typer.Option("--prorate", help="Give back what of the interval is left.")] = False,
    yes: Yes = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """End a plan with manual pricing now; exit 1 when there is none."""
    from ladenbuch.cli.billing import cancel

    raise typer.Exit(cancel(tenant, prorate=prorate, yes=yes, as_json=as_json))


@billing.command("charge")
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


@grants.command("list")
def grants_list(as_json: Json = False) -> None:
    """List every shop's grant and what its scopes leave off; exit 1 when a shop has to be connected again."""
    from ladenbuch.cli.granting import list_grants

    raise typer.Exit(list_grants(as_json=as_json))


@grants.command("migrate")
def grants_migrate(tenant: TenantOption = None) -> None:
    """Exchange a permanent access token for an expiring one, for good; Shopify takes the old one no more."""
    from ladenbuch.cli.granting import migrate

    raise typer.Exit(migrate(tenant))


@tenants.command("add")
def tenants_add(
    shop: Annotated[str, typer.Option(help="The shop's myshopify.com domain.")],
    profile: Annotated[Path, typer.Option(help="Accounting profile (JSON).")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Tenant id; default: the shop's handle.")] = None,
    cut_off: Annotated[
        str | None, typer.Option(help="Nothing before this instant is documented; default: now.")
    ] = None,
    create_accounts: Annotated[bool, typer.Option(help="Create missing clearing accounts in sevdesk.")] = False,
    as_json: Json = False,
) -> None:
    """Add a shop. Secrets come from standard input as JSON, or from LADENBUCH_TENANT_… variables."""
    from ladenbuch.cli.adding import add_tenant

    raise typer.Exit(add_tenant(shop, profile, tenant, cut_off, create_accounts=create_accounts, as_json=as_json))


@tenants.command("list")
def tenants_list(as_json: Json = False) -> None:
    """All tenants and their state."""
    from ladenbuch.cli.admin import list_tenants

    raise typer.Exit(list_tenants(as_json=as_json))


@tenants.command("live")
def tenants_live(
    tenant: str,
    off: Annotated[bool, typer.Option("--off", help="Back to drafts only.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Although something is missing; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, with --force; kept in the audit log.")] = None,
    language: LanguageOption = "en",
    as_json: Json = False,
) -> None:
    """Let a tenant finalise invoices and send letters, once nothing is missing; until then everything stays a draft."""
    from ladenbuch.cli.admin import set_live
    from ladenbuch.errors import UsageError

    if force != bool(reason and reason.strip()) or (off and force):
        raise UsageError("OPTIONS", "--force and --reason TEXT go together, and never with --off")
    raise typer.Exit(set_live(tenant, reason, language, live=not off, as_json=as_json))


@tenants.command("test")
def tenants_test(tenant: str, language: LanguageOption = "en", as_json: Json = False) -> None:
    """Try both connections with harmless reads: what works, what is missing. Exit 1: act; 3: no answer."""
    from ladenbuch.cli.doctor import try_both

    raise typer.Exit(try_both(tenant, language, as_json=as_json))


@tenants.command("sevdesk")
def tenants_sevdesk(tenant: str, as_json: Json = False) -> None:
    """Try a new sevdesk token, and keep it. From standard input as JSON, or LADENBUCH_TENANT_SEVDESK_TOKEN."""
    from ladenbuch.cli.adding import connect_sevdesk

    raise typer.Exit(connect_sevdesk(tenant, as_json=as_json))


@tenants.command("configure")
def tenants_configure(
    tenant: str,
    profile: Annotated[Path | None, typer.Option(help="Accounting profile (JSON), if there is none yet.")] = None,
    create_accounts: Annotated[bool, typer.Option(help="Create missing clearing accounts in sevdesk.")] = False,
    as_json: Json = False,
) -> None:
    """Bring what an installed shop is missing; secrets as with `tenants add`. Exit 1 while something still is."""
    from ladenbuch.cli.life import configure

    raise typer.Exit(configure(tenant, profile, create_accounts=create_accounts, as_json=as_json))


@tenants.command("suspend")
def tenants_suspend(tenant: str, reason: Annotated[str, typer.Option(help="Why, for the audit log.")]) -> None:
    """Read and write nothing for a tenant; its webhooks wait until `resume`."""
    from ladenbuch.cli.life import suspend

    raise typer.Exit(suspend(tenant, reason))


@tenants.command("resume")
def tenants_resume(tenant: str) -> None:
    """Let a suspended tenant work again. Exit 1 while something is missing."""
    from ladenbuch.cli.life import resume

    raise typer.Exit(resume(tenant))


Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@tenants.command("uninstall")
def tenants_uninstall(tenant: str, yes: Yes = False) -> None:
    """Delete a shop's tokens and end its work, as Shopify's app/uninstalled does; the books are kept."""
    from ladenbuch.cli.life import uninstall

    raise typer.Exit(uninstall(tenant, yes=yes))


@tenants.command("export")
def tenants_export(
    tenant: str, to: Annotated[Path, typer.Option("--to", help="The file to write (zip).")], as_json: Json = False
) -> None:
    """Write everything that is held of a tenant into one file, readable; secrets are left out."""
    from ladenbuch.cli.life import export

    raise typer.Exit(export(tenant, to, as_json=as_json))


@tenants.command("delete")
def tenants_delete(
    tenant: str,
    export: Annotated[Path | None, typer.Option(help="The export that was made of it; checked first.")] = None,
    without_export: Annotated[bool, typer.Option("--without-export", help="There is none, and that is meant.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase an uninstalled tenant from every table, with a proof that nothing is left. Exit 1 when something is."""
    from ladenbuch.cli.life import delete

    raise typer.Exit(delete(tenant, export=export, without_export=without_export, yes=yes, as_json=as_json))


@tenants.command("erased")
def tenants_erased(as_json: Json = False) -> None:
    """The proofs of what was erased: of whom, when, by whom, how many rows of which table."""
    from ladenbuch.cli.life import list_erased

    list_erased(as_json=as_json)


@tenants.command("profile")
def tenants_profile(
    tenant: str,
    file: Annotated[
        Path | None, typer.Option("--file", help="The new version (JSON); without it, the one in force.")
    ] = None,
    effective_from: Annotated[str | None, typer.Option(help="A date or an instant; default: now.")] = None,
    back_dated: Annotated[bool, typer.Option("--back-dated", help="Allow a date in the past.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Show the effect, store nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """The accounting profile; or a new version of it, stored once its effect on every order was seen."""
    from ladenbuch.cli.profiles import change_profile, show_profile
    from ladenbuch.errors import UsageError

    if file is None:
        if effective_from or back_dated or preview or yes:
            raise UsageError("OPTIONS", "these options go with --file FILE")
        raise typer.Exit(show_profile(tenant, as_json=as_json))
    raise typer.Exit(
        change_profile(tenant, file, effective_from, back_dated=back_dated, preview=preview, yes=yes, as_json=as_json)
    )


@app.command()
def reconcile(
    tenant: TenantOption = None,
    since: Annotated[str | None, typer.Option(help="First day (YYYY-MM-DD); default: the open period.")] = None,
    until: Annotated[str | None, typer.Option(help="The first day after the period.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what was seen a quarter of an hour ago, too.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for what is mended.")] = 120.0,
    accept: Annotated[str | None, typer.Option(help="Instead: this difference may stay (its mark).")] = None,
    reason: Annotated[str, typer.Option(help="Why it may.")] = "",
    as_json: Json = False,
) -> None:
    """Hold shop, books and sevdesk against each other. Exit 1 when something is left that is not mended."""
    from ladenbuch.cli import reconciling

    if accept is not None:
        raise typer.Exit(reconciling.accept(tenant, accept, reason))
    raise typer.Exit(reconciling.reconcile(tenant, since, until, fix=fix, wait=wait, as_json=as_json))


@app.command()
def certificate(
    month: Annotated[str | None, typer.Option(help="The accounting month (YYYY-MM).")] = None,
    day: Annotated[str | None, typer.Option(help="One day instead (YYYY-MM-DD).")] = None,
    tenant: TenantOption = None,
    out: Annotated[Path | None, typer.Option(help="Keep the certificate here.")] = None,
    grace: Annotated[float, typer.Option(min=0, help="Minutes after a change before it is judged.")] = 15.0,
    as_json: Json = False,
) -> None:
    """Every order of a month or day accounted for, to the cent; what is not is named. Exit 1 when anything is."""
    from ladenbuch.cli.certifying import certificate as certify

    raise typer.Exit(certify(tenant, month, day, out, grace, as_json=as_json))


Registered = Annotated[
    Literal["app", "shop"] | None,
    typer.Option(help="By the app's configuration file or in each shop; default: in the shop for a tenant's own app."),
]


@webhooks.command("toml")
def webhooks_toml(
    tenant: Annotated[str | None, typer.Option("--tenant", help="A tenant that brings its own app.")] = None,
    name: Annotated[str, typer.Option(help="The app's name, at most 30 characters.")] = "Ladenbuch",
    kind: Registered = None,
    embedded: Annotated[bool, typer.Option("--embedded", help="The app opens inside Shopify's admin.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write it here instead of standard output.")] = None,
) -> None:
    """The app's configuration file (shopify.app.toml), for `shopify app deploy`; the only way to the privacy topics."""
    from ladenbuch.cli.webhooks import write_toml

    raise typer.Exit(write_toml(tenant, name, out, kind, embedded=embedded))


@webhooks.command("ensure")
def webhooks_ensure(tenant: TenantOption = None, kind: Registered = None, as_json: Json = False) -> None:
    """Make a shop's subscriptions the wanted ones; a second time changes nothing. Exit 1 when Shopify refuses some."""
    from ladenbuch.cli.webhooks import ensure

    raise typer.Exit(ensure(tenant, kind, as_json=as_json))


@webhooks.command("audit")
def webhooks_audit(
    tenant: TenantOption = None,
    kind: Registered = None,
    file: Annotated[Path | None, typer.Option(help="Also compare this deployed shopify.app.toml.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs in the shop.")] = False,
    as_json: Json = False,
) -> None:
    """Compare a shop's subscriptions with the wanted ones; exit 1 while something differs."""
    from ladenbuch.cli.webhooks import audit as examine

    raise typer.Exit(examine(tenant, kind, file, repair=repair, as_json=as_json))


@webhooks.command("report")
def webhooks_report(
    days: Annotated[int, typer.Option(min=1, max=60, help="How far back; bodies are kept LADENBUCH_INBOX_DAYS.")] = 30,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """What Shopify delivered, how late, by topic, and how many changes of orders nothing told of."""
    from ladenbuch.cli.webhooks import report

    raise typer.Exit(report(tenant, days, as_json=as_json))


@webhooks.command("lint")
def webhooks_lint(
    file: Annotated[Path, typer.Argument(help="An app's configuration file.")] = Path("shopify.app.toml"),
    as_json: Json = False,
) -> None:
    """What is wrong with a configuration file, before Shopify refuses it or loses deliveries. Exit 1 on an error."""
    from ladenbuch.cli.webhooks import lint_file

    raise typer.Exit(lint_file(file, as_json=as_json))


@privacy.command("requests")
def privacy_requests(tenant: TenantOption = None, as_json: Json = False) -> None:
    """Requests by the privacy webhooks, what is due first on top; exit 1 while an answer waits to be fetched."""
    from ladenbuch.cli.privacy import list_requests

    raise typer.Exit(list_requests(tenant, as_json=as_json))


@privacy.command("answer")
def privacy_answer(
    request: Annotated[str, typer.Argument(help="Its id, as `privacy requests` shows it.")],
    to: Annotated[Path, typer.Option("--to", help="A new file, readable by you alone.")],
    tenant: TenantOption = None,
) -> None:
    """Write everything we hold of a customer into one file, and note that the request was answered."""
    from ladenbuch.cli.privacy import answer

    raise typer.Exit(answer(request, to, tenant))


@privacy.command("holds")
def privacy_holds(tenant: TenantOption = None, as_json: Json = False) -> None:
    """What the law keeps of forgotten buyers, and until when; it goes by itself."""
    from ladenbuch.cli.privacy import list_holds

    raise typer.Exit(list_holds(tenant, as_json=as_json))


@privacy.command("inventory")
def privacy_inventory(as_json: Json = False) -> None:
    """Every column of every table: what it is about a person, what it is for, when it goes, and by which law."""
    from ladenbuch.cli.privacy import show_inventory

    show_inventory(as_json=as_json)


Kind = Annotated[Literal["order", "letter", "event", "saga"] | None, typer.Option(help="Only of this kind.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only what ended with this code.")]
Older = Annotated[str | None, typer.Option("--older-than", help="Only what gave up longer ago: 90m, 12h, 3d.")]
Newer = Annotated[str | None, typer.Option("--newer-than", help="Only what gave up since: 90m, 12h, 3d.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids as `list` prints them: order:4711, letter:…, event:…")]
Everything = Annotated[bool, typer.Option("--all", help="All there are.")]
Preview = Annotated[bool, typer.Option("--preview", help="Only say what would happen.")]
As = Annotated[str | None, typer.Option("--as", help="Who does it; default: the user of this machine.")]


@dead_letters.command("list")
def dead_letters_list(
    tenant: TenantOption = None,
    kind: Kind = None,
    code: CodeOption = None,
    older_than: Older = None,
    newer_than: Newer = None,
    state: Annotated[
        Literal["open", "trying", "redriven", "settled", "dropped", "all"],
        typer.Option(help="open: given up; trying: keeps failing, and is still tried."),
    ] = "open",
    as_json: Json = False,
) -> None:
    """What gave up, newest first; exit 1 while anything is open."""
    from ladenbuch.cli.dead_letters import Filter, show_all

    raise typer.Exit(show_all(Filter(tenant, kind, code, older_than, newer_than), state, as_json=as_json))


@dead_letters.command("show")
def dead_letters_show(
    id: Annotated[str, typer.Argument(help="As `list` prints it.")], tenant: TenantOption = None, as_json: Json = False
) -> None:
    """One of them: why, its last failures, what was done about it."""
    from ladenbuch.cli.dead_letters import show_one

    raise typer.Exit(show_one(id, tenant, as_json=as_json))


@dead_letters.command("annotate")
def dead_letters_annotate(
    id: Annotated[str, typer.Argument(help="As `list` prints it.")],
    note: Annotated[str, typer.Option(help="What others should know; it stays, and is in the audit log.")],
    tenant: TenantOption = None,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Keep a remark with one of them."""
    from ladenbuch.cli.dead_letters import remark

    raise typer.Exit(remark(id, note, tenant, actor, as_json=as_json))


@dead_letters.command("redrive")
def dead_letters_redrive(
    ids: Ids = None,
    tenant: TenantOption = None,
    kind: Kind = None,
    code: CodeOption = None,
    older_than: Older = None,
    newer_than: Newer = None,
    everything: Everything = False,
    rate: Annotated[int | None, typer.Option(min=1, max=6000, help="At most so many a minute.")] = None,
    preview: Preview = False,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Try them again, with fresh patience; a running `serve` does it. Exit 1 when there was none, or some stay."""
    from ladenbuch.cli.dead_letters import Filter, redrive_all

    which = Filter(tenant, kind, code, older_than, newer_than, ids=tuple(ids or ()), everything=everything)
    raise typer.Exit(redrive_all(which, rate, actor, preview=preview, as_json=as_json))


@dead_letters.command("drop")
def dead_letters_drop(
    reason: Annotated[str, typer.Option(help="Why nothing more is done; it stays, and is in the audit log.")],
    ids: Ids = None,
    tenant: TenantOption = None,
    kind: Kind = None,
    code: CodeOption = None,
    older_than: Older = None,
    newer_than: Newer = None,
    everything: Everything = False,
    preview: Preview = False,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Give them up for good, with a reason. A new change of the order is looked at all the same."""
    from ladenbuch.cli.dead_letters import Filter, drop_all

    which = Filter(tenant, kind, code, older_than, newer_than, ids=tuple(ids or ()), everything=everything)
    raise typer.Exit(drop_all(which, reason, actor, preview=preview, as_json=as_json))


@audit.command("verify")
def audit_verify(tenant: TenantOption = None, as_json: Json = False) -> None:
    """Check the audit chains; exit 1 and name the first entry that is not what it was."""
    from ladenbuch.cli.admin import verify_audit

    raise typer.Exit(verify_audit(tenant, as_json=as_json))


Port = Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same world.")]


@simulate.command("shopify")
def simulate_shopify(
    port: Port = 9001,
    seed: Seed = 7,
    orders: Annotated[int, typer.Option(help="Orders loaded; play them with the control API.")] = 0,
    secret: Annotated[str, typer.Option(help="Client secret of the simulated app.")] = "simulated-secret",
    client_id: Annotated[str, typer.Option(help="Client id of the simulated app.")] = "simulated-app",
    webhooks_to: Annotated[str | None, typer.Option(help="Address webhooks are delivered to.")] = None,
    shop: Annotated[str, typer.Option(help="Domain of the simulated shop.")] = "demo.myshopify.com",
    plan: Annotated[Literal["standard", "advanced", "plus", "enterprise"], typer.Option(help="Rate plan.")] = "plus",
    mix: Mix = "domestic",
    faults: Faults = "calm",
    proxy: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of an HTTPS proxy for clients that know only the shop's host."),
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Where the certificate of the proxy's authority is written.")] = None,
) -> None:
    """A stand-in for Shopify: Admin GraphQL, grants, webhooks; control API under /_control."""
    from ladenbuch.cli.simulate import World, run

    world = World(
        seed,
        orders,
        mix,
        faults,
        shop=shop,
        plan=plan,
        secret=secret,
        client_id=client_id,
        to=webhooks_to,
        proxy=proxy,
        ca=ca,
    )
    run(world, {"shopify": port})


@simulate.command("sevdesk")
def simulate_sevdesk(
    port: Port = 9002,
    seed: Seed = 7,
    secret: Annotated[str | None, typer.Option(help="The API token it accepts.")] = None,
    latency: Annotated[float, typer.Option(help="Milliseconds added to every answer.")] = 0.0,
    faults: Faults = "calm",
) -> None:
    """A stand-in for sevdesk: documents, accounts, transactions; control API under /_control."""
    from ladenbuch.cli.simulate import World, run

    run(World(seed, 0, "domestic", faults, token=secret, latency=latency / 1000), {"sevdesk": port})


@simulate.command("mail")
def simulate_mail(
    port: Port = 9003,
    seed: Seed = 7,
    control_port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port of the readable inbox.")] = 9004,
    faults: Faults = "calm",
) -> None:
    """A stand-in for a mail relay: real SMTP, and an inbox to read under /_control/messages."""
    from ladenbuch.cli.simulate import World, run

    run(World(seed, 0, "domestic", faults), {"mail": port, "inbox": control_port})


@simulate.command("vies")
def simulate_vies(
    port: Port = 9005,
    seed: Seed = 7,
    invalid: Annotated[list[str] | None, typer.Option(help="A VAT id that is not valid; may be repeated.")] = None,
    faults: Faults = "calm",
) -> None:
    """A stand-in for the look-up of VAT ids: valid unless listed; control API under /_control."""
    from ladenbuch.cli.simulate import World, run

    run(World(seed, 0, "domestic", faults, invalid=tuple(invalid or ())), {"vies": port})


@simulate.command("all", hidden=True)
def simulate_all(
    seed: Seed = 7,
    orders: int = 200,
    mix: Mix = "domestic",
    faults: Faults = "calm",
    latency: float = 20.0,
) -> None:
    """All stand-ins in one process on free ports; the ports are printed as one line of JSON."""
    from ladenbuch.cli.simulate import World, run

    world = World(seed, orders, mix, faults, latency=latency / 1000)
    run(world, {"shopify": 0, "sevdesk": 0, "vies": 0, "mail": 0, "inbox": 0})
