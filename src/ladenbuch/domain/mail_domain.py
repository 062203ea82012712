"""Whether the domain of a letters' sender lets its letters arrive: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489).

Pure: DNS is a function of a name and a type of record. It gives the records as text, [] where there are none, and
raises `Unanswered` when nobody answers. Large mailbox providers refuse letters with neither SPF nor DKIM.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ladenbuch.domain.connected import Finding, Level

Lookup = Callable[[str, str], Sequence[str]]

#: RFC 7208, 4.6.4: more look-ups than that make the record an error.
MOST_LOOKUPS = 10
#: Bytes of an RSA key of 1024 bits as it is published (DER): shorter ones count as none.
_SHORTEST_RSA = 160
#: Under which selectors a provider usually publishes its keys; those of the others are unique to each account.
SELECTORS: Mapping[str, tuple[str, ...]] = {
    "sendgrid": ("s1", "s2"),
    "mailgun": ("smtp", "mx", "k1", "pic", "mailo"),
}
_COUNTED = re.compile(r"[+?~-]?(?:(include|exists):(\S+)|(a|mx|ptr)(?:[:/]\S*)?)\Z", re.IGNORECASE)
_REDIRECT = re.compile(r"redirect=(\S+)\Z", re.IGNORECASE)
_ALL = re.compile(r"([+?~-]?)all\Z", re.IGNORECASE)


class Unanswered(Exception):
    """DNS gave no answer; another time it may."""


@dataclass(frozen=True, slots=True)
class _Spf:
    """What a record says: how it ends (`-all`, `~all`, `?all`, `+all`, or nothing), and its look-ups in all."""

    end: str
    lookups: int


def domain_of(sender: str) -> str:
    """The domain of an address, also of `Shop <rechnung@shop.example>`, as DNS knows it; "" where there is none."""
    domain = sender.strip().rstrip(">").rpartition("@")[2].strip().rstrip(".").lower()
    with contextlib.suppress(UnicodeError):
        domain = domain.encode("idna").decode()
    return domain


def overlap(one: str, other: str) -> bool:
    """Whether two domains are the same, or one lies within the other."""
    return bool(one and other) and (one == other or one.endswith(f".{other}") or other.endswith(f".{one}"))


def findings(domain: str, selectors: Sequence[str], look_up: Lookup) -> list[Finding]:
    """What is found of a domain; `selectors` are looked at for DKIM, none: nobody knows which. Never raises."""
    try:
        return list(_findings(domain.lower().rstrip("."), selectors, look_up))
    except Unanswered:
        return [
            _finding(
                "warn", "MAIL-DNS", f"DNS did not answer for {domain}", f"DNS hat zu {domain} nicht geantwortet",
                "try again", "Noch einmal versuchen", later=True,
            )
        ]  # fmt: skip


def _findings(domain: str, selectors: Sequence[str], look_up: Lookup) -> Iterator[Finding]:
    if not any(look_up(domain, kind) for kind in ("MX", "A", "AAAA", "TXT")):
        yield _finding(
            "missing", "MAIL-DOMAIN", f"the sender's domain {domain} is not in DNS",
            f"Die Domain des Absenders, {domain}, gibt es im DNS nicht",
            "correct the sender, or register the domain", "Den Absender korrigieren oder die Domain anmelden",
        )  # fmt: skip
        return
    keys = {name: _key(look_up(f"{name}._domainkey.{domain}", "TXT")) for name in selectors}
    signed = any(keys.values())
    yield _of_spf(domain, look_up, signed=signed)
    yield _of_dkim(domain, keys)
    yield _of_dmarc(domain, look_up)


# -- SPF ----------------------------------------------------------------------------------------------------------


def _records(domain: str, look_up: Lookup) -> list[str]:
    return [text for text in look_up(domain, "TXT") if re.match(r"v=spf1(?: |\Z)", text, re.IGNORECASE)]


def _of_spf(domain: str, look_up: Lookup, *, signed: bool) -> Finding:
    records = _records(domain, look_up)
    if not records:
        level: Level = "warn" if signed else "missing"
        return _finding(
            level, "MAIL-SPF", f"{domain} has no SPF record: nobody knows which servers may send for it",
            f"{domain} hat keinen SPF-Eintrag: Niemand weiß, welche Server für sie senden dürfen",
            "publish the record your mail provider names", "Den Eintrag anlegen, den Ihr Mailanbieter nennt",
        )  # fmt: skip
    if len(records) > 1:
        return _finding(
            "missing", "MAIL-SPF", f"{domain} has {len(records)} SPF records: together they count as an error",
            f"{domain} hat {len(records)} SPF-Einträge: Zusammen gelten sie als Fehler",
            "merge them into one", "Zu einem zusammenfassen",
        )  # fmt: skip
    found = _read(records[0], look_up, 0)
    if found.lookups > MOST_LOOKUPS:
        return _finding(
            "missing", "MAIL-SPF",
            f"the SPF record of {domain} needs {found.lookups} look-ups, {MOST_LOOKUPS} are allowed",
            f"Der SPF-Eintrag von {domain} braucht {found.lookups} Abfragen, erlaubt sind {MOST_LOOKUPS}",
            "take out what is not used any more", "Herausnehmen, was nicht mehr benutzt wird",
        )  # fmt: skip
    if found.end in ("+all", "?all", ""):
        return _finding(
            "warn", "MAIL-SPF", f"the SPF record of {domain} ends in {found.end or 'nothing'}: anybody may send for it",
            f"Der SPF-Eintrag von {domain} endet mit {found.end or 'nichts'}: Jeder darf für sie senden",
            "end it in ~all or -all", "Mit ~all oder -all enden lassen",
        )  # fmt: skip
    return _finding("ok", "MAIL-SPF", f"SPF of {domain}: {found.end}", f"SPF von {domain}: {found.end}")


def _read(record: str, look_up: Lookup, so_far: int) -> _Spf:
    """How a record ends, and the look-ups it costs with all it includes; counting stops above what is allowed."""
    end, redirect, lookups = "", "", 0
    for term in record.split()[1:]:
        counted, whole, to = _COUNTED.match(term), _ALL.match(term), _REDIRECT.match(term)
        if whole is not None:
            end = f"{whole[1] or '+'}all"
        elif to is not None:
            redirect = to[1]
        elif counted is not None:
            lookups += 1
            name = counted[2] if (counted[1] or "").lower() == "include" else ""
            if name and "%" not in name and so_far + lookups <= MOST_LOOKUPS:
                lookups += sum(_read(one, look_up, so_far + lookups).lookups for one in _records(name, look_up)[:1])
    if redirect and not end and so_far + lookups < MOST_LOOKUPS:
        lookups += 1
        for one in _records(redirect, look_up)[:1]:
            other = _read(one, look_up, so_far + lookups)
            end, lookups = other.end, lookups + other.lookups
    return _Spf(end, lookups)


# -- DKIM ---------------------------------------------------------------------------------------------------------


def _key(records: Sequence[str]) -> bool:
    """Whether a key stands there that is not revoked (empty) and long enough to count."""
    for record in records:
        tags = _tags(record)
        if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
            continue
        try:
            key = base64.b64decode("".join(tags["p"].split()), validate=True)
        except (ValueError, binascii.Error):
            continue
        if len(key) >= (_SHORTEST_RSA if tags.get("k", "rsa").lower() == "rsa" else 32):
            return True
    return False


def _of_dkim(domain: str, keys: Mapping[str, bool]) -> Finding:
    good = [name for name, found in keys.items() if found]
    if good:
        names = ", ".join(good)
        return _finding("ok", "MAIL-DKIM", f"DKIM keys of {domain}: {names}", f"DKIM-Schlüssel von {domain}: {names}")
    if not keys:
        return _finding(
            "warn", "MAIL-DKIM", f"under which selectors the DKIM keys of {domain} stand is not known here",
            f"Unter welchen Selektoren die DKIM-Schlüssel von {domain} stehen, ist hier nicht bekannt",
            "name them in LADENBUCH_DKIM_SELECTORS", "Sie in LADENBUCH_DKIM_SELECTORS nennen",
        )  # fmt: skip
    names = ", ".join(keys)
    return _finding(
        "warn", "MAIL-DKIM", f"{domain} has no usable DKIM key under {names}",
        f"{domain} hat unter {names} keinen brauchbaren DKIM-Schlüssel",
        "publish the keys your mail provider names, or name their selectors in LADENBUCH_DKIM_SELECTORS",
        "Die Schlüssel anlegen, die Ihr Mailanbieter nennt, oder ihre Selektoren in LADENBUCH_DKIM_SELECTORS nennen",
    )  # fmt: skip


# -- DMARC --------------------------------------------------------------------------------------------------------


def _of_dmarc(domain: str, look_up: Lookup) -> Finding:
    labels = domain.split(".")
    # The policy of a parent holds for what has none of its own.
    for place in range(max(1, len(labels) - 1)):
        name = ".".join(labels[place:])
        records = [one for one in look_up(f"_dmarc.{name}", "TXT") if _tags(one).get("v") == "DMARC1"]
        if records:
            tags = _tags(records[0])
            policy = (tags.get("sp") or tags.get("p", "") if place else tags.get("p", "")).lower()
            return _judged(name, policy, len(records))
    return _finding(
        "warn", "MAIL-DMARC", f"{domain} has no DMARC policy: large mailbox providers ask for one",
        f"{domain} hat keine DMARC-Richtlinie: Große Postfachanbieter verlangen eine",
        "publish _dmarc with v=DMARC1; p=none at least", "_dmarc mit mindestens v=DMARC1; p=none anlegen",
    )  # fmt: skip


def _judged(name: str, policy: str, records: int) -> Finding:
    if records > 1 or policy not in ("none", "quarantine", "reject"):
        return _finding(
            "warn", "MAIL-DMARC", f"the DMARC policy of {name} cannot be read: it counts as none",
            f"Die DMARC-Richtlinie von {name} ist nicht lesbar: Sie gilt als keine",
            "leave one record with p=none, quarantine or reject",
            "Einen Eintrag mit p=none, quarantine oder reject lassen",
        )  # fmt: skip
    return _finding("ok", "MAIL-DMARC", f"DMARC of {name}: p={policy}", f"DMARC von {name}: p={policy}")


def _tags(record: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}


def _finding(
    level: Level, code: str, english: str, german: str, do: str = "", do_german: str = "", *, later: bool = False
) -> Finding:
    return Finding(level, code, "letters", english, german, do, do_german, later=later)
