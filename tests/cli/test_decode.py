"""`tiopt decode` as its users run it: formats, files, standard input, errors, and what it says of damage."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.capture import blocks
from tests.capture.wraps import IP4, IP6, WRAPS, ethernet
from tests.conftest import ROOT, Outcome, golden_captures, tiopt_process
from tioption.build.capture_file import pcap
from tioption.columns import arrow
from tioption.columns.arrow import SCHEMA
from tioption.render.rows import KEYS
from tioption.render.values import seconds_text

Run = Callable[..., Outcome]
TRACE2 = ROOT / "pcaps/trace2/trace2.pcap"
RESUME = ROOT / "pcaps/resume/resume.pcap"


@pytest.fixture
def wraps(tmp_path: Path) -> Path:
    """Three frames: one with a flow option, one that cannot be decoded, one cut in its TCP header."""
    path = tmp_path / "wraps.pcap"
    path.write_bytes(
        pcap([(0, ethernet(0x0800, IP4)), (1000, ethernet(0x0800, IP4)[:20]), (2000, ethernet(0x0800, IP4)[:50])])
    )
    return path


class TestFormats:
    def test_text_is_the_default_where_nobody_looks(self, tiopt: Run) -> None:
        assert tiopt("decode", TRACE2) == tiopt("decode", "--format", "text", TRACE2)
        assert (
            tiopt("decode", TRACE2)
            .out.splitlines()[2]
            .endswith(
                "win 8326, options [nop,nop,TS val 110 ecr 138,"
                "flow-d tifid 0a4530be79bf tiseq 00000000001d tiack 00000000001f], length 0"
            )
        )

    def test_json_has_the_contract_s_keys_in_order(self, tiopt: Run) -> None:
        rows = [json.loads(line) for line in tiopt("decode", "--format", "json", TRACE2).out.splitlines()]
        assert len(rows) == 3
        for row in rows:
            assert tuple(row) == KEYS
        assert rows[0]["time"] == "1312192800.000000000"
        assert rows[0]["file"] == str(TRACE2)
        assert [finding["rule"] for finding in rows[0]["findings"]] == ["EST-02"]

    def test_json_has_nulls_where_a_segment_has_nothing(self, wraps: Path, tiopt: Run) -> None:
        rows = [json.loads(line) for line in tiopt("decode", "--all", "-f", "json", wraps).out.splitlines()]
        assert [row["frame"] for row in rows] == [1, 3]
        assert {key for key in KEYS if rows[1][key] is None} == {"variant", "tifid", "tiseq", "tiack"}
        assert (rows[1]["seq"], rows[1]["flags"], rows[1]["findings"]) == (1000, "S", [])

    def test_csv(self, tiopt: Run) -> None:
        rows = list(csv.DictReader(StringIO(tiopt("decode", "--format", "csv", RESUME, TRACE2).out)))
        assert len(rows) == 9
        assert tuple(rows[0]) == KEYS
        assert rows[3]["tiseq"] == "000000000405"
        assert rows[0]["findings"] == "EST-02 warning: initial TISeq 00000000001d is small enough to be guessed"

    def test_table(self, tiopt: Run) -> None:
        out = tiopt("decode", "--format", "table", TRACE2).out.splitlines()
        assert out[0].split()[-4:] == ["tifid", "tiseq", "tiack", "findings"]
        assert len(out) == 4
        assert "0a4530be79bf" in out[3]
        assert out[1].endswith("EST-02")

    @pytest.mark.parametrize(("columns", "gone"), [(200, ""), (120, "ack"), (100, "time"), (60, "frame")])
    def test_a_narrow_terminal_gets_fewer_columns(
        self, columns: int, gone: str, tiopt: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = tiopt("decode", "--format", "table", RESUME).out.splitlines()
        assert gone not in lines[0].split()
        assert "tifid" in lines[0]
        if columns > 90:
            assert max(map(len, lines)) <= columns

    def test_table_is_the_default_on_a_terminal_and_has_colour_there(self) -> None:
        import pty

        master, slave = pty.openpty()
        environment = {**os.environ, "COLUMNS": "160", "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "tioption.cli", "decode", str(TRACE2)], stdout=slave, stderr=slave, env=environment
        )
        os.close(slave)
        shown = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        os.close(master)
        assert process.wait(30) == 0
        assert b"\x1b[" in shown
        assert shown.count(b"0a4530be79bf") == 2
        assert b"destination" in shown

    def test_every_segment_once_with_all(self, tiopt: Run) -> None:
        assert len(tiopt("decode", "--all", RESUME).out.splitlines()) == 19
        assert len(tiopt("decode", RESUME).out.splitlines()) == 6

    def test_one_row_per_option_but_one_line_per_segment(self, tmp_path: Path, tiopt: Run) -> None:
        from tests.capture.wraps import A4, B4, FLOW
        from tioption.build.packet import TcpHeader, ip_packet, tcp_segment

        path = tmp_path / "x.pcap"
        path.write_bytes(
            pcap([(0, ip_packet(A4, B4, tcp_segment(A4, B4, TcpHeader(1, 0, 2, 3, bytes(FLOW) * 2))))], 101)
        )
        rows = [json.loads(line) for line in tiopt("decode", "-f", "json", path).out.splitlines()]
        assert [[finding["rule"] for finding in row["findings"]] for row in rows] == [["OPT-04"], ["OPT-04"]]
        assert tiopt("decode", path).out.count("\n") == 1


class TestColumns:
    """Parquet and Arrow: the rows of JSON in other terms."""

    @staticmethod
    def rows(path: Path, form: str) -> list[dict[str, Any]]:
        table = parquet.read_table(path) if form == "parquet" else pa.ipc.open_stream(path).read_all()
        assert table.schema == SCHEMA
        made: list[dict[str, Any]] = table.set_column(2, "time", table.column("time").cast(pa.int64())).to_pylist()
        for row in made:
            row["time"] = seconds_text(row["time"])
            row |= {name: None if row[name] is None else f"{row[name]:012x}" for name in ("tiseq", "tiack")}
        return made

    @pytest.mark.parametrize("every", [(), ("--all",)])
    @pytest.mark.parametrize("form", ["parquet", "arrow"])
    def test_the_rows_of_json(self, tmp_path: Path, form: str, every: tuple[str, ...], tiopt: Run) -> None:
        out = tmp_path / "out"
        files = [*golden_captures(), RESUME]
        assert tiopt("decode", *every, "-f", form, *files, "-o", out) == Outcome(0, "", "")
        expected = [json.loads(line) for line in tiopt("decode", *every, "-f", "json", *files).out.splitlines()]
        assert self.rows(out, form) == expected

    @pytest.mark.parametrize("form", ["parquet", "arrow"])
    def test_standard_output(self, tmp_path: Path, form: str) -> None:
        command = [sys.executable, "-m", "tioption.cli", "decode", "-f", form, "-"]
        run = subprocess.run(command, input=RESUME.read_bytes(), capture_output=True, check=True)
        (tmp_path / "out").write_bytes(run.stdout)
        assert [row["file"] for row in self.rows(tmp_path / "out", form)] == ["-"] * 6

    @pytest.mark.parametrize("form", ["parquet", "arrow"])
    def test_what_comes_before_damage_is_written(self, tmp_path: Path, form: str, tiopt: Run) -> None:
        cut = tmp_path / "cut.pcap"
        cut.write_bytes(TRACE2.read_bytes()[:-3])
        status, out, err = tiopt("decode", "-f", form, cut, TRACE2, "-o", tmp_path / "out")
        assert (status, out) == (3, "")
        assert "cut.pcap: frame 3" in err
        assert [row["frame"] for row in self.rows(tmp_path / "out", form)] == [1, 2, 1, 2, 3]

    @pytest.mark.parametrize("form", ["parquet", "arrow"])
    def test_nothing_is_a_file_without_rows(self, tmp_path: Path, form: str, tiopt: Run) -> None:
        assert tiopt("decode", "-f", form, "--kind-d", "77", TRACE2, "-o", tmp_path / "out").status == 0
        assert self.rows(tmp_path / "out", form) == []

    def test_row_groups(self, tmp_path: Path, tiopt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(arrow, "ROW_GROUP", 5)
        tiopt("decode", "-f", "parquet", *[TRACE2] * 5, "-o", tmp_path / "out")
        file = parquet.ParquetFile(tmp_path / "out")
        assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [6, 6, 3]

    @pytest.mark.parametrize("form", ["parquet", "arrow"])
    @pytest.mark.parametrize("count", [1, 3, 4, 9, 20])
    def test_as_many_as_were_asked_for(self, tmp_path: Path, form: str, count: int, tiopt: Run) -> None:
        tiopt("decode", "-f", form, "-c", count, TRACE2, RESUME, "-o", tmp_path / "out")
        every = [json.loads(line) for line in tiopt("decode", "-f", "json", TRACE2, RESUME).out.splitlines()]
        assert self.rows(tmp_path / "out", form) == every[:count]

    def test_not_from_an_interface(self, tiopt: Run) -> None:
        status, out, err = tiopt("decode", "-f", "arrow", "-i", "lo", "-o", "/dev/null")
        assert (status, out) == (2, "")
        assert "live: tcpdump -i lo -U -w - tcp | tiopt decode --format arrow -" in err

    def test_arrow_comes_while_a_pipe_is_open(self) -> None:
        octets = RESUME.read_bytes()
        command = [sys.executable, "-m", "tioption.cli", "decode", "-f", "arrow", "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(octets)
            process.stdin.flush()
            stream = pa.ipc.open_stream(process.stdout)
            assert stream.read_next_batch().num_rows > 0
            process.stdin.close()
            with pytest.raises(StopIteration):
                stream.read_next_batch()
            assert process.wait() == 0

    @pytest.mark.parametrize("form", ["parquet", "arrow"])
    def test_not_to_a_terminal(self, form: str, tiopt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        status, out, err = tiopt("decode", "-f", form, TRACE2)
        assert (status, out) == (2, "")
        assert f"--format {form} is not for a terminal: name a file with -o OUT, or redirect the output" in err

    @pytest.mark.parametrize("form", ["parquet", "arrow"])
    def test_without_the_library(self, form: str, tmp_path: Path) -> None:
        """And what was in the output file stays there."""
        (tmp_path / "out").write_text("kept")
        code = (
            "import sys, importlib.util as util; find = util.find_spec;"
            "util.find_spec = lambda name, *more: None if name == 'pyarrow' else find(name, *more);"
            "from tioption.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        words = ["decode", "-f", form, str(TRACE2), "-o", str(tmp_path / "out")]
        run = subprocess.run([sys.executable, "-c", code, *words], check=False, capture_output=True, text=True)
        assert run.returncode == 4
        assert run.stderr == f"tiopt: --format {form} needs pyarrow: pip install 'tioption[parquet]'\n"
        assert (tmp_path / "out").read_text() == "kept"

    @pytest.mark.parametrize("form", ["parquet", "arrow"])
    def test_a_disk_that_is_full_is_one_line(self, form: str) -> None:
        assert tiopt_process("decode", "-f", form, RESUME, "-o", "/dev/full") == Outcome(
            4, "", "tiopt: cannot write the output: no space left on device\n"
        )


class TestFiles:
    def test_several_files_in_order(self, tiopt: Run) -> None:
        rows = [json.loads(line) for line in tiopt("decode", "-f", "json", RESUME, TRACE2, RESUME).out.splitlines()]
        assert [row["file"] for row in rows] == [str(RESUME)] * 6 + [str(TRACE2)] * 3 + [str(RESUME)] * 6

    def test_standard_input(self) -> None:
        for octets in (TRACE2.read_bytes(), gzip.compress(TRACE2.read_bytes())):
            done = tiopt_process("decode", "--format", "json", "-", stdin=octets)
            assert (done.status, done.err) == (0, "")
            assert [json.loads(line)["file"] for line in done.out.splitlines()] == ["-"] * 3

    def test_output_file(self, tmp_path: Path, tiopt: Run) -> None:
        out = tmp_path / "out.json"
        assert tiopt("decode", "-f", "json", "-o", out, TRACE2) == (0, "", "")
        assert len(out.read_text().splitlines()) == 3

    def test_an_output_that_is_an_input_is_refused(self, tmp_path: Path, tiopt: Run) -> None:
        copy = tmp_path / "x.pcap"
        copy.write_bytes(TRACE2.read_bytes())
        status, out, err = tiopt("decode", "-o", copy, copy)
        assert (status, out, err) == (2, "", f"tiopt decode: -o {copy} would overwrite its own input\n")
        assert copy.read_bytes() == TRACE2.read_bytes()

    def test_an_output_that_cannot_be_written_is_one_line(self, tmp_path: Path, tiopt: Run) -> None:
        assert tiopt("decode", "-o", tmp_path, TRACE2) == (2, "", f"tiopt decode: -o {tmp_path}: is a directory\n")
        if Path("/dev/full").exists():
            status, _, err = tiopt("decode", "-o", "/dev/full", TRACE2)
            assert (status, err) == (4, "tiopt: cannot write the output: no space left on device\n")

    def test_kinds(self, tmp_path: Path, tiopt: Run) -> None:
        octets = bytearray(TRACE2.read_bytes().replace(b"\xfd\x14", b"\x4d\x14"))
        path = tmp_path / "x.pcap"
        path.write_bytes(octets)
        assert tiopt("decode", path).out == ""
        assert tiopt("decode", "--kind-d", 77, path).out == tiopt("decode", TRACE2).out
        assert "flow-c tifid 0a4530be79bf" in tiopt("decode", "--kind-c=77", path).out

    def test_a_frame_without_a_time(self, tmp_path: Path, tiopt: Run) -> None:
        path = tmp_path / "x.pcapng"
        path.write_bytes(blocks.section() + blocks.interface(229) + blocks.simple(IP6))
        assert json.loads(tiopt("decode", "-f", "json", path).out)["time"] is None
        assert tiopt("decode", path).out.startswith("--:--:--.------ IP6 2001:db8::1.40000 > ")
        assert tiopt("decode", "-f", "table", path).status == 0
        assert tiopt("decode", "-f", "csv", path).status == 0


class TestWhatCannotBeRead:
    def test_frames_that_cannot_be_decoded_are_named_at_the_end(self, wraps: Path, tiopt: Run) -> None:
        status, out, err = tiopt("decode", wraps)
        assert status == 0
        assert out.count("\n") == 1
        assert err == f"tiopt: {wraps}: 1 frame not decoded: IPv4 header cut short (first: frame 2)\n"

    def test_unknown_link_types(self, tmp_path: Path, tiopt: Run) -> None:
        path = tmp_path / "x.pcap"
        path.write_bytes(pcap([(0, b"x")] * 3, 147))
        err = f"tiopt: {path}: 3 frames not decoded: link type 147 (USER0) is not supported (first: frame 1)\n"
        assert tiopt("decode", path) == (0, "", err)

    @pytest.mark.parametrize("form", ["text", "json", "csv", "table"])
    def test_damage_ends_one_file_and_not_the_run(self, tmp_path: Path, form: str, tiopt: Run) -> None:
        damaged = tmp_path / "damaged.pcap"
        damaged.write_bytes(TRACE2.read_bytes()[:-5])
        status, out, err = tiopt("decode", "--format", form, damaged, TRACE2)
        assert status == 3
        assert out.count("0a4530") == 5
        line = f"tiopt: {damaged}: frame 3, offset 244: expected 86 octets of the frame, found the end after 81\n"
        assert err == f"{line}tiopt: 1 of 2 files could not be read to its end:\n{line}"

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda _: None, "expected a readable capture file, found no such file or directory"),
            (lambda path: path.mkdir(), "expected captures in this folder, found none"),
            (lambda path: path.touch(), "offset 0: expected a pcap or pcapng file, found an empty file"),
            (
                lambda path: path.symlink_to("/dev/null"),
                "offset 0: expected a pcap or pcapng file, found an empty file",
            ),
            (
                lambda path: path.write_text("Hello, world\n"),
                "offset 0: expected a pcap or pcapng file, found text that begins 'Hell'",
            ),
            (
                lambda path: path.write_bytes(b"\x7fELF\2\1\1"),
                "offset 0: expected a pcap or pcapng file, found the octets 7f 45 4c 46",
            ),
        ],
    )
    def test_what_is_no_capture_gets_one_clear_line(
        self, tmp_path: Path, make: Callable[[Path], object], message: str, tiopt: Run
    ) -> None:
        path = tmp_path / "x"
        make(path)
        assert tiopt("decode", path) == (3, "", f"tiopt: {path}: {message}\n")
        assert tiopt("decode", path, TRACE2).out == tiopt("decode", TRACE2).out

    def test_names_that_are_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"caf\xe9.pcap")
        path.write_bytes(TRACE2.read_bytes())
        for form in ("text", "json", "csv", "table"):
            done = tiopt_process("decode", "--format", form, path, path)
            assert (done.status, done.err) == (0, "")
        assert tiopt_process("decode", str(path) + "x").status == 3


class TestQuietEnds:
    def test_a_reader_that_has_seen_enough(self, tmp_path: Path) -> None:
        large = tmp_path / "large.pcap"
        large.write_bytes(TRACE2.read_bytes() + TRACE2.read_bytes()[24:] * 20_000)
        for form in ("text", "json", "csv", "table"):
            command = (
                f"{sys.executable} -m tioption.cli decode --format {form} {large} | head -1; echo ${{PIPESTATUS[0]}}"
            )
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
            assert done.stderr == ""
            assert len(done.stdout.splitlines()) == 2
            assert done.stdout.splitlines()[1] == "141"

    def test_control_c(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "tioption.cli", "decode", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(TRACE2.read_bytes())
        process.stdin.flush()
        assert b"0a4530" in process.stdout.readline()  # flushed although the writer has not finished
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert err == b""
        assert out.count(b"\n") == 2
        assert process.returncode == 130


@pytest.mark.parametrize(
    ("redirection", "status", "err"),
    [
        ("decode - <&-", 3, "tiopt: -: expected a capture on standard input, found it closed\n"),
        (f"decode {TRACE2} >&-", 0, ""),
        ("--version >&- 2>&-", 0, ""),
        ("decode nosuchfile 2>&-", 3, ""),
    ],
)
def test_closed_streams(redirection: str, status: int, err: str) -> None:
    command = f"{sys.executable} -m tioption.cli {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (status, err)


def test_a_live_pipe_is_followed() -> None:
    """Lines come out as soon as their frames are in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tioption.cli", "decode", "--format", "json", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    octets = TRACE2.read_bytes()
    process.stdin.write(octets[:24])
    for start, end in ((24, 134), (134, 244), (244, len(octets))):
        process.stdin.write(octets[start:end])
        process.stdin.flush()
        began = time.monotonic()
        assert json.loads(process.stdout.readline())["variant"] == "flow-d"
        assert time.monotonic() - began < 30
    assert process.communicate(timeout=30)[0] == b""
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["gtp-u around vxlan around vlan", "802.11 aggregate", "nflog big-endian"])
def test_tunnels_are_decoded(tmp_path: Path, name: str, tiopt: Run) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(0, WRAPS[name].frame)], WRAPS[name].link_type))
    lines = tiopt("decode", path).out.splitlines()
    assert len(lines) == (2 if "aggregate" in name else 1)
    for line in lines:
        assert "flow-d tifid 0a4530000000 tiseq 00123456789a tiack 000000000000" in line


