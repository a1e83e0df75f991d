"""`tiopt follow`: the octets of one direction of a flow, over all its transports."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, Option, UsageError, chosen_kinds

_GAPS_NAMED = 10
_TIFIDS_NAMED = 20
_MOST_FILLED = 1 << 30
"""Octets of a gap that are filled at most: no window is larger, so more are a wrong position, not a loss."""

_ZEROS = bytes(1 << 16)


def run(
    words: list[str],
    *,
    sender: str,
    flow_c: bool,
    gaps: str,
    output: str | None,
    kind_d: int,
    kind_c: int,
) -> int:
    """Write the stream, or list the flows where none is named, and return the exit status."""
    from tioption.cli.files import expand
    from tioption.flow import FlowKey
    from tioption.option import Variant

    kinds = chosen_kinds(kind_d, kind_c)
    tifid, files = _tifid(words)
    files = expand(files)
    if tifid is None:
        return _list(files, kinds)
    key = FlowKey(Variant.FLOW_C if flow_c else Variant.FLOW_D, tifid)
    return _Following(key, _Output(output, files), kinds, opener=sender == "a", fill=gaps == "zero").run(files)


def _tifid(words: list[str]) -> tuple[Any, list[str]]:
    """The TIFID where the first word is one, and the files."""
    from tioption.option import Tifid

    first, files = words[0], words[1:]
    digits = first.removeprefix("0x")
    if not digits or set(digits) - set("0123456789abcdefABCDEF"):
        return None, words
    if len(digits) != 12:
        if Path(first).exists():
            return None, words
        raise UsageError(f"a TIFID has 12 hexadecimal digits, {first} has {len(digits)}, and there is no such file")
    if not files:
        raise UsageError(f"expected FILE… after the TIFID {first}, where - is standard input")
    return Tifid(int(digits, 16)), files


class _Output:
    """Where the octets go; a file is made only when there is a flow to write, and never one of the inputs."""

    def __init__(self, name: str | None, files: list[str]) -> None:
        self._name = name
        self._out: BinaryIO | None = None
        self._terminal = name is None and sys.stdout.isatty()
        if name is not None and Path(name).exists():
            path = Path(name)
            if any(file != "-" and Path(file).exists() and path.samefile(file) for file in files):
                raise UsageError(f"-o {name} would overwrite its own input")

    def open(self) -> None:
        """Make the file, if it is one."""
        if self._out is not None:
            return
        if self._name is None:
            sys.stdout.flush()
            self._out = sys.stdout.buffer
            return
        try:
            self._out = Path(self._name).open("wb")  # noqa: SIM115  closed by close()
        except OSError as error:
            raise UsageError(f"-o {self._name}: {(error.strerror or str(error)).lower()}") from None

    def write(self, octets: bytes) -> None:
        """Write octets; on a terminal, those that are not text are escaped, so that a capture cannot command it."""
        assert self._out is not None
        self._out.write(_harmless(octets) if self._terminal else octets)

    def flush(self) -> None:
        """Hand on what has been written."""
        if self._out is not None:
            self._out.flush()

    def close(self) -> None:
        """Close the file, if it is one."""
        if self._out is not None and self._name is not None:
            self._out.close()


def _harmless(octets: bytes) -> bytes:
    text = octets.decode("utf-8", "backslashreplace")
    shown = (char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text)
    return "".join(shown).replace("\\r\n", "\n").encode(sys.stdout.encoding or "utf-8", "backslashreplace")


class _Following:
    """One stream on its way from captures to its output, and what has to be said of it."""

    def __init__(self, key: Any, out: _Output, kinds: Any, *, opener: bool, fill: bool) -> None:
        from tioption.cli.progress import Progress
        from tioption.cli.reading import Reader
        from tioption.verdict.follower import FlowFollower

        self._key = key
        self._out = out
        self._fill = fill
        self._follower = FlowFollower(key, opener=opener, kinds=kinds)
        self._reader = Reader(out.flush, progress=Progress(visible=sys.stderr.isatty() and not sys.stdout.isatty()))
        self._gaps = 0
        self._missing = 0
        self._began: tuple[str, int] | None = None

    def run(self, files: list[str]) -> int:
        """Follow the stream through the files and return the exit status."""
        try:
            for file in files:
                self._read(file)
            if not self._follower.transports:
                return self._unknown()
            self._out.open()
            self._take(self._follower.finish())
            self._out.flush()
        finally:
            self._out.close()
        whole = self._follower.from_start and not self._gaps and not self._follower.end_unseen
        sys.stderr.writelines(self._remarks())
        self._reader.repeat(len(files))
        return 3 if self._reader.failed or not whole else 0

    def _read(self, file: str) -> None:
        from tioption.capture import Segment

        first = True
        observe = self._follower.observe
        for segment in self._reader.segments(file):
            if first:
                first = False
                self._check_order(file, segment.time_ns)
            if isinstance(segment, Segment):
                self._take(observe(segment))

    def _check_order(self, file: str, time_ns: int | None) -> None:
        if time_ns is None:
            return
        if self._began is not None and time_ns < self._began[1]:
            self._say(f"{file} begins before {self._began[0]}; captures are followed in the order they are given")
        self._began = file, time_ns

    def _take(self, pieces: Iterable[Any]) -> None:
        for piece in pieces:
            self._out.open()
            if isinstance(piece, bytes):
                self._out.write(piece)
            else:
                self._gap(piece)

    def _gap(self, gap: Any) -> None:
        filled = self._fill and gap.octets <= _MOST_FILLED
        self._gaps += 1
        self._missing += gap.octets
        if self._gaps <= _GAPS_NAMED:
            why = "cut off by the capture" if gap.cut else "not captured"
            how = "filled with zeros" if filled else "left out"
            position = f"{self._follower.position(gap.place):012x}"
            self._say(f"octet {gap.place} (position {position}): {gap.octets} octets {why}, {how}")
        left = gap.octets if filled else 0
        while left:
            self._out.write(_ZEROS[:left])
            left -= min(left, len(_ZEROS))

    def _remarks(self) -> Iterator[str]:
        follower = self._follower
        if not follower.from_start:
            position = f"{follower.position(0):012x}"
            yield f"tiopt: the SYN that opened the flow was not captured; octet 0 is position {position}\n"
        if self._gaps > _GAPS_NAMED:
            yield f"tiopt: {self._gaps} gaps in all, of {self._missing} octets\n"
        if follower.end_unseen:
            yield "tiopt: a FIN, or one last octet, was acknowledged but not captured\n"
        if follower.left_out:
            yield f"tiopt: {follower.left_out} octets beyond the receiver's window were left out\n"
        if follower.used_again is not None:
            yield f"tiopt: frame {follower.used_again} opens another flow with this TIFID; it was left out\n"
        yield from self._reader.remarks

    def _say(self, text: str) -> None:
        self._out.flush()
        sys.stderr.write(f"tiopt: {text}\n")

    def _unknown(self) -> int:
        """There was nothing to follow: say what there is instead."""
        variant, tifid = self._key
        names = self._follower.names
        if self._key in names:
            text = f"no handshake of {variant.value} {tifid} was completed (tiopt validate says why)"
        elif names:
            near = sorted(names, key=lambda name: (name.tifid.first != tifid.first, name.tifid != tifid))
            shown = ", ".join(f"{name.tifid} ({name.variant.value})" for name in near[:_TIFIDS_NAMED])
            more = f" and {len(names) - _TIFIDS_NAMED} more" if len(names) > _TIFIDS_NAMED else ""
            text = f"no {variant.value} {tifid}; there are {shown}{more}"
        else:
            text = f"no {variant.value} {tifid}, and no other flow either"
        if self._reader.failed:
            self._say(text)
            return 3
        raise UsageError(text)


def _list(files: list[str], kinds: Any) -> int:
    """Print the flows of the captures by their handshakes, and return the exit status."""
    from tioption.capture import Segment
    from tioption.capture.segment import ACK
    from tioption.cli.progress import Progress
    from tioption.cli.reading import Reader
    from tioption.flow import ConnectionTable
    from tioption.render.values import peer_text

    reader = Reader(sys.stdout.flush, progress=Progress(visible=sys.stderr.isatty()))
    table = ConnectionTable()
    flows: dict[tuple[str, str], dict[int, Any]] = {}
    for file in files:
        for segment in reader.segments(file, kinds):
            if not isinstance(segment, Segment):
                continue
            connection = table.observe(segment)
            for option in segment.walk_options(kinds):
                flow = option.flow
                if flow is not None and flow.tifid.is_complete and segment.flags & ACK:
                    name = str(flow.tifid), flow.variant.value
                    flows.setdefault(name, {}).setdefault(connection.index, connection)
    for (tifid, variant), connections in flows.items():
        first = next(iter(connections.values()))
        peers = f"{peer_text(*first.client)} > {peer_text(*first.server)}"
        number = f"{len(connections)} transport{'s' if len(connections) != 1 else ''}"
        sys.stdout.write(f"{tifid}  {variant}  {peers}  {number}\n")
    sys.stdout.flush()
    sys.stderr.writelines(reader.remarks)
    reader.repeat(len(files))
    return 3 if reader.failed else 0


COMMAND = Command(
    "follow",
    "Write the octets of a flow's stream, over all its transports.",
    "Write the octets that one host of a flow sent the other, over all the transports that carried the flow: in order, "
    "each once. Several captures, given in the order of time, are one. Octets that were not captured are reported "
    "(exit status 3). Without a TIFID it lists the flows there are.",
    (
        "tiopt follow capture.pcap",
        "tiopt follow 5e1c07a9d344 capture.pcap > upload.bin",
        "tiopt follow 5e1c07a9d344 --from b -o download.bin monday.pcap tuesday.pcap.gz",
    ),
    Argument("words", "TIFID FILE", "The flow's identifier, 12 hexadecimal digits, and captures; - is standard input."),
    (
        Option(
            "sender",
            ("--from",),
            "Whose octets: a is the host that opened the flow, b the one that answered.",
            default="a",
            choices=("a", "b"),
        ),
        Flag("flow_c", ("--flow-c",), "Follow the flow-c flow of this TIFID, not the flow-d flow."),
        Option(
            "gaps",
            ("--gaps",),
            "What stands for octets that were not captured: zeros, so that all others keep their places, or nothing.",
            default="zero",
            choices=("zero", "skip"),
        ),
        *KIND_OPTIONS,
        Option("output", ("-o", "--output"), "Write to this file instead of standard output.", "OUT"),
    ),
    run,
)
