"""The quick validator against the one that sees every segment: the same report, whatever the capture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from struct import Struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.capture.twins import needs_walker
from tests.conftest import SHARED
from tioption.build.capture_file import pcap
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import MS, Conversation
from tioption.capture import Capture, Segment
from tioption.capture.batch import Batch
from tioption.capture.segment import ACK, FIN, RST, SYN
from tioption.errors import CaptureError
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid, Variant
from tioption.render.report import report_rows, report_text
from tioption.verdict.ordinary_row import ROW, ROW_FIELDS
from tioption.verdict.validator import Validator

try:
    from tioption.verdict import _ordinary
    from tioption.verdict.ordinary import QuickValidator
except ImportError:
    _ordinary = None  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def extension() -> None:
    needs_walker()


Report = tuple[list[dict[str, Any]], str, Any, Any, int]


def batches(path: Path) -> Iterator[Batch]:
    with Capture(str(path)) as capture:
        try:
            yield from capture.batches()
        except CaptureError:
            return


def counts(validator: Validator) -> tuple[Any, Any, int]:
    return +validator.verdicts, +validator.severities, validator.given_up


def reported(validator: Validator, reports: Iterable[Iterable[Any]]) -> Report:
    """What a validator reports in the end and meanwhile; each report is taken before the next is asked for."""
    rows: list[dict[str, Any]] = []
    text = ""
    for report in reports:
        for one in report:
            rows += report_rows("f", validator, [one])
            text += "".join(report_text("f", validator, [one]))
    return rows, text, *counts(validator)


def quick(path: Path, generation: int, kinds: Kinds) -> Report:
    validator = QuickValidator(kinds, generation, b"a secret")

    def reports() -> Iterator[Iterable[Any]]:
        yield from map(validator.take, batches(path))
        yield validator.rest()

    return reported(validator, reports())


def slow(path: Path, generation: int, kinds: Kinds) -> Report:
    validator = Validator(kinds, generation)

    def reports() -> Iterator[Iterable[Any]]:
        for batch in batches(path):
            for segment in batch.segments():
                if isinstance(segment, Segment):
                    validator.observe(segment)
                    yield validator.due()
        yield validator.rest()

    return reported(validator, reports())


def agree(path: Path, generation: int = 1 << 17, kinds: Kinds = DEFAULT_KINDS) -> Report:
    one, other = quick(path, generation, kinds), slow(path, generation, kinds)
    assert one[0] == other[0]
    assert one[1:] == other[1:]
    return one


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("generation", [1 << 17, 2])
def test_on_every_scenario(name: str, generation: int, tmp_path: Path) -> None:
    path = tmp_path / "scenario.pcap"
    talk = SCENARIOS[name].conversation(3)
    talk.write(path)
    agree(path, generation, talk.kinds)


def test_on_a_fin_in_place_of_the_third_ack(tmp_path: Path) -> None:
    talk = Conversation(3)
    transport = talk.transport()
    transport.syn()
    transport.syn_ack()
    transport.fin("A")
    talk.write(tmp_path / "fin.pcap")
    rows, *_ = agree(tmp_path / "fin.pcap")
    assert rows[0]["verdict"] == "unconfirmed"


@pytest.mark.parametrize("path", sorted((SHARED / "captures").glob("*.pcap*")), ids=lambda path: path.name)
def test_on_captures_of_others(path: Path) -> None:
    agree(path)


def merged(names: list[str], seed: int, path: Path) -> None:
    """Several scenarios in one capture, interleaved segment by segment."""
    random = Random(seed)
    frames = [[frame for _, frame in SCENARIOS[name].conversation(random.randrange(3)).frames()] for name in names]
    queues = [queue for queue in frames if queue]
    together = []
    while queues:
        queue = random.choice(queues)
        together.append(queue.pop(0))
        queues = [queue for queue in queues if queue]
    path.write_bytes(pcap((1_700_000_000_000 * MS + at * MS, frame) for at, frame in enumerate(together)))


@given(
    names=st.lists(st.sampled_from(list(SCENARIOS)), min_size=2, max_size=6),
    seed=st.integers(0, 1 << 16),
    generation=st.sampled_from([1, 2, 3, 5, 1 << 17]),
)
@example(names=["established", "established"], seed=1, generation=1 << 17)  # one TIFID twice
@example(
    names=["res-12-wrong", "legacy-responder", "legacy-responder", "legacy-responder", "sec-02-wrong"],
    seed=6327,
    generation=2,
)  # a TIFID again when of its flow only a later transport is kept
@example(names=["legacy-responder"] * 2 + ["resume", "legacy-responder"], seed=619, generation=1)  # data in no frame
def test_on_scenarios_interleaved(
    names: list[str], seed: int, generation: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("merged") / "merged.pcap"
    merged(names, seed, path)
    agree(path, generation)


OPTION = st.builds(
    FlowOption,
    st.sampled_from(Variant),
    st.builds(Tifid.from_halves, st.sampled_from([0, 0x0A4530, 0x0A4531, 0xF98900]), st.sampled_from([0, 0xBE79BF, 5])),
    st.sampled_from([0x1D, 0x123456789A, 0x123456789B]),
    st.sampled_from([0, 0x123456789A, 0x123456789B]),
)
OPTIONS = st.one_of(
    st.just(b""),
    st.just(bytes.fromhex("0101080a0000000100000002")),
    OPTION.map(bytes),
    OPTION.map(lambda option: b"\1\1\x08\x0a" + bytes(8) + bytes(option)),
    OPTION.map(lambda option: b"\1" + bytes(option) + bytes(3)),
    OPTION.map(lambda option: b"\3\3\7\1" + bytes(option)),
    OPTION.map(lambda option: bytes(option)[:12]),
    OPTION.map(lambda option: b"\x13\x12" + bytes(16) + b"\1\1" + bytes(option)),
    st.just(bytes.fromhex("fe04f989")),
    st.just(b"\x22\x02\1\1\xfd\x16" + bytes(20)),
    st.binary(max_size=10).map(lambda octets: octets * 4),
)
FLAGS = st.sampled_from(
    [SYN, SYN, SYN | ACK, SYN | ACK, ACK, ACK, FIN | ACK, RST, RST | ACK, SYN | RST | ACK, FIN | SYN, 0]
)


def tcp(flags: int, seq: int, ack: int, options: bytes = b"") -> bytes:
    return Struct(">IIHHHH").pack(seq, ack, (20 + len(options)) // 4 << 12 | flags, 1000, 0, 0) + options


@st.composite
def segments(draw: st.DrawFn) -> tuple[bool, int, bytes]:
    """A direction, a port, and a TCP segment; ports and numbers are few, so that segments concern each other."""
    options = draw(OPTIONS)
    options += bytes(-len(options) % 4)
    flags = draw(FLAGS)
    seq, ack = (draw(st.sampled_from([99, 100, 101, 102, 0xFFFFFFFF, 0x7FFFFFFF])) for _ in range(2))
    payload = bytes(draw(st.sampled_from([0, 0, 1, 7])))
    return draw(st.booleans()), draw(st.sampled_from([1, 1, 1, 2])), tcp(flags, seq, ack, options) + payload


def frame(forward: bool, port: int, rest: bytes) -> bytes:
    ports = (port, 443) if forward else (443, port)
    tcp = Struct(">HH").pack(*ports) + rest
    ends = b"\x0a\0\0\1\x0a\0\0\2" if forward else b"\x0a\0\0\2\x0a\0\0\1"
    return bytes(12) + b"\x08\0" + b"\x45\0" + (20 + len(tcp)).to_bytes(2) + bytes(4) + b"\x40\x06\0\0" + ends + tcp


@given(parts=st.lists(segments(), max_size=25), generation=st.sampled_from([1, 2, 1 << 17]))
@example(
    parts=[
        (False, 1, tcp(SYN | ACK, 100, 99)),
        (False, 1, tcp(SYN, 100, 99)),
        (False, 1, tcp(SYN | ACK, 99, 99, bytes.fromhex("fd140a453000000000000000001d000000000000"))),
    ],
    generation=1,
)
def test_on_segments_that_no_host_would_send(
    parts: list[tuple[bool, int, bytes]], generation: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("made") / "made.pcap"
    path.write_bytes(pcap((at * MS, frame(*part)) for at, part in enumerate(parts)))
    agree(path, generation)


def ordinary_flows(count: int) -> list[tuple[int, bytes]]:
    tape = None
    for number in range(count):
        talk = Conversation(1, tape=tape, a=f"10.0.{number >> 8}.{number & 255}")
        tape = talk.tape
        transport = talk.connect()
        transport.send("A", 10)
        transport.close()
    return list(talk.frames())


def test_ordinary_connections_never_reach_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "flows.pcap"
    path.write_bytes(pcap(iter(ordinary_flows(300))))
    monkeypatch.setattr(QuickValidator, "_take", lambda *_: pytest.fail("a segment was taken for a strange one"))
    rows, text, verdicts, severities, given_up = quick(path, 1 << 17, DEFAULT_KINDS)
    assert [row["type"] for row in rows] == ["connection"] * 300 + ["flow"] * 300
    assert sum(verdicts.values()) == text.count("established") == 300
    assert (severities, given_up) == ({}, 0)
    assert {tuple(row["bytes"]) for row in rows if row["type"] == "flow"} == {(10, 0)}


@pytest.mark.parametrize("a", ["2001:db8::1", "::ffff:192.0.2.1", "fe80::1:0:0:1"])
def test_ipv6(a: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    talk = Conversation(1, a=a, b="2001:db8:0:0:1::")
    talk.connect().close()
    talk.write(path)
    assert "[2001:db8:0:0:1::]:443" in agree(path)[1]


def test_many_connections_are_given_up_in_order(tmp_path: Path) -> None:
    path = tmp_path / "flows.pcap"
    path.write_bytes(pcap(iter(ordinary_flows(300))))
    rows, _, _, _, given_up = agree(path, 20)
    assert [row["index"] for row in rows if row["type"] == "connection"] == list(range(300))
    assert 260 <= given_up <= 280  # one to two generations are kept


def test_the_layout_of_rows_is_that_of_the_c_code() -> None:
    assert ROW_FIELDS == _ordinary.ROW_FIELDS
    assert ROW.size == 96


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="wrong size"):
        _ordinary.Tracker(b"", 253, 254, b"", 0, 1)
    tracker = QuickValidator()._tracker
    with pytest.raises(ValueError, match="outside its chunk"):
        tracker.feed(bytearray(10), bytearray(b"\x01" * 55 + b"\0" + b"\x01" * 32), 1, 0)
    with pytest.raises(ValueError, match="more records"):
        tracker.feed(bytearray(10), bytearray(88), 2, 0)
    with pytest.raises(ValueError, match="not strange"):
        tracker.name(0, 253, 1, True)
    with pytest.raises(IndexError):
        tracker.key(0)
    with pytest.raises(ValueError, match="4 or 16 octets"):
        tracker.step(b"abc", 1)
