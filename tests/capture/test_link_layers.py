"""Every link layer and tunnel: the segment inside is found, whole and with its addresses; Wireshark finds the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.capture import blocks
from tests.capture.wraps import A4, A6, B4, B6, FLOW, HEADER, IP4, TCP4, WRAPS, ethernet, gtp_u, ipv4, ipv6, udp, wifi
from tests.conftest import needs
from tioption.build.capture_file import pcap
from tioption.capture import Capture, CutSegment, Segment
from tioption.option import DEFAULT_KINDS, walk
from tioption.render.values import address_text


def read(
    path: Path, link_type: int, frame: bytes, *, carriers: bool = False
) -> tuple[list[Segment | CutSegment], list[str]]:
    path.write_bytes(pcap([(0, frame)], link_type))
    with Capture(str(path)) as capture:
        return list(capture.segments(DEFAULT_KINDS if carriers else None)), [str(item) for item in capture.undecoded]


@pytest.mark.parametrize("name", WRAPS)
@pytest.mark.parametrize("carriers", [False, True])
def test_segment_is_found(tmp_path: Path, name: str, carriers: bool) -> None:
    segments, undecoded = read(tmp_path / "x.pcap", WRAPS[name].link_type, WRAPS[name].frame, carriers=carriers)
    assert undecoded == []
    assert len(segments) == (2 if "aggregate" in name else 1)
    for segment in segments:
        assert isinstance(segment, Segment)
        assert (segment.sport, segment.dport, segment.seq, segment.ack) == (A4.port, B4.port, HEADER.seq, 0)
        assert (segment.flags, segment.window, segment.header_length) == (HEADER.flags, 65535, 44)
        assert segment.length == len(TCP4)
        assert segment.payload_length == 0
        assert segment.options == HEADER.options
        assert [option.flow for option in walk(segment.options)][-1] == FLOW
        addresses = (address_text(segment.src), address_text(segment.dst))
        outer = ("203.0.113.1", "203.0.113.2")
        assert addresses in {(A4.address, B4.address), (A6.address, B6.address), outer}


@pytest.mark.parametrize("name", WRAPS)
def test_a_frame_cut_anywhere_is_counted_or_yields_a_cut_segment(tmp_path: Path, name: str) -> None:
    link_type, frame, _ = WRAPS[name]
    for length in range(len(frame)):
        segments, _ = read(tmp_path / "x.pcap", link_type, frame[:length])
        for segment in segments:
            assert segment.sport == A4.port
            if isinstance(segment, Segment):
                assert segment.seq == HEADER.seq


def test_wireshark_finds_the_same_segments(tmp_path: Path) -> None:
    """All wraps in one capture, an interface each, through the real tshark: one row of values per frame."""
    tshark = needs("tshark")
    wraps = {name: wrap for name, wrap in WRAPS.items() if wrap.tshark}
    path = tmp_path / "x.pcapng"
    interfaces = b"".join(blocks.interface(wrap.link_type) for wrap in wraps.values())
    packets = b"".join(blocks.enhanced(wrap.frame, index=index) for index, wrap in enumerate(wraps.values()))
    path.write_bytes(blocks.section() + interfaces + packets)
    fields = ("tcp.srcport", "tcp.seq_raw", "tcp.options.mss_val", "ip.src", "ipv6.src")
    command = [tshark, "-n", "-r", str(path), "-Tfields", *(f"-e{field}" for field in fields)]
    command += ["-oip.defragment:FALSE", "-oipv6.defragment:FALSE"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = done.stdout.splitlines()
    with Capture(str(path)) as capture:
        ours = list(capture.segments())
    assert len(rows) == len(wraps)
    for number, (name, row) in enumerate(zip(wraps, rows, strict=True), 1):
        segments = [segment for segment in ours if segment.frame == number]
        ports, seqs, values, src4, src6 = row.split("\t")
        assert ports.split(",") == [str(segment.sport) for segment in segments], name
        assert seqs.split(",") == [str(segment.seq) for segment in segments], name
        assert values.split(",") == ["1460"] * len(segments), name
        for segment in segments:
            assert address_text(segment.src) in f"{src4},{src6}".split(","), name


class TestWhatIsLeft:
    """Frames that cannot be decoded are counted with a reason; what is not TCP is not counted at all."""

    @pytest.mark.parametrize(
        ("link_type", "frame", "reason"),
        [
            (147, b"whatever", "link type 147 (USER0) is not supported"),
            (9999, b"whatever", "link type 9999 is not supported"),
            (1, b"\0" * 13, "Ethernet header cut short"),
            (1, ethernet(0x0800, IP4)[:30], "IPv4 header cut short"),
            (1, ethernet(0x0800, IP4)[:36], "TCP header cut before its ports"),
            (101, b"\x44" + IP4[1:], "IPv4 header malformed"),
            (101, b"\x75" + IP4[1:], "IP version 7"),
            (228, b"\x65" + IP4[1:], "IPv4 header malformed"),
            (101, ipv4(6, TCP4, fragment=0x0010), "IP fragments after the first"),
            (101, ipv6(44, b"\x06\x00\x00\x10" + bytes(4) + TCP4), "IP fragments after the first"),
            (101, ipv4(50, bytes(40)), "ESP, which is encrypted"),
            (1, ethernet(0x88E5, bytes(40)), "MACsec"),
            (105, wifi(0x08, 0x41, bytes(40)), "802.11 data that is encrypted"),
            (127, b"\x01" + bytes(20), "radiotap header malformed"),
            (239, b"\x02\x00\x00\x00\x01\x00\x09\x00", "NFLOG attributes malformed or cut short"),
            (101, ipv4(47, b"\x00\x02\x08\x00"), "GRE version 2"),
            (101, ipv4(47, b"\x40\x00\x08\x00"), "GRE with source routing"),
            (
                1,
                ethernet(0x8847, b"\x00\x02\x01\x40\x99"),
                "MPLS payload that is neither IP nor Ethernet with a control word",
            ),
            (
                101,
                ipv4(17, udp(2152, gtp_u(IP4, extensions=b"\x00\x10\x00\x00", following=0x85))),
                "GTP-U extension header malformed",
            ),
        ],
    )
    def test_reasons(self, tmp_path: Path, link_type: int, frame: bytes, reason: str) -> None:
        segments, undecoded = read(tmp_path / "x.pcap", link_type, frame)
        assert segments == []
        assert undecoded == [f"1 frame not decoded: {reason} (first: frame 1)"]

    @pytest.mark.parametrize(
        ("link_type", "frame"),
        [
            (1, ethernet(0x0806, bytes(28))),
            (101, ipv4(17, udp(53, bytes(20)))),
            (101, ipv4(1, b"\x03\x01\0\0\0\0\0\0" + IP4)),  # TCP quoted in ICMP is not a segment
            (101, ipv6(58, b"\x01\x04\0\0\0\0\0\0" + IP4)),
            (101, ipv6(59, TCP4)),
            (105, wifi(0x80, 0, bytes(40))),
            (105, wifi(0x48, 1, b"")),
            (113, bytes((0, 0, 3, 56)) + bytes(10) + b"\x08\x00" + IP4),  # netlink
            (101, ipv4(17, udp(2152, b"\x30\x01" + bytes(10)))),  # a GTP echo request
            (101, ipv4(17, udp(8472, b"\x08\0\0\1\0\0\x05\0" + ethernet(0x0800, IP4)))),
            (101, ipv4(47, b"\x20\x81\x88\x0b" + bytes(8))),  # a bare acknowledgment of PPTP's GRE
        ],
    )
    def test_what_is_not_tcp_is_passed_over_in_silence(self, tmp_path: Path, link_type: int, frame: bytes) -> None:
        assert read(tmp_path / "x.pcap", link_type, frame) == ([], [])

    def test_headers_inside_each_other_without_end(self, tmp_path: Path) -> None:
        frame = IP4
        for _ in range(40):
            frame = ipv4(4, frame)
        segments, undecoded = read(tmp_path / "x.pcap", 101, frame)
        assert segments == []
        assert undecoded == ["1 frame not decoded: more than 16 headers of encapsulation (first: frame 1)"]


class TestLengths:
    def test_ethernet_trailer_is_not_payload(self, tmp_path: Path) -> None:
        (segment,), _ = read(tmp_path / "x.pcap", 1, ethernet(0x0800, IP4) + b"trailer")
        assert isinstance(segment, Segment)
        assert (segment.payload_length, segment.payload) == (0, b"")

    def test_total_length_of_zero_means_the_whole_frame(self, tmp_path: Path) -> None:
        frame = ethernet(0x0800, IP4[:2] + b"\0\0" + IP4[4:] + b"payload")
        (segment,), _ = read(tmp_path / "x.pcap", 1, frame)
        assert isinstance(segment, Segment)
        assert (segment.payload_length, segment.payload) == (7, b"payload")

    def test_header_cut_in_the_fixed_part(self, tmp_path: Path) -> None:
        (segment,), undecoded = read(tmp_path / "x.pcap", 101, IP4[: 20 + 14])
        assert isinstance(segment, CutSegment)
        assert (segment.sport, segment.dport, segment.seq, segment.ack, segment.flags) == (40000, 443, 1000, 0, 2)
        assert undecoded == []
        (segment,), _ = read(tmp_path / "x.pcap", 101, IP4[: 20 + 5])
        assert isinstance(segment, CutSegment)
        assert (segment.seq, segment.ack, segment.flags) == (None, None, None)

    @pytest.mark.parametrize("words", [0, 4, 15])
    def test_a_wrong_data_offset_yields_no_options_beyond_the_segment(self, tmp_path: Path, words: int) -> None:
        frame = bytearray(IP4)
        frame[32] = words << 4
        (segment,), _ = read(tmp_path / "x.pcap", 101, bytes(frame) + b"\xfd\x14" * 40)
        assert isinstance(segment, Segment)
        assert len(segment.options) == segment.options_length <= 24
        assert segment.payload_length == 0 if words == 15 else 24
