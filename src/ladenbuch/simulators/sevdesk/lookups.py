"""What a tenant has from the start: countries, units, users, categories, payment methods, tax rules, number
circles, accounts (facts 2.1, 1.9).
"""

from __future__ import annotations

import pycountry

from ladenbuch.simulators.http import SimResponse
from ladenbuch.simulators.sevdesk import tax
from ladenbuch.simulators.sevdesk.accounts import open_account
from ladenbuch.simulators.sevdesk.call import Call, Routes, answer, wrapped
from ladenbuch.simulators.sevdesk.contacts import getter, lister
from ladenbuch.simulators.sevdesk.listing import Test
from ladenbuch.simulators.sevdesk.wire import ApiError, Json, flag_out, instant_out, ref
from ladenbuch.simulators.sevdesk.world import Sequence, Thing, World

USER_ID = 5
_UNITS = {
    1: ("Stk", "C62"),
    2: ("m²", "MTK"),
    3: ("m", "MTR"),
    4: ("kg", "KGM"),
    7: ("pauschal", "LS"),
    9: ("Std", "HUR"),
}
_CATEGORIES = {
    2: ("Lieferant", "Contact"),
    3: ("Kunde", "Contact"),
    4: ("Partner", "Contact"),
    28: ("Interessent", "Contact"),
    43: ("Lieferanschrift", "ContactAddress"),
    47: ("Rechnungsanschrift", "ContactAddress"),
}
_WAYS = {1: "Privat", 2: "Arbeit", 3: "Fax", 4: "Mobil", 5: "", 6: "Autobox", 7: "Newsletter", 8: "Rechnungsadresse"}
# The account's master data, printed on every document; people and tax numbers of nobody.
_COMPANY = {
    "name": "Seifenladen Nord e. K., Inh. Hanna Petersen",
    "street": "Elbchaussee 12",
    "town": "22763 Hamburg",
    "taxNumber": "41/234/56789",
    "vatNumber": "DE314159262",
    "bankIban": "DE02120300000000202051",
    "bankBic": "BYLADEM1001",
    "contactEmail": "kontor@seifenladen.example",
    "contactPhone": "+49 40 123456",
}
_METHODS = {"Überweisung": "58", "Lastschrift": "59", "Bar": "10", "Online-Zahlungsdienst": "68", "Verrechnung": "97"}


def seed(world: World) -> None:
    """Fill an empty world with what every tenant has, and with the accounts of the demo."""
    _countries(world)
    lacking = dict.fromkeys(world.switches.seller_lacks, "")
    world.add("SevClient", {**_COMPANY, **lacking}, identifier=world.switches.company_id)
    for identifier, (name, code) in _UNITS.items():
        fields = {"name": name, "translationCode": f"UNITY_{code}", "unitySystem": code}
        world.add("Unity", fields, identifier=identifier)
    for identifier, (name, kind) in _CATEGORIES.items():
        world.add("Category", {"name": name, "objectType": kind}, identifier=identifier)
    for identifier, name in _WAYS.items():
        world.add("CommunicationWayKey", {"name": name}, identifier=identifier)
    status = "100" if world.switches.users_active else "0"
    user = {"fullname": "Ladenbuch Anbindung", "username": "ladenbuch@example.invalid", "status": status}
    world.add(
        "SevUser",
        {**user, "role": "ADMIN", "sevClient": ref("SevClient", world.switches.company_id)},
        identifier=USER_ID,
    )
    for name, code in _METHODS.items():
        world.add("PaymentMethod", {"name": name, "electronicInvoiceId": code})
    for rule in tax.RULES.values():
        if rule.id in world.switches.rules_lacking:
            continue
        rates = None if rule.rates is None else sorted(f"{rate:f}" for rate in rule.rates)
        rule_fields: Json = {"name": rule.name, "code": rule.code, "country": "DE", "taxRates": rates}
        world.add("TaxRule", rule_fields, identifier=rule.id)
    for kind, circle, shape in (("Invoice", "RE", "RE-%NUMBER"), ("CreditNote", "CN", "GU-%NUMBER")):
        identifier = world.new_id()
        if circle not in world.switches.circles_lacking:
            world.sequences[kind, circle] = Sequence(identifier, kind, circle, shape, 1001)
    bank = open_account(world, "Bank", "online", bank_server="FINAPI")
    bank.default, bank.auto_map = True, True
    for name, number in (("Shopify Payments", "1361"), ("Klarna", "1362"), ("PayPal", "1363")):
        open_account(world, f"{name} (automatisch, nicht importieren)", "online", import_type="CSV", number=number)
    open_account(world, "Geldtransit", "offline", number="1360")


