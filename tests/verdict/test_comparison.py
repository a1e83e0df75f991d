"""Two captures of the same traffic: what a path did is found, and nothing is where it did nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.flow.test_connection import in_frame
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import Conversation, Observed, Sent, Side, Tape
from tioption.build.packet import NOP, Host
from tioption.build.scenarios.paper import broken, established
from tioption.capture.segment import ACK, SYN
from tioption.verdict.capture_point import CapturePoint
from tioption.verdict.comparison import Change, Comparison, compare
from tioption.verdict.outcome import Outcome, Verdict

OPTION = 20
SIDES: tuple[Side, Side] = ("A", "B")


def point(talk: Conversation, at: Literal["A", "B"], begin: int = 0) -> CapturePoint:
    """One host's capture, without its first `begin` frames."""
    seen = CapturePoint(talk.kinds)
    for number, (time_ns, frame) in enumerate(list(talk.frames(at))[begin:], 1):
        seen.observe(in_frame(frame, number, time_ns))
    return seen


def compared(talk: Conversation) -> list[Comparison]:
    return compare(point(talk, "A"), point(talk, "B"))


def outcomes(one: Comparison) -> tuple[Outcome, Outcome]:
    assert one.client is not None
    assert one.server is not None
    return one.client.judged.outcome, one.server.judged.outcome


def brief(change: Change) -> tuple[str, str | None, int | None, int | None]:
    return change.what, change.rule, change.client_frame, change.server_frame


def flow_option(sent: Sent) -> bool:
    return sent.header.options[-OPTION:][:2] in {b"\xfd\x14", b"\xfe\x14"}


def with_option(sent: Sent, change: Callable[[bytes], bytes]) -> Sent:
    """The segment after its flow option, which stands last, was changed."""
    options = sent.header.options
    octets = options[:-OPTION] + change(options[-OPTION:])
    return sent._replace(header=sent.header._replace(options=octets))


def on_option(flags: int, change: Callable[[bytes], bytes]) -> Callable[[Sent], Sent]:
    """A path that changes the option of the segments with these flags."""
    return lambda sent: with_option(sent, change) if sent.header.flags == flags and flow_option(sent) else sent


def see_otherwise(talk: Conversation, at_b: Callable[[Sent], Sent | None]) -> None:
    """Change what B's host sees after all has happened."""
    talk.tape.observed[:] = [
        one._replace(at_b=at_b(one.at_b)) if one.at_b is not None else one for one in talk.observed
    ]


# Scenarios.


@pytest.mark.parametrize("name", SCENARIOS)
def test_only_what_a_path_did_is_a_change(name: str) -> None:
    """Hosts may do what they like: unless a path did something, nothing is changed and nothing injected."""
    on_path = {
        "mbx-01-wrong": ["isn-rewritten"],
        "mbx-02-wrong": ["overwritten"],
        "mbx-03-wrong": ["split"],
        "mbx-05-wrong": ["altered"],
        "stripped-backward": ["stripped"],
    }
    talk = SCENARIOS[name].conversation(2)
    unchanged = all(
        one.sent[3:] == other[3:] for one in talk.observed for other in (one.at_a, one.at_b) if other is not None
    )
    found = [change.what for one in compared(talk) for change in one.changes]
    assert found == on_path.get(name, [])
    assert unchanged == (name not in on_path)


@pytest.mark.parametrize("name", ["established", "mbx-01-right", "mbx-02-right", "mbx-03-right", "mbx-05-right"])
def test_a_clean_path(name: str) -> None:
    (one,) = compared(SCENARIOS[name].conversation(3))
    assert (one.changes, one.lost) == ((), (0, 0))
    assert outcomes(one) == (Outcome(Verdict.ESTABLISHED, ""), Outcome(Verdict.ESTABLISHED, ""))


def test_the_isn_is_rewritten() -> None:
    talk = SCENARIOS["mbx-01-wrong"].conversation(3)
    (one,) = compared(talk)
    (change,) = one.changes
    assert brief(change) == ("isn-rewritten", "MBX-01", 1, 1)
    opening = talk.observed[0]
    assert opening.at_a is not None
    assert opening.at_b is not None
    assert (int(change.expected), int(change.found)) == (opening.at_a.header.seq, opening.at_b.header.seq)
    assert f"+{(int(change.found) - int(change.expected)) % 2**32}," in change.text
    assert one.lost == (0, 0)


