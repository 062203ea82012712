"""A relay without a socket, for tests: always there, and without anything to say afterwards."""

from __future__ import annotations

from ladenbuch.mail.transport import Inquiry


class Always:
    """What `mail.transport.Relays` answers besides `send`."""

    def room(self, most: int) -> int:
        return most

    def there(self) -> dict[str, bool]:
        return {}

    def ask(self, relay: str | None, message_id: str) -> Inquiry:
        return Inquiry("cannot say")

    def can_be_asked(self, relay: str | None) -> bool:
        return False
