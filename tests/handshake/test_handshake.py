"""Handshakes: every scenario as an observer sees it, and two hosts over a path that does what paths do."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.flow.test_connection import built
from tioption.build.catalogue import SCENARIOS
from tioption.capture import Segment
from tioption.flow import Connection, ConnectionTable
from tioption.handshake import TABLE, Event, Handshake, HandshakeSegment, State
from tioption.option import FlowOption, Tifid, Variant, counted_option
from tioption.verdict.validator import handshake_segment

# The rules that one handshake alone can show, by the table or by its differences.
HANDSHAKE_RULES = {rule for row in TABLE.values() for _, rule in row.values() if rule is not None}
HANDSHAKE_RULES |= {"EST-04", "EST-05", "RES-01", "MAP-04"}


def view(connection: Connection, segment: Segment) -> HandshakeSegment:
    flows = [option for option in segment.walk_options() if option.flow is not None]
    return handshake_segment(connection, segment, counted_option(flows))


def observed(segments: list[Segment]) -> tuple[set[tuple[str, int]], dict[int, Handshake]]:
    """The rules broken by frame, and each connection's handshake at the end."""
    table = ConnectionTable()
    handshakes: dict[int, Handshake] = {}
    found = set()
    for segment in segments:
        connection = table.observe(segment)
        handshake = handshakes.setdefault(connection.index, Handshake())
        observation = handshake.observe(view(connection, segment))
        rules = {difference.rule for difference in observation.differences if difference.rule != "EST-09"}
        if observation.rule is not None:
            rules.add(observation.rule)
        # Where the table names a rule, the differences are its particulars.
        if observation.rule in {"EST-06", "EST-07", "EST-10", "EST-14", "LEG-01", "LEG-07", "RES-06", "RES-13"}:
            rules = {observation.rule}
        found |= {(rule, segment.frame) for rule in rules}
    return found, handshakes


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_break_what_they_say_and_nothing_else(name: str) -> None:
    talk = SCENARIOS[name].conversation(2)
    found, _ = observed(built(talk))
    expected = {(rule, frame) for rule, frame in talk.expected if rule in HANDSHAKE_RULES}
    assert found == expected


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("trace1", [State.LEGACY]),
        ("trace2", [State.SETTLED]),
        ("legacy-initiator", [State.LEGACY]),
        ("stripped-backward", [State.LEGACY]),
        ("resume", [State.SETTLED, State.SETTLED]),
        ("resume-twice", [State.SETTLED, State.SETTLED, State.SETTLED]),
        ("flow-c", [State.SETTLED]),
        ("est-12-wrong", [State.UNCONFIRMED]),
        ("leg-03-wrong", [State.LEGACY]),
        ("leg-07-wrong", [State.LEGACY]),
        ("leg-08-wrong", [State.CLOSED]),
        ("res-01-wrong", [State.SETTLED, State.FAILED]),
        ("res-06-right", [State.SETTLED, State.FAILED]),
        ("res-08-wrong", [State.SETTLED, State.FAILED]),
        ("est-14-right", [State.CROSSED]),
    ],
)
def test_where_scenarios_end(name: str, states: list[State]) -> None:
    _, handshakes = observed(built(SCENARIOS[name].conversation(2)))
    assert [handshake.state for handshake in handshakes.values()] == states


def test_differences_name_the_value_what_was_expected_and_what_was_found() -> None:
    handshake = Handshake()
    offer = FlowOption(Variant.FLOW_D, Tifid(0x0A4530000000), 0x1D, 0)
    handshake.observe(HandshakeSegment(opener=True, syn=True, ack=False, rst=False, seq=1, option=offer))
    answer = FlowOption(Variant.FLOW_D, Tifid(0x0B4530BE79BF), 0x1F, 0x1E)
    observation = handshake.observe(HandshakeSegment(opener=False, syn=True, ack=True, rst=False, seq=2, option=answer))
    assert observation.event is Event.ANSWER_WRONG
    assert [tuple(difference) for difference in observation.differences] == [
        ("EST-04", "tifid.first", "0a4530", "0b4530"),
        ("EST-05", "tiack", "00000000001d", "00000000001e"),
    ]


def test_nothing_is_ruled_before_there_is_something_to_answer() -> None:
    with pytest.raises(ValueError, match="expected an offer"):
        Handshake().ruled_answer(1, 2)
    with pytest.raises(ValueError, match="expected an answer"):
        Handshake().ruled_confirmation()


class Fate(NamedTuple):
    """What a path does to one segment: how often it arrives, and with what in place of its option."""

    copies: int
    option: str


