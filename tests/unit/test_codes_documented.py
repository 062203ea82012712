"""Every stable code of the source has its line in docs/reference/codes.md, and no line outlives its code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "ladenbuch"
PAGE = ROOT / "docs" / "reference" / "codes.md"

CODE = re.compile(r"[A-Z][A-Z0-9]+(?:-[A-Z0-9]+)*\Z")
#: Rules of the bookkeeping rule set, which reasons name: no codes.
RULE = re.compile(r"R\d{1,2}\Z")
RAISED = {"Retryable", "Ambiguous", "Rejected", "NeedsAttention", "UsageError", "Problem"}
#: Look like codes and are none: what they are stands beside them.
NOT_CODES = {
    "UTF-8": "an encoding",
    "AES-256-GCM": "a cipher",
    "ISO-8859-1": "an encoding",
    "CRAM-MD5": "an SMTP mechanism",
    "AWS4-HMAC-SHA256": "Amazon's name of its signature",
}


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "-" in node.value:
            yield node.value
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in RAISED and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)
        elif isinstance(node, ast.Tuple) and len(node.elts) >= 2:
            # tables such as {"TIP": ("TIP", "a tip", choices)}: a code followed by a sentence
            head, text = node.elts[0], node.elts[1]
            if isinstance(head, ast.Constant) and isinstance(text, ast.Constant) and " " in str(text.value):
                yield str(head.value)


def codes_in_source() -> dict[str, str]:
    """Code -> one module that names it. The simulators speak their own vendors' codes and are left out."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if "simulators" in path.relative_to(SOURCE).parts:
            continue
        for text in _strings(ast.parse(path.read_text(encoding="utf-8"))):
            if CODE.match(text) and text not in NOT_CODES and not RULE.match(text):
                found.setdefault(text, str(path.relative_to(SOURCE)))
    return found


def codes_on_page() -> list[str]:
    rows = re.findall(r"^\| `([A-Z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [str(row) for row in rows]


def test_the_search_finds_codes_of_every_shape() -> None:
    sample = 'raise Rejected("ALPHA", "x")\nbeta = "BETA-1"\ntable = {"C": ("GAMMA", "a sentence")}\nx = "GET"'
    assert {text for text in _strings(ast.parse(sample)) if CODE.match(text)} == {"ALPHA", "BETA-1", "GAMMA"}
    assert len(codes_in_source()) > 80


def test_every_code_in_the_source_is_documented() -> None:
    documented = set(codes_on_page())
    missing = {code: module for code, module in codes_in_source().items() if code not in documented}
    assert missing == {}, "add a line to docs/reference/codes.md: what happened, what to do"


def test_no_code_is_documented_twice_or_after_it_left_the_source() -> None:
    documented = codes_on_page()
    assert len(documented) == len(set(documented))
    texts = [
        path.read_text(encoding="utf-8")
        for path in SOURCE.rglob("*.py")
        if "simulators" not in path.relative_to(SOURCE).parts
    ]
    stale = [
        code
        for code in documented
        if not any(code in text and re.search(rf"\b{code}\b", text) for text in texts)  # `in` is much the quicker
    ]
    assert [code for code in stale if not re.fullmatch(r"SEVDESK-\d+", code)] == []


def test_every_line_says_what_happened_and_what_to_do() -> None:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == 3, line
            assert all(len(cell) > 3 for cell in cells[1:]), line
