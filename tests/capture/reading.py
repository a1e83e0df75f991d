"""A capture's records, with the error that ended them."""

from __future__ import annotations

from pathlib import Path

from tioption.capture import Capture
from tioption.capture.record import Record
from tioption.errors import CaptureError


def records(path: Path, octets: bytes) -> tuple[list[Record], CaptureError | None]:
    """What reading these octets from a file of this name yields before it ends, and why it ends if not by itself."""
    path.write_bytes(octets)
    found: list[Record] = []
    try:
        with Capture(str(path)) as capture:
            for record in capture.records():
                found.append(record)  # noqa: PERF402  what came before an error must be kept
    except CaptureError as error:
        return found, error
    return found, None
