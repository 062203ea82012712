"""Telling the shop that money came in, once per fact: intent, look, mutation, look again (`run.once`).

The look before is Shopify's own `canMarkAsPaid` and what is open: where either is not as the plan saw it, nothing is
told and the order is planned anew. A mutation whose answer was lost is not repeated before that look says that it did
not arrive. Our own webhook then finds nothing left to tell.
"""

from __future__ import annotations

from ladenbuch import money_back
from ladenbuch.db import Transaction
from ladenbuch.domain.actions import Action, Told
from ladenbuch.domain.transfers import AS_A_WHOLE
from ladenbuch.errors import Ambiguous, LadenbuchError, NeedsAttention, Retryable
from ladenbuch.shopify import paying
from ladenbuch.workflows.run import Run, answered, once


def tell_paid(run: Run, action: Action) -> None:
    """Mark the order as paid, or record a part of it where the shop's plan has that.

    Raises NeedsAttention("TRANSFER-PARTIAL") where it has not, Rejected("SHOPIFY-SCOPE", "SHOPIFY-REFUSED").
    """
    told = action.told
    assert told is not None
    whole = told.full or told.confirm or _as_a_whole(run, action, told)

    def pin(tx: Transaction) -> None:
        for line_id, amount in told.chosen:
            if not money_back.take(tx, run.tenant, line_id, run.order_id, amount):
                raise Retryable("UNCONFIRMED", "a person chose another order for the transfer")

    def find() -> str | None:
        seen = paying.payable(run.shopify, run.order_id)
        if seen is None:
            raise Retryable("ORDER-INCOMPLETE", "the order cannot be read")
        before = set(told.before)
        landed = [one.id for one in seen.paid if one.id not in before]
        if told.confirm or (landed and seen.open <= told.open - told.amount):
            return ",".join(landed)[:200] or "known"
        if not seen.can or seen.open != told.open or seen.currency != "EUR":
            raise Retryable("ORDER-MOVING", "the order changed while the shop was told of its money", after=1.0)
        return None

    def call() -> str:
        if whole and told.at is None:
            paying.mark_as_paid(run.shopify, run.order_id)
        else:
            amount, at = None if whole else told.amount, told.at or run.shopify.in_shop_time(run.ctx.clock())
            paying.record_payment(run.shopify, run.order_id, amount, "EUR", told.method, at)
        try:
            done = find()
        except LadenbuchError as error:  # it may have landed, whatever is wrong with the look
            raise Ambiguous("UNCONFIRMED", f"what was told could not be looked at: {error.code}") from error
        if done is None:
            raise Ambiguous("UNCONFIRMED", "the payment does not show in the shop yet")
        return done

    def record(tx: Transaction, payments: str) -> str:
        run.say(tx, "told", f"{told.amount} minor units came in by transfer; the shop was told ({payments}).")
        return payments

    once(run, action.key, "tell_paid", action.reason, pin=pin, find=find, call=call, record=record)


def _as_a_whole(run: Run, action: Action, told: Told) -> bool:
    """Whether a part is told as the whole, because a person says so; False where Shopify takes the part."""
    what = f"{told.amount} of {told.open} minor units came in by transfer"
    choices = ("wait for the rest", AS_A_WHOLE, "book by hand")
    ask = NeedsAttention("TRANSFER-PARTIAL", what, choices=choices, about=action.covers)
    if answered(run, ask) == AS_A_WHOLE:
        return True
    if run.recovering or paying.is_plus(run.shopify):
        return False
    raise ask
