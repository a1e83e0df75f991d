"""Both sides of a handshake: playbooks first, then two engines over a path that does what paths do."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tioption.handshake import (
    Answerer,
    CloseBeforeData,
    Effect,
    Established,
    FellBack,
    Flow,
    FlowName,
    FlowRegistry,
    Handle,
    HandshakeSegment,
    KeyedAnswers,
    Limits,
    Opener,
    PathMemory,
    RandomAnswers,
    Resumed,
    ResumeFailed,
    SendAck,
    SendReset,
    SendSyn,
    SendSynAck,
    Unconfirmed,
)
from tioption.handshake.registry import SECOND
from tioption.option import FlowOption, Tifid, Variant

HANDLE = Handle(b"\1\2\3\4\5\6\7\0\x01\xbb\x90\x01", 100)
NAME = FlowName(Variant.FLOW_D, Tifid(0x0A4530BE79BF))


def opener(registry: FlowRegistry | None = None, variant: Variant = Variant.FLOW_D, seed: int = 1) -> Opener:
    return Opener(registry or FlowRegistry(), Random(seed).getrandbits, variant)


def answerer(registry: FlowRegistry | None = None, *, enabled: bool = True) -> Answerer:
    return Answerer(registry or FlowRegistry(), RandomAnswers(Random(2).getrandbits), enabled=enabled)


def syn(option: FlowOption | None, seq: int = 100) -> HandshakeSegment:
    return HandshakeSegment(opener=True, syn=True, ack=False, rst=False, seq=seq, option=option)


def syn_ack(option: FlowOption | None, seq: int = 500) -> HandshakeSegment:
    return HandshakeSegment(opener=False, syn=True, ack=True, rst=False, seq=seq, option=option)


def ack(option: FlowOption | None, payload: int = 0) -> HandshakeSegment:
    return HandshakeSegment(opener=True, syn=False, ack=True, rst=False, seq=101, payload_length=payload, option=option)


def rst(*, from_opener: bool) -> HandshakeSegment:
    return HandshakeSegment(opener=from_opener, syn=False, ack=True, rst=True, seq=1)


def sent(effects: list[Effect]) -> FlowOption | None:
    """The option of the one segment among the effects."""
    (option,) = (one.option for one in effects if isinstance(one, SendSyn | SendSynAck | SendAck))
    return option


class TestPlaybooks:
    def test_a_new_flow(self) -> None:
        a, b = opener(), answerer()
        offer = sent(a.open(100, 0))
        answer = sent(b.received(syn(offer), HANDLE, 500, 0))
        effects = a.received(syn_ack(answer), 0)
        assert offer is not None
        assert answer is not None
        (_, established) = effects
        assert isinstance(established, Established)
        assert (established.flow.nxt, established.flow.rcv) == (offer.tiseq, answer.tiseq)
        (kept,) = b.received(ack(sent(effects)), HANDLE, 500, 0)
        assert isinstance(kept, Established)
        assert kept.flow.name == established.flow.name
        assert (kept.flow.nxt, kept.flow.rcv) == (answer.tiseq, offer.tiseq)
        assert (established.flow.opened, kept.flow.opened) == (True, False)

    def test_a_legacy_answerer(self) -> None:
        a = opener()
        a.open(100, 0)
        assert a.received(syn_ack(None), 0) == [SendAck(None), FellBack("declined")]

    def test_a_legacy_opener(self) -> None:
        b = answerer()
        assert b.received(syn(None), HANDLE, 500, 0) == [SendSynAck(None)]
        assert b.received(ack(None), HANDLE, 500, 0) == [FellBack("legacy")]

    def test_an_answerer_that_is_switched_off(self) -> None:
        b = answerer(enabled=False)
        assert b.received(syn(sent(opener().open(100, 0))), HANDLE, 500, 0) == [SendSynAck(None)]

    def test_control_bytes_never_reach_a_legacy_host(self) -> None:
        a = opener(variant=Variant.FLOW_C)
        offer = sent(a.open(100, 0))
        assert a.received(syn_ack(None), 0) == [SendAck(None), FellBack("declined"), CloseBeforeData()]
        b = answerer()
        b.received(syn(offer), HANDLE, 500, 0)
        assert b.received(ack(None), HANDLE, 500, 0) == [FellBack("legacy"), CloseBeforeData()]

    def test_an_echo_is_not_support(self) -> None:
        a = opener()
        offer = sent(a.open(100, 0))
        assert a.received(syn_ack(offer), 0) == [SendAck(None), FellBack("echoed")]

    def test_a_wrong_answer_is_none(self) -> None:
        a, b = opener(), answerer()
        answer = sent(b.received(syn(sent(a.open(100, 0))), HANDLE, 500, 0))
        assert answer is not None
        assert a.received(syn_ack(answer.replace(tiack=answer.tiack ^ 1)), 0) == [
            SendAck(None),
            FellBack("misanswered"),
        ]

    def test_a_wrong_confirmation_makes_the_answerer_fall_back(self) -> None:
        a, b = opener(), answerer()
        answer = sent(b.received(syn(sent(a.open(100, 0))), HANDLE, 500, 0))
        confirmation = sent(a.received(syn_ack(answer), 0))
        assert confirmation is not None
        wrong = confirmation.replace(tiseq=confirmation.tiseq ^ 1)
        assert b.received(ack(wrong), HANDLE, 500, 0) == [FellBack("legacy")]

    def test_a_lost_third_ack_leaves_the_flow_unconfirmed_until_a_late_one(self) -> None:
        a, b = opener(), answerer()
        answer = sent(b.received(syn(sent(a.open(100, 0))), HANDLE, 500, 0))
        confirmation = sent(a.received(syn_ack(answer), 0))
        (unconfirmed,) = b.received(ack(None, payload=5), HANDLE, 500, 0)
        assert isinstance(unconfirmed, Unconfirmed)
        (established,) = b.received(ack(confirmation), HANDLE, 500, 0)
        assert isinstance(established, Established)

    def test_duplicates_get_the_identical_option(self) -> None:
        a, b = opener(), answerer()
        offer = sent(a.open(100, 0))
        answer = b.received(syn(offer), HANDLE, 500, 0)
        assert b.received(syn(offer), HANDLE, 500, 0) == answer
        confirmation = sent(a.received(syn_ack(sent(answer)), 0))
        assert a.received(syn_ack(sent(answer)), 0) == [SendAck(confirmation)]
        assert a.syn_lost() == [SendSyn(offer)]

    def test_a_new_flow_s_syn_drops_the_option_after_two_losses_and_a_late_answer_still_counts(self) -> None:
        a, b = opener(), answerer()
        offer = sent(a.open(100, 0))
        assert a.syn_lost() == [SendSyn(offer)]
        assert a.syn_lost() == [SendSyn(None)]
        answer = sent(b.received(syn(offer), HANDLE, 500, 0))
        assert isinstance(a.received(syn_ack(answer), 0)[1], Established)

    def test_crossed_syns_are_plain_tcp(self) -> None:
        a = opener()
        a.open(100, 0)
        crossed = syn(sent(opener(seed=9).open(900, 0)))._replace(opener=False)
        assert a.received(crossed, 0) == [SendSynAck(None), FellBack("crossed")]

    def test_a_refused_new_flow_keeps_nothing(self) -> None:
        registry = FlowRegistry()
        a = opener(registry)
        a.open(100, 0)
        assert a.received(rst(from_opener=False), 0) == []
        assert len(registry) == 0


def known(registry: FlowRegistry, *, opened: bool, una: int, nxt: int, rcv: int) -> Flow:
    flow = Flow(NAME, opened, una, nxt, rcv)
    assert registry.add(flow, 0)
    registry.sleep(NAME, 0)
    return flow


def both() -> tuple[FlowRegistry, Flow, FlowRegistry, Flow]:
    """The specification's worked example, on both hosts."""
    at_a, at_b = FlowRegistry(), FlowRegistry()
    mine = known(at_a, opened=True, una=0x1D, nxt=0x405, rcv=0x14B)
    theirs = known(at_b, opened=False, una=0x1F, nxt=0x213, rcv=0x275)
    return at_a, mine, at_b, theirs


