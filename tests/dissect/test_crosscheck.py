"""Wireshark's decode and ours agree, and where a plugin is wrong the check says so."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from struct import pack

import pytest

from tests.capture import blocks
from tests.capture.wraps import WRAPS
from tests.conftest import ROOT, golden_captures, needs
from tests.dissect.agreement import write_captures
from tioption.build import Conversation
from tioption.dissect import plugin
from tioption.dissect.crosscheck import Difference, Tally, differences, packets
from tioption.dissect.tshark import Bench, Tshark, WiresharkError, bench
from tioption.errors import CaptureError
from tioption.option import DEFAULT_KINDS, Kinds

RESUME = str(ROOT / "pcaps/resume/resume.pcap")

WRONG_OFFSET = (r'\["tiseq"\] = 9,', '["tiseq"] = 10,')
"""The plugin reads TISeq one octet too late."""


@pytest.fixture(scope="module")
def tshark() -> Tshark:
    needs("tshark")
    return Tshark.find()


@pytest.fixture(scope="module")
def ready(tshark: Tshark) -> Iterator[Bench]:
    with bench(tshark, plugin.render(DEFAULT_KINDS)) as made:
        yield made


def checked(ready: Bench, *files: str | Path, kinds: Kinds = DEFAULT_KINDS) -> tuple[list[Difference], Tally]:
    tally = Tally()
    return [one for file in files for one in differences(str(file), ready, kinds, tally)], tally


def broken(pattern: str, replacement: str) -> str:
    """The plugin with one thing wrong."""
    text = plugin.render(DEFAULT_KINDS)
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text, f"the plugin no longer contains {pattern}"
    return changed


def test_the_repository_s_captures_agree(ready: Bench) -> None:
    found, tally = checked(ready, *golden_captures())
    assert found == []
    assert tally.segments > 5
    assert tally.values > 10 * tally.segments


def test_every_scenario_agrees(ready: Bench, tmp_path: Path) -> None:
    """Every rule of the wire, kept and broken; a seed each, so that the conversations stay apart."""
    found, tally = checked(ready, *write_captures(tmp_path))
    assert found == []
    assert tally.segments > 500


@pytest.mark.parametrize("seed", range(4))
def test_damaged_segments_agree(ready: Bench, tmp_path: Path, seed: int) -> None:
    """Every third frame has octets of its IP header, TCP header or options overwritten, some are cut."""
    everything, _ = write_captures(tmp_path)
    path = tmp_path / "damaged.pcap"
    path.write_bytes(damaged(everything.read_bytes(), Random(seed)))
    found, tally = checked(ready, path)
    assert found == []
    assert tally.segments > 500


def damaged(capture: bytes, random: Random) -> bytes:
    """The frames of a little-endian capture, some of them not what they were."""
    out, at = bytearray(capture[:24]), 24
    while at < len(capture):
        header, length = capture[at : at + 8], int.from_bytes(capture[at + 8 : at + 12], "little")
        frame = bytearray(capture[at + 16 : at + 16 + length])
        at += 16 + length
        if random.random() < 1 / 3:
            first = 14 if random.random() < 0.1 else 46  # behind the sequence numbers most of the time
            for _ in range(random.choice((1, 1, 1, 2, 4))):
                if first < length:
                    telling = (0, 1, 19, 20, 253, 254, 255, random.randrange(256))
                    frame[random.randrange(first, length)] = random.choice(telling)
        if random.random() < 0.03:
            del frame[random.randrange(40, length) :]
        out += header + pack("<II", len(frame), length) + frame
    return bytes(out)


def test_every_link_layer_and_tunnel_agrees(ready: Bench, tmp_path: Path) -> None:
    wraps = [wrap for wrap in WRAPS.values() if wrap.tshark]
    interfaces = b"".join(blocks.interface(wrap.link_type) for wrap in wraps)
    frames = b"".join(blocks.enhanced(wrap.frame, index=index) for index, wrap in enumerate(wraps))
    path = tmp_path / "x.pcapng"
    path.write_bytes(blocks.section() + interfaces + frames)
    found, tally = checked(ready, path)
    assert found == []
    assert tally.segments == len(wraps) + 1  # the aggregate has two


def test_a_quotation_in_an_icmp_error_is_no_segment(ready: Bench, tmp_path: Path) -> None:
    raw = WRAPS["raw"].frame
    body = b"\x03\x01\0\0\0\0\0\0" + raw
    header = pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 1, 0, b"\xc0\0\2\1", b"\xc0\0\2\2")
    path = tmp_path / "x.pcapng"
    frames = blocks.enhanced(header + body) + blocks.enhanced(raw)
    path.write_bytes(blocks.section() + blocks.interface(101) + frames)
    assert checked(ready, path) == ([], Tally(1, 14))


def test_other_kinds(tshark: Tshark, tmp_path: Path) -> None:
    kinds = Kinds(77, 78)
    talk = Conversation(seed=3, kinds=kinds)
    talk.connect()
    path = tmp_path / "x.pcap"
    talk.write(str(path))
    with bench(tshark, plugin.render(kinds)) as ready:
        found, tally = checked(ready, path, kinds=kinds)
    assert found == []
    assert tally.segments == 3


class TestABrokenPlugin:
    """A plugin that is wrong in one place is caught, with frame, field and both values."""

    def test_an_offset(self, tshark: Tshark) -> None:
        with bench(tshark, broken(*WRONG_OFFSET)) as ready:
            found, tally = checked(ready, RESUME)
        wrong = [one for one in found if one.field == "tiseq"]
        assert [one.frame for one in wrong] == [1, 2, 3, 11, 12, 13]
        assert all(one.file == RESUME and one.ours[2:] == one.wireshark[:10] for one in wrong)  # one octet on
        assert {one.field for one in found} == {"tiseq", "rules"}  # wrong values, wrong judgement
        assert tally.segments == 6

    def test_a_kind_it_does_not_know(self, tshark: Tshark) -> None:
        with bench(tshark, plugin.render(Kinds(77, 78))) as ready:
            found, tally = checked(ready, RESUME)
        assert [(one.frame, one.field, one.wireshark) for one in found] == [
            (frame, "option", "none") for frame in (1, 2, 3, 11, 12, 13)
        ]
        assert tally.segments == 0

    def test_a_kind_it_takes_for_its_own(self, ready: Bench) -> None:
        found, _ = checked(ready, RESUME, kinds=Kinds(77, 78))
        assert [(one.frame, one.ours) for one in found] == [(frame, "none") for frame in (1, 2, 3, 11, 12, 13)]

    def test_lua_that_fails_at_a_packet(self, tshark: Tshark) -> None:
        failing = broken(r"\nfunction analysis\.dissector\(.*\)\n", r"\g<0>  error('no such thing')\n")
        with bench(tshark, failing) as ready:
            found, _ = checked(ready, RESUME)
        assert [one.frame for one in found] == list(range(1, 20))
        assert all("Lua Error: " in one.wireshark and "no such thing" in one.wireshark for one in found)

    def test_lua_that_is_none(self, tshark: Tshark) -> None:
        with bench(tshark, "this is not Lua") as ready, pytest.raises(WiresharkError, match="does not load"):
            checked(ready, RESUME)


class TestDamage:
    """What both can read is compared before the error comes."""

    def test_a_cut_file(self, tshark: Tshark, tmp_path: Path) -> None:
        path = tmp_path / "cut.pcap"
        path.write_bytes(Path(RESUME).read_bytes()[:600])
        tally = Tally()
        with bench(tshark, broken(*WRONG_OFFSET)) as ready:
            run = differences(str(path), ready, DEFAULT_KINDS, tally)
            found: list[Difference] = []
            with pytest.raises(CaptureError, match="frame 4"):
                found.extend(run)
        assert {one.frame for one in found} == {1, 2, 3}
        assert tally.segments == 3

    def test_no_file(self, ready: Bench) -> None:
        with pytest.raises(CaptureError, match="no such file"):
            checked(ready, "/nonexistent.pcap")

    def test_a_format_only_tshark_refuses_is_its_word(self, ready: Bench, tmp_path: Path) -> None:
        path = tmp_path / "x.pcap"
        path.write_bytes(Path(RESUME).read_bytes()[:24] + bytes(8) + b"\xff" * 8)
        with pytest.raises(CaptureError):
            checked(ready, path)


class TestEventLoops:
    """The check needs no event loop and minds none."""

    def test_inside_a_running_loop(self, ready: Bench) -> None:
        async def cell() -> tuple[list[Difference], Tally]:
            await asyncio.sleep(0)
            return checked(ready, RESUME)

        assert asyncio.run(cell()) == checked(ready, RESUME)

    def test_in_another_thread(self, ready: Bench) -> None:
        results: list[object] = []
        thread = threading.Thread(target=lambda: results.append(checked(ready, RESUME)))
        thread.start()
        thread.join(60)
        assert results == [checked(ready, RESUME)]


ALONE = """
import asyncio, gc, os, sys
from tioption.dissect import plugin
from tioption.dissect.crosscheck import Tally, differences, packets
from tioption.dissect.tshark import Tshark, bench
from tioption.option import DEFAULT_KINDS

