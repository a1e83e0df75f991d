"""`tiopt validate` as its users run it: golden and shared captures, formats, exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT, SHARED, Outcome, tiopt_process
from tioption.build.catalogue import SCENARIOS
from tioption.rules import RULES

Run = Callable[..., Outcome]
TRUTH_FILE = SHARED / "captures" / "TRUTH.json"
TRUTH: dict[str, Any] = json.loads(TRUTH_FILE.read_text())["files"] if TRUTH_FILE.exists() else {}

CONNECTION_KEYS = [
    *("type", "file", "index", "src", "sport", "dst", "dport", "verdict", "reason", "variant", "tifid", "transport"),
    "findings",
]
FINDING_KEYS = ["rule", "severity", "frame", "offset", "expected", "found", "text"]


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def golden(name: str) -> Path:
    return ROOT / f"pcaps/{name}/{name}.pcap"


@pytest.mark.parametrize(
    ("name", "verdicts", "warnings"),
    [
        ("trace1", [("legacy", "no-option-in-synack")], {("EST-02", 1)}),
        ("trace2", [("established", "")], {("EST-02", 1), ("EST-02", 2)}),
        ("legacy-initiator", [("legacy", "no-option-in-syn")], set()),
        ("resume", [("established", ""), ("resumed", "")], {("EST-02", 1), ("EST-02", 2)}),
    ],
)
def test_golden_captures(
    name: str, verdicts: list[tuple[str, str]], warnings: set[tuple[str, int]], tiopt: Run
) -> None:
    status, out, err = tiopt("validate", "--format", "json", golden(name))
    assert (status, err) == (0, "")
    *report, summary = rows(out)
    connections = [row for row in report if row["type"] == "connection"]
    assert [(row["verdict"], row["reason"]) for row in connections] == verdicts
    found = [finding for row in report for finding in row["findings"]]
    assert {(finding["rule"], finding["frame"]) for finding in found} == warnings
    assert summary["violations"] == 0
    assert summary["warnings"] == len(warnings)
    assert tiopt("validate", "--strict", golden(name)).status == (1 if warnings else 0)


def test_a_resumed_flow_is_one_flow_with_two_transports(tiopt: Run) -> None:
    (flow,) = [row for row in rows(tiopt("validate", "-f", "json", golden("resume")).out) if row["type"] == "flow"]
    assert flow == {
        "type": "flow",
        "tifid": "5e1c07a9d344",
        "variant": "flow-d",
        "transports": [0, 1],
        "reconnects": [{"frame": 13, "rtt": 0.021, "outage": 58.59}],
        "bytes": [1000, 500],
        "findings": [],
    }


@pytest.mark.skipif(not TRUTH, reason="no shared captures on this machine")
@pytest.mark.parametrize("name", TRUTH)
def test_captures_others_made_are_legacy_or_incomplete(name: str, tiopt: Run) -> None:
    status, out, err = tiopt("validate", "--format", "json", SHARED / "captures" / name)
    *report, summary = rows(out)
    assert "Traceback" not in err
    assert status in {0, 3}
    assert summary["violations"] == 0
    assert all(row["type"] == "connection" for row in report)
    for row, stream in zip(report, TRUTH[name]["streams"], strict=True):
        whole = stream["syn"] and stream["synack"] and stream["first_ack"]
        assert row["verdict"] == ("legacy" if whole else "incomplete"), (row, stream)


def test_json_has_the_contract_s_keys(tmp_path: Path, tiopt: Run) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(SCENARIOS["est-05-wrong"].pcap())
    status, out, _ = tiopt("validate", "--format", "json", path)
    assert status == 1
    connection, summary = rows(out)
    assert list(connection) == CONNECTION_KEYS
    (finding,) = connection["findings"]
    assert list(finding) == FINDING_KEYS
    assert (finding["rule"], finding["severity"], finding["frame"], finding["offset"]) == ("EST-05", "violation", 2, 20)
    assert int(finding["found"], 16) == int(finding["expected"], 16) + 1
    assert {"connections", "established", "resumed", "unconfirmed", "legacy", "incomplete"} <= set(summary)
    assert (summary["violations"], summary["warnings"], summary["notes"]) == (1, 0, 0)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_exit_status_is_that_of_the_findings(name: str, tmp_path: Path, tiopt: Run) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(SCENARIOS[name].pcap(3))
    status, out, err = tiopt("validate", "--format", "json", path)
    *report, summary = rows(out)
    found = [finding for row in report for finding in row["findings"]]
    severities = [finding["severity"] for finding in found]
    assert err == ""
    assert status == (1 if "violation" in severities else 0)
    assert {severity: summary[f"{severity}s"] for severity in ("violation", "warning", "note")} == {
        severity: severities.count(severity) for severity in ("violation", "warning", "note")
    }
    strict = tiopt("validate", "--strict", "--format", "junit", path)
    assert strict.status == (1 if {"violation", "warning"} & set(severities) else 0)
    suite = ElementTree.fromstring(strict.out.encode())[0]
    assert int(suite.get("tests", "-1")) == len(report)
    assert (int(suite.get("failures", "-1")) > 0) == bool(strict.status)
    text = tiopt("validate", path).out
    assert all(f"frame {finding['frame']}: {finding['rule']} {finding['severity']}" in text for finding in found)


def test_severities_are_the_rules_but_where_the_specification_weighs_cases(tmp_path: Path, tiopt: Run) -> None:
    weighed = {"OPT-01", "EST-10", "LEG-07", "MAP-04"}
    for name in SCENARIOS:
        path = tmp_path / "x.pcap"
        path.write_bytes(SCENARIOS[name].pcap(4))
        for row in rows(tiopt("validate", "--format", "json", path).out)[:-1]:
            for finding in row["findings"]:
                severity = RULES[finding["rule"]].severity
                assert severity is not None
                assert finding["severity"] == severity.value or finding["rule"] in weighed


def test_positions_only_note_where_the_flow_began_before_the_capture(tmp_path: Path, tiopt: Run) -> None:
    """The same resume, out of range, with the flow's first SYN and without it."""
    whole = SCENARIOS["res-02-wrong"].pcap()
    path = tmp_path / "x.pcap"
    for cut, severity in ((0, "warning"), (1, "note")):
        at = 24
        for _ in range(cut):
            at += 16 + int.from_bytes(whole[at + 8 : at + 12], "little")
        path.write_bytes(whole[:24] + whole[at:])
        found = [one for row in rows(tiopt("validate", "-f", "json", path).out)[:-1] for one in row["findings"]]
        assert [(one["rule"], one["severity"]) for one in found] == [("RES-02", severity)]


