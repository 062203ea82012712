"""Shopify's own libraries against our simulated Shopify, and against our verifiers (issue: real third-party clients).

The Node library and the Python package are the real ones, told nothing but a proxy and whom to trust: the scripts in
`clients/` use them as their documentation shows. `make clients` installs them into build/clients (or the folder that
LADENBUCH_CLIENTS names); without them all but the first tests are skipped. Facts 3.4, 4, 7.3.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

import client_cases as cases
from ladenbuch.errors import Rejected
from ladenbuch.shopify import oauth, webhooks

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "other-clients.md"
SCRIPTS = Path(__file__).parent / "clients"
FOLDER = Path(os.environ.get("LADENBUCH_CLIENTS", ROOT / "build" / "clients")).resolve()
KINDS = {
    "Deliveries": "webhooks",
    "Signed links": "queries",
    "Session tokens": "sessions",
    "Shops": "shops",
}
TOPICS = [
    "orders/create",
    "orders/updated",
    "orders/paid",
    "orders/edited",
    "orders/cancelled",
    "orders/fulfilled",
    "refunds/create",
    "order_transactions/create",
]
PRIVACY = ["customers/data_request", "customers/redact", "shop/redact"]
SHOP_ANSWER = {"shop": {"myshopifyDomain": cases.SHOP, "currencyCode": "EUR"}}


# -- what is installed -----------------------------------------------------------------------------------------------


def node() -> list[str]:
    own = FOLDER / "node_modules" / ".bin" / "node"
    found = str(own) if own.exists() else shutil.which("node")
    if found is None or not (FOLDER / "node_modules" / "@shopify" / "shopify-api").is_dir():
        pytest.skip(f"Shopify's Node library is not in {FOLDER}: run `make clients` (needs npm)")
    return [found]


def python() -> list[str]:
    found = FOLDER / "python" / "bin" / "python"
    if not found.exists():
        pytest.skip(f"Shopify's Python package is not in {FOLDER}: run `make clients`")
    return [str(found), str(SCRIPTS / "python_client.py")]


def ask(command: list[str], given: dict[str, Any], **env: str) -> dict[str, Any]:
    """Run a script with `given` as its standard input; its answer. What it complains about is shown."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
    done = subprocess.run(
        command, input=json.dumps(given), env=kept | env, capture_output=True, encoding="utf-8", timeout=200
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Starts `ladenbuch simulate shopify --proxy` and lets a script work at it; one simulator per script."""
    started: list[subprocess.Popen[str]] = []

    def work(command: list[str]) -> dict[str, Any]:
        ca = tmp_path_factory.mktemp("authority") / "ca.pem"
        options = ["--port", "0", "--proxy", "0", "--ca", str(ca), "--orders", "40", "--mix", "wide"]
        options += ["--plan", "standard", "--shop", cases.SHOP, "--secret", cases.SECRET]
        simulate = [sys.executable, "-W", "ignore", "-m", "ladenbuch", "simulate", "shopify", *options]
        process = subprocess.Popen(simulate, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        given = {
            "folder": str(FOLDER),
            "shop": said["shop"],
            "client_id": said["client_id"],
            "client_secret": cases.SECRET,
            "control": f"http://127.0.0.1:{said['shopify']}/_control",
            "topics": TOPICS,
            "privacy": PRIVACY,
            "until": (datetime.now(UTC) + timedelta(days=2)).isoformat(),
        }
        return ask(
            command,
            given,
            HTTPS_PROXY=f"http://127.0.0.1:{said['proxy']}",
            NODE_USE_ENV_PROXY="1",
            NODE_EXTRA_CA_CERTS=said["ca"],
            SSL_CERT_FILE=said["ca"],
        )

    yield work
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def from_node(simulated: Any) -> dict[str, Any]:
    """What Shopify's Node library did at the simulated shop."""
    found: dict[str, Any] = simulated([*node(), str(SCRIPTS / "node" / "work.mjs")])
    return found


@pytest.fixture(scope="module")
def from_python(simulated: Any) -> dict[str, Any]:
    """What Shopify's Python package did at the simulated shop."""
    found: dict[str, Any] = simulated([*python(), "work"])
    return found


JUDGED = {
    "folder": str(FOLDER),
    "shop": cases.SHOP,
    "client_id": cases.CLIENT_ID,
    "client_secret": cases.SECRET,
    "old_secret": cases.OLD_SECRET,
    "now": cases.NOW,
    **cases.CASES,
}


@pytest.fixture(scope="module")
def node_judge() -> dict[str, Any]:
    """The Node library's verdicts, and what it signed."""
    return ask([*node(), str(SCRIPTS / "node" / "judge.mjs")], JUDGED)


@pytest.fixture(scope="module")
def python_judge() -> dict[str, Any]:
    """The Python package's verdicts, and what it signed."""
    interpreter, script = python()
    return ask([interpreter, "-W", "ignore", script, "judge"], JUDGED)


def about(value: object, expected: int) -> bool:
    return isinstance(value, int) and expected - 60 <= value <= expected


# -- the Node library ------------------------------------------------------------------------------------------------


def test_the_pinned_node_library_is_what_runs(from_node: dict[str, Any]) -> None:
    assert from_node["library"] == "15.0.0"
    assert int(from_node["node"].removeprefix("v").split(".")[0]) >= 22


@pytest.mark.parametrize("way", ["install_expiring", "install_consented", "exchange_expiring", "refreshed", "migrated"])
def test_node_gets_an_expiring_token_by_installation_exchange_refresh_and_migration(
    from_node: dict[str, Any], way: str
) -> None:
    """Facts 4.2-4.4: an hour, a refresh token of ninety days, the scopes with those they imply."""
    done = from_node[way]
    assert done["shop"] == cases.SHOP
    assert about(done["seconds"], 3600)
    assert about(done["refresh_seconds"], 7_776_000)
    assert done["refresh"].startswith("shprt_")
    assert (done["online"], done["active"]) == (False, True)


@pytest.mark.parametrize("way", ["install_permanent", "exchange_permanent"])
def test_node_gets_a_token_that_does_not_expire_when_it_asks_for_none_that_does(
    from_node: dict[str, Any], way: str
) -> None:
    done = from_node[way]
    assert (done["seconds"], done["refresh"], done["active"]) == (None, None, True)


@pytest.mark.parametrize("way", ["install_online", "exchange_online"])
def test_node_gets_an_online_token_with_its_user(from_node: dict[str, Any], way: str) -> None:
    """S131."""
    done = from_node[way]
    assert done["online"]
    assert about(done["seconds"], 86_400)
    assert done["user"]["id"] == 42
    assert done["user"]["email"]


def test_node_gets_a_day_by_client_credentials(from_node: dict[str, Any]) -> None:
    """S132."""
    assert about(from_node["client_credentials"]["seconds"], 86_399)
    assert from_node["client_credentials"]["refresh"] is None


def test_the_consent_pages_host_parameter_is_one_node_trusts(from_node: dict[str, Any]) -> None:
    assert isinstance(from_node["host"], str)


@pytest.mark.parametrize(
    ("way", "refusal", "status", "error"),
    [
        ("install_without_cookie", "CookieNotFound", None, None),
        ("install_with_foreign_state", "InvalidOAuthError", None, None),
        ("install_with_foreign_shop", "InvalidOAuthError", None, None),
        ("install_with_used_code", "HttpResponseError", 400, "invalid_request"),
        ("client_credentials_wrong_secret", "HttpResponseError", 401, "invalid_client"),
        ("client_credentials_not_a_shop", "InvalidShopError", None, None),
        ("exchange_own_token", "HttpResponseError", 400, "invalid_subject_token"),
        ("refreshed_by_predecessor", "HttpResponseError", 400, "invalid_grant"),
        ("refreshed_by_nonsense", "HttpResponseError", 400, "invalid_grant"),
        ("migrated_again", "HttpResponseError", 400, "invalid_subject_token"),
    ],
)
def test_node_is_refused_where_shopify_refuses(
    from_node: dict[str, Any], way: str, refusal: str, status: int | None, error: str | None
) -> None:
    """Facts 4.2-4.4. `exchange_own_token` is the token the library's own test helper makes: its issuer has no https."""
    done = from_node[way]
    assert done["threw"] == refusal
    assert done.get("status") == status
    assert (done.get("body") or {}).get("error") == error


def test_node_lets_no_bot_install_and_finds_no_shop_that_is_not_there(from_node: dict[str, Any]) -> None:
    assert from_node["begin_by_a_bot"] == 410
    assert from_node["client_credentials_unknown_shop"]["status"] == 404


def test_the_merchant_presses_install_where_the_shop_asks(from_node: dict[str, Any]) -> None:
    """The consent page, and the signed link by which a merchant comes (facts 4.2)."""
    assert from_node["install_consented"]["pressed"] == 1
    assert from_node["install_consented"]["active"]
    assert from_node["link"] is True


def test_a_lost_refresh_is_asked_for_again_until_its_successor_is_used(from_node: dict[str, Any]) -> None:
    """Facts 4.4, rule of 2026-08-28; refusals after it are in the table above."""
    assert from_node["refreshed_in_vain"]["message"] == "fetch failed"
    for way in ("refreshed", "refreshed_again", "refreshed_by_successor"):
        assert from_node[way]["token"].startswith("shpat_")


def test_node_asks_with_every_token_it_was_given_but_the_migrated_one(from_node: dict[str, Any]) -> None:
    """Facts 4.4: migration is irreversible, the old token is gone."""
    asked = from_node["asked"]
    assert asked.pop("exchange_permanent")["status"] == 401
    assert len(asked) >= 9
    for way, done in asked.items():
        assert done.get("data") == SHOP_ANSWER, way
        assert done["version"] == ["2026-10"]
        assert done["cost"]["throttleStatus"]["maximumAvailable"] == 2000


def test_node_reads_orders_with_variables(from_node: dict[str, Any]) -> None:
    orders = from_node["orders"]["data"]["orders"]
    assert len(orders["nodes"]) == 3
    assert orders["pageInfo"]["hasNextPage"] is True


@pytest.mark.parametrize(
    ("way", "refusal", "said"),
    [
        ("unknown_field", "GraphqlQueryError", "favouriteColour"),
        ("dear", "GraphqlQueryError", "MAX_COST_EXCEEDED"),
        ("throttled", "GraphqlQueryError", "THROTTLED"),
        ("nonsense_token", "HttpResponseError", "401"),
        ("refused", "HttpThrottlingError", "429"),
        ("unavailable", "HttpResponseError", "402"),
    ],
)
def test_node_understands_why_a_query_was_refused(from_node: dict[str, Any], way: str, refusal: str, said: str) -> None:
    """Facts 5.3."""
    assert from_node[way]["threw"] == refusal
    assert said in json.dumps(from_node[way])


def test_node_tries_again_after_a_refusal_but_takes_its_seconds_for_milliseconds(from_node: dict[str, Any]) -> None:
    """Told in docs/reference/other-clients.md; when this fails, they have mended it."""
    assert from_node["refused_and_tried_again"]["data"] == SHOP_ANSWER
    assert from_node["refused_waited_ms"] < 900


def test_node_registers_its_webhooks_once_and_follows_changes(from_node: dict[str, Any]) -> None:
    """Facts 7.3: re-registration updates changed fields, creates and deletes on a changed address, deletes leftovers;
    the privacy topics are never registered by the API."""
    assert from_node["registered"] == {"ORDERS_UPDATED": ["create true"], "REFUNDS_CREATE": ["create true"]}
    assert from_node["registered_again"] == {"ORDERS_UPDATED": [], "REFUNDS_CREATE": []}
    assert from_node["registered_privacy"] == {"ORDERS_UPDATED": [], "REFUNDS_CREATE": [], "CUSTOMERS_REDACT": []}
    assert from_node["registered_fields"]["ORDERS_UPDATED"] == ["update true"]
    assert from_node["registered_address"] == {
        "ORDERS_UPDATED": ["create true", "delete true"],
        "REFUNDS_CREATE": ["delete true"],
    }


def test_node_takes_every_delivery_of_the_simulated_shop(from_node: dict[str, Any]) -> None:
    """Facts 3.1, 3.3, with umlauts in the bodies; topics of both kinds of subscriptions and the privacy topics."""
    received = from_node["received"]
    assert {(one["valid"], one["status"]) for one in received} == {(True, 200)}
    assert from_node["deliveries"] == {"delivered": len(received)}
    topics = Counter(one["topic"] for one in received)
    assert topics["ORDERS_UPDATED"] >= 20
    assert {"ORDERS_CREATE", "ORDERS_PAID", "ORDER_TRANSACTIONS_CREATE", "REFUNDS_CREATE"} <= set(topics)
    assert {topic.upper().replace("/", "_") for topic in PRIVACY} <= set(topics)
    for one in received:
        assert {"webhookId", "eventId", "triggeredAt", "apiVersion", "domain"} <= set(one)


def test_node_takes_the_deliveries_of_a_named_subscription_in_xml(from_node: dict[str, Any]) -> None:
    """S78, S79: its name comes along in a header; the signature is over XML as well."""
    assert from_node["named"] == {"webhookSubscription": {"name": "as-xml", "format": "XML"}, "userErrors": []}
    found = [one for one in from_node["received"] if one.get("name") == "as-xml"]
    assert len(found) >= 10
    assert {(one["topic"], one["kind"], one["status"]) for one in found} == {("ORDERS_CREATE", "application/xml", 200)}


def test_node_accepts_the_simulated_admins_session_token(from_node: dict[str, Any]) -> None:
    """S127."""
    claims = from_node["session_token"]
    assert (claims["aud"], claims["dest"], claims["sub"]) == (cases.CLIENT_ID, f"https://{cases.SHOP}", "42")
    assert claims["exp"] - claims["nbf"] == 60


# -- the Python package ----------------------------------------------------------------------------------------------


def test_the_pinned_python_package_is_what_runs(from_python: dict[str, Any]) -> None:
    assert from_python["library"] == "1.0.2"


@pytest.mark.parametrize("way", ["exchange_expiring", "refreshed", "refreshed_again", "refreshed_by_successor"])
def test_python_gets_expiring_tokens_by_exchange_and_refresh(from_python: dict[str, Any], way: str) -> None:
    """Its `expiring` is a number in JSON, not a text."""
    done = from_python[way]
    assert (done["ok"], done["code"], done["mode"]) == (True, "success", "offline")
    assert done["refresh"].startswith("shprt_")
    expires, refresh_expires = (datetime.fromisoformat(done[name]) for name in ("expires", "refresh_expires"))
    assert refresh_expires - expires == timedelta(seconds=7_776_000 - 3600)


@pytest.mark.parametrize(
    "way", ["client_credentials", "client_credentials_async", "exchange_permanent", "exchange_online"]
)
def test_python_gets_the_other_tokens(from_python: dict[str, Any], way: str) -> None:
    done = from_python[way]
    assert (done["ok"], done["refresh"]) == (True, None)
    assert (done["expires"] is None) == (way == "exchange_permanent")
    assert done["user"] == (f"user-42@{cases.SHOP}" if way == "exchange_online" else None)


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("client_credentials_wrong_secret", "invalid_client"),
        ("client_credentials_unknown_shop", "exchange_error"),
        ("exchange_forged", "invalid_subject_token"),
        ("refreshed_by_predecessor", "invalid_grant"),
    ],
)
def test_python_is_refused_where_shopify_refuses(from_python: dict[str, Any], way: str, code: str) -> None:
    assert (from_python[way]["ok"], from_python[way]["code"]) == (False, code)


