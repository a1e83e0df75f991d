"""ISNs that are others behind the box, and everything counted from them, both ways."""

from __future__ import annotations

from struct import pack, unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.middlebox.packets import made, only, packet
from tioption.capture.segment import ACK, RST, SYN
from tioption.middlebox import Middlebox


def sack(*edges: int) -> bytes:
    return b"\x01\x01" + bytes((5, 2 + 4 * len(edges))) + pack(f"!{len(edges)}I", *(edge % 2**32 for edge in edges))


def opened(box: Middlebox) -> tuple[int, int]:
    """By how much the numbers of A and of B are moved, whose hosts acknowledge what they see."""
    syn = only(box, "ab", packet("ab", SYN, 1000))
    syn_ack = only(box, "ba", packet("ba", SYN | ACK, 5000, syn.seq + 1))
    ack = only(box, "ab", packet("ab", ACK, 1001, syn_ack.seq + 1))
    assert (syn_ack.ack, ack.seq, ack.ack) == (1001, (syn.seq + 1) % 2**32, 5001)
    return (syn.seq - 1000) % 2**32, (syn_ack.seq - 5000) % 2**32


@pytest.mark.parametrize(("way", "moved"), [("both", (True, True)), ("ab", (True, False)), ("ba", (False, True))])
def test_which_isns_are_rewritten(way: str, moved: tuple[bool, bool]) -> None:
    shifts = opened(made(f"isn:{way}"))
    assert tuple(shift != 0 for shift in shifts) == moved


@given(
    seed=st.integers(0, 1000),
    edges=st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=8).filter(lambda edges: len(edges) % 2 == 0),
    octets=st.integers(0, 2**32 - 1),
)
def test_every_number_is_translated_and_back(seed: int, edges: list[int], octets: int) -> None:
    """SACK blocks move with the acknowledgment beside them, of both hosts."""
    box = made("isn", seed)
    shift_a, shift_b = opened(box)
    for way, own, other in (("ab", shift_a, shift_b), ("ba", shift_b, shift_a)):
        seen = [(edge + other) % 2**32 for edge in edges]
        raw = packet(way, ACK, octets, octets + other, options=sack(*seen))  # type: ignore[arg-type]
        segment = only(box, way, raw)  # type: ignore[arg-type]
        assert segment.seq == (octets + own) % 2**32
        assert segment.ack == octets
        assert unpack(f"!{len(edges)}I", segment.options[4:]) == tuple(edges)


def test_a_box_that_forgets_the_sack_blocks() -> None:
    box = made("isn:sack=no")
    _, shift_b = opened(box)
    segment = only(box, "ab", packet("ab", ACK, 1001, 5001 + shift_b, options=sack(7, 9)))
    assert (segment.ack, segment.options) == (5001, sack(7, 9))


def test_a_retransmitted_syn_is_moved_as_before_and_a_new_one_anew() -> None:
    box = made("isn")
    first, again, new = (only(box, "ab", packet("ab", SYN, isn)).seq - isn for isn in (1000, 1000, 9_000_000))
    assert first % 2**32 == again % 2**32 != new % 2**32


def test_a_reset_is_moved_and_what_acknowledges_nothing_has_no_acknowledgment() -> None:
    box = made("isn")
    shift_a, shift_b = opened(box)
    reset = only(box, "ab", packet("ab", RST, 1001, 0))
    assert (reset.seq, reset.ack) == ((1001 + shift_a) % 2**32, 0)
    reset = only(box, "ba", packet("ba", RST | ACK, 5001, 1001 + shift_a))
    assert (reset.seq, reset.ack) == ((5001 + shift_b) % 2**32, 1001)


def test_connections_whose_beginning_did_not_pass_are_left_alone() -> None:
    raw = packet("ab", ACK, 1001, 5001, options=sack(1, 2))
    assert made("isn").process(raw, "ab", 0) == [(0, "ab", raw)]


def test_both_families_have_shifts_of_their_own() -> None:
    box = made("isn")
    four, six = (only(box, "ab", packet("ab", SYN, 1000, six=six)).seq for six in (False, True))
    assert four != six
