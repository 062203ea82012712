"""A real PDF of a document, written by hand: one font, plain lines, no compression, so that its text can be
found.

PDF 1.4 (ISO 32000): catalogue, page tree, one content stream per page, cross-reference table. Letters that Windows-1252
lacks (Łódź, Győr) get codes of their own, named in the font's /Differences and /ToUnicode.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from ladenbuch.simulators.sevdesk.wire import parse_int, plain
from ladenbuch.simulators.sevdesk.world import Document, World

#: The account itself: who sells.
_LINES_PER_PAGE = 52
_LEADING = 14
#: Codes that WinAnsiEncoding leaves free and a string may hold as they are: for letters it does not have.
_SPARE = (*range(1, 8), 11, *range(14, 32))


def render(lines: Sequence[str], inside: tuple[str, bytes] | None = None) -> bytes:
    """Lines of text -> a PDF of as many A4 pages as they need. The same lines give the same bytes.

    `inside` is a file (name, content) that travels in the PDF, as the XML of an e-invoice does (ZUGFeRD).
    """
    starts = range(0, len(lines), _LINES_PER_PAGE)
    pages = [lines[start : start + _LINES_PER_PAGE] for start in starts] or [[]]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    codes = _codes(lines)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        _font(codes, 4 + 2 * len(pages)),
    ]
    for number, page in enumerate(pages):
        objects.append(
            (
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842]"
                f" /Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>"
            ).encode()
        )
        objects.append(_stream(_shown(page, codes)))
    if codes:
        objects.append(_stream(_unicode(codes)))
    if inside is not None:
        _embed(objects, *inside)
    return _file(objects)


def _embed(objects: list[bytes], name: str, content: bytes) -> None:
    """Put a file into the PDF and name it in the catalogue (ISO 32000, 7.11.4)."""
    number = len(objects) + 1
    listed = f"/Names << /EmbeddedFiles << /Names [({name}) {number} 0 R] >> >> /AF [{number} 0 R]"
    objects[0] = f"<< /Type /Catalog /Pages 2 0 R {listed} >>".encode()
    objects.append(
        f"<< /Type /Filespec /F ({name}) /UF ({name}) /AFRelationship /Data /EF << /F {number + 1} 0 R >> >>".encode()
    )
    head = b"<< /Type /EmbeddedFile /Subtype /text#2Fxml /Length %d >>\nstream\n" % len(content)
    objects.append(head + content + b"\nendstream")


def _codes(lines: Sequence[str]) -> dict[str, int]:
    """Spare codes for the letters that Windows-1252 lacks, in order of appearance; none are left for the 27th."""
    foreign = (char for char in dict.fromkeys("".join(lines)) if not char.encode("cp1252", "ignore"))
    return dict(zip(foreign, _SPARE, strict=False))


def _font(codes: dict[str, int], unicode_map: int) -> bytes:
    encoding, more = "/WinAnsiEncoding", ""
    if codes:
        named = " ".join(f"{code} /u{ord(char):04X}" for char, code in codes.items())
        encoding = f"<< /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [{named}] >>"
        more = f" /ToUnicode {unicode_map} 0 R"
    return f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding {encoding}{more} >>".encode()


def _unicode(codes: dict[str, int]) -> bytes:
    pairs = "".join(f"<{code:02x}> <{char.encode('utf-16-be').hex()}>\n" for char, code in codes.items())
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Spare def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <ff> endcodespacerange\n{len(codes)} beginbfchar\n{pairs}endbfchar\n"
        "endcmap CMapName currentdict /CMap defineresource pop end end"
    ).encode()


def _stream(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)


def _shown(lines: Sequence[str], codes: dict[str, int]) -> bytes:
    shown = b"".join(b"(%s) Tj T*\n" % _escape(line, codes) for line in lines)
    return b"BT\n/F1 10 Tf\n%d TL\n50 790 Td\n%sET" % (_LEADING, shown)


def _escape(text: str, codes: dict[str, int]) -> bytes:
    flat = " ".join(text.split()).translate({ord(char): code for char, code in codes.items()})
    raw = flat.encode("cp1252", "replace")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _file(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def page_lines(world: World, document: Document) -> list[str]:
    """What is printed: the account's own letterhead, number, dates, party, positions, sums per rate, tax text."""
    fields = document.fields
    company = world.thing("SevClient", world.switches.company_id).fields
    lines = [", ".join(str(company[name]) for name in ("name", "street", "town")), ""]
    lines += [str(fields.get("header") or "Rechnung"), f"Nummer: {document.number or 'Entwurf'}"]
    lines.append(f"Datum: {document.day:%d.%m.%Y}")
    if document.delivery is not None:
        until = f" - {document.delivery_until:%d.%m.%Y}" if document.delivery_until else ""
        lines.append(f"Leistungsdatum: {document.delivery:%d.%m.%Y}{until}")
    if document.note:
        lines.append(f"Referenz/Bestellnummer: {document.note}")
    lines += ["", *_party(world, document), ""]
    lines += _html(fields.get("headText"))
    for position in document.positions:
        amount = f"{money(position.sums.gross)} EUR ({plain(position.tax_rate)} %)"
        lines.append(f"{plain(position.quantity)} x {position.name}: {amount}")
        lines += [f"    {position.text}"] if position.text else []
    lines.append("")
    for rate in sorted({position.tax_rate for position in document.positions}):
        lines.append(_rate_line(document, rate))
    lines.append(f"Gesamt: {money(document.sums.gross)} EUR")
    days = parse_int(fields.get("timeToPay"))
    lines += [] if days is None else [f"Zahlbar bis: {document.day + timedelta(days=days):%d.%m.%Y}"]
    lines += [str(fields["taxText"])] if fields.get("taxText") else []
    lines += _html(fields.get("footText"))
    return [*lines, "", f"Steuernummer: {company['taxNumber']}, USt-IdNr.: {company['vatNumber']}"]


def _html(text: object) -> list[str]:
    """Head and foot text are HTML (facts 1.5): line breaks and escaped characters, as a reader sees them."""
    return [html.unescape(part) for part in re.split(r"<br ?/?>|\n", str(text or "")) if part.strip()]


def _party(world: World, document: Document) -> list[str]:
    fields = document.fields
    lines = [str(fields[name]) for name in ("addressName", "addressName2", "addressStreet") if fields.get(name)]
    town = " ".join(str(fields[name]) for name in ("addressZip", "addressCity") if fields.get(name))
    lines += [town] if town else []
    lines += str(fields["address"]).splitlines() if fields.get("address") else []
    if document.country is not None:
        lines.append(str(world.thing("StaticCountry", document.country).fields["name"]))
    return lines


def _rate_line(document: Document, rate: Decimal) -> str:
    parts = [position.sums for position in document.positions if position.tax_rate == rate]
    net, tax = sum(part.net for part in parts), sum(part.tax for part in parts)
    return f"Netto {money(net)} EUR, USt {plain(rate)} %: {money(tax)} EUR"


def money(cents: int) -> str:
    """Integer cents as German text: 123456 -> "1.234,56"."""
    sign = "-" if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    return f"{sign}{whole:,}".replace(",", ".") + f",{rest:02d}"
