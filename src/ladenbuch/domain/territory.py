"""Where an address lies for value added tax: Germany, the rest of the Union, or a third country.

Postal borders are not tax borders. Sources: UStG §1 (2), (2a); Articles 5 to 8 of Directive 2006/112/EC (islands,
overseas departments, enclaves; Monaco counts as France, the Isle of Man as the United Kingdom); the Northern Ireland
Protocol (goods only).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from ladenbuch.domain.order import Address

#: Member states by ISO 3166-1 code (Greece is GR here and EL in its VAT ids).
MEMBER_STATES = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905
)
HOME, UNION, THIRD = "home", "union", "third"


@dataclass(frozen=True, slots=True)
class Territory:
    """`country` is the state whose VAT applies (ISO), `status` home, union or third; `special` names an exception."""

    country: str
    status: str
    special: str | None = None


#: (country, prefixes of the postal code, name): part of a member state, but not of the Union's VAT area.
_OUTSIDE: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("DE", ("78266",), "Büsingen"),
    ("DE", ("27498",), "Helgoland"),
    ("DK", ("39",), "Greenland"),
    ("ES", ("35", "38"), "Canary Islands"),
    ("ES", ("51",), "Ceuta"),
    ("ES", ("52",), "Melilla"),
    ("FI", ("22",), "Åland"),
    (
        "FR",
        ("971", "972", "973", "974", "975", "976", "977", "978", "984", "986", "987", "988", "989"),
        "French overseas territories",
    ),
    ("IT", ("23041",), "Livigno"),
    ("IT", ("22061",), "Campione d'Italia"),
    ("GR", ("63086", "63087"), "Mount Athos"),
)
#: ISO codes of their own for the same places.
_OUTSIDE_CODES = {"IC": "Canary Islands", "EA": "Ceuta and Melilla", "AX": "Åland"} | dict.fromkeys(
    ("GP", "MQ", "GF", "RE", "YT"), "French overseas territories"
)
#: Inside the VAT area, with rates of their own that a shop's tables rarely know.
_OWN_RATES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("AT", ("6691", "6991", "6992", "6993"), "Jungholz and Mittelberg"),
    ("PT", ("90", "91", "92", "93", "94"), "Madeira"),
    ("PT", ("95", "96", "97", "98", "99"), "Azores"),
)
OWN_RATES = frozenset(name for _, _, name in _OWN_RATES)
#: Countries of which a part is taxed otherwise: how many digits tell the part. (A German address without a postal code
#: can only belong to a small domestic invoice, and is taken for Germany.)
_DIGITS = {"AT": 4, "DK": 4, "ES": 5, "FI": 5, "FR": 5, "GR": 5, "IT": 5, "PT": 4}
#: The `special` of an address whose postal code does not tell which VAT area it lies in.
UNPLACED = "an unknown part"

#: The names above in German.
GERMAN: Mapping[str, str] = MappingProxyType(
    {
        "Büsingen": "Büsingen",
        "Helgoland": "Helgoland",
        "Greenland": "Grönland",
        "Canary Islands": "Kanarische Inseln",
        "Ceuta": "Ceuta",
        "Melilla": "Melilla",
        "Ceuta and Melilla": "Ceuta und Melilla",
        "Åland": "Åland",
        "French overseas territories": "Französische Überseegebiete",
        "Livigno": "Livigno",
        "Campione d'Italia": "Campione d'Italia",
        "Mount Athos": "Berg Athos",
        "Monaco": "Monaco",
        "Isle of Man": "Insel Man",
        "Northern Ireland": "Nordirland",
        "Jungholz and Mittelberg": "Jungholz und Mittelberg",
        "Madeira": "Madeira",
        "Azores": "Azoren",
    }
)


def territory_of(address: Address | None, *, goods: bool) -> Territory | None:
    """The VAT territory of an address, or None when its country is unknown. `goods`: Northern Ireland is Union then."""
    if address is None or not address.country:
        return None
    return _territory(address.country.upper(), address.zip or "", goods)


@lru_cache(maxsize=4096)
def _territory(country: str, postal_code: str, goods: bool) -> Territory:
    plain = "".join(char for char in postal_code.upper() if char.isalnum())
    code = "".join(char for char in plain if char.isdigit())
    if country == "MC" or (country == "FR" and code.startswith("980")):
        return Territory("FR", UNION, "Monaco")
    if country == "IM":
        return Territory("GB", THIRD, "Isle of Man")
    if country == "XI" or (country == "GB" and plain.startswith("BT")):
        return Territory("XI", UNION, "Northern Ireland") if goods else Territory("GB", THIRD, "Northern Ireland")
    if country == "GB" and not plain and goods:
        return Territory("GB", THIRD, UNPLACED)
    if country in _OUTSIDE_CODES:
        return Territory(country, THIRD, _OUTSIDE_CODES[country])
    if code == "8238" and country in ("CH", "DE"):  # Büsingen has a Swiss postal code as well
        return Territory(country, THIRD, "Büsingen")
    if country not in MEMBER_STATES:
        return Territory(country, THIRD)
    digits = _DIGITS.get(country)
    if digits is not None and (len(code) < digits if country == "PT" else len(code) != digits):
        return Territory(country, UNION, UNPLACED)
    for state, prefixes, name in _OUTSIDE:
        if country == state and code.startswith(prefixes):
            return Territory(country, THIRD, name)
    own = next((name for state, prefixes, name in _OWN_RATES if country == state and code.startswith(prefixes)), None)
    return Territory(country, HOME if country == "DE" else UNION, own)
