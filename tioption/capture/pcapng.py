"""pcapng files: sections of either byte order, interfaces with their own link type and clock, packet blocks.

Packets are read from Enhanced (6), Simple (3) and the obsolete Packet (2) blocks; every other block is skipped. Custom
blocks and journal entries carry no packet, but Wireshark numbers them among the frames, and so does this reader
(draft-ietf-opsawg-pcapng).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from tioption.capture.cursor import Cursor
from tioption.capture.record import Record, max_captured

SECTION_HEADER: Final = 0x0A0D0D0A
_INTERFACE, _PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET, _JOURNAL = 1, 2, 3, 6, 9
_CUSTOM, _CUSTOM_DO_NOT_COPY = 0x00000BAD, 0x40000BAD
_NUMBERED: Final = frozenset({_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET, _JOURNAL, _CUSTOM, _CUSTOM_DO_NOT_COPY})
_MAX_BLOCK: Final = 1 << 24  # libpcap's and Wireshark's bound
_MAX_INTERFACES: Final = (
    1 << 16
)  # in a section: more than any machine has, so that no file makes the list grow for ever
_BYTE_ORDERS: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_IF_TSRESOL, _IF_TSOFFSET = 9, 14


class _Interface(NamedTuple):
    link_type: int
    snaplen: int
    units_per_second: int
    offset_seconds: int

    def time_ns(self, high: int, low: int) -> int:
        return (high << 32 | low) * 1_000_000_000 // self.units_per_second + self.offset_seconds * 1_000_000_000


class _Section:
    """The byte order of a section and the interfaces it has described so far."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.interfaces: list[_Interface] = []
        self.word = Struct(f"{order}I").unpack_from
        self.block_header = Struct(f"{order}II").unpack_from
        self.interface_header = Struct(f"{order}HHI").unpack_from
        self.option_header = Struct(f"{order}HH").unpack_from
        self.signed = Struct(f"{order}q").unpack_from
        self.enhanced = Struct(f"{order}IIIII").unpack_from
        self.packet = Struct(f"{order}HHIIII").unpack_from


class _BadBlockError(Exception):
    """A block whose contents contradict themselves; args are expected, found and the octet in the body."""


def records(cursor: Cursor, decoded: frozenset[int]) -> Iterator[Record]:
    """The frames of the file at `cursor`, which stands before a section header block.

    Frames of link types outside `decoded` are yielded without their octets. Raises CaptureError at the first block that
    is not whole.
    """
    section = _Section("<")  # replaced by the first block, which is a section header
    frame = 0
    while cursor.fill(8):
        if cursor.buffer[cursor.position : cursor.position + 4] == b"\x0a\x0d\x0d\x0a":
            section = _Section(_byte_order(cursor, frame + 1))
        kind, total = section.block_header(cursor.buffer, cursor.position)
        frame += kind in _NUMBERED
        here = frame if kind in _NUMBERED else frame + 1
        body = _body(cursor, section, total, here)
        try:
            if kind == _INTERFACE:
                if len(section.interfaces) == _MAX_INTERFACES:
                    raise _BadBlockError(f"at most {_MAX_INTERFACES} interfaces in a section", "one more", 0)
                section.interfaces.append(_interface(section, body))
                continue
            packet = _packet(section, kind, body)
        except _BadBlockError as error:
            expected, found, at = error.args
            raise cursor.error(expected, found, here, cursor.offset - total + 8 + at) from None
        if packet is not None:
            interface, time_ns, captured, length = packet
            data = captured if interface.link_type in decoded else b""
            yield Record(frame, time_ns, interface.link_type, data, length)
    left = len(cursor.buffer) - cursor.position
    if left or cursor.damage is not None:
        raise cursor.error("a block header of 8 octets", f"the end after {left}", frame + 1)


def _byte_order(cursor: Cursor, frame: int) -> str:
    """The byte order that a section header block declares for its section."""
    if not cursor.fill(12):
        raise cursor.error("a byte-order magic", "the end of the file", frame, cursor.offset + 8)
    magic = cursor.buffer[cursor.position + 8 : cursor.position + 12]
    if magic not in _BYTE_ORDERS:
        raise cursor.error("byte-order magic 1a2b3c4d in either order", magic.hex(), frame, cursor.offset + 8)
    return _BYTE_ORDERS[magic]


