"""The digest: one letter to the merchant, or to the operator, about everything that needs a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage

from ladenbuch.mail.addresses import mailbox, plain
from ladenbuch.mail.letters import Brand, Language
from ladenbuch.mail.wording import rendered
from ladenbuch.mail.writing import assembled

#: So many things are told; of more only the number.
MOST = 20


@dataclass(frozen=True)
class Item:
    """One thing: what is the matter, what to do, and since when (a sentence may name how many it is about)."""

    title: str
    todo: str = ""
    since: str = ""


@dataclass(frozen=True)
class Digest:
    """What a digest says. `about` is the shop, or nothing where it is about the whole installation."""

    key: str
    to: str = field(repr=False)
    language: Language
    about: str
    items: Sequence[Item]


def write_digest(digest: Digest, brand: Brand, date: datetime) -> EmailMessage:
    """The letter. Raises Rejected like `writing.write`."""
    count, about = len(digest.items), plain(digest.about, 80)
    german = digest.language == "de"
    things = ("eine Sache" if german else "one thing") if count == 1 else f"{count} {'Dinge' if german else 'things'}"
    need = ("braucht" if german else "needs") if count == 1 else ("brauchen" if german else "need")
    subject = f"{things[0].upper()}{things[1:]} {need} " + ("einen Menschen" if german else "a person")
    if about:
        subject += f": {about}"
    words = {
        "things": things,
        "need": need,
        "about": about,
        "items": [
            (plain(item.title, 500), plain(item.todo, 1000), plain(item.since, 120)) for item in digest.items[:MOST]
        ],
        "more": max(0, count - MOST),
        "name": "",
    }
    said = rendered(f"digest.{digest.language}", words, brand, digest.language, subject)
    return assembled(digest.key, Address(addr_spec=mailbox(digest.to)), said, brand, date)
