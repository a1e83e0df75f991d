"""One line a segment: tcpdump's own line (`tcpdump -n`), or the line of the paper's traces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from tioption.capture.segment import ACK, FIN, RST, SYN, URG, CutSegment, Segment
from tioption.option import DEFAULT_KINDS, Kinds, TcpOption
from tioption.render.tcp_options import options_text
from tioption.render.values import Clock, address_text, flags_text, service_text


class _Style(NamedTuple):
    separator: str
    space: str
    """Between a word and its bracket."""
    length: str
    label: str


TCPDUMP: Final = _Style(", ", " ", "length", "tifid")
PAPER: Final = _Style(",", "", "len", "tificid")

_CONNECTIONS: Final = 1 << 15
_MASK: Final = 0xFFFFFFFF


class _Numbers(Protocol):
    """First sequence numbers by connection."""

    def bases(self, segment: Segment) -> tuple[int, int, int]:
        """What to subtract from sequence number, acknowledgment number and SACK edges."""


class _RelativeNumbers:
    """First sequence numbers by connection, as tcpdump remembers them: from the first ACK on, anew at each SYN-ACK.

    Bounded: of the connections not seen for the longest time, up to half the table is forgotten at once, and a
    forgotten one is printed like one that was never seen.
    """

    def __init__(self) -> None:
        self._young: dict[tuple[bytes, bytes, int, int], tuple[int, int]] = {}
        self._old: dict[tuple[bytes, bytes, int, int], tuple[int, int]] = {}

    def bases(self, segment: Segment) -> tuple[int, int, int]:
        """What to subtract from sequence number, acknowledgment number and SACK edges."""
        src, dst, sport, dport = segment.src, segment.dst, segment.sport, segment.dport
        reverse = sport > dport or (sport == dport and src > dst)
        key = (dst, src, dport, sport) if reverse else (src, dst, sport, dport)
        known = self._young.get(key) or self._old.get(key)
        if known is not None and not segment.flags & SYN:
            self._remember(key, known)
            forward, backward = known
            own, other = (backward, forward) if reverse else (forward, backward)
            return own, other, other
        own, other = segment.seq, (segment.ack - 1) & _MASK
        self._remember(key, (other, own) if reverse else (own, other))
        return 0, 0, other

    def _remember(self, key: tuple[bytes, bytes, int, int], numbers: tuple[int, int]) -> None:
        if len(self._young) >= _CONNECTIONS and key not in self._young:
            self._old = self._young
            self._young = {}
        self._young[key] = numbers


class LinePrinter:
    """Prints the segments of one capture in order; sequence numbers become relative as they do in tcpdump."""

    def __init__(self, *, paper: bool = False, kinds: Kinds = DEFAULT_KINDS, numbers: _Numbers | None = None) -> None:
        """Choose tcpdump's style or the paper's; `numbers` is where others print segments of the same capture, too."""
        self._style = PAPER if paper else TCPDUMP
        self._paper = paper
        self._kinds = kinds
        self._clock = Clock()
        self._numbers = numbers or _RelativeNumbers()

    def line(self, segment: Segment | CutSegment, options: Iterable[TcpOption] | None = None) -> str:
        """The line of `segment`, without a line end; `options` are those of its walk where the caller has made it."""
        family = "IP" if len(segment.src) == 4 else "IP6"
        start = f"Packet {segment.frame}:" if self._paper else self._clock.text(segment.time_ns)
        peers = f"{self._peer(segment.src, segment.sport)} > {self._peer(segment.dst, segment.dport)}"
        what = " [|tcp]" if isinstance(segment, CutSegment) else self._header(segment, options)
        return f"{start} {family} {peers}: {what}"

    def _peer(self, address: bytes, port: int) -> str:
        return f"{address_text(address)}.{service_text(port) if self._paper else port}"

    def _header(self, segment: Segment, options: Iterable[TcpOption] | None) -> str:
        separator, space, length_word, label = self._style
        header_length, flags = segment.header_length, segment.flags
        length = segment.length - header_length
        if header_length < 20:
            return f" tcp {length} [bad hdr length {header_length} - too short, < 20]"
        own, other, sack_base = self._numbers.bases(segment) if flags & ACK else (0, 0, 0)
        parts = [f"Flags{space}[{flags_text(flags) or 'none'}]"]
        if length < 0:
            return f"{parts[0]} [bad hdr length {header_length} - too long, > {segment.length}]"
        if length > 0 or flags & (SYN | FIN | RST):
            seq = (segment.seq - own) & _MASK
            parts.append(f"seq {seq}:{(seq + length) & _MASK}" if length else f"seq {seq}")
        if flags & ACK:
            parts.append(f"ack {(segment.ack - other) & _MASK}")
        parts.append(f"win {segment.window}")
        if flags & URG:
            parts.append(f"urg {segment.urgent}")
        if header_length > 20:
            walked = segment.walk_options(self._kinds) if options is None else options
            text, complete = options_text(walked, sack_base, label)
            if not complete:
                parts.append(f"options{space}[{text}")
                return separator.join(parts)
            parts.append(f"options{space}[{text}]")
        parts.append(f"{length_word} {length}")
        return separator.join(parts)
