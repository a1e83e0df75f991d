"""IEEE 802.11 data frames, bare or behind a radiotap header; aggregates (A-MSDU) are taken apart."""

from __future__ import annotations

from typing import Final

from tioption.capture.dissection import Dissection
from tioption.capture.ethernet import llc

_DATA: Final = 2
_QOS, _NULL = 0x8, 0x4  # bits of a data frame's subtype
_TO_DS, _FROM_DS, _PROTECTED, _ORDER = 0x01, 0x02, 0x40, 0x80
_TSFT, _FLAGS, _EXTENDED = 1 << 0, 1 << 1, 1 << 31  # bits of radiotap's first presence word
_FCS_AT_END, _DATA_PAD = 0x10, 0x20


def radiotap(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """A radiotap header, of which the flags matter: does a checksum end the frame, and is its header padded."""
    if not frame.has(at, 8, end, "radiotap header"):
        return
    data = frame.data
    length = int.from_bytes(data[at + 2 : at + 4], "little")
    if data[at] != 0 or length < 8:
        frame.leave("radiotap header malformed")
        return
    if not frame.has(at, length, end, "radiotap header"):
        return
    present = int.from_bytes(data[at + 4 : at + 8], "little")
    field, word = 8, present
    while word & _EXTENDED and field + 4 <= length:
        word = int.from_bytes(data[at + field : at + field + 4], "little")
        field += 4
    if present & _TSFT:
        field = -(-field // 8) * 8 + 8
    flags = data[at + field] if present & _FLAGS and field < length else 0
    if flags & _FCS_AT_END:
        wire_end -= 4
        end = min(end, wire_end)
    _frame(frame, at + length, end, wire_end, padded=bool(flags & _DATA_PAD))


def ieee80211(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """An 802.11 frame without any header before it."""
    _frame(frame, at, end, wire_end, padded=False)


def _frame(frame: Dissection, at: int, end: int, wire_end: int, *, padded: bool) -> None:
    if not frame.has(at, 2, end, "802.11 header"):
        return
    data = frame.data
    kind, subtype, flags = data[at] >> 2 & 3, data[at] >> 4, data[at + 1]
    if kind != _DATA or subtype & _NULL:
        return  # management, control, or data without a body
    header = 24 + 6 * (flags & (_TO_DS | _FROM_DS) == _TO_DS | _FROM_DS)
    aggregate = False
    if subtype & _QOS:
        if not frame.has(at, header + 2, end, "802.11 header"):
            return
        aggregate = bool(data[at + header] & 0x80)
        header += 2 + 4 * bool(flags & _ORDER)
    if padded:
        header = -(-header // 4) * 4
    if flags & _PROTECTED:
        frame.leave("802.11 data that is encrypted")
        return
    if not frame.has(at, header, end, "802.11 header"):
        return
    at += header
    if not aggregate:
        llc(frame, at, end, wire_end)
        return
    while at + 14 <= end:  # addresses and a length before each, padding to 4 octets after all but the last
        length = data[at + 12] << 8 | data[at + 13]
        llc(frame, at + 14, min(end, at + 14 + length), at + 14 + length)
        at += -(-(14 + length) // 4) * 4
