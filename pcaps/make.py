"""Make the golden captures, or with `--check` compare them with what is committed (exit status 1 where they differ).

Each case is described here in the terms of the protocol. The capture is built from the description, and so is
`expected.json`, without the code that reads captures: a test holds the two against each other.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from tioption.build.capture_file import pcap
from tioption.build.packet import NOP, SACK_PERMITTED, Host, TcpHeader, mss, tcp_frame, timestamps, window_scale
from tioption.capture.segment import ACK, FIN, PSH, SYN
from tioption.option import FlowOption, Tifid, Variant

HERE: Final = Path(__file__).resolve().parent

MS: Final = 1_000_000  # nanoseconds
START: Final = 1_312_192_800 * 1000 * MS  # 2011-08-01 10:00:00 UTC, the week the paper was presented

A: Final = Host("192.168.1.2", 4874, bytes.fromhex("020000000102"))
B: Final = Host("192.168.2.4", 22, bytes.fromhex("020000000204"), ttl=63)

GUESSABLE: Final = {"rule": "EST-02", "severity": "warning"}


class Packet(NamedTuple):
    """One segment of a case: who sends it, when, and what is in it."""

    at: int
    """Nanoseconds after the capture's start."""
    sender: Host
    receiver: Host
    header: TcpHeader
    letters: str
    """The flags as tcpdump prints them, stated again so that they are not derived from the bits."""
    flow: FlowOption | None = None
    payload: bytes = b""
    findings: tuple[dict[str, str], ...] = ()


class Case(NamedTuple):
    """A golden capture: its folder, what it shows, and its packets."""

    name: str
    title: str
    origin: str
    packets: tuple[Packet, ...]


def freebsd(value: int, echo_reply: int) -> bytes:
    """The SYN options of the paper's hosts, 20 octets."""
    return mss(1460) + NOP + window_scale(3) + SACK_PERMITTED + timestamps(value, echo_reply)


def established(value: int, echo_reply: int) -> bytes:
    """The options of every later segment, 12 octets."""
    return NOP + NOP + timestamps(value, echo_reply)


def flow_d(tifid: str, tiseq: int, tiack: int) -> FlowOption:
    """A Flow-D option."""
    return FlowOption(Variant.FLOW_D, Tifid.from_text(tifid), tiseq, tiack)


