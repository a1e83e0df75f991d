"""TI-flows: positions over transports are those of the streams that were sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.flow.test_connection import built, connections
from tioption.build.conversation import MS, Conversation
from tioption.capture import Segment
from tioption.capture.segment import ACK, SYN
from tioption.flow import Connection, ConnectionTable, FlowKey, Positions, TiFlow, Transport, anchors
from tioption.option import FlowOption
from tioption.seq import SEQ48


def option_of(segment: Segment) -> FlowOption | None:
    return next((option.flow for option in segment.walk_options() if option.flow is not None), None)


def flow_of(talk: Conversation) -> TiFlow:
    """The flow of a conversation that keeps the rules."""
    table = ConnectionTable()
    answers: dict[int, FlowOption] = {}
    flow = TiFlow(FlowKey(talk.variant, talk.tifid))
    known: list[Connection] = []
    for segment in built(talk):
        connection = table.observe(segment)
        option = option_of(segment)
        if option is None:
            continue
        assert option.tifid.first == talk.tifid.first
        if segment.flags & (SYN | ACK) == SYN | ACK:
            answers[connection.index] = option
        elif segment.flags & ACK and connection not in known:
            known.append(connection)
            transport = Transport(connection, anchors(answers[connection.index], option))
            (flow.resume if flow.transports else flow.begin)(transport)
    return flow


@given(
    seed=st.integers(0, 1000),
    start=st.integers(0, 2**48 - 1),
    moves=st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 2000), st.booleans()), max_size=8),
)
def test_positions_over_transports_are_the_octets_sent_and_received(
    seed: int, start: int, moves: list[tuple[str, int, bool]]
) -> None:
    talk = Conversation(seed)
    talk.streams["A"].s0 = start
    transport = talk.connect()
    for side, size, lost in moves:
        transport.send(side, size, lost=lost)  # type: ignore[arg-type]
        if lost:
            talk.wait(MS)
            transport = talk.resume()
            transport.resend("A")
            transport.resend("B")
    flow = flow_of(talk)
    streams = talk.streams
    assert flow.from_start
    for positions, stream in ((flow.forward, streams["A"]), (flow.reverse, streams["B"])):
        assert positions == Positions(len(stream.octets), stream.received, None, stream.s0)
        assert positions.count(stream.sent_position) == positions.sent


def test_a_segment_s_position() -> None:
    talk = Conversation(3)
    first = talk.connect()
    first.send("A", 600)
    first.send("A", 400, lost=True)
    second = talk.resume()
    second.resend("A")
    flow = flow_of(talk)
    data = [segment for segment in built(talk) if segment.payload_length]
    one, other = flow
    s0 = talk.streams["A"].s0
    assert one.position(data[0]) == s0
    assert one.position(data[1]) == SEQ48.add(s0, 600)
    assert other.position(data[2]) == SEQ48.add(s0, 600)


def test_outages() -> None:
    talk = Conversation(3)
    talk.connect().send("A", 10)
    talk.wait(5000 * MS)
    talk.resume()
    (outage,) = flow_of(talk).outages()
    assert outage == 5000 * MS


def test_a_flow_that_began_before_the_capture_has_no_start() -> None:
    talk = Conversation(3)
    talk.connect().send("A", 100)
    begun = len(talk.observed)
    talk.resume().send("A", 50)
    later = Conversation(3)
    later.tape.observed[:] = talk.observed[begun:]
    (connection,) = connections(built(later))
    flow = TiFlow(FlowKey(talk.variant, talk.tifid))
    assert not flow.from_start
    options = [option for segment in built(later) if (option := option_of(segment)) is not None]
    flow.resume(Transport(connection, anchors(options[1], options[2])))
    assert not flow.from_start
    assert flow.forward[:2] == (50, 50)


@pytest.mark.parametrize("lost", [True, False])
def test_anchors_without_the_third_ack_are_what_the_server_expects(lost: bool) -> None:
    talk = Conversation(3)
    first = talk.connect()
    first.send("A", 70)
    first.send("B", 30)
    begun = len(talk.observed)
    talk.resume()
    _, syn_ack, ack = (one.sent.header.options[-20:] for one in talk.observed[begun:])
    at = anchors(FlowOption.parse(syn_ack), None if lost else FlowOption.parse(ack))
    assert at.forward == SEQ48.add(talk.streams["A"].s0, 70)
    assert at.reverse == SEQ48.add(talk.streams["B"].s0, 30)


def test_a_flow_of_many_transports_has_the_positions_of_all() -> None:
    """More of them than are looked at anew each time."""
    talk = Conversation(5)
    transport = talk.connect()
    for number in range(40):
        transport.send("A", 100 + number)
        transport.send("B", 10, lost=True)
        talk.wait(MS)
        transport = talk.resume()
        transport.resend("B")
    flow = flow_of(talk)
    assert len(flow.transports) == 41
    for _ in range(2):  # asked again, what was settled is not counted twice
        assert flow.forward[:2] == (len(talk.streams["A"].octets), talk.streams["A"].received)
        assert flow.reverse[:2] == (400, 400)
