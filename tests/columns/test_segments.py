"""Columns against rows: the same values, whatever the segments are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.test_batch import capture_of
from tests.capture.wraps import cut_anywhere
from tests.conftest import golden_captures, shared_captures
from tests.render.test_batches import OPTION, batch_of
from tests.render.test_row_batches import BEFORE, CARRIED, FLAGS, FLOW, OTHER_KINDS, batches_of, packet
from tests.test_mutations import mutated, originals
from tioption.build.catalogue import SCENARIOS
from tioption.capture import Batch
from tioption.capture.segment import ACK, RST
from tioption.columns import ROW, Columns, SegmentColumns, address_texts
from tioption.columns.arrow import SCHEMA, record_batch
from tioption.option import DEFAULT_KINDS
from tioption.render import row_batches
from tioption.render.rows import KEYS, rows
from tioption.render.values import flags_text, seconds_text

MODES = [(every, kinds) for every in (False, True) for kinds in (OTHER_KINDS, DEFAULT_KINDS)]


def of_columns(made: Columns) -> list[dict[str, Any]]:
    """The rows that a record array says."""
    table, found = made
    sources, targets = (address_texts(table[name], table["family"]).tolist() for name in ("src", "dst"))
    said = []
    for number, row in enumerate(table):
        flow, captured, time = row["variant"] != "", row["captured"], row["time"]
        said.append(
            {
                "frame": row["frame"],
                "time": None if np.isnat(time) else seconds_text(int(time.astype("i8"))),
                "src": sources[number],
                "sport": row["sport"],
                "dst": targets[number],
                "dport": row["dport"],
                "flags": flags_text(row["flags"]) if captured >= 14 else None,
                "seq": row["seq"] if captured >= 8 else None,
                "ack": row["ack"] if captured >= 12 else None,
                "variant": row["variant"] if flow else None,
                **{name: f"{row[name]:012x}" if flow else None for name in ("tifid", "tiseq", "tiack")},
                "findings": [
                    {"rule": one.rule, "severity": one.severity.value, "text": one.text}
                    for one in found.get(number, [])
                ],
            }
        )
        assert row["findings"] == len(said[-1]["findings"])
    return said


def of_arrow(made: Any) -> list[dict[str, Any]]:
    """The rows that a record batch says."""
    made.validate(full=True)
    assert made.schema == SCHEMA
    times = made.column("time").cast(pa.int64()).to_pylist()
    without = made.drop_columns(["time"]).to_pylist()
    for row, time in zip(without, times, strict=True):
        row["time"] = None if time is None else seconds_text(time)
        for name in ("tiseq", "tiack"):
            row[name] = None if row[name] is None else f"{row[name]:012x}"
    return [{name: row[name] for name in KEYS} for row in without]


def assert_same(batches: list[Batch]) -> int:
    """All agree in all modes; returns how many rows there were in the last."""
    for every, kinds in MODES:
        made = SegmentColumns(kinds, every=every)
        count = 0
        for batch in batches:
            expected = [row for segment in batch.segments() for row in rows("a", segment, kinds, every=every)]
            count += len(expected)
            got = made.of(batch, 7)
            assert of_arrow(record_batch(got, "a")) == expected
            for row in expected:
                assert row.pop("file") == "a"
            assert of_columns(got) == expected
            assert set(got.rows["file"].tolist()) <= {7}
    return count


@pytest.mark.parametrize("path", [*golden_captures(), *shared_captures()], ids=lambda path: path.stem)
def test_whole_captures(path: Path) -> None:
    assert_same(batches_of(path))


def test_every_scenario(tmp_path: Path) -> None:
    for scenario in SCENARIOS.values():
        (tmp_path / "x").write_bytes(scenario.pcap())
        assert assert_same(batches_of(tmp_path / "x"))


def test_every_link_layer_cut_anywhere(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(capture_of(cut_anywhere()))
    assert assert_same(batches_of(tmp_path / "x"))


def test_damaged_captures(tmp_path: Path) -> None:
    files = originals()
    for seed in range(200):
        random = Random(seed)
        (tmp_path / "x").write_bytes(mutated(random.choice(files), random))
        assert_same(batches_of(tmp_path / "x"))


@given(st.lists(st.tuples(BEFORE, CARRIED, BEFORE, FLAGS, st.sampled_from([b"", b"x"])), max_size=5))
def test_flow_options_of_any_kind(segments: list[tuple[bytes, bytes, bytes, int, bytes]]) -> None:
    packets = [packet(before + flow + after, flags, payload) for before, flow, after, flags, payload in segments]
    assert_same([batch_of(*packets)])


@given(st.lists(st.lists(OPTION, max_size=8).map(b"".join), max_size=4), st.integers(0, 511))
def test_any_options(areas: list[bytes], flags: int) -> None:
    assert_same([batch_of(*[packet(area, flags) for area in areas])])


@pytest.mark.parametrize("pure", [False, True])
def test_two_options_of_a_segment_stand_between_ordinary_ones(pure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if pure:
        monkeypatch.setattr(row_batches, "_Rows", None)
        monkeypatch.setattr(row_batches, "_addresses", None)
    batch = batch_of(
        packet(FLOW, ACK), packet(FLOW + FLOW, ACK), packet(b"", ACK), packet(FLOW, RST), packet(FLOW, ACK)
    )
    assert assert_same([batch]) == 6
    made = SegmentColumns().of(batch)
    assert made.rows["findings"].tolist() == [0, 1, 1, 1, 0]
    assert made.rows.dtype == ROW


def test_a_batch_without_segments() -> None:
    assert assert_same([Batch()]) == 0


@pytest.mark.parametrize("time_ns", [None, -1, 0, 2**63 - 1, -(2**63) + 1])
def test_times(time_ns: int | None) -> None:
    assert_same([batch_of(packet(FLOW, ACK), time_ns=time_ns)])


def test_a_time_that_no_column_holds_is_missing() -> None:
    batch = batch_of(packet(FLOW, ACK), time_ns=2**63 * 10**9)
    made = SegmentColumns().of(batch)
    assert np.isnat(made.rows["time"]).all()
    assert record_batch(made, "a").column("time").null_count == 1


def test_times_are_utc() -> None:
    made = SegmentColumns().of(batch_of(packet(FLOW, ACK), time_ns=1_700_000_000_123_456_000))
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=1_700_000_000, microseconds=123_456)
    (found,) = record_batch(made, "a").column("time").cast(pa.timestamp("us", "UTC")).to_pylist()
    assert found == moment
    assert made.rows["time"].astype("M8[us]").tolist() == [moment.replace(tzinfo=None)]


def test_the_chunk_is_free_when_columns_are_made() -> None:
    """A batch's octets may be moved before the columns are done with."""
    batch = batch_of(packet(FLOW, ACK))
    made = SegmentColumns().of(batch)
    batch.data.extend(bytes(1 << 20))
    assert made.rows["tifid"].tolist() == [0x0A4530BE79BF]
