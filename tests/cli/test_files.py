"""What FILE words stand for: folders, patterns, URLs."""

from __future__ import annotations

import functools
import gzip
import http.server
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from tests.conftest import ROOT, Outcome
from tioption.cli.declare import MachineError
from tioption.cli.files import expand, in_name_order, opened

Run = Callable[..., Outcome]
TRACE1, TRACE2 = (ROOT / f"pcaps/{name}/{name}.pcap" for name in ("trace1", "trace2"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Captures and other files, at two depths."""
    folder = tmp_path / "captures"
    (folder / "b").mkdir(parents=True)
    for name in ("dump.pcap10", "dump.pcap2", "dump.pcap", "b/nameless"):
        (folder / name).write_bytes(TRACE2.read_bytes())
    (folder / "a.gz").write_bytes(gzip.compress(TRACE1.read_bytes()))
    (folder / "notes.gz").write_bytes(gzip.compress(b"no capture"))
    (folder / "cut.gz").write_bytes(gzip.compress(b"no capture")[:7])
    (folder / "README.pcap").write_text("no capture either\n")
    (folder / "empty").touch()
    (folder / "gone").symlink_to(folder / "nowhere")
    (folder / "b/loop").symlink_to(folder)
    return folder


FOUND = ["a.gz", "b/nameless", "dump.pcap", "dump.pcap2", "dump.pcap10"]


def test_a_folder_is_every_capture_below_it_by_content(folder: Path, tiopt: Run) -> None:
    assert expand([str(folder)]) == [str(folder / name) for name in FOUND]
    done = tiopt("decode", "--format", "csv", folder)
    assert done == tiopt("decode", "--format", "csv", *(folder / name for name in FOUND))
    assert done.status == 0
    assert done.out.count("a.gz") > 0


def test_patterns(folder: Path) -> None:
    def found(pattern: str) -> list[str]:
        return [str(Path(name).relative_to(folder)) for name in expand([f"{folder}/{pattern}"])]

    assert found("dump*") == ["dump.pcap", "dump.pcap2", "dump.pcap10"]
    assert found("dump.pcap[0-9]*") == ["dump.pcap2", "dump.pcap10"]
    assert found("**") == FOUND
    assert found("**/name*") == ["b/nameless"]
    assert found("b*") == ["b/nameless"]
    assert found("*.pcap") == ["README.pcap", "dump.pcap"]  # what a pattern names is named
    assert found("nothing*") == ["nothing*"]


def test_a_name_with_the_characters_of_a_pattern_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "[x].pcap"
    path.write_bytes(TRACE2.read_bytes())
    assert expand([str(path), str(path), "-"]) == [str(path), str(path), "-"]


def test_names_are_sorted_as_people_count() -> None:
    names = ["a/10", "a/9", "a10/x", "a9/x", "b", "a/09", "A"]
    assert in_name_order(names) == ["A", "a/09", "a/9", "a/10", "a9/x", "a10/x", "b"]


def test_a_folder_without_captures_is_an_error(tmp_path: Path, tiopt: Run) -> None:
    (tmp_path / "README").write_text("nothing here\n")
    for command in ("decode", "validate", "follow"):
        done = tiopt(command, tmp_path)
        assert done.status == 3, command
        assert done.err == f"tiopt: {tmp_path}: expected captures in this folder, found none\n"


# URLs.


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder in this process's memory."""
    system = fsspec.filesystem("memory")
    for name in ("10.pcap", "9.pcap"):
        system.pipe(f"/tiopt/{name}", TRACE2.read_bytes())
    system.pipe("/tiopt/text", b"no capture")
    yield "memory://tiopt"
    system.rm("/tiopt", recursive=True)


def test_memory(memory: str, tiopt: Run) -> None:
    whole = tiopt("decode", TRACE2)
    assert tiopt("decode", f"{memory}/9.pcap") == whole
    assert tiopt("decode", "--jobs", "2", f"{memory}/") == whole._replace(out=2 * whole.out)
    assert tiopt("decode", f"{memory}/1*.pcap") == whole
    assert [name.rpartition("/")[2] for name in expand([f"{memory}/"])] == ["9.pcap", "10.pcap"]
    assert tiopt("follow", f"{memory}/9.pcap") == tiopt("follow", TRACE2)


def test_a_member_of_an_archive(tmp_path: Path, tiopt: Run) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(TRACE2, "in/trace2.pcap")
        archive.write(TRACE1, "in/trace1.pcap")
        archive.writestr("in/README", "no capture")
    status, out, err = tiopt("decode", f"zip://in/trace2.pcap::{tmp_path}/x.zip")
    assert (status, out, err) == tiopt("decode", TRACE2)
    assert tiopt("decode", f"zip://in/::{tmp_path}/x.zip").out == tiopt("decode", TRACE1, TRACE2).out
    assert (
        tiopt("decode", "--jobs", "2", f"zip://in/*.pcap::{tmp_path}/x.zip").out == tiopt("decode", TRACE1, TRACE2).out
    )
    status, out, err = tiopt("decode", f"zip://nothing::{tmp_path}/x.zip")
    assert (status, out) == (3, "")
    assert err.startswith(f"tiopt: zip://nothing::{tmp_path}/x.zip: expected a readable capture file, found ")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the client's loop, which ends with the process
def test_http(tmp_path: Path, tiopt: Run) -> None:
    pytest.importorskip("aiohttp")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    handler = functools.partial(Quiet, directory=str(TRACE2.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert tiopt("decode", f"{url}/trace2.pcap") == tiopt("decode", TRACE2)
        missing = tiopt("decode", f"{url}/nothing.pcap")
        server.shutdown()
    assert missing.status == 3
    assert "nothing.pcap: expected a readable capture file, found no such file" in missing.err


def test_protocols_nobody_knows(tiopt: Run) -> None:
    status, out, err = tiopt("decode", "nowhere://x.pcap")
    assert (status, out) == (3, "")
    assert err == "tiopt: nowhere://x.pcap: expected a readable capture file, found Protocol not known: nowhere\n"


def test_what_is_missing_is_named_with_its_fix(monkeypatch: pytest.MonkeyPatch, tiopt: Run) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    status, _, err = tiopt("decode", "s3://bucket/x.pcap")
    assert status == 4
    assert "s3fs" in err
    monkeypatch.setitem(sys.modules, "fsspec", None)
    status, _, err = tiopt("decode", "s3://bucket/x.pcap")
    assert (status, err) == (4, "tiopt: reading s3:// needs fsspec: pip install 'tioption[remote]'\n")
    with pytest.raises(MachineError):
        opened("memory://x")
    assert opened(str(TRACE2)) is None  # nothing of it is needed for files


def test_a_stream_that_breaks_is_damage(tmp_path: Path, tiopt: Run) -> None:
    class Breaking:
        def __init__(self) -> None:
            self.pieces = [TRACE2.read_bytes()[:200]]

        def read(self, _: int) -> bytes:
            if self.pieces:
                return self.pieces.pop()
            raise TimeoutError("no answer")

        def close(self) -> None: ...

    from tioption.capture import Capture
    from tioption.errors import CaptureError

    with Capture("s3://x", None, Breaking()) as capture:  # type: ignore[arg-type]
        segments: list[object] = []
        with pytest.raises(CaptureError, match=r"s3://x: frame 2, offset 134: .* found no answer"):
            segments += capture.segments()
    assert capture.frames >= 1
