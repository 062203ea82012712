"""What is wrong with an app's configuration file, before it is deployed: everything at once, each with its place.

An error is what Shopify refuses, or what loses deliveries in silence; a notice is what may be meant. The rules:

    toml api-version type key topic old-topic uri compliance double name include-fields filter scope redirect
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal, NamedTuple

from ladenbuch.errors import Rejected
from ladenbuch.shopify import filters
from ladenbuch.shopify.oauth import missing_scopes
from ladenbuch.shopify.subscriptions import LOOPBACK, TOPICS, address_problem
from ladenbuch.shopify.topics import COMPLIANCE, SUBSCRIBABLE, of_enum
from ladenbuch.shopify.version import API_VERSION, overdue
from ladenbuch.shopify.webhooks import ALIASES, order_key


class Finding(NamedTuple):
    """One thing that is wrong: the rule, how bad, where in the file, and what to do, in a sentence."""

    rule: str
    severity: Literal["error", "notice"]
    place: str
    sentence: str


#: Keys of one subscription, with their type.
_KEYS = {
    "topics": list,
    "compliance_topics": list,
    "uri": str,
    "filter": str,
    "include_fields": list,
    "name": str,
    "metafields": list,
    "actions": list,
    "payload_query": str,
}
#: Keys people write, and what stands in their place.
_MEANT = {
    "topic": "topics = [...]",
    "address": "uri",
    "callback_url": "uri",
    "callbackUrl": "uri",
    "endpoint": "uri",
    "path": "uri",
    "url": "uri",
    "fields": "include_fields",
    "includeFields": "include_fields",
    "filters": "filter",
    "complianceTopics": "compliance_topics",
    "sub_topic": "filter (sub-topics ended with 2024-07)",
    "format": "nothing: a configuration file always means JSON",
    "metafield_namespaces": "metafields",
    "metafieldNamespaces": "metafields",
    "private_metafield_namespaces": "metafields",
    "api_version": "[webhooks] api_version, once for all",
}
#: Scopes that were never any; the first two come from tutorials (refunds and transactions belong to read_orders).
_NO_SCOPES = {
    "read_refunds": "read_orders",
    "write_refunds": "write_orders",
    "read_transactions": "read_orders",
    "write_transactions": "write_orders",
    "read_webhooks": "nothing: webhooks need the scope of their topic",
    "write_webhooks": "nothing: webhooks need the scope of their topic",
    "read_apps": "nothing",
    "write_apps": "nothing",
}
_SCOPE = re.compile(r"(?:(?:unauthenticated|customer)_)?(?:read|write)_[a-z0-9_]+", re.ASCII)
_FIELD = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,50}", re.ASCII)
#: Fields whose values stand in small letters in payloads and in capitals in GraphQL.
_SMALL = frozenset(("financial_status", "fulfillment_status", "status", "kind", "cancel_reason"))


def lint(text: str, today: date | None = None) -> list[Finding]:
    """Everything that is wrong with a `shopify.app.toml`. `today` decides whether its API version is still served."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [Finding("toml", "error", "file", f"is no TOML: {error}")]
    return list(_file(data, today or datetime.now(UTC).date()))


