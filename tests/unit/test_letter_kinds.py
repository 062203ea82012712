"""Every kind of letter in both languages: what it must say, what no stranger and no merchant can make it do (S116)."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.domain.branding import PARTS, PLACEHOLDERS, TEXTS, filled
from ladenbuch.domain.profile import Profile
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.mail.letters import LETTER_KINDS, Attached, Brand, Copy, Language, Letter
from ladenbuch.mail.previews import SAMPLES, has_pdf, sample
from ladenbuch.mail.writing import write

WHEN, TODAY = datetime(2026, 11, 23, 9, tzinfo=UTC), date(2026, 11, 23)
BRAND = Brand(
    "Teeladen Müller",
    "rechnung@teeladen.example",
    "hallo@teeladen.example",
    account="DE02 1203 0000",
    footer="HRB 4711",
)
LANGUAGES: tuple[Language, ...] = ("de", "en")
EACH = [(name, language) for name in SAMPLES for language in LANGUAGES]
#: What a stranger, or whoever names things in the shop, has a hand in.
TYPED = [
    field.name for field in fields(Letter) if field.type == "str" and field.name not in ("key", "to_email", "currency")
]
HOSTILE = (
    "x\r\nBcc: eve@example.net\r\n\r\nHello", "x\u2028Bcc: eve@example.net", "<script>alert(1)</script>",
    "</td></table><img src=x onerror=1>", "{{7*7}}", "{% if 1 %}49{% endif %}", "{amount}{order}", "\u202eabc",
)  # fmt: skip


class Seen(HTMLParser):
    """Which tags a letter is made of, and what it says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") or name in ("src", "href", "background") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def received(letter: Letter, brand: Brand = BRAND, *, pdf: bool = False, copy: Copy | None = None) -> EmailMessage:
    files = [Attached("R1001.pdf", b"%PDF-1.7")] if pdf else []
    message = message_from_bytes(write(letter, brand, WHEN, files, copy).as_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage) and not message.defects
    return message


