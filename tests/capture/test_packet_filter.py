"""The kernel's filter, run by an interpreter of its own: what can carry a flow option passes, plain data does not."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.bpf import run
from tests.capture.wraps import IP4, IP6, WRAPS, ethernet, ipv4, ipv6, udp
from tioption.build.catalogue import SCENARIOS
from tioption.build.packet import NOP, Host, TcpHeader, ip_packet, tcp_segment
from tioption.capture import Segment
from tioption.capture.packet_filter import SNAPSHOT, Instruction, Step, assemble, encode, flow_option_filter
from tioption.capture.reader import segments
from tioption.capture.record import Record
from tioption.capture.segment import ACK
from tioption.capture.undecoded import UndecodedCounter
from tioption.option import DEFAULT_KINDS

FILTER, EVERY = flow_option_filter(), flow_option_filter(every=True)
ETHERNET, RAW = 1, 101


def decoded(link_type: int, frame: bytes) -> list[Segment]:
    """The segments user space finds in a frame."""
    found = segments([Record(1, 0, link_type, frame, len(frame))], UndecodedCounter())
    return [segment for segment in found if isinstance(segment, Segment)]


def carries(segment: Segment) -> bool:
    return any(option.flow is not None for option in segment.walk_options(DEFAULT_KINDS))


def without_ethernet(program: Sequence[Instruction], frame: bytes, network: int = 0) -> int:
    """What the program returns for an Ethernet frame's packet from a device that has none, behind another header."""
    protocol = int.from_bytes(frame[12:14], "big")
    return run(program, bytes(network) + frame[14:], network, protocol=protocol, hatype=0xFFFE)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_what_can_carry_an_option_passes_and_nothing_else(scenario: object) -> None:
    for _, frame in scenario.conversation().frames():  # type: ignore[attr-defined]
        (segment,) = decoded(ETHERNET, frame)
        passes = bool(run(FILTER, frame))
        assert passes or not carries(segment)
        assert passes == (segment.header_length >= 40)
        for network in (0, 28):
            assert bool(without_ethernet(FILTER, frame, network)) == passes
            assert without_ethernet(EVERY, frame, network)
        assert run(EVERY, frame)


@pytest.mark.parametrize("name", [name for name, wrap in WRAPS.items() if wrap.link_type in {ETHERNET, RAW}])
def test_every_frame_that_user_space_decodes_passes(name: str) -> None:
    link_type, frame, _ = WRAPS[name]
    assert any(map(carries, decoded(link_type, frame)))
    if link_type == RAW:
        frame = ethernet(0x0800 if frame[0] >> 4 == 4 else 0x86DD, frame)
    for program in (FILTER, EVERY):
        assert run(program, frame) == SNAPSHOT
        assert without_ethernet(program, frame) == SNAPSHOT
    assert decoded(ETHERNET, frame) == decoded(ETHERNET, frame[:SNAPSHOT])


def segment_of(options: int, payload: bytes = b"x" * 1000) -> bytes:
    sender, receiver = Host("192.0.2.1", 1, bytes(6)), Host("198.51.100.2", 2, bytes(6))
    return ip_packet(sender, receiver, tcp_segment(sender, receiver, TcpHeader(1, 1, ACK, 1, NOP * options), payload))


@pytest.mark.parametrize("options", range(0, 44, 4))
@pytest.mark.parametrize("tags", range(3))
def test_only_a_data_offset_with_room_for_the_option_passes(options: int, tags: int) -> None:
    frame = ethernet(0x8100, b"\0\5\x81\0" * (tags - 1) + b"\0\5\x08\0" + segment_of(options))
    if not tags:
        frame = ethernet(0x0800, segment_of(options))
    assert len(decoded(ETHERNET, frame)) == 1
    assert bool(run(FILTER, frame)) == (options >= 20)
    assert run(EVERY, frame)


