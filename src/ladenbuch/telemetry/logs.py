"""Log lines without secrets or personal data, as JSON or for people."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

from ladenbuch.errors import LadenbuchError
from ladenbuch.telemetry.trace import bindings

Processor = Callable[[Any, str, MutableMapping[str, Any]], Mapping[str, Any] | str | bytes]

_SECRET_KEYS = re.compile(
    r"token|secret|password|passwd|authorization|api_?key|hmac|cookie|credential|ciphertext|private|dsn", re.I
)
_PERSONAL_KEYS = re.compile(
    r"e?mail|phone|address|street|zip|city|first_?name|last_?name|customer|recipient|buyer|body|payload", re.I
)
_OUR_IDS = frozenset({"run_id", "webhook_id", "event_id", "trace"})  # may have the shape of a token and are none
_IN_TEXT = (
    # URLs with credentials, e-mail addresses, and the shapes of Shopify's and sevdesk's tokens.
    (re.compile(r"(?<=://)[^/@\s:]+:[^@\s]+(?=@)"), "[secret]"),
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), "[email]"),
    (re.compile(r"\bshp[a-z]{2}_[0-9a-fA-F]{16,}\b"), "[secret]"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "[secret]"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "[secret]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 [secret]"),
)


def redact_text(text: str) -> str:
    """`text` without what looks like a credential or an e-mail address."""
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: values of telling keys vanish, all other text is searched."""
    for key, value in event.items():
        event[key] = _redacted(key, value)
    return event


def _redacted(key: str, value: Any) -> Any:
    if key != "event" and _SECRET_KEYS.search(key):
        return "[secret]"
    if key != "event" and _PERSONAL_KEYS.search(key):
        return "[personal]"
    if key in _OUR_IDS:
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {inner: _redacted(str(inner), item) for inner, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted("", item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return f"[{len(value)} bytes]"
    return value


def _place_of_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: an exception's kinds and places. Its text may quote a row or an answer, so only our own
    errors, which do not, keep theirs."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    parts: list[str] = []
    while isinstance(error, BaseException) and len(parts) < 10:
        text = str(error) if isinstance(error, LadenbuchError) else type(error).__name__
        parts.insert(0, "".join(traceback.format_tb(error.__traceback__)) + text)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if parts:
        event["exception"] = "\n\n".join(parts)
    return event


def _merge_bound(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: what is bound where the line is written (trace.py), unless the line says otherwise."""
    for key, value in bindings().items():
        event.setdefault(key, value)
    return event


def configure_logging(log_format: str = "auto", *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` (standard error), redacted.

    `log_format`: json (one object per line), text, or auto: text on a terminal, json otherwise. Callable again.
    """
    import structlog  # it brings half of Rich; commands that do not log need not wait for it

    out = stream if stream is not None else sys.stderr
    as_text = log_format == "text" or (log_format == "auto" and out.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if as_text else structlog.processors.JSONRenderer()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _merge_bound,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), structlog.stdlib.ExtraAdder(), *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _place_of_exception,
            redact,
            renderer,
        ],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [old for old in root.handlers if getattr(old, "ladenbuch", False)]:
        root.removeHandler(old)
    handler.ladenbuch = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(level)
    for name in ("httpx2", "httpcore2", "sqlalchemy", "alembic"):  # they log addresses and statements
        logging.getLogger(name).setLevel(logging.WARNING)
