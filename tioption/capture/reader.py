"""A capture file as a stream of TCP segments, one by one or in batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from tioption.capture.batch import ROOM, Batch
from tioption.capture.cursor import Cursor
from tioption.capture.dissection import Dissection
from tioption.capture.link import DECODED_LINK_TYPES, LINK_LAYERS, link_type_reason
from tioption.capture.pcap import MAGICS, PcapFile
from tioption.capture.pcapng import SECTION_HEADER, PcapngFile
from tioption.capture.record import Record
from tioption.capture.segment import CutSegment, Segment
from tioption.capture.selection import EVERY, Select, Selector
from tioption.capture.source import Source
from tioption.capture.undecoded import UndecodedCounter
from tioption.errors import CaptureError
from tioption.option import DEFAULT_KINDS, Kinds

if TYPE_CHECKING:
    from collections.abc import Callable

_walk: Callable[..., tuple[int, int, int]] | None = None
if not os.environ.get("TIOPT_PURE"):
    with suppress(ImportError):  # installed without a compiler: the same in Python, slower
        from tioption.capture._walk import walk as _walk


class Capture:
    """One capture file, read once from start to end in bounded memory.

    `name` is a path, or "-" for standard input, or what to call `stream`, which is then read and closed in the end.
    pcap, pcapng, gzip and zstd are recognised by content; `undecoded` counts what could not be decoded so far. A
    context manager; raises CaptureError where the file cannot be opened.
    """

    def __init__(
        self,
        name: str,
        on_read: Callable[[Source], None] | None = None,
        stream: BinaryIO | None = None,
        *,
        follow: bool = False,
    ) -> None:
        """Open the file; `on_read` is called with its source before each read, `follow` reads it on as it grows."""
        self.source = Source(name, on_read, stream, follow=follow)
        self.undecoded = UndecodedCounter()
        self._opened: PcapFile | PcapngFile | None = None

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.source.close()

    @property
    def frames(self) -> int:
        """Frames read so far."""
        return self._opened.frame if self._opened is not None else 0

    def _file(self) -> PcapFile | PcapngFile:
        self._opened = self._recognised()
        return self._opened

    def _recognised(self) -> PcapFile | PcapngFile:
        cursor = Cursor(self.source)
        whole = cursor.fill(4)
        start = cursor.octets(0, min(4, cursor.end))
        magic = int.from_bytes(start, "big")
        if whole and magic in MAGICS:
            return PcapFile(cursor, DECODED_LINK_TYPES)
        if whole and magic == SECTION_HEADER:
            return PcapngFile(cursor, DECODED_LINK_TYPES)
        shown = f"text that begins {start.decode()!r}" if start.isascii() and start.decode().isprintable() else ""
        found = (shown or f"the octets {start.hex(' ')}") if start else "an empty file"
        raise cursor.error("a pcap or pcapng file", found, None, 0)

    def records(self) -> Iterator[Record]:
        """The frames in file order; raises CaptureError where the file is damaged or no capture at all."""
        return (record for record in self._file().steps() if record is not None)

    def segments(self, carriers: Kinds | None = None) -> Iterator[Segment | CutSegment]:
        """Every TCP segment in capture order, one per frame but for aggregates.

        With `carriers`, only segments whose captured options can hold a flow option of these kinds, which saves most of
        the work. Raises CaptureError where the file is damaged, after everything before the damage.
        """
        select = EVERY if carriers is None else Select(carriers)
        if _walk is not None:
            for batch in self.batches(select):
                yield from batch.segments()
            return
        yield from segments(self.records(), self.undecoded, carriers)

    def batches(self, select: Select = EVERY) -> Iterator[Batch]:
        """The wanted segments in capture order, in batches that are not empty; each holds until the next is asked for.

        A batch is handed on before a read that may have to wait. Raises CaptureError where the file is damaged, after
        everything before the damage.
        """
        file = self._file()
        cursor, steps = file.cursor, file.steps()
        selector, batch = Selector(select), Batch()
        frame = Dissection(self.undecoded, selector)
        kinds = select.carriers or DEFAULT_KINDS
        while True:
            batch.data = cursor.buffer
            if _walk is not None:
                cursor.position, file.frame, batch.count = _walk(
                    cursor.buffer,
                    cursor.position,
                    cursor.end,
                    file.frame,
                    file.order == ">",
                    file.header_octets,
                    file.unit,
                    file.interfaces,
                    select.wanted,
                    *kinds,
                    selector.acks,
                    batch.records,
                    batch.count,
                )
            # The octets of a batch must lie where they are until it is done with.
            needed = file.needed()
            whole = 0 < needed <= cursor.ahead
            if batch.count and (batch.count == ROOM or not whole):
                yield batch
                batch.clear()
                continue
            if _walk is not None and needed and not whole and cursor.fill(needed):
                continue
            try:
                record = next(steps)
            except StopIteration:
                return
            except CaptureError:
                if batch.count:
                    yield batch
                raise
            if record is None:
                continue
            found = _dissected(record, frame)
            cuts = iter(frame.cuts)
            for segment in found:
                if batch.count == ROOM:
                    yield batch
                    batch.clear()
                batch.add(segment, file.at, len(record.data), next(cuts) if isinstance(segment, CutSegment) else (0, 0))


def segments(
    records: Iterable[Record], undecoded: UndecodedCounter, carriers: Kinds | None = None
) -> Iterator[Segment | CutSegment]:
    """The TCP segments of frames, from a file or as they pass; `carriers` as for `Capture.segments`.

    What cannot be decoded is counted in `undecoded`.
    """
    frame = Dissection(undecoded, Selector(EVERY if carriers is None else Select(carriers)))
    for record in records:
        yield from _dissected(record, frame)


def _dissected(record: Record, frame: Dissection) -> list[Segment | CutSegment]:
    """The wanted segments of one frame; what cannot be decoded is counted."""
    number, time_ns, link_type, data, length = record
    layer = LINK_LAYERS.get(link_type)
    frame.begin(number, time_ns, data)
    if layer is None:
        frame.leave(link_type_reason(link_type))
    else:
        layer(frame, 0, len(data), max(length, len(data)))
    return frame.segments
