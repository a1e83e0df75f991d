"""The kernel's packet filter for live captures: what can carry a flow option comes through, the rest never leaves it.

A classic BPF program, assembled from lines of mnemonics as `tcpdump -d` prints them, with names for what tcpdump
numbers. It lets through TCP segments whose data offset leaves room for the option (OPT-01), and whatever it cannot look
into but user space can: tunnels, label stacks, extension headers. All header values stand where the dissection has
them, so that both agree on what is decoded. Sources: Linux Documentation/networking/filter.rst; RFC 9293 §3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import pack
from typing import Final, NamedTuple

from tioption.capture import tunnels as _tunnels  # noqa: F401  makes IP and UDP know the tunnels
from tioption.capture.ethernet import ETHERTYPES, vlan
from tioption.capture.internet import IP_HEADERS, PROTOCOLS, TCP, UDP, UDP_PORTS
from tioption.layout import LENGTH

SNAPSHOT: Final = 1024
"""Octets kept of a frame: headers stand before that, in tunnels too, and payload is not decoded."""

_AUXILIARY: Final = 0x100000000 - 0x1000  # SKF_AD_OFF: what the kernel knows beside the octets
_AUXILIARIES: Final = {"protocol": _AUXILIARY, "pkttype": _AUXILIARY + 4, "hatype": _AUXILIARY + 28}

_NETWORK: Final = 0x100000000 - 0x100000  # SKF_NET_OFF: what is loaded from there on is counted from the network header
_PACKET_OUTGOING: Final = 4

LOOPBACK: Final = 772
ETHERNET: Final = frozenset({1, LOOPBACK})
"""ARPHRD_ types of devices whose frames begin with an Ethernet header."""

WIFI: Final = frozenset({801, 803})
"""ARPHRD_ types of 802.11 monitors: to find IP in their frames takes more than a filter can do, so all pass."""
_VLAN_TAGS: Final = 2
"""Tags looked behind in the frame itself; the kernel has usually taken the outer one off, and more are let through."""

_TAGS: Final = tuple(number for number, layer in ETHERTYPES.items() if layer is vlan)
_IPV4, _IPV6 = 0x0800, 0x86DD
_HOP_BY_HOP, _ICMPV6 = 0, 58
_FIRST_BIG_OFFSET: Final = (20 + LENGTH) // 4 << 4  # the data offset is the upper half of its octet


class Instruction(NamedTuple):
    """One instruction: `struct sock_filter` of 8 octets; jumps count the instructions to leave out."""

    code: int
    true: int
    false: int
    operand: int


# The opcodes used here. A operates, X indexes: [x+k] loads relative to it, #k is a value.
_CODES: Final = {
    "ldb [k]": 0x30,
    "ldh [k]": 0x28,
    "ld [k]": 0x20,
    "ldb [x+k]": 0x50,
    "ldh [x+k]": 0x48,
    "ld #k": 0x00,
    "ldx #k": 0x01,
    "ld M[k]": 0x60,
    "st M[k]": 0x02,
    "add #k": 0x04,
    "add x": 0x0C,
    "and #k": 0x54,
    "lsh #k": 0x64,
    "tax": 0x07,
    "txa": 0x87,
    "ja": 0x05,
    "jeq": 0x15,
    "jge": 0x35,
    "jset": 0x45,
    "ret": 0x06,
}


class Step(NamedTuple):
    """A line of a program: what to do, its operand, and the labels to go on at (default: the next line)."""

    mnemonic: str
    operand: int = 0
    true: str = ""
    false: str = ""


def assemble(lines: Iterable[Step | str]) -> list[Instruction]:
    """The instructions of a program; a string is the label of the line after it, and all jumps lead forward.

    Raises ValueError for a jump to a label that does not exist, lies behind, or is further than 255 instructions.
    """
    labels: dict[str, int] = {}
    steps: list[Step] = []
    for line in lines:
        if isinstance(line, str):
            labels[line] = len(steps)
        else:
            steps.append(line)

    def distance(at: int, label: str) -> int:
        ahead = labels.get(label, -1) - at - 1 if label else 0
        if not 0 <= ahead <= 255:
            raise ValueError(
                f"expected label {label!r} at most 255 instructions ahead of {at}, found {labels.get(label)}"
            )
        return ahead

    program = []
    for at, (mnemonic, operand, true, false) in enumerate(steps):
        if mnemonic == "ja":
            program.append(Instruction(_CODES[mnemonic], 0, 0, distance(at, true)))
        else:
            program.append(Instruction(_CODES[mnemonic], distance(at, true), distance(at, false), operand))
    return program


def flow_option_filter(*, every: bool = False) -> list[Instruction]:
    """The program for the frames of any device; where they have no Ethernet header, the kernel knows their protocol.

    With `every` all TCP segments come through, whatever their data offset. What is sent on a loopback device is
    dropped, because it is received there, too.
    """
    return assemble(_lines(every=every))


def encode(program: Iterable[Instruction]) -> bytes:
    """The octets of a program, 8 an instruction, in the machine's byte order."""
    return b"".join(pack("=HBBI", *instruction) for instruction in program)


