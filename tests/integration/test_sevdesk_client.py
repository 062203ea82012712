"""Every verb of the sevdesk client against the stateful stand-in: in one thread, and over real HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest
import uvicorn

from ladenbuch.domain.document import InvoiceDraft, Party, Position
from ladenbuch.errors import Ambiguous, LadenbuchError, Rejected, Retryable
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.documents import compare, content_hash
from ladenbuch.simulators.http import Route, SimTransport, asgi
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.simulators.weather import Fault, Weather

BASE = "http://sevdesk.test/api/v1"
PARTY = Party("S1-70012", "Erika Muster", "Erika", "Muster", None, "Hafenweg 3", None, "20457", "Hamburg")


@dataclass
class Tenant:
    """A simulated tenant, its client, and its clock."""

    simulator: SevdeskSimulator
    sevdesk: Sevdesk
    advance: Callable[[float], None]
    url: str

    @property
    def account(self) -> str:
        return str(self.simulator.account_id("Klarna"))

    def state(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.simulator.state()[kind]
        return found

    def human(self, **body: object) -> None:
        """What a bookkeeper does by hand, as the control API offers it."""
        answer = httpx2.Response(500)
        if self.url == BASE:
            http = httpx2.Client(transport=SimTransport([Route("http://sevdesk.test", self.simulator)]))
        else:
            http = httpx2.Client()
        with http:
            answer = http.post(self.url.replace("/api/v1", "/_control/human"), json=body)
        assert answer.status_code == 200, answer.text


def client(url: str, http: httpx2.Client, clock: Callable[[], datetime], token: str = DEFAULT_TOKEN) -> Sevdesk:
    return Sevdesk(url, lambda: token, http, clock=clock, sleep=lambda seconds: None)


@contextmanager
def served(app: Any) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@pytest.fixture(params=["one thread", "http"])
def tenant(request: pytest.FixtureRequest) -> Iterator[Tenant]:
    now = [datetime(2026, 11, 22, 12, tzinfo=UTC)]

    def advance(seconds: float) -> None:
        now[0] += timedelta(seconds=seconds)

    simulator = SevdeskSimulator(clock=lambda: now[0])
    if request.param == "one thread":
        with httpx2.Client(transport=SimTransport([Route("http://sevdesk.test", simulator)])) as http:
            yield Tenant(simulator, client(BASE, http, lambda: now[0]), advance, BASE)
    else:
        with served(asgi(simulator)) as url, httpx2.Client(timeout=10) as http:
            yield Tenant(simulator, client(url, http, lambda: now[0]), advance, url)
    assert simulator.internal_errors == []
    assert simulator.calls()["ignored"] == {}, "a field or filter of ours is ignored by sevdesk"


def draft(note: str = "#1001 / s1-1", *positions: Position, **changes: Any) -> InvoiceDraft:
    chosen = positions or (
        Position.of("Tasse <b>& Co", 2, 2590, Decimal("19"), text="SKU T-1"),
        Position.of("Buch", 3, 2997, Decimal("7")),
        Position.of("Versand", 1, 490, Decimal("19")),
    )
    claim: dict[Decimal, int] = {}
    for position in chosen:
        claim[position.rate] = claim.get(position.rate, 0) + position.gross
    values: dict[str, Any] = {
        "key": f"inv:{note}",
        "note": note,
        "currency": "EUR",
        "tax_rule": 1,
        "invoice_date": date(2026, 11, 22),
        "delivery_date": date(2026, 11, 20),
        "party": PARTY,
        "positions": chosen,
        "claim": tuple(claim.items()),
    }
    return InvoiceDraft(**{**values, **changes})


def code(call: Callable[[], object]) -> str:
    with pytest.raises(Rejected) as caught:
        call()
    return caught.value.code


def test_an_order_from_contact_to_paid(tenant: Tenant) -> None:
    """S28: G1 of the golden table, once through every step, confirmed by id after each."""
    sevdesk, wanted = tenant.sevdesk, draft(delivery_until=date(2026, 11, 21), time_to_pay=14)
    assert sevdesk.bookkeeping_version() == "2.0"
    assert 1 in [rule.id for rule in sevdesk.tax_rules()]

    assert sevdesk.find_contact("S1-70012") is None
    contact = sevdesk.create_contact(PARTY)
    assert sevdesk.find_contact("S1-70012") == contact

    assert sevdesk.find_invoices(wanted.note) == []
    saved = sevdesk.save_draft(wanted, contact)
    assert saved.positions is not None
    assert compare(wanted, saved, saved.positions) == []
    assert (saved.gross, saved.net, saved.tax) == (6077, 2588 + 2801, 492 + 196)
    assert (saved.number, saved.is_draft, saved.contact_id) == (None, True, contact)

    confirmed = sevdesk.get_invoice(saved.id)
    assert confirmed is not None
    positions = sevdesk.invoice_positions(saved.id)
    assert compare(wanted, confirmed, positions) == []
    posted = content_hash(confirmed, positions)
    assert content_hash(saved, saved.positions) == posted
    assert [found.id for found in sevdesk.find_invoices(wanted.note)] == [saved.id]

    assert sevdesk.invoice_pdf(saved.id).content.startswith(b"%PDF")
    still = sevdesk.get_invoice(saved.id)
    assert still is not None
    assert still.is_draft, "reading the PDF must not finalise (facts 5.1.2)"

    open_ = sevdesk.finalise(saved.id)
    assert (open_.status, open_.is_finalised, open_.send_type) == (200, True, "VPDF")
    assert sevdesk.invoice_pdf(saved.id).filename.endswith(".pdf")

    purpose = "SHPTX 6001 s1-1"
    assert sevdesk.find_transaction(tenant.account, "SHPTX 6001") is None
    line = sevdesk.create_transaction(tenant.account, 6077, date(2026, 11, 22), "Erika Muster", purpose)
    assert sevdesk.find_transaction(tenant.account, "SHPTX 6001") == line
    assert sevdesk.find_transaction(tenant.account, "SHPTX 600") is None
    log = sevdesk.book(saved.id, 6077, date(2026, 11, 22), tenant.account, line.id)
    assert (log.from_status, log.to_status, log.amount) == (200, 1000, 6077)

    linked, paid = sevdesk.get_transaction(line.id), sevdesk.get_invoice(saved.id)
    assert linked is not None
    assert linked.is_linked
    assert paid is not None
    assert (paid.status, paid.paid) == (1000, 6077)
    assert content_hash(paid, sevdesk.invoice_positions(saved.id)) == posted
    assert code(lambda: sevdesk.book(saved.id, 6077, date(2026, 11, 22), tenant.account, line.id)) == "SEVDESK-750"
    (invoice,) = tenant.state("invoices")
    assert len(invoice["positions"]) == 3
    assert len(tenant.state("transactions")) == 1


def test_drafts_can_be_deleted_and_invoices_cannot(tenant: Tenant) -> None:
    sevdesk = tenant.sevdesk
    contact = sevdesk.create_contact(PARTY)
    one, two = sevdesk.save_draft(draft(), contact), sevdesk.save_draft(draft(), contact)
    assert len(sevdesk.find_invoices(draft().note)) == 2, "sevdesk does not prevent doubles"
    sevdesk.delete_draft(two.id)
    sevdesk.delete_draft(two.id)
    assert sevdesk.get_invoice(two.id) is None
    sevdesk.finalise(one.id)
    assert code(lambda: sevdesk.delete_draft(one.id)) == "SEVDESK-159"
    assert [found.id for found in sevdesk.find_invoices(draft().note)] == [one.id]


def test_an_unpaid_invoice_is_cancelled_once(tenant: Tenant) -> None:
    """R5: SR only for unpaid; 390 comes inside HTTP 200, 421 for the second time."""
    sevdesk = tenant.sevdesk
    contact = sevdesk.create_contact(PARTY)
    invoice = sevdesk.finalise(sevdesk.save_draft(draft(), contact).id)
    assert sevdesk.find_cancellation(draft().note, invoice.id) is None
    cancellation = sevdesk.cancel_invoice(invoice.id)
    assert (cancellation.kind, cancellation.gross, cancellation.origin_id) == ("SR", -6077, invoice.id)
    assert cancellation.number not in (None, invoice.number)
    found = sevdesk.find_cancellation(draft().note, invoice.id)
    assert found is not None
    assert found.id == cancellation.id
    assert sevdesk.cancel_invoice(invoice.id).id == cancellation.id, "421 adopts what is there"
    assert [one["type"] for one in tenant.state("invoices")] == ["RE", "SR"]

    partly = sevdesk.finalise(sevdesk.save_draft(draft("s1-2"), contact).id)
    line = sevdesk.create_transaction(tenant.account, 1000, date(2026, 11, 22), "E", "SHPTX 1 s1-2")
    sevdesk.book(partly.id, 1000, date(2026, 11, 22), tenant.account, line.id)
    assert code(lambda: sevdesk.cancel_invoice(partly.id)) == "SEVDESK-390"
    again = sevdesk.get_invoice(partly.id)
    assert again is not None
    assert (again.status, again.paid) == (750, 1000)


def test_a_double_line_is_a_question_until_the_spare_is_deleted(tenant: Tenant) -> None:
    """Facts 6.1: nothing in sevdesk prevents two lines with one key."""
    sevdesk, day = tenant.sevdesk, date(2026, 11, 22)
    one, two = (sevdesk.create_transaction(tenant.account, 100, day, "E", "SHPTX 1 s1") for _ in range(2))
    assert code(lambda: sevdesk.find_transaction(tenant.account, "SHPTX 1")) == "SEVDESK-DUPLICATE"
    assert sevdesk.find_transactions(tenant.account, "SHPTX 1") == [one, two]
    sevdesk.delete_transaction(two.id)
    assert sevdesk.find_transaction(tenant.account, "SHPTX 1") == one
    invoice = sevdesk.finalise(sevdesk.save_draft(draft(), sevdesk.create_contact(PARTY)).id)
    sevdesk.book(invoice.id, 100, day, tenant.account, one.id)
    with pytest.raises(Rejected):
        sevdesk.delete_transaction(one.id)


def test_a_person_who_edits_a_draft_is_seen(tenant: Tenant) -> None:
    """R12."""
    sevdesk = tenant.sevdesk
    saved = sevdesk.save_draft(draft(), sevdesk.create_contact(PARTY))
    assert saved.positions is not None
    posted = content_hash(saved, saved.positions)
    tenant.human(do="edit", id=saved.id, foot_text="Gruß vom Buchhalter")
    edited = sevdesk.get_invoice(saved.id)
    assert edited is not None
    positions = sevdesk.invoice_positions(saved.id)
    assert content_hash(edited, positions) != posted
    assert compare(draft(), edited, positions) == []
    tenant.human(do="edit", id=saved.id, price="13.00")
    edited = sevdesk.get_invoice(saved.id)
    assert edited is not None
    fields = {one.field for one in compare(draft(), edited, sevdesk.invoice_positions(saved.id))}
    assert {"gross", "gross[19]", "position[0].price"} <= fields


def test_accounts(tenant: Tenant) -> None:
    sevdesk = tenant.sevdesk
    made = sevdesk.create_file_import_account("Mollie (automatisch, nicht importieren)")
    assert (made.kind, made.import_type, made.auto_map) == ("online", "CSV", True)
    sevdesk.stop_auto_mapping(made.id)
    found = {account.id: account for account in sevdesk.check_accounts()}
    assert found[made.id] == replace(made, auto_map=False)
    offline = next(account.id for account in found.values() if account.kind == "offline")
    with pytest.raises(Rejected):
        sevdesk.create_transaction(offline, 100, date(2026, 11, 22), "E", "SHPTX 1")
    invoice = sevdesk.finalise(sevdesk.save_draft(draft(), sevdesk.create_contact(PARTY)).id)
    log = sevdesk.book(invoice.id, 6077, date(2026, 11, 22), offline, None)
    assert log.to_status == 1000


def test_every_iso_country_is_found_exactly_or_refused(tenant: Tenant) -> None:
    """S100, facts 5.1.27."""
    assert tenant.sevdesk.country_id("DE") == "1"
    assert tenant.sevdesk.country_id("GB").isdigit()
    assert tenant.sevdesk.country_id("FR") != tenant.sevdesk.country_id("AT")
    assert code(lambda: tenant.sevdesk.country_id("QQ")) == "SEVDESK-COUNTRY"
    assert tenant.simulator.calls()["by_endpoint"]["GET /StaticCountry"] == 1


def test_many_positions_come_back_whole_and_in_order(tenant: Tenant) -> None:
    positions = [Position.of(f"Teil {at}", 1 + at % 3, 101 * (1 + at % 3), Decimal("19")) for at in range(300)]
    wanted = draft("s1-300", *positions)
    saved = tenant.sevdesk.save_draft(wanted, tenant.sevdesk.create_contact(PARTY))
    assert compare(wanted, saved, tenant.sevdesk.invoice_positions(saved.id)) == []


def test_a_wrong_token_and_a_closed_port(tenant: Tenant) -> None:
    with httpx2.Client() as http:
        unreachable = client("http://127.0.0.1:9/api/v1", http, lambda: datetime.now(UTC))
        with pytest.raises(Retryable) as caught:
            unreachable.save_draft(draft(), "1")
        assert not isinstance(caught.value, Ambiguous)
    if tenant.url != BASE:
        with httpx2.Client() as http:
            stranger = client(tenant.url, http, lambda: datetime.now(UTC), token="0" * 32)
            assert code(stranger.bookkeeping_version) == "SEVDESK-TOKEN"


# -- bad weather --------------------------------------------------------------------------------------


class Once(Weather):
    """Clear sky until armed; then one fault for the next write."""

    def __init__(self) -> None:
        super().__init__("calm", 0)
        self.next: Fault | None = None

    def decide(self, request: Any) -> Fault:
        if request.method == "GET" or self.next is None:
            return Fault("none")
        fault, self.next = self.next, None
        return fault


@pytest.mark.parametrize(
    ("fault", "kind", "stored"),
    [
        (Fault("lost_reply"), Ambiguous, 1),
        (Fault("reset_before"), Ambiguous, 0),
        (Fault("error_before", status=502), Ambiguous, 0),
        (Fault("late_commit", after_seconds=3.0), Ambiguous, 1),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_what_was_lost_is_found_again_and_never_sent_twice(fault: Fault, kind: type[Retryable], stored: int) -> None:
    """Facts 6.3: an ambiguous write says so, and the find by its key tells what really happened."""
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    simulator, weather, late = SevdeskSimulator(clock=lambda: now), Once(), []
    transport = SimTransport(
        [Route("http://sevdesk.test", simulator, weather)], schedule=lambda after, fn: late.append(fn)
    )
    with httpx2.Client(transport=transport) as http:
        sevdesk = client(BASE, http, lambda: now)
        contact, account = sevdesk.create_contact(PARTY), str(simulator.account_id("Klarna"))
        steps: list[tuple[Callable[[], object], Callable[[], object]]] = [
            (lambda: sevdesk.save_draft(draft(), contact), lambda: sevdesk.find_invoices(draft().note)),
            (
                lambda: sevdesk.create_transaction(account, 100, date(2026, 11, 22), "E", "SHPTX 1 s1"),
                lambda: sevdesk.find_transaction(account, "SHPTX 1"),
            ),
            (
                lambda: sevdesk.create_contact(replace(PARTY, customer_number="S1-2")),
                lambda: sevdesk.find_contact("S1-2"),
            ),
        ]
        for write, find in steps:
            weather.next = fault
            with pytest.raises(kind):
                write()
            for commit in late:
                assert not find(), "nothing is there before the late commit"
                commit()
            late.clear()
            assert bool(find()) is bool(stored)


def test_in_a_storm_over_real_http_every_failure_is_one_of_ours() -> None:
    """Four threads share one client; whatever the weather does, it comes as later, ambiguous or never."""
    simulator = SevdeskSimulator()
    with served(asgi(simulator, Weather("storm", 7))) as url, httpx2.Client(timeout=2) as http:
        sevdesk = client(url, http, lambda: datetime.now(UTC))
        outcomes: list[str] = []

        def work(worker: int) -> None:
            for at in range(10):
                try:
                    contact = sevdesk.find_contact(f"S{worker}") or sevdesk.create_contact(
                        replace(PARTY, customer_number=f"S{worker}")
                    )
                    wanted = draft(f"s1-{worker}-{at}")
                    if not sevdesk.find_invoices(wanted.note):
                        sevdesk.save_draft(wanted, contact)
                    outcomes.append("done")
                except LadenbuchError as error:
                    outcomes.append(type(error).__name__)
                except Exception as error:
                    outcomes.append(f"leaked {error!r}")

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(outcomes) == 40
    assert set(outcomes) <= {"done", "Retryable", "Ambiguous"}
    assert "done" in outcomes
    assert len(set(outcomes)) > 1, "there was no storm"
    assert simulator.internal_errors == []
