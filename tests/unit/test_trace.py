"""One id for all lines about one piece of work (S26, P6)."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import threading

import pytest

from ladenbuch.errors import Retryable
from ladenbuch.telemetry import configure_logging
from ladenbuch.telemetry.trace import bindings, bound, current, trace_of

UUID = "7b5c2f1e-9d4a-4a51-8a3e-0123456789ab"


@pytest.mark.parametrize("given", [UUID, "0123456789abcdef"])
def test_a_webhook_id_is_its_own_trace(given: str) -> None:
    assert trace_of(given) == given


@pytest.mark.parametrize("given", ["erika@example.org", "a b", "x", "", "../etc", "ü" * 10, "a" * 65, "a\nb-cdefghi"])
def test_a_header_that_is_no_id_does_not_get_into_the_log(given: str) -> None:
    """The header is not signed: a replayed delivery could carry anything in it."""
    made = trace_of(given)
    assert given not in made or given == ""
    assert made == trace_of(given)
    assert made.startswith("webhook-")


def test_the_inner_binding_wins_and_ends() -> None:
    assert current() is None
    with bound(trace="a-trace", tenant="t1"):
        with bound(trace="another"):
            assert (current(), bindings()["tenant"]) == ("another", "t1")
        assert current() == "a-trace"
    assert dict(bindings()) == {}


def test_another_thread_has_its_own() -> None:
    seen = []
    with bound(trace="mine"):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
        contextvars.copy_context().run(lambda: seen.append(current()))
    assert seen == [None, "mine"]


def test_lines_carry_what_is_bound_and_what_they_say_themselves() -> None:
    root, stream = logging.getLogger(), io.StringIO()
    before, level = list(root.handlers), root.level
    configure_logging("json", stream=stream)
    buyer = " ".join(["Erika", "Muster"])
    try:
        with bound(trace=UUID, tenant="t1", order="gid://shopify/Order/1"):
            logging.getLogger("a").info("run ended", extra={"code": "SETTLED", "order": "gid://shopify/Order/2"})
            try:
                try:
                    raise KeyError(buyer)
                except KeyError as error:
                    raise Retryable("SHOPIFY-DOWN", "answered 503") from error
            except Retryable:
                logging.getLogger("a").exception("settle failed")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (first["trace"], first["tenant"], first["code"]) == (UUID, "t1", "SETTLED")
    assert first["order"] == "gid://shopify/Order/2", "the line itself knows best"
    assert second["trace"] == UUID
    assert "SHOPIFY-DOWN: answered 503" in second["exception"], "our own errors quote nobody"
    assert "test_trace.py" in second["exception"]
    assert "KeyError" in second["exception"]
    assert buyer not in stream.getvalue(), "what others raise may quote a row"
