"""`make` finds a Python that runs, not just a name on the PATH."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def chosen(folder: Path, *more: Path) -> str:
    for tool in ("sh", "make", "git"):
        (folder / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
    printed = subprocess.run(
        ["make", "-n", "-B", "setup"],
        cwd=ROOT,
        env={"PATH": ":".join(map(str, (folder, *more)))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    first = printed.stdout.splitlines()[0]
    assert first.startswith("sh tools/check_python.sh"), printed.stdout + printed.stderr
    return first.split('"')[1]


def test_a_shim_that_cannot_run_is_passed_over(tmp_path: Path) -> None:
    script(tmp_path, "python3.13", 'echo "python3.13: command not found" >&2; exit 127')
    script(tmp_path, "python3.12", f'exec {sys.executable} "$@"')
    assert chosen(tmp_path) == str(tmp_path / "python3.12")


def test_a_shim_does_not_hide_the_same_name_further_on(tmp_path: Path) -> None:
    shims, real = tmp_path / "shims", tmp_path / "real"
    shims.mkdir()
    real.mkdir()
    for name in ("python3.11", "python3"):
        script(shims, name, "exit 127")
    script(real, "python3.11", f'exec {sys.executable} "$@"')
    assert chosen(shims, real) == str(real / "python3.11")


def test_a_newer_python_is_preferred_to_an_older_one(tmp_path: Path) -> None:
    for name in ("python3.13", "python3.11", "python3"):
        script(tmp_path, name, f'exec {sys.executable} "$@"')
    assert chosen(tmp_path) == str(tmp_path / "python3.13")


@pytest.mark.parametrize("too_old", [True, False])
def test_what_is_left_is_named_so_the_check_can_say_why(tmp_path: Path, too_old: bool) -> None:
    if too_old:
        script(tmp_path, "python3", "exit 1")
    assert chosen(tmp_path) == (str(tmp_path / "python3") if too_old else "")
