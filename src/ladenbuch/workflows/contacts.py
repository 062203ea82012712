"""The buyer's contact in sevdesk: one per customer, however many orders come at once.

    our books -> our customer number -> the merchant's own contacts, on hard evidence (domain.matching) -> a new one

A contact belongs to no order, so no order's fence guards it. Whoever wants to write claims the intent by
compare-and-set, looks, stamps the claim again and calls: of two runs one calls, and an unconfirmed call is looked for
and waited for like any other (`run.once`). Buyers who share a mailbox or a VAT id take turns until the first has its
mailbox: the second then finds it. A new contact gets name and VAT id, address, mailbox; a contact that was there before
is the merchant's: nothing of it is changed, but for a missing VAT id that a recapitulative statement needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from ladenbuch import books
from ladenbuch.books import KnownContact
from ladenbuch.db import Store, Transaction
from ladenbuch.deadline import leaving_before
from ladenbuch.domain.document import Party
from ladenbuch.domain.matching import Adopt, Ask, Create, Door, mailbox, match, plain_vat_id, to_look_at
from ladenbuch.errors import Ambiguous, LadenbuchError, NeedsAttention, Rejected, Retryable
from ladenbuch.sevdesk.contacts import BILLING_CATEGORY
from ladenbuch.workflows.run import Run, answered

#: Tax rules that sevdesk reports with the VAT id of the contact (facts 3.1, 4.3): supplies and services to the EU.
REPORTED_RULES = (3, 21)
#: Seconds after which a run looks again for what another one is about to write.
_SOON = 1.0
#: Seconds a turn is kept for a customer whose contact may stand there without its mailbox, beyond a few attempts.
_TURN = 600.0
#: Refusals of a detail that say nothing about the contact itself: the document goes on without it.
_NO_DETAIL = ("SEVDESK-HTTP-", "SEVDESK-COUNTRY")


def contact_of(run: Run, party: Party, *, tax_rule: int | None = None, chosen: str | None = None) -> str:
    """sevdesk's id of the buyer's contact: known, adopted or created, complete, once per customer number.

    `tax_rule` is the document's where its VAT id is reported; `chosen` answers CONTACT-AMBIGUOUS, else the order's
    resolution does. Raises Retryable or Ambiguous (later), Rejected (never), NeedsAttention("CONTACT-AMBIGUOUS" or
    "CONTACT-VAT-ID").
    """
    fresh, known = False, _known(run, party)
    if known is None:
        fresh, known = _found_or_made(run, party, chosen)
    if known.unfinished:
        _finish(run, party, known, fresh)
    if tax_rule in REPORTED_RULES and party.vat_id and known.vat_mark != _mark(plain_vat_id(party.vat_id)):
        _carry_vat_id(run, party, known)
    return known.sevdesk_id


def _known(run: Run, party: Party) -> KnownContact | None:
    door = run.ctx.door(run.tenant)
    return door.read(Store.BOOKS, lambda tx: books.contact(tx, run.tenant, party.customer_number))


# -- the claim ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Claim:
    """An intent and whether it is this run's to carry out; if not, `wait` says in how many seconds to look again."""

    intent: books.Intent
    mine: bool
    wait: float = 0.0


def _claim(run: Run, party: Party, what: str, reason: str) -> _Claim:
    """Claim the step `what` of the party's contact for this run, and the turn of its mailbox and VAT id."""
    ctx, tenant = run.ctx, run.tenant
    key = f"contact:{party.customer_number}{what}"

    def claim(tx: Transaction) -> _Claim:
        now = ctx.clock()
        kind = "contact"
        intent = books.intend(tx, tenant, "", key=key, kind=kind, run_id=run.run_id, reason=reason, now=now)
        if intent.done:
            return _Claim(intent, False)
        if not intent.new:
            landed = intent.called_at + timedelta(seconds=ctx.timing.client_timeout + ctx.timing.ambiguous_wait)
            wait = (landed - now).total_seconds()
            taken = None if wait > 0 else books.take_over(tx, tenant, intent, run.run_id, now)
            if taken is None:  # under way, or its outcome is unknown and nobody is at it
                return _Claim(intent, False, min(wait, _SOON) if intent.run_id and wait > 0 else max(wait, _SOON))
            intent = taken
        for turn in _turns(party):
            if not books.take_lease(tx, tenant, turn, _holder(party), now, ctx.until(_TURN)):
                raise _busy(_SOON)
        return _Claim(intent, True)

    return run.write(claim)


def _turns(party: Party) -> list[str]:
    """What other buyers may share with this one, so that they take turns: names without personal data."""
    shared = {"mail": mailbox(party.email), "vat": plain_vat_id(party.vat_id)}
    return [] if party.collective else [f"contact-{kind}:{_mark(text)}" for kind, text in shared.items() if text]


