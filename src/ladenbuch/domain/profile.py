"""The accounting profile of a merchant: versioned, dated, validated once, never looked up "as of today".

The version that counts for a document is the one in force at its tax point (P1). What a later issue decides differently
(small business, OSS, other timings) is already a field here, so that an unsupported value is refused and not ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ladenbuch.domain import branding
from ladenbuch.domain.overdue import Reminders, reminders_of
from ladenbuch.domain.providers import Provider, provider_of
from ladenbuch.domain.retry import Ladder, ladder_of
from ladenbuch.errors import Rejected

#: How money of a gateway is kept (bookkeeping 4.2).
MODES = ("clearing+payouts", "clearing-simple", "feed", "bank", "liability", "off")
#: Modes that keep a line of their own on an account for every transaction.
LINED_MODES = ("clearing+payouts", "liability")
#: The mode in which sevdesk makes the line when we book.
OFFLINE_MODE = "clearing-simple"
#: Modes whose money comes to sevdesk without us.
MATCHED_MODES = ("feed", "bank", "off")
#: Gateways that are not money coming in but a liability going down: never covered by a default (bookkeeping 2.5).
LIABILITY_GATEWAYS = ("gift_card", "shopify_store_credit")


@dataclass(frozen=True, slots=True)
class Gateway:
    """How one payment gateway is booked. `account` is the sevdesk check account id, where the mode needs one.

    `number` is the account's number in the chart of accounts, for the day the account is made (the adviser names it).
    """

    mode: str
    account: str | None = None
    number: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """What a profile file says of it."""
        said: dict[str, str | None] = {"mode": self.mode, "account": self.account}
        return said if self.number is None else said | {"number": self.number}


@dataclass(frozen=True, slots=True)
class Profile:
    """One version of a merchant's accounting decisions, in force from `effective_from` (UTC)."""

    version: int = 1
    effective_from: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    shop_key: str = "shop"
    country: str = "DE"
    currency: str = "EUR"
    regime: str = "regular"  # regular | small_business
    taxation: str = "soll"  # soll | ist
    oss_from: date | None = None
    timing: str = "tax_point"
    grace_seconds: int = 0
    time_zone: str = "Europe/Berlin"
    shipping_policy: str = "as_charged"
    unshipped: str = "unset"  # what lines without shipping are: electronic | service | service_at_place
    reverse_charge: bool = False  # untaxed sales to German businesses fall under §13b UStG
    tips: str = "unset"  # taxed | staff
    offline_refunds: bool = False  # book refunds on offline accounts, with a sign sevdesk was seen to take once
    split_lines: bool = False  # book parts of one imported line on several documents, as sevdesk was seen to take once
    fee_credits: bool = False  # write fee vouchers with a position below zero, as sevdesk was seen to take once
    vouchers: str = "unset"  # single_purpose | multi_purpose
    voucher_rate: str = "19"  # percent, of single-purpose vouchers
    books_closed_until: date | None = None
    closed_periods: str = "wait"  # wait | today: what becomes of a document that belongs to a closed period (R11)
    go_live: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    draft_only: bool = True
    include_pos: bool = False
    letters: bool = True
    letters_also: tuple[str, ...] = ()  # payment | refund: letters beyond those of documents
    letters_by: str = "us"  # us | sevdesk: whose mail service hands documents over
    letters_from: str = ""  # '' gives the installation's LADENBUCH_MAIL_FROM
    letters_reply_to: str = ""
    letters_bcc: str = ""  # the merchant's archive: gets a copy of each accepted letter
    letters_colour: str = ""
    letters_footer: str = ""  # what the law wants below business letters (§35a GmbHG, §37a HGB)
    letters_account: str = ""  # where buyers are to transfer money to
    letters_texts: Mapping[str, str] = field(default_factory=dict)  # the merchant's own words, see `branding`
    alerts_to: str = ""  # whom the digest of what is wrong goes to
    alerts_language: str = "de"
    write_back: str = "off"  # off | metafields | metafields+tags: what the order in the shop says of its documents
    e_invoices: str = "off"  # off | business: companies in Germany get an e-invoice
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    default_gateway: Gateway | None = None
    providers: Mapping[str, Provider] = field(default_factory=dict)  # gateway -> who asks fees for it
    shop_name: str = ""
    dispatch_days: int | None = 3  # after the payment goods usually leave; None: no month of delivery is promised
    closing_de: str = ""  # the merchant's own last line on documents
    closing_en: str = ""
    debtor: str = "each"  # each | collective: consumers share one contact, businesses never do
    debtor_number: str = ""  # customer number of that contact; '' gives <shop_key>-sammel
    eu_sales: Mapping[str, int] = field(default_factory=dict)  # year -> minor units net, see `sold_before`
    reminders: Reminders = field(default_factory=Reminders)  # of payments that do not come; off by default
    money_back: bool = True  # a transfer sevdesk shows marks the order paid in Shopify
    retry: Mapping[str, Ladder] = field(default_factory=dict)  # of the topics that are not tried again as usual

    @property
    def collective_number(self) -> str:
        """The customer number of the contact all consumers share where `debtor` is collective."""
        return self.debtor_number or f"{self.shop_key}-sammel"

    @property
    def zone(self) -> tzinfo:
        """The accounting time zone; dates on documents are local dates in it."""
        return ZoneInfo(self.time_zone)

    def local_date(self, instant: datetime) -> date:
        """The accounting date of an instant (an order at 23:30 UTC on 31 December belongs to January in Berlin)."""
        return instant.astimezone(self.zone).date()

    def sold_before(self, year: int) -> int:
        """What EU consumers bought in a calendar year before go-live or through other channels, in minor units net."""
        return self.eu_sales.get(str(year), 0)

    def start_of(self, day: date) -> datetime:
        """The first instant of an accounting date, aware UTC."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def gateway(self, name: str | None, *, manual: bool = False) -> Gateway | None:
        """How a gateway is booked, or None when nobody has decided it yet.

        A default never applies to gift cards and store credit; a manual gateway never falls into a clearing account.
        """
        known = self.gateways.get(name or "")
        if known is not None:
            return known
        if name is None or name in LIABILITY_GATEWAYS or self.default_gateway is None:
            return None
        return Gateway("bank") if manual else self.default_gateway

    def settles(self, name: str | None, *, manual: bool = False) -> bool:
        """Whether this version says all there is to say about a gateway: how it is booked, and where."""
        found = self.gateway(name, manual=manual)
        if found is None:
            return False
        return found.account is not None or found.mode in ("bank", "off")

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, version: int = 1) -> Profile:
        """Read a profile file. Raises `Rejected("PROFILE")` that names the field and what it should be."""
        unknown = sorted(set(data) - set(cls.__dataclass_fields__))
        if unknown:
            raise Rejected("PROFILE", f"unknown field {unknown[0]!r}")
        values = dict(data)
        values["version"] = version
        for name in ("effective_from", "go_live"):
            if name in values:
                values[name] = _instant(name, values[name])
        for name in ("oss_from", "books_closed_until"):
            if values.get(name) is not None:
                values[name] = _date(name, values[name])
        gateways = values.get("gateways", {})
        if not isinstance(gateways, Mapping):
            raise Rejected("PROFILE", "gateways must be an object: gateway name -> how it is booked")
        values["gateways"] = {str(name): _gateway(f"gateways.{name}", value) for name, value in gateways.items()}
        if values.get("default_gateway") is not None:
            values["default_gateway"] = _gateway("default_gateway", values["default_gateway"])
        values["providers"] = _providers(values.get("providers", {}))
        values["eu_sales"] = _eu_sales(values.get("eu_sales", {}))
        values["retry"] = _retry(values.get("retry", {}))
        values["reminders"] = reminders_of(values.get("reminders", {}))
        values["letters_also"] = branding.also_of(values.get("letters_also", ()))
        values["letters_texts"] = branding.texts_of(values.get("letters_texts", {}))
        profile = cls(**values)
        profile._check()
        return profile

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads, without the version number."""
        data: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name == "version":
                continue
            if isinstance(value, (datetime, date)):
                value = value.isoformat()
            elif name in ("gateways", "providers", "retry"):
                value = {key: item.as_json() for key, item in value.items()}
            elif name in ("eu_sales", "letters_texts"):
                value = dict(value)
            elif name == "letters_also":
                value = list(value)
            elif isinstance(value, (Gateway, Reminders)):
                value = value.as_json()
            data[name] = value
        return data

    def _check(self) -> None:
        allowed = {
            "regime": ("regular", "small_business"),
            "taxation": ("soll", "ist"),
            "timing": ("tax_point", "fulfilment", "payment", "creation", "manual"),
            "shipping_policy": ("as_charged", "follow_goods"),
            "unshipped": ("unset", "electronic", "service", "service_at_place"),
            "tips": ("unset", "taxed", "staff"),
            "vouchers": ("unset", "single_purpose", "multi_purpose"),
            "voucher_rate": ("19", "7", "0"),
            "debtor": ("each", "collective"),
            "e_invoices": ("off", "business"),
            "closed_periods": ("wait", "today"),
            "write_back": ("off", "metafields", "metafields+tags"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise Rejected("PROFILE", f"{name} must be one of {', '.join(values)}")
        for name, shape, example in (("country", 2, "DE"), ("currency", 3, "EUR")):
            value = getattr(self, name)
            if not isinstance(value, str) or len(value) != shape or not (value.isalpha() and value.isupper()):
                raise Rejected("PROFILE", f"{name} must be a code like {example}")
        if not isinstance(self.shop_name, str):
            raise Rejected("PROFILE", "shop_name must be text")
        number = self.debtor_number
        if not isinstance(number, str) or number != number.strip() or not number.isprintable() or len(number) > 64:
            raise Rejected("PROFILE", "debtor_number must be a customer number of at most 64 characters")
        for name in (
            "draft_only",
            "include_pos",
            "letters",
            "reverse_charge",
            "offline_refunds",
            "split_lines",
            "fee_credits",
            "money_back",
        ):
            if not isinstance(getattr(self, name), bool):
                raise Rejected("PROFILE", f"{name} must be true or false")
        branding.check(self)
        days = self.dispatch_days
        if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= 366):
            raise Rejected("PROFILE", "dispatch_days must be a number of days up to 366, or null")
        for name in ("closing_de", "closing_en"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > 500 or "gutschrift" in text.lower():
                message = f"{name} must be text of at most 500 characters, without the word for self-billing (§14 (2))"
                raise Rejected("PROFILE", message)
        if not isinstance(self.grace_seconds, int) or not 0 <= self.grace_seconds <= 86_400:
            raise Rejected("PROFILE", "grace_seconds must be a number of seconds up to one day")
        if self.timing == "creation" and self.taxation != "ist":
            message = "timing creation needs taxation ist: under soll unpaid orders would be declared (bookkeeping 3.3)"
            raise Rejected("PROFILE", message)
        key = self.shop_key
        if not isinstance(key, str) or not key or not all(char.isalnum() or char in "-_." for char in key):
            raise Rejected("PROFILE", "shop_key must be made of letters, digits, '-', '_' and '.'")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
            raise Rejected("PROFILE", "time_zone must be a name like Europe/Berlin") from error


def profile_at(profiles: Sequence[Profile], instant: datetime) -> Profile:
    """The version in force at an instant: the latest whose `effective_from` is not after it, else the first (P1)."""
    if not profiles:
        raise Rejected("PROFILE", "the tenant has no accounting profile")
    ordered = sorted(profiles, key=lambda profile: (profile.effective_from, profile.version))
    in_force = [profile for profile in ordered if profile.effective_from <= instant]
    return in_force[-1] if in_force else ordered[0]


def closed_until(profiles: Sequence[Profile]) -> date | None:
    """Until which day the books are closed, as the newest version says: closing is no decision of a tax point."""
    return max(profiles, key=lambda profile: profile.version).books_closed_until if profiles else None


def _instant(name: str, value: object) -> datetime:
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise Rejected("PROFILE", f"{name} must be an ISO date and time") from error
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _date(name: str, value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise Rejected("PROFILE", f"{name} must be an ISO date") from error


def _eu_sales(value: object) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise Rejected("PROFILE", "eu_sales must be an object: year -> cents net")
    for year, net in value.items():
        if not re.fullmatch(r"20\d\d", str(year)) or type(net) is not int or net < 0:
            raise Rejected("PROFILE", "eu_sales must name years like 2025 and cents net like 312000")
    return {str(year): net for year, net in value.items()}


def _retry(value: object) -> dict[str, Ladder]:
    if not isinstance(value, Mapping):
        raise Rejected("PROFILE", "retry must be an object: order, letter or event -> seconds and attempts")
    return {str(topic): ladder_of(str(topic), ladder) for topic, ladder in value.items()}


def _providers(value: object) -> dict[str, Provider]:
    if not isinstance(value, Mapping):
        raise Rejected("PROFILE", "providers must be an object: gateway name -> who asks fees for it")
    return {str(name): provider_of(f"providers.{name}", item) for name, item in value.items()}


def _gateway(name: str, value: object) -> Gateway:
    if isinstance(value, str):
        value = {"mode": value}
    if not isinstance(value, Mapping) or value.get("mode") not in MODES:
        raise Rejected("PROFILE", f"{name} must have a mode out of {', '.join(MODES)}")
    unknown = sorted(str(key) for key in value if key not in ("mode", "account", "number"))
    if unknown:
        raise Rejected("PROFILE", f"{name} has an unknown field {unknown[0]!r}")
    account, number = (None if value.get(key) is None else str(value[key]) for key in ("account", "number"))
    return Gateway(str(value["mode"]), account, number)
