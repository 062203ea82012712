"""A service answers none of our calls: a person hears of it once, with the hour it began, until it answers again.

What waits for it is looked after elsewhere: breakers keep the calls away (`breaker`), nothing of an outage is counted
against an order (`domain.retry`), and each order is asked for again soon after the service is back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ladenbuch.alarms import HOUSE, end_alarm, open_alarms, raise_alarm
from ladenbuch.db import Store, Transaction
from ladenbuch.telemetry.calls import Pulse
from ladenbuch.workflows.context import Context

KIND = "SERVICE-DOWN"
#: Whose silence is looked at, and how people call it.
NAMES = {"shopify": "Shopify", "sevdesk": "sevdesk", "mail": "mail"}
#: So many calls in a row must have failed.
_FEW = 5
#: How often the open alarms are read while nothing fails here: another process, or an earlier one, may have raised one.
_EVERY = timedelta(minutes=5)


class OutageWatch:
    """A tick of one process. `pulse` says how a service is, `patience` how long it may be silent."""

    def __init__(self, ctx: Context, pulse: Callable[[str], Pulse], patience: timedelta) -> None:
        self._ctx = ctx
        self._pulse = pulse
        self._patience = patience
        self._looked: datetime | None = None

    def __call__(self) -> None:
        """Raise and end the alarms of the services."""
        now = self._ctx.clock()
        pulses = {service: self._pulse(service) for service in NAMES}
        failing = {service: pulse for service, pulse in pulses.items() if self._fails(pulse, now)}
        if not failing and self._looked is not None and timedelta(0) <= now - self._looked < _EVERY:
            return

        def write(tx: Transaction) -> bool:
            for service, pulse in failing.items():
                assert pulse.failing_since is not None
                facts = {"service": NAMES[service], "since": f"{pulse.failing_since:%Y-%m-%d %H:%M} UTC"}
                raise_alarm(tx, HOUSE, KIND, service, now, facts)
            left = [one for one in open_alarms(tx, HOUSE) if one.kind == KIND]
            for one in left:
                answered = pulses.get(one.subject, Pulse()).answered_at
                if answered is not None and answered > one.last_seen:
                    left = [other for other in left if other is not one]
                    end_alarm(tx, HOUSE, KIND, one.subject, now)
            return bool(left)

        still = self._ctx.database.system("services").run(Store.BOOKS, write)
        self._looked = None if still else now

    def _fails(self, pulse: Pulse, now: datetime) -> bool:
        since = pulse.failing_since
        return since is not None and pulse.failures >= _FEW and now - since >= self._patience