class TestResume:
    def test_the_worked_example(self) -> None:
        at_a, mine, at_b, theirs = both()
        a, b = opener(at_a), answerer(at_b)
        offer = sent(a.resume(mine, 100))
        answer = sent(b.received(syn(offer), HANDLE, 500, 1))
        effects = a.received(syn_ack(answer), 1)
        confirmation = sent(effects)
        positions = [(one.tiseq, one.tiack) for one in (offer, answer, confirmation) if one is not None]
        assert positions == [(0x405, 0x14B), (0x14B, 0x275), (0x275, 0x14B)]
        assert effects[1] == Resumed(mine, own=0x275, other=0x14B)
        assert b.received(ack(confirmation), HANDLE, 500, 1) == [Resumed(theirs, own=0x14B, other=0x275)]
        assert (mine.dormant_since, theirs.dormant_since, theirs.pending) == (None, None, 0)

    def test_data_confirms_where_the_third_ack_was_lost(self) -> None:
        at_a, mine, at_b, theirs = both()
        b = answerer(at_b)
        b.received(syn(sent(opener(at_a).resume(mine, 100))), HANDLE, 500, 1)
        assert b.received(ack(None, payload=9), HANDLE, 500, 1) == [Resumed(theirs, own=0x14B, other=0x275)]

    @pytest.mark.parametrize(
        "change",
        [
            {"tifid": Tifid(0x0A4530BE79BE)},
            {"variant": Variant.FLOW_C},
            {"tiack": 0x1E},
            {"tiack": 0x214},
            {"tiseq": 0x275 + 65536},
            {"tiseq": (0x275 - 65536) % 2**48},
        ],
    )
    def test_what_is_unknown_or_out_of_range_is_reset_every_time_and_leaves_no_state(
        self, change: dict[str, object]
    ) -> None:
        at_a, mine, at_b, theirs = both()
        offer = sent(opener(at_a).resume(mine, 100))
        assert offer is not None
        b = answerer(at_b)
        for _ in range(2):
            (reset,) = b.received(syn(offer.replace(**change)), HANDLE, 500, 1)
            assert isinstance(reset, SendReset)
        assert theirs.pending == 0

    def test_the_other_reading_of_resumption_is_accepted_and_trimmed(self) -> None:
        """R2: both begin at their own oldest unacknowledged byte, below what the other side has (MAP-05)."""
        at_a, mine, at_b, theirs = both()
        a, b = opener(at_a), answerer(at_b)
        answer = sent(b.received(syn(sent(a.resume(mine, 100))), HANDLE, 500, 1))
        assert answer is not None
        _, resumed = a.received(syn_ack(answer.replace(tiseq=0x1F)), 1)
        assert resumed == Resumed(mine, own=0x275, other=0x1F)
        confirmation = FlowOption(Variant.FLOW_D, NAME.tifid, 0x1D, 0x14B)
        assert b.received(ack(confirmation), HANDLE, 500, 1) == [Resumed(theirs, own=0x14B, other=0x1D)]

    def test_a_fin_that_was_counted_is_accepted(self) -> None:
        at_a, mine, at_b, theirs = both()
        theirs.closed = True
        offer = sent(opener(at_a).resume(mine, 100))
        assert offer is not None
        assert isinstance(answerer(at_b).received(syn(offer.replace(tiack=0x214)), HANDLE, 500, 1)[0], SendSynAck)

    def test_a_resume_that_is_not_confirmed_is_reset_and_the_old_transport_stays(self) -> None:
        at_a, mine, at_b, theirs = both()
        b = answerer(at_b)
        b.received(syn(sent(opener(at_a).resume(mine, 100))), HANDLE, 500, 1)
        reset, failed = b.received(ack(None), HANDLE, 500, 1)
        assert isinstance(reset, SendReset)
        assert isinstance(failed, ResumeFailed)
        assert (theirs.pending, theirs.dormant_since) == (0, 0)

    @pytest.mark.parametrize("answer", [None, "echo", "wrong", "gone", "beyond"])
    def test_the_opener_resets_what_is_no_right_answer(self, answer: str | None) -> None:
        at_a, mine, at_b, _ = both()
        a = opener(at_a)
        offer = sent(a.resume(mine, 100))
        right = sent(answerer(at_b).received(syn(offer), HANDLE, 500, 1))
        assert right is not None
        options = {
            None: None,
            "echo": offer,
            "wrong": right.replace(tiseq=right.tiseq + 1),  # a gap (MAP-05)
            "gone": right.replace(tiack=0x1C),  # an acknowledging proxy had them (RES-14)
            "beyond": right.replace(tiack=0x406),
        }
        reset, failed = a.received(syn_ack(options[answer]), 1)
        assert isinstance(reset, SendReset)
        assert isinstance(failed, ResumeFailed)
        assert mine.dormant_since == 0

    def test_a_reset_is_a_failure(self) -> None:
        at_a, mine, *_ = both()
        a = opener(at_a)
        a.resume(mine, 100)
        assert a.received(rst(from_opener=False), 1) == [ResumeFailed("reset")]

    def test_a_syn_of_the_other_side_is_no_answer_to_a_resume(self) -> None:
        at_a, mine, *_ = both()
        a = opener(at_a)
        a.resume(mine, 100)
        reset, failed = a.received(syn(None, 900)._replace(opener=False), 0)
        assert isinstance(reset, SendReset)
        assert failed == ResumeFailed("crossed")
        assert not mine.resuming

    def test_a_fin_confirms_as_data_does_where_the_third_ack_was_lost(self) -> None:
        at_a, mine, at_b, theirs = both()
        b = answerer(at_b)
        b.received(syn(sent(opener(at_a).resume(mine, 100))), HANDLE, 500, 1)
        fin = ack(None)._replace(fin=True)
        assert b.received(fin, HANDLE, 500, 1) == [Resumed(theirs, own=0x14B, other=0x275)]

    def test_a_resume_syn_never_goes_without_the_option(self) -> None:
        at_a, mine, *_ = both()
        a = opener(at_a)
        effects = a.resume(mine, 100)
        assert all(a.syn_lost() == effects for _ in range(5))

    def test_two_may_be_pending_and_no_third(self) -> None:
        at_a, mine, at_b, theirs = both()
        offer = sent(opener(at_a).resume(mine, 100))
        attempts = [answerer(at_b) for _ in range(3)]
        effects = [one.received(syn(offer), HANDLE, 500, 1)[0] for one in attempts]
        assert [type(effect) for effect in effects] == [SendSynAck, SendSynAck, SendReset]
        attempts[0].received(rst(from_opener=True), HANDLE, 500, 1)
        assert theirs.pending == 1

    def test_of_two_pending_the_first_that_is_confirmed_wins(self) -> None:
        at_a, mine, at_b, theirs = both()
        offer = sent(opener(at_a).resume(mine, 100))
        first, second = answerer(at_b), answerer(at_b)
        answer = sent(first.received(syn(offer), HANDLE, 500, 1))
        assert sent(second.received(syn(offer), HANDLE, 500, 1)) == answer
        assert answer is not None
        confirmation = ack(answer.replace(tiseq=answer.tiack, tiack=answer.tiseq))
        (resumed,) = second.received(confirmation, HANDLE, 500, 2)
        assert isinstance(resumed, Resumed)
        reset, failed = first.received(confirmation, HANDLE, 500, 3)
        assert isinstance(reset, SendReset)
        assert failed == ResumeFailed("another one won")
        assert (theirs.pending, theirs.resumed) == (0, 1)

    def test_what_is_never_confirmed_does_not_stay_pending(self) -> None:
        at_a, mine, at_b, theirs = both()
        offer = sent(opener(at_a).resume(mine, 100))
        attempts = [answerer(at_b) for _ in range(2)]
        for one in attempts:
            one.received(syn(offer), HANDLE, 500, 1)
        assert [one.gave_up() for one in attempts] == [[ResumeFailed("not confirmed")]] * 2
        assert [one.gave_up() for one in attempts] == [[], []]
        assert (theirs.pending, theirs.dormant_since) == (0, 0)
        assert isinstance(answerer(at_b).received(syn(offer), HANDLE, 500, 1)[0], SendSynAck)

    def test_a_resume_that_nobody_answers_fails(self) -> None:
        at_a, mine, *_ = both()
        a = opener(at_a)
        a.resume(mine, 100)
        assert (mine.resuming, a.gave_up(), a.gave_up(), mine.resuming) == (
            *(True, [ResumeFailed("not answered")], []),
            False,
        )

    @pytest.mark.parametrize("opened_by_receiver", [True, False])
    def test_of_crossing_attempts_that_of_the_opener_wins(self, opened_by_receiver: bool) -> None:
        """Both hosts try at once; one of the two SYNs is refused, the same at both (RES-18)."""
        at_a, mine, at_b, theirs = both()
        from_a, from_b = sent(opener(at_a).resume(mine, 100)), sent(opener(at_b).resume(theirs, 900))
        receiver, offer = (at_a, from_b) if opened_by_receiver else (at_b, from_a)
        (effect,) = answerer(receiver).received(syn(offer), HANDLE, 500, 1)
        assert isinstance(effect, SendReset if opened_by_receiver else SendSynAck)

    def test_a_flow_that_slept_too_long_is_gone(self) -> None:
        at_a, mine, at_b, _ = both()
        offer = sent(opener(at_a).resume(mine, 100))
        (reset,) = answerer(at_b).received(syn(offer), HANDLE, 500, 301 * SECOND)
        assert isinstance(reset, SendReset)
        assert len(at_b) == 0


