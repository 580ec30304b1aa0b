"""How the FITS file of a cutout is kept: gzipped as ZTF sends it, or by us with Zstandard.

Rubin's cutouts come as they are, and are half as long when packed; to write that half into the database and
its log takes twice as long as to pack it.
"""

import zlib
from typing import Any

from backports import zstd

from tom_fink.errors import UnreadableCutout

MAX_FITS_BYTES = 8 * 1024 * 1024
LEVEL = -1  # 1 takes a quarter longer for the same length, 9 seven times as long for five percent less
# Of what may not be ours: how much memory it asks for, as a power of two. Ours ask for less than that.
WINDOW = {zstd.DecompressionParameter.window_log_max: 23}

_FITS, _GZIP, _ZSTD = b"SIMPLE", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def packed(cutout: bytes) -> bytes:
    """A cutout as it is to be stored: packed if it is a FITS file, else as it is."""
    return zstd.compress(cutout, level=LEVEL) if cutout.startswith(_FITS) else cutout


def fits_bytes(stored: bytes) -> bytes:
    """The FITS file of a stored cutout.

    Raises UnreadableCutout if it is broken or longer than MAX_FITS_BYTES.
    """
    data = stored
    if stored.startswith(_GZIP):
        data = _unpacked(stored, zlib.decompressobj(wbits=31), zlib.error, "gzip")
    elif stored.startswith(_ZSTD):
        data = _unpacked(stored, zstd.ZstdDecompressor(options=WINDOW), zstd.ZstdError, "Zstandard")
    if len(data) > MAX_FITS_BYTES:
        raise UnreadableCutout(f"The cutout is longer than {MAX_FITS_BYTES} bytes.")
    return data


def _unpacked(stored: bytes, unpacker: Any, fault: type[Exception], name: str) -> bytes:
    """Up to one byte more than MAX_FITS_BYTES. Raises UnreadableCutout."""
    try:
        data = unpacker.decompress(stored, MAX_FITS_BYTES + 1)
    except fault as error:
        raise UnreadableCutout(f"The cutout's {name} stream is broken: {error}.") from error
    if len(data) <= MAX_FITS_BYTES and not unpacker.eof:
        raise UnreadableCutout(f"The cutout's {name} stream ends early.")
    return data
