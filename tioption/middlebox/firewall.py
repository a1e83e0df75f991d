"""Stateful firewalls: one that forgets its connections, and one that follows their windows.

Boxes that lose state and then drop or reset are what §I and §IV.C of the paper are about. Following windows is what
Linux's conntrack, pf and IP Filter do (van Rooij, *Real Stateful TCP Packet Filtering in IP Filter*, 2000): segments
that do not fit are INVALID and dropped, which is why a resume must begin with numbers the box has seen (R1, MAP-03).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack
from typing import Final

from tioption.capture.segment import ACK, RST, SYN
from tioption.middlebox.box import BACK, Emitted, Memory, SegmentBox, Way, passed
from tioption.middlebox.forgetting import AFTER, FORGET, HOW, TIMEOUT, Trigger, refused
from tioption.middlebox.packet import SACK, SACK_PERMITTED, WINDOW_SCALE, Ends, Packet
from tioption.middlebox.parameters import YES, Parameter
from tioption.middlebox.registry import box
from tioption.seq import SEQ32


@box(
    "firewall",
    "Lets pass what belongs to a connection it knows, and may forget them.",
    FORGET,
    AFTER,
    HOW,
    TIMEOUT,
    Parameter("inbound", YES, "no", "Whether B's side may open connections.", ("no",)),
    rules=("RES-19", "RES-20", "RES-10"),
)
class Firewall(SegmentBox):
    """Knows a connection from its SYN on; what belongs to none gets what `how` says.

    `how=rst` is what nftables calls `reject with tcp reset`.
    """

    def __init__(self, *, forget: int | None, after: int | None, how: str, timeout: int, inbound: bool) -> None:
        """Know no connection yet."""
        self._trigger = Trigger(forget, after)
        self._how = how
        self._timeout = timeout
        self._inbound = inbound
        self._used: Memory[Ends, int] = Memory()
        """When a connection was last heard, by what A's side sends."""

    def forget(self) -> None:
        """Lose all state now."""
        self._used.clear()

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Pass it where it belongs to a connection or may open one."""
        if self._trigger.fires(now_ns):
            self.forget()
        ends = segment.ends if way == "ab" else segment.ends.reverse
        opens = segment.flags & (SYN | ACK | RST) == SYN and (way == "ab" or self._inbound)
        used = self._used.get(ends)
        if opens or (used is not None and now_ns - used <= self._timeout):
            self._used[ends] = now_ns
            yield passed(segment, way)
        else:
            yield from refused(segment, way, self._how)


_LEAST_ACK_WINDOW: Final = 66_000
"""How far an acknowledgment may lie behind, at the least: a window without scaling and a little (van Rooij §3)."""
_MOST_SCALE: Final = 14


class _Side:
    """What a box knows of one side of a connection since its first segment."""

    __slots__ = ("end", "max_end", "max_window", "sack", "scale", "scaled")

    def __init__(self, segment: Packet) -> None:
        self.end = segment.end
        """The number after the last octet it has sent."""
        self.max_end = segment.end
        """The number after the last octet it may send."""
        self.max_window = max(1, segment.window)
        """The largest window it has advertised."""
        self.negotiate(segment)

    def negotiate(self, segment: Packet) -> None:
        """Take from a SYN or SYN-ACK whether windows are scaled and SACK is permitted; other segments offer neither."""
        scale = segment.option(WINDOW_SCALE) if segment.flags & SYN else None
        self.scaled = scale is not None and len(scale) == 3
        self.scale = min(scale[2], _MOST_SCALE) if scale is not None and self.scaled else 0
        self.sack = bool(segment.flags & SYN) and segment.option(SACK_PERMITTED) is not None


class _Tracked:
    """A connection; without its SYN nothing of it is judged, for the scale of its windows is unknown."""

    __slots__ = ("complete", "sides")

    def __init__(self, *, complete: bool) -> None:
        self.complete = complete
        self.sides: dict[Way, _Side] = {}


def _later(one: int, other: int) -> int:
    return one if SEQ32.difference(one, other) > 0 else other


@box(
    "window",
    "Drops what lies outside the windows of its connection.",
    Parameter("loose", YES, "yes", "Whether a connection may be picked up without its SYN.", ("yes", "no")),
    Parameter("strict", YES, "no", "Whether late segments and small overshoots are dropped, too.", ("yes", "no")),
    rules=("MAP-03", "MAP-04", "RES-07", "RES-09"),
)
class WindowTracking(SegmentBox):
    """Follows sequence numbers and windows as Linux's conntrack does, and drops what it would call INVALID.

    A segment of a side must not begin beyond what the other has allowed, nor acknowledge what was not sent. A `strict`
    box, as Linux was for long, also drops what ends more than the other's largest window before what was sent, and
    what acknowledges less than long ago, but looks at the acknowledgment alone where there is neither data nor RST.
    Today's Linux lets late segments pass, and what exceeds a window by no more than its size.
    """

    def __init__(self, *, loose: bool, strict: bool) -> None:
        """Know no connection yet."""
        self._loose = loose
        self._strict = strict
        self._tracked: Memory[Ends, _Tracked] = Memory()
        """By what A's side sends."""

    def forget(self) -> None:
        """Lose all state now."""
        self._tracked.clear()

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Pass what fits, and follow it."""
        if self._fits(segment, way):
            yield passed(segment, way)

    def _fits(self, segment: Packet, way: Way) -> bool:
        ends = segment.ends if way == "ab" else segment.ends.reverse
        tracked = self._tracked.get(ends)
        if segment.flags & (SYN | ACK | RST) == SYN:
            if tracked is None or (way in tracked.sides and tracked.sides[way].end != segment.end):
                tracked = self._tracked[ends] = _Tracked(complete=True)
            if way not in tracked.sides:
                tracked.sides[way] = _Side(segment)
            return True
        if tracked is None:
            if self._loose and not segment.flags & RST:
                self._tracked[ends] = _Tracked(complete=False)
            return self._loose and not segment.flags & RST
        receiver = tracked.sides.get(BACK[way])
        if not tracked.complete or receiver is None:
            return True
        sender = tracked.sides.get(way)
        if sender is None:
            if segment.flags & RST:  # the answer to a SYN (RFC 9293 §3.10.7.3)
                return segment.ack == receiver.end
            sender = tracked.sides[way] = _Side(segment)
        if segment.flags & SYN:
            sender.negotiate(segment)
        return _within(segment, sender, receiver, strict=self._strict)


def _within(segment: Packet, sender: _Side, receiver: _Side, *, strict: bool) -> bool:
    """Whether a segment is within the four bounds of van Rooij; what is so moves the windows."""
    # Windows are scaled only where both sides say so, and never in a SYN (RFC 7323 §2.2).
    scale = sender.scale if sender.scaled and receiver.scaled and not segment.flags & SYN else 0
    window = segment.window << scale
    ack = segment.ack if segment.flags & ACK else receiver.end
    sack = ack
    for edge in _sack_edges(segment) if receiver.sack else ():
        sack = _later(edge, sack)
    reset = bool(segment.flags & RST)
    seq, end = (segment.seq, segment.end) if segment.length or reset or not strict else (sender.end, sender.end)
    if SEQ32.difference(sack, receiver.end) > 0:
        return False
    beyond = SEQ32.difference(seq, sender.max_end) > 0
    if beyond and (strict or SEQ32.difference(end, sender.max_end) >= receiver.max_window):
        return False
    least_ack = -max(sender.max_window, _LEAST_ACK_WINDOW)
    if SEQ32.difference(end, sender.end) < -receiver.max_window or SEQ32.difference(ack, receiver.end) < least_ack:
        return not strict
    if not reset:
        sender.max_window = max(sender.max_window, window + SEQ32.difference(sack, ack))
        sender.end = _later(end, sender.end)
        sender.max_end = _later(sender.end, sender.max_end)
        # A window of zero is probed with one octet.
        receiver.max_end = _later(SEQ32.add(sack, max(1, window)), receiver.max_end)
    return True


def _sack_edges(segment: Packet) -> Iterator[int]:
    """The right edges of its SACK blocks."""
    octets = segment.option(SACK) if not segment.flags & SYN else None
    if octets is not None and len(octets) % 8 == 2:
        yield from unpack(f"!{len(octets) // 4}I", octets[2:])[1::2]
