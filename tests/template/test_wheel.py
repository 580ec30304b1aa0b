"""The app as a wheel, in a TOM that tom_setup has made: it brings all that it needs, and works there."""

import json
import os
import re
import subprocess
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.services.needs import wait_until
from tests.template.baking import ROOT, git

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]
TOPIC = "fink_sn_candidates_ztf"
API = ("FINK_API_ZTF_URL", "FINK_API_LSST_URL")
LOOK = """
import json
import re
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from tom_fink.cutouts import with_cutouts
from tom_fink.models import Alert, FinkObject, Topic, TopicAlert
from tom_targets.models import Target
client = Client()
client.force_login(User.objects.create_superuser("pi"))
seen, cutouts = with_cutouts(Alert.objects.exclude(target=None))[0]
found = seen.fink_object
topic = f"/fink/topics/{TopicAlert.objects.filter(fink_object=found).first().topic.name}/"
addresses = [
    "/", "/fink/", "/fink/status/", topic,
    f"/targets/{found.target_id}/", f"/fink/targets/{found.target_id}/",
    f"/fink/targets/{found.target_id}/lightcurve.json", f"/fink/alerts/{seen.pk}/{cutouts[0].kind.value}.png",
]

def post(name, data):
    page = client.post(reverse(f"dataservices:{name}"), data, follow=True, headers={"host": "localhost"})
    return page.content.decode()

def found_again(service, ids):
    # An object whose target was deleted is found, and is a target again when its row is chosen
    wanted = FinkObject.objects.filter(**ids).first()
    Target.objects.filter(pk=wanted.target_id).delete()
    results = post("create", {"data_service": service, "what": wanted.object_id, "n": 100})
    token = re.search(r'name="selected_results" value="([^"]+)"', results)
    if wanted.object_id not in results or token is None:
        return [wanted.object_id, results[-2000:]]
    chosen = {"data_service": service, "query_id": "", "selected_results": token[1], "fink_chosen": "0"}
    post("create-target", chosen)
    return FinkObject.objects.filter(survey=wanted.survey, object_id=wanted.object_id).exclude(target=None).exists()

answers = {address: client.get(address, headers={"host": "localhost"}) for address in addresses}
print(json.dumps({
    "alerts": Alert.objects.count(),
    "topics": list(Topic.objects.values_list("name", flat=True)),
    "status": {address: answer.status_code for address, answer in answers.items()},
    "found": {
        "Fink ZTF": found_again("Fink ZTF", {"survey": "ztf", "object_id__startswith": "ZTF"}),
        "Fink Rubin": found_again("Fink Rubin", {"survey": "lsst", "object_id__regex": r"^\\d+$"}),
    },
    "named": found.object_id in answers[topic].content.decode(),
}))
"""


def run(folder: Path, *command, typed: str = "", **environment: str) -> str:
    """What a command prints, with none of this repository's code and variables in reach."""
    ran = subprocess.run(
        [str(part) for part in command], cwd=folder, env=clean(folder) | environment, input=typed, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{' '.join(map(str, command))}\n{ran.stdout[-5000:]}"
    return ran.stdout


def clean(folder: Path) -> dict[str, str]:
    unset = (
        "DJANGO_SETTINGS_MODULE",
        "DATABASE_URL",
        "SECRET_KEY",
        "TEST_DATABASE",
        "PYTHONPATH",
        "PYTHONHOME",
    )
    kept = {name: text for name, text in os.environ.items() if name not in unset}
    kept = {name: text for name, text in kept.items() if not name.startswith(("FINK_", "PYTEST_"))}
    return kept | {"HOME": str(folder)}


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The Python of a new environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def wheel(repository, python, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(python, "wheel", "--no-deps", "--wheel-dir", str(folder), str(repository))
    (found,) = folder.glob("*.whl")
    return found


def pip(python: Path, *arguments: str) -> None:
    """Run pip with this user's own configuration and cache."""
    ran = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
        env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-5000:]


@pytest.fixture(scope="module")
def tom(wheel, python, tmp_path_factory) -> Path:
    """A TOM as tom_setup makes it, with what docs/howto/existing-tom.md says; its tables are made."""
    folder = tmp_path_factory.mktemp("stock")
    # The versions that this project is tested with, without their hashes: the wheel has none
    pins = re.findall(
        r"(?m)^([\w.-]+(?:\[.*?\])?==\S+(?: ; [^\\\n]+)?)", (ROOT / "requirements/base.txt").read_text()
    )
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(re.sub(r"\[.*?\]", "", pin).strip() for pin in pins))
    pip(python, "install", "--constraint", str(constraints), str(wheel))

    run(folder, python, "-m", "django", "startproject", "stock_tom")
    tom = folder / "stock_tom"
    settings = tom / "stock_tom" / "settings.py"
    settings.write_text(
        settings.read_text().replace("INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'tom_setup',")
    )
    run(tom, python, "manage.py", "tom_setup", typed="y\n\n1\n\n\n\n\n")
    assert "TOMTOOLKIT_INSTALLED_APPS" in settings.read_text()
    told = re.search(
        r"^ALERT_STREAMS = \[.*?^\]", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )[0]
    with settings.open("a") as file:
        file.write('\nimport os\nINSTALLED_APPS = [*INSTALLED_APPS, "tom_fink", "tom_alertstreams"]\n')
        file.write(f"{told}\n")
        for name in API:
            file.write(f'{name} = os.getenv("{name}", "")\n')
    run(tom, python, "manage.py", "migrate", "--verbosity", "0")
    return tom


