"""What §14 (4) UStG wants on a document stands on the paper: one test per item, for every document of thirty cases.

The cases run through the whole connector on the simulated shop; the paper is sevdesk's PDF, read back as text. What is
expected is written in `invoice_cases`, from the law and not from the product.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

import house
from acceptance.invoice_cases import CASES, SELLER_VAT_ID, Case, Paper

SELLER = "Seifenladen Nord e. K., Inh. Hanna Petersen, Elbchaussee 12, 22763 Hamburg"
SELLER_TAX_NUMBER = "41/234/56789"
HOUSES = {
    "regular": (
        {"oss_from": "2026-01-01", "vouchers": "single_purpose", "unshipped": "electronic", "reverse_charge": True},
        {},
    ),
    "small": ({"regime": "small_business"}, {"small_business": True}),
}


@dataclass(frozen=True)
class Printed:
    """One document as it is, beside what it should be, and the other documents of its order."""

    wanted: Paper
    case: Case
    place: int
    papers: tuple[house.Paper, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        return self.papers[self.place].lines

    @property
    def text(self) -> str:
        return self.papers[self.place].text

    @property
    def positions(self) -> list[str]:
        return [line for line in self.lines if re.fullmatch(r"-?\d+ x .+: .+ EUR \(.+ %\)", line)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[house.Paper, ...]]:
    """All cases lived through once: case name -> its documents."""
    papers: dict[str, tuple[house.Paper, ...]] = {}
    for name, (profile, switches) in HOUSES.items():
        start = datetime(2026, 11, 2, 8, tzinfo=UTC)
        seller = house.House(tmp_path_factory.mktemp(name), start, profile, **switches)
        lives = {case.name: house.life(case.number, case.start, case.script) for case in CASES if case.house == name}
        seller.live(*lives.values())
        for case, life in lives.items():
            papers[case] = tuple(seller.papers(life.order_id))
            assert seller.verdict(life.order_id) == ("documented", None), (case, seller.questions(life.order_id))
        assert seller.sevdesk.internal_errors == []
        assert seller.sevdesk.calls()["ignored"] == {}, "a field of ours is ignored by sevdesk"
        seller.close()
    return papers


WANTED = [(case, place) for case in CASES for place in range(len(case.papers))]
IDS = [case.name + (f"_{place + 1}" if place else "") for case, place in WANTED]


@pytest.fixture(params=WANTED, ids=IDS)
def paper(request: pytest.FixtureRequest, written: dict[str, tuple[house.Paper, ...]]) -> Printed:
    case, place = request.param
    assert len(written[case.name]) == len(case.papers), "other documents than expected"
    return Printed(case.papers[place], case, place, written[case.name])


def test_there_are_at_least_twenty_cases() -> None:
    assert len({case.name for case in CASES}) >= 20


def test_s14_4_no_1_full_name_and_address_of_seller_and_buyer(paper: Printed) -> None:
    """§14 (4) no. 1; §33 no. 1 UStDV for small invoices. What sevdesk cancels by itself it leaves without an address:
    the cancellation names its invoice, which has one (§31 (5) UStDV)."""
    assert SELLER in paper.lines
    if paper.wanted.sort == "cancellation":
        assert paper.wanted.corrects is not None
        return
    name, *address = paper.wanted.buyer
    at = next(at for at, line in enumerate(paper.lines) if line == name or line.startswith(f"{name}, "))
    assert list(paper.lines[at + 1 : at + 1 + len(address)]) == address


def test_s14_4_no_2_the_seller_s_tax_number_or_vat_id(paper: Printed) -> None:
    assert SELLER_TAX_NUMBER in paper.text or SELLER_VAT_ID in paper.text


def test_s14_4_no_3_date_of_issue(paper: Printed) -> None:
    """§14 (4) no. 3: the day on which it was written, also where the supply lies before it."""
    assert [line for line in paper.lines if line.startswith("Datum: ")] == [f"Datum: {paper.wanted.issued}"]


def test_s14_4_no_4_a_number_given_once(paper: Printed, written: dict[str, tuple[house.Paper, ...]]) -> None:
    """§14 (4) no. 4: on every paper one number, and on no two papers of a seller the same."""
    numbers = [line for line in paper.lines if line.startswith("Nummer: ")]
    assert len(numbers) == 1
    assert re.fullmatch(r"Nummer: (RE|GU)-[1-9]\d*", numbers[0])
    mine = [case.name for case in CASES if case.house == paper.case.house]
    everywhere = [line for name in mine for one in written[name] for line in one.lines if line == numbers[0]]
    assert everywhere == numbers


@pytest.mark.parametrize("seller", list(HOUSES))
def test_s14_4_no_4_the_numbers_are_consecutive(seller: str, written: dict[str, tuple[house.Paper, ...]]) -> None:
    names = [case.name for case in CASES if case.house == seller]
    text = "\n".join(one.text for name in names for one in written[name])
    for circle in ("RE", "GU"):
        numbers = sorted(int(number) for number in re.findall(rf"^Nummer: {circle}-(\d+)$", text, re.MULTILINE))
        assert numbers == list(range(1001, 1001 + len(numbers))), circle


def test_s14_4_no_5_quantity_and_kind_of_what_was_supplied(paper: Printed) -> None:
    """§14 (4) no. 5: every line with its quantity and the name it was sold under, and no other line."""
    assert tuple(paper.positions) == paper.wanted.sold


def test_s14_4_no_6_time_of_supply_or_of_receipt_of_the_money(paper: Printed) -> None:
    """§14 (4) no. 6, §14 (5): the day of supply; an invoice over an advance payment says so, when the money came and
    when the goods are expected (UStAE 14.8 (1), (4)), and claims no supply."""
    wanted = paper.wanted
    dated = [line.removeprefix("Leistungsdatum: ") for line in paper.lines if line.startswith("Leistungsdatum: ")]
    advance = [line for line in paper.lines if "Vorauszahlung" in line or "Advance payment" in line]
    if wanted.received is None:
        assert dated == [wanted.supplied]
        assert advance == []
    else:
        received, month = wanted.received
        assert dated == [received]
        assert len(advance) == 1
        assert f"Vorauszahlung, Zahlung erhalten am {received}" in advance[0]
        assert f"Lieferung voraussichtlich im {month}" in advance[0]


def test_s14_4_no_7_net_amounts_per_rate_and_agreed_reductions(paper: Printed) -> None:
    """§14 (4) no. 7: the net amount for each rate, and no more rates than were charged. An agreed reduction is in the
    price of each line already, so nothing is left to be taken off the total."""
    nets = {rate: net for rate, (net, _) in paper.wanted.sums.items()}
    printed = re.findall(r"^Netto (-?[\d.,]+) EUR, USt ([\d.]+) %", paper.text, re.MULTILINE)
    assert {rate: net for net, rate in printed} == nets
    assert len(printed) == len(nets)
    assert f"Gesamt: {paper.wanted.total} EUR" in paper.lines
    lines = sum(_cents(line.rsplit(": ", 1)[1].split(" EUR")[0]) for line in paper.positions)
    assert lines == _cents(paper.wanted.total)


def test_s14_4_no_8_rate_and_tax_or_why_there_is_none(paper: Printed) -> None:
    """§14 (4) no. 8: the rate and the tax on it; where nothing is charged, the reason, in words the law knows."""
    printed = re.findall(r", USt ([\d.]+) %: (-?[\d.,]+) EUR$", paper.text, re.MULTILINE)
    assert dict(printed) == {rate: tax for rate, (_, tax) in paper.wanted.sums.items()}
    if paper.wanted.reason is not None:
        assert set(paper.wanted.sums) == {"0"}
        assert paper.wanted.reason in paper.text
    else:
        for words in ("Steuerfrei", "Steuerschuldnerschaft", "Nicht im Inland", "Exempt", "Reverse", "§ 19"):
            assert words not in paper.text


def test_s14_4_no_9_the_duty_to_keep_the_invoice_is_named_for_work_on_land_alone(paper: Printed) -> None:
    """§14 (4) no. 9, §14b (1) sentence 5: only work on a plot of land wants the notice; nothing here is such work."""
    assert "aufbewahr" not in paper.text.lower()


def test_s14_4_no_10_nothing_of_ours_is_called_gutschrift(paper: Printed) -> None:
    """§14 (4) no. 10, §14 (2) sentence 2: that word belongs to invoices the buyer writes. Ours are corrections."""
    assert "gutschrift" not in paper.text.lower()
    assert "credit note" not in paper.text.lower()
    assert any(line.startswith(paper.wanted.title) for line in paper.lines[:4])


def test_s14a_what_the_law_wants_besides(paper: Printed) -> None:
    """§14a (1), (3) and (5): the words of a reverse charge, both VAT ids of an intra-Community supply; §34a UStDV: why
    a small business charges nothing. And what the buyer asked to have named: the order's name, his own number."""
    for name in paper.wanted.names:
        assert name in paper.text
    assert f"#{paper.case.number} / s1:" in paper.text


