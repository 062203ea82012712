"""Write a letter: its words between headers that nothing a stranger typed can add to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from ladenbuch.mail.addresses import POLICY, branded, header, mailbox, unlinked
from ladenbuch.mail.letters import Attached, Brand, Copy, Letter, Words, language_of, reference_of
from ladenbuch.mail.wording import worded


def write(
    letter: Letter, brand: Brand, date: datetime, files: Sequence[Attached] = (), copy: Copy | None = None
) -> EmailMessage:
    """Write the letter; `date` (aware) becomes the Date header. A copy says above the words to whom the letter went.

    Raises `Rejected("LETTER-ADDRESS")` when the buyer's address is missing, malformed or could not be written
    on an envelope safely, and `Rejected("LETTER-SENDER")` when the tenant's sender or reply address is
    unusable. Neither message repeats the address.
    """
    recipient = mailbox(letter.to_email)
    branded(brand.sender, brand.shop_name, "sender")
    note = "" if copy is None else recipient
    words = worded(letter, brand, language_of(letter.locale), with_pdf=bool(files), copied_from=note)
    if copy is not None:
        message = assembled(copy.key, Address(addr_spec=mailbox(copy.to)), words, brand, date, files)
        message["X-Ladenbuch-Copy-Of"] = reference_of(letter.key)
        return message
    return assembled(letter.key, Address(unlinked(letter.to_name), addr_spec=recipient), words, brand, date, files)


def assembled(
    key: str, to: Address, words: Words, brand: Brand, date: datetime, files: Sequence[Attached] = ()
) -> EmailMessage:
    """The message around its words: headers, both bodies, files."""
    sender, key_hash = branded(brand.sender, brand.shop_name, "sender"), reference_of(key)
    message = EmailMessage(policy=POLICY)
    message["From"] = header("From", brand.sender, brand.shop_name, "sender")
    message["To"] = to
    if brand.reply_to:
        message["Reply-To"] = header("Reply-To", brand.reply_to, brand.shop_name, "reply_to")
    message["Subject"] = words.subject
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<ladenbuch.{key_hash}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps out-of-office answers from answering
    message["X-Ladenbuch-Letter"] = key_hash
    message.set_content(words.text)
    message.add_alternative(words.html, subtype="html")
    for file in files:
        main, _, sub = file.kind.partition("/")
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    message["Content-Language"] = words.language  # last: parts take earlier Content- headers along
    return message
