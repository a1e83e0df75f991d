"""A TCP segment as a capture holds it: the frame's octets and where in them the header lies.

Values are read from the frame when asked for, so that a segment costs little until someone wants more of it (RFC 9293
§3.1 for the header, RFC 3168 and RFC 7560 for the flags).
"""

from __future__ import annotations

from typing import NamedTuple

from tioption.option import DEFAULT_KINDS, Kinds, TcpOption, walk

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = (1 << bit for bit in range(9))
"""The flag bits of a TCP header, the nine low bits of octets 12 and 13."""


class Segment(NamedTuple):
    """One TCP segment whose fixed header of 20 octets was captured whole."""

    frame: int
    """Number of the frame in its file, from 1."""
    time_ns: int | None
    """Nanoseconds since 1970-01-01 UTC, None where the capture has no time for the frame."""
    data: bytes
    """The captured octets of the whole frame."""
    offset: int
    """Where the TCP header begins in `data`."""
    end: int
    """Where the captured octets of the segment end in `data`."""
    length: int
    """Octets of the segment on the wire, header and payload, as IP says."""
    src: bytes
    """Source address, 4 or 16 octets."""
    dst: bytes
    """Destination address, 4 or 16 octets."""
    sport: int
    dport: int
    seq: int
    ack: int
    """Acknowledgment number as it stands in the header, also where the ACK flag is not set."""
    header_length: int
    """Octets of the header as its data offset says; below 20 or above `length` where it is wrong."""
    flags: int
    window: int

    @property
    def urgent(self) -> int:
        """The urgent pointer, 16 bits."""
        return int.from_bytes(self.data[self.offset + 18 : self.offset + 20], "big")

    @property
    def options(self) -> bytes:
        """The captured octets of the option area, never past the end of the segment."""
        return self.data[self.offset + 20 : min(self.end, self.offset + self.header_length)]

    @property
    def options_length(self) -> int:
        """Octets of the option area the header has on the wire; `options` is shorter where the capture cut it."""
        return max(0, min(self.header_length, self.length) - 20)

    def walk_options(self, kinds: Kinds = DEFAULT_KINDS) -> list[TcpOption]:
        """The stretches of the option area, with what is wrong with them (see `tioption.option.walk`)."""
        return list(walk(self.options, self.options_length, kinds)) if self.header_length > 20 else []

    @property
    def payload_length(self) -> int:
        """Octets of payload on the wire."""
        return max(0, self.length - max(20, self.header_length))

    @property
    def payload(self) -> bytes:
        """The captured octets of the payload."""
        return self.data[self.offset + max(20, self.header_length) : self.end]


class CutSegment(NamedTuple):
    """A TCP segment of which the capture has the ports but not the whole fixed header."""

    frame: int
    time_ns: int | None
    src: bytes
    dst: bytes
    header: bytes
    """The 4 to 19 octets of the header that were captured."""

    @property
    def sport(self) -> int:
        """Source port."""
        return int.from_bytes(self.header[0:2], "big")

    @property
    def dport(self) -> int:
        """Destination port."""
        return int.from_bytes(self.header[2:4], "big")

    @property
    def seq(self) -> int | None:
        """Sequence number, None where it was not captured."""
        return int.from_bytes(self.header[4:8], "big") if len(self.header) >= 8 else None

    @property
    def ack(self) -> int | None:
        """Acknowledgment number, None where it was not captured."""
        return int.from_bytes(self.header[8:12], "big") if len(self.header) >= 12 else None

    @property
    def flags(self) -> int | None:
        """The nine flag bits, None where they were not captured."""
        return int.from_bytes(self.header[12:14], "big") & 0x1FF if len(self.header) >= 14 else None
