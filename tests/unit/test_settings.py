"""Settings: named errors, no values in them (S7, S8)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ladenbuch.errors import UsageError
from ladenbuch.settings import Settings

SECRET = "hunter2-very-secret"


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    s = Settings.read({})
    assert s.shopify_url == "https://{shop}"
    assert s.sevdesk_url == "https://my.sevdesk.de/api/v1"
    assert s.ladder_seconds == (2, 10, 60, 300, 1800, 7200)
    assert s.ambiguous_wait_seconds == s.client_timeout_seconds == 10
    assert s.role == "all"
    assert s.database_url is None


def test_variables_are_read_with_their_prefix_only() -> None:
    s = Settings.read(
        {
            "PORT": "1",
            "LADENBUCH_PORT": "9999",
            "LADENBUCH_SHOPIFY_URL": "http://127.0.0.1:9001/{shop}/",
            "LADENBUCH_SMTP_URLS": "smtp://a:b@127.0.0.1:25, smtps://mail.example.org",
            "LADENBUCH_LADDER_SECONDS": "1, 2.5,3",
            "LADENBUCH_CLIENT_TIMEOUT_SECONDS": "3",
            "LADENBUCH_ROLE": "",
            "LADENBUCH_SPECS": "tests use this one",
        }
    )
    assert s.port == 9999
    assert s.shopify_url == "http://127.0.0.1:9001/{shop}"
    assert [u.get_secret_value() for u in s.smtp_urls] == [
        "smtp://a:b@127.0.0.1:25",
        "smtps://mail.example.org",
    ]
    assert s.ladder_seconds == (1, 2.5, 3)
    assert s.ambiguous_wait_seconds == 3, "defaults to the time-out that was set"
    assert s.role == "all", "an empty variable counts as unset"


def test_an_empty_look_up_address_switches_it_off() -> None:
    assert Settings.read({}).vies_url.startswith("https://ec.europa.eu/")
    assert Settings.read({"LADENBUCH_VIES_URL": ""}).vies_url == ""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LADENBUCH_PORT", SECRET),
        ("LADENBUCH_ROLE", SECRET),
        ("LADENBUCH_DATABASE_URL", f"mysql://u:{SECRET}@h/d"),
        ("LADENBUCH_SMTP_URLS", f"http://u:{SECRET}@h"),
        ("LADENBUCH_SHOPIFY_URL", f"https://{{shop}}/{{{SECRET}}}"),
        ("LADENBUCH_SEVDESK_URL", f"ftp://{SECRET}"),
        ("LADENBUCH_VIES_URL", f"ftp://{SECRET}"),
        ("LADENBUCH_VIES_REQUESTER", SECRET),
        ("LADENBUCH_LADDER_SECONDS", f"1,{SECRET}"),
        ("LADENBUCH_LADDER_SECONDS", "1,-2"),
        ("LADENBUCH_EXECUTOR_ID", f"{SECRET} /"),
        ("LADENBUCH_WORKERS", "0"),
    ],
)
def test_s8_a_wrong_value_names_its_variable_and_is_not_printed(variable: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings.read({variable: value})
    assert caught.value.code == "SETTING"
    assert variable in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_s8_every_missing_variable_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        Settings.read({}).require("keys", "mail_from", "smtp_urls", "host")
    assert caught.value.detail["variables"] == [
        "LADENBUCH_KEYS",
        "LADENBUCH_MAIL_FROM",
        "LADENBUCH_SMTP_URLS",
    ]
    Settings.read({"LADENBUCH_KEYS": "k:x"}).require("keys")


def test_s7_secrets_are_never_in_the_repr() -> None:
    s = Settings.read(
        {
            "LADENBUCH_KEYS": f"k1:{SECRET}",
            "LADENBUCH_DATABASE_URL": f"postgresql://u:{SECRET}@h/d",
            "LADENBUCH_SMTP_URLS": f"smtp://u:{SECRET}@h:25",
        }
    )
    assert SECRET not in repr(s)
    assert SECRET not in s.model_dump_json()


def test_settings_are_frozen_and_unknown_fields_refused() -> None:
    with pytest.raises(ValidationError):
        Settings.read({}).port = 1
    with pytest.raises(ValidationError):
        Settings(colour="red")  # type: ignore[call-arg]


def test_every_field_has_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


APP = {
    "LADENBUCH_SHOPIFY_CLIENT_ID": "app",
    "LADENBUCH_SHOPIFY_CLIENT_SECRET": "hush-hush",
    "LADENBUCH_APP_URL": "https://books.example.org/",
}


def test_s7_the_app_is_whole_or_absent_and_its_secret_is_never_shown() -> None:
    """S7, S8: a missing or empty one is named, without the value of any other."""
    whole = Settings.read(APP)
    assert whole.app_url == "https://books.example.org"
    assert "hush" not in repr(whole) and "hush" not in str(whole)
    assert Settings.read({}).shopify_client_id is None
    for name in APP:
        for without in ({key: value for key, value in APP.items() if key != name}, {**APP, name: ""}):
            with pytest.raises(UsageError) as caught:
                Settings.read(without)
            assert name in str(caught.value) and "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://books.example.org", "books.example.org", "https://u@books.example.org", "https://b.example.org/?x=1"],
)
def test_the_address_merchants_come_to_is_one_that_keeps_a_cookie_safe(url: str) -> None:
    with pytest.raises(UsageError, match="LADENBUCH_APP_URL"):
        Settings.read({**APP, "LADENBUCH_APP_URL": url})


def test_scopes_are_names_of_scopes() -> None:
    assert Settings.read({"LADENBUCH_SCOPES": "read_orders, write_orders"}).scopes == ("read_orders", "write_orders")
    for wrong in ("orders", "read_orders write_orders", "read_orders;drop"):
        with pytest.raises(UsageError, match="LADENBUCH_OPTIONAL_SCOPES"):
            Settings.read({"LADENBUCH_OPTIONAL_SCOPES": wrong})
