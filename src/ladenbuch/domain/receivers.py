"""Where an event may be sent: a named host of the public internet, over TLS, and nowhere else. Pure.

Who may name an address may otherwise make us call whatever we can reach: a database next door, the metadata of a cloud,
ourselves. So an address is read by one grammar that leaves nothing to interpret, and every IP address its name stands
for is judged by itself, right before it is connected to (`ladenbuch.receivers` connects to that one and no other).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from ladenbuch.errors import Rejected

#: Longest address that is kept.
LONGEST = 2000
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_CHAR = r"[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}"
_TARGET = rf"/(?:{_CHAR})*(?:\?(?:[?]|{_CHAR})*)?"
_PUBLIC = re.compile(
    rf"https://(?P<host>{_LABEL}(?:\.{_LABEL})+)(?::(?P<port>[0-9]{{1,5}}))?(?P<target>{_TARGET})?", re.ASCII
)
_LOOPBACK = re.compile(
    rf"(?P<scheme>https?)://(?P<host>127\.0\.0\.1|localhost|\[::1\])(?::(?P<port>[0-9]{{1,5}}))?(?P<target>{_TARGET})?",
    re.ASCII,
)
#: Whatever stands in the last place of a name that some resolvers read as a number: 127.1, 0x7f.1, 2130706433.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
#: Names that never mean a host of the internet (RFC 6761, 6762, 7686, 8375, and what clouds use inside).
_INSIDE = frozenset({"localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa", "onion", "invalid"})

#: What the internet does not route, or routes to somebody's inside (IANA's registries of special addresses).
_NOT_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # public by its number, and what a machine in Azure is told about itself
    )
)  # fmt: skip
#: All of IPv6 that is routed lies in here; ::1, ::, mapped and translated IPv4, fc00::/7, fe80::/10, ff00::/8 do not.
_V6 = IPv6Network("2000::/3")
#: Inside it: protocols (Teredo among them), examples, and 6to4, which carries any IPv4 address.
_NOT_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
#: The third quarter of an address that carries an IPv4 one in its last (ISATAP).
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to: `host` as it is asked for and as its certificate must say, `target` what follows it (may be secret)."""

    scheme: str
    host: str
    port: int
    target: str
    loopback: bool = False

    @property
    def named(self) -> str:
        """For people and logs: never with the path, which often is the key to the receiver."""
        usual = 443 if self.scheme == "https" else 80
        return self.host if self.port == usual else f"{self.host}:{self.port}"


def address_of(text: str, *, loopback: bool = False) -> Address:
    """Read an address. `loopback` (for development alone) also lets this machine itself be named, on any port.

    Raises Rejected("RECEIVER-ADDRESS"), which never quotes it.
    """
    if len(text) <= LONGEST and loopback and (found := _LOOPBACK.fullmatch(text)):
        scheme = found["scheme"]
        port = int(found["port"] or (443 if scheme == "https" else 80))
        if not 0 < port < 65536:
            raise _refused("its port does not exist")
        return Address(scheme, found["host"].strip("[]"), port, found["target"] or "/", loopback=True)
    if not text.startswith("https://"):
        raise _refused("it must begin with https://")
    found = _PUBLIC.fullmatch(text)
    if len(text) > LONGEST or found is None:
        raise _refused("it must be https://, the name of a host, and a path; no user, no fragment, no IP address")
    host = found["host"].lower()
    last = host.rpartition(".")[2]
    if len(host) > 253 or _NUMBER.fullmatch(last):
        raise _refused("its host must be a name, not an IP address")
    if last in _INSIDE:
        raise _refused("its host is no name of the internet")
    if found["port"] not in (None, "443"):
        raise _refused("only port 443 is used")
    return Address("https", host, 443, found["target"] or "/")


def is_public(text: str) -> bool:
    """Whether an IP address, as a resolver gives it, belongs to the public internet. What cannot be read does not."""
    try:
        ip = ip_address(text)
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return ip.is_global and not any(ip in net for net in _NOT_V4)
    return _public_v6(ip)


def is_loopback(text: str) -> bool:
    """Whether it is this machine, by one of its two plain names."""
    return text in ("127.0.0.1", "::1")


def _public_v6(ip: IPv6Address) -> bool:
    carried = (int(ip) >> 32) & 0xFFFF_FFFF
    if ip.scope_id is not None or ip not in _V6 or carried in _ISATAP:
        return False
    return ip.is_global and not any(ip in net for net in _NOT_V6)


def _refused(why: str) -> Rejected:
    return Rejected("RECEIVER-ADDRESS", f"this address is not taken: {why}")
