"""Boxes one behind the other: order, direction, time, and answers from the middle."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.middlebox.packets import made, packet
from tioption.build.catalogue import SCENARIOS
from tioption.capture.segment import ACK, PSH
from tioption.middlebox import Chain, Emitted, Middlebox, Path, Way, parse_chain


class Marker(Middlebox):
    """Appends its mark; answers a packet that ends in `?`."""

    def __init__(self, mark: bytes, delay: int = 0) -> None:
        self.mark = mark
        self.delay = delay
        self.times: list[int] = []

    def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
        self.times.append(now_ns)
        if packet.endswith(b"?") and self.mark == b"2":
            return [Emitted(self.delay, "ba" if way == "ab" else "ab", packet[:-1] + b"!")]
        return [Emitted(self.delay, way, packet + self.mark)]


def test_a_packet_passes_all_boxes_in_its_direction() -> None:
    chain = Chain([Marker(b"1", 10), Marker(b"2", 200), Marker(b"3", 3000)])
    assert chain.process(b"x", "ab", 5) == [(3210, "ab", b"x123")]
    assert chain.process(b"x", "ba", 5) == [(3210, "ba", b"x321")]
    assert [box.times for box in chain.boxes if isinstance(box, Marker)] == [[5, 3205], [15, 3005], [215, 5]]


@pytest.mark.parametrize(("way", "expected"), [("ab", (220, "ba", b"x1!1")), ("ba", (3203, "ab", b"x"))])
def test_an_answer_travels_back_from_its_box(way: Way, expected: tuple[int, Way, bytes]) -> None:
    class Asker(Marker):
        """Lets questions pass."""

        def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
            (out,) = super().process(packet.rstrip(b"?"), way, now_ns)
            return [out._replace(packet=out.packet + b"?")] if packet.endswith(b"?") else [out]

    chain = Chain([Asker(b"1", 10), Marker(b"2", 200), Asker(b"3", 3000)])
    (out,) = chain.process(b"x?", way, 0)
    assert (out.way, out.packet) == (("ba", b"x1!1") if way == "ab" else ("ab", b"x3!3"))
    assert out.delay == (220 if way == "ab" else 6200)


def test_an_empty_chain_is_a_cable() -> None:
    assert Chain([]).process(b"x", "ba", 9) == [(0, "ba", b"x")]


def test_a_path_keeps_the_order_of_time_between_boxes() -> None:
    """The first box delays the first packet beyond the second: the second box sees them turned round."""

    class Uneven(Middlebox):
        def __init__(self) -> None:
            self.delays = [100, 10]

        def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
            return [Emitted(self.delays.pop(0), way, packet)]

    seen = Marker(b"2")
    path = Path([Uneven(), seen])
    path.enter(b"x", "ab", 0, "first")
    path.enter(b"y", "ab", 1, "second")
    assert path.next_time == 0
    assert path.advance(1) == []
    assert (path.next_time, len(path)) == (11, 2)
    assert path.advance(50) == [(11, "ab", b"y2", "second")]
    assert path.advance() == [(100, "ab", b"x2", "first")]
    assert seen.times == [11, 100]
    assert path.next_time is None


def test_what_boxes_hold_back_passes_those_behind_them() -> None:
    ways: tuple[Way, Way] = "ab", "ba"
    for way in ways:
        chain = Chain([made("coalesce"), made("delay:7ns"), made("coalesce")])
        raw = packet(way, ACK, 1, 1, payload=b"data")
        assert chain.process(raw, way, 0) == []
        assert chain.flush(50) == [(7, way, raw)]
        assert chain.flush(60) == []


def test_what_hosts_repeat_passes_the_boxes_from_the_far_end() -> None:
    """ISNs rewritten twice: a recorded acknowledgment is adapted so that it arrives as it was recorded."""
    path = Path(parse_chain(["isn", "nat", "isn:ba", "timestamps:rewrite"], Random(3)).boxes)
    for observed in SCENARIOS["resume"].conversation(4).observed:
        sent = observed.sent
        way: Way = "ab" if sent.side == "A" else "ba"
        path.enter(path.as_answer(sent.frame[14:], way), way, sent.time_ns)
        (out,) = path.advance()
        before, after = sent.frame[14:], out.packet
        if way == "ba":  # B's acknowledgments and destination are A's own again
            assert (before[28:32], before[16:20], before[22:24]) == (after[28:32], after[16:20], after[22:24])
        else:
            assert before[28:32] == after[28:32]
            assert before[12:16] != after[12:16]


@given(st.integers(0, 2**32), st.lists(st.tuples(st.sampled_from(["ab", "ba"]), st.integers(0, 50)), max_size=20))
def test_the_same_seed_does_the_same(seed: int, steps: list[tuple[Way, int]]) -> None:
    def run() -> list[Emitted]:
        chain = parse_chain(["lose:30%", "reorder:30%", "duplicate:30%", "delay:1ms,jitter=1ms", "isn"], Random(seed))
        raws = [
            (way, packet(way, ACK | PSH, number, 1, payload=bytes(size))) for number, (way, size) in enumerate(steps)
        ]
        return [one for number, (way, raw) in enumerate(raws) for one in chain.process(raw, way, number)]

    assert run() == run()
