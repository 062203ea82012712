"""Does the sevdesk account have what every document of the seller needs?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ladenbuch.domain.connected import AccountRead, Finding
from ladenbuch.domain.profile import Profile

#: Fields of the account, as a person knows them.
_WORDS = {
    "name": ("name", "Name"),
    "addressStreet": ("street", "Straße"),
    "addressZip": ("postal code", "Postleitzahl"),
    "addressCity": ("city", "Ort"),
    "taxNumber": ("tax number", "Steuernummer"),
    "vatNumber": ("VAT id", "USt-IdNr."),
    "bankIban": ("IBAN", "IBAN"),
    "bankBic": ("BIC", "BIC"),
    "contactEmail": ("e-mail address", "E-Mail-Adresse"),
    "contactPhone": ("telephone number", "Telefonnummer"),
}
#: What an e-invoice needs besides (facts 4.4).
_E_INVOICE = (
    "addressStreet",
    "addressZip",
    "addressCity",
    "bankIban",
    "bankBic",
    "contactEmail",
    "contactPhone",
    "taxNumber",
)
_NEEDS = {
    "user": ("a user to name as contact person", "ein aktiver Benutzer als Ansprechpartner"),
    "unit": ("the unit for pieces", "die Einheit für Stück"),
    "country": ("Germany in its list of countries", "Deutschland in seiner Länderliste"),
    "categories": ("the categories of customers and billing addresses", "die Kategorien Kunde und Rechnungsanschrift"),
}


def of_account(account: AccountRead, profile: Profile) -> Iterator[Finding]:
    """The seller on the invoice (UStG §14 (4) nos. 1 and 2), what documents refer to, and their numbers."""
    yield from _seller(account, profile)
    yield from _e_invoices(account, profile)
    yield _documents(account)
    yield _numbers(account)


def _empty(account: AccountRead, fields: Iterable[str]) -> list[str]:
    """Fields that sevdesk tells, and that nobody filled in."""
    return [name for name in fields if account.told.get(name) == ""]


def _words(fields: Iterable[str], language: int) -> str:
    return ", ".join(_WORDS[name][language] for name in fields)


def _seller(account: AccountRead, profile: Profile) -> Iterator[Finding]:
    if not account.told:
        yield Finding(
            "warn",
            "SELLER-DATA",
            "seller",
            "sevdesk does not tell who the seller on the invoices is",
            "sevdesk sagt nicht, wer als Unternehmer auf den Rechnungen steht",
            "look at a draft: name, address, and tax number or VAT id must be on it (UStG §14 (4))",
            "Einen Entwurf ansehen: Name, Anschrift und Steuernummer oder USt-IdNr. müssen darauf stehen (§14 (4)"
            " UStG)",
        )
        return
    lacking = _empty(account, ("name", "addressStreet", "addressZip", "addressCity"))
    if not account.told.get("taxNumber") and not account.told.get("vatNumber"):
        lacking += _empty(account, ("taxNumber",)) or _empty(account, ("vatNumber",))
    if lacking:
        yield Finding(
            "missing",
            "SELLER-DATA",
            "seller",
            f"the account does not say the seller's {_words(lacking, 0)}, which every invoice must name (UStG §14 (4))",
            f"Dem Konto fehlt vom Unternehmer: {_words(lacking, 1)}; jede Rechnung muss das nennen (§14 (4) UStG)",
            "fill in the company's data in sevdesk's settings",
            "Die Firmendaten in den Einstellungen von sevdesk ergänzen",
            ", ".join(lacking),
        )
    else:
        name = account.told.get("name", "")
        yield Finding(
            "ok",
            "SELLER-DATA",
            "seller",
            f"the seller is {name}, with address and tax number or VAT id",
            f"Der Unternehmer ist {name}, mit Anschrift und Steuernummer oder USt-IdNr.",
        )
    if profile.regime == "regular" and account.told.get("vatNumber") == "":
        yield Finding(
            "missing" if profile.oss_from else "warn",
            "SELLER-VAT-ID",
            "seller",
            "the account has no VAT id: supplies to businesses in the EU and OSS invoices must name it (§14a)",
            "Dem Konto fehlt die USt-IdNr.: Innergemeinschaftliche und OSS-Rechnungen müssen sie nennen (§14a)",
            "enter the VAT id in sevdesk's settings, or ask the Bundeszentralamt für Steuern for one",
            "Die USt-IdNr. in sevdesk eintragen oder beim Bundeszentralamt für Steuern beantragen",
        )


def _e_invoices(account: AccountRead, profile: Profile) -> Iterator[Finding]:
    if profile.e_invoices == "off":
        return
    lacking = _empty(account, _E_INVOICE)
    english, german = _words(lacking, 0), _words(lacking, 1)
    if not account.payment_means:
        lacking.append("paymentMethod")
        english = ", ".join(filter(None, (english, "a payment method for bank transfers")))
        german = ", ".join(filter(None, (german, "eine Zahlungsart für Überweisungen")))
    if lacking:
        yield Finding(
            "missing",
            "SELLER-E-INVOICE",
            "seller",
            f"the profile asks for e-invoices, and the account lacks {english}",
            f"Das Profil verlangt E-Rechnungen, und dem Konto fehlt: {german}",
            "fill it in in sevdesk's settings, or set `e_invoices` to `off`",
            "In den Einstellungen von sevdesk ergänzen oder `e_invoices` auf `off` setzen",
            ", ".join(lacking),
        )
    else:
        yield Finding(
            "ok",
            "SELLER-E-INVOICE",
            "seller",
            "the account has what e-invoices need",
            "Das Konto hat, was E-Rechnungen brauchen",
        )


def _documents(account: AccountRead) -> Finding:
    lacking = [name for name in _NEEDS if name in account.lacking]
    if not lacking:
        return Finding(
            "ok",
            "SEVDESK-LOOKUPS",
            "seller",
            "there are a contact person, a unit, a country and categories",
            "Ansprechpartner, Einheit, Land und Kategorien sind da",
        )
    english, german = (" and ".join(_NEEDS[name][0] for name in lacking), " und ".join(_NEEDS[n][1] for n in lacking))
    return Finding(
        "missing",
        "SEVDESK-LOOKUPS",
        "seller",
        f"the account lacks {english}: every document refers to it",
        f"Dem Konto fehlt {german}: Jeder Beleg verweist darauf",
        "create it in sevdesk's settings, or ask sevdesk's support",
        "In den Einstellungen von sevdesk anlegen oder den sevdesk-Support fragen",
        ", ".join(lacking),
    )


def _numbers(account: AccountRead) -> Finding:
    lacking = [kind for kind in ("Invoice", "CreditNote") if "%NUMBER" not in account.ranges.get(kind, "")]
    if not lacking:
        both = " / ".join(account.ranges[kind] for kind in ("Invoice", "CreditNote"))
        return Finding(
            "ok", "SEVDESK-NUMBERS", "seller", f"documents are numbered {both}", f"Belege werden so nummeriert: {both}"
        )
    what = {"Invoice": ("invoices", "Rechnungen"), "CreditNote": ("credit notes", "Rechnungskorrekturen")}
    english, german = (" and ".join(what[kind][0] for kind in lacking), " und ".join(what[k][1] for k in lacking))
    return Finding(
        "missing",
        "SEVDESK-NUMBERS",
        "seller",
        f"the account has no number range for {english}",
        f"Dem Konto fehlt ein Nummernkreis für {german}",
        "set one up in sevdesk's settings, with %NUMBER in it",
        "In den Einstellungen von sevdesk anlegen, mit %NUMBER darin",
        ", ".join(lacking),
    )
