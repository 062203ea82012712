"""What fails how: one table of which failure is tried later, never again, or asked about, and whose failure it is.

    later   tried again by itself (a write whose outcome is unknown: looked for first)
    never   repeating the same call cannot help
    ask     a person is asked, and the rest of the order goes on

Whose it is decides whether attempts are counted. Only what is the *order's* own (or the letter's, the delivery's) comes
to an end, as a dead letter (`domain.retry`). What is the *tenant's* (a token, a stop, a permission) or the *service's*
(down, throttled, changed; our database) fails for everybody alike: it is waited for, however long it lasts.

The adapters look up here what they raise; nothing else says what a status means. `page` is docs/reference/failures.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ladenbuch.errors import Ambiguous, LadenbuchError, Rejected, Retryable, UsageError

Verdict = Literal["later", "never", "ask"]
Fault = Literal["order", "tenant", "service"]
Service = Literal["shopify", "oauth", "partner", "sevdesk", "smtp", "mail", "database", "ours"]
#: What is looked at: an HTTP status, the service's own error code, words, the class of an exception, a named condition
#: of the answer, a reply of SMTP after its stage, a result of SQLite, a state of PostgreSQL; `raised`: by us, as it is.
Sign = Literal["status", "code", "words", "exception", "answer", "reply", "sqlite", "sqlstate", "raised"]

#: Of a sign: whatever no other row names.
OTHER = "any other"


@dataclass(frozen=True, slots=True)
class Failure:
    """One row. `lost`: after it nobody knows whether a write happened. `at_once`: how often the call (with `lost`: a
    call that only reads) is repeated right away before anybody hears of it. `anew`: the call cannot be repeated, but a
    new look may end otherwise.
    """

    service: Service
    sign: Sign
    values: Collection[int | str]
    verdict: Verdict
    code: str
    fault: Fault
    text: str = ""
    lost: bool = False
    at_once: int = 0
    anew: bool = False

    def error(
        self,
        text: str | None = None,
        *,
        write: bool = False,
        after: float | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> LadenbuchError:
        """What an adapter raises. `write`: the call may have changed something; `after` seconds were asked for."""
        said = self.text if text is None else text
        if self.verdict != "later":
            return Rejected(self.code, said, detail=detail)
        kind = Ambiguous if write and self.lost else Retryable
        return kind(self.code, said, after=after, detail=detail)


def _later(
    service: Service,
    sign: Sign,
    values: Collection[int | str],
    code: str,
    text: str = "",
    *,
    fault: Fault = "service",
    lost: bool = False,
    at_once: int = 0,
) -> Failure:
    return Failure(service, sign, values, "later", code, fault, text, lost, at_once)


def _never(
    service: Service,
    sign: Sign,
    values: Collection[int | str],
    code: str,
    text: str = "",
    *,
    fault: Fault = "tenant",
    anew: bool = False,
) -> Failure:
    return Failure(service, sign, values, "never", code, fault, text, anew=anew)


_UNWELL: Collection[int | str] = (408, 425, *range(500, 600))
_MOVED: Collection[int | str] = range(300, 400)

SHOPIFY = (
    _never("shopify", "status", (401,), "SHOPIFY-TOKEN",
           "the access token is not valid (expired, revoked, or the app was uninstalled)"),
    _never("shopify", "status", (402,), "SHOPIFY-FROZEN", "the shop is frozen"),
    _never("shopify", "status", (403,), "SHOPIFY-FORBIDDEN", "the app may not do this in this shop"),
    _never("shopify", "status", (404,), "SHOPIFY-GONE", "no such shop or API version"),
    _never("shopify", "status", (423,), "SHOPIFY-LOCKED", "the shop is locked"),
    _never("shopify", "status", _MOVED, "SHOPIFY-REDIRECTED", "the shop moved to another address"),
    _later("shopify", "status", (429,), "SHOPIFY-THROTTLED", "out of points", at_once=2),
    _later("shopify", "status", _UNWELL, "SHOPIFY-DOWN", lost=True),
    _never("shopify", "status", (OTHER,), "SHOPIFY-HTTP", fault="service"),
    _later("shopify", "code", ("THROTTLED",), "SHOPIFY-THROTTLED", "out of points", at_once=2),
    _later("shopify", "code", ("INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"), "SHOPIFY-INTERNAL",
           "an internal error", lost=True),
    _never("shopify", "code", ("ACCESS_DENIED",), "SHOPIFY-SCOPE", "a scope is missing"),
    _never("shopify", "code", ("MAX_COST_EXCEEDED",), "SHOPIFY-COST", "costs too much", fault="order"),
    _never("shopify", "code", (OTHER,), "SHOPIFY-QUERY", "the query was refused", fault="service"),
    _later("shopify", "exception", ("TransportError", "DecodingError"), "SHOPIFY-UNREACHABLE", "no answer", lost=True),
    _later("shopify", "answer", ("no JSON",), "SHOPIFY-UNREADABLE", "the answer is not JSON", lost=True),
    _later("shopify", "answer", ("neither data nor errors",), "SHOPIFY-INTERNAL", "an internal error", lost=True),
    _later("shopify", "answer", ("holes",), "SHOPIFY-PARTIAL"),
)  # fmt: skip

OAUTH = (
    _later("oauth", "status", (429, *_UNWELL), "OAUTH-DOWN"),
    _never("oauth", "code", ("invalid_grant",), "OAUTH-GRANT",
           "the grant was already used, revoked or expired; the merchant must connect again"),
    _never("oauth", "code", ("invalid_client",), "OAUTH-CLIENT",
           "wrong client id or secret, or the app is not installed"),
    _never("oauth", "code", ("application_cannot_be_found",), "OAUTH-CLIENT", "no such app"),
    _never("oauth", "code", ("invalid_subject_token",), "OAUTH-SESSION",
           "the session token was refused; a fresh one may work"),
    _never("oauth", "code", ("shop_not_permitted",), "OAUTH-SHOP-NOT-PERMITTED",
           "the shop is not in the app's organisation"),
    _never("oauth", "code", (OTHER,), "OAUTH-REFUSED"),
    _later("oauth", "exception", ("TransportError", "DecodingError"), "SHOPIFY-UNREACHABLE", "no answer"),
    _later("oauth", "answer", ("no JSON", "no token"), "OAUTH-UNREADABLE"),
    _later("oauth", "answer", ("no expiry",), "OAUTH-INCOMPLETE"),
)  # fmt: skip

PARTNER = (
    _never("partner", "status", (401,), "PARTNER-TOKEN",
           "the Partner API client's token is not valid", fault="service"),
    _never("partner", "status", (403,), "PARTNER-FORBIDDEN",
           "the Partner API client lacks the permission to manage apps", fault="service"),
    _never("partner", "status", (404,), "PARTNER-GONE", "no such organisation or version", fault="service"),
    _later("partner", "status", (429,), "PARTNER-THROTTLED", "too many requests"),
    _later("partner", "status", _UNWELL, "PARTNER-DOWN"),
    _never("partner", "status", (OTHER,), "PARTNER-HTTP", fault="service"),
    _later("partner", "exception", ("TransportError", "DecodingError"), "PARTNER-UNREACHABLE", "no answer"),
    _later("partner", "answer", ("no JSON", "no data"), "PARTNER-UNREADABLE"),
    _never("partner", "answer", ("errors",), "PARTNER-QUERY",
           "the query was refused, in part or whole", fault="service"),
)  # fmt: skip

#: sevdesk's numeric error codes, gathered from live measurements (their documentation has no list).
_REFUSALS: Mapping[int, str] = {
    151: "sevdesk does not know this object",
    159: "the object cannot be deleted: it is no draft or others refer to it",
    170: "a credit note already exists for the invoice",
    390: "a partly paid invoice cannot be cancelled",
    421: "the invoice is already cancelled",
    455: "credit notes would exceed the invoice",
    456: "the credit note has a tax rate its invoice has not, or does not name its invoice",
    460: "the credit note lacks the delivery date",
    750: "the invoice is already paid",
    751: "the voucher is already paid",
    830: "mandatory data of an e-invoice is missing",
    7100: "the tax rule is not allowed for this account, or the total is negative",
    90400: "the document is in the wrong state",
}
#: Refusals that come without a code, recognised by their words (all those between the commas, in small letters).
_WORDS: Mapping[str, tuple[str, str]] = {
    "expected array,objectname": ("SEVDESK-REFERENCE", "a reference in the request is not complete"),
    "already enshrined": ("SEVDESK-ENSHRINED", "the document is already enshrined"),
    "number,already in use": ("SEVDESK-NUMBER", "the document number is taken"),
    "number,already exists": ("SEVDESK-NUMBER", "the document number is taken"),
    "tax rate": ("SEVDESK-TAX-RATE", "sevdesk does not accept the tax rate"),
    "taxrate": ("SEVDESK-TAX-RATE", "sevdesk does not accept the tax rate"),
    "tax rule": ("SEVDESK-TAX-RULE", "sevdesk does not accept the tax rule"),
    "taxrule": ("SEVDESK-TAX-RULE", "sevdesk does not accept the tax rule"),
}

SEVDESK = (
    _never("sevdesk", "status", (401, 403), "SEVDESK-TOKEN", "sevdesk refuses the token; connect the account again"),
    _never("sevdesk", "status", _MOVED, "SEVDESK-REDIRECT", "sevdesk answered with a redirect", fault="service"),
    _later("sevdesk", "status", (429,), "SEVDESK-BUSY", "sevdesk asks to wait", at_once=2),
    _later("sevdesk", "status", (*range(100, 200), *_UNWELL), "SEVDESK-UNAVAILABLE", lost=True, at_once=1),
    *(Failure("sevdesk", "code", (code,), "ask", f"SEVDESK-{code}", "order", text) for code, text in _REFUSALS.items()),
    *(Failure("sevdesk", "words", (words,), "ask", code, "order", said) for words, (code, said) in _WORDS.items()),
    # A 400 is no proof that nothing was stored, and an error inside a success even less.
    _later("sevdesk", "answer", ("an error we do not know, to a write answered 200, 201 or 400",), "SEVDESK-UNCLEAR",
           "sevdesk reported an error we do not know", fault="order", lost=True),
    Failure("sevdesk", "answer", ("any other error",), "ask", "SEVDESK-HTTP-", "order",
            "sevdesk refused the request"),
    _later("sevdesk", "answer", ("no JSON",), "SEVDESK-BODY", "the answer is not JSON", lost=True),
    _later("sevdesk", "answer", ("too long",), "SEVDESK-BODY", "the answer is too long", lost=True),
    # The request had not left.
    _later("sevdesk", "exception", ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError",
           "UnsupportedProtocol"), "SEVDESK-UNREACHABLE", "no connection to sevdesk; nothing was sent"),
    _later("sevdesk", "exception", ("HTTPError",), "SEVDESK-LOST", "the connection broke before sevdesk answered",
           lost=True, at_once=1),
)  # fmt: skip

#: `stage reply`: the stage is one of connect, sender, recipient, message; the reply the beginning of the enhanced
#: status where there is one (RFC 3463: .1 address, .2 mailbox, .7 policy), else of the code (RFC 5321 4.2.3).
SMTP = (
    _later("smtp", "exception", ("no connection, or cut before the end of data",), "LETTER-RELAY",
           "the relay cannot be reached"),
    _later("smtp", "exception", ("no TLS, or no sign-in",), "LETTER-RELAY", "the relay refuses us"),
    _later("smtp", "reply", ("connect", "sender"), "LETTER-RELAY", "the relay refuses us, and every letter"),
    _later("smtp", "reply", ("recipient 5.7.",), "LETTER-RELAY", "the relay does not pass this on for us"),
    _later("smtp", "reply", ("recipient 4", "message 4"), "LETTER-RELAY", "the relay is unwell"),
    _later("smtp", "reply", ("recipient 450", "recipient 4.1.", "recipient 4.2.", "message 4.1.", "message 4.2."),
           "LETTER-DELAYED", "the mailbox does not take it now", fault="order"),
    _never("smtp", "reply", ("recipient 5", "message 5"), "LETTER-REFUSED",
           "the relay refuses this letter", fault="order"),
    Failure("smtp", "answer", ("none after the end of data",), "ask", "LETTER-UNCERTAIN", "order",
            "the relay had the whole letter and its answer never came"),
)  # fmt: skip

#: SendGrid, Mailgun, Amazon SES and Postmark. `code`: the provider's own where it has one (numbers are Postmark's,
#: names Amazon's), and the field SendGrid or Mailgun complain about. None of them documents a key that makes a repeated
#: request harmless, and letters were seen to go out although a 5xx was answered: only 503 says that nothing was taken.
MAIL = (
    _later("mail", "exception", ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError",
           "UnsupportedProtocol"), "LETTER-RELAY", "no connection to the provider; nothing was sent"),
    Failure("mail", "exception", ("HTTPError",), "ask", "LETTER-UNCERTAIN", "order",
            "the connection broke before the provider answered"),
    _later("mail", "status", (408, 429, 503), "LETTER-RELAY", "the provider asks to wait, or is away"),
    Failure("mail", "status", (500, 501, 502, *range(504, 600)), "ask", "LETTER-UNCERTAIN", "order",
            "the provider failed while it had the whole letter"),
    _never("mail", "status", (413,), "LETTER-REFUSED", "the letter is too large", fault="order"),
    _later("mail", "status", (OTHER,), "LETTER-RELAY", "the provider refuses us, and every letter"),
    _later("mail", "code", ("ThrottlingException", "TooManyRequestsException", "LimitExceededException", 100),
           "LETTER-RELAY", "the provider asks to wait"),
    _never("mail", "code", (300, 406, 411, "MessageRejected", "field personalizations", "field content",
           "field attachments", "field subject", "field to", "field message"), "LETTER-REFUSED",
           "the provider refuses this letter or its recipient", fault="order"),
    _later("mail", "code", ("not verified",), "LETTER-RELAY", "the provider does not know the sender as ours"),
)  # fmt: skip

_UNWRITABLE = (
    "free disk space or make the data folder writable; nothing was half-written, work goes on by itself afterwards"
)
_CORRUPT = "the database is damaged or is not a Ladenbuch database: stop the connector and restore a backup"
DATABASE = (
    _later("database", "sqlite", ("SQLITE_BUSY", "SQLITE_LOCKED"), "DB-BUSY",
           "another process held the database for 30 seconds"),
    _later("database", "sqlite", ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM"),
           "DB-UNWRITABLE", _UNWRITABLE),
    _later("database", "sqlite", ("SQLITE_CORRUPT", "SQLITE_NOTADB"), "DB-CORRUPT", _CORRUPT),
    _never("database", "sqlite", ("SQLITE_CONSTRAINT",), "DB-CONSTRAINT", fault="order", anew=True),
    _later("database", "sqlstate", ("40001", "40P01"), "DB-BUSY",
           "the database kept refusing the transaction", at_once=3),
    # Read-only, disk full, input/output error.
    _later("database", "sqlstate", ("25006", "53100", "58030"), "DB-UNWRITABLE", _UNWRITABLE),
    _later("database", "sqlstate", ("53",), "DB-BUSY", "the database server is at its limits"),
    _later("database", "sqlstate", ("XX001", "XX002"), "DB-CORRUPT", _CORRUPT),
    _later("database", "sqlstate", ("08", "57P", "25P03"), "DB-DOWN", "the database server cannot be reached"),
    _never("database", "sqlstate", ("42501",), "DB-FORBIDDEN",
           "the row belongs to another tenant, or this door may not write the table", fault="service"),
    _never("database", "sqlstate", ("23",), "DB-CONSTRAINT", fault="order", anew=True),
    _later("database", "answer", ("no connection became free",), "DB-BUSY", "no database connection became free"),
    _later("database", "answer", ("no answer",), "DB-DOWN", "the database server cannot be reached"),
    _later("database", "answer", ("no answer to a commit",), "DB-COMMIT",
           "the connection broke during a commit; look before repeating", lost=True),
)  # fmt: skip


def _ours(verdict: Verdict, fault: Fault, codes: str) -> Iterator[Failure]:
    """What we raise under a code that no sign of a service stands for."""
    return (Failure("ours", "raised", (code,), verdict, code, fault) for code in codes.split())


OURS = (
    *_ours("later", "service", "SHOPIFY-BREAKER SEVDESK-BREAKER SEVDESK-BUDGET PARTNER-BUDGET UNCONFIRMED LEASE-BUSY "
           "CONTACT-BUSY STALE-RUN ENGINE-DOWN SEVDESK-LATE BULK-BUSY BULK-CUT BULK-FAILED "
           "BULK-EXPIRED BULK-INCOMPLETE INBOX-FULL INBOX-CLOSED BILLING-UNREAD VAT-ID-UNCHECKED "
           "VAT-ID-UNAVAILABLE"),
    *_ours("later", "tenant", "STOPPED"),
    *_ours("later", "order", "ORDER-MOVING ORDER-INCOMPLETE SEVDESK-PDF SEVDESK-XML BUG"),
    *_ours("never", "order", "ORDER-SHAPE MONEY-FORMAT MONEY-PRECISION MONEY-WEIGHTS DRAFT-DATES DRAFT-E-INVOICE "
           "DRAFT-EXCEEDS-ORIGIN DRAFT-POSITION DRAFT-UNBALANCED SEVDESK-COUNTRY SEVDESK-DUPLICATE SEVDESK-ID "
           "SEVDESK-KEY SEVDESK-SIGN LETTER-ADDRESS LETTER-KIND PRIVACY-REQUEST SHOPIFY-REFUSED VAULT-FORGOTTEN "
           "VAULT-OPEN"),
    *_ours("never", "tenant", "TENANT-UNKNOWN TENANT-STATE TENANT-SHOP TENANT-EXISTS TENANT-INVALID SHOPIFY-RECONNECT "
           "OAUTH-REFRESH OAUTH-ONLINE OAUTH-SHOP PROFILE SEVDESK-NOTE SEVDESK-PAYMENT-METHOD SEVDESK-UNITY "
           "SEVDESK-USER SEVDESK-SEQUENCE BILLING-NO-PLAN BILLING-REFUSED SUBSCRIPTION"),
    # The other side is not what it was, or our own machine is not set up: nothing an order could help.
    *_ours("never", "service", "SEVDESK-SHAPE SEVDESK-IMPLAUSIBLE LETTER-SENDER VAULT-KEY BULK-ADDRESS "
           "BULK-REFUSED SETTING"),
    *_ours("ask", "order", "ARITHMETIC-DRIFT CONTACT-AMBIGUOUS CONTACT-VAT-ID DRAFT-EDITED DRAFT-GONE DUPLICATE "
           "E-INVOICE E-INVOICE-XML GATEWAY-ACCOUNT LINE-DIFFERS LINE-GONE PAID-ELSEWHERE PAID-MEANWHILE PAID-TWICE "
           "PAYMENT-NOT-LINKED TAX-THRESHOLD"),
)  # fmt: skip

TABLE: tuple[Failure, ...] = (*SHOPIFY, *OAUTH, *PARTNER, *SEVDESK, *SMTP, *MAIL, *DATABASE, *OURS)

#: A wrong setting (`UsageError`), whatever its code.
SETTING = next(row for row in OURS if row.code == "SETTING")
#: What no row names: our own mistake until somebody looks, tried again a few times.
UNKNOWN = Failure("ours", "raised", (OTHER,), "later", "BUG", "order")

_BY_VALUE = {(row.service, row.sign, value): row for row in TABLE for value in row.values}
_BY_CODE = {row.code: row for row in reversed(TABLE)}


def find(service: Service, sign: Sign, value: int | str) -> Failure | None:
    """The row of exactly this value, else the one of the sign's `OTHER`; None where there is neither."""
    return _BY_VALUE.get((service, sign, value)) or _BY_VALUE.get((service, sign, OTHER))