def test_python_sees_a_lost_answer_as_a_failure_of_the_network(from_python: dict[str, Any]) -> None:
    assert (from_python["refreshed_in_vain"]["ok"], from_python["refreshed_in_vain"]["code"]) == (
        False,
        "network_error",
    )


def test_python_refreshes_only_what_is_due(from_python: dict[str, Any]) -> None:
    assert from_python["refresh_not_due"]["code"] == "token_still_valid"


def test_python_asks_with_every_token(from_python: dict[str, Any]) -> None:
    assert len(from_python["asked"]) >= 8
    assert all(done["data"] == SHOP_ANSWER for done in from_python["asked"].values())
    assert len(from_python["orders"]["data"]["orders"]["nodes"]) == 3


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("unknown_field", "graphql_errors"),
        ("nonsense_token", "unauthorized"),
        ("unavailable", "http_error_402"),
    ],
)
def test_python_understands_why_a_query_was_refused(from_python: dict[str, Any], way: str, code: str) -> None:
    assert (from_python[way]["ok"], from_python[way]["code"]) == (False, code)


def test_python_tries_again_after_a_refusal_but_reads_no_retry_after(from_python: dict[str, Any]) -> None:
    """Told in docs/reference/other-clients.md: asked to wait three seconds, it waits one."""
    done = from_python["refused_and_tried_again"]
    assert (done["data"], done["tries"]) == (SHOP_ANSWER, 2)
    assert 1 <= done["seconds"] < 2.9


