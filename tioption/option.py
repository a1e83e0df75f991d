"""The flow option as values: Variant, Tifid, FlowOption, and the walk of a TCP option area that finds it.

Octets in, immutable values out. Nothing here decides what a host does with an option; that is the handshake's part.
Source: §III and Fig. 1 of the paper; OPT-01 … OPT-07; RFC 9293 §3.1 for the option area.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final, NamedTuple, NoReturn

from tioption.errors import OptionError
from tioption.layout import (
    EXPERIMENT_KINDS,
    EXPERIMENTS,
    KIND_FLOW_C,
    KIND_FLOW_D,
    LENGTH,
    pack,
    unpack,
)

_EOL, _NOP = 0, 1
_MAX_48: Final = (1 << 48) - 1
_MAX_24: Final = (1 << 24) - 1


class Variant(Enum):
    """Whether a flow carries application data or control (§VI); the value is the name as users write it."""

    FLOW_D = "flow-d"
    FLOW_C = "flow-c"


_FLOW_D: Final = Variant.FLOW_D  # a name of the module is found sooner than one of an Enum
_FLOW_C: Final = Variant.FLOW_C


class Kinds(NamedTuple):
    """The option kinds in use, one octet each (OPT-02)."""

    flow_d: int = KIND_FLOW_D
    flow_c: int = KIND_FLOW_C

    def variant(self, kind: int) -> Variant | None:
        """The variant `kind` stands for, None where it is neither."""
        if kind == self.flow_d:
            return _FLOW_D
        return _FLOW_C if kind == self.flow_c else None

    def kind(self, variant: Variant) -> int:
        """The kind octet of `variant`."""
        return self.flow_d if variant is Variant.FLOW_D else self.flow_c

    def markers(self) -> tuple[bytes, bytes]:
        """The two octets, kind and length, with which each variant begins: octets without them hold no flow option."""
        return bytes((self.flow_d, LENGTH)), bytes((self.flow_c, LENGTH))


DEFAULT_KINDS: Final = Kinds()


class _Value:
    """An immutable value of named slots: equal, hashable and printable by them, without an order."""

    __slots__: tuple[str, ...] = ()

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot set {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot delete {name}")

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._values()


class Tifid(_Value):
    """A transport-independent flow identifier: 48 bits, two halves of 24 chosen by initiator and responder (§III)."""

    __slots__ = ("value",)
    value: int

    def __init__(self, value: int) -> None:
        """Take all 48 bits; raises OptionError where `value` does not fit."""
        if not 0 <= value <= _MAX_48:
            raise OptionError("a TIFID of 48 bits", hex(value), 2)
        _set_value(self, value)

    @classmethod
    def from_halves(cls, first: int, second: int = 0) -> Tifid:
        """Join two halves of 24 bits; raises OptionError where one does not fit."""
        for name, half, offset in (("first", first, 2), ("second", second, 5)):
            if not 0 <= half <= _MAX_24:
                raise OptionError(f"a {name} half of 24 bits", hex(half), offset)
        return cls(first << 24 | second)

    @classmethod
    def from_text(cls, text: str) -> Tifid:
        """Read the 12 hexadecimal digits `str` writes; raises OptionError for any other number of them."""
        return cls(parse_hex48(text, "tifid", 2))

    @property
    def first(self) -> int:
        """The initiator's half, 24 bits (EST-01)."""
        return self.value >> 24

    @property
    def second(self) -> int:
        """The responder's half, 24 bits, zero until it has answered (EST-04)."""
        return self.value & _MAX_24

    @property
    def is_complete(self) -> bool:
        """Whether both halves are set: the second is zero only in the SYN of a new flow (OPT-07, RES-01)."""
        return self.first != 0 and self.second != 0

    def __str__(self) -> str:
        return f"{self.value:012x}"

    def __repr__(self) -> str:
        return f"Tifid(0x{self.value:012x})"


_new: Final = object.__new__
_set_value: Final = Tifid.__dict__["value"].__set__  # the slot's own: what cannot be set from outside


def parse_hex48(text: str, name: str, offset: int) -> int:
    """The 48-bit number printed as exactly 12 hexadecimal digits; a shorter print is refused, never padded.

    Raises OptionError that names the field and its octet `offset` in the option.
    """
    if len(text) != 12 or not set(text) <= set("0123456789abcdefABCDEF"):
        raise OptionError(f"12 hexadecimal digits of {name}", f"{len(text)} characters {text!r}", offset)
    return int(text, 16)


