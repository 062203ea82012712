"""Runs, calls and letters as OpenTelemetry spans, where LADENBUCH_TRACES is on and the extra `telemetry` is installed.

All spans of one `trace` (trace.py) are in one OpenTelemetry trace, on whatever thread or machine they were made: its id
is the webhook's, so that a line of the log and a span find each other. A span carries names, codes and ids, never a
text of an exception or a body.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from ladenbuch import __version__
from ladenbuch.errors import UsageError
from ladenbuch.telemetry.trace import current

_tracer: Any = None
_NOTHING = nullcontext()


def start_tracing(exporter: Any = None) -> None:
    """From now on, spans are made and exported: by OTLP as the OTEL_EXPORTER_OTLP_… variables say, or to `exporter`.

    Raises UsageError("SETTING") when what that needs is not installed.
    """
    global _tracer
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    except ImportError:
        raise UsageError("SETTING", "LADENBUCH_TRACES needs the extra: pip install ladenbuch[telemetry]") from None
    provider = TracerProvider(resource=Resource.create({"service.name": "ladenbuch", "service.version": __version__}))
    if exporter is not None:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    else:
        provider.add_span_processor(BatchSpanProcessor(_otlp()))
    _tracer = provider.get_tracer("ladenbuch", __version__)


def stop_tracing() -> None:
    """No more spans."""
    global _tracer
    _tracer = None


def span(name: str, **attributes: str | int) -> AbstractContextManager[None]:
    """What happens inside is a span; nothing at all while spans are not made."""
    return _NOTHING if _tracer is None else _made(name, attributes)


@contextmanager
def _made(name: str, attributes: dict[str, str | int]) -> Iterator[None]:
    quiet = {"record_exception": False, "set_status_on_exception": False}
    with _tracer.start_as_current_span(name, context=_context(), attributes=attributes, **quiet):
        yield


def failed(code: str) -> None:
    """The span that is open here failed."""
    if _tracer is None:
        return
    from opentelemetry import trace

    open_one = trace.get_current_span()
    open_one.set_status(trace.Status(trace.StatusCode.ERROR, code))
    open_one.set_attribute("ladenbuch.code", code)


def id_of(text: str) -> int:
    """The 128 bits of an OpenTelemetry trace id: those of a webhook id that is a UUID, else of a digest."""
    try:
        return uuid.UUID(text).int or 1
    except ValueError:
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big") or 1


def _context() -> Any:
    """Under the span that is open here if it belongs to the same work, else under the work's own root."""
    from opentelemetry import trace

    work = current()
    if work is None:
        return None
    wanted = id_of(work)
    here = trace.get_current_span().get_span_context()
    if here.is_valid and here.trace_id == wanted:
        return None
    root = int.from_bytes(hashlib.sha256(b"root:" + work.encode()).digest()[:8], "big") or 1
    parent = trace.SpanContext(wanted, root, is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))


def _otlp() -> Any:
    from importlib import import_module

    name = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    try:
        return import_module(name).OTLPSpanExporter()
    except ImportError:
        what = "LADENBUCH_TRACES needs an exporter: pip install opentelemetry-exporter-otlp-proto-http"
        raise UsageError("SETTING", what) from None
