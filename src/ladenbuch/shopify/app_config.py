"""The app's configuration file, `shopify.app.toml`: written from what we want, and read back.

Its shape is the one Shopify's command line validates: name, client_id, application_url and embedded at the top,
[access_scopes], [auth] and [webhooks]. What else such a file may hold (app proxy, extensions, build) is not ours and is
left alone. A file is always read by `lint` first, so that nothing is taken from one that Shopify would refuse.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import urljoin

from ladenbuch.errors import Rejected
from ladenbuch.shopify import lint
from ladenbuch.shopify.subscriptions import Subscription
from ladenbuch.shopify.version import API_VERSION


@dataclass(frozen=True, slots=True)
class App:
    """One app as its configuration file describes it. `subscriptions` include the privacy topics.

    `legacy_install`: the scopes are asked for in the address of the authorisation, not granted by Shopify at install.
    An app of its own, outside Shopify's admin, can do only that (facts 4.1).
    """

    name: str
    client_id: str
    application_url: str
    scopes: tuple[str, ...]
    redirect_urls: tuple[str, ...]
    subscriptions: tuple[Subscription, ...]
    optional_scopes: tuple[str, ...] = ()
    embedded: bool = False
    legacy_install: bool = True
    api_version: str = API_VERSION


def emit(app: App) -> str:
    """The file's text. Raises Rejected("SUBSCRIPTION") for what such a file cannot say: XML, metafields."""
    lines = [
        "# Written by `ladenbuch webhooks toml`; deploy it with Shopify's command line: shopify app deploy",
        f"client_id = {_text(app.client_id)}",
        f"name = {_text(app.name)}",
        f"application_url = {_text(app.application_url)}",
        f"embedded = {_bool(app.embedded)}",
        "",
        "[access_scopes]",
        f"scopes = {_text(','.join(app.scopes))}",
    ]
    if app.optional_scopes:
        lines.append(f"optional_scopes = {_texts(app.optional_scopes)}")
    lines.append(f"use_legacy_install_flow = {_bool(app.legacy_install)}")
    lines += ["", "[auth]", f"redirect_urls = {_texts(app.redirect_urls)}"]
    lines += ["", "[webhooks]", f"api_version = {_text(app.api_version)}"]
    for group in _grouped(app.subscriptions):
        lines += ["", *_subscription(group)]
    return "\n".join(lines) + "\n"


def parse(text: str) -> App:
    """The app a file describes. Raises Rejected("APP-CONFIG") with the first thing `lint` calls an error."""
    bad = next((item for item in lint.lint(text) if item.severity == "error"), None)
    if bad is not None:
        raise Rejected("APP-CONFIG", f"{bad.place}: {bad.sentence}", detail={"rule": bad.rule})
    data = tomllib.loads(text)
    scopes, auth = data.get("access_scopes", {}), data.get("auth", {})
    url = str(data.get("application_url", ""))
    return App(
        str(data.get("name", "")),
        str(data.get("client_id", "")),
        url,
        tuple(item.strip() for item in str(scopes.get("scopes", "")).split(",") if item.strip()),
        tuple(auth.get("redirect_urls", ())),
        tuple(item for entry in data["webhooks"].get("subscriptions", ()) for item in _read(entry, url)),
        tuple(scopes.get("optional_scopes", ())),
        bool(data.get("embedded", False)),
        bool(scopes.get("use_legacy_install_flow", False)),
        str(data["webhooks"]["api_version"]),
    )


def _read(entry: Mapping[str, Any], application_url: str) -> Iterable[Subscription]:
    uri = str(entry["uri"])
    if uri.startswith("/"):
        uri = urljoin(application_url, uri)
    for topic in entry.get("topics", ()):
        fields = tuple(entry.get("include_fields", ()))
        yield Subscription(topic, uri, entry.get("filter"), fields, name=entry.get("name"))
    for topic in entry.get("compliance_topics", ()):
        yield Subscription(topic, uri)


def _grouped(subscriptions: Iterable[Subscription]) -> Iterable[list[Subscription]]:
    """Neighbours that differ in their topic alone stand together; a name belongs to one topic, so it stands alone."""

    def alike(item: Subscription) -> tuple[object, ...]:
        return (item.uri, item.filter or "", item.include_fields, item.name or "", item.compliance)

    for item in subscriptions:
        if item.format != "JSON" or item.metafield_namespaces:
            raise Rejected("SUBSCRIPTION", f"{item.topic}: a configuration file can say neither XML nor metafields")
    for _, group in groupby(subscriptions, key=alike):
        yield list(group)


def _subscription(group: list[Subscription]) -> Iterable[str]:
    first = group[0]
    yield "[[webhooks.subscriptions]]"
    if first.name is not None:
        yield f"name = {_text(first.name)}"
    yield f"{'compliance_topics' if first.compliance else 'topics'} = {_texts(item.topic for item in group)}"
    yield f"uri = {_text(first.uri)}"
    if first.filter is not None:
        yield f"filter = {_text(first.filter)}"
    if first.include_fields:
        yield f"include_fields = {_texts(first.include_fields)}"


def _text(value: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for DEL, which TOML wants escaped too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _texts(values: Iterable[str]) -> str:
    return f"[{', '.join(_text(value) for value in values)}]"


def _bool(value: bool) -> str:
    return "true" if value else "false"
