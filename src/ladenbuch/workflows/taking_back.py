"""One look through a plan for what sevdesk holds already, after the books were put back from a backup."""

from __future__ import annotations

import logging
from dataclasses import replace

from ladenbuch.domain.actions import Plan
from ladenbuch.errors import NeedsAttention, NotYet, Rejected, Retryable
from ladenbuch.workflows.posting import carry_out
from ladenbuch.workflows.run import Run, Unfound

log = logging.getLogger(__name__)


def take_back(run: Run, left: Plan) -> bool:
    """Write down what of the plan was done before the restore. True: something was, and the plan is another now.

    Nothing is called that writes. What is refused or asked about is left to the run proper. Raises Retryable when a
    look could not be taken: nothing may be written then.
    """
    again = replace(run, recovering=True)
    missed: set[str] = set()
    found = False
    due = {item.key for item in left.due(run.ctx.clock())}
    for action in left.actions:
        if action.key not in due or missed & set(action.after):
            missed.add(action.key)
            continue
        try:
            carry_out(again, action)
        except (Unfound, NeedsAttention, NotYet, Rejected):
            missed.add(action.key)
        except Retryable as error:
            if error.code != "UNCONFIRMED":
                raise
            missed.add(action.key)
        else:
            found = True
            log.info("found from before the restore", extra={"action": action.kind})
    return found
