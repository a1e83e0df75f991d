"""The segments of chosen connections, and excerpts of them: nothing but payload is lost."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.capture.twins import needs_walker
from tests.conftest import ROOT
from tioption.build.catalogue import SCENARIOS
from tioption.capture import Batch, Capture, Segment, ends
from tioption.capture.ends import EndsFilter, ends_of, sides
from tioption.capture.excerpt import LENGTHS, Excerpt
from tioption.capture.recognition import is_capture
from tioption.errors import CaptureError

RESUME = ROOT / "pcaps/resume/resume.pcap"


def segments_of(path: Path) -> list[Segment]:
    with Capture(str(path)) as capture:
        return [segment for segment in capture.segments() if isinstance(segment, Segment)]


def connection(segment: Segment) -> bytes:
    return ends_of((segment.src, segment.sport), (segment.dst, segment.dport))


@pytest.mark.parametrize("pure", [False, True])
def test_only_segments_between_the_ends(pure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if pure:
        monkeypatch.setattr(ends, "_near", None)
    else:
        needs_walker()
    segments = segments_of(RESUME)
    both = {connection(segment) for segment in segments}
    assert len(both) == 2
    for chosen in ({*both}, *({one} for one in both), set()):
        with Capture(str(RESUME)) as capture:
            found = [batch.segment(index) for batch in capture.batches() for index in EndsFilter(chosen).indexes(batch)]
        assert found == [segment for segment in segments if connection(segment) in chosen]


def test_ends_are_the_same_from_both_sides() -> None:
    four, six = (b"\1\2\3\4", 80), (b"\5" * 16, 443)
    for one, other in ((four, (b"\1\2\3\4", 79)), (six, (b"\6" * 16, 443))):
        assert ends_of(one, other) == ends_of(other, one)
        assert len(set(sides(ends_of(one, other)))) == 2


@pytest.mark.parametrize("name", ["resume", "opt-08-wrong", "est-15-wrong"])
def test_an_excerpt_has_all_but_payload(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(SCENARIOS[name].pcap())
    with Capture(str(path)) as capture:
        (batch,) = capture.batches()
        whole = [segment for segment in batch.segments() if isinstance(segment, Segment)]
        excerpt = Excerpt.of(batch, range(len(batch)))
    octets = excerpt.encoded()
    records, headers = Excerpt.lengths(octets)
    assert len(octets) == LENGTHS + records + headers
    assert Excerpt(octets[LENGTHS : LENGTHS + records], octets[LENGTHS + records :]) == excerpt
    assert excerpt.frames() == [segment.frame for segment in whole]
    assert excerpt.times(0) == [segment.time_ns for segment in whole]
    latest = 1 << 62
    assert excerpt.times(latest) == [latest] * len(whole)
    again = Batch()
    excerpt.part(1, len(whole)).fill(again, 100)
    for number, (made, segment) in enumerate(zip(again.segments(), whole[1:], strict=True)):
        assert isinstance(made, Segment)
        assert made.frame == 100 + number
        assert made.options == segment.options
        assert made.payload_length == segment.payload_length
        assert made.payload == b""
        assert made[6:] == segment[6:]


def test_what_is_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for octets, expected in (
        (RESUME.read_bytes(), True),
        (RESUME.read_bytes()[:4], True),
        (gzip.compress(RESUME.read_bytes()), True),
        (RESUME.read_bytes()[:3], False),
        (b"", False),
        (gzip.compress(b""), False),
        (gzip.compress(RESUME.read_bytes())[:9], False),
        (b"\x1f\x8b\x08\x00damaged", False),
    ):
        path.write_bytes(octets)
        assert is_capture(str(path)) is expected, octets[:10]
    with pytest.raises(CaptureError):
        is_capture(str(tmp_path / "nothing"))
