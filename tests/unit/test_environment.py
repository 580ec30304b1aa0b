"""The variables of the site: all of them in .env.example, read as documented, and refused by name."""

import ast
import multiprocessing
import os
import re
import runpy
import stat
import subprocess
import sys
import threading
import traceback
import warnings
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured

from fink_tom_site.environment import (
    PREFIXES,
    VARIABLES,
    Environment,
    emptied,
    kept_secret_key,
)
from fink_tom_site.site import read_site

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / ".env.example"
SETTINGS = str(ROOT / "fink_tom_site" / "settings.py")
COMPOSE_BLOCK = "# --- Compose ---"
COMPOSE = {
    "COMPOSE_PROJECT_NAME": "fink-tom",
    "POSTGRES_PASSWORD": "",
    "PORT": "8000",
    "WEB_CONCURRENCY": "2",
}
# Reads of the environment that are meant: the file, and the names in it ("*": all of it)
READS = {
    "fink_tom_site/demo.py": {"*"},  # for the processes that it starts
    "fink_tom_site/environment.py": {"*"},
    "fink_tom_site/wsgi.py": {"DJANGO_SETTINGS_MODULE"},
    "tom_fink/decoding/process.py": {"*"},  # for the process that it starts
    "tom_fink/kafka/options.py": {"HOME"},  # where finkctl keeps its credentials
}


@pytest.fixture(autouse=True)
def _unset():
    """None of the variables set, and the environment as it was after the test."""
    with mock.patch.dict(os.environ):
        for name in [*os.environ]:
            if name in VARIABLES or name.startswith(PREFIXES):
                del os.environ[name]
        yield


def assignments(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE))


def as_text(default) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ",".join(default)
    return f"{default:g}" if isinstance(default, float) else default


# --- .env.example -----------------------------------------------------------------------------


def test_the_example_lists_every_variable_in_order_with_its_default():
    site, _, _ = EXAMPLE.read_text().partition(COMPOSE_BLOCK)
    expected = {name: as_text(variable.default) for name, variable in VARIABLES.items()}
    assert list(assignments(site).items()) == list(expected.items())


def test_the_example_lists_what_compose_reads_in_a_block_of_its_own():
    _, found, block = EXAMPLE.read_text().partition(COMPOSE_BLOCK)
    assert found
    assert assignments(block) == COMPOSE
    read = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert read - set(VARIABLES) == set(COMPOSE) - {"COMPOSE_PROJECT_NAME"}  # which Compose reads by itself


def test_the_example_works_unchanged():
    environment = Environment(EXAMPLE)
    assert {name: environment(name) for name in VARIABLES} == {
        name: variable.default for name, variable in VARIABLES.items()
    }


def test_each_variable_of_the_example_is_explained_and_its_value_is_plain():
    """Compose takes quotes and comments behind a value for a part of it, and $ for a name."""
    lines = EXAMPLE.read_text().splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if line and not line.startswith("#"):
            assert before.startswith("# "), line
            assert re.fullmatch(r"[A-Z0-9_]+=([^\s\"'#$]([^\"'#$]*[^\s\"'#$])?)?", line), line


def reading_both_surveys():
    """Whatever this site reads."""
    both = replace(read_site(), surveys=("ztf", "lsst"))
    return mock.patch("fink_tom_site.site.read_site", return_value=both)


# --- What is read -----------------------------------------------------------------------------


def test_the_settings_read_every_variable():
    read = set()

    class Watched(Environment):
        def __call__(self, name):
            read.add(name)
            return super().__call__(name)

        def librdkafka(self, prefix):
            read.update(name for name in VARIABLES if name.startswith(prefix))
            return super().librdkafka(prefix)

    os.environ["SECRET_KEY"] = "for this test"
    watched = mock.patch("fink_tom_site.environment.Environment", Watched)
    with watched, reading_both_surveys():
        runpy.run_path(SETTINGS)
    assert read == set(VARIABLES)


