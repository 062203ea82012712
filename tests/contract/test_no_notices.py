"""S110, S114, S115: nothing we send to Shopify can make it write to a buyer, unless its switch is literally off.

Decision 0015. What can cause a mail is found in the published schema, not remembered: arguments and input fields of
mutations that are named after notifying, receipts or mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest
from graphql import (
    BooleanValueNode,
    FieldNode,
    GraphQLInputObjectType,
    GraphQLSchema,
    ObjectValueNode,
    OperationDefinitionNode,
    ValueNode,
    get_named_type,
    parse,
)

from contract.test_queries import CURRENT, schema
from ladenbuch.shopify.cost import document, documents, is_mutation

_SPEAKS = re.compile(r"notif|sendReceipt|send\w*Receipt|^email$|sendEmail", re.IGNORECASE)
#: Mutations whose whole purpose is a mail.
_MAILS = re.compile(r"(?:Send|SendInvite|Resend|SendInvoice|InvoiceSend)$|Email", re.IGNORECASE)


def _mutations(text: str) -> Iterator[FieldNode]:
    for definition in parse(text).definitions:
        if isinstance(definition, OperationDefinitionNode):
            yield from (one for one in definition.selection_set.selections if isinstance(one, FieldNode))


def switches(known: GraphQLSchema, mutation: str) -> set[str]:
    """Names of arguments and of fields of its inputs, at any depth, by which a mutation could write to somebody."""
    found: set[str] = set()
    field = known.mutation_type.fields[mutation]  # type: ignore[union-attr]
    waiting = [(name, argument.type) for name, argument in field.args.items()]
    seen: set[str] = set()
    while waiting:
        name, kind = waiting.pop()
        if _SPEAKS.search(name):
            found.add(name)
        inner = get_named_type(kind)
        if isinstance(inner, GraphQLInputObjectType) and inner.name not in seen:
            seen.add(inner.name)
            waiting += [(key, value.type) for key, value in inner.fields.items()]
    return found


def off(field: FieldNode, wanted: set[str]) -> set[str]:
    """Those of the switches that the document itself says are off."""
    said: set[str] = set()

    def look(name: str, value: ValueNode) -> None:
        if isinstance(value, BooleanValueNode) and not value.value and name in wanted:
            said.add(name)
        if isinstance(value, ObjectValueNode):
            for one in value.fields:
                look(one.name.value, one.value)

    for argument in field.arguments or ():
        look(argument.name.value, argument.value)
    return said


def speaking(known: GraphQLSchema, texts: Mapping[str, str]) -> list[str]:
    """What of these documents could make Shopify write to a buyer."""
    found = []
    for name, text in texts.items():
        for field in _mutations(text):
            mutation = field.name.value
            if _MAILS.search(mutation):
                found.append(f"{name}: {mutation}")
            wanted = switches(known, mutation)
            found += [f"{name}: {mutation}({switch})" for switch in sorted(wanted - off(field, wanted))]
    return found


@pytest.mark.parametrize("version", CURRENT)
def test_s110_s114_s115_no_document_of_ours_can_cause_a_mail_of_shopify(version: str) -> None:
    ours = {name: document(name) for name in documents() if is_mutation(document(name))}
    assert len(ours) >= 5 and "write_back" in ours
    assert speaking(schema(version), ours) == []


def test_s114_the_check_finds_each_way_and_takes_only_a_literal_no() -> None:
    known = schema(CURRENT[0])
    create = "mutation M($o: OrderCreateOrderInput!) { orderCreate(order: $o%s) { userErrors { message } } }"
    loud = speaking(known, {"m": create % ""})
    assert any("sendReceipt" in one for one in loud) and any("sendFulfillmentReceipt" in one for one in loud)
    yes = create % ", options: {sendReceipt: true, sendFulfillmentReceipt: false}"
    assert any("(sendReceipt)" in one for one in speaking(known, {"m": yes}))
    no = create % ", options: {sendReceipt: false, sendFulfillmentReceipt: false}"
    assert not [one for one in speaking(known, {"m": no}) if "Receipt" in one]
    ship = "mutation M($f: FulfillmentInput!) { fulfillmentCreate(fulfillment: $f) { userErrors { message } } }"
    assert any("notifyCustomer" in one for one in speaking(known, {"m": ship}))
    send = "mutation M($id: ID!) { orderInvoiceSend(id: $id) { userErrors { message } } }"
    assert any("orderInvoiceSend" in one for one in speaking(known, {"m": send}))
