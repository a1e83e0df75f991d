"""The handshake engine: one table, and what one party has seen of a handshake."""

from tioption.handshake.handshake import Difference, Handshake, HandshakeSegment, Observation
from tioption.handshake.table import FINAL, TABLE, Event, State, Step, step

__all__ = [
    "FINAL",
    "TABLE",
    "Difference",
    "Event",
    "Handshake",
    "HandshakeSegment",
    "Observation",
    "State",
    "Step",
    "step",
]