def environment_reads(path: Path) -> set[str]:
    """The names that a file takes from os.environ or os.getenv; "*" where it takes more than a name."""
    names = set()
    tree = ast.parse(path.read_text())
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            names |= {"*" for alias in node.names if alias.name in ("environ", "environb", "getenv")}
        if not (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")):
            continue
        around = parents[node]
        if isinstance(around, ast.Attribute):  # os.environ.get
            around = parents[around]
        if isinstance(around, ast.Call) and around.args:
            key = around.args[0]
        else:
            key = around.slice if isinstance(around, ast.Subscript) else None
        names.add(key.value if isinstance(key, ast.Constant) else "*")
    return names


def test_nothing_else_reads_the_environment():
    files = {*ROOT.glob("fink_tom_site/**/*.py"), *ROOT.glob("tom_fink/**/*.py")}
    files.remove(ROOT / "fink_tom_site" / "local_settings.py")  # the owner's
    found = {str(file.relative_to(ROOT)): environment_reads(file) for file in sorted(files)}
    assert {file: names for file, names in found.items() if names} == READS


def test_a_real_variable_wins_over_the_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("TOM_NAME=From the file\nLOG_LEVEL=ERROR\n")
    os.environ["TOM_NAME"] = "Real"
    environment = Environment(file)
    assert (environment("TOM_NAME"), environment("LOG_LEVEL")) == ("Real", "ERROR")


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("text", ["", "  "])
def test_empty_means_the_default(name, text):
    os.environ[name] = text
    assert Environment()(name) == VARIABLES[name].default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DEBUG", "TRUE", True),
        ("DEBUG", "0", False),
        ("FINK_TIMEOUT", "1e2", 100.0),
        ("FINK_TIMEOUT", " 2.5 ", 2.5),
        ("ALLOWED_HOSTS", "tom.example.org, .example.org,", ["tom.example.org", ".example.org"]),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("TOM_THEME", " Dark", "dark"),
        ("TIME_ZONE", "Europe/Paris", "Europe/Paris"),
        ("SECRET_KEY", "$not-a-name,#=", "$not-a-name,#="),
        ("FINK_CREDENTIAL_PASSWORD", r"\$a\nb", r"\$a\nb"),
    ],
)
def test_a_good_value(name, text, value):
    os.environ[name] = text
    assert Environment()(name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FINK_TIMEOUT", "abc"),
        ("FINK_TIMEOUT", "-1"),
        ("FINK_TIMEOUT", "inf"),
        ("FINK_TIMEOUT", "nan"),
        ("FINK_TIMEOUT", "1,5"),
        ("FINK_MAX_POLL_NUMBER", "many"),
        ("DEBUG", "perhaps"),
        ("DEBUG", "2"),
        ("TIME_ZONE", "Mars"),
        ("TIME_ZONE", "../../etc/passwd"),
        ("LOG_LEVEL", "LOUD"),
        ("TOM_THEME", "pink"),
        ("FINK_TARGET_PERMISSION", "SECRET"),
    ],
)
def test_a_bad_value_is_refused_by_name(name, text):
    os.environ[name] = text
    with pytest.raises(ImproperlyConfigured) as caught:
        Environment()(name)
    assert str(caught.value) == f"{name}={text!r} cannot be used: it takes {VARIABLES[name].takes}."


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("DATABASE_URL", "nonsense-hunter2"),
        ("DATABASE_URL", "tom:hunter2@db/tom"),
        ("DATABASE_URL", "//tom:hunter2@db/tom"),
        ("DATABASE_URL", "https://tom:hunter2@db/tom"),
        ("DATABASE_URL", "postgres://tom:hunter2/2@db:5432/tom"),
        ("DATABASE_URL", "postgres://tom:hunter2@db:port/tom"),
        ("DATABASE_URL", "postgres://tom:hunter2@db"),
        ("EMAIL_URL", "nonsense-hunter2"),
        ("EMAIL_URL", "pigeon://tom:hunter2@mail:587"),
        ("EMAIL_URL", "smtp+tls://tom:hunter2/2@mail:587"),
        ("EMAIL_URL", "smtp+tls://tom:[hunter2@mail:587"),
    ],
)
def test_a_bad_address_is_refused_and_its_password_is_told_to_nobody(name, address):
    os.environ[name] = address
    read = Environment().email if name == "EMAIL_URL" else lambda: Environment().database(Path("unused"))
    with (
        warnings.catch_warnings(record=True, action="always") as warned,
        pytest.raises(ImproperlyConfigured) as caught,
    ):
        read()
    assert str(caught.value) == f"{name} cannot be used: it takes {VARIABLES[name].takes}."
    told = [*traceback.format_exception(caught.value), *(str(warning.message) for warning in warned)]
    assert "hunter2" not in "".join(told)


