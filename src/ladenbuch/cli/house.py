"""Opening the house for one command, and finding the tenant that was meant."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from ladenbuch import tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store
from ladenbuch.errors import UsageError
from ladenbuch.settings import Settings
from ladenbuch.telemetry.trace import bound


@contextmanager
def opened(settings: Settings | None = None) -> Iterator[Ladenbuch]:
    """The house without its engine: commands never start it."""
    house = Ladenbuch.open(settings or Settings.read())
    try:
        with working_as(Priority.INTERACTIVE), bound(trace=f"cli-{uuid.uuid4().hex[:12]}"):
            yield house
    finally:
        house.close()


def chosen(house: Ladenbuch, tenant: str | None) -> tenants.Tenant:
    """The tenant named, or the only one. Raises UsageError when it is not clear which."""
    known = house.database.system("operator").read(Store.BOOKS, tenants.all)
    if tenant is not None:
        found = next((item for item in known if tenant in (item.id, item.shop)), None)
        if found is None:
            raise UsageError("TENANT", f"there is no tenant {tenant!r}; known: {_names(known)}")
        return found
    if len(known) != 1:
        raise UsageError("TENANT", f"name one with --tenant; known: {_names(known)}")
    return known[0]


def _names(known: list[tenants.Tenant]) -> str:
    return ", ".join(item.id for item in known) or "none"
