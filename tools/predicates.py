"""Every query names its tenant: the list of those that do, of those that need not, and the proof that each one counts.

    python tools/predicates.py              # the queries with a tenant predicate, one a line
    python tools/predicates.py --page       # docs/reference/tenants-apart.md on standard output
    python tools/predicates.py --prove      # take one predicate away at a time; JSON on standard output

The source is read, not run: a predicate is a comparison of a column `tenant` (or `.in_` of one, or the key of a raw
upsert). One that several queries share counts once for each of them: the definition is copied without the predicate,
and that one query is given the copy. One on a table that is a parameter counts once for each table it meets.

Each altered module is then imported in a process of its own, and `tests/isolation_world.py` is run against it on
SQLite, where no row-level security hides what is missing.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "ladenbuch"
#: No part of the connector: other people's services, and the shapes of tables.
_NOT_READ = ("simulators", "migrations", "domain")
_GONE = '__import__("builtins").without_tenant()'
_RUNS = {"rows", "first", "scalar", "change"}
_EXECUTES = _RUNS | {"execute", "exec_driver_sql", "read", "run", "executemany"}
_BEGINS = {"select", "update", "delete", "union"}
_SECONDS = 900  # of a machine that does other things, too
_SQL = re.compile(r"\b(INSERT INTO|DELETE FROM|UPDATE \w+ SET|SELECT .*\bFROM)\b")
#: What people reviewed: doors over all tenants, statements and texts without a tenant, and why.
REVIEWED = ROOT / "tools" / "tenants_apart.toml"


@dataclass(frozen=True)
class Query:
    """One query and one predicate of it. `source` is its module without that predicate, for this query alone."""

    module: str
    where: str
    line: int
    predicate: str
    table: str
    source: str = field(repr=False)

    @property
    def name(self) -> str:
        """For people, and stable while lines move."""
        return f"{self.module.removeprefix('ladenbuch.')}:{self.where}" + (f" [{self.table}]" if self.table else "")


@dataclass(frozen=True)
class _Edit:
    start: int
    end: int
    text: bytes


@dataclass(frozen=True)
class _Shared:
    """A name others use: a variable, or a function that builds and runs nothing itself."""

    node: Any
    name: str
    uses: tuple[ast.AST, ...]


class Module:
    """One file of the source."""

    def __init__(self, path: Path) -> None:
        self.path = path
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.text = path.read_bytes()
        self.tree = ast.parse(self.text)
        self._nodes = list(ast.walk(self.tree))
        self.up = {child: node for node in self._nodes for child in ast.iter_child_nodes(node)}
        starts = [0]
        for line in self.text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self._copies = 0

    # -- reading -------------------------------------------------------------------------------------------------

    def _span(self, node: Any) -> tuple[int, int]:
        first = self._starts[node.lineno - 1] + node.col_offset
        return first, self._starts[node.end_lineno - 1] + node.end_col_offset

    def said(self, node: ast.AST) -> str:
        """A node as it is written, on one line."""
        start, end = self._span(node)
        return " ".join(self.text[start:end].decode().split())

    def _above(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.up:
            node = self.up[node]
            yield node

    def _function(self, node: ast.AST) -> ast.FunctionDef | None:
        return next((one for one in self._above(node) if isinstance(one, ast.FunctionDef)), None)

    def _statement(self, node: ast.AST) -> ast.stmt:
        return next(one for one in (node, *self._above(node)) if isinstance(one, ast.stmt))

    def where(self, node: ast.AST) -> str:
        """Class and function, or the variable, a node is in."""
        names = [one.name for one in self._above(node) if isinstance(one, ast.FunctionDef | ast.ClassDef)]
        if not names:
            names = _targets(self._statement(node)) or ["<module>"]
        return ".".join(reversed(names))

    # -- predicates ----------------------------------------------------------------------------------------------

    @cached_property
    def _collections(self) -> set[str]:
        """Names that stand for the columns of a table (`_c = letters.c`)."""
        found = set()
        for node in self._nodes:
            if isinstance(node, ast.Assign):
                target, value = node.targets[0], node.value
                pairs: Any = [(target, value)]
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    pairs = zip(target.elts, value.elts, strict=False)
                found |= {
                    one.id
                    for one, of in pairs
                    if isinstance(one, ast.Name) and isinstance(of, ast.Attribute) and of.attr == "c"
                }
        return found

    def _column(self, node: ast.AST) -> ast.Attribute | None:
        if not (isinstance(node, ast.Attribute) and node.attr == "tenant"):
            return None
        base = node.value
        named = isinstance(base, ast.Name) and base.id in self._collections
        return node if named or (isinstance(base, ast.Attribute) and base.attr == "c") else None

    @cached_property
    def predicates(self) -> list[tuple[Any, ast.Attribute | None]]:
        """Every comparison of a column `tenant`, with the column; None for the key of a raw upsert."""
        found: list[tuple[Any, ast.Attribute | None]] = []
        for node in self._nodes:
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
                column = self._column(node.left) or self._column(node.comparators[0])
                if column is not None:
                    found.append((node, column))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "in_":
                column = self._column(node.func.value)
                if column is not None:
                    found.append((node, column))
            elif isinstance(node, ast.Constant) and "ON CONFLICT (tenant, " in str(node.value):
                found.append((node, None))
        return sorted(found, key=lambda pair: (pair[0].lineno, pair[0].col_offset))

    @cached_property
    def _compared(self) -> set[ast.AST]:
        return {one for one, column in self.predicates if column is not None}

    def _generic(self, column: ast.Attribute) -> str | None:
        """The expression for a table that is not one table: a parameter, a loop's variable, an attribute of self."""
        base = column.value
        if not isinstance(base, ast.Attribute):
            return None
        table = base.value
        if isinstance(table, ast.Attribute):
            return self.said(table) if isinstance(table.value, ast.Name) and table.value.id == "self" else None
        if not isinstance(table, ast.Name):
            return None
        for above in self._above(column):
            if isinstance(above, ast.FunctionDef):
                inside = [node for node in ast.walk(above) if isinstance(node, ast.For | ast.comprehension)]
                loops = {name for node in inside for name in _names(node.target)}
                if table.id in loops | {argument.arg for argument in above.args.args}:
                    return table.id
        return None

    def listening(self) -> str:
        """The module, telling which tables come to its predicates on tables that are parameters."""
        edits = []
        for node, column in self.predicates:
            table = None if column is None else self._generic(column)
            if table is not None:
                start, end = self._span(node)
                told = f'__import__("builtins").met_table("{self.name}:{node.lineno}", {table}.name)'
                edits.append(_Edit(start, end, f"({told} or ({self.text[start:end].decode()}))".encode()))
        return _applied(self.text, edits).decode()

    def queries(self, met: Mapping[str, Sequence[str]]) -> Iterator[Query]:
        """Every query with a predicate, and its module without it."""
        for node, column in self.predicates:
            start, end = self._span(node)
            whole = self.text[start:end].decode()
            table = None if column is None else self._generic(column)
            instead = [("", _GONE)] if column is not None else [("", whole.replace("(tenant, ", "("))]
            if table is not None:
                instead = [
                    (one, f'({_GONE} if {table}.name == "{one}" else ({whole}))')
                    for one in met.get(f"{self.name}:{node.lineno}", ())
                ]
            for one, text in instead:
                for where, line, edits in self._spread(node, [_Edit(start, end, text.encode())]):
                    source = _applied(self.text, edits).decode()
                    yield Query(self.name, where, line, self.said(node), one, source)

    # -- one predicate, many queries ---------------------------------------------------------------------------------

    def _spread(self, site: Any, edits: list[_Edit]) -> Iterator[tuple[str, int, list[_Edit]]]:
        """Every query that `site` is part of, with the edits that reach that one alone."""
        shared = self._shared(site)
        if shared is None or not shared.uses:
            yield self.where(site), site.lineno, edits
            return
        if len(shared.uses) == 1:
            yield from self._spread(shared.uses[0], edits)
            return
        start, end = self._span(shared.node)
        for use in shared.uses:
            self._copies += 1
            fresh = f"{shared.name}_without_{self._copies}"
            inner = [edit for edit in edits if start <= edit.start and edit.end <= end]
            outer = [edit for edit in edits if edit not in inner]
            copy = _Edit(end, end, self._copy(shared, inner, fresh))
            start_of, end_of = self._span(use)
            text = f"self.{fresh}" if isinstance(use, ast.Attribute) else fresh
            yield from self._spread(use, [*outer, copy, _Edit(start_of, end_of, text.encode())])

    def _copy(self, shared: _Shared, inner: list[_Edit], fresh: str) -> bytes:
        indent: bytes = b"\n" + b" " * shared.node.col_offset
        if isinstance(shared.node, ast.FunctionDef):
            start, end = self._span(shared.node)
            text = _applied(self.text[start:end], [_Edit(e.start - start, e.end - start, e.text) for e in inner])
            return b"\n" + indent + text.replace(f"def {shared.name}(".encode(), f"def {fresh}(".encode(), 1)
        start, end = self._span(shared.node.value)
        text = _applied(self.text[start:end], [_Edit(e.start - start, e.end - start, e.text) for e in inner])
        return indent + fresh.encode() + b" = (" + text + b")"

    def _shared(self, site: ast.AST) -> _Shared | None:
        """What `site` is a part of that is used elsewhere; None when it stands in the query itself."""
        statement, function = self._statement(site), self._function(site)
        if isinstance(site, ast.FunctionDef):
            return None
        if isinstance(statement, ast.Assign) and _within(site, statement.value) and not self._run_in(site, statement):
            names = _targets(statement)
            if len(names) == 1 and self._assigned(names[0], function) == 1:
                uses = self._uses(names[0], function)
                if function is None and uses and all(self._runs(use) for use in uses):
                    return None
                if uses:
                    return _Shared(statement, names[0], tuple(uses))
        if function is not None and self._builds(function):
            calls = [
                node
                for node in self._nodes
                if (isinstance(node, ast.Name) and node.id == function.name and isinstance(node.ctx, ast.Load))
                or (isinstance(node, ast.Attribute) and node.attr == function.name and self._is_self(node))
            ]
            return _Shared(function, function.name, tuple(calls))
        return None

    def _run_in(self, site: ast.AST, statement: ast.stmt) -> bool:
        """Whether the statement keeps what the query found, not the query."""
        for above in self._above(site):
            if above is statement:
                return False
            if isinstance(above, ast.Call) and isinstance(above.func, ast.Attribute) and above.func.attr in _EXECUTES:
                return True
        return False

    def _is_self(self, node: ast.Attribute) -> bool:
        return isinstance(node.value, ast.Name) and node.value.id == "self"

    def _runs(self, use: ast.AST) -> bool:
        above = self.up.get(use)
        return isinstance(above, ast.Attribute) and above.attr in _RUNS

    def _builds(self, function: ast.FunctionDef) -> bool:
        """Whether a function only puts a query together."""
        called = {
            node.func.attr
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        gives = any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(function))
        return gives and not called & _EXECUTES

    def _assigned(self, name: str, function: ast.FunctionDef | None) -> int:
        return sum(
            name in _targets(node)
            for node in (self._nodes if function is None else ast.walk(function))
            if isinstance(node, ast.stmt) and self._function(node) is function
        )

    def _uses(self, name: str, function: ast.FunctionDef | None) -> list[ast.AST]:
        found: list[ast.AST] = []
        for node in self._nodes if function is None else ast.walk(function):
            reads = isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
            if reads and not self._shadowed(node, name, function):
                found.append(node)
        return found

    def _shadowed(self, node: ast.AST, name: str, scope: ast.FunctionDef | None) -> bool:
        below: ast.AST = node
        for above in self._above(node):
            if above is scope:
                return False
            if isinstance(above, ast.FunctionDef) and not isinstance(below, ast.arguments):
                own = {argument.arg for argument in (*above.args.args, *above.args.kwonlyargs)}
                if name in own or self._assigned(name, above):
                    return True
            below = above
        return False

    # -- statements that have none ---------------------------------------------------------------------------------

    @cached_property
    def _carrying(self) -> set[str]:
        """Names of variables and builders with a predicate in them, however far down."""
        found: set[str] = set()
        builders = [one for one in self._nodes if isinstance(one, ast.FunctionDef) and self._builds(one)]
        variables = [one for one in self._nodes if isinstance(one, ast.Assign) and self._function(one) is None]
        while True:
            before = len(found)
            for node in (*builders, *variables):
                if isinstance(node, ast.FunctionDef) and self._carries(node, found):
                    found.add(node.name)
                elif isinstance(node, ast.Assign) and self._carries(node, found):
                    found |= set(_targets(node))
            if len(found) == before:
                return found

    def _carries(self, node: ast.AST, names: set[str]) -> bool:
        return any(
            one in self._compared
            or (isinstance(one, ast.Name) and one.id in names)
            or (isinstance(one, ast.Attribute) and one.attr in names and self._is_self(one))
            for one in ast.walk(node)
        )

    def bare(self) -> Iterator[tuple[str, int]]:
        """Statements without a tenant predicate: where they are, and the line."""
        for node in filter(_begins, self._nodes):
            whole, function = self._chain(node), self._function(node)
            above = self.up[whole]
            names = set(_targets(above)) if isinstance(above, ast.stmt) else set()
            seen: set[ast.AST] = {whole}
            if function is not None and names:
                others = (one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id in names)
                seen |= {_head(self._statement(one)) for one in others}
            carriers = self._carrying | self._local_carriers(function)
            if not any(self._carries(one, carriers - names) for one in seen):
                yield self.where(node), node.lineno  # type: ignore[attr-defined]

    def _chain(self, node: ast.AST) -> ast.AST:
        """A query from where it begins to its last `.where`, and what it is handed to before it runs."""
        while True:
            above = self.up[node]
            handed = isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and above.func is not node
            goes_on = isinstance(above, ast.Attribute) or (isinstance(above, ast.Call) and above.func is node)
            runs = isinstance(above, ast.Attribute) and above.attr in _EXECUTES
            if not (handed or goes_on) or runs:
                return node
            node = above

    def texts(self) -> Iterator[str]:
        """Where SQL is written as text."""
        for node in self._nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                base = node.func.value
                of_sa = node.func.attr == "text" and isinstance(base, ast.Name) and base.id == "sa"
                if of_sa or node.func.attr in ("exec_driver_sql", "executemany"):
                    yield self.where(node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.search(node.value):
                yield self.where(node)

    def _local_carriers(self, function: ast.FunctionDef | None) -> set[str]:
        found: set[str] = set()
        for node in ast.walk(function) if function is not None else ():
            if isinstance(node, ast.Assign) and self._carries(node, self._carrying | found):
                found |= set(_targets(node))
        return found

    def system_doors(self) -> Iterator[tuple[str, str]]:
        """Where a door over all tenants is opened, and for which reason."""
        for node in self._nodes:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "system"):
                continue
            if node.args and isinstance(node.args[0], ast.Constant):
                yield self.where(node), str(node.args[0].value)


