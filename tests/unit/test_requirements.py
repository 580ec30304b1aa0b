"""What `make` installs is pinned so that every pip that comes with a supported Python takes it."""

from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parents[2] / "requirements"


@pytest.mark.parametrize("name", ["base.txt", "dev.txt"])
def test_extras_are_pinned_with_their_distribution(name):
    """pip 23.0, which Debian 12 has with its Python 3.11, takes a distribution with an extra for another that has no pin."""
    lines = (FOLDER / name).read_text().splitlines()
    pins = [Requirement(line.rstrip("\\ ")) for line in lines if line and not line.startswith((" ", "#"))]
    extras = {canonicalize_name(pin.name): pin.extras for pin in pins}
    assert extras
    unpinned = {
        f"{pin.name} asks for {wanted}"
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
        for wanted in map(Requirement, requires(pin.name) or ())
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": each}) for each in ("", *pin.extras))
        if not wanted.extras <= extras[canonicalize_name(wanted.name)]
    }
    assert not unpinned
