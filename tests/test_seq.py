"""Serial arithmetic against Python's integers, which do not wrap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tioption.seq import SEQ32, SEQ48, SerialSpace, Unwrapper

SPACES = [SEQ32, SEQ48, SerialSpace(8)]
counts = st.integers(-(2**70), 2**70)


@pytest.mark.parametrize("space", SPACES, ids=repr)
class TestProperties:
    @given(value=counts, step=counts)
    def test_add_is_addition_modulo_the_space(self, space: SerialSpace, value: int, step: int) -> None:
        assert space.add(value & space.mask, step) == (value + step) % 2**space.bits

    @given(value=counts, data=st.data())
    def test_difference_recovers_any_distance_below_half(
        self, space: SerialSpace, value: int, data: st.DataObject
    ) -> None:
        distance = data.draw(st.integers(-space.half, space.half - 1))
        assert space.difference((value + distance) & space.mask, value & space.mask) == distance

    @given(value=counts, data=st.data())
    def test_precedes_is_less_than_within_half(self, space: SerialSpace, value: int, data: st.DataObject) -> None:
        distance = data.draw(st.integers(-space.half + 1, space.half - 1))
        other = (value + distance) & space.mask
        assert space.precedes(value & space.mask, other) == (distance > 0)
        assert not (space.precedes(value & space.mask, other) and space.precedes(other, value & space.mask))

    @given(low=counts, data=st.data())
    def test_contains_is_a_closed_interval(self, space: SerialSpace, low: int, data: st.DataObject) -> None:
        length = data.draw(st.integers(0, space.mask))
        offset = data.draw(st.integers(0, space.mask))
        assert space.contains(low & space.mask, (low + offset) & space.mask, (low + length) & space.mask) == (
            offset <= length
        )

    @given(count=counts, data=st.data())
    def test_unwrap_finds_the_nearest_count(self, space: SerialSpace, count: int, data: st.DataObject) -> None:
        near = count + data.draw(st.integers(-space.half + 1, space.half))
        assert space.unwrap(count & space.mask, near) == count

    @given(first=counts, steps=st.lists(st.integers(0, 2**31 - 1), max_size=50))
    def test_unwrapper_follows_a_stream_across_every_wrap(
        self, space: SerialSpace, first: int, steps: list[int]
    ) -> None:
        unwrapper = Unwrapper(space, first & space.mask)
        count = 0
        for step in steps:
            count += step % space.half
            assert unwrapper.count((first + count) & space.mask) == count


def test_exactly_half_apart_counts_as_before() -> None:
    assert SEQ32.difference(0, 2**31) == -(2**31)
    assert SEQ32.difference(2**31, 0) == -(2**31)


def test_sequence_numbers_compare_across_the_wrap() -> None:
    assert SEQ32.precedes(0xFFFFFFF0, 0x10)
    assert not SEQ32.precedes(0x10, 0xFFFFFFF0)


def test_unwrapper_counts_late_segments_below_the_furthest() -> None:
    unwrapper = Unwrapper(SEQ32, 0xFFFFFFFE)
    assert [unwrapper.count(value) for value in (0xFFFFFFFE, 5, 0xFFFFFFFF, 0xFFFFFFF0)] == [0, 7, 1, -14]
    assert unwrapper.furthest == 7


def test_ten_gigabytes_are_unwrapped_to_their_count() -> None:
    unwrapper = Unwrapper(SEQ32, 1000)
    counted = [unwrapper.count((1000 + step * 2**30) & SEQ32.mask) for step in range(11)]
    assert counted[-1] == 10 * 2**30
