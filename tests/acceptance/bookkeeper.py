"""A bookkeeper of a diary's shop, at sevdesk's own door."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from acceptance.purchase import BERLIN, HAMBURG
from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN

if TYPE_CHECKING:
    from acceptance.diary import Diary

Node = dict[str, Any]


def euro(cents: int, sign: str = "") -> str:
    """Cents as "28.70"; `sign` "+" always shows one."""
    return f"{Decimal(cents) / 100:{sign}.2f}"


class Bookkeeper:
    """A person at sevdesk's own door, with sevdesk's normal API."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    def get(self, path: str, **query: str) -> Any:
        return self._call("GET", path, None, query)["objects"]

    def _call(self, method: str, path: str, body: Node | None = None, query: Node | None = None) -> Any:
        headers = {"authorization": DEFAULT_TOKEN, "content-type": "application/json"}
        raw = b"" if body is None else json.dumps(body).encode()
        answer = self.diary.sevdesk.handle(
            SimRequest(method, f"/api/v1{path}", tuple((query or {}).items()), headers, raw)
        )
        assert answer.status < 300, answer.body
        return json.loads(answer.body)

    def _id(self, number: str) -> int:
        if number == "draft":
            return int(next(item["id"] for item in self.diary.sevdesk.state()["invoices"] if item["status"] == 100))
        return int(self.diary.document(number)["id"])

    def _kind(self, number: str) -> str:
        return "CreditNote" if number.startswith("GU") else "Invoice"

    def account(self, name: str) -> int:
        """The id of an account whose name starts like this."""
        return self.diary.sevdesk.account_id(name)

    def xml(self, number: str) -> str:
        """The XML of an e-invoice; an ordinary invoice has none."""
        return str(self.get(f"/Invoice/{self._id(number)}/getXml"))

    def bank_line(self, cents: int, purpose: str, account: str = "Bank") -> int:
        """A line arrives by a feed. On the bank account sevdesk matches it by itself after some seconds."""
        today = self.diary.clock.now().astimezone(BERLIN).date()
        body = {
            "valueDate": f"{today}", "amount": euro(cents), "payeePayerName": "Erika Muster", "paymtPurpose": purpose,
            "checkAccount": {"id": self.account(account), "objectName": "CheckAccount"}, "status": 100,
        }  # fmt: skip
        line = int(self._call("POST", "/CheckAccountTransaction", body)["objects"]["id"])
        self.diary.clock.advance(10)
        self.diary.sevdesk.state()
        return line

    def links(self, line: int, number: str, cents: int) -> None:
        """Links a line that is there to a document by hand."""
        self._link(line, self._kind(number), self._id(number), cents)

    def _link(self, line: int, kind: str, identifier: int, cents: int) -> None:
        row = next(one for one in self.diary.sevdesk.state()["transactions"] if one["id"] == line)
        body = {
            "amount": euro(cents), "date": row["value_date"], "type": "N",
            "checkAccount": {"id": row["account_id"], "objectName": "CheckAccount"},
            "checkAccountTransaction": {"id": line, "objectName": "CheckAccountTransaction"},
        }  # fmt: skip
        self._call("PUT", f"/{kind}/{identifier}/bookAmount", body)

    def cancels(self, number: str) -> None:
        """Cancels an open invoice; sevdesk writes the cancellation."""
        self.diary.by_hand = True
        self._call("POST", f"/Invoice/{self._id(number)}/cancelInvoice")

    def tampers(self, number: str, /, **what: object) -> None:
        """What no endpoint does to a final document, behind everybody's back (`simulators/sevdesk/tampering.py`)."""
        self.diary.by_hand = True
        body = json.dumps({"kind": self._kind(number), "id": self._id(number), **what}).encode()
        answer = self.diary.sevdesk.handle(SimRequest("POST", "/_control/tamper", (), {}, body))
        assert answer.status < 300, answer.body

    def finalises_draft(self) -> None:
        """Finalises the first draft of an invoice, as "printed"."""
        self._call("PUT", f"/Invoice/{self._id('draft')}/sendBy", {"sendType": "VPR", "sendDraft": False})

    def deletes_draft(self) -> None:
        """Deletes the first draft of an invoice."""
        self._call("DELETE", f"/Invoice/{self._id('draft')}")

    def edits_draft(self, **fields: str) -> None:
        """Changes texts of the first draft of an invoice."""
        header = {"id": self._id("draft"), "objectName": "Invoice", "mapAll": True} | fields
        self._call("POST", "/Invoice/Factory/saveInvoice", {"invoice": header, "invoicePosSave": None})

    def writes_invoice(self, like: str, *goods: tuple[str, int, str], note: str = "") -> None:
        """Writes and sends an invoice by hand for the buyer of invoice `like`: (name, gross cents, rate)."""
        self._writes("Invoice", like, goods, {"invoiceType": "RE", "customerInternalNote": note}, "invoiceDate")

    def invoices_for_the_previous_app(
        self, day: str, note: str, *goods: tuple[str, int, str], paid: bool = True, tag: str = "", **fields: Any
    ) -> None:
        """The invoice another program wrote for Erika Muster before we came, on `day` (ISO), and its payment.

        `fields` are further fields of it: headText, invoiceNumber, addressName, ...
        """
        self.diary.by_hand = True
        body = {"surename": "Erika", "familyname": "Muster", "category": {"id": 3, "objectName": "Category"}}
        contact = self._call("POST", "/Contact", body)["objects"]
        street, code, city, _ = HAMBURG
        header = {
            "objectName": "Invoice", "mapAll": True, "status": 100, "invoiceType": "RE", "invoiceDate": day,
            "deliveryDate": day, "contact": {"id": contact["id"], "objectName": "Contact"}, "currency": "EUR",
            "contactPerson": {"id": 5, "objectName": "SevUser"},
            "addressCountry": {"id": 1, "objectName": "StaticCountry"}, "taxRate": 0, "taxText": "Umsatzsteuer",
            "taxRule": {"id": 1, "objectName": "TaxRule"}, "discount": 0,
            "showNet": False, "customerInternalNote": note, "addressName": "Erika Muster", "addressStreet": street,
            "addressZip": code, "addressCity": city, "headText": f"Ihre Bestellung {note}" if note else "",
        } | fields  # fmt: skip
        made = self._save("Invoice", header, goods)
        if tag:
            self._call(
                "POST", "/Tag/Factory/create", {"name": tag, "object": {"id": made["id"], "objectName": "Invoice"}}
            )
        if paid:
            total = sum(cents for _, cents, _ in goods)
            line = self.bank_line(total, "PREVIOUS-APP", "PayPal")
            self._link(line, "Invoice", int(made["id"]), total)

    def writes_credit_note(self, on: str, *goods: tuple[str, int, str], note: str = "") -> None:
        """Writes and sends a credit note by hand on an invoice: (name, gross cents, rate)."""
        number = self.get("/CreditNote/Factory/getNextCreditNoteNumber")
        own = {
            "creditNoteNumber": number, "bookingCategory": "UNDERACHIEVEMENT", "customerInternalNote": note,
            "header": f"Rechnungskorrektur {number}", "refSrcInvoice": {"id": self._id(on), "objectName": "Invoice"},
        }  # fmt: skip
        self._writes("CreditNote", on, goods, own, "creditNoteDate")

    def _writes(self, kind: str, like: str, goods: Sequence[tuple[str, int, str]], own: Node, day: str) -> None:
        self.diary.by_hand = True
        model = self.get(f"/Invoice/{self._id(like)}")[0]
        kept = ("contact", "contactPerson", "addressCountry", "taxRule", "currency", "deliveryDate", "showNet")
        kept += ("addressName", "addressStreet", "addressZip", "addressCity")
        today = self.diary.clock.now().astimezone(BERLIN).date()
        header = {name: model[name] for name in kept} | {
            "objectName": kind, "mapAll": True, "status": 100, "taxRate": 0, "taxText": "zzgl. Umsatzsteuer 19 %",
            "discount": 0, day: f"{today}", **own,
        }  # fmt: skip
        self._save(kind, header, goods)

    def _save(self, kind: str, header: Node, goods: Sequence[tuple[str, int, str]]) -> Node:
        positions = [
            {"objectName": f"{kind}Pos", "mapAll": True, "quantity": 1, "price": euro(cents), "name": name,
             "unity": {"id": 1, "objectName": "Unity"}, "taxRate": rate}
            for name, cents, rate in goods
        ]  # fmt: skip
        name = kind[0].lower() + kind[1:]
        body = {name: header, f"{name}PosSave": positions, f"{name}PosDelete": None}
        made: Node = self._call("POST", f"/{kind}/Factory/save{kind}", body)["objects"][name]
        self._call("PUT", f"/{kind}/{made['id']}/sendBy", {"sendType": "VPR", "sendDraft": False})
        return made
