"""The Shopify simulator: one synchronous core that answers the Admin API, issues tokens and lives orders'
lives.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, TypeGuard, cast

from graphql import ExecutionResult, GraphQLError, GraphQLObjectType, GraphQLSchema, OperationType, execute
from graphql.execution import Executor
from graphql.execution.collect_fields import CollectedFields, FieldDetails

from ladenbuch.simulators.http import SimRequest, SimResponse, json_response
from ladenbuch.simulators.shopify import billing, cost
from ladenbuch.simulators.shopify.bulk import FILES, BulkOperations, Trouble, bulk_resolvers
from ladenbuch.simulators.shopify.control import handle_control
from ladenbuch.simulators.shopify.mutations import mutation_resolvers
from ladenbuch.simulators.shopify.oauth import Grants
from ladenbuch.simulators.shopify.partner import HOST as PARTNERS
from ladenbuch.simulators.shopify.partner import Partners
from ladenbuch.simulators.shopify.payloads import payloads
from ladenbuch.simulators.shopify.payments import Payments
from ladenbuch.simulators.shopify.payments_api import payments_resolvers
from ladenbuch.simulators.shopify.queries import GUARDED, Call, guarded, query_resolvers, updated
from ladenbuch.simulators.shopify.schema import Compiled, attach, compile_document, load_schema
from ladenbuch.simulators.shopify.webhooks import DEFAULT_TOPICS, Delivery, Webhooks
from ladenbuch.simulators.shopify.world import (
    Shop,
    ShopState,
    Snapshot,
    Step,
    new_state,
    read_lives,
    to_instant,
)
from ladenbuch.simulators.weather import Weather

VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")


@lru_cache(maxsize=1)
def executable_schema() -> GraphQLSchema:
    """The subset schema with its resolvers and scope guards; built once per process."""
    schema = load_schema()
    special = {**query_resolvers(), **mutation_resolvers(), **bulk_resolvers(), **payments_resolvers()}
    attach(schema, special)
    for (kind, name), scope in GUARDED.items():
        named = schema.type_map.get(kind)
        definition = getattr(named, "fields", {}).get(name)
        if definition is not None and definition.resolve is not None:
            definition.resolve = guarded(name, scope, definition.resolve)
    return schema


#: No resolver is asynchronous. An empty tuple says no faster than a function of ours, and is asked for every value.
_never = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", ().__contains__)


class _Executor(Executor[Any]):
    """The library's, which works out what is selected below a field anew for every order it is asked about."""

    def collect_subfields(
        self, return_type: GraphQLObjectType, field_details_list: list[FieldDetails]
    ) -> CollectedFields:
        """What is selected, remembered with the document unless a directive makes it depend on variables."""
        known: dict[Any, CollectedFields] | None = self.context_value.selections
        if known is None:
            return super().collect_subfields(return_type, field_details_list)
        key = (return_type.name, *[id(details.node) for details in field_details_list])
        found = known.get(key)
        if found is None:
            found = known[key] = super().collect_subfields(return_type, field_details_list)
        return found


#: How many answers about unchanged orders are kept.
_ANSWERS = 2000


