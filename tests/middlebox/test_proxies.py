"""Proxies: data acknowledged before it has arrived, and handshakes answered for the server."""

from __future__ import annotations

import pytest

from tests.middlebox.packets import ANSWER, OFFER, flows, made, only, packet, through
from tests.middlebox.test_sequence import sack
from tioption.build.packet import SACK_PERMITTED, mss, timestamps, window_scale
from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.middlebox import Middlebox
from tioption.middlebox.proxies import AckProxy

SIX = pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])


def opened(spec: str = "ack-proxy", *, six: bool = False, times: bool = False) -> Middlebox:
    """A connection: A's data begins at 101, B's at 501."""
    box = made(spec)
    only(box, "ab", packet("ab", SYN, 100, six=six))
    only(box, "ba", packet("ba", SYN | ACK, 500, 101, six=six, options=timestamps(70, 1) if times else b""))
    only(box, "ab", packet("ab", ACK, 101, 501, six=six))
    only(box, "ba", packet("ba", ACK, 501, 101, six=six, window=77))
    return box


@SIX
@pytest.mark.parametrize("times", [False, True])
def test_data_is_acknowledged_at_once(times: bool, six: bool) -> None:
    box = opened(six=six, times=times)
    options = timestamps(9, 70) if times else b""
    data = packet("ab", ACK | PSH, 101, 501, payload=b"hello", options=options, six=six)
    forward, early = through(box, "ab", data)
    assert (forward.way, forward.segment.payload) == ("ab", b"hello")
    assert (early.delay, early.way) == (0, "ba")
    told = early.segment
    assert (told.flags, told.seq, told.ack, told.window, told.payload) == (ACK, 501, 106, 77, b"")
    assert (told.sport, told.dport) == (443, 40000)
    expected = [octets for octets in (b"\x01", b"\x01", timestamps(70, 9)) if times]
    assert [option.octets for option in told.walk_options()] == expected


def test_b_s_own_acknowledgments_never_fall_behind_what_a_was_told() -> None:
    box = opened()
    through(box, "ab", packet("ab", ACK, 101, 501, payload=bytes(100)))
    through(box, "ab", packet("ab", ACK, 201, 501, payload=bytes(100)))
    assert only(box, "ba", packet("ba", ACK, 501, 201)).ack == 301
    assert only(box, "ba", packet("ba", ACK | PSH, 501, 301, payload=b"x")).ack == 301
    # B's stream has gone on.
    _, early = through(box, "ab", packet("ab", ACK, 301, 502, payload=b"y"))
    assert (early.segment.seq, early.segment.ack) == (502, 302)


@pytest.mark.parametrize(
    ("seq", "flags", "payload"), [(301, ACK, b"gap"), (51, ACK, b"again"), (101, ACK | FIN, b"end"), (101, ACK, b"")]
)
def test_what_is_left_to_b(seq: int, flags: int, payload: bytes) -> None:
    only(opened(), "ab", packet("ab", flags, seq, 501, payload=payload))


def test_damaged_segments_are_not_acknowledged() -> None:
    damaged = bytearray(packet("ab", ACK, 101, 501, payload=b"hello"))
    damaged[-1] ^= 1
    assert opened().process(bytes(damaged), "ab", 0) == [(0, "ab", bytes(damaged))]
    syn = bytearray(packet("ab", SYN, 100, options=OFFER))
    syn[-1] ^= 1
    assert made("syn-proxy").process(bytes(syn), "ab", 0) == []


def test_the_buffer_is_finite() -> None:
    box = opened("ack-proxy:150")
    assert len(through(box, "ab", packet("ab", ACK, 101, 501, payload=bytes(100)))) == 2
    assert len(through(box, "ab", packet("ab", ACK, 201, 501, payload=bytes(100)))) == 1
    only(box, "ba", packet("ba", ACK, 501, 301))
    assert len(through(box, "ab", packet("ab", ACK, 301, 501, payload=bytes(100)))) == 2