def _begins(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _BEGINS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "sa"
    )


def _head(statement: ast.stmt) -> ast.AST:
    """A statement without the statements in it."""
    if isinstance(statement, ast.For):
        return statement.iter
    if isinstance(statement, ast.If | ast.While):
        return statement.test
    if isinstance(statement, ast.FunctionDef):
        return statement.args
    return statement


def _targets(statement: ast.AST) -> list[str]:
    if isinstance(statement, ast.Assign):
        return [name for target in statement.targets for name in _names(target)]
    if isinstance(statement, ast.AnnAssign | ast.AugAssign):
        return _names(statement.target)
    return []


def _names(target: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]


def _within(node: ast.AST, whole: ast.AST) -> bool:
    return any(one is node for one in ast.walk(whole))


def _applied(text: bytes, edits: Sequence[_Edit]) -> bytes:
    for edit in sorted(edits, key=lambda one: (one.start, one.end), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


@cache
def modules() -> list[Module]:
    """The source that talks to the stores."""
    paths = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] not in _NOT_READ)
    return [Module(path) for path in paths]


def found() -> dict[str, set[str]]:
    """What has to be reviewed, as it is in the source."""
    every = modules()
    short = {module: module.name.removeprefix("ladenbuch.") for module in every}
    return {
        "doors": {f"{short[one]}:{where}" for one in every for where, _ in one.system_doors()},
        "statements": {f"{short[one]}:{where}" for one in every for where, _ in one.bare()},
        "texts": {f"{short[one]}:{where}" for one in every for where in one.texts()},
    }


