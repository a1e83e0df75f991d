"""What the fuzzers begin with: `python -m tests.fuzz.corpus FOLDER` writes FOLDER/walk and FOLDER/lines.

The captures of the repository, every scenario and every link layer, as files for the walker and, read, as records for
the printers of lines and rows; the segments of every scenario for the judge of ordinary connections.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.capture.test_batch import capture_of
from tests.capture.wraps import WRAPS
from tests.conftest import golden_captures
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import Observed
from tioption.capture import Capture
from tioption.capture.batch import RECORD
from tioption.capture.segment import ACK, SYN

_LARGEST = 60_000


def main(folder: Path) -> None:
    """Write the seeds."""
    captures = {path.stem: path.read_bytes() for path in golden_captures()}
    captures |= {name: scenario.pcap() for name, scenario in SCENARIOS.items()}
    for number, (name, wrap) in enumerate(WRAPS.items()):
        captures[f"wrap {name}"] = capture_of([(wrap.link_type, wrap.frame, len(wrap.frame))] * 2, "<>"[number % 2])
    for part in ("walk", "lines", "judge"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, octets in captures.items():
        path = folder / "walk" / name.replace(" ", "-")
        for mode in (1, 6) if len(octets) < _LARGEST else ():
            path.with_suffix(f".{mode}").write_bytes(octets + bytes((0x80 | mode,)))
        path = path.with_suffix(".capture")
        path.write_bytes(octets)
        with Capture(str(path)) as capture:
            for number, batch in enumerate(capture.batches()):
                count = min(255, len(batch))
                data = bytes(batch.data[: len(octets)])
                records = bytes(batch.records[: count * RECORD.size])
                (folder / "lines" / f"{path.stem}.{number}").write_bytes(bytes((1, count)) + records + data)
        path.unlink()
    for name, scenario in SCENARIOS.items():
        octets = b"".join(map(_judged, scenario.conversation().observed))
        (folder / "judge" / name).write_bytes(bytes(17) + octets)


def _judged(observed: Observed) -> bytes:
    """A segment as the harness of the judge reads it, with numbers that hang together within a handshake."""
    sent = observed.sent
    flags, options = sent.header.flags, sent.header.options
    numbers = 1 if flags & SYN and not flags & ACK else 1 | 2 << 3 if flags & SYN else 2 | 2 << 3
    length = len(options) // 4 | min(15, len(sent.payload)) << 4
    return bytes((1 if sent.side == "A" else 4, flags & 0xFF, numbers, length)) + options


if __name__ == "__main__":
    main(Path(sys.argv[1]))
