"""The handshake engine: one table, what one party has seen of a handshake, and the two sides that act on it."""

from tioption.handshake.handshake import Difference, Handshake, HandshakeSegment, Observation
from tioption.handshake.host import (
    Answerer,
    CloseBeforeData,
    Effect,
    Established,
    FellBack,
    Opener,
    Resumed,
    ResumeFailed,
    SendAck,
    SendReset,
    SendSyn,
    SendSynAck,
    Unconfirmed,
)
from tioption.handshake.paths import PathMemory
from tioption.handshake.registry import Flow, FlowName, FlowRegistry, Limits
from tioption.handshake.table import FINAL, TABLE, Event, State, Step, step
from tioption.handshake.values import Handle, KeyedAnswers, RandomAnswers

__all__ = [
    "FINAL",
    "TABLE",
    "Answerer",
    "CloseBeforeData",
    "Difference",
    "Effect",
    "Established",
    "Event",
    "FellBack",
    "Flow",
    "FlowName",
    "FlowRegistry",
    "Handle",
    "Handshake",
    "HandshakeSegment",
    "KeyedAnswers",
    "Limits",
    "Observation",
    "Opener",
    "PathMemory",
    "RandomAnswers",
    "ResumeFailed",
    "Resumed",
    "SendAck",
    "SendReset",
    "SendSyn",
    "SendSynAck",
    "State",
    "Step",
    "Unconfirmed",
    "step",
]
