"""Recordings sent through a path: link headers, times, snapshot lengths, points of view; and Wireshark's opinion."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path as File
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.wraps import IP4, IP6, MACS, WRAPS, ipv4, udp
from tests.conftest import needs
from tests.middlebox.packets import ANSWER, A, B, made, packet, read, right
from tioption.build.capture_file import file_header, record
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import Conversation
from tioption.capture.record import Record
from tioption.capture.segment import ACK, PSH, SYN
from tioption.errors import CaptureError
from tioption.middlebox import BOXES, Middlebox, Path, parse_chain
from tioption.middlebox.frames import Frame, ip_offset, turned
from tioption.middlebox.recorded import Passed, Point, Recording

MS = 1_000_000
ETHERNET = MACS + b"\x08\x00"
BACK = MACS[6:] + MACS[:6] + b"\x08\x00"


def recording(boxes: Sequence[Middlebox], point: Point = "behind", client: bytes | None = None) -> Recording:
    return Recording(Path(boxes), point=point, client=client)


def records(frames: Iterable[bytes], link_type: int = 1, gap: int = MS) -> list[Record]:
    return [Record(number, number * gap, link_type, data, len(data)) for number, data in enumerate(frames, 1)]


def of(talk: Conversation) -> list[Record]:
    return [Record(n, time_ns, 1, data, len(data)) for n, (time_ns, data) in enumerate(talk.frames(), 1)]


SIMPLE = {
    *("ethernet", "ethernet padded to 60 octets", "ethernet ipv6", "vlan", "qinq", "old qinq", "mpls", "mpls ipv6"),
    *("cisco hdlc", "null little-endian", "null big-endian", "loop", "raw", "raw ipv6", "raw as a bsd numbers it"),
    *("linktype ipv4", "linktype ipv6", "sll", "sll vlan", "sll2", "ipv4 with options", "ipv6 routing header"),
    "ipv6 hop-by-hop and destination options",
}
"""Link layers whose headers do not depend on what follows, with TCP in IP directly behind."""


@pytest.mark.parametrize("name", WRAPS)
def test_the_link_header_is_kept_or_the_frame_is_left_alone(name: str) -> None:
    link_type, frame = WRAPS[name].link_type, WRAPS[name].frame
    sent = recording([made("strip")])
    (after,) = sent.frames(records([frame], link_type))
    if name not in SIMPLE:
        assert (after.data, after.length) == (frame, len(frame))
        (left,) = sent.left
        assert (left.frames, left.first) == (1, 1)
        assert left.reason == "TCP in a tunnel, a fragment, or behind a header with a length"
        return
    assert not sent.left
    at = ip_offset(link_type, frame)
    assert at is not None
    assert after.data[:at] == frame[:at]
    inner = read(after.data[at:])
    assert inner.options == WRAPS[name].frame[at:][inner.offset + 20 :][:4]
    assert len(after.data) == after.length == at + inner.offset + 24


@pytest.mark.parametrize("name", WRAPS)
def test_a_path_without_boxes_changes_no_octet(name: str) -> None:
    frame = WRAPS[name].frame
    for point in ("behind", "a", "b"):
        assert list(recording([], point).frames(records([frame], WRAPS[name].link_type))) == [
            Passed(MS, frame, len(frame))
        ]


@given(st.sampled_from(sorted(SIMPLE)), st.data())
def test_any_damage_to_a_frame_is_survived(name: str, data: st.DataObject) -> None:
    frame = bytearray(WRAPS[name].frame[: data.draw(st.integers(0, len(WRAPS[name].frame)))])
    for at in data.draw(st.lists(st.integers(0, 200), max_size=4)):
        if frame:
            frame[at % len(frame)] ^= data.draw(st.integers(1, 255))
    one = Record(1, MS, WRAPS[name].link_type, bytes(frame), data.draw(st.integers(len(frame), 300)))
    boxes = parse_chain(["strip", "isn", "nat:loose", "split:10"], Random(1)).boxes
    assert all(len(passed.data) <= passed.length for passed in recording(boxes).frames([one]))


def test_what_is_not_ip_is_left_alone_without_a_word() -> None:
    arp = MACS + b"\x08\x06" + bytes(28)
    datagram = ETHERNET + ipv4(17, udp(53, b"query"))
    sent = recording([made("strip"), made("delay")])
    assert [one.data for one in sent.frames(records([arp, datagram]))] == [arp, datagram]
    assert not sent.left


def test_answers_get_the_header_of_their_direction() -> None:
    """From the last frame of that way, or the one at hand turned round."""
    boxes = [made("firewall:how=rst")]
    stray = packet("ab", ACK, 5, 6)
    (reset,) = recording(boxes).frames(records([ETHERNET + stray]))
    assert reset.data[:14] == BACK
    tagged = MACS[6:] + MACS[:6] + b"\x81\x00\x00\x07\x08\x00"
    frames = [ETHERNET + packet("ab", SYN, 4), tagged + packet("ba", SYN | ACK, 1, 5)]
    stranger = A._replace(port=9)
    *_, reset = recording(boxes).frames(records([*frames, ETHERNET + packet("ab", ACK, 5, 6, client=stranger)]))
    assert reset.data[:18] == tagged
    assert turned(101, b"") == b""


def test_delays_move_times_and_the_output_is_in_their_order() -> None:
    frames = [ETHERNET + packet("ab", ACK, n, 1, payload=b"x") for n in range(20)]
    passed = list(recording([made("delay:5ms,jitter=9ms,order=no")]).frames(records(frames)))
    times = [one.time_ns for one in passed]
    assert times == sorted(times)
    assert [one.data for one in passed] != frames
    assert sorted(one.data for one in passed) == sorted(frames)
    for one in passed:
        assert 5 * MS <= one.time_ns - (1 + frames.index(one.data)) * MS <= 14 * MS


def test_boxes_act_in_the_order_of_time() -> None:
    """What the first box holds back for 10 ms reaches the second after what comes within that time."""
    first, second = (packet("ab", flags, seq, 1, payload=b"xx") for flags, seq in ((ACK | PSH, 102), (ACK, 100)))
    held = made("reorder:100%,by=10ms")
    released = [ETHERNET + raw for raw in (first, second)]

    class Once(Middlebox):
        def process(self, packet, way, now_ns):  # type: ignore[no-untyped-def]
            if packet == first:
                return held.process(packet, way, now_ns)
            return [(0, way, packet)]

    (joined,) = recording([Once(), made("coalesce:hold=1s")]).frames(records(released))
    assert read(joined.data[14:]).payload_length == 4
    assert joined.time_ns == 11 * MS


def test_what_is_still_held_back_comes_at_the_end() -> None:
    frame = ETHERNET + packet("ab", ACK, 1, 1, payload=b"x")
    assert list(recording([made("coalesce"), made("delay:1ms"), made("coalesce")]).frames(records([frame]))) == [
        Passed(2 * MS, frame, len(frame))
    ]


def test_frames_without_a_time_and_times_that_fall_back() -> None:
    frame = ETHERNET + IP4
    times = [None, 5, 3, None]
    sent = [Record(number, time_ns, 1, frame, len(frame)) for number, time_ns in enumerate(times, 1)]
    assert [one.time_ns for one in recording([made("strip")]).frames(sent)] == [0, 3, 3, 5]


@pytest.mark.parametrize("box", ["delay:5ms", "queue:1G", "coalesce", "nat:loose", "strip"])
def test_a_clock_that_was_wrong_once_does_no_harm(box: str) -> None:
    frames = [ETHERNET + packet("ab", SYN if n < 2 else ACK | PSH, n, 1, payload=b"x") for n in range(20)]
    sent = records(frames)
    sent[3] = sent[3]._replace(time_ns=10**18)
    passed = list(recording([made(box)]).frames(sent))
    late = [one for one in passed if one.time_ns >= 10**18]
    assert (len(passed), len(late)) == (20, 1)
    assert [one.time_ns for one in passed if one not in late] == sorted(one.time_ns for one in passed)[:-1]


class TestDirections:
    def arrived(self, frames: list[bytes], client: bytes | None = None) -> list[bool]:
        """Whether each was taken for one of A's: only those lose their option."""

        class FromA(Middlebox):
            def process(self, packet, way, now_ns):  # type: ignore[no-untyped-def]
                return made("strip").process(packet, way, now_ns) if way == "ab" else [(0, way, packet)]

        passed = recording([FromA()], client=client).frames(records([ETHERNET + frame for frame in frames]))
        return [len(one.data) < len(ETHERNET + frame) for one, frame in zip(passed, frames, strict=True)]

    def test_a_is_who_sent_the_first_syn(self) -> None:
        frames = [packet("ba", SYN, 1, options=ANSWER), packet("ab", SYN | ACK, 1, options=ANSWER)]
        assert self.arrived(frames) == [True, False]

    def test_or_whom_the_first_syn_ack_answers(self) -> None:
        frames = [packet("ab", SYN | ACK, 1, options=ANSWER), packet("ba", ACK, 1, options=ANSWER)]
        assert self.arrived(frames) == [False, True]

    def test_or_who_speaks_first(self) -> None:
        frames = [packet("ba", ACK, 1, options=ANSWER), packet("ab", ACK, 1, options=ANSWER)]
        assert self.arrived(frames) == [True, False]

    def test_or_the_host_that_was_named(self) -> None:
        six = packet("ab", SYN, 1, options=ANSWER, six=True)
        frames = [packet("ab", SYN, 1, options=ANSWER), packet("ba", SYN, 1, options=ANSWER), six]
        assert self.arrived(frames, bytes(map(int, B.address.split(".")))) == [False, True, False]