class TestPathMemory:
    """LEG-04: what was learnt of a path serves the next connection to the same peer."""

    def test_a_path_that_loses_the_option_is_asked_without_it_for_a_while(self) -> None:
        paths = PathMemory()
        first = Opener(FlowRegistry(), Random(1).getrandbits, paths=paths)
        first.open(100, 0, b"peer")
        first.syn_lost()
        assert sent(first.syn_lost()) is None
        first.received(syn_ack(None), 1)
        for peer, now, without in ((b"peer", 2, True), (b"other", 2, False), (b"peer", 3600 * SECOND + 1, False)):
            again = Opener(FlowRegistry(), Random(1).getrandbits, paths=paths)
            assert (sent(again.open(100, now, peer)) is None) == without
            state = "plain" if without else "declined"
            assert again.received(syn_ack(None), now) == [SendAck(None), FellBack(state)]

    def test_an_ordinary_refusal_says_nothing_of_the_path(self) -> None:
        paths = PathMemory()
        one = Opener(FlowRegistry(), Random(1).getrandbits, paths=paths)
        one.open(100, 0, b"peer")
        one.received(syn_ack(None), 1)
        assert len(paths) == 0

    def test_it_is_bounded(self) -> None:
        paths = PathMemory(limit=2)
        for peer in (b"1", b"2", b"1", b"3"):
            paths.remember(peer, 0)
        assert [paths.drops_option(peer, 1) for peer in (b"1", b"2", b"3")] == [True, False, True]


