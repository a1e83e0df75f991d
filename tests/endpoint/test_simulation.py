"""A few hundred of the seeded runs; `python -m tests.endpoint.simulation --runs 10000` plays as many as one likes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome, needs
from tests.endpoint.simulation import Plan, plan, play, run, segments
from tioption.build.capture_file import pcap
from tioption.capture import Capture, Segment
from tioption.verdict.validator import Validator

CHUNKS = 15


@pytest.mark.parametrize("first", range(1, 301, CHUNKS))
def test_streams_are_exact_or_both_are_told(first: int) -> None:
    for seed in range(first, first + CHUNKS):
        _, outcome, problems, *_ = play(seed)
        assert not problems, f"python -m tests.endpoint.simulation --seed {seed}: {outcome}: {problems}"


def test_the_runs_are_what_they_are_meant_to_be() -> None:
    """Breaks do happen, most flows survive them, and paths alter, strip and refuse."""
    played = [play(seed) for seed in range(1, 51)]
    assert sum(resumed for *_, resumed, _, _ in played) > 25
    kinds = {outcome.partition(":")[0] for _, outcome, *_ in played}
    assert {"flow/flow", "legacy/legacy"} <= kinds
    assert sum(outcome == "flow/flow: exact" for _, outcome, *_ in played) > 30


def test_a_seed_is_a_run() -> None:
    first, again = run(plan(3)), run(plan(3))
    assert [one.packet for one in first.network.taps[0]] == [one.packet for one in again.network.taps[0]]


def busy() -> Plan:
    """A plan with a resume in it."""
    return next(made for made in map(plan, range(1, 100)) if made.honest and run(made).resumed)


def test_a_run_s_capture_reads_as_the_run_was(tmp_path: Path) -> None:
    """What the network recorded, through a file and the reader of captures."""
    result = run(busy())
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(((one.time_ns, one.packet) for one in result.network.taps[0]), 101))
    validator = Validator()
    with Capture(str(path)) as capture:
        read = [one for one in capture.segments() if isinstance(one, Segment)]
    for segment in read:
        validator.observe(segment)
    assert len(read) == sum(1 for _ in segments(result.network.taps[0]))
    assert "resumed" in {judged.outcome.verdict.value for judged in validator.judged.values()}


def test_a_failure_replays_with_one_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.endpoint.simulation", "--seed", "3"]
    done = subprocess.run(
        [*command, "--log", "--pcap", str(tmp_path / "x")], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Plan(seed=3,")
    assert all(json.loads(line)["name"] for line in lines if line.startswith("{"))
    assert {path.name for path in tmp_path.iterdir()} == {"x-a.pcap", "x-b.pcap"}


@pytest.mark.parametrize("seed", [56, 74, 391, 988, 6226, 6733])
def test_wireshark_s_plugin_agrees_on_what_passed_both_hosts(
    seed: int, tmp_path: Path, tiopt: Callable[..., Outcome]
) -> None:
    """Segments late, repeated and out of order, several transports a flow."""
    needs("tshark")
    result = run(plan(seed))
    for name, tap in zip("ab", result.network.taps, strict=True):
        path = tmp_path / f"{name}.pcap"
        path.write_bytes(pcap(((one.time_ns, one.packet) for one in tap), 101))
        outcome = tiopt("wireshark", "check", path)
        assert outcome.status == 0, outcome.out
