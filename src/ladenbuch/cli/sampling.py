"""`ladenbuch letters preview` and `test`: what letters look like, and one to oneself."""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from typing import TypeVar

import typer

from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.mail.letters import Language
from ladenbuch.mail.previews import SAMPLES
from ladenbuch.mail.sending import Accepted, Uncertain
from ladenbuch.workflows.sampling import preview, send_sample

T = TypeVar("T")


def show(name: str | None, tenant: str | None, language: Language, form: str, *, as_json: bool) -> int:
    """Print one, or the names of all."""
    if name is None:
        if as_json:
            say_json({"letters": list(SAMPLES)})
        else:
            typer.echo("\n".join(SAMPLES))
        return 0
    with opened() as house:
        message = _usable(lambda: preview(house.context, chosen(house, tenant).id, name, language))
    bodies = {kind: _body(message, kind) for kind in ("plain", "html")}
    files = [part.get_filename() for part in message.iter_attachments()]
    if as_json:
        head = {"letter": name, "language": language, "from": str(message["From"]), "subject": str(message["Subject"])}
        say_json({**head, "text": bodies["plain"], "html": bodies["html"], "files": files})
    elif form == "eml":
        typer.echo(message.as_bytes().decode("utf-8", "replace"), nl=False)
    elif form == "html":
        typer.echo(bodies["html"], nl=False)
    else:
        typer.echo(f"{message['From']}\n{message['Subject']}\n\n{bodies['plain']}")
        typer.echo("".join(f"+ {file}\n" for file in files), nl=False)
    return 0


def send(name: str, to: str, tenant: str | None, language: Language, *, as_json: bool) -> int:
    """Send one; 0 accepted, 1 nobody knows, 3 no relay took it."""
    with opened() as house:
        outcome = _usable(lambda: send_sample(house.context, chosen(house, tenant).id, name, language, to))
    done, said = isinstance(outcome, Accepted), "accepted" if isinstance(outcome, Accepted) else outcome.reason
    if as_json:
        say_json({"accepted": done, "relay": outcome.relay or None, "said": said})
    else:
        typer.echo(f"{name}: {said}" + (f" by {outcome.relay}" if done else ""))
    return 0 if done else 1 if isinstance(outcome, Uncertain) else 3


def _usable(fn: Callable[[], T]) -> T:
    """What a branding or an address cannot do is a mistake in what was typed."""
    try:
        return fn()
    except Rejected as error:
        if error.code in ("LETTER-ADDRESS", "LETTER-SENDER"):
            raise UsageError(error.code, error.message) from None
        raise


def _body(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    return "" if found is None else str(found.get_content())
