"""What we heard, and which orders therefore want to be looked at.

Three tables, written by this module alone. `events`: each webhook delivery once per tenant, its body sealed.
`order_marks`: one row per order (and per delivery that is not about an order but asks for something to be done,
such as app/uninstalled), the truth about outstanding work; `wanted` counts the reasons to look,
`settled` is the reason up to which everything is done. `poll_cursors`: how far the polls have seen.

    want ──► due ──► claim(run_id) ──► settled      nothing left, or due again when a newer want came
                 ▲                └──► postpone     due later, attempts + 1
                 └───────────────────── release_*   the claimant died

A mark belongs to the run whose id stands in it; every function that ends a run changes nothing, and says so,
when the mark is no longer that run's. Functions take an open transaction (`deliveries`,
`marks`); `GroupCommit` alone opens its own (`group_commit`).
"""

from __future__ import annotations

from ladenbuch.inbox.deliveries import (
    BODIES,
    BODY_PURPOSE,
    Delivery,
    Heard,
    Sealed,
    Sealer,
    bodies,
    erase,
    erase_all,
    erase_before,
    heard,
    heard_in,
    heard_orders,
    history,
    mark_of,
    newest_bodies,
    prune,
    record,
    record_all,
    told_since,
)
from ladenbuch.inbox.group_commit import GroupCommit
from ladenbuch.inbox.listening import asleep, last_told, note, noted, oldest_untried, take_turn, told
from ladenbuch.inbox.marks import (
    Claim,
    Depth,
    Due,
    at_work,
    claim,
    claimants,
    cursor,
    depth,
    due,
    holder,
    last_claim,
    next_due,
    postpone,
    release_executor,
    release_run,
    release_stale,
    resume,
    runs_of,
    set_cursor,
    settled,
    want,
    want_all,
)

__all__ = [
    "BODIES",
    "BODY_PURPOSE",
    "Claim",
    "Delivery",
    "Depth",
    "Due",
    "GroupCommit",
    "Heard",
    "Sealed",
    "Sealer",
    "asleep",
    "at_work",
    "bodies",
    "claim",
    "claimants",
    "cursor",
    "depth",
    "due",
    "erase",
    "erase_all",
    "erase_before",
    "heard",
    "heard_in",
    "heard_orders",
    "history",
    "holder",
    "last_claim",
    "last_told",
    "mark_of",
    "newest_bodies",
    "next_due",
    "note",
    "noted",
    "oldest_untried",
    "postpone",
    "prune",
    "record",
    "record_all",
    "release_executor",
    "release_run",
    "release_stale",
    "resume",
    "runs_of",
    "set_cursor",
    "settled",
    "take_turn",
    "told",
    "told_since",
    "want",
    "want_all",
]
