"""S67: whether the sender's domain lets letters arrive: SPF, DKIM and DMARC, from a DNS that is a table."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import pytest

from ladenbuch.domain.mail_domain import Lookup, Unanswered, findings

KEY = base64.b64encode(b"k" * 294).decode()
GOOD: dict[tuple[str, str], list[str]] = {
    ("shop.de", "MX"): ["10 mail.shop.de."],
    ("shop.de", "TXT"): ["google-site-verification=x", "v=spf1 include:mail.example ~all"],
    ("mail.example", "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"],
    ("s1._domainkey.shop.de", "TXT"): [f"v=DKIM1; k=rsa; p={KEY}"],
    ("_dmarc.shop.de", "TXT"): ["v=DMARC1; p=quarantine; rua=mailto:d@shop.de"],
}


def dns(*changes: Mapping[tuple[str, str], Sequence[str]]) -> Lookup:
    table: dict[tuple[str, str], Sequence[str]] = dict(GOOD)
    for change in changes:
        table |= change
    return lambda name, kind: table.get((name, kind), [])


def _levels(look_up: Lookup, selectors: Sequence[str] = ("s1",), domain: str = "shop.de") -> dict[str, str]:
    return {one.code.removeprefix("MAIL-"): one.level for one in findings(domain, selectors, look_up)}


def test_s67_a_domain_that_is_in_order_is_said_to_be() -> None:
    assert _levels(dns()) == {"SPF": "ok", "DKIM": "ok", "DMARC": "ok"}
    assert _levels(dns(), domain="Shop.DE.") == {"SPF": "ok", "DKIM": "ok", "DMARC": "ok"}


@pytest.mark.parametrize(
    ("record", "level"),
    [
        (["v=spf1 -all"], "ok"), (["v=spf1 mx a ~all"], "ok"), (["V=SPF1 -ALL"], "ok"),
        (["v=spf1 redirect=mail.example"], "ok"),
        (["v=spf1 +all"], "warn"), (["v=spf1 all"], "warn"), (["v=spf1 ?all"], "warn"), (["v=spf1 mx"], "warn"),
        (["v=spf1 -all", "v=spf1 ~all"], "missing"),
        (["v=spf1 " + "a " * 11 + "-all"], "missing"), (["v=spf1 " + "a " * 10 + "-all"], "ok"),
        (["v=spf10 -all"], "warn"), ([], "warn"),  # it is signed, at least
    ],
)  # fmt: skip
def test_s67_spf(record: list[str], level: str) -> None:
    assert _levels(dns({("shop.de", "TXT"): record}))["SPF"] == level


def test_s67_look_ups_are_counted_through_everything_included() -> None:
    chain = {(f"i{n}.example", "TXT"): [f"v=spf1 include:i{n + 1}.example -all"] for n in range(20)}
    long = {("shop.de", "TXT"): ["v=spf1 include:i0.example -all"]}
    assert _levels(dns(chain, long))["SPF"] == "missing"
    short = {("i9.example", "TXT"): ["v=spf1 -all"]}
    assert _levels(dns(chain, long, short))["SPF"] == "ok"
    circle = {("i0.example", "TXT"): ["v=spf1 include:i0.example -all"]}
    assert _levels(dns(long, circle))["SPF"] == "missing"


def test_s67_neither_spf_nor_dkim_is_what_mailbox_providers_refuse() -> None:
    bare = {("shop.de", "TXT"): [], ("s1._domainkey.shop.de", "TXT"): []}
    assert _levels(dns(bare)) == {"SPF": "missing", "DKIM": "warn", "DMARC": "ok"}


@pytest.mark.parametrize(
    ("record", "level"),
    [
        ([f"v=DKIM1; p={KEY}"], "ok"), ([f"p={KEY}"], "ok"),
        ([f"v=DKIM1; k=ed25519; p={base64.b64encode(b'e' * 32).decode()}"], "ok"),
        (["v=DKIM1; p="], "warn"), ([f"v=DKIM1; p={base64.b64encode(b'x' * 94).decode()}"], "warn"),  # 512 bits
        (["v=DKIM1; p=!!"], "warn"), (["v=DKIM2; p=" + KEY], "warn"), (["anything"], "warn"), ([], "warn"),
    ],
)  # fmt: skip
def test_s67_dkim(record: list[str], level: str) -> None:
    assert _levels(dns({("s1._domainkey.shop.de", "TXT"): record}))["DKIM"] == level


def test_s67_unknown_selectors_are_said_to_be_unknown() -> None:
    (dkim,) = [one for one in findings("shop.de", (), dns()) if one.code == "MAIL-DKIM"]
    assert dkim.level == "warn" and "LADENBUCH_DKIM_SELECTORS" in dkim.do_english and "LADENBUCH" in dkim.do_german


@pytest.mark.parametrize(
    ("where", "record", "level"),
    [
        ("shop.de", ["v=DMARC1; p=none"], "ok"), ("shop.de", ["v=DMARC1; p=reject"], "ok"),
        ("shop.de", ["v=DMARC1"], "warn"), ("shop.de", ["v=DMARC1; p=maybe"], "warn"),
        ("shop.de", ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "warn"), ("shop.de", ["x"], "warn"),
    ],
)  # fmt: skip
def test_s67_dmarc(where: str, record: list[str], level: str) -> None:
    assert _levels(dns({(f"_dmarc.{where}", "TXT"): record}))["DMARC"] == level


def test_s67_a_subdomain_has_the_policy_of_its_parent() -> None:
    mail = {("mail.shop.de", "MX"): ["10 x."], ("_dmarc.shop.de", "TXT"): ["v=DMARC1; p=reject; sp=none"]}
    (dmarc,) = [one for one in findings("mail.shop.de", (), dns(mail)) if one.code == "MAIL-DMARC"]
    assert dmarc.level == "ok" and dmarc.english.endswith("p=none")


def test_s67_a_domain_that_is_not_there_and_a_dns_that_is_silent() -> None:
    assert _levels(lambda name, kind: []) == {"DOMAIN": "missing"}

    def silent(name: str, kind: str) -> Sequence[str]:
        raise Unanswered

    (only,) = findings("shop.de", ("s1",), silent)
    assert (only.code, only.level, only.later) == ("MAIL-DNS", "warn", True)
