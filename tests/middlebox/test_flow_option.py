"""The option taken out, overwritten, altered, echoed; and SYNs dropped because of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.middlebox.packets import ANSWER, OFFER, TIMES, flows, handshake, made, only, packet, packets, read, through
from tioption.build.packet import NOP, SACK_PERMITTED, mss, timestamps, window_scale
from tioption.capture.segment import ACK, RST, SYN
from tioption.middlebox import Way
from tioption.option import FlowOption, Kinds

LINUX = mss(1460) + SACK_PERMITTED + timestamps(1, 0) + NOP + window_scale(7)
SIX = pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])


@SIX
@pytest.mark.parametrize(
    ("segment", "left"), [("all", [0, 0, 0]), ("syn", [0, 1, 1]), ("syn-ack", [1, 0, 1]), ("ack", [1, 1, 0])]
)
@pytest.mark.parametrize("box", ["strip", "overwrite:by=nop", "overwrite:by=eol"])
def test_the_option_is_gone_where_it_was_to_be(box: str, segment: str, left: list[int], six: bool) -> None:
    spec = f"{box}{',' if ':' in box else ':'}segment={segment}"
    assert [flows(one) for one in handshake(made(spec), six=six)] == left


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LINUX + OFFER, LINUX),
        (OFFER + LINUX, LINUX),
        (mss(1460) + OFFER + NOP + window_scale(7), mss(1460) + NOP + window_scale(7)),
        (window_scale(7) + OFFER + NOP, window_scale(7) + NOP),
        (NOP + OFFER + mss(1460) + bytes(3), NOP + mss(1460) + bytes(3)),
        (OFFER + OFFER, b""),
        (b"\xfd\x08\xf9\x89abcd", b""),  # another experiment's option is as unknown
        (LINUX, LINUX),
        (OFFER + b"\x08\x01\x00\x00", b"\x08\x01\x00\x00"),  # what is malformed behind it stays
    ],
)
def test_stripping_closes_the_gap(before: bytes, after: bytes) -> None:
    assert only(made("strip"), "ab", packet("ab", SYN, options=before)).options == after


@pytest.mark.parametrize(("by", "octet"), [("nop", NOP), ("eol", b"\0")])
def test_overwriting_keeps_every_place(by: str, octet: bytes) -> None:
    before = mss(1460) + OFFER + NOP + window_scale(7)
    after = only(made(f"overwrite:{by}"), "ab", packet("ab", SYN, options=before))
    assert after.options == mss(1460) + octet * 20 + NOP + window_scale(7)
    # Behind an end of the list nothing is found.
    assert [option.kind for option in after.walk_options() if option.kind is not None and option.kind > 1] == (
        [2, 3] if by == "nop" else [2]
    )


def test_other_kinds() -> None:
    options = b"\x4d" + OFFER[1:]
    for kinds, left in ((Kinds(77, 78), b""), (Kinds(), options)):
        assert only(made("strip", kinds=kinds), "ab", packet("ab", SYN, options=options)).options == left


def test_a_segment_that_stays_as_it_is_keeps_its_octets() -> None:
    raw = bytearray(packet("ab", SYN, options=LINUX))
    raw[36:38] = b"\xab\xcd"
    for box in ("strip", "overwrite", "alter", "echo", "mss:1460"):
        ((_, _, after),) = made(box).process(bytes(raw), "ab", 0)
        assert after == bytes(raw)


@given(packets())
def test_nothing_is_left_to_strip(sent: tuple[Way, bytes]) -> None:
    way, raw = sent
    for box in ("strip", "overwrite"):
        after = only(made(box), way, raw)
        assert flows(after) == 0
        assert (after.seq, after.payload, after.flags) == (read(raw).seq, read(raw).payload, read(raw).flags)
        others = [one.octets for one in read(raw).walk_options() if one.kind not in {0, 1, 253, 254, None}]
        assert [one.octets for one in after.walk_options() if one.kind not in {0, 1, 253, 254, None}] == others


@pytest.mark.parametrize("segment", ["all", "syn", "syn-ack", "ack"])
@pytest.mark.parametrize("field", ["kind", "length", "tifid", "tiseq", "tiack"])
def test_one_field_is_altered(field: str, segment: str) -> None:
    box = made(f"alter:{field},segment={segment},xor=3")
    for name, one, sent in zip(("syn", "syn-ack", "ack"), handshake(box), (OFFER, ANSWER, ANSWER), strict=True):
        after = one.options[-20:]
        if segment not in {"all", name}:
            assert after == sent
            continue
        places = {"kind": 0, "length": 1, "tifid": 7, "tiseq": 13, "tiack": 19}
        assert [at for at in range(20) if after[at] != sent[at]] == [places[field]]
        assert after[places[field]] ^ sent[places[field]] == 3


def test_altering_twice_is_altering_nothing() -> None:
    box = made("alter:tifid,xor=0x123456789abc")
    raw = packet("ab", SYN, options=LINUX + OFFER)
    ((_, _, once),) = box.process(raw, "ab", 0)
    ((_, _, twice),) = box.process(once, "ab", 0)
    altered = FlowOption.parse(read(once).options[-20:])
    assert altered.tifid.value == FlowOption.parse(OFFER).tifid.value ^ 0x123456789ABC
    assert twice == raw


def test_a_mask_that_the_field_has_no_bits_of_flips_the_lowest() -> None:
    after = only(made("alter:length,xor=0x100"), "ab", packet("ab", SYN, options=OFFER))
    assert after.options[:2] == b"\xfd\x15"


@SIX
@pytest.mark.parametrize("own", [b"", ANSWER])
def test_the_syns_option_comes_back(own: bytes, six: bool) -> None:
    box = made("echo")
    only(box, "ab", packet("ab", SYN, 1000, options=LINUX + OFFER, six=six))
    answer = only(box, "ba", packet("ba", SYN | ACK, 5, 1001, options=LINUX + own, six=six))
    assert answer.options == LINUX + OFFER
    # And what has no option, or no room, or belongs to another connection, stays.
    for flags, options in ((ACK, TIMES), (SYN | ACK, LINUX + NOP * 4)):
        raw = packet("ba", flags, 5, 1001, options=options, six=six)
        assert only(box, "ba", raw).options == options


def test_an_echo_goes_before_the_end_of_the_list() -> None:
    box = made("echo")
    only(box, "ab", packet("ab", SYN, 1000, options=OFFER))
    assert only(box, "ba", packet("ba", SYN | ACK, options=mss(1460) + bytes(4))).options == mss(1460) + OFFER


@pytest.mark.parametrize(("way", "echoed"), [("ab", 0), ("ba", 1), ("both", 1)])
def test_an_echo_of_connections_that_b_opens(way: str, echoed: int) -> None:
    box = made(f"echo:{way}")
    only(box, "ba", packet("ba", SYN, 1000, options=OFFER))
    assert flows(only(box, "ab", packet("ab", SYN | ACK, 5, 1001))) == echoed


@SIX
@pytest.mark.parametrize("segment", ["syn", "syn-ack", "both"])
@pytest.mark.parametrize("how", ["silent", "rst"])
def test_syns_with_an_unknown_option_are_dropped(how: str, segment: str, six: bool) -> None:
    box = made(f"drop-unknown:{how},segment={segment}")
    for way, flags, name in (("ab", SYN, "syn"), ("ba", SYN | ACK, "syn-ack")):
        for options, known in ((LINUX, True), (LINUX + OFFER, False), (b"\x4d\x02\x01\x01", False), (bytes(4), True)):
            left = through(box, way, packet(way, flags, 1000, 7, options=options, six=six))  # type: ignore[arg-type]
            if known or segment not in {name, "both"}:
                assert [one.segment.options for one in left] == [options]
            elif how == "silent":
                assert left == []
            else:
                ((delay, back, reset),) = left
                assert (delay, back) == (0, "ba" if way == "ab" else "ab")
                expected = (RST | ACK, 0, 1001) if name == "syn" else (RST, 7, 0)
                assert (reset.flags, reset.seq, reset.ack) == expected


@given(st.integers(0, 511))
def test_only_syns_are_dropped(flags: int) -> None:
    left = made("drop-unknown:segment=both").process(packet("ab", flags, options=OFFER), "ab", 0)
    assert len(left) == (not flags & SYN)
