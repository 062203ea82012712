"""How much the fast unit tests notice: `python tools/mutation.py [module ...]`, or `make prove LINE=mutation`.

mutmut changes every function of a module, one small thing at a time, and runs the tests that call it; what no test
notices survives. mutmut 3 leaves out what stands outside functions and in decorated ones (constants, defaults,
properties): the same changes are made there by its own operators, each tried with the module's tests in a process.

A module holds when 90 of 100 changes are noticed, and each survivor stands in tools/mutation_survivors.toml with the
reason why it may; none may be in a line about dates or rounding. Two at a time, at low priority.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import libcst as cst
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutation"
REASONS = ROOT / "tools" / "mutation_survivors.toml"
SOURCE = Path("src/ladenbuch/domain")
#: The fast unit tests about each module, the quickest to notice first.
TESTS = {
    "money": "money",
    "document": "document golden_plan",
    "tax": "tax_decision tax_edges tax_matrix threshold",
    "facts": "facts plan prepayment",
    "plan": "plan_actions plan answers waiting gateway_modes prepayment profile_change gift_cards chain_cases",
}
NEEDED = 90
PARALLEL = "2"
#: Lines in which no change may go unnoticed, whatever the reason.
EXACT = re.compile(r"\bdate|_at\b|\bday|round|quantize|to_integral|scaleb|divmod|net_of_gross|tax_in_gross|timedelta")
_PYTEST = (
    "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--timeout=120",
    # It reads the source, where mutmut writes all changes beside each other.
    "--deselect=tests/unit/test_answers.py::test_every_choice_has_an_effect_and_german_words",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a module: where, and the line before and after (stripped)."""

    where: str
    was: str
    becomes: str


@dataclass(slots=True)
class Score:
    """What became of the changes of one module."""

    module: str
    changes: int = 0
    survivors: list[Change] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """Noticed changes of a hundred, those that nothing can notice included."""
        return 100 * (self.changes - len(self.survivors)) / self.changes if self.changes else 0.0


# -- what mutmut does -----------------------------------------------------------------------------------------------


def by_mutmut(module: str, score: Score) -> None:
    """Run mutmut on a fresh copy of the tree and read its verdicts."""
    folder = _copy(WORK / module)
    chosen = {
        "source_paths": ["src"],
        "only_mutate": [str(SOURCE / f"{module}.py")],
        "also_copy": ["docs", "tools"],
        "pytest_add_cli_args_test_selection": _tests(module),
        "pytest_add_cli_args": list(_PYTEST[2:]),
        "timeout_constant": 60.0,  # a busy machine is no endless loop
    }
    with (folder / "pyproject.toml").open("a") as settings:
        settings.write("\n[tool.mutmut]\nuse_git_change_detection = false\n")
        settings.writelines(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items())
    mutmut = str(Path(sys.executable).parent / "mutmut")
    done = _run([mutmut, "run", "--max-children", PARALLEL], folder)
    results = _run([mutmut, "results", "--all", "true"], folder).stdout
    verdicts = re.findall(r"^\s*(\S+): ([a-z ]+)$", results, re.MULTILINE)
    if done.returncode or not verdicts or any(verdict == "not checked" for _, verdict in verdicts):
        raise SystemExit(f"mutmut gave no verdict on {module}:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
    score.changes += len(verdicts)
    alive = [name for name, verdict in verdicts if verdict not in ("killed", "timeout")]
    shown = _run([sys.executable, "-c", _SHOW, str(SOURCE / f"{module}.py"), *alive], folder)
    score.survivors += [_shown(name, text) for name, text in json.loads(shown.stdout)]


#: What `mutmut show` shows, for many at once.
_SHOW = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(json.dumps([(name, get_diff_for_mutant(name, path=sys.argv[1])) for name in sys.argv[2:]]))
"""


def _shown(name: str, text: str) -> Change:
    """A change as mutmut shows it."""
    diff = [line for line in text.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    was = " ".join(line[1:].strip() for line in diff if line[0] == "-")
    becomes = " ".join(line[1:].strip() for line in diff if line[0] == "+")
    where = re.sub(r"__mutmut_\d+$", "", name.rsplit(".", 1)[-1]).replace("ǁ", ".").removeprefix("x").lstrip("_.")
    return Change(where, was, becomes)


# -- what mutmut leaves out -----------------------------------------------------------------------------------------


class _LeftOut(cst.CSTVisitor):
    """The nodes outside functions, and those of decorated ones; annotations and imports are left alone."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, cst.CSTNode]] = []
        self._names: list[str] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)):
            return False
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._names.append(node.name.value)
        if isinstance(node, cst.FunctionDef):
            names = [item.decorator.value for item in node.decorators if isinstance(item.decorator, cst.Name)]
            if not node.decorators or names in (["classmethod"], ["staticmethod"]):
                return False  # mutmut's own
        self.found.append((".".join(self._names) or "module", node))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, (cst.FunctionDef, cst.ClassDef)):
            self._names.pop()


