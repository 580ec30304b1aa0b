"""FinkBroker's pages, in a site that has `tom_alerts` installed: another set of apps needs another process."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
from tests.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "tom_alerts"]
TOM_ALERT_CLASSES = ["tom_fink.fink.FinkBroker"]
ROOT_URLCONF = "older_tom_urls"
"""
URLS = """
from django.urls import include, path
from fink_tom_site.urls import urlpatterns
urlpatterns = [path("alerts/", include("tom_alerts.urls", namespace="alerts")), *urlpatterns]
"""


def test_the_pages_of_tom_alerts(tmp_path):
    (tmp_path / "older_tom.py").write_text(SETTINGS)
    (tmp_path / "older_tom_urls.py").write_text(URLS)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "tests/db/broker_pages.py",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
        ],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "older_tom", "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 30