class TestRegistry:
    def test_identifiers_rest_after_their_flow(self) -> None:
        registry = FlowRegistry()
        known(registry, opened=True, una=1, nxt=1, rcv=1)
        assert registry.in_use(NAME, 0)
        registry.end(NAME, 0)
        assert registry.in_use(NAME, 239 * SECOND)
        assert registry.first_in_use(Variant.FLOW_D, NAME.tifid.first, 239 * SECOND)
        assert not registry.first_in_use(Variant.FLOW_C, NAME.tifid.first, 0)
        assert not registry.in_use(NAME, 240 * SECOND)

    def test_it_is_bounded_and_makes_room_from_what_has_expired(self) -> None:
        registry = FlowRegistry(Limits(flows=1))
        known(registry, opened=True, una=1, nxt=1, rcv=1)
        other = Flow(NAME._replace(variant=Variant.FLOW_C), True, 1, 1, 1)
        assert not registry.add(other, 300 * SECOND)
        assert registry.add(other, 301 * SECOND)
        assert len(registry) == 1

    def test_expiry_names_the_flows_it_ends(self) -> None:
        registry = FlowRegistry()
        flow = known(registry, opened=True, una=1, nxt=1, rcv=1)
        assert registry.expire(300 * SECOND) == []
        assert registry.expire(301 * SECOND) == [flow]

    def test_a_lifetime_under_100_s_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least 100 s, found 99 s"):
            Limits(dormant=99 * SECOND)