def test_both_isns_are_rewritten_and_addresses_translated_without_an_option() -> None:
    """Nothing but the payload shows that these connections are one."""
    talk = Conversation(5)
    transport = talk.connect(syn=None, syn_ack=None, ack=None)
    transport.send("A", 100)
    transport.send("B", 200)
    shift = {"A": 0x12345678, "B": 0xFFFF0001}

    def otherwise(sent: Sent) -> Sent:
        peer: Side = "B" if sent.side == "A" else "A"
        header = sent.header._replace(seq=(sent.header.seq + shift[sent.side]) & 0xFFFFFFFF)
        if header.flags & ACK:
            header = header._replace(ack=(header.ack + shift[peer]) & 0xFFFFFFFF)
        return sent._replace(header=header)

    see_otherwise(talk, otherwise)
    translate(talk)
    (one,) = compared(talk)
    assert [change.what for change in one.changes] == ["translated", "isn-rewritten", "isn-rewritten"]
    assert one.lost == (0, 0)


def test_the_tiseq_is_altered_and_both_sides_fall_back() -> None:
    (one,) = compared(SCENARIOS["mbx-05-wrong"].conversation(2))
    (change,) = one.changes
    assert brief(change) == ("altered", "MBX-05", 1, 1)
    assert int(change.expected, 16) ^ int(change.found, 16) == 0x55
    assert outcomes(one) == (
        Outcome(Verdict.LEGACY, "wrong-option-in-synack"),
        Outcome(Verdict.LEGACY, "ack-without-option"),
    )


def test_losses_are_counted_by_direction_and_transport() -> None:
    first, second = compared(SCENARIOS["resume"].conversation(2))
    assert [(one.changes, one.lost) for one in (first, second)] == [((), (1, 1)), ((), (0, 0))]
    assert first.flow == second.flow
    assert outcomes(second)[0].verdict is Verdict.RESUMED


def test_a_transport_that_b_opens_is_told_by_its_times() -> None:
    talk = Conversation(4)
    broken(talk)
    lost_on_old = len(talk.observed)
    transport = talk.resume(by="B")
    transport.send("B", 10, lost=True)
    assert len(talk.observed) > lost_on_old
    _, second = compared(talk)
    assert (second.changes, second.lost) == ((), (0, 1))


# The option.


@pytest.mark.parametrize(
    ("flags", "believed"),
    [
        (SYN, ("established", "legacy")),
        (SYN | ACK, ("legacy", "established")),
        (ACK, ("established", "legacy")),
    ],
)
@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("stripped", lambda _: b""),
        ("overwritten", lambda _: NOP * OPTION),
        ("overwritten", lambda _: bytes(OPTION)),
        ("overwritten", lambda option: b"\0" + option[1:]),
    ],
)
def test_an_option_that_does_not_arrive(
    what: str, change: Callable[[bytes], bytes], flags: int, believed: tuple[str, str]
) -> None:
    talk = Conversation(6)
    talk.path = on_option(flags, change)
    established(talk)
    (one,) = compared(talk)
    (row,) = one.changes
    frame = {SYN: 1, SYN | ACK: 2, ACK: 3}[flags]
    assert brief(row) == (what, "MBX-02", frame, frame)
    assert f"the {({SYN: 'SYN', SYN | ACK: 'SYN-ACK', ACK: 'ACK'})[flags]} is {what}" in row.text
    assert one.flow is not None
    assert one.flow[1] == talk.tifid
    assert one.lost == (0, 0)
    verdicts = tuple(outcome.verdict.value for outcome in outcomes(one))
    if flags == ACK:  # the other cases have hosts that go on as if nothing had been changed
        assert verdicts == believed


