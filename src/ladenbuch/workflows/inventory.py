"""The data inventory: every column of every table, what it is about a person, what it is for, and when it goes.

Generated from the schema: a column nobody classified here raises, so that none is added without an answer.
`docs/reference/data-inventory.md` is `page()`, held against the schema by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from ladenbuch.db import Store, import_tables
from ladenbuch.domain.retention import RULES
from ladenbuch.workflows.rotation import COLUMNS

#: personal: about a buyer · pseudonym: leads to one only with the shop's or sevdesk's data · staff: who of the
#: merchant's or operator's people · secret: opens doors · none: about nobody.
Kind = Literal["personal", "pseudonym", "staff", "secret", "none"]


@dataclass(frozen=True, slots=True)
class Table:
    """What a table is for, by which rule of `domain.retention` it is kept, and its columns by kind.

    `rules` names another rule for single columns.
    """

    purpose: str
    rule: str
    none: str = ""
    pseudonym: str = ""
    personal: str = ""
    staff: str = ""
    secret: str = ""
    rules: dict[str, str] = field(default_factory=dict)

    def kinds(self) -> dict[str, Kind]:
        """Each column's kind. Raises ValueError for a column that stands twice."""
        found: dict[str, Kind] = {}
        told: tuple[tuple[Kind, str], ...] = (
            ("none", self.none),
            ("pseudonym", self.pseudonym),
            ("personal", self.personal),
            ("staff", self.staff),
            ("secret", self.secret),
        )
        for kind, names in told:
            for name in names.split():
                if name in found:
                    raise ValueError(f"{name} is classified twice")
                found[name] = kind
        return found


