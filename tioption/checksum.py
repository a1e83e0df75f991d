"""The Internet checksum and the one's complement sum below it (RFC 1071)."""

from __future__ import annotations

from typing import Final

ONES: Final = 0xFFFF
"""Sums are taken modulo this: in one's complement all ones are another zero."""


def ones_sum(octets: bytes) -> int:
    """The one's complement sum of the 16-bit words of `octets`, in [0, 65534]; an odd last octet is a word's high half.

    2^16 is 1 modulo 65535, so that the octets read as one number have the same remainder as the sum of their words:
    a single division in C in place of a loop.
    """
    number = int.from_bytes(octets, "big")
    return (number << 8 if len(octets) % 2 else number) % ONES


def checksum(octets: bytes) -> int:
    """The Internet checksum of `octets`, padded by a zero octet where their number is odd."""
    total = ones_sum(octets)
    # Of the two zeros a sum of anything but zeros is the one of all ones (RFC 1071 §2, RFC 1624 §3).
    return ONES - total if total or not any(octets) else 0
