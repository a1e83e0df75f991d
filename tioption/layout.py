# Generated from tioption/spec.py by `python -m tioption.generate`. Do not edit.
"""The flow option's layout for code that runs per packet: offsets, one struct, known experiments (OPT-01)."""

from __future__ import annotations

from struct import Struct
from typing import Final

KIND_FLOW_D: Final = 253
KIND_FLOW_C: Final = 254
LENGTH: Final = 20
OPTION_SPACE: Final = 40

# (field, offset in octets from the kind, octets, what it is)
FIELDS: Final = (
    ("kind", 0, 1, "Flow-D or Flow-C: they differ in kind alone (OPT-02, CTL-01)"),
    ("length", 1, 1, "octets of the whole option, kind and length included: always 20 (OPT-01)"),
    ("tifid", 2, 6, "transport-independent flow identifier, opaque (§III)"),
    ("tifid.first", 2, 3, "the initiator's half, random and never zero (EST-01, OPT-06)"),
    ("tifid.second", 5, 3, "the responder's half, zero only in the SYN of a new flow (EST-04, OPT-07)"),
    ("tiseq", 8, 6, "position of the next byte its sender will send, mod 2^48 (§III, MAP-01)"),
    ("tiack", 14, 6, "position of the next byte its sender expects; zero in the SYN of a new flow (§III, MAP-02)"),
)

EXPERIMENT_KINDS: Final = frozenset({253, 254})

# (name, title, experiment identifier, kinds, values of the length octet or None where they vary)
EXPERIMENTS: Final[tuple[tuple[str, str, bytes, tuple[int, ...], tuple[int, ...] | None], ...]] = (
    ("tarr", "TCP ACK Rate Request", bytes.fromhex("00ac"), (253, 254), None),
    ("host-id", "Host Identifier", bytes.fromhex("0348"), (253, 254), None),
    ("asc", "Autonomous System Compensation", bytes.fromhex("0a0d"), (253, 254), None),
    ("capability", "Capability Option", bytes.fromhex("0ca0"), (253, 254), None),
    ("edo", "Extended Data Offset", bytes.fromhex("0ed0"), (253, 254), (4, 6, 8)),
    ("eno", "Encryption Negotiation (tcpcrypt)", bytes.fromhex("454e"), (253, 254), None),
    ("sno", "Service Number", bytes.fromhex("5323"), (253, 254), None),
    ("ts-interval", "Timestamp Interval", bytes.fromhex("75ec"), (253, 254), None),
    ("accecn0", "Accurate ECN, order 0", bytes.fromhex("acc0"), (253, 254), (4, 7, 10, 13)),
    ("accecn1", "Accurate ECN, order 1", bytes.fromhex("acc1"), (253, 254), (4, 7, 10, 13)),
    ("accecn", "Accurate ECN", bytes.fromhex("acce"), (253, 254), (4, 7, 10, 13)),
    ("deepflow", "DeepFlow trace identifier", bytes.fromhex("deea"), (253,), (12,)),
    ("smc-r", "Shared Memory Communications", bytes.fromhex("e2d4c3d9"), (253, 254), (6,)),
    ("bpf-test", "Linux BPF header-option self-test", bytes.fromhex("eb9f"), (254,), None),
    ("tfo", "TCP Fast Open", bytes.fromhex("f989"), (253, 254), (4, 8, 10, 12, 14, 16, 18, 20)),
    ("low-latency", "Low Latency", bytes.fromhex("f990"), (253, 254), None),
)

# system: (options of its SYN, options of its SYN beside a flow option)
SYN_LAYOUTS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "Linux": (
        ("mss", "sok", "ts", "nop", "ws"),
        ("mss", "sok", "ts", "nop", "ws"),
    ),
    "FreeBSD": (
        ("mss", "nop", "ws", "sok", "ts"),
        ("mss", "nop", "ws", "sok", "ts"),
    ),
    "Windows": (
        ("mss", "nop", "ws", "nop", "nop", "sok"),
        ("mss", "nop", "ws", "nop", "nop", "sok"),
    ),
    "macOS": (
        ("mss", "nop", "ws", "nop", "nop", "ts", "sok", "eol", "eol"),
        ("mss", "ws", "ts", "sok", "nop"),
    ),
    "OpenBSD": (
        ("mss", "nop", "nop", "sok", "nop", "ws", "nop", "nop", "ts"),
        ("mss", "sok", "ws", "ts", "nop"),
    ),
}

_OPTION: Final = Struct(">BBHIHIHI")


def unpack(octets: bytes, offset: int = 0) -> tuple[int, int, int, int, int]:
    """kind, length, tifid, tiseq, tiack of the 20 octets at `offset`, which must be there."""
    (
        kind,
        length,
        tifid_high,
        tifid_low,
        tiseq_high,
        tiseq_low,
        tiack_high,
        tiack_low,
    ) = _OPTION.unpack_from(octets, offset)
    return kind, length, tifid_high << 32 | tifid_low, tiseq_high << 32 | tiseq_low, tiack_high << 32 | tiack_low


def pack(kind: int, tifid: int, tiseq: int, tiack: int) -> bytes:
    """The octets of an option with these values, each of which must fit its field."""
    return _OPTION.pack(
        kind,
        20,
        tifid >> 32,
        tifid & 0xFFFFFFFF,
        tiseq >> 32,
        tiseq & 0xFFFFFFFF,
        tiack >> 32,
        tiack & 0xFFFFFFFF,
    )
