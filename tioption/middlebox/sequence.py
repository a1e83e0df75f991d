"""Initial sequence numbers that are others behind the box.

Firewalls rewrite the ISNs of hosts whose own might be guessed, and proxies have theirs: Honda et al. (IMC 2011) met it
on some paths, and more often on port 80. TISeq and TIAck name positions, never TCP's numbers, so that it must not
matter (MBX-01, MAP-06). Some boxes forget the SACK blocks; `sack=no` is one of them.
"""

from __future__ import annotations

from random import Random
from struct import pack, unpack
from typing import NamedTuple

from tioption.capture.segment import ACK, SYN
from tioption.middlebox.box import BACK, Memory, Rewriter, Way
from tioption.middlebox.packet import SACK, Ends, Packet
from tioption.middlebox.parameters import WAY, YES, Parameter
from tioption.middlebox.registry import box
from tioption.seq import SEQ32


def shift_acknowledged(segment: Packet, shift: int, *, sack: bool = True) -> None:
    """Add to what a segment acknowledges: the acknowledgment number and the edges of SACK blocks (RFC 2018 §3)."""
    if segment.flags & ACK:
        segment.ack = SEQ32.add(segment.ack, shift)
    if not sack or segment.flags & SYN or bytes((SACK,)) not in segment.options:
        return
    for one in segment.walk():
        if one.kind == SACK and one.fault is None and len(one.octets) % 8 == 2:
            edges = unpack(f"!{len(one.octets) // 4}I", one.octets[2:])
            moved = pack(f"!{len(edges)}I", *(SEQ32.add(edge, shift) for edge in edges))
            at = one.offset + 2
            segment.options = segment.options[:at] + moved + segment.options[at + len(moved) :]


class _Shift(NamedTuple):
    """By how much the numbers of one direction are moved, and the ISN for which that was chosen."""

    isn: int
    shift: int


@box(
    "isn",
    "Rewrites initial sequence numbers, and all numbers after them.",
    Parameter("way", WAY, "both", "Of the host that sends on this way.", ("both", "ab", "ba")),
    Parameter("sack", YES, "yes", "Whether SACK blocks are translated, too.", ("yes",)),
    rules=("MBX-01", "MAP-06"),
    needs=("random",),
)
class RewriteIsn(Rewriter):
    """Adds a random number to the sequence numbers of a direction and takes it from what acknowledges them.

    The number is chosen at the SYN or SYN-ACK; connections whose beginning did not pass are left alone.
    """

    def __init__(self, *, way: str, sack: bool, random: Random) -> None:
        """Rewrite those of both hosts or of one."""
        self._ways = {"ab", "ba"} if way == "both" else {way}
        self._sack = sack
        self._random = random
        self._shifts: Memory[Ends, _Shift] = Memory()

    def rewrite(self, segment: Packet, way: Way, now_ns: int) -> bool:
        """Translate the numbers of both directions in a segment."""
        own = self._shifts.get(segment.ends)
        if segment.flags & SYN and way in self._ways and (own is None or own.isn != segment.seq):
            own = self._shifts[segment.ends] = _Shift(segment.seq, self._random.randrange(1, 1 << 32))
        if own is not None:
            segment.seq = SEQ32.add(segment.seq, own.shift)
        other = self._shifts.get(segment.ends.reverse) if BACK[way] in self._ways else None
        if other is not None:
            shift_acknowledged(segment, -other.shift, sack=self._sack)
        return own is not None or other is not None

    def as_answer(self, segment: Packet, way: Way, ends: Ends) -> None:
        """Acknowledge what the other host's numbers became."""
        other = self._shifts.get(ends.reverse)
        if other is not None:
            shift_acknowledged(segment, other.shift)
