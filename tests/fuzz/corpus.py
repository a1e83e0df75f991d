"""What the fuzzers begin with: `python -m tests.fuzz.corpus FOLDER` writes FOLDER/walk and FOLDER/lines.

The captures of the repository, every scenario and every link layer, as files for the walker and, read, as records for
the printer of lines.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.capture.test_batch import capture_of
from tests.capture.wraps import WRAPS
from tests.conftest import golden_captures
from tioption.build.catalogue import SCENARIOS
from tioption.capture import Capture
from tioption.capture.batch import RECORD

_LARGEST = 60_000


def main(folder: Path) -> None:
    """Write the seeds."""
    captures = {path.stem: path.read_bytes() for path in golden_captures()}
    captures |= {name: scenario.pcap() for name, scenario in SCENARIOS.items()}
    for number, (name, wrap) in enumerate(WRAPS.items()):
        captures[f"wrap {name}"] = capture_of([(wrap.link_type, wrap.frame, len(wrap.frame))] * 2, "<>"[number % 2])
    for part in ("walk", "lines"):
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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
