"""The codec: one option decoded and encoded by Construct, by hand and by us, then a million at once.

    python -m bench.codec [--runs N] [--options N]

In turns, in one process; medians are told, and ratios turn by turn. Construct interprets the definition of
`tioption/spec.py`; by hand is one call of struct and the arithmetic for 48 bits. Needs numpy.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from struct import Struct
from typing import Final

import numpy as np

from tioption.columns import decode_options, encode_options
from tioption.layout import LENGTH, pack, unpack
from tioption.option import FlowOption
from tioption.spec import FLOW_OPTION

OCTETS: Final = bytes.fromhex("fd140a4530be79bf3b9aca07d41e00000000001f")
OPTION: Final = FlowOption.parse(OCTETS)
VALUES: Final = (OCTETS[0], OPTION.tifid.value, OPTION.tiseq, OPTION.tiack)
BY_HAND: Final = "struct, by hand"
CONSTRUCT: Final = "Construct"

_STRUCT: Final = Struct(">BBHIHIHI")


def unpack_by_hand(octets: bytes) -> tuple[int, int, int, int]:
    """Kind, TIFID, TISeq and TIAck."""
    kind, _, tifid, tifid_low, tiseq, tiseq_low, tiack, tiack_low = _STRUCT.unpack(octets)
    return kind, tifid << 32 | tifid_low, tiseq << 32 | tiseq_low, tiack << 32 | tiack_low


def pack_by_hand(kind: int, tifid: int, tiseq: int, tiack: int) -> bytes:
    """The 20 octets."""
    low = 0xFFFFFFFF
    return _STRUCT.pack(kind, 20, tifid >> 32, tifid & low, tiseq >> 32, tiseq & low, tiack >> 32, tiack & low)


def turns(measured: Mapping[str, tuple[Callable[[], object], int]], runs: int) -> dict[str, list[float]]:
    """Seconds of processor time a call took in each turn, of as many calls as stand beside it."""
    times: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(runs + 1):
        for name, (call, calls) in measured.items():
            start = time.thread_time()
            for _ in range(calls):
                call()
            if turn:  # the first turn fills caches
                times[name].append((time.thread_time() - start) / calls)
    return times


def ratio(times: Mapping[str, list[float]], slower: str, faster: str) -> float:
    """How many times as long as the other one took, turn by turn, as a median."""
    return median(one / other for one, other in zip(times[slower], times[faster], strict=True))


def one(title: str, measured: Mapping[str, tuple[Callable[[], object], int]], runs: int) -> None:
    """Measure one direction of the codec of one option and print it."""
    times = turns(measured, runs)
    print(f"\n{title:32} {'ns':>8} {'of ' + BY_HAND:>18} {'Construct is':>14}")
    for name, values in times.items():
        slower = f"{ratio(times, CONSTRUCT, name):.1f}x"
        print(f"{name:32} {median(values) * 1e9:8.0f} {ratio(times, name, BY_HAND):17.2f}x {slower:>14}")


def many(options: int, runs: int) -> None:
    """Measure the codec of many options and print it, in millions a second."""
    random = np.random.default_rng(1)
    octets = random.integers(0, 256, (options, LENGTH), np.uint8)
    octets[:, 0], octets[:, 1] = OCTETS[:2]
    columns = decode_options(octets)
    assert np.array_equal(encode_options(columns), octets)
    names = decode, encode = "decode_options", "encode_options"
    times = turns({decode: (lambda: decode_options(octets), 1), encode: (lambda: encode_options(columns), 1)}, runs)
    print(f"\n{options:,} options at once")
    for name in names:
        seconds = median(times[name])
        rate = options / seconds / 1e6
        print(f"{name:32} {seconds / options * 1e9:8.1f} ns an option, {rate:.0f} million a second of processor time")


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=31, help="turns (default: 31)")
    parser.add_argument("--options", type=int, default=1_000_000, help="options at once (default: 1,000,000)")
    arguments = parser.parse_args()
    assert unpack_by_hand(OCTETS) == VALUES
    assert pack_by_hand(*VALUES) == OCTETS
    fields = FLOW_OPTION.parse(OCTETS)
    decoders: dict[str, tuple[Callable[[], object], int]] = {
        BY_HAND: (lambda: unpack_by_hand(OCTETS), 5000),
        "layout.unpack": (lambda: unpack(OCTETS), 5000),
        "FlowOption.parse": (lambda: FlowOption.parse(OCTETS), 2000),
        CONSTRUCT: (lambda: FLOW_OPTION.parse(OCTETS), 100),
    }
    encoders: dict[str, tuple[Callable[[], object], int]] = {
        BY_HAND: (lambda: pack_by_hand(*VALUES), 5000),
        "layout.pack": (lambda: pack(*VALUES), 5000),
        "FlowOption.encode": (OPTION.encode, 5000),
        CONSTRUCT: (lambda: FLOW_OPTION.build(fields), 100),
    }
    one("decode one option", decoders, arguments.runs)
    one("encode one option", encoders, arguments.runs)
    many(arguments.options, arguments.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