class TestCount:
    @pytest.mark.parametrize(("form", "header"), [("text", 0), ("json", 0), ("csv", 1), ("table", 1)])
    def test_so_many_lines_and_no_more(self, tiopt: Run, form: str, header: int) -> None:
        whole = tiopt("decode", "-f", form, TRACE2, RESUME).out.splitlines()
        status, out, err = tiopt("decode", "-f", form, "-c", 2, TRACE2)
        assert (status, err) == (0, "")
        assert len(out.splitlines()) == 2 + header
        if form != "table":
            assert out.splitlines() == whole[: 2 + header]
            assert tiopt("decode", "-f", form, "-c", 5, TRACE2, RESUME).out.splitlines() == whole[: 5 + header]

    def test_damage_after_them_is_not_met(self, tmp_path: Path, tiopt: Run) -> None:
        path = tmp_path / "cut.pcap"
        path.write_bytes(TRACE2.read_bytes()[:-5])
        assert tiopt("decode", "-c", 2, path)[::2] == (0, "")
        assert tiopt("decode", "-c", 3, path).status == 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "Usage"),
        (["--all"], "expected either FILE"),
        (["-i", "lo", "x.pcap"], "or an interface with -i"),
        (["--follow", "a", "b"], "--follow reads on in one file as it grows, not in 2"),
        (["-i", "no such device"], "no interface 'no such device'; there are "),
        (["-c", "0", "x"], "-c"),
    ],
)
def test_calls_that_make_no_sense(words: list[str], complaint: str, tiopt: Run) -> None:
    status, out, err = tiopt("decode", *words)
    assert status == 2 or not words
    assert complaint in out + err


