"""Every command as a person or a script types it: exit codes 0, 1, 2 and 3, one readable line, never a traceback."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from acceptance.connector import Connector, clean, free_port, ladenbuch, raise_curtain, wait_for
from ladenbuch.bootstrap import utc_now
from ladenbuch.cli.demo import PROFILE, SHOP, TENANT
from ladenbuch.db import Database, Store
from ladenbuch.vault import KeyRing, Vault, generate_key

EXAMPLES = Path(__file__).parents[2] / "docs" / "reference" / "examples"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
#: Every command there is, as docs/reference/cli.md describes them.
COMMANDS = (
    ("serve",),
    ("demo",),
    ("plan",),
    ("apply",),
    ("fetch",),
    ("gql",),
    ("explain",),
    ("replay",),
    ("doctor",),
    ("stop",),
    ("go",),
    ("keys", "generate"),
    ("keys", "rotate"),
    ("tenants", "add"),
    ("tenants", "list"),
    ("tenants", "live"),
    ("tenants", "test"),
    ("tenants", "sevdesk"),
    ("audit", "verify"),
    ("billing", "status"),
    ("billing", "charge"),
    ("webhooks", "toml"),
    ("webhooks", "ensure"),
    ("webhooks", "audit"),
    ("webhooks", "lint"),
    ("simulate", "shopify"),
    ("simulate", "sevdesk"),
    ("simulate", "mail"),
    ("simulate", "vies"),
)
SECRETS = {"sevdesk_token": "s" * 32, "shopify_client_id": "app", "shopify_client_secret": "secret"}


@pytest.fixture
def house(tmp_path: Path) -> dict[str, str]:
    """Settings of an empty data folder whose outside world does not answer."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "profile.json").write_text(json.dumps(PROFILE), encoding="utf-8")
    return {
        "LADENBUCH_DATA_DIR": str(tmp_path / "data"),
        "LADENBUCH_KEYS": generate_key(),
        "LADENBUCH_SHOPIFY_URL": nowhere + "/{shop}",
        "LADENBUCH_SEVDESK_URL": nowhere + "/api/v1",
        "LADENBUCH_CLIENT_TIMEOUT_SECONDS": "1",
    }


def add(house: dict[str, str], tmp_path: Path, *more: str, stdin: str = json.dumps(SECRETS)) -> Any:
    profile = str(tmp_path / "profile.json")
    return ladenbuch("tenants", "add", "--shop", SHOP, "--profile", profile, *more, env=house, stdin=stdin)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


# -- without any setting ------------------------------------------------------------------------------------------


def test_help_names_every_command_and_the_page_describes_each() -> None:
    shown = ladenbuch("--help")
    assert shown.returncode == 0
    page = PAGE.read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f" {command[0]} " in shown.stdout
        assert f"ladenbuch {' '.join(command)}" in page


def test_help_imports_neither_database_nor_http_nor_engine() -> None:
    """`--help` is instant because nothing heavy is imported; a figure in seconds would prove less."""
    code = "import sys; sys.argv = ['ladenbuch', '--help']\nfrom ladenbuch.cli import main\ntry: main()\n"
    code += "except SystemExit: pass\n"
    code += "print({'sqlalchemy', 'httpx2', 'dbos', 'uvicorn', 'pydantic', 'graphql'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=clean({}))
    assert done.stdout.splitlines()[-1] == "set()"


def test_version_is_a_version() -> None:
    done = ladenbuch("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", done.stdout.strip())


def test_unknown_commands_and_options_exit_2() -> None:
    assert ladenbuch("invoice").returncode == 2
    assert ladenbuch("plan", "--ordr", "x").returncode == 2


def test_a_generated_key_is_a_key() -> None:
    first, second = (ladenbuch("keys", "generate").stdout.strip() for _ in range(2))
    assert first != second
    KeyRing.parse(f"{first},{second}")


