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
from tioption.capture.record import INTERFACE, Record, max_captured

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

    def packed(self) -> bytes:
        """The interface as the C walker takes it, without units where its clock is not for 64 bits."""
        offset_ns = self.offset_seconds * 1_000_000_000
        usual = self.units_per_second < 1 << 64 and -(1 << 63) <= offset_ns < 1 << 63
        clock = (self.units_per_second, offset_ns) if usual else (0, 0)
        return INTERFACE.pack(self.link_type, 0, *clock)


class _Section:
    """The byte order of a section and the interfaces it has described so far."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.interfaces: list[_Interface] = []
        self.packed = bytearray()
        self.word = Struct(f"{order}I").unpack_from
        self.block_header = Struct(f"{order}II").unpack_from
        self.interface_header = Struct(f"{order}HHI").unpack_from
        self.option_header = Struct(f"{order}HH").unpack_from
        self.signed = Struct(f"{order}q").unpack_from
        self.enhanced = Struct(f"{order}IIIII").unpack_from
        self.packet = Struct(f"{order}HHIIII").unpack_from

    def add(self, interface: _Interface) -> None:
        """Append the interface of the next number."""
        if len(self.interfaces) == _MAX_INTERFACES:
            raise _BadBlockError(f"at most {_MAX_INTERFACES} interfaces in a section", "one more", 0)
        self.interfaces.append(interface)
        self.packed += interface.packed()


class _BadBlockError(Exception):
    """A block whose contents contradict themselves; args are expected, found and the octet in the body."""


class PcapngFile:
    """The frames of the file at `cursor`, which stands before a section header block.

    Frames of link types outside `decoded` are yielded without their octets.
    """

    header_octets = 0  # of a pcap record; by it the C walker knows that this is no pcap file
    unit = 0

    def __init__(self, cursor: Cursor, decoded: frozenset[int]) -> None:
        """Read nothing yet: a section header block comes first."""
        self.cursor = cursor
        self.frame = 0
        self.at = 0
        self._decoded = decoded
        self._section = _Section("<")  # replaced by the first block

    @property
    def order(self) -> str:
        """The byte order of the section, as struct names it."""
        return self._section.order

    @property
    def interfaces(self) -> bytes | bytearray:
        """The section's interfaces so far, as the C walker takes them."""
        return self._section.packed

    def needed(self) -> int:
        """Octets of the next block, or of its header as long as that does not lie ahead.

        0 where the length is none, or is in a byte order that is not known yet.
        """
        cursor = self.cursor
        if cursor.ahead < 8:
            return 8
        kind, total = self._section.block_header(cursor.buffer, cursor.position)
        return total if kind != SECTION_HEADER and _is_length(total) else 0

    def steps(self) -> Iterator[Record | None]:
        """The blocks from where the file stands: the frame of one, None for a block that has none.

        `frame` is the number of the last frame, `at` where it begins in the buffer. Raises CaptureError at the first
        block that is not whole.
        """
        cursor = self.cursor
        while cursor.fill(8):
            if cursor.octets(cursor.position, cursor.position + 4) == b"\x0a\x0d\x0d\x0a":
                self._section = _Section(_byte_order(cursor, self.frame + 1))
            section = self._section
            kind, total = section.block_header(cursor.buffer, cursor.position)
            self.frame += kind in _NUMBERED
            here = self.frame if kind in _NUMBERED else self.frame + 1
            body = _body(cursor, section, total, here)
            try:
                if kind == _INTERFACE:
                    section.add(_interface(section, body))
                packet = _packet(section, kind, body)
            except _BadBlockError as error:
                expected, found, at = error.args
                raise cursor.error(expected, found, here, cursor.offset - total + 8 + at) from None
            if packet is None:
                yield None
                continue
            interface, time_ns, start, captured, length = packet
            self.at = cursor.position - total + 8 + start
            data = body[start : start + captured] if interface.link_type in self._decoded else b""
            yield Record(self.frame, time_ns, interface.link_type, data, length)
        left = cursor.ahead
        if left or cursor.damage is not None:
            raise cursor.error("a block header of 8 octets", f"the end after {left}", self.frame + 1)


def _byte_order(cursor: Cursor, frame: int) -> str:
    """The byte order that a section header block declares for its section."""
    if not cursor.fill(12):
        raise cursor.error("a byte-order magic", "the end of the file", frame, cursor.offset + 8)
    magic = cursor.octets(cursor.position + 8, cursor.position + 12)
    if magic not in _BYTE_ORDERS:
        raise cursor.error("byte-order magic 1a2b3c4d in either order", magic.hex(), frame, cursor.offset + 8)
    return _BYTE_ORDERS[magic]


def _is_length(total: int) -> bool:
    return 12 <= total <= _MAX_BLOCK and total % 4 == 0


def _body(cursor: Cursor, section: _Section, total: int, frame: int) -> bytes:
    """The octets of the block between its header and its trailing length; moves past the block."""
    if not _is_length(total):
        expected = f"a block length of 12 to {_MAX_BLOCK}, a multiple of 4"
        raise cursor.error(expected, str(total), frame, cursor.offset + 4)
    if not cursor.fill(total):
        left = cursor.ahead
        raise cursor.error(f"a block of {total} octets", f"the end after {left}", frame)
    start = cursor.position
    (trailing,) = section.word(cursor.buffer, start + total - 4)
    if trailing != total:
        expected = f"the block length {total} again at the block's end"
        raise cursor.error(expected, str(trailing), frame, cursor.offset + total - 4)
    cursor.position = start + total
    return cursor.octets(start + 8, start + total - 4)


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


def _packet(section: _Section, kind: int, body: bytes) -> tuple[_Interface, int | None, int, int, int] | None:
    """Interface, time, where in the body the frame is, its octets there and on the wire; None for any other block."""
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
    return interface, time_ns, start, captured, length


def _need(body: bytes, octets: int, what: str) -> None:
    if len(body) < octets:
        raise _BadBlockError(f"{what} of at least {octets} octets", str(len(body)), 0)
