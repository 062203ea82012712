"""The command line. Commands import what they need inside, so that `--help` is instant.

Exit codes: 0 fine, 1 findings, 2 usage (a setting, a file, an argument), 3 the other side failed.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; expected failures become one readable line on stderr and an exit code."""
    from ladenbuch.cli.app import app
    from ladenbuch.errors import LadenbuchError, NeedsAttention, Rejected, Retryable, UsageError

    try:
        app()
    except UsageError as error:
        _fail(error, 2)
    except NeedsAttention as error:
        _fail(error, 1)
    except (Retryable, Rejected) as error:
        _fail(error, 2 if error.code in _USAGE_CODES else 3)
    except LadenbuchError as error:
        _fail(error, 3)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:  # a bug: say where, not what, because its text may hold personal data
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        place = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last is not None else "unknown"
        sys.stderr.write(f"ladenbuch: BUG: {type(error).__name__} at {place}; please report it\n")
        sys.exit(3)


#: Refusals that are about what the person typed, not about a service.
_USAGE_CODES = frozenset(
    {"PROFILE", "ORDER-SHAPE", "TENANT-UNKNOWN", "TENANT-EXISTS", "MONEY-FORMAT", "MONEY-PRECISION", "VAULT-KEY"}
    | {"SUBSCRIPTION", "APP-CONFIG", "FILTER-SYNTAX", "FILTER-UNSUPPORTED", "FILTER-AMBIGUOUS", "API-VERSION"}
    | {"SEVDESK-TOKEN-FORM", "SEVDESK-TOKEN-WRONG"}
)


def _fail(error: Exception, code: int) -> None:
    sys.stderr.write(f"ladenbuch: {error}\n")
    sys.exit(code)
