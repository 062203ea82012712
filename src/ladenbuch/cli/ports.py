"""Listening sockets and the end of a server, for the commands that serve."""

from __future__ import annotations

import signal
import socket
import sys

from ladenbuch.errors import UsageError


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises UsageError("PORT") when the address is not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise UsageError("PORT", f"cannot listen on {host}:{port}: {error.strerror or error}") from None


def end_in_order() -> None:
    """Let SIGTERM and ctrl-c end the command by its own last lines, with exit code 0, whenever they come.

    uvicorn stops serving on them and raises the signal again afterwards, which would kill the process there.
    """
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: sys.exit(0))
