"""Firewalls: what belongs to a connection passes, until it is forgotten; what lies outside its windows does not."""

from __future__ import annotations

import pytest

from tests.middlebox.packets import OFFER, TIMES, made, only, packet, through
from tests.middlebox.test_nat import REFUSALS, S, told
from tests.middlebox.test_sequence import sack
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import Conversation
from tioption.build.packet import SACK_PERMITTED, mss, window_scale
from tioption.capture.segment import ACK, FIN, RST, SYN
from tioption.middlebox import Middlebox, Way
from tioption.middlebox.firewall import Firewall, WindowTracking


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_a_connection_passes_and_nothing_else(six: bool) -> None:
    box = made("firewall")
    assert through(box, "ab", packet("ab", ACK, 1, 1, six=six)) == []
    assert through(box, "ba", packet("ba", SYN, 1, six=six)) == []
    for way, flags in (("ab", SYN), ("ba", SYN | ACK), ("ab", ACK), ("ba", ACK), ("ba", RST), ("ab", FIN | ACK)):
        raw = packet(way, flags, 5, 7, options=OFFER, six=six)  # type: ignore[arg-type]
        assert box.process(raw, way, 0) == [(0, way, raw)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("inbound", "passes"), [("yes", 1), ("no", 0)])
def test_connections_that_b_opens(inbound: str, passes: int) -> None:
    box = made(f"firewall:inbound={inbound}")
    assert len(box.process(packet("ba", SYN, 1), "ba", 0)) == passes
    assert len(box.process(packet("ab", SYN | ACK, 1, 2), "ab", 0)) == passes


