"""Rows made in C against those of rows.py: the same, octet by octet, on everything."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from random import Random
from struct import pack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.capture import blocks
from tests.capture.test_batch import capture_of
from tests.capture.twins import needs_walker
from tests.capture.wraps import IP4, IP6, cut_anywhere
from tests.conftest import golden_captures, shared_captures
from tests.render.test_batches import OPTION, A, B, batch_of
from tests.render.test_lines import CRAFTED, frames
from tests.test_mutations import mutated, originals
from tioption.build.capture_file import pcap
from tioption.build.catalogue import SCENARIOS
from tioption.build.packet import NOP, TcpHeader, ip_packet, mss, tcp_segment
from tioption.capture import Batch, Capture
from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.errors import CaptureError
from tioption.layout import EXPERIMENTS
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid, Variant
from tioption.render import row_batches
from tioption.render.row_batches import (
    NO_OPTION,
    UNUSUAL,
    RowPlaces,
    RowPrinter,
    csv_header,
    csv_line,
    json_line,
    packed_addresses,
)
from tioption.render.rows import KEYS, rows

OTHER_KINDS = Kinds(77, 8)
FLOW = bytes(FlowOption(Variant.FLOW_D, Tifid(0x0A4530BE79BF), 0x3B9ACA07D41E, 0x1F))


@pytest.fixture(autouse=True)
def rows_in_c() -> None:
    needs_walker()
    assert row_batches._Rows is not None


def batches_of(path: Path) -> list[Batch]:
    """The batches of a capture, copied, up to its damage."""
    kept = []
    try:
        with Capture(str(path)) as capture:
            for batch in capture.batches():
                copy = Batch()
                copy.data, copy.records = bytearray(batch.data), bytearray(batch.records)
                copy.large_times, copy.count = list(batch.large_times), len(batch)
                kept.append(copy)
    except CaptureError:
        pass
    return kept


def assert_same(batches: list[Batch], name: str = "x.pcap") -> int:
    """The text is that of every segment's rows, whatever is asked for; returns how many segments were ordinary."""
    ordinary = 0
    for every, kinds in ((False, DEFAULT_KINDS), (False, OTHER_KINDS), (True, OTHER_KINDS), (True, DEFAULT_KINDS)):
        made = [
            row for batch in batches for segment in batch.segments() for row in rows(name, segment, kinds, every=every)
        ]
        printed = RowPrinter(name, "json", kinds=kinds, every=every)
        assert "".join(text for batch in batches for text in printed.text(batch)) == "".join(map(json_line, made))
        printed = RowPrinter(name, "csv", kinds=kinds, every=every)
        assert "".join(text for batch in batches for text in printed.text(batch)) == "".join(map(csv_line, made))
        for batch in batches:
            places = RowPlaces(kinds).of(batch)
            ordinary = len(places) - places.count(UNUSUAL)
    return ordinary


@pytest.mark.parametrize("path", [*golden_captures(), *shared_captures()], ids=lambda path: path.stem)
def test_whole_captures(path: Path) -> None:
    assert_same(batches_of(path))


def test_every_scenario(tmp_path: Path) -> None:
    for scenario in SCENARIOS.values():
        (tmp_path / "x").write_bytes(scenario.pcap())
        assert_same(batches_of(tmp_path / "x"))


