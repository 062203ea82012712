"""Invented letters in a tenant's own branding and words: to look at, and one to oneself. Nothing is written down."""

from __future__ import annotations

from email.message import EmailMessage

from ladenbuch.domain.profile import Profile
from ladenbuch.errors import Rejected
from ladenbuch.mail.addresses import bare, mailbox
from ladenbuch.mail.letters import Attached, Language, file_name
from ladenbuch.mail.previews import PDF, has_pdf, sample
from ladenbuch.mail.sending import Outcome
from ladenbuch.mail.writing import write
from ladenbuch.workflows.composing import brand_of, profile_now
from ladenbuch.workflows.context import Context

#: Who reads a preview that goes to nobody.
_NOBODY = "anna.beispiel@example.org"


def preview(ctx: Context, tenant: str, name: str, language: Language, to: str = _NOBODY) -> EmailMessage:
    """The letter as a buyer would get it. Raises UsageError("LETTER-KIND") for a name that is no letter, Rejected
    where the branding or the address cannot be used."""
    profile = profile_now(ctx, tenant)
    letter = sample(name, language, mailbox(to), profile.local_date(ctx.clock()))
    files = [Attached(file_name(letter.number), PDF)] if has_pdf(name) else []
    return write(letter, brand_of(ctx, profile), ctx.clock(), files)


def send_sample(ctx: Context, tenant: str, name: str, language: Language, to: str) -> Outcome:
    """Hand an invented letter to a relay now, marked as a test; once per call, and never repeated by itself."""
    message = preview(ctx, tenant, name, language, to)
    subject = str(message["Subject"])
    for header in ("Subject", "Message-ID", "X-Ladenbuch-Letter"):
        del message[header]
    message["Subject"] = f"Test: {subject}"
    sender = message["From"].addresses[0].addr_spec
    message["Message-ID"] = f"<ladenbuch.test.{ctx.new_id()}@{sender.partition('@')[2]}>"
    return ctx.relays.send(message, sender, message["To"].addresses[0].addr_spec, lambda: None)


def own_addresses(ctx: Context, tenant: str) -> list[str]:
    """The merchant's own addresses, as the profile names them: whom a page may send a test to."""
    profile = profile_now(ctx, tenant)
    found = []
    for text in _named(profile):
        try:
            found.append(mailbox(bare(text)))
        except Rejected:
            continue
    return list(dict.fromkeys(found))


def _named(profile: Profile) -> list[str]:
    return [profile.alerts_to, profile.letters_reply_to, profile.letters_from, profile.letters_bcc]
