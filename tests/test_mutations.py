"""20,000 damaged captures: decoding each ends in status 0 or 3, without a traceback, within bounded memory.

Every fifth is validated as well, where status 1 is an answer, too.

Each worker process may have 512 MiB of address space and takes its share of the seeds. A failing seed is printed; run
it alone with `python -m tests.test_mutations SEED`.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random

import pytest

from tests.capture.wraps import WRAPS
from tests.conftest import ROOT, golden_captures, shared_captures
from tioption.build.capture_file import pcap
from tioption.cli import main

MUTATIONS = 20_000
WORKERS = 2
ADDRESS_SPACE = 512 << 20
FORMS = (["--format", "text"], ["--format", "json"], ["--format", "csv"], ["--style", "paper"], ["--format", "table"])


def originals() -> list[bytes]:
    """The captures to damage: those of the repository, those beside it, and every link layer."""
    files = [path.read_bytes() for path in [*golden_captures(), *shared_captures()]]
    return files + [pcap([(0, wrap.frame)] * 2, wrap.link_type) for wrap in WRAPS.values()]


def mutated(original: bytes, random: Random) -> bytes:
    """One damaged copy: bits flipped, octets overwritten by telling values, cut, repeated, or lengths replaced."""
    octets = bytearray(original)
    for _ in range(random.choice((1, 1, 2, 5, 30))):
        at = random.randrange(len(octets))
        match random.randrange(6):
            case 0:
                octets[at] ^= 1 << random.randrange(8)
            case 1:
                octets[at] = random.choice((0, 1, 0x14, 0x7F, 0x80, 0xFD, 0xFE, 0xFF))
            case 2:
                octets[at : at + 4] = random.choice((0, 1, 0xFFFFFFFF, 0x7FFFFFFF, len(original), 65535)).to_bytes(
                    4, "little"
                )
            case 3:
                octets[at : at + 2] = random.randrange(65536).to_bytes(2, "big")
            case 4:
                del octets[at : at + random.choice((1, 4, 1000))]
            case 5:
                octets[at:at] = octets[at : at + random.choice((1, 4, 100))]
        if not octets:
            octets = bytearray(original[:1])
    if random.randrange(4) == 0:
        del octets[random.randrange(len(octets)) :]
    return bytes(octets)


def run(seed: int, files: list[bytes], path: Path) -> str | None:
    """What is wrong with the run of one seed, None where nothing is."""
    random = Random(seed)
    path.write_bytes(mutated(random.choice(files), random))
    complaint = attempt(["decode", *random.choice(FORMS), *random.choice(([], ["--all"])), str(path)], {0, 3})
    if complaint is None and seed % 5 == 0:
        complaint = attempt(["validate", "--format", random.choice(("text", "json", "junit")), str(path)], {0, 1, 3})
    return None if complaint is None else f"seed {seed}: {complaint}"


def attempt(words: list[str], statuses: set[int]) -> str | None:
    """What is wrong with a run of these words, None where nothing is."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(words)
    complaint = err.getvalue()
    lines = complaint.splitlines()
    wrong = status not in statuses or "Traceback" in complaint or "internal error" in complaint
    wrong = wrong or (status == 3) != any(": expected " in line for line in lines)
    return f"status {status}, {words}: {complaint}" if wrong else None


def work(seeds: range) -> None:
    """Run the seeds in this process, with its memory limited, and print what went wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    os.environ["TIOPT_DEBUG"] = "1"
    files = originals()
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            complaint = run(seed, files, Path(folder) / "x")
            if complaint is not None:
                print(complaint)  # noqa: T201
    print(f"ran {len(seeds)} peak {peak_memory()}")  # noqa: T201


def peak_memory() -> int:
    """MiB of memory this process has used at most; ru_maxrss would count what its parent used before the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def test_mutated_captures_end_in_0_or_3_within_bounded_memory() -> None:
    share = MUTATIONS // WORKERS
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.test_mutations", str(share * number), str(share * (number + 1))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        for number in range(WORKERS)
    ]
    try:
        outputs = [worker.communicate(timeout=900)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    for worker, out in zip(workers, outputs, strict=True):
        lines = out.splitlines()
        assert worker.returncode == 0, out[-5000:]
        assert len(lines) == 1, out[:5000]
        ran, peak = lines[0].split()[1::2]
        assert int(ran) == share
        assert int(peak) < 128  # MiB, of which Python, Rich and the originals are about 50


def test_mutations_differ_and_repeat() -> None:
    files = originals()
    made = {mutated(files[0], Random(seed)) for seed in range(200)}
    assert len(made) > 150
    assert mutated(files[0], Random(7)) == mutated(files[0], Random(7))


if __name__ == "__main__":
    first = int(sys.argv[1])
    work(range(first, int(sys.argv[2]) if len(sys.argv) > 2 else first + 1))
else:
    pytest.importorskip("resource")