def _file(data: Mapping[str, Any], today: date) -> Iterator[Finding]:
    yield from _scopes(data)
    yield from _addresses(data)
    webhooks = data.get("webhooks")
    if not isinstance(webhooks, dict):
        yield Finding("type", "error", "webhooks", "is missing: [webhooks] with api_version is needed")
        return
    yield from _version(webhooks.get("api_version"), today)
    for key in sorted(set(webhooks) - {"api_version", "subscriptions", "privacy_compliance"}):
        meant = "[[webhooks.subscriptions]]" if key in ("topics", "uri", "subscription") else _MEANT.get(key)
        yield Finding("key", "error", f"webhooks.{key}", f"is no key here{f'; write {meant}' if meant else ''}")
    entries = webhooks.get("subscriptions", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        yield Finding("type", "error", "webhooks.subscriptions", "has to be [[webhooks.subscriptions]], one per entry")
        return
    for number, entry in enumerate(entries):
        yield from _entry(f"webhooks.subscriptions[{number}]", entry, data)
    yield from _together(webhooks, entries)


def _version(version: object, today: date) -> Iterator[Finding]:
    place = "webhooks.api_version"
    if not isinstance(version, str):
        yield Finding("api-version", "error", place, f'is missing: api_version = "{API_VERSION}"')
        return
    try:
        late = overdue(version, today)
    except Rejected as error:
        yield Finding("api-version", "error", place, error.message)
        return
    if late is not None:
        yield Finding("api-version", "error", place, late)
    elif version != API_VERSION:
        yield Finding("api-version", "notice", place, f"is {version}; this connector is written for {API_VERSION}")


def _entry(place: str, entry: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Finding]:
    for key, value in entry.items():
        kind = _KEYS.get(key)
        if kind is None:
            meant = _MEANT.get(key)
            yield Finding("key", "error", f"{place}.{key}", f"is no key here{f'; write {meant}' if meant else ''}")
        elif not isinstance(value, kind) or (
            kind is list and key != "metafields" and not all(isinstance(item, str) for item in value)
        ):
            yield Finding(
                "type", "error", f"{place}.{key}", "has to be a list of texts" if kind is list else "is no text"
            )
    topics = _texts(entry.get("topics"))
    if not topics and not _texts(entry.get("compliance_topics")):
        yield Finding("topic", "error", place, "names no topics")
    for topic in topics:
        yield from _topic(f"{place}.topics", topic, data)
    for topic in _texts(entry.get("compliance_topics")):
        if topic not in COMPLIANCE:
            yield Finding("compliance", "error", f"{place}.compliance_topics", f"{topic} is none of the three")
    yield from _uri(f"{place}.uri", entry.get("uri"), data)
    name = entry.get("name")
    if isinstance(name, str) and not _NAME.fullmatch(name):
        yield Finding("name", "error", f"{place}.name", "has at most 50 letters, digits, _ and -")
    yield from _fields(f"{place}.include_fields", entry, topics)
    yield from _filter(f"{place}.filter", entry)


def _topic(place: str, topic: str, data: Mapping[str, Any]) -> Iterator[Finding]:
    if topic in COMPLIANCE:
        yield Finding("compliance", "error", place, f"{topic} belongs into compliance_topics")
    elif topic in ALIASES:
        yield Finding("old-topic", "error", place, f"there is no topic {topic}; write {ALIASES[topic]}")
    elif (meant := of_enum(topic)) is not None:
        yield Finding("topic", "error", place, f"{topic} is its name in GraphQL; write {meant}")
    elif topic not in SUBSCRIBABLE:
        small = topic.strip().lower()
        hint = f"; write {small}" if small in SUBSCRIBABLE else ""
        yield Finding("topic", "error", place, f"there is no topic {topic}{hint}")
    else:
        yield from _allowed(place, topic, data)


def _allowed(place: str, topic: str, data: Mapping[str, Any]) -> Iterator[Finding]:
    """A topic without its scope: Shopify refuses the file."""
    scope = next((item.scope for item in TOPICS if item.name == topic), None)
    asked = data.get("access_scopes")
    if scope is None or not isinstance(asked, dict) or not isinstance(asked.get("scopes"), str):
        return
    if missing_scopes(asked["scopes"], [scope]):
        optional = not missing_scopes(_texts(asked.get("optional_scopes")), [scope])
        told = "is only optional: subscribe it in the shops that granted it" if optional else "is not asked for"
        yield Finding("scope", "error", place, f"{topic} needs {scope}, which {told}")


def _uri(place: str, uri: object, data: Mapping[str, Any]) -> Iterator[Finding]:
    if not isinstance(uri, str) or not uri:
        yield Finding("uri", "error", place, "is missing")
        return
    if uri.startswith("/") and not uri.startswith("//"):
        if not str(data.get("application_url", "")).startswith("https://"):
            yield Finding("uri", "error", place, "is relative to application_url, which is no https:// address")
        return
    if problem := _public(uri):
        yield Finding("uri", "error", place, problem)


def _public(uri: str) -> str | None:
    if any(uri.startswith(f"http://{host}") for host in (*LOOPBACK, "[::1]")):
        return f"{uri[:100]!r} does not begin with https://"
    return address_problem(uri)


def _fields(place: str, entry: Mapping[str, Any], topics: list[str]) -> Iterator[Finding]:
    fields = _texts(entry.get("include_fields"))
    if not fields:
        return
    for field in fields:
        if not _FIELD.fullmatch(field):
            told = "is no field of a payload: they are written with small letters, _ and dots"
            yield Finding("include-fields", "error", place, f"{field} {told}")
    if "updated_at" not in fields:
        told = "lacks updated_at: Shopify merges equal payloads, so changes of other fields would never come"
        yield Finding("include-fields", "error", place, told)
    for key in sorted({found for topic in topics if (found := order_key(topic)) and found.split(".")[0] not in fields}):
        if key not in fields:
            yield Finding("include-fields", "error", place, f"lacks {key}: nobody could tell which order it is about")
    for term in _terms(entry.get("filter")):
        path = ".".join(term.path)
        if path not in fields and term.path[0] not in fields:
            yield Finding("include-fields", "notice", place, f"lacks {path}, which the filter looks at")


def _filter(place: str, entry: Mapping[str, Any]) -> Iterator[Finding]:
    text = entry.get("filter")
    if not isinstance(text, str):
        return
    try:
        terms = list(filters.parse(text).terms())
    except Rejected as error:
        yield Finding("filter", "error", place, f"{error.code}: {error.message}")
        return
    for term in terms:
        path = ".".join(term.path)
        if not _FIELD.fullmatch(path):
            told = "is no field of a payload: they are written with small letters, _ and dots"
            yield Finding("filter", "error", place, f"{path} {told}")
        elif term.path[-1] in _SMALL and term.kind != "exists" and term.value != term.value.lower():
            yield Finding("filter", "error", place, f"{path} is in small letters in payloads: {term.value.lower()}")
        elif term.kind == "word" and term.comparator == ":" and re.search(r"(?:price|amount|total\w*)$", path):
            told = f'is text in payloads; only {path}:"0.00", quoted and with its cents, can be equal to it'
            yield Finding("filter", "notice", place, f"{path} {told}")


def _terms(text: object) -> list[filters.Term]:
    try:
        return list(filters.parse(text).terms()) if isinstance(text, str) else []
    except Rejected:
        return []


def _together(webhooks: Mapping[str, Any], entries: list[dict[str, Any]]) -> Iterator[Finding]:
    """What no entry shows alone: privacy topics, doubles, names."""
    place = "webhooks.subscriptions"
    privacy = Counter(topic for entry in entries for topic in _texts(entry.get("compliance_topics")))
    if "privacy_compliance" in webhooks:
        told = "is the old form; subscribe compliance_topics instead"
        yield Finding("compliance", "error" if privacy else "notice", "webhooks.privacy_compliance", told)
    elif missing := sorted(COMPLIANCE - set(privacy)):
        yield Finding(
            "compliance", "error", place, f"no compliance_topics {', '.join(missing)}: the App Store asks for them"
        )
    for topic, times in sorted(privacy.items()):
        if times > 1:
            yield Finding("compliance", "error", place, f"{topic} stands in several subscriptions")
    exact = Counter(
        (topic, str(entry.get("uri", "")).rstrip("/"), entry.get("filter") or "")
        for entry in entries
        for topic in _texts(entry.get("topics"))
    )
    for (topic, uri, _), times in sorted(exact.items()):
        if times > 1:
            yield Finding("double", "error", place, f"{topic} to {uri} stands there {times} times")
    for topic, times in sorted(Counter(topic for topic, _, _ in exact).items()):
        if times > 1:
            yield Finding(
                "double", "notice", place, f"{topic} comes once for each of {times} subscriptions that let it through"
            )
    for name, times in sorted(Counter(str(entry["name"]) for entry in entries if "name" in entry).items()):
        if times > 1:
            yield Finding("name", "error", place, f"the name {name} is taken {times} times")


def _scopes(data: Mapping[str, Any]) -> Iterator[Finding]:
    asked = data.get("access_scopes")
    if not isinstance(asked, dict):
        yield Finding("scope", "notice", "access_scopes", "is missing: the app asks for nothing")
        return
    for key, value in asked.items():
        if key == "scopes" and not isinstance(value, str):
            yield Finding("type", "error", "access_scopes.scopes", "is one text, the scopes separated by commas")
        elif key in ("optional_scopes", "required_scopes") and not isinstance(value, list):
            yield Finding("type", "error", f"access_scopes.{key}", "has to be a list of texts")
        elif key not in ("scopes", "optional_scopes", "required_scopes", "use_legacy_install_flow"):
            yield Finding("key", "error", f"access_scopes.{key}", "is no key here")
    lists = [_texts(asked.get("optional_scopes")), _texts(asked.get("required_scopes"))]
    named = str(asked.get("scopes") or "").split(",") if isinstance(asked.get("scopes"), str) else []
    for scope in [item.strip() for item in named if item.strip()] + lists[0] + lists[1]:
        if scope in _NO_SCOPES:
            yield Finding("scope", "error", "access_scopes", f"there is no scope {scope}; write {_NO_SCOPES[scope]}")
        elif not _SCOPE.fullmatch(scope):
            yield Finding("scope", "error", "access_scopes", f"{scope} is no scope")


def _addresses(data: Mapping[str, Any]) -> Iterator[Finding]:
    for key in ("client_id", "name", "application_url"):
        if not isinstance(data.get(key), str) or not data[key]:
            yield Finding("type", "error", key, "is missing")
    if isinstance(data.get("name"), str) and len(data["name"]) > 30:
        yield Finding("type", "error", "name", "has at most 30 characters")
    if "embedded" in data and not isinstance(data["embedded"], bool):
        yield Finding("type", "error", "embedded", "is true or false")
    if str(data.get("application_url", "")) and not str(data["application_url"]).startswith("https://"):
        yield Finding("uri", "error", "application_url", "does not begin with https://")
    auth = data.get("auth")
    urls = auth.get("redirect_urls") if isinstance(auth, dict) else None
    if not isinstance(urls, list) or not urls:
        yield Finding("redirect", "error", "auth.redirect_urls", "is missing: nobody could install the app")
        return
    for url in urls:
        if not isinstance(url, str) or not url.startswith("https://") or "#" in url or "*" in url:
            yield Finding("redirect", "error", "auth.redirect_urls", f"{str(url)[:100]!r} is no whole https:// address")


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