def test_s49_keys_are_rotated_by_a_command(tmp_path: Path) -> None:
    """The data of an operator who put a new key in front, and then takes the old one out."""
    old, new = generate_key(), generate_key()
    database = Database.open(data_dir=tmp_path)
    database.migrate()
    before = Vault(KeyRing.parse(old), database)
    database.tenant("t1").run(Store.BOOKS, lambda tx: before.put_secret(tx, "t1", "token", "geheim", utc_now()))
    told = []
    for keys in (f"{new},{old}", new):
        env = {"LADENBUCH_DATA_DIR": str(tmp_path), "LADENBUCH_KEYS": keys}
        done = ladenbuch("keys", "rotate", "--json", env=env)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    figures = [(one["data_keys"], one["rows"], one["needed"], one["unreadable"]) for one in told]
    assert figures == [(1, 0, {}, 0), (0, 0, {}, 0)]
    env["LADENBUCH_KEYS"] = old
    done = ladenbuch("keys", "rotate", env=env)
    assert done.returncode == 2
    assert "VAULT-KEY" in one_line(done)
    after = Vault(KeyRing.parse(new), database)
    secret = database.tenant("t1").read(Store.BOOKS, lambda tx: after.get_secret(tx, "t1", "token"))
    assert secret is not None
    assert secret.value == "geheim"
    database.close()


@pytest.mark.parametrize("command", [["tenants", "list"], ["serve"], ["explain", "#1001"]])
def test_a_missing_key_names_the_variable(command: list[str], tmp_path: Path) -> None:
    done = ladenbuch(*command, env={"LADENBUCH_DATA_DIR": str(tmp_path / "data")})
    assert done.returncode == 2
    assert "LADENBUCH_KEYS" in one_line(done)
    assert not (tmp_path / "data").exists()


def test_a_wrong_setting_names_the_variable_and_keeps_its_value_to_itself(tmp_path: Path) -> None:
    done = ladenbuch("serve", env={"LADENBUCH_KEYS": "k1:c2VjcmV0", "LADENBUCH_WORKERS": "many", "LADENBUCH_PORT": "x"})
    assert done.returncode == 2
    assert "LADENBUCH_WORKERS" in one_line(done)
    assert "LADENBUCH_PORT" in done.stderr
    done = ladenbuch("tenants", "list", env={"LADENBUCH_KEYS": "k1:c2VjcmV0", "LADENBUCH_DATA_DIR": str(tmp_path)})
    assert done.returncode == 2
    assert "c2VjcmV0" not in one_line(done)
    assert not list(tmp_path.iterdir())


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = ladenbuch(
        "tenants",
        "list",
        env={"LADENBUCH_KEYS": generate_key(), "LADENBUCH_DATA_DIR": str(tmp_path / "file" / "data")},
    )
    assert done.returncode in (2, 3)
    assert "BUG" not in one_line(done)


# -- plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"\xff\xfe\x00", b"[1]", b"null", b"{}", b'{"order": {"id": 5}}', b"[" * 100_000],
    ids=["empty", "text", "bytes", "list", "null", "object", "half", "deep"],
)
def test_garbage_instead_of_an_order_exits_2_with_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_bytes(content)
    done = ladenbuch("plan", "--order", str(file), "--json")
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done)


