"""Following: over breaks and resumes the stream is what its sender wrote, and what a capture lacks is said."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.flow.test_connection import built, in_frame
from tests.flow.test_stream import Output, joined
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import MS, Conversation, Side
from tioption.capture import Segment
from tioption.capture.segment import FIN, SYN
from tioption.flow import FlowKey, Gap
from tioption.option import Variant
from tioption.seq import SEQ48
from tioption.verdict.follower import FlowFollower


def followed(talk: Conversation, side: Side = "A", segments: Iterable[Segment] | None = None) -> Output:
    """What comes out of following one stream of a conversation, by default through all its segments."""
    return follow(talk, side, segments)[0]


def follow(
    talk: Conversation, side: Side = "A", segments: Iterable[Segment] | None = None
) -> tuple[Output, FlowFollower]:
    follower = FlowFollower(FlowKey(talk.variant, talk.tifid), opener=side == "A", kinds=talk.kinds)
    segments = built(talk) if segments is None else segments
    output = [one for segment in segments for one in follower.observe(segment)]
    return joined([*output, *follower.finish()]), follower


def whole(talk: Conversation, side: Side = "A") -> Output:
    octets = bytes(talk.streams[side].octets)
    return [octets] if octets else []


def broken_and_resumed(seed: int = 1) -> Conversation:
    """A sends 1000 octets of which B gets 600; they go on on a second transport, and both close."""
    talk = Conversation(seed)
    first = talk.connect()
    first.send("A", 600)
    first.send("B", 300)
    first.send("A", 400, lost=True)
    first.send("B", 200, lost=True)
    talk.wait(5000 * MS)
    second = talk.resume()
    second.resend("A")
    second.resend("B")
    second.send("A", 50)
    second.close()
    return talk


@pytest.mark.parametrize("side", ["A", "B"])
def test_a_flow_over_two_transports(side: Side) -> None:
    talk = broken_and_resumed()
    output, follower = follow(talk, side)
    assert output == whole(talk, side)
    assert len(follower.transports) == 2
    assert follower.from_start
    assert follower.origin == talk.streams[side].s0
    assert follower.position(600) == SEQ48.add(talk.streams[side].s0, 600)


@pytest.mark.parametrize("at", ["A", "B", "path"])
def test_wherever_it_was_captured(at: Literal["A", "B", "path"]) -> None:
    talk = broken_and_resumed()
    segments = [in_frame(frame, number, time) for number, (time, frame) in enumerate(talk.frames(at), 1)]
    assert [followed(talk, side, segments) for side in ("A", "B")] == [whole(talk, "A"), whole(talk, "B")]


Move = tuple[Side, int, bool, bool]
moves = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(1, 300), st.booleans(), st.booleans()), min_size=1, max_size=8
)


def happened(seed: int, start: int, what: list[Move]) -> Conversation:
    """A conversation in which each move sends some octets; lost ones break the transport and the flow is resumed."""
    talk = Conversation(seed)
    talk.streams["A"].s0, talk.streams["B"].s0 = start, start - 5
    transport = talk.connect()
    for side, size, lost, acked in what:
        transport.send(side, size, lost=lost, acked=acked)
        if lost:
            talk.wait(MS)
            transport = talk.resume()
            transport.resend("A")
            transport.resend("B")
    transport.close()
    return talk


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    start=st.sampled_from([5, (1 << 32) - 1000, (1 << 47) - 1000, (1 << 48) - 1000]),
    what=moves,
    copies=st.lists(st.integers(0, 200), max_size=10),
    shuffle=st.randoms(use_true_random=False),
)
def test_the_stream_is_what_was_sent(
    seed: int, start: int, what: list[Move], copies: list[int], shuffle: Random
) -> None:
    """Over breaks and resumes, with frames captured twice and out of order."""
    talk = happened(seed, start, what)
    segments = built(talk)
    for copy in copies:
        if copy < len(segments) and not segments[copy].flags & SYN:
            segments.insert(shuffle.randrange(copy, len(segments)), segments[copy])
    segments = disordered(segments, shuffle)
    for side in ("A", "B"):
        assert followed(talk, side, segments) == whole(talk, side)


def disordered(segments: list[Segment], shuffle: Random) -> list[Segment]:
    """Data comes in another order, but no data before its handshake and no handshake before the data it follows."""
    result: list[Segment] = []
    run: list[Segment] = []
    for segment in segments:
        plain = not segment.flags & SYN and segment.payload_length and segment.header_length < 40
        if plain:
            run.append(segment)
            continue
        shuffle.shuffle(run)
        result += [*run, segment]
        run = []
    return result + run


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), what=moves, lost=st.sets(st.integers(0, 80)))
def test_what_the_capture_lacks_is_a_gap_and_all_else_is_there(seed: int, what: list[Move], lost: set[int]) -> None:
    talk = happened(seed, 1 << 40, what)
    seen = [one for one in built(talk) if one.frame not in lost or not one.payload_length]
    for side in ("A", "B"):
        octets = bytes(talk.streams[side].octets)
        output = followed(talk, side, seen)
        place = 0
        for one in output:
            if isinstance(one, bytes):
                assert one == octets[place : place + len(one)]
                place += len(one)
            else:
                assert (one.place, one.cut) == (place, False)
                place += one.octets
        assert place == len(octets)
        assert lost or not any(isinstance(one, Gap) for one in output)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), what=moves, snapshot=st.integers(94, 400))
def test_a_snapshot_length_cuts_segments_and_nothing_else(seed: int, what: list[Move], snapshot: int) -> None:
    talk = happened(seed, 1 << 40, what)
    cut = [one._replace(data=one.data[:snapshot], end=min(one.end, snapshot)) for one in built(talk)]
    for side in ("A", "B"):
        octets = bytes(talk.streams[side].octets)
        place = 0
        for one in followed(talk, side, cut):
            if isinstance(one, bytes):
                assert one == octets[place : place + len(one)]
                place += len(one)
            else:
                assert one.cut
                place += one.octets
        assert place == len(octets)


def test_a_lost_third_ack_of_a_resume() -> None:
    """The server's own expectation anchors the client's stream (MAP-03)."""
    talk = broken_and_resumed()
    third = [one for one in built(talk) if one.walk_options() and one.header_length > 40 and not one.flags & SYN][-1]
    segments = [one for one in built(talk) if one.frame != third.frame]
    assert len(segments) == len(built(talk)) - 1
    for side in ("A", "B"):
        assert followed(talk, side, segments) == whole(talk, side)


@pytest.mark.parametrize("missing", ["syn", "syn-ack", "third ack"])
@pytest.mark.parametrize("transport", [0, 1])
def test_a_handshake_that_was_captured_in_part(missing: str, transport: int) -> None:
    talk = broken_and_resumed()
    carriers = [one for one in built(talk) if any(option.flow for option in one.walk_options())]
    frame = carriers[3 * transport + ["syn", "syn-ack", "third ack"].index(missing)].frame
    segments = [one for one in built(talk) if one.frame != frame]
    for side in ("A", "B"):
        output, follower = follow(talk, side, segments)
        assert output == whole(talk, side)
        assert follower.from_start == (missing != "syn" or transport == 1)


def test_a_server_that_speaks_first_after_a_third_ack_that_was_not_captured() -> None:
    talk = Conversation(4)
    transport = talk.connect()
    transport.send("B", b"220 welcome", acked=False)
    transport.send("A", b"hello")
    segments = [one for one in built(talk) if one.frame != 3]
    assert followed(talk, "B", segments) == [b"220 welcome"]
    assert followed(talk, "A", segments) == [b"hello"]


def test_the_other_reading_of_resumption_is_trimmed() -> None:
    """R2: the resuming host begins at its own oldest unacknowledged octet, and its peer trims (MAP-04, MAP-05)."""
    talk = Conversation(5)
    first = talk.connect()
    first.send("A", b"abcdefghij", acked=False)
    stream = talk.streams["A"]
    second = talk.transport(resuming=True)
    second.syn()
    second.syn_ack()
    second.ack(option=lambda option: option.replace(tiseq=stream.s0))
    second.anchor["A"] = 0
    second.place["A"] = 0
    second.emit("A", 0x18, seq=second.seq("A", 0), payload=b"abcdefghijklm")
    assert followed(talk) == [b"abcdefghijklm"]
    later = [one for one in built(talk) if one.frame != 4]  # without the first copy of the octets
    assert followed(talk, "A", later) == [b"abcdefghijklm"]


def test_a_capture_that_begins_with_the_resume() -> None:
    talk = broken_and_resumed()
    begin = next(one.frame for one in built(talk) if one.flags & SYN and one.frame > 3)
    output, follower = follow(talk, "A", [one for one in built(talk) if one.frame >= begin])
    assert output == [bytes(talk.streams["A"].octets[600:])]
    assert not follower.from_start
    assert follower.position(0) == SEQ48.add(talk.streams["A"].s0, 600)


def test_octets_that_were_lost_before_the_capture_and_after_are_told_apart() -> None:
    talk = broken_and_resumed()
    data = [one.frame for one in built(talk) if one.payload_length == 600]
    segments = [one for one in built(talk) if one.frame not in data]
    octets = bytes(talk.streams["A"].octets)
    assert followed(talk, "A", segments) == [Gap(0, 600, False), octets[600:]]


def test_a_flow_c_flow_and_other_kinds() -> None:
    talk = Conversation(6, variant=Variant.FLOW_C)
    talk.connect().send("A", b"control")
    assert followed(talk) == [b"control"]
    follower = FlowFollower(FlowKey(Variant.FLOW_D, talk.tifid))
    assert [one for segment in built(talk) for one in follower.observe(segment)] == []
    assert list(follower.names) == [FlowKey(Variant.FLOW_C, talk.tifid)]


def test_a_flow_resumed_by_the_host_that_had_answered() -> None:
    talk = Conversation(7)
    first = talk.connect()
    first.send("A", 100)
    first.send("B", 200)
    second = talk.resume(by="B")
    second.send("A", 30)
    second.send("B", 40)
    for side in ("A", "B"):
        assert followed(talk, side) == whole(talk, side)


def test_a_resume_that_fails_carries_nothing() -> None:
    talk = Conversation(8)
    first = talk.connect()
    first.send("A", b"abc")
    failed = talk.transport(resuming=True)
    failed.syn()
    failed.syn_ack(option=None)
    failed.emit("A", 0x18, payload=b"evil")
    assert followed(talk) == [b"abc"]


def test_another_flow_of_the_same_name_is_left_out() -> None:
    talk = Conversation(9)
    first = talk.connect()
    first.send("A", b"abc")
    first.close()
    frames = len(talk.observed)
    again = Conversation(10, tape=talk.tape)
    again.tifid = talk.tifid
    again.connect().send("A", b"other")
    output, follower = follow(talk)
    assert output == [b"abc"]
    assert follower.used_again == frames + 3


def test_a_capture_given_twice_is_followed_once() -> None:
    talk = broken_and_resumed()
    output, follower = follow(talk, "A", built(talk) * 2)
    assert output == whole(talk)
    assert follower.used_again is None


def test_a_stray_segment_far_outside_the_window_is_no_gap() -> None:
    talk = Conversation(11)
    transport = talk.connect()
    transport.send("A", b"abc")
    transport.emit("A", 0x18, seq=(transport.seq("A") + (1 << 29)) & 0xFFFFFFFF, payload=b"guess")
    transport.send("A", b"def")
    output, follower = follow(talk)
    assert (output, follower.left_out) == ([b"abcdef"], 5)


def test_a_fin_says_where_the_stream_ended() -> None:
    talk = Conversation(12)
    transport = talk.connect()
    transport.send("A", 10)
    transport.send("A", 20, acked=False)
    transport.fin("A", acked=False)
    fin = next(one for one in built(talk) if one.flags & FIN)
    segments = [one for one in built(talk) if one.payload_length != 20]
    assert fin in segments
    assert followed(talk, "A", segments)[-1] == Gap(10, 20, False)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_no_scenario_breaks_it(scenario: object) -> None:
    talk = scenario.conversation()  # type: ignore[attr-defined]
    for side in ("A", "B"):
        follow(talk, side)
