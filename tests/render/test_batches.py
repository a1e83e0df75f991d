"""Lines made in C against those of LinePrinter: the same, octet by octet, on everything."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from socket import AF_INET6, inet_ntop
from struct import pack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.capture import blocks
from tests.capture.test_batch import capture_of
from tests.capture.twins import needs_walker
from tests.capture.wraps import IP4, IP6, cut_anywhere
from tests.conftest import golden_captures, shared_captures
from tests.render.test_lines import CRAFTED, frames
from tests.test_mutations import mutated, originals
from tioption.build.capture_file import pcap
from tioption.build.catalogue import SCENARIOS
from tioption.build.packet import Host, TcpHeader, ip_packet, tcp_segment
from tioption.capture import Batch, Capture, Segment
from tioption.capture.segment import ACK, SYN
from tioption.errors import CaptureError
from tioption.option import DEFAULT_KINDS, Kinds
from tioption.render import batches
from tioption.render.batches import BatchPrinter
from tioption.render.lines import _CONNECTIONS, _RelativeNumbers

OTHER_KINDS = Kinds(77, 8)


@pytest.fixture(autouse=True)
def lines_in_c() -> None:
    needs_walker()
    assert batches._Lines is not None


def printed(path: Path, *, pure: bool, every: bool, kinds: Kinds) -> str:
    """What a capture is printed as, in C or in Python."""
    with pytest.MonkeyPatch.context() as patch:
        if pure:
            patch.setattr(batches, "_Lines", None)
        printer = BatchPrinter(kinds=kinds, every=every)
    text = ""
    try:
        with Capture(str(path)) as capture:
            for batch in capture.batches():
                text += "".join(printer.text(batch))
    except CaptureError:
        pass
    return text


def assert_same(path: Path) -> str:
    """Both print the same, whatever is asked for; returns the lines of every segment."""
    for every, kinds in ((False, DEFAULT_KINDS), (False, OTHER_KINDS), (True, OTHER_KINDS), (True, DEFAULT_KINDS)):
        text = printed(path, pure=False, every=every, kinds=kinds)
        assert text == printed(path, pure=True, every=every, kinds=kinds)
    return text


@pytest.mark.parametrize("path", [*golden_captures(), *shared_captures()], ids=lambda path: path.stem)
def test_whole_captures(path: Path) -> None:
    assert_same(path)


def test_every_scenario(tmp_path: Path) -> None:
    for number, scenario in enumerate(SCENARIOS.values()):
        path = tmp_path / f"{number}"
        path.write_bytes(scenario.pcap())
        assert assert_same(path)


def test_every_link_layer_cut_anywhere(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(capture_of(cut_anywhere()))
    assert assert_same(tmp_path / "x")


def test_damaged_captures(tmp_path: Path) -> None:
    files = originals()
    for seed in range(500):
        random = Random(seed)
        (tmp_path / "x").write_bytes(mutated(random.choice(files), random))
        assert_same(tmp_path / "x")


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_segments(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(pcap([(0, frame) for frame in frames(CRAFTED[name])], 101))
    assert assert_same(tmp_path / "x")


A, B = Host("192.0.2.1", 40000, bytes(6)), Host("198.51.100.2", 443, bytes(6))


def batch_of(*packets: bytes, time_ns: int | None = 0) -> Batch:
    """The segments of raw IP packets as a batch."""
    batch = Batch()
    batch.data = bytearray(b"".join(packets))
    at = 0
    for packet in packets:
        start = 20 if packet[0] >> 4 == 4 else 40
        size, addresses = (4, 12) if start == 20 else (16, 8)
        src, dst = packet[addresses : addresses + size], packet[addresses + size : addresses + 2 * size]
        tcp = packet[start:]
        numbers = (int.from_bytes(tcp[place : place + 4], "big") for place in (4, 8))
        ports = (int.from_bytes(tcp[place : place + 2], "big") for place in (0, 2))
        flags = int.from_bytes(tcp[12:14], "big") & 0x1FF
        window = int.from_bytes(tcp[14:16], "big")
        values = *ports, *numbers, tcp[12] >> 4 << 2, flags, window
        segment = Segment(1, time_ns, packet, start, len(packet), len(tcp), src, dst, *values)
        batch.add(segment, at, len(packet))
        at += len(packet)
    return batch


def text_of(batch: Batch, *, pure: bool, every: bool = True) -> str:
    with pytest.MonkeyPatch.context() as patch:
        if pure:
            patch.setattr(batches, "_Lines", None)
        return "".join(BatchPrinter(every=every).text(batch))


KINDS = st.sampled_from([0, 1, 2, 3, 4, 5, 8, 30, 69, 253, 254]) | st.integers(0, 255)
OPTION = st.tuples(KINDS, st.integers(0, 36)).flatmap(
    lambda pair: st.binary(min_size=pair[1], max_size=pair[1]).map(
        lambda body: bytes(pair[:1]) if pair[0] < 2 else bytes((pair[0], 2 + len(body))) + body
    )
)


@given(st.lists(OPTION, max_size=8).map(b"".join), st.integers(0, 511), st.binary(max_size=3), st.booleans())
@example(b"\xfd\x14" + bytes(18), SYN, b"", False)
@example(b"\xfd\x14\xf9\x89" + bytes(16), SYN, b"", False)
@example(b"\xfe\x14\x00\xac" + bytes(16), SYN, b"", True)
@example(b"\x05\x22" + bytes(range(32)), ACK, b"", True)
@example(b"\x01" * 40, ACK, b"", True)
@example(b"\x00\x01\x02\x03", ACK, b"", True)
def test_any_options(area: bytes, flags: int, payload: bytes, every: bool) -> None:
    area = (area + b"\0" * (-len(area) % 4))[:40]
    packet = ip_packet(A, B, tcp_segment(A, B, TcpHeader(2**32 - 2, 5, flags, 9, area), payload))
    batch = batch_of(packet)
    assert text_of(batch, pure=False, every=every) == text_of(batch, pure=True, every=every)


@given(
    st.lists(st.sampled_from([0, 0, 0, 1, 0x20, 0x300, 0x4000, 0xFFFF]) | st.integers(0, 65535), min_size=8, max_size=8)
)
@example([0] * 8)
@example([0] * 7 + [1])
@example([0] * 5 + [0xFFFF, 0xC000, 0x201])
@example([0] * 6 + [0xC000, 0x201])
@example([0x2001, 0xDB8, 0, 1, 1, 1, 1, 1])
@example([1, 0, 0, 1, 0, 0, 0, 1])
@example([1, 0, 0, 1, 1, 0, 0, 1])
def test_any_address(words: list[int]) -> None:
    address = pack("!8H", *words)
    packet = IP6[:8] + address + IP6[24:]
    text = text_of(batch_of(packet), pure=False)
    assert f"IP6 {inet_ntop(AF_INET6, address)}.40000 > " in text


@given(st.none() | st.integers(-(2**63), 2**63 - 1), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]))
@example(2**63 * 10**9, "UTC")
@example(-1, "UTC")
@example(-1, "America/St_Johns")
@example(1_743_296_400 * 10**9, "Europe/Berlin")
def test_any_time(time_ns: int | None, zone: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        batch = batch_of(IP4, IP4, time_ns=time_ns)
        assert text_of(batch, pure=False) == text_of(batch, pure=True)
    time.tzset()


def test_records_that_lie_elsewhere_are_not_read(tmp_path: Path) -> None:
    """A record that points beyond the chunk is printed in Python, which finds nothing there."""
    good = batch_of(IP4)
    for field, value in ((16, 1 << 31), (20, 1 << 31), (24, 1 << 30), (28, 1 << 30), (16, 30), (32, 10)):
        batch = batch_of(IP4)
        batch.records[field : field + 4] = pack("=I", value)
        lines = batches._Lines
        assert lines is not None
        _, index, unusual = lines(253, 254, b"", True, 1).text(batch.data, batch.records, 0, 1)
        assert (index, unusual) == (0, True)
    assert text_of(good, pure=False).count("\n") == 1


class TestNumbers:
    """The table of first sequence numbers in C against the one in Python."""

    def test_the_same_answers_to_the_same_segments(self) -> None:
        random = Random(3)
        for universe in (2, 50, 3 * _CONNECTIONS):
            self.compare(random, universe, 60_000 if universe < 100 else 8 * _CONNECTIONS)

    def compare(self, random: Random, universe: int, segments: int) -> None:
        assert batches._Lines is not None
        ours = batches._SharedNumbers(batches._Lines(253, 254, b"", True, random.getrandbits(64)))
        theirs = _RelativeNumbers()
        for _ in range(segments):
            number = random.randrange(universe)
            size = 4 if number % 3 else 16
            one, other = number.to_bytes(4, "big").ljust(size, b"\0"), bytes(size)
            ends = (one, other, 1 + number % 2, 2) if random.randrange(2) else (other, one, 2, 1 + number % 2)
            flags = ACK | (SYN if random.randrange(5) == 0 else 0)
            numbers = random.getrandbits(32), random.getrandbits(32)
            segment = Segment(1, 0, b"", 0, 0, 20, *ends, *numbers, 20, flags, 0)
            assert ours.bases(segment) == theirs.bases(segment)

    def test_lines_of_both_hands_know_the_same_connections(self) -> None:
        """An odd segment is printed in Python, between ordinary ones of its connection that are printed in C."""

        def packet(options: bytes) -> bytes:
            return ip_packet(A, B, tcp_segment(A, B, TcpHeader(70, 80, ACK, 9, options), b"x"))

        batch = batch_of(packet(b""), packet(b"\x1d\x04\x01\x02"), packet(b""))
        text = text_of(batch, pure=False)
        assert text == text_of(batch, pure=True)
        assert [line.split("seq ")[1].split(",")[0] for line in text.splitlines()] == ["70:71", "0:1", "0:1"]


def test_a_batch_whose_text_is_larger_than_the_buffer() -> None:
    packet = ip_packet(A, B, tcp_segment(A, B, TcpHeader(1, 0, SYN, 9, b"\x01" * 40)))
    batch = batch_of(*[packet] * 4000)
    assert text_of(batch, pure=False) == text_of(batch, pure=True)


def test_frames_without_a_time(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(blocks.section() + blocks.interface(229) + blocks.simple(IP6) * 2)
    assert assert_same(tmp_path / "x").count("--:--:--.------ IP6 2001:db8::1.40000 > ") == 2
