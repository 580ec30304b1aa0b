"""The image and the compose project, built and run as an operator would: .env.example as .env, then up."""

import html
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fink_tom_site.environment import VARIABLES
from fink_tom_site.site import read_site

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT.parent / "shared" / "docker" / "prepare.sh"  # gives a machine without Docker an engine
APP_SERVICES = ("migrate", "web", "readstreams")


@dataclass
class Project:
    """A compose project under a name of its own, in a copy of the tree."""

    folder: Path
    name: str
    compose: list[str]
    environment: dict[str, str]
    port: int

    def run(self, *command: str, check: bool = True) -> str:
        """What the command prints; its errors too if it fails."""
        ran = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert not check or ran.returncode == 0, (
            f"{' '.join(command)}\n{ran.stdout[-8000:]}\n{ran.stderr[-8000:]}"
        )
        return ran.stdout

    def do(self, *arguments: str, check: bool = True) -> str:
        return self.run(*self.compose, "-p", self.name, *arguments, check=check)

    def container(self, service: str) -> str:
        label = f"label=com.docker.compose.project={self.name}"
        service = f"label=com.docker.compose.service={service}"
        return self.run("docker", "ps", "-aq", "--filter", label, "--filter", service).strip()

    def inspect(self, service: str) -> dict:
        return json.loads(self.run("docker", "inspect", self.container(service)))[0]

    def get(self, path: str) -> tuple[int, str, str]:
        """Status, type and text of a page; status 0 where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, "", ""
        except OSError:
            return 0, "", ""

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for the condition; past the deadline, fail with the services' logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds:.0f} s\n{self.do('logs', '--tail', '50')}")
            time.sleep(0.25)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Project]:
    """The project, built and up; nothing of it is left behind."""
    environment = docker_environment()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = f"finktomtest{secrets.token_hex(4)}"
    project = Project(tmp_path_factory.mktemp("tree"), name, compose_command(environment), environment, port)
    copy_tree(project.folder)
    example = (project.folder / ".env.example").read_text()
    (project.folder / ".env").write_text(re.sub(r"^PORT=.*$", f"PORT={port}", example, flags=re.MULTILINE))
    # An image of its own, or the tests would replace the one that a developer runs
    (project.folder / "docker-compose.override.yml").write_text(
        json.dumps({"services": {service: {"image": name} for service in APP_SERVICES}})
    )
    try:
        project.do("up", "-d", "--build")
        yield project
    finally:
        project.do("down", "-v", "--remove-orphans", "-t", "5", check=False)
        project.run("docker", "rmi", "-f", name, check=False)


def docker_environment() -> dict[str, str]:
    """The environment in which `docker` reaches an engine; skips where there is none.

    Where CI=true and there is a script that starts one, none is a failure, with what the script said.
    """
    # What this shell has set must not win over the project's .env.
    ours = {
        *VARIABLES,
        *("COMPOSE_PROJECT_NAME", "POSTGRES_PASSWORD", "PORT", "WEB_CONCURRENCY", "DJANGO_SETTINGS_MODULE"),
    }
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {"DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1"}
    if ENGINE.is_file():
        environment["PATH"] += ":/usr/sbin:/sbin"  # where the engine is, which not every user's PATH has
        script = f". {os.path.relpath(ENGINE, ROOT)} >&2; env -0"
        prepared = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if prepared.returncode == 0:
            environment = dict(line.split("=", 1) for line in prepared.stdout.rstrip("\0").split("\0"))
    for reason, command in {
        "docker is not installed": ("docker", "--version"),
        "no Docker engine answers": ("docker", "info"),
    }.items():
        if not works(environment, *command):
            if ENGINE.is_file() and os.environ.get("CI", "").lower() in ("true", "1"):
                pytest.fail(f"{reason}: {prepared.stderr[-3000:]}\n{ends_of_logs(environment)}")
            pytest.skip(reason)
    return environment


def ends_of_logs(environment: dict[str, str]) -> str:
    """What is beside the engine's socket of logs: its own, and those of how it was installed."""
    folder = Path(environment.get("DOCKER_HOST", "").removeprefix("unix://")).parent
    logs = sorted(folder.glob("*.log"))
    return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs)


def compose_command(environment: dict[str, str]) -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        if works(environment, *command, "version"):
            return command
    pytest.skip("neither docker compose nor docker-compose is installed")


