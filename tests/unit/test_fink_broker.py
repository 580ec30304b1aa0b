"""FinkBroker in TOM_ALERT_CLASSES, in a TOM with and without `tom_alerts`."""

import os
import subprocess
import sys

import pytest

SETTINGS = """
from fink_tom_site.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, *{more}]
TOM_ALERT_CLASSES = ["tom_fink.fink.FinkBroker"]
"""


def run(tmp_path, more: list[str], code: str) -> str:
    """Run `code` in a process of its own with these settings; what it prints."""
    (tmp_path / "some_tom.py").write_text(SETTINGS.format(more=more))
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{code}"],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "some_tom", "PYTHONPATH": f"{tmp_path}:."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_tom_with_tom_alerts_lists_it(tmp_path):
    """Its pages are tested in tests/db/test_broker.py."""
    printed = run(
        tmp_path,
        ["tom_alerts"],
        "from tom_alerts.alerts import get_service_class, GenericBroker\n"
        "broker = get_service_class('Fink')()\n"
        "assert isinstance(broker, GenericBroker)\n"
        "assert list(broker.fetch_alerts({})) == []\n"
        "print(broker.get_broker_context_data([])['broker_feedback'])\n",
    )
    assert printed == "Say what to search for: an id, a place, a name, a class or tag, dates.<br>\n"


def test_it_imports_in_a_tom_without_tom_alerts(tmp_path):
    assert run(tmp_path, [], "from tom_fink.fink import FinkBroker; print(FinkBroker().name)") == "Fink\n"


def test_the_data_services_have_their_names_here(tmp_path):
    code = (
        "from tom_fink.fink import FinkDataService, FinkRubinDataService, FinkZtfDataService\n"
        "assert issubclass(FinkZtfDataService, FinkDataService)\n"
        "assert issubclass(FinkRubinDataService, FinkDataService)\n"
        "import tom_fink.fink\n"
        "print(hasattr(tom_fink.fink, 'NoSuchService'))\n"
    )
    assert run(tmp_path, [], code) == "False\n"


@pytest.mark.parametrize("more", [[], ["tom_alerts"]])
def test_the_names_of_settings_cost_little(tmp_path, more):
    """Every page that lists brokers imports them in a web worker."""
    code = (
        "import sys, tom_fink.fink\n"
        "names = ('polars', 'jetliner', 'tom_fink.api', 'tom_fink.search', 'tom_fink.store', 'tom_fink.dataservices')\n"
        "print([name for name in names if name in sys.modules])\n"
    )
    assert run(tmp_path, more, code) == "[]\n"


@pytest.mark.parametrize("module", ["tom_fink.views", "tom_fink.urls", "tom_fink.admin", "tom_fink.models"])
def test_a_web_worker_does_not_pay_for_the_client(tmp_path, module):
    """fink-client brings pandas and matplotlib, and reads HOME at import."""
    code = f"import sys, {module}; print(sorted(n for n in sys.modules if n.split('.')[0] in {{'fink_client', 'jetliner'}}))"
    assert run(tmp_path, [], code) == "[]\n"
