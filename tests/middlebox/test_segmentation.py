"""Segments cut and joined: the stream stays, and options are copied as cards and proxies do it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.middlebox.packets import ANSWER, TIMES, flows, made, packet, read, right, through
from tioption.capture import Segment
from tioption.capture.segment import ACK, CWR, FIN, PSH, RST, SYN, URG
from tioption.middlebox import Way


def stream(segments: Iterable[Segment]) -> bytes:
    """The octets of segments that follow each other without a gap or an overlap."""
    octets, expected = b"", None
    for one in segments:
        assert expected in {None, one.seq}
        octets += one.payload
        expected = (one.seq + one.payload_length) % 2**32
    return octets


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(("copy", "copies"), [("all", [1, 1, 1]), ("first", [1, 0, 0])])
def test_a_segment_is_cut(copy: str, copies: list[int], six: bool) -> None:
    payload = bytes(range(250))
    raw = packet("ab", ACK | PSH | FIN | CWR, 2**32 - 50, 9, options=TIMES + ANSWER, payload=payload, six=six)
    pieces = [one.segment for one in through(made(f"split:100,copy={copy}"), "ab", raw)]
    assert [one.seq for one in pieces] == [2**32 - 50, 50, 150]
    assert [one.payload_length for one in pieces] == [100, 100, 50]
    assert stream(pieces) == payload
    assert [one.flags for one in pieces] == [ACK | CWR, ACK, ACK | PSH | FIN]
    assert [flows(one) for one in pieces] == copies
    assert [one.options[:12] for one in pieces] == [TIMES] * 3
    if not six:
        assert [int.from_bytes(one.data[4:6], "big") for one in pieces] == [7, 8, 9]


@pytest.mark.parametrize("flags", [SYN, ACK | URG, RST | ACK])
def test_what_is_never_cut(flags: int) -> None:
    raw = packet("ab", flags, 5, payload=bytes(100))
    assert made("split:10").process(raw, "ab", 0) == [(0, "ab", raw)]


def test_a_segment_that_fits_is_not_cut() -> None:
    raw = packet("ab", ACK, 5, payload=bytes(100))
    assert made("split:100").process(raw, "ab", 0) == [(0, "ab", raw)]


def data(seq: int, payload: bytes, flags: int = ACK, way: Way = "ab", **more: object) -> bytes:
    return packet(way, flags, seq, 9, payload=payload, **more)


def test_segments_are_joined_until_one_is_pushed() -> None:
    box = made("coalesce")
    assert box.process(data(100, b"one", options=ANSWER), "ab", 0) == []
    assert box.process(data(103, b"two", options=ANSWER), "ab", 1) == []
    ((_, _, joined),) = through(box, "ab", data(106, b"three", ACK | PSH, options=ANSWER), 2)
    assert (joined.seq, joined.payload, joined.flags, joined.options) == (100, b"onetwothree", ACK | PSH, ANSWER)
    assert box.flush(3) == []


def test_a_segment_that_was_joined_to_nothing_keeps_its_octets() -> None:
    box, raw = made("coalesce"), data(100, b"one")
    box.process(raw, "ab", 0)
    assert box.flush(1) == [(0, "ab", raw)]


@pytest.mark.parametrize(
    "second",
    [
        data(104, b"gap"),
        data(99, b"again"),
        data(103, b""),
        data(103, b"window", window=9),
        data(103, b"options", options=TIMES),
        packet("ab", ACK, 103, 10, payload=b"ack"),
        data(103, b"big" * 6000),
        data(103, b"", RST | ACK),
    ],
    ids=["gap", "overlap", "empty", "window", "options", "ack", "size", "rst"],
)
def test_what_does_not_continue_lets_the_first_go(second: bytes) -> None:
    box, first = made("coalesce"), data(100, b"one")
    assert box.process(first, "ab", 0) == []
    assert [one.packet for one in [*box.process(second, "ab", 1), *box.flush(2)]] == [first, second]


def test_an_answer_or_time_lets_it_go() -> None:
    box, first = made("coalesce:hold=5ns"), data(100, b"one")
    back, stranger = packet("ba", ACK, 9, 103), data(1, b"x", ACK | PSH, six=True)
    for other, way, later, waits in ((back, "ba", 1, False), (stranger, "ab", 5, True), (stranger, "ab", 6, False)):
        box.process(first, "ab", 0)
        left = [one.packet for one in box.process(other, way, later)]  # type: ignore[arg-type]
        assert left == [other] if waits else set(left) == {first, other}
        box.flush(9)


@given(
    payload=st.binary(max_size=400),
    cuts=st.lists(st.integers(1, 120), min_size=1, max_size=3),
    size=st.integers(2, 300),
    seq=st.integers(0, 2**32 - 1),
    last=st.sampled_from([ACK, ACK | PSH, ACK | PSH | FIN]),
)
def test_cut_and_joined_the_stream_stays(payload: bytes, cuts: list[int], size: int, seq: int, last: int) -> None:
    raws = [packet("ab", last, seq, 5, options=ANSWER, payload=payload)]
    for spec in (*(f"split:{cut}" for cut in cuts), f"coalesce:{size}"):
        box = made(spec)
        raws = [one.packet for at, raw in enumerate(raws) for one in box.process(raw, "ab", at)] + [
            one.packet for one in box.flush(len(raws))
        ]
    segments = [read(raw) for raw in raws]
    assert stream(segments) == payload
    assert segments[0].seq == seq
    assert segments[-1].flags == last
    assert all(one.options == ANSWER for one in segments)


@given(
    payloads=st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6),
    damaged=st.sets(st.integers(0, 5)),
    cut=st.integers(1, 40),
)
def test_damage_is_never_covered_up(payloads: list[bytes], damaged: set[int], cut: int) -> None:
    """What reaches the receiver with a right checksum is what was sent."""
    chain = [made("flip:100%"), made(f"split:{cut}"), made("coalesce")]
    sent, at = b"".join(payloads), 0
    for number, payload in enumerate(payloads):
        raws = [packet("ab", ACK, at, 5, payload=payload)]
        for box in chain if number in damaged else chain[1:]:
            raws = [one.packet for raw in raws for one in box.process(raw, "ab", 0)]
        at += len(payload)
        for raw in raws + [one.packet for one in chain[-1].flush(0) if number == len(payloads) - 1]:
            segment = read(raw)
            if right(raw):
                assert segment.payload == sent[segment.seq : segment.seq + segment.payload_length]