fates = st.builds(Fate, st.sampled_from([0, 1, 1, 1, 2]), st.sampled_from(["keep", "keep", "keep", "strip", "echo"]))


class Host:
    """A host that keeps the rules: its own handshake, fed by what it sends and what it receives."""

    def __init__(self) -> None:
        self.handshake = Handshake()
        self.heard: FlowOption | None = None

    def takes(self, segment: HandshakeSegment) -> None:
        self.heard = segment.option
        self.handshake.observe(segment)


@given(
    resumes=st.booleans(),
    path=st.tuples(*[st.lists(fates, min_size=1, max_size=4) for _ in range(3)]),
)
def test_two_hosts_agree_or_are_both_legacy_whatever_the_path_does(
    resumes: bool, path: tuple[list[Fate], list[Fate], list[Fate]]
) -> None:
    """Each of the three segments is sent until it arrives, or given up; then B speaks.

    They may differ only where the third segment is what was lost or stripped: A confirmed, B does not know (EST-12,
    LEG-03, RES-08), which B's first segment cannot tell A either.
    """
    a, b = Host(), Host()
    offer = FlowOption(
        Variant.FLOW_D, Tifid(0x0A4530BE79BF if resumes else 0x0A4530000000), 0x405, 0x14B if resumes else 0
    )
    position = 0x275

    def carry(segment: HandshakeSegment, fates: list[Fate], sender: Host, receiver: Host) -> bool:
        """Send and send again until it has arrived at least once."""
        for fate in fates:
            sender.handshake.observe(segment)
            option = segment.option
            if fate.option == "strip":
                option = None
            elif fate.option == "echo" and option is not None:
                option = sender.heard or option
            for _ in range(fate.copies):
                receiver.takes(segment._replace(option=option))
            if fate.copies:
                return True
        return False

    syn = HandshakeSegment(opener=True, syn=True, ack=False, rst=False, seq=100, option=offer)
    if not carry(syn, path[0], a, b):
        return
    asked = b.handshake.state in {State.OFFERED, State.RESUMING}
    answer = b.handshake.ruled_answer(0xBE79BF, 0x1F, position) if asked else None
    syn_ack = HandshakeSegment(opener=False, syn=True, ack=True, rst=False, seq=500, option=answer)
    if not carry(syn_ack, path[1], b, a):
        return
    if a.handshake.state is State.REFUSED:  # RES-06: no data, a reset, an error for the application
        reset = HandshakeSegment(opener=True, syn=False, ack=True, rst=True, seq=101)
        assert a.handshake.observe(reset).state is State.FAILED
        return
    proven = a.handshake.state in {State.ANSWERED, State.RESUME_ANSWERED}
    confirmation = a.handshake.ruled_confirmation() if proven else None
    ack = HandshakeSegment(opener=True, syn=False, ack=True, rst=False, seq=101, option=confirmation)
    a.handshake.observe(ack)
    arrived = next((fate for fate in path[2] if fate.copies), None)
    if arrived is not None:
        option = None if arrived.option != "keep" else confirmation
        b.takes(ack._replace(option=option))
    a_has, b_has = a.handshake.state is State.CONFIRMED, b.handshake.state is State.CONFIRMED
    if b_has:
        assert a_has  # B never believes in a flow that A does not
    if a_has and not b_has:
        assert arrived is None or arrived.option != "keep"
    if not a_has:
        assert a.handshake.state is State.LEGACY
        assert (
            b.handshake.state in {State.LEGACY, State.PLAIN, State.DECLINED, State.ANSWERED, State.UNPROVEN} or resumes
        )


segments = st.builds(
    HandshakeSegment,
    opener=st.booleans(),
    syn=st.booleans(),
    ack=st.booleans(),
    rst=st.booleans(),
    seq=st.integers(0, 3),
    payload_length=st.integers(0, 1),
    option=st.one_of(
        st.none(),
        st.builds(
            FlowOption,
            st.sampled_from(Variant),
            st.builds(Tifid.from_halves, st.integers(1, 2), st.integers(0, 2)),
            st.integers(0, 2),
            st.integers(0, 2),
        ),
    ),
)


@given(st.lists(segments, max_size=12))
def test_any_segments_in_any_order_are_taken(sequence: list[HandshakeSegment]) -> None:
    """No sequence of segments raises, and each event is one the table knows from the state before it."""
    handshake = Handshake()
    for segment in sequence:
        before = handshake.state
        observation = handshake.observe(segment)
        assert observation.state is handshake.state
        if observation.event is None:
            assert observation.state is before
        else:
            assert TABLE[before][observation.event].state is observation.state