def row(service: Service, sign: Sign, value: int | str) -> Failure:
    """The row of exactly this value. Raises KeyError: the caller names what the table must have."""
    return _BY_VALUE[service, sign, value]


def by_exception(service: Service, error: BaseException) -> Failure:
    """The row of the nearest class of the exception that has one, else `UNKNOWN`."""
    named = (_BY_VALUE.get((service, "exception", kind.__name__)) for kind in type(error).__mro__)
    return next((found for found in named if found is not None), UNKNOWN)


def by_prefix(service: Service, sign: Sign, text: str) -> Failure | None:
    """The row with the longest value the text begins with."""
    lengths = range(len(text), 0, -1)
    return next((found for n in lengths if (found := _BY_VALUE.get((service, sign, text[:n])))), None)


def by_words(service: Service, text: str) -> Failure | None:
    """The first row all whose words are in the text, whatever case it is in."""
    small = text.lower()
    for found in TABLE:
        if found.service == service and found.sign == "words":
            (words,) = found.values
            if all(word in small for word in str(words).split(",")):
                return found
    return None


def of(error: BaseException) -> Failure:
    """How an exception is to be taken that ended a run."""
    if isinstance(error, UsageError):
        return SETTING
    return known(error.code) if isinstance(error, LadenbuchError) else UNKNOWN


