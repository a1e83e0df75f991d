"""The handshake engine: one table, what one party has seen of a handshake, and the two sides that act on it.

The names below load on first use: who only observes does not pay for what a host needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {
    "handshake": ("Difference", "Handshake", "HandshakeSegment", "Observation"),
    "host": (
        *("Answerer", "CloseBeforeData", "Effect", "Established", "FellBack", "Opener", "Resumed", "ResumeFailed"),
        *("SendAck", "SendReset", "SendSyn", "SendSynAck", "Unconfirmed"),
    ),
    "paths": ("PathMemory",),
    "registry": ("Flow", "FlowName", "FlowRegistry", "Limits"),
    "table": ("FINAL", "TABLE", "Event", "State", "Step", "step"),
    "values": ("Handle", "KeyedAnswers", "RandomAnswers"),
}
_HOMES = {name: f"tioption.handshake.{module}" for module, names in _MODULES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
