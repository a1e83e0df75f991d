"""The handshake engine as a transport uses it: one face for opening and answering, with the option and without.

A transport hands over what arrives and does what the effects say; whether the option is used, and how, is decided by
`tioption.handshake` alone.
"""

from __future__ import annotations

from tioption.endpoint.wire import TcpSegment
from tioption.handshake import (
    Answerer,
    Effect,
    FellBack,
    Flow,
    Handle,
    HandshakeSegment,
    Opener,
    SendAck,
    SendSyn,
    SendSynAck,
)

PLAIN = FellBack("the option is not used")


def as_handshake(segment: TcpSegment, *, opener: bool) -> HandshakeSegment:
    """A segment as far as the handshake is concerned; `opener` says that the transport's opener sent it."""
    return HandshakeSegment(
        opener=opener,
        syn=segment.syn,
        ack=segment.has_ack,
        rst=segment.rst,
        seq=segment.seq,
        payload_length=len(segment.payload),
        option=segment.option,
        fin=segment.fin,
    )


class ActiveOpening:
    """The side that sends the SYN: of a new flow, of a resume, or plain."""

    active = True

    def __init__(self, opener: Opener | None = None, flow: Flow | None = None, peer: bytes = b"") -> None:
        """Open with an `Opener` or plainly; with `flow`, resume it. `peer` names the path (LEG-04)."""
        self.opener = opener
        self.flow = flow
        self._peer = peer

    def begin(self, iss: int, now: int) -> list[Effect]:
        """The first SYN."""
        if self.opener is None:
            return [SendSyn(None)]
        if self.flow is not None:
            return self.opener.resume(self.flow, iss)
        return self.opener.open(iss, now, self._peer)

    def lost(self) -> list[Effect]:
        """The SYN was not answered in time."""
        return [SendSyn(None)] if self.opener is None else self.opener.syn_lost()

    def gave_up(self) -> list[Effect]:
        """Nothing has answered, and the transport no longer waits."""
        return [] if self.opener is None else self.opener.gave_up()

    def received(self, segment: TcpSegment, iss: int, now: int) -> list[Effect]:  # noqa: ARG002
        """A segment of the answerer."""
        if self.opener is not None:
            return self.opener.received(as_handshake(segment, opener=False), now)
        if segment.rst or not segment.syn:
            return []
        return [SendAck(None), PLAIN] if segment.has_ack else [SendSynAck(None), PLAIN]


class PassiveOpening:
    """The side that answers a SYN."""

    active = False
    flow: Flow | None = None

    def __init__(self, answerer: Answerer | None, handle: Handle) -> None:
        """Answer with an `Answerer` or plainly; `handle` is what it knows of the SYN beside the option."""
        self.answerer = answerer
        self._handle = handle
        self._answered = False
        self._over = False

    def begin(self, iss: int, now: int) -> list[Effect]:  # noqa: ARG002
        """Nothing is sent before a SYN has come."""
        return []

    def lost(self) -> list[Effect]:
        """The SYN-ACK was not answered in time: the transport sends it again as it was (EST-09)."""
        return []

    def gave_up(self) -> list[Effect]:
        """Nothing has followed the SYN-ACK, and the transport no longer waits."""
        return [] if self.answerer is None else self.answerer.gave_up()

    def received(self, segment: TcpSegment, iss: int, now: int) -> list[Effect]:
        """A segment of the opener."""
        if self.answerer is not None:
            return self.answerer.received(as_handshake(segment, opener=True), self._handle, iss, now)
        if segment.rst or self._over:
            return []
        if segment.syn:
            return [SendSynAck(None)]
        self._over = True
        return [PLAIN]


Opening = ActiveOpening | PassiveOpening