@pytest.mark.parametrize(("at", "name"), [(2, "TIFID"), (7, "TIFID"), (8, "TISeq"), (19, "TIAck"), (0, "kind")])
@pytest.mark.parametrize("flags", [SYN, SYN | ACK, ACK])
def test_a_field_that_is_altered(at: int, name: str, flags: int) -> None:
    talk = Conversation(7)
    flip = 0xFD ^ 0xFE if at == 0 else 0x40
    talk.path = on_option(flags, lambda option: option[:at] + bytes((option[at] ^ flip,)) + option[at + 1 :])
    established(talk)
    (one,) = compared(talk)
    (row,) = one.changes
    assert (row.what, row.rule, row.text.split()[1]) == ("altered", "MBX-05", name)
    assert row.expected != row.found


def test_an_option_of_another_kind_is_altered() -> None:
    talk = Conversation(8)
    talk.path = on_option(SYN, lambda option: b"\x4d" + option[1:])
    established(talk)
    (row,) = compared(talk)[0].changes
    assert (row.what, row.rule, row.expected, row.found) == ("altered", "MBX-05", "253", "77")


def test_an_option_that_is_damaged_is_altered() -> None:
    talk = Conversation(8)
    talk.path = on_option(SYN, lambda option: option[:1] + b"\x12" + option[2:18] + NOP + NOP)
    established(talk)
    (row,) = compared(talk)[0].changes
    assert (row.what, row.rule) == ("altered", "MBX-05")


def test_an_option_that_a_path_puts_in() -> None:
    """A middlebox that sends the SYN's option back (LEG-07)."""
    talk = Conversation(9)
    option = b""

    def path(sent: Sent) -> Sent:
        nonlocal option
        header = sent.header
        if header.flags == SYN:
            option = header.options[-OPTION:]
        if header.flags == SYN | ACK:
            return sent._replace(header=header._replace(options=header.options + option))
        return sent

    talk.path = path
    talk.connect(syn_ack=None, ack=None)
    (one,) = compared(talk)
    (row,) = one.changes
    assert (row.what, row.rule, row.severity) == ("added", None, None)
    assert outcomes(one)[0].reason == "echo"


# Segments.


def split(talk: Conversation, pieces: tuple[int, ...], *, copies: int) -> None:
    """Third ACK with data that arrives in pieces, the first `copies` of which have the option."""
    transport = talk.transport()
    transport.syn()
    transport.syn_ack()
    data = bytes(range(sum(pieces)))
    talk.streams["A"].octets += data
    sent = transport.ack(payload=data)
    observed = talk.tape.observed
    whole = observed.pop()
    assert whole.at_b is not None
    arrived, at = whole.at_b, 0
    for number, size in enumerate(pieces):
        header = sent.header._replace(seq=(sent.header.seq + at) & 0xFFFFFFFF)
        if number >= copies:
            header = header._replace(options=header.options[:-OPTION])
        piece = arrived._replace(header=header, payload=data[at : at + size])
        observed.append(Observed(sent if number == 0 else None, piece, piece))
        at += size
    talk.streams["A"].received = transport.place["A"] = at
    talk.wait(talk.rtt)
    transport.close()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("copies", [1, 2, 3])
def test_a_segment_that_is_split(copies: int, seed: int) -> None:
    talk = Conversation(seed)
    split(talk, (5, 7, 1), copies=copies)
    (one,) = compared(talk)
    assert one.lost == (0, 0)
    found = [(brief(change), change.expected, change.found) for change in one.changes]
    assert found == ([(("split", "MBX-03", 3, 3), "1", str(copies))] if copies > 1 else [])


def test_a_split_segment_of_which_no_piece_has_the_option() -> None:
    talk = Conversation(1)
    split(talk, (5, 7), copies=0)
    assert [brief(change) for change in compared(talk)[0].changes] == [("stripped", "MBX-02", 3, 3)]


def test_segments_that_are_joined() -> None:
    talk = Conversation(1)
    split(talk, (5, 7), copies=2)
    whole, *pieces = (one for one in talk.observed if one.sent.payload)
    first, second = (one.at_b for one in (whole, *pieces))
    at = talk.observed.index(whole)
    talk.tape.observed[at : at + 2] = [whole._replace(at_a=first, at_b=whole.at_a), Observed(second, None, whole.sent)]
    (one,) = compared(talk)
    assert [brief(change) for change in one.changes] == [("joined", "MBX-03", 3, 3)]
    assert one.lost == (0, 0)