@pytest.mark.parametrize("paper", [one for one in WANTED if one[0].papers[one[1]].corrects is not None], indirect=True)
def test_s31_5_ustdv_a_correction_names_its_invoice(paper: Printed) -> None:
    """§31 (5) UStDV: specific and unmistakable, by the number of the invoice it corrects; and by no other number."""
    assert paper.wanted.corrects is not None
    invoice = paper.papers[paper.wanted.corrects]
    number = next(line.removeprefix("Nummer: ") for line in invoice.lines if line.startswith("Nummer: "))
    own = next(line.removeprefix("Nummer: ") for line in paper.lines if line.startswith("Nummer: "))
    assert set(re.findall(r"\b(?:RE|GU)-\d+\b", paper.text)) == {number, own}
    named = [line for line in paper.lines if number in line]
    assert len(named) == 1
    assert named[0].startswith((f"Korrektur der Rechnung {number} vom ", f"Stornorechnung zur Rechnung {number}"))
    if paper.wanted.sort == "credit_note":
        assert paper.papers[paper.wanted.corrects].lines  # it is there, and has the date that is named
        assert named[0].endswith(f" vom {paper.case.papers[paper.wanted.corrects].issued}.")


def _cents(amount: str) -> int:
    return int(amount.replace(".", "").replace(",", ""))
