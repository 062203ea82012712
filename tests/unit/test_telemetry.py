"""Nothing secret and nobody's name leaves through a log line; every metric has its promised name."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import yaml
from prometheus_client import Counter, Histogram

from ladenbuch.telemetry import INGEST_RESULTS, Metrics, configure_logging, redact_text
from ladenbuch.telemetry.metrics import GAUGES


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def told(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_secrets_and_personal_data_vanish_from_both_kinds_of_loggers(lines: io.StringIO) -> None:
    structlog.get_logger("a").info(
        "run ended",
        order="gid://shopify/Order/1",
        access_token="shpat_0123456789abcdef0123456789abcdef",
        detail={"email": "erika@example.org", "count": 3, "nested": [{"phone": "+49 30 1"}]},
        relay="smtp://user:hunter2@mail.example.org:587",
        note="write to erika@example.org",
        raw=b"\x00\x01",
    )
    logging.getLogger("b").warning("token %s for %s", "0123456789abcdef0123456789abcdef", "erika@example.org")
    try:
        raise ValueError("bad answer from https://user:hunter2@host/ about erika@example.org")
    except ValueError:
        logging.getLogger("c").exception("failed")
    text = lines.getvalue()
    for secret in ("shpat_", "erika", "hunter2", "0123456789abcdef", "+49"):
        assert secret not in text
    first = told(lines)[0]
    assert first["order"] == "gid://shopify/Order/1"
    assert first["detail"] == {"email": "[personal]", "count": 3, "nested": [{"phone": "[personal]"}]}
    assert first["raw"] == "[2 bytes]"
    assert [line["level"] for line in told(lines)] == ["info", "warning", "error"]


def test_our_own_run_ids_stay_readable(lines: io.StringIO) -> None:
    structlog.get_logger("a").info("claimed", run_id="0123456789abcdef0123456789abcdef")
    assert told(lines)[0]["run_id"] == "0123456789abcdef0123456789abcdef"


def test_configuring_twice_says_everything_once(lines: io.StringIO) -> None:
    configure_logging("json", stream=lines)
    logging.getLogger("a").warning("once")
    assert len(told(lines)) == 1


def test_text_for_people(lines: io.StringIO) -> None:
    configure_logging("text", stream=lines)
    logging.getLogger("a").warning("hello erika@example.org")
    assert "hello [email]" in lines.getvalue()


@pytest.mark.parametrize(
    "secret",
    [
        "shpca_0123456789abcdef0123",
        "eyJhbGciOi.eyJzdWIi.c2ln",
        "Bearer abcdefghijk",
        "postgresql://u:p4ss@host/db",
        "a.b+c@mail.example.co.uk",
    ],
)
def test_the_shapes_of_secrets_are_known(secret: str) -> None:
    cleaned = redact_text(f"before {secret} after")
    assert secret not in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")


def test_the_promised_metrics_exist_under_their_names() -> None:
    metrics = Metrics()
    metrics.api_calls_total.labels("sevdesk", "create_invoice").inc()
    metrics.api_errors_total.labels("sevdesk", "create_invoice", "SEVDESK-429").inc()
    metrics.api_call_duration.labels("sevdesk", "create_invoice", "success").observe(0.02)
    metrics.read_gauges = lambda: {
        "rate_limit_utilization": [(("shopify",), 0.5)],
        "active_connections": [(("shopify", "busy"), 2)],
        "webhook_queue_depth": [(("waiting",), 7)],
        "oldest_unattempted_seconds": [((), 0)],
    }
    text = metrics.render().decode()
    for name in (
        "api_calls_total{",
        "api_errors_total{",
        "api_call_duration_bucket{",
        "rate_limit_utilization{",
        "active_connections{",
        "webhook_queue_depth{",
        "oldest_unattempted_seconds ",
        "settle_latency_seconds_bucket{",
    ):
        assert f"\n{name}" in text
    for result in INGEST_RESULTS:
        assert f'webhooks_total{{result="{result}"}} 0.0' in text


def test_two_processes_worth_of_metrics_do_not_share_figures() -> None:
    one, other = Metrics(), Metrics()
    one.settles_total.labels("OK").inc()
    assert "settles_total{" not in other.render().decode()


def test_s53_s56_the_page_for_operators_names_exactly_the_metrics_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "watch-it.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \|([^|]*)\|", page.split("## The metrics")[1].split("\n## ")[0], re.MULTILINE)
    told = {name: tuple(re.findall(r"`([a-z]+)`", labels)) for name, labels in rows}
    assert told == catalogue()


def catalogue() -> dict[str, tuple[str, ...]]:
    """Every metric of the product with its labels."""
    found = {name: labels for name, (labels, _) in GAUGES.items()}
    for one in vars(Metrics()).values():
        if isinstance(one, Counter | Histogram):
            name = one._name + ("_total" if isinstance(one, Counter) else "")
            found[name] = tuple(one._labelnames)
    return found


#: What stands in an expression and is no metric.
_WORDS = {
    *("by", "and", "or", "on", "le", "min", "max", "sum", "rate", "increase", "deriv", "delta", "absent", "m", "h"),
    "histogram_quantile",
    "instance",
}


def test_s57_the_alert_rules_name_metrics_and_labels_that_exist() -> None:
    rules = yaml.safe_load((Path(__file__).parents[2] / "docs" / "reference" / "alerts.yaml").read_text("utf-8"))
    known = catalogue()
    used = set()
    for rule in rules["groups"][0]["rules"]:
        plain = re.sub(r'"[^"]*"', "", rule["expr"])
        names = set(re.findall(r"[a-z_]+", re.sub(r"\b[0-9][0-9a-z.]*\b", "", plain))) - _WORDS
        metrics = {re.sub(r"_(bucket|count|sum)$", "", name) for name in names} & known.keys()
        assert metrics, rule["alert"]
        labels = {label for metric in metrics for label in known[metric]} | {"instance", "le"}
        foreign = {name for name in names if re.sub(r"_(bucket|count|sum)$", "", name) not in known} - labels
        assert foreign == set(), (rule["alert"], foreign)
        asked = {word for text in rule["annotations"].values() for word in re.findall(r"\$labels\.([a-z_]+)", text)}
        assert asked <= labels, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        used |= metrics
    must = {"ready", "oldest_unattempted_seconds", "adapter_failing_seconds", "last_successful_poll_seconds"}
    assert must | {"api_errors_total", "webhooks_total", "needs_attention", "dead_letters"} <= used
