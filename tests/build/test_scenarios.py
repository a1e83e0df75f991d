"""Scenarios: every rule of the wire has one that keeps it and one that breaks it, and what they write is sound."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import needs
from tioption.build.catalogue import SCENARIOS
from tioption.capture import Capture, Segment
from tioption.rules import RULES
from tioption.verdict import findings
from tioption.verdict.segment import SEGMENT_RULES

PAPER_ROWS = {
    *("trace1", "trace2", "legacy-initiator", "legacy-responder", "stripped-forward", "stripped-backward", "resume"),
    *("resume-elsewhere", "resume-twice", "flow-c", "established", "established-ipv6"),
}


def test_every_row_of_the_paper_and_every_rule_of_the_wire_has_its_scenarios() -> None:
    wire = {rule.id for rule in RULES.values() if rule.where.value == "wire"}
    named = {f"{rule.lower()}-{side}" for rule in wire for side in ("right", "wrong")}
    assert set(SCENARIOS) == PAPER_ROWS | named


@pytest.mark.parametrize("name", SCENARIOS)
class TestEveryScenario:
    def test_the_same_seed_makes_the_same_octets(self, name: str) -> None:
        scenario = SCENARIOS[name]
        assert scenario.pcap(5) == scenario.pcap(5)
        assert scenario.pcap(5) != scenario.pcap(6)

    def test_the_capture_reads_back_whole(self, name: str, tmp_path: Path) -> None:
        talk = SCENARIOS[name].conversation(2)
        for at in ("path", "A", "B"):
            path = tmp_path / "x.pcap"
            talk.write(path, at)
            with Capture(str(path)) as capture:
                segments = list(capture.segments())
                assert not capture.undecoded
            if at == "path":
                assert len(segments) == len(talk.observed)
            assert all(isinstance(segment, Segment) for segment in segments)
            assert [segment.time_ns for segment in segments] == sorted(segment.time_ns or 0 for segment in segments)

    def test_what_single_segments_show_is_what_was_broken_on_purpose(self, name: str, tmp_path: Path) -> None:
        """The findings of `tiopt decode` are among the expected ones, and expected ones of its rules are found."""
        talk = SCENARIOS[name].conversation(2)
        path = tmp_path / "x.pcap"
        talk.write(path)
        found = set()
        with Capture(str(path)) as capture:
            for segment in capture.segments():
                assert isinstance(segment, Segment)
                found |= {(finding.rule, segment.frame) for finding in findings(segment, segment.walk_options())}
        expected = {(rule, frame) for rule, frame in talk.expected if rule in SEGMENT_RULES}
        if name == "leg-07-wrong":  # an echo shows as one only beside the SYN it echoes
            expected.add(("OPT-07", 2))
        incidental = {(rule, frame) for rule, frame in found if rule in {"OPT-08", "EST-11"}} - expected
        assert found - incidental == expected
        if (name.endswith("-right") and name != "leg-08-right") or name in PAPER_ROWS:
            assert found == set()

    def test_a_broken_rule_is_expected_and_a_kept_one_is_not(self, name: str) -> None:
        scenario = SCENARIOS[name]
        expected = {rule for rule, _ in scenario.conversation(2).expected}
        if scenario.kept:
            assert scenario.rule not in expected
            # A refusal needs somebody who refuses, ignoring a malformed option; the paper's rows have notes.
            assert name in {"res-06-right", "leg-08-right", "stripped-backward", "resume-elsewhere"} or not expected
        elif scenario.rule not in {"LEG-02", "CTL-01", "MBX-01", "MBX-02", "MBX-05"}:
            # Those show under another rule's name, or only between two captures.
            assert scenario.rule in expected

    def test_frames_named_are_frames_of_the_capture(self, name: str) -> None:
        talk = SCENARIOS[name].conversation(2)
        assert all(1 <= frame <= len(talk.observed) for _, frame in talk.expected)


def test_wireshark_finds_checksums_good_and_nothing_malformed(tmp_path: Path) -> None:
    """All scenarios merged into one capture: nothing is malformed but what was made so."""
    tshark = needs("tshark")
    checks = ["-oip.check_checksum:TRUE", "-otcp.check_checksum:TRUE"]
    bad = "ip.checksum.status == bad or tcp.checksum.status == bad or _ws.malformed"
    frames = [frame for scenario in SCENARIOS.values() for frame in scenario.conversation(3).frames()]
    from tioption.build.capture_file import pcap

    path = tmp_path / "all.pcap"
    path.write_bytes(pcap(frames))
    command = [tshark, "-n", "-r", str(path), *checks, "-Y", bad]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
