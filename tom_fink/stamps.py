"""A cutout's FITS bytes to a picture. Bytes come from the network, so every size is bounded.

Fink's cutouts hold their image in the first HDU: ZTF 63×63 float32, gzipped; Rubin 30×30 float32, with
two further HDUs. That HDU is read here and not by astropy: the first card of ZTF's files is malformed
(`SIMPLE  =  T`), which astropy mends with a warning, and hostile bytes make it raise nearly anything.
"""

import io
import math
import re

import numpy as np
from PIL import Image

from tom_fink.errors import UnreadableCutout
from tom_fink.packing import fits_bytes

MAX_SIDE_PIXELS = 512
SCALE = 4

_CARD_BYTES = 80
_BLOCK_BYTES = 2880
_MAX_HEADER_BYTES = 32 * _BLOCK_BYTES
_DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_BLACK_PERCENTILE, _WHITE_PERCENTILE = 1.0, 99.5
_ASINH_SOFTENING = 0.1


def fits_image(data: bytes) -> np.ndarray:
    """The image of the first HDU of a FITS file.

    Returns float64 of shape (NAXIS2, NAXIS1) in the file's own unit, first row at the bottom as FITS has
    it, NaN where a pixel has no value. Raises UnreadableCutout.
    """
    cards, header_bytes = _header(data)
    if _integer(cards, "NAXIS") != 2:
        raise UnreadableCutout("The cutout's first HDU is no two-dimensional image.")
    dtype = _DTYPES.get(_integer(cards, "BITPIX"))
    if dtype is None:
        raise UnreadableCutout("The cutout's BITPIX is not one that FITS knows.")
    width, height = _integer(cards, "NAXIS1"), _integer(cards, "NAXIS2")
    if not (0 < width <= MAX_SIDE_PIXELS and 0 < height <= MAX_SIDE_PIXELS):
        raise UnreadableCutout(f"The cutout's sides are not between 1 and {MAX_SIDE_PIXELS} pixels.")
    if len(data) < header_bytes + width * height * np.dtype(dtype).itemsize:
        raise UnreadableCutout("The cutout's pixels are cut short.")
    stored = np.frombuffer(data, dtype=dtype, count=width * height, offset=header_bytes)
    pixels = stored.astype(np.float64).reshape(height, width)
    if "BLANK" in cards and not dtype.startswith(">f"):
        blank = _integer(cards, "BLANK")
        # NumPy 2.1.3 crashes where it compares an array of the other byte order with a number beyond its type.
        if np.iinfo(dtype).min <= blank <= np.iinfo(dtype).max:
            pixels[stored.reshape(height, width) == blank] = np.nan
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = pixels * _real(cards, "BSCALE", 1.0) + _real(cards, "BZERO", 0.0)
    pixels[~np.isfinite(pixels)] = np.nan
    return pixels


def stamp_png(stored: bytes) -> bytes:
    """The picture of a stored cutout: grey PNG, SCALE screen pixels to a pixel, first row at the bottom.

    The stretch is an inverse hyperbolic sine between two percentiles; a pixel without a value is black.
    Raises UnreadableCutout.
    """
    pixels = fits_image(fits_bytes(stored))
    grey = np.flipud(_stretched(pixels))
    picture = Image.fromarray(np.ascontiguousarray(grey))
    picture = picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST)
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def _stretched(pixels: np.ndarray) -> np.ndarray:
    """Pixels as uint8, 0 black to 255 white."""
    has_value = np.isfinite(pixels)
    if not has_value.any():
        raise UnreadableCutout("No pixel of the cutout has a value.")
    # Half the values keep the differences of the largest doubles finite.
    half = pixels / 2
    black, white = np.percentile(half[has_value], [_BLACK_PERCENTILE, _WHITE_PERCENTILE])
    if not white > black:
        return np.where(has_value, 128, 0).astype(np.uint8)
    with np.errstate(over="ignore"):
        share = np.clip((half - black) / (white - black), 0.0, 1.0)
    light = np.arcsinh(share / _ASINH_SOFTENING) / math.asinh(1 / _ASINH_SOFTENING)
    return np.where(has_value, np.rint(np.nan_to_num(light) * 255), 0).astype(np.uint8)


def _header(data: bytes) -> tuple[dict[str, str], int]:
    """Keywords of the first HDU to the text of their values, and where its pixels begin."""
    cards = {}
    for start in range(0, min(len(data), _MAX_HEADER_BYTES), _CARD_BYTES):
        card = data[start : start + _CARD_BYTES].decode("latin-1")
        keyword = card[:8].rstrip()
        if keyword == "END":
            end = start + _CARD_BYTES
            return cards, math.ceil(end / _BLOCK_BYTES) * _BLOCK_BYTES
        if start == 0 and keyword != "SIMPLE":
            break
        if card[8:10] == "= ":
            cards.setdefault(keyword, card[10:].split("/", 1)[0].strip())
    raise UnreadableCutout("The cutout is no FITS file: it has no header.")


def _integer(cards: dict[str, str], keyword: str) -> int:
    text = cards.get(keyword, "")
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        raise UnreadableCutout(f"The cutout's header has no whole number for {keyword}.")
    return int(text)


def _real(cards: dict[str, str], keyword: str, default: float) -> float:
    text = cards.get(keyword)
    if text is None:
        return default
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([EeDd][+-]?[0-9]{1,3})?", text):
        raise UnreadableCutout(f"The cutout's header has no number for {keyword}.")
    return float(text.upper().replace("D", "E"))