def test_python_takes_every_delivery_of_the_simulated_shop(from_python: dict[str, Any]) -> None:
    received = from_python["received"]
    assert {(one["status"], one["shop"]) for one in received} == {(200, cases.SHOP.split(".")[0])}
    assert from_python["deliveries"] == {"delivered": len(received)}
    assert len(received) >= 100
    assert set(PRIVACY) <= {one["topic"] for one in received}


# -- verdicts: theirs and ours ---------------------------------------------------------------------------------------


def test_our_verifiers_accept_what_the_node_library_signs(node_judge: dict[str, Any]) -> None:
    """The other way round: a delivery, a link and a session token of theirs."""
    signed = node_judge["signed"]
    secrets, body = [cases.SECRET], signed["body"].encode()
    headers = {**cases.HEADERS, "X-Shopify-Hmac-Sha256": signed["webhook"]}
    assert webhooks.verify("POST", headers, body, secrets).genuine
    assert webhooks.verify("POST", headers, body + b" ", secrets).kind == "forged"
    pairs = parse_qsl(signed["query"], keep_blank_values=True)
    assert oauth.check_query(pairs, secrets, cases.INSTANT) == cases.SHOP
    told = {"client_id": cases.CLIENT_ID, "secrets": secrets, "now": cases.INSTANT}
    assert oauth.verify_session_token(signed["session"], **told).shop == cases.SHOP
    with pytest.raises(Rejected):  # their test helper names an issuer without https
        oauth.verify_session_token(signed["helper_session"], **told)