def test_duplicate_acknowledgments_bring_the_first_missing_segment_again() -> None:
    box = opened()
    for seq in (101, 201, 301):
        through(box, "ab", packet("ab", ACK, seq, 501, payload=bytes((seq % 256,)) * 100))
    only(box, "ba", packet("ba", ACK, 501, 201))
    sent = [through(box, "ba", packet("ba", ACK, 501, 201)) for _ in range(4)]
    assert [len(one) for one in sent] == [1, 1, 2, 1]
    again = sent[2][0]
    assert (again.way, again.segment.seq, again.segment.payload) == ("ab", 201, bytes((201,)) * 100)


def test_what_was_acknowledged_is_gone_with_the_box() -> None:
    """RES-14: A was told that B has it."""
    box = opened()
    through(box, "ab", packet("ab", ACK, 101, 501, payload=b"gone"))
    assert isinstance(box, AckProxy)
    box.forget()
    for _ in range(9):
        assert only(box, "ba", packet("ba", ACK, 501, 101)).ack == 101


def test_resets_pass_and_end_it() -> None:
    box = opened()
    only(box, "ba", packet("ba", RST, 501, 0))
    assert len(through(box, "ab", packet("ab", ACK, 101, 501, payload=b"x"))) == 1


# SYN proxy.

LINUX = mss(1460) + SACK_PERMITTED + timestamps(1, 0) + b"\x01" + window_scale(7)


@SIX
@pytest.mark.parametrize("option", [OFFER, ANSWER], ids=["new", "resume"])
def test_a_syn_proxy_shakes_hands_on_both_sides(option: bytes, six: bool) -> None:
    box = made("syn-proxy:1400")
    syn = packet("ab", SYN, 100, options=LINUX + option, window=64000, six=six)
    ((_, way, answer),) = through(box, "ab", syn)
    assert (way, answer.flags, answer.ack, answer.window) == ("ba", SYN | ACK, 101, 0)
    assert [option.kind for option in answer.walk_options() if option.kind != 1] == [2, 4]
    assert flows(answer) == 0
    ((_, _, again),) = through(box, "ab", syn)
    assert again.seq == answer.seq  # a repeated SYN gets the same answer
    isn = answer.seq
    # Nothing but the ACK opens anything.
    assert through(box, "ab", packet("ab", ACK, 101, isn + 2, six=six)) == []
    ack = packet("ab", ACK, 101, isn + 1, window=600, six=six)
    ((_, way, to_server),) = through(box, "ab", ack)
    assert (way, to_server.flags, to_server.seq, to_server.window) == ("ab", SYN, 100, 64000)
    assert (to_server.sport, flows(to_server)) == (40000, 0)
    # The server answers: both sides are told.
    confirmed, opened = through(box, "ba", packet("ba", SYN | ACK, 7000, 101, window=900, six=six))
    assert (confirmed.way, confirmed.segment.flags) == ("ab", ACK)
    assert (confirmed.segment.seq, confirmed.segment.ack) == (101, 7001)
    assert confirmed.segment.window == 600
    assert (opened.way, opened.segment.seq, opened.segment.ack) == ("ba", (isn + 1) % 2**32, 101)
    assert opened.segment.window == 900
    # Numbers of B's are translated from now on.
    assert only(box, "ba", packet("ba", ACK, 7001, 101, payload=b"hi", six=six)).seq == (isn + 1) % 2**32
    data = packet("ab", ACK, 101, isn + 3, options=sack(isn + 5, isn + 7), payload=b"x", six=six)
    out = only(box, "ab", data)
    assert (out.seq, out.ack, out.options) == (101, 7003, sack(7005, 7007))


def test_a_server_that_refuses() -> None:
    box = made("syn-proxy")
    ((_, _, answer),) = through(box, "ab", packet("ab", SYN, 100))
    assert through(box, "ba", packet("ba", SYN | ACK, 1, 101)) == []  # nobody asked it
    through(box, "ab", packet("ab", ACK, 101, answer.seq + 1))
    ((_, way, reset),) = through(box, "ba", packet("ba", RST | ACK, 0, 101))
    assert (way, reset.flags, reset.seq) == ("ba", RST, (answer.seq + 1) % 2**32)
    only(box, "ab", packet("ab", ACK, 101, answer.seq + 1))  # forgotten


def test_a_client_that_gives_up() -> None:
    box = made("syn-proxy")
    through(box, "ab", packet("ab", SYN, 100))
    assert through(box, "ab", packet("ab", RST, 101, 0)) == []
    only(box, "ba", packet("ba", ACK, 1, 1))