def test_the_wheel_has_the_app_and_nothing_else(wheel, repository):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = message_from_bytes(archive.read(metadata))
    assert names == set(git(repository, "ls-files", "tom_fink").splitlines())
    assert {"tom_fink/templates/tom_fink/topics.html", "tom_fink/static/tom_fink/fink.css"} <= names
    assert "tom_fink/migrations/0001_initial.py" in names
    needed = {re.match(r"[\w-]+", line)[0]: line for line in told.get_all("Requires-Dist")}
    site = {name for name, line in needed.items() if "extra" in line}
    assert site == {"django-environ", "gunicorn", "whitenoise"}
    assert {"django", "tomtoolkit", "tom-alertstreams", "confluent-kafka", "polars"} <= needed.keys() - site


def test_the_site_s_packages_are_not_asked_of_it(tom, python):
    installed = json.loads(run(tom, python, "-m", "pip", "list", "--format", "json"))
    names = {package["name"].lower().replace("_", "-") for package in installed}
    assert "fink-tom" in names
    assert not names & {"gunicorn", "whitenoise", "django-environ"}


def test_nothing_is_missing_there(tom, python):
    run(tom, python, "manage.py", "check", "--fail-level", "WARNING", "--tag", "models", "--tag", "urls")
    assert "No changes" in run(tom, python, "manage.py", "makemigrations", "tom_fink", "--check", "--dry-run")
    for file in ("fink.css", "lightcurve.js"):
        where = run(tom, python, "manage.py", "findstatic", f"tom_fink/{file}", "--verbosity", "0")
        assert "site-packages" in where


@contextmanager
def simulated(tom: Path, python: Path) -> Iterator[dict[str, str]]:
    """The addresses of a mock cluster with a night's alerts, as `cluster`, and of the REST services of that sky."""
    log = tom / "stream.log"
    command = [
        str(python), "manage.py", "simulate_alerts", "--mock", "--serve-api", "0", "--nights", "1", "--count", "60", "--rate", "100", "--start",
        "2026-03-22T04:00:00Z",
    ]  # fmt: skip
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, cwd=tom, env=clean(tom), stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            address = re.compile(r"^(?:mock (cluster) at |(FINK_API_\w+)=)(\S+)\n", re.MULTILINE)
            wait_until(
                lambda: process.poll() is not None or len(address.findall(log.read_text())) == 3,
                log.read_text,
            )
            yield {cluster or name: found for cluster, name, found in address.findall(log.read_text())}
        finally:
            process.terminate()


def test_the_stream_is_read_and_the_pages_show_it(tom, python):
    with simulated(tom, python) as addresses:
        variables = {
            "FINK_CREDENTIAL_URL": addresses["cluster"], "FINK_CREDENTIAL_USERNAME": "observer",
            "FINK_CREDENTIAL_GROUP_ID": "stock", "FINK_TOPIC": "fink_*", "FINK_MAX_POLL_NUMBER": "60",
            "FINK_TIMEOUT": "5", "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1",
        } | {name: addresses[name] for name in API}  # fmt: skip
        run(tom, python, "manage.py", "readstreams", "--check", **variables)
        run(tom, python, "manage.py", "readstreams", **variables)
        told = run(tom, python, "manage.py", "shell", "--verbosity", "0", "-c", LOOK, **variables)
    shown = json.loads(told.strip().splitlines()[-1])
    assert shown["alerts"] > 20
    assert TOPIC in shown["topics"]
    assert set(shown["status"].values()) == {200}, shown["status"]
    assert shown["named"]
    assert shown["found"] == {"Fink ZTF": True, "Fink Rubin": True}
