"""The simulator's schema is a strict subset of the published Admin schema (facts/shopify.md, header).

The published schemas are introspection results of the npm package ``@shopify/dev-mcp``; they are looked for in
``LADENBUCH_SPECS`` or ``../shared/specs`` beside the repository.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import lru_cache
from pathlib import Path

import pytest
from graphql import (
    GraphQLSchema,
    build_client_schema,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_object_type,
    is_union_type,
    parse,
    print_ast,
    separate_operations,
    specified_directives,
    validate,
)

from ladenbuch.shopify.partner import PARTNER_VERSION, partner_document
from ladenbuch.simulators.shopify.partner import load_partner_schema
from ladenbuch.simulators.shopify.schema import load_schema

ROOT = Path(__file__).resolve().parents[2]
SPECS = Path(os.environ.get("LADENBUCH_SPECS", ROOT.parent / "shared" / "specs"))
DOCUMENTS = {
    name: print_ast(document)
    for name, document in separate_operations(parse((ROOT / "tools" / "admin_documents.graphql").read_text())).items()
}

# What 2026-10 has and 2026-07 does not, of the part that is simulated.
NEW_SINCE_2026_07 = {"OrderDisplayFulfillmentStatus.FULFILLMENT_NOT_REQUIRED"}


@lru_cache(maxsize=4)
def published(version: str) -> GraphQLSchema:
    api = "shopify" if version.startswith("partner-") else "shopify-admin"
    path = SPECS / f"{api}-{version}.json.gz"
    if not path.exists():
        pytest.skip(f"no {path}: `npm pack @shopify/dev-mcp` brings the published schemas (dist/data)")
    raw = json.loads(gzip.decompress(path.read_bytes()))
    return build_client_schema(raw.get("data", raw), assume_valid=True)


def differences(ours: GraphQLSchema, theirs: GraphQLSchema) -> set[str]:
    """Everything the simulator has that the published schema has not, or has otherwise."""
    found: set[str] = set()
    for name, mine in ours.type_map.items():
        if name.startswith("__"):
            continue
        other = theirs.type_map.get(name)
        if other is None or type(mine) is not type(other):
            found.add(name)
        elif is_object_type(mine) or is_interface_type(mine):
            found |= _field_differences(name, mine, other)
            found |= {f"{name} implements {i.name}" for i in mine.interfaces} - {
                f"{name} implements {i.name}" for i in other.interfaces
            }
        elif is_enum_type(mine):
            found |= {f"{name}.{v}" for v in set(mine.values) ^ set(other.values)}
        elif is_union_type(mine):
            found |= {f"{name} = {t.name}" for t in mine.types} - {f"{name} = {t.name}" for t in other.types}
        elif is_input_object_type(mine):
            mine_fields = {f"{name}.{k}: {v.type} = {v.default_value!r}" for k, v in mine.fields.items()}
            found |= mine_fields ^ {f"{name}.{k}: {v.type} = {v.default_value!r}" for k, v in other.fields.items()}
    return found


def _field_differences(name: str, mine: object, other: object) -> set[str]:
    found: set[str] = set()
    for key, field in mine.fields.items():  # type: ignore[attr-defined]
        real = other.fields.get(key)  # type: ignore[attr-defined]
        if real is None:
            found.add(f"{name}.{key}")
            continue
        if str(field.type) != str(real.type):
            found.add(f"{name}.{key}: {field.type} is not {real.type}")
        if (field.deprecation_reason is None) != (real.deprecation_reason is None):
            found.add(f"{name}.{key} deprecation")
        args = {f"{name}.{key}({k}: {a.type} = {a.default_value!r})" for k, a in field.args.items()}
        found |= args ^ {f"{name}.{key}({k}: {a.type} = {a.default_value!r})" for k, a in real.args.items()}
    return found


def test_every_type_field_argument_and_enum_value_is_the_published_one_of_2026_10() -> None:
    """Same types, nullability, arguments with defaults, enum values, deprecations; nothing invented."""
    assert differences(load_schema(), published("2026-10")) == set()


def test_what_2026_07_lacks_is_listed() -> None:
    assert differences(load_schema(), published("2026-07")) == NEW_SINCE_2026_07


def test_the_comparison_finds_a_relaxed_field() -> None:
    """The proof can fail: a field made nullable, an argument dropped, a type invented."""
    from graphql import build_schema, print_schema

    text = print_schema(load_schema())
    bent = text.replace("totalReceivedSet: MoneyBag!", "totalReceivedSet: MoneyBag")
    bent = bent.replace("refunds(first: Int): [Refund!]!", "refunds: [Refund!]!")
    bent += "\ntype Invented { id: ID! }\n"
    found = differences(build_schema(bent, assume_valid=True), load_schema())
    assert found == {
        "Invented",
        "Order.totalReceivedSet: MoneyBag is not MoneyBag!",
        "Order.refunds(first: Int = Undefined)",
    }


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
@pytest.mark.parametrize("version", ["2026-07", "2026-10", "subset"])
def test_the_documents_are_valid(name: str, version: str) -> None:
    """facts/shopify.md 2.1-2.5, 2.7, 2.9, 2.11: valid on the published schemas and on the subset."""
    schema = load_schema() if version == "subset" else published(version)
    assert validate(schema, parse(DOCUMENTS[name])) == []


def test_the_subset_keeps_the_directives_of_the_published_schema() -> None:
    names = {d.name for d in load_schema().directives}
    assert "idempotent" in names
    assert names - {d.name for d in specified_directives} <= {d.name for d in published("2026-10").directives}


def test_the_partner_schema_is_a_subset_and_our_question_is_valid() -> None:
    """facts 2.13: `activeSubscription` as published; the version before did not know it."""
    theirs = published(f"partner-{PARTNER_VERSION}")
    assert differences(load_partner_schema(), theirs) == set()
    asked = parse(partner_document("active_subscription"))
    assert validate(theirs, asked) == []
    assert validate(load_partner_schema(), asked) == []
    before = [error.message for error in validate(published("partner-2026-04"), asked)]
    assert before == ["Cannot query field 'activeSubscription' on type 'QueryRoot'."]
