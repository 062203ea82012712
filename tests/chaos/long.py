"""Many seeds of ring 1, on all processors, for as long as there is time: `python tests/chaos/long.py --seeds 50`.

Seeds are taken in order, so that what was run when the time is up is everything up to the last one. One line of JSON
per seed: what the auditor found, what befell the process, and the processor time. Exit 1 when a seed found something.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

from chaos.simulation import Simulation


def live(seed: int, orders: int) -> dict[str, Any]:
    """Run one seed; its row."""
    logging.disable(logging.CRITICAL)
    begun = time.process_time()
    simulation = Simulation(seed, orders)
    row: dict[str, Any] = {"seed": seed}
    try:
        report = simulation.run()
    except Exception as error:  # a seed that cannot be judged is a finding, and the others go on
        row["findings"] = [f"{type(error).__name__}: {error}"]
    else:
        row["findings"] = report.findings[:5]
        row |= {"duplicates": report.duplicates, "missing": report.missing, "wrong sums": report.cent_deviation}
        row |= {"wrong dates": report.wrong_dates, "strangers": report.strangers}
        row |= {"deaths": simulation.death.count, **simulation.death.happened}
    return {**row, "cpu": round(time.process_time() - begun, 3)}


def main(arguments: list[str]) -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("--first", 0), ("--seeds", 200), ("--orders", 100), ("--jobs", 2)):
        parser.add_argument(name, type=int, default=value)
    parser.add_argument("--seconds", type=float, default=None, help="begin no seed after so long")
    asked = parser.parse_args(arguments)
    end = None if asked.seconds is None else time.monotonic() + asked.seconds
    upcoming, found = iter(range(asked.first, asked.first + asked.seeds)), 0
    with ProcessPoolExecutor(asked.jobs, initializer=gc.freeze) as pool:
        running: set[Future[dict[str, Any]]] = set()
        more = True
        while more or running:
            while more and len(running) < asked.jobs:
                seed = next(upcoming, None) if end is None or time.monotonic() < end else None
                more = seed is not None
                if seed is not None:
                    running.add(pool.submit(live, seed, asked.orders))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                row = one.result()
                found += bool(row["findings"])
                sys.stdout.write(json.dumps(row) + "\n")
                sys.stdout.flush()
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
