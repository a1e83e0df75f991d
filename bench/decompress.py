"""What decompressing a file costs with the module that `tiopt` uses, in one piece after the other: the limit for it."""

from __future__ import annotations

import sys
import zlib

with open(sys.argv[1], "rb") as file:  # noqa: PTH123
    if sys.argv[1].endswith(".gz"):
        gunzip = zlib.decompressobj(wbits=31)
        while octets := file.read(1 << 16):
            gunzip.decompress(octets)
    else:
        if sys.version_info >= (3, 14):
            from compression.zstd import ZstdDecompressor
        else:
            from backports.zstd import ZstdDecompressor
        unzstd = ZstdDecompressor()
        while octets := file.read(1 << 16):
            unzstd.decompress(octets)
