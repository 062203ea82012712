"""Looking things up in sevdesk without being fooled by it.

sevdesk ignores a filter it does not know or does not like and answers with the complete list. So every row is
compared with what was asked for, and a row that does not fit proves that the filter was not applied: then the
answer says nothing about whether the thing exists, and the find refuses with
`Rejected("SEVDESK-IMPLAUSIBLE")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import reading
from ladenbuch.sevdesk.calls import Caller
from ladenbuch.sevdesk.reading import Json

Query = Sequence[tuple[str, str]]

#: Rows per page of a find, and the most pages a find reads before it calls the result implausible.
PAGE = 100
FIND_PAGES = 5
#: Rows per page of whole lists; sevdesk refuses more.
LIST_PAGE = 1000
LIST_PAGES = 20


def implausible(template: str) -> Rejected:
    """The refusal of an answer that shows objects nobody asked for."""
    message = "sevdesk returned objects that were not asked for; a filter was ignored"
    return Rejected("SEVDESK-IMPLAUSIBLE", message, detail={"call": f"GET {template}"})


def pages(
    calls: Caller, path: str, query: Query = (), *, template: str | None = None, size: int, most: int
) -> Iterator[Json]:
    """Rows of all pages, each id once: objects may move between pages while we read."""
    seen: set[str] = set()
    for page in range(most):
        paging = [("limit", str(size)), ("offset", str(page * size))]
        rows = reading.many(calls.json("GET", template or path, path, query=[*query, *paging]), "list")
        known = len(seen)
        for row in rows:
            id_ = reading.identity(row.get("id"), "id")
            if id_ not in seen:
                seen.add(id_)
                yield row
        if len(rows) < size or len(seen) == known:
            return
    raise implausible(template or path)


def everything(calls: Caller, path: str, query: Query = (), *, template: str | None = None) -> list[Json]:
    """A whole list, not yet compared with a filter."""
    return list(pages(calls, path, query, template=template, size=LIST_PAGE, most=LIST_PAGES))


def matching(calls: Caller, path: str, query: Query) -> Iterator[Json]:
    """The rows of a filtered list, not yet compared with the filter."""
    return pages(calls, path, query, size=PAGE, most=FIND_PAGES)


def exactly(calls: Caller, path: str, query: Query, value: Callable[[Json], str | None], wanted: str) -> list[Json]:
    """The rows whose value is `wanted`, byte by byte.

    A row that differs by case or outer spaces only is passed over: the database may not tell them apart. Any
    other row is `Rejected("SEVDESK-IMPLAUSIBLE")`.
    """
    if not wanted.strip():
        raise Rejected("SEVDESK-KEY", "an empty key would find everything")
    found = []
    for row in matching(calls, path, query):
        actual = value(row)
        if actual == wanted:
            found.append(row)
        elif (actual or "").strip().casefold() != wanted.strip().casefold():
            raise implausible(path)
    return found


def by_id(calls: Caller, template: str, path: str, wanted: str) -> Json | None:
    """One object; None only for sevdesk's own "not found": a 404 of anything else on the way is no proof."""
    try:
        row = reading.one(calls.json("GET", template, path), "object")
    except Rejected as error:
        if error.code == "SEVDESK-151":
            return None
        raise
    if reading.identity(row.get("id"), "id") != wanted:
        raise implausible(template)
    return row