@pytest.mark.parametrize(
    ("why", "frame"),
    [
        ("ARP", ethernet(0x0806, bytes(28))),
        ("a later fragment", ethernet(0x0800, ipv4(6, IP4[20:], fragment=0x2001))),
        ("a last fragment", ethernet(0x0800, ipv4(6, IP4[20:], fragment=0x0001))),
        ("ICMP, which quotes a segment", ethernet(0x0800, ipv4(1, b"\3\1\0\0\0\0\0\0" + IP4))),
        ("ICMPv6, which quotes a segment", ethernet(0x86DD, ipv6(58, b"\1\0\0\0\0\0\0\0" + IP6))),
        ("a multicast listener report", ethernet(0x86DD, ipv6(0, b"\x3a\0\5\2\0\0\1\0" + bytes(28)))),
        ("DNS", ethernet(0x0800, ipv4(17, udp(53, bytes(40))))),
        ("QUIC", ethernet(0x86DD, ipv6(17, udp(443, bytes(1200))))),
        ("ESP", ethernet(0x0800, ipv4(50, IP4))),
        ("spanning tree", ethernet(38, b"\x42\x42\x03" + bytes(35))),
        ("a frame of 20 octets", ethernet(0x0800, IP4)[:20]),
        ("nothing", b""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_tcp_is_dropped(why: str, frame: bytes) -> None:
    for program in (FILTER, EVERY):
        assert run(program, frame) == without_ethernet(program, frame) == 0


@pytest.mark.parametrize("options", [0, 8, 40])
def test_the_length_of_the_ip_header_is_heeded(options: int) -> None:
    for octets, passes in ((12, False), (20, True)):
        frame = ethernet(0x0800, ipv4(6, segment_of(octets)[20:], options=NOP * options))
        assert bool(run(FILTER, frame)) == passes


def test_a_loopback_device_s_own_sending_is_dropped() -> None:
    frame, loopback, outgoing = ethernet(0x0800, IP4), 772, 4
    for program in (FILTER, EVERY):
        assert not run(program, frame, hatype=loopback, pkttype=outgoing)
        assert run(program, frame, hatype=loopback, pkttype=0)
        assert run(program, frame, hatype=1, pkttype=outgoing)


@given(frame=st.binary(max_size=120), protocol=st.sampled_from([0x0800, 0x86DD, 0x8100, 0x8847, 4, 0x0806]))
def test_any_octets_are_passed_or_dropped(frame: bytes, protocol: int) -> None:
    whole = ethernet(protocol, frame)
    assert run(FILTER, whole) in {0, SNAPSHOT}
    assert without_ethernet(FILTER, whole) == run(FILTER, whole)
    if any(map(carries, decoded(ETHERNET, whole))):
        assert run(FILTER, whole)


def test_a_wireless_monitor_s_frames_are_left_to_user_space() -> None:
    assert all(run(FILTER, b"\x08\x01", hatype=hatype) == SNAPSHOT for hatype in (801, 803))


class TestAssembler:
    def test_jumps_count_what_they_leave_out(self) -> None:
        lines: list[Step | str] = [Step("jeq", 1, "end"), Step("ja", 0, "end"), Step("txa"), "end", Step("ret", 7)]
        assert assemble(lines) == [
            Instruction(0x15, 2, 0, 1),
            Instruction(0x05, 0, 0, 1),
            Instruction(0x87, 0, 0, 0),
            Instruction(0x06, 0, 0, 7),
        ]

    @pytest.mark.parametrize("lines", [[Step("jeq", 1, "x")], ["x", Step("txa"), Step("jeq", 1, "x")]])
    def test_a_label_must_lie_ahead(self, lines: list[Step | str]) -> None:
        with pytest.raises(ValueError, match="expected label 'x' at most 255 instructions ahead"):
            assemble(lines)

    def test_octets_are_those_of_sock_filter(self) -> None:
        assert encode([Instruction(0x15, 2, 3, 0x0800)]) == pack("=HBBI", 0x15, 2, 3, 0x0800)