def test_the_order_of_the_files_does_not_turn_the_path_round() -> None:
    talk = Conversation(1)
    split(talk, (5, 7), copies=2)
    (one,) = compare(point(talk, "B"), point(talk, "A"))
    assert [brief(change) for change in one.changes] == [("split", "MBX-03", 3, 3)]


def test_data_divided_differently_is_neither_lost_nor_changed() -> None:
    """Offloading: a capture on a host has other segments than the wire."""
    talk = Conversation(2)
    transport = talk.connect()
    transport.send("A", 3000, acked=False)
    whole = talk.tape.observed.pop()
    assert whole.at_b is not None
    for at, size in ((0, 1400), (1400, 1400), (2800, 200)):
        header = whole.at_b.header._replace(seq=(whole.sent.header.seq + at) & 0xFFFFFFFF)
        piece = whole.at_b._replace(header=header, payload=whole.at_b.payload[at : at + size])
        talk.tape.observed.append(Observed(whole.at_a if at == 0 else None, piece, piece))
    (one,) = compared(talk)
    assert (one.changes, one.lost) == ((), (0, 0))


def test_a_retransmission_takes_no_loss_away() -> None:
    talk = Conversation(2)
    transport = talk.connect()
    transport.send("A", 500, lost=True)
    transport.send("B", 5)
    transport.resend("A", lost=True)
    transport.resend("A")
    (one,) = compared(talk)
    assert (one.changes, one.lost) == ((), (2, 0))


def test_a_segment_that_the_path_put_in() -> None:
    talk = Conversation(2)
    transport = talk.connect()
    transport.send("A", 10)
    transport.reset("B")
    observed = talk.tape.observed
    observed[-1] = observed[-1]._replace(at_b=None)
    (one,) = compared(talk)
    (row,) = one.changes
    assert (row.what, row.rule, row.server_frame, row.expected, row.found) == ("injected", None, None, "0", "1")
    assert row.text.endswith("the first: RST")
    assert one.lost == (0, 0)


def test_a_payload_that_is_altered() -> None:
    talk = Conversation(2)
    talk.path = lambda sent: sent._replace(payload=sent.payload.upper())
    transport = talk.connect()
    transport.send("A", b"port 10,0,0,1")
    (one,) = compared(talk)
    assert [(row.what, row.rule, row.client_frame) for row in one.changes] == [("payload-altered", None, 4)]


def test_flags_that_routers_set_are_no_change() -> None:
    talk = Conversation(2)
    talk.path = lambda sent: sent._replace(header=sent.header._replace(flags=sent.header.flags | 0x40))
    established(talk)
    assert [(one.changes, one.lost) for one in compared(talk)] == [((), (0, 0))]


# Connections.


def translate(talk: Conversation, port: int = 61001) -> None:
    """A network address translator: B's host sees another client in both directions."""
    outside = Host("203.0.113.9", 0, bytes.fromhex("02000000000c"))

    def otherwise(sent: Sent) -> Sent:
        inside = sent.source if sent.side == "A" else sent.destination
        there = outside._replace(port=(inside.port + port) % 65536)
        return sent._replace(source=there) if sent.side == "A" else sent._replace(destination=there)

    see_otherwise(talk, otherwise)


@pytest.mark.parametrize("name", ["established", "legacy-initiator", "resume", "resume-twice", "stripped-backward"])
def test_translated_addresses(name: str) -> None:
    plain, talk = SCENARIOS[name].conversation(3), SCENARIOS[name].conversation(3)
    translate(talk)
    before, after = compared(plain), compared(talk)
    assert [one.lost for one in after] == [one.lost for one in before]
    for one, other in zip(before, after, strict=True):
        row, *rest = other.changes
        assert rest == list(one.changes)
        assert (row.what, row.rule, row.severity) == ("translated", None, None)
        assert row.expected.startswith("192.0.2.1:")
        assert row.found.startswith("203.0.113.9:")


def test_a_translated_connection_among_many_is_found_by_its_name() -> None:
    tape = Tape(1)
    talks = [Conversation(a=f"192.0.2.{number}", tape=tape) for number in range(1, 6)]
    for talk in talks:
        established(talk)
    translate(talks[0])
    found = compared(talks[0])
    assert [one.flow[1] for one in found if one.flow is not None] == [talk.tifid for talk in talks]
    assert all([change.what for change in one.changes] == ["translated"] for one in found)


