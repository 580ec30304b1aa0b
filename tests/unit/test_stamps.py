"""Cutouts to pictures: the files are built here by astropy, an independent writer of FITS."""

import gzip
import io
import random

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from tom_fink import stamps
from tom_fink.errors import FinkError, UnreadableCutout
from tom_fink.packing import MAX_FITS_BYTES


def fits_file(pixels, extra_hdus=()) -> bytes:
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(pixels), *extra_hdus]).writeto(file)
    return file.getvalue()


def ztf_file(pixels) -> bytes:
    """As ZTF writes it: the first card malformed, the whole gzipped."""
    data = fits_file(np.asarray(pixels, dtype=">f4"))
    return gzip.compress(b"SIMPLE  =  T".ljust(80) + data[80:])


def rubin_file(pixels) -> bytes:
    return fits_file(
        np.asarray(pixels, dtype=">f4"),
        [
            fits.ImageHDU(np.ones((30, 30), dtype=">f4"), name="UNCERT"),
            fits.ImageHDU(np.ones((41, 41), dtype=">f8"), name="PSFIMAGE"),
        ],
    )


def picture(stored: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(stamps.stamp_png(stored)))
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image)


@pytest.fixture
def gradient():
    """63×63, darkest in the first row."""
    return np.repeat(np.linspace(10, 900, 63)[:, np.newaxis], 63, axis=1)


def test_ztf_cutout_is_shown_with_its_first_row_at_the_bottom(gradient):
    shown = picture(ztf_file(gradient))
    assert shown.shape == (63 * 4, 63 * 4)
    assert shown[0, 0] == 255
    assert shown[-1, 0] == 0


def test_each_pixel_becomes_a_square():
    pixels = np.zeros((63, 63))
    pixels[0, 0] = 1000
    shown = picture(ztf_file(pixels + np.arange(63) / 1000))
    assert (shown[-4:, :4] == shown[-1, 0]).all()
    assert shown[-1, 0] > shown[-5, 0]


def test_rubin_cutout_shows_the_first_of_three_hdus():
    pixels = np.random.default_rng(1).normal(0, 50, (30, 30))
    pixels[15, 20] = 5000
    shown = picture(rubin_file(pixels))
    assert shown.shape == (120, 120)
    assert (shown[(29 - 15) * 4 : (30 - 15) * 4, 20 * 4 : 21 * 4] == 255).all()


def test_pixels_are_those_that_astropy_reads():
    pixels = np.random.default_rng(2).normal(0, 50, (20, 30)).astype(">f4")
    stored = fits_file(pixels)
    with fits.open(io.BytesIO(stored)) as hdus:
        np.testing.assert_array_equal(stamps.fits_image(stored), hdus[0].data)


def test_scaled_whole_numbers_and_their_blank():
    stored = fits_file(np.array([[1, 2], [3, -99]], dtype=">i2"))
    cards = {"BSCALE": "2.0D0", "BZERO": "10.", "BLANK": "-99"}
    written = "".join(f"{name:8}= {value:>20}".ljust(80) for name, value in cards.items())
    end = stored.index(b"END" + b" " * 77)
    stored = stored[:end] + written.encode() + stored[end : 2880 - len(written)] + stored[2880:]
    np.testing.assert_array_equal(stamps.fits_image(stored), [[12, 14], [16, np.nan]])


def test_pixels_without_a_value_are_black(gradient):
    gradient[10:20, 10:20] = np.nan
    gradient[30, 30] = np.inf
    shown = picture(ztf_file(gradient))
    assert (shown[-80:-40, 40:80] == 0).all()
    assert shown[0, 0] == 255


def test_flat_image_is_grey():
    assert (picture(ztf_file(np.full((63, 63), 5.0))) == 128).all()


def test_largest_doubles_do_not_overflow():
    pixels = np.array([[-1.7e308, 1.7e308], [0.0, 1.0]])
    shown = picture(fits_file(pixels))
    assert shown[-1, 0] == 0
    assert shown[-1, -1] == 255


