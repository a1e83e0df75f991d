"""Work in several processes: the same octets, whatever happens to the processes."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome, needs, tiopt_process
from tioption.build.catalogue import SCENARIOS
from tioption.cli.declare import MachineError
from tioption.cli.decode import decode_file
from tioption.cli.jobs import Done, Mapping, Stretch, mapped, workers
from tioption.cli.progress import Progress
from tioption.option import DEFAULT_KINDS

Run = Callable[..., Outcome]
TRACE1, TRACE2, RESUME = (ROOT / f"pcaps/{name}/{name}.pcap" for name in ("trace1", "trace2", "resume"))
ONCE = "could not be read to"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Nine files, of which one is damaged, one no capture and one not there."""
    made = []
    for number, name in enumerate(("established", "resume", "est-05-wrong", "opt-08-wrong", "res-02-wrong", "echo")):
        made.append(tmp_path / f"{number}.pcap")
        made[-1].write_bytes(SCENARIOS[name].pcap() if name in SCENARIOS else TRACE1.read_bytes())
    damaged, text = tmp_path / "damaged.pcap", tmp_path / "text"
    damaged.write_bytes(TRACE2.read_bytes()[:-5])
    text.write_text("no capture\n")
    return [*made[:2], damaged, *made[2:4], text, tmp_path / "nothing", *made[4:]]


WORDS = [
    *(["decode", "-f", form] for form in ("text", "table", "json", "csv")),
    ["decode", "--all", "--style", "paper"],
    *(["validate", "-f", form] for form in ("text", "json", "junit")),
]


@pytest.mark.parametrize("words", WORDS)
def test_any_number_of_jobs_writes_the_same(words: list[str], files: list[Path], tiopt: Run) -> None:
    one = tiopt(*words, "--jobs", "1", *files)
    assert one.status == 3
    assert one.err.count("damaged.pcap") == 2
    assert f"3 of 9 files {ONCE} their end:\n" in one.err
    for jobs in ("2", "3"):
        assert tiopt(*words, "--jobs", jobs, *files) == one


@pytest.mark.parametrize("form", ["text", "csv"])
def test_an_output_file(form: str, files: list[Path], tmp_path: Path, tiopt: Run) -> None:
    done = tiopt("decode", "-f", form, "--jobs", "1", *files)
    for jobs in ("1", "2"):
        out = tmp_path / f"out{jobs}"
        assert tiopt("decode", "-f", form, "--jobs", jobs, "-o", out, *files) == done._replace(out="")
        assert out.read_text() == done.out


@pytest.mark.parametrize("words", [("decode", "--all"), ("validate",)])
@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_redirected_output(words: tuple[str, ...], mode: str, files: list[Path], tmp_path: Path) -> None:
    """The kernel copies to a file, but not to one that is appended to."""
    made = []
    for jobs in ("1", "2"):
        path = tmp_path / f"out{jobs}"
        path.write_text("what was there\n")
        command = [sys.executable, "-m", "tioption.cli", *words, "--jobs", jobs, *files]
        with path.open(mode) as out:
            assert subprocess.run(command, stdout=out, stderr=subprocess.DEVNULL, check=False).returncode == 3
        made.append(path.read_text())
    assert made[0] == made[1]
    assert made[0].startswith("what was there\n") is (mode == "ab")


def test_standard_input_among_files() -> None:
    words = ["-", TRACE1, TRACE2]
    one = tiopt_process("decode", "--jobs", "1", *words, stdin=RESUME.read_bytes())
    assert one == tiopt_process("decode", "--jobs", "2", *words, stdin=RESUME.read_bytes())
    assert one.out.count("\n") > 6
    words = [TRACE1, "-", TRACE2]
    for command in (["decode", "-f", "table"], ["validate"]):
        done = [tiopt_process(*command, "-j", jobs, *words, stdin=RESUME.read_bytes()) for jobs in "12"]
        assert done[0] == done[1]


def test_the_output_of_a_latin_1_terminal(files: list[Path]) -> None:
    name = files[0].with_name("caf\xe9\u20ac.pcap")
    name.write_bytes(files[0].read_bytes())
    for encoding in ("latin-1", "ascii", "utf-8"):
        env = {"PYTHONIOENCODING": encoding}
        for words in (["decode", "-f", "csv"], ["validate", "-f", "text"]):
            done = [
                subprocess.run(
                    [sys.executable, "-m", "tioption.cli", *words, "--jobs", jobs, name, files[1]],
                    capture_output=True,
                    env={**os.environ, **env},
                    check=True,
                ).stdout
                for jobs in "12"
            ]
            assert done[0] == done[1]
            assert b"caf" in done[0]


def test_how_many_processes(files: list[Path]) -> None:
    names = list(map(str, files))
    assert workers(2, names, 1 << 30) == 2
    assert workers(99, names, 1 << 30) == len(names)
    assert workers(2, ["-", names[0]], 0) == 1
    assert workers(None, names[:2], 1 << 30) == 1
    most = min(2, len(os.sched_getaffinity(0)))
    assert workers(None, names[:2], 0) == most
    size = sum(Path(name).stat().st_size for name in names[:2])
    packed = [f"{name}.gz" for name in names[:2]]
    for name, other in zip(names, packed, strict=False):
        Path(other).write_bytes(gzip.compress(Path(name).read_bytes()))
    assert workers(None, names[:2], size) == 1
    assert workers(None, packed, size) == most
    assert workers(None, ["http://192.0.2.1/x", "http://192.0.2.1/y"], 1 << 60) == most


