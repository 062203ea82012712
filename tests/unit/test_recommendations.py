"""What integrators are told to do with Shopify's order events, held against what is there (S134, S136, S138)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from ladenbuch.shopify.subscriptions import TOPICS
from ladenbuch.shopify.topics import SUBSCRIBABLE

SOURCE = Path(__file__).parents[2] / "src" / "ladenbuch"


def texts(folder: str) -> list[tuple[str, str]]:
    """(file, string) of every string in the product's modules below a folder, its simulators left out."""
    return [
        (file.name, node.value)
        for file in sorted((SOURCE / folder).rglob("*.py"))
        if "simulators" not in file.parts
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_s134_the_payment_of_an_order_is_heard_of_and_so_is_what_leads_to_it() -> None:
    """S134: `orders/paid` is there by default; it never comes for what is not paid whole, so it is not alone."""
    told = {topic.name for topic in TOPICS}
    assert "orders/paid" in told
    assert {
        "orders/create",
        "orders/updated",
        "orders/cancelled",
        "refunds/create",
        "order_transactions/create",
    } <= told
    assert told <= set(SUBSCRIBABLE)


def test_s136_nothing_but_graphql_is_asked_of_a_shop() -> None:
    """S136: no address of the old REST interface is written anywhere."""
    asked = [(file, text) for file, text in texts(".") if re.search(r"/admin/(api|[a-z_]+\.json)", text)]
    assert {file for file, _ in asked} <= {"admin.py"}, asked
    assert not [
        text for _, text in texts("shopify") if re.search(r"\b(orders|refunds|transactions|shop)\.json\b", text)
    ]


def test_s138_whatever_takes_a_post_knows_who_sends_it() -> None:
    """S138: besides the ingest and the feedback of mail providers, behind their signatures, three doors take a POST.

    A session, behind Shopify's token; and from a page of ours, a test letter to an address of the profile, and what a
    person says of a letter nobody is sure of.
    """
    methods = re.compile(
        r"""Route\(\s*["'](?P<path>[^"']+)["'](?:(?!Route\().)*?methods=\[(?P<methods>[^\]]*)\]""", re.DOTALL
    )
    doors = {
        found["path"]
        for file in (SOURCE / "web").glob("*.py")
        for found in methods.finditer(file.read_text(encoding="utf-8"))
        if re.search(r"POST|PUT|DELETE|PATCH", found["methods"])
    }
    assert doors == {"/auth/session", "/letters/test", "/letters/doubt"}