def _holder(party: Party) -> str:
    """Turns are the customer's and not the run's: the next run of the same customer goes on at once."""
    return _mark(party.customer_number)


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def _busy(after: float) -> Retryable:
    return Retryable("CONTACT-BUSY", "another run is at work on this contact", after=after)


def _let_go(run: Run, party: Party, claim: _Claim, because: LadenbuchError) -> None:
    """Nothing was sent now: the next run need not wait. The turn is kept unless a person must answer first: an earlier
    call may have made the contact, and without its mailbox nobody else would find it.
    """
    if not claim.mine:
        return

    def release(tx: Transaction) -> None:
        books.take_over(tx, run.tenant, claim.intent, "", run.ctx.clock() - timedelta(days=1))
        if isinstance(because, NeedsAttention):
            _end_turns(tx, run, party)

    run.record(release)


def _end_turns(tx: Transaction, run: Run, party: Party) -> None:
    for turn in _turns(party):
        books.give_lease(tx, run.tenant, turn, _holder(party))


def _send(run: Run, party: Party, claim: _Claim, call: Callable[[], str | None]) -> str | None:
    """Stamp the claim, so that it says when the call left, and call. What is unknown afterwards stays nobody's."""
    stamped = run.write(lambda tx: books.take_over(tx, run.tenant, claim.intent, run.run_id, run.ctx.clock()))
    if stamped is None:
        raise _busy(_SOON)
    try:
        with leaving_before(stamped.called_at + timedelta(seconds=run.ctx.timing.client_timeout)):
            return call()
    except Ambiguous:
        run.record(lambda tx: books.take_over(tx, run.tenant, stamped, "", stamped.called_at))
        raise
    except (Rejected, Retryable) as error:
        _let_go(run, party, _Claim(stamped, True), error)
        raise


# -- found, adopted or created ------------------------------------------------------------------------------------


def _found_or_made(run: Run, party: Party, chosen: str | None) -> tuple[bool, KnownContact]:
    """The contact, and whether it was made just now."""
    claim = _claim(run, party, "", "The buyer needs a contact before the first invoice.")
    if claim.intent.done:
        known = _known(run, party)
        if known is None:
            raise _busy(_SOON)
        return False, known
    try:
        found = run.sevdesk.find_contact(party.customer_number)
        if found is not None:
            origin = "adopted" if party.collective else "created"
            known = KnownContact(found, origin, unfinished=not party.collective)
            return False, _remember(run, party, claim, known, "was found by its customer number")
        if not claim.mine:
            raise _busy(claim.wait)
        decision = _decide(run, party, chosen)
    except LadenbuchError as error:
        _let_go(run, party, claim, error)
        raise
    if isinstance(decision, Adopt):
        theirs = decision.candidate
        mark = _mark(plain_vat_id(theirs.vat_id)) if theirs.vat_id else None
        known = KnownContact(theirs.id, "adopted", vat_mark=mark)
        return False, _remember(run, party, claim, known, f"of the account is the buyer's ({decision.evidence})")
    created = _send(run, party, claim, lambda: run.sevdesk.create_contact(party))
    assert created is not None
    mark = _mark(plain_vat_id(party.vat_id)) if party.vat_id and not party.collective else None
    known = KnownContact(created, "created", not party.collective and _has_details(party), mark)
    return True, _remember(run, party, claim, known, "was created")


def _decide(run: Run, party: Party, chosen: str | None) -> Adopt | Create:
    """Look among the merchant's own contacts, in as few requests as there are (facts 1.4). Raises NeedsAttention."""
    if party.collective:
        return Create()
    found = {one.id: one for one in run.sevdesk.organisations_with_vat_id(party.vat_id or "")}
    for one in run.sevdesk.contacts_with_email(party.email or ""):
        found[one.id] = one
    for one in to_look_at(party, found.values()):
        lines = run.sevdesk.contact_addresses(one.id)
        found[one.id] = replace(one, doors=tuple(Door(line.street, line.zip, line.city) for line in lines))
    decision = match(party, found.values())
    if not isinstance(decision, Ask):
        return decision
    message = "several contacts in sevdesk may be this buyer"
    ask = NeedsAttention("CONTACT-AMBIGUOUS", message, choices=decision.choices, about=decision.about)
    answer = decision.answered(chosen or answered(run, ask))
    if answer is None:
        raise ask
    return answer