def reviewed() -> dict[str, dict[str, str]]:
    """What people said about it."""
    return tomllib.loads(REVIEWED.read_text(encoding="utf-8"))


_PAGE = """# Tenants apart

Every statement names its tenant, or stands in one of the lists below. The lists are made from the source and reviewed
by people (`tools/tenants_apart.toml`); a test fails when one of them is not as the source is. Do not edit this page:
`python tools/predicates.py --page` writes it.

Behind the predicates stands PostgreSQL's row-level security; SQLite has none, so there the predicates are all there is.
`make prove LINE=isolation` takes each of them away in turn and shows which question then gets an
answer about somebody else. What is sealed opens for its own tenant only, whatever a query returns.
"""
_TITLES = {
    "doors": ("Doors over all tenants", "Each is opened for one of `db.SYSTEM_REASONS`."),
    "statements": ("Statements without a tenant", "All others have a tenant predicate."),
    "texts": ("Statements written as text", "Their predicates are in the text."),
}


def page() -> str:
    """docs/reference/tenants-apart.md."""
    known = reviewed()
    number = sum(len(module.predicates) for module in modules())
    parts = [_PAGE, f"There are {number} tenant predicates in the source.\n"]
    for name, (title, sentence) in _TITLES.items():
        rows = [f"| `{where}` | {why} |" for where, why in sorted(known[name].items())]
        parts.append(f"## {title}\n\n{sentence}\n\n| where | why |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


# -- the proof --------------------------------------------------------------------------------------------------------


def queries(folder: str) -> list[Query]:
    """All of them; a predicate on a table that is a parameter, once for each table that any question brought to it."""
    met = _in_a_child(_meet, folder)
    assert isinstance(met, dict), met
    return [query for module in modules() for query in module.queries(met)]


def _meet(folder: str) -> dict[str, list[str]]:
    """Which tables come to the predicates on tables that are parameters, by module and line."""
    import builtins

    found: dict[str, set[str]] = {}
    builtins.met_table = lambda where, name: found.setdefault(where, set()).add(name)  # type: ignore[attr-defined]
    _instead({module.name: module.listening() for module in modules()})
    isolation_world: Any = importlib.import_module("isolation_world")

    isolation_world.judge(Path(folder))
    return {where: sorted(names) for where, names in found.items()}


def _instead(sources: Mapping[str, str]) -> None:
    """These modules are imported with another source."""

    class Altered(importlib.machinery.SourceFileLoader):
        def get_code(self, fullname: str) -> Any:
            return compile(sources[fullname], self.path, "exec")

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any, target: Any = None) -> Any:
            spec = importlib.machinery.PathFinder.find_spec(name, path) if name in sources else None
            if spec is not None and spec.origin is not None:
                spec.loader = Altered(name, spec.origin)
            return spec

    sys.meta_path.insert(0, Finder)


