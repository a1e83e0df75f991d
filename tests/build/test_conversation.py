"""Conversations: what the builder does of itself is what the rules ask, and what it is told it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tioption.build.conversation import MS, Conversation, Observed, Sent
from tioption.build.packet import TcpHeader
from tioption.capture import Capture, Segment
from tioption.capture.segment import ACK, FIN, SYN
from tioption.layout import SYN_LAYOUTS
from tioption.option import FlowOption, Kinds, Variant, walk
from tioption.seq import SEQ32, SEQ48


def flows(observed: list[Observed], kinds: Kinds | None = None) -> list[FlowOption]:
    found = []
    for one in observed:
        walked = walk(one.sent.header.options, None, kinds or Kinds())
        found += [option.flow for option in walked if option.flow is not None]
    return found


def test_the_handshake_is_the_one_of_the_rules() -> None:
    talk = Conversation(4)
    talk.connect()
    syn, syn_ack, ack = flows(talk.observed)
    assert (syn.tifid.second, syn.tiack) == (0, 0)
    assert syn_ack.tifid.first == syn.tifid.first
    assert syn_ack.tifid.is_complete
    assert syn_ack.tiack == syn.tiseq
    assert (ack.tifid, ack.tiseq, ack.tiack) == (syn_ack.tifid, syn.tiseq, syn_ack.tiseq)


def test_the_specification_s_worked_example() -> None:
    """S0 of A 1d, of B 1f; 1000 and 500 bytes sent, 600 and 300 received."""
    talk = Conversation(4)
    talk.streams["A"].s0, talk.streams["B"].s0 = 0x1D, 0x1F
    first = talk.connect()
    first.send("A", 600)
    first.send("B", 300)
    first.send("A", 400, lost=True)
    first.send("B", 200, lost=True)
    before = len(talk.observed)
    second = talk.resume()
    positions = [(option.tiseq, option.tiack) for option in flows(talk.observed[before:])]
    assert positions == [(0x405, 0x14B), (0x14B, 0x275), (0x275, 0x14B)]
    sent = second.resend("A")
    assert (len(sent.payload), sent.header.seq) == (400, SEQ32.add(second.isn["A"], 1))
    sent = second.resend("B")
    assert (len(sent.payload), sent.header.seq) == (200, SEQ32.add(second.isn["B"], 1))


moves = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from("AB"), st.integers(1, 3000), st.booleans()),
        st.tuples(st.just("resume")),
        st.tuples(st.just("wait"), st.integers(1, 10**10)),
    ),
    max_size=12,
)


@given(seed=st.integers(0, 10**6), moves=moves, layout=st.sampled_from(sorted(SYN_LAYOUTS)))
def test_streams_arrive_exactly_whatever_is_lost(seed: int, moves: list[Any], layout: str) -> None:
    """Reassembled by anchors and positions alone, both streams are what was sent, over any number of transports."""
    talk = Conversation(seed, layout=(layout, "Linux"))
    transport = talk.connect()
    broken = False
    for move in moves:
        if move[0] == "wait":
            talk.wait(move[1])
        elif move[0] == "resume":
            transport = talk.resume()
            transport.resend("A")
            transport.resend("B")
            broken = False
        elif not broken:
            broken = move[3]
            transport.send(move[1], move[2], lost=move[3])
    if broken:
        transport = talk.resume()
        transport.resend("A")
        transport.resend("B")
    transport.close()
    assert reassembled(talk) == {side: bytes(stream.octets) for side, stream in talk.streams.items()}


def reassembled(talk: Conversation) -> dict[str, bytes]:
    """Both streams, read from what arrived: each transport's ISN+1 is the TIAck its peer sent in the handshake (R1)."""
    arrived: dict[str, dict[int, int]] = {"A": {}, "B": {}}
    anchors: dict[tuple[int, int], dict[str, tuple[int, int]]] = {}
    for observed in talk.observed:
        sent = observed.at_b if observed.sent.side == "A" else observed.at_a
        if sent is None:
            continue
        ports = (min(sent.source.port, sent.destination.port), max(sent.source.port, sent.destination.port))
        places = anchors.setdefault(ports, {})
        option = next(iter(flows([observed])), None)
        if option is not None and sent.header.flags & (SYN | ACK) != SYN:
            other = "B" if sent.side == "A" else "A"
            start = sent.header.ack if sent.header.flags & ACK else 0
            places[other] = (start, option.tiack)
        if sent.payload:
            isn, position = places[sent.side]
            base = SEQ48.difference(position, talk.streams[sent.side].s0) + SEQ32.difference(sent.header.seq, isn)
            arrived[sent.side].update({base + at: octet for at, octet in enumerate(sent.payload)})
    return {side: bytes(octets[at] for at in range(len(octets))) for side, octets in arrived.items()}


