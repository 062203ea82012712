"""The control API under ``/_control``: the strings by which a demo, a test or a person moves the shops.

| verb            | body or answer |
|---|---|
| GET truth       | final snapshots so far, labels, ``fired_at`` |
| GET deliveries  | the webhook log |
| GET stats       | requests, throttled, max_requested_cost, points, deliveries by state |
| GET exports     | the bulk operations of all shops |
| POST payments   | ``{"shop", "terms"?, "fates"?: ["failed", …], "active"?}``: balance and payouts as they are |
| POST adjust     | ``{"shop", "cents", "type"?, "fee"?, "reason"?}``: Shopify books something of its own |
| POST lives      | ``[life, …]`` or ``{"lives": […]}`` |
| POST advance    | ``{"until": instant, "stamp": false}`` |
| POST play       | ``{"seconds": 20}``, served mode only: all loaded events spread over so many seconds |
| POST plan       | ``{"shop", "plan"}`` |
| POST touch      | ``{"order_id"}`` |
| POST webhooks   | ``{"uri", "topics"?}``, ``{"subscriptions": {topic: uri}}`` or ``{"toml": a shopify.app.toml}`` |
| POST unsubscribe | ``{"shop"}``: forget its subscriptions made by the API |
| POST send       | ``{"shop", "topic", "payload"}``: any topic, e.g. app/uninstalled |
| POST status     | ``{"shop", "status": 402, 403, 404, 423 or null}`` |
| POST lag        | ``{"shop", "seconds"}``: how long a change may be unknown to the search for orders |
| POST scopes     | ``{"shop", "scopes": […]}``, and app/scopes_update is sent |
| POST consent    | ``{"shop", "asks"?: true}``: show a consent page instead of agreeing at once |
| POST link       | ``{"shop", "app_url"}``: the signed link by which a merchant comes to the app |
| POST lose       | ``{"count"?: 0, "share"?: 0.0}``: answers of token grants lost after the grant happened |
| POST refuse     | ``{"shop", "count", "status"?: 429, "retry_after"?: 2.0}`` |
| POST drain      | ``{"shop"}``: empty the bucket |
| POST revoke     | ``{"shop"}``: forget all tokens |
| POST sell       | ``{"shop", "app": gid, "plan": name or null}``: managed pricing, told by the Partner API |
| POST charge     | ``{"shop", "charge": gid, "status"?}``: the merchant agrees, or another status |
| POST bulk       | ``{"shop", "slow"?, "fail_after"?, "error"?, "cut"?, "cuts"?, "lose"?}``: what befalls its next |
| POST bulk-nodes-only | ``{"on"?: true}``: refuse nested connections whose parent is no Node |
| POST session    | ``{"shop", "user"?: 42}``: a session token, as the admin gives to an embedded app |
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ladenbuch.simulators.http import SimRequest, SimResponse, json_response
from ladenbuch.simulators.shopify.webhooks import DEFAULT_TOPICS
from ladenbuch.simulators.shopify.world import to_instant

if TYPE_CHECKING:
    from ladenbuch.simulators.shopify.simulator import ShopifySimulator


def handle_control(simulator: ShopifySimulator, request: SimRequest) -> SimResponse:
    """Answer a control request; 400 with a sentence for anything that makes no sense, 404 for an unknown
    verb.
    """
    verb = request.path.removeprefix("/_control/").strip("/")
    try:
        body = json.loads(request.body) if request.body else {}
        action = (_GET if request.method == "GET" else _POST).get(verb)
        if action is None:
            return json_response({"error": f"no control verb {request.method} {verb}"}, 404)
        return json_response(action(simulator, body))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        return json_response({"error": f"{type(error).__name__}: {error}"}, 400)


def _webhooks(simulator: ShopifySimulator, body: dict[str, Any]) -> Any:
    if "toml" in body:
        return {"ok": True, "subscriptions": simulator.deploy(body["toml"])}
    if "subscriptions" in body:
        simulator.set_subscriptions(body["subscriptions"])
    else:
        simulator.set_webhooks(body["uri"], body.get("topics") or DEFAULT_TOPICS)
    return {"ok": True}


def _play(simulator: ShopifySimulator, body: dict[str, Any]) -> Any:
    if simulator.on_play is None:
        raise ValueError("play needs the served simulator; use advance")
    events = simulator.pending()
    simulator.on_play(float(body.get("seconds", 20)))
    return {"events": events}


def _done(fn: Callable[[], Any]) -> dict[str, Any]:
    fn()
    return {"ok": True}


def _charge(simulator: ShopifySimulator, body: dict[str, Any]) -> None:
    if "status" in body:
        simulator.set_charge(body["shop"], body["charge"], body["status"])
    else:
        simulator.agree(body["shop"], body["charge"])


def _payments(simulator: ShopifySimulator, body: dict[str, Any]) -> Any:
    payments = simulator.payments(body["shop"])
    payments.set_terms(**body.get("terms") or {})
    payments.fates += [str(fate) for fate in body.get("fates") or []]
    payments.active = bool(body.get("active", payments.active))
    return payments.truth()


_GET: dict[str, Callable[[ShopifySimulator, Any], Any]] = {
    "truth": lambda s, _: s.truth(),
    "deliveries": lambda s, _: {"deliveries": s.deliveries()},
    "stats": lambda s, _: s.stats(),
    "exports": lambda s, _: s.bulk_operations(),
}
_POST: dict[str, Callable[[ShopifySimulator, Any], Any]] = {
    "lives": lambda s, b: {"events": s.load(b if isinstance(b, list) else b["lives"])},
    "advance": lambda s, b: {"events": s.advance(to_instant(b["until"]), stamp=bool(b.get("stamp")))},
    "play": _play,
    "plan": lambda s, b: _done(lambda: s.set_plan(b["shop"], b["plan"])),
    "touch": lambda s, b: _done(lambda: s.touch(b["order_id"])),
    "webhooks": _webhooks,
    "unsubscribe": lambda s, b: {"deleted": s.delete_subscriptions(b["shop"])},
    "send": lambda s, b: {"deliveries": s.send(b["shop"], b["topic"], b.get("payload") or {})},
    "status": lambda s, b: _done(lambda: s.set_status(b["shop"], b.get("status"))),
    "lag": lambda s, b: _done(lambda: s.set_lag(b["shop"], float(b["seconds"]))),
    "scopes": lambda s, b: _done(lambda: s.set_scopes(b["shop"], b["scopes"])),
    "consent": lambda s, b: _done(lambda: s.ask_consent(b["shop"], bool(b.get("asks", True)))),
    "link": lambda s, b: {"url": s.install_link(b["shop"], b["app_url"])},
    "lose": lambda s, b: _done(lambda: s.lose_grants(int(b.get("count", 0)), float(b.get("share", 0.0)))),
    "payments": _payments,
    "adjust": lambda s, b: _done(lambda: s.adjust(b.pop("shop"), int(b.pop("cents")), **b)),
    "refuse": lambda s, b: _done(
        lambda: s.refuse_next(
            b["shop"],
            int(b["count"]),
            status=int(b.get("status", 429)),
            retry_after=float(b.get("retry_after", 2.0)),
        )
    ),
    "drain": lambda s, b: _done(lambda: s.drain_bucket(b["shop"])),
    "revoke": lambda s, b: _done(lambda: s.revoke_tokens(b["shop"])),
    "sell": lambda s, b: _done(lambda: s.sell(b["shop"], b["app"], b["plan"])),
    "charge": lambda s, b: _done(lambda: _charge(s, b)),
    "bulk": lambda s, b: _done(lambda: s.bulk_trouble(b.pop("shop"), **b)),
    "bulk-nodes-only": lambda s, b: _done(lambda: s.bulk_nodes_only(bool(b.get("on", True)))),
    "session": lambda s, b: {"session_token": s.session_token(b["shop"], int(b.get("user", 42)))},
}
