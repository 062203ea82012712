"""The front door keeps its word: links lead somewhere, commands run, figures are computed, promises name tests."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ladenbuch.shopify.cost import document, estimate_cost

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not path.is_relative_to(ROOT / "docs" / "proofs") or path.name == "README.md"
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_of_this_repository(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if not link.startswith(("http://", "https://", "#", "mailto:")):
            target = (page.parent / link.partition("#")[0]).resolve()
            assert target.exists(), f"{page.name}: {link}"
            assert target.is_relative_to(ROOT), f"{page.name}: {link}"


def test_every_page_of_the_docs_is_on_the_index() -> None:
    """On the index itself, or on the list of decisions it points to."""
    index = ROOT / "docs" / "index.md"
    lists = (index, ROOT / "docs" / "decisions" / "README.md")
    listed = {(page.parent / link).resolve() for page in lists for link in _LINK.findall(page.read_text())}
    docs = {page.resolve() for page in PAGES if page.is_relative_to(ROOT / "docs")} - {index.resolve()}
    assert docs - listed == set()


def test_the_picture_is_there_and_small() -> None:
    picture = ROOT / "docs" / "pictures" / "timeline.png"
    assert "docs/pictures/timeline.png" in README
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000


def test_each_promise_names_the_test_that_proves_it() -> None:
    promises = [one for one in section("What it promises").split("\n- ") if one.strip()]
    assert 5 <= len(promises) <= 6
    for promise in promises:
        assert re.search(r"\]\(tests/\S+\.py\)", promise), promise
        for link in re.findall(r"\((tests/\S+\.py)\)", promise):
            assert "def test_" in (ROOT / link).read_text(), link


def test_make_targets_that_pages_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)", page.read_text()):
            assert target in targets, f"{page.name}: make {target}"


def test_the_layers_are_those_of_the_import_contract() -> None:
    """The picture and the contract are the same list."""
    drawn = [part.strip().split("|") for part in section("The napkin").split("```")[1].split("→")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    contract = next(one["layers"] for one in contracts if one["type"] == "layers")
    layers = [[name.strip().removeprefix("ladenbuch.") for name in layer.split("|")] for layer in contract]
    assert [sorted(layer) for layer in drawn] == [sorted(layer) for layer in layers]


def test_the_table_of_capacity_is_computed() -> None:
    once = estimate_cost(document("order_head")) + estimate_cost(document("order_updated_at"))
    twice = once + estimate_cost(document("order_head"))
    rows = re.findall(r"^\| \w+ \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", section("How much it carries"), re.MULTILINE)
    figures = [[int(value.replace(",", "")) for value in row] for row in rows]
    assert figures == [[rate, rate * 300 // once, rate * 300 // twice] for rate in (100, 200, 1000, 2000)]
    text = section("How much it carries")
    assert f"{estimate_cost(document('order_head'))} points" in text
    assert f"{twice} points" in text
    per_order = int(re.search(r"takes about (\d+)", text)[1])  # type: ignore[index]
    assert f"{10 * 300 // per_order} orders per five minutes" in text


COMMANDS = [
    line.removeprefix(".venv/bin/ladenbuch ").split()
    for line in section("Commands").split("```")[1].splitlines()
    if line.startswith(".venv/bin/ladenbuch ")
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_run_as_printed(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "ladenbuch", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_named_commands_exist() -> None:
    named = set(re.findall(r"`ladenbuch ([a-z-]+(?: [a-z-]+)?)`", README))
    assert {"serve", "doctor", "stop", "tenants add", "tenants live"} <= named
    for command in named:
        words = [sys.executable, "-m", "ladenbuch", *command.split(), "--help"]
        assert subprocess.run(words, cwd=ROOT, capture_output=True).returncode == 0, command


def test_house_style() -> None:
    """About 120 lines, and no address of one machine on any page."""
    assert len(README.splitlines()) <= 135
    for page in PAGES:
        assert not re.search(r"/(?:work|tmp|root|home)/", page.read_text()), page


def test_no_link_is_tracked() -> None:
    """A tracked link named `.venv` replaces the environment of everybody who checks it out."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split("\t")[1] for line in listed.splitlines() if line.startswith("120000 ")] == []
