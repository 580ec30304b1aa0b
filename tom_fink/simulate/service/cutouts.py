"""Cutouts as FITS, PNG or arrays."""

import io
import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tom_fink.packing import fits_bytes
from tom_fink.stamps import fits_image

from .answers import JSON, Answer, Failed, Row, as_json, refused
from .parameters import Parameters
from .rows import served

if TYPE_CHECKING:
    from .catalogue import Alert, Catalogue

KINDS = ("Science", "Template", "Difference")
COLUMNS = tuple(f"b:cutout{kind}_stampData" for kind in KINDS)
STRETCHES = ("sigmoid", "linear", "sqrt", "power", "log")
MAX_ROWS = 200  # with cutouts: an array has some 70 kB


def answer(alert: "Alert", parameters: Parameters, suffix: str) -> Answer:
    """The answer of `cutouts` for an alert; `suffix` ends the names of the arrays."""
    kind, output_format = parameters.text("kind"), parameters.text("output-format", "PNG")
    if kind == "All":
        if "output-format" not in parameters:
            raise Failed("All without a format")
        if output_format != "array":
            raise refused("The option `kind=All` is only compatible with `output-format=array`.\n")
    elif kind not in KINDS:
        raise Failed("no such kind")
    if output_format == "array":
        kinds = KINDS if kind == "All" else (kind,)
        return Answer(200, JSON, as_json({f"b:cutout{one}{suffix}": _array(alert, one) for one in kinds}))
    if output_format == "FITS":
        return Answer(200, "application/octet-stream", fits_bytes(_stamp(alert, kind)))
    if output_format == "PNG":
        return Answer(200, "image/png", _png(fits_image(fits_bytes(_stamp(alert, kind))), parameters))
    raise refused("output-format must be one of: PNG, FITS, or array.\n")


def with_cutouts(
    catalogue: "Catalogue", parameters: Parameters, found: list[Row], default: tuple[str, ...]
) -> list[Row]:
    """Rows of ZTF's with the arrays of their cutouts, if `withcutouts` says so: of MAX_ROWS rows at most."""
    if not parameters.is_true("withcutouts"):
        return found
    kinds = (parameters.text("cutout-kind"),) if "cutout-kind" in parameters else default
    if not set(kinds) <= set(KINDS):
        raise Failed("no such kind")
    alerts = catalogue.tables["ztf"].alerts
    rows = []
    for row in found[:MAX_ROWS]:
        alert = alerts.get(str(row["i:candid"]))
        arrays = {
            f"b:cutout{kind}_stampData": _array(alert, kind)
            if alert and kind in alert.packed_cutouts
            else None
            for kind in kinds
        }
        rows.append(row | arrays)
    return rows + found[MAX_ROWS:]


def _stamp(alert: "Alert", kind: str) -> bytes:
    stamp = alert.cutout(kind)
    if stamp is None:
        raise Failed("the cutout is not kept")
    return stamp


def _array(alert: "Alert", kind: str) -> list[list[float | None]]:
    return [
        [served(value) for value in line] for line in fits_image(fits_bytes(_stamp(alert, kind))).tolist()
    ]


def _png(pixels: np.ndarray, parameters: Parameters) -> bytes:
    """A grey picture, a screen pixel to a pixel. Fink's colour maps and kernels are taken and not used."""
    stretch = parameters.text("stretch", "sigmoid")
    if stretch not in STRETCHES:
        raise Failed("no such stretch")
    values = np.nan_to_num(pixels)
    low, high = parameters.number("pmin", 0.5), parameters.number("pmax", 99.5)
    if not 0 <= low < high <= 100:
        raise Failed("no such percentiles")
    black, white = np.percentile(values, [low, high])
    share = np.clip((values - black) / max(white - black, 1e-12), 0, 1)
    if stretch == "sigmoid":
        share = 1 / (1 + np.exp(-10 * (share - 0.5)))
    elif stretch == "sqrt":
        share = np.sqrt(share)
    elif stretch == "power":
        share = share**2
    elif stretch == "log":
        share = np.log1p(1000 * share) / math.log(1001)
    file = io.BytesIO()
    Image.fromarray(np.uint8(share * 255)).save(file, format="PNG")
    return file.getvalue()
