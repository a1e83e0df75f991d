"""What paths do to an option they do not know: take it out, overwrite it, echo it, drop the segment, change its octets.

Honda et al., *Is it still possible to extend TCP?* (IMC 2011), found unknown options removed from SYNs on some paths,
most often on port 80, by firewalls, proxies and carrier-grade boxes; others send them back or drop the SYN. Linux
(xt_TCPOPTSTRIP, nftables `reset tcp option`) and Cisco's ASA (`tcp-map`) overwrite by NOP. The hosts then fall back to
plain TCP (§III.C): LEG-01, LEG-03, LEG-04, LEG-07, MBX-02, MBX-05; for resumes LEG-06 and RES-06.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tioption.layout import FIELDS, LENGTH, OPTION_SPACE
from tioption.middlebox.box import BACK, SEGMENTS, Emitted, Memory, Rewriter, SegmentBox, Way, passed, segment_name
from tioption.middlebox.packet import EOL, NOP, Ends, Packet
from tioption.middlebox.parameters import Parameter, choice, whole
from tioption.middlebox.registry import box
from tioption.option import Kinds, TcpOption

_SEGMENT: Final = Parameter(
    "segment",
    choice(*SEGMENTS),
    "all",
    "In which segments; ack is every segment without SYN.",
    ("all", "syn", "syn-ack", "ack"),
)


class _OnOption(Rewriter):
    """Changes the options of the flow option's kinds, whatever they hold: to a box that does this they are unknown."""

    def __init__(self, segment: str, kinds: Kinds) -> None:
        self._segment = segment
        self._kinds = kinds

    def rewrite(self, segment: Packet, way: Way, now_ns: int) -> bool:
        """Change the option area where it holds such an option and the segment is one of those asked for."""
        if not segment.options or self._segment not in {"all", segment_name(segment)}:
            return False
        before = segment.options
        # From the end, so that the places of those before stay.
        for one in reversed(segment.walk(self._kinds)):
            if one.kind is not None and one.kind in self._kinds and one.fault is None:
                self.change(segment, one)
        return segment.options != before

    def change(self, segment: Packet, option: TcpOption) -> None:
        """Change one of these options."""
        raise NotImplementedError


@box("strip", "Takes the option out.", _SEGMENT, rules=("MBX-02", "LEG-01", "LEG-03", "RES-06"), needs=("kinds",))
class Strip(_OnOption):
    """Takes the option out, as boxes do that build the option area anew from what they know."""

    def __init__(self, *, segment: str, kinds: Kinds) -> None:
        """Strip in all segments or in those of one name (SEGMENTS)."""
        super().__init__(segment, kinds)

    def change(self, segment: Packet, option: TcpOption) -> None:
        """Close the gap; the area is filled up to a multiple of 4 octets by zeros (RFC 9293 §3.1)."""
        rest = segment.options[: option.offset] + segment.options[option.offset + len(option.octets) :]
        segment.options = rest + bytes(-len(rest) % 4)


@box(
    "overwrite",
    "Overwrites the option by padding.",
    Parameter("by", choice("nop", "eol"), "nop", "The padding; eol also ends the options before it.", ("nop", "eol")),
    _SEGMENT,
    rules=("MBX-02", "LEG-01", "LEG-03", "RES-06"),
    needs=("kinds",),
)
class Overwrite(_OnOption):
    """Overwrites the option: NOP as Linux does it; EOL also hides the options that follow."""

    def __init__(self, *, by: str, segment: str, kinds: Kinds) -> None:
        """Overwrite by NOPs or by zeros in all segments or in those of one name."""
        super().__init__(segment, kinds)
        self._octet = bytes((NOP if by == "nop" else EOL,))

    def change(self, segment: Packet, option: TcpOption) -> None:
        """Keep every place as it is."""
        size = len(option.octets)
        before, after = segment.options[: option.offset], segment.options[option.offset + size :]
        segment.options = before + self._octet * size + after


_FIELDS: Final = {name: (at, size) for name, at, size, _ in FIELDS if "." not in name}