TABLES: dict[str, Table] = {
    "inbox.events": Table(
        "webhooks as they came, until they were acted on and for a while after",
        "delivery",
        none="tenant webhook_id event_id topic shop api_version triggered_at received_at key_id",
        pseudonym="order_id",
        personal="body",
    ),
    "inbox.executors": Table(
        "which processes share the database, and whose work was taken over",
        "machine",
        none="name role version began_at beats beaten_at ended_at taken_at taken_by taken_runs",
    ),
    "inbox.heartbeats": Table("which process lives", "machine", none="process beaten_at"),
    "inbox.order_marks": Table(
        "which orders want a look, and who has them",
        "work",
        none="tenant wanted settled attempted due_at run_id run_no claimed_by claimed_at attempts last_code "
        "oldest_wanted_at trace run_trace priority",
        pseudonym="order_id",
    ),
    "inbox.poll_cursors": Table("how far a poll has seen", "work", none="tenant name cursor"),
    "books.alarms": Table(
        "what a person should hear of at once, and since when",
        "work",
        none="tenant kind since last_seen facts ended_at times",
        pseudonym="subject",
    ),
    "books.attention": Table(
        "open questions to a person",
        "document",
        none="tenant code choices since facts_hash",
        pseudonym="order_id facts",
        personal="message",
    ),
    "books.audit_entries": Table(
        "who did what, when and why, as a chain of hashes",
        "history",
        none="tenant seq at event sentence detail previous hash",
        pseudonym="subject",
        staff="actor",
    ),
    "books.audit_heads": Table("the end of the chain", "history", none="tenant entries hash"),
    "books.backfill_orders": Table(
        "orders of a period that is taken over: what was planned, and what came of it",
        "work",
        none="tenant backfill place part processed_at updated_at applied expected says state wanted code at",
        pseudonym="order_id name",
    ),
    "books.backfills": Table(
        "periods that are taken over, and how far they are",
        "work",
        none="tenant id state since until cut_off basis cursor totals pending reason created_at planned_at started_at "
        "resumed_at ended_at",
    ),
    "books.bookings": Table(
        "which transaction pays which document",
        "document",
        none="tenant key document_key account transaction_id amount booked_on paid_after booked_at",
        pseudonym="order_id payment_id",
    ),
    "books.budget_shares": Table("who may send how much now", "machine", none="key holder part flow wish until"),
    "books.budgets": Table(
        "what the other side lets us send", "machine", none="key maximum rate known part flow debt at"
    ),
    "books.awaited": Table(
        "which orders wait for a transfer",
        "document",
        none="tenant name owed total numbers document_key due paused look changed_at",
        pseudonym="order_id",
    ),
    "books.bank_claims": Table(
        "which order a line of a bank account is for",
        "document",
        none="tenant amount verdict evidence wanted_at",
        pseudonym="line_id order_id",
    ),
    "books.bank_lines": Table(
        "lines of bank accounts that were seen, without their words",
        "document",
        none="tenant account amount day verdict seen_at",
        pseudonym="line_id mark",
    ),
    "books.circuits": Table(
        "who is left alone for a while", "machine", none="tenant service kind until pause probed_until"
    ),
    "books.contacts": Table(
        "which contact in sevdesk a customer number has",
        "contact",
        none="tenant origin unfinished",
        pseudonym="customer_number sevdesk_id vat_mark",
    ),
    "books.covers": Table(
        "which fact of an order which document covers",
        "document",
        none="tenant document_key amount",
        pseudonym="fact_id order_id",
    ),
    "books.data_keys": Table(
        "a tenant's keys, wrapped by LADENBUCH_KEYS",
        "key",
        none="tenant key_id generation version wrapped_by",
        secret="wrapped",
    ),
    "books.dead_letters": Table(
        "what gave up",
        "work",
        none="tenant kind code message detail attempts gave_up_at state note",
        pseudonym="subject",
    ),
    "books.documents": Table(
        "documents, what they were decided on, and how far they are",
        "work",
        none="tenant key kind state number invoice_date gross sums tax_point profile_version key_id hash_posted "
        "hash_seen made_by finalised_at eu_net",
        pseudonym="order_id sevdesk_id",
        personal="pins tax",
    ),
    "books.erasures": Table(
        "the proof that a tenant was deleted; it outlives the tenant",
        "history",
        none="id erased shop at rows last_hash",
        staff="actor",
    ),
    "books.event_deliveries": Table(
        "events for other tools, and which receiver took them",
        "event",
        none="tenant endpoint event at state due_at attempts run_id status reason changed_at replays",
        pseudonym="order_id",
    ),
    "books.event_endpoints": Table(
        "who hears of events; the addresses and the keys that sign are among the secrets",
        "tenant",
        none="tenant id host kinds created_at rotated_at took_at failing_since failures quiet_until off_at off_why",
    ),
    "books.fences": Table(
        "which run may write for an order", "work", none="tenant run_no run_id", pseudonym="order_id"
    ),
    "books.checkups": Table(
        "what the daily look at a shop's connection found",
        "tenant",
        none="tenant due_at checked_at changed_at trouble",
        staff="findings changes",
    ),
    "books.entitlements": Table(
        "what is known of the shop's subscription of the app",
        "tenant",
        none="tenant kind sentence plan over until missing_since read_at looked_at unread cap_told_at "
        "cap_used cap_of cap_currency",
    ),
    "books.grants": Table(
        "how a shop let us in; its tokens are among the secrets",
        "tenant",
        none="tenant kind scopes granted_at refreshed_at expires_at refresh_expires_at needs_reconnect lost_at",
    ),
    "books.hands": Table(
        "what others did to our documents in sevdesk",
        "document",
        none="tenant document_key kind seen seen_at",
        pseudonym="sevdesk_id order_id",
    ),
    "books.heartbeats": Table("which process lives", "machine", none="process beaten_at"),
    "books.holds": Table(
        "the hold list: what is kept of forgotten buyers, and until when",
        "proof",
        none="tenant kind until why since released_at",
        personal="subject",
    ),
    "books.intents": Table(
        "calls that were about to be made, once per key",
        "document",
        none="tenant kind run_id called_at calls done_at",
        pseudonym="key order_id remote_id",
        personal="reason",
    ),
    "books.leases": Table(
        "whose turn it is; a name may hold the first bytes of a hash of a mailbox or VAT id",
        "work",
        none="tenant until",
        pseudonym="name holder",
    ),
    "books.letters": Table(
        "letters and how far they came",
        "letter",
        none="tenant key kind key_id state due_at attempts run_id executor claimed_at promised_at changed_at "
        "message_id relay reply reason trace mark bounce told_at doubted_at",
        pseudonym="order_id document_id recipient",
        personal="payload",
    ),
    "books.money_lines": Table(
        "money on the accounts of gateways",
        "document",
        none="tenant key account amount value_date",
        pseudonym="order_id payment_id sevdesk_id",
    ),
    "books.payout_days": Table(
        "the balance of a gateway's account, day by day, against the provider's",
        "work",
        none="tenant gateway currency day clearing unpaid reserved in_transit told compared_at",
        pseudonym="named",
    ),
    "books.payout_lines": Table(
        "lines of payouts, fees and disputes on the accounts of gateways",
        "document",
        none="tenant gateway key kind account amount value_date",
        pseudonym="about order_id sevdesk_id",
    ),
    "books.payout_movements": Table(
        "what a payment provider said moved a balance",
        "document",
        none="tenant gateway id type at amount fee net currency payout_id source_id reason",
        pseudonym="order_transaction order_id order_name",
    ),
    "books.payout_turns": Table(
        "when a balance is looked at next, and how far it is known",
        "work",
        none="tenant gateway due_at read_until start opening told code problems looked_at closed",
    ),
    "books.payout_vouchers": Table(
        "fee vouchers written in sevdesk",
        "document",
        none="tenant gateway key payout_id day gross rule account supplier sevdesk_id booked_at",
    ),
    "books.payouts": Table(
        "what a payment provider paid out",
        "document",
        none="tenant gateway id issued_at status net currency trace paid_on whole",
    ),
    "books.orders": Table(
        "verdict and certificate of each order",
        "document",
        none="tenant name verdict code total currency processed_at updated_at settled_at certificate key_id",
        pseudonym="order_id",
        personal="snapshot",
        rules={"snapshot": "order"},
    ),
    "books.outgoing_events": Table(
        "events for other tools, as they are told: orders, documents and amounts by their numbers",
        "event",
        none="tenant id kind at trace",
        pseudonym="order_id body",
    ),
    "books.privacy_requests": Table(
        "who asked to be told or forgotten, and what was done",
        "request",
        none="tenant id kind state received_at due_at done_at orders note key_id",
        personal="answer",
    ),
    "books.profile_versions": Table(
        "the merchant's accounting profile, version by version",
        "tenant",
        none="tenant version effective_from created_at",
        staff="profile",
    ),
    "books.reconcile_sightings": Table(
        "what shop, books and sevdesk do not agree on, and since when",
        "work",
        none="tenant sort code document_key message cure human asked first_seen last_seen cured_at accepted",
        pseudonym="mark order_id order_name document held",
    ),
    "books.reconcile_turns": Table(
        "when a tenant is compared next", "work", none="tenant rolling_due nightly_due seen_until"
    ),
    "books.reconciliations": Table(
        "what was compared and found; kept 400 days",
        "work",
        none="tenant id kind status started_at ended_at since until orders documents found fixed",
        pseudonym="items",
    ),
    "books.redacted_buyers": Table(
        "keyed marks of forgotten buyers, to recognise their older orders",
        "request",
        none="tenant at",
        pseudonym="mark",
    ),
    "books.redactions": Table(
        "orders whose buyer was forgotten", "request", none="tenant request at", pseudonym="order_id"
    ),
    "books.reminders": Table(
        "which reminders an order had",
        "document",
        none="tenant level reminded_on days_overdue owed at",
        pseudonym="order_id",
    ),
    "books.resolutions": Table(
        "what people answered",
        "document",
        none="tenant code facts_hash choice at",
        pseudonym="order_id",
        staff="actor",
    ),
    "books.secrets": Table(
        "tokens and client secrets",
        "secret",
        none="tenant name key_id expires_at updated_at",
        secret="ciphertext",
    ),
    "books.subject_keys": Table(
        "the trees the keys of orders are computed from", "key", none="tenant key_id part", secret="wrapped"
    ),
    "books.suppressions": Table(
        "addresses that get no letters, as keyed hashes, and why",
        "objection",
        none="tenant cause since note",
        pseudonym="recipient letter",
        staff="actor",
    ),
    "books.tenants": Table(
        "shops we keep books for",
        "tenant",
        none="tenant shop shop_gid sevdesk_ref state draft_only cut_off created_at state_since state_reason "
        "installed_step restored_at",
    ),
    "books.token_circuits": Table(
        "which sevdesk token is left alone for a while", "machine", none="key kind until pause probed_until"
    ),
    "books.used_states": Table("links of installations that were used", "machine", none="digest until"),
    "books.used_signatures": Table(
        "requests of mail providers that were taken, as digests, so that none is taken for another",
        "machine",
        none="provider digest body at",
    ),
    "books.vat_checks": Table(
        "what was asked about a VAT id, and answered",
        "proof",
        none="tenant seq asked_at verdict reference",
        personal="vat_id",
    ),
    "books.vat_names": Table(
        "the name VIES gave for a VAT id", "proof", none="tenant seq key_id", personal="vat_id name"
    ),
    "books.write_backs": Table(
        "what was written back to the shop: numbers, a link, a status",
        "written",
        none="tenant wanted done due_at attempts run_id reason changed_at",
        pseudonym="order_id written",
    ),
    "books.write_stop_of_all": Table("a stop for everybody", "machine", none="id reason since"),
    "books.write_stops": Table("a stop for one tenant", "tenant", none="tenant reason since"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One line of the inventory."""

    name: str  # store.table.column
    kind: Kind
    sealed: bool
    purpose: str
    on_request: str
    gone: str
    why: str


def inventory() -> Iterator[Column]:
    """Every column of the schema. Raises ValueError naming what is not classified, or is and does not exist."""
    sealed = {f"{column.store}.{column.name}" for column in COLUMNS}
    schema = {f"{store}.{table.name}": table for store in Store for table in import_tables(store).sorted_tables}
    if schema.keys() != TABLES.keys():
        raise ValueError(f"tables without a line, or lines without a table: {sorted(schema.keys() ^ TABLES.keys())}")
    for name in sorted(schema):
        told, kinds = TABLES[name], TABLES[name].kinds()
        there = {column.name for column in schema[name].columns}
        if there != kinds.keys():
            raise ValueError(
                f"{name}: columns without a kind, or kinds without a column: {sorted(there ^ kinds.keys())}"
            )
        for column in schema[name].columns:
            rule = RULES[told.rules.get(column.name, told.rule)]
            full = f"{name}.{column.name}"
            yield Column(full, kinds[column.name], full in sealed, told.purpose, rule.on_request, rule.gone, rule.why)


_HEAD = """# Data inventory

Every column of every table: generated from the schema by `ladenbuch privacy inventory`, and held against it by a test.
A column that is added without an answer here stops the build.

*personal* is about a buyer; a *pseudonym* (ids of orders, payments, contacts) leads to one only with the shop's or
sevdesk's data; *staff* is who of the merchant's or operator's people did something; a *secret* opens doors; the other
columns are about nobody. *Sealed* columns are ciphertext ([what is sealed](sealed-data.md)). The engine's own tables
hold the ids of tenants, orders and runs, and nothing else.
"""


def page() -> str:
    """The inventory as Markdown: one section per table, columns about nobody in one line."""
    lines = [_HEAD]
    by_table: dict[str, list[Column]] = {}
    for column in inventory():
        by_table.setdefault(column.name.rpartition(".")[0], []).append(column)
    for name, columns in by_table.items():
        lines += [f"## {name}", "", f"{columns[0].purpose[0].upper()}{columns[0].purpose[1:]}.", ""]
        about = [column for column in columns if column.kind != "none"]
        if about:
            lines += ["| column | kind | on a buyer's request | otherwise gone | why |", "|---|---|---|---|---|"]
        for column in about:
            kind = f"{column.kind}, sealed" if column.sealed else column.kind
            short = column.name.rpartition(".")[2]
            lines.append(f"| `{short}` | {kind} | {_asked(column)} | {column.gone} | {column.why} |")
        if about:
            lines.append("")
        others = ", ".join(f"`{one.name.rpartition('.')[2]}`" for one in columns if one.kind == "none")
        lines += [f"About nobody: {others}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _asked(column: Column) -> str:
    if column.kind == "pseudonym" and not column.name.startswith(
        ("books.contacts.", "inbox.events.", "books.letters.", "books.event_", "books.outgoing_", "books.write_backs.")
    ):
        return "stays: a number of the shop's, without the buyer"
    return "not the buyer's" if column.kind in ("staff", "secret") else column.on_request
