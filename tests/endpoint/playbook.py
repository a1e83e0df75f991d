"""A notation for tests of one side: what comes in, what must go out, what must be reported, line by line.

    Playbook(connection) >> open_ << syn() >> syn_ack() << ack() << ...

`>>` lets something happen: a segment arrives, time passes, a function is called. `<<` says what was sent since, and an
event what was reported. Nothing sent may go unmentioned; what was reported may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.endpoint.connection import Connection
from tioption.endpoint.rtt import MS
from tioption.endpoint.wire import TcpSegment


class Wait(NamedTuple):
    """Time that passes, in milliseconds; timers run when they are due."""

    ms: int


class Sent(NamedTuple):
    """A segment that must have been sent; what is None is not looked at, numbers are offsets from the ISNs."""

    flags: int
    seq: int | None = None
    ack: int | None = None
    payload: bytes | None = None
    fields: tuple[tuple[str, Any], ...] = ()


def sent(
    flags: int, seq: int | None = None, ack: int | None = None, payload: bytes | None = None, **fields: Any
) -> Sent:
    return Sent(flags, seq, ack, payload, tuple(fields.items()))


class Playbook:
    """One connection under test; the peer's ISN is `irs`."""

    def __init__(self, connection: Connection, irs: int = 5000) -> None:
        self.connection = connection
        self.irs = irs
        self.now = 1_700_000_000_000 * MS
        self.out: list[TcpSegment] = []
        self.events: list[Any] = []

    def __rshift__(self, happening: TcpSegment | Wait | Callable[[int], object]) -> Playbook:
        assert not self.out, f"nobody expected {[str(one) for one in self.out]}"
        if isinstance(happening, TcpSegment):
            self.connection.receive_segment(happening, self.now)
        elif isinstance(happening, Wait):
            self._wait(happening.ms * MS)
        else:
            happening(self.now)
        self._collect()
        return self

    def _wait(self, duration: int) -> None:
        end = self.now + duration
        while (timer := self.connection.next_timer()) is not None and timer <= end:
            self.now = max(self.now, timer)
            self.connection.handle_timer(self.now)
            self._collect()
        self.now = end

    def _collect(self) -> None:
        self.out += self.connection.segments_to_send(self.now)
        self.events += self.connection.take_events()

    def __lshift__(self, expected: Sent | object | None) -> Playbook:
        if expected is None:
            assert not self.out, f"nobody expected {[str(one) for one in self.out]}"
        elif isinstance(expected, Sent):
            assert self.out, f"expected {expected}, found nothing"
            self._compare(self.out.pop(0), expected)
        else:
            assert expected in self.events, f"expected {expected}, found {self.events}"
            self.events.remove(expected)
        return self

    def _compare(self, segment: TcpSegment, expected: Sent) -> None:
        found: dict[str, Any] = {"flags": segment.flags}
        wanted: dict[str, Any] = {"flags": expected.flags}
        if expected.seq is not None:
            found["seq"] = (segment.seq - self.connection.sender.iss) % 2**32
            wanted["seq"] = expected.seq
        if expected.ack is not None:
            found["ack"] = (segment.ack - self.irs) % 2**32
            wanted["ack"] = expected.ack
        if expected.payload is not None:
            found["payload"] = segment.payload
            wanted["payload"] = expected.payload
        for name, value in expected.fields:
            found[name] = getattr(segment, name)
            wanted[name] = value
        assert found == wanted

    # What the peer sends; numbers are offsets from the ISNs.

    def peer(
        self, flags: int, seq: int = 1, ack: int = 1, payload: bytes = b"", window: int = 65535, **fields: Any
    ) -> TcpSegment:
        number = (self.connection.sender.iss + ack) % 2**32 if flags & ACK else 0
        return TcpSegment((self.irs + seq) % 2**32, number, flags, window, payload, **fields)


__all__ = ["ACK", "FIN", "PSH", "RST", "SYN", "Playbook", "Wait", "sent"]