@box(
    "alter",
    "Changes a field of the option.",
    Parameter("field", choice(*_FIELDS), "tiseq", "Which field.", ("tifid", "tiseq", "tiack")),
    _SEGMENT,
    Parameter(
        "xor", whole(1, (1 << 48) - 1), "1", "What is flipped in it, the same in every segment.", ("1", "0x400000")
    ),
    rules=("MBX-05", "EST-06", "EST-08", "RES-04"),
    needs=("kinds",),
)
class Alter(_OnOption):
    """Changes a field, as boxes do that take the octets for something else, or defective ones."""

    def __init__(self, *, field: str, segment: str, xor: int, kinds: Kinds) -> None:
        """Flip the bits of `xor`, as far as the field has them, in all segments or in those of one name."""
        super().__init__(segment, kinds)
        self._at, size = _FIELDS[field]
        self._mask = (xor & ((1 << 8 * size) - 1) or 1).to_bytes(size, "big")

    def change(self, segment: Packet, option: TcpOption) -> None:
        """Flip the bits in an option that has the field."""
        at, end = option.offset + self._at, option.offset + self._at + len(self._mask)
        if len(option.octets) != LENGTH:
            return
        field = bytes(one ^ other for one, other in zip(segment.options[at:end], self._mask, strict=True))
        segment.options = segment.options[:at] + field + segment.options[end:]


@box(
    "echo",
    "Sends the SYN's option back in the SYN-ACK.",
    Parameter("way", choice("ab", "ba", "both"), "ab", "On which way the SYN goes.", ("ab",)),
    rules=("LEG-07", "RES-06"),
    needs=("kinds",),
)
class Echo(Rewriter):
    """Puts the SYN's unknown option into the SYN-ACK as it was: embedded stacks that reuse the SYN's octets.

    An option of the SYN-ACK's own is replaced. RFC 8547 §8.1 and RFC 8684 §3.1 provide for such hosts, too.
    """

    def __init__(self, *, way: str, kinds: Kinds) -> None:
        """Echo for connections opened on one way or both."""
        self._way = way
        self._kinds = kinds
        self._offers: Memory[Ends, bytes] = Memory()

    def rewrite(self, segment: Packet, way: Way, now_ns: int) -> bool:
        """Remember a SYN's option, and put it into the SYN-ACK where there is room."""
        name = segment_name(segment)
        if name == "syn" and self._way in {"both", way}:
            mine = [one.octets for one in segment.walk(self._kinds) if one.kind in self._kinds and one.fault is None]
            self._offers[segment.ends] = b"".join(mine)
        if name != "syn-ack" or self._way not in {"both", BACK[way]}:
            return False
        offer = self._offers.get(segment.ends.reverse)
        if not offer:
            return False
        others = [one.octets for one in segment.walk(self._kinds) if one.kind is None or one.kind not in self._kinds]
        # What stands behind an end of the list would not be found.
        area = b"".join(octets for octets in others if octets[:1] != bytes((EOL,))) + offer
        if len(area) > OPTION_SPACE:
            return False
        before, segment.options = segment.options, area + bytes(-len(area) % 4)
        return segment.options != before


KNOWN: Final = frozenset({0, 1, 2, 3, 4, 5, 8, 19, 28, 29, 30, 34})
"""Option kinds that conservative boxes let pass: those in common use (the registry of IANA)."""


@box(
    "drop-unknown",
    "Drops SYNs with an option in them that is not in common use.",
    Parameter("how", choice("silent", "rst"), "silent", "What the sender gets for it.", ("silent", "rst")),
    Parameter("segment", choice("syn", "syn-ack", "both"), "syn", "Which of them.", ("syn", "syn-ack", "both")),
    rules=("LEG-04", "LEG-06", "LEG-08"),
)
class DropUnknown(SegmentBox):
    """Drops SYNs with unknown options, as strict firewalls do (`tcp-options … drop` of Cisco's ASA); rare, says Honda.

    A host sends the SYN of a new flow again without the option (LEG-04), that of a resume never (LEG-06).
    """

    def __init__(self, *, how: str, segment: str) -> None:
        """Drop SYNs, SYN-ACKs or both, silently or with a RST to the sender."""
        self._reset = how == "rst"
        self._segments = {"syn", "syn-ack"} if segment == "both" else {segment}

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Let pass what has no unknown option."""
        unknown = any(one.kind is not None and one.kind not in KNOWN for one in segment.walk())
        if not unknown or segment_name(segment) not in self._segments:
            yield passed(segment, way)
        elif self._reset and (reset := segment.reset()) is not None:
            yield passed(reset, BACK[way])