class ShopifySimulator:
    """Shops, their orders and the app installed in them.

    `clock` gives aware UTC. `webhooks` maps topics to addresses (app-specific subscriptions). `weather` acts
    on webhook deliveries only; faults of requests belong to the front in `simulators.http`. `retry_scale`
    shrinks the webhook retry schedule. All methods may be called from any thread.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        client_secret: str,
        shops: Sequence[Shop],
        weather: Weather | None = None,
        seed: int = 0,
        webhooks: Mapping[str, str | Sequence[str]] | None = None,
        versions: Sequence[str] = VERSIONS,
        retry_scale: float = 1.0,
        partners: Partners | None = None,
    ) -> None:
        self._clock = clock
        self.partners = partners or Partners("1", "prtapi_simulated")
        self._lock = threading.RLock()
        self._versions = tuple(sorted(versions))
        self._grants = Grants(client_secret, seed)
        self._states: dict[str, ShopState] = {}
        for number, shop in enumerate(shops, start=1):
            self._states[shop.domain] = new_state(replace(shop, shop_id=shop.shop_id or 7_000_000 + number), clock())
        self._webhooks = Webhooks(
            lambda domain: self._grants.secret(self._states[domain].shop),
            api_version=self._versions[-1],
            weather=weather,
            retry_scale=retry_scale,
            seed=seed,
        )
        self._webhooks.configure(webhooks or {})
        self._bulk = BulkOperations(executable_schema, self._tell)
        self._pending: list[tuple[str, Step]] = []
        self._answers: dict[tuple[str, int, str], tuple[Any, ExecutionResult, Any]] = {}
        self._number = 8_000_000_000
        self.on_play: Callable[[float], None] | None = None  # set by the served front
        self._stats = {
            "requests": 0,
            "graphql": 0,
            "throttled": 0,
            "max_requested_cost": 0,
            "points": 0,
            "grants": 0,
        }

    # -- the wire

    def handle(self, request: SimRequest) -> SimResponse:
        """Answer one request; never blocks and never raises for bad input."""
        with self._lock:
            if request.path.startswith("/_control/"):
                return handle_control(self, request)
            self._stats["requests"] += 1
            parts = request.path.strip("/").split("/")
            if parts[0].lower() == PARTNERS:
                return self.partners.handle(request, parts[1:], self._clock())
            if FILES in parts[:2]:
                return self._bulk.serve(request, self._clock())
            state = self._states.get(parts[0].lower())
            if state is None:
                return json_response({"errors": "Not Found"}, 404)
            refused = self._out_of_order(state)
            if refused is not None:
                return refused
            return self._route(state, request, parts[1:])

    def _route(self, state: ShopState, request: SimRequest, path: Sequence[str]) -> SimResponse:
        now = self._clock()
        if list(path) == ["admin", "oauth", "authorize"] and request.method == "GET":
            return self._grants.authorize(state, request, now)
        if list(path) == ["admin", "oauth", "access_token"] and request.method == "POST":
            self._stats["grants"] += 1
            return self._grants.access_token(state, request, now)
        if len(path) == 4 and path[:2] == ["admin", "api"] and path[3] == "graphql.json":
            if request.method != "POST":
                return json_response({"errors": "Not Found"}, 404)
            return self._graphql(state, request, self._served_version(path[2]), now)
        return json_response({"errors": "Not Found"}, 404)

    def _out_of_order(self, state: ShopState) -> SimResponse | None:
        if state.status is not None:
            sentence = {402: "Unavailable Shop", 403: "Forbidden", 404: "Not Found", 423: "Locked"}
            return json_response({"errors": sentence.get(state.status, "Unavailable")}, state.status)
        if state.throttle_next:
            status, wait = state.throttle_next.pop(0)
            headers = {"retry-after": f"{wait:.1f}"} if status == 429 else {}
            return json_response({"errors": "Exceeded the request limit"}, status, headers)
        return None

    def _served_version(self, asked: str) -> str:
        """An inaccessible version falls forward to the oldest accessible one, silently (facts 1.1)."""
        return asked if asked in (*self._versions, "unstable") else self._versions[0]

    # -- GraphQL

    def _graphql(self, state: ShopState, request: SimRequest, version: str, now: datetime) -> SimResponse:
        headers = {"x-shopify-api-version": version, "date": format_datetime(now.astimezone(UTC), usegmt=True)}
        self._stats["graphql"] += 1
        if self._grants.owner(request.headers.get("x-shopify-access-token", ""), now) != state.shop.domain:
            sentence = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return json_response({"errors": sentence}, 401, headers)
        asked = _read_body(request.body)
        if asked is None:
            return json_response({"errors": {"query": "Required parameter missing or invalid"}}, 400, headers)
        text, variables, operation = asked
        compiled = compile_document(text, operation)
        if not isinstance(compiled, Compiled):
            return json_response({"errors": [error.formatted for error in compiled]}, 200, headers)
        if compiled.deprecated:
            headers["x-shopify-api-deprecated-reason"] = ", ".join(compiled.deprecated)
        debug = request.headers.get("shopify-graphql-cost-debug") == "1"
        call = self._call(state, compiled, version, request.headers.get("host", "shopify.test"))
        return json_response(self._pay_and_execute(call, compiled, variables, debug), 200, headers)

    def _call(self, state: ShopState, compiled: Compiled | None, version: str, host: str) -> Call:
        return Call(
            state,
            self._clock(),
            self._versions,
            self._webhooks,
            self._new_number,
            self._emit,
            self._bulk,
            version,
            f"http://{host}",
            compiled.selections if compiled is not None else None,
        )

    def _pay_and_execute(
        self, call: Call, compiled: Compiled, variables: dict[str, Any], debug: bool
    ) -> dict[str, Any]:
        state, now = call.state, call.now
        sizes = {**compiled.defaults, **variables}
        requested = compiled.quote.requested(sizes)
        self._stats["max_requested_cost"] = max(self._stats["max_requested_cost"], requested)
        bill: dict[str, Any] = {"requestedQueryCost": requested, "actualQueryCost": None}
        if debug:
            bill["fields"] = compiled.quote.debug(sizes)
        if requested > cost.MAX_QUERY_COST:
            return _too_dear(requested)
        if not state.bucket.take(requested, now):
            self._stats["throttled"] += 1
            bill["throttleStatus"] = state.bucket.status()
            return _throttled(bill)
        result = self._execute(call, compiled, variables)
        spent = compiled.quote.actual(result.data, sizes)
        state.bucket.give_back(requested - spent)
        self._stats["points"] += spent
        bill["actualQueryCost"] = spent
        bill["throttleStatus"] = state.bucket.status()
        return _answer(result, bill, call.warnings)

    def _execute(self, call: Call, compiled: Compiled, variables: dict[str, Any]) -> ExecutionResult:
        """Run a document. A query about one order that has not changed since it was last asked is not run again."""
        state, order = call.state, call.state.orders.get(str(variables.get("id")))
        query = compiled.operation.operation is OperationType.QUERY
        key = (state.shop.domain, id(compiled), json.dumps(variables, sort_keys=True))
        seen = (id(order), frozenset(state.scopes), call.now.date())
        if query and order is not None:
            known = self._answers.get(key)
            if known is not None and known[0] == seen:
                return known[1]
        result = execute(
            executable_schema(),
            compiled.document,
            context_value=call,
            variable_values=variables,
            operation_name=compiled.operation.name.value if compiled.operation.name else None,
            is_awaitable=_never,
            executor_class=_Executor,
        )
        if not isinstance(result, ExecutionResult):
            raise TypeError("the schema has no asynchronous resolver")
        if query and order is not None:
            while len(self._answers) >= _ANSWERS:
                self._answers.pop(next(iter(self._answers)))
            self._answers[key] = (seen, result, (order, compiled))  # kept, so that their id() stays their own
        return result

    def _new_number(self) -> int:
        self._number += 1
        return self._number

    # -- lives

    def load(self, lives: Iterable[Any]) -> int:
        """Take lives (objects or their JSON); nothing happens yet. Returns the number of events; ValueError
        if malformed.
        """
        with self._lock:
            found = read_lives(lives)
            for domain, label, steps in found:
                if domain not in self._states:
                    raise ValueError(f"life of an unknown shop: {domain}")
                if steps:
                    self._states[domain].labels[steps[0].order_id] = label
                self._pending += [(domain, step) for step in steps]
            self._pending.sort(key=lambda pair: (pair[1].at, pair[1].order_id, pair[1].index))
            return sum(len(steps) for _domain, _label, steps in found)

    def advance(self, until: datetime, *, stamp: bool = False) -> int:
        """Let everything up to `until` happen, in order of time over all shops; returns the number of events.

        `stamp` sets `updatedAt` to the simulator's clock instead of what the life says: needed when old lives
        are played now, because a client that polls by `updated_at` would never find an order changed in its
        past.
        """
        with self._lock:
            happened = 0
            while happened < len(self._pending) and self._pending[happened][1].at <= until:
                happened += 1
            for domain, step in self._pending[:happened]:
                self._happen(domain, step, stamp)
            del self._pending[:happened]
            return happened

    def step(self, *, stamp: bool = False) -> bool:
        """Let the next event happen whatever its time; False when none is left."""
        with self._lock:
            if not self._pending:
                return False
            domain, step = self._pending.pop(0)
            self._happen(domain, step, stamp)
            return True

    def pending(self) -> int:
        """Events that have not happened yet."""
        return len(self._pending)

    def next_event_at(self) -> datetime | None:
        """The instant of the next event, None when none is left."""
        return self._pending[0][1].at if self._pending else None

    def last_event_at(self) -> datetime | None:
        """The instant of the last loaded event, None when none is left."""
        return self._pending[-1][1].at if self._pending else None

    def _happen(self, domain: str, step: Step, stamp: bool) -> None:
        state, now = self._states[domain], self._clock()
        before = state.orders.get(step.order_id)
        after = state.put(updated(step.snapshot, now) if stamp else step.snapshot)
        if "orders/delete" in step.topics:
            state.deleted.add(step.order_id)
        state.payments.saw(before, after, now if stamp else min(step.at, now))
        state.fired_at.setdefault(step.order_id, {}).setdefault(step.index, now)
        self._emit(state, step.topics, before, after)

    def _emit(self, state: ShopState, topics: Sequence[str], before: Snapshot | None, after: Snapshot) -> None:
        now, event_id = self._clock(), self._webhooks.new_id()
        for topic in topics:
            for payload in payloads(topic, before, after):
                self._webhooks.emit(state.shop.domain, topic, payload, now, event_id)

    def touch(self, order_id: str) -> None:
        """Change nothing but `updatedAt` and send orders/updated; raises KeyError for an unknown order."""
        with self._lock:
            state = next((s for s in self._states.values() if order_id in s.orders), None)
            if state is None:
                raise KeyError(order_id)
            before, now = state.orders[order_id], self._clock()
            after = state.change(order_id, lambda order: updated(order, max(now, to_instant(order["updatedAt"]))))
            self._emit(state, ["orders/updated"], before, after)

    # -- exports

    def bulk_trouble(self, shop: str, **trouble: Any) -> None:
        """What the shop's next export meets; see `bulk.Trouble`. Raises KeyError, TypeError."""
        with self._lock:
            self._bulk.trouble(self._states[shop].shop.domain, Trouble(**trouble))

    def bulk_nodes_only(self, on: bool = True) -> None:
        """Whether the parent of a nested connection must be a `Node`, as for some weeks of 2026."""
        with self._lock:
            self._bulk.nodes_only = on

    def bulk_operations(self, shop: str | None = None) -> list[dict[str, Any]]:
        """The exports of a shop, or of all, oldest first."""
        with self._lock:
            shops = [shop] if shop is not None else list(self._states)
            return [one.as_node(self._clock()) for name in shops for one in self._bulk.of(name)]

    def work(self) -> None:
        """Let exports go on without anybody looking."""
        with self._lock:
            for state in self._states.values():
                if any(one.rest for one in self._bulk.of(state.shop.domain)):
                    self._bulk.look(self._call(state, None, self._versions[-1], "shopify.test"))

    def _tell(self, shop: str, topic: str, payload: Mapping[str, Any]) -> int:
        return self._webhooks.emit(shop, topic, payload, self._clock(), self._webhooks.new_id())

    # -- webhooks

    def set_webhooks(self, uri: str, topics: Sequence[str] = DEFAULT_TOPICS) -> None:
        """Replace the app-specific subscriptions: all `topics` to one address."""
        with self._lock:
            self._webhooks.configure(dict.fromkeys(topics, uri))

    def set_subscriptions(self, subscriptions: Mapping[str, str | Sequence[str]]) -> None:
        """Replace the app-specific subscriptions: topic -> address or addresses."""
        with self._lock:
            self._webhooks.configure(subscriptions)

    def uninstall(self, shop: str) -> int:
        """The merchant removes the app: every token is void at once, and app/uninstalled goes out."""
        with self._lock:
            state = self._states[shop]
            state.installed = False
            self._grants.revoke(shop)
            told = {"id": state.shop.shop_id, "name": state.shop.name, "domain": shop, "myshopify_domain": shop}
            copies = self._webhooks.emit(shop, "app/uninstalled", told, self._clock(), self._webhooks.new_id())
            self._webhooks.forget(shop)
            return copies

    def install(self, shop: str) -> None:
        """The app is in the shop again, as after a managed installation."""
        with self._lock:
            self._states[shop].installed = True

    def deploy(self, text: str) -> int:
        """Replace the app-specific subscriptions by those of a ``shopify.app.toml``; returns their number.

        Raises ValueError for a file Shopify's command line would refuse.
        """
        with self._lock:
            return self._webhooks.deploy(text)

    def delete_subscriptions(self, shop: str) -> int:
        """Forget every subscription made by the API in this shop, as if each had failed too often."""
        with self._lock:
            made = self._webhooks.api_made(shop)
            return sum(self._webhooks.delete(shop, item["id"]) for item in made)

    def subscriptions(self, shop: str) -> list[dict[str, Any]]:
        """Those made by the API in this shop."""
        with self._lock:
            return [dict(item) for item in self._webhooks.api_made(shop)]

    def send(self, shop: str, topic: str, payload: Mapping[str, Any]) -> int:
        """Deliver any topic with a payload of one's own (app/uninstalled, compliance topics); returns the
        copies.
        """
        with self._lock:
            if topic == "app/uninstalled":
                self._grants.revoke(shop)
            return self._webhooks.emit(shop, topic, payload, self._clock(), self._webhooks.new_id())

    def due_deliveries(self, now: datetime) -> list[Delivery]:
        """Deliveries to post now; each must be reported before it can come again."""
        with self._lock:
            return self._webhooks.due(now)

    def next_delivery_at(self) -> datetime | None:
        """When the next delivery is due; None when none waits."""
        with self._lock:
            return self._webhooks.next_due()

    def report(self, delivery_id: str, status_code: int | None, now: datetime) -> None:
        """What came of a delivery; None means no answer within five seconds. Raises KeyError when unknown."""
        with self._lock:
            self._webhooks.report(delivery_id, status_code, now)

    def deliveries(self) -> list[dict[str, Any]]:
        """The log of all deliveries: topic, order, headers' ids, state, attempts."""
        with self._lock:
            return [_delivery_row(d) for d in self._webhooks.log]

    # -- Shopify Payments

    def payments(self, shop: str) -> Payments:
        """The shop's account as it is now: terms, entries, payouts, and the fates of payouts to come."""
        with self._lock:
            payments = self._states[shop].payments
            payments.advance(self._clock())
            return payments

    def adjust(self, shop: str, cents: int, **more: Any) -> None:
        """Shopify books something of its own on the shop's balance; see `Payments.adjust`."""
        with self._lock:
            self._states[shop].payments.adjust(self._clock(), cents, **more)

    # -- control

    def set_plan(self, shop: str, plan: str) -> None:
        """Change the plan and its bucket at run time; KeyError for an unknown shop or plan."""
        with self._lock:
            state = self._states[shop]
            size, rate = cost.PLANS[plan]
            state.shop = replace(state.shop, plan=plan)
            state.bucket = cost.Bucket(size, rate, float(size), self._clock())

    def set_status(self, shop: str, status: int | None) -> None:
        """Answer every call to this shop with `status` (402, 403, 404, 423); None ends it."""
        with self._lock:
            self._states[shop].status = status

    def sell(self, shop: str, app: str, plan: str | None, **more: Any) -> None:
        """Shopify sells the shop a plan (managed pricing), or with None ends it; app_subscriptions/update says so."""
        with self._lock:
            state, now = self._states[shop], self._clock()
            gid = f"gid://shopify/Shop/{state.shop.shop_id}"
            if plan is None:
                self.partners.subscriptions.pop((app, gid), None)
            else:
                self.partners.sell(app, gid, shop, plan, now, **more)
            told = {"id": f"{app}/{gid}", "name": plan or "", "createdAt": now.isoformat()}
            self._tell_of_charge(state, told, "CANCELLED" if plan is None else "ACTIVE", now)

    def agree(self, shop: str, charge: str) -> None:
        """The merchant agrees to a charge of the app; KeyError for an unknown one."""
        with self._lock:
            state, now = self._states[shop], self._clock()
            self._tell_of_charge(state, billing.agree(state, charge, now), "ACTIVE", now)

    def set_charge(self, shop: str, charge: str, status: str) -> None:
        """A charge gets another status (DECLINED, EXPIRED, FROZEN, CANCELLED, ACTIVE); KeyError for an unknown one."""
        with self._lock:
            state, now = self._states[shop], self._clock()
            self._tell_of_charge(state, billing.change(state, charge, status, now), status, now)

    def charges(self, shop: str) -> billing.Charges:
        """The charges of the app in a shop, as they are."""
        return self._states[shop].charges

    def _tell_of_charge(self, state: ShopState, charge: Mapping[str, Any], status: str, now: datetime) -> None:
        topic = "app_purchases_one_time" if "AppPurchaseOneTime/" in charge["id"] else "app_subscriptions"
        body = billing.told(state, charge, {"status": status})
        self._webhooks.emit(state.shop.domain, f"{topic}/update", body, now, self._webhooks.new_id())

    def set_lag(self, shop: str, seconds: float) -> None:
        """How long a change may be unknown to the search for orders; the order itself shows it at once."""
        with self._lock:
            self._states[shop].index_lag = seconds

    def set_scopes(self, shop: str, scopes: Sequence[str]) -> None:
        """Replace the granted scopes, as a merchant does in the admin; app/scopes_update says so."""
        with self._lock:
            state, now = self._states[shop], self._clock()
            told = {"id": state.shop.shop_id, "previous": sorted(state.scopes), "current": sorted(set(scopes))}
            state.scopes = set(scopes)
            payload = {**told, "updated_at": now.isoformat()}
            self._webhooks.emit(shop, "app/scopes_update", payload, now, self._webhooks.new_id())

    def ask_consent(self, shop: str, asks: bool = True) -> None:
        """Whether the shop shows a consent page, or agrees at once."""
        with self._lock:
            self._states[shop].shop = replace(self._states[shop].shop, asks=asks)

    def install_link(self, shop: str, app_url: str) -> str:
        """Where Shopify sends a merchant who installs or opens the app whose address is `app_url`; KeyError."""
        with self._lock:
            return self._grants.link(self._states[shop].shop, app_url, self._clock())

    def lose_grants(self, count: int = 0, share: float = 0.0) -> None:
        """Lose the answers of the next `count` token grants after they happened, then `share` (0..1) of all others."""
        with self._lock:
            self._grants.lose(count, share)

    def refuse_next(self, shop: str, count: int, *, status: int = 429, retry_after: float = 2.0) -> None:
        """Refuse the next `count` calls before anything happens; 429 carries a decimal Retry-After."""
        with self._lock:
            self._states[shop].throttle_next += [(status, retry_after)] * count

    def revoke_tokens(self, shop: str) -> None:
        """Every token of this shop becomes unknown (401)."""
        with self._lock:
            self._grants.revoke(shop)

    def session_token(self, shop: str, user: int = 42) -> str:
        """A session token of this shop's admin, alive for a minute; KeyError for an unknown shop."""
        with self._lock:
            return self._grants.session_token(self._states[shop].shop, user, self._clock())

    def drain_bucket(self, shop: str) -> None:
        """Empty the bucket, so that the next query is THROTTLED."""
        with self._lock:
            self._states[shop].bucket.take(0, self._clock())
            self._states[shop].bucket.level = 0.0

    @property
    def fired_at(self) -> dict[str, dict[int, datetime]]:
        """Order gid -> event index -> when the simulator's clock first let it happen."""
        with self._lock:
            return {gid: dict(times) for s in self._states.values() for gid, times in s.fired_at.items()}

    def truth(self) -> dict[str, Any]:
        """What really happened: per order the shop, the snapshot as it is now, the label, when events
        fired.
        """
        with self._lock:
            orders = []
            for domain, state in self._states.items():
                for gid, snapshot in state.orders.items():
                    orders.append(
                        {
                            "order_id": gid,
                            "name": snapshot.get("name"),
                            "shop": domain,
                            "deleted": gid in state.deleted,
                            "snapshot": snapshot,
                            "label": _plain(state.labels.get(gid)),
                            "fired_at": {str(i): t.isoformat() for i, t in state.fired_at.get(gid, {}).items()},
                        }
                    )
            return {"orders": orders, "pending_events": len(self._pending)}

    def stats(self) -> dict[str, Any]:
        """Counters since the start: requests, grants, GraphQL calls, throttled ones, dearest query, points
        spent.
        """
        with self._lock:
            deliveries = [d.state for d in self._webhooks.log]
            return {
                **self._stats,
                "deliveries": {state: deliveries.count(state) for state in sorted(set(deliveries))},
                "pending_events": len(self._pending),
                "bulk_leaks": self._bulk.leaks,
            }


