"""Cut the simulator's schema out of Shopify's published Admin schema.

Reads the documents of ``tools/admin_documents.graphql``, those the connector sends, and an introspection result
(``shopify-admin-2026-10.json.gz``, in the npm package ``@shopify/dev-mcp``), keeps every field
the documents name, everything those fields need to be a valid schema, and the plain values (scalars,
enums, money) of the types they touch. Nothing is renamed, relaxed or invented:
``tests/contract/test_sim_shopify_schema.py`` compares the result with the published schema.

    python tools/subset_admin_schema.py ../shared/specs/shopify-admin-2026-10.json.gz

The same for the Partner API, from the documents in `queries/partner`:

    python tools/subset_admin_schema.py ../shared/specs/shopify-partner-2026-07.json.gz
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphql import (
    FieldNode,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    get_named_type,
    is_abstract_type,
    parse,
    print_schema,
    visit,
)

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ROOT / "tools" / "admin_documents.graphql"
QUERIES = ROOT / "src" / "ladenbuch" / "shopify" / "queries"
TARGET = ROOT / "src" / "ladenbuch" / "simulators" / "shopify" / "admin.graphql"
ROOT_TYPES = ("QueryRoot", "Mutation")
ALWAYS = {("QueryRoot", "node"), ("QueryRoot", "nodes"), ("Node", "id")}
PLAIN_OBJECTS = {"MoneyBag", "MoneyV2", "TaxLine"}
BUILT_IN = {"String", "Int", "Float", "Boolean", "ID"}


class _FieldCollector(Visitor):
    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.fields: set[tuple[str, str]] = set()
        self.types: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent, field_type = self.info.get_parent_type(), self.info.get_type()
        if parent is None or field_type is None:
            raise SystemExit(f"unknown field {node.name.value} on {parent}")
        if not node.name.value.startswith("__"):
            self.fields.add((parent.name, node.name.value))
        self.types.add(get_named_type(field_type).name)


def _named(ref: dict[str, Any]) -> str:
    while ref.get("ofType"):
        ref = ref["ofType"]
    return str(ref["name"])


def subset(introspection: dict[str, Any], documents: Sequence[str]) -> GraphQLSchema:
    """The smallest schema in which the documents stay valid, plus the plain values of its types.

    Takes the ``data`` part of an introspection result and the documents' texts; returns the schema.
    Raises ``SystemExit`` when a document names a field that the published schema does not have.
    """
    published = build_client_schema(introspection, assume_valid=True)  # type: ignore[arg-type]
    info = TypeInfo(published)
    found = _FieldCollector(info)
    for text in documents:
        visit(parse(text), TypeInfoVisitor(info, found))

    by_name: dict[str, dict[str, Any]] = {t["name"]: t for t in introspection["__schema"]["types"]}
    keep_fields: set[tuple[str, str]] = found.fields | ALWAYS
    keep_types: set[str] = {parent for parent, _ in keep_fields} | found.types
    for name in list(keep_types):
        published_type = published.get_type(name)
        if name != "Node" and published_type is not None and is_abstract_type(published_type):
            keep_types |= {t.name for t in published.get_possible_types(published_type)}

    size = -1
    while size != len(keep_fields) + len(keep_types):
        size = len(keep_fields) + len(keep_types)
        for name in list(keep_types):
            _grow(by_name[name], by_name, keep_fields, keep_types)

    kept = [_trim(by_name[name], keep_fields, keep_types) for name in sorted(keep_types)]
    kept += [by_name[name] for name in sorted(BUILT_IN) if name not in keep_types]
    kept += [t for t in introspection["__schema"]["types"] if t["name"].startswith("__")]
    schema = {**introspection["__schema"], "types": kept}
    for root in ("mutationType", "subscriptionType"):
        if schema.get(root) and schema[root]["name"] not in keep_types:
            schema[root] = None
    schema["directives"] = [
        d for d in schema["directives"] if all(_named(a["type"]) in keep_types | BUILT_IN for a in d["args"])
    ]
    return build_client_schema({"__schema": schema}, assume_valid=True)  # type: ignore[typeddict-item]


def _grow(
    entry: dict[str, Any],
    by_name: dict[str, dict[str, Any]],
    keep_fields: set[tuple[str, str]],
    keep_types: set[str],
) -> None:
    """One step of the closure: what this type needs beside itself."""
    name = entry["name"]
    for interface in entry.get("interfaces") or []:
        if interface["name"] in keep_types:
            keep_fields |= {(name, field) for parent, field in keep_fields if parent == interface["name"]}
    for field in entry.get("inputFields") or []:
        keep_types.add(_named(field["type"]))
    for field in entry.get("fields") or []:
        target = _named(field["type"])
        kind = by_name[target]["kind"]
        plain = kind in ("SCALAR", "ENUM") or target in PLAIN_OBJECTS
        paging = name.endswith(("Connection", "Edge"))
        if (plain or paging) and name not in ROOT_TYPES and not any(_required(a) for a in field["args"]):
            keep_fields.add((name, field["name"]))
        if (name, field["name"]) in keep_fields:
            keep_types.add(target)
            keep_types.update(_named(arg["type"]) for arg in field["args"])


def _required(argument: dict[str, Any]) -> bool:
    return argument["type"]["kind"] == "NON_NULL" and argument.get("defaultValue") is None


def _trim(entry: dict[str, Any], keep_fields: set[tuple[str, str]], keep_types: set[str]) -> dict[str, Any]:
    trimmed = dict(entry)
    if entry.get("fields"):
        trimmed["fields"] = [f for f in entry["fields"] if (entry["name"], f["name"]) in keep_fields]
    for key in ("interfaces", "possibleTypes"):
        if entry.get(key):
            trimmed[key] = [ref for ref in entry[key] if ref["name"] in keep_types]
    return trimmed


def _without_descriptions(value: Any) -> Any:
    """The prose is Shopify's and 200 kB long; the contract is in names, types and deprecations."""
    if isinstance(value, dict):
        return {k: (None if k == "description" else _without_descriptions(v)) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_descriptions(item) for item in value]
    return value


def main() -> None:
    """Write the subset next to the simulator; the only argument is the introspection file, of either API."""
    source = Path(sys.argv[1])
    raw = json.loads(gzip.decompress(source.read_bytes()))
    introspection = _without_descriptions(raw.get("data", raw))
    partner = source.name.startswith("shopify-partner-")
    documents = sorted((QUERIES / "partner" if partner else QUERIES).glob("*.graphql")) + [DOCUMENTS] * (not partner)
    schema = subset(introspection, [path.read_text() for path in documents])
    version = source.name.removesuffix(".json.gz").rsplit("-", 2)
    api = "Partner" if partner else "Admin"
    head = (
        f"# Subset of the published Shopify {api} schema {'-'.join(version[1:])}, made by tools/{Path(__file__).name}."
    )
    (TARGET.with_name("partner.graphql") if partner else TARGET).write_text(f"{head}\n\n{print_schema(schema)}\n")


if __name__ == "__main__":
    main()