@pytest.mark.parametrize(
    ("option", "content"),
    [
        ("--profile", '{"shop_key": 5}'),
        ("--profile", "nonsense"),
        ("--books", '{"documents": [{"key": "inv:1"}]}'),
        ("--books", '{"documents": 5}'),
        ("--books", '{"money_lines": [{"key": "k", "payment": "p", "amount_minor": 1, "value_date": "soon"}]}'),
    ],
)
def test_a_wrong_profile_or_books_file_exits_2_with_one_line(option: str, content: str, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text(content, encoding="utf-8")
    done = ladenbuch("plan", "--order", str(EXAMPLES / "refunded.order.json"), option, str(file))
    assert done.returncode == 2
    one_line(done)


def test_a_missing_file_and_a_wrong_day_exit_2(tmp_path: Path) -> None:
    assert "nowhere.json" in one_line(ladenbuch("plan", "--order", str(tmp_path / "nowhere.json")))
    done = ladenbuch("plan", "--order", str(EXAMPLES / "refunded.order.json"), "--today", "31.12.2026")
    assert done.returncode == 2
    assert "--today" in one_line(done)


def test_the_plan_as_a_table_asks_its_question() -> None:
    done = ladenbuch("plan", "--order", str(EXAMPLES / "export-taxed.order.json"), "--today", "2026-11-20")
    assert done.returncode == 1
    assert "TAX-FOREIGN" in done.stdout
    assert "137.23" in done.stdout


# -- tenants ------------------------------------------------------------------------------------------------------


def test_a_tenant_is_added_once_with_secrets_on_standard_input(house: dict[str, str], tmp_path: Path) -> None:
    done = add(house, tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["draft_only"] is True
    assert "secret" not in done.stdout + done.stderr
    listed = json.loads(ladenbuch("tenants", "list", "--json", env=house).stdout)
    assert [(item["tenant"], item["shop"], item["draft_only"]) for item in listed] == [(TENANT, SHOP, True)]
    again = add(house, tmp_path)
    assert again.returncode == 2
    assert "TENANT-EXISTS" in one_line(again)
    other = add(house, tmp_path, "--tenant", "second")
    assert other.returncode == 2, "one shop cannot have two sets of books"
    assert json.loads(ladenbuch("tenants", "list", "--json", env=house).stdout) == listed
    assert json.loads(ladenbuch("audit", "verify", "--json", env=house).stdout) == {"tenants": 1, "broken": {}}


def test_secrets_may_come_from_the_environment(house: dict[str, str], tmp_path: Path) -> None:
    given = {f"LADENBUCH_TENANT_{name.upper()}": value for name, value in SECRETS.items()}
    assert add(house | given, tmp_path, stdin="").returncode == 0


def test_missing_secrets_are_named_and_nothing_is_written(house: dict[str, str], tmp_path: Path) -> None:
    wrong = {
        "": "LADENBUCH_TENANT_SEVDESK_TOKEN",
        '{"sevdesk_token": "t"}': "shopify_client_id",
        "nonsense": "standard input",
        "[]": "standard input",
    }
    for secrets, named in wrong.items():
        done = add(house, tmp_path, stdin=secrets)
        assert done.returncode == 2
        assert named in one_line(done)
    assert json.loads(ladenbuch("tenants", "list", "--json", env=house).stdout) == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--shop", "shop.example.com"), "myshopify.com"),
        (("--cut-off", "yesterday"), "--cut-off"),
        (("--tenant", "../x"), "tenant"),
    ],
)
def test_a_wrong_argument_is_named(options: tuple[str, str], named: str, house: dict[str, str], tmp_path: Path) -> None:
    done = add(house, tmp_path, *options)
    assert done.returncode == 2
    assert named in one_line(done)


