"""Captures cut in pieces, as `tcpdump -C` cuts them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

HEADER = 24


def packets(capture: bytes) -> list[bytes]:
    found, at = [], HEADER
    while at < len(capture):
        end = at + 16 + int.from_bytes(capture[at + 8 : at + 12], "little")
        found.append(capture[at:end])
        at = end
    return found


def time_of(frame: bytes) -> tuple[bytes, bytes]:
    return frame[3::-1], frame[7:3:-1]


def cut(capture: bytes, cuts: Iterable[int], folder: Path) -> list[Path]:
    """The capture in pieces, each with the header."""
    frames = packets(capture)
    paths = []
    for number, (begin, end) in enumerate(pairwise([0, *cuts, len(frames)])):
        paths.append(folder / f"{number}.pcap")
        paths[-1].write_bytes(capture[:HEADER] + b"".join(frames[begin:end]))
    return paths
