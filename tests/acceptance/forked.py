"""Commands as real processes that need not import the product anew.

Of the CPU time of a short command five sixths are imports. So a process that has them done (the stem) waits on a
socket and forks one for each command: its own environment, folder, standard streams and exit code, as the shell would
give it. What an import reads from the environment is the stem's; where that matters, start `python -m ladenbuch`.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

#: What the commands import when they are called.
_NEEDED = (
    *(
        "bootstrap",
        "migrations",
        "vat_rates",
        "web.codes",
        "workflows.limits",
        "workflows.readiness",
        "workflows.redriving",
    ),
    *(
        "cli.admin",
        "cli.app",
        "cli.certifying",
        "cli.dead_letters",
        "cli.doctor",
        "cli.orders",
        "cli.period",
        "cli.planning",
    ),
    "cli.resolving",
)


def run(
    arguments: tuple[str, ...], *, env: Mapping[str, str], stdin: str, cwd: Path | None, deadline: float
) -> subprocess.CompletedProcess[str]:
    """One command to its end. Raises `subprocess.TimeoutExpired` after `deadline` seconds, when it was killed."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        told = {"arguments": arguments, "env": dict(env), "cwd": str(cwd or Path.cwd())}
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(_stem())
            socket.send_fds(line, [json.dumps(told).encode() + b"\n"], [given.fileno(), out.fileno(), err.fileno()])
            answers = line.makefile("r")
            pid = int(answers.readline())
            line.settimeout(deadline)
            try:
                code = int(answers.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), deadline) from None
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode())
    return subprocess.CompletedProcess(list(arguments), code, *said)


@cache
def _stem() -> str:
    """Address of this test process's stem, which ends with it: it holds the other end of the stem's standard input."""
    folder = tempfile.mkdtemp(prefix="ladenbuch-stem-")
    address = f"{folder}/socket"
    process = subprocess.Popen([sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    _held.append(process)
    return address


_held: list[subprocess.Popen[bytes]] = []


def _serve(address: str) -> None:
    """Fork a keeper for each command that is asked for, until the test process is gone."""
    import importlib

    for name in _NEEDED:
        importlib.import_module(f"ladenbuch.{name}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while door in select.select([door, sys.stdin], [], [])[0]:  # else nobody holds our standard input any more
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _keep(line)
            line.close()


def _keep(line: socket.socket) -> NoReturn:
    """Start the command, tell its pid, wait for it, tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    body, fds, _, _ = socket.recv_fds(line, 1 << 20, 3)
    while not body.endswith(b"\n"):
        body += line.recv(1 << 20)
    pid = os.fork()
    if pid == 0:
        line.close()
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
        _become(json.loads(body))
    line.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(told: dict[str, Any]) -> NoReturn:
    os.environ.clear()
    os.environ.update(told["env"])
    os.chdir(told["cwd"])
    sys.argv[:] = ["ladenbuch", *told["arguments"]]
    for name, fd, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (to the end)
    code = 0
    try:
        runpy.run_module("ladenbuch", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        if isinstance(ended.code, str):
            sys.stderr.write(ended.code + "\n")
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1])