def _remember(run: Run, party: Party, claim: _Claim, known: KnownContact, how: str) -> KnownContact:
    """Record the contact; returns what is in the books now (another run's record may have come first)."""

    def record(tx: Transaction) -> KnownContact:
        books.contact_known(tx, run.tenant, party.customer_number, known)
        books.done(tx, run.tenant, claim.intent.key, run.ctx.clock(), known.sevdesk_id)
        if claim.mine and not known.unfinished:
            _end_turns(tx, run, party)
        if claim.mine:
            run.say(tx, "contact", f"Contact {known.sevdesk_id} {how}, for customer number {party.customer_number}.")
        first = books.contact(tx, run.tenant, party.customer_number)
        assert first is not None
        return first

    return run.record(record)


# -- address and mailbox ------------------------------------------------------------------------------------------


def _has_details(party: Party) -> bool:
    return bool(party.email or party.street or party.zip or party.city)


def _finish(run: Run, party: Party, known: KnownContact, fresh: bool) -> None:
    """Give the contact its address and mailbox, each where it has none. Every order waits for that: it converges."""
    claim = _claim(run, party, ":details", "A contact of ours has its address and its mailbox.")
    if claim.intent.done:
        return
    try:
        untouched = fresh and claim.mine and claim.intent.new
        missing = _missing(run, party, known.sevdesk_id, untouched)
        if missing and not claim.mine:
            raise _busy(claim.wait)
    except LadenbuchError as error:
        _let_go(run, party, claim, error)
        raise
    refused: list[str] = []
    if missing:
        _send(run, party, claim, lambda: _add(run, party, known.sevdesk_id, missing, refused))

    def record(tx: Transaction) -> None:
        books.contact_finished(tx, run.tenant, party.customer_number)
        books.done(tx, run.tenant, claim.intent.key, run.ctx.clock(), known.sevdesk_id)
        _end_turns(tx, run, party)
        for what in refused:
            run.say(tx, "contact", f"sevdesk refused the {what} of contact {known.sevdesk_id}; it goes without.")

    run.record(record)


def _missing(run: Run, party: Party, contact_id: str, untouched: bool) -> list[str]:
    """Which details the contact lacks; one that was made just now lacks all, without a look."""
    missing = []
    if party.street or party.zip or party.city:
        lines = [] if untouched else run.sevdesk.contact_addresses(contact_id)
        if not any(line.category_id == str(BILLING_CATEGORY) for line in lines):
            missing.append("address")
    if party.email:
        ways = [] if untouched else run.sevdesk.communication_ways(contact_id)
        if not any(way.kind == "EMAIL" for way in ways):
            missing.append("mailbox")
    return missing


def _add(run: Run, party: Party, contact_id: str, missing: list[str], refused: list[str]) -> None:
    """Add what is missing. What sevdesk finds unusable is noted in `refused`: the document carries it anyway."""
    steps: dict[str, Callable[[], object]] = {
        "address": lambda: run.sevdesk.create_address(contact_id, party),
        "mailbox": lambda: run.sevdesk.create_email(contact_id, party.email or ""),
    }
    for what in missing:
        try:
            steps[what]()
        except Rejected as refusal:
            if not refusal.code.startswith(_NO_DETAIL):
                raise
            refused.append(f"{what} ({refusal.code})")


# -- the VAT id ---------------------------------------------------------------------------------------------------


def _carry_vat_id(run: Run, party: Party, known: KnownContact) -> None:
    """Make sure the contact carries the document's VAT id: sevdesk's recapitulative statement reads it there.

    A missing one is added once, also to a contact of the merchant; another one is never overwritten, and one that a
    person took away is not added again (CONTACT-VAT-ID).
    """
    vat_id = plain_vat_id(party.vat_id)
    claim = _claim(run, party, f":vat:{_mark(vat_id)}", "The recapitulative statement reads the contact's VAT id.")
    try:
        contact = run.sevdesk.get_contact(known.sevdesk_id)
        theirs = plain_vat_id(contact.vat_id if contact else None)
        if theirs != vat_id and (theirs or claim.intent.done):
            message = "the contact in sevdesk does not carry the document's VAT id"
            choices = ("correct the contact in sevdesk", "exclude the order")
            about = (f"contact:{known.sevdesk_id}",)
            raise NeedsAttention("CONTACT-VAT-ID", message, choices=choices, about=about)
        if not theirs and not claim.mine:
            raise _busy(claim.wait)
    except LadenbuchError as error:
        _let_go(run, party, claim, error)
        raise
    if not theirs:
        _send(run, party, claim, lambda: run.sevdesk.set_vat_number(known.sevdesk_id, vat_id))

    def record(tx: Transaction) -> None:
        books.contact_carries(tx, run.tenant, party.customer_number, _mark(vat_id))
        books.done(tx, run.tenant, claim.intent.key, run.ctx.clock(), known.sevdesk_id)
        if claim.mine:
            _end_turns(tx, run, party)
        if not theirs:
            run.say(tx, "contact", f"The buyer's VAT id was added to contact {known.sevdesk_id}.")

    run.record(record)
