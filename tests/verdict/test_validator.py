"""The validator over every scenario: it finds what was broken on purpose, where it was, and nothing else."""

from __future__ import annotations

import pytest

from tests.flow.test_connection import built
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import Conversation
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
