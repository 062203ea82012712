"""A real PDF of a document, written by hand: one font, plain lines, no compression, so that its text can be
found.

PDF 1.4 (ISO 32000): catalogue, page tree, one content stream per page, cross-reference table.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ladenbuch.simulators.sevdesk.wire import plain
from ladenbuch.simulators.sevdesk.world import Document, World

_LINES_PER_PAGE = 52
_LEADING = 14


def render(lines: Sequence[str]) -> bytes:
    """Lines of text -> a PDF of as many A4 pages as they need. The same lines give the same bytes."""
    starts = range(0, len(lines), _LINES_PER_PAGE)
    pages = [lines[start : start + _LINES_PER_PAGE] for start in starts] or [[]]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        stream = _stream(page)
        objects.append(
            (
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842]"
                f" /Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>"
            ).encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    return _file(objects)


def _stream(lines: Sequence[str]) -> bytes:
    shown = b"".join(b"(%s) Tj T*\n" % _escape(line) for line in lines)
    return b"BT\n/F1 10 Tf\n%d TL\n50 790 Td\n%sET" % (_LEADING, shown)


def _escape(text: str) -> bytes:
    flat = " ".join(text.split())
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
    """What is printed: number, dates, party, positions, sums per rate, tax text."""
    fields = document.fields
    lines = [str(fields.get("header") or "Rechnung"), f"Nummer: {document.number or 'Entwurf'}"]
    lines.append(f"Datum: {document.day:%d.%m.%Y}")
    if document.delivery is not None:
        until = f" - {document.delivery_until:%d.%m.%Y}" if document.delivery_until else ""
        lines.append(f"Leistungsdatum: {document.delivery:%d.%m.%Y}{until}")
    if document.note:
        lines.append(f"Referenz/Bestellnummer: {document.note}")
    lines += ["", *_party(world, document), ""]
    lines += [str(fields["headText"])] if fields.get("headText") else []
    for position in document.positions:
        amount = f"{money(position.sums.gross)} EUR ({plain(position.tax_rate)} %)"
        lines.append(f"{plain(position.quantity)} x {position.name}: {amount}")
        lines += [f"    {position.text}"] if position.text else []
    lines.append("")
    for rate in sorted({position.tax_rate for position in document.positions}):
        lines.append(_rate_line(document, rate))
    lines.append(f"Gesamt: {money(document.sums.gross)} EUR")
    lines += [str(fields[name]) for name in ("taxText", "footText") if fields.get(name)]
    return lines


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
