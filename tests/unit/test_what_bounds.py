"""The proof of many machines says why it took long, or does not hold (S66)."""

from __future__ import annotations

from pathlib import Path

import pytest

from what_bounds import Meter, reason

FIGURES = {
    "processors": 2, "processors_busy_percent": 97, "processors_for_workers_percent": 55,
    "processors_for_web_percent": 2, "processors_for_database_percent": 15, "processors_for_simulators_percent": 20,
    "processors_for_others_percent": 5,
    "worker_cpu_s_per_order": 0.5, "database_cpu_s_per_order": 0.14, "sevdesk_calls_per_s_and_account": 1.5,
    "sevdesk_budget_used_up_percent": 3, "database_away_percent": 4, "sustained_per_s": 2.1, "offered_per_s": 50.0,
}  # fmt: skip


def test_s66_the_reason_names_what_was_full_with_its_figures() -> None:
    said = reason(FIGURES, 10.0) or ""
    assert said.startswith(
        "2.1 orders a second were sustained where 50 were offered. What bounds it is this machine: 2"
    )
    assert "97 % busy (workers 55 %, web 2 %, database 15 %, simulators 20 %, others on this machine 5 %)" in said
    said = reason(FIGURES | {"sevdesk_budget_used_up_percent": 80, "sevdesk_calls_per_s_and_account": 9.7}, 10.0) or ""
    assert (
        "What bounds it is the budget of sevdesk: each account of sevdesk was called 9.7 times a second of 10" in said
    )


def test_s66_where_nothing_was_full_there_is_no_reason() -> None:
    assert reason(FIGURES | {"processors_busy_percent": 70}, 10.0) is None


def process(proc: Path, pid: int, parent: int, used: int, start: int = 1) -> None:
    (proc / str(pid)).mkdir(exist_ok=True)
    fields = ["S", str(parent), *["0"] * 9, str(used), "0", *["0"] * 6, str(start), "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} (a (b) c) {' '.join(fields)}")


def test_s66_processor_time_goes_to_who_used_it(tmp_path: Path) -> None:
    """Of 1000 ticks of two processors 300 are the workers', one of which was replaced under the same number."""
    (tmp_path / "stat").write_text("cpu 1000 0 0 5000 0 0 0 0 0 0\ncpu0 1\n")
    process(tmp_path, 10, 1, 400)
    process(tmp_path, 20, 1, 7)
    process(tmp_path, 21, 20, 50)
    process(tmp_path, 99, 1, 5)
    meter, roles = Meter(tmp_path), {10: "workers"}
    meter.look(0.0, roles, [20])
    process(tmp_path, 10, 1, 500)
    meter.look(1.0, roles, [20])
    process(tmp_path, 10, 1, 200, start=2)
    process(tmp_path, 21, 20, 250)
    (tmp_path / "stat").write_text("cpu 1500 100 100 5200 50 0 0 50 0 0\n")
    meter.look(5.0, roles, [20])
    for at, count in ((0.0, 0), (10.0, 95), (20.0, 100)):
        meter.called(at, {"a": count}, 10.0)
    assert {"processors_busy_percent": 75, "processors_for_workers_percent": 30, "processors_for_database_percent": 20,
            "processors_for_others_percent": 25, "sevdesk_budget_used_up_percent": 50,
            "sevdesk_calls_per_s_and_account": 20.0}.items() <= meter.figures(10, 1).items()  # fmt: skip
    assert meter.figures(10, 1)["worker_cpu_s_per_order"] == pytest.approx(0.3)