class FlowOption(_Value):
    """One flow option: variant, TIFID, TISeq and TIAck, 20 octets on the wire (OPT-01).

    `tiseq` and `tiack` are positions mod 2^48. `bytes(option)` uses the default kinds, `option.encode(kinds)` others.
    """

    __slots__ = ("tiack", "tifid", "tiseq", "variant")
    variant: Variant
    tifid: Tifid
    tiseq: int
    tiack: int

    def __init__(self, variant: Variant, tifid: Tifid, tiseq: int, tiack: int) -> None:
        """Hold the four values; raises OptionError where a position does not fit into 48 bits."""
        for name, value, offset in (("tiseq", tiseq, 8), ("tiack", tiack, 14)):
            if not 0 <= value <= _MAX_48:
                raise OptionError(f"a {name} of 48 bits", hex(value), offset)
        _set_variant(self, variant)
        _set_tifid(self, tifid)
        _set_tiseq(self, tiseq)
        _set_tiack(self, tiack)

    @classmethod
    def parse(cls, octets: bytes, kinds: Kinds = DEFAULT_KINDS) -> FlowOption:
        """Read one whole option of 20 octets; raises OptionError at the first octet that makes it something else."""
        variant = kinds.variant(octets[0]) if octets else None
        if variant is not None and len(octets) == LENGTH == octets[1] and experiment_of(octets) is None:
            return cls._unpacked(variant, octets)
        if not octets:
            raise OptionError(f"{LENGTH} octets", "none", 0)
        if variant is None:
            raise OptionError(f"kind {kinds.flow_d} (flow-d) or {kinds.flow_c} (flow-c)", str(octets[0]), 0)
        if len(octets) > 1 and octets[1] != LENGTH:
            raise OptionError(f"length {LENGTH}", str(octets[1]), 1)
        if len(octets) < LENGTH:
            raise OptionError(f"{LENGTH} octets", f"the end after {len(octets)}", len(octets))
        if len(octets) > LENGTH:
            raise OptionError("the end of the option", f"{len(octets) - LENGTH} more octets", LENGTH)
        raise OptionError("a TIFID", f"the experiment identifier of {experiment_of(octets)} (RFC 6994)", 2)

    @classmethod
    def _unpacked(cls, variant: Variant, octets: bytes) -> FlowOption:
        # What 6 octets hold needs no check.
        _, _, identifier, tiseq, tiack = unpack(octets)
        tifid = _new(Tifid)
        _set_value(tifid, identifier)
        option = _new(cls)
        _set_variant(option, variant)
        _set_tifid(option, tifid)
        _set_tiseq(option, tiseq)
        _set_tiack(option, tiack)
        return option

    def encode(self, kinds: Kinds = DEFAULT_KINDS) -> bytes:
        """The 20 octets of the option under these kinds."""
        kind = kinds.flow_d if self.variant is _FLOW_D else kinds.flow_c
        return pack(kind, self.tifid.value, self.tiseq, self.tiack)

    def replace(self, **changes: Any) -> FlowOption:
        """The same option with some values changed, by their names."""
        values = {"variant": self.variant, "tifid": self.tifid, "tiseq": self.tiseq, "tiack": self.tiack}
        return FlowOption(**{**values, **changes})

    def __bytes__(self) -> bytes:
        return self.encode()

    def __reduce__(self) -> tuple[Any, ...]:
        return FlowOption, (self.variant, self.tifid, self.tiseq, self.tiack)

    def __str__(self) -> str:
        return f"{self.variant.value} tifid {self.tifid} tiseq {self.tiseq:012x} tiack {self.tiack:012x}"

    def __repr__(self) -> str:
        return f"FlowOption({self.variant}, {self.tifid!r}, 0x{self.tiseq:x}, 0x{self.tiack:x})"


_set_variant, _set_tifid, _set_tiseq, _set_tiack = (
    FlowOption.__dict__[name].__set__ for name in ("variant", "tifid", "tiseq", "tiack")
)


