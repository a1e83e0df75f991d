"""Segments as an endpoint sees them: the header's numbers, the options it understands, the payload.

`read` and `write` go between them and the octets in a packet. What is malformed in the option area ends its reading and
nothing else (RFC 9293 MUST-6, MUST-7; LEG-08); a flow option that receivers ignore is not there (OPT-01, OPT-04 …
OPT-06, OPT-10).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, TcpOption, counted_option, walk
from tioption.packet import (
    NOP,
    SACK_PERMITTED,
    Ports,
    TcpHeader,
    mss,
    read_tcp,
    sack,
    timestamps,
    window_scale,
    write_tcp,
)

_MSS, _WINDOW_SCALE, _SACK_PERMITTED, _SACK, _TIMESTAMPS = 2, 3, 4, 5, 8
_FLAG_NAMES: Final = ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (ACK, "."))
_MAX_SHIFT: Final = 14  # RFC 7323 §2.3


class TcpSegment(NamedTuple):
    """One segment; `window` is as it stands in the header, SACK blocks are left and right edges (RFC 2018)."""

    seq: int
    ack: int
    flags: int
    window: int
    payload: bytes = b""
    mss: int | None = None
    window_scale: int | None = None
    sack_permitted: bool = False
    timestamps: tuple[int, int] | None = None
    """TSval and TSecr."""
    sack: tuple[tuple[int, int], ...] = ()
    option: FlowOption | None = None

    @property
    def syn(self) -> bool:
        """Whether SYN is set."""
        return bool(self.flags & SYN)

    @property
    def fin(self) -> bool:
        """Whether FIN is set."""
        return bool(self.flags & FIN)

    @property
    def rst(self) -> bool:
        """Whether RST is set."""
        return bool(self.flags & RST)

    @property
    def has_ack(self) -> bool:
        """Whether ACK is set."""
        return bool(self.flags & ACK)

    @property
    def length(self) -> int:
        """Sequence numbers it takes: its payload, SYN and FIN."""
        return len(self.payload) + self.syn + self.fin

    def __str__(self) -> str:
        flags = "".join(name for bit, name in _FLAG_NAMES if self.flags & bit)
        option = f" {self.option}" if self.option is not None else ""
        return f"[{flags}] seq {self.seq} ack {self.ack} win {self.window} len {len(self.payload)}{option}"


def read(source: bytes, destination: bytes, octets: bytes, kinds: Kinds = DEFAULT_KINDS) -> tuple[Ports, TcpSegment]:
    """Ports and segment from the payload of an IP packet; raises ParseError where it is cut or damaged."""
    ports, header, payload = read_tcp(source, destination, octets)
    return ports, understood(header, payload, kinds)


def understood(header: TcpHeader, payload: bytes, kinds: Kinds = DEFAULT_KINDS) -> TcpSegment:
    """The segment of a header and a payload, with the options that an endpoint understands."""
    segment = TcpSegment(header.seq, header.ack, header.flags, header.window, payload)
    return _with_options(segment, header.options, kinds) if header.options else segment


def _with_options(segment: TcpSegment, area: bytes, kinds: Kinds) -> TcpSegment:
    options = list(walk(area, None, kinds))
    for one in options:
        if one.fault is None:
            segment = _taken(segment, one)
    if segment.flags & (RST | FIN):  # OPT-10
        return segment
    return segment._replace(option=counted_option(options))


def _taken(segment: TcpSegment, one: TcpOption) -> TcpSegment:
    octets, kind, length = one.octets, one.kind, len(one.octets)
    if kind == _TIMESTAMPS and length == 10:
        stamps = int.from_bytes(octets[2:6], "big"), int.from_bytes(octets[6:10], "big")
        return segment._replace(timestamps=stamps)
    if kind == _SACK and length >= 10 and length % 8 == 2:
        edges = [int.from_bytes(octets[at : at + 4], "big") for at in range(2, length, 4)]
        return segment._replace(sack=tuple(zip(edges[::2], edges[1::2], strict=True)))
    if not segment.syn:
        return segment
    if kind == _MSS and length == 4:
        return segment._replace(mss=int.from_bytes(octets[2:4], "big"))
    if kind == _WINDOW_SCALE and length == 3:
        return segment._replace(window_scale=min(octets[2], _MAX_SHIFT))
    if kind == _SACK_PERMITTED and length == 2:
        return segment._replace(sack_permitted=True)
    return segment


def write(ports: Ports, segment: TcpSegment, kinds: Kinds = DEFAULT_KINDS) -> bytes:
    """The octets of a segment, with its checksum; raises ValueError where the options do not fit."""
    header = TcpHeader(segment.seq, segment.ack, segment.flags, segment.window, option_area(segment, kinds))
    return write_tcp(ports, header, segment.payload)


def option_area(segment: TcpSegment, kinds: Kinds = DEFAULT_KINDS) -> bytes:
    """The option area in Linux's order, whose 20 octets leave room for a flow option; every option aligned to 4."""
    return b"".join(_options(segment, kinds))


def _options(segment: TcpSegment, kinds: Kinds) -> Iterator[bytes]:
    if segment.mss is not None:
        yield mss(segment.mss)
    if segment.timestamps is not None:
        yield SACK_PERMITTED if segment.sack_permitted else NOP + NOP
        yield timestamps(*segment.timestamps)
    elif segment.sack_permitted:
        yield NOP + NOP + SACK_PERMITTED
    if segment.window_scale is not None:
        yield NOP + window_scale(segment.window_scale)
    if segment.sack:
        yield NOP + NOP + sack(segment.sack)
    if segment.option is not None:
        yield segment.option.encode(kinds)
