"""Segments between octets and values; whatever octets there are, nothing is raised but what says why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tioption.capture.segment import ACK, FIN, RST, SYN
from tioption.endpoint.wire import TcpSegment, option_area, read, write
from tioption.option import FlowOption, Kinds, Tifid, Variant
from tioption.packet import Ports, TcpHeader, write_tcp

PORTS = Ports(bytes((192, 0, 2, 1)), 40000, bytes((198, 51, 100, 2)), 443)
OPTION = FlowOption(Variant.FLOW_D, Tifid(0x0A4530BE79BF), 0x1D, 0x1F)


def parsed(area: bytes, flags: int = SYN) -> TcpSegment:
    octets = write_tcp(PORTS, TcpHeader(1, 2, flags, 3, area))
    return read(PORTS.source, PORTS.destination, octets)[1]


FULL = TcpSegment(1, 0, SYN, 65535, b"", 1460, 7, True, (100, 0), (), OPTION)


def test_a_syn_with_everything_has_forty_octets_of_options_in_linux_s_order() -> None:
    assert option_area(FULL).hex() == (
        "020405b40402080a000000640000000001030307fd140a4530be79bf00000000001d00000000001f"
    )


def test_a_third_ack_has_thirty_two() -> None:
    assert len(option_area(TcpSegment(1, 2, ACK, 3, timestamps=(1, 2), option=OPTION))) == 32


SEGMENTS = st.builds(
    TcpSegment,
    seq=st.integers(0, 2**32 - 1),
    ack=st.integers(0, 2**32 - 1),
    flags=st.sampled_from([SYN, SYN | ACK]),
    window=st.integers(0, 65535),
    payload=st.binary(max_size=20),
    mss=st.none() | st.integers(0, 65535),
    window_scale=st.none() | st.integers(0, 14),
    sack_permitted=st.booleans(),
    timestamps=st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    sack=st.just(()),
    option=st.none() | st.just(OPTION),
)


@given(SEGMENTS)
def test_what_is_written_is_read_back(segment: TcpSegment) -> None:
    assert read(PORTS.source, PORTS.destination, write(PORTS, segment)) == (PORTS, segment)


def test_sack_blocks_are_read_back() -> None:
    segment = TcpSegment(1, 2, ACK, 3, timestamps=(1, 2), sack=((5, 6), (7, 8), (9, 10)))
    assert read(PORTS.source, PORTS.destination, write(PORTS, segment)) == (PORTS, segment)


def test_other_kinds() -> None:
    kinds = Kinds(200, 201)
    octets = write(PORTS, FULL, kinds)
    assert read(PORTS.source, PORTS.destination, octets, kinds)[1] == FULL
    assert read(PORTS.source, PORTS.destination, octets)[1].option is None


@pytest.mark.parametrize(
    "area",
    [
        bytes(OPTION) + bytes(OPTION),  # OPT-04
        bytes(OPTION) + OPTION.replace(variant=Variant.FLOW_C).encode(),  # OPT-05
        OPTION.replace(tifid=Tifid(0xBE79BF)).encode(),  # OPT-06
        bytes(OPTION)[:1] + b"\x13" + bytes(OPTION)[2:19],  # OPT-01
    ],
)
def test_a_flow_option_that_receivers_ignore_is_not_there(area: bytes) -> None:
    assert parsed(area).option is None


@pytest.mark.parametrize("flag", [RST, FIN])
def test_nor_is_one_on_a_rst_or_a_fin(flag: int) -> None:
    assert parsed(bytes(OPTION), flag | ACK).option is None


def test_what_only_a_syn_may_say_is_not_heard_elsewhere() -> None:
    segment = parsed(option_area(FULL), ACK)
    assert (segment.mss, segment.window_scale, segment.sack_permitted) == (None, None, False)
    assert (segment.timestamps, segment.option) == ((100, 0), OPTION)


def test_a_window_scale_beyond_14_is_14() -> None:
    assert parsed(bytes.fromhex("0303ff00")).window_scale == 14


def test_what_stands_before_the_damage_is_read() -> None:
    assert parsed(bytes.fromhex("020405b408ff0000")).mss == 1460


@given(st.binary(max_size=40))
def test_no_option_area_raises(area: bytes) -> None:
    for flags in (SYN, ACK, RST | ACK, FIN | ACK, SYN | FIN | RST):
        parsed(area, flags)


def test_it_prints_as_tcpdump_would() -> None:
    assert str(TcpSegment(1, 2, SYN | ACK, 3, option=OPTION)).startswith("[S.] seq 1 ack 2 win 3 len 0 flow-d tifid")
