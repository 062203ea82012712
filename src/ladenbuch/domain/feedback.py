"""What becomes of a letter after a relay took it: the states, which word beats which, and when an address is spared.

    promised -> sending -> accepted -> delivered | bounced | complained        suppressed, moot: never sent

Relays tell late, twice and in any order, so the end is the strongest word heard, whatever came first:

    soft bounce < delivered < refused < invalid < complained

A soft bounce loses against a delivery, because a note of absence is often told as one. A bounce for good beats it: the
first server took the letter and the last one did not. Who complains has the letter.

An address is spared after one complaint, or one bounce that says it does not exist; after `SOFT_BOUNCES` letters in a
row that only bounced softly; never because a relay refuses us.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterable
from typing import Literal

#: What a relay says of one recipient of a letter; delayed: it goes on trying.
What = Literal["delivered", "bounced", "complained", "delayed"]
#: soft: for now (full, absent, no answer) · refused: for good, and not for the address · invalid: no such mailbox.
Bounce = Literal["soft", "refused", "invalid"]
#: Why an address gets no letters.
Cause = Literal["complaint", "invalid", "soft", "operator"]
CAUSES: tuple[Cause, ...] = ("complaint", "invalid", "soft", "operator")
#: So many letters in a row that bounced softly spare the address.
SOFT_BOUNCES = 3

# RFC 3463, 3.2 and 3.5: what is about the mailbox or its domain, and not about us or the moment.
_INVALID = ("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4")
#: For good by its class, and yet for now: the mailbox is full, the list is closed, the system is busy.
_FOR_NOW = ("5.2.2", "5.3.1", "5.3.2", "5.4.5")


def mark_of(letter_key: str) -> str:
    """How a letter is named outside: in its Message-ID, its X-Ladenbuch-Letter, and in what providers give back."""
    return hashlib.sha256(letter_key.encode()).hexdigest()[:32]


def address_mark(secret: str, address: str) -> str:
    """An address as the books know it: a keyed hash, of one tenant's secret. Capital letters make no other address.

    A domain in its own script and in ASCII is the same.
    """
    local, at, domain = address.strip().rpartition("@")
    with contextlib.suppress(UnicodeError):
        domain = domain.encode("idna").decode()
    plain = f"{local}{at}{domain}".casefold()
    return hmac.new(secret.encode(), plain.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def bounce_of(status: str, *, final: bool = True) -> Bounce:
    """What an enhanced status code (RFC 3463: `5.1.1`) or a reply code (`550`) says. `final`: the relay gave up.

    A bare 5xx tells nothing of the address, so that it spares nobody.
    """
    code = status.strip()
    if code.startswith("5."):
        if code in _FOR_NOW:
            return "soft"
        return "invalid" if code in _INVALID else "refused"
    if code.startswith("5") and final:
        return "refused"
    return "soft"


def strength(what: str, bounce: str | None = None) -> int:
    """Which of two words holds: the greater one. 0: nothing was heard."""
    if what == "bounced":
        return {"soft": 1, "refused": 3, "invalid": 4}.get(bounce or "", 3)
    return {"delivered": 2, "complained": 5}.get(what, 0)


def spares(what: What, bounce: Bounce | None) -> Cause | None:
    """Why one word alone puts an address on the list; None: it does not."""
    if what == "complained":
        return "complaint"
    return "invalid" if what == "bounced" and bounce == "invalid" else None


def worn_out(newest_first: Iterable[tuple[str, str | None]], limit: int = SOFT_BOUNCES) -> bool:
    """Whether the last `limit` letters to an address all bounced softly; (state, bounce) of each, the newest first."""
    count = 0
    for state, bounce in newest_first:
        if state == "delivered":
            return False
        if state == "bounced" and bounce == "soft":
            count += 1
            if count >= limit:
                return True
    return False
