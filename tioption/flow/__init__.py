"""Connections and TI-flows from segments: who speaks with whom, and where in both streams they stand."""

from tioption.flow.connection import GENERATION, Connection, ConnectionTable, Peer
from tioption.flow.direction import Direction
from tioption.flow.stream import Gap, StreamAssembler
from tioption.flow.tiflow import Anchors, FlowKey, Positions, TiFlow, Transport, anchors

__all__ = [
    "GENERATION",
    "Anchors",
    "Connection",
    "ConnectionTable",
    "Direction",
    "FlowKey",
    "Gap",
    "Peer",
    "Positions",
    "StreamAssembler",
    "TiFlow",
    "Transport",
    "anchors",
]
