"""`tiopt mangle`: captures in, captures of what is behind middleboxes out."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capture import blocks
from tests.conftest import ROOT, Outcome, needs
from tioption.build.capture_file import pcap
from tioption.build.catalogue import SCENARIOS
from tioption.capture import Capture
from tioption.capture.record import Record
from tioption.middlebox import BOXES

Run = Callable[..., Outcome]


def records(path: Path) -> list[Record]:
    with Capture(str(path)) as capture:
        return list(capture.records())


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "in.pcap"
    path.write_bytes(SCENARIOS["resume"].pcap(3))
    return path


def test_list(tiopt: Run) -> None:
    status, out, err = tiopt("mangle", "--list")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == list(BOXES)
    rows = [json.loads(line) for line in tiopt("mangle", "--list", "--format", "json").out.splitlines()]
    assert {row["name"]: [one["name"] for one in row["parameters"]] for row in rows} == {
        name: [one.name for one in entry.parameters] for name, entry in BOXES.items()
    }


@pytest.mark.parametrize(
    ("boxes", "changes"),
    [
        (["strip:segment=syn-ack"], {"stripped": 2}),
        (["overwrite"], {"overwritten": 6}),
        (["isn"], {"isn-rewritten": 4}),
        (["nat:ports=random", "delay:5ms"], {"translated": 2}),
        (["alter:tiack,segment=ack", "mss:1000"], {"altered": 2}),
        (["firewall:after=4,how=both", "nat"], {"translated": 2, "injected": 2}),
        ([], {}),
    ],
)
def test_validate_compare_finds_what_was_done(
    boxes: list[str], changes: dict[str, int], capture: Path, tmp_path: Path, tiopt: Run
) -> None:
    words = [word for box in boxes for word in ("--box", box)]
    for at in ("a", "b"):
        assert tiopt("mangle", capture, tmp_path / at, "--at", at, *words) == (0, "", "")
    text = tiopt("validate", "--compare", "--format", "json", tmp_path / "a", tmp_path / "b").out
    rows = list(map(json.loads, text.splitlines()))
    found: dict[str, int] = {}
    for change in (change for row in rows[:-1] for change in row["changes"]):
        found[change["what"]] = found.get(change["what"], 0) + 1
    assert found == changes
    assert all(row["client"] and row["server"] for row in rows[:-1])


def test_one_way_is_found_between_the_capture_and_what_is_behind(capture: Path, tmp_path: Path, tiopt: Run) -> None:
    """A capture taken at A holds B's packets as they arrived: what is done to A's shows between it and B's end."""
    out = tmp_path / "out"
    boxes = ("--box", "strip:segment=syn", "-b", "nat", "-b", "isn:ab")
    assert tiopt("mangle", capture, out, "--at", "b", *boxes) == (0, "", "")
    text = tiopt("validate", "--compare", capture, out).out
    assert text.count("the option of the SYN is stripped") == 2
    assert text.count("translated") == 2
    assert text.count("the opener's ISN is rewritten") == 2
    assert "lost" not in text


def test_the_same_seed_makes_the_same_file(capture: Path, tmp_path: Path, tiopt: Run) -> None:
    made = []
    for seed in (1, 1, 2):
        tiopt("mangle", capture, tmp_path / "out", "--box", "isn", "--box", "lose:20%", "--seed", seed)
        made.append((tmp_path / "out").read_bytes())
    assert made[0] == made[1] != made[2]


def test_without_boxes_frames_and_times_stay(capture: Path, tmp_path: Path, tiopt: Run) -> None:
    out = tmp_path / "out"
    assert tiopt("mangle", capture, out).status == 0
    assert records(out) == records(capture)


def test_every_format_is_read_and_nanoseconds_are_kept(tmp_path: Path, tiopt: Run) -> None:
    frame = next(SCENARIOS["established"].conversation(1).frames())[1]
    written = blocks.section() + blocks.interface(1, options=blocks.option(9, b"\x09"))
    written += blocks.enhanced(frame, units=1_700_000_000_123_456_789)
    path, out = tmp_path / "in.pcapng.gz", tmp_path / "out"
    path.write_bytes(gzip.compress(written))
    assert tiopt("mangle", path, out, "--box", "delay:1ns") == (0, "", "")
    assert records(out) == [Record(1, 1_700_000_000_123_456_790, 1, frame, len(frame))]
    capinfos = subprocess.run([needs("capinfos"), "-c", str(out)], capture_output=True, text=True, check=True).stdout
    assert "Number of packets:   1" in capinfos