def _lines(*, every: bool) -> Iterator[Step | str]:
    yield from _to_the_network_header()
    for number in range(_VLAN_TAGS):
        yield from _behind_a_tag(f"tag{number}", f"no tag{number}")
    yield Step("jeq", _IPV4, "ipv4")
    yield Step("jeq", _IPV6, "ipv6")
    yield from _any_of((number for number in ETHERTYPES if number not in {_IPV4, _IPV6}), "pass")
    yield Step("jge", 0x600, "drop")
    yield Step("ldh [x+k]", 0)  # a length and then LLC: only SNAP leads on to IP
    yield Step("jeq", 0xAAAA, "pass", "drop")
    yield from _internet()
    yield from _transport(every=every)
    yield "drop"
    yield Step("ret", 0)
    yield "pass"
    yield Step("ret", SNAPSHOT)


def _to_the_network_header() -> Iterator[Step | str]:
    """X becomes the offset of the network header, A the protocol."""
    yield Step("ld [k]", _AUXILIARIES["hatype"])
    yield Step("jeq", LOOPBACK, "loopback")
    yield from _any_of(sorted(ETHERNET), "ethernet")
    yield from _any_of(sorted(WIFI), "pass")
    yield Step("ldx #k", _NETWORK)
    yield Step("ld [k]", _AUXILIARIES["protocol"])
    yield Step("ja", 0, "network")
    yield "loopback"
    yield Step("ld [k]", _AUXILIARIES["pkttype"])
    yield Step("jeq", _PACKET_OUTGOING, "drop")
    yield "ethernet"
    yield Step("ldx #k", 14)
    yield Step("ldh [k]", 12)
    yield "network"


def _internet() -> Iterator[Step | str]:
    """IPv4 and IPv6: A becomes the protocol they carry, M[0] the length of the header before it."""
    yield "ipv4"
    yield Step("ldh [x+k]", 6)
    yield Step("jset", 0x1FFF, "drop")  # fragments after the first
    yield Step("ldb [x+k]", 0)
    yield Step("and #k", 15)
    yield Step("lsh #k", 2)
    yield Step("st M[k]", 0)
    yield Step("ldb [x+k]", 9)
    yield Step("ja", 0, "protocol")

    yield "ipv6"
    yield Step("ld #k", 40)
    yield Step("st M[k]", 0)
    yield Step("ldb [x+k]", 6)
    yield Step("jeq", _HOP_BY_HOP, "", "protocol")
    yield Step("ldb [x+k]", 40)  # multicast listener reports are everywhere
    yield Step("jeq", _ICMPV6, "drop", "pass")


def _transport(*, every: bool) -> Iterator[Step | str]:
    """What IP carries: TCP with room for the option, UDP from or to a tunnel's port, and what may lead on to them."""
    yield "protocol"
    yield Step("jeq", TCP, "tcp")
    yield Step("jeq", UDP, "udp")
    yield from _any_of((number for number in sorted({*PROTOCOLS, *IP_HEADERS}) if number not in {TCP, UDP}), "pass")
    yield Step("ja", 0, "drop")

    yield "tcp"
    if every:
        yield Step("ja", 0, "pass")
    yield from _over_ip()
    yield Step("ldb [x+k]", 12)
    yield Step("jge", _FIRST_BIG_OFFSET, "pass", "drop")

    yield "udp"
    yield from _over_ip()
    for port in (2, 0):
        yield Step("ldh [x+k]", port)
        yield from _any_of(sorted(UDP_PORTS), "pass")


def _behind_a_tag(tagged: str, untagged: str) -> Iterator[Step | str]:
    """Where A is the EtherType of a VLAN tag, move X behind the tag and load the type that follows it."""
    yield from _any_of(_TAGS, tagged)
    yield Step("ja", 0, untagged)
    yield tagged
    yield Step("ldh [x+k]", 2)
    yield Step("st M[k]", 1)
    yield Step("txa")
    yield Step("add #k", 4)
    yield Step("tax")
    yield Step("ld M[k]", 1)
    yield untagged


def _over_ip() -> Iterator[Step | str]:
    """Move X from the IP header to what it carries."""
    yield Step("ld M[k]", 0)
    yield Step("add x")
    yield Step("tax")


def _any_of(values: Iterable[int], label: str) -> Iterator[Step | str]:
    for value in values:
        yield Step("jeq", value, label)