class TestKeyedAnswers:
    def test_the_same_syn_gets_the_same_answer_and_another_another(self) -> None:
        offer = FlowOption(Variant.FLOW_D, Tifid.from_halves(0x0A4530), 0x123456789A, 0)
        keyed = KeyedAnswers(b"k" * 16)
        answer = keyed.answer(offer, HANDLE, 0)
        assert KeyedAnswers(b"k" * 16).answer(offer, HANDLE, 0) == answer
        others = [
            KeyedAnswers(b"l" * 16).answer(offer, HANDLE, 0),
            keyed.answer(offer.replace(tiseq=1), HANDLE, 0),
            keyed.answer(offer.replace(variant=Variant.FLOW_C), HANDLE, 0),
            keyed.answer(offer, HANDLE._replace(isn=101), 0),
            keyed.answer(offer, HANDLE._replace(addresses=b"x"), 0),
            keyed.answer(offer, HANDLE, 1),
        ]
        assert len({answer, *others}) == 7

    @given(st.integers(1, 2**24 - 1), st.integers(0, 2**48 - 1))
    def test_values_fit_and_are_neither_zero_nor_small(self, first: int, tiseq: int) -> None:
        offer = FlowOption(Variant.FLOW_D, Tifid.from_halves(first), tiseq, 0)
        second, position = KeyedAnswers(b"k" * 32).answer(offer, HANDLE, 0)
        assert 0 < second < 2**24
        assert 2**16 <= position < 2**48

    def test_a_short_secret_is_refused(self) -> None:
        with pytest.raises(ValueError, match="found 3"):
            KeyedAnswers(b"key")


