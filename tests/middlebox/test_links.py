"""Links: losses, copies, disorder, delay, queues, flipped bits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.wraps import ipv4, udp
from tests.middlebox.packets import OFFER, made, packet, read, right
from tioption.capture.segment import ACK, PSH, SYN
from tioption.middlebox import BOXES, Way

MS = 1_000_000
DATAGRAM = ipv4(17, udp(53, b"query"))
SEGMENTS = {
    "syn": ("ab", packet("ab", SYN, 1)),
    "syn-ack": ("ba", packet("ba", SYN | ACK, 1, 2)),
    "ack": ("ab", packet("ab", ACK, 2, 2)),
    "data": ("ba", packet("ba", ACK | PSH, 2, 2, payload=b"x")),
}


@pytest.mark.parametrize("name", [*SEGMENTS, "any"])
def test_what_is_lost(name: str) -> None:
    box = made(f"lose:100%,segment={name}")
    for one, (way, raw) in SEGMENTS.items():
        left = box.process(raw, way, 0)  # type: ignore[arg-type]
        assert left == ([] if name in {one, "any"} else [(0, way, raw)])
    assert box.process(DATAGRAM, "ab", 0) == [(0, "ab", DATAGRAM)]


def test_no_more_than_so_many_are_lost() -> None:
    box = made("lose:100%,segment=ack,count=1")
    _, raw = SEGMENTS["ack"]
    assert [len(box.process(raw, "ab", 0)) for _ in range(4)] == [0, 1, 1, 1]


@pytest.mark.parametrize("spec", ["lose:30%", "duplicate:30%,after=5ms", "reorder:30%,by=5ms", "flip:30%"])
def test_chance_keeps_to_its_share_and_to_its_way(spec: str) -> None:
    raw = packet("ab", ACK, 1, 1, payload=b"some octets")
    box = made(spec)
    happened = sum(box.process(raw, "ab", 0) != [(0, "ab", raw)] for _ in range(2000))
    assert 500 < happened < 700  # 5 standard deviations
    other = made(spec + ",way=ba")
    assert all(other.process(raw, "ab", 0) == [(0, "ab", raw)] for _ in range(100))


def test_copies_and_late_packets() -> None:
    left = made("duplicate:100%,after=5ms").process(DATAGRAM, "ba", 9)
    assert left == [(0, "ba", DATAGRAM), (5 * MS, "ba", DATAGRAM)]
    assert made("reorder:100%,by=5ms").process(DATAGRAM, "ba", 9) == [(5 * MS, "ba", DATAGRAM)]


def test_delay() -> None:
    box = made("delay:10ms,way=ab")
    assert box.process(DATAGRAM, "ab", 5) == [(10 * MS, "ab", DATAGRAM)]
    assert box.process(DATAGRAM, "ba", 5) == [(0, "ba", DATAGRAM)]


@given(seed=st.integers(0, 999), gaps=st.lists(st.integers(0, 3 * MS), min_size=2, max_size=30), order=st.booleans())
def test_jitter(seed: int, gaps: list[int], order: bool) -> None:
    box = made(f"delay:10ms,jitter=5ms,order={'yes' if order else 'no'}", seed)
    now, arrivals = 0, []
    for gap in gaps:
        now += gap
        ((delay, _, _),) = box.process(DATAGRAM, "ab", now)
        assert 10 * MS <= delay <= 15 * MS
        arrivals.append(now + delay)
    if order:
        assert all(one <= other for one, other in pairwise(arrivals))


def test_a_link_takes_its_time() -> None:
    """8 Mbit/s: a packet of 1000 octets takes a millisecond, and each waits for those before it."""
    box = made("queue:8M,size=2500")
    raw = DATAGRAM + bytes(1000 - len(DATAGRAM))
    assert [one.delay for _ in range(4) for one in box.process(raw, "ab", 0)] == [1 * MS, 2 * MS]
    assert [one.delay for one in box.process(raw, "ba", 0)] == [1 * MS]  # the other way is another link
    assert [one.delay for one in box.process(raw, "ab", 500_000)] == [2 * MS + 500_000]
    assert [one.delay for one in box.process(raw, "ab", 50 * MS)] == [1 * MS]


def test_a_packet_larger_than_the_queue_passes_an_empty_one() -> None:
    raw = bytes(3000)
    box = made("queue:8M,size=1500")
    assert [len(box.process(raw, "ab", 0)) for _ in range(2)] == [1, 0]


def differing(one: bytes, other: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("where", ["payload", "options"])
@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize("fix", ["yes", "no"])
def test_bits_are_flipped(fix: str, bits: int, where: str, six: bool) -> None:
    raw = packet("ab", ACK, 1, 1, options=OFFER, payload=b"payload", six=six)
    for seed in range(20):
        ((_, _, after),) = made(f"flip:100%,where={where},bits={bits},fix={fix}", seed).process(raw, "ab", 0)
        before, told = read(raw), read(after)
        assert differing(getattr(before, where), getattr(told, where)) == bits
        at = before.offset + 16
        assert after[:at] == raw[:at]
        # Of three flips in one column the checksum may not tell; of one it always does.
        assert right(after) == (fix == "yes") or bits == 3
        if fix == "no":
            assert differing(raw, after) == bits


def test_what_has_nothing_to_flip_passes() -> None:
    raw = packet("ab", ACK, 1, 1)
    assert made("flip:100%").process(raw, "ab", 0) == [(0, "ab", raw)]


@pytest.mark.parametrize("name", BOXES)
def test_what_is_not_tcp_passes_every_box_whole(name: str) -> None:
    box = made(name)
    ways: tuple[Way, Way] = "ab", "ba"
    for way in ways:
        for raw in (DATAGRAM, b"", b"\x45", bytes(60), b"\xff" * 60):
            # Links take whole packets whatever they are; they are told apart by chance and by time alone.
            for one in box.process(raw, way, 10**12):
                assert (one.way, one.packet) == (way, raw)
