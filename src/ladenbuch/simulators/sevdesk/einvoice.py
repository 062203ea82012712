"""E-invoices: what the service demands of them (830), and their XML (facts 2.5, 2.8, 4.4).

The XML is a plain UN/CEFACT CII invoice in the terms of EN 16931, written when the number is taken and kept from then
on. A credit note has none.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from xml.sax.saxutils import escape

from ladenbuch.simulators.sevdesk import tax
from ladenbuch.simulators.sevdesk.wire import ApiError, parse_int, plain, refuse
from ladenbuch.simulators.sevdesk.world import Document, Position, World

#: The file inside the PDF (ZUGFeRD 2, Factur-X).
FILE = "factur-x.xml"
_SPACES = (
    'xmlns:rsm="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"'
    ' xmlns:ram="urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"'
    ' xmlns:udt="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"'
)
# The seller's data by the names of the published description, and where the account keeps them.
_SELLER = {
    "addressStreet": "street",
    "addressZip": "town",
    "addressCity": "town",
    "bankIban": "bankIban",
    "bankBic": "bankBic",
    "contactEmail": "contactEmail",
    "contactPhone": "contactPhone",
    "taxNumber": "taxNumber",
}
# EN 16931 VAT categories by tax rule: reverse charge, export, intra-Community, exempt, outside the scope.
_CATEGORIES = {5: "AE", 21: "AE", 2: "G", 3: "K", 4: "E", 11: "E", 17: "O"}


def check(world: World, document: Document) -> None:
    """Refuse what is no complete e-invoice: 830 with everything that is missing, of account, contact and invoice."""
    if document.tax_rule in tax.OSS_RULES:
        refuse("an e-invoice cannot carry an OSS tax rule")
    company = world.thing("SevClient", world.switches.company_id).fields
    missing = [f"sevClient.{name}" for name, kept in _SELLER.items() if not company.get(kept)]
    missing += [
        name for name in ("addressName", "addressStreet", "addressZip", "addressCity") if not document.fields.get(name)
    ]
    if document.payment_method is None:
        missing.append("paymentMethod")
    if document.contact is None:
        missing.append("contact")
    else:
        missing += [] if _reference(world, document) else ["buyerReference"]
        missing += [] if _mailboxes(world, document.contact) else ["email"]
    if missing:
        raise ApiError(400, "missing information", 830, [{"missing information": missing}])


def _reference(world: World, document: Document) -> str:
    fields = {} if document.contact is None else world.thing("Contact", document.contact).fields
    return str(fields.get("buyerReference") or "")


def _mailboxes(world: World, contact: int) -> list[str]:
    ways = (world.thing("CommunicationWay", found) for found in world.index.ids("CommunicationWay", "contact", contact))
    return [str(way.fields["value"]) for way in ways if way.fields["type"] == "EMAIL"]


def xml(world: World, document: Document) -> str:
    """The invoice as XML, as it is when it takes its number."""
    lines = "".join(_line(world, document, number, position) for number, position in enumerate(document.positions, 1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<rsm:CrossIndustryInvoice {_SPACES}>"
        "<rsm:ExchangedDocumentContext><ram:GuidelineSpecifiedDocumentContextParameter>"
        + _tag("ID", "urn:cen.eu:en16931:2017")
        + "</ram:GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext>"
        "<rsm:ExchangedDocument>"
        + _tag("ID", document.number or "")
        + _tag("TypeCode", "380")
        + f"<ram:IssueDateTime>{_day(document.day)}</ram:IssueDateTime></rsm:ExchangedDocument>"
        f"<rsm:SupplyChainTradeTransaction>{lines}{_parties(world, document)}{_delivery(document)}"
        f"{_settlement(world, document)}</rsm:SupplyChainTradeTransaction></rsm:CrossIndustryInvoice>"
    )


def _tag(name: str, text: str, attributes: str = "") -> str:
    return f"<ram:{name}{attributes}>{escape(text)}</ram:{name}>"


def _day(day: date) -> str:
    return f'<udt:DateTimeString format="102">{day:%Y%m%d}</udt:DateTimeString>'


def _cents(cents: int) -> str:
    return f"{Decimal(cents) / 100:.2f}"


def _line(world: World, document: Document, number: int, position: Position) -> str:
    unit = str(world.thing("Unity", position.unity).fields["unitySystem"])
    each = Decimal(position.sums.net) / 100 / (position.quantity or 1)
    return (
        "<ram:IncludedSupplyChainTradeLineItem><ram:AssociatedDocumentLineDocument>"
        + _tag("LineID", str(number))
        + "</ram:AssociatedDocumentLineDocument><ram:SpecifiedTradeProduct>"
        + _tag("Name", position.name)
        + "</ram:SpecifiedTradeProduct><ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice>"
        + _tag("ChargeAmount", f"{each:.4f}")
        + "</ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement><ram:SpecifiedLineTradeDelivery>"
        + _tag("BilledQuantity", plain(position.quantity), f' unitCode="{escape(unit)}"')
        + "</ram:SpecifiedLineTradeDelivery><ram:SpecifiedLineTradeSettlement><ram:ApplicableTradeTax>"
        + _tag("TypeCode", "VAT")
        + _tag("CategoryCode", _category(document, position.tax_rate))
        + _tag("RateApplicablePercent", plain(position.tax_rate))
        + "</ram:ApplicableTradeTax><ram:SpecifiedTradeSettlementLineMonetarySummation>"
        + _tag("LineTotalAmount", _cents(position.sums.net))
        + "</ram:SpecifiedTradeSettlementLineMonetarySummation></ram:SpecifiedLineTradeSettlement>"
        "</ram:IncludedSupplyChainTradeLineItem>"
    )


def _category(document: Document, rate: Decimal) -> str:
    return _CATEGORIES.get(document.tax_rule, "S" if rate else "Z")


def _parties(world: World, document: Document) -> str:
    company, fields = world.thing("SevClient", world.switches.company_id).fields, document.fields
    own_code, _, own_town = str(company["town"]).partition(" ")
    seller = _party(
        str(company["name"]), own_code, str(company["street"]), own_town, "DE", str(company["contactEmail"])
    )
    country = str(world.thing("StaticCountry", document.country).fields["code"]).upper() if document.country else "DE"
    mail = next(iter(_mailboxes(world, document.contact or 0)), "")
    name, code, street, town = (
        str(fields.get(each) or "") for each in ("addressName", "addressZip", "addressStreet", "addressCity")
    )
    buyer = _party(name, code, street, town, country, mail)
    return (
        "<ram:ApplicableHeaderTradeAgreement>"
        + _tag("BuyerReference", _reference(world, document))
        + f"<ram:SellerTradeParty>{seller}<ram:SpecifiedTaxRegistration>"
        + _tag("ID", str(company["vatNumber"]), ' schemeID="VA"')
        + f"</ram:SpecifiedTaxRegistration></ram:SellerTradeParty><ram:BuyerTradeParty>{buyer}"
        "</ram:BuyerTradeParty></ram:ApplicableHeaderTradeAgreement>"
    )


def _party(name: str, code: str, street: str, town: str, country: str, mail: str) -> str:
    return (
        _tag("Name", name)
        + "<ram:PostalTradeAddress>"
        + _tag("PostcodeCode", code)
        + _tag("LineOne", street)
        + _tag("CityName", town)
        + _tag("CountryID", country)
        + "</ram:PostalTradeAddress><ram:URIUniversalCommunication>"
        + _tag("URIID", mail, ' schemeID="EM"')
        + "</ram:URIUniversalCommunication>"
    )


def _delivery(document: Document) -> str:
    day = document.delivery_until or document.delivery or document.day
    return (
        "<ram:ApplicableHeaderTradeDelivery><ram:ActualDeliverySupplyChainEvent><ram:OccurrenceDateTime>"
        f"{_day(day)}</ram:OccurrenceDateTime></ram:ActualDeliverySupplyChainEvent></ram:ApplicableHeaderTradeDelivery>"
    )


def _settlement(world: World, document: Document) -> str:
    company, sums = world.thing("SevClient", world.switches.company_id).fields, document.sums
    method = world.thing("PaymentMethod", document.payment_method or 0).fields
    taxes = ""
    for rate in sorted({position.tax_rate for position in document.positions}, reverse=True):
        parts = [position.sums for position in document.positions if position.tax_rate == rate]
        taxes += (
            "<ram:ApplicableTradeTax>"
            + _tag("CalculatedAmount", _cents(sum(part.tax for part in parts)))
            + _tag("TypeCode", "VAT")
            + _tag("BasisAmount", _cents(sum(part.net for part in parts)))
            + _tag("CategoryCode", _category(document, rate))
            + _tag("RateApplicablePercent", plain(rate))
            + "</ram:ApplicableTradeTax>"
        )
    due = document.day + timedelta(days=parse_int(document.fields.get("timeToPay")) or 0)
    return (
        "<ram:ApplicableHeaderTradeSettlement>"
        + _tag("InvoiceCurrencyCode", document.currency)
        + "<ram:SpecifiedTradeSettlementPaymentMeans>"
        + _tag("TypeCode", str(method["electronicInvoiceId"]))
        + "<ram:PayeePartyCreditorFinancialAccount>"
        + _tag("IBANID", str(company["bankIban"]))
        + f"</ram:PayeePartyCreditorFinancialAccount></ram:SpecifiedTradeSettlementPaymentMeans>{taxes}"
        f"<ram:SpecifiedTradePaymentTerms><ram:DueDateDateTime>{_day(due)}</ram:DueDateDateTime>"
        "</ram:SpecifiedTradePaymentTerms><ram:SpecifiedTradeSettlementHeaderMonetarySummation>"
        + _tag("LineTotalAmount", _cents(sums.net))
        + _tag("TaxBasisTotalAmount", _cents(sums.net))
        + _tag("TaxTotalAmount", _cents(sums.tax), f' currencyID="{document.currency}"')
        + _tag("GrandTotalAmount", _cents(sums.gross))
        + _tag("DuePayableAmount", _cents(sums.gross))
        + "</ram:SpecifiedTradeSettlementHeaderMonetarySummation></ram:ApplicableHeaderTradeSettlement>"
    )
