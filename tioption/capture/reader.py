"""A capture file as a stream of TCP segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType

from tioption.capture import pcap, pcapng
from tioption.capture.cursor import Cursor
from tioption.capture.dissection import Dissection
from tioption.capture.link import DECODED_LINK_TYPES, LINK_LAYERS, link_type_reason
from tioption.capture.record import Record
from tioption.capture.segment import CutSegment, Segment
from tioption.capture.source import Source
from tioption.capture.undecoded import UndecodedCounter
from tioption.option import Kinds


class Capture:
    """One capture file, read once from start to end in bounded memory.

    `name` is a path, or "-" for standard input; pcap, pcapng, gzip and zstd are recognised by content. `undecoded`
    counts what could not be decoded so far. A context manager; raises CaptureError where the file cannot be opened.
    """

    def __init__(self, name: str, on_read: Callable[[Source], None] | None = None, *, follow: bool = False) -> None:
        """Open the file; `on_read` is called with its source before each read, `follow` reads it on as it grows."""
        self.source = Source(name, on_read, follow=follow)
        self.undecoded = UndecodedCounter()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.source.close()

    def records(self) -> Iterator[Record]:
        """The frames in file order; raises CaptureError where the file is damaged or no capture at all."""
        cursor = Cursor(self.source)
        whole = cursor.fill(4)
        start = cursor.buffer[:4]
        magic = int.from_bytes(start, "big")
        if whole and magic in pcap.MAGICS:
            return pcap.records(cursor, DECODED_LINK_TYPES)
        if whole and magic == pcapng.SECTION_HEADER:
            return pcapng.records(cursor, DECODED_LINK_TYPES)
        shown = f"text that begins {start.decode()!r}" if start.isascii() and start.decode().isprintable() else ""
        found = (shown or f"the octets {start.hex(' ')}") if start else "an empty file"
        raise cursor.error("a pcap or pcapng file", found, None, 0)

    def segments(self, carriers: Kinds | None = None) -> Iterator[Segment | CutSegment]:
        """Every TCP segment in capture order, one per frame but for aggregates.

        With `carriers`, only segments whose captured options can hold a flow option of these kinds, which saves most of
        the work. Raises CaptureError where the file is damaged, after everything before the damage.
        """
        return segments(self.records(), self.undecoded, carriers)


def segments(
    records: Iterable[Record], undecoded: UndecodedCounter, carriers: Kinds | None = None
) -> Iterator[Segment | CutSegment]:
    """The TCP segments of frames, from a file or as they pass; `carriers` as for `Capture.segments`.

    What cannot be decoded is counted in `undecoded`.
    """
    frame = Dissection(undecoded, carriers.markers() if carriers is not None else ())
    for number, time_ns, link_type, data, length in records:
        layer = LINK_LAYERS.get(link_type)
        if layer is None:
            undecoded.add(link_type_reason(link_type), number)
            continue
        frame.begin(number, time_ns, data)
        layer(frame, 0, len(data), max(length, len(data)))
        if frame.segments:
            yield from frame.segments
