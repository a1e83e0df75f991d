"""The plugin in real tshark: on every capture and scenario it shows what the codec, the validator and the flows say."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.conftest import ROOT, golden_captures, needs
from tests.dissect.expectation import FIELDS, differences
from tests.dissect.wireshark import Tshark, tshark
from tioption import __version__
from tioption.build.capture_file import pcap
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import MS, Conversation
from tioption.build.packet import Host, TcpHeader, tcp_frame
from tioption.capture.segment import ACK, SYN
from tioption.dissect import plugin
from tioption.dissect.definition import FIELDS_BY_NAME, JUDGED
from tioption.layout import EXPERIMENTS
from tioption.option import FlowOption, Kinds, Tifid, Variant

PLUGIN = ROOT / "dissectors/wireshark/tiflow.lua"
BOTH_PASSES = pytest.mark.parametrize("two_passes", [False, True], ids=["one pass", "two passes"])


@pytest.fixture(scope="module")
def shark() -> Iterator[Tshark]:
    with tshark(PLUGIN.read_text()) as made:
        yield made


def together(tapes: Iterator[Iterable[tuple[int, bytes]]]) -> bytes:
    """Conversations one after the other in one capture, their times in order."""
    frames: list[tuple[int, bytes]] = []
    start = 0
    for tape in tapes:
        made = list(tape)
        shift = start - made[0][0]
        frames += [(time_ns + shift, frame) for time_ns, frame in made]
        start = frames[-1][0] + 100_000 * MS
    return pcap(frames)


def every_scenario(seed: int) -> bytes:
    """All scenarios, each with numbers of its own."""
    return together(one.conversation(seed + number).frames() for number, one in enumerate(SCENARIOS.values()))


def mangled(seed: int, conversations: int = 80, missing: float = 0.04) -> bytes:
    """Conversations whose handshake segments have wrong values, no option, come twice, or are missing, by chance."""
    random = Random(seed)

    def option(ruled: FlowOption) -> FlowOption | bytes | None:
        chance = random.random()
        if chance < 0.6:
            return ruled
        if chance < 0.65:
            return None
        if chance < 0.7:
            return bytes(ruled)[:2] + random.randbytes(18)
        if chance < 0.73:
            return bytes(ruled)[:1] + b"\x0a" + bytes(ruled)[2:10]
        name = random.choice(("tifid", "tiseq", "tiack", "variant"))
        if name == "variant":
            return ruled.replace(variant=random.choice(list(Variant)))
        value = ruled.tifid.value if name == "tifid" else getattr(ruled, name)
        value = random.choice((value + 1, value - 1, 0, value ^ 1 << random.randrange(48), value + (1 << 24))) % (
            1 << 48
        )
        return ruled.replace(**{name: Tifid(value) if name == "tifid" else value})

    def talk(number: int) -> Iterable[tuple[int, bytes]]:
        made = Conversation(seed + number, variant=random.choice(list(Variant)))
        transport = made.transport()
        for attempt in range(3):
            for step in (transport.syn, transport.syn_ack, transport.ack):
                for _ in range(random.choice((1, 1, 1, 2))):
                    step(option=option, payload=random.choice((b"", b"", b"", b"xyz")))
            for _ in range(random.randrange(4)):
                transport.send(random.choice(("A", "B")), random.randrange(1, 2000), lost=random.random() < 0.2)
            if random.random() < 0.2:
                transport.reset(random.choice(("A", "B")))
            if random.random() < 0.2:
                transport.fin(random.choice(("A", "B")))
            made.wait(random.randrange(3000) * MS)
            transport = made.transport(resuming=attempt < 2)
        return [frame for frame in made.frames() if random.random() > missing]

    return together(talk(number) for number in range(conversations))


@BOTH_PASSES
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_wrong_handshakes_by_chance(shark: Tshark, seed: int, two_passes: bool) -> None:
    capture = shark.capture(mangled(seed))
    assert list(differences(shark, capture, two_passes=two_passes)) == []


@BOTH_PASSES
def test_every_scenario_is_shown_as_this_package_sees_it(shark: Tshark, two_passes: bool) -> None:
    capture = shark.capture(every_scenario(1000))
    assert list(differences(shark, capture, two_passes=two_passes)) == []


@BOTH_PASSES
@pytest.mark.parametrize("path", golden_captures(), ids=lambda path: path.stem)
def test_golden_captures(shark: Tshark, path: Path, two_passes: bool) -> None:
    capture = shark.capture(path.read_bytes())
    assert list(differences(shark, capture, two_passes=two_passes)) == []


def test_scenarios_break_every_rule_that_the_plugin_judges(shark: Tshark) -> None:
    rows = shark.rows(shark.capture(every_scenario(1000)), ["tiflow.rule"])
    assert {rule for row in rows for rule in row["tiflow.rule"]} == set(JUDGED)


@pytest.mark.parametrize(
    ("source", "broken"),
    [
        ("answer.tiack ~= offer.tiseq", "answer.tiack == offer.tiseq"),
        ("at.tiseq + 3", "at.tiseq + 2"),
        ("confirmation and confirmation.tiseq or answer.tiack", "confirmation and confirmation.tiack or answer.tiack"),
        ("confirmation and confirmation.tiseq or answer.tiack", "answer and answer.tiack or confirmation.tiseq"),
        ('"MAP-04", "RES-01"', '"EST-07", "EST-07"'),
        ("number = #flow.transports + 1", "number = #flow.transports + 2"),
        ("stream.sent + difference48(", "stream.sent + 1 + difference48("),
        ("stop > sent and stop > place", "place > sent"),
        ("ti.named[name_of(answer)] = flow", "ti.named[name_of(answer)] = nil"),
    ],
)
def test_a_broken_plugin_is_noticed(source: str, broken: str) -> None:
    text = PLUGIN.read_text()
    assert source in text
    with tshark(text.replace(source, broken)) as shark:
        made = (every_scenario(1000), mangled(1000))
        assert any(list(differences(shark, shark.capture(octets), two_passes=True)) for octets in made)


class TestLoading:
    def test_installed_for_all_users(self) -> None:
        with tshark(None) as shark:
            shark.install_for_all_users(PLUGIN.read_text())
            capture = shark.capture(resume())
            assert list(differences(shark, capture, two_passes=True)) == []
            shark.as_root = True
            assert len(shark.run("-r", capture, "-Y", "tiflow.transport == 2").splitlines()) == 9

    def test_installed_and_given_again(self) -> None:
        with tshark(PLUGIN.read_text()) as shark:
            shark.install_for_all_users(PLUGIN.read_text())
            capture = shark.capture(resume())
            assert list(differences(shark, capture, two_passes=True)) == []
            # What the second one is asked for, the first one does.
            assert "1 established" in shark.run("-q", "-r", capture, "-X", "lua_script1:stats")

    def test_installed_for_one_user_wireshark_lists_it_with_its_version_and_fields(self) -> None:
        with tshark(None) as shark:
            shark.install(PLUGIN.read_text())
            (line,) = [line for line in shark.report("plugins") if line.startswith("tiflow.lua")]
            assert line.split()[:4] == ["tiflow.lua", __version__, "lua", "script"]
            names = [line.split("\t")[2] for line in shark.report("fields") if "\ttiflow" in line]
            assert {name for name in names if ".expert." not in name} == {
                *("tiflow", "tiflow_analysis"),
                *(f"tiflow.{name}" for name in FIELDS_BY_NAME),
            }
            assert list(differences(shark, shark.capture(resume()), two_passes=False)) == []

    @pytest.mark.parametrize("compiler", ["luac5.2", "luac5.4"])
    def test_it_is_lua_of_both_versions(self, compiler: str) -> None:
        subprocess.run([needs(compiler), "-p", str(PLUGIN)], check=True)


def resume() -> bytes:
    return (ROOT / "pcaps/resume/resume.pcap").read_bytes()


class TestFilters:
    @pytest.mark.parametrize(
        ("text", "frames"),
        [
            ("tiflow", range(1, 20)),
            ("tiflow.kind == 253", [1, 2, 3, 11, 12, 13]),
            ("tiflow.flow == 0", range(1, 20)),
            ("tiflow.transport == 2", range(11, 20)),
            ("tiflow.tiseq > 0x1f && tiflow.tiack in {0x100..0x200}", [11, 13]),
            ("tiflow.tifid == 0x5e1c07a9d344", [2, 3, 11, 12, 13]),
            ("tiflow.tifid.bytes[0:2] == 5e:1c && tiflow.tifid.second == 0", [1]),
            ('tiflow.phase contains "resume"', [11, 12, 13]),
            ('tiflow.variant == "flow-d" && tcp.flags.syn == 0', [3, 13]),
            ('tiflow.rule == "EST-02"', [1, 2]),
            ('tiflow.severity == "warning"', [1, 2]),
            ("tiflow.expert.est-02", [1, 2]),
            ("tiflow.position.relative == 600 && tcp.len > 0", [7, 9, 14]),
            ("tiflow.position == 0x275", [6, 7, 9, 13, 14]),
            ("tiflow.outage > 58 && tiflow.reconnect_time < 0.1", [13]),
            ("tiflow.transport.previous == 1", range(11, 20)),
        ],
    )
    def test_frames(self, shark: Tshark, text: str, frames: list[int]) -> None:
        capture = shark.capture(resume())
        assert [int(row["frame.number"][0]) for row in shark.rows(capture, ["frame.number"], "-2", "-Y", text)] == list(
            frames
        )
        # A read filter renumbers what it lets through.
        read = shark.rows(capture, ["frame.number", "tiflow.flow"], "-2", "-R", text)
        assert [row["tiflow.flow"] for row in read] == [["0"]] * len(list(frames))

    def test_links_to_the_next_transport(self, shark: Tshark) -> None:
        rows = shark.rows(shark.capture(resume()), ["frame.number"], "-2", "-Y", "tiflow.transport.next == 11")
        assert len(rows) == 10


class TestPreferences:
    def test_other_kinds(self, shark: Tshark) -> None:
        talk = Conversation(3, kinds=Kinds(77, 78), variant=Variant.FLOW_C)
        talk.connect().send("A", 100)
        talk.resume().send("B", 100)
        capture = shark.capture(talk.pcap())
        kinds = ["-o", "tiflow.kind_d:77", "-o", "tiflow.kind_c:78"]
        assert list(differences(shark, capture, *kinds, two_passes=True, kinds=talk.kinds)) == []
        assert all(row["tiflow.kind"] == [] for row in shark.rows(capture, ["tiflow.kind"]))
        # The kinds no longer wanted are Wireshark's own again.
        capture = shark.capture(resume())
        assert "RFC3692-style Experiment 1" in shark.run("-r", capture, *kinds, "-c", 1, "-V")
        assert "RFC3692-style Experiment 1" not in shark.run("-r", capture, "-c", 1, "-V")
        assert shark.run("-r", capture, *kinds, "-Y", "tiflow") == ""

    def test_without_the_analysis_of_every_segment(self, shark: Tshark) -> None:
        fields = ["tiflow.flow", "tiflow.phase"]
        rows = shark.rows(shark.capture(resume()), fields, "-o", "tiflow.every_segment:FALSE")
        assert [number for number, row in enumerate(rows, 1) if row["tiflow.flow"]] == [1, 2, 3, 11, 12, 13]
        assert all(row["tiflow.phase"] for row in rows if row["tiflow.flow"])

    @pytest.mark.parametrize(
        ("relative", "text"), [("TRUE", "S=+600 K=+300"), ("FALSE", "S=000000000275 K=00000000014b")]
    )
    def test_positions_in_the_packet_list(self, shark: Tshark, relative: str, text: str) -> None:
        capture = shark.capture(resume())
        listed = shark.run("-r", capture, "-o", f"tiflow.relative:{relative}").splitlines()
        assert listed[12].endswith(f"TI-flow resume confirmation 5e1c07a9d344 {text}")
        assert [number for number, line in enumerate(listed, 1) if " TI-flow " in line] == [1, 2, 3, 11, 12, 13]


class TestForeignExperiments:
    A, B = Host("192.0.2.1", 1000, bytes(6)), Host("192.0.2.2", 80, bytes(6))

    def frames(self) -> list[tuple[int, bytes]]:
        """A SYN for each known experiment on each of its kinds, at its longest length or at 20 octets."""
        made: list[tuple[int, bytes]] = []
        for number, (_, _, exid, kinds, lengths) in enumerate(EXPERIMENTS):
            for kind in kinds:
                length = max(lengths) if lengths else 20
                option = bytes((kind, length)) + exid
                option += bytes(range(length - len(option)))
                header = TcpHeader(number, 0, SYN, 1000, option)
                made.append((len(made) * MS, tcp_frame(self.A._replace(port=1000 + len(made)), self.B, header)))
        return made

    def test_they_have_their_names_and_are_no_flow_options(self, shark: Tshark) -> None:
        fields = [
            "tiflow",
            *(f"tiflow.{name}" for name in ("experiment", "experiment.exid", "experiment.data", "tifid")),
        ]
        rows = shark.rows(shark.capture(pcap(self.frames())), fields, "-2")
        wanted = [(title, exid.hex()) for _, title, exid, kinds, _ in EXPERIMENTS for _ in kinds]
        assert [(row["tiflow.experiment"], row["tiflow.experiment.exid"]) for row in rows] == [
            ([title], [exid]) for title, exid in wanted
        ]
        assert all(row["tiflow.tifid"] == [] for row in rows)

    def test_nothing_is_handed_to_the_built_in_dissector(self, shark: Tshark) -> None:
        """It crashes tshark on a Fast Open cookie that comes from Lua."""
        cookie = bytes.fromhex("fe14f98900112233445566778899aabbccddeeff")
        frame = tcp_frame(self.A, self.B, TcpHeader(1, 0, SYN, 1000, cookie))
        assert "Experiment tfo: TCP Fast Open" in shark.run("-r", shark.capture(pcap([(0, frame)])), "-V")

    def test_a_quoted_header_in_an_icmp_error_teaches_nothing(self, shark: Tshark) -> None:
        talk = Conversation(5)
        talk.connect().send("A", 10)
        frames = list(talk.frames())
        quoted = frames[-2][1][14:]
        icmp = bytes.fromhex("0301000000000000") + quoted
        header = bytes.fromhex("4500") + (20 + len(icmp)).to_bytes(2, "big") + bytes.fromhex("0000000040010000")
        error = frames[0][1][:14] + header + bytes.fromhex("0a0000010a000002") + icmp
        capture = shark.capture(pcap([*frames, (frames[-1][0], error)]))
        rows = shark.rows(capture, ["icmp.type", "tiflow.flow", "tiflow.position"], "-2")
        assert rows[-1] == {"icmp.type": ["3"], "tiflow.flow": [], "tiflow.position": []}
        assert all(row["tiflow.flow"] == ["0"] for row in rows[:-1])


class TestEncapsulation:
    @pytest.mark.parametrize("outer", ["vlan", "ip-in-ip", "ipv6"])
    def test_headers_are_found_wherever_they_are(self, shark: Tshark, outer: str) -> None:
        talk = Conversation(8, a="2001:db8::1", b="2001:db8::2") if outer == "ipv6" else Conversation(8)
        talk.connect().send("A", 1000)
        talk.resume().send("B", 500)
        frames = list(talk.frames())
        if outer == "vlan":
            frames = [(at, one[:12] + bytes.fromhex("81000007") + one[12:]) for at, one in frames]
        elif outer == "ip-in-ip":
            frames = [(at, one[:14] + self.ipv4(len(one) - 14) + one[14:]) for at, one in frames]
        assert list(differences(shark, shark.capture(pcap(frames)), two_passes=True)) == []

    @staticmethod
    def ipv4(octets: int) -> bytes:
        length = (20 + octets).to_bytes(2, "big")
        return bytes.fromhex("4500") + length + bytes.fromhex("0000000040040000") + bytes.fromhex("0a0000010a000002")


class TestStatisticsAndStreams:
    TEXT = """\
