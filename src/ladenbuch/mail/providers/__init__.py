"""Providers that take letters over HTTP: SendGrid, Mailgun, Amazon SES and Postmark, as `Sender`s.

    account.py   the address of an account, with its key
    api.py       one request, and the truth about it
    sendgrid.py  mailgun.py  ses.py  postmark.py
                 how each wants the letter, and how it says yes and no

A request has the same ambiguous moment as SMTP, only wider: from its first byte on, a lost answer is `Uncertain`. None
of the four documents a key under which a repeated request would be one letter, so nothing is repeated unasked. Mailgun
and Postmark can be asked afterwards whether they have a letter; SendGrid sells that apart and does not say which letter
it found, and SES cannot be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ladenbuch.mail.providers.account import SCHEMES, Account
from ladenbuch.mail.sending import Sender

if TYPE_CHECKING:
    import httpx2

__all__ = ["SCHEMES", "Account", "provider"]


def provider(
    url: str,
    http: httpx2.Client | None,
    clock: Callable[[], datetime],
    *,
    timeout: float = 10.0,
    final_timeout: float = 60.0,
) -> Sender:
    """The sender of an account's address; `http` is borrowed. Raises UsageError("SMTP-URL")."""
    account = Account.parse(url)
    from ladenbuch.mail.providers import mailgun, postmark, sendgrid, ses
    from ladenbuch.mail.providers.api import ApiSender

    ways = {"sendgrid": sendgrid.WAY, "mailgun": mailgun.WAY, "ses": ses.WAY, "postmark": postmark.WAY}
    if http is None:
        raise TypeError("a provider is asked over HTTP")
    return ApiSender(account, ways[account.provider], http, clock, timeout=timeout, final_timeout=final_timeout)
