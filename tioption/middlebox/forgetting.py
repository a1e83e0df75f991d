"""Why a box with state loses it, and what it then says to segments it no longer knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tioption.capture.segment import ACK, RST
from tioption.middlebox.box import BACK, Emitted, Way, passed
from tioption.middlebox.packet import Packet
from tioption.middlebox.parameters import TIME, Parameter, choice, whole

FORGET: Final = Parameter(
    "forget", TIME, None, "Lose all state this long after the first packet, once.", ("", "100ms", "2s")
)
AFTER: Final = Parameter("after", whole(1, 1 << 30), None, "Lose all state before the packet of this number, once.")
TIMEOUT: Final = Parameter("timeout", TIME, "5m", "Lose the state of a connection that is idle for so long.")
HOW: Final = Parameter(
    "how",
    choice("silent", "rst", "both"),
    "silent",
    "What unknown segments get: nothing, a RST to the sender, or RSTs to both.",
    ("silent", "rst", "both"),
)


class Trigger:
    """Tells when all state is lost: at a time after the first packet, and before the n-th; each once."""

    def __init__(self, forget: int | None, after: int | None) -> None:
        """Nothing has passed yet; None where there is no such time or number."""
        self._forget = forget
        self._after = after
        self._first: int | None = None
        self._count = 0

    def fires(self, now_ns: int) -> bool:
        """Whether state is lost before the packet that has come now."""
        self._count += 1
        if self._first is None:
            self._first = now_ns
        fires = self._count == self._after
        if self._forget is not None and now_ns - self._first >= self._forget:
            self._forget = None
            fires = True
        return fires


def refused(segment: Packet, way: Way, how: str) -> Iterator[Emitted]:
    """What a box sends because of a segment that it knows no connection for.

    The RST to the sender is the one of RFC 9293 §3.10.7.1, as Linux sends it for `reject with tcp reset`. The one to
    the receiver, as some firewalls add it, is where the refused segment would have been.
    """
    if how == "silent" or (reset := segment.reset()) is None:
        return
    yield passed(reset, BACK[way])
    if how == "both":
        # A RST is taken where it is exactly the next number expected (RFC 5961 §3.2).
        yield passed(segment.beside(RST | segment.flags & ACK, segment.seq, segment.ack), way)