class TestSnapshotLength:
    """What a capture cut stays cut, and zeros are never passed for octets that were on the wire."""

    PAYLOAD = bytes(range(1, 101))
    FULL = ETHERNET + packet("ab", ACK | PSH, 50, 60, options=ANSWER, payload=PAYLOAD)

    def passed(self, spec: str, kept: int) -> list[Passed]:
        one = Record(1, MS, 1, self.FULL[: len(self.FULL) - 100 + kept], len(self.FULL))
        return list(recording([made(spec)]).frames([one]))

    @pytest.mark.parametrize("kept", [0, 1, 30, 99])
    def test_one_segment(self, kept: int) -> None:
        (one,) = self.passed("strip", kept)
        assert one.length == len(self.FULL) - 20
        assert one.data[-kept or len(one.data) :] == self.PAYLOAD[:kept]
        assert len(one.data) == one.length - 100 + kept

    @pytest.mark.parametrize("kept", [0, 30, 45, 99])
    def test_its_pieces(self, kept: int) -> None:
        pieces = self.passed("split:40", kept)
        payloads = [one.data[14 + 20 + 40 :] for one in pieces]
        assert b"".join(payloads) == self.PAYLOAD[:kept]
        assert [one.length - 74 for one in pieces] == [40, 40, 20]

    @pytest.mark.parametrize("captured", [35, 40, 50, 54, 73])
    def test_headers_cut_short_are_left_alone(self, captured: int) -> None:
        sent = recording([made("lose:100%")])
        frame = Record(1, MS, 1, self.FULL[:captured], len(self.FULL))
        assert list(sent.frames([frame])) == [Passed(MS, self.FULL[:captured], len(self.FULL))]
        assert [one.reason.endswith(("cut short", "cut before its ports")) for one in sent.left] == [True]

    def test_checksums_of_cut_segments_are_those_of_the_whole(self) -> None:
        (one,) = self.passed("strip", 10)
        whole = one.data + self.PAYLOAD[10:]
        assert right(whole[14:])

    def test_cut_options_are_no_segment_to_change(self) -> None:
        frame = Frame.of(Record(1, 0, 1, self.FULL[:60], len(self.FULL)))
        assert frame is not None
        assert (len(frame.packet), frame.missing) == (len(self.FULL) - 14, len(self.FULL) - 60)


