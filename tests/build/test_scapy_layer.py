"""The flow option in Scapy: built, dissected, copied; what is foreign stays what stock Scapy makes of it."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from struct import unpack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror, TCPOptions, TCPOptionsField
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.packet import Packet, Padding, Raw, fuzz, ls

from tests.conftest import ROOT, golden_captures, needs
from tests.test_option import VECTORS, flow_options
from tioption import Capture
from tioption.build.packet import Host, TcpHeader, mss, tcp_frame
from tioption.build.scapy_layer import (
    ScapyFlowOption,
    flow_option,
    register,
    to_scapy,
    unregister,
    with_flow_option,
)
from tioption.capture.segment import Segment
from tioption.errors import OptionError
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid, Variant, experiment_of, walk

OPTION = FlowOption(Variant.FLOW_D, Tifid(0x0A4530BE79BF), 0x1F, 0x1D)
VALUE = ScapyFlowOption(0x0A4530BE79BF, 0x1F, 0x1D)
CONTROL = OPTION.replace(variant=Variant.FLOW_C)
LINUX_SYN = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (109, 0)), ("NOP", None), ("WScale", 7)]

A4 = Host("192.0.2.1", 40000, bytes.fromhex("020000000001"))
B4 = Host("198.51.100.2", 9000, bytes.fromhex("020000000002"))
A6, B6 = A4._replace(address="2001:db8::1"), B4._replace(address="2001:db8::2")
FAST_OPEN = bytes.fromhex("fe14f989") + bytes(range(16))

# Octets at random, and pieces of options that meet in ways nobody thought of.
areas = st.one_of(
    st.binary(max_size=40),
    st.lists(
        st.one_of(
            flow_options.map(bytes),
            st.sampled_from(
                [b"\x00", b"\x01", mss(1460), FAST_OPEN, b"\xfd\x14", b"\xfe\x16", b"\xfd\x00", b"\x08\x01"]
            ),
            st.binary(min_size=16, max_size=20),
        ),
        max_size=4,
    ).map(lambda parts: b"".join(parts)[:40]),
)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    register()
    yield
    unregister()


def frame(options: bytes = b"", *, v6: bool = False) -> bytes:
    return tcp_frame(A6 if v6 else A4, B6 if v6 else B4, TcpHeader(110, 0, 2, 65535, options), b"data")


def syn(*options: tuple[Any, Any]) -> Packet:
    return IP(src="192.0.2.1", dst="198.51.100.2") / TCP(sport=40000, dport=9000, flags="S", options=list(options))


def area_of(packet: Packet) -> bytes:
    """The option area of the packet's octets, cut as its data offset says."""
    tcp = bytes(packet[TCP])
    return tcp[20 : (tcp[12] >> 4) * 4]


def dissected(octets: bytes) -> list[tuple[Any, Any]]:
    field: Any = TCPOptionsField("options", b"")
    return list(field.m2i(None, octets))