def _body(cursor: Cursor, section: _Section, total: int, frame: int) -> bytes:
    """The octets of the block between its header and its trailing length; moves past the block."""
    if total < 12 or total % 4 or total > _MAX_BLOCK:
        expected = f"a block length of 12 to {_MAX_BLOCK}, a multiple of 4"
        raise cursor.error(expected, str(total), frame, cursor.offset + 4)
    if not cursor.fill(total):
        left = len(cursor.buffer) - cursor.position
        raise cursor.error(f"a block of {total} octets", f"the end after {left}", frame)
    start = cursor.position
    (trailing,) = section.word(cursor.buffer, start + total - 4)
    if trailing != total:
        expected = f"the block length {total} again at the block's end"
        raise cursor.error(expected, str(trailing), frame, cursor.offset + total - 4)
    cursor.position = start + total
    return cursor.buffer[start + 8 : start + total - 4]


def _interface(section: _Section, body: bytes) -> _Interface:
    """What an interface description block says of link type, snapshot length and clock."""
    if len(body) < 8:
        raise _BadBlockError("an interface description of 8 octets", str(len(body)), 0)
    link_type, _, snaplen = section.interface_header(body)
    units_per_second, offset_seconds = 1_000_000, 0
    for code, value, at in _options(section, body, 8):
        if code == _IF_TSRESOL and len(value) == 1:
            exponent = value[0] & 0x7F
            units_per_second = 2**exponent if value[0] & 0x80 else 10**exponent
        elif code == _IF_TSOFFSET and len(value) == 8:
            (offset_seconds,) = section.signed(value)
        elif code in {_IF_TSRESOL, _IF_TSOFFSET}:
            raise _BadBlockError("an if_tsresol of 1 or an if_tsoffset of 8 octets", str(len(value)), at)
    return _Interface(link_type, snaplen, units_per_second, offset_seconds)


def _options(section: _Section, body: bytes, at: int) -> Iterator[tuple[int, bytes, int]]:
    """Code, value and octet of each option from `at` to the end of the body or opt_endofopt."""
    while at + 4 <= len(body):
        code, length = section.option_header(body, at)
        if code == 0:
            return
        if at + 4 + length > len(body):
            raise _BadBlockError(f"{length} octets of option {code}", f"the block's end after {len(body) - at - 4}", at)
        yield code, body[at + 4 : at + 4 + length], at
        at += 4 + -(-length // 4) * 4


def _packet(section: _Section, kind: int, body: bytes) -> tuple[_Interface, int | None, bytes, int] | None:
    """Interface, time, captured octets and length on the wire of a packet block; None for any other block."""
    time_ns: int | None = None
    if kind == _ENHANCED_PACKET:
        _need(body, 20, "an enhanced packet block")
        index, high, low, captured, length = section.enhanced(body)
        start = 20
    elif kind == _PACKET:
        _need(body, 20, "a packet block")
        index, _, high, low, captured, length = section.packet(body)
        start = 20
    elif kind == _SIMPLE_PACKET:
        _need(body, 4, "a simple packet block")
        (length,) = section.word(body)
        index, high, low, captured, start = 0, 0, 0, -1, 4
    else:
        return None
    if index >= len(section.interfaces):
        raise _BadBlockError(f"one of the section's {len(section.interfaces)} interfaces", f"interface {index}", 0)
    interface = section.interfaces[index]
    if captured < 0:  # a simple packet block does not say it
        captured = min(length, interface.snaplen or length)
    else:
        time_ns = interface.time_ns(high, low)
    if captured > max_captured(interface.link_type):
        raise _BadBlockError(f"a frame of at most {max_captured(interface.link_type)} octets", str(captured), 0)
    if start + captured > len(body):
        raise _BadBlockError(f"{captured} octets of the frame", f"the block's end after {len(body) - start}", start)
    return interface, time_ns, body[start : start + captured], length


def _need(body: bytes, octets: int, what: str) -> None:
    if len(body) < octets:
        raise _BadBlockError(f"{what} of at least {octets} octets", str(len(body)), 0)
