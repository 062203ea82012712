"""The figures of this process for the person who runs it: what the page /running shows (S54).

Everything comes from one look at the metrics, so that the page and /metrics say the same. Quantiles are estimated from
the histograms' buckets, as Prometheus does; they are as fine as the buckets are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import Metric

from ladenbuch.telemetry import Metrics
from ladenbuch.web.health import Health, Report

QUANTILES = (0.5, 0.95, 0.99)
#: Services in the order of the page; one nobody called stays away, unless orders cannot do without it.
_SERVICES = ("shopify", "sevdesk", "mail", "vies", "partner", "other")
_ALWAYS = frozenset({"shopify", "sevdesk", "mail"})
#: Codes of failures a service is shown with; shops whose transfers are shown.
_CODES, _SHOPS = 3, 20


@dataclass(frozen=True)
class Quantiles:
    """Seconds below which half, 95 and 99 % of `count` lie. `over`: the last bound, where a quantile is beyond it."""

    count: int
    values: tuple[float, ...] = ()
    over: float = 0.0


@dataclass(frozen=True)
class Neighbour:
    """The calls to one service since this process began. `used` is the share of its budget, None where it has none."""

    name: str
    calls: int
    errors: int
    codes: tuple[tuple[str, int], ...]
    took: Quantiles
    used: float | None
    busy: int
    idle: int


@dataclass(frozen=True)
class Transfers:
    """How the transfers of one shop stand; `looked`: seconds since its bank accounts were looked at, None: nobody
    waits, or nobody did."""

    tenant: str
    awaited: int
    unclear: int
    nobodys: int
    looked: float | None


@dataclass(frozen=True)
class Operations:
    """The whole page. Ages are seconds, None where nothing was read; `asked` and `dead` count what waits for people.

    `events` are those not delivered by state, `receivers` who hears them by how they are; both empty where nobody hears
    of any.
    """

    report: Report
    services: tuple[Neighbour, ...]
    settled: Quantiles
    delay: Quantiles
    webhooks: Mapping[str, int]
    heartbeat: float | None
    polled: float | None
    asked: int
    dead: int
    stores: Mapping[str, tuple[int, int]]
    events: Mapping[str, int] = field(default_factory=dict)
    oldest_event: float | None = None
    receivers: Mapping[str, int] = field(default_factory=dict)
    transfers: tuple[Transfers, ...] = ()


def operations(metrics: Metrics, health: Health) -> Callable[[], Operations]:
    """What gives the page its figures."""

    def look() -> Operations:
        return _operations(list(metrics.registry.collect()), health.look())

    return look


def _operations(families: Sequence[Metric], report: Report) -> Operations:
    named = {family.name: family for family in families}
    web = report.role != "worker"
    own = report.role != "web"
    stores = ("inbox", "books")
    receivers = {state: int(value) for (state,), value in _values(named["event_receivers"], "state")}
    heard = any(receivers.values())
    return Operations(
        report=report,
        services=tuple(_services(named)),
        settled=_quantiles(_buckets(named["settle_latency_seconds"])),
        delay=_quantiles(_buckets(named["webhook_delay_seconds"])),
        webhooks={labels[0]: int(value) for labels, value in _values(named["webhooks"], "result") if value and web},
        heartbeat=_one(named["dispatcher_heartbeat_seconds"]) if own else None,
        polled=_one(named["last_successful_poll_seconds"]) if own else None,
        asked=int(sum(value for _, value in _values(named["needs_attention"], "code"))),
        dead=int(sum(value for _, value in _values(named["dead_letters"], "kind"))),
        stores={name: pair for name, pair in _connections(named).items() if name in stores},
        events={state: int(value) for (state,), value in _values(named["events"], "state")} if heard else {},
        oldest_event=_one(named["oldest_event_seconds"]) if heard else None,
        receivers=receivers if heard else {},
        transfers=tuple(_transfers(named)),
    )


def _transfers(named: Mapping[str, Metric]) -> Iterable[Transfers]:
    """Those with most for a person to say first."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for (tenant, state), value in _values(named["transfers"], "tenant", "state"):
        found[tenant][state] = int(value)
    looked = {tenant: value for (tenant,), value in _values(named["last_bank_look_seconds"], "tenant")}
    all_ = [
        Transfers(tenant, of.get("awaited", 0), of.get("unclear", 0), of.get("nobodys", 0), looked.get(tenant))
        for tenant, of in found.items()
    ]
    return sorted(all_, key=lambda one: (-one.unclear, -one.nobodys, -one.awaited, one.tenant))[:_SHOPS]


def _services(named: Mapping[str, Metric]) -> Iterable[Neighbour]:
    calls = _sums(named["api_calls"], "service")
    errors = _sums(named["api_errors"], "service")
    shares = {labels[0]: value for labels, value in _values(named["rate_limit_utilization"], "service")}
    open_ones = _connections(named)
    codes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (service, code), value in _values(named["api_errors"], "service", "code"):
        codes[service][code] += int(value)
    for name in _SERVICES:
        if not calls.get(name) and name not in _ALWAYS:
            continue
        often = sorted(codes[name].items(), key=lambda item: (-item[1], item[0]))[:_CODES]
        busy, idle = open_ones.get(name, (0, 0))
        took = _quantiles(_buckets(named["api_call_duration"], service=name))
        yield Neighbour(
            *(name, int(calls.get(name, 0)), int(errors.get(name, 0)), tuple(often)),
            *(took, shares.get(name), busy, idle),
        )


def _connections(named: Mapping[str, Metric]) -> dict[str, tuple[int, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for (pool, state), value in _values(named["active_connections"], "pool", "state"):
        found[pool][state] = int(value)
    return {pool: (states.get("busy", 0), states.get("idle", 0)) for pool, states in found.items()}


def _values(family: Metric, *labels: str) -> Iterable[tuple[tuple[str, ...], float]]:
    """The plain values of a gauge or counter by the labels named."""
    for sample in family.samples:
        if not sample.name.endswith(("_created", "_bucket", "_sum", "_count")):
            yield tuple(sample.labels[label] for label in labels), sample.value


def _sums(family: Metric, label: str) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for (name,), value in _values(family, label):
        found[name] += value
    return found


def _one(family: Metric) -> float | None:
    return next((value for _, value in _values(family)), None)


def _buckets(family: Metric, **where: str) -> dict[float, float]:
    """Upper bound -> how many lie below it, over all series that fit."""
    found: dict[float, float] = defaultdict(float)
    for sample in family.samples:
        fits = all(sample.labels.get(label) == value for label, value in where.items())
        if sample.name.endswith("_bucket") and fits:
            found[float(sample.labels["le"])] += sample.value
    return found


def _quantiles(buckets: Mapping[float, float]) -> Quantiles:
    count = int(buckets.get(math.inf, 0))
    if not count:
        return Quantiles(0)
    finite = [bound for bound in buckets if bound != math.inf]
    return Quantiles(count, tuple(quantile(buckets, share) for share in QUANTILES), max(finite, default=0.0))


def quantile(buckets: Mapping[float, float], share: float) -> float:
    """The value below which `share` (0 to 1) of all lie, on a straight line within its bucket; infinity beyond the last
    finite bound. `buckets` are cumulative and not empty."""
    wanted = share * buckets[math.inf]
    below, lower = 0.0, 0.0
    for bound in sorted(buckets):
        if buckets[bound] >= wanted:
            if bound == math.inf:
                return math.inf
            inside = buckets[bound] - below
            return lower + (bound - lower) * ((wanted - below) / inside if inside else 1.0)
        below, lower = buckets[bound], bound
    return math.inf
