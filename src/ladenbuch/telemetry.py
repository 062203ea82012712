"""What can be watched: the catalogue of metrics, and log lines without secrets or personal data.

Every metric of the product is defined here, once, with labels from short closed lists: a topic or a template,
never an address, an order or a shop. `Metrics` has a registry of its own, so that tests and simulations can
have as many as they like.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# Seconds. An API call that takes longer than ten has timed out; a settle may wait for a retry ladder of hours.
_CALL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SETTLE_BUCKETS = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)

INGEST_RESULTS = (
    "accepted",
    "duplicate",
    "bad_method",
    "bad_request",
    "too_large",
    "forged",
    "unknown_shop",
    "unavailable",
)
"""The values of the label `result` of `webhooks_total`: every request to the ingest is exactly one of them."""


class Metrics:
    """All metrics of one process; the attributes are named like the metrics. Durations are in seconds."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        # Outgoing calls. `service`: shopify, sevdesk, mail. `operation`: a verb or document name, not an address.
        self.api_calls_total = counter("api_calls_total", "Outgoing calls begun", ("service", "operation"))
        self.api_errors_total = counter(
            "api_errors_total", "Outgoing calls that failed, by our code", ("service", "operation", "code")
        )
        self.api_call_duration = Histogram(
            "api_call_duration",
            "Duration of outgoing calls in seconds",
            ("service", "operation"),
            buckets=_CALL_BUCKETS,
            registry=registry,
        )
        self.rate_limit_utilization = gauge(
            "rate_limit_utilization", "Used share of the budget of the other side, 0 to 1", ("service",)
        )
        self.active_connections = gauge("active_connections", "Connected tenants, by state", ("state",))

        # Incoming webhooks.
        self.webhooks_total = counter("webhooks_total", "Requests to the ingest, by what became of them", ("result",))
        self.webhook_version_mismatch_total = counter(
            "webhook_version_mismatch_total", "Webhooks serialised for another API version than ours"
        )
        self.webhook_cross_tenant_replay_total = counter(
            "webhook_cross_tenant_replay_total",
            "Genuine bodies seen again under the domain of another tenant: somebody replays a leaked delivery",
        )
        self.webhook_delay_seconds = Histogram(
            "webhook_delay_seconds",
            "From the event in the shop to its webhook being received",
            buckets=_SETTLE_BUCKETS,
            registry=registry,
        )

        # Outstanding work.
        self.webhook_queue_depth = gauge("webhook_queue_depth", "Order marks by state", ("state",))
        self.oldest_unattempted_seconds = gauge(
            "oldest_unattempted_seconds", "Age of the oldest wish for a look at an order that nobody has tried"
        )
        self.settle_latency_seconds = Histogram(
            "settle_latency_seconds",
            "From the first wish for a look at an order to its being settled",
            buckets=_SETTLE_BUCKETS,
            registry=registry,
        )
        self.settles_total = counter("settles_total", "Ended runs, by code", ("code",))
        self.needs_attention = gauge("needs_attention", "Open questions to a person, by code", ("code",))
        for result in INGEST_RESULTS:
            self.webhooks_total.labels(result)  # zero is a figure too, and an alert on absence is none

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self.registry)


# --- logs ---

Processor = Callable[[Any, str, MutableMapping[str, Any]], Mapping[str, Any] | str | bytes]

_SECRET_KEYS = re.compile(
    r"token|secret|password|passwd|authorization|api_?key|hmac|cookie|credential|ciphertext|private|dsn", re.I
)
_PERSONAL_KEYS = re.compile(
    r"e?mail|phone|address|street|zip|city|first_?name|last_?name|customer|recipient|buyer|body|payload", re.I
)
_OUR_IDS = frozenset({"run_id", "webhook_id", "event_id"})  # may have the shape of a token and are none
_IN_TEXT = (
    # URLs with credentials, e-mail addresses, and the shapes of Shopify's and sevdesk's tokens.
    (re.compile(r"(?<=://)[^/@\s:]+:[^@\s]+(?=@)"), "[secret]"),
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), "[email]"),
    (re.compile(r"\bshp[a-z]{2}_[0-9a-fA-F]{16,}\b"), "[secret]"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "[secret]"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "[secret]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 [secret]"),
)


def redact_text(text: str) -> str:
    """`text` without what looks like a credential or an e-mail address."""
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: values of telling keys vanish, all other text is searched."""
    for key, value in event.items():
        event[key] = _redacted(key, value)
    return event


def _redacted(key: str, value: Any) -> Any:
    if key != "event" and _SECRET_KEYS.search(key):
        return "[secret]"
    if key != "event" and _PERSONAL_KEYS.search(key):
        return "[personal]"
    if key in _OUR_IDS:
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {inner: _redacted(str(inner), item) for inner, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted("", item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return f"[{len(value)} bytes]"
    return value


def configure_logging(log_format: str = "auto", *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` (standard error), redacted.

    `log_format`: json (one object per line), text, or auto: text on a terminal, json otherwise. Callable again.
    """
    import structlog  # it brings half of Rich; commands that do not log need not wait for it

    out = stream if stream is not None else sys.stderr
    as_text = log_format == "text" or (log_format == "auto" and out.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if as_text else structlog.processors.JSONRenderer()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,  # before redaction: an exception's text is text like any other
            redact,
            renderer,
        ],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [old for old in root.handlers if getattr(old, "ladenbuch", False)]:
        root.removeHandler(old)
    handler.ladenbuch = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(level)
    for name in ("httpx2", "httpcore2", "sqlalchemy", "alembic"):  # they log addresses and statements
        logging.getLogger(name).setLevel(logging.WARNING)
