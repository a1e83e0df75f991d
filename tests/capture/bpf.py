"""Classic BPF as the kernel runs it, for the instructions our filter uses (Linux, networking/filter.rst)."""

from __future__ import annotations

from collections.abc import Sequence

from tioption.capture.packet_filter import Instruction

_MASK = 0xFFFFFFFF
_AUXILIARY = {0xFFFFF000: "protocol", 0xFFFFF004: "pkttype", 0xFFFFF01C: "hatype"}


_NETWORK = 0xFFF00000


def run(program: Sequence[Instruction], octets: bytes, network: int = 14, **auxiliary: int) -> int:  # noqa: C901, PLR0912
    """What the program returns for a frame: octets to keep, 0 where it drops it, as it does past the frame's end.

    `network` is where the kernel has the network header; `auxiliary` are protocol, pkttype and hatype, by default 1.
    """
    a = x = at = 0
    memory: dict[int, int] = {}
    while True:
        code, true, false, k = program[at]
        at += 1
        match code:
            case 0x30 | 0x28 | 0x20 | 0x50 | 0x48 | 0x40:
                if k in _AUXILIARY:
                    a = auxiliary.get(_AUXILIARY[k], 1)
                    continue
                size = {0x10: 1, 0x08: 2, 0x00: 4}[code & 0x18]
                start = (k + (x if code & 0x40 else 0)) & _MASK
                if start >= _NETWORK:
                    start += network - _NETWORK
                if start + size > len(octets):
                    return 0
                a = int.from_bytes(octets[start : start + size], "big")
            case 0x00:
                a = k
            case 0x01:
                x = k
            case 0x60:
                a = memory[k]
            case 0x02:
                memory[k] = a
            case 0x04:
                a = (a + k) & _MASK
            case 0x0C:
                a = (a + x) & _MASK
            case 0x54:
                a &= k
            case 0x64:
                a = (a << k) & _MASK
            case 0x07:
                x = a
            case 0x87:
                a = x
            case 0x05:
                at += k
            case 0x15:
                at += true if a == k else false
            case 0x35:
                at += true if a >= k else false
            case 0x45:
                at += true if a & k else false
            case 0x06:
                return k
            case _:
                raise AssertionError(f"instruction {code:#x}")
