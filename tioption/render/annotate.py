"""The text of a tcpdump that does not know the flow option, with the option decoded in it.

Such a tcpdump prints the octets of kind 253 (`unknown-253 0x…`) and only the first two of kind 254 (`exp-1122`), whose
others are taken from the packet's hexadecimal dump where there is one (`-x`, `-xx`, `-X`, `-XX`). Octets go in and come
out, nothing waits or knows the time; everything that is no such option passes through as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tioption.capture.dissection import Dissection
from tioption.capture.link import LINK_LAYERS
from tioption.capture.segment import Segment
from tioption.capture.undecoded import UndecodedCounter
from tioption.layout import EXPERIMENTS
from tioption.option import DEFAULT_KINDS, Kinds, TcpOption, walk
from tioption.render.tcp_options import flow_option_text

_NAMELESS: Final = 254
"""The kind of whose options tcpdump prints an identifier and nothing else."""
_FAST_OPEN: Final = b"\xf9\x89"
_MARKS: Final = (b"unknown-", b"exp-")

_LINE: Final = re.compile(rb"[^\n]*\n")

_OPTION: Final = re.compile(
    rb"(?:(?<=,)|^)(?:unknown-(?P<kind>\d{1,3}) 0x(?P<octets>(?:[0-9a-f]{2})+)|exp-(?P<exid>[0-9a-f]{4}))(?=,|$)"
)
_DUMP: Final = re.compile(
    rb"\t0x(?P<offset>[0-9a-f]{4,}): (?P<octets>(?: [0-9a-f]{2}(?:[0-9a-f]{2})?){1,8})(?: |\r?\n|$)"
)
_DUMPED_LINKS: Final = (101, 1, 113, 276, 108)
"""What a dump may begin with: an IP header (-x, -X), or that of Ethernet, Linux cooked, BSD loopback (-xx, -XX)."""

_MOST_HELD: Final = 64
_LONGEST: Final = 1 << 16
"""Lines that are held back for a dump that may follow, octets of a line that is not passed through unread."""

_TITLES: Final = {name: title for name, title, *_ in EXPERIMENTS}


class Annotator:
    """Takes tcpdump's output as it comes, in chunks of any size, and gives it back with flow options decoded.

    A line whose option may be in a dump below it is held back until that has come; `flush` gives it up.
    """

    def __init__(self, kinds: Kinds = DEFAULT_KINDS) -> None:
        """Choose the kinds of the option."""
        self._kinds = kinds
        self._rest = b""
        self._held: list[bytes] = []
        self._dump = bytearray()

    @property
    def holding(self) -> bool:
        """Whether whole lines are held back, which `flush` would give."""
        return bool(self._held)

    def feed(self, octets: bytes) -> bytes:
        """Take a chunk; returns what can be written now."""
        octets = self._rest + octets
        if len(octets) > _LONGEST and b"\n" not in octets:
            # No line of tcpdump's: its beginning is given as it is, and what follows is read as if it were a line.
            self._rest = b""
            return self.flush() + octets
        whole, end, self._rest = octets.rpartition(b"\n")
        whole += end
        if not self._held and not any(mark in whole for mark in _MARKS):
            return whole
        out: list[bytes] = []
        for line in _LINE.findall(whole):
            if self._held or b"unknown-" in line or b"exp-" in line:
                out += self._line(line)
            else:
                out.append(line)
        return b"".join(out)

    def flush(self) -> bytes:
        """What is held back, without the octets of a dump that has not come or does not have them."""
        return b"".join(self._released(None))

    def close(self) -> bytes:
        """Everything that is left, an incomplete last line included."""
        rest, self._rest = self._rest, b""
        return b"".join([*self._line(rest), *self._released(None)]) if rest else self.flush()

    def _line(self, line: bytes) -> Iterator[bytes]:
        """What can be written once `line` is known."""
        if self._held:
            if line[:1] in b" \t" and len(self._held) < _MOST_HELD:
                self._held.append(line)
                if self._dumped(line):
                    options = self._nameless()
                    if options is not None:
                        yield from self._released(options)
                return
            yield from self._released(None)
        if _NAMELESS in self._kinds and self._identifiers(line):
            self._held = [line]
            self._dump.clear()
            return
        yield self._annotated(line, None)

    def _released(self, options: list[TcpOption] | None) -> Iterator[bytes]:
        """The lines held back, the first of them with its options."""
        held, self._held = self._held, []
        if held:
            yield self._annotated(held[0], options)
            yield from held[1:]

    def _dumped(self, line: bytes) -> bool:
        """Whether the line continues the packet's dump, which then has its octets."""
        found = _DUMP.match(line)
        if found is None or int(found["offset"], 16) != len(self._dump):
            return False
        self._dump += bytes.fromhex(found["octets"].decode())
        return True

    def _identifiers(self, line: bytes) -> list[bytes]:
        """The identifiers of options whose other octets tcpdump does not print."""
        if b"exp-" not in line:
            return []
        options = line[slice(*_options(line))]
        return [bytes.fromhex(match["exid"].decode()) for match in _OPTION.finditer(options) if match["exid"]]

    def _nameless(self) -> list[TcpOption] | None:
        """Those options out of the dump, None where it is no packet with just these, or not yet."""
        expected = self._identifiers(self._held[0])
        octets = bytes(self._dump)
        for link in _DUMPED_LINKS:
            frame = Dissection(UndecodedCounter())
            frame.begin(1, None, octets)
            LINK_LAYERS[link](frame, 0, len(octets), max(len(octets), 1 << 16))
            for segment in frame.segments:
                if not isinstance(segment, Segment):
                    continue
                options = [
                    option
                    for option in segment.walk_options(self._kinds)
                    if option.kind == _NAMELESS and option.fault is None and option.octets[2:4] != _FAST_OPEN
                ]
                if [option.octets[2:4] for option in options] == expected:
                    return options
        return None

    def _annotated(self, line: bytes, options: list[TcpOption] | None) -> bytes:
        """The line with every option in it that there is something to say of; `options` are its nameless ones."""
        start, end = _options(line)
        dumped = iter(options or ())

        def replaced(match: re.Match[bytes]) -> bytes:
            printed = match[0]
            if match["exid"]:
                option = next(dumped, None)
                return printed + self._guess(match["exid"].decode()) if option is None else _text(option, printed)
            octets = bytes.fromhex(match["octets"].decode())
            kind = int(match["kind"])
            if not 1 < kind < 256 or len(octets) > 253:
                return printed
            (option,) = walk(bytes((kind, len(octets) + 2)) + octets, None, self._kinds)
            return _text(option, printed)

        return line[:start] + _OPTION.sub(replaced, line[start:end]) + line[end:]

    def _guess(self, exid: str) -> bytes:
        """What to say of an option of which only the first two octets of its identifier, or of its TIFID, are known."""
        for _, title, known, kinds, lengths in EXPERIMENTS:
            if _NAMELESS in kinds and known.hex().startswith(exid):
                return f" ({title})".encode() if len(known) == 2 and lengths is None else f" ({title}?)".encode()
        variant = self._kinds.variant(_NAMELESS)
        return f" ({variant.value}? tcpdump drops its octets, -x shows them)".encode() if variant is not None else b""


def _options(line: bytes) -> tuple[int, int]:
    """Where a line has the options of a TCP segment, between the brackets; nowhere in any other line."""
    flags = line.find(b": Flags [")
    start = line.find(b", options [", flags) + len(b", options [")
    length = line.find(b", length ", flags)
    if flags < 0 or start < flags or 0 <= length < start:
        return 0, 0
    end = length if length > 0 else len(line.rstrip(b"\r\n"))
    return start, end - line.endswith(b"]", start, end)


def _text(option: TcpOption, printed: bytes) -> bytes:
    """What is known of an option all of whose octets are."""
    if option.flow is not None:
        return flow_option_text(option.flow).encode()
    return printed + f" ({_TITLES[option.experiment]})".encode() if option.experiment is not None else printed
