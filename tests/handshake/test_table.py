"""The table itself: complete, closed, reachable, and citing rules that exist."""

from __future__ import annotations

import pytest

from tioption.handshake import FINAL, TABLE, Event, State, step
from tioption.rules import RULES


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_event_leads_somewhere_from_every_state(state: State, event: Event) -> None:
    after, rule = step(state, event)
    assert after in State
    assert rule is None or rule in RULES
    assert step(state, event) == TABLE[state][event]


@pytest.mark.parametrize("state", [state for state in State if state in FINAL])
def test_what_is_over_stays_over(state: State) -> None:
    assert {after for after, _ in TABLE[state].values()} == {state}


def test_every_state_is_reached() -> None:
    reached = {State.IDLE}
    while more := {step(state, event).state for state in reached for event in Event} - reached:
        reached |= more
    assert reached == set(State)


def test_nothing_confirms_but_the_right_option_or_data_after_a_resume_was_answered() -> None:
    """EST-07, LEG-03 and RES-07: no path leads to a confirmed flow past a wrong or a missing confirmation."""
    ways = {
        (state, event)
        for state in State
        for event in Event
        if step(state, event).state is State.CONFIRMED
        and state not in {State.CONFIRMED, State.ASKED_AGAIN}
        and state is not State.UNCONFIRMED
    }
    assert ways == {
        (State.OFFERED, Event.CONFIRM_RIGHT),
        (State.RESUMING, Event.CONFIRM_RIGHT),
        (State.ANSWERED, Event.CONFIRM_RIGHT),
        (State.RESUME_ANSWERED, Event.CONFIRM_RIGHT),
        (State.RESUME_ANSWERED, Event.DATA_PLAIN),
    }


def test_a_handshake_that_keeps_the_rules_breaks_none() -> None:
    for events, end in (
        ((Event.SYN_NEW, Event.ANSWER_RIGHT, Event.CONFIRM_RIGHT, Event.PEER_TALKS), State.SETTLED),
        ((Event.SYN_RESUME, Event.ANSWER_RIGHT, Event.CONFIRM_RIGHT, Event.PEER_TALKS), State.SETTLED),
        ((Event.SYN_NEW, Event.SYN_SAME, Event.ANSWER_RIGHT, Event.ANSWER_SAME, Event.CONFIRM_RIGHT), State.CONFIRMED),
        ((Event.SYN_NEW, Event.ANSWER_PLAIN, Event.CONFIRM_PLAIN), State.LEGACY),
        ((Event.SYN_PLAIN, Event.ANSWER_PLAIN, Event.CONFIRM_PLAIN), State.LEGACY),
        ((Event.SYN_NEW, Event.PEER_SYN, Event.ANSWER_PLAIN, Event.ANSWER_PLAIN, Event.CONFIRM_PLAIN), State.LEGACY),
        ((Event.SYN_RESUME, Event.RESET), State.FAILED),
    ):
        state = State.IDLE
        for event in events:
            state, rule = step(state, event)
            assert rule is None
        assert state is end
