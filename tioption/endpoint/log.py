"""The event log: what an endpoint decided and why, one JSON object a line, in the manner of qlog.

Each line has `time` (seconds, 9 decimals), `host`, `name` (`category:event`) and `data`. The sink is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

Sink = Callable[[str], object]
"""Takes one line without its end."""


class EventLog:
    """Writes events to a sink."""

    __slots__ = ("_host", "_sink")

    def __init__(self, sink: Sink | None = None, host: str = "") -> None:
        """Write to `sink`, under the name of a host; without a sink nothing is written."""
        self._sink: Final = sink
        self._host: Final = host

    def __bool__(self) -> bool:
        return self._sink is not None

    def record(self, now: int, name: str, **data: object) -> None:
        """One event at `now` nanoseconds."""
        if self._sink is None:
            return
        seconds, rest = divmod(now, 1_000_000_000)
        line = {"time": f"{seconds}.{rest:09d}", "host": self._host, "name": name, "data": data}
        self._sink(json.dumps(line, default=str))