def hand_made(*cards: tuple[str, object], pixels: bytes = b"") -> bytes:
    """A FITS file whose header says what no writer would."""
    written = [f"{name:8}= {value!s:>20}".ljust(80) for name, value in (("SIMPLE", "T"), *cards)]
    header = "".join([*written, "END".ljust(80)]).encode()
    return header.ljust(-(-len(header) // 2880) * 2880) + pixels


SIDES_OF_4 = (("NAXIS", 2), ("NAXIS1", 4), ("NAXIS2", 4))


@pytest.mark.parametrize("bitpix", [8, 16, 32, 64])
@pytest.mark.parametrize(
    "blank", [9999999999999999999, -9999999999999999999, 2**63, -(2**63), 2**31, 300, -1]
)
def test_a_blank_that_no_pixel_can_have_is_none(bitpix, blank):
    """NumPy 2.1.3 crashes on the comparison, and the whole process with it."""
    pixels = np.arange(1, 17, dtype=f">i{bitpix // 8}").tobytes()
    stored = hand_made(("BITPIX", bitpix), *SIDES_OF_4, ("BLANK", blank), pixels=pixels)
    for _ in range(50):
        assert np.isfinite(stamps.fits_image(stored)).all()


def test_the_largest_picture_is_drawn():
    pixels = np.random.default_rng(3).normal(size=(512, 512)).astype(">f8").tobytes()
    stored = hand_made(("BITPIX", -64), ("NAXIS", 2), ("NAXIS1", 512), ("NAXIS2", 512), pixels=pixels)
    assert picture(stored).shape == (2048, 2048)


GOOD = fits_file(np.zeros((4, 4), dtype=">f4"))


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (b"", "no FITS"),
        (b"<html><script>alert(1)</script></html>", "no FITS"),
        (b"SIMPLE  =                    T".ljust(80) * 3, "no header"),
        (b"\x1f\x8b\x08 not gzip", "broken"),
        (gzip.compress(GOOD)[:-12], "ends early"),
        (b"x" * (MAX_FITS_BYTES + 1), "longer than"),
        (GOOD[:2900], "cut short"),
        (GOOD.replace(b"NAXIS1  =                    4", b"NAXIS1  =     9000000000000000"), "sides"),
        (GOOD.replace(b"NAXIS1  =                    4", b"NAXIS1  =                   -4"), "sides"),
        (GOOD.replace(b"NAXIS1  =                    4", b"NAXIS1  =                  4_0"), "NAXIS1"),
        (GOOD.replace(b"BITPIX  =                  -32", b"BITPIX  =                   99"), "BITPIX"),
        (fits_file(np.zeros((2, 2, 2), dtype=">f4")), "two-dimensional"),
        (fits_file(None), "two-dimensional"),
        (fits_file(np.full((4, 4), np.nan)), "No pixel"),
        (gzip.compress(gzip.compress(b"\0" * 10_000_000)), "no header"),
        (hand_made(("BITPIX", 16), ("NAXIS", 999)), "two-dimensional"),
        (hand_made(("BITPIX", 16), ("NAXIS", "9" * 19)), "two-dimensional"),
        (hand_made(*(("A", 1),) * 5000), "no header"),
        (hand_made(("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 513), ("NAXIS2", 1), pixels=b"x" * 513), "sides"),
        (hand_made(("BITPIX", 8), *SIDES_OF_4, ("BSCALE", "1E999"), pixels=b"x" * 16), "No pixel"),
        (hand_made(("BITPIX", 8), *SIDES_OF_4, ("BZERO", "__import__"), pixels=b"x" * 16), "BZERO"),
        (hand_made(("BITPIX", 8), *SIDES_OF_4, ("BLANK", "9" * 20), pixels=b"x" * 16), "BLANK"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_shown_says_why(stored, said):
    with pytest.raises(UnreadableCutout, match=said) as caught:
        stamps.stamp_png(stored)
    assert isinstance(caught.value, FinkError)
    assert "\n" not in str(caught.value)


def test_damaged_files_never_raise_anything_else():
    chance = random.Random(7)  # noqa: S311 - damage, not secrets
    whole = bytearray(rubin_file(np.arange(900.0).reshape(30, 30)))
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(700)] = chance.choice(b"0123456789-+. =ENDT/\x00\xff")
        try:
            stamps.stamp_png(bytes(damaged[: chance.choice([len(damaged), chance.randrange(len(damaged))])]))
        except UnreadableCutout:
            continue
