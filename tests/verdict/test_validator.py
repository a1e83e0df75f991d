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
