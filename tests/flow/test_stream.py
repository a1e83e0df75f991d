"""Reassembly: every octet once and in order, whatever order, copies, cuts and losses a capture has."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tioption.flow import Gap, StreamAssembler

Output = list[bytes | Gap]
DATA = bytes(range(256)) * 40


def joined(output: Iterable[bytes | Gap]) -> Output:
    """Octets and gaps with neighbouring octets put together."""
    result: Output = []
    for one in output:
        if isinstance(one, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += one
        else:
            result.append(one)
    return result


def assembled(
    *pieces: tuple[int, int], acked: int = 0, window: int | None = None, waiting: int = 1 << 20
) -> tuple[Output, Output, StreamAssembler]:
    """What comes out while pieces of DATA from and to these places are added, and at the end."""
    stream = StreamAssembler(waiting)
    early = [one for start, end in pieces for one in stream.add(start, DATA[start:end], end - start)]
    stream.acknowledge(acked)
    return joined(early), joined(stream.finish(window)), stream


@pytest.mark.parametrize(
    ("what", "pieces", "octets"),
    [
        ("nothing", [], 0),
        ("in order", [(0, 10), (10, 25)], 25),
        ("out of order", [(10, 25), (0, 10)], 25),
        ("all turned round", [(20, 30), (10, 20), (0, 10)], 30),
        ("sent again", [(0, 10), (0, 10), (10, 20), (0, 20)], 20),
        ("sent again in other segments", [(0, 10), (5, 25), (3, 7), (24, 30)], 30),
        ("kept ones overlap", [(10, 20), (15, 30), (12, 18), (0, 11)], 30),
        ("a kept one grows", [(10, 20), (10, 40), (0, 10)], 40),
        ("a kept one comes again, shorter", [(10, 40), (10, 20), (0, 10)], 40),
        ("one covers all that was kept", [(10, 20), (30, 40), (0, 50)], 50),
        ("an end between", [(0, 10), (10, 10), (20, 20), (10, 20)], 20),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_octets_come_once_and_in_order(what: str, pieces: list[tuple[int, int]], octets: int) -> None:
    early, late, stream = assembled(*pieces)
    assert (b"".join(one for one in early if isinstance(one, bytes)), late) == (DATA[:octets], [])
    assert (stream.place, stream.reached, stream.left_out) == (octets, octets, 0)


def test_what_is_contiguous_is_handed_on_at_once() -> None:
    stream = StreamAssembler()
    assert list(stream.add(0, b"abc", 3)) == [b"abc"]
    assert list(stream.add(5, b"fg", 2)) == []
    assert list(stream.add(2, b"cde", 3)) == [b"de", b"fg"]


def test_a_gap_is_said_where_it_is() -> None:
    assert assembled((0, 10), (15, 20))[:2] == ([DATA[:10]], [Gap(10, 5, False), DATA[15:20]])
    assert assembled((5, 10))[:2] == ([], [Gap(0, 5, False), DATA[5:10]])


def test_octets_known_only_by_their_acknowledgment_are_a_gap_at_the_end() -> None:
    assert assembled((0, 10), acked=30)[:2] == ([DATA[:10]], [Gap(10, 20, False)])
    assert assembled((0, 10), (20, 25), acked=30)[1] == [Gap(10, 10, False), DATA[20:25], Gap(25, 5, False)]


def test_a_place_reached_without_octets_is_a_gap_up_to_it() -> None:
    """As that of a FIN whose stream's end was not captured."""
    assert assembled((0, 10), (14, 14))[1] == [Gap(10, 4, False)]


def test_an_acknowledgment_counts_the_fin() -> None:
    stream = StreamAssembler()
    stream.acknowledge(11)
    output = [*stream.add(0, DATA[:10], 10), *stream.end(10), *stream.finish()]
    assert (output, stream.end_unseen) == ([DATA[:10]], False)


def test_a_fin_that_was_not_captured_is_no_octet() -> None:
    _, late, stream = assembled((0, 10), acked=11)
    assert (late, stream.end_unseen) == ([], True)