class TestFollow:
    """A file is read on while somebody writes it."""

    @staticmethod
    def start(path: Path, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tioption.cli", "decode", "--follow", *words, str(path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)

    @pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
    def test_octet_by_octet(self, tmp_path: Path, by: signal.Signals) -> None:
        octets = TRACE2.read_bytes()
        third = octets.rindex(b"\x01\x01\x08\x0a")  # in the options of the third segment
        path = tmp_path / "growing.pcap"
        path.write_bytes(octets[:3])
        process = self.start(path)
        assert process.stdout is not None
        with path.open("ab", buffering=0) as file:
            file.write(octets[3:third])
            assert "Flags [S]," in process.stdout.readline()
            assert "Flags [S.]," in process.stdout.readline()
            file.write(octets[third:])
            assert "Flags [.]," in process.stdout.readline()
        process.send_signal(by)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")

    def test_a_count_ends_it(self) -> None:
        process = self.start(TRACE2, "-c", "3", "--format", "json")
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out.count("\n"), err) == (0, 3, "")

    def test_a_file_that_is_cut_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "growing.pcap"
        path.write_bytes(TRACE2.read_bytes())
        process = self.start(path)
        assert process.stdout is not None
        for _ in range(3):
            assert "flow-d" in process.stdout.readline()
        os.truncate(path, 100)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 3
        assert "the file to grow beyond" in err
        assert "found that it was cut to 100" in err

    def test_a_pipe_ends_as_ever(self) -> None:
        done = tiopt_process("decode", "--follow", "-", stdin=TRACE2.read_bytes())
        assert (done.status, done.out.count("\n"), done.err) == (0, 3, "")


@pytest.mark.parametrize("words", [["-f", "text"], ["-a"], ["-f", "json"], ["-a", "-f", "csv"], ["--style", "paper"]])
def test_without_c_everything_is_the_same(tmp_path: Path, words: list[str]) -> None:
    tunnel, damaged = tmp_path / "tunnel.pcap", tmp_path / "damaged.pcap.gz"
    tunnel.write_bytes(pcap([(0, ethernet(0x0800, IP4)), (1, WRAPS["vxlan"].frame), (2, b"short")], 1))
    damaged.write_bytes(gzip.compress(RESUME.read_bytes())[:-300])
    files = [TRACE2, tunnel, damaged, RESUME, tmp_path / "nothing"]
    ours = tiopt_process("decode", *words, *files)
    assert ours == tiopt_process("decode", *words, *files, env={"TIOPT_PURE": "1"})
    assert ours.status == 3
    assert len(ours.out.splitlines()) > 10
    assert len(ours.err.splitlines()) == 3 + 1 + 2  # a remark, two errors, and these again
