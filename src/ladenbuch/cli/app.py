"""What can be typed; the larger groups stand in `groups`.

Each command is a few lines; the work is in the modules it names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ladenbuch.cli.groups import (
    backfill,
    billing,
    dead_letters,
    events,
    letters,
    money_back,
    payouts,
    simulate,
    suppressions,
    tenants,
    webhooks,
)
from ladenbuch.cli.options import Faults, Json, LanguageOption, Mix, Since, TenantOption, Until

app = typer.Typer(
    name="ladenbuch",
    help="Turns paid Shopify orders into correct sevdesk invoices: once, to the cent, with the reason written down.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Encryption keys.", no_args_is_help=True)
audit = typer.Typer(help="The audit chain.", no_args_is_help=True)
grants = typer.Typer(help="How shops let us in: kinds, scopes, expiries.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(grants, name="grants")
app.add_typer(tenants.group, name="tenants")
app.add_typer(simulate.group, name="simulate")
app.add_typer(audit, name="audit")
app.add_typer(webhooks.group, name="webhooks", no_args_is_help=True)
app.add_typer(suppressions.group, name="suppressions", no_args_is_help=True)
app.add_typer(dead_letters.group, name="dead-letters", no_args_is_help=True)
app.add_typer(events.group, name="events", no_args_is_help=True)
privacy = typer.Typer(help="What buyers and merchants asked us to tell or to forget, and what is kept how long.")
app.add_typer(privacy, name="privacy", no_args_is_help=True)
app.add_typer(letters.group, name="letters", no_args_is_help=True)
app.add_typer(payouts.group, name="payouts", no_args_is_help=True)
app.add_typer(money_back.group, name="money-back", no_args_is_help=True)
app.add_typer(billing.group, name="billing", no_args_is_help=True)
app.add_typer(backfill.group, name="backfill", no_args_is_help=True)


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


@audit.command("verify")
def audit_verify(tenant: TenantOption = None, as_json: Json = False) -> None:
    """Check the audit chains; exit 1 and name the first entry that is not what it was."""
    from ladenbuch.cli.admin import verify_audit

    raise typer.Exit(verify_audit(tenant, as_json=as_json))
