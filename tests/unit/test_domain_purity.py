"""The domain decides and does nothing else: no clock, no chance, no files, no float, no neighbours (DESIGN 2; R9)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "ladenbuch"
DOMAIN = sorted((SOURCE / "domain").glob("*.py"))
SIMULATORS = sorted((SOURCE / "simulators").rglob("*.py"))
#: Modules of the standard library by which a decision could depend on the world around it.
_WORLD = {"time", "random", "secrets", "os", "io", "pathlib", "socket", "subprocess", "threading", "asyncio", "sqlite3",
          "tempfile", "shutil", "logging", "uuid", "urllib", "http", "locale", "glob"}  # fmt: skip
_CALLS = {"open", "print", "input", "exec", "eval", "float", "__import__"}
_NOW = {"now", "utcnow", "today", "fromtimestamp", "localtime"}
_EMPTY_NAMES = {"util", "utils", "helper", "helpers", "service", "services", "manager", "managers", "common", "misc"}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "ladenbuch")


def impurities(text: str) -> list[str]:
    """What a module of the domain must not contain."""
    found: list[str] = []
    tree = ast.parse(text)
    for name in imports(tree):
        top, *rest = name.split(".")
        ours = top == "ladenbuch" and (not rest or rest[0] in ("domain", "errors"))
        if not ours and (top not in sys.stdlib_module_names or top in _WORLD):
            found.append(f"import {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"float {node.value}")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and "Decimal" not in ast.unparse(node):
            found.append(f"division {ast.unparse(node)}")
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called in _CALLS and isinstance(node.func, ast.Name):
                found.append(f"call {called}")
            if called in _NOW and isinstance(node.func, ast.Attribute):
                found.append(f"call {ast.unparse(node.func)}")
    return found


#: Time to wait is no money: the retry ladder counts in seconds.
_SECONDS = {"backlog.py", "clock.py", "retry.py"}


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: path.name)
def test_a_module_of_the_domain_is_pure(path: Path) -> None:
    found = impurities(path.read_text(encoding="utf-8"))
    if path.name in _SECONDS:
        found = [text for text in found if not text.startswith("float ")]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    ["x = 1.19", "x = float('1')", "from datetime import datetime\nx = datetime.now()", "import random", "import time",
     "open('x')", "from ladenbuch import books", "from ladenbuch.db import Database", "import httpx2", "x = y / 2",
     "from ladenbuch.settings import Settings", "from datetime import date\nx = date.today()"],
)  # fmt: skip
def test_the_check_sees_every_impurity(planted: str) -> None:
    assert impurities(planted)


@pytest.mark.parametrize("path", SIMULATORS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_simulators_know_nothing_of_the_product(path: Path) -> None:
    """What is tested must not share a mistake with what tests it."""
    names = imports(ast.parse(path.read_text(encoding="utf-8")))
    ours = [name for name in names if name.split(".")[0] == "ladenbuch"]
    assert [name for name in ours if not name.startswith("ladenbuch.simulators")] == []


def test_no_module_is_named_after_nothing() -> None:
    parts = {(path, word) for path in SOURCE.rglob("*.py") for part in path.relative_to(SOURCE).with_suffix("").parts
             for word in part.lower().split("_")}  # fmt: skip
    assert len(parts) > 80
    assert [(str(path), word) for path, word in parts if word in _EMPTY_NAMES] == []
    classes = [
        node.name
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert [name for name in classes if name.endswith(("Helper", "Manager", "Service", "Utils", "Util"))] == []
