"""One process that takes 10 points again and again from a bucket it shares: `python shared_budget.py URL NAME`.

For each call one line: when it was sent, when its answer was there (seconds since 1970), and its cost. Ends on SIGTERM.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time

from ladenbuch.bootstrap import utc_now
from ladenbuch.bucket import Bucket, TooLong
from ladenbuch.budgets import SharedBudget
from ladenbuch.db import Database

COST = 10.0


def work(bucket: Bucket, ended: threading.Event, output: threading.Lock) -> None:
    while not ended.is_set():
        try:
            turn = bucket.take(COST, time.sleep, 5.0)
        except TooLong:
            continue
        sent = time.time()
        time.sleep(random.random() * 0.02)
        answered = time.time()
        bucket.settle(turn, COST)
        with output:
            sys.stdout.write(f"{sent} {answered} {COST}\n")
            sys.stdout.flush()


def main(url: str, name: str) -> None:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    database = Database.open(url=url)
    sharing = SharedBudget(database, "k", name, utc_now, fixed=True, lease=0.8, renew=0.3, grace=0.4)
    bucket = Bucket(utc_now, 400.0, 1000.0, sharing=sharing)
    output = threading.Lock()
    threads = [threading.Thread(target=work, args=(bucket, ended, output)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bucket.close()
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