def _read_body(body: bytes) -> tuple[str, dict[str, Any], str | None] | None:
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
        return None
    variables = asked.get("variables") or {}
    return (asked["query"], variables, asked.get("operationName")) if isinstance(variables, dict) else None


def _too_dear(requested: int) -> dict[str, Any]:
    sentence = f"Query cost is {requested}, which exceeds the single query max cost limit ({cost.MAX_QUERY_COST})."
    detail = {
        "code": "MAX_COST_EXCEEDED",
        "cost": requested,
        "maxCost": cost.MAX_QUERY_COST,
        "documentation": "https://shopify.dev/api/usage/rate-limits",
    }
    return {"errors": [{"message": sentence, "extensions": detail}]}


def _throttled(bill: Mapping[str, Any]) -> dict[str, Any]:
    """Facts 5.3: HTTP 200, data null, the cost at the top level."""
    detail = {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"}
    return {
        "data": None,
        "errors": [{"message": "Throttled", "extensions": detail}],
        "extensions": {"cost": dict(bill)},
    }


def _answer(result: ExecutionResult, bill: Mapping[str, Any], warnings: list[dict[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = [_formatted(error) for error in result.errors]
    answer["extensions"] = {"cost": dict(bill)}
    if warnings:
        answer["extensions"]["search"] = [{"path": ["orders"], "warnings": warnings}]
    return answer


def _formatted(error: GraphQLError) -> dict[str, Any]:
    formatted: dict[str, Any] = dict(error.formatted)
    if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
        formatted["extensions"] = {"code": "INTERNAL_SERVER_ERROR"}
    return formatted


def _delivery_row(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "webhook_id": delivery.headers["X-Shopify-Webhook-Id"],
        "event_id": delivery.headers["X-Shopify-Event-Id"],
        "triggered_at": delivery.headers["X-Shopify-Triggered-At"],
        "shop": delivery.shop,
        "topic": delivery.topic,
        "uri": delivery.uri,
        "state": delivery.state,
        "attempt": delivery.attempt,
        "due_at": delivery.due_at.isoformat(),
        "log": list(delivery.log),
    }


def _plain(label: Any) -> Any:
    """A label as JSON: what was loaded as JSON already, or a value that knows its JSON."""
    return label if label is None or isinstance(label, dict | str) else label.to_json()
