"""The verdict on a connection, and why, from where its handshake ended."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from tioption.handshake import Event, Handshake, State


class Verdict(Enum):
    """What became of a connection; the value is the word of the command line's contract."""

    ESTABLISHED = "established"
    UNCONFIRMED = "unconfirmed"
    RESUMED = "resumed"
    RESUME_FAILED = "resume-failed"
    LEGACY = "legacy"
    INCOMPLETE = "incomplete"


class Outcome(NamedTuple):
    """A verdict and its reason: a short phrase with dashes, "" where the verdict says it all."""

    verdict: Verdict
    reason: str


_FALLBACKS: Final = {
    State.DECLINED: "no-option-in-synack",
    State.MISANSWERED: "wrong-option-in-synack",
    State.ECHOED: "echo",
    State.CROSSED: "simultaneous-open",
    State.RESUMING: "refused",
    State.PLAIN: "no-option-in-syn",
}


def fallback_reason(before: State, event: Event) -> str:
    """Why a handshake that stood in `before` became legacy, or a resume failed, at `event`."""
    if event is Event.RESET:
        return "reset"
    if before in {State.ANSWERED, State.RESUME_ANSWERED}:
        return "wrong-option-in-ack" if event is Event.CONFIRM_WRONG else "ack-without-option"
    return _FALLBACKS.get(before, "")


def outcome(handshake: Handshake, reason: str, *, malformed: bool) -> Outcome:
    """The verdict on a handshake; `reason` is that of its fallback, `malformed` says that its SYN's option was."""
    state = handshake.state
    if state in {State.CONFIRMED, State.ASKED_AGAIN, State.SETTLED} and handshake.seen_syn:
        return Outcome(Verdict.RESUMED if handshake.resumes else Verdict.ESTABLISHED, "")
    if state is State.UNCONFIRMED:
        return Outcome(Verdict.UNCONFIRMED, "third-ack-lost")
    if state in {State.FAILED, State.REFUSED, State.UNPROVEN}:
        return Outcome(Verdict.RESUME_FAILED, reason)
    if state is State.LEGACY and handshake.seen_syn and handshake.seen_answer:
        return Outcome(Verdict.LEGACY, "malformed" if malformed else reason)
    return Outcome(Verdict.INCOMPLETE, _missing(handshake))


def _missing(handshake: Handshake) -> str:
    """What the capture lacks of the handshake."""
    if handshake.state is State.CLOSED:
        return "reset"
    if not handshake.seen_syn:
        return "no-syn"
    return "no-ack" if handshake.seen_answer else "no-synack"
