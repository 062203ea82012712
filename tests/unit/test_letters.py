"""The invoice letter: what a buyer reads, and what a hostile buyer cannot make it say (S116)."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.errors import Rejected
from ladenbuch.mail.addresses import mailbox, plain
from ladenbuch.mail.letters import Attached, Brand, Letter, file_name, language_of
from ladenbuch.mail.writing import write

WHEN = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
BRAND = Brand(shop_name="Teeladen Müller", sender="rechnung@teeladen.example", reply_to="hallo@teeladen.example")
LETTER = Letter(
    key="letter:tenant-1:inv:gid://shopify/Order/1001",
    kind="invoice",
    to_email="anna.beispiel@example.org",
    to_name="Anna Beispiel",
    locale="de-DE",
    number="RE-1001",
    order="#1001",
    issued=date(2026, 11, 5),
    amount=123456,
    currency="EUR",
    paid=True,
)
#: Fields of the branding, which the tests change with those of the letter.
BRANDING = {field.name for field in dataclasses.fields(Brand)}
Both = tuple[Letter, Brand]


def received(both: Both | Letter, pdf: bytes | None = b"%PDF-1.7 test") -> EmailMessage:
    """The letter as a mail program sees it: written to bytes and parsed again."""
    letter, brand = (both, BRAND) if isinstance(both, Letter) else both
    files = [] if pdf is None else [Attached(file_name(letter.number), pdf)]
    message = message_from_bytes(write(letter, brand, WHEN, files).as_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\xa0", " ")


def changed(**fields: object) -> Both:
    brand = {name: value for name, value in fields.items() if name in BRANDING}
    letter = {name: value for name, value in fields.items() if name not in BRANDING}
    return dataclasses.replace(LETTER, **letter), dataclasses.replace(BRAND, **brand)  # type: ignore[arg-type]


def test_german_letter() -> None:
    message = received(LETTER)
    assert message["Subject"] == "Ihre Rechnung RE-1001 zur Bestellung #1001"
    assert message["From"] == "Teeladen Müller <rechnung@teeladen.example>"
    assert message["Reply-To"].addresses[0].addr_spec == "hallo@teeladen.example"
    assert message["To"] == "Anna Beispiel <anna.beispiel@example.org>"
    assert message["Date"].datetime == WHEN
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "de"
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert "Guten Tag Anna Beispiel," in text
        assert "1.234,56 €" in text
        assert "5. November 2026" in text
        assert "bereits bezahlt" in text


def test_english_letter() -> None:
    message = received(changed(locale="en-US"))
    assert message["Subject"] == "Your invoice RE-1001 for order #1001"
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert "Hello Anna Beispiel," in text
        assert "€1,234.56" in text
        assert "5 November 2026" in text
        assert "has been paid" in text


def test_unpaid_letter_asks_for_the_transfer() -> None:
    assert "noch offen" in part(received(changed(paid=False)), "plain")
    assert "still due" in part(received(changed(paid=False, locale="en")), "html")


def test_amounts_follow_the_currency() -> None:
    assert "12.345 ¥" in part(received(changed(amount=12345, currency="JPY")), "plain")
    assert "0,07 €" in part(received(changed(amount=7)), "plain")


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("en", "en"),
        ("EN_gb", "en"),
        ("fr-FR", "de"),
        ("", "de"),
        ("eng", "de"),
    ],
)
def test_language(locale: str, language: str) -> None:
    assert language_of(locale) == language


def test_the_pdf_is_attached_under_the_number() -> None:
    (attached,) = received(LETTER).iter_attachments()
    assert attached.get_filename() == "RE-1001.pdf"
    assert attached.get_content_type() == "application/pdf"
    assert attached.get_content() == b"%PDF-1.7 test"


def test_without_a_pdf_no_attachment_is_promised() -> None:
    message = received(LETTER, pdf=None)
    assert not list(message.iter_attachments())
    assert "Anhang" not in part(message, "plain") + part(message, "html")


@pytest.mark.parametrize("number", ["../../etc/passwd", "RE/2026\\1", "a\r\nb", '"x"; filename="y.exe"', "…"])
def test_the_attachment_name_is_always_a_plain_file_name(number: str) -> None:
    (attached,) = received(changed(number=number)).iter_attachments()
    name = attached.get_filename() or ""
    assert name.endswith(".pdf")
    assert not set(name) & set('/\\\r\n"; ')
    assert not name.startswith(".")


def test_the_message_id_belongs_to_the_key_not_to_the_attempt() -> None:
    first = write(LETTER, BRAND, WHEN, [Attached("a.pdf", b"one")])
    again = write(*changed(amount=1), datetime(2027, 1, 1, tzinfo=UTC), [Attached("a.pdf", b"two")])
    other = write(*changed(key="another"), WHEN)
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["X-Ladenbuch-Letter"] == again["X-Ladenbuch-Letter"] != other["X-Ladenbuch-Letter"]
    assert first["X-Ladenbuch-Letter"] in first["Message-ID"]
    assert LETTER.key not in first.as_string(), "the key may name internal things"


def test_same_input_same_words() -> None:
    assert part(received(LETTER), "html") == part(received(LETTER), "html")


def test_a_correction_tells_what_was_refunded_and_asks_for_nothing() -> None:
    """The word is Rechnungskorrektur (§14 (2), (4) no. 10 UStG)."""
    german = received(changed(kind="correction", number="GU-1007", paid=False))
    assert german["Subject"] == "Ihre Rechnungskorrektur GU-1007 zur Bestellung #1001"
    for kind in ("plain", "html"):
        text = part(german, kind)
        assert "Rechnungskorrektur" in text and "GU-1007" in text and "1.234,56" in text
        assert "erstattet" in text and "überweisen" not in text
    assert next(german.iter_attachments()).get_filename() == "GU-1007.pdf"
    english = received(changed(kind="correction", number="GU-1007", locale="en"))
    assert english["Subject"] == "Correction GU-1007 of your invoice for order #1001"
    assert "Refunded" in part(english, "plain") and "transfer" not in part(english, "html")


def test_never_gutschrift_and_always_sie() -> None:
    """bookkeeping.md 3.3 no. 8: the word means self-billing in UStG § 14 (2)."""
    for paid, correction in ((True, False), (False, False), (True, True)):
        for pdf in (b"x", None):
            message = received(changed(paid=paid, kind="correction" if correction else "invoice"), pdf)
            text = message["Subject"] + part(message, "plain") + part(message, "html")
            assert "gutschrift" not in text.lower()
            assert " du " not in text.lower()
            assert " dein" not in text.lower()
            assert "Ihre" in text


TEXT_FIELDS = ("to_name", "shop_name", "number", "order")


@pytest.mark.parametrize("field", [*TEXT_FIELDS, "locale", "key"])
@pytest.mark.parametrize("breaker", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b", "\0\r\n"])
def test_a_line_break_in_a_field_adds_no_header(field: str, breaker: str) -> None:
    hostile = f"x{breaker}Bcc: eve@example.net{breaker}{breaker}Hello"
    message = received(changed(**{field: hostile}))
    assert message["Bcc"] is None
    assert sorted(set(message.keys())) == sorted(set(received(LETTER).keys()))
    assert not message.defects


@pytest.mark.parametrize("field", TEXT_FIELDS)
@pytest.mark.parametrize("hostile", ["{{7*7}}", "{% if 1 %}49{% endif %}", "${7*7}", "{{ ''.__class__ }}"])
def test_template_syntax_in_a_field_stays_text(field: str, hostile: str) -> None:
    message = received(changed(**{field: hostile}))
    assert hostile in part(message, "plain")
    assert "49" not in part(message, "plain").replace(hostile, "")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def parsed(message: EmailMessage) -> Tags:
    parser = Tags()
    parser.feed(part(message, "html"))
    return parser


@pytest.mark.parametrize("field", TEXT_FIELDS)
@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "<img src=x onerror=1>", "a</td><b>&amp;"])
def test_html_in_a_field_is_text(field: str, hostile: str) -> None:
    harmless = parsed(received(LETTER))
    attacked = parsed(received(changed(**{field: hostile})))
    assert attacked.tags == harmless.tags
    assert hostile in "".join(attacked.words)


@pytest.mark.parametrize(
    "name", ["Click https://evil.example/x", "www.evil.example", "win evil.com/now", "a@b.example"]
)
def test_a_link_instead_of_a_name_is_not_passed_on(name: str) -> None:
    message = received(changed(to_name=name))
    assert "evil" not in part(message, "plain") + part(message, "html") + str(message["To"])
    assert "Guten Tag," in part(message, "plain")


@pytest.mark.parametrize("name", ["Jürgen O'Neill-Şahin", "李小龙", "Dr. med. A. B.", "", "Mme d'Été 🌷"])
def test_real_names_survive(name: str) -> None:
    assert name in part(received(changed(to_name=name)), "plain")


@pytest.mark.parametrize(
    "address",
    [
        "", " ", "anna", "@example.org", "anna@", "anna@localhost", "a b@example.org", "anna@exam ple.org",
        "anna@example.org\r\nBcc: eve@example.net", "anna@example.org,eve@example.net",
        "Anna <anna@example.org>",
        "anna@example.org>", '"anna"@example.org', "änna@example.org", "a..b@example.org", ".a@example.org",
        "anna@-x.example", "anna@x..example",
        "x" * 65 + "@example.org", "anna@example.org\n", "a@b@example.org",
        "anna@[127.0.0.1]",
    ],
)  # fmt: skip
def test_an_address_that_cannot_stand_on_an_envelope_is_rejected(address: str) -> None:
    with pytest.raises(Rejected) as caught:
        write(*changed(to_email=address), WHEN)
    assert caught.value.code == "LETTER-ADDRESS"
    assert "anna" not in str(caught.value), "no personal data in an exception"


@pytest.mark.parametrize(
    ("given_", "wire"),
    [
        ("anna@example.org", "anna@example.org"),
        (" Anna+shop@Example.ORG ", "Anna+shop@Example.ORG"),
        ("o'neill@example.co.uk", "o'neill@example.co.uk"),
        ("anna@müller.example", "anna@xn--mller-kva.example"),
    ],
)
def test_usable_addresses(given_: str, wire: str) -> None:
    assert mailbox(given_) == wire


@pytest.mark.parametrize("field", ["sender", "reply_to"])
def test_a_broken_branding_is_named_as_such(field: str) -> None:
    with pytest.raises(Rejected) as caught:
        write(*changed(**{field: "no address\r\nBcc: eve@example.net"}), WHEN)
    assert caught.value.code == "LETTER-SENDER"
    assert field in str(caught.value)


def test_a_sender_may_carry_its_own_name() -> None:
    message = received(changed(sender="Buchhaltung <rechnung@teeladen.example>", reply_to=""))
    assert message["From"] == "Buchhaltung <rechnung@teeladen.example>"
    assert message["Reply-To"] is None


def test_personal_data_is_not_in_the_repr() -> None:
    assert "anna" not in repr(LETTER).lower()


@given(st.text(max_size=300))
def test_plain_is_one_line_and_idempotent(text: str) -> None:
    line = plain(text)
    assert len(line) <= 120
    assert len(line.splitlines()) <= 1
    assert plain(line) == line


@settings(max_examples=40)
@given(st.fixed_dictionaries({field: st.text(max_size=60).map("x".__add__) for field in TEXT_FIELDS}))
def test_any_text_makes_a_well_formed_letter(fields: dict[str, str]) -> None:
    message = received(changed(**fields))
    assert not message.defects
    assert sorted(set(message.keys())) == sorted(set(received(LETTER).keys()))
    assert parsed(message).tags == parsed(received(LETTER)).tags
