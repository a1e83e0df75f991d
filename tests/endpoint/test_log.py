"""The event log: JSON Lines of what was decided and why."""

from __future__ import annotations

import json

from tests.endpoint.hosts import Hosts
from tioption.endpoint.log import EventLog


def test_a_run_tells_its_story() -> None:
    lines: list[str] = []
    hosts = Hosts(log=lines.append)
    a = hosts.connect()
    a.resume(hosts.now)
    hosts.run(100)
    events = [json.loads(line) for line in lines]
    assert [event["name"] for event in events if event["host"] == "a" and event["name"].startswith("flow:")] == [
        "flow:opened",
        "flow:resuming",
        "flow:resumed",
    ]
    assert all(set(event) == {"time", "host", "name", "data"} for event in events)
    (resuming,) = (event for event in events if event["name"] == "flow:resuming")
    assert resuming["data"]["why"] == "asked for"
    assert resuming["time"] == "1700000000.100000000"


def test_without_a_sink_there_is_none() -> None:
    assert not EventLog()
    EventLog().record(0, "x:y")
