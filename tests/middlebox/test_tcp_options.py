"""MSS clamped, timestamps taken out or rewritten."""

from __future__ import annotations

from struct import unpack

import pytest

from tests.middlebox.packets import OFFER, TIMES, made, only, packet
from tioption.build.packet import NOP, mss, timestamps
from tioption.capture.segment import ACK, SYN


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize(("before", "after"), [(1460, 1200), (1201, 1200), (1200, 1200), (536, 536)])
def test_the_mss_is_lowered_and_never_raised(before: int, after: int, six: bool) -> None:
    for way, flags in (("ab", SYN), ("ba", SYN | ACK)):
        raw = packet(way, flags, options=NOP * 4 + mss(before) + OFFER, six=six)  # type: ignore[arg-type]
        assert only(made("mss:1200"), way, raw).options == NOP * 4 + mss(after) + OFFER  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [b"", b"\x02\x03\x05\x01", NOP + b"\x02\x04\x05", mss(1460)])
def test_what_has_no_mss_to_clamp(options: bytes) -> None:
    raw = packet("ab", ACK if options == mss(1460) else SYN, options=options)
    assert made("mss:88").process(raw, "ab", 0) == [(0, "ab", raw)]


@pytest.mark.parametrize(
    ("segment", "gone"), [("all", {SYN, SYN | ACK, ACK}), ("syn", {SYN}), ("syn-ack", {SYN | ACK}), ("ack", {ACK})]
)
def test_timestamps_are_overwritten(segment: str, gone: set[int]) -> None:
    box = made(f"timestamps:strip,segment={segment}")
    for flags in (SYN, SYN | ACK, ACK):
        after = only(box, "ab", packet("ab", flags, options=TIMES + OFFER))
        assert after.options == (NOP * 12 if flags in gone else TIMES) + OFFER


def test_timestamps_are_rewritten_and_translated_back() -> None:
    box = made("timestamps:rewrite")

    def value_and_echo(options: bytes) -> tuple[int, int]:
        value, echo = unpack("!II", options[2:10])
        return value, echo

    syn = only(box, "ab", packet("ab", SYN, options=timestamps(100, 0)))
    seen_a, echo = value_and_echo(syn.options)
    assert (seen_a != 100, echo) == (True, 0)
    syn_ack = only(box, "ba", packet("ba", SYN | ACK, options=timestamps(700, seen_a)))
    seen_b, echo = value_and_echo(syn_ack.options)
    assert (seen_b != 700, echo) == (True, 100)
    ack = only(box, "ab", packet("ab", ACK, options=timestamps(105, seen_b)))
    assert value_and_echo(ack.options) == ((seen_a + 5) % 2**32, 700)
    # What has none, or began before, is left alone.
    for raw in (packet("ab", ACK), packet("ab", ACK, options=TIMES, six=True)):
        assert box.process(raw, "ab", 0) == [(0, "ab", raw)]
