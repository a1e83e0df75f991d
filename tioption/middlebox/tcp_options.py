"""What paths do to options everybody knows: clamp the MSS, take out or rewrite timestamps.

Routers before tunnels and PPPoE lines clamp (Linux's TCPMSS, pf's max-mss); firewalls and normalisers take timestamps
out (Cisco's ASA) or hide the clock in them (pf's `scrub reassemble tcp`). The flow option stays where it is (OPT-08),
and a resume begins with fresh timestamps anyway (RES-12).
"""

from __future__ import annotations

from random import Random
from struct import pack
from typing import Final

from tioption.capture.segment import ACK, SYN
from tioption.middlebox.box import SEGMENTS, Memory, Rewriter, Way, segment_name
from tioption.middlebox.packet import MSS, NOP, TIMESTAMPS, Ends, Packet
from tioption.middlebox.parameters import Parameter, choice, whole
from tioption.middlebox.registry import box
from tioption.seq import SEQ32


def replace_option(segment: Packet, kind: int, octets: bytes) -> bool:
    """Put others in place of the octets of the first well-formed option of a kind and as long; whether it is there."""
    for one in segment.walk():
        if one.kind == kind and one.fault is None and len(one.octets) == len(octets):
            at = one.offset
            segment.options = segment.options[:at] + octets + segment.options[at + len(octets) :]
            return True
    return False


@box(
    "mss",
    "Clamps the maximum segment size.",
    Parameter("most", whole(88, 65495), "1400", "The largest MSS that passes.", ("536", "1200", "1400")),
    rules=("OPT-11",),
)
class ClampMss(Rewriter):
    """Lowers the MSS in SYNs and SYN-ACKs, and never raises it."""

    def __init__(self, *, most: int) -> None:
        """Let no MSS above `most` octets pass."""
        self._most = most

    def rewrite(self, segment: Packet, way: Way, now_ns: int) -> bool:
        """Lower the MSS where it is larger."""
        found = segment.option(MSS) if segment.flags & SYN else None
        if found is None or len(found) != 4 or int.from_bytes(found[2:], "big") <= self._most:
            return False
        return replace_option(segment, MSS, pack("!BBH", MSS, 4, self._most))


@box(
    "timestamps",
    "Takes out or rewrites timestamps.",
    Parameter("how", choice("strip", "rewrite"), "strip", "What becomes of them.", ("strip", "rewrite")),
    Parameter("segment", choice(*SEGMENTS), "all", "Where they are stripped; ack is every segment without SYN."),
    rules=("OPT-08", "RES-12"),
    needs=("random",),
)
class Timestamps(Rewriter):
    """Overwrites timestamps by NOPs, or adds a number of each connection and direction's own to them.

    Rewritten ones are translated back in the echo replies, as ISNs are in acknowledgments.
    """

    def __init__(self, *, how: str, segment: str, random: Random) -> None:
        """Strip them in all segments or in those of one name, or rewrite all."""
        self._strip = how == "strip"
        self._segment = segment
        self._random = random
        self._shifts: Memory[Ends, int] = Memory()

    def rewrite(self, segment: Packet, way: Way, now_ns: int) -> bool:
        """Change the option where there is one."""
        octets = segment.option(TIMESTAMPS)
        if octets is None or len(octets) != 10:
            return False
        if self._strip:
            named = self._segment in {"all", segment_name(segment)}
            return named and replace_option(segment, TIMESTAMPS, bytes((NOP,)) * 10)
        if segment.flags & SYN:
            self._shifts.setdefault(segment.ends, lambda: self._random.randrange(1, 1 << 32))
        own = self._shifts.get(segment.ends) or 0
        other = self._shifts.get(segment.ends.reverse) or 0
        return _shift(segment, octets, own, -other)

    def as_answer(self, segment: Packet, way: Way, ends: Ends) -> None:
        """Echo what the other host's timestamps became."""
        other, octets = self._shifts.get(ends.reverse), segment.option(TIMESTAMPS)
        if other is not None and octets is not None and len(octets) == 10:
            _shift(segment, octets, 0, other)


_ECHOED: Final = slice(6, 10)


def _shift(segment: Packet, octets: bytes, value: int, echo: int) -> bool:
    """Add to the value of a timestamps option, and to its echo reply where the segment acknowledges something."""
    if not segment.flags & ACK:
        echo = 0
    now = SEQ32.add(int.from_bytes(octets[2:6], "big"), value)
    echoed = SEQ32.add(int.from_bytes(octets[_ECHOED], "big"), echo)
    changed = pack("!BBII", TIMESTAMPS, 10, now, echoed)
    return changed != octets and replace_option(segment, TIMESTAMPS, changed)