def test_segments_cut_by_the_capture() -> None:
    stream = StreamAssembler()
    assert list(stream.add(0, b"abc", 10)) == [b"abc"]
    assert list(stream.add(10, b"", 10)) == []
    assert list(stream.add(25, b"xyz", 3)) == []
    assert list(stream.finish()) == [Gap(3, 7, True), Gap(10, 10, True), Gap(20, 5, False), b"xyz"]


def test_a_cut_segment_sent_again_and_captured_whole_leaves_no_gap() -> None:
    stream = StreamAssembler()
    pieces = [(0, b"abc", 10), (10, b"klm", 3), (0, b"abcdefghij", 10)]
    assert joined(one for piece in pieces for one in stream.add(*piece)) == [b"abcdefghijklm"]
    assert list(stream.finish()) == []


def test_the_last_segment_cut_is_a_gap_at_the_end() -> None:
    stream = StreamAssembler()
    assert list(stream.add(0, b"abc", 10)) == [b"abc"]
    assert list(stream.finish()) == [Gap(3, 7, True)]


def test_what_the_receiver_cannot_have_taken_is_left_out() -> None:
    early, late, stream = assembled((0, 10), (50, 60), (20, 25), acked=12, window=10)
    assert (early, late) == ([DATA[:10]], [Gap(10, 10, False), DATA[20:25]])
    assert stream.left_out == 10
    assert assembled((0, 10), (50, 60), acked=45, window=10)[1] == [Gap(10, 40, False), DATA[50:60]]


def test_too_much_waiting_makes_a_gap_and_goes_on() -> None:
    stream = StreamAssembler(waiting=2000)
    kept = [(100 + 10 * number, DATA[:10], 10) for number in range(8)]
    output = joined(one for piece in kept for one in stream.add(*piece))
    assert output == [Gap(0, 100, False), DATA[:10] * 8]
    assert list(stream.add(90, DATA[:10], 10)) == []  # too late


def test_octets_that_were_acknowledged_are_not_awaited_for_long() -> None:
    stream = StreamAssembler()
    stream.acknowledge(100)
    output: Output = []
    place = 50
    while not output and place < 1 << 22:
        output += stream.add(place, bytes(1000), 1000)
        stream.acknowledge(place)
        place += 1000
    assert output[0] == Gap(0, 50, False)
    assert place < 1 << 21


@pytest.mark.parametrize("base", [(1 << 32) - 7, (1 << 48) - 7, 1 << 60])
def test_places_do_not_wrap(base: int) -> None:
    stream = StreamAssembler()
    stream.place = base
    assert joined([*stream.add(base + 10, DATA[10:20], 10), *stream.add(base, DATA[:10], 10)]) == [DATA[:20]]


cuts = st.lists(st.integers(0, 300), min_size=2, max_size=2).map(sorted)


@given(
    pieces=st.lists(st.tuples(cuts, st.integers(0, 300)), max_size=30),
    acked=st.integers(0, 320),
    waiting=st.sampled_from([1 << 20, 700]),
)
@example(pieces=[([1, 2], 1), ([1, 3], 0)], acked=0, waiting=1 << 20)  # a copy that was longer, of which less is there
def test_every_octet_is_there_once_or_in_a_gap(pieces: list[tuple[list[int], int]], acked: int, waiting: int) -> None:
    stream = StreamAssembler(waiting)
    output: Output = []
    captured: set[int] = set()
    reached = acked
    for (start, end), kept in pieces:
        whole = DATA[start:end]
        captured |= set(range(start, start + len(whole[:kept])))
        reached = max(reached, end)
        output += stream.add(start, whole[:kept], end - start)
    stream.acknowledge(acked)
    output += stream.finish()
    place = 0
    for one in output:
        if isinstance(one, bytes):
            assert one
            assert one == DATA[place : place + len(one)]
            place += len(one)
        else:
            assert one.place == place
            assert one.octets > 0
            if waiting > 700:
                assert not captured & set(range(one.place, one.place + one.octets))
            place += one.octets
    assert place == stream.place
    assert place + stream.end_unseen == reached == stream.reached