def trace1() -> Case:
    """Trace 1: the initiator offers the option, the responder knows nothing of it."""
    offer = flow_d("4b2209000000", 0x1F, 0)
    packets = (
        Packet(0, A, B, TcpHeader(100, 0, SYN, 65535, freebsd(787, 0) + bytes(offer)), "S", offer, b"", (GUESSABLE,)),
        Packet(MS, B, A, TcpHeader(200, 101, SYN | ACK, 65535, freebsd(197, 787)), "S."),
        Packet(MS * 6 // 5, A, B, TcpHeader(101, 201, ACK, 8326, established(788, 197)), "."),
    )
    origin = (
        "Trace 1 of §IV.A of the paper. Every value the paper prints is in it: addresses, ports, sequence numbers, "
        "windows, options, their order and their timestamps. What the paper does not print is made up: the times of "
        "the frames, Ethernet addresses, IP identifications."
    )
    return Case("trace1", "The responder is legacy TCP", origin, packets)


def trace2() -> Case:
    """Trace 2: both hosts implement the option."""
    client = A._replace(port=11305)
    offer = flow_d("0a4530000000", 0x1D, 0)
    answer = flow_d("0a4530be79bf", 0x1F, 0x1D)
    confirmation = flow_d("0a4530be79bf", 0x1D, 0x1F)
    packets = (
        Packet(
            0, client, B, TcpHeader(110, 0, SYN, 65535, freebsd(109, 0) + bytes(offer)), "S", offer, b"", (GUESSABLE,)
        ),
        Packet(MS, B, client, TcpHeader(456, 111, SYN | ACK, 65535, freebsd(138, 109) + bytes(answer)), "S.", answer),
        Packet(
            MS * 6 // 5,
            client,
            B,
            TcpHeader(111, 457, ACK, 8326, established(110, 138) + bytes(confirmation)),
            ".",
            confirmation,
        ),
    )
    origin = (
        "Trace 2 of §IV.A of the paper, with one correction: the print of packet 3 ends in a tiack of eleven digits, "
        "`00000000001`. By EST-07 it repeats the TISeq of the SYN-ACK, `00000000001f`, of which the print is the first "
        "eleven digits. Frame times, Ethernet addresses and IP identifications are made up."
    )
    return Case("trace2", "Both hosts implement the option", origin, packets)


def legacy_initiator() -> Case:
    """The case the paper omits: an unmodified initiator, a responder that would know the option."""
    client = A._replace(port=21044)
    packets = (
        Packet(0, client, B, TcpHeader(3100, 0, SYN, 65535, freebsd(2210, 0)), "S"),
        Packet(MS, B, client, TcpHeader(9200, 3101, SYN | ACK, 65535, freebsd(540, 2210)), "S."),
        Packet(MS * 6 // 5, client, B, TcpHeader(3101, 9201, ACK, 8326, established(2211, 540)), "."),
    )
    origin = (
        "The second case of §IV.A: the initiator is legacy TCP, so its SYN has no option and neither has the answer of "
        "a responder that implements it (LEG-02). The paper omits this trace because it equals any other; all values "
        "are made up."
    )
    return Case("legacy-initiator", "The initiator is legacy TCP", origin, packets)


class Transport(NamedTuple):
    """One TCP connection of the resume case: its ends, initial sequence numbers and timestamp clocks."""

    client: Host
    server: Host
    isn_a: int
    isn_b: int
    clock_a: int
    clock_b: int

    def syn(self, at: int, flow: FlowOption, findings: tuple[dict[str, str], ...] = ()) -> Packet:
        """A's SYN, `at` milliseconds."""
        options = freebsd(self.clock_a + at, 0) + bytes(flow)
        header = TcpHeader(self.isn_a, 0, SYN, 65535, options)
        return Packet(at * MS, self.client, self.server, header, "S", flow, b"", findings)

    def syn_ack(self, at: int, heard: int, flow: FlowOption) -> Packet:
        """B's answer to the SYN A sent at `heard`."""
        options = freebsd(self.clock_b + at, self.clock_a + heard) + bytes(flow)
        header = TcpHeader(self.isn_b, self.isn_a + 1, SYN | ACK, 65535, options)
        return Packet(at * MS, self.server, self.client, header, "S.", flow)

    def a(self, at: int, heard: int, sent: int, got: int, *, data: bytes = b"", last: str = "") -> Packet:
        """A's segment after `sent` of its own and `got` of B's octets; `heard` is when B sent what A heard last."""
        options = established(self.clock_a + at, self.clock_b + heard)
        flags = ACK | PSH * bool(data) | FIN * (last == "F")
        header = TcpHeader(self.isn_a + 1 + sent, self.isn_b + 1 + got, flags, 8326, options)
        return Packet(at * MS, self.client, self.server, header, f"{last}{'P' * bool(data)}.", None, data)

    def b(self, at: int, heard: int, sent: int, got: int, *, data: bytes = b"", last: str = "") -> Packet:
        """B's segment, the mirror image of `a`."""
        options = established(self.clock_b + at, self.clock_a + heard)
        flags = ACK | PSH * bool(data) | FIN * (last == "F")
        header = TcpHeader(self.isn_b + 1 + sent, self.isn_a + 1 + got, flags, 8326, options)
        return Packet(at * MS, self.server, self.client, header, f"{last}{'P' * bool(data)}.", None, data)

    def confirming(self, at: int, heard: int, flow: FlowOption) -> Packet:
        """A's third ACK with the option."""
        plain = self.a(at, heard, 0, 0)
        return plain._replace(header=plain.header._replace(options=plain.header.options + bytes(flow)), flow=flow)


def resume() -> Case:
    """A flow over two transports, with every position of the specification's worked example."""
    server = B._replace(port=7777)
    one = Transport(A._replace(port=33012), server, 1_804_289_383, 846_930_886, 5_000, 70_000)
    two = Transport(A._replace(port=33019), server, 1_681_692_777, 1_714_636_915, 901_000, 340_000)
    upload = bytes(octet % 251 for octet in range(1000))
    download = bytes(255 - octet % 241 for octet in range(500))
    tifid = "5e1c07a9d344"
    packets = (
        one.syn(0, flow_d("5e1c07000000", 0x1D, 0), (GUESSABLE,)),
        one.syn_ack(20, 0, flow_d(tifid, 0x1F, 0x1D)),
        one.confirming(21, 20, flow_d(tifid, 0x1D, 0x1F)),
        one.a(30, 20, 0, 0, data=upload[:600]),
        one.b(50, 30, 0, 600, data=download[:300]),
        one.a(51, 50, 600, 300),
        # The firewall between the hosts loses its state here; what follows reaches it and goes no further.
        one.a(1000, 50, 600, 300, data=upload[600:]),
        one.b(1010, 51, 300, 600, data=download[300:]),
        one.a(1400, 50, 600, 300, data=upload[600:]),
        one.b(1410, 51, 300, 600, data=download[300:]),
        two.syn(60_000, flow_d(tifid, 0x405, 0x14B)),  # A stopped at 1d + 1000 and has 300 of B's bytes
        two.syn_ack(60_020, 60_000, flow_d(tifid, 0x14B, 0x275)),  # B begins where A stands (R1), has 600 of A's
        two.confirming(60_021, 60_020, flow_d(tifid, 0x275, 0x14B)),  # A begins where B stands
        two.a(60_022, 60_020, 0, 0, data=upload[600:]),
        two.b(60_041, 60_021, 0, 0, data=download[300:]),
        two.b(60_042, 60_022, 200, 400),
        two.a(60_062, 60_042, 400, 200, last="F"),
        two.b(60_082, 60_062, 200, 401, last="F"),
        two.a(60_102, 60_082, 401, 201),
    )
    origin = (
        "The worked example of the specification: initial positions 1d and 1f; A sends 1000 bytes, of which B has 600; "
        "B sends 500, of which A has 300. A stateful firewall on the path forgets the connection, A resumes the flow "
        "from a new port, and both streams go on exactly where they stopped. Captured at the firewall, so segments it "
        "no longer forwards are in the capture. The positions are the specification's, all other values are made up."
    )
    return Case("resume", "A flow resumes after a middlebox lost its state", origin, packets)


CASES: Final = (trace1(), trace2(), legacy_initiator(), resume())


def row(case: Case, frame: int, packet: Packet) -> dict[str, Any]:
    """What `tiopt decode --all --format json` says of a packet, but for the wording of its findings."""
    time_ns = START + packet.at
    flow = packet.flow
    return {
        "file": f"{case.name}.pcap",
        "frame": frame,
        "time": f"{time_ns // 10**9}.{time_ns % 10**9:09d}",
        "src": packet.sender.address,
        "sport": packet.sender.port,
        "dst": packet.receiver.address,
        "dport": packet.receiver.port,
        "flags": packet.letters,
        "seq": packet.header.seq,
        "ack": packet.header.ack,
        "variant": "flow-d" if flow else None,
        "tifid": str(flow.tifid) if flow else None,
        "tiseq": f"{flow.tiseq:012x}" if flow else None,
        "tiack": f"{flow.tiack:012x}" if flow else None,
        "findings": list(packet.findings),
    }


def readme(case: Case) -> str:
    """The README of a case."""
    return (
        f"# {case.name}: {case.title}\n\n{case.origin}\n\n"
        f"Made by `python pcaps/make.py`; `expected.json` holds what a decoder must say of each of its "
        f"{len(case.packets)} segments.\n"
    )


def files(case: Case) -> dict[str, bytes]:
    """The contents of a case's folder by name."""
    frames = [
        (
            START + packet.at,
            tcp_frame(packet.sender, packet.receiver, packet.header, packet.payload, identification=frame),
        )
        for frame, packet in enumerate(case.packets, 1)
    ]
    expected = {"segments": [row(case, frame, packet) for frame, packet in enumerate(case.packets, 1)]}
    return {
        f"{case.name}.pcap": pcap(frames),
        "expected.json": (json.dumps(expected, indent=1) + "\n").encode(),
        "README.md": readme(case).encode(),
    }


def main(arguments: list[str]) -> int:
    """Run as `python pcaps/make.py [--check]`; returns the exit status."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python pcaps/make.py [--check]\n")
        return 2
    differing = 0
    for case in CASES:
        for name, contents in files(case).items():
            path = HERE / case.name / name
            if not arguments:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(contents)
            elif not path.exists() or path.read_bytes() != contents:
                differing += 1
                print(f"pcaps/{case.name}/{name} differs from what pcaps/make.py makes")
    print(f"{len(CASES)} golden captures {'checked' if arguments else 'written'}, {differing} files differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
