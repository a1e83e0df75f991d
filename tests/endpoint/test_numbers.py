"""ISNs and cookies."""

from __future__ import annotations

import pytest

from tioption.capture.segment import ACK, SYN
from tioption.endpoint.cookies import SynCookies
from tioption.endpoint.numbers import Numbers
from tioption.endpoint.rtt import SECOND
from tioption.endpoint.wire import TcpSegment
from tioption.option import FlowOption, Tifid, Variant
from tioption.packet import Ports
from tioption.seq import SEQ32

PORTS = Ports(bytes(4), 1, bytes((1, 2, 3, 4)), 2)
NUMBERS = Numbers(bytes(16))


def test_isns_advance_by_a_clock_and_differ_by_ports_and_secret() -> None:
    assert SEQ32.difference(NUMBERS.isn(PORTS, SECOND), NUMBERS.isn(PORTS, 0)) == 250_000
    others = {
        NUMBERS.isn(PORTS._replace(sport=3), 0),
        NUMBERS.isn(PORTS._replace(destination=bytes(4)), 0),
        Numbers(b"x" * 16).isn(PORTS, 0),
        NUMBERS.clock_offset(PORTS),
    }
    assert len(others | {NUMBERS.isn(PORTS, 0)}) == 5


def test_a_secret_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="16 to 64 octets, found 3"):
        Numbers(b"abc")


OPTION = FlowOption(Variant.FLOW_D, Tifid.from_halves(7), 99999, 0)


@pytest.mark.parametrize("shift", [None, 0, 7, 14])
@pytest.mark.parametrize("mss", [None, 100, 536, 1300, 1460, 9000])
@pytest.mark.parametrize("option", [None, OPTION])
def test_a_cookie_brings_back_the_syn(shift: int | None, mss: int | None, option: FlowOption | None) -> None:
    cookies = SynCookies(NUMBERS, 10)
    syn = TcpSegment(5, 0, SYN, 1, mss=mss, window_scale=shift, sack_permitted=True, timestamps=(8, 0), option=option)
    isn = cookies.isn(PORTS, syn, 0)
    assert isn is not None
    stamp = cookies.stamp(1000, syn)
    assert 1000 - 64 < stamp <= 1000
    confirmed = option.replace(tifid=Tifid.from_halves(7, 9), tiack=77) if option is not None else None
    ack = TcpSegment(6, SEQ32.add(isn, 1), ACK, 1, timestamps=(9, stamp), option=confirmed)
    back = cookies.syn(PORTS, ack, 100 * SECOND)
    assert back is not None
    assert (back.seq, back.window_scale, back.sack_permitted, back.option) == (5, shift, True, option)
    assert back.mss is not None
    assert back.mss <= max(536, mss or 0)
    assert cookies.syn(PORTS, ack._replace(ack=ack.ack ^ 1 << 20), 0) is None
    assert cookies.syn(PORTS, ack._replace(seq=7), 0) is None
    assert cookies.syn(PORTS._replace(sport=9), ack, 0) is None
    assert cookies.syn(PORTS, ack, 200 * SECOND) is None


def test_a_syn_without_the_option_gets_another_isn_for_the_answer_differs() -> None:
    """EST-09."""
    cookies = SynCookies(NUMBERS, 10)
    syn = TcpSegment(5, 0, SYN, 1, option=OPTION)
    assert cookies.isn(PORTS, syn, 0) == cookies.isn(PORTS, syn, 0)
    assert cookies.isn(PORTS, syn, 0) != cookies.isn(PORTS, syn._replace(option=None), 0)


def test_a_cookie_that_came_back_is_remembered_for_as_long_as_it_could_again() -> None:
    cookies = SynCookies(NUMBERS, 2)
    syn = TcpSegment(5, 0, SYN, 1)
    isn = cookies.isn(PORTS, syn, 0)
    assert isn is not None
    ack = TcpSegment(6, isn + 1, ACK, 1)
    assert cookies.syn(PORTS, ack, 0) is not None
    cookies.came_back(PORTS, ack, 0)
    assert cookies.syn(PORTS, ack, 0) is None
    assert cookies.isn(PORTS, syn, SECOND) is None
    assert cookies.isn(PORTS, syn._replace(seq=6), SECOND) is not None
    for sport in (10, 11):
        cookies.came_back(PORTS._replace(sport=sport), ack, 0)
    assert cookies.isn(PORTS, syn, SECOND) is not None
