"""`ladenbuch serve`: web and workers in one process, or one of the two."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from ladenbuch import inbox, outbox, tenants
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.cli.ports import end_in_order, listen
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import LadenbuchError
from ladenbuch.settings import Settings

log = logging.getLogger(__name__)


def serve_forever(role: str | None) -> None:
    """Serve until SIGTERM or ctrl-c. Raises UsageError: wrong settings, or the executor's lock is held (exit 2)."""
    import uvicorn

    from ladenbuch.telemetry import configure_logging

    settings = Settings.read()
    role = role or settings.role
    configure_logging(settings.log_format, level=logging.WARNING)
    house = Ladenbuch.open(settings)
    try:
        if role in ("all", "worker"):
            house.work(make_engine(settings))
        app = make_app(house, with_ingest=role in ("all", "web"))
        listener = listen(settings.host, settings.port)
        port = listener.getsockname()[1]
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=75)
        if sys.stderr.isatty():
            sys.stderr.write(f"ladenbuch: http://{settings.host}:{port} ({role}); ctrl-c ends it\n")
        end_in_order()
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        house.close()


def make_engine(settings: Settings) -> Any:
    """The durable engine on SQLite or PostgreSQL."""
    from ladenbuch.engine.dbos import DbosEngine

    url = settings.database_url.get_secret_value() if settings.database_url else None
    if url is not None:
        return DbosEngine(settings.executor_id, url=url, workers=settings.workers)
    return DbosEngine(settings.executor_id, data_dir=Path(settings.data_dir), workers=settings.workers)


def make_app(house: Ladenbuch, *, with_ingest: bool = True) -> Any:
    """The web application of a house."""
    from ladenbuch.inbox import GroupCommit
    from ladenbuch.web.app import create_app
    from ladenbuch.web.ingest import Ingest

    ingest = None
    if with_ingest:
        wake = house.context.wake
        commit = GroupCommit(house.database, house.vault, utc_now, lambda: wake("dispatch"))
        ingest = Ingest(commit, house.tenant_of, utc_now, api_version=house.api_version, metrics=house.metrics)
    return create_app(ingest, ready=lambda: state_of(house), metrics=lambda: rendered(house), pages=_pages(house))


def _pages(house: Ladenbuch) -> list[Any]:
    from ladenbuch.web.pages import create_pages
    from ladenbuch.web.reads import SqlReads

    reads = SqlReads(house.database, utc_now)
    return list(create_pages(reads, utc_now, reads.tenants))


def state_of(house: Ladenbuch) -> dict[str, Any]:
    """What waits, what runs, whether the stores answer: the body of /readyz."""
    now = utc_now()
    try:
        system = house.database.system("health")
        depth = system.read(Store.INBOX, lambda tx: inbox.depth(tx, now))

        def books_state(tx: Transaction) -> dict[str, Any]:
            return {"letters": dict(outbox.counts(tx)), "stopped": tenants.stopped(tx, None)}

        more = system.read(Store.BOOKS, books_state)
    except LadenbuchError as error:
        return {"ready": False, "code": error.code, "why": error.message}
    except Exception as error:
        return {"ready": False, "code": "DB", "why": type(error).__name__}
    return {
        "ready": True,
        "waiting": depth.waiting,
        "running": depth.running,
        "oldest_unattempted_seconds": depth.oldest_unattempted_seconds,
        **more,
    }


def rendered(house: Ladenbuch) -> bytes:
    """The metrics page, its gauges read at the moment of asking."""
    state = state_of(house)
    if state["ready"]:
        readings: Any = {
            "webhook_queue_depth": [((name,), state[name]) for name in ("waiting", "running")],
            "oldest_unattempted_seconds": [((), state["oldest_unattempted_seconds"])],
        }
        house.metrics.read_gauges = lambda: readings
    return house.metrics.render()
