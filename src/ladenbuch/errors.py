"""What can go wrong, in the language of who must act.

    LadenbuchError
    ├── Retryable            later: the same call may succeed after `after` seconds
    │   └── Ambiguous        later, and find first: a write was sent, its outcome is unknown
    ├── Rejected             never: repeating the same call cannot help; `code` says why
    ├── NotYet               wait: a step needs something outside first; the rest goes on
    ├── NeedsAttention       ask: a person must choose; `choices` says what from
    └── UsageError           the command line or a setting is wrong; names the field

Adapters raise the first three kinds, nothing else, so that no caller needs to know what an HTTP status is.
Codes are stable, upper case, documented in docs/reference/codes.md, and safe to log: they never carry
secrets or personal data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime


class LadenbuchError(Exception):
    """Base of everything this product raises on purpose. `code` is stable; the text is for people."""

    def __init__(self, code: str, message: str = "", *, detail: Mapping[str, object] | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.detail: Mapping[str, object] = dict(detail or {})


class Retryable(LadenbuchError):
    """Try later. `after` is the number of seconds the other side asked for, or None when it did not say."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        after: float | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code, message, detail=detail)
        self.after = after


class Ambiguous(Retryable):
    """A write left this process and no trustworthy answer came back: it may have happened. Find before repeating."""


class Rejected(LadenbuchError):
    """Never: the other side understood and refused, or the data cannot be used. Repeating cannot help."""


class NeedsAttention(LadenbuchError):
    """A person must choose. `choices` are the answers that would let the work go on, `about` ids of what is asked."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        choices: Sequence[str] = (),
        about: Sequence[str] = (),
        detail: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code, message, detail=detail)
        self.choices = tuple(choices)
        self.about = tuple(about)


class NotYet(LadenbuchError):
    """One step waits for something outside (a bank, a person at work); `look_again` (aware UTC) says until when."""

    def __init__(self, code: str, message: str, look_again: datetime) -> None:
        super().__init__(code, message)
        self.look_again = look_again


class UsageError(LadenbuchError):
    """The command line, a profile or a setting is wrong; the message names the field and what it should be."""
