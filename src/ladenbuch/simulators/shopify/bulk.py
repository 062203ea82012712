"""Bulk operations: exports of orders as JSONL files, one line for each object (facts 2.8).

An operation works while somebody looks (or `work` is called): a hundred orders a look, so that no call waits for an
export of years. Each order is read when its turn comes, as it is then. Files lie on disk, are served in ranges, and
expire after seven days with the operation's `url`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from graphql import GraphQLError, GraphQLSchema

from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.shopify.bulk_query import BulkQuery, Line, read
from ladenbuch.simulators.shopify.queries import Call, found_orders
from ladenbuch.simulators.shopify.schema import Info, Resolver, connection
from ladenbuch.simulators.shopify.world import to_text

#: The first part of a file's path.
FILES = "bulk-results"
_LIFE = timedelta(days=7)
_LONGEST = timedelta(days=10)
#: Orders exported at a look, and how many roots an ungrouped file holds together.
_A_LOOK, _UNGROUPED = 100, 50
_ENDED = ("COMPLETED", "CANCELED", "FAILED", "EXPIRED")
_PIECE = 65_536


@dataclass
class Trouble:
    """What is wrong with the next operation of a shop.

    `slow`: it lasts at least so many seconds. `fail_after` so many orders it fails with `error`. Its file is cut off
    after `cut` bytes, `cuts` times (-1: always); of its last `lose` lines nothing is in the file, although counted.
    """

    slow: float = 0.0
    fail_after: int | None = None
    error: str = "INTERNAL_SERVER_ERROR"
    cut: int | None = None
    cuts: int = 1
    lose: int = 0


@dataclass
class Operation:
    """One export. `rest` are the orders still to be read."""

    id: str
    shop: str
    text: str
    query: BulkQuery
    grouped: bool
    created_at: datetime
    address: str
    path: Path
    rest: list[str]
    trouble: Trouble
    status: str = "CREATED"
    error_code: str | None = None
    completed_at: datetime | None = None
    objects: int = 0
    roots: int = 0
    size: int = 0
    held_back: list[bytes] = field(default_factory=list)  # the last lines, while they may be lost

    def as_node(self, now: datetime) -> dict[str, Any]:
        """As the API shows it; counters are strings there."""
        ended, expired = self.completed_at, self.completed_at is not None and now >= self.completed_at + _LIFE
        there = ended is not None and not expired and self.size > 0
        url = f"{self.address}?Expires={int((ended + _LIFE).timestamp())}" if ended is not None and there else None
        return {
            "__typename": "BulkOperation",
            "id": self.id,
            "type": "QUERY",
            "query": self.text,
            "status": "EXPIRED" if expired and self.status == "COMPLETED" else self.status,
            "errorCode": self.error_code,
            "createdAt": to_text(self.created_at),
            "completedAt": to_text(ended) if ended is not None and self.status == "COMPLETED" else None,
            "objectCount": str(self.objects),
            "rootObjectCount": str(self.roots),
            "fileSize": str(self.size) if self.status == "COMPLETED" and self.size else None,
            "url": url if self.status == "COMPLETED" else None,
            "partialDataUrl": url if self.status == "FAILED" else None,
        }


class BulkOperations:
    """The exports of all shops. `schema` has its resolvers; `tell(shop, topic, payload)` sends a webhook."""

    def __init__(
        self, schema: Callable[[], GraphQLSchema], tell: Callable[[str, str, Mapping[str, Any]], object]
    ) -> None:
        self._schema = schema
        self._tell = tell
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._all: list[Operation] = []
        self._troubles: dict[str, list[Trouble]] = {}
        self.nodes_only = False  # see `bulk_query`
        self.leaks = 0  # requests for a file that carried an access token

    # -- what an app may do

    def run(self, call: Call, text: str, *, grouped: bool) -> Operation | list[dict[str, Any]]:
        """Begin an export, or the user errors that refuse it."""
        query = read(self._schema(), text, nodes_only=self.nodes_only)
        if isinstance(query, list):
            return [{"code": "INVALID", "field": ["query"], "message": sentence} for sentence in query]
        shop, many = call.state.shop.domain, call.version >= "2026-01"
        running = [one for one in self.of(shop) if one.status not in _ENDED]
        if len(running) >= (5 if many else 1):
            code, sentence = "LIMIT_REACHED", "Bulk operations limit reached. Please try again later."
            if not many:
                code = "OPERATION_IN_PROGRESS"
                sentence = f"A bulk query operation for this app and shop is already in progress: {running[0].id}."
            return [{"code": code, "field": None, "message": sentence}]
        number = call.new_number()
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="simulated-bulk-")
        troubles = self._troubles.get(shop) or [Trouble()]
        made = Operation(
            f"gid://shopify/BulkOperation/{number}",
            shop,
            text,
            query,
            grouped,
            call.now,
            f"{call.origin}/{FILES}/bulk-{number}.jsonl",
            Path(self._folder.name) / f"bulk-{number}.jsonl",
            [],
            troubles.pop(0),
        )
        made.path.touch()
        if call.state.granted("read_orders"):
            arguments = {k: v for k, v in query.arguments.items() if k in ("query", "sortKey", "reverse")}
            made.rest = [order["id"] for order in found_orders(call, **arguments)][::-1]
        else:
            self._end(made, "FAILED", call.now, "ACCESS_DENIED")
        self._all.append(made)
        return made

    def cancel(self, call: Call, gid: str) -> tuple[Operation | None, list[dict[str, Any]]]:
        """Begin to cancel; the next look finds it canceled."""
        found = self.find(call.state.shop.domain, gid)
        if found is None:
            return None, [{"field": ["id"], "message": "Bulk operation does not exist"}]
        if found.status in _ENDED:
            sentence = f"A bulk operation cannot be canceled when it is {found.status.lower()}"
            return found, [{"field": None, "message": sentence}]
        found.status = "CANCELING"
        return found, []

    def of(self, shop: str) -> list[Operation]:
        """The shop's operations, oldest first."""
        return [one for one in self._all if one.shop == shop]

    def find(self, shop: str, gid: str) -> Operation | None:
        """One of the shop's operations."""
        return next((one for one in self._all if one.id == gid and one.shop == shop), None)

    def trouble(self, shop: str, trouble: Trouble) -> None:
        """The shop's next operation that has none yet meets this."""
        self._troubles.setdefault(shop, []).append(trouble)

    # -- work

    def look(self, call: Call, shop: str | None = None) -> None:
        """Every unfinished operation of the caller's shop goes on a little."""
        for one in self.of(shop or call.state.shop.domain):
            if one.status not in _ENDED:
                self._go_on(call, one)

    def _go_on(self, call: Call, one: Operation) -> None:
        now = call.now
        if one.status == "CANCELING":
            one.rest.clear()
            self._end(one, "CANCELED", now)
            return
        if now >= one.created_at + _LONGEST:
            self._end(one, "FAILED", now, "TIMEOUT")
            return
        if one.status == "CREATED":
            one.status = "RUNNING"
            return
        with one.path.open("ab") as file:
            try:
                for roots in self._portions(call, one):
                    for line in roots:
                        self._write(one, file, line)
            except GraphQLError as error:
                code = (error.extensions or {}).get("code")
                self._end(one, "FAILED", now, code if code == "ACCESS_DENIED" else "INTERNAL_SERVER_ERROR")
                return
        failing = one.trouble.fail_after
        if failing is not None and one.roots >= failing:
            self._end(one, "FAILED", now, one.trouble.error)
        elif not one.rest and now >= one.created_at + timedelta(seconds=one.trouble.slow):
            self._end(one, "COMPLETED", now)

    def _portions(self, call: Call, one: Operation) -> Iterator[list[Line]]:
        """The next orders' lines: each order's own, or those of some orders mixed, children after all parents."""
        size = 1 if one.grouped else _UNGROUPED
        for _ in range(_A_LOOK // size):
            portion: list[Line] = []
            for _ in range(min(size, len(one.rest))):
                if one.trouble.fail_after is not None and one.roots >= one.trouble.fail_after:
                    break
                order = call.order(one.rest.pop())
                if order is not None:
                    one.roots += 1
                    portion += one.query.exporter.lines("Order", order, one.query.node, call)
            if not one.grouped:
                portion.sort(key=lambda line: ("__parentId" in line, str(line.get("__typename"))))
            yield portion
            if not one.rest:
                return

    def _write(self, one: Operation, file: Any, line: Line) -> None:
        one.objects += 1
        written = json.dumps(line, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/").encode() + b"\n"
        if one.trouble.lose:
            one.held_back.append(written)
            if len(one.held_back) <= one.trouble.lose:
                return
            written = one.held_back.pop(0)
        one.size += len(written)
        file.write(written)

    def _end(self, one: Operation, status: str, now: datetime, error: str | None = None) -> None:
        one.status, one.error_code, one.completed_at = status, error, now
        one.rest.clear()
        told = {
            "admin_graphql_api_id": one.id,
            "completed_at": now.isoformat() if status == "COMPLETED" else None,
            "created_at": one.created_at.isoformat(),
            "error_code": error.lower() if error else None,
            "status": status.lower(),
            "type": "query",
        }
        self._tell(one.shop, "bulk_operations/finish", told)

    # -- files

    def serve(self, request: SimRequest, now: datetime) -> SimResponse:
        """A file, or a range of it: 403 when its time is over or the address is not the one that was given."""
        if "x-shopify-access-token" in request.headers or "authorization" in request.headers:
            self.leaks += 1
            return _refused(400, "InvalidSecurity")
        name = request.path.rsplit("/", 1)[-1]
        one = next((one for one in self._all if one.path.name == name), None)
        if one is None or one.completed_at is None or request.method != "GET":
            return _refused(404, "NoSuchKey")
        expires = parse_qs("&".join(f"{key}={value}" for key, value in request.query)).get("Expires", ["0"])[0]
        end = one.completed_at + _LIFE
        if expires != str(int(end.timestamp())) or now >= end:
            return _refused(400, "ExpiredToken")
        start, ranged = 0, request.headers.get("range", "")
        if ranged.startswith("bytes=") and ranged.endswith("-"):
            start = int(ranged[6:-1])
            if start >= one.size:
                return SimResponse(416, {"content-range": f"bytes */{one.size}"}, b"")
        stop = one.size
        if one.trouble.cut is not None and one.trouble.cuts != 0 and start <= one.trouble.cut:
            one.trouble.cuts -= 1
            stop = one.trouble.cut
        headers = {"content-type": "application/jsonl", "accept-ranges": "bytes"}
        if start:
            headers["content-range"] = f"bytes {start}-{one.size - 1}/{one.size}"
        status, length = (206 if start else 200), one.size - start
        return SimResponse(status, headers, b"", lambda: _pieces(one.path, start, stop), length)


def _pieces(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        left = stop - start
        while left > 0:
            piece = file.read(min(_PIECE, left))
            left -= len(piece)
            yield piece


def _refused(status: int, code: str) -> SimResponse:
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>".encode()
    return SimResponse(status, {"content-type": "application/xml; charset=UTF-8"}, body)


# --- fields -------------------------------------------------------------------------------------------------


def _run(_: Any, info: Info, query: str, groupObjects: bool = False) -> dict[str, Any]:
    call: Call = info.context
    made = call.bulk.run(call, query, grouped=groupObjects)
    if isinstance(made, list):
        return {"bulkOperation": None, "userErrors": made}
    return {"bulkOperation": made.as_node(call.now), "userErrors": []}


def _cancel(_: Any, info: Info, id: str) -> dict[str, Any]:
    call: Call = info.context
    found, errors = call.bulk.cancel(call, id)
    return {"bulkOperation": found.as_node(call.now) if found else None, "userErrors": errors}


def _one(_: Any, info: Info, id: str) -> Any:
    call: Call = info.context
    call.bulk.look(call)
    found = call.bulk.find(call.state.shop.domain, id)
    return found.as_node(call.now) if found else None


def _current(_: Any, info: Info, type: str = "QUERY") -> Any:
    call: Call = info.context
    call.bulk.look(call)
    mine = call.bulk.of(call.state.shop.domain)
    return mine[-1].as_node(call.now) if mine and type == "QUERY" else None


def _many(
    _: Any, info: Info, query: str | None = None, sortKey: str = "CREATED_AT", reverse: bool = False, **page: Any
) -> Any:
    call: Call = info.context
    call.bulk.look(call)
    found = [one.as_node(call.now) for one in call.bulk.of(call.state.shop.domain)]
    for word in (query or "").replace("'", "").split():
        name, _, value = word.partition(":")
        if name == "status":
            found = [one for one in found if one["status"].lower() == value.lower()]
        elif name == "operation_type":
            found = [one for one in found if one["type"].lower() == value.lower()]
    if sortKey == "COMPLETED_AT":
        found.sort(key=lambda one: one["completedAt"] or "")
    return connection(found, reverse=reverse, **page)


def bulk_resolvers() -> dict[tuple[str, str], Resolver]:
    """The fields of the schema that are about exports."""
    return {
        ("Mutation", "bulkOperationRunQuery"): _run,
        ("Mutation", "bulkOperationCancel"): _cancel,
        ("QueryRoot", "bulkOperation"): _one,
        ("QueryRoot", "bulkOperations"): _many,
        ("QueryRoot", "currentBulkOperation"): _current,
    }