@pytest.fixture
def long(tmp_path: Path) -> list[str]:
    """Captures whose rows are some 1.2 MB of JSON each."""
    names = []
    for number in range(5):
        path = tmp_path / f"{number}.pcap"
        path.write_bytes(RESUME.read_bytes()[:24] + RESUME.read_bytes()[24:] * 200)
        names.append(str(path))
    return names


def made_by_two(names: list[str], spool: int) -> bytes:
    """What two workers make of the files, each of which may be so many octets ahead."""
    work = partial(decode_file, form="json", paper=False, kinds=DEFAULT_KINDS, every=True)
    octets, done = b"", []
    for event in mapped(Mapping(work, names, "utf-8", "strict", Progress(visible=False)), 2, spool):
        if isinstance(event, Stretch):
            octets += b"".join(event.octets())
        elif isinstance(event, Done):
            assert event.outcome.lacking == ""
            done.append(event.number)
    assert done == list(range(len(names)))
    return octets


def test_a_full_spool_waits_for_its_turn(long: list[str]) -> None:
    made = made_by_two(long, 1000)
    assert made == made_by_two(long, 1 << 20)
    assert made.count(b"\n") == 5 * 200 * 19


@pytest.mark.parametrize("size", ["1m", "2m", "3m"])
def test_a_full_disk_waits_for_its_turn(
    long: list[str], size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is room for none of the outputs, or for one or two of five."""
    small = tmp_path / "small"
    small.mkdir()
    command = [needs("mount"), "-t", "tmpfs", "-o", f"size={size}", "tiopt-test", str(small)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system needs root")
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        made = made_by_two(long, 1 << 29)
    finally:
        subprocess.run([needs("umount"), str(small)], check=True)
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert made == made_by_two(long, 1 << 29)


def _lacking(file: str, out: object, reader: object) -> None:
    raise MachineError("a thing that is not there")


def _broken(file: str, out: object, reader: object) -> None:
    raise ZeroDivisionError(file)


def _full(file: str, out: object, reader: object) -> None:
    raise OSError(28, "No space left on device")


def test_what_goes_wrong_in_a_worker_is_said_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("TIOPT_DEBUG", raising=False)
    names = [str(TRACE1), str(TRACE2)]
    with pytest.raises(MachineError, match="a thing that is not there"):
        list(mapped(Mapping(_lacking, names, "utf-8", "strict", Progress(visible=False)), 2))
    with pytest.raises(MachineError, match=r"cannot keep the output of .*: no space left on device"):
        list(mapped(Mapping(_full, names, "utf-8", "strict", Progress(visible=False)), 2))
    events = list(mapped(Mapping(_broken, names, "utf-8", "strict", Progress(visible=False)), 2))
    assert [event.outcome.errors for event in events if isinstance(event, Done)] == [
        (f"tiopt: {name}: internal error, please report it: ZeroDivisionError: {name}\n",) for name in names
    ]


# Ends.


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@contextmanager
def at_work(*words: object, jobs: int = 2) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process whose workers are all at work; none of them is left afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tioption.cli", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 20
        while len(found := children(process.pid)) < jobs or not all(map(is_waiting, found)):
            assert time.monotonic() < until
            time.sleep(0.05)
        yield process, found
        until = time.monotonic() + 2
        while any(Path(f"/proc/{pid}").exists() for pid in found):
            assert time.monotonic() < until, "a worker was left"
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()


def is_waiting(pid: int) -> bool:
    """Whether the process waits for the writer of a FIFO."""
    return (
        "fifo" in Path(f"/proc/{pid}/wchan").read_text()
        or b"wait_for_partner" in Path(f"/proc/{pid}/wchan").read_bytes()
    )


@pytest.fixture
def fifos(tmp_path: Path) -> list[Path]:
    """Files that nobody ever writes."""
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        os.mkfifo(path)
    return paths


def test_a_killed_worker_is_an_error_of_its_file(fifos: list[Path]) -> None:
    with at_work("decode", "--jobs", "2", fifos[0], TRACE2, fifos[1], TRACE1) as (process, found):
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=20)
    lines = [
        f"tiopt: {path}: expected the process that reads it to do so to its end, found it killed by SIGKILL\n"
        for path in fifos
    ]
    again = f"tiopt: 2 of 4 files {ONCE} their end:\n"
    assert err.decode() == "".join(lines) + again + "".join(lines)
    assert out.decode() == tiopt_process("decode", TRACE2, TRACE1).out
    assert process.returncode == 3


@pytest.mark.parametrize("command", ["decode", "validate"])
def test_ctrl_c_ends_all_quietly_and_soon(command: str, fifos: list[Path]) -> None:
    with at_work(command, "--jobs", "2", *fifos) as (process, _):
        start = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - start < 2
    assert (process.returncode, out, err) == (130, b"", b"")


def test_workers_do_not_outlive_a_killed_process(fifos: list[Path]) -> None:
    with at_work("decode", "--jobs", "2", *fifos) as (process, _):
        process.kill()


def test_a_reader_who_has_seen_enough(tmp_path: Path) -> None:
    large = tmp_path / "x.pcap"
    large.write_bytes(RESUME.read_bytes()[:24] + RESUME.read_bytes()[24:] * 20_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "tioption.cli", "decode", "--all", "--jobs", "2", large, large],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 141
    assert process.stderr.read() == b""
    process.stderr.close()
