"""What a user of the endpoint may choose, with the defaults; times in nanoseconds, sizes in octets."""

from __future__ import annotations

from dataclasses import dataclass, field

from tioption.endpoint.rtt import MS, SECOND
from tioption.handshake import Limits
from tioption.option import DEFAULT_KINDS, Kinds


@dataclass(frozen=True, slots=True)
class TcpConfig:
    """How one transport behaves."""

    mtu: int = 1500
    """Octets of the largest IP packet sent or asked for."""
    window_scaling: bool = True
    sack: bool = True
    timestamps: bool = True
    nagle: bool = False
    """Whether small segments wait for an acknowledgment (RFC 9293 §3.7.4)."""
    delayed_ack: int = 40 * MS
    """How long an acknowledgment may wait; 0 acknowledges at once."""
    least_timeout: int = 200 * MS
    """The shortest retransmission timeout; RFC 6298 §2.4 would have 1 s, which hardly anybody follows."""
    most_timeout: int = 60 * SECOND
    syn_retries: int = 7
    """How often a SYN or a SYN-ACK is sent again before it is given up (RFC 9293 MUST-23: 3 minutes for SYNs)."""
    user_timeout: int | None = 180 * SECOND
    """How long data may go unacknowledged before the connection is given up (RFC 5482); None: never."""
    time_wait: int = 60 * SECOND
    """2 MSL."""
    keep_alive: bool = True
    least_keep_alive: int = 1 * SECOND
    """The shortest silence that is asked about; the real one adapts to how often the peer is heard."""
    most_keep_alive: int = 75 * SECOND
    confirm_repeat: bool = False
    """Whether the confirming option is repeated until the answerer has spoken (EST-13)."""
    challenge_acks: int = 10
    """Challenge ACKs a second and connection (RFC 5961 §7)."""


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """How a flow outlives its transports."""

    threshold: int = 2
    """Retransmissions or probes in a row without an answer after which the transport counts as broken (RES-19)."""
    user_timeout: int = 10 * SECOND
    """How long data may go unacknowledged before that (RES-19)."""
    hold_off: int = 1 * SECOND
    """After a resume, how long before retransmissions count again as a broken transport."""
    retry: int = 2 * SECOND
    """How long before a resume that nobody answered is tried again; doubled each time."""
    most_retry: int = 30 * SECOND
    answerer_resumes: bool = False
    """Whether the host that answered resumes, too (RES-18)."""


@dataclass(frozen=True, slots=True)
class StackConfig:
    """What a host does for all its connections, and the bounds on what strangers can make it keep (SEC-04)."""

    enabled: bool = False
    """Whether the option is used at all: never a default of a live endpoint (OPT-02, RFC 4727)."""
    kinds: Kinds = DEFAULT_KINDS
    tcp: TcpConfig = field(default_factory=TcpConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    limits: Limits = field(default_factory=Limits)
    send_buffer: int = 1 << 18
    """Octets retained a stream at most."""
    receive_buffer: int = 1 << 18
    backlog: int = 256
    """Handshakes pending at a listener; beyond, SYNs are answered without keeping anything (EST-16)."""
    connections: int = 16384
    retained: int = 1 << 26
    """Octets that flows without a transport may retain together; beyond, the one that broke first is given up."""
    resets: int = 100
    """RSTs to strangers a second (RES-05)."""
    resumes: int = 20
    """Resume SYNs a second and source address (SEC-04)."""
    ttl: int = 64