def test_a_bad_profile_is_refused_by_its_field(house: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text('{"gateways": {"paypal": {"mode": "magic"}}}', encoding="utf-8")
    done = add(house, tmp_path)
    assert done.returncode == 2
    assert "gateways.paypal" in one_line(done)


def test_a_tenant_whose_accounts_could_not_be_made_is_finished_by_the_same_command(
    house: dict[str, str], tmp_path: Path
) -> None:
    """sevdesk does not answer: exit 3, and what was written is said and usable afterwards."""
    done = add(house, tmp_path, "--create-accounts")
    assert done.returncode == 3
    assert "SEVDESK" in one_line(done)


def test_stop_and_go_and_unknown_tenants(house: dict[str, str], tmp_path: Path) -> None:
    assert add(house, tmp_path).returncode == 0
    assert ladenbuch("go", env=house).returncode == 1, "nothing was stopped"
    assert ladenbuch("stop", "--tenant", TENANT, "--reason", "stocktaking", env=house).returncode == 0
    checks = json.loads(ladenbuch("doctor", "--json", env=house).stdout)["checks"]
    assert "stocktaking" in next(item["sentence"] for item in checks if item["check"] == f"{TENANT}: writing")
    assert ladenbuch("go", "--tenant", TENANT, env=house).returncode == 0
    for command in (
        ["stop", "--tenant", "nobody"],
        ["tenants", "live", "nobody"],
        ["audit", "verify", "--tenant", "x"],
    ):
        done = ladenbuch(*command, env=house)
        assert done.returncode == 2
        assert TENANT in one_line(done), "the error says which tenants there are"


def test_a_shop_that_does_not_answer_exits_3_and_doctor_1(house: dict[str, str], tmp_path: Path) -> None:
    assert add(house, tmp_path).returncode == 0
    done = ladenbuch("fetch", "gid://shopify/Order/1", env=house)
    assert done.returncode == 3
    one_line(done)
    examined = ladenbuch("doctor", "--json", env=house)
    assert examined.returncode == 1
    bad = {item["check"] for item in json.loads(examined.stdout)["checks"] if not item["ok"]}
    assert {f"{TENANT}: shopify", f"{TENANT}: sevdesk", "mail"} <= bad
    assert ladenbuch("explain", "#1001", env=house).returncode == 1


def test_an_empty_house_is_told_what_comes_first(house: dict[str, str]) -> None:
    done = ladenbuch("doctor", env=house)
    assert done.returncode == 1
    assert "ladenbuch tenants add" in done.stdout


# -- with a shop --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connector]:
    made = raise_curtain(tmp_path_factory.mktemp("cli"), orders=4, seed=3)
    made.start()
    made.play(4, 0.5)
    made.audit()
    yield made
    made.close()


def test_doctor_is_content_with_a_complete_shop(stage: Connector) -> None:
    done = stage.run("doctor")
    assert done.returncode == 0, done.stdout
    assert "MISSING" not in done.stdout


def test_fetch_prints_what_plan_reads(stage: Connector, tmp_path: Path) -> None:
    order = stage.control("shopify", "truth")["orders"][0]["snapshot"]
    by_name = stage.run("fetch", order["name"], "--json")
    assert by_name.returncode == 0, by_name.stderr
    envelope = json.loads(by_name.stdout)
    assert {"order", "transactions", "agreements", "refunds", "fulfillments"} <= set(envelope)
    assert envelope["order"]["id"] == order["id"]
    assert json.loads(stage.run("fetch", order["id"].rsplit("/", 1)[-1], "--json").stdout) == envelope
    file = tmp_path / "order.json"
    file.write_text(by_name.stdout, encoding="utf-8")
    planned = ladenbuch("plan", "--order", str(file), "--json")
    assert json.loads(planned.stdout)["order"] == order["id"]
    assert stage.run("fetch", "#999999").returncode == 2
    assert stage.run("fetch", "gid://shopify/Order/999999").returncode == 1


def test_s120_gql_shows_what_each_field_costs_and_sends_queries_only(stage: Connector, tmp_path: Path) -> None:
    file = tmp_path / "query.graphql"
    file.write_text(
        "query Q($n: Int = 10) { orders(first: $n) { nodes { id customer { id } } } shop { name } }", "utf-8"
    )
    shown = stage.run("gql", str(file), "--debug-cost")
    assert shown.returncode == 0, shown.stderr
    assert [line.split() for line in shown.stdout.splitlines()[:4]] == [
        ["total", "own", "below", "field"],
        ["10", "2", "8", "orders"],
        ["1", "1", "0", "customer"],
        ["1", "1", "0", "shop"],
    ]
    assert "requested 11, predicted 11, actual " in shown.stdout
    told = json.loads(stage.run("gql", str(file), "--debug-cost", "--variables", '{"n": 250}', "--json").stdout)
    assert (told["predicted"], told["requested"]) == (2 + 11 * 2 + 1, 2 + 11 * 2 + 1)
    assert told["fields"][0] == {"path": ["orders"], "own": 2, "children": 22, "total": 24}
    assert "data" not in told, "what was asked for is not shown where only its price was wanted"
    assert json.loads(stage.run("gql", str(file)).stdout)["shop"] == {"name": "Seifenladen"}
    for wrong in ("mutation { tagsAdd(id: 1, tags: []) { node { id } } }", "{ shop {", "{ nothing }"):
        file.write_text(wrong, "utf-8")
        refused = stage.run("gql", str(file))
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) == 1
    assert "nothing" in refused.stderr, "Shopify's own words about one's own query"


