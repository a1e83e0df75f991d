"""The C walker against its twin in Python: the same segments, counts and errors on everything."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random
from struct import pack

import pytest

from tests.capture import blocks
from tests.capture.test_pcap import COMPRESSORS
from tests.capture.twins import assert_same, needs_walker, read
from tests.capture.wraps import IP4, IP6, TCP4, WRAPS, ethernet, ipv4, ipv6, udp
from tests.conftest import golden_captures, shared_captures
from tests.test_mutations import mutated, originals
from tioption.build.capture_file import pcap
from tioption.build.catalogue import SCENARIOS
from tioption.build.packet import Host, TcpHeader, ip_packet, tcp_segment
from tioption.capture import Batch, Capture, CutSegment, Segment, Select, reader
from tioption.capture.batch import DTYPE, FIELDS, LARGE_TIME, NO_TIME, RECORD, ROOM
from tioption.capture.internet import UDP_PORTS
from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.capture.selection import EVERY, ack_bit
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid, Variant

CARRIERS = Select(DEFAULT_KINDS)
SELECTIONS = [EVERY, CARRIERS, Select(handshakes=True), Select(Kinds(77, 8), handshakes=True)]


@pytest.fixture(autouse=True)
def walker() -> None:
    needs_walker()


def write(path: Path, octets: bytes) -> Path:
    path.write_bytes(octets)
    return path


class TestLayout:
    def test_python_and_c_mean_the_same_record(self) -> None:
        from tioption.capture import _walk

        assert _walk.FIELDS == FIELDS
        assert RECORD.size == _walk.RECORD_OCTETS

    def test_numpy_reads_it(self, tmp_path: Path) -> None:
        numpy = pytest.importorskip("numpy")
        path = write(tmp_path / "x", pcap([(5, IP4), (6, IP6)], 101))
        with Capture(str(path)) as capture:
            batch = next(capture.batches())
            rows = numpy.frombuffer(batch.records, numpy.dtype(DTYPE), count=len(batch))
            segments = list(batch.segments())
        assert rows.dtype.itemsize == RECORD.size
        assert [rows.dtype.fields[name][1] for name, _, _ in FIELDS] == [offset for _, offset, _ in FIELDS]
        assert rows["seq"].tolist() == [segment.seq for segment in segments]
        assert rows["address"].tolist() == [4, 16]
        assert [bytes(row["src"])[: row["address"]] for row in rows] == [segment.src for segment in segments]

    def test_python_and_c_remember_an_ack_alike(self) -> None:
        from tioption.capture import _walk

        random = Random(1)
        for _ in range(10_000):
            client, server, ack = random.randrange(1 << 16), random.randrange(1 << 16), random.randrange(1 << 32)
            assert _walk.ack_bit(client, server, ack) == ack_bit(client, server, ack) < 1 << 24


@pytest.mark.parametrize("select", SELECTIONS, ids=str)
class TestTwins:
    @pytest.mark.parametrize("path", [*golden_captures(), *shared_captures()], ids=lambda path: path.stem)
    def test_whole_captures(self, path: Path, select: Select) -> None:
        assert_same(path, select)

    def test_every_scenario(self, tmp_path: Path, select: Select) -> None:
        for number, scenario in enumerate(SCENARIOS.values()):
            path = write(tmp_path / f"{number}", scenario.pcap())
            assert_same(path, select)

    def test_every_link_layer_whole_and_cut_anywhere(self, tmp_path: Path, select: Select) -> None:
        frames: list[tuple[int, bytes, int]] = []
        for wrap in WRAPS.values():
            frames += [(wrap.link_type, wrap.frame[:length], len(wrap.frame)) for length in range(len(wrap.frame) + 1)]
        assert_same(write(tmp_path / "x", capture_of(frames)), select)

    def test_damaged_captures(self, tmp_path: Path, select: Select) -> None:
        files = originals()
        files += [compress(files[0]) for compress in COMPRESSORS.values()]
        for seed in range(500):
            random = Random(seed)
            assert_same(write(tmp_path / "x", mutated(random.choice(files), random)), select)

    def test_damaged_frames_in_whole_captures(self, tmp_path: Path, select: Select) -> None:
        """Where most of a file can still be read, what lies behind the odd frame is read alike, too."""
        wraps = list(WRAPS.values())
        for seed in range(150):
            random = Random(seed)
            frames = []
            for _ in range(100):
                wrap = random.choice(wraps)
                frame = mutated(wrap.frame, random) if random.randrange(2) else wrap.frame
                frames.append((wrap.link_type, frame, random.choice((0, len(frame), 1500, 2**32 - 1))))
            assert_same(write(tmp_path / "x", capture_of(frames, random.choice("<>"))), select)


def test_every_ethertype_protocol_and_port(tmp_path: Path) -> None:
    """What is nobody's in Python is nobody's in C."""
    ports = [*UDP_PORTS, *range(0, 65536, 61)]
    frames = [(1, ethernet(ethertype, IP4), 100) for ethertype in range(65536)]
    frames += [(101, ipv4(protocol, TCP4), 100) for protocol in range(256)]
    frames += [(101, ipv6(protocol, b"\x06\x00" + bytes(6) + TCP4), 100) for protocol in range(256)]
    frames += [(101, ipv4(17, udp(port, bytes(20), 3)), 60) for port in ports]
    frames += [(101, ipv4(17, udp(3, bytes(20), port)), 60) for port in ports]
    frames += [(0, pack("<I", family) + IP6, 100) for family in range(256)]
    frames += [(link_type, IP4 + bytes(50), 100) for link_type in range(300)]
    for hardware in (1, 778, 803, 824):
        for protocol in (*range(10), 0x5FF, 0x600, 0x800, 0x86DD):
            frames.append((113, pack("!HHH8sH", 0, hardware, 6, bytes(8), protocol) + IP4, 100))
            frames.append((276, pack("!HHIHBB8s", protocol, 0, 3, hardware, 0, 6, bytes(8)) + IP4, 100))
    for tags in range(20):
        frames.append((1, ethernet(0x88A8, (b"\0\1\x88\xa8" * tags) + b"\0\1\x08\x00" + IP4), 100))
    assert_same(write(tmp_path / "x", capture_of(frames)))


def capture_of(frames: list[tuple[int, bytes, int]], order: str = "<") -> bytes:
    """A pcapng file of frames of many link types: link type, octets, length on the wire of each."""
    types = sorted({link_type for link_type, _, _ in frames})
    parts = [blocks.section(order), *(blocks.interface(link_type, order) for link_type in types)]
    index = {link_type: number for number, link_type in enumerate(types)}
    for number, (link_type, frame, length) in enumerate(frames):
        parts.append(blocks.enhanced(frame, order, index=index[link_type], units=number, length=length))
    return b"".join(parts)


class TestClocks:
    """Times that 64 bits hold and times that they do not."""

    @pytest.mark.parametrize(
        "options",
        [
            b"",
            *(blocks.option(9, bytes((value,))) for value in (0, 3, 6, 9, 12, 19, 20, 127, 128, 138, 191, 192, 255)),
            *(blocks.option(14, pack("<q", value)) for value in (1, -1, 2**33, -(2**33), 2**34, 2**63 - 1, -(2**63))),
            blocks.option(9, b"\x00") + blocks.option(14, pack("<q", -(2**63))),
        ],
    )  # fmt: skip
    def test_pcapng(self, tmp_path: Path, options: bytes) -> None:
        units = [0, 1, 999, 10**6, 1_700_000_000_123_456_789, 2**63 - 1, 2**63, 2**64 - 1]
        octets = blocks.section() + blocks.interface(101, options=options)
        octets += b"".join(blocks.enhanced(IP4, units=value) for value in units)
        reading = assert_same(write(tmp_path / "x", octets))
        assert len(reading.segments) == len(units)

    def test_pcap(self, tmp_path: Path) -> None:
        octets = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
        for seconds, fraction in ((0, 0), (2**32 - 1, 2**32 - 1), (5, 999_999)):
            octets += pack("<IIII", seconds, fraction, len(IP4), len(IP4)) + IP4
        reading = assert_same(write(tmp_path / "x", octets))
        assert reading.segments[1].time_ns == (2**32 - 1) * (10**9 + 1000)

    def test_records_say_which_kind_of_time_they_have(self, tmp_path: Path) -> None:
        octets = blocks.section() + blocks.interface(101, options=blocks.option(14, pack("<q", 2**62)))
        octets += blocks.enhanced(IP4, units=1) + blocks.simple(IP4) + blocks.enhanced(IP4, units=3)
        for pure in (False, True):
            with pytest.MonkeyPatch.context() as patch:
                if pure:
                    patch.setattr(reader, "_walk", None)
                with Capture(str(write(tmp_path / "x", octets))) as capture:
                    batch = next(capture.batches())
            kinds = [RECORD.unpack_from(batch.records, index * RECORD.size)[15] for index in range(3)]
            assert kinds == [LARGE_TIME, NO_TIME, LARGE_TIME]
            assert batch.large_times == [2**62 * 10**9 + 1000, 2**62 * 10**9 + 3000]


A, B = Host("192.0.2.1", 40000, bytes(6)), Host("198.51.100.2", 443, bytes(6))
FLOW = bytes(FlowOption(Variant.FLOW_D, Tifid(0x0A4530BE79BF), 0x1D, 0x1F))


def segment(sender: Host, receiver: Host, seq: int, ack: int, flags: int, options: bytes = b"") -> bytes:
    return ip_packet(sender, receiver, tcp_segment(sender, receiver, TcpHeader(seq, ack, flags, 100, options)))


class TestSelections:
    def frames(self, tmp_path: Path, select: Select, *frames: bytes) -> list[int]:
        path = write(tmp_path / "x", pcap([(number, frame) for number, frame in enumerate(frames)], 101))
        return [segment.frame for segment in assert_same(path, select).segments]

    def test_handshakes(self, tmp_path: Path) -> None:
        frames = [
            segment(A, B, 1001, 2**32 - 4, ACK),  # before the SYN-ACK that it would answer
            segment(A, B, 1000, 0, SYN),
            segment(B, A, 2**32 - 5, 1001, SYN | ACK),
            segment(A, B, 1001, 2**32 - 4, ACK),
            segment(A, B, 1001, 2**32 - 4, ACK | PSH),
            segment(B, A, 2**32 - 4, 1001, ACK),
            segment(A, B, 1001, 5, ACK, FLOW),
            segment(A._replace(port=40001), B, 1001, 2**32 - 4, ACK),
            segment(A, B, 1001, 5, FIN | ACK),
            segment(B, A, 1001, 5, RST),
            segment(B, A, 1001, 5, PSH),
        ]
        assert self.frames(tmp_path, Select(handshakes=True), *frames) == [2, 3, 4, 5, 9, 10]
        assert self.frames(tmp_path, Select(DEFAULT_KINDS, handshakes=True), *frames) == [2, 3, 4, 5, 7, 9, 10]
        assert self.frames(tmp_path, CARRIERS, *frames) == [7]
        assert self.frames(tmp_path, EVERY, *frames) == list(range(1, 12))

    def test_a_syn_ack_in_a_tunnel_counts_for_a_third_ack_outside(self, tmp_path: Path) -> None:
        """One is read in Python and one in C; they remember the same."""
        tunnelled = ipv4(4, segment(B, A, 70, 1001, SYN | ACK))
        plain = segment(A, B, 1001, 71, ACK)
        assert self.frames(tmp_path, Select(handshakes=True), tunnelled, plain) == [1, 2]
        back = ipv4(4, plain)
        assert self.frames(tmp_path, Select(handshakes=True), segment(B, A, 70, 1001, SYN | ACK), back) == [1, 2]

    @pytest.mark.parametrize("captured", [len(TCP4) + 20, len(TCP4) + 19, 21])
    def test_carriers_have_room_for_the_option(self, tmp_path: Path, captured: int) -> None:
        whole = captured == len(TCP4) + 20
        assert self.frames(tmp_path, CARRIERS, IP4[:captured]) == [1] * whole

    def test_carriers_are_of_the_kinds_asked_for(self, tmp_path: Path) -> None:
        other = segment(A, B, 1, 0, SYN, b"\x4d" + FLOW[1:])
        assert self.frames(tmp_path, Select(Kinds(77, 78)), segment(A, B, 1, 0, SYN, FLOW), other) == [2]
        assert self.frames(tmp_path, Select(Kinds(1, 77)), segment(A, B, 1, 0, SYN, FLOW), other) == [2]


class TestBatches:
    def test_more_segments_than_a_batch_has_room_for(self, tmp_path: Path) -> None:
        path = write(tmp_path / "x", pcap([(number, IP4) for number in range(3 * ROOM)], 101))
        assert len(assert_same(path).segments) == 3 * ROOM
        with Capture(str(path)) as capture:
            assert max(len(batch) for batch in capture.batches()) == ROOM

    def test_a_frame_with_more_segments_than_a_batch_has_room_left_for(self, tmp_path: Path) -> None:
        """Aggregates behind frames that fill most of a batch."""
        from tests.capture.wraps import A4, B4, llc_snap, wifi

        body = llc_snap(0x0800, IP4)
        part = B4.mac + A4.mac + pack("!H", len(body)) + body
        part += b"\0" * (-len(part) % 4)
        aggregate = wifi(0x88, 0x01, part * 16, qos=b"\x80\0")
        frames = [(101, IP4, 0)] * (ROOM - 5) + [(105, aggregate, 0)] * 5
        reading = assert_same(write(tmp_path / "x", capture_of(frames)))
        assert len(reading.segments) == ROOM - 5 + 5 * 16

    def test_frames_at_the_ends_of_chunks(self, tmp_path: Path) -> None:
        random = Random(5)
        frames = [(0, ethernet(0x0800, IP4) + bytes(random.randrange(60_000))) for _ in range(500)]
        reading = assert_same(write(tmp_path / "x", pcap(frames, 1)))
        assert len(reading.segments) == 500
        for found, (_, frame) in zip(reading.segments, frames, strict=True):
            assert isinstance(found, Segment)
            assert found.data == frame

    def test_a_block_larger_than_the_buffer(self, tmp_path: Path) -> None:
        giant = blocks.block(0x12345678, bytes(5 << 20))
        octets = blocks.section() + blocks.interface(101) + blocks.enhanced(IP4) + giant + blocks.enhanced(IP4)
        assert [found.frame for found in assert_same(write(tmp_path / "x", octets * 3)).segments] == [1, 2, 3, 4, 5, 6]

    def test_the_segments_before_damage_come_first(self, tmp_path: Path) -> None:
        octets = blocks.section() + blocks.interface(101) + blocks.enhanced(IP4) * 3 + blocks.enhanced(IP4, index=1)
        reading = assert_same(write(tmp_path / "x", octets))
        assert len(reading.segments) == 3
        assert reading.error is not None

    def test_what_was_cut_is_there_with_what_it_has(self, tmp_path: Path) -> None:
        reading = assert_same(write(tmp_path / "x", pcap([(0, IP4), (1, IP4[:30]), (2, IP4)], 101)))
        assert [type(found) for found in reading.segments] == [Segment, CutSegment, Segment]

    def test_segments_and_batches_are_the_same(self) -> None:
        for path in golden_captures():
            with Capture(str(path)) as capture:
                segments = list(capture.segments())
            assert segments == read(path, pure=False).segments

    @pytest.mark.parametrize("pure", [False, True])
    def test_a_batch_comes_before_a_read_that_may_wait(
        self, tmp_path: Path, pure: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if pure:
            monkeypatch.setattr(reader, "_walk", None)
        path = write(tmp_path / "x", pcap([(number, IP4) for number in range(50_000)], 101))
        events: list[int] = []
        with Capture(str(path), lambda _: events.append(0)) as capture:
            events.extend(len(batch) for batch in capture.batches())
        assert sum(events) == 50_000
        reads = [at for at, event in enumerate(events) if event == 0]
        assert all(second - first > 1 for first, second in pairwise(reads[:-1]))


def test_a_batch_can_be_made_by_hand() -> None:
    """For whoever tests what works on batches."""
    batch = Batch()
    batch.data = bytearray(b"??" + IP4)
    whole = Segment(7, None, IP4, 20, len(IP4), 44, bytes(4), bytes(4), 1, 2, 3, 4, 44, 2, 5)
    batch.add(whole, 2, len(IP4))
    assert list(batch.segments()) == [whole]


@pytest.mark.parametrize(
    "arguments",
    [
        {1: -1},
        {1: 5, 2: 4},
        {2: 1000},
        {5: 8},
        {7: b""},
        {8: 4},
        {13: 9},
        {13: -1},
    ],
)
def test_the_walker_refuses_what_would_read_or_write_elsewhere(arguments: dict[int, object]) -> None:
    from tioption.capture import _walk
    from tioption.capture.record import INTERFACE

    good = [
        bytes(100),
        0,
        100,
        0,
        False,
        16,
        1000,
        INTERFACE.pack(101, 0, 1, 0),
        1,
        253,
        254,
        bytearray(),
        bytearray(88),
        0,
    ]
    _walk.walk(*good)  # type: ignore[arg-type]
    for position, value in arguments.items():
        good[position] = value
    with pytest.raises(ValueError, match="contradict"):
        _walk.walk(*good)  # type: ignore[arg-type]


def test_an_empty_buffer_may_lie_anywhere_and_records_may_not() -> None:
    from tioption.capture import _walk

    nothing = memoryview(b"octets")[1:1]
    rest = [0, 0, 0, False, 0, 0, nothing, 1, 253, 254, bytearray(), bytearray(88), 0]
    assert _walk.walk(b"", *rest) == (0, 0, 0)  # type: ignore[arg-type]
    rest[-2] = memoryview(bytearray(96))[1:89]
    with pytest.raises(ValueError, match="contradict"):
        _walk.walk(b"", *rest)  # type: ignore[arg-type]