def test_an_attempt_that_never_arrives_does_not_shift_the_others() -> None:
    """The second transport's SYN is lost, so that the third at one point is the second at the other."""
    talk = Conversation(5)
    broken(talk)
    talk.path = lambda _: None
    attempt = talk.transport()
    attempt.resuming = True
    attempt.syn()
    talk.path = lambda sent: sent
    third = talk.resume()
    third.resend("A")
    translate(talk)
    found = compared(talk)
    assert [one.lost for one in found] == [(1, 1), (1, 0), (0, 0)]
    assert [one.server is None for one in found] == [False, True, False]


def test_a_connection_that_one_point_alone_has_seen() -> None:
    talk = Conversation(5)
    first = talk.connect()
    first.send("A", 10)
    stranger = Conversation(a="192.0.2.50", tape=talk.tape)
    begin = len(talk.observed)
    stranger.transport().syn()
    talk.observed[begin] = talk.observed[begin]._replace(at_b=None)
    other_way = talk.resume(by="B")
    other_way.send("B", 3)
    talk.observed[begin + 1 :] = [one._replace(at_a=None) for one in talk.observed[begin + 1 :]]
    here, lost, there = compared(talk)
    assert (here.changes, here.lost) == ((), (0, 0))
    assert (lost.server, lost.lost) == (None, (1, 0))
    assert (there.client, there.changes) == (None, ())
    assert there.lost == (0, 3)


def test_captures_that_begin_in_the_middle() -> None:
    talk = Conversation(5)
    transport = talk.connect()
    for side in SIDES * 2:
        talk.wait(talk.rtt)
        transport.send(side, 100, acked=False)
    (one,) = compare(point(talk, "A", 3), point(talk, "B", 4))
    assert one.changes == ()
    assert one.lost == (1, 0)


def test_a_host_that_speaks_with_itself_on_one_port() -> None:
    """A forged segment with equal ends has no direction, and is matched all the same."""
    talk = Conversation(1)
    talk.transport(client=talk.b).syn()
    assert [(one.changes, one.lost) for one in compared(talk)] == [((), (0, 0))]


def test_empty_captures() -> None:
    assert compared(Conversation(1)) == []
    talk = Conversation(1)
    established(talk)
    (one,) = compare(point(talk, "A"), CapturePoint())
    assert (one.server, one.changes) == (None, ())


@given(
    seed=st.integers(0, 1000),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.sampled_from("AB"), st.integers(0, 2000)),
            st.tuples(st.just("resume"), st.sampled_from("AB"), st.just(0)),
            st.tuples(st.just("resend"), st.sampled_from("AB"), st.just(0)),
        ),
        max_size=12,
    ),
    offered=st.booleans(),
)
def test_a_path_that_does_nothing_changes_nothing(seed: int, steps: list[tuple[str, Side, int]], offered: bool) -> None:
    talk = Conversation(seed)
    transport = talk.connect() if offered else talk.connect(syn=None, syn_ack=None, ack=None)
    for step, side, size in steps:
        if step == "send":
            transport.send(side, size)
        elif step == "resend":
            transport.resend(side)
        elif offered:
            transport = talk.resume(by=side)
    transport.close()
    for one in compared(talk):
        assert (one.changes, one.lost) == ((), (0, 0))
        assert outcomes(one)[0] == outcomes(one)[1]
    same = compare(point(talk, "A"), point(talk, "A"))
    assert all((one.changes, one.lost) == ((), (0, 0)) for one in same)


@given(seed=st.integers(0, 1000), lost=st.lists(st.tuples(st.sampled_from("AB"), st.booleans()), max_size=12))
def test_losses_are_all_counted(seed: int, lost: list[tuple[Side, bool]]) -> None:
    talk = Conversation(seed)
    transport = talk.connect()
    for side, gone in lost:
        transport.send(side, 50, lost=gone, acked=False)
    (one,) = compared(talk)
    assert one.changes == ()
    assert one.lost == tuple(sum(gone for side, gone in lost if side == sender) for sender in SIDES)
