"""The catalogue of metrics: every metric of the product is defined here, once.

Labels come from short closed lists: a topic or a template, never an address, an order or a shop. `Metrics` has a
registry of its own, so that tests and simulations can have as many as they like. Counters and histograms are told what
happens; gauges are told nothing: `read_gauges` asks the stores, budgets and pools when somebody looks, so that what is
shown is what is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

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
    "gone",
    "unavailable",
)
"""The values of the label `result` of `webhooks_total`: every request to the ingest is exactly one of them."""

GAUGES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "webhook_queue_depth": (("state",), "Order marks that wait for a run, and that a run holds"),
    "oldest_unattempted_seconds": ((), "Age of the oldest wish for a look at an order that nobody has tried; 0: none"),
    "needs_attention": (("code",), "Open questions to a person, by code"),
    "dead_letters": (("kind",), "What gave up and waits for a person, by kind"),
    "alarms_open": (("kind",), "Open alarms, by kind: what a person should hear of at once"),
    "letters": (("state",), "Letters to buyers, by how far they came"),
    "letters_delivered_ratio": (
        ("tenant", "of"),
        "Share of a shop's letters of the last 30 days that arrived: of all promised, and without invalid addresses",
    ),
    "oldest_letter_seconds": ((), "Age of the oldest letter that was promised and no relay has yet; 0: none"),
    "events": (("state",), "Events for other tools, one for each receiver: waiting, held while it is off, given up"),
    "oldest_event_seconds": ((), "Age of the oldest event that waits for its receiver to take it; 0: none"),
    "event_receivers": (("state",), "Receivers of events: fine, failing since some time, off"),
    "transfers": (
        ("tenant", "state"),
        "Orders that wait for a transfer, transfers whose order a person has to say, and those nothing says it of",
    ),
    "last_bank_look_seconds": (
        ("tenant",),
        "Since the last look at the bank accounts of a shop where an order waits for a transfer",
    ),
    "rate_limit_utilization": (("service",), "Used share of the other side's budget, 0 to 1, of the busiest tenant"),
    "usage_near_cap": ((), "Shops whose usage of the app comes close to the cap the merchant agreed to"),
    "circuits": (("service", "state"), "Circuit breakers of shops and sevdesk tokens: closed, open, half_open"),
    "active_connections": (("pool", "state"), "Open connections by pool: to each service, and to each store"),
    "dispatcher_heartbeat_seconds": ((), "Since the dispatcher of this process last looked for work to the end"),
    "last_successful_poll_seconds": ((), "Since the last successful poll, of the tenant for whom that is longest ago"),
    "adapter_failing_seconds": (
        ("service",),
        "For how long a service has answered none of our calls; 0: it answers",
    ),
    "executors": (("state",), "Processes that share this database: alive, and silent ones whose work nobody took over"),
    "ready": (("part",), "1 while a part of /readyz is fine, 0 while it stalls"),
    "gauges_unreadable": ((), "How many of the sources of these gauges could not be read at this moment"),
}
"""The metrics read at the moment of asking: name -> (labels, meaning)."""

Readings = Mapping[str, Iterable[tuple[tuple[str, ...], float]]]
"""What is read: for each gauge, values by its labels, in the order of `GAUGES`."""


class Metrics:
    """All metrics of one process; the attributes are named like the metrics. Durations are in seconds."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.read_gauges: Callable[[], Readings] = dict
        registry.register(_Gauges(self))

        def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        # Outgoing calls, told by `calls.Calls` alone. `operation`: a verb or document name, not an address.
        named = ("service", "operation")
        self.api_calls_total = counter("api_calls_total", "Outgoing calls begun", named)
        self.api_errors_total = counter("api_errors_total", "Outgoing calls that failed, by why", (*named, "code"))
        self.api_call_duration = histogram(
            "api_call_duration",
            "Duration of outgoing calls in seconds; status: success or error",
            _CALL_BUCKETS,
            (*named, "status"),
        )

        # Incoming webhooks.
        self.webhooks_total = counter("webhooks_total", "Requests to the ingest, by what became of them", ("result",))
        self.webhook_version_mismatch_total = counter(
            "webhook_version_mismatch_total", "Webhooks serialised for another API version than ours"
        )
        self.webhook_flagged_total = counter(
            "webhook_flagged_total", "Webhooks that were kept although something about them is odd, by what", ("flag",)
        )
        self.webhook_subscriptions_mended_total = counter(
            "webhook_subscriptions_mended_total", "Subscriptions that were not as wanted and were made so"
        )
        self.webhook_cross_tenant_replay_total = counter(
            "webhook_cross_tenant_replay_total",
            "Genuine bodies seen again under the domain of another tenant: somebody replays a leaked delivery",
        )
        self.webhook_delay_seconds = histogram(
            "webhook_delay_seconds", "From the event in the shop to its webhook being received", _SETTLE_BUCKETS
        )

        # What mail providers tell of letters.
        self.mail_feedback_total = counter(
            "mail_feedback_total", "Requests of mail providers, by what became of them", ("provider", "result")
        )
        self.mail_feedback_events_total = counter(
            "mail_feedback_events_total", "What they told of letters, by what it changed", ("provider", "result")
        )

        # Work.
        self.settle_latency_seconds = histogram(
            "settle_latency_seconds",
            "From the first wish for a look at an order to its being settled",
            _SETTLE_BUCKETS,
        )
        self.settles_total = counter("settles_total", "Ended runs, by code", ("code",))
        self.executors_taken_over_total = counter(
            "executors_taken_over_total", "Dead processes whose work this one took over"
        )
        self.runs_taken_over_total = counter("runs_taken_over_total", "Runs of dead processes that became due again")
        for result in INGEST_RESULTS:
            self.webhooks_total.labels(result)  # zero is a figure too, and an alert on absence is none

    def took_over(self, runs: int) -> None:
        """What a dead process held was taken over, so many runs among it."""
        self.executors_taken_over_total.inc()
        self.runs_taken_over_total.inc(runs)

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self.registry)


class _Gauges(Collector):
    """Asks when it is asked."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[GaugeMetricFamily]:
        # Registering must not ask anybody yet.
        return [GaugeMetricFamily(name, text, labels=labels) for name, (labels, text) in GAUGES.items()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        readings = self._metrics.read_gauges()
        for name, (labels, text) in GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=labels)
            for values, value in readings.get(name, ()):
                family.add_metric(values, value)
            yield family
