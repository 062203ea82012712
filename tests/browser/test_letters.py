"""Letters as pictures: every kind in both languages, narrow and wide, light and dark; the page that shows them (S116).

With LADENBUCH_SCREENSHOTS=FOLDER each is kept as a PNG, to be looked at.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

from house import TENANT, House
from ladenbuch import audit, inbox, outbox
from ladenbuch.db import Store, Transaction
from ladenbuch.mail.digests import Digest, Item, write_digest
from ladenbuch.mail.letters import Brand, Language
from ladenbuch.mail.previews import SAMPLES
from ladenbuch.mail.transport import Accepted
from ladenbuch.web.alarm_words import alarm_sentence, alarm_todo
from ladenbuch.web.letters import HouseLetters
from ladenbuch.web.pages import create_pages
from ladenbuch.web.reads import SqlReads
from ladenbuch.workflows.lettering import promise
from ladenbuch.workflows.sampling import preview
from relay import Always

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
CHROMIUM = os.environ.get("LADENBUCH_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
BRANDED = {
    "shop_name": "Teeladen Müller", "letters_from": "Teeladen <rechnung@teeladen.example>", "letters_colour": "#b4532a",
    "letters_reply_to": "hallo@teeladen.example", "letters_account": "DE02 1203 0000 0000 2020 51 (BYLADEM1001)",
    "letters_footer": "Teeladen Müller GmbH · Hauptstraße 1 · 99084 Erfurt\nAmtsgericht Jena HRB 4711",
    "letters_texts": {"payment.de.opening": "Hurra, {name}!\n\nWir haben <b>{amount}</b> bekommen. {{7*7}}"},
}  # fmt: skip
LANGUAGES: tuple[Language, ...] = ("de", "en")


class Relay(Always):
    """Takes every letter."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def send(self, message: Any, sender: str, to: str, before_data: Any, first: Any = None) -> Accepted:
        before_data()
        self.taken.append((to, message))
        return Accepted("relay", "250 ok")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("letters"), START, BRANDED)
    yield made
    made.close()


@pytest.fixture
def relay(house: House) -> Relay:
    relay = Relay()
    object.__setattr__(house.ladenbuch.context, "relays", relay)
    return relay


def app(house: House) -> Starlette:
    reads = SqlReads(house.database, house.clock.now)
    letters = HouseLetters(lambda: house.ladenbuch.context)
    return Starlette(routes=create_pages(reads, house.clock.now, reads.tenants, letters=letters))


def client(house: House) -> TestClient:
    return TestClient(app(house), base_url="http://127.0.0.1:8080", client=("127.0.0.1", 50000))


HERE = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin", "accept-language": "de"}
FORM = {"letter": "reminder1", "language": "en", "to": "hallo@teeladen.example"}


def test_the_page_shows_a_letter_in_a_frame_that_runs_and_loads_nothing(house: House) -> None:
    page = client(house).get("/letters?letter=payment&language=de", headers=HERE)
    assert page.status_code == 200 and "Ihre Zahlung zur Rechnung R1001 ist da" in page.text
    assert "sandbox src=" in page.text and "frame-src 'self'" in page.headers["content-security-policy"]
    framed = client(house).get("/letters/shown?letter=payment&language=de", headers=HERE)
    assert "&lt;b&gt;129,00" in framed.text.replace("\xa0", " ") and "{{7*7}}" in framed.text, "the merchant's words"
    policy = framed.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy and "frame-ancestors 'self'" in policy
    assert "http" not in framed.text.replace("http-equiv", ""), "a letter loads nothing from anywhere"


