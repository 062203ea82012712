"""`ladenbuch serve`: web and workers in one process, or one of the two."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ladenbuch.bootstrap import Ladenbuch, app_of, utc_now
from ladenbuch.cli.ports import end_in_order, listen
from ladenbuch.settings import Settings

if TYPE_CHECKING:
    from ladenbuch.engine.lock import Lock
    from ladenbuch.web.health import Health

#: Seconds for which each file of the stores is looked at before anything starts.
_LOOK = 5.0

log = logging.getLogger(__name__)


def serve_forever(role: str | None) -> None:
    """Serve until SIGTERM or ctrl-c. Raises UsageError: wrong settings, or the executor's lock is held (exit 2)."""
    import uvicorn

    from ladenbuch.telemetry import configure_logging

    settings = Settings.read()
    role = role or settings.role
    configure_logging(settings.log_format, level=logging.getLevelNamesMapping()[settings.log_level.upper()])
    if settings.traces:
        from ladenbuch.telemetry.spans import start_tracing

        start_tracing()
    settings, lock = named(settings, role)
    house, alive = Ladenbuch.open(settings, look=_LOOK), None
    try:
        if role in ("all", "worker"):
            house.work(make_engine(settings, lock), role)
        else:
            alive = house.announce()
        app = make_app(house, role)
        listener = listen(settings.host, settings.port)
        port = listener.getsockname()[1]
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=75)
        if sys.stderr.isatty():
            sys.stderr.write(f"ladenbuch: http://{settings.host}:{port} ({role}); ctrl-c ends it\n")
        end_in_order()
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        if alive is not None:
            alive.stop()
            alive.join()
        house.close()
        if lock is not None:
            lock.release()


def named(settings: Settings, role: str) -> tuple[Settings, Lock | None]:
    """The settings with the name of this process. On PostgreSQL, where nobody named it, the host's name or the first of
    host-2, host-3 … that is free, with the lock that makes it ours: containers need no names."""
    url = settings.database_url
    if url is None or "executor_id" in settings.model_fields_set:
        return settings, None
    from ladenbuch.engine.lock import AdvisoryLock, names_of_host

    of = "web" if role == "web" else "engine"
    name, lock = AdvisoryLock.first_free(url.get_secret_value(), names_of_host(), of)
    return settings.model_copy(update={"executor_id": name}), lock


def make_engine(settings: Settings, lock: Lock | None = None) -> Any:
    """The durable engine on SQLite or PostgreSQL; `lock` is the executor's, where it is held already."""
    from ladenbuch.engine.dbos import DbosEngine

    url = settings.database_url.get_secret_value() if settings.database_url else None
    if url is not None:
        return DbosEngine(settings.executor_id, url=url, lock=lock, workers=settings.workers)
    return DbosEngine(settings.executor_id, data_dir=Path(settings.data_dir), workers=settings.workers)


def make_app(house: Ladenbuch, role: str = "all") -> Any:
    """The web application of a house."""
    from ladenbuch.inbox import GroupCommit
    from ladenbuch.web.app import create_app
    from ladenbuch.web.ingest import Ingest
    from ladenbuch.web.install import create_install

    health = house.health(role)
    ingest, pages = None, _pages(house, health)
    if role != "worker":
        wake, clock = house.context.wake, house.context.clock
        commit = GroupCommit(house.database, house.vault, clock, lambda: wake("dispatch"))
        app = app_of(house.settings)
        ingest = Ingest(
            commit,
            house.tenant_of,
            clock,
            secrets=() if app is None else app.secrets,
            api_version=house.api_version,
            metrics=house.metrics,
        )
        door = house.install_door()
        pages += [] if door is None else create_install(door)
        if house.feedback_keys:
            from ladenbuch.web.mail_feedback import create_feedback

            pages += create_feedback(house.feedback_door())
    return create_app(ingest, ready=lambda: health.look().as_json(), metrics=house.metrics.render, pages=pages)


def _pages(house: Ladenbuch, health: Health) -> list[Any]:
    from ladenbuch.web.arrivals import arrivals
    from ladenbuch.web.connection import connections
    from ladenbuch.web.given_up import GivenUp
    from ladenbuch.web.letters import HouseLetters
    from ladenbuch.web.operating import operations
    from ladenbuch.web.pages import create_pages
    from ladenbuch.web.paid_out import paid_out
    from ladenbuch.web.reads import SqlReads
    from ladenbuch.web.reconciled import reconciled

    def unwritable() -> bool:
        return any(not part.fine for part in health.look().parts if part.name in ("inbox", "books", "stores"))

    reads = SqlReads(house.database, utc_now, house.budgets, unwritable)
    settings = house.settings
    joined = connections(house.database, utc_now, settings.app_url, settings.optional_scopes)
    figures, compared = operations(house.metrics, health), reconciled(house.database)
    given_up, delivered = GivenUp(house.database), arrivals(house.database, house.now, house.feedback_keys)
    letters = HouseLetters(lambda: house.context)
    shown = figures, joined, given_up, compared, delivered, letters, paid_out(house.database)
    return list(create_pages(reads, utc_now, reads.tenants, *shown))
