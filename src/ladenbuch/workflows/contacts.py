"""The buyer's contact in sevdesk: one per customer number, however many orders come at once."""

from __future__ import annotations

from datetime import timedelta

from ladenbuch import books
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.document import Party
from ladenbuch.errors import Ambiguous, Rejected, Retryable
from ladenbuch.workflows.run import Run, not_sent


def contact_of(run: Run, party: Party) -> str:
    """sevdesk's id of the buyer's contact, created once per customer number even when two orders come at once.

    Raises Retryable or Ambiguous (later), Rejected (never).
    """
    door = run.ctx.door(run.tenant)
    known = door.read(Store.BOOKS, lambda tx: books.contact(tx, run.tenant, party.customer_number))
    if known is not None:
        return known
    key = f"contact:{party.customer_number}"
    intent = run.write(
        lambda tx: books.intend(
            tx,
            run.tenant,
            "",
            key=key,
            kind="contact",
            run_id=run.run_id,
            reason="The buyer needs a contact before the first invoice.",
            now=run.ctx.clock(),
        )
    )
    found = run.sevdesk.find_contact(party.customer_number)
    if found is None:
        if not intent.new:
            timing = run.ctx.timing
            settled = intent.called_at + timedelta(seconds=timing.client_timeout + timing.ambiguous_wait)
            wait = (settled - run.ctx.clock()).total_seconds()
            if wait > 0:
                raise Retryable("CONTACT-BUSY", "another run is creating this contact", after=min(wait, 1.0))
            run.write(lambda tx: books.call_again(tx, run.tenant, key, run.run_id, run.ctx.clock()))
        try:
            found = run.sevdesk.create_contact(party)
        except Ambiguous:
            raise
        except (Rejected, Retryable):
            run.record(lambda tx: not_sent(tx, run, key, intent.new))
            raise
    contact_id = found

    def record(tx: Transaction) -> None:
        books.contact_known(tx, run.tenant, party.customer_number, contact_id)
        books.done(tx, run.tenant, key, run.ctx.clock(), contact_id)

    run.record(record)
    return contact_id
