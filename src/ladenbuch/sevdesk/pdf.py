"""A document as file, from any of the wrappings sevdesk has been seen to send it in."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from ladenbuch.errors import Retryable
from ladenbuch.sevdesk import reading
from ladenbuch.sevdesk.calls import Reply


@dataclass(frozen=True, slots=True)
class Pdf:
    """A document as file. `filename` is safe to use as a name; `content` begins with `%PDF`."""

    filename: str
    content: bytes = field(repr=False)


def unwrap_pdf(reply: Reply, answer: Any, *, untitled: str = "Rechnung") -> Pdf:
    """The file in any of its wrappings: raw PDF, base64 in `objects` (object or list of one), flags spelt
    either way. `untitled` names a file that has no name: that of a draft.
    """
    name, content = "", reply.body
    if answer is not None:
        found = reading.unwrap(answer)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if isinstance(found, dict):
            name, found = str(found.get("filename") or ""), found.get("content")
        try:
            content = base64.b64decode("".join(str(found or "").split()), validate=True)
        except (binascii.Error, ValueError):
            content = str(found).encode("latin-1", "replace")
    else:
        said = re.search(r'filename="?([^";]+)', reply.headers.get("content-disposition", ""))
        name = said.group(1) if said else ""
    if not content.startswith(b"%PDF"):
        # Seen while a document is still being rendered; nothing was changed by asking.
        raise Retryable("SEVDESK-PDF", "sevdesk sent something else than a PDF")
    stem = re.sub(r"[^\w.-]+", "_", name.rsplit("/")[-1].rsplit("\\")[-1]).strip("._")
    stem = stem.removesuffix(".pdf").removesuffix("pdf").strip("._")[:80]
    return Pdf(filename=f"{stem or untitled}.pdf", content=content)