def known(code: str) -> Failure:
    """How a code is to be taken that ended a run; `UNKNOWN` for one that stands in no row."""
    return _BY_CODE.get("SEVDESK-HTTP-" if code.startswith("SEVDESK-HTTP-") else code, UNKNOWN)


_TITLES: Mapping[Service, str] = {
    "shopify": "Shopify's Admin API",
    "oauth": "Shopify's token endpoint",
    "partner": "Shopify's Partner API",
    "sevdesk": "sevdesk",
    "smtp": "Mail relays",
    "mail": "Mail providers by HTTP",
    "database": "Our databases",
    "ours": "Raised by us",
}
_HEAD = """# Failures

Made from the table in `domain/failures.py` (`python -m ladenbuch.domain.failures`); the adapters look up in it what
they raise, and a test provokes every row. What a code means and what to do is in [codes](codes.md).

*Later*: tried again by itself; where a write may have happened, it is looked for first. *Never*: repeating cannot help.
*Ask*: a person is asked, the rest of the order goes on.

Whose it is: only attempts that failed by what is the **order**'s own (the letter's, the delivery's) are counted; after
the last one it is a [dead letter](../how-to/dead-letters.md). What is the **tenant**'s or the **service**'s fails for
everybody and is waited for, however long it lasts. A code that no row names is taken as `BUG`: later, the order's own.
"""


