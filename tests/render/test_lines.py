"""Lines against the real tcpdump on every capture we have, then the corners it takes a crafted segment to reach."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import golden_captures, needs, shared_captures
from tioption.build.capture_file import pcap
from tioption.build.packet import (
    NOP,
    SACK_PERMITTED,
    Host,
    TcpHeader,
    ip_packet,
    mss,
    tcp_segment,
    timestamps,
    window_scale,
)
from tioption.capture import Capture
from tioption.capture.segment import ACK, FIN, PSH, RST, SYN, URG
from tioption.errors import CaptureError
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid, Variant
from tioption.render.lines import LinePrinter

A = Host("192.0.2.1", 40000, bytes(6))
B = Host("198.51.100.2", 9000, bytes(6))
FLOW = FlowOption(Variant.FLOW_D, Tifid(0x0A4530BE79BF), 0x1D, 0x1F)

# What a line of tcpdump says of the layers below IP and above TCP, and of Multipath TCP, is not ours to repeat.
_BELOW = re.compile(r"^(\S+) .*(IP6? \S+\.\d+ > )")
_MPTCP = re.compile(r"(mptcp \d+ [a-z-]+)(?:[^,\]{]|{[^}]*})*")


def our_lines(path: Path, kinds: Kinds = DEFAULT_KINDS) -> list[str]:
    printer = LinePrinter(kinds=kinds)
    lines: list[str] = []
    try:
        with Capture(str(path)) as capture:
            for segment in capture.segments():
                lines.append(printer.line(segment))  # noqa: PERF401  what came before an error must be kept
    except CaptureError:
        pass
    return lines


def tcpdump_lines(path: Path, program: str = "tcpdump") -> list[str]:
    done = subprocess.run([needs(program), "-n", "-r", path], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


# TCP where tcpdump does not look (a tunnel it prints on a second line or not at all), and frames it calls invalid.
UNCOMPARED = {"19-zeek-gtp_ext_header", "20-tcpdump-gso-ipv4-vxlan-ipv6", "22-suricata-verify-frag-ip-tcp"}
UNCOMPARED |= {"33-tcpdump-tcp-auth-heapoverflow", "37-pcapplusplus-clusterfuzz-4829420752470016"}


@pytest.mark.parametrize(
    "path",
    [path for path in shared_captures() if path.stem not in UNCOMPARED] or [None],
    ids=lambda path: path and path.stem,
)
def test_lines_are_tcpdump_s_own_on_captures_others_made(path: Path | None) -> None:
    if path is None:
        pytest.skip("no shared captures on this machine")
    theirs = [_MPTCP.sub(r"\1", _BELOW.sub(r"\1 \2", line)) for line in tcpdump_lines(path)]
    ours = our_lines(path)
    printed = iter(theirs)
    for line in ours:
        # In order, each of our lines is how a line of tcpdump begins; what follows there is the application's protocol.
        assert any(other == line or other.startswith((f"{line}:", f"{line} ")) for other in printed), line


@pytest.mark.parametrize("path", golden_captures(), ids=lambda path: path.stem)
def test_lines_are_those_of_a_tcpdump_that_knows_the_option(path: Path) -> None:
    """An unpatched one prints the 18 octets behind kind and length, from which the fields can be read."""
    pattern = re.compile(r"unknown-253 0x(\w{12})(\w{12})(\w{12})")
    theirs = [pattern.sub(r"flow-d tifid \1 tiseq \2 tiack \3", line) for line in tcpdump_lines(path)]
    assert our_lines(path) == theirs


def frames(*segments: tuple[TcpHeader, bytes]) -> list[bytes]:
    return [ip_packet(A, B, tcp_segment(A, B, header, payload)) for header, payload in segments]


def options(octets: bytes, flags: int = SYN) -> tuple[TcpHeader, bytes]:
    return TcpHeader(1000, 77 if flags & ACK else 0, flags, 512, octets), b""


CRAFTED = {
    "no flags": (TcpHeader(1, 2, 0, 3), b""),
    "all flags": (TcpHeader(5, 6, 0xFF, 7, urgent=9), b"x" * 5),
    "urgent": (TcpHeader(5, 6, ACK | URG | PSH, 7, urgent=9), b"x"),
    "reset": (TcpHeader(0xFFFFFFFF, 6, RST, 0), b""),
    "fin": (TcpHeader(9, 6, FIN | ACK, 0), b""),
    "data wraps": (TcpHeader(0xFFFFFFFF, 0, PSH, 0), b"abc"),
    "usual options": options(mss(1460) + NOP + window_scale(3) + SACK_PERMITTED + timestamps(787, 4_000_000_000)),
    "eol": options(mss(536) + b"\0\0\0\0"),
    "eol then rubbish": options(mss(536) + b"\0\1\2\3"),
    "sack": options(NOP + NOP + b"\5\x12" + bytes(range(16)), ACK),
    "sack of a wrong size": options(NOP + b"\5\7" + bytes(5), ACK),
    "echo": options(b"\6\6\0\0\1\0\7\6\0\0\1\1"),
    "cc": options(b"\x0b\6\0\0\1\0\x0c\6\0\0\1\1\x0d\6\0\0\0\7"),
    "md5": options(NOP + NOP + b"\x13\x12" + bytes(range(16))),
    "scps": options(b"\x14\4\xa0\1"),
    "user timeout": options(b"\x1c\4\x80\5\x1c\4\0\6"),
    "authentication": options(b"\x1d\x10\1\2" + bytes(range(12))),
    "authentication without mac": options(b"\x1d\4\1\2"),
    "authentication cut": options(b"\x1d\3\1\1"),
    "fast open": options(b"\x22\2\x22\x0a" + bytes(range(8))),
    "fast open, odd": options(b"\x22\7" + bytes(range(5)) + NOP),
    "experimental fast open": options(b"\xfe\4\xf9\x89\xfe\x0c\xf9\x89" + bytes(range(8))),
    "another experiment": options(b"\xfe\6\xe2\xd4\xc3\xd9\1\1"),
    "experiment without identifier": options(b"\xfe\3\1\1"),
    "unknown": options(b"\x45\2\x46\6\1\2\3\4"),
    "flow option of another length": options(b"\xfd\x08\1\2\3\4\5\6"),
    "length zero": options(b"\2\0\1\1"),
    "length one after others": options(mss(1460) + b"\x99\1\1\1"),
    "past the end": options(mss(1460) + b"\x08\x0a\1\1"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_segments_are_printed_as_tcpdump_prints_them(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(1_500_000, frame) for frame in frames(CRAFTED[name])], 101))
    assert our_lines(path) == tcpdump_lines(path)


def test_an_option_too_short_for_its_value_is_bad(tmp_path: Path) -> None:
    """tcpdump takes the value from the octets behind the option; we do not print what is not there."""
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(0, frame) for frame in frames(options(b"\2\2\1\1"))], 101))
    assert our_lines(path)[0].endswith("options [mss[bad opt]")


@pytest.mark.parametrize("words", [0, 4, 15])
def test_wrong_data_offsets(tmp_path: Path, words: int) -> None:
    (frame,) = frames(options(mss(1460)))
    frame = frame[:32] + bytes((words << 4,)) + frame[33:]
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(0, frame)], 101))
    ours, theirs = our_lines(path), tcpdump_lines(path)
    # tcpdump prints the difference of two unsigned numbers, which for such a header is no length but 2^32 less of it.
    assert ours == theirs


@pytest.mark.parametrize("captured", [34, 42, 43, 45, 50])
@pytest.mark.parametrize("area", [mss(1460) + timestamps(1, 2) + NOP + NOP, bytes(FLOW)], ids=["usual", "flow"])
def test_segments_cut_by_the_snapshot_length(tmp_path: Path, captured: int, area: bytes) -> None:
    (frame,) = frames(options(area))
    path = tmp_path / "x.pcap"
    record = pcap([(0, frame[:captured])], 101)
    path.write_bytes(record[:36] + len(frame).to_bytes(4, "little") + record[40:])
    assert our_lines(path) == tcpdump_lines(path)


def test_relative_numbers_follow_tcpdump_through_port_reuse_and_both_directions(tmp_path: Path) -> None:
    def segment(sender: Host, receiver: Host, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
        return ip_packet(sender, receiver, tcp_segment(sender, receiver, TcpHeader(seq, ack, flags, 100), payload))

    same = (A._replace(port=9000), B)
    exchange: list[bytes] = []
    for client, server in ((A, B), same, (A._replace(port=22), B)):
        exchange += [
            segment(client, server, 1000, 0, SYN),
            segment(server, client, 0xFFFFFFF0, 1001, SYN | ACK),
            segment(client, server, 1001, 0xFFFFFFF1, ACK),
            segment(server, client, 0xFFFFFFF1, 1001, ACK | PSH, b"x" * 40),
            segment(client, server, 1001, 0x19, ACK, b"y" * 10),
            segment(client, server, 5000, 0, SYN),
            segment(server, client, 7000, 5001, SYN | ACK),
            segment(client, server, 5001, 7001, ACK | FIN),
            segment(client, server, 4000, 6000, ACK | RST),
        ]
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(number, frame) for number, frame in enumerate(exchange)], 101))
    assert our_lines(path) == tcpdump_lines(path)


def test_the_table_of_connections_is_bounded() -> None:
    from tioption.capture import Segment
    from tioption.render.lines import _CONNECTIONS, _RelativeNumbers

    def segment(number: int, flags: int = ACK) -> Segment:
        src = number.to_bytes(4, "big")
        return Segment(1, 0, b"", 0, 0, 20, src, bytes(4), 1, 2, 1000, 2000, 20, flags, 0)

    numbers = _RelativeNumbers()
    kept = segment(0)
    numbers.bases(kept)
    for number in range(1, 5 * _CONNECTIONS):
        assert numbers.bases(segment(number)) == (0, 0, 1999)
        if number % 1000 == 0:
            assert numbers.bases(kept) == (1000, 1999, 1999)
    assert len(numbers._young) + len(numbers._old) <= 2 * _CONNECTIONS
    assert numbers.bases(segment(1)) == (0, 0, 1999)  # forgotten, so printed as if never seen


def test_flow_options_under_other_kinds(tmp_path: Path) -> None:
    (frame,) = frames(options(FLOW.encode(Kinds(77, 78))))
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(0, frame)], 101))
    with Capture(str(path)) as capture:
        (segment,) = capture.segments(Kinds(77, 78))
    assert f"options [{FLOW}]" in LinePrinter(kinds=Kinds(77, 78)).line(segment)
    assert f"options [unknown-77 0x{bytes(FLOW)[2:].hex()}]" in LinePrinter().line(segment)


@pytest.mark.parametrize("time_ns", [0, 1_234_567_890_123_456_789, 86_399_999_999_999, 2_147_483_647_999_999_999])
def test_times_of_day(tmp_path: Path, time_ns: int) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(time_ns, frame) for frame in frames(options(b""))], 101))
    assert our_lines(path) == tcpdump_lines(path)


@pytest.mark.parametrize("time_ns", [2**63 * 10**9, -(2**63) * 10**9, None])
def test_times_no_calendar_holds_are_printed_all_the_same(time_ns: int | None) -> None:
    from tioption.render.values import Clock

    assert Clock().text(time_ns)