def _countries(world: World) -> None:
    """Germany is id 1; the United Kingdom comes three times under the code gb (facts 2.1)."""
    rows = [("de", "Germany")]
    for country in sorted(pycountry.countries, key=lambda each: str(each.alpha_2)):
        code, name = str(country.alpha_2).lower(), str(country.name)
        if code == "gb":
            rows += [(code, each) for each in ("England", "Great Britain", "United Kingdom")]
        elif code != "de":
            rows.append((code, name))
    for identifier, (code, name) in enumerate(rows, start=1):
        german = "Deutschland" if code == "de" else name
        fields = {"code": code, "name": german, "nameEn": name, "locale": code}
        world.add("StaticCountry", fields, identifier=identifier)


def version(call: Call) -> SimResponse:
    """GET /Tools/bookkeepingSystemVersion; this endpoint refuses X-Version 1.0 and 2.0 (facts 1.3)."""
    return wrapped({"version": call.world.switches.version})


def company(call: Call) -> SimResponse:
    """GET /SevClient: the account itself, a list of one, under the names the description has for e-invoices."""
    if not call.world.switches.company_readable:
        raise ApiError(404, "the requested endpoint does not exist")
    kept = call.world.thing("SevClient", call.world.switches.company_id)
    fields = kept.fields
    post_code, _, city = str(fields["town"]).partition(" ")
    written: Json = {
        "id": str(call.world.switches.company_id),
        "objectName": "SevClient",
        "create": instant_out(kept.created_at),
        "name": fields["name"] or None,
        "addressStreet": fields["street"] or None,
        "addressZip": post_code or None,
        "addressCity": city or None,
        "smallSettlement": flag_out(call.world.switches.small_business),
    }
    for name in ("taxNumber", "vatNumber", "bankIban", "bankBic", "contactEmail", "contactPhone"):
        written[name] = fields[name] or None
    return wrapped([written])


def tax_rules(call: Call) -> SimResponse:
    """GET /TaxRule: what this account may use."""
    if not call.world.switches.tax_rules_readable:
        raise ApiError(404, "the requested endpoint does not exist")
    return lister("TaxRule")(call)


def _circle(world: World, kind: str | None, name: str | None) -> Sequence:
    found = world.sequences.get((kind or "", name or ""))
    if found is None:
        raise ApiError(404, "SevSequence not found", 151)
    return found


def sequence(call: Call) -> SimResponse:
    """GET /SevSequence/Factory/getByType?objectType=&type="""
    circle = _circle(call.world, call.query.plain.get("objectType"), call.query.plain.get("type"))
    written: Json = {
        "id": str(circle.id),
        "objectName": "SevSequence",
        "forObject": circle.kind,
        "type": circle.type,
        "format": circle.format,
        "nextSequence": str(circle.next),
    }
    return wrapped(written)


def _next(kind: str, name: str) -> Routes:
    path = f"/{kind}/Factory/getNext{kind}Number"
    return {("GET", path): lambda call: wrapped(_circle(call.world, kind, name).preview())}


def _exact(name: str) -> Test[Thing]:
    return lambda row, text: row.fields.get(name) == text


def _nothing(call: Call) -> SimResponse:
    return answer({"objects": []})


def _layouts(name: str) -> Json:
    return {"objects": None, name: [{"id": "1", "name": "Standard", "default": True}]}


ROUTES: Routes = {
    ("GET", "/Tools/bookkeepingSystemVersion"): version,
    ("GET", "/StaticCountry"): lister("StaticCountry", {"code": _exact("code")}),
    ("GET", "/StaticCountry/{id}"): getter("StaticCountry"),
    ("GET", "/Unity"): lister("Unity"),
    ("GET", "/Category"): lister("Category", {"objectType": _exact("objectType")}),
    ("GET", "/CommunicationWayKey"): lister("CommunicationWayKey"),
    ("GET", "/SevUser"): lister("SevUser"),
    ("GET", "/SevUser/{id}"): getter("SevUser"),
    ("GET", "/PaymentMethod"): lister("PaymentMethod"),
    ("GET", "/TaxRule"): tax_rules,
    ("GET", "/SevClient"): company,
    ("GET", "/SevSequence/Factory/getByType"): sequence,
    **_next("Invoice", "RE"),
    **_next("CreditNote", "CN"),
    ("GET", "/TextTemplate"): _nothing,
    ("GET", "/DocServer/getTemplatesWithThumb"): lambda call: answer(_layouts("templates")),
    ("GET", "/DocServer/getLetterpapersWithThumb"): lambda call: answer(_layouts("letterpapers")),
}