def test_a_damaged_file_is_judged_up_to_the_damage(tmp_path: Path, tiopt: Run) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(golden("resume").read_bytes()[:-5])
    status, out, err = tiopt("validate", path, golden("trace2"))
    assert status == 3
    assert "resumed" in out
    assert f"{golden('trace2')}:\n0  192.168.1.2:11305" in out
    assert err.startswith(f"tiopt: {path}: frame 19, offset ")


def test_standard_input_and_several_files() -> None:
    done = tiopt_process("validate", "-", golden("trace1"), stdin=golden("trace2").read_bytes())
    assert done.status == 0
    assert done.out.startswith("-:\n0  192.168.1.2:11305 > 192.168.2.4:22  established")
    assert done.out.splitlines()[-1] == "2 connections: 1 established, 1 legacy; 0 violations, 3 warnings, 0 notes"


def test_other_kinds(tmp_path: Path, tiopt: Run) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(golden("trace2").read_bytes().replace(b"\xfd\x14", b"\x4d\x14"))
    assert "legacy (no-option-in-syn)" in tiopt("validate", path).out
    assert "established" in tiopt("validate", "--kind-d", 77, path).out
    assert tiopt("validate", "--kind-d", 254, path).status == 2


CHANGE_KEYS = ["what", "rule", "severity", "client_frame", "server_frame", "expected", "found", "text"]


def two_points(name: str, folder: Path) -> tuple[Path, Path]:
    """A scenario's captures at both hosts."""
    talk = SCENARIOS[name].conversation(2)
    paths = folder / "client.pcap", folder / "server.pcap"
    talk.write(paths[0], "A")
    talk.write(paths[1], "B")
    return paths