@pytest.mark.parametrize(("how", "refusal"), REFUSALS, ids=[how for how, _ in REFUSALS])
@pytest.mark.parametrize("trigger", ["command", "forget=2s", "after=3", "timeout=1s"])
def test_what_it_forgets(trigger: str, how: str, refusal: list[tuple[Way, int, int, int]]) -> None:
    box = made(f"firewall:how={how}" + ("" if trigger == "command" else f",{trigger}"))
    assert isinstance(box, Firewall)
    only(box, "ab", packet("ab", SYN, 100))
    only(box, "ba", packet("ba", SYN | ACK, 9000, 101), S // 2)
    if trigger == "command":
        box.forget()
    assert told(through(box, "ab", packet("ab", ACK, 101, 9001), 2 * S)) == refusal
    assert told(through(box, "ab", packet("ab", RST, 101, 0), 2 * S)) == []
    only(box, "ab", packet("ab", SYN, 500), 2 * S)


def test_a_syn_of_nobody_is_refused_as_rfc_9293_says() -> None:
    """A RST that acknowledges it, because there is nothing to take a number from."""
    assert told(through(made("firewall:how=both"), "ba", packet("ba", SYN, 100))) == [
        ("ab", RST | ACK, 0, 101),
        ("ba", RST, 100, 0),
    ]


# Windows.

SCALED = mss(1460) + window_scale(2) + b"\x01" + SACK_PERMITTED + b"\x01\x01"


def tracking(*, options: bytes = SCALED, answer: bytes = SCALED, window: int = 1000, spec: str = "window") -> Middlebox:
    """A connection whose windows are 1000, or 4000 where both scale: A's data begins at 101, B's at 501."""
    box = made(spec)
    only(box, "ab", packet("ab", SYN, 100, options=options, window=window))
    only(box, "ba", packet("ba", SYN | ACK, 500, 101, options=answer, window=window))
    only(box, "ab", packet("ab", ACK, 101, 501, window=window))
    return box


def passes(box: Middlebox, way: Way, flags: int, seq: int, ack: int, **more: object) -> bool:
    raw = packet(way, flags, seq, ack, **{"window": 1000, **more})
    left = box.process(raw, way, 0)
    assert left in ([], [(0, way, raw)])
    return bool(left)


# What is sent, octets of payload, whether it passes today's Linux, whether it passes a strict box.
BOUNDS: list[tuple[Way, int, int, int, bool, bool]] = [
    ("ab", 101, 501, 1000, True, True),
    ("ab", 1101, 501, 1, True, True),  # begins exactly where the window ends
    ("ab", 1102, 501, 1, True, False),
    ("ab", 2099, 501, 1, True, False),  # exceeds it by as much as it is
    ("ab", 2100, 501, 1, False, False),
    ("ab", 101, 502, 1, False, False),  # acknowledges what was not sent
    ("ab", 101, 501 - 66_000, 1, True, True),
    ("ab", 101, 501 - 66_001, 1, True, False),
    ("ab", 101 - 1001, 501, 1, True, True),  # ends a largest window before what was sent
    ("ab", 101 - 1002, 501, 1, True, False),
    ("ab", 77_000_000, 501, 0, False, True),  # has no data
    ("ba", 501, 101, 4000, True, True),
    ("ba", 501 + 4000, 101, 1, True, True),
    ("ba", 501 + 4001, 101, 1, True, False),
    ("ba", 501 + 7998, 101, 1, True, False),
    ("ba", 501 + 7999, 101, 1, False, False),
    ("ba", 501, 102, 1, False, False),
    ("ba", 501, 102, 0, False, False),
]
"""B has not yet sent a scaled window: it is 1000 for A's data, and 4000 for its own."""


@pytest.mark.parametrize(("way", "seq", "ack", "length", "today", "strict"), BOUNDS)
def test_the_four_bounds(way: Way, seq: int, ack: int, length: int, today: bool, strict: bool) -> None:
    assert passes(tracking(), way, ACK, seq, ack, payload=bytes(length)) is today
    assert passes(tracking(spec="window:strict"), way, ACK, seq, ack, payload=bytes(length)) is strict


@pytest.mark.parametrize(("options", "answer"), [(mss(1460), SCALED), (SCALED, mss(1460)), (b"", b"")])
def test_windows_are_scaled_only_where_both_say_so(options: bytes, answer: bytes) -> None:
    box = tracking(options=options, answer=answer, spec="window:strict")
    assert not passes(box, "ba", ACK, 501 + 1001, 101, payload=b"x")
    assert passes(box, "ba", ACK, 501 + 1000, 101, payload=b"x")


def test_sack_blocks_must_be_of_what_was_sent() -> None:
    box = tracking()
    assert passes(box, "ab", ACK, 101, 501, payload=bytes(100))
    assert passes(box, "ba", ACK, 501, 101, options=sack(151, 201))
    assert not passes(box, "ba", ACK, 501, 101, options=sack(151, 202))
    # Where they were not permitted, nobody reads them.
    assert passes(tracking(options=mss(9)), "ba", ACK, 501, 101, options=sack(151, 202))


def test_a_window_of_zero_is_probed_with_one_octet() -> None:
    box = tracking(options=b"", answer=b"", window=100)
    assert passes(box, "ab", ACK, 101, 501, payload=bytes(100), window=100)
    assert passes(box, "ba", ACK, 501, 201, window=0)
    assert passes(box, "ab", ACK, 201, 501, payload=b"x", window=100)


def test_what_a_resume_would_break_without_r1() -> None:
    """A host that acknowledges by its old numbers, not those this box has seen, is INVALID."""
    box = tracking()
    assert not passes(box, "ab", ACK, 101, 501 + 100_000)
    assert not passes(box, "ab", ACK, 101 + 100_000, 501, payload=b"x")


def test_what_overshoots_its_window_is_known_and_what_is_late_is_not() -> None:
    box = tracking()
    assert not passes(box, "ba", ACK, 501, 1103)
    assert passes(box, "ab", ACK, 1102, 501, payload=b"x")
    assert passes(box, "ba", ACK, 501, 1103)
    assert passes(box, "ab", ACK, 90 - 70_000, 501, payload=b"x")


def test_resets() -> None:
    box = made("window")
    only(box, "ab", packet("ab", SYN, 100))
    assert not passes(box, "ba", RST | ACK, 0, 999)
    assert passes(box, "ba", RST | ACK, 0, 101)
    box = tracking()
    assert not passes(box, "ba", RST, 501 + 9000, 0)
    assert passes(box, "ba", RST, 501, 0)
    assert passes(box, "ab", FIN | ACK, 101, 501)


def test_a_new_syn_begins_anew_and_a_repeated_one_does_not() -> None:
    box = tracking(spec="window:strict")
    assert passes(box, "ab", SYN, 100, 0, options=SCALED)
    assert passes(box, "ab", ACK, 101, 501)
    assert passes(box, "ab", SYN, 77_000_000, 0)
    assert passes(box, "ba", SYN | ACK, 88_000_000, 77_000_001)
    assert not passes(box, "ab", ACK, 101, 501)
    assert passes(box, "ab", ACK, 77_000_001, 88_000_001)


def test_crossing_syns() -> None:
    box = made("window")
    assert passes(box, "ab", SYN, 100, 0)
    assert passes(box, "ba", SYN, 500, 0)
    assert passes(box, "ab", SYN | ACK, 100, 501)
    assert passes(box, "ba", SYN | ACK, 500, 101)
    assert passes(box, "ab", ACK, 101, 501, payload=b"x")
    assert not passes(box, "ab", ACK, 101, 502)


@pytest.mark.parametrize("loose", ["yes", "no"])
def test_a_connection_picked_up_in_its_middle_is_not_judged(loose: str) -> None:
    box = made(f"window:loose={loose}")
    assert isinstance(box, WindowTracking)
    assert not passes(box, "ba", RST, 5, 0)
    for seq in (101, 50_000_000):
        assert passes(box, "ab", ACK, seq, 501, options=TIMES) is (loose == "yes")
    box.forget()
    assert passes(box, "ab", SYN, 1, 0)


SOUND = [
    "established",
    "established-ipv6",
    "resume",
    "resume-twice",
    "resume-elsewhere",
    "flow-c",
    "legacy-responder",
    "legacy-initiator",
]


@pytest.mark.parametrize("name", SOUND)
def test_sound_traffic_passes(name: str) -> None:
    """Where hosts do as the rules ask, nothing is INVALID on any of a flow's transports."""
    box = made("window")
    talk: Conversation = SCENARIOS[name].conversation(3)
    for observed in talk.observed:
        way: Way = "ab" if observed.sent.side == "A" else "ba"
        raw = observed.sent.frame[14:]
        assert box.process(raw, way, 0) == [(0, way, raw)]
