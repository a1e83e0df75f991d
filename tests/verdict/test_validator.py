"""The validator over every scenario: it finds what was broken on purpose, where it was, and nothing else."""

from __future__ import annotations

import pytest

from tests.flow.test_connection import built
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import Conversation
from tioption.capture.segment import ACK, PSH
from tioption.rules import Severity
from tioption.seq import SEQ32
from tioption.verdict.outcome import Outcome, Verdict
from tioption.verdict.validator import Validator


def validated(talk: Conversation) -> Validator:
    validator = Validator(talk.kinds)
    for segment in built(talk):
        validator.observe(segment)
    return validator


# What shows only between two captures.
TWO_POINTS = {"MBX-01", "MBX-02", "MBX-03", "MBX-05"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_shows_what_it_breaks_and_nothing_else(name: str) -> None:
    talk = SCENARIOS[name].conversation(2)
    validator = validated(talk)
    found = {(one.rule, one.frame) for one in validator.findings()}
    assert found == {(rule, frame) for rule, frame in talk.expected if rule not in TWO_POINTS}


def test_a_third_ack_anchors_both_streams_where_the_syn_ack_was_not_captured() -> None:
    talk = Conversation(3)
    talk.connect().send("A", 100)
    talk.resume().send("B", 50)
    validator = Validator()
    for segment in built(talk):
        if segment.frame != 2:
            validator.observe(segment)
    (flow,) = validator.flows()
    assert flow.octets == (100, 50)
    assert not [one for one in validator.findings() if one.rule.startswith(("MAP", "RES-04"))]


def test_a_fin_without_the_option_is_no_third_ack() -> None:
    """It takes a number of the sequence space, as data does: the third ACK before it was lost (EST-12)."""
    talk = Conversation(3)
    transport = talk.transport()
    transport.syn()
    transport.syn_ack()
    transport.fin("A")
    validator = validated(talk)
    assert [one.rule for one in validator.findings()] == ["EST-12"]
    assert validator.judged[0].outcome == Outcome(Verdict.UNCONFIRMED, "third-ack-lost")


def test_a_copy_of_the_option_may_cross_what_the_answerer_says() -> None:
    """EST-13: the opener has not heard the answerer as long as it acknowledges nothing but the SYN-ACK."""
    talk = Conversation(3)
    transport = talk.connect()
    option = transport.ack().header.options
    transport.emit("B", ACK)
    transport.emit("A", ACK, options=option)
    transport.send("B", 10)
    transport.emit("A", ACK, options=option)
    found = [(one.rule, one.frame) for one in validated(talk).findings()]
    assert found == [("EST-13", 4), ("EST-13", 6), ("OPT-09", 9)]


def test_a_third_ack_that_data_has_overtaken_is_not_out_of_place_on_a_resume() -> None:
    talk = Conversation(3)
    talk.connect().send("A", 100)
    transport = talk.transport(resuming=True)
    transport.syn()
    transport.syn_ack()
    transport.send("A", 100)
    late = transport.ack()
    assert len(late.header.options) == 32
    found = [one.rule for one in validated(talk).findings()]
    assert "OPT-09" not in found


def test_a_second_syn_ack_of_another_isn_answers_nothing() -> None:
    """A server that keeps nothing may answer a SYN with the option and the same SYN without it by different ISNs."""
    talk = Conversation(3)
    transport = talk.transport()
    transport.syn()
    transport.syn_ack(option=None)
    transport.isn["B"] += 1000
    transport.syn_ack()
    assert validated(talk).judged[0].outcome.verdict is Verdict.INCOMPLETE


def test_a_late_third_ack_of_an_earlier_connection_on_the_same_ports_confirms_nothing() -> None:
    """A SYN that comes late opens another connection; its answer is not what the late ACK acknowledges."""
    talk = Conversation(3)
    first = talk.connect()
    late = talk.observed[-1].sent
    first.close()
    talk.wait(300_000_000_000)
    second = talk.transport(client=late.source)
    second.isn["B"] = SEQ32.add(first.isn["B"], 1000)
    second.syn()
    second.syn_ack(option=lambda option: option.replace(tiseq=option.tiseq + 9))
    second.emit("A", ACK, ack=late.header.ack, options=late.header.options)
    assert not list(validated(talk).findings())


def test_a_third_ack_that_comes_after_the_flow_was_resumed_changes_nothing() -> None:
    talk = Conversation(3)
    first = talk.transport()
    first.syn()
    first.syn_ack()
    first.send("A", 100)  # overtakes the third ACK
    second = talk.resume()
    second.send("A", 5000)
    first.place["A"] = 0
    first.ack()
    third = talk.resume()
    third.send("A", 100)
    validator = validated(talk)
    (flow,) = validator.flows()
    assert flow.transports == (1, 2)
    assert {one.rule for one in validator.findings() if one.severity is Severity.VIOLATION} == set()


def test_the_window_of_a_flow_is_the_largest_on_any_of_its_transports() -> None:
    """RES-04: a transport whose windows were closed all along does not shrink what a resume may be off by."""
    talk = Conversation(3)
    talk.connect().send("A", 1000)
    closed = talk.transport(resuming=True)
    before = len(talk.observed)
    closed.handshake("ruled", "ruled", "ruled")
    closed.send("A", 1, lost=True)
    # Nothing on this transport offers any window.
    for at, one in enumerate(talk.observed[before:], before):
        shut = one.sent._replace(header=one.sent.header._replace(window=0))
        talk.observed[at] = one._replace(sent=shut)
    talk.resume()
    assert "RES-04" not in {one.rule for one in validated(talk).findings()}


def test_a_syn_with_the_option_may_be_overtaken_by_the_one_without() -> None:
    """LEG-04: both are the opener's, and networks reorder."""
    talk = Conversation(3)
    transport = talk.transport()
    transport.syn(option=None)
    transport.syn()
    transport.syn_ack(option=None)
    transport.ack(option=None)
    validator = validated(talk)
    assert [(one.rule, one.frame) for one in validator.findings()] == [("LEG-04", 2)]
    assert validator.judged[0].outcome.verdict is Verdict.LEGACY


def test_an_option_after_a_syn_without_one_is_judged_by_the_syn_ack_only() -> None:
    """LEG-01, LEG-05: what the SYN-ACK had is not known where none was captured."""
    talk = Conversation(3)
    transport = talk.connect()
    third = talk.observed[-1].sent
    transport.close()
    talk.wait(200_000_000_000)
    late = talk.transport(client=third.source)
    late.isn = transport.isn
    late.syn(option=None)
    late.emit("A", ACK, seq=third.header.seq, ack=third.header.ack, options=third.header.options)
    assert not list(validated(talk).findings())


def test_positions_judge_nobody_where_the_flow_s_beginning_is_missing() -> None:
    talk = Conversation(3)
    talk.connect().send("A", 100)
    talk.streams["A"].octets += bytes(10)
    second = talk.resume()
    second.resend("A")
    second.fin("A")
    third = talk.resume()
    third.emit("A", ACK | PSH, payload=b"beyond the end")
    found = [(one.rule, one.severity) for one in validated(talk).findings()]
    assert ("RES-15", Severity.VIOLATION) in found
    validator = Validator()
    for segment in built(talk):
        if segment.frame > 3:
            validator.observe(segment)
    assert [one.severity for one in validator.findings() if one.rule == "RES-15"] == [Severity.NOTE]


def test_octets_that_were_acknowledged_were_sent_though_the_capture_missed_them() -> None:
    talk = Conversation(3)
    talk.connect().send("A", 1000)
    talk.resume().send("A", 10)
    sent = next(one for one in built(talk) if one.payload_length == 1000)
    validator = Validator()
    for segment in built(talk):
        if segment.frame != sent.frame:
            validator.observe(segment)
    assert {one.rule for one in validator.findings()} == {"RES-10"}
    (flow,) = validator.flows()
    assert flow.octets == (1010, 0)


def test_data_that_crossed_a_syn_ack_that_came_again_does_not_answer_it() -> None:
    """EST-10: the answer comes behind the data, with the option."""
    talk = Conversation(3)
    transport = talk.connect()
    transport.syn_ack()
    transport.send("A", 100, acked=False)
    transport.ack()
    assert {one.rule for one in validated(talk).findings()} <= {"EST-13"}
