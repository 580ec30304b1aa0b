"""FITS stamps of simulated alerts: a Gaussian star on noise, with the same bytes for the same alert."""

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np

_BLOCK = 2880  # FITS files are made of blocks of this many bytes
ZTF_SIZE, ZTF_ARCSEC_PER_PIXEL = 63, 1.01
RUBIN_SIZE, RUBIN_ARCSEC_PER_PIXEL, RUBIN_PSF_SIZE = 30, 0.2, 41
_NOISE_FRAMES = 24
_GZIP = 31  # wbits with which zlib writes a gzip header, without the time or the name of a file


@dataclass(frozen=True)
class Scene:
    """What stamps show; fluxes and their error in the unit of the image, widths in pixels.

    `number` picks the noise. `reference_width` is the Gaussian width of what the reference image holds.
    """

    number: int
    difference: float
    reference: float
    flux_err: float
    psf_width: float
    reference_width: float


@cache
def _noise(size: int) -> np.ndarray:
    """Standard normal noise, shape (_NOISE_FRAMES, size, size): drawn once, as drawing takes long."""
    return np.random.default_rng(1).standard_normal((_NOISE_FRAMES, size, size), dtype=np.float32)


def _star(size: int, width: float, dx: float = 0.0, dy: float = 0.0) -> np.ndarray:
    """Gaussian of unit sum, shape (size, size), `dx`, `dy` pixels off the middle."""
    pixels = np.arange(size) - (size - 1) / 2
    x = np.exp(-0.5 * ((pixels - dx) / width) ** 2)
    y = np.exp(-0.5 * ((pixels - dy) / width) ** 2)
    return np.outer(y, x) / (2 * np.pi * width**2)


def _images(scene: Scene, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """(science, template, difference) of shape (size, size), and the variance of a science pixel."""
    # A PSF fit weighs 4 pi width^2 pixels of equal noise (its "effective area").
    pixel_noise = scene.flux_err / np.sqrt(4 * np.pi) / scene.psf_width
    noise = _noise(size) * pixel_noise
    dx, dy = (scene.number % 7 - 3) / 10, (scene.number % 11 - 5) / 15
    star = scene.difference * _star(size, scene.psf_width, dx, dy)
    template = scene.reference * _star(size, scene.reference_width)
    frame = scene.number % _NOISE_FRAMES
    difference = star + noise[frame]
    template_noise = 0.2 * noise[(frame + 7) % _NOISE_FRAMES]
    return template + difference, template + template_noise, difference, float(pixel_noise**2)


def _header(cards: list[tuple[str, object]]) -> bytes:
    """FITS header of fixed-format cards (FITS standard 4.0, section 4.2), padded to whole blocks."""
    lines = []
    for key, value in cards:
        if isinstance(value, bool):
            text = f"{'T' if value else 'F':>20}"
        elif isinstance(value, str):
            text = f"'{value:<8}'"
        elif isinstance(value, float):
            text = f"{value:>#20.12G}"
        else:
            text = f"{value:>20}"
        lines.append(f"{key:<8}= {text}".ljust(80))
    lines.append("END".ljust(80))
    return _padded("".join(lines).encode("ascii"), b" ")


def _padded(data: bytes, filler: bytes = b"\0") -> bytes:
    return data + filler * (-len(data) % _BLOCK)


def _image_cards(bits: int, size: int) -> list[tuple[str, object]]:
    return [("BITPIX", bits), ("NAXIS", 2), ("NAXIS1", size), ("NAXIS2", size)]


@cache
def _ztf_header() -> bytes:
    header = _header([("SIMPLE", True), *_image_cards(-32, ZTF_SIZE), ("BUNIT", "DN")])
    # ZTF's stamps have their first card in free format, which strict readers refuse: so have these.
    return b"SIMPLE  =  T".ljust(80) + header[80:]


def ztf_stamps(scene: Scene) -> tuple[bytes, bytes, bytes]:
    """Gzipped FITS (science, template, difference), 63 x 63 float32 DN without WCS, as ZTF cuts them."""
    stamps = []
    for image in _images(scene, ZTF_SIZE)[:3]:
        # Sixteenths of the noise lose nothing to see, and compress to half the size.
        step = scene.flux_err / scene.psf_width / 64
        coarse = (np.round(image / step) * step).astype(">f4")
        fits = _ztf_header() + _padded(coarse.tobytes())
        stamps.append(zlib.compress(fits, level=1, wbits=_GZIP))
    return tuple(stamps)


@cache
def _rubin_tail_headers() -> tuple[bytes, bytes]:
    extension = [("PCOUNT", 0), ("GCOUNT", 1)]
    variance = [*extension, ("UTYPE", "VarianceUncertainty"), ("EXTNAME", "UNCERT")]
    psf = [*extension, ("EXTNAME", "PSFIMAGE")]
    return (
        _header([("XTENSION", "IMAGE"), *_image_cards(-32, RUBIN_SIZE), *variance]),
        _header([("XTENSION", "IMAGE"), *_image_cards(-64, RUBIN_PSF_SIZE), *psf]),
    )


def _rubin_header(ra: float, dec: float, rotation: float) -> bytes:
    """Header of the image, with Rubin's linear WCS: no CTYPE, rotated by `rotation` degrees."""
    scale = RUBIN_ARCSEC_PER_PIXEL / 3600
    cosine, sine = scale * float(np.cos(np.radians(rotation))), scale * float(np.sin(np.radians(rotation)))
    return _header(
        [
            ("SIMPLE", True),
            *_image_cards(-32, RUBIN_SIZE),
            ("EXTEND", True),
            ("ROTPA", rotation),
            ("BUNIT", "nJy"),
            ("WCSAXES", 2),
            ("CRPIX1", (RUBIN_SIZE + 1) / 2),
            ("CRPIX2", (RUBIN_SIZE + 1) / 2),
            ("PC1_1", -cosine),
            ("PC1_2", sine),
            ("PC2_1", sine),
            ("PC2_2", cosine),
            ("CDELT1", 1.0),
            ("CDELT2", 1.0),
            ("CRVAL1", ra),
            ("CRVAL2", dec),
        ]
    )


def rubin_stamps(scene: Scene, ra: float, dec: float, rotation: float) -> tuple[bytes, bytes, bytes]:
    """FITS (science, template, difference) in nJy, centred on `ra`, `dec` (degrees).

    Each has three images: data and variance (30 x 30 float32) and the PSF (41 x 41 float64).
    """
    *images, variance = _images(scene, RUBIN_SIZE)
    primary = _rubin_header(ra, dec, rotation)
    variance_header, psf_header = _rubin_tail_headers()
    psf = _padded(_star(RUBIN_PSF_SIZE, scene.psf_width).astype(">f8").tobytes())
    variances = _padded(np.full((RUBIN_SIZE, RUBIN_SIZE), variance, dtype=">f4").tobytes())
    tail = variance_header + variances + psf_header + psf
    return tuple(primary + _padded(image.astype(">f4").tobytes()) + tail for image in images)
