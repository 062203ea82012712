"""The dashboard: what its pages say, to whom they are served, and how they look in a real browser (B15).

The shop behind it is invented here: one in good order, one that needs a person, one that is empty.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ladenbuch.domain.backlog import Backlog
from ladenbuch.errors import Retryable
from ladenbuch.web.pages import (
    PAGE_SIZE,
    AttentionItem,
    CertificateCard,
    CertificateLine,
    Entry,
    MonthRow,
    OrderRow,
    Overview,
    State,
    Timeline,
    create_pages,
)
from ladenbuch.web.takeovers import TakeOver
from ladenbuch.web.words import WORDS, Language

NOW = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
CHROMIUM = os.environ.get("LADENBUCH_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True)
class Tenant:
    id: str
    shop: str


GOOD = Overview(
    orders_total=200, accounted_for=200, documented=182, waiting=12, excluded=6, attention=0, paid_minor=2345678,
    letters_accepted=182, letters_uncertain=0, letters_failed=0, queue_depth=0, last_event_age=12.4,
    months=(MonthRow(date(2026, 10, 1), 1284, 1284), MonthRow(date(2026, 11, 1), 200, 199)),
)  # fmt: skip
URGENT = Overview(
    orders_total=1284, accounted_for=1281, documented=1190, waiting=61, excluded=27, attention=3, paid_minor=14_832_907,
    letters_accepted=1189, letters_uncertain=1, letters_failed=0, queue_depth=3, last_event_age=4,
    oldest_unattempted_age=95,
)  # fmt: skip


def row(number: int, state: State, total: int, **more: Any) -> OrderRow:
    at = NOW - timedelta(minutes=37 * (1300 - number))
    return OrderRow("t1", f"gid://shopify/Order/{number}", f"#{number}", at, total, "EUR", state, **more)


ROWS = [
    row(
        1284,
        "attention",
        8990,
        code="TAX-PLACE",
        reason="Die Lieferadresse liegt in Österreich: Der Steuersatz hängt von der Schwelle ab.",
    ),
    row(1283, "documented", 123456, invoice_number="RE-2190"),
    row(1282, "documented", 2390, invoice_number="RE-2189"),
    row(1281, "waiting", 14900, code="UNPAID", reason="Vorkasse: Das Geld ist noch nicht da."),
    row(
        1280, "attention", 4500, code="REFUND", reason="18,00 € wurden erstattet; die Rechnung steht noch über 45,00 €."
    ),
    row(1279, "excluded", 0, code="ZERO", reason="Betrag 0,00 €: kein Beleg nötig."),
    row(1278, "documented", 5999, invoice_number="RE-2188"),
    row(1277, "open", 3100),
    row(
        1276,
        "attention",
        6120,
        code="GATEWAY-UNMAPPED",
        reason="Für die Zahlungsart gift_card ist kein Konto festgelegt.",
    ),
    row(1275, "excluded", 1990, code="TEST", reason="Testbestellung."),
]

DONE = Timeline(
    order_name="#1283",
    state="documented",
    total_minor=123456,
    currency="EUR",
    entries=(
        Entry(
            NOW - timedelta(minutes=5, seconds=2),
            "mailed",
            "Der Brief mit der Rechnung wurde vom Postausgang angenommen.",
            {"Relay": "smtp.example.org:587", "Antwort": "250 2.0.0 Ok: queued as 4F2A"},
        ),
        Entry(
            NOW - timedelta(minutes=6),
            "heard",
            "Der Laden meldet: Bestellung bezahlt.",
            {"Thema": "orders/paid", "Weg": "Webhook"},
        ),
        Entry(
            NOW - timedelta(minutes=5, seconds=58),
            "decided",
            "Inländischer Verkauf an eine Privatperson: Umsatzsteuer nach Regel 1 mit 19 % und 7 %.",
            {
                "Regel": "§ 1 Abs. 1 Nr. 1 UStG, sevdesk-Regel 1",
                "Lieferland": "Deutschland",
                "Steuerzeitpunkt": "22. Nov. 2026 (Zahlung vollständig)",
                "Wäre der Käufer ein Unternehmen in der EU": "Regel 3, 0 %",
            },
        ),
        Entry(
            NOW - timedelta(minutes=5, seconds=40),
            "posted",
            "Rechnung RE-2190 über 1.234,56 € geschrieben und festgeschrieben.",
            {"Brutto zu 19 %": "1.190,00 €", "Brutto zu 7 %": "44,56 €"},
        ),
        Entry(
            NOW - timedelta(minutes=5, seconds=21),
            "paid",
            "1.234,56 € auf dem Verrechnungskonto Shopify Payments gebucht und der Rechnung zugeordnet.",
        ),
    ),
    certificate=CertificateCard(
        True,
        (
            CertificateLine("Belege = Bestellung", 123456, 123456, True),
            CertificateLine("Gebucht = eingenommen", 123456, 123456, True),
            CertificateLine("Offen", 0, 0, True),
        ),
    ),
)

ASKING = Timeline(
    order_name="#1280",
    state="attention",
    total_minor=4500,
    currency="EUR",
    entries=(
        Entry(NOW - timedelta(days=3), "heard", "Der Laden meldet: Bestellung bezahlt."),
        Entry(NOW - timedelta(days=3) + timedelta(seconds=4), "posted", "Rechnung RE-2187 über 45,00 € geschrieben."),
        Entry(NOW - timedelta(hours=2), "heard", "Der Laden meldet: Erstattung."),
    ),
    certificate=CertificateCard(False, (CertificateLine("Gebucht = eingenommen", 4500, 2700, False),)),
    waiting=("Die Erstattung ist bei der Bank noch nicht abgeschlossen.",),
    attention=(
        AttentionItem(
            "REFUND",
            "18,00 € wurden erstattet; die Rechnung steht noch über 45,00 €.",
            {"Erstattet": "18,00 €", "Grund im Laden": "<b>Glas</b> zerbrochen {{7*7}}"},
            ("Rechnungskorrektur von Hand schreiben", "Ausnehmen, mit Grund"),
        ),
    ),
)


@dataclass
class Invented:
    """A `Reads` over fixed data; `broken` makes it fail as an unreadable database does."""

    numbers: Overview = GOOD
    rows: Sequence[OrderRow] = tuple(ROWS)
    broken: bool = False
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def overview(self, tenant: str | None) -> Overview:
        if self.broken:
            raise Retryable("DB-UNWRITABLE", "disk full at /secret/path")
        self.asked.append(("overview", tenant))
        return self.numbers

    def orders(
        self, tenant: str | None, state: State | None, page: int, language: Language = "de"
    ) -> Sequence[OrderRow]:
        self.asked.append(("orders", tenant, state, page))
        found = [one for one in self.rows if state in (None, one.state)]
        return found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE + 1]

    def timeline(self, tenant: str | None, order_id: str, language: Language = "de") -> Timeline | None:
        self.asked.append(("timeline", tenant, order_id))
        return {"gid://shopify/Order/1283": DONE, "gid://shopify/Order/1280": ASKING}.get(order_id)


ONE = (Tenant("t1", "teeladen.myshopify.com"),)
TWO = (*ONE, Tenant("t2", "kaffee.myshopify.com"))


def app(reads: Invented, tenants: Sequence[Tenant] = ONE) -> Starlette:
    return Starlette(routes=create_pages(reads, lambda: NOW, lambda: tenants))


def client(reads: Invented | None = None, tenants: Sequence[Tenant] = ONE, **headers: str) -> TestClient:
    return TestClient(
        app(reads or Invented(), tenants),
        base_url="http://127.0.0.1:8080",
        client=("127.0.0.1", 50000),
        headers={"accept-language": "de", **headers},
    )


def text(path: str, reads: Invented | None = None, tenants: Sequence[Tenant] = ONE, **headers: str) -> str:
    answer = client(reads, tenants, **headers).get(path)
    assert answer.status_code == 200, answer.text
    return answer.text.replace("\xa0", " ").replace("&nbsp;", " ")


PATHS = ("/", "/orders", "/orders?state=waiting", "/orders/1283", "/orders/1280", "/attention")


def test_one_sentence_says_that_every_order_is_accounted_for() -> None:
    page = text("/")
    assert "<h1>200 von 200 Bestellungen sind nachgewiesen, auf den Cent.</h1>" in page
    assert "Es gibt nichts für Sie zu tun." in page
    assert "23.456,78 €" in page
    assert "vor 12 s" in page


def test_what_needs_a_person_comes_first() -> None:
    page = text("/", Invented(URGENT))
    assert "<h1>3 Bestellungen brauchen Ihre Entscheidung.</h1>" in page
    assert "1.278 von 1.284 Bestellungen sind nachgewiesen" in page
    assert "3 sind gerade in Arbeit." in page
    assert page.index("TAX-PLACE") < page.index("Wo jede Bestellung steht")
    assert "95 s" in page


def test_the_balance_adds_up_on_the_page() -> None:
    """Documented + waiting + excluded + attention + in progress = total, also when orders are in progress."""
    page = text("/", Invented(URGENT))
    figures = page[page.index("<tbody>") : page.index("</tfoot>")].split('class="figure">')[1:]
    numbers = [int(one.partition("<")[0].replace(".", "")) for one in figures]
    assert numbers[:-1] == [1190, 61, 27, 3, 3]
    assert sum(numbers[:-1]) == numbers[-1] == 1284


def test_B7_each_month_says_how_many_of_its_orders_are_accounted_for() -> None:
    """B7: the tile is green to the cent or says how many are missing, and names the command that asks the others."""
    page = text("/")
    assert "1.284 von 1.284 Bestellungen im Oktober 2026 sind nachgewiesen, auf den Cent." in page
    assert "199 von 200 Bestellungen im November 2026 sind nachgewiesen.</th>" in page
    assert "ladenbuch certificate --month 2026-10" in page
    english = text("/", **{"accept-language": "en"})
    assert "1,284 of 1,284 orders of October 2026 are accounted for, to the cent." in english
    assert "Monat für Monat" not in text("/", Invented(URGENT))


def test_an_empty_shop_is_explained() -> None:
    empty = Overview(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    page = text("/", Invented(empty, ()))
    assert "Noch keine Bestellung." in page
    assert "noch keine" in page
    assert "Nichts zu entscheiden." in text("/attention", Invented(empty, ()))
    assert "Keine Bestellung mit diesem Stand." in text("/orders", Invented(empty, ()))


def test_years_that_are_taken_over_say_until_when() -> None:
    years = TakeOver("one", date(2023, 1, 1), date(2026, 1, 1), 1234, 50000, NOW + timedelta(hours=2))
    page = text("/", Invented(replace(GOOD, takeovers=(years,))))
    assert "Übernahme vom 2023-01-01 bis vor 2026-01-01" in page
    assert "1.234 von 50.000" in page.replace("\u00a0", " ")
    assert "fertig gegen" in page
    assert "fertig gegen" not in text("/", Invented(replace(GOOD, takeovers=(replace(years, end=None),))))


def test_p12_what_waits_says_why_and_until_when() -> None:
    busy = replace(GOOD, backlog=Backlog(412, "shopify-budget", until=NOW + timedelta(minutes=72)))
    said = "412 orders waiting, Shopify budget, done about"
    assert said in text("/", Invented(busy), **{"accept-language": "en"})
    assert "412 Bestellungen warten, Shopify-Kontingent, fertig gegen" in text("/", Invented(busy))
    assert "warten, " not in text("/", Invented(replace(GOOD, backlog=Backlog(3, until=NOW + timedelta(seconds=9)))))


def test_a_write_stop_is_on_top() -> None:
    stopped = Overview(1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, stops=("Umstellung des Kontenrahmens",))
    page = text("/", Invented(stopped))
    assert page.index("Umstellung des Kontenrahmens") < page.index("<h1>")
    assert "Die eine Bestellung ist nachgewiesen" in page


def test_english_by_accept_language() -> None:
    page = text("/", **{"accept-language": "en-GB,en;q=0.9,de;q=0.8"})
    assert '<html lang="en">' in page
    assert "200 of 200 orders are accounted for, to the cent." in page
    assert "€23,456.78" in page
    assert "Bestellung" not in page


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "de"), ("fr", "de"), ("fr,en;q=0.3", "en"), ("de;q=0.4,en;q=0.5", "en"), ("en;q=0", "de"), ("*", "de")],
)
def test_language_choice(header: str, language: str) -> None:
    assert f'<html lang="{language}">' in text("/", **{"accept-language": header})


def test_both_languages_have_every_text_and_the_same_placeholders() -> None:
    import string

    for key, (german, english) in WORDS.items():
        assert german
        assert english, key
        names = [{name for _, name, _, _ in string.Formatter().parse(one) if name} for one in (german, english)]
        assert names[0] == names[1], key


def test_orders_are_filtered_and_paged() -> None:
    many = [row(number, "waiting", 100) for number in range(1, PAGE_SIZE + 12)]
    reads = Invented(rows=many)
    first, second = text("/orders?state=waiting", reads), text("/orders?state=waiting&page=2", reads)
    assert first.count("<tr>") == PAGE_SIZE + 1
    assert 'rel="next"' in first
    assert 'rel="prev"' not in first
    assert second.count("<tr>") == 11 + 1
    assert 'rel="next"' not in second
    assert reads.asked == [("orders", None, "waiting", 1), ("orders", None, "waiting", 2)]


@pytest.mark.parametrize("query", ["page=-1", "page=x", "page=0", "page=99999999999999", "page=²", "state=nonsense"])
def test_a_strange_query_is_the_first_page(query: str) -> None:
    reads = Invented()
    text(f"/orders?{query}", reads)
    assert reads.asked == [("orders", None, None, 1)]


def test_the_life_of_an_order_reads_in_order() -> None:
    page = text("/orders/1283")
    words = ["Gehört", "Entschieden", "Gebucht", "Bezahlt", "Verschickt"]
    places = [page.index(f'<span class="kind">{word}</span>') for word in words]
    assert places == sorted(places), "heard -> decided -> posted -> paid -> mailed, whatever order the reads gave"
    assert "Der Nachweis geht auf." in page
    assert "22. Nov. 2026, 19:24:00" in page, "Berlin time"


def test_the_decision_card_names_code_facts_and_choices() -> None:
    page = text("/orders/1280")
    for part in ("REFUND", "Rechnungskorrektur von Hand schreiben", "Ausnehmen, mit Grund", "geht nicht auf", "≠"):
        assert part in page
    assert "&lt;b&gt;Glas&lt;/b&gt; zerbrochen {{7*7}}" in page, "what a stranger typed stays text"


def test_unknown_order_page_and_shop_are_404() -> None:
    for path in ("/orders/999", "/orders/gid://shopify/Order/9", "/?shop=nobody", "/orders?shop=t2"):
        answer = client().get(path)
        assert answer.status_code == 404
        assert "Nicht gefunden" in answer.text


def test_with_several_shops_one_can_be_chosen_and_links_keep_it() -> None:
    reads = Invented(URGENT)
    page = text("/?shop=t1", reads, TWO)
    assert reads.asked == [("overview", "t1"), ("orders", "t1", "attention", 1)]
    assert 'href="/orders/1284?shop=t1"' in page
    assert '<option value="t1" selected>' in page
    text("/orders/1283?shop=t1", reads, TWO)
    assert reads.asked[-1] == ("timeline", "t1", "gid://shopify/Order/1283")


def test_an_unreadable_database_is_a_readable_503_without_details() -> None:
    answer = client(Invented(broken=True)).get("/")
    assert answer.status_code == 503
    assert "DB-UNWRITABLE" in answer.text
    assert "/secret" not in answer.text


@pytest.mark.parametrize("path", [*PATHS, "/orders/999", "/static/ladenbuch.css", "/static/nothing"])
def test_security_headers_are_on_every_answer(path: str) -> None:
    headers = client().get(path).headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PATHS)
def test_pages_carry_no_inline_script_or_style(path: str) -> None:
    page = text(path)
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count('<script src="/static/htmx.min.js" defer></script>') == 1


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("peer", "host"),
    [("192.0.2.7", "127.0.0.1:8080"), ("127.0.0.1", "evil.example"), ("127.0.0.1", "127.0.0.1.evil.example")],
)
def test_served_to_this_machine_only(path: str, peer: str, host: str) -> None:
    reads = Invented()
    remote = TestClient(app(reads), base_url="http://127.0.0.1:8080", client=(peer, 50000))
    assert remote.get(path, headers={"host": host}).status_code == 403
    assert reads.asked == []


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080"])
def test_every_name_of_this_machine_works(host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("name", ["../pages.py", "..%2fpages.py", "%2e%2e/pages.py", "x.css"])
def test_static_files_are_a_fixed_list(name: str) -> None:
    answer = client().get(f"/static/{name}")
    assert answer.status_code == 404


# -- in a real browser --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium, or set LADENBUCH_CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api")
    flags = ("no-sandbox", "disable-gpu", "disable-background-networking", "no-first-run", "disable-quic",
             "disable-component-update", "disable-sync")  # fmt: skip
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=[f"--{flag}" for flag in flags])
        yield started
        started.close()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Invented]]:
    reads = Invented(URGENT)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app(reads), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", reads
    server.should_exit = True
    thread.join(10)


@contextlib.contextmanager
def opened(browser: Any, width: int, height: int = 900, scheme: str = "light") -> Iterator[tuple[Any, list[str]]]:
    context = browser.new_context(viewport={"width": width, "height": height}, locale="de-DE", color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page, complaints
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("path", PATHS)
def test_pages_fit_and_the_browser_has_no_complaint(
    browser: Any, served: tuple[str, Invented], path: str, width: int
) -> None:
    """Readable at 320 px without scrolling sideways; no console error, no CSP violation."""
    with opened(browser, width) as (page, complaints):
        page.goto(served[0] + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []
        folder = os.environ.get("LADENBUCH_SCREENSHOTS")
        if folder:
            name = (path.strip("/") or "overview").replace("/", "-").replace("?", "-")
            page.screenshot(path=str(Path(folder) / f"{name}-{width}.png"), full_page=True)


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_lies_over_a_badge(browser: Any, served: tuple[str, Invented], width: int) -> None:
    with opened(browser, width) as (page, _):
        page.goto(served[0] + "/orders")
        for number in range(len(ROWS)):
            row_ = page.locator("table.list tbody tr").nth(number)
            badge, date = row_.locator(".badge").bounding_box(), row_.locator("time").bounding_box()
            beside = date["x"] >= badge["x"] + badge["width"] or badge["x"] >= date["x"] + date["width"]
            below = date["y"] >= badge["y"] + badge["height"] or badge["y"] >= date["y"] + date["height"]
            assert beside or below


@pytest.mark.browser
def test_figures_are_tabular_and_line_up(browser: Any, served: tuple[str, Invented]) -> None:
    with opened(browser, 1280) as (page, _):
        page.goto(served[0] + "/")
        figures = page.locator("table.ledger").first.locator("td.figure")
        right = {round(box["x"] + box["width"]) for box in (figures.nth(n).bounding_box() for n in range(5))}
        assert len(right) == 1
        assert "tabular-nums" in figures.first.evaluate("one => getComputedStyle(one).fontVariantNumeric")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_badges_have_words_and_enough_contrast(browser: Any, served: tuple[str, Invented], scheme: str) -> None:
    """WCAG 1.4.3: at least 4.5 to 1 between a badge's text and its ground."""
    luminance = """one => { const style = getComputedStyle(one);
      const level = text => { const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const [a, b] = [level(style.color), level(style.backgroundColor)].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05); }"""
    with opened(browser, 1280, scheme=scheme) as (page, _):
        page.goto(served[0] + "/orders")
        badges = page.locator(".badge")
        assert badges.count() == len(ROWS)
        for number in range(badges.count()):
            assert badges.nth(number).inner_text().strip()
            assert badges.nth(number).evaluate(luminance) >= 4.5, badges.nth(number).inner_text()


@pytest.mark.browser
def test_from_the_overview_to_the_decision_by_keyboard(browser: Any, served: tuple[str, Invented]) -> None:
    with opened(browser, 1280) as (page, _):
        page.goto(served[0] + "/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.get_by_role("link", name="#1280").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/orders/1280")
        assert page.get_by_role("heading", level=1).inner_text() == "Bestellung #1280"
        assert page.locator(".decision").count() == 1


@pytest.mark.browser
def test_the_overview_renews_itself(browser: Any, served: tuple[str, Invented]) -> None:
    url, reads = served
    with opened(browser, 1280) as (page, complaints):
        page.goto(url + "/")
        reads.numbers = GOOD
        try:
            page.get_by_text("200 von 200 Bestellungen sind nachgewiesen").wait_for(timeout=20_000)
            assert page.locator("main").count() == 1
            assert complaints == []
        finally:
            reads.numbers = URGENT