def test_pipes(capture: Path) -> None:
    tiopt = f"{sys.executable} -m tioption.cli"
    command = f"{tiopt} mangle - - --box strip:segment=ack < {capture} | {tiopt} decode -"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.count("flow-d") == 4


def test_a_damaged_capture_is_sent_through_up_to_the_damage(capture: Path, tmp_path: Path, tiopt: Run) -> None:
    whole = records(capture)
    capture.write_bytes(capture.read_bytes()[:-5])
    status, out, err = tiopt("mangle", capture, tmp_path / "out", "--box", "delay:1s")
    assert (status, out) == (3, "")
    assert f"frame {len(whole)}, offset" in err
    assert len(records(tmp_path / "out")) == len(whole) - 1


def test_no_capture_at_all(tmp_path: Path, tiopt: Run) -> None:
    (tmp_path / "in").write_bytes(b"hello")
    status, _, err = tiopt("mangle", tmp_path / "in", tmp_path / "out")
    assert (status, "expected a pcap or pcapng file" in err) == (3, True)
    assert not (tmp_path / "out").exists()
    status, _, err = tiopt("mangle", tmp_path / "missing", tmp_path / "out")
    assert (status, "no such file" in err) == (3, True)


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        (101, "expected frames of link type 1 as before, found one of link type 101"),
        (147, "link type 147 (USER0) is not supported"),
    ],
)
def test_one_file_has_one_link_type(second: int, complaint: str, tmp_path: Path, tiopt: Run) -> None:
    frame = next(SCENARIOS["established"].conversation(1).frames())[1]
    octets = blocks.section() + blocks.interface(1) + blocks.interface(second)
    octets += blocks.enhanced(frame) + blocks.enhanced(frame, index=1)
    (tmp_path / "in").write_bytes(octets)
    status, _, err = tiopt("mangle", tmp_path / "in", tmp_path / "out")
    assert (status, complaint in err, "frame 2" in err) == (3, True, True)
    assert len(records(tmp_path / "out")) == 1


def test_frames_left_alone_are_named(tmp_path: Path, tiopt: Run) -> None:
    from tests.capture.wraps import WRAPS

    (tmp_path / "in").write_bytes(pcap([(5, WRAPS["vxlan"].frame)] * 2, 101))
    status, _, err = tiopt("mangle", tmp_path / "in", tmp_path / "out", "--box", "strip")
    assert status == 0
    assert err == (
        f"tiopt: {tmp_path / 'in'}: 2 frames left as they are: "
        "TCP in a tunnel, a fragment, or behind a header with a length (first: frame 1)\n"
    )


def test_other_kinds_and_another_client(tmp_path: Path, tiopt: Run) -> None:
    from tioption.build.conversation import Conversation
    from tioption.option import Kinds

    talk = Conversation(1, kinds=Kinds(77, 78))
    talk.connect()
    talk.write(tmp_path / "in")
    kinds = ("--kind-d", 77, "--kind-c", 78)
    for words, left in ((kinds, 0), ((), 3)):
        assert tiopt("mangle", tmp_path / "in", tmp_path / "out", "--box", "strip", *words).status == 0
        assert tiopt("decode", tmp_path / "out", *kinds).out.count("flow-d") == left
    tiopt("mangle", tmp_path / "in", tmp_path / "out", "--client", "198.51.100.2", "--box", "delay:1h,way=ab")
    times = [one.time_ns or 0 for one in records(tmp_path / "out")]
    assert times[2] - times[1] > 3_500 * 10**9  # only the answerer's SYN-ACK is late


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "expected two files, the capture and the one to write, not 0"),
        (["in.pcap"], "not 1"),
        (["in.pcap", "out", "--box", "nap"], "--box nap: expected the name of a box (nat?), found 'nap'"),
        (["in.pcap", "out", "--box", "nat:how=no"], "--box nat:how=no: expected how=silent or rst or both, found 'no'"),
        (["in.pcap", "out", "--client", "x"], "--client: expected an IPv4 or IPv6 address, found 'x'"),
        (["in.pcap", "in.pcap"], "in.pcap is the capture itself"),
        (["in.pcap", "/"], "/: is a directory"),
    ],
)
def test_wrong_usage(
    words: list[str], complaint: str, capture: Path, monkeypatch: pytest.MonkeyPatch, tiopt: Run
) -> None:
    monkeypatch.chdir(capture.parent)
    before = capture.read_bytes()
    status, out, err = tiopt("mangle", *words)
    assert (status, out) == (2, "")
    assert complaint in err
    assert capture.read_bytes() == before
    assert not Path("out").exists()