def test_a_bad_variable_ends_a_command_with_one_line():
    given = {
        "DJANGO_SETTINGS_MODULE": "fink_tom_site.settings",
        "SECRET_KEY": "for this test",
        "DATABASE_URL": "postgres://tom:hunter2/2@db:5432/tom",
    }
    run = subprocess.run(
        [sys.executable, ROOT / "manage.py", "check"],
        env=os.environ | dict.fromkeys(VARIABLES, "") | given,
        capture_output=True,
        text=True,
        check=False,
    )
    takes = VARIABLES["DATABASE_URL"].takes
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"Settings: DATABASE_URL cannot be used: it takes {takes}.\n"


# --- librdkafka's settings --------------------------------------------------------------------


def test_librdkafka_s_settings_are_read_by_prefix(tmp_path):
    file = tmp_path / ".env"
    file.write_text("FINK_KAFKA_SSL_CA_LOCATION=/from/the/file\nFINK_LSST_KAFKA_CLIENT_ID=rubin\n")
    os.environ |= {
        "FINK_KAFKA_SECURITY_PROTOCOL": " SASL_SSL ",
        "FINK_KAFKA_SSL_KEY_PASSWORD": r"\$a\nb",
        "FINK_KAFKA_SASL_MECHANISM": " ",
        "FINK_KAFKA_SESSION_TIMEOUT_MS": "60000",
    }
    environment = Environment(file)
    assert environment.librdkafka("FINK_KAFKA_") == {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "/from/the/file",
        "ssl.key.password": r"\$a\nb",
        "session.timeout.ms": "60000",
    }
    assert environment.librdkafka("FINK_LSST_KAFKA_") == {"client.id": "rubin"}


def alert_streams(**variables: str) -> list[dict]:
    """The OPTIONS of both streams with these variables set."""
    os.environ |= variables | {"SECRET_KEY": "for this test"}
    with (
        mock.patch("environ.Env.read_env"),  # a developer's .env
        reading_both_surveys(),
        mock.patch("fink_tom_site.local_settings.change"),  # the owner's
    ):
        settings = runpy.run_path(SETTINGS)
    return [entry["OPTIONS"] for entry in settings["ALERT_STREAMS"]]


def test_both_streams_have_librdkafka_s_settings_and_rubin_s_own_win():
    ztf, lsst = alert_streams(
        FINK_KAFKA_SSL_CA_LOCATION="both.pem", FINK_KAFKA_CLIENT_ID="both", FINK_LSST_KAFKA_CLIENT_ID="rubin"
    )
    assert ztf["KAFKA"] == {"ssl.ca.location": "both.pem", "client.id": "both"}
    assert lsst["KAFKA"] == {"ssl.ca.location": "both.pem", "client.id": "rubin"}