def body(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def bare(text: str) -> list[str]:
    """The words of a text, without what only lays it out."""
    return re.findall(r"\w+", text.replace("\u00ad", ""))


@pytest.mark.parametrize(("name", "language"), EACH)
def test_s116_text_and_html_say_the_same_and_the_law_s_words_are_right(name: str, language: Language) -> None:
    letter = sample(name, language, "anna@example.org", TODAY)
    message = received(letter, pdf=has_pdf(name))
    seen = Seen(body(message, "html"))
    style = seen.words.index(next(word for word in seen.words if "color-scheme" in word))
    html = [
        word for index, word in enumerate(seen.words) if index not in (style, seen.words.index(str(message["Subject"])))
    ]
    shown = bare(" ".join(html))[len(bare("Teeladen Müller")) :]  # the shop's name on top
    assert shown == bare(body(message, "plain")), "one wording, two forms"
    said = str(message["Subject"]) + body(message, "plain")
    assert "gutschrift" not in said.lower() and "{" not in said
    assert message["Content-Language"] == language and letter.order in said
    if letter.number:
        assert (letter.number in said and "129,00" in said.replace("129.00", "129,00")) or letter.amount != 12_900
    if name in ("reminder3", "prepayment3"):
        assert not re.search(r"gebühr|inkasso|anwalt|fee|lawyer|court", said.lower()), "nothing is threatened"


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_a_stranger_types_adds_a_header_markup_or_words(name: str, hostile: str) -> None:
    plain = sample(name, "de", "anna@example.org", TODAY)
    harmless = received(plain)
    given = {field: hostile for field in TYPED if getattr(plain, field) or field == "reference"}
    attacked = received(replace(plain, **given))  # type: ignore[arg-type]
    assert sorted(attacked.keys()) == sorted(harmless.keys()) and attacked["Bcc"] is None
    assert Seen(body(attacked, "html")).tags <= Seen(body(harmless, "html")).tags | {"strong"}
    text = " ".join(body(attacked, "plain").split())
    assert "49" not in text.replace(hostile, "") and "\u202e" not in text
    if hostile.startswith("{"):
        assert hostile in text and hostile in attacked["Subject"], "neither run nor filled in"


WORDS = st.text(max_size=200).filter(lambda text: "gutschrift" not in text.lower())


@settings(max_examples=40)
@given(text=WORDS, name=st.text(max_size=40))
def test_the_merchant_s_own_words_are_words(text: str, name: str) -> None:
    brand = replace(BRAND, texts={f"invoice.de.{part}": text or "x" for part in PARTS})
    letter = replace(sample("invoice", "de", "anna@example.org", TODAY), to_name=name)
    message, harmless = received(letter, brand), received(letter)
    assert sorted(message.keys()) == sorted(harmless.keys())
    assert Seen(body(message, "html")).tags <= Seen(body(harmless, "html")).tags | {"br"}
    assert "R1001" in body(message, "plain") and "129,00" in body(message, "plain"), "the table stays"


def test_placeholders_are_filled_in_once_and_named_in_the_reference() -> None:
    assert filled("{name} {order} {nobody} {{order}}", {"name": "{order}", "order": "#1"}) == "{order} #1 {nobody} {#1}"
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "reference" / "letters.md").read_text(encoding="utf-8")
    assert all(f"| `{{{name}}}` |" in page for name in PLACEHOLDERS)
    assert all(f"`{name}`" in page for name in (*TEXTS, *PARTS))
    text = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    letter = replace(sample("reminder1", "de", "anna@example.org", TODAY), reference="K-7")
    said = body(received(letter, replace(BRAND, texts={"reminder1.de.opening": text})), "plain")
    assert "{" not in said and all(word in said for word in ("Anna Beispiel", "#1001", "R1001", "129,00", "16", "K-7"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"letters_texts": {"invoice.de.opening": "Ihre Gutschrift"}},
        {"letters_texts": {"invoice.de.opening": "{customer}"}},
        {"letters_texts": {"invoice.fr.opening": "x"}},
        {"letters_texts": {"invoice.de.footer": "x"}},
        {"letters_texts": {"digest.de.opening": "x"}},
        {"letters_texts": {"invoice.de.subject": "a\nBcc: b"}},
        {"letters_texts": {"invoice.de.opening": "x" * 1001}},
        {"letters_texts": {"invoice.de.opening": ""}},
        {"letters_texts": ["x"]},
        {"letters_also": ["payment", "invoice"]},
        {"letters_also": "payment"},
        {"letters_by": "post"},
        {"letters_from": "no address"},
        {"letters_from": "Shop <a@b.example>\r\nBcc: c@d.example"},
        {"letters_reply_to": "a@b"},
        {"letters_bcc": "Shop <a@b.example>"},
        {"alerts_to": "a@b.example, c@d.example"},
        {"letters_colour": "red"},
        {"letters_colour": "#fff;background:url(x)"},
        {"letters_footer": "x" * 1001},
        {"alerts_language": "fr"},
    ],
)
def test_a_profile_whose_letters_could_not_be_written_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        Profile.from_json(wrong)
    assert caught.value.code == "PROFILE" and next(iter(wrong)) in caught.value.message


def test_a_profile_keeps_its_letters() -> None:
    told = {
        "letters_also": ["refund", "payment"], "letters_texts": {"invoice.en.subject": "Your {number}"},
        "letters_from": "Shop <a@b.example>", "letters_bcc": "archiv@b.example", "letters_colour": "#1d6b5c",
    }  # fmt: skip
    profile = Profile.from_json(told)
    assert profile.letters_also == ("payment", "refund")
    assert Profile.from_json(profile.as_json()) == profile


def test_a_copy_names_whom_the_letter_went_to_and_is_a_message_of_its_own() -> None:
    letter = sample("invoice", "en", "anna@example.org", TODAY)
    message, copy = received(letter), received(letter, copy=Copy("c", "archiv@example.org"))
    assert copy["To"] == "archiv@example.org" and "anna@example.org" in body(copy, "plain")
    assert copy["Message-ID"] != message["Message-ID"] and copy["X-Ladenbuch-Copy-Of"] == message["X-Ladenbuch-Letter"]
    assert "anna@example.org" not in body(message, "plain")


def test_every_kind_to_a_buyer_can_be_looked_at() -> None:
    kinds = {sample(name, "de", "a@example.org", TODAY).kind for name in SAMPLES}
    assert kinds == set(LETTER_KINDS) - {"digest", "copy"}
    with pytest.raises(UsageError):
        sample("gutschrift", "de", "a@example.org", TODAY)
    assert dataclasses.asdict(sample("reminder2", "en", "a@example.org", TODAY))["open"] == 5_000
