"""Another program at sevdesk's own door: an invoice that is none of ours."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator


def write_invoice(sevdesk: SevdeskSimulator, day: date, *, final: bool = True) -> str:
    """An invoice over 11.90 that names no order; its id. A draft where it is not `final`."""

    def call(method: str, path: str, body: dict[str, Any]) -> Any:
        headers = {"authorization": DEFAULT_TOKEN, "content-type": "application/json"}
        answer = sevdesk.handle(SimRequest(method, f"/api/v1{path}", (), headers, json.dumps(body).encode()))
        assert answer.status < 300, answer.body
        return json.loads(answer.body)["objects"]

    person = {"surename": "E", "familyname": "M", "category": {"id": 3, "objectName": "Category"}}
    header = {
        "objectName": "Invoice", "mapAll": True, "status": 100, "invoiceType": "RE", "invoiceDate": f"{day}",
        "deliveryDate": f"{day}", "contact": {"id": call("POST", "/Contact", person)["id"], "objectName": "Contact"},
        "contactPerson": {"id": 5, "objectName": "SevUser"}, "addressCountry": {"id": 1, "objectName": "StaticCountry"},
        "currency": "EUR", "taxRate": 0, "taxText": "USt", "discount": 0, "showNet": False, "addressName": "E",
        "taxRule": {"id": 1, "objectName": "TaxRule"},
    }  # fmt: skip
    position = {
        "objectName": "InvoicePos", "mapAll": True, "quantity": 1, "price": "11.90", "name": "Seife", "taxRate": "19",
        "unity": {"id": 1, "objectName": "Unity"},
    }  # fmt: skip
    body = {"invoice": header, "invoicePosSave": [position], "invoicePosDelete": None}
    made = call("POST", "/Invoice/Factory/saveInvoice", body)["invoice"]
    if final:
        call("PUT", f"/Invoice/{made['id']}/sendBy", {"sendType": "VPR", "sendDraft": False})
    return str(made["id"])
