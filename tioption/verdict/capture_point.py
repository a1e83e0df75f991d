"""One capture as one of two points between the hosts: its verdicts, and its connections reduced to what is compared.

Of a segment the numbers, the options and a digest of the payload are kept, so that memory grows with the number of
segments and not with their octets.
"""

from __future__ import annotations

from hashlib import blake2b
from sys import maxsize
from typing import NamedTuple

from tioption.capture.segment import ACK, SYN, Segment
from tioption.flow import Connection, ConnectionTable
from tioption.option import DEFAULT_KINDS, Fault, Kinds, TcpOption, Tifid, Variant
from tioption.verdict.validator import Judged, Validator

_TIMESTAMPS = 8


class Passage(NamedTuple):
    """One segment as it passed a point."""

    frame: int
    time_ns: int | None
    seq: int
    ack: int
    flags: int
    payload_length: int
    payload: bytes
    """A digest of the captured payload, b"" where there is none."""
    payload_cut: bool
    """Whether the capture has not all of the payload."""
    area: bytes
    """The captured option area."""
    area_cut: bool
    flows: tuple[TcpOption, ...]
    """The flow options in it."""
    timestamps: bytes
    """The octets of the timestamps option, b"" where there is none."""
    damaged: bool
    """Whether an option of a flow option's kind is there that is none, nor a known experiment's."""


def _passage(segment: Segment, kinds: Kinds) -> Passage:
    options, payload = segment.walk_options(kinds), segment.payload
    return Passage(
        segment.frame,
        segment.time_ns,
        segment.seq,
        segment.ack,
        segment.flags,
        segment.payload_length,
        blake2b(payload, digest_size=16).digest() if payload else b"",
        len(payload) < segment.payload_length,
        segment.options,
        any(option.fault is Fault.CUT for option in options),
        tuple(option for option in options if option.flow is not None),
        next((option.octets for option in options if option.kind == _TIMESTAMPS), b""),
        any(option.kind in kinds and option.flow is None and option.experiment is None for option in options),
    )


class Sighting:
    """A connection at one point: everything of it that passed there, by direction."""

    __slots__ = ("connection", "forward", "judged", "reverse")

    def __init__(self, connection: Connection, judged: Judged) -> None:
        """Nothing has passed yet."""
        self.connection = connection
        self.judged = judged
        self.forward: list[Passage] = []
        """What the connection's client sent."""
        self.reverse: list[Passage] = []

    def passages(self, *, forward: bool) -> list[Passage]:
        """What passed in one direction, in capture order."""
        return self.forward if forward else self.reverse

    @property
    def offer(self) -> tuple[Variant, Tifid] | None:
        """Variant and TIFID of the SYN, None where it has no flow option."""
        for passage in self.forward:
            if passage.flags & (SYN | ACK) == SYN:
                for option in passage.flows:
                    if option.flow is not None:
                        return option.flow.variant, option.flow.tifid
        return None

    @property
    def name(self) -> tuple[Variant, Tifid] | None:
        """Variant and complete TIFID of the handshake, None where it has none."""
        for passage in self.reverse + self.forward:
            for option in passage.flows:
                if option.flow is not None and option.flow.tifid.is_complete:
                    return option.flow.variant, option.flow.tifid
        return None

    @property
    def answer_time(self) -> int | None:
        """Nanoseconds from the first SYN to the first SYN-ACK: longer at the client's end of the path."""
        syn = next((one.time_ns for one in self.forward if one.flags & (SYN | ACK) == SYN), None)
        answer = next((one.time_ns for one in self.reverse if one.flags & (SYN | ACK) == SYN | ACK), None)
        return None if syn is None or answer is None else answer - syn


class CapturePoint:
    """Takes in the segments of one capture, in order."""

    def __init__(self, kinds: Kinds = DEFAULT_KINDS) -> None:
        """Start with an empty capture."""
        self._kinds = kinds
        # Nothing is given up: every connection may have its like at the other point. Both number them alike.
        self._table = ConnectionTable(maxsize)
        self.validator = Validator(kinds, maxsize)
        self.sightings: dict[int, Sighting] = {}
        """Every connection by its index, in the order of first segments."""

    def observe(self, segment: Segment) -> None:
        """Take in the next segment."""
        self.validator.observe(segment)
        connection = self._table.observe(segment)
        sighting = self.sightings.get(connection.index)
        if sighting is None:
            judged = self.validator.judged[connection.index]
            sighting = self.sightings[connection.index] = Sighting(connection, judged)
        sighting.passages(forward=connection.is_forward(segment)).append(_passage(segment, self._kinds))
