"""Captures that others made, against what tshark says is in them; skipped where they are not beside the repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import SHARED, Outcome

Run = Callable[..., Outcome]
TRUTH_FILE = SHARED / "captures" / "TRUTH.json"
TRUTH: dict[str, Any] = json.loads(TRUTH_FILE.read_text())["files"] if TRUTH_FILE.exists() else {}

pytestmark = pytest.mark.skipif(not TRUTH, reason="no shared captures on this machine")

# Files whose damage tshark reports too (its exit status was 2).
DAMAGED = {
    "36-suricata-verify-tls_DER-incomplete-header.pcap": "frame 7, offset 5043: expected a frame of at most 262144",
    "38-libpcap-shb-option-too-long.pcapng": "frame 1, offset 48: expected the block length 52 again",
}


@pytest.mark.parametrize("name", TRUTH)
def test_every_segment_is_found_and_none_has_a_flow_option(name: str, tiopt: Run) -> None:
    path = SHARED / "captures" / name
    status, out, err = tiopt("decode", "--all", "--format", "json", path)
    rows = [json.loads(line) for line in out.splitlines()]
    truth = TRUTH[name]
    assert len(rows) == truth["tcp_no_ip_reassembly"]["segments"]
    assert (
        sum(row["flags"] is not None and "S" in row["flags"] and "." not in row["flags"] for row in rows)
        == (truth["tcp_no_ip_reassembly"]["syn"])
    )
    assert (
        sum(row["flags"] is not None and "S" in row["flags"] and "." in row["flags"] for row in rows)
        == (truth["tcp_no_ip_reassembly"]["synack"])
    )
    assert all(row["variant"] is None for row in rows)
    assert tiopt("decode", "--format", "json", path).out == ""
    assert status == (3 if name in DAMAGED else 0)
    assert (truth["tshark_rc"] == 2) == (name in DAMAGED)
    assert "Traceback" not in err
    assert DAMAGED.get(name, "") in err


@pytest.mark.parametrize("name", [name for name in TRUTH if TRUTH[name]["exp_options"]])
def test_experiments_in_kinds_253_and_254_are_recognised(name: str) -> None:
    from tioption.capture import Capture, Segment
    from tioption.option import walk

    found = []
    with Capture(str(SHARED / "captures" / name)) as capture:
        for segment in capture.segments():
            assert isinstance(segment, Segment)
            found += [
                (segment.frame, option.kind, option.octets[2:].hex(), option.experiment)
                for option in walk(segment.options, segment.options_length)
                if option.kind in {253, 254}
            ]
    assert found == [(item["frame"], item["kind"], item["body"], "tfo") for item in TRUTH[name]["exp_options"]]


@pytest.mark.parametrize("name", TRUTH)
def test_handshakes_lie_in_the_frames_wireshark_says(name: str, tiopt: Run) -> None:
    rows = [
        json.loads(line) for line in tiopt("decode", "--all", "-f", "json", SHARED / "captures" / name).out.splitlines()
    ]
    frames = {row["frame"]: row["flags"] for row in rows}
    for stream in TRUTH[name]["streams"]:
        for frame, present, letters in zip(stream["frames"], ("syn", "synack"), ("S", "S."), strict=False):
            if stream[present] and frame is not None:
                assert set(letters) <= set(frames[frame])
