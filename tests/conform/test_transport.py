"""A connection as its opener sees it: what it takes for received, what it acknowledges by itself, what it repeats."""

from __future__ import annotations

from typing import Any

from tioption.capture.segment import ACK, FIN, RST, SYN
from tioption.conform.transport import Arrival, Transport
from tioption.endpoint.wire import TcpSegment, read
from tioption.option import DEFAULT_KINDS, FlowOption, Tifid, Variant, walk
from tioption.packet import Ports, read_tcp

PORTS = Ports(b"\1\2\3\4", 40000, b"\5\6\7\10", 7)
OPTION = FlowOption(Variant.FLOW_D, Tifid.from_halves(0x0A4530, 0xBE79BF), 0x1D, 0x1F)
ISN, PEER = 0xFFFFFFF0, 5000


class Opened:
    """A transport whose SYN was answered, and what it has sent since."""

    def __init__(self, **fields: Any) -> None:
        self.sent: list[TcpSegment] = []
        self.transport = Transport(PORTS, ISN, 0, DEFAULT_KINDS, self._sent)
        self.transport.syn(None)
        self.hear(SYN | ACK, 0, **fields)
        self.transport.confirm(None)
        self.sent.clear()

    def _sent(self, ports: Ports, octets: bytes) -> None:
        assert read_tcp(ports.source, ports.destination, octets)[0] == PORTS
        self.sent.append(read(ports.source, ports.destination, octets)[1])

    def hear(self, flags: int, at: int, payload: bytes = b"", ack: int = 1, **fields: Any) -> None:
        number = (PEER + at) % 2**32
        segment = TcpSegment(number, (ISN + ack) % 2**32, flags, 1000, payload)._replace(**fields)
        self.transport.take(Arrival(segment, ()))


def test_octets_are_put_in_order_and_acknowledged() -> None:
    one = Opened()
    one.hear(ACK, 4, b"def")
    assert (bytes(one.transport.received), one.sent[-1].ack) == (b"", PEER + 1)
    one.hear(ACK, 1, b"abcd")
    assert (bytes(one.transport.received), one.sent[-1].ack) == (b"abcdef", PEER + 7)
    one.hear(ACK | FIN, 7)
    assert one.transport.fin
    assert one.sent[-1].ack == PEER + 8
    count = len(one.sent)
    one.hear(ACK, 8, ack=30)
    assert len(one.sent) == count
    assert one.transport.acked == 30


def test_a_probe_is_answered_and_nothing_is_where_that_is_switched_off() -> None:
    one = Opened()
    one.hear(ACK, 0)
    assert len(one.sent) == 1
    one.transport.automatic = False
    one.hear(ACK, 1, b"abc")
    assert len(one.sent) == 1
    assert bytes(one.transport.received) == b"abc"
    one.transport.segment()
    assert one.sent[-1].ack == PEER + 1


def test_the_third_ack_is_repeated_for_a_syn_ack_that_comes_again() -> None:
    one = Opened()
    one.transport.confirm(OPTION)
    one.hear(SYN | ACK, 0)
    assert [segment.option for segment in one.sent] == [OPTION, OPTION]
    left_out = Opened()
    left_out.transport.repeats = False
    left_out.hear(SYN | ACK, 0)
    assert left_out.sent == []


def test_resets_of_others_are_not_believed() -> None:
    one = Opened()
    one.hear(RST, 1 << 30)
    assert not one.transport.reset
    assert one.transport.told == "a RST with numbers of no segment of the connection"
    one.hear(RST, 1)
    assert one.transport.told == "a RST"


def test_timestamps_where_both_have_them() -> None:
    assert Opened().transport.stamped is False
    one = Opened(timestamps=(77, 0))
    one.transport.now = 5_000_000
    one.transport.data(b"x")
    assert one.sent[-1].timestamps == (5, 77)


def test_what_has_come_in_words() -> None:
    area = bytes(OPTION)
    arrival = Arrival(TcpSegment(0, 0, SYN | ACK, 0), tuple(walk(area)))
    assert str(arrival) == f"a SYN-ACK with {OPTION}"
    assert str(Arrival(TcpSegment(0, 0, SYN | ACK, 0), ())) == "a SYN-ACK without the option"
    assert str(Arrival(TcpSegment(0, 0, ACK, 0, b"abc"), ())) == "3 octets"
    assert Transport(PORTS, 0, 0, DEFAULT_KINDS, print).told == "no answer"
