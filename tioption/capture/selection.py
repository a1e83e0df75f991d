"""Which of a capture's segments are wanted, decided alike here and in the C walker (`_walk_core.h`)."""

from __future__ import annotations

from typing import Final, NamedTuple

from tioption.capture.segment import ACK, FIN, RST, SYN
from tioption.layout import LENGTH
from tioption.option import Kinds

_MASK: Final = 0xFFFFFFFF
_ACKS_OCTETS: Final = 1 << 21

_EVERY, _CARRIERS, _HANDSHAKES = 1, 2, 4


class Select(NamedTuple):
    """The segments that are wanted: all of them, or the union of what is named; by default every TCP segment.

    `carriers`: segments whose captured options can hold a flow option of these kinds. `handshakes`: SYN, SYN-ACK, RST
    and FIN, and each ACK that may end a handshake, as it acknowledges what a SYN-ACK to its ports asked for. Those are
    a superset: of ports and number only 24 bits are remembered, and for the whole capture.
    """

    carriers: Kinds | None = None
    handshakes: bool = False

    @property
    def every(self) -> bool:
        """Whether every TCP segment is wanted, cut ones included."""
        return self.carriers is None and not self.handshakes

    @property
    def wanted(self) -> int:
        """The selection as the bits of the C walker."""
        return _EVERY if self.every else _CARRIERS * (self.carriers is not None) + _HANDSHAKES * self.handshakes


EVERY: Final = Select()


def ack_bit(client: int, server: int, ack: int) -> int:
    """The bit, one of 2^24, that stands for an ACK between these ports that acknowledges `ack`."""
    mixed = (ack + (client << 16 | server) * 0x9E3779B1) & _MASK
    return ((mixed ^ mixed >> 15) * 0x85EBCA6B & _MASK) >> 8


class Selector:
    """Selects the segments of one capture in order; `acks` is what it remembers of SYN-ACKs, 2 MiB if anything."""

    def __init__(self, select: Select) -> None:
        """Start with nothing remembered."""
        self.every = select.every
        self.acks = bytearray(_ACKS_OCTETS if select.handshakes else 0)
        self._markers = select.carriers.markers() if select.carriers is not None else ()

    def wants(
        self,
        data: bytes,
        at: int,
        end: int,
        ports: tuple[int, int],
        numbers: tuple[int, int],
        header_length: int,
        flags: int,
    ) -> bool:
        """Whether a segment is wanted: header at `at`, last captured octet before `end`, and what the header says.

        `numbers` are sequence and acknowledgment number.
        """
        # Asked whatever the other answers are: it remembers the SYN-ACK.
        if self.acks and self._of_handshake(ports, numbers, flags):
            return True
        if header_length < 20 + LENGTH:
            return False
        last = min(end, at + header_length) - LENGTH + 2  # a marker behind it has no room for its option
        return any(data.find(marker, at + 20, last) >= 0 for marker in self._markers)

    def _of_handshake(self, ports: tuple[int, int], numbers: tuple[int, int], flags: int) -> bool:
        (sport, dport), (seq, ack), acks = ports, numbers, self.acks
        if flags & (SYN | RST | FIN):
            if flags & (SYN | ACK) == SYN | ACK:
                bit = ack_bit(dport, sport, (seq + 1) & _MASK)
                acks[bit >> 3] |= 1 << (bit & 7)
            return True
        if not flags & ACK:
            return False
        bit = ack_bit(sport, dport, ack)
        return bool(acks[bit >> 3] >> (bit & 7) & 1)