@dataclass
class Fate:
    """What happens to one transmission: lost or not, twice or not, late or not, and what becomes of its option."""

    lost: bool = False
    twice: bool = False
    delay: int = 0
    option: str = "keep"


@dataclass
class Path:
    """Segments in flight between two hosts, by the tick at which they arrive."""

    fates: list[Fate]
    flying: list[tuple[int, str, HandshakeSegment]] = field(default_factory=list)
    stripped: set[str] = field(default_factory=set)

    def send(self, tick: int, to: str, segment: HandshakeSegment, heard: FlowOption | None) -> None:
        fate = self.fates.pop(0) if self.fates else Fate()
        kind = "ack" if not segment.syn else "syn-ack" if segment.ack else "syn"
        option = segment.option
        if fate.option != "keep" and option is not None:
            self.stripped.add(kind)
            option = heard if fate.option == "echo" else None
        if fate.lost:
            self.stripped.add(f"{kind} lost")
            return
        for copy in range(1 + fate.twice):
            self.flying.append((tick + 1 + fate.delay + copy, to, segment._replace(option=option)))

    def arriving(self, tick: int) -> list[tuple[str, HandshakeSegment]]:
        due = [(to, segment) for at, to, segment in self.flying if at == tick]
        self.flying = [one for one in self.flying if one[0] > tick]
        return due


fates = st.lists(
    st.builds(
        Fate,
        st.sampled_from([False, False, False, True]),
        st.booleans(),
        st.integers(0, 3),
        st.sampled_from(["keep", "keep", "keep", "strip", "echo"]),
    ),
    max_size=10,
)