def test_a_test_goes_to_the_merchant_s_own_address_and_says_that_it_is_one(house: House, relay: Relay) -> None:
    answer = client(house).post("/letters/test", data=FORM, headers=HERE)
    assert "Die Probe an hallo@teeladen.example ist angenommen." in answer.text
    ((to, message),) = relay.taken
    assert to == "hallo@teeladen.example" and message["Subject"] == "Test: Payment reminder for invoice R1001"
    assert message["X-Ladenbuch-Letter"] is None, "nobody waits for what becomes of it"


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({**FORM, "to": "stranger@example.net"}, HERE),
        (FORM, {**HERE, "origin": "https://evil.example"}),
        (FORM, {**HERE, "sec-fetch-site": "cross-site"}),
        (FORM, {**HERE, "sec-fetch-site": "none", "origin": "null"}),
        (FORM, {"accept-language": "de"}),
        ({**FORM, "pad": "x" * 5000}, HERE),
    ],
)
def test_nobody_else_can_make_it_write(house: House, relay: Relay, form: Any, headers: Any) -> None:
    answer = client(house).post("/letters/test", data=form, headers=headers)
    assert answer.status_code == 403 and relay.taken == []


# -- a letter nobody is sure of ---------------------------------------------------------------------------------------

ORDER, DOUBT = "gid://shopify/Order/4711", "mail:gid://shopify/Order/4711:1"


def doubt(house: House, again: bool = False) -> None:
    """The answer to a letter about an order got lost; `again`: to the one that was sent after all, too."""

    def write(tx: Transaction) -> None:
        now = house.clock.now()
        if not again:
            payload = {"document": "4711:1", "to": "mia@example.org", "locale": "de"}
            promise(house.ladenbuch.context, tx, TENANT, "invoice", DOUBT, order_id=ORDER, payload=payload)
        assert outbox.claim(tx, TENANT, DOUBT, "run", now)
        outbox.sending(tx, TENANT, DOUBT, "run", now, "<m@shop>")
        outbox.uncertain(tx, TENANT, DOUBT, "run", now, "no answer in time", relay="relay")

    door = house.database.tenant(TENANT)
    door.run(Store.INBOX, lambda tx: inbox.want(tx, TENANT, ORDER, house.clock.now()))
    door.run(Store.BOOKS, write)


def forms(page: str) -> list[dict[str, str]]:
    found = re.findall(r'<form[^>]*action="/letters/doubt">(.*?)</form>', page, re.DOTALL)
    return [dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)) for form in found]


def test_s67_a_letter_nobody_is_sure_of_is_listed_with_a_button_for_each_answer(house: House) -> None:
    """S67: one click sends it again or says that it arrived; a second one, and a stranger's, do nothing."""
    here = client(house)
    house.clock.advance(60)
    doubt(house)
    assert "LETTER-UNCERTAIN" in here.get("/letters", headers=HERE).text
    (form,) = forms(here.get("/orders/4711", headers=HERE).text)
    assert forms(here.get("/letters", headers=HERE).text) == [form] and form["letter"] == DOUBT

    def said(what: str, form: dict[str, str], **headers: str) -> Any:
        return here.post("/letters/doubt", data={**form, "what": what}, headers={**HERE, **headers})

    def state() -> str:
        letter = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: outbox.get(tx, TENANT, DOUBT))
        assert letter is not None
        return letter.state

    strangers = [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "none"}]
    assert [said("send", form, **headers).status_code for headers in strangers] == [403] * 3
    assert said("burn", form).status_code == 403 and said("send", {"letter": "x"}).status_code == 404
    assert state() == "uncertain"

    answer = said("send", form)
    assert [one.status_code for one in answer.history] == [303] and state() == "promised"
    letter = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: outbox.get(tx, TENANT, DOUBT))
    assert letter is not None and letter.may_have_gone
    assert "Der Brief geht als Nächstes noch einmal hinaus" in answer.text and forms(answer.text) == []
    house.clock.advance(60)
    doubt(house, again=True)
    assert "war schon entschieden" in said("send", form).text, "a click on the old page"
    assert state() == "uncertain"
    (form,) = forms(here.get("/orders/4711", headers=HERE).text)
    assert "Vermerkt: Der Brief ist angekommen." in said("arrived", form).text
    assert "war schon entschieden" in said("arrived", form).text and state() == "accepted"
    told = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: audit.entries(tx, TENANT, ORDER))
    mine = [(one.event, one.actor) for one in told]
    assert mine == [("mailed.again", "dashboard"), ("mailed.arrived", "dashboard")]