def try_without(query: Query, folder: str) -> dict[str, Any]:
    """What the questions find once the predicate is gone: `fault` of the first one (None: nobody noticed), `met`."""
    found = _in_a_child(_ask_all, (query, folder), _SECONDS)
    if isinstance(found, dict):
        return found
    return {"fault": None, "met": True, "not_tried": str(found)}


def _ask_all(given: tuple[Query, str]) -> dict[str, Any]:
    import builtins

    query, folder = given
    met = []

    def without_tenant() -> Any:
        import sqlalchemy as sa

        met.append(1)
        return sa.true()

    builtins.without_tenant = without_tenant  # type: ignore[attr-defined]

    _instead({query.module: query.source})
    isolation_world: Any = importlib.import_module("isolation_world")

    about = query.module.removeprefix("ladenbuch.").split(".")
    first = _ABOUT.get(query.module, about[0] + ".")
    found = isolation_world.judge(Path(folder), first=True, about=first, enough=lambda: bool(query.table) and not met)
    return {"fault": found[0] if found else None, "met": bool(met) or not query.table}


#: Which questions are asked first, where the module's name does not say.
_ABOUT = {
    "ladenbuch.workflows.month_books": "month_books.",
    "ladenbuch.workflows.profile_change": "profile_change.",
    "ladenbuch.workflows.redaction": "redaction.",
    "ladenbuch.workflows.privacy": "workflows.privacy.",
    "ladenbuch.workflows.preview": "preview.",
    "ladenbuch.workflows.certify": "certify.",
    "ladenbuch.workflows.exporting": "exporting.",
    "ladenbuch.vault.data_keys": "vault.",
    "ladenbuch.erasure": "erasure.",
    "ladenbuch.web.reads": "web.reads.",
}


