"""One order of a tenant: fetch it, tell its life."""

from __future__ import annotations

import json
from datetime import datetime

import typer

from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.errors import UsageError
from ladenbuch.web.words import Language


def find_gid(house: Ladenbuch, tenant: str, order: str) -> str:
    """The gid of an order given as gid, number or name."""
    if order.startswith("gid://shopify/Order/"):
        return order
    if order.isdigit() and len(order) > 9:
        return f"gid://shopify/Order/{order}"
    name = order if order.startswith("#") else f"#{order}"
    found = house.shopify(tenant).find_order(name)
    if found is None:
        raise UsageError("ORDER", f"Shopify knows no order {name}")
    return found


def fetch_order(order: str, tenant: str | None, *, as_json: bool) -> int:
    """Print one order as Shopify gives it now: the envelope `plan --order` reads."""
    from ladenbuch.cli.planning import show
    from ladenbuch.domain.facts import facts_of
    from ladenbuch.domain.plan import Plan

    with opened() as house:
        owner = chosen(house, tenant)
        gid = find_gid(house, owner.id, order)
        fetched = house.shopify(owner.id).fetch_order(gid)
    if fetched.order is None:
        typer.echo(f"{gid}: {fetched.reason}", err=True)
        return 1
    if as_json:
        say_json(fetched.envelope)
    else:
        show(facts_of(fetched.order), Plan(gid))
        typer.echo(json.dumps(fetched.envelope["order"], ensure_ascii=False, indent=1, default=str)[:4000])
    return 0


#: What stands around the sentences, in German and English.
_WORDS = {
    "de": ("wartet", "fragt", "Möglich", "Antwort mit", "Der Nachweis geht auf", "Der Nachweis geht nicht auf"),
    "en": ("waits", "asks", "Possible", "answer with", "the certificate holds", "the certificate does not hold"),
}


def explain_order(order: str, tenant: str | None, language: Language = "en", *, as_json: bool) -> int:
    """Tell the life of one order from our own books: heard, decided, posted, paid, mailed, and what is open."""
    from ladenbuch.cli.story import story_of
    from ladenbuch.web.figures import moment

    with opened() as house:
        owner = chosen(house, tenant)
        told = story_of(house, owner.id, order, language)
    if told is None:
        typer.echo(f"nothing is known of order {order}", err=True)
        return 1
    if as_json:
        say_json(told)
        return 0
    waits, asks, possible, answer, holds, breaks = _WORDS[language]
    typer.echo(f"{told['name']}  {told['verdict']}" + (f" ({told['code']})" if told["code"] else ""))
    for entry in told["entries"]:
        when = moment(language, datetime.fromisoformat(entry["at"]))
        typer.echo(f"  {when}  {entry['what']:8} {entry['sentence']}")
        for label, value in entry["detail"].items():
            typer.echo(f"{'':33}{label}: {value}")
    for reason in told["waiting"]:
        typer.echo(f"  {waits}: {reason}")
    for item in told["attention"]:
        typer.echo(f"  {asks}:  {item['code']}: {item['message']} {possible}: {', '.join(item['choices'])}.")
        typer.echo(f"{'':9}{answer}: ladenbuch resolve '{told['name']}' {item['code']} 1")
    typer.echo(f"  {holds if told['certificate']['holds'] else breaks}")
    return 0