def left_out(source: str) -> Iterator[tuple[Change, str]]:
    """Every change that mutmut's operators make where mutmut makes none, with the source it leads to."""
    module, visitor = cst.parse_module(source), _LeftOut()
    module.visit(visitor)
    for where, node in visitor.found:
        for kind, operator in mutation_operators:
            if not isinstance(node, kind):
                continue
            for changed in operator(node):
                whole = module.deep_replace(node, changed)
                assert isinstance(whole, cst.Module)
                text = whole.code
                lines = zip(source.splitlines(), text.splitlines(), strict=False)
                was, becomes = next((before, after) for before, after in lines if before != after)
                yield Change(where, was.strip(), becomes.strip()), text


def by_hand(module: str, score: Score, say: Callable[[str], None]) -> None:
    """Try what mutmut leaves out, each change in a process of its own."""
    source = (ROOT / SOURCE / f"{module}.py").read_text(encoding="utf-8")
    changes = list(left_out(source))
    rooms: SimpleQueue[Path] = SimpleQueue()
    for number in range(int(PARALLEL)):
        rooms.put(_copy(WORK / f"{module}-{number}"))

    def noticed(change: tuple[Change, str]) -> bool:
        room = rooms.get()
        try:
            target = room / SOURCE / f"{module}.py"
            target.write_text(change[1], encoding="utf-8")
            for stale in target.parent.glob(f"__pycache__/{module}.*"):
                stale.unlink()
            env = {"PYTHONPATH": str(room / "src")}
            return _run([sys.executable, "-m", "pytest", *_PYTEST, *_tests(module)], room, env).returncode != 0
        finally:
            rooms.put(room)

    with ThreadPoolExecutor(int(PARALLEL)) as pool:
        for number, (change, seen) in enumerate(zip(changes, pool.map(noticed, changes), strict=True), 1):
            if not seen:
                score.survivors.append(change[0])
            if number % 20 == 0:
                say(f"  {number} of {len(changes)} outside functions")
    score.changes += len(changes)


# -- both -----------------------------------------------------------------------------------------------------------


def _tests(module: str) -> list[str]:
    return [f"tests/unit/test_{name}.py" for name in TESTS[module].split()]


def _copy(folder: Path) -> Path:
    """A fresh copy of what the tests read."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("src", "tests", "docs", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", folder)
    return folder


def _run(command: list[str], folder: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    shared = ROOT.parent / "shared"
    own = {"LADENBUCH_SAMPLES": str(shared / "samples"), "LADENBUCH_SPECS": str(shared / "specs")}
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        ["nice", "-n", "10", *command], cwd=folder, env=own | kept | (env or {}), capture_output=True, text=True
    )


def reasons() -> dict[tuple[str, Change], str]:
    """Why a survivor may live, by module and change."""
    listed = tomllib.loads(REASONS.read_text(encoding="utf-8")).get("survivor", []) if REASONS.exists() else []
    return {
        (item["module"], Change(item["where"], item["was"], becomes)): item["reason"]
        for item in listed
        for becomes in ([item["becomes"]] if isinstance(item["becomes"], str) else item["becomes"])
    }


def examine(module: str, say: Callable[[str], None] = lambda text: None) -> Score:
    """Try every change of a module."""
    score = Score(module)
    by_mutmut(module, score)
    say(f"{module}: {score.changes} changes in functions, {len(score.survivors)} survived")
    by_hand(module, score, say)
    say(f"{module}: {score.percent:.1f} % of {score.changes}")
    return score


def faults(score: Score, known: dict[tuple[str, Change], str]) -> list[str]:
    """Why a module does not hold, in sentences; empty when it does."""
    found = [] if score.percent >= NEEDED else [f"{score.module}: only {score.percent:.1f} % were noticed"]
    for change in score.survivors:
        if EXACT.search(change.was):
            found.append(f"{score.module}.{change.where}: unnoticed in a line about dates or rounding: {change.was}")
        elif (score.module, change) not in known:
            found.append(f"{score.module}.{change.where}: no reason for {change.was!r} -> {change.becomes!r}")
    return found


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Examine the named modules, or all."""
    known, wrong = reasons(), list[str]()
    for module in arguments or TESTS:
        wrong += faults(examine(module, _say), known)
    _say("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
