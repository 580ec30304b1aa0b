"""Cutouts packed and unpacked, those that are none of ours too."""

import gzip
import io
import random

import numpy as np
import pytest
from astropy.io import fits

from tom_fink.errors import UnreadableCutout
from tom_fink.packing import MAX_FITS_BYTES, fits_bytes, packed, zstd

GOOD = b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800) + bytes(range(256)) * 90


def image(pixels: np.ndarray) -> bytes:
    """A FITS file by astropy, an independent writer."""
    file = io.BytesIO()
    fits.PrimaryHDU(pixels).writeto(file)
    return file.getvalue()


def test_a_rubin_cutout_is_shorter_and_comes_back_byte_for_byte():
    sent = image(np.random.default_rng(1).normal(size=(30, 30)).astype(">f4"))
    assert len(packed(sent)) < 0.8 * len(sent)
    assert fits_bytes(packed(sent)) == sent


@pytest.mark.parametrize("sent", [gzip.compress(GOOD), b"no FITS at all", b"", zstd.compress(GOOD)])
def test_what_is_no_fits_file_is_kept_as_it_is(sent):
    assert packed(sent) == sent


@pytest.mark.parametrize("stored", [GOOD, gzip.compress(GOOD), zstd.compress(GOOD)])
def test_the_file_is_the_same_however_it_is_kept(stored):
    assert fits_bytes(stored) == GOOD


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, bytes])
def test_a_file_of_the_largest_size_is_unpacked_and_no_longer_one(pack):
    assert len(fits_bytes(pack(b"\0" * MAX_FITS_BYTES))) == MAX_FITS_BYTES
    with pytest.raises(UnreadableCutout, match="longer than"):
        fits_bytes(pack(b"\0" * (MAX_FITS_BYTES + 1)))


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_what_follows_the_first_file_is_not_unpacked(pack):
    assert fits_bytes(pack(GOOD) + pack(b"\0" * 100_000_000)) == GOOD


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_stream_that_ends_early_or_is_damaged_is_told(pack):
    stored = pack(GOOD)
    with pytest.raises(UnreadableCutout, match="ends early"):
        fits_bytes(stored[:-5])
    chance = random.Random(4)  # noqa: S311
    refused = 0
    for _ in range(300):
        damaged = bytearray(stored)
        damaged[chance.randrange(2, len(stored))] ^= 1 << chance.randrange(8)
        try:
            fits_bytes(bytes(damaged))
        except UnreadableCutout:
            refused += 1
    assert refused


def test_a_file_that_asks_for_much_memory_is_refused():
    """The window of a Zstandard frame is memory that it may ask for: 128 MB here."""
    options = {zstd.CompressionParameter.window_log: 27}
    greedy = zstd.ZstdCompressor(options=options)
    stored = greedy.compress(GOOD) + greedy.flush()
    with pytest.raises(UnreadableCutout, match="Zstandard stream is broken"):
        fits_bytes(stored)