def test_every_link_layer_cut_anywhere(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(capture_of(cut_anywhere()))
    assert assert_same(batches_of(tmp_path / "x"))


def test_damaged_captures(tmp_path: Path) -> None:
    files = originals()
    for seed in range(300):
        random = Random(seed)
        (tmp_path / "x").write_bytes(mutated(random.choice(files), random))
        assert_same(batches_of(tmp_path / "x"))


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_segments(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(pcap([(0, frame) for frame in frames(CRAFTED[name])], 101))
    assert_same(batches_of(tmp_path / "x"))


HALF = st.sampled_from([0, 1, 0xFFFFFF, *(int.from_bytes(exid[:2], "big") << 8 for _, _, exid, *_ in EXPERIMENTS)])
POSITION = st.sampled_from([0, 1, 0xFFFF, 0x10000, 2**48 - 1])
CARRIED = st.builds(
    lambda kind, first, second, tiseq, tiack: (
        bytes((kind, 20)) + b"".join(value.to_bytes(6, "big") for value in (first << 24 | second, tiseq, tiack))
    ),
    st.sampled_from([253, 253, 253, 254, 77]),
    HALF,
    HALF,
    POSITION,
    POSITION,
)
BEFORE = st.sampled_from([b"", b"", NOP, mss(1460), b"\x13\x04\0\0", b"\x1d\x04\0\0", b"\x22\x02", b"\xfe\x04\xf9\x89"])
FLAGS = st.sampled_from([SYN, SYN | ACK, ACK, ACK | PSH, RST, FIN | ACK, SYN | FIN, 0, 511])


def packet(area: bytes, flags: int, payload: bytes = b"") -> bytes:
    area = (area + b"\0" * (-len(area) % 4))[:40]
    return ip_packet(A, B, tcp_segment(A, B, TcpHeader(2**32 - 2, 5, flags, 9, area), payload))


@given(BEFORE, CARRIED, BEFORE, FLAGS, st.sampled_from([b"", b"", b"x"]))
@example(b"", FLOW, b"", ACK, b"")
@example(b"", b"\xfd\x14" + bytes(18), b"", SYN, b"")
@example(b"", FLOW[:2] + b"\xf9\x89" + FLOW[4:], b"", SYN, b"")
@example(b"", FLOW, b"\xfd\x04\0\0", SYN, b"")
@example(b"", FLOW, b"\xfe\x04\xf9\x89", SYN, b"")
def test_whatever_can_be_found_is_found(before: bytes, flow: bytes, after: bytes, flags: int, payload: bytes) -> None:
    """Nothing that Python has a finding about is written in C."""
    batch = batch_of(packet(before + flow + after, flags, payload))
    assert_same([batch])
    for kinds in (DEFAULT_KINDS, OTHER_KINDS):
        (place,) = RowPlaces(kinds).of(batch)
        made = [row for segment in batch.segments() for row in rows("", segment, kinds, every=True)]
        if place != UNUSUAL:
            assert [row["findings"] for row in made] == [[]]
            assert (made[0]["variant"] is None) == (place == NO_OPTION)


@given(st.lists(OPTION, max_size=8).map(b"".join), st.integers(0, 511), st.binary(max_size=3))
def test_any_options(area: bytes, flags: int, payload: bytes) -> None:
    assert_same([batch_of(packet(area, flags, payload))])


def test_ordinary_options_are_not_left_to_python() -> None:
    syn = FLOW[:5] + bytes(3) + FLOW[8:14] + bytes(6)
    for area, flags in ((syn, SYN), (mss(1460) + syn, SYN), (FLOW, SYN | ACK), (NOP * 12 + FLOW, ACK), (FLOW, SYN)):
        place = RowPlaces().of(batch_of(packet(area, flags)))
        assert place == bytes((len(area) - 20,))
    assert RowPlaces().of(batch_of(packet(mss(1460), ACK, b"x"))) == bytes((NO_OPTION,))


@pytest.mark.parametrize(
    "name", ["", "a b.pcap", 'q"uote,.pcap', "ü€𐍈.pcap", "\udcff.pcap", "new\nline", "-", "x" * 5000]
)
def test_any_name_of_a_file(name: str) -> None:
    assert assert_same([batch_of(packet(FLOW, ACK), packet(FLOW, RST))], name) == 1


@given(st.none() | st.integers(-(2**63), 2**63 - 1))
@example(2**63 * 10**9)
@example(-1)
@example(-(2**63))
def test_any_time(time_ns: int | None) -> None:
    assert_same([batch_of(packet(FLOW, ACK), time_ns=time_ns)])


@given(
    st.lists(st.sampled_from([0, 0, 0, 1, 0x20, 0x300, 0x4000, 0xFFFF]) | st.integers(0, 65535), min_size=8, max_size=8)
)
@example([0] * 5 + [0xFFFF, 0xC000, 0x201])
@example([0] * 8)
def test_any_address(words: list[int]) -> None:
    address = pack("!8H", *words)
    assert_same([batch_of(IP6[:8] + address + IP6[24:])])
    packed = address + b"\xc0\0\2\1" + bytes(12) + bytes(16), b"\6\4\6"
    in_c = packed_addresses(*packed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_batches, "_addresses", None)
        assert packed_addresses(*packed) == in_c


def test_more_text_than_a_piece_has() -> None:
    batch = batch_of(*[packet(FLOW, ACK), packet(FLOW, ACK), packet(FLOW, RST), packet(b"", ACK)] * 2000)
    assert_same([batch])
    assert len(list(RowPrinter("x", "json").text(batch))) > 4


def test_frames_without_a_time(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(blocks.section() + blocks.interface(229) + blocks.simple(IP6) * 2)
    assert_same(batches_of(tmp_path / "x"))


def test_the_texts_are_what_readers_of_the_formats_expect() -> None:
    batch = batch_of(packet(FLOW, ACK), packet(b"", FIN))
    lines = "".join(RowPrinter("a,b", "json", every=True).text(batch)).splitlines()
    assert [list(json.loads(line)) for line in lines] == [list(KEYS)] * 2
    text = csv_header() + "".join(RowPrinter("a,b", "csv", every=True).text(batch))
    first, second = csv.DictReader(StringIO(text))
    assert (first["file"], first["tifid"], first["findings"]) == ("a,b", "0a4530be79bf", "")
    assert (second["flags"], second["variant"]) == ("F", "")


def test_without_c_every_segment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(packet(FLOW, ACK), IP4)
    texts = "".join(RowPrinter("x", "json").text(batch))
    monkeypatch.setattr(row_batches, "_Rows", None)
    assert "".join(RowPrinter("x", "json").text(batch)) == texts
    assert RowPlaces().of(batch) == bytes((UNUSUAL, UNUSUAL))


def test_records_that_lie_elsewhere_are_not_read() -> None:
    for field, value in ((16, 1 << 31), (20, 1 << 31), (24, 1 << 30), (28, 1 << 30), (16, 60), (32, 10)):
        batch = batch_of(packet(FLOW, ACK))
        batch.records[field : field + 4] = pack("=I", value)
        assert RowPlaces().of(batch) == bytes((UNUSUAL,))


def test_c_refuses_what_would_read_elsewhere() -> None:
    from tioption.render import _rows

    assert (_rows.PLACE_NONE, _rows.PLACE_PYTHON) == (NO_OPTION, UNUSUAL)
    ours = _rows.Rows(253, 254, b"\xfd\xfe", b"\xf9\x89")
    for index, count in ((-1, 0), (1, 0), (0, 2), (0, -1)):
        with pytest.raises(ValueError, match="contradict"):
            ours.text(b"", bytearray(88), index, count, False, False, b"")
    for records, count in ((bytearray(88), 2), (memoryview(bytearray(96))[1:89], 1)):
        with pytest.raises(ValueError, match="contradict"):
            ours.places(b"", records, count)
    assert ours.places(b"", memoryview(b"octets")[1:1], 0) == b""
    for addresses, sizes in ((bytes(15), b"\4"), (b"", b"\4"), (bytes(32), b"\4")):
        with pytest.raises(ValueError, match="contradict"):
            _rows.addresses(addresses, sizes)
