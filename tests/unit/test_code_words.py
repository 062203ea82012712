"""S96: whatever code a person meets on the dashboard, a sentence in their language stands beside it."""

from __future__ import annotations

import re
from pathlib import Path

from ladenbuch.web.codes import SENTENCES, recognised, sentence

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "codes.md"
#: Sections of the page whose codes have words of their own, or are met in a terminal alone.
ELSEWHERE = {
    "Alarms": "web.alarm_words",
    "Before the first invoice": "findings bring both languages with them (domain.connected.Finding)",
    "Set-up and commands": "said by commands, in English",
    "Connecting a shop": "the page of an installation has its own words (web.install)",
}
#: Codes of those sections that are met on the dashboard all the same, because work can end with them.
MET = {
    "SEVDESK-FORBIDDEN",
    "DB-FORBIDDEN", "DB-CONSTRAINT", "VAULT-KEY", "VAULT-FORGOTTEN", "VAULT-OPEN", "TENANT-UNKNOWN", "PROFILE",
    "OAUTH-GRANT", "OAUTH-CLIENT", "OAUTH-REFRESH", "OAUTH-SHOP-NOT-PERMITTED", "OAUTH-REFUSED", "OAUTH-DOWN",
    "OAUTH-UNREADABLE", "OAUTH-INCOMPLETE", "OAUTH-ONLINE",
}  # fmt: skip
#: Codes that never reach it: no order, letter or shop waits with them.
NEVER = {
    "INBOX-FULL": "an answer to Shopify, which repeats",
    "INBOX-CLOSED": "an answer to Shopify, which repeats",
    "WEBHOOK-HEADERS": "a mark on a delivery, in the log",
    "WEBHOOK-XML": "a mark on a delivery, in the log",
    "WEBHOOK-SHOP": "an answer to whoever sent it",
    "FEEDBACK-FORGED": "an answer to whoever sent it",
    "FEEDBACK-SHAPE": "an answer to whoever sent it, or a command's",
    "FEEDBACK-FETCH": "an answer to Amazon, which repeats",
    "API-VERSION": "a setting",
    "FILTER-SYNTAX": "a command's",
    "FILTER-UNSUPPORTED": "a command's",
    "FILTER-AMBIGUOUS": "a command's",
    "SUBSCRIPTION": "a command's, and the log's",
    "APP-CONFIG": "a command's",
    "BILLING-PRICE": "a command's",
}


def documented() -> dict[str, str]:
    """Code -> the section of the page it stands in."""
    found, section = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif row := re.match(r"\| `([A-Z0-9-]+)` \|", line):
            found[row[1]] = section
    return found


def test_every_code_of_the_dashboard_has_a_sentence_in_both_languages() -> None:
    page = documented()
    wanted = {code for code, section in page.items() if section not in ELSEWHERE} - NEVER.keys() | MET
    assert wanted - SENTENCES.keys() == set(), "add them to web/code_words.py"
    assert SENTENCES.keys() - page.keys() == set(), "no sentence outlives its code"
    assert set(ELSEWHERE) <= set(page.values()) and NEVER.keys() | MET <= page.keys()


def test_the_sentences_are_sentences_and_each_language_its_own() -> None:
    for code, (german, english) in SENTENCES.items():
        assert german != english, code
        for text in (german, english):
            assert text[0].isupper() or text.startswith("sevdesk"), text
            assert text.endswith("."), text
            assert code not in text, text


def test_a_german_page_says_it_in_german_and_an_english_one_what_was_meant() -> None:
    told = "the line of klarna is not there"
    assert sentence("de", "LINE-GONE", told).startswith("Unsere Buchungszeile")
    assert sentence("en", "LINE-GONE", told) == told
    assert sentence("de", "SEVDESK-7100", "refused (7100)").startswith("Die Steuerregel ist")
    assert sentence("de", None, told) == told
    assert recognised("a tip") and not recognised(told)