def check():
    tally = Tally()
    assert not list(differences(sys.argv[1], ready, DEFAULT_KINDS, tally))
    return tally.segments

async def cell():
    return check()

with bench(Tshark.find(), plugin.render(DEFAULT_KINDS)) as ready:
    assert [check(), asyncio.run(cell()), check()] == [6, 6, 6]
    left = packets(sys.argv[1], ready, "tcp")
    next(left)
    del left
    gc.collect()
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("no child is left")
"""


def test_neither_processes_nor_files_are_left(tshark: Tshark) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", ALONE, RESUME]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "no child is left\n", done.stderr
    assert "Warning" not in done.stderr


def test_packets_are_pyshark_s(ready: Bench) -> None:
    first = next(iter(packets(RESUME, ready, "tcp.flags.syn == 1 && tcp.flags.ack == 1")))
    assert first.number == 2
    assert first["tcp"].srcport == "7777"


def test_a_capture_only_root_may_read(tshark: Tshark, tmp_path: Path) -> None:
    """Root hands tshark to an ordinary user, who gets the open file."""
    if os.geteuid() != 0:
        pytest.skip("only root runs tshark as somebody else")
    path = tmp_path / "secret.pcap"
    path.write_bytes(Path(RESUME).read_bytes())
    path.chmod(0o600)
    with bench(tshark, plugin.render(DEFAULT_KINDS)) as ready:
        assert ready.account is not None
        assert checked(ready, path)[1].segments == 6
        folder = ready.plugin.parent
    assert not folder.exists()