TI-flow: 1 flows offered, 1 established, 2 transports, 1 resumes
flow 0  flow-d  5e1c07a9d344  resumed  2 transports  1000 bytes A to B  500 bytes B to A
    transport 1  from frame 1
    transport 2  from frame 11  reconnect 0.021000 s  outage 58.590000 s
    rules  EST-02 x2
"""

    @pytest.mark.parametrize("passes", [[], ["-2"]])
    def test_at_the_end_of_a_run(self, shark: Tshark, passes: list[str]) -> None:
        capture = shark.capture(resume())
        assert shark.run("-q", *passes, "-r", capture, "-X", "lua_script1:stats").rstrip() == self.TEXT.rstrip()
        assert shark.run("-q", *passes, "-r", capture, "-o", "tiflow.statistics:TRUE").rstrip() == self.TEXT.rstrip()

    @pytest.mark.parametrize("side", ["A", "B"])
    def test_a_stream_across_transports(self, shark: Tshark, side: str) -> None:
        talk = Conversation(4)
        transport = talk.connect()
        for size, lost in ((700, False), (300, True)):
            transport.send("A", size, lost=lost)
            transport.send("B", size // 2, lost=lost)
        talk.wait(500 * MS)
        again = talk.resume()
        again.resend("A")
        again.resend("B")
        again.send("A", 55)
        printed = shark.run("-q", "-r", shark.capture(talk.pcap()), "-X", f"lua_script1:follow,0,{side}")
        octets = bytes.fromhex("".join(line[10:58] for line in printed.splitlines()[1:]))
        assert octets == talk.streams[side].octets  # type: ignore[index]

    def test_octets_that_are_not_there_are_said_to_be_missing(self, shark: Tshark) -> None:
        talk = Conversation(4)
        transport = talk.connect()
        transport.send("A", 100)
        transport.send("A", 100)
        transport.send("A", 100)
        frames = [frame for frame in talk.frames() if frame[0] != talk.observed[5].sent.time_ns]
        printed = shark.run("-q", "-r", shark.capture(pcap(frames)), "-X", "lua_script1:follow,0,A")
        assert "(100 octets are not in the capture)" in printed


def test_the_generated_text_holds_every_source_and_the_kinds_asked_for() -> None:
    text = plugin.render(Kinds(77, 78))
    assert "kinds = { d = 77, c = 78 }" in text
    assert all(source in text for _, source in plugin.sources())
    assert len(list(plugin.sources())) >= 8


def test_acknowledgments_of_data_that_is_not_in_the_capture(shark: Tshark) -> None:
    """One direction alone: places come from acknowledgments."""
    talk = Conversation(6)
    transport = talk.connect()
    for _ in range(3):
        transport.send("A", 1000)
    frames = [
        (sent.time_ns, sent.frame)
        for sent in (one.sent for one in talk.observed)
        if sent.side == "B" or sent.header.flags & SYN or not sent.payload
    ]
    assert list(differences(shark, shark.capture(pcap(frames)), two_passes=True)) == []


def test_positions_beyond_2_31(shark: Tshark) -> None:
    """Sequence numbers wrap more than once, positions do not."""
    talk = Conversation(9)
    talk.connect()
    frames = list(talk.frames())
    client = talk.observed[0].sent.source
    isn = talk.observed[0].sent.header.seq
    ack = talk.observed[2].sent.header.ack
    step = 1 << 29
    for number in range(20):
        place = number * step
        sent = TcpHeader((isn + 1 + place) & 0xFFFFFFFF, ack, ACK, 500)
        back = TcpHeader(ack, (isn + 1 + place + 100) & 0xFFFFFFFF, ACK, 500)
        at = frames[-1][0] + MS
        frames.append((at, tcp_frame(client, talk.b, sent, bytes(100))))
        frames.append((at + MS, tcp_frame(talk.b, client, back)))
    capture = shark.capture(pcap(frames))
    assert list(differences(shark, capture, two_passes=True)) == []
    rows = shark.rows(capture, ["tiflow.position.relative"], "-2", "-Y", "tcp.len > 0")
    assert [row["tiflow.position.relative"] for row in rows] == [[str(number * step)] for number in range(20)]


def test_expected_fields_are_all_the_plugin_has() -> None:
    others = {"experiment", "experiment.exid", "experiment.data", "phase"}
    assert set(FIELDS) | others == set(FIELDS_BY_NAME)
