"""The auditor is not blind: planted bugs are found (B3, S109); without deaths and weather none of them shows.

All eight are searched for by `make prove LINE=planted`, with the number of seeds each one takes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from chaos.planted import PLANTS, search
from chaos.simulation import Simulation


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("plant", ["find", "payloads", "commit after"])
def test_a_planted_bug_is_found(plant: str) -> None:
    assert search(plant, iter(range(1, 30, 2)), orders=40)[2]


@pytest.mark.parametrize("plant", ["run id", "commit after"])
def test_a_planted_bug_needs_bad_weather_to_show(plant: str) -> None:
    """So what is found is the bug's work and not that of a broken test."""
    with PLANTS[plant]():
        assert Simulation(1, 15, faults="calm", crash_rate=0.0, others={}).run().findings == []
