"""`tiopt validate` of a capture cut in pieces says what it says of the whole, wherever it is cut."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conftest import Outcome, tiopt_process
from tests.pieces import HEADER, cut, packets, time_of
from tioption.build.catalogue import SCENARIOS

Run = Callable[..., Outcome]

PLAIN = {"legacy-initiator", "leg-02-right"}
"""Nothing of the option in them: their connections are not joined."""

HOSTS = {"sec-01-wrong", "sec-04-wrong"}
"""About all connections of a host: judged in each file alone."""

FORGOTTEN = {("leg-04-wrong", 2)}
"""Cut between a SYN with the option and its repetition without: the second part is a whole, plain connection."""


class Report:
    """What a report says, with frames counted through all files and nothing of the files themselves."""

    def __init__(self, out: str, before: dict[str, int]) -> None:
        *rows, self.summary = map(json.loads, out.splitlines())
        self.connections: list[Any] = []
        self.flows: list[Any] = []
        file = next(iter(before))
        for row in rows:
            file = row.get("file", file)
            found = Counter(
                json.dumps({**one, "file": "", "frame": before[one.get("file", file)] + one["frame"]})
                for one in row["findings"]
            )
            if row["type"] == "connection":
                self.connections.append([row[key] for key in CONNECTION] + [found])
            else:
                resumes = [
                    (before[one.get("file", file)] + one["frame"], one["rtt"], one["outage"])
                    for one in row["reconnects"]
                ]
                self.flows.append([row[key] for key in FLOW] + [len(row["transports"]), resumes, found])

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Report)
        return (
            sorted(map(repr, self.connections)) == sorted(map(repr, other.connections))
            and sorted(map(repr, self.flows)) == sorted(map(repr, other.flows))
            and self.summary == other.summary
        )

    def rules(self) -> Counter[str]:
        """The rules that are broken, but for notes."""
        found = [json.loads(text) for row in self.connections + self.flows for text in row[-1].elements()]
        return Counter(one["rule"] for one in found if one["severity"] != "note")

    __hash__ = None  # type: ignore[assignment]


CONNECTION = ("src", "sport", "dst", "dport", "verdict", "reason", "variant", "tifid", "transport")
FLOW = ("tifid", "variant", "bytes")


def reported(tiopt: Run, paths: list[Path], *words: object) -> Report:
    done = tiopt("validate", "--format", "json", *words, *paths)
    assert done.err == ""
    before, count = {}, 0
    for path in paths:
        before[str(path)] = count
        count += len(packets(path.read_bytes()))
    return Report(done.out, before)


@pytest.mark.parametrize("name", SCENARIOS)
def test_two_files_say_what_one_says(name: str, tmp_path: Path, tiopt: Run) -> None:
    capture = SCENARIOS[name].pcap()
    whole = reported(tiopt, cut(capture, (), tmp_path))
    for at in range(1, len(packets(capture))):
        parts = reported(tiopt, cut(capture, (at,), tmp_path))
        if name not in HOSTS:
            assert not parts.rules() - whole.rules(), at
        if name not in PLAIN | HOSTS and (name, at) not in FORGOTTEN:
            assert parts == whole, at


@pytest.mark.parametrize("name", ["resume", "res-16-wrong", "res-02-wrong", "res-15-wrong", "map-04-wrong"])
def test_three_files_say_what_one_says(name: str, tmp_path: Path, tiopt: Run) -> None:
    capture = SCENARIOS[name].pcap()
    whole = reported(tiopt, cut(capture, (), tmp_path))
    for cuts in combinations(range(1, len(packets(capture))), 2):
        assert reported(tiopt, cut(capture, cuts, tmp_path)) == whole, cuts


def test_the_order_of_files_is_that_of_the_report_not_of_time(tmp_path: Path, tiopt: Run) -> None:
    capture = SCENARIOS["resume"].pcap()
    first, second = cut(capture, (9,), tmp_path)
    done = tiopt("validate", second, first)
    assert done.status == 0
    lines = done.out.splitlines()
    assert [line for line in lines if line.endswith(".pcap:")] == [f"{second}:", f"{first}:"]
    assert lines[1].endswith("resumed  flow-d 91b759d8f16b, transport 2")
    assert f"connections 0 in {first}, 0 in {second}  1000 and 500 bytes; resumed in frame 3 of {second}" in done.out


def test_the_contract_of_joined_rows(tmp_path: Path, tiopt: Run) -> None:
    capture = SCENARIOS["resume"].pcap()
    paths = [str(path) for path in cut(capture, (5, 11), tmp_path)]
    *rows, summary = map(json.loads, tiopt("validate", "-f", "json", *paths).out.splitlines())
    connections = [row for row in rows if row["type"] == "connection"]
    (flow,) = [row for row in rows if row["type"] == "flow"]
    assert [(row["file"], row["index"]) for row in connections] == [(paths[0], 0), (paths[1], 1)]
    assert [row["continues"] for row in connections] == [[paths[1]], [paths[2]]]
    assert flow["transports"] == [0, 1]
    assert flow["files"] == paths[:2]
    assert [one["file"] for one in flow["reconnects"]] == [paths[2]]
    assert summary["connections"] == 2
    text = tiopt("validate", *paths).out
    assert f"transport 1, goes on in {paths[1]}\n" in text
    (suites,) = [ElementTree.fromstring(tiopt("validate", "-f", "junit", *paths).out.encode())]
    assert [suite.get("tests") for suite in suites] == ["2", "1", "0"]


def test_findings_name_the_file(tmp_path: Path, tiopt: Run) -> None:
    capture = SCENARIOS["est-05-wrong"].pcap()
    first, second = cut(capture, (1,), tmp_path)
    status, out, _ = tiopt("validate", first, second)
    assert status == 1
    assert f"    frame 1 of {second}: EST-05 violation: " in out
    assert tiopt("validate", second).status == 0


@pytest.mark.parametrize("name", ["established", "resume", "mbx-01-wrong", "stripped-backward"])
def test_two_points_are_not_joined(name: str, tmp_path: Path, tiopt: Run) -> None:
    """The same traffic twice is no flow that goes on, whatever the clocks say."""
    paths = tmp_path / "client.pcap", tmp_path / "server.pcap"
    talk = SCENARIOS[name].conversation(2)
    talk.write(paths[0], "A")
    talk.write(paths[1], "B")
    for late in (0, 3600):
        octets = bytearray(paths[1].read_bytes())
        at = HEADER
        while at < len(octets):
            seconds = int.from_bytes(octets[at : at + 4], "little") + late
            octets[at : at + 4] = seconds.to_bytes(4, "little")
            at += 16 + int.from_bytes(octets[at + 8 : at + 12], "little")
        paths[1].write_bytes(octets)
        both = tiopt("validate", "-f", "json", *paths).out.splitlines()[:-1]
        each = [line for path in paths for line in tiopt("validate", "-f", "json", path).out.splitlines()[:-1]]
        assert both == each


def test_flows_of_two_interfaces_at_once(tmp_path: Path, tiopt: Run) -> None:
    """A transport in each of two captures that overlap in time."""
    capture = SCENARIOS["res-10-wrong"].pcap()
    frames = packets(capture)
    ports: list[bytes] = [frame[16 + 14 + 20 : 16 + 14 + 24] for frame in frames]
    first = {ports[0], ports[0][2:] + ports[0][:2]}
    paths = tmp_path / "eth0.pcap", tmp_path / "eth1.pcap"
    for path, wanted in zip(paths, (True, False), strict=True):
        kept = [frame for frame, one in zip(frames, ports, strict=True) if (one in first) is wanted]
        path.write_bytes(capture[:HEADER] + b"".join(kept))
    *rows, summary = map(json.loads, tiopt("validate", "-f", "json", *paths).out.splitlines())
    *whole, expected = map(json.loads, tiopt("validate", "-f", "json", *cut(capture, (), tmp_path)).out.splitlines())
    assert summary == expected
    (flow,), (other,) = ([row for row in some if row["type"] == "flow"] for some in (rows, whole))
    assert flow["files"] == [str(path) for path in paths]
    assert flow["bytes"] == other["bytes"]


def test_standard_input_takes_no_part(tmp_path: Path) -> None:
    first, second = cut(SCENARIOS["resume"].pcap(), (9,), tmp_path)
    done = tiopt_process("validate", "-f", "json", "-", second, stdin=first.read_bytes())
    assert done.status == 0
    assert not any("files" in json.loads(line) for line in done.out.splitlines())


def test_the_same_in_python_and_in_several_processes(tmp_path: Path) -> None:
    for name in ("resume", "res-15-wrong"):
        paths = cut(SCENARIOS[name].pcap(), (2, 7), tmp_path)
        for form in ("text", "json"):
            done = [
                tiopt_process("validate", "-f", form, "--jobs", jobs, *paths, env=env)
                for jobs, env in (("1", {}), ("2", {}), ("1", {"TIOPT_PURE": "1"}))
            ]
            assert done[0] == done[1] == done[2]


def test_many_flows_over_many_files(tmp_path: Path, tiopt: Run) -> None:
    """All scenarios one after the other, cut in ten: what is joined beside much that is not."""
    parts = [packets(SCENARIOS[name].pcap(seed)) for seed, name in enumerate(("established", "resume", "res-12-wrong"))]
    header = SCENARIOS["resume"].pcap()[:HEADER]
    frames: list[bytes] = [frame for part in parts for frame in part]
    step = len(frames) // 10
    frames.sort(key=time_of)
    whole = header + b"".join(frames)
    parted = reported(tiopt, cut(whole, range(step, len(frames) - step, step), tmp_path))
    assert parted == reported(tiopt, cut(whole, (), tmp_path))