class TestScapyFlowOption:
    def test_holds_the_octets_behind_kind_and_length(self) -> None:
        assert bytes(VALUE) == bytes(OPTION)[2:]
        assert (VALUE.tifid, VALUE.tiseq, VALUE.tiack) == (OPTION.tifid, OPTION.tiseq, OPTION.tiack)
        assert ScapyFlowOption(OPTION.tifid, 0x1F, 0x1D) == VALUE

    @given(flow_options)
    def test_option_round_trip(self, option: FlowOption) -> None:
        value = ScapyFlowOption.from_option(option)
        assert value.to_option(option.variant) == option
        assert bytes(value) == bytes(option)[2:]

    @given(flow_options)
    def test_is_a_value(self, option: FlowOption) -> None:
        value = ScapyFlowOption.from_option(option)
        again = [copy.copy(value), copy.deepcopy(value), value.replace(), eval(repr(value))]
        again += [pickle.loads(pickle.dumps(value, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
        for other in again:
            assert type(other) is ScapyFlowOption
            assert other == value
            assert hash(other) == hash(value)
        assert value != value.replace(tiack=option.tiack ^ 1)

    def test_replace_takes_fields_by_name(self) -> None:
        assert VALUE.replace(tifid=7, tiack=9) == ScapyFlowOption(7, 0x1F, 9)
        with pytest.raises(TypeError):
            VALUE.replace(tificid=7)

    def test_is_immutable(self) -> None:
        with pytest.raises(AttributeError):
            VALUE.tiseq = 5  # type: ignore[misc]
        with pytest.raises(AttributeError):
            VALUE.note = 5  # type: ignore[attr-defined]

    def test_text(self) -> None:
        assert str(VALUE) == "tifid 0a4530be79bf tiseq 00000000001f tiack 00000000001d"
        assert repr(VALUE) == "ScapyFlowOption(tifid=0x0a4530be79bf, tiseq=0x1f, tiack=0x1d)"

    @pytest.mark.parametrize("field", ["tifid", "tiseq", "tiack"])
    @pytest.mark.parametrize("number", [-1, 2**48])
    def test_out_of_range(self, field: str, number: int) -> None:
        with pytest.raises(OptionError, match="48 bits"):
            VALUE.replace(**{field: number})


class TestBuildAndDissect:
    @pytest.mark.parametrize(("octets", "text"), VECTORS)
    def test_vectors_both_ways(self, octets: str, text: str) -> None:
        option = FlowOption.parse(bytes.fromhex(octets))
        entry = (text[:6], ScapyFlowOption.from_option(option))
        assert area_of(syn(entry)).hex() == octets
        assert dissected(bytes.fromhex(octets)) == [entry]

    @given(flow_options)
    def test_round_trip_through_octets(self, option: FlowOption) -> None:
        built = syn(*LINUX_SYN, (option.variant.value, ScapyFlowOption.from_option(option)))
        assert [stretch.flow for stretch in walk(area_of(built)) if stretch.flow] == (
            [option] if experiment_of(bytes(option)) is None else []
        )
        again = IP(bytes(built))
        assert bytes(again) == bytes(built)
        expected = option if experiment_of(bytes(option)) is None else None
        assert flow_option(built) == flow_option(again) == expected
        name, value = again[TCP].options[-1]
        assert (type(value) is ScapyFlowOption) is (expected is not None)
        assert name == (option.variant.value if expected else DEFAULT_KINDS.kind(option.variant))
        assert bytes(value) == bytes(option)[2:]

    @given(areas, st.sampled_from([DEFAULT_KINDS, Kinds(77, 253), Kinds(254, 253)]))
    def test_dissects_what_the_codec_finds_and_the_rest_as_ever(self, octets: bytes, kinds: Kinds) -> None:
        unregister()
        expected = dissected(octets)
        register(kinds)
        found = dissected(octets)
        flows = [option.flow for option in walk(octets, kinds=kinds) if option.flow is not None]
        assert [value.to_option(Variant(name)) for name, value in found if type(value) is ScapyFlowOption] == flows
        plain = [
            (kinds.kind(Variant(name)), bytes(value)) if type(value) is ScapyFlowOption else (name, value)
            for name, value in found
        ]
        assert plain == expected

    @pytest.mark.parametrize("v6", [False, True])
    def test_both_families(self, v6: bool) -> None:
        packet = to_scapy(frame(mss(1460) + bytes(OPTION), v6=v6))
        assert packet.haslayer(IPv6 if v6 else IP)
        assert packet[TCP].options == [("MSS", 1460), ("flow-d", VALUE)]
        assert flow_option(packet) == OPTION
        del packet[TCP].chksum
        assert bytes(packet) == frame(mss(1460) + bytes(OPTION), v6=v6)

    @pytest.mark.parametrize(
        ("octets", "entry"),
        [
            (FAST_OPEN, (254, FAST_OPEN[2:])),
            (b"\xfd\x04\xf9\x89", (253, b"\xf9\x89")),
            (b"\xfd\x02", (253, b"")),
            (bytes(OPTION)[:1] + b"\x15" + bytes(OPTION)[2:] + b"\x00", (253, bytes(OPTION)[2:] + b"\x00")),
            # 18 octets are left, but the option says that it has more, or that it has none.
            (bytes(OPTION)[:1] + b"\x16" + bytes(OPTION)[2:], (253, bytes(OPTION)[2:])),
            (b"\x08\x00" + bytes(OPTION), ("Timestamp", b"")),
        ],
    )
    def test_what_is_no_flow_option_stays_as_it_is(self, octets: bytes, entry: tuple[Any, Any]) -> None:
        assert dissected(octets)[0] == entry
        assert not any(isinstance(value, ScapyFlowOption) for _, value in dissected(octets))

    def test_what_is_foreign_builds_back_to_its_octets(self) -> None:
        packet = to_scapy(frame(FAST_OPEN + bytes(OPTION)))
        assert packet[TCP].options == [(254, FAST_OPEN[2:]), ("flow-d", VALUE)]
        packet[TCP].options = list(reversed(packet[TCP].options))
        assert area_of(packet) == bytes(OPTION) + FAST_OPEN

    def test_a_value_also_goes_by_its_kind(self) -> None:
        assert area_of(syn((254, VALUE))) == bytes(CONTROL)

    @pytest.mark.parametrize("path", golden_captures(), ids=lambda path: path.stem)
    def test_golden_captures(self, path: Path) -> None:
        from scapy.utils import rdpcap

        with Capture(str(path)) as capture:
            segments = [item for item in capture.segments() if isinstance(item, Segment)]
        packets = rdpcap(str(path))
        assert len(packets) == len(segments)
        for packet, segment in zip(packets, segments, strict=True):
            flow = next((option.flow for option in segment.walk_options() if option.flow is not None), None)
            assert flow_option(packet) == flow_option(to_scapy(segment.data)) == flow
            values = [value for _, value in packet[TCP].options if isinstance(value, ScapyFlowOption)]
            assert values == ([] if flow is None else [ScapyFlowOption.from_option(flow)])
            rebuilt = packet.copy()
            rebuilt[TCP].options = list(packet[TCP].options)
            del rebuilt[TCP].chksum, rebuilt[TCP].dataofs, rebuilt[IP].chksum, rebuilt[IP].len
            assert bytes(rebuilt) == segment.data


class TestPackets:
    """What Scapy's users do with packets holds for those with a flow option."""

    packet: Any = syn(*LINUX_SYN, ("flow-d", VALUE))

    def test_show_and_summary(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = self.packet.show(dump=True)
        assert re.search(r"options += \[\('MSS', 1460\), .*\('flow-d', " + re.escape(repr(VALUE)) + r"\)\]", shown)
        assert repr(VALUE) in str(IP(bytes(self.packet)).show2(dump=True))
        assert self.packet.summary() == "IP / TCP 192.0.2.1:40000 > 198.51.100.2:9000 S"
        assert repr(VALUE) in repr(self.packet)
        ls(self.packet[TCP])
        assert repr(VALUE) in capsys.readouterr().out

    def test_copies_are_equal_and_apart(self) -> None:
        for original in (self.packet, IP(bytes(self.packet))):
            for other in (original.copy(), copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
                assert bytes(other) == bytes(original)
                assert flow_option(other) == OPTION
                assert isinstance(other[TCP].options[-1][1], ScapyFlowOption)
                other[TCP].options[-1] = ("flow-d", VALUE.replace(tiseq=5))
                assert flow_option(other) == OPTION.replace(tiseq=5)
                assert flow_option(original) == OPTION

    def test_command_evaluates_back(self) -> None:
        assert bytes(eval(self.packet.command())) == bytes(self.packet)

    def test_random_options_still_build(self) -> None:
        for _ in range(50):
            assert len(bytes(fuzz(TCP()))) >= 20

    def test_answers_are_recognised(self) -> None:
        reply = IP(src="198.51.100.2", dst="192.0.2.1") / TCP(sport=9000, dport=40000, flags="SA", ack=1)
        assert with_flow_option(reply, OPTION).answers(self.packet)

    def test_files_written_by_scapy(self, tmp_path: Path) -> None:
        """A copy with the option is longer than the packet it was made from, in the file's own lengths too."""
        from scapy.utils import rdpcap, wrpcap

        wrpcap(str(tmp_path / "one.pcap"), [to_scapy(frame(mss(1460)))])
        (packet,) = rdpcap(str(tmp_path / "one.pcap"))
        wrpcap(str(tmp_path / "two.pcap"), [with_flow_option(packet, OPTION)])
        with Capture(str(tmp_path / "two.pcap")) as capture:
            (segment,) = (item for item in capture.segments() if isinstance(item, Segment))
        assert segment.data == frame(mss(1460) + bytes(OPTION))
        captured, on_the_wire = unpack("=II", (tmp_path / "two.pcap").read_bytes()[32:40])
        assert captured == on_the_wire == len(segment.data)


class TestRegister:
    def test_is_idempotent(self) -> None:
        before = TCPOptionsField.m2i
        register()
        register(Kinds(253, 254))
        assert TCPOptionsField.m2i is before
        assert (TCPOptions[0][253], TCPOptions[1]["flow-d"]) == (("flow-d", None), 253)
        assert (TCPOptions[0][254], TCPOptions[1]["flow-c"]) == (("flow-c", None), 254)

    def test_unregister_restores_scapy(self) -> None:
        unregister()
        stock = (TCPOptionsField.__dict__["m2i"], dict(TCPOptions[0]), dict(TCPOptions[1]))
        for kinds in (DEFAULT_KINDS, Kinds(77, 78), Kinds(254, 253)):
            register(kinds)
            assert TCPOptionsField.__dict__["m2i"] is not stock[0]
        unregister()
        unregister()
        assert (TCPOptionsField.__dict__["m2i"], dict(TCPOptions[0]), dict(TCPOptions[1])) == stock
        assert dissected(bytes(OPTION)) == [(253, bytes(OPTION)[2:])]

    def test_other_kinds_take_the_place_of_those_before(self) -> None:
        kinds = Kinds(77, 78)
        register(kinds)
        assert not {253, 254} & set(TCPOptions[0])
        assert area_of(syn(("flow-c", VALUE))) == CONTROL.encode(kinds)
        assert dissected(CONTROL.encode(kinds) + bytes(OPTION)) == [("flow-c", VALUE), (253, bytes(OPTION)[2:])]
        assert flow_option(IP(bytes(syn(("flow-c", VALUE))))) == CONTROL
        register()
        assert dissected(OPTION.encode(kinds)) == [(77, bytes(OPTION)[2:])]

    def test_kinds_chosen_before_are_kept(self) -> None:
        register(Kinds(77, 78))
        packet = with_flow_option(to_scapy(frame(mss(1460))), OPTION)
        assert area_of(packet) == mss(1460) + OPTION.encode(Kinds(77, 78))
        assert flow_option(packet) == OPTION

    def test_helpers_register_by_themselves(self) -> None:
        unregister()
        assert flow_option(Ether(frame(bytes(OPTION)))) == OPTION
        assert "flow-d" not in TCPOptions[1]
        assert to_scapy(frame(bytes(OPTION)))[TCP].options == [("flow-d", VALUE)]
        unregister()
        assert flow_option(with_flow_option(syn(), OPTION)) == OPTION

    @pytest.mark.parametrize(
        ("kinds", "message"),
        [
            (Kinds(77, 77), "expected two kinds, found 77 twice"),
            (Kinds(77, 256), "expected a kind of one octet, found 256"),
            (Kinds(-1, 77), "expected a kind of one octet, found -1"),
            (Kinds(34, 77), "expected a kind without a name in Scapy, found 34 (TFO)"),
            (Kinds(77, 1), "expected a kind without a name in Scapy, found 1 (NOP)"),
        ],
    )
    def test_kinds_that_cannot_be_registered_change_nothing(self, kinds: Kinds, message: str) -> None:
        before = (TCPOptionsField.m2i, dict(TCPOptions[0]), dict(TCPOptions[1]))
        with pytest.raises(ValueError, match=re.escape(message)):
            register(kinds)
        assert (TCPOptionsField.m2i, dict(TCPOptions[0]), dict(TCPOptions[1])) == before

    def test_loads_the_layers_it_needs_and_no_more(self) -> None:
        code = "import sys; from tioption.build.scapy_layer import TCPOptions as known; "
        code += "print('scapy.all' in sys.modules, 'flow-d' in known[1])"
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("False False\n", "")


class TestFlowOption:
    @pytest.mark.parametrize(
        "options",
        [b"", mss(1460), FAST_OPEN, bytes(OPTION) * 2, bytes(OPTION) + bytes(CONTROL), b"\x00" + bytes(OPTION)],
    )
    def test_none_where_receivers_see_none(self, options: bytes) -> None:
        assert flow_option(to_scapy(frame(options))) is None

    def test_none_without_tcp(self) -> None:
        assert flow_option(Ether() / ARP()) is None
        assert flow_option(IP() / UDP() / Raw(bytes(OPTION))) is None

    def test_evidence_is_not_repaired(self) -> None:
        """Scapy would build both as proper options of 20 octets; the octets dissected are none."""
        overrun = bytes(OPTION)[:1] + b"\x16" + bytes(OPTION)[2:]
        behind_eol = b"\x00" * 4 + bytes(OPTION)
        for options in (overrun, behind_eol):
            assert flow_option(to_scapy(frame(options))) is None

    def test_the_innermost_segment_counts(self) -> None:
        inner = syn(("flow-d", VALUE))
        assert flow_option(IP() / GRE() / inner) == OPTION
        assert flow_option(syn(("flow-c", VALUE)) / inner) == OPTION
        assert flow_option(inner / syn()) is None

    def test_a_quote_in_an_icmp_error_is_no_segment(self) -> None:
        quote = IP(bytes(IP() / ICMP(type=3, code=1) / bytes(syn(("flow-d", VALUE)))))
        assert quote.haslayer(IPerror)
        assert quote[TCPerror].options == [("flow-d", VALUE)]
        assert flow_option(quote) is None

    @pytest.mark.parametrize("entry", [("flow-d", bytes(VALUE)), (253, bytes(VALUE)), ("flow-d", VALUE)])
    def test_entries_of_every_form(self, entry: tuple[Any, Any]) -> None:
        assert flow_option(syn(("MSS", 1460), entry)) == OPTION

    def test_the_data_offset_bounds_the_options(self) -> None:
        packet = syn(("flow-d", VALUE))
        found = {}
        for words in (4, 5, 9, 10, 15):
            packet[TCP].dataofs = words
            found[words] = flow_option(packet)
        assert found == {4: None, 5: None, 9: None, 10: OPTION, 15: OPTION}


class TestWithFlowOption:
    @given(
        st.lists(st.sampled_from([*LINUX_SYN, (77, b"abc"), ("EOL", None), ("SAck", (1, 2))]), max_size=8), flow_options
    )
    def test_is_aligned_and_last_or_refused(self, entries: list[tuple[Any, Any]], option: FlowOption) -> None:
        kept = entries[: entries.index(("EOL", None))] if ("EOL", None) in entries else entries
        size = len(bytes(TCP(options=kept, dataofs=5, chksum=0))) - 20
        packet = syn(*entries)
        before = packet.copy()
        if size > 20:
            with pytest.raises(ValueError, match="expected at most 20 octets of options before a flow option, found"):
                with_flow_option(packet, option)
            return
        changed = with_flow_option(packet, option)
        assert packet[TCP].options == before[TCP].options
        area = area_of(changed)
        assert area[-20:] == bytes(option)
        assert len(area) == size + 20
        assert changed[TCP].options[: len(kept)] == kept
        assert set(changed[TCP].options[len(kept) : -1]) <= {("NOP", None)}
        assert changed[TCP].options[-1] == (option.variant.value, ScapyFlowOption.from_option(option))

    @pytest.mark.parametrize("v6", [False, True])
    @pytest.mark.parametrize("options", [b"", mss(1460), b"\x03\x03\x07", b"\x03\x03\x07\x00"])
    def test_lengths_and_checksums_come_out_right(self, v6: bool, options: bytes) -> None:
        changed = with_flow_option(to_scapy(frame(options, v6=v6)), OPTION)
        padded = options[:3] + b"\x01" if options[:1] == b"\x03" else options
        assert bytes(changed) == frame(padded + bytes(OPTION), v6=v6)

    def test_a_dissected_list_ends_before_its_end_of_list(self) -> None:
        changed = with_flow_option(to_scapy(frame(mss(1460) + b"\x01\x00\x00\x00")), OPTION)
        assert changed[TCP].options == [("MSS", 1460), *[("NOP", None)] * 4, ("flow-d", VALUE)]

    def test_layers_below_are_recomputed(self, tmp_path: Path) -> None:
        from scapy.layers.vxlan import VXLAN
        from scapy.utils import wrpcap

        inner = frame(mss(1460))
        # Addresses of one's own, or Scapy would ask the network for them.
        link = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")
        outers = [
            link / Dot1Q() / IP(src="192.0.2.9", dst="192.0.2.10") / UDP(sport=5, dport=4789) / VXLAN(vni=1),
            link / IPv6(src="2001:db8::9", dst="2001:db8::a") / IPv6ExtHdrDestOpt() / UDP(dport=4789) / VXLAN(vni=2),
        ]
        packets = [with_flow_option(to_scapy(bytes(outer / to_scapy(inner))), OPTION) for outer in outers]
        for outer, packet in zip(outers, packets, strict=True):
            assert bytes(packet) == bytes(outer / Ether(frame(mss(1460) + bytes(OPTION))))
        wrpcap(str(tmp_path / "x.pcap"), packets)
        checks = ["-oip.check_checksum:TRUE", "-otcp.check_checksum:TRUE", "-oudp.check_checksum:TRUE"]
        fields = [f"-e{name}.checksum.status" for name in ("ip", "udp", "tcp")] + ["-e_ws.malformed"]
        command = [needs("tshark"), "-n", "-r", str(tmp_path / "x.pcap"), *checks, "-Tfields", *fields]
        rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        assert rows == ["1,1\t1\t1\t", "1\t1\t1\t"]

    def test_padding_of_short_frames_stays_padding(self) -> None:
        short = tcp_frame(A4, B4, TcpHeader(1, 2, 16, 3)) + bytes(6)
        changed = with_flow_option(to_scapy(short), OPTION)
        assert bytes(changed) == tcp_frame(A4, B4, TcpHeader(1, 2, 16, 3, bytes(OPTION))) + bytes(6)
        assert changed[Padding].load == bytes(6)

    def test_a_flow_option_that_is_there_stays(self) -> None:
        changed = with_flow_option(with_flow_option(syn(), OPTION), CONTROL)
        assert area_of(changed) == bytes(OPTION) + bytes(CONTROL)
        with pytest.raises(ValueError, match="at most 20 octets of options before a flow option, found 40"):
            with_flow_option(changed, OPTION)

    def test_without_tcp(self) -> None:
        with pytest.raises(ValueError, match="expected a TCP layer, found Ether / IP / UDP"):
            with_flow_option(Ether() / IP() / UDP(), OPTION)


def test_the_example_in_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/howto/index.md").read_text()
    section = text[text.index("## Build and inspect with Scapy") :]
    code = section[section.index("```python\n") + len("```python\n") :]
    exec(code[: code.index("```")], {})
    assert "('flow-d', ScapyFlowOption(tifid=0x" in capsys.readouterr().out
