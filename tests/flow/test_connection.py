"""Connections from segments: against Wireshark's streams, conversations whose truth is known, and corner by corner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import SHARED
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import MS, Conversation
from tioption.capture import Capture, Segment
from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.errors import CaptureError
from tioption.flow import Connection, ConnectionTable, Direction

TRUTH_FILE = SHARED / "captures" / "TRUTH.json"
TRUTH: dict[str, Any] = json.loads(TRUTH_FILE.read_text())["files"] if TRUTH_FILE.exists() else {}


def connections(segments: list[Segment], table: ConnectionTable | None = None) -> list[Connection]:
    """Every connection of the segments, in the order they began."""
    table = table or ConnectionTable()
    found = {id(connection): connection for connection in map(table.observe, segments)}
    return sorted(found.values(), key=lambda connection: connection.index)


def segments_of(path: Path) -> list[Segment]:
    found = []
    try:
        with Capture(str(path)) as capture:
            for segment in capture.segments():
                if isinstance(segment, Segment):
                    found.append(segment)  # noqa: PERF401  what came before an error must be kept
    except CaptureError:
        pass
    return found


@pytest.mark.skipif(not TRUTH, reason="no shared captures on this machine")
@pytest.mark.parametrize("name", TRUTH)
def test_wireshark_counts_the_same_streams(name: str) -> None:
    streams = TRUTH[name]["streams"]
    found = connections(segments_of(SHARED / "captures" / name))
    assert len(found) == len(streams)
    for connection, stream in zip(found, streams, strict=True):
        if stream["syn"]:
            assert connection.first_frame == stream["frames"][0]
        assert (connection.forward.segments + connection.reverse.segments) == stream["segments"]


def segment(
    source: int, destination: int, flags: int, seq: int, ack: int = 0, payload: int = 0, **more: Any
) -> Segment:
    """A segment between two ports of one host, port 1 being the client's."""
    data = bytes(20 + payload)
    values = {"frame": 1, "time_ns": 0, "window": 10, "header_length": 20} | more
    return Segment(
        data=data,
        offset=0,
        end=len(data),
        length=len(data),
        src=bytes(4),
        dst=bytes(4),
        sport=source,
        dport=destination,
        seq=seq & 0xFFFFFFFF,
        ack=ack & 0xFFFFFFFF,
        flags=flags,
        **values,
    )


HANDSHAKE = [segment(1, 2, SYN, 100), segment(2, 1, SYN | ACK, 500, 101), segment(1, 2, ACK, 101, 501)]


class TestWhoIsWho:
    def test_a_whole_connection(self) -> None:
        (one,) = connections([*HANDSHAKE, segment(2, 1, ACK | PSH, 501, 101, 7), segment(1, 2, ACK, 101, 508)])
        assert (one.client.port, one.server.port, one.from_start, one.crossed) == (1, 2, True, False)
        assert (one.forward.sent, one.reverse.sent, one.reverse.acked) == (0, 7, 7)

    def test_a_syn_ack_first_names_the_one_it_answers(self) -> None:
        (one,) = connections(HANDSHAKE[1:])
        assert (one.client.port, one.forward.isn, one.reverse.isn, one.from_start) == (1, 100, 500, True)

    def test_data_first(self) -> None:
        (one,) = connections([segment(2, 1, ACK | PSH, 900, 50, 10), segment(1, 2, ACK, 50, 910)])
        assert (one.client.port, one.from_start) == (2, False)
        assert (one.forward.sent, one.forward.acked) == (10, 10)

    @pytest.mark.parametrize("port", [1, 2])
    def test_one_direction_alone(self, port: int) -> None:
        (one,) = connections([one for one in HANDSHAKE if one.sport == port])
        assert one.client.port == 1

    def test_a_simultaneous_open_is_one_connection(self) -> None:
        crossing = [segment(1, 2, SYN, 100), segment(2, 1, SYN, 500)]
        answers = [segment(1, 2, SYN | ACK, 100, 501), segment(2, 1, SYN | ACK, 500, 101)]
        (one,) = connections(crossing + answers)
        assert one.crossed
        assert one.from_start

    def test_ports_used_again(self) -> None:
        again = [segment(1, 2, SYN, 9000), segment(2, 1, SYN | ACK, 8000, 9001)]
        first, second = connections([*HANDSHAKE, segment(1, 2, ACK | PSH, 101, 501, 5), *again])
        assert (first.forward.isn, second.forward.isn) == (100, 9000)
        assert second.forward.sent == 0

    def test_ports_used_again_by_the_server(self) -> None:
        _, second = connections([*HANDSHAKE, segment(2, 1, SYN, 7000)])
        assert second.client.port == 2

    def test_a_retransmitted_syn_is_not_another_connection(self) -> None:
        assert len(connections([HANDSHAKE[0], HANDSHAKE[0], *HANDSHAKE[1:], HANDSHAKE[0]])) == 1

    def test_after_the_end_the_same_syn_begins_another(self) -> None:
        assert len(connections([*HANDSHAKE, segment(1, 2, RST, 101), HANDSHAKE[0]])) == 2

    def test_an_unanswered_syn_with_another_isn_is_another_attempt(self) -> None:
        assert len(connections([HANDSHAKE[0], segment(1, 2, SYN, 777)])) == 2


