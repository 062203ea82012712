"""Check an exported audit chain with nothing but Python: `python tools/verify_audit.py FILE` (or - for stdin).

Each line is one entry as JSON: tenant, seq, at (microseconds since 1970 UTC), actor, event, subject, sentence,
detail (JSON as text), previous, hash. The hash is SHA-256, in hex, over the JSON of all fields but the hash
itself: keys sorted, no spaces, UTF-8 unescaped. The first `previous` is 64 zeros, each later one the hash
before it; seq counts from 0. The last line holds tenant, entries and head. Exit 0: whole, 1: broken, 2: usage.
A head noted elsewhere earlier can be given as a second argument: it must be one of the hashes.
"""

import hashlib
import json
import sys
from collections.abc import Iterable

HASHED = ("tenant", "seq", "at", "actor", "event", "subject", "sentence", "detail", "previous")


def first_bad(lines: Iterable[str], anchor: str | None = None) -> tuple[int | None, str]:
    """The index of the first bad line (None when the chain is whole) and a sentence saying what was found."""
    previous, tenant, anchored = "0" * 64, None, anchor is None
    index = 0
    closed = False
    for line in lines:
        if not line.strip():
            continue
        if closed:
            return index, f"there is more after the closing line of {index} entries"
        try:
            entry = json.loads(line)
        except ValueError:
            return index, f"entry {index} is not JSON"
        if not isinstance(entry, dict):
            return index, f"entry {index} is not an object"
        if "head" in entry:
            closed = True
            if (entry.get("entries"), entry["head"]) != (index, previous):
                return index, f"the closing line does not fit the {index} entries before it"
            continue
        problem = _problem(entry, index, previous, tenant)
        if problem:
            return index, f"entry {index}: {problem}"
        tenant, previous = entry["tenant"], entry["hash"]
        anchored = anchored or previous == anchor
        index += 1
    if not closed:
        return index, f"the closing line is missing after {index} entries"
    if not anchored:
        return index, "the head noted earlier is not part of this chain"
    return None, f"{index} entries, chain whole, head {previous}"


def _problem(entry: dict[str, object], index: int, previous: str, tenant: object) -> str:
    if set(entry) != {*HASHED, "hash"}:
        return "fields are missing or unknown"
    if entry["seq"] != index:
        return f"its number is {entry['seq']!r}"
    if entry["previous"] != previous:
        return "it does not follow the entry before it"
    if tenant not in (None, entry["tenant"]):
        return "it belongs to another tenant"
    canonical = json.dumps(
        {name: entry[name] for name in HASHED}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    if hashlib.sha256(canonical.encode()).hexdigest() != entry["hash"]:
        return "its content is not what was hashed"
    return ""


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    anchor = arguments[1] if len(arguments) == 2 else None
    if arguments[0] == "-":
        bad, sentence = first_bad(sys.stdin, anchor)
    else:
        with open(arguments[0], encoding="utf-8") as lines:  # noqa: PTH123
            bad, sentence = first_bad(lines, anchor)
    print(sentence)  # noqa: T201
    return 0 if bad is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