def test_rubin_s_stream_takes_over_the_password_unless_it_logs_in_otherwise():
    ztf, lsst = alert_streams(FINK_CREDENTIAL_PASSWORD="hunter2")
    assert (ztf["PASSWORD"], lsst["PASSWORD"]) == ("hunter2", "hunter2")
    ztf, lsst = alert_streams(FINK_CREDENTIAL_PASSWORD="hunter2", FINK_LSST_KAFKA_SECURITY_PROTOCOL="SSL")
    assert (ztf["PASSWORD"], lsst["PASSWORD"]) == ("hunter2", "")


def test_emptied_variables_keep_the_machine_and_its_file_out(tmp_path):
    file = tmp_path / ".env"
    file.write_text(
        "TOM_NAME=x\n# FINK_KAFKA_NOT=this\nFINK_KAFKA_CLIENT_RACK=x\nexport FINK_LSST_KAFKA_DEBUG=all\n"
    )
    os.environ["FINK_KAFKA_CLIENT_ID"] = "x"
    found = emptied(file)
    assert set(found) == {
        *VARIABLES, "FINK_KAFKA_CLIENT_ID", "FINK_KAFKA_CLIENT_RACK", "FINK_LSST_KAFKA_DEBUG",
    }  # fmt: skip
    os.environ |= found
    environment = Environment(file)
    assert environment.librdkafka("FINK_KAFKA_") == environment.librdkafka("FINK_LSST_KAFKA_") == {}
    assert environment("TOM_NAME") == VARIABLES["TOM_NAME"].default


def test_the_database():
    file = Path("/a folder/100%20 #1?/db.sqlite3")  # not an address: nothing in it is special
    config = Environment().database(file)
    assert config == {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}

    os.environ["DATABASE_URL"] = "postgres://tom:p%40ss%2F@db:5433/name"
    config = Environment().database(file)
    assert config["ENGINE"] == "django.db.backends.postgresql"
    assert [config[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "tom",
        "p@ss/",
        "db",
        5433,
        "name",
    ]


def test_email():
    assert Environment().email()["EMAIL_BACKEND"] == "django.core.mail.backends.console.EmailBackend"
    os.environ["EMAIL_URL"] = "smtp+tls://tom:p%40ss@mail.example.org:587"
    config = Environment().email()
    assert (config["EMAIL_HOST_PASSWORD"], config["EMAIL_PORT"], config["EMAIL_USE_TLS"]) == (
        "p@ss",
        587,
        True,
    )


# --- The secret key ---------------------------------------------------------------------------


def test_the_secret_key_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "state" / "secret_key"
    mask = os.umask(0)
    try:
        key = kept_secret_key(path)
    finally:
        os.umask(mask)
    assert len(key) > 50
    assert kept_secret_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_threads_that_start_together_agree_on_the_key(tmp_path):
    """They have one process number, as the first processes of several containers have."""
    for attempt in range(20):
        path, keys, barrier = tmp_path / str(attempt) / "secret_key", [], threading.Barrier(8)
        threads = [threading.Thread(target=_make_key, args=[path, barrier, keys.append]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert keys == [path.read_text()] * 8
        assert os.listdir(path.parent) == [path.name]


def test_processes_that_start_together_agree_on_the_key(tmp_path):
    path = tmp_path / "secret_key"
    spawn = multiprocessing.get_context("spawn")
    barrier, keys = spawn.Barrier(3), spawn.SimpleQueue()
    processes = [spawn.Process(target=_make_key, args=[path, barrier, keys.put]) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [keys.get() for _ in processes] == [path.read_text()] * 3
    assert os.listdir(tmp_path) == [path.name]


def _make_key(path, barrier, give) -> None:
    barrier.wait(60)
    give(kept_secret_key(path))


def test_a_key_that_cannot_be_kept_leaves_nothing_behind(tmp_path):
    with mock.patch("os.link", side_effect=PermissionError), pytest.raises(PermissionError):
        kept_secret_key(tmp_path / "secret_key")
    assert os.listdir(tmp_path) == []
