"""Orders of the wide world: refunds, edits after the invoice, foreign places, business buyers, odd money."""

from ladenbuch.simulators.lives.stage import Situation

WIDE: tuple[Situation, ...] = ()
