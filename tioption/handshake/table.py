"""THE table: what each segment of a handshake does to it, and which rule it breaks by coming then.

Two things hold for this file. Everything that changes the state of a handshake stands here. And it does not know who
is asking: a host that sends and receives, or an observer of a capture, each of whom has seen what he has seen. Where a
middlebox strips the option on the way, the two hosts have seen different segments, and stand in different states.

"Opener" sent the SYN, "answerer" sent the SYN-ACK. A transport opens a new flow or resumes one.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class State(Enum):
    """Where the handshake of a transport stands; the value is the name in diagrams and logs."""

    IDLE = "idle"
    OFFERED = "offered"
    RESUMING = "resuming"
    PLAIN = "plain"
    CROSSED = "crossed"
    ANSWERED = "answered"
    RESUME_ANSWERED = "resume-answered"
    DECLINED = "declined"
    MISANSWERED = "misanswered"
    ECHOED = "echoed"
    REFUSED = "refused"
    UNPROVEN = "unproven"
    CONFIRMED = "confirmed"
    ASKED_AGAIN = "asked-again"
    SETTLED = "settled"
    UNCONFIRMED = "unconfirmed"
    LEGACY = "legacy"
    FAILED = "failed"
    CLOSED = "closed"


class Event(Enum):
    """What a segment is to the handshake, after its option was held against those before it."""

    SYN_NEW = "SYN of a new flow"
    SYN_RESUME = "SYN of a resume"
    SYN_PLAIN = "SYN without option"
    SYN_SAME = "SYN again"
    SYN_CHANGED = "SYN again, option changed"
    SYN_STRIPPED = "SYN again, option gone"
    SYN_OVERTAKEN = "SYN of a new flow, after the same without option"
    PEER_SYN = "SYN of the other side"
    ANSWER_RIGHT = "SYN-ACK with the option"
    ANSWER_WRONG = "SYN-ACK with wrong values"
    ANSWER_ECHO = "SYN-ACK with the SYN's own option"
    ANSWER_UNASKED = "SYN-ACK with an option not asked for"
    ANSWER_PLAIN = "SYN-ACK without option"
    ANSWER_SAME = "SYN-ACK again"
    ANSWER_CHANGED = "SYN-ACK again, option changed"
    CONFIRM_RIGHT = "ACK with the option"
    CONFIRM_WRONG = "ACK with wrong values"
    CONFIRM_PLAIN = "ACK without option"
    DATA_PLAIN = "data without option"
    COPY = "the confirming option again"
    CROSSING_COPY = "the confirming option again, from before the answerer was heard"
    STRAY = "an option out of place"
    PEER_TALKS = "the answerer's first segment after its SYN-ACK"
    RESET = "RST"


class Step(NamedTuple):
    """Where an event leads, and the rule that is broken, or noted, when it comes there; None where all is well."""

    state: State
    rule: str | None = None


_S, _E = State, Event

# What is not in a state's row leaves the state as it is and breaks nothing.
_ROWS: Final[dict[State, dict[Event, Step]]] = {
    _S.IDLE: {
        _E.SYN_NEW: Step(_S.OFFERED),
        _E.SYN_RESUME: Step(_S.RESUMING),
        _E.SYN_PLAIN: Step(_S.PLAIN),
        # A capture may begin after the SYN; nobody can be judged for what was not seen.
        _E.ANSWER_RIGHT: Step(_S.ANSWERED),
        _E.ANSWER_PLAIN: Step(_S.PLAIN),
    },
    _S.OFFERED: {
        _E.SYN_CHANGED: Step(_S.OFFERED, "EST-09"),
        _E.SYN_STRIPPED: Step(_S.OFFERED, "LEG-04"),  # an answer with the option may still come (LEG-05)
        _E.PEER_SYN: Step(_S.CROSSED),
        _E.ANSWER_RIGHT: Step(_S.ANSWERED),
        _E.ANSWER_WRONG: Step(_S.MISANSWERED),  # which values are wrong says which rule
        _E.ANSWER_ECHO: Step(_S.ECHOED, "LEG-07"),
        _E.ANSWER_UNASKED: Step(_S.MISANSWERED, "EST-03"),
        _E.ANSWER_PLAIN: Step(_S.DECLINED),
        _E.CONFIRM_RIGHT: Step(_S.CONFIRMED),  # the SYN-ACK was not captured
        _E.RESET: Step(_S.CLOSED),
    },
    _S.RESUMING: {
        _E.SYN_CHANGED: Step(_S.RESUMING, "EST-09"),
        _E.SYN_STRIPPED: Step(_S.RESUMING, "LEG-06"),
        _E.PEER_SYN: Step(_S.CROSSED),
        _E.ANSWER_RIGHT: Step(_S.RESUME_ANSWERED),
        _E.ANSWER_WRONG: Step(_S.REFUSED),
        _E.ANSWER_ECHO: Step(_S.REFUSED, "LEG-07"),
        _E.ANSWER_UNASKED: Step(_S.REFUSED, "EST-03"),
        _E.ANSWER_PLAIN: Step(_S.REFUSED, "RES-05"),
        _E.CONFIRM_RIGHT: Step(_S.CONFIRMED),
        _E.RESET: Step(_S.FAILED),
    },
    _S.PLAIN: {
        _E.SYN_OVERTAKEN: Step(_S.PLAIN, "LEG-04"),  # it was sent before the one without the option, and came later
        _E.SYN_CHANGED: Step(_S.PLAIN, "EST-09"),
        _E.PEER_SYN: Step(_S.CROSSED),
        _E.ANSWER_UNASKED: Step(_S.PLAIN, "EST-03"),
        _E.CONFIRM_RIGHT: Step(_S.LEGACY, "LEG-01"),
        _E.CONFIRM_WRONG: Step(_S.LEGACY, "LEG-01"),
        _E.CONFIRM_PLAIN: Step(_S.LEGACY),
        _E.DATA_PLAIN: Step(_S.LEGACY),
        _E.RESET: Step(_S.CLOSED),
    },
    _S.CROSSED: {
        _E.ANSWER_RIGHT: Step(_S.LEGACY, "EST-14"),
        _E.ANSWER_WRONG: Step(_S.LEGACY, "EST-14"),
        _E.ANSWER_ECHO: Step(_S.LEGACY, "EST-14"),
        _E.ANSWER_UNASKED: Step(_S.LEGACY, "EST-14"),
        _E.CONFIRM_RIGHT: Step(_S.LEGACY, "EST-14"),
        _E.CONFIRM_WRONG: Step(_S.LEGACY, "EST-14"),
        _E.CONFIRM_PLAIN: Step(_S.LEGACY),
        _E.DATA_PLAIN: Step(_S.LEGACY),
        _E.RESET: Step(_S.CLOSED),
    },
    _S.ANSWERED: {
        _E.ANSWER_CHANGED: Step(_S.ANSWERED, "EST-09"),
        _E.CONFIRM_RIGHT: Step(_S.CONFIRMED),
        _E.CONFIRM_WRONG: Step(_S.LEGACY, "EST-07"),
        _E.CONFIRM_PLAIN: Step(_S.LEGACY, "LEG-03"),
        _E.DATA_PLAIN: Step(_S.UNCONFIRMED, "EST-12"),
        _E.RESET: Step(_S.CLOSED),
    },
    _S.RESUME_ANSWERED: {
        _E.ANSWER_CHANGED: Step(_S.RESUME_ANSWERED, "RES-13"),
        _E.CONFIRM_RIGHT: Step(_S.CONFIRMED),
        _E.CONFIRM_WRONG: Step(_S.UNPROVEN),  # which values are wrong says which rule
        _E.CONFIRM_PLAIN: Step(_S.UNPROVEN),
        _E.DATA_PLAIN: Step(_S.CONFIRMED),  # the third ACK was lost; the data acknowledges the SYN-ACK (RES-07)
        _E.RESET: Step(_S.FAILED),
    },
    _S.DECLINED: {
        _E.CONFIRM_RIGHT: Step(_S.LEGACY, "LEG-01"),
        _E.CONFIRM_WRONG: Step(_S.LEGACY, "LEG-01"),
        _E.CONFIRM_PLAIN: Step(_S.LEGACY),
        _E.DATA_PLAIN: Step(_S.LEGACY),
        _E.RESET: Step(_S.CLOSED),
    },
    _S.MISANSWERED: {
        _E.CONFIRM_RIGHT: Step(_S.LEGACY, "EST-06"),
        _E.CONFIRM_WRONG: Step(_S.LEGACY, "EST-06"),
        _E.CONFIRM_PLAIN: Step(_S.LEGACY),
        _E.DATA_PLAIN: Step(_S.LEGACY),
        _E.RESET: Step(_S.CLOSED),
    },
    _S.ECHOED: {
        _E.CONFIRM_RIGHT: Step(_S.LEGACY, "LEG-07"),
        _E.CONFIRM_WRONG: Step(_S.LEGACY, "LEG-07"),
        _E.CONFIRM_PLAIN: Step(_S.LEGACY),
        _E.DATA_PLAIN: Step(_S.LEGACY),
        _E.RESET: Step(_S.CLOSED),
    },
    _S.REFUSED: {
        _E.CONFIRM_RIGHT: Step(_S.FAILED, "RES-06"),
        _E.CONFIRM_WRONG: Step(_S.FAILED, "RES-06"),
        _E.CONFIRM_PLAIN: Step(_S.FAILED, "RES-06"),
        _E.DATA_PLAIN: Step(_S.FAILED, "RES-06"),
        _E.RESET: Step(_S.FAILED),
    },
    _S.UNPROVEN: {
        _E.ANSWER_CHANGED: Step(_S.UNPROVEN, "RES-13"),
        _E.PEER_TALKS: Step(_S.FAILED, "RES-08"),
        _E.RESET: Step(_S.FAILED),
    },
    _S.CONFIRMED: {
        _E.ANSWER_SAME: Step(_S.ASKED_AGAIN),
        _E.ANSWER_CHANGED: Step(_S.ASKED_AGAIN, "EST-09"),
        _E.COPY: Step(_S.CONFIRMED, "EST-13"),
        _E.STRAY: Step(_S.CONFIRMED, "OPT-09"),
        _E.PEER_TALKS: Step(_S.SETTLED),
    },
    _S.ASKED_AGAIN: {
        _E.CONFIRM_RIGHT: Step(_S.CONFIRMED),
        _E.CONFIRM_WRONG: Step(_S.CONFIRMED, "EST-10"),
        _E.CONFIRM_PLAIN: Step(_S.CONFIRMED, "EST-10"),  # data may have crossed the SYN-ACK, and says nothing
        _E.ANSWER_CHANGED: Step(_S.ASKED_AGAIN, "EST-09"),
        _E.PEER_TALKS: Step(_S.SETTLED),
    },
    _S.SETTLED: {
        _E.COPY: Step(_S.SETTLED, "OPT-09"),
        _E.CROSSING_COPY: Step(_S.SETTLED, "EST-13"),  # both were under way at once
        _E.STRAY: Step(_S.SETTLED, "OPT-09"),
    },
    _S.UNCONFIRMED: {
        _E.CONFIRM_RIGHT: Step(_S.CONFIRMED),  # the third ACK was overtaken by data
        _E.CONFIRM_WRONG: Step(_S.UNCONFIRMED, "EST-07"),
        _E.STRAY: Step(_S.UNCONFIRMED, "OPT-09"),
    },
    _S.LEGACY: {
        _E.COPY: Step(_S.LEGACY, "OPT-09"),
        _E.STRAY: Step(_S.LEGACY, "OPT-09"),
    },
    # What comes after the end no longer breaks a rule of the handshake.
    _S.FAILED: {},
    _S.CLOSED: {},
}

TABLE: Final[dict[State, dict[Event, Step]]] = {
    state: {event: _ROWS[state].get(event, Step(state)) for event in Event} for state in State
}
"""Every state and every event: where it leads and which rule it breaks there."""

FINAL: Final = frozenset({State.SETTLED, State.LEGACY, State.FAILED, State.CLOSED})
"""States in which the handshake is over; what comes then can still break a rule, but decides nothing."""


def step(state: State, event: Event) -> Step:
    """Where `event` leads from `state`."""
    return TABLE[state][event]