class Fault(Enum):
    """What is wrong with a stretch of a TCP option area."""

    BAD_LENGTH = "length octet below 2"
    PAST_END = "runs past the end of the header"
    AFTER_EOL = "octets after the end-of-list option"
    CUT = "cut off by the capture"


class TcpOption(NamedTuple):
    """One stretch of a TCP option area; the stretches of a walk, put together, are the area.

    `kind` is None where the octets are no option (non-zero padding after EOL, nothing captured); `offset` counts octets
    from the start of the area; `octets` include kind and length. A fault other than AFTER_EOL ends the walk, and its
    octets then reach to the end of what was captured.
    """

    kind: int | None
    offset: int
    octets: bytes
    fault: Fault | None = None
    flow: FlowOption | None = None
    experiment: str | None = None


_BY_EXID: Final = {exid: (name, kinds, lengths) for name, _, exid, kinds, lengths in EXPERIMENTS}
_EXID_SIZES: Final = sorted({len(exid) for exid in _BY_EXID}, reverse=True)
_EXID_STARTS: Final = frozenset(exid[:2] for exid in _BY_EXID)


def experiment_of(octets: bytes) -> str | None:
    """The name of the known experiment whose option these octets are, None where they are none (RFC 6994)."""
    if octets[2:4] not in _EXID_STARTS or octets[0] not in EXPERIMENT_KINDS:
        return None
    for size in _EXID_SIZES:
        known = _BY_EXID.get(octets[2 : 2 + size])
        if known is not None:
            name, kinds, lengths = known
            if octets[0] in kinds and (lengths is None or octets[1] in lengths):
                return name
    return None


def _shared(kind: int, offset: int, octets: bytes, kinds: Kinds) -> TcpOption:
    """A well-formed option of a kind that is ours or shared by experiments."""
    experiment = experiment_of(octets)
    variant = kinds.variant(kind) if experiment is None and len(octets) == LENGTH else None
    flow = FlowOption._unpacked(variant, octets) if variant is not None else None
    return TcpOption(kind, offset, octets, None, flow, experiment)


def walk(area: bytes, length: int | None = None, kinds: Kinds = DEFAULT_KINDS) -> Iterator[TcpOption]:
    """Every stretch of the option area in order; bad octets are yielded with their fault, never raised.

    `area` is what was captured; `length` is what the data offset says it should be (default: all of it was captured).
    """
    if length is None:
        length = len(area)
    area = area[:length]
    captured = len(area)
    offset = 0
    while offset < captured:
        kind = area[offset]
        if kind == _NOP:
            yield TcpOption(kind, offset, area[offset : offset + 1])
            offset += 1
            continue
        if kind == _EOL:
            yield from _padding(area, offset)
            break
        # Octets the option needs, as far as one can know: its length octet, then as many as that says.
        needed = 2 if offset + 1 >= captured else area[offset + 1]
        fault = _fault(needed, length - offset, captured - offset)
        if fault is not None:
            yield TcpOption(kind, offset, area[offset:], fault)
            return
        octets = area[offset : offset + needed]
        ours = kind in EXPERIMENT_KINDS or kind in kinds
        yield _shared(kind, offset, octets, kinds) if ours else TcpOption(kind, offset, octets)
        offset += needed
    if captured < length:
        yield TcpOption(None, captured, b"", Fault.CUT)


def counted_option(options: Iterable[TcpOption]) -> FlowOption | None:
    """The flow option that counts: none where receivers ignore what there is (OPT-04 … OPT-06)."""
    flows = [option.flow for option in options if option.flow is not None]
    return flows[0] if len(flows) == 1 and flows[0].tifid.first else None


def _fault(needed: int, room: int, captured: int) -> Fault | None:
    """What is wrong with an option of `needed` octets where the header has room for `room` and `captured` are there."""
    if needed < 2:
        return Fault.BAD_LENGTH
    if needed > room:
        return Fault.PAST_END
    return Fault.CUT if needed > captured else None


def _padding(area: bytes, offset: int) -> Iterator[TcpOption]:
    """EOL with the zeros behind it, and what follows them if anything does (RFC 9293 §3.1: padding is zero)."""
    rest = area[offset:]
    if not any(rest):
        yield TcpOption(_EOL, offset, rest)
        return
    yield TcpOption(_EOL, offset, rest[:1])
    yield TcpOption(None, offset + 1, rest[1:], Fault.AFTER_EOL)
