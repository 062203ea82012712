"""Buyers and goods of the demo shop. Every name and address is invented."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

FIRST = (
    "Jürgen", "Käthe", "Anna", "Lukas", "Sören", "Björn", "Mia", "Zoë", "Jörg", "Özlem", "Hannah", "Emil", "Frieda",
    "Till", "Bärbel", "Günther", "Noah", "Renée", "Łukasz", "Marie-Luise",
)  # fmt: skip
LAST = (
    "Müller", "Schäfer", "Größe", "Weiß", "Köhler", "Yılmaz", "Lange", "Schmidt-Rottluff", "von der Heide", "Krüger",
    "Öztürk", "Jäger", "Groß", "Nguyễn", "Vogt", "Böhm", "Fischer", "Wójcik", "Strauß", "d'Angelo",
)  # fmt: skip
STREETS = (
    "Hauptstraße", "Königsallee", "Am Mühlbach",
    "Bürgermeister-Smidt-Straße", "Lindenweg", "Schloßplatz", "Gärtnergasse",
    "Straße des 17. Juni", "Öjendorfer Weg", "Tölzer Straße",
)  # fmt: skip
TOWNS = (
    ("10115", "Berlin", "Berlin", "BE"), ("20095", "Hamburg", "Hamburg", "HH"), ("80331", "München", "Bayern", "BY"),
    ("50667", "Köln", "Nordrhein-Westfalen", "NW"), ("01067", "Dresden", "Sachsen", "SN"),
    ("70173", "Stuttgart", "Baden-Württemberg", "BW"), ("99084", "Erfurt", "Thüringen", "TH"),
    ("24937", "Flensburg", "Schleswig-Holstein", "SH"), ("72070", "Tübingen", "Baden-Württemberg", "BW"),
    ("63065", "Offenbach am Main", "Hessen", "HE"), ("28195", "Bremen", "Bremen", "HB"),
)  # fmt: skip
COMPANIES = (
    "Bäckerei Süß & Söhne GmbH", "Kanzlei Dr. Groß PartG mbB", "Töpferei Weiß e. K.", "Café Größenwahn UG",
    "Müller & Töchter OHG", "Praxis Dr. Jäger",
)  # fmt: skip
ABROAD: dict[str, tuple[str, str, str, str | None]] = {  # street, zip, city, province code
    "FR": ("12 rue de l’Église", "67000", "Strasbourg", None),
    "AT": ("Mariahilfer Straße 8", "1070", "Wien", None),
    "NL": ("Keizersgracht 101", "1015 CJ", "Amsterdam", None),
    "CH": ("Bahnhofstrasse 1", "8001", "Zürich", "ZH"),
    "US": ("500 Market St", "94105", "San Francisco", "CA"),
    "GB": ("22 King Street", "SW1Y 6QY", "London", "ENG"),
    "BE": ("Rue Haute 14", "1000", "Bruxelles", None),
    "IT": ("Via Garibaldi 3", "10122", "Torino", "TO"),
    "DK": ("Nørregade 22", "1165", "København K", None),
    "PL": ("ul. Długa 5", "00-238", "Warszawa", None),
    "HELGOLAND": ("Lung Wai 28", "27498", "Helgoland", "SH"),
    "BUESINGEN": ("Höhenstraße 3", "78266", "Büsingen am Hochrhein", "BW"),
}


@dataclass(frozen=True)
class Product:
    """An article: list price gross in cents at the German rate (per mille)."""

    title: str
    sku: str
    price: int
    rate: int
    variant: str | None = None
    ships: bool = True
    gift_card: bool = False
    number: int = 0


GOODS: dict[int, tuple[Product, ...]] = {
    190: (
        Product("Becher „Möwe“", "BECH-01", 1295, 190, "blau", number=11),
        Product("Seife Lavendel", "SEIF-02", 999, 190, number=12),
        Product("Leinentuch", "TUCH-03", 3490, 190, "60 × 80 cm", number=13),
        Product("Kerze groß", "KERZ-04", 1850, 190, number=14),
        Product("Tasche aus Filz", "TASC-05", 5495, 190, "anthrazit", number=15),
        Product("Postkarte", "KART-06", 149, 190, number=16),
        Product("Schürze", "SCHU-07", 2799, 190, "M", number=17),
        Product("Teekanne", "KANN-08", 4733, 190, number=18),
    ),
    70: (
        Product("Kochbuch „Küche im Norden“", "BUCH-11", 2400, 70, number=21),
        Product("Honig 500 g", "HONI-12", 799, 70, number=22),
        Product("Kaffee, ganze Bohne", "KAFF-13", 1290, 70, "1 kg", number=23),
        Product("Notenheft", "NOTE-14", 999, 70, number=24),
        Product("Apfelbrot", "BROT-15", 465, 70, number=25),
    ),
    0: (
        Product("Balkonmodul 430 W", "PV-21", 18900, 0, number=31),
        Product("Wechselrichter 800 W", "PV-22", 14950, 0, number=32),
    ),
}
GIFT_CARD = Product("Gutschein 50 €", "GUTS-50", 5000, 0, ships=False, gift_card=True, number=41)


def address(rng: random.Random, place: str = "DE", company: str | None = None) -> dict[str, Any]:
    """A MailingAddress in `place` (an ISO country, or HELGOLAND, BUESINGEN)."""
    first, last = rng.choice(FIRST), rng.choice(LAST)
    if place == "DE":
        code, city, province, province_code = rng.choice(TOWNS)
        street = f"{rng.choice(STREETS)} {rng.randint(1, 240)}"
        country: str = "DE"
    else:
        street, code, city, short = ABROAD[place]
        country = "DE" if len(place) > 2 else place
        province, province_code = short or "", short or ""
    return {
        "firstName": first, "lastName": last, "name": f"{first} {last}", "company": company, "address1": street,
        "address2": "Hinterhaus, 2. OG" if rng.random() < 0.1 else None, "zip": code, "city": city,
        "province": province or None, "provinceCode": province_code or None, "countryCodeV2": country,
        "phone": f"+49 30 {rng.randint(1_000_000, 9_999_999)}" if rng.random() < 0.2 else None,
    }  # fmt: skip


def mailbox(first: str, last: str, number: int) -> str:
    """An address under a reserved domain that no mail ever reaches."""
    fold = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e", "ë": "e", "ł": "l", "ı": "i", "ễ": "e"})
    plain = f"{first}.{last}".lower().translate(fold)
    kept = "".join(c for c in plain if c.isascii() and (c.isalnum() or c in ".-"))
    return f"{kept}.{number}@example.org"


def customer(rng: random.Random, number: int) -> dict[str, Any]:
    """A customer record with name and e-mail; `number` is its numeric id."""
    first, last = rng.choice(FIRST), rng.choice(LAST)
    mail = mailbox(first, last, number % 1_000_000)
    return {
        "id": f"gid://shopify/Customer/{number}", "legacyResourceId": str(number), "displayName": f"{first} {last}",
        "firstName": first, "lastName": last, "locale": "de" if rng.random() < 0.85 else "en", "taxExempt": False,
        "taxExemptions": [], "email": mail, "defaultEmailAddress": {"emailAddress": mail},
        "taxSettings": {"taxId": None},
    }  # fmt: skip
