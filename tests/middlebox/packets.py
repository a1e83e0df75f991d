"""Raw IP packets for boxes: made by the builder, taken apart by the reader, not by boxes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tioption.build.conversation import Conversation
from tioption.build.packet import NOP, Host, TcpHeader, ip_packet, tcp_segment, timestamps
from tioption.capture import Segment
from tioption.capture.reader import segments
from tioption.capture.record import Record
from tioption.capture.segment import ACK, SYN
from tioption.capture.undecoded import UndecodedCounter
from tioption.checksum import checksum
from tioption.middlebox import Middlebox, Way, parse_box
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid, Variant

A, B = Host("192.0.2.1", 40000, b""), Host("198.51.100.2", 443, b"")
A6, B6 = Host("2001:db8::1", 40000, b""), Host("2001:db8:2::2", 443, b"")
OFFER = bytes(FlowOption(Variant.FLOW_D, Tifid.from_halves(0x0A4530), 0x123456789A, 0))
ANSWER = bytes(FlowOption(Variant.FLOW_D, Tifid.from_halves(0x0A4530, 0xBE79BF), 0xABCDEF0123, 0x123456789A))
TIMES = NOP + NOP + timestamps(1000, 2000)
RAW = 101


def packet(way: Way, flags: int, seq: int = 0, ack: int = 0, **more: Any) -> bytes:
    """A raw packet between A and B; `six` for IPv6, `window`, `options`, `payload`, `client` another host than A."""
    one, other = (A6, B6) if more.get("six") else (A, B)
    one = more.get("client", one)
    source, destination = (one, other) if way == "ab" else (other, one)
    header = TcpHeader(seq % 2**32, ack % 2**32, flags, more.get("window", 512), more.get("options", b""))
    return ip_packet(source, destination, tcp_segment(source, destination, header, more.get("payload", b"")), 7)


def read(raw: bytes) -> Segment:
    """The segment in a raw packet, as the reader of captures has it."""
    record = Record(1, 0, RAW, raw, len(raw))
    (segment,) = segments([record], UndecodedCounter())
    assert isinstance(segment, Segment)
    return segment


def right(raw: bytes) -> bool:
    """Whether lengths and checksums of a raw packet are right."""
    segment = read(raw)
    tcp = raw[segment.offset :]
    if raw[0] >> 4 == 4:
        assert int.from_bytes(raw[2:4], "big") == len(raw)
        if checksum(raw[: segment.offset]):
            return False
    else:
        assert int.from_bytes(raw[4:6], "big") == len(raw) - 40
    assert segment.length == len(tcp)
    assert segment.header_length <= len(tcp)
    return checksum(segment.src + segment.dst + bytes((0, 6)) + len(tcp).to_bytes(2, "big") + tcp) == 0


def made(spec: str, seed: int = 1, kinds: Kinds = DEFAULT_KINDS) -> Middlebox:
    """A box from its text."""
    return parse_box(spec, Random(seed), kinds)


class Out(NamedTuple):
    """What left a box."""

    delay: int
    way: Way
    segment: Segment


def through(box: Middlebox, way: Way, raw: bytes, now_ns: int = 0) -> list[Out]:
    """What leaves a box, every checksum of it right."""
    left = box.process(raw, way, now_ns)
    assert all(right(one.packet) for one in left)
    return [Out(one.delay, one.way, read(one.packet)) for one in left]


def only(box: Middlebox, way: Way, raw: bytes, now_ns: int = 0) -> Segment:
    """The one segment that goes on, at once."""
    ((delay, on, segment),) = through(box, way, raw, now_ns)
    assert (delay, on) == (0, way)
    return segment


def handshake(box: Middlebox, **more: Any) -> list[Segment]:
    """SYN, SYN-ACK and ACK with the flow option through a box: what arrives of them."""
    offer, answer, confirmation = OFFER, ANSWER, ANSWER
    return [
        only(box, "ab", packet("ab", SYN, 1000, options=offer, **more)),
        only(box, "ba", packet("ba", SYN | ACK, 5000, 1001, options=answer, **more)),
        only(box, "ab", packet("ab", ACK, 1001, 5001, options=TIMES + confirmation, **more)),
    ]


def flows(segment: Segment) -> int:
    """How many flow options it has."""
    return sum(option.flow is not None for option in segment.walk_options())


def talk_packets(talk: Conversation) -> Iterator[tuple[int, Way, bytes]]:
    """Time, way and raw packet of everything that was sent in a conversation."""
    for observed in talk.observed:
        sent = observed.sent
        yield sent.time_ns, "ab" if sent.side == "A" else "ba", sent.frame[14:]


@st.composite
def packets(draw: st.DrawFn, options: st.SearchStrategy[bytes] | None = None) -> tuple[Way, bytes]:
    """Any segment between A and B, with its way."""
    way: Way = draw(st.sampled_from(["ab", "ba"]))
    area = draw(options if options is not None else option_areas())
    number = st.integers(0, 2**32 - 1)
    raw = packet(
        way,
        draw(st.integers(0, 511)),
        draw(number),
        draw(number),
        six=draw(st.booleans()),
        options=area,
        payload=draw(st.binary(max_size=60)),
        window=draw(st.integers(0, 65535)),
    )
    return way, raw


def option_areas() -> st.SearchStrategy[bytes]:
    """Option areas of well-formed options and padding in any order, flow options among them, and octets of chance."""
    sack = st.integers(1, 2).flatmap(
        lambda blocks: st.binary(min_size=8 * blocks, max_size=8 * blocks).map(
            lambda edges: bytes((5, 2 + len(edges))) + edges
        )
    )
    one = st.one_of(
        st.just(NOP),
        st.just(b"\x02\x04\x05\xb4"),
        st.just(b"\x04\x02"),
        st.just(timestamps(1, 2)),
        st.sampled_from([OFFER, ANSWER, b"\xfe" + ANSWER[1:], b"\xfd\x08" + bytes(6), b"\x4d\x03\x07"]),
        sack,
    )
    areas = st.lists(one, max_size=6).map(b"".join).filter(lambda area: len(area) <= 40)
    return st.one_of(areas, st.binary(max_size=40))
