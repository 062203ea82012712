"""Everything that can be set from outside, in one frozen object, read once at start.

Variables carry the prefix LADENBUCH_. A wrong or missing one ends in UsageError("SETTING"), which names the
variable and never prints its value, because values may be secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ladenbuch.errors import UsageError

PREFIX = "LADENBUCH_"
#: Variables in which nothing is said by saying nothing: set and empty is another wish than unset.
_MAY_BE_EMPTY = frozenset({f"{PREFIX}VIES_URL", f"{PREFIX}SEVDESK_LINK"})


class Settings(BaseSettings):
    """The connector's settings. Make one with `Settings.read()`; pass it on, never import an instance."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    shopify_url: str = Field(
        "https://{shop}",
        description="Where a shop's Admin API is; {shop} is replaced by the shop's domain.",
    )
    shopify_api_version: str | None = Field(
        None, description="Version of Shopify's Admin API, only to outlive one that is no longer served; never latest."
    )
    shopify_client_id: str | None = Field(
        None, description="Client id of the Shopify app that shops install; a tenant may bring its own app instead."
    )
    shopify_client_secret: SecretStr | None = Field(None, description="Client secret of that app.")
    shopify_client_secret_previous: SecretStr | None = Field(
        None, description="The secret it replaces, while Shopify still signs with it."
    )
    app_url: str | None = Field(
        None, description="Where merchants and Shopify reach this connector, for instance https://books.example.org."
    )
    scopes: Annotated[tuple[str, ...], NoDecode] = Field(
        (
            "read_orders",
            "read_customers",
            "read_products",
            "read_payment_terms",
            "read_returns",
            "read_fulfillments",
        ),
        description="Scopes every install asks for, comma separated.",
    )
    optional_scopes: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Scopes a merchant may grant on top, comma separated."
    )
    webhooks_url: str | None = Field(
        None, description="Where Shopify delivers webhooks to; default: /webhooks below the app's address."
    )
    orders_filter: str | None = Field(
        None, description="Only orders whose webhooks meet this search expression are told, e.g. source_name:web."
    )
    partner_url: str = Field(
        "https://partners.shopify.com",
        description="Where the Shopify Partner API is, without a trailing slash.",
    )
    partner_token: SecretStr | None = Field(
        None, description="Access token of a Partner API client that may manage apps; unset: no billing."
    )
    partner_organisation: str | None = Field(
        None, pattern=r"^[0-9]{1,20}$", description="Number of the organisation that owns the app, for billing."
    )
    partner_app: str | None = Field(
        None, pattern=r"^[0-9]{1,20}$", description="Number of the app whose subscriptions entitle shops."
    )
    billing_trial_days: int = Field(14, ge=0, le=365, description="Days a new shop is worked for without a plan.")
    billing_grace_days: int = Field(
        14, ge=1, le=365, description="Days a shop is still worked for after its subscription was first missed."
    )
    billing_plans: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Plans and the orders each includes per cycle, comma separated: basic=100,pro."
    )
    sevdesk_url: str = Field(
        "https://my.sevdesk.de/api/v1", description="Where the sevdesk API is, without a trailing slash."
    )
    vies_url: str = Field(
        "https://ec.europa.eu/taxation_customs/vies/rest-api/check-vat-number",
        description="Where VAT ids are looked up; empty: nowhere, and orders that need an answer wait.",
    )
    vies_requester: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}[A-Z0-9]{2,13}$",
        description="The seller's own VAT id, if all shops are one seller's: then VIES gives a consultation number.",
    )
    smtp_urls: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Mail relays in order of preference, comma separated: smtp://user:password@host:port, or an "
        "account with SendGrid, Mailgun, Amazon SES or Postmark.",
    )
    data_dir: Path = Field(
        Path("data"),
        description="Folder of the SQLite files and locks; created with access for the owner only.",
    )
    database_url: SecretStr | None = Field(
        None, description="postgresql://user:password@host/database; when unset, SQLite in the data folder."
    )
    keys: SecretStr | None = Field(
        None,
        description="Encryption keys as id:base64-of-32-bytes, comma separated; the first one seals.",
    )
    host: str = Field("127.0.0.1", description="Address the web server listens on.")
    port: int = Field(8080, ge=0, le=65535, description="Port the web server listens on; 0 picks a free one.")
    role: Literal["all", "web", "worker"] = Field(
        "all",
        description="Take webhooks and show pages (web), settle orders (worker), or both (all).",
    )
    workers: int = Field(8, ge=1, le=256, description="How many orders are settled at the same time.")
    tenant_workers: int = Field(
        6, ge=1, le=256, description="How many of them may belong to one tenant, over all machines together."
    )
    executor_id: str = Field(
        "main",
        pattern=r"^[A-Za-z0-9_.-]{1,31}$",
        description="Name of this process, shared by no other; on PostgreSQL usually the host's.",
    )
    client_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="How many seconds an outgoing request may take before it is given up."
    )
    ladder_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        (2.0, 10.0, 60.0, 300.0, 1800.0, 7200.0),
        description="Seconds to wait before each further attempt, comma separated; the last one repeats.",
    )
    ambiguous_wait_seconds: float = Field(
        10.0,
        ge=0,
        description="Seconds to wait before looking for a write of unknown outcome; default: the time-out.",
    )
    poll_seconds: float = Field(60.0, gt=0, description="Seconds between two looks for orders nobody told us about.")
    poll_overlap_seconds: float = Field(
        600.0,
        ge=0,
        description="Seconds each look reaches back behind the cursor, so that late rows are seen.",
    )
    alarm_seconds: float = Field(
        300.0, gt=0, description="After how many seconds without a first try an order is an alarm."
    )
    reconcile_seconds: float = Field(
        300.0,
        ge=0,
        description="Seconds between two looks at what changed in sevdesk; every night all is compared. 0: neither.",
    )
    payouts_seconds: float = Field(
        3600.0,
        ge=0,
        description="Seconds between two looks at what Shopify paid out and what follows for the books. 0: none.",
    )
    sevdesk_rate: float = Field(10.0, gt=0, description="Most requests per second to one sevdesk account.")
    feedback_sendgrid: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Verification keys of SendGrid's signed Event Webhook, comma separated."
    )
    feedback_mailgun: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Mailgun's webhook signing keys, comma separated."
    )
    feedback_ses: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="ARNs of the Amazon SNS topics Amazon SES publishes to, comma separated."
    )
    feedback_postmark: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="name:password of Postmark's webhooks (HTTP Basic), comma separated."
    )
    dkim_selectors: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Selectors under which the sender's DKIM keys are published, for `ladenbuch doctor`."
    )
    shared_sender_domains: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Domains more than one seller may send letters from, comma separated."
    )
    sevdesk_link: str = Field(
        "https://my.sevdesk.de/fi/detail/type/RE/id/{id}",
        description="Where an invoice is seen by who may log in to sevdesk, for events and the shop; empty: no link.",
    )
    events_loopback: bool = Field(
        False,
        description="For development alone: events may also go to this machine (http://127.0.0.1:…). Never in use.",
    )
    mail_from: str | None = Field(None, description="Sender of the letters, for instance 'Shop <shop@example.org>'.")
    alerts_to: str | None = Field(
        None,
        pattern=r"^[^\s<>@,;]+@[^\s<>@,;]+\.[^\s<>@,;]{2,}$",
        description="Whom the operator's digest of alarms goes to; without it there is none.",
    )
    alerts_language: Literal["de", "en"] = Field("de", description="The language of that digest.")
    retention_years: int = Field(
        8, ge=8, le=30, description="Years a document's data is kept, from the end of its calendar year."
    )
    inbox_days: float = Field(
        60.0,
        ge=7,
        description="Days the bodies of webhooks are kept, sealed; what they led to is kept as long as it must.",
    )
    stall_seconds: float = Field(
        60.0, gt=0, description="After how many seconds without movement /readyz says that a part stalls."
    )
    traces: bool = Field(
        False, description="Whether runs, calls and letters become OpenTelemetry spans (needs the extra `telemetry`)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="What is logged: debug tells of every call that reads, info of what is done, warning of trouble.",
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="How log lines look: text, json, or auto (text on a terminal, json otherwise)."
    )

    @field_validator(
        "smtp_urls", "ladder_seconds", "scopes", "optional_scopes", "billing_plans", "dkim_selectors",
        "shared_sender_domains", "feedback_sendgrid", "feedback_mailgun", "feedback_ses", "feedback_postmark",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("shopify_url")
    @classmethod
    def _shop_template(cls, value: str) -> str:
        if "{" in value.replace("{shop}", ""):
            raise ValueError("only {shop} may stand in braces")
        return _http_address(value)

    @field_validator("shopify_api_version")
    @classmethod
    def _quarterly(cls, value: str | None) -> str | None:
        if value in ("latest", "unstable"):
            raise ValueError("latest and unstable change under a running connector: name one like the default")
        if value is not None and not re.fullmatch(r"20\d\d-(01|04|07|10)", value, re.ASCII):
            raise ValueError("must be a version of Shopify's API, the year and month of a quarter")
        return value

    @field_validator("partner_url", "sevdesk_url")
    @classmethod
    def _address(cls, value: str) -> str:
        return _http_address(value)

    @field_validator("app_url", "webhooks_url")
    @classmethod
    def _public_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        found = urlsplit(_http_address(value))
        if found.query or found.fragment or found.username is not None or not found.hostname:
            raise ValueError("must be an address without user, query and fragment")
        if found.scheme != "https" and found.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("must start with https:// (the cookie of an installation is sent over TLS only)")
        return value.rstrip("/")

    @field_validator("scopes", "optional_scopes")
    @classmethod
    def _scope_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"(unauthenticated_)?(read|write)_[a-z_]+", scope) for scope in value):
            raise ValueError("each scope looks like read_orders or write_orders")
        return value

    @field_validator("billing_plans")
    @classmethod
    def _plan_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"[^=,]{1,100}(=[0-9]{1,9})?", plan) for plan in value):
            raise ValueError("each plan looks like basic=100 or pro")
        return value

    @field_validator("sevdesk_link")
    @classmethod
    def _link(cls, value: str) -> str:
        if value and (not value.startswith("https://") or value.count("{") != 1 or "{id}" not in value):
            raise ValueError("must start with https:// and hold {id} once")
        return value

    @field_validator("vies_url")
    @classmethod
    def _address_or_nothing(cls, value: str) -> str:
        return _http_address(value) if value else value

    @field_validator("smtp_urls")
    @classmethod
    def _relays(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        known = ("smtp", "smtps", "sendgrid", "mailgun", "ses", "postmark")
        if any(u.get_secret_value().partition("://")[0] not in known for u in value):
            raise ValueError(f"each relay must start with one of {', '.join(f'{name}://' for name in known)}")
        return value

    @field_validator("feedback_ses")
    @classmethod
    def _topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+", topic) for topic in value):
            raise ValueError("each topic looks like arn:aws:sns:eu-central-1:123456789012:letters")
        return value

    @field_validator("feedback_postmark")
    @classmethod
    def _logins(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for login in value:
            name, colon, password = login.get_secret_value().partition(":")
            if not (name and colon and len(password) >= 16):
                raise ValueError("each login is name:password, the password of 16 signs at least")
        return value

    @field_validator("dkim_selectors")
    @classmethod
    def _selectors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,60}[A-Za-z0-9_])?", name) for name in value):
            raise ValueError("each selector is a name in DNS, like s1")
        return value

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        schemes = ("postgresql://", "postgres://", "postgresql+psycopg://")
        if value is not None and not value.get_secret_value().startswith(schemes):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("ladder_seconds")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or any(step <= 0 for step in value):
            raise ValueError("needs at least one positive number of seconds")
        return value

    @model_validator(mode="after")
    def _whole_app(self) -> Settings:
        parts = {name: getattr(self, name) for name in ("shopify_client_id", "shopify_client_secret", "app_url")}
        missing = [f"{PREFIX}{name.upper()}" for name, value in parts.items() if value is None]
        if 0 < len(missing) < len(parts) or (missing and self.shopify_client_secret_previous is not None):
            raise ValueError(f"not set: {', '.join(missing)} (an app needs all three)")
        return self

    @model_validator(mode="after")
    def _whole_partner(self) -> Settings:
        names = ("partner_token", "partner_organisation", "partner_app")
        missing = [f"{PREFIX}{name.upper()}" for name in names if getattr(self, name) is None]
        if 0 < len(missing) < len(names):
            raise ValueError(f"not set: {', '.join(missing)} (billing needs all three)")
        return self

    @model_validator(mode="before")
    @classmethod
    def _wait_as_long_as_the_timeout(cls, values: Any) -> Any:
        # A request we gave up on may still be committed by the other side for about as long as we waited.
        if isinstance(values, dict) and "client_timeout_seconds" in values:
            values = {"ambiguous_wait_seconds": values["client_timeout_seconds"], **values}
        return values

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `read` (or a test) hands in; the process environment is read in one place."""
        return (init_settings,)

    @classmethod
    def read(cls, env: Mapping[str, str] | None = None) -> Settings:
        """The settings of an environment, by default the process's. Empty variables count as unset, but for those
        whose empty value means "off" (LADENBUCH_VIES_URL, LADENBUCH_SEVDESK_LINK).

        Raises UsageError("SETTING") naming every wrong variable, without its value.
        """
        source = EnvSettingsSource(cls, env_prefix=PREFIX)
        given = os.environ if env is None else env
        source.env_vars = {name.lower(): value for name, value in given.items() if value != "" or name in _MAY_BE_EMPTY}
        try:
            return cls(**source())
        except ValidationError as error:
            problems = [f"{_variable(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
            variables = sorted({_variable(e["loc"]) for e in error.errors()})
            # `from None`: pydantic's own text could show the value.
            raise UsageError("SETTING", "; ".join(problems), detail={"variables": variables}) from None

    def require(self, *names: str) -> None:
        """Refuse to go on while a named field is unset; one error names all missing variables.

        Raises UsageError("SETTING").
        """
        missing = [f"{PREFIX}{name.upper()}" for name in names if getattr(self, name) in (None, "", ())]
        if missing:
            raise UsageError("SETTING", f"not set: {', '.join(missing)}", detail={"variables": missing})


def _variable(location: tuple[int | str, ...]) -> str:
    return f"{PREFIX}{str(location[0]).upper()}" if location else f"{PREFIX}*"


def _http_address(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError("must start with https:// (or http:// for a stand-in)")
    return value.rstrip("/")
