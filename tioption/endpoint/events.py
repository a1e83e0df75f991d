"""What a transport and an endpoint report: frozen values, in the order in which things happened."""

from __future__ import annotations

from dataclasses import dataclass

from tioption.handshake import Effect


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """The handshake engine has decided something that is not a segment to be sent."""

    effect: Effect


@dataclass(frozen=True, slots=True)
class TransportEstablished:
    """The three-way handshake is over."""


@dataclass(frozen=True, slots=True)
class TransportReset:
    """A RST came; `refused` says that it answered the SYN."""

    refused: bool = False


@dataclass(frozen=True, slots=True)
class TransportTimedOut:
    """Nothing was heard for so long that the transport is given up."""

    why: str


@dataclass(frozen=True, slots=True)
class TransportBroken:
    """The other side broke the protocol, and the transport was reset for it."""

    why: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A retransmission or a probe had no answer, the `times`-th in a row; the first was sent `since`."""

    times: int
    since: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The other side has answered again."""


@dataclass(frozen=True, slots=True)
class PeerFinished:
    """The other side's stream has ended, and all of it has come."""


@dataclass(frozen=True, slots=True)
class OwnFinished:
    """The other side has all of this side's stream and its end."""


@dataclass(frozen=True, slots=True)
class TransportClosed:
    """The transport is gone, in good order."""


TransportEvent = (
    HandshakeResult
    | TransportEstablished
    | TransportReset
    | TransportTimedOut
    | TransportBroken
    | Unanswered
    | Answered
    | PeerFinished
    | OwnFinished
    | TransportClosed
)


@dataclass(frozen=True, slots=True)
class Opened:
    """The application's connection stands; `mode` is `flow`, `unconfirmed` (EST-12) or `legacy`."""

    mode: str


@dataclass(frozen=True, slots=True)
class DataReceived:
    """There are octets to read, or more of them."""


@dataclass(frozen=True, slots=True)
class Writable:
    """There is room again after a write that was not taken whole."""


@dataclass(frozen=True, slots=True)
class EndReceived:
    """The other side's stream has ended."""


@dataclass(frozen=True, slots=True)
class FlowBroken:
    """The transport is broken; the flow waits to be resumed, or is being."""

    why: str


@dataclass(frozen=True, slots=True)
class FlowResumed:
    """Another transport carries the flow, the `transport`-th; it was broken for `outage` nanoseconds."""

    transport: int
    outage: int


@dataclass(frozen=True, slots=True)
class ResumeRejected:
    """An attempt to resume has failed; what was there before goes on."""

    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It is over: ConnectionResetError, ConnectionRefusedError or TimeoutError, as an application knows them."""

    error: OSError


@dataclass(frozen=True, slots=True)
class Closed:
    """Both streams have ended, and everything has arrived on both sides."""


EndpointEvent = (
    Opened | DataReceived | Writable | EndReceived | FlowBroken | FlowResumed | ResumeRejected | Failed | Closed
)
