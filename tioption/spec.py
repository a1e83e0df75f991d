"""THE definition: the flow option's layout, its kinds, who else uses them, and the room a SYN leaves it.

Everything that needs the layout derives from here by `python -m tioption.generate`; nothing restates it. Construct is
slow to import and to run, so only generators, tests and documentation import this module: code reads
`tioption.layout`, which is generated from it.

Sources: §II.B, §III and Fig. 1 of the paper; RFC 4727 (kinds 253 and 254), RFC 6994 (experiment identifiers).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from construct import BytesInteger, Const, Int8ub, Int24ub, Struct

KIND_FLOW_D: Final = 253
"""Default kind of Flow-D, the data variant (OPT-02; RFC 4727 experiment 1)."""

KIND_FLOW_C: Final = 254
"""Default kind of Flow-C, the control variant (OPT-02, CTL-01; RFC 4727 experiment 2)."""

LENGTH: Final = 20
"""Octets of the whole option, kind and length included (OPT-01)."""

FLOW_OPTION: Final = Struct(
    "kind" / Int8ub * "Flow-D or Flow-C: they differ in kind alone (OPT-02, CTL-01)",
    "length" / Const(LENGTH, Int8ub) * "octets of the whole option, kind and length included: always 20 (OPT-01)",
    "tifid"
    / Struct(
        "first" / Int24ub * "the initiator's half, random and never zero (EST-01, OPT-06)",
        "second" / Int24ub * "the responder's half, zero only in the SYN of a new flow (EST-04, OPT-07)",
    )
    * "transport-independent flow identifier, opaque (§III)",
    "tiseq" / BytesInteger(6) * "position of the next byte its sender will send, mod 2^48 (§III, MAP-01)",
    "tiack"
    / BytesInteger(6)
    * "position of the next byte its sender expects; zero in the SYN of a new flow (§III, MAP-02)",
)
"""The option on the wire: 20 octets, big-endian."""


EXPERIMENT_KINDS: Final = frozenset({253, 254})
"""The kinds RFC 6994 shares by experiment identifiers; on any other kind there are none."""


class Experiment(NamedTuple):
    """A foreign use of kinds 253 and 254 that names itself by an experiment identifier (RFC 6994)."""

    name: str
    title: str
    exid: bytes
    """The identifier as it stands on the wire after kind and length: 2 or 4 octets."""
    lengths: frozenset[int] | None
    """Values of the length octet this experiment uses; None where its format is variable or unpublished."""
    source: str
    kinds: frozenset[int] = EXPERIMENT_KINDS
    """The kinds it is used with: both where IANA registers the identifier, one where nobody did."""


_REGISTRY: Final = "IANA ExID registry"

EXPERIMENTS: Final = (
    Experiment("tarr", "TCP ACK Rate Request", b"\x00\xac", None, "draft-gomez-tcpm-ack-rate-request"),
    Experiment("host-id", "Host Identifier", b"\x03\x48", None, "RFC 7974"),
    Experiment("asc", "Autonomous System Compensation", b"\x0a\x0d", None, _REGISTRY),
    Experiment("capability", "Capability Option", b"\x0c\xa0", None, _REGISTRY),
    Experiment("edo", "Extended Data Offset", b"\x0e\xd0", frozenset({4, 6, 8}), "draft-ietf-tcpm-tcp-edo"),
    Experiment("eno", "Encryption Negotiation (tcpcrypt)", b"\x45\x4e", None, "RFC 8547"),
    Experiment("sno", "Service Number", b"\x53\x23", None, _REGISTRY),
    Experiment("ts-interval", "Timestamp Interval", b"\x75\xec", None, _REGISTRY),
    Experiment("accecn0", "Accurate ECN, order 0", b"\xac\xc0", frozenset({4, 7, 10, 13}), "RFC 9768"),
    Experiment("accecn1", "Accurate ECN, order 1", b"\xac\xc1", frozenset({4, 7, 10, 13}), "RFC 9768"),
    Experiment("accecn", "Accurate ECN", b"\xac\xce", frozenset({4, 7, 10, 13}), "RFC 9768"),
    Experiment("deepflow", "DeepFlow trace identifier", b"\xde\xea", frozenset({12}), "captures", frozenset({253})),
    Experiment("smc-r", "Shared Memory Communications", b"\xe2\xd4\xc3\xd9", frozenset({6}), "RFC 7609"),
    Experiment("bpf-test", "Linux BPF header-option self-test", b"\xeb\x9f", None, "Linux", frozenset({254})),
    Experiment("tfo", "TCP Fast Open", b"\xf9\x89", frozenset({4, *range(8, 21, 2)}), "RFC 7413"),
    Experiment("low-latency", "Low Latency", b"\xf9\x90", None, _REGISTRY),
)
"""Known experiments: no flow option begins with one of these at one of its lengths, no sender chooses one (OPT-12)."""


OPTION_SPACE: Final = 40
"""Octets of options a TCP header can hold (data offset 15; RFC 9293 §3.1)."""

SYN_OPTION_LENGTHS: Final = {"eol": 1, "nop": 1, "mss": 4, "ws": 3, "sok": 2, "ts": 10, "tfo": 2, "md5": 18}
"""Octets of each option a SYN usually carries, by its short name."""

SYN_LAYOUTS: Final = {
    "Linux": ("mss", "sok", "ts", "nop", "ws"),
    "FreeBSD": ("mss", "nop", "ws", "sok", "ts"),
    "Windows": ("mss", "nop", "ws", "nop", "nop", "sok"),
    "macOS": ("mss", "nop", "ws", "nop", "nop", "ts", "sok", "eol", "eol"),
    "OpenBSD": ("mss", "nop", "nop", "sok", "nop", "ws", "nop", "nop", "ts"),
}
"""The options of each system's SYN in wire order, padding included (FreeBSD's is that of the paper's traces)."""


def option_octets(layout: tuple[str, ...]) -> int:
    """Octets the options of `layout` take; raises KeyError for a name that SYN_OPTION_LENGTHS does not know."""
    return sum(SYN_OPTION_LENGTHS[name] for name in layout)


def space_left(layout: tuple[str, ...]) -> int:
    """Octets a header with these options leaves, where what is added starts at the next multiple of 4 (OPT-08)."""
    return OPTION_SPACE - -(-option_octets(layout) // 4) * 4


def fits(layout: tuple[str, ...], octets: int = LENGTH) -> bool:
    """Whether an option of `octets` goes into a SYN beside these options as they stand, unmoved (OPT-11)."""
    return space_left(layout) >= octets


def with_flow_option(layout: tuple[str, ...]) -> tuple[str, ...]:
    """The options as a host sends them beside a flow option: as they stand where it fits, else repacked (OPT-11)."""
    return layout if fits(layout) else repacked(layout)


def repacked(layout: tuple[str, ...]) -> tuple[str, ...]:
    """The same options without padding, but for what aligns the whole to 4 octets: the least room they can take."""
    options = tuple(name for name in layout if name not in {"nop", "eol"})
    return options + ("nop",) * (-option_octets(options) % 4)