def test_explain_tells_the_life_in_order(stage: Connector) -> None:
    paid = next(item for item in stage.control("sevdesk", "state")["invoices"] if item["number"])
    name = paid["note"].split(" / ")[0]
    told = json.loads(stage.run("explain", name, "--json").stdout)
    what = [entry["what"] for entry in told["entries"]]
    assert what.index("heard") < what.index("decided") < what.index("posted") < what.index("mailed")
    text = stage.run("explain", name.removeprefix("#"))
    assert text.returncode == 0
    assert str(paid["number"]) in text.stdout


def test_replay_changes_nothing_that_is_right(stage: Connector) -> None:
    """R7: looking again at a settled order writes nothing."""
    order = stage.control("shopify", "truth")["orders"][0]["snapshot"]
    before = stage.writes()
    asked = stage.run("replay", order["name"], "--json")
    assert (asked.returncode, json.loads(asked.stdout)) == (0, {"wanted": [order["id"]]})
    wait_for("the order to be settled again", stage.idle)
    assert stage.writes() == before
    assert stage.run("replay", "--code", "NO-SUCH-CODE").returncode == 1
    assert stage.run("replay").returncode == 2


def test_a_broken_chain_is_found(stage: Connector) -> None:
    """The chain is broken behind the product's back, in a copy."""
    import shutil
    import sqlite3

    copy = stage.folder / "copy"
    copy.mkdir()
    with sqlite3.connect(stage.folder / "data" / "books.db") as books:
        books.execute("VACUUM INTO ?", (str(copy / "books.db"),))
    shutil.copy(stage.folder / "data" / "inbox.db", copy / "inbox.db")
    env = stage.env | {"LADENBUCH_DATA_DIR": str(copy)}
    assert ladenbuch("audit", "verify", env=env).returncode == 0
    with sqlite3.connect(copy / "books.db") as books:
        table = books.execute("SELECT name FROM sqlite_master WHERE name LIKE 'audit%' AND type = 'table'").fetchone()[
            0
        ]
        for (trigger,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            books.execute(f"DROP TRIGGER {trigger}")
        books.execute(f"UPDATE {table} SET sentence = 'nothing happened' WHERE rowid = 2")
    done = ladenbuch("audit", "verify", env=env)
    assert done.returncode == 1
    assert TENANT in done.stdout


# -- simulators ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "port", "path"),
    [
        ("shopify", ("--orders", "3", "--plan", "standard"), "shopify", "/_control/stats"),
        ("sevdesk", ("--secret", "token"), "sevdesk", "/_control/calls"),
        ("mail", ("--control-port", "0"), "inbox", "/_control/messages"),
        ("vies", ("--invalid", "FR40303265045"), "vies", "/_control/questions"),
    ],
)
def test_a_simulator_alone_starts_answers_and_ends(name: str, options: tuple[str, ...], port: str, path: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ladenbuch", "simulate", name, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean({}),
    )
    try:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        answer = httpx2.get(f"http://127.0.0.1:{ports[port]}{path}", timeout=20, trust_env=False)
        assert answer.status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_port_in_use_is_one_line(stage: Connector) -> None:
    done = ladenbuch("simulate", "sevdesk", "--port", str(stage.port))
    assert done.returncode == 2
    assert str(stage.port) in done.stderr
    done = ladenbuch("serve", "--role", "web", env=stage.env)
    assert done.returncode == 2
    assert str(stage.port) in done.stderr


@pytest.mark.parametrize(
    "wrong", [("simulate", "sevdesk", "--faults", "hail"), ("demo", "--mix", "exotic"), ("serve", "--role", "boss")]
)
def test_an_unknown_choice_exits_2(wrong: tuple[str, ...], house: dict[str, str]) -> None:
    done = ladenbuch(*wrong, env=house)
    assert done.returncode == 2
    assert wrong[-1] in done.stderr