@pytest.mark.parametrize(
    ("name", "status", "whats"),
    [
        ("established", 0, []),
        ("resume", 0, []),
        ("mbx-01-wrong", 0, [("isn-rewritten", "MBX-01", "note")]),
        ("mbx-02-wrong", 0, [("overwritten", "MBX-02", "note")]),
        ("mbx-03-wrong", 0, [("split", "MBX-03", "note")]),
        ("mbx-05-wrong", 1, [("altered", "MBX-05", "violation")]),
        ("stripped-backward", 0, [("stripped", "MBX-02", "note")]),
        *((f"mbx-0{number}-right", 0, []) for number in (1, 2, 3, 5)),
    ],
)
def test_two_points(name: str, status: int, whats: list[tuple[str, str, str]], tmp_path: Path, tiopt: Run) -> None:
    files = two_points(name, tmp_path)
    done = tiopt("validate", "--compare", "-f", "json", *files)
    assert (done.status, done.err) == (status, "")
    *report, summary = rows(done.out)
    assert all(
        list(row) == ["type", "client", "server", "variant", "tifid", "changes", "lost"]
        and list(row["client"]) == list(row["server"]) == ["index", "verdict", "reason"]
        for row in report
    )
    changes = [change for row in report for change in row["changes"]]
    assert all(list(change) == CHANGE_KEYS for change in changes)
    assert [(change["what"], change["rule"], change["severity"]) for change in changes] == whats
    severities = [severity for _, _, severity in whats]
    assert [summary[f"{one}s"] for one in ("violation", "warning", "note")] == [
        severities.count(one) for one in ("violation", "warning", "note")
    ]
    assert summary["connections"] == 2 * len(report)
    text = tiopt("validate", "--compare", *files)
    assert text.status == status
    assert all(f"{rule} {severity}: " in text.out for _, rule, severity in whats)
    assert tiopt("validate", "--compare", "--strict", *files).status == status


def test_two_points_in_words(tmp_path: Path, tiopt: Run) -> None:
    out = tiopt("validate", "--compare", *two_points("stripped-backward", tmp_path)).out
    head, change, summary = out.splitlines()
    assert head.startswith("0/0  192.0.2.1:")
    assert "client: legacy (no-option-in-synack), server: legacy (ack-without-option)  flow-d " in head
    assert change == "    client frame 2, server frame 2: MBX-02 note: the option of the SYN-ACK is stripped"
    assert summary == "2 connections: 2 legacy; 0 violations, 0 warnings, 1 note"
    lines = tiopt("validate", "--compare", *two_points("resume", tmp_path)).out.splitlines()
    assert lines[1:3] == ["    1 segment lost from client to server", "    1 segment lost from server to client"]
    assert lines[4] == "    nothing changed"


def test_two_points_of_which_one_has_seen_nothing(tmp_path: Path, tiopt: Run) -> None:
    client, server = two_points("established", tmp_path)
    server.write_bytes(server.read_bytes()[:24])
    status, out, _ = tiopt("validate", "--compare", "-f", "json", client, server)
    assert status == 0
    row, _ = rows(out)
    assert (row["client"]["verdict"], row["server"], row["changes"]) == ("established", None, [])
    text = tiopt("validate", "--compare", server, client).out
    assert text.startswith("-/0  192.0.2.1:")
    assert "client: not seen, server: established" in text


def test_two_points_with_other_kinds_and_damage(tmp_path: Path, tiopt: Run) -> None:
    files = two_points("mbx-05-wrong", tmp_path)
    for file in files:
        file.write_bytes(file.read_bytes().replace(b"\xfd\x14", b"\x4d\x14"))
    assert tiopt("validate", "--compare", *files).status == 0
    assert tiopt("validate", "--compare", "--kind-d", 77, *files).status == 1
    files[1].write_bytes(files[1].read_bytes()[:-5])
    status, out, err = tiopt("validate", "--compare", "--kind-d", 77, *files)
    assert status == 3
    assert "MBX-05 violation" in out
    assert err.startswith(f"tiopt: {files[1]}: frame ")


def test_two_points_are_two_files(tmp_path: Path, tiopt: Run) -> None:
    files = two_points("established", tmp_path)
    for wrong in (files[:1], (*files, files[0])):
        status, out, err = tiopt("validate", "--compare", *wrong)
        assert (status, out) == (2, "")
        assert f"not {len(wrong)}" in err
    assert tiopt("validate", "--compare", "--format", "junit", *files).status == 2
