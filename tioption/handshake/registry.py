"""The flows a host knows: those that live, those that sleep until they are resumed, identifiers that must rest.

No clock and no positions of its own: times come with each call, in nanoseconds, and positions are kept up to date by
whoever carries the streams. Every store is bounded (SEC-04).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tioption.option import FlowOption, Tifid, Variant
from tioption.seq import SEQ48

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and lifetimes, in nanoseconds and numbers."""

    dormant: int = 300 * SECOND
    """How long a flow without a transport is kept; never under 100 s (RES-21)."""
    quarantine: int = 240 * SECOND
    """How long an identifier rests after its flow ended: 2 MSL (RES-22)."""
    pending: int = 2
    """Resumes of one flow that may be pending at once (RES-16)."""
    flows: int = 65536
    """Flows kept, dormant ones included (SEC-04)."""
    window: int = 1 << 30
    """The largest distance a resume may stand from what is expected (RES-04)."""

    def __post_init__(self) -> None:
        """Refuse a dormant lifetime under 100 s."""
        if self.dormant < 100 * SECOND:
            raise ValueError(f"expected a dormant lifetime of at least 100 s, found {self.dormant / SECOND:g} s")


class FlowName(NamedTuple):
    """What names a flow: identifier spaces are separate per variant (CTL-02)."""

    variant: Variant
    tifid: Tifid


@dataclass(slots=True)
class Flow:
    """One flow as its host remembers it; positions are 48-bit and those of the host's own view."""

    name: FlowName
    opened: bool
    """Whether this host opened the flow."""
    una: int
    """Oldest own byte that is not acknowledged."""
    nxt: int
    """Next own byte to be sent."""
    rcv: int
    """Next byte expected of the other side."""
    window: int = 65535
    """Largest window advertised on any transport, in octets."""
    closed: bool = False
    """Whether this host has ended its stream (RES-15)."""
    dormant_since: int | None = None
    pending: int = 0
    """Resumes by the other side that are answered and not confirmed yet (RES-16)."""
    resumed: int = 0
    """How often the flow has been resumed."""
    resuming: bool = False
    """Whether this host is trying to resume it."""

    def accepts(self, offer: FlowOption, limits: Limits) -> bool:
        """Whether a resume stands where this flow can go on: never disabled (RES-04, SEC-03)."""
        expected = SEQ48.add(self.nxt, self.closed)
        distance = abs(SEQ48.difference(offer.tiseq, self.rcv))
        return SEQ48.contains(self.una, offer.tiack, expected) and distance <= min(self.window, limits.window)


class FlowRegistry:
    """Every flow of one host, and the identifiers that must not be issued again yet."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Start with no flow."""
        self.limits = limits or Limits()
        self._flows: dict[FlowName, Flow] = {}
        self._resting: dict[FlowName, int] = {}

    def __len__(self) -> int:
        return len(self._flows)

    @property
    def resting(self) -> int:
        """Identifiers of flows that are over, kept from being issued again."""
        return len(self._resting)

    def find(self, name: FlowName, now: int) -> Flow | None:
        """The flow of this name, None where it is unknown or has expired (RES-05, RES-21)."""
        flow = self._flows.get(name)
        if flow is not None and self._expired(flow, now):
            self.end(name, now)
            return None
        return flow

    def in_use(self, name: FlowName, now: int) -> bool:
        """Whether an identifier lives or rests, so that it must not be issued (SEC-02, RES-22)."""
        rests = self._resting.get(name)
        if rests is not None and now >= rests:
            del self._resting[name]
            rests = None
        return rests is not None or name in self._flows

    def first_in_use(self, variant: Variant, first: int, now: int) -> bool:
        """Whether a first half belongs to a flow that lives or rests (EST-01: locally unique)."""
        names = [*self._flows, *(name for name, rests in self._resting.items() if now < rests)]
        return any(name.variant is variant and name.tifid.first == first for name in names)

    def add(self, flow: Flow, now: int) -> bool:
        """Keep a flow; False where there is no room even after what has expired is gone (SEC-04)."""
        if len(self._flows) >= self.limits.flows:
            self.expire(now)
        if len(self._flows) >= self.limits.flows:
            return False
        self._flows[flow.name] = flow
        return True

    def sleep(self, name: FlowName, now: int) -> None:
        """The flow has lost its transport: it waits to be resumed."""
        flow = self._flows.get(name)
        if flow is not None:
            flow.dormant_since = now

    def wake(self, name: FlowName) -> None:
        """The flow has been resumed: it has a transport again."""
        flow = self._flows.get(name)
        if flow is not None:
            flow.dormant_since = None
            flow.resuming = False
            flow.resumed += 1

    def end(self, name: FlowName, now: int) -> None:
        """The flow is over; its identifier rests."""
        if self._flows.pop(name, None) is None:
            return
        self._resting.pop(name, None)
        self._resting[name] = now + self.limits.quarantine
        # The oldest rest first, and all rest equally long: what nobody asks for again must not stay for ever.
        while (first := next(iter(self._resting))) != name and now >= self._resting[first]:
            del self._resting[first]

    def expire(self, now: int) -> list[Flow]:
        """End every flow that has slept too long; each one's application gets ETIMEDOUT (RES-21)."""
        expired = [flow for flow in self._flows.values() if self._expired(flow, now)]
        for flow in expired:
            self.end(flow.name, now)
        return expired

    def _expired(self, flow: Flow, now: int) -> bool:
        return flow.dormant_since is not None and now - flow.dormant_since > self.limits.dormant