def test_segmentation_offload_leaves_no_length() -> None:
    raw = bytearray(packet("ab", ACK, 5, payload=b"x" * 100, options=ANSWER))
    raw[2:4] = bytes(2)
    (one,) = recording([made("strip")]).frames(records([ETHERNET + bytes(raw)]))
    assert read(one.data[14:]).payload == b"x" * 100


def test_damage_in_the_recording_ends_it_after_all_before() -> None:
    def damaged() -> Iterable[Record]:
        yield from records([ETHERNET + packet("ab", ACK, 1, 1, payload=b"x")])
        raise CaptureError("more", "less", file="x", frame=2, offset=9)

    passed = recording([made("coalesce"), made("delay:1s")]).frames(damaged())
    assert next(passed).time_ns == 1001 * MS
    with pytest.raises(CaptureError, match="frame 2, offset 9"):
        next(passed)


def test_both_points_and_what_is_behind_are_one_world() -> None:
    """Behind the path there is what arrives at either host; at a host also what it sends itself."""
    talk = SCENARIOS["resume"].conversation(3)
    specs = ["nat:ports=random", "isn", "strip:segment=syn", "delay:3ms"]

    def seen(point: Point) -> list[bytes]:
        path = Path(parse_chain(specs, Random(4)).boxes)
        return [one.data for one in Recording(path, point=point).frames(of(talk))]

    behind, at_a, at_b = (seen(point) for point in ("behind", "a", "b"))
    from_a = [one for one in at_a if read(one[14:]).dport == 443]
    assert len(behind) == len(at_a) == len(at_b)
    assert sorted(behind) == sorted(set(at_a) - set(from_a) | {one for one in at_b if read(one[14:]).dport == 443})


