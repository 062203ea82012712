"""The auditor: compares what the shop really sold with what stands in sevdesk and what buyers received.

It reads the shop's truth, sevdesk's state and the mail inbox, and nothing of the product. What must exist it works out
itself, from the whole chain of documents each order owes (`owed`); the label of a life is only checked against that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ladenbuch.simulators.auditing.chain import LETTERS, Chains
from ladenbuch.simulators.auditing.ground import AuditReport
from ladenbuch.simulators.owed import Node

__all__ = ["CLEARING", "AuditReport", "audit"]

CLEARING = ("shopify_payments", "klarna", "paypal", "gift_card", "shopify_store_credit")


def audit(
    truth: Iterable[Node],
    sevdesk_state: Node,
    messages: Sequence[Node],
    *,
    note_prefix: str | Mapping[str, str] | None = None,
    clearing: Collection[str] = CLEARING,
    foreign: Collection[str | int] = (),
    others: Mapping[str, str] | None = None,
    uncertain_letters: Collection[str] = (),
    letters: Collection[str] = LETTERS,
) -> AuditReport:
    """Audit a finished run (every event of every life has happened).

    `truth`: `{"snapshot", "label", "fired_at", "shop"?}` per order; `fired_at` is one instant or instants by event
    index. `sevdesk_state`: what the sevdesk simulator's control API tells. `messages`: the mails buyers got, each with
    `to`, `subject` and file names of attachments. `note_prefix`: the shop key in front of `:<order id>` in a note, or
    one per shop domain. `foreign`: ids of documents a person made, which are nobody's. `others`: ids of invoices
    another tool wrote, with the number of the order each is of, whatever their note says: who wrote them sent them, and
    what others paid on them is theirs. `uncertain_letters`: names of
    orders whose letter is known to be uncertain; their missing letter is counted apart. `letters`: the kinds of
    documents each of which owes a letter (a document of another kind may have one).
    """
    chains = Chains(sevdesk_state, messages, note_prefix, clearing, foreign, uncertain_letters, letters=letters)
    chains.others = {str(identifier): order for identifier, order in (others or {}).items()}
    return chains.run(list(truth))