class TestPlaces:
    def test_retransmissions_and_reordering_do_not_move_places_back(self) -> None:
        data = [segment(1, 2, ACK, 101 + start, 501, 10) for start in (0, 20, 10, 0)]
        (one,) = connections([*HANDSHAKE, *data, segment(2, 1, ACK, 501, 131), segment(2, 1, ACK, 501, 111)])
        assert (one.forward.sent, one.forward.acked) == (30, 30)

    def test_a_fin_is_not_an_octet(self) -> None:
        last = [segment(1, 2, ACK | FIN, 101, 501, 5), segment(2, 1, ACK, 501, 107)]
        (one,) = connections([*HANDSHAKE, *last])
        assert (one.forward.sent, one.forward.fin, one.forward.acked, one.forward.finished) == (5, 5, 5, True)
        assert not one.closed
        (one,) = connections([*HANDSHAKE, *last, segment(2, 1, ACK | FIN, 501, 107), segment(1, 2, ACK, 107, 502)])
        assert one.closed

    def test_data_in_a_syn_counts_from_place_0(self) -> None:
        (one,) = connections([segment(1, 2, SYN, 100, 0, 6), segment(2, 1, SYN | ACK, 500, 107)])
        assert (one.forward.sent, one.forward.acked) == (6, 6)

    @given(isn=st.integers(0, 2**32 - 1), lengths=st.lists(st.integers(1, 2**31 - 100), max_size=30))
    def test_places_go_on_beyond_four_gigabytes(self, isn: int, lengths: list[int]) -> None:
        direction, other = Direction(), Direction()
        direction.observe(segment(1, 2, SYN, isn), other)
        place = 0
        for length in lengths:
            sent = segment(1, 2, ACK, isn + 1 + place, 1)._replace(length=20 + length)
            direction.observe(sent, other)
            place += length
            assert direction.sent == place
            other.observe(segment(2, 1, ACK, 1, isn + 1 + place), direction)
            assert direction.acked == place

    def test_the_window_is_scaled_where_both_sides_scale(self) -> None:
        for answer, expected in ((True, 512 << 7), (False, 65535)):
            talk = Conversation(1)
            transport = talk.transport()
            transport.syn()
            transport.emit("B", SYN | ACK, options=None if answer else b"")
            transport.emit("A", ACK)
            segments = []
            for number, (time_ns, frame) in enumerate(talk.frames(), 1):
                found = in_frame(frame, number, time_ns)
                segments.append(found)
            (one,) = connections(segments)
            assert one.forward.window == expected


def in_frame(frame: bytes, number: int, time_ns: int) -> Segment:
    """The segment in an Ethernet frame."""
    from tioption.capture.dissection import Dissection
    from tioption.capture.ethernet import ethernet
    from tioption.capture.undecoded import UndecodedCounter

    dissection = Dissection(UndecodedCounter())
    dissection.begin(number, time_ns, frame)
    ethernet(dissection, 0, len(frame), len(frame))
    (found,) = dissection.segments
    assert isinstance(found, Segment)
    return found


def built(talk: Conversation) -> list[Segment]:
    return [in_frame(frame, number, time_ns) for number, (time_ns, frame) in enumerate(talk.frames(), 1)]


@given(seed=st.integers(0, 1000), sizes=st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 2000)), max_size=10))
def test_places_are_those_of_the_builder(seed: int, sizes: list[tuple[str, int]]) -> None:
    talk = Conversation(seed)
    transport = talk.connect()
    for side, size in sizes:
        transport.send(side, size)  # type: ignore[arg-type]
    (one,) = connections(built(talk))
    streams = talk.streams
    assert (one.forward.sent, one.reverse.sent) == (len(streams["A"].octets), len(streams["B"].octets))
    assert (one.forward.acked, one.reverse.acked) == (streams["A"].received, streams["B"].received)
    transport.close()
    (one,) = connections(built(talk))
    assert one.closed


@given(st.data())
def test_interleaved_flows_are_taken_apart(data: st.DataObject) -> None:
    """Any merge of several conversations that keeps each one's order gives the same connections."""
    talks = [Conversation(seed) for seed in range(4)]
    for talk in talks:
        talk.connect().send("A", 100)
        talk.wait(MS)
    queues = [built(talk) for talk in talks]
    merged = []
    while any(queues):
        merged.append(data.draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    found = connections(merged)
    assert len(found) == 4
    assert {one.forward.sent for one in found} == {100}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_taken_in(name: str) -> None:
    talk = SCENARIOS[name].conversation(1)
    found = connections(built(talk))
    ports = {frozenset((one.sent.source, one.sent.destination)) for one in talk.observed}
    assert len(found) == len(ports) + (name == "res-12-wrong")  # which uses its ports again


def test_the_table_is_bounded_and_gives_up_the_silent() -> None:
    table = ConnectionTable(limit=10)
    kept = table.observe(segment(1, 2, SYN, 5))
    for port in range(100, 200):
        table.observe(segment(port, 2, SYN, 5))
        assert table.observe(segment(2, 1, ACK, 9, 6)) is kept
        assert len(table) < 20
    assert table.opened == 101
    assert len(table) + len(table.given_up) == 101
    assert sorted(one.index for one in table.given_up) == list(range(1, len(table.given_up) + 1))


def test_connections_on_the_same_ports_are_given_up_one_by_one() -> None:
    table = ConnectionTable(limit=3)
    for isn in range(7):
        assert table.observe(segment(1, 2, SYN, isn)).index == isn
        table.observe(segment(1, 2, RST, isn + 1))
    assert [one.index for one in table.given_up] == [0, 1, 2, 3]
