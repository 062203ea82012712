"""The XML of an e-invoice (UN/CEFACT CII, EN 16931), read back as the proof that there is one."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from ladenbuch.domain.money import to_minor
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.sevdesk import reading
from ladenbuch.sevdesk.calls import Reply

# The root, the number and the total are all that is looked at: text is matched, no foreign XML is ever parsed.
_ROOT = re.compile(r"<(?:\w+:)?CrossIndustryInvoice\b")
_NUMBER = re.compile(r"<(?:\w+:)?ExchangedDocument>\s*<(?:\w+:)?ID[^>]*>([^<]{1,80})</")
_TOTAL = re.compile(r"<(?:\w+:)?GrandTotalAmount[^>]*>\s*(-?[0-9]{1,12}(?:\.[0-9]{1,4})?)\s*</")


@dataclass(frozen=True, slots=True)
class InvoiceXml:
    """The file as it came, and what it says of itself: number and gross total in cents, None where it does not."""

    content: bytes = field(repr=False)
    number: str | None
    gross: int | None

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hex."""
        return hashlib.sha256(self.content).hexdigest()


def unwrap_xml(reply: Reply, answer: Any) -> InvoiceXml:
    """The XML in any of its wrappings: a string in `objects`, or the bare file.

    `Retryable("SEVDESK-XML")` when something else came: nothing was changed by asking.
    """
    found = reading.unwrap(answer) if answer is not None else None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, dict):
        found = found.get("content")
    text = found if isinstance(found, str) else reply.body.decode("utf-8", "replace") if answer is None else ""
    if not _ROOT.search(text):
        raise Retryable("SEVDESK-XML", "sevdesk sent something else than the XML of an e-invoice")
    number, total = _NUMBER.search(text), _TOTAL.search(text)
    return InvoiceXml(text.encode(), number[1].strip() if number else None, _cents(total[1]) if total else None)


def _cents(amount: str) -> int | None:
    try:
        return to_minor(amount)
    except Rejected:
        return None
