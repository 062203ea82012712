"""For all tests: property tests know no deadline, and what was collected is not searched for garbage.

How long an example takes says something about the machine alone. Collected tests and imported modules live as long as
the process; looking through them for garbage again and again was a twentieth of all the time.
"""

from __future__ import annotations

import gc

from hypothesis import settings

settings.register_profile("ladenbuch", deadline=None)
settings.load_profile("ladenbuch")


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
