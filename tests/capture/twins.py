"""The C walker and its twin in Python, run on the same octets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from tioption.capture import Capture, CutSegment, Segment, reader
from tioption.capture.batch import LARGE_TIME, RECORD
from tioption.capture.selection import EVERY, Select
from tioption.errors import CaptureError

WALK = reader._walk


class Reading(NamedTuple):
    """All that a reading of a capture gives."""

    segments: list[Segment | CutSegment]
    records: list[tuple[object, ...]]
    undecoded: list[str]
    error: str | None


def needs_walker() -> None:
    """Skips where the package was built without its C walker; fails where TIOPT_REQUIRE_LIVE says it must be there."""
    if WALK is None:
        reason = "tioption was built without a C compiler, or TIOPT_PURE is set"
        if os.environ.get("TIOPT_REQUIRE_LIVE") and not os.environ.get("TIOPT_PURE"):
            pytest.fail(f"{reason}, and TIOPT_REQUIRE_LIVE is set")
        pytest.skip(reason)


def read(path: Path, select: Select = EVERY, *, pure: bool) -> Reading:
    """Read a capture in batches, in C or in Python."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_walk", None if pure else WALK)
        segments: list[Segment | CutSegment] = []
        records: list[tuple[object, ...]] = []
        error = None
        with Capture(str(path)) as capture:
            try:
                for batch in capture.batches(select):
                    assert len(batch) > 0
                    made = list(batch.segments())
                    segments += made
                    # Where a frame lies in the chunk depends on where the reads ended; nothing else does.
                    for index in range(len(batch)):
                        frame, time, _, *rest = RECORD.unpack_from(batch.records, index * RECORD.size)
                        time = batch.large_times[time] if rest[12] == LARGE_TIME else time
                        records.append((frame, time, *rest))
            except CaptureError as damage:
                error = str(damage)
            undecoded = [str(item) for item in capture.undecoded]
    return Reading(segments, records, undecoded, error)


def assert_same(path: Path, select: Select = EVERY) -> Reading:
    """Both give the same; returns it."""
    walked, pure = read(path, select, pure=False), read(path, select, pure=True)
    assert walked.error == pure.error
    assert walked.undecoded == pure.undecoded
    assert walked.segments == pure.segments
    assert walked.records == pure.records
    return walked