@pytest.mark.parametrize("system", SYN_LAYOUTS)
@pytest.mark.parametrize("variant", Variant)
def test_every_system_s_syn_has_room_for_the_option(system: str, variant: Variant, tmp_path: Path) -> None:
    talk = Conversation(1, layout=(system, system), variant=variant, kinds=Kinds(77, 78))
    talk.connect().close()
    talk.write(tmp_path / "x.pcap")
    with Capture(str(tmp_path / "x.pcap")) as capture:
        segments = [segment for segment in capture.segments() if isinstance(segment, Segment)]
    kinds = [[option.kind for option in segment.walk_options(Kinds(77, 78))] for segment in segments[:3]]
    assert all(options[-1] == (77 if variant is Variant.FLOW_D else 78) for options in kinds)
    assert {2, 3, 4} <= set(kinds[0])
    assert (8 in kinds[0]) is (system != "Windows")
    assert all(segment.walk_options(Kinds(77, 78))[-1].offset % 4 == 0 for segment in segments[:3])


def test_deviations_are_what_was_asked_for() -> None:
    talk = Conversation(1)
    talk.connect(syn=bytes(4), syn_ack=lambda option: option.replace(tiack=5), ack=None)
    assert [option.tiack for option in flows(talk.observed)] == [5]
    assert talk.observed[0].sent.header.options.endswith(bytes(4))


def test_a_path_changes_what_arrives_and_not_what_was_sent() -> None:
    talk = Conversation(1)

    def path(sent: Sent) -> Sent | None:
        return None if sent.header.flags & FIN else sent._replace(header=sent.header._replace(window=1))

    talk.path = path
    transport = talk.connect()
    transport.send("A", 10)
    transport.fin("A", acked=False)
    assert {observed.sent.header.window for observed in talk.observed} == {65535, 512}
    assert talk.observed[0].at_b is not None
    assert talk.observed[0].at_b.header.window == 1
    assert talk.observed[-1].at_b is None
    assert len(list(talk.frames("B"))) == len(list(talk.frames("A"))) - 1
    assert len(list(talk.frames())) == len(talk.observed)


def test_a_path_splits_what_was_sent_whole() -> None:
    talk = Conversation(1)

    def path(sent: Sent) -> list[Sent]:
        size = max(1, -(-len(sent.payload) // 3))
        return [sent._replace(payload=sent.payload[at : at + size]) for at in range(0, max(1, len(sent.payload)), size)]

    transport = talk.connect()
    before = len(talk.observed)
    talk.path = path
    transport.send("A", 10)
    *pieces, ack = talk.observed[before:]
    assert [len(piece.at_a.payload) if piece.at_a is not None else None for piece in pieces] == [10, None, None]
    assert [len(piece.arrived.payload) if piece.arrived is not None else None for piece in pieces] == [4, 4, 2]
    assert [len(piece.sent.payload) for piece in pieces] == [4, 4, 2]
    assert ack.sent.side == "B"
    talk.path = lambda _: []
    transport.send("A", 10)
    assert (talk.observed[-1].arrived, talk.streams["A"].received) == (None, 10)


def test_any_segment_can_be_emitted() -> None:
    talk = Conversation(1)
    sent = talk.transport().emit("B", FIN, seq=7, ack=9, payload=b"x", options=b"\x05\x02")
    assert sent.header == TcpHeader(7, 9, FIN, 512, b"\x05\x02\x01\x01")
    assert sent.payload == b"x"


def test_conversations_on_one_tape_are_one_capture() -> None:
    one = Conversation(1)
    one.connect()
    one.wait(MS)
    other = Conversation(tape=one.tape, a="2001:db8::5", b="2001:db8::6")
    other.connect()
    assert other.tifid != one.tifid
    assert len(list(one.frames())) == 6
    assert one.now == other.now