@pytest.fixture(scope="module")
def tshark() -> str:
    return needs("tshark")


VARIANTS = [
    *BOXES,
    *("overwrite:eol", "alter:tifid", "drop-unknown:rst", "isn:sack=no", "split:100,copy=first", "timestamps:rewrite"),
    *("nat:ports=random", "nat:after=9,how=both", "firewall:after=9,how=both", "lose:30%", "duplicate:50%"),
    *("reorder:30%", "delay:1ms,jitter=1ms", "queue:256k", "flip:30%,fix"),
]


@pytest.mark.parametrize("at", ["a", "b"])
def test_wireshark_finds_checksums_good_and_nothing_malformed(tshark: str, at: Point, tmp_path: File) -> None:
    """Every box on both families; what `flip` does is the only damage."""
    out, flipped = [file_header(1)], 0
    for spec in VARIANTS:
        for name in ("resume", "established-ipv6", "trace1", "est-11-wrong"):
            for one in recording([made(spec, 5)], at).frames(of(SCENARIOS[name].conversation(3))):
                damaged = spec == "flip" and not right(one.data[14:])
                flipped += damaged
                out.append(record(one.time_ns, one.data, one.length, unit=1000) if not damaged else b"")
    path = tmp_path / "all.pcap"
    path.write_bytes(b"".join(out))
    checks = ["-oip.check_checksum:TRUE", "-otcp.check_checksum:TRUE"]
    bad = "ip.checksum.status == bad or tcp.checksum.status == bad or _ws.malformed"
    command = [tshark, "-n", "-r", str(path), *checks, "-Y", bad]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert len(out) > 1000
    assert flipped < 5


def test_ipv6_is_found_behind_labels_and_tags() -> None:
    assert ip_offset(1, MACS + b"\x88\x47\x00\x02\x01\x40" + IP6) == 18
    assert ip_offset(1, MACS + b"\x88\x47\x00\x02\x00\x40") is None
    assert ip_offset(1, MACS + b"\x81\x00\x00\x01\x08\x06" + IP4) is None
    assert ip_offset(147, IP4) is None
    assert ip_offset(101, b"") is None