def works(environment: dict[str, str], *command: str) -> bool:
    try:
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def copy_tree(folder: Path) -> None:
    """What a commit of the tree as it is now would hold: a developer's own .env and state stay out."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def test_the_site_answers(project):
    project.until(lambda: project.get("/")[0] == 200, 90)
    for path in ("/", "/fink/"):
        status, kind, text = project.get(path)
        assert (status, kind) == (200, "text/html; charset=utf-8")
        assert html.escape(read_site().name) in text


def test_static_files_are_served(project):
    project.until(lambda: project.get("/fink/")[0] == 200, 90)
    sheets = re.findall(r'href="(/static/[^"?]+\.css)', project.get("/fink/")[2])
    assert sheets
    for sheet in sheets:
        status, kind, text = project.get(sheet)
        assert (sheet, status, kind) == (sheet, 200, 'text/css; charset="utf-8"')
        assert text


def test_the_web_service_becomes_healthy(project):
    project.until(lambda: project.inspect("web")["State"]["Health"]["Status"] == "healthy", 120)


def test_migrate_has_ended_well(project):
    state = project.inspect("migrate")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)


def test_without_credentials_the_reader_says_so_and_waits(project):
    project.until(lambda: "No stream is active" in project.do("logs", "readstreams"), 90)
    log = project.do("logs", "readstreams")
    variables = {"ztf": "FINK_CREDENTIAL_URL", "lsst": "FINK_LSST_CREDENTIAL_URL"}
    for survey in read_site().surveys:
        assert f"The {survey.upper()} stream is inactive: set {variables[survey]}" in log
    assert "Traceback" not in log
    container = project.inspect("readstreams")
    assert (container["State"]["Status"], container["RestartCount"]) == ("running", 0)


def test_only_the_site_is_published_and_only_on_this_machine(project):
    published = {
        service: project.inspect(service)["HostConfig"]["PortBindings"] or {}
        for service in ("db", "web", "readstreams")
    }
    assert published == {
        "db": {},
        "readstreams": {},
        "web": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(project.port)}]},
    }


def test_the_services_run_without_rights(project):
    for service in ("web", "readstreams"):
        assert project.do("exec", "-T", service, "id", "-u").strip() == "1000"
        host = project.inspect(service)["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)


def test_the_services_share_one_secret_key(project):
    read = ["stat -c '%a %U' state/secret_key; cat state/secret_key"]
    web, reader = (project.do("exec", "-T", service, "sh", "-c", *read) for service in ("web", "readstreams"))
    assert web == reader
    assert web.startswith("600 tom\n")


def test_what_searches_found_is_the_site_s_alone(project):
    """TOM Toolkit's cache is a folder of pickles, which who may write there may have run."""
    put = "from django.core.cache import cache; cache.set('found', 1); print(cache.get('found'))"
    assert (
        project.do("exec", "-T", "web", "python", "manage.py", "shell", "-v", "0", "-c", put).strip() == "1"
    )
    assert project.do("exec", "-T", "web", "stat", "-c", "%a %U", "state/cache").strip() == "700 tom"


def test_the_site_has_the_cutouts_that_the_reader_keeps(project):
    keep = (
        "import polars as pl; from tom_fink.conf import cutout_file; from tom_fink.cutoutfile import KINDS, PLACE; "
        "row = ('ztf', 'ZTF26a', 1, 'ztf', '7', b'pixels', None, None); "
        "cutout_file().keep(pl.DataFrame([row], schema=[*PLACE, *KINDS], orient='row'), {})"
    )
    look = (
        "from tom_fink.conf import cutout_file; "
        "print(cutout_file().image('ztf', '7', 'science', ('ztf', 'ZTF26a')))"
    )
    project.do("exec", "-T", "readstreams", "python", "manage.py", "shell", "-c", keep)
    found = project.do("exec", "-T", "web", "python", "manage.py", "shell", "-c", look)
    assert found.strip().endswith("b'pixels'")


def test_what_is_in_the_image(project):
    """The code and nothing that belongs to the developer; only state/ and data/ can be written."""
    script = (
        "import json, os, pathlib\n"
        "app = pathlib.Path('/app')\n"
        "print(json.dumps({'top': sorted(os.listdir(app)), 'uid': os.getuid(), 'home': os.environ['HOME'],\n"
        "  'hidden': [str(p) for p in app.rglob('.*')], 'tests': [str(p) for p in app.rglob('test*')],\n"
        "  'kept': os.listdir(app / 'state') + os.listdir(app / 'data'),\n"
        "  'writable': sorted(str(p) for p in [app, *app.rglob('*')] if os.access(p, os.W_OK)),\n"
        "  'packages': os.access('/opt/venv/lib', os.W_OK)}))"
    )
    found = json.loads(project.run("docker", "run", "--rm", project.name, "python", "-c", script))
    assert set(found.pop("top")) - {"templates"} == {
        "_static",
        "custom_code",
        "data",
        "fink_tom_site",
        "manage.py",
        "requirements",
        "state",
        "tom_fink",
    }
    assert found == {
        "uid": 1000,
        "home": "/home/tom",
        "hidden": [],
        "tests": [],
        "kept": [],
        "writable": ["/app/data", "/app/state"],
        "packages": False,
    }


def test_the_image_holds_no_secret_key(project):
    """The one that collectstatic gets is in no layer of the image and in no service."""
    history = project.run("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", project.name)
    assert "SECRET_KEY" not in history
    image = json.loads(project.run("docker", "image", "inspect", project.name))[0]
    assert not [line for line in image["Config"]["Env"] if line.startswith("SECRET_KEY")]
    assert "SECRET_KEY=" in project.inspect("web")["Config"]["Env"]  # empty: the kept one counts


def test_up_again_changes_nothing(project):
    before = [project.container(service) for service in ("db", "web", "readstreams")]
    project.do("up", "-d")
    assert [project.container(service) for service in ("db", "web", "readstreams")] == before
    project.until(lambda: project.inspect("migrate")["State"]["Status"] == "exited", 60)
    assert project.inspect("migrate")["State"]["ExitCode"] == 0


def test_a_service_that_dies_comes_back(project):
    project.until(lambda: project.get("/")[0] == 200, 90)
    restarts = project.inspect("web")["RestartCount"]
    project.do("exec", "-T", "web", "sh", "-c", "kill -9 -1", check=False)
    project.until(lambda: project.inspect("web")["RestartCount"] == restarts + 1, 30)
    project.until(lambda: project.get("/")[0] == 200, 90)


def test_the_reader_stops_in_time(project):
    project.until(lambda: "No stream is active" in project.do("logs", "readstreams"), 90)
    container = project.container("readstreams")
    begin = time.monotonic()
    project.run("docker", "stop", "--time", "30", container)
    took = time.monotonic() - begin
    state = project.inspect("readstreams")["State"]
    project.run("docker", "start", container)
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)
    assert took < 10