def _in_a_child(call: Any, given: Any, seconds: int = _SECONDS) -> Any:
    """What `call` gives in a process that imports the product anew; text when it gave nothing."""
    return _answer(*_child(call, given, seconds))


def _child(call: Any, given: Any, seconds: int) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(seconds)
        try:
            said = json.dumps(call(given))
        except BaseException as error:
            said = json.dumps(f"{type(error).__name__}: {error}")
        with os.fdopen(writing, "w") as out:
            out.write(said)
        os._exit(0)
    os.close(writing)
    return child, reading


def _answer(child: int, reading: int) -> Any:
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return json.loads(said) if said else "killed: it took too long"


def _try_some(given: tuple[Sequence[Query], str]) -> list[dict[str, Any]]:
    some, folder = given
    return [try_without(query, folder) for query in some]


_HEAVY = (
    "sqlalchemy", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql", "cryptography", "msgspec", "httpx2",
    "starlette.applications", "pydantic_settings", "jinja2", "typer", "prometheus_client",
)  # fmt: skip


def prepare() -> str:
    """A folder with a copy of the source, and with the two shops as it builds them.

    Heavy libraries are imported here, once; the product itself anew in each child.
    """
    global SOURCE
    folder = tempfile.mkdtemp(prefix="ladenbuch-isolation-")
    without = shutil.ignore_patterns("__pycache__")
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, Path(folder) / name, ignore=without)
        sys.path.insert(0, str(Path(folder) / name))
    SOURCE = Path(folder) / "src" / "ladenbuch"
    modules.cache_clear()
    for name in _HEAVY:
        __import__(name)
    problem = _in_a_child(_build, folder)  # compiles the copy, for those who come after
    assert problem is None, problem
    return folder


