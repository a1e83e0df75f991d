"""Every verdict, in virtual time: our own stack behind middleboxes and routers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.endpoint.hosts import Silent
from tests.probe.paths import CLIENT, PORT, SECOND, SERVER, Change, Router, Run, boxes, probe, server
from tioption.capture.segment import ACK, RST, SYN
from tioption.endpoint.link import Middlebox, Way
from tioption.middlebox.packet import Packet
from tioption.network import Host
from tioption.option import Kinds, Variant
from tioption.probe import Answer, Confirmation, Fate

BOTH = (Variant.FLOW_D, Variant.FLOW_C)


def routed(*between: str | Middlebox) -> list[str | Middlebox]:
    """Boxes between two routers."""
    return [Router(1), *between, Router(2)]


def legacy() -> Host:
    return server(enabled=False)


@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
class TestVerdicts:
    """One each, over both families."""

    @pytest.mark.parametrize(
        ("spec", "verdict"),
        [
            ((), "speaks"),
            (("isn",), "speaks"),
            (("delay:200ms",), "speaks"),
            (("lose:100%,segment=syn,count=2",), "speaks"),
            (("lose:100%,segment=syn-ack,count=2",), "speaks"),
            (("lose:100%,segment=ack,count=1,way=ab",), "speaks"),
            (("duplicate:100%",), "speaks"),
            (("strip:segment=syn",), "stripped-syn"),
            (("overwrite:nop,segment=syn",), "stripped-syn"),
            (("overwrite:eol,segment=syn",), "stripped-syn"),
            (("strip:segment=syn-ack",), "stripped-syn-ack"),
            (("overwrite:nop,segment=syn-ack",), "stripped-syn-ack"),
            (("overwrite:eol,segment=syn-ack",), "stripped-syn-ack"),
            (("strip:segment=ack",), "stripped-ack"),
            (("overwrite:segment=ack",), "stripped-ack"),
            (("alter:tiack,segment=ack",), "stripped-ack"),
            (("strip",), "stripped-syn"),
            (("alter:tiseq,segment=syn",), "altered"),
            (("alter:tifid,xor=0x1000000,segment=syn-ack",), "altered"),
            (("alter:tiack,segment=syn-ack",), "altered"),
            (("alter:length,segment=syn-ack,xor=1",), "altered"),
            (("echo",), "echo"),
            (("drop-unknown",), "dropped"),
            (("drop-unknown:segment=syn-ack",), "dropped"),
            (("drop-unknown:rst",), "refused"),
        ],
        ids=str,
    )
    def test_of_a_host_that_speaks(self, ipv6: bool, spec: tuple[str, ...], verdict: str) -> None:
        assert probe(server(), *routed(*spec), ipv6=ipv6).verdicts == [verdict]

    @pytest.mark.parametrize(
        ("spec", "verdict"),
        [
            ((), "legacy"),
            (("strip",), "stripped-syn"),
            (("strip:segment=syn-ack",), "legacy"),
            (("echo",), "echo"),
            (("drop-unknown",), "dropped"),
            (("drop-unknown:rst",), "refused"),
        ],
        ids=str,
    )
    def test_of_a_host_that_does_not(self, ipv6: bool, spec: tuple[str, ...], verdict: str) -> None:
        assert probe(legacy(), *routed(*spec), ipv6=ipv6).verdicts == [verdict]

    def test_of_a_closed_port(self, ipv6: bool) -> None:
        run = probe(server(), *routed(), ipv6=ipv6, ports=[81])
        assert (run.verdicts, run.seen.packets) == (["closed"], 1)

    def test_of_silence(self, ipv6: bool) -> None:
        run = probe(Silent(), *routed(), ipv6=ipv6)
        assert (run.verdicts, run.seen.packets, run.seen.duration) == (["unreachable"], 3, 4 * SECOND)

    def test_of_a_path_that_is_too_long(self, ipv6: bool) -> None:
        run = probe(server(), *[Router(number) for number in range(1, 65)], ipv6=ipv6)
        assert run.verdicts == ["unreachable"]
        assert "hop limit used up" in run.judgements[0].text


class TestManners:
    """What it sends: few packets, without a payload, each connection ended."""

    @pytest.mark.parametrize(
        ("b", "spec", "packets"),
        [(server, (), 12), (legacy, (), 18), (server, ("strip:segment=syn",), 14), (server, ("drop-unknown",), 28)],
    )
    def test_a_handful_of_packets(self, b: Any, spec: tuple[str, ...], packets: int) -> None:
        run = probe(b(), *routed(*spec), variants=BOTH)
        assert run.seen.packets <= packets
        assert run.seen.packets == len(run.sent)

    @pytest.mark.parametrize("spec", [(), ("strip",), ("strip:segment=ack",), ("echo",)], ids=str)
    def test_nothing_is_written_and_everything_ends(self, spec: tuple[str, ...]) -> None:
        host = server(*BOTH)
        run = probe(host, *routed(*spec), variants=BOTH, ports=[PORT, PORT + 1])
        assert not any(segment.payload or segment.fin for segment in run.segments())
        assert list(host._table) == []

    def test_every_connection_has_numbers_of_its_own(self) -> None:
        run = probe(server(), *routed(), variants=BOTH)
        syns = [segment for segment in run.segments() if segment.flags == SYN]
        assert len({segment.seq for segment in syns}) == len(syns)
        firsts = [s.option.tifid.first for s in syns if s.option is not None and not s.option.tifid.second]
        assert len(set(firsts)) == len(firsts) == 2

    def test_the_same_bits_make_the_same_packets(self) -> None:
        assert probe(server(), *routed("strip"), seed=5).sent == probe(server(), *routed("strip"), seed=5).sent
        assert probe(server(), *routed("strip"), seed=5).sent != probe(server(), *routed("strip"), seed=6).sent

    def test_the_confirmation_is_what_the_rules_ask(self) -> None:
        run = probe(server(), *routed())
        options = [segment.option for segment in run.segments() if segment.option is not None]
        offer, ack, resume = options
        answer = run.seen.variants[0].syn
        assert answer is not None
        assert answer.option is not None
        assert ack == offer.replace(tifid=answer.option.tifid, tiack=answer.option.tiseq)  # EST-07
        assert resume == ack  # RES-02: nothing was sent or received in between

    def test_a_late_answer_is_refused(self) -> None:
        run = probe(server(), "delay:3s,way=ba")
        assert [segment.flags for segment in run.segments()].count(RST) >= 1

    def test_ports_of_an_address_one_after_another(self) -> None:
        run = probe(server(*BOTH), *routed(), variants=BOTH, ports=[PORT, PORT + 1, 81])
        assert [one.port for one in run.results] == [PORT, PORT + 1, 81]
        order = [segment_port(packet) for packet in run.sent]
        assert order == sorted(order, key=[PORT, PORT + 1, 81].index)


def segment_port(packet: bytes) -> int:
    segment = Packet.parse(packet)
    assert segment is not None
    return segment.dport


class TestVariants:
    """Flow-D and Flow-C are reported one by one."""

    def test_a_port_for_one_of_them(self) -> None:
        run = probe(server(*BOTH), *routed(), variants=BOTH, ports=[PORT, PORT + 1])
        assert run.verdicts == ["speaks", "declined"]
        assert run.seen.variants[1].resume is not None

    def test_a_path_that_strips_one_of_them(self) -> None:
        one_kind = boxes("strip:segment=syn")
        one_kind[0]._kinds = Kinds(254, 77)  # type: ignore[attr-defined]
        run = probe(legacy(), *routed(one_kind[0]), variants=BOTH)
        assert run.verdicts == ["legacy", "stripped-syn"]

    def test_other_kinds(self) -> None:
        run = probe(legacy(), *routed(), kinds=Kinds(77, 78))
        assert b"\x4d\x14" in run.sent[2]
        assert run.verdicts == ["legacy"]


class TestHops:
    """Where something happens to the SYN."""

    def hops(self, run: Run) -> list[tuple[int, str, Fate | None]]:
        return [(hop.number, hop.answer.value, hop.fate) for hop in run.seen.variants[0].hops]

    def test_the_option_is_seen_to_arrive(self) -> None:
        run = probe(legacy(), Router(1), Router(2), Router(3))
        icmp = ("icmp", Fate.INTACT)
        assert self.hops(run) == [(1, *icmp), (2, *icmp), (3, *icmp), (4, "syn-ack", None)]
        assert run.judgements[0].notes == ("The SYN's option was seen to arrive at hop 3 of 4.",)

    def test_it_is_gone_between_two_hops_and_no_more_are_asked(self) -> None:
        run = probe(legacy(), Router(1), "strip", Router(2), Router(3))
        assert self.hops(run) == [(1, "icmp", Fate.INTACT), (2, "icmp", Fate.ABSENT)]
        assert "between hop 1 (10.0.1.1) and hop 2 (10.0.2.1)" in run.judgements[0].text

    def test_it_is_gone_before_the_first(self) -> None:
        run = probe(server(), "strip", Router(1))
        assert "before hop 1 (10.0.1.1)" in run.judgements[0].text

    def test_behind_the_last_router_nothing_shows(self) -> None:
        run = probe(server(), Router(1), "strip:segment=syn")
        assert run.verdicts == ["legacy"]
        assert run.judgements[0].notes == ("The SYN's option was seen to arrive at hop 1 of 2.",)

    def test_short_quotes(self) -> None:
        run = probe(legacy(), Router(1, quotes=28), "isn", Router(2, quotes=28))
        assert self.hops(run)[:2] == [(1, "icmp", Fate.UNSEEN), (2, "icmp", Fate.UNSEEN)]
        assert run.seen.variants[0].hops[1].changed == ("ISN",)
        assert run.judgements[0].notes == (
            "No router on the way quotes enough to say whether the SYN's option arrives.",
            "Hops 1, 2 quote too little of the SYN to show the option.",
            "Before hop 2 (10.0.2.1) other fields of the SYN were changed, too: ISN.",
        )

    @pytest.mark.parametrize("ipv6", [False, True])
    def test_short_quotes_that_come_at_once_keep_their_places(self, ipv6: bool) -> None:
        size = 48 if ipv6 else 28
        run = probe(legacy(), Router(1), Router(2, quotes=size), Router(3, silent=True), Router(4), ipv6=ipv6)
        unseen = (2, "icmp", Fate.UNSEEN)
        intact = (4, "icmp", Fate.INTACT)
        assert self.hops(run)[1:] == [unseen, (3, "nothing", None), intact, (5, "syn-ack", None)]

    @pytest.mark.parametrize("ipv6", [False, True])
    def test_a_quote_that_comes_late_is_put_in_its_place(self, ipv6: bool) -> None:
        seen: list[bool] = []

        class Late:
            def process(self, packet: bytes, way: Way, now_ns: int) -> list[tuple[int, Way, bytes]]:
                icmp = packet[9] == 1 if packet[0] >> 4 == 4 else packet[6] == 58
                first = icmp and not seen
                if first:
                    seen.append(True)
                return [(SECOND // 2 if first else 0, way, packet)]

        run = probe(legacy(), Late(), Router(1), Router(2), Router(3, silent=True), Router(4), ipv6=ipv6)
        assert seen
        assert [fate for _, _, fate in self.hops(run)] == [Fate.INTACT, Fate.INTACT, None, Fate.INTACT, None]
        assert (run.seen.variants[0].hops[0].rtt or 0) > SECOND // 2

    def test_after_four_silent_hops_no_more_are_asked(self) -> None:
        run = probe(legacy(), *[Router(number, silent=True) for number in range(1, 9)])
        assert self.hops(run) == [(number, "nothing", None) for number in range(1, 5)]

    def test_as_many_as_asked_for(self) -> None:
        routers = [Router(number) for number in range(1, 9)]
        assert len(self.hops(probe(legacy(), *routers, hops=3))) == 3
        run = probe(legacy(), *routers, hops=0)
        assert self.hops(run) == []
        assert "No router was asked whether the SYN's option gets through." in run.judgements[0].notes

    def test_who_drops_it(self) -> None:
        run = probe(server(), Router(1), Router(2), "drop-unknown", Router(3))
        assert "is dropped behind hop 2 (10.0.2.1)" in run.judgements[0].text

    def test_nobody_is_asked_where_it_can_decide_nothing(self) -> None:
        assert self.hops(probe(server(), *routed())) == []
        assert self.hops(probe(server(), *routed("strip:segment=syn-ack"))) == []

    def test_a_clamped_mss_is_noticed(self) -> None:
        run = probe(legacy(), Router(1), "mss:1200", Router(2))
        assert run.seen.variants[0].hops[1].changed == ("MSS",)


class TestDetails:
    """What else is seen."""

    def test_a_lost_ack_is_no_stripped_one(self) -> None:
        run = probe(server(), "lose:100%,segment=ack,count=1,way=ab")
        seen = run.seen.variants[0]
        assert seen.confirmation is Confirmation.ARRIVED

    def test_a_host_that_answers_resumes_in_plain_tcp(self) -> None:
        """The first SYN passes, the second loses its option."""
        count = [0]

        def strip_second(packet: bytes, way: Way) -> bytes:
            segment = Packet.parse(packet)
            if segment is None or way == "ba" or segment.flags != SYN or segment.option(253) is None:
                return packet
            count[0] += 1
            if count[0] == 2:
                segment.options = segment.options[:20]
                return segment.encode()
            return packet

        run = probe(server(), Change(strip_second))
        assert run.verdicts == ["speaks"]
        assert run.seen.variants[0].confirmation is Confirmation.UNKNOWN
        assert "answered without the option" in run.judgements[0].notes[0]

    def test_syn_acks_that_are_dropped_on_the_way_back(self) -> None:
        run = probe(server(), *routed("drop-unknown:segment=syn-ack"))
        assert "dropped on their way back" in run.judgements[0].text
        assert "RES-05" in run.judgements[0].rules

    def test_a_host_that_goes_away_in_between(self) -> None:
        left = [1]

        def once(packet: bytes, way: Way) -> bytes | None:
            segment = Packet.parse(packet)
            if segment is not None and segment.flags == SYN | ACK:
                left[0] -= 1
                return packet if left[0] >= 0 else None
            return packet

        run = probe(server(), Change(once))
        assert run.verdicts == ["inconclusive"]
        assert run.seen.variants[0].again is not None
        assert run.seen.variants[0].again.answer is Answer.NOTHING

    def test_options_that_the_syn_ack_lacks_beside_the_flow_option(self) -> None:
        def no_timestamps(packet: bytes, way: Way) -> bytes:
            segment = Packet.parse(packet)
            if segment is not None and segment.flags == SYN | ACK and segment.option(253) is not None:
                segment.options = segment.options[:4] + b"\x01" * 12 + segment.options[16:]
                return segment.encode()
            return packet

        run = probe(server(), Change(no_timestamps))
        assert run.verdicts == ["speaks"]
        assert run.judgements[0].notes == (
            "Without the flow option the SYN-ACK has more options: SACK permitted, timestamps.",
        )

    def test_time_that_is_up(self) -> None:
        run = probe(server(), *routed("drop-unknown"), timeout=3 * SECOND, variants=BOTH)
        assert run.verdicts == ["inconclusive", "inconclusive"]
        assert "--timeout" in run.judgements[0].text
        assert probe(Silent(), timeout=SECOND).verdicts == ["inconclusive"]

    def test_where_it_comes_from_and_goes_to(self) -> None:
        seen = probe(server(), *routed()).seen
        assert (seen.address, seen.port, seen.source) == (SERVER, PORT, CLIENT)
