"""Solar System bodies that the service knows by all their names."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tom_fink.simulate.orbits import Ephemeris
from tom_fink.simulate.sky import Asteroid, packed_designation

_COMET = re.compile(r"\d+[PDI]|[CPDXAI]/\d{4} ?[A-Z]\w*", re.ASCII)


@dataclass
class Body:
    """A body. `name` is what Fink calls it; `ephemeris` of an MJD, for a simulated one."""

    name: str
    number: int | None = None
    packed: str | None = None
    ss_object_id: int | None = None
    ephemeris: Callable[[float], Ephemeris] | None = field(default=None, repr=False)

    @property
    def ssnamenr(self) -> str:
        """ZTF's name of it: the number, or the designation without its blank."""
        return str(self.number or self.name.replace(" ", ""))

    @property
    def keys(self) -> set[str]:
        """All its names, as they are looked up."""
        names = {self.name, self.ssnamenr, self.packed or self.name}
        return {_key(name) for name in names}


class Bodies:
    """Bodies by name."""

    def __init__(self):
        """Know none."""
        self._by_key: dict[str, Body] = {}

    def __iter__(self):
        return iter({id(body): body for body in self._by_key.values()}.values())

    def find(self, name: str) -> Body | None:
        """The body of a number, name or designation, packed or not, with or without blanks."""
        return self._by_key.get(_key(name))

    def add_asteroid(self, source: Asteroid) -> None:
        """Add a simulated body."""
        packed = packed_designation(source.designation)
        self._add(Body(source.designation, source.number, packed, ephemeris=source.ephemeris))

    def add_named(self, ssnamenr: str) -> None:
        """Add the body that a ZTF alert names, unless it is known."""
        if self.find(ssnamenr) is None:
            self._add(Body(ssnamenr, int(ssnamenr) if ssnamenr.isdecimal() else None))

    def add_orbit(self, orbit: dict[str, Any], ss_object_id: int) -> None:
        """Add the body of a Rubin alert's `mpc_orbits`, or its id to the body that is known."""
        packed = orbit["packed_primary_provisional_designation"]
        known = self.find(packed)
        if known is None:
            names = json.loads(orbit["mpc_orb_jsonb"] or "{}").get("designation_data") or {}
            number = names.get("permid")
            name = orbit["unpacked_primary_provisional_designation"] or orbit["designation"] or packed
            known = Body(name, int(number) if str(number).isdecimal() else None, packed)
            self._add(known)
        known.ss_object_id = ss_object_id

    def _add(self, body: Body) -> None:
        self._by_key |= dict.fromkeys(body.keys, body)


def is_comet(name: str) -> bool:
    """Whether a name has the form of a comet's: Fink knows comets, but the simulated sky has none."""
    return _COMET.fullmatch(name) is not None


def ephemeris_columns(place: Ephemeris, magpsf: float | None) -> dict[str, float | None]:
    """Miriade's columns of an ephemeris, and the magnitude at 1 au from the Sun and from the Earth."""
    distances = place.topo_range * place.helio_range
    return {
        "RA": place.ra,
        "DEC": place.dec,
        "Dobs": place.topo_range,
        "Dhelio": place.helio_range,
        "Phase": place.phase_angle,
        "Elong.": place.elongation,
        "i:magpsf_red": None if magpsf is None else magpsf - 5 * math.log10(distances),
    }


def _key(name: str) -> str:
    return "".join(name.split()).lower()