def _build(folder: str) -> None:
    isolation_world: Any = importlib.import_module("isolation_world")

    isolation_world.build(Path(folder))


def prove(folder: str, every: Sequence[Query], jobs: int = 2) -> dict[str, Any]:
    """Take every predicate away, one at a time; `survivors` are those nobody noticed."""
    working = [_child(_try_some, (every[start::jobs], folder), 0) for start in range(jobs)]
    answers = [_answer(*one) for one in working]
    listed = []
    for number, query in enumerate(every):
        found = answers[number % jobs][number // jobs]
        if found["met"]:  # else this one of several statements never meets that table
            row = {"query": query.name, "line": query.line, "predicate": query.predicate, "fault": found["fault"]}
            listed.append(row | ({"not_tried": found["not_tried"]} if "not_tried" in found else {}))
    return {"queries": len(listed), "survivors": [one for one in listed if one["fault"] is None], "listed": listed}


def _proved(folder: str, names: Sequence[str]) -> dict[str, Any]:
    tables = {name.partition("[")[2][:-1] for name in names}
    if names:  # without finding out which tables come where
        every = [one for module in modules() for one in module.queries(_Everywhere(sorted(tables - {""})))]
        unknown = set(names) - {one.name for one in every}
        if unknown:
            raise SystemExit(f"no query is called {', '.join(sorted(unknown))}")
        some = [one for one in every if one.name in names]
    else:
        some = queries(folder)
    return prove(folder, some, int(os.environ.get("LADENBUCH_JOBS", "2")))


class _Everywhere(dict[str, Sequence[str]]):
    """The same tables at every place."""

    def __init__(self, tables: Sequence[str]) -> None:
        super().__init__()
        self._tables = tables

    def get(self, key: str, default: Any = None) -> Sequence[str]:
        return self._tables


def main(arguments: list[str]) -> int:
    """See the top of this file."""
    if "--prove" in arguments:
        folder = prepare()
        try:
            found = _proved(folder, arguments[arguments.index("--prove") + 1 :])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        return 1 if found["survivors"] else 0
    if "--page" in arguments:
        sys.stdout.write(page())
        return 0
    for module in modules():
        for node, _ in module.predicates:
            sys.stdout.write(f"{module.name}:{module.where(node)}:{node.lineno}  {module.said(node)[:100]}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
