"""What can be watched: the catalogue of metrics, outgoing calls, and log lines without secrets or personal data.

`calls` stands apart: it knows the HTTP client, which nobody who only logs should have to wait for.
"""

from __future__ import annotations

from ladenbuch.telemetry.logs import Processor, configure_logging, redact, redact_text
from ladenbuch.telemetry.metrics import INGEST_RESULTS, Metrics

__all__ = ["INGEST_RESULTS", "Metrics", "Processor", "configure_logging", "redact", "redact_text"]