def test_our_verifier_accepts_the_session_token_the_python_package_accepts(python_judge: dict[str, Any]) -> None:
    told = {"client_id": cases.CLIENT_ID, "secrets": [cases.SECRET], "now": cases.INSTANT}
    assert oauth.verify_session_token(python_judge["signed"]["session"], **told).user_id == "42"


def shown(verdict: cases.Verdict | None) -> str:
    """A verdict as the page spells it."""
    if verdict is None:
        return "–"
    if isinstance(verdict, bool):
        return "yes" if verdict else "no"
    return f"`{verdict}`" if isinstance(verdict, str) else str(verdict)


def page() -> dict[str, dict[str, list[str]]]:
    """The page's tables: kind -> case -> the cells for us, Node, Python."""
    tables: dict[str, dict[str, list[str]]] = {}
    kind = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            kind = KINDS.get(line.removeprefix("## "), "")
        row = re.fullmatch(r"\| (`[^`]*`|[^`|]+) \| (.+?) \| (.+?) \| (.+?) \| (.+) \|", line)
        if kind and row and row[1] not in ("Case", "---"):
            tables.setdefault(kind, {})[row[1].strip("`")] = [row[2], row[3], row[4]]
    return tables


def test_the_page_tells_our_side_truly() -> None:
    """Also where their libraries are not installed."""
    ours, tables = cases.ours(), page()
    assert set(tables) == set(KINDS.values())
    for kind, rows in tables.items():
        assert {name: cells[0] for name, cells in rows.items()} == {name: shown(ours[kind][name]) for name in rows}


def test_every_difference_is_on_the_page_and_no_other(node_judge: dict[str, Any], python_judge: dict[str, Any]) -> None:
    """Three verdicts on each case; where one differs, the page says who answers what, and why."""
    ours, differences = cases.ours(), {kind: {} for kind in KINDS.values()}  # type: ignore[var-annotated]
    assert sum(len(of_kind) for of_kind in cases.CASES.values()) >= 130
    for kind, of_kind in cases.CASES.items():
        for name in of_kind:
            verdicts = [ours[kind][name], node_judge[kind][name], python_judge.get(kind, {}).get(name)]
            cells = [shown(verdict) for verdict in verdicts]
            if len(set(cells) - {"–"}) > 1:
                differences.setdefault(kind, {})[name] = cells
    assert differences == page()
