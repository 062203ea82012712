"""The dashboard: a few server-rendered pages that answer the daily questions, in German or English.

    /              is every order accounted for, what needs me, is it running?
    /orders        every order with its state and the reason
    /orders/{id}   one order: heard -> decided (why) -> posted -> paid -> mailed, and what to choose
    /attention     what a person must decide
    /connection    how shop and sevdesk account are connected, and what is missing before the first invoice
    /given-up      what failed until its last attempt: why, and how to try it again or drop it
    /reconciliation  what shop, books and sevdesk do not agree on
    /delivery        how many letters arrive
    /letters       what letters look like, a test of them to oneself, and those nobody is sure of
    /payouts  both balances of a gateway, and payouts down to their orders
    /running       how this process is: what stalls, how long calls take

The pages only read, but for two things: a test letter to oneself, and what a person says of a letter nobody is sure of.
Data arrives through `Reads`, whoever implements it; the words are in words.py. Everything works without JavaScript;
with it (a vendored htmx) the overview and the open order renew themselves.

The pages have no sign-in yet and are therefore served to this machine only: the peer and the Host header must
both be loopback (the latter against DNS rebinding). No script, style or font comes from elsewhere (CSP).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from ipaddress import ip_address
from math import inf
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ladenbuch import deadletters
from ladenbuch.alarms import Alarm
from ladenbuch.domain.backlog import Backlog
from ladenbuch.domain.clearing import DayBalance, Named
from ladenbuch.domain.money import to_minor
from ladenbuch.domain.reconciling import Item
from ladenbuch.entitlements import NearCap
from ladenbuch.errors import LadenbuchError
from ladenbuch.mail.previews import SAMPLES
from ladenbuch.web import codes, figures
from ladenbuch.web.alarm_words import alarm_sentence, alarm_todo
from ladenbuch.web.arrivals import Arrivals
from ladenbuch.web.backlog import backlog_sentence
from ladenbuch.web.connection import Connection, Connections
from ladenbuch.web.given_up import GivenUp
from ladenbuch.web.letters import Letters, asked_for, framed, from_this_page, posted
from ladenbuch.web.operating import Operations
from ladenbuch.web.paid_out import PaidOuts, name_of, state_of
from ladenbuch.web.reconciled import Reconciliations, sentence_of, standing_of, title_of
from ladenbuch.web.takeovers import TakeOver
from ladenbuch.web.words import Language, language_of, say
from ladenbuch.workflows import lockout
from ladenbuch.workflows.tokens import RECONNECT

State = Literal["documented", "waiting", "excluded", "attention", "open"]
Kind = Literal["heard", "decided", "posted", "paid", "mailed"]

STATES: tuple[State, ...] = ("attention", "waiting", "documented", "excluded", "open")
PAGE_SIZE = 50
_GID = "gid://shopify/Order/"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
#: What became of a person's word about a letter nobody is sure of.
_SAID = ("arrived", "send", "settled", "forgotten", "stopped")
_STATIC = {
    "ladenbuch.css": "text/css; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "htmx.LICENSE.txt": "text/plain; charset=utf-8",
    "mark.svg": "image/svg+xml",
}


@dataclass(frozen=True)
class MonthRow:
    """Orders of an accounting month by our books. `accounted`: documented, waiting or excluded, with no open question
    and a certificate that holds. Shop and sevdesk are not asked: `ladenbuch certificate` does that."""

    first: date
    orders: int
    accounted: int


@dataclass(frozen=True)
class Overview:
    """The shop (or all shops) at a glance. Counts are orders, `paid_minor` is cents of EUR, ages are seconds.

    `accounted_for` = documented + waiting + excluded + attention; what is missing to `orders_total` is in
    progress. `last_event_age`: None when nothing was ever heard; `last_look_age`: since the last successful poll, of
    the shop for which that is longest ago. `oldest_unattempted_age`: None when nothing
    waits for a first run. `stops`: the reasons of the write stops in force. `months`: the last that is over and the
    running one, where they have orders. `alarms`: the open ones, oldest first. `takeovers`: years of orders under way.
    `backlog`: what waits, why, and until when.
    """

    orders_total: int
    accounted_for: int
    documented: int
    waiting: int
    excluded: int
    attention: int
    paid_minor: int
    letters_accepted: int
    letters_uncertain: int
    letters_failed: int
    queue_depth: int
    last_event_age: float | None = None
    last_look_age: float | None = None
    oldest_unattempted_age: float | None = None
    stops: tuple[str, ...] = ()
    months: tuple[MonthRow, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    takeovers: tuple[TakeOver, ...] = ()
    backlog: Backlog | None = None


@dataclass(frozen=True)
class OrderRow:
    """One line of a list. `reason` is a sentence, empty where the state says it all; `code` its stable
    code. `total_minor` is None while the order was never read."""

    tenant: str
    order_id: str
    name: str
    at: datetime
    total_minor: int | None
    currency: str
    state: State
    code: str | None = None
    reason: str = ""
    invoice_number: str | None = None


@dataclass(frozen=True)
class Entry:
    """One thing that happened. `detail` are label-value pairs, already words; a decided entry shows them as a
    card. `doubt` is the key of a letter nobody is sure of."""

    at: datetime
    kind: Kind
    sentence: str
    detail: Mapping[str, str] = field(default_factory=dict)
    doubt: str = ""


@dataclass(frozen=True)
class CertificateLine:
    """One identity of the proof: both sides in minor units, or words where it is not about money."""

    label: str
    left: int | str
    right: int | str
    holds: bool


@dataclass(frozen=True)
class CertificateCard:
    """The proof of one order as shown."""

    holds: bool
    lines: tuple[CertificateLine, ...] = ()


@dataclass(frozen=True)
class AttentionItem:
    """What a person must decide: a stable code, why, what is known, and the answers that would let the work
    go on."""

    code: str
    message: str
    facts: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timeline:
    """The life of one order. `entries` in any order; the page sorts them by time."""

    order_name: str
    state: State
    total_minor: int | None
    currency: str
    entries: tuple[Entry, ...] = ()
    certificate: CertificateCard | None = None
    waiting: tuple[str, ...] = ()
    attention: tuple[AttentionItem, ...] = ()


class Reads(Protocol):
    """What the pages need to know. `tenant` None means every shop; sentences come in the reader's language;
    methods may block (they run in a thread)."""

    def overview(self, tenant: str | None) -> Overview:
        """Counts and ages, now."""

    def orders(
        self, tenant: str | None, state: State | None, page: int, language: Language = "de"
    ) -> Sequence[OrderRow]:
        """Newest first, `PAGE_SIZE` rows per page, pages from 1. One row more than PAGE_SIZE says there is a
        next page."""

    def timeline(self, tenant: str | None, order_id: str, language: Language = "de") -> Timeline | None:
        """One order, or None when this shop has no such order."""


class Shop(Protocol):
    """A tenant as the pages see it: `id` is what the reads are asked with, `shop` is its domain."""

    @property
    def id(self) -> str: ...

    @property
    def shop(self) -> str: ...


def create_pages(
    reads: Reads,
    clock: Callable[[], datetime],
    tenants: Callable[[], Sequence[Shop]],
    operations: Callable[[], Operations] | None = None,
    connections: Connections | None = None,
    given_up: GivenUp | None = None,
    reconciliations: Reconciliations | None = None,
    arrivals: Arrivals | None = None,
    letters: Letters | None = None,
    payouts: PaidOuts | None = None,
) -> list[Route]:
    """The dashboard's routes. `clock` (aware UTC) dates the pages, `tenants` lists the shops one may look
    at, `operations` gives the figures of the process, `connections` those of the shops, `given_up` what gave up,
    `reconciliations` what was compared, `arrivals` how many letters arrive, `letters` what they look like and
    `payouts` what was paid out, where there are any."""
    pages = _Pages(
        reads, clock, tenants, operations, connections, given_up, reconciliations, arrivals, letters, payouts
    )
    delivered = Route("/delivery", pages.guarded(pages.delivery), name="delivery")
    dead = Route("/given-up", pages.guarded(pages.given_up), name="given-up")
    compared = Route("/reconciliation", pages.guarded(pages.reconciliation), name="reconciliation")
    connection = Route("/connection", pages.guarded(pages.connection), name="connection")
    written = [
        Route("/letters", pages.guarded(pages.letters), name="letters"),
        Route("/letters/shown", pages.guarded(pages.letter_shown), name="letter"),
        Route("/letters/test", pages.guarded(pages.letter_test), methods=["POST"], name="letter-test"),
        Route("/letters/doubt", pages.guarded(pages.letter_doubt), methods=["POST"], name="letter-doubt"),
    ]
    running = Route("/running", pages.guarded(pages.running, without_books=True), name="running")
    return [
        *([] if operations is None else [running]),
        *([] if connections is None else [connection]),
        *([] if given_up is None else [dead]),
        *([] if reconciliations is None else [compared]),
        *([] if arrivals is None else [delivered]),
        *([] if letters is None else written),
        *([] if payouts is None else [Route("/payouts", pages.guarded(pages.payouts), name="payouts")]),
        Route("/", pages.guarded(pages.overview), name="overview"),
        Route("/orders", pages.guarded(pages.orders), name="orders"),
        Route("/orders/{order_id:path}", pages.guarded(pages.order), name="order"),
        Route("/attention", pages.guarded(pages.attention), name="attention"),
        Route("/static/{name}", _static, name="static"),
    ]


class _NotFound(Exception):
    """The page, order or shop does not exist; shown as a 404 page."""


@dataclass(frozen=True)
class _View:
    """What every page knows about its request: language, chosen shop, and how to write links, amounts and
    times."""

    language: Language
    tenant: str | None
    shops: Sequence[Shop]
    now: datetime
    path: str
    operated: bool = False
    joined: bool = False
    given: bool = False
    compared: bool = False
    delivered: bool = False
    lettered: bool = False
    paying: bool = False

    def t(self, key: str, **values: object) -> str:
        return say(self.language, key, **values)

    def plural(self, key: str, count: int) -> str:
        return say(self.language, f"{key}.{'one' if count == 1 else 'many'}", n=self.number(count))

    def number(self, value: int) -> str:
        return figures.number(self.language, value)

    def money(self, minor: int, currency: str = "EUR") -> str:
        return figures.money(self.language, minor, currency)

    def total(self, minor: int | None, currency: str) -> str:
        """An order's amount; a dash while nobody has read it yet."""
        return "–" if minor is None else self.money(minor, currency)

    def side(self, value: int | str, currency: str) -> str:
        return value if isinstance(value, str) else self.money(value, currency)

    def percent(self, share: Decimal | None) -> str:
        """A share with two decimals, rounded down."""
        return "–" if share is None else figures.percent(self.language, share)

    def when(self, at: datetime, pattern: str = "d. MMM y, HH:mm:ss") -> str:
        return figures.moment(self.language, at, pattern)

    def month(self, row: MonthRow) -> str:
        """`1,284 of 1,284 orders of October 2026 are accounted for, to the cent.`"""
        key = "month.all" if row.accounted == row.orders else "month.some"
        name = figures.month(self.language, row.first)
        return self.t(key, done=self.number(row.accounted), n=self.number(row.orders), month=name)

    def age(self, seconds: float) -> str:
        whole = max(0, int(seconds))
        if whole < 120:
            return self.t("age.s", n=whole)
        if whole < 7200:
            return self.t("age.min", n=whole // 60)
        if whole < 172_800:
            return self.t("age.h", n=whole // 3600)
        return self.plural("age.d", whole // 86_400)

    def seconds(self, value: float, over: float) -> str:
        """A duration that may be a fraction of a second; `over` is the bound an infinite one lies beyond."""
        if value == inf:
            return f"> {self.age(over)}"
        if value < 1:
            return self.t("age.ms", n=self.number(round(value * 1000)))
        return self.t("age.s", n=figures.tenths(self.language, value)) if value < 10 else self.age(value)

    def share(self, value: float) -> str:
        return f"{self.number(round(value * 100))} %"

    def link(self, path: str, **query: object) -> str:
        chosen = {"shop": self.tenant, **query} if len(self.shops) > 1 else query
        values = {key: value for key, value in chosen.items() if value not in (None, "")}
        return path + (f"?{urlencode(values)}" if values else "")

    def backlog(self, found: Backlog | None) -> str:
        """What waits and until when; empty where it is not worth saying."""
        if found is None or not found.worth_saying(self.now):
            return ""
        return backlog_sentence(self.language, found, self.now)

    def alarm(self, one: Alarm) -> tuple[str, str]:
        """What is the matter, and what to do."""
        return alarm_sentence(self.language, one.kind, one.facts), alarm_todo(self.language, one.kind)

    def shop_of(self, tenant: str) -> str:
        """The domain of a tenant's shop where several are shown; nothing else."""
        return next((shop.shop for shop in self.shops if shop.id == tenant), "") if len(self.shops) > 1 else ""

    def connected(self, one: Connection) -> str:
        """The one sentence about a connection; what needs a person first."""
        if one.tenant.state in ("uninstalled", "redacted"):
            return self.t("connection.gone")
        if one.shop_lost:
            return self.t("connection.reconnect")
        if one.refused:
            return self.t("connection.sevdesk")
        if one.missing:
            return self.plural("connection.lacks", len(one.missing))
        return self.t("connection.good" if one.checked_at is not None else "connection.new")

    def near(self, usage: NearCap) -> str:
        """Usage that comes close to its cap; figures nobody can read stand as Shopify wrote them."""
        told = (self._written(text, usage.currency) for text in (usage.used, usage.cap))
        return self.t("billing.near", used=next(told), cap=next(told))

    def _written(self, text: str, currency: str) -> str:
        try:
            return self.money(to_minor(text, currency), currency)
        except LadenbuchError:
            return f"{text} {currency}"

    def prose(self, text: str) -> Markup:
        """A sentence in which `this` is something to type."""
        parts = str(Markup.escape(text)).split("`")
        return Markup("".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts)))

    def coded(self, code: str, message: str = "") -> str:
        """What a code says."""
        return codes.sentence(self.language, code, message)

    def order_link(self, row: OrderRow) -> str:
        return self.order_path(row.tenant, row.order_id)

    def order_path(self, tenant: str, order_id: str) -> str:
        path = "/orders/" + quote(order_id.removeprefix(_GID), safe="")
        return self.link(path, shop=tenant) if len(self.shops) > 1 else path

    def sort(self, sort: str) -> str:
        """What stands above differences of a sort."""
        return title_of(self.language, sort)

    def difference(self, item: Item) -> str:
        """What is the matter with it."""
        return sentence_of(self.language, item.discrepancy)

    def day(self, iso: str) -> str:
        """A date of the books."""
        return figures.day(self.language, iso)

    def balance_part(self, item: Named) -> str:
        """Why a part of a difference between two balances is there."""
        return name_of(self.language, item)

    def balance_state(self, day: DayBalance) -> str:
        """How a compared day stands."""
        return state_of(self.language, day)

    def standing(self, item: Item) -> str:
        """How far it is."""
        return standing_of(self.language, item)


class _Pages:
    def __init__(
        self,
        reads: Reads,
        clock: Callable[[], datetime],
        tenants: Callable[[], Sequence[Shop]],
        operations: Callable[[], Operations] | None = None,
        connections: Connections | None = None,
        given_up: GivenUp | None = None,
        reconciliations: Reconciliations | None = None,
        arrivals: Arrivals | None = None,
        letters: Letters | None = None,
        payouts: PaidOuts | None = None,
    ) -> None:
        self._reads = reads
        self._clock = clock
        self._tenants = tenants
        self._operations = operations
        self._connections = connections
        self._given_up = given_up
        self._reconciliations = reconciliations
        self._arrivals = arrivals
        self._letters = letters
        self._payouts = payouts

    def guarded(
        self, page: Callable[[Request, _View], Response], *, without_books: bool = False
    ) -> Callable[[Request], Response]:
        """Serve only to this machine, in the reader's language, with every failure as a readable page.

        `without_books`: the page is worth showing when the books cannot be read.
        """

        def endpoint(request: Request) -> Response:
            if not _is_local(request):
                return HTMLResponse("local only", 403, headers=_HEADERS)
            language = language_of(request.headers.get("accept-language", ""))
            shops: Sequence[Shop] = ()
            operated, joined = self._operations is not None, self._connections is not None
            given, compared = self._given_up is not None, self._reconciliations is not None
            more = (self._arrivals, self._letters, self._payouts)
            there = (operated, joined, given, compared, *(one is not None for one in more))
            view = _View(language, None, shops, self._clock(), request.url.path, *there)
            try:
                try:
                    shops = self._tenants()
                except LadenbuchError:
                    if not without_books:
                        raise
                tenant = _chosen(request.query_params.get("shop"), shops)
                view = replace(view, tenant=tenant, shops=shops, now=self._clock())
                return page(request, view)
            except _NotFound:
                return _render("message.html", view, status=404, title="title.missing", text="missing", code="")
            except LadenbuchError as error:
                return _render(
                    "message.html", view, status=503, title="title.unavailable", text="unavailable", code=error.code
                )

        return endpoint

    def overview(self, request: Request, view: _View) -> Response:
        numbers = self._reads.overview(view.tenant)
        headline, below = _sentence(view, numbers)
        urgent = self._reads.orders(view.tenant, "attention", 1, view.language)[:5] if numbers.attention else ()
        return _render(
            "overview.html",
            view,
            title="title.overview",
            o=numbers,
            stops=_stops(numbers),
            urgent=urgent,
            bar=_bar(numbers),
            headline=headline,
            below=below,
        )

    def running(self, request: Request, view: _View) -> Response:
        assert self._operations is not None
        return _render("running.html", view, title="title.running", o=self._operations())

    def connection(self, request: Request, view: _View) -> Response:
        assert self._connections is not None
        found = self._connections(view.tenant)
        one = found[0] if len(found) == 1 else None
        return _render("connection.html", view, title="title.connection", all=found, one=one)

    def given_up(self, request: Request, view: _View) -> Response:
        assert self._given_up is not None
        id = request.query_params.get("id")
        if id:
            one = self._given_up.one(view.tenant, id)
            if one is None:
                raise _NotFound
            return _render("given_up_one.html", view, title="title.given_up", one=one)
        wanted = request.query_params.get("state")
        state = next((known for known in deadletters.STATES if known == wanted), deadletters.STATES[1])
        page = _page_number(request.query_params.get("page"))
        rows = self._given_up.rows(view.tenant, state, (page - 1) * PAGE_SIZE, PAGE_SIZE + 1)
        return _render(
            "given_up.html",
            view,
            title="title.given_up",
            rows=rows[:PAGE_SIZE],
            more=len(rows) > PAGE_SIZE,
            page=page,
            state=state,
            counts=self._given_up.counts(view.tenant),
        )

    def reconciliation(self, request: Request, view: _View) -> Response:
        assert self._reconciliations is not None
        found = self._reconciliations(view.tenant)
        return _render("reconciliation.html", view, title="title.reconciliation", all=found)

    def delivery(self, request: Request, view: _View) -> Response:
        assert self._arrivals is not None
        return _render("delivery.html", view, title="title.delivery", all=self._arrivals(view.tenant))

    def letters(self, request: Request, view: _View) -> Response:
        return self._letter_page(request.query_params, view)

    def letter_shown(self, request: Request, view: _View) -> Response:
        assert self._letters is not None
        tenant = self._one_shop(view)
        if tenant is None:
            raise _NotFound
        return framed(self._letters.shown(tenant, *asked_for(request.query_params)).html)

    def letter_test(self, request: Request, view: _View) -> Response:
        """Send one to an address the profile names; only our own page may ask for it."""
        assert self._letters is not None
        tenant = self._one_shop(view)
        if tenant is None:
            raise _NotFound
        form = posted(request)
        to = form.get("to", "")
        if not from_this_page(request) or to not in self._letters.addresses(tenant):
            return _render("message.html", view, status=403, title="title.letters", text="letters.not", code="")
        said = self._letters.test(tenant, *asked_for(form), to)
        return self._letter_page(form, replace(view, path="/letters"), said, to)

    def letter_doubt(self, request: Request, view: _View) -> Response:
        """What a person says of a letter nobody is sure of; only our own pages may. A second click says what is."""
        assert self._letters is not None
        tenant, form = self._one_shop(view), posted(request)
        what = form.get("what")
        if not from_this_page(request) or what not in ("arrived", "send"):
            return _render("message.html", view, status=403, title="title.letters", text="doubt.not", code="")
        done = (
            None
            if tenant is None
            else self._letters.settle(tenant, form.get("letter", ""), form.get("since", ""), what)
        )
        if done is None:
            raise _NotFound
        order_id, said = done
        back = "/orders/" + quote(order_id.removeprefix(_GID), safe="")
        return RedirectResponse(view.link(back, said=said), 303, headers={**_HEADERS, "Cache-Control": "no-store"})

    def _letter_page(self, values: object, view: _View, said: str = "", to: str = "") -> Response:
        assert self._letters is not None
        tenant, (name, language) = self._one_shop(view), asked_for(values)
        return _render(
            "letters.html",
            view,
            title="title.letters",
            one=None if tenant is None else self._letters.shown(tenant, name, language),
            addresses=() if tenant is None else self._letters.addresses(tenant),
            doubts=() if tenant is None else self._letters.doubtful(tenant),
            samples=SAMPLES,
            chosen=name,
            language=language,
            said=said,
            to=to,
        )

    def _one_shop(self, view: _View) -> str | None:
        return view.shops[0].id if len(view.shops) == 1 else view.tenant

    def payouts(self, request: Request, view: _View) -> Response:
        assert self._payouts is not None
        found = self._payouts(view.tenant, request.query_params.get("payout"))
        return _render("payouts.html", view, title="title.payouts", all=found)

    def orders(self, request: Request, view: _View) -> Response:
        state = next((known for known in STATES if known == request.query_params.get("state")), None)
        return self._list(request, view, "orders.html", "title.orders", state)

    def attention(self, request: Request, view: _View) -> Response:
        return self._list(request, view, "attention.html", "title.attention", "attention")

    def _list(self, request: Request, view: _View, template: str, title: str, state: State | None) -> Response:
        page = _page_number(request.query_params.get("page"))
        rows = self._reads.orders(view.tenant, state, page, view.language)
        return _render(
            template,
            view,
            title=title,
            rows=rows[:PAGE_SIZE],
            state=state,
            page=page,
            more=len(rows) > PAGE_SIZE,
            states=STATES,
        )

    def order(self, request: Request, view: _View) -> Response:
        given = request.path_params["order_id"]
        order_id = _GID + given if given.isascii() and given.isdigit() else given
        tenant = view.tenant if len(view.shops) != 1 else view.shops[0].id
        life = self._reads.timeline(tenant, order_id, view.language)
        if life is None:
            raise _NotFound
        entries = sorted(life.entries, key=lambda entry: entry.at)
        said = request.query_params.get("said", "")
        return _render(
            "order.html",
            view,
            title="title.orders",
            life=life,
            entries=entries,
            said=said if said in _SAID else "",
            asked=self._letters is not None and tenant is not None,
        )


def _stops(numbers: Overview) -> list[str]:
    """The stops that no alarm explains: a refused token is said there, with what to do, and nobody has to lift it."""
    refused = any(one.kind == "TOKEN-REFUSED" for one in numbers.alarms)
    return [why for why in numbers.stops if not (refused and (why == lockout.REASON or f": {RECONNECT}: " in why))]


def _sentence(view: _View, numbers: Overview) -> tuple[str, str]:
    """The one sentence on top, and the one below it. What needs a person always comes first."""
    total, done = numbers.orders_total, numbers.accounted_for
    proven = done - numbers.attention  # what waits for a decision is listed, not proved
    if total == 0:
        return view.t("say.none"), ""
    if proven >= total:
        proof = view.plural("say.all", total)
    else:
        proof = view.t("say.some", done=view.number(proven), n=view.number(total))
    if done < total:
        proof += " " + view.plural("say.progress", total - done)
    if numbers.attention:
        return view.plural("say.attention", numbers.attention), proof
    return proof, view.t("say.nothing")


def _bar(numbers: Overview) -> list[tuple[State, int, int]]:
    """Segments of the balance bar as (state, x, width) in thousandths; every order there is gets a visible
    sliver."""
    counts: list[tuple[State, int]] = [
        ("documented", numbers.documented),
        ("waiting", numbers.waiting),
        ("excluded", numbers.excluded),
        ("attention", numbers.attention),
        ("open", max(0, numbers.orders_total - numbers.accounted_for)),
    ]
    total = sum(count for _, count in counts)
    widths = [(state, max(8, count * 1000 // total)) for state, count in counts if count]
    whole = sum(width for _, width in widths)
    segments: list[tuple[State, int, int]] = []
    x = 0
    for state, width in widths:
        segments.append((state, x * 1000 // whole, max(3, width * 1000 // whole)))
        x += width
    return segments


def _render(template: str, view: _View, *, title: str, status: int = 200, **values: object) -> Response:
    content = _environment().get_template(template).render(v=view, t=view.t, title=view.t(title), **values)
    headers = {**_HEADERS, "Cache-Control": "no-store", "Content-Language": view.language, "Vary": "Accept-Language"}
    return HTMLResponse(content, status, headers=headers)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ladenbuch.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["nobreak"] = lambda text: Markup(str(Markup.escape(text)).replace(" ", "&nbsp;"))
    return environment


def _static(request: Request) -> Response:
    """One of a fixed list of files: a name that is not on it is not looked up anywhere."""
    name = request.path_params["name"]
    if name not in _STATIC or not _is_local(request):
        return Response("not found", 404, headers=_HEADERS)
    headers = {**_HEADERS, "Cache-Control": "max-age=300"}
    return Response(_read_static(name), media_type=_STATIC[name], headers=headers)


@cache
def _read_static(name: str) -> bytes:
    return (Path(__file__).parent / "static" / name).read_bytes()


def _chosen(wanted: str | None, shops: Sequence[Shop]) -> str | None:
    """The tenant asked for. None is every shop; an unknown one is a 404, never silently every shop."""
    if not wanted:
        return None
    for shop in shops:
        if wanted in (shop.id, shop.shop):
            return shop.id
    raise _NotFound


def _page_number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text) > 0 else 1


def _is_local(request: Request) -> bool:
    """Both the peer and the name it called us by are this machine."""
    host = request.headers.get("host", "").strip().lower()
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return request.client is not None and _is_loopback(request.client.host) and _is_loopback(name.strip("[]"))


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
