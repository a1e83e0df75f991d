"""The flow option in Scapy: built by name, seen in dissected packets, read back as a value.

Scapy is for building and inspecting. Its dissector repairs what it reads (octets after EOL become zero, a length that
overruns the header is rewritten), so verdicts come from `tioption.capture`, never from here. No other module imports
Scapy, which is licensed GPL-2.0-only. Source: OPT-01 … OPT-05, OPT-08.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from itertools import takewhile
from typing import Any, Final, Self

from scapy.layers.inet import TCP, TCPOptions, TCPOptionsField
from scapy.layers.inet6 import IPv6  # noqa: F401  loaded so that Ether and IP dissect it
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tioption.layout import FIELDS, LENGTH, OPTION_SPACE, unpack
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, TcpOption, Tifid, Variant, walk

# Octets of an option before its TIFID: kind and length, which Scapy keeps to itself.
_VALUE: Final = next(offset for name, offset, _, _ in FIELDS if name == "tifid")
_NAMES: Final = frozenset(variant.value for variant in Variant)

# The fields that Scapy computes from what lies above them while they are unset.
_COMPUTED: Final = frozenset({"chksum", "dataofs", "len", "length", "plen"})

# Any, because its method is replaced.
_options_field: Any = TCPOptionsField
_M2i = Callable[[TCPOptionsField, Packet, bytes], list[tuple[Any, Any]]]

# Nothing, or the kinds registered and the method that was there before.
_in_force: Final[list[tuple[Kinds, _M2i]]] = []


class ScapyFlowOption(bytes):
    """The value of a flow option in the options of Scapy's TCP layer: TIFID, TISeq and TIAck, 18 octets (OPT-01).

    The name beside it in the list says the variant: `("flow-d", ScapyFlowOption(...))`. It is octets that cannot be
    changed, so that Scapy builds, copies and compares it as it does any other; `replace` gives changed ones.
    """

    __slots__ = ()

    def __new__(cls, tifid: Tifid | int, tiseq: int, tiack: int) -> Self:
        """Hold three values of 48 bits; raises OptionError where one does not fit."""
        whole = tifid if isinstance(tifid, Tifid) else Tifid(tifid)
        return super().__new__(cls, FlowOption(Variant.FLOW_D, whole, tiseq, tiack).encode()[_VALUE:])

    @classmethod
    def from_option(cls, option: FlowOption) -> Self:
        """The value of `option`, without its variant."""
        return cls(option.tifid, option.tiseq, option.tiack)

    def to_option(self, variant: Variant) -> FlowOption:
        """The option of this value and `variant`."""
        return FlowOption(variant, self.tifid, self.tiseq, self.tiack)

    @property
    def tifid(self) -> Tifid:
        """The flow identifier, 48 bits."""
        _, _, tifid, _, _ = unpack(bytes(_VALUE) + self)
        return Tifid(tifid)

    @property
    def tiseq(self) -> int:
        """The position its sender sends next, 48 bits."""
        _, _, _, tiseq, _ = unpack(bytes(_VALUE) + self)
        return tiseq

    @property
    def tiack(self) -> int:
        """The position its sender expects next, 48 bits."""
        _, _, _, _, tiack = unpack(bytes(_VALUE) + self)
        return tiack

    def replace(self, **changes: Any) -> Self:  # type: ignore[override]
        """The same value with some fields changed, by their names."""
        return type(self)(**{"tifid": self.tifid, "tiseq": self.tiseq, "tiack": self.tiack, **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tifid, self.tiseq, self.tiack)

    def __str__(self) -> str:
        return f"tifid {self.tifid} tiseq {self.tiseq:012x} tiack {self.tiack:012x}"

    def __repr__(self) -> str:
        return f"ScapyFlowOption(tifid=0x{self.tifid}, tiseq=0x{self.tiseq:x}, tiack=0x{self.tiack:x})"


def register(kinds: Kinds = DEFAULT_KINDS) -> None:
    """Teach Scapy the names `flow-d` and `flow-c` under these kinds, in place of others registered before.

    Raises ValueError, and changes nothing, where the kinds are equal, no octets, or known to Scapy as something else.
    """
    before, _ = _in_force[-1] if _in_force else (None, None)
    if kinds == before:
        return
    if kinds.flow_d == kinds.flow_c:
        raise ValueError(f"expected two kinds, found {kinds.flow_d} twice")
    for kind in kinds:
        if kind not in range(256):
            raise ValueError(f"expected a kind of one octet, found {kind}")
        if kind in TCPOptions[0] and kind not in (before or ()):
            raise ValueError(f"expected a kind without a name in Scapy, found {kind} ({TCPOptions[0][kind][0]})")
    unregister()
    _in_force.append((kinds, _options_field.m2i))
    for variant in Variant:
        TCPOptions[0][kinds.kind(variant)] = (variant.value, None)
        TCPOptions[1][variant.value] = kinds.kind(variant)
    _options_field.m2i = _dissecting(_options_field.m2i, kinds)


def unregister() -> None:
    """Give Scapy back as it was before `register`; nothing where it was not registered."""
    if not _in_force:
        return
    _, _options_field.m2i = _in_force.pop()
    for name in _NAMES:
        del TCPOptions[0][TCPOptions[1].pop(name)]


def flow_option(packet: Packet) -> FlowOption | None:
    """The flow option of the innermost TCP layer, under the kinds registered (default: the default kinds).

    None where there is no such option or more than one, which receivers ignore all (OPT-04, OPT-05). It is read from
    the octets: those dissected, or those the layer builds where it was made or changed.
    """
    tcp = _innermost_tcp(packet)
    if tcp is None:
        return None
    kinds, _ = _in_force[-1] if _in_force else (DEFAULT_KINDS, None)
    length = None if tcp.dataofs is None else max(0, tcp.dataofs * 4 - 20)
    flows = [option.flow for option in walk(tcp.self_build()[20:], length, kinds) if option.flow is not None]
    return flows[0] if len(flows) == 1 else None


def with_flow_option(packet: Packet, option: FlowOption) -> Packet:
    """A copy of `packet` whose innermost TCP layer has `option` behind its other options, aligned by NOPs (OPT-08).

    The end-of-list option and what follows it are left out; a flow option that is there stays. Lengths and checksums
    are unset, so that Scapy computes them. Registers the default kinds where none are. Raises ValueError where there
    is no TCP layer or the option does not fit into the 40 octets.
    """
    kinds = _ensure_registered()
    changed = packet.copy()
    tcp = _innermost_tcp(changed)
    if tcp is None:
        raise ValueError(f"expected a TCP layer, found {' / '.join(layer.__name__ for layer in packet.layers())}")
    entries = list(takewhile(lambda entry: entry[0] not in {"EOL", 0}, tcp.options))
    # Built options are padded by EOL: what comes before is what the entries take.
    area = tcp.get_field("options").i2m(tcp, entries)
    used = sum(len(stretch.octets) for stretch in walk(area, kinds=kinds) if stretch.kind)
    padding = -used % 4
    if used + padding + LENGTH > OPTION_SPACE:
        room = OPTION_SPACE - LENGTH
        raise ValueError(f"expected at most {room} octets of options before a flow option, found {used}")
    value = (option.variant.value, ScapyFlowOption.from_option(option))
    tcp.options = [*entries, *[("NOP", None)] * padding, value]
    for layer in _down_to(changed, tcp):
        for field in layer.fields_desc:
            if field.name in _COMPUTED and field.default is None:
                layer.delfieldval(field.name)
    # The length it was captured with, which files written by Scapy would repeat.
    changed.wirelen = None
    return changed


def to_scapy(frame: bytes) -> Packet:
    """An Ethernet frame as Scapy dissects it; registers the default kinds where none are."""
    _ensure_registered()
    return Ether(frame)


def _ensure_registered() -> Kinds:
    if not _in_force:
        register()
    kinds, _ = _in_force[-1]
    return kinds


def _innermost_tcp(packet: Packet) -> Any:
    """The last TCP layer, None without one; the quote in an ICMP error is of a class of its own and not meant."""
    tcp = packet.getlayer(TCP)
    while tcp is not None and tcp.payload.haslayer(TCP):
        tcp = tcp.payload.getlayer(TCP)
    return tcp


def _down_to(packet: Packet, last: Packet) -> Iterator[Packet]:
    layer = packet
    while layer is not last:
        yield layer
        layer = layer.payload
    yield last


def _dissecting(stock: _M2i, kinds: Kinds) -> _M2i:
    """`stock`, with values for flow options and with what it would give unregistered for all others of their kinds."""

    @wraps(stock)
    def m2i(field: TCPOptionsField, packet: Packet, octets: bytes) -> list[tuple[Any, Any]]:
        entries = stock(field, packet, octets)
        if not any(name in _NAMES for name, _ in entries):
            return entries
        # Both go through the area in the same steps, until the walk meets a fault and ends.
        ours = (option for option in walk(octets, kinds=kinds) if option.kind in kinds)
        return [_entry(name, value, kinds, ours) if name in _NAMES else (name, value) for name, value in entries]

    return m2i


def _entry(name: str, value: bytes, kinds: Kinds, ours: Iterator[TcpOption]) -> tuple[str | int, bytes]:
    option = next(ours, None)
    if option is None or option.flow is None:
        return kinds.kind(Variant(name)), value
    return name, ScapyFlowOption.from_option(option.flow)
