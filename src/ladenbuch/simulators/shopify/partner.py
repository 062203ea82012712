"""The Partner API of the organisation that owns the app: the subscriptions Shopify itself sells (facts 2.13).

    POST /partners.shopify.com/{organisation}/api/{version}/graphql.json

A static token, four requests a second, and nothing but `activeSubscription`. It takes `gid://shopify/…` ids.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

from graphql import GraphQLError, GraphQLSchema, build_schema, execute, parse, validate

from ladenbuch.simulators.http import SimRequest, SimResponse, json_response
from ladenbuch.simulators.shopify.schema import Info, attach
from ladenbuch.simulators.shopify.world import to_text

HOST = "partners.shopify.com"
RATE = 4
_VERSIONS = ("2026-07",)


@lru_cache(maxsize=1)
def load_partner_schema() -> GraphQLSchema:
    """The subset of the published Partner schema, with its resolvers."""
    text = files("ladenbuch.simulators.shopify").joinpath("partner.graphql").read_text(encoding="utf-8")
    schema = build_schema(text, assume_valid=True)
    attach(schema, {("QueryRoot", "activeSubscription"): _active})
    return schema


def _active(_: Any, info: Info, appId: str, shopId: str) -> dict[str, Any] | None:
    api: Partners = info.context
    for gid, kind in ((appId, "App"), (shopId, "Shop")):
        if not gid.startswith(f"gid://shopify/{kind}/"):
            raise GraphQLError(f"Invalid global id '{gid}'", extensions={"code": "BAD_USER_INPUT"})
    return api.subscriptions.get((appId, shopId))


class Partners:
    """One organisation. `subscriptions` by (app, shop); `down` answers every call with that status while it is set."""

    def __init__(self, organisation: str, token: str) -> None:
        self.organisation = organisation
        self.token = token
        self.subscriptions: dict[tuple[str, str], dict[str, Any]] = {}
        self.down: int | None = None
        self.asked: list[datetime] = []
        self.throttled = 0

    def whole(self, item: Any) -> Any:
        """What resolvers ask of their context; nothing is a stub here."""
        return item

    def sell(self, app: str, shop: str, domain: str, plan: str, now: datetime, **more: Any) -> None:
        """The shop has this plan from `now` on; `more` are fields of `ActiveSubscription`."""
        self.subscriptions[app, shop] = {
            "billingPeriod": "EVERY_30_DAYS",
            "currentBillingCycle": {"startTime": to_text(now), "endTime": to_text(now)},
            "items": [
                {
                    "handle": plan,
                    "description": plan,
                    "price": {"__typename": "FlatRatePrice", "active": True, "currency": "EUR"},
                }
            ],
            "shop": {"id": shop, "myshopifyDomain": domain, "name": domain},
            "app": {"id": app, "apiKey": "ladenbuch", "name": "Ladenbuch"},
            **more,
        }

    def handle(self, request: SimRequest, path: list[str], now: datetime) -> SimResponse:
        """Answer a request whose path below the host is `path`."""
        known = len(path) == 4 and path[1] == "api" and path[3] == "graphql.json" and path[2] in _VERSIONS
        if not known or path[0] != self.organisation or request.method != "POST":
            return json_response({"errors": "Not Found"}, 404)
        if self.down is not None:
            return json_response({"errors": "Unavailable"}, self.down)
        if request.headers.get("x-shopify-access-token") != self.token:
            return json_response({"errors": "Unauthorized"}, 401)
        self.asked = [at for at in self.asked if (now - at).total_seconds() < 1.0]
        if len(self.asked) >= RATE:
            self.throttled += 1
            return json_response({"errors": [{"message": "Too many requests"}]}, 429, {"retry-after": "1.0"})
        self.asked.append(now)
        return self._answer(request)

    def _answer(self, request: SimRequest) -> SimResponse:
        try:
            asked = json.loads(request.body)
            document = parse(asked["query"])
        except (ValueError, KeyError, TypeError, GraphQLError):
            return json_response({"errors": [{"message": "Unreadable query"}]}, 400)
        schema = load_partner_schema()
        wrong = validate(schema, document)
        if wrong:
            return json_response({"errors": [error.formatted for error in wrong]})
        variables: Mapping[str, Any] = asked.get("variables") or {}
        result = execute(schema, document, context_value=self, variable_values=dict(variables))
        answer: dict[str, Any] = {"data": result.data}  # type: ignore[union-attr]
        if result.errors:  # type: ignore[union-attr]
            answer["errors"] = [error.formatted for error in result.errors]  # type: ignore[union-attr]
        return json_response(answer)
