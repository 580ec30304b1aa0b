"""Fixtures of the template's tests."""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import MEASURED
from tests.template.baking import ROOT, configuration, needs_history, snapshot

sys.path.append(str(ROOT / "hooks"))  # as the hook does


@pytest.fixture(scope="session")
def repository(tmp_path_factory) -> Path:
    """A git repository of this project as it is now."""
    needs_history()
    return snapshot(tmp_path_factory.mktemp("template") / "living")


@pytest.fixture(scope="session")
def bake(tmp_path_factory) -> Callable[..., Path]:
    """A function from a source and answers to the folder of the new TOM; raises what cookiecutter raises."""
    pytest.importorskip("cookiecutter", reason="cookiecutter is not installed (requirements/dev.txt has it)")
    from cookiecutter.main import cookiecutter

    folder = tmp_path_factory.mktemp("cookiecutter")
    configured = configuration(folder)

    def made(source, output: Path | None = None, **answers) -> Path:
        options = {name: answers.pop(name) for name in ("overwrite_if_exists",) if name in answers}
        output = output or tmp_path_factory.mktemp("baked")
        before = Path.cwd()
        began = time.monotonic()
        try:
            made_in = cookiecutter(
                str(source), no_input=True, extra_context=answers, output_dir=str(output),
                config_file=configured, **options,
            )  # fmt: skip
        finally:
            os.chdir(before)
        made.seconds = time.monotonic() - began
        return Path(made_in)

    return made


@pytest.fixture(scope="session")
def product(repository, bake) -> Path:
    """A TOM with other answers than the defaults."""
    return bake(
        repository, name="TOM of Ulm", slug="ulm_tom", contact="tom@ulm.example", time_zone="Europe/Berlin"
    )


@pytest.fixture
def report(record_property) -> Callable[[str], None]:
    """A function that has a line of what was measured shown at the end of the run."""
    return partial(record_property, MEASURED)
