"""Letters with a document through sevdesk's own mail service, where a profile says so (`letters_by`: facts 2.7, 6.1).

sevdesk says of a mailed document that it was sent by mail (`sendType` VM); a repeated call mails again. So the document
is looked at before the call, and after every call that did not end in a refusal: VM is the proof, anything else leaves
the letter uncertain, and it is listed instead of sent twice. Whether it arrived sevdesk never says.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ladenbuch.errors import Ambiguous, LadenbuchError, Rejected, Retryable
from ladenbuch.mail.sending import Accepted, Outcome, Refused, TryLater, Uncertain
from ladenbuch.workflows.composing import Composed
from ladenbuch.workflows.context import Context

#: The name of this way among the relays.
NAME = "sevdesk"
_MAILED = "VM"


def hand_over(ctx: Context, tenant: str, composed: Composed, before_data: Callable[[], None]) -> Outcome:
    """Have sevdesk mail the document of a composed letter. `before_data` is called before it may go out.

    Raises what reading the document raises, before anything happened.
    """
    assert composed.document is not None
    kind, id_ = composed.document
    sevdesk = ctx.sevdesk(tenant)

    def mailed() -> bool:
        found = sevdesk.get_invoice(id_) if kind == "Invoice" else sevdesk.get_credit_note(id_)
        return found is not None and found.send_type == _MAILED

    if mailed():
        before_data()
        return Accepted(NAME, "mailed by sevdesk before")
    before_data()
    text = _fragment(composed)
    try:
        sevdesk.mail_document(kind, id_, composed.to, str(composed.message["Subject"]), text)
    except Ambiguous as error:
        return _as_read(mailed, error.code)
    except Retryable as error:
        return TryLater(f"connect: {error.code}", NAME, error.code)
    except Rejected as error:
        return Refused(f"message: {error.code}", error.code != "SEVDESK-TOKEN", NAME, _code(error))
    return _as_read(mailed, "sevdesk said yes")


def _as_read(mailed: Callable[[], bool], said: str) -> Outcome:
    try:
        if mailed():
            return Accepted(NAME, "mailed by sevdesk, read back")
    except LadenbuchError as error:
        return Uncertain(f"LETTER-UNCERTAIN: {said}, and the document could not be read back: {error.code}", NAME)
    return Uncertain(f"LETTER-UNCERTAIN: {said}, and the document does not say that it was mailed", NAME)


def _code(error: Rejected) -> str:
    return "SEVDESK-TOKEN" if error.code == "SEVDESK-TOKEN" else "LETTER-REFUSED"


def _fragment(composed: Composed) -> str:
    """The words as the HTML sevdesk puts into its own frame: paragraphs and line breaks, nothing else."""
    body = composed.message.get_body(("plain",))
    text = "" if body is None else str(body.get_content())
    parts = [escape(part.strip("\n")).replace("\n", "<br>") for part in text.split("\n\n")]
    return "".join(f"<p>{part}</p>" for part in parts if part.strip())