# -- in a real browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if not CHROMIUM:
        pytest.skip("no Chromium: set LADENBUCH_CHROMIUM")
    with sync.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@contextlib.contextmanager
def opened(browser: Any, width: int, scheme: str) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme, locale="de")
    try:
        yield page
    finally:
        page.close()


def keep(page: Any, name: str) -> None:
    folder = os.environ.get("LADENBUCH_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


#: Contrast of each piece of text with what is behind it (WCAG 2.2, 1.4.3), the smallest first.
CONTRAST = """() => {
  const parse = c => { const m = c.match(/[0-9.]+/g).map(Number); return m.length === 4 && m[3] === 0 ? null : m };
  const bent = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.map(v => bent(v / 255));
    return .2126 * r + .7152 * g + .0722 * b };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    if (!walk.currentNode.textContent.trim()) continue;
    const at = walk.currentNode.parentElement;
    let behind = at, back = null;
    while (behind && !(back = parse(getComputedStyle(behind).backgroundColor))) behind = behind.parentElement;
    const one = light(parse(getComputedStyle(at).color)), other = light(back || [255, 255, 255]);
    found.push((Math.max(one, other) + .05) / (Math.min(one, other) + .05));
  }
  return Math.min(...found);
}"""


#: What fits in one scheme fits in the other, and contrast is the same at each width: two of four, unless looked at.
LOOKS = [(320, "dark"), (1000, "light")] + (
    [(320, "light"), (1000, "dark")] if "LADENBUCH_SCREENSHOTS" in os.environ else []
)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_s116_every_letter_fits_and_can_be_read(browser: Any, house: House, width: int, scheme: str) -> None:
    with opened(browser, width, scheme) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for name in SAMPLES:
            for language in LANGUAGES:
                body = preview(house.ladenbuch.context, TENANT, name, language).get_body(("html",))
                assert body is not None
                page.set_content(str(body.get_content()))
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, language)
                assert page.evaluate(CONTRAST) >= 4.5, (name, language, scheme)
                keep(page, f"{name}.{language}.{width}.{scheme}")
        for language in LANGUAGES:
            items = [
                Item(
                    alarm_sentence(language, kind, {"service": "sevdesk", "minutes": 12}),
                    alarm_todo(language, kind),
                    at,
                )
                for kind, at in (("TOKEN-REFUSED", "23.11.2026, 08:14"), ("POLL-STALE", "23.11.2026, 08:31"))
            ]
            digest = Digest("d", "me@example.org", language, "teeladen.myshopify.com", items)
            body = write_digest(digest, Brand("Ladenbuch", "l@example.org"), START).get_body(("html",))
            assert body is not None
            page.set_content(str(body.get_content()))
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(CONTRAST) >= 4.5
            keep(page, f"digest.{language}.{width}.{scheme}")
        assert asked == [], "without images: nothing is loaded"


@pytest.fixture(scope="module")
def served(house: House) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app(house), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.mark.browser
@pytest.mark.parametrize("width", [320])
def test_the_page_fits_and_a_test_can_be_sent_from_it(
    browser: Any, house: House, relay: Relay, served: str, width: int
) -> None:
    with opened(browser, width, "light") as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(f"{served}/letters?letter=reminder2")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.frame_locator("iframe").get_by_text("Mahnung").count() == 0, "the subject is no part of the letter"
        assert page.frame_locator("iframe").get_by_text("Noch offen").count() == 1
        page.locator("iframe").scroll_into_view_if_needed()
        keep(page, f"page.{width}")
        page.get_by_role("button", name="Senden").click()
        page.wait_for_selector("[role=status]")
        assert complaints == [] and len(relay.taken) == 1