def hold(  # noqa: C901  one loop of a simulation, read from top to bottom
    path: Path, *, resumes: bool, variant: Variant
) -> tuple[Effect | None, Effect | None]:
    """Let two hosts talk for 60 ticks over the path: what each of them believes in the end."""
    at_a, mine, at_b, _ = both()
    if not resumes:
        at_a, at_b = FlowRegistry(), FlowRegistry()
    a, b = opener(at_a, variant), answerer(at_b)
    believes: dict[str, Effect | None] = {"A": None, "B": None}
    heard: dict[str, FlowOption | None] = {"A": None, "B": None}
    dead, acked, answered = False, False, False

    def carry_out(side: str, effects: list[Effect], tick: int) -> None:
        nonlocal dead, answered
        for effect in effects:
            match effect:
                case SendSyn(option):
                    path.send(tick, "B", syn(option), None)
                case SendSynAck(option):
                    answered = True
                    path.send(tick, "A", syn_ack(option), heard["B"])
                case SendAck(option):
                    path.send(tick, "B", ack(option), None)
                case SendReset():
                    dead = True
                case _:
                    believes[side] = effect

    carry_out("A", a.resume(mine, 100) if resumes else a.open(100, 0), 0)
    for tick in range(1, 60):
        for to, segment in path.arriving(tick):
            heard[to] = segment.option
            if to == "A":
                carry_out("A", a.received(segment, tick), tick)
            else:
                acked = acked or not segment.syn
                carry_out("B", b.received(segment, HANDLE, 500, tick), tick)
        if dead:
            break
        if tick % 6 == 0:
            if believes["A"] is None:
                carry_out("A", a.syn_lost(), tick)
            elif not acked:
                path.send(tick, "B", ack(None, payload=1), None)  # data, sent until it arrives
            if answered and not acked:
                carry_out("B", b.received(syn(b.handshake.offer), HANDLE, 500, tick), tick)
    return believes["A"], believes["B"]


@given(fates=fates, variant=st.sampled_from(Variant))
def test_both_agree_on_a_new_flow_or_are_both_legacy(fates: list[Fate], variant: Variant) -> None:
    """Except where the specification says that they cannot: the third ACK or the answer was lost or stripped."""
    path = Path(fates)
    mine, theirs = hold(path, resumes=False, variant=variant)
    assert mine is not None
    assert theirs is not None
    if isinstance(theirs, Established):
        assert isinstance(mine, Established)  # B never believes in a flow that A does not
    if isinstance(mine, Established) and not isinstance(theirs, Established):
        assert isinstance(theirs, Unconfirmed) or "ack" in path.stripped
        assert path.stripped or isinstance(theirs, Unconfirmed)
    if isinstance(mine, FellBack | CloseBeforeData) and isinstance(theirs, Unconfirmed):
        assert {"syn-ack"} & path.stripped or "syn" in path.stripped


@given(fates=fates)
def test_a_resume_ends_in_one_flow_at_both_or_in_an_error(fates: list[Fate]) -> None:
    perfect = not fates
    mine, theirs = hold(Path(fates), resumes=True, variant=Variant.FLOW_D)
    assert not isinstance(mine, FellBack)
    assert not isinstance(theirs, FellBack | Established)
    if isinstance(theirs, Resumed) and isinstance(mine, Resumed):
        assert (mine.own, mine.other) == (theirs.other, theirs.own)
    if isinstance(theirs, Resumed):
        assert isinstance(mine, Resumed)
    if perfect:
        assert isinstance(theirs, Resumed)


def test_identifiers_that_have_rested_are_not_kept_for_ever() -> None:
    """SEC-04: nobody may ever ask for them again."""
    registry = FlowRegistry()
    for number in range(1, 1001):
        flow = Flow(FlowName(Variant.FLOW_D, Tifid(number << 24 | number)), False, 0, 0, 0)
        assert registry.add(flow, number * SECOND)
        registry.end(flow.name, number * SECOND)
    assert registry.resting <= 241
