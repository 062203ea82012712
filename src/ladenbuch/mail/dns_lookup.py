"""DNS for what is asked of the sender's domain; a name server that does not answer is asked for a few seconds only."""

from __future__ import annotations

from collections.abc import Sequence

import dns.exception
import dns.resolver

from ladenbuch.domain.mail_domain import Unanswered

#: Seconds for one question, over all name servers.
PATIENCE = 4.0


class Resolver:
    """Asks the machine's name servers (or those of `servers`), each question once. Call it with a name and a type."""

    def __init__(self, servers: dns.resolver.Resolver | None = None) -> None:
        self._servers = servers
        self._known: dict[tuple[str, str], list[str]] = {}

    def __call__(self, name: str, kind: str) -> Sequence[str]:
        """The records as text, TXT in one piece each. Raises Unanswered."""
        if (name, kind) not in self._known:
            self._known[name, kind] = self._asked(name, kind)
        return self._known[name, kind]

    def _asked(self, name: str, kind: str) -> list[str]:
        try:
            servers = self._servers or dns.resolver.get_default_resolver()
            answer = servers.resolve(name, kind, lifetime=PATIENCE, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.DNSException as error:
            raise Unanswered(type(error).__name__) from None
        except (OSError, ValueError) as error:  # no name server is set, or a name that cannot be one
            raise Unanswered(type(error).__name__) from None
        if kind == "TXT":
            return [b"".join(record.strings).decode("ascii", "replace") for record in answer]
        return [record.to_text() for record in answer]