def page() -> str:
    """docs/reference/failures.md."""
    parts = [_HEAD]
    for service, title in _TITLES.items():
        rows = [found for found in TABLE if found.service == service]
        if service == "ours":
            parts.append(f"\n## {title}\n\n| class | whose | codes |\n|---|---|---|\n")
            for kind in dict.fromkeys((found.verdict, found.fault) for found in rows):
                codes = ", ".join(f"`{found.code}`" for found in rows if (found.verdict, found.fault) == kind)
                parts.append(f"| {kind[0]} | {kind[1]} | {codes} |\n")
        else:
            parts.append(f"\n## {title}\n\n| what is seen | class | code | whose |\n|---|---|---|---|\n")
            parts += [_line(found) for found in rows]
    return "".join(parts)


def _line(found: Failure) -> str:
    kind: str = "later; a write is looked for first" if found.lost else found.verdict
    times = "once more" if found.at_once == 1 else f"{found.at_once} times"
    if found.at_once:
        kind += f"; {'a read is ' if found.lost else ''}repeated {times} at once"
    code = f"{found.code}…" if found.code.endswith("-") else found.code
    return f"| {_seen(found)} | {kind} | `{code}` | {found.fault} |\n"


def _seen(found: Failure) -> str:
    numbers = sorted(value for value in found.values if isinstance(value, int))
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    said = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    said += [str(value).replace(",", " … ") if found.sign == "words" else str(value)
             for value in found.values if isinstance(value, str)]  # fmt: skip
    quoted = [text if text == OTHER or found.sign == "answer" else f"`{text}`" for text in said]
    return f"{found.sign} {', '.join(quoted)}"


if __name__ == "__main__":  # pragma: no cover
    import sys

    sys.stdout.write(page())
