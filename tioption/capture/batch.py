"""Segments in batches: a chunk of the capture and records of fixed size that say where in it the segments lie.

A record is the C struct of `_record.h`, which documents its fields; FIELDS states the same for Python. numpy reads the
records of a batch with `numpy.frombuffer(batch.records, numpy.dtype(DTYPE), count=len(batch))`.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from tioption.capture.segment import CutSegment, Segment

FIELDS: Final = (
    ("frame", 0, "Q"),
    ("time_ns", 8, "q"),
    ("at", 16, "I"),
    ("captured", 20, "I"),
    ("offset", 24, "I"),
    ("end", 28, "I"),
    ("length", 32, "I"),
    ("seq", 36, "I"),
    ("ack", 40, "I"),
    ("sport", 44, "H"),
    ("dport", 46, "H"),
    ("flags", 48, "H"),
    ("window", 50, "H"),
    ("header_length", 52, "B"),
    ("address", 53, "B"),
    ("time_kind", 54, "B"),
    ("kind", 55, "B"),
    ("src", 56, "16s"),
    ("dst", 72, "16s"),
)
"""Name, octet in the record and struct format of each field, in the machine's byte order and without padding."""

RECORD: Final = Struct("=" + "".join(form for _, _, form in FIELDS))
"""A record of 88 octets."""

DTYPE: Final = [(name, form.replace("16s", "V16")) for name, _, form in FIELDS]
"""The fields as numpy.dtype takes them; addresses are V16, of which the first `address` octets count."""

WHOLE, CUT = 0, 1
"""Values of `kind`: a segment whose fixed header was captured whole, and one of which only 4 to 19 octets were."""

NO_TIME, TIME_NS, LARGE_TIME = 0, 1, 2
"""Values of `time_kind`: none, nanoseconds in `time_ns`, an index into `Batch.large_times` there."""

ROOM: Final = 8192
"""Records a batch has room for."""


class Batch:
    """The wanted segments of a stretch of a capture, in capture order.

    `data` holds the frames' octets; `records` has `len(batch)` records of RECORD.size octets that point into it. Both
    are reused: they hold until the next batch is asked for. What of them must be kept longer is to be copied; the
    segments that `segments()` makes are copies.
    """

    def __init__(self) -> None:
        """An empty batch."""
        self.data: bytearray = bytearray()
        self.records = bytearray(ROOM * RECORD.size)
        self.large_times: list[int] = []
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def clear(self) -> None:
        """Forget the records."""
        self.count = 0
        self.large_times.clear()

    def add(self, segment: Segment | CutSegment, at: int, captured: int, cut: tuple[int, int] = (0, 0)) -> None:
        """Append the record of a segment in the frame of `captured` octets at `at`; there must be room.

        Of a cut segment, `cut` says where it begins in the frame and how long it is on the wire.
        """
        time_ns, time_kind = segment.time_ns, TIME_NS
        if time_ns is None:
            time_ns, time_kind = 0, NO_TIME
        elif not -(1 << 63) <= time_ns < 1 << 63:
            self.large_times.append(time_ns)
            time_ns, time_kind = len(self.large_times) - 1, LARGE_TIME
        src, dst = segment.src, segment.dst
        values: tuple[int, ...]
        if isinstance(segment, Segment):
            frame, _, _, offset, end, length, _, _, sport, dport, seq, ack, header_length, flags, window = segment
            values = (
                offset,
                end,
                length,
                seq,
                ack,
                sport,
                dport,
                flags,
                window,
                header_length,
                len(src),
                time_kind,
                WHOLE,
            )
        else:
            frame, (offset, length) = segment.frame, cut
            end = offset + len(segment.header)
            values = offset, end, length, 0, 0, segment.sport, segment.dport, 0, 0, 0, len(src), time_kind, CUT
        RECORD.pack_into(self.records, self.count * RECORD.size, frame, time_ns, at, captured, *values, src, dst)
        self.count += 1

    def segments(self, start: int = 0, end: int | None = None) -> Iterator[Segment | CutSegment]:
        """The segments of the records from `start` to before `end`, as values with copies of their frames."""
        end = self.count if end is None else end
        data = memoryview(self.data)
        for (
            frame,
            time_ns,
            at,
            captured,
            offset,
            stop,
            length,
            seq,
            ack,
            sport,
            dport,
            flags,
            window,
            header_length,
            size,
            time_kind,
            kind,
            src,
            dst,
        ) in RECORD.iter_unpack(memoryview(self.records)[start * RECORD.size : end * RECORD.size]):
            octets = bytes(data[at : at + captured])
            if size == 4:
                src, dst = src[:4], dst[:4]  # noqa: PLW2901  what follows is zeros
            if time_kind != TIME_NS:
                time_ns = self.large_times[time_ns] if time_kind == LARGE_TIME else None  # noqa: PLW2901
            if kind == CUT:
                yield CutSegment(frame, time_ns, src, dst, octets[offset:stop])
                continue
            yield Segment(
                frame,
                time_ns,
                octets,
                offset,
                stop,
                length,
                src,
                dst,
                sport,
                dport,
                seq,
                ack,
                header_length,
                flags,
                window,
            )

    def segment(self, index: int) -> Segment | CutSegment:
        """The segment of one record."""
        return next(self.segments(index, index + 1))
